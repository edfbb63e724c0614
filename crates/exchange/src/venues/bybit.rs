//! Bybit's spot market, API version 5: <https://bybit-exchange.github.io/docs/v5/intro>.

use crate::dialect::{
    Complaint, Dialect, FIRST_MARKETS_MS, Facts, Instrument, Meaning, Naming, Reply, Request, Wanted, listed,
    name_and_price,
};
use candles::Origin;
use serde_json::Value;
use std::time::Duration;

pub(super) static SPOT: Bybit = Bybit;

static FACTS: Facts = Facts {
    url: "https://api.bybit.com",
    other_url: Some("https://api.bytick.com"),
    origin: Origin::Bybit,
    timeframes: &[
        ("1m", "1"),
        ("3m", "3"),
        ("5m", "5"),
        ("15m", "15"),
        ("30m", "30"),
        ("1h", "60"),
        ("2h", "120"),
        ("4h", "240"),
        ("6h", "360"),
        ("12h", "720"),
        ("1d", "D"),
        ("1w", "W"),
    ],
    // 600 requests in 5 seconds.
    allowance: 600,
    window: Duration::from_secs(5),
    rest: Duration::from_secs(5),
    reach: None,
    seeks: false,
    naming: Naming::Plain,
    opened_ms: FIRST_MARKETS_MS,
    prices_at_once: usize::MAX,
};

#[derive(Debug)]
pub(super) struct Bybit;

fn spot(path: &str, more: Vec<(&'static str, String)>) -> Request {
    let mut query = vec![("category", "spot".to_owned())];
    query.extend(more);
    Request::new(path, query, 1)
}

impl Dialect for Bybit {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    fn page(&self, _candles_ago: i64) -> usize {
        1000
    }

    fn candles(&self, wanted: &Wanted<'_>) -> Request {
        let query = vec![
            ("symbol", wanted.name.to_owned()),
            ("interval", wanted.interval.to_owned()),
            ("start", wanted.from_ms.to_string()),
            ("end", (wanted.until_ms - 1).to_string()),
            ("limit", wanted.limit.to_string()),
        ];
        spot("/v5/market/kline", query)
    }

    fn prices(&self, names: &[&str]) -> Request {
        let one = if let [name] = names { vec![("symbol", (*name).to_owned())] } else { Vec::new() };
        spot("/v5/market/tickers", one)
    }

    fn read_prices(&self, answer: &Value, _names: &[&str]) -> Result<Vec<(String, Value)>, String> {
        name_and_price(&answer["result"]["list"], "symbol", "lastPrice")
    }

    fn instruments(&self, _names: &[&str]) -> Request {
        spot("/v5/market/instruments-info", Vec::new())
    }

    fn read_instruments(&self, answer: &Value) -> Result<Vec<Instrument>, String> {
        let one = |item: &Value| {
            let halted = item["status"].as_str().filter(|status| *status != "Trading").map(str::to_owned);
            Instrument::named(item["symbol"].as_str()?, halted)
        };
        Ok(listed(&answer["result"]["list"])?.iter().filter_map(one).collect())
    }

    fn time(&self) -> Request {
        Request::new("/v5/market/time", Vec::new(), 1)
    }

    fn read_time(&self, answer: &Value) -> Option<i64> {
        answer["time"].as_i64()
    }

    fn complaint(&self, reply: &Reply<'_>) -> Option<Complaint> {
        // The words of its firewall, with HTTP 403.
        if reply.status == 403 && reply.text.contains("too frequent") {
            let message = reply.text.chars().take(80).collect();
            return Some(Complaint { code: "403".to_owned(), message, meaning: Meaning::TooOften(None) });
        }
        let code = reply.body["retCode"].as_i64().filter(|code| *code != 0)?;
        let message = reply.body["retMsg"].as_str().unwrap_or_default().to_owned();
        let meaning = match code {
            10006 | 10018 => {
                let until_ms = reply.number("x-bapi-limit-reset-timestamp");
                let wait_ms = until_ms.and_then(|until_ms| u64::try_from(until_ms - reply.host_ms).ok());
                Meaning::TooOften(wait_ms.map(Duration::from_millis))
            }
            10000 | 10016 => Meaning::Busy,
            10001 if message.to_lowercase().contains("symbol") => Meaning::UnknownSymbol,
            _ => Meaning::Refused,
        };
        Some(Complaint { code: code.to_string(), message, meaning })
    }
}
