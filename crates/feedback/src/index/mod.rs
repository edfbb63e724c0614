//! The price index: the levels of all open signals by symbol and price. A price finds the signals to which it does something in
//! O(log n + hits), and a price that does nothing costs a few comparisons.
//!
//! It finds only candidates. What happens to one, and at which price, is decided by [`Levels`] and [`Trade`].

mod book;
mod cause;
mod extremes;
mod trails;

pub use book::Seen;
pub use cause::Cause;
pub use extremes::{Extremes, Reach};
pub use trails::Trailed;

use super::ignored::News;
use super::open::{Filing, Managed, Open, OpenSignals, Slot};
use book::Book;
use domain::barrier::{Direction, Event, Exit, LEAST_TRAIL_R, Levels, Sight, Trade};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::signal::{Excursion, SignalKey};
use domain::time::elapsed;
use std::sync::Arc;

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
        /// How far the price went, if this process saw it from the entry on.
        excursion: Option<Excursion>,
    },
    /// It does something to a managed signal. What that is, the writer decides by the log.
    Touches {
        /// What this process had seen before.
        sight: Sight,
        cause: Cause,
        /// The event that closes it as this process knows it, and how far the price went until then, if it was seen from the entry
        /// on.
        end: Option<(Event, Excursion)>,
    },
    /// The trailing stop of a managed signal has moved far enough to be told of.
    Trails {
        /// What this process has seen.
        sight: Sight,
        /// When, UTC epoch ms.
        at_ms: i64,
    },
    /// Events that candles made of a managed signal that stood so before.
    Happens {
        before: Box<Trade>,
        events: Vec<Event>,
        /// How far the price went, if they close it and this process saw it from the entry on.
        excursion: Option<Excursion>,
    },
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

/// All open signals, by price.
///
/// It has more than 25 methods because books, open signals and what was seen of prices must change together.
#[derive(Default)]
pub struct PriceIndex {
    open: OpenSignals,
    books: Vec<Book>,
    /// Reports of ignored prices, by symbol number.
    news: Vec<(usize, News)>,
    /// Signals that are not in a book yet. While a log is read, most signals close before its end and never get there.
    unfiled: Vec<Slot>,
    /// Signals of earlier slots were read from the log when the store was opened: prices may have come before that.
    first_live: Slot,
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
            let book = &mut self.books[open.symbol];
            book.remove(slot, &open.filing());
            book.settle();
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

    /// Lets an open signal stand as the log says. What was seen of prices stays.
    fn restate(&mut self, slot: Slot, stored: &Trade) {
        self.take_out(slot);
        let Some(open) = self.open.get_mut(slot) else { return };
        match &mut open.managed {
            Some(managed) => managed.restate(stored),
            plain => *plain = Some(Box::new(Managed::new(stored))),
        }
        self.unfiled.push(slot);
    }

    /// Takes over what another index has seen of the prices of a managed signal.
    pub fn inherit(&mut self, slot: Slot, known: &Managed) {
        if let Some(managed) = self.take_out(slot) {
            managed.inherit(known);
            self.unfiled.push(slot);
        }
    }

    /// Takes in how far the price went in the entry of a managed signal.
    pub fn enter(&mut self, slot: Slot, entry: Option<(i64, Reach)>) {
        if let Some(managed) = self.open.get_mut(slot).and_then(|open| open.managed.as_deref_mut()) {
            managed.enter(entry);
        }
    }

    /// Where a managed signal stands by the log.
    pub fn stored_trade(&self, slot: Slot) -> Option<&Trade> {
        self.open.get(slot)?.managed.as_ref().map(|managed| &managed.stored)
    }

    /// A managed signal with the best price that its book knows.
    pub fn managed(&self, slot: Slot) -> Option<Managed> {
        let open = self.open.get(slot)?;
        let mut managed = open.managed.as_deref()?.clone();
        if open.filed
            && let Some(best) = self.books[open.symbol].best_of(slot, &managed.filing)
        {
            managed.trade.saw(best);
        }
        Some(managed)
    }

    /// Takes a signal out of its book, to be filed elsewhere.
    fn take_out(&mut self, slot: Slot) -> Option<&mut Managed> {
        let open = self.open.get_mut(slot)?;
        let mut best = None;
        if std::mem::take(&mut open.filed) {
            let book = &mut self.books[open.symbol];
            best = book.remove(slot, &open.filing());
            book.settle();
        }
        let managed = open.managed.as_deref_mut()?;
        best.into_iter().for_each(|best| managed.trade.saw(best));
        Some(managed)
    }

    pub fn levels(&self, slot: Slot) -> Option<&Levels> {
        self.open.get(slot).map(|open| &open.levels)
    }

    /// How far the price went from an open signal's entry until `until_ms`, if this process saw all of it and nothing later hides
    /// it. `exit` is the price of its end.
    pub fn excursion(&self, slot: Slot, until_ms: i64, exit: f64) -> Option<Excursion> {
        let open = self.open.get(slot)?;
        let (levels, since_ms, entry) = match &open.managed {
            None => (&open.levels, open.levels.since_ms, Reach::of(open.levels.entry)),
            Some(managed) => {
                let (at, entry) = managed.seen_entry()?;
                (managed.trade.levels(), at, entry)
            }
        };
        let seen = self.extremes(open.symbol).filter(|seen| seen.reaches(until_ms))?;
        seen.excursion(levels, since_ms, until_ms, entry.and(Reach::of(exit)))
    }

