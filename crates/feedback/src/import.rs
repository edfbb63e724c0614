//! Importing signals from another log, perhaps of the former system, and exporting closed ones as CSV.

use super::journal::Asked;
use super::line::{self, MAX_LINE_BYTES};
use super::writer::{Change, NewLine, Verdict};
use super::{FeedbackStore, StatsFilter};
use domain::error::{Error, Result};
use domain::features::{COUNT, FEATURES, VERSION};
use domain::signal::{Costs, Earned, FillKind, Record};
use domain::time::{CLOCK_TOLERANCE_MS, format_iso, now_ms};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use storage as files;
use storage::csv::write_row;
use storage::lines::Lines;

/// Lines stored in one batch.
const BATCH: usize = 4096;

/// From this many rejected lines on, the file is not a log.
const MOST_REFUSED: usize = 100_000;

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Lines that are not blank.
    pub lines: u64,
    /// New signals, including closed ones.
    pub imported: u64,
    /// Open signals of the store, or of earlier lines, that a line closed.
    pub closed: u64,
    /// Lines that the store knows already.
    pub known: u64,
    /// Rejected lines, in order.
    pub refused: Vec<RefusedLine>,
}

/// A rejected line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// Its number in the file, from 1.
    pub line: u64,
    /// The reason.
    pub reason: String,
}

impl FeedbackStore {
    /// Imports the signals of another log, of this or the former system. Times without a zone are read in the store's. Importing
    /// a file twice changes nothing. The file itself is only read. `complete` may add features to the records.
    ///
    /// Lines that cannot be read, or contradict themselves ([`domain::signal::Closing::check`]) or the store, are listed in the
    /// report, and the import continues, unless there are more than 100 000 of them.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read or is no log; [`Error::Storage`] if the store cannot be written; [`Error::Closed`].
    /// What was imported before the error stays.
    pub async fn import(&self, file: &Path, mut complete: impl FnMut(&mut [Record])) -> Result<ImportReport> {
        let mut lines = Lines::open(file, MAX_LINE_BYTES)?;
        let mut report = ImportReport::default();
        let timezone = self.inner.options.timezone;
        let mut text = Vec::new();
        loop {
            let (mut batch, mut numbers) = (Vec::new(), Vec::new());
            let mut ended = false;
            while batch.len() < BATCH {
                let Some(number) = lines.next(&mut text)? else {
                    ended = true;
                    break;
                };
                if text.trim_ascii().is_empty() {
                    continue;
                }
                report.lines += 1;
                match line::decode_import(text.trim_ascii(), timezone, self.costs_percent()).and_then(ended_by_now) {
                    Ok(record) => {
                        batch.push(record);
                        numbers.push(number);
                    }
                    Err(reason) => report.refused.push(RefusedLine { line: number, reason }),
                }
                if report.refused.len() > MOST_REFUSED {
                    return Err(no_log(file, &report));
                }
            }
            complete(&mut batch);
            let (mut changes, mut changing) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
            for (record, line) in batch.into_iter().zip(numbers) {
                match NewLine::all(std::iter::once(record)) {
                    Ok(lines) => {
                        changing.resize(changing.len() + lines.len(), line);
                        changes.extend(lines.into_iter().map(Change::Import));
                    }
                    Err(error) => report.refused.push(RefusedLine { line, reason: error.to_string() }),
                }
            }
            let verdicts = self.send(changes)?.verdicts().await?;
            for (line, verdict) in changing.into_iter().zip(verdicts) {
                report.note(line, verdict);
            }
            if ended {
                report.refused.sort_by_key(|refused| refused.line);
                return Ok(report);
            }
        }
    }

    /// Imports all signals of another store, in their order. Known signals are skipped, so an interrupted copy continues when it
    /// is started again. In the report, `line` of a rejected signal is its number in that order. `progress` receives the number
    /// of signals done.
    ///
    /// # Errors
    /// [`Error::Storage`] if one of the stores cannot be read or written; [`Error::Closed`]. What was imported before the error
    /// stays.
    pub async fn copy_from(&self, other: &Self, mut progress: impl FnMut(u64)) -> Result<ImportReport> {
        other.refresh()?;
        let mut report = ImportReport::default();
        loop {
            let records = other.recorded(report.lines as usize, BATCH)?;
            if records.is_empty() {
                return Ok(report);
            }
            let changes = NewLine::all(records.into_iter())?.into_iter().map(Change::Import).collect();
            for verdict in self.send(changes)?.verdicts().await? {
                report.lines += 1;
                report.note(report.lines, verdict);
            }
            progress(report.lines);
        }
    }

    /// At most `most` signals in order of recording, which never changes, starting at number `from`.
    fn recorded(&self, from: usize, most: usize) -> Result<Vec<Record>> {
        self.check_open()?;
        let (places, source) = {
            let (state, source) = self.inner.journal.look(Asked::now());
            (state.places().skip(from).take(most).collect::<Vec<_>>(), source)
        };
        source.all(&places)
    }

