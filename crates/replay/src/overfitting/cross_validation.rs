//! The probability of backtest overfitting: of choosing, by a backtest, a trial that does worse than the median afterwards.
//!
//! Source: Bailey, Borwein, López de Prado and Zhu, *The Probability of Backtest Overfitting*, Journal of Computational Finance 20 (4),
//! 2017: combinatorially symmetric cross-validation. The months are cut into an even number of groups. For each way to split the groups
//! into two halves, the trial with the highest Sharpe ratio in one half is chosen, and its rank among the `N` trials in the other half is
//! looked up. `λ = ln(ω / (1 − ω))` with `ω = rank / (N + 1)`, and the probability is the share of splits with `λ` below 0. Splits at
//! exactly 0, where the rank is the median, count half: without skill, the probability is then 0.5 for any number of trials.

use super::{LEAST_SPREAD, Missing};
use serde::Serialize;

/// The most groups, as the source takes: 12 870 splits.
const MOST_GROUPS: usize = 16;
/// Fewest months: 70 splits, of four months each.
const LEAST_MONTHS: usize = 8;

/// How often the choice of the best trial does not last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overfitting {
    /// The probability of backtest overfitting, 0–1: the share of splits in which the trial that was the best in one half of the
    /// months was below the median in the other half. 0.5 is what luck gives; near 0, the choice lasts.
    pub probability: f64,
    /// The number of splits.
    pub splits: u64,
    /// The number of trials.
    pub trials: u64,
    /// The number of months.
    pub months: u64,
}

/// The probability of backtest overfitting, from the sums of R of trials by month. Each trial has the same months, oldest first; months
/// beyond the shortest are left out.
///
/// # Errors
/// What there is too little of: two trials, and eight months.
pub fn overfitting(trials: &[Vec<f64>]) -> Result<Overfitting, Missing> {
    if trials.len() < 2 {
        return Err(Missing::TooFewTrials { have: trials.len() as u64, need: 2 });
    }
    let months = trials.iter().map(Vec::len).min().unwrap_or_default();
    if months < LEAST_MONTHS {
        return Err(Missing::TooFewMonths { have: months as u64, need: LEAST_MONTHS as u64 });
    }
    let groups = MOST_GROUPS.min(months / 2 * 2);
    let group = |trial: &[f64], at: usize| Sums::of(&trial[at * months / groups..(at + 1) * months / groups]);
    let grouped: Vec<Vec<Sums>> = trials.iter().map(|trial| (0..groups).map(|at| group(trial, at)).collect()).collect();
    let halves = (0u32..1 << groups).filter(|half| half.count_ones() as usize == groups / 2);
    let (mut splits, mut below) = (0u64, 0.0);
    let (mut chosen_by, mut judged_by) = (vec![0.0; trials.len()], vec![0.0; trials.len()]);
    for half in halves {
        for (trial, groups) in grouped.iter().enumerate() {
            chosen_by[trial] = sharpe(groups, half);
            judged_by[trial] = sharpe(groups, !half);
        }
        splits += 1;
        below += below_median(&chosen_by, &judged_by);
    }
    Ok(Overfitting { probability: below / splits as f64, splits, trials: trials.len() as u64, months: months as u64 })
}

/// 1 if the trial that is the best of the first half is below the median in the second, 0 if it is above, 0.5 if it is the median.
fn below_median(chosen_by: &[f64], judged_by: &[f64]) -> f64 {
    let best = (0..chosen_by.len()).fold(0, |best, at| if chosen_by[at] > chosen_by[best] { at } else { best });
    let lower = judged_by.iter().filter(|one| **one < judged_by[best]).count();
    let higher = judged_by.iter().filter(|one| **one > judged_by[best]).count();
    match lower.cmp(&higher) {
        std::cmp::Ordering::Less => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 0.0,
    }
}

/// The sums of a group of months, of which Sharpe ratios of several groups are made.
#[derive(Debug, Clone, Copy)]
struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn of(months: &[f64]) -> Self {
        Self {
            count: months.len() as f64,
            sum: months.iter().sum(),
            squares: months.iter().map(|month| month * month).sum(),
        }
    }
}

/// The Sharpe ratio of the months of the groups whose bits are set; 0 where nothing was earned or lost.
fn sharpe(groups: &[Sums], half: u32) -> f64 {
    let inside = groups.iter().enumerate().filter(|(at, _)| half >> at & 1 == 1).map(|(_, sums)| sums);
    let all = inside.fold(Sums::of(&[]), |all, one| Sums {
        count: all.count + one.count,
        sum: all.sum + one.sum,
        squares: all.squares + one.squares,
    });
    let mean = all.sum / all.count;
    let deviation = ((all.squares - all.sum * mean) / (all.count - 1.0)).max(0.0).sqrt();
    if mean == 0.0 { 0.0 } else { mean / deviation.max(LEAST_SPREAD * mean.abs()) }
}
