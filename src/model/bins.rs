//! Columns of numbers cut into bins, so that a tree finds its splits by counting instead of sorting.
//!
//! Source: Ke et al., *LightGBM: A Highly Efficient Gradient Boosting Decision Tree*, 2017, section 2.1.

/// Bins of a column at most; the number of one fits a byte.
pub const MAX_BINS: usize = 128;

/// Rows that the cuts are chosen by at most, spread evenly: quantiles of more would hardly be others.
const SAMPLE: usize = 20_000;

/// The rows that trees are grown from, each value as the number of its bin.
pub struct Bins {
    rows: usize,
    /// For each feature, ascending: bin `b` holds the values above `cuts[b - 1]`, up to and including `cuts[b]`.
    cuts: Vec<Vec<f64>>,
    /// The bins of all rows, feature by feature.
    codes: Vec<u8>,
}

impl Bins {
    /// Cuts each column where its rows are parted evenly. `rows` are of one length and finite.
    pub fn new(rows: &[&[f64]]) -> Self {
        let features = rows.first().map_or(0, |row| row.len());
        let every = rows.len().div_ceil(SAMPLE).max(1);
        let mut sample = Vec::with_capacity(rows.len().div_ceil(every));
        let mut cuts = Vec::with_capacity(features);
        let mut codes = Vec::with_capacity(features * rows.len());
        for feature in 0..features {
            sample.clear();
            sample.extend(rows.iter().step_by(every).map(|row| row[feature]));
            sample.sort_unstable_by(f64::total_cmp);
            let edges = cuts_of(&sample);
            codes.extend(rows.iter().map(|row| edges.partition_point(|cut| *cut < row[feature]) as u8));
            cuts.push(edges);
        }
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

    /// The upper edges of a feature's bins but the last.
    pub fn cuts(&self, feature: usize) -> &[f64] {
        &self.cuts[feature]
    }

    /// The bin of each row in a feature.
    pub fn codes(&self, feature: usize) -> &[u8] {
        &self.codes[feature * self.rows..][..self.rows]
    }
}

/// Cuts that part `sorted` evenly, where equal values stay together.
fn cuts_of(sorted: &[f64]) -> Vec<f64> {
    let mut cuts: Vec<f64> = Vec::with_capacity(MAX_BINS - 1);
    let mut last = 0;
    for bin in 1..MAX_BINS {
        let Some(&above) = sorted.get(bin * sorted.len() / MAX_BINS) else { break };
        let first = sorted.partition_point(|value| *value < above);
        if first > last {
            cuts.push(between(sorted[first - 1], above));
            last = first;
        }
    }
    cuts
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
        fn no_bin_holds_many_more_than_its_share(values in prop::collection::vec(-1e6..1e6f64, 300..3000)) {
            let rows: Vec<&[f64]> = values.iter().map(std::slice::from_ref).collect();
            let mut counts = [0; MAX_BINS];
            Bins::new(&rows).codes(0).iter().for_each(|code| counts[usize::from(*code)] += 1);
            prop_assert!(counts.iter().all(|count| *count <= values.len().div_ceil(MAX_BINS)));
        }
    }
}
