//! Learns from closed signals: keeps the learner up to date, trains its models, and saves what it learned for the next
//! start.

use super::{Event, OutcomeLearner};
use domain::error::{Error, Result};
use domain::signal::{Costs, Record};
use feedback::{FeedCursor, FeedbackStore, OpenSignal};
use learning::harm::{Harm, Judge};
use learning::outcomes::{Case, Checkpoint, Learner, Lesson, MAX_LESSONS, Open, OutcomeModel};
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::write_atomically;

/// With up to this many closed signals, callers wait for a model that is due. Training it takes a tenth of a second,
/// off the event loop. With more, the current model answers while the next one is trained in the background, unless the
/// next one is late.
const WORTH_WAITING: usize = 300;
/// With at least this many closed signals, what was learned is saved for the next start. With fewer, learning
/// everything again takes only a moment.
const WORTH_KEEPING: usize = 1_000;
/// Closings within this time are learned from together.
const TOGETHER: Duration = Duration::from_millis(500);
/// A starting process skips the oldest closings in steps of this size.
const STEP: usize = 1_000;

/// What the learner has learned, and what it has not learned yet.
#[derive(Debug, Default)]
pub(super) struct LearnerState {
    pub(super) learner: RwLock<Learner>,
    /// Locked while the learner is brought up to date.
    pub(super) incoming: Mutex<NewClosings>,
    /// Held while a model is trained. Only one is trained at a time.
    growing: tokio::sync::Mutex<()>,
    /// Held while everything is learned again for the next start.
    relearning: tokio::sync::Mutex<()>,
    /// By how much the forecasts did worse than base rates, if they did.
    pub(super) harm: RwLock<Option<Harm>>,
    /// The last model trained for past signals.
    pub(super) past: Mutex<Option<Arc<OutcomeModel>>>,
    /// What was saved for the next start.
    saved: Mutex<Option<SavedLearning>>,
    /// Whether signals have just closed and will be learned from soon.
    soon: AtomicBool,
    /// Whether this learner only prepares the file for the next start.
    aside: bool,
}

/// What the saved file covers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct SavedLearning {
    /// The index of the oldest closing in it.
    first: usize,
    /// The number of closed signals it was learned from.
    lessons: usize,
}

/// Closed signals that were not learned from yet.
#[derive(Debug, Default)]
pub(super) struct NewClosings {
    /// The position in the store's closings up to which they were read.
    pub(super) given: FeedCursor,
    /// Signals that were read but not learned from yet. The current model must forecast them first.
    pub(super) backlog: VecDeque<Lesson>,
    /// The index of the oldest closing that was read.
    first: usize,
    /// Compares forecasts with outcomes.
    judge: Judge,
}

impl LearnerState {
    /// Whether callers wait for a model that is due.
    fn waits(learner: &Learner) -> bool {
        learner.is_overdue() && (learner.lessons().len() <= WORTH_WAITING || learner.is_late())
    }

    /// Whether the current model may answer and no training has to be started.
    pub(super) fn is_ready(&self, learner: &Learner) -> bool {
        !learner.is_overdue() || !Self::waits(learner) && self.growing.try_lock().is_err()
    }
}

impl OutcomeLearner {
    /// Learns from the signals that have closed since the last call, in this and in other processes.
    pub(super) async fn learn_closings(self: &Arc<Self>) -> Result<()> {
        if !self.settings.learns_outcomes() {
            return Ok(());
        }
        self.learn_backlog(&self.learning).await?;
        // If a model is already being trained, that may be all that is needed.
        self.grow(&self.learning, LearnerState::waits).await?;
        if !self.learning.is_ready(&self.learning.learner.read()) {
            let this = self.clone();
            self.lifetime.in_background(async move {
                // On failure the current model stays, and the next call tries again.
                let grown = async {
                    this.grow(&this.learning, Learner::is_overdue).await?;
                    this.learn_for_the_next_start().await
                };
                if let Err(error) = grown.await {
                    this.tell_of_failure(&error);
                }
            });
        }
        Ok(())
    }

