//! The one thread of an open store that writes: it takes what has queued up, checks it against the log as it is now, and
//! appends it in one write and one sync. So a hundred callers share one sync.

use super::ClosedSignal;
use super::ahead::Ahead;
use super::compact::{self, Compaction};
use super::fault::Fault;
use super::index::Hit;
use super::line::{self, Facts, Key, KeyHasher};
use super::lock::Guard;
use super::log::Log;
use super::state::Place;
use super::storage::{Lock, StoredFile};
use super::upkeep::Upkeep;
use crate::barrier::{Levels, Outcome};
use crate::config::Durability;
use crate::error::{self, Error, Result};
use crate::signal::{Closing, Record, assumed_profit};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

/// A batch stops growing here, so that its memory is bounded.
const BATCH_BYTES: usize = 16 << 20;

/// Something to be written, if what it rests on still holds when its turn comes.
pub(super) enum Change {
    /// A new signal.
    Record(NewLine),
    /// A line of another log, anew. It may be the closing of a signal that the store knows.
    Import(NewLine),
    /// A price hit a signal.
    Hit(Hit),
    /// A caller closes a signal.
    Close(CloseRequest),
}

impl Change {
    /// The signal that a price hit.
    fn hit(&self) -> Option<Key> {
        match self {
            Self::Hit(hit) => Some(hit.key),
            _ => None,
        }
    }
}

/// A line as the caller's thread made it, and what memory keeps of it. The record itself stays behind: that spares the
/// writer the freeing of its many small parts.
pub(super) struct NewLine {
    facts: Facts<'static>,
    /// The lines that were made together.
    buffer: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl NewLine {
    /// The lines of some records.
    pub fn all(records: impl Iterator<Item = Record>) -> Result<Vec<Self>> {
        let mut buffer = Vec::with_capacity(512 * records.size_hint().0);
        let mut made = Vec::with_capacity(records.size_hint().0);
        for record in records {
            let start = buffer.len();
            line::encode_onto(&mut buffer, &record)?;
            made.push((Facts::of(&record), start..buffer.len()));
        }
        let buffer = Arc::new(buffer);
        Ok(made.into_iter().map(|(facts, range)| Self { facts, buffer: buffer.clone(), range }).collect())
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

/// What a caller says of a closing.
pub(super) struct CloseRequest {
    pub id: String,
    pub outcome: Outcome,
    pub exit_price: Option<f64>,
    pub profit_percent: Option<f64>,
    pub now_ms: i64,
}

/// What became of a change.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A signal was recorded.
    Recorded,
    /// The log said so before.
    Known,
    /// A signal was closed.
    Closed(Box<ClosedSignal>),
    /// There is no such open signal.
    NotOpen,
    /// It contradicts the log, or the line it rests on cannot be read.
    Refused(Error),
}

/// Work for the writer, and where to say what became of it.
pub(super) enum Job {
    Changes(Changes),
    /// Puts a compacted log in the place of the log.
    Swap(compact::Copy, mpsc::Sender<Result<Option<Compaction>>>),
}

/// Changes that one caller waits for.
pub(super) struct Changes {
    pub changes: Vec<Change>,
    pub reply: oneshot::Sender<Result<Vec<Verdict>>>,
}

impl Changes {
    fn bytes(&self) -> usize {
        let of = |change: &Change| match change {
            Change::Record(line) | Change::Import(line) => line.range.len(),
            _ => 512,
        };
        self.changes.iter().map(of).sum()
    }
}

/// The thread's own things.
pub(super) struct Writer {
    log: Arc<Log>,
    /// This thread's handle of the lock file.
    lock: Arc<dyn StoredFile>,
    durability: Durability,
    upkeep: Upkeep,
}

/// Lines about to be appended, and what the log will say then.
#[derive(Default)]
struct Staged {
    lines: Vec<u8>,
    added: Vec<(Facts<'static>, Place)>,
    /// The newest line of each signal among them, as an index of `added`.
    newest: HashMap<Key, usize, BuildHasherDefault<KeyHasher>>,
    /// A caller is told that something old is safe, so it must be.
    vouched: bool,
    /// The lines of what prices hit.
    ahead: Ahead,
}

impl Staged {
    fn add(&mut self, base: u64, facts: Facts<'static>, line: &[u8]) {
        let place = Place { offset: base + self.lines.len() as u64, len: line.len() as u32 - 1 };
        self.lines.extend_from_slice(line);
        self.newest.insert(facts.key, self.added.len());
        self.added.push((facts, place));
    }
}

/// The writer's turn at the log.
struct Turn {
    log: Arc<Log>,
    _guard: Guard,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Before the lock goes, which is dropped after this: from then on, others may write.
        self.log.writing.store(false, Ordering::Release);
    }
}

impl Writer {
    pub fn new(log: Arc<Log>, lock: Arc<dyn StoredFile>, durability: Durability, upkeep: Upkeep) -> Self {
        Self { log, lock, durability, upkeep }
    }

    /// Works until the last sender is gone and the queue is empty.
    pub fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut next = Some(first);
            let mut batch = Vec::new();
            let mut bytes = 0;
            while let Some(Job::Changes(changes)) = next {
                bytes += changes.bytes();
                batch.push(changes);
                next = if bytes < BATCH_BYTES { jobs.try_recv().ok() } else { None };
            }
            if !batch.is_empty() {
                self.serve(batch);
            }
            if let Some(Job::Swap(copy, reply)) = next {
                let result = error::guard(|| self.swap(copy).map_err(Error::from));
                // A compaction that no longer waits was closed meanwhile.
                let _ = reply.send(result);
            }
            self.upkeep.grown();
        }
        self.log.ending.store(true, Ordering::Relaxed);
        self.upkeep.end();
        self.log.save_snapshot();
    }

