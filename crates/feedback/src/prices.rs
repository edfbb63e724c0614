//! Prices and candles: finding the signals that they close, and closing them.

use super::ignored::IgnoredPrices;
use super::index::{Effect, Extremes, Hit, Reach, When};
use super::journal::Asked;
use super::state::State;
use super::writer::Change;
use super::{ClosedSignal, FeedbackStore, Pending, check_price, check_time};
use domain::barrier::{Event, Exit, Levels, Outcome, Trade};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::signal::{Excursion, SignalKey};
use domain::symbol::Symbol;
use domain::time::MIN_MILLIS;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One trade price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick<'a> {
    /// The pair.
    pub symbol: &'a Symbol,
    /// Finite and above 0.
    pub price: f64,
    /// UTC epoch ms.
    pub time_ms: i64,
}

impl FeedbackStore {
    /// Closes and stores all signals that a price hits; returns them in order of recording.
    ///
    /// A price older than the newest one that this process has seen of the symbol is ignored.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an impossible price or time; [`Error::Storage`] if the closings could not be written. Then
    /// the signals stay open, and the next price that hits them closes them.
    pub async fn on_price(&self, symbol: &Symbol, price: f64, time_ms: i64) -> Result<Vec<ClosedSignal>> {
        self.on_prices(&[Tick { symbol, price, time_ms }]).await
    }

    /// `true` if a price certainly closes nothing; it then counts as seen. `false` if it may close something, or if finding out
    /// would block: then call [`FeedbackStore::on_price`]. Never blocks, so it may run on an event loop; takes about two
    /// microseconds.
    pub fn closes_nothing(&self, symbol: &Symbol, price: f64, time_ms: i64) -> bool {
        self.misses(symbol, price, When::At(time_ms))
    }

    /// [`FeedbackStore::closes_nothing`] for a current price, see [`FeedbackStore::on_prices_now`].
    pub fn closes_nothing_now(&self, symbol: &Symbol, price: f64, now_ms: i64) -> bool {
        self.misses(symbol, price, When::Now(now_ms))
    }

    fn misses(&self, symbol: &Symbol, price: f64, when: When) -> bool {
        if self.inner.jobs.try_lock().is_none_or(|jobs| jobs.is_none()) {
            return false;
        }
        self.inner.journal.current_state().is_some_and(|mut state| {
            let number = state.symbol_number(symbol);
            number.is_none_or(|number| state.index.misses(number, price, when))
        })
    }

