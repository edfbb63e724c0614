//! Continuing a model with what came since: a quarter of its trees, the oldest, is replaced by trees that know the newer
//! rows. Faster than a training from nothing, because nothing is walked forward anew: what the champion said of the new rows
//! before it knew them is the new evidence.

use super::dataset::{Dataset, MIN_LEAF};
use super::feedback::Feedback;
use super::folds::known_before;
use super::gate::worse_than_constant;
use super::known::Known;
use super::shrinkage::{MIN_EVIDENCE, believe};
use super::train::{Candidate, Step};
use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::market::Candle;
use crate::model::{Evidence, Family, Forest, Held, HeldOut, Lineage, Mode, Model, Side};
use crate::symbol::Market;

/// One in so many trees is replaced.
const SHARE: usize = 4;
/// The fewest new rows that are worth new trees: fewer would not fill a leaf.
pub const MIN_NEW_ROWS: usize = MIN_LEAF;
/// Rows that new trees are grown from at most: half of them the newest, half spread evenly over all before.
const SAMPLE: usize = 20_000;

/// What continuing a model came to.
pub enum Continued {
    /// A new model.
    Trained(Box<Candidate>),
    /// So few decided rows came since the model was trained that there is nothing to learn yet.
    NothingNew(usize),
    /// What was continued so far is not worth continuing, and why: it is to be trained in full.
    Worse(String),
}

/// Why `champion` cannot be continued under this configuration; `None` when it can.
pub fn cannot_continue(champion: &Model, config: &Config) -> Option<&'static str> {
    if champion.lineage.held_out.is_empty() {
        return Some("the model's file is of a format that cannot be continued");
    }
    if champion.record.shape() != config.signal {
        return Some("stop, target or expiry are configured otherwise than when the model was trained");
    }
    if champion.record.trees != config.trees {
        return Some("another number of trees is configured than the model has");
    }
    None
}

