//! The engine of one home: it brings candles, models and feedback together. The Node binding and the command line call
//! it.
//!
//! # Parts
//! [`SignalLoop`] opens and closes a home. Its parts do everything else. Each part owns its state and knows only the
//! parts that it needs, which are listed after the arrow. There are no cycles: each part comes after those it knows.
//!
//! ```text
//! Events            who listens; passes events on to them
//! Settings          the home folder, the clock, the configuration  → Events
//! Lifetime          which calls are running, and whether the loop is closing
//! ComputeThreads    the threads that compute                       → Settings
//! CandleStore       stored candles, and the newest in memory       → Settings
//! CandleFetcher     brings candles up to date                      → CandleStore, Lifetime
//! SignalStore       the feedback store, opened at first use        → Settings
//! LivePerformance   results of live signals                        → shared state of the scheduler
//! Models            which models serve, and what they predict      → CandleFetcher, SignalStore, LivePerformance
//! OutcomeLearner    the chances of signals, learned from outcomes  → Models, SignalStore, LivePerformance, ComputeThreads
//! TrainingData      the rows that models are trained on            → CandleStore, SignalStore, LivePerformance
//! Trainer           trains models                                  → TrainingData, Models, CandleFetcher, ComputeThreads
//! PerformanceChecks judges live results, requests retraining       → Trainer, Models, SignalStore, LivePerformance
//! Signals           takes signals and prices, closes signals       → OutcomeLearner, PerformanceChecks, CandleStore, SignalStore
//! SignalWatch       closes signals hit by missed or current prices → Signals, PerformanceChecks, CandleFetcher
//! StreamPlan        streams prices to the watch, if configured      → SignalWatch
//! TaskRunner        runs a task of the scheduler                   → SignalWatch, Trainer, PerformanceChecks, CandleFetcher
//! Scheduler         runs tasks when they are due                   → TaskRunner
//! ```
//!
//! Nearly every part also knows `Settings` and `Events`, and parts with long-running work know `Lifetime`.

mod account;
mod advise;
mod alerts;
mod assess;
mod bet;
mod compute;
mod data;
mod distributed_training;
mod drift;
mod evaluate;
mod event_json;
mod events;
mod fed_candles;
mod fetch;
pub mod home;
mod learn;
mod lifetime;
mod metrics;
mod missed_candles;
mod models;
mod own;
mod performance;
mod performance_state;
mod pools;
mod predict;
mod prepare;
mod price_stream;
mod prices;
mod prior;
mod recent_candles;
mod replay;
mod results;
mod schedule;
mod schedule_loop;
mod scorecard;
mod settings;
mod shapes;
mod signals;
mod status;
mod store;
pub mod store_location;
mod streamed;
mod task_run;
mod tasks;
mod train;
mod training_data;
mod watch;

pub use ::alerts::DestinationState;
pub use account::FetchProgress;
pub use advise::AdviceFilter;
pub use alerts::AlertStatus;
pub use assess::{Assessment, OutcomeLearner, SourceOfEvidence};
pub use data::CheckedFile;
pub use event_json::{closed_signal_to_json, event_to_json, trade_event_to_json};
pub use events::{Event, EventListener, Events, ModelChange, Told};
pub use fetch::{CandleFetcher, FetchNews, FetchResult};
pub use lifetime::{Call, Lifetime};
pub use models::{LiveVerdict, MarketModels, ModelList, Models};
pub use performance::{ConservativeMode, PerformanceChecks};
pub use performance_state::LivePerformance;
pub use predict::{GeneratedSignal, Prediction, Risk};
pub use prices::{PriceOrder, PriceTurn};
pub use recent_candles::{CandleStore, HistoryCache};
pub use replay::{Replay, Without};
pub use schedule::{Scheduler, SteppedScheduler};
pub use scheduler::coordination::Leader;
pub use scorecard::ScorecardFilter;
pub use settings::Settings;
pub use signals::{EvaluatedPrice, EvaluatedTrade, Signals, UnknownOfTrade, should_close, should_close_managed};
pub use status::{Elsewhere, SchedulerStatus, TaskStatus, run_to_json};
pub use store::SignalStore;
pub use train::{Phase, TrainMode, TrainProgress, TrainRequest, TrainResult, Trained, Trainer, TrainingResults};

