//! Reads signals, and changes of them, from JavaScript: `signals.js` has the rule, whatever their class.

use super::environment;
use super::values::to_json;
use domain::barrier::{Levels, Terms};
use domain::error::{Error, Result, shown};
use domain::signal::{Amendment, Cancellation, Change, Record, Signal, Source, Update};
use domain::time::Tz;
use napi::ValueType;
use napi::bindgen_prelude::{
    Env, FnArgs, Function, FunctionRef, JsObjectValue, JsValue, JsValuesTupleIntoVec, Object, Unknown,
};
use serde_json::{Map, Value};

type One = FnArgs<(Unknown<'static>,)>;
type Part = FnArgs<(Unknown<'static>, u32, u32)>;
type Reader<Args> = FunctionRef<Args, Unknown<'static>>;

/// The functions of `signals.js`, compiled once per environment.
pub struct Signals {
    one: Reader<One>,
    some: Reader<Part>,
    levels: Reader<One>,
    change: Reader<One>,
}

/// What they return.
pub enum Json {
    /// JSON.
    Text(String),
    /// A value with text that is not valid Unicode. All invalid parts have become the same character.
    Value(Value),
}

impl Signals {
    /// The reader of one environment.
    pub fn new(env: &Env) -> napi::Result<Self> {
        let functions = env.run_script::<_, Object<'_>>(include_str!("signals.js"))?;
        let one = |at| functions.get_element::<Function<'_, One, Unknown<'static>>>(at)?.create_ref();
        let some = functions.get_element::<Function<'_, Part, Unknown<'static>>>(1)?.create_ref()?;
        Ok(Self { one: one(0)?, some, levels: one(2)?, change: one(3)? })
    }
}

/// Calls a reader with napi's `apply`: `call` would ask JavaScript for the text of an exception, which at the end of the stack
/// throws again. Exceptions of a getter or `toJSON` of the caller are returned as a value, so nothing else is thrown.
fn read<Args: JsValuesTupleIntoVec>(
    env: &Env,
    reader: impl Fn(&Signals) -> &Reader<Args>,
    given: &Unknown<'_>,
    args: impl FnOnce(Unknown<'static>) -> Args,
) -> Result<Json> {
    let internal = |error: napi::Error| Error::Internal(format!("a signal could not be read: {}", error.reason));
    let environment = environment::known(env)?;
    // SAFETY: the value lives as long as the call that it is passed to.
    let value = unsafe { Unknown::from_raw_unchecked(given.value().env, given.raw()) };
    let json = reader(&environment.signals).borrow_back(env).and_then(|function| function.apply((), args(value)));
    let json = json.map_err(internal)?;
    if matches!(json.get_type(), Ok(ValueType::String)) {
        let text = json.coerce_to_string().and_then(|text| text.into_utf8()?.into_owned());
        return text.map(Json::Text).map_err(internal);
    }
    match to_json(json)? {
        Value::Object(mut odd) => match odd.shift_remove("thrown") {
            None => Ok(Json::Value(odd.shift_remove("value").unwrap_or_default())),
            Some(thrown) => {
                // Reports values that contain themselves or nest without end.
                to_json(*given)?;
                Err(Error::argument("signal", "could not be read", thrown.as_str().unwrap_or_default()))
            }
        },
        // Values without JSON, such as a function.
        other => Ok(Json::Value(other)),
    }
}

fn one(env: &Env, given: &Unknown<'_>) -> Result<Json> {
    read(env, |signals| &signals.one, given, |value| FnArgs { data: (value,) })
}

/// Reads a signal to record.
pub fn record(env: &Env, signal: &Unknown<'_>, zone: Tz) -> Result<Record> {
    match one(env, signal)? {
        Json::Text(text) => Record::given_text(&text, zone),
        Json::Value(value) => unicode(Record::given(value, zone)?),
    }
}

/// Reads a signal to assess.
pub fn question(env: &Env, signal: &Unknown<'_>, now_ms: i64, zone: Tz) -> Result<Signal> {
    let source = Source::Question { now_ms };
    match one(env, signal)? {
        Json::Text(text) => Signal::from_text(&text, source, zone),
        Json::Value(value) => Signal::from_value(value, source, zone),
    }
}

/// Reads the end of a signal.
pub fn update(env: &Env, update: &Unknown<'_>, zone: Tz) -> Result<Update> {
    Update::from_json(change_of(env, "update", update)?, zone)
}

/// Reads an amendment, and the id of its signal.
pub fn amendment(env: &Env, amendment: &Unknown<'_>, zone: Tz) -> Result<(String, Change)> {
    let (id, amendment) = Amendment::from_json(change_of(env, "amendment", amendment)?, zone)?;
    Ok((id, Change::Amend(amendment)))
}

/// Reads a cancellation, and the id of its signal.
pub fn cancellation(env: &Env, cancellation: &Unknown<'_>, zone: Tz) -> Result<(String, Change)> {
    let (id, cancellation) = Cancellation::from_json(change_of(env, "cancellation", cancellation)?, zone)?;
    Ok((id, Change::Cancel(cancellation)))
}

fn change_of(env: &Env, argument: &'static str, change: &Unknown<'_>) -> Result<Map<String, Value>> {
    members(argument, read(env, |signals| &signals.change, change, |value| FnArgs { data: (value,) })?)
}

/// The members of what a reader returned for an argument.
fn members(argument: &'static str, json: Json) -> Result<Map<String, Value>> {
    let value = match json {
        Json::Text(text) => {
            serde_json::from_str(&text).map_err(|e| Error::argument(argument, "could not be read", e))?
        }
        Json::Value(value) => value,
    };
    match value {
        Value::Object(map) => Ok(map),
        other => Err(Error::argument(argument, "must be an object", other)),
    }
}

/// Reads the fields that decide whether a signal closes, with the terms of a managed one; `None` for a HOLD. This runs on every
/// price, so it does not read the rest of the object.
pub fn levels(env: &Env, signal: &Unknown<'_>) -> Result<Option<(Levels, Option<Terms>)>> {
    let json = read(env, |signals| &signals.levels, signal, |value| FnArgs { data: (value,) })?;
    Signal::levels_of(members("signal", json)?)
}

/// Reads the signals of an array at these positions.
pub fn slice(env: &Env, signals: &Unknown<'_>, from: u32, to: u32) -> Result<Json> {
    read(env, |signals| &signals.some, signals, |value| FnArgs { data: (value, from, to) })
}

impl Json {
    /// The signals of a slice.
    ///
    /// # Errors
    /// The error of the first invalid signal.
    pub fn records(self, zone: Tz) -> Result<Vec<Record>> {
        match self {
            Self::Text(text) => Record::given_array(&text, zone),
            Self::Value(Value::Array(items)) => {
                items.into_iter().map(|item| unicode(Record::given(item, zone)?)).collect()
            }
            Self::Value(other) => Err(Error::argument("signals", "must be an array of signals", other)),
        }
    }
}

/// Refuses an id with invalid Unicode, because two such ids could become the same.
fn unicode(record: Record) -> Result<Record> {
    let id = &record.signal.id;
    if id.contains(char::REPLACEMENT_CHARACTER) {
        let (field, problem) = ("id", "must be Unicode text, without lone surrogates");
        return Err(Error::InvalidSignal { field, problem, value: shown(id) });
    }
    Ok(record)
}
