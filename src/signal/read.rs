//! Reading signals and records from JSON.

use super::indicators::{Indicators, MAX_DEPTH, Unfit};
use super::{Closing, MAX_ID_BYTES, OUTCOMES, Record, Signal, assumed_profit, check_levels, wrong};
use crate::barrier::{Direction, Levels, Outcome};
use crate::error::{Error, Result};
use crate::symbol::{Symbol, Timeframe};
use crate::time;
use crate::time::Tz;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt;

/// How strictly to read a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From a caller: every field of the contract must be there.
    Caller,
    /// From a file, maybe of the old system: what can be done without may be missing.
    File,
    /// From a caller who asks about it: it needs no id and no confidence, and was given now unless it says otherwise.
    Question {
        /// UTC epoch ms.
        now_ms: i64,
    },
}

/// The id of a signal that is only asked about.
const NO_ID: &str = "assessed";

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

/// What a key may mean.
#[derive(Clone, Copy, PartialEq)]
enum Name {
    Id,
    Symbol,
    Timeframe,
    SignalType,
    Confidence,
    EntryPrice,
    StopLoss,
    TakeProfit,
    Timestamp,
    ExpiresAt,
    Indicators,
    Features,
    Outcome,
    ExitPrice,
    ProfitPercent,
    ClosedAt,
}

/// How many meanings there are.
const NAMES: usize = Name::ClosedAt as usize + 1;

/// The keys that mean something, in every spelling. Of several that mean the same, the first one here wins.
const KEYS: [(&str, Name); 27] = [
    ("signal_id", Name::Id),
    ("signalId", Name::Id),
    ("id", Name::Id),
    ("symbol", Name::Symbol),
    ("pair", Name::Symbol),
    ("timeframe", Name::Timeframe),
    ("signal_type", Name::SignalType),
    ("signalType", Name::SignalType),
    ("confidence", Name::Confidence),
    ("entry_price", Name::EntryPrice),
    ("entryPrice", Name::EntryPrice),
    ("stop_loss", Name::StopLoss),
    ("stopLoss", Name::StopLoss),
    ("take_profit", Name::TakeProfit),
    ("takeProfit", Name::TakeProfit),
    ("timestamp", Name::Timestamp),
    ("expires_at", Name::ExpiresAt),
    ("expiresAt", Name::ExpiresAt),
    ("indicators", Name::Indicators),
    ("features", Name::Features),
    ("outcome", Name::Outcome),
    ("exit_price", Name::ExitPrice),
    ("exitPrice", Name::ExitPrice),
    ("profit_loss_percent", Name::ProfitPercent),
    ("profitLossPercent", Name::ProfitPercent),
    ("closed_at", Name::ClosedAt),
    ("closedAt", Name::ClosedAt),
];

/// A JSON object: what means something, and the rest.
#[derive(Default)]
struct Fields<'a> {
    /// One value for each meaning, never null, and the position of its key in [`KEYS`].
    known: Vec<(usize, Field<'a>)>,
    /// Where in `known` the value of each meaning is, counted from 1; 0 where there is none.
    places: [u8; NAMES],
    others: Map<String, Value>,
}

/// A value; most are texts and numbers, which need no memory of their own.
enum Field<'a> {
    Text(Cow<'a, str>),
    /// The text of any value; only of indicators, which are kept as text.
    Raw(&'a RawValue),
    Other(Value),
}

impl Default for Field<'_> {
    fn default() -> Self {
        Self::Other(Value::Null)
    }
}

impl Field<'_> {
    fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Raw(_) | Self::Other(_) => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Text(_) | Self::Raw(_) => None,
            Self::Other(value) => value.as_f64(),
        }
    }

    fn is_null(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Raw(text) => text.get() == "null",
            Self::Other(value) => value.is_null(),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Raw(text) => serde_json::from_str(text.get()).unwrap_or_default(),
            Self::Other(value) => value,
        }
    }
}

