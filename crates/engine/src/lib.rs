//! The loop of one home: candles, models and feedback together. What the binding and the command line call.

mod account;
mod assess;
mod attempt;
mod data;
mod evaluate;
mod events;
mod fed;
mod fetch;
pub mod home;
mod metrics;
mod models;
mod performance;
mod pools;
mod predict;
mod prepare;
mod prices;
mod prior;
mod results;
mod schedule;
mod scorecard;
mod settings;
mod shapes;
mod signals;
mod standing;
mod status;
pub mod store_location;
mod tails;
mod tasks;
mod together;
mod train;
mod watch;

pub use account::FetchProgress;
pub use assess::{Assessment, SourceOfEvidence};
pub use data::CheckedFile;
pub use events::{Event, EventListener, Events, ModelChange, Told};
pub use fetch::{FetchNews, FetchResult};
pub use models::{LiveVerdict, MarketModels, Models};
pub use performance::ConservativeMode;
pub use predict::{GeneratedSignal, Prediction, Risk};
pub use prices::{Turn, Turns};
pub use schedule::Ending;
pub use scheduler::coordination::Leader;
pub use scorecard::ScorecardFilter;
pub use signals::{EvaluatedPrice, should_close};
pub use status::{Elsewhere, SchedulerStatus, TaskStatus, run_to_json};
pub use tails::Histories;
pub use train::{Phase, TrainMode, TrainProgress, TrainRequest, TrainResult, Trained, TrainingResults};

use crate::home::expanded;
use crate::store_location::Whereabouts;
use domain::cancel::Cancel;
use domain::config::{Config, ParallelTraining};
use domain::error::{Error, Result, guard};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::Clock;
use exchange::{CandleSource, Exchange};
use feedback::{FeedbackStore, StoreOptions};
use fetch::UntilClosed;
use parking_lot::{Mutex, RwLock};
use registry::Registry;
use scheduler::coordination::{FolderOffice, Office};
use settings::Settings;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tails::Tails;

/// How long a lease of the scheduler lasts: long enough for a pause or a failover of some seconds, and no longer than the watch
/// waits between two looks.
const LEASE: Duration = Duration::from_secs(10);

/// So long whoever needs the store hears at once that opening it was waited for in vain; so long it took at least.
const IN_VAIN: Duration = Duration::from_secs(1);

/// The environment variable that names the default home.
pub const HOME_VARIABLE: &str = "SIGNALLOOP_HOME";
/// The environment variable that names the exchange, before `training_config.json` and after an option.
pub const EXCHANGE_VARIABLE: &str = "SIGNALLOOP_EXCHANGE_URL";

/// The environment variable that names where the signals are kept, after an option.
pub const STORE_VARIABLE: &str = "SIGNALLOOP_STORE";

/// How to open a loop. `Default` is the default home with everything as configured there.
#[derive(Default, Clone)]
pub struct Options {
    /// The home folder; a leading `~` is that of the user. Default: `SIGNALLOOP_HOME`, else `./ml`.
    pub home: Option<PathBuf>,
    /// Where the signals are kept: `postgres://…` for a database that several machines share, [`crate::store_location::FILES`] for
    /// the home. Default: `SIGNALLOOP_STORE`, else the home.
    pub store: Option<String>,
    /// Threads that train, and more where `parallel_training` is a higher number. Default: one less than the machine has cores,
    /// at least one, so that Node keeps its own.
    pub threads: Option<usize>,
    /// Base URL of the exchange. Default: `SIGNALLOOP_EXCHANGE_URL`, else `training_config.json`, else Binance.
    pub exchange_url: Option<String>,
    /// Candles from elsewhere than the exchange.
    pub source: Option<Arc<dyn CandleSource>>,
    /// What time it is. Default: the system's.
    pub clock: Clock,
    /// How long a lease of the scheduler lasts without being renewed, where a database keeps them. Default: 10 seconds.
    pub lease: Option<Duration>,
}

/// The loop of one home. Cheap to open: folders, threads and the store come with first use.
pub struct SignalLoop {
    home: PathBuf,
    options: Options,
    settings: RwLock<Settings>,
    registry: Registry,
    pool: Mutex<Option<Arc<rayon::ThreadPool>>>,
    whereabouts: Whereabouts,
    store: Mutex<StoreState>,
    tails: Tails,
    /// The markets whose model a database is being asked for.
    asking: Mutex<HashSet<Market>>,
    /// What is wrong with models in service that cannot be used, as it was told.
    unusable: Mutex<HashMap<Market, String>>,
    /// The client of the exchange and its URL: one for all, so that they share its connections and its budget.
    exchange: Mutex<Option<(String, Arc<Exchange>)>>,
    turns: Turns,
    learning: assess::Learning,
    preparing: prepare::Preparing,
    events: Arc<Events>,
    checks: performance::Checks,
    scheduling: schedule::Scheduling,
    office: Arc<dyn Office>,
    /// Held for reading by every call under way, so that closing can wait for them.
    calls: Arc<tokio::sync::RwLock<()>>,
    /// Raised when the loop closes: long work, and waiting for candles, ends early.
    closing: Cancel,
    /// The timeframes that need a longer history than is configured, and of which that was told.
    told_of_history: Mutex<HashSet<Timeframe>>,
    told_of_cost: AtomicBool,
    /// How often a pooled model of each timeframe was fitted here.
    fits: Mutex<BTreeMap<Timeframe, u64>>,
}

