//! Protects open signals through downtimes: the candles missed close them when and where every minute looked at by itself
//! would have.
#![allow(clippy::unwrap_used)]

mod common;

use common::signal;
use serde_json::json;
use signalloop::barrier::{Exit, Outcome};
use signalloop::engine::{Options, SignalLoop};
use signalloop::market::{Candle, Simulator, SimulatorOptions};
use signalloop::scheduler::{Outcome as Ended, Task};
use signalloop::signal::{Record, Signal};
use signalloop::symbol::Market;
use signalloop::time::Clock;
use std::path::Path;
use std::sync::Arc;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn minutes(symbol: &str) -> Market {
    Market::parse(symbol, "1m").unwrap()
}

fn exchange(symbols: &[&str]) -> Simulator {
    let symbols = symbols.iter().map(|symbol| minutes(symbol).symbol).collect();
    let clock = Clock::standing(SimulatorOptions::default().start_ms + 20 * 24 * HOUR);
    Simulator::start(SimulatorOptions { symbols, clock, ..SimulatorOptions::default() }).unwrap()
}

fn open(home: &Path, exchange: &Simulator) -> Arc<SignalLoop> {
    let options = Options {
        home: Some(home.to_owned()),
        exchange_url: Some(exchange.url().to_owned()),
        clock: exchange.clock().clone(),
        ..Options::default()
    };
    Arc::new(SignalLoop::open(options).unwrap())
}

/// A signal at the price of `candle`'s close, some time after it.
fn given(
    id: &str,
    symbol: &str,
    candle: &Candle,
    after_ms: i64,
    percent: f64,
    buy: bool,
    hours: Option<i64>,
) -> Signal {
    let (entry, sign) = (candle.close, if buy { 1.0 } else { -1.0 });
    let at = candle.open_ms + MINUTE + after_ms;
    signal(json!({
        "id": id, "symbol": symbol, "signalType": if buy { "BUY" } else { "SELL" }, "entryPrice": entry, "timestamp": at,
        "stopLoss": entry * (1.0 - sign * percent / 100.0), "takeProfit": entry * (1.0 + sign * 2.0 * percent / 100.0),
        "expiresAt": hours.map(|hours| at + hours * HOUR + 17_000),
    }))
}

/// What each minute, looked at by itself, makes of a signal.
fn minute_by_minute(signal: &Signal, candles: &[Candle]) -> Option<Exit> {
    let levels = signal.levels().unwrap();
    candles.iter().find_map(|candle| levels.on_candle(candle, MINUTE))
}