    /// Writes the closed signals to a CSV file, which is replaced atomically, in order of closing; without those that were
    /// cancelled or whose end is unknown. Its columns are the fields of the log by their names there, one `indicator_…` for each
    /// indicator that is a number or a text, one `feature_…` for each feature at entry, and what the signal earned, empty where
    /// it cannot be told:
    ///
    /// - `entry_fill`: the price paid;
    /// - `net_profit_percent`: profit in percent of it, after fees and funding;
    /// - `realized_r`: the same in units of the risk at entry;
    /// - `mfe_r`, `mae_r`: how far the price went for and against the signal, in those units;
    /// - `holding_ms`: from the entry to the end.
    ///
    /// A text that a spreadsheet would run as a formula gets an apostrophe before it ([`write_row`]). Returns the number of rows.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written; [`Error::Storage`] if the log cannot be read; [`Error::Closed`].
    pub fn export_csv(&self, path: &Path) -> Result<u64> {
        let everything = StatsFilter::default();
        let mut names = BTreeSet::new();
        self.closed_records(&everything, |record| {
            names.extend(cells_of(&record).map(|(name, _)| name));
            Ok(())
        })?;
        let names: Vec<String> = names.into_iter().collect();
        let mut rows = 0;
        files::write_atomically_with(path, |file| {
            let header = COLUMNS.iter().map(|name| (*name).to_owned());
            let indicators = names.iter().map(|name| format!("indicator_{name}"));
            let fail = |e| Error::io("write", path, e);
            let features = FEATURES.iter().map(|feature| format!("feature_{}", feature.name));
            let earned = EARNED.iter().map(|name| (*name).to_owned());
            write_row(file, header.chain(indicators).chain(features).chain(earned)).map_err(fail)?;
            self.closed_records(&everything, |record| {
                rows += 1;
                write_row(file, row(&record, &names, &self.costs())).map_err(fail)
            })
        })?;
        Ok(rows)
    }
}

/// The error for a file that is not read to its end.
fn no_log(file: &Path, report: &ImportReport) -> Error {
    let first = report.refused.iter().min_by_key(|refused| refused.line);
    let first = first.map_or_else(String::new, |refused| format!("; line {}: {}", refused.line, refused.reason));
    let problem =
        format!("more than {MOST_REFUSED} of its lines are not signals, so it is not a log of signals{first}");
    Error::io("read", file, std::io::Error::other(problem))
}

impl ImportReport {
    fn note(&mut self, line: u64, verdict: Verdict) {
        match verdict {
            Verdict::Recorded => self.imported += 1,
            Verdict::Closed(_) => self.closed += 1,
            // A line that repeats a signal, and may tell of more events.
            Verdict::Known | Verdict::Changed(_) => self.known += 1,
            Verdict::NotOpen => self.refused.push(RefusedLine { line, reason: "the signal is not open".to_owned() }),
            Verdict::Refused(error) => self.refused.push(RefusedLine { line, reason: error.to_string() }),
        }
    }
}

/// Rejects an end in the future, which would count as the newest of all.
fn ended_by_now(record: Record) -> std::result::Result<Record, line::Reason> {
    match record.closing.map(|closing| closing.closed_ms).filter(|at| *at > now_ms() + CLOCK_TOLERANCE_MS) {
        Some(at) => Err(format!("`closedAt` must not lie in the future; got {}", format_iso(at))),
        None => Ok(record),
    }
}

const COLUMNS: [&str; 16] = [
    "signal_id",
    "symbol",
    "timeframe",
    "signal_type",
    "confidence",
    "entry_price",
    "stop_loss",
    "take_profit",
    "timestamp",
    "expires_at",
    "outcome",
    "exit_price",
    "profit_loss_percent",
    "closed_at",
    "strategy",
    "taken",
];

/// The last columns: what a signal earned.
const EARNED: [&str; 6] = ["entry_fill", "net_profit_percent", "realized_r", "mfe_r", "mae_r", "holding_ms"];

/// The cells of [`EARNED`].
fn earned_by(record: &Record, costs: &Costs) -> [String; EARNED.len()] {
    let earned = record.earned(costs).unwrap_or_default();
    let entry = earned.fills.iter().find(|fill| fill.kind == FillKind::Entry).and_then(|fill| fill.price);
    let Earned { net_profit_percent, realized_r, mfe_r, mae_r, holding_ms, .. } = earned;
    let number = |number: Option<f64>| number.as_ref().map_or_else(String::new, f64::to_string);
    let [entry, net, r, best, worst] = [entry, net_profit_percent, realized_r, mfe_r, mae_r].map(number);
    [entry, net, r, best, worst, holding_ms.as_ref().map_or_else(String::new, i64::to_string)]
}

/// A record's cells. The first columns are those of its line in the log.
fn row<'a>(record: &Record, names: &'a [String], costs: &Costs) -> impl Iterator<Item = String> + use<'a> {
    let earned = earned_by(record, costs);
    let line = record.to_json();
    let fixed = COLUMNS.map(|name| match line.get(name) {
        // A line has this key only if the signal was not taken.
        None if name == "taken" => true.to_string(),
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    });
    let mut indicators: HashMap<String, String> = cells_of(record).collect();
    let cells = names.iter().map(move |name| indicators.remove(name).unwrap_or_default());
    // Features of another version have other meanings, so their cells stay empty.
    let entry = record.signal.features.clone().filter(|features| features.version == VERSION);
    let feature =
        move |at: usize| entry.as_ref().and_then(|f| f.values.get(at)).map_or_else(String::new, f64::to_string);
    fixed.into_iter().chain(cells).chain((0..COUNT).map(feature)).chain(earned)
}

/// The indicators of a record that have a cell.
fn cells_of(record: &Record) -> impl Iterator<Item = (String, String)> + use<> {
    let indicators = &record.signal.indicators;
    let numbers = indicators.numbers().into_iter().map(|(name, number)| (name, number.to_string()));
    numbers.chain(indicators.texts())
}
