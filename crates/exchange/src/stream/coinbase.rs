//! Coinbase Exchange.
//!
//! docs.cdp.coinbase.com/exchange/websocket-feed: the channels `matches` and `heartbeat` (once a second for each product), and
//! 8 requests a second of an address. An error is about a whole request and has no number, so each request is about one product.

use super::protocol::{Endpoint, EndpointFuture, Limits, News, Protocol, Said, iso_ms, json, text, trade, unreadable};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Coinbase(String);

impl Coinbase {
    pub(super) fn new(url: String) -> Self {
        Self(url)
    }
}

impl Protocol for Coinbase {
    fn endpoint(&self) -> EndpointFuture<'_> {
        Box::pin(std::future::ready(Ok(Endpoint { url: self.0.clone(), ping_every: None, waits: false })))
    }

    fn limits(&self) -> Limits {
        Limits { topics: 200, names_a_message: 1, messages: 4, per: Duration::from_secs(1) }
    }

    fn request(&self, _id: u64, subscribes: bool, names: &[String]) -> String {
        let kind = if subscribes { "subscribe" } else { "unsubscribe" };
        json!({ "type": kind, "product_ids": names, "channels": ["matches", "heartbeat"] }).to_string()
    }

    fn read(&self, message: &str) -> Said<Vec<News>> {
        let said = json(message)?;
        match said["type"].as_str() {
            Some("match") => Ok(vec![trade(&said["product_id"], &said["price"], iso_ms(&said["time"]))?]),
            // All products of the connection, after each request.
            Some("subscriptions") => {
                let channels = said["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
                let matches = channels.iter().filter(|channel| channel["name"] == "matches");
                let names = matches.flat_map(|channel| channel["product_ids"].as_array().into_iter().flatten());
                let names = names.filter_map(Value::as_str).map(str::to_owned).collect();
                Ok(vec![News::Accepted { request: None, names }])
            }
            Some("error") => {
                let why = format!("{}: {}", text(&said["message"]), text(&said["reason"]));
                Ok(vec![News::Refused { request: None, why }])
            }
            // `last_match` is a trade of the past.
            Some(_) => Ok(Vec::new()),
            None => Err(unreadable(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Coinbase's documents.
    #[test]
    fn documented_messages_are_read() {
        let coinbase = Coinbase::new(String::new());
        let matched = |kind: &str| {
            format!(
                r#"{{"type":"{kind}","trade_id":10,"sequence":50,"maker_order_id":"ac928c66-ca53-498f-9c13-a110027a60e8","taker_order_id":"132fb6ae-456b-4654-b4e0-d681ac05cea1","time":"2014-11-07T08:19:27.028459Z","product_id":"BTC-USD","size":"5.23512","price":"400.23","side":"sell"}}"#
            )
        };
        let expected = News::Trade { name: "BTC-USD".to_owned(), price: 400.23, time_ms: 1_415_348_367_028 };
        assert_eq!(coinbase.read(&matched("match")), Ok(vec![expected]));
        assert_eq!(coinbase.read(&matched("last_match")), Ok(Vec::new()));
        let accepted = r#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD","ETH-USD"]},{"name":"heartbeat","product_ids":["BTC-USD"]}]}"#;
        let names = vec!["BTC-USD".to_owned(), "ETH-USD".to_owned()];
        assert_eq!(coinbase.read(accepted), Ok(vec![News::Accepted { request: None, names }]));
        let refused = r#"{"type":"error","message":"Failed to subscribe","reason":"NOPE-USD is not a valid product"}"#;
        let why = "Failed to subscribe: NOPE-USD is not a valid product".to_owned();
        assert_eq!(coinbase.read(refused), Ok(vec![News::Refused { request: None, why }]));
        let heartbeat = r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#;
        assert_eq!(coinbase.read(heartbeat), Ok(Vec::new()));
        for bad in ["", "{}", r#"{"type":"match","product_id":"BTC-USD","price":"1"}"#] {
            coinbase.read(bad).unwrap_err();
        }
    }
}
