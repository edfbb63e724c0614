//! Reading signals from JSON.

use super::fields::{Field, Fields, Name};
use super::indicators::{Indicators, MAX_DEPTH, Unfit};
use super::managed::Managed;
use super::{MAX_ID_BYTES, Position, STRATEGY, Said, Signal, check_levels, is_strategy, wrong};
use crate::barrier::{Direction, Event, Levels, Terms};
use crate::error::{Error, Result};
use crate::symbol::{Symbol, Timeframe};
use crate::time::{self, Tz, format_iso};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// How strictly to read a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From a caller who records it: every required field must be present.
    Caller,
    /// From a caller who asks for an assessment: id and confidence are optional, and the time defaults to now.
    Question {
        /// UTC epoch ms.
        now_ms: i64,
    },
    /// From another log, perhaps of the former system: optional fields may be missing, but contradictions are rejected.
    Import,
    /// From the store's own log, including lines of the former system: taken as it is.
    File,
}

impl Source {
    fn is_log(self) -> bool {
        matches!(self, Self::Import | Self::File)
    }

    /// Whether these are the fields of a line that a store like this one, or the former system, wrote. Such a line has each
    /// newer meaning under one key; any other spelling was a caller's own key.
    pub(super) fn is_line(self, fields: &Fields<'_>) -> bool {
        let is_spelled = || fields.given(Name::Id).is_some_and(|(key, _)| key == "signal_id");
        self == Self::File || (self == Self::Import && is_spelled())
    }
}

/// The id of a signal to assess that has none.
const NO_ID: &str = "assessed";

const TOO_DEEP: &str = "must not nest deeper than 32 levels";

fn deeper_than(levels: usize, value: &Value) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| deeper_than(levels - 1, item)),
        Value::Object(map) => levels == 0 || map.values().any(|item| deeper_than(levels - 1, item)),
        _ => false,
    }
}

/// The most tags of a signal.
const MAX_TAGS: usize = 32;
const TAGS: &str = "must be a list of at most 32 texts of 1 to 64 characters";

/// The prices that a signal has.
pub(super) struct Prices {
    pub entry: Option<f64>,
    pub stop_loss: Option<f64>,
    pub take_profit: Option<f64>,
}

pub(super) fn read_id(field: Field<'_>) -> Result<String> {
    match field {
        Field::Text(id) if !id.trim().is_empty() && id.len() <= MAX_ID_BYTES => Ok(id.into_owned()),
        Field::Other(Value::Number(id)) if id.is_u64() => Ok(id.to_string()),
        other => wrong("id", ID, other),
    }
}

const ID: &str = "must be a unique text of 1 to 256 bytes";

fn read_time(name: Name, value: &Field<'_>, zone: Tz) -> Result<i64> {
    read_time_of(name.label(), value, zone)
}

/// A time; `label` names it in the error.
pub(super) fn read_time_of(label: &'static str, value: &Field<'_>, zone: Tz) -> Result<i64> {
    let ms = match value.as_str() {
        Some(text) => time::parse_time(text, zone),
        // The cast is exact in the range checked.
        None => value
            .as_f64()
            .filter(|ms| (time::MIN_MILLIS as f64..=time::MAX_MILLIS as f64).contains(ms))
            .map(|ms| ms as i64),
    };
    ms.map_or_else(|| wrong(label, time::EXPECTED, value), Ok)
}

fn read_indicators(field: Field<'_>) -> Result<Indicators> {
    let read = match &field {
        Field::Text(_) => Err(Unfit::NoObject),
        Field::Raw(text) => Indicators::of_text(text),
        Field::Other(value) => Indicators::of_value(value),
    };
    read.or_else(|unfit| match unfit {
        Unfit::NoObject => wrong("indicators", "must be an object of names and values", field),
        Unfit::TooDeep => wrong("indicators", TOO_DEEP, "more"),
    })
}

pub(super) fn missing<T>(name: Name, problem: &'static str) -> Result<T> {
    wrong(name.label(), problem, "nothing")
}

