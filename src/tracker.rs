//! `FeedbackTracker`: signals in, closings and statistics out.

use super::arrays::Ticks;
use super::bulk::Reading;
use super::errors::{Code, sync};
use super::promises::{call, done, elsewhere, promise, spawned};
use super::shared::User;
use super::signals;
use super::stretches::Copied;
use super::types::{
    Assessment, CloseDecision, ClosedSignal, Compaction, ImportReport, Pattern, PerformanceStats, PerformanceTotals,
    Recovery, stored_signal,
};
use super::{arrays, decision, values};
use candles::given::{TIME, time_of};
use domain::answer::Answer;
use domain::error::{Error, Result, guard};
use domain::signal::{Change, STRATEGY, is_strategy};
use domain::symbol::{Symbol, Timeframe};
use domain::threads::blocking;
use domain::time::{Tz, now_ms};
use engine::{AdviceFilter, ScorecardFilter, should_close, should_close_managed};
use feedback::{Lines, StatsFilter, Tick, Totals};
use napi::bindgen_prelude::{Env, PromiseRaw, Unknown};
use napi_derive::napi;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Days that `getStats` covers by default.
const STATS_DAYS: f64 = 30.0;
const DAY_MS: f64 = 86_400_000.0;
/// Number of prices whose pairs are read before the call returns, which takes a few milliseconds. The rest is read in parts, so
/// that other work can run in between.
const PRICES_AT_ONCE: usize = 20_000;

/// Records signals, closes them by price, stores their outcomes and gives statistics.
///
/// Methods that return a promise reject with an error that has a stable `code` (`ERR_INVALID_SIGNAL`, …) and a message with the
/// field and the value. Nothing is written then.
///
/// @example
/// ```ts
/// import { feedbackTracker } from 'signalloop'
///
/// await feedbackTracker.recordSignal({
///   id: 'breakout-17', pair: 'BTC/USDT', signalType: 'BUY', confidence: 60,
///   entryPrice: 60_000, stopLoss: 58_800, takeProfit: 62_400, timestamp: Date.now(),
/// })
/// const closed = await feedbackTracker.onPrice('BTC/USDT', 62_500)
/// console.log(closed.map(({ id, outcome, realizedR }) => `${id}: ${outcome}, ${realizedR} R`))
/// ```
#[napi]
pub struct FeedbackTracker {
    core: Arc<User>,
}

impl FeedbackTracker {
    pub fn of(core: Arc<User>) -> Self {
        Self { core }
    }

    /// Which signals to count: those of the given number of days, of the default number of days, or all.
    fn filter(
        &self,
        symbol: Unknown<'_>,
        timeframe: Unknown<'_>,
        days: Unknown<'_>,
        unsaid: Option<f64>,
    ) -> Result<StatsFilter> {
        let (symbol, timeframe) = market_filter(symbol, timeframe)?;
        let days = if values::is_missing(&days) { unsaid } else { Some(values::days("days", days)?) };
        let since_ms = days.map(|days| self.core.settings().now_ms() - (days * DAY_MS) as i64);
        Ok(StatsFilter { symbol, timeframe, since_ms, ..StatsFilter::default() })
    }

    fn zone(&self) -> Tz {
        self.core.settings().config().timezone
    }

    /// Changes the signal whose id `read` returns.
    fn change<'env>(
        &self,
        env: &'env Env,
        read: impl FnOnce(&Env, Tz) -> Result<(String, Change)>,
    ) -> napi::Result<PromiseRaw<'env, bool>> {
        promise(env, || {
            let call = self.core.begin()?;
            let (id, change) = read(env, self.zone())?;
            let changed = self.core.signals().change(id, change);
            Ok(Box::pin(async move {
                let _under_way = call;
                changed.await
            }))
        })
    }
}

