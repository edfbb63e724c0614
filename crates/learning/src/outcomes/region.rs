//! A region: a set of signals that can be described in words, and how the signals in it did.

use super::layout::{Fact, Layout, Seen};
use domain::barrier::Direction;
use domain::proportions::wilson;
use domain::symbol::{Symbol, Timeframe};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One condition on a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// It has this direction.
    Direction(Direction),
    /// It has this symbol.
    Symbol(Symbol),
    /// It has this timeframe.
    Timeframe(Timeframe),
    /// It comes from this strategy.
    Strategy(String),
    /// An indicator or feature lies above or below a threshold.
    Value {
        /// Which one.
        fact: Fact,
        /// Whether it must be at or above the threshold, or else below it.
        above: bool,
        /// In the indicator's own unit.
        threshold: f64,
    },
    /// An indicator or feature lies beyond a distance from its centre, in the direction of the trade: `above` for a BUY
    /// corresponds to as far below the centre for a SELL.
    Mirrored {
        /// Which one.
        fact: Fact,
        /// Its neutral value.
        centre: f64,
        /// Whether it must be at or above the distance, or else below it.
        above: bool,
        /// From the centre, in the indicator's own unit.
        distance: f64,
    },
}

impl Condition {
    /// Whether it is met; false when the value is missing.
    pub fn holds(&self, seen: &Seen<'_>) -> bool {
        match self {
            Self::Direction(direction) => seen.case.direction == *direction,
            Self::Symbol(symbol) => seen.case.symbol() == symbol,
            Self::Timeframe(timeframe) => seen.case.timeframe() == *timeframe,
            Self::Strategy(strategy) => seen.case.strategy.as_ref() == Some(strategy),
            Self::Value { above, threshold, .. } | Self::Mirrored { above, distance: threshold, .. } => {
                self.value(seen).is_some_and(|value| (value >= *threshold) == *above)
            }
        }
    }

    /// For a condition on a number: whether the value must lie above, and the threshold.
    fn side(&self) -> Option<(bool, f64)> {
        match self {
            Self::Value { above, threshold, .. } => Some((*above, *threshold)),
            Self::Mirrored { above, distance, .. } => Some((*above, *distance)),
            _ => None,
        }
    }

    /// The number that is compared with the threshold.
    fn value(&self, seen: &Seen<'_>) -> Option<f64> {
        match self {
            Self::Value { fact, .. } => seen.value(fact),
            Self::Mirrored { fact, centre, .. } => {
                seen.value(fact).map(|value| seen.case.direction.sign() * (value - centre))
            }
            _ => None,
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
                // For a SELL the condition is mirrored, so "at or above" becomes "at or below".
                let mirrored = if *above { "at or below" } else { "above" };
                let (buy, sell) = (number(centre + distance), number(centre - distance));
                format!("{} {} {buy} (SELL: {mirrored} {sell})", layout.name(fact), side(*above))
            }
        }
    }
}

/// The subject of a condition.
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

/// The signals that meet all of these conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region(pub Vec<Condition>);

impl Region {
    /// Whether a signal lies in it.
    pub fn contains(&self, seen: &Seen<'_>) -> bool {
        self.0.iter().all(|condition| condition.holds(seen))
    }

    /// The subject of its last condition.
    pub fn subject(&self) -> Subject {
        match self.0.last() {
            Some(Condition::Value { fact, .. } | Condition::Mirrored { fact, .. }) => Subject::Fact(fact.clone()),
            Some(Condition::Symbol(_)) => Subject::Symbol,
            Some(Condition::Timeframe(_)) => Subject::Timeframe,
            Some(Condition::Strategy(_)) => Subject::Strategy,
            Some(Condition::Direction(_)) | None => Subject::Direction,
        }
    }

    /// Of its last condition, see [`Condition::side`].
    fn side(&self) -> Option<(bool, f64)> {
        self.0.last().and_then(Condition::side)
    }

    /// Whether the two differ at most in a threshold.
    pub fn is_alike(&self, other: &Self) -> bool {
        let same = |(one, other): (&Condition, &Condition)| match (one, other) {
            (Condition::Value { fact, .. }, Condition::Value { fact: of_other, .. }) => fact == of_other,
            (Condition::Mirrored { fact, centre, .. }, Condition::Mirrored { fact: of_other, centre: around, .. }) => {
                fact == of_other && centre == around
            }
            _ => one == other,
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }

    /// In a trader's words: "BUY with rsi at or above 72".
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

/// A number of signals, and how many of them succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Signals.
    pub count: usize,
    /// How many succeeded.
    pub successes: usize,
}

impl Tally {
    /// Counts successes and failures.
    pub fn of(successes: impl Iterator<Item = bool>) -> Self {
        let mut tally = Self::default();
        successes.for_each(|success| tally.add(success));
        tally
    }

