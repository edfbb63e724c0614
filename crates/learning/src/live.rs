//! Do live results keep what the held-out figures of a market's models promised?

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// With fewer closed signals nothing is decided.
pub const MIN_CLOSED: usize = 30;
/// The probability that kept promises are ever called broken, however often they are tested.
pub const LEVEL: f64 = 0.01;
/// The alternatives tested: the true probability is this share of the promised one.
const SHORTFALLS: [f64; 4] = [0.9, 0.75, 0.5, 0.25];
/// Likelihood ratios are capped here, so that products of them stay in the range of f64.
const MOST: f64 = 1e300;

/// One closed signal of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveOutcome {
    /// The version of the model that gave it.
    pub version: u64,
    /// The probability of success that this version stated, 0–1.
    pub promised: f64,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// When its signal was given, UTC epoch ms.
    pub given_ms: i64,
    /// When it closed, UTC epoch ms.
    pub closed_ms: i64,
}

/// How live outcomes compare with the promises of the models that gave the signals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LiveRecord {
    /// Closed signals.
    pub closed: usize,
    /// How many succeeded.
    pub succeeded: usize,
    /// The sum of the promised probabilities: how many should have succeeded.
    pub expected: f64,
    /// The strongest evidence against the promises so far: how many times likelier the outcomes are under a shortfall.
    pub against: f64,
    /// Whether the promises are broken.
    pub is_broken: bool,
    /// How many outcomes came before the estimated beginning of the broken promises.
    pub kept: usize,
}

/// The evidence for one shortfall.
#[derive(Debug, Clone, Copy, Default)]
struct Course {
    /// Σ over all possible beginnings of their prior weight · the likelihood ratio since.
    sum: f64,
    /// The likelihood ratio since the most likely beginning.
    best: f64,
    /// How many outcomes, of all chains, came before that beginning.
    kept: usize,
}

impl Course {
    /// Adds an outcome with this likelihood ratio; `own` outcomes of its chain and `before` outcomes of all chains came
    /// before it.
    fn next(&mut self, own: usize, before: usize, ratio: f64) {
        self.sum = ((self.sum + weight(own)) * ratio).min(MOST);
        if self.best <= 1.0 {
            (self.best, self.kept) = (1.0, before);
        }
        self.best = (self.best * ratio).min(MOST);
    }
}

/// The prior weight of a beginning after `before` outcomes: one half, one sixth, one twelfth, …; they sum to 1.
fn weight(before: usize) -> f64 {
    1.0 / ((before as f64 + 1.0) * (before as f64 + 2.0))
}

/// A sequence of signals, each given after the one before it had closed.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    courses: [Course; SHORTFALLS.len()],
    outcomes: usize,
}

impl Chain {
    fn next(&mut self, before: usize, outcome: &LiveOutcome) {
        // A probability of 1 would be refuted by a single failure.
        let p = outcome.promised.clamp(0.0, 0.999);
        for (course, theta) in self.courses.iter_mut().zip(SHORTFALLS) {
            let ratio = if outcome.succeeded { theta } else { (1.0 - theta * p) / (1.0 - p) };
            course.next(self.outcomes, before, ratio);
        }
        self.outcomes += 1;
    }

    /// How many times likelier its outcomes are under a shortfall than under the promises.
    fn against(&self) -> f64 {
        // Beginnings that are still to come have a likelihood ratio of 1.
        let to_come = 1.0 / (self.outcomes as f64 + 1.0);
        self.courses.iter().map(|course| course.sum).sum::<f64>() / self.courses.len() as f64 + to_come
    }

    fn best(&self) -> Course {
        self.courses.iter().copied().max_by(|a, b| a.best.total_cmp(&b.best)).unwrap_or_default()
    }
}

