//! Times: UTC epoch milliseconds internally, ISO 8601 with `Z` externally.

mod elapsed;
mod month;
mod zone;

pub use elapsed::elapsed;
pub use month::Month;
pub use zone::Tz;

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, SecondsFormat, TimeZone, Timelike, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// An hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// A day, in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// The smallest number accepted as milliseconds (1973-03-03). A smaller one is most likely in seconds.
pub const MIN_MILLIS: i64 = 100_000_000_000;
/// The largest time accepted, the end of the year 9999.
pub const MAX_MILLIS: i64 = 253_402_300_799_999;
/// How far a past event's time may lie ahead of this machine's clock, since clocks differ.
pub const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// What a time may be, phrased for an error.
pub const EXPECTED: &str = "must be a Date, an ISO 8601 string such as 2024-03-04T09:30Z, or epoch milliseconds";

/// The system clock's time.
pub fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}

/// The latest time that it may be now: what the system clock shows, or would show had it never been set back while this process
/// ran.
fn latest_ms() -> i64 {
    /// The largest lead of the system clock over the clock that cannot be set.
    static LEAD: AtomicI64 = AtomicI64::new(i64::MIN);
    latest_of(&LEAD, now_ms(), elapsed())
}

fn latest_of(lead: &AtomicI64, now_ms: i64, elapsed: Duration) -> i64 {
    let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
    let own = now_ms.saturating_sub(elapsed_ms);
    lead.fetch_max(own, Ordering::Relaxed).max(own).saturating_add(elapsed_ms)
}

/// An earlier stored time, corrected if impossible. A clock that is ahead by less than a day is tolerated; a time a day or more
/// in the future came from a wrong clock and counts as now.
pub fn believed(at_ms: i64, now_ms: i64) -> i64 {
    if at_ms > now_ms + DAY_MS { now_ms } else { at_ms }
}

/// The current time: of the system, or set manually for demonstrations and tests. Clones share it.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's time.
    #[default]
    System,
    /// A time that stays until it is set again, UTC epoch milliseconds.
    Standing(Arc<AtomicI64>),
}

impl Clock {
    /// A standing clock that shows `now_ms`.
    pub fn standing(now_ms: i64) -> Self {
        Self::Standing(Arc::new(AtomicI64::new(now_ms)))
    }

    /// The time it shows.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => now_ms(),
            Self::Standing(at) => at.load(Ordering::Relaxed),
        }
    }

    /// The latest time that it may be now, for judging whether a time lies in the future. If the clock was set back while this
    /// process ran, times that it has shown before are not in the future.
    pub fn latest_ms(&self) -> i64 {
        match self {
            Self::System => latest_ms(),
            Self::Standing(_) => self.now_ms(),
        }
    }

    /// Sets a standing clock; does nothing to the system clock.
    pub fn set(&self, now_ms: i64) {
        if let Self::Standing(at) = self {
            at.store(now_ms, Ordering::Relaxed);
        }
    }
}

/// `2025-09-13T12:00:00.000Z`.
pub fn format_iso(ms: i64) -> String {
    match DateTime::<Utc>::from_timestamp_millis(ms) {
        Some(time) if (0..=9999).contains(&time.year()) => iso_of(time),
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{ms} ms"),
    }
}

