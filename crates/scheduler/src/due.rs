//! Due times: intervals, a time of day, cron patterns.
//!
//! A time of day is a time of the local day. If clocks skip it, the task is due at the moment they change; if it occurs twice, at
//! the first. So a daily task is due exactly once per local day.

use chrono::{DateTime, Duration as Span, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use domain::time::Tz;
use std::fmt;
use std::time::Duration;

/// When a task is due.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// This long after its last run began.
    Every(Duration),
    /// At a local time, every `days` days.
    Daily {
        /// The time of day.
        at: NaiveTime,
        /// 1 is every day.
        days: u32,
    },
    /// At the local times that a cron pattern matches.
    Cron(Box<Cron>),
}

impl Schedule {
    /// Parses a cron pattern of five fields: minute, hour, day of month, month, day of week. `None` for any other text, and for a
    /// pattern that no day matches.
    pub fn cron(pattern: &str) -> Option<Self> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(pattern).ok()?;
        let any_day = NaiveDate::from_ymd_opt(2024, 1, 1)?.and_time(NaiveTime::MIN);
        cron.find_next_occurrence(&any_day, true).ok()?;
        Some(Self::Cron(Box::new(cron)))
    }

    /// The first due time after `after_ms`, the last due time, UTC epoch ms. `None` past the end of the calendar.
    pub fn next_after(&self, after_ms: i64, zone: Tz) -> Option<i64> {
        let local = |ms| Some(DateTime::from_timestamp_millis(ms)?.with_timezone(&zone).naive_local());
        match self {
            Self::Every(interval) => after_ms.checked_add(interval.as_millis() as i64),
            Self::Daily { at, days } => {
                let last = local(after_ms)?.date();
                let mut date = last - Span::days(1);
                loop {
                    let due = instant(date.and_time(*at), zone)?;
                    let distance = (date - last).num_days();
                    if due > after_ms && (*days == 1 || distance >= i64::from(*days)) {
                        return Some(due);
                    }
                    date = date.succ_opt()?;
                }
            }
            Self::Cron(cron) => {
                let mut at = local(after_ms)?;
                loop {
                    at = cron.find_next_occurrence(&at, false).ok()?;
                    let due = instant(at, zone)?;
                    if due > after_ms {
                        return Some(due);
                    }
                }
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => {
                let seconds = interval.as_secs_f64();
                match seconds {
                    s if s >= 3600.0 => write!(f, "every {} h", s / 3600.0),
                    s => write!(f, "every {s} s"),
                }
            }
            Self::Daily { at, days: 1 } => write!(f, "daily at {}", at.format("%H:%M")),
            Self::Daily { at, days } => write!(f, "every {days} days at {}", at.format("%H:%M")),
            Self::Cron(cron) => write!(f, "cron {}", cron.as_str()),
        }
    }
}

