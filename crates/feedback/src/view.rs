//! The state, and which part of which file it was read from.

use super::errors::failed;
use super::line;
use super::paths::Paths;
use super::snapshot::Snapshot;
use super::state::State;
use domain::error::Result;
use domain::time::Tz;
use std::io;
use std::sync::Arc;
use storage::disk;
use storage::disk::{Stat, Storage, StoredFile};

/// The part of the log that the state covers.
#[derive(Clone)]
pub struct Covered {
    pub file: Arc<dyn StoredFile>,
    pub identity: u64,
    /// All lines that end before this offset are in the state.
    pub len: u64,
    /// The CRC-32 of all bytes before it.
    pub crc: crc32fast::Hasher,
    /// The last bytes before it: they tell whether what was read is still what is there.
    pub last: Vec<u8>,
    /// How far this process knows the file to be synced.
    pub synced: u64,
    /// Does this process know its name to be synced? A record is not safe in a file that a power failure can rename back.
    pub named: bool,
}

/// Enough to hold the seal of the last line.
const LAST_BYTES: usize = line::SEAL_BYTES + 1;

/// A log shorter than this is compacted only when asked to: reading all of it takes a fraction of a second.
const WORTH_COMPACTING: u64 = 64 << 20;

/// A part of the log that is worth a new snapshot in any case: it takes a tenth of a second to read.
const SNAPSHOT_BYTES: u64 = 16 << 20;

/// The state and what of the log it covers; they change together.
pub struct View {
    pub covered: Covered,
    pub state: State,
    /// Counts the files that the log has been: places of another generation mean nothing.
    pub generation: u64,
    /// How much of the log the snapshot is known to stand for.
    pub snapshot_len: u64,
    /// Damaged, and contradicting, lines of the log.
    pub damaged: u64,
    pub contradictions: u64,
    /// How long the damaged lines are that were met in reading it; not those before a snapshot.
    pub damaged_bytes: u64,
}

impl Covered {
    /// A synced file whose every line the state is about to know, and the checksum of all its bytes.
    pub fn all_of(file: Arc<dyn StoredFile>, crc: crc32fast::Hasher) -> io::Result<Self> {
        let Stat { identity, len } = file.stat()?;
        let mut last = vec![0; LAST_BYTES.min(len as usize)];
        let start = len - last.len() as u64;
        disk::read_full(&*file, &mut last, start)?;
        Ok(Self { file, identity, len, crc, last, synced: len, named: false })
    }

    /// Moves on by reading the file up to this offset.
    fn reach_to(&mut self, len: u64) -> io::Result<()> {
        let mut chunk = vec![0; 1 << 20];
        while self.len < len {
            let wanted = chunk.len().min((len - self.len) as usize);
            let read = disk::read_full(&*self.file, &mut chunk[..wanted], self.len)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.reach(&chunk[..read]);
        }
        Ok(())
    }

    /// Moves on by these bytes.
    pub fn reach(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.follow(bytes);
    }

    /// Moves on by these bytes, whose checksum is known.
    pub fn reach_summed(&mut self, bytes: &[u8], crc: &crc32fast::Hasher) {
        self.crc.combine(crc);
        self.follow(bytes);
    }

    fn follow(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        let new = &bytes[bytes.len().saturating_sub(LAST_BYTES)..];
        let old = self.last.len().saturating_sub(LAST_BYTES - new.len());
        self.last.drain(..old);
        self.last.extend_from_slice(new);
    }
}

impl View {
    /// Is more than a third of a long log not needed any more: the records of what has closed, mostly? Each compaction then
    /// frees at least half of what it copies, so that all of them together cost little beside the writing.
    pub fn is_mostly_history(&self) -> bool {
        self.covered.len > WORTH_COMPACTING && self.covered.len / 3 * 2 > self.state.needed_bytes()
    }

    /// Opens the log, and takes what its snapshot says as read. If the snapshot is not of the beginning of this log, what it
    /// says comes apart: of a log that was only compacted, or damaged in places, most is still there. The caller holds the lock.
    pub fn open(storage: &dyn Storage, paths: &Paths, zone: Tz) -> Result<(Self, Option<State>)> {
        let path = &paths.log;
        let file = storage.open(path).map_err(|e| failed("open", path, e))?;
        let stat = file.stat().map_err(|e| failed("find", path, e))?;
        let covered = Covered {
            file,
            identity: stat.identity,
            len: 0,
            crc: crc32fast::Hasher::new(),
            last: Vec::new(),
            synced: 0,
            named: false,
        };
        let empty = View {
            covered: covered.clone(),
            state: State::default(),
            generation: 0,
            snapshot_len: 0,
            damaged: 0,
            contradictions: 0,
            damaged_bytes: 0,
        };
        let Some(snapshot) = Snapshot::read(&paths.snapshot) else { return Ok((empty, None)) };
        let Some(state) = State::from_snapshot(&snapshot) else { return Ok((empty, None)) };
        if snapshot.zone == zone.name() && snapshot.len <= stat.len {
            let mut covered = covered;
            covered.reach_to(snapshot.len).map_err(|e| failed("read", path, e))?;
            if covered.crc.clone().finalize() == snapshot.crc && covered.last.last() == Some(&b'\n') {
                let Snapshot { len: snapshot_len, damaged, contradictions, .. } = snapshot;
                return Ok((Self { covered, state, snapshot_len, damaged, contradictions, ..empty }, None));
            }
        }
        Ok((empty, Some(state)))
    }

    /// Is a snapshot of it worth writing? Many bytes are many lines not to be read at the next start. A short log is read in
    /// no time, but its snapshot remembers that it was there: each is so much longer than the one before that there are few.
    pub fn is_worth_a_snapshot(&self) -> bool {
        let grown = self.covered.len.saturating_sub(self.snapshot_len);
        grown >= SNAPSHOT_BYTES.min(self.snapshot_len / 4).max(1)
    }

    /// The log is another file now, with all lines of the state at new places.
    pub fn moved_to(&mut self, covered: Covered) {
        self.covered = covered;
        self.generation += 1;
        self.snapshot_len = 0;
        self.damaged = 0;
        self.contradictions = 0;
        self.damaged_bytes = 0;
    }
}
