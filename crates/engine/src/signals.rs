//! Recording and closing signals, with the candles and models of their markets.

use super::prices::PriceOrder;
use super::recent_candles::{HistoryCache, RecentCandles};
use super::{CandleStore, Events, Lifetime, OutcomeLearner, PerformanceChecks, Settings, SignalStore};
use crate::home;
use domain::answer::Answer;
use domain::barrier::{Event as TradeEvent, Levels, Outcome, Status, StopRules, Terms, Trade};
use domain::error::{Error, Result};
use domain::signal::{Change, Record, Said, Signal, Update};
use domain::symbol::Market;
use domain::threads;
use domain::time::{CLOCK_TOLERANCE_MS, DAY_MS, format_iso};
use feedback::{CloseRequest, FeedbackStore, ImportReport, Lines};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// How far in the future a signal's time may be. A wrong clock or time zone explains no more than this.
const MOST_AHEAD_MS: i64 = DAY_MS;

/// Whether a price closes a signal, and the profit at that price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvaluatedPrice {
    /// Whether the price closes the signal.
    pub should_close: bool,
    /// The outcome with which it closes; `ACTIVE` if it stays open.
    pub outcome: Outcome,
    /// Profit at this price in percent of the entry, before costs; 0 for a HOLD.
    pub profit_percent: f64,
}

/// Whether `price`, as the current price, closes a signal with these levels. A signal without levels (a HOLD) never
/// closes.
pub fn should_close(levels: Option<&Levels>, price: f64, now_ms: i64) -> EvaluatedPrice {
    let exit = levels.and_then(|levels| levels.on_tick_now(price, now_ms));
    EvaluatedPrice {
        should_close: exit.is_some(),
        outcome: exit.map_or(Outcome::Active, |exit| exit.outcome),
        profit_percent: levels.map_or(0.0, |levels| levels.profit_percent(price)),
    }
}

/// What a price would do to a managed signal of which only what was given is known.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatedTrade {
    /// Whether it would end, with which outcome, and its profit at this price; 0 while it waits for its entry, and if cancelled.
    pub price: EvaluatedPrice,
    /// Where it would stand.
    pub status: Status,
    /// What would happen, in order.
    pub events: Vec<TradeEvent>,
    /// What earlier prices may have changed.
    pub unknown: Vec<UnknownOfTrade>,
}

/// What a managed signal does not say of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownOfTrade {
    /// Whether it was entered, or cancelled.
    Entry,
    /// Which targets were reached.
    Targets,
    /// Where its stop is.
    Stop,
}

impl UnknownOfTrade {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Targets => "targets",
            Self::Stop => "stop",
        }
    }

    /// What the history of a signal with these terms could tell.
    fn of(terms: &Terms) -> Vec<Self> {
        let parts = terms.targets.iter().any(|target| target.share < 100.0);
        let all =
            [(Self::Entry, terms.waits()), (Self::Targets, parts), (Self::Stop, terms.rules != StopRules::default())];
        all.into_iter().filter_map(|(unknown, applies)| applies.then_some(unknown)).collect()
    }
}

/// What `price`, as the current price, does to a managed signal as it was given: no earlier price counts.
pub fn should_close_managed(levels: &Levels, terms: &Terms, price: f64, now_ms: i64) -> EvaluatedTrade {
    let (mut trade, mut events) = (Trade::new(*levels, terms), Vec::new());
    trade.on_tick(price, now_ms, &mut events);
    let outcome = trade.ended().map_or(Outcome::Active, |(outcome, _)| outcome);
    let profit_percent = match trade.status() {
        Status::Pending | Status::Cancelled => 0.0,
        // All parts close at this price, or are worth it.
        Status::Open | Status::Closed => trade.levels().profit_percent(price),
    };
    EvaluatedTrade {
        price: EvaluatedPrice { should_close: trade.ended().is_some(), outcome, profit_percent },
        status: trade.status(),
        events,
        unknown: UnknownOfTrade::of(terms),
    }
}

/// The open store, and signals as lines for it.
type Encoded = (FeedbackStore, Lines);

/// Takes signals and prices, and closes signals. It combines the feedback store with the candles and models of the
/// market.
pub struct Signals {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) candles: Arc<CandleStore>,
    pub(super) store: Arc<SignalStore>,
    pub(super) outcomes: Arc<OutcomeLearner>,
    pub(super) checks: Arc<PerformanceChecks>,
    /// Keeps prices in the order in which they were given.
    pub(super) order: PriceOrder,
}

impl Signals {
    /// The feedback store, opened at first use.
    pub fn store(&self) -> &Arc<SignalStore> {
        &self.store
    }