/// [`FeedbackTracker::should_close_signal`] without a loop, because the rule needs none.
#[napi(skip_typescript)]
pub fn should_close_signal(
    env: &Env,
    signal: Unknown<'_>,
    current_price: Unknown<'_>,
) -> napi::Result<CloseDecision, Code> {
    sync(|| {
        let price = values::price("currentPrice", current_price)?;
        if !matches!(signal.get_type(), Ok(napi::ValueType::Object)) {
            return Err(Error::argument("signal", "must be an object", values::to_json(signal)?));
        }
        Ok(match signals::levels(env, &signal)? {
            Some((levels, Some(terms))) => should_close_managed(&levels, &terms, price, now_ms()).into(),
            Some((levels, None)) => should_close(Some(&levels), price, now_ms()).into(),
            None => should_close(None, price, now_ms()).into(),
        })
    })
}

/// [`should_close_signal`] for a question that `close-decision.js` wrote into an array, where the answer is when this returns
/// `true`. `false`: the signal must be read as an object, which says what is wrong with it.
#[napi(skip_typescript)]
pub fn should_close_numbers(numbers: Unknown<'_>) -> napi::Result<bool, Code> {
    sync(|| {
        let numbers = arrays::InPlace::of("numbers", &numbers)?;
        if numbers.len() < decision::DECISION_NUMBERS {
            let allowed = format!("must hold {} numbers", decision::DECISION_NUMBERS);
            return Err(Error::argument("numbers", allowed, numbers.len()));
        }
        Ok(decision::decide(&numbers, now_ms()).is_some())
    })
}

/// How many numbers the array of [`should_close_numbers`] has.
#[napi(skip_typescript)]
pub fn decision_numbers() -> u32 {
    decision::DECISION_NUMBERS as u32
}

/// The texts that numbers of [`should_close_numbers`] stand for.
#[napi(skip_typescript)]
pub fn decision_words() -> Vec<&'static str> {
    decision::WORDS.to_vec()
}

#[napi]
impl FeedbackTracker {
    /// Says whether `currentPrice` would close the signal now, with which outcome, and the profit at that price. Touching the
    /// stop loss or the take profit closes a signal, and so does reaching `expiresAt`. Does not read the store and changes
    /// nothing.
    ///
    /// Of a signal with an entry that waits, several targets or a stop that moves, it knows what it is given and no earlier
    /// price: the result has `status` and `events`, and `unknown` names what earlier prices may have changed. `getSignal` knows
    /// that; `onPrice` closes and stores by it.
    ///
    /// @throws `ERR_INVALID_SIGNAL`, `ERR_INVALID_ARGUMENT`
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const signal = { signalType: 'BUY', entryPrice: 60_000, stopLoss: 58_800, takeProfit: 62_400 } as const
    /// const decision = feedbackTracker.shouldCloseSignal(signal, 58_700)
    /// if (decision.shouldClose) console.log(decision.outcome, decision.profitLoss) // STOPPED_OUT -2
    /// ```
    #[napi(ts_args_type = "signal: SignalLevels, currentPrice: number", ts_return_type = "CloseDecision")]
    pub fn should_close_signal(
        &self,
        env: &Env,
        signal: Unknown<'_>,
        current_price: Unknown<'_>,
    ) -> napi::Result<CloseDecision, Code> {
        should_close_signal(env, signal, current_price)
    }

    /// Records a signal, together with the features of its market at entry if the candles are stored. Resolves `true` once it is
    /// safe at the configured durability, also if the same signal was recorded before. A signal that comes with its end (see
    /// {@link SignalEnd}) is recorded as closed, counts in the statistics and is learned from. If it was recorded open before,
    /// that closes it.
    ///
    /// The prediction of the current model is stored with the signal, for `scorecard`. The model is that of the last `assess` or
    /// `patterns` call in this process. Signals recorded before the first such call, and signals of the past, have no stored
    /// prediction.
    ///
    /// Rejects with `ERR_INVALID_SIGNAL`, `ERR_INVALID_ARGUMENT`, `ERR_SIGNAL_CONFLICT` if the id was recorded with other
    /// content, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// await feedbackTracker.recordSignal({
    ///   id: 'pullback-3', pair: 'BTC/USDT', timeframe: '1h', signalType: 'BUY', confidence: 60, timestamp: new Date(),
    ///   entryType: 'limit', entryPrice: 60_000, stopLoss: 58_800,
    ///   takeProfits: [{ price: 61_200, share: 50 }, { price: 62_400, share: 50 }],
    ///   stopRules: { breakEvenAfterTarget: 1 },
    ///   strategy: 'pullback', indicators: { rsi: 31, volumeRatio: 1.8 },
    /// })
    /// ```
    #[napi(ts_args_type = "signal: SignalInput", ts_return_type = "Promise<boolean>")]
    pub fn record_signal<'env>(&self, env: &'env Env, signal: Unknown<'_>) -> napi::Result<PromiseRaw<'env, bool>> {
        promise(env, || {
            let call = self.core.begin()?;
            let recorded = self.core.signals().record(vec![signals::record(env, &signal, self.zone())?]);
            Ok(Box::pin(async move {
                let _under_way = call;
                recorded.await.map(|()| true)
            }))
        })
    }

