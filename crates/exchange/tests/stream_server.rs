//! A WebSocket server on loopback whose answers a test gives, and how each exchange words them.

use domain::symbol::Symbol;
use domain::venue::Venue;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use simulator::{Simulator, SimulatorOptions};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Server {
    listener: TcpListener,
    pub url: String,
    /// The REST API, which lists the symbols.
    rest: OnceLock<Simulator>,
}

/// The server's end of a connection.
pub struct Peer {
    socket: WebSocketStream<TcpStream>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        Self { listener, url, rest: OnceLock::new() }
    }

    /// The address of a REST API that lists the symbols of the tests. It also lists `NOPE`, which the stream refuses.
    pub fn rest(&self, exchange: &Dialect) -> &str {
        let start = || {
            let symbols = ["BTC", "ETH", "SOL", "NOPE"].map(|base| exchange.symbol(base)).to_vec();
            Simulator::start(SimulatorOptions { venue: exchange.venue, symbols, ..SimulatorOptions::default() })
                .unwrap()
        };
        self.rest.get_or_init(start).url()
    }

    pub async fn raw(&self) -> TcpStream {
        timeout(PATIENCE, self.listener.accept()).await.expect("a connection").unwrap().0
    }

    pub async fn peer(&self) -> Peer {
        Peer { socket: accept_async(self.raw().await).await.unwrap() }
    }

    /// Whether nobody connects for a while.
    pub async fn is_left_alone(&self, time: Duration) -> bool {
        timeout(time, self.listener.accept()).await.is_err()
    }
}

impl Peer {
    /// The next message of the client; `None` at the end of the connection.
    pub async fn heard(&mut self) -> Option<String> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("a message")? {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    pub async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// Says something without waiting until it is sent.
    pub async fn feed(&mut self, text: String) {
        self.socket.feed(Message::text(text)).await.unwrap();
    }

    pub async fn flush(&mut self) {
        self.socket.flush().await.unwrap();
    }

    pub async fn close(&mut self, code: u16, reason: &'static str) {
        self.socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await.unwrap();
    }

    /// Answers pings, and nothing else, for a while.
    pub async fn idle(&mut self, time: Duration) {
        let _ = timeout(time, async { while let Some(Ok(_)) = self.socket.next().await {} }).await;
    }

    /// Answers the next request as the exchange does. Returns whether it subscribes, and its names.
    pub async fn answer(&mut self, exchange: &Dialect) -> (bool, Vec<String>) {
        let request = self.heard().await.expect("a request");
        let (subscribes, id, names) = exchange.read(&serde_json::from_str(&request).unwrap());
        for answer in exchange.answers(subscribes, &id, &names) {
            self.say(answer).await;
        }
        (subscribes, names)
    }
}

/// The wording of an exchange, as its documents show it. It knows every name but those that contain `NOPE`.
pub struct Dialect {
    pub venue: Venue,
    /// The separator of its names.
    separator: &'static str,
    quote: &'static str,
}

impl Dialect {
    pub fn all() -> Vec<Self> {
        let of = |venue, separator, quote| Self { venue, separator, quote };
        vec![
            of(Venue::Binance, "", "USDT"),
            of(Venue::BinanceUsdm, "", "USDT"),
            of(Venue::Bybit, "", "USDT"),
            of(Venue::Okx, "-", "USDT"),
            of(Venue::Kraken, "/", "USD"),
            of(Venue::Coinbase, "-", "USD"),
            of(Venue::Kucoin, "-", "USDT"),
        ]
    }

    pub fn binance() -> Self {
        Self { venue: Venue::Binance, separator: "", quote: "USDT" }
    }

    pub fn symbol(&self, base: &str) -> Symbol {
        Symbol::parse(&format!("{base}{}", self.quote)).unwrap()
    }

    pub fn name(&self, base: &str) -> String {
        format!("{base}{}{}", self.separator, self.quote)
    }

    /// Whether it subscribes, its number, and the names in it.
    fn read(&self, request: &Value) -> (bool, Value, Vec<String>) {
        let list = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let last = |topics: Vec<String>, split: char| -> Vec<String> {
            topics.iter().map(|topic| topic.split(split).next_back().unwrap().to_owned()).collect()
        };
        match self.venue {
            Venue::Bybit => {
                (request["op"] == "subscribe", request["req_id"].clone(), last(list(&request["args"]), '.'))
            }
            Venue::Okx => {
                let names =
                    request["args"].as_array().unwrap().iter().map(|one| one["instId"].as_str().unwrap().to_owned());
                (request["op"] == "subscribe", request["id"].clone(), names.collect())
            }
            Venue::Kraken => {
                assert_eq!(request["params"]["channel"], "trade");
                (request["method"] == "subscribe", request["req_id"].clone(), list(&request["params"]["symbol"]))
            }
            Venue::Coinbase => (request["type"] == "subscribe", Value::Null, list(&request["product_ids"])),
            Venue::Kucoin => {
                let topic = request["topic"].as_str().unwrap().strip_prefix("/market/match:").unwrap();
                (request["type"] == "subscribe", request["id"].clone(), topic.split(',').map(str::to_owned).collect())
            }
            _ => {
                let kind = if self.venue == Venue::Binance { "@trade" } else { "@aggTrade" };
                let names = list(&request["params"]).into_iter();
                let names = names.map(|one| one.strip_suffix(kind).unwrap().to_uppercase()).collect();
                (request["method"] == "SUBSCRIBE", request["id"].clone(), names)
            }
        }
    }

