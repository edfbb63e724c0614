//! Base rates in levels: how signals did overall compared with what was expected of them, and how far strategies,
//! symbols, timeframes and directions depart from that. Each level counts only as far as outcomes show that its groups
//! differ.
//!
//! A logistic regression with random intercepts (Gelman and Hill, *Data Analysis Using Regression and
//! Multilevel/Hierarchical Models*, 2007, chapter 14), fitted by Laplace's approximation (Breslow and Clayton,
//! *Approximate inference in generalized linear mixed models*, 1993). The standard deviation of a level is the most
//! likely one on a grid; unlike the EM algorithm, a grid search needs no good starting value. Outcomes are counted as
//! if they were independent, which does not bias the rates; to account for dependence, each prior's precision is
//! multiplied by the design effect.

use super::case::Case;
use super::cholesky::Cholesky;
use super::design::Design;
use crate::odds::logistic;
use domain::barrier::Direction;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Prior standard deviations in log odds: of the overall departure from expectation, and of the groups of each level.
/// Lasting departures of symbols and directions are small: most that show for some months belong to the market phase,
/// and reverse.
const SPREAD_OF_ALL: f64 = 0.2;
const SPREADS: [f64; LEVELS] = [0.12, 0.05, 0.05, 0.05, 0.05, 0.05];
/// How many groups the prior of a level is worth.
const WORTH: f64 = 3.0;
/// The smallest and largest standard deviation of a level: a single run of luck, or a single period, must not explain
/// more. The grid has this many values between them.
const SPREAD_RANGE: (f64, f64) = (0.01, 0.5);
const SPREADS_TRIED: i32 = 50;
/// The largest number of groups per level; the most frequent are used.
const MAX_GROUPS: usize = 200;
const ROUNDS: usize = 10;
const STEPS: usize = 8;

/// Strategy, symbol, timeframe, direction, strategy among BUYs, and strategy among SELLs.
const LEVELS: usize = 6;

fn keys(case: &Case) -> [Option<&str>; LEVELS] {
    let strategy = case.strategy.as_deref();
    let (side, of_buy, of_sell) = match case.direction {
        Direction::Buy => ("BUY", strategy, None),
        Direction::Sell => ("SELL", None, strategy),
    };
    [strategy, Some(case.symbol().as_str()), Some(case.timeframe().as_str()), Some(side), of_buy, of_sell]
}

/// An outcome as evidence on base rates.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// The signal.
    pub case: &'a Case,
    /// The expected log odds.
    pub expected: f64,
    /// The time cluster in which it was given.
    pub cluster: i64,
    /// Its weight.
    pub weight: f64,
    /// Whether it succeeded.
    pub success: bool,
}

/// The fitted shifts in log odds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Levels {
    all: Shift,
    levels: Vec<HashMap<String, Shift>>,
    design: f64,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Shift {
    value: f64,
    variance: f64,
}