    fn add(&mut self, success: bool) {
        self.count += 1;
        self.successes += usize::from(success);
    }

    /// The success rate, percent.
    pub fn success_rate(&self) -> f64 {
        100.0 * self.successes as f64 / self.count.max(1) as f64
    }

    /// The 95 % interval of the success rate, percent, by [`wilson`].
    pub fn interval(&self) -> (f64, f64) {
        wilson(self.successes as u64, self.count as u64)
    }

    /// How far the success rate differs from that of the rest of `all`, in standard errors; 0 where either is empty.
    ///
    /// The pooled two-proportion statistic (Fleiss, *Statistical Methods for Rates and Proportions*, 1981, chapter 2).
    pub fn departure(&self, all: &Self) -> f64 {
        let (n, total) = (self.count as f64, all.count as f64);
        let p = all.successes as f64 / total.max(1.0);
        let variance = p * (1.0 - p) * n * (1.0 - n / total.max(1.0));
        if variance > 0.0 { (self.successes as f64 - n * p) / variance.sqrt() } else { 0.0 }
    }
}

/// Counts the signals in several regions that are all [alike](Region::is_alike), as they are given.
pub struct Counting<'a> {
    alike: &'a [Region],
    /// The thresholds of their last condition, which ascend; `None` if it has none.
    thresholds: Option<Vec<f64>>,
    /// How many signals lie between one threshold and the next; without thresholds, how many lie in each region.
    steps: Vec<Tally>,
}

impl<'a> Counting<'a> {
    /// Of no signals yet.
    pub fn new(alike: &'a [Region]) -> Self {
        let last = alike.first().and_then(|region| region.0.last());
        let thresholds = last.and_then(Condition::side).map(|_| {
            let mut thresholds: Vec<f64> = alike.iter().filter_map(Region::side).map(|(_, at)| at).collect();
            thresholds.sort_unstable_by(f64::total_cmp);
            thresholds.dedup();
            thresholds
        });
        let steps = thresholds.as_ref().map_or(alike.len(), |thresholds| thresholds.len() + 1);
        Self { alike, thresholds, steps: vec![Tally::default(); steps] }
    }

