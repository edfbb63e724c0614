//! `replay`: reads its options, and lets Rust call a strategy written in JavaScript.

use super::values;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::signal::{Record, Signal, Source};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::{Tz, format_iso};
use engine::Risk;
use napi::bindgen_prelude::{Float64Array, FnArgs, Function, JsValue, Unknown};
use napi::threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunction, ThreadsafeFunctionCallMode};
use replay::{Asked, Bar, Given, OnFault, Options, Part, Progress, Request, Strategy, StrategyFuture, Wanted};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;

/// What `strategy.js` makes of a strategy: it takes the packed candles that have closed, the markets that are new, how many
/// milliseconds that the strategy may take for a bar, and the function for the answer. It never throws.
pub type Question = FnArgs<(Float64Array, Option<String>, f64, Unknown<'static>)>;

/// A pending question.
struct Step {
    packed: Vec<f64>,
    markets: Option<String>,
    limit: Duration,
    answer: oneshot::Sender<Option<String>>,
}

/// A strategy written in JavaScript.
pub struct JsStrategy {
    function: ThreadsafeFunction<Step, (), Question, napi::Status, false, true>,
    /// The number of each market, and how many of its candles the strategy has.
    known: HashMap<Market, (usize, usize)>,
    zone: Tz,
}

/// What the strategy wants at a bar, as its wrapper passes it on.
#[derive(Deserialize)]
struct Said {
    bar: usize,
    #[serde(default)]
    signals: Vec<Value>,
    #[serde(default)]
    problem: Option<String>,
}

impl JsStrategy {
    /// Wraps the function that `index.js` made of a strategy. `zone` is that of times without one.
    pub fn new(function: Function<'_, Question, ()>, zone: Tz) -> Result<Self> {
        let refused = |error: napi::Error| Error::argument("strategy", "must be a function", error.reason.clone());
        let ask = |context: ThreadsafeCallContext<Step>| {
            let (env, Step { packed, markets, limit, answer }) = (context.env, context.value);
            let answer = Cell::new(Some(answer));
            let take = env.create_function_from_closure::<(), (), _>("answer", move |given| {
                if let Some(answer) = answer.take() {
                    // The replay may have stopped waiting.
                    let _ = answer.send(given.get(0)?);
                }
                Ok(())
            })?;
            // SAFETY: a value of this env, which is passed straight to the call.
            let take = unsafe { Unknown::from_raw_unchecked(env.raw(), take.raw()) };
            Ok(FnArgs { data: (Float64Array::from(packed), markets, 1000.0 * limit.as_secs_f64(), take) })
        };
        let function = function.build_threadsafe_function::<Step>().weak::<true>();
        Ok(Self { function: function.build_callback(ask).map_err(refused)?, known: HashMap::new(), zone })
    }

    /// The candles that the strategy does not have yet, and the JSON text of the markets that are new to it.
    fn step(&mut self, bars: &[Bar<'_>]) -> (Vec<f64>, Option<String>) {
        let (mut packed, mut new) = (Vec::new(), Vec::new());
        for Bar { market, closed } in bars {
            let next = self.known.len();
            let (number, has) = self.known.entry((*market).clone()).or_insert_with(|| {
                new.push(json!(market));
                (next, 0)
            });
            let news = &closed[*has..];
            packed.extend([*number as f64, news.len() as f64]);
            for Candle { open_ms, open, high, low, close, volume } in news {
                packed.extend([*open_ms as f64, *open, *high, *low, *close, *volume]);
            }
            *has = closed.len();
        }
        (packed, (!new.is_empty()).then(|| Value::Array(new).to_string()))
    }

    fn signals_of(&self, said: Said, bar: &Bar<'_>, now_ms: i64) -> std::result::Result<Vec<Signal>, String> {
        if let Some(problem) = said.problem {
            return Err(problem);
        }
        let signals = said.signals.into_iter().enumerate();
        signals.map(|(number, signal)| self.signal(signal, number, bar.market, now_ms)).collect()
    }

    /// A signal whose id, market and time are those of the bar where the strategy names none.
    fn signal(
        &self,
        signal: Value,
        number: usize,
        market: &Market,
        now_ms: i64,
    ) -> std::result::Result<Signal, String> {
        let Value::Object(mut signal) = signal else { return Err(format!("a signal must be an object; got {signal}")) };
        let lacks = |signal: &Map<String, Value>, names: &[&str]| names.iter().all(|name| !signal.contains_key(*name));
        if lacks(&signal, &["id", "signalId", "signal_id"]) {
            signal.insert("id".to_owned(), json!(format!("{}-{now_ms}-{number}", market.file_stem())));
        }
        if lacks(&signal, &["symbol", "pair"]) {
            signal.insert("symbol".to_owned(), json!(market.symbol));
        }
        if lacks(&signal, &["timeframe"]) {
            signal.insert("timeframe".to_owned(), json!(market.timeframe));
        }
        Signal::from_json(signal, Source::Question { now_ms }, self.zone).map_err(|error| error.to_string())
    }
}

impl Strategy for JsStrategy {
    fn signals<'a>(&'a mut self, now_ms: i64, bars: &'a [Bar<'a>], limit: Duration) -> StrategyFuture<'a> {
        Box::pin(async move {
            let (packed, markets) = self.step(bars);
            let (answer, answered) = oneshot::channel();
            // If the call is refused, the question is dropped with its sender.
            self.function.call(Step { packed, markets, limit, answer }, ThreadsafeFunctionCallMode::NonBlocking);
            let gone = || Error::Cancelled("the thread of the strategy has ended".to_owned());
            let Some(text) = answered.await.map_err(|_| gone())? else { return Ok(Vec::new()) };
            let said: Vec<Said> = serde_json::from_str(&text)
                .map_err(|error| Error::Internal(format!("the answer of the strategy cannot be read: {error}")))?;
            let asked = said.into_iter().filter_map(|said| {
                let place = said.bar;
                let bar = bars.get(place)?;
                Some(Asked { bar: place, signals: self.signals_of(said, bar, now_ms) })
            });
            Ok(asked.collect())
        })
    }
}