/// A call under way; [`SignalLoop::close`] waits for it to be dropped.
pub type Call = tokio::sync::OwnedRwLockReadGuard<()>;

enum StoreState {
    Unopened,
    /// It could not be opened, after so long that others waited for it meanwhile.
    Failed(Instant, Error),
    Open(FeedbackStore),
    Closed,
}

impl SignalLoop {
    /// Opens a home and reads its configuration; nothing is written.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for a wrong value in `training_config.json`; [`Error::InvalidArgument`] for wrong options.
    pub fn open(options: Options) -> Result<Self> {
        if options.threads == Some(0) {
            return Err(Error::argument("threads", "must be a whole number, 1 or more", 0));
        }
        let home = expanded(&options.home.clone().unwrap_or_else(default_home));
        // What a loop writes stays in one place, wherever its process goes afterwards.
        let home = std::path::absolute(&home).map_err(|e| Error::io("find", &home, e))?;
        let settings = RwLock::new(Settings::read(&home, &options)?);
        let from_environment = || std::env::var(STORE_VARIABLE).ok().filter(|store| !store.is_empty());
        let store = options.store.clone().or_else(from_environment);
        let whereabouts = Whereabouts::of(store.as_deref(), home.join("feedback"))?;
        let events = Arc::<Events>::default();
        Ok(Self {
            office: office_of(&whereabouts, home.join("scheduler"), options.lease.unwrap_or(LEASE)),
            registry: registry_in(&whereabouts, &home, &events, &options.clock),
            whereabouts,
            home,
            options,
            settings,
            pool: Mutex::default(),
            store: Mutex::new(StoreState::Unopened),
            tails: Tails::default(),
            asking: Mutex::default(),
            unusable: Mutex::default(),
            exchange: Mutex::default(),
            turns: Turns::default(),
            learning: assess::Learning::default(),
            preparing: prepare::Preparing::default(),
            events,
            checks: performance::Checks::default(),
            scheduling: schedule::Scheduling::default(),
            calls: Arc::default(),
            closing: Cancel::default(),
            told_of_history: Mutex::default(),
            told_of_cost: AtomicBool::default(),
            fits: Mutex::default(),
        })
    }

    /// The home folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The time that the loop goes by, UTC epoch ms.
    pub fn now_ms(&self) -> i64 {
        self.options.clock.now_ms()
    }

    /// The models of this home, or of the database that its signals are in.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The models that belong to signals that are kept there.
    pub fn registry_in(&self, place: &Whereabouts) -> Registry {
        registry_in(place, &self.home, &self.events, &self.options.clock)
    }

    /// Where the signals are kept.
    pub fn whereabouts(&self) -> &Whereabouts {
        &self.whereabouts
    }

    /// The feedback store, opened at first use.
    pub fn store(&self) -> Result<FeedbackStore> {
        let mut state = self.store.lock();
        match &*state {
            StoreState::Open(store) => Ok(store.clone()),
            StoreState::Closed => Err(Error::Closed),
            StoreState::Failed(at, error) if at.elapsed() < IN_VAIN => Err(error.clone()),
            StoreState::Unopened | StoreState::Failed(..) => {
                let begun = Instant::now();
                let opened = self.whereabouts.open(StoreOptions::from(&*self.config()));
                match &opened {
                    Ok(store) => *state = StoreState::Open(store.clone()),
                    // Those that queued up behind this one waited as long as it did.
                    Err(error) if begun.elapsed() >= IN_VAIN => {
                        *state = StoreState::Failed(Instant::now(), error.clone())
                    }
                    Err(_) => {}
                }
                opened
            }
        }
    }

    /// Marks the beginning of a call that [`Self::close`] shall wait for.
    ///
    /// # Errors
    /// [`Error::Closed`] once closing has begun.
    pub fn begin(&self) -> Result<Call> {
        if self.closing.is_cancelled() {
            return Err(Error::Closed);
        }
        self.calls.clone().try_read_owned().map_err(|_| Error::Closed)
    }

    /// Begins to end the loop: trainings stop early, and later calls fail with [`Error::Closed`]. [`SignalLoop::close`] does
    /// the rest.
    pub fn refuse_calls(&self) {
        self.closing.cancel();
    }

