//! Alerts of a home: which events go into the outbox, and which process sends them.
//!
//! Every process with a started scheduler writes its own events to the outbox of its home. The process that leads sends them. With
//! a database, each home has a process that sends, because events of this machine are only here. Closed signals are different:
//! any process may close one, also without a scheduler, so the leader finds them in the feedback store.

use super::event_json::{closed_signal_to_json, event_to_json};
use super::schedule::{Running, Scheduler};
use super::{Event, EventListener, Told};
use ::alerts::{
    Destination, DestinationState, Entry, Failure, KNOWN, Kind, Known, OWN_WARNING, Outbox, Pace, Sender, State, Target,
};
use domain::barrier::Outcome;
use domain::cancel::Cancel;
use domain::error::{Error, Resource, Result};
use domain::threads;
use domain::time::{DAY_MS, format_iso};
use feedback::{ClosedSignal, FeedCursor};
use scheduler::SchedulerConfig;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::disk::Lock;
use storage::lock::{FileLock, Guard};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How often the sender looks what there is to do.
const LOOK: Duration = Duration::from_millis(250);
/// How often it looks for closed signals. A look at a folder reads a file's size.
const LOOK_FOR_CLOSED: Duration = Duration::from_secs(1);
/// How long stopping waits for messages that are under way.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Events that wait to be written.
const QUEUE: usize = 1000;
/// A signal may close while no scheduler runs. The next scheduler sends its alert if the closing is not older than this.
const LATE_MS: i64 = 7 * DAY_MS;
/// With a database, a new leader may not know what the former one alerted: it begins with closings of this age.
const TAKEN_OVER_MS: i64 = 60_000;

/// Destinations with their secrets.
pub(super) type Targets = Arc<Vec<(Destination, Arc<Target>)>>;

/// The destinations of a configuration, and warnings about unknown keys.
pub(super) fn destinations(config: &SchedulerConfig) -> Result<(Vec<Destination>, Vec<String>)> {
    ::alerts::destinations(&config.alerts.value, &config.alerts.file, config.timezone)
}

/// The alerts to a destination, as they stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertStatus {
    /// The destination's name.
    pub name: String,
    /// The way to it: `webhook`, `telegram`, `discord` or `slack`.
    pub to: &'static str,
    /// What was sent, what waits, what failed.
    #[serde(flatten)]
    pub state: DestinationState,
}

impl Scheduler {
    fn alerts_folder(&self) -> PathBuf {
        self.settings.home().join("scheduler")
    }

    /// The destinations of a configuration, with their secrets.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], naming the key of a secret that is not there.
    pub(super) fn alert_targets(&self, config: &SchedulerConfig) -> Result<Targets> {
        let (destinations, _) = destinations(config)?;
        let home = self.settings.home();
        let resolved = destinations.into_iter().map(|one| {
            let target = one.resolve(home)?;
            Ok((one, Arc::new(target)))
        });
        Ok(Arc::new(resolved.collect::<Result<_>>()?))
    }

    /// The names of the destinations of alerts. Their secrets are looked for, and nothing is sent.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], [`Error::Io`].
    pub fn check_alerts(&self) -> Result<Vec<String>> {
        let (config, _) = self.config(Default::default())?;
        Ok(self.alert_targets(&config)?.iter().map(|(one, _)| one.name.clone()).collect())
    }

    /// Sends a test message to each destination, or to the one with this name, and returns what came of it, by name. It does not
    /// wait for quiet hours, and tries once.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]; [`Error::InvalidArgument`] if there is none, or none with this name.
    pub async fn test_alerts(&self, name: Option<&str>) -> Result<Vec<(String, std::result::Result<(), Failure>)>> {
        let (config, _) = self.config(Default::default())?;
        let targets = self.alert_targets(&config)?;
        let chosen = |one: &&(Destination, Arc<Target>)| name.is_none_or(|name| one.0.name == name);
        let mut results = Vec::new();
        for (destination, target) in targets.iter().filter(chosen) {
            let result = target.test(self.settings.now_ms(), Pace::default().patience).await;
            results.push((destination.name.clone(), result));
        }
        if results.is_empty() {
            let names: Vec<&str> = targets.iter().map(|(one, _)| one.name.as_str()).collect();
            let problem = match names.is_empty() {
                true => "needs a destination: there is none in `alerts` of scheduler_config.json".to_owned(),
                false => format!("must be one of {}", names.join(", ")),
            };
            return Err(Error::argument("to", problem, name.unwrap_or("nothing")));
        }
        Ok(results)
    }

