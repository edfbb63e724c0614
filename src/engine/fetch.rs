//! Bringing candle files up to date.

use super::SignalLoop;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::market::{Begin, CandleFuture, CandleSource, Fetched, ListingFuture, update};
use crate::order;
use crate::symbol::Market;
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

    fn listing<'a>(&'a self, market: &'a Market) -> ListingFuture<'a> {
        self.source.listing(market)
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
        let (permits, progress) = (Arc::new(Semaphore::new(PARALLEL)), Arc::new(progress));
        let mut tasks = JoinSet::new();
        for (place, market) in markets.into_iter().enumerate() {
            let (this, source, permits, progress) = (self.clone(), source.clone(), permits.clone(), progress.clone());
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _permit = permits.acquire().await;
                let begin = since_ms.map_or_else(|| this.history(), Begin::Since);
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

    /// As far back as is configured.
    pub(super) fn history(&self) -> Begin {
        Begin::Days(self.config().history_days)
    }

    pub(super) async fn update(&self, source: &dyn CandleSource, market: &Market, begin: Begin) -> Result<Fetched> {
        let fetched = update(source, &self.data_folder(), market, begin, self.now_ms()).await;
        self.may_have_candles(market);
        fetched
    }
}
