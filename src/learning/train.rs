//! Training the model of one market from nothing, and scoring it on rows it has not seen.

use super::dataset::{Dataset, lost};
use super::feedback::Feedback;
use super::folds::{is_known, walk_forward};
use super::known::Known;
use super::shrinkage::believe;
use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::Result;
use crate::market::Candle;
use crate::model::{Evidence, Held, HeldOut, Lineage, Mode, Model, Side, shrink};
use crate::symbol::Market;

/// How far the training of one market has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
}

/// A newly trained model, and what is needed to compare it with the one in service.
pub struct Candidate {
    /// The model.
    pub model: Model,
    /// How it was trained.
    pub mode: Mode,
    pub(super) data: Dataset,
    /// Rows, ascending, and what was said of them by forests of rows decided before.
    pub(super) scored: Vec<(usize, HeldOut)>,
}

/// Trains the model of `market` on its candles (checked, oldest first) and on what became of its live signals. `now_ms` becomes its training time; `progress`
/// is told after each fit.
///
/// # Errors
/// [`crate::error::Error::NoData`] with the counts when there are too few candles or labelled rows;
/// [`crate::error::Error::Cancelled`].
pub fn train_market(
    market: &Market,
    candles: &[Candle],
    feedback: &Feedback,
    config: &Config,
    now_ms: i64,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Candidate> {
    train(Dataset::new(market, candles, config)?.with_feedback(feedback), market, config, now_ms, cancel, progress)
}

/// [`train_market`] on rows that are there already.
pub(super) fn train(
    data: Dataset,
    market: &Market,
    config: &Config,
    now_ms: i64,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Candidate> {
    let folds = walk_forward(&data.bars, &data.ends);
    let total = 2 * (folds.len() + 1);
    let mut done = 0;
    let mut advance = || {
        done += 1;
        progress(Step { done, total });
    };

    // Walk forward: each block is predicted by a forest of earlier rows, believed as far as earlier blocks justify.
    // Half the trees do for that: a smaller forest is a little noisier, so that the figures err on the modest side.
    let mut raw: [Vec<(usize, Held)>; 2] = Default::default();
    let mut scored = Vec::new();
    for (block, fold) in folds.iter().enumerate() {
        let mut served: [Vec<Held>; 2] = Default::default();
        let known = Known::new(&data, &fold.train, data.times_ms[fold.test.start]);
        for (side, targets) in data.sides.iter().enumerate() {
            let start = fold.test.start;
            let decided = raw[side].iter().filter(|(row, _)| is_known(&data.bars, &data.ends, *row, start));
            let belief = believe(&Evidence::of(decided.map(|(_, held)| held)));
            let forest = known.fit(targets, config.trees.div_ceil(2), config.seed, cancel)?;
            let constant = targets.base_rate(&fold.train);
            let asked: Vec<&[f64]> = fold.test.clone().map(|row| data.row(row)).collect();
            let stated = forest.predict_all(&asked).ok_or_else(lost)?;
            for (row, probability) in fold.test.clone().zip(stated) {
                raw[side].push((row, targets.held(row, probability, constant)));
                served[side].push(targets.held(row, shrink(probability, constant, belief), constant));
            }
            advance();
        }
        // The first block only teaches how far to believe; nothing could have been believed in it.
        if block > 0 {
            let [buy, sell] = &served;
            let payoffs = data.sides.each_ref().map(|side| data.payoff(side, &fold.train, &config.signal));
            let rows = fold.test.clone().zip(buy).zip(sell);
            scored.extend(rows.map(|((row, &buy), &sell)| (row, data.held_out(row, buy, sell, payoffs, config))));
        }
    }

    let everything: Vec<usize> = (0..data.len()).collect();
    let known = Known::new(&data, &everything, data.horizon_ms);
    let evidence = raw.map(|rows| Evidence::of(rows.iter().map(|(_, held)| held)));
    let mut fit = |side: usize| -> Result<Side> {
        let targets = &data.sides[side];
        let forest = known.fit(targets, config.trees, config.seed, cancel)?;
        advance();
        let payoff = data.payoff(targets, &everything, &config.signal);
        Ok(Side { forest, base_rate: targets.base_rate(&everything), belief: believe(&evidence[side]), payoff })
    };
    let sides = [fit(0)?, fit(1)?];
    let held_out: Vec<HeldOut> = scored.iter().map(|(_, held)| *held).collect();
    let mut lineage = Lineage { evidence, ..Lineage::default() };
    lineage.hold(held_out.iter().copied());
    let model = data.model(market, sides, &held_out, lineage, config, now_ms);
    Ok(Candidate { model, mode: Mode::Full, data, scored })
}
