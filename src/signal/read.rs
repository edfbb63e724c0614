//! Reading signals and records from JSON.

use super::{Closing, MAX_ID_BYTES, OUTCOMES, Record, Signal, assumed_profit, check_levels, wrong};
use crate::barrier::{Direction, Levels, Outcome};
use crate::error::{Error, Result};
use crate::symbol::{Symbol, Timeframe};
use crate::time;
use chrono_tz::Tz;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use std::fmt;

/// How strictly to read a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From a caller: every field of the contract must be there.
    Caller,
    /// From a file, maybe of the old system: what can be done without may be missing.
    File,
}

/// How deep a caller's own objects may nest: far from the 128 levels at which the line could not be read back.
const MAX_DEPTH: usize = 32;
const TOO_DEEP: &str = "must not nest deeper than 32 levels";

fn deeper_than(levels: usize, value: &Value) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| deeper_than(levels - 1, item)),
        Value::Object(map) => levels == 0 || map.values().any(|item| deeper_than(levels - 1, item)),
        _ => false,
    }
}

/// The prices of a signal as far as they are there.
struct Prices {
    entry: Option<f64>,
    stop_loss: Option<f64>,
    take_profit: Option<f64>,
}

/// The keys that mean something, in every spelling.
const KEYS: [&str; 27] = [
    "id", "signalId", "signal_id", "pair", "symbol", "timeframe", "signalType", "signal_type", "confidence",
    "entryPrice", "entry_price", "stopLoss", "stop_loss", "takeProfit", "take_profit", "timestamp", "expiresAt",
    "expires_at", "indicators", "features", "outcome", "exit_price", "exitPrice", "profit_loss_percent",
    "profitLossPercent", "closed_at", "closedAt",
];

/// A JSON object: what means something, to be taken by any spelling, and the rest.
#[derive(Default)]
struct Fields {
    known: Vec<(&'static str, Value)>,
    others: Map<String, Value>,
}

impl From<Map<String, Value>> for Fields {
    fn from(map: Map<String, Value>) -> Self {
        let mut fields = Self::default();
        for (key, value) in map {
            match known(&key) {
                Some(key) => fields.known.push((key, value)),
                None => drop(fields.others.insert(key, value)),
            }
        }
        fields
    }
}

fn known(key: &str) -> Option<&'static str> {
    KEYS.into_iter().find(|known| *known == key)
}

