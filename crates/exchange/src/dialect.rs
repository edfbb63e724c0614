//! What one exchange does differently from another. The client, the requests and their limits are shared.

use candles::Origin;
use domain::symbol::Symbol;
use domain::time::DAY_MS;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::fmt::Debug;
use std::time::Duration;

/// A request.
pub(super) struct Request {
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    /// What it uses of [`Facts::allowance`].
    pub weight: u32,
    pub method: Method,
}

impl Request {
    pub fn new(path: impl Into<String>, query: Vec<(&'static str, String)>, weight: u32) -> Self {
        Self { path: path.into(), query, weight, method: Method::GET }
    }

    /// A POST without a body.
    pub fn post(path: impl Into<String>, weight: u32) -> Self {
        Self { method: Method::POST, ..Self::new(path, Vec::new(), weight) }
    }
}

/// The candles to request: those that open in `[from_ms, until_ms)`, at most `limit`.
pub(super) struct Wanted<'a> {
    /// The exchange's name of the symbol.
    pub name: &'a str,
    /// The exchange's name of the timeframe.
    pub interval: &'a str,
    pub from_ms: i64,
    pub until_ms: i64,
    pub limit: usize,
    /// How many candles ago `from_ms` is.
    pub candles_ago: i64,
}

/// How the exchange names symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// As [`Symbol`] does: `BTCUSDT`.
    Plain,
    /// As its list of instruments says: `BTC-USDT`.
    Listed,
}

/// The numbers and names of an exchange.
#[derive(Debug)]
pub(super) struct Facts {
    /// The host that serves its REST API.
    pub url: &'static str,
    /// Another host of its own that serves the same, for an error.
    pub other_url: Option<&'static str>,
    /// The form of its candles.
    pub origin: Origin,
    /// The timeframes that it has, ascending, each with its own name for it. Others are built from these.
    pub timeframes: &'static [(&'static str, &'static str)],
    /// The request weight that it allows an address within `window`.
    pub allowance: u32,
    pub window: Duration,
    /// How long to rest when it refuses requests as too many, without saying for how long.
    pub rest: Duration,
    /// It has only this many newest candles of a timeframe.
    pub reach: Option<usize>,
    /// Whether an answer begins with the first candle at or after the wanted time, however long a hole before it is.
    pub seeks: bool,
    pub naming: Naming,
    /// No candle is older than this, UTC epoch ms.
    pub opened_ms: i64,
    /// The most symbols in one request for prices.
    pub prices_at_once: usize,
}

/// No exchange that is built in had a market before 2011.
pub(super) const FIRST_MARKETS_MS: i64 = 14_975 * DAY_MS;

/// A symbol in the exchange's list.
#[derive(Debug, Clone)]
pub(super) struct Instrument {
    /// The exchange's name.
    pub name: String,
    /// Its name on the exchange's WebSocket.
    pub stream_name: String,
    /// Its name here, in every spelling that users write.
    pub symbols: Vec<Symbol>,
    /// The exchange's status if it does not trade.
    pub halted: Option<String>,
}

impl Instrument {
    /// An instrument with one name. `None` if that cannot be a symbol.
    pub fn named(name: &str, halted: Option<String>) -> Option<Self> {
        let symbols = vec![Symbol::parse(name).ok()?];
        Some(Self { name: name.to_owned(), stream_name: name.to_owned(), symbols, halted })
    }
}

/// An answer with its status and headers.
pub(super) struct Reply<'a> {
    pub status: u16,
    pub headers: &'a HeaderMap,
    /// The host's clock, UTC epoch ms.
    pub host_ms: i64,
    /// The body, if it is JSON; otherwise null.
    pub body: &'a Value,
    pub text: &'a str,
}

impl Reply<'_> {
    /// A header that is a whole number.
    pub fn number(&self, header: &str) -> Option<i64> {
        number(self.headers, header)
    }
}

/// A header that is a whole number.
pub(super) fn number(headers: &HeaderMap, header: &str) -> Option<i64> {
    headers.get(header)?.to_str().ok()?.trim().parse().ok()
}

/// What an exchange says instead of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub code: String,
    pub message: String,
    pub meaning: Meaning,
}

/// What a complaint means for the request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Too many requests, and how long the exchange asks to wait.
    TooOften(Option<Duration>),
    /// The exchange is overloaded or has a fault; a retry may help.
    Busy,
    /// It does not know the symbol.
    UnknownSymbol,
    /// Something else is wrong with the request.
    Refused,
}

/// The weight that the host says was used, and when it counts anew.
pub(super) struct Used {
    pub weight: u32,
    pub ends_in: Option<Duration>,
}

/// What one exchange does differently from another. Descriptions of what is wrong with an answer begin as in "it sent no prices".
pub(super) trait Dialect: Debug + Send + Sync {
    fn facts(&self) -> &Facts;

    /// The most candles in one answer to a request that begins this many candles ago.
    fn page(&self, candles_ago: i64) -> usize;

    fn candles(&self, wanted: &Wanted<'_>) -> Request;

    /// A request for the prices of at least these symbols.
    fn prices(&self, names: &[&str]) -> Request;

    /// The prices in an answer, by the exchange's names. `names` are those that were requested.
    fn read_prices(&self, answer: &Value, names: &[&str]) -> Result<Vec<(String, Value)>, String>;

    /// A request for the list of instruments, or for these of it.
    fn instruments(&self, names: &[&str]) -> Request;

    fn read_instruments(&self, answer: &Value) -> Result<Vec<Instrument>, String>;

    /// Whether [`Self::instruments`] is the whole list.
    fn lists_all(&self) -> bool {
        true
    }

    fn time(&self) -> Request;

    /// The exchange's clock, UTC epoch ms.
    fn read_time(&self, answer: &Value) -> Option<i64>;

    /// What an answer says if it is none; `None` for a good one, and for one that is not in the exchange's form.
    fn complaint(&self, reply: &Reply<'_>) -> Option<Complaint>;

    /// The weight that the host says was used.
    fn used(&self, _headers: &HeaderMap) -> Option<Used> {
        None
    }
}

/// Text or a number, as text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The members `name` and `price` of each item of a list, or of one object.
pub(super) fn name_and_price(items: &Value, name: &str, price: &str) -> Result<Vec<(String, Value)>, String> {
    let pair = |item: &Value| Some((item[name].as_str()?.to_owned(), item[price].clone()));
    match items {
        Value::Array(items) => Ok(items.iter().filter_map(pair).collect()),
        Value::Object(_) => Ok(pair(items).into_iter().collect()),
        other => Err(format!("it sent no prices; got {}", shortened(other))),
    }
}

/// The items of a list of instruments.
pub(super) fn listed(items: &Value) -> Result<&Vec<Value>, String> {
    items.as_array().ok_or_else(|| format!("it sent no symbols; got {}", shortened(items)))
}

/// The beginning of a value, for an error.
pub(super) fn shortened(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}
