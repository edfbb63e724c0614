//! Exports of Jesse and backtest-kit.

use super::{all, facts, fixture, json, options, text};
use domain::symbol::Timeframe;
use readers::{Format, Options, from_backtest_kit, from_jesse};
use serde_json::{Value, json};

#[test]
fn trades_of_jesse_are_closed_signals() {
    let signals = all(from_jesse(&text("jesse/backtest.json"), &options()));
    let expected = json!({
        "symbol": "BTCUSDT", "timeframe": "4h", "signalType": "SELL", "entryPrice": 43050.0, "timestamp": 1_704_211_200_000i64,
        "quantity": 0.205, "feeBps": 10.0, "strategy": "TrendFollow", "taken": false, "source": "jesse", "outcome": "FAILURE", "exitPrice": 43590.75,
        "closedAt": 1_704_240_000_000i64,
    });
    assert_eq!(facts(&signals[1]), expected);
    let outcomes: Vec<&Value> = signals.iter().map(|signal| &signal["outcome"]).collect();
    // An exit at the entry is no success.
    assert_eq!(outcomes, ["SUCCESS", "FAILURE", "SUCCESS", "FAILURE"]);
    let total: f64 = signals
        .iter()
        .map(|signal| {
            let number = |key: &str| signal[key].as_f64().unwrap();
            let sign = if signal["signalType"] == "BUY" { 1.0 } else { -1.0 };
            let (entered, left) = (number("quantity") * number("entryPrice"), number("quantity") * number("exitPrice"));
            sign * (left - entered) - (entered + left) * number("feeBps") / 20_000.0
        })
        .sum();
    let file = json("jesse/backtest.json");
    let said: f64 = file["trades"].as_array().unwrap().iter().map(|trade| trade["PNL"].as_f64().unwrap()).sum();
    assert!((total - said).abs() < 0.005, "{total} and {said}");
}

#[test]
fn the_timeframe_of_jesse_is_known_only_where_there_is_one() {
    let mut file = json("jesse/backtest.json");
    file["considering_timeframes"] = json!(["1m", "4h"]);
    let read = |options: &Options| all(from_jesse(&file.to_string(), options));
    assert!(!read(&options())[0].contains_key("timeframe"));
    let told = Options { timeframe: Timeframe::parse("4h").ok(), ..options() };
    assert_eq!(read(&told)[0]["timeframe"], "4h");
    // The list of trades alone.
    let mut alone = all(from_jesse(&file["trades"].to_string(), &told));
    assert!(alone.iter().all(|signal| !signal.contains_key("taken")));
    alone.iter_mut().for_each(|signal| drop(signal.insert("taken".to_owned(), json!(false))));
    let sorted = |signals: Vec<readers::Signal>| json!(signals);
    assert_eq!(sorted(alone), sorted(read(&told)));
}

#[test]
fn a_wrong_trade_of_jesse_is_refused() {
    for (key, value, place) in [
        ("type", json!("close"), "trades[2].type"),
        ("entry_price", json!(0), "trades[2].entry_price"),
        ("exit_price", json!(2300.0), "trades[2].PNL"),
        ("opened_at", Value::Null, "trades[2].opened_at"),
        ("symbol", json!(""), "trades[2].symbol"),
    ] {
        let mut file = json("jesse/backtest.json");
        file["trades"][2][key] = value;
        let reading = from_jesse(&file.to_string(), &options());
        assert_eq!((reading.signals.len(), reading.refused.len()), (3, 1));
        assert_eq!(reading.refused[0].place, place);
    }
    assert_eq!(from_jesse("{\"trades\": 5}", &options()).refused[0].place, "the file");
}

