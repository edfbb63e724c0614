//! Prefetching many lines of the log: sorted by position, with neighbours in one read.

use super::state::Place;
use domain::signal::{SignalKey, SignalKeyHasher};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::io;
use std::ops::Range;
use storage::disk;
use storage::disk::StoredFile;

/// It is cheaper to read up to this many bytes between two lines than to skip them.
const GAP: u64 = 1 << 10;
/// The most bytes per read, and the most to hold; lines beyond that are read when they are needed.
const RUN_BYTES: u64 = 1 << 20;
const MOST_BYTES: usize = 32 << 20;

/// Prefetched lines of open signals.
#[derive(Default)]
pub struct Prefetched {
    bytes: Vec<u8>,
    lines: HashMap<SignalKey, Range<usize>, BuildHasherDefault<SignalKeyHasher>>,
}

impl Prefetched {
    /// Reads lines of a log.
    pub fn read(file: &dyn StoredFile, mut wanted: Vec<(Place, SignalKey)>) -> io::Result<Self> {
        let mut prefetched = Self::default();
        wanted.sort_unstable_by_key(|(place, _)| place.offset);
        let mut rest = &wanted[..];
        while let [(first, _), ..] = rest
            && prefetched.bytes.len() < MOST_BYTES
        {
            let mut end = first.offset;
            let fits = |(place, _): &&(Place, SignalKey)| {
                let near = place.offset <= end + GAP && place.offset - first.offset < RUN_BYTES;
                end = if near { end.max(place.offset + u64::from(place.len)) } else { end };
                near
            };
            let (run, later) = rest.split_at(rest.iter().take_while(fits).count());
            rest = later;
            let start = prefetched.bytes.len();
            prefetched.bytes.resize(start + (end - first.offset) as usize, 0);
            // A line that ends too early will fail its checksum.
            disk::read_full(file, &mut prefetched.bytes[start..], first.offset)?;
            for (place, key) in run {
                let at = start + (place.offset - first.offset) as usize;
                prefetched.lines.insert(*key, at..at + place.len as usize);
            }
        }
        Ok(prefetched)
    }

    /// Adds the line of a signal.
    pub fn add(&mut self, key: SignalKey, line: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.lines.insert(key, start..self.bytes.len());
    }

    /// The line of a signal, if it was prefetched.
    pub fn line(&self, key: SignalKey) -> Option<&[u8]> {
        self.lines.get(&key).map(|range| &self.bytes[range.clone()])
    }
}
