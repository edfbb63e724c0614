//! Binance's public REST API: candles and prices.

use super::http::{Answered, Failure, Host, Pace};
use super::source::{CandleFuture, CandleSource, FirstFuture, Found, Listing, ListingFuture};
use candles::findings::{Cause, Findings};
use candles::kline::read_rows;
use candles::series::{RunEnds, settle};
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::{Market, Symbol};
use domain::venue::Venue;
use serde_json::Value;

/// The most candles in one answer.
const PAGE: usize = 1000;
/// The most symbols in one request for prices, which keeps URLs short.
const SYMBOLS_A_REQUEST: usize = 100;
/// Binance's request weights: a page of candles, the time, the price of one symbol, prices of several, and symbol status.
const CANDLES_WEIGHT: u32 = 2;
const TIME_WEIGHT: u32 = 1;
const PRICE_WEIGHT: u32 = 2;
const PRICES_WEIGHT: u32 = 4;
const LISTING_WEIGHT: u32 = 20;

/// A client of an exchange with Binance's public REST API. It needs no key. It contacts only the configured host and follows no
/// redirects. Tasks may share it, and then share its request budget.
///
/// [`Pace`] sets time-outs, retries and the budget. Overload (HTTP 429, 418 and 5xx), time-outs, incomplete answers, answers that
/// are not JSON, and invalid candles are tried up to four times; `Retry-After` delays all requests of the client. An unreachable
/// host is tried twice, then not at all for a second. Refusals (other HTTP 4xx) are not retried.
#[derive(Debug)]
pub struct Exchange {
    host: Host,
}

impl Exchange {
    /// A client of `venue`, at its own host or at `base_url`, at the default [`Pace`]. Connects on the first request.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `base_url` is not an http(s) URL with a host.
    pub fn new(venue: Venue, base_url: Option<&str>) -> Result<Self> {
        Self::with_pace(venue, base_url, Pace::default())
    }

    /// [`Self::new`] with another pace.
    pub fn with_pace(venue: Venue, base_url: Option<&str>, pace: Pace) -> Result<Self> {
        let base_url = match (base_url, venue) {
            (Some(url), Venue::Binance) => url,
            (None, Venue::Binance) => "https://api.binance.com",
            _ => return Err(Error::argument("exchange", "must be \"binance\"", venue)),
        };
        let host = Host::new(base_url, pace).ok_or_else(|| {
            Error::argument("exchange_url", "must be an http(s) URL such as https://api.binance.com", base_url)
        })?;
        Ok(Self { host })
    }

    /// The last price of `symbol`.
    ///
    /// # Errors
    /// [`Error::Exchange`]; includes the exchange's message if it refused.
    pub async fn price(&self, symbol: &Symbol) -> Result<f64> {
        let query = [("symbol", symbol.to_string())];
        let read = |answer: Value| self.read_price(&answer);
        let answered = self.host.get("/api/v3/ticker/price", &query, PRICE_WEIGHT, read).await;
        answered.map(|answered| answered.answer).map_err(|failure| symbol_error(symbol, symbol, &failure))
    }

    /// The last prices of `symbols`, in order, each with its own error. Binance refuses a whole request because of one unknown
    /// symbol; then the others are requested again.
    ///
    /// # Errors
    /// [`Error::Exchange`] if the exchange cannot be reached or gives no usable answer.
    pub async fn prices(&self, symbols: &[Symbol]) -> Result<Vec<(Symbol, Result<f64>)>> {
        let mut prices = Vec::with_capacity(symbols.len());
        // A stack: the rest waits behind the current batch.
        let mut batches: Vec<&[Symbol]> = symbols.rchunks(SYMBOLS_A_REQUEST).collect();
        while let Some(batch) = batches.pop() {
            let names = Value::from_iter(batch.iter().map(Symbol::as_str)).to_string();
            let read = |answer: Value| match answer {
                Value::Array(items) => Ok(items),
                other => Err(format!("it sent no prices; got {}", shortened(&other))),
            };
            let asked = self.host.get("/api/v3/ticker/price", &[("symbols", names)], PRICES_WEIGHT, read).await;
            match asked.map(|answered| answered.answer) {
                Ok(items) => prices.extend(batch.iter().map(|symbol| {
                    let found = items.iter().find(|item| item["symbol"] == symbol.as_str());
                    let price = self.read_price(found.unwrap_or(&Value::Null));
                    (symbol.clone(), price.map_err(|problem| error(symbol, &problem)))
                })),
                Err(failure @ (Failure::Refused(_) | Failure::UnknownSymbol(_))) => match batch {
                    [symbol] => prices.push((symbol.clone(), Err(symbol_error(symbol, symbol, &failure)))),
                    _ => {
                        let (first, second) = batch.split_at(batch.len() / 2);
                        batches.extend([second, first]);
                    }
                },
                Err(failure) => return Err(error("prices", failure.message())),
            }
        }
        Ok(prices)
    }

