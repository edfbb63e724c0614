//! Every exchange that is built in: its documented answers (`recorded/`), and the same market fetched through each protocol, with
//! faults.

use candles::{Cause, Reading, candle_file, read_candles};
use domain::candle::Candle;
use domain::symbol::{Market, Symbol};
use domain::time::Clock;
use domain::venue::Venue;
use exchange::{Begin, CandleSource, Exchange, Listing, Pace, update};
use serde_json::Value;
use simulator::{Fault, Simulator, SimulatorOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2025-01-01, the simulator's default start: a Wednesday.
const START: i64 = 1_735_689_600_000;

fn market(symbol: &str, timeframe: &str) -> Market {
    Market::parse(symbol, timeframe).unwrap()
}

/// Serves recorded answers by path.
struct Playback {
    url: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A recorded answer: path, status, headers, body.
type Reply = (String, u16, Vec<(String, String)>, String);

impl Playback {
    fn of(replies: Vec<Reply>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let mut request = [0; 8192];
                let length = stream.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = request.split([' ', '?']).nth(1).unwrap_or_default();
                let found = replies.iter().find(|(known, ..)| known == path);
                let (_, status, headers, body) =
                    found.cloned().unwrap_or((String::new(), 404, Vec::new(), format!("no answer for {path}")));
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let head =
                    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close", body.len());
                stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
            }
        });
        Self { url, stop, thread: Some(thread) }
    }
}

