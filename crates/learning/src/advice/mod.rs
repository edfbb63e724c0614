//! Advice on levels: what other stops, targets and expiries would have brought to past signals.
//!
//! Every signal is replayed on stored candles with its own levels and with each alternative of a fixed list
//! (`alternatives.rs`), and the results are compared signal by signal.
//!
//! **The unit** is R: profit after costs in units of the risk at entry, where each alternative counts in units of *its
//! own* risk, `(profit − costs) / distance to its stop`. That is what a trader earns who risks the same share of the
//! capital on every trade: a stop twice as far means a position half as large. Counted in units of the original risk, a
//! wider stop would be flattered, because it would risk more.
//!
//! **Which signals count** does not depend on how they ended. A signal counts if the candles cover the whole time that
//! it could last under any alternative: twice the time to its expiry, or, without one, [`LIVES`] times the median
//! lifetime of its strategy's signals, at whose end every alternative is closed. Otherwise, of the newest signals, only
//! those that ended quickly would count, which are more often stopped ones.
//!
//! **What candles do not tell** never speaks for an alternative. If one candle touches both levels, the stop counts for
//! the alternative, and the target for the signal as it was given.
//!
//! **What has not been seen** does not either. An alternative is judged only if at least [`MIN_TURNED`] signals would
//! have ended differently with it, as a failure instead of a success or the other way round. A stop that is nearer looks
//! certainly better as long as no signal has come between the two stops and then succeeded.
//!
//! **Managed signals** are replayed by their rules, from their entry on (`managed.rs`).
//!
//! **Certainty**: the intervals of all differences hold together ([`simultaneous`]), with signals of one stretch of time
//! as one cluster. If no alternative is better, at most one answer in twenty names one (`judgements.rs` measures it).

mod alternatives;
mod excursions;
#[cfg(test)]
mod judgements;
mod managed;
mod replay;
#[cfg(test)]
mod tests;
mod verdict;

pub use alternatives::{Multiples, OWN};
pub use excursions::{Excursions, Quantiles};
pub use replay::Series;
pub use verdict::AdviceFinding;

use super::features::{ATR_PERCENT, VERSION};
use super::scorecard::Ends;
use crate::clusters::cluster_ms;
use crate::simultaneous::{Columns, simultaneous};
use alternatives::{Has, LONGEST_EXPIRY, alternatives};
use domain::barrier::{Exit, Levels, Terms};
use domain::signal::{Closing, Costs, Earned, Position, Record};
use domain::symbol::{Symbol, Timeframe};
use managed::replay_managed;
use replay::{End, Replay, replay};
use serde::Serialize;
use std::collections::BTreeMap;

/// At most this many signals are replayed: the newest.
pub const MAX_SIGNALS: usize = 50_000;
/// At most this many strategies are looked at: those with the most signals.
pub const MAX_STRATEGIES: usize = 20;
/// A signal without an expiry is replayed for this many median lifetimes of its strategy's signals.
const LIVES: i64 = 10;

/// An alternative is judged if at least this many signals would have ended differently with it.
const MIN_TURNED: usize = 10;

/// A closed signal.
#[derive(Debug, Clone, PartialEq)]
pub struct PastSignal {
    /// Its pair.
    pub symbol: Symbol,
    /// The timeframe it was made from.
    pub timeframe: Timeframe,
    /// The strategy that gave it.
    pub strategy: Option<String>,
    /// Its levels and times.
    pub levels: Levels,
    /// When it closed, UTC epoch ms.
    pub closed_ms: i64,
    /// What its position costs.
    pub position: Position,
    /// How it is managed, if it is more than plain.
    pub management: Management,
    /// The average true range at entry, in percent of the price, if known.
    pub atr_percent: Option<f64>,
}

/// What a signal has besides a stop, a target and an expiry.
#[derive(Debug, Clone, PartialEq)]
pub enum Management {
    /// Nothing.
    Plain,
    /// Several targets, or a stop that moves. The levels are those from its entry on.
    Rules(Box<Terms>),
    /// What its rules do not tell: it was amended or closed in parts by hand, nobody knows its entry, or it was entered beyond a level.
    /// It is not replayed.
    Unclear,
}

