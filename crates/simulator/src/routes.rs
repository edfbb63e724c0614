//! The part of Binance's public REST protocol that signalloop uses, in Binance's format; the other exchanges are in `exchanges`.

use super::listing::Listing;
use super::wire::Scissors;
use super::{Fault, Shared, exchanges, tickers, trades};
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderName, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use domain::candle::Candle;
use domain::symbol::{Symbol, Timeframe};
use domain::time;
use domain::venue::Venue;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any client waits.
const NO_ANSWER_FOR: Duration = Duration::from_secs(300);

const USED_WEIGHT: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");

pub(super) type Parameters = Query<HashMap<String, String>>;

/// The paths of Binance's spot market and of its futures begin so.
const PREFIXES: [&str; 2] = ["/api/v3", "/fapi/v1"];

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    let served = match shared.venue {
        Venue::Binance | Venue::BinanceTestnet => Router::new().nest(PREFIXES[0], binance()),
        Venue::BinanceUsdm | Venue::BinanceUsdmTestnet => Router::new().nest(PREFIXES[1], binance()),
        _ => Router::new().fallback(exchanges::answer),
    };
    served
        .layer(middleware::from_fn_with_state(shared.clone(), spoil))
        .layer(middleware::from_fn_with_state(shared.clone(), weigh))
        // Neither weighed nor counted: they are no requests to Binance's REST API.
        .route("/ws", get(trades::stream))
        .route("/simulator/trade", post(trades::make))
        .route("/simulator/requests", get(trades::requests))
        .with_state(shared)
}

fn binance() -> Router<Arc<Shared>> {
    Router::new()
        .route("/ping", get(|| async { Json(json!({})) }))
        .route("/time", get(server_time))
        .route("/exchangeInfo", get(tickers::exchange_info))
        .route("/klines", get(klines))
        .route("/ticker/price", get(tickers::prices))
        .route("/ticker/24hr", get(tickers::days))
}

/// Weighs the request as Binance does, whose answer states the weight used in this minute. Requests
/// beyond the limit are refused.
async fn weigh(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    shared.remember(request.uri().to_string());
    let weight = weight_of(request.uri());
    let (used, minute_left_s) = shared.weigh(weight);
    let mut answer = match used > shared.weight_a_minute {
        true => exchanges::too_often(shared.venue, minute_left_s),
        false => next.run(request).await,
    };
    if exchanges::Exchange::of(shared.venue).is_some() {
        return answer;
    }
    answer.headers_mut().insert(USED_WEIGHT, used.into());
    answer
}

fn weight_of(uri: &Uri) -> u32 {
    let query = uri.query().unwrap_or_default();
    let of_one = query.contains("symbol=");
    match PREFIXES.iter().find_map(|prefix| uri.path().strip_prefix(prefix)).unwrap_or_default() {
        "/exchangeInfo" => 20,
        "/klines" => 2,
        "/ticker/price" | "/ticker/24hr" if of_one => 2,
        "/ticker/price" => 4,
        // The weight for up to 20 symbols, up to 100, more or all.
        "/ticker/24hr" => match query.contains("symbols=").then(|| query.replace("%2C", ",").matches(',').count()) {
            Some(0..20) => 2,
            Some(20..100) => 40,
            _ => 80,
        },
        _ => 1,
    }
}

/// Applies a fault to the answer, if one is due.
async fn spoil(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    mut request: Request,
    next: Next,
) -> Response {
    let fault = shared.next_fault();
    match fault {
        Some(Fault::Status(code)) => {
            StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
        Some(
            Fault::RateLimited { retry_after_s }
            | Fault::Banned { retry_after_s }
            | Fault::BannedUntil { after_s: retry_after_s },
        ) if exchanges::Exchange::of(shared.venue).is_some() => exchanges::too_often(shared.venue, retry_after_s),
        Some(Fault::RateLimited { retry_after_s }) => too_many(StatusCode::TOO_MANY_REQUESTS, retry_after_s),
        Some(Fault::Banned { retry_after_s }) => too_many(StatusCode::IM_A_TEAPOT, retry_after_s),
        Some(Fault::BannedUntil { after_s }) => {
            let until = time::now_ms() + 1000 * after_s as i64;
            let said = format!(
                "Way too much request weight used; IP banned until {until}. Please use the websocket for live updates."
            );
            Refusal(StatusCode::IM_A_TEAPOT, -1003, said).into_response()
        }
        Some(Fault::NotJson) => "<html><body>Please sign in</body></html>".into_response(),
        Some(Fault::TimeOut) => {
            tokio::time::sleep(NO_ANSWER_FOR).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Fault::Truncated) => {
            scissors.cut_in_body();
            next.run(request).await
        }
        Some(Fault::Reset) => {
            scissors.cut();
            next.run(request).await
        }
        // Faults of the candles themselves are applied where candles are made.
        Some(fault) => {
            request.extensions_mut().insert(fault);
            next.run(request).await
        }
        None => next.run(request).await,
    }
}

pub(super) fn too_many(status: StatusCode, retry_after_s: u64) -> Response {
    let problem = Refusal(status, -1003, "Too many requests.".to_owned());
    ([(header::RETRY_AFTER, retry_after_s.to_string())], problem).into_response()
}

/// An error of Binance: a status, its own code and a message.
pub(super) struct Refusal(StatusCode, i32, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "code": self.1, "msg": self.2 }))).into_response()
    }
}

