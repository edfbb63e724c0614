//! Coordination through the home's folder `scheduler/`: file locks, which end with their process, and small files.

use super::{Claim, Coordination, JobQueue, Leader, Role, Seen, VersionedCell};
use crate::history::{append as append_history, newest as newest_history};
use crate::{Clocks, Ran, Record, Task};
use domain::error::{Error, Resource, Result};
use domain::time::{format_iso, now_ms};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::disk::{Disk, Lock, StoredFile};
use storage::fence::Fence;
use storage::lock::{FileLock, Guard};
use storage::machine;
use storage::{create_folder, write_atomically};

/// Coordination of the processes of one machine.
pub struct FolderCoordination(PathBuf);

impl FolderCoordination {
    /// Uses this folder, which is created on first use.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }
}

impl Coordination for FolderCoordination {
    fn take(&self, place: Role, patience: Duration) -> Result<Arc<dyn Claim>> {
        Ok(Arc::new(take(&self.0, place, patience)?))
    }

    fn record(&self, task: Task) -> Result<Record> {
        Record::load(&self.0, task)
    }

    fn save(&self, _hold: &dyn Claim, task: Task, record: &Record, _next_ms: Option<i64>) -> Result<()> {
        record.save(&self.0, task)
    }

    fn append(&self, _hold: &dyn Claim, ran: &Ran) -> Result<()> {
        append_history(&self.0, ran)
    }

    fn newest(&self, most: usize) -> Result<Vec<Ran>> {
        newest_history(&self.0, most)
    }

    fn look(&self, task: Task) -> Seen {
        let record = self.record(task);
        // An attempt without an end is still running, or was interrupted; its lock tells which.
        let begun = record.as_ref().is_ok_and(|record| record.attempt > 0) && self.0.is_dir();
        let taken = || matches!(take(&self.0, Role::Task(task), Duration::ZERO), Err(Error::TaskBusy(_)));
        Seen { running: begun && taken(), record }
    }

    fn glance(&self, task: Task) -> Seen {
        self.look(task)
    }

    fn leader(&self) -> Option<Leader> {
        // A killed process leaves this file behind, but not the lock. Without the file the lock is not touched, so that a look
        // never gets in the way of a process about to lead.
        let leader = serde_json::from_slice(&std::fs::read(leader_file(&self.0)).ok()?).ok()?;
        let lock = std::fs::File::open(lock_file(&self.0, Role::Leader)).ok()?;
        // The lock is released with its handle, which is closed here.
        let free = StoredFile::try_lock(&lock, Lock::Shared).unwrap_or(false);
        (!free).then_some(leader)
    }

    fn clocks(&self, own_ms: i64) -> Clocks {
        Clocks::now(own_ms)
    }

    fn job_queue(&self) -> Option<&dyn JobQueue> {
        None
    }

    fn versioned_cell(&self) -> Option<&dyn VersionedCell> {
        None
    }

    fn close(&self) {}
}

/// A locked file.
struct Locked {
    file: FileLock,
    /// What says to others who has it.
    says: Option<PathBuf>,
    _guard: Guard,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // If the lock file was deleted, another process may lead by now.
        if let Some(says) = self.says.as_ref().filter(|_| self.is_in_place()) {
            // A file that stays behind does no harm: the lock decides.
            let _ = std::fs::remove_file(says);
        }
    }
}

impl Claim for Locked {
    /// Whether the locked file still has its name; a lock on a deleted file excludes nobody.
    fn is_in_place(&self) -> bool {
        self.file.is_in_place().unwrap_or(false)
    }

    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    fn fence(&self) -> Option<&Fence> {
        None
    }
}

fn take(folder: &Path, place: Role, patience: Duration) -> Result<Locked> {
    create_folder(folder)?;
    let mut file = FileLock::open(Resource::Scheduler, Arc::new(Disk), &lock_file(folder, place))?;
    match file.lock(Lock::Exclusive, Instant::now(), patience) {
        Ok(guard) => Ok(Locked { file, says: (place == Role::Leader).then(|| say(folder)), _guard: guard }),
        Err(Error::Busy { source, .. }) => Err(Error::TaskBusy(source.to_string())),
        Err(error) => Err(error),
    }
}

fn lock_file(folder: &Path, place: Role) -> PathBuf {
    let name = match &place {
        Role::Leader => "leader",
        Role::Task(task) => task.as_str(),
    };
    folder.join(format!("{name}.lock"))
}

fn leader_file(folder: &Path) -> PathBuf {
    folder.join("leader.json")
}

/// Writes down that this process leads; returns the file.
fn say(folder: &Path) -> PathBuf {
    let (path, since) = (leader_file(folder), Some(format_iso(now_ms())));
    let leader = Leader { process: std::process::id(), host: machine(), since };
    // It leads even if others cannot be told, for instance on a full disk.
    let _ = serde_json::to_vec(&leader).map(|text| write_atomically(&path, &text));
    path
}
