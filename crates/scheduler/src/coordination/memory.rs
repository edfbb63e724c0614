//! Coordination of a single process whose time is simulated: roles and records are in memory, and both clocks show the
//! simulated time.

use super::{Claim, Coordination, JobQueue, Leader, Role, Seen, VersionedCell};
use crate::{Clocks, Ran, Record, Task};
use domain::error::Result;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use storage::fence::Fence;

/// The records of one process, in memory. Every role is free, because nobody else asks for it.
#[derive(Debug, Default)]
pub struct MemoryCoordination {
    records: Mutex<HashMap<Task, Record>>,
    ran: Mutex<Vec<Ran>>,
}

/// A role that nobody can take away.
struct Own;

impl Claim for Own {
    fn is_in_place(&self) -> bool {
        true
    }

    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    fn fence(&self) -> Option<&Fence> {
        None
    }
}

impl Coordination for MemoryCoordination {
    fn take(&self, _place: Role, _patience: Duration) -> Result<Arc<dyn Claim>> {
        Ok(Arc::new(Own))
    }

    fn record(&self, task: Task) -> Result<Record> {
        Ok(self.records.lock().get(&task).cloned().unwrap_or_default())
    }

    fn save(&self, _claim: &dyn Claim, task: Task, record: &Record, _next_ms: Option<i64>) -> Result<()> {
        self.records.lock().insert(task, record.clone());
        Ok(())
    }

    fn append(&self, _claim: &dyn Claim, ran: &Ran) -> Result<()> {
        self.ran.lock().push(ran.clone());
        Ok(())
    }

    fn newest(&self, most: usize) -> Result<Vec<Ran>> {
        Ok(self.ran.lock().iter().rev().take(most).cloned().collect())
    }

    fn look(&self, task: Task) -> Seen {
        Seen { running: false, record: self.record(task) }
    }

    fn glance(&self, task: Task) -> Seen {
        self.look(task)
    }

    fn leader(&self) -> Option<Leader> {
        None
    }

    /// Both clocks show the simulated time, so that intervals pass with it.
    fn clocks(&self, own_ms: i64) -> Clocks {
        Clocks { wall_ms: own_ms, elapsed: Duration::from_millis(u64::try_from(own_ms).unwrap_or(0)) }
    }

    fn job_queue(&self) -> Option<&dyn JobQueue> {
        None
    }

    fn versioned_cell(&self) -> Option<&dyn VersionedCell> {
        None
    }

    fn close(&self) {}
}
