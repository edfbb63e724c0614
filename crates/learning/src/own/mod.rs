//! A user's own model as a learner beside our families: the port, and what is asked of it.
//!
//! A model that can be fitted is fitted anew in each fold of the walk-forward, as our families are. A fixed one is
//! asked only about candles that open after all outcomes it has seen; about earlier ones it says nothing, in training
//! and in service.

use super::pool::PoolRows;
use super::shrinkage::own_weight;
use super::train::HeldOutDeparture;
use crate::model::{Blend, Level, Model, OwnEvidence, OwnPart, OwnSide};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::features::COUNT;
use domain::symbol::{Market, Symbol};
use domain::time::format_iso;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Rows of one market, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnBatch {
    /// The market.
    pub market: Market,
    /// Open times of the rows' candles, UTC epoch ms.
    pub times_ms: Vec<i64>,
    /// The features, row after row, each as [`domain::features::FEATURES`].
    pub features: Vec<f64>,
    /// To fit: for each row, whether a BUY and whether a SELL succeeded, 1 or 0. Empty to predict.
    pub labels: Vec<u8>,
    /// To fit: how much each row counts, above 0. Empty to predict.
    pub weights: Vec<f64>,
}

impl OwnBatch {
    fn new(market: &Market) -> Self {
        let (times_ms, features, labels, weights) = Default::default();
        Self { market: market.clone(), times_ms, features, labels, weights }
    }

    /// One row, to predict.
    pub fn of_row(market: &Market, time_ms: i64, row: &[f64]) -> Self {
        Self { times_ms: vec![time_ms], features: row.to_vec(), ..Self::new(market) }
    }

    fn add(&mut self, time_ms: i64, row: &[f64]) {
        self.times_ms.push(time_ms);
        self.features.extend_from_slice(row);
    }
}

/// A user's own model.
pub trait OwnModel: Send + Sync + std::fmt::Debug {
    /// Its name, which tells it from others.
    fn name(&self) -> &str;

    /// For a fixed model, the time up to which it has seen outcomes, UTC epoch ms; `None` if it has seen none of any
    /// market, and for a model that is fitted here.
    fn trained_until_ms(&self) -> Option<i64>;

    /// Whether it can be fitted.
    fn can_fit(&self) -> bool;

    /// Fits it to the rows of several markets, and returns its state.
    ///
    /// # Errors
    /// [`Error::OwnModel`]; [`Error::Cancelled`].
    fn fit(&self, batches: Vec<OwnBatch>, cancel: &Cancel) -> Result<Vec<u8>>;

    /// For each row, the probability that a BUY and that a SELL succeeds, one after the other, as the model says them:
    /// they need not be checked. `state` is what [`Self::fit`] returned.
    ///
    /// # Errors
    /// [`Error::OwnModel`]; [`Error::Cancelled`].
    fn predict(&self, batch: OwnBatch, state: Option<&[u8]>, cancel: &Cancel) -> Result<Vec<f64>>;
}

/// Whether the model may be asked about a candle that opens then.
pub fn speaks_of(own: &dyn OwnModel, time_ms: i64) -> bool {
    own.trained_until_ms().is_none_or(|until_ms| time_ms >= until_ms)
}

