//! When a market trades, learned from its candles, and therefore which holes in a series are gaps.
//!
//! A market that closes has no candles at night, on weekends and on holidays, week after week. The week is split into slots of
//! one candle each (UTC). A slot is **closed** if most of the weeks around had no candle in it, and **open** otherwise. The rule:
//!
//! - *Which weeks count:* the [`WEEKS`] weeks with candles before the week in question; for the start of a series, its first
//!   [`WEEKS`] weeks. Apart from that start, a candle's calendar is known when the candle closes and never changes.
//! - *Which markets close:* those whose longest closed run is at least a seventh of the week (one day), if three quarters of the
//!   candles of their open slots exist. Every other market, such as a coin, counts as always open. (A coin that lacks the same day
//!   in most of eight weeks cannot be told from a market that closes.)
//! - *A regular hole* has no open slot in it. A hole is also regular if it ends near an opening time (within an hour, for
//!   daylight saving) and lacks less than [`HOLIDAYS`] days of trading: a holiday, a half day, a clock change.
//! - *A gap* is a hole that is not regular and lacks more than [`MAX_GAP_BARS`] candles in open slots.
//! - *With less than two weeks of candles*, the slots of a day are used instead of those of a week: a slot is closed if no day
//!   had a candle in it, and a weekend counts as two holidays.

mod hours;

use crate::candle::Candle;
use crate::time::DAY_MS;
use hours::Hours;
use std::ops::Range;
use std::sync::Arc;

/// The most missing candles in a row that do not end a series: features, labels and closings continue across them.
pub const MAX_GAP_BARS: i64 = 6;
/// Weeks that opening hours are learned from.
pub const WEEKS: usize = 8;
/// Missing this many days of trading means missing data. Christmas in London takes two and a half days.
pub const HOLIDAYS: i64 = 3;
/// With fewer weeks (or days, where days are used) no pattern is learned.
const LEAST_WEEKS: usize = 2;
const LEAST_DAYS: usize = 3;
const WEEK_MS: i64 = 7 * DAY_MS;

/// When a market trades. See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    step_ms: i64,
    /// Opening hours and the week from which they hold, in order; `None` is always open. The first entry also covers all earlier
    /// weeks.
    hours: Vec<(i64, Option<Arc<Hours>>)>,
}

impl Calendar {
    /// The calendar of a market that never closes; candles are `step_ms` long.
    pub fn always(step_ms: i64) -> Self {
        Self { step_ms: step_ms.max(1), hours: Vec::new() }
    }

    /// Learns the calendar of a market from its `candles`: checked, oldest first, `step_ms` long.
    pub fn learn(candles: &[Candle], step_ms: i64) -> Self {
        let always = Self::always(step_ms);
        let Some((first, last)) = candles.first().zip(candles.last()) else { return always };
        if step_ms <= 0 || DAY_MS % step_ms != 0 {
            return always;
        }
        let is_short = last.open_ms - first.open_ms < LEAST_WEEKS as i64 * WEEK_MS;
        let period_ms = if is_short { DAY_MS } else { WEEK_MS };
        // Markets without such holes never close; most coins have fewer than two in all their years, so skip the closer look.
        let least_ms = closure_ms(period_ms);
        let closures = candles.windows(2).filter(|pair| pair[1].open_ms - pair[0].open_ms >= least_ms + step_ms);
        if closures.take(2).count() < 2 {
            return always;
        }
        let mut turns = Turns::new(candles, step_ms, period_ms);
        if is_short {
            turns.move_to(0..turns.all.len());
            return Self { hours: vec![(i64::MIN, turns.open().hours(step_ms, period_ms))], ..always };
        }
        let (mut hours, mut known) = (Vec::new(), None);
        for end in WEEKS.min(turns.all.len())..=turns.all.len() {
            turns.move_to(end.saturating_sub(WEEKS)..end);
            let open = turns.open();
            if known.as_ref() != Some(&open) {
                let from_week = if hours.is_empty() { i64::MIN } else { turns.all[end - 1].number + 1 };
                hours.push((from_week, open.hours(step_ms, period_ms)));
                known = Some(open);
            }
        }
        Self { hours, ..always }
    }

