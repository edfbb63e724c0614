//! A closing that a caller tells of, and whether it can be.

use super::{check_price, check_time};
use domain::barrier::{Levels, Outcome};
use domain::error::{Error, Result};
use domain::signal::{Claim, Closing, ENDS, Update};
use domain::time::{CLOCK_TOLERANCE_MS, format_iso};

/// What a caller says of a closing.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseRequest {
    /// The signal's id.
    pub id: String,
    /// How it ended.
    pub claim: Claim,
    /// When, UTC epoch ms; `now_ms` where nothing is said.
    pub closed_ms: Option<i64>,
    /// What time it is, UTC epoch ms.
    pub now_ms: i64,
}

impl CloseRequest {
    /// Of what a caller said now.
    pub fn new(update: Update, now_ms: i64) -> Self {
        let Update { id, claim, closed_ms } = update;
        Self { id, claim, closed_ms, now_ms }
    }

    /// What can be told without the signal.
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
            let value = format!("{}, and it is {} now", format_iso(at), format_iso(self.now_ms));
            return Err(Error::argument("closedAt", "must not lie in the future", value));
        }
        check_time(self.now_ms)
    }

    /// The closing of a signal with these levels, where a round trip costs so many percent.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming what contradicts.
    pub(super) fn closing(&self, levels: &Levels, costs_percent: f64) -> Result<Closing> {
        let closing = match self.closed_ms {
            // The clock of whoever gave it may be ahead of this one.
            None => self.claim.closing(levels, self.now_ms.max(levels.since_ms)),
            Some(at) => levels.check_end(at).and_then(|()| self.claim.closing(levels, at)),
        };
        let checked = closing.and_then(|closing| closing.check(levels, costs_percent).map(|()| closing));
        checked.map_err(Error::into_argument)
    }
}
