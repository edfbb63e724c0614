//! The page of a replay: its figures and sentences as plain data, and the document that draws them.

#[cfg(test)]
mod tests;

use super::data::most;
use super::page::render_replay;
use super::results::Interval;
use super::sums::Sums;
use domain::error::{Error, Result};
use domain::signal::Costs;
use learning::scorecard::{Bin, Ends, Score};
use replay::ledger::Looks;
use replay::summary::{Figures, Part, Set};
use replay::verdict::Told;
use replay::{Difference, Faults, Note, Refused, Row, Study, Summary, Verdict, WithoutPart};
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use storage::write_atomically;

/// Largest number of listed notes: the first.
const MAX_NOTES: usize = 200;
/// Largest number of listed lines of a file that are no signals: the first.
const MAX_REFUSED: usize = 100;

/// The page of a replay: one HTML document that needs no network. The same replay gives the same page.
///
/// # Errors
/// [`Error::Internal`].
pub fn replay_page(study: &Study) -> Result<String> {
    let json = serde_json::to_string(&ReplayPage::of(study))
        .map_err(|e| Error::Internal(format!("cannot encode the page of a replay: {e}")))?;
    Ok(render_replay(&json))
}

/// Writes the page of a replay to a file, an absolute path or one from the working directory.
///
/// # Errors
/// [`Error::Io`], [`Error::Internal`].
pub fn write_replay(study: &Study, path: &Path) -> Result<()> {
    write_atomically(path, replay_page(study)?.as_bytes())
}

/// The data of the page. Times are ISO 8601 in UTC, but for those of [`Sums`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplayPage<'a> {
    version: &'static str,
    source: &'static str,
    from: &'a str,
    until: &'a str,
    markets: Vec<String>,
    costs: CostsPart,
    verdict: &'a Verdict,
    looks: &'a Looks,
    holds: u64,
    unassessed: u64,
    /// `all`, `taken`, `left` and, where it is known, `oracle`.
    sets: Vec<SetPart<'a>>,
    oracle: Option<OraclePart>,
    sums: Sums,
    parts: Vec<DifferencePart<'a>>,
    score: Option<&'a Score>,
    calibration: Vec<CalibrationBin>,
    by_month: Vec<Beside<'a>>,
    by_strategy: Vec<Beside<'a>>,
    more_strategies: usize,
    by_symbol: Vec<Beside<'a>>,
    more_symbols: usize,
    promoted: u64,
    refused_models: u64,
    notes: &'a [Note],
    more_notes: usize,
    faults: &'a Faults,
    earlier: usize,
    left_out: usize,
    refused: &'a [Refused],
    more_refused: usize,
}

/// Costs of signals that state none, in percent of the entry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CostsPart {
    fee_percent: f64,
    funding_percent_per_day: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SetPart<'a> {
    name: &'static str,
    #[serde(flatten)]
    figures: &'a Figures,
    mean_r_interval: Option<Ends>,
}

#[derive(Debug, Serialize)]
struct OraclePart {
    judged: u64,
    ignored: u64,
}

/// What a part of the loop brought.
#[derive(Debug, Serialize)]
struct DifferencePart<'a> {
    without: replay::Part,
    verdict: &'a Told,
    difference: &'a Difference,
}

/// Signals of similar probability, in percent.
#[derive(Debug, PartialEq, Serialize)]
struct CalibrationBin {
    promised: f64,
    happened: f64,
    interval: Option<Interval>,
    count: u64,
}

/// The figures of all signals of a month, a strategy or a symbol, beside those of the signals taken.
#[derive(Debug, Serialize)]
struct Beside<'a> {
    name: &'a str,
    all: &'a Figures,
    taken: Option<&'a Figures>,
}

impl<'a> ReplayPage<'a> {
    fn of(study: &'a Study) -> Self {
        let Study { summary, happened, costs, .. } = study;
        let Summary { all, taken, oracle, scorecard, .. } = summary;
        let rows = Row::all(&study.decisions, costs);
        let signals = |row: &Beside<'_>| row.all.signals;
        let (by_strategy, more_strategies) = most(beside(&all.by_strategy, &taken.by_strategy), signals);
        let (by_symbol, more_symbols) = most(beside(&all.by_symbol, &taken.by_symbol), signals);
        let (notes, more_notes) = first(&happened.notes, MAX_NOTES);
        let (refused, more_refused) = first(&study.refused, MAX_REFUSED);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            source: study.source,
            from: &study.from,
            until: &study.until,
            markets: study.markets.iter().map(ToString::to_string).collect(),
            costs: CostsPart::of(costs),
            verdict: &study.verdict,
            looks: &study.looks,
            holds: summary.holds,
            unassessed: summary.unassessed,
            sets: sets(summary),
            oracle: oracle.as_ref().map(|oracle| OraclePart { judged: oracle.judged, ignored: oracle.ignored }),
            sums: Sums::of(&rows, costs, oracle.is_some()),
            parts: study.parts.iter().map(DifferencePart::of).collect(),
            score: scorecard.overall.as_ref(),
            calibration: scorecard.calibration.iter().map(CalibrationBin::of).collect(),
            by_month: beside(&all.by_month, &taken.by_month).collect(),
            by_strategy,
            more_strategies,
            by_symbol,
            more_symbols,
            promoted: happened.promoted,
            refused_models: happened.refused,
            notes,
            more_notes,
            faults: &study.faults,
            earlier: study.earlier,
            left_out: study.left_out,
            refused,
            more_refused,
        }
    }
}

fn sets(summary: &Summary) -> Vec<SetPart<'_>> {
    let known = [("all", &summary.all), ("taken", &summary.taken), ("left", &summary.left)];
    let oracle = summary.oracle.as_ref().map(|oracle| ("oracle", &oracle.set));
    known.into_iter().chain(oracle).map(|(name, set)| SetPart::of(name, set)).collect()
}

/// Each part of all signals, beside the same part of those taken.
fn beside<'a>(all: &'a [Part], taken: &'a [Part]) -> impl Iterator<Item = Beside<'a>> {
    let taken: HashMap<&str, &Figures> = taken.iter().map(|part| (part.name.as_str(), &part.figures)).collect();
    all.iter().map(move |part| Beside {
        name: &part.name,
        all: &part.figures,
        taken: taken.get(part.name.as_str()).copied(),
    })
}

/// The first items, and how many there are more.
fn first<T>(items: &[T], most: usize) -> (&[T], usize) {
    let listed = &items[..items.len().min(most)];
    (listed, items.len() - listed.len())
}

impl<'a> SetPart<'a> {
    fn of(name: &'static str, set: &'a Set) -> Self {
        Self { name, figures: &set.figures, mean_r_interval: set.mean_r_interval }
    }
}

impl CostsPart {
    fn of(costs: &Costs) -> Self {
        Self { fee_percent: costs.fee_bps / 100.0, funding_percent_per_day: costs.funding_bps_per_day / 100.0 }
    }
}

impl<'a> DifferencePart<'a> {
    fn of(part: &'a WithoutPart) -> Self {
        Self { without: part.without, verdict: &part.verdict, difference: &part.difference }
    }
}

impl CalibrationBin {
    fn of(bin: &Bin) -> Self {
        let interval = bin.came.interval.map(|Ends { low, high }| Interval { low: 100.0 * low, high: 100.0 * high });
        Self { promised: 100.0 * bin.said, happened: 100.0 * bin.came.mean, interval, count: bin.came.signals }
    }
}
