//! Alerts of TradingView, as people write them.

use super::{NOW, all, facts, options};
use domain::symbol::Timeframe;
use readers::{Options, Reading, from_tradingview};
use serde_json::{Value, json};

fn read(alert: &Value) -> Reading {
    from_tradingview(&alert.to_string(), &options())
}

#[test]
fn an_alert_of_an_indicator() {
    let alert = json!({
        "ticker": "BTCUSDT.P", "exchange": "BINANCE", "close": "67250.5", "timenow": "2026-02-27T09:56:03Z", "time": "2026-02-27T09:00:00Z",
        "interval": "60", "action": "buy", "sl": "66000", "tp1": "68500", "tp2": 70000, "rsi": "61.2", "trend_up": true,
        "indicators": { "atr": 420.5, "regime": "bull" }, "passphrase": "swordfish",
    });
    let signals = all(read(&alert));
    let expected = json!({
        "symbol": "BTCUSDT", "timeframe": "1h", "signalType": "BUY", "entryPrice": 67250.5, "stopLoss": 66000.0,
        "takeProfits": [{ "price": 68500.0 }, { "price": 70000.0 }], "timestamp": 1_772_186_163_000i64, "source": "tradingview",
        "indicators": { "rsi": 61.2, "trend_up": true, "atr": 420.5, "regime": "bull" },
    });
    assert_eq!(facts(&signals[0]), expected);
    assert!(!json!(signals).to_string().contains("swordfish"));
}

#[test]
fn an_alert_of_a_strategy_in_the_form_that_many_copy() {
    let alert = json!({
        "passphrase": "x", "time": "2026-02-27T10:00:00Z", "exchange": "BYBIT", "ticker": "ETHUSDT.P",
        "bar": { "time": "2026-02-27T09:00:00Z", "open": 2300.1, "high": 2310, "low": 2290, "close": 2305, "volume": 1234.5 },
        "strategy": {
            "position_size": -0.5, "order_action": "sell", "order_contracts": 0.5, "order_price": 2304.9, "order_id": "Short entry",
            "market_position": "short", "market_position_size": 0.5, "prev_market_position": "flat", "prev_market_position_size": 0,
        },
    });
    let signals = all(read(&alert));
    let expected = json!({
        "symbol": "ETHUSDT", "signalType": "SELL", "entryPrice": 2304.9, "timestamp": 1_772_186_400_000i64, "source": "tradingview",
        "tags": ["Short entry"],
    });
    assert_eq!(facts(&signals[0]), expected);
}

#[test]
fn keys_and_values_in_many_spellings() {
    let expected = json!({
        "symbol": "BTCUSDT", "timeframe": "4h", "signalType": "SELL", "confidence": 72.0, "entryPrice": 67250.0, "entryType": "limit",
        "stopLoss": 68000.0, "takeProfit": 65000.0, "timestamp": NOW, "expiresAt": NOW + 3_600_000, "leverage": 10.0, "strategy": "breaker",
        "source": "desk",
    });
    let alerts = [
        json!({ "pair": "BTC/USDT:USDT", "side": "short", "entry": "67,250", "stop_loss": 68000, "take_profit": 65000, "tf": "4h", "confidence": "72%",
            "order_type": "limit", "timestamp": NOW, "expires_at": "2026-03-01T01:00:00Z", "leverage": "10x", "strategy": "breaker" }),
        json!({ "SYMBOL": "BINANCE:BTCUSDT", "signal": "SELL", "entryPrice": 67250, "stopLoss": "$68,000", "takeProfits": [65000], "timeframe": "240",
            "confidence": 72, "entryType": "LIMIT", "timestamp": NOW / 1000, "expiresAt": NOW + 3_600_000, "lev": 10, "strategy_name": "breaker" }),
        json!({ "data": { "instrument": "btcusdt", "direction": "enter_short", "price": 67250, "close": 67251.5, "stop": 68000, "targets": ["65000"],
            "interval": 240, "confidence": "72", "type": "limit", "time": NOW.to_string(), "expiry": NOW + 3_600_000, "leverage": 10 }, "strategy": "breaker" }),
    ];
    for alert in alerts {
        let reading = from_tradingview(&alert.to_string(), &Options { source: Some("desk".to_owned()), ..options() });
        assert_eq!(facts(&all(reading)[0]), expected, "{alert}");
    }
}

#[test]
fn targets_may_have_shares() {
    let alert = json!({ "symbol": "SOLUSDT", "action": "buy", "price": 100, "takeProfits": [{ "price": 105, "share": 60 }, { "price": "110", "percent": "25" }] });
    assert_eq!(
        all(read(&alert))[0]["takeProfits"],
        json!([{ "price": 105.0, "share": 60.0 }, { "price": 110.0, "share": 25.0 }])
    );
    let both = json!({ "symbol": "SOLUSDT", "action": "buy", "price": 100, "tp": 105, "tp1": "105", "tp2": 110, "targets": [105, 110] });
    assert_eq!(all(read(&both))[0]["takeProfits"], json!([{ "price": 105.0 }, { "price": 110.0 }]));
}