use crate::home::expanded;
use crate::store_location::StoreLocation;
use ::scheduler::coordination::{Coordination, MemoryCoordination};
use compute::ComputeThreads;
use domain::error::{Error, Result};
use domain::time::Clock;
use exchange::{CandleSource, PriceSource};
use learning::OwnModel;
use replay::PastSource;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tasks::TaskRunner;
use training_data::TrainingData;
use watch::SignalWatch;

/// The default duration of a scheduler lease. It is long enough to survive a pause or a failover of some seconds, and
/// no longer than the time between two runs of the watch.
const LEASE: Duration = Duration::from_secs(10);

/// The environment variable that names the default home.
pub const HOME_VARIABLE: &str = "SIGNALLOOP_HOME";
/// The environment variable that names the exchange. It overrides `training_config.json`; an option overrides both.
pub const EXCHANGE_VARIABLE: &str = "SIGNALLOOP_EXCHANGE_URL";

/// The environment variable that says where the signals are stored. An option overrides it.
pub const STORE_VARIABLE: &str = "SIGNALLOOP_STORE";

/// How to open a loop. `Default` opens the default home with its own configuration.
#[derive(Default, Clone)]
pub struct Options {
    /// The home folder; a leading `~` stands for the user's home. Default: `SIGNALLOOP_HOME`, else `./ml`.
    pub home: Option<PathBuf>,
    /// Where the signals are stored: `postgres://…` for a database that several machines share, or
    /// [`crate::store_location::FILES`] for files in the home. Default: `SIGNALLOOP_STORE`, else files in the home.
    pub store: Option<String>,
    /// The number of threads that train. If `parallel_training` is higher, that many are used. Default: one less than
    /// the machine has cores, but at least one, so that one core is left for Node.
    pub threads: Option<usize>,
    /// The exchange, by its name in [`domain::venue::Venue`]. Default: `training_config.json`, else Binance.
    pub exchange: Option<String>,
    /// Base URL of the exchange. Default: `SIGNALLOOP_EXCHANGE_URL`, else `training_config.json`, else the exchange's own.
    pub exchange_url: Option<String>,
    /// The timeframe of the candles that open signals are checked against. Default: `training_config.json`, else as
    /// [`domain::config::Config::watch_timeframe`] says.
    pub watch_timeframe: Option<String>,
    /// The user's own source of candles, used instead of the exchange.
    pub source: Option<Arc<dyn CandleSource>>,
    /// The user's own source of prices of open signals, used instead of the exchange. Default: the exchange; none if candles come
    /// from the user's own source.
    pub prices: Option<Arc<dyn PriceSource>>,
    /// The user's own model, weighed beside our families. Default: none.
    pub own: Option<Arc<dyn OwnModel>>,
    /// The clock. Default: the system's.
    pub clock: Clock,
    /// How long a scheduler lease in a database lasts without being renewed. Default: 10 seconds.
    pub lease: Option<Duration>,
    /// Runs the loop in a replay: with candles of the past, a clock that the caller sets, and tasks that run when the
    /// caller asks. Default: a live loop.
    pub replay: Option<Replay>,
}

/// The loop of one home. Opening it is cheap: folders, threads and the store are created at first use.
pub struct SignalLoop {
    settings: Arc<Settings>,
    events: Arc<Events>,
    lifetime: Arc<Lifetime>,
    fetcher: Arc<CandleFetcher>,
    models: Arc<Models>,
    outcomes: Arc<OutcomeLearner>,
    trainer: Arc<Trainer>,
    performance: Arc<PerformanceChecks>,
    signals: Arc<Signals>,
    scheduler: Arc<Scheduler>,
}

