//! `SignalLoop`: training, prediction, data and configuration of one home.

use super::callbacks::{Abort, CandleCallback, Listener, PriceCallback};
use super::environment;
use super::errors::{Code, sync};
use super::own::{JsModel, Question};
use super::predictor::Predictor;
use super::promises::{call, done, elsewhere, promise, spawned};
use super::replay::{self, JsStrategy};
use super::scheduler::Scheduler;
use super::shared::User;
use super::tracker::FeedbackTracker;
use super::types;
use super::values;
use candles::given::Times;
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::features::FEATURES;
use domain::symbol::{Market, Symbol, Timeframe};
use domain::venue::Venue;
use engine::home::{check_output, expanded};
use engine::{self, Options, Risk, TrainMode, TrainRequest};
use exchange::{CandleSource, PriceSource};
use learning::OwnModel;
use napi::ValueType;
use napi::bindgen_prelude::{
    Env, FnArgs, FromNapiValue, Function, JsObjectValue, JsValue, Object, PromiseRaw, ToNapiValue, Unknown,
};
use napi_derive::napi;
use report::{Answer, Hosts, Request, failure};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The feedback loop of one home: recording, training, prediction.
///
/// The functions at module level use a default loop, whose home is `SIGNALLOOP_HOME`, or `./ml`. Create a loop of your own if a
/// process needs several homes or its own source of candles.
///
/// @example
/// ```ts
/// import { SignalLoop, type CandleRequest } from 'signalloop'
///
/// // Candles of your own; oldest first. Without this, they come from the exchange.
/// async function fetchCandles({ since, until, limit }: CandleRequest) {
///   const times = Array.from({ length: limit }, (_, i) => since + i * 3_600_000).filter((time) => time < until)
///   return times.map((time) => ({ time, open: 100, high: 101, low: 99, close: 100, volume: 5 }))
/// }
/// const loop = new SignalLoop({ home: './ml-own', fetchCandles })
/// console.log(loop.home, loop.warnings)
/// await loop.close()
/// ```
#[napi]
pub struct SignalLoop {
    core: Arc<User>,
}

/// The default loop of a home. `index.js` passes the caller's `process.env`, which native code cannot always see.
#[napi(skip_typescript)]
pub fn shared_loop(
    env: &Env,
    home: String,
    exchange_url: Option<String>,
    store: Option<String>,
) -> napi::Result<SignalLoop, Code> {
    sync(|| {
        let home = expanded(Path::new(&home));
        let home = std::path::absolute(&home).unwrap_or(home);
        Ok(SignalLoop { core: environment::known(env)?.user(&(home, exchange_url, store))? })
    })
}

/// Checks the options of a live view and returns their `allowedHosts`.
#[napi(skip_typescript)]
pub fn allowed_hosts(options: Unknown<'_>) -> napi::Result<Vec<String>, Code> {
    sync(|| {
        let mut map = values::to_map("options", options, &[])?;
        let names = host_names(&mut map)?;
        values::no_more(&map)?;
        Hosts::new(names.clone()).map(|_| names)
    })
}

fn host_names(map: &mut Map<String, Value>) -> Result<Vec<String>> {
    Ok(values::list(map, "allowedHosts", |name| Ok(name.to_owned()))?.unwrap_or_default())
}

