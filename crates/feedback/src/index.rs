//! The price index: the levels of all open signals by symbol and price. A price finds the signals that it closes in O(log n +
//! hits), and a price that closes nothing costs a few comparisons.
//!
//! It finds only candidates. Whether one closes, with which outcome and at which price, is decided by [`Levels`].

use super::ignored::{News, Tally};
use super::open::{Filing, Managed, Open, OpenSignals, Slot};
use domain::barrier::{Direction, Event, Exit, LEAST_TRAIL_R, Levels, Sight, Trade, Triggers};
use domain::candle::Candle;
use domain::signal::SignalKey;
use domain::time::elapsed;
use std::collections::BTreeSet;

/// A signal to which a price does something.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub key: SignalKey,
    pub effect: Effect,
}

/// What a price does to a signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// It closes a plain signal.
    Closes {
        exit: Exit,
        /// Profit of that exit, in percent of the entry price.
        profit_percent: f64,
        /// What closes it, if it can be asked again.
        cause: Option<Cause>,
    },
    /// It does something to a managed signal. What that is, the writer decides by the log.
    Touches {
        /// What this process had seen before.
        sight: Sight,
        cause: Cause,
    },
    /// Events that candles made of a managed signal that stood so before.
    Happens { before: Box<Trade>, events: Vec<Event> },
}

/// What does something to a signal. It can be asked again, of a signal that was changed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cause {
    /// A trade at this price.
    Price {
        price: f64,
        time_ms: i64,
        /// Whether it is current, and so no earlier than anything that happened to the signal.
        is_now: bool,
    },
    /// A closed candle, where earlier candles were checked up to `known_ms`.
    Candle { known_ms: i64, candle: Candle, candle_ms: i64 },
}

impl Cause {
    /// Whether it closes a plain signal.
    pub fn exit(&self, levels: &Levels) -> Option<Exit> {
        match self {
            Self::Price { price, time_ms, is_now: true } => levels.on_tick_now(*price, *time_ms),
            Self::Price { price, time_ms, is_now: false } => levels.on_tick(*price, *time_ms),
            Self::Candle { known_ms, candle, candle_ms } => levels.on_candle(*known_ms, candle, *candle_ms),
        }
    }

    /// What it does to a managed signal. A stop that has trailed far enough is stored, so that it survives this process.
    pub fn follow(&self, trade: &mut Trade, events: &mut Vec<Event>) {
        let at = match self {
            Self::Price { price, time_ms, is_now } => {
                let time_ms = if *is_now { (*time_ms).max(trade.levels().since_ms) } else { *time_ms };
                trade.on_tick(*price, time_ms, events);
                time_ms
            }
            Self::Candle { known_ms, candle, candle_ms } => {
                trade.on_candle(*known_ms, candle, *candle_ms, None, events);
                candle.open_ms + candle_ms
            }
        };
        events.extend(trade.tell_of_trail(at, LEAST_TRAIL_R));
    }
}

/// The time of a price, UTC epoch ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// As the source reports it. A price older than an earlier one of this kind is out of order and ignored.
    At(i64),
    /// Now, where this machine's clock shows this time. Clocks are set back, but prices do not run backwards. So it counts as no
    /// earlier than anything seen of the symbol, and as no earlier than the signal that it may close.
    Now(i64),
}

/// The latest times seen of a symbol's prices and candles.
#[derive(Clone, Copy)]
pub struct Seen {
    /// The newest price with a reported time, or the end of the newest candle; older prices are ignored. Current prices do not
    /// count here, so that this machine's clock cannot make the exchange's prices out of order.
    said_ms: i64,
    /// The newest price of all.
    newest_ms: i64,
    /// The end of the newest candle; older candles are ignored.
    candle_ms: i64,
    ignored: Tally,
}

const NOTHING_SEEN: Seen =
    Seen { said_ms: i64::MIN, newest_ms: i64::MIN, candle_ms: i64::MIN, ignored: Tally::NOTHING };

/// All open signals, by price.
#[derive(Default)]
pub struct PriceIndex {
    open: OpenSignals,
    books: Vec<Book>,
    /// Reports of ignored prices, by symbol number.
    news: Vec<(usize, News)>,
    /// Signals that are not in a book yet. While a log is read, most signals close before its end and never get there.
    unfiled: Vec<Slot>,
}

