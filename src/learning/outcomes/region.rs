//! A region of the signals that words can describe, and how the signals in it fared.

use super::layout::{Fact, Layout, Seen};
use crate::barrier::Direction;
use crate::feedback::wilson;
use crate::symbol::{Symbol, Timeframe};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One condition on a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// It bets this way.
    Direction(Direction),
    /// It is of this symbol.
    Symbol(Symbol),
    /// It is of this timeframe.
    Timeframe(Timeframe),
    /// This strategy gave it.
    Strategy(String),
    /// An indicator or feature lies beyond a threshold.
    Value {
        /// Which one.
        fact: Fact,
        /// Above or at it, else below it.
        above: bool,
        /// In the indicator's own unit.
        threshold: f64,
    },
    /// An indicator or feature lies beyond a distance from its centre, seen in the direction of the trade: what `above` is
    /// to a BUY is as far below the centre to a SELL.
    Mirrored {
        /// Which one.
        fact: Fact,
        /// Where it says nothing either way.
        centre: f64,
        /// Above or at the distance, else below it.
        above: bool,
        /// From the centre, in the indicator's own unit.
        distance: f64,
    },
}

impl Condition {
    /// Whether it holds; not when the value is missing.
    pub fn holds(&self, seen: &Seen<'_>) -> bool {
        let beyond = |value: f64, above: bool, threshold: f64| (value >= threshold) == above;
        match self {
            Self::Direction(direction) => seen.case.direction == *direction,
            Self::Symbol(symbol) => seen.case.symbol() == symbol,
            Self::Timeframe(timeframe) => seen.case.timeframe() == *timeframe,
            Self::Strategy(strategy) => seen.case.strategy.as_ref() == Some(strategy),
            Self::Value { fact, above, threshold } => {
                seen.value(fact).is_some_and(|value| beyond(value, *above, *threshold))
            }
            Self::Mirrored { fact, centre, above, distance } => seen
                .value(fact)
                .is_some_and(|value| beyond(seen.case.direction.sign() * (value - centre), *above, *distance)),
        }
    }

    fn words(&self, layout: &Layout) -> String {
        let side = |above: bool| if above { "at or above" } else { "below" };
        match self {
            Self::Direction(direction) => side_name(*direction).to_owned(),
            Self::Symbol(symbol) => symbol.to_string(),
            Self::Timeframe(timeframe) => timeframe.to_string(),
            Self::Strategy(strategy) => strategy.clone(),
            Self::Value { fact, above, threshold } => {
                format!("{} {} {}", layout.name(fact), side(*above), number(*threshold))
            }
            Self::Mirrored { fact, centre, above, distance } => {
                // A SELL sees the mirror image, in which "at or above" has become "at or below".
                let mirrored = if *above { "at or below" } else { "above" };
                let (buy, sell) = (number(centre + distance), number(centre - distance));
                format!("{} {} {buy} (SELL: {mirrored} {sell})", layout.name(fact), side(*above))
            }
        }
    }
}

/// What a condition is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// An indicator or feature.
    Fact(Fact),
    /// The symbol.
    Symbol,
    /// The timeframe.
    Timeframe,
    /// The strategy.
    Strategy,
    /// BUY or SELL.
    Direction,
}

/// Signals for which all of these hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region(pub Vec<Condition>);

impl Region {
    /// Whether a signal lies in it.
    pub fn contains(&self, seen: &Seen<'_>) -> bool {
        self.0.iter().all(|condition| condition.holds(seen))
    }

    /// What it is about: the last of its conditions, without its threshold.
    pub fn subject(&self) -> Subject {
        match self.0.last() {
            Some(Condition::Value { fact, .. } | Condition::Mirrored { fact, .. }) => Subject::Fact(fact.clone()),
            Some(Condition::Symbol(_)) => Subject::Symbol,
            Some(Condition::Timeframe(_)) => Subject::Timeframe,
            Some(Condition::Strategy(_)) => Subject::Strategy,
            Some(Condition::Direction(_)) | None => Subject::Direction,
        }
    }

    /// As a trader would say it: "BUY with rsi at or above 72".
    pub fn words(&self, layout: &Layout) -> String {
        let whole = |condition: &&Condition| !matches!(condition, Condition::Value { .. } | Condition::Mirrored { .. });
        let (subjects, circumstances): (Vec<_>, Vec<_>) = self.0.iter().partition(whole);
        let join = |conditions: Vec<&Condition>, by: &str| {
            conditions.iter().map(|condition| condition.words(layout)).collect::<Vec<_>>().join(by)
        };
        let (subjects, circumstances) = (join(subjects, " "), join(circumstances, " and "));
        match (subjects.is_empty(), circumstances.is_empty()) {
            (false, false) => format!("{subjects} with {circumstances}"),
            (false, true) => subjects,
            (true, _) => circumstances,
        }
    }
}

