//! Reads JavaScript values strictly: values that napi would silently turn into 0 are an error that names the argument.

use super::{arrays, thrown};
use candles::given::{TIME, Times, read_given, time_of};
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time;
use napi::ValueType;
use napi::bindgen_prelude::{FromNapiValue, JsObjectValue, JsValue, Object, Unknown, sys};
use serde_json::{Map, Value};

/// Limit of values in one argument: more would block the event loop, and a sparse array may claim billions.
const MAX_VALUES: usize = 1_000_000;
/// Limit of bytes of one text, far more than a signal or a path may have.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// Limit of 64-bit words of a BigInt.
const MAX_WORDS: usize = 64;
/// Limit of nesting levels; deeper or cyclic objects are an error.
const MAX_DEPTH: usize = 16;

/// An argument that could not be read, and why.
pub fn unreadable(env: sys::napi_env, argument: &'static str, error: &napi::Error) -> Error {
    let thrown = thrown::take_text(env);
    Error::argument(argument, "could not be read", thrown.unwrap_or_else(|| error.reason.clone()))
}

fn spend(left: &mut usize, values: usize) -> Result<()> {
    let too_many = || Error::argument("value", format!("must not hold more than {MAX_VALUES} values"), "more");
    *left = left.checked_sub(values).ok_or_else(too_many)?;
    Ok(())
}

/// A JavaScript value as JSON. `undefined` members and functions are left out; a `Date` becomes its milliseconds; NaN, infinities
/// and an Invalid Date become their names, so that a numeric field refuses them by name.
pub fn to_json(value: Unknown<'_>) -> Result<Value> {
    let mut left = MAX_VALUES;
    json(value, MAX_DEPTH, &mut left)
}