/// Tests outcomes, in order of time, against the promised probabilities. Outcomes may come from several versions; each
/// brings the promise of its own version.
///
/// For each shortfall θ and each possible beginning, the likelihood ratio Π (θp or 1 − θp) / (p or 1 − p) of the
/// outcomes since is a martingale if each p is right, whichever model stated it, and shrinks if success is likelier
/// than promised. The mean of several martingales is one too, so it ever reaches 1/[`LEVEL`] with a probability of at
/// most [`LEVEL`] (Ville, *Étude critique de la notion de collectif*, 1939; Wald's sequential test, with a mixture of
/// alternatives). So the test may be repeated after each closed signal, which a test of fixed sample size would not
/// allow. Averaging over beginnings means that months of kept promises do not delay the detection of broken ones. The
/// highest value so far counts, so what was proven once stays proven.
///
/// A promise is right for a signal at the time it is given, not half-way through its life. So ratios are multiplied
/// only along chains of signals that follow one another. Overlapping signals belong to different chains, and the
/// evidence of the chains is averaged, which is valid under any dependence (Vovk and Wang, *E-values: calibration,
/// combination and applications*, Annals of Statistics 49, 2021; for forecasts of several steps Henzi and Ziegel,
/// *Valid sequential inference on probability forecast performance*, Biometrika 109, 2022).
pub fn weigh(outcomes: &[LiveOutcome]) -> LiveRecord {
    let mut weigher = Weigher::default();
    weigher.extend(outcomes);
    weigher.record()
}

/// [`weigh`] for outcomes that arrive over time. It costs as much as there are outcomes that closed after the newest ones
/// were given, however many there were before.
#[derive(Debug, Clone, Default)]
pub struct Weigher {
    outcomes: Vec<LiveOutcome>,
    /// The chain of each outcome.
    chain: Vec<usize>,
    /// The latest end of the outcomes up to each.
    ends_ms: Vec<i64>,
    evidence: Evidence,
    /// The evidence of the outcomes before one in [`MARK`], oldest first; not more than [`MARKS`].
    marks: VecDeque<Evidence>,
}

/// Evidence is kept once in this many outcomes, to return to when an outcome moves to another chain.
const MARK: usize = 32;
/// How often at most. Signals that closed earlier than the last `MARK · MARKS` outcomes seldom were open all the while.
const MARKS: usize = 32;

/// The evidence of outcomes in order of closing.
#[derive(Debug, Clone, Default)]
struct Evidence {
    outcomes: usize,
    chains: Vec<Chain>,
    succeeded: usize,
    expected: f64,
    /// The sum of the chains' evidence.
    sum: f64,
    highest: f64,
    kept: usize,
}

impl Evidence {
    /// Adds the next outcome, of chain `at`.
    fn next(&mut self, outcome: &LiveOutcome, at: usize) {
        let before = self.outcomes;
        self.outcomes += 1;
        self.expected += outcome.promised;
        self.succeeded += usize::from(outcome.succeeded);
        // In order of closing, a later chain may have the first outcome; chains without outcomes count with their
        // initial value of 1.
        while self.chains.len() <= at {
            self.chains.push(Chain::default());
            self.sum += 1.0;
        }
        let chain = &mut self.chains[at];
        self.sum -= chain.against();
        chain.next(before, outcome);
        self.sum += chain.against();
        let mean = self.sum / self.chains.len() as f64;
        if before + 1 >= MIN_CLOSED && mean > self.highest {
            self.highest = mean;
            let best = self.chains.iter().map(Chain::best).max_by(|a, b| a.best.total_cmp(&b.best));
            self.kept = best.map_or(0, |course| course.kept);
        }
    }
}

impl Weigher {
    /// Adds outcomes, in order of closing, that closed after those before.
    pub fn extend(&mut self, new: &[LiveOutcome]) {
        let Some(from_ms) = new.iter().map(|outcome| outcome.given_ms).min() else { return };
        let known = self.outcomes.len();
        for outcome in new {
            let before_ms = self.ends_ms.last().copied().unwrap_or(i64::MIN);
            self.ends_ms.push(before_ms.max(outcome.closed_ms).max(outcome.given_ms));
            self.outcomes.push(*outcome);
            self.chain.push(0);
        }
        let begin = self.ends_ms[..known].partition_point(|&end_ms| end_ms <= from_ms);
        let first = self.assign(begin, known);
        if first < known {
            self.return_to(first);
        }
        while self.evidence.outcomes < self.outcomes.len() {
            if self.evidence.outcomes.is_multiple_of(MARK) {
                self.marks.push_back(self.evidence.clone());
                if self.marks.len() > MARKS {
                    self.marks.pop_front();
                }
            }
            let at = self.evidence.outcomes;
            self.evidence.next(&self.outcomes[at], self.chain[at]);
        }
    }

