//! KuCoin's spot market: <https://www.kucoin.com/docs-new/rest/spot-trading/market-data/get-klines>.

use crate::dialect::{
    Complaint, Dialect, FIRST_MARKETS_MS, Facts, Instrument, Meaning, Naming, Reply, Request, Used, Wanted, listed,
    name_and_price, number, text,
};
use candles::Origin;
use domain::symbol::Symbol;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::time::Duration;

pub(super) static SPOT: Kucoin = Kucoin;

static FACTS: Facts = Facts {
    url: "https://api.kucoin.com",
    other_url: None,
    origin: Origin::Kucoin,
    timeframes: &[
        ("1m", "1min"),
        ("3m", "3min"),
        ("5m", "5min"),
        ("15m", "15min"),
        ("30m", "30min"),
        ("1h", "1hour"),
        ("2h", "2hour"),
        ("4h", "4hour"),
        ("6h", "6hour"),
        ("8h", "8hour"),
        ("12h", "12hour"),
        ("1d", "1day"),
        ("1w", "1week"),
    ],
    // A weight of 2000 in 30 seconds.
    allowance: 2000,
    window: Duration::from_secs(30),
    rest: Duration::from_secs(5),
    reach: None,
    seeks: false,
    naming: Naming::Listed,
    opened_ms: FIRST_MARKETS_MS,
    prices_at_once: usize::MAX,
};

#[derive(Debug)]
pub(super) struct Kucoin;

impl Dialect for Kucoin {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    /// KuCoin sends up to 1500, but does not say whether the end is inclusive.
    fn page(&self, _candles_ago: i64) -> usize {
        1000
    }

    fn candles(&self, wanted: &Wanted<'_>) -> Request {
        let query = vec![
            ("symbol", wanted.name.to_owned()),
            ("type", wanted.interval.to_owned()),
            ("startAt", wanted.from_ms.div_euclid(1000).to_string()),
            ("endAt", wanted.until_ms.div_euclid(1000).to_string()),
        ];
        Request::new("/api/v1/market/candles", query, 3)
    }

    fn prices(&self, names: &[&str]) -> Request {
        match names {
            [name] => Request::new("/api/v1/market/orderbook/level1", vec![("symbol", (*name).to_owned())], 2),
            _ => Request::new("/api/v1/market/allTickers", Vec::new(), 15),
        }
    }

    fn read_prices(&self, answer: &Value, names: &[&str]) -> Result<Vec<(String, Value)>, String> {
        match (&answer["data"]["ticker"], names) {
            // The price of one symbol comes without its name.
            (Value::Null, [name]) => Ok(vec![((*name).to_owned(), answer["data"]["price"].clone())]),
            (tickers, _) => name_and_price(tickers, "symbol", "last"),
        }
    }

    fn instruments(&self, _names: &[&str]) -> Request {
        Request::new("/api/v2/symbols", Vec::new(), 4)
    }

    fn read_instruments(&self, answer: &Value) -> Result<Vec<Instrument>, String> {
        let one = |item: &Value| {
            let halted = (item["enableTrading"] == false).then(|| "trading disabled".to_owned());
            let mut instrument = Instrument::named(item["symbol"].as_str()?, halted)?;
            // The name of a coin that was renamed, while `symbol` stays.
            instrument.symbols.extend(item["name"].as_str().and_then(|name| Symbol::parse(name).ok()));
            Some(instrument)
        };
        Ok(listed(&answer["data"])?.iter().filter_map(one).collect())
    }

    fn time(&self) -> Request {
        Request::new("/api/v1/timestamp", Vec::new(), 3)
    }

    fn read_time(&self, answer: &Value) -> Option<i64> {
        answer["data"].as_i64()
    }

    fn complaint(&self, reply: &Reply<'_>) -> Option<Complaint> {
        let code = text(&reply.body["code"]).filter(|code| code != "200000")?;
        let message = reply.body["msg"].as_str().unwrap_or_default().to_owned();
        let meaning = match code.as_str() {
            "429000" => {
                let reset_ms = reply.number("gw-ratelimit-reset").and_then(|ms| u64::try_from(ms).ok());
                Meaning::TooOften(reset_ms.map(Duration::from_millis))
            }
            "500000" => Meaning::Busy,
            "900001" => Meaning::UnknownSymbol,
            "400100" if message.to_lowercase().contains("symbol") => Meaning::UnknownSymbol,
            _ => Meaning::Refused,
        };
        Some(Complaint { code, message, meaning })
    }

    fn used(&self, headers: &HeaderMap) -> Option<Used> {
        let (limit, left) = (number(headers, "gw-ratelimit-limit")?, number(headers, "gw-ratelimit-remaining")?);
        let ends_in = number(headers, "gw-ratelimit-reset").and_then(|ms| u64::try_from(ms).ok());
        Some(Used { weight: u32::try_from(limit - left).ok()?, ends_in: ends_in.map(Duration::from_millis) })
    }
}
