//! Reading signals and records from JSON.

use super::claim::{Claim, assumed_profit};
use super::fields::{Field, Fields, Name};
use super::indicators::{Indicators, MAX_DEPTH, Unfit};
use super::{Closing, MAX_ID_BYTES, OUTCOMES, Record, Signal, check_levels, wrong};
use crate::barrier::{Direction, Levels, Outcome};
use crate::error::{Error, Result};
use crate::symbol::{Symbol, Timeframe};
use crate::time::{self, Tz, format_iso};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use std::fmt;

/// How strictly to read a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From a caller: every field of the contract must be there.
    Caller,
    /// From a caller who asks about it: it needs no id and no confidence, and was given now unless it says otherwise.
    Question {
        /// UTC epoch ms.
        now_ms: i64,
    },
    /// From another log, maybe of the old system: what can be done without may be missing, but nothing may contradict.
    Import,
    /// From the store's own log, what the old system wrote into it included: it is as it is.
    File,
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

fn read_id(field: Field<'_>) -> Result<String> {
    match field {
        Field::Text(id) if !id.trim().is_empty() && id.len() <= MAX_ID_BYTES => Ok(id.into_owned()),
        Field::Other(Value::Number(id)) if id.is_u64() => Ok(id.to_string()),
        other => wrong("id", ID, other),
    }
}

const ID: &str = "must be a text of 1 to 256 bytes that names this signal alone";

