//! Reading the log from front to back: whole lines, in blocks, parsed on all cores while the block before is taken in.

use super::line::{self, Facts, Reason};
use super::state::Place;
use super::storage::{self, StoredFile};
use chrono_tz::Tz;
use std::io;
use std::num::NonZero;
use std::sync::OnceLock;

/// What is read at a time. Bounds the memory of a scan to a small multiple of it, unless one line is longer.
const BLOCK_BYTES: usize = 8 << 20;
/// A smaller piece is not worth a thread.
const PIECE_BYTES: usize = 256 << 10;

/// How many threads can run at once. Asked once: the answer takes the system longer than a small write does.
pub(super) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// A line, or what could be read of a damaged one.
pub(super) struct Item<'a> {
    pub place: Place,
    pub facts: Result<Facts<'a>, Reason>,
}

/// A piece of the log, parsed.
pub(super) struct Parsed<'a> {
    /// Whole lines.
    bytes: &'a [u8],
    /// Where they begin.
    start: u64,
    pub items: Vec<Item<'a>>,
}

impl<'a> Parsed<'a> {
    /// Parses whole lines that begin at `start` of the log.
    fn new(bytes: &'a [u8], start: u64, zone: Tz) -> Self {
        let mut items = Vec::with_capacity(bytes.len() / 300 + 1);
        let mut at = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            if !text.trim_ascii().is_empty() {
                parse(text, start + at, zone, &mut items);
            }
            at += line.len() as u64;
        }
        Self { bytes, start, items }
    }

    /// All its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes of one of its items.
    pub fn bytes_at(&self, place: Place) -> &'a [u8] {
        let from = (place.offset - self.start) as usize;
        &self.bytes[from..from + place.len as usize]
    }
}

fn parse<'a>(text: &'a [u8], offset: u64, zone: Tz, items: &mut Vec<Item<'a>>) {
    let mut push = |range: std::ops::Range<usize>, facts| {
        items.push(Item { place: Place { offset: offset + range.start as u64, len: range.len() as u32 }, facts });
    };
    match line::facts(text, zone) {
        Ok(facts) => push(0..text.len(), Ok(facts)),
        Err(reason) => {
            let mut lost = 0;
            for range in line::salvage(text) {
                // A single byte between two records was the newline.
                if range.start > lost + 1 {
                    push(lost..range.start, Err(reason.clone()));
                }
                lost = range.end;
                push(range.clone(), line::facts(&text[range], zone));
            }
            if lost == 0 || text.len() > lost + 1 {
                push(lost..text.len(), Err(reason));
            }
        }
    }
}

/// Hands all whole lines from offset `from` on to `take_in`, in order; returns what follows the last newline.
pub(super) fn lines(
    file: &dyn StoredFile,
    from: u64,
    zone: Tz,
    mut take_in: impl FnMut(&Parsed<'_>),
) -> io::Result<Vec<u8>> {
    let mut start = from;
    let mut block = Vec::new();
    loop {
        let carried = block.len();
        // A line longer than a block makes the block grow until it is whole.
        let remaining = file.stat()?.len.saturating_sub(start + carried as u64);
        block.resize(carried + remaining.min(BLOCK_BYTES.max(carried) as u64) as usize, 0);
        let read = storage::read_full(file, &mut block[carried..], start + carried as u64)?;
        block.truncate(carried + read);
        if read == 0 {
            return Ok(block);
        }
        let Some(last) = block.iter().rposition(|byte| *byte == b'\n') else { continue };
        let (whole, rest) = block.split_at(last + 1);
        for_each_piece(whole, start, zone, &mut take_in);
        start += whole.len() as u64;
        block = rest.to_vec();
    }
}

/// Parses the pieces of a block each on a thread of its own, and takes them in, in order, as they become ready.
fn for_each_piece(whole: &[u8], start: u64, zone: Tz, take_in: &mut impl FnMut(&Parsed<'_>)) {
    let pieces = split(whole, (whole.len() / PIECE_BYTES).clamp(1, cores()));
    if let [piece] = pieces[..] {
        take_in(&Parsed::new(piece, start, zone));
        return;
    }
    std::thread::scope(|scope| {
        let mut begin = start;
        let mut handles = Vec::with_capacity(pieces.len());
        for piece in pieces {
            handles.push(scope.spawn(move || Parsed::new(piece, begin, zone)));
            begin += piece.len() as u64;
        }
        for handle in handles {
            match handle.join() {
                Ok(parsed) => take_in(&parsed),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
}

/// Splits whole lines into about equal pieces of whole lines.
fn split(mut whole: &[u8], pieces: usize) -> Vec<&[u8]> {
    let goal = whole.len() / pieces + 1;
    let mut found = Vec::with_capacity(pieces);
    while whole.len() > goal {
        let end = whole[goal..].iter().position(|byte| *byte == b'\n').map_or(whole.len(), |at| goal + at + 1);
        let (piece, rest) = whole.split_at(end);
        found.push(piece);
        whole = rest;
    }
    if !whole.is_empty() {
        found.push(whole);
    }
    found
}
