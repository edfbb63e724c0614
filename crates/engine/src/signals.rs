//! The feedback store with what the loop knows of the market.

use super::tails::{Histories, Tail};
use super::{SignalLoop, StoreState};
use crate::home;
use domain::barrier::Outcome;
use domain::error::{Error, Result};
use domain::signal::{Record, Said, Signal, Update};
use domain::symbol::Market;
use domain::time::{CLOCK_TOLERANCE_MS, DAY_MS, format_iso};
use feedback::{CloseRequest, FeedbackStore, ImportReport, Lines, StatsFilter};
use learning::{Feedback, LiveRow};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// How far a signal may lie ahead of this machine's clock: as far as clocks and zones that were mistaken differ.
const MOST_AHEAD_MS: i64 = DAY_MS;

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

/// Does `price`, now, close the signal of these levels? Without levels (a HOLD) nothing does.
pub fn should_close(levels: Option<&domain::barrier::Levels>, price: f64, now_ms: i64) -> EvaluatedPrice {
    let exit = levels.and_then(|levels| levels.on_tick_now(price, now_ms));
    EvaluatedPrice {
        should_close: exit.is_some(),
        outcome: exit.map_or(Outcome::Active, |exit| exit.outcome),
        profit_percent: levels.map_or(0.0, |levels| levels.profit_percent(price)),
    }
}

impl SignalLoop {
    /// Records signals, open or with their ends, each with the features of the last candle closed before it, when that candle is
    /// stored.
    ///
    /// # Errors
    /// [`Error::SignalConflict`] of the first that contradicts an earlier signal; the others are recorded.
    pub async fn record(self: &Arc<Self>, signals: Vec<impl Into<Record>>) -> Result<()> {
        let mut records: Vec<Record> = signals.into_iter().map(Into::into).collect();
        self.check_given(&records)?;
        self.complete(&mut records, &Histories::default());
        let closed = records.iter().any(|record| record.closing.is_some());
        self.recorded(self.store()?.record_all(records).await?, closed)
    }

