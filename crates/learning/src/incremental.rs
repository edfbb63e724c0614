//! Incremental training: continues a model with newer rows. The oldest quarter of the forest's trees is replaced by
//! trees grown with the newer rows, and the other families are fitted again. This is faster than a full training
//! because there is no new walk-forward evaluation: the old model's predictions of the new rows, made before it was
//! trained on them, serve as the new evidence.

use super::dataset::{Dataset, lost};
use super::gate::worse_than_constant;
use super::own::{self, OwnModel};
use super::pool::{PoolRows, TrainingSet, constants_at};
use super::shrinkage::{believe, stack};
use super::train::{Candidate, PoolTraining, Step, TrainedMarket, mean, record};
use crate::model::{Departure, HeldOut, Lineage, MIN_CLUSTERS, Mode, Model, OwnPart, Pool, PoolSide};
use domain::cancel::Cancel;
use domain::config::Config;
use domain::error::Result;
use domain::symbol::Market;
use std::sync::Arc;

/// One tree in this many is replaced.
const SHARE: usize = 4;
/// The fewest new rows worth growing trees for: fewer would not fill a leaf.
pub const MIN_NEW_ROWS: usize = 25;

/// The result of continuing a model.
#[derive(Debug, Clone)]
pub enum Continued<T> {
    /// A new model.
    Trained(T),
    /// So few rows were decided since the model was trained that there is nothing to learn yet.
    NothingNew(usize),
    /// The chain of updates is not worth continuing, and why: a full training is needed.
    Worse(String),
}

impl<T> Continued<T> {
    /// The same with its value in an [`Arc`].
    pub fn shared(self) -> Continued<Arc<T>> {
        match self {
            Self::Trained(trained) => Continued::Trained(Arc::new(trained)),
            Self::NothingNew(rows) => Continued::NothingNew(rows),
            Self::Worse(reason) => Continued::Worse(reason),
        }
    }
}

/// Why `champion` cannot be continued under this configuration; `None` when it can.
pub fn cannot_continue(champion: &Model, config: &Config) -> Option<&'static str> {
    if champion.record.pool.is_none() {
        return Some("the model's file is of a format that cannot be continued");
    }
    if champion.record.shape() != config.signal {
        return Some("stop, target or expiry differ from those the model was trained with");
    }
    if champion.record.trees != config.trees {
        return Some("the configured number of trees differs from the model's");
    }
    None
}

/// Why a pool with the own model `part` cannot be continued with `given`.
fn differs(part: Option<&OwnPart>, given: Option<&Arc<dyn OwnModel>>) -> Option<String> {
    match (part, given) {
        (None, None) => None,
        (Some(part), Some(own)) if own::is_of(part, &**own) => None,
        (None, Some(own)) => Some(format!("your model `{}` was not weighed yet", own.name())),
        (Some(part), None) => Some(format!("the model weighs your model `{}`, which was not given", part.name)),
        (Some(part), Some(own)) => {
            Some(format!("the model weighs your model `{}`, and `{}` was given", part.name, own.name()))
        }
    }
}

