//! Faults of an exchange's answers, by name.

use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;

/// What can go wrong with the answer to one request. The names to parse it from are those that [`Fault::ALL`] displays, and
/// `http-404` and the like for other statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `http-500`: this HTTP status, without a body.
    Status(u16),
    /// `rate-limited`: HTTP 429 with `Retry-After`.
    RateLimited {
        /// Seconds to wait; 1 when parsed.
        retry_after_s: u64,
    },
    /// `banned`: HTTP 418 with `Retry-After`.
    Banned {
        /// Seconds to wait; 1 when parsed.
        retry_after_s: u64,
    },
    /// `banned-until`: HTTP 418 without `Retry-After`; the message says until when.
    BannedUntil {
        /// Seconds from now; 1 when parsed.
        after_s: u64,
    },
    /// `time-out`: no answer for five minutes.
    TimeOut,
    /// `reset`: the connection closes without an answer.
    Reset,
    /// `truncated`: the body breaks off.
    Truncated,
    /// `not-json`: HTTP 200 with an HTML page, like a captive portal.
    NotJson,
    /// `numbers`: prices as numbers instead of strings.
    Numbers,
    /// `microseconds`: times in microseconds.
    Microseconds,
    /// `extra-candle`: one candle more than requested, as if it were still open.
    ExtraCandle,
    /// `duplicates`: every other candle appears twice.
    Duplicates,
    /// `disorder`: newest candles first.
    Disorder,
    /// `gap`: the middle third of the candles is missing.
    Gap,
    /// `bad-ohlc`: a candle with a high below its low.
    BadOhlc,
    /// `not-a-number`: a candle with a price of NaN.
    NotANumber,
    /// `negative-volume`: a candle with a negative volume.
    NegativeVolume,
    /// `wrong-interval`: candles four times as long.
    WrongInterval,
    /// `reused-ticker`: the later half of the candles, and the current price, are multiplied by 1000.
    ReusedTicker,
}

use Fault::*;

impl Fault {
    /// One fault of every kind; of the statuses, those that exchanges send.
    pub const ALL: [Self; 23] = [
        Status(500),
        Status(502),
        Status(503),
        Status(403),
        Status(451),
        RateLimited { retry_after_s: 1 },
        Banned { retry_after_s: 1 },
        BannedUntil { after_s: 1 },
        TimeOut,
        Reset,
        Truncated,
        NotJson,
        Numbers,
        Microseconds,
        ExtraCandle,
        Duplicates,
        Disorder,
        Gap,
        BadOhlc,
        NotANumber,
        NegativeVolume,
        WrongInterval,
        ReusedTicker,
    ];

    /// The factor for the current price.
    pub(super) fn factor(self) -> f64 {
        if self == ReusedTicker { 1000.0 } else { 1.0 }
    }

    /// Applies the fault to the rows of a kline answer, `length` milliseconds each. Does nothing for a fault of the connection.
    pub(super) fn spoil(self, rows: &mut Vec<Value>, length: i64) {
        let (count, middle) = (rows.len(), rows.len() / 2);
        let row = rows.get_mut(middle);
        match self {
            Numbers => rows.iter_mut().for_each(|row| (1..6).for_each(|field| row[field] = json!(number(&row[field])))),
            Microseconds => rows.iter_mut().for_each(|row| {
                for field in [0, 6] {
                    row[field] = json!(row[field].as_i64().unwrap_or_default() * 1000);
                }
            }),
            ExtraCandle => rows.extend(rows.last().cloned().map(|mut row| {
                for field in [0, 6] {
                    row[field] = json!(row[field].as_i64().unwrap_or_default() + length);
                }
                row
            })),
            Duplicates => *rows = rows.chunks(2).flat_map(|pair| pair.iter().chain(&pair[..1]).cloned()).collect(),
            Disorder => rows.reverse(),
            Gap => drop(rows.drain(count / 3..count - count.div_ceil(3))),
            BadOhlc => row.into_iter().for_each(|row| row[2] = json!(format!("{:.8}", number(&row[3]) / 2.0))),
            NotANumber => row.into_iter().for_each(|row| row[4] = json!("NaN")),
            NegativeVolume => row.into_iter().for_each(|row| row[5] = json!("-1.00000000")),
            WrongInterval => {
                rows.iter_mut().for_each(|row| row[6] = json!(row[6].as_i64().unwrap_or_default() + 3 * length))
            }
            ReusedTicker => rows[middle..].iter_mut().for_each(|row| {
                (1..5).for_each(|field| row[field] = json!(format!("{:.8}", self.factor() * number(&row[field]))));
            }),
            Status(_)
            | RateLimited { .. }
            | Banned { .. }
            | BannedUntil { .. }
            | TimeOut
            | Reset
            | Truncated
            | NotJson => {}
        }
    }
}

