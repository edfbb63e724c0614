//! Training the model of a timeframe from nothing, on the rows of all its markets, and scoring it on rows it has not seen.

use super::clusters::Weighed;
use super::dataset::{Constants, Dataset, skill};
use super::feedback::Feedback;
use super::folds::{is_known, walk_forward};
use super::pool::{Known, Rows, departures};
use super::shapes::FoundShape;
use super::shrinkage::{believe, is_better, stack};
use crate::model::{
    Departure, Evidence, HeldOut, Lineage, Mode, Model, PerFamily, Pool, PoolRecord, PoolSide, ShapeRecord, ShapedPool,
    believed, log_loss,
};
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use domain::error::{Error, Result};
use domain::symbol::Market;
use std::sync::Arc;

/// How far a training has come.
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
    /// Rows, ascending, and what was said of them by models of rows decided before.
    pub(super) scored: Vec<(usize, HeldOut)>,
}

/// A newly trained pooled model, with its markets.
pub struct PoolTraining {
    /// What the markets share.
    pub pool: Arc<Pool>,
    pub(super) mode: Mode,
    pub(super) beliefs: [f64; 2],
    pub(super) markets: Vec<OfMarket>,
}

/// A market of a training.
pub(super) struct OfMarket {
    pub data: Arc<Dataset>,
    pub constants: Constants,
    pub scored: Vec<(usize, HeldOut)>,
}

impl PoolTraining {
    /// What a training in full made of `market`; `None` for a market that was not in it.
    pub fn candidate(&self, market: &Market, config: &Config, now_ms: i64) -> Option<Candidate> {
        let of = self.of(market)?;
        let held_out: Vec<HeldOut> = of.scored.iter().map(|(_, held)| *held).collect();
        let mut lineage = Lineage::default();
        lineage.hold(held_out.iter().copied());
        let model =
            of.data.model(self.pool.clone(), of.constants.sides(self.beliefs), &held_out, lineage, config, now_ms);
        Some(Candidate { model, mode: self.mode, data: of.data.clone(), scored: of.scored.clone() })
    }

    /// The same with what was learned of other shapes.
    pub fn with_shapes(mut self, shapes: Vec<ShapedPool>) -> Self {
        Arc::make_mut(&mut self.pool).shapes = shapes;
        self
    }

    pub(super) fn of(&self, market: &Market) -> Option<&OfMarket> {
        self.markets.iter().find(|of| of.data.market() == market)
    }
}

/// Trains the model of one market on its own candles (checked, oldest first) and on what became of its live signals: a pool of
/// one. `now_ms` becomes its training time; `progress` is told after each fit.
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

/// Trains on rows of another shape than the configured one, which signals have. `share` such shapes have no more trees together
/// than the configured one, and none more than half of its: all of them are in memory with the model that they belong to.
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
    let of = |of: &OfMarket| (of.data.market().symbol.clone(), of.constants.base_rates);
    let record = ShapeRecord { shape: found.shape, signals: found.signals, rows, beliefs, skill };
    Ok(ShapedPool { record, sides, base_rates: markets.iter().map(of).collect() })
}

/// What was said of a row, raw.
#[derive(Clone)]
struct Said {
    at: usize,
    departure: Departure,
}

/// What was said in a direction while walking forward.
#[derive(Default)]
struct Walk {
    /// By learners of rows that count as they are.
    plain: Vec<Said>,
    /// By learners of rows that live signals adjusted; of blocks before they adjusted anything, the same. `None` without any.
    adjusted: Option<Vec<Said>>,
    /// Log loss of the second less that of the first, where they differ.
    excess: Vec<(usize, f64)>,
}

/// Whether rows on which adjusted learners were asked beside plain ones say that they are better: their log loss less that of the
/// others, by time, and the length of a cluster.
pub(super) type Rule = dyn Fn(&[Weighed], i64) -> bool;

impl Walk {
    /// Has `ask` say the probabilities of a block, by plain learners and, where live signals adjust by `factors`, by such ones. What is
    /// held out is what the second say where `takes_adjusted`.
    fn block(
        &mut self,
        factors: Option<&[f64]>,
        takes_adjusted: bool,
        happened: impl Fn(usize) -> bool,
        ask: impl Fn(&mut Vec<Said>, Option<&[f64]>) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        let Self { plain, adjusted, excess } = self;
        let before = plain.len();
        if factors.is_some() {
            adjusted.get_or_insert_with(|| plain.clone());
        }
        let said = ask(plain, None)?;
        let asked = &plain[before..];
        let Some(adjusted) = adjusted else { return Ok(said) };
        if factors.is_none() {
            adjusted.extend_from_slice(asked);
            return Ok(said);
        }
        let other = ask(adjusted, factors)?;
        excess.extend(asked.iter().zip(said.iter().zip(&other)).map(|(row, (said, other))| {
            let happened = happened(row.at);
            (row.at, log_loss(happened, *other) - log_loss(happened, *said))
        }));
        Ok(if takes_adjusted { other } else { said })
    }

    /// Whether the adjusted learners go into service, by those rows of `rows` that are `known`.
    fn takes_adjusted(&self, rows: &Rows, cluster_ms: i64, rule: &Rule, known: impl Fn(usize) -> bool) -> bool {
        let weighed = |&(at, value): &(usize, f64)| Weighed { time_ms: rows.times_ms[at], value, weight: 1.0 };
        let judged: Vec<Weighed> = self.excess.iter().filter(|(at, _)| known(*at)).map(weighed).collect();
        rule(&judged, cluster_ms)
    }

    /// What was said by the learners that go into service.
    fn said(&self, takes_adjusted: bool) -> &[Said] {
        self.adjusted.as_deref().filter(|_| takes_adjusted).unwrap_or(&self.plain)
    }
}

