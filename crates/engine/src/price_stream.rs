//! The task that streams the prices of symbols with open signals, while this process leads the scheduler.
//!
//! It follows which symbols have open signals, has the candles before each stretch checked, and passes prices on as they come.
//! Whatever is not streamed, the watch requests as it does without a stream.

use super::watch::SignalWatch;
use super::{CandleFetcher, Event, Settings};
use domain::cancel::Cancel;
use domain::error::Result;
use domain::symbol::Symbol;
use domain::threads;
use domain::venue::Venue;
use exchange::stream::{PriceStream, StreamPace};
use scheduler::{SchedulerConfig, Task, WatchPrices};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, JoinSet};

/// How often it is looked whether other processes recorded signals.
const LOOK: Duration = Duration::from_secs(1);
/// Open signals are read again at most so often.
const SOON: Duration = Duration::from_millis(100);
/// After candles could not be checked, the pause until they are again.
const AGAIN: Duration = Duration::from_secs(5);
/// A stream that has been down for this long is reported.
const DOWN: Duration = Duration::from_secs(60);

/// What to stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamPlan {
    venue: Venue,
    /// The host of the REST API that names the symbols; `None` is the exchange's own.
    exchange_url: Option<String>,
    url: Option<String>,
    /// The symbols to watch; `None` means all with open signals.
    symbols: Option<Vec<Symbol>>,
}

impl StreamPlan {
    /// What to stream by this configuration. `None` if prices are polled: by configuration, without a known address, with candles
    /// of the user's own, or in a replay.
    pub fn of(settings: &Settings, fetcher: &CandleFetcher, config: &SchedulerConfig) -> Option<Self> {
        let (training, watch) = (settings.config(), config.plan(Task::Watch));
        let is_possible = !settings.is_replay() && fetcher.uses_exchange_alone();
        let is_wanted = config.enabled && watch.enabled && config.prices == WatchPrices::Stream;
        // Another host for candles may be another exchange, whose prices the exchange's own stream does not have.
        let has_address = config.stream_url.is_some() || training.exchange_url.is_none();
        let url = config.stream_url.clone();
        (is_possible && is_wanted && has_address).then_some(Self {
            venue: training.exchange,
            exchange_url: training.exchange_url.clone(),
            url,
            symbols: watch.symbols,
        })
    }
}

/// Streams prices until `stop` is raised.
pub(super) async fn stream_prices(watch: Arc<SignalWatch>, plan: StreamPlan, stop: Cancel) {
    let clock = watch.settings.clock().clone();
    let opened = watch
        .fetcher
        .exchange()
        .and_then(|exchange| PriceStream::open(exchange, plan.url.as_deref(), StreamPace::default(), clock));
    let stream = match opened {
        Ok(stream) => Arc::new(stream),
        Err(error) => {
            watch.events.emit(&Event::Warning(format!("prices are not streamed: {error}")));
            return;
        }
    };
    *watch.stream.lock() = Some(stream.clone());
    let mut following = Following::new(watch.clone(), stream, plan.symbols);
    following.follow(&stop).await;
    // Candles that are being checked are finished or cancelled with the loop.
    following.catching_up.shutdown().await;
    watch.stream_ended();
}

/// Follows which symbols have open signals, and their prices.
struct Following {
    watch: Arc<SignalWatch>,
    stream: Arc<PriceStream>,
    symbols: Option<Vec<Symbol>>,
    /// The number of signals, and of closed ones, when open signals were last read.
    extent: Option<(usize, usize)>,
    /// When they were last read, and how long that took.
    read: Option<(Instant, Duration)>,
    open: BTreeSet<Symbol>,
    catching_up: JoinSet<Result<()>>,
    /// The symbols whose candles are being checked.
    checked: Vec<Symbol>,
    /// When candles are checked again after a failure.
    again: Instant,
    /// Since when the stream has been down.
    down: Option<Instant>,
    told_down: bool,
    /// The last failure to read open signals.
    problem: Option<String>,
}

impl Following {
    fn new(watch: Arc<SignalWatch>, stream: Arc<PriceStream>, symbols: Option<Vec<Symbol>>) -> Self {
        Self {
            watch,
            stream,
            symbols,
            extent: None,
            read: None,
            open: BTreeSet::new(),
            catching_up: JoinSet::new(),
            checked: Vec::new(),
            again: Instant::now(),
            down: None,
            told_down: false,
            problem: None,
        }
    }

