//! Users of a loop. All environments of the process share the default loop of a home: worker threads, and modules loaded again,
//! as Jest does, use the same store. Each of them opens and closes it separately: `close()` ends what this environment started,
//! and the last one to close it ends the loop.

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

/// A default loop and its users, by number. Removed when the last user has left.
struct Shared {
    dashboard: Arc<Dashboard>,
    /// For each user, whether it wants the scheduler to run.
    users: HashMap<u64, bool>,
}

static SHARED: LazyLock<Mutex<HashMap<Key, Shared>>> = LazyLock::new(Mutex::default);

/// An environment's use of a loop: either its own, or a default loop that it may share with others.
pub struct User {
    core: Arc<SignalLoop>,
    dashboard: Arc<Dashboard>,
    /// Where the loop is shared, and the number of this user. `None` if nobody shares it.
    seat: Option<(Key, u64)>,
    /// Set when this user has closed the loop.
    left: Cancel,
    /// What this user left behind when it closed the loop.
    leaving: OnceLock<Leaving>,
    /// Held for reading by each running call of this user.
    calls: Arc<RwLock<()>>,
    /// Its event listeners.
    listeners: Mutex<Vec<u64>>,
}

/// The state of the loop after a user has left.
#[derive(Clone, Copy, PartialEq)]
enum Leaving {
    /// No user is left: the loop ends.
    Last,
    /// Other users are left, and none of them wants the scheduler that this user had started.
    WithScheduler,
    /// Other users are left.
    Plain,
}

/// A running call; closing waits until it is dropped.
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
    /// The user of a loop that nobody else uses.
    pub fn alone(core: Arc<SignalLoop>) -> Arc<Self> {
        Arc::new(Self::new(Arc::new(Dashboard::new(core)), None))
    }

    /// A user of the default loop of a home, which is opened if nobody has it open.
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

    /// Marks the start of a call that [`Self::close`] waits for.
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
    /// [`Error::Cancelled`] in that case; otherwise the work's own error.
    pub async fn unless_left<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.left.unless(work).await
    }

    /// Waits for `work`, which is notified when this user closes the loop.
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

    /// Stores an event listener, to be removed when this user closes the loop.
    pub fn listens(&self, id: u64) {
        self.listeners.lock().push(id);
    }

    /// Forgets a listener that was removed.
    pub fn listens_no_more(&self, id: u64) {
        self.listeners.lock().retain(|known| *known != id);
    }

    /// Starts the scheduler, unless it is running; from now on this user wants it to run.
    ///
    /// # Errors
    /// As [`SignalLoop::start_scheduler`].
    pub fn start_scheduler(&self, options: Map<String, Value>) -> Result<()> {
        let _call = self.begin()?;
        // Locked, so that a simultaneous stop does not stop this scheduler.
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
                // A user that has left cannot stop the scheduler; the user of an own loop always can.
                None => self.seat.is_some(),
            };
            (!wanted).then(|| self.core.scheduler().stop())
        };
        if let Some(ending) = ending {
            ending.await;
        }
    }

    /// Closes the loop for this user: its later calls fail with [`Error::Closed`]. If nobody else uses the loop, the loop ends.
    /// The future waits for that, or for the running work of this user.
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

    /// For an environment that ends without having closed the loop. It must not wait.
    pub fn abandon(&self) {
        self.stop_listening();
        if self.leave() != Leaving::Plain {
            drop(self.core.scheduler().stop());
        }
    }

    fn stop_listening(&self) {
        self.listeners.lock().drain(..).for_each(|id| self.core.events().unsubscribe(id));
    }

    /// The state after this user has left; the same result at every call.
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
