//! The events of a loop, and its listeners.

use super::FetchProgress;
use domain::symbol::Market;
use domain::time::Clock;
use feedback::{ChangedSignal, ClosedSignal, IgnoredPrices};
use learning::drift::{EntryDrift, OutcomeDrift};
use learning::performance::{LiveEvidence, Turn};
use parking_lot::RwLock;
use scheduler::{LastRun, Task};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A signal was closed through this loop, by price or by hand.
    SignalClosed(ClosedSignal),
    /// Something else happened to a managed signal: its entry, a target, a moved stop, an amendment, its cancellation.
    SignalChanged(ChangedSignal),
    /// A model went into service.
    ModelPromoted(ModelChange),
    /// A trained model was not good enough to go into service.
    ModelRefused(ModelChange),
    /// An earlier model went back into service.
    ModelRolledBack(ModelChange),
    /// The success rate of a market fell by more than chance can explain.
    OutcomeDrift(Market, OutcomeDrift),
    /// The distribution of the indicators or features at entry has changed.
    EntryDrift {
        /// The market.
        market: Market,
        /// When the first of the recent signals closed, UTC epoch ms.
        since_ms: i64,
        /// What changed, the clearest change first. Never empty.
        quantities: Vec<EntryDrift>,
    },
    /// Conservative mode began or ended.
    ConservativeMode {
        /// The market; `None` means the whole home.
        scope: Option<Market>,
        /// Whether it began, or how it ended.
        turn: Turn,
        /// The results that caused it.
        evidence: LiveEvidence,
        /// The reason, in words.
        reason: String,
    },
    /// An emergency training began.
    EmergencyTrainingStarted(Vec<Market>),
    /// An emergency training ended.
    EmergencyTrainingFinished {
        /// The markets that were to be trained.
        markets: Vec<Market>,
        /// The markets whose new model went into service.
        trained: Vec<Market>,
    },
    /// A scheduler task began in this process.
    TaskStarted {
        /// The task.
        task: Task,
        /// The number of the attempt, from 1. If it is higher, the earlier attempts failed.
        attempt: u32,
    },
    /// A task has finished one of its markets.
    TaskProgress {
        /// The task.
        task: Task,
        /// The market.
        market: Market,
        /// The number of markets finished.
        done: usize,
        /// The total number of markets.
        total: usize,
    },
    /// Progress of fetching a market that needs more than one page. Reported at most once a second.
    FetchProgress(FetchProgress),
    /// A task succeeded.
    TaskFinished {
        /// The task.
        task: Task,
        /// Its result.
        run: LastRun,
    },
    /// A task failed for some or all markets, or was cancelled.
    TaskFailed {
        /// The task.
        task: Task,
        /// Its result.
        run: LastRun,
        /// When it is tried again, UTC epoch ms; `None` if not before its next due time.
        retry_ms: Option<i64>,
    },
    /// Prices or candles of a symbol were ignored because a later one had been seen, or they are used again.
    PricesIgnored(IgnoredPrices),
    /// Something failed in the background, where no promise could report it.
    Warning(String),
}

/// A model that went into service, or that was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelChange {
    /// Its market.
    pub market: Market,
    /// Its version in the registry.
    pub version: u64,
    /// The reason.
    pub reason: String,
}

/// Whether a listener accepted an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The listener accepted it.
    Taken,
    /// The listener's queue is full.
    Full,
    /// The listener is gone.
    Gone,
}

/// A listener for events. `tell` must not wait. `dropped` is the number of earlier events that were lost because the
/// queue was full.
pub trait EventListener: Send + Sync {
    /// Takes an event that happened at `at_ms`, UTC epoch ms.
    fn tell(&self, event: &Event, at_ms: i64, dropped: u64) -> Told;
}

/// A listener, and the number of events it missed since the last one it accepted.
struct Subscription {
    id: u64,
    listener: Box<dyn EventListener>,
    dropped: AtomicU64,
}

/// The listeners of a loop.
pub struct Events {
    clock: Clock,
    subscriptions: RwLock<Vec<Arc<Subscription>>>,
    ids: AtomicU64,
}

impl Events {
    /// Starts without listeners. Events get their time from this clock.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, subscriptions: RwLock::default(), ids: AtomicU64::new(0) }
    }

    /// Adds a listener. The returned number is for [`Events::unsubscribe`].
    pub fn subscribe(&self, listener: Box<dyn EventListener>) -> u64 {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        self.subscriptions.write().push(Arc::new(Subscription { id, listener, dropped: AtomicU64::new(0) }));
        id
    }

    /// Removes a listener. Does nothing if it is already gone.
    pub fn unsubscribe(&self, id: u64) {
        self.subscriptions.write().retain(|subscription| subscription.id != id);
    }

    /// Removes all listeners.
    pub(super) fn clear(&self) {
        self.subscriptions.write().clear();
    }

    /// Whether there are no listeners. Then events need not be created.
    pub fn is_empty(&self) -> bool {
        self.subscriptions.read().is_empty()
    }

    /// Sends an event, which happened now, to all listeners, without waiting for them.
    pub fn emit(&self, event: &Event) {
        let at_ms = self.clock.now_ms();
        // Listeners are called without the lock, because they may subscribe or unsubscribe.
        let subscriptions = self.subscriptions.read().clone();
        for subscription in subscriptions {
            let dropped = subscription.dropped.swap(0, Ordering::Relaxed);
            match subscription.listener.tell(event, at_ms, dropped) {
                Told::Taken => {}
                Told::Full => {
                    subscription.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
                }
                Told::Gone => self.unsubscribe(subscription.id),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    /// Accepts `room` events and is full after that. Without any room it counts as gone.
    struct Slow {
        room: Arc<Mutex<usize>>,
        heard: Arc<Mutex<Vec<(String, u64)>>>,
    }

    impl EventListener for Slow {
        fn tell(&self, event: &Event, _at_ms: i64, dropped: u64) -> Told {
            let mut room = self.room.lock();
            let Event::Warning(text) = event else { return Told::Gone };
            if *room == 0 {
                return Told::Full;
            }
            *room -= 1;
            self.heard.lock().push((text.clone(), dropped));
            Told::Taken
        }
    }

    #[test]
    fn what_a_full_listener_missed_is_told_with_the_next_event() {
        let (room, heard) = (Arc::new(Mutex::new(2)), Arc::default());
        let events = Events::new(Clock::standing(0));
        assert!(events.is_empty());
        let id = events.subscribe(Box::new(Slow { room: room.clone(), heard: Arc::clone(&heard) }));
        (0..5).for_each(|i| events.emit(&Event::Warning(i.to_string())));
        *room.lock() = 2;
        (5..7).for_each(|i| events.emit(&Event::Warning(i.to_string())));
        let expected = [("0", 0), ("1", 0), ("5", 3), ("6", 0)].map(|(text, dropped)| (text.to_owned(), dropped));
        assert_eq!(*heard.lock(), expected);
        events.unsubscribe(id);
        events.emit(&Event::Warning("late".into()));
        assert_eq!(heard.lock().len(), 4);
    }

    #[test]
    fn a_listener_that_is_gone_is_forgotten() {
        let events = Events::new(Clock::standing(0));
        events.subscribe(Box::new(Slow { room: Arc::default(), heard: Arc::default() }));
        events.emit(&Event::EmergencyTrainingStarted(Vec::new()));
        assert!(events.is_empty());
    }
}
