//! Brings candle files up to date.

use super::account::{FetchProgress, ProgressMeter};
use super::{CandleStore, Event, Events, Lifetime, Settings};
use candles::Fetched;
use domain::cancel::Cancel;
use domain::config::MOST_CANDLES;
use domain::error::{Error, Result};
use domain::symbol::{Market, Timeframe};
use domain::time::DAY_MS;
use domain::venue::Venue;
use exchange::{
    Begin, CandleFuture, CandleSource, Exchange, FirstFuture, Listing, ListingFuture, PriceSource, Reached,
    update_telling,
};
use learning::candles_needed;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// If a market has had no candle for this long, the exchange is asked whether it is still traded.
const QUIET_MS: i64 = 2 * DAY_MS;
/// A history of fewer days than this gets a warning. Models trained on 700 days had a third of the skill of those
/// trained on the full history; models trained on 180 days had none.
const LONG_DAYS: u32 = 700;
/// The number of markets fetched at once.
pub(super) const PARALLEL: usize = 4;

/// The result of fetching one market.
#[derive(Debug, Clone)]
pub struct FetchResult {
    /// The market.
    pub market: Market,
    /// What is stored now, or why the fetch failed. If one market fails, the others are not affected.
    pub fetched: Result<Fetched>,
}

/// A source of candles that stops when the loop closes: requests are cancelled, and candles that have arrived are
/// stored.
pub(super) struct UntilClosed {
    pub source: Arc<dyn CandleSource>,
    pub closing: Cancel,
}

impl CandleSource for UntilClosed {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        Box::pin(self.closing.unless(self.source.candles(market, from_ms, until_ms)))
    }

    fn first_ms<'a>(&'a self, market: &'a Market, from_ms: i64) -> FirstFuture<'a> {
        Box::pin(self.closing.unless(self.source.first_ms(market, from_ms)))
    }

    fn listing<'a>(&'a self, market: &'a Market) -> ListingFuture<'a> {
        self.source.listing(market)
    }
}