impl SignalLoop {
    /// Opens a home and reads its configuration. Writes nothing.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for a wrong value in `training_config.json`; [`Error::InvalidArgument`] for wrong options.
    pub fn open(options: Options) -> Result<Self> {
        if options.threads == Some(0) {
            return Err(Error::argument("threads", "must be a whole number, 1 or more", 0));
        }
        let home = expanded(&options.home.clone().unwrap_or_else(default_home));
        // Made absolute, so that the home stays the same if the process changes its working directory.
        let home = std::path::absolute(&home).map_err(|e| Error::io("find", &home, e))?;
        let events = Arc::new(Events::new(options.clock.clone()));
        let settings = Arc::new(Settings::open(home.clone(), &options, events.clone())?);
        let from_environment = || std::env::var(STORE_VARIABLE).ok().filter(|store| !store.is_empty());
        let store = options.store.clone().or_else(from_environment);
        let location = StoreLocation::of(store.as_deref(), home.join("feedback"))?;
        Ok(Self::assembled(settings, events, location, options))
    }

    /// Creates the parts, each after those that it needs. Opens and reads nothing.
    fn assembled(settings: Arc<Settings>, events: Arc<Events>, location: StoreLocation, options: Options) -> Self {
        let lease = options.lease.unwrap_or(LEASE);
        let coordination: Arc<dyn Coordination> = match &options.replay {
            Some(_) => Arc::new(MemoryCoordination::default()),
            None => location.coordination(settings.home().join("scheduler"), lease),
        };
        let past = options.replay.map(|replay| replay.candles);
        let source = match &past {
            Some(candles) => {
                Some(Arc::new(PastSource { candles: candles.clone(), clock: options.clock }) as Arc<dyn CandleSource>)
            }
            None => options.source,
        };
        let lifetime = Arc::<Lifetime>::default();
        let compute = Arc::new(ComputeThreads::new(settings.clone(), options.threads));
        let candles = Arc::new(CandleStore::new(settings.clone(), past));
        let (events_of, life) = (events.clone(), lifetime.clone());
        let fetcher = CandleFetcher::new(settings.clone(), events_of, life, candles.clone(), source, options.prices);
        let fetcher = Arc::new(fetcher);
        let store = Arc::new(SignalStore::new(settings.clone(), events.clone(), location));
        let live = Arc::new(LivePerformance::new(settings.clone(), events.clone(), coordination.clone()));
        let models = Arc::new(Models {
            weighed: Default::default(),
            own_answers: Default::default(),
            asking: Default::default(),
            unusable: Default::default(),
            registry: Models::registry_at(store.location(), &settings, &events),
            settings: settings.clone(),
            events: events.clone(),
            lifetime: lifetime.clone(),
            fetcher: fetcher.clone(),
            store: store.clone(),
            performance: live.clone(),
        });
        let outcomes = Arc::new(OutcomeLearner {
            learning: Default::default(),
            preparing: Default::default(),
            settings: settings.clone(),
            events: events.clone(),
            lifetime: lifetime.clone(),
            compute: compute.clone(),
            candles: candles.clone(),
            store: store.clone(),
            models: models.clone(),
            performance: live.clone(),
        });
        let data = TrainingData::new(settings.clone(), candles.clone(), store.clone(), live.clone());
        let trainer = Arc::new(Trainer {
            fits: Default::default(),
            settings: settings.clone(),
            events: events.clone(),
            lifetime: lifetime.clone(),
            compute,
            fetcher: fetcher.clone(),
            models: models.clone(),
            data: Arc::new(data),
        });
        let performance = Arc::new(PerformanceChecks {
            state: Default::default(),
            settings: settings.clone(),
            events: events.clone(),
            lifetime: lifetime.clone(),
            store: store.clone(),
            models: models.clone(),
            trainer: trainer.clone(),
            performance: live,
        });
        let signals = Arc::new(Signals {
            order: Default::default(),
            settings: settings.clone(),
            events: events.clone(),
            lifetime: lifetime.clone(),
            candles,
            store,
            outcomes: outcomes.clone(),
            checks: performance.clone(),
        });
        let watch = SignalWatch::new(
            settings.clone(),
            events.clone(),
            lifetime.clone(),
            fetcher.clone(),
            signals.clone(),
            performance.clone(),
        );
        let runner = Arc::new(TaskRunner {
            active: Default::default(),
            coordination: coordination.clone(),
            settings: settings.clone(),
            events: events.clone(),
            lifetime: lifetime.clone(),
            fetcher: fetcher.clone(),
            trainer: trainer.clone(),
            checks: performance.clone(),
            watch: Arc::new(watch),
        });
        let scheduler = Arc::new(Scheduler {
            running: Default::default(),
            by_hand: Default::default(),
            coordination,
            settings: settings.clone(),
            events: events.clone(),
            lifetime: lifetime.clone(),
            runner,
        });
        Self { settings, events, lifetime, fetcher, models, outcomes, trainer, performance, signals, scheduler }
    }

