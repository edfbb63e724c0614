//! The one thread of an open store that writes: it takes what has queued up, checks it against the log as it is now, and
//! appends it in one write and one sync. So a hundred callers share one sync.

use super::ahead::Ahead;
use super::by_hand::CloseRequest;
use super::compact::{self, Compaction};
use super::index::Hit;
use super::journal::{Asked, Journal, Turns};
use super::line::{self, Facts};
use super::{ClosedSignal, StoreOptions};
use domain::barrier::Levels;
use domain::error::{self, Error, Result};
use domain::signal::{Closing, Record};
use domain::signal::{SignalKey, SignalKeyHasher};
use domain::time::Tz;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::ops::Range;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

/// A batch stops growing here, so that its memory is bounded.
const BATCH_BYTES: usize = 16 << 20;

/// Calls that wait together were made within this time: they are given up together, when the patience of the first one ends.
const TOGETHER: Duration = Duration::from_secs(1);

/// Room for lines that is kept from one batch to the next: fresh memory costs as much as what is written into it.
const KEPT_BYTES: usize = 4 << 20;

/// Something to be written, if what it rests on still holds when its turn comes.
pub enum Change {
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
    fn hit(&self) -> Option<SignalKey> {
        match self {
            Self::Hit(hit) => Some(hit.key),
            _ => None,
        }
    }

    /// About how long its line is.
    fn bytes(&self) -> usize {
        match self {
            Self::Record(line) | Self::Import(line) => line.range.len(),
            Self::Hit(_) | Self::Close(_) => 512,
        }
    }
}

/// A line as the caller's thread made it, and what memory keeps of it. The record itself stays behind: that spares the
/// writer the freeing of its many small parts.
pub struct NewLine {
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

/// Signals written down, ready to be recorded by [`super::FeedbackStore::record_lines`].
pub struct Lines(Vec<NewLine>);

impl Lines {
    /// Writes signals down.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] for one that is too long.
    pub fn of(signals: Vec<impl Into<Record>>) -> Result<Self> {
        NewLine::all(signals.into_iter().map(Into::into)).map(Self)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Has one of them ended?
    pub fn has_closed(&self) -> bool {
        self.0.iter().any(|line| line.facts.closing.is_some())
    }

    /// One change for each signal.
    pub fn into_changes(self) -> impl Iterator<Item = Change> {
        self.0.into_iter().map(Change::Record)
    }
}

/// What became of a change.
#[derive(Debug)]
pub enum Verdict {
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
pub enum Job {
    /// Appends changes.
    Changes(Changes),
    /// Puts a compacted log in the place of the log.
    Swap(compact::Copy, mpsc::Sender<Result<Option<Compaction>>>),
}

/// Changes that one caller waits for.
pub struct Changes {
    /// What to change, in order.
    pub changes: Vec<Change>,
    /// When it began to wait.
    pub asked: Asked,
    /// Where the results go, one for each change.
    pub reply: oneshot::Sender<Result<Vec<Verdict>>>,
}

/// The thread's own things.
pub struct Writer {
    journal: Arc<dyn Journal>,
    turns: Box<dyn Turns>,
    zone: Tz,
    /// Of a round trip, in percent.
    costs_percent: f64,
    /// When the first call of the batch in hand was made.
    asked: Asked,
    /// The lines of the batch before, empty.
    room: Vec<u8>,
}

/// Lines about to be appended, and what the journal will say then.
#[derive(Default)]
pub struct Staged<'a> {
    /// The bytes to append.
    pub lines: Vec<u8>,
    /// What memory keeps of each line, and where it is among them, its newline not counted.
    pub added: Vec<(Facts<'a>, Range<usize>)>,
    /// The newest line of each signal, as an index of `added`.
    newest: HashMap<SignalKey, usize, BuildHasherDefault<SignalKeyHasher>>,
    /// A caller is told that something old is safe, so it must be.
    vouched: bool,
    /// Lines that were read before they are asked for.
    ahead: Ahead,
}

impl<'a> Staged<'a> {
    fn add(&mut self, facts: Facts<'a>, line: &[u8]) {
        let start = self.lines.len();
        self.lines.extend_from_slice(line);
        self.newest.insert(facts.key, self.added.len());
        self.added.push((facts, start..self.lines.len() - 1));
    }

