//! The models in service, the trainings before them, and the features they use.

use super::calibration::{Bin, Calibration};
use super::results::rounded;
use domain::error::{Error, Result};
use domain::features::FEATURES;
use domain::symbol::Market;
use domain::time::DAY_MS;
use engine::{MarketModels, ModelList, SignalLoop};
use learning::model::{Decision, Interval, Mode, OwnRecord, Record, Rollback, Scores, Skill, Trial};
use serde::Serialize;

/// Trainings and rollbacks listed per market: the newest.
const MAX_CHANGES: usize = 20;
/// Features listed.
const MAX_FEATURES: usize = 15;

/// Everything about the models of a home.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelsPart {
    /// The models by market.
    pub markets: Vec<MarketPart>,
    /// Lines of the ledger that cannot be read.
    pub damaged_lines: usize,
    /// Held-out predictions of the models in service beside the outcomes: all markets, both sides.
    pub calibration: Vec<Bin>,
    /// The importance of features.
    pub features: Features,
}

/// The models of one market.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarketPart {
    /// Name of its folder, `btcusdt_1h`.
    pub name: String,
    /// Symbol and timeframe, where the model in service can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market: Option<Market>,
    /// The version in service.
    pub version: u64,
    /// Since when it has been in service, UTC epoch ms.
    pub since_ms: Option<i64>,
    /// Why it went live.
    pub reason: String,
    /// The model; missing when it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelPart>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The user's own model in it; missing if it was trained without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnPart>,
    /// Trainings and rollbacks, the newest first.
    pub changes: Vec<Change>,
    /// Number of earlier ones that are not listed.
    pub earlier_changes: usize,
}

/// A model in service. Log losses are means of both sides, on held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelPart {
    /// When it was trained, UTC epoch ms.
    pub trained_ms: i64,
    /// Labelled training rows.
    pub rows: usize,
    /// The effective number of independent labels.
    pub effective_rows: f64,
    /// Whether it departs from the base rate on either side.
    pub has_skill: bool,
    /// The weight of the pooled model for a BUY, percent.
    pub belief_buy: f64,
    /// The weight of the pooled model for a SELL, percent.
    pub belief_sell: f64,
    /// Log loss of the model.
    pub log_loss: f64,
    /// Log loss of the constant base rate.
    pub constant_log_loss: f64,
    /// Skill over the base rate on rows of this market.
    pub skill: SkillPart,
    /// Skill on rows of all symbols that share its pooled model.
    pub pool_skill: SkillPart,
    /// Number of symbols that share it.
    pub symbols: usize,
    /// Success probability at which a BUY earns nothing after costs, percent.
    pub break_even_buy: f64,
    /// Success probability at which a SELL earns nothing after costs, percent.
    pub break_even_sell: f64,
    /// Area under the ROC curve for a BUY; 0.5 is chance.
    pub auc_buy: f64,
    /// Area under the ROC curve for a SELL; 0.5 is chance.
    pub auc_sell: f64,
    /// Signals it would have given on held-out rows.
    pub held_out_signals: usize,
    /// Their mean profit in percent, after costs.
    pub held_out_profit: Option<f64>,
}

/// A user's own model, which is weighed beside our families.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnPart {
    /// Its name.
    pub name: String,
    /// When the first of the versions was trained that have been in service with it, without one between them that had not, UTC
    /// epoch ms.
    pub since_ms: i64,
    /// For a BUY.
    pub buy: OwnSidePart,
    /// For a SELL.
    pub sell: OwnSidePart,
}

/// What held-out rows say of a user's own model in one direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnSidePart {
    /// The weight of its departures, percent.
    pub weight: f64,
    /// How much outcomes change with its departures beyond those of our families: 1 is as much as it says, and 0 is not at all.
    /// `None` if it says nothing of its own, or the rows are too few.
    pub slope: Option<f64>,
    /// The standard error of `slope`.
    pub slope_error: Option<f64>,
    /// The held-out rows.
    pub rows: u64,
}

