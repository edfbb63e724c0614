//! Watching open signals: the candles missed while nothing watched, then the price of now.
//!
//! Candles are looked at minute by minute, for they hold what happened between two looks, and they say when. A long absence
//! is first looked at hour by hour, and only the hours in which something may have closed minute by minute. With candles of
//! the user's own (`fetchCandles`) there are no prices to ask for, and the candles are of the signals' own timeframe.

use super::SignalLoop;
use super::fetch::PARALLEL;
use super::tasks::{Done, unfinished};
use crate::barrier::{Exit, Levels};
use crate::error::{Error, Result};
use crate::feedback::{ClosedSignal, SignalKey, Tick};
use crate::market::{Candle, CandleSource, price_step};
use crate::order;
use crate::symbol::{Market, Symbol, Timeframe};
use crate::threads;
use crate::time::HOUR_MS;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const MINUTE_MS: i64 = 60_000;
/// An absence longer than this is looked at hour by hour first.
const LONG_MS: i64 = 3 * HOUR_MS;

/// What is remembered between two looks.
#[derive(Default)]
pub(super) struct Known {
    /// Up to where the prices of each open signal are known, UTC epoch ms.
    until_ms: HashMap<SignalKey, i64>,
    /// The last close that passed, of each symbol.
    closes: HashMap<Symbol, f64>,
}

/// The open signals of a symbol.
struct Watched {
    symbol: Symbol,
    signals: Vec<(SignalKey, Levels)>,
    /// Of the candles asked for.
    timeframe: Timeframe,
    /// Up to here all prices are known to all its signals, UTC epoch ms.
    known_ms: i64,
}

impl Watched {
    fn market(&self) -> Market {
        Market { symbol: self.symbol.clone(), timeframe: self.timeframe }
    }
}

impl SignalLoop {
    /// Closes what the candles missed and the prices of now hit, of the symbols with open signals. A symbol that fails is
    /// left as it is, and the others go on.
    pub(super) async fn watch(self: &Arc<Self>) -> Result<Done> {
        let watched = self.watched().await?;
        let symbols = watched.len();
        let (mut count, mut failed, mut current) = (0, Vec::new(), Vec::new());
        for (market, closed) in self.catch_all_up(watched).await? {
            match closed {
                Ok(closed) => {
                    count += closed;
                    current.push(market.symbol);
                }
                // A price of now must not close what an earlier one may have closed: it waits for its candles.
                Err(error) => failed.push(unfinished(market, &error)),
            }
        }
        if self.options.source.is_none() && !current.is_empty() {
            let mut ticks = Vec::new();
            let prices = self.exchange()?.prices(&current).await?;
            let time_ms = self.now_ms();
            for (symbol, price) in &prices {
                match price.clone().and_then(|price| self.same_asset(symbol, price)) {
                    Ok(price) => ticks.push(Tick { symbol, price, time_ms }),
                    Err(error) => {
                        failed.push(unfinished(Market { symbol: symbol.clone(), timeframe: minutes()? }, &error))
                    }
                }
            }
            count += self.on_prices_now(self.turn(), &ticks).await?.len();
        }
        Ok(Done {
            count,
            message: format!("{count} signals closed, {symbols} symbols with open signals watched"),
            failed,
        })
    }

    /// `price`, unless it lies so far from the last close that it is another asset's.
    fn same_asset(&self, symbol: &Symbol, price: f64) -> Result<f64> {
        match self.scheduling.watched.lock().closes.get(symbol) {
            Some(close) => check_step(symbol, *close, price).map(|()| price),
            None => Ok(price),
        }
    }