    /// The length of a candle in milliseconds.
    pub fn step_ms(&self) -> i64 {
        self.step_ms
    }

    /// Whether this calendar says the same as another one of all times up to `time_ms`.
    pub fn agrees_until(&self, other: &Self, time_ms: i64) -> bool {
        let week = time_ms.div_euclid(WEEK_MS);
        let until = |calendar: &Self| calendar.hours.partition_point(|(from_week, _)| *from_week <= week);
        self.step_ms == other.step_ms && self.hours[..until(self)] == other.hours[..until(other)]
    }

    /// Whether the market ever closes, as far as known.
    pub fn closes(&self) -> bool {
        self.hours.iter().any(|(_, hours)| hours.is_some())
    }

    /// Whether two consecutive candles, which open at `last_ms` and `next_ms`, have a gap between them.
    #[inline]
    pub fn is_gap(&self, last_ms: i64, next_ms: i64) -> bool {
        next_ms - last_ms > (MAX_GAP_BARS + 1) * self.step_ms && !self.bridges(last_ms + self.step_ms, next_ms)
    }

    fn bridges(&self, from_ms: i64, until_ms: i64) -> bool {
        let Some(hours) = self.hours_at(from_ms) else { return false };
        hours.open_between(from_ms, until_ms) <= MAX_GAP_BARS || hours.is_holiday(from_ms, until_ms)
    }

    /// Whether a hole is a night, a weekend or a holiday. It begins at the open time of the first missing candle and ends at that
    /// of the next existing one.
    pub fn is_regular(&self, from_ms: i64, until_ms: i64) -> bool {
        self.hours_at(from_ms).is_some_and(|hours| hours.is_holiday(from_ms, until_ms))
            || self.open_between(from_ms, until_ms) == 0
    }

    /// How many candles in open slots begin at `from_ms` or later, before `until_ms`.
    pub fn open_between(&self, from_ms: i64, until_ms: i64) -> i64 {
        match self.hours_at(from_ms) {
            Some(hours) => hours.open_between(from_ms, until_ms),
            None => slots_between(from_ms, until_ms, self.step_ms),
        }
    }

    /// How long the market is open between two times, in milliseconds. Only closed slots count as closed, so a holiday is open.
    pub fn open_ms_between(&self, from_ms: i64, until_ms: i64) -> i64 {
        let open_ms = match self.hours_at(from_ms) {
            Some(hours) => hours.open_ms_until(until_ms) - hours.open_ms_until(from_ms),
            None => until_ms - from_ms,
        };
        open_ms.max(0)
    }

    /// Whether the candle after the one that opened at `last_ms` should have closed by `time_ms`.
    pub fn is_behind(&self, last_ms: i64, time_ms: i64) -> bool {
        let from_ms = last_ms + self.step_ms;
        self.open_between(from_ms, time_ms - self.step_ms + 1) > 0
    }

    /// Closing time of the `bars`th candle in an open slot after `close_ms`, which is a candle's closing time.
    pub fn close_after(&self, close_ms: i64, bars: usize) -> i64 {
        match self.hours_at(close_ms) {
            Some(hours) => hours.close_after(close_ms, bars as i64),
            None => close_ms + bars as i64 * self.step_ms,
        }
    }

    fn hours_at(&self, time_ms: i64) -> Option<&Hours> {
        let week = time_ms.div_euclid(WEEK_MS);
        let after = self.hours.partition_point(|(from_week, _)| *from_week <= week);
        self.hours.get(after.checked_sub(1)?)?.1.as_deref()
    }
}

/// How many candles of `step_ms` begin at `from_ms` or later, before `until_ms`.
fn slots_between(from_ms: i64, until_ms: i64, step_ms: i64) -> i64 {
    ((until_ms - from_ms).max(0) + step_ms - 1) / step_ms
}

