//! A closing that a caller reports, and whether it is valid.

use super::{check_price, check_time};
use domain::barrier::{Event, ExitCause, Levels, Outcome, Trade, What};
use domain::error::{Error, Result};
use domain::signal::{AT_ONCE, Cancellation, Change, Claim, Closing, ENDS, Excursion, Reduction, Update};
use domain::time::{CLOCK_TOLERANCE_MS, format_iso};

/// A caller's request to close a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseRequest {
    /// The signal's id.
    pub id: String,
    /// How it ended.
    pub claim: Claim,
    /// The part that was closed, in percent of the whole position; all that is open if `None`.
    pub share: Option<f64>,
    /// When it ended, UTC epoch ms; `None` for `now_ms`.
    pub closed_ms: Option<i64>,
    /// The current time, UTC epoch ms.
    pub now_ms: i64,
    /// How far the price went, if that is known; otherwise the store tells what it saw.
    pub excursion: Option<Excursion>,
}

impl CloseRequest {
    /// The request for an update received now.
    pub fn new(update: Update, now_ms: i64) -> Self {
        let Update { id, claim, share, closed_ms } = update;
        Self { id, claim, share, closed_ms, now_ms, excursion: None }
    }

    /// The request for an end that came with the signal.
    pub(super) fn of(id: String, closing: &Closing) -> Self {
        let Closing { outcome, exit_price, profit_percent, closed_ms, excursion } = *closing;
        let profit_percent = outcome.succeeded().map(|_| profit_percent);
        let claim = Claim { outcome, exit_price, profit_percent };
        Self { id, claim, share: None, closed_ms: Some(closed_ms), now_ms: closed_ms, excursion }
    }

    /// The checks that do not need the signal.
    pub(super) fn check(&self) -> Result<()> {
        let Claim { outcome, exit_price, profit_percent } = self.claim;
        if outcome == Outcome::Active && self.share.is_none() {
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

    /// Whether it closes only a part, so that the signal becomes a managed one.
    pub(super) fn is_partial(&self) -> bool {
        self.share.is_some()
    }

    /// The events of a managed signal that this request is, and the outcome that the caller named if it closes all.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the contradiction.
    pub(super) fn events(&self, trade: &Trade, costs_percent: f64) -> Result<(Vec<Event>, Option<Outcome>)> {
        let outcome = self.claim.outcome;
        if let Some(share) = self.share.filter(|_| matches!(outcome, Outcome::Unknown | Outcome::Cancelled)) {
            return Err(Error::argument("share", "must be left out where the outcome is UNKNOWN or CANCELLED", share));
        }
        if outcome == Outcome::Cancelled {
            self.claim.closing(trade.levels(), self.now_ms).map_err(Error::into_argument)?;
            let change = Change::Cancel(Cancellation { at_ms: self.closed_ms, ..Cancellation::default() });
            return Ok((vec![change.event(trade, self.now_ms)?], None));
        }
        if trade.entered_ms().is_none() {
            let problem = "must be CANCELLED for a signal that still waits for its entry";
            return Err(Error::argument("outcome", problem, outcome.as_str()));
        }
        let share = self.share.unwrap_or(trade.left());
        let price = self.price(trade)?;
        // Checks the part and the time.
        let reduced = Change::Reduce(Reduction { share, price, at_ms: self.closed_ms }).event(trade, self.now_ms)?;
        if self.share.is_some() {
            let is_last = share >= trade.left();
            // An outcome beside the last part is that of the whole signal.
            let of_part = if is_last { Outcome::Active } else { outcome };
            self.check_part(of_part, price, trade.levels(), (reduced.at, costs_percent))?;
            if !is_last {
                return Ok((vec![reduced], None));
            }
        }
        let cause = if outcome == Outcome::Unknown { ExitCause::Unknown } else { ExitCause::Hand };
        let exit = Event { at: reduced.at, what: What::Exit { price, share: trade.left(), cause } };
        match outcome {
            Outcome::Active => return Ok((vec![exit], None)),
            Outcome::Unknown => {
                self.claim.closing(trade.levels(), exit.at).map_err(Error::into_argument)?;
                return Ok((vec![exit], None));
            }
            _ => {}
        }
        let mut after = trade.clone();
        after.apply(&exit);
        let whole = Claim {
            outcome,
            exit_price: after.mean_exit().or(Some(price)),
            profit_percent: Some(after.profit_percent()),
        };
        let closing = whole.closing(trade.levels(), exit.at).map_err(Error::into_argument)?;
        if let Some(profit_percent) = self.claim.profit_percent.filter(|_| self.share.is_none()) {
            // The caller's profit is that of the whole signal.
            let claimed = Closing { profit_percent, ..closing };
            claimed.check(trade.levels(), costs_percent).map_err(Error::into_argument)?;
        }
        Ok((vec![exit], Some(outcome)))
    }

    /// Rejects an outcome or a profit that contradicts the price of the part that was closed.
    fn check_part(
        &self,
        outcome: Outcome,
        price: f64,
        levels: &Levels,
        (at_ms, costs_percent): (i64, f64),
    ) -> Result<()> {
        let profit_percent = self.claim.profit_percent.unwrap_or_else(|| levels.profit_percent(price));
        let part = match outcome {
            Outcome::Active => Outcome::by_profit(profit_percent),
            outcome => outcome,
        };
        let claim = Claim { outcome: part, exit_price: Some(price), profit_percent: Some(profit_percent) };
        let checked = claim.closing(levels, at_ms).and_then(|closing| closing.check(levels, costs_percent));
        checked.map_err(Error::into_argument)
    }

    /// The price at which a part of a managed signal was closed.
    fn price(&self, trade: &Trade) -> Result<f64> {
        let Claim { outcome, exit_price, profit_percent } = self.claim;
        let levels = trade.levels();
        if outcome == Outcome::Unknown {
            return Ok(levels.entry);
        }
        // Of a signal that was closed in parts, a profit of the whole does not say the price of the last part.
        let is_of_part = self.share.is_some() || trade.left() == 100.0;
        let of_profit = profit_percent.filter(|_| is_of_part);
        let of_profit = of_profit.map(|profit| levels.exit_of(profit));
        exit_price.or(of_profit.filter(|price| *price > 0.0)).or(levels.level_of(outcome)).ok_or_else(|| {
            Error::argument("exitPrice", "must be given: without it the profit of this part is unknown", "nothing")
        })
    }

    /// The closing of a signal with these levels; `costs_percent` are the costs of a round trip.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the contradiction.
    pub(super) fn closing(&self, levels: &Levels, costs_percent: f64) -> Result<Closing> {
        if self.claim.outcome == Outcome::Cancelled {
            return Err(Error::argument("outcome", AT_ONCE, self.claim.outcome.as_str()));
        }
        let closing = match self.closed_ms {
            // The clock of the signal's sender may be ahead of ours.
            None => self.claim.closing(levels, self.now_ms.max(levels.since_ms)),
            Some(at) => levels.check_end(at).and_then(|()| self.claim.closing(levels, at)),
        };
        let checked = closing.and_then(|closing| closing.check(levels, costs_percent).map(|()| closing));
        checked.map_err(Error::into_argument)
    }
}
