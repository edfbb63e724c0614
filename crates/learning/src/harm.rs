//! Are the served probabilities harmful, that is, worse than the base rates stated beside them?

use super::clusters::{cluster_ms_of, student};
use crate::model::{MIN_CLUSTERS, log_loss};
use domain::signal::Record;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Closed signals that are judged: the newest ones that have an assessment.
const WINDOW: usize = 2_000;
/// With fewer signals nothing is concluded: their assessments may come from a model that has learned more since.
const LEAST: usize = 100;
/// The interval that must lie above 0, in standard normal quantiles. The test is repeated after every outcome, so it
/// must be stricter than a 95 % interval.
const SURE: f64 = 3.5;
/// The newest quarter must show a loss too, so that a past problem is forgotten before the window ends. Where the
/// newest quarter alone is significant, earlier good results do not count.
const NEWEST: usize = 4;

/// What `assess` serves: the full estimate, or the base rate alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Served {
    /// The full estimate.
    #[default]
    All,
    /// The base rate alone, because the full estimate does harm.
    BaseRate,
}

impl Served {
    /// The name in JavaScript and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::BaseRate => "baseRate",
        }
    }
}

/// How much worse than the base rates the served probabilities were: log loss in nats per signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Harm {
    /// The mean difference.
    pub mean: f64,
    /// Its interval of ± 3.5 standard errors.
    pub interval: (f64, f64),
    /// Number of signals.
    pub signals: usize,
}

/// Compares assessments with outcomes as signals close.
#[derive(Debug, Default)]
pub struct Judge {
    /// In order of closing.
    newest: VecDeque<Judged>,
}

#[derive(Debug, Clone, Copy)]
struct Judged {
    given_ms: i64,
    life_ms: i64,
    /// Log loss of the probability minus that of the base rate.
    worse: f64,
}

impl Judge {
    /// Takes a closed signal, in order of closing; signals without an assessment are skipped.
    pub fn take(&mut self, record: &Record) {
        let (Some(closing), Some(said)) = (&record.closing, &record.said) else { return };
        let Some(success) = closing.outcome.succeeded() else { return };
        let given_ms = record.signal.timestamp_ms;
        let worse = log_loss(success, said.probability) - log_loss(success, said.base_rate);
        self.add(Judged { given_ms, life_ms: (closing.closed_ms - given_ms).max(0), worse });
    }

    fn add(&mut self, judged: Judged) {
        if self.newest.len() == WINDOW {
            self.newest.pop_front();
        }
        self.newest.push_back(judged);
    }

    /// The harm, if it is significant and still going on: over all judged signals, or over the newest of them.
    pub fn harm(&self) -> Option<Harm> {
        let all: Vec<Judged> = self.newest.iter().copied().collect();
        let recent = &all[all.len() - all.len().div_ceil(NEWEST)..];
        let goes_on = recent.iter().map(|judged| judged.worse).sum::<f64>() > 0.0;
        goes_on.then(|| Harm::of(&all).or_else(|| Harm::of(recent)))?
    }
}

impl Harm {
    /// Signals of one stretch of time count as one cluster.
    fn of(rows: &[Judged]) -> Option<Self> {
        let length_ms = cluster_ms_of(rows.iter().map(|row| (row.given_ms, row.given_ms + row.life_ms)));
        let mut clusters: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        for row in rows {
            let (sum, count) = clusters.entry(row.given_ms.div_euclid(length_ms)).or_default();
            *sum += row.worse;
            *count += 1.0;
        }
        if rows.len() < LEAST || clusters.len() < MIN_CLUSTERS {
            return None;
        }
        let signals = rows.len();
        let mean = clusters.values().map(|(sum, _)| sum).sum::<f64>() / signals as f64;
        let squares: f64 = clusters.values().map(|(sum, count)| (sum - mean * count).powi(2)).sum();
        let groups = clusters.len() as f64;
        let error = (groups / (groups - 1.0) * squares).sqrt() / signals as f64;
        let reach = student(SURE, groups - 1.0) * error;
        (mean > reach).then_some(Self { mean, interval: (mean - reach, mean + reach), signals })
    }

    /// The harm as a sentence.
    pub fn words(&self) -> String {
        let Self { mean, interval: (low, high), signals } = self;
        format!(
            "over the last {signals} closed signals, the estimates predicted outcomes worse than the base rates: log loss {mean:+.4} \
             [{low:.4}, {high:.4}]; so the base rate is served"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odds::logistic;
    use domain::time::HOUR_MS;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Simulates signals, four at a time, whose outcomes share half of their luck. `of` gives, for a signal's number,
    /// how far the stated probability and the true one depart from the base rate. Returns the signal counts at which
    /// harm was reported, asking after every tenth signal.
    fn harmed(seed: u64, signals: i64, of: impl Fn(i64, f64) -> (f64, f64)) -> Vec<i64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut judge, mut harmed, mut luck) = (Judge::default(), Vec::new(), 0.0);
        for number in 0..signals {
            if number % 4 == 0 {
                luck = random.random();
            }
            let (said, truth) = of(number, random.random_range(-1.0..1.0));
            let drawn = if random.random_bool(0.5) { luck } else { random.random() };
            let success = drawn < logistic(truth);
            let worse = log_loss(success, logistic(said)) - log_loss(success, 0.5);
            judge.add(Judged { given_ms: number / 4 * 6 * HOUR_MS, life_ms: 5 * HOUR_MS, worse });
            if number % 10 == 0 && judge.harm().is_some() {
                harmed.push(number);
            }
        }
        harmed
    }

    #[test]
    fn harm_is_rarely_reported_without_skill_and_never_with_skill() {
        // The stated probabilities err as much as those of a learner that found nothing.
        let homes = 200;
        let nothing = (0..homes).filter(|&seed| !harmed(seed, 1_500, |_, noise| (0.1 * noise, 0.0)).is_empty()).count();
        assert!(nothing <= 10, "{nothing} of {homes} homes, ever");
        let known =
            (0..50).filter(|&seed| !harmed(seed, 1_500, |_, known| (0.5 * known, 0.5 * known)).is_empty()).count();
        assert_eq!(known, 0, "of 50 homes");
    }

    #[test]
    fn harm_after_a_reversal_is_found_and_ends_with_it() {
        for seed in 0..10 {
            // Right for 600 signals, reversed for 600, and right again.
            let turns = |number: i64, known: f64| (known, if (600..1_200).contains(&number) { -known } else { known });
            let harmed = harmed(seed, 2_400, turns);
            let (first, last) = (*harmed.first().expect("harm"), *harmed.last().unwrap());
            assert!(first > 600, "seed {seed}: {first}");
            let reverse = harmed.iter().filter(|at| (1_100..1_200).contains(*at)).count();
            assert_eq!(reverse, 10, "seed {seed}: as long as it goes on");
            assert!(last < 1_800, "seed {seed}: {last}");
        }
    }

    #[test]
    fn few_clusters_or_signals_prove_nothing() {
        let mut judge = Judge::default();
        assert_eq!(judge.harm(), None);
        for number in 0..400 {
            judge.add(Judged { given_ms: number % 5 * 1_000 * HOUR_MS, life_ms: HOUR_MS, worse: 0.5 });
        }
        assert_eq!(judge.harm(), None);
        let mut judge = Judge::default();
        let mut found = (0..200).filter_map(|number| {
            judge.add(Judged { given_ms: number * 100 * HOUR_MS, life_ms: HOUR_MS, worse: 0.5 });
            judge.harm()
        });
        assert_eq!(found.next().map(|harm| harm.signals), Some(LEAST), "few signals prove nothing");
    }
}
