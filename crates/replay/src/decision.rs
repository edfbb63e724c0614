//! A signal of a replay: what the loop said of it in advance, and what became of it.

use domain::signal::{Record, Said};
use learning::harm::Served;

/// A signal of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The signal as the replay's store has it at the end. It was recorded as taken where the advice was to take it. It has
    /// no closing if it was still open when the candles ended.
    pub record: Record,
    /// The assessment just before it was recorded; `None` if it could not be assessed, such as a HOLD.
    pub advice: Option<Advice>,
}

/// What the loop said of a signal before it was recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Advice {
    /// The assessment that was served.
    pub said: Said,
    /// The success probability above which it would take the signal, 0–1.
    pub threshold: f64,
    /// The share of the capital that it would risk, 0–1.
    pub suggested_risk: f64,
    /// Whether the estimate used all evidence, or the base rate alone.
    pub served: Served,
}
