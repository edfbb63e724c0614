//! The log file: locking it, reading what was appended to it since, repairing its end, appending to it.
//!
//! Everything that happens to the log happens under its lock, so that nobody ever reads a batch that is
//! taken back later: writing under the exclusive lock, reading what others wrote under the shared one. The lock belongs to
//! the open file and dies with its process.

use super::errors::{damaged, failed, lock, lock_file};
use super::journal::Asked;
use super::line;
use super::paths::Paths;
use super::quarantine::{self, Damaged};
use super::scan::{self, Parsed};
use super::snapshot::Snapshot;
use super::state::{Applied, Lost, Place, State};
use super::view::View;
use super::writer::Staged;
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

/// What was found wrong with the log, and what was done about it, since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Bytes of an unfinished last line that were cut off; a copy is in the quarantine.
    pub cut_bytes: u64,
    /// Whole last lines that only lacked their newline and got it.
    pub completed: u64,
    /// Damaged lines in the log, whether set aside now or at an earlier opening.
    pub damaged: u64,
    /// Lines that contradict an earlier one of the same signal; the earlier stands.
    pub contradictions: u64,
    /// Damaged or contradicting lines newly copied to `signals.quarantine.jsonl`.
    pub set_aside: u64,
}

/// The log of one open store.
pub struct Log {
    /// Its files.
    pub paths: Paths,
    /// The disk that they are on.
    pub storage: Arc<dyn Storage>,
    /// The zone of times in old lines that name none.
    pub zone: Tz,
    /// How long to wait for a lock that others hold.
    pub patience: Duration,
    /// What was read of it.
    pub view: RwLock<View>,
    /// What was found wrong and repaired.
    pub recovery: Mutex<Recovery>,
    /// This store's writer holds the exclusive lock and has caught up: nobody else can have written.
    pub writing: AtomicBool,
    /// The store is being closed: long work on the side is to stop.
    pub ending: AtomicBool,
    /// The readers' handle of the lock file; apart from the writer's, because a lock belongs to its handle.
    reader: Mutex<FileLock>,
    /// Held while a snapshot is made and written.
    saving: Mutex<()>,
    /// Damage that was met under the shared lock, to be set aside under the next exclusive one.
    unkept: Mutex<Vec<Damaged>>,
    /// The file that now has the log's name and lacks what was in the log, and the error that every call gets until it is put
    /// right. It is not read again and again.
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

    /// Brings the state up to date with what other processes wrote. Costs one `stat` when they wrote nothing.
    pub fn refresh(&self) -> Result<()> {
        if self.writing.load(Ordering::Acquire) || self.is_current()? {
            return Ok(());
        }
        let mut file = self.reader.lock();
        let _guard = lock(&mut file, Lock::Shared, Asked::now(), self.patience)?;
        self.catch_up(Lock::Shared)
    }

    /// Whether the state covers the whole log, as far as that can be told without waiting for anyone.
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

    /// Reads what the state does not cover yet; the caller holds the lock. Under the exclusive lock a torn tail is cut
    /// and damage set aside; under the shared one the tail is left alone.
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

    /// Is what the state was read from still the beginning of the log?
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

    /// Starts over with what is now in the file that has the log's name: a compaction replaced it. Anything else that did so,
    /// or cut it off, and lost signals, is refused: what was acknowledged would be gone without anyone knowing.
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
        // Read aside, so that nobody meets a half-read state.
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
                // So that a restart knows it, too.
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

