//! A row of candles as exchanges write it in JSON: `[open time, open, high, low, close, volume, close time, …]`.

use super::findings::{Cause, Findings};
use super::series::Clocks;
use domain::candle::Candle;
use domain::symbol::Timeframe;
use domain::time::{HOUR_MS, format_iso};
use serde_json::Value;

/// Milliseconds since 1970 from a whole number of seconds, milliseconds, microseconds or nanoseconds. The magnitude tells the
/// unit between the years 1973 and 5138. Also returns whether the unit was another than milliseconds.
pub fn epoch_ms(number: i64) -> Option<(i64, bool)> {
    match number {
        100_000_000..100_000_000_000 => Some((number * 1000, true)),
        100_000_000_000..100_000_000_000_000 => Some((number, false)),
        100_000_000_000_000..100_000_000_000_000_000 => Some((number.div_euclid(1000), true)),
        100_000_000_000_000_000.. => Some((number.div_euclid(1_000_000), true)),
        _ => None,
    }
}

/// Reads rows, with prices as strings or numbers. The close time (the 7th field of Binance's answers), if present, must fit the
/// timeframe.
///
/// # Errors
/// A description of what is wrong with the first invalid row.
pub fn read_rows(rows: &[Value], timeframe: Timeframe) -> Result<(Vec<Candle>, Findings), String> {
    let mut findings = Findings::default();
    let mut candles = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let wrong = |problem: String| format!("candle {index}: {problem}");
        let time = |position: usize| row.get(position).and_then(Value::as_i64).and_then(epoch_ms);
        let (open_ms, other_unit) = time(0).ok_or_else(|| {
            wrong(format!("the open time must be a whole number of milliseconds; got {}", shown(row.get(0))))
        })?;
        let field = |position: usize, name: &str| {
            let value = row.get(position);
            let number = value.and_then(|value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()));
            number.ok_or_else(|| wrong(format!("`{name}` must be a number; got {}", shown(value))))
        };
        let candle = Candle {
            open_ms,
            open: field(1, "open")?,
            high: field(2, "high")?,
            low: field(3, "low")?,
            close: field(4, "close")?,
            volume: field(5, "volume")?,
        };
        let candle = candle.check(index).map_err(|error| format!("{error} (of {})", format_iso(open_ms)))?;
        if let Some((close_ms, _)) = time(6) {
            check_close(open_ms, close_ms, timeframe).map_err(wrong)?;
        }
        findings.add(Cause::TimeUnit, usize::from(other_unit), || shown(row.get(0)));
        candles.push(candle);
    }
    Ok((candles, findings))
}

/// Checks that a candle has the right length. Exchanges give its last millisecond or the next candle's open time. A candle that
/// follows local time may be longer or shorter by a clock change.
pub fn check_close(open_ms: i64, close_ms: i64, timeframe: Timeframe) -> Result<(), String> {
    let end = open_ms + timeframe.millis();
    // Some exchanges give the last second.
    let is_end = |end: i64| (end - 1000..=end).contains(&close_ms);
    let changed = |end: i64| is_end(end) && Clocks::default().explain(open_ms, end, timeframe.millis());
    if is_end(end) || changed(end + HOUR_MS) || changed(end - HOUR_MS) {
        return Ok(());
    }
    Err(format!("it runs from {} to {}, which is not {timeframe}", format_iso(open_ms), format_iso(close_ms)))
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string().chars().take(80).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OPEN: i64 = 1_700_000_000_000;

    fn one(row: Value) -> Result<Candle, String> {
        read_rows(&[row], Timeframe::H1).map(|(candles, _)| candles[0])
    }

    #[test]
    fn strings_or_numbers_with_or_without_the_rest() {
        let expected = Candle { open_ms: OPEN, open: 10.0, high: 12.5, low: 9.0, close: 11.0, volume: 0.5 };
        let rest = json!([OPEN, "10.0", "12.50000000", "9", "11", "0.5", OPEN + 3_599_999, "0", 7, "0", "0", "0"]);
        assert_eq!(one(rest), Ok(expected));
        assert_eq!(one(json!([OPEN, 10, 12.5, 9, 11, 0.5])), Ok(expected));
    }

    #[test]
    fn seconds_and_finer_are_told_by_their_magnitude() {
        let rows: Vec<Value> = [OPEN / 1000, OPEN, OPEN * 1000, OPEN * 1_000_000]
            .iter()
            .map(|time| json!([time, 1, 1, 1, 1, 1]))
            .collect();
        let (candles, found) = read_rows(&rows, Timeframe::H1).unwrap();
        assert!(candles.iter().all(|candle| candle.open_ms == OPEN));
        assert_eq!(found.to_string(), "3 times in seconds, microseconds or nanoseconds read as such (1700000000)");
        assert_eq!(epoch_ms(0), None);
        assert_eq!(epoch_ms(-OPEN), None);
        assert_eq!(epoch_ms(i64::MAX).map(|(_, other)| other), Some(true));
    }

    #[test]
    fn what_cannot_be_a_candle_is_named() {
        let cases = [
            (json!([]), "open time must be"),
            (json!({}), "open time must be"),
            (json!([0, 1, 1, 1, 1, 1]), "got 0"),
            (json!([OPEN, "a", 1, 1, 1, 1]), "`open` must be a number; got \"a\""),
            (json!([OPEN, 1, 1, 1, 1]), "`volume` must be a number; got nothing"),
            (json!([OPEN, "NaN", 1, 1, 1, 1]), "`open` must be a finite price above 0; got NaN"),
            (json!([OPEN, 1, 1, 1, 1, -1]), "`volume` must be finite and not negative; got -1"),
            (
                json!([OPEN, 1, 1, 2, 1, 1]),
                "`low` must not be above open or close; got 2 (of 2023-11-14T22:13:20.000Z)",
            ),
            (json!([OPEN, 1, 1, 1, 1, 1, OPEN + 4 * 3_600_000 - 1]), "which is not 1h"),
        ];
        for (row, expected) in cases {
            let problem = one(row.clone()).unwrap_err();
            assert!(problem.contains(expected) && problem.starts_with("candle 0"), "{row}: {problem}");
        }
    }
}
