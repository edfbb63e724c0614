//! The labelled rows of a market, and the base rates and payoffs that are known without features.

use super::clusters::{Weighed, interval};
use super::decide::{Costs, choose};
use super::feedback::Feedback;
use super::growing::{Columns, GrowingDataset, LabelledRows, SelectedRows};
use super::labels::Label;
use super::management::Management;
use super::own::{self, OwnModel};
use crate::features::{self, GrowingFeatures, Missing, WARM_UP};
use crate::model::{Held, HeldOut, Lineage, Model, OwnPart, Payoff, Pool, Record, Scores, Side, Skill, log_loss};
use domain::barrier::Direction;
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::config::{Config, SignalShape};
use domain::error::{Error, Result};
use domain::features::{FEATURES, OF_VOLUME};
use domain::symbol::Market;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fewest labelled rows a model is trained on.
pub const MIN_ROWS: usize = 200;
/// Rows a market needs for a base rate and payoffs of its own; with fewer, those of the pool are more accurate.
const FEW: usize = 500;
/// BUY, then SELL.
pub(super) const SIDES: [Direction; 2] = [Direction::Buy, Direction::Sell];
/// The number of candles that is enough for [`MIN_ROWS`] where bets expire after `expiry_bars` bars: the first bars
/// have no features yet, the last no outcome yet, and a tenth may be lost to gaps.
pub fn candles_needed(expiry_bars: usize) -> usize {
    (WARM_UP + MIN_ROWS + expiry_bars) * 11 / 10
}
/// The labelled rows of a market in order of time.
pub struct Dataset {
    /// The market they belong to.
    pub(super) market: Market,
    pub(super) rows: SelectedRows,
    pub(super) labels: Vec<Label>,
    /// Open times of the rows' candles, UTC epoch ms.
    pub(super) times_ms: Vec<i64>,
    /// For each row, the close of the candle at which both of its labels are known.
    pub(super) decided_ms: Vec<i64>,
    /// Whether the bet succeeded: BUY, then SELL.
    pub(super) happened: [Vec<bool>; 2],
    /// The closed live signals of this market.
    pub(super) feedback: Feedback,
    pub(super) candle_ms: i64,
    /// When the market trades.
    pub(super) calendar: Arc<Calendar>,
    atr: Vec<f64>,
    entries: Vec<f64>,
    candles: usize,
    /// The effective number of independent labels.
    effective: f64,
    /// Close of the last candle that any label depends on, UTC epoch ms. Nothing later is known to the training.
    pub(super) horizon_ms: i64,
    missing: BTreeMap<Missing, usize>,
    unlabelled: usize,
    /// The candles have no volume, so the volume features are constants.
    is_silent: bool,
}

/// The constant prediction of a market, made without features: base rates and payoffs, BUY then SELL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Constants {
    pub base_rates: [f64; 2],
    pub payoffs: [Payoff; 2],
}

impl Constants {
    /// The two sides of a model that gives the pooled model these weights.
    pub fn sides(&self, beliefs: [f64; 2]) -> [Side; 2] {
        [0, 1].map(|side| Side { base_rate: self.base_rates[side], belief: beliefs[side], payoff: self.payoffs[side] })
    }
}

impl Dataset {
    /// Computes features and labels for all bars of `candles` (checked, oldest first) that have both, and adds the
    /// closed live signals of the market.
    ///
    /// # Errors
    /// [`Error::NoData`] with the counts when no bar has both.
    pub fn new(market: &Market, candles: &[Candle], feedback: &Feedback, config: &Config) -> Result<Self> {
        Self::managed(market, candles, feedback, config, None)
    }

