//! The log file: locking it, reading what was appended to it, repairing its end, appending.
//!
//! Writing happens under the exclusive lock, and reading what others wrote under the shared one, so that nobody reads a batch
//! that is taken back later. The lock belongs to the open file and ends with its process.

use super::errors::{damaged, failed, lock, lock_file};
use super::journal::Asked;
use super::line;
use super::paths::Paths;
use super::quarantine::{self, Damaged};
use super::scan::{self, Parsed};
use super::snapshot::Snapshot;
use super::state::{Applied, Lost, Place, State};
use super::view::View;
use super::writer::WriteBatch;
use domain::error::{Error, Result};
use domain::time::Tz;
use parking_lot::{Mutex, RwLock};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::disk;
use storage::disk::{Lock, Stat, Storage, StoredFile};
use storage::lock::{FileLock, Guard};

/// What was found damaged in the log since the store was opened, and how it was repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Bytes of an incomplete last line that were cut off; the quarantine has a copy.
    pub cut_bytes: u64,
    /// Complete last lines that only lacked their newline and received it.
    pub completed: u64,
    /// Damaged lines in the log, including those already in the quarantine.
    pub damaged: u64,
    /// Lines that contradict an earlier line of the same signal; the earlier one stands.
    pub contradictions: u64,
    /// Damaged or contradicting lines newly copied to `signals.quarantine.jsonl`.
    pub set_aside: u64,
}

/// The log of one open store.
///
/// It has more than 25 methods because reading, appending, repairing and replacing the file must agree on how much of it is read.
pub struct Log {
    /// Its files.
    pub paths: Paths,
    /// The disk with the files.
    pub storage: Arc<dyn Storage>,
    /// The zone of times in old lines that have none.
    pub zone: Tz,
    /// How long to wait for a lock that others hold.
    pub patience: Duration,
    /// The state, and the part of the file that it covers.
    pub view: RwLock<View>,
    /// What was found damaged and repaired.
    pub recovery: Mutex<Recovery>,
    /// Whether this store's writer holds the exclusive lock and has caught up, so that nobody else can have written.
    pub writing: AtomicBool,
    /// Whether the store is being closed, so that background work must stop.
    pub ending: AtomicBool,
    /// The readers' own handle of the lock file, since a lock belongs to its handle.
    reader: Mutex<FileLock>,
    /// Held while a snapshot is made and written.
    saving: Mutex<()>,
    /// Damage found under the shared lock, to be quarantined under the next exclusive one.
    unkept: Mutex<Vec<Damaged>>,
    /// A file that took the log's name but lacks some of its signals, and the error that every call returns until that is fixed.
    /// The file is not read again.
    refused: Mutex<Option<(Stat, Error)>>,
}

impl Log {
    /// Opens the log under the exclusive lock, reads it, and repairs its end.
    pub fn open(
        folder: &Path,
        zone: Tz,
        patience: Duration,
        storage: Arc<dyn Storage>,
    ) -> Result<(Arc<Self>, FileLock)> {
        std::fs::create_dir_all(folder).map_err(|e| failed("create", folder, e))?;
        // Creates what a link leads to, if that is missing.
        let path = folder.join("signals.jsonl");
        storage.open(&path).map_err(|e| failed("open", &path, e))?;
        let paths = Paths::of(folder).map_err(|e| failed("find", folder, e))?;
        let mut writer = lock_file(&storage, &paths.lock)?;
        let guard = lock(&mut writer, Lock::Exclusive, Asked::now(), patience)?;
        let (view, known) = View::open(&*storage, &paths, zone)?;
        let recovery = Recovery { damaged: view.damaged, contradictions: view.contradictions, ..Recovery::default() };
        let log = Arc::new(Self {
            reader: Mutex::new(lock_file(&storage, &paths.lock)?),
            paths,
            storage,
            zone,
            patience,
            view: RwLock::new(view),
            recovery: Mutex::new(recovery),
            writing: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            saving: Mutex::default(),
            unkept: Mutex::default(),
            refused: Mutex::default(),
        });
        log.catch_up(Lock::Exclusive)?;
        if let Some(known) = known {
            log.check_whole(&known, &log.view.read(), "of its snapshot")?;
        }
        drop(guard);
        log.view.write().state.index.trim();
        Ok((log, writer))
    }

    /// Takes the exclusive lock for a call that was made at `asked`.
    pub fn lock(&self, file: &mut FileLock, asked: Asked) -> Result<Guard> {
        lock(file, Lock::Exclusive, asked, self.patience)
    }

