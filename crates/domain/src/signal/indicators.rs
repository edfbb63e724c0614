//! The caller's indicators, kept as the text they came as.

use super::fields::Text;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// How deep a caller's objects may nest: well below the 128 levels that the JSON reader allows.
pub(super) const MAX_DEPTH: usize = 32;

/// What a strategy knew when it gave a signal: a JSON object of names and values, kept as text. Recording writes the text
/// unchanged; a map would cost more than the rest of the signal.
#[derive(Debug, Clone, Default)]
pub struct Indicators(Option<Box<RawValue>>);

/// A single value, outside of arrays.
enum Leaf<'a> {
    /// Finite.
    Number(f64),
    Text(&'a str),
}

/// Parses a decimal number; not `NaN`, `inf`, `0x1f` or an empty text.
fn number_of(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// MongoDB's extended JSON wraps a decimal in an object with this key; the key is not part of the name.
const MONGO_DECIMAL: &str = "$numberDecimal";

/// Why a value cannot be used as indicators.
#[derive(Debug, PartialEq)]
pub enum Unfit {
    NoObject,
    TooDeep,
}

impl Indicators {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The numeric indicators by dotted name (`macd.histogram`). `true` and `false` are 1 and 0. A text that is a finite decimal
    /// number counts as that number, since databases return decimals as text.
    pub fn numbers(&self) -> Vec<(String, f64)> {
        let mut numbers = Vec::new();
        self.each(&mut |name, leaf| {
            if let Leaf::Number(number) = leaf {
                numbers.push((name.to_owned(), number));
            }
        });
        numbers
    }

    /// The indicators that are text and not numbers, by name as in [`Self::numbers`].
    pub fn texts(&self) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        self.each(&mut |name, leaf| {
            if let Leaf::Text(text) = leaf {
                texts.push((name.to_owned(), text.to_owned()));
            }
        });
        texts
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Leaf<'_>)) {
        if let Some(text) = &self.0 {
            // The text was parsed once already, so this cannot fail.
            let _ = walk(text, tell);
        }
    }

    /// Accepts a text that is a JSON object.
    pub(super) fn of_text(text: &RawValue) -> Result<Self, Unfit> {
        // The log's own lines have no spaces between members.
        if text.get().bytes().any(|byte| byte.is_ascii_whitespace()) {
            return serde_json::from_str(text.get()).map_or(Err(Unfit::NoObject), |value| Self::of_value(&value));
        }
        let found = walk(text, &mut |_, _| {})?;
        Ok(Self((found > 0).then(|| text.to_owned())))
    }

    /// Accepts a value that is a JSON object.
    pub fn of_value(value: &Value) -> Result<Self, Unfit> {
        let text = serde_json::value::to_raw_value(value).map_err(|_| Unfit::NoObject)?;
        let found = walk(&text, &mut |_, _| {})?;
        Ok(Self((found > 0).then_some(text)))
    }
}

/// Equal values in different notations are equal.
impl PartialEq for Indicators {
    fn eq(&self, other: &Self) -> bool {
        fn text(indicators: &Indicators) -> &str {
            indicators.0.as_deref().map_or("{}", RawValue::get)
        }
        let value = |indicators| serde_json::from_str::<Value>(text(indicators)).ok();
        text(self) == text(other) || value(self) == value(other)
    }
}

impl Serialize for Indicators {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(text) => text.serialize(serializer),
            None => serializer.collect_map(std::iter::empty::<((), ())>()),
        }
    }
}

/// Visits every scalar in an object, except in arrays. Returns the number of members.
fn walk(text: &RawValue, tell: &mut dyn FnMut(&str, Leaf<'_>)) -> Result<usize, Unfit> {
    if !text.get().starts_with('{') {
        return Err(Unfit::NoObject);
    }
    let (mut name, mut too_deep) = (String::new(), false);
    let walk = Walk { name: &mut name, tell, named: true, levels: MAX_DEPTH + 1, too_deep: &mut too_deep };
    let members = walk.deserialize(&mut serde_json::Deserializer::from_str(text.get()));
    members.map_err(|_| if too_deep { Unfit::TooDeep } else { Unfit::NoObject })
}

/// The visitor of one value in an object; returns the number of members.
struct Walk<'a> {
    /// Its dotted name.
    name: &'a mut String,
    tell: &'a mut dyn FnMut(&str, Leaf<'_>),
    /// Whether to visit the value: items of arrays are skipped.
    named: bool,
    levels: usize,
    too_deep: &'a mut bool,
}

