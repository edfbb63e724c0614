//! Stacking: the weight of each source of evidence, learned from how well its earlier predictions came true.
//!
//! A logistic regression of outcomes on the sources' predictions, with a normal prior on each weight (Wolpert, *Stacked
//! generalization*, 1992, on predictions made beforehand). To account for dependent outcomes, the precision of a prior
//! is multiplied by the design effect of its source. Older outcomes count less.

use super::cholesky::Cholesky;
use super::design::Design;
use crate::odds::logistic;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// Number of sources: candles, base rates, and the three learners of indicators.
pub const SOURCES: usize = 5;
/// The prior mean and standard deviation of each source's weight. The learners use the same indicators, so they share a
/// weight of about one.
const PRIORS: [(f64, f64); SOURCES] = [(0.8, 0.25), (0.9, 0.4), (0.5, 0.3), (0.3, 0.2), (0.2, 0.2)];
/// Dependent outcomes mislead the learners more than base rates, so their prior weights are divided by the square root
/// of the design effect.
const LEARNERS: std::ops::RangeFrom<usize> = 2..;
/// The range of a weight: no source is reversed, nor exaggerated much.
const RANGE: (f64, f64) = (0.0, 1.3);
/// The half-life of an outcome's weight, in time clusters.
const HALF_LIFE: f64 = 150.0;
const STEPS: usize = 15;

/// The predictions of a signal, and its outcome.
#[derive(Debug, Clone, Copy)]
pub struct Forecast {
    /// The log odds implied by its levels.
    pub implied: f64,
    /// The departure that each source added.
    pub departures: [f64; SOURCES],
    /// The time cluster in which it was given.
    pub cluster: i64,
    /// Its weight before discounting by age.
    pub weight: f64,
    /// Whether it succeeded.
    pub success: bool,
}

/// The weights of the sources.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Stack {
    /// The weight of each source.
    pub weights: [f64; SOURCES],
    /// The variance of each weight.
    pub variances: [f64; SOURCES],
}

impl Default for Stack {
    fn default() -> Self {
        Self::prior(1.0)
    }
}

impl Stack {
    /// The weights before any prediction has been tested, for a design effect of `design`.
    pub fn prior(design: f64) -> Self {
        let mut weights = PRIORS.map(|(mean, _)| mean);
        weights[LEARNERS].iter_mut().for_each(|weight| *weight /= design.max(1.0).sqrt());
        Self { weights, variances: PRIORS.map(|(_, spread)| spread * spread) }
    }

    /// Fits the weights to predictions in order of their clusters.
    pub fn fit(rows: &[Forecast], design: f64) -> Self {
        let prior = Self::prior(design);
        let mut stack = prior;
        let Some(newest) = rows.last().map(|row| row.cluster) else { return stack };
        let counts: Vec<f64> =
            rows.iter().map(|row| row.weight * 0.5f64.powf((newest - row.cluster) as f64 / HALF_LIFE)).collect();
        for _ in 0..STEPS {
            let mut curvature = Array2::zeros((SOURCES, SOURCES));
            let mut gradient = [0.0; SOURCES];
            let mut designs = [Design::default(); SOURCES];
            for (row, count) in rows.iter().zip(&counts) {
                let p = logistic(stack.log_odds(row.implied, &row.departures));
                let surprise = f64::from(u8::from(row.success)) - p;
                for (source, departure) in row.departures.iter().enumerate() {
                    let score = count * departure * surprise;
                    gradient[source] += score;
                    designs[source].add(row.cluster, score);
                    for (other, with) in row.departures.iter().enumerate() {
                        curvature[[source, other]] += count * departure * with * p * (1.0 - p);
                    }
                }
            }
            let designs = designs.map(Design::effect);
            for (source, mean) in prior.weights.into_iter().enumerate() {
                let precision = designs[source] / prior.variances[source];
                gradient[source] -= precision * (stack.weights[source] - mean);
                curvature[[source, source]] += precision;
            }
            let Some(factor) = Cholesky::of(curvature) else { return prior };
            let before = stack.weights;
            for (weight, step) in stack.weights.iter_mut().zip(factor.solve(&gradient)) {
                *weight = (*weight + step.clamp(-0.5, 0.5)).clamp(RANGE.0, RANGE.1);
            }
            let variances = factor.inverse();
            stack.variances = std::array::from_fn(|source| variances[[source, source]] * designs[source]);
            if before.iter().zip(&stack.weights).all(|(a, b)| (a - b).abs() < 1e-4) {
                break;
            }
        }
        stack
    }

    /// The log odds of a signal from all sources.
    pub fn log_odds(&self, implied: f64, departures: &[f64; SOURCES]) -> f64 {
        implied + self.weights.iter().zip(departures).map(|(weight, departure)| weight * departure).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Predictions of all sources, of which only `knows` is right. Ten signals are given at a time, with common luck if
    /// `share`.
    fn stack(knows: Option<usize>, count: i64, share: bool) -> Stack {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut rows = Vec::new();
        for cluster in 0..count / 10 {
            let luck: f64 = random.random();
            let shared: [f64; SOURCES] = std::array::from_fn(|_| random.random_range(-1.0..1.0));
            for _ in 0..10 {
                let own: [f64; SOURCES] = std::array::from_fn(|_| random.random_range(-1.0..1.0));
                let departures = if share { shared } else { own };
                let p = logistic(knows.map_or(0.0, |source| departures[source]));
                let drawn = if share { luck } else { random.random() };
                rows.push(Forecast { implied: 0.0, departures, cluster, weight: 1.0, success: drawn < p });
            }
        }
        Stack::fit(&rows, if share { 10.0 } else { 1.0 })
    }

    #[test]
    fn a_source_counts_as_far_as_it_predicted() {
        for knows in 0..SOURCES {
            let weights = stack(Some(knows), 4_000, false).weights;
            for (source, weight) in weights.into_iter().enumerate() {
                let expected = if source == knows { 1.0 } else { 0.0 };
                assert!((weight - expected).abs() < 0.25, "{knows} {source}: {weights:?}");
            }
        }
        assert!(stack(None, 4_000, false).weights.iter().all(|weight| *weight < 0.25));
    }

    #[test]
    fn few_forecasts_hardly_move_the_prior() {
        assert_eq!(Stack::fit(&[], 1.0).weights, [0.8, 0.9, 0.5, 0.3, 0.2]);
        assert_eq!(Stack::fit(&[], 4.0).weights, [0.8, 0.9, 0.25, 0.15, 0.1]);
        let few = stack(None, 20, false).weights;
        assert!(few[2] > 0.3 && few[2] < 0.6, "{few:?}");
    }

    #[test]
    fn dependent_outcomes_are_weaker_evidence() {
        let [apart, together] = [false, true].map(|share| stack(None, 800, share).variances[2]);
        assert!(together > 2.0 * apart, "{together} beside {apart}");
    }
}
