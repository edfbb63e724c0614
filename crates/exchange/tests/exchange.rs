//! The exchange client against the simulated exchange, over real HTTP on loopback.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is how a failure is reported, in its helpers too")]

use candles::{Cause, Reading, candle_file, read_candles, write_csv};
use domain::candle::Candle;
use domain::error::Error;
use domain::symbol::{Market, Symbol};
use domain::time::Clock;
use domain::venue::Venue;
use exchange::{Begin, CandleSource, Exchange, Pace, update};
use serde_json::{Value, json};
use simulator::{Fault, Simulator, SimulatorOptions};
use std::time::{Duration, Instant};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2025-01-01, the simulator's default start.
const START: i64 = 1_735_689_600_000;

fn simulator(symbols: &[&str], now_ms: i64) -> Simulator {
    let symbols = symbols.iter().map(|name| Symbol::parse(name).unwrap()).collect();
    Simulator::start(SimulatorOptions { symbols, clock: Clock::standing(now_ms), ..Default::default() }).unwrap()
}

fn client(simulator: &Simulator) -> Exchange {
    Exchange::new(Venue::Binance, Some(simulator.url())).unwrap()
}

fn market(symbol: &str, timeframe: &str) -> Market {
    Market::parse(symbol, timeframe).unwrap()
}

fn read(path: &std::path::Path) -> Vec<Candle> {
    read_candles(path, domain::symbol::Timeframe::H1, &Reading::stored()).unwrap().0
}

/// What a plain HTTP client sees.
async fn get(simulator: &Simulator, path: &str) -> (u16, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("{}/api/v3/{path}", simulator.url());
    let response = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn pages_until_done() {
    let simulator = simulator(&["BTCUSDT"], START + 2600 * HOUR);
    let btc = market("BTCUSDT", "1h");
    let candles = client(&simulator).candles(&btc, START, START + 2500 * HOUR).await.unwrap().candles;
    assert_eq!(candles.len(), 2500);
    assert_eq!(candles, simulator.candles(&btc, START, START + 2500 * HOUR).unwrap());
    assert_eq!(simulator.request_count(), 3);
}

/// If the request for the time fails, the `Date` header of the answer counts. HTTP 403 stays an error, since no request would succeed.
#[tokio::test]
async fn the_clock_of_an_exchange_without_a_time_is_that_of_its_date_header() {
    use std::io::{Read, Write};
    let dated = "Date: Sat, 13 Sep 2025 12:00:00 GMT\r\n";
    for (status, header, told) in [
        ("404 Not Found", dated, Some(1_757_764_800_000)),
        ("500 Server Error", dated, Some(1_757_764_800_000)),
        ("404 Not Found", "", None),
        ("403 Forbidden", dated, None),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, mut request) = (stream.unwrap(), [0; 4096]);
                assert!(stream.read(&mut request).unwrap() > 0);
                let head = format!("HTTP/1.1 {status}\r\n{header}content-length: 2\r\nconnection: close");
                stream.write_all(format!("{head}\r\n\r\n{{}}").as_bytes()).unwrap();
            }
        });
        let pace = Pace { backoff: Duration::from_millis(1), ..Pace::default() };
        let time = Exchange::with_pace(Venue::Kraken, Some(&url), pace).unwrap().server_time().await;
        match (time, told) {
            (Ok(time), Some(told)) => assert!(time.ms == told && time.refused.is_some(), "{status}: {time:?}"),
            (Err(error), None) => assert_eq!(error.code(), "ERR_EXCHANGE", "{status}: {error}"),
            (time, _) => panic!("{status} {header}: {time:?}"),
        }
    }
}

