//! The only thread of an open store that writes. It takes queued changes, checks them against the current log, and appends them
//! in one write and one sync. So a hundred callers share one sync.

use super::compact::{self, Compaction};
use super::index::{Cause, Effect, Hit};
use super::journal::{Asked, Journal, Turns};
use super::line::{self, Facts};
use super::manual_close::CloseRequest;
use super::prefetch::Prefetched;
use super::{ChangedSignal, ClosedSignal, Listener, StoreOptions};
use domain::barrier::{Event, LEAST_TRAIL_R, Levels, Outcome, Sight, Status, Terms, Trade, What};
use domain::error::{self, Error, Result};
use domain::signal::{Closing, Costs, Excursion, Record};
use domain::signal::{SignalKey, SignalKeyHasher};
use domain::time::Tz;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::ops::Range;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

/// A batch does not grow beyond this, which bounds its memory.
const BATCH_BYTES: usize = 16 << 20;

/// Calls in one batch were made within this time. They fail together when the first one's patience ends.
const TOGETHER: Duration = Duration::from_secs(1);

/// Buffer kept from one batch to the next, since fresh memory costs as much as writing to it.
const KEPT_BYTES: usize = 4 << 20;

/// The most events of a signal that a caller may still change, since each change writes all of them again. Prices and closings go
/// on beyond that.
pub const MOST_EVENTS: usize = 1_000;

/// A change to write, if it is still valid when its turn comes.
pub enum Change {
    /// A new signal.
    Record(NewLine),
    /// A line of another log. It may close a signal that the store knows.
    Import(NewLine),
    /// A price did something to a signal.
    Hit(Hit),
    /// A caller changes an open signal.
    Alter(Alteration),
    /// A caller closes a signal.
    Close(CloseRequest),
}

/// A caller's change of an open signal.
pub struct Alteration {
    /// The signal's id.
    pub id: String,
    /// What changes.
    pub change: domain::signal::Change,
    /// The current time, UTC epoch ms.
    pub now_ms: i64,
}

impl Change {
    /// The signal that a price hit.
    fn hit(&self) -> Option<SignalKey> {
        match self {
            Self::Hit(hit) => Some(hit.key),
            _ => None,
        }
    }

    /// The approximate length of its line.
    fn bytes(&self) -> usize {
        match self {
            Self::Record(line) | Self::Import(line) => line.range.len(),
            Self::Hit(_) | Self::Close(_) | Self::Alter(_) => 512,
        }
    }
}