#[napi]
impl SignalLoop {
    /// Opens a home. Nothing is written yet.
    ///
    /// @throws `ERR_INVALID_CONFIG` for a wrong value in its `training_config.json`, `ERR_INVALID_ARGUMENT`, `ERR_STORE` if the
    /// home is a file, `ERR_IO` if its configuration cannot be read
    #[napi(constructor, ts_args_type = "options?: LoopOptions")]
    pub fn new(options: Unknown<'_>) -> napi::Result<Self, Code> {
        sync(|| {
            let source = member(&options, "fetchCandles")?.map(candle_source).transpose()?;
            let prices = member(&options, "fetchPrices")?.map(price_source).transpose()?;
            let events = member(&options, "onEvent")?.map(|value| listener("onEvent", value)).transpose()?;
            let own = member(&options, "model")?.map(own_model).transpose()?;
            let mut map = values::to_map("options", options, &["fetchCandles", "fetchPrices", "onEvent"])?;
            map.shift_remove("model");
            let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            let threads = |value: &Value| value.as_u64().filter(|n| (1..=1024).contains(n)).map(|n| n as usize);
            let options = Options {
                home: values::option(&mut map, "home", "must be a folder", text)?.map(PathBuf::from),
                threads: values::option(&mut map, "threads", "must be a whole number, 1 to 1024", threads)?,
                store: values::option(&mut map, "store", "must be a URL postgres://…, or 'files'", text)?,
                exchange: values::option(&mut map, "exchange", Venue::ALLOWED, text)?,
                watch_timeframe: values::option(&mut map, "watchTimeframe", "must be a timeframe such as '1m'", text)?,
                exchange_url: values::option(&mut map, "exchangeUrl", "must be an http(s) URL", text)?,
                source,
                prices,
                own,
                ..Options::default()
            };
            values::no_more(&map)?;
            let core = Arc::new(engine::SignalLoop::open(options)?);
            if let Some(listener) = events {
                core.events().subscribe(Box::new(listener));
            }
            Ok(Self { core: User::alone(core) })
        })
    }

    /// The home folder.
    #[napi(getter)]
    pub fn home(&self) -> String {
        self.core.settings().home().display().to_string()
    }

    /// Warnings about the configuration: unknown keys, by file and name, or a changed file that cannot be used.
    #[napi(getter)]
    pub fn warnings(&self) -> Vec<String> {
        self.core.settings().warnings()
    }

    /// Records signals, closes them and gives statistics.
    #[napi(getter)]
    pub fn feedback_tracker(&self) -> FeedbackTracker {
        FeedbackTracker::of(self.core.clone())
    }

