//! Quiet hours: a part of the local day in which only urgent events are sent.

use chrono::{DateTime, NaiveTime, Utc};
use domain::time::Tz;

/// A part of the local day. It may go over midnight. The local clock decides, also on days that it is put forward or back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuietHours {
    from: NaiveTime,
    until: NaiveTime,
    zone: Tz,
}

impl QuietHours {
    /// Reads `22:00-07:00`; `None` if it is anything else, or empty.
    pub fn parse(text: &str, zone: Tz) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
        let (from, until) = (time(from)?, time(until)?);
        (from != until).then_some(Self { from, until, zone })
    }

    /// The same hours in another zone.
    pub fn in_zone(self, zone: Tz) -> Self {
        Self { zone, ..self }
    }

    /// Whether it is quiet at a time, UTC epoch ms.
    pub fn is_quiet(&self, at_ms: i64) -> bool {
        let Some(at) = DateTime::<Utc>::from_timestamp_millis(at_ms) else { return false };
        let now = at.with_timezone(&self.zone).time();
        if self.from < self.until { self.from <= now && now < self.until } else { self.from <= now || now < self.until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn over_midnight_and_over_both_changes_of_the_clock() {
        let berlin: Tz = "Europe/Berlin".parse().unwrap();
        let quiet = QuietHours::parse("22:00-07:00", berlin).unwrap();
        for (time, expected) in [
            ("2026-01-10T20:59:59Z", false), // 21:59
            ("2026-01-10T21:00:00Z", true),  // 22:00
            ("2026-01-10T23:30:00Z", true),
            ("2026-01-11T05:59:59Z", true),  // 06:59
            ("2026-01-11T06:00:00Z", false), // 07:00
            // On 29 March the clock goes from 02:00 to 03:00: the night is an hour shorter.
            ("2026-03-29T04:59:59Z", true),
            ("2026-03-29T05:00:00Z", false),
            // On 25 October it goes back from 03:00 to 02:00: an hour longer.
            ("2026-10-25T05:59:59Z", true),
            ("2026-10-25T06:00:00Z", false),
        ] {
            assert_eq!(quiet.is_quiet(at(time)), expected, "{time}");
        }
        let skipped = QuietHours::parse("02:15-02:45", berlin).unwrap();
        let minutes = |from: &str| (0..24 * 60).filter(|m| skipped.is_quiet(at(from) + m * 60_000)).count();
        // The half hour is skipped, occurs once, or twice.
        assert_eq!(
            [minutes("2026-03-29T00:00:00Z"), minutes("2026-05-01T00:00:00Z"), minutes("2026-10-25T00:00:00Z")],
            [0, 30, 60]
        );
        let noon = QuietHours::parse("12:00 - 13:00", Tz::UTC).unwrap();
        assert_eq!([at("2026-01-01T12:00:00Z"), at("2026-01-01T13:00:00Z")].map(|at| noon.is_quiet(at)), [true, false]);
    }

    #[test]
    fn what_is_no_part_of_a_day() {
        for text in ["", "22:00", "22:00-22:00", "24:00-07:00", "22-7", "07:00-x"] {
            assert_eq!(QuietHours::parse(text, Tz::UTC), None, "{text}");
        }
    }
}