/// A line encoded on the caller's thread, and the parts that memory keeps. The record itself stays with the caller, so that the
/// writer need not free its many small parts.
pub struct NewLine {
    facts: Facts<'static>,
    /// The buffer of all lines that were encoded together.
    buffer: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl NewLine {
    /// Encodes records as lines.
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

/// Signals encoded for [`super::FeedbackStore::record_lines`].
pub struct Lines(Vec<NewLine>);

impl Lines {
    /// Encodes signals.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] for a signal that is too long.
    pub fn of(signals: Vec<impl Into<Record>>) -> Result<Self> {
        NewLine::all(signals.into_iter().map(Into::into)).map(Self)
    }

    /// The number of signals.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them has ended.
    pub fn has_closed(&self) -> bool {
        self.0.iter().any(|line| line.facts.closing.is_some())
    }

    /// One change for each signal.
    pub fn into_changes(self) -> impl Iterator<Item = Change> {
        self.0.into_iter().map(Change::Record)
    }
}

/// What is added to an open signal.
#[derive(Default)]
struct Advance {
    events: Vec<Event>,
    /// How it ended, if the caller named that.
    outcome: Option<Outcome>,
    /// How far the price went, if that is known of a signal that ends.
    excursion: Option<Excursion>,
}

/// The result of a change.
#[derive(Debug)]
pub enum Verdict {
    /// A signal was recorded.
    Recorded,
    /// The log contained it already.
    Known,
    /// A signal was closed.
    Closed(Box<ClosedSignal>),
    /// Something else happened to a managed signal.
    Changed(Box<ChangedSignal>),
    /// There is no such open signal.
    NotOpen,
    /// It contradicts the log, or the line that it depends on cannot be read.
    Refused(Error),
}

/// Work for the writer, and where to send the result.
pub enum Job {
    /// Appends changes.
    Changes(Changes),
    /// Replaces the log by its compacted copy.
    Swap(compact::CompactedLog, mpsc::Sender<Result<Option<Compaction>>>),
}

/// Changes that one caller waits for.
pub struct Changes {
    /// What to change, in order.
    pub changes: Vec<Change>,
    /// When the caller began to wait.
    pub asked: Asked,
    /// Receives one result for each change.
    pub reply: oneshot::Sender<Result<Vec<Verdict>>>,
}

/// The state of the writer thread.
pub struct Writer {
    journal: Arc<dyn Journal>,
    turns: Box<dyn Turns>,
    zone: Tz,
    /// Costs of signals that state none.
    costs: Costs,
    /// Receives the events of managed signals.
    listener: Arc<Listener>,
    /// When the first call of the current batch was made.
    asked: Asked,
    /// The emptied buffer of the previous batch.
    room: Vec<u8>,
}

/// The lines to append, and what the journal will contain then.
#[derive(Default)]
pub struct WriteBatch<'a> {
    /// The bytes to append.
    pub lines: Vec<u8>,
    /// What memory keeps of each line, and its position in `lines`, without the newline.
    pub added: Vec<(Facts<'a>, Range<usize>)>,
    /// The newest line of each signal, as an index into `added`.
    newest: HashMap<SignalKey, usize, BuildHasherDefault<SignalKeyHasher>>,
    /// A caller will be told that an older record is safe, so it must be synced.
    must_sync: bool,
    /// Prefetched lines of open signals.
    prefetched: Prefetched,
}

impl<'a> WriteBatch<'a> {
    fn add(&mut self, facts: Facts<'a>, line: &[u8]) {
        let start = self.lines.len();
        self.lines.extend_from_slice(line);
        self.newest.insert(facts.key, self.added.len());
        self.added.push((facts, start..self.lines.len() - 1));
    }

    /// The newest line of a signal in this batch, and what memory keeps of it.
    pub fn newest(&self, key: SignalKey) -> Option<(&Facts<'a>, &[u8])> {
        let (facts, range) = &self.added[*self.newest.get(&key)?];
        Some((facts, &self.lines[range.clone()]))
    }
}

/// Takes changes from the front of the queue, of at most `most` callers; none if another job is first.
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

/// Whether a caller makes a change again, because an error left open whether it was stored: an amendment to what the last one said,
/// or anything else at the very time of its first.
fn is_repeated(history: &[Event], events: &[Event]) -> bool {
    events.iter().all(|event| match &event.what {
        What::Amended { .. } => history.last().is_some_and(|last| last.what == event.what),
        _ => history.contains(event),
    })
}

impl Writer {
    /// The writer of a journal; call [`Self::run`] to work.
    pub fn new(
        journal: Arc<dyn Journal>,
        turns: Box<dyn Turns>,
        options: &StoreOptions,
        listener: Arc<Listener>,
    ) -> Self {
        let StoreOptions { timezone: zone, costs, .. } = *options;
        Self { journal, turns, zone, costs, listener, asked: Asked::now(), room: Vec::new() }
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
            // Takes half of the callers that return immediately: the other half prepares its next calls meanwhile.
            let share = (served + waiting.len()).div_ceil(2);
            let batch = next_batch(&mut waiting, share);
            served = batch.len();
            if !batch.is_empty() {
                self.serve(batch);
            } else if let Some(Job::Swap(copy, reply)) = waiting.pop_front() {
                let result = error::guard(|| self.turns.swap(copy));
                self.turns.end();
                // An error means that the caller no longer waits.
                let _ = reply.send(result);
            }
            self.turns.grown();
        }
        self.turns.finish();
    }

    fn serve(&mut self, batch: Vec<Changes>) {
        self.asked = batch.iter().map(|job| job.asked).min().unwrap_or_else(Asked::now);
        let (changes, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.changes, job.reply)).unzip();
        let result = error::guard(|| self.commit(&changes));
        self.turns.end();
        self.put_back(&changes, result.as_deref().ok());
        if let Ok(verdicts) = &result {
            self.tell(verdicts);
        }
        // An error means that the caller no longer waits.
        match result {
            Ok(verdicts) => replies.into_iter().zip(verdicts).for_each(|(reply, verdicts)| {
                let _ = reply.send(Ok(verdicts));
            }),
            Err(error) => replies.into_iter().for_each(|reply| {
                let _ = reply.send(Err(error.clone()));
            }),
        }
    }