    /// Learns in the background from signals that have just closed, so that the next assessment need not wait. Closings
    /// of the next half second are learned from together.
    pub(super) fn learn_soon(self: &Arc<Self>) {
        // A replay learns when it settles.
        if self.settings.is_replay() || self.learning.soon.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        self.lifetime.in_background(async move {
            if this.lifetime.wait(TOGETHER).await.is_err() {
                return;
            }
            // Signals that close from here on are learned from later.
            this.learning.soon.store(false, Ordering::Release);
            let Ok(_call) = this.lifetime.begin() else { return };
            if let Err(error) = this.learn_closings().await {
                this.tell_of_failure(&error);
            }
        });
    }

    /// Reports that learning failed. Not reported if the loop is closing.
    pub(super) fn tell_of_failure(&self, error: &Error) {
        if !matches!(error, Error::Closed | Error::Cancelled(_)) {
            self.events.emit(&Event::Warning(format!("outcomes could not be learned from: {error}")));
        }
    }

    /// Learns from closed signals. A long backlog, as after a restart, is learned in stages, and before each stage the
    /// model of the earlier stages forecasts it. If an earlier process has saved what it learned, learning continues
    /// from there.
    async fn learn_backlog(&self, learning: &LearnerState) -> Result<()> {
        let (mut reached, mut total) = (None, None);
        while let Some(waiting) = self.count_closings(learning)? {
            let seed = self.settings.config().seed;
            self.grow(learning, Learner::is_overdue).await?;
            if learning.aside {
                self.lifetime.closing().check()?;
            }
            let learner = learning.learner.read();
            // Ignore signals that closed after the first look.
            let all = learner.lessons().len() + waiting;
            let as_begun = *total.get_or_insert(all) == all;
            reached = learner.checkpoint(waiting, seed).filter(|_| as_begun && all >= WORTH_KEEPING);
        }
        if let Some(checkpoint) = reached {
            let first = learning.incoming.lock().first;
            *learning.saved.lock() = Some(SavedLearning { first, lessons: checkpoint.lessons() });
            if let Err(error) = write_atomically(&self.learned_path(), &checkpoint.encode()?) {
                // A failed save only costs time at the next start.
                self.events.emit(&Event::Warning(format!(
                    "what was learned of outcomes is not kept for the next start: {error}"
                )));
            }
        }
        Ok(())
    }

    /// Learns from closed signals up to where the current model may forecast them. Returns how many must wait for the
    /// next model, or `None` if none must.
    fn count_closings(&self, learning: &LearnerState) -> Result<Option<usize>> {
        let mut incoming = learning.incoming.lock();
        let NewClosings { given, backlog, first, judge } = &mut *incoming;
        let store = self.store.open()?;
        let begins = learning.learner.read().lessons().is_empty() && backlog.is_empty();
        if begins {
            *first = first_of(store.extent().1);
        }
        let most = if begins { store.extent().1 - *first } else { MAX_LESSONS };
        // A learner that prepares the next start takes only the signals that had closed when it began. Otherwise it
        // might never be ready to be saved.
        let records = if learning.aside && !begins { Vec::new() } else { store.new_closings(given, most)? };
        let costs = self.settings.config().costs();
        backlog.extend(records.iter().filter_map(|record| lesson(record, &costs)));
        if !records.is_empty() {
            records.iter().for_each(|record| judge.take(record));
            *learning.harm.write() = judge.harm();
        }
        if begins && backlog.len() >= WORTH_KEEPING {
            self.resume(learning, backlog, &open(&store)?, *first);
        }
        if !backlog.is_empty() {
            learning.learner.write().learn_some(backlog);
        }
        Ok(Some(backlog.len()).filter(|waiting| *waiting > 0))
    }