impl PastSignal {
    /// From a record; `None` for a HOLD and for a signal that is open.
    pub fn of(record: &Record) -> Option<Self> {
        let Record { signal, closing, .. } = record;
        let (levels, management) = match record.trade() {
            None => (signal.levels()?, Management::Plain),
            Some(trade) => match managed::since_entry(record, &trade) {
                Some((levels, terms)) => (levels, Management::Rules(Box::new(terms))),
                None => (signal.levels()?, Management::Unclear),
            },
        };
        let features = signal.features.as_ref().filter(|features| features.version == VERSION);
        Some(Self {
            symbol: signal.symbol.clone(),
            timeframe: signal.timeframe,
            strategy: signal.strategy.clone(),
            levels,
            closed_ms: closing.as_ref()?.closed_ms,
            position: signal.position,
            management,
            atr_percent: features.and_then(|features| features.values.get(ATR_PERCENT).copied()),
        })
    }

    /// Its target, or the price that stands for several.
    fn target(&self) -> Option<f64> {
        match &self.management {
            Management::Rules(terms) => managed::mean_target(&self.levels, terms),
            Management::Plain | Management::Unclear => self.levels.take_profit,
        }
    }

    /// The distance from entry to a level, in percent of the entry.
    fn distance_percent(&self, level: Option<f64>) -> Option<f64> {
        Some(100.0 * (level? - self.levels.entry).abs() / self.levels.entry)
    }

    /// The distance from entry to a level, in average true ranges.
    fn distance_atr(&self, level: Option<f64>) -> Option<f64> {
        let atr = self.atr_percent.filter(|atr| *atr > 0.0)?;
        Some(self.distance_percent(level)? / atr)
    }
}

/// What one set of levels brought to the signals of a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// How many times as far as its own the levels of each signal lie.
    #[serde(flatten)]
    pub multiples: Multiples,
    /// Mean profit after costs, in units of the risk that these levels have at entry.
    pub mean_r: f64,
    /// Mean costs, in the same units: a wider stop has lower ones. They are deducted in `mean_r`.
    pub mean_costs_r: f64,
    /// The share that succeeded, 0–1.
    pub success_share: f64,
    /// Mean time that a signal was open, in milliseconds.
    pub mean_holding_ms: f64,
}

/// An alternative compared with the signals as they were given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// What it brought.
    #[serde(flatten)]
    pub tried: Tried,
    /// By how much more a signal brought on average, in R.
    pub difference_r: f64,
    /// Number of signals that would have ended differently: as a failure instead of a success, or the other way round.
    pub turned: u64,
    /// The 95 % interval of the difference; the intervals of all alternatives hold together. `None` where there is not
    /// enough to tell: too few signals, or too few that would have ended differently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Ends>,
}

/// The usual levels of a strategy's signals: medians.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsualLevels {
    /// Distance from entry to stop, percent of the entry.
    pub stop_percent: f64,
    /// Distance from entry to stop in average true ranges at entry; `None` where they are unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_atr: Option<f64>,
    /// Distance from entry to target, percent of the entry; `None` without targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_percent: Option<f64>,
    /// Distance from entry to target in average true ranges at entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_atr: Option<f64>,
    /// From the entry to the expiry, in milliseconds; `None` without expiries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_ms: Option<f64>,
}

/// Why signals of a strategy were not replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// They have no stop, so their risk is unknown.
    pub without_stop: u64,
    /// They were amended or closed in parts by hand, nobody knows their entry, or they were entered beyond a level.
    pub managed: u64,
    /// Stored candles do not cover the whole time that they could last: missing candles, a gap, or too recent.
    pub not_covered: u64,
}

/// Advice on the levels of one strategy.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StrategyAdvice {
    /// The strategy; `None` for signals without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// What the evidence shows.
    pub finding: AdviceFinding,
    /// The same as a sentence.
    pub verdict: String,
    /// Signals replayed.
    pub signals: u64,
    /// Signals that were not.
    pub left_out: LeftOut,
    /// Number of time clusters, which the intervals are based on.
    pub clusters: usize,
    /// The usual levels of the replayed signals; `None` while there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual: Option<UsualLevels>,
    /// What the signals' own levels brought in the replay; `None` while there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<Tried>,
    /// Signals whose own stop and target were touched by one candle. In `own` they count as stopped, in differences as
    /// successes.
    pub unclear: u64,
    /// The change that is most certainly better; `None` where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Alternative>,
    /// Everything that was tried.
    pub alternatives: Vec<Alternative>,
    /// How far prices went for and against the signals; `None` while there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excursions: Option<Excursions>,
}

