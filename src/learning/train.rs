//! Training the model of one market, and scoring it on rows it has not seen.

use super::decide::{Costs, choose};
use super::folds::walk_forward;
use super::labels::{Label, label};
use super::shrinkage::believe;
use super::weights::{average_uniqueness, time_decay};
use crate::barrier::Direction;
use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::features::{self, COUNT, FEATURES};
use crate::market::Candle;
use crate::model::{Forest, ForestParameters, Held, Model, Probabilities, Record, Scores, Side, shrink};
use crate::symbol::Market;
use ndarray::{Array2, Axis};

/// The fewest labelled rows a model is trained on.
pub const MIN_ROWS: usize = 200;
/// Levels of a tree at most.
const MAX_DEPTH: u16 = 7;
/// Rows in a leaf at least: labels of neighbouring bars overlap, so a leaf of few rows would be one event.
const MIN_LEAF: usize = 25;

/// How far the training of one market has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
}

/// Labelled rows in order of time.
struct Dataset {
    rows: Array2<f64>,
    labels: Vec<Label>,
    bars: Vec<usize>,
    atr: Vec<f64>,
    times_ms: Vec<i64>,
}

/// A direction's targets and weights.
struct Targets {
    direction: Direction,
    happened: Vec<f64>,
    uniqueness: Vec<f64>,
    weights: Vec<f64>,
}

impl Targets {
    fn new(data: &Dataset, direction: Direction) -> Self {
        let endings: Vec<_> = data.labels.iter().map(|label| label.of(direction)).collect();
        let spans: Vec<_> = data.bars.iter().zip(&endings).map(|(&bar, ending)| (bar + 1, ending.bar)).collect();
        let uniqueness = average_uniqueness(&spans);
        let weights = uniqueness.iter().zip(time_decay(&data.times_ms)).map(|(base, decay)| base * decay).collect();
        let happened = endings.iter().map(|ending| f64::from(u8::from(ending.success))).collect();
        Self { direction, happened, uniqueness, weights }
    }

    /// Forest and weighted base rate of the rows at `positions`.
    fn fit(
        &self,
        data: &Dataset,
        positions: &[usize],
        trees: usize,
        seed: u64,
        cancel: &Cancel,
    ) -> Result<(Forest, f64)> {
        let pick = |values: &[f64]| positions.iter().map(|&i| values[i]).collect::<Vec<_>>();
        let (happened, weights) = (pick(&self.happened), pick(&self.weights));
        let parameters = ForestParameters {
            trees,
            max_depth: MAX_DEPTH,
            min_leaf: MIN_LEAF,
            // BUY and SELL draw different samples.
            seed: seed.wrapping_mul(2).wrapping_add(u64::from(self.direction == Direction::Sell)),
        };
        let rows = data.rows.select(Axis(0), positions);
        let forest = Forest::fit(rows.view(), &happened, &weights, parameters, cancel)?;
        let total: f64 = weights.iter().sum();
        let base_rate = happened.iter().zip(&weights).map(|(y, w)| y * w).sum::<f64>() / total;
        Ok((forest, base_rate))
    }
}

