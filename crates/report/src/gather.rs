//! Makes reports, and reuses the parts that have not changed.
//!
//! Each part remembers of which revision it was made. Signals are in memory, so their figures are quick; the scorecard, the advice and
//! the rules read the log, which takes seconds for a million signals. A report can be had before they are made: it names what it lacks.

use super::coverage::{self, Coverage};
use super::data::{self, Learned, Problem, Report, SignalsPart};
use super::filter::Filter;
use super::models::{self, ModelsPart};
use super::replays::{self, Replays};
use super::revision::{Part, Revision};
use domain::error::{Error, Result, guard};
use domain::threads;
use engine::SignalLoop;
use learning::advice::LevelsAdvice;
use learning::scorecard::Scorecard;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;

/// Views kept, each of a filter of its own: those asked for last.
const MAX_VIEWS: usize = 16;

/// What a report is made of, in this order: the sooner there, the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The figures of signals, which are in memory.
    Figures,
    /// What is read from files.
    Files,
    /// The rules, for which outcomes may have to be learned first.
    Learned,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Figures, Self::Files, Self::Learned];
}

/// Makes reports of one loop.
#[derive(Default)]
pub struct Gatherer {
    /// Locked only to look at parts and to put them in place, never while one is made.
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    models: Slot<ModelsPart>,
    coverage: Slot<Coverage>,
    scheduler: Slot<(Value, Vec<Value>)>,
    replays: Slot<Replays>,
    learned: Slot<Learned>,
    /// By filter; the one asked for last is the last.
    views: Vec<(Filter, View)>,
}

/// The parts that depend on the filter.
#[derive(Default)]
struct View {
    signals: Slot<Option<SignalsPart>>,
    scorecard: Slot<Option<Scorecard>>,
    advice: Slot<Option<LevelsAdvice>>,
}

/// A part, and of which revision it was made: 0 before it was.
#[derive(Default)]
struct Slot<T> {
    of: u64,
    value: T,
    problem: Option<Problem>,
}

impl<T: Default> Slot<T> {
    /// A part that failed is tried again, whether anything changed or not.
    fn is_of(&self, revision: u64) -> bool {
        self.of == revision && self.problem.is_none()
    }

    fn put(&mut self, part: Part, of: u64, made: Result<T>) {
        self.of = of;
        (self.value, self.problem) = match made {
            Ok(value) => (value, None),
            Err(error) => (T::default(), Some(Problem { part, code: error.code(), message: error.to_string() })),
        };
    }
}

impl Made {
    fn view(&mut self, filter: &Filter) -> &mut View {
        let known = self.views.iter().position(|(of, _)| of == filter);
        let view = known.map_or_else(|| (filter.clone(), View::default()), |at| self.views.remove(at));
        if self.views.len() >= MAX_VIEWS {
            // The view of all signals is the one that most people look at.
            let oldest = self.views.iter().position(|(of, _)| !of.is_all()).unwrap_or_default();
            self.views.remove(oldest);
        }
        self.views.push(view);
        let at = self.views.len() - 1;
        &mut self.views[at].1
    }

    fn report(&mut self, core: &SignalLoop, filter: &Filter) -> Report {
        let mut report = Report {
            version: env!("CARGO_PKG_VERSION"),
            generated_ms: core.settings().now_ms(),
            home: core.settings().home().display().to_string(),
            filter: filter.clone(),
            ..Report::default()
        };
        report.models = report.take(Part::Models, &self.models);
        report.coverage = report.take(Part::Candles, &self.coverage);
        (report.scheduler, report.runs) = report.take(Part::Scheduler, &self.scheduler);
        report.replays = report.take(Part::Replays, &self.replays);
        report.learned = report.take(Part::Learned, &self.learned);
        let view = self.view(filter);
        report.signals = report.take(Part::Signals, &view.signals);
        report.scorecard = report.take(Part::Scorecard, &view.scorecard);
        report.advice = report.take(Part::Advice, &view.advice);
        report
    }
}

impl Report {
    fn take<T: Clone>(&mut self, part: Part, slot: &Slot<T>) -> T {
        if slot.of == 0 {
            self.making.push(part);
        }
        self.problems.extend(slot.problem.clone());
        slot.value.clone()
    }
}

impl Gatherer {
    /// The report of `revision`, which was taken before. Parts that cannot be read are listed in it.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn gather(
        self: &Arc<Self>,
        core: &Arc<SignalLoop>,
        filter: &Filter,
        revision: &Revision,
    ) -> Result<Report> {
        let mut report = Report::default();
        for stage in Stage::ALL {
            report = self.make(core, filter, revision, stage).await?;
        }
        Ok(report)
    }

    /// Makes the parts of a stage, and returns the report with them and what was made before.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn make(
        self: &Arc<Self>,
        core: &Arc<SignalLoop>,
        filter: &Filter,
        revision: &Revision,
        stage: Stage,
    ) -> Result<Report> {
        if stage == Stage::Learned {
            if !self.made.lock().learned.is_of(revision.signals) {
                let learned = data::learned(core).await;
                self.made.lock().learned.put(Part::Learned, revision.signals, learned);
            }
        } else {
            let (this, core, filter, revision) = (self.clone(), core.clone(), filter.clone(), revision.clone());
            let work = move || match stage {
                Stage::Figures => this.make_figures(&core, &filter, &revision),
                _ => this.make_from_files(&core, &filter, &revision),
            };
            let guarded = move || {
                guard(|| {
                    work();
                    Ok(())
                })
            };
            threads::blocking(guarded).await?;
        }
        let report = self.so_far(core, filter);
        let is_closed = report.problems.iter().any(|problem| problem.code == Error::Closed.code());
        if is_closed { Err(Error::Closed) } else { Ok(report) }
    }

    /// The report with what was made so far, for this filter or for all.
    pub fn so_far(&self, core: &SignalLoop, filter: &Filter) -> Report {
        self.made.lock().report(core, filter)
    }

    fn make_figures(&self, core: &SignalLoop, filter: &Filter, revision: &Revision) {
        let signals = || data::signals(core, filter);
        self.part(|made| &mut made.view(filter).signals, Part::Signals, revision.signals, signals);
    }

    fn make_from_files(&self, core: &SignalLoop, filter: &Filter, revision: &Revision) {
        self.part(|made| &mut made.models, Part::Models, revision.models, || models::gather(core));
        self.part(|made| &mut made.coverage, Part::Candles, revision.candles, || coverage::gather(core));
        self.part(|made| &mut made.scheduler, Part::Scheduler, revision.scheduler, || data::scheduler(core));
        self.part(|made| &mut made.replays, Part::Replays, revision.replays, || replays::gather(core));
        let scorecard = || data::scorecard(core, filter);
        self.part(|made| &mut made.view(filter).scorecard, Part::Scorecard, revision.signals, scorecard);
        let of = revision.signals_and_candles();
        self.part(|made| &mut made.view(filter).advice, Part::Advice, of, || data::advice(core, filter));
    }

    /// Makes a part, unless it was made of this revision. `slot` finds its place.
    fn part<T: Default>(
        &self,
        slot: impl Fn(&mut Made) -> &mut Slot<T>,
        part: Part,
        of: u64,
        make: impl FnOnce() -> Result<T>,
    ) {
        if slot(&mut self.made.lock()).is_of(of) {
            return;
        }
        let made = make();
        slot(&mut self.made.lock()).put(part, of, made);
    }
}