/// Advice on levels.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LevelsAdvice {
    /// What the evidence shows: `better` if it is so for at least one strategy.
    pub finding: AdviceFinding,
    /// The same as a sentence.
    pub verdict: String,
    /// Number of alternatives looked at, over all strategies; their intervals hold together.
    pub alternatives: usize,
    /// By strategy, those with the most replayed signals first.
    pub strategies: Vec<StrategyAdvice>,
    /// Older signals, beyond the [`MAX_SIGNALS`] newest, that were not looked at.
    pub older: u64,
    /// Strategies with fewer signals that were not looked at.
    pub more_strategies: usize,
}

/// A replayed signal.
#[derive(Debug)]
struct Replayed {
    given_ms: i64,
    /// How long the longest alternative took.
    longest_ms: i64,
    /// The own levels first, then the alternatives.
    results: Vec<Outcome>,
    /// What the own levels brought if candles that touched both reached the target first.
    hopeful: Option<Outcome>,
    mfe_r: f64,
    mae_r: f64,
    stop_percent: f64,
    stop_atr: Option<f64>,
    target_percent: Option<f64>,
    target_atr: Option<f64>,
    expiry_ms: Option<i64>,
}

/// How one set of levels ended for one signal.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    r: f64,
    costs_r: f64,
    succeeded: bool,
    open_ms: i64,
}

/// The signals of one strategy.
#[derive(Debug, Default)]
struct Group {
    signals: Vec<PastSignal>,
    left_out: LeftOut,
    tried: Vec<Multiples>,
    /// How long a signal without an expiry is replayed.
    limit_ms: Option<i64>,
    replayed: Vec<Replayed>,
}

/// Replays signals, one symbol after the other, so that only the candles of one need be in memory.
#[derive(Debug)]
pub struct Study {
    costs: Costs,
    groups: BTreeMap<Option<String>, Group>,
    older: u64,
    more_strategies: usize,
}

impl Study {
    /// From closed signals, in any order. `costs` count where a signal states none.
    pub fn of(mut signals: Vec<PastSignal>, costs: Costs) -> Self {
        signals.sort_by_key(|signal| signal.order());
        let older = signals.len().saturating_sub(MAX_SIGNALS);
        let mut groups: BTreeMap<Option<String>, Group> = BTreeMap::new();
        for signal in signals.drain(..).skip(older) {
            groups.entry(signal.strategy.clone()).or_default().add(signal);
        }
        let mut most: Vec<(Option<String>, Group)> = groups.into_iter().collect();
        most.sort_by_key(|(_, group)| std::cmp::Reverse(group.signals.len()));
        let more_strategies = most.len().saturating_sub(MAX_STRATEGIES);
        most.truncate(MAX_STRATEGIES);
        most.iter_mut().for_each(|(_, group)| group.prepare());
        Self { costs, groups: most.into_iter().collect(), older: older as u64, more_strategies }
    }

    /// The symbols whose candles are needed, each with its signals' longest timeframe: longer candles are not used.
    pub fn symbols(&self) -> BTreeMap<Symbol, Timeframe> {
        let mut symbols = BTreeMap::new();
        for signal in self.groups.values().flat_map(|group| &group.signals) {
            let longest = symbols.entry(signal.symbol.clone()).or_insert(signal.timeframe);
            *longest = signal.timeframe.max(*longest);
        }
        symbols
    }

    /// Replays the signals of a symbol on the finest of these series that covers them, of their own timeframe at most.
    /// Each is the symbol's candles at one timeframe.
    pub fn replay(&mut self, symbol: &Symbol, series: &BTreeMap<Timeframe, Series>) {
        let costs = self.costs;
        for group in self.groups.values_mut() {
            let (of_symbol, rest) =
                std::mem::take(&mut group.signals).into_iter().partition(|one| one.symbol == *symbol);
            group.signals = rest;
            let of_symbol: Vec<PastSignal> = of_symbol;
            for signal in &of_symbol {
                match group.replayed(signal, series, &costs) {
                    Some(replayed) => group.replayed.push(replayed),
                    None => group.left_out.not_covered += 1,
                }
            }
        }
    }

