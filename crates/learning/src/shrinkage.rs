//! Shrinks predictions towards the base rate, so that a model is no worse than knowing nothing: probability = base rate
//! + belief · departure. Also computes the weights of the learner families.

use super::clusters::{Weighed, interval};
use crate::model::{Families, HeldOutEvidence, OwnEvidence, PerFamily};

/// Standard errors subtracted: a model gets weight only as far as its success is not due to chance (one time in forty).
const CAUTION: f64 = 2.0;
/// The seed of the resamples that [`is_better`] draws.
const SEED: u64 = 1;
/// What the prior of equal weights is worth, in clusters: a year of weeks.
const PRIOR_CLUSTERS: f64 = 52.0;

/// The weight of a model's departures from the base rate, 0–1, from how well held-out departures matched the outcomes.
///
/// The slope of the outcomes on the departures is the weight that minimises the Brier score (least squares; Cox, *Two
/// further applications of a model for binary regression*, 1958, calls it the calibration slope). The lower end of its
/// confidence interval is used: a model without skill has a slope around 0 and mostly gets 0, and a good one with
/// enough evidence gets nearly 1.
pub fn believe(evidence: &HeldOutEvidence) -> f64 {
    let Some(slope) = evidence.slope() else { return 0.0 };
    (slope.value - quantile(slope.clusters - 1) * slope.error).clamp(0.0, 1.0)
}

/// The weight of an own model's departures beside those of our families, 0–1: the lower end of the confidence interval
/// of its own slope, so that it counts only as far as what it knows beyond them is not due to chance.
pub(super) fn own_weight(evidence: &OwnEvidence) -> f64 {
    let Some(slope) = evidence.slope() else { return 0.0 };
    (slope.value - quantile(slope.clusters - 2) * slope.error).clamp(0.0, 1.0)
}

/// The quantile of Student's t distribution that corresponds to [`CAUTION`] (Abramowitz and Stegun, 1964, 26.7.5): a
/// standard error from few clusters is itself uncertain.
fn quantile(freedom: usize) -> f64 {
    let (z, n) = (CAUTION, freedom as f64);
    z + (z.powi(3) + z) / (4.0 * n) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
}

/// The stacking weight of each family: 0 or more, adding up to 1.
///
/// Among all such weights, those with the least squared error on held-out rows (Breiman, *Stacked regressions*, 1996),
/// shrunk towards equal weights by a prior worth a year of weekly clusters.
pub fn stack(evidence: &HeldOutEvidence) -> PerFamily {
    const COUNT: usize = Families::COUNT;
    let equal = [1.0 / COUNT as f64; COUNT];
    let trace: f64 = (0..COUNT).map(|family| evidence.products[family][family]).sum();
    let clusters = evidence.clusters.len() as f64;
    if trace <= 0.0 || clusters == 0.0 {
        return equal;
    }
    let pull = trace / COUNT as f64 * PRIOR_CLUSTERS / clusters;
    let error = |weights: &PerFamily| {
        let products =
            (0..COUNT).map(|a| (0..COUNT).map(|b| weights[a] * weights[b] * evidence.products[a][b]).sum::<f64>());
        let agreement: f64 = weights.iter().zip(evidence.agreements).map(|(weight, sum)| weight * sum).sum();
        let apart: f64 = weights.iter().zip(equal).map(|(weight, equal)| (weight - equal).powi(2)).sum();
        products.sum::<f64>() - 2.0 * agreement + pull * apart
    };
    // A grid of hundredths is fine enough: the error is a parabola around its minimum.
    let mut best = (error(&equal), equal);
    let steps = 100;
    for a in 0..=steps {
        for b in 0..=steps - a {
            let weights = [a, b, steps - a - b].map(|part| f64::from(part) / f64::from(steps));
            let error = error(&weights);
            if error < best.0 {
                best = (error, weights);
            }
        }
    }
    best.1
}