    /// Is all that is `known` in the log as it was read now? What damaged lines may have held does not count.
    fn check_whole(&self, known: &State, read: &View, how: &str) -> Result<()> {
        let Lost { signals, closings, bytes } = known.lost_in(&read.state);
        if bytes <= read.damaged_bytes {
            return Ok(());
        }
        let Paths { log, snapshot, .. } = &self.paths;
        let (log, snapshot) = (log.display(), snapshot.display());
        Err(damaged(format!(
            "{log} lacks {signals} signals and {closings} closings {how}. Something else than signalloop cut it off or replaced it \
             (such as logrotate, an editor, or a copy that was put back); nothing is written to it meanwhile. Put the whole log \
             back: what was moved away, followed by what is there now. Or, to go on with what is there now, stop all processes \
             that use it, delete {snapshot}, and take in what was moved away with `signalloop import`"
        )))
    }

    fn take_in(&self, parsed: &Parsed<'_>) {
        self.apply(&mut self.view.write(), parsed);
    }

    /// Applies lines to a state and moves on what it covers.
    fn apply(&self, view: &mut View, parsed: &Parsed<'_>) {
        let mut found = Recovery::default();
        let mut damaged = Vec::new();
        // A signal has a line, or two once it is closed.
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

    /// Writes a snapshot if it is worth it. Nothing is lost when that fails: the log has it all.
    pub fn save_snapshot(&self) {
        if self.view.read().is_worth_a_snapshot() && self.refused.lock().is_none() {
            self.write_snapshot();
        }
    }

    fn write_snapshot(&self) {
        // One after the other, so that the newest is what stays.
        let _saving = self.saving.lock();
        let (snapshot, file, generation) = {
            let view = self.view.read();
            // Damage that is not in the quarantine yet must be met again.
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
        // It must not know of more than a power failure leaves of the log.
        let safe = file.sync().is_ok() && self.storage.sync_folder(&self.paths.folder).is_ok();
        if safe && snapshot.write(&self.paths.snapshot).is_ok() {
            let mut view = self.view.write();
            if view.generation == generation {
                view.snapshot_len = snapshot.len;
            }
        }
    }

    /// Copies the damage met so far into the quarantine.
    fn keep_damaged(&self) -> Result<()> {
        let mut unkept = self.unkept.lock();
        let new = quarantine::set_aside(&*self.storage, &self.paths, &unkept)?;
        unkept.clear();
        self.recovery.lock().set_aside += new;
        Ok(())
    }

    /// Repairs the end of the log: a whole last line without its newline gets it, an unfinished one is cut off, after a
    /// copy of it is safe in the quarantine. The caller holds the exclusive lock.
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

    /// Appends lines, and syncs them if asked to; the caller holds the exclusive lock and has caught up. On failure the
    /// log is cut back to what it was, and the error says how far that is known to have worked.
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
            Err(e) => {
                error.noting(&format!("nor could the log be cut back ({e}): part of it may be found recorded later"))
            }
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

    /// Makes sure that what the state covers is synced, by whomever it was written.
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

    /// Takes in what was just appended.
    pub fn accept(&self, staged: &Staged<'_>, synced: bool) {
        let mut view = self.view.write();
        let base = view.covered.len;
        let len = base + staged.lines.len() as u64;
        if !view.covered.file.stat().is_ok_and(|stat| stat.len == len) {
            // Someone who does not know the lock appended at the same time: the lines are there, but where? The state falls
            // behind until the log can be read; what was promised stands.
            drop(view);
            let _ = self.catch_up(Lock::Exclusive);
            return;
        }
        for (facts, range) in &staged.added {
            let place = Place { offset: base + range.start as u64, len: range.len() as u32 };
            // Both were checked against this very state; a refusal would be a defect, and the log is right all the same.
            let _ = view.state.apply(facts, place);
        }
        view.covered.reach(&staged.lines);
        if synced {
            view.covered.synced = view.covered.len;
        }
    }

    /// Reads one line, as far as it is there.
    pub fn read_line(&self, file: &dyn StoredFile, place: Place) -> Result<Vec<u8>> {
        let mut line = vec![0; place.len as usize];
        let read = disk::read_full(file, &mut line, place.offset);
        line.truncate(read.map_err(|e| failed("read", &self.paths.log, e))?);
        Ok(line)
    }
}