    /// Assigns outcomes from `known` on to chains: each to the first chain whose signals had all closed when it was given,
    /// in order of being given. Those from `begin` on may move, because an outcome that was given before them took their
    /// chain; those before `begin` had ended when the first new one was given. Returns the first outcome whose chain is new.
    fn assign(&mut self, begin: usize, known: usize) -> usize {
        let key = |at: &usize| (self.outcomes[*at].given_ms, self.outcomes[*at].closed_ms);
        let first_new = (known..self.outcomes.len()).map(|at| key(&at)).min();
        let mut given: Vec<usize> = (begin..self.outcomes.len()).collect();
        given.sort_by_key(key);
        let (mut free_from, mut first): (Vec<i64>, usize) = (Vec::new(), known);
        for at in given {
            let LiveOutcome { given_ms, closed_ms, .. } = self.outcomes[at];
            let stays = at < known && Some(key(&at)) <= first_new;
            let free = match stays {
                true => self.chain[at],
                false => free_from.iter().position(|&free| free <= given_ms).unwrap_or(free_from.len()),
            };
            free_from.resize(free_from.len().max(free + 1), i64::MIN);
            free_from[free] = closed_ms.max(given_ms);
            if at >= known || self.chain[at] != free {
                first = first.min(at);
                self.chain[at] = free;
            }
        }
        first
    }

    /// Takes back the evidence of the outcomes from `first` on, and of some before it.
    fn return_to(&mut self, first: usize) {
        while let Some(mark) = self.marks.pop_back() {
            if mark.outcomes <= first {
                self.evidence = mark;
                return;
            }
        }
        self.evidence = Evidence::default();
    }

    /// All outcomes, in order of closing.
    pub fn outcomes(&self) -> &[LiveOutcome] {
        &self.outcomes
    }

