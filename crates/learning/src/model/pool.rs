//! The pooled model of a timeframe: what all its markets share. By how much a bet's chance departs from the market's own base
//! rate, as far as the features of the moment tell.

use super::evidence::{Evidence, PerFamily};
use super::family::Families;
use super::ledger::Interval;
use domain::config::SignalShape;
use domain::error::{Error, Result};
use domain::symbol::{Symbol, Timeframe};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// First line of the file; the number is the format's version. Format 1 knew no shapes but the configured one, format 2 not whether
/// live signals adjusted what rows count.
const MAGIC: &[u8] = b"signalloop pool 3\n";
const MAGIC_2: &[u8] = b"signalloop pool 2\n";
const MAGIC_1: &[u8] = b"signalloop pool 1\n";

/// One direction of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolSide {
    /// The share of successes among all rows, 0–1: the base rate of a market that has too few of its own.
    pub base_rate: f64,
    /// The learners.
    pub families: Families,
    /// What each of them counts in their mean; they add up to 1.
    pub weights: PerFamily,
    /// Why the mean is believed as far as it is.
    pub evidence: Evidence,
}

impl PoolSide {
    /// By how much the chance departs from the base rate at this row; `None` for a row that cannot be read.
    pub fn departure(&self, row: &[f64]) -> Option<f64> {
        self.families.departure(row, &self.weights)
    }
}

/// How much better than the constants the served probabilities were on rows that the model had not seen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Skill {
    /// Mean log loss of both directions less that of the constants: below 0 the model knows something. The interval holds 95 %
    /// of a bootstrap over stretches of time; `None` where there are fewer than eight.
    pub excess: Option<Interval>,
    /// Open time of the first of these rows, UTC epoch ms.
    pub since_ms: i64,
    /// Open time of the last.
    pub until_ms: i64,
    /// Rows.
    pub rows: usize,
    /// Stretches of time that they fill.
    pub clusters: usize,
    /// Length of a stretch.
    pub cluster_ms: i64,
}

/// What a pool was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// The timeframe.
    pub timeframe: Timeframe,
    /// The symbols whose candles it was trained on, by name.
    pub symbols: Vec<Symbol>,
    /// Stop, target and expiry that its labels used.
    pub shape: SignalShape,
    /// The candles have no volume: its features are constants.
    pub is_silent: bool,
    /// Rows trained on, of all symbols.
    pub rows: usize,
    /// Open time of the first row's candle, UTC epoch ms.
    pub first_ms: i64,
    /// Close of the last candle that any label has seen, UTC epoch ms.
    pub horizon_ms: i64,
    /// Held-out figures of all symbols.
    pub skill: Skill,
    /// Trees of each forest.
    pub trees: usize,
    /// Seed of the training.
    pub seed: u64,
}

/// The pooled model of a timeframe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// What it was trained on.
    pub record: PoolRecord,
    /// BUY, then SELL.
    pub sides: [PoolSide; 2],
    /// The same for other shapes than the configured one, which signals have; most frequent first.
    pub shapes: Vec<ShapedPool>,
    /// Whether live signals adjusted what its rows count, for it was better so: BUY, then SELL.
    pub adjusted: [bool; 2],
}

/// What is known of bets of another shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShapedPool {
    /// What it is, and how good.
    pub record: ShapeRecord,
    /// BUY, then SELL.
    pub sides: [PoolSide; 2],
    /// Base rates of each symbol it was trained on, by name: BUY, then SELL. Others have those of the sides.
    pub base_rates: Vec<(Symbol, [f64; 2])>,
}

/// A shape that signals have, and what was learned of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShapeRecord {
    /// Stop, target and expiry that its labels used.
    pub shape: SignalShape,
    /// Recorded signals that had it, or nearly, when it was trained.
    pub signals: usize,
    /// Rows trained on, of all symbols.
    pub rows: usize,
    /// How far it is believed, 0–1: BUY, then SELL.
    pub beliefs: [f64; 2],
    /// Held-out figures of all symbols.
    pub skill: Skill,
}

impl ShapedPool {
    /// The base rates of a symbol: BUY, then SELL.
    pub fn base_rates(&self, symbol: &Symbol) -> [f64; 2] {
        let known = self.base_rates.binary_search_by(|(known, _)| known.cmp(symbol));
        known.map_or_else(|_| [0, 1].map(|side| self.sides[side].base_rate), |at| self.base_rates[at].1)
    }

    fn is_sound(&self) -> bool {
        let rates = self.base_rates.iter().flat_map(|(_, rates)| rates).chain(&self.record.beliefs);
        let SignalShape { stop_atr, reward_risk, expiry_bars } = self.record.shape;
        let levels = [stop_atr, reward_risk, expiry_bars as f64];
        are_sound(&self.sides)
            && rates.into_iter().all(|rate| (0.0..=1.0).contains(rate))
            && levels.iter().all(|level| level.is_finite() && *level > 0.0)
    }
}