/// A progress report of a fetch.
#[derive(Debug, Clone)]
pub enum FetchNews<'a> {
    /// Progress of a market that needs more than one page.
    Page(&'a FetchProgress),
    /// A market is done.
    Ended(&'a FetchResult),
}

/// The name of the exchange, and its host if that is configured.
type ExchangeKey = (Venue, Option<String>);

/// Brings the stored candles of a home up to date, from the exchange or from the user's own source.
pub struct CandleFetcher {
    settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    lifetime: Arc<Lifetime>,
    candles: Arc<CandleStore>,
    /// The user's own source of candles, used instead of the exchange.
    own_source: Option<Arc<dyn CandleSource>>,
    /// The user's own source of prices, used instead of the exchange.
    own_prices: Option<Arc<dyn PriceSource>>,
    /// The client of the exchange, with its name and URL. All requests share the client, its connections and its request budget.
    exchange: Mutex<Option<(ExchangeKey, Arc<Exchange>)>>,
    /// The timeframes for which it was reported that they need a longer history than is configured.
    told_of_history: Mutex<HashSet<Timeframe>>,
    told_of_cost: AtomicBool,
}

impl CandleFetcher {
    pub(super) fn new(
        settings: Arc<Settings>,
        events: Arc<Events>,
        lifetime: Arc<Lifetime>,
        candles: Arc<CandleStore>,
        own_source: Option<Arc<dyn CandleSource>>,
        own_prices: Option<Arc<dyn PriceSource>>,
    ) -> Self {
        let (exchange, told_of_history) = (Mutex::default(), Mutex::default());
        let told_of_cost = AtomicBool::new(false);
        Self { settings, events, lifetime, candles, own_source, own_prices, exchange, told_of_history, told_of_cost }
    }

    /// The store of the candles that it brings up to date.
    pub(super) fn candles(&self) -> &Arc<CandleStore> {
        &self.candles
    }

    /// The source of current prices: the user's own, or the exchange. `None` where only candles come from the user's own source.
    pub(super) fn prices(&self) -> Result<Option<Arc<dyn PriceSource>>> {
        Ok(match (&self.own_prices, &self.own_source) {
            (Some(prices), _) => Some(prices.clone()),
            (None, Some(_)) => None,
            (None, None) => Some(self.exchange()?),
        })
    }

    /// Whether candles come from the user's own source.
    pub(super) fn has_own_source(&self) -> bool {
        self.own_source.is_some()
    }

    /// Whether candles and prices both come from the exchange.
    pub(super) fn uses_exchange_alone(&self) -> bool {
        self.own_source.is_none() && self.own_prices.is_none()
    }

    /// The source of candles. Its requests are cancelled when the loop closes.
    pub(super) fn source(&self) -> Result<Arc<dyn CandleSource>> {
        let source = match &self.own_source {
            Some(source) => source.clone(),
            None => self.exchange()?,
        };
        Ok(Arc::new(UntilClosed { source, closing: self.lifetime.closing().clone() }))
    }

    /// The client of the configured exchange.
    pub(super) fn exchange(&self) -> Result<Arc<Exchange>> {
        let config = self.settings.config();
        let key = (config.exchange, config.exchange_url.clone());
        let mut kept = self.exchange.lock();
        if let Some((_, exchange)) = kept.as_ref().filter(|(known, _)| *known == key) {
            return Ok(exchange.clone());
        }
        let exchange = Exchange::new(config.exchange, config.exchange_url.as_deref())?;
        let exchange = Arc::new(exchange.with_clock(self.settings.clock().clone()));
        *kept = Some((key, exchange.clone()));
        Ok(exchange)
    }

    /// Fetches the missing candles of `markets`, several markets at once. The results are in the order of `markets`. If
    /// `since_ms` is given, the stored candles begin there from now on, instead of as far back as is configured. `news`
    /// receives the progress.
    ///
    /// # Errors
    /// [`domain::error::Error::Cancelled`] if the loop was closed in the meantime. The failure of a single market is in
    /// its result instead.
    pub async fn fetch(
        self: &Arc<Self>,
        markets: Vec<Market>,
        since_ms: Option<i64>,
        news: impl Fn(FetchNews<'_>) + Send + Sync + 'static,
    ) -> Result<Vec<FetchResult>> {
        let source = self.source()?;
        if since_ms.is_none() {
            self.tell_of_longer_history(&markets);
        }
        let (permits, news) = (Arc::new(Semaphore::new(PARALLEL)), Arc::new(news));
        let meter = Arc::new(ProgressMeter::of(markets.len()));
        let mut tasks = JoinSet::new();
        for (place, market) in markets.into_iter().enumerate() {
            let (this, source, permits) = (self.clone(), source.clone(), permits.clone());
            let (news, meter) = (news.clone(), meter.clone());
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _permit = permits.acquire().await;
                let begin = since_ms.map_or_else(|| this.history(market.timeframe), Begin::Since);
                let tell = |progress: FetchProgress| news(FetchNews::Page(&progress));
                let fetched = this.update(source.as_ref(), &market, begin, &meter, &tell).await;
                let result = FetchResult { market, fetched };
                news(FetchNews::Ended(&result));
                (place, result)
            });
        }
        let mut results = tasks.join_all().await;
        self.lifetime.closing().check()?;
        results.sort_by_key(|(place, _)| *place);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    /// How far back to fetch: as configured, but at least as far as a model needs. If nothing is configured,
    /// everything.
    pub(super) fn history(&self, timeframe: Timeframe) -> Begin {
        match self.settings.config().history_days {
            Some(days) => Begin::Days(days.max(self.days_needed(timeframe))),
            None => Begin::Candles(MOST_CANDLES),
        }
    }

    /// The number of days of candles that a training needs.
    fn days_needed(&self, timeframe: Timeframe) -> u32 {
        let candles = candles_needed(self.settings.config().signal.expiry_bars) as i64;
        let days = (candles * timeframe.millis() + DAY_MS - 1) / DAY_MS;
        u32::try_from(days).unwrap_or(u32::MAX)
    }

    /// A sentence that names the timeframes of `markets` for which more than `history_days` is fetched; `None` if there
    /// are none.
    pub fn longer_history(&self, markets: &[Market]) -> Option<String> {
        self.history_of(&self.longer_timeframes(markets))
    }

    /// Emits [`Self::longer_history`] as an event, once for each timeframe.
    pub(super) fn tell_of_longer_history(&self, markets: &[Market]) {
        let mut timeframes = self.longer_timeframes(markets);
        timeframes.retain(|timeframe| self.told_of_history.lock().insert(*timeframe));
        self.history_of(&timeframes).into_iter().for_each(|text| self.events.emit(&Event::Warning(text)));
    }

    fn longer_timeframes(&self, markets: &[Market]) -> BTreeSet<Timeframe> {
        let days = self.settings.config().history_days.unwrap_or(u32::MAX);
        markets.iter().map(|market| market.timeframe).filter(|one| self.days_needed(*one) > days).collect()
    }

    fn history_of(&self, longer: &BTreeSet<Timeframe>) -> Option<String> {
        let days = self.settings.config().history_days?;
        let of = |timeframe: &Timeframe| format!("{} days of {timeframe}", self.days_needed(*timeframe));
        let all = longer.iter().map(of).collect::<Vec<_>>().join(", ");
        (!all.is_empty()).then(|| format!("{days} days of history are too few to train on: fetched are {all}"))
    }

    /// A sentence that says how a short configured history harms models; `None` if the history is long or unlimited.
    pub fn cost_of_history(&self) -> Option<String> {
        let days = self.settings.config().history_days.filter(|days| *days < LONG_DAYS)?;
        Some(format!(
            "{days} days of candles, as configured: on real candles, models of 90 and 180 days showed no skill; leave \
             `history_days` (`days_history`) out to use all history"
        ))
    }

    /// Emits [`Self::cost_of_history`] as an event, once.
    pub(super) fn tell_of_cost(&self) {
        let untold = self.cost_of_history().filter(|_| !self.told_of_cost.swap(true, Ordering::Relaxed));
        untold.into_iter().for_each(|text| self.events.emit(&Event::Warning(text)));
    }

    /// Brings the candles of `market` up to date, and reports each page. If there are none because the symbol is no
    /// longer traded, the error says so.
    pub(super) async fn update(
        &self,
        source: &dyn CandleSource,
        market: &Market,
        begin: Begin,
        meter: &ProgressMeter,
        tell: &(dyn Fn(FetchProgress) + Send + Sync),
    ) -> Result<Fetched> {
        if let Some(fetched) = self.candles.fetched_of_replay(market) {
            meter.ended(market);
            return fetched;
        }
        let page = |reached: Reached| self.tell_of_page(market, reached, meter, tell);
        let fetched =
            update_telling(source, &self.settings.data_folder(), market, begin, self.settings.now_ms(), &page).await;
        meter.ended(market);
        self.candles.look_again(market);
        if matches!(fetched, Err(Error::NoData(_))) {
            is_traded(source, market).await?;
        }
        fetched
    }

    /// Fails if `market` has had no candles for a long time because it is no longer traded.
    pub(super) async fn is_alive(&self, source: &dyn CandleSource, fetched: &Fetched) -> Result<()> {
        let step = fetched.market.timeframe.millis();
        let silent_ms = self.settings.now_ms() - fetched.last_ms - step;
        if silent_ms < QUIET_MS.max(3 * step) { Ok(()) } else { is_traded(source, &fetched.market).await }
    }
}

/// Fails if the source says that the market is no longer traded.
async fn is_traded(source: &dyn CandleSource, market: &Market) -> Result<()> {
    match source.listing(market).await {
        Listing::Not(why) => {
            Err(Error::NotTraded { symbol: market.symbol.to_string(), said: format!("{market}: {why}") })
        }
        Listing::Traded | Listing::Unknown => Ok(()),
    }
}
