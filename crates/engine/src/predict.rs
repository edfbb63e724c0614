//! Predictions, and the signals generated from them.

use super::Models;
use super::account::ProgressMeter;
use super::events::Event;
use super::models::{LEVELS_KEY, PREDICTION_KEY};
use super::own::OwnDepartures;
use super::recent_candles::{Latest, RecentCandles};
use crate::store_location::StoreLocation;
use domain::answer::Answer;
use domain::barrier::Direction;
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::error::{Error, Result, guard};
use domain::signal::{Indicators, Position, Signal};
use domain::symbol::Market;
use exchange::Begin;
use learning::features::{self, MIN_CANDLES};
use learning::model::{Model, Probabilities};
use learning::{Abstention, BetEntry, Costs, choose, levels_at};
use serde_json::{Map, json};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// The number of candles fetched first for a market that has none. It is one page, and more than a prediction needs.
const FIRST_CANDLES: u32 = 1000;
/// Up to this many candles, features are computed on the caller's thread. That takes a tenth of a millisecond at most.
const AT_ONCE: usize = 500;

/// The direction to bet on, or the reason not to bet.
pub type Decision = std::result::Result<Direction, Abstention>;

/// How far stop and target are from the entry, relative to the distance that the model was trained on. Their ratio
/// stays the same. The model's probabilities hold only for the distance it was trained on; success at other distances
/// was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Risk {
    /// Two thirds of the distance.
    Low,
    /// The distance that the model was trained on. The default.
    #[default]
    Medium,
    /// Four thirds of the distance.
    High,
}

impl Risk {
    fn scale(self) -> f64 {
        match self {
            Self::Low => 2.0 / 3.0,
            Self::Medium => 1.0,
            Self::High => 4.0 / 3.0,
        }
    }
}

/// What a model predicts at the close of the last candle.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// The market.
    pub market: Market,
    /// The direction to bet on, or the reason not to bet.
    pub decision: Decision,
    /// The probabilities that a BUY succeeds, that a SELL succeeds, and that neither does.
    pub probabilities: Probabilities,
    /// The base rates: how often a BUY and a SELL succeed on average, whatever the features.
    pub base_rates: [f64; 2],
    /// The model's probabilities for a BUY and a SELL here, and what each wins and loses; `None` without features.
    pub bets: Option<([f64; 2], [Costs; 2])>,
    /// By how much the probability of a bet must exceed break-even: 0, except in conservative mode.
    pub margin: f64,
    /// How far the levels are from the entry, relative to the distance that the model was trained on. 1 unless a
    /// [`Risk`] changes it.
    pub levels_scale: f64,
    /// The last close.
    pub price: f64,
    /// The average true range (14 bars) in price units; `None` without features.
    pub atr: Option<f64>,
    /// Close time of the last candle, UTC epoch ms.
    pub candle_close_ms: i64,
    /// Whether a newer candle should exist by now, so that the price is out of date. False while the market is closed.
    pub stale: bool,
    /// The trading hours of the market, learned from its candles. The expiry of a bet follows them.
    pub calendar: Arc<Calendar>,
    /// The model that made the prediction.
    pub model: Arc<Model>,
}

impl Prediction {
    /// The probability that the decision is right: that its bet succeeds or, for a HOLD, that neither bet does.
    pub fn confidence(&self) -> f64 {
        match self.decision {
            Ok(Direction::Buy) => self.probabilities.buy,
            Ok(Direction::Sell) => self.probabilities.sell,
            Err(_) => self.probabilities.hold,
        }
    }

    /// The probability of the decision as a share of itself and its strongest alternative: the opposite bet, or for a
    /// HOLD the better bet. `None` if the model has no opinion, because it has no skill or lacks something it needs. A
    /// HOLD without an edge counts as an opinion only if the model knows something about both bets.
    pub fn certainty(&self) -> Option<f64> {
        let Probabilities { buy, sell, hold } = self.probabilities;
        let knows_both =
            || self.bets.is_some_and(|(stated, _)| stated.iter().zip(&self.base_rates).all(|(a, b)| a != b));
        let (own, other) = match self.decision {
            Ok(Direction::Buy) => (buy, sell),
            Ok(Direction::Sell) => (sell, buy),
            Err(Abstention::NoEdge) if !knows_both() => return None,
            Err(Abstention::NoEdge | Abstention::ConservativeMode) => (hold, buy.max(sell)),
            Err(Abstention::NoSkill | Abstention::NoFeatures | Abstention::NoLevels | Abstention::StaleCandles) => {
                return None;
            }
        };
        Some(own / (own + other))
    }