    /// [`Self::new`] with labels of bets that are managed so.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn managed(
        market: &Market,
        candles: &[Candle],
        feedback: &Feedback,
        config: &Config,
        management: Option<&Management>,
    ) -> Result<Self> {
        let mut growing = GrowingDataset::new(market);
        growing.grow(candles);
        growing.dataset(feedback, &config.signal, management)
    }

    /// The labelled rows of a table of features, with the closed live signals of the market.
    pub(super) fn of(
        market: &Market,
        features: &GrowingFeatures,
        labelled: LabelledRows,
        feedback: &Feedback,
    ) -> Result<Self> {
        let LabelledRows { mut columns, unlabelled, effective } = labelled;
        let rows = columns.selected(features.rows());
        let Columns { labels, times_ms, decided_ms, happened, atr, entries, .. } = columns;
        let data = Self {
            market: market.clone(),
            rows,
            entries,
            candles: features.candles().len(),
            effective,
            horizon_ms: decided_ms.iter().copied().max().unwrap_or_default(),
            missing: features.missing().clone(),
            unlabelled,
            is_silent: features.is_silent(),
            times_ms,
            decided_ms,
            happened,
            labels,
            atr,
            feedback: Feedback::default(),
            candle_ms: market.timeframe.millis(),
            calendar: features.calendar().clone(),
        };
        if data.is_empty() {
            return Err(data.shortage());
        }
        let feedback = feedback.relabelled(&data);
        Ok(Self { feedback, ..data })
    }

    /// The same rows, but each with the label of the row `rows` later; the last rows are dropped. Such labels are
    /// unrelated to the features: a placebo test.
    pub fn with_later_labels(mut self, rows: usize) -> Self {
        let later = rows.min(self.len());
        self.labels.drain(..later);
        self.decided_ms.drain(..later);
        self.happened.iter_mut().for_each(|happened| drop(happened.drain(..later)));
        let left = self.labels.len();
        self.rows.truncate(left);
        self.times_ms.truncate(left);
        self.atr.truncate(left);
        self.entries.truncate(left);
        self
    }

    /// The error that says these rows are too few to train on.
    pub fn shortage(&self) -> Error {
        let causes: Vec<String> = self.missing.iter().map(|(cause, n)| format!("{n} {}", cause.describe())).collect();
        Error::NoData(format!(
            "{}: {} candles give {} labelled rows, training needs {MIN_ROWS} (bars left out: {}; {} not decided yet). Fetch a \
             longer history: `history_days` in training_config.json",
            self.market,
            self.candles,
            self.len(),
            if causes.is_empty() { "none".to_owned() } else { causes.join(", ") },
            self.unlabelled,
        ))
    }

    /// Labelled rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no rows; [`Self::new`] refuses that.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The market of these rows.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// Appends the rows as lines of CSV, under [`rows_header`].
    pub fn write_rows(&self, text: &mut String) {
        use std::fmt::Write as _;
        let Market { symbol, timeframe } = &self.market;
        for row in 0..self.len() {
            let (time, decided) = (self.times_ms[row], self.decided_ms[row]);
            // Writing to a text cannot fail.
            let _ = write!(text, "{symbol},{timeframe},{time},{decided}");
            for value in self.row(row) {
                let _ = write!(text, ",{value}");
            }
            let [buy, sell] = [0, 1].map(|side: usize| u8::from(self.happened[side][row]));
            let _ = writeln!(text, ",{buy},{sell}");
        }
    }

    /// Whether the candles have no volume.
    pub fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// When the market trades.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The average true range in percent of the price at the last bar that had closed at `time_ms`; `None` where that
    /// bar has no row.
    pub fn atr_percent_at(&self, time_ms: i64) -> Option<f64> {
        let row = self.times_ms.partition_point(|time| time + self.candle_ms <= time_ms).checked_sub(1)?;
        let is_last = !self.calendar.is_behind(self.times_ms[row], time_ms);
        is_last.then(|| 100.0 * self.atr[row] / self.entries[row])
    }

    /// The features of a row.
    pub(super) fn row(&self, row: usize) -> &[f64] {
        self.rows.row(row)
    }

    /// The first row that comes after all data `model` was trained on.
    pub(super) fn first_after(&self, model: &Model) -> usize {
        self.times_ms.partition_point(|&time| time < model.record.horizon_ms)
    }

    /// The columns and counts that only this file uses, for a test.
    #[cfg(test)]
    pub(super) fn figures(&self) -> Figures<'_> {
        let Self { effective, atr, entries, candles, missing, unlabelled, .. } = self;
        Figures { effective: *effective, atr, entries, candles: *candles, missing, unlabelled: *unlabelled }
    }

    fn stop_percent(&self, row: usize, shape: &SignalShape) -> f64 {
        shape.stop_percent(self.atr[row] / self.entries[row])
    }

    /// Base rates and payoffs from the rows whose labels were known at `until_ms`; those of the pool where fewer than
    /// [`FEW`] rows were.
    pub(super) fn constants(&self, until_ms: i64, pool: &Constants, shape: &SignalShape) -> Constants {
        let mut sums = RateSums::default();
        self.tally(until_ms, shape, &mut sums);
        if sums.rows >= FEW { sums.constants(shape) } else { *pool }
    }

    /// Adds the rows whose labels were known at `until_ms` to the sums.
    pub(super) fn tally(&self, until_ms: i64, shape: &SignalShape, sums: &mut RateSums) {
        for row in (0..self.len()).filter(|&row| self.decided_ms[row] <= until_ms) {
            let stop = self.stop_percent(row, shape);
            sums.rows += 1;
            for (sums, side) in sums.sides.iter_mut().zip(SIDES) {
                let of = &mut sums[usize::from(self.happened[side as usize][row])];
                *of = (of.0 + 1, of.1 + self.labels[row].of(side).profit_percent / stop);
            }
        }
    }

    /// A held-out prediction of a row beside its outcome, with the profit of the signal that it would have led to.
    pub(super) fn held_out(&self, row: usize, stated: [f64; 2], constants: &Constants, config: &Config) -> HeldOut {
        let stop = self.stop_percent(row, &config.signal);
        let costs = constants.payoffs.map(|payoff| Costs::new(payoff, stop, config.fee_bps));
        let direction = choose(stated, constants.base_rates, &costs, 0.0).ok();
        let profit = direction.map(|direction| self.labels[row].of(direction).profit_percent - config.fee_bps / 100.0);
        let held = |side: usize| Held {
            happened: self.happened[side][row],
            probability: stated[side],
            constant: constants.base_rates[side],
        };
        HeldOut { time_ms: self.times_ms[row], buy: held(0), sell: held(1), profit }
    }

    /// The predictions of a trained model for rows, beside their outcomes. `own` is the own model that it needs.
    ///
    /// # Errors
    /// [`Error::OwnModelMissing`] if it needs another one; [`Error::OwnModel`].
    pub(super) fn served(
        &self,
        rows: &[usize],
        model: &Model,
        config: &Config,
        own: Option<&Arc<dyn OwnModel>>,
    ) -> Result<Vec<HeldOut>> {
        let sides = model.sides();
        let constants =
            Constants { base_rates: sides.map(|side| side.base_rate), payoffs: sides.map(|side| side.payoff) };
        let said = match own::needed(model, own)?.zip(model.needs_own()) {
            None => vec![None; rows.len()],
            Some((own, part)) => {
                let asked: Vec<(i64, &[f64])> = rows.iter().map(|&row| (self.times_ms[row], self.row(row))).collect();
                own::served(&**own, model, part, &asked)?
            }
        };
        let served = |(&row, said): (&usize, Option<[f64; 2]>)| {
            let stated = model.stated_with(self.row(row), said).ok_or_else(lost)?;
            Ok(self.held_out(row, stated, &constants, config))
        };
        rows.iter().zip(said).map(served).collect()
    }

    /// Builds the model of this market on top of `pool`, with held-out figures from `held_out`.
    pub(super) fn model(
        &self,
        pool: Arc<Pool>,
        sides: [Side; 2],
        held_out: &[HeldOut],
        lineage: Lineage,
        config: &Config,
        now_ms: i64,
    ) -> Model {
        let of = |side: fn(&HeldOut) -> Held| Scores::of(&held_out.iter().map(side).collect::<Vec<_>>());
        let profits: Vec<f64> = held_out.iter().filter_map(|row| row.profit).collect();
        let stop = self.median_stop(&config.signal);
        let record = Record {
            market: self.market.clone(),
            trained_ms: now_ms,
            features_version: features::VERSION,
            stop_atr: config.signal.stop_atr,
            reward_risk: config.signal.reward_risk,
            expiry_bars: config.signal.expiry_bars,
            candles: self.candles,
            rows: self.len(),
            effective_rows: self.effective,
            missing: self.missing.clone(),
            unlabelled: self.unlabelled,
            first_ms: self.times_ms[0],
            horizon_ms: pool.record.horizon_ms,
            buy: of(|row| row.buy),
            sell: of(|row| row.sell),
            held_out_signals: profits.len(),
            held_out_profit: (!profits.is_empty()).then(|| profits.iter().sum::<f64>() / profits.len() as f64),
            beliefs: sides.map(|side| side.belief),
            break_even: sides.map(|side| Costs::new(side.payoff, stop, config.fee_bps).break_even()),
            skill: skill(held_out, pool.record.skill.cluster_ms, config.seed),
            pool_skill: pool.record.skill,
            pool: None,
            symbols: pool.record.symbols.clone(),
            pool_rows: pool.record.rows,
            weights: [0, 1].map(|side| pool.sides[side].weights),
            importances: importances(&pool, self.is_silent),
            trees: config.trees,
            seed: config.seed,
            own: pool.own.as_ref().map(OwnPart::told),
        };
        let [buy, sell] = sides;
        Model { record, buy, sell, pool, lineage }
    }

    fn median_stop(&self, shape: &SignalShape) -> f64 {
        let mut stops: Vec<f64> = (0..self.len()).map(|row| self.stop_percent(row, shape)).collect();
        let middle = stops.len() / 2;
        *stops.select_nth_unstable_by(middle, f64::total_cmp).1
    }
}

