//! Bybit, version 5 of its API.
//!
//! bybit-exchange.github.io/docs/v5/ws/connect and .../public/trade: at most 10 topics in a request for spot, 21,000 characters
//! of topics on a connection, and a ping as a message every 20 s.

use super::protocol::{
    Endpoint, EndpointFuture, Limits, News, Protocol, Said, each, json, request_id, text, trade, unreadable, whole,
};
use serde_json::json;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Bybit(String);

impl Bybit {
    pub(super) fn new(url: String) -> Self {
        Self(url)
    }
}

impl Protocol for Bybit {
    fn endpoint(&self) -> EndpointFuture<'_> {
        let ping_every = Some(Duration::from_secs(20));
        Box::pin(std::future::ready(Ok(Endpoint { url: self.0.clone(), ping_every, waits: false })))
    }

    fn limits(&self) -> Limits {
        // 21,000 characters are 500 topics of `publicTrade.` and a name of up to 30.
        Limits { topics: 500, names_a_message: 10, messages: 5, per: Duration::from_secs(1) }
    }

    fn request(&self, id: u64, subscribes: bool, names: &[String]) -> String {
        let op = if subscribes { "subscribe" } else { "unsubscribe" };
        let topics: Vec<String> = names.iter().map(|name| format!("publicTrade.{name}")).collect();
        json!({ "req_id": id.to_string(), "op": op, "args": topics }).to_string()
    }

    fn ping(&self, id: u64) -> Option<String> {
        Some(json!({ "req_id": id.to_string(), "op": "ping" }).to_string())
    }

    fn read(&self, message: &str) -> Said<Vec<News>> {
        let said = json(message)?;
        if let Some(topic) = said["topic"].as_str() {
            return match topic.starts_with("publicTrade.") {
                true => each(&said["data"], |one| trade(&one["s"], &one["p"], whole(&one["T"]))),
                false => Ok(Vec::new()),
            };
        }
        let request = request_id(&said["req_id"]);
        match (said["op"].as_str(), said["success"].as_bool()) {
            (Some("subscribe"), Some(true)) => Ok(vec![News::Accepted { request, names: Vec::new() }]),
            (Some("subscribe"), Some(false)) => Ok(vec![News::Refused { request, why: text(&said["ret_msg"]) }]),
            (Some(_), _) => Ok(Vec::new()),
            (None, _) => Err(unreadable(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Bybit's documents, and the refusal of github.com/sieblyio/bybit-api/issues/411.
    #[test]
    fn documented_messages_are_read() {
        let bybit = Bybit::new(String::new());
        let trades = r#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[
            {"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false},
            {"T":1672304486866,"s":"BTCUSDT","S":"Sell","v":"0.002","p":"16578.00","L":"MinusTick","i":"x","BT":false}]}"#;
        let one = |price, time_ms| News::Trade { name: "BTCUSDT".to_owned(), price, time_ms };
        assert_eq!(bybit.read(trades), Ok(vec![one(16578.5, 1_672_304_486_865), one(16578.0, 1_672_304_486_866)]));
        let accepted = r#"{"success":true,"ret_msg":"subscribe","conn_id":"2324d924","req_id":"7","op":"subscribe"}"#;
        assert_eq!(bybit.read(accepted), Ok(vec![News::Accepted { request: Some(7), names: Vec::new() }]));
        let refused = r#"{"req_id":"8","success":false,"ret_msg":"Params Error","op":"subscribe","conn_id":"cthp2bgd1vqpp1lds2o0"}"#;
        assert_eq!(bybit.read(refused), Ok(vec![News::Refused { request: Some(8), why: "Params Error".to_owned() }]));
        for pong in [
            r#"{"success":true,"ret_msg":"pong","conn_id":"0970e817","op":"ping"}"#,
            r#"{"req_id":"9","op":"pong","args":["1675418560633"],"conn_id":"cfcb4ocsvfriu23r3er0"}"#,
        ] {
            assert_eq!(bybit.read(pong), Ok(Vec::new()));
        }
        assert_eq!(bybit.ping(5).unwrap(), r#"{"req_id":"5","op":"ping"}"#);
        assert_eq!(
            bybit.request(1, false, &["BTCUSDT".to_owned()]),
            r#"{"req_id":"1","op":"unsubscribe","args":["publicTrade.BTCUSDT"]}"#
        );
        for bad in [
            "",
            "{}",
            r#"{"topic":"publicTrade.X","data":{}}"#,
            r#"{"topic":"publicTrade.X","data":[{"s":"X","p":"0","T":1}]}"#,
        ] {
            bybit.read(bad).unwrap_err();
        }
    }
}