    /// How they compare with the promises.
    pub fn record(&self) -> LiveRecord {
        let Evidence { succeeded, expected, highest: against, kept, .. } = self.evidence;
        LiveRecord {
            closed: self.outcomes.len(),
            succeeded,
            expected,
            against,
            is_broken: against >= 1.0 / LEVEL,
            kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// `count` outcomes that come true at `share` of the promised probability. Versions promise different
    /// probabilities; a new version serves after every 24 outcomes.
    fn outcomes(count: usize, share: f64, seed: u64) -> Vec<LiveOutcome> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut usual = 0.0;
        let one = |n| {
            if n % 24 == 0 {
                usual = random.random_range(0.3..0.5);
            }
            let promised = usual + random.random_range(0.0..0.1);
            let succeeded = random.random_bool(share * promised);
            LiveOutcome { version: 1 + n as u64 / 24, promised, succeeded, given_ms: n as i64, closed_ms: n as i64 + 1 }
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn worked_by_hand() {
        // 30 failures promised at one half. Each has the ratio (1 − θ/2) / ½, so an earlier beginning multiplies more
        // of them.
        let failed = |n| LiveOutcome { version: 1, promised: 0.5, succeeded: false, given_ms: n, closed_ms: n + 1 };
        let got = weigh(&(0..30).map(failed).collect::<Vec<_>>());
        let ratio = |theta: f64| {
            let begun_at = |n: f64| ((1.0 - theta / 2.0) * 2.0).powf(31.0 - n) / (n * (n + 1.0));
            (1..=30).map(|n| begun_at(f64::from(n))).sum::<f64>()
        };
        let mean = (ratio(0.9) + ratio(0.75) + ratio(0.5) + ratio(0.25)) / 4.0 + 1.0 / 31.0;
        assert!((got.against / mean - 1.0).abs() < 1e-9 && got.is_broken);
        assert_eq!((got.closed, got.succeeded, got.expected, got.kept), (30, 0, 15.0, 0));
        let early = weigh(&(0..29).map(failed).collect::<Vec<_>>());
        assert!(!early.is_broken && early.against == 0.0, "29 outcomes are too few for a verdict");
        // The prior weights of all beginnings sum to one.
        assert!(((0..1000).map(weight).sum::<f64>() + 1.0 / 1001.0 - 1.0).abs() < 1e-12);
        let forever = weigh(&(0..5000).map(failed).collect::<Vec<_>>());
        assert!(forever.against.is_finite() && forever.is_broken, "{forever:?}");
        // Given all at once, they are thirty chains of one failure each, and prove as little as one.
        let at_once = |_| LiveOutcome { given_ms: 0, closed_ms: 1, ..failed(0) };
        let together = weigh(&(0..30).map(at_once).collect::<Vec<_>>());
        let ratio = |theta: f64| (1.0 - theta / 2.0) * 2.0 / 2.0;
        let one = (ratio(0.9) + ratio(0.75) + ratio(0.5) + ratio(0.25)) / 4.0 + 0.5;
        assert!((together.against - one).abs() < 1e-9 && !together.is_broken, "{together:?}");
    }

    #[test]
    fn kept_promises_are_seldom_called_broken_though_they_are_looked_at_each_time() {
        // The result after 400 outcomes includes every earlier test, because the highest value counts.
        let broken = |share| (0..1000).filter(|&seed| weigh(&outcomes(400, share, seed)).is_broken).count();
        let kept = broken(1.0);
        assert!(kept <= 15, "{kept} of 1000, ten are allowed");
        assert!(broken(1.2) <= 2, "more successes than promised do not break a promise");
        let halved = broken(0.5);
        assert!(halved >= 990, "half of what was promised: {halved} of 1000 found");
        let of_a_day = (0..1000).filter(|&seed| weigh(&outcomes(24, 0.5, seed)).is_broken).count();
        assert_eq!(of_a_day, 0, "no single version has enough closed signals");
    }

    #[test]
    fn after_long_good_service_broken_promises_are_found_no_later_and_dated() {
        let mut begun: Vec<i64> = (0..300)
            .filter_map(|seed| {
                let mut all = outcomes(1000, 1.0, seed);
                all.extend(outcomes(250, 0.5, seed + 1000));
                let record = weigh(&all);
                record.is_broken.then(|| record.kept as i64 - 1000)
            })
            .collect();
        assert!(begun.len() >= 290, "{} of 300 found within 250", begun.len());
        begun.sort_unstable();
        let [early, middle, late] = [1, 10, 19].map(|part| begun[begun.len() * part / 20]);
        assert!(early > -60 && middle.abs() <= 12 && late < 60, "{early} {middle} {late}");
    }

    /// The chain of each outcome, assigned to all of them at once.
    fn chains(outcomes: &[LiveOutcome]) -> Vec<usize> {
        let mut given: Vec<usize> = (0..outcomes.len()).collect();
        given.sort_by_key(|&at| (outcomes[at].given_ms, outcomes[at].closed_ms));
        let mut free_from: Vec<i64> = Vec::new();
        let mut chain = vec![0; outcomes.len()];
        for at in given {
            let LiveOutcome { given_ms, closed_ms, .. } = outcomes[at];
            let free = free_from.iter().position(|&free| free <= given_ms).unwrap_or(free_from.len());
            free_from.resize(free_from.len().max(free + 1), i64::MIN);
            free_from[free] = closed_ms.max(given_ms);
            chain[at] = free;
        }
        chain
    }

    /// The record by chains that were assigned at once.
    fn weighed_at_once(outcomes: &[LiveOutcome]) -> LiveRecord {
        let mut evidence = Evidence::default();
        outcomes.iter().zip(chains(outcomes)).for_each(|(outcome, at)| evidence.next(outcome, at));
        let Evidence { succeeded, expected, highest: against, kept, .. } = evidence;
        LiveRecord { closed: outcomes.len(), succeeded, expected, against, is_broken: against >= 1.0 / LEVEL, kept }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn outcomes_that_arrive_over_time_are_weighed_as_at_once(
            signals in prop::collection::vec((0i64..3, 0i64..12, prop::bool::weighted(0.02), 0.1..0.9f64, any::<bool>()), 1..400),
            steps in prop::collection::vec(1usize..9, 400),
        ) {
            let mut given_ms = 0;
            let mut outcomes: Vec<LiveOutcome> = signals.into_iter().map(|(pause, life, is_long, promised, succeeded)| {
                given_ms += pause;
                // Some stay open so long that many others are given and closed meanwhile, and many kept steps are too new.
                let closed_ms = given_ms + if is_long { 150 * life } else { life };
                LiveOutcome { version: 1, promised, succeeded, given_ms, closed_ms }
            }).collect();
            outcomes.sort_by_key(|outcome| outcome.closed_ms);
            let (mut weigher, mut rest, mut until) = (Weigher::default(), &*outcomes, 0);
            for step in steps {
                let (new, later) = rest.split_at(step.min(rest.len()));
                (rest, until) = (later, until + new.len());
                weigher.extend(new);
                prop_assert_eq!(weigher.record(), weighed_at_once(&outcomes[..until]));
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(weigh(&outcomes[..until]), weigher.record());
        }
    }
}
