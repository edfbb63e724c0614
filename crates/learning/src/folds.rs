//! Walk-forward splits: a model is only ever scored on rows that come after everything it was trained on.

use std::ops::Range;

/// The share of rows that the first fold trains on.
const FIRST_TRAINING_SHARE: f64 = 0.4;
/// Number of test blocks, one after another.
const BLOCKS: usize = 5;
/// Time left out between training and test, as a share of all time. López de Prado, 2018, chapter 7.4.2.
const EMBARGO_SHARE: f64 = 0.01;

/// One walk-forward step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Positions of the training rows: they come before the test block and were decided before it began.
    pub train: Vec<usize>,
    /// Positions of the rows to predict.
    pub test: Range<usize>,
}

/// Expanding walk-forward folds over rows in order of time. `times_ms[i]` is when the bar of row i opens,
/// `decided_ms[i]` the close of the candle that decides its label. A row whose label reaches into the test block, or
/// into the embargo before it, is purged. Rows of the same time stay in the same block. With `split_ms`, a block also
/// ends at that time.
pub fn walk_forward(times_ms: &[i64], decided_ms: &[i64], split_ms: Option<i64>) -> Vec<Fold> {
    let rows = times_ms.len();
    let Some(last) = rows.checked_sub(1) else { return Vec::new() };
    let first = (rows as f64 * FIRST_TRAINING_SHARE) as usize;
    let begin_of = |time: i64| times_ms.partition_point(|&other| other < time);
    let edge = |block: usize| begin_of(times_ms[(first + (rows - first) * block / BLOCKS).min(last)]);
    let mut edges: Vec<usize> = (0..BLOCKS).map(edge).collect();
    edges.extend(split_ms.map(begin_of).filter(|&split| split > edges[0] && split < rows));
    edges.push(rows);
    edges.sort_unstable();
    edges.dedup();
    edges
        .windows(2)
        .map(|pair| pair[0]..pair[1])
        .filter(|test| !test.is_empty())
        .map(|test| Fold { train: known_before(times_ms, decided_ms, test.start), test })
        .filter(|fold| !fold.train.is_empty())
        .collect()
}

/// The training rows for the test block that starts at row `test`: those whose labels were known one embargo before it.
fn known_before(times_ms: &[i64], decided_ms: &[i64], test: usize) -> Vec<usize> {
    (0..test).filter(|&row| is_known(times_ms, decided_ms, row, test)).collect()
}

/// Whether `row` may be learned from when `test` is predicted.
pub fn is_known(times_ms: &[i64], decided_ms: &[i64], row: usize, test: usize) -> bool {
    let span = times_ms.last().zip(times_ms.first()).map_or(0, |(last, first)| last - first);
    let embargo = (span as f64 * EMBARGO_SHARE) as i64;
    row < test && decided_ms[row] + embargo <= times_ms[test]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_training_label_reaches_into_its_test_block(
            lives in prop::collection::vec((1i64..30, 1usize..4), 0..300), split in prop::option::of(0i64..300)
        ) {
            // Several rows open at each time, one for each market.
            let row = |(time, (life, markets)): (usize, &(i64, usize))| vec![(time as i64, time as i64 + life); *markets];
            let rows: Vec<(i64, i64)> = lives.iter().enumerate().flat_map(row).collect();
            let (times, decided): (Vec<i64>, Vec<i64>) = rows.into_iter().unzip();
            let folds = walk_forward(&times, &decided, split);
            for fold in &folds {
                for &row in &fold.train {
                    prop_assert!(row < fold.test.start && decided[row] <= times[fold.test.start]);
                }
                prop_assert!(times[fold.test.start - 1] < times[fold.test.start], "a time is in two blocks");
            }
            for pair in folds.windows(2) {
                prop_assert_eq!(pair[0].test.end, pair[1].test.start);
            }
            if lives.len() >= 100 {
                prop_assert_eq!(folds.last().unwrap().test.end, times.len());
                prop_assert!((BLOCKS..=BLOCKS + 1).contains(&folds.len()));
                if let Some(split) = split.filter(|split| *split > times[folds[0].test.start]) {
                    prop_assert!(folds.iter().any(|fold| times[fold.test.start] >= split) == (split <= times[times.len() - 1]));
                    prop_assert!(!folds.iter().any(|fold| times[fold.test.start] < split && times[fold.test.end - 1] >= split));
                }
            }
        }
    }
}
