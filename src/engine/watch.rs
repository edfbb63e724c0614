//! Watching open signals: the candles missed while nothing watched, then the price of now.
//!
//! Candles are looked at minute by minute, for they hold what happened between two looks, and they say when. A long absence
//! is first looked at hour by hour, and only the hours in which something may have closed minute by minute. With candles of
//! the user's own (`fetchCandles`) there are no prices to ask for, and the candles are of the signals' own timeframe.

use super::SignalLoop;
use super::tasks::Done;
use crate::barrier::{Exit, Levels};
use crate::error::{Error, Result};
use crate::feedback::{ClosedSignal, Tick};
use crate::market::{Candle, CandleSource};
use crate::signal::Signal;
use crate::symbol::{Market, Symbol, Timeframe};
use std::collections::BTreeMap;
use std::sync::Arc;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// An absence longer than this is looked at hour by hour first.
const LONG_MS: i64 = 3 * HOUR_MS;

/// The open signals of a symbol.
struct Watched {
    symbol: Symbol,
    signals: Vec<(String, Levels)>,
    /// Of the candles asked for.
    timeframe: Timeframe,
    /// Up to here all prices are known to all its signals, UTC epoch ms.
    known_ms: i64,
}

impl SignalLoop {
    /// Closes what the candles missed and the prices of now hit, of the symbols with open signals. A symbol that fails is
    /// left as it is, and the others go on.
    pub(super) async fn watch(self: &Arc<Self>) -> Result<Done> {
        let watched = self.watched().await?;
        let source = self.source()?;
        let symbols = watched.len();
        let (mut count, mut failed, mut current) = (0, Vec::new(), Vec::new());
        for one in watched {
            let symbol = one.symbol.clone();
            let market = Market { symbol: symbol.clone(), timeframe: one.timeframe };
            match self.catch_up(source.as_ref(), one).await {
                Ok(closed) => {
                    count += closed;
                    current.push(symbol);
                }
                // A price of now must not close what an earlier one may have closed: it waits for its candles.
                Err(error) => failed.push((market, error)),
            }
        }
        if self.options.source.is_none() && !current.is_empty() {
            let mut ticks = Vec::new();
            let prices = self.exchange()?.prices(&current).await?;
            let time_ms = self.now_ms();
            for (symbol, price) in &prices {
                match price {
                    Ok(price) => ticks.push(Tick { symbol, price: *price, time_ms }),
                    Err(error) => {
                        failed.push((Market { symbol: symbol.clone(), timeframe: minutes()? }, error.clone()))
                    }
                }
            }
            count += self.on_prices(self.turn(), &ticks).await?.len();
        }
        Ok(Done {
            count,
            message: format!("{count} signals closed, {symbols} symbols with open signals watched"),
            failed,
        })
    }

    /// The open signals by symbol.
    async fn watched(self: &Arc<Self>) -> Result<Vec<Watched>> {
        let this = self.clone();
        let open = tokio::task::spawn_blocking(move || this.store()?.open_signals(None)).await;
        let open: Vec<Signal> = open.map_err(|e| Error::Internal(e.to_string()))??;
        let own_candles = self.options.source.is_some();
        let mut known = self.scheduling.watched.lock();
        known.retain(|id, _| open.iter().any(|signal| signal.id == *id));
        let mut watched = BTreeMap::<Symbol, Watched>::new();
        for signal in open {
            let Some(levels) = signal.levels() else { continue };
            let timeframe = if own_candles { signal.timeframe } else { minutes()? };
            let known_ms = known.get(&signal.id).copied().unwrap_or(signal.timestamp_ms);
            let one = watched.entry(signal.symbol.clone()).or_insert_with(|| Watched {
                symbol: signal.symbol.clone(),
                signals: Vec::new(),
                timeframe,
                known_ms,
            });
            one.timeframe = one.timeframe.min(timeframe);
            one.known_ms = one.known_ms.min(known_ms);
            one.signals.push((signal.id, levels));
        }
        Ok(watched.into_values().collect())
    }

