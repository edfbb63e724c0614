//! Binance's spot market and its USD-M futures, which have one protocol: <https://developers.binance.com/docs/binance-spot-api-docs>,
//! <https://developers.binance.com/docs/derivatives/usds-margined-futures>.

use crate::dialect::{
    Complaint, Dialect, FIRST_MARKETS_MS, Facts, Instrument, Meaning, Naming, Reply, Request, Used, Wanted, listed,
    name_and_price, number,
};
use candles::Origin;
use reqwest::header::{DATE, HeaderMap};
use serde_json::Value;
use std::time::Duration;

/// The weight used in the current minute, by the host's count.
const USED_HEADER: &str = "x-mbx-used-weight-1m";
const MINUTE: Duration = Duration::from_secs(60);
/// The code for an unknown symbol.
const UNKNOWN_SYMBOL: i64 = -1121;

#[derive(Debug)]
pub(super) struct Binance {
    facts: Facts,
    /// The paths of the API begin so.
    prefix: &'static str,
    weights: Weights,
}

/// The weights of a page of candles, the price of one symbol, the prices of several, and the list of instruments.
#[derive(Debug)]
struct Weights {
    candles: u32,
    price: u32,
    prices: u32,
    instruments: u32,
}

/// Weights of <https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints>.
const fn spot(url: &'static str, other_url: Option<&'static str>) -> Binance {
    let weights = Weights { candles: 2, price: 2, prices: 4, instruments: 20 };
    Binance { facts: facts(url, other_url, 6000, 100), prefix: "/api/v3", weights }
}

/// Weights of <https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api>.
const fn usdm(url: &'static str, other_url: Option<&'static str>) -> Binance {
    let weights = Weights { candles: 5, price: 1, prices: 2, instruments: 1 };
    Binance { facts: facts(url, other_url, 2400, usize::MAX), prefix: "/fapi/v1", weights }
}

pub(super) static SPOT: Binance = spot("https://api.binance.com", Some("https://data-api.binance.vision"));
pub(super) static SPOT_TESTNET: Binance = spot("https://testnet.binance.vision", None);
pub(super) static USDM: Binance = usdm("https://fapi.binance.com", None);
pub(super) static USDM_TESTNET: Binance =
    usdm("https://demo-fapi.binance.com", Some("https://testnet.binancefuture.com"));

const fn facts(url: &'static str, other_url: Option<&'static str>, allowance: u32, prices_at_once: usize) -> Facts {
    Facts {
        url,
        other_url,
        origin: Origin::Binance,
        timeframes: &[
            ("1m", "1m"),
            ("3m", "3m"),
            ("5m", "5m"),
            ("15m", "15m"),
            ("30m", "30m"),
            ("1h", "1h"),
            ("2h", "2h"),
            ("4h", "4h"),
            ("6h", "6h"),
            ("8h", "8h"),
            ("12h", "12h"),
            ("1d", "1d"),
            ("3d", "3d"),
            ("1w", "1w"),
        ],
        allowance,
        window: MINUTE,
        rest: Duration::ZERO,
        reach: None,
        seeks: true,
        naming: Naming::Plain,
        opened_ms: FIRST_MARKETS_MS,
        prices_at_once,
    }
}

impl Binance {
    fn get(&self, path: &str, query: Vec<(&'static str, String)>, weight: u32) -> Request {
        Request::new(format!("{}{path}", self.prefix), query, weight)
    }

    fn is_spot(&self) -> bool {
        self.prefix == "/api/v3"
    }
}

fn list(names: &[&str]) -> Vec<(&'static str, String)> {
    vec![("symbols", Value::from_iter(names.iter().copied()).to_string())]
}

impl Dialect for Binance {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn page(&self, _candles_ago: i64) -> usize {
        1000
    }

    fn candles(&self, wanted: &Wanted<'_>) -> Request {
        let query = vec![
            ("symbol", wanted.name.to_owned()),
            ("interval", wanted.interval.to_owned()),
            ("startTime", wanted.from_ms.to_string()),
            ("endTime", (wanted.until_ms - 1).to_string()),
            ("limit", wanted.limit.to_string()),
        ];
        self.get("/klines", query, self.weights.candles)
    }

