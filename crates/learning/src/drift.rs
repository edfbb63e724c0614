//! Drift: has the market changed? Two pure tests: one on the sequence of outcomes, one on the features at entry.

use std::collections::BTreeMap;

/// The fall in the odds of success that the chart is tuned to find: a factor of 0.4, such as 60 % to 37 % or 37 % to 19
/// %.
const ODDS_RATIO: f64 = 0.4;
/// The chart raises an alarm at this sum. By simulation (see the tests): fewer than one false alarm in 10 000 outcomes,
/// and a fall from 60 % to 30 % is found after about 34.
const THRESHOLD: f64 = 7.0;
/// Overlapping outcomes that closed within this many typical lifetimes count as one.
const RUN_LIVES: f64 = 1.5;
/// The number of outcomes the normal success rate is learned from before anything is compared with it.
const REFERENCE: f64 = 30.0;

/// A CUSUM chart of outcomes, each compared with its own expected probability. It rises as evidence accumulates that
/// the odds of success have fallen to 0.4 of what is expected.
///
/// Input: whether the outcome was a success, and the probability expected beforehand, in (0, 1). State: one number.
/// Cost: O(1). Inputs must be independent; overlapping outcomes are merged into one first, see [`OutcomeMonitor`].
/// ADWIN (Bifet & Gavaldà, 2007) was considered instead: its bound at δ = 0.002 needs more than a hundred outcomes for
/// a fall that this chart finds in thirty.
///
/// Source: Steiner, Cook, Farewell & Treasure, *Monitoring surgical performance using risk-adjusted cumulative sum
/// charts*, Biostatistics 1 (2000).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Cusum {
    sum: f64,
}

impl Cusum {
    /// The chart after one more outcome: 1 is a success, 0 a failure, and values between are the mean of several
    /// outcomes that count as one.
    fn with(self, success: f64, expected: f64) -> Self {
        let ratio = success * ODDS_RATIO.ln() - (1.0 - expected + ODDS_RATIO * expected).ln();
        Self { sum: (self.sum + ratio).max(0.0) }
    }

    /// Whether the evidence is enough for an alarm.
    fn alarms(self) -> bool {
        self.sum > THRESHOLD
    }

    /// Whether nothing points to a fall at the moment.
    fn is_calm(self) -> bool {
        self.sum == 0.0
    }
}

/// A fall of the success rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutcomeDrift {
    /// When the outcome that raised the alarm closed, UTC epoch ms.
    pub at_ms: i64,
    /// The estimated time of the change: when the first outcome that points to the fall closed, UTC epoch ms.
    pub since_ms: i64,
    /// The success rate before the change, percent.
    pub before: f64,
    /// The success rate since, percent.
    pub since: f64,
}

/// A number of outcomes and their successes. Outcomes that count as one contribute their mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Count {
    outcomes: f64,
    successes: f64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.outcomes += other.outcomes;
        self.successes += other.successes;
    }

    /// The expected success rate of the next outcome: Laplace's rule minus half a standard error, so that a lucky
    /// reference period does not make later results look like a fall.
    fn expected(self) -> f64 {
        let trials = self.outcomes + 2.0;
        let rate = (self.successes + 1.0) / trials;
        rate - 0.5 * (rate * (1.0 - rate) / trials).sqrt()
    }

    fn percent(self) -> f64 {
        100.0 * self.successes / self.outcomes.max(1.0)
    }
}

/// Outcomes that overlap and closed within [`RUN_LIVES`] of each other: they depend on each other and count as one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Run {
    outcomes: u64,
    successes: u64,
    /// When the first and the last of them closed.
    first_ms: i64,
    last_ms: i64,
}

impl Run {
    fn mean(self) -> f64 {
        self.successes as f64 / self.outcomes.max(1) as f64
    }

    /// The run as a single outcome; zero outcomes where the run is empty.
    fn as_one(self) -> Count {
        if self.outcomes == 0 { Count::default() } else { Count { outcomes: 1.0, successes: self.mean() } }
    }
}

/// A [`Cusum`] that learns the expected success rate from the outcomes themselves (Laplace's rule), leaving out those
/// that currently point to a change. After an alarm it starts learning again.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OutcomeMonitor {
    chart: Cusum,
    before: Count,
    suspicious: Count,
    since_ms: i64,
    run: Run,
    lifetimes: Lifetimes,
}

/// How long signals stay open.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Lifetimes {
    sum: f64,
    squares: f64,
}

impl Lifetimes {
    /// See [`super::clusters::typical_life_ms`].
    fn typical_ms(self) -> f64 {
        if self.sum > 0.0 { self.squares / self.sum } else { 0.0 }
    }
}

