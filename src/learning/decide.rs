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
    /// The stored candles are out of date and could not be brought up to date.
    StaleCandles,
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
        Self::of(shape.reward_risk, 100.0 * shape.stop_atr * atr_ratio, fee_bps)
    }

    /// `stop_percent` is the distance of the stop in percent of the entry.
    pub fn of(reward_risk: f64, stop_percent: f64, fee_bps: f64) -> Self {
        Self { reward_risk, fee: fee_bps / 100.0 / stop_percent }
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

/// The likelier of the bets that the model itself speaks for and that is expected to earn more than it costs.
///
/// `base` holds the base rates of BUY and SELL: a probability that equals its base rate says that the model knows nothing
/// here, and one below it that the model speaks against the bet, however well the base rate alone would pay.
pub fn choose(probabilities: &Probabilities, base: [f64; 2], costs: &Costs) -> Result<Direction, Abstention> {
    let bets = [(Direction::Buy, probabilities.buy, base[0]), (Direction::Sell, probabilities.sell, base[1])];
    if bets.iter().all(|(_, probability, base)| probability == base) {
        return Err(Abstention::NoSkill);
    }
    bets.into_iter()
        .filter(|(_, probability, base)| probability > base && costs.expectancy(*probability) > 0.0)
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
        assert_eq!(choose(&likely, [0.4, 0.4], &costs), Ok(Direction::Buy));
        assert_eq!(choose(&likely, [0.5, 0.35], &costs), Ok(Direction::Sell));
        assert_eq!(choose(&likely, [0.55, 0.35], &costs), Ok(Direction::Sell), "against the BUY, however likely");
        assert_eq!(choose(&likely, [0.5, 0.4], &costs), Err(Abstention::NoSkill));
        let unlikely = Probabilities { buy: 0.3, sell: 0.33, hold: 0.37 };
        assert_eq!(choose(&unlikely, [0.2, 0.2], &costs), Err(Abstention::NoEdge));
    }
}
