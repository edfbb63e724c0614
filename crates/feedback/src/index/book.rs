//! The open signals of one symbol, by price.

use super::super::ignored::Tally;
use super::super::open::{Filing, Slot};
use super::When;
use super::cause::Cause;
use super::extremes::Extremes;
use super::trails::Trails;
use domain::barrier::{Direction, Triggers};
use std::collections::BTreeSet;

/// Trailing stops of a symbol are told of at most this often.
const TELL_MS: i64 = 60_000;

/// What was seen of a symbol's prices and candles.
#[derive(Clone)]
pub struct Seen {
    /// The newest price with a reported time, or the end of the newest candle; older prices are ignored. Current prices do not
    /// count here, so that this machine's clock cannot make the exchange's prices out of order.
    pub said_ms: i64,
    /// The newest price of all.
    pub newest_ms: i64,
    /// The end of the newest candle; older candles are ignored.
    pub candle_ms: i64,
    pub ignored: Tally,
    /// How far the price went.
    pub extremes: Extremes,
    /// The latest time of a signal that a current price found although this machine's clock was behind it.
    pub ahead_ms: i64,
    /// When trailing stops were last told of.
    pub told_ms: i64,
}

/// The open signals of one symbol.
pub struct Book {
    pub seen: Seen,
    /// Signals younger than the newest price, by time. They join the other sets when prices reach their time, so that replayed
    /// history does not visit them again and again.
    pub ahead: BTreeSet<(i64, Slot)>,
    /// By the price at or below which something happens to them.
    falls: BTreeSet<(u64, Slot)>,
    /// By the price at or above which something happens to them.
    rises: BTreeSet<(u64, Slot)>,
    /// By expiry.
    expiries: BTreeSet<(i64, Slot)>,
    /// Signals whose stop follows the best price: BUYs and SELLs.
    trails: [Trails; 2],
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

impl Default for Seen {
    fn default() -> Self {
        Self {
            said_ms: i64::MIN,
            newest_ms: i64::MIN,
            candle_ms: i64::MIN,
            ignored: Tally::NOTHING,
            extremes: Extremes::default(),
            ahead_ms: i64::MIN,
            told_ms: i64::MIN,
        }
    }
}

impl Seen {
    /// The time to use for a price; `None` if it is out of order.
    pub fn time_of(&self, when: When) -> Option<i64> {
        match when {
            When::Now(ms) => Some(ms.max(self.newest_ms)),
            When::At(ms) => Some(ms).filter(|ms| *ms >= self.said_ms),
        }
    }

    /// Takes in a price that counts.
    pub fn price(&mut self, price: f64, when: When, time_ms: i64) {
        self.newest_ms = self.newest_ms.max(time_ms);
        match when {
            When::At(_) => {
                self.said_ms = time_ms;
                self.extremes.tick(time_ms, price);
            }
            // It is no earlier than any signal.
            When::Now(_) => self.extremes.tick(time_ms.max(self.ahead_ms), price),
        }
    }

    /// Takes in the time of a candle that counts.
    pub fn candle(&mut self, end_ms: i64) {
        self.candle_ms = end_ms;
        self.said_ms = self.said_ms.max(end_ms);
        self.newest_ms = self.newest_ms.max(self.said_ms);
    }
}

impl Default for Book {
    fn default() -> Self {
        Self {
            seen: Seen::default(),
            ahead: BTreeSet::new(),
            falls: BTreeSet::new(),
            rises: BTreeSet::new(),
            expiries: BTreeSet::new(),
            trails: [Direction::Buy, Direction::Sell].map(Trails::new),
            edge: NO_EDGE,
        }
    }
}

/// Positive floats have the same order as their bits.
fn bits(price: f64) -> u64 {
    price.to_bits()
}

impl Book {
    /// Adds a signal. [`Self::settle`] must follow any change of a book.
    pub fn add(&mut self, slot: Slot, filing: &Filing) {
        if filing.since_ms > self.seen.newest_ms {
            self.ahead.insert((filing.since_ms, slot));
        } else {
            self.let_in(slot, filing);
        }
    }

    pub fn let_in(&mut self, slot: Slot, filing: &Filing) {
        let Triggers { fall, rise, due_ms } = filing.triggers;
        fall.map(|price| self.falls.insert((bits(price), slot)));
        rise.map(|price| self.rises.insert((bits(price), slot)));
        due_ms.map(|at| self.expiries.insert((at, slot)));
        filing.trail.map(|trail| self.trails[filing.direction as usize].join(slot, trail));
    }