    /// The status of the alerts of this home, as the process that sends has written it.
    pub(super) fn alert_status(&self, config: &SchedulerConfig) -> Result<Vec<AlertStatus>> {
        let (destinations, _) = destinations(config)?;
        if destinations.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = State::load(&self.alerts_folder())?;
        let status = |one: Destination| {
            let state = state.destinations.remove(&one.name).unwrap_or_default();
            AlertStatus { to: one.channel.as_str(), name: one.name, state }
        };
        Ok(destinations.into_iter().map(status).collect())
    }
}

/// Writes events to a queue, from which they go into the outbox.
struct ToOutbox {
    running: Arc<Running>,
    queue: mpsc::Sender<Entry>,
}

impl EventListener for ToOutbox {
    fn tell(&self, event: &Event, at_ms: i64, dropped: u64) -> Told {
        match event {
            // The leader finds closed signals in the store.
            Event::SignalClosed(_) => return Told::Taken,
            Event::Warning(text) if text.starts_with(OWN_WARNING) => return Told::Taken,
            _ => {}
        }
        let targets = self.running.rules.lock().alerts.clone();
        if targets.is_empty() {
            return Told::Taken;
        }
        let event = event_to_json(event, at_ms, dropped);
        let Some(kind) = Kind::of(&event) else { return Told::Taken };
        let to: Vec<String> =
            targets.iter().filter(|(one, _)| one.wants(kind)).map(|(one, _)| one.name.clone()).collect();
        if to.is_empty() {
            return Told::Taken;
        }
        match self.queue.try_send(Entry::new(to, event)) {
            Ok(()) => Told::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Told::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Told::Gone,
        }
    }
}

/// The alerts of a started scheduler. While none are configured, nothing of them runs.
pub(super) struct Alerts {
    scheduler: Arc<Scheduler>,
    running: Arc<Running>,
    at_work: Option<AtWork>,
}

/// One task writes events to the outbox, another sends them.
struct AtWork {
    subscription: u64,
    stop: Cancel,
    writes: JoinHandle<()>,
    sends: JoinHandle<()>,
}

impl Alerts {
    /// The alerts of a scheduler that has just been started. Must be called inside a tokio runtime.
    pub fn of(scheduler: Arc<Scheduler>, running: Arc<Running>) -> Self {
        let mut alerts = Self { scheduler, running, at_work: None };
        alerts.follow();
        alerts
    }

    /// Begins to write and to send once alerts are configured, and ends it when they are not any more.
    pub fn follow(&mut self) {
        let is_wanted = !self.running.rules.lock().alerts.is_empty();
        match (&self.at_work, is_wanted) {
            (None, true) => self.at_work = Some(self.begin()),
            (Some(at_work), false) => {
                self.scheduler.events.unsubscribe(at_work.subscription);
                at_work.stop.cancel();
                // Both tasks end by themselves.
                self.at_work = None;
            }
            _ => {}
        }
    }

    fn begin(&self) -> AtWork {
        let (scheduler, running, stop) = (self.scheduler.clone(), self.running.clone(), Cancel::default());
        let (queue, queued) = mpsc::channel(QUEUE);
        let listener = ToOutbox { running: running.clone(), queue };
        let subscription = scheduler.events.subscribe(Box::new(listener));
        let writes = tokio::spawn(write(scheduler.clone(), queued));
        let sends = tokio::spawn(send(scheduler, running, stop.clone()));
        AtWork { subscription, stop, writes, sends }
    }

