//! Watches open signals: checks first the candles since the last look, then the current price.
//!
//! Candles show what happened between two looks, and when. They are read minute by minute. After a long absence they
//! are first read hour by hour, and minute by minute only for hours in which a signal may have closed. Candles from the
//! user's own source (`fetchCandles`) have the timeframe of the signals, unless `watch_timeframe` says otherwise. Its
//! prices come from the user as well (`fetchPrices`); without them only candles close signals.
//!
//! A price counts only while candles are recent, because the price of a symbol that is no longer traded never changes
//! again. If candles are missing before the first one beyond a level, the signal closes as unknown
//! ([`Levels::on_candle_after`]).

use super::events::Event;
use super::fetch::PARALLEL;
use super::missed_candles::{Happened, MissedCandles, candles, check_step, minutes};
use super::streamed::{Coverage, Streamed};
use super::tasks::{TaskResult, unfinished};
use super::{CandleFetcher, Events, Lifetime, PerformanceChecks, Settings, Signals};
use domain::barrier::{Levels, Outcome, Trade, Trading};
use domain::error::{Error, Result};
use domain::signal::SignalKey;
use domain::symbol::{Market, Symbol, Timeframe};
use domain::threads;
use domain::time::format_iso;
use exchange::stream::PriceStream;
use exchange::{CandleSource, PriceSource};
use feedback::{ClosedSignal, OpenSignal, Reach, Tick};
use parking_lot::Mutex;
use scheduler::Unfinished;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub(super) const MINUTE_MS: i64 = 60_000;
/// If the last minute's candle is older than this, the price is not current. A longer candle may be older by what it is longer.
const RECENT_MS: i64 = 10 * MINUTE_MS;

/// What the watch remembers between two looks.
#[derive(Default)]
pub(super) struct WatchMemory {
    /// The time up to which each open signal was checked against prices, UTC epoch ms.
    pub(super) until_ms: HashMap<SignalKey, i64>,
    /// The last candle that was checked, by symbol, or the last streamed price.
    pub(super) last: HashMap<Symbol, LastCandle>,
    /// Symbols without recent candles for which a warning was emitted.
    silent: BTreeSet<Symbol>,
    /// What was streamed.
    pub(super) streamed: Streamed,
}

/// The last candle of a symbol.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastCandle {
    pub(super) close: f64,
    pub(super) end_ms: i64,
}

/// A symbol with open signals.
pub(super) struct WatchedSymbol {
    symbol: Symbol,
    signals: Vec<WatchedSignal>,
    /// The timeframe of the candles to request.
    timeframe: Timeframe,
    /// All signals of the symbol were checked against prices up to this time, UTC epoch ms.
    known_ms: i64,
}

/// An open signal.
pub(super) struct WatchedSignal {
    pub key: SignalKey,
    pub levels: Levels,
    /// Where it stands, if it is a managed signal.
    pub trade: Option<Box<Trade>>,
    /// When the managed signal was entered, UTC epoch ms, and how far the price went in its entry, if this process saw that.
    pub entry: Option<(i64, Reach)>,
    /// The signal was checked against prices up to this time, UTC epoch ms.
    pub known_ms: i64,
}

/// How many signals closed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CloseCount {
    count: usize,
    /// How many of them as unknown.
    unknown: usize,
}

impl WatchedSymbol {
    fn market(&self) -> Market {
        Market { symbol: self.symbol.clone(), timeframe: self.timeframe }
    }
}

/// Watches open signals: closes those that missed candles or current prices hit.
pub(super) struct SignalWatch {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) fetcher: Arc<CandleFetcher>,
    pub(super) signals: Arc<Signals>,
    checks: Arc<PerformanceChecks>,
    pub(super) memory: Mutex<WatchMemory>,
    /// The stream of prices, while this process has one.
    pub(super) stream: Mutex<Option<Arc<PriceStream>>>,
}

impl SignalWatch {
    pub fn new(
        settings: Arc<Settings>,
        events: Arc<Events>,
        lifetime: Arc<Lifetime>,
        fetcher: Arc<CandleFetcher>,
        signals: Arc<Signals>,
        checks: Arc<PerformanceChecks>,
    ) -> Self {
        Self {
            settings,
            events,
            lifetime,
            fetcher,
            signals,
            checks,
            memory: Mutex::default(),
            stream: Mutex::default(),
        }
    }

