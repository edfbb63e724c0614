//! What a signal's chances are, from the signals that have closed.

use super::{Event, SignalLoop};
use crate::error::{Error, Result};
use crate::feedback::Given;
use crate::files::write_atomically;
use crate::learning::Costs;
use crate::learning::outcomes::{self, Case, Checkpoint, Learner, Lesson, MAX_LESSONS, OutcomeModel, Pattern};
use crate::model::Payoff;
use crate::signal::{Record, Said, Signal};
use crate::symbol::{Symbol, Timeframe};
use crate::threads;
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Up to this many closed signals, a model that is due is waited for: it takes milliseconds. Beyond, the one in service
/// answers, with the newest outcomes counted in, while the next one grows in the background.
const WORTH_WAITING: usize = 2_000;
/// From this many on, what was learned of them is kept for the next start: below, it is learned again in a moment.
const WORTH_KEEPING: usize = 1_000;
/// The steps in which the oldest closings are left behind by a process that starts.
const STEP: usize = 1_000;

/// What is known of a signal's chances.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// That it succeeds, 0–1.
    pub success_probability: f64,
    /// The same without a look at its indicators, 0–1.
    pub base_rate: f64,
    /// The success probability at which it earns nothing after costs, and more than that in conservative mode; one half
    /// where it lacks a stop or a target.
    pub threshold: f64,
    /// Whether the probability reaches the threshold.
    pub take: bool,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// Closed signals learned from.
    pub closed: usize,
    /// How many outcomes of today they are worth.
    pub effective_sample_size: f64,
    /// Indicators of the signal that it was not judged by: texts, and names that the model does not know.
    pub unused_indicators: Vec<String>,
}

/// The learner of a loop.
#[derive(Debug, Default)]
pub(super) struct Learning {
    learner: RwLock<Learner>,
    /// Locked while the learner is brought up to date.
    incoming: Mutex<Incoming>,
    /// Held while a model grows: one at a time.
    growing: tokio::sync::Mutex<()>,
    /// What a process that starts next finds learned already.
    saved: Mutex<Option<Saved>>,
    /// It is for the process that starts next only.
    aside: bool,
}

/// What is in the file of what was learned.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Saved {
    /// The oldest closing that it was learned from, counted from the first of all.
    first: usize,
    /// How many lessons.
    lessons: usize,
}

/// What has closed and was not learned yet.
#[derive(Debug, Default)]
struct Incoming {
    /// What the store has given.
    given: Given,
    /// Of that, what waits until the model in service may judge it.
    backlog: VecDeque<Lesson>,
    /// The oldest of it, counted from the first closing of all.
    first: usize,
}

impl SignalLoop {
    /// The chances of a signal, from all signals that have closed. Id, timestamp and confidence may be missing.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] for a HOLD, which cannot succeed; [`Error::Store`].
    pub async fn assess(self: &Arc<Self>, mut signal: Signal) -> Result<Assessment> {
        let market = signal.market();
        // Features are a gain: no signal is refused because candles cannot be read.
        let tail = self.stored_tail(&market).ok().flatten();
        signal.features = tail.and_then(|tail| tail.entry_features(&signal));
        let case = question(&signal)?;
        self.learn_closings().await?;
        self.assessment(&self.learning.learner.read(), &signal, &case)
    }

    /// [`Self::assess`] at once, where nothing need be waited for: no other thread, no file to be read. That is so for nearly
    /// every call between two outcomes. Otherwise the signal comes back, for [`Self::assess`].
    ///
    /// # Errors
    /// As [`Self::assess`].
    pub fn try_assess(&self, mut signal: Signal) -> Result<std::result::Result<Assessment, Signal>> {
        let market = signal.market();
        let incoming = self.learning.incoming.try_lock();
        let up_to_date = self
            .open_store()
            .zip(incoming)
            .is_some_and(|(store, incoming)| incoming.backlog.is_empty() && store.has_no_new_closings(&incoming.given));
        let learner = self.learning.learner.try_read().filter(|learner| up_to_date && !learner.is_overdue());
        let (Some(learner), Some(tail)) = (learner, self.tail_in_memory(&market)) else { return Ok(Err(signal)) };
        signal.features = tail.and_then(|tail| tail.entry_features(&signal));
        self.assessment(&learner, &signal, &question(&signal)?).map(Ok)
    }

    /// What is to be kept with a signal that is being recorded: what is known of its chances at this moment. Called once a signal.
    #[allow(clippy::unused_self, reason = "its learner says nothing yet")]
    pub(super) fn say(&self, _signal: &Signal) -> Option<Said> {
        None
    }

