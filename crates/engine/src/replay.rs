//! What a loop needs to run in a replay: candles of the past, and parts that may be left out.
//!
//! In a replay the clock stands until the caller sets it. Candles come from memory, tasks are run when the caller asks,
//! and work in the background ends before the caller goes on ([`crate::SignalLoop::settle`]). Everything else is the code of
//! the live loop.

use candles::{Findings, PastCandles};
use domain::error::{Error, Result};
use domain::symbol::Market;
use domain::time::Clock;
use exchange::{CandleFuture, CandleSource, Found};
use std::sync::Arc;

/// A replay: the candles of the past, and what is left out of the loop.
#[derive(Debug, Clone)]
pub struct Replay {
    /// All candles. The loop sees those that have closed by its clock.
    pub candles: Arc<PastCandles>,
    /// What is left out.
    pub without: Without,
}

/// Parts of the loop that are left out of a replay, to find what each of them brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Without {
    /// Nothing is learned from outcomes, neither by `assess` nor by trainings.
    pub outcomes: bool,
    /// Every new model goes into service, however it compares with the one before.
    pub gate: bool,
}

/// The candles of a replay as a source of candles: those that have closed by the clock.
pub(super) struct PastSource {
    pub candles: Arc<PastCandles>,
    pub clock: Clock,
}

impl CandleSource for PastSource {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        let closed = self.candles.closed(market, self.clock.now_ms());
        let from = closed.partition_point(|candle| candle.open_ms < from_ms);
        let until = closed.partition_point(|candle| candle.open_ms < until_ms);
        let candles = closed.get(from..until).unwrap_or_default().to_vec();
        Box::pin(std::future::ready(Ok(Found::from(candles))))
    }
}

/// The candles of a replay count as fetched as soon as they have closed.
///
/// # Errors
/// [`Error::NoData`] if none has closed yet.
pub(super) fn fetched(candles: &PastCandles, market: &Market, now_ms: i64) -> Result<candles::Fetched> {
    let closed = candles.closed(market, now_ms);
    let (Some(first), Some(last)) = (closed.first(), closed.last()) else {
        return Err(Error::NoData(format!("the replay has no candle of {market} yet")));
    };
    Ok(candles::Fetched {
        market: market.clone(),
        added: 0,
        total: closed.len(),
        first_ms: first.open_ms,
        last_ms: last.open_ms,
        findings: Findings::default(),
    })
}
