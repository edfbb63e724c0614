//! What was said of signals before they ended, against what came.
//!
//! Everything here was said forward: it stands in the record since the signal was recorded. Signals of one stretch of time count
//! as one cluster in every interval (`clusters.rs`).

mod score;
#[cfg(test)]
mod tests;
mod verdict;

pub use verdict::Finding;

use super::harm::{Harm, Served};
use domain::signal::{Record, Said};
use domain::symbol::Symbol;
use domain::time::format_iso;
use score::Clusters;
use serde::Serialize;

/// A closed signal of which something was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Foretold {
    /// When it was given, UTC epoch ms.
    pub given_ms: i64,
    /// When it closed, UTC epoch ms.
    pub closed_ms: i64,
    /// Its pair.
    pub symbol: Symbol,
    /// What gave it.
    pub strategy: Option<String>,
    /// It was traded.
    pub taken: bool,
    /// It closed as a success.
    pub succeeded: bool,
    /// Its profit after costs, in units of its risk at entry; `None` without a stop.
    pub realised_r: Option<f64>,
    /// What was said.
    pub said: Said,
}

impl Foretold {
    /// Of a record; `None` while it is open, where its end is unknown, and where nothing was said. `fee_bps` are the costs of a
    /// round trip in basis points of the entry price.
    pub fn of(record: &Record, fee_bps: f64) -> Option<Self> {
        let Record { signal, closing, said } = record;
        let (closing, levels) = (closing.as_ref()?, signal.levels()?);
        let stop_percent = levels.stop_loss.map(|stop| 100.0 * (levels.entry - stop).abs() / levels.entry);
        let risk = stop_percent.filter(|percent| *percent > 0.0);
        Some(Self {
            given_ms: signal.timestamp_ms,
            closed_ms: closing.closed_ms,
            symbol: signal.symbol.clone(),
            strategy: signal.strategy.clone(),
            taken: signal.taken,
            succeeded: closing.outcome.succeeded()?,
            realised_r: risk.map(|risk| (closing.profit_percent - fee_bps / 100.0) / risk),
            said: (*said)?,
        })
    }

    /// An order in which no two signals that differ in what is summed are alike.
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
    /// Over how many.
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
    /// 2.5 % lie above.
    pub high: f64,
}

/// How well probabilities foretold the outcomes. Log loss is in nats a signal: less is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLoss {
    /// Of the probability that was said.
    pub probability: f64,
    /// Of the base rate that was said beside it.
    pub base_rate: f64,
    /// Of the prior: what candles said alone, else the arithmetic of the levels.
    pub prior: f64,
    /// That of the probability less that of the base rate: below 0, the probability was better.
    pub against_base_rate: Mean,
    /// That of the probability less that of the prior.
    pub against_prior: Mean,
}

/// What signals with a stop brought: profit after costs in units of their risk at entry.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RealisedR {
    /// All of them.
    pub all: Mean,
    /// Those that it said to take; `None` where it said so of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take: Option<Mean>,
    /// Those that it said to leave; `None` where it said so of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Mean>,
    /// The mean of those to take less that of all: what following it adds to a signal. `None` where it told none apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Mean>,
}

/// Some of the signals.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// Closed signals of which something was said.
    pub signals: u64,
    /// Those of them that were followed and not traded.
    pub followed: u64,
    /// Stretches of time that they fall into: what the intervals rest on.
    pub clusters: usize,
    /// The share that succeeded, 0–1.
    pub success_share: f64,
    /// The mean of the probabilities that were said, 0–1.
    pub mean_probability: f64,
    /// How well the outcomes were foretold.
    pub log_loss: LogLoss,
    /// What signals with a stop brought; `None` where none has a stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realised_r: Option<RealisedR>,
}

/// A part of the signals, and its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Which: a strategy, a symbol, a month such as `2026-03`.
    pub name: String,
    /// Its score.
    pub score: Score,
}

/// Signals of about the same probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bin {
    /// The mean of the probabilities that were said, 0–1.
    pub said: f64,
    /// The share that succeeded, 0–1.
    pub came: Mean,
}

/// What was said against what came.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scorecard {
    /// What the evidence says.
    pub finding: Finding,
    /// The same in words.
    pub verdict: String,
    /// What `assess` serves: all that is known, or the base rate alone where all that is known does harm.
    pub served: Served,
    /// The score of all signals asked for; `None` while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overall: Option<Score>,
    /// Probabilities beside how often they came true, the lowest first: at most ten bins.
    pub calibration: Vec<Bin>,
    /// By strategy, in alphabetical order; signals that name none are in no part.
    pub by_strategy: Vec<Part>,
    /// By symbol, in alphabetical order.
    pub by_symbol: Vec<Part>,
    /// By the month (UTC) in which signals were given, the oldest first.
    pub by_month: Vec<Part>,
}

impl Scorecard {
    /// Of closed signals, in any order, and of the harm that what is said does. The same signals and seed, the same card.
    pub fn of(mut rows: Vec<Foretold>, harm: Option<Harm>, seed: u64) -> Self {
        // Sums of numbers depend on their order.
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        let clusters = Clusters::of(&rows, seed);
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
            by_month: clusters.parts(&rows, |row| Some(month(row.given_ms))),
        }
    }
}

/// `2026-03`, of a time.
fn month(ms: i64) -> String {
    format_iso(ms).chars().take(7).collect()
}
