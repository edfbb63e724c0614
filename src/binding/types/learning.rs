//! What outcomes taught.

use super::Interval;
use crate::engine;
use crate::learning::outcomes;
use crate::time::format_iso;
use napi_derive::napi;

/// A signal's chances, from all signals that have closed.
#[napi(object)]
pub struct Assessment {
    /// That it succeeds, 0–1.
    pub success_probability: f64,
    /// The same without a look at its indicators, 0–1. With nothing closed yet, the chance that a price without drift has of
    /// reaching the take profit before the stop loss.
    pub base_rate: f64,
    /// The success probability at which it earns nothing after costs, and more than that in conservative mode; above 1 where the
    /// costs exceed what it can win; one half where it lacks a stop loss or a take profit. Below 0.02, the least probability that
    /// is ever told, nothing is taken.
    pub threshold: f64,
    /// The probability reaches the threshold.
    pub take: bool,
    /// Why, in words: how signals like it have fared.
    pub reasons: Vec<String>,
    /// Closed signals learned from.
    pub closed: f64,
    /// How many outcomes of today they are worth.
    pub effective_sample_size: f64,
    /// Indicators of the signal that it was not judged by, by name: texts, which are kept with a signal and not learned from; what
    /// no closed signal had when the model was last grown; of more than 64 names, the rarest. All of them, while fewer than ten
    /// signals have closed.
    pub unused_indicators: Vec<String>,
}

impl From<engine::Assessment> for Assessment {
    fn from(a: engine::Assessment) -> Self {
        Self {
            success_probability: a.success_probability,
            base_rate: a.base_rate,
            threshold: a.threshold,
            take: a.take,
            reasons: a.reasons,
            closed: a.closed as f64,
            effective_sample_size: a.effective_sample_size,
            unused_indicators: a.unused_indicators,
        }
    }
}

/// A rule found in what succeeded and what failed.
#[napi(object)]
pub struct Pattern {
    /// In words: `BUY with rsi at or above 72`.
    pub rule: String,
    /// Closed signals that it holds for.
    pub count: f64,
    /// Of which succeeded.
    pub successes: f64,
    /// Percent of them that succeeded, 0–100.
    pub success_rate: f64,
    /// Its 95 % interval (Wilson).
    pub success_interval: Interval,
    /// Percent of all closed signals looked at that succeeded, 0–100.
    pub base_rate: f64,
    /// How often chance alone would show anything as strong, 0–1, all rules looked at together.
    pub p_value: f64,
    /// Since when it most likely holds: when the first of its signals of that time was given, ISO 8601, UTC.
    pub since: String,
    /// In the most recent third of the time its signals depart from the others, too: the same way, and by half as much at least.
    /// Missing where they are too few to tell.
    pub still_holds: Option<bool>,
    /// Of `count`, those of the most recent third.
    pub recent_count: f64,
    /// Of which succeeded.
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
            p_value: p.p_value,
            since: format_iso(p.since_ms),
            still_holds: p.still_holds,
            recent_count: p.recent.count as f64,
            recent_successes: p.recent.successes as f64,
        }
    }
}
