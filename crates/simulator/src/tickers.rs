//! Symbols, current prices and 24-hour statistics of the simulated exchange.

use super::listing::Listing;
use super::routes::{Answer, Parameters, Refusal, listing, refuse};
use super::{Fault, Shared};
use axum::extract::{Query, State};
use axum::{Extension, Json};
use domain::candle::Candle;
use domain::symbol::Symbol;
use domain::time::DAY_MS;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Assets that prices are quoted in.
const QUOTES: [&str; 5] = ["USDT", "USDC", "USD", "EUR", "BTC"];
/// Value of an average trade, in the quote asset.
const TRADE: f64 = 1000.0;
/// Fields of `ticker/24hr` that its short form omits.
const ONLY_FULL: [&str; 9] = [
    "priceChange",
    "priceChangePercent",
    "weightedAvgPrice",
    "prevClosePrice",
    "lastQty",
    "bidPrice",
    "bidQty",
    "askPrice",
    "askQty",
];

/// The requested symbols.
enum Asked {
    /// By `symbol`: the answer is an object.
    One(Arc<Listing>),
    /// By `symbols`, or all of them: the answer is an array.
    Many(Vec<Arc<Listing>>),
}

impl Asked {
    fn read(shared: &Shared, parameters: &HashMap<String, String>) -> Result<Self, Refusal> {
        match (parameters.get("symbol"), parameters.get("symbols")) {
            (Some(_), Some(_)) => refuse(-1128, "Combination of optional parameters invalid."),
            (Some(symbol), None) => listing(shared, symbol).map(Self::One),
            (None, Some(list)) => match serde_json::from_str::<Vec<String>>(list) {
                Ok(symbols) => {
                    symbols.iter().map(|symbol| listing(shared, symbol)).collect::<Result<_, _>>().map(Self::Many)
                }
                Err(_) => refuse(-1100, "Illegal characters found in parameter 'symbols'."),
            },
            (None, None) => Ok(Self::Many(shared.all())),
        }
    }

    fn answer(&self, of: impl Fn(&Listing) -> Value) -> Json<Value> {
        Json(match self {
            Self::One(listing) => of(listing),
            Self::Many(listings) => listings.iter().map(|listing| of(listing)).collect(),
        })
    }
}

/// All symbols, with the fields that clients such as ccxt need.
pub(super) async fn exchange_info(State(shared): State<Arc<Shared>>, Query(parameters): Parameters) -> Answer {
    let now = shared.now_ms();
    let status = parameters.get("symbolStatus");
    if status.is_some() && (parameters.contains_key("symbol") || parameters.contains_key("symbols")) {
        return refuse(-1128, "Combination of optional parameters invalid.");
    }
    let mut listed = match Asked::read(&shared, &parameters)? {
        Asked::One(listing) => vec![listing],
        Asked::Many(listings) => listings,
    };
    listed.retain(|listing| status.is_none_or(|status| status == listing.status(now)));
    let symbols: Vec<Value> = listed.iter().map(|listing| symbol_info(listing, now)).collect();
    Ok(Json(json!({
        "timezone": "UTC", "serverTime": now, "rateLimits": [], "exchangeFilters": [], "symbols": symbols,
    })))
}

/// Base and quote asset of a symbol.
pub(super) fn pair(symbol: &Symbol) -> (&str, &'static str) {
    let name = symbol.as_str();
    QUOTES.iter().find_map(|quote| Some((name.strip_suffix(quote)?, *quote))).unwrap_or((name, ""))
}

fn symbol_info(listing: &Listing, now_ms: i64) -> Value {
    let name = listing.symbol.as_str();
    let (base, quote) = pair(&listing.symbol);
    json!({
        "symbol": name, "status": listing.status(now_ms), "baseAsset": base, "baseAssetPrecision": 8,
        "quoteAsset": quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
        "filters": [{ "filterType": "PRICE_FILTER", "minPrice": "0.00000001", "maxPrice": "0", "tickSize": "0.00000001" }],
        "permissions": ["SPOT"], "permissionSets": [["SPOT"]],
    })
}

/// The current price; for a delisted symbol, the last one.
pub(super) async fn prices(
    State(shared): State<Arc<Shared>>,
    Query(parameters): Parameters,
    fault: Option<Extension<Fault>>,
) -> Answer {
    let (now, factor) = (shared.now_ms(), factor(fault));
    let price = |of: &Listing| json!({ "symbol": of.symbol.as_str(), "price": text(factor * of.price(now)) });
    Ok(Asked::read(&shared, &parameters)?.answer(price))
}

/// The last 24 hours.
pub(super) async fn days(
    State(shared): State<Arc<Shared>>,
    Query(parameters): Parameters,
    fault: Option<Extension<Fault>>,
) -> Answer {
    let is_short = match parameters.get("type").map(String::as_str) {
        None | Some("FULL") => false,
        Some("MINI") => true,
        Some(_) => return refuse(-1139, "Invalid ticker type."),
    };
    let (now, factor) = (shared.now_ms(), factor(fault));
    Ok(Asked::read(&shared, &parameters)?.answer(|listing| {
        let mut day = day(listing, now, factor);
        if let Value::Object(fields) = &mut day
            && is_short
        {
            fields.retain(|name, _| !ONLY_FULL.contains(&name.as_str()));
        }
        day
    }))
}

/// A symbol's last 24 hours. Without trades all fields are 0, except for the last price and the times; ids are -1.
fn day(listing: &Listing, now_ms: i64, factor: f64) -> Value {
    let (open_ms, last) = (now_ms - DAY_MS, factor * listing.price(now_ms));
    let day = listing.between(open_ms, now_ms);
    let of = |get: fn(&Candle) -> f64| day.as_ref().map_or(0.0, get);
    let (open, volume) = (factor * of(|day| day.open), of(|day| day.volume));
    let (change, quote_volume) = (if day.is_some() { last - open } else { 0.0 }, volume * (open + last) / 2.0);
    let percent = if open > 0.0 { 100.0 * change / open } else { 0.0 };
    let count = (quote_volume / TRADE).ceil() as i64;
    // Trade ids are numbered as if every day had as many trades.
    let first_id = if day.is_some() { now_ms.div_euclid(DAY_MS) * count.max(1) } else { -1 };
    let traded = |number: f64| text(if day.is_some() { number } else { 0.0 });
    json!({
        "symbol": listing.symbol.as_str(),
        "priceChange": text(change),
        "priceChangePercent": format!("{percent:.3}"),
        "weightedAvgPrice": traded((open + last) / 2.0),
        "prevClosePrice": text(if day.is_some() { open } else { last }),
        "lastPrice": text(last),
        "lastQty": traded(TRADE / last),
        "bidPrice": traded(last),
        "bidQty": traded(TRADE / last),
        "askPrice": traded(last),
        "askQty": traded(TRADE / last),
        "openPrice": text(open),
        "highPrice": text(factor * of(|day| day.high)),
        "lowPrice": text(factor * of(|day| day.low)),
        "volume": text(volume),
        "quoteVolume": text(quote_volume),
        "openTime": open_ms,
        "closeTime": now_ms,
        "firstId": first_id,
        "lastId": if day.is_some() { first_id + count - 1 } else { -1 },
        "count": count,
    })
}

/// The factor for current prices.
pub(super) fn factor(fault: Option<Extension<Fault>>) -> f64 {
    fault.map_or(1.0, |Extension(fault)| fault.factor())
}

pub(super) fn text(number: f64) -> String {
    format!("{number:.8}")
}
