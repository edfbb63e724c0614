//! Reading records: signals with their results, from callers and logs.

use super::change::read_signal_id;
use super::claim::{Claim, assumed_profit};
use super::fields::{Fields, Name};
use super::read::{fields_of, missing};
use super::{Closing, Excursion, Record, Signal, Source, wrong};
use crate::barrier::{Outcome, Terms, Trade};
use crate::error::{Error, Result};
use crate::time::{Tz, format_iso};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// What an outcome may be, phrased for an error.
const OUTCOMES: &str = "must be one of TOOK_PROFIT, STOPPED_OUT, SUCCESS, FAILURE, UNKNOWN, CANCELLED, ACTIVE";

/// Why a signal cannot have been cancelled, phrased for an error.
pub const AT_ONCE: &str =
    "must not be CANCELLED: the signal was entered at once, so it ends with a profit or a loss, or UNKNOWN";

/// Applies `read` to each object of a JSON array.
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
                    // The first error is kept. Reading continues, since a later item may not even be an object.
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

impl Fields<'_> {
    fn end(&mut self, source: Source, zone: Tz) -> Result<End> {
        let outcome = self.take(Name::Outcome, |value| {
            value.as_str().and_then(Outcome::named).map_or_else(|| wrong("outcome", OUTCOMES, value), Ok)
        })?;
        let exit_price = self.price(Name::ExitPrice)?;
        let profit_percent = self.take(Name::ProfitPercent, |value| match value.as_f64() {
            Some(percent) if percent.is_finite() => Ok(percent),
            _ => wrong("profitLossPercent", "must be a finite number of percent", value),
        })?;
        let excursion = self.excursion(source, outcome)?;
        Ok(End { outcome, exit_price, profit_percent, closed_ms: self.time(Name::ClosedAt, zone)?, excursion })
    }
}

impl Fields<'_> {
    /// How far the price went, which only a signal that has ended can tell, by two numbers. Otherwise they are the caller's own.
    fn excursion(&mut self, source: Source, outcome: Option<Outcome>) -> Result<Option<Excursion>> {
        const NAMES: [Name; 2] = [Name::MfePercent, Name::MaePercent];
        const PERCENT: &str = "must be a finite number of percent, 0 or more";
        if source.is_line(self) {
            self.leave_but(Name::MfePercent, "mfe_percent");
            self.leave_but(Name::MaePercent, "mae_percent");
        }
        let fits = |percent: f64| percent >= 0.0 && percent.is_finite();
        let number = |name| self.given(name).map(|(_, field)| field.as_f64().filter(|percent| fits(*percent)));
        let is_told = match NAMES.map(number) {
            [Some(best), Some(worst)] => source == Source::Caller || (best.is_some() && worst.is_some()),
            _ => false,
        };
        if !is_told || outcome.is_none_or(|outcome| outcome == Outcome::Active) {
            NAMES.into_iter().for_each(|name| self.leave(name));
            return Ok(None);
        }
        let [best, worst] = NAMES.map(|name| self.amount(name, source, PERCENT, fits));
        Ok(best?.zip(worst?).map(|(best_percent, worst_percent)| Excursion { best_percent, worst_percent }))
    }
}

/// What an object says about the result of its signal.
struct End {
    outcome: Option<Outcome>,
    exit_price: Option<f64>,
    profit_percent: Option<f64>,
    closed_ms: Option<i64>,
    excursion: Option<Excursion>,
}

