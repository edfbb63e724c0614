//! What the results of a scope show: poor, fine, or too few to tell.

use crate::clusters::{Lifetime, Z_ONE_SIDED, dependence, student};
use domain::config::{PoorPerformance, PoorRule};
use domain::signal::Ended;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Overlapping signals are called poor only if a true success rate this many percentage points above the threshold can
/// be ruled out.
const CLEAR: f64 = 20.0;
/// Standard errors by which it must be ruled out.
const SURE: f64 = 3.5;

/// The results that led to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LiveEvidence {
    /// Closed signals.
    pub closed: u64,
    /// The effective number of independent signals.
    #[serde(default)]
    pub effective: f64,
    /// Those that succeeded.
    pub successes: u64,
    /// Mean profit in percent of the entry, after costs.
    pub mean_profit: f64,
    /// Closings from this time on were counted, UTC epoch ms.
    pub from_ms: i64,
}

impl LiveEvidence {
    /// Percent of the closed signals that succeeded; 0 when there are none.
    pub fn success_rate(&self) -> f64 {
        if self.closed == 0 { 0.0 } else { 100.0 * self.successes as f64 / self.closed as f64 }
    }
}

/// What the evidence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Too few closings, or too close to call.
    #[default]
    Open,
    /// Poor.
    Poor,
    /// Good enough.
    Fine,
}

/// Judges the outcomes of one scope.
pub fn judge(outcomes: &[&Ended], from_ms: i64, rule: &PoorPerformance) -> (LiveEvidence, Judgement) {
    let succeeded: Vec<f64> = outcomes.iter().map(|outcome| f64::from(u8::from(outcome.succeeded))).collect();
    let profits: Vec<f64> = outcomes.iter().map(|outcome| outcome.net_percent).collect();
    let lifetimes = lifetimes(outcomes);
    let judged = DependentMean::of(&lifetimes, if rule.rule == PoorRule::Success { &succeeded } else { &profits });
    let evidence = LiveEvidence {
        closed: outcomes.len() as u64,
        effective: judged.effective,
        successes: outcomes.iter().filter(|outcome| outcome.succeeded).count() as u64,
        mean_profit: mean(&profits),
        from_ms,
    };
    let rate = evidence.success_rate();
    // A signal closed by a trailed stop counts as a failure, but may have earned money.
    let earns = || {
        let profits = DependentMean::of(&lifetimes, &profits);
        profits.mean > profits.doubt()
    };
    let verdict = match rule.rule {
        _ if evidence.effective < rule.min_signals as f64 => Judgement::Open,
        PoorRule::Success if rate >= rule.success_threshold => Judgement::Fine,
        PoorRule::Success if rate >= rule.success_threshold - margin(&evidence) => Judgement::Open,
        PoorRule::Success if earns() => Judgement::Fine,
        PoorRule::Success => Judgement::Poor,
        PoorRule::Expectancy if judged.mean >= 0.0 => Judgement::Fine,
        PoorRule::Expectancy if judged.mean + judged.doubt() < 0.0 => Judgement::Poor,
        PoorRule::Expectancy => Judgement::Open,
    };
    (evidence, verdict)
}

/// How many percentage points below the threshold a success rate must lie to be poor.
///
/// Zero for independent signals: the threshold is the caller's rule, and ten signals are enough evidence by it.
/// Overlapping signals come in runs, and are judged again at each closing of a run. So a rate [`CLEAR`] points above
/// the threshold has to be ruled out by [`SURE`] standard errors, weighted by the share of the evidence that is not
/// independent.
fn margin(evidence: &LiveEvidence) -> f64 {
    // The largest possible standard deviation of one outcome, in percentage points.
    const DEVIATION: f64 = 50.0;
    let dependent = 1.0 - evidence.effective / evidence.closed.max(1) as f64;
    dependent * (SURE * DEVIATION / evidence.effective.sqrt() - CLEAR).max(0.0)
}

/// The lifetimes of the signals.
fn lifetimes(outcomes: &[&Ended]) -> Vec<Lifetime> {
    let mut symbols = BTreeMap::new();
    let lifetime = |outcome: &&Ended| {
        let next = symbols.len();
        let symbol = *symbols.entry(outcome.market.symbol.as_str().to_owned()).or_insert(next);
        Lifetime { symbol, given_ms: outcome.given_ms, closed_ms: outcome.closed_ms }
    };
    outcomes.iter().map(lifetime).collect()
}

/// The mean; 0 where there are no values.
fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The mean of dependent values, with its precision.
struct DependentMean {
    mean: f64,
    variance: f64,
    effective: f64,
}

impl DependentMean {
    fn of(lifetimes: &[Lifetime], values: &[f64]) -> Self {
        let (n, mean) = (values.len() as f64, mean(values));
        let residuals: Vec<f64> = values.iter().map(|value| value - mean).collect();
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let effective = dependence(lifetimes, &residuals).effective(values.len());
        Self { mean, variance: squares / (n - 1.0).max(1.0), effective }
    }

    /// The half-width of a one-sided t-test at 5 %.
    fn doubt(&self) -> f64 {
        // The quantile is inaccurate below four degrees of freedom, but nothing is judged by so few.
        student(Z_ONE_SIDED, (self.effective - 1.0).max(1.0)) * (self.variance / self.effective).sqrt()
    }
}
