//! Estimates a signal's chances from a model of candles, before any outcome is known.

use super::Models;
use super::own::OwnDepartures;
use domain::answer::Answer;
use domain::barrier::Direction;
use domain::error::{Error, guard};
use domain::features::{ATR_PERCENT, lacks_volume};
use domain::symbol::Market;
use learning::model::{Blend, Model, PoolSide, believed};
use learning::{Management, Place};

/// Probabilities are kept at least this far from 0 and 1, where odds are undefined.
const LEAST: f64 = 1e-6;

/// The chances of a signal, estimated from candles alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CandlePrior {
    /// The probability that the signal succeeds, 0–1.
    pub probability: f64,
    /// The probability without the features of the moment, 0–1.
    pub base_rate: f64,
}

impl Models {
    /// Asks the market's model in service about a signal with these features at entry. It takes the model's nearest
    /// known shape and adjusts the answer to the signal's own levels. A signal without an expiry is assumed to have the
    /// configured one. `None` if no model is in memory, and for invalid levels or features. Reads no files; see
    /// [`Self::read_candle_model`]. `time_ms` is when the candle of the features opened. Asks the user's own model, if
    /// the answer needs it, only if it may `wait`.
    ///
    /// # Errors
    /// [`Lack`] if the own model that the answer needs does not answer.
    pub(super) fn candle_prior(
        &self,
        market: &Market,
        direction: Direction,
        (time_ms, features): (i64, &[f64]),
        asked: AskedLevels<'_>,
        wait: bool,
    ) -> std::result::Result<Option<CandlePrior>, Lack> {
        let Some(Ok(model)) = self.registry.get(market).ready() else { return Ok(None) };
        let needs_own = nearest(&model, direction, features, asked).is_some_and(|known| known.needs_own());
        let own = match needs_own.then(|| self.own_departures(&model, time_ms, features)) {
            None => Ok(None),
            Some(Answer::Ready(known)) => known,
            Some(Answer::Pending(ask)) if wait => ask(),
            Some(Answer::Pending(_)) => return Err(Lack::NotAsked),
        };
        Ok(prior(&model, direction, features, asked, own.map_err(Lack::Failed)?))
    }

    /// Whether [`Self::candle_prior`] can answer without [`Self::read_candle_model`]: the model in service is in
    /// memory, or there is none. A database that was not asked yet counts as having none.
    pub(super) fn has_read_candle_model(&self, market: &Market) -> bool {
        self.registry.has_read(market)
    }

    /// Reads the model in service into memory, for [`Self::candle_prior`]. Reads files. A model that cannot be used
    /// is reported as a warning, once.
    pub(super) fn read_candle_model(&self, market: &Market) {
        self.is_usable(market, guard(|| self.registry.get(market).wait()));
    }
}

/// Why the user's own model did not answer.
#[derive(Debug, Clone)]
pub(super) enum Lack {
    /// It has to be asked, which would have to be waited for.
    NotAsked,
    /// It is missing, or it failed.
    Failed(Error),
}

/// The levels of a signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedLevels<'a> {
    /// Stop distance in percent of the entry.
    pub stop_percent: f64,
    /// Target distance over stop distance; of several targets, their mean by shares.
    pub reward_risk: f64,
    /// Candles until it expires; `None` where it never does.
    pub expiry_bars: Option<f64>,
    /// How it is managed; `None` for one target and a stop that stays.
    pub management: Option<&'a Management>,
}

impl AskedLevels<'_> {
    /// The odds against success on a price without drift.
    fn odds_against(&self) -> f64 {
        odds_against(self.reward_risk, self.management)
    }
}

/// The odds against the success of a bet on a price without drift: of a plain one, its ratio of reward to risk.
fn odds_against(reward_risk: f64, management: Option<&Management>) -> f64 {
    management.map_or(reward_risk, |management| {
        let success = management.driftless().success.clamp(LEAST, 1.0 - LEAST);
        (1.0 - success) / success
    })
}

