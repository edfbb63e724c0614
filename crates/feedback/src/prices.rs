//! Prices and candles: finding what they hit, and having it closed.

use super::ignored::IgnoredPrices;
use super::index::{Hit, When};
use super::journal::Asked;
use super::state::State;
use super::writer::Change;
use super::{ClosedSignal, FeedbackStore, Pending, check_price, check_time};
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::Symbol;
use domain::time::MIN_MILLIS;
use std::collections::BTreeMap;

/// One trade price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick<'a> {
    /// The pair.
    pub symbol: &'a Symbol,
    /// Finite and above 0.
    pub price: f64,
    /// When, UTC epoch ms.
    pub time_ms: i64,
}

impl FeedbackStore {
    /// Closes and stores all that a price hits; returns them in order of recording.
    ///
    /// A price older than the newest that this process has seen of the symbol is ignored.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an impossible price or time; [`Error::Storage`] when the closings could not be
    /// written: then the signals stay open, and the next price that hits them closes them.
    pub async fn on_price(&self, symbol: &Symbol, price: f64, time_ms: i64) -> Result<Vec<ClosedSignal>> {
        self.on_prices(&[Tick { symbol, price, time_ms }]).await
    }

    /// `true` when it can be told at once that a price closes nothing; it then counts as seen. `false` when it may close
    /// something, or when telling would mean to wait for anyone: then ask [`FeedbackStore::on_price`]. Never blocks, so
    /// that a backend may ask on its event loop; costs about two microseconds.
    pub fn closes_nothing(&self, symbol: &Symbol, price: f64, time_ms: i64) -> bool {
        self.misses(symbol, price, When::At(time_ms))
    }

    /// [`FeedbackStore::closes_nothing`] for a price of now, as [`FeedbackStore::on_prices_now`] takes it.
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

    /// [`FeedbackStore::on_price`] for many prices, in order, in one write. All prices are checked before the first counts.
    ///
    /// # Errors
    /// As [`FeedbackStore::on_price`].
    pub async fn on_prices(&self, ticks: &[Tick<'_>]) -> Result<Vec<ClosedSignal>> {
        self.close_hit(ticks, When::At).await
    }

    /// [`FeedbackStore::on_prices`] for prices of now, whose `time_ms` is what this machine's clock shows. A clock may be set
    /// back; what comes now is not from before all the same. So each counts as at least as late as what was seen of its
    /// symbol, and as the signals that it closes.
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
                // A symbol without signals is not kept: a feed may name any number of them.
                if let Some(symbol) = state.symbol_number(tick.symbol) {
                    state.index.on_tick(symbol, tick.price, when(tick.time_ms), hits);
                }
            }
        })?;
        pending.closed().await
    }

    /// What is to be told of prices and candles that were ignored, since one of a later time had been seen of their symbol:
    /// once when that begins, and once when prices count again.
    pub fn ignored_news(&self) -> Vec<IgnoredPrices> {
        if !self.inner.journal.state().index.has_news() {
            return Vec::new();
        }
        self.inner.journal.state_mut().take_ignored_news()
    }

    /// How many prices and candles were ignored so, of each symbol of which some were, in this process since it opened the
    /// store.
    pub fn ignored_prices(&self) -> BTreeMap<Symbol, u64> {
        self.inner.journal.state().ignored_prices()
    }

    /// Closes and stores all that a closed candle of `candle_ms` milliseconds hits, by its high and low; returns them in
    /// order of recording. [`domain::barrier::Levels::on_candle`] says at which price.
    ///
    /// A candle that ends before the newest that this process has seen of the symbol is ignored; one that ends before the
    /// newest *price* is not, because candles make up for prices that were missed.
    ///
    /// # Errors
    /// [`Error::InvalidCandle`]; else as [`FeedbackStore::on_price`].
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

    /// Finds what prices hit and sends it off to be closed. Nothing lies between: what is hit is held back from further
    /// prices until the writer has either closed it or put it back.
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
