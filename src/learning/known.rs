//! What was known at a time, ready for forests: rows from candles, and what live signals had come to.

use super::dataset::{Dataset, MIN_LEAF, Targets};
use super::feedback::LiveRow;
use super::weights::average_uniqueness;
use crate::barrier::Direction;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::model::{Bins, Family, Forest, ForestParameters, Sample};

/// Levels of a tree at most.
const MAX_DEPTH: u16 = 6;

/// Rows to learn from; both directions share them.
pub(super) struct Known<'a> {
    data: &'a Dataset,
    positions: &'a [usize],
    live: &'a [LiveRow],
    /// The rows from candles, then those of live signals.
    bins: Bins,
}

impl<'a> Known<'a> {
    /// The rows at `positions`, weighed by what live signals had come to `until_ms`, and those signals themselves.
    pub fn new(data: &'a Dataset, positions: &'a [usize], until_ms: i64) -> Self {
        let live = data.feedback.until(until_ms);
        let from_candles = positions.iter().map(|&row| data.row(row));
        let rows: Vec<&[f64]> = from_candles.chain(live.iter().map(|row| &row.features[..])).collect();
        Self { data, positions, live, bins: Bins::new(&rows) }
    }

    /// A forest of one direction.
    pub fn fit(&self, targets: &Targets, trees: usize, seed: u64, cancel: &Cancel) -> Result<Forest> {
        let adjustment = self.data.feedback.adjustment(self.live, targets.direction);
        let happened: Vec<bool> = self.positions.iter().map(|&row| targets.happened[row] > 0.5).collect();
        let weigh = |(&row, &happened)| targets.weights[row] * adjustment.weight(self.data.row(row), happened);
        let mut weights: Vec<f64> = self.positions.iter().zip(&happened).map(weigh).collect();
        weights.extend(self.live_weights(targets.direction));
        let happened: Vec<bool> = happened.into_iter().chain(self.live.iter().map(|row| row.success)).collect();
        let parameters = ForestParameters {
            trees,
            max_depth: MAX_DEPTH,
            min_leaf: MIN_LEAF,
            tries: self.bins.features().isqrt(),
            share: 0.5,
        };
        // BUY and SELL draw different samples.
        let seed = seed.wrapping_mul(2).wrapping_add(u64::from(targets.direction == Direction::Sell));
        let offsets = vec![0.0; happened.len()];
        let sample = Sample { bins: &self.bins, happened: &happened, weights: &weights, offsets: &offsets };
        Forest::fit(&sample, parameters, seed, cancel)
    }

    /// What each live signal counts in a direction: as far as no other of it was under way at its time, nothing in the other.
    fn live_weights(&self, direction: Direction) -> Vec<f64> {
        let own: Vec<usize> = (0..self.live.len()).filter(|&i| self.live[i].direction == direction).collect();
        let bar = |time_ms: i64| time_ms.div_euclid(self.data.candle_ms);
        let span = |&i: &usize| {
            let LiveRow { given_ms, closed_ms, .. } = self.live[i];
            (bar(given_ms), bar(closed_ms.max(given_ms)) + 1)
        };
        let uniqueness = average_uniqueness(&own.iter().map(span).collect::<Vec<_>>());
        let mut weights = vec![0.0; self.live.len()];
        own.into_iter().zip(uniqueness).for_each(|(i, unique)| weights[i] = unique);
        weights
    }
}