    /// The advice. Signals that were not replayed count as not covered. The same signals, candles and seed give the
    /// same advice.
    pub fn advice(mut self, seed: u64) -> LevelsAdvice {
        for group in self.groups.values_mut() {
            group.left_out.not_covered += std::mem::take(&mut group.signals).len() as u64;
            group.replayed.sort_by_key(|one| one.given_ms);
        }
        let length_ms = self.cluster_ms();
        let columns: Vec<Columns> = self.groups.values().map(|group| group.judged(length_ms)).collect();
        let intervals = simultaneous(&columns, length_ms, seed);
        let alternatives =
            self.groups.values().filter(|group| group.is_enough(length_ms)).map(|group| group.tried.len()).sum();
        let mut strategies: Vec<StrategyAdvice> = self
            .groups
            .into_iter()
            .zip(intervals)
            .map(|((strategy, group), intervals)| group.advice(strategy, &intervals, length_ms, alternatives))
            .collect();
        strategies.sort_by_key(|strategy| std::cmp::Reverse(strategy.signals));
        let (finding, verdict) = verdict::overall(&strategies, alternatives);
        LevelsAdvice {
            finding,
            verdict,
            alternatives,
            strategies,
            older: self.older,
            more_strategies: self.more_strategies,
        }
    }

    /// The length of a cluster of time.
    fn cluster_ms(&self) -> i64 {
        let all = || self.groups.values().flat_map(|group| &group.replayed);
        let mut lives: Vec<i64> = all().map(|one| one.longest_ms).collect();
        let span_ms = all().map(|one| one.given_ms).max().unwrap_or_default()
            - all().map(|one| one.given_ms).min().unwrap_or_default();
        cluster_ms(span_ms, median_ms(&mut lives).unwrap_or_default())
    }
}

impl PastSignal {
    /// A sort key that is equal only for signals with identical levels.
    fn order(&self) -> impl Ord + use<> {
        let Levels { direction, entry, stop_loss, take_profit, since_ms, expires_ms } = self.levels;
        let prices = [Some(entry), stop_loss, take_profit].map(|price| price.map(f64::to_bits));
        let terms = match &self.management {
            Management::Rules(terms) => serde_json::to_string(terms).ok(),
            Management::Plain | Management::Unclear => None,
        };
        (
            since_ms,
            self.closed_ms,
            self.symbol.clone(),
            self.timeframe,
            self.strategy.clone(),
            direction,
            prices,
            expires_ms,
            terms,
        )
    }
}

impl Group {
    fn add(&mut self, signal: PastSignal) {
        if signal.management == Management::Unclear {
            self.left_out.managed += 1;
        } else if signal.levels.stop_loss.is_none() {
            self.left_out.without_stop += 1;
        } else {
            self.signals.push(signal);
        }
    }

    /// Fixes what is tried, before anything is looked at.
    fn prepare(&mut self) {
        let levels = || self.signals.iter().map(|signal| signal.levels);
        self.tried = alternatives(Has {
            target: self.signals.iter().any(|signal| signal.target().is_some()),
            expiry: levels().any(|levels| levels.expires_ms.is_some()),
        });
        let lives = self.signals.iter().map(|signal| signal.closed_ms - signal.levels.since_ms);
        self.limit_ms = median_ms(&mut lives.filter(|life| *life > 0).collect::<Vec<_>>()).map(|life| LIVES * life);
    }

