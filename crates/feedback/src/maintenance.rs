//! Maintenance of an open store on a background thread, so that no caller waits for it: writing a snapshot if opening had to read
//! much, and compacting a log that is mostly history.

use super::compact::{self, CompactedLog, Compaction};
use super::log::Log;
use domain::error::{Error, Result};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// The thread, and how to wake it.
pub struct Maintenance {
    log: Arc<Log>,
    wake: mpsc::SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Maintenance {
    /// Starts the thread. `swap` has the writer replace the log by its compacted copy.
    pub fn start(
        log: &Arc<Log>,
        swap: impl Fn(CompactedLog) -> Result<Option<Compaction>> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (wake, woken) = mpsc::sync_channel(1);
        let of = log.clone();
        let thread = std::thread::Builder::new().name("signalloop-maintenance".to_owned()).spawn(move || {
            of.save_snapshot();
            let mut not_before = 0;
            while woken.recv().is_ok() {
                if of.view.read().covered.len >= not_before {
                    not_before = tend(&of, &swap);
                }
            }
        })?;
        Ok(Self { log: log.clone(), wake, thread })
    }

    /// Call this when the log has grown. Never blocks.
    pub fn grown(&self) {
        if self.log.view.read().is_mostly_history() {
            // If this fails, the thread is awake already.
            let _ = self.wake.try_send(());
        }
    }

    /// Ends the thread; work under way finishes or stops first.
    pub fn end(self) {
        drop(self.wake);
        // A panic was reported by the thread, and does not harm the log.
        let _ = self.thread.join();
    }
}

/// Compacts the log if it is still worthwhile and no other process is doing so. Returns the length below which not to try again.
fn tend(log: &Log, swap: &impl Fn(CompactedLog) -> Result<Option<Compaction>>) -> u64 {
    let compacted = domain::error::guard(|| compact::compact_if_worth_it(log, swap));
    match compacted {
        Ok(_) | Err(Error::Busy { .. }) => 0,
        // Say, a full disk: a log that cannot be compacted is still a good log. Not again with each signal.
        Err(_) => log.view.read().covered.len * 5 / 4,
    }
}
