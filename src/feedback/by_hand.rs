//! What a caller says of a closing, and whether it can be.

use super::{check_price, check_time};
use crate::barrier::{Levels, Outcome};
use crate::error::{Error, Result};
use crate::signal::{Closing, assumed_profit};

/// What a caller says of a closing.
pub struct CloseRequest {
    pub id: String,
    pub outcome: Outcome,
    pub exit_price: Option<f64>,
    pub profit_percent: Option<f64>,
    pub now_ms: i64,
}

impl CloseRequest {
    /// What can be told without the signal.
    pub fn check(&self) -> Result<()> {
        if self.outcome == Outcome::Active {
            return Err(Error::argument(
                "outcome",
                "must be TOOK_PROFIT, STOPPED_OUT, SUCCESS, FAILURE or UNKNOWN",
                "ACTIVE",
            ));
        }
        let price = self.exit_price.map(|price| ("exitPrice", price));
        let told = price.or(self.profit_percent.map(|profit| ("profitLossPercent", profit)));
        if let Some((field, number)) = told.filter(|_| self.outcome == Outcome::Unknown) {
            return Err(Error::argument(field, "must be left out where the outcome is UNKNOWN", number));
        }
        if let Some(price) = self.exit_price {
            check_price("exitPrice", price)?;
        }
        if let Some(profit) = self.profit_percent.filter(|profit| !profit.is_finite()) {
            return Err(Error::argument("profitLossPercent", "must be a finite number", profit));
        }
        check_time(self.now_ms)
    }

