//! The members of a JSON object by what they mean, whatever their spelling.

use super::wrong;
use crate::error::Result;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt;

/// What a key may mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Name {
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
    Strategy,
    Taken,
    Indicators,
    Features,
    Said,
    Outcome,
    ExitPrice,
    ProfitPercent,
    ClosedAt,
    MfePercent,
    MaePercent,
    EntryType,
    EntryZone,
    EntryExpiresAt,
    TakeProfits,
    StopRules,
    Source,
    Tags,
    Leverage,
    FeeBps,
    FundingBpsPerDay,
    Quantity,
    Terms,
    History,
}

impl Name {
    /// As an error calls it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Symbol => "symbol",
            Self::Timeframe => "timeframe",
            Self::SignalType => "signalType",
            Self::Confidence => "confidence",
            Self::EntryPrice => "entryPrice",
            Self::StopLoss => "stopLoss",
            Self::TakeProfit => "takeProfit",
            Self::Timestamp => "timestamp",
            Self::ExpiresAt => "expiresAt",
            Self::Strategy => "strategy",
            Self::Taken => "taken",
            Self::Indicators => "indicators",
            Self::Features => "features",
            Self::Said => "said",
            Self::Outcome => "outcome",
            Self::ExitPrice => "exitPrice",
            Self::ProfitPercent => "profitLossPercent",
            Self::ClosedAt => "closedAt",
            Self::MfePercent => "mfePercent",
            Self::MaePercent => "maePercent",
            Self::EntryType => "entryType",
            Self::EntryZone => "entryZone",
            Self::EntryExpiresAt => "entryExpiresAt",
            Self::TakeProfits => "takeProfits",
            Self::StopRules => "stopRules",
            Self::Source => "source",
            Self::Tags => "tags",
            Self::Leverage => "leverage",
            Self::FeeBps => "feeBps",
            Self::FundingBpsPerDay => "fundingBpsPerDay",
            Self::Quantity => "quantity",
            Self::Terms => "managed_terms",
            Self::History => "managed_history",
        }
    }
}

/// How many meanings there are.
const NAMES: usize = Name::History as usize + 1;

/// The keys that mean something, in every spelling.
const KEYS: [(&str, Name); 54] = [
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
    ("strategy", Name::Strategy),
    ("taken", Name::Taken),
    ("indicators", Name::Indicators),
    ("features", Name::Features),
    ("said", Name::Said),
    ("outcome", Name::Outcome),
    ("exit_price", Name::ExitPrice),
    ("exitPrice", Name::ExitPrice),
    ("profit_loss_percent", Name::ProfitPercent),
    ("profitLossPercent", Name::ProfitPercent),
    ("closed_at", Name::ClosedAt),
    ("closedAt", Name::ClosedAt),
    ("mfe_percent", Name::MfePercent),
    ("mfePercent", Name::MfePercent),
    ("mae_percent", Name::MaePercent),
    ("maePercent", Name::MaePercent),
    ("entry_type", Name::EntryType),
    ("entryType", Name::EntryType),
    ("entry_zone", Name::EntryZone),
    ("entryZone", Name::EntryZone),
    ("entry_expires_at", Name::EntryExpiresAt),
    ("entryExpiresAt", Name::EntryExpiresAt),
    ("take_profits", Name::TakeProfits),
    ("takeProfits", Name::TakeProfits),
    ("stop_rules", Name::StopRules),
    ("stopRules", Name::StopRules),
    ("source", Name::Source),
    ("tags", Name::Tags),
    ("leverage", Name::Leverage),
    ("fee_bps", Name::FeeBps),
    ("feeBps", Name::FeeBps),
    ("funding_bps_per_day", Name::FundingBpsPerDay),
    ("fundingBpsPerDay", Name::FundingBpsPerDay),
    ("quantity", Name::Quantity),
    ("managed_terms", Name::Terms),
    ("managed_history", Name::History),
];

/// A JSON object: the known keys by meaning, and the others.
///
/// It has more than 25 methods because each reads one field, in the file of its subject.
pub(super) struct Fields<'a> {
    /// One value for each meaning, never null, with the index of its key in [`KEYS`].
    known: Vec<(usize, Field<'a>)>,
    /// For each meaning, the index of its value in `known` plus 1; 0 if it has none.
    places: [u8; NAMES],
    /// Further keys with a meaning that has its value already; their values must be the same.
    again: Vec<(usize, Field<'a>)>,
    /// Unknown keys.
    pub others: Map<String, Value>,
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self { known: Vec::new(), places: [0; NAMES], again: Vec::new(), others: Map::new() }
    }
}

