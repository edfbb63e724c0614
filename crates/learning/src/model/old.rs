//! Model files of formats 1 to 3, in which each market had two forests of its own. They serve until the first training.

use super::family::Families;
use super::forest::Forest;
use super::pool::{Pool, PoolRecord, PoolSide, Skill};
use super::served::{Model, Payoff, Record, Side};
use super::{HeldOutEvidence, Lineage, Scores};
use crate::features::Missing;
use domain::features::OF_VOLUME;
use domain::symbol::Market;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Scores of one side.
#[derive(Deserialize)]
struct OldScores {
    rows: usize,
    _effective_rows: f64,
    base_rate: f64,
    log_loss: f64,
    constant_log_loss: f64,
    brier: f64,
    constant_brier: f64,
    auc: f64,
    balanced_accuracy: f64,
    calibration_error: f64,
    constant_calibration_error: f64,
}

impl From<OldScores> for Scores {
    fn from(old: OldScores) -> Self {
        Self {
            rows: old.rows,
            base_rate: old.base_rate,
            log_loss: old.log_loss,
            constant_log_loss: old.constant_log_loss,
            brier: old.brier,
            constant_brier: old.constant_brier,
            auc: old.auc,
            balanced_accuracy: old.balanced_accuracy,
            calibration_error: old.calibration_error,
            constant_calibration_error: old.constant_calibration_error,
        }
    }
}

/// The record, in the order of its fields in the file.
#[derive(Deserialize)]
struct OldRecord {
    market: Market,
    trained_ms: i64,
    features_version: u32,
    stop_atr: f64,
    reward_risk: f64,
    expiry_bars: usize,
    candles: usize,
    rows: usize,
    effective_rows: f64,
    missing: BTreeMap<Missing, usize>,
    unlabelled: usize,
    first_ms: i64,
    horizon_ms: i64,
    buy: OldScores,
    sell: OldScores,
    held_out_signals: usize,
    held_out_profit: Option<f64>,
    beliefs: [f64; 2],
    importances: Vec<(String, f64)>,
    trees: usize,
    seed: u64,
}

/// A side in format 3.
#[derive(Deserialize)]
struct OldSide {
    forest: Forest,
    base_rate: f64,
    belief: f64,
    payoff: Payoff,
}

/// A side in formats 1 and 2.
#[derive(Deserialize)]
struct OldestSide {
    forest: Forest,
    base_rate: f64,
    belief: f64,
}

/// Decodes the body of a file of `format` 1 to 3.
pub(super) fn decode(format: u32, body: &[u8]) -> postcard::Result<Model> {
    // The rest of the file was for judging and continuing the model, which is no longer done.
    let (record, sides) = if format == 3 {
        let ((record, buy, sell), _) = postcard::take_from_bytes::<(OldRecord, OldSide, OldSide)>(body)?;
        (record, [buy, sell])
    } else {
        let ((record, buy, sell), _) = postcard::take_from_bytes::<(OldRecord, OldestSide, OldestSide)>(body)?;
        // Its bets are assumed to have ended at their levels, as those formats did.
        let payoff = Payoff::at_levels(record.reward_risk);
        let sides =
            [buy, sell].map(|OldestSide { forest, base_rate, belief }| OldSide { forest, base_rate, belief, payoff });
        (record, sides)
    };
    // Damaged forests were already refused when they were read.
    of_old(record, sides).map_err(|_| postcard::Error::DeserializeBadEncoding)
}

fn of_old(old: OldRecord, [buy, sell]: [OldSide; 2]) -> std::result::Result<Model, &'static str> {
    let side = |side: &OldSide| Side { base_rate: side.base_rate, belief: side.belief, payoff: side.payoff };
    let [buys, sells] = [side(&buy), side(&sell)];
    let is_silent = OF_VOLUME.iter().all(|(name, _)| old.importances.iter().all(|(used, _)| used != name));
    let record = Record {
        market: old.market,
        trained_ms: old.trained_ms,
        features_version: old.features_version,
        stop_atr: old.stop_atr,
        reward_risk: old.reward_risk,
        expiry_bars: old.expiry_bars,
        candles: old.candles,
        rows: old.rows,
        effective_rows: old.effective_rows,
        missing: old.missing,
        unlabelled: old.unlabelled,
        first_ms: old.first_ms,
        horizon_ms: old.horizon_ms,
        buy: old.buy.into(),
        sell: old.sell.into(),
        held_out_signals: old.held_out_signals,
        held_out_profit: old.held_out_profit,
        beliefs: old.beliefs,
        break_even: [buys, sells].map(|side| side.payoff.loss / (side.payoff.win + side.payoff.loss)),
        skill: Skill::default(),
        pool_skill: Skill::default(),
        pool: None,
        symbols: Vec::new(),
        pool_rows: old.rows,
        weights: [Families::FOREST_ALONE; 2],
        importances: old.importances,
        trees: old.trees,
        seed: old.seed,
        own: None,
    };
    let pool_side = |side: &OldSide| -> std::result::Result<PoolSide, &'static str> {
        Ok(PoolSide {
            base_rate: side.base_rate,
            families: Families::of_forest(&side.forest, side.base_rate)?,
            weights: Families::FOREST_ALONE,
            evidence: HeldOutEvidence::default(),
        })
    };
    let pool = Pool {
        record: PoolRecord {
            timeframe: record.market.timeframe,
            symbols: vec![record.market.symbol.clone()],
            shape: record.shape(),
            is_silent,
            rows: record.rows,
            first_ms: record.first_ms,
            horizon_ms: record.horizon_ms,
            skill: Skill::default(),
            trees: record.trees,
            seed: record.seed,
        },
        sides: [pool_side(&buy)?, pool_side(&sell)?],
        shapes: Vec::new(),
        adjusted: [false; 2],
        own: None,
    };
    Ok(Model { record, buy: buys, sell: sells, pool: Arc::new(pool), lineage: Lineage::default() })
}