    fn answers(&self, subscribes: bool, id: &Value, names: &[String]) -> Vec<String> {
        let unknown = |name: &&String| name.contains("NOPE");
        let bad = names.iter().find(unknown);
        let of_each = |answer: &dyn Fn(&String) -> Value| names.iter().map(|name| answer(name).to_string()).collect();
        let whole = match (self.venue, bad) {
            (Venue::Okx, _) if subscribes => {
                return of_each(&|name| match unknown(&name) {
                    true => json!({ "id": id, "event": "error", "code": "60018", "connId": "a4d3ae55",
                        "msg": format!("Wrong URL or channel:trades,instId:{name} doesn't exist. Please use the correct URL, channel and parameters referring to API document.") }),
                    false => {
                        json!({ "id": id, "event": "subscribe", "arg": { "channel": "trades", "instId": name }, "connId": "a4d3ae55" })
                    }
                });
            }
            (Venue::Okx, _) => {
                return of_each(
                    &|name| json!({ "id": id, "event": "unsubscribe", "arg": { "channel": "trades", "instId": name }, "connId": "a4d3ae55" }),
                );
            }
            (Venue::Kraken, _) => {
                let method = if subscribes { "subscribe" } else { "unsubscribe" };
                return of_each(&|name| match unknown(&name) {
                    true => {
                        json!({ "error": format!("Currency pair not supported {name}"), "method": method, "req_id": id, "success": false, "symbol": name })
                    }
                    false => {
                        json!({ "method": method, "result": { "channel": "trade", "symbol": name }, "success": true, "req_id": id })
                    }
                });
            }
            (Venue::Bybit, Some(name)) => {
                json!({ "success": false, "ret_msg": format!("error:handler not found,topic:publicTrade.{name}"), "conn_id": "x", "req_id": id, "op": "subscribe" })
            }
            (Venue::Bybit, None) => {
                json!({ "success": true, "ret_msg": "", "conn_id": "x", "req_id": id, "op": if subscribes { "subscribe" } else { "unsubscribe" } })
            }
            (Venue::Coinbase, Some(name)) => {
                json!({ "type": "error", "message": "Failed to subscribe", "reason": format!("{name} is not a valid product") })
            }
            (Venue::Coinbase, None) => {
                let now = if subscribes { names } else { &[] };
                json!({ "type": "subscriptions", "channels": [{ "name": "matches", "product_ids": now }, { "name": "heartbeat", "product_ids": now }] })
            }
            (Venue::Kucoin, Some(name)) => {
                json!({ "id": id, "type": "error", "code": 404, "data": format!("topic /market/match:{name} is not found") })
            }
            (Venue::Kucoin, None) => json!({ "id": id, "type": "ack" }),
            // Binance documents this error for names that cannot be; it confirms unknown ones, and sends nothing.
            (_, Some(_)) => json!({ "error": { "code": 2, "msg": "Invalid request: invalid stream" }, "id": id }),
            (_, None) => json!({ "result": null, "id": id }),
        };
        vec![whole.to_string()]
    }

    /// A trade of a base currency.
    pub fn trade(&self, base: &str, price: f64, time_ms: i64) -> String {
        let (name, price) = (self.name(base), price.to_string());
        let iso = domain::time::format_iso(time_ms);
        match self.venue {
            Venue::Bybit => json!({ "topic": format!("publicTrade.{name}"), "type": "snapshot", "ts": time_ms,
                "data": [{ "T": time_ms, "s": name, "S": "Buy", "v": "0.001", "p": price, "L": "PlusTick", "i": "x", "BT": false }] }),
            Venue::Okx => json!({ "arg": { "channel": "trades", "instId": name },
                "data": [{ "instId": name, "tradeId": "1", "px": price, "sz": "0.12", "side": "buy", "ts": time_ms.to_string(), "count": "3" }] }),
            Venue::Kraken => json!({ "channel": "trade", "type": "update",
                "data": [{ "symbol": name, "side": "sell", "price": price.parse::<f64>().unwrap(), "qty": 40.0, "ord_type": "market", "trade_id": 1, "timestamp": iso }] }),
            Venue::Coinbase => json!({ "type": "match", "trade_id": 10, "sequence": 50, "time": iso, "product_id": name, "size": "5.2", "price": price, "side": "sell" }),
            Venue::Kucoin => json!({ "type": "message", "topic": format!("/market/match:{name}"), "subject": "trade.l3match",
                "data": { "symbol": name, "side": "buy", "price": price, "size": "0.01", "time": (time_ms * 1_000_000).to_string(), "type": "match" } }),
            Venue::Binance => json!({ "e": "trade", "E": time_ms, "s": name, "t": 1, "p": price, "q": "1", "T": time_ms, "m": true, "M": true }),
            _ => json!({ "e": "aggTrade", "E": time_ms, "s": name, "a": 1, "p": price, "q": "1", "f": 1, "l": 1, "T": time_ms, "m": true }),
        }
        .to_string()
    }
}

/// Serves `POST /api/v1/bullet-public` of KuCoin once, which names the WebSocket at `url`. Returns its address.
pub async fn bullet(url: &str, ping_ms: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = json!({ "endpoint": url, "encrypt": false, "protocol": "websocket", "pingInterval": ping_ms, "pingTimeout": 10000 });
    let body = json!({ "code": "200000", "data": { "token": "a=token", "instanceServers": [server] } }).to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        assert!(request[..length].starts_with(b"POST /api/v1/bullet-public HTTP/1.1"));
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n{body}").as_bytes()).await.unwrap();
    });
    address
}
