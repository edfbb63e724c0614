//! The result of a closed signal.

use crate::barrier::{Direction, Outcome};
use crate::symbol::Market;

/// What is in memory of a closed signal: enough for rules and reports about live results.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its market.
    pub market: Market,
    /// Which way it bet.
    pub direction: Direction,
    /// As what it closed.
    pub outcome: Outcome,
    /// Closed as `TOOK_PROFIT` or `SUCCESS`.
    pub succeeded: bool,
    /// Percent, 0–100, if it stated one.
    pub confidence: Option<f64>,
    /// Profit in percent of the entry price, before costs.
    pub profit_percent: f64,
    /// When it was given, UTC epoch ms.
    pub given_ms: i64,
    /// When it closed, UTC epoch ms.
    pub closed_ms: i64,
}