    /// Updates the state with what other processes wrote. Costs one `stat` if they wrote nothing.
    pub fn refresh(&self) -> Result<()> {
        if self.writing.load(Ordering::Acquire) || self.is_current()? {
            return Ok(());
        }
        let mut file = self.reader.lock();
        let _guard = lock(&mut file, Lock::Shared, Asked::now(), self.patience)?;
        self.catch_up(Lock::Shared)
    }

    /// Whether the state covers the whole log, as far as this can be told without blocking.
    pub fn is_current_without_waiting(&self) -> bool {
        let stat = self.storage.stat(&self.paths.log);
        stat.is_ok_and(|stat| {
            let view = self.view.try_read();
            view.is_some_and(|view| stat.identity == view.covered.identity && stat.len == view.covered.len)
        })
    }

    fn is_current(&self) -> Result<bool> {
        let path = &self.paths.log;
        let stat = self.storage.stat(path).map_err(|e| failed("find", path, e))?;
        let view = self.view.read();
        Ok(stat.identity == view.covered.identity && stat.len == view.covered.len)
    }

    /// Reads what the state does not cover yet. The caller holds the lock. Under the exclusive lock, an incomplete last line is
    /// cut off and damage is quarantined; under the shared one the end is left alone.
    pub fn catch_up(&self, lock: Lock) -> Result<()> {
        let path = &self.paths.log;
        if !self.is_current()? {
            if !self.still_there()? {
                self.reload()?;
            }
            let (file, from) = {
                let view = self.view.read();
                (view.covered.file.clone(), view.covered.len)
            };
            let tail = scan::lines(&*file, from, self.zone, |parsed| self.take_in(parsed))
                .map_err(|e| failed("read", path, e))?;
            if lock == Lock::Exclusive && !tail.is_empty() {
                self.mend(&tail)?;
            }
        }
        if lock == Lock::Exclusive {
            self.keep_damaged()?;
        }
        Ok(())
    }

    /// Whether the part that the state covers is still the beginning of the log.
    fn still_there(&self) -> Result<bool> {
        let path = &self.paths.log;
        let stat = self.storage.stat(path).map_err(|e| failed("find", path, e))?;
        let view = self.view.read();
        let covered = &view.covered;
        if stat.identity != covered.identity || stat.len < covered.len {
            return Ok(false);
        }
        let mut last = vec![0; covered.last.len()];
        let start = covered.len - last.len() as u64;
        let read = disk::read_full(&*covered.file, &mut last, start).map_err(|e| failed("read", path, e))?;
        Ok(read == last.len() && last == covered.last)
    }

    /// Reads again from the start the file that now has the log's name, as after a compaction. If the log was replaced or
    /// truncated otherwise and lacks signals, it is rejected, since acknowledged records would silently disappear.
    fn reload(&self) -> Result<()> {
        let path = &self.paths.log;
        let stat = self.storage.stat(path).map_err(|e| failed("find", path, e))?;
        if let Some((_, error)) = self.refused.lock().as_ref().filter(|(of, _)| *of == stat) {
            return Err(error.clone());
        }
        let (mut fresh, _) = View::open(&*self.storage, &self.paths, self.zone)?;
        fresh.generation = self.view.read().generation + 1;
        let before = (*self.recovery.lock(), self.unkept.lock().len());
        {
            let mut recovery = self.recovery.lock();
            recovery.damaged = fresh.damaged;
            recovery.contradictions = fresh.contradictions;
        }
        // Reads into a separate state, so that nobody sees a half-read one.
        let file = fresh.covered.file.clone();
        let from = fresh.covered.len;
        scan::lines(&*file, from, self.zone, |parsed| self.apply(&mut fresh, parsed))
            .map_err(|e| failed("read", path, e))?;
        let whole = {
            let view = self.view.read();
            let how = match stat.identity == view.covered.identity {
                true if stat.len < view.covered.len => "that were in it: it became shorter",
                true => "that were in it: it was written anew",
                false => "that were in it: another file took its name",
            };
            self.check_whole(&view.state, &fresh, how)
        };
        if let Err(error) = whole {
            *self.recovery.lock() = before.0;
            self.unkept.lock().truncate(before.1);
            let first = self.refused.lock().replace((stat, error.clone())).is_none();
            if first {
                // So that a restart knows about it too.
                self.write_snapshot();
            }
            return Err(error);
        }
        *self.refused.lock() = None;
        let mut view = self.view.write();
        fresh.state.index.trim();
        fresh.state.inherit_clock(&view.state);
        *view = fresh;
        Ok(())
    }