impl OutcomeMonitor {
    /// Takes the next closed outcome of a market, in order of closing, with the time its signal was given.
    pub fn next(&mut self, succeeded: bool, given_ms: i64, closed_ms: i64) -> Option<OutcomeDrift> {
        let lifetime = (closed_ms - given_ms).max(0) as f64;
        (self.lifetimes.sum, self.lifetimes.squares) =
            (self.lifetimes.sum + lifetime, self.lifetimes.squares + lifetime * lifetime);
        let together = given_ms < self.run.last_ms
            && ((closed_ms - self.run.first_ms) as f64) < RUN_LIVES * self.lifetimes.typical_ms();
        if self.run.outcomes == 0 || !together {
            self.settle();
            self.run.first_ms = closed_ms;
        }
        self.run.outcomes += 1;
        self.run.successes += u64::from(succeeded);
        self.run.last_ms = closed_ms;
        if self.before.outcomes < REFERENCE {
            return None;
        }
        if self.suspicious.outcomes == 0.0 && self.run.outcomes == 1 {
            self.since_ms = closed_ms;
        }
        if !self.chart.with(self.run.mean(), self.before.expected()).alarms() {
            return None;
        }
        self.suspicious.add(self.run.as_one());
        let (before, since) = (self.before.percent(), self.suspicious.percent());
        let drift = OutcomeDrift { at_ms: closed_ms, since_ms: self.since_ms, before, since };
        *self = Self { lifetimes: self.lifetimes, ..Self::default() };
        Some(drift)
    }

    /// Counts the run that has just ended.
    fn settle(&mut self) {
        let run = std::mem::take(&mut self.run);
        if run.outcomes == 0 {
            return;
        }
        if self.before.outcomes < REFERENCE {
            self.before.add(run.as_one());
            return;
        }
        self.chart = self.chart.with(run.mean(), self.before.expected());
        self.suspicious.add(run.as_one());
        if self.chart.is_calm() {
            self.before.add(std::mem::take(&mut self.suspicious));
        }
    }
}

/// Values of one quantity at entry: from the reference period, and recent ones.
pub type Samples = (Vec<f64>, Vec<f64>);

/// A quantity whose distribution has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryDrift {
    /// Its name.
    pub name: String,
    /// The largest distance between the two distribution functions, 0–1.
    pub distance: f64,
    /// The probability of such a distance by chance, corrected for the number of quantities.
    pub p_value: f64,
}

/// The quantities whose recent values are distributed differently than before, most significant first: two-sample
/// Kolmogorov–Smirnov tests with Holm's correction, so that the probability of *any* false alarm is `alpha`, however
/// many quantities there are.
///
/// The values of a quantity are in order of time. Neighbouring signals have similar values, so the sample sizes are
/// reduced for autocorrelation ([`inflation`]).
///
/// Source: S. Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6
/// (1979).
pub fn entry_drift(quantities: &BTreeMap<String, Samples>, alpha: f64) -> Vec<EntryDrift> {
    let mut tests: Vec<EntryDrift> = quantities
        .iter()
        .map(|(name, (before, recent))| {
            let distance = ks_distance(before, recent);
            let worth = |values: &[f64]| values.len() as f64 / inflation(before, recent);
            EntryDrift { name: name.clone(), distance, p_value: ks_p_value(distance, worth(before), worth(recent)) }
        })
        .collect();
    tests.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
    let count = tests.len();
    let mut highest: f64 = 0.0;
    for (rank, test) in tests.iter_mut().enumerate() {
        // Holm's corrected p-values never fall with the rank.
        highest = highest.max((test.p_value * (count - rank) as f64).min(1.0));
        test.p_value = highest;
    }
    tests.retain(|test| test.p_value < alpha);
    tests
}