    /// The open signals by symbol.
    async fn watched(self: &Arc<Self>) -> Result<Vec<Watched>> {
        let this = self.clone();
        let open = threads::blocking(move || this.store()?.open_by_symbol()).await?;
        let own_candles = self.options.source.is_some();
        let known = &mut *self.scheduling.watched.lock();
        let mut still_open = HashMap::with_capacity(known.until_ms.len());
        known.closes.retain(|symbol, _| open.contains_key(symbol));
        let mut watched = Vec::with_capacity(open.len());
        for (symbol, open) in open {
            let (mut timeframe, mut earliest_ms) = (None, i64::MAX);
            for signal in &open {
                timeframe = Some(timeframe.map_or(signal.timeframe, |least: Timeframe| least.min(signal.timeframe)));
                let known_ms = known.until_ms.get(&signal.key).copied();
                known_ms.map(|known_ms| still_open.insert(signal.key, known_ms));
                earliest_ms = earliest_ms.min(known_ms.unwrap_or(signal.levels.since_ms));
            }
            let timeframe = match timeframe.filter(|_| own_candles) {
                Some(timeframe) => timeframe,
                None => minutes()?,
            };
            let signals = open.into_iter().map(|signal| (signal.key, signal.levels)).collect();
            watched.push(Watched { symbol, signals, timeframe, known_ms: earliest_ms });
        }
        known.until_ms = still_open;
        Ok(watched)
    }

    /// [`Self::catch_up`] of several symbols at once: one that is slow holds up no other.
    async fn catch_all_up(self: &Arc<Self>, watched: Vec<Watched>) -> Result<Vec<(Market, Result<usize>)>> {
        let (source, permits, mut tasks) = (self.source()?, Arc::new(Semaphore::new(PARALLEL)), JoinSet::new());
        for one in watched {
            let (this, source, permits) = (self.clone(), source.clone(), permits.clone());
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _permit = permits.acquire().await;
                (one.market(), this.catch_up(source.as_ref(), one).await)
            });
        }
        let mut results = Vec::with_capacity(tasks.len());
        while let Some(ended) = tasks.join_next().await {
            results.push(ended.map_err(|e| Error::Internal(e.to_string()))?);
        }
        self.closing.check()?;
        order::sort_by(&mut results, |(one, _), (other, _)| one.cmp(other));
        Ok(results)
    }

    /// Closes what candles hit since the prices were last known; returns how many signals.
    async fn catch_up(self: &Arc<Self>, source: &dyn CandleSource, one: Watched) -> Result<usize> {
        let step = one.timeframe.millis();
        let until_ms = self.now_ms() - self.now_ms().rem_euclid(MINUTE_MS);
        if one.known_ms + step > until_ms {
            return Ok(0);
        }
        let (market, known_ms) = (one.market(), one.known_ms);
        let mut missed = Missed { source, open: one.signals, exits: Vec::new(), known_ms, close: None };
        let looked = missed.look(&market, until_ms).await;
        // What was found before a failure stands.
        let count = self.close_missed(&missed.exits).await?;
        let mut known = self.scheduling.watched.lock();
        for (key, _) in &missed.open {
            let known_ms = known.until_ms.entry(*key).or_insert(i64::MIN);
            *known_ms = missed.known_ms.max(*known_ms);
        }
        missed.close.map(|close| known.closes.insert(market.symbol, close));
        looked.map(|()| count)
    }

    /// Closes what was hit; returns how many signals no other was quicker with.
    async fn close_missed(self: &Arc<Self>, exits: &[(SignalKey, Exit)]) -> Result<usize> {
        let (store, mut closings) = (self.store()?, Vec::with_capacity(exits.len()));
        for (key, exit) in exits {
            let Some(id) = store.id_of(*key)? else { continue };
            let closing = store.close_signal(&id, exit.outcome, Some(exit.price), None, exit.time_ms);
            closings.push((id, closing));
        }
        let mut closed = Vec::with_capacity(closings.len());
        // All are on their way: they share the waiting for the disk.
        for (id, closing) in closings {
            if closing.await? {
                closed.extend(store.get(&id)?.as_ref().and_then(ClosedSignal::of));
            }
        }
        self.after_closing(&closed);
        Ok(closed.len())
    }
}

fn minutes() -> Result<Timeframe> {
    Timeframe::parse("1m")
}

