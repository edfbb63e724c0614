//! How much of a result is what the best of many tries reaches by luck.
//!
//! The **deflated Sharpe ratio** is the probability that a trial's true Sharpe ratio is above what the best of so many trials without
//! any skill is expected to show. Source: Bailey and López de Prado, *The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
//! Overfitting and Non-Normality*, Journal of Portfolio Management 40 (5), 2014.
//!
//! The **probability of backtest overfitting** is in `cross_validation.rs`.

mod cross_validation;
#[cfg(test)]
mod tests;

pub use cross_validation::{Overfitting, overfitting};

use feedback::CLOSING_DAYS;
use learning::outcomes::normal_quantile;
use serde::{Deserialize, Serialize};

/// The Euler–Mascheroni constant.
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;
/// The least standard deviation, as a share of the mean. Less is rounding: the values are equal.
const LEAST_SPREAD: f64 = 1e-6;

/// Why a figure cannot be told. Serialised in camelCase with a `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "camelCase")]
pub enum Missing {
    /// Too few trials to choose from.
    TooFewTrials {
        /// As many as there are.
        have: u64,
        /// As many as it takes.
        need: u64,
    },
    /// Too few calendar months that all trials cover.
    TooFewMonths {
        /// As many as there are.
        have: u64,
        /// As many as it takes.
        need: u64,
    },
    /// Too few days on which a signal that was taken closed.
    TooFewDays {
        /// As many as there are.
        have: u64,
        /// As many as it takes.
        need: u64,
    },
    /// Every day brought the same.
    NoSpread,
}

/// What the days of a trial brought: the sum of R of the signals taken that closed on it, 0 on other days. Nothing is annualised.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Days {
    /// Calendar days (UTC).
    pub days: u64,
    /// Those with a closing.
    pub closing_days: u64,
    /// The Sharpe ratio of a day: mean divided by sample standard deviation (n − 1); `None` where all days are equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharpe: Option<f64>,
    /// The skewness, `m₃ / m₂^1.5`, with `mₖ` the mean k-th power of distances from the mean; 0 where all days are equal.
    pub skew: f64,
    /// The kurtosis, `m₄ / m₂²`: 3 for a normal distribution, and where all days are equal.
    pub kurtosis: f64,
}

impl Days {
    /// From the R of each calendar day, and the number of days with a closing.
    pub fn of(r: &[f64], closing_days: u64) -> Self {
        let count = r.len() as f64;
        let mean = r.iter().sum::<f64>() / count.max(1.0);
        let moment = |power: i32| r.iter().map(|one| (one - mean).powi(power)).sum::<f64>() / count.max(1.0);
        let (second, days) = (moment(2), r.len() as u64);
        let deviation = (second * count / (count - 1.0)).sqrt();
        if r.len() < 2 || deviation <= LEAST_SPREAD * mean.abs() {
            return Self { days, closing_days, sharpe: None, skew: 0.0, kurtosis: 3.0 };
        }
        Self {
            days,
            closing_days,
            sharpe: Some(mean / deviation),
            skew: moment(3) / second.powf(1.5),
            kurtosis: moment(4) / (second * second),
        }
    }
}

/// A Sharpe ratio, judged by the number of trials that it was chosen from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeflatedSharpe {
    /// The deflated Sharpe ratio, 0–1: the probability that the true ratio is above `luck`.
    pub probability: f64,
    /// The Sharpe ratio of a day.
    pub sharpe: f64,
    /// The highest Sharpe ratio of a day that so many trials without skill are expected to show.
    pub luck: f64,
    /// The number of trials.
    pub trials: u64,
    /// The number of days.
    pub days: u64,
}

/// The deflated Sharpe ratio of a trial. `sharpes` are the Sharpe ratios of a day of all trials, this one included.
///
/// With `N` trials, the sample variance `V` of their ratios, `γ` the Euler–Mascheroni constant and `z` the normal quantile, luck is
/// `√V · ((1 − γ) · z(1 − 1/N) + γ · z(1 − 1/(N·e)))`; with the ratio `s`, skewness `g₃` and kurtosis `g₄` of `T` days, the
/// probability is `Φ((s − luck) · √(T − 1) / √(1 − g₃·s + (g₄ − 1)/4 · s²))`.
///
/// It assumes that days do not depend on each other. Trials may: those that are alike have ratios that are alike, so `V` is small.
///
/// # Errors
/// What there is too little of: two trials, and [`CLOSING_DAYS`] days with a closing.
pub fn deflated_sharpe(of: &Days, sharpes: &[f64]) -> Result<DeflatedSharpe, Missing> {
    let trials = sharpes.len() as u64;
    if trials < 2 {
        return Err(Missing::TooFewTrials { have: trials, need: 2 });
    }
    if of.closing_days < u64::from(CLOSING_DAYS) {
        return Err(Missing::TooFewDays { have: of.closing_days, need: CLOSING_DAYS.into() });
    }
    let sharpe = of.sharpe.ok_or(Missing::NoSpread)?;
    let count = trials as f64;
    let mean = sharpes.iter().sum::<f64>() / count;
    let variance = sharpes.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let quantile = |of: f64| normal_quantile(1.0 - 1.0 / of);
    let highest = (1.0 - EULER_GAMMA) * quantile(count) + EULER_GAMMA * quantile(count * std::f64::consts::E);
    let luck = variance.sqrt() * highest;
    // Never below 0, since a kurtosis is at least the squared skewness plus 1; 0 only where days take two values.
    let spread = (1.0 - of.skew * sharpe + (of.kurtosis - 1.0) / 4.0 * sharpe * sharpe).max(f64::EPSILON);
    let z = (sharpe - luck) * (of.days as f64 - 1.0).sqrt() / spread.sqrt();
    Ok(DeflatedSharpe { probability: normal_share(z), sharpe, luck, trials, days: of.days })
}

/// The share of a standard normal distribution below `z`.
///
/// Source: G. Marsaglia, *Evaluating the Normal Distribution*, Journal of Statistical Software 11 (4), 2004.
fn normal_share(z: f64) -> f64 {
    /// Beyond, less than 1e-15 is left.
    const FAR: f64 = 8.0;
    const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;
    if z.abs() > FAR {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut odd) = (z, z, 1.0);
    loop {
        odd += 2.0;
        term *= z * z / odd;
        if sum + term == sum {
            return 0.5 + sum * (-z * z / 2.0 - HALF_LN_2PI).exp();
        }
        sum += term;
    }
}
