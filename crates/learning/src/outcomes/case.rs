//! The input of the outcome learner: what was known about a signal when it was given, and nothing later.

use crate::features;
use crate::management::Management;
use crate::odds::log_odds;
use domain::barrier::{Direction, Levels};
use domain::features::COUNT;
use domain::signal::{Departures, Signal};
use domain::symbol::{Market, Symbol, Timeframe};
use serde::Serialize;

/// Stated probabilities are clipped to this range.
pub const PROBABILITY_RANGE: (f64, f64) = (0.02, 0.98);

/// Facts that follow from a signal's levels.
#[derive(Debug, Clone, Copy)]
pub(super) struct LevelFacts {
    /// Stop distance in percent of the entry.
    pub risk: Option<f64>,
    /// Stop distance and target distance in percent of the entry, where it has both.
    pub both: Option<(f64, f64)>,
    /// See [`Case::implied`].
    pub implied: f64,
}

impl LevelFacts {
    /// From these levels.
    pub fn of(levels: &Levels) -> Self {
        let distance = |level: Option<f64>| level.map(|level| (level - levels.entry).abs() / levels.entry * 100.0);
        let (risk, reward) = (distance(levels.stop_loss), distance(levels.take_profit));
        let both = risk.zip(reward).filter(|(risk, reward)| *risk > 0.0 && *reward > 0.0);
        let (least, most) = PROBABILITY_RANGE;
        Self { risk, both, implied: both.map_or(0.5, |(risk, reward)| (risk / (risk + reward)).clamp(least, most)) }
    }
}

/// The known facts of a signal, either as evidence or to be predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Case {
    /// Symbol and timeframe.
    pub market: Market,
    /// The direction of the bet.
    pub direction: Direction,
    /// The strategy that gave it.
    pub strategy: Option<String>,
    /// The probability that a price without drift reaches the target before the stop, or ends a managed signal with a profit;
    /// 0.5 without both levels.
    pub implied: f64,
    /// Target distance over stop distance, where it has both. Of a managed signal, what it wins on a price without drift.
    pub reward_risk: Option<f64>,
    /// What a managed signal loses on a price without drift, in stop distances; `None` for others, which lose 1.
    pub loss_r: Option<f64>,
    /// Stop distance in percent of the entry.
    pub stop_percent: Option<f64>,
    /// The caller's confidence, percent.
    pub confidence: Option<f64>,
    /// The caller's numeric indicators that are finite, by name.
    pub indicators: Vec<(String, f64)>,
    /// The caller's text indicators, by name.
    pub texts: Vec<(String, String)>,
    /// The candle features at entry; `None` if they are of another version than today's.
    pub features: Option<Vec<f64>>,
    /// The probability of success that a model of candles stated when it was given.
    pub prior: Option<f64>,
}

impl Case {
    /// A BUY without any other facts, for tests.
    #[cfg(test)]
    pub(super) fn bare(symbol: &str) -> Self {
        Self {
            market: Market { symbol: Symbol::parse(symbol).unwrap(), timeframe: Timeframe::H1 },
            direction: Direction::Buy,
            strategy: None,
            implied: 0.5,
            reward_risk: None,
            loss_r: None,
            stop_percent: None,
            confidence: None,
            indicators: Vec::new(),
            texts: Vec::new(),
            features: None,
            prior: None,
        }
    }

    /// From a signal; `None` for a HOLD, which is not a bet.
    pub fn of(signal: &Signal) -> Option<Self> {
        let levels = signal.levels()?;
        let LevelFacts { risk, both, implied } = LevelFacts::of(&levels);
        let managed = Management::of(signal).map(|management| management.driftless());
        let (least, most) = PROBABILITY_RANGE;
        let known = |features: &&domain::signal::EntryFeatures| {
            features.version == features::VERSION && features.values.len() == COUNT
        };
        Some(Self {
            market: signal.market(),
            direction: levels.direction,
            strategy: signal.strategy.clone(),
            implied: managed.map_or(implied, |managed| managed.success.clamp(least, most)),
            reward_risk: managed.map(|managed| managed.win).or(both.map(|(risk, reward)| reward / risk)),
            loss_r: managed.map(|managed| managed.loss),
            stop_percent: risk,
            confidence: signal.confidence,
            indicators: signal.indicators.numbers(),
            texts: signal.indicators.texts(),
            prior: None,
            features: signal.features.as_ref().filter(known).map(|features| features.values.clone()),
        })
    }

    /// The log odds of success implied by its levels.
    pub fn implied_log_odds(&self) -> f64 {
        log_odds(self.implied.clamp(PROBABILITY_RANGE.0, PROBABILITY_RANGE.1))
    }

    /// How far the log odds from the candle model depart from those implied by the levels; 0 without a candle model.
    pub fn candles(&self) -> f64 {
        let told = |prior: f64| log_odds(prior.clamp(PROBABILITY_RANGE.0, PROBABILITY_RANGE.1));
        self.prior.map_or(0.0, |prior| told(prior) - self.implied_log_odds())
    }

    /// The log odds of success before any outcome is considered.
    pub fn expected(&self) -> f64 {
        self.implied_log_odds() + self.candles()
    }

    /// Its symbol.
    pub fn symbol(&self) -> &Symbol {
        &self.market.symbol
    }

    /// Its timeframe.
    pub fn timeframe(&self) -> Timeframe {
        self.market.timeframe
    }
}

/// A closed signal: its case and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lesson {
    /// What was known when it was given.
    pub case: Case,
    /// Whether it succeeded.
    pub success: bool,
    /// Its profit before costs, in stop distances (R); `None` without a stop.
    pub r: Option<f64>,
    /// The same after costs: what the signal earned as it was managed, in units of its risk at entry; `None` without a stop.
    /// It follows from the record and the costs, so it is not part of the hash of what was learned.
    #[serde(skip)]
    pub net_r: Option<f64>,
    /// What each source of evidence predicted when it was given, if it was asked.
    pub said: Option<Departures>,
    /// When it was given, UTC epoch ms.
    pub given_ms: i64,
    /// When it closed, UTC epoch ms.
    pub closed_ms: i64,
}

impl Lesson {
    /// A sort key by closing time. Lessons that closed together are sorted by their contents, so that the order in
    /// which they arrived does not matter.
    pub fn order(&self) -> impl Ord + use<'_> {
        (self.closed_ms, self.given_ms, self.case.symbol().as_str(), self.case.timeframe().millis())
    }
}
