//! The sender: of the process that leads, it sends what is in the outbox, each destination by itself.

use super::OWN_WARNING;
use super::config::Destination;
use super::lane::{Job, Lane, Pace, Waiting};
use super::outbox::{Entry, Outbox};
use super::state::State;
use super::target::{Failure, Target};
use domain::error::Result;
use domain::time::{Clock, DAY_MS, format_iso};
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// An event of this age is given up.
const TOO_OLD_MS: i64 = 2 * DAY_MS;
/// Events of a destination that may wait; the oldest that is not urgent makes room.
const MOST_WAITING: usize = 1000;

/// What an attempt came to.
struct Ended {
    name: String,
    ids: Vec<String>,
    result: std::result::Result<(), Failure>,
}

/// Sends what is in the outbox.
pub struct Sender {
    folder: PathBuf,
    outbox: Outbox,
    lanes: Vec<Lane>,
    sends: JoinSet<Ended>,
    state: State,
    pace: Pace,
    clock: Clock,
    warn: Box<dyn Fn(String) + Send>,
    /// The problem of the disk that was told.
    disk: Option<String>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("folder", &self.folder).field("lanes", &self.lanes.len()).finish()
    }
}

impl Sender {
    /// A sender of a scheduler's folder. The caller sees to it that there is one at a time. `warn` takes problems, in words
    /// without secrets.
    ///
    /// # Errors
    /// [`domain::error::Error::Io`].
    pub fn open(folder: &Path, pace: Pace, clock: Clock, warn: Box<dyn Fn(String) + Send>) -> Result<Self> {
        let state = State::load(folder)?;
        let (folder, outbox) = (folder.to_owned(), Outbox::new(folder));
        Ok(Self { folder, outbox, lanes: Vec::new(), sends: JoinSet::new(), state, pace, clock, warn, disk: None })
    }

    /// Sends to these from now on. What waits for others is given up.
    pub fn set_destinations(&mut self, destinations: Vec<(Destination, Arc<Target>)>) {
        let mut former = std::mem::take(&mut self.lanes);
        for (destination, target) in destinations {
            let before = former.iter().position(|lane| lane.destination.name == destination.name);
            let state = self.state.destinations.get(&destination.name).cloned().unwrap_or_default();
            let lane = before.map(|at| former.remove(at)).unwrap_or_else(|| Lane::new(&destination, &target, state));
            // With other settings it may work at once.
            self.lanes.push(Lane { destination, target, retry_at: None, pause_until: None, told: None, ..lane });
        }
        let names: Vec<String> = self.lanes.iter().map(|lane| lane.destination.name.clone()).collect();
        self.state.destinations.retain(|name, _| names.contains(name));
        for lane in former {
            let ids: Vec<String> = lane.waiting.into_iter().map(|one| one.entry.id).collect();
            let settled = self.outbox.settle(&lane.destination.name, &ids);
            self.note_disk(settled);
        }
    }

    /// Whether closed signals were looked at before.
    pub fn knows_closings(&self) -> bool {
        self.state.known.is_some()
    }

    /// Forgets which closed signals were looked at.
    pub fn forget_closings(&mut self) {
        self.state.known = None;
    }

    /// Puts closed signals into the outbox that are not known, and that closed after `since_ms`, UTC epoch ms. `closings` are the
    /// newest, in order, each with its mark ([`Known::mark`]), the time that it closed, and its event.
    ///
    /// # Errors
    /// Those of [`Outbox::append`]; then none of them is known.
    pub fn take_closings<E: FnOnce() -> Value>(
        &mut self,
        closings: Vec<(String, i64, E)>,
        since_ms: i64,
    ) -> Result<()> {
        let mut known = self.state.known.clone().unwrap_or_default();
        let wanted = self.lanes.iter().filter(|lane| lane.destination.events.contains(&"signalClosed"));
        let to: Vec<String> = wanted.map(|lane| lane.destination.name.clone()).collect();
        let mut entries = Vec::new();
        for (mark, closed_ms, event) in closings {
            if known.has(&mark) {
                continue;
            }
            if closed_ms >= since_ms {
                entries.push(Entry { id: format!("closed-{mark}"), to: to.clone(), event: event() });
            }
            known.add(mark);
        }
        self.outbox.append(&entries)?;
        let changed = self.state.known.as_ref() != Some(&known);
        self.state.known = Some(known);
        if changed { self.state.save(&self.folder) } else { Ok(()) }
    }

    /// Takes in what is new and begins what is to be sent now. Touches files, so call it where blocking is allowed, inside a
    /// tokio runtime.
    pub fn step(&mut self) {
        while let Some(ended) = self.sends.try_join_next() {
            self.after(ended.ok());
        }
        let read = self.outbox.has_news().and_then(|news| if news { self.outbox.read_news() } else { Ok(Vec::new()) });
        match read {
            Ok(entries) => self.take_in(entries),
            Err(error) => self.note_disk(Err(error)),
        }
        let now = Instant::now();
        for at in 0..self.lanes.len() {
            self.give_up_what_is_old(at);
            self.begin(at, now);
        }
        self.save();
    }

