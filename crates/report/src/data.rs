//! The plain data of a report: drawn by the page, and sent by the live view.

use super::calibration::{Bin, Calibration};
use super::coverage::Coverage;
use super::filter::Filter;
use super::listed::Listed;
use super::models::ModelsPart;
use super::replays::Replays;
use super::results::{Interval, Results};
use super::revision::Part;
use domain::error::Result;
use engine::{SignalLoop, run_to_json};
use feedback::{Exposure, FeedbackStore, Figures, HoldingTimes, Stats, StatsFilter};
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
/// Largest number of symbols, and of strategies, to choose from: those with the most closed signals.
const MAX_CHOICES: usize = 500;

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
    /// Which signals the figures are of.
    pub filter: Filter,
    /// The parts that are still being made, which a later report has.
    pub making: Vec<Part>,
    /// The signals; `None` while nothing was ever recorded.
    pub signals: Option<SignalsPart>,
    /// Predictions compared with outcomes; of its groups, those with the most signals. `None` without signals.
    pub scorecard: Option<Scorecard>,
    /// What was learned from all signals, whatever the filter.
    pub learned: Learned,
    /// What other levels would have brought to the closed signals; `None` while none has closed.
    pub advice: Option<LevelsAdvice>,
    /// The models.
    pub models: ModelsPart,
    /// The candles.
    pub coverage: Coverage,
    /// The last replays.
    pub replays: Replays,
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
    /// The newest signals, one by one.
    pub listed: Listed,
    /// The symbols to choose from: of all signals, those with the most closed ones first.
    pub symbols: Vec<String>,
    /// The strategies to choose from, likewise.
    pub strategies: Vec<String>,
    /// The markets in conservative mode; empty when there are none.
    pub conservative: Vec<String>,
    /// The reason for the first of them.
    pub conservative_reason: Option<String>,
}

/// The rules found in successes and failures.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Learned {
    /// The rules, strongest first.
    pub patterns: Vec<PatternPart>,
    /// Number of closed signals searched: at most this many of the newest.
    pub of: usize,
    /// With fewer closed signals no search is made.
    pub need: usize,
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
    /// Their mean profit after costs in R; missing where one has no stop.
    pub mean_r: Option<f64>,
    /// The 95 % interval of that.
    pub mean_r_interval: Option<Interval>,
    /// The mean R of all searched signals.
    pub base_r: Option<f64>,
    /// The probability that chance alone would produce any rule as strong, 0–1.
    pub p_value: f64,
    /// Its estimated beginning, UTC epoch ms.
    pub since_ms: i64,
    /// Whether it still holds in the most recent third of the time; missing where that cannot be determined.
    pub still_holds: Option<bool>,
}

pub(super) fn scheduler(core: &SignalLoop) -> Result<(Value, Vec<Value>)> {
    let run = |Ran { task, run }: &Ran| {
        let mut value = run_to_json(run);
        value["task"] = json!(task);
        value
    };
    let runs = core.scheduler().history(MAX_RUNS)?.iter().map(run).collect();
    Ok((core.scheduler().status()?.to_json(), runs))
}

pub(super) async fn learned(core: &Arc<SignalLoop>) -> Result<Learned> {
    let Some(store) = core.store().existing()? else { return Ok(Learned { need: MIN_CLOSED, ..Learned::default() }) };
    let patterns = core.outcomes().patterns(None, None).await?;
    let closed = store.stats(&StatsFilter::default())?.figures.closed as usize;
    let patterns = patterns.into_iter().map(PatternPart::from).collect();
    Ok(Learned { patterns, of: closed.min(MAX_LESSONS), need: MIN_CLOSED })
}