/// Read straight from text: a map of all of it would cost more than everything else together.
impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Fields, A::Error> {
                let mut fields = Fields { known: Vec::with_capacity(12), others: Map::new() };
                while let Some(key) = members.next_key::<Key>()? {
                    let value = members.next_value()?;
                    match key {
                        Key::Known(key) => fields.known.push((key, value)),
                        Key::Other(key) => drop(fields.others.insert(key, value)),
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A member's name.
enum Key {
    Known(&'static str),
    Other(String),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> std::result::Result<Key, E> {
                Ok(known(name).map_or_else(|| Key::Other(name.to_owned()), Key::Known))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl Fields {
    fn take(&mut self, spellings: &[&str]) -> Option<Value> {
        // All spellings are removed; the first one present wins.
        let mut first = None;
        for spelling in spellings {
            if let Some(at) = self.known.iter().position(|(key, _)| key == spelling) {
                let (_, value) = self.known.swap_remove(at);
                first = first.or(Some(value).filter(|value| !value.is_null()));
            }
        }
        first
    }

    fn price(&mut self, field: &'static str, spellings: &[&str]) -> Result<Option<f64>> {
        match self.take(spellings) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(price) if price.is_finite() && price > 0.0 => Ok(Some(price)),
                _ => wrong(field, "must be a finite price above 0", value),
            },
        }
    }

    fn direction(&mut self) -> Result<Option<Direction>> {
        let value = self.take(&["signal_type", "signalType"]);
        match value.as_ref().and_then(Value::as_str).map(|text| text.trim().to_ascii_uppercase()).as_deref() {
            Some("BUY") => Ok(Some(Direction::Buy)),
            Some("SELL") => Ok(Some(Direction::Sell)),
            Some("HOLD") => Ok(None),
            _ => wrong("signalType", "must be BUY, SELL or HOLD", show(&value)),
        }
    }

    /// The prices of a signal, on their sides of the entry unless it is a HOLD.
    fn prices(&mut self, direction: Option<Direction>) -> Result<Prices> {
        let entry = self.price("entryPrice", &["entry_price", "entryPrice"])?;
        let stop_loss = self.price("stopLoss", &["stop_loss", "stopLoss"])?;
        let take_profit = self.price("takeProfit", &["take_profit", "takeProfit"])?;
        if let Some(direction) = direction {
            check_levels(direction, entry, stop_loss, take_profit)?;
        }
        Ok(Prices { entry, stop_loss, take_profit })
    }

    fn time(&mut self, field: &'static str, spellings: &[&str], zone: Tz) -> Result<Option<i64>> {
        self.take(spellings).map(|value| read_time(field, &value, zone)).transpose()
    }

    fn object(&mut self, field: &'static str) -> Result<Map<String, Value>> {
        match self.take(&[field]) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map),
            Some(other) => wrong(field, "must be an object of names and numbers", other),
        }
    }
}

fn read_time(field: &'static str, value: &Value, zone: Tz) -> Result<i64> {
    let ms = match value {
        Value::String(text) => time::parse_time(text, zone),
        // The cast is exact in the range checked.
        Value::Number(number) => number
            .as_f64()
            .filter(|ms| (time::MIN_MILLIS as f64..=time::MAX_MILLIS as f64).contains(ms))
            .map(|ms| ms as i64),
        _ => None,
    };
    match ms {
        Some(ms) => Ok(ms),
        None => wrong(field, "must be a Date, an ISO 8601 string or epoch milliseconds", value),
    }
}

impl Signal {
    /// Reads and checks a caller's signal, which must be an object. Naive times are read in `zone`.
    pub fn from_value(value: Value, zone: Tz) -> Result<Self> {
        match value {
            Value::Object(map) => Self::from_json(map, Source::Caller, zone),
            other => Err(Error::argument("signal", "must be an object", other)),
        }
    }

    /// Reads and checks the signals of a JSON array. Naive times are read in `zone`.
    ///
    /// # Errors
    /// That of the first that is wrong.
    pub fn array_from_text(text: &str, zone: Tz) -> Result<Vec<Self>> {
        if let Ok(items) = serde_json::from_str::<Vec<Fields>>(text) {
            return items.into_iter().map(|fields| Self::read(fields, Source::Caller, zone)).collect();
        }
        // Something in it is not an object: which, the long way tells.
        let unreadable = |e: serde_json::Error| Error::argument("signals", "must be an array of signals", e);
        let items: Vec<Value> = serde_json::from_str(text).map_err(unreadable)?;
        items.into_iter().map(|item| Self::from_value(item, zone)).collect()
    }

    /// Reads and checks a caller's signal from the text of a JSON object. Naive times are read in `zone`.
    pub fn from_text(text: &str, zone: Tz) -> Result<Self> {
        let fields = serde_json::from_str(text).map_err(|e| Error::argument("signal", "must be an object", e))?;
        Self::read(fields, Source::Caller, zone)
    }

    /// Reads and checks a signal. Naive times are read in `zone`.
    pub fn from_json(object: Map<String, Value>, source: Source, zone: Tz) -> Result<Self> {
        Self::read(object.into(), source, zone)
    }

    fn read(mut fields: Fields, source: Source, zone: Tz) -> Result<Self> {
        let id = match fields.take(&["signal_id", "signalId", "id"]) {
            Some(Value::String(id)) if !id.trim().is_empty() && id.len() <= MAX_ID_BYTES => id,
            Some(Value::Number(id)) if id.is_u64() => id.to_string(),
            other => return wrong("id", "must be a text of 1 to 256 bytes that names this signal alone", show(&other)),
        };
        let symbol = match fields.take(&["symbol", "pair"]) {
            Some(Value::String(text)) => match Symbol::parse(&text) {
                Ok(symbol) => symbol,
                Err(_) => return wrong("symbol", "must be a pair of letters and digits such as BTC/USDT", json!(text)),
            },
            other => return wrong("symbol", "must be a pair such as BTC/USDT", show(&other)),
        };
        let timeframe = match fields.take(&["timeframe"]) {
            None => Timeframe::H1,
            Some(Value::String(text)) => match Timeframe::parse(&text) {
                Ok(timeframe) => timeframe,
                Err(_) => return wrong("timeframe", "must be one of 1m … 12h, 1d, 3d, 1w", json!(text)),
            },
            Some(other) => return wrong("timeframe", "must be one of 1m … 12h, 1d, 3d, 1w", other),
        };
        let direction = fields.direction()?;
        let confidence = match fields.take(&["confidence"]) {
            None if source == Source::File => None,
            None => return wrong("confidence", "must be a percentage, 0 to 100", "nothing"),
            Some(value) => match value.as_f64() {
                Some(percent) if (0.0..=100.0).contains(&percent) => Some(percent),
                _ => return wrong("confidence", "must be a percentage, 0 to 100", value),
            },
        };
        let prices = fields.prices(direction)?;
        let Some(timestamp_ms) = fields.time("timestamp", &["timestamp"], zone)? else {
            return wrong("timestamp", "must be a Date, an ISO 8601 string or epoch milliseconds", "nothing");
        };
        let expires_ms = fields.time("expiresAt", &["expires_at", "expiresAt"], zone)?;
        if expires_ms.is_some_and(|at| at <= timestamp_ms) {
            return wrong("expiresAt", "must be later than the timestamp", time::format_iso(expires_ms.unwrap_or(0)));
        }
        let indicators = fields.object("indicators")?;
        // Features come from signalloop itself, by way of the file; ones it cannot read it does without.
        let features = fields.take(&["features"]).and_then(|value| serde_json::from_value(value).ok());
        // How it was closed, which is left in `fields`, is the store's to say: a caller's `outcome` must not stand in for it.
        if indicators.values().any(|value| deeper_than(MAX_DEPTH, value)) {
            return wrong("indicators", TOO_DEEP, "more");
        }
        if fields.others.values().any(|value| deeper_than(MAX_DEPTH, value)) {
            return wrong("other fields", TOO_DEEP, "more");
        }
        Ok(Self {
            id,
            symbol,
            timeframe,
            direction,
            confidence,
            entry_price: prices.entry,
            stop_loss: prices.stop_loss,
            take_profit: prices.take_profit,
            timestamp_ms,
            expires_ms,
            indicators,
            features,
            extra: fields.others,
        })
    }

    /// The levels of an object that need not be a whole signal: `signal_type`, `entry_price`, `stop_loss`, `take_profit`,
    /// `expires_at`, in either spelling. `None` for a HOLD. Prices of any time may close them.
    pub fn levels_of(object: Map<String, Value>) -> Result<Option<Levels>> {
        let mut fields = Fields::from(object);
        let Some(direction) = fields.direction()? else { return Ok(None) };
        let prices = fields.prices(Some(direction))?;
        let expires_ms = fields.time("expiresAt", &["expires_at", "expiresAt"], Tz::UTC)?;
        let levels = prices.entry.map(|entry| Levels::checked(direction, entry, prices.stop_loss, prices.take_profit));
        Ok(levels.transpose()?.map(|levels| Levels { expires_ms, ..levels }))
    }
}

fn show(value: &Option<Value>) -> String {
    value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string)
}

impl Record {
    /// Reads one line of the log, new or old.
    pub fn from_json(object: Map<String, Value>, zone: Tz) -> Result<Self> {
        let mut fields = Fields::from(object);
        let outcome = match fields.take(&["outcome"]) {
            None => Outcome::Active,
            Some(value) => match serde_json::from_value(value.clone()) {
                Ok(outcome) => outcome,
                Err(_) => return wrong("outcome", OUTCOMES, value),
            },
        };
        let exit_price = fields.price("exitPrice", &["exit_price", "exitPrice"])?;
        let profit = fields.take(&["profit_loss_percent", "profitLossPercent"]).and_then(|value| value.as_f64());
        let closed_ms = fields.time("closedAt", &["closed_at", "closedAt"], zone)?;
        let signal = Signal::read(fields, Source::File, zone)?;
        let closing = match (outcome, signal.levels()) {
            (Outcome::Active, _) | (_, None) => None,
            (outcome, Some(levels)) => Some(Closing {
                outcome,
                exit_price,
                profit_percent: profit.unwrap_or_else(|| assumed_profit(&levels, outcome, exit_price)),
                // Old lines may not say when; the earliest it can have been keeps it out of recent statistics.
                closed_ms: closed_ms.unwrap_or(signal.timestamp_ms),
            }),
        };
        Ok(Self { signal, closing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    fn good() -> Value {
        json!({
            "id": "s1", "pair": "BTC/USDT", "signalType": "BUY", "confidence": 80, "entryPrice": 100.5,
            "stopLoss": 95, "takeProfit": 110, "timestamp": 1_700_000_000_000i64, "expiresAt": "2023-11-15T22:13:20Z",
            "indicators": { "rsi": 71.5, "macd": { "histogram": -0.2 }, "trend": "up", "adx": null, "late": true },
            "aiRationale": "looks good",
        })
    }

    fn read(value: Value) -> Result<Signal> {
        Signal::from_json(object(value), Source::Caller, Tz::UTC)
    }

    #[test]
    fn reads_camel_case_and_writes_what_it_reads_back() {
        let signal = read(good()).unwrap();
        assert_eq!(signal.symbol.as_str(), "BTCUSDT");
        assert_eq!(signal.timeframe, Timeframe::H1);
        assert_eq!(signal.extra.get("aiRationale"), Some(&json!("looks good")));
        let names: Vec<_> = signal.numeric_indicators();
        assert_eq!(names, [("rsi".into(), 71.5), ("macd.histogram".into(), -0.2), ("late".into(), 1.0)]);
        let closing = Closing {
            outcome: Outcome::StoppedOut,
            exit_price: Some(94.9),
            profit_percent: -5.572_139_303_482_587,
            closed_ms: 1_700_000_000_001,
        };
        for closing in [None, Some(closing)] {
            let record = Record { signal: signal.clone(), closing };
            let text = serde_json::to_string(&record.to_json()).unwrap();
            assert_eq!(Record::from_json(serde_json::from_str(&text).unwrap(), Tz::UTC).unwrap(), record);
        }
    }

    #[test]
    fn a_signal_is_written_so_that_it_can_be_read_back_the_same() {
        let mut value = good();
        value["outcome"] = json!("TOOK_PROFIT");
        value["exitPrice"] = json!("not a price");
        value["crc"] = json!("00000000");
        let signal = read(value).unwrap();
        let record = Record { signal, closing: None };
        assert_eq!(Record::from_json(record.to_json(), Tz::UTC).unwrap(), record);

        let mut value = good();
        value["deep"] = (0..200).fold(json!(1), |inner, _| json!([inner]));
        assert!(read(value).unwrap_err().to_string().contains("32 levels"));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let cases = [
            ("id", json!(null)),
            ("id", json!("")),
            ("id", json!("x".repeat(257))),
            ("symbol", json!("../../x")),
            ("signalType", json!("LONG")),
            ("confidence", json!(101)),
            ("confidence", json!(null)),
            ("entryPrice", json!(null)),
            ("entryPrice", json!(0)),
            ("entryPrice", json!("100")),
            ("stopLoss", json!(101)),
            ("stopLoss", json!(-1)),
            ("takeProfit", json!(99)),
            ("timestamp", json!("Invalid Date")),
            ("timestamp", json!(1_700_000_000)),
            ("timestamp", json!(null)),
            ("expiresAt", json!(1_600_000_000_000i64)),
            ("timeframe", json!("7h")),
            ("indicators", json!([1])),
        ];
        for (expected, value) in cases {
            let mut map = object(good());
            for key in if expected == "symbol" { vec!["pair", "symbol"] } else { vec![expected] } {
                map.insert(key.to_owned(), value.clone());
            }
            match Signal::from_json(map, Source::Caller, Tz::UTC) {
                Err(Error::InvalidSignal { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected} = {value}: {other:?}"),
            }
        }
    }

    #[test]
    fn old_lines_are_read_as_they_are() {
        let old = json!({
            "signal_id": "o1", "symbol": "ETHUSDT", "signal_type": "SELL", "entry_price": 3000.0, "stop_loss": 3100.0,
            "timestamp": "2025-09-13T12:00:00.123456", "outcome": "STOPPED_OUT",
        });
        let record = Record::from_json(object(old), Tz::Europe__Berlin).unwrap();
        assert_eq!(time::format_iso(record.signal.timestamp_ms), "2025-09-13T10:00:00.123Z");
        let closing = record.closing.unwrap();
        assert!((closing.profit_percent - -100.0 / 30.0).abs() < 1e-12);
        let hold = json!({ "signal_id": "o2", "symbol": "ETHUSDT", "signal_type": "HOLD", "timestamp": "2025-09-13T12:00:00Z" });
        let record = Record::from_json(object(hold), Tz::UTC).unwrap();
        assert_eq!((record.signal.direction, record.closing), (None, None));
    }

    #[test]
    fn the_first_difference_is_named() {
        let signal = read(good()).unwrap();
        assert_eq!(signal.first_difference(&signal), None);
        let mut other = signal.clone();
        other.stop_loss = Some(94.0);
        assert_eq!(signal.first_difference(&other), Some("stopLoss"));
    }
}