/// Whether rates and weights are rates.
fn are_sound(sides: &[PoolSide; 2]) -> bool {
    let rates = sides.iter().flat_map(|side| [side.base_rate].into_iter().chain(side.weights));
    rates.into_iter().all(|rate| (0.0..=1.0).contains(&rate))
}

impl Pool {
    /// The bytes of its file. The same pool, the same bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as bytes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, MAGIC.to_vec())
            .map_err(|e| Error::Internal(format!("cannot encode a pooled model: {e}")))
    }

    /// The pool that these bytes of `path` hold.
    ///
    /// # Errors
    /// [`Error::ModelFile`] when they are something else.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let refuse = |problem: String| {
            let problem = format!("{problem}; train it anew with `signalloop train`");
            Err(Error::ModelFile { path: path.to_owned(), problem })
        };
        let decoded = if let Some(body) = bytes.strip_prefix(MAGIC) {
            postcard::from_bytes::<Self>(body)
        } else if let Some(body) = bytes.strip_prefix(MAGIC_2) {
            postcard::from_bytes(body).map(|(record, sides, shapes)| Self {
                record,
                sides,
                shapes,
                adjusted: [false; 2],
            })
        } else if let Some(body) = bytes.strip_prefix(MAGIC_1) {
            postcard::from_bytes(body).map(|(record, sides)| Self {
                record,
                sides,
                shapes: Vec::new(),
                adjusted: [false; 2],
            })
        } else {
            return refuse("it is not a pooled model of this version of signalloop".to_owned());
        };
        match decoded {
            Ok(pool) if pool.is_sound() => Ok(pool),
            Ok(_) => refuse("its rates or shapes cannot be".to_owned()),
            Err(e) => refuse(format!("it cannot be decoded ({e})")),
        }
    }

    fn is_sound(&self) -> bool {
        are_sound(&self.sides) && self.shapes.iter().all(ShapedPool::is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::file;
    use domain::symbol::Market;

    /// The forests of the fixture, as the pool of a shape of its own, too.
    fn pool() -> Pool {
        let (fixture, market) =
            (include_bytes!("../../../testkit/fixtures/champion.model"), Market::parse("BTCUSDT", "1h").unwrap());
        let mut pool = Pool::clone(&file::decode(fixture, Path::new("fixture"), &market, 0, None).unwrap().pool);
        let shape = SignalShape { stop_atr: 3.0, reward_risk: 0.5, expiry_bars: 60 };
        let record = ShapeRecord { shape, signals: 70, rows: 500, beliefs: [0.5, 0.25], skill: Skill::default() };
        let base_rates = vec![(market.symbol, [0.45, 0.55])];
        pool.shapes = vec![ShapedPool { record, sides: pool.sides.clone(), base_rates }];
        pool.adjusted = [true, false];
        pool
    }

    #[test]
    fn a_pool_is_read_as_it_was_written_and_earlier_formats_have_less() {
        let (pool, path) = (pool(), Path::new("a.pool"));
        let bytes = pool.encode().unwrap();
        assert_eq!(Pool::decode(&bytes, path).unwrap(), pool);
        let mut old = MAGIC_1.to_vec();
        old.extend(postcard::to_allocvec(&(&pool.record, &pool.sides)).unwrap());
        let less = Pool { adjusted: [false; 2], ..pool.clone() };
        assert_eq!(Pool::decode(&old, path).unwrap(), Pool { shapes: Vec::new(), ..less.clone() });
        let mut old = MAGIC_2.to_vec();
        old.extend(postcard::to_allocvec(&(&pool.record, &pool.sides, &pool.shapes)).unwrap());
        assert_eq!(Pool::decode(&old, path).unwrap(), less);
        for damaged in [&bytes[..bytes.len() - 1], b"signalloop pool 4\n"] {
            assert_eq!(Pool::decode(damaged, path).unwrap_err().code(), "ERR_MODEL_FILE");
        }
        let wrong = |change: fn(&mut ShapedPool)| {
            let mut pool = pool.clone();
            change(&mut pool.shapes[0]);
            Pool::decode(&pool.encode().unwrap(), path).unwrap_err().to_string()
        };
        for error in [
            wrong(|shaped| shaped.record.beliefs[1] = 1.5),
            wrong(|shaped| shaped.base_rates[0].1[0] = f64::NAN),
            wrong(|shaped| shaped.sides[0].base_rate = -0.1),
            wrong(|shaped| shaped.record.shape.stop_atr = 0.0),
        ] {
            assert!(error.contains("its rates or shapes cannot be"), "{error}");
        }
    }

    #[test]
    fn a_symbol_that_was_not_trained_on_has_the_base_rates_of_all() {
        let shaped = &pool().shapes[0];
        assert_eq!(shaped.base_rates(&Symbol::parse("BTCUSDT").unwrap()), [0.45, 0.55]);
        let all = [0, 1].map(|side: usize| shaped.sides[side].base_rate);
        assert_eq!(shaped.base_rates(&Symbol::parse("ETHUSDT").unwrap()), all);
    }
}
