//! Reading candles that a caller passes as values: `[openMs, open, high, low, close, volume]`, or objects.

use super::columns::{Role, role};
use super::kline::epoch_ms;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::time::{self, MAX_MILLIS, MIN_MILLIS, Tz};
use serde_json::{Map, Value};

/// What a time must be.
pub const TIME: &str = "must be a Date, an ISO 8601 string or epoch milliseconds";

/// Whether candles must have times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Each must have one.
    Required,
    /// Either all have one, or none. Without times they are consecutive, this many milliseconds each, and the last has just
    /// closed.
    OrConsecutive(i64),
}

/// Reads candles and checks each by itself.
///
/// # Errors
/// [`Error::InvalidCandle`] and [`Error::BadCandle`], with the candle's position and member.
pub fn read_given(items: &[Value], times: Times) -> Result<Vec<Candle>> {
    let read = items.iter().enumerate().map(|(index, item)| Given::of(index, item)).collect::<Result<Vec<_>>>()?;
    let candle_ms = match times {
        Times::OrConsecutive(candle_ms) if read.iter().all(|given| given.time.is_none()) => Some(candle_ms),
        _ => None,
    };
    let first_ms = candle_ms.map(|candle_ms| time::now_ms() - items.len() as i64 * candle_ms);
    let candle = |(index, given): (usize, Given<'_>)| {
        let open_ms = match first_ms.zip(candle_ms) {
            Some((first_ms, candle_ms)) => {
                given.check_timeless(index)?;
                first_ms + index as i64 * candle_ms
            }
            None => given.open_ms(index)?,
        };
        given.candle(index, open_ms)
    };
    read.into_iter().enumerate().map(candle).collect()
}

/// Reads a time: epoch milliseconds, or a text, which is UTC unless it says otherwise.
pub fn time_of(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => time::parse_time(text, Tz::UTC),
        other => other.as_f64().map(|ms| ms as i64).filter(|ms| (MIN_MILLIS..=MAX_MILLIS).contains(ms)),
    }
}

/// The values of one candle.
struct Given<'a> {
    time: Option<&'a Value>,
    /// The values of open, high, low, close, volume.
    numbers: [Option<&'a Value>; 5],
    /// A member with an unknown name that may be a time.
    looks_like_time: Option<(&'a String, &'a Value)>,
}

const NUMBERS: [&str; 5] = ["open", "high", "low", "close", "volume"];

impl<'a> Given<'a> {
    fn of(index: usize, item: &'a Value) -> Result<Self> {
        match item {
            Value::Array(fields) => of_array(index, fields),
            Value::Object(members) => of_object(index, members),
            other => Err(bad(index, format!("it must be an array or an object; got {other}"))),
        }
    }

    fn open_ms(&self, index: usize) -> Result<i64> {
        self.check_timeless(index)?;
        let value = self.time.map_or_else(|| "nothing".to_owned(), Value::to_string);
        let wrong = || Error::InvalidCandle { index, field: "time", problem: TIME, value };
        self.time.and_then(time_of).ok_or_else(wrong)
    }

    /// Checks that a candle without a time has no member that may be meant as one.
    fn check_timeless(&self, index: usize) -> Result<()> {
        match (self.time, self.looks_like_time) {
            (None, Some((name, value))) => Err(bad(
                index,
                format!("it has no `time`, and its `{name}` looks like one ({value}): name it `time`, or leave it out"),
            )),
            _ => Ok(()),
        }
    }

    fn candle(&self, index: usize, open_ms: i64) -> Result<Candle> {
        let number = |at: usize| {
            let value = self.numbers[at];
            value.and_then(Value::as_f64).ok_or_else(|| Error::InvalidCandle {
                index,
                field: NUMBERS[at],
                problem: "must be a number",
                value: value.map_or_else(|| "nothing".to_owned(), Value::to_string),
            })
        };
        let (open, high, low, close, volume) = (number(0)?, number(1)?, number(2)?, number(3)?, number(4)?);
        Candle { open_ms, open, high, low, close, volume }.check(index)
    }
}

