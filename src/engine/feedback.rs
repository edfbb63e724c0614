//! The feedback store with what the loop knows of the market.

use super::tails::Tail;
use super::{SignalLoop, StoreState};
use crate::barrier::Outcome;
use crate::error::Result;
use crate::feedback::{FeedbackStore, Lines, StatsFilter};
use crate::learning::outcomes::Case;
use crate::learning::{Feedback, LiveRow};
use crate::signal::{Record, Signal};
use crate::symbol::Market;
use std::collections::HashMap;
use std::sync::Arc;

/// Live signals that a training takes in at most: the newest.
const MAX_LIVE_ROWS: usize = 10_000;

/// Whether a price closes a signal, and what it is worth there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvaluatedPrice {
    /// It closes.
    pub should_close: bool,
    /// As what; `ACTIVE` while it does not.
    pub outcome: Outcome,
    /// Profit at this price in percent of the entry, before costs; 0 for a HOLD.
    pub profit_percent: f64,
}

/// Does `price` at `time_ms` close the signal of these levels? Without levels (a HOLD) nothing does.
pub fn should_close(levels: Option<&crate::barrier::Levels>, price: f64, time_ms: i64) -> EvaluatedPrice {
    let exit = levels.and_then(|levels| levels.on_tick(price, time_ms));
    EvaluatedPrice {
        should_close: exit.is_some(),
        outcome: exit.map_or(Outcome::Active, |exit| exit.outcome),
        profit_percent: levels.map_or(0.0, |levels| levels.profit_percent(price)),
    }
}

impl SignalLoop {
    /// Records signals, each with the features of the last candle closed before it, when that candle is stored.
    ///
    /// # Errors
    /// [`crate::error::Error::SignalConflict`] of the first that contradicts an earlier signal; the others are recorded.
    pub async fn record(&self, mut signals: Vec<Signal>) -> Result<()> {
        self.add_features(&mut signals);
        none_refused(self.store()?.record_all(signals).await?)
    }

    /// Records a signal without a thread of its own, where that needs no waiting: the store is open, and the candles of its
    /// market are in memory, or not stored at all. Otherwise the signal comes back, for [`Self::record`].
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidSignal`] for one that is too long; those of the future are [`Self::record`]'s.
    pub fn try_record(
        &self,
        mut signal: Signal,
    ) -> Result<std::result::Result<impl Future<Output = Result<bool>> + use<>, Signal>> {
        let market = signal.market();
        match (self.open_store(), self.tail_in_memory(&market)) {
            (Some(store), Some(tail)) => {
                signal.features = tail.and_then(|tail| tail.entry_features(&signal));
                let (call, lines) = (self.begin()?, vec![Lines::of(vec![signal])?]);
                Ok(Ok(async move {
                    let recorded = store.record_lines(lines);
                    // Closing the store waits for what its writer has got.
                    drop(call);
                    none_refused(recorded.await?).map(|()| true)
                }))
            }
            _ => Ok(Err(signal)),
        }
    }

    /// Closes a signal by hand, see [`FeedbackStore::close_signal`].
    pub async fn close_signal(
        self: &Arc<Self>,
        id: &str,
        outcome: Outcome,
        exit_price: Option<f64>,
        profit_percent: Option<f64>,
    ) -> Result<bool> {
        let store = self.store()?;
        let closed = store.close_signal(id, outcome, exit_price, profit_percent, self.now_ms()).await?;
        if closed {
            self.after_closing_by_hand(&store, id)?;
        }
        Ok(closed)
    }

    /// [`Self::close_signal`] without a thread of its own, where that needs no waiting: the store is open.
    pub fn try_close_signal(
        self: &Arc<Self>,
        id: String,
        outcome: Outcome,
        exit_price: Option<f64>,
        profit_percent: Option<f64>,
    ) -> Result<Option<impl Future<Output = Result<bool>> + use<>>> {
        let Some(store) = self.open_store() else { return Ok(None) };
        let (call, now_ms, core) = (self.begin()?, self.now_ms(), self.clone());
        Ok(Some(async move {
            let closed = store.close_signal(&id, outcome, exit_price, profit_percent, now_ms);
            drop(call);
            let closed = closed.await?;
            if closed {
                core.after_closing_by_hand(&store, &id)?;
            }
            Ok(closed)
        }))
    }

    /// Reads and checks a JSON array of signals, adds their features and writes them down, to be recorded with others by
    /// [`Self::record_lines`].
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidSignal`] or [`crate::error::Error::InvalidArgument`] of the first that is wrong.
    pub fn write_down(&self, text: &str) -> Result<Lines> {
        let mut signals = Signal::array_from_text(text, self.config().timezone)?;
        self.add_features(&mut signals);
        Lines::of(signals)
    }

    /// Records what was written down.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub async fn record_lines(&self, lines: Vec<Lines>) -> Result<()> {
        none_refused(self.store()?.record_lines(lines).await?)
    }

    fn add_features(&self, signals: &mut [Signal]) {
        // Bulk recordings come from few markets; each one's candles are looked up once.
        let mut tails: HashMap<Market, Option<Arc<Tail>>> = HashMap::new();
        for signal in signals {
            let market = signal.market();
            // Features are a gain: no signal is refused because candles cannot be read.
            let tail = tails.entry(market).or_insert_with_key(|market| self.stored_tail(market).ok().flatten());
            signal.features = tail.as_ref().and_then(|tail| tail.entry_features(signal));
        }
    }

    /// What became of a market's signals, for its training: the newest [`MAX_LIVE_ROWS`] that closed.
    pub(super) fn live_feedback(&self, market: &Market) -> Result<Feedback> {
        let mut feedback = Feedback { rows: Vec::new(), strength: self.feedback_strength(market)? };
        let Some(store) = self.existing_store()? else { return Ok(feedback) };
        let (symbol, timeframe) = (Some(market.symbol.clone()), Some(market.timeframe));
        let filter = StatsFilter { symbol, timeframe, ..StatsFilter::default() };
        store.closed_records(&filter, |record| {
            feedback.rows.extend(live_row(record));
            Ok(())
        })?;
        let surplus = feedback.rows.len().saturating_sub(MAX_LIVE_ROWS);
        feedback.rows.drain(..surplus);
        Ok(feedback)
    }

    /// The store, unless nothing was ever recorded here: reading is no reason to begin one.
    ///
    /// # Errors
    /// As [`Self::store`].
    pub fn existing_store(&self) -> Result<Option<FeedbackStore>> {
        if self.open_store().is_none() && !self.whereabouts.may_hold_signals() {
            return Ok(None);
        }
        self.store().map(Some)
    }

    /// The store if it is open already, without opening it or waiting.
    pub(super) fn open_store(&self) -> Option<FeedbackStore> {
        self.store.try_lock().and_then(|state| match &*state {
            StoreState::Open(store) => Some(store.clone()),
            _ => None,
        })
    }
}

fn none_refused(results: Vec<Result<bool>>) -> Result<()> {
    results.into_iter().try_for_each(|result| result.map(|_| ()))
}

/// A closed signal as a row; `None` without features of today's version at its entry.
fn live_row(record: Record) -> Option<LiveRow> {
    let (closing, case) = (record.closing?, Case::of(&record.signal)?);
    Some(LiveRow {
        direction: case.direction,
        features: case.features?.try_into().ok()?,
        success: closing.outcome.succeeded()?,
        implied: case.implied,
        given_ms: record.signal.timestamp_ms,
        closed_ms: closing.closed_ms,
    })
}