    /// Closes open signals that missed candles or current prices hit. If a symbol fails, it stays as it is and the
    /// others go on. `only` names the symbols to look at; `None` means all.
    pub async fn look(self: &Arc<Self>, only: Option<&[Symbol]>) -> Result<TaskResult> {
        let watched = self.watched(only).await?;
        let symbols = watched.len();
        let (mut closed, mut failed, mut current) = (CloseCount::default(), Vec::new(), Vec::new());
        for (market, caught_up) in self.catch_all_up(watched).await? {
            match caught_up {
                Ok(missed) => {
                    closed.count += missed.count;
                    closed.unknown += missed.unknown;
                    current.push(market);
                }
                // The current price must not close a signal that an earlier price may have closed, so the symbol waits
                // for its candles.
                Err(error) => failed.push(unfinished(market, &error)),
            }
        }
        let (mut silent, mut streamed) = (Vec::new(), 0);
        if let Some(prices) = self.fetcher.prices()? {
            let with_all = current.len();
            current.retain(|market| !self.is_streamed(&market.symbol));
            streamed = with_all - current.len();
            let (live, quiet): (Vec<_>, Vec<_>) = current.into_iter().partition(|market| self.is_live(market));
            silent = quiet.into_iter().map(|market| market.symbol).collect();
            // A market of the user's own source may be closed.
            if !self.fetcher.has_own_source() {
                self.tell_of_silent(&silent);
            }
            closed.count += self.look_at_prices(prices.as_ref(), &live, &mut failed).await?;
        }
        let CloseCount { count, unknown } = closed;
        let mut message = format!("{count} signals closed, {symbols} symbols with open signals watched");
        if unknown > 0 {
            message.push_str(&format!("; {unknown} closed as UNKNOWN"));
        }
        if streamed > 0 {
            message.push_str(&format!("; prices of {streamed} symbols by stream"));
        }
        if !silent.is_empty() {
            let names: Vec<&str> = silent.iter().map(Symbol::as_str).collect();
            message.push_str(&format!("; without current prices: {}", names.join(", ")));
        }
        Ok(TaskResult { count, message, failed })
    }

    /// Closes the signals that current prices hit. Returns how many closed.
    async fn look_at_prices(
        self: &Arc<Self>,
        source: &dyn PriceSource,
        markets: &[Market],
        failed: &mut Vec<Unfinished>,
    ) -> Result<usize> {
        if markets.is_empty() {
            return Ok(0);
        }
        let mut ticks = Vec::new();
        let symbols: Vec<Symbol> = markets.iter().map(|market| market.symbol.clone()).collect();
        let prices = self.lifetime.closing().unless(source.prices(&symbols)).await?;
        let time_ms = self.settings.now_ms();
        for ((symbol, price), market) in prices.iter().zip(markets) {
            match price.clone().and_then(|price| self.same_asset(symbol, price)) {
                Ok(price) => ticks.push(Tick { symbol, price, time_ms }),
                Err(error) => failed.push(unfinished(market.clone(), &error)),
            }
        }
        Ok(self.signals.on_prices_now(self.signals.turn(), &ticks).await?.len())
    }

    /// Whether the price of a symbol is current, by the candles of this market.
    fn is_live(&self, market: &Market) -> bool {
        let recent_ms = self.settings.now_ms() - recent_of(market);
        self.memory.lock().last.get(&market.symbol).is_some_and(|last| last.end_ms > recent_ms)
    }

    /// Reports symbols without current prices, each once until it has current prices again.
    fn tell_of_silent(&self, silent: &[Symbol]) {
        let news: Vec<(Symbol, Option<LastCandle>)> = {
            let known = &mut *self.memory.lock();
            known.silent.retain(|symbol| silent.contains(symbol));
            let new: Vec<&Symbol> = silent.iter().filter(|symbol| known.silent.insert((*symbol).clone())).collect();
            new.into_iter().map(|symbol| (symbol.clone(), known.last.get(symbol).copied())).collect()
        };
        for (symbol, last) in news {
            let since = last.map_or_else(String::new, |last| format!(" since {}", format_iso(last.end_ms)));
            self.events.emit(&Event::Warning(format!(
                "{symbol} has had no candle{since}, so its price closes no signal. If it is not traded any more, close its open \
                 signals: updateOutcome({{ signalId, outcome: 'UNKNOWN' }})"
            )));
        }
    }

