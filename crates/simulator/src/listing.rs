//! A symbol of the simulated exchange: its prices, and until when it trades.

use crate::price_walk::PriceWalk;
use domain::candle::Candle;
use domain::symbol::{Symbol, Timeframe};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

/// A symbol that trades, or did until some time.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) symbol: Symbol,
    walk: Mutex<PriceWalk>,
    /// When trading ends, UTC epoch ms; far in the future while unknown.
    ends_ms: AtomicI64,
    /// The price of the last trade that its owner made, which replaces that of the walk.
    traded: Mutex<Option<f64>>,
}

impl Listing {
    pub(super) fn new(symbol: Symbol, walk: PriceWalk) -> Self {
        Self { symbol, walk: Mutex::new(walk), ends_ms: AtomicI64::new(i64::MAX), traded: Mutex::default() }
    }

    pub(super) fn delist(&self, at_ms: i64) {
        self.ends_ms.store(at_ms, Ordering::Release);
    }

    fn ends_ms(&self) -> i64 {
        self.ends_ms.load(Ordering::Acquire)
    }

    /// Binance's status for it.
    pub(super) fn status(&self, now_ms: i64) -> &'static str {
        if now_ms < self.ends_ms() { "TRADING" } else { "BREAK" }
    }

    /// The last time at which it trades, as far as known.
    pub(super) fn last_ms(&self, now_ms: i64) -> i64 {
        now_ms.min(self.ends_ms())
    }

    /// The price of the last trade.
    pub(super) fn price(&self, now_ms: i64) -> f64 {
        let traded = *self.traded.lock();
        traded.unwrap_or_else(|| self.walk.lock().price(self.last_ms(now_ms)))
    }

    pub(super) fn trade(&self, price: f64) {
        *self.traded.lock() = Some(price);
    }

    /// [`PriceWalk::candles`] up to the end of trading.
    pub(super) fn candles(
        &self,
        timeframe: Timeframe,
        from_ms: i64,
        until_ms: i64,
        now_ms: i64,
        limit: usize,
    ) -> Vec<Candle> {
        let until_ms = until_ms.min(self.ends_ms());
        self.walk.lock().candles(timeframe, from_ms, until_ms, self.last_ms(now_ms), limit)
    }

    /// The trades in `[from_ms, until_ms)`, by whole minutes, as one candle; `None` without trades.
    pub(super) fn between(&self, from_ms: i64, until_ms: i64) -> Option<Candle> {
        self.walk.lock().between(from_ms, self.last_ms(until_ms))
    }
}
