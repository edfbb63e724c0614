//! The price index: the levels of all open signals, by symbol and price, so that a price finds what it closes in
//! O(log n + hits) and a price that closes nothing costs a few comparisons.
//!
//! It only finds candidates. Whether one closes, as what and at which price, is [`Levels`]' to say.

use super::line::Key;
use super::open::{Open, OpenSignals, Slot};
use crate::barrier::{Direction, Exit, Levels};
use crate::market::Candle;
use std::collections::BTreeSet;

/// A signal that a price closes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    pub slot: Slot,
    pub key: Key,
    pub exit: Exit,
    /// Profit of that exit, in percent of the entry price.
    pub profit_percent: f64,
}

/// All open signals.
#[derive(Default)]
pub struct PriceIndex {
    open: OpenSignals,
    books: Vec<Book>,
    /// Added, and not in a book yet. Most signals of a log that is read have closed by its end; those never get there.
    unfiled: Vec<Slot>,
}

/// The open signals of one symbol.
struct Book {
    /// The time of the newest price seen: an older one is out of order and ignored.
    newest_ms: i64,
    /// The end of the newest candle seen, for the same reason among candles.
    newest_candle_ms: i64,
    /// Signals younger than the newest price, by time. They join the other sets once prices have reached their time, so
    /// that replayed history does not pass over them again and again.
    ahead: BTreeSet<(i64, Slot)>,
    /// By the price at or below which they close.
    falls: BTreeSet<(u64, Slot)>,
    /// By the price at or above which they close.
    rises: BTreeSet<(u64, Slot)>,
    /// By expiry.
    expiries: BTreeSet<(i64, Slot)>,
    /// The ends of the sets above that a price must pass to matter.
    edge: Edge,
}

/// A price strictly between `fall` and `rise`, before `due_ms`, concerns no signal.
#[derive(Clone, Copy)]
struct Edge {
    fall: f64,
    rise: f64,
    due_ms: i64,
}

const NO_EDGE: Edge = Edge { fall: f64::NEG_INFINITY, rise: f64::INFINITY, due_ms: i64::MAX };

impl Default for Book {
    fn default() -> Self {
        Self {
            newest_ms: i64::MIN,
            newest_candle_ms: i64::MIN,
            ahead: BTreeSet::new(),
            falls: BTreeSet::new(),
            rises: BTreeSet::new(),
            expiries: BTreeSet::new(),
            edge: NO_EDGE,
        }
    }
}

/// Positive floats sort like their bits.
fn bits(price: f64) -> u64 {
    price.to_bits()
}

/// The prices at which it closes: falling to the first, rising to the second.
fn triggers(levels: &Levels) -> (Option<f64>, Option<f64>) {
    match levels.direction {
        Direction::Buy => (levels.stop_loss, levels.take_profit),
        Direction::Sell => (levels.take_profit, levels.stop_loss),
    }
}

impl Book {
    fn add(&mut self, slot: Slot, levels: &Levels) {
        if levels.since_ms > self.newest_ms {
            self.ahead.insert((levels.since_ms, slot));
            self.edge.due_ms = self.edge.due_ms.min(levels.since_ms);
            return;
        }
        let (fall, rise) = triggers(levels);
        if let Some(price) = fall {
            self.falls.insert((bits(price), slot));
            self.edge.fall = self.edge.fall.max(price);
        }
        if let Some(price) = rise {
            self.rises.insert((bits(price), slot));
            self.edge.rise = self.edge.rise.min(price);
        }
        if let Some(at) = levels.expires_ms {
            self.expiries.insert((at, slot));
            self.edge.due_ms = self.edge.due_ms.min(at);
        }
    }

    fn remove(&mut self, slot: Slot, levels: &Levels) {
        self.ahead.remove(&(levels.since_ms, slot));
        let (fall, rise) = triggers(levels);
        fall.map(|price| self.falls.remove(&(bits(price), slot)));
        rise.map(|price| self.rises.remove(&(bits(price), slot)));
        levels.expires_ms.map(|at| self.expiries.remove(&(at, slot)));
        self.settle();
    }