/// A value; most are texts and numbers, which need no allocation.
pub(super) enum Field<'a> {
    Text(Cow<'a, str>),
    /// The text of any value; used only for indicators, which are stored as text.
    Raw(&'a RawValue),
    Other(Value),
}

impl Default for Field<'_> {
    fn default() -> Self {
        Self::Other(Value::Null)
    }
}

impl From<Value> for Field<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Cow::Owned(text)),
            other => Self::Other(other),
        }
    }
}

impl Field<'_> {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Raw(_) | Self::Other(_) => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
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

    pub fn into_value(self) -> Value {
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
            match known(&key) {
                Some((name, at)) => fields.keep(name, at, value.into()),
                None => drop(fields.others.insert(key, value)),
            }
        }
        fields
    }
}

/// Every spelling of a key that means something to [`super::Record::from_json`]; other keys are the caller's own.
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

fn known(key: &str) -> Option<(Name, usize)> {
    KEYS.iter().position(|(known, _)| *known == key).map(|at| (KEYS[at].1, at))
}

/// Parsed directly from text; a map of everything would cost more than all other steps together.
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

/// A text, borrowed if it has no escapes; a bare `Cow` would always be owned.
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
    /// Adds the value of a key. Null counts as missing. If a key is repeated, the last one counts, as usual in JSON.
    fn keep(&mut self, name: Name, at: usize, field: Field<'a>) {
        let place = &mut self.places[name as usize];
        match usize::from(*place).checked_sub(1).and_then(|index| self.known.get_mut(index)) {
            _ if field.is_null() => {}
            None => {
                self.known.push((at, field));
                *place = self.known.len() as u8;
            }
            Some(kept) if at == kept.0 => kept.1 = field,
            Some(_) => self.again.push((at, field)),
        }
    }

    /// Takes the value of `name`, parsed by `read`; `None` if it is missing.
    ///
    /// # Errors
    /// Those of `read`; also if two keys with this meaning have different values.
    pub fn take<T: PartialEq>(&mut self, name: Name, read: impl Fn(Field<'a>) -> Result<T>) -> Result<Option<T>> {
        let place = std::mem::take(&mut self.places[name as usize]);
        let Some((at, field)) = usize::from(place).checked_sub(1).and_then(|index| self.known.get_mut(index)) else {
            return Ok(None);
        };
        let (at, field) = (*at, std::mem::take(field));
        let said = if self.again.is_empty() { String::new() } else { said(at, &field) };
        let value = read(field)?;
        for (other, field) in self.again.extract_if(.., |(other, _)| KEYS[*other].1 == name) {
            let also = self::said(other, &field);
            if read(field)? != value {
                return wrong(name.label(), "must be the same under each of its names", format!("{said} and {also}"));
            }
        }
        Ok(Some(value))
    }

    /// Leaves a meaning among the caller's own keys.
    pub fn leave(&mut self, name: Name) {
        self.leave_but(name, "");
    }

    /// Leaves a meaning among the caller's own keys, except under this spelling.
    pub fn leave_but(&mut self, name: Name, spelling: &str) {
        let place = usize::from(std::mem::take(&mut self.places[name as usize]));
        let first = place.checked_sub(1).and_then(|index| self.known.get_mut(index));
        let first = first.map(|(at, field)| (*at, std::mem::take(field)));
        let again: Vec<_> = self.again.extract_if(.., |(at, _)| KEYS[*at].1 == name).collect();
        for (at, field) in first.into_iter().chain(again) {
            if KEYS[at].0 == spelling {
                self.keep(name, at, field);
            } else {
                self.others.insert(KEYS[at].0.to_owned(), field.into_value());
            }
        }
    }

    /// The first key that was given for a meaning, and its value.
    pub fn given(&self, name: Name) -> Option<(&'static str, &Field<'a>)> {
        let index = usize::from(self.places[name as usize]).checked_sub(1)?;
        self.known.get(index).map(|(at, field)| (KEYS[*at].0, field))
    }

    /// A key that was not taken, and its value.
    pub fn left_over(&self) -> Option<(&str, String)> {
        let known = self.places.iter().filter_map(|place| self.known.get(usize::from(*place).checked_sub(1)?));
        let known = known.map(|(at, field)| (KEYS[*at].0, field.to_string()));
        known.chain(self.others.iter().map(|(key, value)| (key.as_str(), value.to_string()))).next()
    }
}

/// A value and its key, for errors.
fn said(at: usize, field: &Field<'_>) -> String {
    format!("{field} as `{}`", KEYS[at].0)
}