    /// The newest line of a signal among them, and what memory keeps of it.
    pub fn newest(&self, key: SignalKey) -> Option<(&Facts<'a>, &[u8])> {
        let (facts, range) = &self.added[*self.newest.get(&key)?];
        Some((facts, &self.lines[range.clone()]))
    }
}

/// The changes that are first in the queue, those of at most so many callers; none if something else is first.
fn next_batch(waiting: &mut VecDeque<Job>, most: usize) -> Vec<Changes> {
    let (mut batch, mut bytes) = (Vec::<Changes>::new(), 0);
    let together = |first: &Changes, next: &Changes| next.asked.saturating_duration_since(first.asked) < TOGETHER;
    while batch.len() < most
        && bytes < BATCH_BYTES
        && matches!(waiting.front(), Some(Job::Changes(next)) if batch.first().is_none_or(|first| together(first, next)))
        && let Some(Job::Changes(changes)) = waiting.pop_front()
    {
        bytes += changes.changes.iter().map(Change::bytes).sum::<usize>();
        batch.push(changes);
    }
    batch
}

impl Writer {
    /// The writer of a journal; [`Self::run`] does the work.
    pub fn new(journal: Arc<dyn Journal>, turns: Box<dyn Turns>, options: &StoreOptions) -> Self {
        let (zone, costs_percent) = (options.timezone, options.fee_bps / 100.0);
        Self { journal, turns, zone, costs_percent, asked: Asked::now(), room: Vec::new() }
    }

    /// Works until the last sender is gone and the queue is empty.
    pub fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        let mut waiting = VecDeque::new();
        let mut served = 0;
        loop {
            if waiting.is_empty() {
                let Ok(first) = jobs.recv() else { break };
                waiting.push_back(first);
            }
            waiting.extend(jobs.try_iter());
            // Of callers that come again as soon as they are served, half: they work while the others wait for the store.
            let share = (served + waiting.len()).div_ceil(2);
            let batch = next_batch(&mut waiting, share);
            served = batch.len();
            if !batch.is_empty() {
                self.serve(batch);
            } else if let Some(Job::Swap(copy, reply)) = waiting.pop_front() {
                let result = error::guard(|| self.turns.swap(copy));
                self.turns.end();
                // A compaction that no longer waits was closed meanwhile.
                let _ = reply.send(result);
            }
            self.turns.grown();
        }
        self.turns.finish();
    }

