//! The store's state in memory: about a hundred bytes per signal, the levels of open signals, and where in the log the rest is.

use super::details::Details;
use super::ignored::IgnoredPrices;
use super::index::PriceIndex;
use super::line::{self, Facts, Reason};
use super::open::{Managed, OpenSignal, Slot};
use super::snapshot::{OpenRow, Row, Snapshot};
use super::stats::{Closed, Member, OfDay, OfPeriod, OpenTime, Period, Stats, StatsFilter};
use domain::barrier::{Direction, Levels, Outcome, Trade};
use domain::signal::{Closing, Costs, Ended, is_strategy};
use domain::signal::{SignalKey, SignalKeyHasher};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::DAY_MS;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Position of a line in the log, without its newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its offset in bytes from the start of the log.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u32,
}

/// One signal.
#[derive(Debug, Clone)]
pub struct Entry {
    offset: u64,
    /// When it was given, UTC epoch ms.
    pub timestamp_ms: i64,
    /// 0 until closed.
    pub closed_ms: i64,
    /// Profit in percent of the entry price, before costs; 0 until closed.
    pub profit_percent: f64,
    len: u32,
    /// NaN if the signal states none.
    confidence: f32,
    /// Distance of the stop at entry, percent of the entry price; NaN without a stop.
    risk_percent: f32,
    /// `None` for a plain signal without costs of its own, which is entered when it is given.
    details: Option<Box<Details>>,
    /// The number of its symbol.
    pub symbol: u32,
    /// The number of its strategy, from 1; 0 if the signal names none.
    strategy: u32,
    /// The interval of the candles that it was made from.
    pub timeframe: Timeframe,
    /// Whether it was traded.
    pub taken: bool,
    /// `None` is HOLD.
    pub direction: Option<Direction>,
    /// `Active` for a HOLD too.
    pub outcome: Outcome,
}

/// A plain signal takes no more than this.
const _: () = assert!(size_of::<Entry>() <= 64);

impl Entry {
    /// The position of the line with the whole record.
    pub fn place(&self) -> Place {
        Place { offset: self.offset, len: self.len }
    }

    fn confidence(&self) -> Option<f64> {
        Some(f64::from(self.confidence)).filter(|c| !c.is_nan())
    }

    /// What it costs; `costs` count where it states none.
    pub fn costs(&self, costs: &Costs) -> Costs {
        self.details.as_ref().map_or(*costs, |details| details.costs(costs))
    }

    /// How many days a closed one was held.
    fn held_days(&self) -> f64 {
        match &self.details {
            None => (self.closed_ms - self.timestamp_ms) as f64 / DAY_MS as f64,
            Some(details) => details.held_days.unwrap_or_default(),
        }
    }

    fn closed(&self, costs: &Costs) -> Closed {
        let risk = Some(f64::from(self.risk_percent)).filter(|risk| *risk > 0.0);
        let costs_percent = self.costs(costs).percent(self.held_days());
        let closed = Closed::new(self.outcome, self.profit_percent, costs_percent, risk, self.confidence());
        match &self.details {
            Some(details) if details.by_order => closed.by_order(details.cancelled),
            _ => closed,
        }
    }

    /// Takes over how it was entered.
    fn set_entry(&mut self, facts: &Facts<'_>) {
        match &facts.trade {
            Some(trade) => self.risk_percent = trade.risk_percent().map_or(f32::NAN, |percent| percent as f32),
            None => self.risk_percent = risk_percent(facts.levels.as_ref()),
        }
        self.details.clone_from(&facts.details);
    }

    fn is_by_order(&self) -> bool {
        self.details.as_ref().is_some_and(|details| details.by_order)
    }

    /// How its open time counts; `None` if it was never open.
    fn open_since(&self) -> Option<i64> {
        let entered_ms = self.details.as_ref().map_or(Some(self.timestamp_ms), |details| details.entered_ms);
        entered_ms.filter(|_| self.outcome != Outcome::Cancelled)
    }

    fn member(&self) -> Member {
        let Self { symbol, timeframe, strategy, direction, taken, .. } = *self;
        Member { symbol, timeframe, strategy: Some(strategy).filter(|number| *number > 0), direction, taken }
    }
}

/// How a line of the log changed the state.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// A new signal, or the closing of an open one.
    Changed,
    /// It repeats what is known.
    Known,
    /// It contradicts what is known; the earlier line stands.
    Contradiction(Reason),
}