impl Fields<'_> {
    pub(super) fn price(&mut self, name: Name) -> Result<Option<f64>> {
        self.take(name, |value| match value.as_f64() {
            Some(price) if price.is_finite() && price > 0.0 => Ok(price),
            _ => wrong(name.label(), "must be a finite price above 0", value),
        })
    }

    /// `None` is a HOLD.
    fn direction(&mut self) -> Result<Option<Direction>> {
        const ALLOWED: &str = "must be BUY, SELL or HOLD";
        let read = |value: Field<'_>| {
            let text = value.as_str().unwrap_or_default().trim();
            let is = |name: &str| text.eq_ignore_ascii_case(name);
            match () {
                () if is("BUY") => Ok(Some(Direction::Buy)),
                () if is("SELL") => Ok(Some(Direction::Sell)),
                () if is("HOLD") => Ok(None),
                () => wrong(Name::SignalType.label(), ALLOWED, value),
            }
        };
        self.take(Name::SignalType, read)?.map_or_else(|| missing(Name::SignalType, ALLOWED), Ok)
    }

    fn symbol(&mut self, source: Source) -> Result<Symbol> {
        let parse = if source.is_log() { Symbol::parse } else { Symbol::given };
        let read = |value: Field<'_>| match value.as_str() {
            Some(text) => parse(text).or_else(|_| wrong("symbol", Symbol::ALLOWED, json!(text))),
            None => wrong("symbol", "must be a pair such as BTC/USDT", value),
        };
        let symbol = self.take(Name::Symbol, read)?;
        symbol.map_or_else(|| missing(Name::Symbol, "must be a pair such as BTC/USDT"), Ok)
    }

    fn timeframe(&mut self) -> Result<Timeframe> {
        let read = |value: Field<'_>| {
            let known = value.as_str().and_then(|text| Timeframe::parse(text).ok());
            known.map_or_else(|| wrong("timeframe", "must be one of 1m … 12h, 1d, 3d, 1w", value), Ok)
        };
        Ok(self.take(Name::Timeframe, read)?.unwrap_or(Timeframe::H1))
    }

    fn confidence(&mut self, source: Source) -> Result<Option<f64>> {
        const ALLOWED: &str = "must be a percentage, 0 to 100";
        let confidence = self.take(Name::Confidence, |value| match value.as_f64() {
            Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
            _ => wrong("confidence", ALLOWED, value),
        })?;
        if confidence.is_none() && source == Source::Caller {
            return missing(Name::Confidence, ALLOWED);
        }
        Ok(confidence)
    }

    fn prices(&mut self) -> Result<Prices> {
        Ok(Prices {
            entry: self.price(Name::EntryPrice)?,
            stop_loss: self.price(Name::StopLoss)?,
            take_profit: self.price(Name::TakeProfit)?,
        })
    }

    /// What the signal asks for beyond its prices, which may get their entry from a zone; `None` for a plain signal. Unless it is
    /// a HOLD, its prices must lie on their sides of the entry.
    fn terms(
        &mut self,
        (source, is_line): (Source, bool),
        direction: Option<Direction>,
        prices: &mut Prices,
        times: (i64, Option<i64>),
        zone: Tz,
    ) -> Result<Option<Terms>> {
        const ALLOWED: &str = "must be left out: signalloop writes it itself";
        let kept: Option<Terms> = self.newer(Name::Terms, source, ALLOWED, |value| {
            let read = serde_json::from_value(value.clone()).ok();
            read.filter(|terms: &Terms| source.is_log() && terms.is_sound()).ok_or(value)
        })?;
        // Other sources have the keys of the public interface.
        if is_line || kept.is_some() {
            self.leave_managed();
            return match direction {
                Some(direction) => {
                    check_levels(direction, prices.entry, prices.stop_loss, prices.take_profit).map(|()| kept)
                }
                None => Ok(None),
            };
        }
        let managed = self.managed(zone)?;
        let Some(direction) = direction else {
            return match managed.given() {
                Some(name) => wrong(name.label(), "must be left out: a HOLD is never entered", "a value"),
                None => Ok(None),
            };
        };
        let terms = managed.terms(direction, prices, times)?;
        check_levels(direction, prices.entry, prices.stop_loss, prices.take_profit)?;
        Ok(terms)
    }

    /// The events of a managed signal. Callers may not set them.
    pub(super) fn history(&mut self, source: Source) -> Result<Vec<Event>> {
        const ALLOWED: &str = "must be left out: signalloop writes it itself";
        let read = self.newer(Name::History, source, ALLOWED, |value| {
            serde_json::from_value(value.clone()).ok().filter(|_| source.is_log()).ok_or(value)
        })?;
        Ok(read.unwrap_or_default())
    }

    /// A number that must not be negative, if `fits`.
    pub(super) fn amount(
        &mut self,
        name: Name,
        source: Source,
        allowed: &'static str,
        fits: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>> {
        self.newer(name, source, allowed, |value| value.as_f64().filter(|number| fits(*number)).ok_or(value))
    }

    fn position(&mut self, source: Source, is_line: bool) -> Result<Position> {
        if is_line {
            self.leave_but(Name::FeeBps, "fee_bps");
            self.leave_but(Name::FundingBpsPerDay, "funding_bps_per_day");
        }
        let from = |least: f64, most: f64| move |number: f64| (least..=most).contains(&number);
        Ok(Position {
            leverage: self.amount(Name::Leverage, source, "must be a number from 1 to 1000", from(1.0, 1000.0))?,
            fee_bps: self.amount(
                Name::FeeBps,
                source,
                "must be a number of basis points from 0 to 10000",
                from(0.0, 1e4),
            )?,
            funding_bps_per_day: self.amount(
                Name::FundingBpsPerDay,
                source,
                "must be a number of basis points from -10000 to 10000",
                from(-1e4, 1e4),
            )?,
            quantity: self.amount(Name::Quantity, source, "must be a finite number above 0", |number| {
                number > 0.0 && number.is_finite()
            })?,
        })
    }

    fn tags(&mut self, source: Source) -> Result<Vec<String>> {
        let read = self.newer(Name::Tags, source, TAGS, |value| {
            let texts = value.as_array().filter(|items| items.len() <= MAX_TAGS).and_then(|items| {
                let text = |item: &Value| item.as_str().filter(|text| is_strategy(text)).map(str::to_owned);
                items.iter().map(text).collect::<Option<Vec<_>>>()
            });
            texts.ok_or(value)
        })?;
        Ok(read.unwrap_or_default())
    }

    /// The name of a strategy, or of a source.
    fn named(&mut self, name: Name, source: Source) -> Result<Option<String>> {
        let read = |value| match value {
            Value::String(text) if is_strategy(&text) => Ok(text),
            other => Err(other),
        };
        self.newer(name, source, STRATEGY, read)
    }

    fn taken(&mut self, source: Source) -> Result<Option<bool>> {
        self.newer(Name::Taken, source, "must be true or false", |value| value.as_bool().ok_or(value))
    }

    /// The stored assessment. Callers may not set it.
    pub(super) fn said(&mut self, source: Source) -> Result<Option<Said>> {
        const ALLOWED: &str = "must be left out: signalloop adds its own assessment";
        self.newer(Name::Said, source, ALLOWED, |value| {
            let said = Said::deserialize(&value).ok().filter(Said::is_sound);
            said.filter(|_| source.is_log()).ok_or(value)
        })
    }

    /// The value of a key that earlier versions did not know. In a log, a value that `read` rejects stays one of the caller's own
    /// fields.
    fn newer<T>(
        &mut self,
        name: Name,
        source: Source,
        allowed: &'static str,
        read: impl Fn(Value) -> std::result::Result<T, Value>,
    ) -> Result<Option<T>> {
        let key = self.given(name).map_or(name.label(), |(key, _)| key);
        match self.take(name, |field| Ok(field.into_value()))?.map(read) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(other)) if source.is_log() => {
                self.others.insert(key.to_owned(), other);
                Ok(None)
            }
            Some(Err(other)) => wrong(name.label(), allowed, other),
        }
    }

    pub(super) fn time(&mut self, name: Name, zone: Tz) -> Result<Option<i64>> {
        self.take(name, |value| read_time(name, &value, zone))
    }
}