    /// The predictor of one market, with the interface of the old backend's service. Default: BTCUSDT 1h.
    ///
    /// @throws `ERR_INVALID_ARGUMENT`
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// console.log(loop.predictor('BTC/USDT', '1h').isModelAvailable())
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "symbol?: string, timeframe?: Timeframe", ts_return_type = "Predictor")]
    pub fn predictor(&self, symbol: Unknown<'_>, timeframe: Unknown<'_>) -> napi::Result<Predictor, Code> {
        sync(|| Predictor::of(Arc::clone(&**self.core), symbol, timeframe))
    }

    /// Calls `listener` with the events of this loop, such as closed signals, model changes, drift and conservative mode, until
    /// `close()` or until the returned function is called. It does not keep the process alive. If JavaScript is busy, some events
    /// are skipped, and the next one says how many (`dropped`). An exception in the listener becomes a process warning.
    ///
    /// @throws `ERR_INVALID_ARGUMENT`, `ERR_CLOSED`
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const unsubscribe = loop.onEvent((event) => {
    ///   if (event.type === 'signalClosed') console.log(event.signal.id, event.signal.outcome)
    ///   if (event.type === 'drift') console.log('the market or the outcomes have changed')
    /// })
    /// unsubscribe()
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "listener: (event: LoopEvent) => void", ts_return_type = "() => void")]
    pub fn on_event<'env>(&self, env: &'env Env, listener: Unknown<'_>) -> napi::Result<Function<'env, (), ()>, Code> {
        sync(|| {
            let _open = self.core.begin()?;
            let id = self.core.events().subscribe(Box::new(self::listener::<Value>("listener", listener)?));
            self.core.listens(id);
            let (user, core) = (Arc::downgrade(&self.core), Arc::downgrade(&**self.core));
            let unsubscribe = env.create_function_from_closure("unsubscribe", move |_| {
                user.upgrade().inspect(|user| user.listens_no_more(id));
                core.upgrade().inspect(|core| core.events().unsubscribe(id));
                Ok(())
            });
            unsubscribe.map_err(|e| Error::Internal(format!("cannot make a function: {}", e.reason)))
        })
    }

    /// Starts the scheduler, which updates candles, trains, evaluates and watches open signals. Start it in every process; only
    /// one does the work. Returns at once, and does nothing if it is already running. `options` are the keys of
    /// `scheduler_config.json` and override the file. It runs until `stop()` or until the loop is closed, and does not keep the
    /// process alive.
    ///
    /// @throws `ERR_INVALID_CONFIG`, `ERR_INVALID_ARGUMENT` if it is already running with other options, `ERR_CLOSED`
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const scheduler = loop.startScheduler({ retrain: { time: '02:00' }, watch: { interval: '1m' } })
    /// console.log(scheduler.status().running)
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options?: SchedulerConfiguration", ts_return_type = "Scheduler")]
    pub fn start_scheduler(&self, options: Unknown<'_>) -> napi::Result<Scheduler, Code> {
        sync(|| Scheduler::start(self.core.clone(), values::to_map("options", options, &[])?))
    }

    /// Compares the recent half of the closed signals of a market with the early half, to see whether they got better.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const { verdict, successDifference } = await loop.evaluate({ symbol: 'BTC/USDT', timeframe: '1h' })
    /// console.log(verdict, successDifference)
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options: EvaluateOptions", ts_return_type = "Promise<Improvement>")]
    pub fn evaluate<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, types::Improvement>> {
        call(env, &self.core, || {
            let mut map = values::to_map("options", options, &[])?;
            let market = values::market(&mut map)?;
            values::no_more(&map)?;
            let core = self.core.clone();
            Ok(async move {
                let found = core.performance().evaluate(&market, &Cancel::default())?;
                Ok(types::Improvement::of(&market, found))
            })
        })
    }

    /// Changes configuration keys of this loop in memory: the keys of `training_config.json`, in camelCase or snake_case.
    ///
    /// @throws `ERR_INVALID_CONFIG`; then nothing changes
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// loop.configure({ symbols: ['BTCUSDT', 'ETHUSDT'], timeframes: ['1h'], historyDays: 60 })
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options: Configuration")]
    pub fn configure(&self, options: Unknown<'_>) -> napi::Result<(), Code> {
        sync(|| self.core.settings().configure(values::to_map("options", options, &[])?))
    }

    /// Trains models for all configured symbols and timeframes, on separate threads. For each market the candles are updated, a
    /// model is fitted and evaluated on rows it has not seen, and it goes into service unless it is worse than the current one
    /// (see `promoted` and `reason`). If one market fails, the others continue and its old model stays; the error is in its
    /// result.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_CLOSED`, or `ERR_CANCELLED` if `signal` aborts or the loop is closed meanwhile;
    /// models finished before that stay.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const { results } = await loop.train({
    ///   symbols: ['BTC/USDT'],
    ///   timeframes: ['1h'],
    ///   onProgress: ({ symbol, phase, done, steps }) => console.log(`${symbol}: ${phase} ${done}/${steps}`),
    /// })
    /// for (const { symbol, timeframe, promoted, reason, error } of results) {
    ///   console.log(`${symbol} ${timeframe}: ${error?.message ?? (promoted ? 'in service' : 'not used')}, ${reason}`)
    /// }
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options?: TrainOptions", ts_return_type = "Promise<TrainingResults>")]
    pub fn train<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, types::TrainingResults>> {
        promise(env, || {
            let call = self.core.begin()?;
            let listener =
                member(&options, "onProgress")?.map(|function| listener("onProgress", function)).transpose()?;
            let signal = member(&options, "signal")?;
            let mut map = values::to_map("options", options, &["onProgress"])?;
            map.shift_remove("signal");
            let request = train_request(&mut map)?;
            values::no_more(&map)?;
            // Listened to last: nothing after it can fail and leave the listener behind.
            let cancel = Cancel::default();
            let abort = signal.map(|signal| abort(env, signal, &cancel)).transpose()?;
            let (core, env) = (self.core.clone(), *env);
            let training = spawned(async move {
                let _under_way = call;
                let progress = move |news: engine::TrainProgress| {
                    if let Some(listener) = &listener {
                        listener.tell(types::TrainProgress::from(news));
                    }
                };
                core.telling(&cancel, core.trainer().train(request, cancel.clone(), progress)).await
            });
            let results = async move {
                let results = training.await;
                if let Some(abort) = abort {
                    abort.detach(&env);
                }
                results.map(Into::into)
            };
            Ok(Box::pin(results))
        })
    }

    /// Runs the loop over past candles and past signals with a simulated clock, and tells what it would have said, taken, earned and
    /// learned, with everything known only when it was known. The signals are those of the home, of a file, given ones, those of a
    /// strategy, or the loop's own. Nothing of the home changes but its ledger of replays, `replays.jsonl`.
    ///
    /// Rejects with `ERR_NO_DATA` without signals or candles, `ERR_INVALID_ARGUMENT` (also for a fault of the strategy, with the
    /// candle), `ERR_INVALID_CONFIG`, `ERR_INVALID_SIGNAL`, `ERR_INVALID_CANDLE`, `ERR_IO`, `ERR_CLOSED`, or `ERR_CANCELLED` if `signal`
    /// aborts or the loop is closed meanwhile.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop, type Strategy } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const breakout: Strategy = (_market, candles) => {
    ///   const { close, low } = candles.at(-1)
    ///   if (candles.length < 20 || close < Math.max(...candles.high.subarray(-20, -1))) return
    ///   return { signalType: 'BUY', entryPrice: close, stopLoss: Math.min(low, close * 0.99), takeProfit: close * 1.02 }
    /// }
    /// const { verdict, summary } = await loop.replay({
    ///   strategy: breakout, symbols: ['BTCUSDT'], timeframes: ['1h'], without: ['models'],
    /// })
    /// console.log(verdict.advice.words)
    /// console.log(`all ${summary.all.meanR ?? '?'} R a signal, taken ${summary.taken.meanR ?? '?'} R`)
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options?: ReplayOptions", ts_return_type = "Promise<ReplayResult>")]
    pub fn replay<'env>(&self, env: &'env Env, options: Unknown<'_>) -> napi::Result<PromiseRaw<'env, Value>> {
        promise(env, || {
            let call = self.core.begin()?;
            let listener =
                member(&options, "onProgress")?.map(|function| listener("onProgress", function)).transpose()?;
            let zone = self.core.settings().config().timezone;
            let strategy = member(&options, "strategy")?
                .map(|strategy| JsStrategy::new(function("strategy", strategy)?, zone))
                .transpose()?;
            let signal = member(&options, "signal")?;
            let mut map = values::to_map("options", options, &["onProgress", "strategy"])?;
            map.shift_remove("signal");
            let (request, page) = replay::request(&mut map, strategy, zone)?;
            page.iter().try_for_each(|page| check_output(self.core.settings().home(), "report", page))?;
            // Listened to last: nothing after it can fail and leave the listener behind.
            let cancel = Cancel::default();
            let abort = signal.map(|signal| abort(env, signal, &cancel)).transpose()?;
            let (core, env) = (self.core.clone(), *env);
            let studied = spawned(async move {
                let _under_way = call;
                let progress = move |news| {
                    if let Some(listener) = &listener {
                        listener.tell(replay::progress(&news));
                    }
                };
                let study = ::replay::study(&core, request, cancel.clone(), progress);
                let study = core.telling(&cancel, study).await?;
                if let Some(page) = page {
                    report::write_replay(&study, &page)?;
                }
                Ok(json!(study))
            });
            let result = async move {
                let result = studied.await;
                if let Some(abort) = abort {
                    abort.detach(&env);
                }
                result
            };
            Ok(Box::pin(result))
        })
    }

    /// Predicts the time after the last candle, from `candles` (closed, oldest first, at least 100) or from the stored ones.
    /// Makes no network request; see `stale`.
    ///
    /// Rejects with `ERR_NO_MODEL`, `ERR_MODEL_FILE`, `ERR_NO_DATA`, `ERR_INVALID_CANDLE`, `ERR_INVALID_ARGUMENT`,
    /// `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const { signal, confidence, baseRates, reason } = await loop.predict({ symbol: 'BTC/USDT', timeframe: '1h' })
    /// console.log(signal, confidence, baseRates[signal], reason ?? '')
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options: PredictOptions", ts_return_type = "Promise<Prediction>")]
    pub fn predict<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, types::Prediction>> {
        self.predict_from(env, options, |candle_ms, given| {
            given.map(|value| values::candles("candles", &value, Times::OrConsecutive(candle_ms))).transpose()
        })
    }

    /// [`Self::predict`] with candles that `index.js` took out of the options and packed; see [`Predictor::predict_packed`].
    #[napi(skip_typescript)]
    pub fn predict_packed<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'_>,
        rows: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, types::Prediction>> {
        self.predict_from(env, options, |candle_ms, _| values::packed_candles("candles", rows, candle_ms).map(Some))
    }

    fn predict_from<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'_>,
        candles: impl FnOnce(i64, Option<Value>) -> Result<Option<Vec<Candle>>>,
    ) -> napi::Result<PromiseRaw<'env, types::Prediction>> {
        promise(env, || {
            let call = self.core.begin()?;
            let mut map = values::to_map("options", options, &[])?;
            let market = values::market(&mut map)?;
            let given = map.shift_remove("candles").filter(|value| !value.is_null());
            let candles = candles(market.timeframe.millis(), given)?;
            values::no_more(&map)?;
            Ok(match self.core.models().predict(&market, candles.as_deref()).ready() {
                Some(prediction) => done(prediction?.into()),
                None => {
                    let core = self.core.clone();
                    elsewhere(async move {
                        let _under_way = call;
                        core.models().predict(&market, candles.as_deref()).wait().map(Into::into)
                    })
                }
            })
        })
    }

    /// Updates the candles of a market and makes a signal from the prediction: entry at the last close, stop and target from the
    /// average true range, 2:1 unless configured otherwise. If no bet is worth it, the signal is a HOLD with the reason. It is
    /// not recorded.
    ///
    /// Rejects like `predict`, and with `ERR_CANCELLED` if the loop is closed while it waits for candles.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const signal = await loop.generateSignal({ symbol: 'BTC/USDT', timeframe: '1h' })
    /// if (signal.signalType === 'HOLD') console.log(signal.aiRationale)
    /// else await loop.feedbackTracker.recordSignal(signal)
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options: GenerateOptions", ts_return_type = "Promise<Signal>")]
    pub fn generate_signal<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, types::Signal>> {
        call(env, &self.core, || {
            let mut map = values::to_map("options", options, &[])?;
            let market = values::market(&mut map)?;
            let risk = |value: &Value| match value.as_str()? {
                "low" => Some(Risk::Low),
                "medium" => Some(Risk::Medium),
                "high" => Some(Risk::High),
                _ => None,
            };
            let risk =
                values::option(&mut map, "riskTolerance", "must be low, medium or high", risk)?.unwrap_or_default();
            values::no_more(&map)?;
            let core = self.core.clone();
            Ok(async move {
                let signal = core.unless_left(core.models().generate(&market, risk)).await?;
                Ok(types::Signal::new(signal.id(), signal))
            })
        })
    }

    /// Fetches the missing candles of all configured markets, or of the given ones. If one market fails, the others continue; the
    /// error is in its result.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_CLOSED`, or `ERR_CANCELLED` if the loop is closed meanwhile.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// for (const { symbol, timeframe, added, error } of await loop.fetchData({ symbols: ['BTC/USDT'], timeframes: ['1h'] })) {
    ///   console.log(`${symbol} ${timeframe}: ${error?.message ?? `${added} new candles`}`)
    /// }
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options?: FetchOptions", ts_return_type = "Promise<FetchResult[]>")]
    pub fn fetch_data<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, Vec<types::FetchResult>>> {
        call(env, &self.core, || {
            let mut map = values::to_map("options", options, &[])?;
            let markets = self.markets(&mut map)?;
            let since = map.shift_remove("since").filter(|since| !since.is_null());
            let since_ms = since.map(|since| values::json_time("since", &since)).transpose()?;
            values::no_more(&map)?;
            let core = self.core.clone();
            Ok(async move {
                let fetched = core.unless_left(core.fetcher().fetch(markets, since_ms, |_| {})).await?;
                Ok(fetched.into_iter().map(Into::into).collect())
            })
        })
    }

    /// Lists the models in service with their history, and model files that cannot be used.
    ///
    /// Rejects with `ERR_IO`, `ERR_CLOSED`. The error of a single file is in its entry.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// for (const { model, version, ageHours, error } of await loop.models()) {
    ///   console.log(model ? `${model.symbol} ${model.timeframe}: version ${version}, ${ageHours} h` : error?.message)
    /// }
    /// await loop.close()
    /// ```
    #[napi(ts_return_type = "Promise<ModelEntry[]>")]
    pub fn models<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Vec<types::ModelEntry>>> {
        call(env, &self.core, || {
            let core = self.core.clone();
            Ok(async move { Ok(types::ModelEntry::all(core.models().list()?, core.settings().now_ms())) })
        })
    }

    /// Writes the report: one HTML file that needs no network, with results, probabilities, what was learned, models, candles and
    /// the scheduler. Parts that could not be read are listed in it and in `problems`.
    ///
    /// Rejects with `ERR_IO` if it cannot be written, `ERR_INVALID_ARGUMENT`, also if `out` is one of signalloop's own files,
    /// `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const { path, problems } = await loop.report({ out: './report.html' })
    /// console.log(path, problems)
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options?: ReportOptions", ts_return_type = "Promise<ReportResult>")]
    pub fn report<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, types::ReportResult>> {
        call(env, &self.core, || {
            let mut map = values::to_map("options", options, &[])?;
            let path = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(PathBuf::from);
            let out = values::option(&mut map, "out", "must be a file", path)?;
            values::no_more(&map)?;
            let core = self.core.clone();
            Ok(async move { report::write(&core, out.as_deref()).await.map(Into::into) })
        })
    }

    /// The report as a live page to mount in your backend: `app.use("/learning", loop.dashboard())`. Your backend decides who may
    /// see it. It answers only GET and HEAD, only under an IP address, `localhost` or a name of `allowedHosts`, and is not
    /// readable by other sites. `docs/report.md` says how to mount it in Fastify and plain `http`.
    ///
    /// @throws `ERR_INVALID_ARGUMENT`
    ///
    /// @example
    /// ```ts
    /// import { createServer } from 'node:http'
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// createServer(loop.dashboard()).listen(Number(process.env.PORT ?? 4000), '127.0.0.1')
    /// ```
    // `index.js` makes the handler, of what this answers to `{ method, url, headers, allowedHosts }`.
    #[napi(ts_args_type = "options?: DashboardOptions", ts_return_type = "DashboardHandler")]
    pub fn dashboard<'env>(&self, env: &'env Env, request: Unknown<'_>) -> napi::Result<PromiseRaw<'env, Value>> {
        call(env, &self.core, || {
            let mut map = values::to_map("request", request, &[])?;
            let names = Hosts::new(host_names(&mut map)?)?;
            let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
            let header = |name: &str| text(map.get("headers").and_then(|headers| headers.get(name)));
            let request = Request {
                method: text(map.get("method")).unwrap_or_default(),
                url: text(map.get("url")).unwrap_or_default(),
                host: header("host").or_else(|| header(":authority")),
                origin: header("origin"),
                fetch_site: header("sec-fetch-site"),
                fetch_mode: header("sec-fetch-mode"),
                fetch_dest: header("sec-fetch-dest"),
                if_none_match: header("if-none-match"),
            };
            let dashboard = self.core.dashboard().clone();
            Ok(async move {
                let Answer { status, headers, body } =
                    dashboard.answer(&request, &names).await.unwrap_or_else(|error| failure(&error));
                let headers: Map<String, Value> =
                    headers.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
                Ok(json!({ "status": status, "headers": headers, "body": body }))
            })
        })
    }

    /// Returns a market to the previous model, in all processes, and logs it.
    ///
    /// Rejects with `ERR_NO_PREDECESSOR` if there is none, `ERR_NO_MODEL`, `ERR_MODEL_FILE`, `ERR_INVALID_ARGUMENT`,
    /// `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const { from, to } = await loop.rollback({ symbol: 'BTC/USDT', timeframe: '1h', reason: 'too many stops' })
    /// console.log(`version ${from} is out, version ${to} is in service`)
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "options: RollbackOptions", ts_return_type = "Promise<Rollback>")]
    pub fn rollback<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, types::Rollback>> {
        call(env, &self.core, || {
            let mut map = values::to_map("options", options, &[])?;
            let market = values::market(&mut map)?;
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let reason = values::option(&mut map, "reason", "must be text", text)?;
            values::no_more(&map)?;
            let core = self.core.clone();
            Ok(async move { core.models().rollback(&market, reason.as_deref()).map(Into::into) })
        })
    }

    /// Metrics of signals, models, candles and the scheduler in the Prometheus text format (version 0.0.4), for a scrape route.
    /// They describe the whole home, including the work of other processes. `docs/operating.md` lists them.
    ///
    /// Rejects with `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_IO`, `ERR_INVALID_CONFIG`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { createServer } from 'node:http'
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const server = createServer(async (_request, response) => {
    ///   response.setHeader('content-type', 'text/plain; version=0.0.4').end(await loop.metrics())
    /// })
    /// server.listen(Number(process.env.PORT ?? 9464), '127.0.0.1')
    /// ```
    #[napi(ts_return_type = "Promise<string>")]
    pub fn metrics<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        call(env, &self.core, || {
            let core = self.core.clone();
            Ok(async move { core.metrics() })
        })
    }

    /// Closes the loop. Acknowledged records are safe, threads end, and later calls to the store reject with `ERR_CLOSED`.
    /// Running trainings, and calls that wait for candles, reject with `ERR_CANCELLED`. The default loop opens again at its next
    /// use. If other threads of the process use the default loop too, it is closed for this thread only, with the scheduler that
    /// this thread started.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// process.once('SIGTERM', () => void loop.close())
    /// ```
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        promise(env, || {
            let closed = self.core.clone().close();
            Ok(elsewhere(async move {
                closed.await;
                Ok(())
            }))
        })
    }

    fn markets(&self, map: &mut Map<String, Value>) -> Result<Vec<Market>> {
        let symbols = values::list(map, "symbols", Symbol::given)?;
        let timeframes = values::list(map, "timeframes", Timeframe::parse)?;
        Ok(self.core.settings().markets(symbols, timeframes))
    }
}

