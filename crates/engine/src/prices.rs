//! Passes prices to the store in the order in which they were given.

use super::{Event, Signals};
use domain::answer::Answer;
use domain::candle::Candle;
use domain::error::Result;
use domain::symbol::{Market, Symbol, Timeframe};
use feedback::{ClosedSignal, FeedbackStore, Tick};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::oneshot;

/// Keeps the prices of a loop in order.
///
/// A backend may give the next price without waiting for the one before, and async tasks may run in any order. But the
/// store must not see a later price first: it would ignore the earlier one as outdated, and miss a stop loss that the
/// earlier one touched.
#[derive(Debug, Default)]
pub struct PriceOrder(Mutex<Option<oneshot::Receiver<()>>>);

/// A price's position in the order. The next position starts when this one is dropped.
#[derive(Debug)]
pub struct PriceTurn {
    before: Option<oneshot::Receiver<()>>,
    _done: oneshot::Sender<()>,
}

impl PriceOrder {
    /// Takes the next position.
    pub fn take(&self) -> PriceTurn {
        let (done, next) = oneshot::channel();
        PriceTurn { before: self.0.lock().replace(next), _done: done }
    }

    /// Whether all earlier prices have been processed.
    pub fn are_over(&self) -> bool {
        let mut last = self.0.lock();
        // Nothing is ever sent on the channel. An empty channel means that its position is still held. A closed channel
        // means that the position is done; it must not be polled again.
        if last.as_mut().is_some_and(|last| last.try_recv() == Err(oneshot::error::TryRecvError::Closed)) {
            *last = None;
        }
        last.is_none()
    }
}

impl PriceTurn {
    /// Starts `work` when all earlier prices have been processed. The next position starts as soon as the work waits
    /// for something, such as the disk. By then it is decided which signals the prices hit, and later prices may share
    /// the write.
    async fn run<T>(mut self, work: impl Future<Output = T>) -> T {
        if let Some(before) = self.before.take() {
            // An error means that the earlier position is done. Nothing is ever sent.
            let _ = before.await;
        }
        let mut work = pin!(work);
        let begun = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        drop(self);
        match begun {
            Poll::Ready(result) => result,
            Poll::Pending => work.await,
        }
    }
}

impl Signals {
    /// Closes the signals that a price hits, after all earlier prices. Without a time, it is the current price,
    /// whatever this machine's clock shows. Nearly every price closes nothing; the answer is then ready at once.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidArgument`] for an impossible price or time; [`domain::error::Error::Storage`],
    /// [`domain::error::Error::Closed`].
    pub fn on_price(
        self: &Arc<Self>,
        symbol: Symbol,
        price: f64,
        time_ms: Option<i64>,
    ) -> Answer<Result<Vec<ClosedSignal>>> {
        if let Err(error) = time_ms.map_or(Ok(()), |time_ms| self.settings.check_not_ahead("timeMs", time_ms)) {
            return Answer::Ready(Err(error));
        }
        if self.closes_nothing(&symbol, price, time_ms) {
            return Answer::Ready(Ok(Vec::new()));
        }
        let (this, turn) = (self.clone(), self.turn());
        Answer::pending(async move {
            let tick = |time_ms| [Tick { symbol: &symbol, price, time_ms }];
            match time_ms {
                Some(time_ms) => this.on_prices(turn, &tick(time_ms)).await,
                None => this.on_prices_now(turn, &tick(this.settings.now_ms())).await,
            }
        })
    }

    /// Whether it is certain, without waiting, that the price closes no signal.
    fn closes_nothing(&self, symbol: &Symbol, price: f64, time_ms: Option<i64>) -> bool {
        self.order.are_over()
            && self.store.if_open().is_some_and(|store| match time_ms {
                Some(time_ms) => store.closes_nothing(symbol, price, time_ms),
                None => store.closes_nothing_now(symbol, price, self.settings.now_ms()),
            })
    }