fn json(value: Unknown<'_>, depth: usize, left: &mut usize) -> Result<Value> {
    if depth == 0 {
        return Err(Error::argument(
            "value",
            "must not be nested deeper than 16 levels, nor contain itself",
            "an object",
        ));
    }
    let env = value.value().env;
    let unreadable = |error: napi::Error| unreadable(env, "value", &error);
    Ok(match value.get_type().map_err(unreadable)? {
        ValueType::Boolean => Value::Bool(read(value)?),
        ValueType::Number => number(read(value)?),
        ValueType::String => Value::String(string("value", value)?),
        ValueType::BigInt => Value::String(digits(value)?),
        ValueType::Object if value.is_date().map_err(unreadable)? => date(value)?,
        ValueType::Object => {
            let object: Object<'_> = read(value)?;
            if object.is_array().map_err(unreadable)? {
                let length = object.get_array_length().map_err(unreadable)?;
                spend(left, length as usize)?;
                let item = |i| json(object.get_element::<Unknown<'_>>(i).map_err(unreadable)?, depth - 1, left);
                Value::Array((0..length).map(item).collect::<Result<_>>()?)
            } else {
                Value::Object(members(&object, depth, left, |_| Ok(()))?)
            }
        }
        _ => Value::Null,
    })
}

/// The members of an object as JSON; `valueless` receives the names of members that are functions or symbols.
fn members(
    object: &Object<'_>,
    depth: usize,
    left: &mut usize,
    valueless: impl Fn(&str) -> Result<()>,
) -> Result<Map<String, Value>> {
    let unreadable = |error: napi::Error| unreadable(object.value().env, "value", &error);
    let mut map = Map::new();
    let keys = Object::keys(object).map_err(unreadable)?;
    spend(left, keys.len())?;
    for key in keys {
        let member: Unknown<'_> = object.get_named_property(&key).map_err(unreadable)?;
        match member.get_type().map_err(unreadable)? {
            ValueType::Undefined => {}
            ValueType::Function | ValueType::Symbol => valueless(&key)?,
            _ => drop(map.insert(key, json(member, depth - 1, left)?)),
        }
    }
    Ok(map)
}

pub fn read<T: FromNapiValue>(value: Unknown<'_>) -> Result<T> {
    // SAFETY: the raw parts come from one live `Unknown`, on the JavaScript thread; the conversion checks the type.
    unsafe { T::from_napi_value(value.value().env, value.raw()) }
        .map_err(|error| unreadable(value.value().env, "value", &error))
}

/// A text, unless it is longer than the limit: JavaScript has strings of half a gigabyte.
fn string(argument: &'static str, value: Unknown<'_>) -> Result<String> {
    let (env, mut bytes) = (value.value().env, 0);
    // SAFETY: the value is live, on the JavaScript thread; without a buffer the length is all that is written.
    let known = unsafe { sys::napi_get_value_string_utf8(env, value.raw(), std::ptr::null_mut(), 0, &mut bytes) };
    if known == sys::Status::napi_ok && bytes > MAX_TEXT_BYTES {
        let allowed = format!("must not hold a text longer than {MAX_TEXT_BYTES} bytes");
        return Err(Error::argument(argument, allowed, format!("{bytes} bytes")));
    }
    read(value)
}

/// A BigInt, unless it is larger than the limit: converting one of ten million bits takes seconds.
fn digits(value: Unknown<'_>) -> Result<String> {
    let (env, mut words) = (value.value().env, 0);
    // SAFETY: the value is live, on the JavaScript thread; without room for the words their number is all that is written.
    let known = unsafe {
        sys::napi_get_value_bigint_words(env, value.raw(), std::ptr::null_mut(), &mut words, std::ptr::null_mut())
    };
    if known == sys::Status::napi_ok && words > MAX_WORDS {
        let allowed = format!("must not hold an integer of more than {} bits", 64 * MAX_WORDS);
        return Err(Error::argument("value", allowed, format!("{} bits", 64 * words)));
    }
    let text = value.coerce_to_string().and_then(|text| text.into_utf8()?.into_owned());
    text.map_err(|error| unreadable(env, "value", &error))
}

fn number(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0 {
        Value::from(x as i64)
    } else {
        serde_json::Number::from_f64(x).map_or_else(|| Value::String(name_of(x).to_owned()), Value::Number)
    }
}

fn name_of(x: f64) -> &'static str {
    match x {
        x if x.is_nan() => "NaN",
        x if x > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

fn date(value: Unknown<'_>) -> Result<Value> {
    let env = value.value().env;
    let ms = value.coerce_to_number().and_then(|number| number.get_double());
    let ms = ms.map_err(|error| unreadable(env, "value", &error))?;
    Ok(if ms.is_finite() { number(ms) } else { Value::String("Invalid Date".to_owned()) })
}

/// An object argument as a JSON map; a missing one is empty. Only members with the given names may be functions, and those are
/// left out; any other function would count as missing.
pub fn to_map(argument: &'static str, value: Unknown<'_>, functions: &[&str]) -> Result<Map<String, Value>> {
    if is_missing(&value) {
        return Ok(Map::new());
    }
    let unreadable = |error: napi::Error| unreadable(value.value().env, "value", &error);
    let is_map = matches!(value.get_type(), Ok(ValueType::Object))
        && !value.is_array().map_err(unreadable)?
        && !value.is_date().map_err(unreadable)?;
    if !is_map {
        return Err(Error::argument(argument, "must be an object", to_json(value)?));
    }
    members(&read(value)?, MAX_DEPTH, &mut MAX_VALUES.clone(), |name| {
        if functions.contains(&name) {
            return Ok(());
        }
        Err(Error::argument(argument, format!("must have a value as `{name}`"), "a function or a symbol"))
    })
}

/// Whether an optional argument was left out.
pub fn is_missing(value: &Unknown<'_>) -> bool {
    matches!(value.get_type(), Ok(ValueType::Undefined | ValueType::Null))
}

/// A member of an options map, read by `parse`; `None` when it is missing.
pub fn option<T>(
    map: &mut Map<String, Value>,
    name: &'static str,
    allowed: &str,
    parse: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>> {
    match map.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => parse(&value).map(Some).ok_or_else(|| Error::argument(name, allowed, &value)),
    }
}

/// Refuses unknown options, because a misspelt one would be ignored silently.
pub fn no_more(map: &Map<String, Value>) -> Result<()> {
    match map.iter().next() {
        None => Ok(()),
        Some((name, value)) => Err(Error::argument("options", format!("has no member `{name}`"), value)),
    }
}

/// The length of an array.
pub fn array_length(argument: &'static str, allowed: &str, value: Unknown<'_>) -> Result<u32> {
    let unreadable = |error: napi::Error| unreadable(value.value().env, argument, &error);
    if !value.is_array().map_err(unreadable)? {
        return Err(Error::argument(argument, allowed, to_json(value)?));
    }
    read::<Object<'_>>(value)?.get_array_length().map_err(unreadable)
}

/// A required text argument.
pub fn text(argument: &'static str, value: Unknown<'_>) -> Result<String> {
    match value.get_type() {
        Ok(ValueType::String) => string(argument, value),
        _ => Err(Error::argument(argument, "must be a string", to_json(value)?)),
    }
}

/// An optional text argument.
pub fn optional_text(argument: &'static str, value: Unknown<'_>) -> Result<Option<String>> {
    if is_missing(&value) { Ok(None) } else { text(argument, value).map(Some) }
}

/// A required finite price above 0.
pub fn price(argument: &'static str, value: Unknown<'_>) -> Result<f64> {
    match value.get_type() {
        Ok(ValueType::Number) => {
            let price: f64 = read(value)?;
            if price.is_finite() && price > 0.0 {
                Ok(price)
            } else {
                Err(Error::argument(argument, "must be a finite price above 0", price))
            }
        }
        _ => Err(Error::argument(argument, "must be a finite price above 0", to_json(value)?)),
    }
}

/// An optional time, a `Date`, an ISO string or milliseconds.
pub fn optional_time(argument: &'static str, value: Unknown<'_>) -> Result<Option<i64>> {
    if is_missing(&value) { Ok(None) } else { json_time(argument, &to_json(value)?).map(Some) }
}

pub fn json_time(argument: &'static str, value: &Value) -> Result<i64> {
    time_of(value).ok_or_else(|| Error::argument(argument, TIME, value))
}

/// `{ symbol, timeframe }` of an options map; the timeframe defaults to 1h.
pub fn market(map: &mut Map<String, Value>) -> Result<Market> {
    let spelling = |value: &Value| value.as_str().map(str::to_owned);
    let symbol = option(map, "symbol", "must be a pair such as BTCUSDT", spelling)?
        .ok_or_else(|| Error::argument("symbol", "must be a pair such as BTCUSDT", "nothing"))?;
    let timeframe = option(map, "timeframe", "must be a timeframe such as 1h", spelling)?;
    Ok(Market {
        symbol: Symbol::given(&symbol)?,
        timeframe: timeframe.map_or(Ok(Timeframe::H1), |text| Timeframe::parse(&text))?,
    })
}

/// A list of symbols or timeframes of an options map.
pub fn list<T>(
    map: &mut Map<String, Value>,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T>,
) -> Result<Option<Vec<T>>> {
    let texts = |value: &Value| {
        value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    let found = option(map, name, "must be an array of strings", texts)?;
    found.map(|texts| texts.iter().map(|text| parse(text)).collect()).transpose()
}

/// Candles as JSON, as [`read_given`] reads them.
pub fn candles(argument: &'static str, value: &Value, times: Times) -> Result<Vec<Candle>> {
    match value.as_array() {
        Some(items) if !items.is_empty() => read_given(items, times),
        _ => Err(Error::argument(argument, "must be an array of candles, oldest first, and not empty", value)),
    }
}

/// One candle, with its required time.
pub fn timed_candle(argument: &'static str, value: &Value) -> Result<Candle> {
    let single =
        candles(argument, &Value::Array(vec![value.clone()]), Times::Required).map_err(|error| match error {
            Error::InvalidCandle { field: "time", .. } => {
                Error::argument(argument, "must have a `time` (Date, ISO 8601 string or milliseconds)", value)
            }
            other => other,
        })?;
    single.into_iter().next().ok_or_else(|| Error::argument(argument, "must be a candle", value))
}

/// A required number of days above 0.
pub fn days(argument: &'static str, value: Unknown<'_>) -> Result<f64> {
    let given = to_json(value)?;
    given
        .as_f64()
        .filter(|days| *days > 0.0 && *days <= 36_500.0)
        .ok_or_else(|| Error::argument(argument, "must be a number of days above 0, at most 36500", given))
}

/// Candles as numbers: open time, open, high, low, close, volume of each. If no time is a number, they are consecutive, the last
/// one closing now.
pub fn packed_candles(argument: &'static str, rows: Unknown<'_>, candle_ms: i64) -> Result<Vec<Candle>> {
    let rows = arrays::floats(argument, rows)?;
    let (rows, rest) = rows.as_chunks::<6>();
    if rows.is_empty() || !rest.is_empty() {
        return Err(Error::argument(argument, "must hold six numbers for each candle", rows.len() * 6 + rest.len()));
    }
    let timeless = rows.iter().all(|row| row[0].is_nan());
    let first_ms = time::now_ms() - rows.len() as i64 * candle_ms;
    let read = |(index, &[time, open, high, low, close, volume]): (usize, &[f64; 6])| {
        let open_ms = if timeless { first_ms + index as i64 * candle_ms } else { time as i64 };
        if !(time::MIN_MILLIS..=time::MAX_MILLIS).contains(&open_ms) {
            let (field, problem, value) = ("time", "must be epoch milliseconds", time.to_string());
            return Err(Error::InvalidCandle { index, field, problem, value });
        }
        Candle { open_ms, open, high, low, close, volume }.check(index)
    };
    rows.iter().enumerate().map(read).collect()
}