    /// Closes what candles hit since the prices were last known; returns how many signals.
    async fn catch_up(self: &Arc<Self>, source: &dyn CandleSource, one: Watched) -> Result<usize> {
        let step = one.timeframe.millis();
        let until_ms = self.now_ms() - self.now_ms().rem_euclid(MINUTE_MS);
        if one.known_ms + step > until_ms {
            return Ok(0);
        }
        let mut missed = Missed { source, open: one.signals.clone(), exits: Vec::new(), known_ms: one.known_ms };
        let looked = missed.look(&one, until_ms).await;
        // What was found before a failure stands.
        let count = missed.exits.len();
        for (id, exit) in &missed.exits {
            self.close_missed(id, exit).await?;
        }
        let mut known = self.scheduling.watched.lock();
        for (id, _) in &missed.open {
            let before = known.get(id).copied().unwrap_or(i64::MIN);
            known.insert(id.clone(), before.max(missed.known_ms));
        }
        looked.map(|()| count)
    }

    async fn close_missed(self: &Arc<Self>, id: &str, exit: &Exit) -> Result<()> {
        let store = self.store()?;
        // `false`: another process was first.
        if store.close_signal(id, exit.outcome, Some(exit.price), None, exit.time_ms).await? {
            let closed = store.get(id)?.as_ref().and_then(ClosedSignal::of);
            self.after_closing(closed.as_slice());
        }
        Ok(())
    }
}

fn minutes() -> Result<Timeframe> {
    Timeframe::parse("1m")
}

/// Candles that were missed, on their way past open signals.
struct Missed<'a> {
    source: &'a dyn CandleSource,
    open: Vec<(String, Levels)>,
    exits: Vec<(String, Exit)>,
    /// The end of the last candle that passed.
    known_ms: i64,
}

impl Missed<'_> {
    async fn look(&mut self, one: &Watched, until_ms: i64) -> Result<()> {
        let fine = Market { symbol: one.symbol.clone(), timeframe: one.timeframe };
        // The candle in which the prices were last known counts too: its end was not.
        let from_ms = one.known_ms - fine.timeframe.millis() + 1;
        if fine.timeframe != minutes()? || until_ms - from_ms <= LONG_MS {
            return self.pass(&fine, from_ms, until_ms).await;
        }
        let (first_hour, last_hour) =
            (from_ms - from_ms.rem_euclid(HOUR_MS) + HOUR_MS, until_ms - until_ms.rem_euclid(HOUR_MS));
        self.pass(&fine, from_ms, first_hour).await?;
        let coarse = Market { symbol: one.symbol.clone(), timeframe: Timeframe::H1 };
        for hour in candles(self.source, &coarse, first_hour, last_hour).await? {
            let end_ms = hour.open_ms + HOUR_MS;
            let matters = |levels: &Levels| {
                levels.on_candle(&hour, HOUR_MS).is_some() || (hour.open_ms..end_ms).contains(&levels.since_ms)
            };
            if self.open.iter().any(|(_, levels)| matters(levels)) {
                self.pass(&fine, hour.open_ms, end_ms).await?;
            }
            // Nothing is left of an hour whose minutes the exchange has; of one that it has not, this.
            self.meet(&hour, HOUR_MS);
        }
        self.pass(&fine, last_hour, until_ms).await
    }

    async fn pass(&mut self, market: &Market, from_ms: i64, until_ms: i64) -> Result<()> {
        for candle in candles(self.source, market, from_ms, until_ms).await? {
            self.meet(&candle, market.timeframe.millis());
        }
        Ok(())
    }

    fn meet(&mut self, candle: &Candle, candle_ms: i64) {
        self.known_ms = self.known_ms.max(candle.open_ms + candle_ms);
        let exits = &mut self.exits;
        self.open.retain(|(id, levels)| match levels.on_candle(candle, candle_ms) {
            Some(exit) => {
                exits.push((id.clone(), exit));
                false
            }
            None => true,
        });
    }
}

/// The closed candles that open in `[from_ms, until_ms)`, in order.
async fn candles(source: &dyn CandleSource, market: &Market, from_ms: i64, until_ms: i64) -> Result<Vec<Candle>> {
    if from_ms >= until_ms {
        return Ok(Vec::new());
    }
    let step = market.timeframe.millis();
    let mut found = source.candles(market, from_ms, until_ms).await?.candles;
    found.retain(|candle| candle.open_ms >= from_ms && candle.open_ms + step <= until_ms);
    found.sort_by_key(|candle| candle.open_ms);
    found.into_iter().enumerate().map(|(index, candle)| candle.check(index)).collect()
}
