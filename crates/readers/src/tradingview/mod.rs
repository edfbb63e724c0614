//! Alerts of TradingView, as people write them.
//!
//! An alert is JSON of the user's own making: its keys are free, and TradingView fills in placeholders such as `{{ticker}}`. Source of the
//! placeholders: TradingView, "How to use a variable value in alert".

mod keys;

use super::draft::{Draft, Entry, Target};
use super::number::number;
use super::pair::pair;
use super::row::{number_of, time_of};
use super::{Options, Reading, Refused, Signal, timeframe};
use domain::barrier::Direction;
use domain::symbol::Timeframe;
use keys::{Given, Key, known};
use serde_json::{Map, Value};

const NAME: &str = "tradingview";

/// Reads alerts: one JSON object, an array of objects, or one object a line.
///
/// Keys are read in many spellings, in any case, with or without underscores: `ticker`, `symbol`, `pair`; `action`, `side`, `signal`,
/// `direction`, `strategy.order.action`; `price`, `entry`, `close`; `sl`, `stop`, `stopLoss`; `tp`, `tp1` … `tp16`, `takeProfits`,
/// `targets`; `interval`, `timeframe`; `timenow`, `timestamp`, `time`. Numbers may be texts. Other members that are numbers become
/// indicators; other texts are left out, since some are secrets.
///
/// An alert that closes a position (`strategy.market_position` is `flat`) is no signal and is refused, and so is a placeholder that
/// TradingView has not filled.
pub fn from_tradingview(text: &str, options: &Options) -> Reading {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(alerts)) => {
            let mut reading = Reading::default();
            for (at, alert) in alerts.iter().enumerate() {
                let place = format!("[{at}]");
                let read = alert_of(alert, &place, options);
                reading.note(&place, read);
            }
            reading
        }
        Ok(alert) => {
            let mut reading = Reading::default();
            reading.note("the alert", alert_of(&alert, "the alert", options));
            reading
        }
        Err(error) => lines(text, options).unwrap_or_else(|| Reading::nothing(unreadable(text, 0, &error))),
    }
}

/// One alert a line; `None` if the first line is no alert of its own.
fn lines(text: &str, options: &Options) -> Option<Reading> {
    let written = || text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let starts_anew = |line: &str| line.trim_start().starts_with('{') && line.trim_end().ends_with('}');
    if written().count() < 2 || !written().all(|(_, line)| starts_anew(line)) {
        return None;
    }
    let mut reading = Reading::default();
    for (at, line) in written() {
        let place = format!("line {}", at + 1);
        let read = serde_json::from_str(line).map_err(|error| unreadable(line, at, &error));
        reading.note(&place, read.and_then(|alert| alert_of(&alert, &place, options)));
    }
    Some(reading)
}

/// A text that is no JSON; often because a placeholder was not filled.
fn unreadable(text: &str, lines_before: usize, error: &serde_json::Error) -> Refused {
    if let Some(at) = text.find("{{") {
        let before = &text[..at];
        let line = before.matches('\n').count() + 1 + lines_before;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let end = text[at..].find("}}").map_or(text.len(), |end| at + end + 2);
        return Refused::new(format!("line {line}, column {column}"), UNFILLED, &text[at..end]);
    }
    let place = format!("line {}, column {}", error.line() + lines_before, error.column());
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    Refused::new(place, format!("an alert must be JSON: {error}"), line.trim())
}

const UNFILLED: &str = "TradingView has not filled this placeholder";

/// One alert, its members by meaning.
struct Alert<'a> {
    place: &'a str,
    options: &'a Options,
    given: Vec<Given<'a>>,
    indicators: Map<String, Value>,
}

fn alert_of(alert: &Value, place: &str, options: &Options) -> Result<Signal, Refused> {
    let Value::Object(map) = alert else {
        return Err(Refused::new(place, "an alert must be an object", alert));
    };
    unfilled(alert, place)?;
    let (mut given, mut indicators) = (Vec::new(), Map::new());
    known(map, "", &mut given, &mut indicators);
    let alert_read = Alert { place, options, given, indicators };
    let mut draft = alert_read.draft()?;
    draft.content = alert.to_string();
    draft.finish(place, NAME, options)
}

/// Refuses a text with a placeholder.
fn unfilled(value: &Value, path: &str) -> Result<(), Refused> {
    match value {
        Value::String(text) if text.contains("{{") => Err(Refused::new(path, UNFILLED, text)),
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| unfilled(item, &format!("{path}[{at}]")))
        }
        Value::Object(map) => map.iter().try_for_each(|(key, item)| unfilled(item, &format!("{path}.{key}"))),
        _ => Ok(()),
    }
}

