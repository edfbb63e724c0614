//! Kraken, version 2 of its WebSocket API.
//!
//! docs.kraken.com/api/docs/websocket-v2: the channels `trade`, `heartbeat` (about once a second) and `status`, and the request
//! `ping`. It names no limit of subscriptions; each answer is about one symbol.

use super::protocol::{
    Endpoint, EndpointFuture, Limits, News, Protocol, Said, each, iso_ms, json, text, trade, unreadable,
};
use serde_json::json;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Kraken(String);

impl Kraken {
    pub(super) fn new(url: String) -> Self {
        Self(url)
    }
}

impl Protocol for Kraken {
    fn endpoint(&self) -> EndpointFuture<'_> {
        let ping_every = Some(Duration::from_secs(20));
        Box::pin(std::future::ready(Ok(Endpoint { url: self.0.clone(), ping_every, waits: false })))
    }

    fn limits(&self) -> Limits {
        Limits { topics: 500, names_a_message: 100, messages: 5, per: Duration::from_secs(1) }
    }

    fn request(&self, id: u64, subscribes: bool, names: &[String]) -> String {
        match subscribes {
            // The snapshot would be trades of the past.
            true => json!({ "method": "subscribe", "params": { "channel": "trade", "symbol": names, "snapshot": false }, "req_id": id }),
            false => json!({ "method": "unsubscribe", "params": { "channel": "trade", "symbol": names }, "req_id": id }),
        }
        .to_string()
    }

    fn ping(&self, id: u64) -> Option<String> {
        Some(json!({ "method": "ping", "req_id": id }).to_string())
    }

    fn read(&self, message: &str) -> Said<Vec<News>> {
        let said = json(message)?;
        match (said["channel"].as_str(), said["method"].as_str(), said["success"].as_bool()) {
            (Some("trade"), ..) if said["type"] == "update" => {
                each(&said["data"], |one| trade(&one["symbol"], &one["price"], iso_ms(&one["timestamp"])))
            }
            (Some(_), ..) => Ok(Vec::new()),
            (None, Some("subscribe"), Some(true)) => {
                Ok(vec![News::Accepted { request: None, names: vec![text(&said["result"]["symbol"])] }])
            }
            // The symbol stands beside the error. The request has other symbols, too.
            (None, Some("subscribe"), Some(false)) => {
                let why = format!("{} ({})", text(&said["error"]), text(&said["symbol"]));
                Ok(vec![News::Refused { request: None, why }])
            }
            (None, Some(_), _) => Ok(Vec::new()),
            (None, None, _) => Err(unreadable(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Kraken's documents.
    #[test]
    fn documented_messages_are_read() {
        let kraken = Kraken::new(String::new());
        let trades = r#"{"channel":"trade","type":"update","data":[
            {"symbol":"MATIC/USD","side":"sell","price":0.5117,"qty":40.0,"ord_type":"market","trade_id":4665906,"timestamp":"2023-09-25T07:49:37.708706Z"}]}"#;
        let expected = News::Trade { name: "MATIC/USD".to_owned(), price: 0.5117, time_ms: 1_695_628_177_708 };
        assert_eq!(kraken.read(trades), Ok(vec![expected]));
        let accepted = r#"{"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"MATIC/USD"},"success":true,"time_in":"2023-09-25T09:21:10.428340Z","time_out":"2023-09-25T09:21:10.428375Z"}"#;
        assert_eq!(
            kraken.read(accepted),
            Ok(vec![News::Accepted { request: None, names: vec!["MATIC/USD".to_owned()] }])
        );
        let refused = r#"{"error":"Currency pair not supported NOPE/USD","method":"subscribe","req_id":4,"success":false,"symbol":"NOPE/USD","time_in":"2023-09-25T09:21:10.428340Z","time_out":"2023-09-25T09:21:10.428375Z"}"#;
        let why = "Currency pair not supported NOPE/USD (NOPE/USD)".to_owned();
        assert_eq!(kraken.read(refused), Ok(vec![News::Refused { request: None, why }]));
        for quiet in [
            r#"{"channel":"heartbeat"}"#,
            r#"{"channel":"status","type":"update","data":[{"version":"2.0.0","system":"online","api_version":"v2","connection_id":1}]}"#,
            r#"{"method":"pong","req_id":101,"time_in":"2023-09-24T14:10:23.799685Z","time_out":"2023-09-24T14:10:23.799703Z"}"#,
            r#"{"channel":"trade","type":"snapshot","data":[{"symbol":"MATIC/USD","price":0.5147,"timestamp":"2023-09-25T07:48:36.925533Z"}]}"#,
        ] {
            assert_eq!(kraken.read(quiet), Ok(Vec::new()), "{quiet}");
        }
        for bad in
            ["", "{}", r#"{"channel":"trade","type":"update","data":[{"symbol":"A/B","price":1,"timestamp":"now"}]}"#]
        {
            kraken.read(bad).unwrap_err();
        }
    }
}