impl OwnPart {
    /// The own model of the version in service. `trials` are all trainings of the market, oldest first.
    fn of(record: &OwnRecord, version: u64, trained_ms: i64, trials: &[Trial]) -> Self {
        let served = trials.iter().rev().filter(|trial| trial.version <= version && trial.promoted);
        let with_it = served.take_while(|trial| trial.own.as_ref().is_some_and(|own| own.name == record.name));
        let since_ms = with_it.last().map_or(trained_ms, |trial| trial.at_ms);
        let [buy, sell] = record.sides.map(|side| OwnSidePart {
            weight: rounded(100.0 * side.weight),
            slope: side.slope.map(|(slope, _)| rounded(slope)),
            slope_error: side.slope.map(|(_, error)| rounded(error)),
            rows: side.rows,
        });
        Self { name: record.name.clone(), since_ms, buy, sell }
    }
}

/// Held-out log loss minus the base rate's, with its 95 % bootstrap interval over time clusters.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SkillPart {
    /// Below 0 where the model has skill; `None` with too few clusters.
    pub excess: Option<Interval>,
    /// Open time of the first held-out row, UTC epoch ms.
    pub since_ms: i64,
    /// Number of time clusters.
    pub stretches: usize,
    /// Length of a cluster in days.
    pub stretch_days: f64,
}

impl From<&Skill> for SkillPart {
    fn from(skill: &Skill) -> Self {
        Self {
            excess: skill.excess,
            since_ms: skill.since_ms,
            stretches: skill.clusters,
            stretch_days: rounded(skill.cluster_ms as f64 / DAY_MS as f64),
        }
    }
}

/// A training or a rollback.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Change {
    /// A model was trained.
    Training {
        /// When it was decided, UTC epoch ms.
        at_ms: i64,
        /// Its version number.
        version: u64,
        /// How it was trained.
        mode: Mode,
        /// Labelled rows.
        rows: usize,
        /// Whether it departs from the base rate.
        has_skill: bool,
        /// Held-out log loss.
        log_loss: f64,
        /// Held-out log loss of the constant base rate.
        constant_log_loss: f64,
        /// The decision.
        decision: Decision,
        /// Whether it went live.
        promoted: bool,
        /// The decision as a sentence.
        reason: String,
    },
    /// The previous model was put back into service.
    Rollback {
        /// When, UTC epoch ms.
        at_ms: i64,
        /// The version taken out of service.
        from: u64,
        /// The version back in service.
        to: u64,
        /// Whether live results triggered it.
        automatic: bool,
        /// Why.
        reason: String,
    },
}

/// The importance of features: how much splits by a feature reduced the variance of the labels in training (gain).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// Number of models averaged: those with skill, or all where none has any.
    pub models: usize,
    /// Whether they have skill: without it, predictions do not use the features.
    pub with_skill: bool,
    /// The most important features, most important first.
    pub list: Vec<FeaturePart>,
    /// Share of the features not listed, percent.
    pub others: f64,
}

/// A feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeaturePart {
    /// Its name.
    pub name: String,
    /// How it is computed.
    pub formula: &'static str,
    /// Its share of the total gain, percent.
    pub share: f64,
}

