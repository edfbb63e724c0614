//! What the figures of a replay need of each signal, computed once.

use super::Decision;
use domain::barrier::Outcome;
use domain::signal::Costs;
use domain::time::Month;

/// How a signal ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// It was open, or waited for its entry, when the candles ended.
    Open,
    /// Its end is unknown, since no prices are known there.
    Unknown,
    /// It ended before it was entered.
    Cancelled,
    /// It was closed.
    Closed {
        /// When, UTC epoch ms.
        at_ms: i64,
        /// Whether it was a success.
        succeeded: bool,
    },
}

/// A signal that is not a HOLD, with what it earned.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The signal, and what was said of it.
    pub decision: &'a Decision,
    /// How it ended.
    pub end: End,
    /// Profit after costs in units of the risk at entry; `None` if it was not closed, or has no stop.
    pub r: Option<f64>,
    /// Profit after costs in percent of the entry; `None` if it was not closed.
    pub net_percent: Option<f64>,
}

impl<'a> Row<'a> {
    /// `None` for a HOLD.
    pub fn of(decision: &'a Decision, costs: &Costs) -> Option<Self> {
        let record = &decision.record;
        record.signal.direction?;
        let end = record.closing.map_or(End::Open, |closing| match closing.outcome.succeeded() {
            Some(succeeded) => End::Closed { at_ms: closing.closed_ms, succeeded },
            None if closing.outcome == Outcome::Cancelled => End::Cancelled,
            None => End::Unknown,
        });
        let earned = record.earned(costs).filter(|_| matches!(end, End::Closed { .. })).unwrap_or_default();
        Some(Self { decision, end, r: earned.realized_r, net_percent: earned.net_profit_percent })
    }

    /// Of all signals: those that were closed in order of closing, the others in order of time. The order of the decisions does not
    /// matter.
    pub fn all(decisions: &'a [Decision], costs: &Costs) -> Vec<Self> {
        let mut rows: Vec<Self> = decisions.iter().filter_map(|decision| Self::of(decision, costs)).collect();
        rows.sort_by_cached_key(|row| (row.closed_ms().unwrap_or(i64::MAX), row.given_ms(), row.id()));
        rows
    }

    /// The id of the signal.
    pub fn id(&self) -> &'a str {
        &self.decision.record.signal.id
    }

    /// When it was given, UTC epoch ms.
    pub fn given_ms(&self) -> i64 {
        self.decision.record.signal.timestamp_ms
    }

    /// The month (UTC) in which it was given.
    pub fn month(&self) -> Month {
        Month::of(self.given_ms())
    }

    /// When it was closed, UTC epoch ms.
    pub fn closed_ms(&self) -> Option<i64> {
        match self.end {
            End::Closed { at_ms, .. } => Some(at_ms),
            End::Open | End::Unknown | End::Cancelled => None,
        }
    }

    /// Whether the advice was to take it; `None` without advice.
    pub fn take(&self) -> Option<bool> {
        self.decision.advice.map(|advice| advice.said.take)
    }
}