/// The open signals of one symbol.
struct Book {
    seen: Seen,
    /// Signals younger than the newest price, by time. They join the other sets when prices reach their time, so that replayed
    /// history does not visit them again and again.
    ahead: BTreeSet<(i64, Slot)>,
    /// By the price at or below which they close.
    falls: BTreeSet<(u64, Slot)>,
    /// By the price at or above which they close.
    rises: BTreeSet<(u64, Slot)>,
    /// By expiry.
    expiries: BTreeSet<(i64, Slot)>,
    /// The ends of the sets above, which a price must cross to matter.
    edge: Edge,
}

/// A price strictly between `fall` and `rise`, before `due_ms`, affects no signal.
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
            seen: NOTHING_SEEN,
            ahead: BTreeSet::new(),
            falls: BTreeSet::new(),
            rises: BTreeSet::new(),
            expiries: BTreeSet::new(),
            edge: NO_EDGE,
        }
    }
}

/// Positive floats have the same order as their bits.
fn bits(price: f64) -> u64 {
    price.to_bits()
}

impl Book {
    fn add(&mut self, slot: Slot, filing: &Filing) {
        if filing.since_ms > self.seen.newest_ms {
            self.ahead.insert((filing.since_ms, slot));
            self.edge.due_ms = self.edge.due_ms.min(filing.since_ms);
        } else {
            self.let_in(slot, filing);
        }
    }

    fn let_in(&mut self, slot: Slot, filing: &Filing) {
        let Triggers { fall, rise, due_ms } = filing.triggers;
        if let Some(price) = fall {
            self.falls.insert((bits(price), slot));
            self.edge.fall = self.edge.fall.max(price);
        }
        if let Some(price) = rise {
            self.rises.insert((bits(price), slot));
            self.edge.rise = self.edge.rise.min(price);
        }
        if let Some(at) = due_ms {
            self.expiries.insert((at, slot));
            self.edge.due_ms = self.edge.due_ms.min(at);
        }
    }