/// What a log no longer contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Signals without a line.
    pub signals: usize,
    /// Closings of signals that are open again.
    pub closings: usize,
    /// Open signals without their last events.
    pub changed: usize,
    /// The length of their lines.
    pub bytes: u64,
}

/// The signals of a log.
///
/// It has more than 25 methods because all of its tables must change together; most methods read one of them.
#[derive(Default)]
pub struct State {
    ids: HashMap<SignalKey, Slot, BuildHasherDefault<SignalKeyHasher>>,
    entries: Vec<Entry>,
    symbols: Vec<Symbol>,
    symbol_numbers: HashMap<Box<str>, u32>,
    strategies: Vec<Box<str>>,
    strategy_numbers: HashMap<Box<str>, u32>,
    holds: Vec<Slot>,
    /// The closed signals; in order of closing unless `disordered`.
    closed: Vec<Slot>,
    /// The same for each market, by the number of its symbol.
    closed_of: Vec<Vec<(Timeframe, Vec<Slot>)>>,
    disordered: bool,
    /// Tells this state from others that were read from the same log.
    origin: Origin,
    /// Sums of whole days, by day, and by filter and costs. A day is dropped when another signal closes on it.
    days: Mutex<HashMap<i64, Vec<Summed>>>,
    /// Length of a log with only the lines that the entries refer to.
    needed_bytes: u64,
    /// The open signals by price.
    pub index: PriceIndex,
}

/// How far behind the last one a closed signal is put into its place at once. Signals that close on one candle arrive in any
/// order, but together.
const NEAR: usize = 256;

/// A number that no other state of this process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(u64);

impl Default for Origin {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The part of a filter that is not a time; symbol and strategy by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Group {
    symbol: Option<u32>,
    timeframe: Option<Timeframe>,
    strategy: Option<u32>,
    direction: Option<Direction>,
}
/// The sums of a day, and of which signals and with which costs they are.
type Summed = (Group, Costs, Arc<OfDay>);

impl State {
    /// Reserves space for this many more signals, so that reading a long log does not reallocate repeatedly.
    pub fn reserve(&mut self, signals: usize) {
        self.ids.reserve(signals);
        self.entries.reserve(signals);
    }

    /// How many of these are new. Looking up many at once lets the processor overlap its waits for memory, and leaves in its
    /// cache what [`State::apply`] needs next.
    pub fn count_new(&self, keys: impl Iterator<Item = SignalKey>) -> usize {
        keys.filter(|key| !self.ids.contains_key(key)).count()
    }

    /// The slot of a signal; `None` when it is unknown.
    pub fn slot(&self, key: SignalKey) -> Option<Slot> {
        self.ids.get(&key).copied()
    }

    /// The position of a signal's record.
    pub fn place(&self, key: SignalKey) -> Option<Place> {
        self.slot(key).map(|slot| self.entry(slot).place())
    }

    /// The signal in a slot.
    pub fn entry(&self, slot: Slot) -> &Entry {
        &self.entries[slot as usize]
    }

    /// The number of a symbol; `None` if no signal has it.
    pub fn symbol_number(&self, symbol: &Symbol) -> Option<usize> {
        self.symbol_numbers.get(symbol.as_str()).map(|number| *number as usize)
    }

    /// Length of a log with one line per signal.
    pub fn needed_bytes(&self) -> u64 {
        self.needed_bytes
    }

    /// Applies a line of the log. An error means that the line is invalid.
    pub fn apply(&mut self, facts: &Facts<'_>, place: Place) -> Result<Applied, Reason> {
        match self.slot(facts.key) {
            None => self.insert(facts, place).map(|()| Applied::Changed),
            Some(slot) => Ok(self.update(slot, facts, place)),
        }
    }

    fn insert(&mut self, facts: &Facts<'_>, place: Place) -> Result<(), Reason> {
        let symbol = match self.symbol_numbers.get(&*facts.symbol) {
            Some(number) => *number,
            None => self.number_of(&line::symbol(facts)?) as u32,
        };
        let strategy = self.strategy_number_of(facts.strategy.as_deref());
        let slot = self.entries.len() as Slot;
        self.entries.push(Entry {
            offset: place.offset,
            timestamp_ms: facts.timestamp_ms,
            closed_ms: 0,
            profit_percent: 0.0,
            len: place.len,
            confidence: kept(facts.confidence),
            risk_percent: f32::NAN,
            details: None,
            symbol,
            strategy,
            timeframe: facts.timeframe,
            taken: facts.taken,
            direction: facts.direction,
            outcome: Outcome::Active,
        });
        self.entries[slot as usize].set_entry(facts);
        self.needed_bytes += u64::from(place.len) + 1;
        self.ids.insert(facts.key, slot);
        match (facts.levels, &facts.closing) {
            (None, _) => self.holds.push(slot),
            (Some(_), Some(closing)) => self.close(slot, closing, place),
            (Some(levels), None) => {
                self.index.add(slot, facts.key, symbol as usize, levels, facts.taken, facts.trade.clone());
            }
        }
        Ok(())
    }

