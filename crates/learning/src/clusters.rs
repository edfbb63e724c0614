//! Rows depend on each other: labels of neighbouring bars overlap, and markets move together. So every judgement treats
//! the rows of one stretch of time, over all symbols, as one cluster. The same holds for live results: signals that are
//! open at the same time tend to end the same way, and a hundred of them may carry the information of five independent
//! ones.

use super::weights::average_uniqueness;
use crate::model::{Interval, MIN_CLUSTERS};
pub use domain::proportions::Z_95;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const WEEK_MS: i64 = 7 * 86_400_000;
/// A cluster is at least this many label lifetimes long, so that most overlaps lie within one cluster.
const LIVES: (i64, i64) = (2, 4);
/// The number of clusters a short history is cut into, where lifetimes are short enough.
const WANTED: i64 = 16;
/// The quantile of signal lifetimes that sets the length of a cluster.
const LONG_LIFE: f64 = 0.95;
/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;
/// Share of resamples outside the interval, at each end.
const TAIL: f64 = 0.025;
/// How much more strongly overlapping signals depend on each other than their average number at a time suggests:
/// lifetimes differ, and long ones overlap more. Simulations of price walks between two levels gave 1.2 to 2.2
/// (`judgements.rs`).
const OVERLAP: f64 = 1.5;
/// The assumed correlation of signals of two symbols that are open together, until it has been measured.
const SUPPOSED: f64 = 0.6;
/// How many clusters of data the assumption above is worth.
const SUPPOSED_CLUSTERS: f64 = MIN_CLUSTERS as f64;
/// The standard normal quantile of a one-sided level of 5 %.
pub const Z_ONE_SIDED: f64 = 1.644_853_626_951_472_7;

/// The length of a cluster: a week, or four label lifetimes where that is longer. A history too short for sixteen such
/// clusters gets shorter ones, of at least two lifetimes.
pub fn cluster_ms(span_ms: i64, life_ms: i64) -> i64 {
    (span_ms / WANTED).clamp(LIVES.0 * life_ms, WEEK_MS.max(LIVES.1 * life_ms)).max(1)
}

/// The length of a cluster of signals, by the times, UTC epoch ms, at which they were given and closed. Lifetimes beyond
/// the quantile [`LONG_LIFE`] are ignored.
pub fn cluster_ms_of(spans: impl Iterator<Item = (i64, i64)> + Clone) -> i64 {
    let mut lives: Vec<i64> = spans.clone().map(|(given, closed)| (closed - given).max(0)).collect();
    lives.sort_unstable();
    let place = (LONG_LIFE * lives.len() as f64).ceil() as usize;
    let life_ms = lives.get(place.saturating_sub(1)).copied().unwrap_or_default();
    let times = || spans.clone().map(|(given, _)| given);
    cluster_ms(times().max().unwrap_or_default() - times().min().unwrap_or_default(), life_ms)
}

/// A value with its weight, at a time.
#[derive(Debug, Clone, Copy)]
pub struct Weighed {
    /// UTC epoch ms.
    pub time_ms: i64,
    /// Weight × value.
    pub value: f64,
    /// Weight.
    pub weight: f64,
}

/// The weighted mean Σ value / Σ weight with its 95 % interval from a bootstrap over clusters, and the number of
/// clusters. The interval is `None` below [`MIN_CLUSTERS`]. The same rows and seed give the same interval.
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

/// The lifetime of a signal: the time in which it was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// A number for its symbol. Two signals of one symbol depend on the same price, whatever their timeframes.
    pub symbol: usize,
    /// When it was given, UTC epoch ms.
    pub given_ms: i64,
    /// When it closed, UTC epoch ms.
    pub closed_ms: i64,
}

impl Lifetime {
    /// How long the signal was open; 0 when its closing time is not after the time it was given.
    pub fn length_ms(&self) -> i64 {
        (self.closed_ms - self.given_ms).max(0)
    }
}

/// The expected lifetime of the signals that are open at a random moment: `Σ length² / Σ length`. It is longer than the
/// mean lifetime, because a random moment more often falls into a long one, and long lifetimes are what connects
/// clusters.
pub fn typical_life_ms(lifetimes: &[Lifetime]) -> i64 {
    let lengths = || lifetimes.iter().map(|lifetime| lifetime.length_ms() as f64);
    let sum: f64 = lengths().sum();
    if sum > 0.0 { (lengths().map(|length| length * length).sum::<f64>() / sum) as i64 } else { 0 }
}

