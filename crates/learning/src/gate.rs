//! The gate: a newly trained model goes live only if it is not measurably worse than the model in service.
//!
//! Both predict the same rows, and neither prediction may come from a model that was trained on the row.
//! `docs/decisions.md` says which rows are used, and why.

use super::clusters::{Weighed, Z_95, interval};
use super::own::needed;
use super::train::Candidate;
use crate::model::{
    Champion, ComparedOn, Comparison, Conceded, Decision, GateVerdict, HeldOut, Interval, Model, Pair, Record, log_loss,
};
use domain::config::Config;
use domain::error::Result;

/// How much higher a challenger's mean log loss may be than the champion's and still count as not worse: a fifth of
/// what models gain over the base rate on real candles. The limit holds for one comparison and for all promotions in a
/// row together.
const MARGIN: f64 = 0.0005;
/// A larger margin for a better champion: this share of its lead over the constant.
const MARGIN_SHARE: f64 = 0.2;

/// One row with the held-out predictions of both models.
struct Answers {
    challenger: HeldOut,
    champion: HeldOut,
}

impl Answers {
    /// The log loss of one model's predictions, summed over both sides; outcomes follow the challenger's labels.
    fn loss(&self, of: &HeldOut) -> f64 {
        let [buy, sell] = [self.challenger.buy, self.challenger.sell];
        log_loss(buy.happened, of.buy.probability) + log_loss(sell.happened, of.sell.probability)
    }
}

impl Candidate {
    /// Decides whether this candidate replaces `champion`.
    pub fn judge(&self, champion: &Champion, config: &Config) -> Result<GateVerdict> {
        let record = &self.model.record;
        let without =
            |decision, reason| Ok(GateVerdict { decision, reason, comparison: None, conceded: Conceded::default() });
        let knowledge = if record.has_skill() { "" } else { "; it has no skill and predicts the base rate" };
        match champion {
            Champion::None => without(Decision::FirstModel, format!("the first model of {}{knowledge}", record.market)),
            Champion::Unusable { error, .. } => {
                without(Decision::ChampionUnusable, format!("the current model cannot be used: {error}"))
            }
            Champion::Model(champion) if champion.record.uses_volume() && !record.uses_volume() => without(
                Decision::ChampionUnusable,
                "the current model needs the volume, which the candles no longer have".to_owned(),
            ),
            Champion::Model(champion) if champion.record.shape() != record.shape() => without(
                Decision::OtherSignalShape,
                "stop, target or expiry differ from those the champion was trained with".to_owned(),
            ),
            Champion::Model(champion) if let Err(error) = needed(champion, self.own.as_ref()) => {
                without(Decision::ChampionUnusable, format!("the current model cannot be used: {error}"))
            }
            Champion::Model(champion) => {
                let comparison = self.compare(champion, config)?;
                let decision = decide(record, champion, &comparison);
                let reason = reason(decision, record, champion, &comparison);
                let conceded = conceded(champion, &comparison);
                Ok(GateVerdict { decision, reason, comparison: Some(comparison), conceded })
            }
        }
    }

    /// Compares both on the rows after the champion's training; where those are too few, on all rows that each held
    /// out.
    fn compare(&self, champion: &Model, config: &Config) -> Result<Comparison> {
        let after = self.data.first_after(champion);
        let unseen: Vec<usize> = self.scored.iter().map(|(row, _)| *row).filter(|row| *row >= after).collect();
        let mut served = self.data.served(&unseen, champion, config, self.own.as_ref())?.into_iter();
        let (mut old, mut fresh) = (Vec::new(), Vec::new());
        for &(row, challenger) in &self.scored {
            if row >= after {
                fresh.extend(served.next().map(|champion| Answers { challenger, champion }));
            } else if let Some(&champion) = champion.lineage.held_at(challenger.time_ms) {
                old.push(Answers { challenger, champion });
            }
        }
        let cluster_ms = self.model.record.skill.cluster_ms.max(1);
        let compared = side_by_side(ComparedOn::Fresh, &fresh, cluster_ms, config.seed);
        if compared.excess.is_some() {
            return Ok(compared);
        }
        old.append(&mut fresh);
        Ok(side_by_side(ComparedOn::HeldOut, &old, cluster_ms, config.seed))
    }
}

