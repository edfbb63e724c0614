//! Reading the log from front to back in chunks. All cores read and parse chunks, which are then applied in order.

use super::line::{self, Facts, Reason};
use super::state::Place;
use domain::time::Tz;
use memchr::{memchr, memchr_iter, memrchr};
use parking_lot::{Condvar, Mutex};
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::sync::OnceLock;
use storage::disk;
use storage::disk::StoredFile;

/// Bytes that a thread reads at a time: few enough to be in the processor's cache while they are parsed.
const CHUNK_BYTES: u64 = 512 << 10;
/// Bytes to read first of a line that continues after its chunk.
const TAIL_BYTES: u64 = 4 << 10;
/// A longer line is not read: the file is no log, or was overwritten.
const LONGEST: u64 = 64 << 20;

/// The number of threads that can run at once. Cached, since asking the system takes longer than a small write.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// A line, or a readable part of a damaged one.
pub struct Item<'a> {
    pub place: Place,
    pub facts: Result<Facts<'a>, Reason>,
}

/// A parsed piece of the log.
pub struct Parsed<'a> {
    /// Complete lines.
    bytes: &'a [u8],
    /// Their offset.
    start: u64,
    /// The CRC-32 of all of them.
    pub crc: crc32fast::Hasher,
    pub items: Vec<Item<'a>>,
    /// Estimated number of lines that follow, if this is the first of several pieces; else 0.
    pub to_come: usize,
}

impl<'a> Parsed<'a> {
    /// Parses complete lines at offset `start` of the log.
    fn new(bytes: &'a [u8], start: u64, zone: Tz) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(bytes);
        let mut items = Vec::with_capacity(bytes.len() / 300 + 1);
        let mut at = 0;
        for newline in memchr_iter(b'\n', bytes) {
            let text = &bytes[at..newline];
            if !text.trim_ascii().is_empty() {
                parse(text, start + at as u64, zone, &mut items);
            }
            at = newline + 1;
        }
        Self { bytes, start, crc, items, to_come: 0 }
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
    let mut push = |range: Range<usize>, facts| {
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

/// Passes all complete lines from offset `from` on to `take_in`, in order. Returns what follows the last newline.
///
/// One thread at a time calls `take_in`, but not always the same.
pub fn lines(
    file: &dyn StoredFile,
    from: u64,
    zone: Tz,
    mut take_in: impl FnMut(&Parsed<'_>) + Send,
) -> io::Result<Vec<u8>> {
    let mut start = from;
    loop {
        let end = file.stat()?.len;
        let reached = stretch(file, start, end, zone, &mut take_in)?;
        if reached == start {
            if end.saturating_sub(start) > LONGEST {
                return Err(too_long(start));
            }
            let mut tail = vec![0; end.saturating_sub(start) as usize];
            let read = disk::read_full(file, &mut tail, start)?;
            tail.truncate(read);
            return Ok(tail);
        }
        // A process that ignores the lock may have appended meanwhile.
        start = reached;
    }
}

fn too_long(offset: u64) -> io::Error {
    let (most, kind) = (LONGEST >> 20, io::ErrorKind::InvalidData);
    io::Error::new(
        kind,
        format!(
            "the line at byte {offset} does not end within {most} MiB; move the file away, and take in a copy without it with `signalloop import`"
        ),
    )
}

/// Passes on the complete lines between two offsets, the first of which begins a line. Returns the offset where they end.
fn stretch<F: FnMut(&Parsed<'_>) + Send>(
    file: &dyn StoredFile,
    start: u64,
    end: u64,
    zone: Tz,
    take_in: F,
) -> io::Result<u64> {
    let chunks = end.saturating_sub(start).div_ceil(CHUNK_BYTES);
    let order = ChunkOrder {
        now: Mutex::new(NextChunk { number: 0, over: false, reached: start, take_in }),
        next: Condvar::new(),
    };
    let threads = (cores() as u64).min(chunks);
    let work = |first: u64| -> io::Result<()> {
        let _end = EndOnPanic(&order);
        let mut buffer = Buffer::default();
        for number in (first..chunks).step_by(threads as usize) {
            let begin = start + number * CHUNK_BYTES;
            let lines = buffer.lines(file, begin..end.min(begin + CHUNK_BYTES), number == 0, end);
            let mut parsed = lines.map(|(at, bytes)| Parsed::new(bytes, at, zone));
            if let (0, Ok(first)) = (number, &mut parsed) {
                first.to_come = first.items.len() * (chunks as usize - 1);
            }
            if !order.take(number, parsed)? {
                break;
            }
        }
        Ok(())
    };
    if threads < 2 {
        if chunks > 0 {
            work(0)?;
        }
    } else {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|first| scope.spawn(move || work(first))).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
    }
    Ok(order.now.into_inner().reached)
}

/// Puts chunks in order: threads read and parse chunks in parallel, and pass their lines on one after the other.
struct ChunkOrder<F> {
    now: Mutex<NextChunk<F>>,
    next: Condvar,
}

struct NextChunk<F> {
    /// The number of the next chunk.
    number: u64,
    /// A chunk could not be read, so later ones are dropped.
    over: bool,
    /// The offset where the lines passed on end.
    reached: u64,
    take_in: F,
}

impl<F: FnMut(&Parsed<'_>)> ChunkOrder<F> {
    /// Waits until this chunk is next, and passes its lines on. `false` if it is no longer needed.
    fn take(&self, number: u64, parsed: io::Result<Parsed<'_>>) -> io::Result<bool> {
        let mut now = self.now.lock();
        self.next.wait_while(&mut now, |now| !now.over && now.number != number);
        if now.over {
            return Ok(false);
        }
        let outcome = parsed.map(|parsed| {
            if !parsed.bytes.is_empty() {
                now.reached = parsed.start + parsed.bytes.len() as u64;
                (now.take_in)(&parsed);
            }
        });
        now.number += 1;
        now.over = outcome.is_err();
        drop(now);
        self.next.notify_all();
        outcome.map(|()| true)
    }
}

/// Releases the other threads if one panics.
struct EndOnPanic<'a, F>(&'a ChunkOrder<F>);

impl<F> Drop for EndOnPanic<'_, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.now.lock().over = true;
            self.0.next.notify_all();
        }
    }
}

