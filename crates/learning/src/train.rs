//! Full training of a timeframe's model on the rows of all its markets, with walk-forward evaluation on held-out rows.

use super::clusters::Weighed;
use super::dataset::{Constants, Dataset, skill};
use super::feedback::Feedback;
use super::folds::{is_known, walk_forward};
use super::own::{self, Levels, OwnModel};
use super::pool::{PoolRows, TrainingSet, departures};
use super::shapes::FoundShape;
use super::shrinkage::{believe, is_better, stack};
use crate::model::{
    Departure, HeldOut, HeldOutEvidence, Lineage, Mode, Model, OwnPart, OwnSide, PerFamily, Pool, PoolRecord, PoolSide,
    ShapeRecord, ShapedPool, believed, log_loss,
};
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use domain::error::{Error, Result};
use domain::symbol::Market;
use std::sync::Arc;

/// The progress of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
}

/// A newly trained model of a market, and what is needed to compare it with the one in service.
pub struct Candidate {
    /// The model.
    pub model: Model,
    /// How it was trained.
    pub mode: Mode,
    pub(super) data: Arc<Dataset>,
    /// Scored rows, ascending, with held-out predictions: each by a model whose training rows were all decided before.
    pub(super) scored: Vec<(usize, HeldOut)>,
    /// The user's own model.
    pub(super) own: Option<Arc<dyn OwnModel>>,
}

/// A newly trained pooled model, with its markets.
pub struct PoolTraining {
    /// The part that the markets share.
    pub pool: Arc<Pool>,
    pub(super) mode: Mode,
    pub(super) beliefs: [f64; 2],
    pub(super) markets: Vec<TrainedMarket>,
    /// The user's own model.
    pub(super) own: Option<Arc<dyn OwnModel>>,
}

/// A market that took part in a training.
pub(super) struct TrainedMarket {
    pub data: Arc<Dataset>,
    pub constants: Constants,
    pub scored: Vec<(usize, HeldOut)>,
}

impl PoolTraining {
    /// The candidate that the full training produced for `market`; `None` for a market that was not in it.
    pub fn candidate(&self, market: &Market, config: &Config, now_ms: i64) -> Option<Candidate> {
        let of = self.of(market)?;
        let held_out: Vec<HeldOut> = of.scored.iter().map(|(_, held)| *held).collect();
        let mut lineage = Lineage::default();
        lineage.hold(held_out.iter().copied());
        let model =
            of.data.model(self.pool.clone(), of.constants.sides(self.beliefs), &held_out, lineage, config, now_ms);
        let (data, scored, own) = (of.data.clone(), of.scored.clone(), self.own.clone());
        Some(Candidate { model, mode: self.mode, data, scored, own })
    }

    /// The same training with the models of other shapes added.
    pub fn with_shapes(mut self, shapes: Vec<ShapedPool>) -> Self {
        Arc::make_mut(&mut self.pool).shapes = shapes;
        self
    }

    pub(super) fn of(&self, market: &Market) -> Option<&TrainedMarket> {
        self.markets.iter().find(|of| of.data.market() == market)
    }
}

