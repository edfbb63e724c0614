//! Who uses a loop. The default loop of a home is one for all environments of the process: worker threads, and modules loaded anew, as
//! Jest does, meet the same store. Each of them opens and closes it for itself: what one has begun ends with its `close()`, and the
//! loop itself when the last has closed it.

use domain::cancel::Cancel;
use domain::error::{Error, Result};
use engine::{self, Options, SignalLoop};
use napi::bindgen_prelude::within_runtime_if_available;
use parking_lot::Mutex;
use report::Dashboard;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::future::pending;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// A home, an exchange and a store.
pub type Key = (PathBuf, Option<String>, Option<String>);

/// A default loop and its users, by number. Gone when the last has left.
struct Shared {
    dashboard: Arc<Dashboard>,
    /// Whether each wants the scheduler to run.
    users: HashMap<u64, bool>,
}

static SHARED: LazyLock<Mutex<HashMap<Key, Shared>>> = LazyLock::new(Mutex::default);

/// An environment's use of a loop: of one of its own, or of a default loop that it may share with others.
pub struct User {
    core: Arc<SignalLoop>,
    dashboard: Arc<Dashboard>,
    /// Where it is shared, and under which number. `None`: nobody else has it.
    seat: Option<(Key, u64)>,
    /// Raised when this user has closed the loop.
    left: Cancel,
    /// How it stood then.
    leaving: OnceLock<Leaving>,
    /// Held for reading by each of its calls under way.
    calls: Arc<RwLock<()>>,
    /// Its listeners to events.
    listeners: Mutex<Vec<u64>>,
}

/// What a user leaves behind.
#[derive(Clone, Copy, PartialEq)]
enum Leaving {
    /// Nobody: the loop ends.
    Last,
    /// Others, none of whom wants the scheduler that it had started.
    WithScheduler,
    /// Others.
    Plain,
}

/// A call under way; closing waits for it to be dropped.
pub struct Call {
    _core: engine::Call,
    _own: OwnedRwLockReadGuard<()>,
}

impl Deref for User {
    type Target = Arc<SignalLoop>;

    fn deref(&self) -> &Arc<SignalLoop> {
        &self.core
    }
}

impl User {
    /// Of a loop that nobody else has.
    pub fn alone(core: Arc<SignalLoop>) -> Arc<Self> {
        Arc::new(Self::new(Arc::new(Dashboard::new(core)), None))
    }

