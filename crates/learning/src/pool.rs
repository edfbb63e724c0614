//! The rows of all markets of a timeframe in order of time, what was known at a time, and learners fitted to that.

use super::clusters::cluster_ms;
use super::dataset::{Constants, Dataset, MIN_ROWS, SIDES, Tally, lost};
use super::weights::time_decay;
use crate::model::{Bins, Families, PerFamily, Sample};
use domain::cancel::Cancel;
use domain::config::Config;
use domain::error::{Error, Result};
use std::sync::Arc;

/// Rows of markets, in order of time.
pub(super) struct Rows {
    /// By name of their market.
    pub markets: Vec<Arc<Dataset>>,
    /// Of each row its market and its place there.
    places: Vec<(u32, u32)>,
    /// When the bar of each row opens, UTC epoch ms.
    pub times_ms: Vec<i64>,
    /// When each row's label was decided.
    pub decided_ms: Vec<i64>,
}

impl Rows {
    /// Of these markets, all of one timeframe, and all with volume or all without.
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

    /// The number of a row's market, and the row there.
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

    /// What happened (0 or 1) less the constant.
    pub fn surprise(&self, at: usize, side: usize, constant: f64) -> f64 {
        f64::from(u8::from(self.happened(at, side))) - constant
    }

    /// The close of the last candle that any label saw.
    pub fn horizon_ms(&self) -> i64 {
        self.markets.iter().map(|market| market.horizon_ms).max().unwrap_or_default()
    }

    /// How long a stretch of time is that counts once.
    pub fn cluster_ms(&self, config: &Config) -> i64 {
        let span = self.times_ms.last().zip(self.times_ms.first()).map_or(0, |(last, first)| last - first);
        let candle_ms = self.markets.first().map_or(1, |market| market.candle_ms);
        cluster_ms(span, config.signal.expiry_bars as i64 * candle_ms)
    }

    /// When half of the live signals of all markets had closed: what comes after can show what they teach.
    pub fn live_middle_ms(&self) -> Option<i64> {
        let horizon_ms = self.horizon_ms();
        let middle = |market: &Arc<Dataset>| market.feedback.middle_ms(horizon_ms);
        let mut middles: Vec<i64> = self.markets.iter().filter_map(middle).collect();
        middles.sort_unstable();
        middles.get(middles.len() / 2).copied()
    }
}

/// Base rates and payoffs as they were known at a time: of all markets together, and of each.
pub(super) fn constants_at(rows: &Rows, until_ms: i64, config: &Config) -> (Constants, Vec<Constants>) {
    let mut tally = Tally::default();
    rows.markets.iter().for_each(|market| market.tally(until_ms, &config.signal, &mut tally));
    let pooled = tally.constants(&config.signal);
    let of = |market: &Arc<Dataset>| market.constants(until_ms, &pooled, &config.signal);
    (pooled, rows.markets.iter().map(of).collect())
}

/// What was known at a time.
pub(super) struct Known<'a> {
    rows: &'a Rows,
    positions: &'a [usize],
    until_ms: i64,
    bins: Bins,
    decay: Vec<f64>,
    /// Of all markets together.
    pub pooled: Constants,
    /// Of each market.
    pub constants: Vec<Constants>,
}

impl<'a> Known<'a> {
    /// The rows at `positions`, all decided by `until_ms`.
    pub fn new(rows: &'a Rows, positions: &'a [usize], until_ms: i64, config: &Config) -> Self {
        let values: Vec<&[f64]> = positions.iter().map(|&at| rows.row(at)).collect();
        let times: Vec<i64> = positions.iter().map(|&at| rows.times_ms[at]).collect();
        let (pooled, constants) = constants_at(rows, until_ms, config);
        Self { rows, positions, until_ms, bins: Bins::new(&values), decay: time_decay(&times), pooled, constants }
    }

    /// Of the market of a row.
    pub fn base_rate(&self, at: usize, side: usize) -> f64 {
        self.constants[self.rows.place(at).0].base_rates[side]
    }

    /// By how much live signals adjust what each row counts in a direction; `None` where they adjust nothing.
    pub fn adjustments(&self, side: usize) -> Option<Vec<f64>> {
        let adjust = |(data, constants): (&Arc<Dataset>, &Constants)| {
            data.feedback.adjustment(data, self.until_ms, SIDES[side], constants.base_rates[side])
        };
        let of: Vec<_> = self.rows.markets.iter().zip(&self.constants).map(adjust).collect();
        let factor = |&at: &usize| of[self.rows.place(at).0].weight(self.rows.row(at), self.rows.happened(at, side));
        let factors: Vec<f64> = self.positions.iter().map(factor).collect();
        factors.iter().any(|factor| *factor != 1.0).then_some(factors)
    }

    /// The learners of a direction: 0 is BUY, 1 is SELL. What a row counts is 1 · time decay · what it is `adjusted` by.
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
        // BUY and SELL draw different samples.
        Families::fit(&sample, trees, seed.wrapping_mul(2).wrapping_add(side as u64), cancel)
    }
}

/// What learners say of rows.
pub(super) fn departures(families: &Families, rows: &[&[f64]]) -> Result<Vec<PerFamily>> {
    families.departures_of_all(rows).ok_or_else(lost)
}
