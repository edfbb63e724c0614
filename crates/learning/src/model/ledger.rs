//! The ledger: every training and every rollback of a home, one JSON object a line, in `models/ledger.jsonl`.
//!
//! Lines are only ever appended, under the registry's lock. A line torn by a crash is left where it is, counted and passed
//! over; what it should have said is written again, see [`registry`].

use super::served::Record;
use domain::error::{Error, Result};
use domain::symbol::Market;
use serde::{Deserialize, Serialize};
use std::path::Path;
use storage::disk::{Disk, Storage, append_all, read_full};

/// How a model was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// On all rows, from nothing.
    Full,
    /// The champion continued: its oldest trees replaced by ones that know the newer rows.
    Incremental,
}

/// What the challenger and the champion were compared on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparedOn {
    /// Rows that came after everything the champion was trained on; the challenger's predictions of them are held out.
    Fresh,
    /// Too few of those: rows that both held out when they were trained.
    HeldOut,
    /// Too few of either to say anything.
    Short,
}

/// The same figure of both.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pair {
    /// The newly trained one's.
    pub challenger: f64,
    /// The one's in service.
    pub champion: f64,
}

/// A mean and the interval that holds 95 % of its bootstrap over stretches of time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Interval {
    /// 2.5 % of the resamples lie below.
    pub low: f64,
    /// Of the rows as they are.
    pub mean: f64,
    /// 2.5 % lie above.
    pub high: f64,
}

/// Challenger and champion on the same rows, none of which the predictions compared were trained on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Which rows they are.
    pub compared_on: ComparedOn,
    /// How many.
    pub rows: usize,
    /// Stretches of time that they fill: rows of one stretch depend on each other, and count once. 0 in lines of earlier versions.
    #[serde(default)]
    pub clusters: usize,
    /// Length of a stretch of time. 0 in lines of earlier versions.
    #[serde(default)]
    pub cluster_ms: i64,
    /// Mean log loss of both sides.
    pub log_loss: Pair,
    /// The challenger's less the champion's: above 0 the challenger is worse. `None` when the evidence is short.
    pub excess: Option<Interval>,
    /// Mean profit a row of the signals that each would have given, in percent of the entry after costs.
    pub profit: Pair,
    /// The challenger's less the champion's: below 0 the challenger is worse. `None` when the evidence is short.
    pub gain: Option<Interval>,
}

/// Why a challenger was put into service, or was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Decision {
    /// Promoted: there was none before.
    FirstModel,
    /// Promoted: the champion's file cannot be used.
    ChampionUnusable,
    /// Promoted: the configuration sets stop, target or expiry otherwise, so the champion answers another question.
    OtherSignalShape,
    /// Promoted: it did not do worse than the champion, beyond chance.
    NotWorse,
    /// Promoted: nothing speaks against it, but there are too few rows to compare.
    ShortEvidence,
    /// Refused: its log loss is higher than the champion's, beyond chance.
    WorseLogLoss,
    /// Refused: it did worse than the champion, and that it does so by more than the margin cannot be ruled out.
    MaybeWorse,
    /// Refused: each promotion in a row lost little, but with this one all of them together would have lost more than the margin.
    ChainWorse,
    /// Refused: its signals earned less than the champion's, beyond chance.
    LessProfit,
    /// Refused: on its held-out rows it is worse than the constant base rate, beyond chance, and the champion is not.
    WorseThanConstant,
}

impl Decision {
    /// Whether it rests on a comparison with the champion.
    pub fn compares(self) -> bool {
        !matches!(self, Self::FirstModel | Self::ChampionUnusable | Self::OtherSignalShape)
    }

    /// Whether the challenger goes into service.
    pub fn promotes(self) -> bool {
        !matches!(
            self,
            Self::WorseLogLoss | Self::MaybeWorse | Self::ChainWorse | Self::LessProfit | Self::WorseThanConstant
        )
    }
}