    /// Of the default loop of a home, which is opened if nobody has it open.
    ///
    /// # Errors
    /// As [`SignalLoop::open`].
    pub fn of(key: &Key) -> Result<Arc<Self>> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let mut shared = SHARED.lock();
        let dashboard = match shared.get(key) {
            Some(known) => known.dashboard.clone(),
            None => {
                let (home, exchange_url, store) = key.clone();
                let options = Options { home: Some(home), exchange_url, store, ..Options::default() };
                Arc::new(Dashboard::new(Arc::new(SignalLoop::open(options)?)))
            }
        };
        let known = Shared { dashboard: dashboard.clone(), users: HashMap::new() };
        shared.entry(key.clone()).or_insert(known).users.insert(number, false);
        Ok(Arc::new(Self::new(dashboard, Some((key.clone(), number)))))
    }

    fn new(dashboard: Arc<Dashboard>, seat: Option<(Key, u64)>) -> Self {
        Self {
            core: dashboard.core().clone(),
            dashboard,
            seat,
            left: Cancel::default(),
            leaving: OnceLock::new(),
            calls: Arc::default(),
            listeners: Mutex::default(),
        }
    }

    /// The live view of the loop.
    pub fn dashboard(&self) -> &Arc<Dashboard> {
        &self.dashboard
    }

    /// Whether this user has closed the loop.
    pub fn has_left(&self) -> bool {
        self.left.is_cancelled()
    }

    /// Marks the beginning of a call that [`Self::close`] shall wait for.
    ///
    /// # Errors
    /// [`Error::Closed`] once this user, or the loop, closes.
    pub fn begin(&self) -> Result<Call> {
        if self.has_left() {
            return Err(Error::Closed);
        }
        let own = self.calls.clone().try_read_owned().map_err(|_| Error::Closed)?;
        Ok(Call { _core: self.core.lifetime().begin()?, _own: own })
    }

    /// Waits for `work`, but no longer than until this user closes the loop.
    ///
    /// # Errors
    /// [`Error::Cancelled`] then; else the work's own.
    pub async fn unless_left<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.left.unless(work).await
    }

    /// Waits for `work`, which is told when this user closes the loop.
    pub async fn telling<T>(&self, cancel: &Cancel, work: impl Future<Output = T>) -> T {
        let tell = async {
            let _ = self.left.unless(pending::<Result<()>>()).await;
            cancel.cancel();
            pending().await
        };
        tokio::select! {
            result = work => result,
            never = tell => never,
        }
    }

    /// Remembers a listener to events, to be taken off when this user closes the loop.
    pub fn listens(&self, id: u64) {
        self.listeners.lock().push(id);
    }

    /// Forgets a listener that was taken off.
    pub fn listens_no_more(&self, id: u64) {
        self.listeners.lock().retain(|known| *known != id);
    }

    /// Starts the scheduler, unless it is running; this user wants it to run from then on.
    ///
    /// # Errors
    /// As [`SignalLoop::start_scheduler`].
    pub fn start_scheduler(&self, options: Map<String, Value>) -> Result<()> {
        let _call = self.begin()?;
        // Locked, so that nobody who stops it meanwhile stops this one.
        let mut shared = SHARED.lock();
        within_runtime_if_available(|| self.core.scheduler().start(options))?;
        if let Some(wanted) = self.seat.as_ref().and_then(|(key, number)| shared.get_mut(key)?.users.get_mut(number)) {
            *wanted = true;
        }
        Ok(())
    }

    /// Stops the scheduler, unless another user wants it to run. Returns when it has ended.
    pub async fn stop_scheduler(&self) {
        let ending = {
            let mut shared = SHARED.lock();
            let users = self.seat.as_ref().and_then(|(key, number)| {
                let users = &mut shared.get_mut(key)?.users;
                *users.get_mut(number)? = false;
                Some(users)
            });
            let wanted = match users {
                Some(users) => users.values().any(|wanted| *wanted),
                // Who has left has no say; a loop of its own is its own.
                None => self.seat.is_some(),
            };
            (!wanted).then(|| self.core.scheduler().stop())
        };
        if let Some(ending) = ending {
            ending.await;
        }
    }

    /// Closes the loop for this user: its later calls fail with [`Error::Closed`]. Where nobody else has it, the loop ends. The future
    /// waits for that, or for what this user has begun.
    pub fn close(self: Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let leaving = self.leave();
        match leaving {
            Leaving::Last => self.core.lifetime().refuse_calls(),
            Leaving::WithScheduler | Leaving::Plain => self.stop_listening(),
        }
        let ending = (leaving == Leaving::WithScheduler).then(|| self.core.scheduler().stop());
        async move {
            if leaving == Leaving::Last {
                return self.core.close().await;
            }
            if let Some(ending) = ending {
                ending.await;
            }
            let _no_more_calls = self.calls.write().await;
        }
    }

    /// For an environment that ends without having closed the loop. Nobody may wait any more.
    pub fn abandon(&self) {
        self.stop_listening();
        if self.leave() != Leaving::Plain {
            drop(self.core.scheduler().stop());
        }
    }

    fn stop_listening(&self) {
        self.listeners.lock().drain(..).for_each(|id| self.core.events().unsubscribe(id));
    }

    /// What it leaves behind: the same whenever it is asked.
    fn leave(&self) -> Leaving {
        self.left.cancel();
        *self.leaving.get_or_init(|| {
            let Some((key, number)) = &self.seat else { return Leaving::Last };
            let mut shared = SHARED.lock();
            let Some(known) = shared.get_mut(key) else { return Leaving::Last };
            let wanted = known.users.remove(number).unwrap_or_default();
            if known.users.is_empty() {
                shared.remove(key);
                return Leaving::Last;
            }
            match wanted && !known.users.values().any(|wanted| *wanted) {
                true => Leaving::WithScheduler,
                false => Leaving::Plain,
            }
        })
    }
}
