//! The labelled rows of a market, what each counts, and forests fitted to some of them.

use super::decide::{Costs, choose};
use super::feedback::Feedback;
use super::labels::{Label, label};
use super::weights::{average_uniqueness, time_decay};
use crate::barrier::Direction;
use crate::config::{Config, SignalShape};
use crate::error::{Error, Result};
use crate::features::{self, FEATURES, Missing, OF_VOLUME, Row, Rows, WARM_UP};
use crate::market::Candle;
use crate::model::{Forest, Held, HeldOut, Lineage, Model, Payoff, Record, Scores, Side};
use crate::order;
use crate::symbol::Market;
use std::collections::BTreeMap;

/// The fewest labelled rows a model is trained on.
pub const MIN_ROWS: usize = 200;
/// Candles that are enough for [`MIN_ROWS`] where bets expire after so many bars: the first have no features yet, the last no
/// outcome yet, and a tenth may be lost to holes.
pub fn candles_needed(expiry_bars: usize) -> usize {
    (WARM_UP + MIN_ROWS + expiry_bars) * 11 / 10
}
/// Rows in a leaf at least: labels of neighbouring bars overlap, so a leaf of few rows would be one event.
pub(super) const MIN_LEAF: usize = 25;

/// Labelled rows in order of time.
pub(super) struct Dataset {
    pub rows: Rows,
    pub labels: Vec<Label>,
    pub bars: Vec<usize>,
    /// The bar at which both labels of a row are decided.
    pub ends: Vec<usize>,
    pub times_ms: Vec<i64>,
    /// BUY, then SELL.
    pub sides: [Targets; 2],
    /// What became of live signals of this market.
    pub feedback: Feedback,
    pub candle_ms: i64,
    atr: Vec<f64>,
    entries: Vec<f64>,
    candles: usize,
    /// Close of the last candle that a label saw, UTC epoch ms: nothing later is known.
    pub horizon_ms: i64,
    missing: BTreeMap<Missing, usize>,
    unlabelled: usize,
    /// The candles have no volume: its features are constants, which no tree can learn from.
    pub is_silent: bool,
}

/// A direction's targets and weights.
pub(super) struct Targets {
    pub direction: Direction,
    /// 1 where the bet succeeded, else 0.
    pub happened: Vec<f64>,
    pub uniqueness: Vec<f64>,
    pub weights: Vec<f64>,
}

impl Targets {
    fn new(labels: &[Label], bars: &[usize], times_ms: &[i64], direction: Direction) -> Self {
        let endings: Vec<_> = labels.iter().map(|label| label.of(direction)).collect();
        let spans: Vec<_> =
            bars.iter().zip(&endings).map(|(&bar, ending)| (bar as i64 + 1, ending.bar as i64 + 1)).collect();
        let uniqueness = average_uniqueness(&spans);
        let weights = uniqueness.iter().zip(time_decay(times_ms)).map(|(base, decay)| base * decay).collect();
        let happened = endings.iter().map(|ending| f64::from(u8::from(ending.success))).collect();
        Self { direction, happened, uniqueness, weights }
    }

    /// The weighted share of successes among the rows at `positions`.
    pub fn base_rate(&self, positions: &[usize]) -> f64 {
        let total: f64 = positions.iter().map(|&row| self.weights[row]).sum();
        positions.iter().map(|&row| self.happened[row] * self.weights[row]).sum::<f64>() / total
    }

    /// A prediction of a row, to be scored.
    pub fn held(&self, row: usize, probability: f64, constant: f64) -> Held {
        Held { happened: self.happened[row] > 0.5, probability, constant, weight: self.uniqueness[row] }
    }
}