    fn update(&mut self, slot: Slot, facts: &Facts<'_>, place: Place) -> Applied {
        let entry = self.entry(slot);
        let same_signal = self.symbols[entry.symbol as usize].as_str() == facts.symbol
            && entry.timeframe == facts.timeframe
            && entry.direction == facts.direction
            && entry.timestamp_ms == facts.timestamp_ms;
        if !same_signal {
            return Applied::Contradiction("another signal was recorded before under this id".to_owned());
        }
        match (&facts.closing, entry.outcome) {
            (Some(closing), Outcome::Active) if entry.direction.is_some() => {
                self.index.remove(slot);
                // The closing line now stands for the whole record; one of the former system may contain more than the first
                // line.
                let strategy = self.strategy_number_of(facts.strategy.as_deref());
                let entry = &mut self.entries[slot as usize];
                (entry.confidence, entry.strategy, entry.taken) = (kept(facts.confidence), strategy, facts.taken);
                entry.set_entry(facts);
                self.close(slot, closing, place);
                Applied::Changed
            }
            (Some(closing), outcome) if outcome != closing.outcome || entry.closed_ms != closing.closed_ms => {
                Applied::Contradiction("the signal was closed before; the first closing stands".to_owned())
            }
            (None, Outcome::Active) if self.index.levels(slot) != facts.levels.as_ref() => {
                Applied::Contradiction("the signal was recorded before with other levels".to_owned())
            }
            (None, Outcome::Active) if self.is_told_otherwise(slot, facts.trade.as_deref()) => {
                Applied::Contradiction("other events of the signal were recorded before".to_owned())
            }
            // The line with more events stands for the whole record.
            (None, Outcome::Active) if facts.trade.as_deref().is_some_and(|trade| self.index.advance(slot, trade)) => {
                self.move_to(slot, place);
                self.entries[slot as usize].set_entry(facts);
                Applied::Changed
            }
            _ => Applied::Known,
        }
    }

    /// Whether as many events of an open signal are known, but not these.
    fn is_told_otherwise(&self, slot: Slot, trade: Option<&Trade>) -> bool {
        let both = trade.zip(self.index.stored_trade(slot));
        both.is_some_and(|(trade, known)| trade.events() == known.events() && trade != known)
    }

    fn close(&mut self, slot: Slot, closing: &Closing, place: Place) {
        self.move_to(slot, place);
        let entry = &mut self.entries[slot as usize];
        entry.outcome = closing.outcome;
        entry.profit_percent = closing.profit_percent;
        entry.closed_ms = closing.closed_ms;
        self.days.get_mut().remove(&closing.closed_ms.div_euclid(DAY_MS));
        self.add_closed(slot);
    }

    /// Adds a closed signal to the lists in its place, or at the end if it belongs far from there.
    fn add_closed(&mut self, slot: Slot) {
        let entry = &self.entries[slot as usize];
        let (symbol, timeframe) = (entry.symbol as usize, entry.timeframe);
        if self.closed_of.len() <= symbol {
            self.closed_of.resize_with(symbol + 1, Vec::new);
        }
        let of_symbol = &mut self.closed_of[symbol];
        let known = of_symbol.iter().position(|(of, _)| *of == timeframe).unwrap_or_else(|| {
            of_symbol.push((timeframe, Vec::new()));
            of_symbol.len() - 1
        });
        let key = |slot: Slot| (self.entries[slot as usize].closed_ms, slot);
        for list in [&mut self.closed, &mut of_symbol[known].1] {
            let later = list.iter().rev().take(NEAR + 1).take_while(|other| key(**other) > key(slot)).count();
            if self.disordered || later > NEAR {
                self.disordered = true;
                list.push(slot);
            } else {
                list.insert(list.len() - later, slot);
            }
        }
    }

    /// The line at `place` now has the whole record.
    fn move_to(&mut self, slot: Slot, place: Place) {
        let entry = &mut self.entries[slot as usize];
        self.needed_bytes = self.needed_bytes - u64::from(entry.len) + u64::from(place.len);
        (entry.offset, entry.len) = (place.offset, place.len);
    }

