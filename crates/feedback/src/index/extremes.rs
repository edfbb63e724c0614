//! How far the price of a symbol went since any time, and whether that is known without a break.

use domain::barrier::{Levels, counts_whole_until};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::signal::Excursion;
use std::sync::Arc;

/// Two prices with more time between them have a break between them: the highs and lows of that time are unknown. Time in which the
/// market is closed is left out of it.
const BREAK_MS: i64 = 10 * 60_000;

/// More points or holes than this are coarsened, or twice as many as were left the last time.
const MANY: usize = 4096;

/// The lowest and the highest of some prices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

/// The highest and the lowest price since any time.
///
/// A candle's high and low count for the times up to which [`Levels::on_candle`] may count the whole candle, and its close for all
/// times up to its end. Of a time in the middle of a long candle without other prices nothing is known: it lies in a hole.
#[derive(Debug, Clone)]
pub struct Extremes {
    highs: Extreme<true>,
    lows: Extreme<false>,
    /// Times, without their ends, since which not all prices are known; sorted, and apart from each other.
    holes: Vec<(i64, i64)>,
    /// From here on prices are known without a break.
    from_ms: i64,
    /// The newest price.
    until_ms: i64,
    /// The newest price that was forgotten: at a break, or because it was too old.
    forgotten_ms: i64,
    /// The number of points or holes that are coarsened next.
    many: usize,
    /// When the market trades. `None` if it never closes, or if no candles show its hours.
    hours: Option<Arc<Calendar>>,
}

