//! The model of one market as it is served: its base rates, the weight of its timeframe's pooled model, and its record.

use super::evidence::PerFamily;
use super::lineage::Lineage;
use super::metrics::Scores;
use super::own::{OwnPart, OwnRecord};
use super::pool::{Pool, Skill};
use crate::features::Missing;
use domain::barrier::Direction;
use domain::config::SignalShape;
use domain::error::Error;
use domain::features::{FEATURES, OF_VOLUME};
use domain::symbol::{Market, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Probabilities that a BUY, a SELL, or neither would succeed; they add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    /// A BUY succeeds.
    pub buy: f64,
    /// A SELL succeeds.
    pub sell: f64,
    /// Neither does.
    pub hold: f64,
}

impl Probabilities {
    /// From the probabilities of a BUY and a SELL; the rest is HOLD. The two forests are independent: where the sum
    /// exceeds 1, both are scaled down.
    pub fn of(buy: f64, sell: f64) -> Self {
        let scale = (buy + sell).max(1.0);
        let (buy, sell) = (buy / scale, sell / scale);
        Self { buy, sell, hold: (1.0 - buy - sell).max(0.0) }
    }
}

/// The average results of bets before costs, in stop distances.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Payoff {
    /// The mean of successful bets: less than the target's distance, as some expire before they reach it.
    pub win: f64,
    /// The mean of failed bets, as a positive number.
    pub loss: f64,
}

impl Payoff {
    /// The payoff of bets that all end at their stop or their target.
    pub fn at_levels(reward_risk: f64) -> Self {
        Self { win: reward_risk, loss: 1.0 }
    }
}

/// The probability after shrinkage: the constant plus the weighted departure.
pub fn believed(constant: f64, belief: f64, departure: f64) -> f64 {
    belief.mul_add(departure, constant).clamp(0.0, 1.0)
}

/// One direction of a market's model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// The share of successes among all rows of the market, 0–1; that of the pool where the market has too few rows.
    pub base_rate: f64,
    /// The weight of the pooled model, 0–1; 0 means it showed no skill and the base rate is served.
    pub belief: f64,
    /// The average results of its bets in training.
    pub payoff: Payoff,
}

/// How a model was trained, and how it did on held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The symbol and timeframe.
    pub market: Market,
    /// When it was trained, UTC epoch ms.
    pub trained_ms: i64,
    /// [`domain::features::VERSION`].
    pub features_version: u32,
    /// Stop, in average true ranges, of its labels; see [`SignalShape::stop_atr`].
    pub stop_atr: f64,
    /// See [`SignalShape::reward_risk`].
    pub reward_risk: f64,
    /// See [`SignalShape::expiry_bars`].
    pub expiry_bars: usize,
    /// Candles read.
    pub candles: usize,
    /// Labelled training rows.
    pub rows: usize,
    /// The effective number of independent labels: the sum of their uniqueness.
    pub effective_rows: f64,
    /// Bars without a feature row, by cause.
    pub missing: BTreeMap<Missing, usize>,
    /// Feature rows whose label is not decided yet, or fell into a gap.
    pub unlabelled: usize,
    /// Open time of the first row's candle, UTC epoch ms.
    pub first_ms: i64,
    /// Close time of the last candle that any label depends on: only later rows may be used for scoring.
    pub horizon_ms: i64,
    /// Held-out figures of the BUY side.
    pub buy: Scores,
    /// Held-out figures of the SELL side.
    pub sell: Scores,
    /// Signals it would have given on the held-out rows, at most one per row.
    pub held_out_signals: usize,
    /// Their mean profit in percent of the entry, after costs; `None` when it gave none.
    pub held_out_profit: Option<f64>,
    /// The weight of the pooled model on each side, BUY then SELL; see [`Side::belief`].
    pub beliefs: [f64; 2],
    /// The probability at which a bet earns nothing after costs, BUY then SELL, at the median stop distance.
    pub break_even: [f64; 2],
    /// Held-out skill on the rows of this market.
    pub skill: Skill,
    /// Held-out skill on the rows of all symbols of the pool.
    pub pool_skill: Skill,
    /// The SHA-256 of the pooled model's file in hex; `None` before it is stored, and for a model of an earlier format.
    pub pool: Option<String>,
    /// The symbols that the pooled model was trained on, by name.
    pub symbols: Vec<Symbol>,
    /// Rows that the pooled model was trained on.
    pub pool_rows: usize,
    /// The stacking weights of the families, BUY then SELL; see [`super::Families::NAMES`].
    pub weights: [PerFamily; 2],
    /// The features it was trained on by importance, averaged over both sides, best first, adding up to 1. Without
    /// volume, the volume features are left out.
    pub importances: Vec<(String, f64)>,
    /// Trees per side.
    pub trees: usize,
    /// Seed of the training.
    pub seed: u64,
    /// The user's own model that the pooled model weighs. In a file it is read from the pooled model.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnRecord>,
}

