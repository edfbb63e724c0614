//! JavaScript functions called from Rust, and signals that Rust listens to. None of them keeps Node alive.

use super::{types, values};
use crate::cancel::Cancel;
use crate::engine::{Event, EventListener, Told};
use crate::error::{Error, Result};
use crate::market::given::Times;
use crate::market::{CandleFuture, CandleSource, PAGE_TIME, all_pages};
use crate::symbol::Market;
use napi::bindgen_prelude::{
    Env, FnArgs, FromNapiValue, Function, FunctionRef, JsObjectValue, Object, ObjectRef, Promise, Unknown, sys,
};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use serde_json::{Value, json};

/// News waiting for JavaScript; more are dropped, for the promise carries the results.
const QUEUE: usize = 256;

fn refused(name: &'static str) -> impl Fn(napi::Error) -> Error {
    move |error| Error::argument(name, "must be a function", error.reason.clone())
}

/// A listener for news: weak, bounded, never waited for.
pub struct Listener<T: 'static + napi::bindgen_prelude::ToNapiValue>(
    ThreadsafeFunction<FnArgs<(T,)>, (), FnArgs<(T,)>, napi::Status, false, true, QUEUE>,
);

impl<T: 'static + napi::bindgen_prelude::ToNapiValue> Listener<T> {
    /// Listens with a JavaScript function.
    pub fn new(name: &'static str, function: Function<'_, FnArgs<(T,)>, ()>) -> Result<Self> {
        let function = function.build_threadsafe_function::<FnArgs<(T,)>>().weak::<true>().max_queue_size::<QUEUE>();
        function.build().map(Self).map_err(refused(name))
    }

    /// Tells the listener, unless its queue is full.
    pub fn tell(&self, news: T) -> Told {
        match self.0.call(FnArgs { data: (news,) }, ThreadsafeFunctionCallMode::NonBlocking) {
            napi::Status::Ok => Told::Taken,
            napi::Status::QueueFull => Told::Full,
            // Its thread has ended.
            _ => Told::Gone,
        }
    }
}

impl EventListener for Listener<Value> {
    fn tell(&self, event: &Event, at_ms: i64, dropped: u64) -> Told {
        self.tell(types::event(event, at_ms, dropped))
    }
}

/// What a user's `fetchCandles` is asked, as one object.
type Question = FnArgs<(Value,)>;

/// What it answers, read like every argument: a `Date` is a time, and NaN is refused by name.
pub struct Answer(Value);

impl FromNapiValue for Answer {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: napi calls this on the JavaScript thread with a live `env` and value, which are passed on as they are.
        let value = unsafe { Unknown::from_napi_value(env, value)? };
        values::to_json(value).map(Self).map_err(|error| napi::Error::from_reason(error.to_string()))
    }
}

/// Candles from a user's `fetchCandles` callback.
pub struct Callback(ThreadsafeFunction<Question, Promise<Answer>, Question, napi::Status, false, true>);

impl Callback {
    /// Asks a JavaScript function, which must return a promise.
    pub fn new(function: Function<'_, Question, Promise<Answer>>) -> Result<Self> {
        let function = function.build_threadsafe_function::<Question>().weak::<true>();
        function.build().map(Self).map_err(refused("fetchCandles"))
    }
}

impl CandleSource for Callback {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        Box::pin(async move {
            let page = move |since: i64| async move {
                let question = json!({
                    "symbol": market.symbol,
                    "timeframe": market.timeframe,
                    "since": since,
                    "until": until_ms,
                    "limit": 1000,
                });
                let failed = |e: napi::Error| Error::Exchange(format!("{market}: fetchCandles failed: {}", e.reason));
                let promise = self.0.call_async(FnArgs { data: (question,) }).await.map_err(failed)?;
                let Answer(answer) = promise.await.map_err(failed)?;
                if answer.as_array().is_some_and(Vec::is_empty) {
                    return Ok(Vec::new());
                }
                values::candles("fetchCandles' answer", &answer, Times::Required)
            };
            Ok(all_pages(market, from_ms, until_ms, PAGE_TIME, page).await?.into())
        })
    }
}

/// `addEventListener` and `removeEventListener`.
type Listening<'a> = Function<'a, FnArgs<(&'static str, Function<'a, (), ()>)>, ()>;

/// An `AbortSignal` listened to. napi's own ignores a signal aborted beforehand and overwrites `onabort`.
pub struct Abort {
    /// Not checked for leaks: a worker may be terminated with a training under way.
    signal: ObjectRef<false>,
    listener: FunctionRef<(), ()>,
}

impl Abort {
    /// Fires `cancel` when `signal` does, or at once if it already has.
    pub fn listen(env: &Env, signal: &Object<'_>, cancel: &Cancel) -> Result<Self> {
        let wrong = |e: napi::Error| {
            let thrown = values::take_exception(env.raw());
            Error::argument("signal", "must be an AbortSignal", thrown.unwrap_or_else(|| e.reason.clone()))
        };
        if signal.get_named_property::<bool>("aborted").map_err(wrong)? {
            cancel.cancel();
        }
        let cancel = cancel.clone();
        let fire = env
            .create_function_from_closure::<(), (), _>("abort", move |_| {
                cancel.cancel();
                Ok(())
            })
            .map_err(wrong)?;
        let add: Listening<'_> = signal.get_named_property("addEventListener").map_err(wrong)?;
        let listener = fire.create_ref().map_err(wrong)?;
        add.apply(signal, FnArgs { data: ("abort", fire) }).map_err(wrong)?;
        Ok(Self { signal: signal.create_ref::<false>().map_err(wrong)?, listener })
    }

    /// Stops listening, so that a signal which outlives many trainings does not collect listeners.
    pub fn detach(self, env: &Env) -> napi::Result<()> {
        let signal = self.signal.get_value(env)?;
        let remove: Listening<'_> = signal.get_named_property("removeEventListener")?;
        remove.apply(signal, FnArgs { data: ("abort", self.listener.borrow_back(env)?) })?;
        self.signal.unref(env)
    }
}