    /// Records up to 1 000 000 signals at once. All are checked before any is written. Resolves with their number. The array is
    /// copied at once. With more than 1000 signals, the rest of the objects is read while the event loop continues: do not change
    /// them before the promise resolves.
    ///
    /// Rejects like `recordSignal`; after `ERR_SIGNAL_CONFLICT` the signals without a conflict are recorded.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker, type SignalInput } from 'signalloop'
    ///
    /// // Closed signals of the past: each comes with its end, and is learned from.
    /// const past: SignalInput[] = [
    ///   { id: 'old-1', pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 60_000, stopLoss: 58_800, takeProfit: 62_400,
    ///     timestamp: '2026-03-01T10:00:00Z', outcome: 'TOOK_PROFIT', closedAt: '2026-03-02T04:00:00Z' },
    ///   { id: 'old-2', pair: 'BTC/USDT', signalType: 'SELL', confidence: 55, entryPrice: 61_000, stopLoss: 62_000,
    ///     timestamp: '2026-03-03T10:00:00Z', outcome: 'STOPPED_OUT', closedAt: '2026-03-03T18:00:00Z' },
    /// ]
    /// console.log(`${await feedbackTracker.recordSignals(past)} signals`)
    /// ```
    #[napi(ts_args_type = "signals: readonly SignalInput[]", ts_return_type = "Promise<number>")]
    pub fn record_signals<'env>(&self, env: &'env Env, signals: Unknown<'_>) -> napi::Result<PromiseRaw<'env, u32>> {
        promise(env, || {
            let (call, core) = (self.core.begin()?, self.core.clone());
            let (reading, env) = (Reading::begin(env, &core, signals)?, *env);
            Ok(Box::pin(async move {
                let lines = reading.finish(env).await?;
                spawned(async move {
                    let _under_way = call;
                    let count = lines.iter().map(Lines::count).sum::<usize>() as u32;
                    core.signals().record_lines(lines).await.map(|()| count)
                })
                .await
            }))
        })
    }

    /// Closes a signal with the outcome you give, or with `share` a part of its position. Resolves `false` if the signal is
    /// unknown or already closed: the first outcome stands. Without `profitLossPercent` the profit is calculated from
    /// `exitPrice`, or from the level that the outcome names. If the signal ended earlier, give the time as `closedAt`. The part
    /// that is open follows its stop, its targets and its expiry as before.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, also for values that contradict each other (see {@link OutcomeUpdate}), `ERR_STORE`,
    /// `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// await feedbackTracker.recordSignal({
    ///   id: 'by-hand', pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 60_000, stopLoss: 58_800, timestamp: Date.now(),
    /// })
    /// // First half of the position, then the rest.
    /// await feedbackTracker.updateOutcome({ signalId: 'by-hand', share: 50, exitPrice: 61_000 })
    /// await feedbackTracker.updateOutcome({ signalId: 'by-hand', outcome: 'SUCCESS', exitPrice: 61_500 })
    /// ```
    #[napi(ts_args_type = "update: OutcomeUpdate", ts_return_type = "Promise<boolean>")]
    pub fn update_outcome<'env>(&self, env: &'env Env, update: Unknown<'_>) -> napi::Result<PromiseRaw<'env, bool>> {
        promise(env, || {
            let call = self.core.begin()?;
            let closed = self.core.signals().close_by_hand(signals::update(env, &update, self.zone())?);
            Ok(Box::pin(async move {
                let _under_way = call;
                closed.await
            }))
        })
    }

