//! The rows of all markets of a timeframe in order of time, the part of them that could be known at a given time, and
//! learners fitted to that part.

use super::clusters::cluster_ms;
use super::dataset::{Constants, Dataset, MIN_ROWS, RateSums, SIDES, lost};
use super::own::{self, OwnBatch, OwnModel};
use super::weights::time_decay;
use crate::model::{Bins, Families, PerFamily, Sample};
use domain::cancel::Cancel;
use domain::config::Config;
use domain::error::{Error, Result};
use std::sync::Arc;

/// The rows of several markets, in order of time.
pub(super) struct PoolRows {
    /// The markets, by name.
    pub markets: Vec<Arc<Dataset>>,
    /// For each row, the number of its market and its position there.
    places: Vec<(u32, u32)>,
    /// When the bar of each row opens, UTC epoch ms.
    pub times_ms: Vec<i64>,
    /// When the label of each row was decided, UTC epoch ms.
    pub decided_ms: Vec<i64>,
}

impl PoolRows {
    /// Merges the rows of these markets, which all have the same timeframe, and all have volume or all have none.
    ///
    /// # Errors
    /// [`Error::NoData`] with the counts when together they have fewer than [`MIN_ROWS`].
    pub fn new(mut markets: Vec<Arc<Dataset>>) -> Result<Self> {
        let rows: usize = markets.iter().map(|market| market.len()).sum();
        let largest = markets.iter().max_by_key(|market| market.len());
        let largest = largest.ok_or_else(|| Error::Internal("a pool of no market".to_owned()))?;
        if rows < MIN_ROWS {
            return Err(largest.shortage());
        }
        markets.sort_by(|a, b| a.market().cmp(b.market()));
        let of = |(number, market): (usize, &Arc<Dataset>)| {
            let rows = 0..market.len();
            let times = market.times_ms.clone();
            rows.zip(times).map(move |(row, time)| (time, number as u32, row as u32)).collect::<Vec<_>>()
        };
        let mut all: Vec<(i64, u32, u32)> = markets.iter().enumerate().flat_map(of).collect();
        all.sort_unstable();
        let places: Vec<(u32, u32)> = all.iter().map(|&(_, market, row)| (market, row)).collect();
        let decided = places.iter().map(|&(market, row)| markets[market as usize].decided_ms[row as usize]).collect();
        Ok(Self { places, times_ms: all.iter().map(|one| one.0).collect(), decided_ms: decided, markets })
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The number of the row's market, and the row's position there.
    pub fn place(&self, at: usize) -> (usize, usize) {
        let (market, row) = self.places[at];
        (market as usize, row as usize)
    }

    pub fn row(&self, at: usize) -> &[f64] {
        let (market, row) = self.place(at);
        self.markets[market].row(row)
    }

    pub fn happened(&self, at: usize, side: usize) -> bool {
        let (market, row) = self.place(at);
        self.markets[market].happened[side][row]
    }

    /// The residual of the constant prediction: what happened (0 or 1) minus the constant.
    pub fn surprise(&self, at: usize, side: usize, constant: f64) -> f64 {
        f64::from(u8::from(self.happened(at, side))) - constant
    }

    /// The close of the last candle that any label depends on.
    pub fn horizon_ms(&self) -> i64 {
        self.markets.iter().map(|market| market.horizon_ms).max().unwrap_or_default()
    }

    /// The length of a cluster.
    pub fn cluster_ms(&self, config: &Config) -> i64 {
        let span = self.times_ms.last().zip(self.times_ms.first()).map_or(0, |(last, first)| last - first);
        let candle_ms = self.markets.first().map_or(1, |market| market.candle_ms);
        cluster_ms(span, config.signal.expiry_bars as i64 * candle_ms)
    }

    /// The median closing time of the live signals of all markets: the rows after it can show whether the adjustment by
    /// earlier signals helps.
    pub fn live_middle_ms(&self) -> Option<i64> {
        let horizon_ms = self.horizon_ms();
        let middle = |market: &Arc<Dataset>| market.feedback.middle_ms(horizon_ms);
        let mut middles: Vec<i64> = self.markets.iter().filter_map(middle).collect();
        middles.sort_unstable();
        middles.get(middles.len() / 2).copied()
    }
}

/// The base rates and payoffs known at `until_ms`: of all markets together, and of each market.
pub(super) fn constants_at(rows: &PoolRows, until_ms: i64, config: &Config) -> (Constants, Vec<Constants>) {
    let mut tally = RateSums::default();
    rows.markets.iter().for_each(|market| market.tally(until_ms, &config.signal, &mut tally));
    let pooled = tally.constants(&config.signal);
    let of = |market: &Arc<Dataset>| market.constants(until_ms, &pooled, &config.signal);
    (pooled, rows.markets.iter().map(of).collect())
}

/// A training set: only labels and live signals that were known at its end.
pub(super) struct TrainingSet<'a> {
    rows: &'a PoolRows,
    positions: &'a [usize],
    until_ms: i64,
    bins: Bins,
    decay: Vec<f64>,
    /// Base rates and payoffs of all markets together.
    pub pooled: Constants,
    /// Base rates and payoffs of each market.
    pub constants: Vec<Constants>,
}

