//! What the keys of an alert mean.

use super::super::number::number;
use serde_json::{Map, Value};

/// A meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Symbol,
    Side,
    MarketPosition,
    Entry,
    Price,
    Close,
    EntryType,
    Stop,
    /// 0 for `tp`, else its number.
    Target(u32),
    Targets,
    /// A stop or a target as a distance.
    Distance,
    Interval,
    TimeNow,
    Timestamp,
    Time,
    ExpiresAt,
    EntryExpiresAt,
    Id,
    Confidence,
    Leverage,
    Strategy,
    Tags,
}

/// A member with a meaning.
#[derive(Debug)]
pub struct Given<'a> {
    pub key: Key,
    /// Its path in the alert.
    pub path: String,
    pub value: &'a Value,
}

impl Given<'_> {
    /// A text that is not blank, or a number as text.
    pub fn text(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Whether both say the same, numbers also as texts.
    pub fn is_same(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (self.text(), other.text()) else { return self.value == other.value };
        one.eq_ignore_ascii_case(&two) || number(&one).is_some_and(|one| number(&two) == Some(one))
    }
}

/// A key in lower case, letters and digits only.
pub fn normalised(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Objects whose members are read as if they were the alert's own.
const PARENTS: [&str; 9] =
    ["strategy", "order", "strategyorder", "data", "signal", "alert", "trade", "payload", "levels"];

/// Members that are neither signals nor indicators. Volume and prices of the candle are in the candles.
const IGNORED: [&str; 24] = [
    "quantity",
    "qty",
    "contracts",
    "ordercontracts",
    "strategyordercontracts",
    "size",
    "ordersize",
    "amount",
    "positionsize",
    "strategypositionsize",
    "marketpositionsize",
    "strategymarketpositionsize",
    "prevmarketpositionsize",
    "strategyprevmarketpositionsize",
    "volume",
    "open",
    "high",
    "low",
    "volumepercent",
    "pin",
    "otp",
    "passphrase",
    "secret",
    "version",
];

fn meaning(name: &str) -> Option<Key> {
    let numbered = |prefix: &str| {
        let number: u32 = name.strip_prefix(prefix)?.parse().ok()?;
        (1..=99).contains(&number).then_some(Key::Target(number))
    };
    Some(match name {
        "ticker" | "symbol" | "pair" | "tickerid" | "instrument" | "market" | "coin" => Key::Symbol,
        "action" | "side" | "signal" | "direction" | "orderaction" | "strategyorderaction" | "signaltype" | "order" => {
            Key::Side
        }
        "marketposition" | "strategymarketposition" => Key::MarketPosition,
        "entry" | "entryprice" | "orderprice" | "strategyorderprice" => Key::Entry,
        "price" => Key::Price,
        "close" | "currentprice" | "lastprice" => Key::Close,
        "entrytype" | "ordertype" => Key::EntryType,
        "sl" | "stop" | "stoploss" | "stoplossprice" | "slprice" | "stopprice" => Key::Stop,
        "tp" | "takeprofit" | "takeprofitprice" | "target" | "targetprice" | "tpprice" => Key::Target(0),
        "tps" | "takeprofits" | "targets" | "takeprofittargets" => Key::Targets,
        "interval" | "timeframe" | "tf" | "resolution" => Key::Interval,
        "timenow" => Key::TimeNow,
        "timestamp" | "alerttime" | "signaltime" | "firedat" | "sentat" => Key::Timestamp,
        "time" | "datetime" | "date" => Key::Time,
        "expiresat" | "expiry" | "expiration" | "validuntil" => Key::ExpiresAt,
        "entryexpiresat" => Key::EntryExpiresAt,
        "id" | "signalid" | "alertid" | "uuid" => Key::Id,
        "confidence" => Key::Confidence,
        "leverage" | "lev" => Key::Leverage,
        "strategy" | "strategyname" => Key::Strategy,
        "tags" | "tag" | "orderid" | "strategyorderid" => Key::Tags,
        _ => {
            return ["tp", "takeprofit", "target"]
                .iter()
                .find_map(|prefix| numbered(prefix))
                .or_else(|| distance(name));
        }
    })
}

/// `sl_percent`, `tp1_pips`: silently left out, the signal would have no stop.
fn distance(name: &str) -> Option<Key> {
    const UNITS: [&str; 9] = ["percent", "percentage", "pct", "perc", "pips", "points", "ticks", "atr", "distance"];
    let level =
        ["sl", "stoploss", "stop", "tp", "takeprofit", "target"].iter().find_map(|level| name.strip_prefix(level))?;
    let unit = level.trim_start_matches(|c: char| c.is_ascii_digit());
    UNITS.contains(&unit).then_some(Key::Distance)
}

/// The value of `type`, which some use for the side and some for the order.
fn typed(value: &Value) -> Option<Key> {
    match value.as_str().map(normalised).as_deref() {
        Some("buy" | "sell" | "long" | "short") => Some(Key::Side),
        Some("market" | "limit" | "stop" | "stopmarket") => Some(Key::EntryType),
        _ => None,
    }
}

/// Sorts the members of an alert by meaning.
pub fn known<'a>(
    map: &'a Map<String, Value>,
    path: &str,
    given: &mut Vec<Given<'a>>,
    indicators: &mut Map<String, Value>,
) {
    for (key, value) in map {
        let name = normalised(key);
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let is_blank = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        match value {
            _ if is_blank => {}
            Value::Object(inner) if ["indicators", "features", "plots"].contains(&name.as_str()) => {
                indicators.extend(inner.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            Value::Object(inner) if PARENTS.contains(&name.as_str()) => known(inner, &path, given, indicators),
            Value::Object(inner) if ["bar", "candle"].contains(&name.as_str()) => {
                let close = inner.get("close").filter(|close| !close.is_null());
                given.extend(close.map(|value| Given { key: Key::Close, path: format!("{path}.close"), value }));
            }
            _ => match if name == "type" { typed(value) } else { meaning(&name) } {
                Some(key) => given.push(Given { key, path, value }),
                None if IGNORED.contains(&name.as_str()) || name.ends_with("id") || name == "type" => {}
                None => indicators.extend(indicator(value).map(|value| (key.clone(), value))),
            },
        }
    }
}

/// A number, the text of one, or a flag.
fn indicator(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::String(text) => number(text).map(Value::from),
        _ => None,
    }
}
