//! Kraken's spot market: <https://docs.kraken.com/api/docs/guides/spot-rest-intro>.

use crate::dialect::{
    Complaint, Dialect, FIRST_MARKETS_MS, Facts, Instrument, Meaning, Naming, Reply, Request, Wanted, shortened,
};
use candles::Origin;
use domain::symbol::Symbol;
use serde_json::Value;
use std::time::Duration;

pub(super) static SPOT: Kraken = Kraken;

/// Kraken's own names of assets, and those that others use.
const ASSETS: [(&str, &str); 2] = [("XBT", "BTC"), ("XDG", "DOGE")];

static FACTS: Facts = Facts {
    url: "https://api.kraken.com",
    other_url: None,
    origin: Origin::Kraken,
    timeframes: &[
        ("1m", "1"),
        ("5m", "5"),
        ("15m", "15"),
        ("30m", "30"),
        ("1h", "60"),
        ("4h", "240"),
        ("1d", "1440"),
        ("1w", "10080"),
    ],
    // One request a second.
    allowance: 4,
    window: Duration::from_secs(4),
    rest: Duration::from_secs(3),
    reach: Some(720),
    seeks: false,
    naming: Naming::Listed,
    opened_ms: FIRST_MARKETS_MS,
    prices_at_once: 100,
};

#[derive(Debug)]
pub(super) struct Kraken;

impl Dialect for Kraken {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    fn page(&self, _candles_ago: i64) -> usize {
        720
    }

    /// The answer reaches up to now, whatever is requested.
    fn candles(&self, wanted: &Wanted<'_>) -> Request {
        let query = vec![
            ("pair", wanted.name.to_owned()),
            ("interval", wanted.interval.to_owned()),
            ("since", (wanted.from_ms - 1).div_euclid(1000).to_string()),
        ];
        Request::new("/0/public/OHLC", query, 1)
    }

    fn prices(&self, names: &[&str]) -> Request {
        Request::new("/0/public/Ticker", vec![("pair", names.join(","))], 1)
    }

    fn read_prices(&self, answer: &Value, _names: &[&str]) -> Result<Vec<(String, Value)>, String> {
        match answer["result"].as_object() {
            // `c`: price and volume of the last trade.
            Some(pairs) => Ok(pairs.iter().map(|(name, pair)| (name.clone(), pair["c"][0].clone())).collect()),
            None => Err(format!("it sent no prices; got {}", shortened(answer))),
        }
    }

    fn instruments(&self, _names: &[&str]) -> Request {
        Request::new("/0/public/AssetPairs", Vec::new(), 1)
    }

    fn read_instruments(&self, answer: &Value) -> Result<Vec<Instrument>, String> {
        let pairs = answer["result"].as_object();
        let pairs = pairs.ok_or_else(|| format!("it sent no symbols; got {}", shortened(answer)))?;
        let one = |(name, pair): (&String, &Value)| {
            let spelled = [pair["wsname"].as_str(), pair["altname"].as_str(), Some(name.as_str())];
            let spellings = spelled.into_iter().flatten().flat_map(|name| [name.to_owned(), usual(name)]);
            let mut symbols: Vec<Symbol> = spellings.filter_map(|name| Symbol::parse(&name).ok()).collect();
            symbols.sort();
            symbols.dedup();
            let halted = pair["status"].as_str().filter(|status| *status != "online").map(str::to_owned);
            // Version 2 of the WebSocket's API has the usual names: `BTC/USD`, where `wsname` is `XBT/USD`.
            let stream_name = usual(pair["wsname"].as_str().unwrap_or(name));
            Instrument { name: name.clone(), stream_name, symbols, halted }
        };
        Ok(pairs.iter().map(one).collect())
    }

    fn time(&self) -> Request {
        Request::new("/0/public/Time", Vec::new(), 1)
    }

    fn read_time(&self, answer: &Value) -> Option<i64> {
        answer["result"]["unixtime"].as_i64()?.checked_mul(1000)
    }

    fn complaint(&self, reply: &Reply<'_>) -> Option<Complaint> {
        // Those that begin with W are warnings.
        let said =
            reply.body["error"].as_array()?.iter().filter_map(Value::as_str).find(|said| said.starts_with('E'))?;
        let (code, message) = said.split_once(':').unwrap_or((said, said));
        let meaning = match (code, message) {
            ("EGeneral", "Too many requests") | ("EAPI", "Rate limit exceeded") => Meaning::TooOften(None),
            ("EService", _) | ("EGeneral", "Internal error") => Meaning::Busy,
            ("EQuery", "Unknown asset pair") => Meaning::UnknownSymbol,
            _ => Meaning::Refused,
        };
        Some(Complaint { code: code.to_owned(), message: message.to_owned(), meaning })
    }
}

/// A name of a pair with the usual names of its assets.
fn usual(pair: &str) -> String {
    let asset = |name: &str| ASSETS.iter().find(|(own, _)| *own == name).map_or(name, |(_, usual)| usual).to_owned();
    match pair.split_once('/') {
        Some((base, quote)) => format!("{}/{}", asset(base), asset(quote)),
        None => pair.to_owned(),
    }
}