    /// Removes from a backlog the signals that an earlier process has already learned.
    fn resume(&self, learning: &LearnerState, backlog: &mut VecDeque<Lesson>, open: &[Open], first: usize) {
        // Without a readable file, everything is learned again.
        let Ok(bytes) = std::fs::read(self.learned_path()) else { return };
        let Some(checkpoint) = Checkpoint::decode(&bytes) else { return };
        let lessons = checkpoint.lessons();
        if let Some(learner) = Learner::resume(checkpoint, backlog, open, self.settings.config().seed) {
            *learning.learner.write() = learner;
            *learning.saved.lock() = Some(SavedLearning { first, lessons });
        }
    }

    /// Learns everything again and saves it, if a process that starts now would otherwise take long to learn it.
    async fn learn_for_the_next_start(&self) -> Result<()> {
        let Ok(_one_at_a_time) = self.learning.relearning.try_lock() else { return Ok(()) };
        // Up to two rounds, because signals may close during the first.
        for _ in 0..2 {
            let closed = self.store.open()?.extent().1;
            let soon = self.learning.saved.lock().is_some_and(|saved| {
                // Up to twice the saved number, callers of a new process do not have to wait for the next model.
                saved.first == first_of(closed) && closed - saved.first < 2 * saved.lessons
            });
            if soon {
                break;
            }
            let aside = LearnerState { aside: true, ..LearnerState::default() };
            self.learn_backlog(&aside).await?;
            // Counts as saved even if saving failed, so that it is not tried again and again.
            let lessons = aside.learner.read().lessons().len();
            let kept = aside.saved.lock().unwrap_or(SavedLearning { first: first_of(closed), lessons });
            *self.learning.saved.lock() = Some(kept);
        }
        Ok(())
    }

    fn learned_path(&self) -> PathBuf {
        self.settings.home().join("cache").join("outcomes.learned")
    }

    /// Trains a model if one is due, one at a time.
    async fn grow(&self, learning: &LearnerState, is_due: fn(&Learner) -> bool) -> Result<()> {
        if !is_due(&learning.learner.read()) {
            return Ok(());
        }
        let _one_at_a_time = learning.growing.lock().await;
        let evidence = {
            // The locks are taken in the same order as where the backlog is learned.
            let incoming = learning.incoming.lock();
            let learner = learning.learner.read();
            if !is_due(&learner) {
                return Ok(());
            }
            learner.evidence().with_open(incoming.backlog.iter(), &open(&self.store.open()?)?)
        };
        let seed = self.settings.config().seed;
        let model = self.compute.run(move || Ok(OutcomeModel::grow(&evidence, seed))).await?;
        learning.learner.write().adopt(model);
        Ok(())
    }
}

/// The index of the oldest closing that a new process learns from when `closed` signals have closed. It moves in steps,
/// so that a saved file stays usable for a while.
fn first_of(closed: usize) -> usize {
    closed.saturating_sub(MAX_LESSONS).div_ceil(STEP) * STEP
}

/// The open signals of a store.
pub(super) fn open(store: &FeedbackStore) -> Result<Vec<Open>> {
    // A signal that waits for its entry cannot end yet.
    let is_entered = |signal: &&OpenSignal| signal.trade.as_ref().is_none_or(|trade| trade.entered_ms().is_some());
    Ok(store.open_by_symbol()?.values().flatten().filter(is_entered).map(|signal| Open::of(&signal.levels)).collect())
}

/// What a closed signal teaches; `costs` count where it states none.
fn lesson(record: &Record, costs: &Costs) -> Option<Lesson> {
    let closing = record.closing.as_ref()?;
    let case = Case::of(&record.signal)?;
    let said = record.said.as_ref();
    // A signal that was entered later has its risk from its fill on.
    let risk = record.trade().and_then(|trade| trade.risk_percent()).or(case.stop_percent);
    let risk = risk.filter(|risk| *risk > 0.0);
    Some(Lesson {
        success: closing.outcome.succeeded()?,
        r: risk.map(|risk| closing.profit_percent / risk),
        net_r: risk.zip(record.net_percent(costs)).map(|(risk, net)| net / risk),
        said: said.map(|said| said.departures),
        case: Case { prior: said.filter(|said| said.shaped).map(|said| said.prior), ..case },
        given_ms: record.signal.timestamp_ms,
        closed_ms: closing.closed_ms,
    })
}
