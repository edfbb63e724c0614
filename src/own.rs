//! A user's own model in JavaScript, called from the threads that train and predict. Those wait for its answer; the event
//! loop never does.

use super::values;
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::time::now_ms;
use learning::{OwnBatch, OwnModel};
use napi::bindgen_prelude::{Env, Float64Array, FnArgs, Function, JsValue, Uint8Array, Unknown};
use napi::threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunction, ThreadsafeFunctionCallMode};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// How often a waiting thread looks whether its work was cancelled.
const LOOK: Duration = Duration::from_millis(100);

/// What `own-model.js` makes of a user's model: it takes what to do (`fit` or `predict`), the markets with their numbers of
/// rows as JSON text, times, features, labels, weights, the state, and the function for the answer. It never throws.
pub type Question = FnArgs<(
    &'static str,
    String,
    Float64Array,
    Float64Array,
    Uint8Array,
    Float64Array,
    Option<Uint8Array>,
    Unknown<'static>,
)>;

/// An answer: probabilities or a state, or why there is none.
type Answer = std::result::Result<Answered, String>;

enum Answered {
    Probabilities(Vec<f64>),
    State(Vec<u8>),
}

/// A pending question.
struct Asked {
    what: &'static str,
    batches: Vec<OwnBatch>,
    state: Option<Vec<u8>>,
    answer: Sender<Answer>,
}

/// A user's own model.
pub struct JsModel {
    name: String,
    trained_until_ms: Option<i64>,
    can_fit: bool,
    limits: [Duration; 2],
    function: ThreadsafeFunction<Asked, (), Question, napi::Status, false, true>,
}

impl fmt::Debug for JsModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsModel").field(&self.name).finish()
    }
}

impl JsModel {
    /// Wraps what `own-model.js` has made: `about` has `name`, `trainedUntil`, `canFit` and the time limits.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] that names the member.
    pub fn new(mut about: Map<String, Value>, function: Function<'_, Question, ()>) -> Result<Self> {
        let name =
            |value: &Value| value.as_str().filter(|text| !text.is_empty() && text.len() <= 100).map(str::to_owned);
        let name = values::option(&mut about, "name", "of a model must be a text of 1 to 100 characters", name)?;
        let name =
            name.ok_or_else(|| Error::argument("model.name", "must be a text of 1 to 100 characters", "nothing"))?;
        let can_fit = about.shift_remove("canFit") == Some(Value::Bool(true));
        let trained_until_ms = trained_until(about.shift_remove("trainedUntil"), can_fit)?;
        let limit = |value: &Value| value.as_f64().filter(|ms| *ms >= 1.0 && *ms <= 86_400_000.0);
        let mut limit = |name, default_ms: f64| {
            let given = values::option(&mut about, name, "must be a number of milliseconds, 1 to 86400000", limit)?;
            Ok::<_, Error>(Duration::from_secs_f64(given.unwrap_or(default_ms) / 1000.0))
        };
        let limits = [limit("predictTimeLimitMs", 60_000.0)?, limit("fitTimeLimitMs", 3_600_000.0)?];
        values::no_more(&about)?;
        let refused = |error: napi::Error| Error::argument("model", "must be a model", error.reason.clone());
        let function = function.build_threadsafe_function::<Asked>().weak::<true>();
        let function = function.build_callback(question).map_err(refused)?;
        Ok(Self { name, trained_until_ms, can_fit, limits, function })
    }

    fn failed(&self, problem: impl Into<String>) -> Error {
        Error::OwnModel { name: self.name.clone(), problem: problem.into() }
    }

    fn ask(
        &self,
        what: &'static str,
        batches: Vec<OwnBatch>,
        state: Option<&[u8]>,
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<Answered> {
        cancel.check()?;
        let (answer, answered) = channel();
        let state = state.map(<[u8]>::to_vec);
        // If the call is refused, the question is dropped with its sender.
        self.function.call(Asked { what, batches, state, answer }, ThreadsafeFunctionCallMode::NonBlocking);
        match beside_others(|| wait(&answered, limit, cancel))? {
            Some(Ok(answered)) => Ok(answered),
            Some(Err(problem)) => Err(self.failed(format!("`{what}` {problem}"))),
            None => Err(self.failed(format!("`{what}` has not answered within {} ms", limit.as_millis()))),
        }
    }
}

/// Waits. On a thread of the runtime, the work of others goes on elsewhere meanwhile.
fn beside_others<T>(waits: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(waits),
        _ => waits(),
    }
}