/// Continues `champion`, for which [`cannot_continue`] is `None`. Arguments and errors as of [`super::train_market`].
pub fn continue_market(
    champion: &Model,
    candles: &[Candle],
    feedback: &Feedback,
    config: &Config,
    now_ms: i64,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Continued> {
    let market = &champion.record.market;
    let data = Dataset::new(market, candles, config)?.with_feedback(feedback);
    extend(champion, data, market, config, now_ms, cancel, progress)
}

/// [`continue_market`] on rows that are there already.
pub(super) fn extend(
    champion: &Model,
    data: Dataset,
    market: &Market,
    config: &Config,
    now_ms: i64,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Continued> {
    if champion.record.uses_volume() == data.is_silent {
        let words = if data.is_silent { "no volume any more" } else { "volume now" };
        return Ok(Continued::Worse(format!("the candles have {words}, the model was trained otherwise")));
    }
    let first_new = data.first_after(champion);
    let new = data.len() - first_new;
    if new < MIN_NEW_ROWS {
        return Ok(Continued::NothingNew(new));
    }
    let mut lineage = Lineage { continues: Some(champion.version()), ..champion.lineage.clone() };
    if lineage.full_ms.is_none() && champion.lineage.continues.is_none() {
        lineage.full_ms = Some(champion.record.horizon_ms);
    }
    for (side, (targets, old)) in data.sides.iter().zip([&champion.buy, &champion.sell]).enumerate() {
        let raw = |row| Some(targets.held(row, old.forest.predict(data.row(row))?, old.base_rate));
        let raw: Vec<Held> = (first_new..data.len()).filter_map(raw).collect();
        lineage.evidence[side] = lineage.evidence[side] + Evidence::of(&raw);
    }
    let said = |row| data.served(row, [&champion.buy, &champion.sell], config);
    lineage.hold((first_new..data.len()).map(said).collect::<Result<Vec<_>>>()?);
    // A single update has too few new rows for the gate, so the whole chain of them is judged by all of its own.
    if let Some(reason) = worse_than_constant(&lineage.since_full(), config) {
        return Ok(Continued::Worse(reason));
    }

    let probed_from = probed_from(&data, first_new);
    let total = if probed_from.is_some() { 2 } else { 1 };
    let everything: Vec<usize> = (0..data.len()).collect();
    // A seed of its own for each stretch of time, or the new trees would draw what the old ones drew.
    let seed = config.seed ^ (champion.record.horizon_ms as u64).rotate_left(20);
    let renew = |known: &[usize], until_ms: i64, beliefs: [f64; 2]| {
        renewed(champion, &data, (known, until_ms), beliefs, (config.trees.div_ceil(SHARE), seed), cancel)
    };

    // The same step taken on what was known earlier, to be scored on what was not.
    let scored = match probed_from {
        None => Vec::new(),
        Some(from) => {
            let known = known_before(&data.bars, &data.ends, from);
            let [buy, sell] = renew(&known, data.times_ms[from], champion.record.beliefs)?;
            progress(Step { done: 1, total });
            let say = |row| Ok((row, data.served(row, [&buy, &sell], config)?));
            (from..data.len()).map(say).collect::<Result<_>>()?
        }
    };

    let sides = renew(&everything, data.horizon_ms, lineage.evidence.map(|evidence| believe(&evidence)))?;
    progress(Step { done: total, total });
    let held_out: Vec<HeldOut> = lineage.held_out.iter().copied().collect();
    let model = data.model(market, sides, &held_out, lineage, config, now_ms);
    Ok(Continued::Trained(Box::new(Candidate { model, mode: Mode::Incremental, data, scored })))
}

/// From which row on a step taken earlier can be scored: the newer half of the new rows where they say enough, else all of
/// them; `None` when not even those do.
fn probed_from(data: &Dataset, first_new: usize) -> Option<usize> {
    let middle = first_new + (data.len() - first_new) / 2;
    [middle, first_new].into_iter().find(|&from| data.effective(from..data.len()) >= MIN_EVIDENCE)
}

/// The champion's sides with their oldest trees replaced by trees of the rows `known`, and of live signals until a time.
fn renewed(
    champion: &Model,
    data: &Dataset,
    (known, until_ms): (&[usize], i64),
    beliefs: [f64; 2],
    (trees, seed): (usize, u64),
    cancel: &Cancel,
) -> Result<[Side; 2]> {
    let sample = sample(known);
    let rows = Known::new(data, &sample, until_ms);
    let newer: Vec<Forest> =
        data.sides.iter().map(|side| rows.fit(side, trees, seed, cancel)).collect::<Result<_>>()?;
    let sides: Vec<_> = [&champion.buy, &champion.sell]
        .into_iter()
        .zip(newer)
        .zip(data.sides.iter().zip(beliefs))
        .map(|((old, newer), (targets, belief))| {
            let payoff = data.payoff(targets, known, &champion.record.shape());
            Ok(Side { forest: old.forest.renewed(&newer)?, base_rate: targets.base_rate(known), belief, payoff })
        })
        .collect::<Result<_>>()?;
    sides.try_into().map_err(|_| Error::Internal("a side was not fitted".to_owned()))
}

/// At most [`SAMPLE`] of these rows: the newest, and every so-manieth of those before.
fn sample(known: &[usize]) -> Vec<usize> {
    if known.len() <= SAMPLE {
        return known.to_vec();
    }
    let (older, newest) = known.split_at(known.len() - SAMPLE / 2);
    let spread = (0..SAMPLE / 2).map(|i| older[i * older.len() / (SAMPLE / 2)]);
    spread.chain(newest.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_the_newest_and_spreads_over_the_rest() {
        assert_eq!(sample(&[3, 5, 8]), [3, 5, 8]);
        let known: Vec<usize> = (0..130_000).collect();
        let rows = sample(&known);
        assert_eq!(rows.len(), SAMPLE);
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]) && rows[0] == 0);
        assert_eq!(rows[SAMPLE / 2..], known[120_000..]);
        assert!(rows[..SAMPLE / 2].windows(2).all(|pair| pair[1] - pair[0] == 12));
    }
}
