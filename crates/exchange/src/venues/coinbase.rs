//! Coinbase's spot market, the public part of the Advanced Trade API:
//! <https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/get-public-product-candles>.

use crate::dialect::{
    Complaint, Dialect, Facts, Instrument, Meaning, Naming, Reply, Request, Wanted, listed, name_and_price, text,
};
use candles::Origin;
use domain::time::DAY_MS;
use serde_json::Value;
use std::time::Duration;

pub(super) static SPOT: Coinbase = Coinbase;

static FACTS: Facts = Facts {
    url: "https://api.coinbase.com",
    other_url: None,
    origin: Origin::Coinbase,
    timeframes: &[
        ("1m", "ONE_MINUTE"),
        ("5m", "FIVE_MINUTE"),
        ("15m", "FIFTEEN_MINUTE"),
        ("30m", "THIRTY_MINUTE"),
        ("1h", "ONE_HOUR"),
        ("2h", "TWO_HOUR"),
        ("6h", "SIX_HOUR"),
        ("1d", "ONE_DAY"),
    ],
    // 10 requests in a second.
    allowance: 10,
    window: Duration::from_secs(1),
    rest: Duration::from_secs(1),
    reach: None,
    seeks: false,
    naming: Naming::Listed,
    // 2015-01-01; its exchange opened that month.
    opened_ms: 16_436 * DAY_MS,
    prices_at_once: 100,
};

#[derive(Debug)]
pub(super) struct Coinbase;

impl Dialect for Coinbase {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    fn page(&self, _candles_ago: i64) -> usize {
        350
    }

    fn candles(&self, wanted: &Wanted<'_>) -> Request {
        let query = vec![
            ("start", wanted.from_ms.div_euclid(1000).to_string()),
            ("end", (wanted.until_ms - 1).div_euclid(1000).to_string()),
            ("granularity", wanted.interval.to_owned()),
            ("limit", wanted.limit.to_string()),
        ];
        Request::new(format!("/api/v3/brokerage/market/products/{}/candles", wanted.name), query, 1)
    }

    fn prices(&self, names: &[&str]) -> Request {
        let query = names.iter().map(|name| ("product_ids", (*name).to_owned())).collect();
        Request::new("/api/v3/brokerage/market/products", query, 1)
    }

    fn read_prices(&self, answer: &Value, _names: &[&str]) -> Result<Vec<(String, Value)>, String> {
        name_and_price(&answer["products"], "product_id", "price")
    }

    fn instruments(&self, _names: &[&str]) -> Request {
        Request::new("/api/v3/brokerage/market/products", vec![("product_type", "SPOT".to_owned())], 1)
    }

    fn read_instruments(&self, answer: &Value) -> Result<Vec<Instrument>, String> {
        let one = |item: &Value| {
            let is = |flag: &str| item[flag].as_bool() == Some(true);
            let halted = if is("is_disabled") {
                Some("disabled".to_owned())
            } else if is("trading_disabled") {
                Some("trading disabled".to_owned())
            } else {
                text(&item["status"]).filter(|status| !status.is_empty() && status != "online")
            };
            Instrument::named(item["product_id"].as_str()?, halted)
        };
        Ok(listed(&answer["products"])?.iter().filter_map(one).collect())
    }

    fn time(&self) -> Request {
        Request::new("/api/v3/brokerage/time", Vec::new(), 1)
    }

    fn read_time(&self, answer: &Value) -> Option<i64> {
        text(&answer["epochMillis"])?.parse().ok()
    }

    fn complaint(&self, reply: &Reply<'_>) -> Option<Complaint> {
        if (200..300).contains(&reply.status) {
            return None;
        }
        let said = |name: &str| reply.body[name].as_str().filter(|text| !text.is_empty());
        let code = said("error").or_else(|| said("code")).map(str::to_owned);
        let message = said("error_details").or_else(|| said("message")).unwrap_or_default().to_owned();
        let meaning = match reply.status {
            429 => Meaning::TooOften(None),
            500.. => Meaning::Busy,
            400 | 404 if message.to_lowercase().contains("product") => Meaning::UnknownSymbol,
            _ => Meaning::Refused,
        };
        Some(Complaint { code: code?, message, meaning })
    }
}
