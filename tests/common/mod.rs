//! What the store's tests share.
#![allow(dead_code, clippy::unwrap_used)]

use chrono_tz::Tz;
use serde_json::{Map, Value, json};
use signalloop::feedback::{FeedbackStore, StoreOptions};
use signalloop::signal::{Signal, Source};
use signalloop::symbol::Symbol;
use std::path::Path;

/// When the signals of the tests are given, UTC epoch ms.
pub const T0: i64 = 1_700_000_000_000;

/// A BUY of BTCUSDT at 100, stop 95, target 110.
pub fn buy(id: &str) -> Signal {
    signal(json!({ "id": id }))
}

/// [`buy`] with some keys replaced.
pub fn signal(changes: Value) -> Signal {
    let mut value = json!({
        "id": "s", "symbol": "BTC/USDT", "signalType": "BUY", "confidence": 80, "entryPrice": 100, "stopLoss": 95,
        "takeProfit": 110, "timestamp": T0, "indicators": { "rsi": 71.5 }, "note": "é \"quoted\" \\ \n",
    });
    for (key, change) in object(changes) {
        value[key] = change;
    }
    Signal::from_json(object(value), Source::Caller, Tz::UTC).unwrap()
}

pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

pub fn btc() -> Symbol {
    Symbol::parse("BTCUSDT").unwrap()
}

pub fn open(folder: &Path) -> FeedbackStore {
    FeedbackStore::open(folder, StoreOptions::default()).unwrap()
}

/// A folder in memory where the system has one: for the many openings of a test that no power failure will interrupt.
pub fn quick_home() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// The log's text.
pub fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("signals.jsonl")).unwrap()
}

/// The quarantine's lines; none when there is no such file.
pub fn quarantine(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("signals.quarantine.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
