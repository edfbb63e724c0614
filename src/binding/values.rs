//! JavaScript values read with care: what napi would turn into a silent 0 is an error that names the argument.

use super::environment::{self, Environment};
use crate::error::{Error, Result};
use crate::feedback::Tick;
use crate::market::Candle;
use crate::symbol::{Market, Spellings, Symbol, Timeframe};
use crate::time;
use napi::ValueType;
use napi::bindgen_prelude::{
    Env, Float64ArraySlice, FnArgs, FromNapiValue, Function, FunctionRef, JsObjectValue, JsValue, Object, Unknown, sys,
};
use serde_json::{Map, Value};
use std::rc::Rc;

/// Values read of one argument; more would hold up the event loop, and a sparse array may claim billions.
const MAX_VALUES: usize = 2_000_000;
/// Levels of nesting read of an object; deeper, or cyclic, is an error.
const MAX_DEPTH: usize = 16;

/// What a getter or a proxy of the caller's threw, taken out of the engine: left pending there, it would be thrown in
/// place of our error, and past the promise.
pub fn take_exception(env: sys::napi_env) -> Option<String> {
    let clear = || {
        let (mut pending, mut thrown) = (false, std::ptr::null_mut());
        // SAFETY: `env` comes with a live value, on the JavaScript thread; both results are written on success.
        unsafe {
            let known = sys::napi_is_exception_pending(env, &mut pending) == sys::Status::napi_ok;
            let taken = known && pending && {
                sys::napi_get_and_clear_last_exception(env, &mut thrown) == sys::Status::napi_ok
            };
            taken.then(|| Unknown::from_raw_unchecked(env, thrown))
        }
    };
    let text = clear()?.coerce_to_string().and_then(|text| text.into_utf8()?.into_owned());
    // Making it a text may have thrown in turn.
    clear();
    Some(text.unwrap_or_else(|_| "an exception".to_owned()))
}

/// An argument that could not be read, and why.
pub fn unreadable(env: sys::napi_env, argument: &'static str, error: &napi::Error) -> Error {
    let thrown = take_exception(env);
    Error::argument(argument, "could not be read", thrown.unwrap_or_else(|| error.reason.clone()))
}

fn spend(left: &mut usize, values: usize) -> Result<()> {
    let too_many = || Error::argument("value", format!("must not hold more than {MAX_VALUES} values"), "more");
    *left = left.checked_sub(values).ok_or_else(too_many)?;
    Ok(())
}

/// A JavaScript value as JSON. `undefined` members and functions are left out; a `Date` becomes its milliseconds;
/// NaN, infinities and an Invalid Date become their names, so that whoever wanted a number refuses them by name.
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
        ValueType::String => Value::String(read(value)?),
        ValueType::BigInt => {
            Value::String(value.coerce_to_string().and_then(|s| s.into_utf8()?.into_owned()).map_err(unreadable)?)
        }
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

/// The members of an object as JSON; `valueless` is told the names of those that are functions and symbols.
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

fn read<T: FromNapiValue>(value: Unknown<'_>) -> Result<T> {
    // SAFETY: the raw parts come from one live `Unknown`, on the JavaScript thread; the conversion checks the type.
    unsafe { T::from_napi_value(value.value().env, value.raw()) }
        .map_err(|error| unreadable(value.value().env, "value", &error))
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

/// JSON of a signal, or of a part of an array of them, by the engine's own `JSON.stringify`, which is several times faster
/// than reading value by value. `undefined` where it would hide something (NaN, an Invalid Date and an infinity become
/// `null`, which for a stop loss means none; what is inherited is left out), cannot be made at all, or says what no text in Rust
/// can: half of a surrogate pair, which it escapes.
const STRINGIFY: &str = "(value, from, to) => {
  const odd = (v) =>
    typeof v === 'number' ? v - v !== 0 : typeof v === 'object' && v !== null && !(v.valueOf() - 0 >= 0)
  const plain = (s) => {
    if (typeof s !== 'object' || s === null) return false
    const prototype = Object.getPrototypeOf(s)
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return false
    if (odd(s.confidence) || odd(s.timestamp)) return false
    if (odd(s.entryPrice) || odd(s.stopLoss) || odd(s.takeProfit) || odd(s.expiresAt)) return false
    return !(odd(s.entry_price) || odd(s.stop_loss) || odd(s.take_profit) || odd(s.expires_at))
  }
  try {
    const part = from === null ? value : value.slice(from, to)
    const text = (from === null ? plain(part) : part.every(plain)) ? JSON.stringify(part) : undefined
    return text?.includes('\\\\ud') ? undefined : text
  } catch {
    return undefined
  }
}";

/// Signals that a thread writes down at a time: less than a millisecond of work.
const SLICE: u32 = 250;

