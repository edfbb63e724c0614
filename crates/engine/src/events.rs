//! The events of a loop, and who listens to them.

use super::FetchProgress;
use domain::symbol::Market;
use domain::time::Clock;
use feedback::{ClosedSignal, IgnoredPrices};
use learning::drift::{EntryDrift, OutcomeDrift};
use learning::performance::{Evidence, Turn};
use parking_lot::RwLock;
use scheduler::{LastRun, Task};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A signal closed, by price or by hand, through this loop.
    SignalClosed(ClosedSignal),
    /// A model went into service.
    ModelPromoted(ModelChange),
    /// A trained model was not good enough to go into service.
    ModelRefused(ModelChange),
    /// An earlier model went back into service.
    ModelRolledBack(ModelChange),
    /// The success rate of a market fell by more than chance explains.
    OutcomeDrift(Market, OutcomeDrift),
    /// The distribution of indicators or features at entry has changed.
    EntryDrift {
        /// Of which market.
        market: Market,
        /// When the first of the recent signals closed, UTC epoch ms.
        since_ms: i64,
        /// What changed, the clearest first; not empty.
        quantities: Vec<EntryDrift>,
    },
    /// Conservative mode began or ended.
    ConservativeMode {
        /// Of which market; `None` is the whole home.
        scope: Option<Market>,
        /// Began, or how it ended.
        turn: Turn,
        /// The results that led to it.
        evidence: Evidence,
        /// The same in words.
        reason: String,
    },
    /// An emergency training began.
    EmergencyTrainingStarted(Vec<Market>),
    /// An emergency training ended.
    EmergencyTrainingFinished {
        /// What was to be trained.
        markets: Vec<Market>,
        /// Those whose new model came into service.
        trained: Vec<Market>,
    },
    /// A task of the scheduler began, in this process.
    TaskStarted {
        /// Which.
        task: Task,
        /// From 1; above, it had failed before.
        attempt: u32,
    },
    /// A market of a task is dealt with.
    TaskProgress {
        /// Which.
        task: Task,
        /// The market.
        market: Market,
        /// Markets dealt with.
        done: usize,
        /// Markets in all.
        total: usize,
    },
    /// The candles of a market take more than a page to fetch, and this is how far it is. Told once a second.
    FetchProgress(FetchProgress),
    /// A task did all that it had to.
    TaskFinished {
        /// Which.
        task: Task,
        /// What it came to.
        run: LastRun,
    },
    /// A task failed, for some markets or all, or was cancelled.
    TaskFailed {
        /// Which.
        task: Task,
        /// What it came to.
        run: LastRun,
        /// When it is tried again, UTC epoch ms; `None` when only at its next due time.
        retry_ms: Option<i64>,
    },
    /// Prices or candles of a symbol were ignored, since one of a later time had been seen; or they count again.
    PricesIgnored(IgnoredPrices),
    /// Something went wrong in the background, where no promise could say so.
    Warning(String),
}

/// A model that went into service, or was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelChange {
    /// Its market.
    pub market: Market,
    /// Its version in the registry.
    pub version: u64,
    /// Why.
    pub reason: String,
}

/// Whether a listener took an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The listener took it.
    Taken,
    /// The listener's queue is full.
    Full,
    /// The listener is gone.
    Gone,
}

/// Listens to events. `tell` must not wait. `dropped` is the number of events before this one that found the queue
/// full.
pub trait EventListener: Send + Sync {
    /// Takes an event, which happened at `at_ms`, UTC epoch ms.
    fn tell(&self, event: &Event, at_ms: i64, dropped: u64) -> Told;
}

/// A listener, and how many events it missed since the last one it took.
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
    /// Without listeners. Events get the time of this clock.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, subscriptions: RwLock::default(), ids: AtomicU64::new(0) }
    }

    /// Adds a listener; the number is for [`Events::unsubscribe`].
    pub fn subscribe(&self, listener: Box<dyn EventListener>) -> u64 {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        self.subscriptions.write().push(Arc::new(Subscription { id, listener, dropped: AtomicU64::new(0) }));
        id
    }

    /// Removes a listener; nothing happens when it is gone already.
    pub fn unsubscribe(&self, id: u64) {
        self.subscriptions.write().retain(|subscription| subscription.id != id);
    }

    /// Removes all listeners.
    pub(super) fn clear(&self) {
        self.subscriptions.write().clear();
    }

    /// Whether nobody listens. Then events need not be created.
    pub fn is_empty(&self) -> bool {
        self.subscriptions.read().is_empty()
    }

    /// Passes an event that happened now to all listeners, without waiting for any.
    pub fn emit(&self, event: &Event) {
        let at_ms = self.clock.now_ms();
        // Called without the lock, because a listener may subscribe or unsubscribe.
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

    /// Takes `room` events, then is full; with no room at all it is gone.
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