impl Drop for Playback {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(self.url.trim_start_matches("http://"));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn recorded(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recorded/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn reply(path: &Value, answer: &Value) -> Reply {
    let headers = answer["headers"].as_object().cloned().unwrap_or_default();
    let headers = headers.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect();
    let status = answer["status"].as_u64().unwrap_or(200) as u16;
    (path.as_str().unwrap().to_owned(), status, headers, answer["body"].to_string())
}

/// An exchange that answers as recorded; the answer to a request for candles is `candles`.
fn playback(recorded: &Value, candles: &str) -> Playback {
    let whole = ["prices", "instruments", "time"].map(|part| reply(&recorded[part]["path"], &recorded[part]));
    let mut replies: Vec<Reply> = whole.into();
    replies.push(reply(&recorded["candles"]["path"], &recorded[candles]));
    Playback::of(replies)
}

/// What the recorded answers of an exchange say.
struct Known {
    venue: Venue,
    symbol: &'static str,
    timeframe: &'static str,
    /// The first candle, and how many there are.
    first: Candle,
    count: usize,
    price: f64,
    time_ms: i64,
    /// What the exchange says of too many requests.
    too_often: &'static str,
    unknown: &'static str,
}

fn candle(open_ms: i64, [open, high, low, close, volume]: [f64; 5]) -> Candle {
    Candle { open_ms, open, high, low, close, volume }
}

fn known() -> [Known; 6] {
    [
        Known {
            venue: Venue::Binance,
            symbol: "ETHBTC",
            timeframe: "1w",
            first: candle(1_499_040_000_000, [0.016_347_9, 0.8, 0.015_758, 0.015_771, 148_976.114_278_15]),
            count: 1,
            price: 0.079_466,
            time_ms: 1_499_827_319_559,
            too_often: "it limits how often it is asked (HTTP 429), and asks to wait 30 s",
            unknown: "Invalid symbol. (HTTP 400, code -1121)",
        },
        Known {
            venue: Venue::Bybit,
            symbol: "BTCUSDT",
            timeframe: "1m",
            first: candle(1_670_371_140_000, [17_074.0, 17_077.5, 17_074.0, 17_077.0, 0.006]),
            count: 2,
            price: 20_533.13,
            time_ms: 1_688_639_403_423,
            too_often: "it limits how often it is asked (10006: Too many visits!)",
            unknown: "Not supported symbols (HTTP 200, code 10001)",
        },
        Known {
            venue: Venue::Okx,
            symbol: "BTCUSDT",
            timeframe: "1m",
            first: candle(1_625_097_600_000, [33_528.6, 33_870.0, 33_528.6, 33_783.9, 778.838]),
            count: 1,
            price: 9999.99,
            time_ms: 1_597_026_383_085,
            too_often: "it limits how often it is asked (HTTP 429)",
            unknown: "Spread ID doesn't exist. (HTTP 200, code 51001)",
        },
        Known {
            venue: Venue::Kraken,
            symbol: "BTCUSD",
            timeframe: "1m",
            first: candle(1_688_671_200_000, [30_306.1, 30_306.2, 30_305.7, 30_305.7, 3.392_438_96]),
            count: 4,
            price: 30_303.2,
            time_ms: 1_762_820_224_000,
            too_often: "it limits how often it is asked (EGeneral: Too many requests)",
            unknown: "Unknown asset pair (HTTP 200, code EQuery)",
        },
        Known {
            venue: Venue::Coinbase,
            symbol: "BTC-USD",
            timeframe: "1h",
            first: candle(1_712_188_800_000, [65_984.18, 66_387.77, 65_857.35, 66_314.59, 358.748_510_52]),
            count: 2,
            price: 68_925.98,
            time_ms: 1_685_136_814_654,
            too_often: "it limits how often it is asked (HTTP 429)",
            unknown: "product not found (HTTP 404, code NOT_FOUND)",
        },
        Known {
            venue: Venue::Kucoin,
            symbol: "BTC/USDT",
            timeframe: "1m",
            first: candle(1_545_904_920_000, [0.058, 0.072, 0.058, 0.072, 0.103]),
            count: 2,
            price: 67_269.0,
            time_ms: 1_729_100_692_873,
            too_often: "it limits how often it is asked (HTTP 429), and asks to wait 15 s",
            unknown: "The trading pair does not exist. (HTTP 200, code 900001)",
        },
    ]
}

fn patience() -> Pace {
    Pace { backoff: Duration::from_millis(1), deadline: Duration::from_millis(900), ..Pace::default() }
}

/// Long after a candle, except where only the newest are kept.
fn later(venue: Venue, open_ms: i64, step: i64) -> i64 {
    open_ms + if venue == Venue::Kraken { 5 * MINUTE } else { 5000 * step }
}

#[tokio::test]
async fn documented_answers_are_read() {
    for Known { venue, symbol, timeframe, first, count, price, time_ms, .. } in known() {
        let server = playback(&recorded(venue.as_str()), "candles");
        let market = market(symbol, timeframe);
        let step = market.timeframe.millis();
        let now_ms = later(venue, first.open_ms, step);
        let exchange =
            Exchange::with_pace(venue, Some(&server.url), patience()).unwrap().with_clock(Clock::standing(now_ms));
        let found = exchange.candles(&market, first.open_ms, first.open_ms + count as i64 * step).await.unwrap();
        assert_eq!((found.candles[0], found.candles.len()), (first, count), "{venue}");
        assert!(found.findings.list().is_empty(), "{venue}: {}", found.findings);
        let prices = exchange.prices(std::slice::from_ref(&market.symbol)).await.unwrap();
        let [(named, found)] = prices.as_slice() else { panic!("{venue}: {prices:?}") };
        assert_eq!((named, found.clone().unwrap()), (&market.symbol, price), "{venue}");
        assert_eq!(exchange.server_time().await.unwrap().ms, time_ms, "{venue}");
        assert_eq!(exchange.listing(&market).await, Listing::Traded, "{venue}");
    }
}

#[tokio::test]
async fn documented_errors_are_told() {
    for Known { venue, symbol, timeframe, first, too_often, unknown, .. } in known() {
        let recorded = recorded(venue.as_str());
        let market = market(symbol, timeframe);
        let (from, until) = (first.open_ms, first.open_ms + market.timeframe.millis());
        for (part, said) in [("tooOften", too_often), ("unknownSymbol", unknown)] {
            let server = playback(&recorded, part);
            let exchange = Exchange::with_pace(venue, Some(&server.url), patience()).unwrap();
            let exchange = exchange.with_clock(Clock::standing(later(venue, from, until - from)));
            let error = exchange.candles(&market, from, until).await.unwrap_err();
            assert!(error.to_string().contains(said), "{venue}: {error}");
            assert_eq!(error.is_not_traded(), part == "unknownSymbol", "{venue}: {error}");
        }
    }
}

fn simulator(venue: Venue, now_ms: i64) -> Simulator {
    let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"].map(|name| Symbol::parse(name).unwrap()).into();
    let clock = Clock::standing(now_ms);
    Simulator::start(SimulatorOptions { venue, symbols, clock, ..Default::default() }).unwrap()
}

fn client(simulator: &Simulator, venue: Venue) -> Exchange {
    let pace = Pace { backoff: Duration::from_millis(1), weight: Some(u32::MAX), ..Pace::default() };
    Exchange::with_pace(venue, Some(simulator.url()), pace).unwrap().with_clock(simulator.clock().clone())
}

fn stored(home: &Path, market: &Market) -> Vec<Candle> {
    read_candles(&candle_file(home, market), market.timeframe, &Reading::stored()).unwrap().0
}

/// Candles of binary sums differ in the last digits of their volume.
fn same(found: &[Candle], expected: &[Candle]) -> bool {
    let near = |one: &Candle, other: &Candle| {
        (one.volume - other.volume).abs() < 1e-4 * (1.0 + other.volume)
            && Candle { volume: 0.0, ..*one } == Candle { volume: 0.0, ..*other }
    };
    found.len() == expected.len() && found.iter().zip(expected).all(|(one, other)| near(one, other))
}

#[tokio::test]
async fn every_exchange_serves_the_same_candles_over_pages_and_faults() {
    // Between two candles, so that one is open; older than OKX's recent ones, and many pages of the smallest.
    let now = START + 90 * DAY + 25 * MINUTE;
    for venue in Venue::ALL {
        let simulator = simulator(venue, now);
        let (exchange, home) = (client(&simulator, venue), tempfile::tempdir().unwrap());
        for name in ["1h", "4h", "8h", "3d"] {
            let market = market("ETH/USDT", name);
            let faults: &[Fault] = match name {
                "1h" => &[Fault::RateLimited { retry_after_s: 1 }, Fault::Truncated],
                "4h" => &[Fault::NotJson, Fault::Reset],
                _ => &[],
            };
            faults.iter().for_each(|fault| simulator.fail_next(*fault));
            let fetched = update(&exchange, home.path(), &market, Begin::Candles(200_000), now).await.unwrap();
            let all = simulator.candles(&market, START - 7 * DAY, now).unwrap();
            // Kraken has the newest 720 of the timeframe that it has, with the open one.
            let step = market.timeframe.millis();
            let since = match (venue, name) {
                (Venue::Kraken, "1h") => now - 720 * HOUR,
                _ => i64::MIN,
            };
            let expected: Vec<Candle> = all.into_iter().filter(|candle| candle.open_ms > since).collect();
            let found = stored(home.path(), &market);
            assert!(
                same(&found, &expected),
                "{venue} {name}: {} of {} candles, {:?} and {:?}",
                found.len(),
                expected.len(),
                found.iter().zip(&expected).find(|(one, other)| !same(&[**one], &[**other])),
                simulator.requests()
            );
            assert_eq!(fetched.findings.count(Cause::Disorder), 0, "{venue} {name}: {}", fetched.findings);
            assert_eq!(fetched.findings.count(Cause::BeyondReach) > 0, venue == Venue::Kraken, "{venue} {name}");
            // Nothing new can exist, and what the exchange lacks is not requested again.
            let before = simulator.request_count();
            update(&exchange, home.path(), &market, Begin::Candles(200_000), now).await.unwrap();
            assert_eq!(simulator.request_count(), before, "{venue} {name}");
            let later = now + step;
            simulator.clock().set(later);
            update(&exchange, home.path(), &market, Begin::Candles(200_000), later).await.unwrap();
            assert!(simulator.request_count() <= before + 2, "{venue} {name}: {:?}", simulator.requests());
            let newest = stored(home.path(), &market).last().copied();
            assert_eq!(newest.map(|last| last.open_ms), Some(market.timeframe.open_ms(later) - step), "{venue} {name}");
            simulator.clock().set(now);
        }
    }
}

#[tokio::test]
async fn every_exchange_gives_prices_of_all_symbols_at_once_and_names_the_unknown() {
    let names = ["BTCUSDT", "NOPEUSDT", "ETHUSDT", "SOLUSDT"].map(|name| Symbol::parse(name).unwrap());
    for venue in Venue::ALL {
        let simulator = simulator(venue, START + 40 * DAY + 90_000);
        let exchange = client(&simulator, venue);
        let prices = exchange.prices(&names).await.unwrap();
        for (symbol, price) in &prices {
            match symbol.as_str() {
                "NOPEUSDT" => {
                    let error = price.clone().unwrap_err();
                    assert!(error.to_string().starts_with("NOPEUSDT: "), "{venue}: {error}");
                }
                _ => assert!((price.clone().unwrap() - simulator.price(symbol).unwrap()).abs() < 1e-8, "{venue}"),
            }
        }
        assert_eq!(prices.iter().map(|(symbol, _)| symbol).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
        let good = [names[0].clone(), names[2].clone(), names[3].clone()];
        let before = simulator.request_count();
        exchange.prices(&good).await.unwrap();
        assert_eq!(simulator.request_count(), before + 1, "{venue}: one request for all: {:?}", simulator.requests());
        assert_eq!(
            exchange.price(&names[0]).await.unwrap().to_bits(),
            exchange.price(&names[0]).await.unwrap().to_bits()
        );
        assert!((exchange.server_time().await.unwrap().ms - simulator.now_ms()).abs() < 1000, "{venue}");

        let btc = market("BTCUSDT", "1h");
        assert_eq!(exchange.listing(&btc).await, Listing::Traded, "{venue}");
        simulator.delist(&names[2], simulator.now_ms() - HOUR).unwrap();
        let fresh = client(&simulator, venue);
        let eth = market("ETHUSDT", "1h");
        assert!(matches!(fresh.listing(&eth).await, Listing::Not(_)), "{venue}");
        assert_eq!(fresh.halted(&good).await.unwrap().len(), 1, "{venue}");
        let now = simulator.now_ms();
        let error = fresh.candles(&market("NOPEUSDT", "1h"), now - 3 * HOUR, now - HOUR).await.unwrap_err();
        assert!(error.is_not_traded(), "{venue}: {error}");
    }
}

/// With the budget of each exchange, no request is refused although all tasks request at once.
#[tokio::test]
async fn the_budget_keeps_to_what_an_exchange_allows() {
    let now = START + 40 * DAY;
    let simulator = simulator(Venue::Okx, now);
    let exchange = Exchange::new(Venue::Okx, Some(simulator.url())).unwrap().with_clock(simulator.clock().clone());
    let started = std::time::Instant::now();
    let btc = market("BTCUSDT", "1m");
    // 11 pages of 100 and the list of instruments: more than the 10 requests of a window of 2 seconds.
    exchange.candles(&btc, START, START + 1100 * MINUTE).await.unwrap();
    assert_eq!(simulator.request_count(), 12);
    assert!(started.elapsed() > Duration::from_millis(1500), "{:?}", started.elapsed());
}