    fn replayed(&self, signal: &PastSignal, series: &BTreeMap<Timeframe, Series>, costs: &Costs) -> Option<Replayed> {
        let own = &signal.levels;
        let life_ms = match own.expires_ms {
            Some(at) => (LONGEST_EXPIRY * (at - own.since_ms) as f64) as i64,
            None => self.limit_ms?,
        };
        let until_ms = own.since_ms + life_ms.max(1);
        let multiples: Vec<Multiples> = [OWN].iter().chain(&self.tried).copied().collect();
        // In order of length, the finest first.
        let mut finer = series.range(..=signal.timeframe);
        let (step_ms, candles) = finer
            .find_map(|(timeframe, series)| Some((timeframe.millis(), series.covering(own.since_ms, until_ms)?)))?;
        let Replay { exits, hopeful, best, worst } = match &signal.management {
            Management::Rules(terms) => {
                let position = (&signal.position, costs);
                replay_managed((own, terms), &multiples, until_ms, (candles, step_ms), position)?
            }
            Management::Plain | Management::Unclear => {
                let levels: Vec<Levels> = multiples.iter().map(|multiples| multiples.of(own, until_ms)).collect();
                replay(&levels, candles, step_ms)?.map(|exit| end_of(signal, exit, costs))?
            }
        };
        let stop_percent = signal.distance_percent(own.stop_loss)?;
        let result = |(end, multiples): (&End, &Multiples)| {
            let risk = multiples.stop * stop_percent;
            Outcome {
                r: end.net_percent / risk,
                costs_r: (end.profit_percent - end.net_percent) / risk,
                succeeded: end.succeeded,
                open_ms: end.time_ms - own.since_ms,
            }
        };
        let results: Vec<Outcome> = exits.iter().zip(&multiples).map(result).collect();
        let away = |price: f64| own.direction.sign() * (price - own.entry) / own.entry * 100.0 / stop_percent;
        let atr =
            PastSignal { atr_percent: signal.atr_percent.or_else(|| atr_percent(signal, series)), ..signal.clone() };
        Some(Replayed {
            given_ms: own.since_ms,
            longest_ms: results.iter().map(|result| result.open_ms).max()?,
            results,
            hopeful: hopeful.map(|end| result((&end, &OWN))),
            mfe_r: away(best).max(0.0),
            mae_r: (-away(worst)).max(0.0),
            stop_percent,
            stop_atr: atr.distance_atr(own.stop_loss),
            target_percent: signal.distance_percent(signal.target()),
            target_atr: atr.distance_atr(signal.target()),
            expiry_ms: own.expires_ms.map(|at| at - own.since_ms),
        })
    }

    /// How many signals would have ended differently with an alternative.
    fn turned(&self, at: usize) -> usize {
        let own = |one: &Replayed| one.hopeful.unwrap_or(one.results[0]).succeeded;
        self.replayed.iter().filter(|one| own(one) != one.results[at + 1].succeeded).count()
    }

    /// The alternatives that are judged.
    fn tested(&self, cluster_ms: i64) -> impl Iterator<Item = usize> {
        let all = if self.is_enough(cluster_ms) { self.tried.len() } else { 0 };
        (0..all).filter(|&at| self.turned(at) >= MIN_TURNED)
    }

    /// By how much more an alternative brought to each signal.
    fn differences(&self, at: usize) -> impl Iterator<Item = f64> {
        self.replayed.iter().map(move |one| one.results[at + 1].r - one.hopeful.unwrap_or(one.results[0]).r)
    }

    /// The differences of the alternatives that are judged.
    fn judged(&self, cluster_ms: i64) -> Columns {
        Columns {
            times_ms: self.replayed.iter().map(|one| one.given_ms).collect(),
            values: self.tested(cluster_ms).map(|at| self.differences(at).collect()).collect(),
        }
    }
}

/// What an exit brought to a plain signal.
fn end_of(signal: &PastSignal, exit: &Exit, costs: &Costs) -> Option<End> {
    let profit_percent = signal.levels.profit_percent(exit.price);
    let (outcome, exit_price, closed_ms) = (exit.outcome, Some(exit.price), exit.time_ms);
    let closing = Closing { outcome, exit_price, profit_percent, closed_ms, excursion: None };
    let net_percent = Earned::of_plain(&signal.levels, &closing, &signal.position, costs).net_profit_percent?;
    Some(End { profit_percent, net_percent, succeeded: outcome.succeeded()?, time_ms: exit.time_ms })
}

/// The average true range at entry in percent of the price, from candles of the signal's own timeframe.
fn atr_percent(signal: &PastSignal, series: &BTreeMap<Timeframe, Series>) -> Option<f64> {
    let own = series.get(&signal.timeframe)?;
    let step_ms = signal.timeframe.millis();
    let closed = own.candles().partition_point(|candle| candle.open_ms + step_ms <= signal.levels.since_ms);
    let from = closed.saturating_sub(ATR_CANDLES);
    let table = super::features::compute_within(&own.candles()[from..closed], own.calendar());
    let (bar, atr) = (table.bars.last()?, table.atr.last()?);
    let candle = own.candles().get(from + bar)?;
    (from + bar + 1 == closed).then_some(100.0 * atr / candle.close)
}

/// Candles that the average true range at entry is computed from: enough for a feature row.
const ATR_CANDLES: usize = 2 * super::features::MIN_CANDLES;

/// The median of times; `None` without any.
fn median_ms(times: &mut [i64]) -> Option<i64> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}
