//! What outcomes taught.

use super::Interval;
use domain::time::format_iso;
use learning::outcomes;
use napi_derive::napi;

/// The estimated chances of a signal, from candles and from the outcomes of earlier signals.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assessment {
    /// Probability that the signal succeeds, 0–1.
    pub success_probability: f64,
    /// Its 95 % interval, 0–1.
    pub probability_interval: Interval,
    /// The probability without candles and indicators, 0–1. Before any signal has closed, it is the probability that a price
    /// without drift reaches the take profit before the stop loss.
    pub base_rate: f64,
    /// The probability from candles alone, 0–1: that of the nearest shape the model was trained on, moved to the signal's levels.
    /// Missing without a model, or without candles up to the signal.
    pub prior: Option<f64>,
    /// Expected profit after costs in R, multiples of the stop distance. It uses the profits of earlier successes and failures,
    /// so a trailed stop counts with what it earned. Missing without a stop loss.
    pub expected_r: Option<f64>,
    /// Its 95 % interval.
    pub expected_r_interval: Option<Interval>,
    /// The success probability at which the signal breaks even after costs; higher in conservative mode. 0 if even failures have
    /// earned money, as with a trailed stop; 1 or more if no probability is enough; one half without a stop loss.
    pub threshold: f64,
    /// The signal is expected to earn more than it costs: `expectedR` is above 0 with the certainty `takeConfidence` asks for,
    /// and the probability reaches the threshold. Without a stop loss, only the probability decides. False if the target is so
    /// far away that the break-even probability is below 0.02, the lowest probability that is ever given.
    pub take: bool,
    /// The share of your capital to risk, 0–1: `kellyFraction` (default a quarter) of Kelly's `(p · win − (1 − p) · loss) / (win
    /// · loss)`. p is the lower end of the probability interval, and in the divisor the loss is at least the whole stop. The
    /// result is divided by 1 + 0.7 for each open taken signal of the same direction, because markets move together. 0 if `take`
    /// is false, without a stop loss, and if nothing is known. It is not advice: the probabilities are estimates, and price gaps
    /// can cost more than the stop loss.
    pub suggested_risk: f64,
    /// What the estimate is based on. `all`: all sources. `baseRate`: only the base rate, because the full predictions of
    /// recently closed signals were certainly worse than their base rates. Then `successProbability` equals `baseRate`, and of
    /// the sources of evidence only `baseRates` has a weight. The full prediction is still stored with new signals, so `all`
    /// returns when newer signals no longer show harm.
    #[napi(ts_type = "'all' | 'baseRate'")]
    pub served: String,
    /// The reasons in words: how similar signals have fared.
    pub reasons: Vec<String>,
    /// The sources of evidence and their weights.
    pub evidence: Vec<SourceOfEvidence>,
    /// How `successProbability` comes about, step by step from even odds. The log odds of all steps add up to those of
    /// `successProbability`, `ln(p / (1 − p))`, but for rounding.
    pub contributions: Vec<Contribution>,
    /// Number of known closed signals. A new model is fitted when this number has grown by a twentieth, or by a tenth if it is
    /// large.
    pub closed: f64,
    /// How many independent outcomes they are worth; signals given at the same time depend on each other.
    pub effective_sample_size: f64,
    /// Names of indicators of the signal that were not used: those that no closed signal had when the model was last fitted and,
    /// of more than 64 names, those that matter least. All of them until ten signals have closed.
    pub unused_indicators: Vec<String>,
}

/// One step from even odds to the probability of success.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contribution {
    /// `levels`: what stop and target imply of a price without drift. Then a source of `evidence`. Last, and only if the sum
    /// lies outside 0.02 to 0.98: `limit`, which brings it to that range.
    #[napi(ts_type = "'levels' | 'candles' | 'baseRates' | 'process' | 'boosting' | 'forest' | 'limit'")]
    pub source: String,
    /// What it adds to the log odds of success: of a source, `says · weight`.
    pub log_odds: f64,
    /// The probability after this step, 0–1: that of the last one is `successProbability`.
    pub probability: f64,
}