    /// Waits until queued events are written and running requests have ended, but at most two seconds.
    pub async fn ended(self) {
        let Some(at_work) = self.at_work else { return };
        self.scheduler.events.unsubscribe(at_work.subscription);
        // A panic in them ends only them.
        let _ = at_work.writes.await;
        let _ = at_work.sends.await;
    }
}

/// Writes events to the outbox until the queue is closed.
async fn write(scheduler: Arc<Scheduler>, mut queued: mpsc::Receiver<Entry>) {
    let mut problem = None;
    let mut entries = Vec::new();
    while queued.recv_many(&mut entries, QUEUE).await > 0 {
        let (folder, these) = (scheduler.alerts_folder(), std::mem::take(&mut entries));
        let written = threads::blocking(move || Outbox::new(&folder).append(&these)).await;
        let new = written.err().map(|error| format!("{OWN_WARNING}events cannot be kept: {error}"));
        if let Some(text) = new.as_ref().filter(|new| problem.as_ref() != Some(*new)) {
            scheduler.events.emit(&Event::Warning(text.clone()));
        }
        problem = new;
    }
}

/// A sender, while this process is the one that sends.
struct Sending {
    sender: Sender,
    targets: Targets,
    /// `None` while no process of this home leads.
    closings: Option<Closings>,
    _lock: Guard,
}

/// What the leader has seen of closed signals.
struct Closings {
    /// Since when a process of this home leads, UTC epoch ms.
    since_ms: i64,
    cursor: FeedCursor,
    looked: Option<Instant>,
    /// Whether the first look has succeeded: what is new from then on has closed under this leader.
    knows_all: bool,
}

/// Sends what is in the outbox whenever this process is the one that sends, until the scheduler or the alerts stop.
async fn send(scheduler: Arc<Scheduler>, running: Arc<Running>, stop: Cancel) {
    let mut sending: Option<Sending> = None;
    let mut mark: Option<Guard> = None;
    let mut problem = None;
    loop {
        let wait = async {
            tokio::time::sleep(LOOK).await;
            Ok(())
        };
        if stop.unless(running.stop.unless(scheduler.lifetime.closing().unless(wait))).await.is_err() {
            break;
        }
        let targets = running.rules.lock().alerts.clone();
        let is_shared = scheduler.coordination.job_queue().is_some();
        let leads = running.leads();
        if targets.is_empty() || !(leads || is_shared) {
            mark = None;
            // It cannot send for others any more: what is under way is given its time.
            if let Some(mut last) = sending.take() {
                last.sender.set_destinations(targets.to_vec());
                last.sender.finish(LAST_WORDS).await;
            }
            continue;
        }
        let (this, before, marked) = (scheduler.clone(), sending.take(), mark.take());
        let step = move || {
            let (led_here, mark) = if is_shared { this.is_led_here(leads, marked)? } else { (leads, None) };
            let Some(mut sending) = this.sending(before)? else { return Ok((None, mark, None)) };
            if !Arc::ptr_eq(&sending.targets, &targets) {
                sending.sender.set_destinations(targets.to_vec());
                sending.targets = targets;
            }
            let closed = if led_here {
                this.take_closed(&mut sending, is_shared)
            } else {
                sending.closings = None;
                Ok(())
            };
            sending.sender.step();
            Ok((Some(sending), mark, closed.err()))
        };
        let new = match threads::blocking(step).await {
            Ok((next, marked, failed)) => {
                (sending, mark) = (next, marked);
                failed
            }
            Err(error) => Some(error),
        };
        let new = new.map(|error| format!("{OWN_WARNING}{error}"));
        if let Some(text) = new.as_ref().filter(|new| problem.as_ref() != Some(*new)) {
            scheduler.events.emit(&Event::Warning(text.clone()));
        }
        problem = new;
    }
    if let Some(mut last) = sending {
        if stop.is_cancelled() {
            // Nothing is configured any more, and what waits is given up.
            last.sender.set_destinations(Vec::new());
        }
        last.sender.finish(LAST_WORDS).await;
    }
}

