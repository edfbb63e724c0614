//! The pooled model of a timeframe, shared by all its markets: how far a bet's probability departs from the market's
//! own base rate, given the features.

use super::evidence::{HeldOutEvidence, PerFamily};
use super::family::Families;
use super::ledger::Interval;
use super::own::OwnPart;
use crate::management::Management;
use domain::config::SignalShape;
use domain::error::{Error, Result};
use domain::symbol::{Symbol, Timeframe};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// First line of the file of a pool with an own model; the number is the format's version. Without one, a pool is
/// written in format 4.
const MAGIC_5: &[u8] = b"signalloop pool 5\n";
/// First line of the file of a pool without an own model. Format 1 had only the configured shape; format 2 did not
/// record whether live signals adjusted the weights; format 3 had no shapes of managed signals.
const MAGIC: &[u8] = b"signalloop pool 4\n";
const MAGIC_3: &[u8] = b"signalloop pool 3\n";
const MAGIC_2: &[u8] = b"signalloop pool 2\n";
const MAGIC_1: &[u8] = b"signalloop pool 1\n";

/// One direction of the pooled model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolSide {
    /// The share of successes among all rows, 0–1; also the base rate of a market with too few rows of its own.
    pub base_rate: f64,
    /// The learners.
    pub families: Families,
    /// The stacking weights of the families; they add up to 1.
    pub weights: PerFamily,
    /// The evidence for the weight that the model gets beside the base rate.
    pub evidence: HeldOutEvidence,
}

impl PoolSide {
    /// How far the probability departs from the base rate for this row; `None` for an unreadable row.
    pub fn departure(&self, row: &[f64]) -> Option<f64> {
        self.families.departure(row, &self.weights)
    }
}

/// How much better the served probabilities were than the constants, on held-out rows.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Skill {
    /// Mean log loss of both directions minus that of the constants: below 0 the model has skill. The interval is a 95
    /// % bootstrap over time clusters; `None` with fewer than eight.
    pub excess: Option<Interval>,
    /// Open time of the first of these rows, UTC epoch ms.
    pub since_ms: i64,
    /// Open time of the last of these rows, UTC epoch ms.
    pub until_ms: i64,
    /// Number of rows.
    pub rows: usize,
    /// Number of time clusters.
    pub clusters: usize,
    /// Length of a cluster.
    pub cluster_ms: i64,
}

/// How a pool was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// The timeframe.
    pub timeframe: Timeframe,
    /// The symbols whose candles it was trained on, by name.
    pub symbols: Vec<Symbol>,
    /// Stop, target and expiry of its labels.
    pub shape: SignalShape,
    /// The candles have no volume, so the volume features are constants.
    pub is_silent: bool,
    /// Training rows of all symbols.
    pub rows: usize,
    /// Open time of the first row's candle, UTC epoch ms.
    pub first_ms: i64,
    /// Close of the last candle that any label depends on, UTC epoch ms.
    pub horizon_ms: i64,
    /// Held-out skill over all symbols.
    pub skill: Skill,
    /// Trees of each forest.
    pub trees: usize,
    /// Seed of the training.
    pub seed: u64,
}

/// The pooled model of a timeframe.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// How it was trained.
    pub record: PoolRecord,
    /// BUY, then SELL.
    pub sides: [PoolSide; 2],
    /// Models of other shapes that signals have, most frequent first.
    pub shapes: Vec<ShapedPool>,
    /// Whether live signals adjusted the training weights because that was better: BUY, then SELL.
    pub adjusted: [bool; 2],
    /// The user's own model; `None` if it was trained without one.
    pub own: Option<OwnPart>,
}

/// What a file of format 4 holds.
type Body4 = (PoolRecord, [PoolSide; 2], Vec<ShapedPool>, [bool; 2]);

impl From<Body4> for Pool {
    fn from((record, sides, shapes, adjusted): Body4) -> Self {
        Self { record, sides, shapes, adjusted, own: None }
    }
}

/// The model of another shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShapedPool {
    /// How it was trained, and its skill.
    pub record: ShapeRecord,
    /// BUY, then SELL.
    pub sides: [PoolSide; 2],
    /// Base rates of each symbol it was trained on, by name: BUY, then SELL. Other symbols use those of the sides.
    pub base_rates: Vec<(Symbol, [f64; 2])>,
    /// How bets of this shape are managed; `None` for one target and a stop that stays.
    pub management: Option<Management>,
}