/// The checked answers for a batch, BUY and SELL of each row.
///
/// # Errors
/// [`Error::OwnModel`] with the row and the value for an answer that is not a probability, and for a wrong number of
/// them; those of [`OwnModel::predict`].
pub fn ask(own: &dyn OwnModel, batch: OwnBatch, state: Option<&[u8]>, cancel: &Cancel) -> Result<Vec<[f64; 2]>> {
    let (market, times) = (batch.market.clone(), batch.times_ms.clone());
    let answer = own.predict(batch, state, cancel)?;
    let refuse = |problem: String| Err(Error::OwnModel { name: own.name().to_owned(), problem });
    if answer.len() != 2 * times.len() {
        let (rows, got) = (times.len(), answer.len());
        return refuse(format!(
            "`predict` must answer two numbers for each of the {rows} rows of {market}, {} in all; got {got}",
            2 * rows
        ));
    }
    if let Some(at) = answer.iter().position(|probability| !(0.0..=1.0).contains(probability)) {
        let side = ["BUY", "SELL"][at % 2];
        return refuse(format!(
            "`predict` must answer probabilities from 0 to 1; got {} for a {side} in row {} of {market} ({})",
            answer[at],
            at / 2,
            format_iso(times[at / 2])
        ));
    }
    Ok(answer.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
}

/// Fits the model, if it can be fitted.
///
/// # Errors
/// Those of [`OwnModel::fit`].
pub(super) fn fit(
    own: &dyn OwnModel,
    batches: impl FnOnce() -> Vec<OwnBatch>,
    cancel: &Cancel,
) -> Result<Option<Vec<u8>>> {
    if own.can_fit() { own.fit(batches(), cancel).map(Some) } else { Ok(None) }
}

/// The answers for the rows at `positions`, each in its market's batch; `None` for rows it says nothing about.
pub(super) fn answers(
    own: &dyn OwnModel,
    rows: &PoolRows,
    positions: Range<usize>,
    state: Option<&[u8]>,
    cancel: &Cancel,
) -> Result<Vec<Option<[f64; 2]>>> {
    let mut batches: BTreeMap<usize, (OwnBatch, Vec<usize>)> = BTreeMap::new();
    for at in positions.clone().filter(|&at| speaks_of(own, rows.times_ms[at])) {
        let market = rows.place(at).0;
        let new = || (OwnBatch::new(rows.markets[market].market()), Vec::new());
        let (batch, places) = batches.entry(market).or_insert_with(new);
        batch.add(rows.times_ms[at], rows.row(at));
        places.push(at - positions.start);
    }
    let mut answers = vec![None; positions.len()];
    for (batch, places) in batches.into_values() {
        let said = ask(own, batch, state, cancel)?;
        places.into_iter().zip(said).for_each(|(place, said)| answers[place] = Some(said));
    }
    Ok(answers)
}

/// The rows at `positions` as batches to fit, one for each market.
pub(super) fn batches(rows: &PoolRows, positions: &[usize], weights: &[f64]) -> Vec<OwnBatch> {
    let mut batches: BTreeMap<usize, OwnBatch> = BTreeMap::new();
    for (&at, &weight) in positions.iter().zip(weights) {
        let market = rows.place(at).0;
        let batch = batches.entry(market).or_insert_with(|| OwnBatch::new(rows.markets[market].market()));
        batch.add(rows.times_ms[at], rows.row(at));
        batch.labels.extend([0, 1].map(|side| u8::from(rows.happened(at, side))));
        batch.weights.push(weight);
    }
    batches.into_values().collect()
}

/// The usual levels of the answers in each market, as they become known.
#[derive(Default)]
pub(super) struct Levels(BTreeMap<usize, Level>);

impl Levels {
    /// How far each answer departs from the usual level of its market before these rows or, where the model has never
    /// answered before, among these rows. Then adds the answers to the levels.
    pub fn departures(
        &mut self,
        rows: &PoolRows,
        positions: Range<usize>,
        answers: &[Option<[f64; 2]>],
    ) -> Vec<Option<[f64; 2]>> {
        let market = |at: usize| rows.place(at).0;
        let mut after: BTreeMap<usize, Level> = self.0.clone();
        let given = || positions.clone().zip(answers).filter_map(|(at, answer)| Some((at, (*answer)?)));
        given().for_each(|(at, answer)| after.entry(market(at)).or_default().add(answer));
        let usual = |at: usize| self.0.get(&market(at)).or_else(|| after.get(&market(at)))?.mean();
        let departure = |(at, answer): (usize, &Option<[f64; 2]>)| {
            let (answer, usual) = ((*answer)?, usual(at)?);
            Some([answer[0] - usual[0], answer[1] - usual[1]])
        };
        let departures = positions.clone().zip(answers).map(departure).collect();
        self.0 = after;
        departures
    }

    /// The levels by symbol.
    pub fn by_symbol(&self, rows: &PoolRows) -> Vec<(Symbol, Level)> {
        self.0.iter().map(|(&market, level)| (rows.markets[market].market().symbol.clone(), *level)).collect()
    }
}

/// How an own model joins our families, by these held-out rows; nothing where it said nothing about any of them.
pub(super) fn side_of<'a>(cluster_ms: i64, rows: impl Iterator<Item = &'a HeldOutDeparture>) -> OwnSide {
    let mut evidence = OwnEvidence::new(cluster_ms);
    for row in rows {
        if let Some(own) = row.own {
            evidence.add(row.departure.time_ms, row.ours, own, row.departure.surprise);
        }
    }
    OwnSide { blend: blend(&evidence), evidence }
}

/// How an own model with this evidence joins our families.
pub(super) fn blend(evidence: &OwnEvidence) -> Blend {
    let overlap = evidence.slope().map_or(0.0, |slope| slope.overlap.clamp(0.0, 1.0));
    Blend { weight: own_weight(evidence), overlap }
}

/// The own model that `model` needs to be served, if it needs one.
///
/// # Errors
/// [`Error::OwnModelMissing`] if it needs one, and `given` is none or another one.
pub fn needed<'a>(model: &Model, given: Option<&'a Arc<dyn OwnModel>>) -> Result<Option<&'a Arc<dyn OwnModel>>> {
    let Some(part) = model.needs_own() else { return Ok(None) };
    match given.filter(|own| is_of(part, &***own)) {
        Some(own) => Ok(Some(own)),
        None => Err(Error::OwnModelMissing {
            name: part.name.clone(),
            given: given.map_or_else(|| "none".to_owned(), |own| format!("`{}`", own.name())),
        }),
    }
}

/// Whether the part belongs to this model: it has the same name, and is fitted as it was.
pub(super) fn is_of(part: &OwnPart, own: &dyn OwnModel) -> bool {
    part.name == own.name() && part.state.is_some() == own.can_fit()
}

/// The own model's departures for rows of a market, as the part of a pooled model says; `None` for rows it says nothing
/// about.
pub(super) fn served(
    own: &dyn OwnModel,
    model: &Model,
    part: &OwnPart,
    rows: &[(i64, &[f64])],
) -> Result<Vec<Option<[f64; 2]>>> {
    let market = &model.record.market;
    let mut batch = OwnBatch::new(market);
    let spoken: Vec<bool> = rows.iter().map(|(time_ms, _)| speaks_of(own, *time_ms)).collect();
    rows.iter().zip(&spoken).filter(|(_, spoken)| **spoken).for_each(|((time_ms, row), _)| batch.add(*time_ms, row));
    if batch.times_ms.is_empty() {
        return Ok(vec![None; rows.len()]);
    }
    debug_assert_eq!(batch.features.len(), COUNT * batch.times_ms.len());
    let mut said = ask(own, batch, part.state.as_deref(), &Cancel::default())?.into_iter();
    let of = |spoken: bool| if spoken { part.departures(&market.symbol, said.next()?) } else { None };
    Ok(spoken.into_iter().map(of).collect())
}

#[cfg(test)]
mod tests;