impl End {
    /// The outcome, if the signal has ended. A `status` that is the name of an outcome counts too.
    fn outcome(&self, signal: &Signal, source: Source) -> Result<Option<Outcome>> {
        let said = self.outcome.filter(|outcome| *outcome != Outcome::Active);
        if source == Source::File {
            return Ok(said);
        }
        let status = signal.extra.get("status").and_then(Value::as_str).unwrap_or_default();
        // A plain signal is entered at once, so a backend's own word for it cannot mean that it never was.
        let may_be = |outcome: &Outcome| match outcome {
            Outcome::Active => false,
            Outcome::Cancelled => signal.waits(),
            _ => true,
        };
        let by_status = Outcome::named(status).filter(may_be);
        let shown = self.outcome.map_or("nothing", Outcome::as_str);
        match (said, by_status) {
            // This includes an `outcome` of ACTIVE beside a `status` that ends.
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
                _ => wrong("outcome", "must be missing or ACTIVE: a HOLD never ends", outcome.as_str()),
            };
        };
        if outcome == Outcome::Cancelled && !signal.waits() && source != Source::File {
            return wrong("outcome", AT_ONCE, outcome.as_str());
        }
        let Self { exit_price, profit_percent, closed_ms, .. } = *self;
        if source == Source::Caller && closed_ms.is_none() {
            return missing(Name::ClosedAt, "must say when the signal ended, where `outcome` says that it did");
        }
        // Old lines may lack the time. The time of the signal, the earliest possible, keeps them out of recent statistics.
        let closed_ms = closed_ms.unwrap_or(signal.timestamp_ms);
        if source != Source::File {
            levels.check_end(closed_ms)?;
        }
        if source == Source::Caller {
            let closing = Claim { outcome, exit_price, profit_percent }.closing(&levels, closed_ms)?;
            return Ok(Some(Closing { excursion: self.excursion, ..closing }));
        }
        let profit_percent = profit_percent.unwrap_or_else(|| assumed_profit(&levels, outcome, exit_price));
        Ok(Some(Closing { outcome, exit_price, profit_percent, closed_ms, excursion: self.excursion }))
    }
}

impl Record {
    /// Reads and validates what a caller records: an object, a signal that is open or has its result. Times without a zone are
    /// read in `zone`.
    pub fn given(value: Value, zone: Tz) -> Result<Self> {
        match value {
            Value::Object(map) => Self::read(map.into(), Source::Caller, zone),
            other => Err(Error::argument("signal", "must be an object", other)),
        }
    }

    /// [`Self::given`] for the text of a JSON object.
    pub fn given_text(text: &str, zone: Tz) -> Result<Self> {
        Self::read(fields_of(text)?, Source::Caller, zone)
    }

    /// [`Self::given`] for each item of a JSON array.
    ///
    /// # Errors
    /// The error of the first invalid item.
    pub fn given_array(text: &str, zone: Tz) -> Result<Vec<Self>> {
        if let Ok(records) = read_each(text, |fields| Self::read(fields, Source::Caller, zone)) {
            return records;
        }
        // Some item is not an object. Parse again to find which one.
        let unreadable = |e: serde_json::Error| Error::argument("signals", "must be an array of signals", e);
        let items: Vec<Value> = serde_json::from_str(text).map_err(unreadable)?;
        items.into_iter().map(|item| Self::given(item, zone)).collect()
    }

    /// Reads one line of the log, in the current or the former format.
    pub fn from_json(object: Map<String, Value>, zone: Tz) -> Result<Self> {
        Self::read(object.into(), Source::File, zone)
    }

    /// Reads one line of another log, in the current or the former format. Its profit may differ from its exit price by up to
    /// `costs_percent`.
    pub fn imported(object: Map<String, Value>, zone: Tz, costs_percent: f64) -> Result<Self> {
        let record = Self::read(object.into(), Source::Import, zone)?;
        record.check(costs_percent)?;
        Ok(record)
    }

    /// Rejects a closing whose profit is impossible, see [`Closing::check`]. A fee of the signal counts instead of `costs_percent`.
    pub fn check(&self, costs_percent: f64) -> Result<()> {
        // The profit of a managed signal is that from its fill.
        let levels = self.trade().map(|trade| *trade.levels()).or(self.signal.levels());
        match (&self.closing, levels) {
            (Some(closing), Some(levels)) => {
                let own = self.signal.position.fee_bps.map(|bps| bps / 100.0);
                closing.check(&levels, own.unwrap_or(costs_percent))
            }
            _ => Ok(()),
        }
    }

    fn read(mut fields: Fields<'_>, source: Source, zone: Tz) -> Result<Self> {
        let end = fields.end(source, zone)?;
        let said = fields.said(source)?;
        let history = fields.history(source)?;
        let signal = Signal::read(fields, source, zone)?;
        let closing = end.closing(&signal, source)?;
        let record = Self { signal, history, closing, said };
        if source == Source::Import {
            record.check_history()?;
        }
        Ok(record)
    }

