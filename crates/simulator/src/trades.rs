//! Streams of trades, in Binance's format, and trades that somebody makes.

use super::Shared;
use super::routes::{Answer, Parameters, listing, refuse};
use axum::Json;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::symbol::Symbol;
use domain::time;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{MissedTickBehavior, interval};

/// How often the price of a walk becomes a trade, if it has changed.
const TICK: Duration = Duration::from_secs(1);
/// The trades that a slow reader may be behind. Then it is cut off.
const BEHIND: usize = 16_384;

/// A trade.
#[derive(Debug, Clone)]
struct Trade {
    symbol: Symbol,
    price: f64,
}

/// The open streams.
#[derive(Debug)]
pub(super) struct Streams {
    trades: broadcast::Sender<Trade>,
    open: AtomicUsize,
    refused: AtomicBool,
    /// Changed when all streams are cut.
    cut: watch::Sender<()>,
}

impl Default for Streams {
    fn default() -> Self {
        let (trades, _) = broadcast::channel(BEHIND);
        Self { trades, open: AtomicUsize::new(0), refused: AtomicBool::new(false), cut: watch::channel(()).0 }
    }
}

impl Streams {
    pub(super) fn tell(&self, symbol: &Symbol, price: f64) {
        // An error means that nobody listens.
        let _ = self.trades.send(Trade { symbol: symbol.clone(), price });
    }

    pub(super) fn count(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub(super) fn cut(&self, refuse: bool) {
        self.refused.store(refuse, Ordering::Release);
        self.cut.send_replace(());
    }
}

/// Counts as an open stream until dropped.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.streams.open.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams.open.fetch_sub(1, Ordering::AcqRel);
    }
}

pub(super) async fn stream(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    match shared.streams.refused.load(Ordering::Acquire) {
        true => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        false => upgrade.on_upgrade(|socket| serve(shared, socket)),
    }
}

async fn serve(shared: Arc<Shared>, mut socket: WebSocket) {
    let open = Open::new(shared.clone());
    let (mut trades, mut cut) = (shared.streams.trades.subscribe(), shared.streams.cut.subscribe());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The subscribed symbols, with the price that was last told.
    let mut subscribed: HashMap<Symbol, f64> = HashMap::new();
    loop {
        let told = tokio::select! {
            _ = cut.changed() => return,
            trade = trades.recv() => match trade {
                Ok(Trade { symbol, price }) => tell(&mut socket, &mut subscribed, &symbol, price).await,
                Err(_) => return,
            },
            _ = tick.tick() => tell_walks(&shared, &mut socket, &mut subscribed).await,
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let answer = Message::text(change(&shared, &mut subscribed, &text).to_string());
                    socket.send(answer).await.is_ok()
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => false,
                // Pings are answered by axum.
                Some(Ok(_)) => true,
            },
        };
        if !told {
            break;
        }
    }
    drop(open);
}

/// Tells a trade of a subscribed symbol. Returns whether the connection still stands.
async fn tell(socket: &mut WebSocket, subscribed: &mut HashMap<Symbol, f64>, symbol: &Symbol, price: f64) -> bool {
    let Some(last) = subscribed.get_mut(symbol) else { return true };
    *last = price;
    // By the machine's clock: that of the market may stand, or be set.
    let time_ms = time::now_ms();
    let trade = json!({
        "e": "trade", "E": time_ms, "s": symbol, "t": time_ms, "p": format!("{price:.8}"), "q": "1.00000000", "T": time_ms,
        "m": false, "M": true,
    });
    socket.send(Message::text(trade.to_string())).await.is_ok()
}

async fn tell_walks(shared: &Shared, socket: &mut WebSocket, subscribed: &mut HashMap<Symbol, f64>) -> bool {
    let now_ms = shared.now_ms();
    let prices: Vec<(Symbol, f64)> = subscribed
        .iter()
        .filter_map(|(symbol, last)| {
            let listing = shared.listing(symbol).filter(|listing| listing.status(now_ms) == "TRADING")?;
            Some((symbol.clone(), listing.price(now_ms))).filter(|(_, price)| price != last)
        })
        .collect();
    for (symbol, price) in prices {
        if !tell(socket, subscribed, &symbol, price).await {
            return false;
        }
    }
    true
}

/// Changes what is subscribed, and answers. As at Binance, an unknown symbol is confirmed like any other.
fn change(shared: &Shared, subscribed: &mut HashMap<Symbol, f64>, request: &str) -> Value {
    let request: Value = serde_json::from_str(request).unwrap_or_default();
    let id = &request["id"];
    let names = request["params"].as_array().map(Vec::as_slice).unwrap_or_default();
    let symbols: Option<Vec<Symbol>> =
        names.iter().map(|name| Symbol::parse(name.as_str()?.strip_suffix("@trade")?).ok()).collect();
    match (request["method"].as_str(), symbols) {
        (Some("SUBSCRIBE"), Some(symbols)) => {
            // What was the price before is no trade.
            let now = |symbol: &Symbol| shared.listing(symbol).map_or(0.0, |listing| listing.price(shared.now_ms()));
            subscribed.extend(symbols.into_iter().map(|symbol| {
                let price = now(&symbol);
                (symbol, price)
            }));
            json!({ "result": null, "id": id })
        }
        (Some("UNSUBSCRIBE"), Some(symbols)) => {
            subscribed.retain(|symbol, _| !symbols.contains(symbol));
            json!({ "result": null, "id": id })
        }
        _ => json!({ "error": { "code": 2, "msg": "Invalid request" }, "id": id }),
    }
}

/// Makes a trade, for those who run the simulator as a process of its own.
pub(super) async fn make(State(shared): State<Arc<Shared>>, Query(parameters): Parameters) -> Answer {
    let given = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
    let listing = listing(&shared, given("symbol"))?;
    match given("price").parse::<f64>() {
        Ok(price) if price.is_finite() && price > 0.0 => {
            shared.trade(&listing.symbol, price);
            Ok(Json(json!({ "symbol": listing.symbol, "price": price })))
        }
        _ => refuse(-1100, "Illegal characters found in parameter 'price'."),
    }
}

/// The number of requests to the REST API so far, and of open streams.
pub(super) async fn requests(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let requests = shared.requests.lock().0;
    Json(json!({ "requests": requests, "streams": shared.streams.count() }))
}
