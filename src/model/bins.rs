//! Columns of numbers cut into bins, so that a tree finds its splits by counting instead of sorting.
//!
//! Source: Ke et al., *LightGBM: A Highly Efficient Gradient Boosting Decision Tree*, 2017, section 2.1.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Bins of a column at most; the number of one fits a byte.
pub(super) const MAX_BINS: usize = 128;

/// The rows that trees are grown from, each value as the number of its bin.
pub struct Bins {
    rows: usize,
    /// For each feature, ascending: bin `b` holds the values above `cuts[b - 1]`, up to and including `cuts[b]`.
    cuts: Vec<Vec<f64>>,
    /// The bins of all rows, feature by feature.
    codes: Vec<u8>,
    /// The same row by row.
    by_row: Vec<u8>,
}

/// The bins of a feature, each so many bytes after that of the row before.
#[derive(Clone, Copy)]
pub(super) struct Lane<'a> {
    codes: &'a [u8],
    stride: usize,
}

impl Lane<'_> {
    /// The bin of a row.
    pub fn at(&self, row: u32) -> u8 {
        self.codes[row as usize * self.stride]
    }
}

/// Where only one in so many rows is read, the bins that are near each other are better those of a row than of a feature: it is
/// memory that is waited for.
const SPARSE: usize = 8;

impl Bins {
    /// Cuts each column between the values of some rows, which is even enough: which of neighbouring cuts a tree draws is chance
    /// anyway. `rows` are of one length and finite.
    pub fn new(rows: &[&[f64]]) -> Self {
        let features = rows.first().map_or(0, |row| row.len());
        let sampled = sample_of(rows.len());
        let mut sample = Vec::with_capacity(sampled.len());
        let mut cuts = Vec::with_capacity(features);
        let mut codes = Vec::with_capacity(features * rows.len());
        for feature in 0..features {
            sample.clear();
            sample.extend(sampled.iter().map(|&row| rows[row][feature]));
            sample.sort_unstable_by(f64::total_cmp);
            let edges: Vec<f64> = sample.windows(2).filter(|w| w[0] < w[1]).map(|w| between(w[0], w[1])).collect();
            codes.extend(rows.iter().map(|row| edges.partition_point(|cut| *cut < row[feature]) as u8));
            cuts.push(edges);
        }
        let mut by_row = vec![0; codes.len()];
        for (feature, column) in codes.chunks_exact(rows.len().max(1)).enumerate() {
            by_row.iter_mut().skip(feature).step_by(features).zip(column).for_each(|(cell, code)| *cell = *code);
        }
        Self { rows: rows.len(), cuts, codes, by_row }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.cuts.len()
    }

    /// The upper edges of a feature's bins but the last.
    pub fn cuts(&self, feature: usize) -> &[f64] {
        &self.cuts[feature]
    }

    /// The bin of each row in a feature.
    pub fn codes(&self, feature: usize) -> &[u8] {
        &self.codes[feature * self.rows..][..self.rows]
    }

    /// The bin of each feature in a row.
    pub fn row(&self, row: usize) -> &[u8] {
        &self.by_row[row * self.cuts.len()..][..self.cuts.len()]
    }

    /// The bins of a feature, laid out as `count` rows of it are read fastest.
    pub(super) fn lane(&self, feature: usize, count: usize) -> Lane<'_> {
        if count < self.rows / SPARSE {
            Lane { codes: &self.by_row[feature..], stride: self.cuts.len() }
        } else {
            Lane { codes: self.codes(feature), stride: 1 }
        }
    }
}

/// One row of each of [`MAX_BINS`] stretches of equal length; all when they are fewer. Where in its stretch it lies is drawn, the
/// same each time: at equal distances, one hour of the day might come up more often than another.
fn sample_of(rows: usize) -> Vec<usize> {
    let stretches = rows.min(MAX_BINS);
    let edge = |stretch: usize| stretch * rows / stretches;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    (0..stretches).map(|stretch| rng.random_range(edge(stretch)..edge(stretch + 1))).collect()
}

/// The middle, or `below` itself where rounding would reach `above`: `below` lies within the cut, `above` does not.
fn between(below: f64, above: f64) -> f64 {
    let middle = below + (above - below) / 2.0;
    if middle < above { middle } else { below }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_values_have_a_bin_each() {
        let rows: Vec<Vec<f64>> = [3.0, 1.0, 2.0, 1.0, 3.0].map(|x| vec![x]).into();
        let bins = Bins::new(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!(bins.cuts(0), [1.5, 2.5]);
        assert_eq!(bins.codes(0), [2, 0, 1, 0, 2]);
        assert_eq!((bins.rows(), bins.features()), (5, 1));
    }

    proptest! {
        #[test]
        fn a_cut_parts_codes_as_it_parts_values(
            values in prop::collection::vec(prop_oneof![-1e6..1e6f64, Just(0.0), Just(7.0), (0u8..5).prop_map(f64::from)], 1..700)
        ) {
            let rows: Vec<&[f64]> = values.iter().map(std::slice::from_ref).collect();
            let bins = Bins::new(&rows);
            prop_assert!(bins.cuts(0).len() < MAX_BINS && bins.cuts(0).windows(2).all(|pair| pair[0] < pair[1]));
            for (bin, cut) in bins.cuts(0).iter().enumerate() {
                for (value, code) in values.iter().zip(bins.codes(0)) {
                    prop_assert_eq!(value <= cut, usize::from(*code) <= bin);
                }
            }
        }

        #[test]
        fn all_ways_to_read_a_bin_agree(rows in prop::collection::vec(prop::array::uniform3(-9i8..9), 1..60)) {
            let rows: Vec<[f64; 3]> = rows.iter().map(|row| row.map(f64::from)).collect();
            let bins = Bins::new(&rows.iter().map(|row| &row[..]).collect::<Vec<_>>());
            for row in 0..rows.len() {
                let of_row: Vec<u8> = (0..3).map(|feature| bins.codes(feature)[row]).collect();
                prop_assert_eq!(bins.row(row), &of_row[..]);
                for count in [0, rows.len()] {
                    let lanes: Vec<u8> = (0..3).map(|feature| bins.lane(feature, count).at(row as u32)).collect();
                    prop_assert_eq!(&lanes, &of_row);
                }
            }
        }

        #[test]
        fn no_bin_is_empty_or_holds_much(values in prop::collection::vec(-1e6..1e6f64, 300..3000)) {
            let rows: Vec<&[f64]> = values.iter().map(std::slice::from_ref).collect();
            let mut counts = [0; MAX_BINS];
            Bins::new(&rows).codes(0).iter().for_each(|code| counts[usize::from(*code)] += 1);
            // Each holds a row of the sample; a stretch without one is 20 times as long as on average once in 10^7.
            prop_assert!(counts.iter().all(|count| (1..=20 * values.len().div_ceil(MAX_BINS)).contains(count)));
        }

        #[test]
        fn a_sample_is_spread_evenly_and_over_all_hours(rows in 1usize..100_000) {
            let sample = sample_of(rows);
            prop_assert_eq!(sample.len(), rows.min(MAX_BINS));
            for (stretch, row) in sample.iter().enumerate() {
                let edge = |stretch: usize| stretch * rows / sample.len();
                prop_assert!((edge(stretch)..edge(stretch + 1)).contains(row));
            }
            let hours: std::collections::HashSet<usize> = sample.iter().map(|row| row % 24).collect();
            prop_assert!(hours.len() >= rows.min(18), "{} hours", hours.len());
        }
    }
}
