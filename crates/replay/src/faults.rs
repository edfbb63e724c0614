//! What went wrong with signals of a replay.

use super::options::OnFault;
use domain::error::{Error, Result};
use domain::symbol::Market;
use domain::time::format_iso;
use serde::Serialize;

/// The number of faults that are listed. The others are only counted.
const LISTED: usize = 100;

/// A fault at one candle.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// When, ISO 8601 in UTC: the close of the candle, or the time of the signal.
    pub at: String,
    /// The market.
    pub market: Market,
    /// What went wrong.
    pub problem: String,
}

/// The faults of a replay.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Faults {
    /// How many there were.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Fault>,
}

impl Faults {
    /// Notes a fault. Ends the replay if it is to stop.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] that names the candle and the fault, for [`OnFault::Stop`].
    pub(crate) fn add(&mut self, at_ms: i64, market: &Market, problem: String, then: OnFault) -> Result<()> {
        let at = format_iso(at_ms);
        if then == OnFault::Stop {
            return Err(Error::argument(
                "strategy",
                format!("failed at the candle of {market} that closed at {at}: {problem}"),
                market,
            ));
        }
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(Fault { at, market: market.clone(), problem });
        }
        Ok(())
    }
}