/// The answer; `None` after the time limit.
fn wait(answered: &Receiver<Answer>, limit: Duration, cancel: &Cancel) -> Result<Option<Answer>> {
    let begun = Instant::now();
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        match answered.recv_timeout(left.min(LOOK)) {
            Ok(answer) => return Ok(Some(answer)),
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(Some(Err("cannot be called: the thread that gave the model has ended".to_owned())));
            }
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => cancel.check()?,
        }
    }
}

/// `trainedUntil` as a time. A fixed model must have it, as a time or as null; one that is fitted here has none.
fn trained_until(given: Option<Value>, can_fit: bool) -> Result<Option<i64>> {
    const NAME: &str = "model.trainedUntil";
    match given {
        None if can_fit => Ok(None),
        None => Err(Error::argument(
            NAME,
            "must say until when the model has seen outcomes, or be null if it has seen none; only a model with `fit` has none",
            "nothing",
        )),
        Some(value) if can_fit => {
            Err(Error::argument(NAME, "must be missing for a model with `fit`, which is fitted here", value))
        }
        Some(Value::Null) => Ok(None),
        Some(value) => {
            let until_ms = values::json_time(NAME, &value)?;
            if until_ms > now_ms() {
                return Err(Error::argument(NAME, "must not lie in the future", value));
            }
            Ok(Some(until_ms))
        }
    }
}

/// The arguments of the JavaScript function.
fn question(context: ThreadsafeCallContext<Asked>) -> napi::Result<Question> {
    let (env, Asked { what, batches, state, answer }) = (context.env, context.value);
    let take = answer_function(&env, answer)?;
    let market = |batch: &OwnBatch| {
        let OwnBatch { market, times_ms, .. } = batch;
        json!({ "symbol": market.symbol, "timeframe": market.timeframe, "rows": times_ms.len() })
    };
    let markets = Value::Array(batches.iter().map(market).collect()).to_string();
    let times: Vec<f64> = batches.iter().flat_map(|batch| &batch.times_ms).map(|time| *time as f64).collect();
    // One batch is passed on without a copy.
    let joined = |of: fn(OwnBatch) -> Vec<f64>, batches: Vec<OwnBatch>| -> Vec<f64> {
        let mut all = batches.into_iter().map(of);
        let first = all.next().unwrap_or_default();
        all.fold(first, |mut joined, next| {
            joined.extend(next);
            joined
        })
    };
    let labels: Vec<u8> = batches.iter().flat_map(|batch| &batch.labels).copied().collect();
    let weights: Vec<f64> = batches.iter().flat_map(|batch| &batch.weights).copied().collect();
    let features = joined(|batch| batch.features, batches);
    let state = state.map(Uint8Array::from);
    Ok(FnArgs { data: (what, markets, times.into(), features.into(), labels.into(), weights.into(), state, take) })
}

/// The function that takes the answer: probabilities or nothing, a state or nothing, a problem or nothing.
fn answer_function(env: &Env, answer: Sender<Answer>) -> napi::Result<Unknown<'static>> {
    let answer = Cell::new(Some(answer));
    let take = env.create_function_from_closure::<(), (), _>("answer", move |given| {
        let Some(answer) = answer.take() else { return Ok(()) };
        let answered = match given.get::<Option<String>>(2)? {
            Some(problem) => Err(problem),
            None => match given.get::<Option<Float64Array>>(0)? {
                Some(probabilities) => Ok(Answered::Probabilities(probabilities.to_vec())),
                None => Ok(Answered::State(given.get::<Uint8Array>(1)?.to_vec())),
            },
        };
        // The caller may have stopped waiting.
        let _ = answer.send(answered);
        Ok(())
    })?;
    // SAFETY: a value of this env, which is passed straight to the call.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), take.raw()) })
}

impl OwnModel for JsModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn trained_until_ms(&self) -> Option<i64> {
        self.trained_until_ms
    }

    fn can_fit(&self) -> bool {
        self.can_fit
    }

    fn fit(&self, batches: Vec<OwnBatch>, cancel: &Cancel) -> Result<Vec<u8>> {
        match self.ask("fit", batches, None, self.limits[1], cancel)? {
            Answered::State(state) => Ok(state),
            Answered::Probabilities(_) => Err(Error::Internal("`fit` answered probabilities".to_owned())),
        }
    }

    fn predict(&self, batch: OwnBatch, state: Option<&[u8]>, cancel: &Cancel) -> Result<Vec<f64>> {
        match self.ask("predict", vec![batch], state, self.limits[0], cancel)? {
            Answered::Probabilities(probabilities) => Ok(probabilities),
            Answered::State(_) => Err(Error::Internal("`predict` answered a state".to_owned())),
        }
    }
}