#[tokio::test]
async fn an_update_asks_only_for_what_is_missing() {
    let simulator = simulator(&["BTCUSDT"], START + 10 * DAY + 20 * 60_000);
    let (exchange, home, btc) = (client(&simulator), tempfile::tempdir().unwrap(), market("BTCUSDT", "1h"));
    let first = update(&exchange, home.path(), &btc, Begin::Days(5), simulator.now_ms()).await.unwrap();
    assert_eq!((first.added, first.total), (119, 119), "five days less the hour that 00:20 has begun");
    assert_eq!((first.first_ms, first.last_ms), (START + 5 * DAY + HOUR, START + 10 * DAY - HOUR));

    let again = update(&exchange, home.path(), &btc, Begin::Days(5), simulator.now_ms()).await.unwrap();
    assert_eq!((again.added, simulator.request_count()), (0, 1), "nothing new can be there");

    simulator.clock().set(START + 10 * DAY + 3 * HOUR);
    let later = update(&exchange, home.path(), &btc, Begin::Days(5), simulator.now_ms()).await.unwrap();
    assert_eq!((later.added, later.total), (3, 122));
    assert_eq!(simulator.request_count(), 2);
    let asked = simulator.requests().pop().unwrap();
    assert!(asked.contains(&format!("startTime={}&", START + 10 * DAY - HOUR)), "{asked}");
    let expected = simulator.candles(&btc, later.first_ms, i64::MAX).unwrap();
    assert_eq!(read(&candle_file(home.path(), &btc)), expected);
}

#[tokio::test]
async fn the_open_candle_is_served_and_not_stored() {
    let now = START + 5 * HOUR + 30 * 60_000;
    let simulator = simulator(&["BTCUSDT"], now);
    let (exchange, btc) = (client(&simulator), market("BTCUSDT", "1h"));
    let served = exchange.candles(&btc, START, now).await.unwrap().candles;
    assert_eq!(served.last().unwrap().open_ms, START + 5 * HOUR);
    let home = tempfile::tempdir().unwrap();
    let fetched = update(&exchange, home.path(), &btc, Begin::Days(1), now).await.unwrap();
    assert_eq!(fetched.last_ms, START + 4 * HOUR);
}

#[tokio::test]
async fn an_unknown_symbol_fails_alone_in_the_exchanges_words() {
    let simulator = simulator(&["BTCUSDT", "ETHUSDT", "SOLUSDT"], START + DAY);
    let (exchange, home) = (client(&simulator), tempfile::tempdir().unwrap());
    let error =
        update(&exchange, home.path(), &market("MATICUSDT", "1h"), Begin::Days(1), START + DAY).await.unwrap_err();
    assert_eq!(error.code(), "ERR_EXCHANGE");
    assert!(error.to_string().contains("MATICUSDT 1h: 127.0.0.1:"), "{error}");
    assert!(error.to_string().contains("refused: Invalid symbol. (HTTP 400, code -1121)"), "{error}");
    assert_eq!(simulator.request_count(), 1, "a refusal is not tried again");

    let names = ["BTCUSDT", "MATICUSDT", "ETHUSDT", "SOLUSDT"].map(|name| Symbol::parse(name).unwrap());
    let prices = exchange.prices(&names).await.unwrap();
    assert_eq!(prices.iter().map(|(symbol, _)| symbol.clone()).collect::<Vec<_>>(), names);
    for (symbol, price) in prices {
        match (symbol.as_str(), price) {
            ("MATICUSDT", price) => assert!(price.unwrap_err().to_string().contains("Invalid symbol.")),
            (_, price) => assert_eq!(price.unwrap(), simulator.price(&symbol).unwrap()),
        }
    }
    assert_eq!(exchange.price(&names[0]).await.unwrap(), simulator.price(&names[0]).unwrap());
}