fn read_time(name: Name, value: &Field<'_>, zone: Tz) -> Result<i64> {
    let ms = match value.as_str() {
        Some(text) => time::parse_time(text, zone),
        // The cast is exact in the range checked.
        None => value
            .as_f64()
            .filter(|ms| (time::MIN_MILLIS as f64..=time::MAX_MILLIS as f64).contains(ms))
            .map(|ms| ms as i64),
    };
    ms.map_or_else(|| wrong(name.label(), time::EXPECTED, value), Ok)
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

fn missing<T>(name: Name, problem: &'static str) -> Result<T> {
    wrong(name.label(), problem, "nothing")
}

impl Fields<'_> {
    fn price(&mut self, name: Name) -> Result<Option<f64>> {
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
        let parse = if matches!(source, Source::File | Source::Import) { Symbol::parse } else { Symbol::given };
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

    /// The prices of a signal, on their sides of the entry unless it is a HOLD.
    fn prices(&mut self, direction: Option<Direction>) -> Result<Prices> {
        let entry = self.price(Name::EntryPrice)?;
        let stop_loss = self.price(Name::StopLoss)?;
        let take_profit = self.price(Name::TakeProfit)?;
        if let Some(direction) = direction {
            check_levels(direction, entry, stop_loss, take_profit)?;
        }
        Ok(Prices { entry, stop_loss, take_profit })
    }

    fn time(&mut self, name: Name, zone: Tz) -> Result<Option<i64>> {
        self.take(name, |value| read_time(name, &value, zone))
    }

    fn end(&mut self, zone: Tz) -> Result<End> {
        let outcome = self.take(Name::Outcome, |value| {
            value.as_str().and_then(Outcome::named).map_or_else(|| wrong("outcome", OUTCOMES, value), Ok)
        })?;
        let exit_price = self.price(Name::ExitPrice)?;
        let profit_percent = self.take(Name::ProfitPercent, |value| match value.as_f64() {
            Some(percent) if percent.is_finite() => Ok(percent),
            _ => wrong("profitLossPercent", "must be a finite number of percent", value),
        })?;
        Ok(End { outcome, exit_price, profit_percent, closed_ms: self.time(Name::ClosedAt, zone)? })
    }
}

/// What an object says of the end of its signal.
struct End {
    outcome: Option<Outcome>,
    exit_price: Option<f64>,
    profit_percent: Option<f64>,
    closed_ms: Option<i64>,
}

impl End {
    /// As what the signal ended, if it did. A `status` that names an outcome says it too.
    fn outcome(&self, signal: &Signal, source: Source) -> Result<Option<Outcome>> {
        let said = self.outcome.filter(|outcome| *outcome != Outcome::Active);
        if source == Source::File {
            return Ok(said);
        }
        let status = signal.extra.get("status").and_then(Value::as_str).unwrap_or_default();
        let by_status = Outcome::named(status).filter(|outcome| *outcome != Outcome::Active);
        let shown = self.outcome.map_or("nothing", Outcome::as_str);
        match (said, by_status) {
            // Where `outcome` is ACTIVE, it contradicts.
            (_, Some(status)) if self.outcome.is_some_and(|outcome| outcome != status) => wrong(
                "outcome",
                "must be the same as `status`",
                format!("{shown} beside {status}", status = status.as_str()),
            ),
            (None, None) if self.exit_price.is_some() || self.closed_ms.is_some() => {
                wrong("outcome", "must say how the signal ended where `exitPrice` or `closedAt` is given", shown)
            }
            (None, None) if status.eq_ignore_ascii_case("CLOSED") => {
                wrong("outcome", "must say how the signal ended where `status` is CLOSED", shown)
            }
            _ => Ok(said.or(by_status)),
        }
    }

    /// The closing of the signal, if it has ended.
    fn closing(&self, signal: &Signal, source: Source) -> Result<Option<Closing>> {
        let Some(outcome) = self.outcome(signal, source)? else { return Ok(None) };
        let Some(levels) = signal.levels() else {
            return match source {
                Source::File | Source::Import => Ok(None),
                _ => wrong("outcome", "must be missing or ACTIVE for a HOLD, which never ends", outcome.as_str()),
            };
        };
        let Self { exit_price, profit_percent, closed_ms, .. } = *self;
        if source == Source::Caller && closed_ms.is_none() {
            return missing(Name::ClosedAt, "must say when the signal ended, where `outcome` says that it did");
        }
        // Old lines may not say when; the earliest it can have been keeps it out of recent statistics.
        let closed_ms = closed_ms.unwrap_or(signal.timestamp_ms);
        if source != Source::File {
            levels.check_end(closed_ms)?;
        }
        if source == Source::Caller {
            return Claim { outcome, exit_price, profit_percent }.closing(&levels, closed_ms).map(Some);
        }
        let profit_percent = profit_percent.unwrap_or_else(|| assumed_profit(&levels, outcome, exit_price));
        Ok(Some(Closing { outcome, exit_price, profit_percent, closed_ms }))
    }
}

impl Signal {
    /// Reads and checks a signal, which must be an object. Naive times are read in `zone`.
    pub fn from_value(value: Value, source: Source, zone: Tz) -> Result<Self> {
        match value {
            Value::Object(map) => Self::from_json(map, source, zone),
            other => Err(Error::argument("signal", "must be an object", other)),
        }
    }

    /// Reads and checks a signal from the text of a JSON object. Naive times are read in `zone`.
    pub fn from_text(text: &str, source: Source, zone: Tz) -> Result<Self> {
        Self::read(fields_of(text)?, source, zone)
    }

    /// Reads and checks a signal. Naive times are read in `zone`. What is said of its end is not looked at.
    pub fn from_json(object: Map<String, Value>, source: Source, zone: Tz) -> Result<Self> {
        Self::read(object.into(), source, zone)
    }

    fn read(mut fields: Fields<'_>, source: Source, zone: Tz) -> Result<Self> {
        let id = match fields.take(Name::Id, read_id)? {
            Some(id) => id,
            None if matches!(source, Source::Question { .. }) => NO_ID.to_owned(),
            None => return missing(Name::Id, ID),
        };
        let symbol = fields.symbol(source)?;
        let timeframe = fields.timeframe()?;
        let direction = fields.direction()?;
        let confidence = fields.confidence(source)?;
        let prices = fields.prices(direction)?;
        let timestamp_ms = match (fields.time(Name::Timestamp, zone)?, source) {
            (Some(timestamp_ms), _) => timestamp_ms,
            (None, Source::Question { now_ms }) => now_ms,
            (None, _) => return missing(Name::Timestamp, time::EXPECTED),
        };
        let expires_ms = fields.time(Name::ExpiresAt, zone)?;
        if let Some(at) = expires_ms.filter(|at| *at <= timestamp_ms) {
            return wrong("expiresAt", "must be later than the timestamp", format_iso(at));
        }
        let indicators = fields.take(Name::Indicators, read_indicators)?.unwrap_or_default();
        // Features come from signalloop itself, by way of the file; ones it cannot read it does without.
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
            indicators,
            features,
            extra: fields.others,
        })
    }

    /// The levels of an object that need not be a whole signal. `None` for a HOLD. Prices of any time may close them.
    pub fn levels_of(object: Map<String, Value>) -> Result<Option<Levels>> {
        let mut fields = Fields::from(object);
        let Some(direction) = fields.direction()? else { return Ok(None) };
        let prices = fields.prices(Some(direction))?;
        let expires_ms = fields.time(Name::ExpiresAt, Tz::UTC)?;
        let levels = prices.entry.map(|entry| Levels::checked(direction, entry, prices.stop_loss, prices.take_profit));
        Ok(levels.transpose()?.map(|levels| Levels { expires_ms, ..levels }))
    }
}