/// Gathers the part. A model that cannot be read is described in its market's part.
///
/// # Errors
/// [`Error::Io`] when the folder or the ledger cannot be read.
pub fn gather(core: &SignalLoop) -> Result<ModelsPart> {
    let ModelList { markets, damaged_lines } = core.models().list()?;
    let mut calibration = Calibration::default();
    for record in markets.iter().filter_map(|market| market.champion.record.as_ref().ok()) {
        match core.models().registry().get(&record.market).wait() {
            Ok(model) => {
                calibration.add_held_out(&model.lineage.held_out, record.effective_rows / record.rows.max(1) as f64)
            }
            // The problem is described in its market's part, or the model was replaced just now.
            Err(Error::NoModel { .. } | Error::ModelFile { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    let records: Vec<&Record> = markets.iter().filter_map(|market| market.champion.record.as_ref().ok()).collect();
    let features = Features::of(&records);
    let markets = markets.into_iter().map(MarketPart::from).collect();
    Ok(ModelsPart { markets, damaged_lines, calibration: calibration.bins(), features })
}

impl From<MarketModels> for MarketPart {
    fn from(MarketModels { champion, trials, rollbacks }: MarketModels) -> Self {
        let own =
            champion.record.as_ref().ok().and_then(|record| {
                Some(OwnPart::of(record.own.as_ref()?, champion.version, record.trained_ms, &trials))
            });
        let mut changes: Vec<Change> =
            trials.into_iter().map(Change::from).chain(rollbacks.into_iter().map(Change::from)).collect();
        // The sort is stable: of changes at the same time, the last one written comes first.
        changes.reverse();
        changes.sort_by_key(|change| std::cmp::Reverse(change.at_ms()));
        let earlier_changes = changes.len().saturating_sub(MAX_CHANGES);
        changes.truncate(MAX_CHANGES);
        let (market, model, error) = match champion.record {
            Ok(record) => (Some(record.market.clone()), Some(ModelPart::from(&record)), None),
            Err(error) => (None, None, Some(error.to_string())),
        };
        Self {
            name: champion.stem,
            market,
            version: champion.version,
            since_ms: champion.since_ms,
            reason: champion.reason,
            model,
            error,
            own,
            changes,
            earlier_changes,
        }
    }
}

impl From<&Record> for ModelPart {
    fn from(record: &Record) -> Self {
        let auc = |scores: &Scores| rounded(scores.auc);
        let [buy, sell] = record.beliefs;
        Self {
            trained_ms: record.trained_ms,
            rows: record.rows,
            effective_rows: rounded(record.effective_rows),
            has_skill: record.has_skill(),
            belief_buy: rounded(100.0 * buy),
            belief_sell: rounded(100.0 * sell),
            log_loss: rounded(record.log_loss()),
            constant_log_loss: rounded(record.constant_log_loss()),
            skill: SkillPart::from(&record.skill),
            pool_skill: SkillPart::from(&record.pool_skill),
            symbols: record.symbols.len(),
            break_even_buy: rounded(100.0 * record.break_even[0]),
            break_even_sell: rounded(100.0 * record.break_even[1]),
            auc_buy: auc(&record.buy),
            auc_sell: auc(&record.sell),
            held_out_signals: record.held_out_signals,
            held_out_profit: record.held_out_profit.map(rounded),
        }
    }
}

impl Change {
    fn at_ms(&self) -> i64 {
        match self {
            Self::Training { at_ms, .. } | Self::Rollback { at_ms, .. } => *at_ms,
        }
    }
}

impl From<Trial> for Change {
    fn from(trial: Trial) -> Self {
        Self::Training {
            at_ms: trial.at_ms,
            version: trial.version,
            mode: trial.mode,
            rows: trial.rows,
            has_skill: trial.has_skill,
            log_loss: rounded(trial.log_loss),
            constant_log_loss: rounded(trial.constant_log_loss),
            decision: trial.decision,
            promoted: trial.promoted,
            reason: trial.reason,
        }
    }
}

impl From<Rollback> for Change {
    fn from(Rollback { at_ms, from, to, automatic, reason, .. }: Rollback) -> Self {
        Self::Rollback { at_ms, from, to, automatic, reason }
    }
}

impl Features {
    fn of(records: &[&Record]) -> Self {
        let with_skill = records.iter().any(|record| record.has_skill());
        let counted: Vec<_> = records.iter().filter(|record| record.has_skill() == with_skill).collect();
        let share = |name: &str| {
            let of = |record: &&&Record| record.importances.iter().find(|(known, _)| known == name).map(|(_, x)| *x);
            100.0 * counted.iter().filter_map(of).sum::<f64>() / counted.len().max(1) as f64
        };
        let mut list: Vec<FeaturePart> = FEATURES
            .iter()
            .map(|feature| FeaturePart {
                name: feature.name.to_owned(),
                formula: feature.formula,
                share: rounded(share(feature.name)),
            })
            .filter(|feature| feature.share > 0.0)
            .collect();
        list.sort_by(|a, b| b.share.total_cmp(&a.share));
        let others = list.iter().skip(MAX_FEATURES).map(|feature| feature.share).sum();
        list.truncate(MAX_FEATURES);
        Self { models: counted.len(), with_skill, list, others: rounded(others) }
    }
}