/// The cluster of each signal by the time it was given; numbered in order of time, without gaps.
pub fn clusters(lifetimes: &[Lifetime], cluster_ms: i64) -> Vec<usize> {
    let first = lifetimes.iter().map(|lifetime| lifetime.given_ms).min().unwrap_or_default();
    let stretches: Vec<i64> =
        lifetimes.iter().map(|lifetime| (lifetime.given_ms - first) / cluster_ms.max(1)).collect();
    let mut known = stretches.clone();
    known.sort_unstable();
    known.dedup();
    stretches.iter().map(|stretch| known.partition_point(|other| other < stretch)).collect()
}

/// How strongly outcomes depend on each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dependence {
    /// The variance of their mean divided by that of as many independent outcomes; 1 where no two signals were open
    /// together.
    pub design_effect: f64,
    /// Number of time clusters they fall into.
    pub clusters: usize,
}

impl Dependence {
    /// The effective sample size: how many independent outcomes carry as much information.
    pub fn effective(&self, outcomes: usize) -> f64 {
        outcomes as f64 / self.design_effect
    }
}

/// Estimates how strongly outcomes depend on each other, from the times their signals were open and from how they
/// ended. `residuals` are the judged values (success as 0 or 1, or profit) minus their mean.
///
/// The measured design effect is `G / (G − 1) · Σ (sum of a cluster)² / Σ residual²` (Kish, *Survey Sampling*, 1965,
/// chapter 5.4; clusters of time over all symbols as in Liang and Zeger, 1986). Few clusters measure it badly, so a
/// prior is added that counts as [`SUPPOSED_CLUSTERS`] more clusters. The prior follows from how many signals are open
/// at a time on average ([`average_uniqueness`]): in full within a symbol, where it is also the lower bound, and in
/// part between symbols ([`SUPPOSED`]). The remaining uncertainty is paid for by Student's t distribution.
///
/// The learner of outcomes has a design effect of its own (`outcomes/design.rs`): it needs the most likely effect on
/// the score of each parameter. A judge guarantees an error rate, so this estimate is conservative: never below what
/// the overlaps alone imply, and higher where few clusters measure it.
pub fn dependence(lifetimes: &[Lifetime], residuals: &[f64]) -> Dependence {
    let count = lifetimes.len() as f64;
    let at_a_time = |lifetimes: &[Lifetime]| count / uniqueness(lifetimes).iter().sum::<f64>();
    let overlap = |at_a_time: f64| 1.0 + OVERLAP * (at_a_time - 1.0);
    let alone = overlap(at_a_time(lifetimes));
    let together = if lifetimes.windows(2).all(|pair| pair[0].symbol == pair[1].symbol) {
        alone
    } else {
        let one_symbol: Vec<Lifetime> = lifetimes.iter().map(|lifetime| Lifetime { symbol: 0, ..*lifetime }).collect();
        overlap(at_a_time(&one_symbol))
    };
    if lifetimes.is_empty() || together < 1.0 + 1e-9 {
        return Dependence { design_effect: 1.0, clusters: lifetimes.len() };
    }
    let times = || lifetimes.iter().map(|lifetime| lifetime.given_ms);
    let span_ms = times().max().unwrap_or_default() - times().min().unwrap_or_default();
    let numbers = clusters(lifetimes, cluster_ms(span_ms, typical_life_ms(lifetimes)));
    let mut sums = vec![0.0; numbers.iter().max().map_or(0, |last| last + 1)];
    numbers.iter().zip(residuals).for_each(|(&at, residual)| sums[at] += residual);
    let supposed = alone + SUPPOSED * (together - alone);
    let groups = sums.len() as f64;
    let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
    // Identical outcomes say nothing about how much they vary.
    let shrunk = if sums.len() > 1 && squares > 1e-9 {
        let measured = groups / (groups - 1.0) * sums.iter().map(|sum| sum * sum).sum::<f64>() / squares;
        (groups * measured + SUPPOSED_CLUSTERS * supposed) / (groups + SUPPOSED_CLUSTERS)
    } else {
        supposed
    };
    let unknown = (student(Z_95, groups - 1.0 + SUPPOSED_CLUSTERS) / Z_95).powi(2);
    Dependence { design_effect: (shrunk.max(alone) * unknown).min(count.max(1.0)), clusters: sums.len() }
}

/// The average uniqueness of each signal among those of its symbol, 0–1: 1 where no other was open meanwhile.
pub fn uniqueness(lifetimes: &[Lifetime]) -> Vec<f64> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, lifetime) in lifetimes.iter().enumerate().filter(|(_, lifetime)| lifetime.length_ms() > 0) {
        members.entry(lifetime.symbol).or_default().push(at);
    }
    let mut unique = vec![1.0; lifetimes.len()];
    for members in members.into_values() {
        let own: Vec<(i64, i64)> =
            members.iter().map(|&at| (lifetimes[at].given_ms, lifetimes[at].closed_ms)).collect();
        members.into_iter().zip(average_uniqueness(&own)).for_each(|(at, share)| unique[at] = share);
    }
    unique
}

