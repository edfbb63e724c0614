//! Counts and reports prices that were ignored because a price with a later time had been seen for their symbol.
//!
//! Single late prices are normal when several feeds are read. Many in a row mean that a source's clock was set back, or that past
//! prices are passed after current ones. Then stops are missed, so the user must be told.

use domain::symbol::Symbol;
use std::time::Duration;

/// The shortest time between two reports for a symbol: feeds that are slightly apart cause late prices all the time.
const SELDOM: Duration = Duration::from_secs(60);

/// Prices of a symbol were ignored, or count again.
#[derive(Debug, Clone, PartialEq)]
pub struct IgnoredPrices {
    /// The pair.
    pub symbol: Symbol,
    /// The report.
    pub news: News,
}

/// A report of ignored prices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct News {
    /// Prices ignored in a row so far.
    pub count: u64,
    /// The time of the last ignored price, UTC epoch ms.
    pub time_ms: i64,
    /// The latest time seen before, UTC epoch ms: prices count from then on.
    pub newest_ms: i64,
    /// Whether prices count again.
    pub over: bool,
}

/// Counts ignored prices of a symbol.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    count: u64,
    /// Those since the last price that counted; `None` if that was the last price.
    going_on: Option<News>,
    /// Whether they were reported.
    told: bool,
    /// When ignored prices were last reported, by the clock that cannot be set.
    told_at: Option<Duration>,
}

impl Tally {
    pub const NOTHING: Self = Self { count: 0, going_on: None, told: false, told_at: None };

    /// How many were ignored in all.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether the last price was ignored.
    pub fn is_going_on(&self) -> bool {
        self.going_on.is_some()
    }

    /// Counts an ignored price; returns a report if one is due.
    pub fn ignore(&mut self, now: Duration, time_ms: i64, newest_ms: i64) -> Option<News> {
        self.count += 1;
        let count = self.going_on.map_or(0, |before| before.count) + 1;
        let news = News { count, time_ms, newest_ms, over: false };
        self.going_on = Some(news);
        let soon = self.told_at.is_some_and(|at| now.saturating_sub(at) < SELDOM);
        if self.told || soon {
            return None;
        }
        (self.told, self.told_at) = (true, Some(now));
        Some(news)
    }

    /// Notes a price that counts; returns a report if earlier ones were reported as ignored.
    pub fn is_over(&mut self) -> Option<News> {
        let ended = self.going_on.take()?;
        std::mem::take(&mut self.told).then_some(News { over: true, ..ended })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_700_000_000_000;

    #[test]
    fn ignored_prices_are_told_when_they_begin_and_when_they_end_and_seldom() {
        let (mut tally, at) = (Tally::NOTHING, Duration::from_secs);
        assert_eq!(tally.is_over(), None);
        let first = News { count: 1, time_ms: T0, newest_ms: T0 + 9, over: false };
        assert_eq!(tally.ignore(at(1000), T0, T0 + 9), Some(first));
        assert_eq!(tally.ignore(at(1001), T0 + 1, T0 + 9), None);
        assert_eq!(tally.ignore(at(5000), T0 + 2, T0 + 9), None, "once, however long it lasts");
        assert!(tally.is_going_on());
        assert_eq!(tally.is_over(), Some(News { count: 3, time_ms: T0 + 2, newest_ms: T0 + 9, over: true }));
        assert_eq!(tally.is_over(), None);
        // Two feeds that are slightly apart: one report a minute.
        let mut tally = Tally::NOTHING;
        let told: usize = (0..3000)
            .map(|n| usize::from(tally.ignore(at(n / 10), T0, T0).is_some()) + usize::from(tally.is_over().is_some()))
            .sum();
        assert_eq!((told, tally.count()), (10, 3000), "beginnings and ends in five minutes");
    }
}