/// Candles that were missed, on their way past open signals.
struct Missed<'a> {
    source: &'a dyn CandleSource,
    open: Vec<(SignalKey, Levels)>,
    exits: Vec<(SignalKey, Exit)>,
    /// The end of the last candle that passed.
    known_ms: i64,
    /// Its close.
    close: Option<f64>,
}

impl Missed<'_> {
    async fn look(&mut self, fine: &Market, until_ms: i64) -> Result<()> {
        // The candle in which the prices were last known counts too: its end was not.
        let from_ms = self.known_ms - fine.timeframe.millis() + 1;
        if fine.timeframe != minutes()? || until_ms - from_ms <= LONG_MS {
            return self.pass(fine, from_ms, until_ms).await;
        }
        let (first_hour, last_hour) =
            (from_ms - from_ms.rem_euclid(HOUR_MS) + HOUR_MS, until_ms - until_ms.rem_euclid(HOUR_MS));
        self.pass(fine, from_ms, first_hour).await?;
        let coarse = Market { symbol: fine.symbol.clone(), timeframe: Timeframe::H1 };
        for hour in candles(self.source, &coarse, first_hour, last_hour).await? {
            let end_ms = hour.open_ms + HOUR_MS;
            let matters = |levels: &Levels| {
                levels.on_candle(&hour, HOUR_MS).is_some() || (hour.open_ms..end_ms).contains(&levels.since_ms)
            };
            if self.open.iter().any(|(_, levels)| matters(levels)) {
                self.pass(fine, hour.open_ms, end_ms).await?;
            }
            // Nothing is left of an hour whose minutes the exchange has; of one that it has not, this.
            self.meet(&hour, HOUR_MS);
        }
        self.pass(fine, last_hour, until_ms).await
    }

    async fn pass(&mut self, market: &Market, from_ms: i64, until_ms: i64) -> Result<()> {
        for candle in candles(self.source, market, from_ms, until_ms).await? {
            self.meet(&candle, market.timeframe.millis());
        }
        Ok(())
    }

    fn meet(&mut self, candle: &Candle, candle_ms: i64) {
        if candle.open_ms + candle_ms >= self.known_ms {
            (self.known_ms, self.close) = (candle.open_ms + candle_ms, Some(candle.close));
        }
        let exits = &mut self.exits;
        self.open.retain(|(key, levels)| match levels.on_candle(candle, candle_ms) {
            Some(exit) => {
                exits.push((*key, exit));
                false
            }
            None => true,
        });
    }
}

/// The closed candles that open in `[from_ms, until_ms)`, in order, of one asset. The one before them is asked for too: what
/// came after a halt may be another coin under the same ticker.
async fn candles(source: &dyn CandleSource, market: &Market, from_ms: i64, until_ms: i64) -> Result<Vec<Candle>> {
    if from_ms >= until_ms {
        return Ok(Vec::new());
    }
    let step = market.timeframe.millis();
    let mut found = source.candles(market, from_ms - step, until_ms).await?.candles;
    found.retain(|candle| candle.open_ms >= from_ms - step && candle.open_ms + step <= until_ms);
    order::sort_by_key(&mut found, |candle| candle.open_ms);
    for (index, candle) in found.iter().enumerate() {
        candle.check(index)?;
        if let Some(before) = index.checked_sub(1) {
            check_step(&market.symbol, found[before].close, candle.open)?;
        }
    }
    found.retain(|candle| candle.open_ms >= from_ms);
    Ok(found)
}

/// # Errors
/// [`Error::BadCandle`] when a price moved too far to be of the same asset.
fn check_step(symbol: &Symbol, close: f64, next: f64) -> Result<()> {
    match price_step(close, next) {
        None => Ok(()),
        Some(step) => {
            let problem = format!(
                "it steps {step:.0}-fold, from {close} to {next}: another coin under the same ticker, a redenomination, or a \
                 false price. The open signals stay open; close them by hand if it lasts"
            );
            Err(Error::BadCandle { place: format!("the price of {symbol}"), problem })
        }
    }
}