/// One direction of a shape that a model knows.
struct KnownShape<'a> {
    place: Place,
    odds_against: f64,
    base_rate: f64,
    belief: f64,
    side: &'a PoolSide,
    /// How an own model joins it.
    blend: Blend,
}

impl KnownShape<'_> {
    fn needs_own(&self) -> bool {
        self.belief > 0.0 && self.blend.weight > 0.0
    }
}

fn prior(
    model: &Model,
    direction: Direction,
    features: &[f64],
    asked: AskedLevels<'_>,
    own: OwnDepartures,
) -> Option<CandlePrior> {
    let known = nearest(model, direction, features, asked)?;
    // The model's estimate is used only if it has skill. A model trained with volume also needs candles with volume.
    let is_lacking = !model.pool.record.is_silent && lacks_volume(features);
    let own = own.map(|own| own[direction as usize]);
    let departure =
        if known.belief > 0.0 && !is_lacking { known.blend.mean(known.side.departure(features)?, own) } else { 0.0 };
    let said = believed(known.base_rate, known.belief, departure);
    let moved = |p: f64| moved(p, known.odds_against, asked.odds_against());
    Some(CandlePrior { probability: moved(said), base_rate: moved(known.base_rate) })
}

/// The shape nearest to the signal's levels among those that are managed as it is, else among plain ones. If two are
/// equally near, the configured one wins, then the more frequent one.
fn nearest<'a>(
    model: &'a Model,
    direction: Direction,
    features: &[f64],
    asked: AskedLevels<'_>,
) -> Option<KnownShape<'a>> {
    let configured = model.record.shape();
    let bars = asked.expiry_bars.unwrap_or(configured.expiry_bars as f64);
    let wanted = Place::of(asked.stop_percent / features.get(ATR_PERCENT)?, asked.reward_risk, bars)?;
    let (at, own) = (direction as usize, model.side(direction));
    let first = KnownShape {
        place: Place::of_shape(&configured)?,
        odds_against: configured.reward_risk,
        base_rate: own.base_rate,
        belief: own.belief,
        side: &model.pool.sides[at],
        blend: model.pool.own.as_ref().map(|own| own.sides[at].blend).unwrap_or_default(),
    };
    let kind = |management: Option<&Management>| management.map(Management::kind);
    let (asked_kind, shapes) = (kind(asked.management), &model.pool.shapes);
    let is_known = asked_kind.is_some() && shapes.iter().any(|shaped| kind(shaped.management.as_ref()) == asked_kind);
    let wanted_kind = asked_kind.filter(|_| is_known);
    let alike = shapes.iter().filter(|shaped| kind(shaped.management.as_ref()) == wanted_kind);
    let others = alike.filter_map(|shaped| {
        let shape = &shaped.record.shape;
        Some(KnownShape {
            place: Place::of_shape(shape)?,
            odds_against: odds_against(shape.reward_risk, shaped.management.as_ref()),
            base_rate: shaped.base_rates(&model.record.market.symbol)[at],
            belief: shaped.record.beliefs[at],
            side: &shaped.sides[at],
            blend: Blend::default(),
        })
    });
    let distance = |known: &KnownShape<'_>| known.place.distance(&wanted);
    // The configured shape is plain.
    let first = Some(first).filter(|_| !is_known);
    first.into_iter().chain(others).min_by(|one, other| distance(one).total_cmp(&distance(other)))
}