/// A shape in a file before format 4.
type OldShape = (ShapeRecord, [PoolSide; 2], Vec<(Symbol, [f64; 2])>);

impl From<OldShape> for ShapedPool {
    fn from((record, sides, base_rates): OldShape) -> Self {
        Self { record, sides, base_rates, management: None }
    }
}

/// A shape that signals have, and how its model was trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShapeRecord {
    /// Stop, target and expiry of its labels.
    pub shape: SignalShape,
    /// Recorded signals with this shape, or nearly, at the time of the training.
    pub signals: usize,
    /// Training rows of all symbols.
    pub rows: usize,
    /// The weight the model gets beside the base rate, 0–1: BUY, then SELL.
    pub beliefs: [f64; 2],
    /// Held-out skill over all symbols.
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
            && self.management.as_ref().is_none_or(Management::is_sound)
            && rates.into_iter().all(|rate| (0.0..=1.0).contains(rate))
            && levels.iter().all(|level| level.is_finite() && *level > 0.0)
    }
}

/// Whether rates and weights are in range.
fn are_sound(sides: &[PoolSide; 2]) -> bool {
    let rates = sides.iter().flat_map(|side| [side.base_rate].into_iter().chain(side.weights));
    rates.into_iter().all(|rate| (0.0..=1.0).contains(&rate))
}