    /// Takes a signal out. If its stop trails, returns its best price.
    pub fn remove(&mut self, slot: Slot, filing: &Filing) -> Option<f64> {
        self.ahead.remove(&(filing.since_ms, slot));
        let Triggers { fall, rise, due_ms } = filing.triggers;
        fall.map(|price| self.falls.remove(&(bits(price), slot)));
        rise.map(|price| self.rises.remove(&(bits(price), slot)));
        due_ms.map(|at| self.expiries.remove(&(at, slot)));
        filing.trail.and_then(|_| self.trails[filing.direction as usize].leave(slot))
    }

    /// Finds the edge again.
    pub fn settle(&mut self) {
        let ahead = self.ahead.first().map_or(i64::MAX, |(at, _)| *at);
        self.edge = Edge {
            fall: self.falls.last().map_or(NO_EDGE.fall, |(price, _)| f64::from_bits(*price)),
            rise: self.rises.first().map_or(NO_EDGE.rise, |(price, _)| f64::from_bits(*price)),
            due_ms: self.expiries.first().map_or(ahead, |(at, _)| ahead.min(*at)),
        };
        let [buys, sells] = &self.trails;
        if buys.is_empty() && sells.is_empty() {
            return;
        }
        let Edge { fall, rise, due_ms } = &mut self.edge;
        let ((stop, next), (upper_stop, lower_next)) = (buys.edge(), sells.edge());
        *fall = [stop, lower_next].into_iter().flatten().fold(*fall, f64::max);
        *rise = [upper_stop, next].into_iter().flatten().fold(*rise, f64::min);
        if !buys.to_tell().is_empty() || !sells.to_tell().is_empty() {
            *due_ms = (*due_ms).min(self.seen.told_ms.saturating_add(TELL_MS));
        }
    }

    /// Whether a price certainly affects no signal.
    pub fn is_beside(&self, price: f64, when: When, time_ms: i64) -> bool {
        let Edge { fall, rise, due_ms } = self.edge;
        // For a current price, no signal lies in the future.
        let all_in = matches!(when, When::At(_)) || self.ahead.is_empty();
        all_in && price > fall && price < rise && time_ms < due_ms
    }

    /// Whether a candle certainly affects no signal.
    pub fn is_quiet(&self, cause: &Cause) -> bool {
        let (Edge { fall, rise, due_ms }, reach) = (self.edge, cause.reach());
        reach.low > fall && reach.high < rise && cause.time_ms() < due_ms
    }

    /// The signals to which a price or a candle may do something, oldest record first.
    pub fn candidates(&self, cause: &Cause) -> Vec<Slot> {
        let (reach, time_ms) = (cause.reach(), cause.time_ms());
        let falls = self.falls.range((bits(reach.low), 0)..).map(|(_, slot)| *slot);
        let rises = self.rises.range(..=(bits(reach.high), Slot::MAX)).map(|(_, slot)| *slot);
        let due = self.expiries.range(..=(time_ms, Slot::MAX)).map(|(_, slot)| *slot);
        let mut slots: Vec<Slot> = falls.chain(rises).chain(due).collect();
        let [buys, sells] = &self.trails;
        if !buys.is_empty() {
            buys.find(reach.low, reach.high, cause.begun_ms(), &mut slots);
        }
        if !sells.is_empty() {
            sells.find(reach.high, reach.low, cause.begun_ms(), &mut slots);
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Takes out a signal that is to be asked; returns the best price of one whose stop trails.
    pub fn leave_trails(&mut self, slot: Slot, filing: &Filing) -> Option<f64> {
        self.trails[filing.direction as usize].leave(slot)
    }

    /// Puts a signal whose place is the same but for its trailing stop back to the others that trail.
    pub fn join_trails(&mut self, slot: Slot, filing: &Filing) {
        filing.trail.map(|trail| self.trails[filing.direction as usize].join(slot, trail));
    }

    /// The best price of a signal whose stop trails.
    pub fn best_of(&self, slot: Slot, filing: &Filing) -> Option<f64> {
        self.trails[filing.direction as usize].best_of(slot)
    }

    /// A price or a candle counts for all trailing stops that are in the book.
    pub fn raise_trails(&mut self, cause: &Cause) {
        let (reach, [buys, sells]) = (cause.reach(), &mut self.trails);
        buys.raise(reach.high);
        sells.raise(reach.low);
    }

    /// The signals whose trailing stop is to be told of at a time, oldest record first.
    pub fn to_tell(&self, time_ms: i64) -> Vec<Slot> {
        if time_ms < self.seen.told_ms.saturating_add(TELL_MS) {
            return Vec::new();
        }
        let mut slots: Vec<Slot> = self.trails.iter().flat_map(Trails::to_tell).copied().collect();
        slots.sort_unstable();
        slots
    }
}