/// What memory knows of the signals that match a filter.
pub(super) fn signals(core: &SignalLoop, filter: &Filter) -> Result<Option<SignalsPart>> {
    let Some(store) = core.store().existing()? else { return Ok(None) };
    let asked = filter.stats();
    let stats = store.stats(&asked)?;
    // A filter that matches nothing has figures, of nothing.
    if store.extent() == (0, 0) {
        return Ok(None);
    }
    let choices = if filter.is_all() { stats.clone() } else { store.stats(&StatsFilter::default())? };
    let (strategies, symbols) = names(choices);
    let exposure = stats.exposure(core.settings().now_ms());
    let (results, calibration) = over_time(&store, &asked)?;
    let row = |name: String, figures| Row { name, figures };
    let closed = |row: &Row| row.figures.closed;
    let (by_symbol, more_symbols) = most(stats.by_symbol.into_iter().map(|(symbol, f)| row(symbol.into(), f)), closed);
    let (by_strategy, more_strategies) = most(stats.by_strategy.into_iter().map(|(name, f)| row(name, f)), closed);
    let by_month = stats.by_month.iter().rev().map(|(month, f)| row(month.to_string(), *f));
    let mode = core.performance().live().conservative_mode(&StatsFilter::default())?;
    Ok(Some(SignalsPart {
        exposure,
        holding_times: stats.holding.times(),
        by_month: by_month.take(MAX_MONTHS).collect(),
        more_months: stats.by_month.len().saturating_sub(MAX_MONTHS),
        by_signal_type: stats.by_direction.into_iter().map(|(d, f)| row(d.as_str().to_owned(), f)).collect(),
        figures: stats.figures,
        by_symbol,
        more_symbols,
        by_timeframe: stats.by_timeframe.into_iter().map(|(timeframe, f)| row(timeframe.into(), f)).collect(),
        by_strategy,
        more_strategies,
        followed: stats.followed,
        results,
        calibration,
        listed: Listed::of(&store, &asked, &store.costs())?,
        symbols,
        strategies,
        conservative: mode.scopes,
        conservative_reason: mode.reason,
    }))
}

/// The names to choose from, those with the most closed signals first.
fn names(of: Stats) -> (Vec<String>, Vec<String>) {
    let mut strategies = of.by_strategy;
    strategies.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.closed));
    let mut symbols = of.by_symbol;
    symbols.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.closed));
    let strategies = strategies.into_iter().take(MAX_CHOICES).map(|(name, _)| name);
    (strategies.collect(), symbols.into_iter().take(MAX_CHOICES).map(|(symbol, _)| symbol.into()).collect())
}

pub(super) fn scorecard(core: &SignalLoop, filter: &Filter) -> Result<Option<Scorecard>> {
    if core.store().existing()?.is_none() {
        return Ok(None);
    }
    let mut card = core.outcomes().scorecard(&filter.scorecard())?;
    for parts in [&mut card.by_strategy, &mut card.by_symbol] {
        parts.sort_by_key(|part| std::cmp::Reverse(part.score.signals));
        parts.truncate(MAX_ROWS);
    }
    Ok(Some(card))
}

pub(super) fn advice(core: &SignalLoop, filter: &Filter) -> Result<Option<LevelsAdvice>> {
    let advice = core.outcomes().advise(&filter.advice())?;
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

fn over_time(store: &FeedbackStore, asked: &StatsFilter) -> Result<(Results, Vec<Bin>)> {
    let ended = store.ended(asked, &store.costs())?;
    Ok((Results::of(&ended), Calibration::of_signals(&ended).bins()))
}

impl From<Pattern> for PatternPart {
    fn from(of: Pattern) -> Self {
        let Pattern { rule, tally, base_rate, mean_r, mean_r_interval, base_r, p_value, since_ms, still_holds, .. } =
            of;
        Self {
            rule,
            count: tally.count,
            successes: tally.successes,
            success_rate: tally.success_rate(),
            success_interval: tally.interval().into(),
            base_rate,
            mean_r,
            mean_r_interval: mean_r_interval.map(Into::into),
            base_r,
            p_value,
            since_ms,
            still_holds,
        }
    }
}
