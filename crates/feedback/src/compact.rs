//! Compaction: rewrites the log with one line per signal instead of one per change, while others continue writing.
//!
//! The part of the log that exists at the start is copied without its lock. Then, under the lock, later lines are appended byte
//! for byte, and the copy takes the log's name. A crash at any moment leaves either the old log or the new one.

use super::errors::{damaged, failed, lock, lock_file};
use super::journal::Asked;
use super::line;
use super::log::Log;
use super::state::Place;
use super::view::Covered;
use domain::error::{Error, Resource, Result};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::disk;
use storage::disk::{Lock, StoredFile};
use storage::lock::Guard;

/// Bytes to copy at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// The result of a compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Length of the log before, in bytes.
    pub bytes_before: u64,
    /// Length after; the same if nothing could be left out.
    pub bytes_after: u64,
}

/// A compacted copy of the log's beginning, ready to replace the log.
pub struct CompactedLog {
    file: Arc<dyn StoredFile>,
    /// Its length, and the CRC-32 of all its bytes.
    len: u64,
    crc: crc32fast::Hasher,
    /// Position of each signal's line in it, in order of recording.
    places: Vec<Place>,
    /// The length of the log that it replaces.
    of: u64,
    /// The [`super::view::View::generation`] that it was copied from.
    generation: u64,
}

/// Compacts the log; `swap` has the writer run [`put_in_place`].
///
/// Takes as long as copying the log, so it must not run on a thread that others wait for.
pub fn compact(log: &Log, swap: impl Fn(CompactedLog) -> Result<Option<Compaction>>) -> Result<Compaction> {
    let _guard = alone(log, log.patience)?;
    log.refresh()?;
    run(log, swap)
}

/// [`compact`], if much of the log is history and no other process is compacting it.
pub fn compact_if_worth_it(log: &Log, swap: impl Fn(CompactedLog) -> Result<Option<Compaction>>) -> Result<()> {
    let _guard = alone(log, Duration::ZERO)?;
    log.refresh()?;
    // Another process may have just compacted it.
    if log.view.read().is_mostly_history() { run(log, swap).map(|_| ()) } else { Ok(()) }
}

/// The lock that prevents two compactions at once.
fn alone(log: &Log, patience: Duration) -> Result<Guard> {
    let mut file = lock_file(&log.storage, &log.paths.compact_lock)?;
    lock(&mut file, Lock::Exclusive, Asked::now(), patience)
}

fn run(log: &Log, swap: impl Fn(CompactedLog) -> Result<Option<Compaction>>) -> Result<Compaction> {
    loop {
        let result = match copy(log) {
            Ok(None) => {
                let len = log.view.read().covered.len;
                return Ok(Compaction { bytes_before: len, bytes_after: len });
            }
            Ok(Some(copy)) => swap(copy),
            Err(error) => Err(error),
        };
        if !matches!(result, Ok(Some(_))) {
            // If this fails, the file does no harm; the next compaction overwrites it.
            let _ = log.storage.remove(&log.paths.compacting);
        }
        if let Some(compaction) = result? {
            log.save_snapshot();
            return Ok(compaction);
        }
        log.refresh()?;
    }
}

/// Copies the current line of each signal; `None` if no line can be left out.
fn copy(log: &Log) -> Result<Option<CompactedLog>> {
    let (source, of, generation, old) = {
        let view = log.view.read();
        if view.state.needed_bytes() == view.covered.len {
            return Ok(None);
        }
        (view.covered.file.clone(), view.covered.len, view.generation, view.state.places().collect::<Vec<_>>())
    };
    let file = new_file(log)?;
    let fail = |e| failed("write", &log.paths.compacting, e);
    let mut len = 0;
    let mut crc = crc32fast::Hasher::new();
    let mut places = Vec::with_capacity(old.len());
    let mut chunk = Vec::with_capacity(CHUNK_BYTES * 2);
    for place in old {
        if log.ending.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        let start = chunk.len();
        chunk.resize(start + place.len as usize, 0);
        let read = disk::read_full(&*source, &mut chunk[start..], place.offset);
        let read = read.map_err(|e| failed("read", &log.paths.log, e))?;
        // A line that has gone bad since it was read first must not be made to look like the only one there ever was.
        line::verify(&chunk[start..start + read], log.zone)
            .map_err(|reason| damaged(format!("{} at byte {}: {reason}", log.paths.log.display(), place.offset)))?;
        chunk.push(b'\n');
        places.push(Place { offset: len, len: place.len });
        len += u64::from(place.len) + 1;
        if chunk.len() >= CHUNK_BYTES {
            crc.update(&chunk);
            disk::append_all(&*file, &chunk).map_err(fail)?;
            chunk.clear();
        }
    }
    crc.update(&chunk);
    disk::append_all(&*file, &chunk).map_err(fail)?;
    // The slow sync happens here, while others write; the one under the lock is fast.
    file.sync().map_err(fail)?;
    Ok(Some(CompactedLog { file, len, crc, places, of, generation }))
}

/// Creates an empty file for the copy. If another compaction is writing one, because the file that separates them was deleted,
/// one of the two must fail, so that nothing is lost. Therefore this and [`put_in_place`] run under the log's lock.
fn new_file(log: &Log) -> Result<Arc<dyn StoredFile>> {
    let path = &log.paths.compacting;
    let mut file = lock_file(&log.storage, &log.paths.lock)?;
    let _guard = log.lock(&mut file, Asked::now())?;
    match log.storage.remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, e)),
        _ => log.storage.open(path).map_err(|e| failed("open", path, e)),
    }
}

/// Completes the copy and gives it the log's name. The caller holds the exclusive lock and has caught up. `None` if the log is no
/// longer the one that was copied.
pub fn put_in_place(log: &Log, copy: CompactedLog) -> Result<Option<Compaction>> {
    let (source, len, generation) = {
        let view = log.view.read();
        (view.covered.file.clone(), view.covered.len, view.generation)
    };
    if generation != copy.generation {
        return Ok(None);
    }
    let fail = |e| failed("write", &log.paths.compacting, e);
    let mut crc = copy.crc.clone();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = copy.of;
    while at < len {
        let wanted = chunk.len().min((len - at) as usize);
        let read = disk::read_full(&*source, &mut chunk[..wanted], at);
        match read.map_err(|e| failed("read", &log.paths.log, e))? {
            0 => return Err(damaged(format!("{} was truncated while it was copied", log.paths.log.display()))),
            read => {
                crc.update(&chunk[..read]);
                disk::append_all(&*copy.file, &chunk[..read]).map_err(fail)?;
                at += read as u64;
            }
        }
    }
    copy.file.sync().map_err(fail)?;
    let covered = Covered::all_of(copy.file.clone(), crc).map_err(fail)?;
    let bytes_after = covered.len;
    let there = log.storage.stat(&log.paths.compacting).map_err(|e| failed("find", &log.paths.compacting, e))?;
    if bytes_after != copy.len + (len - copy.of) || there.identity != covered.identity {
        let problem = format!("another compaction took {}", log.paths.compacting.display());
        return Err(Error::busy(Resource::FeedbackStore, problem));
    }
    log.storage
        .rename(&log.paths.compacting, &log.paths.log)
        .map_err(|e| failed("rename", &log.paths.compacting, e))?;
    let mut view = log.view.write();
    view.state.relocate(&copy.places, copy.of, copy.len);
    view.moved_to(covered);
    Ok(Some(Compaction { bytes_before: len, bytes_after }))
}