    /// Returns `price`. Fails if it is so far from the last close that it must belong to another asset.
    pub(super) fn same_asset(&self, symbol: &Symbol, price: f64) -> Result<f64> {
        match self.memory.lock().last.get(symbol) {
            Some(last) => check_step(symbol, last.close, price).map(|()| price),
            None => Ok(price),
        }
    }

    /// The open signals, grouped by symbol.
    pub(super) async fn watched(self: &Arc<Self>, only: Option<&[Symbol]>) -> Result<Vec<WatchedSymbol>> {
        let this = self.clone();
        let open = threads::blocking(move || this.signals.store().open()?.open_by_symbol()).await?;
        let config = self.settings.config();
        let own_candles = self.fetcher.has_own_source();
        let WatchMemory { until_ms: known, last, streamed, .. } = &mut *self.memory.lock();
        let mut still_open = HashMap::with_capacity(known.len());
        last.retain(|symbol, _| open.contains_key(symbol));
        let mut watched = Vec::with_capacity(open.len());
        let all: BTreeSet<Symbol> = open.keys().cloned().collect();
        for (symbol, open) in open {
            let stretches = streamed.of(&symbol);
            let (mut timeframe, mut earliest_ms) = (None, i64::MAX);
            for signal in &open {
                timeframe = Some(timeframe.map_or(signal.timeframe, |least: Timeframe| least.min(signal.timeframe)));
                let (given_ms, checked_ms) = (signal.levels.since_ms, known.get(&signal.key).copied());
                let extended = |known_ms| stretches.map_or(known_ms, |one: &Coverage| one.extend(known_ms));
                let known_ms = extended(checked_ms.unwrap_or(given_ms));
                if checked_ms.is_some() || known_ms > given_ms {
                    still_open.insert(signal.key, known_ms);
                }
                earliest_ms = earliest_ms.min(known_ms);
            }
            if only.is_some_and(|only| !only.contains(&symbol)) {
                continue;
            }
            let timeframe = match config.watch_timeframe.or(timeframe.filter(|_| own_candles)) {
                Some(timeframe) => timeframe,
                None => minutes()?,
            };
            let signal = |open: OpenSignal| WatchedSignal {
                key: open.key,
                levels: open.levels,
                trade: open.trade,
                entry: open.entry,
                known_ms: still_open.get(&open.key).copied().unwrap_or(open.levels.since_ms),
            };
            let signals = open.into_iter().map(signal).collect();
            watched.push(WatchedSymbol { symbol, signals, timeframe, known_ms: earliest_ms });
        }
        *known = still_open;
        streamed.forget_before(|symbol| all.contains(symbol));
        Ok(watched)
    }

    /// Calls [`Self::catch_up`] for several symbols at once, so that a slow one does not delay the others.
    pub(super) async fn catch_all_up(
        self: &Arc<Self>,
        watched: Vec<WatchedSymbol>,
    ) -> Result<Vec<(Market, Result<CloseCount>)>> {
        let (source, permits, mut tasks) = (self.fetcher.source()?, Arc::new(Semaphore::new(PARALLEL)), JoinSet::new());
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
        self.lifetime.closing().check()?;
        results.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(results)
    }