fn check(record: &Record, expected: Option<Exit>) {
    let id = &record.signal.id;
    match (record.closing, expected) {
        (None, None) => {}
        (Some(closing), Some(exit)) => {
            assert_eq!((closing.outcome, closing.closed_ms), (exit.outcome, exit.time_ms), "{id}");
            assert_eq!(closing.exit_price, Some(exit.price), "{id}");
        }
        (found, expected) => panic!("{id}: {found:?} instead of {expected:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candles_missed_close_what_was_hit_meanwhile_at_its_time_and_price() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange(&["BTCUSDT", "ETHUSDT", "SOLUSDT"]));
    let core = open(home.path(), &exchange);
    let now = exchange.now_ms();
    let mut signals = Vec::new();
    for (number, symbol) in ["BTCUSDT", "ETHUSDT"].into_iter().enumerate() {
        let candles = exchange.candles(&minutes(symbol), now - 6 * 24 * HOUR, now).unwrap();
        for n in 0..40 {
            // Given at any second, from six days ago to just now; narrow and wide levels, with and without an expiry.
            let candle = &candles[n * candles.len() / 40 + 7 * number];
            let percent = [0.1, 0.5, 2.0, 40.0][n % 4];
            let hours = (n % 3 == 0).then_some([1, 30][n % 2]);
            signals.push(given(
                &format!("{symbol}-{n}"),
                symbol,
                candle,
                (n as i64 * 1700) % MINUTE,
                percent,
                n % 2 == 0,
                hours,
            ));
        }
    }
    let store = core.store().unwrap();
    store.record_all(signals.clone()).await.unwrap();
    let run = core.run_once(Task::Watch).await.unwrap();
    assert_eq!(run.outcome, Ended::Finished, "{run:?}");
    let mut seen = std::collections::HashSet::new();
    for signal in &signals {
        let candles = exchange.candles(&minutes(signal.symbol.as_str()), now - 6 * 24 * HOUR, now).unwrap();
        let record = store.get(&signal.id).unwrap().unwrap();
        let expected = minute_by_minute(signal, &candles);
        check(&record, expected);
        seen.insert(format!("{:?}", expected.map(|exit| exit.outcome)));
    }
    assert_eq!(seen.len(), 5, "every end, and none, must have been among them: {seen:?}");
    // Only symbols with open signals are asked for, and a long absence costs few questions.
    let asked = exchange.requests();
    assert!(!asked.iter().any(|request| request.contains("SOLUSDT")), "{asked:?}");
    assert!(asked.iter().any(|request| request.contains("ticker/price") && request.contains("BTCUSDT")), "{asked:?}");
    let days_of_minutes = 6 * 24 * 60 / 1000 * 2;
    println!("{} questions", exchange.request_count());
    assert!(exchange.request_count() < 160, "{} questions, {days_of_minutes} pages", exchange.request_count());

    // Another downtime: what is open still closes where the minutes say.
    core.close().await;
    exchange.clock().set(now + 30 * HOUR + 25_000);
    let core = open(home.path(), &exchange);
    core.run_once(Task::Watch).await.unwrap();
    let store = core.store().unwrap();
    for signal in &signals {
        let candles = exchange.candles(&minutes(signal.symbol.as_str()), now - 6 * 24 * HOUR, now + 30 * HOUR).unwrap();
        check(&store.get(&signal.id).unwrap().unwrap(), minute_by_minute(signal, &candles));
    }
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minute_after_minute_the_watch_goes_on_and_a_symbol_that_fails_spares_the_others() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange(&["BTCUSDT"]));
    let core = open(home.path(), &exchange);
    let store = core.store().unwrap();
    let idle = core.run_once(Task::Watch).await.unwrap();
    assert_eq!((idle.outcome, exchange.request_count()), (Ended::Finished, 0), "nothing is asked without open signals");
    let begin = exchange.now_ms();
    let last = *exchange.candles(&minutes("BTCUSDT"), begin - HOUR, begin).unwrap().last().unwrap();
    let signal = given("narrow", "BTCUSDT", &last, 0, 0.3, true, Some(20));
    store.record(signal.clone()).await.unwrap();
    store.record(given("unknown", "NOPEUSDT", &last, 0, 1.0, true, None)).await.unwrap();
    let closed = loop {
        exchange.clock().set(exchange.now_ms() + MINUTE);
        let run = core.run_once(Task::Watch).await.unwrap();
        assert_eq!((run.outcome, run.failed.len()), (Ended::Failed, 1), "{run:?}");
        assert_eq!(run.failed[0].market.symbol.as_str(), "NOPEUSDT");
        if let Some(closing) = store.get("narrow").unwrap().unwrap().closing {
            break closing;
        }
        assert!(exchange.now_ms() < begin + 30 * HOUR);
    };
    let candles = exchange.candles(&minutes("BTCUSDT"), begin, exchange.now_ms()).unwrap();
    let by_candles = minute_by_minute(&signal, &candles).unwrap();
    assert_eq!(closed.outcome, by_candles.outcome);
    assert!((closed.closed_ms - by_candles.time_ms).abs() <= MINUTE);
    assert_eq!(store.get("unknown").unwrap().unwrap().closing, None);
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_price_of_now_closes_what_waits_for_its_candles() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange(&["BTCUSDT"]));
    let core = open(home.path(), &exchange);
    let now = exchange.now_ms();
    let candles = exchange.candles(&minutes("BTCUSDT"), now - 10 * HOUR, now).unwrap();
    // Its stop lies above every price: any price of now would close it.
    let entry = candles.iter().map(|candle| candle.high).fold(0.0, f64::max) * 1.2;
    let late = json!({
        "id": "late", "symbol": "BTCUSDT", "entryPrice": entry, "stopLoss": entry / 1.1, "takeProfit": entry * 1.1,
        "timestamp": candles[0].open_ms,
    });
    let store = core.store().unwrap();
    store.record(signal(late)).await.unwrap();
    for _ in 0..4 {
        exchange.fail_next(signalloop::market::Fault::Status(403));
    }
    let run = core.run_once(Task::Watch).await.unwrap();
    assert_eq!((run.outcome, run.failed.len()), (Ended::Failed, 1), "{run:?}");
    assert_eq!(store.get("late").unwrap().unwrap().closing, None);
    while exchange_is_spoilt(&core).await {}
    let closing = store.get("late").unwrap().unwrap().closing.unwrap();
    // At the open of the first candle, hours ago, and not at the price of now.
    assert_eq!((closing.outcome, closing.closed_ms), (Outcome::StoppedOut, candles[0].open_ms));
    assert_eq!(closing.exit_price, Some(candles[0].open));
    core.close().await;
}

/// Watches once more; `true` while that fails.
async fn exchange_is_spoilt(core: &Arc<SignalLoop>) -> bool {
    core.run_once(Task::Watch).await.unwrap().outcome != Ended::Finished
}