    /// The `symbols` that do not trade now, each with its status, such as `BREAK`. The exchange must know all of them.
    ///
    /// # Errors
    /// [`Error::Exchange`].
    pub async fn halted(&self, symbols: &[Symbol]) -> Result<Vec<(Symbol, String)>> {
        let mut halted = Vec::new();
        for batch in symbols.chunks(SYMBOLS_A_REQUEST) {
            halted.extend(self.halted_of(batch).await.map_err(|failure| error("symbols", failure.message()))?);
        }
        Ok(halted)
    }

    async fn halted_of(&self, symbols: &[Symbol]) -> std::result::Result<Vec<(Symbol, String)>, Failure> {
        let names = Value::from_iter(symbols.iter().map(Symbol::as_str)).to_string();
        let read = |mut answer: Value| match answer["symbols"].take() {
            Value::Array(items) => Ok(items),
            other => Err(format!("it sent no symbols; got {}", shortened(&other))),
        };
        let listed = self.host.get("/api/v3/exchangeInfo", &[("symbols", names)], LISTING_WEIGHT, read).await?.answer;
        let status = |symbol: &Symbol| {
            let entry = listed.iter().find(|entry| entry["symbol"] == symbol.as_str())?;
            entry["status"].as_str().filter(|status| *status != "TRADING").map(str::to_owned)
        };
        Ok(symbols.iter().filter_map(|symbol| Some((symbol.clone(), status(symbol)?))).collect())
    }

    /// Host and port, as in errors.
    pub fn host(&self) -> &str {
        self.host.name()
    }

    /// The current time by the exchange's clock, UTC epoch ms.
    ///
    /// # Errors
    /// [`Error::Exchange`].
    pub async fn server_time(&self) -> Result<i64> {
        let read = |answer: Value| {
            answer["serverTime"].as_i64().ok_or_else(|| format!("it sent no time; got {}", shortened(&answer)))
        };
        let answered = self.host.get("/api/v3/time", &[], TIME_WEIGHT, read).await;
        answered.map(|answered| answered.answer).map_err(|failure| error("the exchange's time", failure.message()))
    }

    fn read_price(&self, answer: &Value) -> std::result::Result<f64, String> {
        let price = &answer["price"];
        price
            .as_f64()
            .or_else(|| price.as_str()?.parse().ok())
            .filter(|price| price.is_finite() && *price > 0.0)
            .ok_or_else(|| format!("{} sent no price; got {}", self.host.name(), shortened(answer)))
    }

    /// Fetches page after page until there are no more candles before `until_ms`.
    async fn fetch(&self, market: &Market, from_ms: i64, until_ms: i64) -> Result<Found> {
        let mut found = Found::default();
        let mut from = from_ms;
        while from < until_ms {
            let query = [
                ("symbol", market.symbol.to_string()),
                ("interval", market.timeframe.to_string()),
                ("startTime", from.to_string()),
                ("endTime", (until_ms - 1).to_string()),
                ("limit", PAGE.to_string()),
            ];
            let read = |answer: Value| read_page(&answer, market, from);
            let answered = self.host.get("/api/v3/klines", &query, CANDLES_WEIGHT, read).await;
            let Answered { answer: (page, findings), retries, problem } =
                answered.map_err(|failure| symbol_error(market, &market.symbol, &failure))?;
            found.findings.merge(findings);
            found.findings.add(Cause::Retried, retries, || problem.unwrap_or_default());
            let Some(last) = page.last() else { break };
            from = last.open_ms + market.timeframe.millis();
            found.candles.extend(page);
        }
        Ok(found)
    }
}