type Slice = FnArgs<(Unknown<'static>, Option<u32>, Option<u32>)>;

/// See [`STRINGIFY`]; compiled once an environment.
pub struct Stringify(FunctionRef<Slice, Unknown<'static>>);

impl Stringify {
    /// For one environment.
    pub fn new(env: &Env) -> napi::Result<Self> {
        env.run_script::<_, Function<'_, Slice, Unknown<'static>>>(STRINGIFY)?.create_ref().map(Self)
    }

    fn text(&self, env: &Env, value: &Unknown<'_>, range: Option<(u32, u32)>) -> Option<String> {
        let (from, to) = range.unzip();
        // SAFETY: the value lives as long as the call that it is passed to.
        let value = unsafe { Unknown::from_raw_unchecked(value.value().env, value.raw()) };
        let text =
            self.0.borrow_back(env).and_then(|function| function.call(FnArgs { data: (value, from, to) })).ok()?;
        plain_text(&text)
    }
}

/// JSON of a signal; `None` where only [`to_json`] does it justice.
pub fn signal_text(env: &Env, signal: &Unknown<'_>) -> Option<String> {
    environment::of(env).ok()?.stringify.text(env, signal, None)
}

/// JSON of an array of signals, slice by slice; an item is `None` where only [`to_json`] does the slice justice.
pub struct SignalTexts<'a> {
    env: &'a Env,
    environment: Rc<Environment>,
    signals: &'a Unknown<'a>,
    next: u32,
    length: u32,
}

impl<'a> SignalTexts<'a> {
    /// `None` when `signals` is not an array.
    pub fn of(env: &'a Env, signals: &'a Unknown<'a>) -> Option<Self> {
        if !signals.is_array().ok()? {
            return None;
        }
        let array: Object<'_> = read(*signals).ok()?;
        let length = array.get_array_length().ok()?;
        Some(Self { env, environment: environment::of(env).ok()?, signals, next: 0, length })
    }
}

impl Iterator for SignalTexts<'_> {
    type Item = Option<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.length {
            return None;
        }
        let from = self.next;
        self.next = from.saturating_add(SLICE);
        Some(self.environment.stringify.text(self.env, self.signals, Some((from, self.next))))
    }
}

/// An object argument as a JSON map; a missing one is empty. Only members of these names may be functions, which are left
/// out: elsewhere one would count as missing.
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

/// Refuses options that nothing reads: a misspelt one would otherwise be ignored in silence.
pub fn no_more(map: &Map<String, Value>) -> Result<()> {
    match map.iter().next() {
        None => Ok(()),
        Some((name, value)) => Err(Error::argument("options", format!("has no member `{name}`"), value)),
    }
}

/// A required text argument.
pub fn text(argument: &'static str, value: Unknown<'_>) -> Result<String> {
    match value.get_type() {
        Ok(ValueType::String) => read(value),
        _ => Err(Error::argument(argument, "must be a string", to_json(value)?)),
    }
}

/// A plain string; `None` for anything else.
fn plain_text(value: &Unknown<'_>) -> Option<String> {
    matches!(value.get_type(), Ok(ValueType::String)).then(|| read(*value).ok()).flatten()
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
    let ms = match value {
        Value::String(text) => time::parse_time(text, crate::time::Tz::UTC),
        other => other.as_f64().map(|ms| ms as i64).filter(|ms| (time::MIN_MILLIS..=time::MAX_MILLIS).contains(ms)),
    };
    ms.ok_or_else(|| Error::argument(argument, TIME, value))
}

const TIME: &str = "must be a Date, an ISO 8601 string or epoch milliseconds";

/// Prices of many pairs. A pair's name is normalised once, however often it comes.
pub struct Ticks {
    symbols: Vec<Symbol>,
    /// Position in `symbols`, price, time.
    ticks: Vec<(usize, f64, i64)>,
    /// No times were given: the prices are of now.
    pub of_now: bool,
}

impl Ticks {
    /// Each price, in order.
    pub fn iter(&self) -> impl Iterator<Item = Tick<'_>> {
        self.ticks.iter().map(|&(symbol, price, time_ms)| Tick { symbol: &self.symbols[symbol], price, time_ms })
    }
}

