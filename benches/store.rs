//! Benchmarks of the store without Node: `cargo bench -p signalloop-benches --bench store`. `SIGNALLOOP_SIGNALS` sets the number of signals
//! in the large log (default 1 000 000); with `SIGNALLOOP_PRICES_ONLY`, only prices are measured.
#![allow(clippy::unwrap_used)]

use domain::config::Durability;
use domain::signal::{Signal, Source};
use domain::symbol::Symbol;
use domain::time::Tz;
use feedback::{FeedbackStore, StatsFilter, StoreOptions, Tick};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

const T0: i64 = 1_700_000_000_000;

fn signal(n: usize) -> Signal {
    let entry = 100.0 + (n % 9973) as f64 / 100.0;
    let value = json!({
        "id": format!("sig-{n:08}-b7e2"), "symbol": format!("COIN{}USDT", n % 10), "signalType": "BUY", "confidence": 71.5,
        "entryPrice": entry, "stopLoss": entry * 0.5, "takeProfit": entry * 2.0, "timestamp": T0 + n as i64 * 60_000,
        "indicators": { "rsi": 61.25, "macd": 0.0021, "atr": 1.75, "volume_ratio": 1.13 },
    });
    let Value::Object(map) = value else { unreachable!() };
    Signal::from_json(map, Source::Caller, Tz::UTC).unwrap()
}

fn open(folder: &Path, durability: Durability) -> FeedbackStore {
    FeedbackStore::open(folder, StoreOptions { durability, ..StoreOptions::default() }).unwrap()
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn told(what: &str, count: usize, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    println!("{what:<46} {count:>9} in {seconds:>7.3} s: {:>11.0} a second", count as f64 / seconds);
}

async fn concurrently(store: &FeedbackStore, callers: usize, each: usize, first: usize) {
    let tasks = (0..callers).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..each {
                store.record(signal(first + caller * each + n)).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn writes(durability: Durability, each: usize) {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), durability);
    for callers in [1, 64] {
        let start = Instant::now();
        concurrently(&store, callers, each, callers * 1_000_000).await;
        told(&format!("{durability:?}, {callers} caller(s)"), callers * each, start);
    }
}

/// Open signals like [`signal`]. One fifth wait for their entry, one fifth have four targets, one fifth have a trailing stop. Prices from
/// 120 to 180 end none of them.
fn mixed(n: usize) -> Signal {
    let entry = 100.0 + (n % 9973) as f64 / 100.0;
    let targets: Vec<Value> =
        (0..4).map(|number| json!({ "price": entry * (2.0 + 0.2 * f64::from(number)) })).collect();
    let more = match n / 10 % 5 {
        0 => json!({ "entryType": "limit", "entryPrice": entry * 0.55, "stopLoss": entry * 0.4 }),
        1 => json!({ "takeProfit": null, "takeProfits": targets, "stopRules": { "breakEvenAfterTarget": 1 } }),
        2 => json!({ "stopRules": { "trail": { "percent": 40.0 + (n % 20) as f64 } } }),
        _ => json!({}),
    };
    let mut value = json!({
        "id": format!("sig-{n:08}-b7e2"), "symbol": format!("COIN{}USDT", n % 10), "signalType": "BUY", "confidence": 71.5,
        "entryPrice": entry, "stopLoss": entry * 0.5, "takeProfit": entry * 2.0, "timestamp": T0 + n as i64 * 60_000,
    });
    for (key, member) in more.as_object().unwrap() {
        value[key] = member.clone();
    }
    let Value::Object(map) = value else { unreachable!() };
    Signal::from_json(map, Source::Caller, Tz::UTC).unwrap()
}

/// Prices against the [`mixed`] signals: without a hit, and each a new best price of those that trail.
async fn managed_prices() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), Durability::Os);
    store.record_all((0..100_000).map(mixed).collect()).await.unwrap();
    let symbols: Vec<Symbol> = (0..10).map(|n| Symbol::parse(&format!("COIN{n}USDT")).unwrap()).collect();
    let late = T0 + 100_000 * 60_000;
    let quiet = |n: usize| 120.0 + (n % 100) as f64 / 10.0;
    let rising = |n: usize| 130.0 + n as f64 * 5e-5;
    let paths: [(&str, &dyn Fn(usize) -> f64); 2] = [("without a hit", &quiet), ("that rise", &rising)];
    for (round, (what, price)) in paths.into_iter().enumerate() {
        let tick = |n: usize| Tick {
            symbol: &symbols[n % 10],
            price: price(n),
            time_ms: late + (round * 1_000_000 + n) as i64,
        };
        let ticks: Vec<_> = (0..1_000_000).map(tick).collect();
        store.on_prices(&ticks[..1000]).await.unwrap();
        let start = Instant::now();
        assert!(store.on_prices(&ticks[1000..]).await.unwrap().is_empty());
        told(&format!("prices {what}, 100 000 open of all kinds"), ticks.len(), start);
    }
}