impl<'a> Alert<'a> {
    fn draft(self) -> Result<Draft, Refused> {
        let market = self.need(Key::Symbol, "an alert must say its pair: ticker, symbol or pair")?;
        let name = market.text().ok_or_else(|| self.refuse(market, "must be a pair"))?;
        let pair = pair(&name)
            .map_err(|_| self.refuse(market, "must be a pair such as BTCUSDT, BINANCE:BTCUSDT.P or BTC/USDT:USDT"))?;
        let direction = self.direction()?;
        let mut draft = Draft::new(pair, direction, self.time()?);
        draft.id = self.first(Key::Id)?.and_then(Given::text);
        draft.timeframe = self.timeframe()?;
        draft.confidence = self.confidence()?;
        draft.entry = self.entry()?.map(Entry::Price);
        if draft.entry.is_none() && direction.is_some() {
            return Err(Refused::new(self.place, "an alert must say its price: price, entry or close", "nothing"));
        }
        draft.entry_type = self.entry_type()?;
        draft.stop_loss = self.price(Key::Stop)?;
        draft.targets = self.targets()?;
        draft.leverage = self.leverage()?;
        draft.expires_ms = self.moment(Key::ExpiresAt)?;
        draft.entry_expires_ms = self.moment(Key::EntryExpiresAt)?;
        draft.strategy = self.first(Key::Strategy)?.and_then(Given::text);
        draft.tags = self.tags()?;
        draft.indicators = self.indicators;
        Ok(draft)
    }

    fn refuse(&self, given: &Given<'_>, problem: impl Into<String>) -> Refused {
        Refused::new(format!("{}.{}", self.place, given.path), problem, given.value)
    }

