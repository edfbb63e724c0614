//! Saved answers and archives of exchanges: how the rows are wrapped, and the order of columns.

use super::columns::Columns;
use super::findings::{Cause, Findings};
use super::kline::{epoch_ms, read_rows};
use domain::candle::Candle;
use domain::symbol::Timeframe;
use domain::time::format_iso;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// The exchange that a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `binance`
    Binance,
    /// `bybit`
    Bybit,
    /// `coinbase`
    Coinbase,
    /// `kraken`
    Kraken,
    /// `kucoin`
    Kucoin,
    /// `okx`
    Okx,
}

/// The columns of Binance's rows; they may end after the volume.
pub const BINANCE: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
                           taker_buy_quote_volume,ignore";

impl Origin {
    /// All exchanges.
    pub const ALL: [Self; 6] = [Self::Binance, Self::Bybit, Self::Coinbase, Self::Kraken, Self::Kucoin, Self::Okx];

    /// The columns of a row in an answer.
    pub(super) fn columns(self) -> &'static str {
        match self {
            Self::Binance => BINANCE,
            Self::Bybit => "start,open,high,low,close,volume,turnover",
            Self::Coinbase => "time,low,high,open,close,volume",
            Self::Kraken => "time,open,high,low,close,vwap,volume,count",
            Self::Kucoin => "time,open,close,high,low,volume,turnover",
            Self::Okx => "ts,open,high,low,close,volume,volCcy,volCcyQuote,confirm",
        }
    }

    /// The columns of a CSV file in the exchange's archive without a header.
    pub(super) fn file_columns(self) -> &'static str {
        match self {
            Self::Kraken => "time,open,high,low,close,volume,trades",
            other => other.columns(),
        }
    }

    /// The rows of an answer. Rows that the answer marks as incomplete are dropped and reported.
    ///
    /// # Errors
    /// A description: the text is no answer of this exchange, or it is an error.
    pub(super) fn rows(self, document: Value, findings: &mut Findings) -> Result<Vec<Value>, String> {
        let said =
            |code: &Value, message: &Value| format!("{self} refused: {} ({code})", message.as_str().unwrap_or("?"));
        let rows = match self {
            Self::Binance => document,
            Self::Bybit => match &document["retCode"] {
                code if *code != 0 && !code.is_null() => return Err(said(code, &document["retMsg"])),
                _ if document["result"]["category"] == "inverse" => {
                    return Err("the volume of an inverse contract is in the quote asset, its turnover in the base asset; say so \
                                with `--columns start,open,high,low,close,turnover,volume`"
                        .to_owned());
                }
                _ => unwrapped(document, &["result", "list"]),
            },
            Self::Coinbase => unwrapped(document, &["candles"]),
            Self::Kraken => return kraken(document, findings),
            Self::Kucoin => match &document["code"] {
                code if *code != "200000" && !code.is_null() => return Err(said(code, &document["msg"])),
                _ => unwrapped(document, &["data"]),
            },
            Self::Okx => match &document["code"] {
                code if *code != "0" && !code.is_null() => return Err(said(code, &document["msg"])),
                _ => unwrapped(document, &["data"]),
            },
        };
        match rows {
            Value::Array(rows) => Ok(rows),
            other => Err(self.no_candles(&other)),
        }
    }

    /// The candles of an answer of the exchange's API, oldest first where the exchange sends them in order, and what is wrong
    /// with them. Candles that the answer marks as incomplete are left out.
    ///
    /// # Errors
    /// A description: the answer is an error, no answer of this exchange, or has an invalid row.
    pub fn candles(self, answer: Value, timeframe: Timeframe) -> Result<(Vec<Candle>, Findings), String> {
        let mut rows = self.rows(answer, &mut Findings::default())?;
        if self.is_newest_first() {
            rows.reverse();
        }
        let columns = match rows.first() {
            Some(Value::Object(members)) => Columns::named(members.keys().map(String::as_str))?,
            _ => self.columns().parse()?,
        };
        let field = |row: &Value, at: usize| match row {
            Value::Object(members) => members.get(&columns.names[at]).cloned().unwrap_or_default(),
            _ => row.get(at).cloned().unwrap_or_default(),
        };
        let whole = |value: Value| match value.as_str().map(str::parse::<i64>) {
            Some(Ok(number)) => number.into(),
            _ => value,
        };
        let is_closed = |row: &Value| columns.closed.is_none_or(|at| field(row, at) != "0");
        let order = |row: &Value| -> Value {
            let volume = columns.volumes.iter().take(1);
            let values = columns.prices.iter().chain(volume).map(|&at| field(row, at));
            let close_time = columns.close_time.map_or(Value::Null, |at| field(row, at));
            std::iter::once(whole(field(row, columns.times[0]))).chain(values).chain([close_time]).collect()
        };
        let rows: Vec<Value> = rows.iter().filter(|row| is_closed(row)).map(order).collect();
        let (candles, findings) = read_rows(&rows, timeframe)?;
        let findings = if self.has_seconds() { findings.without(Cause::TimeUnit) } else { findings };
        Ok((candles, findings))
    }

    /// Whether answers begin with the newest candle.
    fn is_newest_first(self) -> bool {
        matches!(self, Self::Bybit | Self::Okx | Self::Coinbase | Self::Kucoin)
    }

    /// Whether times are in seconds.
    fn has_seconds(self) -> bool {
        matches!(self, Self::Kraken | Self::Coinbase | Self::Kucoin)
    }

    fn no_candles(self, answer: &Value) -> String {
        let start: String = answer.to_string().chars().take(80).collect();
        format!("it is no answer of {self} with candles; it begins {start}")
    }
}

