//! The result of a signal as a trader or another log reports it, and whether it is possible.

use super::{Closing, wrong};
use crate::barrier::{Direction, Levels, Outcome};
use crate::error::Result;

/// Costs, in percent of the exit value, by which a profit may always differ from the one at the exit price, even if lower costs
/// are configured: fees, slippage, rounding.
const LEAST_COSTS_PERCENT: f64 = 1.0;

/// A reported result of a signal. Prices are finite and above 0, profits finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claim {
    /// The outcome; never `ACTIVE`.
    pub outcome: Outcome,
    /// The exit price.
    pub exit_price: Option<f64>,
    /// Profit in percent of the entry price; negative for a loss.
    pub profit_percent: Option<f64>,
}

impl Claim {
    /// The closing of a signal with these levels.
    ///
    /// A success needs a profit and a failure must have none ([`Outcome::by_profit`]), so price or profit must be given for both.
    /// A target cannot be reached at a loss; a stop may have been trailed into profit. A target or stop without price and profit
    /// is taken to have filled at its level.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidSignal`] naming the field that is missing or contradicts another.
    pub fn closing(&self, levels: &Levels, closed_ms: i64) -> Result<Closing> {
        let Self { outcome, exit_price, profit_percent } = *self;
        let (field, said) = match (profit_percent, exit_price) {
            (Some(profit), _) => ("profitLossPercent", profit.to_string()),
            (None, Some(price)) => ("exitPrice", format!("{price} at entry {}", levels.entry)),
            (None, None) => ("outcome", outcome.as_str().to_owned()),
        };
        if outcome.succeeded().is_none() {
            // Logs store a profit of 0 for an outcome that is unknown or cancelled.
            return match (exit_price, profit_percent.filter(|profit| *profit != 0.0)) {
                (None, None) => Ok(Closing { outcome, exit_price, profit_percent: 0.0, closed_ms, excursion: None }),
                _ => wrong(field, "must be left out where the outcome is UNKNOWN or CANCELLED", said),
            };
        }
        let profit = profit_percent.or(exit_price.or(levels.level_of(outcome)).map(|exit| levels.profit_percent(exit)));
        match (outcome, profit) {
            (Outcome::Success, Some(profit)) if Outcome::by_profit(profit) != outcome => {
                wrong(field, "must be a profit where the outcome is SUCCESS", said)
            }
            (Outcome::Failure, Some(profit)) if Outcome::by_profit(profit) != outcome => {
                wrong(field, "must be no profit where the outcome is FAILURE", said)
            }
            (Outcome::TookProfit, Some(profit)) if profit < 0.0 => {
                wrong(field, "must be no loss where the outcome is TOOK_PROFIT", said)
            }
            (Outcome::TookProfit | Outcome::StoppedOut, None) => {
                let problem = "must come with `exitPrice` or `profitLossPercent`: the signal has no such level";
                wrong(field, problem, said)
            }
            (Outcome::Success | Outcome::Failure | Outcome::Unknown | Outcome::Cancelled | Outcome::Active, None) => {
                let problem = "must come with `exitPrice` or `profitLossPercent`: without either the profit is unknown";
                wrong(field, problem, said)
            }
            (_, Some(profit_percent)) => {
                Ok(Closing { outcome, exit_price, profit_percent, closed_ms, excursion: None })
            }
        }
    }
}

impl Closing {
    /// Rejects a profit that is impossible with these levels. Costs of up to `costs_percent` may turn a small profit into a loss,
    /// but never a loss into a profit.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidSignal`] naming the profit.
    pub fn check(&self, levels: &Levels, costs_percent: f64) -> Result<()> {
        let (field, profit) = ("profitLossPercent", self.profit_percent);
        let costs = costs_percent.max(LEAST_COSTS_PERCENT);
        let follows = self.exit_price.map(|price| (price, levels.profit_percent(price)));
        if let Some((price, follows)) = follows {
            // Costs are a share of the traded value, here the value at the exit.
            let most = costs * (1.0 + follows.abs() / 100.0);
            if (profit - follows).abs() > most || (profit > 0.0 && follows < 0.0) {
                let problem = "must not contradict `exitPrice` by more than costs; it is the change of the price, not of the \
                     margin: divide it by the leverage";
                return wrong(field, problem, format!("{profit} where the exit price {price} makes {follows}"));
            }
        }
        // A price cannot fall below 0.
        match levels.direction {
            Direction::Buy if profit < -100.0 - costs => {
                let problem = "must not be below -100 for a BUY; it is the change of the price, not of the margin: divide it by \
                     the leverage";
                wrong(field, problem, profit)
            }
            Direction::Sell if profit > 100.0 => {
                let problem = "must not be above 100 for a SELL; it is the change of the price, not of the margin: divide it by \
                     the leverage";
                wrong(field, problem, profit)
            }
            _ => Ok(()),
        }
    }