    /// Records signals, open ones or ones with their outcomes. Each gets the features of the last candle that closed
    /// before it, if that candle is stored. The future never blocks its thread; blocking work runs on another one. The
    /// write starts when the future is first polled, so signals recorded in one turn of the event loop share a write.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`]; [`Error::SignalConflict`] for the first signal that contradicts an earlier one (the
    /// others are recorded); [`Error::Storage`], [`Error::Closed`].
    pub fn record<R: Into<Record>>(
        self: &Arc<Self>,
        signals: Vec<R>,
    ) -> impl Future<Output = Result<()>> + Send + use<R> {
        let records: Vec<Record> = signals.into_iter().map(Into::into).collect();
        let closed = records.iter().any(|record| record.closing.is_some());
        let open = records.iter().filter(|record| record.closing.is_none());
        let markets: BTreeSet<Market> = open.map(|record| record.signal.market()).collect();
        let (this, call, encoded) = (self.clone(), self.lifetime.begin(), self.encoded(records));
        async move {
            let (call, encoded) = (call?, encoded?);
            let (store, lines) = match encoded {
                Answer::Ready(encoded) => encoded,
                Answer::Pending(encode) => threads::blocking(encode).await?,
            };
            let recorded = store.record_lines(vec![lines]);
            // From here on the writer has the signal, and closing the store waits for the writer.
            drop(call);
            let recorded = recorded.await?;
            this.tell_hours(&store, &markets);
            this.recorded(recorded, closed)
        }
    }

    /// Gives the store the trading hours of markets that close at times. The candles in memory show the hours; a market without such candles
    /// is left out.
    fn tell_hours(&self, store: &FeedbackStore, markets: &BTreeSet<Market>) {
        for market in markets {
            let recent = self.candles.recent_in_memory(market).flatten();
            if let Some(hours) = recent.as_ref().map(|recent| recent.calendar()).filter(|hours| hours.closes()) {
                store.trade_in(&market.symbol, hours);
            }
        }
    }

    /// Encodes signals as lines for the store. Ready at once for a single signal if the store is open and the candles
    /// before the signal are in memory, or none are stored.
    pub(super) fn encoded(
        self: &Arc<Self>,
        mut records: Vec<Record>,
    ) -> Result<Answer<Encoded, impl FnOnce() -> Result<Encoded> + Send + use<>>> {
        self.check_given(&records)?;
        if let ([record], Some(store)) = (&mut records[..], self.store.if_open()) {
            let recent = self.candles.recent_in_memory(&record.signal.market());
            let is_enough = |recent: &Option<Arc<RecentCandles>>| {
                recent.as_ref().is_none_or(|recent| !recent.is_too_short_for(&record.signal))
            };
            if let Some(recent) = recent.filter(is_enough) {
                record.signal.features = recent.and_then(|recent| recent.entry_features(&record.signal));
                record.signal.resolve_trail()?;
                self.add_said(record);
                return Ok(Answer::Ready((store, Lines::of(records)?)));
            }
        }
        let this = self.clone();
        Ok(Answer::Pending(move || {
            this.complete(&mut records, &HistoryCache::default())?;
            Ok((this.store.open()?, Lines::of(records)?))
        }))
    }

    /// Finishes a recording. If signals came with their outcomes, a check of live results is requested. Whatever the
    /// next recording needs is prepared in the background.
    fn recorded(self: &Arc<Self>, results: Vec<Result<bool>>, closed: bool) -> Result<()> {
        if closed {
            self.checks.ask_for_check();
            self.outcomes.learn_soon();
        }
        self.outcomes.prepare();
        results.into_iter().try_for_each(|result| result.map(|_| ()))
    }

    /// [`Self::close_by_hand`] with the current time.
    pub async fn close_signal(
        self: &Arc<Self>,
        id: &str,
        outcome: Outcome,
        exit_price: Option<f64>,
        profit_percent: Option<f64>,
    ) -> Result<bool> {
        self.close_by_hand(Update::now(id, outcome, exit_price, profit_percent)).await
    }

    /// Closes a signal by hand, see [`FeedbackStore::close_by_hand`]. The future never blocks its thread. The write
    /// starts when it is first polled.
    ///
    /// # Errors
    /// As [`FeedbackStore::close_by_hand`].
    pub fn close_by_hand(self: &Arc<Self>, update: Update) -> impl Future<Output = Result<bool>> + Send + use<> {
        let (this, call, store) = (self.clone(), self.lifetime.begin(), self.store.if_open());
        async move {
            let call = call?;
            let store = this.opened(store).await?;
            let id = update.id.clone();
            let closed = store.close_by_hand(CloseRequest::new(update, this.settings.now_ms()));
            // From here on the writer has the signal, and closing the store waits for the writer.
            drop(call);
            let closed = closed.await?;
            if closed {
                this.checks.after_closing_by_hand(&store, &id)?;
                this.outcomes.learn_soon();
            }
            Ok(closed)
        }
    }