fn side_by_side(compared_on: ComparedOn, rows: &[Answers], cluster_ms: i64, seed: u64) -> Comparison {
    let count = rows.len().max(1) as f64;
    let loss = |of: fn(&Answers) -> &HeldOut| rows.iter().map(|row| row.loss(of(row))).sum::<f64>() / (2.0 * count);
    let earned = |held: &HeldOut| held.profit.unwrap_or(0.0);
    let profit = |of: fn(&Answers) -> &HeldOut| rows.iter().map(|row| earned(of(row))).sum::<f64>() / count;
    let weighed = |value: &dyn Fn(&Answers) -> f64, weight: f64| {
        let one = |row: &Answers| Weighed { time_ms: row.challenger.time_ms, value: value(row), weight };
        interval(rows.iter().map(one).collect::<Vec<_>>(), cluster_ms, seed)
    };
    let (excess, clusters) = weighed(&|row| row.loss(&row.challenger) - row.loss(&row.champion), 2.0);
    let (gain, _) = weighed(&|row| earned(&row.challenger) - earned(&row.champion), 1.0);
    Comparison {
        compared_on: if excess.is_some() { compared_on } else { ComparedOn::Short },
        rows: rows.len(),
        clusters,
        cluster_ms,
        log_loss: Pair { challenger: loss(|row| &row.challenger), champion: loss(|row| &row.champion) },
        excess,
        profit: Pair { challenger: profit(|row| &row.challenger), champion: profit(|row| &row.champion) },
        gain,
    }
}

/// A sentence saying that these predictions, in order of time, are significantly worse than the constants; `None` where
/// they are not, or where the rows are too few to tell.
pub(super) fn worse_than_constant(rows: &[HeldOut], cluster_ms: i64, seed: u64) -> Option<String> {
    let skill = super::dataset::skill(rows, cluster_ms, seed);
    let Interval { low, mean, high } = skill.excess?;
    (low > 0.0).then(|| {
        format!(
            "since its last full training it was worse than the constant: log loss {mean:+.5} (95 %: {low:+.5} to {high:+.5}) \
             on {} held-out rows ({} stretches of time)",
            skill.rows, skill.clusters
        )
    })
}

/// How much mean log loss a chain of promotions from `champion` on may lose in total.
fn margin(champion: &Record) -> f64 {
    MARGIN.max(MARGIN_SHARE * (champion.constant_log_loss() - champion.log_loss()))
}

/// What the chain has lost if this challenger is promoted; zero where it has gained. A comparison with too few rows
/// adds nothing.
fn conceded(champion: &Model, comparison: &Comparison) -> Conceded {
    let Conceded { rise, variance } = champion.lineage.conceded;
    let Some(Interval { low, mean, high }) = comparison.excess else { return champion.lineage.conceded };
    let error = (high - low) / (2.0 * Z_95);
    let sum = Conceded { rise: rise + mean, variance: variance + error * error };
    if sum.rise > 0.0 { sum } else { Conceded::default() }
}

/// Whether a chain's loss exceeds the margin by more than one standard error.
fn exceeds(Conceded { rise, variance }: Conceded, margin: f64) -> bool {
    rise - variance.sqrt() > margin
}

fn decide(challenger: &Record, champion: &Model, comparison: &Comparison) -> Decision {
    // Only significant differences count: among the many markets of a pool, some do worse than their constants by
    // chance.
    let is_worse_than_constant = |record: &Record| record.skill.excess.is_some_and(|excess| excess.low > 0.0);
    if is_worse_than_constant(challenger) && !is_worse_than_constant(&champion.record) {
        return Decision::WorseThanConstant;
    }
    let margin = margin(&champion.record);
    match (comparison.excess, comparison.gain) {
        (Some(excess), _) if excess.low > 0.0 => Decision::WorseLogLoss,
        (_, Some(gain)) if gain.high < 0.0 => Decision::LessProfit,
        (Some(excess), _) if excess.mean > 0.0 && excess.high > margin && tells(&excess, margin) => {
            Decision::MaybeWorse
        }
        _ if exceeds(conceded(champion, comparison), margin) => Decision::ChainWorse,
        (Some(_), _) => Decision::NotWorse,
        (None, _) => Decision::ShortEvidence,
    }
}

/// Whether the rows are enough to tell a rise of `margin` from none. Where they are not, the limit on the whole chain
/// applies.
fn tells(excess: &Interval, margin: f64) -> bool {
    excess.high - excess.low <= 2.0 * margin
}