/// Converts a probability from one bet to another. The log odds change by as much as they would for a price without
/// drift. For plain bets the odds against success are then the ratio of reward to risk.
fn moved(p: f64, from: f64, to: f64) -> f64 {
    if from == to {
        return p;
    }
    let odds = p.clamp(LEAST, 1.0 - LEAST) / (1.0 - p.clamp(LEAST, 1.0 - LEAST)) * from / to;
    odds / (1.0 + odds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without an own model.
    fn prior(model: &Model, direction: Direction, row: &[f64], asked: AskedLevels<'_>) -> Option<CandlePrior> {
        super::prior(model, direction, row, asked, None)
    }
    use domain::config::SignalShape;
    use domain::features::{COUNT, FEATURES, OF_VOLUME};
    use domain::symbol::Symbol;
    use learning::model::{ShapeRecord, ShapedPool, Skill, file};
    use std::path::Path;
    use std::sync::Arc;

    const OTHER: SignalShape = SignalShape { stop_atr: 4.0, reward_risk: 1.0, expiry_bars: 60 };

    fn market() -> Market {
        Market::parse("BTCUSDT", "1h").unwrap()
    }

    /// The fixture's model with full belief, and with a second shape whose sides are exchanged.
    fn model() -> Model {
        let fixture = include_bytes!("../../testkit/fixtures/champion.model");
        let mut model = file::decode(fixture, Path::new("fixture"), &market(), 0, None).unwrap();
        (model.buy.belief, model.sell.belief) = (1.0, 1.0);
        let pool = Arc::make_mut(&mut model.pool);
        let [buy, sell] = pool.sides.clone();
        let record =
            ShapeRecord { shape: OTHER, signals: 70, rows: 500, beliefs: [0.5, 0.25], skill: Skill::default() };
        let base_rates = vec![(market().symbol, [0.45, 0.55])];
        pool.shapes = vec![ShapedPool { record, sides: [sell, buy], base_rates, management: None }];
        model
    }

    fn features(rsi: f64) -> [f64; COUNT] {
        let mut row = [0.3; COUNT];
        (row[8], row[ATR_PERCENT]) = (rsi, 0.5);
        row
    }

    fn ask(stop_atr: f64, reward_risk: f64, expiry_bars: Option<f64>) -> AskedLevels<'static> {
        AskedLevels { stop_percent: 0.5 * stop_atr, reward_risk, expiry_bars, management: None }
    }

    #[test]
    fn a_signal_of_a_shape_hears_what_that_shape_says() {
        let model = model();
        let own = model.record.shape();
        let mut departed = 0;
        for rsi in [10.0, 35.0, 50.0, 65.0, 90.0] {
            let row = features(rsi);
            let stated = model.stated(&row).unwrap();
            for (at, direction) in [Direction::Buy, Direction::Sell].into_iter().enumerate() {
                let asked = ask(own.stop_atr, own.reward_risk, Some(own.expiry_bars as f64));
                let of_own = prior(&model, direction, &row, asked).unwrap();
                assert_eq!((of_own.probability, of_own.base_rate), (stated[at], model.side(direction).base_rate));
                let shaped = &model.pool.shapes[0];
                let departure = shaped.sides[at].departure(&row).unwrap();
                let expected = believed([0.45, 0.55][at], [0.5, 0.25][at], departure);
                let near = prior(&model, direction, &row, ask(4.4, 1.0, Some(66.0))).unwrap();
                assert_eq!((near.probability, near.base_rate), (expected, [0.45, 0.55][at]));
                departed += usize::from(near.probability != near.base_rate && of_own.probability != near.probability);
            }
        }
        assert!(departed > 0, "the test would show nothing");
    }

    #[test]
    fn a_managed_signal_hears_the_model_of_its_kind() {
        let (mut model, row) = (model(), features(40.0));
        let management = |first: f64| Management {
            targets: vec![(first, 50.0), (2.0, 50.0)],
            break_even_after: Some(1),
            trail: None,
            trail_from: 0.0,
            moves: Vec::new(),
        };
        let ladder = management(1.0);
        let asked = AskedLevels { management: Some(&ladder), ..ask(4.0, 1.5, Some(60.0)) };
        // No model of its kind: the nearest plain one, moved by what both would do without drift.
        let plain = prior(&model, Direction::Buy, &row, ask(4.0, 1.0, Some(60.0))).unwrap();
        let heard = prior(&model, Direction::Buy, &row, asked).unwrap();
        assert!((heard.base_rate - plain.base_rate).abs() < 1e-9, "both succeed with one half without drift");
        let pool = Arc::make_mut(&mut model.pool);
        let record = ShapeRecord { shape: SignalShape { stop_atr: 9.0, ..OTHER }, ..pool.shapes[0].record };
        let base_rates = vec![(market().symbol, [0.7, 0.6])];
        let sides = pool.shapes[0].sides.clone();
        pool.shapes.push(ShapedPool { record, sides, base_rates, management: Some(ladder.clone()) });
        let heard = prior(&model, Direction::Buy, &row, asked).unwrap();
        assert!((heard.base_rate - 0.7).abs() < 1e-9, "{heard:?}");
        let near = management(1.05);
        let asked = AskedLevels { management: Some(&near), ..asked };
        assert!(prior(&model, Direction::Buy, &row, asked).unwrap().base_rate < 0.7, "a farther target");
        // A plain signal does not hear it.
        assert_eq!(prior(&model, Direction::Buy, &row, ask(4.0, 1.0, Some(60.0))), Some(plain));
    }

    #[test]
    fn what_is_said_moves_with_the_levels() {
        let (model, row) = (model(), features(40.0));
        let at = |reward_risk| prior(&model, Direction::Buy, &row, ask(4.0, reward_risk, Some(60.0))).unwrap();
        let own = at(1.0);
        // Twice the reward means half the odds.
        let far = at(1.2);
        let odds = |p: f64| p / (1.0 - p);
        assert!((odds(far.probability) * 1.2 / odds(own.probability) - 1.0).abs() < 1e-12);
        assert!((odds(far.base_rate) * 1.2 / odds(own.base_rate) - 1.0).abs() < 1e-12);
        assert!((moved(1.0 / 3.0, 2.0, 1.0) - 0.5).abs() < 1e-12 && (moved(0.5, 1.0, 4.0) - 0.2).abs() < 1e-12);
        assert!(moved(1.0, 1.0, 2.0) < 1.0 && moved(0.0, 2.0, 1.0) > 0.0);
    }

    #[test]
    fn without_belief_it_is_the_base_rate_and_without_numbers_nothing() {
        let mut model = model();
        let (row, mut silent) = (features(40.0), features(40.0));
        let none = |model: &Model, row: &[f64], asked| assert_eq!(prior(model, Direction::Buy, row, asked), None);
        none(&model, &row, ask(0.0, 2.0, None));
        none(&model, &row, ask(2.0, f64::NAN, None));
        none(&model, &row[..10], ask(2.0, 2.0, None));
        none(&model, &row[..COUNT - 1], ask(1.5, 2.0, None));
        // A signal without an expiry has the configured one.
        let own = model.record.shape();
        let asked = |bars| ask(own.stop_atr, own.reward_risk, bars);
        let [without, with] =
            [None, Some(own.expiry_bars as f64)].map(|bars| prior(&model, Direction::Buy, &row, asked(bars)));
        assert!(without.is_some() && without == with);
        let pool = Arc::make_mut(&mut model.pool);
        pool.shapes[0].record.beliefs = [0.0; 2];
        let said = prior(&model, Direction::Sell, &row, ask(4.0, 1.0, Some(60.0))).unwrap();
        assert_eq!((said.probability, said.base_rate), (0.55, 0.55));
        // A model that uses volume has nothing to say about candles without volume.
        for (name, usual) in OF_VOLUME {
            silent[FEATURES.iter().position(|feature| feature.name == name).unwrap()] = usual;
        }
        let own = prior(&model, Direction::Buy, &silent, asked(None)).unwrap();
        assert_eq!(own.probability, own.base_rate);
        // A symbol that the shape was not trained on has the base rates of all symbols.
        model.record.market.symbol = Symbol::given("ETHUSDT").unwrap();
        let said = prior(&model, Direction::Sell, &row, ask(4.0, 1.0, Some(60.0))).unwrap();
        assert_eq!(said.base_rate, model.pool.shapes[0].sides[1].base_rate);
    }
}