/// The instant at which a local clock first shows `local` or skips it.
fn instant(local: NaiveDateTime, zone: Tz) -> Option<i64> {
    // Clocks change at whole minutes, and never by more than a day.
    let shown = (0..=24 * 60).find_map(|minutes| {
        let later = local + Span::minutes(minutes);
        let later = if minutes > 0 { later.with_second(0)? } else { later };
        zone.from_local_datetime(&later).earliest()
    });
    shown.map(|time| time.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::{format_iso, parse_time};
    use std::collections::HashMap;

    fn ms(iso: &str) -> i64 {
        parse_time(iso, Tz::UTC).unwrap()
    }

    fn daily(hour: u32, minute: u32) -> Schedule {
        Schedule::Daily { at: NaiveTime::from_hms_opt(hour, minute, 0).unwrap(), days: 1 }
    }

    fn due_times(schedule: &Schedule, zone: Tz, from: &str, count: usize) -> Vec<String> {
        let mut at = ms(from);
        let mut next = || {
            at = schedule.next_after(at, zone).unwrap();
            format_iso(at)[..16].to_owned()
        };
        (0..count).map(|_| next()).collect()
    }

    /// Worked by hand. Berlin skips 02:00–03:00 on 2025-03-30 and repeats it on 2025-10-26.
    #[test]
    fn clock_changes_by_hand() {
        let berlin = "Europe/Berlin".parse().unwrap();
        let spring = ["2025-03-29T01:00", "2025-03-30T01:00", "2025-03-31T00:00"];
        assert_eq!(due_times(&daily(2, 0), berlin, "2025-03-28T12:00:00Z", 3), spring);
        assert_eq!(due_times(&daily(2, 30), berlin, "2025-03-29T12:00:00Z", 1), ["2025-03-30T01:00"]);
        let autumn = ["2025-10-25T00:00", "2025-10-26T00:00", "2025-10-27T01:00"];
        assert_eq!(due_times(&daily(2, 0), berlin, "2025-10-24T12:00:00Z", 3), autumn);
        // Between both 02:30 of that night, the next one is tomorrow's.
        assert_eq!(due_times(&daily(2, 30), berlin, "2025-10-26T00:45:00Z", 1), ["2025-10-27T01:30"]);
        // Lord Howe Island shifts clocks by half an hour: 02:00 to 02:30 is skipped.
        assert_eq!(
            due_times(&daily(2, 0), "Australia/Lord_Howe".parse().unwrap(), "2025-10-05T00:00:00Z", 1),
            ["2025-10-05T15:00"]
        );
        let skipped = due_times(&daily(2, 0), "Australia/Lord_Howe".parse().unwrap(), "2025-10-04T00:00:00Z", 1);
        assert_eq!(skipped, ["2025-10-04T15:30"]);
    }

    #[test]
    fn patterns_and_days() {
        let pattern = |text: &str| Schedule::cron(text).unwrap();
        let weekdays = pattern("30 9 * * MON-FRI");
        assert_eq!(due_times(&weekdays, Tz::UTC, "2025-10-31T09:30:00Z", 2), ["2025-11-03T09:30", "2025-11-04T09:30"]);
        assert_eq!(
            due_times(&pattern("0 0 29 2 *"), Tz::UTC, "2025-01-01T00:00:00Z", 2),
            ["2028-02-29T00:00", "2032-02-29T00:00"]
        );
        // During the repeated hour the pattern pauses, so no time occurs twice.
        let quarter = due_times(&pattern("*/30 * * * *"), "Europe/Berlin".parse().unwrap(), "2025-10-25T23:45:00Z", 4);
        assert_eq!(quarter, ["2025-10-26T00:00", "2025-10-26T00:30", "2025-10-26T02:00", "2025-10-26T02:30"]);
        let third = Schedule::Daily { at: NaiveTime::MIN, days: 3 };
        assert_eq!(due_times(&third, Tz::UTC, "2025-10-31T00:00:00Z", 2), ["2025-11-03T00:00", "2025-11-06T00:00"]);
        assert_eq!(
            due_times(&Schedule::Every(Duration::from_secs(90)), Tz::UTC, "2025-10-31T00:00:00Z", 1),
            ["2025-10-31T00:01"]
        );
        for wrong in ["", "* * * *", "0 0 2 * * *", "61 * * * *", "0 0 30 2 *", "every day", "0 25 * * *"] {
            assert_eq!(Schedule::cron(wrong), None, "{wrong}");
        }
    }

    /// In all zones, for two years: 02:00 (and 00:00, which some zones skip) is due once per local day, in order, and exactly
    /// then unless clocks skipped it; the same as a pattern.
    #[test]
    fn once_a_local_day_in_every_zone() {
        let (from, until) = (ms("2025-01-01T12:00:00Z"), ms("2027-01-01T12:00:00Z"));
        let mut skipped = 0;
        let zones = Tz::names();
        for zone in &zones {
            let zone: Tz = zone.parse().unwrap();
            for (hour, pattern) in [(0, "0 0 * * *"), (2, "0 2 * * *")] {
                let (schedule, cron) = (daily(hour, 0), Schedule::cron(pattern).unwrap());
                let mut runs = HashMap::<NaiveDate, u32>::new();
                let mut at = from;
                loop {
                    let next = schedule.next_after(at, zone).unwrap();
                    assert!(next > at, "{zone}");
                    assert_eq!(cron.next_after(at, zone), Some(next), "{zone} after {}", format_iso(at));
                    if next > until {
                        break;
                    }
                    at = next;
                    let local = DateTime::from_timestamp_millis(at).unwrap().with_timezone(&zone).naive_local();
                    *runs.entry(local.date()).or_default() += 1;
                    if local.time() != NaiveTime::from_hms_opt(hour, 0, 0).unwrap() {
                        let wanted = local.date().and_hms_opt(hour, 0, 0).unwrap();
                        assert!(zone.from_local_datetime(&wanted).earliest().is_none(), "{zone} {local}");
                        skipped += 1;
                    }
                }
                let local = |ms| DateTime::from_timestamp_millis(ms).unwrap().with_timezone(&zone).naive_local().date();
                let mut date = local(from).succ_opt().unwrap();
                while date < local(until) {
                    assert_eq!(runs.get(&date), Some(&1), "{zone} {date} {hour}:00");
                    date = date.succ_opt().unwrap();
                }
            }
        }
        assert!(zones.len() >= 400 && skipped > 200, "{skipped} times were skipped by the clocks");
    }
}
