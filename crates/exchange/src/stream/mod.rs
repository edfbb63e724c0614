//! Prices by WebSocket: one connection to an exchange, with a subscription to the trades of each wanted symbol.
//!
//! [`PriceStream`] connects while symbols are wanted, subscribes and unsubscribes as they change, notices a connection that has
//! fallen silent, and connects again. Whoever uses it takes prices when it is ready for them. What comes meanwhile is kept as the
//! first, lowest, highest and last price of each symbol, so memory is bounded and no extreme is lost.
//!
//! A *stretch* is a time in which no trade of a symbol was missed. It begins when the exchange confirms the subscription, and
//! ends with the connection. What happened between two stretches is known from candles only.
//!
//! A file per exchange says what differs: its URL, its messages, and its limits.

mod binance;
mod bursts;
mod bybit;
mod coinbase;
mod connect;
mod connection;
mod feed;
mod kraken;
mod kucoin;
mod okx;
mod protocol;
mod proxy;
mod shared;
mod subscriptions;

pub use bursts::StreamedPrice;
pub use shared::{Gap, StreamStatus, SymbolPrices};

use super::Exchange;
use connection::keep_connected;
use domain::error::Result;
use domain::symbol::Symbol;
use domain::time::Clock;
use shared::Shared;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Time-outs and pauses of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPace {
    /// Time-out for a connection, including TLS and the handshake. Default 10 s.
    pub connect: Duration,
    /// A connection on which nothing arrives for this long counts as broken. After half of it, a ping is sent. Default 30 s.
    pub silence: Duration,
    /// How long the exchange may take to confirm a subscription. Default 10 s.
    pub confirm: Duration,
    /// Pause before the first attempt to connect again; doubled for each further one, of which half is random. Default 0.5 s.
    pub backoff: Duration,
    /// The longest such pause. Default 60 s.
    pub longest_backoff: Duration,
    /// A connection that lasted this long ends the doubling. Default 30 s.
    pub stable: Duration,
    /// When a refused symbol is asked for again. Default 10 min.
    pub refused: Duration,
    /// A trade that arrives this much later than the quickest one of the connection is not current. Default 10 s.
    pub late: Duration,
}

impl Default for StreamPace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            confirm: Duration::from_secs(10),
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(60),
            stable: Duration::from_secs(30),
            refused: Duration::from_secs(600),
            late: Duration::from_secs(10),
        }
    }
}

/// The trades of some symbols, as they happen. It ends when dropped.
#[derive(Debug)]
pub struct PriceStream {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl PriceStream {
    /// A stream of an exchange. It connects as soon as symbols are wanted. `exchange` is the client of its REST API, whose list of
    /// symbols says how the stream names them. `url` replaces the exchange's own address: that of a WebSocket, but for KuCoin that of
    /// the REST API which tells it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidArgument`] if `url` is no ws(s) URL, or for KuCoin no http(s) URL.
    pub fn open(exchange: Arc<Exchange>, url: Option<&str>, pace: StreamPace, clock: Clock) -> Result<Self> {
        let protocol = feed::protocol(&exchange, url)?;
        let shared = Arc::new(Shared::new(clock));
        let task = tokio::spawn(keep_connected(shared.clone(), exchange, protocol, pace));
        Ok(Self { shared, task })
    }

    /// Sets the symbols whose trades are wanted. The others are unsubscribed, and their prices forgotten.
    pub fn want(&self, symbols: BTreeSet<Symbol>) {
        self.shared.want(symbols);
    }

    /// Waits until there may be prices to take, or a stretch has begun or ended.
    pub async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// Takes the prices of those symbols for which `ready` holds, which is given the symbol and the begin of its stretch. The
    /// others keep theirs. `ready` must not call the stream.
    pub fn take(&self, ready: impl FnMut(&Symbol, i64) -> bool) -> Vec<SymbolPrices> {
        self.shared.take(ready)
    }

    /// Since when no trade was missed, UTC epoch ms, of each symbol that is streamed now.
    pub fn stretches(&self) -> BTreeMap<Symbol, i64> {
        self.shared.stretches()
    }

    /// The state of the stream.
    pub fn status(&self) -> StreamStatus {
        self.shared.status()
    }
}

impl Drop for PriceStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
