//! Detects a change of the market: the model's predictions have become worse than simpler ones.

use serde::{Deserialize, Serialize};

/// The statistic at which a change is reported. For a calibrated model the product of likelihood ratios is a
/// martingale, so a false alarm comes at most once in e^8 ≈ 3 000 outcomes (Lorden, *Procedures for reacting to a
/// change in distribution*, 1971).
const ALARM: f64 = 8.0;
/// Half-life of the recent success rate, in outcomes.
const HALF_LIFE: f64 = 15.0;

/// Two CUSUM charts (Page, *Continuous inspection schemes*, 1954) of the log likelihood ratio of each outcome: one
/// compares the base rate with the prediction, the other compares the recent rate with the prediction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeDetector {
    sums: [f64; 2],
    /// For each chart, how many outcomes ago it was last at zero.
    since: [usize; 2],
    recent: f64,
}

impl Default for ChangeDetector {
    fn default() -> Self {
        Self { sums: [0.0; 2], since: [0; 2], recent: 0.5 }
    }
}

impl ChangeDetector {
    /// Adds an outcome of weight `weight`, with the probability and the base rate stated beforehand. `Some(n)` reports
    /// a change whose first sign was n outcomes ago.
    pub fn observe(&mut self, probability: f64, base: f64, success: bool, weight: f64) -> Option<usize> {
        let likelihood = |p: f64| if success { p } else { 1.0 - p };
        // Starts at the prediction, not at the base rate, so that it stays unchanged while the market does.
        let recent = self.recent.clamp(0.05, 0.95);
        for (i, simple) in [base, recent].into_iter().enumerate() {
            self.sums[i] += weight * (likelihood(simple) / likelihood(probability)).ln();
            self.since[i] += 1;
            if self.sums[i] <= 0.0 {
                self.sums[i] = 0.0;
                self.since[i] = 0;
            }
        }
        let keep = 0.5f64.powf(weight / HALF_LIFE);
        self.recent = keep * self.recent + (1.0 - keep) * f64::from(u8::from(success));
        let alarm = (0..2).find(|&i| self.sums[i] > ALARM)?;
        let since = self.since[alarm];
        *self = Self { recent: self.recent, ..Self::default() };
        Some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Simulates outcomes with these true probabilities and stated predictions; returns the positions of the alarms and
    /// what each reported.
    fn alarms(seed: u64, outcomes: impl Iterator<Item = (f64, f64)>) -> Vec<(usize, usize)> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut detector = ChangeDetector::default();
        let mut observe =
            |(predicted, truth): (f64, f64)| detector.observe(predicted, 0.6, rng.random_bool(truth), 1.0);
        outcomes.enumerate().filter_map(|(i, outcome)| Some((i, observe(outcome)?))).collect()
    }

    fn predicted(i: usize) -> f64 {
        if i.is_multiple_of(2) { 0.8 } else { 0.4 }
    }

    #[test]
    fn false_alarms_are_rarer_than_one_in_three_thousand() {
        let count: usize =
            (0..20).map(|seed| alarms(seed, (0..3_000).map(|i| (predicted(i), predicted(i)))).len()).sum();
        assert!(count <= 20, "{count} alarms in 60 000 outcomes");
    }

    #[test]
    fn a_flip_is_found_soon_and_dated() {
        let flipped = |i: usize| (predicted(i), if i < 300 { predicted(i) } else { 1.2 - predicted(i) });
        let found = |seed| *alarms(seed, (0..400).map(flipped)).iter().find(|(at, _)| *at >= 300).expect("an alarm");
        let found: Vec<(usize, usize)> = (0..20).map(found).collect();
        assert!(found.iter().filter(|(at, _)| *at < 350).count() >= 18, "{found:?}");
        assert!(found.iter().filter(|(at, since)| (at + 1 - since).abs_diff(300) <= 30).count() >= 16, "{found:?}");
    }

    #[test]
    fn outcomes_of_weight_zero_are_ignored() {
        let mut detector = ChangeDetector::default();
        assert!((0..1_000).all(|_| detector.observe(0.9, 0.6, false, 0.0).is_none()));
        let found = (1..).find(|_| detector.observe(0.9, 0.6, false, 0.25).is_some());
        let whole = (1..).find(|_| detector.observe(0.9, 0.6, false, 1.0).is_some());
        assert!(found.zip(whole).is_some_and(|(quarters, whole)| quarters > 3 * whole), "{found:?} {whole:?}");
    }

    #[test]
    fn a_fall_of_the_success_rate_is_found() {
        let fallen = |seed| alarms(seed, (0..400).map(|i| (0.6, if i < 300 { 0.6 } else { 0.2 })));
        let within = |outcomes: usize| {
            (0..20).filter(|&seed| fallen(seed).iter().any(|(at, _)| (300..300 + outcomes).contains(at))).count()
        };
        assert!(within(60) >= 15 && within(100) == 20, "{} {}", within(60), within(100));
    }
}
