//! Candle files: `data/btcusdt_1h.csv` in the home.
//!
//! ```text
//! timestamp,open,high,low,close,volume
//! 2025-09-13 12:00:00,115974.11,116060.0,115872.82,116002.91,204.03439
//! ```
//! The open time is UTC, written without a zone; rows ascend. Other forms of the time that [`time::parse_time`] knows are
//! read too. A file is replaced whole, so a reader never meets half of one.

use super::Candle;
use crate::error::{Error, Result};
use crate::files;
use crate::symbol::Market;
use crate::time;
use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use chrono_tz::Tz;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const HEADER: &str = "timestamp,open,high,low,close,volume";
const DAY_MS: i64 = 86_400_000;

/// Where the candles of `market` are kept in `data_folder`.
pub fn candle_file(data_folder: &Path, market: &Market) -> PathBuf {
    data_folder.join(format!("{}.csv", market.file_stem()))
}

/// Reads a candle file. A file of nothing but the header is an empty series.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::BadCandle`] with file and line at a wrong header and at a row that does
/// not parse, cannot be true, or is not later than the row before.
pub fn read_csv(path: &Path) -> Result<Vec<Candle>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    parse(&text)
        .map_err(|(line, problem)| Error::BadCandle { place: format!("{} line {line}", path.display()), problem })
}

/// Replaces the file at `path` by `candles`, prices in the shortest form that reads back as the same number.
///
/// # Errors
/// [`Error::Io`]; the old file is then still whole.
pub fn write_csv(path: &Path, candles: &[Candle]) -> Result<()> {
    let mut text = String::with_capacity(80 * (candles.len() + 1));
    text.push_str(HEADER);
    text.push('\n');
    for c in candles {
        write_time(&mut text, c.open_ms);
        // Writing to a String cannot fail.
        let _ = writeln!(text, ",{:?},{:?},{:?},{:?},{:?}", c.open, c.high, c.low, c.close, c.volume);
    }
    files::write_atomically(path, text.as_bytes())
}

/// The union of two series by open time, oldest first. Where both have a candle, the newer download (`new`) wins.
pub fn merge(old: &[Candle], new: &[Candle]) -> Vec<Candle> {
    let mut all = [old, new].concat();
    // Stable: of two candles of one time, the newer download stays behind the older.
    all.sort_by_key(|candle| candle.open_ms);
    all.dedup_by(|later, kept| {
        let same = later.open_ms == kept.open_ms;
        if same {
            *kept = *later;
        }
        same
    });
    all
}

/// The candles, or the number of the first bad line (from 1) and what is wrong with it.
fn parse(text: &str) -> std::result::Result<Vec<Candle>, (usize, String)> {
    let mut lines = text.lines();
    match lines.next() {
        Some(HEADER) => {}
        other => return Err((1, format!("the header must be `{HEADER}`; got {:?}", other.unwrap_or("an empty file")))),
    }
    let mut candles: Vec<Candle> = Vec::with_capacity(text.len() / 50);
    for (index, line) in lines.enumerate() {
        let row = parse_row(line, index).and_then(|candle| match candles.last() {
            Some(before) if candle.open_ms <= before.open_ms => {
                Err(format!("the time must be later than the row before; got {line:?}"))
            }
            _ => Ok(candle),
        });
        candles.push(row.map_err(|problem| (index + 2, problem))?);
    }
    Ok(candles)
}

fn parse_row(line: &str, index: usize) -> std::result::Result<Candle, String> {
    let candle = plain_row(line.as_bytes()).map_or_else(|| any_row(line), Ok)?;
    candle.check(index).map_err(|error| match error {
        Error::InvalidCandle { field, problem, value, .. } => format!("`{field}` {problem}; got {value}"),
        other => other.to_string(),
    })
}