    /// The closing of a signal with these levels.
    ///
    /// What is said must not contradict itself: a success has a profit and a failure has none, as at an expiry
    /// ([`Outcome::by_profit`]), and a target is not reached with a loss. A stop may have been trailed into profit. Where
    /// neither price nor profit is said, a success and a failure are taken at their word, with a profit of 0.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming what contradicts.
    pub fn closing(&self, levels: &Levels) -> Result<Closing> {
        let Self { outcome, exit_price, profit_percent, .. } = *self;
        let at_exit = exit_price.map(|price| levels.profit_percent(price));
        if let Some((told, follows)) = profit_percent.zip(at_exit).filter(|(a, b)| a.min(*b) < 0.0 && a.max(*b) > 0.0) {
            let problem = format!("must not contradict `exitPrice`, at which the profit is {follows} %");
            return Err(Error::argument("profitLossPercent", problem, told));
        }
        let (field, said) = match (profit_percent, exit_price) {
            (Some(profit), _) => ("profitLossPercent", format!("{profit}")),
            (None, Some(price)) => ("exitPrice", format!("{price} at entry {}", levels.entry)),
            (None, None) => ("outcome", outcome.as_str().to_owned()),
        };
        let refuse = |problem: &str| Err(Error::argument(field, format!("must {problem}"), said));
        match (outcome, profit_percent.or(at_exit)) {
            (Outcome::Success, Some(profit)) if Outcome::by_profit(profit) != outcome => {
                return refuse("be a profit where the outcome is SUCCESS");
            }
            (Outcome::Failure, Some(profit)) if Outcome::by_profit(profit) != outcome => {
                return refuse("be no profit where the outcome is FAILURE");
            }
            (Outcome::TookProfit, Some(profit)) if profit < 0.0 => {
                return refuse("be no loss where the outcome is TOOK_PROFIT");
            }
            (Outcome::TookProfit | Outcome::StoppedOut, None) if levels.level_of(outcome).is_none() => {
                return refuse("come with `exitPrice` or `profitLossPercent`: the signal has no level of that name");
            }
            _ => {}
        }
        Ok(Closing {
            outcome,
            exit_price,
            profit_percent: profit_percent.unwrap_or_else(|| assumed_profit(levels, outcome, exit_price)),
            closed_ms: self.now_ms.max(levels.since_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::Direction;

    const BUY: Direction = Direction::Buy;
    const SELL: Direction = Direction::Sell;

    /// The profit that is stored, or the argument that is refused; stop and target are 5 from an entry of 100.
    fn said(
        direction: Direction,
        outcome: Outcome,
        exit_price: Option<f64>,
        profit_percent: Option<f64>,
    ) -> std::result::Result<f64, &'static str> {
        let level = |distance: f64| Some(100.0 + direction.sign() * distance);
        let levels = Levels::checked(direction, 100.0, level(-5.0), level(5.0)).unwrap();
        told(&levels, outcome, exit_price, profit_percent)
    }

    fn told(
        levels: &Levels,
        outcome: Outcome,
        exit_price: Option<f64>,
        profit_percent: Option<f64>,
    ) -> std::result::Result<f64, &'static str> {
        let request =
            CloseRequest { id: "a".to_owned(), outcome, exit_price, profit_percent, now_ms: 1_700_000_000_000 };
        match request.check().and_then(|()| request.closing(levels)) {
            Ok(closing) => Ok(closing.profit_percent),
            Err(Error::InvalidArgument { argument, .. }) => Err(argument),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_success_has_a_profit_and_a_failure_has_none() {
        use Outcome::{Failure, Success};
        for (direction, better, worse) in [(BUY, 101.0, 99.0), (SELL, 99.0, 101.0)] {
            assert_eq!(said(direction, Success, Some(better), None), Ok(1.0));
            assert_eq!(said(direction, Success, Some(worse), None), Err("exitPrice"));
            assert_eq!(said(direction, Failure, Some(worse), None), Ok(-1.0));
            assert_eq!(said(direction, Failure, Some(better), None), Err("exitPrice"));
            // As at an expiry, no profit is a failure.
            assert_eq!(said(direction, Success, Some(100.0), None), Err("exitPrice"));
            assert!(said(direction, Failure, Some(100.0), None).is_ok());
        }
        assert_eq!(said(BUY, Success, None, Some(-200.0)), Err("profitLossPercent"));
        assert_eq!(said(BUY, Failure, None, Some(0.5)), Err("profitLossPercent"));
        assert_eq!(said(BUY, Success, None, None), Ok(0.0));
        assert_eq!(said(BUY, Failure, None, None), Ok(0.0));
    }

    #[test]
    fn what_is_unknown_has_neither_price_nor_profit() {
        assert_eq!(said(BUY, Outcome::Unknown, None, None), Ok(0.0));
        assert_eq!(said(BUY, Outcome::Unknown, Some(101.0), None), Err("exitPrice"));
        assert_eq!(said(BUY, Outcome::Unknown, None, Some(1.0)), Err("profitLossPercent"));
    }

    #[test]
    fn price_and_profit_agree() {
        use Outcome::{Failure, StoppedOut, Success};
        for outcome in [Success, StoppedOut] {
            assert_eq!(said(BUY, outcome, Some(99.0), Some(1.0)), Err("profitLossPercent"));
            assert_eq!(said(BUY, outcome, Some(101.0), Some(0.9)), Ok(0.9));
        }
        // After costs, a fill at the entry is a loss.
        assert_eq!(said(BUY, Failure, Some(100.0), Some(-0.1)), Ok(-0.1));
    }

    #[test]
    fn a_target_is_not_reached_with_a_loss_and_a_stop_may_trail() {
        use Outcome::{StoppedOut, TookProfit};
        assert_eq!(said(BUY, TookProfit, Some(99.0), None), Err("exitPrice"));
        assert_eq!(said(SELL, TookProfit, None, Some(-1.0)), Err("profitLossPercent"));
        assert_eq!(said(BUY, StoppedOut, Some(102.0), None), Ok(2.0));
        assert_eq!((said(BUY, TookProfit, None, None), said(BUY, StoppedOut, None, None)), (Ok(5.0), Ok(-5.0)));
        let bare = Levels::checked(BUY, 100.0, None, None).unwrap();
        for outcome in [TookProfit, StoppedOut] {
            assert_eq!(told(&bare, outcome, None, None), Err("outcome"));
            assert_eq!(told(&bare, outcome, Some(101.0), None), Ok(1.0));
        }
    }
}
