//! Calendar months.

use chrono::{DateTime, Datelike, Utc};
use std::fmt;

/// A calendar month in UTC; shown as `2026-03`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i32,
    /// From 1.
    month: u32,
}

impl Month {
    /// The month that contains a time, UTC epoch ms. A time beyond what a calendar can show counts as the epoch.
    pub fn of(ms: i64) -> Self {
        let time = DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default();
        Self { year: time.year(), month: time.month() }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_and_ends_at_midnight_utc() {
        let shown = |ms| Month::of(ms).to_string();
        // 2025-09-01T00:00:00Z, and the millisecond before.
        assert_eq!([shown(1_756_684_799_999), shown(1_756_684_800_000)], ["2025-08", "2025-09"]);
        assert_eq!([shown(-1), shown(super::super::MAX_MILLIS)], ["1969-12", "9999-12"]);
        assert!(Month::of(1_735_689_600_000) > Month::of(1_735_689_599_999), "a new year comes after the old one");
    }
}