/// The header of rows as CSV: the market; open time of the candle and the time at which both outcomes are known, UTC epoch
/// ms; the features; whether a BUY and whether a SELL succeeded, 1 or 0.
pub fn rows_header() -> String {
    let names: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
    format!("symbol,timeframe,time,decided,{},buy,sell\n", names.join(","))
}

/// What [`Dataset::figures`] gives.
#[cfg(test)]
pub(super) struct Figures<'a> {
    pub effective: f64,
    pub atr: &'a [f64],
    pub entries: &'a [f64],
    pub candles: usize,
    pub missing: &'a BTreeMap<Missing, usize>,
    pub unlabelled: usize,
}

/// Sums over rows, from which base rates and payoffs are computed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RateSums {
    rows: usize,
    /// For each side, the failed and the successful bets: their number, and the sum of their profits in stop distances.
    sides: [[(usize, f64); 2]; 2],
}

impl RateSums {
    /// Rows are not weighted here: how long a bet is open depends on how it ends, so a weight by uniqueness would bias
    /// the rate.
    pub fn constants(&self, shape: &SignalShape) -> Constants {
        let levels = Payoff::at_levels(shape.reward_risk);
        let mean = |(count, sum): (usize, f64)| (count > 0).then(|| sum / count as f64);
        Constants {
            base_rates: self.sides.map(|[_, (won, _)]| won as f64 / self.rows.max(1) as f64),
            payoffs: self.sides.map(|[lost, won]| Payoff {
                win: mean(won).unwrap_or(levels.win),
                loss: mean(lost).map_or(levels.loss, |loss| -loss),
            }),
        }
    }
}

