//! Whether a model in service keeps what its held-out figures promised.

use serde::{Deserialize, Serialize};

/// Closed signals below which nothing is decided.
pub const MIN_CLOSED: usize = 30;
/// A model that keeps its promise is called broken at most one time in a hundred, however often it is looked at.
pub const LEVEL: f64 = 0.01;
/// The alternatives that the evidence is weighed for: the true probability is this share of the promised one.
const SHORTFALLS: [f64; 4] = [0.9, 0.75, 0.5, 0.25];

/// One closed signal of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveOutcome {
    /// The probability of success that the model gave it, 0–1.
    pub promised: f64,
    /// Whether it succeeded.
    pub succeeded: bool,
}

/// What live outcomes say of a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LiveRecord {
    /// Closed signals.
    pub closed: usize,
    /// How many succeeded.
    pub succeeded: usize,
    /// How many should have, by the model's own probabilities.
    pub expected: f64,
    /// How many times likelier the outcomes are at their best under a shortfall than under the promise.
    pub against: f64,
    /// The promise is broken.
    pub is_broken: bool,
}

/// Weighs outcomes, in order of time, against what was promised.
///
/// For each shortfall θ the likelihood ratio Π (θp or 1 − θp) / (p or 1 − p) is a martingale when p is right and shrinks
/// when success is likelier still. The mean of several is one too, so it ever reaches 1/[`LEVEL`] with a probability of at
/// most [`LEVEL`] (Ville, *Étude critique de la notion de collectif*, 1939; Wald's sequential test, with a mixture of
/// alternatives). So looking after each closed signal costs no confidence, which it would with a test of fixed size. What
/// was proven once stays proven: the highest value counts.
pub fn weigh(outcomes: &[LiveOutcome]) -> LiveRecord {
    // Logarithms: the products of a few hundred outcomes leave the range of f64.
    let mut ratios = [0.0f64; SHORTFALLS.len()];
    let mut highest = 0.0f64;
    let (mut succeeded, mut expected) = (0, 0.0);
    for (closed, outcome) in outcomes.iter().enumerate() {
        // A promise of certainty would be broken beyond repair by one failure.
        let p = outcome.promised.clamp(0.0, 0.999);
        expected += outcome.promised;
        succeeded += usize::from(outcome.succeeded);
        for (ratio, theta) in ratios.iter_mut().zip(SHORTFALLS) {
            *ratio += if outcome.succeeded { theta.ln() } else { ((1.0 - theta * p) / (1.0 - p)).ln() };
        }
        if closed + 1 >= MIN_CLOSED {
            let mean = ratios.iter().map(|ratio| ratio.min(700.0).exp()).sum::<f64>() / SHORTFALLS.len() as f64;
            highest = highest.max(mean);
        }
    }
    LiveRecord { closed: outcomes.len(), succeeded, expected, against: highest, is_broken: highest >= 1.0 / LEVEL }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// `count` outcomes promised at about 0.45 that come true at `share` of it.
    fn outcomes(count: usize, share: f64, seed: u64) -> Vec<LiveOutcome> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .map(|_| {
                let promised = random.random_range(0.35..0.55);
                LiveOutcome { promised, succeeded: random.random_bool(share * promised) }
            })
            .collect()
    }

    #[test]
    fn worked_by_hand() {
        // 30 failures promised at one half: each ratio is (1 − θ/2)³⁰ / ½³⁰.
        let got = weigh(&[LiveOutcome { promised: 0.5, succeeded: false }; 30]);
        let ratio = |theta: f64| ((1.0 - theta / 2.0) * 2.0).powi(30);
        let mean = (ratio(0.9) + ratio(0.75) + ratio(0.5) + ratio(0.25)) / 4.0;
        assert!((got.against / mean - 1.0).abs() < 1e-9 && got.is_broken);
        assert_eq!((got.closed, got.succeeded, got.expected), (30, 0, 15.0));
        let early = weigh(&[LiveOutcome { promised: 0.5, succeeded: false }; 29]);
        assert!(!early.is_broken && early.against == 0.0, "29 are too few, whatever they say");
    }

    #[test]
    fn a_kept_promise_is_seldom_called_broken_though_it_is_looked_at_each_time() {
        // What `weigh` says of 400 outcomes is whether it would have said so after any number of them.
        let broken = |share| (0..1000).filter(|&seed| weigh(&outcomes(400, share, seed)).is_broken).count();
        let kept = broken(1.0);
        assert!(kept <= 15, "{kept} of 1000, ten are allowed");
        assert!(broken(1.2) <= 2, "more successes than promised are no breach");
        let halved = broken(0.5);
        assert!(halved >= 990, "half of what was promised: {halved} of 1000 found");
    }
}