    /// Closes the signals of a symbol that candles have hit since the last look.
    async fn catch_up(self: &Arc<Self>, source: &dyn CandleSource, one: WatchedSymbol) -> Result<CloseCount> {
        let step = one.timeframe.millis();
        let until_ms = self.settings.now_ms() - self.settings.now_ms().rem_euclid(MINUTE_MS);
        let (market, known_ms) = (one.market(), one.known_ms);
        if known_ms + step > until_ms {
            // New signals have missed nothing. It only matters whether the current price is up to date.
            if self.fetcher.prices()?.is_some() && !self.is_live(&market) {
                // The last candle that may count opens that long before now.
                let from_ms = until_ms - recent_of(&market) + MINUTE_MS - step;
                let found = candles(source, &market, from_ms, until_ms).await?;
                self.know_last(
                    &market,
                    found.last().map(|last| LastCandle { close: last.close, end_ms: last.open_ms + step }),
                );
            }
            return Ok(CloseCount::default());
        }
        let trading = if self.fetcher.has_own_source() { self.own_trading(&market).await? } else { Trading::Always };
        let store = self.signals.store().open()?;
        let hours = if let Trading::Sessions(hours) = &trading { Some(hours.clone()) } else { None };
        hours.iter().for_each(|hours| store.trade_in(&market.symbol, hours));
        let mut seen = Some(store.extremes(&market.symbol)).filter(|seen| seen.covers(known_ms)).unwrap_or_default();
        hours.into_iter().for_each(|hours| seen.trade_in(hours));
        let mut missed = MissedCandles {
            source,
            trading,
            open: one.signals,
            exits: Vec::new(),
            events: HashMap::new(),
            seen,
            met: Vec::new(),
            known_ms,
            last: None,
        };
        let looked = missed.look(&market, until_ms).await;
        missed.tell_of_trails();
        // What was found before a failure is kept.
        let closed = self.close_missed(&market.symbol, &missed).await?;
        store.reach(&market.symbol, &missed.met);
        self.know_last(&market, missed.last);
        let mut known = self.memory.lock();
        for waiting in &missed.open {
            let known_ms = known.until_ms.entry(waiting.key).or_insert(i64::MIN);
            *known_ms = missed.known_ms.max(*known_ms);
        }
        looked.map(|()| closed)
    }

    /// The trading hours of a market whose candles come from the user's own source, learned from its stored candles.
    /// Without stored candles, the market is assumed to have closing hours.
    async fn own_trading(self: &Arc<Self>, market: &Market) -> Result<Trading> {
        let (this, market) = (self.clone(), market.clone());
        let recent = threads::blocking(move || Ok(this.fetcher.candles().recent(&market).ok().flatten())).await?;
        let calendar = recent.map(|recent| recent.calendar().clone()).filter(|calendar| calendar.closes());
        Ok(calendar.map_or(Trading::MayClose, Trading::Sessions))
    }

    fn know_last(&self, market: &Market, last: Option<LastCandle>) {
        last.map(|last| self.memory.lock().last.insert(market.symbol.clone(), last));
    }

    /// Stores what candles did to signals, and reports those that closed as unknown.
    async fn close_missed(self: &Arc<Self>, symbol: &Symbol, missed: &MissedCandles<'_>) -> Result<CloseCount> {
        let MissedCandles { exits, events, .. } = missed;
        let store = self.signals.store().open()?;
        let happened = events.iter().map(|(key, happened)| {
            let Happened { before, events, entry, excursion } = happened.clone();
            store.happen(*key, before, events, entry, excursion)
        });
        let happened: Vec<_> = happened.collect();
        let exited = exits.iter().map(|(key, levels, exit, excursion)| store.exit(*key, levels, *exit, *excursion));
        let exited: Vec<_> = exited.collect();
        let mut closed: Vec<ClosedSignal> = Vec::with_capacity(exited.len());
        // All are sent before the first is awaited, so that they share one write.
        for one in exited {
            closed.extend(one.await?);
        }
        for one in happened {
            closed.extend(one.await?);
        }
        self.checks.after_closing(&closed);
        let unknown: Vec<&str> =
            closed.iter().filter(|one| one.outcome == Outcome::Unknown).map(|one| one.id.as_str()).collect();
        if let Some(first) = unknown.first() {
            self.events.emit(&Event::Warning(format!(
                "{symbol}: {} closed as UNKNOWN: {first}{}. Candles are missing before the first one beyond the levels or after the \
                 expiry, so nobody knows as what it ended. It counts neither as a success nor as a failure",
                if unknown.len() == 1 { "a signal".to_owned() } else { format!("{} signals", unknown.len()) },
                if unknown.len() == 1 { "" } else { " and others" },
            )));
        }
        Ok(CloseCount { count: closed.len(), unknown: unknown.len() })
    }
}

/// How old the last candle of a market may be.
fn recent_of(market: &Market) -> i64 {
    RECENT_MS + market.timeframe.millis() - MINUTE_MS
}