impl Scheduler {
    /// The sender of this process; `None` while another process of the home sends.
    fn sending(&self, before: Option<Sending>) -> Result<Option<Sending>> {
        if before.is_some() {
            return Ok(before);
        }
        let folder = self.alerts_folder();
        storage::create_folder(&folder)?;
        let path = folder.join("alerts-sender.lock");
        let lock = match FileLock::acquire(Resource::Scheduler, &path, Lock::Exclusive, Duration::ZERO) {
            Ok(lock) => lock,
            Err(Error::Busy { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let events = self.events.clone();
        let warn = Box::new(move |text| events.emit(&Event::Warning(text)));
        let sender = Sender::open(&folder, Pace::default(), self.settings.clock().clone(), warn)?;
        Ok(Some(Sending { sender, targets: Targets::default(), closings: None, _lock: lock }))
    }

    /// Whether a process of this home leads. With a database, the process that leads and the one that sends may be two of one home:
    /// the leader holds a file's lock, so that the sender knows to alert closed signals. Returns that lock if `leads`.
    fn is_led_here(&self, leads: bool, held: Option<Guard>) -> Result<(bool, Option<Guard>)> {
        if leads && held.is_some() {
            return Ok((true, held));
        }
        drop(held);
        storage::create_folder(&self.alerts_folder())?;
        let path = self.alerts_folder().join("alerts-leader.lock");
        let mode = if leads { Lock::Exclusive } else { Lock::Shared };
        match FileLock::acquire(Resource::Scheduler, &path, mode, Duration::ZERO) {
            Ok(lock) => Ok((leads, leads.then_some(lock))),
            // Another process of the home holds it, or looks whether one does.
            Err(Error::Busy { .. }) => Ok((true, None)),
            Err(error) => Err(error),
        }
    }

    /// Puts signals that have closed, in any process, into the outbox.
    fn take_closed(&self, sending: &mut Sending, is_shared: bool) -> Result<()> {
        let is_wanted = sending.targets.iter().any(|(one, _)| one.events.contains(&"signalClosed"));
        if !is_wanted {
            sending.sender.forget_closings();
            sending.closings = None;
            return Ok(());
        }
        let now_ms = self.settings.now_ms();
        let new_leader =
            || Closings { since_ms: now_ms, cursor: FeedCursor::default(), looked: None, knows_all: false };
        let seen = sending.closings.get_or_insert_with(new_leader);
        if seen.looked.is_some_and(|looked| looked.elapsed() < LOOK_FOR_CLOSED) {
            return Ok(());
        }
        seen.looked = Some(Instant::now());
        let since_ms = match is_shared {
            true if !seen.knows_all => seen.since_ms - TAKEN_OVER_MS,
            // What closed before there were alerts is none.
            false if !sending.sender.knows_closings() => i64::MAX,
            _ => now_ms - LATE_MS,
        };
        let mut cursor = seen.cursor.clone();
        let (records, costs) = match self.runner.checks.store.existing()? {
            Some(store) => (store.new_closings(&mut cursor, KNOWN)?, store.costs()),
            None => Default::default(),
        };
        let closed = records.iter().filter_map(|record| ClosedSignal::of(record, &costs));
        // A cancelled signal was never open: `signalChanged` tells of it.
        let closed = closed.filter(|signal| signal.outcome != Outcome::Cancelled).map(|signal| {
            let (mark, closed_ms) = (Known::mark(signal.strategy.as_deref(), &signal.id), signal.closed_ms);
            let at = format_iso(now_ms);
            let event = move || json!({ "type": "signalClosed", "signal": closed_signal_to_json(&signal), "at": at });
            (mark, closed_ms, event)
        });
        sending.sender.take_closings(closed.collect(), since_ms)?;
        (seen.cursor, seen.knows_all) = (cursor, true);
        Ok(())
    }
}