impl Levels {
    /// Fits these outcomes, which are in order of their clusters.
    pub fn fit(rows: &[Counted<'_>]) -> Self {
        let groups = groups(rows);
        let starts: Vec<usize> = groups
            .iter()
            .scan(1, |next, level| {
                let start = *next;
                *next += level.len();
                Some(start)
            })
            .collect();
        let parameters = 1 + groups.iter().map(HashMap::len).sum::<usize>();
        let mut numbers: HashMap<Vec<usize>, usize> = HashMap::new();
        let mut cells: Vec<Vec<usize>> = Vec::new();
        let cell_of = rows.iter().map(|row| {
            let of_level = keys(row.case).into_iter().zip(&groups).zip(&starts);
            let place = of_level.filter_map(|((key, level), start)| Some(start + level.get(key?)?));
            let places: Vec<usize> = std::iter::once(0).chain(place).collect();
            *numbers.entry(places).or_insert_with_key(|places| {
                cells.push(places.clone());
                cells.len() - 1
            })
        });
        let cell_of = cell_of.collect();
        let mut fit = Fit { rows, cell_of, cells, shifts: vec![0.0; parameters], designs: vec![1.0; parameters] };
        // The overall departure is a level with a single group.
        let begin: Vec<f64> = std::iter::once(SPREAD_OF_ALL).chain(SPREADS).collect();
        let places_of: Vec<std::ops::Range<usize>> = std::iter::once(0..1)
            .chain(groups.iter().zip(&starts).map(|(level, start)| *start..start + level.len()))
            .collect();
        let mut spreads = begin.clone();
        let mut variances = vec![SPREAD_OF_ALL * SPREAD_OF_ALL; parameters];
        for _ in 0..ROUNDS {
            fit.measure_designs();
            let mut precisions = fit.designs.clone();
            for (of_level, spread) in places_of.iter().zip(&spreads) {
                precisions[of_level.clone()].iter_mut().for_each(|precision| *precision /= spread * spread);
            }
            let Some(covariance) = fit.climb(&precisions) else { break };
            for ((variance, own), design) in variances.iter_mut().zip(covariance).zip(&fit.designs) {
                *variance = own * design;
            }
            let mut moved: f64 = 0.0;
            for ((of_level, expected), spread) in places_of.iter().zip(&begin).zip(&mut spreads) {
                let told: Vec<(f64, f64)> =
                    of_level.clone().filter_map(|at| told(fit.shifts[at], variances[at], *spread)).collect();
                let next = likeliest_spread(&told, *expected);
                moved = moved.max((next - *spread).abs());
                *spread = next;
            }
            if moved < 0.002 {
                break;
            }
        }
        let shift = |at: usize| Shift { value: fit.shifts[at], variance: variances[at] };
        let level = |(level, start): (&HashMap<&str, usize>, &usize)| {
            level.iter().map(|(key, at)| ((*key).to_owned(), shift(start + at))).collect()
        };
        Self { all: shift(0), levels: groups.iter().zip(&starts).map(level).collect(), design: fit.designs[0] }
    }

    /// The shift to add to the expected log odds of a signal, and its variance.
    pub fn of(&self, case: &Case) -> (f64, f64) {
        let known = keys(case).into_iter().zip(&self.levels).filter_map(|(key, level)| level.get(key?));
        known.fold((self.all.value, self.all.variance), |sum, shift| (sum.0 + shift.value, sum.1 + shift.variance))
    }

    /// The design effect, see [`Design`].
    pub fn design(&self) -> f64 {
        self.design.max(1.0)
    }
}

/// The estimate of a shift from outcomes alone, and its variance: the posterior with the prior of this standard
/// deviation removed.
fn told(shift: f64, variance: f64, spread: f64) -> Option<(f64, f64)> {
    let information = 1.0 / variance - 1.0 / (spread * spread);
    (information > 1e-6).then(|| (shift / variance / information, 1.0 / information))
}

/// The most likely standard deviation of shifts with these estimates and variances; the prior `expected` is worth
/// [`WORTH`] groups.
fn likeliest_spread(told: &[(f64, f64)], expected: f64) -> f64 {
    let (least, most) = SPREAD_RANGE;
    let tried = (0..SPREADS_TRIED).map(|at| least * (most / least).powf(f64::from(at) / f64::from(SPREADS_TRIED - 1)));
    let log_likelihood = |spread: f64| {
        let own = spread * spread;
        let group = |(shift, variance): &(f64, f64)| -0.5 * ((own + variance).ln() + shift * shift / (own + variance));
        told.iter().map(group).sum::<f64>() - 0.5 * WORTH * (own.ln() + expected * expected / own)
    };
    let better = |a: &(f64, f64), b: &(f64, f64)| a.1.total_cmp(&b.1);
    tried.map(|spread| (spread, log_likelihood(spread))).max_by(better).map_or(expected, |(spread, _)| spread)
}

/// The groups of each level, numbered.
fn groups<'a>(rows: &[Counted<'a>]) -> Vec<HashMap<&'a str, usize>> {
    let mut counts: Vec<HashMap<&str, usize>> = vec![HashMap::new(); LEVELS];
    for row in rows {
        for (level, key) in counts.iter_mut().zip(keys(row.case)) {
            if let Some(key) = key {
                *level.entry(key).or_default() += 1;
            }
        }
    }
    let number = |mut level: HashMap<&'a str, usize>| {
        // A group of all rows would duplicate the overall shift.
        level.retain(|_, count| *count < rows.len());
        let mut frequent: Vec<(&str, usize)> = level.into_iter().collect();
        frequent.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        frequent.truncate(MAX_GROUPS);
        frequent.into_iter().enumerate().map(|(number, (key, _))| (key, number)).collect()
    };
    counts.into_iter().map(number).collect()
}

struct Fit<'a> {
    rows: &'a [Counted<'a>],
    /// The cell of each row: the rows of a cell have the same parameters.
    cell_of: Vec<usize>,
    /// The parameters of each cell.
    cells: Vec<Vec<usize>>,
    shifts: Vec<f64>,
    /// The design effect of each parameter's score.
    designs: Vec<f64>,
}

/// What the rows say at some shifts.
struct Slopes {
    log_posterior: f64,
    /// For each cell, the sums of its rows' scores and of their information.
    cells: Vec<(f64, f64)>,
}