/// The held-out skill on these rows.
pub(super) fn skill(rows: &[HeldOut], cluster_ms: i64, seed: u64) -> Skill {
    let excess = |held: &Held| log_loss(held.happened, held.probability) - log_loss(held.happened, held.constant);
    let weighed = rows.iter().map(|row| Weighed {
        time_ms: row.time_ms,
        value: excess(&row.buy) + excess(&row.sell),
        weight: 2.0,
    });
    let (excess, clusters) = interval(weighed, cluster_ms.max(1), seed);
    let time = |row: Option<&HeldOut>| row.map_or(0, |row| row.time_ms);
    let [since_ms, until_ms] = [time(rows.first()), time(rows.last())];
    Skill { excess, since_ms, until_ms, rows: rows.len(), clusters, cluster_ms }
}

pub(super) fn lost() -> Error {
    Error::Internal("a feature row lost its values".to_owned())
}

/// The importances of the features the model was trained on; without volume, the volume features are left out.
fn importances(pool: &Pool, is_silent: bool) -> Vec<(String, f64)> {
    let [buy, sell] = &pool.sides;
    let mean = |(a, b): (&f64, &f64)| (a + b) / 2.0;
    let values = buy.families.importances().iter().zip(sell.families.importances()).map(mean);
    let named = FEATURES.iter().map(|feature| feature.name.to_owned()).zip(values);
    let used = |(name, _): &(String, f64)| !is_silent || OF_VOLUME.iter().all(|(of_volume, _)| name != of_volume);
    let mut named: Vec<_> = named.filter(used).collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    named
}
