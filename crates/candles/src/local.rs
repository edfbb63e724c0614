//! Times of a candle file that say no offset, in a zone that was named.

use super::findings::{Cause, Findings};
use super::kline::check_close;
use chrono::{DateTime, MappedLocalTime, TimeZone};
use domain::candle::Candle;
use domain::symbol::Timeframe;
use domain::time::Tz;
use domain::time::format_iso;
use std::collections::BTreeMap;

/// The rows whose times say no offset.
#[derive(Default)]
pub struct LocalRows {
    places: Vec<usize>,
    lines: Vec<usize>,
    /// Close times that do say theirs, by place among these.
    closes: Vec<(usize, i64)>,
}

impl LocalRows {
    /// A row that stands at `place` among all, on this line; and its close time, if that does say its offset.
    pub fn add(&mut self, place: usize, line: usize, close_ms: Option<i64>) {
        self.closes.extend(close_ms.map(|close_ms| (self.places.len(), close_ms)));
        self.places.push(place);
        self.lines.push(line);
    }

    /// Puts their times right by the zone that was named, or says that they were taken as UTC.
    ///
    /// # Errors
    /// The line of a time that cannot be told, or that its close time contradicts, and why in words.
    pub fn settle(
        self,
        zone: Option<Tz>,
        rows: &mut [Candle],
        timeframe: Timeframe,
        findings: &mut Findings,
    ) -> Result<(), (usize, String)> {
        let (count, first) = (self.places.len(), self.places.first().map_or(0, |place| rows[*place].open_ms));
        match zone {
            Some(zone) if zone == Tz::UTC => {}
            None => findings.add(Cause::TakenAsUtc, count, || format_iso(first)),
            Some(zone) => {
                to_utc(rows, &self.places, zone).map_err(|(place, problem)| (self.lines[place], problem))?;
                findings.add(Cause::LocalTime, count, || zone.name().to_owned());
            }
        }
        for (at, close_ms) in self.closes {
            check_close(rows[self.places[at]].open_ms, close_ms, timeframe)
                .map_err(|problem| (self.lines[at], problem))?;
        }
        Ok(())
    }
}

/// Replaces the open times at `places`, read as if they were UTC, by what clocks in `zone` showed as that time. Of an hour
/// that they showed twice the order of the rows tells which is which, if both are there.
///
/// # Errors
/// Which of the places has a time that cannot be told, and why in words. The rows are not to be used then.
fn to_utc(rows: &mut [Candle], places: &[usize], zone: Tz) -> Result<(), (usize, String)> {
    let newest_first = places.first().zip(places.last()).is_some_and(|(&a, &b)| rows[a].open_ms > rows[b].open_ms);
    let mut twice = BTreeMap::<i64, Vec<usize>>::new();
    for (at, &place) in places.iter().enumerate() {
        let shown_ms = rows[place].open_ms;
        match instants(shown_ms, zone) {
            MappedLocalTime::Single(ms) => rows[place].open_ms = ms,
            MappedLocalTime::Ambiguous(..) => twice.entry(shown_ms).or_default().push(at),
            MappedLocalTime::None => {
                return Err((at, format!("clocks in {zone} never showed {}; is the zone right?", shown(shown_ms))));
            }
        }
    }
    for (shown_ms, mut both) in twice {
        if newest_first {
            both.reverse();
        }
        let (&[earlier, later], MappedLocalTime::Ambiguous(first_ms, second_ms)) =
            (both.as_slice(), instants(shown_ms, zone))
        else {
            let (count, shown) = (both.len(), shown(shown_ms));
            let problem =
                format!("clocks in {zone} showed {shown} twice, and the file has it {count} times: which is meant?");
            return Err((both[0], problem));
        };
        if rows[places[earlier]] == rows[places[later]] {
            let problem =
                format!("clocks in {zone} showed {} twice, and the file has one candle of it", shown(shown_ms));
            return Err((later, format!("{problem}, written twice: which is meant?")));
        }
        rows[places[earlier]].open_ms = first_ms;
        rows[places[later]].open_ms = second_ms;
    }
    Ok(())
}

/// When clocks in `zone` showed what is the time `shown_ms` in UTC.
fn instants(shown_ms: i64, zone: Tz) -> MappedLocalTime<i64> {
    match DateTime::from_timestamp_millis(shown_ms) {
        Some(shown) => zone.from_local_datetime(&shown.naive_utc()).map(|time| time.timestamp_millis()),
        None => MappedLocalTime::None,
    }
}

