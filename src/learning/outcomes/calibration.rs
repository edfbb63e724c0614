//! How far to believe the forests: a curve in log odds, fitted to predictions of rows that they had not seen, and how likely
//! it is that there is anything to believe at all.

use super::base_rate::{log_odds, logistic};
use serde::{Deserialize, Serialize};

/// Terms of the curve.
const TERMS: usize = 4;
/// Priors of the terms, each a mean and a spread: what such forests need in markets with rules. Intercept, slope, the bend
/// that draws the averaged middle apart again, and the hump of markets where most signals are alike and some fail.
const PRIORS: [(f64, f64); TERMS] = [(0.0, 0.1), (1.0, 0.2), (0.3, 0.15), (0.0, 0.3)];
/// Where bend and hump end, in log odds.
const BEND: f64 = 0.5;
/// The part of the slope that a hump may take back: the curve rises everywhere.
const MOST_HUMP: f64 = 0.3;
const LEAST_SLOPE: f64 = 0.02;
/// A little is always believed, so that the order of signals is kept.
const LEAST_BELIEF: f64 = 0.02;
const STEPS: usize = 10;
/// What is told lies in it: of rarer things, outcomes as few as these know nothing.
pub const PROBABILITY_RANGE: (f64, f64) = (0.02, 0.98);

/// `log odds = log odds of the base rate + a + b · d + c · tanh(d / ½) + e · (1 − tanh²(d / ½))`, d being how far the forests
/// depart from the base rate; averaged with the base rate by how likely the curve is, given what happened.
///
/// Platt, *Probabilistic Outputs for Support Vector Machines*, 1999, with the base rate as offset and normal priors; the
/// average is that of two models, one of which knows nothing, alike before (Hoeting et al., *Bayesian Model Averaging*, 1999).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Calibration {
    terms: [f64; TERMS],
    belief: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { terms: PRIORS.map(|(mean, _)| mean), belief: 1.0 }
    }
}

/// One prediction of a row that the forests had not seen.
#[derive(Debug, Clone, Copy)]
pub struct Unseen {
    /// The base rate.
    pub base: f64,
    /// What the forests add to it.
    pub residual: f64,
    /// What happened.
    pub success: bool,
    /// What it counts.
    pub weight: f64,
}

impl Calibration {
    /// The most probable curve, by Newton's method, and the belief in it.
    pub fn fit(rows: &[Unseen]) -> Self {
        let mut curve = Self::default();
        for _ in 0..STEPS {
            curve.step(rows);
        }
        let [intercept, slope, bend, hump] = curve.terms;
        let slope = slope.max(LEAST_SLOPE);
        let hump = hump.clamp(-MOST_HUMP * slope, MOST_HUMP * slope);
        // Steepest in the middle, flattest at the ends: it rises everywhere if it does there.
        curve.terms = [intercept, slope, bend.max(0.0), hump];
        let likelihood = |p: f64, success: bool| if success { p } else { 1.0 - p };
        let ratio = rows.iter().map(|row| {
            let said = likelihood(curve.probability(row.base, row.residual), row.success);
            row.weight * (said / likelihood(row.base, row.success)).ln()
        });
        Self { belief: logistic(ratio.sum()).max(LEAST_BELIEF), ..curve }
    }

    fn step(&mut self, rows: &[Unseen]) {
        let mut gradient = [0.0; TERMS];
        let mut curvature = [[0.0; TERMS]; TERMS];
        for (i, (mean, spread)) in PRIORS.into_iter().enumerate() {
            gradient[i] = (mean - self.terms[i]) / (spread * spread);
            curvature[i][i] = 1.0 / (spread * spread);
        }
        for row in rows {
            let basis = basis(row.base, row.residual);
            let p = logistic(log_odds(row.base) + dot(&self.terms, &basis));
            let surprise = row.weight * (f64::from(u8::from(row.success)) - p);
            let information = row.weight * p * (1.0 - p);
            for (i, term) in basis.iter().enumerate() {
                gradient[i] += surprise * term;
                for (cell, other) in curvature[i].iter_mut().zip(&basis) {
                    *cell += information * term * other;
                }
            }
        }
        for (term, step) in self.terms.iter_mut().zip(solve(curvature, gradient)) {
            *term += step;
        }
    }

