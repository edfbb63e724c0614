//! The ledger: every training and every rollback of a home, one JSON object per line, in `models/ledger.jsonl`.
//!
//! Lines are only ever appended, under the registry's lock. A line torn by a crash stays where it is, is counted and
//! skipped, and its content is written again, see the crate `registry`.

use super::own::OwnRecord;
use super::served::Record;
use domain::error::{Error, Result};
use domain::symbol::Market;
use serde::{Deserialize, Serialize};
use std::path::Path;
use storage::lines::append_line;

/// How a model was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Full training on all rows.
    Full,
    /// The champion was continued: its oldest trees were replaced by ones that know the newer rows.
    Incremental,
}

/// The rows that the challenger and the champion were compared on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparedOn {
    /// Rows after everything the champion was trained on; the challenger's predictions of them are held out.
    Fresh,
    /// Too few of those: rows that both held out when they were trained.
    HeldOut,
    /// Too few of either for a comparison.
    Short,
}

/// The same figure for both models.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pair {
    /// Of the newly trained model.
    pub challenger: f64,
    /// Of the model in service.
    pub champion: f64,
}

/// A mean with its 95 % bootstrap interval over time clusters.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Interval {
    /// 2.5 % of the resamples lie below.
    pub low: f64,
    /// The mean of the rows themselves.
    pub mean: f64,
    /// 2.5 % of the resamples lie above.
    pub high: f64,
}

/// Challenger and champion compared on the same rows, none of which either prediction was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Which rows were used.
    pub compared_on: ComparedOn,
    /// Number of rows.
    pub rows: usize,
    /// Number of time clusters: rows of one cluster depend on each other. 0 in lines of earlier versions.
    #[serde(default)]
    pub clusters: usize,
    /// Length of a cluster. 0 in lines of earlier versions.
    #[serde(default)]
    pub cluster_ms: i64,
    /// Mean log loss of both sides.
    pub log_loss: Pair,
    /// The challenger's log loss minus the champion's: above 0 the challenger is worse. `None` with too few rows.
    pub excess: Option<Interval>,
    /// Mean profit per row of the signals each model would have given, in percent of the entry after costs.
    pub profit: Pair,
    /// The challenger's profit minus the champion's: below 0 the challenger is worse. `None` with too few rows.
    pub gain: Option<Interval>,
}

/// Why a challenger was promoted or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Decision {
    /// Promoted: there was no model before.
    FirstModel,
    /// Promoted: the champion's file cannot be used.
    ChampionUnusable,
    /// Promoted: stop, target or expiry are configured differently, so the champion predicts other bets.
    OtherSignalShape,
    /// Promoted: the replay leaves the gate out.
    WithoutGate,
    /// Promoted: it was not significantly worse than the champion.
    NotWorse,
    /// Promoted: nothing speaks against it, but there are too few rows to compare.
    ShortEvidence,
    /// Refused: its log loss is significantly higher than the champion's.
    WorseLogLoss,
    /// Refused: it did worse than the champion, and a difference above the margin cannot be ruled out.
    MaybeWorse,
    /// Refused: each promotion in a row lost little, but with this one they would have lost more than the margin
    /// together.
    ChainWorse,
    /// Refused: its signals earned significantly less than the champion's.
    LessProfit,
    /// Refused: on its held-out rows it is significantly worse than the constant base rate, and the champion is not.
    WorseThanConstant,
}

impl Decision {
    /// Whether it is based on a comparison with the champion.
    pub fn compares(self) -> bool {
        !matches!(self, Self::FirstModel | Self::ChampionUnusable | Self::OtherSignalShape | Self::WithoutGate)
    }

    /// Whether the challenger goes live.
    pub fn promotes(self) -> bool {
        !matches!(
            self,
            Self::WorseLogLoss | Self::MaybeWorse | Self::ChainWorse | Self::LessProfit | Self::WorseThanConstant
        )
    }
}

/// One training and the decision about its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// When the decision was made, UTC epoch ms.
    pub at_ms: i64,
    /// The symbol and timeframe.
    pub market: Market,
    /// How it was trained.
    pub mode: Mode,
    /// Why it was trained in full although the champion was to be continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// The version number, also of a refused model.
    pub version: u64,
    /// The number of trainings of this market, including this one: of many, one will look good by chance.
    pub trial: u64,
    /// Labelled rows of the training.
    pub rows: usize,
    /// The effective number of independent labels.
    pub effective_rows: f64,
    /// Close time of the last candle that any label depends on, UTC epoch ms.
    pub horizon_ms: i64,
    /// Whether the model departs from the base rate.
    pub has_skill: bool,
    /// Mean held-out log loss of both sides.
    pub log_loss: f64,
    /// The same figure for the constants.
    pub constant_log_loss: f64,
    /// Signals it would have given on held-out rows.
    pub held_out_signals: usize,
    /// Their mean profit in percent, after costs.
    pub held_out_profit: Option<f64>,
    /// Trees per side.
    pub trees: usize,
    /// See [`Record::seed`].
    pub seed: u64,
    /// The version in service at the time of the decision.
    pub champion: Option<u64>,
    /// The comparison; `None` when there was no champion, or one that predicts other bets.
    pub comparison: Option<Comparison>,
    /// The decision.
    pub decision: Decision,
    /// [`Decision::promotes`].
    pub promoted: bool,
    /// The decision as a sentence, with its figures.
    pub reason: String,
    /// How long the training took.
    pub duration_ms: u64,
    /// What held-out rows say of the user's own model; `None` if it was trained without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnRecord>,
}

/// A decision about a challenger, before the registry has given it a number.
#[derive(Debug, Clone, PartialEq)]
pub struct GateVerdict {
    /// The decision.
    pub decision: Decision,
    /// The decision as a sentence.
    pub reason: String,
    /// The comparison it is based on.
    pub comparison: Option<Comparison>,
    /// See [`super::Lineage::conceded`].
    pub conceded: super::Conceded,
}

impl GateVerdict {
    /// The verdict of a replay that leaves the gate out.
    pub fn without_gate() -> Self {
        let reason = "the replay leaves the gate out".to_owned();
        Self { decision: Decision::WithoutGate, reason, comparison: None, conceded: super::Conceded::default() }
    }
}

impl Trial {
    /// The ledger entry for a model with this record; the registry fills in the numbers.
    pub fn new(record: &Record, mode: Mode, verdict: GateVerdict, at_ms: i64, duration_ms: u64) -> Self {
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
            own: record.own.clone(),
        }
    }
}

/// A rollback: the champion was replaced by the version before it.
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
    /// Triggered by live results, not by a person.
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

/// The contents of a ledger.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// In order of writing.
    pub entries: Vec<Entry>,
    /// Lines that cannot be read.
    pub damaged: usize,
}

/// Reads a ledger, which need not exist. A last line without its newline is still being written, or torn: it counts as
/// damaged only once another line follows it.
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

/// Appends a line and syncs it; the caller holds the lock. After a torn line it starts on a new line.
pub fn append(path: &Path, entry: &Entry) -> Result<()> {
    let line = serde_json::to_vec(entry).map_err(|e| Error::Internal(format!("cannot encode a trial: {e}")))?;
    append_line(path, line)
}
