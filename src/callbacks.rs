//! JavaScript functions called from Rust, and abort signals that Rust listens to. None of them keeps Node alive.

use super::{thrown, values};
use candles::given::Times;
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::symbol::{Market, Symbol};
use engine::{Event, EventListener, Told, event_to_json};
use exchange::{CandleFuture, CandleSource, PAGE_TIME, PriceFuture, PriceSource, all_pages, given_prices};
use napi::bindgen_prelude::{Env, FnArgs, Function, FunctionRef, JsObjectValue, JsValue, Object, ObjectRef, Unknown};
use napi::threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunction, ThreadsafeFunctionCallMode};
use serde_json::{Value, json};
use std::cell::Cell;
use tokio::sync::oneshot;

/// Reports waiting for JavaScript; more are dropped, because the promise carries the results.
const QUEUE: usize = 256;

fn refused(name: &'static str) -> impl Fn(napi::Error) -> Error {
    move |error| Error::argument(name, "must be a function", error.reason.clone())
}

/// A listener for reports: it does not keep Node alive, has a bounded queue, and nothing waits for it.
pub struct Listener<T: 'static + napi::bindgen_prelude::ToNapiValue>(
    ThreadsafeFunction<FnArgs<(T,)>, (), FnArgs<(T,)>, napi::Status, false, true, QUEUE>,
);

impl<T: 'static + napi::bindgen_prelude::ToNapiValue> Listener<T> {
    /// Creates a listener from a JavaScript function.
    pub fn new(name: &'static str, function: Function<'_, FnArgs<(T,)>, ()>) -> Result<Self> {
        let function = function.build_threadsafe_function::<FnArgs<(T,)>>().weak::<true>().max_queue_size::<QUEUE>();
        function.build().map(Self).map_err(refused(name))
    }

    /// Calls the listener, unless its queue is full.
    pub fn tell(&self, news: T) -> Told {
        match self.0.call(FnArgs { data: (news,) }, ThreadsafeFunctionCallMode::NonBlocking) {
            napi::Status::Ok => Told::Taken,
            napi::Status::QueueFull => Told::Full,
            // The thread of the listener has ended.
            _ => Told::Gone,
        }
    }
}

impl EventListener for Listener<Value> {
    fn tell(&self, event: &Event, at_ms: i64, dropped: u64) -> Told {
        self.tell(event_to_json(event, at_ms, dropped))
    }
}

