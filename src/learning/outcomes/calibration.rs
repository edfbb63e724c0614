//! How far to believe the forests: a curve in log odds, fitted to predictions of rows that they had not seen.

use super::base_rate::{log_odds, logistic};

/// Priors of the three terms, each a mean and a spread: of the intercept, of the slope (such forests are about right), and
/// of the bend.
const PRIORS: [(f64, f64); 3] = [(0.0, 0.2), (0.9, 0.7), (0.0, 0.5)];
/// A little is always believed, so that the order of signals is kept.
const LEAST_SLOPE: f64 = 0.02;
/// Where the bend saturates, in log odds.
const BEND: f64 = 0.5;
const STEPS: usize = 10;
const PROBABILITY_RANGE: (f64, f64) = (0.02, 0.98);

/// `log odds = log odds of the base rate + intercept + slope · d + bend · tanh(d / ½)`, d being how far the forests depart
/// from the base rate.
///
/// Platt, *Probabilistic Outputs for Support Vector Machines*, 1999, with the base rate as offset, normal priors, and a bend:
/// averaging trees draws the middle of the range together.
#[derive(Debug, Clone, Copy)]
pub struct Calibration {
    terms: [f64; 3],
}

impl Default for Calibration {
    fn default() -> Self {
        Self { terms: PRIORS.map(|(mean, _)| mean) }
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
    /// The most probable curve, by Newton's method; one that rises.
    pub fn fit(rows: &[Unseen]) -> Self {
        let mut curve = Self::default();
        for _ in 0..STEPS {
            let mut gradient = [0.0; 3];
            let mut curvature = [[0.0; 3]; 3];
            for (i, (mean, spread)) in PRIORS.into_iter().enumerate() {
                gradient[i] = (mean - curve.terms[i]) / (spread * spread);
                curvature[i][i] = 1.0 / (spread * spread);
            }
            for row in rows {
                let basis = basis(row.base, row.residual);
                let p = logistic(log_odds(row.base) + dot(&curve.terms, &basis));
                let surprise = row.weight * (f64::from(u8::from(row.success)) - p);
                let information = row.weight * p * (1.0 - p);
                for i in 0..3 {
                    gradient[i] += surprise * basis[i];
                    for j in 0..3 {
                        curvature[i][j] += information * basis[i] * basis[j];
                    }
                }
            }
            let step = solve(curvature, gradient);
            for (term, step) in curve.terms.iter_mut().zip(step) {
                *term += step;
            }
        }
        let [intercept, slope, bend] = curve.terms;
        let slope = slope.max(LEAST_SLOPE);
        // Steepest in the middle, flattest at the ends: it rises everywhere if it does there.
        Self { terms: [intercept, slope, bend.max(LEAST_SLOPE - slope * BEND)] }
    }

    /// The probability of a base rate and what the forests add to it.
    pub fn probability(&self, base: f64, residual: f64) -> f64 {
        let p = logistic(log_odds(base) + dot(&self.terms, &basis(base, residual)));
        p.clamp(PROBABILITY_RANGE.0, PROBABILITY_RANGE.1)
    }
}

fn basis(base: f64, residual: f64) -> [f64; 3] {
    let moved = (base + residual).clamp(PROBABILITY_RANGE.0, PROBABILITY_RANGE.1);
    let departure = log_odds(moved) - log_odds(base);
    [1.0, departure, (departure / BEND).tanh()]
}

fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves a symmetric positive definite system by elimination; priors keep the pivots away from 0.
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3]) -> [f64; 3] {
    for pivot in 0..3 {
        for row in pivot + 1..3 {
            let factor = matrix[row][pivot] / matrix[pivot][pivot];
            for column in pivot..3 {
                matrix[row][column] -= factor * matrix[pivot][column];
            }
            right[row] -= factor * right[pivot];
        }
    }
    for row in (0..3).rev() {
        let known: f64 = (row + 1..3).map(|column| matrix[row][column] * right[column]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}