    /// The home folder, the clock and the configuration.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The listeners of this loop, until it closes.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Which calls are running, and whether the loop is closing.
    pub fn lifetime(&self) -> &Lifetime {
        &self.lifetime
    }

    /// The stored candles and the newest ones in memory.
    pub fn candles(&self) -> &Arc<CandleStore> {
        self.fetcher.candles()
    }

    /// Brings candles up to date.
    pub fn fetcher(&self) -> &Arc<CandleFetcher> {
        &self.fetcher
    }

    /// The feedback store, opened at first use.
    pub fn store(&self) -> &Arc<SignalStore> {
        self.signals.store()
    }

    /// Takes signals and prices, and closes signals.
    pub fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// Learns from the outcomes of closed signals.
    pub fn outcomes(&self) -> &Arc<OutcomeLearner> {
        &self.outcomes
    }

    /// The models in service, and what they predict.
    pub fn models(&self) -> &Arc<Models> {
        &self.models
    }

    /// Trains models.
    pub fn trainer(&self) -> &Arc<Trainer> {
        &self.trainer
    }

    /// Checks whether live results are good enough.
    pub fn performance(&self) -> &Arc<PerformanceChecks> {
        &self.performance
    }

    /// Runs tasks when they are due.
    pub fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    /// Waits until everything has ended that runs in the background, and learns from signals that have closed. In a replay
    /// it also checks live results, if signals have closed since the last call. Whoever sets the clock calls this before
    /// time goes on.
    ///
    /// # Errors
    /// [`Error::Storage`] if the store cannot be read; [`Error::Closed`].
    pub async fn settle(&self) -> Result<()> {
        loop {
            self.outcomes.learn_closings().await?;
            self.lifetime.quiet().await;
            let checked = self.settings.is_replay() && self.performance.check_if_asked().await;
            self.lifetime.quiet().await;
            if !checked {
                return Ok(());
            }
        }
    }

    /// Closes the loop. The scheduler, trainings and calls that wait for candles stop early. Other running calls
    /// finish, and everything they acknowledged is safely stored. Later calls fail with [`Error::Closed`].
    pub async fn close(&self) {
        self.lifetime.refuse_calls();
        self.scheduler.stop().await;
        let _no_more_calls = self.lifetime.no_more_calls().await;
        self.store().close().await;
        self.models.registry().close();
        self.scheduler.close().await;
        self.trainer.close();
        self.events.clear();
    }
}

/// The default home: `SIGNALLOOP_HOME`, else `./ml`.
pub fn default_home() -> PathBuf {
    std::env::var_os(HOME_VARIABLE).filter(|home| !home.is_empty()).map_or_else(|| PathBuf::from("ml"), PathBuf::from)
}
