//! Exposure: how much of the time signals were open.

use domain::time::DAY_MS;

/// The shortest period, ms, whose exposure is told: within less than a day it says only that a signal was given.
pub const EXPOSURE_MS: i64 = DAY_MS;

/// How much of a period signals were open.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// Start of the period: as requested, or when the first signal was given if none was given before; UTC epoch ms.
    pub from_ms: i64,
    /// End of the period: as requested, and at most now; UTC epoch ms.
    pub until_ms: i64,
    /// Time with at least one open signal, percent of the period.
    pub open_time_percent: f64,
    /// Mean number of signals open at a time.
    pub average_open: f64,
}

/// When signals were open.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OpenTime {
    /// Sum of the durations of closed signals, ms.
    closed_ms: f64,
    /// When a closed signal was open: separate spans, in order.
    spans: Vec<(i64, i64)>,
    /// The signals open at the end, and the sum of the times since when.
    open: u64,
    open_since_sum: f64,
    /// The earliest of those times.
    open_since: Option<i64>,
    /// When the period begins; `None` until [`OpenTime::begin`].
    from_ms: Option<i64>,
}

impl OpenTime {
    /// Adds a signal that closed no earlier than those added before.
    pub fn add(&mut self, given_ms: i64, closed_ms: i64) {
        let given_ms = given_ms.min(closed_ms);
        self.closed_ms += (closed_ms - given_ms) as f64;
        self.cover(given_ms, closed_ms);
    }

    /// Adds a span that ends no earlier than the others.
    fn cover(&mut self, mut from: i64, until: i64) {
        while let Some((start, _)) = self.spans.pop_if(|(_, end)| *end >= from) {
            from = from.min(start);
        }
        self.spans.push((from, until));
    }

    /// Continues with signals that closed later.
    pub fn then(&mut self, later: &Self) {
        self.closed_ms += later.closed_ms;
        later.spans.iter().for_each(|(from, until)| self.cover(*from, *until));
    }

    /// Adds a signal that is open at the end of the period, and counts in it from this time on.
    pub fn add_open(&mut self, since_ms: i64) {
        self.open += 1;
        self.open_since_sum += since_ms as f64;
        self.open_since = Some(self.open_since.map_or(since_ms, |earliest| earliest.min(since_ms)));
    }

    /// The earliest time that a signal was open; `None` without signals.
    pub fn start(&self) -> Option<i64> {
        let first = self.spans.first().map(|(from, _)| *from);
        first.into_iter().chain(self.open_since).min()
    }

    /// Says that the period begins with the first signal.
    pub fn begin(&mut self) {
        self.from_ms = self.start();
    }

    /// Says that the period begins at this time, and that closed signals were open for so long before it.
    pub fn begin_at(&mut self, from_ms: i64, before_ms: f64) {
        self.from_ms = Some(from_ms);
        self.closed_ms -= before_ms;
    }

    /// The exposure until this time; `None` below [`EXPOSURE_MS`], and without signals.
    pub fn exposure(&self, until_ms: i64) -> Option<Exposure> {
        let from_ms = self.from_ms?;
        let length = until_ms - from_ms;
        if length < EXPOSURE_MS {
            return None;
        }
        let open_since = self.open_since.unwrap_or(until_ms);
        let within =
            |(from, until): &(i64, i64)| ((*until).min(until_ms).min(open_since) - (*from).max(from_ms)).max(0);
        let covered = self.spans.iter().map(within).sum::<i64>() + (until_ms - open_since.max(from_ms)).max(0);
        let open_ms = (self.open as f64 * until_ms as f64 - self.open_since_sum).max(0.0);
        Some(Exposure {
            from_ms,
            until_ms,
            open_time_percent: 100.0 * covered as f64 / length as f64,
            average_open: (self.closed_ms + open_ms) / length as f64,
        })
    }
}