    /// Changes the stop, the targets or the expiry of a signal that is open or waits for its entry; what is left out stays as it
    /// is. Resolves `false` if the signal is unknown or has ended. The change is an event of its history, safe at the
    /// configured durability.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, also for levels that contradict the signal as it stands (see {@link Amendment}),
    /// `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`; then nothing is changed.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// await feedbackTracker.recordSignal({
    ///   id: 'amended', pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 60_000, stopLoss: 58_800, timestamp: Date.now(),
    /// })
    /// await feedbackTracker.amendSignal({ signalId: 'amended', stopLoss: 59_400, reason: 'the low of the session' })
    /// ```
    #[napi(ts_args_type = "amendment: Amendment", ts_return_type = "Promise<boolean>")]
    pub fn amend_signal<'env>(&self, env: &'env Env, amendment: Unknown<'_>) -> napi::Result<PromiseRaw<'env, bool>> {
        self.change(env, |env, zone| signals::amendment(env, &amendment, zone))
    }

    /// Cancels a signal that still waits for its entry. It counts as neither success nor failure. Resolves `false` if the signal
    /// is unknown or has ended.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, also for a signal that was entered, which `updateOutcome` closes, `ERR_STORE`,
    /// `ERR_STORE_BUSY`, `ERR_CLOSED`; then nothing is changed.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// await feedbackTracker.recordSignal({
    ///   id: 'waits', pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryType: 'limit', entryPrice: 50_000, stopLoss: 49_000,
    ///   timestamp: Date.now(),
    /// })
    /// await feedbackTracker.cancelSignal({ signalId: 'waits', reason: 'the setup is gone' })
    /// ```
    #[napi(ts_args_type = "cancellation: Cancellation", ts_return_type = "Promise<boolean>")]
    pub fn cancel_signal<'env>(
        &self,
        env: &'env Env,
        cancellation: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, bool>> {
        self.change(env, |env, zone| signals::cancellation(env, &cancellation, zone))
    }

    /// A recorded signal: as it was given, where it stands, what happened to it, and its result. Resolves `null` if the id is
    /// unknown.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const stored = await feedbackTracker.getSignal('breakout-17')
    /// if (stored === null) console.log('no such signal')
    /// else console.log(stored.status, stored.position?.stopLoss, stored.history.map(({ type, at }) => `${type} at ${at}`))
    /// ```
    #[napi(ts_args_type = "signalId: string", ts_return_type = "Promise<StoredSignal | null>")]
    pub fn get_signal<'env>(&self, env: &'env Env, signal_id: Unknown<'_>) -> napi::Result<PromiseRaw<'env, Value>> {
        call(env, &self.core, || {
            let (core, id) = (self.core.clone(), values::text("signalId", signal_id)?);
            Ok(async move {
                let store = core.store().open()?;
                Ok(store.get(&id)?.map_or(Value::Null, |record| stored_signal(&record, &store.costs())))
            })
        })
    }

