//! A market that exists only in this process, served over Binance's REST protocol on loopback: for demonstrations without
//! a network, and for tests of everything that talks to an exchange.
//!
//! Each symbol walks at random with clustered volatility and a daily rhythm, and obeys one hidden rule that a model can
//! learn: after an hour that closes overbought (14-hour RSI of 70 or more) the price drifts down for 12 hours, after an
//! oversold one (30 or less) up, by [`SimulatorOptions::rule_strength`] of an hour's standard deviation per hour.

mod faults;
mod listing;
pub mod path;
mod routes;
mod tickers;
mod wire;

pub use faults::Fault;

use crate::path::Path;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::{Market, Symbol};
use domain::time::{self, Clock};
use listing::Listing;
use parking_lot::{Mutex, RwLock};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use wire::{FragileListener, Scissors};

/// The requests that [`Simulator::requests`] remembers: enough for any test, and little in a demonstration of weeks.
const REQUESTS_KEPT: usize = 1000;

/// What [`Simulator::start`] simulates.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// Determines every price, together with symbol, start and rule strength. Default 42.
    pub seed: u64,
    /// The symbols traded. Default BTCUSDT.
    pub symbols: Vec<Symbol>,
    /// Symbols that are not traded any more, each with the time when that ended, UTC epoch ms. Default none.
    pub delisted: Vec<(Symbol, i64)>,
    /// Open time of the first candle, UTC epoch milliseconds, rounded down to the hour. Default 2025-01-01.
    pub start_ms: i64,
    /// The time in the market; a standing one may be set while it runs. Default 120 days after the default start, standing.
    pub clock: Clock,
    /// Drift of the hidden rule per hour, in hourly standard deviations, 0 to 2; 0 is a random walk without any rule.
    /// Default 0.25: with it a trade against the extreme RSI, stop 1.5 ATR, target 3 ATR, takes profit 55 times in 100
    /// within 24 hours instead of 28, and some 6 hours in 100 are extreme.
    pub rule_strength: f64,
    /// The port on loopback. Default 0: a free one.
    pub port: u16,
    /// Kinds of faults, each with the share of answers that it spoils, 0 to 1, together at most 1. Which answers, `seed`
    /// and their order determine. Default: none.
    pub faults: Vec<(Fault, f64)>,
    /// The request weight that it serves in a minute of the system's clock; what is more gets HTTP 429. Default 6000, as
    /// Binance.
    pub weight_a_minute: u32,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        let start_ms = 1_735_689_600_000;
        Self {
            seed: 42,
            symbols: Symbol::parse("BTCUSDT").into_iter().collect(),
            delisted: Vec::new(),
            start_ms,
            clock: Clock::standing(start_ms + 120 * 86_400_000),
            rule_strength: 0.25,
            port: 0,
            faults: Vec::new(),
            weight_a_minute: 6000,
        }
    }
}

/// A running simulated exchange. It stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the server and its owner both hold.
#[derive(Debug)]
struct Shared {
    seed: u64,
    start_ms: i64,
    rule_strength: f64,
    listings: RwLock<BTreeMap<Symbol, Arc<Listing>>>,
    clock: Clock,
    /// Asked for by hand, each for one request.
    faults: Mutex<VecDeque<Fault>>,
    fault_rates: Vec<(Fault, f64)>,
    weight_a_minute: u32,
    /// The minute since 1970 that is counted, and the weight used in it.
    weight: Mutex<(i64, u32)>,
    /// Draws faults by their rates.
    dice: Mutex<ChaCha8Rng>,
    requests: Mutex<(usize, VecDeque<String>)>,
}

