//! The office in the home's folder `scheduler/`: locks of files, which die with their process, and small files.

use super::{Board, Hold, Memo, Office, Place, Seen};
use crate::database::Fence;
use crate::error::{Error, Result};
use crate::files::create_folder;
use crate::files::fault::Fault;
use crate::files::lock::{self, Guard};
use crate::files::storage::{Disk, Lock, Storage, StoredFile};
use crate::scheduler::{Moment, Ran, Record, Task, append_history, newest_history};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The office of the processes of one machine.
pub(in crate::engine) struct FolderOffice(PathBuf);

impl FolderOffice {
    /// In this folder, which is made when it is needed.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }
}

impl Office for FolderOffice {
    fn take(&self, place: Place, patience: Duration) -> Result<Arc<dyn Hold>> {
        Ok(Arc::new(take(&self.0, place, patience)?))
    }

    fn record(&self, task: Task) -> Result<Record> {
        Record::load(&self.0, task)
    }

    fn save(&self, _hold: &dyn Hold, task: Task, record: &Record, _next_ms: Option<i64>) -> Result<()> {
        record.save(&self.0, task)
    }

    fn append(&self, _hold: &dyn Hold, ran: &Ran) -> Result<()> {
        append_history(&self.0, ran)
    }

    fn newest(&self, most: usize) -> Result<Vec<Ran>> {
        newest_history(&self.0, most)
    }

    fn look(&self, task: Task) -> Seen {
        let record = self.record(task);
        // An attempt without an end is under way, or was interrupted: its lock tells.
        let begun = record.as_ref().is_ok_and(|record| record.attempt > 0) && self.0.is_dir();
        let taken = || matches!(take(&self.0, Place::Task(task), Duration::ZERO), Err(Error::TaskBusy(_)));
        Seen { running: begun && taken(), record }
    }

    fn glance(&self, task: Task) -> Seen {
        self.look(task)
    }

    fn moment(&self, own_ms: i64) -> Moment {
        Moment::now(own_ms)
    }

    fn board(&self) -> Option<&dyn Board> {
        None
    }

    fn memo(&self) -> Option<&dyn Memo> {
        None
    }

    fn close(&self) {}
}

/// A locked file.
struct Locked {
    path: PathBuf,
    handle: Arc<dyn StoredFile>,
    _guard: Guard,
}

impl Hold for Locked {
    /// Whether the file that is locked still has its name: a deleted one locks nobody out.
    fn is_in_place(&self) -> bool {
        let (mine, there) = (self.handle.stat(), Disk.stat(&self.path));
        mine.is_ok_and(|mine| there.is_ok_and(|there| mine.identity == there.identity))
    }

    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    fn fence(&self) -> Option<&Fence> {
        None
    }
}

fn take(folder: &Path, place: Place, patience: Duration) -> Result<Locked> {
    create_folder(folder)?;
    let name = match &place {
        Place::Leader => "leader",
        Place::Task(task) => task.as_str(),
    };
    let path = folder.join(format!("{name}.lock"));
    let mut handle = Disk.open(&path).map_err(|e| Error::io("open", &path, e))?;
    match lock::acquire(&Disk, &path, &mut handle, Lock::Exclusive, patience) {
        Ok(guard) => Ok(Locked { path, handle, _guard: guard }),
        Err(Fault::Busy(who)) => Err(Error::TaskBusy(who)),
        Err(Fault::Failed(why)) => Err(Error::io("lock", &path, std::io::Error::other(why))),
    }
}