    /// Ends the loop: its scheduler, trainings and whatever waits for candles stop early, other calls begun before are finished,
    /// and what they acknowledged is safe; later calls fail with [`Error::Closed`].
    pub async fn close(&self) {
        self.refuse_calls();
        self.stop_scheduler().await;
        let _no_more_calls = self.calls.write().await;
        let before = std::mem::replace(&mut *self.store.lock(), StoreState::Closed);
        if let StoreState::Open(store) = before {
            store.close().await;
        }
        self.registry.close();
        let office = self.office.clone();
        // A panic in it would leave leases that end by themselves.
        let _ = tokio::task::spawn_blocking(move || office.close()).await;
        self.pool.lock().take();
        self.events.clear();
    }

    /// Every symbol at every timeframe, each once: those given, else the configured ones, also by a file that changed meanwhile.
    pub fn markets(&self, symbols: Option<Vec<Symbol>>, timeframes: Option<Vec<Timeframe>>) -> Vec<Market> {
        self.reread_config();
        let mut config = Config::clone(&self.config());
        config.symbols = symbols.unwrap_or(config.symbols);
        config.timeframes = timeframes.unwrap_or(config.timeframes);
        let (mut markets, mut known) = (config.markets(), HashSet::new());
        markets.retain(|market| known.insert(market.clone()));
        markets
    }

    fn data_folder(&self) -> PathBuf {
        self.home.join("data")
    }

    fn source(&self) -> Result<Arc<dyn CandleSource>> {
        let source = match &self.options.source {
            Some(source) => source.clone(),
            None => self.exchange()?,
        };
        Ok(Arc::new(UntilClosed { source, closing: self.closing.clone() }))
    }

    fn exchange(&self) -> Result<Arc<Exchange>> {
        let url = &self.config().exchange_url;
        let mut kept = self.exchange.lock();
        if let Some((_, exchange)) = kept.as_ref().filter(|(known, _)| known == url) {
            return Ok(exchange.clone());
        }
        let exchange = Arc::new(Exchange::new(url)?);
        *kept = Some((url.clone(), exchange.clone()));
        Ok(exchange)
    }

    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.options.threads.unwrap_or_else(|| cores.saturating_sub(1).max(1));
        match self.config().parallel_training {
            ParallelTraining::Threads => threads,
            ParallelTraining::Number(trainings) => threads.max(trainings),
        }
    }

    fn pool(&self) -> Result<Arc<rayon::ThreadPool>> {
        let (threads, mut pool) = (self.threads(), self.pool.lock());
        // One of another size goes once what it has begun is done.
        if let Some(pool) = pool.as_ref().filter(|pool| pool.current_num_threads() == threads) {
            return Ok(pool.clone());
        }
        let built = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("signalloop-{i}"))
            .build()
            .map_err(|e| Error::Internal(format!("cannot start training threads: {e}")))?;
        Ok(pool.insert(Arc::new(built)).clone())
    }

    /// Runs CPU work on the loop's own threads; a panic in it becomes [`Error::Internal`].
    async fn on_pool<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        // Boxed, so that rayon's side of it is compiled once.
        let work: Box<dyn FnOnce() + Send> = Box::new(move || {
            // The receiver is gone only when the caller stopped waiting.
            let _ = reply.send(guard(work));
        });
        self.pool()?.spawn(work);
        answer.await.map_err(|_| Error::Internal("a training thread ended early".to_owned()))?
    }
}

/// Models are where the signals are: in the home, or in the same database.
#[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
fn registry_in(place: &Whereabouts, home: &Path, events: &Arc<Events>, clock: &Clock) -> Registry {
    match place {
        Whereabouts::Folder(_) => Registry::new(home.join("models")),
        #[cfg(feature = "postgres")]
        Whereabouts::Database(url) => {
            let (events, clock) = (events.clone(), clock.clone());
            let warn = move |text| events.emit(&Event::Warning(text), clock.now_ms());
            postgres::registry::open(url.clone(), home.join("cache").join(url.short_name()), warn)
        }
    }
}

/// Where roles are claimed: in the database that has the signals, else in `folder`. A lease of a database lasts for `lease`.
#[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
fn office_of(place: &Whereabouts, folder: PathBuf, lease: Duration) -> Arc<dyn Office> {
    match place {
        #[cfg(feature = "postgres")]
        Whereabouts::Database(url) => Arc::new(postgres::coordination::DatabaseOffice::new(url.clone(), lease)),
        Whereabouts::Folder(_) => Arc::new(FolderOffice::new(folder)),
    }
}

/// `SIGNALLOOP_HOME`, else `./ml`.
pub fn default_home() -> PathBuf {
    std::env::var_os(HOME_VARIABLE).filter(|home| !home.is_empty()).map_or_else(|| PathBuf::from("ml"), PathBuf::from)
}
