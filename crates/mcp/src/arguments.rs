//! Reads the arguments of a call. All are checked here, and a wrong one is named.

use candles::given::{TIME, time_of};
use domain::error::{Error, Result};
use domain::signal::{STRATEGY, is_strategy};
use domain::symbol::{Symbol, Timeframe};
use serde_json::{Map, Value};

/// What a symbol must be.
const SYMBOL: &str = "must be a pair such as BTCUSDT";
/// What a timeframe must be.
const TIMEFRAME: &str = "must be a timeframe such as 1h";

/// The arguments that were not read yet.
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Those of a call.
    pub fn new(given: Option<Map<String, Value>>) -> Self {
        Self(given.unwrap_or_default())
    }

    /// An argument; `None` if it is missing or null.
    pub fn option<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.0.shift_remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => parse(&value).map(Some).ok_or_else(|| Error::argument(name, allowed, &value)),
        }
    }

    /// An argument that must be there.
    pub fn required<T>(&mut self, name: &'static str, allowed: &str, parse: impl Fn(&Value) -> Option<T>) -> Result<T> {
        self.option(name, allowed, parse)?.ok_or_else(|| Error::argument(name, allowed, "nothing"))
    }

    /// `symbol`, if it is given.
    pub fn symbol(&mut self) -> Result<Option<Symbol>> {
        self.option("symbol", SYMBOL, text)?.map(|symbol| Symbol::given(&symbol)).transpose()
    }

    /// `symbol`, which must be given.
    pub fn required_symbol(&mut self) -> Result<Symbol> {
        self.symbol()?.ok_or_else(|| Error::argument("symbol", SYMBOL, "nothing"))
    }

    /// `timeframe`, if it is given.
    pub fn timeframe(&mut self) -> Result<Option<Timeframe>> {
        self.option("timeframe", TIMEFRAME, text)?.map(|timeframe| Timeframe::parse(&timeframe)).transpose()
    }

    /// `strategy`, if it is given.
    pub fn strategy(&mut self) -> Result<Option<String>> {
        self.option("strategy", STRATEGY, |value| text(value).filter(|name| is_strategy(name)))
    }

    /// A time, in UTC epoch ms.
    pub fn time(&mut self, name: &'static str) -> Result<Option<i64>> {
        self.option(name, TIME, time_of)
    }

    /// A whole number of this range.
    pub fn whole(&mut self, name: &'static str, from: u64, to: u64) -> Result<Option<u64>> {
        let allowed = format!("must be a whole number, {from} to {to}");
        self.option(name, &allowed, |value| value.as_u64().filter(|number| (from..=to).contains(number)))
    }

    /// A list of texts, each read by `parse`.
    pub fn list<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T>) -> Result<Option<Vec<T>>> {
        let texts = |value: &Value| value.as_array()?.iter().map(text).collect::<Option<Vec<_>>>();
        let found = self.option(name, "must be an array of strings", texts)?;
        found.map(|texts| texts.iter().map(|text| parse(text)).collect()).transpose()
    }

    /// Everything that is left, as the members of an object.
    pub fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// Refuses what was not read: a misspelt argument would be ignored silently.
    pub fn end(self) -> Result<()> {
        match self.0.iter().next() {
            None => Ok(()),
            Some((name, value)) => Err(Error::argument("arguments", format!("has no member `{name}`"), value)),
        }
    }
}

/// The text of a value.
pub fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Arguments {
        Arguments::new(value.as_object().cloned())
    }

    #[test]
    fn wrong_arguments_are_named() {
        let said = |error: Error| (error.code(), error.to_string());
        let (code, words) = said(of(json!({ "symbol": 7 })).symbol().unwrap_err());
        assert_eq!(
            (code, words.as_str()),
            ("ERR_INVALID_ARGUMENT", "argument `symbol` must be a pair such as BTCUSDT; got 7")
        );
        let (_, words) = said(of(json!({ "limit": 0 })).whole("limit", 1, 9).unwrap_err());
        assert!(words.contains("`limit` must be a whole number, 1 to 9; got 0"), "{words}");
        let (_, words) = said(of(json!({})).required_symbol().unwrap_err());
        assert!(words.ends_with("got nothing"), "{words}");
        let (_, words) = said(of(json!({ "symbl": "BTCUSDT" })).end().unwrap_err());
        assert!(words.contains("has no member `symbl`"), "{words}");
    }

    #[test]
    fn null_is_missing() {
        let mut arguments = of(json!({ "symbol": null, "since": "2026-01-01T00:00:00Z", "names": ["a", "b"] }));
        assert_eq!(arguments.symbol().unwrap(), None);
        assert_eq!(arguments.time("since").unwrap(), Some(1_767_225_600_000));
        assert_eq!(arguments.list("names", |name| Ok(name.to_owned())).unwrap().unwrap(), ["a", "b"]);
        arguments.end().unwrap();
    }
}
