//! A JSON object with its place, whose members are read one by one.

use super::number::number;
use super::{Options, Reading, Refused};
use domain::time::{MAX_MILLIS, MIN_MILLIS, parse_time};
use serde_json::{Map, Value};

/// An object and its path.
pub struct Row<'a> {
    pub place: String,
    pub map: &'a Map<String, Value>,
}

pub type Read<T> = Result<T, Refused>;

impl<'a> Row<'a> {
    /// The object at a path.
    pub fn of(place: impl Into<String>, value: &'a Value) -> Read<Self> {
        let place = place.into();
        match value {
            Value::Object(map) => Ok(Self { place, map }),
            other => Err(Refused::new(place, "must be an object", other)),
        }
    }

    /// A member that is neither missing nor null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The path of a member.
    pub fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.place)
    }

    /// Refuses a member, or says that it is missing.
    pub fn refuse(&self, key: &str, problem: impl Into<String>) -> Refused {
        let value = self.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
        Refused::new(self.path(key), problem, value)
    }

    pub fn number(&self, key: &str) -> Read<Option<f64>> {
        let read = |value| number_of(value).ok_or_else(|| self.refuse(key, "must be a finite number"));
        self.get(key).map(read).transpose()
    }

    /// A price above 0.
    pub fn price(&self, key: &str) -> Read<Option<f64>> {
        match self.number(key)? {
            Some(price) if price <= 0.0 => Err(self.refuse(key, "must be a price above 0")),
            other => Ok(other),
        }
    }

    pub fn text(&self, key: &str) -> Read<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.trim().is_empty())),
            Some(_) => Err(self.refuse(key, "must be a text")),
        }
    }

    pub fn flag(&self, key: &str) -> Read<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => value.as_bool().map(Some).ok_or_else(|| self.refuse(key, "must be true or false")),
        }
    }

    pub fn time(&self, key: &str, options: &Options) -> Read<Option<i64>> {
        let read = |value| time_of(value, options).ok_or_else(|| self.refuse(key, domain::time::EXPECTED));
        self.get(key).map(read).transpose()
    }

    /// What [`Self::price`] and its like return, where it must be there.
    pub fn need<T>(&self, key: &str, read: Option<T>, what: &str) -> Read<T> {
        read.ok_or_else(|| self.refuse(key, what))
    }
}

/// A number, or the text of one.
pub fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => number(text),
        other => other.as_f64().filter(|number| number.is_finite()),
    }
}

/// A time: ISO 8601, or milliseconds or seconds since 1970 as a number or its text. Seconds have ten digits.
pub fn time_of(value: &Value, options: &Options) -> Option<i64> {
    let number = match value {
        Value::String(text) if text.trim().bytes().all(|b| b.is_ascii_digit()) => text.trim().parse().ok(),
        Value::String(text) => return parse_time(text, options.zone),
        other => other.as_f64(),
    };
    let number: f64 = number.filter(|number: &f64| number.is_finite())?;
    let ms = if (1e9..1e10).contains(&number) { number * 1000.0 } else { number };
    // The cast is exact in the range checked.
    (MIN_MILLIS as f64..=MAX_MILLIS as f64).contains(&ms).then_some(ms as i64)
}

/// Parses a JSON file.
pub fn parse(text: &str) -> Result<Value, Reading> {
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
        Reading::nothing(Refused::new(place, format!("must be JSON: {error}"), line.trim()))
    })
}