    /// The number of a symbol, assigned on first use.
    pub fn number_of(&mut self, symbol: &Symbol) -> usize {
        if let Some(number) = self.symbol_number(symbol) {
            return number;
        }
        let number = self.symbols.len();
        self.symbols.push(symbol.clone());
        self.symbol_numbers.insert(symbol.as_str().into(), number as u32);
        number
    }

    /// The number of a strategy, from 1, assigned on first use; 0 for none.
    fn strategy_number_of(&mut self, strategy: Option<&str>) -> u32 {
        let Some(strategy) = strategy else { return 0 };
        if let Some(number) = self.strategy_numbers.get(strategy) {
            return *number;
        }
        self.strategies.push(strategy.into());
        let number = self.strategies.len() as u32;
        self.strategy_numbers.insert(strategy.into(), number);
        number
    }

    /// Whether closed signals must be sorted before they are queried.
    pub fn is_disordered(&self) -> bool {
        self.disordered
    }

    /// The closed signals, in order of closing unless [`Self::is_disordered`].
    pub fn closed_slots(&self) -> &[Slot] {
        &self.closed
    }

    /// Sorts the closed signals by time of closing; those of the same time in order of recording.
    pub fn put_in_order(&mut self) {
        let entries = &self.entries;
        let of_markets = self.closed_of.iter_mut().flatten().map(|(_, list)| list);
        for list in of_markets.chain([&mut self.closed]) {
            list.sort_by_key(|slot| (entries[*slot as usize].closed_ms, *slot));
        }
        self.disordered = false;
    }

    /// Tells this state from others that were read from the same log.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The closed signals of a market, in order of closing unless [`Self::is_disordered`].
    pub fn closed_in_market(&self, market: &Market) -> &[Slot] {
        let number = self.symbol_number(&market.symbol);
        number.map(|number| self.closed_of_number(number, market.timeframe)).unwrap_or_default()
    }

    fn closed_of_number(&self, symbol: usize, timeframe: Timeframe) -> &[Slot] {
        let of_symbol = self.closed_of.get(symbol).into_iter().flatten();
        of_symbol.into_iter().find(|(of, _)| *of == timeframe).map(|(_, list)| &**list).unwrap_or_default()
    }

    /// Carries over what was seen of prices from the state that this one replaces.
    pub fn inherit_clock(&mut self, old: &Self) {
        for (number, symbol) in self.symbols.iter().enumerate() {
            if let Some(seen) = old.symbol_number(symbol).and_then(|number| old.index.seen(number)) {
                self.index.set_seen(number, seen.clone());
            }
        }
        for open in old.index.open().filter(|open| open.managed.is_some()) {
            if let (Some(slot), Some(known)) = (self.slot(open.key), old.index.managed(open.slot)) {
                self.index.inherit(slot, &known);
            }
        }
    }

    /// Takes the reports of ignored prices.
    pub fn take_ignored_news(&mut self) -> Vec<IgnoredPrices> {
        let news = self.index.take_news().into_iter();
        news.map(|(number, news)| IgnoredPrices { symbol: self.symbols[number].clone(), news }).collect()
    }

    /// The number of ignored prices by symbol, for symbols that have some.
    pub fn ignored_prices(&self) -> BTreeMap<Symbol, u64> {
        self.index.ignored().map(|(number, count)| (self.symbols[number].clone(), count)).collect()
    }

    /// The position of each signal's line, in order of recording.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.entries.iter().map(Entry::place)
    }

    /// Moves on to a compacted log. Lines before the offset `of` have moved to `places`, in order of recording; later ones follow
    /// at `to`.
    pub fn relocate(&mut self, places: &[Place], of: u64, to: u64) {
        for (slot, entry) in self.entries.iter_mut().enumerate() {
            entry.offset = match places.get(slot) {
                Some(place) if entry.offset < of => place.offset,
                _ => entry.offset - of + to,
            };
        }
    }

    /// What another state of the same log lacks.
    pub fn lost_in(&self, other: &Self) -> Lost {
        let mut lost = Lost::default();
        for (key, slot) in &self.ids {
            let entry = self.entry(*slot);
            let events = |state: &Self, slot| state.index.stored_trade(slot).map_or(0, Trade::events);
            match other.slot(*key).map(|slot| (slot, other.entry(slot).outcome)) {
                None => lost.signals += 1,
                Some((_, Outcome::Active)) if entry.outcome != Outcome::Active => lost.closings += 1,
                Some((other_slot, Outcome::Active)) if events(other, other_slot) < events(self, *slot) => {
                    lost.changed += 1;
                }
                Some(_) => continue,
            }
            lost.bytes += u64::from(entry.len) + 1;
        }
        lost
    }