    /// Waits a little for what is under way, and begins nothing more.
    pub async fn finish(mut self, patience: Duration) {
        let wait = async {
            while let Some(ended) = self.sends.join_next().await {
                self.after(ended.ok());
            }
        };
        // What takes longer is sent again by the next sender.
        let _ = tokio::time::timeout(patience, wait).await;
        self.save();
    }

    fn take_in(&mut self, entries: Vec<Entry>) {
        let mut unknown = Vec::<(String, String)>::new();
        for entry in entries {
            for name in &entry.to {
                match self.lanes.iter_mut().find(|lane| lane.destination.name == *name) {
                    Some(lane) => {
                        lane.waiting.push_back(Waiting { entry: entry.clone(), since: Instant::now() });
                    }
                    None => unknown.push((name.clone(), entry.id.clone())),
                }
            }
        }
        // Their destination is not configured any more.
        for (name, id) in unknown {
            let settled = self.outbox.settle(&name, &[id]);
            self.note_disk(settled);
        }
    }

    fn give_up_what_is_old(&mut self, at: usize) {
        let (lane, now_ms) = (&mut self.lanes[at], self.clock.now_ms());
        if lane.busy {
            return;
        }
        let mut ids = Vec::new();
        lane.waiting.retain(|one| {
            let is_old = now_ms - one.entry.at_ms() > TOO_OLD_MS;
            if is_old {
                ids.push(one.entry.id.clone());
            }
            !is_old
        });
        while lane.waiting.len() > MOST_WAITING {
            let first = lane.waiting.iter().position(|one| !lane.is_urgent(&one.entry)).unwrap_or_default();
            ids.extend(lane.waiting.remove(first).map(|one| one.entry.id));
        }
        if !ids.is_empty() {
            lane.state.failed += ids.len() as u64;
            let name = lane.destination.name.clone();
            (self.warn)(format!(
                "{OWN_WARNING}{name}: {} were given up: they waited too long, or were too many",
                ids.len()
            ));
            let settled = self.outbox.settle(&name, &ids);
            self.note_disk(settled);
        }
    }

    /// Begins to send what is to be sent to a destination now.
    fn begin(&mut self, at: usize, now: Instant) {
        let (pace, now_ms) = (self.pace, self.clock.now_ms());
        let lane = &mut self.lanes[at];
        let Some(job) = lane.next_job(now, now_ms, pace) else { return };
        lane.busy = true;
        let (name, target) = (lane.destination.name.clone(), lane.target.clone());
        self.sends.spawn(async move {
            let (ids, result) = match job {
                Job::Event(entry) => {
                    let result = target.tell(&entry.event, &entry.id, now_ms, pace.patience).await;
                    (vec![entry.id], result)
                }
                Job::Message(text, ids) => (ids, target.say(&text, pace.patience).await),
            };
            Ended { name, ids, result }
        });
    }

    fn after(&mut self, ended: Option<Ended>) {
        // A send that panicked is unknown by name: its lane goes on with the next.
        let Some(Ended { name, ids, result }) = ended else {
            self.lanes.iter_mut().for_each(|lane| lane.busy = false);
            return;
        };
        let (now, at, pace) = (Instant::now(), format_iso(self.clock.now_ms()), self.pace);
        let lane = self.lanes.iter_mut().find(|lane| lane.destination.name == name);
        let mut is_settled = true;
        if let Some(lane) = lane {
            lane.busy = false;
            match result {
                Ok(()) => lane.succeeded(ids.len(), at, now),
                Err(failure) => {
                    is_settled = matches!(failure, Failure::Lasting(_));
                    if let Some(told) = lane.failed(&failure, ids.len(), at, now, &pace) {
                        (self.warn)(told);
                    }
                }
            }
            if is_settled {
                lane.waiting.retain(|one| !ids.contains(&one.entry.id));
            }
        }
        if is_settled {
            let settled = self.outbox.settle(&name, &ids);
            self.note_disk(settled);
        }
    }

    fn save(&mut self) {
        let mut changed = false;
        for lane in &mut self.lanes {
            lane.state.waiting = lane.waiting.len() as u64;
            if self.state.destinations.get(&lane.destination.name) != Some(&lane.state) {
                self.state.destinations.insert(lane.destination.name.clone(), lane.state.clone());
                changed = true;
            }
        }
        if changed {
            let saved = self.state.save(&self.folder);
            self.note_disk(saved);
        }
    }

    /// Tells of a problem of the disk, once while it lasts.
    fn note_disk(&mut self, result: Result<()>) {
        let problem = result.err().map(|error| error.to_string());
        if let Some(problem) = problem.as_ref().filter(|problem| self.disk.as_ref() != Some(*problem)) {
            (self.warn)(format!("{OWN_WARNING}{problem}"));
        }
        self.disk = problem;
    }
}
