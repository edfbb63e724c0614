//! The result of a closed signal.

use crate::barrier::{Direction, Outcome};
use crate::symbol::Market;

/// What memory keeps of a closed signal: enough to report on live results and act on them.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its market.
    pub market: Market,
    /// Which way it bet.
    pub direction: Direction,
    /// The outcome; never `ACTIVE`.
    pub outcome: Outcome,
    /// Closed as `TOOK_PROFIT` or `SUCCESS`.
    pub succeeded: bool,
    /// Stated confidence in percent, 0–100.
    pub confidence: Option<f64>,
    /// Profit in percent of the entry price, before costs.
    pub profit_percent: f64,
    /// The same after costs: the signal's own where it states them ([`super::Costs::net_percent`]).
    pub net_percent: f64,
    /// When it was given, UTC epoch ms.
    pub given_ms: i64,
    /// When it closed, UTC epoch ms.
    pub closed_ms: i64,
}