#[test]
fn closed_signals_of_backtest_kit_have_their_end() {
    let signals = all(from_backtest_kit(&text("backtest-kit/closed.json"), &options()));
    let ends: Vec<(&str, f64)> = signals
        .iter()
        .map(|signal| (signal["outcome"].as_str().unwrap(), signal["entryPrice"].as_f64().unwrap()))
        .collect();
    assert_eq!(ends[0], ("TOOK_PROFIT", 78000.0));
    assert_eq!(ends[1], ("STOPPED_OUT", 2300.0));
    assert_eq!(ends[2], ("SUCCESS", 78200.0));
    // Two entries of the same cost: the harmonic mean of 100 and 96.
    assert_eq!(ends[3].0, "SUCCESS");
    assert!((ends[3].1 - 2.0 / (1.0 / 100.0 + 1.0 / 96.0)).abs() < 1e-9);
    // A stop that was trailed into profit; the one at the entry stays the signal's.
    assert_eq!((ends[4].0, &signals[4]["stopLoss"]), ("STOPPED_OUT", &json!(95.0)));
    let expected = json!({
        "id": "0b9f6c1e-5d1a-4c7e-9a51-000000000002", "symbol": "ETHUSDT", "signalType": "SELL", "entryPrice": 2300.0, "stopLoss": 2350.0,
        "takeProfit": 2200.0, "timestamp": 1_770_113_220_000i64, "expiresAt": 1_770_199_620_000i64, "leverage": 5.0, "strategy": "breakout", "taken": false,
        "source": "backtest-kit", "outcome": "STOPPED_OUT", "exitPrice": 2350.0, "closedAt": 1_770_118_500_000i64,
    });
    assert_eq!(Value::Object(signals[1].clone()), expected);
    // No end of time is no expiry.
    assert!(!signals[3].contains_key("expiresAt"));
}

#[test]
fn the_profit_of_parts_is_the_one_of_backtest_kit_before_its_costs() {
    let signals = all(from_backtest_kit(&text("backtest-kit/closed.json"), &options()));
    let said = json("backtest-kit/closed.json")[2]["pnl"]["pnlPercentage"].as_f64().unwrap();
    let profit = signals[2]["profitLossPercent"].as_f64().unwrap();
    // Half at 79000, a quarter at 79600, a quarter at 78500.
    let by_hand = (0.5 * 800.0 + 0.25 * 1400.0 + 0.25 * 300.0) / 782.0;
    assert!((profit - by_hand).abs() < 1e-12, "{profit}");
    // Its costs are 0.1 % of fee and of slippage on each side.
    assert!((profit - 0.4 - said).abs() < 0.01, "{profit} and {said}");
    assert!(!signals[2].contains_key("exitPrice"));
}

#[test]
fn stored_rows_of_backtest_kit_wait_are_open_closed_or_cancelled() {
    let signals = all(from_backtest_kit(&text("backtest-kit/storage.json"), &options()));
    assert_eq!((&signals[0]["entryType"], signals[0].get("outcome")), (&json!("limit"), None));
    assert!(!signals[0].contains_key("expiresAt") && !signals[1].contains_key("entryType"));
    assert_eq!(signals[1]["timestamp"], 1_770_112_980_000i64);
    assert_eq!((&signals[2]["entryType"], &signals[2]["outcome"]), (&json!("limit"), &json!("CANCELLED")));
    assert!(signals[2].contains_key("closedAt") && !signals[2].contains_key("exitPrice"));
    assert_eq!(signals[3]["outcome"], "STOPPED_OUT");
}

#[test]
fn a_wrong_row_of_backtest_kit_is_refused() {
    for (path, value, place) in [
        ("/0/closeReason", json!("luck"), "[0].closeReason"),
        ("/0/signal/position", json!("up"), "[0].signal.position"),
        ("/0/signal/priceOpen", json!(-5), "[0].signal.priceOpen"),
        ("/0/action", json!("idle"), "[0].action"),
        ("/0/signal/originalPriceTakeProfit", json!(70000), "[0]"),
    ] {
        let mut file = json("backtest-kit/closed.json");
        *file.pointer_mut(path).unwrap() = value;
        let reading = from_backtest_kit(&file.to_string(), &options());
        assert_eq!((reading.signals.len(), reading.refused.len()), (4, 1), "{path}");
        assert_eq!(reading.refused[0].place, place);
    }
}

#[test]
fn formats_have_names_and_read_files() {
    for format in Format::ALL {
        assert_eq!(Format::named(format.as_str()), Some(format));
        assert_eq!(format.read(&[0xff, 0xfe], &options()).refused[0].value, "0xff");
    }
    assert_eq!(Format::named("mt4"), None);
    let zip = fixture("freqtrade/backtest-result-spot.zip");
    assert_eq!(Format::Freqtrade.read(&zip, &options()).signals.len(), 15);
    let marked = [b"\xef\xbb\xbf", text("jesse/backtest.json").as_bytes()].concat();
    assert_eq!(Format::Jesse.read(&marked, &options()).signals.len(), 4);
}
