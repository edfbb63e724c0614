//! Times without an offset in a candle file, converted from a given zone.

use super::findings::{Cause, Findings};
use super::kline::check_close;
use chrono::{DateTime, MappedLocalTime, TimeZone};
use domain::candle::Candle;
use domain::symbol::Timeframe;
use domain::time::Tz;
use domain::time::format_iso;
use std::collections::BTreeMap;

/// The rows whose times have no offset.
#[derive(Default)]
pub struct LocalRows {
    places: Vec<usize>,
    lines: Vec<usize>,
    /// Close times that do have an offset, by index into the rows here.
    closes: Vec<(usize, i64)>,
}

impl LocalRows {
    /// Adds the row at index `place`, on this line, with its close time if that has an offset.
    pub fn add(&mut self, place: usize, line: usize, close_ms: Option<i64>) {
        self.closes.extend(close_ms.map(|close_ms| (self.places.len(), close_ms)));
        self.places.push(place);
        self.lines.push(line);
    }

    /// Converts the times from the given zone, or reports that they were read as UTC.
    ///
    /// # Errors
    /// The line of a time that is ambiguous or contradicts its close time, and a description.
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

/// Converts the open times at `places`, which were read as if they were UTC, from local time in `zone`. If clocks showed an hour
/// twice and both are present, the order of rows tells them apart.
///
/// # Errors
/// The place of an ambiguous or impossible time, and a description. The rows must not be used then.
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

/// The instants at which clocks in `zone` show `shown_ms`, which is given as if it were UTC.
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

    /// Rows at these local times, each with a different close.
    fn rows(times: &[&str]) -> Vec<Candle> {
        times.iter().enumerate().map(|(i, time)| row(ms(time), 1.0 + i as f64)).collect()
    }

    fn read(rows: &[Candle], zone: Tz) -> Result<Vec<String>, (usize, String)> {
        let (mut rows, places) = (rows.to_vec(), (0..rows.len()).collect::<Vec<_>>());
        to_utc(&mut rows, &places, zone)?;
        Ok(rows.iter().map(|row| format_iso(row.open_ms)[..13].to_owned()).collect())
    }

    /// Worked by hand: clocks in Berlin show 02:00 to 03:00 twice on 2025-10-26, and never on 2025-03-30.
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
            // Starts at midday UTC and covers whole days, so in most zones no repeated hour is cut in two.
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
                // Only one of the repeated hours is among the rows, at an end: rejected, not guessed.
                Err((place, _)) => prop_assert!(place == 0 || place == count - 1 || shifts_by_less_than_an_hour(zone)),
            }
        }
    }

    /// Lord Howe Island and Troll (Antarctica) shift clocks by half an hour and by two; hourly rows then contain only one of the
    /// repeated times.
    fn shifts_by_less_than_an_hour(zone: Tz) -> bool {
        ["Australia/Lord_Howe", "Australia/LHI", "Antarctica/Troll"].contains(&zone.name())
    }
}