    /// The number of signals, and of closed ones.
    pub fn extent(&self) -> (usize, usize) {
        (self.entries.len(), self.closed.len())
    }

    /// The state as rows of a snapshot; the log fills in the rest.
    pub fn to_snapshot(&self) -> Snapshot {
        let mut keys = vec![SignalKey(0, 0); self.entries.len()];
        self.ids.iter().for_each(|(key, slot)| keys[*slot as usize] = *key);
        let mut timeframes: Vec<Timeframe> = Vec::new();
        let rows = self.entries.iter().zip(keys).map(|(entry, SignalKey(high, low))| {
            let timeframe = timeframes.iter().position(|known| *known == entry.timeframe).unwrap_or_else(|| {
                timeframes.push(entry.timeframe);
                timeframes.len() - 1
            });
            Row {
                key: (high, low),
                offset: entry.offset,
                len: entry.len,
                timestamp_ms: entry.timestamp_ms,
                closed_ms: entry.closed_ms,
                profit_percent: entry.profit_percent,
                confidence: entry.confidence,
                risk_percent: entry.risk_percent,
                details: entry.details.clone(),
                symbol: entry.symbol,
                timeframe: timeframe as u8,
                strategy: entry.strategy,
                taken: entry.taken,
                direction: entry.direction,
                outcome: entry.outcome,
            }
        });
        let rows = rows.collect();
        let open = self.index.slots(None).into_iter().filter_map(|slot| {
            let levels = self.index.levels(slot)?;
            let (stop_loss, take_profit) = (levels.stop_loss, levels.take_profit);
            let trade = self.index.stored_trade(slot).and_then(|trade| serde_json::to_string(trade).ok());
            Some(OpenRow { slot, entry: levels.entry, stop_loss, take_profit, expires_ms: levels.expires_ms, trade })
        });
        Snapshot {
            open: open.collect(),
            symbols: self.symbols.iter().map(|symbol| symbol.as_str().to_owned()).collect(),
            timeframes: timeframes.iter().map(|timeframe| timeframe.as_str().to_owned()).collect(),
            strategies: self.strategies.iter().map(|strategy| strategy.to_string()).collect(),
            rows,
            ..Snapshot::default()
        }
    }

    /// Restores the state from a snapshot; `None` if the snapshot is inconsistent.
    pub fn from_snapshot(snapshot: &Snapshot) -> Option<Self> {
        let mut state = Self::default();
        for symbol in &snapshot.symbols {
            state.number_of(&Symbol::parse(symbol).ok()?);
        }
        let timeframes: Vec<_> =
            snapshot.timeframes.iter().map(|text| Timeframe::parse(text).ok()).collect::<Option<_>>()?;
        for strategy in snapshot.strategies.iter().filter(|strategy| is_strategy(strategy)) {
            state.strategy_number_of(Some(strategy));
        }
        if state.strategies.len() != snapshot.strategies.len() {
            return None;
        }
        state.reserve(snapshot.rows.len());
        for (slot, row) in snapshot.rows.iter().enumerate() {
            let Place { offset, len } = row.place();
            state.symbols.get(row.symbol as usize)?;
            if row.strategy as usize > state.strategies.len() {
                return None;
            }
            state.entries.push(Entry {
                offset,
                timestamp_ms: row.timestamp_ms,
                closed_ms: row.closed_ms,
                profit_percent: row.profit_percent,
                len,
                confidence: row.confidence,
                risk_percent: row.risk_percent,
                details: row.details.clone(),
                symbol: row.symbol,
                strategy: row.strategy,
                timeframe: *timeframes.get(usize::from(row.timeframe))?,
                taken: row.taken,
                direction: row.direction,
                outcome: row.outcome,
            });
            state.needed_bytes += u64::from(len) + 1;
            state.ids.insert(row.key(), slot as Slot);
            match (row.direction, row.outcome) {
                (None, _) => state.holds.push(slot as Slot),
                (Some(_), Outcome::Active) => {}
                (Some(_), _) => state.add_closed(slot as Slot),
            }
        }
        state.put_in_order();
        for open in &snapshot.open {
            let row = snapshot.rows.get(open.slot as usize)?;
            let levels = Levels {
                direction: row.direction?,
                entry: open.entry,
                stop_loss: open.stop_loss,
                take_profit: open.take_profit,
                since_ms: row.timestamp_ms,
                expires_ms: open.expires_ms,
            };
            let trade: Option<Box<Trade>> = match &open.trade {
                Some(text) => Some(serde_json::from_str(text).ok()?),
                None => None,
            };
            state.index.add(open.slot, row.key(), row.symbol as usize, levels, row.taken, trade);
        }
        (state.ids.len() == state.entries.len()).then_some(state)
    }