impl Reach {
    /// One price.
    pub fn of(price: f64) -> Self {
        Self { low: price, high: price }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

impl Default for Extremes {
    fn default() -> Self {
        Self {
            highs: Extreme::default(),
            lows: Extreme::default(),
            holes: Vec::new(),
            from_ms: i64::MAX,
            until_ms: i64::MIN,
            forgotten_ms: i64::MIN,
            many: MANY,
            hours: None,
        }
    }
}

impl Extremes {
    /// From now on, time in which the market is closed is no break.
    pub fn trade_in(&mut self, hours: Arc<Calendar>) {
        self.hours = Some(hours).filter(|hours| hours.closes());
    }

    /// Takes in a price.
    pub fn tick(&mut self, time_ms: i64, price: f64) {
        if self.is_broken_before(time_ms) {
            self.begin(time_ms);
        }
        self.until_ms = self.until_ms.max(time_ms);
        self.highs.push(time_ms, price);
        self.lows.push(time_ms, price);
    }

    /// All prices after this time will come here, although none has come yet.
    pub fn listen(&mut self, since_ms: i64) {
        if self.is_broken_before(since_ms) {
            self.begin(since_ms);
        }
    }

    /// Takes in a closed candle of `candle_ms` milliseconds. It may be older than what was seen.
    pub fn candle(&mut self, candle: &Candle, candle_ms: i64) {
        self.cover(candle, candle_ms);
        self.reach(candle, candle_ms);
    }

    /// The first half of [`Self::candle`]: its times are known from now on, its prices not yet.
    pub fn cover(&mut self, candle: &Candle, candle_ms: i64) {
        let (open_ms, end_ms) = (candle.open_ms, candle.open_ms + candle_ms);
        let (whole_ms, near_ms) = (counts_whole_until(candle, candle_ms), end_ms - BREAK_MS);
        if self.is_broken_before(open_ms) {
            self.begin(open_ms);
            self.until_ms = end_ms;
            return self.add_hole(whole_ms, near_ms);
        }
        // Between its end and what is known, prices may have been forgotten.
        if end_ms < self.from_ms && !self.was_closed_since(end_ms) {
            if self.is_too_old(end_ms) {
                self.forgotten_ms = self.forgotten_ms.max(end_ms);
            }
            return;
        }
        // Since a time in its middle only those prices are known that came besides this candle.
        if self.until_ms < near_ms {
            self.add_hole(whole_ms, near_ms);
        } else if open_ms < self.from_ms {
            // Prices before the break were forgotten.
            let from_ms = self.from_ms.min(end_ms);
            let near_ms = near_ms.clamp(from_ms - BREAK_MS, from_ms);
            self.add_hole(whole_ms, near_ms.max(self.forgotten_ms.saturating_add(1).min(end_ms)));
        }
        self.from_ms = self.from_ms.min(open_ms);
        self.until_ms = self.until_ms.max(end_ms);
    }

    /// The second half of [`Self::candle`].
    pub fn reach(&mut self, candle: &Candle, candle_ms: i64) {
        let (whole_ms, end_ms) = (counts_whole_until(candle, candle_ms), candle.open_ms + candle_ms);
        if self.is_too_old(end_ms) {
            return;
        }
        self.highs.push(whole_ms, candle.high);
        self.lows.push(whole_ms, candle.low);
        self.highs.push(end_ms, candle.close);
        self.lows.push(end_ms, candle.close);
    }

    /// Whether a price of this time is forgotten: it is of no use, also where an older candle reaches back from what is known.
    fn is_too_old(&self, time_ms: i64) -> bool {
        time_ms < self.from_ms.saturating_sub(BREAK_MS)
    }

    fn is_broken_before(&self, time_ms: i64) -> bool {
        let is_break = |open_ms: i64| open_ms > BREAK_MS;
        is_break(time_ms.saturating_sub(self.until_ms))
            && self.hours.as_ref().is_none_or(|hours| {
                self.until_ms == i64::MIN || is_break(hours.open_ms_between(self.until_ms, time_ms))
            })
    }

    /// Whether the market was closed from a time until what is known begins, and no price of that time was forgotten.
    fn was_closed_since(&self, time_ms: i64) -> bool {
        let is_closed = |hours: &Arc<Calendar>| hours.open_ms_between(time_ms, self.from_ms) == 0;
        self.forgotten_ms <= time_ms && self.hours.as_ref().is_some_and(is_closed)
    }

    fn begin(&mut self, at_ms: i64) {
        self.highs.0.clear();
        self.lows.0.clear();
        self.holes.clear();
        self.forgotten_ms = self.forgotten_ms.max(self.until_ms);
        (self.from_ms, self.until_ms) = (at_ms, at_ms);
    }

    fn add_hole(&mut self, mut from_ms: i64, mut until_ms: i64) {
        if from_ms >= until_ms {
            return;
        }
        let first = self.holes.partition_point(|hole| hole.1 < from_ms);
        let behind = self.holes.partition_point(|hole| hole.0 <= until_ms);
        if let (Some(one), Some(other)) = (self.holes[first..behind].first(), self.holes[first..behind].last()) {
            (from_ms, until_ms) = (from_ms.min(one.0), until_ms.max(other.1));
        }
        self.holes.splice(first..behind, [(from_ms, until_ms)]);
    }

    /// Whether all prices since a time are known.
    pub fn covers(&self, since_ms: i64) -> bool {
        let before = self.holes.partition_point(|hole| hole.0 < since_ms);
        let in_hole = before > 0 && since_ms < self.holes[before - 1].1;
        self.from_ms <= since_ms && !in_hole
    }

    /// How far the price went since a time; `None` without a price since then.
    pub fn since(&self, since_ms: i64) -> Option<Reach> {
        Some(Reach { low: self.lows.since(since_ms)?, high: self.highs.since(since_ms)? })
    }

    /// The excursion of a signal that was entered at `since_ms` and ends at `until_ms`. `other` are prices of its life besides those
    /// between: of its entry, of its exit. `None` if not all prices of its life are known.
    pub fn excursion(&self, levels: &Levels, since_ms: i64, until_ms: i64, other: Reach) -> Option<Excursion> {
        if !self.covers(since_ms) {
            return None;
        }
        let Reach { low, high } = match (self.since(since_ms), self.since(until_ms.saturating_add(1))) {
            (None, _) => other,
            (Some(since), None) => since.and(other),
            (Some(since), Some(later)) => {
                let both = since.and(other);
                // What came later may hide how far the price went before.
                let is_known = |before: f64, later: f64, other: f64| later != before || other == before;
                let known = is_known(both.low, later.low, other.low) && is_known(both.high, later.high, other.high);
                Some(both).filter(|_| known)?
            }
        };
        Some(Excursion::of(levels, low, high))
    }

    /// Whether prices are known up to a time.
    pub fn reaches(&self, until_ms: i64) -> bool {
        !self.is_broken_before(until_ms)
    }

    /// Whether it is time to call [`Self::coarsen`].
    pub fn is_long(&self) -> bool {
        self.count() >= self.many
    }

    /// Forgets what nobody asks for: `starts` are the times, sorted, since which open signals run. For these, all answers stay the
    /// same. For others the price went at least as far as before, or nothing is known any more.
    pub fn coarsen(&mut self, starts: &[i64]) {
        let is_asked = |after_ms: i64, until_ms: i64| {
            let count = |time_ms: i64| starts.partition_point(|start| *start <= time_ms);
            count(after_ms) < count(until_ms)
        };
        self.highs.coarsen(is_asked);
        self.lows.coarsen(is_asked);
        self.holes.dedup_by(|next, hole| {
            let joins = !is_asked(hole.1 - 1, next.0);
            if joins {
                hole.1 = next.1;
            }
            joins
        });
        self.many = MANY.max(2 * self.count());
    }

    /// The number of points and spans in memory.
    pub fn count(&self) -> usize {
        self.highs.0.len().max(self.lows.0.len()).max(self.holes.len())
    }
}

/// The highest price since any time, or the lowest: a time and the price that no later one reached, oldest first. The answer for a
/// time is the first point not before it.
#[derive(Debug, Clone, Default)]
struct Extreme<const HIGHEST: bool>(Vec<(i64, f64)>);

impl<const HIGHEST: bool> Extreme<HIGHEST> {
    fn is_beyond(price: f64, other: f64) -> bool {
        if HIGHEST { price > other } else { price < other }
    }

    fn push(&mut self, time_ms: i64, price: f64) {
        while let Some(last) = self.0.last() {
            if last.0 > time_ms {
                return self.insert(time_ms, price);
            }
            if Self::is_beyond(last.1, price) {
                break;
            }
            self.0.pop();
        }
        self.0.push((time_ms, price));
    }

    /// A price that is older than the newest one.
    fn insert(&mut self, time_ms: i64, price: f64) {
        let later = self.0.partition_point(|point| point.0 <= time_ms);
        if self.0.get(later).is_some_and(|next| !Self::is_beyond(price, next.1)) {
            return;
        }
        let hidden = self.0[..later].partition_point(|point| Self::is_beyond(point.1, price));
        self.0.splice(hidden..later, [(time_ms, price)]);
    }

    fn since(&self, since_ms: i64) -> Option<f64> {
        let first = self.0.partition_point(|point| point.0 < since_ms);
        self.0.get(first).map(|point| point.1)
    }

    fn coarsen(&mut self, is_asked: impl Fn(i64, i64) -> bool) {
        self.0.dedup_by(|next, point| {
            let joins = !is_asked(point.0, next.0);
            if joins {
                point.0 = next.0;
            }
            joins
        });
    }
}