    fn remove(&mut self, slot: Slot, filing: &Filing) {
        self.ahead.remove(&(filing.since_ms, slot));
        let Triggers { fall, rise, due_ms } = filing.triggers;
        fall.map(|price| self.falls.remove(&(bits(price), slot)));
        rise.map(|price| self.rises.remove(&(bits(price), slot)));
        due_ms.map(|at| self.expiries.remove(&(at, slot)));
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

    /// The time to use for a price; `None` if it is out of order.
    fn time_of(&self, when: When) -> Option<i64> {
        match when {
            When::Now(ms) => Some(ms.max(self.seen.newest_ms)),
            When::At(ms) => Some(ms).filter(|ms| *ms >= self.seen.said_ms),
        }
    }

    /// Whether a price certainly affects no signal.
    fn is_beside(&self, price: f64, when: When, time_ms: i64) -> bool {
        let Edge { fall, rise, due_ms } = self.edge;
        // For a current price, no signal lies in the future.
        let all_in = matches!(when, When::At(_)) || self.ahead.is_empty();
        all_in && price > fall && price < rise && time_ms < due_ms
    }

    fn see(&mut self, when: When, time_ms: i64) {
        self.seen.newest_ms = self.seen.newest_ms.max(time_ms);
        if let When::At(_) = when {
            self.seen.said_ms = time_ms;
        }
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
    /// Adds an open signal of the symbol with this number. `trade` is where it stands, if it is a managed one.
    pub fn add(
        &mut self,
        slot: Slot,
        key: SignalKey,
        symbol: usize,
        levels: Levels,
        taken: bool,
        trade: Option<Box<Trade>>,
    ) {
        let managed = trade.map(|trade| Box::new(Managed::new(&trade)));
        self.open.insert(Open { slot, key, levels, managed, symbol, taken, filed: false });
        self.unfiled.push(slot);
    }

    /// Removes a closed signal.
    pub fn remove(&mut self, slot: Slot) {
        if let Some(open) = self.open.remove(slot)
            && open.filed
        {
            self.books[open.symbol].remove(slot, &open.filing());
        }
    }

    /// Called when the writer has stored what a price did to a signal, or could not store it. A plain signal that is still open
    /// becomes findable again. A managed one stands as the log says, as soon as nothing more of it is on its way there.
    pub fn put_back(&mut self, slot: Slot) {
        let Some(open) = self.open.get_mut(slot) else { return };
        if let Some(managed) = &mut open.managed {
            managed.on_their_way = managed.on_their_way.saturating_sub(1);
            if managed.on_their_way > 0 || (open.filed && managed.trade.stands_as(&managed.stored)) {
                return;
            }
            let stored = managed.stored.clone();
            self.restate(slot, &stored);
        }
        self.unfiled.push(slot);
    }

    /// Takes in where an open signal stands by the log. `false` if that is known, or older than what is known.
    pub fn advance(&mut self, slot: Slot, trade: &Trade) -> bool {
        let known = self.stored_trade(slot).map_or(0, Trade::events);
        if trade.events() <= known {
            return false;
        }
        if let Some(managed) = self.open.get_mut(slot).and_then(|open| open.managed.as_deref_mut()) {
            managed.stored = trade.clone();
            // This process made the events, or has more of them on their way to the log.
            let is_ahead = managed.on_their_way > 0 && managed.trade.events() >= trade.events();
            if is_ahead || managed.trade.stands_as(trade) {
                return true;
            }
        }
        self.restate(slot, trade);
        true
    }

    /// Whether something that prices did to a signal is on its way to the log.
    #[cfg(test)]
    pub fn is_on_its_way(&self, slot: Slot) -> bool {
        let managed = self.open.get(slot).and_then(|open| open.managed.as_ref());
        managed.is_some_and(|managed| managed.on_their_way > 0)
    }

    /// Lets an open signal stand as the log says. What was seen of prices stays.
    fn restate(&mut self, slot: Slot, stored: &Trade) {
        self.take_out(slot);
        if let Some(open) = self.open.get_mut(slot) {
            let mut trade = stored.clone();
            let mut on_their_way = 0;
            if let Some(before) = &open.managed {
                trade.inherit(before.trade.sight());
                on_their_way = before.on_their_way;
            }
            let filing = Filing::of_trade(&trade);
            open.managed = Some(Box::new(Managed { trade, stored: stored.clone(), on_their_way, filing }));
            self.unfiled.push(slot);
        }
    }

    /// Takes over what another index has seen of the prices of a managed signal.
    pub fn inherit(&mut self, slot: Slot, sight: Sight) {
        let managed = self.take_out(slot);
        if let Some(managed) = managed {
            managed.trade.inherit(sight);
            managed.filing = Filing::of_trade(&managed.trade);
            self.unfiled.push(slot);
        }
    }

    /// Where a managed signal stands by the log.
    pub fn stored_trade(&self, slot: Slot) -> Option<&Trade> {
        self.open.get(slot)?.managed.as_ref().map(|managed| &managed.stored)
    }

    /// Takes a signal out of its book, to be filed elsewhere.
    fn take_out(&mut self, slot: Slot) -> Option<&mut Managed> {
        let open = self.open.get_mut(slot)?;
        if std::mem::take(&mut open.filed) {
            self.books[open.symbol].remove(slot, &open.filing());
        }
        open.managed.as_deref_mut()
    }

    pub fn levels(&self, slot: Slot) -> Option<&Levels> {
        self.open.get(slot).map(|open| &open.levels)
    }

    /// The number of open signals of a direction that were taken.
    pub fn taken_of(&self, direction: Direction) -> usize {
        self.open.taken_of(direction)
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

    /// Finds the signals that a price closes, oldest record first, and hides them from further prices. A price that is out of
    /// order is ignored and counted.
    pub fn on_tick(&mut self, symbol: usize, price: f64, when: When, hits: &mut Vec<Hit>) {
        let book = self.book(symbol);
        let (time_ms, newest_ms) = (book.time_of(when), book.seen.said_ms);
        let Some(time_ms) = self.counts(symbol, time_ms, when, newest_ms) else { return };
        let book = &mut self.books[symbol];
        book.see(when, time_ms);
        if book.is_beside(price, when, time_ms) {
            return;
        }
        let until_ms = if let When::Now(_) = when { i64::MAX } else { book.seen.newest_ms };
        self.activate(symbol, until_ms);
        let candidates = self.books[symbol].candidates(price, price, time_ms);
        let cause = Cause::Price { price, time_ms, is_now: matches!(when, When::Now(_)) };
        self.take(candidates, cause, hits);
    }

    /// Whether a price certainly closes nothing and there is nothing to report of it. If so, the price counts as seen.
    pub fn misses(&mut self, symbol: usize, price: f64, when: When) -> bool {
        let book = self.book(symbol);
        let Some(time_ms) = book.time_of(when) else { return false };
        let misses = !book.seen.ignored.is_going_on() && book.is_beside(price, when, time_ms);
        if misses {
            book.see(when, time_ms);
        }
        misses
    }

    /// Finds the signals that a closed candle closes, oldest record first, and hides them from further prices.
    ///
    /// A candle that ends before the newest candle of its symbol is ignored and counted. One that ends before the newest *price*
    /// is not ignored, since candles make up for missed prices.
    pub fn on_candle(&mut self, symbol: usize, candle: &Candle, candle_ms: i64, hits: &mut Vec<Hit>) {
        let end_ms = candle.open_ms + candle_ms;
        let newest_ms = self.book(symbol).seen.candle_ms;
        let time_ms = Some(end_ms).filter(|end_ms| *end_ms >= newest_ms);
        if self.counts(symbol, time_ms, When::At(end_ms), newest_ms).is_none() {
            return;
        }
        let book = &mut self.books[symbol];
        book.seen.candle_ms = end_ms;
        book.see(When::At(end_ms.max(book.seen.said_ms)), end_ms.max(book.seen.said_ms));
        let Edge { fall, rise, due_ms } = book.edge;
        if candle.low > fall && candle.high < rise && end_ms < due_ms {
            return;
        }
        let until_ms = book.seen.newest_ms;
        self.activate(symbol, until_ms);
        let candidates = self.books[symbol].candidates(candle.low, candle.high, end_ms);
        self.take(candidates, Cause::Candle { known_ms: newest_ms, candle: *candle, candle_ms }, hits);
    }

    /// Passes on the time of a price that counts; counts one that is ignored.
    fn counts(&mut self, symbol: usize, time_ms: Option<i64>, when: When, newest_ms: i64) -> Option<i64> {
        let ignored = &mut self.books[symbol].seen.ignored;
        let told = match (time_ms, when) {
            (None, When::At(late_ms) | When::Now(late_ms)) => ignored.ignore(elapsed(), late_ms, newest_ms),
            (Some(_), _) => ignored.is_over(),
        };
        self.news.extend(told.map(|news| (symbol, news)));
        time_ms
    }

    /// Whether there are reports of ignored prices.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Takes the reports of ignored prices, by symbol number.
    pub fn take_news(&mut self) -> Vec<(usize, News)> {
        std::mem::take(&mut self.news)
    }

    /// The number of ignored prices by symbol number, for symbols that have some.
    pub fn ignored(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self.books.iter().map(|book| book.seen.ignored.count()).enumerate();
        counts.filter(|(_, count)| *count > 0)
    }

    /// The latest times seen of a symbol, to carry over to a rebuilt index.
    pub fn seen(&self, symbol: usize) -> Option<Seen> {
        self.books.get(symbol).map(|book| book.seen)
    }

    pub fn set_seen(&mut self, symbol: usize, seen: Seen) {
        self.book(symbol).seen = seen;
        self.activate(symbol, seen.newest_ms);
    }

    /// Frees the memory of signals that were open only while the log was read.
    pub fn trim(&mut self) {
        self.unfiled.retain(|slot| self.open.get(*slot).is_some());
        self.unfiled.shrink_to_fit();
        self.open.trim();
    }

    /// Puts added signals into the books.
    fn file(&mut self) {
        for slot in std::mem::take(&mut self.unfiled) {
            if let Some(open) = self.open.get_mut(slot)
                && !std::mem::replace(&mut open.filed, true)
            {
                if open.symbol >= self.books.len() {
                    self.books.resize_with(open.symbol + 1, Book::default);
                }
                let filing = open.filing();
                self.books[open.symbol].add(slot, &filing);
            }
        }
    }

    /// The complete book of a symbol.
    fn book(&mut self, symbol: usize) -> &mut Book {
        if !self.unfiled.is_empty() {
            self.file();
        }
        if symbol >= self.books.len() {
            self.books.resize_with(symbol + 1, Book::default);
        }
        &mut self.books[symbol]
    }

    /// Activates the signals up to a time.
    fn activate(&mut self, symbol: usize, until_ms: i64) {
        let book = &mut self.books[symbol];
        while let Some(&(since_ms, slot)) = book.ahead.first()
            && since_ms <= until_ms
        {
            book.ahead.remove(&(since_ms, slot));
            if let Some(open) = self.open.get(slot) {
                book.let_in(slot, &open.filing());
            }
        }
        book.settle();
    }

    /// Applies a price to the candidates. A plain signal that closes leaves its book. A managed signal is filed by where it
    /// stands then, so that the next price finds it there; one that ends leaves its book.
    fn take(&mut self, candidates: Vec<Slot>, cause: Cause, hits: &mut Vec<Hit>) {
        for slot in candidates {
            let Some(open) = self.open.get_mut(slot) else { continue };
            let filing = open.filing();
            if let Some(managed) = &mut open.managed {
                let (sight, mut events) = (managed.trade.sight(), Vec::new());
                cause.follow(&mut managed.trade, &mut events);
                let has_ended = managed.trade.ended().is_some();
                managed.filing = Filing::of_trade(&managed.trade);
                if has_ended || managed.filing != filing {
                    self.books[open.symbol].remove(slot, &filing);
                    open.filed = !has_ended;
                    if open.filed {
                        self.books[open.symbol].add(slot, &managed.filing);
                    }
                }
                if !events.is_empty() {
                    managed.on_their_way += 1;
                    hits.push(Hit { key: open.key, effect: Effect::Touches { sight, cause } });
                }
            } else if let Some(exit) = cause.exit(&open.levels) {
                open.filed = false;
                self.books[open.symbol].remove(slot, &filing);
                let profit_percent = open.levels.profit_percent(exit.price);
                let effect = Effect::Closes { exit, profit_percent, cause: Some(cause) };
                hits.push(Hit { key: open.key, effect });
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
        Tick(f64, When),
        Candle(Candle, i64),
        /// Storing the n-th hit so far failed.
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
            4 => (price(), 0i64..80).prop_map(|(price, at)| Step::Tick(price, When::At(T0 + at))),
            2 => (price(), 0i64..80).prop_map(|(price, at)| Step::Tick(price, When::Now(T0 + at))),
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
        said: Option<i64>,
        newest: Option<i64>,
        newest_candle: Option<i64>,
        ignored: u64,
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
                        index.add(slot, SignalKey(0, slot.into()), 0, levels, slot.is_multiple_of(2), None);
                        scan.open.push((slot, levels));
                        Vec::new()
                    }
                    Step::Tick(price, when) => {
                        // As `closes_nothing` does, then `on_prices`.
                        if !index.misses(0, price, when) {
                            index.on_tick(0, price, when, &mut hits);
                        }
                        match when {
                            When::Now(at) => {
                                let at = scan.newest.map_or(at, |newest| newest.max(at));
                                scan.newest = Some(at);
                                scan.hits(|levels| levels.on_tick(price, at.max(levels.since_ms)))
                            }
                            When::At(at) if scan.said.is_some_and(|said| at < said) => {
                                scan.ignored += 1;
                                Vec::new()
                            }
                            When::At(at) => {
                                (scan.said, scan.newest) = (Some(at), scan.newest.max(Some(at)));
                                scan.hits(|levels| levels.on_tick(price, at))
                            }
                        }
                    }
                    Step::Candle(candle, length) => {
                        index.on_candle(0, &candle, length, &mut hits);
                        let end = candle.open_ms + length;
                        if scan.newest_candle.is_some_and(|newest| end < newest) {
                            scan.ignored += 1;
                            Vec::new()
                        } else {
                            let known_ms = scan.newest_candle.replace(end).unwrap_or(i64::MIN);
                            (scan.said, scan.newest) = (scan.said.max(Some(end)), scan.newest.max(Some(end)));
                            scan.hits(|levels| levels.on_candle(known_ms, &candle, length))
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
                let exits = hits.iter().filter_map(|hit| match &hit.effect {
                    Effect::Closes { exit, .. } => Some((hit.key.1 as Slot, *exit)),
                    Effect::Touches { .. } | Effect::Happens { .. } => None,
                });
                prop_assert_eq!(exits.collect::<Vec<_>>(), expected);
                closing.extend(hits.iter().map(|hit| hit.key.1 as Slot));
                prop_assert_eq!(index.open.iter().count(), scan.open.len() + closing.len());
                let open = scan.open.iter().map(|(slot, _)| slot).chain(&closing);
                let taken = open.filter(|slot| slot.is_multiple_of(2) && all[**slot as usize].direction == Direction::Buy);
                prop_assert_eq!(index.taken_of(Direction::Buy), taken.count());
                prop_assert_eq!(index.ignored().map(|(_, count)| count).sum::<u64>(), scan.ignored);
            }
        }
    }
}
