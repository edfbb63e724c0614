//! The data that models are trained on: candles, and the closed signals of each market.
//!
//! What was computed for one training is kept for the next, which then computes only what is new.

use super::performance_state::LivePerformance;
use super::shapes::SeenSignals;
use super::{CandleStore, Settings, SignalStore};
use candles::Findings;
use domain::candle::Candle;
use domain::config::SignalShape;
use domain::error::Result;
use domain::symbol::Market;
use feedback::ClosingCursor;
use learning::{Dataset, Feedback, FoundShape, GrowingDataset, LiveRow};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// A training uses at most this many live signals of a market, the newest ones.
const MAX_LIVE_ROWS: usize = 10_000;
/// The rows of so many candles are kept between two trainings: up to 300 MB. Those of further markets are computed each time.
const MAX_KEPT_CANDLES: usize = 500_000;

/// The rows of a market, and the problems found in its candle file.
#[derive(Clone)]
pub(super) struct LoadedMarket {
    pub data: Arc<Dataset>,
    pub findings: Findings,
}

/// The data that models are trained on: stored candles, and the outcomes of live signals.
pub(super) struct TrainingData {
    pub(super) settings: Arc<Settings>,
    candles: Arc<CandleStore>,
    pub(super) store: Arc<SignalStore>,
    performance: Arc<LivePerformance>,
    kept: Mutex<HashMap<Market, KeptMarket>>,
    /// The signals whose shapes are counted.
    pub(super) seen: Mutex<SeenSignals>,
}

/// What is kept of a market between two trainings, and of how many candles.
struct KeptMarket {
    candles: usize,
    known: Arc<Mutex<KnownMarket>>,
}

/// What is known of a market.
struct KnownMarket {
    rows: GrowingDataset,
    cursor: ClosingCursor,
    /// The newest [`MAX_LIVE_ROWS`] closed signals, in order of closing.
    live: Vec<LiveRow>,
}

impl TrainingData {
    pub fn new(
        settings: Arc<Settings>,
        candles: Arc<CandleStore>,
        store: Arc<SignalStore>,
        performance: Arc<LivePerformance>,
    ) -> Self {
        Self { settings, candles, store, performance, kept: Mutex::default(), seen: Mutex::default() }
    }

    /// The rows of a market; `None` if it has no candles.
    pub fn load(&self, market: &Market) -> Result<Option<LoadedMarket>> {
        let Some((candles, findings)) = self.candles(market)? else { return Ok(None) };
        let known = self.known(market);
        let data = {
            let mut known = known.lock();
            known.rows.grow(&candles);
            let feedback = self.live_feedback(market, &mut known)?;
            known.rows.dataset(&feedback, &self.settings.config().signal, None)
        };
        self.keep(market, candles.len(), known);
        Ok(Some(LoadedMarket { data: Arc::new(data?), findings }))
    }

    /// The rows of a loaded market, labelled for another shape, without live signals.
    pub fn of_shape(&self, market: &Market, found: &FoundShape) -> Result<Dataset> {
        let known = self.known(market);
        let mut known = known.lock();
        if known.rows.is_empty() {
            let (candles, _) = self.candles(market)?.unwrap_or_default();
            known.rows.grow(&candles);
        }
        let shape: &SignalShape = &found.shape;
        known.rows.dataset(&Feedback::default(), shape, found.management.as_ref())
    }

    /// The candles of a market, checked and oldest first, and what was repaired while they were read; `None` if none are stored.
    fn candles(&self, market: &Market) -> Result<Option<(Vec<Candle>, Findings)>> {
        self.candles.for_training(market)
    }

    fn known(&self, market: &Market) -> Arc<Mutex<KnownMarket>> {
        let known = self.kept.lock().get(market).map(|kept| kept.known.clone());
        known.unwrap_or_else(|| {
            let rows = GrowingDataset::new(market);
            Arc::new(Mutex::new(KnownMarket { rows, cursor: ClosingCursor::default(), live: Vec::new() }))
        })
    }

    /// Keeps what is known of a market for its next training, if there is room.
    fn keep(&self, market: &Market, candles: usize, known: Arc<Mutex<KnownMarket>>) {
        let mut kept = self.kept.lock();
        kept.remove(market);
        let others: usize = kept.values().map(|kept| kept.candles).sum();
        if others + candles <= MAX_KEPT_CANDLES {
            kept.insert(market.clone(), KeptMarket { candles, known });
        }
    }

    /// Forgets everything that is kept between two trainings.
    pub fn forget(&self) {
        self.kept.lock().clear();
        *self.seen.lock() = SeenSignals::default();
    }

    /// The newest [`MAX_LIVE_ROWS`] closed signals of a market, for its training.
    fn live_feedback(&self, market: &Market, known: &mut KnownMarket) -> Result<Feedback> {
        let strength = self.performance.feedback_strength(market)?;
        let store = if self.settings.learns_outcomes() { self.store.existing()? } else { None };
        let Some(store) = store else { return Ok(Feedback { rows: Vec::new(), strength }) };
        let new = store.newly_ended(market, &mut known.cursor, |ended, _| {
            Some(LiveRow::new(ended.direction, ended.given_ms, ended.closed_ms))
        })?;
        new.add_to(&mut known.live);
        let surplus = known.live.len().saturating_sub(MAX_LIVE_ROWS);
        known.live.drain(..surplus);
        Ok(Feedback { rows: known.live.clone(), strength })
    }
}
