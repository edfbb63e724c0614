//! OKX, version 5 of its API.
//!
//! www.okx.com/docs-v5, "WebSocket / Overview": 480 requests to subscribe an hour on a connection, which is closed after 30 s
//! without a message unless the client sends the text `ping`; "Trades channel"; "Notification" before an upgrade.

use super::protocol::{
    Endpoint, EndpointFuture, Limits, News, Protocol, Said, each, json, request_id, text, trade, unreadable, whole,
};
use serde_json::json;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Okx(String);

impl Okx {
    pub(super) fn new(url: String) -> Self {
        Self(url)
    }
}

impl Protocol for Okx {
    fn endpoint(&self) -> EndpointFuture<'_> {
        let ping_every = Some(Duration::from_secs(20));
        Box::pin(std::future::ready(Ok(Endpoint { url: self.0.clone(), ping_every, waits: false })))
    }

    fn limits(&self) -> Limits {
        // A request may have 64 KB of channels; pings do not count, and some room is left.
        Limits { topics: 500, names_a_message: 100, messages: 400, per: Duration::from_secs(3600) }
    }

    fn request(&self, id: u64, subscribes: bool, names: &[String]) -> String {
        let op = if subscribes { "subscribe" } else { "unsubscribe" };
        let channels: Vec<_> = names.iter().map(|name| json!({ "channel": "trades", "instId": name })).collect();
        json!({ "id": id.to_string(), "op": op, "args": channels }).to_string()
    }

    fn ping(&self, _id: u64) -> Option<String> {
        Some("ping".to_owned())
    }

    fn read(&self, message: &str) -> Said<Vec<News>> {
        if message == "pong" {
            return Ok(Vec::new());
        }
        let said = json(message)?;
        let request = request_id(&said["id"]);
        match said["event"].as_str() {
            // The request has an answer for each of its channels, so its number confirms nothing of the others.
            Some("subscribe") => Ok(vec![News::Accepted { request: None, names: vec![text(&said["arg"]["instId"])] }]),
            Some("error") => Ok(vec![News::Refused { request, why: text(&said["msg"]) }]),
            Some("notice") => Ok(vec![News::Closing(text(&said["msg"]))]),
            Some(_) => Ok(Vec::new()),
            None if said["arg"]["channel"] == "trades" => {
                each(&said["data"], |one| trade(&one["instId"], &one["px"], whole(&one["ts"])))
            }
            None => Err(unreadable(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of OKX's documents.
    #[test]
    fn documented_messages_are_read() {
        let okx = Okx::new(String::new());
        let trades = r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474",
            "px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","seqId":1234}]}"#;
        let expected = News::Trade { name: "BTC-USDT".to_owned(), price: 42219.9, time_ms: 1_630_048_897_897 };
        assert_eq!(okx.read(trades), Ok(vec![expected]));
        let accepted =
            r#"{"id":"1512","event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"},"connId":"a4d3ae55"}"#;
        assert_eq!(okx.read(accepted), Ok(vec![News::Accepted { request: None, names: vec!["BTC-USDT".to_owned()] }]));
        let refused = r#"{"id":"1513","event":"error","code":"60018","msg":"Wrong URL or channel:trades,instId:NOPE-USDT doesn't exist. Please use the correct URL, channel and parameters referring to API document.","connId":"a4d3ae55"}"#;
        let [News::Refused { request: Some(1513), why }] = &okx.read(refused).unwrap()[..] else { panic!("{refused}") };
        assert!(why.contains("instId:NOPE-USDT"));
        let notice = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#;
        assert!(matches!(&okx.read(notice).unwrap()[..], [News::Closing(why)] if why.contains("upgrade")));
        assert_eq!((okx.read("pong"), okx.ping(1).as_deref()), (Ok(Vec::new()), Some("ping")));
        assert_eq!(
            okx.request(2, true, &["BTC-USDT".to_owned()]),
            r#"{"id":"2","op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}"#
        );
        for bad in ["", "ping!", "{}", r#"{"arg":{"channel":"trades"},"data":[{"instId":"A-B","px":"NaN","ts":"1"}]}"#]
        {
            okx.read(bad).unwrap_err();
        }
    }
}
