//! The readers on exports, alerts and messages as they are written.
#![allow(clippy::unwrap_used)]

mod channels;
mod exports;
mod fuzz;
mod refusals;
mod trades;
mod webhooks;

use readers::{Options, Reading, Signal};
use serde_json::Value;
use std::path::Path;

/// 2026-03-01.
const NOW: i64 = 1_772_323_200_000;

fn options() -> Options {
    Options::at(NOW)
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(fixture(name)).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fixture(name)).unwrap()
}

/// The signals of a text of which nothing is refused.
fn all(reading: Reading) -> Vec<Signal> {
    assert_eq!(reading.refused, []);
    reading.signals.into_iter().map(|found| found.signal).collect()
}

/// The fields of a signal but for its id.
fn facts(signal: &Signal) -> Value {
    let mut signal = signal.clone();
    assert!(signal.shift_remove("id").is_some());
    Value::Object(signal)
}
