//! A closing that a caller reports, and whether it is valid.

use super::{check_price, check_time};
use domain::barrier::{Levels, Outcome};
use domain::error::{Error, Result};
use domain::signal::{Claim, Closing, ENDS, Update};
use domain::time::{CLOCK_TOLERANCE_MS, format_iso};

/// A caller's request to close a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseRequest {
    /// The signal's id.
    pub id: String,
    /// How it ended.
    pub claim: Claim,
    /// When it ended, UTC epoch ms; `None` for `now_ms`.
    pub closed_ms: Option<i64>,
    /// The current time, UTC epoch ms.
    pub now_ms: i64,
}

impl CloseRequest {
    /// The request for an update received now.
    pub fn new(update: Update, now_ms: i64) -> Self {
        let Update { id, claim, closed_ms } = update;
        Self { id, claim, closed_ms, now_ms }
    }

    /// The checks that do not need the signal.
    pub(super) fn check(&self) -> Result<()> {
        let Claim { outcome, exit_price, profit_percent } = self.claim;
        if outcome == Outcome::Active {
            return Err(Error::argument("outcome", ENDS, "ACTIVE"));
        }
        if let Some(price) = exit_price {
            check_price("exitPrice", price)?;
        }
        if let Some(profit) = profit_percent.filter(|profit| !profit.is_finite()) {
            return Err(Error::argument("profitLossPercent", "must be a finite number", profit));
        }
        if let Some(at) = self.closed_ms.filter(|at| *at > self.now_ms + CLOCK_TOLERANCE_MS) {
            let value = format!("{}; it is {} now", format_iso(at), format_iso(self.now_ms));
            return Err(Error::argument("closedAt", "must not lie in the future", value));
        }
        check_time(self.now_ms)
    }

    /// The closing of a signal with these levels; `costs_percent` are the costs of a round trip.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the contradiction.
    pub(super) fn closing(&self, levels: &Levels, costs_percent: f64) -> Result<Closing> {
        let closing = match self.closed_ms {
            // The clock of the signal's sender may be ahead of ours.
            None => self.claim.closing(levels, self.now_ms.max(levels.since_ms)),
            Some(at) => levels.check_end(at).and_then(|()| self.claim.closing(levels, at)),
        };
        let checked = closing.and_then(|closing| closing.check(levels, costs_percent).map(|()| closing));
        checked.map_err(Error::into_argument)
    }
}