/// The shortest closure, without interruption in each week or day, that makes a market one that closes.
fn closure_ms(period_ms: i64) -> i64 {
    period_ms / 7
}

/// A week or a day that has candles.
struct Turn {
    number: i64,
    /// Index of its first candle.
    from: usize,
}

/// The weeks or days of a series, and for the counted ones how many have a candle in each slot.
struct Turns<'a> {
    candles: &'a [Candle],
    step_ms: i64,
    period_ms: i64,
    all: Vec<Turn>,
    counted: Range<usize>,
    counts: Vec<usize>,
}

impl<'a> Turns<'a> {
    fn new(candles: &'a [Candle], step_ms: i64, period_ms: i64) -> Self {
        let (mut all, mut from) = (Vec::new(), 0);
        while let Some(first) = candles.get(from) {
            let number = first.open_ms.div_euclid(period_ms);
            let until = from + candles[from..].partition_point(|candle| candle.open_ms < (number + 1) * period_ms);
            all.push(Turn { number, from });
            from = until;
        }
        Self { candles, step_ms, period_ms, all, counted: 0..0, counts: vec![0; (period_ms / step_ms) as usize] }
    }

    /// The slots of the candles of one week or day.
    fn slots(&self, turn: usize) -> impl Iterator<Item = usize> {
        let Turn { number, from } = self.all[turn];
        let until = self.all.get(turn + 1).map_or(self.candles.len(), |next| next.from);
        // Milliseconds within a week fit into 32 bits, whose division is faster.
        let (begin_ms, step_ms) = (number * self.period_ms, self.step_ms as u32);
        self.candles[from..until].iter().map(move |candle| ((candle.open_ms - begin_ms) as u32 / step_ms) as usize)
    }

    /// Moves the counted range to `wanted`, which must not begin or end before the current one.
    fn move_to(&mut self, wanted: Range<usize>) {
        let mut counts = std::mem::take(&mut self.counts);
        (self.counted.end..wanted.end).flat_map(|turn| self.slots(turn)).for_each(|slot| counts[slot] += 1);
        (self.counted.start..wanted.start).flat_map(|turn| self.slots(turn)).for_each(|slot| counts[slot] -= 1);
        (self.counts, self.counted) = (counts, wanted);
    }

    /// The slots that are open, by the counted weeks or days. The first one counts from its first candle on and the last one up
    /// to its last candle, since either may be partial.
    fn open(&self) -> Open {
        let (all, slots) = (self.all.len(), self.counts.len());
        let begin = if self.counted.start > 0 { 0 } else { self.slots(0).next().unwrap_or(0) };
        let end = if self.counted.end < all { slots } else { self.slots(all - 1).last().unwrap_or(slots) };
        let is_closed = |count: usize, seen: usize| match self.period_ms {
            WEEK_MS => seen >= LEAST_WEEKS && 2 * count < seen,
            _ => seen >= LEAST_DAYS && count == 0,
        };
        let (mut slots, mut held, mut expected) = (Vec::with_capacity(self.counts.len()), 0, 0);
        for (slot, &count) in self.counts.iter().enumerate() {
            let seen = self.counted.len().saturating_sub(usize::from(slot < begin) + usize::from(slot > end));
            let is_open = !is_closed(count, seen);
            slots.push(is_open);
            if is_open {
                (held, expected) = (held + count, expected + seen);
            }
        }
        Open { slots, is_full: held > 0 && 4 * held >= 3 * expected }
    }
}

/// Which slots of a week or day are open.
#[derive(PartialEq)]
struct Open {
    slots: Vec<bool>,
    /// Nearly all candles of the open slots exist.
    is_full: bool,
}

impl Open {
    /// The opening hours, if the market closes.
    fn hours(&self, step_ms: i64, period_ms: i64) -> Option<Arc<Hours>> {
        let hours = Hours::new(&self.slots, step_ms, period_ms);
        let closes = self.is_full && hours.longest_closure() * step_ms >= closure_ms(period_ms);
        closes.then(|| Arc::new(hours))
    }
}