/// Reads six values, or Binance's twelve, whose seventh is the close time.
fn of_array(index: usize, fields: &[Value]) -> Result<Given<'_>> {
    let is_close_time = || {
        let (open_ms, close_ms) = (fields[0].as_i64().and_then(epoch_ms), fields[6].as_i64().and_then(epoch_ms));
        open_ms.zip(close_ms).is_some_and(|((open_ms, _), (close_ms, _))| close_ms > open_ms)
    };
    if fields.len() > 6 && !is_close_time() {
        let problem = format!(
            "it has {} values, of which it is not known which is the volume: give 6 (open time, open, high, low, close, volume), \
             or an object",
            fields.len()
        );
        return Err(bad(index, problem));
    }
    let numbers = [1, 2, 3, 4, 5].map(|at| fields.get(at));
    Ok(Given { time: fields.first().filter(|time| !time.is_null()), numbers, looks_like_time: None })
}

fn of_object(index: usize, members: &Map<String, Value>) -> Result<Given<'_>> {
    let mut given = Given { time: None, numbers: [None; 5], looks_like_time: None };
    let (mut time_name, mut some_volume, mut volumes) = (None, None, 0);
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let at = match role(name) {
            Some(Role::Time) => {
                if let Some((other, first)) = time_name.zip(given.time)
                    && time_of(first) != time_of(value)
                {
                    let problem =
                        format!("its `{other}` and its `{name}` differ: {first} and {value}; which is the open time?");
                    return Err(bad(index, problem));
                }
                (given.time, time_name) = (given.time.or(Some(value)), time_name.or(Some(name)));
                continue;
            }
            Some(Role::SomeVolume) => {
                (some_volume, volumes) = (Some(value), volumes + 1);
                continue;
            }
            Some(Role::Open) => 0,
            Some(Role::High) => 1,
            Some(Role::Low) => 2,
            Some(Role::Close) => 3,
            Some(Role::Volume) => 4,
            Some(Role::CloseTime | Role::Closed) => continue,
            None => {
                if looks_like_time(name, value) {
                    given.looks_like_time = given.looks_like_time.or(Some((name, value)));
                }
                continue;
            }
        };
        if let Some(first) = given.numbers[at].filter(|first| *first != value) {
            return Err(bad(index, format!("it has two values of `{}`: {first} and {value}", NUMBERS[at])));
        }
        given.numbers[at] = Some(value);
    }
    if given.numbers[4].is_none() && volumes > 1 {
        return Err(bad(index, "it has several volumes; name that in the base asset `volume`".to_owned()));
    }
    given.numbers[4] = given.numbers[4].or(some_volume);
    Ok(given)
}

/// Whether an unknown member may be meant as a time: a text that is a time, or a whole number with the magnitude of a time in
/// this century, unless its name says that it counts something.
fn looks_like_time(name: &str, value: &Value) -> bool {
    const COUNTS: [&str; 10] =
        ["volume", "amount", "turnover", "count", "trade", "qty", "quantity", "value", "id", "interest"];
    const THIS_CENTURY: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;
    let name = name.to_lowercase();
    match value {
        Value::String(text) => time::parse_time(text, Tz::UTC).is_some(),
        other => {
            let whole = other.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
            let is_time = whole.and_then(epoch_ms).is_some_and(|(ms, _)| THIS_CENTURY.contains(&ms));
            is_time && !COUNTS.iter().any(|count| name.contains(count))
        }
    }
}

