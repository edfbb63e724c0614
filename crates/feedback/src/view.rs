//! The state, together with the part of the file that it was read from.

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
    /// The state includes all lines that end before this offset.
    pub len: u64,
    /// The CRC-32 of all bytes before that offset.
    pub crc: crc32fast::Hasher,
    /// The last bytes before that offset, to check that the file still has the same content.
    pub last: Vec<u8>,
    /// The length up to which the file is synced, as far as this process knows.
    pub synced: u64,
    /// Whether the file's name is synced, as far as this process knows. Before that, a power failure may undo the rename that put
    /// it in place.
    pub named: bool,
}

/// Enough to hold the seal of the last line.
const LAST_BYTES: usize = line::SEAL_BYTES + 1;

/// A shorter log is compacted only on request: reading all of it takes a fraction of a second.
const WORTH_COMPACTING: u64 = 64 << 20;

/// This many new bytes justify a snapshot in any case: reading them takes a tenth of a second.
const SNAPSHOT_BYTES: u64 = 16 << 20;

/// The state and the part of the log that it covers; both change together.
pub struct View {
    pub covered: Covered,
    pub state: State,
    /// Counts the files that have been the log; places of other generations are invalid.
    pub generation: u64,
    /// How much of the log the snapshot covers, as far as known.
    pub snapshot_len: u64,
    /// Damaged, and contradicting, lines of the log.
    pub damaged: u64,
    pub contradictions: u64,
    /// Total length of the damaged lines read; without those covered by a snapshot.
    pub damaged_bytes: u64,
}

impl Covered {
    /// A synced file that the state is about to cover completely, and the checksum of its bytes.
    pub fn all_of(file: Arc<dyn StoredFile>, crc: crc32fast::Hasher) -> io::Result<Self> {
        let Stat { identity, len } = file.stat()?;
        let mut last = vec![0; LAST_BYTES.min(len as usize)];
        let start = len - last.len() as u64;
        disk::read_full(&*file, &mut last, start)?;
        Ok(Self { file, identity, len, crc, last, synced: len, named: false })
    }

    /// Extends the covered part by reading the file up to this offset.
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

    /// Extends the covered part by these bytes.
    pub fn reach(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.follow(bytes);
    }

    /// Extends the covered part by these bytes, whose checksum is known.
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
    /// Whether more than a third of a long log is no longer needed, mostly first lines of closed signals. Each compaction then
    /// frees at least half of what it copies, so compactions cost little compared with writing.
    pub fn is_mostly_history(&self) -> bool {
        self.covered.len > WORTH_COMPACTING && self.covered.len / 3 * 2 > self.state.needed_bytes()
    }

    /// Opens the log and restores the state from its snapshot. If the snapshot does not fit the beginning of this log, its state
    /// is returned separately; if the log was compacted or partly damaged, most of that is still in it. The caller holds the
    /// lock.
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

    /// Whether writing a snapshot is worthwhile. With many bytes, the next start saves reading many lines. For a short log the
    /// snapshot proves that the log existed; each is so much longer than the previous one that few are written.
    pub fn is_worth_a_snapshot(&self) -> bool {
        let grown = self.covered.len.saturating_sub(self.snapshot_len);
        grown >= SNAPSHOT_BYTES.min(self.snapshot_len / 4).max(1)
    }

    /// Switches to another file, which has all lines of the state at new places.
    pub fn moved_to(&mut self, covered: Covered) {
        self.covered = covered;
        self.generation += 1;
        self.snapshot_len = 0;
        self.damaged = 0;
        self.contradictions = 0;
        self.damaged_bytes = 0;
    }
}
