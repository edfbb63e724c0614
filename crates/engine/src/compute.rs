//! The threads that compute for a loop. They keep long work off Node's event loop and off the runtime's threads.

use super::settings::Settings;
use domain::config::ParallelTraining;
use domain::error::{Error, Result, guard};
use parking_lot::Mutex;
use std::sync::Arc;

/// Threads for training and other long computations, started at first use.
pub(super) struct ComputeThreads {
    settings: Arc<Settings>,
    /// The number of threads that the options ask for, if any.
    wanted: Option<usize>,
    pool: Mutex<Option<Arc<rayon::ThreadPool>>>,
}

impl ComputeThreads {
    /// Starts no threads yet. `wanted` is their number; the default is one less than the machine has cores, but at
    /// least one.
    pub fn new(settings: Arc<Settings>, wanted: Option<usize>) -> Self {
        Self { settings, wanted, pool: Mutex::default() }
    }

    /// Runs work on these threads. A panic in it becomes [`Error::Internal`].
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        // Boxed, so that rayon's generic code is compiled only once.
        let work: Box<dyn FnOnce() + Send> = Box::new(move || {
            // The receiver is gone only if the caller has stopped waiting.
            let _ = reply.send(guard(work));
        });
        self.pool()?.spawn(work);
        answer.await.map_err(|_| Error::Internal("a training thread ended early".to_owned()))?
    }

    /// The number of markets trained at the same time.
    pub fn trainings_at_once(&self) -> usize {
        match self.settings.config().parallel_training {
            ParallelTraining::Threads => self.threads(),
            ParallelTraining::Number(trainings) => trainings,
        }
    }

    /// Lets the threads finish their current work, then ends them.
    pub fn close(&self) {
        self.pool.lock().take();
    }

    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.wanted.unwrap_or_else(|| cores.saturating_sub(1).max(1));
        match self.settings.config().parallel_training {
            ParallelTraining::Threads => threads,
            ParallelTraining::Number(trainings) => threads.max(trainings),
        }
    }

    fn pool(&self) -> Result<Arc<rayon::ThreadPool>> {
        let (threads, mut pool) = (self.threads(), self.pool.lock());
        // A pool of a different size finishes its current work and then ends.
        if let Some(pool) = pool.as_ref().filter(|pool| pool.current_num_threads() == threads) {
            return Ok(pool.clone());
        }
        let built = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("signalloop-{i}"))
            .build()
            .map_err(|e| Error::Internal(format!("cannot start training threads: {e}")))?;
        Ok(pool.insert(Arc::new(built)).clone())
    }
}