/// Trains the model of `market` on its candles (checked, oldest first). `now_ms` becomes its training time; `progress`
/// is told after each fit.
///
/// # Errors
/// [`Error::NoData`] with the counts when there are too few candles or labelled rows; [`Error::Cancelled`].
pub fn train_market(
    market: &Market,
    candles: &[Candle],
    config: &Config,
    now_ms: i64,
    cancel: &Cancel,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Model> {
    let candle_ms = market.timeframe.millis();
    let table = features::compute(candles, candle_ms);
    let data = dataset(candles, &table, candle_ms, config);
    let unlabelled = table.rows.len() - data.bars.len();
    let count = data.bars.len();
    if count < MIN_ROWS {
        let causes: Vec<String> = table.missing.iter().map(|(cause, n)| format!("{n} {}", cause.describe())).collect();
        return Err(Error::NoData(format!(
            "{market}: {} candles give {count} labelled rows, training needs {MIN_ROWS} (bars left out: {}; \
             {unlabelled} not decided yet). Fetch a longer history: `history_days` in training_config.json",
            candles.len(),
            if causes.is_empty() { "none".to_owned() } else { causes.join(", ") },
        )));
    }
    let ends: Vec<usize> = data.labels.iter().map(Label::last_bar).collect();
    let folds = walk_forward(&data.bars, &ends);
    let sides = [Targets::new(&data, Direction::Buy), Targets::new(&data, Direction::Sell)];
    let total = 2 * (folds.len() + 1);
    let mut done = 0;
    let mut advance = || {
        done += 1;
        progress(Step { done, total });
    };

    // Walk forward: each block is predicted by a forest of earlier rows, believed as far as earlier blocks justify.
    // Half the trees do for that: a smaller forest is a little noisier, so that the figures err on the modest side.
    let mut raw: [Vec<Held>; 2] = Default::default();
    let mut served: [Vec<Held>; 2] = Default::default();
    for fold in &folds {
        for (side, targets) in sides.iter().enumerate() {
            let belief = believe(&raw[side]);
            let first = raw[side].is_empty();
            let (forest, constant) = targets.fit(&data, &fold.train, config.trees.div_ceil(2), config.seed, cancel)?;
            for row in fold.test.clone() {
                let probability = forest
                    .predict(data.rows.row(row).as_slice().unwrap_or_default())
                    .ok_or_else(|| Error::Internal("a feature row lost its values".to_owned()))?;
                let (happened, weight) = (targets.happened[row] > 0.5, targets.uniqueness[row]);
                raw[side].push(Held { happened, probability, constant, weight });
                // The first block only teaches how far to believe; nothing could have been believed in it.
                if !first {
                    served[side].push(Held {
                        probability: shrink(probability, constant, belief),
                        happened,
                        constant,
                        weight,
                    });
                }
            }
            advance();
        }
    }

    let scored_from = folds.get(1).map_or(count, |fold| fold.test.start);
    let (held_out_signals, held_out_profit) = trade(&data, scored_from, &served, candles, config);
    let everything: Vec<usize> = (0..count).collect();
    let mut fitted = Vec::with_capacity(2);
    for (side, targets) in sides.iter().enumerate() {
        let (forest, base_rate) = targets.fit(&data, &everything, config.trees, config.seed, cancel)?;
        fitted.push(Side { forest, base_rate, belief: believe(&raw[side]) });
        advance();
    }
    let (Some(sell), Some(buy)) = (fitted.pop(), fitted.pop()) else {
        return Err(Error::Internal("a side was not fitted".to_owned()));
    };
    let last_bar = ends.iter().copied().max().unwrap_or_default();
    let record = Record {
        market: market.clone(),
        trained_ms: now_ms,
        features_version: features::VERSION,
        stop_atr: config.signal.stop_atr,
        reward_risk: config.signal.reward_risk,
        expiry_bars: config.signal.expiry_bars,
        candles: candles.len(),
        rows: count,
        effective_rows: sides.iter().flat_map(|side| &side.uniqueness).sum::<f64>() / 2.0,
        missing: table.missing,
        unlabelled,
        first_ms: data.times_ms[0],
        horizon_ms: candles[last_bar].open_ms + candle_ms,
        buy: Scores::of(&served[0]),
        sell: Scores::of(&served[1]),
        held_out_signals,
        held_out_profit,
        beliefs: [buy.belief, sell.belief],
        importances: importances(&buy.forest, &sell.forest),
        trees: config.trees,
        seed: config.seed,
    };
    Ok(Model { record, buy, sell })
}

fn dataset(candles: &[Candle], table: &features::FeatureTable, candle_ms: i64, config: &Config) -> Dataset {
    let mut values = Vec::with_capacity(table.rows.len() * COUNT);
    let (mut labels, mut bars, mut atr) = (Vec::new(), Vec::new(), Vec::new());
    for ((row, &bar), &range) in table.rows.iter().zip(&table.bars).zip(&table.atr) {
        if let Some(label) = label(candles, bar, candle_ms, range, &config.signal) {
            values.extend_from_slice(row);
            labels.push(label);
            bars.push(bar);
            atr.push(range);
        }
    }
    let times_ms = bars.iter().map(|&bar| candles[bar].open_ms).collect();
    // The length is rows × COUNT by construction.
    let rows = Array2::from_shape_vec((bars.len(), COUNT), values).unwrap_or_default();
    Dataset { rows, labels, bars, atr, times_ms }
}

/// What the signals that the model would have given on held-out bars came to: how many, and their mean profit in percent
/// after costs.
fn trade(
    data: &Dataset,
    from: usize,
    served: &[Vec<Held>; 2],
    candles: &[Candle],
    config: &Config,
) -> (usize, Option<f64>) {
    let mut profits = Vec::new();
    for (offset, (buy, sell)) in served[0].iter().zip(&served[1]).enumerate() {
        let row = from + offset;
        let probabilities = Probabilities { buy: buy.probability, sell: sell.probability, hold: 0.0 };
        let base = [buy.constant, sell.constant];
        let entry = candles[data.bars[row]].close;
        let costs = Costs::new(&config.signal, data.atr[row] / entry, config.fee_bps);
        if let Ok(direction) = choose(&probabilities, base, &costs) {
            profits.push(data.labels[row].of(direction).profit_percent - config.fee_bps / 100.0);
        }
    }
    let mean = (!profits.is_empty()).then(|| profits.iter().sum::<f64>() / profits.len() as f64);
    (profits.len(), mean)
}

fn importances(buy: &Forest, sell: &Forest) -> Vec<(String, f64)> {
    let mean = |(a, b): (&f64, &f64)| (a + b) / 2.0;
    let values = buy.importances().iter().zip(sell.importances()).map(mean);
    let mut named: Vec<_> = FEATURES.iter().map(|feature| feature.name.to_owned()).zip(values).collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    named
}
