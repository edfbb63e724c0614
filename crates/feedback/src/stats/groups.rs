//! The summaries of a day or a period: of all signals, and of groups of them.

use super::exposure::OpenTime;
use super::holding::Holding;
use super::parts::{Exits, Parts};
use super::summary::{Closed, Period, Summary};
use domain::barrier::Direction;
use domain::symbol::Timeframe;
use domain::time::{DAY_MS, Month};
use std::collections::BTreeMap;

/// The groups of a signal; symbol and strategy by number.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The number of its symbol.
    pub symbol: u32,
    /// Its timeframe.
    pub timeframe: Timeframe,
    /// The number of its strategy.
    pub strategy: Option<u32>,
    /// `None` for a HOLD.
    pub direction: Option<Direction>,
    /// Whether it was traded.
    pub taken: bool,
}

/// A sum of the taken signals, all and by group, and of those not taken. The sum is a [`Summary`] for a day, and a [`Period`] for
/// several.
#[derive(Debug, Clone, Default)]
pub struct Groups<S> {
    /// All.
    pub all: S,
    /// By symbol number.
    pub by_symbol: BTreeMap<u32, S>,
    /// By timeframe.
    pub by_timeframe: BTreeMap<Timeframe, S>,
    /// By strategy number.
    pub by_strategy: BTreeMap<u32, S>,
    /// By direction.
    pub by_direction: BTreeMap<Direction, S>,
    /// Signals that were not taken.
    pub followed: S,
}

impl<S: Default> Groups<S> {
    /// Applies `change` to each sum that a signal belongs to.
    fn update(&mut self, of: Member, change: impl Fn(&mut S)) {
        if !of.taken {
            return change(&mut self.followed);
        }
        change(&mut self.all);
        change(self.by_symbol.entry(of.symbol).or_default());
        change(self.by_timeframe.entry(of.timeframe).or_default());
        if let Some(strategy) = of.strategy {
            change(self.by_strategy.entry(strategy).or_default());
        }
        if let Some(direction) = of.direction {
            change(self.by_direction.entry(direction).or_default());
        }
    }
}

/// The signals that closed on a day, or on a part of it.
#[derive(Debug, Clone, Default)]
pub struct OfDay {
    groups: Groups<Summary>,
    holding: Holding,
    parts: Parts,
    /// When taken signals were open.
    pub open_time: OpenTime,
}

impl OfDay {
    /// Adds a signal that closed no earlier than those added before; `open` is when it was entered and closed, `None` if it was never
    /// entered; `exits` are those of one with several targets.
    pub fn add(&mut self, of: Member, given_ms: i64, open: Option<(i64, i64)>, closed: &Closed, exits: Option<&Exits>) {
        self.groups.update(of, |summary| summary.add(closed));
        if let Some((opened_ms, closed_ms)) = open.filter(|_| of.taken) {
            self.holding.add(closed, opened_ms - given_ms, closed_ms - opened_ms);
            self.open_time.add(opened_ms, closed_ms);
        }
        if let Some(exits) = exits.filter(|_| of.taken) {
            self.parts.add(exits);
        }
    }
}

/// The signals of a period.
#[derive(Debug, Clone, Default)]
pub struct OfPeriod {
    /// Their sums.
    pub groups: Groups<Period>,
    /// Taken signals by month.
    pub by_month: BTreeMap<Month, Period>,
    /// How long taken signals were open until they closed.
    pub holding: Holding,
    /// In which parts taken signals with several targets were closed.
    pub parts: Parts,
    /// When taken signals were open.
    pub open_time: OpenTime,
}

impl OfPeriod {
    /// Adds the signals that closed on a later day, in days since the epoch.
    pub fn then(&mut self, day: i64, later: &OfDay) {
        fn add<K: Ord + Copy>(day: i64, periods: &mut BTreeMap<K, Period>, later: &BTreeMap<K, Summary>) {
            for (key, summary) in later {
                periods.entry(*key).or_default().then(day, summary);
            }
        }
        let (ours, theirs) = (&mut self.groups, &later.groups);
        ours.all.then(day, &theirs.all);
        add(day, &mut ours.by_symbol, &theirs.by_symbol);
        add(day, &mut ours.by_timeframe, &theirs.by_timeframe);
        add(day, &mut ours.by_strategy, &theirs.by_strategy);
        add(day, &mut ours.by_direction, &theirs.by_direction);
        ours.followed.then(day, &theirs.followed);
        if !theirs.by_symbol.is_empty() {
            self.by_month.entry(Month::of(day * DAY_MS)).or_default().then(day, &theirs.all);
        }
        self.holding.then(&later.holding);
        self.parts.then(&later.parts);
        self.open_time.then(&later.open_time);
    }

    /// Counts an open signal or a HOLD, given at this time.
    pub fn count(&mut self, of: Member, given_ms: i64, change: impl Fn(&mut Summary)) {
        self.groups.update(of, |period| change(&mut period.signals));
        if of.taken {
            change(&mut self.by_month.entry(Month::of(given_ms)).or_default().signals);
        }
    }
}
