//! The plain data of a report: what the page draws, and what the live view sends.

use super::calibration::{Bin, Calibration};
use super::coverage::{self, Coverage};
use super::models::{self, ModelsPart};
use super::results::{Interval, Results};
use super::revision::{Part, Revision};
use domain::error::{Error, Result, guard};
use domain::threads;
use engine::{ScorecardFilter, SignalLoop, run_to_json};
use feedback::{FeedbackStore, Figures, StatsFilter};
use learning::outcomes::{MAX_LESSONS, MIN_CLOSED, Pattern};
use learning::scorecard::Scorecard;
use scheduler::Ran;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Symbols, and strategies, in a table: those with the most closed signals.
const MAX_ROWS: usize = 50;
/// Runs of the scheduler's tasks listed.
const MAX_RUNS: usize = 50;

/// Everything in a report. Times are UTC epoch ms; percent is 0–100.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which signalloop made it.
    pub version: &'static str,
    /// When.
    pub generated_ms: i64,
    /// The home folder.
    pub home: String,
    /// The signals; `None` while nothing was ever recorded.
    pub signals: Option<SignalsPart>,
    /// The models.
    pub models: ModelsPart,
    /// The candles.
    pub coverage: Coverage,
    /// The scheduler, as `scheduler.status()` tells it; null when that cannot be told.
    pub scheduler: Value,
    /// The newest runs of its tasks, the newest first; each as `lastRun` of the scheduler's status, and `task`.
    pub runs: Vec<Value>,
    /// What could not be looked at, and why; the rest is there.
    pub problems: Vec<Problem>,
}

/// A part of the report that could not be made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Problem {
    /// Which.
    pub part: Part,
    /// `ERR_…`
    pub code: &'static str,
    /// Why.
    pub message: String,
}

/// What became of the signals.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalsPart {
    /// Costs of a round trip, percent of the entry.
    pub fee_percent: f64,
    /// All of them.
    pub figures: Figures,
    /// By symbol, those with the most closed signals first.
    pub by_symbol: Vec<Row>,
    /// Symbols not listed.
    pub more_symbols: usize,
    /// By timeframe, the shortest first.
    pub by_timeframe: Vec<Row>,
    /// By strategy, those with the most closed signals first.
    pub by_strategy: Vec<Row>,
    /// Strategies not listed.
    pub more_strategies: usize,
    /// Signals that were followed and not traded: in no other figure.
    pub followed: Figures,
    /// Over time.
    pub results: Results,
    /// The confidence that closed signals stated, beside how often they succeeded.
    pub calibration: Vec<Bin>,
    /// What was said of them against what came; of its parts, those with the most signals.
    pub scorecard: Scorecard,
    /// The rules found in what succeeded and what failed.
    pub patterns: Vec<PatternPart>,
    /// Closed signals searched for rules: the newest so many at most.
    pub patterns_of: usize,
    /// Closed signals below which no search is made.
    pub patterns_need: usize,
    /// What is in conservative mode, and why; empty when nothing is.
    pub conservative: Vec<String>,
    /// Why, of the first.
    pub conservative_reason: Option<String>,
}

/// The figures of a symbol or a timeframe.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Which.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// A rule found in the outcomes. In percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatternPart {
    /// In words.
    pub rule: String,
    /// Closed signals that it holds for.
    pub count: usize,
    /// Of which succeeded.
    pub successes: usize,
    /// Percent.
    pub success_rate: f64,
    /// The Wilson score interval of that.
    pub success_interval: Interval,
    /// The rate of all signals searched.
    pub base_rate: f64,
    /// How often chance alone would show any rule as strong, 0–1.
    pub p_value: f64,
    /// Since when it most likely holds, UTC epoch ms.
    pub since_ms: i64,
    /// Whether it still does in the most recent third of the time; missing where that cannot be told.
    pub still_holds: Option<bool>,
}

/// Gathers reports; what has not changed since the last one is not looked at again.
#[derive(Default)]
pub struct Gatherer {
    report: Report,
    made_of: Revision,
}

impl Gatherer {
    /// The report as of `revision`, which was read before. What cannot be looked at is told in it.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn gather(&mut self, core: &Arc<SignalLoop>, revision: Revision) -> Result<Report> {
        let fresh = std::mem::take(&mut self.made_of);
        let mut report = std::mem::take(&mut self.report);
        let patterns = if fresh.signals == revision.signals { None } else { Some(patterns(core).await) };
        let (of, of_core) = (revision.clone(), core.clone());
        let work = move || {
            guard(|| {
                update(&mut report, &of_core, &fresh, &of, patterns);
                Ok(report)
            })
        };
        let report = threads::blocking(work).await?;
        if report.problems.iter().any(|problem| problem.code == Error::Closed.code()) {
            return Err(Error::Closed);
        }
        self.made_of = revision;
        for problem in &report.problems {
            // What went wrong is tried again, whether anything changes or not.
            self.made_of.forget(problem.part);
        }
        self.report = report.clone();
        Ok(report)
    }

    /// What the last report was made of.
    pub fn made_of(&self) -> &Revision {
        &self.made_of
    }
}

