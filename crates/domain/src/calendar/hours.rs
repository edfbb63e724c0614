//! Opening hours as counts of open slots, so that a span is looked up without a loop.

use super::{HOLIDAYS, slots_between};
use crate::time::{DAY_MS, HOUR_MS};

/// Opening hours that repeat every week or every day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hours {
    step_ms: i64,
    /// For each slot, how many slots before it are open; the last entry is the total.
    open_before: Vec<u16>,
    /// The number of missing open slots from which on a hole is no holiday: some days' worth of the longest trading day.
    too_many: i64,
    /// Times of day at which the market opens, ascending, in milliseconds.
    openings_ms: Vec<i64>,
}

impl Hours {
    /// From the slots of one period, `step_ms` long each: whether each is open.
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
        // Daily hours do not know weekends, so those count as holidays.
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

    /// The longest run of closed slots; the period wraps around.
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

    /// How many slots from the epoch to slot number `slot`, exclusive, are open.
    fn open_until(&self, slot: i64) -> i64 {
        let within = self.open_before[slot.rem_euclid(self.slots()) as usize];
        slot.div_euclid(self.slots()) * self.total() + i64::from(within)
    }

    /// How many candles in open slots begin at `from_ms` or later, before `until_ms`.
    pub fn open_between(&self, from_ms: i64, until_ms: i64) -> i64 {
        let first = from_ms.div_euclid(self.step_ms);
        self.open_until(first + slots_between(from_ms, until_ms, self.step_ms)) - self.open_until(first)
    }

    /// How long the market is open from the epoch to a time, in milliseconds.
    pub fn open_ms_until(&self, time_ms: i64) -> i64 {
        let slot = time_ms.div_euclid(self.step_ms);
        let before = self.open_until(slot);
        let of_slot = (self.open_until(slot + 1) - before) * time_ms.rem_euclid(self.step_ms);
        before * self.step_ms + of_slot
    }

    /// Closing time of the `bars`th candle in an open slot, counted from `from_ms`.
    pub fn close_after(&self, from_ms: i64, bars: i64) -> i64 {
        let first = from_ms.div_euclid(self.step_ms);
        let last = self.open_until(first) + bars - 1;
        let within = last.rem_euclid(self.total()) + 1;
        let slot = self.open_before.partition_point(|&before| i64::from(before) < within) as i64;
        from_ms + (last.div_euclid(self.total()) * self.slots() + slot - first) * self.step_ms
    }

    /// Whether a hole may be a holiday: it lacks few days of trading and ends at an opening time.
    pub fn is_holiday(&self, from_ms: i64, until_ms: i64) -> bool {
        self.opens_at(until_ms) && self.open_between(from_ms, until_ms) < self.too_many
    }

    /// Whether the market opens near this time of day, on any day.
    fn opens_at(&self, time_ms: i64) -> bool {
        let time_of_day = (time_ms - time_ms.rem_euclid(self.step_ms)).rem_euclid(DAY_MS);
        let near = |opening: &i64| {
            let apart = (time_of_day - opening).abs();
            apart.min(DAY_MS - apart) <= self.step_ms.max(HOUR_MS)
        };
        self.openings_ms.iter().any(near)
    }
}