fn side_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Buy => "BUY",
        Direction::Sell => "SELL",
    }
}

/// Three significant digits: `72`, `0.0042`, `-1.5`, `64300`.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// How many signals, and how many of them succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Signals.
    pub count: usize,
    /// Of which succeeded.
    pub successes: usize,
}

impl Tally {
    /// Percent.
    pub fn success_rate(&self) -> f64 {
        100.0 * self.successes as f64 / self.count.max(1) as f64
    }

    /// 95 % interval of the rate, percent, by [`wilson`].
    pub fn interval(&self) -> (f64, f64) {
        wilson(self.successes as u64, self.count as u64)
    }

    /// Standard errors by which it departs from what is left of `all` without it; 0 where either is empty.
    ///
    /// The pooled two-proportion statistic (Fleiss, *Statistical Methods for Rates and Proportions*, 1981, chapter 2).
    pub fn departure(&self, all: &Self) -> f64 {
        let (n, total) = (self.count as f64, all.count as f64);
        let p = all.successes as f64 / total.max(1.0);
        let variance = p * (1.0 - p) * n * (1.0 - n / total.max(1.0));
        if variance > 0.0 { (self.successes as f64 - n * p) / variance.sqrt() } else { 0.0 }
    }
}

/// Both directions.
pub const DIRECTIONS: [Direction; 2] = [Direction::Buy, Direction::Sell];
/// Where thresholds are tried: quantiles of an indicator.
const QUANTILES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Every symbol as a condition, in alphabetical order.
pub fn symbols(seen: &[Seen<'_>]) -> Vec<Condition> {
    let symbols: BTreeSet<&Symbol> = seen.iter().map(|seen| seen.case.symbol()).collect();
    symbols.into_iter().map(|symbol| Condition::Symbol(symbol.clone())).collect()
}

/// Every strategy as a condition, in alphabetical order.
pub fn strategies(seen: &[Seen<'_>]) -> Vec<Condition> {
    let strategies: BTreeSet<&String> = seen.iter().filter_map(|seen| seen.case.strategy.as_ref()).collect();
    strategies.into_iter().map(|strategy| Condition::Strategy(strategy.clone())).collect()
}

/// The regions of one condition: a symbol, a strategy, a timeframe, a direction, and each indicator and feature beyond its quantiles, of
/// either direction, of one, and mirrored.
pub fn singles(seen: &[Seen<'_>], layout: &Layout) -> Vec<Region> {
    let timeframes: BTreeSet<Timeframe> = seen.iter().map(|seen| seen.case.timeframe()).collect();
    let whole =
        symbols(seen).into_iter().chain(strategies(seen)).chain(timeframes.into_iter().map(Condition::Timeframe));
    let whole = whole.chain(DIRECTIONS.map(Condition::Direction));
    let mut regions: Vec<Region> = whole.map(|condition| Region(vec![condition])).collect();
    for (fact, centre) in layout.mirrored() {
        let both = thresholds(fact, Some(centre), seen.iter(), &QUANTILES);
        regions.extend(both.into_iter().map(|condition| Region(vec![condition])));
        for direction in DIRECTIONS {
            let own = seen.iter().filter(|seen| seen.case.direction == direction);
            let values = thresholds(fact, None, own, &QUANTILES).into_iter();
            regions.extend(values.map(|value| Region(vec![Condition::Direction(direction), value])));
        }
    }
    regions
}

/// Conditions on a fact at its quantiles: on its value and, around a centre, on its value seen in the direction of the trade.
pub fn thresholds<'a, 'b: 'a>(
    fact: &Fact,
    centre: Option<f64>,
    seen: impl IntoIterator<Item = &'a Seen<'b>>,
    quantiles: &[f64],
) -> Vec<Condition> {
    let known: Vec<(f64, f64)> =
        seen.into_iter().filter_map(|seen| Some((seen.value(fact)?, seen.case.direction.sign()))).collect();
    let at_quantiles = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let at = |q: &f64| values.get((q * values.len() as f64) as usize).copied();
        let mut at: Vec<f64> = quantiles.iter().filter_map(at).collect();
        at.dedup();
        at.into_iter().flat_map(|threshold| [(true, threshold), (false, threshold)])
    };
    let values = at_quantiles(known.iter().map(|(value, _)| *value).collect());
    let mut conditions: Vec<Condition> =
        values.map(|(above, threshold)| Condition::Value { fact: fact.clone(), above, threshold }).collect();
    if let Some(centre) = centre {
        let distances = at_quantiles(known.iter().map(|(value, sign)| sign * (value - centre)).collect());
        let mirrored = |(above, distance)| Condition::Mirrored { fact: fact.clone(), centre, above, distance };
        conditions.extend(distances.map(mirrored));
    }
    conditions
}