impl Pool {
    /// Encodes the pool. The same pool gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let Self { record, sides, shapes, adjusted, own } = self;
        let encoded = match own {
            None => postcard::to_extend(&(record, sides, shapes, adjusted), MAGIC.to_vec()),
            Some(own) => postcard::to_extend(&(record, sides, shapes, adjusted, own), MAGIC_5.to_vec()),
        };
        encoded.map_err(|e| Error::Internal(format!("cannot encode a pooled model: {e}")))
    }

    /// Decodes the pool from the bytes of the file `path`.
    ///
    /// # Errors
    /// [`Error::ModelFile`] when they are something else.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let refuse = |problem: String| {
            let problem = format!("{problem}; train it anew with `signalloop train`");
            Err(Error::ModelFile { path: path.to_owned(), problem })
        };
        let decoded = if let Some(body) = bytes.strip_prefix(MAGIC) {
            postcard::from_bytes::<Body4>(body).map(Into::into)
        } else if let Some(body) = bytes.strip_prefix(MAGIC_5) {
            postcard::from_bytes(body).map(|(record, sides, shapes, adjusted, own)| Self {
                record,
                sides,
                shapes,
                adjusted,
                own: Some(own),
            })
        } else if let Some(body) = bytes.strip_prefix(MAGIC_3) {
            postcard::from_bytes(body).map(|(record, sides, shapes, adjusted): (_, _, Vec<OldShape>, _)| Self {
                record,
                sides,
                shapes: shapes.into_iter().map(Into::into).collect(),
                adjusted,
                own: None,
            })
        } else if let Some(body) = bytes.strip_prefix(MAGIC_2) {
            postcard::from_bytes(body).map(|(record, sides, shapes): (_, _, Vec<OldShape>)| Self {
                record,
                sides,
                shapes: shapes.into_iter().map(Into::into).collect(),
                adjusted: [false; 2],
                own: None,
            })
        } else if let Some(body) = bytes.strip_prefix(MAGIC_1) {
            postcard::from_bytes(body).map(|(record, sides)| Self {
                record,
                sides,
                shapes: Vec::new(),
                adjusted: [false; 2],
                own: None,
            })
        } else {
            return refuse("it is not a pooled model of this version of signalloop".to_owned());
        };
        match decoded {
            Ok(pool) if pool.is_sound() => Ok(pool),
            Ok(_) => refuse("its rates or shapes are out of range".to_owned()),
            Err(e) => refuse(format!("it cannot be decoded ({e})")),
        }
    }

    fn is_sound(&self) -> bool {
        are_sound(&self.sides)
            && self.shapes.iter().all(ShapedPool::is_sound)
            && self.own.as_ref().is_none_or(OwnPart::is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Level, file};
    use domain::symbol::Market;

    /// A pool made of the fixture's forests, which also serve as the model of another shape.
    fn pool() -> Pool {
        let (fixture, market) =
            (include_bytes!("../../../testkit/fixtures/champion.model"), Market::parse("BTCUSDT", "1h").unwrap());
        let mut pool = Pool::clone(&file::decode(fixture, Path::new("fixture"), &market, 0, None).unwrap().pool);
        let shape = SignalShape { stop_atr: 3.0, reward_risk: 0.5, expiry_bars: 60 };
        let record = ShapeRecord { shape, signals: 70, rows: 500, beliefs: [0.5, 0.25], skill: Skill::default() };
        let base_rates = vec![(market.symbol, [0.45, 0.55])];
        pool.shapes = vec![ShapedPool { record, sides: pool.sides.clone(), base_rates, management: None }];
        pool.adjusted = [true, false];
        pool
    }

    #[test]
    fn a_pool_round_trips_and_earlier_formats_lack_fields() {
        let (pool, path) = (pool(), Path::new("a.pool"));
        let bytes = pool.encode().unwrap();
        assert_eq!(Pool::decode(&bytes, path).unwrap(), pool);
        let mut old = MAGIC_1.to_vec();
        old.extend(postcard::to_allocvec(&(&pool.record, &pool.sides)).unwrap());
        let less = Pool { adjusted: [false; 2], ..pool.clone() };
        assert_eq!(Pool::decode(&old, path).unwrap(), Pool { shapes: Vec::new(), ..less.clone() });
        let mut old = MAGIC_2.to_vec();
        let shapes: Vec<_> = pool.shapes.iter().map(|one| (&one.record, &one.sides, &one.base_rates)).collect();
        old.extend(postcard::to_allocvec(&(&pool.record, &pool.sides, &shapes)).unwrap());
        assert_eq!(Pool::decode(&old, path).unwrap(), less);
        let mut old = MAGIC_3.to_vec();
        old.extend(postcard::to_allocvec(&(&pool.record, &pool.sides, &shapes, &pool.adjusted)).unwrap());
        assert_eq!(Pool::decode(&old, path).unwrap(), pool);
        let management = Management {
            targets: vec![(1.0, 50.0), (2.0, 50.0)],
            break_even_after: Some(1),
            trail: Some(0.5),
            trail_from: 0.0,
            moves: vec![(2, 1.0)],
        };
        let mut managed = pool.clone();
        managed.shapes[0].management = Some(management);
        assert_eq!(Pool::decode(&managed.encode().unwrap(), path).unwrap(), managed);
        let mut with_own = pool.clone();
        with_own.own = Some(OwnPart {
            name: "mine".to_owned(),
            state: Some(vec![1, 2, 3]),
            trained_until_ms: None,
            sides: Default::default(),
            levels: vec![(Symbol::parse("BTCUSDT").unwrap(), Level::default())],
        });
        let of_own = with_own.encode().unwrap();
        assert!(of_own.starts_with(MAGIC_5) && bytes.starts_with(MAGIC), "without an own model the format stays");
        assert_eq!(Pool::decode(&of_own, path).unwrap(), with_own);
        with_own.own.as_mut().unwrap().sides[0].blend.weight = 1.5;
        assert!(Pool::decode(&with_own.encode().unwrap(), path).is_err(), "a weight above 1");
        for damaged in [&bytes[..bytes.len() - 1], b"signalloop pool 6\n"] {
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
            wrong(|shaped| {
                let targets = vec![(2.0, 50.0), (1.0, 50.0)];
                let (break_even_after, trail, trail_from, moves) = (None, None, 0.0, Vec::new());
                shaped.management = Some(Management { targets, break_even_after, trail, trail_from, moves });
            }),
        ] {
            assert!(error.contains("its rates or shapes are out of range"), "{error}");
        }
    }

    #[test]
    fn an_untrained_symbol_has_the_pooled_base_rates() {
        let shaped = &pool().shapes[0];
        assert_eq!(shaped.base_rates(&Symbol::parse("BTCUSDT").unwrap()), [0.45, 0.55]);
        let all = [0, 1].map(|side: usize| shaped.sides[side].base_rate);
        assert_eq!(shaped.base_rates(&Symbol::parse("ETHUSDT").unwrap()), all);
    }
}
