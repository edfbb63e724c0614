//! The feedback store with what the loop knows of the market.

use super::prices::Turns;
use super::tails::{Histories, Tail};
use super::{CandleStore, Events, Lifetime, OutcomeLearner, PerformanceChecks, Settings, SignalStore};
use crate::home;
use domain::answer::Answer;
use domain::barrier::Outcome;
use domain::error::{Error, Result};
use domain::signal::{Record, Said, Signal, Update};
use domain::symbol::Market;
use domain::threads;
use domain::time::{CLOCK_TOLERANCE_MS, DAY_MS, format_iso};
use feedback::{CloseRequest, FeedbackStore, ImportReport, Lines};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// How far a signal may lie ahead of this machine's clock: as far as clocks and zones that were mistaken differ.
const MOST_AHEAD_MS: i64 = DAY_MS;

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

/// Signals in, prices in, closings out: the feedback store with what the loop knows of the market.
pub struct Signals {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) candles: Arc<CandleStore>,
    pub(super) store: Arc<SignalStore>,
    pub(super) outcomes: Arc<OutcomeLearner>,
    pub(super) checks: Arc<PerformanceChecks>,
    /// The order of prices.
    pub(super) turns: Turns,
}

impl Signals {
    /// The feedback store, opened at first use.
    pub fn store(&self) -> &Arc<SignalStore> {
        &self.store
    }

    /// Records signals, open or with their ends, each with the features of the last candle closed before it, when that candle is
    /// stored. The future never blocks its thread: what has to be waited for is done on another one. The writing begins when the
    /// future is first polled, so that signals recorded in one turn of the event loop are written together.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`]; [`Error::SignalConflict`] of the first that contradicts an earlier signal, the others are
    /// recorded; [`Error::Store`], [`Error::Closed`].
    pub fn record<R: Into<Record>>(
        self: &Arc<Self>,
        signals: Vec<R>,
    ) -> impl Future<Output = Result<()>> + Send + use<R> {
        let records: Vec<Record> = signals.into_iter().map(Into::into).collect();
        let closed = records.iter().any(|record| record.closing.is_some());
        let (this, call, written) = (self.clone(), self.lifetime.begin(), self.written(records));
        async move {
            let (call, written) = (call?, written?);
            let (store, lines) = match written {
                Answer::Ready(written) => written,
                Answer::Pending(write) => threads::blocking(write).await?,
            };
            let recorded = store.record_lines(vec![lines]);
            // Closing the store waits for what its writer has got.
            drop(call);
            this.recorded(recorded.await?, closed)
        }
    }

    /// Signals as lines for the store. Known at once for a single signal, where the store is open and the candles before it are
    /// in memory, or not stored at all.
    pub(super) fn written(
        self: &Arc<Self>,
        mut records: Vec<Record>,
    ) -> Result<Answer<(FeedbackStore, Lines), impl FnOnce() -> Result<(FeedbackStore, Lines)> + Send + use<>>> {
        self.check_given(&records)?;
        if let ([record], Some(store)) = (&mut records[..], self.store.if_open()) {
            let recent = self.candles.recent_in_memory(&record.signal.market());
            let is_enough = |recent: &Option<Arc<Tail>>| {
                recent.as_ref().is_none_or(|recent| !recent.is_too_short_for(&record.signal))
            };
            if let Some(recent) = recent.filter(is_enough) {
                record.signal.features = recent.and_then(|recent| recent.entry_features(&record.signal));
                self.add_said(record);
                return Ok(Answer::Ready((store, Lines::of(records)?)));
            }
        }
        let this = self.clone();
        Ok(Answer::Pending(move || {
            this.complete(&mut records, &Histories::default());
            Ok((this.store.open()?, Lines::of(records)?))
        }))
    }

    /// What came of recording; where signals came with their ends, the performance is checked soon. What the next recording asks
    /// to know is made ready.
    fn recorded(self: &Arc<Self>, results: Vec<Result<bool>>, closed: bool) -> Result<()> {
        if closed {
            self.checks.ask_for_check();
        }
        self.outcomes.prepare();
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

    /// Closes a signal by hand, see [`FeedbackStore::close_by_hand`]. The future never blocks its thread, and the writing begins when
    /// it is first polled.
    ///
    /// # Errors
    /// As [`FeedbackStore::close_by_hand`].
    pub fn close_by_hand(self: &Arc<Self>, update: Update) -> impl Future<Output = Result<bool>> + Send + use<> {
        let (this, call, store) = (self.clone(), self.lifetime.begin(), self.store.if_open());
        async move {
            let call = call?;
            let store = match store {
                Some(store) => store,
                None => {
                    let store = this.store.clone();
                    threads::blocking(move || store.open()).await?
                }
            };
            let id = update.id.clone();
            let closed = store.close_by_hand(CloseRequest::new(update, this.settings.now_ms()));
            // Closing the store waits for what its writer has got.
            drop(call);
            let closed = closed.await?;
            if closed {
                this.checks.after_closing_by_hand(&store, &id)?;
            }
            Ok(closed)
        }
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
        self.recorded(self.store.open()?.record_lines(lines).await?, closed)
    }

    /// Takes in the signals of another log, see [`FeedbackStore::import`], those without features with the features of the
    /// last candle closed before them, when that candle is stored.
    ///
    /// # Errors
    /// As [`FeedbackStore::import`].
    pub async fn import(&self, file: &Path) -> Result<ImportReport> {
        let histories = Histories::default();
        let complete = |records: &mut [Record]| {
            let signals = records.iter_mut().map(|record| &mut record.signal);
            self.add_features(signals.filter(|signal| signal.features.is_none()), &histories);
        };
        self.store.open()?.import(file, complete).await
    }

    /// Writes the closed signals to a CSV file, see [`FeedbackStore::export_csv`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the path leads to a file of signalloop's own; else as
    /// [`FeedbackStore::export_csv`].
    pub fn export_training_data(&self, path: &Path) -> Result<u64> {
        home::check_output(self.settings.home(), "path", path)?;
        self.store.open()?.export_csv(path)
    }

    /// Refuses signals of the future, for until then no price would close them, and ends that cannot be.
    fn check_given(&self, records: &[Record]) -> Result<()> {
        let (now_ms, costs_percent) = (self.settings.latest_ms(), self.settings.config().fee_bps / 100.0);
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
            record.said = self.outcomes.say(&record.signal).map(Said::rounded);
        }
    }

    fn add_features<'a>(&self, signals: impl Iterator<Item = &'a mut Signal>, histories: &Histories) {
        // Bulk recordings come from few markets; each one's candles are looked up once.
        let mut tails: HashMap<Market, Option<Arc<Tail>>> = HashMap::new();
        let mut older: HashMap<Market, Vec<&mut Signal>> = HashMap::new();
        for signal in signals {
            let market = signal.market();
            // Features are a gain: no signal is refused because candles cannot be read.
            let tail =
                tails.entry(market.clone()).or_insert_with_key(|market| self.candles.recent(market).ok().flatten());
            match tail {
                Some(tail) if tail.is_too_short_for(signal) => older.entry(market).or_default().push(signal),
                tail => signal.features = tail.as_ref().and_then(|tail| tail.entry_features(signal)),
            }
        }
        for (market, signals) in older {
            let times: Vec<i64> = signals.iter().map(|signal| signal.timestamp_ms).collect();
            let features = histories.entry_features(&self.candles, &market, &times);
            signals.into_iter().zip(features).for_each(|(signal, features)| signal.features = features);
        }
    }
}