    /// The first field, by its camelCase name, in which `other` differs.
    pub fn first_difference(&self, other: &Self) -> Option<&'static str> {
        let differs = [
            ("outcome", self.outcome != other.outcome),
            ("exitPrice", self.exit_price != other.exit_price),
            ("profitLossPercent", self.profit_percent != other.profit_percent),
            ("closedAt", self.closed_ms != other.closed_ms),
        ];
        differs.into_iter().find_map(|(field, differs)| differs.then_some(field))
    }
}

/// The profit of a closing that has neither profit nor exit price: that of the barrier it names, else 0. Only logs may omit both.
pub(super) fn assumed_profit(levels: &Levels, outcome: Outcome, exit_price: Option<f64>) -> f64 {
    exit_price.or(levels.level_of(outcome)).map_or(0.0, |exit| levels.profit_percent(exit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    const BUY: Direction = Direction::Buy;
    const SELL: Direction = Direction::Sell;

    /// The stored profit, or the rejected field. Stop and target are 5 away from an entry of 100.
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
        let claim = Claim { outcome, exit_price, profit_percent };
        let closing = claim.closing(levels, 0).and_then(|closing| closing.check(levels, 0.1).map(|()| closing));
        match closing {
            Ok(closing) => Ok(closing.profit_percent),
            Err(Error::InvalidSignal { field, .. }) => Err(field),
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
            // As at an expiry, a profit of zero is a failure.
            assert_eq!(said(direction, Success, Some(100.0), None), Err("exitPrice"));
            assert!(said(direction, Failure, Some(100.0), None).is_ok());
        }
        assert_eq!(said(BUY, Success, None, Some(-20.0)), Err("profitLossPercent"));
        assert_eq!(said(BUY, Failure, None, Some(0.5)), Err("profitLossPercent"));
        // Price and profit are both missing.
        assert_eq!((said(BUY, Success, None, None), said(BUY, Failure, None, None)), (Err("outcome"), Err("outcome")));
    }

    #[test]
    fn what_is_unknown_has_neither_price_nor_profit() {
        assert_eq!(said(BUY, Outcome::Unknown, None, None), Ok(0.0));
        assert_eq!(said(BUY, Outcome::Unknown, Some(101.0), None), Err("exitPrice"));
        assert_eq!(said(BUY, Outcome::Unknown, None, Some(1.0)), Err("profitLossPercent"));
    }

    #[test]
    fn price_and_profit_agree_but_for_costs() {
        use Outcome::{Failure, StoppedOut, Success, TookProfit};
        for outcome in [Success, StoppedOut] {
            assert_eq!(said(BUY, outcome, Some(99.5), Some(0.1)), Err("profitLossPercent"), "no costs make a profit");
            assert_eq!(said(BUY, outcome, Some(101.0), Some(0.9)), Ok(0.9));
        }
        // After costs, a fill at the entry or a little above it is a loss.
        assert_eq!(said(BUY, Failure, Some(100.0), Some(-0.1)), Ok(-0.1));
        assert_eq!(said(BUY, Failure, Some(100.05), Some(-0.05)), Ok(-0.05));
        // With leverage of 100: the profit on the margin is not the price's change.
        assert_eq!(said(BUY, StoppedOut, Some(98.0), Some(-400.0)), Err("profitLossPercent"));
        assert_eq!(said(BUY, StoppedOut, Some(98.0), Some(-3.1)), Err("profitLossPercent"));
        assert_eq!(said(BUY, StoppedOut, Some(98.0), Some(-3.0)), Ok(-3.0));
        assert_eq!(said(SELL, TookProfit, Some(95.0), Some(50.0)), Err("profitLossPercent"));
        // Costs apply to ten times the value at ten times the price.
        assert_eq!(said(BUY, TookProfit, Some(1000.0), Some(892.0)), Ok(892.0));
        assert_eq!(said(BUY, TookProfit, Some(1000.0), Some(880.0)), Err("profitLossPercent"));
    }

    #[test]
    fn configured_costs_widen_what_agrees() {
        let levels = Levels::checked(BUY, 100.0, None, None).unwrap();
        let closing = |profit_percent| Closing {
            outcome: Outcome::Failure,
            exit_price: Some(100.0),
            profit_percent,
            closed_ms: 0,
            excursion: None,
        };
        assert!(closing(-3.0).check(&levels, 0.1).is_err() && closing(-3.0).check(&levels, 3.0).is_ok());
    }

    #[test]
    fn nobody_loses_or_earns_more_than_there_is() {
        use Outcome::{Failure, StoppedOut, Success};
        assert_eq!(said(BUY, StoppedOut, None, Some(-102.0)), Err("profitLossPercent"));
        assert_eq!(said(BUY, Failure, None, Some(-100.1)), Ok(-100.1));
        assert_eq!(said(SELL, Success, None, Some(100.5)), Err("profitLossPercent"));
        assert_eq!(said(SELL, StoppedOut, None, Some(-400.0)), Ok(-400.0), "a price may rise without end");
        assert_eq!(said(BUY, Success, None, Some(400.0)), Ok(400.0));
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