/// Continues `old` with the rows of `markets`, which include those it was trained on. `own` is the user's own model:
/// the one that `old` weighs, or a full training is needed.
///
/// # Errors
/// As [`super::train_pool`].
pub fn continue_pool(
    old: &Pool,
    markets: Vec<Arc<Dataset>>,
    config: &Config,
    own: Option<&Arc<dyn OwnModel>>,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Continued<PoolTraining>> {
    let rows = PoolRows::new(markets)?;
    if old.record.is_silent != rows.markets[0].is_silent() {
        let words = if old.record.is_silent { "volume now" } else { "no volume now" };
        return Ok(Continued::Worse(format!("the candles have {words}, unlike those the model was trained on")));
    }
    let first_new = rows.times_ms.partition_point(|&time| time < old.record.horizon_ms);
    let new = rows.len() - first_new;
    if new < MIN_NEW_ROWS {
        return Ok(Continued::NothingNew(new));
    }
    if let Some(reason) = differs(old.own.as_ref(), own) {
        return Ok(Continued::Worse(reason));
    }
    let clusters = (rows.times_ms[rows.len() - 1] - rows.times_ms[first_new]) / old.record.skill.cluster_ms.max(1);
    if clusters >= MIN_CLUSTERS as i64 {
        return Ok(Continued::Worse(format!("{new} new rows since it was trained: enough for a full training")));
    }
    let everything: Vec<usize> = (0..rows.len()).collect();
    let horizon_ms = rows.horizon_ms();
    let before = constants_at(&rows, old.record.horizon_ms, config).1;
    let training_set = TrainingSet::new(&rows, &everything, horizon_ms, config);
    // Each stretch of time gets a seed of its own, or the new trees would repeat the draws of the old ones.
    let seed = config.seed ^ (old.record.horizon_ms as u64).rotate_left(20);
    let (adjusted, mut sides) = (old.adjusted, Vec::with_capacity(2));
    let of_own = old.own.as_ref().zip(own);
    let (mut part, mut said) = (old.own.clone(), vec![None; rows.len() - first_new]);
    if let Some((part, own)) = of_own {
        let answers = own::answers(&**own, &rows, first_new..rows.len(), part.state.as_deref(), cancel)?;
        let departures = |(at, answer): (usize, Option<[f64; 2]>)| {
            part.departures(&rows.markets[rows.place(at).0].market().symbol, answer?)
        };
        said = (first_new..rows.len()).zip(answers).map(departures).collect();
    }
    for (side, old) in old.sides.iter().enumerate() {
        let mut evidence = old.evidence.clone();
        for at in first_new..rows.len() {
            let families = old.families.departures_of(rows.row(at)).ok_or_else(lost)?;
            let constant = before[rows.place(at).0].base_rates[side];
            let surprise = rows.surprise(at, side, constant);
            let (time_ms, ours) = (rows.times_ms[at], mean(&families, &old.weights));
            let own = said[at - first_new].map(|said| said[side]);
            if let (Some(part), Some(own)) = (&mut part, own) {
                part.sides[side].evidence.add(time_ms, ours, own, surprise);
            }
            let mean = of_own.map_or(ours, |(part, _)| part.sides[side].blend.mean(ours, own));
            evidence.add(&Departure { time_ms: rows.times_ms[at], families, mean, surprise });
        }
        let factors = if adjusted[side] { training_set.adjustments(side) } else { None };
        let newer = training_set.fit(side, factors.as_deref(), config.trees.div_ceil(SHARE), seed, cancel)?;
        let families = old.families.renewed(&newer)?;
        let (base_rate, weights) = (training_set.pooled.base_rates[side], stack(&evidence));
        sides.push(PoolSide { base_rate, families, weights, evidence });
        progress(Step { done: sides.len(), total: 2 });
    }
    if let (Some(part), Some(own)) = (&mut part, own) {
        part.state = training_set.fit_own(&**own, cancel)?;
        part.trained_until_ms = own.trained_until_ms();
        part.sides.iter_mut().for_each(|side| side.blend = own::blend(&side.evidence));
    }
    let beliefs = [0, 1].map(|side: usize| believe(&sides[side].evidence));
    let record = crate::model::PoolRecord { skill: old.record.skill, ..record(&rows, config, horizon_ms) };
    let sides = sides.try_into().map_err(|_| lost())?;
    let constants = training_set.constants;
    let markets = rows.markets.into_iter().zip(constants);
    Ok(Continued::Trained(PoolTraining {
        beliefs,
        // Only a full training renews the models of other shapes.
        pool: Arc::new(Pool { record, sides, shapes: old.shapes.clone(), adjusted, own: part }),
        own: own.cloned(),
        mode: Mode::Incremental,
        markets: markets.map(|(data, constants)| TrainedMarket { data, constants, scored: Vec::new() }).collect(),
    }))
}

impl PoolTraining {
    /// The candidate for `market` after continuing, whose current model is `champion`; `None` for a market that was not
    /// in the pool.
    ///
    /// A single update has too few new rows for the gate, so the whole chain of updates is judged by all of its own
    /// rows.
    ///
    /// # Errors
    /// [`domain::error::Error::Internal`] when the champion cannot read a row.
    pub fn continued(
        &self,
        market: &Market,
        champion: &Model,
        config: &Config,
        now_ms: i64,
    ) -> Result<Option<Continued<Candidate>>> {
        let Some(of) = self.of(market) else { return Ok(None) };
        let mut lineage = Lineage { continues: Some(champion.version()), ..champion.lineage.clone() };
        lineage.full_ms = lineage.full_ms.or(Some(champion.record.horizon_ms));
        let new: Vec<usize> = (of.data.first_after(champion)..of.data.len()).collect();
        let said: Vec<HeldOut> = of.data.served(&new, champion, config, self.own.as_ref())?;
        lineage.hold(said);
        let cluster_ms = self.pool.record.skill.cluster_ms;
        if let Some(reason) = worse_than_constant(&lineage.since_full(), cluster_ms, config.seed) {
            return Ok(Some(Continued::Worse(reason)));
        }
        let held_out: Vec<HeldOut> = lineage.held_out.iter().copied().collect();
        let model =
            of.data.model(self.pool.clone(), of.constants.sides(self.beliefs), &held_out, lineage, config, now_ms);
        let (own, scored) = (self.own.clone(), Vec::new());
        let candidate = Candidate { model, mode: self.mode, data: of.data.clone(), scored, own };
        Ok(Some(Continued::Trained(candidate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::file;

    #[test]
    fn a_market_too_short_to_hold_rows_out_is_continued_and_a_model_without_a_pool_is_not() {
        let (fixture, market) =
            (include_bytes!("../../testkit/fixtures/champion.model"), Market::parse("BTCUSDT", "1h").unwrap());
        let mut model = file::decode(fixture, std::path::Path::new("fixture"), &market, 0, None).unwrap();
        let config = Config { signal: model.record.shape(), trees: model.record.trees, ..Config::default() };
        assert!(model.lineage.held_out.is_empty());
        assert!(cannot_continue(&model, &config).is_some_and(|reason| reason.contains("format")));
        model.record.pool = Some("7".repeat(64));
        assert_eq!(cannot_continue(&model, &config), None);
        assert!(cannot_continue(&model, &Config { trees: config.trees + 1, ..config }).is_some());
    }
}