#[test]
fn what_an_alert_does_not_say_is_the_option() {
    let timeless = from_tradingview("{\"symbol\":\"SOLUSDT\",\"action\":\"buy\",\"price\":1}", &Options::default());
    assert!(timeless.refused[0].problem.contains("says no time"));
    let alert = json!({ "symbol": "SOLUSDT", "action": "hold" });
    let told = Options {
        timeframe: Timeframe::parse("15m").ok(),
        confidence: Some(55.0),
        strategy: Some("mine".to_owned()),
        ..options()
    };
    let signals = all(from_tradingview(&alert.to_string(), &told));
    let expected = json!({ "symbol": "SOLUSDT", "timeframe": "15m", "signalType": "HOLD", "confidence": 55.0, "timestamp": NOW, "strategy": "mine", "source": "tradingview" });
    assert_eq!(facts(&signals[0]), expected);
    let said = json!({ "symbol": "SOLUSDT", "action": "hold", "interval": "D", "confidence": 80, "strategy": "its own", "id": "a-7" });
    let signals = all(from_tradingview(&said.to_string(), &told));
    assert_eq!(
        (&signals[0]["timeframe"], &signals[0]["confidence"], &signals[0]["id"]),
        (&json!("1d"), &json!(80.0), &json!("a-7"))
    );
}

#[test]
fn many_alerts_are_an_array_or_lines() {
    let alerts: Vec<Value> = ["buy", "flat", "sell"]
        .iter()
        .map(|side| json!({ "symbol": "SOLUSDT", "action": side, "price": 100 }))
        .collect();
    let array = from_tradingview(&json!(alerts).to_string(), &options());
    assert_eq!(array.signals.iter().map(|found| found.place.as_str()).collect::<Vec<_>>(), ["[0]", "[2]"]);
    assert_eq!(array.refused[0].place, "[1].action");
    let lines = format!("{}\n\n{}\r\n{}\n", alerts[0], alerts[1], alerts[2]);
    let lines = from_tradingview(&lines, &options());
    assert_eq!(lines.signals.iter().map(|found| found.place.as_str()).collect::<Vec<_>>(), ["line 1", "line 4"]);
    assert_eq!(lines.refused[0].place, "line 3.action");
    assert_eq!(lines.signals[0].signal, array.signals[0].signal);
}

#[test]
fn the_same_alert_has_the_same_id() {
    let alert = |time: i64| json!({ "symbol": "SOLUSDT", "action": "buy", "price": 100, "timenow": time });
    let id = |alert: &Value, at: i64| all(from_tradingview(&alert.to_string(), &Options::at(at)))[0]["id"].clone();
    assert_eq!(id(&alert(NOW), NOW), id(&alert(NOW), NOW + 5000));
    assert_ne!(id(&alert(NOW), NOW), id(&alert(NOW + 1), NOW));
    let timeless = json!({ "symbol": "SOLUSDT", "action": "buy", "price": 100 });
    assert_eq!(id(&timeless, NOW), id(&timeless, NOW));
    assert_ne!(id(&timeless, NOW), id(&timeless, NOW + 1));
}

#[test]
fn what_is_no_signal_or_unclear_is_refused_with_its_path() {
    let good = json!({ "symbol": "SOLUSDT", "action": "buy", "price": 100, "sl": 95 });
    assert_eq!(all(read(&good)).len(), 1);
    let cases: [(&str, Value, &str, &str); 20] = [
        ("symbol", json!("{{ticker}}"), "the alert.symbol", "has not filled"),
        ("symbol", json!("CME:BTC1!"), "the alert.symbol", "must be a pair"),
        ("symbol", Value::Null, "the alert", "must say its pair"),
        ("action", json!("close"), "the alert.action", "closes a position"),
        ("action", json!("exit_long"), "the alert.action", "closes a position"),
        ("action", json!("maybe"), "the alert.action", "must be buy, sell"),
        ("market_position", json!("flat"), "the alert.market_position", "closes a position"),
        ("market_position", json!("short"), "the alert.market_position", "closes a part"),
        ("side", json!("sell"), "the alert.side", "contradict"),
        ("price", json!("0,0315"), "the alert.price", "price above 0"),
        ("price", json!(0), "the alert.price", "price above 0"),
        ("price", Value::Null, "the alert", "must say its price"),
        ("sl", json!(105), "the alert", "`stopLoss` must be below"),
        ("sl", json!(0.5), "the alert", "100 times away"),
        ("tp", json!(99), "the alert", "`takeProfit` must be above"),
        ("sl_percent", json!(2), "the alert.sl_percent", "distance"),
        ("tp1_pips", json!(50), "the alert.tp1_pips", "distance"),
        ("interval", json!("45"), "the alert.interval", "timeframe"),
        ("confidence", json!(0.8), "the alert.confidence", "probability"),
        ("timenow", json!("yesterday"), "the alert.timenow", "ISO 8601"),
    ];
    for (key, value, place, problem) in cases {
        let mut alert = good.clone();
        alert[key] = value;
        let reading = read(&alert);
        assert_eq!(reading.signals, [], "{alert}");
        assert_eq!(reading.refused[0].place, place, "{alert}: {}", reading.refused[0]);
        assert!(reading.refused[0].problem.contains(problem), "{alert}: {}", reading.refused[0]);
    }
    let raw = |text: &str| {
        let refused = from_tradingview(text, &options()).refused.remove(0);
        (refused.place, refused.value)
    };
    assert_eq!(raw("{\n  \"price\": {{close}}\n}"), ("line 2, column 12".to_owned(), "{{close}}".to_owned()));
    assert_eq!(raw("BUY BTCUSDT"), ("line 1, column 1".to_owned(), "BUY BTCUSDT".to_owned()));
    assert_eq!(raw("5"), ("the alert".to_owned(), "5".to_owned()));
}