    /// Closes every open signal of `pair` that this price hits, stores the outcomes, and resolves with the closed signals in the
    /// order they were recorded. `timeMs` is the time of the price at its source: a Date, ISO string or milliseconds. A price
    /// older than one already seen closes nothing; it is counted and reported ({@link LoopEvent}, `pricesIgnored`). Without
    /// `timeMs` the price counts as current and is never too old, whatever the clock of this machine shows.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// // For each price of your stream, with the time at its source.
    /// for (const { id, outcome, profitLossPercent } of await feedbackTracker.onPrice('BTC/USDT', 58_500, Date.now())) {
    ///   console.log(`${id}: ${outcome}, ${profitLossPercent.toFixed(2)} %`)
    /// }
    /// ```
    #[napi(
        ts_args_type = "pair: string, price: number, timeMs?: Date | string | number",
        ts_return_type = "Promise<ClosedSignal[]>"
    )]
    pub fn on_price<'env>(
        &self,
        env: &'env Env,
        pair: Unknown<'_>,
        price: Unknown<'_>,
        time_ms: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, Vec<ClosedSignal>>> {
        let given = guard(|| {
            let symbol = Symbol::given(&values::text("pair", pair)?)?;
            Ok((symbol, values::price("price", price)?, values::optional_time("timeMs", time_ms)?))
        });
        let closed = match given {
            Ok((symbol, price, time_ms)) => self.core.signals().on_price(symbol, price, time_ms),
            Err(error) => Answer::Ready(Err(error)),
        };
        match closed {
            // Nearly every price closes nothing. No thread need be asked.
            Answer::Ready(Ok(closed)) => PromiseRaw::resolve(env, closed.into_iter().map(Into::into).collect()),
            closed => call(env, &self.core, || Ok(async { Ok(closed.await?.into_iter().map(Into::into).collect()) })),
        }
    }

    /// `onPrice` for up to 1 000 000 prices at once: `prices[i]` of `pairs[i]` at `timesMs[i]` (epoch milliseconds; current
    /// prices if omitted), in this order. Resolves with the closed signals in the order of the prices that closed them. The
    /// arrays are copied at once and may be reused.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`; then no price counts.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const closed = await feedbackTracker.onPrices(['BTC/USDT', 'ETH/USDT'], Float64Array.of(60_100, 3_000))
    /// console.log(closed.length)
    /// ```
    #[napi(
        ts_args_type = "pairs: readonly string[], prices: Float64Array, timesMs?: Float64Array",
        ts_return_type = "Promise<ClosedSignal[]>"
    )]
    pub fn on_prices<'env>(
        &self,
        env: &'env Env,
        pairs: Unknown<'_>,
        prices: Unknown<'_>,
        times_ms: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, Vec<ClosedSignal>>> {
        promise(env, || {
            let (call, core) = (self.core.begin()?, self.core.clone());
            let mut reading = arrays::Reading::begin(pairs, prices, times_ms)?;
            // The latest stands for all: the clock is asked once.
            if let Some(latest_ms) = reading.latest_said_ms() {
                core.settings().check_not_ahead("timesMs", latest_ms)?;
            }
            let turn = core.signals().turn();
            let close = |core: Arc<User>, ticks: Ticks| {
                spawned(async move {
                    let _under_way = call;
                    let of_now = ticks.of_now();
                    let ticks: Vec<Tick<'_>> = ticks.iter().collect();
                    let closed = if of_now {
                        core.signals().on_prices_now(turn, &ticks).await?
                    } else {
                        core.signals().on_prices(turn, &ticks).await?
                    };
                    Ok(closed.into_iter().map(Into::into).collect())
                })
            };
            if reading.len() <= PRICES_AT_ONCE {
                while !reading.read_some(pairs)? {}
                return Ok(Box::pin(close(core, reading.finish())));
            }
            let (copy, env) = (Copied::of(env, "pairs", pairs)?, *env);
            Ok(Box::pin(async move {
                copy.read(env, |_, pairs| reading.read_some(pairs)).await?;
                close(core, reading.finish()).await
            }))
        })
    }

    /// Like `onPrice`, for a closed candle of `timeframe` (default 1h): high and low count, not only the close. If stop and
    /// target both lie inside the candle, the stop counts. For the candle in which a signal was given, only the close counts;
    /// high and low count too if the signal came in its first twelfth, unless finer candles have shown what came after it. If the
    /// candle directly follows the stored candles, or those given before, then later predictions, and signals recorded or
    /// assessed later, use it, until a fetch has stored it.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_INVALID_CANDLE`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const HOUR = 3_600_000
    /// const time = Math.floor(Date.now() / HOUR) * HOUR - HOUR
    /// await feedbackTracker.onCandle('ETH/USDT', { time, open: 3_000, high: 3_040, low: 2_990, close: 3_020, volume: 812 }, '1h')
    /// ```
    #[napi(
        ts_args_type = "pair: string, candle: CandleInput, timeframe?: Timeframe",
        ts_return_type = "Promise<ClosedSignal[]>"
    )]
    pub fn on_candle<'env>(
        &self,
        env: &'env Env,
        pair: Unknown<'_>,
        candle: Unknown<'_>,
        timeframe: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, Vec<ClosedSignal>>> {
        call(env, &self.core, || {
            let symbol = Symbol::given(&values::text("pair", pair)?)?;
            let timeframe = if values::is_missing(&timeframe) {
                Timeframe::H1
            } else {
                Timeframe::parse(&values::text("timeframe", timeframe)?)?
            };
            let candle = values::timed_candle("candle", &values::to_json(candle)?)?;
            let closed = self.core.signals().on_candle(symbol, candle, timeframe);
            Ok(async { Ok(closed.await?.into_iter().map(Into::into).collect()) })
        })
    }

    /// Writes all closed signals to a CSV file at `path`, one row each with its features at entry, for training other models.
    /// A text that a spreadsheet would run as a formula gets an apostrophe before it. Resolves with the number of rows.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, also if `path` is one of signalloop's own files, `ERR_IO`, `ERR_STORE`,
    /// `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// console.log(`${await feedbackTracker.exportTrainingData('./closed-signals.csv')} rows`)
    /// ```
    #[napi(ts_args_type = "path: string", ts_return_type = "Promise<number>")]
    pub fn export_training_data<'env>(&self, env: &'env Env, path: Unknown<'_>) -> napi::Result<PromiseRaw<'env, f64>> {
        call(env, &self.core, || {
            let (core, path) = (self.core.clone(), PathBuf::from(values::text("path", path)?));
            Ok(async move { Ok(core.signals().export_training_data(&path)? as f64) })
        })
    }

    /// Imports a `signals.jsonl` of the old Python system or of another home. Signals that are already known stay as they are;
    /// lines that cannot be read are listed. New signals get the features of their market at entry if the candles are stored.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_IO`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const { imported, known, refused } = await feedbackTracker.importSignals('./signals.jsonl')
    /// console.log(`${imported} imported, ${known} known`)
    /// for (const { line, reason } of refused) console.log(`line ${line}: ${reason}`)
    /// ```
    #[napi(ts_args_type = "path: string", ts_return_type = "Promise<ImportReport>")]
    pub fn import_signals<'env>(
        &self,
        env: &'env Env,
        path: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, ImportReport>> {
        call(env, &self.core, || {
            let (core, path) = (self.core.clone(), PathBuf::from(values::text("path", path)?));
            Ok(async move { Ok(core.signals().import(&path).await?.into()) })
        })
    }

    /// Compacts the log: rewrites it atomically with one line per signal, while this and other processes continue to write.
    ///
    /// Rejects with `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`; then the log is unchanged.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const { bytesBefore, bytesAfter } = await feedbackTracker.compact()
    /// console.log(`${bytesBefore} bytes became ${bytesAfter}`)
    /// ```
    #[napi(ts_return_type = "Promise<Compaction>")]
    pub fn compact<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Compaction>> {
        call(env, &self.core, || {
            let core = self.core.clone();
            Ok(async move { Ok(core.store().open()?.compact().await?.into()) })
        })
    }

    /// Reports damage found in the log since it was opened, and what was done about it.
    ///
    /// Rejects with `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const { damaged, contradictions } = await feedbackTracker.recovery()
    /// if (damaged + contradictions > 0) console.log('see signals.quarantine.jsonl')
    /// ```
    #[napi(ts_return_type = "Promise<Recovery>")]
    pub fn recovery<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Recovery>> {
        call(env, &self.core, || {
            let core = self.core.clone();
            Ok(async move { Ok(core.store().open()?.recovery().into()) })
        })
    }

    /// Statistics of the last `days` (default 30): signals given and signals closed in that time. `symbol` and `timeframe` select
    /// a part. Counts, sums and means are there from the first signal. Ratios that are meant to say something of the signals to come
    /// are missing until there are enough: a Sharpe ratio needs 90 days, a Calmar ratio 180.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const { overall } = await feedbackTracker.getStats('BTC/USDT', '1h', 90)
    /// console.log(`${overall.closedSignals} closed, ${overall.successRate ?? '?'} % succeeded`)
    /// ```
    #[napi(
        ts_args_type = "symbol?: string, timeframe?: TimeframeName, days?: number",
        ts_return_type = "Promise<PerformanceStats>"
    )]
    pub fn get_stats<'env>(
        &self,
        env: &'env Env,
        symbol: Unknown<'_>,
        timeframe: Unknown<'_>,
        days: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, PerformanceStats>> {
        call(env, &self.core, || {
            let filter = self.filter(symbol, timeframe, days, Some(STATS_DAYS))?;
            let core = self.core.clone();
            Ok(async move {
                Ok(PerformanceStats::of(
                    core.store().open()?.stats(&filter)?,
                    core.performance().live().conservative_mode(&filter)?,
                    core.settings().now_ms(),
                ))
            })
        })
    }

    /// The seven figures of the old system's `get_performance_stats()`, of all signals unless `days` limits them. Period, symbol
    /// and timeframe select signals as in `getStats`.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const { closed_signals, success_rate } = await feedbackTracker.getPerformanceStats('BTC/USDT')
    /// console.log(`${closed_signals} closed, ${success_rate} % succeeded`)
    /// ```
    #[napi(
        ts_args_type = "symbol?: string, timeframe?: Timeframe, days?: number",
        ts_return_type = "Promise<PerformanceTotals>"
    )]
    pub fn get_performance_stats<'env>(
        &self,
        env: &'env Env,
        symbol: Unknown<'_>,
        timeframe: Unknown<'_>,
        days: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, PerformanceTotals>> {
        call(env, &self.core, || {
            let filter = self.filter(symbol, timeframe, days, None)?;
            let core = self.core.clone();
            Ok(async move { Ok(Totals::from(&core.store().open()?.stats(&filter)?.figures).into()) })
        })
    }

    /// Estimates the chances of a signal, with the reasons. It uses the model of candles and the outcomes of all closed signals.
    /// The signal need not be recorded, and asking changes nothing. `id`, `confidence` and `timestamp` may be missing; the
    /// timestamp is then now. `indicators` may have any names, and any may be missing. A signal of the past is judged by the
    /// outcomes known at its time.
    ///
    /// Rejects with `ERR_INVALID_SIGNAL` (also for a HOLD, which is not a bet), `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const chances = await feedbackTracker.assess({
    ///   pair: 'BTC/USDT', signalType: 'BUY', entryPrice: 60_000, stopLoss: 58_800, takeProfit: 62_400,
    ///   strategy: 'pullback', indicators: { rsi: 31, volumeRatio: 1.8 },
    /// })
    /// const { successProbability, probabilityInterval: { low, high }, expectedR, take, reasons } = chances
    /// console.log(`${take ? 'take' : 'leave'}: ${successProbability} [${low}, ${high}], ${expectedR} R`)
    /// for (const reason of reasons) console.log(reason)
    /// ```
    #[napi(ts_args_type = "signal: AssessInput", ts_return_type = "Promise<Assessment>")]
    pub fn assess<'env>(&self, env: &'env Env, signal: Unknown<'_>) -> napi::Result<PromiseRaw<'env, Assessment>> {
        promise(env, || {
            let call = self.core.begin()?;
            let question = signals::question(env, &signal, self.core.settings().now_ms(), self.zone())?;
            Ok(match self.core.outcomes().assess(question) {
                Answer::Ready(assessment) => done(assessment?.into()),
                Answer::Pending(assessing) => elsewhere(async move {
                    let _under_way = call;
                    assessing.await.map(Into::into)
                }),
            })
        })
    }

    /// Compares the predictions stored when signals were recorded with their outcomes, over all such signals that have closed,
    /// taken or followed. Every prediction was made before the outcome was known. Signals recorded after their end, or by a
    /// version that stored no predictions, are not included.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const { verdict, calibration } = await feedbackTracker.scorecard({ since: '2026-01-01T00:00:00Z' })
    /// console.log(verdict)
    /// for (const { said, came } of calibration) console.log(`said ${said}, came ${came.mean}`)
    /// ```
    #[napi(ts_args_type = "options?: ScorecardOptions", ts_return_type = "Promise<Scorecard>")]
    pub fn scorecard<'env>(&self, env: &'env Env, options: Unknown<'_>) -> napi::Result<PromiseRaw<'env, Value>> {
        call(env, &self.core, || {
            let (core, filter) = (self.core.clone(), scorecard_filter(options)?);
            Ok(async move { Ok(json!(core.outcomes().scorecard(&filter)?)) })
        })
    }

    /// Replays closed signals, traded or not, on stored candles with other stops, targets and expiries, and says what these would
    /// have brought, by strategy. Signals without a stop are not replayed, nor are those whose whole possible life no stored
    /// candles cover. Takes milliseconds for hourly candles, and seconds for years of candles by the minute, off the event loop.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_IO`, `ERR_INVALID_CANDLE`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// const { verdict, strategies } = await feedbackTracker.advise({ symbol: 'BTC/USDT' })
    /// console.log(verdict)
    /// for (const { strategy, verdict } of strategies) console.log(`${strategy ?? 'without a strategy'}: ${verdict}`)
    /// ```
    #[napi(ts_args_type = "options?: AdviseOptions", ts_return_type = "Promise<LevelsAdvice>")]
    pub fn advise<'env>(&self, env: &'env Env, options: Unknown<'_>) -> napi::Result<PromiseRaw<'env, Value>> {
        call(env, &self.core, || {
            let (core, filter) = (self.core.clone(), advice_filter(options)?);
            Ok(async move { blocking(move || Ok(json!(core.outcomes().advise(&filter)?))).await })
        })
    }

    /// The rules found in the closed signals of a symbol, of a timeframe, or in all; strongest first. If the signals contain no
    /// pattern, chance alone produces a rule in at most 5 % of cases.
    ///
    /// Rejects with `ERR_INVALID_ARGUMENT`, `ERR_STORE`, `ERR_STORE_BUSY`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { feedbackTracker } from 'signalloop'
    ///
    /// for (const { rule, successRate, count } of await feedbackTracker.patterns('BTC/USDT')) {
    ///   console.log(`${rule}: ${successRate} % of ${count}`)
    /// }
    /// ```
    #[napi(ts_args_type = "symbol?: string, timeframe?: Timeframe", ts_return_type = "Promise<Pattern[]>")]
    pub fn patterns<'env>(
        &self,
        env: &'env Env,
        symbol: Unknown<'_>,
        timeframe: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, Vec<Pattern>>> {
        call(env, &self.core, || {
            let (core, (symbol, timeframe)) = (self.core.clone(), market_filter(symbol, timeframe)?);
            Ok(
                async move { Ok(core.outcomes().patterns(symbol, timeframe).await?.into_iter().map(Into::into).collect()) },
            )
        })
    }
}