    /// Records a signal without a thread of its own, where that needs no waiting: the store is open, and the candles before it
    /// are in memory, or not stored at all. Otherwise the signal comes back, for [`Self::record`].
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] for one that is too long; those of the future are [`Self::record`]'s.
    pub fn try_record(
        self: &Arc<Self>,
        mut record: Record,
    ) -> Result<std::result::Result<impl Future<Output = Result<bool>> + use<>, Record>> {
        self.check_given(std::slice::from_ref(&record))?;
        let in_memory = self.tail_in_memory(&record.signal.market());
        let enough = in_memory.filter(|tail| tail.as_ref().is_none_or(|tail| !tail.is_too_short_for(&record.signal)));
        match (self.open_store(), enough) {
            (Some(store), Some(tail)) => {
                record.signal.features = tail.and_then(|tail| tail.entry_features(&record.signal));
                self.add_said(&mut record);
                let closed = record.closing.is_some();
                let (core, call, lines) = (self.clone(), self.begin()?, vec![Lines::of(vec![record])?]);
                Ok(Ok(async move {
                    let recorded = store.record_lines(lines);
                    // Closing the store waits for what its writer has got.
                    drop(call);
                    core.recorded(recorded.await?, closed).map(|()| true)
                }))
            }
            _ => Ok(Err(record)),
        }
    }

    /// What came of recording; where signals came with their ends, the performance is checked soon. What the next recording asks
    /// to know is made ready.
    fn recorded(self: &Arc<Self>, results: Vec<Result<bool>>, closed: bool) -> Result<()> {
        if closed {
            self.ask_for_check();
        }
        self.prepare();
        results.into_iter().try_for_each(|result| result.map(|_| ()))
    }

    /// [`Self::close_by_hand`] at this time.
    pub async fn close_signal(
        self: &Arc<Self>,
        id: &str,
        outcome: Outcome,
        exit_price: Option<f64>,
        profit_percent: Option<f64>,
    ) -> Result<bool> {
        self.close_by_hand(Update::now(id, outcome, exit_price, profit_percent)).await
    }

    /// Closes a signal by hand, see [`FeedbackStore::close_by_hand`].
    pub async fn close_by_hand(self: &Arc<Self>, update: Update) -> Result<bool> {
        let (store, id) = (self.store()?, update.id.clone());
        let closed = store.close_by_hand(CloseRequest::new(update, self.now_ms())).await?;
        if closed {
            self.after_closing_by_hand(&store, &id)?;
        }
        Ok(closed)
    }

    /// [`Self::close_by_hand`] without a thread of its own, where that needs no waiting: the store is open. Otherwise the update
    /// comes back.
    pub fn try_close_by_hand(
        self: &Arc<Self>,
        update: Update,
    ) -> Result<std::result::Result<impl Future<Output = Result<bool>> + use<>, Update>> {
        let Some(store) = self.open_store() else { return Ok(Err(update)) };
        let (call, core, id) = (self.begin()?, self.clone(), update.id.clone());
        let request = CloseRequest::new(update, self.now_ms());
        Ok(Ok(async move {
            let closed = store.close_by_hand(request);
            drop(call);
            let closed = closed.await?;
            if closed {
                core.after_closing_by_hand(&store, &id)?;
            }
            Ok(closed)
        }))
    }

    /// Checks signals, adds their features and writes them down, to be recorded with others by [`Self::record_lines`].
    /// `histories` are those of all that are recorded together.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] of the first that is wrong.
    pub fn write_down(&self, mut records: Vec<Record>, histories: &Histories) -> Result<Lines> {
        self.check_given(&records)?;
        self.complete(&mut records, histories);
        Lines::of(records)
    }

    /// Records what was written down.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub async fn record_lines(self: &Arc<Self>, lines: Vec<Lines>) -> Result<()> {
        let closed = lines.iter().any(Lines::has_closed);
        self.recorded(self.store()?.record_lines(lines).await?, closed)
    }

    /// Takes in the signals of another log, see [`FeedbackStore::import`], those without features with the features of the
    /// last candle closed before them, when that candle is stored.
    ///
    /// # Errors
    /// As [`FeedbackStore::import`].
    pub async fn import_signals(&self, file: &Path) -> Result<ImportReport> {
        let histories = Histories::default();
        let complete = |records: &mut [Record]| {
            let signals = records.iter_mut().map(|record| &mut record.signal);
            self.add_features(signals.filter(|signal| signal.features.is_none()), &histories);
        };
        self.store()?.import(file, complete).await
    }

    /// Writes the closed signals to a CSV file, see [`FeedbackStore::export_csv`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the path leads to a file of signalloop's own; else as
    /// [`FeedbackStore::export_csv`].
    pub fn export_training_data(&self, path: &Path) -> Result<u64> {
        home::check_output(self.home(), "path", path)?;
        self.store()?.export_csv(path)
    }

    /// Refuses signals of the future, for until then no price would close them, and ends that cannot be.
    fn check_given(&self, records: &[Record]) -> Result<()> {
        let (now_ms, costs_percent) = (self.options.clock.latest_ms(), self.config().fee_bps / 100.0);
        let ahead = |field, value| Err(Error::InvalidSignal { field, problem: "must not lie in the future", value });
        for Record { signal, closing, .. } in records {
            if signal.timestamp_ms > now_ms + MOST_AHEAD_MS {
                return ahead("timestamp", format_iso(signal.timestamp_ms));
            }
            if let Some(at) = closing.map(|closing| closing.closed_ms).filter(|at| *at > now_ms + CLOCK_TOLERANCE_MS) {
                return ahead("closedAt", format!("{}, and it is {} now", format_iso(at), format_iso(now_ms)));
            }
        }
        records.iter().try_for_each(|record| record.check(costs_percent))
    }

    /// Adds to what a caller records what is known of it here.
    fn complete(&self, records: &mut [Record], histories: &Histories) {
        self.add_features(records.iter_mut().map(|record| &mut record.signal), histories);
        records.iter_mut().for_each(|record| self.add_said(record));
    }

    /// Of a signal that comes with its end, nothing can be said any more that would be worth something.
    fn add_said(&self, record: &mut Record) {
        if record.closing.is_none() {
            record.said = self.say(&record.signal).map(Said::rounded);
        }
    }

    fn add_features<'a>(&self, signals: impl Iterator<Item = &'a mut Signal>, histories: &Histories) {
        // Bulk recordings come from few markets; each one's candles are looked up once.
        let mut tails: HashMap<Market, Option<Arc<Tail>>> = HashMap::new();
        let mut older: HashMap<Market, Vec<&mut Signal>> = HashMap::new();
        for signal in signals {
            let market = signal.market();
            // Features are a gain: no signal is refused because candles cannot be read.
            let tail = tails.entry(market.clone()).or_insert_with_key(|market| self.stored_tail(market).ok().flatten());
            match tail {
                Some(tail) if tail.is_too_short_for(signal) => older.entry(market).or_default().push(signal),
                tail => signal.features = tail.as_ref().and_then(|tail| tail.entry_features(signal)),
            }
        }
        for (market, signals) in older {
            let times: Vec<i64> = signals.iter().map(|signal| signal.timestamp_ms).collect();
            let features = histories.entry_features(self, &market, &times);
            signals.into_iter().zip(features).for_each(|(signal, features)| signal.features = features);
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

/// A closed signal as a row; `None` without a direction or a result.
fn live_row(record: Record) -> Option<LiveRow> {
    let closing = record.closing?;
    closing.outcome.succeeded()?;
    Some(LiveRow::new(record.signal.direction?, record.signal.timestamp_ms, closing.closed_ms))
}
