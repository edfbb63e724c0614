//! A trading signal and what became of it, checked at the door, and their JSON form.
//!
//! Both spellings of every key are read (`entryPrice` from JavaScript, `entry_price` from the files of the system that
//! came before); the snake_case one is written. Keys that mean nothing here are kept and written back as they came.

use crate::barrier::{Direction, Levels, Outcome};
use crate::error::{Error, Result, shown};
use crate::symbol::{Symbol, Timeframe};
use crate::time;
use chrono_tz::Tz;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

/// The longest signal id accepted, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// A signal, checked: ids are not empty, prices are finite and positive, levels lie on their side of the entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// The caller's unique id.
    pub id: String,
    /// The pair.
    pub symbol: Symbol,
    /// The candle interval it was made from; `1h` when the caller does not say.
    pub timeframe: Timeframe,
    /// `None` is HOLD: stored, but never open nor counted.
    pub direction: Option<Direction>,
    /// Percent, 0–100. Old files may lack it.
    pub confidence: Option<f64>,
    /// Entry price; only a HOLD may lack it.
    pub entry_price: Option<f64>,
    /// Below the entry for a BUY, above it for a SELL.
    pub stop_loss: Option<f64>,
    /// Above the entry for a BUY, below it for a SELL.
    pub take_profit: Option<f64>,
    /// When it was given, UTC epoch ms.
    pub timestamp_ms: i64,
    /// When it closes by itself, UTC epoch ms.
    pub expires_ms: Option<i64>,
    /// The caller's indicators as they came; [`Signal::numeric_indicators`] are those that can be learned from.
    pub indicators: Map<String, Value>,
    /// The features of the market at entry, when candles were known.
    pub features: Option<EntryFeatures>,
    /// Everything else the caller sent.
    pub extra: Map<String, Value>,
}

/// The feature row of the last closed candle before the signal.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EntryFeatures {
    /// [`crate::features::VERSION`] at the time: rows of another version are not mixed in.
    pub version: u32,
    /// One value per feature.
    pub values: Vec<f64>,
}

/// How a signal was closed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closing {
    /// As what; never `ACTIVE`.
    pub outcome: Outcome,
    /// At which price, if known.
    pub exit_price: Option<f64>,
    /// Profit in percent of the entry price, before costs.
    pub profit_percent: f64,
    /// When, UTC epoch ms.
    pub closed_ms: i64,
}

/// A signal and its end, if it has one: what one line of the log says.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The signal.
    pub signal: Signal,
    /// `None` while it is open, and for ever for a HOLD.
    pub closing: Option<Closing>,
}

/// How strictly to read a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From a caller: every field of the contract must be there.
    Caller,
    /// From a file, maybe of the old system: what can be done without may be missing.
    File,
}

/// The keys that say how a signal was closed, in both spellings.
const CLOSING_KEYS: [&str; 7] =
    ["outcome", "exit_price", "exitPrice", "profit_loss_percent", "profitLossPercent", "closed_at", "closedAt"];

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

fn wrong<T>(field: &'static str, problem: &'static str, value: impl std::fmt::Display) -> Result<T> {
    Err(Error::InvalidSignal { field, problem, value: shown(value) })
}

/// The prices of a signal as far as they are there.
struct Prices {
    entry: Option<f64>,
    stop_loss: Option<f64>,
    take_profit: Option<f64>,
}

/// Takes fields out of a JSON object by any of their spellings.
struct Fields(Map<String, Value>);

impl Fields {
    fn take(&mut self, spellings: &[&str]) -> Option<Value> {
        // All spellings are removed, so that none is left over in `extra`; the first one present wins.
        let found: Vec<Value> = spellings.iter().filter_map(|key| self.0.shift_remove(*key)).collect();
        found.into_iter().find(|value| !value.is_null())
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

    /// Reads and checks a signal. Naive times are read in `zone`.
    pub fn from_json(object: Map<String, Value>, source: Source, zone: Tz) -> Result<Self> {
        let mut fields = Fields(object);
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
        // What became of a signal is the store's to say: a caller's `outcome` must not stand in for it in the log.
        fields.take(&CLOSING_KEYS);
        if indicators.values().any(|value| deeper_than(MAX_DEPTH, value)) {
            return wrong("indicators", TOO_DEEP, "more");
        }
        if fields.0.values().any(|value| deeper_than(MAX_DEPTH, value)) {
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
            extra: fields.0,
        })
    }

    /// The levels of an object that need not be a whole signal: `signal_type`, `entry_price`, `stop_loss`, `take_profit`,
    /// `expires_at`, in either spelling. `None` for a HOLD. Prices of any time may close them.
    pub fn levels_of(object: Map<String, Value>) -> Result<Option<Levels>> {
        let mut fields = Fields(object);
        let Some(direction) = fields.direction()? else { return Ok(None) };
        let prices = fields.prices(Some(direction))?;
        let expires_ms = fields.time("expiresAt", &["expires_at", "expiresAt"], Tz::UTC)?;
        let levels = prices.entry.map(|entry| Levels::checked(direction, entry, prices.stop_loss, prices.take_profit));
        Ok(levels.transpose()?.map(|levels| Levels { expires_ms, ..levels }))
    }

    /// The levels that close it; `None` for a HOLD.
    pub fn levels(&self) -> Option<Levels> {
        Some(Levels {
            direction: self.direction?,
            entry: self.entry_price?,
            stop_loss: self.stop_loss,
            take_profit: self.take_profit,
            since_ms: self.timestamp_ms,
            expires_ms: self.expires_ms,
        })
    }

    /// The indicators that are numbers, nested ones by dotted name (`macd.histogram`); missing and non-finite ones left out.
    pub fn numeric_indicators(&self) -> Vec<(String, f64)> {
        let mut found = Vec::new();
        collect_numbers("", &self.indicators, &mut found);
        found
    }

