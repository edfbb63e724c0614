//! Prices by WebSocket, from the simulated exchange to the closing: at once while they are streamed, by candles for what was missed,
//! by requests for what is not streamed.

use domain::barrier::Outcome;
use domain::candle::Candle;
use domain::signal::Closing;
use domain::symbol::{Market, Symbol};
use domain::time::Clock;
use engine::{Options, Replay, SignalLoop};
use scheduler::Task;
use serde_json::{Value, json};
use simulator::{Simulator, SimulatorOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{object, signal};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn btc() -> Symbol {
    Symbol::parse("BTCUSDT").unwrap()
}

fn minutes() -> Market {
    Market::parse("BTCUSDT", "1m").unwrap()
}

fn exchange() -> Simulator {
    // 20 seconds into a minute.
    let clock = Clock::standing(SimulatorOptions::default().start_ms + 480 * HOUR + 20_000);
    let symbols = ["BTCUSDT", "ETHUSDT"].map(|name| Symbol::parse(name).unwrap()).to_vec();
    Simulator::start(SimulatorOptions { symbols, clock, ..SimulatorOptions::default() }).unwrap()
}

fn options(home: &Path, exchange: &Simulator) -> Options {
    Options {
        home: Some(home.to_owned()),
        exchange_url: Some(exchange.url().to_owned()),
        clock: exchange.clock().clone(),
        ..Options::default()
    }
}

fn open(home: &Path, exchange: &Simulator) -> Arc<SignalLoop> {
    Arc::new(SignalLoop::open(options(home, exchange)).unwrap())
}

/// Only the watch is scheduled.
fn watching(exchange: &Simulator, interval: &str) -> serde_json::Map<String, Value> {
    let off = json!({ "enabled": false });
    let watch = json!({ "interval": interval, "prices": "stream", "stream_url": exchange.stream_url() });
    object(json!({ "watch": watch, "fetch": off, "retrain": off, "update": off, "evaluate": off }))
}

/// A BUY at `entry`, with a stop 1 % below and a target 1 % above.
fn buy(id: &str, symbol: &str, entry: f64, time_ms: i64) -> domain::signal::Signal {
    signal(json!({
        "id": id, "symbol": symbol, "signalType": "BUY", "entryPrice": entry, "stopLoss": entry * 0.99,
        "takeProfit": entry * 1.01, "timestamp": time_ms,
    }))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn closing(core: &SignalLoop, id: &str) -> Option<Closing> {
    core.store().open().unwrap().get(id).unwrap().unwrap().closing
}

fn streamed(core: &SignalLoop) -> usize {
    core.scheduler().status().unwrap().stream.map_or(0, |stream| stream.symbols)
}

fn asked(exchange: &Simulator, path: &str) -> usize {
    exchange.requests().iter().filter(|request| request.contains(path)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_closes_a_signal_at_once_and_a_downtime_is_healed_by_candles() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let core = open(home.path(), &exchange);
    let (store, price, now) = (core.store().open().unwrap(), exchange.price(&btc()).unwrap(), exchange.now_ms());
    store.record(buy("first", "BTCUSDT", price, now)).await.unwrap();
    // The watch itself looks once, and then not again.
    core.scheduler().start(watching(&exchange, "1h")).unwrap();
    until("it is streamed", || streamed(&core) == 1).await;
    exchange.trade(&btc(), price * 1.0001).unwrap();
    let prices = || core.scheduler().status().unwrap().stream.map_or(0, |stream| stream.prices);
    until("a price came", || prices() > 0).await;
    assert_eq!(closing(&core, "first"), None);
    // Two trades make a short spike of the price. Polling every few seconds would miss it.
    let before = Instant::now();
    exchange.trade(&btc(), price * 0.985).unwrap();
    exchange.trade(&btc(), price).unwrap();
    until("it closed", || closing(&core, "first").is_some()).await;
    println!("closed after {:?}", before.elapsed());
    let closed = closing(&core, "first").unwrap();
    assert_eq!((closed.outcome, closed.closed_ms), (Outcome::StoppedOut, now));

    // The stream is lost. In the meantime candles reach a level of a signal, and the price comes back.
    store.record(buy("second", "BTCUSDT", price, now)).await.unwrap();
    until("it is streamed again", || streamed(&core) == 1).await;
    let count = prices();
    exchange.trade(&btc(), price).unwrap();
    until("a price came", || prices() > count).await;
    exchange.cut_streams(true);
    until("it is told", || {
        core.scheduler().status().unwrap().stream.is_some_and(|one| one.connected_since_ms.is_none())
    })
    .await;
    let later = now + 30 * HOUR;
    exchange.clock().set(later);
    let candles = exchange.candles(&minutes(), now - HOUR, later).unwrap();
    let levels = buy("second", "BTCUSDT", price, now).levels().unwrap();
    let exit =
        candles.iter().find_map(|one: &Candle| levels.on_candle(one.open_ms, one, MINUTE)).expect("a level is reached");
    exchange.trade(&btc(), price * 1.001).unwrap();
    assert_eq!(closing(&core, "second"), None, "nothing is known yet");
    exchange.cut_streams(false);
    until("it closed", || closing(&core, "second").is_some()).await;
    let closed = closing(&core, "second").unwrap();
    assert_eq!((closed.outcome, closed.closed_ms, closed.exit_price), (exit.outcome, exit.time_ms, Some(exit.price)));
    let status = core.scheduler().status().unwrap().stream.unwrap();
    let gap = status.last_gap.clone().expect("the gap is told");
    // The first connection may have been closed for want of open signals, or not.
    assert!(gap.from_ms == now && (2..=3).contains(&status.connections), "{status:?} {gap:?}");
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_symbol_needs_no_requests_and_a_quiet_one_is_asked_for() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let core = open(home.path(), &exchange);
    let (store, price, now) = (core.store().open().unwrap(), exchange.price(&btc()).unwrap(), exchange.now_ms());
    store.record(buy("wide", "BTCUSDT", price, now)).await.unwrap();
    core.scheduler().start(watching(&exchange, "1s")).unwrap();
    until("it is streamed", || streamed(&core) == 1).await;
    let mut made = 0;
    let mut trade = |at_ms: i64| {
        made += 1;
        exchange.clock().set(at_ms);
        exchange.trade(&btc(), price * (1.0 + 0.0001 * f64::from(made % 7))).unwrap();
        u64::try_from(made).unwrap()
    };
    let passed = |count: u64| core.scheduler().status().unwrap().stream.is_some_and(|stream| stream.prices >= count);
    let by_stream = || {
        let status = core.scheduler().status().unwrap();
        status.tasks[0].record.last.as_ref().map_or_else(String::new, |run| run.message.clone())
    };
    let count = trade(now + 1000);
    until("it came", || passed(count)).await;
    let count = trade(now + MINUTE);
    until("it came", || passed(count)).await;
    until("the watch tells it", || by_stream().contains("prices of 1 symbols by stream")).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let before = (asked(&exchange, "klines"), asked(&exchange, "ticker/price"));
    for minute in 2..6 {
        let count = trade(now + minute * MINUTE - 10_000);
        until("it came", || passed(count)).await;
        let count = trade(now + minute * MINUTE);
        until("it came", || passed(count)).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    assert_eq!((asked(&exchange, "klines"), asked(&exchange, "ticker/price")), before);
    // Two minutes without a trade: the market may have ended, or a subscription may be lost.
    exchange.clock().set(now + 8 * MINUTE);
    until("it is asked for", || asked(&exchange, "klines") > before.0 && asked(&exchange, "ticker/price") > before.1)
        .await;
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_of_the_past_waits_for_its_candles() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let core = open(home.path(), &exchange);
    let (store, now) = (core.store().open().unwrap(), exchange.now_ms());
    let price = exchange.price(&btc()).unwrap();
    store.record(buy("wide", "BTCUSDT", price, now)).await.unwrap();
    core.scheduler().start(watching(&exchange, "1h")).unwrap();
    until("it is streamed", || streamed(&core) == 1).await;
    let candles = exchange.candles(&minutes(), now - 40 * HOUR, now).unwrap();
    let old = buy("old", "BTCUSDT", candles[0].close, candles[0].open_ms + MINUTE);
    let levels = old.levels().unwrap();
    let exit = candles.iter().find_map(|one| levels.on_candle(one.open_ms, one, MINUTE)).expect("a level is reached");
    store.record(old).await.unwrap();
    // The current price would close it, too.
    exchange.trade(&btc(), price).unwrap();
    exchange.trade(&btc(), price * 1.0001).unwrap();
    until("it closed", || closing(&core, "old").is_some()).await;
    let closed = closing(&core, "old").unwrap();
    assert_eq!((closed.outcome, closed.closed_ms, closed.exit_price), (exit.outcome, exit.time_ms, Some(exit.price)));
    assert_eq!(closing(&core, "wide"), None);
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_stream_prices_are_requested_as_before() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange());
    exchange.cut_streams(true);
    let core = open(home.path(), &exchange);
    let (store, price, now) = (core.store().open().unwrap(), exchange.price(&btc()).unwrap(), exchange.now_ms());
    store.record(buy("one", "BTCUSDT", price, now)).await.unwrap();
    core.scheduler().start(watching(&exchange, "1s")).unwrap();
    exchange.trade(&btc(), price * 1.02).unwrap();
    until("it closed", || closing(&core, "one").is_some()).await;
    assert_eq!(closing(&core, "one").unwrap().outcome, Outcome::TookProfit);
    let stream = core.scheduler().status().unwrap().stream.expect("it is tried");
    assert!(stream.prices == 0 && stream.connected_since_ms.is_none(), "{stream:?}");
    core.close().await;

    // Not even tried: by configuration, and where only the REST API's address is known.
    exchange.cut_streams(false);
    let (polled, default) =
        (json!({ "prices": "poll", "stream_url": exchange.stream_url() }), json!({ "interval": "1s" }));
    for (id, watch) in [("two", polled), ("three", default)] {
        let core = open(home.path(), &exchange);
        let off = json!({ "enabled": false });
        let price = exchange.price(&btc()).unwrap();
        core.store().open().unwrap().record(buy(id, "BTCUSDT", price, now)).await.unwrap();
        let config = json!({ "watch": watch, "fetch": off, "retrain": off, "update": off, "evaluate": off });
        core.scheduler().start(object(config)).unwrap();
        let watched = || core.scheduler().status().unwrap().tasks[0].record.last.is_some();
        until("it is watched", watched).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        let status = core.scheduler().status().unwrap();
        assert!(status.stream.is_none() && status.leader && exchange.stream_count() == 0);
        core.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_alone_streams_and_what_is_closed_leaves_nothing() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let (one, two) = (open(home.path(), &exchange), open(home.path(), &exchange));
    let (price, now) = (exchange.price(&btc()).unwrap(), exchange.now_ms());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    one.store().open().unwrap().record(buy("a", "BTCUSDT", price, now)).await.unwrap();
    for core in [&one, &two] {
        core.scheduler().start(watching(&exchange, "1h")).unwrap();
        until("it knows its role", || core.scheduler().status().unwrap().led_by.is_some()).await;
    }
    until("one streams", || streamed(&one) == 1).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(exchange.stream_count() == 1 && two.scheduler().status().unwrap().stream.is_none());
    // Without open signals there is no connection.
    exchange.trade(&btc(), price * 1.02).unwrap();
    until("it closed", || closing(&one, "a").is_some()).await;
    until("it is not needed", || exchange.stream_count() == 0).await;
    // A signal that another process records is streamed, too.
    two.store().open().unwrap().record(buy("b", "ETHUSDT", 100.0, now)).await.unwrap();
    until("it is streamed", || exchange.stream_count() == 1).await;
    one.close().await;
    until("the other takes over", || streamed(&two) == 1 && exchange.stream_count() == 1).await;
    two.scheduler().stop().await;
    until("it is left", || exchange.stream_count() == 0).await;
    assert!(two.scheduler().status().unwrap().stream.is_none());
    two.close().await;
    drop((one, two));
    until("no task is left", || tasks() <= before).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(exchange.stream_count(), 0, "nobody comes back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_streams_nothing() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let replay = Some(Replay { candles: Default::default(), without: Default::default() });
    let core = Arc::new(SignalLoop::open(Options { replay, ..options(home.path(), &exchange) }).unwrap());
    let (price, now) = (exchange.price(&btc()).unwrap(), exchange.now_ms());
    core.store().open().unwrap().record(buy("a", "BTCUSDT", price, now)).await.unwrap();
    let mut stepped = core.scheduler().stepped(watching(&exchange, "1s")).unwrap();
    for second in 0..3 {
        exchange.clock().set(now + second * 1000);
        stepped.run_due().await;
    }
    let status = core.scheduler().status().unwrap();
    let watched = status.tasks.iter().find(|task| task.task == Task::Watch).unwrap();
    assert!(watched.record.last.is_some(), "the watch ran");
    assert!(status.stream.is_none() && exchange.stream_count() == 0 && exchange.request_count() == 0);
    core.close().await;
}
