//! How far each source of evidence is followed: as far as what it said before an outcome was known has come true.
//!
//! A logistic regression of outcomes on what the sources had said, with a normal prior on each weight (Wolpert, *Stacked
//! generalization*, 1992, on forecasts made beforehand). A prior counts as many times as the design effect of its source says, since
//! outcomes of one time are no separate proofs; older outcomes count less.

use super::cholesky::Cholesky;
use super::design::Design;
use super::levels::logistic;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// Candles, base rates, and the three learners of indicators.
pub const SOURCES: usize = 5;
/// The weight of each source before any of its forecasts has come true or not, and how far it may be from that (standard
/// deviation). The learners share one voice: they look at the same indicators.
const PRIORS: [(f64, f64); SOURCES] = [(0.8, 0.25), (0.9, 0.4), (0.5, 0.3), (0.3, 0.2), (0.2, 0.2)];
/// The learners take outcomes of one time for separate proofs more than base rates do: their prior weights are divided by the square
/// root of the design effect.
const LEARNERS: std::ops::RangeFrom<usize> = 2..;
/// No source is followed against what it says, nor much further than it goes.
const RANGE: (f64, f64) = (0.0, 1.3);
/// After so many clusters of time, an outcome counts half.
const HALF_LIFE: f64 = 150.0;
const STEPS: usize = 15;

/// What had been said of a signal, and what came of it.
#[derive(Debug, Clone, Copy)]
pub struct Foretold {
    /// The log odds that its levels imply.
    pub implied: f64,
    /// What each source added.
    pub departures: [f64; SOURCES],
    /// The cluster of time that it was given in.
    pub cluster: i64,
    /// What it counts, beside its age.
    pub weight: f64,
    /// Whether it succeeded.
    pub success: bool,
}

/// The weights of the sources.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Stack {
    /// Of each source.
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
    /// Before any forecast, where one of `design` outcomes stands for all of them.
    pub fn prior(design: f64) -> Self {
        let mut weights = PRIORS.map(|(mean, _)| mean);
        weights[LEARNERS].iter_mut().for_each(|weight| *weight /= design.max(1.0).sqrt());
        Self { weights, variances: PRIORS.map(|(_, spread)| spread * spread) }
    }

    /// By forecasts in order of their clusters.
    pub fn fit(rows: &[Foretold], design: f64) -> Self {
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

    /// The log odds of a signal by all that is said of it.
    pub fn log_odds(&self, implied: f64, departures: &[f64; SOURCES]) -> f64 {
        implied + self.weights.iter().zip(departures).map(|(weight, departure)| weight * departure).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Forecasts of every source, of which only that of `knows` comes true. Ten are of one time, and share their luck or not.
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
                rows.push(Foretold { implied: 0.0, departures, cluster, weight: 1.0, success: drawn < p });
            }
        }
        Stack::fit(&rows, if share { 10.0 } else { 1.0 })
    }

    #[test]
    fn a_source_counts_as_far_as_it_foretold() {
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
    fn without_forecasts_the_prior_stands_and_few_move_it_little() {
        assert_eq!(Stack::fit(&[], 1.0).weights, [0.8, 0.9, 0.5, 0.3, 0.2]);
        assert_eq!(Stack::fit(&[], 4.0).weights, [0.8, 0.9, 0.25, 0.15, 0.1]);
        let few = stack(None, 20, false).weights;
        assert!(few[2] > 0.3 && few[2] < 0.6, "{few:?}");
    }

    #[test]
    fn what_happened_together_is_less_of_a_proof() {
        let [apart, together] = [false, true].map(|share| stack(None, 800, share).variances[2]);
        assert!(together > 2.0 * apart, "{together} beside {apart}");
    }
}
