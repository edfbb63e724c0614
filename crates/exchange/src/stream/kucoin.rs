//! KuCoin, spot.
//!
//! www.kucoin.com/docs-new/websocket-api: a token from `POST /api/v1/bullet-public`, which also says where to connect and how
//! often to ping; a welcome before anything may be sent; 100 symbols in a request, 400 topics on a connection (300 by older
//! documents), 100 messages in 10 s.

use super::protocol::{
    Endpoint, EndpointFuture, Limits, News, Protocol, Said, json, request_id, text, trade, unreadable, whole,
};
use crate::Exchange;
use crate::dialect::Request;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How often to ping if the exchange does not say.
const PING_EVERY_MS: u64 = 18_000;

#[derive(Debug)]
pub(super) struct Kucoin {
    /// The client of the REST API that tells where to connect.
    rest: Arc<Exchange>,
}

impl Kucoin {
    pub(super) fn new(rest: Arc<Exchange>) -> Self {
        Self { rest }
    }
}

/// Where the answer of `bullet-public` says to connect.
fn endpoint_of(answer: &Value) -> Option<Endpoint> {
    let data = &answer["data"];
    let server = data["instanceServers"].as_array()?.iter().find(|server| server["protocol"] == "websocket")?;
    let (token, address) = (data["token"].as_str()?, server["endpoint"].as_str()?);
    let mut url = reqwest::Url::parse(address).ok()?;
    url.query_pairs_mut().append_pair("token", token);
    let every_ms = server["pingInterval"].as_u64().unwrap_or(PING_EVERY_MS).clamp(1000, 60_000);
    Some(Endpoint { url: url.to_string(), ping_every: Some(Duration::from_millis(every_ms)), waits: true })
}

impl Protocol for Kucoin {
    fn endpoint(&self) -> EndpointFuture<'_> {
        Box::pin(async {
            // Its weight is that of www.kucoin.com/docs-new/websocket-api/base-info/get-public-token-spot-margin.
            let answer = self.rest.ask(&Request::post("/api/v1/bullet-public", 10)).await?;
            endpoint_of(&answer).ok_or_else(|| "its answer about where to connect cannot be read".to_owned())
        })
    }

    fn limits(&self) -> Limits {
        Limits { topics: 300, names_a_message: 100, messages: 50, per: Duration::from_secs(10) }
    }

    fn request(&self, id: u64, subscribes: bool, names: &[String]) -> String {
        let kind = if subscribes { "subscribe" } else { "unsubscribe" };
        let topic = format!("/market/match:{}", names.join(","));
        json!({ "id": id.to_string(), "type": kind, "topic": topic, "privateChannel": false, "response": true })
            .to_string()
    }

    fn ping(&self, id: u64) -> Option<String> {
        Some(json!({ "id": id.to_string(), "type": "ping" }).to_string())
    }

    fn read(&self, message: &str) -> Said<Vec<News>> {
        let said = json(message)?;
        let (request, data) = (request_id(&said["id"]), &said["data"]);
        match (said["type"].as_str(), said["subject"].as_str()) {
            (Some("message"), Some("trade.l3match")) => {
                // In nanoseconds.
                let time_ms = whole(&data["time"]).map(|time| time / 1_000_000);
                Ok(vec![trade(&data["symbol"], &data["price"], time_ms)?])
            }
            (Some("welcome"), _) => Ok(vec![News::Ready]),
            (Some("ack"), _) => Ok(vec![News::Accepted { request, names: Vec::new() }]),
            (Some("error"), _) => Ok(vec![News::Refused { request, why: text(data) }]),
            (Some(_), _) => Ok(Vec::new()),
            (None, _) => Err(unreadable(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of KuCoin's documents, a trade recorded by github.com/crypto-crawler/crypto-msg-parser, and the form of the
    /// error of github.com/crypto-chassis/ccapi/issues/456.
    #[test]
    fn documented_messages_are_read() {
        let kucoin = Kucoin::new(Arc::new(Exchange::new(domain::venue::Venue::Kucoin, None).unwrap()));
        let matched = r#"{"data":{"symbol":"BTC-USDT","sequence":"1614503482134","side":"buy","size":"0.00013064","price":"57659.6","takerOrderId":"6057bb821220fc00060f26bf","time":"1616362370760468781","type":"match","makerOrderId":"6057bb81b5ab390006532c9d","tradeId":"6057bb822e113d292396c272"},"subject":"trade.l3match","topic":"/market/match:BTC-USDT","type":"message"}"#;
        let expected = News::Trade { name: "BTC-USDT".to_owned(), price: 57659.6, time_ms: 1_616_362_370_760 };
        assert_eq!(kucoin.read(matched), Ok(vec![expected]));
        assert_eq!(kucoin.read(r#"{"id":"hQvf8jkno","type":"welcome"}"#), Ok(vec![News::Ready]));
        let accepted = News::Accepted { request: Some(15), names: Vec::new() };
        assert_eq!(kucoin.read(r#"{"id":"15","type":"ack"}"#), Ok(vec![accepted]));
        let refused = r#"{"id":"16","type":"error","code":404,"data":"topic /market/match:NOPE-USDT is not found"}"#;
        let why = "topic /market/match:NOPE-USDT is not found".to_owned();
        assert_eq!(kucoin.read(refused), Ok(vec![News::Refused { request: Some(16), why }]));
        assert_eq!(kucoin.read(r#"{"id":"17","type":"pong"}"#), Ok(Vec::new()));
        for bad in ["", "{}", r#"{"type":"message","subject":"trade.l3match","data":{"symbol":"A-B","price":"1"}}"#] {
            kucoin.read(bad).unwrap_err();
        }
    }

    #[test]
    fn the_exchange_says_where_to_connect() {
        let answer = json(
            r#"{"code":"200000","data":{"token":"2neAiuYvAU61ZDXANAGAsiL4==","instanceServers":[{"endpoint":"wss://ws-api-spot.kucoin.com/","encrypt":true,"protocol":"websocket","pingInterval":18000,"pingTimeout":10000}]}}"#,
        )
        .unwrap();
        let expected = Endpoint {
            url: "wss://ws-api-spot.kucoin.com/?token=2neAiuYvAU61ZDXANAGAsiL4%3D%3D".to_owned(),
            ping_every: Some(Duration::from_secs(18)),
            waits: true,
        };
        assert_eq!(endpoint_of(&answer), Some(expected));
        for bad in ["{}", r#"{"data":{"token":"x","instanceServers":[]}}"#] {
            assert_eq!(endpoint_of(&json(bad).unwrap()), None);
        }
    }
}
