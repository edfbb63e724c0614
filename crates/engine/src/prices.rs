//! Prices on their way to the store, in the order they were given.

use super::{Event, SignalLoop};
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::{CLOCK_TOLERANCE_MS, format_iso};
use feedback::{ClosedSignal, FeedbackStore, Tick};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::oneshot;

/// The order of the prices of a loop.
///
/// A backend need not wait for one price before it gives the next, and tasks may run in any order. Yet a later price must
/// not be seen first: the earlier one would then be out of date, and a stop loss that it touched would be missed.
#[derive(Debug, Default)]
pub struct Turns(Mutex<Option<oneshot::Receiver<()>>>);

/// A place in the order. The next one begins when it is dropped.
#[derive(Debug)]
pub struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _done: oneshot::Sender<()>,
}

impl Turns {
    /// The next place.
    pub fn take(&self) -> Turn {
        let (done, next) = oneshot::channel();
        Turn { before: self.0.lock().replace(next), _done: done }
    }

    /// Whether all that was given before has had its turn.
    pub fn are_over(&self) -> bool {
        let mut last = self.0.lock();
        // Nothing is ever sent: an empty channel is a turn still held, a closed one is over, and must not be asked again.
        if last.as_mut().is_some_and(|last| last.try_recv() == Err(oneshot::error::TryRecvError::Closed)) {
            *last = None;
        }
        last.is_none()
    }
}

impl Turn {
    /// Begins `work` when its turn has come. The turn is over once the work waits for something, such as the disk: what the
    /// prices hit has been decided then, and later prices may share the write.
    async fn run<T>(mut self, work: impl Future<Output = T>) -> T {
        if let Some(before) = self.before.take() {
            // An error means that the one before is done: it never sends anything.
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

impl SignalLoop {
    /// Refuses what claims to come from the future, such as a candle that has not closed yet: all real prices until then
    /// would count as out of date, and what they hit would be missed.
    pub fn check_not_ahead(&self, argument: &'static str, time_ms: i64) -> Result<()> {
        if time_ms <= self.options.clock.latest_ms() + CLOCK_TOLERANCE_MS {
            return Ok(());
        }
        Err(Error::argument(
            argument,
            format!(
                "must not end in the future: give prices as they come, candles once closed. This machine's clock shows {}",
                format_iso(self.now_ms())
            ),
            format_iso(time_ms),
        ))
    }

    /// A place in the order of prices: taken when a price is given, used when it is looked at.
    pub fn turn(&self) -> Turn {
        self.turns.take()
    }

    /// `true` when it can be told at once, without waiting for anyone, that a price closes nothing; without a time it is one
    /// of now.
    pub fn closes_nothing(&self, symbol: &Symbol, price: f64, time_ms: Option<i64>) -> bool {
        self.turns.are_over()
            && self.open_store().is_some_and(|store| match time_ms {
                Some(time_ms) => store.closes_nothing(symbol, price, time_ms),
                None => store.closes_nothing_now(symbol, price, self.now_ms()),
            })
    }

    /// Closes what prices hit, in their turn.
    pub async fn on_prices(self: &Arc<Self>, turn: Turn, ticks: &[Tick<'_>]) -> Result<Vec<ClosedSignal>> {
        let store = self.store()?;
        let closed = turn.run(store.on_prices(ticks)).await;
        self.after_prices(&store, closed)
    }

    /// Closes what prices of now hit, in their turn, whatever this machine's clock shows:
    /// [`FeedbackStore::on_prices_now`].
    pub async fn on_prices_now(self: &Arc<Self>, turn: Turn, ticks: &[Tick<'_>]) -> Result<Vec<ClosedSignal>> {
        let store = self.store()?;
        let closed = turn.run(store.on_prices_now(ticks)).await;
        self.after_prices(&store, closed)
    }

    /// Closes what a closed candle of a market hits, in its turn, and keeps the candle until it is stored: signals recorded from now
    /// on know it.
    pub async fn on_candle(
        self: &Arc<Self>,
        turn: Turn,
        symbol: &Symbol,
        candle: &Candle,
        timeframe: Timeframe,
    ) -> Result<Vec<ClosedSignal>> {
        self.feed(Market { symbol: symbol.clone(), timeframe }, *candle);
        let store = self.store()?;
        let closed = turn.run(store.on_candle(symbol, candle, timeframe.millis())).await;
        self.after_prices(&store, closed)
    }

    fn after_prices(
        self: &Arc<Self>,
        store: &FeedbackStore,
        closed: Result<Vec<ClosedSignal>>,
    ) -> Result<Vec<ClosedSignal>> {
        // Also where what others hit could not be written.
        store.ignored_news().into_iter().for_each(|ignored| self.emit(&Event::PricesIgnored(ignored)));
        let closed = closed?;
        self.after_closing(&closed);
        self.prepare();
        Ok(closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn work_begins_in_the_order_of_the_turns_and_may_overlap_once_it_waits() {
        for _ in 0..50 {
            let (turns, begun) = (Turns::default(), Arc::new(Mutex::new(Vec::new())));
            let (release, wait) = tokio::sync::watch::channel(false);
            let mut tasks = tokio::task::JoinSet::new();
            let places: Vec<Turn> = (0..20).map(|_| turns.take()).collect();
            assert!(!turns.are_over());
            // Started backwards; each waits for something once it has begun.
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