/// Trains the model of one market on its own candles (checked, oldest first) and its closed live signals: a pool of one
/// market. `now_ms` becomes its training time; `progress` is called after each fit.
///
/// # Errors
/// [`Error::NoData`] with the counts when there are too few candles or labelled rows; [`Error::Cancelled`].
pub fn train_market(
    market: &Market,
    candles: &[Candle],
    feedback: &Feedback,
    config: &Config,
    now_ms: i64,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Candidate> {
    let data = Arc::new(Dataset::new(market, candles, feedback, config)?);
    let training = train_pool(vec![data], config, cancel, progress)?;
    training.candidate(market, config, now_ms).ok_or_else(|| Error::Internal(format!("{market} was lost")))
}

/// Trains a model of another shape than the configured one, for signals that have it. The forests of all `share` such
/// shapes together have no more trees than the configured one, and each has at most half as many: all of them are in
/// memory beside the main model.
///
/// # Errors
/// As [`train_pool`].
pub fn train_shape(
    markets: Vec<Arc<Dataset>>,
    found: &FoundShape,
    share: usize,
    config: &Config,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<ShapedPool> {
    let config = Config { trees: config.trees.div_ceil(share.max(2)), ..found.config(config) };
    let PoolTraining { pool, beliefs, markets, .. } = train_pool(markets, &config, cancel, progress)?;
    let Pool { record: PoolRecord { rows, skill, .. }, sides, .. } = Arc::unwrap_or_clone(pool);
    let of = |of: &TrainedMarket| (of.data.market().symbol.clone(), of.constants.base_rates);
    let record = ShapeRecord { shape: found.shape, signals: found.signals, rows, beliefs, skill };
    let base_rates = markets.iter().map(of).collect();
    Ok(ShapedPool { record, sides, base_rates, management: found.management.clone() })
}

/// A held-out prediction of a row, before shrinkage.
#[derive(Clone)]
pub(super) struct HeldOutDeparture {
    at: usize,
    pub departure: Departure,
    /// The departure of our families alone.
    pub ours: f64,
    /// The departure of the own model; `None` where it said nothing.
    pub own: Option<f64>,
}

/// The walk-forward predictions of a direction.
#[derive(Default)]
struct WalkForward {
    /// By learners with plain weights.
    plain: Vec<HeldOutDeparture>,
    /// By learners whose weights live signals adjusted; in blocks without any adjustment, the plain predictions. `None`
    /// if nothing was ever adjusted.
    adjusted: Option<Vec<HeldOutDeparture>>,
    /// The log loss of the adjusted learners minus that of the plain ones, where they differ.
    excess: Vec<(usize, f64)>,
}

/// Decides whether adjusted learners are better than plain ones. Gets the difference of their log losses by row, with
/// times, and the length of a cluster.
pub(super) type Rule = dyn Fn(&[Weighed], i64) -> bool;

impl WalkForward {
    /// Predicts a block: `predict` is called for plain learners and, where live signals adjust weights by `factors`, for
    /// adjusted ones. Returns the held-out predictions: those of the adjusted learners if `takes_adjusted`.
    fn block(
        &mut self,
        factors: Option<&[f64]>,
        takes_adjusted: bool,
        happened: impl Fn(usize) -> bool,
        predict: impl Fn(&mut Vec<HeldOutDeparture>, Option<&[f64]>) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        let Self { plain, adjusted, excess } = self;
        let before = plain.len();
        if factors.is_some() {
            adjusted.get_or_insert_with(|| plain.clone());
        }
        let plain_probabilities = predict(plain, None)?;
        let new_rows = &plain[before..];
        let Some(adjusted) = adjusted else { return Ok(plain_probabilities) };
        if factors.is_none() {
            adjusted.extend_from_slice(new_rows);
            return Ok(plain_probabilities);
        }
        let adjusted_probabilities = predict(adjusted, factors)?;
        excess.extend(new_rows.iter().zip(plain_probabilities.iter().zip(&adjusted_probabilities)).map(
            |(row, (plain, adjusted))| {
                let happened = happened(row.at);
                (row.at, log_loss(happened, *adjusted) - log_loss(happened, *plain))
            },
        ));
        Ok(if takes_adjusted { adjusted_probabilities } else { plain_probabilities })
    }

    /// Whether to use the adjusted learners, judged by those rows of `rows` that are `known`.
    fn takes_adjusted(&self, rows: &PoolRows, cluster_ms: i64, rule: &Rule, known: impl Fn(usize) -> bool) -> bool {
        let weighed = |&(at, value): &(usize, f64)| Weighed { time_ms: rows.times_ms[at], value, weight: 1.0 };
        let judged: Vec<Weighed> = self.excess.iter().filter(|(at, _)| known(*at)).map(weighed).collect();
        rule(&judged, cluster_ms)
    }

    /// The predictions of the learners that will be used.
    fn departures(&self, takes_adjusted: bool) -> &[HeldOutDeparture] {
        self.adjusted.as_deref().filter(|_| takes_adjusted).unwrap_or(&self.plain)
    }
}

/// Trains one model on the rows of `markets`, which all have the same timeframe, and all have volume or all have none.
/// `progress` is called after each fit.
///
/// # Errors
/// [`Error::NoData`] with the counts when there are too few labelled rows; [`Error::Cancelled`].
pub fn train_pool(
    markets: Vec<Arc<Dataset>>,
    config: &Config,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<PoolTraining> {
    train_pool_with(None, markets, config, cancel, progress)
}

/// [`train_pool`] with a user's own model beside our families.
///
/// # Errors
/// As [`train_pool`]; [`Error::OwnModel`].
pub fn train_pool_with(
    own: Option<&Arc<dyn OwnModel>>,
    markets: Vec<Arc<Dataset>>,
    config: &Config,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<PoolTraining> {
    train_pool_by(&is_better, markets, config, own, cancel, progress)
}

/// [`train_pool`] with another rule for when to use the adjustment by live signals.
pub(super) fn train_pool_by(
    rule: &Rule,
    markets: Vec<Arc<Dataset>>,
    config: &Config,
    own: Option<&Arc<dyn OwnModel>>,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<PoolTraining> {
    let rows = PoolRows::new(markets)?;
    let folds = walk_forward(&rows.times_ms, &rows.decided_ms, rows.live_middle_ms());
    let total = 2 * (folds.len() + 1);
    let mut done = 0;
    let mut advance = || {
        done += 1;
        progress(Step { done, total });
    };

    // Walk-forward: each block is predicted by learners of earlier rows, weighted by how well earlier blocks were
    // predicted. Half the trees are enough for that; a smaller forest is a little noisier, which makes the figures
    // slightly pessimistic.
    let cluster_ms = rows.cluster_ms(config);
    let mut walk_forwards: [WalkForward; 2] = Default::default();
    let mut scored: Vec<Vec<(usize, HeldOut)>> = rows.markets.iter().map(|_| Vec::new()).collect();
    let mut held_out = Vec::new();
    let mut levels = Levels::default();
    for (block, fold) in folds.iter().enumerate() {
        let start = fold.test.start;
        let training_set = TrainingSet::new(&rows, &fold.train, rows.times_ms[start], config);
        let features: Vec<&[f64]> = fold.test.clone().map(|at| rows.row(at)).collect();
        let mut stated = vec![[0.0; 2]; features.len()];
        let said = match own {
            None => vec![None; features.len()],
            Some(own) => {
                let state = training_set.fit_own(&**own, cancel)?;
                let answers = own::answers(&**own, &rows, fold.test.clone(), state.as_deref(), cancel)?;
                levels.departures(&rows, fold.test.clone(), &answers)
            }
        };
        for side in 0..2 {
            let is_earlier = |at: usize| is_known(&rows.times_ms, &rows.decided_ms, at, start);
            let predict = |earlier: &mut Vec<HeldOutDeparture>, adjusted: Option<&[f64]>| -> Result<Vec<f64>> {
                let evidence = evidence_of(cluster_ms, earlier.iter().filter(|row| is_earlier(row.at)));
                let (belief, weights) = (believe(&evidence), stack(&evidence));
                let blend = own::side_of(cluster_ms, earlier.iter().filter(|row| is_earlier(row.at))).blend;
                let families = training_set.fit(side, adjusted, config.trees.div_ceil(2), config.seed, cancel)?;
                let mut stated = Vec::with_capacity(features.len());
                let departures = departures(&families, &features)?;
                for ((at, families), said) in fold.test.clone().zip(departures).zip(&said) {
                    let (ours, own) = (mean(&families, &weights), said.map(|said| said[side]));
                    let constant = training_set.base_rate(at, side);
                    let departure = Departure {
                        time_ms: rows.times_ms[at],
                        families,
                        mean: blend.mean(ours, own),
                        surprise: rows.surprise(at, side, constant),
                    };
                    stated.push(believed(constant, belief, departure.mean));
                    earlier.push(HeldOutDeparture { at, departure, ours, own });
                }
                Ok(stated)
            };
            let walk_forward = &mut walk_forwards[side];
            let takes_adjusted = walk_forward.takes_adjusted(&rows, cluster_ms, rule, is_earlier);
            let happened = |at: usize| rows.happened(at, side);
            let probabilities =
                walk_forward.block(training_set.adjustments(side).as_deref(), takes_adjusted, happened, predict)?;
            stated.iter_mut().zip(probabilities).for_each(|(row, probability)| row[side] = probability);
            advance();
        }
        // The first block has no earlier block to learn a weight from, so its predictions are only used as evidence for
        // later ones.
        if block > 0 {
            for (at, stated) in fold.test.clone().zip(stated) {
                let (market, row) = rows.place(at);
                let held = rows.markets[market].held_out(row, stated, &training_set.constants[market], config);
                scored[market].push((row, held));
                held_out.push(held);
            }
        }
    }

    let everything: Vec<usize> = (0..rows.len()).collect();
    let horizon_ms = rows.horizon_ms();
    let training_set = TrainingSet::new(&rows, &everything, horizon_ms, config);
    let adjusted = walk_forwards.each_ref().map(|side| side.takes_adjusted(&rows, cluster_ms, rule, |_| true));
    let evidence =
        [0, 1].map(|side: usize| evidence_of(cluster_ms, walk_forwards[side].departures(adjusted[side]).iter()));
    let mut fit = |side: usize, evidence: &HeldOutEvidence| -> Result<PoolSide> {
        let factors = if adjusted[side] { training_set.adjustments(side) } else { None };
        let families = training_set.fit(side, factors.as_deref(), config.trees, config.seed, cancel)?;
        advance();
        let (base_rate, weights) = (training_set.pooled.base_rates[side], stack(evidence));
        Ok(PoolSide { base_rate, families, weights, evidence: evidence.clone() })
    };
    let sides = [fit(0, &evidence[0])?, fit(1, &evidence[1])?];
    let of_own =
        |side: usize| -> OwnSide { own::side_of(cluster_ms, walk_forwards[side].departures(adjusted[side]).iter()) };
    let part = |own: &Arc<dyn OwnModel>| -> Result<OwnPart> {
        Ok(OwnPart {
            name: own.name().to_owned(),
            state: training_set.fit_own(&**own, cancel)?,
            trained_until_ms: own.trained_until_ms(),
            sides: [of_own(0), of_own(1)],
            levels: levels.by_symbol(&rows),
        })
    };
    let part = own.map(part).transpose()?;
    let record = PoolRecord { skill: skill(&held_out, cluster_ms, config.seed), ..record(&rows, config, horizon_ms) };
    let constants = training_set.constants;
    let markets = rows.markets.into_iter().zip(constants).zip(scored);
    Ok(PoolTraining {
        beliefs: evidence.each_ref().map(believe),
        pool: Arc::new(Pool { record, sides, shapes: Vec::new(), adjusted, own: part }),
        own: own.cloned(),
        mode: Mode::Full,
        markets: markets.map(|((data, constants), scored)| TrainedMarket { data, constants, scored }).collect(),
    })
}

/// The record of a pool of these rows; its figures are filled in later.
pub(super) fn record(rows: &PoolRows, config: &Config, horizon_ms: i64) -> PoolRecord {
    let first = &rows.markets[0];
    PoolRecord {
        timeframe: first.market().timeframe,
        symbols: rows.markets.iter().map(|data| data.market().symbol.clone()).collect(),
        shape: config.signal,
        is_silent: first.is_silent(),
        rows: rows.len(),
        first_ms: rows.times_ms[0],
        horizon_ms,
        skill: Default::default(),
        trees: config.trees,
        seed: config.seed,
    }
}

fn evidence_of<'a>(cluster_ms: i64, rows: impl Iterator<Item = &'a HeldOutDeparture>) -> HeldOutEvidence {
    let mut evidence = HeldOutEvidence::new(cluster_ms);
    rows.for_each(|row| evidence.add(&row.departure));
    evidence
}

/// The weighted mean of the families' departures.
pub(super) fn mean(families: &PerFamily, weights: &PerFamily) -> f64 {
    families.iter().zip(weights).map(|(departure, weight)| departure * weight).sum()
}