/// Makes those parts anew whose revision has changed.
fn update(
    report: &mut Report,
    core: &SignalLoop,
    fresh: &Revision,
    of: &Revision,
    patterns: Option<Result<Vec<Pattern>>>,
) {
    report.version = env!("CARGO_PKG_VERSION");
    report.home = core.settings().home().display().to_string();
    report.generated_ms = core.settings().now_ms();
    if let Some(patterns) = patterns {
        report.signals = report.take(Part::Signals, patterns.and_then(|patterns| signals(core, patterns)));
    }
    if fresh.models != of.models {
        report.models = report.take(Part::Models, models::gather(core));
    }
    if fresh.candles != of.candles {
        report.coverage = report.take(Part::Candles, coverage::gather(core));
    }
    if fresh.scheduler != of.scheduler {
        (report.scheduler, report.runs) = report.take(Part::Scheduler, scheduler(core));
    }
}

impl Report {
    /// A part, or nothing and the problem with it.
    fn take<T: Default>(&mut self, part: Part, made: Result<T>) -> T {
        self.problems.retain(|problem| problem.part != part);
        made.unwrap_or_else(|error| {
            self.problems.push(Problem { part, code: error.code(), message: error.to_string() });
            T::default()
        })
    }
}

fn scheduler(core: &SignalLoop) -> Result<(Value, Vec<Value>)> {
    let run = |Ran { task, run }: &Ran| {
        let mut value = run_to_json(run);
        value["task"] = json!(task);
        value
    };
    let runs = core.scheduler().history(MAX_RUNS)?.iter().map(run).collect();
    Ok((core.scheduler().status()?.to_json(), runs))
}

async fn patterns(core: &Arc<SignalLoop>) -> Result<Vec<Pattern>> {
    match core.store().existing()? {
        Some(_) => core.outcomes().patterns(None, None).await,
        None => Ok(Vec::new()),
    }
}

fn signals(core: &SignalLoop, patterns: Vec<Pattern>) -> Result<Option<SignalsPart>> {
    let Some(store) = core.store().existing()? else { return Ok(None) };
    let all = StatsFilter::default();
    let stats = store.stats(&all)?;
    if stats.figures.total + stats.figures.hold + stats.followed.total == 0 {
        return Ok(None);
    }
    let (results, calibration) = over_time(&store)?;
    let row = |name: String, figures| Row { name, figures };
    let (by_symbol, more_symbols) = most(stats.by_symbol.into_iter().map(|(symbol, f)| row(symbol.into(), f)));
    let (by_strategy, more_strategies) = most(stats.by_strategy.into_iter().map(|(name, f)| row(name, f)));
    let mode = core.performance().live().conservative_mode(&all)?;
    Ok(Some(SignalsPart {
        fee_percent: store.fee_bps() / 100.0,
        figures: stats.figures,
        by_symbol,
        more_symbols,
        by_timeframe: stats.by_timeframe.into_iter().map(|(timeframe, f)| row(timeframe.into(), f)).collect(),
        by_strategy,
        more_strategies,
        followed: stats.followed,
        results,
        calibration,
        scorecard: scorecard(core)?,
        patterns: patterns.into_iter().map(PatternPart::from).collect(),
        patterns_of: (stats.figures.closed as usize).min(MAX_LESSONS),
        patterns_need: MIN_CLOSED,
        conservative: mode.scopes,
        conservative_reason: mode.reason,
    }))
}

fn scorecard(core: &SignalLoop) -> Result<Scorecard> {
    let mut card = core.outcomes().scorecard(&ScorecardFilter::default())?;
    for parts in [&mut card.by_strategy, &mut card.by_symbol] {
        parts.sort_by_key(|part| std::cmp::Reverse(part.score.signals));
        parts.truncate(MAX_ROWS);
    }
    Ok(card)
}

/// The rows with the most closed signals, those first, and how many are left out.
fn most(rows: impl Iterator<Item = Row>) -> (Vec<Row>, usize) {
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.figures.closed));
    let more = rows.len().saturating_sub(MAX_ROWS);
    rows.truncate(MAX_ROWS);
    (rows, more)
}

fn over_time(store: &FeedbackStore) -> Result<(Results, Vec<Bin>)> {
    let ended = store.ended(&StatsFilter::default())?;
    Ok((Results::of(&ended, store.fee_bps()), Calibration::of_signals(&ended).bins()))
}

impl From<Pattern> for PatternPart {
    fn from(Pattern { rule, tally, base_rate, p_value, since_ms, still_holds, .. }: Pattern) -> Self {
        Self {
            rule,
            count: tally.count,
            successes: tally.successes,
            success_rate: tally.success_rate(),
            success_interval: tally.interval().into(),
            base_rate,
            p_value,
            since_ms,
            still_holds,
        }
    }
}
