//! Looks for drift in the results of each market. [`learning::drift`] has the tests; this module applies them to the store, and
//! says which alarms are new.
//!
//! The results of a market are kept between two checks, so that a check processes only what has closed since. What was reported is in
//! `performance.json`, so a restart loses nothing: it processes all results once more.

use super::performance_state::DriftState;
use super::{Event, PerformanceChecks};
use domain::error::Result;
use domain::features::{FEATURES, VERSION};
use domain::signal::{Ended, Record};
use domain::symbol::Market;
use feedback::{ClosingCursor, FeedbackStore, StatsFilter};
use learning::drift::{OutcomeDrift, OutcomeMonitor, Samples, entry_drift};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};

/// The entry test compares this many recent signals with at most `BEFORE` earlier ones.
const RECENT: usize = 50;
const BEFORE: usize = 200;
/// The probability that one entry test raises a false alarm. It is small because there are many tests.
const ALPHA: f64 = 0.001;

/// The results that the tests for drift have seen, by market.
pub(super) type ResultsSeen = Mutex<HashMap<Market, MarketResults>>;

/// The results of a market.
#[derive(Default)]
pub(super) struct MarketResults {
    cursor: ClosingCursor,
    monitor: OutcomeMonitor,
    /// All alarms of the monitor, in order of time.
    alarms: Vec<OutcomeDrift>,
    /// When the signals closed, in order, UTC epoch ms.
    closed_ms: Vec<i64>,
}

impl MarketResults {
    /// Takes in what has closed since the last call; everything again if that is not in order of closing.
    fn update(&mut self, store: &FeedbackStore, market: &Market) -> Result<()> {
        let new = store.newly_ended(market, &mut self.cursor, |ended, taken| taken.then_some(ended))?;
        if new.are_all {
            *self = Self { cursor: self.cursor, ..Self::default() };
        }
        for Ended { succeeded, given_ms, closed_ms, .. } in new.closings {
            self.alarms.extend(self.monitor.next(succeeded, given_ms, closed_ms));
            self.closed_ms.push(closed_ms);
        }
        Ok(())
    }

    /// The alarms that were not reported yet.
    fn outcome_drift(&self, state: &mut DriftState) -> Vec<Event> {
        // All closings of one candle have the same time, and some of them may become known later.
        let from = self.alarms.partition_point(|drift| drift.at_ms < state.outcomes_ms);
        let is_new = |drift: &&OutcomeDrift| Some(drift.at_ms) != state.alarm_ms;
        let found: Vec<OutcomeDrift> = self.alarms[from..].iter().filter(is_new).copied().collect();
        state.alarm_ms = found.last().map(|drift| drift.at_ms).or(state.alarm_ms);
        state.outcomes_ms = self.closed_ms.last().map_or(state.outcomes_ms, |last| state.outcomes_ms.max(*last));
        found.into_iter().map(|drift| Event::OutcomeDrift(state.market.clone(), drift)).collect()
    }
}

impl PerformanceChecks {
    /// Finds drift that was not reported yet, in markets with closings in the window.
    pub(super) fn look_for_drift(&self, known: &mut Vec<DriftState>, recent: &[Ended]) -> Result<Vec<Event>> {
        let mut found = Vec::new();
        let mut markets: Vec<(&Market, i64)> = recent.iter().map(|one| (&one.market, one.closed_ms)).collect();
        markets.sort();
        // Keeps the first closing in the window of each market.
        markets.dedup_by_key(|(market, _)| *market);
        let store = self.store.open()?;
        let mut seen = self.state.seen.lock();
        for (market, first_ms) in markets {
            let place = known.iter().position(|state| state.market == *market).unwrap_or_else(|| {
                let (outcomes_ms, entries_ms) = (first_ms - 1, first_ms - 1);
                known.push(DriftState { market: market.clone(), outcomes_ms, alarm_ms: None, entries_ms });
                known.len() - 1
            });
            let results = seen.entry(market.clone()).or_default();
            results.update(&store, market)?;
            found.extend(results.outcome_drift(&mut known[place]));
            found.extend(entry_drift_of(&store, &mut known[place], &results.closed_ms)?);
        }
        Ok(found)
    }
}

/// Tests for drift once [`RECENT`] signals have closed since the last test, so each signal is tested as recent only once.
fn entry_drift_of(store: &FeedbackStore, state: &mut DriftState, closed_ms: &[i64]) -> Result<Option<Event>> {
    let split = closed_ms.partition_point(|at_ms| *at_ms <= state.entries_ms);
    let Some(last_ms) = closed_ms.last().filter(|_| closed_ms.len() - split >= RECENT) else { return Ok(None) };
    let filter = StatsFilter {
        since_ms: Some(closed_ms[split.saturating_sub(BEFORE)]),
        ..StatsFilter::of_market(&state.market)
    };
    let mut quantities = BTreeMap::<String, Samples>::new();
    let seen_ms = state.entries_ms;
    store.closed_records(&filter, |record| {
        if !record.signal.taken {
            return Ok(());
        }
        let is_recent = record.closing.is_some_and(|closing| closing.closed_ms > seen_ms);
        for (name, value) in known_at_entry(&record) {
            let (before, recent) = quantities.entry(name).or_default();
            if is_recent { recent.push(value) } else { before.push(value) }
        }
        Ok(())
    })?;
    quantities.retain(|_, (before, recent)| before.len() >= RECENT && recent.len() >= RECENT);
    state.entries_ms = *last_ms;
    let found = entry_drift(&quantities, ALPHA);
    let (market, since_ms) = (state.market.clone(), closed_ms[split]);
    Ok((!found.is_empty()).then_some(Event::EntryDrift { market, since_ms, quantities: found }))
}

/// The numbers known when a signal was given, with their names.
fn known_at_entry(record: &Record) -> Vec<(String, f64)> {
    let mut known = record.signal.indicators.numbers();
    known.iter_mut().for_each(|(name, _)| name.insert_str(0, "indicators."));
    if let Some(features) = record.signal.features.as_ref().filter(|features| features.version == VERSION) {
        let named = FEATURES.iter().zip(&features.values);
        known.extend(named.map(|(feature, value)| (format!("features.{}", feature.name), *value)));
    }
    known
}