    /// The rules found in the closed signals of a symbol, of a timeframe, or of all.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn patterns(
        self: &Arc<Self>,
        symbol: Option<Symbol>,
        timeframe: Option<Timeframe>,
    ) -> Result<Vec<Pattern>> {
        self.learn_closings().await?;
        let asked_for = |lesson: &&Arc<Lesson>| {
            symbol.as_ref().is_none_or(|symbol| lesson.case.symbol() == symbol)
                && timeframe.is_none_or(|timeframe| lesson.case.timeframe() == timeframe)
        };
        let lessons: Vec<Arc<Lesson>> =
            self.learning.learner.read().lessons().iter().filter(asked_for).cloned().collect();
        self.on_pool(move || Ok(outcomes::find_patterns(&lessons.iter().map(|lesson| &**lesson).collect::<Vec<_>>())))
            .await
    }

    fn assessment(&self, learner: &Learner, signal: &Signal, case: &Case) -> Result<Assessment> {
        let margin = self.conservative_margin(&case.market)?;
        let numbers = case.indicators.iter().map(|(name, _)| name).filter(|name| !learner.model().looks_at(name));
        let mut unused: Vec<String> = numbers.cloned().collect();
        unused.extend(signal.indicators.texts().into_iter().map(|(name, _)| name));
        Ok(Assessment { unused_indicators: unused, ..assessment(learner, case, self.config().fee_bps, margin) })
    }

    /// Brings the learner up to date with the store: outcomes of this and of other processes.
    async fn learn_closings(self: &Arc<Self>) -> Result<()> {
        self.learn_backlog(&self.learning).await?;
        let (overdue, worth_waiting) = {
            let learner = self.learning.learner.read();
            (learner.is_overdue(), learner.lessons().len() <= WORTH_WAITING)
        };
        if !overdue {
            return Ok(());
        }
        if worth_waiting {
            return self.grow(&self.learning).await;
        }
        if self.learning.growing.try_lock().is_ok() {
            let this = self.clone();
            threads::spawn(async move {
                // The model in service stays, and the next call tries again; only a loop that closes need not tell.
                let grown = async {
                    this.grow(&this.learning).await?;
                    this.learn_for_the_next_start().await
                };
                match grown.await {
                    Ok(()) | Err(Error::Closed | Error::Cancelled(_)) => {}
                    Err(error) => this.emit(&Event::Warning(format!("outcomes could not be learned from: {error}"))),
                }
            });
        }
        Ok(())
    }

    /// Learns what has closed. A long backlog, as after a restart, in stages, each judged by a model of the ones before; where
    /// an earlier process has learned the beginning of it, from there on.
    async fn learn_backlog(&self, learning: &Learning) -> Result<()> {
        let (mut reached, mut total) = (None, None);
        while let Some(waiting) = self.count_closings(learning)? {
            let seed = self.config().seed;
            self.grow(learning).await?;
            if learning.aside {
                self.closing.check()?;
            }
            let learner = learning.learner.read();
            // More that has closed meanwhile was not waiting from the beginning.
            let all = learner.lessons().len() + waiting;
            let as_begun = *total.get_or_insert(all) == all;
            reached = learner.checkpoint(waiting, seed).filter(|_| as_begun && all >= WORTH_KEEPING);
        }
        if let Some(checkpoint) = reached {
            let first = learning.incoming.lock().first;
            *learning.saved.lock() = Some(Saved { first, lessons: checkpoint.lessons() });
            if let Err(error) = write_atomically(&self.learned_path(), &checkpoint.encode()?) {
                // Nothing is lost but time.
                self.emit(&Event::Warning(format!(
                    "what was learned of outcomes is not kept for the next start: {error}"
                )));
            }
        }
        Ok(())
    }

    /// Counts what has closed, as far as the model in service may judge it; how much of it waits for the next one, if some does.
    fn count_closings(&self, learning: &Learning) -> Result<Option<usize>> {
        let mut incoming = learning.incoming.lock();
        let Incoming { given, backlog, first } = &mut *incoming;
        let store = self.store()?;
        let begins = learning.learner.read().lessons().is_empty() && backlog.is_empty();
        if begins {
            *first = first_of(store.extent().1);
        }
        let most = if begins { store.extent().1 - *first } else { MAX_LESSONS };
        let records = store.new_closings(given, most)?;
        backlog.extend(records.iter().filter_map(lesson));
        if begins && backlog.len() >= WORTH_KEEPING {
            self.resume(learning, backlog, *first);
        }
        if !backlog.is_empty() {
            learning.learner.write().learn_some(backlog);
        }
        Ok(Some(backlog.len()).filter(|waiting| *waiting > 0))
    }

    /// Takes from a backlog what an earlier process has learned of it.
    fn resume(&self, learning: &Learning, backlog: &mut VecDeque<Lesson>, first: usize) {
        // None is there yet, or one that cannot be read: all is learned anew.
        let Ok(bytes) = std::fs::read(self.learned_path()) else { return };
        let Some(checkpoint) = Checkpoint::decode(&bytes) else { return };
        let lessons = checkpoint.lessons();
        if let Some(learner) = Learner::resume(checkpoint, backlog, self.config().seed) {
            *learning.learner.write() = learner;
            *learning.saved.lock() = Some(Saved { first, lessons });
        }
    }

    /// Learns once more, as a process will that starts with what has closed by now, if that would take it long.
    async fn learn_for_the_next_start(&self) -> Result<()> {
        let closed = self.store()?.extent().1;
        let soon = self.learning.saved.lock().is_some_and(|saved| {
            // Up to twice the lessons of a model, the next one is not waited for.
            saved.first == first_of(closed) && closed - saved.first < 2 * saved.lessons
        });
        if soon {
            return Ok(());
        }
        let aside = Learning { aside: true, ..Learning::default() };
        self.learn_backlog(&aside).await?;
        // Where nothing could be kept, not again and again either.
        let lessons = aside.learner.read().lessons().len();
        let kept = aside.saved.lock().unwrap_or(Saved { first: first_of(closed), lessons });
        *self.learning.saved.lock() = Some(kept);
        Ok(())
    }

    fn learned_path(&self) -> PathBuf {
        self.home.join("cache").join("outcomes.learned")
    }

    async fn grow(&self, learning: &Learning) -> Result<()> {
        let _one_at_a_time = learning.growing.lock().await;
        let evidence = {
            let learner = learning.learner.read();
            if !learner.is_overdue() {
                return Ok(());
            }
            learner.evidence()
        };
        let seed = self.config().seed;
        let model = self.on_pool(move || Ok(OutcomeModel::grow(&evidence, seed))).await?;
        learning.learner.write().adopt(model);
        Ok(())
    }
}