    fn serve(&mut self, batch: Vec<Changes>) {
        self.asked = batch.iter().map(|job| job.asked).min().unwrap_or_else(Asked::now);
        let (changes, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.changes, job.reply)).unzip();
        let hits: Vec<SignalKey> = changes.iter().flatten().filter_map(Change::hit).collect();
        let result = error::guard(|| self.commit(&changes));
        self.turns.end();
        // What was hit but not closed goes back to where the next price finds it. Those that closed are gone from there.
        if !hits.is_empty() {
            let mut state = self.journal.state_mut();
            for key in hits {
                if let Some(slot) = state.slot(key) {
                    state.index.put_back(slot);
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

    /// One batch in one turn: all of it is stored, or none of it.
    fn commit(&mut self, jobs: &[Vec<Change>]) -> Result<Vec<Vec<Verdict>>> {
        self.turns.begin(self.asked)?;
        loop {
            let room = std::mem::take(&mut self.room);
            let mut staged = self.stage(jobs, room)?;
            let mut decide = |change| self.decide(change, &mut staged).unwrap_or_else(Verdict::Refused);
            let verdicts = jobs.iter().map(|changes| changes.iter().map(&mut decide).collect()).collect();
            let done = match staged.lines.is_empty() {
                true => self.turns.confirm(staged.vouched)?,
                false => self.turns.append(&staged)?,
            };
            if staged.lines.capacity() <= KEPT_BYTES {
                self.room = staged.lines;
                self.room.clear();
            }
            if done {
                return Ok(verdicts);
            }
        }
    }

    /// `room` for what these changes will add, and the lines that they are about, as far as those are better read at once.
    fn stage<'a>(&self, jobs: &'a [Vec<Change>], room: Vec<u8>) -> Result<Staged<'a>> {
        let (wanted, source) = {
            let (state, source) = self.journal.look(self.asked);
            let open = |key| state.slot(key).filter(|slot| state.index.levels(*slot).is_some());
            let wanted = |change: &Change| match change {
                Change::Hit(hit) => Some((state.entry(open(hit.key)?).place(), hit.key)),
                _ if !source.is_far() => None,
                Change::Record(line) | Change::Import(line) => Some((state.place(line.facts.key)?, line.facts.key)),
                Change::Close(request) => {
                    let key = SignalKey::of(&request.id);
                    Some((state.entry(open(key)?).place(), key))
                }
            };
            let wanted: Vec<_> = jobs.iter().flatten().filter_map(wanted).collect();
            (wanted, source)
        };
        let mut staged = Staged { lines: room, ahead: source.ahead(wanted)?, ..Staged::default() };
        let count = jobs.iter().map(Vec::len).sum();
        staged.newest.reserve(count);
        staged.added.reserve(count);
        staged.lines.reserve(jobs.iter().flatten().map(Change::bytes).sum());
        Ok(staged)
    }

    fn decide<'a>(&self, change: &'a Change, staged: &mut Staged<'a>) -> Result<Verdict> {
        match change {
            Change::Record(line) => self.record(line, staged),
            Change::Import(line) => self.import(line, staged),
            Change::Hit(hit) => self.close(hit.key, None, staged, |_| {
                Ok(Closing {
                    outcome: hit.exit.outcome,
                    exit_price: Some(hit.exit.price),
                    profit_percent: hit.profit_percent,
                    closed_ms: hit.exit.time_ms,
                })
            }),
            Change::Close(request) => self.close(SignalKey::of(&request.id), Some(&request.id), staged, |levels| {
                request.closing(levels, self.costs_percent)
            }),
        }
    }

    fn record<'a>(&self, line: &'a NewLine, staged: &mut Staged<'a>) -> Result<Verdict> {
        let Some(before) = self.find(line.facts.key, staged)? else {
            staged.add(line.facts.borrowed(), line.bytes());
            return Ok(Verdict::Recorded);
        };
        let Record { signal, closing, .. } = self.read_back(line)?;
        let closings = before.closing.zip(closing);
        let differs = before.signal.first_difference(&signal);
        if let Some(field) = differs.or_else(|| closings.and_then(|(first, closing)| first.first_difference(&closing)))
        {
            return Err(Error::SignalConflict { id: signal.id, field });
        }
        match closing {
            // It was open, and keeps the features that it was recorded with.
            Some(closing) if before.closing.is_none() => self.close(line.facts.key, None, staged, |_| Ok(closing)),
            _ => {
                staged.vouched = true;
                Ok(Verdict::Known)
            }
        }
    }

