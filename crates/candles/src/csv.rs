//! Candle files: `data/btcusdt_1h.csv` in the home.
//!
//! ```text
//! timestamp,open,high,low,close,volume
//! 2025-09-13 12:00:00,115974.11,116060.0,115872.82,116002.91,204.03439
//! ```
//! The open time is UTC, written without a zone; rows ascend. [`super::reader`] reads this and other forms. Writing replaces the
//! whole file, so readers never see half of one.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use domain::candle::Candle;
use domain::error::Result;
use domain::symbol::Market;
use domain::time::{self, DAY_MS};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use storage as files;

/// The first line of a candle file.
pub const HEADER: &str = "timestamp,open,high,low,close,volume";

/// The candle file of `market` in `data_folder`.
pub fn candle_file(data_folder: &Path, market: &Market) -> PathBuf {
    data_folder.join(format!("{}.csv", market.file_stem()))
}

/// Replaces the file at `path`. Prices are written in the shortest form that parses to the same number.
///
/// # Errors
/// [`Error::Io`]; then the old file is unchanged.
pub fn write_csv(path: &Path, candles: &[Candle]) -> Result<()> {
    files::write_atomically(path, format!("{HEADER}\n{}", rows(candles)).as_bytes())
}

/// `candles` as lines of a file, without the header.
pub fn rows(candles: &[Candle]) -> String {
    let mut text = String::with_capacity(80 * candles.len());
    for c in candles {
        write_time(&mut text, c.open_ms);
        // Writing to a String cannot fail.
        let _ = writeln!(text, ",{:?},{:?},{:?},{:?},{:?}", c.open, c.high, c.low, c.close, c.volume);
    }
    text
}

/// The union of two series by open time, oldest first. Where both have a candle, the newer download (`new`) wins.
pub fn merge(old: &[Candle], new: &[Candle]) -> Vec<Candle> {
    let mut all = [old, new].concat();
    // The sort is stable: of two candles of the same time, the newer download stays second.
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

/// Parses the usual form of a row in one pass, since files have 100 000 rows. `None` for any other form.
pub fn plain_row(line: &[u8]) -> Option<Candle> {
    let (stamp, mut rest) = line.split_at_checked(19)?;
    let open_ms = plain_time(stamp)?;
    let mut numbers = [0.0; 5];
    for number in &mut numbers {
        (*number, rest) = plain_decimal(rest.strip_prefix(b",")?)?;
    }
    let [open, high, low, close, volume] = numbers;
    rest.is_empty().then_some(Candle { open_ms, open, high, low, close, volume })
}

/// Parses `2025-09-13 12:00:00` and nothing else.
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

/// Parses digits, a point, digits, up to a comma or the end; also returns the rest. The result is exact: the digits and the power
/// of ten both fit an `f64`, and the quotient of two such numbers is the `f64` nearest to the decimal.
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
    // 15 digits stay below 2^53; with the point that is 16 characters.
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
    use domain::time::Tz;
    use proptest::prelude::*;

    fn at(open_ms: i64, close: f64) -> Candle {
        Candle { open_ms, open: 1.0, high: 9.0, low: 0.5, close, volume: 0.0 }
    }

    #[test]
    fn the_newer_download_wins() {
        let merged = merge(&[at(1, 2.0), at(2, 2.0), at(4, 2.0)], &[at(2, 3.0), at(3, 3.0), at(5, 3.0)]);
        let seen: Vec<_> = merged.iter().map(|c| (c.open_ms, c.close)).collect();
        assert_eq!(seen, [(1, 2.0), (2, 3.0), (3, 3.0), (4, 2.0), (5, 3.0)]);
    }

    proptest! {
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
