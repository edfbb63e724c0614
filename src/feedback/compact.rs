//! Compaction: the log anew, with one line a signal instead of one a change, while others go on writing.
//!
//! What the log holds at the start is copied without its lock. Then, under the lock, what was appended meanwhile follows
//! byte for byte, and the copy takes the log's name. A crash at any moment leaves the old log or the new one.

use super::line;
use super::lock::acquire;
use super::log::{Fault, Log, locking};
use super::state::Place;
use super::storage::{self, Lock, StoredFile};
use super::view::Covered;
use std::sync::Arc;

/// What is copied at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Length of the log before, in bytes.
    pub bytes_before: u64,
    /// Length after; the same when there was nothing to leave out.
    pub bytes_after: u64,
}

/// The copy of a log's beginning, ready to take its place.
pub(super) struct Copy {
    file: Arc<dyn StoredFile>,
    /// Its length, and the CRC-32 of all of it.
    len: u64,
    crc: crc32fast::Hasher,
    /// Where the line of each signal is in it, in order of recording.
    places: Vec<Place>,
    /// The length of the log that it stands for.
    of: u64,
    /// The [`super::view::View::generation`] that it was made of.
    generation: u64,
}

/// Compacts the log; `swap` has the writer run [`put_in_place`].
///
/// Runs for as long as it takes to copy the log: not for a thread that others wait for.
pub(super) fn compact(
    log: &Log,
    swap: impl Fn(Copy) -> Result<Option<Compaction>, crate::error::Error>,
) -> Result<Compaction, crate::error::Error> {
    let path = &log.paths.compact_lock;
    let mut handle = log.storage.open(path).map_err(|e| Fault::of("open", path, &e))?;
    let _guard = acquire(&*log.storage, path, &mut handle, Lock::Exclusive).map_err(locking(path))?;
    loop {
        log.refresh()?;
        let Some(copy) = copy(log)? else {
            let len = log.view.read().covered.len;
            return Ok(Compaction { bytes_before: len, bytes_after: len });
        };
        let result = swap(copy);
        if !matches!(result, Ok(Some(_))) {
            // Left behind it would do no harm; the next compaction starts it over.
            let _ = log.storage.remove(&log.paths.compacting);
        }
        if let Some(compaction) = result? {
            log.save_snapshot();
            return Ok(compaction);
        }
    }
}

/// Copies the lines that count; `None` when all of them do.
fn copy(log: &Log) -> Result<Option<Copy>, Fault> {
    let (source, of, generation, old) = {
        let view = log.view.read();
        (view.covered.file.clone(), view.covered.len, view.generation, view.state.places())
    };
    if old.iter().map(|place| u64::from(place.len) + 1).sum::<u64>() == of {
        return Ok(None);
    }
    let path = &log.paths.compacting;
    let fail = |e| Fault::of("write", path, &e);
    let file = log.storage.open(path).map_err(|e| Fault::of("open", path, &e))?;
    file.set_len(0).map_err(fail)?;
    let mut len = 0;
    let mut crc = crc32fast::Hasher::new();
    let mut places = Vec::with_capacity(old.len());
    let mut chunk = Vec::with_capacity(CHUNK_BYTES * 2);
    for place in old {
        let start = chunk.len();
        chunk.resize(start + place.len as usize, 0);
        let read = storage::read_full(&*source, &mut chunk[start..], place.offset);
        let read = read.map_err(|e| Fault::of("read", &log.paths.log, &e))?;
        // A line that has gone bad since it was read first must not be made to look like the only one there ever was.
        line::verify(&chunk[start..start + read], log.zone)
            .map_err(|reason| Fault(format!("{} at byte {}: {reason}", log.paths.log.display(), place.offset)))?;
        chunk.push(b'\n');
        places.push(Place { offset: len, len: place.len });
        len += u64::from(place.len) + 1;
        if chunk.len() >= CHUNK_BYTES {
            crc.update(&chunk);
            storage::append_all(&*file, &chunk).map_err(fail)?;
            chunk.clear();
        }
    }
    crc.update(&chunk);
    storage::append_all(&*file, &chunk).map_err(fail)?;
    // The long sync happens here, while others still write; the one under the lock is short.
    file.sync().map_err(fail)?;
    Ok(Some(Copy { file, len, crc, places, of, generation }))
}

/// Completes the copy and gives it the log's name; the caller holds the exclusive lock and has caught up. `None` when the
/// log is no longer the one that was copied.
pub(super) fn put_in_place(log: &Log, copy: Copy) -> Result<Option<Compaction>, Fault> {
    let (source, len, generation) = {
        let view = log.view.read();
        (view.covered.file.clone(), view.covered.len, view.generation)
    };
    if generation != copy.generation {
        return Ok(None);
    }
    let fail = |e| Fault::of("write", &log.paths.compacting, &e);
    let mut crc = copy.crc.clone();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = copy.of;
    while at < len {
        let wanted = chunk.len().min((len - at) as usize);
        let read = storage::read_full(&*source, &mut chunk[..wanted], at);
        match read.map_err(|e| Fault::of("read", &log.paths.log, &e))? {
            0 => return Err(Fault(format!("{} ended while it was copied", log.paths.log.display()))),
            read => {
                crc.update(&chunk[..read]);
                storage::append_all(&*copy.file, &chunk[..read]).map_err(fail)?;
                at += read as u64;
            }
        }
    }
    copy.file.sync().map_err(fail)?;
    let covered = Covered::all_of(copy.file.clone(), crc).map_err(fail)?;
    let bytes_after = covered.len;
    if bytes_after != copy.len + (len - copy.of) {
        return Err(Fault(format!("{} was written by someone else", log.paths.compacting.display())));
    }
    log.storage
        .rename(&log.paths.compacting, &log.paths.log)
        .map_err(|e| Fault::of("rename", &log.paths.compacting, &e))?;
    let mut view = log.view.write();
    view.state.relocate(&copy.places, copy.of, copy.len);
    view.moved_to(covered);
    Ok(Some(Compaction { bytes_before: len, bytes_after }))
}