impl<'a> TrainingSet<'a> {
    /// The rows at `positions`, all decided by `until_ms`.
    pub fn new(rows: &'a PoolRows, positions: &'a [usize], until_ms: i64, config: &Config) -> Self {
        let values: Vec<&[f64]> = positions.iter().map(|&at| rows.row(at)).collect();
        let times: Vec<i64> = positions.iter().map(|&at| rows.times_ms[at]).collect();
        let (pooled, constants) = constants_at(rows, until_ms, config);
        Self { rows, positions, until_ms, bins: Bins::new(&values), decay: time_decay(&times), pooled, constants }
    }

    /// The base rate of the row's market.
    pub fn base_rate(&self, at: usize, side: usize) -> f64 {
        self.constants[self.rows.place(at).0].base_rates[side]
    }

    /// The factor by which live signals adjust the weight of each row in a direction; `None` where they change nothing.
    pub fn adjustments(&self, side: usize) -> Option<Vec<f64>> {
        let adjust = |(data, constants): (&Arc<Dataset>, &Constants)| {
            data.feedback.adjustment(data, self.until_ms, SIDES[side], constants.base_rates[side])
        };
        let of: Vec<_> = self.rows.markets.iter().zip(&self.constants).map(adjust).collect();
        let factor = |&at: &usize| of[self.rows.place(at).0].weight(self.rows.row(at), self.rows.happened(at, side));
        let factors: Vec<f64> = self.positions.iter().map(factor).collect();
        factors.iter().any(|factor| *factor != 1.0).then_some(factors)
    }

    /// Fits a user's own model, if it can be fitted. A row's weight is its time decay: live signals do not adjust it.
    pub fn fit_own(&self, own: &dyn OwnModel, cancel: &Cancel) -> Result<Option<Vec<u8>>> {
        let batches = || -> Vec<OwnBatch> { own::batches(self.rows, self.positions, &self.decay) };
        own::fit(own, batches, cancel)
    }

    /// Fits the learners of a direction: 0 is BUY, 1 is SELL. A row's weight is its time decay, times its factor in
    /// `adjusted`.
    pub fn fit(
        &self,
        side: usize,
        adjusted: Option<&[f64]>,
        trees: usize,
        seed: u64,
        cancel: &Cancel,
    ) -> Result<Families> {
        let happened: Vec<bool> = self.positions.iter().map(|&at| self.rows.happened(at, side)).collect();
        let weights: Vec<f64> = match adjusted {
            Some(factors) => self.decay.iter().zip(factors).map(|(decay, factor)| decay * factor).collect(),
            None => self.decay.clone(),
        };
        let offsets: Vec<f64> = self.positions.iter().map(|&at| self.base_rate(at, side).clamp(0.001, 0.999)).collect();
        let sample = Sample { bins: &self.bins, happened: &happened, weights: &weights, offsets: &offsets };
        // BUY and SELL draw different bootstrap samples.
        Families::fit(&sample, trees, seed.wrapping_mul(2).wrapping_add(side as u64), cancel)
    }
}

/// The departures that the learners predict for rows.
pub(super) fn departures(families: &Families, rows: &[&[f64]]) -> Result<Vec<PerFamily>> {
    families.departures_of_all(rows).ok_or_else(lost)
}