fn reason(decision: Decision, challenger: &Record, champion: &Model, comparison: &Comparison) -> String {
    let Comparison { rows, clusters, log_loss, profit, .. } = comparison;
    let interval = |value: Option<Interval>| {
        value.map_or_else(String::new, |Interval { low, mean, high }| {
            format!(", difference {mean:+.5} (95 %: {low:+.5} to {high:+.5})")
        })
    };
    let on = match comparison.compared_on {
        ComparedOn::Fresh => "that came after the champion's training",
        ComparedOn::HeldOut | ComparedOn::Short => "that neither had seen",
    };
    let rows = format!("{rows} rows ({clusters} stretches of time) {on}");
    let losses = format!(
        "log loss {:.4} against {:.4} on {rows}{}",
        log_loss.challenger,
        log_loss.champion,
        interval(comparison.excess)
    );
    let record = &champion.record;
    match decision {
        Decision::WorseThanConstant => format!(
            "on its held-out rows its log loss {:.4} is worse than the constant's {:.4}; the champion's {:.4} is not \
             worse than its constant's {:.4}",
            challenger.log_loss(),
            challenger.constant_log_loss(),
            record.log_loss(),
            record.constant_log_loss()
        ),
        Decision::LessProfit => format!(
            "its signals earn {:+.4} % per row after costs against {:+.4} % on {rows}{}",
            profit.challenger,
            profit.champion,
            interval(comparison.gain)
        ),
        Decision::MaybeWorse => {
            format!("{losses}: a difference above {:.5} cannot be ruled out", margin(record))
        }
        Decision::ChainWorse => format!(
            "{losses}: with this one, consecutive promotions would have lost {:.5}; {:.5} is allowed",
            conceded(champion, comparison).rise,
            margin(record)
        ),
        Decision::ShortEvidence => {
            format!("nothing speaks against it, but there is little evidence: only {rows}")
        }
        _ => losses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Held;

    const HOUR: i64 = 3_600_000;

    fn answers(count: i64, worse_by: f64) -> Vec<Answers> {
        let held = |time: i64, probability: f64| {
            let one = Held { happened: time % 3 == 0, probability, constant: 1.0 / 3.0 };
            HeldOut { time_ms: time * HOUR, buy: one, sell: one, profit: None }
        };
        let row = |time| Answers { challenger: held(time, 1.0 / 3.0 + worse_by), champion: held(time, 1.0 / 3.0) };
        (0..count).map(row).collect()
    }

    #[test]
    fn short_evidence_has_no_interval() {
        let compared = side_by_side(ComparedOn::Fresh, &answers(7 * 24, 0.01), 24 * HOUR, 1);
        assert_eq!((compared.compared_on, compared.clusters, compared.excess), (ComparedOn::Short, 7, None));
        let compared = side_by_side(ComparedOn::Fresh, &answers(8 * 24, 0.0), 24 * HOUR, 1);
        assert_eq!((compared.compared_on, compared.clusters), (ComparedOn::Fresh, 8));
        assert_eq!(compared.excess, Some(Interval { low: 0.0, mean: 0.0, high: 0.0 }));
    }

    #[test]
    fn consecutive_promotions_lose_at_most_the_margin() {
        let path = std::path::Path::new("champion.model");
        let market = domain::symbol::Market::parse("BTCUSDT", "1h").unwrap();
        let fixture = include_bytes!("../../testkit/fixtures/champion.model");
        let mut champion = crate::model::file::decode(fixture, path, &market, 1, None).unwrap();
        (champion.record.buy, champion.record.sell) = Default::default();
        let challenger = champion.record.clone();
        let step = |rise: f64, width: f64| {
            let mut compared = side_by_side(ComparedOn::HeldOut, &answers(8 * 24, 0.0), 24 * HOUR, 1);
            compared.log_loss.challenger = compared.log_loss.champion + rise;
            compared.excess = Some(Interval { low: rise - width, mean: rise, high: rise + width });
            compared
        };
        // Each step is below the margin of 0.0005, and has a standard error of 0.0001.
        let each = step(0.000_12, 0.000_196);
        let mut promoted = 0;
        while decide(&challenger, &champion, &each).promotes() {
            champion.lineage.conceded = conceded(&champion, &each);
            promoted += 1;
        }
        // n · 0.00012 − √n · 0.0001 exceeds 0.0005 from the seventh promotion on.
        assert_eq!(promoted, 6);
        assert_eq!(decide(&challenger, &champion, &each), Decision::ChainWorse);
        assert_eq!(
            decide(&challenger, &champion, &step(-0.000_2, 0.000_1)),
            Decision::NotWorse,
            "a better one goes on"
        );
        // A gain is not saved up for later losses.
        assert_eq!(conceded(&champion, &step(-0.01, 0.001)), Conceded::default());
        champion.lineage.conceded = Conceded::default();
        assert_eq!(decide(&challenger, &champion, &step(0.000_3, 0.000_29)), Decision::WorseLogLoss);
        assert_eq!(decide(&challenger, &champion, &step(0.000_2, 0.000_4)), Decision::MaybeWorse);
        assert_eq!(decide(&challenger, &champion, &step(0.000_2, 0.000_25)), Decision::NotWorse);
        assert_eq!(decide(&challenger, &champion, &step(0.001, 0.002)), Decision::NotWorse, "too few rows to tell");
    }

    #[test]
    fn a_significant_loss_to_the_constant_is_reported() {
        let said = |by| answers(100 * 24, by).into_iter().map(|row| row.challenger).collect::<Vec<_>>();
        assert_eq!(worse_than_constant(&said(0.0), 24 * HOUR, 1), None);
        assert!(
            worse_than_constant(&said(0.1), 24 * HOUR, 1)
                .is_some_and(|reason| reason.contains("100 stretches of time"))
        );
        assert_eq!(worse_than_constant(&said(0.1)[..150], 24 * HOUR, 1), None, "too few");
    }
}