/// Whether learners with adjusted weights are significantly better than plain ones on held-out rows, given the
/// difference of their log losses. Taking them whenever they were merely ahead made results worse (`adjusted.rs`).
pub(super) fn is_better(excess: &[Weighed], cluster_ms: i64) -> bool {
    interval(excess.iter().copied(), cluster_ms, SEED).0.is_some_and(|found| found.high < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Departure;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Rows whose true probability departs from 0.4 by `skill` times the predicted departure; the ten rows of each time
    /// have the same prediction and the same outcome.
    fn rows(times: usize, skill: f64, seed: u64) -> HeldOutEvidence {
        let (mut rng, mut evidence) = (ChaCha8Rng::seed_from_u64(seed), HeldOutEvidence::new(10));
        for time in 0..times as i64 {
            let mean: f64 = rng.random_range(-0.2..0.2);
            let surprise = f64::from(u8::from(rng.random_bool(0.4 + skill * mean))) - 0.4;
            let row = Departure { time_ms: time, families: [mean; Families::COUNT], mean, surprise };
            (0..10).for_each(|_| evidence.add(&row));
        }
        evidence
    }

    #[test]
    fn a_model_without_skill_is_seldom_believed_and_then_little() {
        for times in [80, 150, 600] {
            let beliefs: Vec<f64> = (0..400).map(|seed| believe(&rows(times, 0.0, seed))).collect();
            let believed = beliefs.iter().filter(|belief| **belief > 0.0).count();
            assert!(believed <= 24, "one in forty by chance: {believed} of 400 with {times} times");
            assert!(beliefs.iter().sum::<f64>() / 400.0 < 0.02);
        }
    }

    #[test]
    fn an_own_model_that_knows_nothing_new_is_seldom_weighed_and_then_little() {
        // Its departure repeats half of ours and is noise otherwise; ours is overconfident.
        let weight = |seed: u64, knows: f64| {
            let (mut rng, mut evidence) = (ChaCha8Rng::seed_from_u64(seed), OwnEvidence::new(10));
            for time in 0..150 {
                let (ours, noise): (f64, f64) = (rng.random_range(-0.2..0.2), rng.random_range(-0.2..0.2));
                let happens = rng.random_bool(0.4 + 0.5 * ours + knows * noise);
                let surprise = f64::from(u8::from(happens)) - 0.4;
                (0..10).for_each(|_| evidence.add(time * 10, ours, 0.5 * ours + noise, surprise));
            }
            own_weight(&evidence)
        };
        let weights: Vec<f64> = (0..400).map(|seed| weight(seed, 0.0)).collect();
        let weighed = weights.iter().filter(|weight| **weight > 0.0).count();
        assert!(weighed <= 24, "one in forty by chance: {weighed} of 400");
        assert!(weights.iter().sum::<f64>() / 400.0 < 0.03);
        let known = (0..40).map(|seed| weight(seed, 1.0)).sum::<f64>() / 40.0;
        assert!(known > 0.2, "{known}");
        assert_eq!(own_weight(&OwnEvidence::default()), 0.0);
    }

    #[test]
    fn skill_is_believed_as_evidence_grows() {
        assert!(believe(&rows(20_000, 1.0, 1)) > 0.85);
        assert!(believe(&rows(20_000, 0.5, 1)) < 0.55, "an overconfident model is shrunk");
        assert_eq!(believe(&rows(20_000, -1.0, 1)), 0.0, "a wrong model is not inverted");
        assert_eq!(believe(&HeldOutEvidence::default()), 0.0);
    }

    #[test]
    fn quantiles_match_published_tables() {
        // Student's t at the probability of the standard normal's 2 (0.97725): 2.43 with 7, 2.07 with 30 degrees of
        // freedom.
        assert!(
            (quantile(7) - 2.43).abs() < 0.02 && (quantile(30) - 2.09).abs() < 0.02,
            "{} {}",
            quantile(7),
            quantile(30)
        );
    }

    #[test]
    fn a_family_that_errs_counts_less_the_more_is_known() {
        let weights = |times: i64| {
            let (mut rng, mut evidence) = (ChaCha8Rng::seed_from_u64(3), HeldOutEvidence::new(10));
            for time_ms in 0..times {
                let truth: f64 = rng.random_range(-0.2..0.2);
                let surprise = f64::from(u8::from(rng.random_bool(0.4 + truth))) - 0.4;
                let mut families = [truth; Families::COUNT];
                families[1] = rng.random_range(-0.4..0.4);
                evidence.add(&Departure { time_ms, families, mean: truth, surprise });
            }
            stack(&evidence)
        };
        assert_eq!(stack(&HeldOutEvidence::default()), [1.0 / Families::COUNT as f64; Families::COUNT]);
        let (few, many) = (weights(100), weights(20_000));
        assert!(many[1] < 0.08 && many[1] < few[1] && few[1] < 0.34, "{few:?} {many:?}");
        for weights in [few, many] {
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9 && weights.iter().all(|weight| *weight >= 0.0));
        }
    }
}
