//! The open slots of a week or a day, counted so that any span is looked up at once.

use super::{HOLIDAYS, slots_between};
use crate::time::{DAY_MS, HOUR_MS};

/// Opening hours that come again every week, or every day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hours {
    step_ms: i64,
    /// How many slots before each one are open; one more at the end, all that are.
    open_before: Vec<u16>,
    /// So many open slots, of the days that have most, are missing only where something is wrong.
    too_many: i64,
    /// Times of day at which the market opens, on any day; in milliseconds, in order.
    openings_ms: Vec<i64>,
}

impl Hours {
    /// Of a period's slots of `step_ms` each, whether they are open.
    pub fn new(open: &[bool], step_ms: i64, period_ms: i64) -> Self {
        let mut open_before = vec![0];
        for (slot, &is_open) in open.iter().enumerate() {
            open_before.push(open_before[slot] + u16::from(is_open));
        }
        let a_day = open.len() / (period_ms / DAY_MS) as usize;
        let opens = |slot: &usize| open[*slot] && !open[slot.checked_sub(1).unwrap_or(open.len() - 1)];
        let mut openings_ms: Vec<i64> =
            (0..open.len()).filter(opens).map(|slot| slot as i64 * step_ms % DAY_MS).collect();
        openings_ms.sort_unstable();
        openings_ms.dedup();
        let of_day = |day: &[bool]| day.iter().filter(|is_open| **is_open).count() as i64;
        let most_a_day = open.chunks(a_day).map(of_day).max().unwrap_or(0);
        // Hours of the day know of no weekend.
        let days = if period_ms == DAY_MS { HOLIDAYS + 2 } else { HOLIDAYS };
        Self { step_ms, open_before, too_many: days * most_a_day, openings_ms }
    }

    fn slots(&self) -> i64 {
        self.open_before.len() as i64 - 1
    }

    /// Open slots of the whole period.
    fn total(&self) -> i64 {
        i64::from(self.open_before[self.open_before.len() - 1])
    }

    /// Slots in a row that are closed, at most; the end of the period is followed by its beginning.
    pub fn longest_closure(&self) -> i64 {
        let slots = self.open_before.len() - 1;
        let (mut longest, mut run) = (0, 0);
        for slot in (0..slots).chain(0..slots) {
            let is_open = self.open_before[slot + 1] > self.open_before[slot];
            run = if is_open { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        longest.min(slots as i64)
    }

    /// How many slots since the epoch and before number `slot` are open.
    fn open_until(&self, slot: i64) -> i64 {
        let within = self.open_before[slot.rem_euclid(self.slots()) as usize];
        slot.div_euclid(self.slots()) * self.total() + i64::from(within)
    }

    /// Candles of open slots that begin at `from_ms` and every step later, before `until_ms`.
    pub fn open_between(&self, from_ms: i64, until_ms: i64) -> i64 {
        let first = from_ms.div_euclid(self.step_ms);
        self.open_until(first + slots_between(from_ms, until_ms, self.step_ms)) - self.open_until(first)
    }

    /// When the `bars`th candle that begins in an open slot, at `from_ms` or a number of steps later, closes.
    pub fn close_after(&self, from_ms: i64, bars: i64) -> i64 {
        let first = from_ms.div_euclid(self.step_ms);
        let last = self.open_until(first) + bars - 1;
        let within = last.rem_euclid(self.total()) + 1;
        let slot = self.open_before.partition_point(|&before| i64::from(before) < within) as i64;
        from_ms + (last.div_euclid(self.total()) * self.slots() + slot - first) * self.step_ms
    }

    /// Whether what is missing may be a holiday: less than so many days of trading, and the market opens at its end.
    pub fn is_holiday(&self, from_ms: i64, until_ms: i64) -> bool {
        self.opens_at(until_ms) && self.open_between(from_ms, until_ms) < self.too_many
    }

    /// Whether the market opens at about this time of day, on some day.
    fn opens_at(&self, time_ms: i64) -> bool {
        let time_of_day = (time_ms - time_ms.rem_euclid(self.step_ms)).rem_euclid(DAY_MS);
        let near = |opening: &i64| {
            let apart = (time_of_day - opening).abs();
            apart.min(DAY_MS - apart) <= self.step_ms.max(HOUR_MS)
        };
        self.openings_ms.iter().any(near)
    }
}
