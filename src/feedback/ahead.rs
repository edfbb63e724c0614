//! Reading back many lines of the log at once: in the order in which they stand there, neighbours in one read.

use super::fault::Fault;
use super::line::{Key, KeyHasher};
use super::log::Log;
use super::state::Place;
use super::storage;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Range;

/// Bytes between two lines that are cheaper to read than to leave out.
const GAP: u64 = 1 << 10;
/// The most that is read at once, and the most that is held; what is beyond is read when its turn comes.
const RUN_BYTES: u64 = 1 << 20;
const MOST_BYTES: usize = 32 << 20;

/// Lines of open signals.
#[derive(Default)]
pub(super) struct Ahead {
    bytes: Vec<u8>,
    lines: HashMap<Key, Range<usize>, BuildHasherDefault<KeyHasher>>,
}

impl Ahead {
    /// Reads the lines of those of these signals that are open.
    pub fn read(log: &Log, keys: impl Iterator<Item = Key>) -> Result<Self, Fault> {
        let mut ahead = Self::default();
        let (file, mut wanted): (_, Vec<(Place, Key)>) = {
            let view = log.view.read();
            let open = |key| view.state.slot(key).filter(|slot| view.state.index.levels(*slot).is_some());
            let wanted = keys.filter_map(|key| Some((view.state.entry(open(key)?).place(), key)));
            (view.covered.file.clone(), wanted.collect())
        };
        wanted.sort_unstable_by_key(|(place, _)| place.offset);
        let mut rest = &wanted[..];
        while let [(first, _), ..] = rest
            && ahead.bytes.len() < MOST_BYTES
        {
            let mut end = first.offset;
            let fits = |(place, _): &&(Place, Key)| {
                let near = place.offset <= end + GAP && place.offset - first.offset < RUN_BYTES;
                end = if near { end.max(place.offset + u64::from(place.len)) } else { end };
                near
            };
            let (run, later) = rest.split_at(rest.iter().take_while(fits).count());
            rest = later;
            let start = ahead.bytes.len();
            ahead.bytes.resize(start + (end - first.offset) as usize, 0);
            let read = storage::read_full(&*file, &mut ahead.bytes[start..], first.offset);
            // A line that ends too early will not prove itself by its checksum.
            read.map_err(|e| Fault::of("read", &log.paths.log, &e))?;
            for (place, key) in run {
                let at = start + (place.offset - first.offset) as usize;
                ahead.lines.insert(*key, at..at + place.len as usize);
            }
        }
        Ok(ahead)
    }

    /// The line of a signal, if it was read.
    pub fn line(&self, key: Key) -> Option<&[u8]> {
        self.lines.get(&key).map(|range| &self.bytes[range.clone()])
    }
}