    fn settle(&mut self) {
        let ahead = self.ahead.first().map_or(i64::MAX, |(at, _)| *at);
        self.edge = Edge {
            fall: self.falls.last().map_or(NO_EDGE.fall, |(price, _)| f64::from_bits(*price)),
            rise: self.rises.first().map_or(NO_EDGE.rise, |(price, _)| f64::from_bits(*price)),
            due_ms: self.expiries.first().map_or(ahead, |(at, _)| ahead.min(*at)),
        };
    }

    /// The signals that a price range up to a time may close, oldest record first.
    fn candidates(&self, low: f64, high: f64, time_ms: i64) -> Vec<Slot> {
        let falls = self.falls.range((bits(low), 0)..).map(|(_, slot)| *slot);
        let rises = self.rises.range(..=(bits(high), Slot::MAX)).map(|(_, slot)| *slot);
        let due = self.expiries.range(..=(time_ms, Slot::MAX)).map(|(_, slot)| *slot);
        let mut slots: Vec<Slot> = falls.chain(rises).chain(due).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }
}

impl PriceIndex {
    /// Adds an open signal of the symbol with this number.
    pub fn add(&mut self, slot: Slot, key: Key, symbol: usize, levels: Levels) {
        self.open.insert(Open { slot, key, levels, symbol, filed: false });
        self.unfiled.push(slot);
    }

    /// Takes a closed signal out.
    pub fn remove(&mut self, slot: Slot) {
        if let Some(open) = self.open.remove(slot)
            && open.filed
        {
            self.books[open.symbol].remove(slot, &open.levels);
        }
    }

    /// Makes a signal findable again whose closing could not be stored.
    pub fn put_back(&mut self, slot: Slot) {
        self.unfiled.push(slot);
    }

    pub fn levels(&self, slot: Slot) -> Option<&Levels> {
        self.open.get(slot).map(|open| &open.levels)
    }

    /// The open signals, in no order.
    pub fn open(&self) -> impl Iterator<Item = &Open> {
        self.open.iter()
    }