impl Record {
    /// Mean held-out log loss of both sides.
    pub fn log_loss(&self) -> f64 {
        (self.buy.log_loss + self.sell.log_loss) / 2.0
    }

    /// The same of the constants.
    pub fn constant_log_loss(&self) -> f64 {
        (self.buy.constant_log_loss + self.sell.constant_log_loss) / 2.0
    }

    /// The features it was trained without, because the candles had no volume.
    pub fn left_out(&self) -> Vec<&'static str> {
        let names = OF_VOLUME.iter().map(|(name, _)| *name);
        names.filter(|name| self.importances.iter().all(|(used, _)| used != name)).collect()
    }

    /// Whether it was trained on the volume features.
    pub fn uses_volume(&self) -> bool {
        self.left_out().is_empty()
    }

    /// Whether either side showed skill. Without any, the probabilities are the base rates.
    pub fn has_skill(&self) -> bool {
        self.beliefs.iter().any(|belief| *belief > 0.0)
    }

    /// Stop, target and expiry of its labels.
    pub fn shape(&self) -> SignalShape {
        SignalShape { stop_atr: self.stop_atr, reward_risk: self.reward_risk, expiry_bars: self.expiry_bars }
    }
}

/// A model in service.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// How it was trained, and how it did.
    pub record: Record,
    /// The BUY side.
    pub buy: Side,
    /// The SELL side.
    pub sell: Side,
    /// The pooled model of its timeframe, which markets share.
    pub pool: Arc<Pool>,
    /// Its origin, and what is needed to judge and to continue it.
    pub lineage: Lineage,
}

/// The model in service when a training began.
#[derive(Debug, Clone)]
pub enum Champion {
    /// No model yet.
    None,
    /// A model that cannot be read.
    Unusable {
        /// Its version; `None` when that cannot be read either.
        version: Option<u64>,
        /// Why it cannot be read.
        error: Error,
    },
    /// This model.
    Model(Arc<Model>),
}

impl Model {
    /// The version number in the registry; 0 before it is stored, and for the file format without numbers.
    pub fn version(&self) -> u64 {
        self.lineage.version
    }

    /// The side of a direction.
    pub fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Buy => &self.buy,
            Direction::Sell => &self.sell,
        }
    }

    /// The probability of success of each side for one feature row, BUY then SELL; `None` for a row of another length
    /// or with a value that is not finite. An own model says nothing.
    pub fn stated(&self, row: &[f64]) -> Option<[f64; 2]> {
        self.stated_with(row, None)
    }

    /// [`Self::stated`] with the own model's departures from its usual level ([`OwnPart::departures`]); `None` where it
    /// says nothing.
    pub fn stated_with(&self, row: &[f64], own: Option<[f64; 2]>) -> Option<[f64; 2]> {
        let say = |at: usize, side: &Side| {
            // A model without weight need not be evaluated.
            let departure = if side.belief > 0.0 { self.departure(at, row, own)? } else { 0.0 };
            Some(believed(side.base_rate, side.belief, departure))
        };
        let readable = row.len() == FEATURES.len() && row.iter().all(|value| value.is_finite());
        readable.then(|| Some([say(0, &self.buy)?, say(1, &self.sell)?]))?
    }

    /// How far the probability of a side departs from the base rate for this row, 0 for a BUY and 1 for a SELL, before
    /// belief; `None` for an unreadable row.
    pub fn departure(&self, side: usize, row: &[f64], own: Option<[f64; 2]>) -> Option<f64> {
        let ours = self.pool.sides[side].departure(row)?;
        Some(self.pool.own.as_ref().map_or(ours, |part| part.sides[side].blend.mean(ours, own.map(|own| own[side]))))
    }

    /// The own model that predictions of this one need: one with weight, in a direction that is believed.
    pub fn needs_own(&self) -> Option<&OwnPart> {
        let part = self.pool.own.as_ref()?;
        let counts = |(side, own): (Side, &super::own::OwnSide)| side.belief > 0.0 && own.blend.weight > 0.0;
        self.sides().into_iter().zip(&part.sides).any(counts).then_some(part)
    }

    /// Both sides, BUY then SELL.
    pub fn sides(&self) -> [Side; 2] {
        [self.buy, self.sell]
    }

    /// [`Self::stated`] as a distribution.
    pub fn probabilities(&self, row: &[f64]) -> Option<Probabilities> {
        self.stated(row).map(|[buy, sell]| Probabilities::of(buy, sell))
    }

    /// Whether rates and payoffs are in range.
    pub fn is_sound(&self) -> bool {
        [&self.buy, &self.sell].into_iter().all(|side| {
            let Payoff { win, loss } = side.payoff;
            let rates = [side.base_rate, side.belief].iter().all(|rate| (0.0..=1.0).contains(rate));
            rates && win.is_finite() && loss.is_finite() && win > 0.0 && loss >= 0.0
        })
    }
}
