//! The protocols of Bybit, OKX, Kraken, Coinbase and KuCoin, as far as signalloop uses them: the same market as Binance's, in each
//! exchange's format.
//!
//! An [`Exchange`] says what differs: paths and parameters, the names of symbols and timeframes, the order of a row's columns and of
//! the rows, and how an error is told.

use super::listing::Listing;
use super::routes::{kline, too_many};
use super::tickers::{factor, pair, text};
use super::{Fault, Shared};
use axum::Extension;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use domain::symbol::{Symbol, Timeframe};
use domain::time;
use domain::venue::Venue;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// A parameter of candle requests: its name, and how many milliseconds are one of its unit.
type TimeParameter = (&'static str, i64);

/// What an exchange does differently from another.
pub(super) struct Exchange {
    /// The paths of candles; `{}` stands for the symbol.
    candles: &'static [&'static str],
    symbol: &'static str,
    interval: &'static str,
    /// The timeframes that it has, with its names.
    timeframes: &'static [(&'static str, &'static str)],
    from: TimeParameter,
    until: TimeParameter,
    /// The first open time of an answer is that much later than `from`, and its end that much later than `until`, in ms.
    offsets: (i64, i64),
    /// The most candles in an answer.
    page: i64,
    /// Columns of a row, as indices into Binance's.
    columns: &'static [usize],
    is_newest_first: bool,
    /// The paths of prices: of one symbol, and of several.
    prices: [&'static str; 2],
    instruments: &'static str,
    time: &'static str,
    /// Whether the answer reaches up to now, whatever is requested.
    to_now: bool,
}

const BYBIT: Exchange = Exchange {
    candles: &["/v5/market/kline"],
    symbol: "symbol",
    interval: "interval",
    timeframes: &[
        ("1m", "1"),
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
    from: ("start", 1),
    until: ("end", 1),
    offsets: (0, 1),
    page: 1000,
    columns: &[0, 1, 2, 3, 4, 5, 7],
    is_newest_first: true,
    prices: ["/v5/market/tickers"; 2],
    instruments: "/v5/market/instruments-info",
    time: "/v5/market/time",
    to_now: false,
};

const OKX: Exchange = Exchange {
    candles: &["/api/v5/market/candles", "/api/v5/market/history-candles"],
    symbol: "instId",
    interval: "bar",
    timeframes: &[
        ("1m", "1m"),
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
    from: ("before", 1),
    until: ("after", 1),
    offsets: (1, 0),
    page: 300,
    columns: &[0, 1, 2, 3, 4, 5, 7, 7],
    is_newest_first: true,
    prices: ["/api/v5/market/ticker", "/api/v5/market/tickers"],
    instruments: "/api/v5/public/instruments",
    time: "/api/v5/public/time",
    to_now: false,
};

const KRAKEN: Exchange = Exchange {
    candles: &["/0/public/OHLC"],
    symbol: "pair",
    interval: "interval",
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
    from: ("since", 1000),
    until: ("", 1),
    offsets: (1, 0),
    page: 720,
    columns: &[0, 1, 2, 3, 4, 4, 5, 8],
    is_newest_first: false,
    prices: ["/0/public/Ticker"; 2],
    instruments: "/0/public/AssetPairs",
    time: "/0/public/Time",
    to_now: true,
};

const COINBASE: Exchange = Exchange {
    candles: &["/api/v3/brokerage/market/products/{}/candles"],
    symbol: "product_ids",
    interval: "granularity",
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
    from: ("start", 1000),
    until: ("end", 1000),
    offsets: (0, 1000),
    page: 350,
    columns: &[0, 3, 2, 1, 4, 5],
    is_newest_first: true,
    prices: ["/api/v3/brokerage/market/products"; 2],
    instruments: "/api/v3/brokerage/market/products",
    time: "/api/v3/brokerage/time",
    to_now: false,
};

const KUCOIN: Exchange = Exchange {
    candles: &["/api/v1/market/candles"],
    symbol: "symbol",
    interval: "type",
    timeframes: &[
        ("1m", "1min"),
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
    from: ("startAt", 1000),
    until: ("endAt", 1000),
    offsets: (0, 0),
    page: 1500,
    columns: &[0, 1, 4, 2, 3, 5, 7],
    is_newest_first: true,
    prices: ["/api/v1/market/orderbook/level1", "/api/v1/market/allTickers"],
    instruments: "/api/v2/symbols",
    time: "/api/v1/timestamp",
    to_now: false,
};

impl Exchange {
    /// `None` for Binance, which `routes` serves.
    pub(super) fn of(venue: Venue) -> Option<&'static Self> {
        match venue {
            Venue::Binance | Venue::BinanceTestnet | Venue::BinanceUsdm | Venue::BinanceUsdmTestnet => None,
            Venue::Bybit => Some(&BYBIT),
            Venue::Okx => Some(&OKX),
            Venue::Kraken => Some(&KRAKEN),
            Venue::Coinbase => Some(&COINBASE),
            Venue::Kucoin => Some(&KUCOIN),
        }
    }
}

type Parameters = HashMap<String, String>;

/// Answers a request of any path.
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Query(parameters): Query<Vec<(String, String)>>,
    fault: Option<Extension<Fault>>,
) -> Response {
    let venue = shared.venue;
    let Some(exchange) = Exchange::of(venue) else { return StatusCode::NOT_FOUND.into_response() };
    let now = shared.now_ms();
    let path = uri.path();
    let asked: Vec<String> = parameters
        .iter()
        .filter(|(name, _)| name == exchange.symbol)
        .flat_map(|(_, names)| names.split(','))
        .map(str::to_owned)
        .collect();
    let by_name: Parameters = parameters.into_iter().collect();
    if path == exchange.time {
        return told(venue, now, server_time(venue, now));
    }
    if let Some(name) = exchange.candles.iter().find_map(|known| symbol_in(path, known)) {
        let name = name.or_else(|| asked.first().cloned()).unwrap_or_default();
        return match candles(exchange, &shared, &name, path, &by_name, fault.map(|Extension(fault)| fault)) {
            Ok((name, rows)) => told(venue, now, wrapped(venue, &name, rows, now)),
            Err(refusal) => refusal.told(venue),
        };
    }
    let is_of_one = path == exchange.prices[0] && !asked.is_empty();
    if path == exchange.instruments || is_of_one || path == exchange.prices[1] {
        let found: Result<Vec<_>, _> = match asked.as_slice() {
            [] => Ok(shared.all()),
            names => names.iter().map(|name| listing(&shared, venue, name)).collect(),
        };
        let factor = factor(fault);
        return match found {
            Ok(listings) if path == exchange.instruments && asked.is_empty() => {
                told(venue, now, instruments(venue, &listings, now, factor))
            }
            Ok(listings) => told(venue, now, prices(venue, &listings, now, factor, is_of_one)),
            Err(refusal) => refusal.told(venue),
        };
    }
    StatusCode::NOT_FOUND.into_response()
}

/// Whether a path is the known one; the symbol in it, if it has one.
fn symbol_in(path: &str, known: &str) -> Option<Option<String>> {
    match known.split_once("{}") {
        None => (path == known).then_some(None),
        Some((before, after)) => Some(Some(path.strip_prefix(before)?.strip_suffix(after)?.to_owned())),
    }
}

/// Too many requests, in the exchange's format.
pub(super) fn too_often(venue: Venue, retry_after_s: u64) -> Response {
    let reset_ms = time::now_ms() + 1000 * retry_after_s as i64;
    let header = |name: &'static str, value: i64| [(HeaderName::from_static(name), value.to_string())];
    match venue {
        Venue::Bybit => {
            let body =
                Json(json!({ "retCode": 10006, "retMsg": "Too many visits!", "result": {}, "time": time::now_ms() }));
            (header("x-bapi-limit-reset-timestamp", reset_ms), body).into_response()
        }
        Venue::Okx => (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "msg": "Too Many Requests", "code": "50011" })))
            .into_response(),
        Venue::Kraken => Json(json!({ "error": ["EGeneral:Too many requests"] })).into_response(),
        Venue::Coinbase => (StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded\n").into_response(),
        Venue::Kucoin => {
            let said = "Too many requests in a short period of time, please retry later";
            let body = Json(json!({ "code": "429000", "msg": said }));
            (StatusCode::TOO_MANY_REQUESTS, header("gw-ratelimit-reset", 1000 * retry_after_s as i64), body)
                .into_response()
        }
        _ => too_many(StatusCode::TOO_MANY_REQUESTS, retry_after_s),
    }
}

