//! The gate: a newly trained model goes into service only when it is not worse than the one that is.
//!
//! Both are asked about the same rows, and neither answer may come from a model that had seen the row. `docs/decisions.md`
//! says which rows those are, and why.

use super::shrinkage::MIN_EVIDENCE;
use super::train::Candidate;
use crate::config::Config;
use crate::error::Result;
use crate::model::{
    Champion, ComparedOn, Comparison, Decision, Held, HeldOut, Interval, Model, Pair, Record, Verdict, log_loss,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Blocks that the rows must fill at least: from fewer a bootstrap cannot know how far they vary.
const MIN_BLOCKS: usize = 8;
/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;
/// Share of resamples outside the interval, at either end. Two tests are made of each challenger, so one that is as good
/// as the champion is refused by chance at most one time in twenty.
const TAIL: f64 = 0.025;

/// One row, and what both said of it before they could know.
struct Answers {
    challenger: HeldOut,
    champion: HeldOut,
}

impl Answers {
    fn weight(&self) -> f64 {
        self.challenger.buy.weight + self.challenger.sell.weight
    }

    /// Σ weight · log loss over both sides. Labels and weights are the challenger's for both.
    fn loss(&self, of: &HeldOut) -> f64 {
        let [buy, sell] = [self.challenger.buy, self.challenger.sell];
        buy.weight * log_loss(buy.happened, of.buy.probability)
            + sell.weight * log_loss(sell.happened, of.sell.probability)
    }
}

impl Candidate {
    /// Decides whether this goes into service in place of `champion`.
    pub fn judge(&self, champion: &Champion, config: &Config) -> Result<Verdict> {
        let record = &self.model.record;
        let without = |decision, reason| Ok(Verdict { decision, reason, comparison: None });
        let knowledge = if record.has_skill() { "" } else { "; it found nothing and says the base rate" };
        match champion {
            Champion::None => without(Decision::FirstModel, format!("the first model of {}{knowledge}", record.market)),
            Champion::Unusable { error, .. } => {
                without(Decision::ChampionUnusable, format!("the model so far cannot be used: {error}"))
            }
            Champion::Model(champion) if champion.record.uses_volume() && !record.uses_volume() => without(
                Decision::ChampionUnusable,
                "the model so far needs the volume, which the candles do not have any more".to_owned(),
            ),
            Champion::Model(champion) if champion.record.shape() != record.shape() => without(
                Decision::OtherSignalShape,
                "stop, target or expiry are configured otherwise than when the champion was trained".to_owned(),
            ),
            Champion::Model(champion) => {
                let comparison = self.compare(champion, config)?;
                let decision = decide(record, &champion.record, &comparison);
                let reason = words(decision, record, &champion.record, &comparison);
                Ok(Verdict { decision, reason, comparison: Some(comparison) })
            }
        }
    }

    /// Both on the rows that come after the champion's training; where those are too few, on all rows that each held out.
    fn compare(&self, champion: &Model, config: &Config) -> Result<Comparison> {
        let after = self.data.first_after(champion);
        let (mut old, mut fresh) = (Vec::new(), Vec::new());
        for &(row, challenger) in &self.scored {
            if row >= after {
                let champion = self.data.served(row, [&champion.buy, &champion.sell], config)?;
                fresh.push(Answers { challenger, champion });
            } else if let Some(&champion) = champion.lineage.held_at(challenger.time_ms) {
                old.push(Answers { challenger, champion });
            }
        }
        // A label lives as long as a signal at most.
        let block = config.signal.expiry_bars;
        if is_enough(&fresh, block) {
            return Ok(side_by_side(ComparedOn::Fresh, &fresh, block, config.seed));
        }
        old.append(&mut fresh);
        let compared_on = if is_enough(&old, block) { ComparedOn::HeldOut } else { ComparedOn::Short };
        Ok(side_by_side(compared_on, &old, block, config.seed))
    }
}

fn effective(rows: &[Answers]) -> f64 {
    rows.iter().map(Answers::weight).sum::<f64>() / 2.0
}

fn is_enough(rows: &[Answers], block: usize) -> bool {
    rows.len() >= MIN_BLOCKS * block && effective(rows) >= MIN_EVIDENCE
}

fn side_by_side(compared_on: ComparedOn, rows: &[Answers], block: usize, seed: u64) -> Comparison {
    let total: f64 = rows.iter().map(Answers::weight).sum();
    let mean = |sum: f64, of: f64| if of > 0.0 { sum / of } else { 0.0 };
    let loss = |of: fn(&Answers) -> &HeldOut| mean(rows.iter().map(|row| row.loss(of(row))).sum(), total);
    let earned = |held: &HeldOut| held.profit.unwrap_or(0.0);
    let profit = |of: fn(&Answers) -> &HeldOut| mean(rows.iter().map(|row| earned(of(row))).sum(), rows.len() as f64);
    let (log_loss, profit) = (
        Pair { challenger: loss(|row| &row.challenger), champion: loss(|row| &row.champion) },
        Pair { challenger: profit(|row| &row.challenger), champion: profit(|row| &row.champion) },
    );
    let intervals = (compared_on != ComparedOn::Short).then(|| {
        let excess: Vec<_> =
            rows.iter().map(|row| (row.loss(&row.challenger) - row.loss(&row.champion), row.weight())).collect();
        let gain: Vec<_> = rows.iter().map(|row| (earned(&row.challenger) - earned(&row.champion), 1.0)).collect();
        [bootstrap(&excess, block, seed), bootstrap(&gain, block, seed)]
    });
    Comparison {
        compared_on,
        rows: rows.len(),
        effective_rows: effective(rows),
        block,
        log_loss,
        excess: intervals.map(|[excess, _]| excess),
        profit,
        gain: intervals.map(|[_, gain]| gain),
    }
}

/// That what was said of these rows, in order of time, is worse than the constants beyond chance, in words; `None` where it is
/// not, or where the rows are too few to tell.
pub(super) fn worse_than_constant(rows: &[HeldOut], config: &Config) -> Option<String> {
    let block = config.signal.expiry_bars;
    let loss = |held: &Held, probability: f64| held.weight * log_loss(held.happened, probability);
    let excess: Vec<(f64, f64)> = rows
        .iter()
        .map(|row| {
            let of = |held: &Held| loss(held, held.probability) - loss(held, held.constant);
            (of(&row.buy) + of(&row.sell), row.buy.weight + row.sell.weight)
        })
        .collect();
    let effective = excess.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    if rows.len() < MIN_BLOCKS * block || effective < MIN_EVIDENCE {
        return None;
    }
    let Interval { low, mean, high } = bootstrap(&excess, block, config.seed);
    (low > 0.0).then(|| {
        format!(
            "since its last full training it was worse than the constant: log loss {mean:+.5} (95 %: {low:+.5} to {high:+.5}) \
             on {} rows ({effective:.0} independent labels) before it knew them",
            rows.len()
        )
    })
}

/// The interval of Σ value / Σ weight over rows `(value, weight)` in order of time, by resampling blocks of neighbouring
/// rows: what overlapping labels share stays together. The last block is followed by the first.
///
/// Source: Politis and Romano, *A circular block-resampling procedure for stationary data*, 1992.
fn bootstrap(rows: &[(f64, f64)], block: usize, seed: u64) -> Interval {
    let count = rows.len();
    // Sums up to each row of the rows twice over, so that any block is a difference.
    let mut sums = vec![(0.0, 0.0)];
    for at in 0..2 * count {
        let ((value, weight), (values, weights)) = (rows[at % count], sums[at]);
        sums.push((values + value, weights + weight));
    }
    let ratio = |value: f64, weight: f64| if weight > 0.0 { value / weight } else { 0.0 };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let (mut value, mut weight) = (0.0, 0.0);
            for _ in 0..count.div_ceil(block) {
                let from = random.random_range(0..count);
                value += sums[from + block].0 - sums[from].0;
                weight += sums[from + block].1 - sums[from].1;
            }
            ratio(value, weight)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let outside = (TAIL * RESAMPLES as f64) as usize;
    Interval { low: means[outside], mean: ratio(sums[count].0, sums[count].1), high: means[RESAMPLES - 1 - outside] }
}

fn decide(challenger: &Record, champion: &Record, comparison: &Comparison) -> Decision {
    let is_worse_than_constant = |record: &Record| record.has_skill() && record.log_loss() > record.constant_log_loss();
    if is_worse_than_constant(challenger) && !is_worse_than_constant(champion) {
        return Decision::WorseThanConstant;
    }
    match (comparison.excess, comparison.gain) {
        (Some(excess), _) if excess.low > 0.0 => Decision::WorseLogLoss,
        (_, Some(gain)) if gain.high < 0.0 => Decision::LessProfit,
        (Some(_), _) => Decision::NotWorse,
        (None, _) => Decision::ShortEvidence,
    }
}

fn words(decision: Decision, challenger: &Record, champion: &Record, comparison: &Comparison) -> String {
    let Comparison { rows, effective_rows, log_loss, profit, .. } = comparison;
    let interval = |value: Option<Interval>| {
        value.map_or_else(String::new, |Interval { low, mean, high }| {
            format!(", difference {mean:+.5} (95 %: {low:+.5} to {high:+.5})")
        })
    };
    let on = match comparison.compared_on {
        ComparedOn::Fresh => "that came after the champion's training",
        ComparedOn::HeldOut | ComparedOn::Short => "that neither had seen",
    };
    let rows = format!("{rows} rows ({effective_rows:.0} independent labels) {on}");
    let losses = format!(
        "log loss {:.4} against {:.4} on {rows}{}",
        log_loss.challenger,
        log_loss.champion,
        interval(comparison.excess)
    );
    match decision {
        Decision::WorseThanConstant => format!(
            "on its held-out rows its log loss {:.4} is worse than the constant's {:.4}; the champion's {:.4} is not \
             worse than its constant's {:.4}",
            challenger.log_loss(),
            challenger.constant_log_loss(),
            champion.log_loss(),
            champion.constant_log_loss()
        ),
        Decision::LessProfit => format!(
            "its signals earn {:+.4} % a row after costs against {:+.4} % on {rows}{}",
            profit.challenger,
            profit.champion,
            interval(comparison.gain)
        ),
        Decision::ShortEvidence => {
            format!("nothing speaks against it, but the evidence is short: only {rows}")
        }
        _ => losses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_mean_and_widens_with_what_neighbours_share() {
        // Runs of ten equal rows: a bootstrap of single rows would take them for ten times as much evidence.
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let runs: Vec<f64> = (0..60).map(|_| random.random_range(-1.0..1.0)).collect();
        let rows: Vec<(f64, f64)> = runs.iter().flat_map(|&value| [(value, 1.0); 10]).collect();
        let [single, blocks] = [1, 20].map(|block| bootstrap(&rows, block, 42));
        let mean = runs.iter().sum::<f64>() / 60.0;
        for interval in [single, blocks] {
            assert!((interval.mean - mean).abs() < 1e-12 && interval.low < mean && mean < interval.high);
        }
        let ratio = (blocks.high - blocks.low) / (single.high - single.low);
        // √10 in theory, for blocks that fall on whole runs.
        assert!((2.4..3.6).contains(&ratio), "{ratio}");
        // Standard error of the mean of 60 uniform values: 1 / √(3 · 60); the interval is 3.92 of them.
        assert!(((blocks.high - blocks.low) - 3.92 / 180f64.sqrt()).abs() < 0.08, "{blocks:?}");
        assert_eq!(blocks, bootstrap(&rows, 20, 42), "the same seed, the same interval");
    }

    #[test]
    fn no_difference_is_no_interval_above_zero() {
        let same = bootstrap(&[(0.0, 1.0); 300], 24, 7);
        assert_eq!(same, Interval { low: 0.0, mean: 0.0, high: 0.0 });
        let worse = bootstrap(&[(0.01, 1.0); 300], 24, 7);
        assert!((worse.low - 0.01).abs() < 1e-9 && (worse.high - 0.01).abs() < 1e-9);
    }
}