impl Dataset {
    /// Features and labels of all bars that have both.
    ///
    /// # Errors
    /// [`Error::NoData`] with the counts when there are fewer than [`MIN_ROWS`].
    pub fn new(market: &Market, candles: &[Candle], config: &Config) -> Result<Self> {
        let candle_ms = market.timeframe.millis();
        let table = features::compute(candles, candle_ms);
        let mut rows = table.rows;
        let kept: &mut [Row] = &mut rows;
        let (mut labels, mut bars, mut atr) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (&bar, &range)) in table.bars.iter().zip(&table.atr).enumerate() {
            if let Some(label) = label(candles, bar, &table.calendar, range, &config.signal) {
                kept[bars.len()] = kept[at];
                labels.push(label);
                bars.push(bar);
                atr.push(range);
            }
        }
        let unlabelled = rows.len() - bars.len();
        rows.truncate(bars.len());
        if bars.len() < MIN_ROWS {
            let causes: Vec<String> =
                table.missing.iter().map(|(cause, n)| format!("{n} {}", cause.describe())).collect();
            return Err(Error::NoData(format!(
                "{market}: {} candles give {} labelled rows, training needs {MIN_ROWS} (bars left out: {}; \
                 {unlabelled} not decided yet). Fetch a longer history: `history_days` in training_config.json",
                candles.len(),
                bars.len(),
                if causes.is_empty() { "none".to_owned() } else { causes.join(", ") },
            )));
        }
        let times_ms: Vec<i64> = bars.iter().map(|&bar| candles[bar].open_ms).collect();
        let sides = [Direction::Buy, Direction::Sell].map(|side| Targets::new(&labels, &bars, &times_ms, side));
        let ends: Vec<usize> = labels.iter().map(Label::last_bar).collect();
        let last_bar = ends.iter().copied().max().unwrap_or_default();
        Ok(Self {
            rows,
            entries: bars.iter().map(|&bar| candles[bar].close).collect(),
            candles: candles.len(),
            horizon_ms: candles[last_bar].open_ms + candle_ms,
            missing: table.missing,
            unlabelled,
            is_silent: features::is_silent(candles),
            labels,
            bars,
            ends,
            times_ms,
            sides,
            atr,
            feedback: Feedback::default(),
            candle_ms,
        })
    }

    /// The same rows with what became of live signals of the market.
    pub fn with_feedback(self, feedback: &Feedback) -> Self {
        let mut feedback = feedback.clone();
        if self.is_silent {
            feedback.rows.iter_mut().for_each(|row| features::silence(&mut row.features));
        }
        Self { feedback, ..self }
    }

    /// Labelled rows.
    pub fn len(&self) -> usize {
        self.bars.len()
    }

    /// The features of a row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.rows[row]
    }

    /// The first row that comes after everything `model` was trained on.
    pub fn first_after(&self, model: &Model) -> usize {
        self.times_ms.partition_point(|&time| time < model.record.horizon_ms)
    }

    /// How many independent labels rows are worth, the mean of both sides.
    pub fn effective(&self, rows: std::ops::Range<usize>) -> f64 {
        self.sides.iter().flat_map(|side| &side.uniqueness[rows.clone()]).sum::<f64>() / 2.0
    }

    fn stop_percent(&self, row: usize, shape: &SignalShape) -> f64 {
        shape.stop_percent(self.atr[row] / self.entries[row])
    }

    /// What a side's bets at the rows at `positions` came to, weighted as those rows.
    pub fn payoff(&self, targets: &Targets, positions: &[usize], shape: &SignalShape) -> Payoff {
        let mean = |success: bool| {
            let (mut sum, mut total) = (0.0, 0.0);
            for &row in positions.iter().filter(|&&row| (targets.happened[row] > 0.5) == success) {
                let profit = self.labels[row].of(targets.direction).profit_percent;
                sum += targets.weights[row] * profit / self.stop_percent(row, shape);
                total += targets.weights[row];
            }
            (total > 0.0).then(|| sum / total)
        };
        let levels = Payoff::at_levels(shape.reward_risk);
        Payoff { win: mean(true).unwrap_or(levels.win), loss: mean(false).map_or(levels.loss, |loss| -loss) }
    }

    /// Predictions of a row beside what became of it, with the profit of the signal that they would have led to.
    pub fn held_out(&self, row: usize, buy: Held, sell: Held, payoffs: [Payoff; 2], config: &Config) -> HeldOut {
        let stop = self.stop_percent(row, &config.signal);
        let costs = payoffs.map(|payoff| Costs::new(payoff, stop, config.fee_bps));
        let stated = [buy.probability, sell.probability];
        let direction = choose(stated, [buy.constant, sell.constant], &costs, 0.0).ok();
        let profit = direction.map(|direction| self.labels[row].of(direction).profit_percent - config.fee_bps / 100.0);
        HeldOut { time_ms: self.times_ms[row], buy, sell, profit }
    }

    /// What sides say of a row, as they would be served.
    pub fn served(&self, row: usize, sides: [&Side; 2], config: &Config) -> Result<HeldOut> {
        let say = |targets: &Targets, side: &Side| -> Result<Held> {
            let probability = side.probability(self.row(row)).ok_or_else(lost)?;
            Ok(targets.held(row, probability, side.base_rate))
        };
        let [buy, sell] = &self.sides;
        Ok(self.held_out(row, say(buy, sides[0])?, say(sell, sides[1])?, sides.map(|side| side.payoff), config))
    }

    /// The model of these sides, whose held-out figures are those of `held_out`.
    pub fn model(
        &self,
        market: &Market,
        [buy, sell]: [Side; 2],
        held_out: &[HeldOut],
        lineage: Lineage,
        config: &Config,
        now_ms: i64,
    ) -> Model {
        let of = |side: fn(&HeldOut) -> Held| Scores::of(&held_out.iter().map(side).collect::<Vec<_>>());
        let profits: Vec<f64> = held_out.iter().filter_map(|row| row.profit).collect();
        let record = Record {
            market: market.clone(),
            trained_ms: now_ms,
            features_version: features::VERSION,
            stop_atr: config.signal.stop_atr,
            reward_risk: config.signal.reward_risk,
            expiry_bars: config.signal.expiry_bars,
            candles: self.candles,
            rows: self.len(),
            effective_rows: self.effective(0..self.len()),
            missing: self.missing.clone(),
            unlabelled: self.unlabelled,
            first_ms: self.times_ms[0],
            horizon_ms: self.horizon_ms,
            buy: of(|row| row.buy),
            sell: of(|row| row.sell),
            held_out_signals: profits.len(),
            held_out_profit: (!profits.is_empty()).then(|| profits.iter().sum::<f64>() / profits.len() as f64),
            beliefs: [buy.belief, sell.belief],
            importances: importances(&buy.forest, &sell.forest, self.is_silent),
            trees: config.trees,
            seed: config.seed,
        };
        Model { record, buy, sell, lineage }
    }
}

pub(super) fn lost() -> Error {
    Error::Internal("a feature row lost its values".to_owned())
}

/// Of the features that a model was trained on: without volume, of those that do without it.
fn importances(buy: &Forest, sell: &Forest, is_silent: bool) -> Vec<(String, f64)> {
    let mean = |(a, b): (&f64, &f64)| (a + b) / 2.0;
    let values = buy.importances().iter().zip(sell.importances()).map(mean);
    let named = FEATURES.iter().map(|feature| feature.name.to_owned()).zip(values);
    let used = |(name, _): &(String, f64)| !is_silent || OF_VOLUME.iter().all(|(of_volume, _)| name != of_volume);
    let mut named: Vec<_> = named.filter(used).collect();
    order::sort_by(&mut named, |a, b| b.1.total_cmp(&a.1));
    named
}