pub(super) type Answer = Result<Json<Value>, Refusal>;

pub(super) fn refuse<T>(code: i32, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(StatusCode::BAD_REQUEST, code, message.into()))
}

async fn server_time(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "serverTime": shared.now_ms() }))
}

async fn klines(
    State(shared): State<Arc<Shared>>,
    Query(parameters): Parameters,
    fault: Option<Extension<Fault>>,
) -> Answer {
    let symbol = mandatory(&parameters, "symbol")?;
    let interval = mandatory(&parameters, "interval")?;
    let Some(timeframe) = Timeframe::parse(interval).ok().filter(|timeframe| timeframe.as_str() == interval) else {
        return refuse(-1120, "Invalid interval.");
    };
    let limit = whole_number(&parameters, "limit")?.map_or(500, |limit| limit.clamp(1, 1000));
    let listing = listing(&shared, symbol)?;
    let now = shared.now_ms();
    let last = listing.last_ms(now);
    // Binance's end is inclusive.
    let until = whole_number(&parameters, "endTime")?.unwrap_or(last).min(last).saturating_add(1);
    let latest = timeframe.open_ms(until - 1) - (limit - 1) * timeframe.millis();
    let from = whole_number(&parameters, "startTime")?.unwrap_or(latest);
    let candles = listing.candles(timeframe, from, until, now, limit as usize);
    let mut rows = candles.iter().map(|candle| kline(candle, timeframe)).collect();
    if let Some(Extension(fault)) = fault {
        fault.spoil(&mut rows, timeframe.millis());
    }
    Ok(Json(Value::Array(rows)))
}

/// The 12 fields of a kline.
pub(super) fn kline(candle: &Candle, timeframe: Timeframe) -> Value {
    let text = |number: f64| format!("{number:.8}");
    let quote_volume = candle.volume * (candle.open + candle.close) / 2.0;
    json!([
        candle.open_ms,
        text(candle.open),
        text(candle.high),
        text(candle.low),
        text(candle.close),
        text(candle.volume),
        candle.open_ms + timeframe.millis() - 1,
        text(quote_volume),
        // Trades of 1000 USDT, half of them started by the buyer.
        (quote_volume / 1000.0).ceil() as i64,
        text(candle.volume / 2.0),
        text(quote_volume / 2.0),
        "0"
    ])
}

/// A symbol by the exchange's own spelling.
pub(super) fn listing(shared: &Shared, symbol: &str) -> Result<Arc<Listing>, Refusal> {
    let known = Symbol::parse(symbol).ok().filter(|parsed| parsed.as_str() == symbol);
    match known.and_then(|symbol| shared.listing(&symbol)) {
        Some(listing) => Ok(listing),
        None => refuse(-1121, "Invalid symbol."),
    }
}

fn mandatory<'a>(parameters: &'a HashMap<String, String>, name: &str) -> Result<&'a str, Refusal> {
    match parameters.get(name).filter(|text| !text.is_empty()) {
        Some(text) => Ok(text),
        None => refuse(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")),
    }
}

fn whole_number(parameters: &HashMap<String, String>, name: &str) -> Result<Option<i64>, Refusal> {
    match parameters.get(name).map(|text| text.parse::<i64>()) {
        None => Ok(None),
        Some(Ok(number)) if number >= 0 => Ok(Some(number)),
        Some(_) => {
            refuse(-1100, format!("Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."))
        }
    }
}