#[tokio::test]
async fn offline_twenty_markets_fail_at_once_and_say_why() {
    let url = simulator(&["BTCUSDT"], START).url().to_owned();
    let (exchange, home, started) =
        (Exchange::new(Venue::Binance, Some(&url)).unwrap(), tempfile::tempdir().unwrap(), Instant::now());
    for number in 0..20 {
        let market = market(&format!("COIN{number}USDT"), "1h");
        let error = update(&exchange, home.path(), &market, Begin::Days(90), START).await.unwrap_err().to_string();
        for part in ["connection refused", &url[7..], "SIGNALLOOP_EXCHANGE_URL", &market.file_stem(), "does not exist"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_host_without_an_address_is_told_from_one_that_refuses() {
    let exchange = Exchange::new(Venue::Binance, Some("http://exchange.invalid")).unwrap();
    let error = exchange.price(&Symbol::parse("BTCUSDT").unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("exchange.invalid: its name could not be resolved (DNS)"), "{error}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let simulator = simulator(&["BTCUSDT"], START + DAY);
    let (exchange, btc) = (client(&simulator), market("BTCUSDT", "1h"));
    let faults =
        [Fault::Status(500), Fault::Status(503), Fault::Truncated, Fault::NotJson, Fault::Reset, Fault::Status(418)];
    for fault in faults {
        let before = simulator.request_count();
        simulator.fail_next(fault);
        let found = exchange.candles(&btc, START, START + DAY).await.unwrap();
        assert_eq!((found.candles.len(), simulator.request_count() - before), (24, 2), "{fault:?}");
        assert_eq!(found.findings.count(Cause::Retried), 1);
    }
}

#[tokio::test]
async fn a_fault_that_stays_is_reported_after_four_tries() {
    let faults = [
        (Fault::Status(502), "fault of its own (HTTP 502)"),
        (Fault::Truncated, "broke before the whole answer"),
        (Fault::NotJson, "not JSON, it begins \"<html>"),
        (Fault::Reset, "broke before the whole answer"),
    ];
    let checks = faults.map(|(fault, expected)| {
        tokio::spawn(async move {
            let simulator = simulator(&["BTCUSDT"], START + DAY);
            (0..9).for_each(|_| simulator.fail_next(fault));
            let error = client(&simulator).candles(&market("BTCUSDT", "1h"), START, START + DAY).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{fault:?}: {error}");
            assert_eq!(simulator.request_count(), 4, "{fault:?}");
        })
    });
    for check in checks {
        check.await.unwrap();
    }
}

#[tokio::test]
async fn what_another_try_would_not_change_is_reported_at_once() {
    let simulator = simulator(&["BTCUSDT"], START + DAY);
    let exchange = client(&simulator);
    let faults = [
        (Fault::Status(403), "does not serve this region"),
        (Fault::Status(451), "SIGNALLOOP_EXCHANGE_URL"),
        (Fault::Status(302), "redirects elsewhere"),
        (Fault::Status(404), "refused (HTTP 404)"),
        (Fault::RateLimited { retry_after_s: 3600 }, "asks to wait 3600 s"),
    ];
    for (tries, (fault, expected)) in faults.into_iter().enumerate() {
        simulator.fail_next(fault);
        let error = exchange.price(&Symbol::parse("BTCUSDT").unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::Exchange(_)) && error.to_string().contains(expected), "{error}");
        assert_eq!(simulator.request_count(), tries + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn retry_after_is_respected() {
    let simulator = simulator(&["BTCUSDT"], START + DAY);
    simulator.fail_next(Fault::RateLimited { retry_after_s: 2 });
    let started = Instant::now();
    client(&simulator).price(&Symbol::parse("BTCUSDT").unwrap()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_failed_update_leaves_the_file_as_it_was() {
    let simulator = simulator(&["BTCUSDT"], START + 2 * DAY);
    let (exchange, home, btc) = (client(&simulator), tempfile::tempdir().unwrap(), market("BTCUSDT", "1h"));
    let path = candle_file(home.path(), &btc);
    let stored = simulator.candles(&btc, START, START + DAY).unwrap();
    write_csv(&path, &stored).unwrap();
    simulator.fail_next(Fault::Status(451));
    let error = update(&exchange, home.path(), &btc, Begin::Days(2), START + 2 * DAY).await.unwrap_err().to_string();
    assert!(error.contains("HTTP 451") && !error.contains("does not exist"), "{error}");
    assert_eq!(read(&path), stored);
    assert_eq!(update(&exchange, home.path(), &btc, Begin::Days(2), START + 2 * DAY).await.unwrap().total, 48);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "no temporary file stays behind");
}

#[tokio::test]
async fn the_simulator_speaks_binances_protocol() {
    let now = START + DAY + 90_000;
    let simulator = simulator(&["BTCUSDT", "ETHUSDT"], now);
    assert_eq!(get(&simulator, "ping").await, (200, json!({})));
    assert_eq!(get(&simulator, "time").await, (200, json!({ "serverTime": now })));

    let (_, klines) = get(&simulator, "klines?symbol=BTCUSDT&interval=15m&limit=2").await;
    let row = klines[1].as_array().unwrap();
    assert_eq!((klines.as_array().unwrap().len(), row.len()), (2, 12));
    assert_eq!((row[0].as_i64(), row[6].as_i64()), (Some(START + DAY), Some(START + DAY + 15 * 60_000 - 1)));
    assert!(row[1].as_str().unwrap().split_once('.').is_some_and(|(_, decimals)| decimals.len() == 8), "{row:?}");
    let (_, klines) = get(&simulator, &format!("klines?symbol=BTCUSDT&interval=1m&startTime={START}")).await;
    assert_eq!(klines.as_array().unwrap().len(), 500);
    let (_, klines) =
        get(&simulator, &format!("klines?symbol=BTCUSDT&interval=1h&startTime={}&endTime={START}", START - 1)).await;
    assert_eq!(klines.as_array().unwrap().len(), 1, "the end is inclusive");

    let (_, price) = get(&simulator, "ticker/price?symbol=BTCUSDT").await;
    assert_eq!(price["symbol"], "BTCUSDT");
    let (_, both) = get(&simulator, "ticker/price?symbols=[%22BTCUSDT%22,%22ETHUSDT%22]").await;
    assert_eq!(both[0], price);
    assert_eq!(get(&simulator, "ticker/price").await.1, both);

    let refusals = [
        ("klines?symbol=NOPE&interval=1h", -1121),
        ("klines?symbol=btcusdt&interval=1h", -1121),
        ("klines?symbol=BTCUSDT&interval=7h", -1120),
        ("klines?interval=1h", -1102),
        ("klines?symbol=BTCUSDT", -1102),
        ("klines?symbol=BTCUSDT&interval=1h&limit=x", -1100),
        ("klines?symbol=BTCUSDT&interval=1h&startTime=-1", -1100),
        ("ticker/price?symbols=[%22BTCUSDT%22,%22NOPE%22]", -1121),
        ("ticker/price?symbols=BTCUSDT", -1100),
        ("ticker/price?symbol=BTCUSDT&symbols=[]", -1128),
        ("ticker/24hr?symbol=NOPE", -1121),
        ("ticker/24hr?symbol=BTCUSDT&type=LONG", -1139),
        ("exchangeInfo?symbol=NOPE", -1121),
        ("exchangeInfo?symbols=[%22BTCUSDT%22,%22NOPE%22]", -1121),
        ("exchangeInfo?symbol=BTCUSDT&symbolStatus=TRADING", -1128),
    ];
    for (path, code) in refusals {
        let (status, answer) = get(&simulator, path).await;
        assert_eq!((status, answer["code"].as_i64()), (400, Some(code)), "{path}");
    }
}

/// The number that a field holds as text.
fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_last_day_is_told_in_binances_shape() {
    let now = START + 3 * DAY + 90_000;
    let simulator = simulator(&["BTCUSDT", "ETHUSDT"], now);
    let (_, day) = get(&simulator, "ticker/24hr?symbol=BTCUSDT").await;
    let hours = simulator.candles(&market("BTCUSDT", "1m"), now - 30_000 - DAY, now).unwrap();
    assert_eq!(hours.len(), 24 * 60);
    let highest = hours.iter().map(|candle| candle.high).fold(0.0, f64::max);
    let lowest = hours.iter().map(|candle| candle.low).fold(f64::MAX, f64::min);
    let (open, last) = (hours[0].open, hours[hours.len() - 1].close);
    let expected = [("openPrice", open), ("lastPrice", last), ("highPrice", highest), ("lowPrice", lowest)];
    for (field, expected) in expected {
        assert_eq!(number(&day[field]), expected, "{field}");
    }
    assert!((number(&day["priceChange"]) - (last - open)).abs() < 1e-6, "{day}");
    assert!((number(&day["priceChangePercent"]) - 100.0 * (last - open) / open).abs() < 1e-3, "{day}");
    assert_eq!((day["openTime"].as_i64(), day["closeTime"].as_i64()), (Some(now - DAY), Some(now)));
    assert_eq!(day["lastId"].as_i64().unwrap() - day["firstId"].as_i64().unwrap() + 1, day["count"].as_i64().unwrap());
    assert_eq!(day.as_object().unwrap().len(), 21);

    let (_, all) = get(&simulator, "ticker/24hr").await;
    assert_eq!((all.as_array().unwrap().len(), &all[0]), (2, &day));
    let (_, short) = get(&simulator, "ticker/24hr?symbols=[%22BTCUSDT%22]&type=MINI").await;
    assert_eq!((short[0].as_object().unwrap().len(), &short[0]["volume"]), (12, &day["volume"]));

    simulator.fail_next(Fault::ReusedTicker);
    let (_, reused) = get(&simulator, "ticker/24hr?symbol=BTCUSDT").await;
    assert!((number(&reused["lastPrice"]) / last - 1000.0).abs() < 1e-6);
    simulator.fail_next(Fault::RateLimited { retry_after_s: 1 });
    assert_eq!(get(&simulator, "ticker/24hr").await.0, 429);
    simulator.fail_next(Fault::Status(418));
    let url = format!("{}/api/v3/exchangeInfo", simulator.url());
    assert_eq!(reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap().status(), 418);
}

#[tokio::test]
async fn a_delisted_symbol_keeps_its_old_candles_and_its_last_price() {
    let (now, ended) = (START + 100 * DAY, START + 40 * DAY + 30 * 60_000);
    let options = SimulatorOptions {
        clock: Clock::standing(now),
        delisted: vec![(Symbol::parse("MATICUSDT").unwrap(), ended)],
        ..Default::default()
    };
    let simulator = Simulator::start(options).unwrap();
    let matic = market("MATICUSDT", "1h");
    let (_, rows) = get(&simulator, "klines?symbol=MATICUSDT&interval=1h&limit=3").await;
    assert_eq!((rows.as_array().unwrap().len(), rows[2][0].as_i64()), (3, Some(ended - 30 * 60_000)));
    let since = format!("klines?symbol=MATICUSDT&interval=1h&startTime={}", ended + 1);
    assert_eq!(get(&simulator, &since).await, (200, json!([])));
    let last = simulator.candles(&matic, START, now).unwrap().pop().unwrap();
    assert_eq!(last.open_ms, ended - 30 * 60_000);
    let (_, price) = get(&simulator, "ticker/price?symbol=MATICUSDT").await;
    assert_eq!(number(&price["price"]), last.close, "frozen");

    let (_, info) = get(&simulator, "exchangeInfo").await;
    let statuses: Vec<_> =
        info["symbols"].as_array().unwrap().iter().map(|one| (&one["symbol"], &one["status"])).collect();
    assert_eq!(statuses, [(&json!("BTCUSDT"), &json!("TRADING")), (&json!("MATICUSDT"), &json!("BREAK"))]);
    let (_, info) = get(&simulator, "exchangeInfo?symbol=MATICUSDT").await;
    assert_eq!((info["symbols"].as_array().unwrap().len(), &info["symbols"][0]["status"]), (1, &json!("BREAK")));
    let (_, info) = get(&simulator, "exchangeInfo?symbolStatus=BREAK").await;
    assert_eq!(info["symbols"].as_array().unwrap().len(), 1);
    let (_, day) = get(&simulator, "ticker/24hr?symbol=MATICUSDT").await;
    assert_eq!((number(&day["lastPrice"]), number(&day["volume"]), number(&day["openPrice"])), (last.close, 0.0, 0.0));
    assert_eq!((day["count"].as_i64(), day["firstId"].as_i64()), (Some(0), Some(-1)));

    // A symbol may also be delisted while the market goes on.
    let btc = Symbol::parse("BTCUSDT").unwrap();
    simulator.delist(&btc, now + DAY).unwrap();
    assert_eq!(get(&simulator, "exchangeInfo?symbol=BTCUSDT").await.1["symbols"][0]["status"], "TRADING");
    simulator.clock().set(now + 2 * DAY);
    assert_eq!(get(&simulator, "exchangeInfo?symbol=BTCUSDT").await.1["symbols"][0]["status"], "BREAK");
    assert_eq!(simulator.candles(&market("BTCUSDT", "1h"), now, now + 2 * DAY).unwrap().len(), 24);
    assert!(simulator.delist(&Symbol::parse("NOPEUSDT").unwrap(), now).is_err());
}

#[test]
fn a_simulator_stops_when_dropped_and_needs_no_runtime() {
    let simulator = simulator(&["BTCUSDT"], START);
    let address = simulator.url()[7..].to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(simulator);
    assert!(std::net::TcpStream::connect(&address).is_err());
}

#[tokio::test]
async fn candles_that_are_only_written_oddly_are_read_and_counted() {
    let simulator = simulator(&["BTCUSDT"], START + DAY);
    let (exchange, btc) = (client(&simulator), market("BTCUSDT", "1h"));
    let expected = exchange.candles(&btc, START, START + DAY).await.unwrap();
    let odd = [
        (Fault::Numbers, None),
        (Fault::Microseconds, Some((Cause::TimeUnit, 24))),
        (Fault::Duplicates, Some((Cause::Duplicate, 12))),
        (Fault::Disorder, Some((Cause::Disorder, 23))),
    ];
    for (fault, cause) in odd {
        simulator.fail_next(fault);
        let found = exchange.candles(&btc, START, START + DAY).await.unwrap();
        assert_eq!(found.candles, expected.candles, "{fault}");
        let counted: Vec<_> = found.findings.list().iter().map(|finding| (finding.cause, finding.count)).collect();
        let also_out_of_order = (fault == Fault::Duplicates).then_some((Cause::Disorder, 12));
        assert_eq!(counted, also_out_of_order.into_iter().chain(cause).collect::<Vec<_>>(), "{fault}");
    }
}

#[tokio::test]
async fn candles_that_cannot_be_true_are_asked_for_again_and_never_stored() {
    let simulator = simulator(&["BTCUSDT"], START + DAY);
    let pace = Pace { backoff: Duration::from_millis(1), ..Pace::default() };
    let exchange = Exchange::with_pace(Venue::Binance, Some(simulator.url()), pace).unwrap();
    let (home, btc) = (tempfile::tempdir().unwrap(), market("BTCUSDT", "1h"));
    let impossible = [
        (Fault::BadOhlc, "must not be"),
        (Fault::NotANumber, "must be a finite price above 0; got NaN"),
        (Fault::NegativeVolume, "`volume` must be finite and not negative; got -1"),
        (Fault::WrongInterval, "which is not 1h"),
    ];
    for (fault, expected) in impossible {
        (0..4).for_each(|_| simulator.fail_next(fault));
        let error = update(&exchange, home.path(), &btc, Begin::Days(1), START + DAY).await.unwrap_err().to_string();
        assert!(error.contains("gave no usable answer") && error.contains(expected), "{fault}: {error}");
        assert!(!candle_file(home.path(), &btc).exists(), "{fault}");
    }
    simulator.fail_next(Fault::ReusedTicker);
    let error = update(&exchange, home.path(), &btc, Begin::Days(1), START + DAY).await.unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_CANDLE");
    assert!(error.to_string().contains("another coin under the same ticker"), "{error}");
    simulator.fail_next(Fault::Gap);
    let fetched = update(&exchange, home.path(), &btc, Begin::Days(1), START + DAY).await.unwrap();
    assert_eq!(
        (fetched.total, fetched.findings.count(Cause::GapFilled)),
        (24, 8),
        "missing candles are asked for again"
    );
}

#[tokio::test]
async fn a_slow_answer_is_given_up_and_asked_for_again() {
    let simulator = simulator(&["BTCUSDT"], START + DAY);
    let pace = Pace { answer: Duration::from_millis(500), deadline: Duration::from_secs(3), ..Pace::default() };
    let exchange = Exchange::with_pace(Venue::Binance, Some(simulator.url()), pace).unwrap();
    let btc = Symbol::parse("BTCUSDT").unwrap();
    simulator.fail_next(Fault::TimeOut);
    assert_eq!(exchange.price(&btc).await.unwrap(), simulator.price(&btc).unwrap());
    (0..9).for_each(|_| simulator.fail_next(Fault::TimeOut));
    let started = Instant::now();
    let error = exchange.price(&btc).await.unwrap_err().to_string();
    assert!(error.contains("it did not answer in time"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(6), "the deadline holds: {:?}", started.elapsed());
}

#[tokio::test]
async fn one_refusal_holds_up_all_symbols() {
    let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT"];
    let simulator = simulator(&symbols, START + DAY);
    let exchange = client(&simulator);
    let names = symbols.map(|name| Symbol::parse(name).unwrap());
    simulator.fail_next(Fault::Banned { retry_after_s: 600 });
    assert!(exchange.price(&names[0]).await.unwrap_err().to_string().contains("asks to wait 600 s"));
    let errors = tokio::join!(exchange.price(&names[1]), exchange.price(&names[2]), exchange.price(&names[3]));
    for error in [errors.0, errors.1, errors.2] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("limits how often it is asked") && error.contains("asks to wait"), "{error}");
    }
    assert_eq!(simulator.request_count(), 1, "who goes on asking is banned for longer");
}

/// HTTP 418 without `Retry-After`: the message says until when.
#[tokio::test]
async fn a_ban_is_obeyed_as_long_as_its_words_say() {
    let simulator = simulator(&["BTCUSDT"], START + DAY);
    let (exchange, btc) = (client(&simulator), Symbol::parse("BTCUSDT").unwrap());
    simulator.fail_next(Fault::BannedUntil { after_s: 600 });
    for _ in 0..50 {
        let error = exchange.price(&btc).await.unwrap_err().to_string();
        assert!(error.contains("asks to wait") && !error.contains("wait 0 s"), "{error}");
    }
    assert_eq!(simulator.request_count(), 1, "who goes on asking is banned for longer");
    // A short ban is waited for.
    let simulator = self::simulator(&["BTCUSDT"], START + DAY);
    simulator.fail_next(Fault::BannedUntil { after_s: 3 });
    let started = Instant::now();
    client(&simulator).price(&btc).await.unwrap();
    // The host's clock has whole seconds.
    assert!(started.elapsed() >= Duration::from_secs(2) && simulator.request_count() == 2, "{:?}", started.elapsed());
}

/// A market without recent candles is reported, with the exchange's status if it gives one.
#[tokio::test]
async fn a_market_that_is_not_traded_any_more_is_told() {
    let (home, btc) = (tempfile::tempdir().unwrap(), market("BTCUSDT", "1h"));
    let simulator = simulator(&["BTCUSDT", "ETHUSDT"], START + 10 * DAY);
    let exchange = client(&simulator);
    let told = async |days: i64| {
        let found = update(&exchange, home.path(), &btc, Begin::Days(10), START + days * DAY).await.unwrap().findings;
        found.list().into_iter().find(|finding| finding.cause == Cause::Delisted).map(|finding| finding.example)
    };
    assert_eq!(told(10).await, None);
    assert_eq!(exchange.halted(std::slice::from_ref(&btc.symbol)).await.unwrap(), []);
    simulator.delist(&btc.symbol, START + 10 * DAY).unwrap();
    simulator.clock().set(START + 11 * DAY);
    assert_eq!(told(11).await, None, "a day may be an outage");
    simulator.clock().set(START + 70 * DAY);
    let example = told(70).await.unwrap();
    for part in ["its status is BREAK", "no candle since 2025-", "remove BTCUSDT"] {
        assert!(example.contains(part), "{part}: {example}");
    }
    let both = [btc.symbol.clone(), Symbol::parse("ETHUSDT").unwrap()];
    assert_eq!(exchange.halted(&both).await.unwrap(), [(btc.symbol.clone(), "BREAK".to_owned())]);
    let unknown = exchange.candles(&market("NONEUSDT", "1h"), START, START + DAY).await.unwrap_err().to_string();
    assert!(unknown.contains("misspelt or not traded any more"), "{unknown}");
}

#[tokio::test]
async fn a_symbol_listed_later_is_found_without_a_restart() {
    let simulator = simulator(&["BTCUSDT"], START + DAY);
    let (exchange, home) = (client(&simulator), tempfile::tempdir().unwrap());
    let new = market("new/usdt", "15m");
    assert!(update(&exchange, home.path(), &new, Begin::Days(1), START + DAY).await.is_err());
    simulator.list(new.symbol.clone());
    assert_eq!(update(&exchange, home.path(), &new, Begin::Days(1), START + DAY).await.unwrap().total, 96);
}

/// Counts restart every minute: no minute may begin within the test.
async fn early_in_a_minute() {
    if domain::time::now_ms().rem_euclid(60_000) > 54_000 {
        tokio::time::sleep(Duration::from_secs(7)).await;
    }
}

#[tokio::test]
async fn the_simulator_counts_weight_as_binance_does() {
    early_in_a_minute().await;
    let options = SimulatorOptions { weight_a_minute: 9, ..Default::default() };
    let simulator = Simulator::start(options).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = async |path: &str| {
        let answer = http.get(format!("{}/api/v3/{path}", simulator.url())).send().await.unwrap();
        let header =
            |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().parse::<u32>().unwrap());
        (answer.status().as_u16(), header("x-mbx-used-weight-1m").unwrap(), header("retry-after"))
    };
    assert_eq!(asked("ping").await, (200, 1, None));
    assert_eq!(asked("klines?symbol=BTCUSDT&interval=1h").await, (200, 3, None));
    assert_eq!(asked("ticker/price?symbol=BTCUSDT").await, (200, 5, None));
    assert_eq!(asked("ticker/price?symbols=[%22BTCUSDT%22]").await, (200, 9, None));
    let (status, used, wait) = asked("ping").await;
    assert_eq!((status, used), (429, 10));
    assert!((1..=60).contains(&wait.unwrap()), "{wait:?}");
}

#[tokio::test]
async fn parallel_symbols_share_one_budget_and_what_other_programs_used_counts() {
    early_in_a_minute().await;
    let simulator = simulator(&["BTCUSDT"], START + DAY);
    let btc = Symbol::parse("BTCUSDT").unwrap();
    let pace = Pace { weight: Some(10), ..Pace::default() };
    let exchange = std::sync::Arc::new(Exchange::with_pace(Venue::Binance, Some(simulator.url()), pace).unwrap());
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (exchange, btc) = (exchange.clone(), btc.clone());
        asking.spawn(async move { exchange.price(&btc).await });
    }
    let answered = async {
        for _ in 0..5 {
            asking.join_next().await.unwrap().unwrap().unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(5), answered).await.unwrap();
    let sixth = tokio::time::timeout(Duration::from_millis(400), asking.join_next()).await;
    assert!(sixth.is_err(), "the others wait for the next minute");
    assert_eq!(simulator.request_count(), 5, "weight 10, and each asks for 2");

    // Another client of this address finds the budget used up as soon as the host says so.
    let other = Exchange::with_pace(Venue::Binance, Some(simulator.url()), pace).unwrap();
    other.price(&btc).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(400), other.price(&btc)).await.is_err());
    assert_eq!(simulator.request_count(), 6);
}