fn bad(index: usize, problem: String) -> Error {
    Error::BadCandle { place: format!("candle {index}"), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OPEN: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn one(item: Value) -> std::result::Result<Candle, String> {
        read_given(&[item], Times::Required).map(|candles| candles[0]).map_err(|error| error.to_string())
    }

    #[test]
    fn the_usual_names_of_a_time_are_read() {
        let expected = Candle { open_ms: OPEN, open: 10.0, high: 12.0, low: 9.0, close: 11.0, volume: 5.0 };
        for name in [
            "time",
            "timestamp",
            "openTime",
            "open_time",
            "date",
            "datetime",
            "ts",
            "t",
            "start",
            "startTime",
            "start_time",
            "Date",
            "unix",
            "OpenTime",
            "begin",
        ] {
            let item = json!({ name: OPEN, "open": 10, "high": 12, "low": 9, "close": 11, "volume": 5 });
            assert_eq!(one(item), Ok(expected), "{name}");
            let item = json!({ name: "2023-11-14T22:13:20Z", "o": 10, "h": 12, "l": 9, "c": 11, "v": 5 });
            assert_eq!(one(item), Ok(expected), "{name}");
        }
        // Binance's stream: the close time is a `T`, the quote and the taker's volume are `q` and `V`.
        let stream = json!({ "t": OPEN, "T": OPEN + HOUR - 1, "s": "BTCUSDT", "i": "1h", "o": 10, "h": 12, "l": 9, "c": 11,
                             "volume": 5, "V": 3, "n": 7 });
        assert_eq!(one(stream), Ok(expected));
        let both = json!({ "time": OPEN, "date": "2023-11-14T22:13:20Z", "open": 10, "high": 12, "low": 9, "close": 11, "volume": 5 });
        assert_eq!(one(both), Ok(expected));
        let rest = json!([OPEN, 10, 12, 9, 11, 5, OPEN + HOUR - 1, 0, 0, 0, 0, 0]);
        assert_eq!(one(rest), Ok(expected));
    }

    #[test]
    fn what_is_not_told_is_never_invented() {
        let prices = |time: Value| {
            let mut item = json!({ "open": 10, "high": 12, "low": 9, "close": 11, "volume": 5 });
            item.as_object_mut().unwrap().extend(time.as_object().unwrap().clone());
            item
        };
        for (item, expected) in [
            (
                prices(json!({})),
                "candle 0: `time` must be a Date, an ISO 8601 string or epoch milliseconds; got nothing",
            ),
            (prices(json!({ "when": OPEN })), "its `when` looks like one (1700000000000)"),
            (prices(json!({ "bar": "2023-11-14T22:13:20Z" })), "its `bar` looks like one"),
            (prices(json!({ "time": 5 })), "got 5"),
            (prices(json!({ "time": OPEN, "ts": OPEN + HOUR })), "its `time` and its `ts` differ"),
            (prices(json!({ "time": OPEN, "o": 11 })), "two values of `open`: 10 and 11"),
            (json!([OPEN, 10, 12, 9, 11, 10.5, 5, 7]), "it has 8 values"),
            (json!([OPEN, 10, 12, 9, 11, 5, 50]), "it has 7 values"),
            (
                json!({ "time": OPEN, "open": 1, "high": 1, "low": 1, "close": 1, "vol": 1, "amount": 2 }),
                "several volumes",
            ),
            (json!(7), "must be an array or an object"),
        ] {
            let problem = one(item.clone()).unwrap_err();
            assert!(problem.contains(expected), "{item}: {problem}");
        }
    }

    #[test]
    fn without_times_they_are_consecutive_only_where_that_is_allowed_and_nothing_looks_like_one() {
        let plain = json!({ "open": 10, "high": 12, "low": 9, "close": 11, "volume": 5, "quoteVolume": 1_700_000_000, "trades": 7 });
        let candles = read_given(&[plain.clone(), plain.clone()], Times::OrConsecutive(HOUR)).unwrap();
        assert_eq!(candles[1].open_ms - candles[0].open_ms, HOUR);
        assert!(read_given(std::slice::from_ref(&plain), Times::Required).is_err());
        let mut odd = plain.clone();
        odd["at"] = json!(OPEN);
        let error = read_given(&[odd, plain.clone()], Times::OrConsecutive(HOUR)).unwrap_err();
        assert_eq!(error.code(), "ERR_INVALID_CANDLE");
        assert!(error.to_string().contains("candle 0: it has no `time`, and its `at` looks like one"), "{error}");
        let mut timed = plain.clone();
        timed["date"] = json!(OPEN);
        let error = read_given(&[timed, plain], Times::OrConsecutive(HOUR)).unwrap_err();
        assert!(error.to_string().starts_with("candle 1: `time` must"), "{error}");
    }
}