    /// Counts these signals, each with its success.
    pub fn add(&mut self, signals: &[(&Seen<'_>, bool)]) {
        let conditions = self.alike.first().and_then(|Region(conditions)| conditions.split_last());
        let (Some(thresholds), Some((last, others))) = (&self.thresholds, conditions) else {
            for (region, tally) in self.alike.iter().zip(&mut self.steps) {
                let inside = signals.iter().filter(|(seen, _)| region.contains(seen));
                inside.for_each(|(_, success)| tally.add(*success));
            }
            return;
        };
        for (seen, success) in signals {
            if let Some(value) = last.value(seen).filter(|_| others.iter().all(|condition| condition.holds(seen))) {
                // Few and unpredictable: comparing with all of them is faster than searching.
                self.steps[thresholds.iter().filter(|threshold| **threshold <= value).count()].add(*success);
            }
        }
    }

    /// The tally of each region.
    pub fn tallies(&self) -> Vec<Tally> {
        let Some(thresholds) = &self.thresholds else { return self.steps.clone() };
        let sum = |steps: &[Tally]| Tally {
            count: steps.iter().map(|step| step.count).sum(),
            successes: steps.iter().map(|step| step.successes).sum(),
        };
        let tally = |(above, threshold): (bool, f64)| {
            let (below, rest) = self.steps.split_at(thresholds.partition_point(|other| *other <= threshold));
            sum(if above { rest } else { below })
        };
        self.alike.iter().filter_map(Region::side).map(tally).collect()
    }
}

/// Both directions.
pub const DIRECTIONS: [Direction; 2] = [Direction::Buy, Direction::Sell];
/// The quantiles of an indicator that are tried as thresholds.
const QUANTILES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// A condition for each symbol, in alphabetical order.
pub fn symbols(seen: &[Seen<'_>]) -> Vec<Condition> {
    let symbols: BTreeSet<&Symbol> = seen.iter().map(|seen| seen.case.symbol()).collect();
    symbols.into_iter().map(|symbol| Condition::Symbol(symbol.clone())).collect()
}

/// A condition for each strategy, in alphabetical order.
pub fn strategies(seen: &[Seen<'_>]) -> Vec<Condition> {
    let strategies: BTreeSet<&String> = seen.iter().filter_map(|seen| seen.case.strategy.as_ref()).collect();
    strategies.into_iter().map(|strategy| Condition::Strategy(strategy.clone())).collect()
}

/// The regions with one main condition: a symbol, a strategy, a timeframe, a direction, and each indicator and feature
/// beyond its quantiles, for both directions together, for one direction, and mirrored. The quantiles are those of `sampled`.
pub fn singles(seen: &[Seen<'_>], sampled: &[&Seen<'_>], layout: &Layout) -> Vec<Region> {
    let timeframes: BTreeSet<Timeframe> = seen.iter().map(|seen| seen.case.timeframe()).collect();
    let whole =
        symbols(seen).into_iter().chain(strategies(seen)).chain(timeframes.into_iter().map(Condition::Timeframe));
    let whole = whole.chain(DIRECTIONS.map(Condition::Direction));
    let mut regions: Vec<Region> = whole.map(|condition| Region(vec![condition])).collect();
    let of_fact = |(fact, centre): &(&Fact, f64)| {
        let both = thresholds(fact, Some(*centre), sampled.iter().copied(), &QUANTILES);
        let mut regions: Vec<Region> = both.into_iter().map(|condition| Region(vec![condition])).collect();
        for direction in DIRECTIONS {
            let own = sampled.iter().copied().filter(|seen| seen.case.direction == direction);
            let values = thresholds(fact, None, own, &QUANTILES).into_iter();
            regions.extend(values.map(|value| Region(vec![Condition::Direction(direction), value])));
        }
        regions
    };
    let facts: Vec<(&Fact, f64)> = layout.mirrored().collect();
    regions.par_extend(facts.par_iter().flat_map_iter(of_fact));
    regions
}

/// Conditions on a fact at its quantiles, which ascend: on its value and, where it has a centre, on its mirrored value.
pub fn thresholds<'a, 'b: 'a>(
    fact: &Fact,
    centre: Option<f64>,
    seen: impl IntoIterator<Item = &'a Seen<'b>>,
    quantiles: &[f64],
) -> Vec<Condition> {
    let known: Vec<(f64, f64)> =
        seen.into_iter().filter_map(|seen| Some((seen.value(fact)?, seen.case.direction.sign()))).collect();
    let at_quantiles = |mut values: Vec<f64>| {
        let (mut at, mut from) = (Vec::new(), 0);
        for quantile in quantiles {
            let place = (quantile * values.len() as f64) as usize;
            if place < values.len() {
                at.push(*values[from..].select_nth_unstable_by(place - from, f64::total_cmp).1);
                from = place;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::super::replay::outcomes;
    use super::*;

    #[test]
    fn regions_that_are_counted_at_once_are_counted_as_each_by_itself() {
        let mut lessons = outcomes(90, 1, |_, _| 0.6);
        for (at, lesson) in lessons.iter_mut().enumerate() {
            // Some ties, some missing values, both directions.
            lesson.case.indicators[0].1 = (at % 17) as f64;
            lesson.case.direction = DIRECTIONS[at % 2];
            lesson.case.confidence = (at % 3 > 0).then_some(at as f64);
            if at % 11 == 0 {
                lesson.case.indicators.clear();
            }
        }
        let lessons: Vec<&crate::outcomes::Lesson> = lessons.iter().collect();
        let layout = Layout::of(&lessons);
        let seen: Vec<Seen<'_>> = lessons.iter().map(|lesson| layout.see(&lesson.case)).collect();
        let signals: Vec<(&Seen<'_>, bool)> = seen.iter().zip(lessons.iter().map(|lesson| lesson.success)).collect();
        let regions = singles(&seen, &seen.iter().collect::<Vec<_>>(), &layout);
        let mut longest = 0;
        for alike in regions.chunk_by(Region::is_alike) {
            longest = longest.max(alike.len());
            let mut counting = Counting::new(alike);
            signals.chunks(7).for_each(|signals| counting.add(signals));
            for (region, tally) in alike.iter().zip(counting.tallies()) {
                let inside = signals.iter().filter(|(seen, _)| region.contains(seen));
                assert_eq!(tally, Tally::of(inside.map(|(_, success)| *success)), "{}", region.words(&layout));
            }
        }
        assert!(longest > 10, "{longest}");
    }
}