/// One source of evidence about a signal.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceOfEvidence {
    /// `candles`; `baseRates` (of all signals, its strategy, symbol, timeframe and direction); or one of three learners of its
    /// indicators: `process`, `boosting`, `forest`.
    pub source: String,
    /// By how much it would move the log odds of success, beyond the levels and the sources before it.
    pub says: f64,
    /// Its weight, from how well its earlier predictions came true: 0 is ignored, 1 counts in full.
    pub weight: f64,
}

impl From<engine::Assessment> for Assessment {
    fn from(a: engine::Assessment) -> Self {
        let interval = |(low, high): (f64, f64)| Interval { low, high };
        let source = |of: engine::SourceOfEvidence| SourceOfEvidence {
            source: of.source.to_owned(),
            says: of.says,
            weight: of.weight,
        };
        Self {
            success_probability: a.success_probability,
            probability_interval: interval(a.probability_interval),
            base_rate: a.base_rate,
            prior: a.prior,
            expected_r: a.expected_r,
            expected_r_interval: a.expected_r_interval.map(interval),
            threshold: a.threshold,
            take: a.take,
            suggested_risk: a.suggested_risk,
            served: a.served.name().to_owned(),
            reasons: a.reasons,
            evidence: a.evidence.into_iter().map(source).collect(),
            contributions: a.contributions.into_iter().map(Contribution::from).collect(),
            closed: a.closed as f64,
            effective_sample_size: a.effective_sample_size,
            unused_indicators: a.unused_indicators,
        }
    }
}

impl From<outcomes::Contribution> for Contribution {
    fn from(c: outcomes::Contribution) -> Self {
        Self { source: c.source.to_owned(), log_odds: c.log_odds, probability: c.probability }
    }
}

/// A rule that separates successes from failures.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pattern {
    /// In words: `BUY with rsi at or above 72`.
    pub rule: String,
    /// Closed signals that match the rule.
    pub count: f64,
    /// How many of them succeeded.
    pub successes: f64,
    /// Percent of them that succeeded, 0–100.
    pub success_rate: f64,
    /// Its 95 % interval (Wilson).
    pub success_interval: Interval,
    /// Percent of all examined closed signals that succeeded, 0–100.
    pub base_rate: f64,
    /// Mean profit of the matching signals after costs, in R (units of the risk at entry). Missing if one of them has no stop loss. If
    /// all closed signals have one, rules are searched by this profit, otherwise by success alone.
    pub mean_r: Option<f64>,
    /// The 95 % interval of `meanR`, clustered by time. It takes no account of the choice among many rules: `pValue` does.
    pub mean_r_interval: Option<Interval>,
    /// Mean profit of all examined closed signals after costs, in R. Missing if one of them has no stop loss.
    pub base_r: Option<f64>,
    /// Probability that chance alone produces any rule as strong, 0–1, with all tested rules taken into account.
    pub p_value: f64,
    /// When the rule most likely began: when its first matching signal of that time was given, ISO 8601, UTC.
    pub since: String,
    /// The rule still holds: in the most recent third of the time its signals depart from the others in the same direction, by at
    /// least half as much. Missing if there are too few to tell.
    pub still_holds: Option<bool>,
    /// How many of `count` are from the most recent third.
    pub recent_count: f64,
    /// How many of them succeeded.
    pub recent_successes: f64,
}

impl From<outcomes::Pattern> for Pattern {
    fn from(p: outcomes::Pattern) -> Self {
        let (low, high) = p.tally.interval();
        Self {
            rule: p.rule,
            count: p.tally.count as f64,
            successes: p.tally.successes as f64,
            success_rate: p.tally.success_rate(),
            success_interval: Interval { low, high },
            base_rate: p.base_rate,
            mean_r: p.mean_r,
            mean_r_interval: p.mean_r_interval.map(|(low, high)| Interval { low, high }),
            base_r: p.base_r,
            p_value: p.p_value,
            since: format_iso(p.since_ms),
            still_holds: p.still_holds,
            recent_count: p.recent.count as f64,
            recent_successes: p.recent.successes as f64,
        }
    }
}
