//! Trains pools for the shapes of recorded signals, in addition to the pool of the configured shape.

use super::pools::TrainingData;
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::signal::Signal;
use domain::symbol::Symbol;
use feedback::StatsFilter;
use learning::{Dataset, Feedback, FoundShape, PoolTraining, SignalLevels, Step, find_shapes, train_pool, train_shape};
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
        let training = train_pool(markets.clone(), &config, cancel, &|step| steps.tell(0, step))?;
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
        let mut add = |signal: &Signal| {
            let data = by_symbol.get(&signal.symbol).copied();
            all.extend(levels(signal, data).map(|levels| (signal.timestamp_ms, levels)));
        };
        let filter = StatsFilter { timeframe: Some(timeframe), ..StatsFilter::default() };
        store.closed_records(&filter, |record| {
            add(&record.signal);
            Ok(())
        })?;
        store.open_signals(None)?.iter().filter(|signal| signal.timeframe == timeframe).for_each(add);
        all.sort_by_key(|(time_ms, _)| *time_ms);
        let newest = &all[all.len().saturating_sub(NEWEST)..];
        let levels: Vec<SignalLevels> = newest.iter().map(|(_, levels)| levels.clone()).collect();
        Ok(find_shapes(&levels, &self.settings.config().signal))
    }

    /// The rows of `markets`, labelled for another shape. Markets without any rows for it are left out.
    fn rows_of(&self, markets: &[Arc<Dataset>], found: &FoundShape, cancel: &Cancel) -> Result<Vec<Arc<Dataset>>> {
        let config = found.config(&self.settings.config());
        let load = |data: &Arc<Dataset>| {
            cancel.check()?;
            let market = data.market();
            let Some((candles, _)) = self.candles.for_training(market)? else { return Ok(None) };
            match Dataset::managed(market, &candles, &Feedback::default(), &config, found.management.as_ref()) {
                Ok(data) => Ok(Some(Arc::new(data))),
                Err(Error::NoData(_)) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let loaded: Result<Vec<Option<Arc<Dataset>>>> = markets.par_iter().map(load).collect();
        Ok(loaded?.into_iter().flatten().collect())
    }
}

/// The levels of a signal, scaled by its own features at entry or else by the rows of its market.
fn levels(signal: &Signal, data: Option<&Dataset>) -> Option<SignalLevels> {
    let atr_percent =
        SignalLevels::atr_percent(signal).or_else(|| data.and_then(|data| data.atr_percent_at(signal.timestamp_ms)))?;
    SignalLevels::of(signal, atr_percent, data.map(Dataset::calendar))
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
