//! Trains pools for the shapes of recorded signals, in addition to the pool of the configured shape.

use super::training_data::TrainingData;
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::signal::Signal;
use domain::symbol::{Symbol, Timeframe};
use feedback::{ClosingCursor, FeedbackStore};
use learning::{Dataset, FoundShape, PoolTraining, SignalLevels, Step, find_shapes, train_pool_with, train_shape};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Only this many of the newest signals are searched for shapes, so that shapes no longer used disappear.
const NEWEST: usize = 10_000;

impl TrainingData {
    /// Trains the pool of `markets` in full, together with the pools for the shapes of recorded signals.
    pub(super) fn train_with_shapes(
        &self,
        markets: Vec<Arc<Dataset>>,
        cancel: &Cancel,
        progress: &(dyn Fn(Step) + Sync),
    ) -> Result<PoolTraining> {
        let config = self.settings.config();
        let found = self.shapes_of_signals(&markets)?;
        let steps = Steps { parts: 1 + found.len(), of_each: AtomicUsize::new(0), progress };
        let training =
            train_pool_with(self.settings.own(), markets.clone(), &config, cancel, &|step| steps.tell(0, step))?;
        let mut shapes = Vec::with_capacity(found.len());
        for (number, shape) in found.iter().enumerate() {
            let step = |step| steps.tell(1 + number, step);
            let rows = self.rows_of(&markets, shape, cancel)?;
            let trained = match rows.is_empty() {
                true => Err(Error::NoData(String::new())),
                false => train_shape(rows, shape, found.len(), &config, cancel, &step),
            };
            match trained {
                Ok(shaped) => shapes.push(shaped),
                // With a longer expiry fewer bets are decided, so there may be too few rows to train on.
                Err(Error::NoData(_)) => step(Step { done: 1, total: 1 }),
                Err(error) => return Err(error),
            }
        }
        Ok(training.with_shapes(shapes))
    }

    /// The shapes of the recorded signals with the timeframe of `markets`, whatever their symbol.
    fn shapes_of_signals(&self, markets: &[Arc<Dataset>]) -> Result<Vec<FoundShape>> {
        let (Some(store), Some(first)) = (self.store.existing()?, markets.first()) else { return Ok(Vec::new()) };
        let timeframe = first.market().timeframe;
        let by_symbol: HashMap<&Symbol, &Dataset> =
            markets.iter().map(|data| (&data.market().symbol, &**data)).collect();
        let mut all: Vec<(i64, SignalLevels)> = Vec::new();
        let mut add = |signal: &ShapedSignal| {
            let data = by_symbol.get(&signal.signal.symbol).copied();
            all.extend(signal.levels(data).map(|levels| (signal.signal.timestamp_ms, levels)));
        };
        self.seen.lock().closed(&store, timeframe)?.iter().for_each(&mut add);
        let open = store.open_signals(None)?.into_iter().filter(|signal| signal.timeframe == timeframe);
        open.filter_map(ShapedSignal::of).for_each(|signal| add(&signal));
        all.sort_by_key(|(time_ms, _)| *time_ms);
        let newest = &all[all.len().saturating_sub(NEWEST)..];
        let levels: Vec<SignalLevels> = newest.iter().map(|(_, levels)| levels.clone()).collect();
        Ok(find_shapes(&levels, &self.settings.config().signal))
    }

    /// The rows of `markets`, labelled for another shape. Markets without any rows for it are left out.
    fn rows_of(&self, markets: &[Arc<Dataset>], found: &FoundShape, cancel: &Cancel) -> Result<Vec<Arc<Dataset>>> {
        let load = |data: &Arc<Dataset>| {
            cancel.check()?;
            match self.of_shape(data.market(), found) {
                Ok(data) => Ok(Some(Arc::new(data))),
                Err(Error::NoData(_)) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let loaded: Result<Vec<Option<Arc<Dataset>>>> = markets.par_iter().map(load).collect();
        Ok(loaded?.into_iter().flatten().collect())
    }
}

/// The closed signals whose shapes are counted. They are kept between two trainings, so that the next one reads only what has
/// closed since.
#[derive(Default)]
pub(super) struct SeenSignals {
    cursor: ClosingCursor,
    /// By timeframe, in order of time; those of the same time in order of closing.
    signals: HashMap<Timeframe, Vec<ShapedSignal>>,
}

impl SeenSignals {
    /// The closed signals of a timeframe that may be among the [`NEWEST`] with known levels.
    fn closed(&mut self, store: &FeedbackStore, timeframe: Timeframe) -> Result<&[ShapedSignal]> {
        let new = store.newly_closed(None, &mut self.cursor, i64::MIN, |record| Ok(ShapedSignal::of(record.signal)))?;
        if new.are_all {
            self.signals.clear();
        }
        for signal in new.closings {
            self.signals.entry(signal.signal.timeframe).or_default().push(signal);
        }
        for signals in self.signals.values_mut() {
            signals.sort_by_key(|signal| signal.signal.timestamp_ms);
            // Those older than the newest whose levels are known will never be among the newest.
            let known = signals.iter().enumerate().rev().filter(|(_, signal)| signal.atr_percent.is_some());
            let oldest = known.map(|(at, _)| at).nth(NEWEST - 1).unwrap_or(0);
            signals.drain(..oldest);
        }
        Ok(self.signals.get(&timeframe).map(Vec::as_slice).unwrap_or_default())
    }
}

/// A signal with levels, without what its shape does not need.
struct ShapedSignal {
    signal: Signal,
    /// The average true range at its entry in percent of the price, by its own features.
    atr_percent: Option<f64>,
}

impl ShapedSignal {
    /// `None` for a signal that lacks a stop or a target.
    fn of(signal: Signal) -> Option<Self> {
        // The unit of its levels does not matter here.
        SignalLevels::of(&signal, 1.0, None)?;
        let atr_percent = SignalLevels::atr_percent(&signal);
        let signal = Signal { features: None, indicators: Default::default(), extra: Default::default(), ..signal };
        Some(Self { signal, atr_percent })
    }

    /// Its levels, scaled by its own features at entry or else by the rows of its market.
    fn levels(&self, data: Option<&Dataset>) -> Option<SignalLevels> {
        let of_market = || data.and_then(|data| data.atr_percent_at(self.signal.timestamp_ms));
        SignalLevels::of(&self.signal, self.atr_percent.or_else(of_market)?, data.map(Dataset::calendar))
    }
}

/// Reports the progress of several trainings as one. Each counts as many steps as the first.
struct Steps<'a> {
    parts: usize,
    of_each: AtomicUsize,
    progress: &'a (dyn Fn(Step) + Sync),
}

impl Steps<'_> {
    fn tell(&self, part: usize, Step { done, total }: Step) {
        if part == 0 {
            self.of_each.store(total, Ordering::Relaxed);
        }
        let each = self.of_each.load(Ordering::Relaxed);
        (self.progress)(Step { done: part * each + done * each / total.max(1), total: self.parts * each });
    }
}