    fn import<'a>(&self, line: &'a NewLine, staged: &mut Staged<'a>) -> Result<Verdict> {
        let (Some(before), Some(closing)) = (self.find(line.facts.key, staged)?, line.facts.closing) else {
            return self.record(line, staged);
        };
        let mut read = self.read_back(line)?;
        let (old, new) = (&before.signal, &read.signal);
        // The old system's closing lines carry keys that its records do not: what the price index knows must agree.
        if (&old.symbol, old.timeframe, old.levels()) != (&new.symbol, new.timeframe, new.levels()) {
            let field = old.first_difference(new).unwrap_or("levels");
            return Err(Error::SignalConflict { id: read.signal.id, field });
        }
        match before.closing {
            None => {
                let closed = ClosedSignal::new(new, &closing);
                read.keep(&before);
                staged.add(Facts::of(&read), &line::encode(&read)?);
                Ok(Verdict::Closed(Box::new(closed)))
            }
            Some(first) if first.outcome == closing.outcome && first.closed_ms == closing.closed_ms => {
                staged.vouched = true;
                Ok(Verdict::Known)
            }
            Some(_) => Err(Error::SignalConflict { id: read.signal.id, field: "outcome" }),
        }
    }

    fn read_back(&self, line: &NewLine) -> Result<Record> {
        line::decode(line.bytes().trim_ascii_end(), self.zone).map_err(Error::Internal)
    }

    fn close(
        &self,
        key: SignalKey,
        id: Option<&str>,
        staged: &mut Staged<'_>,
        closing: impl Fn(&Levels) -> Result<Closing>,
    ) -> Result<Verdict> {
        // What is known to be closed, or unknown, need not be read.
        if !staged.newest.contains_key(&key) {
            let state = self.journal.state();
            if state.slot(key).is_none_or(|slot| state.index.levels(slot).is_none()) {
                return Ok(Verdict::NotOpen);
            }
        }
        let Some(line) = self.line(key, staged)? else { return Ok(Verdict::NotOpen) };
        // A line as this store writes it gets its closing put in; any other is read as a whole and written anew.
        if let Some(own) = line::own(&line, self.zone)
            && let Some(levels) = own.levels
        {
            if own.closing.is_some() || id.is_some_and(|id| id != own.id) {
                return Ok(Verdict::NotOpen);
            }
            let closing = closing(&levels)?;
            if let Some(spliced) = line::with_closing(&line, &closing)? {
                let closed = ClosedSignal::of_own(&own, &levels, &closing)?;
                let facts = Facts::from(own).into_owned();
                staged.add(Facts { closing: Some(closing), ..facts }, &spliced);
                return Ok(Verdict::Closed(Box::new(closed)));
            }
        }
        let Some(mut record) = self.find(key, staged)? else { return Ok(Verdict::NotOpen) };
        let other = id.is_some_and(|id| id != record.signal.id);
        let Some(levels) = record.signal.levels().filter(|_| !other && record.closing.is_none()) else {
            return Ok(Verdict::NotOpen);
        };
        let closing = closing(&levels)?;
        record.closing = Some(closing);
        let line = line::encode(&record)?;
        let closed = ClosedSignal::new(&record.signal, &closing);
        staged.add(Facts::of(&record), &line);
        Ok(Verdict::Closed(Box::new(closed)))
    }

    /// The newest line of a signal, its newline not counted.
    fn line<'a>(&self, key: SignalKey, staged: &'a Staged<'_>) -> Result<Option<Cow<'a, [u8]>>> {
        if let Some(line) = staged.newest(key).map(|(_, line)| line).or_else(|| staged.ahead.line(key)) {
            return Ok(Some(Cow::Borrowed(line)));
        }
        let (place, source) = {
            let (state, source) = self.journal.look(self.asked);
            (state.place(key), source)
        };
        Ok(place.map(|place| source.line(place)).transpose()?.map(Cow::Owned))
    }

    /// The record of a signal as it will be once what is staged is written.
    fn find(&self, key: SignalKey, staged: &Staged<'_>) -> Result<Option<Record>> {
        if let Some(line) = staged.newest(key).map(|(_, line)| line).or_else(|| staged.ahead.line(key)) {
            return line::decode(line, self.zone).map(Some).map_err(Error::Internal);
        }
        let (place, source) = {
            let (state, source) = self.journal.look(self.asked);
            (state.place(key), source)
        };
        Ok(source.all(place.as_slice())?.pop())
    }
}