    /// Checks that the log as read now contains all `known` signals. Damaged lines are assumed to have held missing ones.
    fn check_whole(&self, known: &State, read: &View, how: &str) -> Result<()> {
        let Lost { signals, closings, changed, bytes } = known.lost_in(&read.state);
        if bytes <= read.damaged_bytes {
            return Ok(());
        }
        let Paths { log, snapshot, .. } = &self.paths;
        let (log, snapshot) = (log.display(), snapshot.display());
        Err(damaged(format!(
            "{log} lacks {signals} signals, {closings} closings and the last changes of {changed} open signals {how}. Something other than signalloop truncated or replaced it \
             (such as logrotate, an editor, or a restored copy); signalloop writes nothing to it meanwhile. Put the whole log \
             back: the part that was moved away, followed by what is there now. Or, to continue with what is there now, stop all \
             processes that use it, delete {snapshot}, and import the part that was moved away with `signalloop import`"
        )))
    }

    fn take_in(&self, parsed: &Parsed<'_>) {
        self.apply(&mut self.view.write(), parsed);
    }

    /// Applies lines to a state, and extends what it covers.
    fn apply(&self, view: &mut View, parsed: &Parsed<'_>) {
        let mut found = Recovery::default();
        let mut damaged = Vec::new();
        // A signal has one line, or two once it is closed.
        let keys = parsed.items.iter().filter_map(|item| item.facts.as_ref().ok()).map(|facts| facts.key);
        view.state.reserve(view.state.count_new(keys) + parsed.to_come / 2);
        for item in &parsed.items {
            let applied = match &item.facts {
                Ok(facts) => view.state.apply(facts, item.place),
                Err(reason) => Err(reason.clone()),
            };
            let reason = match applied {
                Ok(Applied::Changed | Applied::Known) => continue,
                Ok(Applied::Contradiction(reason)) => {
                    found.contradictions += 1;
                    reason
                }
                Err(reason) => {
                    found.damaged += 1;
                    view.damaged_bytes += u64::from(item.place.len) + 1;
                    reason
                }
            };
            let bytes = parsed.bytes_at(item.place).to_vec();
            damaged.push(Damaged { offset: item.place.offset, reason, bytes });
        }
        view.covered.reach_summed(parsed.bytes(), &parsed.crc);
        if !damaged.is_empty() {
            view.damaged += found.damaged;
            view.contradictions += found.contradictions;
            let mut recovery = self.recovery.lock();
            recovery.damaged += found.damaged;
            recovery.contradictions += found.contradictions;
            self.unkept.lock().append(&mut damaged);
        }
    }

    /// Writes a snapshot if it is worthwhile. A failure does no harm, since the log has everything.
    pub fn save_snapshot(&self) {
        if self.view.read().is_worth_a_snapshot() && self.refused.lock().is_none() {
            self.write_snapshot();
        }
    }

    fn write_snapshot(&self) {
        // One at a time, so that the newest snapshot stays.
        let _saving = self.saving.lock();
        let (snapshot, file, generation) = {
            let view = self.view.read();
            // Damage that is not in the quarantine yet must be found again at the next start.
            if !self.unkept.lock().is_empty() {
                return;
            }
            let snapshot = Snapshot {
                len: view.covered.len,
                crc: view.covered.crc.clone().finalize(),
                zone: self.zone.name().to_owned(),
                damaged: view.damaged,
                contradictions: view.contradictions,
                ..view.state.to_snapshot()
            };
            (snapshot, view.covered.file.clone(), view.generation)
        };
        // The snapshot must not cover more than a power failure leaves of the log.
        let safe = file.sync().is_ok() && self.storage.sync_folder(&self.paths.folder).is_ok();
        if safe && snapshot.write(&self.paths.snapshot).is_ok() {
            let mut view = self.view.write();
            if view.generation == generation {
                view.snapshot_len = snapshot.len;
            }
        }
    }

    /// Copies the damage found so far into the quarantine.
    fn keep_damaged(&self) -> Result<()> {
        let mut unkept = self.unkept.lock();
        let new = quarantine::set_aside(&*self.storage, &self.paths, &unkept)?;
        unkept.clear();
        self.recovery.lock().set_aside += new;
        Ok(())
    }