    /// The one member with this meaning.
    fn first(&self, key: Key) -> Result<Option<&Given<'a>>, Refused> {
        let mut all = self.given.iter().filter(|given| given.key == key);
        let Some(first) = all.next() else { return Ok(None) };
        match all.find(|other| !other.is_same(first)) {
            Some(other) => Err(self.refuse(other, format!("must not contradict `{}`", first.path))),
            None => Ok(Some(first)),
        }
    }

    fn need(&self, key: Key, what: &str) -> Result<&Given<'a>, Refused> {
        self.first(key)?.ok_or_else(|| Refused::new(self.place, what, "nothing"))
    }

    fn price(&self, key: Key) -> Result<Option<f64>, Refused> {
        let read = |given: &Given<'_>| {
            let price = number_of(given.value).filter(|price| *price > 0.0);
            price.ok_or_else(|| self.refuse(given, "must be a price above 0"))
        };
        self.first(key)?.map(read).transpose()
    }

    /// An entry is said to be one; `price` and `close` may be the price at the time.
    fn entry(&self) -> Result<Option<f64>, Refused> {
        for key in [Key::Entry, Key::Price, Key::Close] {
            if let Some(price) = self.price(key)? {
                return Ok(Some(price));
            }
        }
        Ok(None)
    }

    /// The side, unless the alert closes a position.
    fn direction(&self) -> Result<Option<Direction>, Refused> {
        const CLOSES: &str = "an alert that closes a position is no signal; close the signal with updateOutcome";
        const SIDES: &str = "must be buy, sell, long or short";
        let side = self.need(Key::Side, "an alert must say its side: action, side, signal or direction")?;
        let word = side.text().map(|text| keys::normalised(&text)).unwrap_or_default();
        let direction = match word.as_str() {
            "buy" | "long" | "enterlong" | "openlong" | "entrylong" | "longentry" | "buylong" | "golong" => {
                Some(Direction::Buy)
            }
            "sell" | "short" | "entershort" | "openshort" | "entryshort" | "shortentry" | "sellshort" | "goshort" => {
                Some(Direction::Sell)
            }
            "hold" | "neutral" => None,
            _ if ["close", "exit", "flat"].iter().any(|end| word.starts_with(end) || word.ends_with(end)) => {
                return Err(self.refuse(side, CLOSES));
            }
            _ => return Err(self.refuse(side, SIDES)),
        };
        if let Some(position) = self.first(Key::MarketPosition)? {
            let held = position.text().map(|text| keys::normalised(&text)).unwrap_or_default();
            match (held.as_str(), direction) {
                ("long", Some(Direction::Buy)) | ("short", Some(Direction::Sell)) => {}
                ("flat", _) => return Err(self.refuse(position, CLOSES)),
                ("long" | "short", _) => {
                    let problem = format!("{held} after a {word} closes a part of a position and is no signal");
                    return Err(self.refuse(position, problem));
                }
                _ => return Err(self.refuse(position, "must be long, short or flat")),
            }
        }
        Ok(direction)
    }

    fn moment(&self, key: Key) -> Result<Option<i64>, Refused> {
        let read = |given: &Given<'_>| {
            time_of(given.value, self.options).ok_or_else(|| self.refuse(given, domain::time::EXPECTED))
        };
        self.first(key)?.map(read).transpose()
    }

    fn time(&self) -> Result<i64, Refused> {
        for key in [Key::TimeNow, Key::Timestamp, Key::Time] {
            if let Some(ms) = self.moment(key)? {
                return Ok(ms);
            }
        }
        self.options.time(None, self.place)
    }

    fn timeframe(&self) -> Result<Option<Timeframe>, Refused> {
        let read = |given: &Given<'_>| {
            let known = given.text().and_then(|text| timeframe(&text));
            known.ok_or_else(|| {
                self.refuse(
                    given,
                    "must be a timeframe: 1m … 12h, 1d, 3d, 1w, or as TradingView has it, such as 60 or D",
                )
            })
        };
        self.first(Key::Interval)?.map(read).transpose()
    }

    fn confidence(&self) -> Result<Option<f64>, Refused> {
        let Some(given) = self.first(Key::Confidence)? else { return Ok(None) };
        let text = given.text().unwrap_or_default();
        let (digits, is_percent) = match text.trim().strip_suffix('%') {
            Some(digits) => (digits, true),
            None => (text.as_str(), false),
        };
        match number(digits) {
            Some(percent) if percent > 0.0 && percent <= 1.0 && !is_percent => Err(self.refuse(
                given,
                "must be a percentage, 0 to 100; at most 1 may be meant as a probability: write 85 or \"85%\"",
            )),
            Some(percent) if (0.0..=100.0).contains(&percent) => Ok(Some(percent)),
            _ => Err(self.refuse(given, "must be a percentage, 0 to 100")),
        }
    }

    fn entry_type(&self) -> Result<Option<&'static str>, Refused> {
        let Some(given) = self.first(Key::EntryType)? else { return Ok(None) };
        match given.text().map(|text| keys::normalised(&text)).as_deref() {
            Some("market") => Ok(Some("market")),
            Some("limit") => Ok(Some("limit")),
            Some("stop" | "stopmarket") => Ok(Some("stop")),
            _ => Err(self.refuse(given, "must be market, limit or stop")),
        }
    }

    fn leverage(&self) -> Result<Option<f64>, Refused> {
        let Some(given) = self.first(Key::Leverage)? else { return Ok(None) };
        let text = given.text().unwrap_or_default();
        let digits = text.trim().trim_end_matches(['x', 'X']);
        number(digits)
            .filter(|leverage| *leverage > 0.0)
            .map(Some)
            .ok_or_else(|| self.refuse(given, "must be a leverage such as 10 or 10x"))
    }

    /// `tp`, `tp1` …, and an array of prices or of prices with shares.
    fn targets(&self) -> Result<Vec<Target>, Refused> {
        if let Some(distance) = self.given.iter().find(|given| given.key == Key::Distance) {
            return Err(self.refuse(distance, "is a distance: a stop and a target must be prices"));
        }
        let mut numbered: Vec<(u32, Target)> = Vec::new();
        let mut listed = None;
        for given in &self.given {
            match given.key {
                Key::Target(number) => numbered.push((number, self.target(given, given.value)?)),
                Key::Targets => {
                    let items: Vec<&Value> = match given.value {
                        Value::Array(items) => items.iter().collect(),
                        other => vec![other],
                    };
                    let list: Result<Vec<Target>, Refused> =
                        items.into_iter().map(|item| self.target(given, item)).collect();
                    if listed.replace(list?).is_some() {
                        return Err(self.refuse(given, "must be given once"));
                    }
                }
                _ => {}
            }
        }
        numbered.sort_by_key(|(number, _)| *number);
        let numbered: Vec<Target> = match numbered.as_slice() {
            // `tp` beside `tp1` names the first target twice.
            [(0, first), (1, second), rest @ ..] if first == second => {
                std::iter::once(*first).chain(rest.iter().map(|(_, target)| *target)).collect()
            }
            all => all.iter().map(|(_, target)| *target).collect(),
        };
        match listed {
            Some(list) if numbered.is_empty() || numbered == list => Ok(list),
            Some(_) => {
                Err(Refused::new(self.place, "the targets are given as a list and one by one, and differ", "both"))
            }
            None => Ok(numbered),
        }
    }

    fn target(&self, given: &Given<'_>, value: &Value) -> Result<Target, Refused> {
        let (price, share) = match value {
            Value::Object(map) => {
                let part =
                    |names: &[&str]| names.iter().find_map(|name| map.get(*name)).filter(|value| !value.is_null());
                (
                    part(&["price", "target", "value", "level"]),
                    part(&["share", "percent", "percentage", "qtyPercent", "qty_percent"]),
                )
            }
            other => (Some(other), None),
        };
        let price = price.and_then(number_of).filter(|price| *price > 0.0);
        let price = price.ok_or_else(|| self.refuse(given, "must be a price above 0, or a list of prices"))?;
        let share =
            share.map(|share| number_of(share).ok_or_else(|| self.refuse(given, "must have shares in percent")));
        Ok(Target { price, share: share.transpose()? })
    }

    fn tags(&self) -> Result<Vec<String>, Refused> {
        let mut tags = Vec::new();
        for given in self.given.iter().filter(|given| given.key == Key::Tags) {
            let items: Vec<&Value> = match given.value {
                Value::Array(items) => items.iter().collect(),
                other => vec![other],
            };
            for item in items {
                match item {
                    Value::String(tag) if tag.trim().is_empty() => {}
                    Value::String(tag) => tags.push(tag.trim().to_owned()),
                    _ => return Err(self.refuse(given, "must be texts")),
                }
            }
        }
        Ok(tags)
    }
}