async fn prices() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), Durability::Os);
    store.record_all((0..100_000).map(signal).collect()).await.unwrap();
    let symbols: Vec<Symbol> = (0..10).map(|n| Symbol::parse(&format!("COIN{n}USDT")).unwrap()).collect();
    let late = T0 + 100_000 * 60_000;
    let ticks: Vec<_> = (0..1_000_000)
        .map(|n| Tick { symbol: &symbols[n % 10], price: 120.0 + (n % 100) as f64 / 10.0, time_ms: late + n as i64 })
        .collect();
    store.on_prices(&ticks[..1000]).await.unwrap();
    let start = Instant::now();
    assert!(store.on_prices(&ticks[1000..]).await.unwrap().is_empty());
    told("prices without a hit, 100 000 open signals", ticks.len(), start);
    let start = Instant::now();
    for tick in &ticks[..100_000] {
        store.on_price(tick.symbol, tick.price, late * 2).await.unwrap();
    }
    told("the same, one call each", 100_000, start);
    let start = Instant::now();
    let hits: usize = store.on_price(&symbols[0], 1e9, late * 2).await.unwrap().len();
    told("closings by one price", hits, start);
}

async fn large(signals: usize) {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), Durability::Os);
    let mut chunks: Vec<Vec<Signal>> = Vec::new();
    for n in 0..signals {
        if n % 10_000 == 0 {
            chunks.push(Vec::with_capacity(10_000));
        }
        chunks.last_mut().unwrap().push(signal(n));
    }
    let start = Instant::now();
    for chunk in chunks {
        store.record_all(chunk).await.unwrap();
    }
    told("recorded in bulk, 10 000 at a time", signals, start);
    if std::env::var_os("SIGNALLOOP_BULK_ONLY").is_some() {
        return;
    }
    let start = Instant::now();
    for n in 0..10 {
        let symbol = Symbol::parse(&format!("COIN{n}USDT")).unwrap();
        store.on_price(&symbol, 1e9, T0 + signals as i64 * 60_000).await.unwrap();
    }
    told("closed", signals, start);
    let start = Instant::now();
    store.close().await;
    told("end of the store", 1, start);
    drop(store);
    reopened(home.path(), signals, "opened").await;
    let _ = std::fs::remove_file(home.path().join("signals.index"));
    reopened(home.path(), signals, "opened without its index").await;
    let store = open(home.path(), Durability::Os);
    let start = Instant::now();
    println!("{:?}", store.compact().await.unwrap());
    told("compacted", signals, start);
    store.close().await;
    drop(store);
    reopened(home.path(), signals, "opened after compaction").await;
    let _ = std::fs::remove_file(home.path().join("signals.index"));
    reopened(home.path(), signals, "opened after compaction, without its index").await;
}

/// Opens the store in a separate process, to measure its memory.
async fn reopened(folder: &Path, signals: usize, what: &str) {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .env("SIGNALLOOP_OPEN", folder)
        .env("SIGNALLOOP_SIGNALS", signals.to_string())
        .env("SIGNALLOOP_WHAT", what)
        .status();
    assert!(status.unwrap().success());
}

async fn reopen(folder: &Path, signals: usize, what: &str) {
    let before = resident_bytes();
    let start = Instant::now();
    let store = open(folder, Durability::Os);
    told(what, signals, start);
    for _ in 0..2 {
        let start = Instant::now();
        let stats = store.stats(&StatsFilter::default()).unwrap();
        assert_eq!(stats.figures.took_profit, signals as u64);
        told("  figures of all", 1, start);
    }
    println!("  {} bytes resident a signal", resident_bytes().saturating_sub(before) / signals);
    store.close().await;
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let signals = std::env::var("SIGNALLOOP_SIGNALS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    if let Some(folder) = std::env::var_os("SIGNALLOOP_OPEN") {
        return reopen(Path::new(&folder), signals, &std::env::var("SIGNALLOOP_WHAT").unwrap()).await;
    }
    if std::env::var_os("SIGNALLOOP_BULK_ONLY").is_some() {
        return large(signals).await;
    }
    if std::env::var_os("SIGNALLOOP_PRICES_ONLY").is_some() {
        prices().await;
        return managed_prices().await;
    }
    writes(Durability::Fsync, 200).await;
    writes(Durability::Os, 3000).await;
    prices().await;
    managed_prices().await;
    large(signals).await;
}