/// The arguments of a wrapped `fetchCandles` or `fetchPrices`: the request, and the function that takes the answer, either candles
/// or prices, or the reason why there are none. The answer is not a promise, so that code which replaces `Promise.prototype.then` cannot
/// block it.
type Question = FnArgs<(Value, Unknown<'static>)>;

/// A pending request.
struct Asked {
    question: Value,
    /// The answer, read like every argument: a `Date` is a time, and NaN is refused by name.
    answer: oneshot::Sender<std::result::Result<Value, String>>,
}

/// A user's callback that answers requests.
struct Callback {
    name: &'static str,
    function: ThreadsafeFunction<Asked, (), Question, napi::Status, false, true>,
}

impl Callback {
    /// Wraps a JavaScript function that `index.js` made from the user's: it never throws, and passes its answer to the function
    /// it is given.
    fn new(name: &'static str, function: Function<'_, Question, ()>) -> Result<Self> {
        let function = function.build_threadsafe_function::<Asked>().weak::<true>();
        let ask = |context: ThreadsafeCallContext<Asked>| {
            let (env, Asked { question, answer }) = (context.env, context.value);
            let answer = Cell::new(Some(answer));
            let take = env.create_function_from_closure::<(), (), _>("answer", move |given| {
                let Some(answer) = answer.take() else { return Ok(()) };
                let reason: Option<String> = given.get(1)?;
                let found = given.get::<Unknown<'_>>(0)?;
                let answered = match reason {
                    Some(reason) => Err(reason),
                    None => values::to_json(found).map_err(|error| error.to_string()),
                };
                // The caller may have stopped waiting.
                let _ = answer.send(answered);
                Ok(())
            })?;
            // SAFETY: a value of this env, which is passed straight to the call.
            let take = unsafe { Unknown::from_raw_unchecked(env.raw(), take.raw()) };
            Ok(FnArgs { data: (question, take) })
        };
        let function = function.build_callback(ask).map_err(refused(name))?;
        Ok(Self { name, function })
    }

    /// The answer to a request about `what`.
    async fn ask(&self, what: &str, question: Value) -> Result<Value> {
        let failed = |why: String| Error::Exchange(format!("{what}: {} failed: {why}", self.name));
        let gone = || "its thread has ended".to_owned();
        let (answer, answered) = oneshot::channel();
        let asked = Asked { question, answer };
        // If the call is refused, the request is dropped with its sender.
        self.function.call(asked, ThreadsafeFunctionCallMode::NonBlocking);
        answered.await.unwrap_or_else(|_| Err(gone())).map_err(failed)
    }
}

/// Candles from a user's `fetchCandles` callback.
pub struct CandleCallback(Callback);

impl CandleCallback {
    /// Wraps a JavaScript function that `index.js` made from the user's: it never throws, and passes its answer to the function
    /// it is given.
    pub fn new(function: Function<'_, Question, ()>) -> Result<Self> {
        Callback::new("fetchCandles", function).map(Self)
    }
}

impl CandleSource for CandleCallback {
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
                let answer = self.0.ask(&market.to_string(), question).await?;
                if answer.as_array().is_some_and(Vec::is_empty) {
                    return Ok(Vec::new());
                }
                values::candles("fetchCandles' answer", &answer, Times::Required)
            };
            Ok(all_pages(market, from_ms, until_ms, PAGE_TIME, page).await?.into())
        })
    }
}

/// Prices from a user's `fetchPrices` callback.
pub struct PriceCallback(Callback);

impl PriceCallback {
    /// Wraps a function as [`CandleCallback::new`] does.
    pub fn new(function: Function<'_, Question, ()>) -> Result<Self> {
        Callback::new("fetchPrices", function).map(Self)
    }
}

impl PriceSource for PriceCallback {
    fn prices<'a>(&'a self, symbols: &'a [Symbol]) -> PriceFuture<'a> {
        Box::pin(async move {
            let asked = tokio::time::timeout(PAGE_TIME, self.0.ask("prices", json!(symbols)));
            let late =
                |_| Error::Exchange(format!("prices: fetchPrices did not answer within {} s", PAGE_TIME.as_secs_f64()));
            given_prices(symbols, &asked.await.map_err(late)??)
        })
    }
}

/// `addEventListener` and `removeEventListener`.
type Listening<'a> = Function<'a, FnArgs<(&'static str, Function<'a, (), ()>)>, ()>;

/// Listens to an `AbortSignal`. napi's own class ignores a signal that is already aborted, and overwrites `onabort`.
pub struct Abort {
    /// Not checked for leaks: a worker may be terminated during a training.
    signal: ObjectRef<false>,
    listener: FunctionRef<(), ()>,
}

impl Abort {
    /// Triggers `cancel` when `signal` fires, or at once if it already has.
    pub fn listen(env: &Env, signal: &Object<'_>, cancel: &Cancel) -> Result<Self> {
        let wrong = |e: napi::Error| {
            let thrown = thrown::take_text(env.raw());
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

    /// Stops listening, so that a signal that outlives many trainings does not collect listeners. A signal that is not Node's own
    /// may throw here. That does not affect the training and is reported to Node.
    pub fn detach(self, env: &Env) {
        let detached = self.signal.get_value(env).and_then(|signal| {
            let remove: Listening<'_> = signal.get_named_property("removeEventListener")?;
            remove.apply(signal, FnArgs { data: ("abort", self.listener.borrow_back(env)?) })
        });
        if detached.is_err() {
            thrown::tell_uncaught(env.raw());
        }
        // This fails only while the environment ends.
        let _ = self.signal.unref(env);
    }
}
