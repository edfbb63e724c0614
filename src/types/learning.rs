//! What outcomes taught.

use super::Interval;
use domain::time::format_iso;
use engine;
use learning::outcomes;
use napi_derive::napi;

/// A signal's chances, by what candles say and what has become of the signals so far.
#[napi(object)]
pub struct Assessment {
    /// That it succeeds, 0–1.
    pub success_probability: f64,
    /// Its 95 % interval, 0–1.
    pub probability_interval: Interval,
    /// The same without a look at its candles and indicators, 0–1. With nothing closed yet, the chance that a price without drift
    /// has of reaching the take profit before the stop loss.
    pub base_rate: f64,
    /// What candles alone say, 0–1: of a trained model's nearest shape, moved to the levels of the signal. Missing without a model,
    /// or without candles up to the signal.
    pub prior: Option<f64>,
    /// Expected profit after costs, in R: distances of its stop loss. By what signals have earned that succeeded and that failed, so
    /// that a trailed stop counts as what it brought. Missing without a stop loss.
    pub expected_r: Option<f64>,
    /// Its 95 % interval.
    pub expected_r_interval: Option<Interval>,
    /// The success probability at which it earns nothing after costs, and more than that in conservative mode. 0 where even failures
    /// have earned, as with a trailed stop; 1 or more where nothing earns; one half where it lacks a stop loss.
    pub threshold: f64,
    /// It is expected to earn more than it costs: `expectedR` is above 0, as surely as `takeConfidence` asks, and the probability
    /// reaches the threshold. Without a stop loss the probability alone decides. False where the break-even lies below 0.02, the least
    /// probability that is ever told, because the target is so far.
    pub take: bool,
    /// The part of your capital to risk on it, 0–1: `kellyFraction` (default a quarter) of Kelly's
    /// `(p · win − (1 − p) · loss) / (win · loss)`, with p at the lower end of its interval and a divisor that takes the loss for the
    /// whole stop at least, divided by 1 + 0.7 for each open signal of the same direction that was taken, since markets move together. 0 where it is
    /// not to be taken, where it lacks a stop loss, and where nothing is known. It is no advice: the probabilities are estimates, and
    /// gaps can cost more than the stop loss says.
    pub suggested_risk: f64,
    /// What all of it rests on. `all`: all that is known. `baseRate`: the base rate alone, since of the signals that closed of late what
    /// was said foretold less than their base rates did, beyond doubt; that is how it stays until newer signals say so no more. Then
    /// `successProbability` is `baseRate`, and the sources of evidence have no weight but `baseRates`. Signals that are recorded
    /// meanwhile keep what all that is known says, so that it can be seen to foretell again.
    #[napi(ts_type = "'all' | 'baseRate'")]
    pub served: String,
    /// Why, in words: how signals like it have fared.
    pub reasons: Vec<String>,
    /// What each source of evidence says, and how far it is followed.
    pub evidence: Vec<SourceOfEvidence>,
    /// Closed signals that are known. A new model is grown of them when a twentieth more have closed, in many a tenth.
    pub closed: f64,
    /// For how many independent outcomes they stand: signals of one time share their fate.
    pub effective_sample_size: f64,
    /// Indicators of the signal that it was not judged by, by name: what no closed signal had when the model was last grown; of
    /// more than 64 names, those that tell least. All of them, while fewer than ten signals have closed.
    pub unused_indicators: Vec<String>,
}

/// What one source of evidence says of a signal.
#[napi(object)]
pub struct SourceOfEvidence {
    /// `candles`, `baseRates` (of all, its strategy, symbol, timeframe, direction), and three learners of its indicators: `process`,
    /// `boosting`, `forest`.
    pub source: String,
    /// By how much it would move the log odds of success, beyond what its levels, and the sources before it, imply.
    pub says: f64,
    /// How far it is followed, by how its forecasts came true: 0 not at all, 1 as far as it goes.
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
    /// Mean profit of its signals before costs, in R: distances of their stop losses. Missing where one has none. Where all closed
    /// signals have one, rules are found by it, else by success alone.
    pub mean_r: Option<f64>,
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
            mean_r: p.mean_r,
            p_value: p.p_value,
            since: format_iso(p.since_ms),
            still_holds: p.still_holds,
            recent_count: p.recent.count as f64,
            recent_successes: p.recent.successes as f64,
        }
    }
}
