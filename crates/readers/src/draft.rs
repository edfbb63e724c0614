//! A signal that is being read, and the checks that every signal passes.

use super::{Options, Pair, Refused, Signal};
use domain::barrier::{Direction, Outcome};
use domain::error::Error;
use domain::signal::Record;
use domain::symbol::Timeframe;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// A level that is more than this many times the entry, or less than the entry divided by it, is a slip in writing.
const FARTHEST: f64 = 100.0;

/// Where a signal is entered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entry {
    Price(f64),
    Zone { low: f64, high: f64 },
}

impl Entry {
    pub fn low(self) -> f64 {
        match self {
            Self::Price(price) => price,
            Self::Zone { low, .. } => low,
        }
    }

    pub fn high(self) -> f64 {
        match self {
            Self::Price(price) => price,
            Self::Zone { high, .. } => high,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    pub price: f64,
    /// Percent of the position.
    pub share: Option<f64>,
}

/// How a signal ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct End {
    pub outcome: Outcome,
    pub exit_price: Option<f64>,
    pub profit_percent: Option<f64>,
    pub closed_ms: i64,
}

/// What was read of a signal.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The id that it says, if it says one.
    pub id: Option<String>,
    /// What tells it from others where it has no id, with its time: the content of its message, or the facts of its trade.
    pub content: String,
    pub pair: Pair,
    pub timeframe: Option<Timeframe>,
    /// `None` is a HOLD.
    pub direction: Option<Direction>,
    pub confidence: Option<f64>,
    pub entry: Option<Entry>,
    pub entry_type: Option<&'static str>,
    pub stop_loss: Option<f64>,
    pub targets: Vec<Target>,
    pub stop_rules: Map<String, Value>,
    pub timestamp_ms: i64,
    pub entry_expires_ms: Option<i64>,
    pub expires_ms: Option<i64>,
    pub leverage: Option<f64>,
    pub quantity: Option<f64>,
    /// Of the round trip, in basis points of the price.
    pub fee_bps: Option<f64>,
    pub strategy: Option<String>,
    /// `Some(false)` for one of a backtest, which nobody traded.
    pub taken: Option<bool>,
    pub tags: Vec<String>,
    pub indicators: Map<String, Value>,
    pub end: Option<End>,
}

impl Draft {
    pub fn new(pair: Pair, direction: Option<Direction>, timestamp_ms: i64) -> Self {
        Self {
            id: None,
            content: String::new(),
            pair,
            timeframe: None,
            direction,
            confidence: None,
            entry: None,
            entry_type: None,
            stop_loss: None,
            targets: Vec::new(),
            stop_rules: Map::new(),
            timestamp_ms,
            entry_expires_ms: None,
            expires_ms: None,
            leverage: None,
            quantity: None,
            fee_bps: None,
            strategy: None,
            taken: None,
            tags: Vec::new(),
            indicators: Map::new(),
            end: None,
        }
    }

    /// The signal.
    pub fn finish(self, place: &str, format: &str, options: &Options) -> Result<Signal, Refused> {
        self.check(place)?;
        let mut signal = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                signal.insert(key.to_owned(), value);
            }
        };
        let id = self.id.clone().unwrap_or_else(|| self.made_id(format, options));
        put("id", Some(json!(id)));
        put("symbol", Some(json!(self.pair.symbol)));
        put("timeframe", self.timeframe.or(options.timeframe).map(|timeframe| json!(timeframe)));
        put("signalType", Some(json!(self.direction.map_or("HOLD", Direction::as_str))));
        put("confidence", self.confidence.or(options.confidence).map(|confidence| json!(confidence)));
        match self.entry {
            Some(Entry::Price(price)) => put("entryPrice", Some(json!(price))),
            Some(Entry::Zone { low, high }) => put("entryZone", Some(json!({ "low": low, "high": high }))),
            None => {}
        }
        put("entryType", self.entry_type.map(|kind| json!(kind)));
        put("stopLoss", self.stop_loss.map(|price| json!(price)));
        match self.targets.as_slice() {
            [] => {}
            [Target { price, share: None }] => put("takeProfit", Some(json!(price))),
            targets => put("takeProfits", Some(targets.iter().map(target_json).collect())),
        }
        put("stopRules", (!self.stop_rules.is_empty()).then(|| json!(self.stop_rules)));
        put("timestamp", Some(json!(self.timestamp_ms)));
        put("entryExpiresAt", self.entry_expires_ms.map(|ms| json!(ms)));
        put("expiresAt", self.expires_ms.map(|ms| json!(ms)));
        put("leverage", self.leverage.map(|leverage| json!(leverage)));
        put("quantity", self.quantity.map(|quantity| json!(quantity)));
        put("feeBps", self.fee_bps.map(|fee| json!((fee * 1e6).round() / 1e6)));
        put("strategy", self.strategy.as_ref().or(options.strategy.as_ref()).map(|strategy| json!(strategy)));
        put("taken", self.taken.map(|taken| json!(taken)));
        put("source", Some(json!(options.source.as_deref().unwrap_or(format))));
        put("tags", (!self.tags.is_empty()).then(|| json!(self.tags)));
        put("indicators", (!self.indicators.is_empty()).then(|| json!(self.indicators)));
        if let Some(end) = self.end {
            put("outcome", Some(json!(end.outcome)));
            put("exitPrice", end.exit_price.map(|price| json!(price)));
            put("profitLossPercent", end.profit_percent.map(|percent| json!(percent)));
            put("closedAt", Some(json!(end.closed_ms)));
        }
        Self::check_read(&signal, place, options)?;
        Ok(signal)
    }

    /// Levels far from the entry; all else is checked as the signal will be read.
    fn check(&self, place: &str) -> Result<(), Refused> {
        let Some(entry) = self.entry else { return Ok(()) };
        let mut levels = self.targets.iter().map(|target| target.price).chain(self.stop_loss);
        match levels.find(|price| *price > entry.high() * FARTHEST || *price < entry.low() / FARTHEST) {
            Some(price) => {
                let problem = format!("a level must not be {FARTHEST} times away from the entry");
                Err(Refused::new(place, problem, format!("{price} at entry {}", entry.low())))
            }
            None => Ok(()),
        }
    }

    /// What is handed on is what the store takes, with a confidence where it asks for one.
    fn check_read(signal: &Signal, place: &str, options: &Options) -> Result<(), Refused> {
        let mut given = signal.clone();
        given.entry("confidence").or_insert_with(|| json!(50));
        let read = Record::given(Value::Object(given), options.zone);
        match read.and_then(|record| record.check(0.0)) {
            Ok(()) => Ok(()),
            Err(Error::InvalidSignal { field, problem, value }) => {
                Err(Refused::new(place, format!("`{field}` {problem}"), value))
            }
            Err(other) => Err(Refused::new(place, "cannot be a signal", other)),
        }
    }

    /// The same for the same content and time, and another for any other.
    fn made_id(&self, format: &str, options: &Options) -> String {
        let hash = digest(&SHA256, format!("{format}\n{}\n{}", self.timestamp_ms, self.content).as_bytes());
        let mut id = options.id_prefix.clone();
        for byte in &hash.as_ref()[..12] {
            // Writing to a String cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        id
    }
}

fn target_json(target: &Target) -> Value {
    match target.share {
        Some(share) => json!({ "price": target.price, "share": share }),
        None => json!({ "price": target.price }),
    }
}