impl Signal {
    /// Reads and validates a signal, which must be an object. Times without a zone are read in `zone`.
    pub fn from_value(value: Value, source: Source, zone: Tz) -> Result<Self> {
        match value {
            Value::Object(map) => Self::from_json(map, source, zone),
            other => Err(Error::argument("signal", "must be an object", other)),
        }
    }

    /// Reads and validates a signal from the text of a JSON object. Times without a zone are read in `zone`.
    pub fn from_text(text: &str, source: Source, zone: Tz) -> Result<Self> {
        Self::read(fields_of(text)?, source, zone)
    }

    /// Reads and validates a signal. Times without a zone are read in `zone`. Its result is not read.
    pub fn from_json(object: Map<String, Value>, source: Source, zone: Tz) -> Result<Self> {
        Self::read(object.into(), source, zone)
    }

    pub(super) fn read(mut fields: Fields<'_>, source: Source, zone: Tz) -> Result<Self> {
        let is_line = source.is_line(&fields);
        let id = match fields.take(Name::Id, read_id)? {
            Some(id) => id,
            None if matches!(source, Source::Question { .. }) => NO_ID.to_owned(),
            None => return missing(Name::Id, ID),
        };
        let symbol = fields.symbol(source)?;
        let timeframe = fields.timeframe()?;
        let direction = fields.direction()?;
        let confidence = fields.confidence(source)?;
        let mut prices = fields.prices()?;
        let timestamp_ms = match (fields.time(Name::Timestamp, zone)?, source) {
            (Some(timestamp_ms), _) => timestamp_ms,
            (None, Source::Question { now_ms }) => now_ms,
            (None, _) => return missing(Name::Timestamp, time::EXPECTED),
        };
        let expires_ms = fields.time(Name::ExpiresAt, zone)?;
        if let Some(at) = expires_ms.filter(|at| *at <= timestamp_ms) {
            return wrong("expiresAt", "must be later than the timestamp", format_iso(at));
        }
        let terms = fields.terms((source, is_line), direction, &mut prices, (timestamp_ms, expires_ms), zone)?;
        let position = fields.position(source, is_line)?;
        let strategy = fields.named(Name::Strategy, source)?;
        let from = fields.named(Name::Source, source)?;
        let tags = fields.tags(source)?;
        let taken = fields.taken(source)?.unwrap_or(true);
        let indicators = fields.take(Name::Indicators, read_indicators)?.unwrap_or_default();
        // signalloop wrote the features itself; unreadable ones are dropped.
        let features =
            fields.take(Name::Features, |value| Ok(serde_json::from_value(value.into_value()).ok()))?.flatten();
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
            strategy,
            source: from,
            tags,
            terms: terms.map(Box::new),
            position,
            taken,
            indicators,
            features,
            extra: fields.others,
        })
    }

    /// The levels of an object, which need not be a complete signal, and its terms if it is a managed one. `None` for a HOLD.
    /// Prices of any time may close them.
    pub fn levels_of(object: Map<String, Value>) -> Result<Option<(Levels, Option<Terms>)>> {
        let mut fields = Fields::from(object);
        let Some(direction) = fields.direction()? else { return Ok(None) };
        let mut prices = fields.prices()?;
        let managed = fields.managed(Tz::UTC)?;
        if managed.given().is_none() {
            check_levels(direction, prices.entry, prices.stop_loss, prices.take_profit)?;
        }
        let expires_ms = fields.time(Name::ExpiresAt, Tz::UTC)?;
        levels_with(direction, &mut prices, managed, expires_ms).map(Some)
    }
}