/// `pairs[i]` cost `prices[i]` at `timesMs[i]`, or now.
pub fn ticks(pairs: Unknown<'_>, prices: Unknown<'_>, times_ms: Unknown<'_>) -> Result<Ticks> {
    let prices = floats("prices", prices)?;
    let times = if is_missing(&times_ms) { None } else { Some(floats("timesMs", times_ms)?) };
    let wrong_length = |argument, length: usize| {
        Err(Error::argument(argument, format!("must have one item for each of the {} prices", prices.len()), length))
    };
    if let Some(times) = times.as_ref().filter(|times| times.len() != prices.len()) {
        return wrong_length("timesMs", times.len());
    }
    let env = pairs.value().env;
    let failed = |error: napi::Error| unreadable(env, "pairs", &error);
    let pairs: Object<'_> = match pairs.get_type() {
        Ok(ValueType::Object) => read(pairs)?,
        _ => return Err(Error::argument("pairs", "must be an array of strings", to_json(pairs)?)),
    };
    let length = if pairs.is_array().map_err(failed)? { pairs.get_array_length().map_err(failed)? } else { 0 };
    if length as usize != prices.len() {
        return wrong_length("pairs", length as usize);
    }
    let mut symbols = Spellings::default();
    let mut ticks = Vec::with_capacity(prices.len());
    let now = time::now_ms();
    for (index, &price) in prices.iter().enumerate() {
        if !(price.is_finite() && price > 0.0) {
            return Err(Error::argument("prices", format!("must be finite prices above 0, at [{index}] too"), price));
        }
        let time_ms = match times.as_ref().map(|times| times[index]) {
            None => now,
            Some(ms) if (time::MIN_MILLIS as f64..=time::MAX_MILLIS as f64).contains(&ms) => ms as i64,
            Some(ms) => {
                return Err(Error::argument("timesMs", format!("must be epoch milliseconds, at [{index}] too"), ms));
            }
        };
        let name = text("pairs", pairs.get_element(index as u32).map_err(failed)?)?;
        ticks.push((symbols.number(name)?, price, time_ms));
    }
    Ok(Ticks { symbols: symbols.into_symbols(), ticks, of_now: times.is_none() })
}

fn floats<'a>(argument: &'static str, value: Unknown<'a>) -> Result<Float64ArraySlice<'a>> {
    // SAFETY: the raw parts come from one live `Unknown`, on the JavaScript thread; the conversion checks the type.
    unsafe { Float64ArraySlice::from_napi_value(value.value().env, value.raw()) }
        .map_err(|_| Error::argument(argument, "must be a Float64Array", "another type"))
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

/// Candles as JSON: `[openMs, o, h, l, c, v]`, or objects of `time` (or `timestamp`, `openTime`), `open` … `volume`.
/// Where none has a time they are consecutive, of `candle_ms` each, and the last has just closed.
pub fn candles(argument: &'static str, value: &Value, candle_ms: i64) -> Result<Vec<Candle>> {
    let items = match value.as_array() {
        Some(items) if !items.is_empty() => items,
        _ => return Err(Error::argument(argument, "must be an array of candles, oldest first, and not empty", value)),
    };
    let timeless = items.iter().all(|item| time_of(item).is_none());
    let first_ms = time::now_ms() - items.len() as i64 * candle_ms;
    let read = |(index, item): (usize, &Value)| {
        let wrong = |field, value: Option<&Value>| Error::InvalidCandle {
            index,
            field,
            problem: if field == "time" { TIME } else { "must be a number" },
            value: value.map_or_else(|| "nothing".to_owned(), Value::to_string),
        };
        let field = |position: usize, name: &'static str| {
            let value = item.get(position).or_else(|| item.get(name));
            value.and_then(Value::as_f64).ok_or_else(|| wrong(name, value))
        };
        let open_ms = match time_of(item) {
            _ if timeless => first_ms + index as i64 * candle_ms,
            Some(time) => json_time("time", time).map_err(|_| wrong("time", Some(time)))?,
            None => return Err(wrong("time", None)),
        };
        Candle {
            open_ms,
            open: field(1, "open")?,
            high: field(2, "high")?,
            low: field(3, "low")?,
            close: field(4, "close")?,
            volume: field(5, "volume")?,
        }
        .check(index)
    };
    items.iter().enumerate().map(read).collect()
}

/// One candle that must say its time.
pub fn timed_candle(argument: &'static str, value: &Value) -> Result<Candle> {
    if time_of(value).is_none() {
        return Err(Error::argument(argument, "must have a `time` (Date, ISO 8601 string or milliseconds)", value));
    }
    let single = candles(argument, &Value::Array(vec![value.clone()]), 0)?;
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

/// Candles as numbers: open time, open, high, low, close, volume of each; where no time is a number, they are consecutive
/// and end now.
pub fn packed_candles(argument: &'static str, rows: Unknown<'_>, candle_ms: i64) -> Result<Vec<Candle>> {
    let rows = floats(argument, rows)?;
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

fn time_of(item: &Value) -> Option<&Value> {
    let keys = ["time", "timestamp", "openTime", "open_time"];
    item.get(0).or_else(|| keys.iter().find_map(|key| item.get(key))).filter(|time| !time.is_null())
}