/// Writes digit by digit, a few times faster than a format string; every line of the log has such times.
fn iso_of(time: DateTime<Utc>) -> String {
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |end: usize, mut number: u32| {
        let mut at = end;
        while number > 0 {
            at -= 1;
            text[at] = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(4, time.year().unsigned_abs());
    put(7, time.month());
    put(10, time.day());
    put(13, time.hour());
    put(16, time.minute());
    put(19, time.second());
    put(23, time.timestamp_subsec_millis());
    String::from_utf8_lossy(&text).into_owned()
}

/// Parses ISO 8601 and SQL-like forms. With `Z` or an offset the time is absolute, otherwise it is read in `zone`. A local time
/// that a clock change skipped or repeated is read as the earlier of both instants. `None` if it is not a time, or outside
/// [`MIN_MILLIS`]`..=`[`MAX_MILLIS`].
pub fn parse_time(text: &str, zone: Tz) -> Option<i64> {
    if let Some(ms) = parse_own(text.as_bytes()) {
        return Some(ms).filter(|ms| (MIN_MILLIS..=MAX_MILLIS).contains(ms));
    }
    let text = text.trim();
    let ms = parse_absolute(text).or_else(|| parse_naive(text, zone))?;
    (MIN_MILLIS..=MAX_MILLIS).contains(&ms).then_some(ms)
}

/// Parses the form that [`format_iso`] writes, the most common one, a few times faster.
fn parse_own(text: &[u8]) -> Option<i64> {
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if text.len() != 24 || fixed.iter().any(|(at, byte)| text[*at] != *byte) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        text[range].iter().try_fold(0u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
    };
    let date = chrono::NaiveDate::from_ymd_opt(number(0..4)? as i32, number(5..7)?, number(8..10)?)?;
    let time = date.and_hms_milli_opt(number(11..13)?, number(14..16)?, number(17..19)?, number(20..23)?)?;
    Some(time.and_utc().timestamp_millis())
}

/// A date and a time of day, with a `T` or a space between them, with seconds or without.
const FORMS: [&str; 4] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];

/// One of [`FORMS`] with `Z` or an offset: `+02:00`, `+0200`, `+02`.
fn parse_absolute(text: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(text).ok();
    let time =
        time.or_else(|| FORMS.iter().find_map(|form| DateTime::parse_from_str(text, &format!("{form}%#z")).ok()))?;
    Some(time.timestamp_millis())
}

fn parse_naive(text: &str, zone: Tz) -> Option<i64> {
    let naive = FORMS
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    match zone.from_local_datetime(&naive) {
        MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => Some(time.timestamp_millis()),
        MappedLocalTime::None => {
            // Skipped by the clock change in spring: what a clock not yet changed would show.
            let before = zone.from_local_datetime(&(naive - chrono::Duration::hours(3))).earliest()?;
            Some((before + chrono::Duration::hours(3)).timestamp_millis())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Tz {
        "Europe/Berlin".parse().unwrap()
    }

    #[test]
    fn zones_and_offsets() {
        let utc = parse_time("2025-09-13T12:00:00Z", Tz::UTC).unwrap();
        assert_eq!(format_iso(utc), "2025-09-13T12:00:00.000Z");
        for ms in [MIN_MILLIS, utc + 7, 1_709_164_799_999, MAX_MILLIS] {
            assert_eq!(parse_time(&format_iso(ms), berlin()), Some(ms));
        }
        for text in ["2025-09-13 12:00:00", "2025-09-13T12:00", "2025-09-13 12:00", "2025-09-13T12:00:00.000000"] {
            assert_eq!(parse_time(text, Tz::UTC), Some(utc), "{text}");
        }
        for text in [
            "2025-09-13T15:00:00+03:00",
            "2025-09-13 15:00:00+03:00",
            "2025-09-13T15:00:00+0300",
            "2025-09-13 15:00+03",
            "2025-09-13T12:00Z",
            "2025-09-13 12:00Z",
            "2025-09-13 12:00:00 Z",
            "2025-09-13t12:00:00z",
            "2025-09-13T12:00+00:00",
            "2025-09-13T12:00+0000",
            "2025-09-13T12:00-0000",
            "2025-09-13T08:30-03:30",
            "2025-09-13 12:00:00.000000 +0000",
        ] {
            // These times carry their zone.
            assert_eq!(parse_time(text, berlin()), Some(utc), "{text}");
        }
        for (digits, ms) in [("1", 100), ("12", 120), ("123", 123), ("1239", 123), ("123456", 123), ("123456789", 123)]
        {
            for zone in ["", "Z", "+00:00", "+0000"] {
                assert_eq!(
                    parse_time(&format!("2025-09-13T12:00:00.{digits}{zone}"), Tz::UTC),
                    Some(utc + ms),
                    "{digits}"
                );
            }
        }
        assert_eq!(parse_time("2025-09-13 14:00:00.000000", berlin()), Some(utc));
    }

    proptest::proptest! {
        #[test]
        fn times_are_written_as_the_standard_has_them(ms in -99_999_999_999_999..999_999_999_999_999i64) {
            let time = DateTime::<Utc>::from_timestamp_millis(ms).unwrap();
            assert_eq!(format_iso(ms), time.to_rfc3339_opts(SecondsFormat::Millis, true));
        }
    }

    #[test]
    fn clock_changes() {
        // Berlin, 2025-10-26: 02:30 happened twice; 2025-03-30: 02:30 never happened.
        assert_eq!(format_iso(parse_time("2025-10-26 02:30:00", berlin()).unwrap()), "2025-10-26T00:30:00.000Z");
        assert_eq!(format_iso(parse_time("2025-03-30 02:30:00", berlin()).unwrap()), "2025-03-30T01:30:00.000Z");
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_future_that_was_not() {
        let (lead, after) = (AtomicI64::new(i64::MIN), Duration::from_secs);
        assert_eq!(latest_of(&lead, 1_700_000_000_000, after(50)), 1_700_000_000_000);
        // The clock goes back five minutes, is right again, and then is a minute ahead.
        assert_eq!(latest_of(&lead, 1_699_999_710_000, after(60)), 1_700_000_010_000);
        assert_eq!(latest_of(&lead, 1_700_000_020_000, after(70)), 1_700_000_020_000);
        assert_eq!(latest_of(&lead, 1_700_000_090_000, after(80)), 1_700_000_090_000);
    }

    #[test]
    fn nonsense_is_not_a_time() {
        for text in [
            "",
            "yesterday",
            "Invalid Date",
            "1970-01-01T00:00:00Z",
            "2025-13-01",
            "2025-09-13Z",
            "2025-09-13T25:00Z",
            "2025-09-13T12:00+25:00",
            "2025-09-13T12:00 Mars",
            // The basic form, a week, a day of the year, an hour alone.
            "20250913T120000Z",
            "20250913",
            "2025-W37-6",
            "2025-256",
            "2025-09-13T12Z",
        ] {
            assert_eq!(parse_time(text, Tz::UTC), None, "{text}");
        }
    }
}
