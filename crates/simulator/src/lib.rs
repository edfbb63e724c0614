//! A simulated market, served over the REST protocol of an exchange and Binance's streams of trades on loopback: for demonstrations without a network, and for tests of
//! everything that talks to an exchange.
//!
//! It imports `domain` only. Beside `report` it is the only crate that listens on a port.
//!
//! Each symbol is a random walk with clustered volatility and a daily rhythm, plus one hidden rule that a model can learn: after
//! an hour that closes overbought (14-hour RSI of 70 or more) the price drifts down for 12 hours, and after an oversold one (30
//! or less) up, by [`SimulatorOptions::rule_strength`] of an hour's standard deviation per hour.
//!
//! # Example
//! ```
//! use domain::symbol::{Market, Symbol, Timeframe};
//! use simulator::{Simulator, SimulatorOptions};
//!
//! let simulator = Simulator::start(SimulatorOptions::default()).unwrap();
//! let market = Market { symbol: Symbol::parse("BTCUSDT").unwrap(), timeframe: Timeframe::H1 };
//! let now_ms = simulator.now_ms();
//! let candles = simulator.candles(&market, now_ms - 24 * 3_600_000, now_ms).unwrap();
//! assert_eq!(candles.len(), 24);
//! assert!(simulator.url().starts_with("http://127.0.0.1:"));
//! ```

mod exchanges;
mod faults;
mod listing;
pub mod price_walk;
mod routes;
mod tickers;
mod trades;
mod wire;

pub use faults::Fault;

use crate::price_walk::PriceWalk;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::{Market, Symbol};
use domain::time::{self, Clock};
use domain::venue::Venue;
use listing::Listing;
use parking_lot::{Mutex, RwLock};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use trades::Streams;
use wire::{FragileListener, Scissors};

/// How many requests [`Simulator::requests`] remembers: enough for tests, and little memory in a demonstration of weeks.
const REQUESTS_KEPT: usize = 1000;