/// The quantile of Student's t distribution with `freedom` degrees of freedom, at the level of the standard normal
/// quantile `z`; accurate to 0.01 from 4 degrees of freedom on.
///
/// Source: Abramowitz & Stegun, *Handbook of Mathematical Functions*, 26.7.5.
pub fn student(z: f64, freedom: f64) -> f64 {
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * freedom)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * freedom.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * freedom.powi(3))
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
    fn a_cluster_is_a_week_or_longer_than_overlaps() {
        let year = 365 * 24 * HOUR;
        assert_eq!(cluster_ms(5 * year, 24 * HOUR), WEEK_MS);
        assert_eq!(cluster_ms(5 * year, 96 * HOUR), 4 * 96 * HOUR);
        assert_eq!(cluster_ms(54 * 24 * HOUR, 24 * HOUR), 81 * HOUR);
        assert_eq!(cluster_ms(20 * 24 * HOUR, 24 * HOUR), 48 * HOUR);
        assert_eq!(cluster_ms(0, 0), 1);
    }

    #[test]
    fn dependent_neighbours_count_once() {
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

    fn lifetime(symbol: usize, given: i64, closed: i64) -> Lifetime {
        Lifetime { symbol, given_ms: given * HOUR, closed_ms: closed * HOUR }
    }

    #[test]
    fn signals_that_were_never_open_together_are_independent() {
        let lifetimes: Vec<Lifetime> = (0..40).map(|i| lifetime(i % 3, 2 * i as i64, 2 * i as i64 + 2)).collect();
        let residuals: Vec<f64> = (0..40).map(|i| if i < 20 { 0.5 } else { -0.5 }).collect();
        assert_eq!(dependence(&lifetimes, &residuals), Dependence { design_effect: 1.0, clusters: 40 });
        // A signal that closed at the moment it was given was never open.
        assert_eq!(dependence(&[lifetime(0, 5, 5); 10], &[0.1; 10]).design_effect, 1.0);
        assert_eq!(dependence(&[], &[]).design_effect, 1.0);
    }

    #[test]
    fn identical_signals_count_once() {
        // Five signals of a symbol at a time, given and closed together, thirty times; all five end the same way.
        let lifetimes: Vec<Lifetime> = (0..150).map(|i| lifetime(0, 3 * (i / 5), 3 * (i / 5) + 2)).collect();
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let drawn: Vec<f64> = (0..30).map(|_| if random.random_bool(0.5) { 0.5 } else { -0.5 }).collect();
        let residuals: Vec<f64> = (0..150).map(|i| drawn[i / 5]).collect();
        let effective = dependence(&lifetimes, &residuals).effective(150);
        assert!((15.0..40.0).contains(&effective), "{effective}");
        // All of them lost: nothing can be measured, and the overlaps alone say that they are worth thirty.
        let lost = dependence(&lifetimes, &[0.0; 150]);
        assert!((15.0..=30.0).contains(&lost.effective(150)), "{lost:?}");
    }

    #[test]
    fn symbols_that_are_measured_to_be_independent_count_as_such() {
        // Ten symbols, each with one signal after the other, a day long: 2000 independent outcomes.
        let lifetimes: Vec<Lifetime> =
            (0..2000).map(|i| lifetime(i % 10, 24 * (i / 10) as i64, 24 * (i / 10) as i64 + 24)).collect();
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let mut coin = || if random.random_bool(0.5) { 0.5 } else { -0.5 };
        let free: Vec<f64> = (0..2000).map(|_| coin()).collect();
        let days: Vec<f64> = (0..200).map(|_| coin()).collect();
        let tied: Vec<f64> = (0..2000).map(|i| days[i / 10]).collect();
        let [free, tied] = [free, tied].map(|residuals| dependence(&lifetimes, &residuals).effective(2000));
        assert!(free > 600.0 && (120.0..300.0).contains(&tied), "{free} {tied}");
    }

    #[test]
    fn student_by_the_table() {
        for (freedom, one_sided, two_sided) in [(4.0, 2.132, 2.776), (9.0, 1.833, 2.262), (29.0, 1.699, 2.045)] {
            assert!((student(Z_ONE_SIDED, freedom) - one_sided).abs() < 0.01, "{freedom}");
            assert!((student(Z_95, freedom) - two_sided).abs() < 0.02, "{freedom}");
        }
    }
}