/// The member at the end of a path; stops at an array.
fn unwrapped(mut document: Value, path: &[&str]) -> Value {
    for name in path {
        if document.is_array() {
            break;
        }
        document = document[*name].take();
    }
    document
}

/// `{ error: [], result: { XXBTZUSD: […], last: … } }`: rows after `last` are not complete yet.
fn kraken(mut document: Value, findings: &mut Findings) -> Result<Vec<Value>, String> {
    if let Some(error) = document["error"].as_array().and_then(|errors| errors.first()) {
        return Err(format!("kraken refused: {}", error.as_str().unwrap_or("?")));
    }
    if let Value::Array(rows) = document {
        return Ok(rows);
    }
    let mut result = document["result"].take();
    let last_ms = result["last"].as_i64().and_then(epoch_ms).map(|(ms, _)| ms);
    let pairs = result.as_object_mut().into_iter().flat_map(|pairs| pairs.values_mut());
    let mut found: Vec<&mut Vec<Value>> = pairs.filter_map(Value::as_array_mut).collect();
    let [rows] = found.as_mut_slice() else {
        return Err(match found.len() {
            0 => Origin::Kraken.no_candles(&document),
            pairs => format!("it holds the candles of {pairs} pairs; keep one"),
        });
    };
    let mut rows = std::mem::take(*rows);
    let opens = |row: &Value| row[0].as_i64().and_then(epoch_ms).map(|(ms, _)| ms);
    let is_open = |row: &Value| opens(row).zip(last_ms).is_some_and(|(open_ms, last_ms)| open_ms > last_ms);
    let open = rows.iter().filter(|row| is_open(row)).count();
    findings.add(Cause::StillOpen, open, || last_ms.map_or_else(String::new, format_iso));
    rows.retain(|row| !is_open(row));
    Ok(rows)
}

impl Origin {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Bybit => "bybit",
            Self::Coinbase => "coinbase",
            Self::Kraken => "kraken",
            Self::Kucoin => "kucoin",
            Self::Okx => "okx",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|origin| origin.to_string() == text.to_lowercase());
        known.ok_or_else(|| format!("must be one of {}", Self::ALL.map(|origin| origin.to_string()).join(", ")))
    }
}
