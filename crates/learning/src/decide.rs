//! From probabilities to a decision: BUY, SELL, or HOLD with a reason.

use crate::model::Payoff;
use domain::barrier::Direction;
use serde::{Deserialize, Serialize};

/// Why no signal is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Abstention {
    /// On held-out rows, the model was no better than the base rate.
    NoSkill,
    /// Neither bet is expected to earn more than it costs.
    NoEdge,
    /// The last bar has no features: warm-up, flat prices, or no volume.
    NoFeatures,
    /// A level would be zero or negative: the range is as large as the price.
    NoLevels,
    /// The stored candles are out of date and could not be refreshed.
    StaleCandles,
    /// The bet would be good enough otherwise, but not in conservative mode, which demands more while live results are
    /// poor.
    ConservativeMode,
}

/// What a bet wins and loses, in units of the stop distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    payoff: Payoff,
    fee: f64,
}

impl Costs {
    /// `stop_percent` is the distance of the stop in percent of the entry, `fee_bps` the cost of a round trip in basis
    /// points.
    pub fn new(payoff: Payoff, stop_percent: f64, fee_bps: f64) -> Self {
        Self { payoff, fee: fee_bps / 100.0 / stop_percent }
    }

    /// From a signal's own levels, assuming that it ends at one of them. The stop and the target are on their proper
    /// sides of the entry.
    pub fn of_levels(entry: f64, stop_loss: f64, take_profit: f64, fee_bps: f64) -> Self {
        let risk = (entry - stop_loss).abs();
        Self::new(Payoff::at_levels((take_profit - entry).abs() / risk), 100.0 * risk / entry, fee_bps)
    }

    /// The costs of the same bet with its levels `distance` times as far away.
    pub fn scaled(self, distance: f64) -> Self {
        Self { fee: self.fee / distance, ..self }
    }

    /// The success probability at which a bet earns nothing: (loss + fee) / (win + loss).
    pub fn break_even(&self) -> f64 {
        let Payoff { win, loss } = self.payoff;
        (loss + self.fee) / (win + loss)
    }

    /// Expected profit of a bet, in stop distances.
    pub fn expectancy(&self, probability: f64) -> f64 {
        probability * self.payoff.win - (1.0 - probability) * self.payoff.loss - self.fee
    }
}

/// Chooses the bet with the higher expected profit. A bet qualifies only if the model raises its probability above the
/// base rate, and if that probability exceeds break-even by more than `margin`. BUY comes before SELL in each array.
///
/// A probability equal to its `base` rate means that the model knows nothing here. A lower one means that the model
/// advises against the bet, however well the base rate alone would pay.
pub fn choose(stated: [f64; 2], base: [f64; 2], costs: &[Costs; 2], margin: f64) -> Result<Direction, Abstention> {
    if stated == base {
        return Err(Abstention::NoSkill);
    }
    [Direction::Buy, Direction::Sell]
        .into_iter()
        .zip(stated.into_iter().zip(base).zip(costs))
        .filter(|(_, ((stated, base), _))| stated > base)
        .map(|(direction, ((stated, _), costs))| {
            (stated >= costs.break_even() + margin, costs.expectancy(stated), direction)
        })
        .filter(|(_, earns, _)| *earns > 0.0)
        .max_by(|(one, a, _), (other, b, _)| one.cmp(other).then(a.total_cmp(b)))
        .ok_or(Abstention::NoEdge)
        .and_then(|(is_enough, _, direction)| if is_enough { Ok(direction) } else { Err(Abstention::ConservativeMode) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stop 1.5 ATR of 1 %, target twice as far.
    fn costs(fee_bps: f64) -> Costs {
        Costs::new(Payoff::at_levels(2.0), 1.5, fee_bps)
    }

    #[test]
    fn break_even_by_hand() {
        // Fee 0.1 %: a fifteenth of the risk of 1.5 %.
        let costs = costs(10.0);
        assert!((costs.break_even() - (1.0 + 1.0 / 15.0) / 3.0).abs() < 1e-12);
        assert!(costs.expectancy(costs.break_even()).abs() < 1e-12);
        // Some expire: the mean win is 1.6 stops, the mean loss 0.9.
        let costs = Costs::new(Payoff { win: 1.6, loss: 0.9 }, 1.5, 10.0);
        assert!((costs.break_even() - (0.9 + 1.0 / 15.0) / 2.5).abs() < 1e-12);
        assert!(costs.expectancy(costs.break_even()).abs() < 1e-12);
    }

    #[test]
    fn levels_of_the_same_shape_cost_the_same() {
        let (a, b) = (Costs::of_levels(100.0, 98.5, 103.0, 10.0), costs(10.0));
        assert!((a.break_even() - b.break_even()).abs() < 1e-12);
        let sell = Costs::of_levels(100.0, 101.5, 97.0, 10.0);
        assert!((sell.break_even() - b.break_even()).abs() < 1e-12);
    }

    #[test]
    fn a_margin_asks_for_more() {
        let costs = [costs(0.0); 2];
        let with = |margin| choose([0.42, 0.3], [0.4, 0.3], &costs, margin);
        assert_eq!((with(0.0), with(0.08)), (Ok(Direction::Buy), Ok(Direction::Buy)));
        assert_eq!(with(0.09), Err(Abstention::ConservativeMode));
        assert_eq!(choose([0.32, 0.3], [0.3, 0.3], &costs, 0.5), Err(Abstention::NoEdge));
    }

    #[test]
    fn only_skill_with_an_edge_gives_a_signal() {
        let costs = [costs(0.0); 2];
        let choose = |stated, base| choose(stated, base, &costs, 0.0);
        assert_eq!(choose([0.5, 0.4], [0.4, 0.4]), Ok(Direction::Buy));
        assert_eq!(choose([0.5, 0.4], [0.5, 0.35]), Ok(Direction::Sell));
        assert_eq!(
            choose([0.5, 0.4], [0.55, 0.35]),
            Ok(Direction::Sell),
            "the model advises against the BUY, however likely it is"
        );
        assert_eq!(choose([0.5, 0.4], [0.5, 0.4]), Err(Abstention::NoSkill));
        assert_eq!(choose([0.3, 0.33], [0.2, 0.2]), Err(Abstention::NoEdge));
    }

    #[test]
    fn each_side_is_judged_by_its_own_payoffs() {
        // SELLs win less: 0.42 pays for a BUY (a third), and not for a SELL (0.45).
        let costs = [costs(0.0), Costs::new(Payoff { win: 1.1, loss: 0.9 }, 1.5, 0.0)];
        assert_eq!(
            choose([0.42, 0.44], [0.4, 0.4], &costs, 0.0),
            Ok(Direction::Buy),
            "the more probable bet does not pay"
        );
        assert_eq!(choose([0.39, 0.44], [0.4, 0.4], &costs, 0.0), Err(Abstention::NoEdge));
        assert_eq!(choose([0.4, 0.6], [0.39, 0.4], &costs, 0.0), Ok(Direction::Sell), "0.3 stops expected against 0.2");
    }
}