    /// Signals that a price hit, and that it did not close, become findable again. Closed ones are gone from the index.
    fn put_back(&self, changes: &[Vec<Change>], verdicts: Option<&[Vec<Verdict>]>) {
        let is_closed = |job: usize, at: usize| {
            let verdict = verdicts.and_then(|verdicts| verdicts.get(job)?.get(at));
            matches!(verdict, Some(Verdict::Closed(_)))
        };
        let changes = changes.iter().enumerate().flat_map(|(job, all)| {
            all.iter().enumerate().filter(move |(at, _)| !is_closed(job, *at)).map(|(_, change)| change)
        });
        let hits: Vec<SignalKey> = changes.filter_map(Change::hit).collect();
        if hits.is_empty() {
            return;
        }
        let mut state = self.journal.state_mut();
        for key in hits {
            if let Some(slot) = state.slot(key) {
                state.index.put_back(slot);
            }
        }
    }

    /// Tells the listener what was stored.
    fn tell(&self, verdicts: &[Vec<Verdict>]) {
        let changed = verdicts.iter().flatten().filter_map(|verdict| match verdict {
            Verdict::Changed(changed) => Some(changed),
            _ => None,
        });
        for changed in changed {
            if let Some(listener) = &*self.listener.read() {
                listener((**changed).clone());
            }
        }
    }

    /// Stores a batch in one turn: all of it or nothing.
    fn commit(&mut self, jobs: &[Vec<Change>]) -> Result<Vec<Vec<Verdict>>> {
        self.turns.begin(self.asked)?;
        loop {
            let room = std::mem::take(&mut self.room);
            let mut batch = self.stage(jobs, room)?;
            let mut decide = |change| self.decide(change, &mut batch).unwrap_or_else(Verdict::Refused);
            let verdicts = jobs.iter().map(|changes| changes.iter().map(&mut decide).collect()).collect();
            let done = match batch.lines.is_empty() {
                true => self.turns.confirm(batch.must_sync)?,
                false => self.turns.append(&batch)?,
            };
            if batch.lines.capacity() <= KEPT_BYTES {
                self.room = batch.lines;
                self.room.clear();
            }
            if done {
                return Ok(verdicts);
            }
        }
    }