    /// Repairs the end of the log. A complete last line without its newline receives it; an incomplete one is cut off after it
    /// was copied to the quarantine. The caller holds the exclusive lock.
    fn mend(&self, tail: &[u8]) -> Result<()> {
        let path = &self.paths.log;
        let (file, start) = {
            let view = self.view.read();
            (view.covered.file.clone(), view.covered.len)
        };
        let whole = match line::facts(tail, self.zone) {
            Ok(_) => tail.len(),
            Err(_) => line::salvage(tail).last().map_or(0, |range| range.end),
        };
        let torn = &tail[whole..];
        if !torn.is_empty() {
            let reason = "an unfinished last line, cut off".to_owned();
            let damaged = Damaged { offset: start + whole as u64, reason, bytes: torn.to_vec() };
            let new = quarantine::set_aside(&*self.storage, &self.paths, &[damaged])?;
            file.set_len(start + whole as u64).map_err(|e| failed("cut", path, e))?;
            let mut recovery = self.recovery.lock();
            recovery.cut_bytes += torn.len() as u64;
            recovery.set_aside += new;
        }
        if whole > 0 {
            disk::append_all(&*file, b"\n").map_err(|e| failed("append to", path, e))?;
            self.recovery.lock().completed += 1;
        }
        file.sync().map_err(|e| failed("sync", path, e))?;
        scan::lines(&*file, start, self.zone, |parsed| self.take_in(parsed)).map_err(|e| failed("read", path, e))?;
        Ok(())
    }

    /// Appends lines and optionally syncs them. The caller holds the exclusive lock and has caught up. On failure the log is
    /// truncated to its former length; the fault says whether that worked.
    pub fn append(&self, lines: &[u8], sync: bool) -> Result<()> {
        let path = &self.paths.log;
        let (file, base) = {
            let view = self.view.read();
            (view.covered.file.clone(), view.covered.len)
        };
        let done = disk::append_all(&*file, lines).map_err(|e| failed("append to", path, e));
        let done = done.and_then(|()| if sync { self.sync(&*file) } else { Ok(()) });
        let done = done.and_then(|()| if sync { self.sync_name() } else { Ok(()) });
        done.map_err(|error| match file.set_len(base) {
            Err(e) => error
                .noting(&format!("and the log could not be truncated ({e}): part of it may turn out to be recorded")),
            // A sync that failed may have dropped what it was to write; what was cut off is written anew next time.
            Ok(()) if !sync => error.noting("nothing of it was recorded"),
            Ok(()) => match file.sync() {
                Ok(()) => error.noting("nothing of it was recorded"),
                Err(_) => error.noting("it was taken back, but a power failure now might bring it back"),
            },
        })
    }

    fn sync(&self, file: &dyn StoredFile) -> Result<()> {
        file.sync().map_err(|e| failed("sync", &self.paths.log, e))
    }

    fn sync_name(&self) -> Result<()> {
        if !self.view.read().covered.named {
            let folder = &self.paths.folder;
            self.storage.sync_folder(folder).map_err(|e| failed("sync", folder, e))?;
            self.view.write().covered.named = true;
        }
        Ok(())
    }

    /// Syncs what the state covers, whoever wrote it.
    pub fn sync_covered(&self) -> Result<()> {
        self.sync_name()?;
        let (file, len, synced) = {
            let view = self.view.read();
            (view.covered.file.clone(), view.covered.len, view.covered.synced)
        };
        if synced < len {
            self.sync(&*file)?;
            self.view.write().covered.synced = len;
        }
        Ok(())
    }

    /// Adds what was just appended to the state.
    pub fn accept(&self, batch: &WriteBatch<'_>, synced: bool) {
        let mut view = self.view.write();
        let base = view.covered.len;
        let len = base + batch.lines.len() as u64;
        if !view.covered.file.stat().is_ok_and(|stat| stat.len == len) {
            // A process that ignores the lock appended at the same time, so the position of the lines is unknown. They are
            // stored; the state lags behind until the log is read again.
            drop(view);
            let _ = self.catch_up(Lock::Exclusive);
            return;
        }
        for (facts, range) in &batch.added {
            let place = Place { offset: base + range.start as u64, len: range.len() as u32 };
            // Both were checked against this very state. A rejection would be a defect; the log is right in any case.
            let _ = view.state.apply(facts, place);
        }
        view.covered.reach(&batch.lines);
        if synced {
            view.covered.synced = view.covered.len;
        }
    }

    /// Reads one line, as far as it exists.
    pub fn read_line(&self, file: &dyn StoredFile, place: Place) -> Result<Vec<u8>> {
        let mut line = vec![0; place.len as usize];
        let read = disk::read_full(file, &mut line, place.offset);
        line.truncate(read.map_err(|e| failed("read", &self.paths.log, e))?);
        Ok(line)
    }
}
