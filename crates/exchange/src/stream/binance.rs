//! Binance, spot and USD-M futures.
//!
//! developers.binance.com: "Web Socket Streams for Binance" (1024 streams and 5 messages a second on a connection, which ends
//! after 24 hours; the server sends ping frames every 20 s) and "Websocket Market Streams" of USD-M futures (200 streams by the
//! older of its documents, 10 messages a second, ping frames every 3 minutes).

use super::protocol::{
    Endpoint, EndpointFuture, Limits, News, Protocol, Said, json, request_id, text, trade, unreadable, whole,
};
use serde_json::json;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Binance {
    url: String,
    /// The stream of trades. Futures have only aggregated ones: those that one order makes at one price are one.
    kind: &'static str,
    topics: usize,
}

impl Binance {
    pub(super) fn spot(url: String) -> Self {
        Self { url, kind: "trade", topics: 1024 }
    }

    pub(super) fn futures(url: String) -> Self {
        Self { url, kind: "aggTrade", topics: 200 }
    }
}

impl Protocol for Binance {
    fn endpoint(&self) -> EndpointFuture<'_> {
        let endpoint = Endpoint { url: self.url.clone(), ping_every: None, waits: false };
        Box::pin(std::future::ready(Ok(endpoint)))
    }

    fn limits(&self) -> Limits {
        // Pongs count as messages, too.
        Limits { topics: self.topics, names_a_message: 100, messages: 3, per: Duration::from_secs(1) }
    }

    fn request(&self, id: u64, subscribes: bool, names: &[String]) -> String {
        let method = if subscribes { "SUBSCRIBE" } else { "UNSUBSCRIBE" };
        let streams: Vec<String> = names.iter().map(|name| format!("{}@{}", name.to_lowercase(), self.kind)).collect();
        json!({ "method": method, "params": streams, "id": id }).to_string()
    }

    fn read(&self, message: &str) -> Said<Vec<News>> {
        let message_json = json(message)?;
        let (event, request) = (message_json["e"].as_str(), request_id(&message_json["id"]));
        // An error stands on its own or in an object of that name.
        let error = message_json.get("error").unwrap_or(&message_json);
        match event {
            Some(kind) if kind == self.kind => {
                let time_ms = whole(&message_json["T"]);
                Ok(vec![trade(&message_json["s"], &message_json["p"], time_ms)?])
            }
            Some("serverShutdown") => {
                Ok(vec![News::Closing("the exchange is about to shut this server down".to_owned())])
            }
            Some(_) => Ok(Vec::new()),
            None if error.get("code").is_some() => Ok(vec![News::Refused { request, why: text(&error["msg"]) }]),
            None if message_json.get("result").is_some() => Ok(vec![News::Accepted { request, names: Vec::new() }]),
            None => Err(unreadable(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Binance's documents, and the error of github.com/ccxt/ccxt/pull/19833.
    #[test]
    fn documented_messages_are_read() {
        let (spot, futures) = (Binance::spot(String::new()), Binance::futures(String::new()));
        let of_spot = r#"{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782136,"m":true,"M":true}"#;
        let expected = |name: &str| {
            let news = News::Trade { name: name.to_owned(), price: 0.001, time_ms: 1_672_515_782_136 };
            Ok(vec![news])
        };
        assert_eq!(spot.read(of_spot), expected("BNBBTC"));
        let aggregated = r#"{"e":"aggTrade","E":123456789,"s":"BTCUSDT","a":5933014,"p":"0.001","q":"100","f":100,"l":105,"T":1672515782136,"m":true}"#;
        assert_eq!(futures.read(aggregated), expected("BTCUSDT"));
        assert_eq!(spot.read(aggregated), Ok(Vec::new()), "it was not asked for");
        let accepted = News::Accepted { request: Some(1), names: Vec::new() };
        assert_eq!(spot.read(r#"{"result":null,"id":1}"#), Ok(vec![accepted]));
        let refused = News::Refused { request: Some(3), why: "Invalid request: invalid stream".to_owned() };
        for said in [
            r#"{"code":2,"msg":"Invalid request: invalid stream","id":3}"#,
            r#"{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":3}"#,
        ] {
            assert_eq!(spot.read(said), Ok(vec![refused.clone()]));
        }
        assert!(matches!(spot.read(r#"{"e":"serverShutdown","E":1770123456789}"#).unwrap()[..], [News::Closing(_)]));
        let names = ["BTCUSDT".to_owned(), "ETHUSDT".to_owned()];
        assert_eq!(
            spot.request(7, true, &names),
            r#"{"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@trade"],"id":7}"#
        );
        for bad in
            ["", "pong", "{}", "[]", r#"{"e":"trade","s":"BNBBTC","p":"-1","T":1}"#, r#"{"e":"trade","s":"X","p":"1"}"#]
        {
            spot.read(bad).unwrap_err();
        }
    }
}
