//! The progress of fetching several markets, and an estimate of the remaining time.

use super::{CandleFetcher, Event};
use domain::symbol::Market;
use exchange::Reached;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The minimum time between two progress reports of one fetch.
const NEWS_EVERY: Duration = Duration::from_secs(1);

/// The progress of fetching a market, and the estimated time until all markets of the same call are done.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchProgress {
    /// The market.
    pub market: Market,
    /// The number of its candles fetched so far.
    pub fetched: usize,
    /// The number of its candles still to fetch; `None` while it is unknown how far back the source goes.
    pub missing: Option<usize>,
    /// Estimated seconds until all markets are fetched, from the speed so far; `None` if it cannot be estimated.
    pub remaining_s: Option<f64>,
}

/// Measures the progress of a fetch of several markets.
pub(super) struct ProgressMeter {
    /// The total number of markets.
    markets: usize,
    began: Instant,
    state: Mutex<FetchState>,
}

#[derive(Default)]
struct FetchState {
    reached: HashMap<Market, Reached>,
    told: Option<Instant>,
}

impl ProgressMeter {
    /// Starts measuring a fetch of this many markets. Call it before the first one is fetched.
    pub fn of(markets: usize) -> Self {
        Self { markets, began: Instant::now(), state: Mutex::default() }
    }

    /// Notes the progress of a market. Returns a report if one is due. A fetch of a single page is never reported.
    pub fn reached(&self, market: &Market, reached: Reached, now: Instant) -> Option<FetchProgress> {
        let state = &mut *self.state.lock();
        state.reached.insert(market.clone(), reached);
        let goes_on = reached.missing != Some(0);
        if !goes_on || state.told.is_some_and(|told| now.saturating_duration_since(told) < NEWS_EVERY) {
            return None;
        }
        state.told = Some(now);
        Some(FetchProgress {
            market: market.clone(),
            fetched: reached.fetched,
            missing: reached.missing,
            remaining_s: self.remaining_s(state, now),
        })
    }

    /// Notes that a market is done, whether it succeeded or not.
    pub fn ended(&self, market: &Market) {
        let reached = &mut self.state.lock().reached;
        reached.entry(market.clone()).or_default().missing = Some(0);
    }

    /// Estimates the remaining seconds. Markets that have not started are assumed to need as many candles as the
    /// others.
    fn remaining_s(&self, state: &FetchState, now: Instant) -> Option<f64> {
        let fetched: usize = state.reached.values().map(|reached| reached.fetched).sum();
        let missing = state.reached.values().map(|reached| reached.missing).sum::<Option<usize>>()?;
        let begun = state.reached.len();
        let waiting = self.markets.saturating_sub(begun) as f64 * (fetched + missing) as f64 / begun as f64;
        let pace = fetched as f64 / now.saturating_duration_since(self.began).as_secs_f64();
        Some((missing as f64 + waiting) / pace).filter(|seconds| seconds.is_finite())
    }
}

impl CandleFetcher {
    /// Reports that a page has arrived, as an event and to `tell`.
    pub(super) fn tell_of_page(
        &self,
        market: &Market,
        reached: Reached,
        meter: &ProgressMeter,
        tell: &(dyn Fn(FetchProgress) + Send + Sync),
    ) {
        if let Some(progress) = meter.reached(market, reached, Instant::now()) {
            self.events.emit(&Event::FetchProgress(progress.clone()));
            tell(progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn market(symbol: &str) -> Market {
        Market::parse(symbol, "1h").unwrap()
    }

    fn reached(fetched: usize, missing: impl Into<Option<usize>>) -> Reached {
        Reached { fetched, missing: missing.into() }
    }

    #[test]
    fn the_time_that_is_left_follows_from_the_pace_of_all() {
        let meter = ProgressMeter::of(4);
        let after = |seconds: u32| meter.began + seconds * SECOND;
        let told = meter.reached(&market("BTCUSDT"), reached(1000, 9000), after(1)).unwrap();
        assert_eq!((told.fetched, told.missing), (1000, Some(9000)));
        // 9000 candles remain for this market and 10 000 for each of the other three, at 1000 a second.
        assert!((told.remaining_s.unwrap() - 39.0).abs() < 1e-6, "{told:?}");
        assert_eq!(meter.reached(&market("BTCUSDT"), reached(2000, 8000), after(1)), None, "once a second");
        meter.ended(&market("ETHUSDT"));
        let told = meter.reached(&market("BTCUSDT"), reached(4000, 6000), after(4)).unwrap();
        // One market was up to date, so the two others are assumed to need half as much.
        assert!((told.remaining_s.unwrap() - 16.0).abs() < 1e-6, "{told:?}");
        let told = meter.reached(&market("SOLUSDT"), reached(1000, None), after(6)).unwrap();
        assert_eq!((told.missing, told.remaining_s), (None, None), "nobody knows how far back it goes");
        assert_eq!(meter.reached(&market("BTCUSDT"), reached(10_000, 0), after(9)), None, "it has ended");
    }
}