    /// The open signals of one symbol, or of all.
    pub fn slots(&self, symbol: Option<usize>) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self
            .open
            .iter()
            .filter(|open| symbol.is_none_or(|symbol| symbol == open.symbol))
            .map(|open| open.slot)
            .collect();
        slots.sort_unstable();
        slots
    }

    /// Finds what a price closes, oldest record first, and holds it back from further prices.
    /// A price older than the newest seen of its symbol is ignored.
    pub fn on_tick(&mut self, symbol: usize, price: f64, time_ms: i64, hits: &mut Vec<Hit>) {
        if self.misses(symbol, price, time_ms) {
            return;
        }
        self.books[symbol].newest_ms = time_ms;
        self.activate(symbol);
        let candidates = self.books[symbol].candidates(price, price, time_ms);
        self.take(candidates, |levels| levels.on_tick(price, time_ms), hits);
    }

    /// Whether a price closes nothing for sure; if so it counts as seen.
    pub fn misses(&mut self, symbol: usize, price: f64, time_ms: i64) -> bool {
        let book = self.book(symbol);
        let Edge { fall, rise, due_ms } = book.edge;
        let older = time_ms < book.newest_ms;
        let missed = older || (price > fall && price < rise && time_ms < due_ms);
        if missed {
            book.newest_ms = book.newest_ms.max(time_ms);
        }
        missed
    }

    /// Finds what a closed candle closes, oldest record first, and holds it back from further prices.
    ///
    /// A candle that ends before the newest candle seen of its symbol is ignored. One that ends before the newest *tick*
    /// is not: candles are how the prices that were missed meanwhile are made up for.
    pub fn on_candle(&mut self, symbol: usize, candle: &Candle, candle_ms: i64, hits: &mut Vec<Hit>) {
        let end_ms = candle.open_ms + candle_ms;
        let book = self.book(symbol);
        if end_ms < book.newest_candle_ms {
            return;
        }
        book.newest_candle_ms = end_ms;
        book.newest_ms = book.newest_ms.max(end_ms);
        let Edge { fall, rise, due_ms } = book.edge;
        if candle.low > fall && candle.high < rise && end_ms < due_ms {
            return;
        }
        self.activate(symbol);
        let candidates = self.books[symbol].candidates(candle.low, candle.high, end_ms);
        self.take(candidates, |levels| levels.on_candle(candle, candle_ms), hits);
    }

    /// The times of the newest price and candle of a symbol, to carry over to an index built anew.
    pub fn clock(&self, symbol: usize) -> Option<(i64, i64)> {
        self.books.get(symbol).map(|book| (book.newest_ms, book.newest_candle_ms))
    }

    pub fn set_clock(&mut self, symbol: usize, (newest_ms, newest_candle_ms): (i64, i64)) {
        let book = self.book(symbol);
        book.newest_ms = newest_ms;
        book.newest_candle_ms = newest_candle_ms;
        self.activate(symbol);
    }

    /// Gives back the memory of signals that were open for a while as the log was read.
    pub fn trim(&mut self) {
        self.unfiled.retain(|slot| self.open.get(*slot).is_some());
        self.unfiled.shrink_to_fit();
        self.open.trim();
    }

    /// Puts what was added into the books.
    fn file(&mut self) {
        for slot in std::mem::take(&mut self.unfiled) {
            if let Some(open) = self.open.get_mut(slot)
                && !std::mem::replace(&mut open.filed, true)
            {
                if open.symbol >= self.books.len() {
                    self.books.resize_with(open.symbol + 1, Book::default);
                }
                self.books[open.symbol].add(slot, &open.levels);
            }
        }
    }

    /// The book of a symbol, complete.
    fn book(&mut self, symbol: usize) -> &mut Book {
        if !self.unfiled.is_empty() {
            self.file();
        }
        if symbol >= self.books.len() {
            self.books.resize_with(symbol + 1, Book::default);
        }
        &mut self.books[symbol]
    }

    /// Lets in the signals whose time the newest price has reached.
    fn activate(&mut self, symbol: usize) {
        let book = &mut self.books[symbol];
        while let Some(&(since_ms, slot)) = book.ahead.first()
            && since_ms <= book.newest_ms
        {
            book.ahead.remove(&(since_ms, slot));
            if let Some(open) = self.open.get(slot) {
                book.add(slot, &open.levels);
            }
        }
        book.settle();
    }

    fn take(&mut self, candidates: Vec<Slot>, decide: impl Fn(&Levels) -> Option<Exit>, hits: &mut Vec<Hit>) {
        for slot in candidates {
            let Some(open) = self.open.get_mut(slot) else { continue };
            if let Some(exit) = decide(&open.levels) {
                open.filed = false;
                self.books[open.symbol].remove(slot, &open.levels);
                let profit_percent = open.levels.profit_percent(exit.price);
                hits.push(Hit { slot, key: open.key, exit, profit_percent });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: i64 = 1_700_000_000_000;

    #[derive(Debug, Clone)]
    enum Step {
        Add(Levels),
        Tick(f64, i64),
        Candle(Candle, i64),
        /// The n-th hit so far could not be stored.
        PutBack(usize),
        Remove(Slot),
        Trim,
    }

    fn levels() -> impl Strategy<Value = Levels> {
        let distance = || proptest::option::of(1u32..15);
        (any::<bool>(), 95u32..105, distance(), distance(), 0i64..40, proptest::option::of(1i64..40)).prop_map(
            |(buy, entry, stop, target, since, life)| {
                let direction = if buy { Direction::Buy } else { Direction::Sell };
                let level = |distance: Option<u32>, sign: f64| {
                    distance.map(|d| f64::from(entry) + sign * direction.sign() * f64::from(d))
                };
                Levels {
                    direction,
                    entry: f64::from(entry),
                    stop_loss: level(stop, -1.0),
                    take_profit: level(target, 1.0),
                    since_ms: T0 + since,
                    expires_ms: life.map(|life| T0 + since + life),
                }
            },
        )
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let price = || (85u32..116).prop_map(f64::from);
        let candle = (price(), price(), price(), price(), 0i64..80, 1i64..20).prop_map(|(a, b, c, d, open, length)| {
            let (low, high) = (a.min(b).min(c).min(d), a.max(b).max(c).max(d));
            Step::Candle(Candle { open_ms: T0 + open, open: a, high, low, close: b, volume: 1.0 }, length)
        });
        let step = prop_oneof![
            4 => levels().prop_map(Step::Add),
            4 => (price(), 0i64..80).prop_map(|(price, at)| Step::Tick(price, T0 + at)),
            2 => candle,
            1 => (0usize..20).prop_map(Step::PutBack),
            1 => (0u32..30).prop_map(Step::Remove),
            1 => Just(Step::Trim),
        ];
        proptest::collection::vec(step, 1..60)
    }

    /// The same by looking at every open signal.
    #[derive(Default)]
    struct Scan {
        open: Vec<(Slot, Levels)>,
        newest: Option<i64>,
        newest_candle: Option<i64>,
    }

    impl Scan {
        fn hits(&mut self, decide: impl Fn(&Levels) -> Option<Exit>) -> Vec<(Slot, Exit)> {
            let hits: Vec<_> = self.open.iter().filter_map(|(slot, l)| decide(l).map(|exit| (*slot, exit))).collect();
            self.open.retain(|(slot, _)| !hits.iter().any(|(hit, _)| hit == slot));
            hits
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_index_finds_what_a_plain_scan_finds(steps in steps()) {
            let (mut index, mut scan) = (PriceIndex::default(), Scan::default());
            let mut all: Vec<Levels> = Vec::new();
            let mut closing: Vec<Slot> = Vec::new();
            for step in steps {
                let mut hits = Vec::new();
                let expected = match step {
                    Step::Add(levels) => {
                        let slot = all.len() as Slot;
                        all.push(levels);
                        index.add(slot, Key(0, slot.into()), 0, levels);
                        scan.open.push((slot, levels));
                        Vec::new()
                    }
                    Step::Tick(price, at) => {
                        index.on_tick(0, price, at, &mut hits);
                        if scan.newest.is_some_and(|newest| at < newest) { Vec::new() } else {
                            scan.newest = Some(at);
                            scan.hits(|levels| levels.on_tick(price, at))
                        }
                    }
                    Step::Candle(candle, length) => {
                        index.on_candle(0, &candle, length, &mut hits);
                        let end = candle.open_ms + length;
                        if scan.newest_candle.is_some_and(|newest| end < newest) { Vec::new() } else {
                            scan.newest_candle = Some(end);
                            scan.newest = scan.newest.max(Some(end));
                            scan.hits(|levels| levels.on_candle(&candle, length))
                        }
                    }
                    Step::PutBack(n) => {
                        if n < closing.len() {
                            let slot = closing.remove(n);
                            index.put_back(slot);
                            index.put_back(slot);
                            scan.open.push((slot, all[slot as usize]));
                            scan.open.sort_by_key(|(slot, _)| *slot);
                        }
                        Vec::new()
                    }
                    Step::Trim => {
                        index.trim();
                        Vec::new()
                    }
                    Step::Remove(slot) => {
                        index.remove(slot);
                        scan.open.retain(|(open, _)| *open != slot);
                        closing.retain(|open| *open != slot);
                        Vec::new()
                    }
                };
                prop_assert_eq!(hits.iter().map(|h| (h.slot, h.exit)).collect::<Vec<_>>(), expected);
                closing.extend(hits.iter().map(|h| h.slot));
                prop_assert_eq!(index.open.iter().count(), scan.open.len() + closing.len());
            }
        }
    }
}