    /// How far the price of a symbol went.
    pub fn extremes(&self, symbol: usize) -> Option<&Extremes> {
        self.books.get(symbol).map(|book| &book.seen.extremes)
    }

    /// Takes in when a symbol trades.
    pub fn trade_in(&mut self, symbol: usize, hours: Arc<Calendar>) {
        self.book(symbol).seen.extremes.trade_in(hours);
    }

    /// Takes in how far candles of a symbol went that are checked elsewhere: candles with their lengths in milliseconds, sorted by
    /// time.
    pub fn reach(&mut self, symbol: usize, candles: &[(Candle, i64)]) {
        let extremes = &mut self.book(symbol).seen.extremes;
        // What is known grows backwards only from where it begins.
        candles.iter().rev().for_each(|(candle, candle_ms)| extremes.candle(candle, *candle_ms));
        self.coarsen(symbol);
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

    /// Finds the signals to which a price does something, oldest record first, and hides those that it closes from further prices.
    /// A price that is out of order is ignored and counted.
    pub fn on_tick(&mut self, symbol: usize, price: f64, when: When, hits: &mut Vec<Hit>) {
        let book = self.book(symbol);
        let (time_ms, newest_ms) = (book.seen.time_of(when), book.seen.said_ms);
        let Some(time_ms) = self.counts(symbol, time_ms, when, newest_ms) else { return };
        let book = &mut self.books[symbol];
        let is_beside = book.is_beside(price, when, time_ms);
        if !is_beside {
            let until_ms = if let When::Now(_) = when { i64::MAX } else { book.seen.newest_ms.max(time_ms) };
            self.activate(symbol, until_ms, time_ms);
        }
        let book = &mut self.books[symbol];
        book.seen.price(price, when, time_ms);
        if !is_beside {
            let is_now = matches!(when, When::Now(_));
            self.take(symbol, &Cause::Price { price, time_ms, is_now }, hits);
        }
        self.coarsen(symbol);
    }

    /// Whether a price certainly does nothing and there is nothing to report of it. If so, the price counts as seen.
    pub fn misses(&mut self, symbol: usize, price: f64, when: When) -> bool {
        let book = self.book(symbol);
        let Some(time_ms) = book.seen.time_of(when) else { return false };
        let misses = !book.seen.ignored.is_going_on() && book.is_beside(price, when, time_ms);
        if misses {
            book.seen.price(price, when, time_ms);
            self.coarsen(symbol);
        }
        misses
    }

    /// Finds the signals to which a closed candle does something, oldest record first, and hides those that it closes from further
    /// prices.
    ///
    /// A candle that ends before the newest candle of its symbol is ignored and counted. One that ends before the newest *price*
    /// is not ignored, since candles make up for missed prices.
    pub fn on_candle(&mut self, symbol: usize, candle: &Candle, candle_ms: i64, hits: &mut Vec<Hit>) {
        let end_ms = candle.open_ms + candle_ms;
        let known_ms = self.book(symbol).seen.candle_ms;
        let time_ms = Some(end_ms).filter(|end_ms| *end_ms >= known_ms);
        if self.counts(symbol, time_ms, When::At(end_ms), known_ms).is_none() {
            return;
        }
        let cause = Cause::Candle { known_ms, candle: *candle, candle_ms };
        let book = &mut self.books[symbol];
        let is_quiet = book.is_quiet(&cause);
        book.seen.candle(end_ms);
        book.seen.extremes.cover(candle, candle_ms);
        if !is_quiet {
            let until_ms = book.seen.newest_ms;
            self.activate(symbol, until_ms, until_ms);
            self.take(symbol, &cause, hits);
        }
        self.books[symbol].seen.extremes.reach(candle, candle_ms);
        self.coarsen(symbol);
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

    /// What was seen of a symbol, to carry over to a rebuilt index.
    pub fn seen(&self, symbol: usize) -> Option<&Seen> {
        self.books.get(symbol).map(|book| &book.seen)
    }

    pub fn set_seen(&mut self, symbol: usize, seen: Seen) {
        let newest_ms = seen.newest_ms;
        self.book(symbol).seen = seen;
        self.activate(symbol, newest_ms, newest_ms);
    }

    /// Frees the memory of signals that were open only while the log was read.
    pub fn trim(&mut self) {
        self.unfiled.retain(|slot| self.open.get(*slot).is_some());
        self.unfiled.shrink_to_fit();
        self.open.trim();
        self.first_live = self.open.next_slot();
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
                let book = &mut self.books[open.symbol];
                book.add(slot, &filing);
                book.settle();
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

    /// Activates the signals up to a time, of which prices are seen up to `now_ms`.
    fn activate(&mut self, symbol: usize, until_ms: i64, now_ms: i64) {
        let book = &mut self.books[symbol];
        while let Some(&(since_ms, slot)) = book.ahead.first()
            && since_ms <= until_ms
        {
            book.ahead.remove(&(since_ms, slot));
            let Some(open) = self.open.get(slot) else { continue };
            book.let_in(slot, &open.filing());
            if slot >= self.first_live {
                book.seen.extremes.listen(since_ms);
            }
            if since_ms > now_ms {
                book.seen.ahead_ms = book.seen.ahead_ms.max(since_ms);
            }
        }
        book.settle();
    }

    /// Applies a price or a candle to those that it may concern. A plain signal that closes leaves its book. A managed signal is
    /// filed by where it stands then, so that the next price finds it there; one that ends leaves its book.
    fn take(&mut self, symbol: usize, cause: &Cause, hits: &mut Vec<Hit>) {
        let book = &mut self.books[symbol];
        let candidates = book.candidates(cause);
        // Those that are asked are told their best price; what else trails follows this one.
        for slot in &candidates {
            if let Some(managed) = self.open.get_mut(*slot).and_then(|open| open.managed.as_deref_mut())
                && let Some(best) = book.leave_trails(*slot, &managed.filing)
            {
                managed.trade.saw(best);
            }
        }
        book.raise_trails(cause);
        for slot in candidates {
            let Some(open) = self.open.get_mut(slot) else { continue };
            let effect = match &mut open.managed {
                None => close(book, &open.levels, cause),
                Some(managed) => follow(book, managed, cause),
            };
            refile(book, open, effect.as_ref());
            hits.extend(effect.map(|effect| Hit { key: open.key, effect }));
        }
        self.tell(symbol, cause.time_ms(), hits);
        self.books[symbol].settle();
    }

    /// Tells of trailing stops that have moved far enough, so that they survive this process.
    fn tell(&mut self, symbol: usize, time_ms: i64, hits: &mut Vec<Hit>) {
        let book = &mut self.books[symbol];
        for slot in book.to_tell(time_ms) {
            let Some(open) = self.open.get_mut(slot) else { continue };
            let Some(managed) = open.managed.as_deref_mut() else { continue };
            if managed.trade.levels().since_ms > time_ms {
                continue;
            }
            book.leave_trails(slot, &managed.filing).into_iter().for_each(|best| managed.trade.saw(best));
            let sight = managed.trade.sight();
            let has_told = managed.trade.tell_of_trail(time_ms, LEAST_TRAIL_R).is_some();
            managed.on_their_way += u32::from(has_told);
            refile(book, open, None);
            if has_told {
                book.seen.told_ms = time_ms;
                hits.push(Hit { key: open.key, effect: Effect::Trails { sight, at_ms: time_ms } });
            }
        }
    }

    /// Bounds the memory of what was seen.
    fn coarsen(&mut self, symbol: usize) {
        let extremes = &mut self.books[symbol].seen.extremes;
        if !extremes.is_long() {
            return;
        }
        let open = self.open.iter().filter(|open| open.symbol == symbol);
        let starts = open.filter_map(|open| match &open.managed {
            None => Some(open.levels.since_ms),
            Some(managed) => managed.trade.entered_ms(),
        });
        let mut starts: Vec<i64> = starts.collect();
        starts.sort_unstable();
        extremes.coarsen(&starts);
    }
}

/// Whether a price or a candle closes a plain signal.
fn close(book: &Book, levels: &Levels, cause: &Cause) -> Option<Effect> {
    let exit = cause.exit(levels)?;
    let profit_percent = levels.profit_percent(exit.price);
    let excursion = cause.excursion(levels, &exit, &book.seen.extremes);
    Some(Effect::Closes { exit, profit_percent, cause: Some(*cause), excursion })
}

/// What a price or a candle makes of a managed signal.
fn follow(book: &Book, managed: &mut Managed, cause: &Cause) -> Option<Effect> {
    let (before, sight, mut events) = (*managed.trade.levels(), managed.trade.sight(), Vec::new());
    cause.follow(&mut managed.trade, &mut events);
    if events.is_empty() {
        return None;
    }
    managed.on_their_way += 1;
    let excursion = managed.passed(&before, &events, cause, &book.seen.extremes);
    Some(Effect::Touches { sight, cause: *cause, end: events.pop().zip(excursion) })
}

/// Puts a signal where it belongs after `effect`; its trailing stop is in no group.
fn refile(book: &mut Book, open: &mut Open, effect: Option<&Effect>) {
    let before = open.filing();
    let has_ended = match &mut open.managed {
        None => effect.is_some(),
        Some(managed) => {
            managed.filing = Filing::of_trade(&managed.trade);
            managed.trade.ended().is_some()
        }
    };
    open.filed = !has_ended;
    let now = open.filing();
    if has_ended {
        book.remove(open.slot, &before);
    } else if !now.has_levels_of(&before) {
        book.remove(open.slot, &before);
        book.add(open.slot, &now);
    } else {
        book.join_trails(open.slot, &now);
    }
}

#[cfg(test)]
mod tests;
