//! What an open store does on the side, on a thread of its own, so that no caller waits for it: a snapshot where opening
//! had much to read, and a compaction once much of the log is history.

use super::compact::{self, Compaction, Copy};
use super::log::Log;
use domain::error::{Error, Result};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// The thread, and what wakes it.
pub struct Upkeep {
    log: Arc<Log>,
    wake: mpsc::SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Upkeep {
    /// Starts it. `swap` has the writer put a compacted log in the place of the log.
    pub fn start(
        log: &Arc<Log>,
        swap: impl Fn(Copy) -> Result<Option<Compaction>> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (wake, woken) = mpsc::sync_channel(1);
        let of = log.clone();
        let thread = std::thread::Builder::new().name("signalloop-upkeep".to_owned()).spawn(move || {
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

    /// To be called when the log has grown. Never blocks.
    pub fn grown(&self) {
        if self.log.view.read().is_mostly_history() {
            // It is awake already if this fails.
            let _ = self.wake.try_send(());
        }
    }

    /// Ends it; what it is doing comes to its end, or to nothing, first.
    pub fn end(self) {
        drop(self.wake);
        // A panic in there was reported by the thread, and the log is as good as it was.
        let _ = self.thread.join();
    }
}

/// Compacts the log if it is still worth it and nobody else is at it; returns the length below which not to try again.
fn tend(log: &Log, swap: &impl Fn(Copy) -> Result<Option<Compaction>>) -> u64 {
    let compacted = domain::error::guard(|| compact::compact_if_worth_it(log, swap));
    match compacted {
        Ok(_) | Err(Error::Busy { .. }) => 0,
        // Say, a full disk: a log that cannot be compacted is still a good log. Not again with each signal.
        Err(_) => log.view.read().covered.len * 5 / 4,
    }
}