/// As JSON.
impl fmt::Display for Field<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => json!(text).fmt(formatter),
            Self::Raw(text) => text.fmt(formatter),
            Self::Other(value) => value.fmt(formatter),
        }
    }
}

impl From<Map<String, Value>> for Fields<'static> {
    fn from(map: Map<String, Value>) -> Self {
        let mut fields = Self::default();
        for (key, value) in map {
            match (known(&key), value) {
                (Some((name, at)), Value::String(text)) => fields.keep(name, at, Field::Text(Cow::Owned(text))),
                (Some((name, at)), value) => fields.keep(name, at, Field::Other(value)),
                (None, value) => drop(fields.others.insert(key, value)),
            }
        }
        fields
    }
}

fn known(key: &str) -> Option<(Name, usize)> {
    KEYS.iter().position(|(known, _)| *known == key).map(|at| (KEYS[at].1, at))
}

/// Read straight from text: a map of all of it would cost more than everything else together.
impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Self::Value, A::Error> {
                let mut fields = Fields { known: Vec::with_capacity(12), ..Fields::default() };
                while let Some(Text(key)) = members.next_key()? {
                    match known(&key) {
                        Some((Name::Indicators, at)) => {
                            fields.keep(Name::Indicators, at, Field::Raw(members.next_value()?));
                        }
                        Some((name, at)) => fields.keep(name, at, members.next_value()?),
                        None => drop(fields.others.insert(key.into_owned(), members.next_value()?)),
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// What `read` makes of the objects of a JSON array, one after the other.
fn read_each<T>(
    text: &str,
    read: impl FnMut(Fields<'_>) -> Result<T>,
) -> std::result::Result<Result<Vec<T>>, serde_json::Error> {
    struct Array<F>(F);
    impl<'de, T, F: FnMut(Fields<'_>) -> Result<T>> Visitor<'de> for Array<F> {
        type Value = Result<Vec<T>>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an array of objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> std::result::Result<Self::Value, A::Error> {
            let mut made = Ok(Vec::new());
            while let Some(fields) = items.next_element()? {
                match (self.0(fields), &mut made) {
                    (Ok(one), Ok(all)) => all.push(one),
                    // The first error stands; what follows is read all the same, for it may not even be an object.
                    (Err(error), Ok(_)) => made = Err(error),
                    (_, Err(_)) => {}
                }
            }
            Ok(made)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let made = deserializer.deserialize_seq(Array(read))?;
    deserializer.end().map(|()| made)
}

/// A text, borrowed where it holds no escapes, which a bare `Cow` never is.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Field<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Self::Value, E> {
                Ok(Field::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
                Ok(Field::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_bool<E>(self, flag: bool) -> std::result::Result<Self::Value, E> {
                Ok(Field::Other(flag.into()))
            }

            fn visit_i64<E>(self, number: i64) -> std::result::Result<Self::Value, E> {
                Ok(Field::Other(number.into()))
            }

            fn visit_u64<E>(self, number: u64) -> std::result::Result<Self::Value, E> {
                Ok(Field::Other(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> std::result::Result<Self::Value, E> {
                Ok(Field::Other(number.into()))
            }

            fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
                Ok(Field::Other(Value::Null))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> std::result::Result<Self::Value, A::Error> {
                Value::deserialize(SeqAccessDeserializer::new(items)).map(Field::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> std::result::Result<Self::Value, A::Error> {
                Value::deserialize(MapAccessDeserializer::new(members)).map(Field::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'a> Fields<'a> {
    /// Keeps the value of a key. A null counts as missing; of several keys that mean the same, the first in [`KEYS`] stands.
    fn keep(&mut self, name: Name, at: usize, field: Field<'a>) {
        let place = &mut self.places[name as usize];
        match usize::from(*place).checked_sub(1).and_then(|index| self.known.get_mut(index)) {
            _ if field.is_null() => {}
            None => {
                self.known.push((at, field));
                *place = self.known.len() as u8;
            }
            Some(kept) if at <= kept.0 => *kept = (at, field),
            Some(_) => {}
        }
    }

    fn take(&mut self, name: Name) -> Option<Field<'a>> {
        let place = std::mem::take(&mut self.places[name as usize]);
        let (_, field) = self.known.get_mut(usize::from(place).checked_sub(1)?)?;
        Some(std::mem::take(field))
    }

    fn price(&mut self, field: &'static str, name: Name) -> Result<Option<f64>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(price) if price.is_finite() && price > 0.0 => Ok(Some(price)),
                _ => wrong(field, "must be a finite price above 0", value),
            },
        }
    }

    fn direction(&mut self) -> Result<Option<Direction>> {
        let value = self.take(Name::SignalType);
        let text = value.as_ref().and_then(Field::as_str).unwrap_or_default().trim();
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        match () {
            () if is("BUY") => Ok(Some(Direction::Buy)),
            () if is("SELL") => Ok(Some(Direction::Sell)),
            () if is("HOLD") => Ok(None),
            () => wrong("signalType", "must be BUY, SELL or HOLD", show(&value)),
        }
    }

    /// The prices of a signal, on their sides of the entry unless it is a HOLD.
    fn prices(&mut self, direction: Option<Direction>) -> Result<Prices> {
        let entry = self.price("entryPrice", Name::EntryPrice)?;
        let stop_loss = self.price("stopLoss", Name::StopLoss)?;
        let take_profit = self.price("takeProfit", Name::TakeProfit)?;
        if let Some(direction) = direction {
            check_levels(direction, entry, stop_loss, take_profit)?;
        }
        Ok(Prices { entry, stop_loss, take_profit })
    }

    fn time(&mut self, field: &'static str, name: Name, zone: Tz) -> Result<Option<i64>> {
        self.take(name).map(|value| read_time(field, &value, zone)).transpose()
    }

    fn indicators(&mut self) -> Result<Indicators> {
        let Some(field) = self.take(Name::Indicators) else { return Ok(Indicators::default()) };
        let read = match &field {
            Field::Text(_) => Err(Unfit::NoObject),
            Field::Raw(text) => Indicators::of_text(text),
            Field::Other(value) => Indicators::of_value(value),
        };
        read.or_else(|unfit| match unfit {
            Unfit::NoObject => wrong("indicators", "must be an object of names and numbers", field),
            Unfit::TooDeep => wrong("indicators", TOO_DEEP, "more"),
        })
    }
}

fn read_time(field: &'static str, value: &Field<'_>, zone: Tz) -> Result<i64> {
    let ms = match value.as_str() {
        Some(text) => time::parse_time(text, zone),
        // The cast is exact in the range checked.
        None => value
            .as_f64()
            .filter(|ms| (time::MIN_MILLIS as f64..=time::MAX_MILLIS as f64).contains(ms))
            .map(|ms| ms as i64),
    };
    match ms {
        Some(ms) => Ok(ms),
        None => wrong(field, "must be a Date, an ISO 8601 string or epoch milliseconds", value),
    }
}

impl Signal {
    /// The keys that [`Self::levels_of`] reads.
    pub const LEVEL_KEYS: [&str; 10] = [
        "signal_type",
        "signalType",
        "entry_price",
        "entryPrice",
        "stop_loss",
        "stopLoss",
        "take_profit",
        "takeProfit",
        "expires_at",
        "expiresAt",
    ];

    /// Reads and checks a signal, which must be an object. Naive times are read in `zone`.
    pub fn from_value(value: Value, source: Source, zone: Tz) -> Result<Self> {
        match value {
            Value::Object(map) => Self::from_json(map, source, zone),
            other => Err(Error::argument("signal", "must be an object", other)),
        }
    }

    /// Reads and checks the signals of a JSON array. Naive times are read in `zone`.
    ///
    /// # Errors
    /// That of the first that is wrong.
    pub fn array_from_text(text: &str, zone: Tz) -> Result<Vec<Self>> {
        if let Ok(signals) = read_each(text, |fields| Self::read(fields, Source::Caller, zone)) {
            return signals;
        }
        // Something in it is not an object: which, the long way tells.
        let unreadable = |e: serde_json::Error| Error::argument("signals", "must be an array of signals", e);
        let items: Vec<Value> = serde_json::from_str(text).map_err(unreadable)?;
        items.into_iter().map(|item| Self::from_value(item, Source::Caller, zone)).collect()
    }

    /// Reads and checks a signal from the text of a JSON object. Naive times are read in `zone`.
    pub fn from_text(text: &str, source: Source, zone: Tz) -> Result<Self> {
        let fields = serde_json::from_str(text).map_err(|e| Error::argument("signal", "must be an object", e))?;
        Self::read(fields, source, zone)
    }

    /// Reads and checks a signal. Naive times are read in `zone`.
    pub fn from_json(object: Map<String, Value>, source: Source, zone: Tz) -> Result<Self> {
        Self::read(object.into(), source, zone)
    }

    fn read(mut fields: Fields<'_>, source: Source, zone: Tz) -> Result<Self> {
        let id = match fields.take(Name::Id) {
            Some(Field::Text(id)) if !id.trim().is_empty() && id.len() <= MAX_ID_BYTES => id.into_owned(),
            Some(Field::Other(Value::Number(id))) if id.is_u64() => id.to_string(),
            None if matches!(source, Source::Question { .. }) => NO_ID.to_owned(),
            other => return wrong("id", "must be a text of 1 to 256 bytes that names this signal alone", show(&other)),
        };
        let parse_symbol = if source == Source::File { Symbol::parse } else { Symbol::given };
        let symbol = match fields.take(Name::Symbol) {
            Some(Field::Text(text)) => match parse_symbol(&text) {
                Ok(symbol) => symbol,
                Err(_) => return wrong("symbol", "must be a pair of letters and digits such as BTC/USDT", json!(text)),
            },
            other => return wrong("symbol", "must be a pair such as BTC/USDT", show(&other)),
        };
        let timeframe = match fields.take(Name::Timeframe) {
            None => Timeframe::H1,
            Some(Field::Text(text)) => match Timeframe::parse(&text) {
                Ok(timeframe) => timeframe,
                Err(_) => return wrong("timeframe", "must be one of 1m … 12h, 1d, 3d, 1w", json!(text)),
            },
            Some(other) => return wrong("timeframe", "must be one of 1m … 12h, 1d, 3d, 1w", other),
        };
        let direction = fields.direction()?;
        let confidence = match fields.take(Name::Confidence) {
            None if source != Source::Caller => None,
            None => return wrong("confidence", "must be a percentage, 0 to 100", "nothing"),
            Some(value) => match value.as_f64() {
                Some(percent) if (0.0..=100.0).contains(&percent) => Some(percent),
                _ => return wrong("confidence", "must be a percentage, 0 to 100", value),
            },
        };
        let prices = fields.prices(direction)?;
        let timestamp_ms = match (fields.time("timestamp", Name::Timestamp, zone)?, source) {
            (Some(timestamp_ms), _) => timestamp_ms,
            (None, Source::Question { now_ms }) => now_ms,
            (None, _) => {
                return wrong("timestamp", "must be a Date, an ISO 8601 string or epoch milliseconds", "nothing");
            }
        };
        let expires_ms = fields.time("expiresAt", Name::ExpiresAt, zone)?;
        if expires_ms.is_some_and(|at| at <= timestamp_ms) {
            return wrong("expiresAt", "must be later than the timestamp", time::format_iso(expires_ms.unwrap_or(0)));
        }
        let indicators = fields.indicators()?;
        // Features come from signalloop itself, by way of the file; ones it cannot read it does without.
        let features = fields.take(Name::Features).and_then(|value| serde_json::from_value(value.into_value()).ok());
        // How it was closed, which is left in `fields`, is the store's to say: a caller's `outcome` must not stand in for it.
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

    /// The levels of an object that need not be a whole signal, by [`Self::LEVEL_KEYS`]. `None` for a HOLD. Prices of any
    /// time may close them.
    pub fn levels_of(object: Map<String, Value>) -> Result<Option<Levels>> {
        let mut fields = Fields::from(object);
        let Some(direction) = fields.direction()? else { return Ok(None) };
        let prices = fields.prices(Some(direction))?;
        let expires_ms = fields.time("expiresAt", Name::ExpiresAt, Tz::UTC)?;
        let levels = prices.entry.map(|entry| Levels::checked(direction, entry, prices.stop_loss, prices.take_profit));
        Ok(levels.transpose()?.map(|levels| Levels { expires_ms, ..levels }))
    }
}

fn show(value: &Option<Field<'_>>) -> String {
    value.as_ref().map_or_else(|| "nothing".to_owned(), Field::to_string)
}

impl Record {
    /// Reads one line of the log, new or old.
    pub fn from_json(object: Map<String, Value>, zone: Tz) -> Result<Self> {
        let mut fields = Fields::from(object);
        let outcome = match fields.take(Name::Outcome) {
            None => Outcome::Active,
            Some(value) => match value.as_str().and_then(|text| serde_json::from_value(json!(text)).ok()) {
                Some(outcome) => outcome,
                None => return wrong("outcome", OUTCOMES, value),
            },
        };
        let exit_price = fields.price("exitPrice", Name::ExitPrice)?;
        let profit = fields.take(Name::ProfitPercent).and_then(|value| value.as_f64());
        let closed_ms = fields.time("closedAt", Name::ClosedAt, zone)?;
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
        assert_eq!(
            signal.indicators.numbers(),
            [("rsi".into(), 71.5), ("macd.histogram".into(), -0.2), ("late".into(), 1.0)]
        );
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
    fn text_is_read_as_the_value_it_stands_for() {
        let odd =
            json!({ "note": "\u{e9} \"quoted\" \\ \n", "deep": [{ "a": null }, 1.5e300, -7, u64::MAX, true], "": {} });
        let mut value = good();
        for (key, part) in object(odd) {
            value[key] = part;
        }
        value["pair"] = json!("BTC\u{2f}USDT");
        value["indicators"]["list"] = json!([1, "two", { "three": 3.25 }]);
        let text = serde_json::to_string(&json!([value, good()])).unwrap();
        let read = Signal::array_from_text(&text.replace("BTC/USDT", "BTC\\/USDT"), Tz::UTC).unwrap();
        assert_eq!(read, [value, good()].map(|value| Signal::from_value(value, Source::Caller, Tz::UTC).unwrap()));
        for (text, expected) in [
            ("[{\"id\":\"a\"},5]", "signal field `symbol` must be a pair such as BTC/USDT; got nothing"),
            ("[5]", "argument `signal` must be an object; got 5"),
            ("{}", "argument `signals` must be an array"),
        ] {
            let error = Signal::array_from_text(text, Tz::UTC).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn of_two_spellings_the_snake_case_one_wins_unless_it_is_null() {
        for (own, other, expected) in [(json!(94), json!(93), 94.0), (json!(null), json!(93), 93.0)] {
            for snake_first in [true, false] {
                let mut map = object(good());
                map.remove("stopLoss");
                let mut pair = [("stop_loss", own.clone()), ("stopLoss", other.clone())];
                if !snake_first {
                    pair.reverse();
                }
                map.extend(pair.map(|(key, value)| (key.to_owned(), value)));
                let text = serde_json::to_string(&map).unwrap();
                assert_eq!(Signal::from_text(&text, Source::Caller, Tz::UTC).unwrap().stop_loss, Some(expected));
                assert_eq!(Signal::from_json(map, Source::Caller, Tz::UTC).unwrap().stop_loss, Some(expected));
            }
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let cases = [
            ("id", json!(null)),
            ("id", json!("")),
            ("id", json!("x".repeat(257))),
            ("symbol", json!("NaN")),
            ("symbol", json!("12345")),
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
        let record = Record::from_json(object(old), "Europe/Berlin".parse().unwrap()).unwrap();
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
