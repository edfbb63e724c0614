//! From probabilities to a decision: BUY, SELL, or HOLD with the reason.

use crate::barrier::Direction;
use crate::config::SignalShape;
use crate::model::Probabilities;
use serde::{Deserialize, Serialize};

/// Why there is no signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Abstention {
    /// On rows it had not seen, the model was no better than the base rate.
    NoSkill,
    /// Neither bet is expected to earn more than it costs.
    NoEdge,
    /// The last bar has no features: warm-up, flat prices, no volume.
    NoFeatures,
    /// The levels would not be prices: the range is as large as the price.
    NoLevels,
}

/// What a bet wins and loses, in units of the stop distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    reward_risk: f64,
    fee: f64,
}

impl Costs {
    /// `atr_ratio` is the average true range over the price, `fee_bps` the cost of a round trip.
    pub fn new(shape: &SignalShape, atr_ratio: f64, fee_bps: f64) -> Self {
        Self { reward_risk: shape.reward_risk, fee: fee_bps / 10_000.0 / (shape.stop_atr * atr_ratio) }
    }

    /// The success probability at which a bet earns nothing: (1 + fee) / (1 + reward/risk).
    pub fn break_even(&self) -> f64 {
        (1.0 + self.fee) / (1.0 + self.reward_risk)
    }

    /// Expected profit of a bet, in stop distances.
    pub fn expectancy(&self, probability: f64) -> f64 {
        probability * self.reward_risk - (1.0 - probability) - self.fee
    }
}

/// The better of the bets that the model has skill in (`skill`: BUY, SELL) and that is expected to earn more than it costs.
pub fn choose(probabilities: &Probabilities, skill: [bool; 2], costs: &Costs) -> Result<Direction, Abstention> {
    let bets = [(Direction::Buy, probabilities.buy, skill[0]), (Direction::Sell, probabilities.sell, skill[1])];
    let skilled: Vec<_> = bets.into_iter().filter(|bet| bet.2).collect();
    if skilled.is_empty() {
        return Err(Abstention::NoSkill);
    }
    skilled
        .into_iter()
        .filter(|bet| costs.expectancy(bet.1) > 0.0)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|bet| bet.0)
        .ok_or(Abstention::NoEdge)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: SignalShape = SignalShape { stop_atr: 1.5, reward_risk: 2.0, expiry_bars: 24 };

    #[test]
    fn break_even_by_hand() {
        // Stop 1.5 ATR of 1 % = 1.5 %, fee 0.1 %: a fifteenth of the risk.
        let costs = Costs::new(&SHAPE, 0.01, 10.0);
        assert!((costs.break_even() - (1.0 + 1.0 / 15.0) / 3.0).abs() < 1e-12);
        assert!(costs.expectancy(costs.break_even()).abs() < 1e-12);
    }

    #[test]
    fn only_skill_with_an_edge_gives_a_signal() {
        let costs = Costs::new(&SHAPE, 0.01, 0.0);
        let likely = Probabilities { buy: 0.5, sell: 0.4, hold: 0.1 };
        assert_eq!(choose(&likely, [true, true], &costs), Ok(Direction::Buy));
        assert_eq!(choose(&likely, [false, true], &costs), Ok(Direction::Sell));
        assert_eq!(choose(&likely, [false, false], &costs), Err(Abstention::NoSkill));
        let unlikely = Probabilities { buy: 0.3, sell: 0.33, hold: 0.37 };
        assert_eq!(choose(&unlikely, [true, true], &costs), Err(Abstention::NoEdge));
    }
}