/// The signals that a scorecard covers.
fn scorecard_filter(options: Unknown<'_>) -> Result<ScorecardFilter> {
    let mut map = values::to_map("options", options, &[])?;
    let (since_ms, strategy, symbol) = selected(&mut map)?;
    values::no_more(&map)?;
    Ok(ScorecardFilter { since_ms, strategy, symbol, ..ScorecardFilter::default() })
}

/// The signals that are replayed for advice.
fn advice_filter(options: Unknown<'_>) -> Result<AdviceFilter> {
    let mut map = values::to_map("options", options, &[])?;
    let (since_ms, strategy, symbol) = selected(&mut map)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let timeframe = values::option(&mut map, "timeframe", "must be a timeframe such as 1h", text)?;
    values::no_more(&map)?;
    let timeframe = timeframe.map(|text| Timeframe::parse(&text)).transpose()?;
    Ok(AdviceFilter { since_ms, strategy, symbol, timeframe, ..AdviceFilter::default() })
}

/// The options `since`, `strategy` and `symbol`.
fn selected(map: &mut Map<String, Value>) -> Result<(Option<i64>, Option<String>, Option<Symbol>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let since_ms = values::option(map, "since", TIME, time_of)?;
    let strategy = |value: &Value| text(value).filter(|text| is_strategy(text));
    let strategy = values::option(map, "strategy", STRATEGY, strategy)?;
    let symbol = values::option(map, "symbol", "must be a pair such as BTCUSDT", text)?;
    Ok((since_ms, strategy, symbol.map(|text| Symbol::given(&text)).transpose()?))
}

/// An optional symbol and an optional timeframe.
fn market_filter(symbol: Unknown<'_>, timeframe: Unknown<'_>) -> Result<(Option<Symbol>, Option<Timeframe>)> {
    let symbol = values::optional_text("symbol", symbol)?.map(|text| Symbol::given(&text)).transpose()?;
    let timeframe = values::optional_text("timeframe", timeframe)?.map(|text| Timeframe::parse(&text)).transpose()?;
    Ok((symbol, timeframe))
}