/// A row in any form that is understood, or what is wrong with it.
fn any_row(line: &str) -> std::result::Result<Candle, String> {
    let mut fields = line.split(',');
    let mut field = |name: &str| fields.next().ok_or_else(|| format!("`{name}` is missing; got {line:?}"));
    let stamp = field("timestamp")?;
    let open_ms = time::parse_time(stamp, Tz::UTC)
        .ok_or_else(|| format!("`timestamp` must be a time such as 2025-09-13 12:00:00; got {stamp:?}"))?;
    let mut number = |name: &str| {
        let text = field(name)?;
        text.trim().parse::<f64>().map_err(|_| format!("`{name}` must be a number; got {text:?}"))
    };
    let (open, high, low) = (number("open")?, number("high")?, number("low")?);
    let (close, volume) = (number("close")?, number("volume")?);
    match fields.next() {
        None => Ok(Candle { open_ms, open, high, low, close, volume }),
        Some(_) => Err(format!("a row has 6 fields; got {line:?}")),
    }
}

/// A row in the form nearly all have, read in one pass: a file has 100 000 of them. `None` for any other.
fn plain_row(line: &[u8]) -> Option<Candle> {
    let (stamp, mut rest) = line.split_at_checked(19)?;
    let open_ms = plain_time(stamp)?;
    let mut numbers = [0.0; 5];
    for number in &mut numbers {
        (*number, rest) = plain_decimal(rest.strip_prefix(b",")?)?;
    }
    let [open, high, low, close, volume] = numbers;
    rest.is_empty().then_some(Candle { open_ms, open, high, low, close, volume })
}

/// `2025-09-13 12:00:00`, and nothing else.
fn plain_time(text: &[u8]) -> Option<i64> {
    let &[_, _, _, _, b'-', _, _, b'-', _, _, b' ', _, _, b':', _, _, b':', _, _] = text else { return None };
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0u32, |sum, c| c.is_ascii_digit().then(|| sum * 10 + u32::from(c - b'0')))
    };
    let date = NaiveDate::from_ymd_opt(number(0, 4)? as i32, number(5, 7)?, number(8, 10)?)?;
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let ms = i64::from(date.to_epoch_days()) * DAY_MS + i64::from((hour * 60 + minute) * 60 + second) * 1000;
    (time::MIN_MILLIS..=time::MAX_MILLIS).contains(&ms).then_some(ms)
}

/// Digits, a point, digits, to the next comma or the end; and what follows. Exact: both the digits as a whole number and
/// the power of ten fit an `f64`, and a quotient of two such is the nearest `f64` to the decimal.
fn plain_decimal(text: &[u8]) -> Option<(f64, &[u8])> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (mut digits, mut point, mut end) = (0u64, None, 0usize);
    for &byte in text {
        match byte {
            b'0'..=b'9' => digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
            b'.' if point.is_none() => point = Some(end),
            b',' => break,
            _ => return None,
        }
        end += 1;
    }
    let decimals = end.checked_sub(point? + 1)?;
    // 15 digits stay below 2^53; the point makes 16.
    (end <= POWERS.len() && decimals > 0 && point? > 0).then(|| (digits as f64 / POWERS[decimals], &text[end..]))
}

