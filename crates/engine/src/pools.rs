//! The pooled models of one training, one for each timeframe. The first market that needs one trains it, and the others
//! share it.

use super::Trainer;
use super::train::{Phase, TrainingRun};
use super::training_data::LoadedMarket;
use domain::error::{Error, Result, guard};
use domain::symbol::{Market, Timeframe};
use learning::model::{Model, Pool};
use learning::{Continued, Dataset, PoolTraining, Step, continue_pool};
use parking_lot::Mutex;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OnceCell;

/// The markets of a timeframe, each with its rows or the reason why it has none.
type LoadedMarkets = Arc<HashMap<Market, Result<LoadedMarket>>>;

/// A trained pooled model, and how long its training took.
#[derive(Clone)]
pub(super) struct FittedPool {
    pub training: Continued<Arc<PoolTraining>>,
    pub duration_ms: u64,
}

/// The key of a pool: whether its candles lack volume, and the name of the pool that it continues (`None` if it is
/// trained in full).
type PoolKey = (bool, Option<String>);

/// The pools of one training.
#[derive(Default)]
pub(super) struct Pools {
    timeframes: Mutex<HashMap<Timeframe, Arc<TimeframePools>>>,
}

#[derive(Default)]
struct TimeframePools {
    markets: OnceCell<LoadedMarkets>,
    built: Mutex<HashMap<PoolKey, Arc<OnceCell<Result<FittedPool>>>>>,
}

impl Pools {
    fn of(&self, timeframe: Timeframe) -> Arc<TimeframePools> {
        self.timeframes.lock().entry(timeframe).or_default().clone()
    }
}

impl Trainer {
    /// The rows of a market of this training.
    pub(super) async fn loaded(self: &Arc<Self>, market: &Market, run: &Arc<TrainingRun>) -> Result<LoadedMarket> {
        let markets = self.pooled_markets(market.timeframe, run).await?;
        markets.get(market).cloned().unwrap_or_else(|| Err(self.fetcher.candles().none_stored(market)))
    }

    /// The pooled model for `loaded`: trained in full, or continued from that of `champion`.
    pub(super) async fn built(
        self: &Arc<Self>,
        loaded: &LoadedMarket,
        champion: Option<&Arc<Model>>,
        run: &Arc<TrainingRun>,
    ) -> Result<FittedPool> {
        let timeframe = loaded.data.market().timeframe;
        let markets = self.pooled_markets(timeframe, run).await?;
        let is_silent = loaded.data.is_silent();
        let key = (is_silent, champion.and_then(|champion| champion.record.pool.clone()));
        let cell = run.pools.of(timeframe).built.lock().entry(key).or_default().clone();
        let together: Vec<Arc<Dataset>> = markets
            .values()
            .filter_map(|loaded| loaded.as_ref().ok().map(|loaded| loaded.data.clone()))
            .filter(|data| data.is_silent() == is_silent)
            .collect();
        let old = champion.map(|champion| champion.pool.clone());
        let built = cell.get_or_init(|| self.build(timeframe, together, old, run)).await.clone();
        match built {
            // The error names the market that has too few rows, instead of the pool.
            Err(Error::NoData(_)) => Err(loaded.data.shortage()),
            built => built,
        }
    }

    async fn build(
        self: &Arc<Self>,
        timeframe: Timeframe,
        markets: Vec<Arc<Dataset>>,
        old: Option<Arc<Pool>>,
        run: &Arc<TrainingRun>,
    ) -> Result<FittedPool> {
        let _permit = run.cancel.unless(run.permit()).await?;
        let (this, config, run) = (self.clone(), self.settings.config(), run.clone());
        self.compute
            .run(move || {
                let clock = Instant::now();
                let step = |step: Step| run.tell_all(timeframe, Phase::Train, step);
                let training = match old {
                    None => Continued::Trained(this.data.train_with_shapes(markets, &run.cancel, &step)?),
                    Some(old) => continue_pool(&old, markets, &config, this.settings.own(), &run.cancel, &step)?,
                };
                if matches!(training, Continued::Trained(_)) {
                    *this.fits.lock().entry(timeframe).or_default() += 1;
                }
                Ok(FittedPool { training: training.shared(), duration_ms: clock.elapsed().as_millis() as u64 })
            })
            .await
    }

    /// The rows of all markets that share a pool: the requested ones and the configured ones, if they have candles.
    async fn pooled_markets(self: &Arc<Self>, timeframe: Timeframe, run: &Arc<TrainingRun>) -> Result<LoadedMarkets> {
        let of = run.pools.of(timeframe);
        let load = || async {
            let mut markets = self.settings.markets(None, Some(vec![timeframe]));
            markets.extend(run.markets.iter().filter(|market| market.timeframe == timeframe).cloned());
            markets.sort();
            markets.dedup();
            let (this, cancel) = (self.clone(), run.cancel.clone());
            self.compute
                .run(move || {
                    let load = |market: Market| {
                        let loaded = cancel.check().and_then(|()| guard(|| this.data.load(&market)));
                        loaded.transpose().map(|loaded| (market, loaded))
                    };
                    let markets: HashMap<_, _> = markets.into_par_iter().filter_map(load).collect();
                    cancel.check()?;
                    Ok(Arc::new(markets))
                })
                .await
        };
        of.markets.get_or_try_init(load).await.cloned()
    }
}
