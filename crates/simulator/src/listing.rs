//! A symbol of the simulated exchange: its prices, and whether it is still traded.

use crate::path::Path;
use domain::candle::Candle;
use domain::symbol::{Symbol, Timeframe};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

/// A symbol that is traded, or was until a time.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) symbol: Symbol,
    path: Mutex<Path>,
    /// When its trade ends, UTC epoch ms; far away while that is not known.
    ends_ms: AtomicI64,
}

impl Listing {
    pub(super) fn new(symbol: Symbol, path: Path) -> Self {
        Self { symbol, path: Mutex::new(path), ends_ms: AtomicI64::new(i64::MAX) }
    }

    pub(super) fn delist(&self, at_ms: i64) {
        self.ends_ms.store(at_ms, Ordering::Release);
    }

    fn ends_ms(&self) -> i64 {
        self.ends_ms.load(Ordering::Acquire)
    }

    /// Binance's word for whether it is traded.
    pub(super) fn status(&self, now_ms: i64) -> &'static str {
        if now_ms < self.ends_ms() { "TRADING" } else { "BREAK" }
    }

    /// The last moment at which it is traded, so far.
    pub(super) fn last_ms(&self, now_ms: i64) -> i64 {
        now_ms.min(self.ends_ms())
    }

    /// The price of the last trade.
    pub(super) fn price(&self, now_ms: i64) -> f64 {
        self.path.lock().price(self.last_ms(now_ms))
    }

    /// [`Path::candles`], none of which begins after the trade ended.
    pub(super) fn candles(
        &self,
        timeframe: Timeframe,
        from_ms: i64,
        until_ms: i64,
        now_ms: i64,
        limit: usize,
    ) -> Vec<Candle> {
        let until_ms = until_ms.min(self.ends_ms());
        self.path.lock().candles(timeframe, from_ms, until_ms, self.last_ms(now_ms), limit)
    }

    /// The trade in `[from_ms, until_ms)` as one candle, by whole minutes; `None` when there was none.
    pub(super) fn between(&self, from_ms: i64, until_ms: i64) -> Option<Candle> {
        self.path.lock().between(from_ms, self.last_ms(until_ms))
    }
}
