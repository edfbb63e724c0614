//! A closing that a caller reports, and whether it is valid.

use super::{check_price, check_time};
use domain::barrier::{Event, ExitCause, Levels, Outcome, Trade, What};
use domain::error::{Error, Result};
use domain::signal::{Cancellation, Change, Claim, Closing, ENDS, Excursion, Reduction, Update};
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
    /// How far the price went, if the caller saw that; otherwise the store tells what it saw.
    pub excursion: Option<Excursion>,
}

impl CloseRequest {
    /// The request for an update received now.
    pub fn new(update: Update, now_ms: i64) -> Self {
        let Update { id, claim, share, closed_ms } = update;
        Self { id, claim, share, closed_ms, now_ms, excursion: None }
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
        let Claim { outcome, exit_price, .. } = self.claim;
        let is_pending = trade.entered_ms().is_none();
        match outcome {
            Outcome::Cancelled => {
                let change = Change::Cancel(Cancellation { at_ms: self.closed_ms, ..Cancellation::default() });
                return Ok((vec![change.event(trade, self.now_ms)?], None));
            }
            _ if is_pending => {
                let problem = "must be CANCELLED for a signal that still waits for its entry";
                return Err(Error::argument("outcome", problem, outcome.as_str()));
            }
            _ => {}
        }
        let share = self.share.unwrap_or(trade.left());
        let price = self.price(trade)?;
        // Checks the part and the time.
        let reduced = Change::Reduce(Reduction { share, price, at_ms: self.closed_ms }).event(trade, self.now_ms)?;
        if share < trade.left() {
            return Ok((vec![reduced], None));
        }
        let cause = if outcome == Outcome::Unknown { ExitCause::Unknown } else { ExitCause::Hand };
        let exit = Event { at: reduced.at, what: What::Exit { price, share: trade.left(), cause } };
        if matches!(outcome, Outcome::Unknown | Outcome::Active) {
            return Ok((vec![exit], None));
        }
        let mut after = trade.clone();
        after.apply(&exit);
        let whole = Claim {
            outcome,
            exit_price: after.mean_exit().or(exit_price),
            profit_percent: Some(after.profit_percent()),
        };
        let closing = whole.closing(trade.levels(), exit.at).map_err(Error::into_argument)?;
        // A profit that the caller gives is that of the whole signal.
        let claimed =
            Closing { profit_percent: self.claim.profit_percent.unwrap_or(closing.profit_percent), ..closing };
        claimed.check(trade.levels(), costs_percent).map_err(Error::into_argument)?;
        Ok((vec![exit], Some(outcome)))
    }

    /// The price at which a part of a managed signal was closed.
    fn price(&self, trade: &Trade) -> Result<f64> {
        let Claim { outcome, exit_price, profit_percent } = self.claim;
        let levels = trade.levels();
        if outcome == Outcome::Unknown {
            return Ok(levels.entry);
        }
        // Of a signal that was closed in parts, a profit does not say the price of the last part.
        let of_profit = profit_percent.filter(|_| trade.left() == 100.0 && self.share.is_none());
        let of_profit = of_profit.map(|profit| levels.exit_of(profit));
        exit_price.or(of_profit).or(levels.level_of(outcome)).ok_or_else(|| {
            Error::argument("exitPrice", "must be given: without it the profit of this part is unknown", "nothing")
        })
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
