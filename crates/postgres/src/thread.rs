//! The thread for all communication with a database, and how callers wait for it.

use domain::error::{Error, Resource, Result, because};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

/// How long a call waits for the database in total.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A database with its own thread for all communication.
pub(crate) struct Database {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Database {
    /// Starts the thread; does not connect.
    ///
    /// # Errors
    /// [`Error::Storage`] if no thread can be started.
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

    /// Starts background work, which ends with the database.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.handle()?.spawn(work);
        Ok(())
    }

    /// Runs work and blocks the caller's thread until it is done. If the caller is a task of a runtime, the thread's other tasks
    /// move to another thread.
    pub fn wait<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let answer = Arc::new(parking_lot::Mutex::new(None));
        let place = answer.clone();
        self.wait_until_done(Box::pin(async move {
            let done = work.await;
            *place.lock() = Some(done);
        }))?;
        answer.lock().take().unwrap_or_else(lost)
    }

    /// The part of [`Self::wait`] that does not depend on the type of the work.
    fn wait_until_done(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.handle()?.spawn(async move {
            work.await;
            // The caller still waits.
            let _ = reply.send(());
        });
        let wait = || answer.recv().or_else(|_| lost());
        match Handle::try_current().map(|current| current.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }

    /// [`Self::wait`] for work that needs exclusive access to `shared`. If access is not available by `deadline`, nothing is
    /// done, and `late` gives the error.
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
            // Blocking is not allowed inside a task of another runtime.
            runtime.shutdown_background();
        }
    }
}