impl Record {
    /// Reads and checks what a caller records, which must be an object: a signal, open or with its end. Naive times are read in
    /// `zone`.
    pub fn given(value: Value, zone: Tz) -> Result<Self> {
        match value {
            Value::Object(map) => Self::read(map.into(), Source::Caller, zone),
            other => Err(Error::argument("signal", "must be an object", other)),
        }
    }

    /// [`Self::given`] from the text of a JSON object.
    pub fn given_text(text: &str, zone: Tz) -> Result<Self> {
        Self::read(fields_of(text)?, Source::Caller, zone)
    }

    /// [`Self::given`] of each item of a JSON array.
    ///
    /// # Errors
    /// That of the first that is wrong.
    pub fn given_array(text: &str, zone: Tz) -> Result<Vec<Self>> {
        if let Ok(records) = read_each(text, |fields| Self::read(fields, Source::Caller, zone)) {
            return records;
        }
        // Something in it is not an object: which, the long way tells.
        let unreadable = |e: serde_json::Error| Error::argument("signals", "must be an array of signals", e);
        let items: Vec<Value> = serde_json::from_str(text).map_err(unreadable)?;
        items.into_iter().map(|item| Self::given(item, zone)).collect()
    }

    /// Reads one line of the log, new or old.
    pub fn from_json(object: Map<String, Value>, zone: Tz) -> Result<Self> {
        Self::read(object.into(), Source::File, zone)
    }

    /// Reads one line of another log, new or old, whose profit may differ from its exit price by costs of so many percent.
    pub fn imported(object: Map<String, Value>, zone: Tz, costs_percent: f64) -> Result<Self> {
        let record = Self::read(object.into(), Source::Import, zone)?;
        record.check(costs_percent)?;
        Ok(record)
    }

    /// Refuses a closing whose profit cannot be, see [`Closing::check`].
    pub fn check(&self, costs_percent: f64) -> Result<()> {
        match (&self.closing, self.signal.levels()) {
            (Some(closing), Some(levels)) => closing.check(&levels, costs_percent),
            _ => Ok(()),
        }
    }

    fn read(mut fields: Fields<'_>, source: Source, zone: Tz) -> Result<Self> {
        let end = fields.end(zone)?;
        let signal = Signal::read(fields, source, zone)?;
        let closing = end.closing(&signal, source)?;
        Ok(Self { signal, closing })
    }
}

/// What a caller says of the end of a signal that was recorded before.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The signal's id.
    pub id: String,
    /// How it ended.
    pub claim: Claim,
    /// When, UTC epoch ms; now where nothing is said.
    pub closed_ms: Option<i64>,
}

impl Update {
    /// Reads an update, in either spelling of its keys. Naive times are read in `zone`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for what is wrong, and for a key that means nothing here.
    pub fn from_json(object: Map<String, Value>, zone: Tz) -> Result<Self> {
        Self::read(object.into(), zone).map_err(Error::into_argument)
    }

