//! Reading back many lines of the log at once: in the order in which they stand there, neighbours in one read.

use super::state::Place;
use domain::signal::{SignalKey, SignalKeyHasher};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::io;
use std::ops::Range;
use storage::disk;
use storage::disk::StoredFile;

/// Bytes between two lines that are cheaper to read than to leave out.
const GAP: u64 = 1 << 10;
/// The most that is read at once, and the most that is held; what is beyond is read when its turn comes.
const RUN_BYTES: u64 = 1 << 20;
const MOST_BYTES: usize = 32 << 20;

/// Lines of open signals.
#[derive(Default)]
pub struct Ahead {
    bytes: Vec<u8>,
    lines: HashMap<SignalKey, Range<usize>, BuildHasherDefault<SignalKeyHasher>>,
}

impl Ahead {
    /// Reads lines of a log.
    pub fn read(file: &dyn StoredFile, mut wanted: Vec<(Place, SignalKey)>) -> io::Result<Self> {
        let mut ahead = Self::default();
        wanted.sort_unstable_by_key(|(place, _)| place.offset);
        let mut rest = &wanted[..];
        while let [(first, _), ..] = rest
            && ahead.bytes.len() < MOST_BYTES
        {
            let mut end = first.offset;
            let fits = |(place, _): &&(Place, SignalKey)| {
                let near = place.offset <= end + GAP && place.offset - first.offset < RUN_BYTES;
                end = if near { end.max(place.offset + u64::from(place.len)) } else { end };
                near
            };
            let (run, later) = rest.split_at(rest.iter().take_while(fits).count());
            rest = later;
            let start = ahead.bytes.len();
            ahead.bytes.resize(start + (end - first.offset) as usize, 0);
            // A line that ends too early will not prove itself by its checksum.
            disk::read_full(file, &mut ahead.bytes[start..], first.offset)?;
            for (place, key) in run {
                let at = start + (place.offset - first.offset) as usize;
                ahead.lines.insert(*key, at..at + place.len as usize);
            }
        }
        Ok(ahead)
    }

    /// Adds a line.
    /// Keeps a line.
    pub fn add(&mut self, key: SignalKey, line: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.lines.insert(key, start..self.bytes.len());
    }

    /// The line of a signal, if it was read.
    pub fn line(&self, key: SignalKey) -> Option<&[u8]> {
        self.lines.get(&key).map(|range| &self.bytes[range.clone()])
    }
}
