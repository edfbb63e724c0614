//! The thread that all is done on that is said to a database, and how callers wait for it.

use domain::error::{Error, Resource, Result, because};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

/// How long a call waits for the database in all, whatever happens to it meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A database, with a thread of its own for all that is said to it.
pub(crate) struct Database {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Database {
    /// Starts the thread; nothing is said yet.
    ///
    /// # Errors
    /// [`Error::Storage`] when there is no thread to be had.
    pub fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("signalloop-postgres")
            .enable_all()
            .build()
            .map_err(|e| Error::storage(Resource::Database, because("cannot start a thread", e)))?;
        Ok(Self { runtime: Some(runtime) })
    }

    pub(super) fn handle(&self) -> Result<&Handle> {
        self.runtime.as_ref().map(Runtime::handle).ok_or(Error::Closed)
    }

    /// Begins work that nobody waits for; it ends with the database.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.handle()?.spawn(work);
        Ok(())
    }

    /// Waits for work, on the caller's thread. A caller that is a task of a runtime leaves its thread's other tasks to
    /// another one.
    pub fn wait<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let answer = Arc::new(parking_lot::Mutex::new(None));
        let place = answer.clone();
        self.wait_until_done(Box::pin(async move {
            let done = work.await;
            *place.lock() = Some(done);
        }))?;
        answer.lock().take().unwrap_or_else(lost)
    }

    /// What of [`Self::wait`] is the same for all work.
    fn wait_until_done(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.handle()?.spawn(async move {
            work.await;
            // The caller is still there: it waits.
            let _ = reply.send(());
        });
        let wait = || answer.recv().or_else(|_| lost());
        match Handle::try_current().map(|current| current.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }

    /// [`Self::wait`] for work with something that one at a time may have. If it is not to be had by `deadline`, nothing is
    /// done, and `late` says why.
    pub fn wait_with<S, T, F>(
        &self,
        shared: &Arc<Mutex<S>>,
        deadline: Instant,
        work: impl FnOnce(OwnedMutexGuard<S>, Instant) -> F + Send + 'static,
        late: impl FnOnce() -> Error + Send + 'static,
    ) -> Result<T>
    where
        S: Send + 'static,
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        let shared = shared.clone();
        self.wait(async move {
            match timeout_at(deadline, shared.lock_owned()).await {
                Ok(own) => work(own, deadline).await,
                Err(_) => Err(late()),
            }
        })
    }
}

fn lost<T>() -> Result<T> {
    Err(Error::Internal("the thread of the database ended without an answer".to_owned()))
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its end would not be allowed in a task of another runtime.
            runtime.shutdown_background();
        }
    }
}
