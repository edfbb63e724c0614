//! Model capacity by number of rows.
//!
//! With few rows, deep trees overfit; with many, shallow trees underfit. So each parameter is interpolated, in the
//! logarithm of the number of rows, between a value tuned on 90 days of one market and a value tuned on years of
//! several markets.
//!
//! The interpolation was checked on hourly candles of up to six coins before 2023, walk-forward, two seeds each. The
//! table shows log loss × 10⁻³ below the constant, as served; each column is the mean of five and three periods with
//! this many rows, of which models are fitted to 40 to 88 %:
//!
//! | size | 45 000 | 125 000 |
//! | --- | --- | --- |
//! | interpolated in the logarithm | −0.47 | −2.00 |
//! | depth 6, 6 tries, 12 rounds of 6 leaves: the smallest | −0.31 | −1.50 |
//! | depth 8, 9 tries, 25 rounds of 16 leaves | −0.34 | −1.79 |
//! | depth 10, 11 tries, 40 rounds of 32 leaves | −0.40 | −2.07 |
//! | depth 10, leaves of 50 rows, 11 tries, 25 rounds of 64 leaves | −0.40 | −2.02 |
//! | depth 12, 14 tries, 50 rounds of 64 leaves: the largest | −0.44 | −2.20 |
//!
//! With fewer rows nothing is better than interpolating. With more rows the largest size is, but nearly all of its lead
//! comes from one of the three periods, and before shrinkage its departures have a larger error than those of any other
//! size (Brier score, by a tenth). So interpolation is kept.

use super::BoostingParameters;
use crate::model::forest::ForestParameters;

/// Up to the first number of rows a model has the smallest size, from the second on the largest.
const ROWS: [f64; 2] = [10_000.0, 200_000.0];

/// Interpolates a parameter between its values for few and for many rows.
fn between([few, many]: [f64; 2], rows: usize) -> f64 {
    let [from, until] = ROWS;
    let way = ((rows as f64 / from).ln() / (until / from).ln()).clamp(0.0, 1.0);
    few + way * (many - few)
}

/// Forest parameters for `rows` rows. Half a sample does as well as a whole one (Bühlmann and Yu, *Analyzing Bagging*,
/// 2002, for samples without replacement), and of many rows a smaller share does.
pub fn of_forest(rows: usize, trees: usize) -> ForestParameters {
    let size = |sizes| between(sizes, rows).round() as usize;
    ForestParameters {
        trees,
        max_depth: size([6.0, 12.0]) as u16,
        min_leaf: size([25.0, 20.0]),
        tries: size([6.0, 14.0]),
        share: between([0.5, 0.3], rows),
    }
}

/// Boosting parameters for `rows` rows.
pub fn of_boosting(rows: usize) -> BoostingParameters {
    let size = |sizes| between(sizes, rows).round() as usize;
    BoostingParameters {
        rounds: size([12.0, 50.0]),
        max_leaves: size([6.0, 64.0]),
        min_leaf: (rows / 1500).max(50),
        shrinkage: (rows as f64 / 100.0).max(100.0),
        rate: 0.03,
        row_share: 0.3,
        feature_share: 0.2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_grows_with_its_rows_between_two_sizes() {
        let forest = |rows| {
            let ForestParameters { trees, max_depth, min_leaf, tries, .. } = of_forest(rows, 100);
            (trees, max_depth, min_leaf, tries)
        };
        assert_eq!([0, 2_000, 10_000].map(forest), [(100, 6, 25, 6); 3]);
        // The logarithmic midpoint.
        assert_eq!(forest(44_721), (100, 9, 23, 10));
        assert_eq!([200_000, 3_000_000].map(forest), [(100, 12, 20, 14); 2]);
        assert_eq!([10_000, 200_000].map(|rows| of_forest(rows, 100).share), [0.5, 0.3]);
        let leaves = [5_000, 44_721, 900_000].map(|rows| of_boosting(rows).max_leaves);
        assert_eq!(leaves, [6, 35, 64]);
    }
}
