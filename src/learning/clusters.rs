//! Rows depend on each other: labels of neighbouring bars overlap, and markets move together. All that judges counts the rows of
//! one stretch of time, over all symbols, as one cluster.

use crate::model::{Interval, MIN_CLUSTERS};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const WEEK_MS: i64 = 7 * 86_400_000;
/// A cluster is at least so many lives of a label long: what overlaps mostly lies within one.
const LIVES: (i64, i64) = (2, 4);
/// Clusters that a short history is cut into, where labels are short enough.
const WANTED: i64 = 16;
/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;
/// Share of resamples outside the interval, at either end.
const TAIL: f64 = 0.025;

/// How long a cluster is: a week, or four lives of a label where that is longer. A history too short for sixteen of those has
/// shorter ones, of two lives at least.
pub fn cluster_ms(span_ms: i64, life_ms: i64) -> i64 {
    (span_ms / WANTED).clamp(LIVES.0 * life_ms, WEEK_MS.max(LIVES.1 * life_ms)).max(1)
}

/// A value with its weight, at a time.
#[derive(Debug, Clone, Copy)]
pub struct Weighed {
    /// UTC epoch ms.
    pub time_ms: i64,
    /// Weight · value.
    pub value: f64,
    /// Weight.
    pub weight: f64,
}

/// Σ value / Σ weight with the interval that holds 95 % of a bootstrap over clusters, and how many clusters there are. `None` for
/// the interval below [`MIN_CLUSTERS`]. The same rows and seed, the same interval.
///
/// Source: Cameron, Gelbach and Miller, *Bootstrap-based improvements for inference with clustered errors*, 2008.
pub fn interval(rows: impl IntoIterator<Item = Weighed>, cluster_ms: i64, seed: u64) -> (Option<Interval>, usize) {
    let mut sums: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row.time_ms.div_euclid(cluster_ms)).or_default();
        *sum = (sum.0 + row.value, sum.1 + row.weight);
    }
    let sums: Vec<(f64, f64)> = sums.into_values().collect();
    if sums.len() < MIN_CLUSTERS {
        return (None, sums.len());
    }
    let ratio = |drawn: &mut dyn Iterator<Item = (f64, f64)>| {
        let (value, weight) = drawn.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if weight > 0.0 { value / weight } else { 0.0 }
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> =
        (0..RESAMPLES).map(|_| ratio(&mut (0..sums.len()).map(|_| sums[random.random_range(0..sums.len())]))).collect();
    means.sort_unstable_by(f64::total_cmp);
    let outside = (TAIL * RESAMPLES as f64) as usize;
    let mean = ratio(&mut sums.iter().copied());
    (Some(Interval { low: means[outside], mean, high: means[RESAMPLES - 1 - outside] }), sums.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn rows(values: &[f64], step_ms: i64) -> Vec<Weighed> {
        let row = |(i, &value)| Weighed { time_ms: i as i64 * step_ms, value, weight: 1.0 };
        values.iter().enumerate().map(row).collect()
    }

    #[test]
    fn a_cluster_is_a_week_where_there_are_years_and_longer_than_what_overlaps() {
        let year = 365 * 24 * HOUR;
        assert_eq!(cluster_ms(5 * year, 24 * HOUR), WEEK_MS);
        assert_eq!(cluster_ms(5 * year, 96 * HOUR), 4 * 96 * HOUR);
        assert_eq!(cluster_ms(54 * 24 * HOUR, 24 * HOUR), 81 * HOUR);
        assert_eq!(cluster_ms(20 * 24 * HOUR, 24 * HOUR), 48 * HOUR);
        assert_eq!(cluster_ms(0, 0), 1);
    }

    #[test]
    fn what_neighbours_share_counts_once() {
        // Runs of ten equal rows.
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let runs: Vec<f64> = (0..60).map(|_| random.random_range(-1.0..1.0)).collect();
        let values: Vec<f64> = runs.iter().flat_map(|&value| [value; 10]).collect();
        let of = |length| interval(rows(&values, HOUR), length * HOUR, 42);
        let ((single, 600), (whole, 60)) = (of(1), of(10)) else { panic!("other numbers of clusters") };
        let (single, whole) = (single.unwrap(), whole.unwrap());
        let mean = runs.iter().sum::<f64>() / 60.0;
        assert!((whole.mean - mean).abs() < 1e-12 && whole.low < mean && mean < whole.high);
        // √10 in theory.
        let ratio = (whole.high - whole.low) / (single.high - single.low);
        assert!((2.6..3.8).contains(&ratio), "{ratio}");
        // Standard error of the mean of 60 uniform values: 1 / √(3 · 60); the interval is 3.92 of them.
        assert!(((whole.high - whole.low) - 3.92 / 180f64.sqrt()).abs() < 0.08, "{whole:?}");
        assert_eq!(of(10), (Some(whole), 60), "the same seed, the same interval");
    }

    #[test]
    fn few_clusters_have_no_interval_and_no_difference_is_none() {
        assert_eq!(interval(rows(&[0.1; 70], HOUR), 10 * HOUR, 7), (None, 7));
        let same = Interval { low: 0.0, mean: 0.0, high: 0.0 };
        assert_eq!(interval(rows(&[0.0; 300], HOUR), 24 * HOUR, 7), (Some(same), 13));
    }
}
