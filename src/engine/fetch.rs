//! Bringing candle files up to date.

use super::{Event, SignalLoop};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::learning::candles_needed;
use crate::market::{Begin, CandleFuture, CandleSource, Fetched, ListingFuture, update};
use crate::order;
use crate::symbol::{Market, Symbol, Timeframe};
use crate::time::{DAY_MS, HOUR_MS};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Markets fetched at once.
pub(super) const PARALLEL: usize = 4;

/// What fetching one market came to.
#[derive(Debug, Clone)]
pub struct FetchResult {
    /// The market.
    pub market: Market,
    /// What is stored now, or why nothing was fetched. One market's failure never touches another.
    pub fetched: Result<Fetched>,
}

/// Candles of a source for as long as the loop is open: closing waits for no answer, but what came is still written.
pub(super) struct UntilClosed {
    pub source: Arc<dyn CandleSource>,
    pub closing: Cancel,
}

impl CandleSource for UntilClosed {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        Box::pin(self.closing.unless(self.source.candles(market, from_ms, until_ms)))
    }

    fn delisted<'a>(&'a self, symbol: &'a Symbol) -> ListingFuture<'a> {
        Box::pin(self.closing.unless(self.source.delisted(symbol)))
    }
}

impl SignalLoop {
    /// Fetches what is missing of `markets`, several at once; the results come in their order. `since_ms` lets their
    /// candles begin there for good, instead of `history_days` ago. `progress` is told of each as it ends.
    ///
    /// # Errors
    /// [`crate::error::Error::Cancelled`] when the loop was closed meanwhile. A market's failure is in its result, not here.
    pub async fn fetch(
        self: &Arc<Self>,
        markets: Vec<Market>,
        since_ms: Option<i64>,
        progress: impl Fn(&FetchResult) + Send + Sync + 'static,
    ) -> Result<Vec<FetchResult>> {
        let source = self.source()?;
        if since_ms.is_none() {
            self.tell_of_longer_history(&markets);
        }
        let (permits, progress) = (Arc::new(Semaphore::new(PARALLEL)), Arc::new(progress));
        let mut tasks = JoinSet::new();
        for (place, market) in markets.into_iter().enumerate() {
            let (this, source, permits, progress) = (self.clone(), source.clone(), permits.clone(), progress.clone());
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _permit = permits.acquire().await;
                let begin = since_ms.map_or_else(|| this.history(market.timeframe), Begin::Since);
                let fetched = this.update(source.as_ref(), &market, begin).await;
                let result = FetchResult { market, fetched };
                progress(&result);
                (place, result)
            });
        }
        let mut results = tasks.join_all().await;
        self.closing.check()?;
        order::sort_by_key(&mut results, |(place, _)| *place);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    /// As far back as is configured, and at least as far as a model needs.
    pub(super) fn history(&self, timeframe: Timeframe) -> Begin {
        Begin::Days(self.config().history_days.max(self.days_needed(timeframe)))
    }

    /// Days of candles that are enough to train on.
    fn days_needed(&self, timeframe: Timeframe) -> u32 {
        let candles = candles_needed(self.config().signal.expiry_bars) as i64;
        let days = (candles * timeframe.millis() + DAY_MS - 1) / DAY_MS;
        u32::try_from(days).unwrap_or(u32::MAX)
    }

    /// Of which timeframes of `markets` more is fetched than `history_days` says, in a sentence; `None` where there is none.
    pub fn longer_history(&self, markets: &[Market]) -> Option<String> {
        let days = self.config().history_days;
        let timeframes: BTreeSet<Timeframe> = markets.iter().map(|market| market.timeframe).collect();
        let longer: Vec<String> = timeframes
            .into_iter()
            .map(|timeframe| (timeframe, self.days_needed(timeframe)))
            .filter(|(_, needed)| *needed > days)
            .map(|(timeframe, needed)| format!("{needed} days of {timeframe}"))
            .collect();
        let all = longer.join(", ");
        (!longer.is_empty()).then(|| format!("{days} days of history are too few to train on: fetched are {all}"))
    }

    /// Tells [`Self::longer_history`] as an event, each sentence once.
    pub(super) fn tell_of_longer_history(&self, markets: &[Market]) {
        if let Some(text) = self.longer_history(markets)
            && self.told_of_history.lock().insert(text.clone())
        {
            self.emit(&Event::Warning(text));
        }
    }

    /// Brings the candles of `market` up to date. A symbol that is not traded any more is an error, whatever is stored of it.
    pub(super) async fn update(&self, source: &dyn CandleSource, market: &Market, begin: Begin) -> Result<Fetched> {
        let fetched = update(source, &self.data_folder(), market, begin, self.now_ms()).await;
        self.may_have_candles(market);
        let is_quiet = match &fetched {
            Ok(fetched) => {
                let closed_ms = fetched.last_ms + market.timeframe.millis();
                self.now_ms() - closed_ms > HOUR_MS.max(2 * market.timeframe.millis())
            }
            Err(error) => matches!(error, Error::NoData(_)),
        };
        if !is_quiet {
            return fetched;
        }
        match source.delisted(&market.symbol).await {
            Ok(Some(said)) => {
                Err(Error::NotTraded { symbol: market.symbol.to_string(), said: format!("{market}: {said}") })
            }
            // A host that does not say it leaves it open; what became of the candles stands.
            Ok(None) | Err(_) => fetched,
        }
    }
}
