//! The journal in a folder: readers and the writer of a [`Log`].

use super::ahead::Ahead;
use super::compact::{self, Compaction, Copy};
use super::errors::damaged;
use super::journal::{Asked, Journal, Source, StateRead, StateWrite, Turns};
use super::line;
use super::log::{Log, Recovery};
use super::state::Place;
use super::upkeep::Upkeep;
use super::writer::Staged;
use domain::config::Durability;
use domain::error::Result;
use domain::signal::Record;
use domain::signal::SignalKey;
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use storage::disk::{Lock, StoredFile};
use storage::lock::{FileLock, Guard};

impl Journal for Log {
    fn state(&self) -> StateRead<'_> {
        RwLockReadGuard::map(self.view.read(), |view| &view.state)
    }

    fn state_mut(&self) -> StateWrite<'_> {
        RwLockWriteGuard::map(self.view.write(), |view| &mut view.state)
    }

    fn current_state(&self) -> Option<StateWrite<'_>> {
        let current = self.is_current_without_waiting();
        let view = self.view.try_write().filter(|_| current)?;
        Some(RwLockWriteGuard::map(view, |view| &mut view.state))
    }

    fn look(&self, _asked: Asked) -> (StateRead<'_>, Box<dyn Source + '_>) {
        let view = self.view.read();
        // The file goes with its places: a compaction that replaces it leaves this one to be read to the end.
        let source = FileSource { log: self, file: view.covered.file.clone() };
        (RwLockReadGuard::map(view, |view| &view.state), Box::new(source))
    }

    fn refresh(&self) -> Result<()> {
        Log::refresh(self)
    }

    fn refresh_for_price(&self) -> Result<()> {
        // It costs a microsecond.
        Log::refresh(self)
    }

    fn recovery(&self) -> Recovery {
        *self.recovery.lock()
    }

    fn compact(&self, swap: &dyn Fn(Copy) -> Result<Option<Compaction>>) -> Result<Compaction> {
        compact::compact(self, swap)
    }
}

/// A log as it was when one looked.
struct FileSource<'a> {
    log: &'a Log,
    file: Arc<dyn StoredFile>,
}

impl Source for FileSource<'_> {
    fn records(&self, places: &[Place], visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        places.iter().try_for_each(|place| {
            let record = line::decode(&self.line(*place)?, self.log.zone).map_err(|reason| {
                damaged(format!("{} at byte {}: {reason}", self.log.paths.log.display(), place.offset))
            });
            visit(record?)
        })
    }

    fn line(&self, place: Place) -> Result<Vec<u8>> {
        self.log.read_line(&*self.file, place)
    }

    fn ahead(&self, wanted: Vec<(Place, SignalKey)>) -> Result<Ahead> {
        // What cannot be read at once is read one by one, and fails one by one.
        Ok(Ahead::read(&*self.file, wanted).unwrap_or_default())
    }
}

/// The writer's hold on a log.
pub struct FolderTurns {
    log: Arc<Log>,
    /// The writer's handle of the lock file.
    lock: FileLock,
    durability: Durability,
    upkeep: Upkeep,
    turn: Option<Turn>,
}

/// A turn at the log.
struct Turn {
    log: Arc<Log>,
    _guard: Guard,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Before the lock goes, which is dropped after this: from then on, others may write.
        self.log.writing.store(false, Ordering::Release);
    }
}

impl FolderTurns {
    pub fn new(log: Arc<Log>, lock: FileLock, durability: Durability, upkeep: Upkeep) -> Self {
        Self { log, lock, durability, upkeep, turn: None }
    }
}

impl Turns for FolderTurns {
    /// Takes the lock and catches up: until the turn ends, the state is the log.
    fn begin(&mut self, asked: Asked) -> Result<()> {
        let guard = self.log.lock(&mut self.lock, asked)?;
        self.log.catch_up(Lock::Exclusive)?;
        self.log.writing.store(true, Ordering::Release);
        self.turn = Some(Turn { log: self.log.clone(), _guard: guard });
        Ok(())
    }

    fn append(&mut self, staged: &Staged<'_>) -> Result<bool> {
        let sync = self.durability == Durability::Fsync;
        self.log.append(&staged.lines, sync)?;
        self.log.accept(staged, sync);
        Ok(true)
    }

    fn confirm(&mut self, vouched: bool) -> Result<bool> {
        if vouched && self.durability == Durability::Fsync {
            self.log.sync_covered()?;
        }
        Ok(true)
    }

    fn end(&mut self) {
        self.turn = None;
    }

    fn swap(&mut self, copy: Copy) -> Result<Option<Compaction>> {
        self.begin(Asked::now())?;
        let result = compact::put_in_place(&self.log, copy);
        self.end();
        result
    }

    fn grown(&self) {
        self.upkeep.grown();
    }

    fn finish(self: Box<Self>) {
        self.log.ending.store(true, Ordering::Relaxed);
        self.upkeep.end();
        self.log.save_snapshot();
    }
}