/// The largest distance between the empirical distribution functions of two samples; 0 when one is empty.
fn ks_distance(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    let (mut i, mut j, mut most) = (0, 0, 0.0f64);
    while i < a.len() && j < b.len() {
        let at = a[i].min(b[j]);
        // Equal values are stepped over together.
        i += a[i..].partition_point(|value| *value <= at);
        j += b[j..].partition_point(|value| *value <= at);
        most = most.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    most
}

/// The factor by which autocorrelation increases the variance of the mean, at least 1: 1 + 2 Σ autocorrelation of the
/// ranks. It is computed within each sample, so that a difference between the samples does not matter. The sum ends
/// where two neighbouring terms are no longer positive (Geyer, *Practical Markov chain Monte Carlo*, Statistical
/// Science 7, 1992). Subtracting each sample's own mean makes every term too small by the sum divided by the number of
/// values; this bias is corrected.
fn inflation(before: &[f64], recent: &[f64]) -> f64 {
    let mut all: Vec<f64> = before.iter().chain(recent).copied().collect();
    all.sort_by(f64::total_cmp);
    let rank =
        |value: &f64| (all.partition_point(|other| other < value) + all.partition_point(|other| other <= value)) as f64;
    let centred = |values: &[f64]| {
        let ranks: Vec<f64> = values.iter().map(rank).collect();
        let mean = ranks.iter().sum::<f64>() / ranks.len().max(1) as f64;
        ranks.into_iter().map(|rank| rank - mean).collect::<Vec<_>>()
    };
    let samples = [centred(before), centred(recent)];
    let product = |lag: usize| -> f64 {
        let of = |sample: &Vec<f64>| sample.iter().zip(sample.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>();
        samples.iter().map(of).sum()
    };
    let variance = product(0);
    if variance <= 0.0 {
        return 1.0;
    }
    let (mut sum, mut lags) = (0.0, 0);
    while lags < before.len().max(recent.len()) {
        let pair = (product(lags) + product(lags + 1)) / variance;
        if pair <= 0.0 {
            break;
        }
        (sum, lags) = (sum + pair, lags + 2);
    }
    let lost = (2 * lags * samples.len()) as f64 / all.len() as f64;
    ((2.0 * sum - 1.0) / (1.0 - lost).max(0.1)).max(1.0)
}

/// The probability of a distance at least this large when both samples have the same distribution.
///
/// Source: Kolmogorov's limit with M. A. Stephens' correction for small samples, *Use of the Kolmogorov-Smirnov,
/// Cramér-von Mises and related statistics without extensive tables*, JRSS B 32 (1970).
fn ks_p_value(distance: f64, n: f64, m: f64) -> f64 {
    if n <= 0.0 || m <= 0.0 {
        return 1.0;
    }
    let effective = (n * m / (n + m)).sqrt();
    let lambda = (effective + 0.12 + 0.11 / effective) * distance;
    // For smaller values the series converges too slowly, and the probability is 1 to six digits.
    if lambda < 0.3 {
        return 1.0;
    }
    let term = |j: i32| {
        let j = f64::from(j);
        (-2.0 * j * j * lambda * lambda).exp()
    };
    let sum: f64 = (1..=100).map(|j| if j % 2 == 1 { term(j) } else { -term(j) }).sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_chart_by_hand() {
        let mut chart = Cusum::default();
        // A failure where 50 % was expected: −ln 0.7; a success: ln 0.4 − ln 0.7.
        chart = chart.with(0.0, 0.5);
        assert!((chart.sum - 0.356_675).abs() < 1e-6);
        chart = chart.with(0.0, 0.5).with(1.0, 0.5);
        assert!((chart.sum - 0.153_734).abs() < 1e-6, "{}", chart.sum);
        chart = chart.with(1.0, 0.5);
        assert!(chart.is_calm());
        // 7 / 0.356675 = 19.6: the twentieth failure in a row.
        let mut next = || {
            chart = chart.with(0.0, 0.5);
            chart.alarms()
        };
        assert_eq!((1..).find(|_| next()), Some(20));
    }

    fn alarms(rate: f64, outcomes: i64, seed: u64) -> usize {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut monitor = OutcomeMonitor::default();
        (0..outcomes).filter(|at| monitor.next(rng.random_bool(rate), at - 1, *at).is_some()).count()
    }

    #[test]
    fn without_drift_alarms_are_rare() {
        let mut total = 0;
        for seed in 0..20 {
            for rate in [0.35, 0.5, 0.6] {
                let count = alarms(rate, 10_000, seed);
                assert!(count <= 8, "{count} false alarms at {rate}, seed {seed}");
                total += count;
            }
        }
        let mean = f64::from(u32::try_from(total).unwrap()) / 60.0;
        println!("false alarms in 10000 outcomes: {mean:.2}");
        assert!(mean < 2.5, "{mean} false alarms in 10000 outcomes");
    }

    #[test]
    fn a_fall_from_60_to_30_percent_is_found_within_about_forty_outcomes() {
        let mut delays = Vec::new();
        let mut errors = Vec::new();
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut monitor = OutcomeMonitor::default();
            for at in 0..150 {
                // An alarm before the change is false; another test counts those.
                let _ = monitor.next(rng.random_bool(0.6), at - 1, at);
            }
            let found = (150..1000).find_map(|at| monitor.next(rng.random_bool(0.3), at - 1, at));
            if let Some(drift) = found {
                assert!(drift.since < drift.before, "{drift:?}");
                delays.push(drift.at_ms - 149);
                errors.push((drift.since_ms - 150).abs());
            }
        }
        assert!(delays.len() >= 290, "only {} of 300 found", delays.len());
        delays.sort_unstable();
        errors.sort_unstable();
        let (median, ninety) = (delays[delays.len() / 2], delays[delays.len() * 9 / 10]);
        println!("delay: median {median}, 90 % {ninety}; error of the time: median {}", errors[errors.len() / 2]);
        assert!(median <= 37 && ninety <= 68, "median {median}, 90 % {ninety}");
        assert!(errors[errors.len() / 2] <= 10, "the change is dated {} off", errors[errors.len() / 2]);
    }

    #[test]
    fn ks_by_hand() {
        assert_eq!(ks_distance(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 0.0);
        assert_eq!(ks_distance(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        // At 2, 2/4 of the first sample are reached and none of the second.
        assert_eq!(ks_distance(&[1.0, 2.0, 3.0, 4.0], &[2.5, 3.0, 4.0, 5.0]), 0.5);
        assert_eq!(ks_distance(&[], &[1.0]), 0.0);
        // Kolmogorov's distribution: Q(1.3581) = 0.05, Q(1.6276) = 0.01.
        let at = |lambda: f64| {
            let effective = 5000f64.sqrt();
            ks_p_value(lambda / (effective + 0.12 + 0.11 / effective), 1e4, 1e4)
        };
        assert!((at(1.3581) - 0.05).abs() < 1e-4 && (at(1.6276) - 0.01).abs() < 1e-4);
    }

    fn samples(rng: &mut ChaCha8Rng, shift: f64) -> Samples {
        let mut draw = |count: usize, shift: f64| (0..count).map(|_| rng.random::<f64>() + shift).collect::<Vec<_>>();
        (draw(200, 0.0), draw(50, shift))
    }

    #[test]
    fn among_fifty_quantities_the_changed_one_is_found_with_few_false_alarms() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut named, mut false_alarms) = (0, 0);
        for _ in 0..200 {
            let mut quantities: BTreeMap<String, Samples> =
                (0..49).map(|i| (format!("still-{i}"), samples(&mut rng, 0.0))).collect();
            quantities.insert("moved".to_owned(), samples(&mut rng, 0.4));
            let found = entry_drift(&quantities, 0.05);
            named += usize::from(found.first().is_some_and(|drift| drift.name == "moved"));
            false_alarms += usize::from(found.iter().any(|drift| drift.name != "moved"));
        }
        assert!(named >= 190, "{named} of 200 named");
        println!("any false alarm among 49 still quantities: {false_alarms} of 200 at alpha 0.05");
        assert!(false_alarms <= 20, "{false_alarms} of 200 at alpha 0.05");
    }

    #[test]
    fn indicators_that_move_slowly_are_not_called_changed() {
        // Lag-1 autocorrelations of 0.9 and 0.97: an RSI at hourly signals, and the distance to a long average.
        for (keeps, worth) in [(0.0, 1.0), (0.9, 19.0), (0.97, 65.0)] {
            let (mut alarms, mut inflations) = (0, Vec::new());
            for seed in 0..400 {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let mut series = || {
                    let mut value = 0.0;
                    let mut step = || {
                        value = keeps * value + rng.random_range(-1.0..1.0);
                        value
                    };
                    (0..100).for_each(|_| _ = step());
                    let all: Vec<f64> = (0..250).map(|_| step()).collect();
                    (all[..200].to_vec(), all[200..].to_vec())
                };
                let quantities: BTreeMap<String, Samples> = (0..10).map(|i| (i.to_string(), series())).collect();
                inflations.push(inflation(&quantities["0"].0, &quantities["0"].1));
                alarms += usize::from(!entry_drift(&quantities, 0.001).is_empty());
            }
            inflations.sort_unstable_by(f64::total_cmp);
            println!("{keeps}: {alarms} of 400 tests of ten quantities, worth 1 of {:.1}", inflations[200]);
            assert!((0.5..2.0).contains(&(inflations[200] / worth)), "{}", inflations[200]);
            assert!(alarms <= 4, "{alarms} of 400 at {keeps}");
        }
    }

    proptest! {
        #[test]
        fn no_stream_upsets_the_monitor(wins in proptest::collection::vec(any::<bool>(), 0..300)) {
            let mut monitor = OutcomeMonitor::default();
            for (at, won) in wins.iter().enumerate() {
                if let Some(drift) = monitor.next(*won, at as i64 - 1, at as i64) {
                    prop_assert!(drift.since_ms <= drift.at_ms);
                    prop_assert!((0.0..=100.0).contains(&drift.before) && (0.0..=100.0).contains(&drift.since));
                    prop_assert!(monitor.before == Count::default() && monitor.chart.is_calm());
                }
            }
        }

        #[test]
        fn a_distance_is_symmetric_and_a_p_value_a_probability(a in proptest::collection::vec(-5i8..5, 1..40), b in proptest::collection::vec(-5i8..5, 1..40)) {
            let values = |v: &[i8]| v.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let (a, b) = (values(&a), values(&b));
            let distance = ks_distance(&a, &b);
            prop_assert!((0.0..=1.0).contains(&distance) && (distance - ks_distance(&b, &a)).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&ks_p_value(distance, a.len() as f64, b.len() as f64)));
        }
    }
}