    /// The part of a filter besides its period; `None` if no signal of its symbol or its strategy is known.
    fn group(&self, filter: &StatsFilter) -> Option<Group> {
        let symbol = match &filter.symbol {
            Some(symbol) => Some(self.symbol_number(symbol)? as u32),
            None => None,
        };
        let strategy = match &filter.strategy {
            Some(name) => Some(*self.strategy_numbers.get(name.as_str())?),
            None => None,
        };
        Some(Group { symbol, timeframe: filter.timeframe, strategy, direction: filter.direction })
    }

    fn closed_in(&self, filter: &StatsFilter) -> &[Slot] {
        self.within(&self.closed, filter)
    }

    /// The part of a list in order of closing that lies in the period of a filter.
    fn within<'a>(&self, list: &'a [Slot], filter: &StatsFilter) -> &'a [Slot] {
        debug_assert!(!self.disordered);
        let before = |time: i64| list.partition_point(|slot| self.entry(*slot).closed_ms < time);
        let start = filter.since_ms.map_or(0, before);
        let end = filter.until_ms.map_or(list.len(), before);
        list.get(start..end).unwrap_or_default()
    }

    /// The closed signals among which those that match a filter are: those of its market, if it names one.
    fn candidates(&self, filter: &StatsFilter, group: Group) -> impl Iterator<Item = &Entry> {
        let list = match (group.symbol, group.timeframe) {
            (Some(symbol), Some(timeframe)) => self.closed_of_number(symbol as usize, timeframe),
            _ => &self.closed,
        };
        self.within(list, filter).iter().map(|slot| self.entry(*slot))
    }

    /// Positions of the records that match a filter, in order of closing; without unknown outcomes, as in [`Self::ended`].
    pub fn closed_places(&self, filter: &StatsFilter) -> Vec<Place> {
        let Some(group) = self.group(filter) else { return Vec::new() };
        let slots = self.candidates(filter, group);
        slots.filter(|entry| belongs(entry, group) && entry.outcome.succeeded().is_some()).map(Entry::place).collect()
    }

    /// Positions of the newest closed signals that match a filter, newest first; as in [`Self::closed_places`].
    pub fn newest_closed(&self, filter: &StatsFilter, most: usize) -> Vec<Place> {
        let Some(group) = self.group(filter) else { return Vec::new() };
        let newest = self.closed_in(filter).iter().rev().map(|slot| self.entry(*slot));
        let matching = newest.filter(|entry| belongs(entry, group) && entry.outcome.succeeded().is_some());
        matching.take(most).map(Entry::place).collect()
    }

    /// Positions of the newest open signals that match a filter, which are those recorded last, newest first; and how many there are.
    pub fn newest_open(&self, filter: &StatsFilter, most: usize) -> (Vec<Place>, usize) {
        let Some(group) = self.group(filter) else { return (Vec::new(), 0) };
        let slots = self.index.slots(group.symbol.map(|number| number as usize));
        let given = |slot: &Slot| Some(self.entry(*slot)).filter(|e| filter.covers(e.timestamp_ms));
        let matching: Vec<&Entry> = slots.iter().filter_map(given).filter(|entry| belongs(entry, group)).collect();
        (matching.iter().rev().take(most).map(|entry| entry.place()).collect(), matching.len())
    }

    /// Results of closed signals that match a filter, in order of closing; without signals that were not taken, which are not the
    /// backend's results. `costs` count for signals that state none.
    pub fn ended(&self, filter: &StatsFilter, costs: &Costs) -> Vec<Ended> {
        let Some(group) = self.group(filter) else { return Vec::new() };
        let slots = self.candidates(filter, group).filter(|entry| entry.taken && belongs(entry, group));
        slots.filter_map(|entry| self.as_ended(entry, costs)).collect()
    }

    /// The result of a closed signal; `None` if its outcome is unknown.
    pub fn as_ended(&self, entry: &Entry, costs: &Costs) -> Option<Ended> {
        Some(Ended {
            market: Market { symbol: self.symbols[entry.symbol as usize].clone(), timeframe: entry.timeframe },
            direction: entry.direction?,
            outcome: entry.outcome,
            succeeded: entry.outcome.succeeded()?,
            confidence: entry.confidence(),
            profit_percent: entry.profit_percent,
            net_percent: entry.costs(costs).net_percent(entry.profit_percent, entry.held_days()),
            given_ms: entry.timestamp_ms,
            closed_ms: entry.closed_ms,
        })
    }

    /// The number of open signals of a direction that were taken.
    pub fn open_taken(&self, direction: Direction) -> usize {
        self.index.taken_of(direction)
    }

    /// The open signals by symbol, in no order.
    pub fn open_by_symbol(&self) -> BTreeMap<Symbol, Vec<OpenSignal>> {
        let mut groups: Vec<Vec<OpenSignal>> = vec![Vec::new(); self.symbols.len()];
        for open in self.index.open() {
            let timeframe = self.entry(open.slot).timeframe;
            let managed = open.managed.as_ref().and_then(|_| self.index.managed(open.slot));
            let entry = managed.as_ref().and_then(Managed::seen_entry);
            let trade = managed.map(|managed| Box::new(managed.trade));
            groups[open.symbol].push(OpenSignal { key: open.key, timeframe, levels: open.levels, trade, entry });
        }
        let named = self.symbols.iter().cloned().zip(groups);
        named.filter(|(_, open)| !open.is_empty()).collect()
    }

    /// Positions of the open signals of a symbol, or of all, in order of recording.
    pub fn open_places(&self, symbol: Option<&Symbol>) -> Vec<Place> {
        let number = symbol.map(|symbol| self.symbol_number(symbol));
        match number {
            Some(None) => Vec::new(),
            number => self.index.slots(number.flatten()).iter().map(|slot| self.entry(*slot).place()).collect(),
        }
    }

    /// The statistics of the signals that match a filter; `costs` count where a signal states none.
    pub fn stats(&self, filter: &StatsFilter, costs: &Costs) -> Stats {
        let period = self.group(filter).map_or_else(OfPeriod::default, |group| self.period(filter, group, costs));
        let OfPeriod { groups, by_month, holding, parts, open_time } = period;
        let figures = Period::figures;
        let mut by_symbol: Vec<_> = groups
            .by_symbol
            .iter()
            .map(|(number, summary)| (self.symbols[*number as usize].clone(), figures(summary)))
            .collect();
        by_symbol.sort_by(|a, b| a.0.cmp(&b.0));
        let named = |number: u32| self.strategies[number as usize - 1].to_string();
        let mut by_strategy: Vec<_> =
            groups.by_strategy.iter().map(|(number, summary)| (named(*number), figures(summary))).collect();
        by_strategy.sort_by(|a, b| a.0.cmp(&b.0));
        let asked_for = |symbol: &Symbol| filter.symbol.as_ref().is_none_or(|asked| asked == symbol);
        let ignored = self.ignored_prices();
        Stats {
            ignored_prices: ignored.iter().filter(|(symbol, _)| asked_for(symbol)).map(|(_, count)| count).sum(),
            figures: figures(&groups.all),
            by_symbol,
            by_timeframe: groups.by_timeframe.iter().map(|(timeframe, s)| (*timeframe, figures(s))).collect(),
            by_strategy,
            by_direction: groups.by_direction.iter().map(|(direction, s)| (*direction, figures(s))).collect(),
            by_month: by_month.iter().map(|(month, s)| (*month, figures(s))).collect(),
            followed: figures(&groups.followed),
            holding,
            by_part: parts.told(),
            open_time,
            from_ms: filter.since_ms,
            until_ms: filter.until_ms,
        }
    }

    fn period(&self, filter: &StatsFilter, group: Group, costs: &Costs) -> OfPeriod {
        let mut period = OfPeriod::default();
        // How long signals of the period were open before it.
        let mut before_ms = 0.0;
        let mut rest = self.closed_in(filter);
        while let Some(first) = rest.first() {
            let day = self.entry(*first).closed_ms.div_euclid(DAY_MS);
            let end = rest.partition_point(|slot| self.entry(*slot).closed_ms < (day + 1) * DAY_MS);
            let (of_day, later) = rest.split_at(end);
            rest = later;
            let whole = filter.covers(day * DAY_MS) && filter.covers((day + 1) * DAY_MS - 1);
            let sum = || Arc::new(self.sum(group, costs, of_day));
            let summed = if whole { self.whole_day(day, group, costs, sum) } else { sum() };
            period.then(day, &summed);
            if let Some(since) = filter.since_ms.filter(|since| summed.open_time.start().is_some_and(|s| s < *since)) {
                let taken = of_day.iter().map(|slot| self.entry(*slot)).filter(|e| e.taken && belongs(e, group));
                let opened = taken.filter_map(Entry::open_since);
                before_ms += opened.map(|opened_ms| (since - opened_ms).max(0) as f64).sum::<f64>();
            }
        }
        let open = self.index.slots(group.symbol.map(|number| number as usize));
        let given =
            |slot: &Slot| Some(self.entry(*slot)).filter(|e| belongs(e, group) && filter.covers(e.timestamp_ms));
        for entry in open.iter().filter_map(given) {
            let (is_open, by_order) = (entry.open_since().is_some(), entry.is_by_order());
            period.count(entry.member(), entry.timestamp_ms, |summary| summary.add_active(is_open, by_order));
        }
        for entry in self.holds.iter().filter_map(given) {
            period.count(entry.member(), entry.timestamp_ms, |summary| summary.hold += 1);
        }
        self.add_open_time(&mut period.open_time, filter, group, &open, before_ms);
        period
    }

    /// Adds the signals that are open at the end of the period, and says when it begins.
    fn add_open_time(&self, time: &mut OpenTime, filter: &StatsFilter, group: Group, open: &[Slot], before_ms: f64) {
        let closed_before = |end: i64| self.closed.partition_point(|slot| self.entry(*slot).closed_ms < end);
        let (earlier, _) = self.closed.split_at(filter.since_ms.map_or(0, closed_before));
        let (_, later) = self.closed.split_at(filter.until_ms.map_or(self.closed.len(), closed_before));
        let counts = |entry: &&Entry| entry.taken && belongs(entry, group);
        for entry in open.iter().chain(later).map(|slot| self.entry(*slot)).filter(counts) {
            let opened = entry.open_since().filter(|opened_ms| filter.until_ms.is_none_or(|until| *opened_ms < until));
            if let Some(opened_ms) = opened {
                time.add_open(opened_ms.max(filter.since_ms.unwrap_or(i64::MIN)));
            }
        }
        match filter.since_ms {
            // Signals were given before the period, so all of it counts; otherwise it counts from its first signal on.
            Some(since)
                if time.start().is_some_and(|start| start <= since)
                    || earlier.iter().map(|slot| self.entry(*slot)).any(|entry| counts(&entry)) =>
            {
                time.begin_at(since, before_ms);
            }
            _ => time.begin(),
        }
    }

    /// The sums of a whole day, from `sum` unless they are known.
    fn whole_day(&self, day: i64, group: Group, costs: &Costs, sum: impl Fn() -> Arc<OfDay>) -> Arc<OfDay> {
        // Readers choose strategies and directions freely: keeping the sums of each choice would fill the memory.
        if group.strategy.is_some() || group.direction.is_some() {
            return sum();
        }
        let is_asked = |(of, with, _): &&Summed| *of == group && with == costs;
        if let Some((.., known)) = self.days.lock().get(&day).and_then(|kept| kept.iter().find(is_asked)) {
            return known.clone();
        }
        let summed = sum();
        self.days.lock().entry(day).or_default().push((group, *costs, summed.clone()));
        summed
    }

    fn sum(&self, group: Group, costs: &Costs, slots: &[Slot]) -> OfDay {
        let mut sums = OfDay::default();
        for entry in slots.iter().map(|slot| self.entry(*slot)).filter(|entry| belongs(entry, group)) {
            let open = entry.open_since().map(|opened_ms| (opened_ms, entry.closed_ms));
            let exits = entry.details.as_ref().and_then(|details| details.exits.as_ref());
            sums.add(entry.member(), entry.timestamp_ms, open, &entry.closed(costs), exits);
        }
        sums
    }
}

/// A confidence as an entry stores it.
fn kept(confidence: Option<f64>) -> f32 {
    confidence.map_or(f32::NAN, |percent| percent as f32)
}

/// The distance of the stop as an entry stores it.
fn risk_percent(levels: Option<&Levels>) -> f32 {
    let stop =
        levels.and_then(|levels| levels.stop_loss.map(|stop| 100.0 * (levels.entry - stop).abs() / levels.entry));
    stop.map_or(f32::NAN, |percent| percent as f32)
}

fn belongs(entry: &Entry, group: Group) -> bool {
    let Group { symbol, timeframe, strategy, direction } = group;
    symbol.is_none_or(|symbol| symbol == entry.symbol)
        && timeframe.is_none_or(|timeframe| timeframe == entry.timeframe)
        && strategy.is_none_or(|strategy| strategy == entry.strategy)
        && direction.is_none_or(|direction| entry.direction == Some(direction))
}