/// Reads the options of a replay. `strategy` is the function among them. Also returns where its page is to be written.
///
/// # Errors
/// [`Error::InvalidArgument`] that names the option; [`Error::InvalidSignal`].
pub fn request(
    map: &mut Map<String, Value>,
    strategy: Option<JsStrategy>,
    zone: Tz,
) -> Result<(Request, Option<PathBuf>)> {
    let mut path = |name| values::option(map, name, "must be a path", |value| value.as_str().map(PathBuf::from));
    let (candles, csv, report, keep) = (path("candles")?, path("csv")?, path("report")?, path("keep")?);
    let symbols = values::list(map, "symbols", Symbol::given)?;
    let timeframes = values::list(map, "timeframes", Timeframe::parse)?;
    let fetch = values::option(map, "fetch", "must be true or false", Value::as_bool)?.unwrap_or_default();
    if fetch && candles.is_some() {
        return Err(Error::argument(
            "fetch",
            "brings the candles of the home up to date, not those of `candles`",
            fetch,
        ));
    }
    let wanted = wanted(map, strategy, zone)?;
    let options = options(map, keep)?;
    values::no_more(map)?;
    Ok((Request { wanted, symbols, timeframes, candles, fetch, csv, options }, report))
}

fn wanted(map: &mut Map<String, Value>, strategy: Option<JsStrategy>, zone: Tz) -> Result<Wanted> {
    let signals = map.shift_remove("signals").filter(|value| !value.is_null());
    let risk = |value: &Value| match value {
        Value::Bool(false) => Some(None),
        Value::Bool(true) => Some(Some(Risk::Medium)),
        Value::String(text) => match text.as_str() {
            "low" => Some(Some(Risk::Low)),
            "medium" => Some(Some(Risk::Medium)),
            "high" => Some(Some(Risk::High)),
            _ => None,
        },
        _ => None,
    };
    let own = values::option(map, "own", "must be true, false, low, medium or high", risk)?.flatten();
    match (signals, strategy, own) {
        (None, None, None) => Ok(Wanted::Home),
        (Some(Value::String(file)), None, None) => Ok(Wanted::File(PathBuf::from(file), None)),
        (Some(Value::Array(signals)), None, None) => {
            let given = signals.into_iter().map(|signal| Ok(Given::of(Record::given(signal, zone)?)));
            Ok(Wanted::Given(given.collect::<Result<_>>()?))
        }
        (Some(other), None, None) => {
            Err(Error::argument("signals", "must be the path of a file, or an array of signals", other))
        }
        (None, Some(strategy), None) => Ok(Wanted::Strategy(Box::new(strategy))),
        (None, None, Some(risk)) => Ok(Wanted::Own(risk)),
        _ => Err(Error::argument("options", "must have only one of `signals`, `strategy` and `own`", "more")),
    }
}

fn options(map: &mut Map<String, Value>, keep: Option<PathBuf>) -> Result<Options> {
    let mut time = |name: &'static str| {
        let value = map.shift_remove(name).filter(|value| !value.is_null());
        value.map(|value| values::json_time(name, &value)).transpose()
    };
    let (from_ms, until_ms) = (time("from")?, time("until")?);
    let mut object = |name| {
        let object = values::option(map, name, "must be an object", |value| value.as_object().cloned())?;
        Ok::<_, Error>(object.unwrap_or_default())
    };
    let (config, scheduler) = (object("configuration")?, object("scheduler")?);
    let on_fault = |value: &Value| match value.as_str()? {
        "stop" => Some(OnFault::Stop),
        "continue" => Some(OnFault::Continue),
        _ => None,
    };
    let limit = |value: &Value| value.as_f64().filter(|ms| *ms >= 1.0 && *ms <= 86_400_000.0);
    let limit = values::option(map, "timeLimitMs", "must be a number of milliseconds, 1 to 86400000", limit)?;
    let threads = |value: &Value| value.as_u64().filter(|threads| (1..=1024).contains(threads));
    let threads = values::option(map, "threads", "must be a whole number, 1 to 1024", threads)?;
    Ok(Options {
        from_ms,
        until_ms,
        config,
        scheduler,
        compare: values::list(map, "compare", Part::named)?.unwrap_or_default(),
        without: values::list(map, "without", Part::named)?.unwrap_or_default(),
        on_fault: values::option(map, "onFault", "must be stop or continue", on_fault)?.unwrap_or_default(),
        time_limit: limit.map(|ms| Duration::from_secs_f64(ms / 1000.0)),
        threads: threads.map(|threads| threads as usize),
        keep,
        ..Options::default()
    })
}

/// A progress report as JSON.
pub fn progress(progress: &Progress) -> Value {
    let Progress { run, without, now_ms, span_ms: (from_ms, until_ms), signals } = progress;
    let mut json = json!({
        "run": run,
        "at": format_iso(*now_ms),
        "from": format_iso(*from_ms),
        "until": format_iso(*until_ms),
        "signals": signals,
    });
    if let Some(part) = without {
        json["without"] = json!(part);
    }
    json
}