    /// The first field, by its camelCase name, in which `other` says something else. Features at entry are signalloop's
    /// own addition and do not count.
    pub fn first_difference(&self, other: &Self) -> Option<&'static str> {
        let differs = [
            ("id", self.id != other.id),
            ("symbol", self.symbol != other.symbol),
            ("timeframe", self.timeframe != other.timeframe),
            ("signalType", self.direction != other.direction),
            ("confidence", self.confidence != other.confidence),
            ("entryPrice", self.entry_price != other.entry_price),
            ("stopLoss", self.stop_loss != other.stop_loss),
            ("takeProfit", self.take_profit != other.take_profit),
            ("timestamp", self.timestamp_ms != other.timestamp_ms),
            ("expiresAt", self.expires_ms != other.expires_ms),
            ("indicators", self.indicators != other.indicators),
            ("other fields", self.extra != other.extra),
        ];
        differs.into_iter().find_map(|(field, differs)| differs.then_some(field))
    }
}

impl Levels {
    /// Levels that lie on their sides of the entry, without an expiry; prices of any time may close them. Prices must be
    /// finite and above 0.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] naming the level on the wrong side.
    pub fn checked(direction: Direction, entry: f64, stop_loss: Option<f64>, take_profit: Option<f64>) -> Result<Self> {
        check_levels(direction, Some(entry), stop_loss, take_profit)?;
        Ok(Self { direction, entry, stop_loss, take_profit, since_ms: i64::MIN, expires_ms: None })
    }
}

fn show(value: &Option<Value>) -> String {
    value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string)
}

fn check_levels(direction: Direction, entry: Option<f64>, stop: Option<f64>, target: Option<f64>) -> Result<()> {
    let Some(entry) = entry else {
        return wrong("entryPrice", "must be a finite price above 0", "nothing");
    };
    if let Some(stop) = stop.filter(|stop| direction.sign() * (entry - stop) <= 0.0) {
        let problem = match direction {
            Direction::Buy => "must be below the entry price of a BUY",
            Direction::Sell => "must be above the entry price of a SELL",
        };
        return wrong("stopLoss", problem, format!("{stop} at entry {entry}"));
    }
    if let Some(target) = target.filter(|target| direction.sign() * (target - entry) <= 0.0) {
        let problem = match direction {
            Direction::Buy => "must be above the entry price of a BUY",
            Direction::Sell => "must be below the entry price of a SELL",
        };
        return wrong("takeProfit", problem, format!("{target} at entry {entry}"));
    }
    Ok(())
}

fn collect_numbers(prefix: &str, map: &Map<String, Value>, found: &mut Vec<(String, f64)>) {
    for (name, value) in map {
        let full = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Number(number) => found.extend(number.as_f64().filter(|v| v.is_finite()).map(|v| (full, v))),
            Value::Bool(flag) => found.push((full, f64::from(u8::from(*flag)))),
            Value::Object(nested) => collect_numbers(&full, nested, found),
            _ => {}
        }
    }
}

impl Record {
    /// Reads one line of the log, new or old.
    pub fn from_json(object: Map<String, Value>, zone: Tz) -> Result<Self> {
        let mut fields = Fields(object);
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
        let signal = Signal::from_json(fields.0, Source::File, zone)?;
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

    /// The line's JSON object, as [`Record`] serialises.
    pub fn to_json(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }
}

/// The keys of one line, in the order in which they are written: the outcome last, where the eye finds it.
impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let signal = &self.signal;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("signal_id", &signal.id)?;
        map.serialize_entry("symbol", signal.symbol.as_str())?;
        map.serialize_entry("timeframe", signal.timeframe.as_str())?;
        match signal.direction {
            Some(direction) => map.serialize_entry("signal_type", &direction)?,
            None => map.serialize_entry("signal_type", "HOLD")?,
        }
        let optional = [
            ("confidence", signal.confidence),
            ("entry_price", signal.entry_price),
            ("stop_loss", signal.stop_loss),
            ("take_profit", signal.take_profit),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                map.serialize_entry(key, &value)?;
            }
        }
        map.serialize_entry("timestamp", &time::format_iso(signal.timestamp_ms))?;
        if let Some(at) = signal.expires_ms {
            map.serialize_entry("expires_at", &time::format_iso(at))?;
        }
        if !signal.indicators.is_empty() {
            map.serialize_entry("indicators", &signal.indicators)?;
        }
        if let Some(features) = &signal.features {
            map.serialize_entry("features", features)?;
        }
        for (key, value) in &signal.extra {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("outcome", &self.closing.map_or(Outcome::Active, |closing| closing.outcome))?;
        if let Some(closing) = &self.closing {
            if let Some(price) = closing.exit_price {
                map.serialize_entry("exit_price", &price)?;
            }
            map.serialize_entry("profit_loss_percent", &closing.profit_percent)?;
            map.serialize_entry("closed_at", &time::format_iso(closing.closed_ms))?;
        }
        map.end()
    }
}

/// What an outcome may be, phrased for an error.
pub const OUTCOMES: &str = "must be one of TOOK_PROFIT, STOPPED_OUT, SUCCESS, FAILURE, ACTIVE";

/// The profit of a closing that names neither profit nor exit: that of the barrier it names, else 0.
pub fn assumed_profit(levels: &Levels, outcome: Outcome, exit_price: Option<f64>) -> f64 {
    let barrier = match outcome {
        Outcome::TookProfit => levels.take_profit,
        Outcome::StoppedOut => levels.stop_loss,
        _ => None,
    };
    exit_price.or(barrier).map_or(0.0, |exit| levels.profit_percent(exit))
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