impl Simulator {
    /// Starts serving on `127.0.0.1`, on a thread of its own, so that it needs no runtime and holds none up.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a rule strength or start out of range; [`Error::Exchange`] when the port is taken.
    pub fn start(options: SimulatorOptions) -> Result<Self> {
        let SimulatorOptions { seed, start_ms, clock, rule_strength, port, faults, weight_a_minute, .. } = options;
        if !(0.0..=2.0).contains(&rule_strength) {
            return Err(Error::argument("ruleStrength", "must be a number, 0 to 2", rule_strength));
        }
        if !(time::MIN_MILLIS..=time::MAX_MILLIS).contains(&start_ms) {
            return Err(Error::argument("start", "must be a time in epoch milliseconds", start_ms));
        }
        let rates: f64 = faults.iter().map(|(_, rate)| rate).sum();
        // One last bit of a sum of equal shares must not be too much.
        if faults.iter().any(|(_, rate)| !(0.0..=1.0).contains(rate)) || rates > 1.0 + 1e-9 {
            return Err(Error::argument("faults", "must have rates of 0 to 1, together at most 1", rates));
        }
        let shared = Arc::new(Shared {
            seed,
            start_ms,
            rule_strength,
            listings: RwLock::default(),
            clock,
            faults: Mutex::default(),
            fault_rates: faults,
            weight_a_minute,
            weight: Mutex::default(),
            dice: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            requests: Mutex::default(),
        });
        for symbol in options.symbols {
            shared.list(symbol);
        }
        for (symbol, at_ms) in options.delisted {
            shared.list(symbol).delist(at_ms);
        }
        let fail =
            |e: std::io::Error| Error::Exchange(format!("cannot serve a simulated exchange on port {port}: {e}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let url = format!("http://{}", listener.local_addr().map_err(fail)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
        let (stop, stopped) = oneshot::channel();
        let routes = routes::routes(shared.clone()).into_make_service_with_connect_info::<Scissors>();
        let serve = move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = axum::serve(FragileListener(listener), routes) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("simulator".into()).spawn(serve).map_err(fail)?;
        Ok(Self { url, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The base URL, as `exchange_url` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The time in the market.
    pub fn now_ms(&self) -> i64 {
        self.shared.now_ms()
    }

    /// The market's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The closed candles of `market` whose open times lie in `[from_ms, until_ms)`, without the way over HTTP.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the symbol is not traded here.
    pub fn candles(&self, market: &Market, from_ms: i64, until_ms: i64) -> Result<Vec<Candle>> {
        let now = self.now_ms();
        let until = until_ms.min(now - market.timeframe.millis() + 1);
        Ok(self.listing(&market.symbol)?.candles(market.timeframe, from_ms, until, now, usize::MAX))
    }

    /// The price of `symbol` now; of a delisted one, the last that it had.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the symbol was never traded here.
    pub fn price(&self, symbol: &Symbol) -> Result<f64> {
        Ok(self.listing(symbol)?.price(self.now_ms()))
    }

    /// Begins to trade another symbol, as if it always had.
    pub fn list(&self, symbol: Symbol) {
        self.shared.list(symbol);
    }

    /// Ends the trade in a symbol at a time, also one to come. As at Binance it stays known, with the status `BREAK`, its old
    /// candles and its last price.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the symbol is not traded here.
    pub fn delist(&self, symbol: &Symbol, at_ms: i64) -> Result<()> {
        self.listing(symbol)?.delist(at_ms);
        Ok(())
    }

    /// Spoils the answer to the next request. Faults queue: one request each, in order.
    pub fn fail_next(&self, fault: Fault) {
        self.shared.faults.lock().push_back(fault);
    }

    /// How many requests arrived, those that were made to fail included.
    pub fn request_count(&self) -> usize {
        self.shared.requests.lock().0
    }

    /// Path and query of the last 1000 requests, oldest first.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().1.iter().cloned().collect()
    }

    fn listing(&self, symbol: &Symbol) -> Result<Arc<Listing>> {
        let unknown = || Error::Exchange(format!("{symbol}: the simulated exchange does not trade it"));
        self.shared.listing(symbol).ok_or_else(unknown)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn list(&self, symbol: Symbol) -> Arc<Listing> {
        let path = Path::new(self.seed, &symbol, self.start_ms, self.rule_strength);
        self.listings.write().entry(symbol.clone()).or_insert_with(|| Arc::new(Listing::new(symbol, path))).clone()
    }

    fn listing(&self, symbol: &Symbol) -> Option<Arc<Listing>> {
        self.listings.read().get(symbol).cloned()
    }

    /// All symbols, in order.
    fn all(&self) -> Vec<Arc<Listing>> {
        self.listings.read().values().cloned().collect()
    }

    /// Counts a request; the weight used in this minute, and how many seconds are left of it.
    fn weigh(&self, weight: u32) -> (u32, u64) {
        let seconds = time::now_ms().div_euclid(1000);
        let (minute, used) = &mut *self.weight.lock();
        if *minute != seconds.div_euclid(60) {
            (*minute, *used) = (seconds.div_euclid(60), 0);
        }
        *used = used.saturating_add(weight);
        (*used, 60 - seconds.rem_euclid(60).unsigned_abs())
    }

    /// The fault of the next answer, if it has one.
    fn next_fault(&self) -> Option<Fault> {
        if let Some(fault) = self.faults.lock().pop_front() {
            return Some(fault);
        }
        if self.fault_rates.is_empty() {
            return None;
        }
        let mut thrown = self.dice.lock().random::<f64>();
        let drawn = self.fault_rates.iter().find(|(_, rate)| {
            thrown -= rate;
            thrown < 0.0
        });
        drawn.map(|(fault, _)| *fault)
    }

    fn remember(&self, request: String) {
        let (count, kept) = &mut *self.requests.lock();
        *count += 1;
        if kept.len() == REQUESTS_KEPT {
            kept.pop_front();
        }
        kept.push_back(request);
    }
}