fn train_request(map: &mut Map<String, Value>) -> Result<TrainRequest> {
    let mode = |value: &Value| match value.as_str()? {
        "all" => Some(TrainMode::All),
        "symbol" => Some(TrainMode::Symbol),
        "retrain" => Some(TrainMode::Retrain),
        "incremental" => Some(TrainMode::Incremental),
        _ => None,
    };
    let mode = values::option(map, "mode", "must be all, symbol, retrain or incremental", mode)?.unwrap_or_default();
    let fetch = values::option(map, "fetch", "must be true or false", Value::as_bool)?.unwrap_or(true);
    Ok(TrainRequest {
        mode,
        symbols: values::list(map, "symbols", Symbol::given)?,
        timeframes: values::list(map, "timeframes", Timeframe::parse)?,
        max_age_hours: values::option(map, "maxAgeHours", "must be a number of hours, 0 or more", Value::as_f64)?,
        skip_fetch: !fetch,
    })
}

/// A member of an options object, if it has one.
fn member<'a>(options: &Unknown<'a>, name: &str) -> Result<Option<Unknown<'a>>> {
    if !matches!(options.get_type(), Ok(ValueType::Object)) {
        return Ok(None);
    }
    let env = options.value().env;
    let unreadable = |e: napi::Error| values::unreadable(env, "options", &e);
    // SAFETY: its type was just checked, on the JavaScript thread it came on.
    let object = unsafe { options.cast::<Object<'a>>() }.map_err(unreadable)?;
    let value: Unknown<'a> = object.get_named_property(name).map_err(unreadable)?;
    Ok((!values::is_missing(&value)).then_some(value))
}