    /// [`FeedbackStore::on_price`] for many prices, in order, in one write. All are validated before the first one counts.
    ///
    /// # Errors
    /// As [`FeedbackStore::on_price`].
    pub async fn on_prices(&self, ticks: &[Tick<'_>]) -> Result<Vec<ClosedSignal>> {
        self.close_hit(ticks, When::At).await
    }

    /// [`FeedbackStore::on_prices`] for current prices, whose `time_ms` is from this machine's clock. That clock may be set back,
    /// although the prices are new. So each counts as no earlier than anything seen of its symbol, and no earlier than the
    /// signals that it closes.
    ///
    /// # Errors
    /// As [`FeedbackStore::on_price`].
    pub async fn on_prices_now(&self, ticks: &[Tick<'_>]) -> Result<Vec<ClosedSignal>> {
        self.close_hit(ticks, When::Now).await
    }

    async fn close_hit(&self, ticks: &[Tick<'_>], when: impl Fn(i64) -> When) -> Result<Vec<ClosedSignal>> {
        for tick in ticks {
            check_price("price", tick.price)?;
            check_time(tick.time_ms)?;
        }
        let pending = self.close_hits(|state, hits| {
            for tick in ticks {
                // Symbols without signals are not stored, since a feed may have any number of them.
                if let Some(symbol) = state.symbol_number(tick.symbol) {
                    state.index.on_tick(symbol, tick.price, when(tick.time_ms), hits);
                }
            }
        })?;
        pending.closed().await
    }

    /// New reports of prices and candles that were ignored because a later time had been seen of their symbol: one when this
    /// begins, and one when prices count again.
    pub fn ignored_news(&self) -> Vec<IgnoredPrices> {
        if !self.inner.journal.state().index.has_news() {
            return Vec::new();
        }
        self.inner.journal.state_mut().take_ignored_news()
    }

    /// The number of such ignored prices and candles by symbol, since this process opened the store.
    pub fn ignored_prices(&self) -> BTreeMap<Symbol, u64> {
        self.inner.journal.state().ignored_prices()
    }

    /// Closes and stores all signals that a closed candle of `candle_ms` milliseconds hits with its high or low; returns them in
    /// order of recording. [`domain::barrier::Levels::on_candle`] decides the price.
    ///
    /// A candle that ends before the newest one that this process has seen of the symbol is ignored. One that ends before the
    /// newest *price* is not, since candles make up for missed prices.
    ///
    /// # Errors
    /// [`Error::InvalidCandle`]; otherwise as [`FeedbackStore::on_price`].
    pub async fn on_candle(&self, symbol: &Symbol, candle: &Candle, candle_ms: i64) -> Result<Vec<ClosedSignal>> {
        candle.check(0)?;
        check_time(candle.open_ms)?;
        if !(1..=MIN_MILLIS).contains(&candle_ms) {
            return Err(Error::argument("timeframe", "must be the length of a candle in milliseconds", candle_ms));
        }
        let pending = self.close_hits(|state, hits| {
            if let Some(symbol) = state.symbol_number(symbol) {
                state.index.on_candle(symbol, candle, candle_ms, hits);
            }
        })?;
        pending.closed().await
    }

    /// Stores events that candles made of a managed signal, if it still stands as it stood before them, and returns it if they
    /// closed it. `entry` and `excursion` are of [`super::Cause::passed`]. Writing begins at once, even if the future is not polled.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Closed`].
    pub fn happen(
        &self,
        key: SignalKey,
        before: Box<Trade>,
        events: Vec<Event>,
        entry: Option<(i64, Reach)>,
        excursion: Option<Excursion>,
    ) -> impl Future<Output = Result<Vec<ClosedSignal>>> + Send + use<> {
        if entry.is_some() {
            let mut state = self.inner.journal.state_mut();
            state.slot(key).into_iter().for_each(|slot| state.index.enter(slot, entry));
        }
        self.take_in(Hit { key, effect: Effect::Happens { before, events, excursion } })
    }

    /// Closes a plain signal that candles closed, unless it became a managed one meanwhile, and returns it. `excursion` is of
    /// [`super::Cause::excursion`]. Writing begins at once, even if the future is not polled.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Closed`].
    pub fn exit(
        &self,
        key: SignalKey,
        levels: &Levels,
        exit: Exit,
        excursion: Option<Excursion>,
    ) -> impl Future<Output = Result<Vec<ClosedSignal>>> + Send + use<> {
        let profit_percent = if exit.outcome == Outcome::Unknown { 0.0 } else { levels.profit_percent(exit.price) };
        self.take_in(Hit { key, effect: Effect::Closes { exit, profit_percent, cause: None, excursion } })
    }

    fn take_in(&self, hit: Hit) -> impl Future<Output = Result<Vec<ClosedSignal>>> + Send + use<> {
        let sent = self.send(vec![Change::Hit(hit)]);
        async move { sent?.closed().await }
    }

    /// How far the price of a symbol went, as far as this process saw it.
    pub fn extremes(&self, symbol: &Symbol) -> Extremes {
        let state = self.inner.journal.state();
        let extremes = state.symbol_number(symbol).and_then(|number| state.index.extremes(number));
        extremes.cloned().unwrap_or_default()
    }

    /// Takes in when the market of a recorded symbol trades. Time in which it is closed is then no break in what is known of its
    /// prices ([`Extremes`]).
    pub fn trade_in(&self, symbol: &Symbol, hours: &Arc<Calendar>) {
        let mut state = self.inner.journal.state_mut();
        if let Some(number) = state.symbol_number(symbol) {
            state.index.trade_in(number, hours.clone());
        }
    }

    /// Takes in how far closed candles went whose hits are found elsewhere: candles with their lengths in milliseconds, sorted by
    /// time.
    pub fn reach(&self, symbol: &Symbol, candles: &[(Candle, i64)]) {
        let mut state = self.inner.journal.state_mut();
        if let Some(number) = state.symbol_number(symbol) {
            state.index.reach(number, candles);
        }
    }

    /// Finds the signals that prices hit, and queues their closings in one step. A hit signal is hidden from further prices until
    /// the writer has closed it or put it back.
    fn close_hits(&self, find: impl FnOnce(&mut State, &mut Vec<Hit>)) -> Result<Pending> {
        self.check_open()?;
        let asked = Asked::now();
        self.inner.journal.refresh_for_price()?;
        let mut hits = Vec::new();
        find(&mut self.inner.journal.state_mut(), &mut hits);
        if hits.is_empty() {
            return Ok(Pending(None));
        }
        self.send_since(asked, hits.into_iter().map(Change::Hit).collect())
    }
}