/// A time without a zone, for messages.
fn shown(ms: i64) -> String {
    format_iso(ms).trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::parse_time;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    fn berlin() -> Tz {
        "Europe/Berlin".parse().unwrap()
    }

    fn ms(text: &str) -> i64 {
        parse_time(text, Tz::UTC).unwrap()
    }

    fn row(open_ms: i64, close: f64) -> Candle {
        Candle { open_ms, open: 1.0, high: 100_000.0, low: 0.5, close, volume: 1.0 }
    }

    /// Rows of these local times, each with another close.
    fn rows(times: &[&str]) -> Vec<Candle> {
        times.iter().enumerate().map(|(i, time)| row(ms(time), 1.0 + i as f64)).collect()
    }

    fn read(rows: &[Candle], zone: Tz) -> Result<Vec<String>, (usize, String)> {
        let (mut rows, places) = (rows.to_vec(), (0..rows.len()).collect::<Vec<_>>());
        to_utc(&mut rows, &places, zone)?;
        Ok(rows.iter().map(|row| format_iso(row.open_ms)[..13].to_owned()).collect())
    }

    /// Worked by hand: Berlin shows 02:00 to 03:00 twice on 2025-10-26, and never on 2025-03-30.
    #[test]
    fn clock_changes_by_hand() {
        let night = ["2025-10-26 01:00", "2025-10-26 02:00", "2025-10-26 02:00", "2025-10-26 03:00"];
        let utc = ["2025-10-25T23", "2025-10-26T00", "2025-10-26T01", "2025-10-26T02"];
        assert_eq!(read(&rows(&night), berlin()).unwrap(), utc);
        let mut newest_first = rows(&night);
        newest_first.reverse();
        let mut reversed = utc;
        reversed.reverse();
        assert_eq!(read(&newest_first, berlin()).unwrap(), reversed);
        let (place, problem) = read(&rows(&[night[0], night[1], night[3]]), berlin()).unwrap_err();
        assert!(
            place == 1 && problem.contains("showed 2025-10-26T02:00:00.000 twice, and the file has it 1 times"),
            "{problem}"
        );
        let mut same = rows(&night);
        same[2].close = same[1].close;
        assert!(read(&same, berlin()).unwrap_err().1.contains("written twice"));
        let spring = rows(&["2025-03-30 01:00", "2025-03-30 02:00", "2025-03-30 03:00"]);
        let (place, problem) = read(&spring, berlin()).unwrap_err();
        assert!(place == 1 && problem.contains("Europe/Berlin never showed 2025-03-30T02:00:00.000"), "{problem}");
        assert!(read(&spring, Tz::UTC).is_ok());
    }

    proptest! {
        #[test]
        fn what_a_wall_clock_showed_is_read_back(
            zone in 0..Tz::names().len(), day in 0i64..365, count in 2usize..100, newest_first: bool,
        ) {
            let zone: Tz = Tz::names()[zone].parse().unwrap();
            // From midday UTC, and to the whole of a day: no hour that is shown twice is cut in two in most zones.
            let begin = ms("2025-01-01T12:00:00Z") + 24 * day * HOUR;
            let mut truth: Vec<Candle> = (0..count as i64).map(|i| row(begin + i * HOUR, 1.0 + i as f64)).collect();
            if newest_first {
                truth.reverse();
            }
            let showed = |candle: &Candle| {
                let time = DateTime::from_timestamp_millis(candle.open_ms).unwrap().with_timezone(&zone);
                Candle { open_ms: time.naive_local().and_utc().timestamp_millis(), ..*candle }
            };
            let mut shown: Vec<Candle> = truth.iter().map(showed).collect();
            let places: Vec<usize> = (0..count).collect();
            match to_utc(&mut shown, &places, zone) {
                Ok(()) => prop_assert_eq!(shown, truth),
                // Of an hour shown twice only one is among the rows, at an end: refused, not guessed.
                Err((place, _)) => prop_assert!(place == 0 || place == count - 1 || shifts_by_less_than_an_hour(zone)),
            }
        }
    }

    /// Lord Howe and Antarctica's Troll move their clocks by half an hour or by two: hourly rows then have one of a time shown twice.
    fn shifts_by_less_than_an_hour(zone: Tz) -> bool {
        ["Australia/Lord_Howe", "Australia/LHI", "Antarctica/Troll"].contains(&zone.name())
    }
}