fn number(text: &Value) -> f64 {
    text.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status(code) => return write!(f, "http-{code}"),
            RateLimited { .. } => "rate-limited",
            Banned { .. } => "banned",
            BannedUntil { .. } => "banned-until",
            TimeOut => "time-out",
            Reset => "reset",
            Truncated => "truncated",
            NotJson => "not-json",
            Numbers => "numbers",
            Microseconds => "microseconds",
            ExtraCandle => "extra-candle",
            Duplicates => "duplicates",
            Disorder => "disorder",
            Gap => "gap",
            BadOhlc => "bad-ohlc",
            NotANumber => "not-a-number",
            NegativeVolume => "negative-volume",
            WrongInterval => "wrong-interval",
            ReusedTicker => "reused-ticker",
        })
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|fault| fault.to_string() == text);
        let status = || text.strip_prefix("http-")?.parse().ok().filter(|code| (300..600).contains(code)).map(Status);
        named.or_else(status).ok_or_else(|| {
            let names: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
            format!("`{text}` must be one of {}, or all", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert_eq!("http-404".parse(), Ok(Status(404)));
        for text in ["", "http-200", "http-x", "all", "RESET"] {
            assert!(text.parse::<Fault>().unwrap_err().contains("bad-ohlc"), "{text}");
        }
    }

    #[test]
    fn rows_are_spoilt_as_the_name_says() {
        let row = |hour: i64| json!([hour * 10, "1.0", "3.0", "0.5", "2.0", "7.0", hour * 10 + 9]);
        let spoilt = |fault: Fault, count: i64| {
            let mut rows: Vec<Value> = (0..count).map(row).collect();
            fault.spoil(&mut rows, 10);
            rows
        };
        let times = |rows: &[Value]| rows.iter().map(|row| row[0].as_i64().unwrap()).collect::<Vec<_>>();
        assert_eq!(spoilt(Numbers, 1)[0], json!([0, 1.0, 3.0, 0.5, 2.0, 7.0, 9]));
        assert_eq!(times(&spoilt(Microseconds, 2)), [0, 10_000]);
        assert_eq!(times(&spoilt(ExtraCandle, 2)), [0, 10, 20]);
        assert_eq!(times(&spoilt(Duplicates, 3)), [0, 10, 0, 20, 20]);
        assert_eq!(times(&spoilt(Disorder, 3)), [20, 10, 0]);
        assert_eq!(times(&spoilt(Gap, 6)), [0, 10, 40, 50]);
        assert_eq!(times(&spoilt(Gap, 1)), [0]);
        assert_eq!(spoilt(BadOhlc, 3)[1][2], "0.25000000");
        assert_eq!(spoilt(NotANumber, 1)[0][4], "NaN");
        assert_eq!(spoilt(NegativeVolume, 1)[0][5], "-1.00000000");
        assert_eq!(spoilt(WrongInterval, 1)[0][6], 39);
        let reused = spoilt(ReusedTicker, 4);
        assert_eq!((&reused[1][1], &reused[2][1]), (&json!("1.0"), &json!("1000.00000000")));
        for fault in Fault::ALL {
            assert_eq!(spoilt(fault, 0), Vec::<Value>::new(), "{fault}");
        }
    }
}
