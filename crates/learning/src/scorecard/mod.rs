//! The scorecard: what was predicted of signals before they ended, compared with the outcomes.
//!
//! Every prediction was made in advance: it is part of the signal's record. In all intervals, signals of one stretch of
//! time count as one cluster (`clusters.rs`).

mod score;
#[cfg(test)]
mod tests;
mod verdict;

pub use score::Clusters;
pub use verdict::Finding;

use super::harm::{Harm, Served};
use domain::signal::{Costs, Record, Said};
use domain::symbol::Symbol;
use domain::time::Month;
use serde::Serialize;

/// A closed signal with the assessment it got in advance.
#[derive(Debug, Clone, PartialEq)]
pub struct Foretold {
    /// When it was given, UTC epoch ms.
    pub given_ms: i64,
    /// When it closed, UTC epoch ms.
    pub closed_ms: i64,
    /// Its pair.
    pub symbol: Symbol,
    /// The strategy that gave it.
    pub strategy: Option<String>,
    /// Whether it was traded.
    pub taken: bool,
    /// Whether it closed as a success.
    pub succeeded: bool,
    /// Its profit after costs, in units of its risk at entry (R); `None` without a stop.
    pub realised_r: Option<f64>,
    /// The assessment.
    pub said: Said,
}

impl Foretold {
    /// From a record; `None` while it is open, where its end is unknown, and where it has no assessment. `costs` count for
    /// signals that state none.
    pub fn of(record: &Record, costs: &Costs) -> Option<Self> {
        let Record { signal, closing, said, .. } = record;
        let closing = closing.as_ref()?;
        Some(Self {
            given_ms: signal.timestamp_ms,
            closed_ms: closing.closed_ms,
            symbol: signal.symbol.clone(),
            strategy: signal.strategy.clone(),
            taken: signal.taken,
            succeeded: closing.outcome.succeeded()?,
            realised_r: record.earned(costs)?.realized_r,
            said: (*said)?,
        })
    }

    /// A sort key that is equal only for signals with identical values.
    fn order(&self) -> impl Ord {
        let Said { probability, base_rate, prior, take, .. } = self.said;
        let numbers = [probability, base_rate, prior, self.realised_r.unwrap_or(f64::NAN)].map(f64::to_bits);
        (self.given_ms, self.closed_ms, &self.symbol, &self.strategy, self.taken, self.succeeded, take, numbers)
    }
}

/// A mean over signals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mean {
    /// Number of signals.
    pub signals: u64,
    /// The mean.
    pub mean: f64,
    /// Its 95 % interval, clustered by time; `None` below eight clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Ends>,
}

/// The ends of a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ends {
    /// 2.5 % of the resamples lie below.
    pub low: f64,
    /// 2.5 % of the resamples lie above.
    pub high: f64,
}

/// How well the probabilities predicted the outcomes: log loss in nats per signal; lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLoss {
    /// Of the stated probability.
    pub probability: f64,
    /// Of the base rate stated beside it.
    pub base_rate: f64,
    /// Of the prior: the probability from candles alone, else from the levels.
    pub prior: f64,
    /// The log loss of the probability minus that of the base rate: below 0, the probability was better.
    pub against_base_rate: Mean,
    /// The log loss of the probability minus that of the prior.
    pub against_prior: Mean,
}

/// The results of signals with a stop: profit after costs in units of their risk at entry (R).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RealisedR {
    /// Of all signals.
    pub all: Mean,
    /// Of the signals it advised to take; `None` where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take: Option<Mean>,
    /// Of the signals it advised to leave; `None` where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Mean>,
    /// The mean of those to take minus that of all: what following the advice adds per signal. `None` where it gave
    /// only one kind of advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Mean>,
}

/// The score of a group of signals.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// Closed signals with an assessment.
    pub signals: u64,
    /// Those that were tracked but not traded.
    pub followed: u64,
    /// Number of time clusters, which the intervals are based on.
    pub clusters: usize,
    /// The share that succeeded, 0–1.
    pub success_share: f64,
    /// The mean of the stated probabilities, 0–1.
    pub mean_probability: f64,
    /// How well the outcomes were predicted.
    pub log_loss: LogLoss,
    /// The results of signals with a stop; `None` where none has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realised_r: Option<RealisedR>,
}

/// A group of signals, and its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The name of the group: a strategy, a symbol, or a month such as `2026-03`.
    pub name: String,
    /// Its score.
    pub score: Score,
}

/// Signals of similar probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bin {
    /// The mean of the stated probabilities, 0–1.
    pub said: f64,
    /// The share that succeeded, 0–1.
    pub came: Mean,
}

/// Predictions compared with outcomes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scorecard {
    /// What the evidence shows.
    pub finding: Finding,
    /// The same as a sentence.
    pub verdict: String,
    /// What `assess` serves: the full estimate, or the base rate alone where the full estimate does harm.
    pub served: Served,
    /// The score of all requested signals; `None` while there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overall: Option<Score>,
    /// Stated probabilities beside observed frequencies, lowest first: at most ten bins.
    pub calibration: Vec<Bin>,
    /// By strategy, in alphabetical order; signals without one are left out.
    pub by_strategy: Vec<Part>,
    /// By symbol, in alphabetical order.
    pub by_symbol: Vec<Part>,
    /// By the month (UTC) in which signals were given, oldest first.
    pub by_month: Vec<Part>,
}

impl Scorecard {
    /// From closed signals, in any order, and the harm that assessments do. The same signals and seed give the same
    /// scorecard.
    pub fn of(mut rows: Vec<Foretold>, harm: Option<Harm>, seed: u64) -> Self {
        // Floating-point sums depend on their order.
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        let clusters = Clusters::of(rows.iter().map(|row| (row.given_ms, row.closed_ms)), seed);
        let overall = if rows.is_empty() { None } else { clusters.score(&rows.iter().collect::<Vec<_>>()) };
        let (finding, mut verdict) = verdict::verdict(overall.as_ref(), &rows);
        if let Some(harm) = &harm {
            verdict = format!("{verdict}; {}", harm.words());
        }
        Self {
            finding,
            verdict,
            served: if harm.is_some() { Served::BaseRate } else { Served::All },
            overall,
            calibration: clusters.calibration(&rows),
            by_strategy: clusters.parts(&rows, |row| row.strategy.clone()),
            by_symbol: clusters.parts(&rows, |row| Some(row.symbol.clone())),
            by_month: clusters.parts(&rows, |row| Some(Month::of(row.given_ms).to_string())),
        }
    }
}