/// A member that must be a function.
fn function<'a, Args: napi::bindgen_prelude::JsValuesTupleIntoVec, Return: FromNapiValue>(
    name: &'static str,
    value: Unknown<'a>,
) -> Result<Function<'a, Args, Return>> {
    match value.get_type() {
        // SAFETY: its type was just checked, on the JavaScript thread it came on.
        Ok(ValueType::Function) => unsafe { value.cast() }
            .map_err(|e: napi::Error| Error::argument(name, "must be a function", e.reason.clone())),
        _ => Err(Error::argument(name, "must be a function", values::to_json(value)?)),
    }
}

fn listener<T: ToNapiValue + 'static>(name: &'static str, value: Unknown<'_>) -> Result<Listener<T>> {
    Listener::new(name, function::<FnArgs<(T,)>, ()>(name, value)?)
}

fn candle_source(value: Unknown<'_>) -> Result<Arc<dyn CandleSource>> {
    Ok(Arc::new(CandleCallback::new(function("fetchCandles", value)?)?))
}

fn price_source(value: Unknown<'_>) -> Result<Arc<dyn PriceSource>> {
    Ok(Arc::new(PriceCallback::new(function("fetchPrices", value)?)?))
}

/// What `own-model.js` has made of a user's own model.
pub fn own_model(value: Unknown<'_>) -> Result<Arc<dyn OwnModel>> {
    let ask = member(&value, "ask")?.ok_or_else(|| Error::argument("model", "must be a model", "nothing"))?;
    let about = member(&value, "about")?.ok_or_else(|| Error::argument("model", "must be a model", "nothing"))?;
    let about = values::to_map("model", about, &[])?;
    Ok(Arc::new(JsModel::new(about, function::<Question, ()>("model", ask)?)?))
}

/// The names of the features, in order.
#[napi(skip_typescript)]
pub fn feature_names() -> Vec<&'static str> {
    FEATURES.iter().map(|feature| feature.name).collect()
}

fn abort(env: &Env, value: Unknown<'_>, cancel: &Cancel) -> Result<Abort> {
    if !matches!(value.get_type(), Ok(ValueType::Object)) {
        return Err(Error::argument("signal", "must be an AbortSignal", values::to_json(value)?));
    }
    // SAFETY: its type was just checked, on the JavaScript thread it came on.
    let object = unsafe { value.cast::<Object<'_>>() }
        .map_err(|e| Error::argument("signal", "must be an AbortSignal", e.reason.clone()))?;
    Abort::listen(env, &object, cancel)
}