/// Trains one model on the rows of `markets`, which are of one timeframe, and all have volume or none has. `progress` is told
/// after each fit.
///
/// # Errors
/// [`Error::NoData`] with the counts when there are too few labelled rows; [`Error::Cancelled`].
pub fn train_pool(
    markets: Vec<Arc<Dataset>>,
    config: &Config,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<PoolTraining> {
    train_pool_by(&is_better, markets, config, cancel, progress)
}

/// [`train_pool`] with another rule for what live signals adjust.
pub(super) fn train_pool_by(
    rule: &Rule,
    markets: Vec<Arc<Dataset>>,
    config: &Config,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<PoolTraining> {
    let rows = Rows::new(markets)?;
    let folds = walk_forward(&rows.times_ms, &rows.decided_ms, rows.live_middle_ms());
    let total = 2 * (folds.len() + 1);
    let mut done = 0;
    let mut advance = || {
        done += 1;
        progress(Step { done, total });
    };

    // Walk forward: each block is predicted by learners of earlier rows, believed as far as earlier blocks justify.
    // Half the trees do for that: a smaller forest is a little noisier, so that the figures err on the modest side.
    let cluster_ms = rows.cluster_ms(config);
    let mut walks: [Walk; 2] = Default::default();
    let mut scored: Vec<Vec<(usize, HeldOut)>> = rows.markets.iter().map(|_| Vec::new()).collect();
    let mut held_out = Vec::new();
    for (block, fold) in folds.iter().enumerate() {
        let start = fold.test.start;
        let known = Known::new(&rows, &fold.train, rows.times_ms[start], config);
        let asked: Vec<&[f64]> = fold.test.clone().map(|at| rows.row(at)).collect();
        let mut stated = vec![[0.0; 2]; asked.len()];
        for side in 0..2 {
            let is_earlier = |at: usize| is_known(&rows.times_ms, &rows.decided_ms, at, start);
            let ask = |said: &mut Vec<Said>, adjusted: Option<&[f64]>| -> Result<Vec<f64>> {
                let evidence = evidence_of(cluster_ms, said.iter().filter(|said| is_earlier(said.at)));
                let (belief, weights) = (believe(&evidence), stack(&evidence));
                let families = known.fit(side, adjusted, config.trees.div_ceil(2), config.seed, cancel)?;
                let mut stated = Vec::with_capacity(asked.len());
                for (at, families) in fold.test.clone().zip(departures(&families, &asked)?) {
                    let constant = known.base_rate(at, side);
                    let departure = Departure {
                        time_ms: rows.times_ms[at],
                        families,
                        mean: mean(&families, &weights),
                        surprise: rows.surprise(at, side, constant),
                    };
                    stated.push(believed(constant, belief, departure.mean));
                    said.push(Said { at, departure });
                }
                Ok(stated)
            };
            let walk = &mut walks[side];
            let takes_adjusted = walk.takes_adjusted(&rows, cluster_ms, rule, is_earlier);
            let happened = |at: usize| rows.happened(at, side);
            let said = walk.block(known.adjustments(side).as_deref(), takes_adjusted, happened, ask)?;
            stated.iter_mut().zip(said).for_each(|(row, probability)| row[side] = probability);
            advance();
        }
        // The first block only teaches how far to believe; nothing could have been believed in it.
        if block > 0 {
            for (at, stated) in fold.test.clone().zip(stated) {
                let (market, row) = rows.place(at);
                let held = rows.markets[market].held_out(row, stated, &known.constants[market], config);
                scored[market].push((row, held));
                held_out.push(held);
            }
        }
    }

    let everything: Vec<usize> = (0..rows.len()).collect();
    let horizon_ms = rows.horizon_ms();
    let known = Known::new(&rows, &everything, horizon_ms, config);
    let adjusted = walks.each_ref().map(|walk| walk.takes_adjusted(&rows, cluster_ms, rule, |_| true));
    let evidence = [0, 1].map(|side: usize| evidence_of(cluster_ms, walks[side].said(adjusted[side]).iter()));
    let mut fit = |side: usize, evidence: &Evidence| -> Result<PoolSide> {
        let factors = if adjusted[side] { known.adjustments(side) } else { None };
        let families = known.fit(side, factors.as_deref(), config.trees, config.seed, cancel)?;
        advance();
        let (base_rate, weights) = (known.pooled.base_rates[side], stack(evidence));
        Ok(PoolSide { base_rate, families, weights, evidence: evidence.clone() })
    };
    let sides = [fit(0, &evidence[0])?, fit(1, &evidence[1])?];
    let record = PoolRecord { skill: skill(&held_out, cluster_ms, config.seed), ..record(&rows, config, horizon_ms) };
    let constants = known.constants;
    let markets = rows.markets.into_iter().zip(constants).zip(scored);
    Ok(PoolTraining {
        beliefs: evidence.each_ref().map(believe),
        pool: Arc::new(Pool { record, sides, shapes: Vec::new(), adjusted }),
        mode: Mode::Full,
        markets: markets.map(|((data, constants), scored)| OfMarket { data, constants, scored }).collect(),
    })
}

/// The record of a pool of these rows, without figures.
pub(super) fn record(rows: &Rows, config: &Config, horizon_ms: i64) -> PoolRecord {
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

fn evidence_of<'a>(cluster_ms: i64, said: impl Iterator<Item = &'a Said>) -> Evidence {
    let mut evidence = Evidence::new(cluster_ms);
    said.for_each(|said| evidence.add(&said.departure));
    evidence
}

/// The weighted mean of what families say.
pub(super) fn mean(families: &PerFamily, weights: &PerFamily) -> f64 {
    families.iter().zip(weights).map(|(departure, weight)| departure * weight).sum()
}
