//! The models in service, and the trainings and rollbacks that led to them.

use super::models::{Failure, ModelInfo, ModelShape};
use super::word;
use domain::time::format_iso;
use learning::model;
use napi_derive::napi;

/// The same figure for both models.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versus {
    /// Of the newly trained model.
    pub challenger: f64,
    /// Of the model in service.
    pub champion: f64,
}

impl From<model::Pair> for Versus {
    fn from(p: model::Pair) -> Self {
        Self { challenger: p.challenger, champion: p.champion }
    }
}

/// A mean with its 95 % interval, from a bootstrap over stretches of time.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Lower end: 2.5 % of the resamples lie below.
    pub low: f64,
    /// The mean of the rows.
    pub mean: f64,
    /// Upper end: 2.5 % of the resamples lie above.
    pub high: f64,
}

impl From<model::Interval> for Estimate {
    fn from(i: model::Interval) -> Self {
        Self { low: i.low, mean: i.mean, high: i.high }
    }
}

/// Compares a newly trained model with the one in service, on the same rows, which neither had seen.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// `fresh`: rows after everything the champion was trained on. `held_out`: too few of those, so rows that both models held
    /// out in training. `short`: too few of either.
    #[napi(ts_type = "'fresh' | 'held_out' | 'short'")]
    pub compared_on: String,
    /// Number of rows.
    pub rows: u32,
    /// Stretches of time that they fill; rows of one stretch count once. 0 in trials of earlier versions.
    pub stretches: u32,
    /// Mean log loss of both sides.
    pub log_loss: Versus,
    /// The challenger's log loss minus the champion's: above 0 it is worse. Missing if there is too little evidence.
    pub excess: Option<Estimate>,
    /// Mean profit per row of the signals that each would have given, in percent of the entry after costs.
    pub profit: Versus,
    /// The challenger's profit minus the champion's: below 0 it is worse. Missing if there is too little evidence.
    pub gain: Option<Estimate>,
}

impl From<model::Comparison> for Comparison {
    fn from(c: model::Comparison) -> Self {
        Self {
            compared_on: word(c.compared_on),
            rows: c.rows as u32,
            stretches: c.clusters as u32,
            log_loss: c.log_loss.into(),
            excess: c.excess.map(Into::into),
            profit: c.profit.into(),
            gain: c.gain.map(Into::into),
        }
    }
}

/// One training and the decision about its model.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// When, ISO 8601, UTC.
    pub at: String,
    /// How it was trained.
    #[napi(ts_type = "'full' | 'incremental'")]
    pub mode: String,
    /// Why it was trained in full although an incremental update was requested.
    pub fallback: Option<String>,
    /// The version number, also if the model was refused.
    pub version: u32,
    /// How many trainings this market has had, including this one: of many, one looks good by chance.
    pub trial: u32,
    /// It went into service.
    pub promoted: bool,
    /// The decision.
    #[napi(ts_type = "TrialDecision")]
    pub decision: String,
    /// The decision in words, with its figures.
    pub reason: String,
    /// Labelled rows used in the training.
    pub rows: u32,
    /// Close time of the last candle used by a label, ISO 8601, UTC.
    pub horizon: String,
    /// It has skill, so it departs from the base rate.
    pub has_skill: bool,
    /// Mean held-out log loss of both sides.
    pub log_loss: f64,
    /// The same for the constant base rates.
    pub constant_log_loss: f64,
    /// The version in service at that time.
    pub champion: Option<u32>,
    /// Both models side by side; missing if there was none to compare with.
    pub comparison: Option<Comparison>,
    /// How long the training took, in milliseconds.
    pub duration_ms: f64,
}

impl From<model::Trial> for Trial {
    fn from(t: model::Trial) -> Self {
        Self {
            at: format_iso(t.at_ms),
            mode: word(t.mode),
            fallback: t.fallback,
            version: t.version as u32,
            trial: t.trial as u32,
            promoted: t.promoted,
            decision: word(t.decision),
            reason: t.reason,
            rows: t.rows as u32,
            horizon: format_iso(t.horizon_ms),
            has_skill: t.has_skill,
            log_loss: t.log_loss,
            constant_log_loss: t.constant_log_loss,
            champion: t.champion.map(|version| version as u32),
            comparison: t.comparison.map(Into::into),
            duration_ms: t.duration_ms as f64,
        }
    }
}

/// A rollback: a model replaced by the one before it.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// The symbol, normalised.
    pub symbol: String,
    /// The timeframe.
    #[napi(ts_type = "Timeframe")]
    pub timeframe: String,
    /// When, ISO 8601, UTC.
    pub at: String,
    /// The version taken out of service.
    pub from: u32,
    /// The version back in service.
    pub to: u32,
    /// Decided automatically from live results, not by a person.
    pub automatic: bool,
    /// Why.
    pub reason: String,
}

impl From<model::Rollback> for Rollback {
    fn from(r: model::Rollback) -> Self {
        Self {
            symbol: r.market.symbol.to_string(),
            timeframe: r.market.timeframe.to_string(),
            at: format_iso(r.at_ms),
            from: r.from as u32,
            to: r.to as u32,
            automatic: r.automatic,
            reason: r.reason,
        }
    }
}

/// An entry of `models()`: the model in service of a market, and its history.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelEntry {
    /// The file.
    pub path: String,
    /// Its version; 0 is a file from before versions existed.
    pub version: u32,
    /// The model; missing if the file is damaged.
    pub model: Option<ModelInfo>,
    /// The shapes of recorded signals that it was trained on besides the configured one, most frequent first; three at most.
    pub shapes: Vec<ModelShape>,
    /// Why the file cannot be used.
    pub error: Option<Failure>,
    /// Hours since it was trained; missing when the file is damaged.
    pub age_hours: Option<f64>,
    /// Why it is in service.
    pub reason: String,
    /// Since when, ISO 8601, UTC; missing for a file from before versions existed.
    pub since: Option<String>,
    /// Versions that `rollback` can go back to, oldest first.
    pub predecessors: Vec<u32>,
    /// All trainings, oldest first: promoted or refused, and why.
    pub trials: Vec<Trial>,
    /// All rollbacks, oldest first.
    pub rollbacks: Vec<Rollback>,
    /// Unreadable lines of `models/ledger.jsonl`, of any market, left by a crash.
    pub damaged_lines: u32,
}

impl ModelEntry {
    /// All entries of a home at the time `now_ms`.
    pub fn all(models: engine::ModelList, now_ms: i64) -> Vec<Self> {
        let entry = |engine::MarketModels { champion, trials, rollbacks }| {
            let trained_ms = champion.record.as_ref().ok().map(|record| record.trained_ms);
            let (model, error) = match champion.record {
                Ok(record) => (Some(record.into()), None),
                Err(error) => (None, Some(error.into())),
            };
            Self {
                path: champion.path.display().to_string(),
                version: champion.version as u32,
                model,
                shapes: champion.shapes.into_iter().map(Into::into).collect(),
                error,
                age_hours: trained_ms.map(|trained| (now_ms - trained) as f64 / 3_600_000.0),
                reason: champion.reason,
                since: champion.since_ms.map(format_iso),
                predecessors: champion.predecessors.into_iter().map(|version| version as u32).collect(),
                trials: trials.into_iter().map(Into::into).collect(),
                rollbacks: rollbacks.into_iter().map(Into::into).collect(),
                damaged_lines: models.damaged_lines as u32,
            }
        };
        models.markets.into_iter().map(entry).collect()
    }
}
