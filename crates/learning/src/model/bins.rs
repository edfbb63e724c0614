//! Columns of numbers cut into bins, so that a tree finds its splits by counting instead of sorting.
//!
//! Source: Ke et al., *LightGBM: A Highly Efficient Gradient Boosting Decision Tree*, 2017, section 2.1.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Largest number of bins per column; a bin number fits a byte.
pub(super) const MAX_BINS: usize = 128;

/// Rows that are binned at a time, so that their values stay in the cache while one feature after the other is
/// processed.
const BLOCK: usize = 128;

/// The training rows, with each value replaced by the number of its bin.
pub struct Bins {
    rows: usize,
    /// For each feature, ascending: bin `b` holds the values above `cuts[b - 1]`, up to and including `cuts[b]`.
    cuts: Vec<Vec<f64>>,
    /// The bins of all features, row by row; zeros follow the last row, see [`Self::padded_row`].
    codes: Vec<u8>,
}

/// The number of bytes that can be read from the begin of any row.
pub(super) const ROOM: usize = 48;

impl Bins {
    /// Places the cuts between the values of a sample of rows, which is accurate enough: which of two neighbouring cuts
    /// a tree uses is random anyway. `rows` have the same length and are finite.
    pub fn new(rows: &[&[f64]]) -> Self {
        let features = rows.first().map_or(0, |row| row.len());
        let sampled = sample_of(rows.len());
        let cut = |feature: usize| {
            let mut sample: Vec<f64> = sampled.iter().map(|&row| rows[row][feature]).collect();
            sample.sort_unstable_by(f64::total_cmp);
            sample.windows(2).filter(|w| w[0] < w[1]).map(|w| between(w[0], w[1])).collect()
        };
        let cuts: Vec<Vec<f64>> = (0..features).map(cut).collect();
        let edges: Vec<Edges> = cuts.iter().map(|cuts| Edges::of(cuts)).collect();
        let mut codes = vec![0; features * rows.len() + ROOM];
        let of_rows = &mut codes[..features * rows.len()];
        let blocks = of_rows.par_chunks_mut((BLOCK * features).max(1)).zip(rows.par_chunks(BLOCK));
        blocks.for_each(|(codes, rows)| {
            for (feature, edges) in edges.iter().enumerate() {
                let cells = codes.iter_mut().skip(feature).step_by(features);
                cells.zip(rows).for_each(|(code, row)| *code = edges.bin(row[feature]));
            }
        });
        Self { rows: rows.len(), cuts, codes }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.cuts.len()
    }

    /// The upper edges of a feature's bins, except the last.
    pub fn cuts(&self, feature: usize) -> &[f64] {
        &self.cuts[feature]
    }

    /// The bin of each feature in a row.
    pub fn row(&self, row: usize) -> &[u8] {
        &self.codes[row * self.cuts.len()..][..self.cuts.len()]
    }

    /// The bins of a row's first [`ROOM`] features; where the row has fewer, the bytes after it.
    pub(super) fn padded_row(&self, row: usize) -> [u8; ROOM] {
        let mut codes = [0; ROOM];
        codes.copy_from_slice(&self.codes[row * self.features()..][..ROOM]);
        codes
    }
}

/// The cuts of a feature, padded with infinity, so that every search takes the same number of steps and no branch is
/// mispredicted.
struct Edges([f64; MAX_BINS - 1]);

impl Edges {
    fn of(cuts: &[f64]) -> Self {
        let mut edges = [f64::INFINITY; MAX_BINS - 1];
        edges[..cuts.len()].copy_from_slice(cuts);
        Self(edges)
    }

    /// How many cuts lie below a finite value.
    fn bin(&self, value: f64) -> u8 {
        let (mut below, mut step) = (0, MAX_BINS / 2);
        while step > 0 {
            below += step * usize::from(self.0[below + step - 1] < value);
            step /= 2;
        }
        below as u8
    }
}

/// Indices of sample rows: one from each of [`MAX_BINS`] stretches of equal length, or all rows when there are fewer.
/// The position within a stretch is drawn with a fixed seed: at equal distances, one hour of the day might be
/// over-represented.
fn sample_of(rows: usize) -> Vec<usize> {
    let stretches = rows.min(MAX_BINS);
    let edge = |stretch: usize| stretch * rows / stretches;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    (0..stretches).map(|stretch| rng.random_range(edge(stretch)..edge(stretch + 1))).collect()
}

/// The midpoint, or `below` itself where rounding would reach `above`, so that `below` lies inside the bin and `above`
/// outside.
fn between(below: f64, above: f64) -> f64 {
    let middle = below + (above - below) / 2.0;
    if middle < above { middle } else { below }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn codes(bins: &Bins, feature: usize) -> Vec<u8> {
        (0..bins.rows()).map(|row| bins.row(row)[feature]).collect()
    }

    #[test]
    fn few_values_have_a_bin_each() {
        let rows: Vec<Vec<f64>> = [3.0, 1.0, 2.0, 1.0, 3.0].map(|x| vec![x]).into();
        let bins = Bins::new(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!(bins.cuts(0), [1.5, 2.5]);
        assert_eq!(codes(&bins, 0), [2, 0, 1, 0, 2]);
        assert_eq!((bins.rows(), bins.features()), (5, 1));
    }

    proptest! {
        #[test]
        fn bins_compare_as_their_values_do(
            rows in prop::collection::vec(
                prop::array::uniform3(
                    prop_oneof![-1e6..1e6f64, Just(0.0), Just(7.0), (0u8..5).prop_map(f64::from), Just(f64::MAX), Just(f64::MIN)]
                ),
                1..700
            )
        ) {
            let bins = Bins::new(&rows.iter().map(|row| &row[..]).collect::<Vec<_>>());
            for feature in 0..3 {
                let cuts = bins.cuts(feature);
                prop_assert!(cuts.len() < MAX_BINS && cuts.windows(2).all(|pair| pair[0] < pair[1]));
                for (row, code) in rows.iter().zip(codes(&bins, feature)) {
                    prop_assert_eq!(cuts.iter().filter(|cut| **cut < row[feature]).count(), usize::from(code));
                }
            }
        }

        #[test]
        fn no_bin_is_empty_or_holds_much(values in prop::collection::vec(-1e6..1e6f64, 300..3000)) {
            let rows: Vec<&[f64]> = values.iter().map(std::slice::from_ref).collect();
            let mut counts = [0; MAX_BINS];
            codes(&Bins::new(&rows), 0).into_iter().for_each(|code| counts[usize::from(code)] += 1);
            // Each bin holds a row of the sample; a stretch without one is 20 times as long as on average once in 10^7.
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