/// The levels and the terms of a signal without a time: prices of any time count for it.
pub(super) fn levels_with(
    direction: Direction,
    prices: &mut Prices,
    managed: Managed,
    expires_ms: Option<i64>,
) -> Result<(Levels, Option<Terms>)> {
    let terms = managed.terms(direction, prices, (i64::MIN, expires_ms))?;
    let Some(entry) = prices.entry else {
        return missing(Name::EntryPrice, "must be a finite price above 0");
    };
    let levels = Levels::checked(direction, entry, prices.stop_loss, prices.take_profit)?;
    Ok((Levels { expires_ms, ..levels }, terms))
}

pub(super) fn fields_of(text: &str) -> Result<Fields<'_>> {
    serde_json::from_str(text).map_err(|_| match serde_json::from_str::<Value>(text) {
        Ok(other) => Error::argument("signal", "must be an object", other),
        Err(cause) => Error::argument("signal", "could not be read", cause),
    })
}

#[cfg(test)]
pub mod tests {
    use super::super::{Closing, Excursion, Record};
    use super::*;
    use crate::barrier::Outcome;

    pub(in crate::signal) fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    pub(in crate::signal) fn good() -> Value {
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
            excursion: Some(Excursion { best_percent: 1.5, worst_percent: 5.6 }),
        };
        for closing in [None, Some(closing)] {
            let record = Record { signal: signal.clone(), history: Vec::new(), closing, said: None };
            let text = serde_json::to_string(&record.to_json()).unwrap();
            assert_eq!(Record::from_json(serde_json::from_str(&text).unwrap(), Tz::UTC).unwrap(), record);
        }
    }

    #[test]
    fn a_signal_is_written_so_that_it_can_be_read_back_the_same() {
        let mut value = good();
        value["crc"] = json!("00000000");
        let signal = read(value).unwrap();
        let record = Record::from(signal);
        assert_eq!(Record::from_json(record.to_json(), Tz::UTC).unwrap(), record);

        let mut value = good();
        value["deep"] = (0..200).fold(json!(1), |inner, _| json!([inner]));
        assert!(read(value).unwrap_err().to_string().contains("32 levels"));
    }

    #[test]
    fn a_strategy_and_what_was_not_traded_are_read_and_written() {
        let mut value = good();
        (value["strategy"], value["taken"]) = (json!("rsi + é"), json!(false));
        let record = Record::given(value, Tz::UTC).unwrap();
        assert_eq!((record.signal.strategy.as_deref(), record.signal.taken), (Some("rsi + é"), false));
        assert_eq!(Record::from_json(record.to_json(), Tz::UTC).unwrap(), record);
        // Fields that were left out are not written.
        let plain = read(good()).unwrap();
        assert_eq!((plain.strategy.as_ref(), plain.taken), (None, true));
        let keys: Vec<String> = Record::from(plain).to_json().into_iter().map(|(key, _)| key).collect();
        assert!(["strategy", "taken", "said"].iter().all(|key| !keys.contains(&(*key).to_owned())), "{keys:?}");
    }

    #[test]
    fn what_an_old_log_says_under_a_newer_key_stays_the_callers_own() {
        let odd = [("strategy", json!(5)), ("strategy", json!("x".repeat(65))), ("strategy", json!({ "name": "rsi" }))];
        let also = [("taken", json!("yes")), ("said", json!("buy")), ("said", json!({ "probability": 2 }))];
        for (key, value) in odd.into_iter().chain(also) {
            let mut line = object(good());
            line.insert(key.to_owned(), value.clone());
            let record = Record::from_json(line, Tz::UTC).unwrap();
            assert_eq!(record.signal.extra.get(key), Some(&value));
            assert_eq!((record.signal.strategy.as_ref(), record.signal.taken, record.said), (None, true, None));
            assert_eq!(Record::from_json(record.to_json(), Tz::UTC).unwrap(), record);
        }
    }

    #[test]
    fn what_was_said_is_read_from_logs_alone() {
        let said = json!({ "probability": 0.4, "interval": [0.3, 0.5], "base_rate": 0.35, "prior": 0.36, "shaped": true,
            "expected_r": -0.05, "expected_r_interval": [-0.2, 0.1],
            "departures": [0.1, -0.2, 0.0, 0.25], "take": false, "outcomes": 120 });
        let mut line = object(good());
        line.insert("said".to_owned(), said.clone());
        let record = Record::from_json(line.clone(), Tz::UTC).unwrap();
        let read = record.said.unwrap();
        assert_eq!((read.interval, read.expected_r, read.outcomes), ((0.3, 0.5), Some(-0.05), 120));
        assert_eq!(record.to_json().get("said"), Some(&said));
        match Record::given(line.into(), Tz::UTC) {
            Err(Error::InvalidSignal { field: "said", .. }) => {}
            other => panic!("{other:?}"),
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
            ("strategy", json!("")),
            ("strategy", json!("  ")),
            ("strategy", json!("a\u{7}b")),
            ("strategy", json!("é".repeat(65))),
            ("strategy", json!(7)),
            ("taken", json!("false")),
            ("taken", json!(0)),
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
    fn the_first_difference_is_named() {
        let signal = read(good()).unwrap();
        assert_eq!(signal.first_difference(&signal), None);
        let mut other = signal.clone();
        other.stop_loss = Some(94.0);
        assert_eq!(signal.first_difference(&other), Some("stopLoss"));
        let other = Signal { strategy: Some("rsi".to_owned()), ..signal.clone() };
        assert_eq!(signal.first_difference(&other), Some("strategy"));
        let other = Signal { taken: false, ..signal.clone() };
        assert_eq!(signal.first_difference(&other), Some("taken"));
    }
}