fn write_time(text: &mut String, ms: i64) {
    let Some(time) = DateTime::<Utc>::from_timestamp_millis(ms) else { return };
    let (date, clock) = (time.date_naive(), time.time());
    let _ = write!(text, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
    let _ = write!(text, " {:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second());
    if ms % 1000 != 0 {
        let _ = write!(text, ".{:03}", ms.rem_euclid(1000));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROW: &str = "2025-09-13 12:00:00,115974.11,116060.0,115872.82,116002.91,204.03439";

    fn file(rows: &[&str]) -> String {
        format!("{HEADER}\n{}\n", rows.join("\n"))
    }

    fn at(open_ms: i64, close: f64) -> Candle {
        Candle { open_ms, open: 1.0, high: 9.0, low: 0.5, close, volume: 0.0 }
    }

    #[test]
    fn reads_and_writes_the_old_systems_bytes() {
        let text = file(&[ROW, "2025-09-13 13:00:00,116002.91,116100.5,115900.0,116000.0,0.0"]);
        let candles = parse(&text).unwrap();
        assert_eq!(time::format_iso(candles[0].open_ms), "2025-09-13T12:00:00.000Z");
        assert_eq!((candles[0].close, candles[1].volume), (116002.91, 0.0));
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("btcusdt_1h.csv");
        write_csv(&path, &candles).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn other_forms_of_time_and_line_ends() {
        let text = file(&[&ROW.replace("12:00:00", "12:00:00+00:00"), "2025-09-13T13:00:00Z,1,1,1,1,1"]);
        let candles = parse(&text.replace('\n', "\r\n")).unwrap();
        assert_eq!(candles[1].open_ms - candles[0].open_ms, 3_600_000);
        assert!(parse(&format!("{HEADER}\n")).unwrap().is_empty());
    }

    #[test]
    fn a_bad_file_is_named_with_its_line() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("btcusdt_1h.csv");
        let cases = [
            ("", 1, "header"),
            ("timestamp,open,close,high,low,volume\n", 1, "header"),
            (&file(&[ROW, ROW]), 3, "later than"),
            (&file(&[ROW, "2025-09-13 11:00:00,1,1,1,1,1"]), 3, "later than"),
            (&file(&["2025-02-30 11:00:00,1,1,1,1,1"]), 2, "timestamp"),
            (&file(&["1757764800000,1,1,1,1,1"]), 2, "timestamp"),
            (&file(&["2025-09-13 25:00:00,1,1,1,1,1"]), 2, "timestamp"),
            (&file(&["2025-09-13 11:00:00,1,1,x,1,1"]), 2, "`low` must be a number; got \"x\""),
            (&file(&["2025-09-13 11:00:00,1,1,2,1,1"]), 2, "`low` must not be above"),
            (&file(&["2025-09-13 11:00:00,1,nan,1,1,1"]), 2, "`high` must be a finite"),
            (&file(&["2025-09-13 11:00:00,1,1,1,1"]), 2, "`volume` is missing"),
            (&file(&["2025-09-13 11:00:00,1,1,1,1,1,1"]), 2, "6 fields"),
            (&file(&["", ROW]), 2, "timestamp"),
        ];
        for (text, line, problem) in cases {
            std::fs::write(&path, text).unwrap();
            let error = read_csv(&path).unwrap_err();
            let message = error.to_string();
            assert_eq!(error.code(), "ERR_INVALID_CANDLE");
            assert!(message.contains(&format!("btcusdt_1h.csv line {line}: ")), "{message}");
            assert!(message.contains(problem), "{message}");
        }
        assert_eq!(read_csv(&home.path().join("none.csv")).unwrap_err().code(), "ERR_IO");
    }

    #[test]
    fn the_newer_download_wins() {
        let merged = merge(&[at(1, 2.0), at(2, 2.0), at(4, 2.0)], &[at(2, 3.0), at(3, 3.0), at(5, 3.0)]);
        let seen: Vec<_> = merged.iter().map(|c| (c.open_ms, c.close)).collect();
        assert_eq!(seen, [(1, 2.0), (2, 3.0), (3, 3.0), (4, 2.0), (5, 3.0)]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            rows in prop::collection::btree_map(time::MIN_MILLIS..=time::MAX_MILLIS, (1e-12..1e12f64, 0.0..1.0f64, 0.0..1e15f64), 0..40),
        ) {
            let candles: Vec<_> = rows
                .into_iter()
                .map(|(open_ms, (low, spread, volume))| {
                    let high = low * (1.0 + spread);
                    Candle { open_ms, open: low, high, low, close: high.min(low * 1.5), volume }
                })
                .collect();
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("x.csv");
            write_csv(&path, &candles).unwrap();
            prop_assert_eq!(read_csv(&path).unwrap(), candles);
        }

        #[test]
        fn the_fast_and_the_general_number_agree(text in "[0-9]{1,9}\\.[0-9]{1,9}") {
            match plain_decimal(text.as_bytes()) {
                Some((number, rest)) => prop_assert_eq!((number, rest), (text.parse().unwrap(), &b""[..])),
                None => prop_assert!(text.len() > 16),
            }
        }

        #[test]
        fn the_fast_and_the_general_time_agree(seconds in time::MIN_MILLIS / 1000..=time::MAX_MILLIS / 1000) {
            let mut text = String::new();
            write_time(&mut text, seconds * 1000);
            prop_assert_eq!(plain_time(text.as_bytes()), Some(seconds * 1000));
            prop_assert_eq!(time::parse_time(&text, Tz::UTC), Some(seconds * 1000));
        }
    }
}