    /// The probability of a base rate and what the forests add to it.
    pub fn probability(&self, base: f64, residual: f64) -> f64 {
        let p = logistic(log_odds(base) + dot(&self.terms, &basis(base, residual)));
        base + self.belief * (p.clamp(PROBABILITY_RANGE.0, PROBABILITY_RANGE.1) - base)
    }
}

fn basis(base: f64, residual: f64) -> [f64; TERMS] {
    let moved = (base + residual).clamp(PROBABILITY_RANGE.0, PROBABILITY_RANGE.1);
    let departure = log_odds(moved) - log_odds(base);
    let bent = (departure / BEND).tanh();
    [1.0, departure, bent, 1.0 - bent * bent]
}

fn dot(a: &[f64; TERMS], b: &[f64; TERMS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves a symmetric positive definite system by elimination; priors keep the pivots away from 0.
fn solve(mut matrix: [[f64; TERMS]; TERMS], mut right: [f64; TERMS]) -> [f64; TERMS] {
    for pivot in 0..TERMS {
        let (above, below) = matrix.split_at_mut(pivot + 1);
        for (offset, row) in below.iter_mut().enumerate() {
            let factor = row[pivot] / above[pivot][pivot];
            row.iter_mut().zip(&above[pivot]).for_each(|(cell, top)| *cell -= factor * top);
            right[pivot + 1 + offset] -= factor * right[pivot];
        }
    }
    for row in (0..TERMS).rev() {
        let known: f64 = (row + 1..TERMS).map(|column| matrix[row][column] * right[column]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Forests that depart from 0.6 by what is drawn; the truth departs `skill` times as far, in log odds.
    fn rows(count: usize, skill: f64, seed: u64) -> Vec<Unseen> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut row = || {
            let residual: f64 = rng.random_range(-0.25..0.25);
            let departure = log_odds(0.6 + residual) - log_odds(0.6);
            let success = rng.random_bool(logistic(log_odds(0.6) + skill * departure));
            Unseen { base: 0.6, residual, success, weight: 1.0 }
        };
        (0..count).map(|_| row()).collect()
    }

    #[test]
    fn solves_by_hand() {
        let matrix = [[2.0, 1.0, 0.0, 0.0], [1.0, 3.0, 0.0, 1.0], [0.0, 0.0, 4.0, 0.0], [0.0, 1.0, 0.0, 2.0]];
        let got = solve(matrix, [4.0, 11.0, 12.0, 10.0]);
        assert!(got.iter().zip([1.0, 2.0, 3.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?}");
    }

    #[test]
    fn without_skill_the_base_rate_is_served() {
        let far = |seed| (Calibration::fit(&rows(300, 0.0, seed)).probability(0.6, 0.2) - 0.6).abs();
        let far: Vec<f64> = (0..40).map(far).collect();
        assert!(far.iter().sum::<f64>() / 40.0 < 0.02, "{far:?}");
        assert!(far.iter().filter(|far| **far > 0.03).count() <= 4, "by chance alone: {far:?}");
    }

    #[test]
    fn skill_is_served_as_it_proved() {
        for skill in [0.8, 1.5] {
            let line = Calibration::fit(&rows(3000, skill, 1));
            for residual in [-0.2, -0.1, 0.1, 0.2] {
                let truth = logistic(log_odds(0.6) + skill * (log_odds(0.6 + residual) - log_odds(0.6)));
                let p = line.probability(0.6, residual);
                assert!((p - truth).abs() < 0.05, "{skill} {residual}: {p} {truth}");
            }
        }
    }

    proptest! {
        #[test]
        fn rises_everywhere_and_stays_a_probability(
            skill in -1.0..2.0f64, count in 0usize..200, seed in 0u64..50, a in -1.0..1.0f64, b in -1.0..1.0f64,
        ) {
            let line = Calibration::fit(&rows(count, skill, seed));
            let (low, high) = (line.probability(0.5, a.min(b)), line.probability(0.5, a.max(b)));
            prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            prop_assert!(low <= high + 1e-12, "{} {} {:?}", low, high, line);
        }
    }
}
