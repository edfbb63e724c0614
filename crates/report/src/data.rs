//! The plain data of a report: drawn by the page, and sent by the live view.

use super::calibration::{Bin, Calibration};
use super::coverage::{self, Coverage};
use super::models::{self, ModelsPart};
use super::results::{Interval, Results};
use super::revision::{Part, Revision};
use domain::error::{Error, Result, guard};
use domain::threads;
use engine::{AdviceFilter, ScorecardFilter, SignalLoop, run_to_json};
use feedback::{Exposure, FeedbackStore, Figures, HoldingTimes, StatsFilter};
use learning::advice::LevelsAdvice;
use learning::outcomes::{MAX_LESSONS, MIN_CLOSED, Pattern};
use learning::scorecard::Scorecard;
use scheduler::Ran;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Largest number of symbols, and of strategies, in a table: those with the most closed signals.
pub(super) const MAX_ROWS: usize = 50;
/// Largest number of listed months: the newest.
const MAX_MONTHS: usize = 24;
/// Largest number of listed task runs.
const MAX_RUNS: usize = 50;

/// Everything in a report. Times are UTC epoch ms; percent is 0–100.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of signalloop that made it.
    pub version: &'static str,
    /// When it was made.
    pub generated_ms: i64,
    /// The home folder.
    pub home: String,
    /// The signals; `None` while nothing was ever recorded.
    pub signals: Option<SignalsPart>,
    /// What other levels would have brought to the closed signals; `None` while none has closed.
    pub advice: Option<LevelsAdvice>,
    /// The models.
    pub models: ModelsPart,
    /// The candles.
    pub coverage: Coverage,
    /// The scheduler, as in `scheduler.status()`; null when that cannot be read.
    pub scheduler: Value,
    /// The newest task runs, newest first; each like `lastRun` in the scheduler's status, with its `task`.
    pub runs: Vec<Value>,
    /// The parts that could not be read, and why; the other parts are complete.
    pub problems: Vec<Problem>,
}

/// A part of the report that could not be made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Problem {
    /// Which part.
    pub part: Part,
    /// `ERR_…`
    pub code: &'static str,
    /// Why.
    pub message: String,
}

/// The signals and their results.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalsPart {
    /// Costs of a round trip, percent of the entry.
    pub fee_percent: f64,
    /// The figures of all signals.
    pub figures: Figures,
    /// By symbol, those with the most closed signals first.
    pub by_symbol: Vec<Row>,
    /// Number of symbols not listed.
    pub more_symbols: usize,
    /// By timeframe, the shortest first.
    pub by_timeframe: Vec<Row>,
    /// By strategy, those with the most closed signals first.
    pub by_strategy: Vec<Row>,
    /// Number of strategies not listed.
    pub more_strategies: usize,
    /// By direction, BUY first.
    pub by_signal_type: Vec<Row>,
    /// By month (UTC), the newest first.
    pub by_month: Vec<Row>,
    /// Number of earlier months, which are not listed.
    pub more_months: usize,
    /// How long signals were open until they closed.
    pub holding_times: HoldingTimes,
    /// How much of the time signals were open, until this part was made; `None` for less than a day.
    pub exposure: Option<Exposure>,
    /// Signals that were tracked but not traded; they are in no other figure.
    pub followed: Figures,
    /// Results over time.
    pub results: Results,
    /// The confidence of closed signals beside how often they succeeded.
    pub calibration: Vec<Bin>,
    /// Predictions compared with outcomes; of its groups, those with the most signals.
    pub scorecard: Scorecard,
    /// The rules found in successes and failures.
    pub patterns: Vec<PatternPart>,
    /// Number of closed signals searched for rules: at most this many of the newest.
    pub patterns_of: usize,
    /// With fewer closed signals no search is made.
    pub patterns_need: usize,
    /// The markets in conservative mode; empty when there are none.
    pub conservative: Vec<String>,
    /// The reason for the first of them.
    pub conservative_reason: Option<String>,
}

/// The figures of a symbol, a timeframe or a strategy.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// A rule found in the outcomes. In percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatternPart {
    /// The rule in words.
    pub rule: String,
    /// The closed signals it applies to.
    pub count: usize,
    /// How many of them succeeded.
    pub successes: usize,
    /// Percent.
    pub success_rate: f64,
    /// The Wilson score interval of that.
    pub success_interval: Interval,
    /// The success rate of all searched signals.
    pub base_rate: f64,
    /// The probability that chance alone would produce any rule as strong, 0–1.
    pub p_value: f64,
    /// Its estimated beginning, UTC epoch ms.
    pub since_ms: i64,
    /// Whether it still holds in the most recent third of the time; missing where that cannot be determined.
    pub still_holds: Option<bool>,
}

/// Makes reports, and reuses the parts that have not changed.
#[derive(Default)]
pub struct Gatherer {
    report: Report,
    made_of: Revision,
}

impl Gatherer {
    /// The report as of `revision`, which was taken before. Parts that cannot be read are listed in it.
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
            // A failed part is tried again next time, whether anything changed or not.
            self.made_of.forget(problem.part);
        }
        self.report = report.clone();
        Ok(report)
    }

    /// The revision of the last report.
    pub fn made_of(&self) -> &Revision {
        &self.made_of
    }
}

/// Makes the parts again whose revision has changed.
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
    if fresh.signals != of.signals || fresh.candles != of.candles {
        report.advice = report.take(Part::Advice, advice(core));
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
    /// The part, or its default and a problem.
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
    let Figures { total, hold, pending, cancelled, .. } = stats.figures;
    if total + hold + pending + cancelled + stats.followed.total == 0 {
        return Ok(None);
    }
    let exposure = stats.exposure(core.settings().now_ms());
    let (results, calibration) = over_time(&store)?;
    let row = |name: String, figures| Row { name, figures };
    let closed = |row: &Row| row.figures.closed;
    let (by_symbol, more_symbols) = most(stats.by_symbol.into_iter().map(|(symbol, f)| row(symbol.into(), f)), closed);
    let (by_strategy, more_strategies) = most(stats.by_strategy.into_iter().map(|(name, f)| row(name, f)), closed);
    let by_month = stats.by_month.iter().rev().map(|(month, f)| row(month.to_string(), *f));
    let mode = core.performance().live().conservative_mode(&all)?;
    Ok(Some(SignalsPart {
        exposure,
        holding_times: stats.holding.times(),
        by_month: by_month.take(MAX_MONTHS).collect(),
        more_months: stats.by_month.len().saturating_sub(MAX_MONTHS),
        by_signal_type: stats.by_direction.into_iter().map(|(d, f)| row(d.as_str().to_owned(), f)).collect(),
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

fn advice(core: &SignalLoop) -> Result<Option<LevelsAdvice>> {
    let advice = core.outcomes().advise(&AdviceFilter::default())?;
    Ok((!advice.strategies.is_empty()).then_some(advice))
}

/// The rows with the most closed signals, as `closed` counts them, sorted, and the number of rows left out.
pub(super) fn most<T>(rows: impl Iterator<Item = T>, closed: impl Fn(&T) -> u64) -> (Vec<T>, usize) {
    let mut rows: Vec<T> = rows.collect();
    rows.sort_by_key(|row| std::cmp::Reverse(closed(row)));
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