    fn read(mut fields: Fields<'_>, zone: Tz) -> Result<Self> {
        const ID: &str = "must be the id of a signal";
        let id = fields.take(Name::Id, |value| {
            let shown = value.to_string();
            read_id(value).or_else(|_| Err(Error::argument("signalId", ID, shown)))
        })?;
        let id = id.ok_or_else(|| Error::argument("signalId", ID, "nothing"))?;
        let End { outcome, exit_price, profit_percent, closed_ms } = fields.end(zone)?;
        let outcome = match outcome {
            Some(outcome) if outcome != Outcome::Active => outcome,
            other => return wrong("outcome", ENDS, other.map_or("nothing", Outcome::as_str)),
        };
        if let Some((key, value)) = fields.left_over() {
            return Err(Error::argument("update", format!("has no member `{key}`"), value));
        }
        Ok(Self { id, claim: Claim { outcome, exit_price, profit_percent }, closed_ms })
    }
}

const ENDS: &str = "must be an end: TOOK_PROFIT, STOPPED_OUT, SUCCESS or FAILURE";

fn fields_of(text: &str) -> Result<Fields<'_>> {
    serde_json::from_str(text).map_err(|_| match serde_json::from_str::<Value>(text) {
        Ok(other) => Error::argument("signal", "must be an object", other),
        Err(cause) => Error::argument("signal", "could not be read", cause),
    })
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
        let read = Record::given_array(&text.replace("BTC/USDT", "BTC\\/USDT"), Tz::UTC).unwrap();
        assert_eq!(read, [value, good()].map(|value| Record::given(value, Tz::UTC).unwrap()));
        for (text, expected) in [
            ("[{\"id\":\"a\"},5]", "signal field `symbol` must be a pair such as BTC/USDT; got nothing"),
            ("[5]", "argument `signal` must be an object; got 5"),
            ("{}", "argument `signals` must be an array"),
        ] {
            let error = Record::given_array(text, Tz::UTC).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    /// A closed signal under the first spelling of every key.
    fn closed() -> Map<String, Value> {
        let mut map = object(good());
        for (key, value) in [
            ("timeframe", json!("4h")),
            ("outcome", json!("STOPPED_OUT")),
            ("exitPrice", json!(94.5)),
            ("profitLossPercent", json!(-5.97)),
            ("closedAt", json!("2023-11-14T23:13:20Z")),
        ] {
            map.insert(key.to_owned(), value);
        }
        map
    }

    #[test]
    fn two_names_of_one_thing_say_the_same_or_are_refused() {
        let cases = [
            ("id", "signal_id", json!("s1"), json!("s2")),
            ("id", "signalId", json!("s1"), json!(1)),
            ("pair", "symbol", json!("btc-usdt"), json!("ETHUSDT")),
            ("signalType", "signal_type", json!("buy"), json!("SELL")),
            ("entryPrice", "entry_price", json!(100.5), json!(101)),
            ("stopLoss", "stop_loss", json!(95.0), json!(94)),
            ("takeProfit", "take_profit", json!(110.0), json!(111)),
            ("expiresAt", "expires_at", json!(1_700_086_400_000i64), json!(1_700_086_400_001i64)),
            ("exitPrice", "exit_price", json!(94.5), json!(94.6)),
            ("profitLossPercent", "profit_loss_percent", json!(-5.97), json!(-5.9)),
            ("closedAt", "closed_at", json!("2023-11-15T01:13:20+02:00"), json!("2023-11-14T23:13:21Z")),
        ];
        let label = |key| if key == "pair" { "symbol" } else { key };
        for (key, other, same, different) in cases {
            for reversed in [false, true] {
                let with = |value: &Value| {
                    let mut members: Vec<_> = closed().into_iter().chain([(other.to_owned(), value.clone())]).collect();
                    if reversed {
                        members.reverse();
                    }
                    members.into_iter().collect::<Map<_, _>>()
                };
                let texts = |value| serde_json::to_string(&with(value)).unwrap();
                for value in [&same, &json!(null)] {
                    let expected = Record::given(closed().into(), Tz::UTC).unwrap();
                    assert!(expected.closing.is_some());
                    let mut read = Record::given_text(&texts(value), Tz::UTC).unwrap();
                    read.signal.extra.clone_from(&expected.signal.extra);
                    assert_eq!(read, expected, "{other} {value}");
                }
                for error in [
                    Record::given_text(&texts(&different), Tz::UTC).unwrap_err(),
                    Record::given(with(&different).into(), Tz::UTC).unwrap_err(),
                    Record::imported(with(&different), Tz::UTC, 0.1).unwrap_err(),
                ] {
                    let text = error.to_string();
                    assert_eq!(error.code(), "ERR_INVALID_SIGNAL", "{text}");
                    let names = [format!("field `{}`", label(key)), format!("as `{key}`"), format!("as `{other}`")];
                    assert!(names.iter().all(|name| text.contains(name)), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_comes_with_its_end_has_it() {
        let mut map = closed();
        let expected = Closing {
            outcome: Outcome::StoppedOut,
            exit_price: Some(94.5),
            profit_percent: -5.97,
            closed_ms: 1_700_003_600_000,
        };
        assert_eq!(Record::given(map.clone().into(), Tz::UTC).unwrap().closing, Some(expected));
        // In snake_case; by a status that names it; with what follows.
        for (old, new) in
            [("exitPrice", "exit_price"), ("profitLossPercent", "profit_loss_percent"), ("closedAt", "closed_at")]
        {
            let value = map.shift_remove(old).unwrap();
            map.insert(new.to_owned(), value);
        }
        assert_eq!(Record::given(map.clone().into(), Tz::UTC).unwrap().closing, Some(expected));
        let outcome = map.shift_remove("outcome").unwrap();
        map.insert("status".to_owned(), outcome.clone());
        let by_status = Record::given(map.clone().into(), Tz::UTC).unwrap();
        assert_eq!((by_status.closing, by_status.signal.extra.get("status")), (Some(expected), Some(&outcome)));
        assert_eq!(Record::imported(map.clone(), Tz::UTC, 0.1).unwrap().closing, Some(expected));
        map.shift_remove("profit_loss_percent");
        let follows = Record::given(map.into(), Tz::UTC).unwrap().closing.unwrap().profit_percent;
        assert!((follows - -5.970_149_253_731_343).abs() < 1e-12, "{follows}");
    }

    #[test]
    fn an_end_that_is_incomplete_or_cannot_be_is_refused_by_name() {
        let cases = [
            ("closedAt", json!({ "closedAt": null })),
            ("closedAt", json!({ "closedAt": "2023-11-14T22:13:19Z" })),
            ("closedAt", json!({ "closedAt": "Invalid Date" })),
            ("outcome", json!({ "outcome": null })),
            ("outcome", json!({ "outcome": "ACTIVE", "closedAt": null })),
            ("outcome", json!({ "outcome": null, "exitPrice": null })),
            ("outcome", json!({ "outcome": "WON" })),
            ("outcome", json!({ "status": "TOOK_PROFIT" })),
            ("outcome", json!({ "outcome": "ACTIVE", "status": "STOPPED_OUT" })),
            ("outcome", json!({ "outcome": null, "exitPrice": null, "closedAt": null, "status": "closed" })),
            ("outcome", json!({ "signalType": "HOLD" })),
            ("exitPrice", json!({ "exitPrice": -1 })),
            ("exitPrice", json!({ "outcome": "TOOK_PROFIT", "profitLossPercent": null })),
            ("profitLossPercent", json!({ "profitLossPercent": "-5.97" })),
            ("profitLossPercent", json!({ "outcome": "SUCCESS" })),
            ("outcome", json!({ "outcome": "SUCCESS", "profitLossPercent": null, "exitPrice": null })),
        ];
        for (expected, change) in cases {
            let mut map = closed();
            map.extend(object(change.clone()));
            match Record::given(map.into(), Tz::UTC) {
                Err(Error::InvalidSignal { field, .. }) => assert_eq!(field, expected, "{change}"),
                other => panic!("{change}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_open_signal_may_say_that_it_is_open() {
        for change in [
            json!({ "outcome": "ACTIVE" }),
            json!({ "outcome": null, "exitPrice": null, "closedAt": null, "profitLossPercent": null }),
            json!({ "outcome": "ACTIVE", "profitLossPercent": 0 }),
            json!({ "status": "ACTIVE" }),
            json!({ "status": "whatever" }),
        ] {
            let mut map = object(good());
            map.extend(object(change.clone()));
            assert_eq!(Record::given(map.into(), Tz::UTC).unwrap().closing, None, "{change}");
        }
    }

    #[test]
    fn another_log_may_say_less_but_contradicts_nothing() {
        let line = |change: Value| {
            let mut map = closed();
            map.extend(object(change));
            map
        };
        let imported = |change| Record::imported(line(change), Tz::UTC, 0.1);
        let bare = imported(json!({ "closedAt": null, "profitLossPercent": null, "exitPrice": null })).unwrap();
        let closing = bare.closing.unwrap();
        assert_eq!((closing.closed_ms, closing.exit_price), (bare.signal.timestamp_ms, None));
        let silent = imported(json!({ "outcome": "SUCCESS", "profitLossPercent": null, "exitPrice": null }));
        assert_eq!(silent.unwrap().closing.unwrap().profit_percent, 0.0);
        for (expected, change) in [
            ("profitLossPercent", json!({ "profitLossPercent": -400 })),
            ("profitLossPercent", json!({ "profitLossPercent": -400, "exitPrice": null })),
            ("closedAt", json!({ "closedAt": 1_699_999_999_999i64 })),
            ("outcome", json!({ "outcome": "ACTIVE" })),
        ] {
            match imported(change.clone()) {
                Err(Error::InvalidSignal { field, .. }) => assert_eq!(field, expected, "{change}"),
                other => panic!("{change}: {other:?}"),
            }
            // What the store's own log says stands.
            assert!(Record::from_json(line(change), Tz::UTC).is_ok());
        }
    }

    #[test]
    fn an_update_is_read_in_either_spelling() {
        let read = |value: Value| Update::from_json(object(value), "Europe/Berlin".parse().unwrap());
        let camel = json!({ "signalId": "a", "outcome": "STOPPED_OUT", "exitPrice": 98, "profitLossPercent": -2,
            "closedAt": "2023-11-14T23:13:20" });
        let snake = json!({ "signal_id": "a", "outcome": "STOPPED_OUT", "exit_price": 98, "profit_loss_percent": -2.0,
            "closed_at": 1_700_000_000_000i64 });
        let update = read(camel).unwrap();
        assert_eq!(update.closed_ms, Some(1_700_000_000_000));
        assert_eq!(read(snake).unwrap(), update);
        for (expected, value) in [
            ("signalId", json!({ "outcome": "SUCCESS" })),
            ("signalId", json!({ "signalId": "", "outcome": "SUCCESS" })),
            ("outcome", json!({ "signalId": "a" })),
            ("outcome", json!({ "signalId": "a", "outcome": "ACTIVE" })),
            ("exitPrice", json!({ "signalId": "a", "outcome": "SUCCESS", "exitPrice": 0 })),
            ("exitPrice", json!({ "signalId": "a", "outcome": "SUCCESS", "exitPrice": 1, "exit_price": 2 })),
            ("closedAt", json!({ "signalId": "a", "outcome": "SUCCESS", "closedAt": "soon" })),
            ("update", json!({ "signalId": "a", "outcome": "SUCCESS", "exitPrise": 1 })),
            ("update", json!({ "signalId": "a", "outcome": "SUCCESS", "entryPrice": 1 })),
        ] {
            match read(value.clone()) {
                Err(Error::InvalidArgument { argument, .. }) => assert_eq!(argument, expected, "{value}"),
                other => panic!("{value}: {other:?}"),
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
