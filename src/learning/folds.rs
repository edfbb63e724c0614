//! Splits by time: a model is only ever scored on rows that come after everything it was trained on.

use std::ops::Range;

/// The share of rows that the first fold trains on.
const FIRST_TRAINING_SHARE: f64 = 0.4;
/// Blocks that are predicted, one after another.
const BLOCKS: usize = 5;
/// Rows left out between training and test, as a share of all rows. López de Prado, 2018, chapter 7.4.2.
const EMBARGO_SHARE: f64 = 0.01;

/// One step of walking forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Positions of the rows to train on: before the test block, decided before it began.
    pub train: Vec<usize>,
    /// Positions of the rows to predict.
    pub test: Range<usize>,
}

/// Expanding walk-forward folds over rows in order of time. `bars[i]` is the bar of row i, `ends[i]` the bar at which its
/// label is decided: a row whose label reaches into the test block, or into the embargo before it, is purged.
pub fn walk_forward(bars: &[usize], ends: &[usize]) -> Vec<Fold> {
    let rows = bars.len();
    let first = (rows as f64 * FIRST_TRAINING_SHARE) as usize;
    let edge = |block: usize| first + (rows - first) * block / BLOCKS;
    (0..BLOCKS)
        .map(|block| edge(block)..edge(block + 1))
        .filter(|test| !test.is_empty())
        .map(|test| Fold { train: known_before(bars, ends, test.start), test })
        .filter(|fold| !fold.train.is_empty())
        .collect()
}

/// The rows that may be learned from when the rows from `test` on are to be predicted: those whose label was decided an
/// embargo before.
pub fn known_before(bars: &[usize], ends: &[usize], test: usize) -> Vec<usize> {
    (0..test).filter(|&row| is_known(bars, ends, row, test)).collect()
}

/// Whether `row` is one of [`known_before`] `test`.
pub fn is_known(bars: &[usize], ends: &[usize], row: usize, test: usize) -> bool {
    let embargo = (bars.len() as f64 * EMBARGO_SHARE).ceil() as usize;
    row < test && ends[row] + embargo < bars[test]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_label_reaches_into_what_it_is_tested_on(lives in prop::collection::vec(1usize..30, 0..400)) {
            let bars: Vec<usize> = (100..100 + lives.len()).collect();
            let ends: Vec<usize> = bars.iter().zip(&lives).map(|(bar, life)| bar + life).collect();
            let folds = walk_forward(&bars, &ends);
            for fold in &folds {
                for &row in &fold.train {
                    prop_assert!(row < fold.test.start && ends[row] < bars[fold.test.start]);
                }
            }
            for pair in folds.windows(2) {
                prop_assert_eq!(pair[0].test.end, pair[1].test.start);
            }
            if lives.len() >= 100 {
                prop_assert_eq!(folds.last().unwrap().test.end, lives.len());
                prop_assert_eq!(folds.len(), BLOCKS);
            }
        }
    }
}