impl Fit<'_> {
    /// What each cell adds to the expected log odds of its rows.
    fn added(&self, shifts: &[f64]) -> Vec<f64> {
        self.cells.iter().map(|places| places.iter().map(|&at| shifts[at]).sum()).collect()
    }

    fn measure_designs(&mut self) {
        let added = self.added(&self.shifts);
        let mut designs = vec![Design::default(); self.shifts.len()];
        for (row, &cell) in self.rows.iter().zip(&self.cell_of) {
            let surprise = happened(row.success) - logistic(row.expected + added[cell]);
            for &place in &self.cells[cell] {
                designs[place].add(row.cluster, row.weight * surprise);
            }
        }
        self.designs = designs.into_iter().map(Design::effect).collect();
    }

    fn slopes(&self, shifts: &[f64], precisions: &[f64]) -> Slopes {
        let added = self.added(shifts);
        let prior: f64 = shifts.iter().zip(precisions).map(|(shift, precision)| -0.5 * precision * shift * shift).sum();
        let mut slopes = Slopes { log_posterior: prior, cells: vec![(0.0, 0.0); self.cells.len()] };
        for (row, &cell) in self.rows.iter().zip(&self.cell_of) {
            let log_odds = row.expected + added[cell];
            // The logarithm of the probability and the probability share their exponential.
            let rest = (-log_odds.abs()).exp();
            let against = if row.success { -log_odds } else { log_odds };
            slopes.log_posterior -= row.weight * (against.max(0.0) + rest.ln_1p());
            let p = if log_odds >= 0.0 { 1.0 } else { rest } / (1.0 + rest);
            let (surprise, information) = &mut slopes.cells[cell];
            *surprise += row.weight * (happened(row.success) - p);
            *information += row.weight * p * (1.0 - p);
        }
        slopes
    }

    /// Newton's method to the mode, with steps halved until the posterior rises; returns the variances there.
    fn climb(&mut self, precisions: &[f64]) -> Option<Vec<f64>> {
        let parameters = self.shifts.len();
        let mut now = self.slopes(&self.shifts, precisions);
        let mut last = None;
        for _ in 0..STEPS {
            let mut curvature = Array2::zeros((parameters, parameters));
            let mut gradient: Vec<f64> = self.shifts.iter().zip(precisions).map(|(shift, p)| -p * shift).collect();
            precisions.iter().enumerate().for_each(|(at, precision)| curvature[[at, at]] += precision);
            for (places, (surprise, information)) in self.cells.iter().zip(&now.cells) {
                for &place in places {
                    gradient[place] += surprise;
                    for &other in places {
                        curvature[[place, other]] += information;
                    }
                }
            }
            let factor = last.insert(Cholesky::of(curvature)?);
            let step = factor.solve(&gradient);
            let mut length = 1.0;
            let (next, moved) = loop {
                let moved: Vec<f64> =
                    self.shifts.iter().zip(&step).map(|(shift, step)| shift + length * step).collect();
                let next = self.slopes(&moved, precisions);
                if next.log_posterior >= now.log_posterior || length < 1e-3 {
                    break (next, moved);
                }
                length /= 2.0;
            };
            let gained = next.log_posterior - now.log_posterior;
            if gained < 0.0 {
                break;
            }
            (self.shifts, now) = (moved, next);
            if gained < 1e-5 {
                break;
            }
        }
        last.map(|factor| factor.inverse().diag().to_vec())
    }
}

fn happened(success: bool) -> f64 {
    f64::from(u8::from(success))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_varies_as_far_as_its_groups_say() {
        let groups = |size: f64, count: i32, variance: f64| -> Vec<(f64, f64)> {
            (0..count).map(|at| (if at % 2 == 0 { size } else { -size }, variance)).collect()
        };
        let apart = likeliest_spread(&groups(0.8, 10, 0.15), 0.05);
        assert!((0.4..=0.501).contains(&apart), "{apart}");
        // Differences that are pure luck.
        let alike = likeliest_spread(&groups(0.38, 10, 0.15), 0.05);
        assert!((0.03..0.07).contains(&alike), "{alike}");
        assert!((likeliest_spread(&[], 0.05) - 0.05).abs() < 0.005);
    }

    #[test]
    fn the_estimate_is_recovered_under_any_prior() {
        // One group of information 20 and an own estimate of 0.6, shrunk by a prior with standard deviation 0.5.
        let (information, own, spread): (f64, f64, f64) = (20.0, 0.6, 0.5);
        let variance = 1.0 / (information + 1.0 / (spread * spread));
        let (shift, left) = told(own * information * variance, variance, spread).unwrap();
        assert!((shift - own).abs() < 1e-12 && (left - 1.0 / information).abs() < 1e-12);
        assert_eq!(told(0.0, spread * spread, spread), None);
    }
}