    fn swap(&mut self, copy: compact::Copy) -> std::result::Result<Option<Compaction>, Fault> {
        let guard = self.begin()?;
        let result = compact::put_in_place(&self.log, copy);
        drop(guard);
        result
    }

    /// Takes the lock and catches up: until the turn ends, the state is the log.
    fn begin(&mut self) -> std::result::Result<Turn, Fault> {
        let guard = self.log.lock(&mut self.lock)?;
        self.log.catch_up(Lock::Exclusive)?;
        self.log.writing.store(true, Ordering::Release);
        Ok(Turn { log: self.log.clone(), _guard: guard })
    }

    fn serve(&mut self, batch: Vec<Changes>) {
        let (changes, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.changes, job.reply)).unzip();
        let hits: Vec<Key> = changes.iter().flatten().filter_map(Change::hit).collect();
        let result = error::guard(|| self.commit(changes).map_err(Error::from));
        // What was hit but not closed goes back to where the next price finds it. Those that closed are gone from there.
        if !hits.is_empty() {
            let mut view = self.log.view.write();
            for key in hits {
                if let Some(slot) = view.state.slot(key) {
                    view.state.index.put_back(slot);
                }
            }
        }
        // A caller that no longer waits does not need its reply.
        match result {
            Ok(verdicts) => replies.into_iter().zip(verdicts).for_each(|(reply, verdicts)| {
                let _ = reply.send(Ok(verdicts));
            }),
            Err(error) => replies.into_iter().for_each(|reply| {
                let _ = reply.send(Err(error.clone()));
            }),
        }
    }

    /// One batch, under the lock: all of it is stored, or none of it.
    fn commit(&mut self, jobs: Vec<Vec<Change>>) -> std::result::Result<Vec<Vec<Verdict>>, Fault> {
        let log = self.log.clone();
        let guard = self.begin()?;
        let base = log.view.read().covered.len;
        let hits = jobs.iter().flatten().filter_map(Change::hit);
        // What cannot be read at once is read one by one, and fails one by one.
        let ahead = Ahead::read(&log, hits).unwrap_or_default();
        let mut staged = Staged { ahead, ..Staged::default() };
        let count = jobs.iter().map(Vec::len).sum();
        staged.newest.reserve(count);
        staged.added.reserve(count);
        let verdicts = jobs
            .into_iter()
            .map(|changes| changes.into_iter().map(|change| self.decide(change, base, &mut staged)).collect())
            .collect();
        let sync = self.durability == Durability::Fsync;
        if staged.lines.is_empty() {
            if sync && staged.vouched {
                log.sync_covered()?;
            }
        } else {
            log.append(&staged.lines, sync)?;
            log.accept(&staged.lines, &staged.added, sync);
        }
        drop(guard);
        Ok(verdicts)
    }

    fn decide(&self, change: Change, base: u64, staged: &mut Staged) -> Verdict {
        let decided = match change {
            Change::Record(line) => self.record(line, base, staged),
            Change::Import(line) => self.import(line, base, staged),
            Change::Hit(hit) => self.close(hit.key, None, base, staged, |_| Closing {
                outcome: hit.exit.outcome,
                exit_price: Some(hit.exit.price),
                profit_percent: hit.profit_percent,
                closed_ms: hit.exit.time_ms,
            }),
            Change::Close(request) => self.close(Key::of(&request.id), Some(&request.id), base, staged, |levels| {
                let assumed = || assumed_profit(levels, request.outcome, request.exit_price);
                Closing {
                    outcome: request.outcome,
                    exit_price: request.exit_price,
                    profit_percent: request.profit_percent.unwrap_or_else(assumed),
                    closed_ms: request.now_ms.max(levels.since_ms),
                }
            }),
        };
        decided.unwrap_or_else(Verdict::Refused)
    }

    fn record(&self, line: NewLine, base: u64, staged: &mut Staged) -> Result<Verdict> {
        let Some(before) = self.find(line.facts.key, base, staged)? else {
            let NewLine { facts, buffer, range } = line;
            staged.add(base, facts, &buffer[range]);
            return Ok(Verdict::Recorded);
        };
        let signal = self.read_back(&line)?.signal;
        if let Some(field) = before.signal.first_difference(&signal) {
            return Err(Error::SignalConflict { id: signal.id, field });
        }
        staged.vouched = true;
        Ok(Verdict::Known)
    }

    fn import(&self, line: NewLine, base: u64, staged: &mut Staged) -> Result<Verdict> {
        let (Some(before), Some(closing)) = (self.find(line.facts.key, base, staged)?, line.facts.closing) else {
            return self.record(line, base, staged);
        };
        let (old, new) = (&before.signal, self.read_back(&line)?.signal);
        // The old system's closing lines carry keys that its records do not: what the price index knows must agree.
        if (&old.symbol, old.timeframe, old.levels()) != (&new.symbol, new.timeframe, new.levels()) {
            let field = old.first_difference(&new).unwrap_or("levels");
            return Err(Error::SignalConflict { id: new.id, field });
        }
        match before.closing {
            None => {
                staged.add(base, line.facts.clone(), line.bytes());
                Ok(Verdict::Closed(Box::new(ClosedSignal::new(&new, &closing))))
            }
            Some(first) if first.outcome == closing.outcome && first.closed_ms == closing.closed_ms => {
                staged.vouched = true;
                Ok(Verdict::Known)
            }
            Some(_) => Err(Error::SignalConflict { id: new.id, field: "outcome" }),
        }
    }

    fn read_back(&self, line: &NewLine) -> Result<Record> {
        line::decode(line.bytes().trim_ascii_end(), self.log.zone).map_err(Error::Internal)
    }

    fn close(
        &self,
        key: Key,
        id: Option<&str>,
        base: u64,
        staged: &mut Staged,
        closing: impl Fn(&Levels) -> Closing,
    ) -> Result<Verdict> {
        // What is known to be closed, or unknown, need not be read.
        if !staged.newest.contains_key(&key) {
            let view = self.log.view.read();
            if view.state.slot(key).is_none_or(|slot| view.state.index.levels(slot).is_none()) {
                return Ok(Verdict::NotOpen);
            }
        }
        let Some(line) = self.line(key, base, staged)? else { return Ok(Verdict::NotOpen) };
        // A line as this store writes it gets its closing put in; any other is read as a whole and written anew.
        if let Some(own) = line::own(&line, self.log.zone)
            && let Some(levels) = own.levels
        {
            if own.closing.is_some() || id.is_some_and(|id| id != own.id) {
                return Ok(Verdict::NotOpen);
            }
            let closing = closing(&levels);
            if let Some(spliced) = line::with_closing(&line, &closing)? {
                let closed = ClosedSignal::of(&own, &levels, &closing)?;
                let facts = Facts::from(own).into_owned();
                staged.add(base, Facts { closing: Some(closing), ..facts }, &spliced);
                return Ok(Verdict::Closed(Box::new(closed)));
            }
        }
        let Some(mut record) = self.find(key, base, staged)? else { return Ok(Verdict::NotOpen) };
        let other = id.is_some_and(|id| id != record.signal.id);
        let Some(levels) = record.signal.levels().filter(|_| !other && record.closing.is_none()) else {
            return Ok(Verdict::NotOpen);
        };
        let closing = closing(&levels);
        record.closing = Some(closing);
        let line = line::encode(&record)?;
        let closed = ClosedSignal::new(&record.signal, &closing);
        staged.add(base, Facts::of(&record), &line);
        Ok(Verdict::Closed(Box::new(closed)))
    }

    /// The newest line of a signal, its newline not counted.
    fn line<'a>(&self, key: Key, base: u64, staged: &'a Staged) -> Result<Option<Cow<'a, [u8]>>> {
        if let Some(index) = staged.newest.get(&key) {
            let place = staged.added[*index].1;
            let start = (place.offset - base) as usize;
            return Ok(Some(Cow::Borrowed(&staged.lines[start..start + place.len as usize])));
        }
        if let Some(line) = staged.ahead.line(key) {
            return Ok(Some(Cow::Borrowed(line)));
        }
        let Some((file, place)) = self.place(key) else { return Ok(None) };
        Ok(Some(Cow::Owned(self.log.read_line(&*file, place)?)))
    }

    fn place(&self, key: Key) -> Option<(Arc<dyn StoredFile>, Place)> {
        let view = self.log.view.read();
        view.state.slot(key).map(|slot| (view.covered.file.clone(), view.state.entry(slot).place()))
    }

    /// The record of a signal as it will be once what is staged is written.
    fn find(&self, key: Key, base: u64, staged: &Staged) -> Result<Option<Record>> {
        if let Some(index) = staged.newest.get(&key) {
            let place = staged.added[*index].1;
            let start = (place.offset - base) as usize;
            let line = &staged.lines[start..start + place.len as usize];
            return line::decode(line, self.log.zone).map(Some).map_err(Error::Internal);
        }
        match self.place(key) {
            None => Ok(None),
            Some((file, place)) => Ok(Some(self.log.read(&*file, place)?)),
        }
    }
}