    /// Rejects a history that cannot have happened, or that ends otherwise than the signal.
    fn check_history(&self) -> Result<()> {
        let Some(levels) = self.signal.levels().filter(|_| !self.history.is_empty()) else { return Ok(()) };
        let mut trade = Trade::new(levels, self.signal.terms.as_deref().unwrap_or(&Terms::default()));
        for event in &self.history {
            if let Some(problem) = trade.refuses(event) {
                let shown = format!("{} at {}: it {problem}", event.what, format_iso(event.at));
                return wrong("managed_history", "must be events that can follow each other", shown);
            }
            trade.apply(event);
        }
        let is_same = |closing: Closing, end: Closing| {
            closing.outcome.succeeded().is_some() == end.outcome.succeeded().is_some()
                && (closing.outcome == Outcome::Cancelled) == (end.outcome == Outcome::Cancelled)
                && closing.closed_ms == end.closed_ms
        };
        match (self.closing, trade.closing()) {
            (None, None) => Ok(()),
            (Some(closing), Some(end)) if is_same(closing, end) => Ok(()),
            (closing, end) => {
                let shown = |end: Option<Closing>| end.map_or("ACTIVE", |end| end.outcome.as_str());
                let shown = format!("{} where its history says {}", shown(closing), shown(end));
                wrong("outcome", "must be how the history of the signal ended, at that time", shown)
            }
        }
    }
}

/// A caller's report that a recorded signal has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The signal's id.
    pub id: String,
    /// How it ended. The outcome is `ACTIVE` if only a part was closed and the caller named none.
    pub claim: Claim,
    /// The part that was closed, in percent of the whole position; all that is open if `None`.
    pub share: Option<f64>,
    /// When it ended, UTC epoch ms; now if `None`.
    pub closed_ms: Option<i64>,
}

impl Update {
    /// An end that happens now.
    pub fn now(id: &str, outcome: Outcome, exit_price: Option<f64>, profit_percent: Option<f64>) -> Self {
        let claim = Claim { outcome, exit_price, profit_percent };
        Self { id: id.to_owned(), claim, share: None, closed_ms: None }
    }

    /// Reads an update; keys in either spelling. Times without a zone are read in `zone`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an invalid value or an unknown key.
    pub fn from_json(object: Map<String, Value>, zone: Tz) -> Result<Self> {
        Self::read(object.into(), zone).map_err(Error::into_argument)
    }

    fn read(mut fields: Fields<'_>, zone: Tz) -> Result<Self> {
        let id = read_signal_id(&mut fields)?;
        let End { outcome, exit_price, profit_percent, closed_ms, excursion: _ } = fields.end(Source::Caller, zone)?;
        const SHARE: &str = "must be a number of percent above 0, at most 100";
        let share = fields.others.remove("share").filter(|share| !share.is_null());
        let share = share.map(|share| {
            let percent = share.as_f64().filter(|percent| *percent > 0.0 && *percent <= 100.0);
            percent.map_or_else(|| wrong("share", SHARE, &share), Ok)
        });
        let share = share.transpose()?;
        let outcome = match outcome {
            Some(outcome) if outcome != Outcome::Active => outcome,
            None if share.is_some() => Outcome::Active,
            other => return wrong("outcome", ENDS, other.map_or("nothing", Outcome::as_str)),
        };
        if let Some((key, value)) = fields.left_over() {
            return Err(Error::argument("update", format!("has no member `{key}`"), value));
        }
        Ok(Self { id, claim: Claim { outcome, exit_price, profit_percent }, share, closed_ms })
    }
}

/// What an outcome that ends a signal may be, phrased for an error.
pub const ENDS: &str = "must be an end: TOOK_PROFIT, STOPPED_OUT, SUCCESS, FAILURE or UNKNOWN; CANCELLED for a signal that waits for its entry";

#[cfg(test)]
mod tests {
    use super::super::read::tests::{good, object};
    use super::*;
    use crate::time;
    use serde_json::json;

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
            excursion: None,
        };
        assert_eq!(Record::given(map.clone().into(), Tz::UTC).unwrap().closing, Some(expected));
        // In snake_case; with a `status` that names the outcome; with the profit left out.
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
            // The store's own log is taken as it is.
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
}