    /// The store: `open` if it was open already, else opened on a thread that may block.
    async fn opened(&self, open: Option<FeedbackStore>) -> Result<FeedbackStore> {
        match open {
            Some(store) => Ok(store),
            None => {
                let store = self.store.clone();
                threads::blocking(move || store.open()).await
            }
        }
    }

    /// Changes an open signal, see [`FeedbackStore::change`]. The future never blocks its thread. The write starts when
    /// it is first polled.
    ///
    /// # Errors
    /// As [`FeedbackStore::change`].
    pub fn change(self: &Arc<Self>, id: String, change: Change) -> impl Future<Output = Result<bool>> + Send + use<> {
        let (this, call, store) = (self.clone(), self.lifetime.begin(), self.store.if_open());
        async move {
            let _call = call?;
            let store = this.opened(store).await?;
            store.change(id, change, this.settings.now_ms()).await
        }
    }

    /// Checks signals, adds their features and encodes them, so that [`Self::record_lines`] can record them together
    /// with others. All signals of one call share `histories`.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] for the first signal that is invalid.
    pub fn write_down(&self, mut records: Vec<Record>, histories: &HistoryCache) -> Result<Lines> {
        self.check_given(&records)?;
        self.complete(&mut records, histories)?;
        Lines::of(records)
    }

    /// Records signals that [`Self::write_down`] has encoded.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub async fn record_lines(self: &Arc<Self>, lines: Vec<Lines>) -> Result<()> {
        let closed = lines.iter().any(Lines::has_closed);
        self.recorded(self.store.open()?.record_lines(lines).await?, closed)
    }

    /// Imports the signals of another log, see [`FeedbackStore::import`]. Signals without features get those of the
    /// last candle that closed before them, if that candle is stored.
    ///
    /// # Errors
    /// As [`FeedbackStore::import`].
    pub async fn import(&self, file: &Path) -> Result<ImportReport> {
        let histories = HistoryCache::default();
        let complete = |records: &mut [Record]| {
            let signals = records.iter_mut().map(|record| &mut record.signal);
            self.add_features(signals.filter(|signal| signal.features.is_none()), &histories);
        };
        self.store.open()?.import(file, complete).await
    }

    /// Writes the closed signals to a CSV file, see [`FeedbackStore::export_csv`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the path leads to one of signalloop's own files; otherwise as
    /// [`FeedbackStore::export_csv`].
    pub fn export_training_data(&self, path: &Path) -> Result<u64> {
        home::check_output(self.settings.home(), "path", path)?;
        self.store.open()?.export_csv(path)
    }

    /// Refuses signals and closings with a time in the future, and impossible outcomes. No price would close a signal
    /// of the future before its time comes.
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

    /// Adds features and the model's forecast to signals that are being recorded.
    fn complete(&self, records: &mut [Record], histories: &HistoryCache) -> Result<()> {
        self.add_features(records.iter_mut().map(|record| &mut record.signal), histories);
        records.iter_mut().try_for_each(|record| record.signal.resolve_trail())?;
        records.iter_mut().for_each(|record| self.add_said(record));
        Ok(())
    }

    /// Adds the model's forecast. A signal that comes with its outcome gets none, because it was not made in advance.
    fn add_said(&self, record: &mut Record) {
        if record.closing.is_none() {
            record.said = self.outcomes.say(&record.signal).map(Said::rounded);
        }
    }

    fn add_features<'a>(&self, signals: impl Iterator<Item = &'a mut Signal>, histories: &HistoryCache) {
        // Bulk recordings come from few markets, so the candles of each are looked up once.
        let mut recents: HashMap<Market, Option<Arc<RecentCandles>>> = HashMap::new();
        let mut older: HashMap<Market, Vec<&mut Signal>> = HashMap::new();
        for signal in signals {
            let market = signal.market();
            // Features are optional: a signal is recorded even if its candles cannot be read.
            let recent =
                recents.entry(market.clone()).or_insert_with_key(|market| self.candles.recent(market).ok().flatten());
            match recent {
                Some(recent) if recent.is_too_short_for(signal) => older.entry(market).or_default().push(signal),
                recent => signal.features = recent.as_ref().and_then(|recent| recent.entry_features(signal)),
            }
        }
        for (market, signals) in older {
            let times: Vec<i64> = signals.iter().map(|signal| signal.timestamp_ms).collect();
            let features = histories.entry_features(&self.candles, &market, &times);
            signals.into_iter().zip(features).for_each(|(signal, features)| signal.features = features);
        }
    }
}