    /// The success probability at which a bet earns nothing after costs: of the chosen bet, or for a HOLD of the bet
    /// with the higher expected profit. `None` without features, and for levels that the model was not trained on.
    pub fn break_even(&self) -> Option<f64> {
        let (_, [buy, sell]) = self.bets.filter(|_| self.is_measured())?;
        let Probabilities { buy: p, sell: q, .. } = self.probabilities;
        let is_buy = self.decision.map_or(buy.expectancy(p) >= sell.expectancy(q), |bet| bet == Direction::Buy);
        Some(if is_buy { buy.break_even() } else { sell.break_even() })
    }

    /// Whether the model was trained on levels at the signal's distance.
    pub fn is_measured(&self) -> bool {
        self.levels_scale == 1.0
    }

    /// The same prediction with levels as near or as far as `risk` says. Near levels make costs weigh more. Far levels
    /// do not make costs weigh less, because they were not measured: they never get a bet that medium levels would not
    /// get.
    pub fn at(mut self, risk: Risk) -> Self {
        self.levels_scale = risk.scale();
        if let Some((stated, costs)) = self.bets {
            let costs = costs.map(|costs| costs.scaled(self.levels_scale.min(1.0)));
            self.bets = Some((stated, costs));
            self.decision = choose(stated, self.base_rates, &costs, self.margin);
        }
        self
    }

    /// Explains in words why there is no signal or, for a bet, what supports it. Mentions levels that the model was not
    /// trained on.
    pub fn rationale(&self) -> String {
        let names_probabilities =
            matches!(self.decision, Ok(_) | Err(Abstention::NoEdge | Abstention::ConservativeMode));
        if self.is_measured() || !names_probabilities {
            return self.reasons();
        }
        format!(
            "{}; the probability is of the configured levels (stop {} ATR); for levels {:.2} times as far it was not measured",
            self.reasons(),
            self.model.record.shape().stop_atr,
            self.levels_scale,
        )
    }

    fn reasons(&self) -> String {
        let percent = |p: f64| format!("{:.1} %", 100.0 * p);
        let odds = |name: &str, p: f64, base: f64| {
            format!("a {name} succeeds with {} (base rate {})", percent(p), percent(base))
        };
        let Probabilities { buy, sell, .. } = self.probabilities;
        let [buy_needs, sell_needs] = self.bets.map_or([f64::NAN; 2], |(_, costs)| costs.map(|of| of.break_even()));
        match self.decision {
            Ok(Direction::Buy) => odds("BUY", buy, self.base_rates[0]),
            Ok(Direction::Sell) => odds("SELL", sell, self.base_rates[1]),
            Err(Abstention::NoSkill) => {
                "HOLD: on candles it had not seen, the model was no better than the base rate, so it gives no signal"
                    .into()
            }
            Err(Abstention::NoEdge) => format!(
                "HOLD: {} and {}; to earn its costs a BUY needs {}, a SELL {}, and a model that departs from the base rate",
                odds("BUY", buy, self.base_rates[0]),
                odds("SELL", sell, self.base_rates[1]),
                percent(buy_needs),
                percent(sell_needs),
            ),
            Err(Abstention::NoFeatures) => "HOLD: the last candles give no features (flat prices or no volume)".into(),
            Err(Abstention::NoLevels) => {
                "HOLD: the range is as large as the price, so stop or target would not be above 0".into()
            }
            Err(Abstention::ConservativeMode) => format!(
                "HOLD: recent signals did poorly, so until they recover a BUY needs {}, a SELL {}; {} and {}",
                percent(buy_needs + self.margin),
                percent(sell_needs + self.margin),
                odds("BUY", buy, self.base_rates[0]),
                odds("SELL", sell, self.base_rates[1]),
            ),
            Err(Abstention::StaleCandles) => {
                "HOLD: the stored candles are out of date and could not be brought up to date".into()
            }
        }
    }
}

/// A signal generated from a prediction.
#[derive(Debug, Clone)]
pub struct GeneratedSignal {
    /// The prediction. Its decision is the signal's.
    pub prediction: Prediction,
    /// Stop loss; `None` for a HOLD.
    pub stop_loss: Option<f64>,
    /// Take profit; `None` for a HOLD.
    pub take_profit: Option<f64>,
    /// When it was made, UTC epoch ms.
    pub timestamp_ms: i64,
    /// When it expires, UTC epoch ms; `None` for a HOLD.
    pub expires_ms: Option<i64>,
    /// The exchange's error message if the candles could not be brought up to date.
    pub warning: Option<String>,
}