/// The options of [`Simulator::start`].
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// The exchange whose protocol is served. Default Binance's spot market.
    pub venue: Venue,
    /// Determines every price, together with symbol, start and rule strength. Default 42.
    pub seed: u64,
    /// The traded symbols. Default BTCUSDT.
    pub symbols: Vec<Symbol>,
    /// Symbols that are no longer traded, each with the time at which that ended, UTC epoch ms. Default none.
    pub delisted: Vec<(Symbol, i64)>,
    /// Open time of the first candle, UTC epoch milliseconds, rounded down to the hour. Default 2025-01-01.
    pub start_ms: i64,
    /// The time in the market; a standing clock may be set while it runs. Default: standing, 120 days after the default start.
    pub clock: Clock,
    /// Drift of the hidden rule per hour, in hourly standard deviations, 0 to 2; 0 is a pure random walk. Default 0.25: then a
    /// trade against an extreme RSI (stop 1.5 ATR, target 3 ATR) takes profit within 24 hours 55 times in 100 instead of 28, and
    /// about 6 hours in 100 are extreme.
    pub rule_strength: f64,
    /// The port on loopback. Default 0: any free port.
    pub port: u16,
    /// Faults, each with the share of answers that it affects: 0 to 1, in sum at most 1. `seed` determines which answers.
    /// Default: none.
    pub faults: Vec<(Fault, f64)>,
    /// Request weight allowed per minute of the system's clock, by Binance's weights; requests beyond it are refused. Default 6000, as at Binance.
    pub weight_a_minute: u32,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        let start_ms = 1_735_689_600_000;
        Self {
            venue: Venue::default(),
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

/// The state that the server shares with its owner.
#[derive(Debug)]
struct Shared {
    venue: Venue,
    seed: u64,
    start_ms: i64,
    rule_strength: f64,
    listings: RwLock<BTreeMap<Symbol, Arc<Listing>>>,
    clock: Clock,
    /// Faults queued by [`Simulator::fail_next`], each for one request.
    faults: Mutex<VecDeque<Fault>>,
    fault_rates: Vec<(Fault, f64)>,
    weight_a_minute: u32,
    /// The current minute since 1970, and the weight used in it.
    weight: Mutex<(i64, u32)>,
    /// Draws faults by their rates.
    fault_draws: Mutex<ChaCha8Rng>,
    requests: Mutex<(usize, VecDeque<String>)>,
    streams: Streams,
}

impl Simulator {
    /// Starts serving on `127.0.0.1`, on its own thread, so that no runtime is needed or blocked.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a rule strength or start out of range; [`Error::Exchange`] when the port is taken.
    pub fn start(options: SimulatorOptions) -> Result<Self> {
        let SimulatorOptions { venue, seed, start_ms, clock, rule_strength, port, faults, weight_a_minute, .. } =
            options;
        if !(0.0..=2.0).contains(&rule_strength) {
            return Err(Error::argument("ruleStrength", "must be a number, 0 to 2", rule_strength));
        }
        if !(time::MIN_MILLIS..=time::MAX_MILLIS).contains(&start_ms) {
            return Err(Error::argument("start", "must be a time in epoch milliseconds", start_ms));
        }
        let rates: f64 = faults.iter().map(|(_, rate)| rate).sum();
        // The sum of equal shares may exceed 1 by a rounding error.
        if faults.iter().any(|(_, rate)| !(0.0..=1.0).contains(rate)) || rates > 1.0 + 1e-9 {
            return Err(Error::argument("faults", "must have rates of 0 to 1, together at most 1", rates));
        }
        let shared = Arc::new(Shared {
            venue,
            seed,
            start_ms,
            rule_strength,
            listings: RwLock::default(),
            clock,
            faults: Mutex::default(),
            fault_rates: faults,
            weight_a_minute,
            weight: Mutex::default(),
            fault_draws: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            requests: Mutex::default(),
            streams: Streams::default(),
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

    /// The closed candles of `market` whose open times lie in `[from_ms, until_ms)`, without HTTP.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the symbol is not traded here.
    pub fn candles(&self, market: &Market, from_ms: i64, until_ms: i64) -> Result<Vec<Candle>> {
        let now = self.now_ms();
        let until = until_ms.min(now - market.timeframe.millis() + 1);
        Ok(self.listing(&market.symbol)?.candles(market.timeframe, from_ms, until, now, usize::MAX))
    }

    /// The current price of `symbol`; for a delisted one, its last.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the symbol was never traded here.
    pub fn price(&self, symbol: &Symbol) -> Result<f64> {
        Ok(self.listing(symbol)?.price(self.now_ms()))
    }

    /// Lists another symbol, as if it had always traded.
    pub fn list(&self, symbol: Symbol) {
        self.shared.list(symbol);
    }

    /// Ends trading of a symbol at a time, which may be in the future. As at Binance, the symbol stays known, with status
    /// `BREAK`, its old candles and its last price.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the symbol is not traded here.
    pub fn delist(&self, symbol: &Symbol, at_ms: i64) -> Result<()> {
        self.listing(symbol)?.delist(at_ms);
        Ok(())
    }

    /// Makes a trade: whoever streams the symbol is told, and it is the symbol's current price from now on, whatever its candles
    /// say. `price` must be above 0.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the symbol is not traded here.
    pub fn trade(&self, symbol: &Symbol, price: f64) -> Result<()> {
        self.listing(symbol)?;
        self.shared.trade(symbol, price);
        Ok(())
    }

    /// The number of open streams.
    pub fn stream_count(&self) -> usize {
        self.shared.streams.count()
    }

    /// Cuts all streams. While `refuse` is set, new ones are refused.
    pub fn cut_streams(&self, refuse: bool) {
        self.shared.streams.cut(refuse);
    }

    /// Where trades are streamed, as Binance does.
    pub fn stream_url(&self) -> String {
        format!("{}/ws", self.url.replacen("http", "ws", 1))
    }

    /// Applies a fault to the next request's answer. Faults queue: one for each request, in order.
    pub fn fail_next(&self, fault: Fault) {
        self.shared.faults.lock().push_back(fault);
    }

    /// The number of requests so far, including failed ones.
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
        let walk = PriceWalk::new(self.seed, &symbol, self.start_ms, self.rule_strength);
        self.listings.write().entry(symbol.clone()).or_insert_with(|| Arc::new(Listing::new(symbol, walk))).clone()
    }

    fn listing(&self, symbol: &Symbol) -> Option<Arc<Listing>> {
        self.listings.read().get(symbol).cloned()
    }

    /// All symbols, in order.
    fn all(&self) -> Vec<Arc<Listing>> {
        self.listings.read().values().cloned().collect()
    }

    fn trade(&self, symbol: &Symbol, price: f64) {
        if let Some(listing) = self.listing(symbol) {
            listing.trade(price);
            self.streams.tell(symbol, price);
        }
    }

    /// Counts a request. Returns the weight used in this minute, and the seconds left of it.
    fn weigh(&self, weight: u32) -> (u32, u64) {
        let seconds = time::now_ms().div_euclid(1000);
        let (minute, used) = &mut *self.weight.lock();
        if *minute != seconds.div_euclid(60) {
            (*minute, *used) = (seconds.div_euclid(60), 0);
        }
        *used = used.saturating_add(weight);
        (*used, 60 - seconds.rem_euclid(60).unsigned_abs())
    }

    /// The fault for the next answer, if any.
    fn next_fault(&self) -> Option<Fault> {
        if let Some(fault) = self.faults.lock().pop_front() {
            return Some(fault);
        }
        if self.fault_rates.is_empty() {
            return None;
        }
        let mut thrown = self.fault_draws.lock().random::<f64>();
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