    fn prices(&self, names: &[&str]) -> Request {
        match names {
            [name] => self.get("/ticker/price", vec![("symbol", (*name).to_owned())], self.weights.price),
            // The futures have no list of symbols here: the answer has all of them.
            _ if !self.is_spot() => self.get("/ticker/price", Vec::new(), self.weights.prices),
            _ => self.get("/ticker/price", list(names), self.weights.prices),
        }
    }

    fn read_prices(&self, answer: &Value, _names: &[&str]) -> Result<Vec<(String, Value)>, String> {
        name_and_price(answer, "symbol", "price")
    }

    fn instruments(&self, names: &[&str]) -> Request {
        let query = if self.is_spot() { list(names) } else { Vec::new() };
        self.get("/exchangeInfo", query, self.weights.instruments)
    }

    fn read_instruments(&self, answer: &Value) -> Result<Vec<Instrument>, String> {
        let one = |item: &Value| {
            let halted = item["status"].as_str().filter(|status| *status != "TRADING").map(str::to_owned);
            Instrument::named(item["symbol"].as_str()?, halted)
        };
        Ok(listed(&answer["symbols"])?.iter().filter_map(one).collect())
    }

    /// The whole list of the spot market has 10 MB.
    fn lists_all(&self) -> bool {
        !self.is_spot()
    }

    fn time(&self) -> Request {
        self.get("/time", Vec::new(), 1)
    }

    fn read_time(&self, answer: &Value) -> Option<i64> {
        answer["serverTime"].as_i64()
    }

    fn complaint(&self, reply: &Reply<'_>) -> Option<Complaint> {
        let (code, message) = (reply.body["code"].as_i64()?, reply.body["msg"].as_str()?.to_owned());
        let meaning = match reply.status {
            429 | 418 => Meaning::TooOften(banned_for(&message, reply.host_ms)),
            500.. => Meaning::Busy,
            _ if code == UNKNOWN_SYMBOL => Meaning::UnknownSymbol,
            _ => Meaning::Refused,
        };
        Some(Complaint { code: code.to_string(), message, meaning })
    }

    fn used(&self, headers: &HeaderMap) -> Option<Used> {
        let weight = u32::try_from(number(headers, USED_HEADER)?).ok()?;
        // The host's minutes follow its clock: `Mon, 23 Nov 2026 11:16:56 GMT`.
        let second = headers.get(DATE).and_then(|date| date.to_str().ok()?.get(23..25)?.parse().ok());
        let ends_in = second.and_then(|second| MINUTE.checked_sub(Duration::from_secs(second)));
        Some(Used { weight, ends_in: ends_in.filter(|left| !left.is_zero()) })
    }
}

/// How long the message says that the address is banned: `Way too much request weight used; IP banned until 1700000000000. …`.
fn banned_for(message: &str, host_ms: i64) -> Option<Duration> {
    let (_, after) = message.split_once("banned until ")?;
    let digits = after.find(|c: char| !c.is_ascii_digit()).map_or(after, |end| &after[..end]);
    let wait_ms = digits.parse::<i64>().ok()?.checked_sub(host_ms)?;
    u64::try_from(wait_ms).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_lasts_as_long_as_its_words_say() {
        let of = |message: &str| banned_for(message, 1_700_000_000_000);
        let said = "Way too much request weight used; IP banned until 1700000090500. Please use WebSocket.";
        assert_eq!(of(said), Some(Duration::from_millis(90_500)));
        assert_eq!(of("IP banned until 1699999999999."), None);
        for other in ["", "Too many requests.", "banned until tomorrow"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn the_hosts_minute_ends_by_its_clock() {
        let said = |used: &str, second: &str| {
            let date = format!("Mon, 23 Nov 2026 11:16:{second} GMT");
            let headers = [(USED_HEADER.parse().unwrap(), used.parse().unwrap()), (DATE, date.parse().unwrap())];
            SPOT.used(&HeaderMap::from_iter(headers)).map(|used| (used.weight, used.ends_in))
        };
        assert_eq!(said("9", "50"), Some((9, Some(Duration::from_secs(10)))));
        assert_eq!(said("9", "99"), Some((9, None)));
        assert_eq!(said("many", "50"), None);
    }
}
