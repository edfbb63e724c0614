//! What the tests of several crates share: signals, candles, trained models, a PostgreSQL of their own, processes that are killed,
//! networks that break. Only tests depend on it.
#![allow(missing_docs, clippy::unwrap_used)]

pub mod fuzz;
pub mod home;
pub mod hours;
#[cfg(unix)]
pub mod killed;
pub mod partition;
pub mod pooler;
pub mod pools;
pub mod proxy;
pub mod receiver;
pub mod server;
pub mod trained;
pub mod warnings;

use domain::signal::{Signal, Source};
use domain::symbol::Symbol;
use domain::time::Tz;
use feedback::{FeedbackStore, StoreOptions};
use serde_json::{Map, Value, json};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

/// A folder in memory where the system has one: faster, for tests that open a store many times and simulate no power
/// failure.
pub fn quick_home() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// The log's text.
pub fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("signals.jsonl")).unwrap()
}

/// The lines of the quarantine; none when there is no such file.
pub fn quarantine(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("signals.quarantine.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A BUY whose levels and indicators are derived from its id.
pub fn own(id: &str) -> Signal {
    let seed = id.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let entry = 100.0 + (seed % 1000) as f64 / 7.0;
    let changes = json!({
        "id": id, "entryPrice": entry, "stopLoss": entry * 0.9, "takeProfit": entry * 1.1, "note": "x".repeat((seed % 300) as usize),
    });
    signal(changes)
}

/// A command that runs this test binary again, with only the test `$name` of the calling module. There
/// `SIGNALLOOP_CHILD` is set, and the test plays the part of a child.
#[macro_export]
macro_rules! child {
    ($name:expr, $home:expr, $number:expr) => {
        $crate::child_process(module_path!(), $name, $home, $number)
    };
}

/// Builds the command of [`child!`]; `module` begins with the name of the test binary.
pub fn child_process(module: &str, name: &str, home: impl AsRef<OsStr>, number: usize) -> Command {
    let test = module.split_once("::").map_or_else(|| name.to_owned(), |(_, module)| format!("{module}::{name}"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([&test, "--exact", "--nocapture", "--test-threads=1"])
        .env("SIGNALLOOP_CHILD", number.to_string())
        .env("SIGNALLOOP_CHILD_HOME", home)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

/// In a child: the number and home given by [`child!`].
pub fn child_part() -> Option<(usize, std::path::PathBuf)> {
    let number = std::env::var("SIGNALLOOP_CHILD").ok()?.parse().ok()?;
    Some((number, std::env::var_os("SIGNALLOOP_CHILD_HOME")?.into()))
}

/// Starts three children that run the test `name` of `module`, and kills them in turn, one in each of twenty rounds, a
/// while after the last of them has printed `ready`.
pub fn kill_at_work(module: &str, name: &str, home: &Path, round: usize) {
    let mut children: Vec<_> =
        (0..3).map(|number| child_process(module, name, home, number).spawn().unwrap()).collect();
    for child in &mut children {
        let output = BufReader::new(child.stdout.take().unwrap());
        let is_ready = output.lines().any(|line| line.unwrap().contains("ready"));
        assert!(is_ready, "the child ended early");
    }
    std::thread::sleep(Duration::from_millis(20 + 7 * (round as u64 % 20)));
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Waits until `so` holds, and panics after `time`.
pub async fn within(time: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < time, "it did not come in {time:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A number from the environment, for longer runs of a test.
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// For each signal, how many lines of the log record it as open, and as closed.
pub fn lines_by_id(folder: &Path) -> std::collections::HashMap<String, (usize, usize)> {
    let mut counts = std::collections::HashMap::<_, (usize, usize)>::new();
    for line in log(folder).lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let count = counts.entry(value["signal_id"].as_str().unwrap().to_owned()).or_default();
        *(if value["outcome"] == "ACTIVE" { &mut count.0 } else { &mut count.1 }) += 1;
    }
    counts
}