    /// Takes a position in the order of prices. Take it when prices are given, and use it when they are passed on.
    pub fn turn(&self) -> PriceTurn {
        self.order.take()
    }

    /// Closes the signals that these prices hit, after all earlier prices.
    pub async fn on_prices(self: &Arc<Self>, turn: PriceTurn, ticks: &[Tick<'_>]) -> Result<Vec<ClosedSignal>> {
        let store = self.store.open()?;
        let closed = turn.run(store.on_prices(ticks)).await;
        self.after_prices(&store, closed)
    }

    /// Closes the signals that current prices hit, after all earlier prices, whatever this machine's clock shows; see
    /// [`FeedbackStore::on_prices_now`].
    pub async fn on_prices_now(self: &Arc<Self>, turn: PriceTurn, ticks: &[Tick<'_>]) -> Result<Vec<ClosedSignal>> {
        let store = self.store.open()?;
        let closed = turn.run(store.on_prices_now(ticks)).await;
        self.after_prices(&store, closed)
    }

    /// Closes the signals that a closed candle hits, after all earlier prices. The candle is kept in memory until it is
    /// stored, so the features of signals recorded from now on include it.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidArgument`] for a candle that has not closed yet;
    /// [`domain::error::Error::InvalidCandle`]; [`domain::error::Error::Storage`], [`domain::error::Error::Closed`].
    pub fn on_candle(
        self: &Arc<Self>,
        symbol: Symbol,
        candle: Candle,
        timeframe: Timeframe,
    ) -> Answer<Result<Vec<ClosedSignal>>> {
        if let Err(error) = self.settings.check_not_ahead("candle", candle.open_ms + timeframe.millis()) {
            return Answer::Ready(Err(error));
        }
        let (this, turn) = (self.clone(), self.turn());
        Answer::pending(async move {
            this.candles.feed(Market { symbol: symbol.clone(), timeframe }, candle);
            let store = this.store.open()?;
            let closed = turn.run(store.on_candle(&symbol, &candle, timeframe.millis())).await;
            this.after_prices(&store, closed)
        })
    }

    fn after_prices(
        self: &Arc<Self>,
        store: &FeedbackStore,
        closed: Result<Vec<ClosedSignal>>,
    ) -> Result<Vec<ClosedSignal>> {
        // Ignored prices are reported even if the closings could not be written.
        store.ignored_news().into_iter().for_each(|ignored| self.events.emit(&Event::PricesIgnored(ignored)));
        let closed = closed?;
        self.checks.after_closing(&closed);
        if !closed.is_empty() {
            self.outcomes.learn_soon();
        }
        self.outcomes.prepare();
        Ok(closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn work_begins_in_the_order_of_the_turns_and_may_overlap_once_it_waits() {
        for _ in 0..50 {
            let (turns, begun) = (PriceOrder::default(), Arc::new(Mutex::new(Vec::new())));
            let (release, wait) = tokio::sync::watch::channel(false);
            let mut tasks = tokio::task::JoinSet::new();
            let places: Vec<PriceTurn> = (0..20).map(|_| turns.take()).collect();
            assert!(!turns.are_over());
            // The positions are started in reverse order. Each waits for something once it has started.
            for (number, turn) in places.into_iter().enumerate().rev() {
                let (begun, mut wait) = (begun.clone(), wait.clone());
                tasks.spawn(turn.run(async move {
                    begun.lock().push(number);
                    let _ = wait.wait_for(|released| *released).await;
                }));
            }
            while begun.lock().len() < 20 {
                tokio::task::yield_now().await;
            }
            release.send_replace(true);
            tasks.join_all().await;
            assert_eq!(*begun.lock(), (0..20).collect::<Vec<_>>());
            assert!(turns.are_over());
            drop(turns.take());
            assert!(turns.are_over() && turns.are_over(), "a turn given up is over too");
            assert_eq!(turns.take().run(async { 7 }).await, 7, "and the next one begins at once");
        }
    }
}