    /// Follows until `stop` is raised or the loop closes. What is passed on at that time is finished.
    async fn follow(&mut self, stop: &Cancel) {
        let closing = self.watch.lifetime.closing().clone();
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stopped = stop.unless(closing.unless(std::future::pending::<Result<()>>()));
            let is_tick = tokio::select! {
                _ = stopped => return,
                _ = tick.tick() => true,
                () = self.stream.news() => false,
                // Prices wait for signals that are not read yet.
                () = tokio::time::sleep(SOON), if self.is_outdated() => false,
                Some(ended) = self.catching_up.join_next() => {
                    self.after_catching_up(ended);
                    false
                }
            };
            if is_tick {
                self.look_elsewhere().await;
                self.tell_if_down();
            }
            self.read_open().await;
            self.watch.note_stretches(&self.stream.stretches());
            self.catch_up();
            self.pass_on().await;
        }
    }

    /// Whether signals were recorded or closed since open signals were last read.
    fn is_outdated(&self) -> bool {
        let store = self.watch.signals.store().if_open();
        store.is_some_and(|store| Some(store.extent()) != self.extent)
    }

    /// Takes in what other processes recorded. Opens the store, if there is one.
    async fn look_elsewhere(&mut self) {
        let watch = self.watch.clone();
        let looked = threads::blocking(move || match watch.signals.store().existing()? {
            Some(store) => store.current_extent().map(drop),
            None => Ok(()),
        });
        let looked = looked.await;
        self.note(looked);
    }

    /// Reads which symbols have open signals, if that may have changed. Where it takes long, it is done less often.
    async fn read_open(&mut self) {
        let is_soon = self.read.is_some_and(|(at, took)| at.elapsed() < SOON.max(10 * took));
        let Some(store) = self.watch.signals.store().if_open().filter(|_| self.is_outdated() && !is_soon) else {
            return;
        };
        let (begun, extent) = (Instant::now(), store.extent());
        let surveyed = self.watch.survey(self.symbols.as_deref()).await;
        self.read = Some((Instant::now(), begun.elapsed()));
        let surveyed = surveyed.map(|open| {
            self.extent = Some(extent);
            self.stream.want(open.clone());
            self.open = open;
        });
        self.note(surveyed);
    }

    /// A failure is told once, until it is over. Prices wait meanwhile.
    fn note(&mut self, result: Result<()>) {
        let problem = result.err().map(|error| error.to_string());
        if let Some(problem) = problem.as_ref().filter(|problem| self.problem.as_ref() != Some(*problem)) {
            let text = format!("streamed prices wait, since open signals cannot be read: {problem}");
            self.watch.events.emit(&Event::Warning(text));
        }
        self.problem = problem;
    }

    /// Has the candles before new stretches checked.
    fn catch_up(&mut self) {
        if !self.catching_up.is_empty() || Instant::now() < self.again {
            return;
        }
        let symbols = self.watch.to_catch_up();
        if !symbols.is_empty() {
            let watch = self.watch.clone();
            self.checked.clone_from(&symbols);
            self.catching_up.spawn(async move { watch.catch_up_streamed(&symbols).await });
        }
    }

    /// What failed is reported by the watch, which checks the same candles.
    fn after_catching_up(&mut self, ended: std::result::Result<Result<()>, JoinError>) {
        let failed = match ended {
            Ok(result) => result.is_err(),
            Err(panic) => {
                self.watch.events.emit(&Event::Warning(format!("candles could not be checked: {panic}")));
                true
            }
        };
        let is_left = |symbol: &Symbol| self.checked.contains(symbol);
        if failed || self.watch.to_catch_up().iter().any(is_left) {
            self.again = Instant::now() + AGAIN;
        }
    }

    async fn pass_on(&mut self) {
        if self.is_outdated() {
            return;
        }
        let prices = self.stream.take(|symbol, stretch_ms| self.watch.is_ready(symbol, stretch_ms));
        if !prices.is_empty() {
            self.watch.pass_on(&prices).await;
        }
    }

    fn tell_if_down(&mut self) {
        let status = self.stream.status();
        if self.open.is_empty() || status.connected_since_ms.is_some() {
            (self.down, self.told_down) = (None, false);
            return;
        }
        let down = *self.down.get_or_insert_with(Instant::now);
        if down.elapsed() >= DOWN && !std::mem::replace(&mut self.told_down, true) {
            let why = status.problem.unwrap_or_else(|| "it is being connected".to_owned());
            self.watch.events.emit(&Event::Warning(format!(
                "prices have not been streamed for {} s and are requested instead: {why}",
                DOWN.as_secs()
            )));
        }
    }
}
