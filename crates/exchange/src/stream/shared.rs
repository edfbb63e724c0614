//! What the task of a stream and its user share.

use super::bursts::{Burst, StreamedPrice};
use domain::symbol::Symbol;
use domain::time::Clock;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::{Notify, watch};

/// Prices of a symbol that were not taken before.
#[derive(Debug, Clone, PartialEq)]
pub struct SymbolPrices {
    /// The symbol.
    pub symbol: Symbol,
    /// Since when no trade was missed, UTC epoch ms.
    pub since_ms: i64,
    /// The first, lowest, highest and last price, in the order in which they came. Never empty.
    pub prices: Vec<StreamedPrice>,
}

/// A time without prices, from the last one before it to the first one after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// When the last price before it came, UTC epoch ms.
    pub from_ms: i64,
    /// When the first price after it came, UTC epoch ms; `None` while it lasts.
    pub until_ms: Option<i64>,
    /// Why it began.
    pub reason: String,
}

/// The state of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamStatus {
    /// Since when it is connected, UTC epoch ms; `None` if it is not.
    pub connected_since_ms: Option<i64>,
    /// The number of symbols that are streamed.
    pub symbols: usize,
    /// Why the other wanted symbols are not.
    pub missing: BTreeMap<Symbol, String>,
    /// The number of prices so far.
    pub prices: u64,
    /// The number of trades that came too late to count.
    pub late: u64,
    /// The number of messages that could not be read.
    pub unreadable: u64,
    /// The number of connections so far.
    pub connections: u64,
    /// The last gap.
    pub last_gap: Option<Gap>,
    /// What is wrong now, or was wrong last while it is not connected.
    pub problem: Option<String>,
}

/// What the task of a stream and its user share.
#[derive(Debug)]
pub(super) struct Shared {
    clock: Clock,
    wanted: watch::Sender<BTreeSet<Symbol>>,
    state: Mutex<State>,
    /// Notified when prices came, or when a stretch began or ended.
    pub(super) news: Notify,
}

#[derive(Debug, Default)]
struct State {
    symbols: BTreeMap<Symbol, Streamed>,
    status: StreamStatus,
    /// When the last price came.
    last_ms: Option<i64>,
}

/// A symbol that is streamed.
#[derive(Debug)]
struct Streamed {
    since_ms: i64,
    burst: Option<Burst>,
}

impl Shared {
    pub(super) fn new(clock: Clock) -> Self {
        let (wanted, _) = watch::channel(BTreeSet::new());
        Self { clock, wanted, state: Mutex::default(), news: Notify::new() }
    }

    pub(super) fn wanted(&self) -> watch::Receiver<BTreeSet<Symbol>> {
        self.wanted.subscribe()
    }

    pub(super) fn want(&self, symbols: BTreeSet<Symbol>) {
        self.state.lock().symbols.retain(|symbol, _| symbols.contains(symbol));
        self.wanted.send_if_modified(|wanted| {
            let differs = *wanted != symbols;
            *wanted = symbols;
            differs
        });
    }

    pub(super) fn take(&self, mut ready: impl FnMut(&Symbol, i64) -> bool) -> Vec<SymbolPrices> {
        let state = &mut *self.state.lock();
        let with_prices = state.symbols.iter_mut().filter(|(_, streamed)| streamed.burst.is_some());
        let ready = with_prices.filter(|(symbol, streamed)| ready(symbol, streamed.since_ms));
        ready
            .filter_map(|(symbol, streamed)| {
                let prices = streamed.burst.take()?.prices();
                Some(SymbolPrices { symbol: symbol.clone(), since_ms: streamed.since_ms, prices })
            })
            .collect()
    }

    pub(super) fn stretches(&self) -> BTreeMap<Symbol, i64> {
        let state = self.state.lock();
        state.symbols.iter().map(|(symbol, streamed)| (symbol.clone(), streamed.since_ms)).collect()
    }

    pub(super) fn status(&self) -> StreamStatus {
        let state = self.state.lock();
        StreamStatus { symbols: state.symbols.len(), ..state.status.clone() }
    }

    /// A connection is in use.
    pub(super) fn connected(&self) {
        let status = &mut self.state.lock().status;
        (status.connected_since_ms, status.problem) = (Some(self.clock.now_ms()), None);
        status.connections += 1;
    }

    /// The connection ended, or could not be made. All stretches end with it.
    pub(super) fn disconnected(&self, reason: &str) {
        {
            let state = &mut *self.state.lock();
            state.break_off(reason);
            state.symbols.clear();
            state.status.connected_since_ms = None;
            state.status.problem = Some(reason.to_owned());
        }
        self.news.notify_one();
    }

    /// The connection was closed because no symbol is wanted.
    pub(super) fn not_needed(&self) {
        let state = &mut *self.state.lock();
        state.symbols.clear();
        (state.status.connected_since_ms, state.status.problem) = (None, None);
        state.last_ms = None;
    }

    /// The trades of a symbol come from now on.
    pub(super) fn begin(&self, symbol: Symbol) {
        if !self.wanted.borrow().contains(&symbol) {
            return;
        }
        let streamed = Streamed { since_ms: self.clock.now_ms(), burst: None };
        self.state.lock().symbols.insert(symbol, streamed);
        self.news.notify_one();
    }

    /// A current price of a symbol.
    pub(super) fn price(&self, symbol: &Symbol, price: f64) {
        let time_ms = self.clock.now_ms();
        {
            let state = &mut *self.state.lock();
            let Some(streamed) = state.symbols.get_mut(symbol) else { return };
            let price = StreamedPrice { price, time_ms };
            match &mut streamed.burst {
                Some(burst) => burst.add(price),
                None => streamed.burst = Some(Burst::of(price)),
            }
            state.status.prices += 1;
            state.last_ms = Some(time_ms);
            if let Some(gap) = state.status.last_gap.as_mut().filter(|gap| gap.until_ms.is_none()) {
                gap.until_ms = Some(time_ms);
            }
        }
        self.news.notify_one();
    }

    /// A trade of a symbol came too late to count: from now on it is as if it had been missed.
    pub(super) fn late(&self, symbol: &Symbol) {
        let state = &mut *self.state.lock();
        state.status.late += 1;
        if let Some(streamed) = state.symbols.get_mut(symbol) {
            *streamed = Streamed { since_ms: self.clock.now_ms().saturating_add(1), burst: None };
        }
        state.break_off("trades arrive late");
    }

    pub(super) fn unreadable(&self, problem: String) {
        let status = &mut self.state.lock().status;
        status.unreadable += 1;
        status.problem = Some(problem);
    }

    pub(super) fn missing(&self, missing: BTreeMap<Symbol, String>) {
        self.state.lock().status.missing = missing;
    }
}

impl State {
    /// A gap begins with the last price, unless one lasts already.
    fn break_off(&mut self, reason: &str) {
        if let Some(from_ms) = self.last_ms.take() {
            self.status.last_gap = Some(Gap { from_ms, until_ms: None, reason: reason.to_owned() });
        }
    }
}