enum Refusal {
    UnknownSymbol,
    Parameter(&'static str),
}

impl Refusal {
    fn told(self, venue: Venue) -> Response {
        let (symbol, parameter) = match self {
            Self::UnknownSymbol => (true, ""),
            Self::Parameter(name) => (false, name),
        };
        let or = |unknown: &str, wrong: &str| if symbol { unknown.to_owned() } else { format!("{wrong} {parameter}") };
        let code = |unknown: i64, wrong: i64| if symbol { unknown } else { wrong };
        match venue {
            Venue::Bybit => {
                let message = or("Not supported symbols", "params error:");
                Json(json!({ "retCode": 10001, "retMsg": message, "result": {} })).into_response()
            }
            Venue::Okx => {
                let message = or("Instrument ID, Instrument ID code, or Spread ID doesn't exist.", "Parameter error");
                Json(json!({ "code": code(51001, 51000).to_string(), "msg": message, "data": [] })).into_response()
            }
            Venue::Kraken => Json(json!({ "error": [or("EQuery:Unknown asset pair", "EGeneral:Invalid arguments:")] }))
                .into_response(),
            Venue::Coinbase => {
                let message = or("valid product_id is required", "invalid");
                let body = Json(json!({ "error": "INVALID_ARGUMENT", "error_details": message, "message": message }));
                (StatusCode::BAD_REQUEST, body).into_response()
            }
            _ => {
                let message = or("The trading pair does not exist.", "Invalid parameter:");
                Json(json!({ "code": code(900_001, 400_100).to_string(), "msg": message })).into_response()
            }
        }
    }
}

/// A symbol by the exchange's name.
fn listing(shared: &Shared, venue: Venue, name: &str) -> Result<Arc<Listing>, Refusal> {
    let known = shared.all().into_iter().find(|listing| own_name(venue, &listing.symbol) == name);
    known.ok_or(Refusal::UnknownSymbol)
}

/// The exchange's name of a symbol.
fn own_name(venue: Venue, symbol: &Symbol) -> String {
    let (base, quote) = pair(symbol);
    match venue {
        Venue::Bybit => symbol.to_string(),
        Venue::Kraken => format!("{}{quote}", if base == "BTC" { "XBT" } else { base }),
        _ => format!("{base}-{quote}"),
    }
}

/// The exchange's name of the symbol, and the rows of an answer, in the order of its columns.
fn candles(
    exchange: &Exchange,
    shared: &Shared,
    name: &str,
    path: &str,
    parameters: &Parameters,
    fault: Option<Fault>,
) -> Result<(String, Vec<Value>), Refusal> {
    let listing = listing(shared, shared.venue, name)?;
    let interval = parameters.get(exchange.interval);
    let known = exchange.timeframes.iter().find(|(_, own)| interval.is_some_and(|interval| interval == own));
    let timeframe = known.and_then(|(name, _)| Timeframe::parse(name).ok());
    let timeframe = timeframe.ok_or(Refusal::Parameter(exchange.interval))?;
    let (now, step) = (shared.now_ms(), timeframe.millis());
    let time = |(name, unit): TimeParameter, default: i64| match parameters.get(name).map(|text| text.parse::<i64>()) {
        None => Ok(default),
        Some(Ok(number)) => Ok(number * unit),
        Some(Err(_)) => Err(Refusal::Parameter(name)),
    };
    let from = time(exchange.from, 0)? + exchange.offsets.0;
    let until = if exchange.to_now { now + 1 } else { time(exchange.until, now)? + exchange.offsets.1 };
    let page = match path {
        "/api/v5/market/history-candles" => 100,
        _ => exchange.page,
    };
    if shared.venue == Venue::Coinbase && (until - from) / step > page {
        return Err(Refusal::Parameter("number of candles requested should be less than 350"));
    }
    let limit = parameters.get("limit").and_then(|limit| limit.parse::<i64>().ok()).unwrap_or(page).min(page);
    // OKX serves older candles elsewhere.
    let kept = if path == "/api/v5/market/candles" { 1440 } else { i64::MAX / step };
    let latest = timeframe.open_ms(until.min(now + 1) - 1) - (limit - 1) * step;
    let from = from.max(latest).max(timeframe.open_ms(now) - (kept - 1) * step);
    let found = listing.candles(timeframe, from, until, now, limit as usize);
    let open_ms = found.last().filter(|last| last.open_ms + step > now).map(|last| last.open_ms);
    let mut rows: Vec<Value> = found.iter().map(|candle| kline(candle, timeframe)).collect();
    if let Some(fault) = fault {
        fault.spoil(&mut rows, step);
    }
    if exchange.is_newest_first {
        rows.reverse();
    }
    let own = rows.iter().map(|row| own_row(exchange, shared.venue, row, open_ms)).collect();
    Ok((name.to_owned(), own))
}

/// Binance's row as a row of the exchange.
fn own_row(exchange: &Exchange, venue: Venue, row: &Value, open_ms: Option<i64>) -> Value {
    let ms = row[0].as_i64().unwrap_or_default();
    let time = match venue {
        Venue::Kraken => json!(ms / 1000),
        Venue::Coinbase | Venue::Kucoin => json!((ms / 1000).to_string()),
        _ => json!(ms.to_string()),
    };
    let mut values: Vec<Value> = exchange.columns.iter().map(|&column| row[column].clone()).collect();
    values[0] = time;
    match venue {
        Venue::Okx => values.push(json!(if open_ms == Some(ms) { "0" } else { "1" })),
        Venue::Coinbase => {
            let names = ["start", "low", "high", "open", "close", "volume"];
            return Value::Object(Map::from_iter(names.map(str::to_owned).into_iter().zip(values)));
        }
        _ => {}
    }
    Value::Array(values)
}

/// The body of an answer with candles.
fn wrapped(venue: Venue, name: &str, rows: Vec<Value>, now: i64) -> Value {
    match venue {
        Venue::Bybit => json!({ "category": "spot", "symbol": name, "list": rows }),
        Venue::Kraken => {
            // The last candle is still open.
            let last = rows.len().checked_sub(2).map_or(json!(now / 1000), |at| rows[at][0].clone());
            Value::Object(Map::from_iter([(name.to_owned(), Value::Array(rows)), ("last".to_owned(), last)]))
        }
        Venue::Coinbase => json!({ "candles": rows }),
        _ => Value::Array(rows),
    }
}

fn server_time(venue: Venue, now: i64) -> Value {
    match venue {
        Venue::Bybit => json!({ "timeSecond": (now / 1000).to_string(), "timeNano": (now * 1_000_000).to_string() }),
        Venue::Okx => json!([{ "ts": now.to_string() }]),
        Venue::Kraken => json!({ "unixtime": now / 1000 }),
        Venue::Coinbase => json!({ "epochSeconds": (now / 1000).to_string(), "epochMillis": now.to_string() }),
        _ => json!(now),
    }
}

fn prices(venue: Venue, listings: &[Arc<Listing>], now: i64, factor: f64, is_of_one: bool) -> Value {
    let price = |listing: &Listing| text(factor * listing.price(now));
    let own = |listing: &Listing| own_name(venue, &listing.symbol);
    let each = |of: &dyn Fn(&Listing) -> Value| listings.iter().map(|listing| of(listing)).collect::<Value>();
    match venue {
        Venue::Bybit => {
            json!({ "category": "spot", "list": each(&|one| json!({ "symbol": own(one), "lastPrice": price(one) })) })
        }
        Venue::Okx => each(&|one| json!({ "instType": "SPOT", "instId": own(one), "last": price(one) })),
        Venue::Kraken => {
            listings.iter().map(|one| (own(one), json!({ "c": [price(one), "0.01"] }))).collect::<Map<_, _>>().into()
        }
        Venue::Coinbase => instruments(venue, listings, now, factor),
        _ if is_of_one => json!({ "time": now, "price": listings.first().map(|one| price(one)) }),
        _ => json!({ "time": now, "ticker": each(&|one| json!({ "symbol": own(one), "last": price(one) })) }),
    }
}

fn instruments(venue: Venue, listings: &[Arc<Listing>], now: i64, factor: f64) -> Value {
    let own = |listing: &Listing| own_name(venue, &listing.symbol);
    let trades = |listing: &Listing| listing.status(now) == "TRADING";
    let state = |listing: &Listing, yes: &str, no: &str| if trades(listing) { yes.to_owned() } else { no.to_owned() };
    let each = |of: &dyn Fn(&Listing) -> Value| listings.iter().map(|listing| of(listing)).collect::<Value>();
    match venue {
        Venue::Bybit => {
            let one = |one: &Listing| json!({ "symbol": own(one), "status": state(one, "Trading", "Closed") });
            json!({ "category": "spot", "list": each(&one) })
        }
        Venue::Okx => {
            each(&|one| json!({ "instType": "SPOT", "instId": own(one), "state": state(one, "live", "suspend") }))
        }
        Venue::Kraken => {
            let one = |listing: &Arc<Listing>| {
                let ((base, quote), name) = (pair(&listing.symbol), own(listing));
                let base = if base == "BTC" { "XBT" } else { base };
                let status = state(listing, "online", "cancel_only");
                (name.clone(), json!({ "altname": name, "wsname": format!("{base}/{quote}"), "status": status }))
            };
            listings.iter().map(one).collect::<Map<_, _>>().into()
        }
        Venue::Coinbase => {
            let one = |one: &Listing| {
                json!({
                    "product_id": own(one), "price": text(factor * one.price(now)), "product_type": "SPOT",
                    "status": state(one, "online", "delisted"), "is_disabled": false, "trading_disabled": !trades(one),
                })
            };
            json!({ "products": each(&one), "num_products": listings.len() })
        }
        _ => each(&|one| json!({ "symbol": own(one), "name": own(one), "enableTrading": trades(one) })),
    }
}

/// A good answer with this content.
fn told(venue: Venue, now: i64, content: Value) -> Response {
    let body = match venue {
        Venue::Bybit => json!({ "retCode": 0, "retMsg": "OK", "result": content, "time": now }),
        Venue::Okx => json!({ "code": "0", "msg": "", "data": content }),
        Venue::Kraken => json!({ "error": [], "result": content }),
        Venue::Coinbase => content,
        _ => json!({ "code": "200000", "data": content }),
    };
    Json(body).into_response()
}
