//! What differs between exchanges: the trait [`Protocol`], and what its implementations share.

use chrono::DateTime;
use serde_json::Value;
use std::pin::Pin;
use std::time::Duration;

/// A problem, in words.
pub(super) type Said<T> = std::result::Result<T, String>;

/// The result of [`Protocol::endpoint`].
pub(super) type EndpointFuture<'a> = Pin<Box<dyn Future<Output = Said<Endpoint>> + Send + 'a>>;

/// How an exchange speaks.
pub(super) trait Protocol: std::fmt::Debug + Send + Sync {
    /// Where to connect.
    fn endpoint(&self) -> EndpointFuture<'_>;

    /// What the exchange allows on one connection.
    fn limits(&self) -> Limits;

    /// The message that subscribes to the trades of `names`, or unsubscribes.
    fn request(&self, id: u64, subscribes: bool, names: &[String]) -> String;

    /// The message that asks whether the connection is alive; `None` if a ping frame does.
    fn ping(&self, _id: u64) -> Option<String> {
        None
    }

    /// What a message says. Describes what is wrong with one that cannot be understood.
    fn read(&self, text: &str) -> Said<Vec<News>>;
}

/// Where to connect, and what that connection needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub url: String,
    /// How often [`Protocol::ping`] is sent.
    pub ping_every: Option<Duration>,
    /// Whether nothing may be sent before [`News::Ready`].
    pub waits: bool,
}

/// What an exchange allows on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// The most subscriptions.
    pub topics: usize,
    /// The most symbols in one message.
    pub names_a_message: usize,
    /// The most messages that the client may send in `per`.
    pub messages: usize,
    pub per: Duration,
}

/// Something that a message says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum News {
    /// A trade, at a price above 0. `time_ms` is by the exchange's clock, UTC epoch ms.
    Trade { name: String, price: f64, time_ms: i64 },
    /// Subscriptions are confirmed: those of the request, and those of these names.
    Accepted { request: Option<u64>, names: Vec<String> },
    /// A request was refused, or the one that `why` mentions.
    Refused { request: Option<u64>, why: String },
    /// The connection may be used.
    Ready,
    /// The exchange is going to close the connection.
    Closing(String),
}

pub(super) fn json(text: &str) -> Said<Value> {
    serde_json::from_str(text).map_err(|_| unreadable(text))
}

/// Describes a message that was not understood.
pub(super) fn unreadable(text: &str) -> String {
    format!("a message cannot be read, it begins {:?}", text.chars().take(80).collect::<String>())
}

/// A trade in a message. Numbers may be text.
pub(super) fn trade(name: &Value, price: &Value, time_ms: Option<i64>) -> Said<News> {
    let read = || {
        let price = price.as_f64().or_else(|| price.as_str()?.parse().ok())?;
        let is_price = price.is_finite() && price > 0.0;
        is_price.then_some(News::Trade { name: name.as_str()?.to_owned(), price, time_ms: time_ms? })
    };
    read().ok_or_else(|| {
        let shown: String = format!("{name}, {price}").chars().take(80).collect();
        format!("a trade has no usable name, price or time: {shown}")
    })
}

/// A whole number, which may be text.
pub(super) fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A number of a request, which may be text.
pub(super) fn request_id(value: &Value) -> Option<u64> {
    whole(value).and_then(|id| u64::try_from(id).ok())
}

/// A time such as `2023-09-25T07:49:37.708706Z`, UTC epoch ms.
pub(super) fn iso_ms(value: &Value) -> Option<i64> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|time| time.timestamp_millis())
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Every item of a list, read by `read`.
pub(super) fn each(list: &Value, read: impl Fn(&Value) -> Said<News>) -> Said<Vec<News>> {
    let items = list.as_array().ok_or_else(|| unreadable(&list.to_string()))?;
    items.iter().map(read).collect()
}