/// The oldest closing that a process learns from that starts when so many have closed. It moves on in steps, not with every
/// closing: what was learned from the same beginning can be kept.
fn first_of(closed: usize) -> usize {
    closed.saturating_sub(MAX_LESSONS).div_ceil(STEP) * STEP
}

fn lesson(record: &Record) -> Option<Lesson> {
    let closing = record.closing.as_ref()?;
    Some(Lesson {
        case: Case::of(&record.signal)?,
        success: closing.outcome.succeeded()?,
        given_ms: record.signal.timestamp_ms,
        closed_ms: closing.closed_ms,
    })
}

fn question(signal: &Signal) -> Result<Case> {
    let problem = "must be BUY or SELL: a HOLD bets on nothing";
    Case::of(signal).ok_or_else(|| Error::InvalidSignal { field: "signalType", problem, value: "HOLD".to_owned() })
}

fn assessment(learner: &Learner, case: &Case, fee_bps: f64, margin: f64) -> Assessment {
    let model = learner.model();
    let chances = model.chances(case);
    let costs = case
        .reward_risk
        .zip(case.stop_percent)
        .map(|(ratio, stop)| Costs::new(Payoff::at_levels(ratio), stop, fee_bps));
    let threshold = costs.map_or(0.5, |costs| costs.break_even()) + margin;
    let percent = |p: f64| format!("{:.1} %", 100.0 * p);
    let mut reasons = vec![match costs {
        Some(_) => format!(
            "succeeds with {} (base rate {}); to earn its costs it needs {}",
            percent(chances.probability),
            percent(chances.base_rate),
            percent(threshold - margin)
        ),
        None => format!(
            "succeeds with {} (base rate {}); without stop loss and take profit, half is asked for",
            percent(chances.probability),
            percent(chances.base_rate)
        ),
    }];
    if learner.lessons().is_empty() {
        reasons.push(
            "no signal has closed yet: the base rate is that of a price without drift at these levels".to_owned(),
        );
    }
    if margin > 0.0 {
        reasons.push(format!("recent signals did poorly, so {} more than that is asked for", percent(margin)));
    }
    // Where less than the least probability that is ever told would do, that one proves nothing.
    let beyond = threshold < outcomes::PROBABILITY_RANGE.0;
    if beyond {
        reasons.push(format!(
            "so far a target is beyond what is told: nothing below {}",
            percent(outcomes::PROBABILITY_RANGE.0)
        ));
    }
    reasons.extend(model.reasons(case));
    Assessment {
        success_probability: chances.probability,
        base_rate: chances.base_rate,
        threshold,
        take: chances.probability >= threshold && !beyond,
        reasons,
        closed: learner.lessons().len(),
        effective_sample_size: model.effective(),
        unused_indicators: Vec::new(),
    }
}