impl GeneratedSignal {
    /// Makes a signal of a prediction at `timestamp_ms`. Its levels are as near or as far as [`Prediction::at`] has set
    /// them.
    pub fn new(mut prediction: Prediction, timestamp_ms: i64) -> Self {
        let shape = prediction.model.record.shape();
        let levels = prediction.decision.ok().zip(prediction.atr).map(|(direction, atr)| {
            let entry = BetEntry { price: prediction.price, time_ms: prediction.candle_close_ms };
            levels_at(entry, &prediction.calendar, atr * prediction.levels_scale, direction, &shape)
        });
        if levels.is_some_and(|levels| levels.stop_loss.is_none() || levels.take_profit.is_none()) {
            prediction.decision = Err(Abstention::NoLevels);
        }
        let levels = levels.filter(|_| prediction.decision.is_ok());
        Self {
            stop_loss: levels.and_then(|levels| levels.stop_loss),
            take_profit: levels.and_then(|levels| levels.take_profit),
            expires_ms: levels.and_then(|levels| levels.expires_ms),
            timestamp_ms,
            warning: None,
            prediction,
        }
    }

    /// The signal as the store records it, with the model's version and the probability that it promised.
    pub fn to_signal(&self) -> Signal {
        let prediction = &self.prediction;
        let mut promised = json!({
            "signal": prediction.decision.map_or(json!("HOLD"), |direction| json!(direction)),
            "confidence": 100.0 * prediction.confidence(),
            "modelVersion": prediction.model.version(),
        });
        if !prediction.is_measured() {
            promised[LEVELS_KEY] = json!(prediction.levels_scale);
        }
        Signal {
            id: self.id(),
            symbol: self.prediction.market.symbol.clone(),
            timeframe: self.prediction.market.timeframe,
            direction: self.prediction.decision.ok(),
            confidence: Some(100.0 * self.prediction.confidence()),
            entry_price: Some(self.prediction.price),
            stop_loss: self.stop_loss,
            take_profit: self.take_profit,
            timestamp_ms: self.timestamp_ms,
            expires_ms: self.expires_ms,
            strategy: None,
            source: None,
            tags: Vec::new(),
            terms: None,
            position: Position::default(),
            taken: true,
            indicators: Indicators::default(),
            features: None,
            extra: Map::from_iter([(PREDICTION_KEY.to_owned(), promised)]),
        }
    }

    /// A new unique id that contains the market and the time.
    pub fn id(&self) -> String {
        // The standard hasher gets a new random seed from the system each time.
        let random = RandomState::new().build_hasher().finish();
        format!("{}-{}-{:08x}", self.prediction.market.file_stem(), self.timestamp_ms, random as u32)
    }
}

/// The candles that a prediction is made from.
struct Basis<'a> {
    candles: Candles<'a>,
    last: Candle,
    /// The trading hours of the market.
    calendar: Arc<Calendar>,
}

enum Candles<'a> {
    Given(&'a [Candle]),
    /// The features of these are cached for later callers.
    Stored(Arc<RecentCandles>),
}

impl<'a> Basis<'a> {
    /// Uses candles that a caller gives. Their trading hours are those of the stored candles, because there are more of
    /// them. If none are stored, or if they show no closing hours, the hours are learned from the given candles.
    /// `stored` returns the stored candles, or `None` if finding them would have to wait.
    fn given(
        market: &Market,
        candles: &'a [Candle],
        now_ms: i64,
        stored: impl FnOnce() -> Option<Option<Arc<RecentCandles>>>,
    ) -> Result<Option<Self>> {
        let candles = exchange::check_given(candles, market, now_ms)?;
        let last = last_of(market, candles)?;
        let always = Calendar::always(market.timeframe.millis());
        let has_gap = candles.windows(2).any(|pair| always.is_gap(pair[0].open_ms, pair[1].open_ms));
        let calendar = if has_gap || always.is_behind(last.open_ms, now_ms) {
            let Some(stored) = stored() else { return Ok(None) };
            let of_stored = stored.map(|recent| recent.calendar().clone()).filter(|calendar| calendar.closes());
            of_stored.unwrap_or_else(|| Arc::new(Calendar::learn(candles, always.step_ms())))
        } else {
            Arc::new(always)
        };
        Ok(Some(Self { last, candles: Candles::Given(candles), calendar }))
    }

    fn stored(market: &Market, recent: Arc<RecentCandles>) -> Result<Self> {
        Ok(Self {
            last: last_of(market, &recent)?,
            calendar: recent.calendar().clone(),
            candles: Candles::Stored(recent),
        })
    }

