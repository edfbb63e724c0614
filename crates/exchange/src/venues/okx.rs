//! OKX's spot market, API version 5: <https://www.okx.com/docs-v5/en/>.

use crate::dialect::{
    Complaint, Dialect, FIRST_MARKETS_MS, Facts, Instrument, Meaning, Naming, Reply, Request, Wanted, listed,
    name_and_price, text,
};
use candles::Origin;
use serde_json::Value;
use std::time::Duration;

pub(super) static SPOT: Okx = Okx;

/// The endpoint for recent candles has the newest 1440; some are left to those that open meanwhile.
const RECENT: i64 = 1400;

static FACTS: Facts = Facts {
    url: "https://www.okx.com",
    other_url: None,
    origin: Origin::Okx,
    // Without `utc`, the longer ones begin at midnight in Hong Kong.
    timeframes: &[
        ("1m", "1m"),
        ("3m", "3m"),
        ("5m", "5m"),
        ("15m", "15m"),
        ("30m", "30m"),
        ("1h", "1H"),
        ("2h", "2H"),
        ("4h", "4H"),
        ("6h", "6Hutc"),
        ("12h", "12Hutc"),
        ("1d", "1Dutc"),
        ("3d", "3Dutc"),
        ("1w", "1Wutc"),
    ],
    // 20 requests in 2 seconds for older candles, prices and instruments; recent candles have twice as many.
    allowance: 20,
    window: Duration::from_secs(2),
    rest: Duration::from_secs(2),
    reach: None,
    seeks: false,
    naming: Naming::Listed,
    opened_ms: FIRST_MARKETS_MS,
    prices_at_once: usize::MAX,
};

#[derive(Debug)]
pub(super) struct Okx;

impl Dialect for Okx {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    fn page(&self, candles_ago: i64) -> usize {
        if candles_ago <= RECENT { 300 } else { 100 }
    }

    fn candles(&self, wanted: &Wanted<'_>) -> Request {
        let is_recent = wanted.candles_ago <= RECENT;
        let path = if is_recent { "/api/v5/market/candles" } else { "/api/v5/market/history-candles" };
        // Both ends are exclusive: older than `after`, newer than `before`.
        let query = vec![
            ("instId", wanted.name.to_owned()),
            ("bar", wanted.interval.to_owned()),
            ("after", wanted.until_ms.to_string()),
            ("before", (wanted.from_ms - 1).to_string()),
            ("limit", wanted.limit.to_string()),
        ];
        Request::new(path, query, 1)
    }

    fn prices(&self, names: &[&str]) -> Request {
        match names {
            [name] => Request::new("/api/v5/market/ticker", vec![("instId", (*name).to_owned())], 1),
            _ => Request::new("/api/v5/market/tickers", vec![("instType", "SPOT".to_owned())], 1),
        }
    }

    fn read_prices(&self, answer: &Value, _names: &[&str]) -> Result<Vec<(String, Value)>, String> {
        name_and_price(&answer["data"], "instId", "last")
    }

    fn instruments(&self, _names: &[&str]) -> Request {
        Request::new("/api/v5/public/instruments", vec![("instType", "SPOT".to_owned())], 1)
    }

    fn read_instruments(&self, answer: &Value) -> Result<Vec<Instrument>, String> {
        let one = |item: &Value| {
            let halted = item["state"].as_str().filter(|state| *state != "live").map(str::to_owned);
            Instrument::named(item["instId"].as_str()?, halted)
        };
        Ok(listed(&answer["data"])?.iter().filter_map(one).collect())
    }

    fn time(&self) -> Request {
        Request::new("/api/v5/public/time", Vec::new(), 2)
    }

    fn read_time(&self, answer: &Value) -> Option<i64> {
        answer["data"][0]["ts"].as_str()?.parse().ok()
    }

    fn complaint(&self, reply: &Reply<'_>) -> Option<Complaint> {
        let code = text(&reply.body["code"]).filter(|code| code != "0")?;
        let message = reply.body["msg"].as_str().unwrap_or_default().to_owned();
        let meaning = match code.as_str() {
            "50011" | "50061" => Meaning::TooOften(None),
            "50001" | "50004" | "50013" | "50026" => Meaning::Busy,
            "51001" => Meaning::UnknownSymbol,
            _ => Meaning::Refused,
        };
        Some(Complaint { code, message, meaning })
    }
}
