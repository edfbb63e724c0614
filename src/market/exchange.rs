//! Binance's public REST API: candles and prices.

use super::Candle;
use super::http::{Failure, Host};
use super::source::{CandleFuture, CandleSource};
use crate::error::{Error, Result};
use crate::symbol::{Market, Symbol};
use serde_json::Value;

/// The most candles that one answer holds.
const PAGE: usize = 1000;
/// The most symbols put in one question for prices, so that the URL stays short.
const SYMBOLS_A_REQUEST: usize = 100;

/// A client of an exchange that speaks Binance's public REST API. It needs no key, contacts the configured host and no
/// other (redirects are not followed), and may be shared by any number of tasks.
///
/// A connection may take 10 s, an answer 30 s, a request with its retries 60 s. Overload (HTTP 429, 418 and 5xx, with
/// `Retry-After` respected), time-outs, and answers broken off or not JSON are tried up to four times. A host that cannot
/// be reached is tried twice, then left alone for a second. What the exchange refuses (other HTTP 4xx) is asked once.
#[derive(Debug)]
pub struct Exchange {
    host: Host,
}

impl Exchange {
    /// A client of the exchange at `base_url`, such as `https://api.binance.com`. Nothing is contacted yet.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `base_url` is not an http(s) URL with a host.
    pub fn new(base_url: &str) -> Result<Self> {
        let host = Host::new(base_url).ok_or_else(|| {
            Error::argument("exchange_url", "must be an http(s) URL such as https://api.binance.com", base_url)
        })?;
        Ok(Self { host })
    }

    /// The last price of `symbol`.
    ///
    /// # Errors
    /// [`Error::Exchange`], with the exchange's own words when it refused.
    pub async fn price(&self, symbol: &Symbol) -> Result<f64> {
        let answer = self.host.get("/api/v3/ticker/price", &[("symbol", symbol.to_string())]).await;
        let answer = answer.map_err(|failure| error(symbol, failure.message()))?;
        self.read_price(&answer, symbol)
    }

    /// The last prices of `symbols`, in their order, each with its own error: one that the exchange does not know
    /// (it then refuses the whole question) spares the others.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the exchange cannot be reached or answers nothing of use.
    pub async fn prices(&self, symbols: &[Symbol]) -> Result<Vec<(Symbol, Result<f64>)>> {
        let mut prices = Vec::with_capacity(symbols.len());
        // Last in, first out: the rest waits behind the batch at hand.
        let mut batches: Vec<&[Symbol]> = symbols.rchunks(SYMBOLS_A_REQUEST).collect();
        while let Some(batch) = batches.pop() {
            let names = Value::from_iter(batch.iter().map(Symbol::as_str)).to_string();
            match self.host.get("/api/v3/ticker/price", &[("symbols", names)]).await {
                Ok(answer) => prices.extend(batch.iter().map(|symbol| {
                    let found = answer.as_array().into_iter().flatten().find(|item| item["symbol"] == symbol.as_str());
                    (symbol.clone(), self.read_price(found.unwrap_or(&Value::Null), symbol))
                })),
                Err(Failure::Refused(said)) => match batch {
                    [symbol] => prices.push((symbol.clone(), Err(error(symbol, &said)))),
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

    fn read_price(&self, answer: &Value, symbol: &Symbol) -> Result<f64> {
        number(&answer["price"])
            .filter(|price| price.is_finite() && *price > 0.0)
            .ok_or_else(|| error(symbol, &format!("{} sent no price; got {}", self.host.name(), shortened(answer))))
    }

    /// One page after the other, until there is nothing more before `until_ms`.
    async fn fetch(&self, market: &Market, from_ms: i64, until_ms: i64) -> Result<Vec<Candle>> {
        let mut candles: Vec<Candle> = Vec::new();
        let mut from = from_ms;
        while from < until_ms {
            let query = [
                ("symbol", market.symbol.to_string()),
                ("interval", market.timeframe.to_string()),
                ("startTime", from.to_string()),
                ("endTime", (until_ms - 1).to_string()),
                ("limit", PAGE.to_string()),
            ];
            let answer = self.host.get("/api/v3/klines", &query).await;
            let answer = answer.map_err(|failure| error(market, failure.message()))?;
            let unreadable =
                || error(market, &format!("{} sent no candles; got {}", self.host.name(), shortened(&answer)));
            let page: Vec<Candle> = answer
                .as_array()
                .ok_or_else(unreadable)?
                .iter()
                .map(read_kline)
                .collect::<Option<_>>()
                .ok_or_else(unreadable)?;
            let Some(last) = page.last() else { break };
            if last.open_ms < from {
                return Err(error(market, &format!("{} does not keep to `startTime`", self.host.name())));
            }
            from = last.open_ms + market.timeframe.millis();
            candles.extend(page.into_iter().filter(|candle| candle.open_ms < until_ms));
        }
        Ok(candles)
    }
}

impl CandleSource for Exchange {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        Box::pin(self.fetch(market, from_ms, until_ms))
    }
}

fn error(what: impl std::fmt::Display, said: &str) -> Error {
    Error::Exchange(format!("{what}: {said}"))
}

/// `[open time, "open", "high", "low", "close", "volume", …]`.
fn read_kline(row: &Value) -> Option<Candle> {
    Some(Candle {
        open_ms: row.get(0)?.as_i64()?,
        open: number(row.get(1)?)?,
        high: number(row.get(2)?)?,
        low: number(row.get(3)?)?,
        close: number(row.get(4)?)?,
        volume: number(row.get(5)?)?,
    })
}

/// Binance sends prices as strings, some of its kin as numbers.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn shortened(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn klines_with_strings_or_numbers() {
        let expected =
            Candle { open_ms: 1_700_000_000_000, open: 10.0, high: 12.5, low: 9.0, close: 11.0, volume: 0.5 };
        let rest = json!([1_700_000_000_000i64, "10.0", "12.50000000", "9", "11", "0.5", 1_700_003_599_999i64, "0"]);
        assert_eq!(read_kline(&rest), Some(expected));
        assert_eq!(read_kline(&json!([1_700_000_000_000i64, 10, 12.5, 9, 11, 0.5])), Some(expected));
        for bad in
            [json!([]), json!({}), json!([1, "a", 1, 1, 1, 1]), json!(["x", 1, 1, 1, 1, 1]), json!([1, 1, 1, 1, 1])]
        {
            assert_eq!(read_kline(&bad), None, "{bad}");
        }
    }

    #[test]
    fn only_an_http_url_will_do() {
        for url in ["", "api.binance.com", "ftp://x", "https://", "file:///etc/passwd"] {
            assert_eq!(Exchange::new(url).unwrap_err().code(), "ERR_INVALID_ARGUMENT", "{url}");
        }
        assert_eq!(Exchange::new("http://127.0.0.1:8080/x/").unwrap().host.name(), "127.0.0.1:8080");
    }
}