    /// Whether the candles have no volume.
    fn is_silent(&self) -> bool {
        match &self.candles {
            Candles::Given(candles) => features::is_silent(candles),
            Candles::Stored(recent) => features::is_silent(recent),
        }
    }

    /// The features of the last candle, and the average true range.
    fn latest(&self) -> Latest {
        match &self.candles {
            Candles::Given(candles) => features::latest_within(candles, &self.calendar),
            Candles::Stored(recent) => recent.latest(recent.len()),
        }
    }
}

/// The last candle; fails if there are too few candles.
fn last_of(market: &Market, candles: &[Candle]) -> Result<Candle> {
    let last = candles.last().filter(|_| candles.len() >= MIN_CANDLES);
    last.copied().ok_or_else(|| {
        let count = candles.len();
        Error::NoData(format!("{market}: {count} candles, a prediction needs at least {MIN_CANDLES}"))
    })
}

impl Models {
    /// Predicts from `candles` (oldest first; if the last one is still open, it is left out), or from the stored ones.
    /// Ready at once if everything it needs is in memory, unless the series is long.
    ///
    /// # Errors
    /// [`Error::NoModel`], [`Error::ModelFile`]; [`Error::OwnModelMissing`], [`Error::OwnModel`]; [`Error::NoData`] for fewer than [`MIN_CANDLES`];
    /// [`Error::InvalidCandle`].
    pub fn predict<'a>(
        &'a self,
        market: &'a Market,
        candles: Option<&'a [Candle]>,
    ) -> Answer<Result<Prediction>, impl FnOnce() -> Result<Prediction> + 'a> {
        match self.predict_at_once(market, candles).transpose() {
            Some(prediction) => Answer::Ready(prediction),
            None => Answer::Pending(move || self.predict_reading(market, candles)),
        }
    }

    /// `None` if a file has to be read, or the series is long.
    fn predict_at_once(&self, market: &Market, candles: Option<&[Candle]>) -> Result<Option<Prediction>> {
        if candles.is_some_and(|candles| candles.len() > AT_ONCE) {
            return Ok(None);
        }
        let margin = self.performance.conservative_margin(market).ready().and_then(Result::ok);
        let known = self.registry.get(market).ready().and_then(Result::ok).zip(margin);
        let Some((model, margin)) = known else { return Ok(None) };
        let basis = match candles {
            Some(candles) => Basis::given(market, candles, self.settings.now_ms(), || {
                self.fetcher.candles().recent_in_memory(market)
            })?,
            None => match self.fetcher.candles().recent_in_memory(market) {
                Some(Some(recent)) => Some(Basis::stored(market, recent)?),
                _ => None,
            },
        };
        let Some(basis) = basis else { return Ok(None) };
        match self.own_of(&basis, &model).ready() {
            Some(own) => self.prediction(market, &basis, model.clone(), margin, own?).map(Some),
            None => Ok(None),
        }
    }

    fn predict_reading(&self, market: &Market, candles: Option<&[Candle]>) -> Result<Prediction> {
        let basis = match candles {
            // Given candles are used even if the stored ones cannot be read.
            Some(candles) => {
                let stored = || Some(self.fetcher.candles().recent(market).ok().flatten());
                let basis = Basis::given(market, candles, self.settings.now_ms(), stored)?;
                basis.ok_or_else(|| Error::Internal("stored candles were not waited for".to_owned()))?
            }
            None => Basis::stored(market, self.fetcher.candles().require(market)?)?,
        };
        let (model, margin) = (self.registry.get(market).wait()?, self.performance.conservative_margin(market).wait()?);
        let own = self.own_of(&basis, &model).wait()?;
        self.prediction(market, &basis, model.clone(), margin, own)
    }

    /// What the user's own model says about the last candle, if the prediction needs it.
    fn own_of<'a>(
        &'a self,
        basis: &Basis<'_>,
        model: &'a Model,
    ) -> Answer<Result<OwnDepartures>, impl FnOnce() -> Result<OwnDepartures> + 'a> {
        // Looking for features takes time, so it is done only for a model that needs an own one.
        let row = model.needs_own().and_then(|_| basis.latest().ok()).map(|(row, _)| row);
        let (Some(row), time_ms) = (row, basis.last.open_ms) else { return Answer::Ready(Ok(None)) };
        if let Some(known) = self.own_departures(model, time_ms, &row).ready() {
            return Answer::Ready(known);
        }
        Answer::Pending(move || self.own_departures(model, time_ms, &row).wait())
    }

    /// Whether a usable model is in service; `false` once the loop is closed. A model that cannot be used is reported
    /// as a warning, once. Never waits for a database: until the database has answered once, the result is `false`, and
    /// it is asked in the background.
    pub fn has_model(self: &Arc<Self>, market: &Market) -> bool {
        if self.lifetime.begin().is_err() {
            return false;
        }
        if matches!(self.store.location(), StoreLocation::Folder(_)) {
            return self.is_usable(market, guard(|| self.registry.get(market).wait()));
        }
        if self.registry.get(market).ready().is_some_and(|model| model.is_ok()) {
            return true;
        }
        if self.asking.lock().insert(market.clone()) {
            let (this, market) = (self.clone(), market.clone());
            std::thread::spawn(move || {
                this.is_usable(&market, guard(|| this.registry.get(&market).wait()));
                this.asking.lock().remove(&market);
            });
        }
        false
    }

    /// Whether a model was found. Reports a model that cannot be used.
    pub(super) fn is_usable(&self, market: &Market, found: Result<Arc<Model>>) -> bool {
        let problem = match &found {
            Ok(_) | Err(Error::NoModel { .. } | Error::Closed) => None,
            Err(error) => Some(format!("the model of {market} cannot be used: {error} [{}]", error.code())),
        };
        let known = &mut *self.unusable.lock();
        match problem {
            None => drop(known.remove(market)),
            Some(problem) if known.get(market) != Some(&problem) => {
                known.insert(market.clone(), problem.clone());
                self.events.emit(&Event::Warning(problem));
            }
            Some(_) => {}
        }
        found.is_ok()
    }

    fn prediction(
        &self,
        market: &Market,
        basis: &Basis<'_>,
        model: Arc<Model>,
        margin: f64,
        own: OwnDepartures,
    ) -> Result<Prediction> {
        let candle_ms = market.timeframe.millis();
        let base_rates = [model.buy.base_rate, model.sell.base_rate];
        let [buy, sell] = base_rates;
        let last = basis.last;
        let mut prediction = Prediction {
            market: market.clone(),
            decision: Err(Abstention::NoFeatures),
            probabilities: Probabilities::of(buy, sell),
            base_rates,
            bets: None,
            margin,
            levels_scale: 1.0,
            price: last.close,
            atr: None,
            candle_close_ms: last.open_ms + candle_ms,
            stale: basis.calendar.is_behind(last.open_ms, self.settings.now_ms()),
            calendar: basis.calendar.clone(),
            model: model.clone(),
        };
        // A model trained with volume cannot be used on candles without.
        let is_lacking = model.record.uses_volume() && basis.is_silent();
        if let Ok((row, atr)) = basis.latest()
            && !is_lacking
        {
            let stop = model.record.shape().stop_percent(atr / last.close);
            let costs =
                [&model.buy, &model.sell].map(|side| Costs::new(side.payoff, stop, self.settings.config().fee_bps));
            let stated = model
                .stated_with(&row, own)
                .ok_or_else(|| Error::Internal(format!("the model of {market} cannot read a row of features")))?;
            prediction.probabilities = Probabilities::of(stated[0], stated[1]);
            prediction.decision = choose(stated, base_rates, &costs, margin);
            prediction.bets = Some((stated, costs));
            prediction.atr = Some(atr);
        }
        Ok(prediction)
    }

    /// Brings the candles up to date and generates a signal. If the candles stay out of date, the signal is a HOLD,
    /// because its entry price would be wrong.
    ///
    /// # Errors
    /// As [`Self::predict`]; [`Error::Cancelled`] if the loop was closed in the meantime.
    pub async fn generate(&self, market: &Market, risk: Risk) -> Result<GeneratedSignal> {
        // Only recent candles are fetched, because the signal should not wait for older ones.
        let stored = self.fetcher.candles().has(market);
        let begin = if stored { Begin::Days(0) } else { Begin::Candles(FIRST_CANDLES) };
        let fetched =
            self.fetcher.update(self.fetcher.source()?.as_ref(), market, begin, &ProgressMeter::of(1), &|_| {}).await;
        if let Err(error @ Error::Cancelled(_)) = fetched {
            return Err(error);
        }
        let mut prediction = self.predict(market, None).wait()?.at(risk);
        if prediction.stale {
            prediction.decision = Err(Abstention::StaleCandles);
        }
        let signal = GeneratedSignal::new(prediction, self.settings.now_ms());
        Ok(GeneratedSignal { warning: fetched.err().map(|error| error.to_string()), ..signal })
    }
}