/// One training, and what was decided about its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// When it was decided, UTC epoch ms.
    pub at_ms: i64,
    /// The symbol and timeframe.
    pub market: Market,
    /// How it was trained.
    pub mode: Mode,
    /// Why it was trained in full although it was to continue the champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Its number, also when it was refused.
    pub version: u64,
    /// How many trainings of this market there have been, this one included: of many, one will look good by chance.
    pub trial: u64,
    /// Labelled rows known to the training.
    pub rows: usize,
    /// How many independent labels they are worth.
    pub effective_rows: f64,
    /// Close time of the last candle that a label has seen, UTC epoch ms.
    pub horizon_ms: i64,
    /// Whether it departs from the base rate.
    pub has_skill: bool,
    /// Mean held-out log loss of both sides.
    pub log_loss: f64,
    /// The same of the constants.
    pub constant_log_loss: f64,
    /// Signals that it would have given on held-out rows.
    pub held_out_signals: usize,
    /// Their mean profit in percent, after costs.
    pub held_out_profit: Option<f64>,
    /// Trees per side.
    pub trees: usize,
    /// See [`Record::seed`].
    pub seed: u64,
    /// The version in service when it was decided.
    pub champion: Option<u64>,
    /// The two side by side; `None` when there was no champion to compare with, or one that answers another question.
    pub comparison: Option<Comparison>,
    /// What was decided.
    pub decision: Decision,
    /// [`Decision::promotes`].
    pub promoted: bool,
    /// The decision in words, with its figures.
    pub reason: String,
    /// How long the training took.
    pub duration_ms: u64,
}

/// A decision about a challenger, before the registry has given it a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What was decided.
    pub decision: Decision,
    /// The same in words.
    pub reason: String,
    /// What it rests on.
    pub comparison: Option<Comparison>,
    /// See [`super::Lineage::conceded`].
    pub conceded: super::Conceded,
}

impl Trial {
    /// The trial of a model with this record; the registry fills in the numbers.
    pub fn new(record: &Record, mode: Mode, verdict: Verdict, at_ms: i64, duration_ms: u64) -> Self {
        Self {
            at_ms,
            market: record.market.clone(),
            mode,
            fallback: None,
            version: 0,
            trial: 0,
            rows: record.rows,
            effective_rows: record.effective_rows,
            horizon_ms: record.horizon_ms,
            has_skill: record.has_skill(),
            log_loss: record.log_loss(),
            constant_log_loss: record.constant_log_loss(),
            held_out_signals: record.held_out_signals,
            held_out_profit: record.held_out_profit,
            trees: record.trees,
            seed: record.seed,
            champion: None,
            comparison: verdict.comparison,
            decision: verdict.decision,
            promoted: verdict.decision.promotes(),
            reason: verdict.reason,
            duration_ms,
        }
    }
}

/// A champion taken out of service in favour of the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// When, UTC epoch ms.
    pub at_ms: i64,
    /// The symbol and timeframe.
    pub market: Market,
    /// The version taken out of service.
    pub from: u64,
    /// The version back in service.
    pub to: u64,
    /// Decided from live results, not by a person.
    pub automatic: bool,
    /// Why.
    pub reason: String,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// A model was trained.
    Training(Box<Trial>),
    /// A champion was rolled back.
    Rollback(Rollback),
}

impl Entry {
    /// The market it is about.
    pub fn market(&self) -> &Market {
        match self {
            Self::Training(trial) => &trial.market,
            Self::Rollback(rollback) => &rollback.market,
        }
    }
}

/// What a ledger says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// In order of writing.
    pub entries: Vec<Entry>,
    /// Lines that cannot be read.
    pub damaged: usize,
}

/// Reads a ledger, which need not exist. A last line without its newline is one being written, or torn: only the latter
/// counts as damaged, once something follows it.
pub fn read(path: &Path) -> Result<Ledger> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Ledger::default()),
        Err(e) => return Err(Error::io("read", path, e)),
    };
    let mut ledger = Ledger::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        match serde_json::from_slice(line) {
            Ok(entry) => ledger.entries.push(entry),
            Err(_) => ledger.damaged += usize::from(line.ends_with(b"\n")),
        }
    }
    Ok(ledger)
}

/// Appends a line and syncs it; the caller holds the lock. After a torn line it begins a new one.
pub fn append(path: &Path, entry: &Entry) -> Result<()> {
    let failed = |e: std::io::Error| Error::io("write", path, e);
    let mut line = serde_json::to_vec(entry).map_err(|e| Error::Internal(format!("cannot encode a trial: {e}")))?;
    line.push(b'\n');
    let file = Disk.open(path).map_err(failed)?;
    let len = file.stat().map_err(failed)?.len;
    let mut last = [b'\n'];
    if len > 0 {
        read_full(&*file, &mut last, len - 1).map_err(failed)?;
    }
    if last != *b"\n" {
        line.insert(0, b'\n');
    }
    append_all(&*file, &line).and_then(|()| file.sync()).map_err(failed)
}