/// The candles of one answer, in order. Describes what is wrong with an answer that cannot be trusted.
fn read_page(answer: &Value, market: &Market, from_ms: i64) -> std::result::Result<(Vec<Candle>, Findings), String> {
    let rows = answer.as_array().ok_or_else(|| format!("it sent no candles; got {}", shortened(answer)))?;
    let (candles, mut findings) = read_rows(rows, market.timeframe)?;
    let (candles, settled) = settle(candles, RunEnds::Sure)?;
    findings.merge(settled);
    if candles.last().is_some_and(|last| last.open_ms < from_ms) {
        return Err("it ignores `startTime`".to_owned());
    }
    Ok((candles, findings))
}

impl CandleSource for Exchange {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        Box::pin(self.fetch(market, from_ms, until_ms))
    }

    fn first_ms<'a>(&'a self, market: &'a Market, from_ms: i64) -> FirstFuture<'a> {
        Box::pin(async move {
            let query = [
                ("symbol", market.symbol.to_string()),
                ("interval", market.timeframe.to_string()),
                ("startTime", from_ms.to_string()),
                ("limit", "1".to_owned()),
            ];
            let read = |answer: Value| read_page(&answer, market, from_ms);
            let asked = self.host.get("/api/v3/klines", &query, CANDLES_WEIGHT, read).await;
            let answered = asked.map_err(|failure| symbol_error(market, &market.symbol, &failure))?;
            Ok(answered.answer.0.first().map(|candle| candle.open_ms))
        })
    }

    fn listing<'a>(&'a self, market: &'a Market) -> ListingFuture<'a> {
        Box::pin(async move {
            match self.halted_of(std::slice::from_ref(&market.symbol)).await {
                Ok(halted) => halted.first().map_or(Listing::Traded, |(_, status)| {
                    Listing::Not(format!("{} says that its status is {status}", self.host.name()))
                }),
                Err(Failure::UnknownSymbol(said)) => Listing::Not(said),
                // The host serves only candles.
                Err(_) => Listing::Unknown,
            }
        })
    }
}

/// The error for a request about one symbol.
fn symbol_error(what: impl std::fmt::Display, symbol: &Symbol, failure: &Failure) -> Error {
    match failure {
        Failure::UnknownSymbol(said) => {
            Error::NotTraded { symbol: symbol.to_string(), said: format!("{what}: {said}") }
        }
        other => error(what, other.message()),
    }
}

fn error(what: impl std::fmt::Display, said: &str) -> Error {
    Error::Exchange(format!("{what}: {said}"))
}

fn shortened(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Binance distinguishes symbols that it trades, that it stopped trading, and that it does not know.
    #[tokio::test]
    async fn a_market_is_traded_or_not_as_the_exchange_says() {
        use std::io::{Read, Write};
        let status = |status: &str| format!(r#"{{ "symbols": [{{ "symbol": "XUSDT", "status": "{status}" }}] }}"#);
        let unknown = r#"{ "code": -1121, "msg": "Invalid symbol." }"#.to_owned();
        let answers = [
            (200, status("TRADING")),
            (200, status("BREAK")),
            (400, unknown.clone()),
            (404, "nothing here".to_owned()),
            (400, unknown),
        ];
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for (code, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).unwrap() > 0);
                let head = format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\nconnection: close", body.len());
                stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
            }
        });
        let (exchange, market) =
            (Exchange::new(Venue::Binance, Some(&url)).unwrap(), Market::parse("XUSDT", "1h").unwrap());
        assert_eq!(exchange.listing(&market).await, Listing::Traded);
        for words in ["status is BREAK", "Invalid symbol"] {
            let Listing::Not(why) = exchange.listing(&market).await else { panic!("it is not traded") };
            assert!(why.contains(words), "{why}");
        }
        assert_eq!(exchange.listing(&market).await, Listing::Unknown, "a host that serves candles alone");
        let error = exchange.candles(&market, 0, 1_757_764_800_000).await.unwrap_err();
        assert!(error.is_not_traded() && error.code() == "ERR_EXCHANGE", "{error}");
        assert!(error.to_string().starts_with("XUSDT 1h: 127.0.0.1:"), "{error}");
        server.join().unwrap();
    }

    #[test]
    fn only_an_http_url_will_do() {
        for url in ["", "api.binance.com", "ftp://x", "https://", "file:///etc/passwd"] {
            assert_eq!(Exchange::new(Venue::Binance, Some(url)).unwrap_err().code(), "ERR_INVALID_ARGUMENT", "{url}");
        }
        assert_eq!(
            Exchange::new(Venue::Binance, Some("http://127.0.0.1:8080/x/")).unwrap().host.name(),
            "127.0.0.1:8080"
        );
    }
}