/// A reused read buffer, as long as the longest content so far.
#[derive(Default)]
struct Buffer(Vec<u8>);

impl Buffer {
    /// The complete lines that begin in a chunk of a file, and the offset of the first. They may end after the chunk, but not
    /// after `end`. `sure`: a line certainly begins at the chunk's start.
    fn lines(&mut self, file: &dyn StoredFile, chunk: Range<u64>, sure: bool, end: u64) -> io::Result<(u64, &[u8])> {
        // The byte before a line is a newline.
        let at = if sure { chunk.start } else { chunk.start - 1 };
        let mut filled = self.fill(file, 0, at, chunk.end)?;
        let first = if sure { 0 } else { memchr(b'\n', &self.0[..filled]).map_or(filled, |newline| newline + 1) };
        let mut last = memrchr(b'\n', &self.0[first..filled]).map_or(first, |newline| first + newline + 1);
        let mut more = TAIL_BYTES;
        // The last line continues after the chunk, usually by little; but it may be longer than any chunk.
        while last < filled && at + (filled as u64) < end {
            let before = filled;
            filled += self.fill(file, before, at + before as u64, end.min(at + before as u64 + more))?;
            if let Some(newline) = memchr(b'\n', &self.0[before..filled]) {
                last = before + newline + 1;
                break;
            }
            if filled == before {
                break;
            }
            if (filled - last) as u64 > LONGEST {
                return Err(too_long(at + last as u64));
            }
            more = filled as u64;
        }
        Ok((at + first as u64, &self.0[first..last]))
    }

    /// Reads a range of the file to this position of the buffer; returns the number of bytes read.
    fn fill(&mut self, file: &dyn StoredFile, place: usize, from: u64, to: u64) -> io::Result<usize> {
        let until = place + (to - from) as usize;
        if self.0.len() < until {
            self.0.resize(until, 0);
        }
        disk::read_full(file, &mut self.0[place..until], from)
    }
}
