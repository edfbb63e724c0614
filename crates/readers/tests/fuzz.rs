//! No text makes a reader panic, and what is read is what the store reads.

use super::{NOW, options, text};
use domain::signal::Record;
use domain::time::Tz;
use proptest::prelude::*;
use readers::{Format, Reading, pair, timeframe};
use serde_json::{Value, json};

/// Whether all signals can be stored, as far as the fields of a plain signal go.
fn check(reading: &Reading) {
    for found in &reading.signals {
        let mut given = found.signal.clone();
        given.entry("confidence").or_insert(json!(50));
        let record = Record::given(Value::Object(given), Tz::UTC);
        assert!(record.is_ok(), "{record:?} of {found:?}");
        let imported = Record::imported(found.signal.clone(), Tz::UTC, 1.0);
        assert!(imported.is_ok(), "{imported:?} of {found:?}");
        let (low, high) = match found.signal.get("entryZone") {
            Some(zone) => (zone["low"].as_f64().unwrap(), zone["high"].as_f64().unwrap()),
            None => (found.signal.get("entryPrice").and_then(Value::as_f64).unwrap_or(1.0), 0.0),
        };
        assert!(low > 0.0 && found.signal["id"].as_str().is_some_and(|id| !id.is_empty()));
        let buys = found.signal["signalType"] == "BUY";
        for target in found.signal.get("takeProfits").and_then(Value::as_array).into_iter().flatten() {
            let price = target["price"].as_f64().unwrap();
            assert!(if buys { price > low.max(high) } else { price < low }, "{found:?}");
        }
    }
    for refused in &reading.refused {
        assert!(!refused.place.is_empty() && !refused.problem.is_empty());
    }
}

/// Pieces of messages, put together anyhow.
fn message() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("Entry"),
        Just("Target"),
        Just("Targets"),
        Just("TP1"),
        Just("tp2"),
        Just("Stop"),
        Just("SL"),
        Just("Loss"),
        Just("Buy"),
        Just("Sell"),
        Just("LONG"),
        Just("short"),
        Just("#BTC/USDT"),
        Just("ETHUSDT"),
        Just("Leverage"),
        Just("10x"),
        Just("Cross"),
        Just("Trailing Configuration"),
        Just("Breakeven"),
        Just("Trigger"),
        Just("Moving Target"),
        Just("Percent Below Highest"),
        Just("zone"),
        Just("above"),
        Just("market"),
        Just("100"),
        Just("95"),
        Just("105.5"),
        Just("110"),
        Just("67,250"),
        Just("0,03"),
        Just("1)"),
        Just("2)"),
        Just("1️⃣"),
        Just("50%"),
        Just("(2%)"),
        Just("-"),
        Just(":"),
        Just("("),
        Just(")"),
        Just("/"),
        Just("\n"),
        Just("\n"),
        Just("\n---\n"),
        Just("🟢"),
        Just("🔴"),
        Just("Timeframe: 4h"),
        Just("Confidence: 80%"),
        Just("Date: 2026-01-01 10:00"),
        Just("Move SL to entry after TP1"),
        Just("$"),
        Just("."),
        Just("@"),
        Just("é"),
        Just("_"),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(Value::from),
        prop_oneof![
            Just("buy"),
            Just("sell"),
            Just("BTCUSDT"),
            Just("67,250.5"),
            Just("{{close}}"),
            Just(""),
            Just("long"),
            Just("60"),
            Just("closed")
        ]
        .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!([101, "102"])),
        Just(json!({ "price": 105, "share": 30 })),
    ]
}

fn alert() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("ticker"),
        Just("symbol"),
        Just("action"),
        Just("side"),
        Just("price"),
        Just("close"),
        Just("entry"),
        Just("sl"),
        Just("tp"),
        Just("tp1"),
        Just("targets"),
        Just("interval"),
        Just("time"),
        Just("confidence"),
        Just("leverage"),
        Just("type"),
        Just("id"),
        Just("strategy"),
        Just("tags"),
        Just("indicators"),
        Just("expiresAt"),
        Just("market_position"),
        Just("rsi"),
    ];
    prop::collection::vec((key, leaf()), 0..10).prop_map(|members| {
        let mut alert = json!({ "symbol": "BTCUSDT", "action": "buy", "price": 100 });
        for (key, value) in members {
            alert[key] = value;
        }
        alert
    })
}

/// A file with some values replaced: by their number in the order of the file.
fn damaged(file: &str, changes: &[(usize, Value)]) -> String {
    fn visit(value: &mut Value, at: &mut usize, changes: &[(usize, Value)]) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| visit(item, at, changes)),
            Value::Object(map) => map.values_mut().for_each(|item| visit(item, at, changes)),
            leaf => {
                *at += 1;
                if let Some((_, other)) = changes.iter().find(|(number, _)| number == at) {
                    *leaf = other.clone();
                }
            }
        }
    }
    let mut value = serde_json::from_str(file).unwrap();
    visit(&mut value, &mut 0, changes);
    value.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in Format::ALL {
            check(&format.read(text.as_bytes(), &options()));
            check(&format.read(&bytes, &options()));
        }
        let archive = [b"PK\x03\x04".as_slice(), &bytes].concat();
        check(&Format::Freqtrade.read(&archive, &options()));
        let _ = (pair(&text), timeframe(&text));
    }

    #[test]
    fn any_message(text in message()) {
        check(&Format::Text.read(text.as_bytes(), &options()));
        check(&Format::Text.read(format!("#BTC/USDT LONG\nEntry: 100\nTP 110\nStop 95\n{text}").as_bytes(), &options()));
    }

    #[test]
    fn any_alert(alert in alert()) {
        check(&Format::TradingView.read(alert.to_string().as_bytes(), &options()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_damaged_export(changes in prop::collection::vec((0usize..700, leaf()), 1..6)) {
        for (format, file) in [
            (Format::Freqtrade, "freqtrade/trades-rest.json"),
            (Format::Jesse, "jesse/backtest.json"),
            (Format::BacktestKit, "backtest-kit/closed.json"),
            (Format::BacktestKit, "backtest-kit/storage.json"),
        ] {
            check(&format.read(damaged(&text(file), &changes).as_bytes(), &options()));
        }
    }
}

#[test]
fn the_property_sees_signals() {
    let good = json!({ "symbol": "BTCUSDT", "action": "buy", "price": 100, "targets": [101, "102"], "time": NOW });
    let reading = Format::TradingView.read(good.to_string().as_bytes(), &options());
    assert_eq!(reading.signals.len(), 1);
    check(&reading);
}