    /// The buffer for what these changes will add, and the prefetched lines of their signals.
    fn stage<'a>(&self, jobs: &'a [Vec<Change>], room: Vec<u8>) -> Result<WriteBatch<'a>> {
        let (wanted, source) = {
            let (state, source) = self.journal.look(self.asked);
            let open = |key| state.slot(key).filter(|slot| state.index.levels(*slot).is_some());
            let wanted = |change: &Change| match change {
                Change::Hit(hit) => Some((state.entry(open(hit.key)?).place(), hit.key)),
                _ if !source.is_far() => None,
                Change::Record(line) | Change::Import(line) => Some((state.place(line.facts.key)?, line.facts.key)),
                Change::Close(CloseRequest { id, .. }) | Change::Alter(Alteration { id, .. }) => {
                    let key = SignalKey::of(id);
                    Some((state.entry(open(key)?).place(), key))
                }
            };
            let wanted: Vec<_> = jobs.iter().flatten().filter_map(wanted).collect();
            (wanted, source)
        };
        let mut batch = WriteBatch { lines: room, prefetched: source.prefetch(wanted)?, ..WriteBatch::default() };
        let count = jobs.iter().map(Vec::len).sum();
        batch.newest.reserve(count);
        batch.added.reserve(count);
        batch.lines.reserve(jobs.iter().flatten().map(Change::bytes).sum());
        Ok(batch)
    }

    fn decide<'a>(&self, change: &'a Change, batch: &mut WriteBatch<'a>) -> Result<Verdict> {
        match change {
            Change::Record(line) => self.record(line, batch),
            Change::Import(line) => self.import(line, batch),
            Change::Hit(Hit { key, effect }) => self.hit(*key, effect, batch),
            Change::Close(request) => self.close_by_hand(request, batch),
            Change::Alter(Alteration { id, change, now_ms }) => {
                self.advance(SignalKey::of(id), Some(id), batch, |trade| {
                    Ok(Advance { events: vec![change.event(trade, *now_ms)?], ..Advance::default() })
                })
            }
        }
    }

    fn hit(&self, key: SignalKey, effect: &Effect, batch: &mut WriteBatch<'_>) -> Result<Verdict> {
        match effect {
            Effect::Closes { exit, profit_percent, excursion, .. } if !self.find_managed(key, batch) => {
                let closing = Closing {
                    outcome: exit.outcome,
                    exit_price: Some(exit.price).filter(|_| exit.outcome != Outcome::Unknown),
                    profit_percent: *profit_percent,
                    closed_ms: exit.time_ms,
                    excursion: *excursion,
                };
                self.close(key, None, batch, |_| Ok(closing))
            }
            // It was amended meanwhile, so that its new levels decide.
            Effect::Closes { cause: Some(cause), .. } => self.touch(key, None, cause, None, batch),
            Effect::Closes { cause: None, .. } => Ok(Verdict::NotOpen),
            Effect::Touches { sight, cause, end } => self.touch(key, Some(*sight), cause, end.as_ref(), batch),
            Effect::Trails { sight, at_ms } => self.advance(key, None, batch, |trade| {
                let mut trade = trade.clone();
                trade.inherit(*sight);
                let events = trade.tell_of_trail(*at_ms, LEAST_TRAIL_R).into_iter().collect();
                Ok(Advance { events, ..Advance::default() })
            }),
            Effect::Happens { before, events, excursion } => {
                self.advance(key, None, batch, |trade| match trade.stands_as(before) {
                    true => Ok(Advance { events: events.clone(), outcome: None, excursion: *excursion }),
                    false => Ok(Advance::default()),
                })
            }
        }
    }

    /// Lets a price or candle do to a managed signal what follows from where the signal stands by now: other events may have been
    /// stored since this process looked.
    fn touch(
        &self,
        key: SignalKey,
        sight: Option<Sight>,
        cause: &Cause,
        end: Option<&(Event, Excursion)>,
        batch: &mut WriteBatch<'_>,
    ) -> Result<Verdict> {
        self.advance(key, None, batch, |trade| {
            let (mut trade, mut events) = (trade.clone(), Vec::new());
            if let Some(sight) = sight {
                trade.inherit(sight);
            }
            cause.follow(&mut trade, &mut events);
            let end = end.filter(|(event, _)| events.last() == Some(event));
            Ok(Advance { events, outcome: None, excursion: end.map(|(_, excursion)| *excursion) })
        })
    }

    fn close_by_hand(&self, request: &CloseRequest, batch: &mut WriteBatch<'_>) -> Result<Verdict> {
        let key = SignalKey::of(&request.id);
        let costs_percent = self.fee_percent(key, batch);
        let is_managed = request.is_partial() || self.find_managed(key, batch);
        if is_managed {
            return self.advance(key, Some(&request.id), batch, |trade| {
                let (events, outcome) = request.events(trade, costs_percent)?;
                Ok(Advance { events, outcome, excursion: request.excursion })
            });
        }
        self.close(key, Some(&request.id), batch, |levels| {
            let closing = request.closing(levels, costs_percent)?;
            let exit = closing.exit_price.unwrap_or_else(|| levels.exit_of(closing.profit_percent));
            Ok(Closing { excursion: request.excursion.or_else(|| self.excursion(key, &closing, exit)), ..closing })
        })
    }

    /// How far the price went until a closing by hand at the price `exit`, if this process saw that.
    fn excursion(&self, key: SignalKey, closing: &Closing, exit: f64) -> Option<Excursion> {
        closing.outcome.succeeded()?;
        let state = self.journal.state();
        state.index.excursion(state.slot(key)?, closing.closed_ms, exit)
    }

    /// Costs of a round trip of a signal, in percent of the entry price: its own, or those configured.
    fn fee_percent(&self, key: SignalKey, batch: &mut WriteBatch<'_>) -> f64 {
        let costs = match batch.newest(key) {
            Some((facts, _)) => facts.details.as_ref().map_or(self.costs, |details| details.costs(&self.costs)),
            None => {
                let state = self.journal.state();
                state.slot(key).map_or(self.costs, |slot| state.entry(slot).costs(&self.costs))
            }
        };
        costs.fee_bps / 100.0
    }

    /// Whether an open signal is a managed one.
    fn find_managed(&self, key: SignalKey, batch: &WriteBatch<'_>) -> bool {
        if let Some((facts, _)) = batch.newest(key) {
            return facts.trade.is_some();
        }
        let state = self.journal.state();
        state.slot(key).is_some_and(|slot| state.index.stored_trade(slot).is_some())
    }

    /// Adds events to an open signal, and closes it if they end it. `next` gives them for where the signal stands; none mean that
    /// nothing happens. A caller who knows the signal's `id` closes it by hand.
    fn advance(
        &self,
        key: SignalKey,
        id: Option<&str>,
        batch: &mut WriteBatch<'_>,
        next: impl Fn(&Trade) -> Result<Advance>,
    ) -> Result<Verdict> {
        let Some(mut record) = self.find(key, batch)? else { return Ok(Verdict::NotOpen) };
        let other = id.is_some_and(|id| id != record.signal.id);
        let Some(levels) = record.signal.levels().filter(|_| !other && record.closing.is_none()) else {
            return Ok(Verdict::NotOpen);
        };
        let mut trade = record.trade().unwrap_or_else(|| Trade::new(levels, &Terms::default()));
        let Advance { events, outcome, excursion } = next(&trade)?;
        if events.is_empty() {
            return Ok(Verdict::NotOpen);
        }
        if id.is_some() && is_repeated(&record.history, &events) {
            batch.must_sync = true;
            return Ok(Verdict::Known);
        }
        events.iter().for_each(|event| trade.apply(event));
        let is_by_hand = id.is_some() && trade.ended().is_none();
        if is_by_hand && record.history.len() >= MOST_EVENTS {
            let problem = "must be of a signal to which less has happened: `stopRules` can move its stop without a call for each step";
            return Err(Error::argument("signalId", problem, format!("one with {} events", record.history.len())));
        }
        record.history.extend(events.iter().cloned());
        if let Some(closing) = trade.closing() {
            let by_hand = || self.excursion(key, &closing, events.last().and_then(|event| event.what.price())?);
            let excursion = excursion.or_else(|| id.and_then(|_| by_hand()));
            record.close(Closing { outcome: outcome.unwrap_or(closing.outcome), excursion, ..closing });
        }
        let line = line::encode(&record)?;
        if is_by_hand && line.len() > line::MAX_OPEN_BYTES {
            let problem = "must be of a signal whose record has room for the change: it may have 1 MiB";
            return Err(Error::argument("signalId", problem, format!("one of {} bytes with it", line.len())));
        }
        batch.add(Facts::of(&record), &line);
        if trade.status() == Status::Closed
            && let Some(closed) = ClosedSignal::of(&record, &self.costs)
        {
            return Ok(Verdict::Closed(Box::new(closed)));
        }
        let Record { signal, .. } = record;
        Ok(Verdict::Changed(Box::new(ChangedSignal {
            id: signal.id,
            symbol: signal.symbol,
            timeframe: signal.timeframe,
            direction: levels.direction,
            strategy: signal.strategy,
            taken: signal.taken,
            status: trade.status(),
            events,
        })))
    }

    fn record<'a>(&self, line: &'a NewLine, batch: &mut WriteBatch<'a>) -> Result<Verdict> {
        let Some(before) = self.find(line.facts.key, batch)? else {
            batch.add(line.facts.borrowed(), line.bytes());
            return Ok(Verdict::Recorded);
        };
        let Record { signal, closing, .. } = self.read_back(line)?;
        let is_managed = before.trade().is_some();
        let differs = before.signal.first_difference(&signal).or_else(|| match before.closing.zip(closing) {
            // The profit of its parts stands, whatever the caller says of the whole.
            Some((first, closing)) if is_managed => first.first_difference(&Closing {
                exit_price: first.exit_price,
                profit_percent: first.profit_percent,
                ..closing
            }),
            Some((first, closing)) => first.first_difference(&closing),
            None => None,
        });
        if let Some(field) = differs {
            return Err(Error::SignalConflict { id: signal.id, field });
        }
        match closing {
            Some(closing) if before.closing.is_none() && is_managed => {
                self.close_by_hand(&CloseRequest::of(signal.id, &closing), batch)
            }
            // It was open, and keeps the features that it was recorded with.
            Some(closing) if before.closing.is_none() => self.close(line.facts.key, None, batch, |_| Ok(closing)),
            _ => {
                batch.must_sync = true;
                Ok(Verdict::Known)
            }
        }
    }

    fn import<'a>(&self, line: &'a NewLine, batch: &mut WriteBatch<'a>) -> Result<Verdict> {
        let Some(before) = self.find(line.facts.key, batch)? else { return self.record(line, batch) };
        let Some(closing) = line.facts.closing else { return self.import_events(line, &before, batch) };
        let mut read = self.read_back(line)?;
        let (old, new) = (&before.signal, &read.signal);
        // Closing lines of the former system lack keys of the first line; what the price index uses must agree.
        if (&old.symbol, old.timeframe, old.levels()) != (&new.symbol, new.timeframe, new.levels()) {
            let field = old.first_difference(new).unwrap_or("levels");
            return Err(Error::SignalConflict { id: read.signal.id, field });
        }
        match before.closing {
            None => {
                if before.trade().is_some() {
                    if read.history.is_empty() && read.signal.terms == before.signal.terms {
                        // It tells of the end alone.
                        return self.close_by_hand(&CloseRequest::of(read.signal.id, &closing), batch);
                    }
                    if read.signal.terms != before.signal.terms || !read.history.starts_with(&before.history) {
                        return Err(Error::SignalConflict { id: read.signal.id, field: "history" });
                    }
                }
                read.keep(&before);
                let Some(closed) = ClosedSignal::of(&read, &self.costs) else { return Ok(Verdict::NotOpen) };
                batch.add(Facts::of(&read), &line::encode(&read)?);
                Ok(Verdict::Closed(Box::new(closed)))
            }
            Some(first) if first.outcome == closing.outcome && first.closed_ms == closing.closed_ms => {
                batch.must_sync = true;
                Ok(Verdict::Known)
            }
            Some(_) => Err(Error::SignalConflict { id: read.signal.id, field: "outcome" }),
        }
    }

    /// An open line of another log, of a signal that is stored. It may tell of more events.
    fn import_events<'a>(&self, line: &'a NewLine, before: &Record, batch: &mut WriteBatch<'a>) -> Result<Verdict> {
        let read = self.read_back(line)?;
        let known = before.history.len();
        let is_longer = read.history.len() > known && read.history.starts_with(&before.history);
        if before.signal.first_difference(&read.signal).is_some() {
            return self.record(line, batch);
        }
        if !is_longer && !before.history.starts_with(&read.history) {
            return Err(Error::SignalConflict { id: read.signal.id, field: "history" });
        }
        if before.closing.is_some() || !is_longer {
            return self.record(line, batch);
        }
        self.advance(line.facts.key, None, batch, |_| {
            Ok(Advance { events: read.history[known..].to_vec(), ..Advance::default() })
        })
    }

    fn read_back(&self, line: &NewLine) -> Result<Record> {
        line::decode(line.bytes().trim_ascii_end(), self.zone).map_err(Error::Internal)
    }

    fn close(
        &self,
        key: SignalKey,
        id: Option<&str>,
        batch: &mut WriteBatch<'_>,
        closing: impl Fn(&Levels) -> Result<Closing>,
    ) -> Result<Verdict> {
        // If the signal is known to be closed, or is unknown, nothing needs to be read.
        if !batch.newest.contains_key(&key) {
            let state = self.journal.state();
            if state.slot(key).is_none_or(|slot| state.index.levels(slot).is_none()) {
                return Ok(Verdict::NotOpen);
            }
        }
        let Some(line) = self.line(key, batch)? else { return Ok(Verdict::NotOpen) };
        // A canonical line gets its closing inserted; any other is parsed and encoded again.
        if let Some(canonical) = line::canonical(&line, self.zone)
            && let Some(levels) = canonical.levels
        {
            if canonical.closing.is_some() || id.is_some_and(|id| id != canonical.id) {
                return Ok(Verdict::NotOpen);
            }
            let closing = closing(&levels)?;
            if let Some(spliced) = line::with_closing(&line, &closing)? {
                let closed = ClosedSignal::of_canonical(&canonical, &levels, &closing, &self.costs)?;
                let facts = Facts::from(canonical).into_owned();
                batch.add(Facts { closing: Some(closing), ..facts }, &spliced);
                return Ok(Verdict::Closed(Box::new(closed)));
            }
        }
        let Some(mut record) = self.find(key, batch)? else { return Ok(Verdict::NotOpen) };
        let other = id.is_some_and(|id| id != record.signal.id);
        let Some(levels) = record.signal.levels().filter(|_| !other && record.closing.is_none()) else {
            return Ok(Verdict::NotOpen);
        };
        record.close(closing(&levels)?);
        let Some(closed) = ClosedSignal::of(&record, &self.costs) else { return Ok(Verdict::NotOpen) };
        let line = line::encode(&record)?;
        batch.add(Facts::of(&record), &line);
        Ok(Verdict::Closed(Box::new(closed)))
    }

    /// The newest line of a signal, without its newline.
    fn line<'a>(&self, key: SignalKey, batch: &'a WriteBatch<'_>) -> Result<Option<Cow<'a, [u8]>>> {
        if let Some(line) = batch.newest(key).map(|(_, line)| line).or_else(|| batch.prefetched.line(key)) {
            return Ok(Some(Cow::Borrowed(line)));
        }
        let (place, source) = {
            let (state, source) = self.journal.look(self.asked);
            (state.place(key), source)
        };
        Ok(place.map(|place| source.line(place)).transpose()?.map(Cow::Owned))
    }

    /// The record of a signal as it will be once the batch is written.
    fn find(&self, key: SignalKey, batch: &WriteBatch<'_>) -> Result<Option<Record>> {
        if let Some(line) = batch.newest(key).map(|(_, line)| line).or_else(|| batch.prefetched.line(key)) {
            return line::decode(line, self.zone).map(Some).map_err(Error::Internal);
        }
        let (place, source) = {
            let (state, source) = self.journal.look(self.asked);
            (state.place(key), source)
        };
        Ok(source.all(place.as_slice())?.pop())
    }
}