impl Walk<'_> {
    fn number<E>(self, number: f64) -> Result<usize, E> {
        if self.named && number.is_finite() {
            (self.tell)(self.name, Leaf::Number(number));
        }
        Ok(0)
    }

    /// The visitor of a value inside this one.
    fn inner(&mut self, named: bool) -> Walk<'_> {
        Walk { name: self.name, tell: self.tell, named, levels: self.levels, too_deep: self.too_deep }
    }

    fn descend<E: serde::de::Error>(&mut self) -> Result<(), E> {
        *self.too_deep |= self.levels == 0;
        self.levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<usize, E> {
        self.number(f64::from(u8::from(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<usize, E> {
        self.number(number as f64)
    }

    fn visit_u64<E>(self, number: u64) -> Result<usize, E> {
        self.number(number as f64)
    }

    fn visit_f64<E>(self, number: f64) -> Result<usize, E> {
        self.number(number)
    }

    fn visit_str<E>(self, text: &str) -> Result<usize, E> {
        if self.named {
            (self.tell)(self.name, number_of(text).map_or(Leaf::Text(text), Leaf::Number));
        }
        Ok(0)
    }

    fn visit_unit<E>(self) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<usize, A::Error> {
        self.descend()?;
        let mut count = 0;
        while items.next_element_seed(self.inner(false))?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<usize, A::Error> {
        self.descend()?;
        let mut count = 0;
        let outer = self.name.len();
        while let Some(Text(key)) = members.next_key()? {
            if key != MONGO_DECIMAL {
                if outer > 0 {
                    self.name.push('.');
                }
                self.name.push_str(&key);
            }
            let named = self.named;
            members.next_value_seed(self.inner(named))?;
            self.name.truncate(outer);
            count += 1;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(text: &str) -> Result<Indicators, Unfit> {
        Indicators::of_text(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn numbers_are_told_by_dotted_name() {
        let value = json!({ "rsi": 71, "macd": { "histogram": -0.5, "": 1 }, "up": true, "list": [1, { "a": 2 }], "text": "1",
            "none": null, "": 3, "atr": { "$numberDecimal": "1.50" }, "regime": "bull", "strategy": { "name": "breakout-v2" },
            "small": "-1e-3", "odd": "NaN", "hex": "0x1f", "long": "1e999", "blank": " " });
        let expected = [
            ("rsi", 71.0),
            ("macd.histogram", -0.5),
            ("macd.", 1.0),
            ("up", 1.0),
            ("text", 1.0),
            ("", 3.0),
            ("atr", 1.5),
            ("small", -0.001),
        ];
        let texts = [
            ("regime", "bull"),
            ("strategy.name", "breakout-v2"),
            ("odd", "NaN"),
            ("hex", "0x1f"),
            ("long", "1e999"),
            ("blank", " "),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
        let expected = expected.map(|(name, number)| (name.to_owned(), number));
        let (compact, wide) = (value.to_string(), serde_json::to_string_pretty(&value).unwrap());
        for indicators in [Indicators::of_value(&value), text(&compact), text(&wide)] {
            let indicators = indicators.unwrap();
            assert_eq!(indicators.numbers(), expected);
            assert_eq!(indicators.texts(), texts);
            assert_eq!(serde_json::to_string(&indicators).unwrap(), compact);
        }
    }

    #[test]
    fn the_same_values_are_equal_in_any_spelling() {
        assert_eq!(text("{\"a\":1e1}"), text("{\"a\": 10.0}"));
        assert_ne!(text("{\"a\":10}"), text("{\"a\":11}"));
        assert_eq!(text("{}"), Ok(Indicators::default()));
        assert!(text("{ }").unwrap().is_empty());
    }

    #[test]
    fn what_could_not_be_read_back_is_refused() {
        let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(text(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(text(&nested(MAX_DEPTH + 1)), Err(Unfit::TooDeep));
        for bad in ["[1]", "5", "\"{}\"", "{\"a\":1e999}", "{\"a\":\"\\ud800\"}"] {
            assert_eq!(text(bad), Err(Unfit::NoObject), "{bad}");
        }
    }
}
