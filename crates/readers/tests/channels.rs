//! Messages of channels, in the forms that are posted.

use super::{NOW, all, facts, options};
use domain::symbol::Timeframe;
use readers::{Options, from_text};
use serde_json::{Value, json};

fn read(text: &str) -> Value {
    let mut signals = all(from_text(text, &options()));
    assert_eq!(signals.len(), 1);
    let mut signal = facts(&signals.remove(0));
    let fields = signal.as_object_mut().unwrap();
    assert_eq!(fields.shift_remove("source"), Some(json!("text")));
    assert_eq!(fields.shift_remove("timestamp"), Some(json!(NOW)));
    signal
}

#[test]
fn the_form_of_cornix() {
    let text = "⚡⚡ #BTC/USDT ⚡⚡
Exchanges: Binance Futures, ByBit USDT
Signal Type: Regular (Long)
Leverage: Isolated (10.0X)

Entry Targets:
1) 67,250.5 - 100.0%

Take-Profit Targets:
1) 68500 - 50.0%
2) 70000 - 30.0%
3) 72,500 - 20.0%

Stop Targets:
1) 66000 - 100.0%

Trailing Configuration:
Entry: Percentage (0.0%)
Take-Profit: Percentage (0.5%)
Stop: Breakeven -
  Trigger: Target (1)

Published By: @somebody
";
    let expected = json!({
        "symbol": "BTCUSDT", "signalType": "BUY", "entryPrice": 67250.5, "entryType": "limit", "stopLoss": 66000.0,
        "takeProfits": [{ "price": 68500.0, "share": 50.0 }, { "price": 70000.0, "share": 30.0 }, { "price": 72500.0, "share": 20.0 }],
        "stopRules": { "breakEvenAfterTarget": 1 }, "leverage": 10.0,
    });
    assert_eq!(read(text), expected);
}

#[test]
fn a_zone_and_targets_without_shares() {
    let text = "#1000PEPE/USDT\nExchanges: Bybit USDT\nSignal Type: Regular (Short)\nLeverage: Isolated (5X)\n\n\
        Entry Zone: 0.0115 - 0.0119\n\nTake-Profit Targets:\n1) 0.0112\n2) 0.0108\n3) 🚀🚀🚀\n\nStop Targets:\n1) 0.0123\n\n\
        Trailing Configuration:\nStop: Breakeven - Trigger: Target (2)";
    let expected = json!({
        "symbol": "1000PEPEUSDT", "signalType": "SELL", "entryZone": { "low": 0.0115, "high": 0.0119 }, "stopLoss": 0.0123,
        "takeProfits": [{ "price": 0.0112 }, { "price": 0.0108 }], "stopRules": { "breakEvenAfterTarget": 2 }, "leverage": 5.0,
    });
    assert_eq!(read(text), expected);
}

/// Messages that say the same in other forms.
#[test]
fn many_forms_of_one_signal() {
    let expected = json!({
        "symbol": "BANDUSDT", "signalType": "SELL", "entryZone": { "low": 1.07, "high": 1.105 }, "stopLoss": 1.134,
        "takeProfits": [{ "price": 1.059 }, { "price": 1.048 }, { "price": 1.037 }], "leverage": 20.0,
    });
    let forms = [
        "#BAND/USDT\n🔴 SHORT\n👆 Entry: 1.0700 - 1.1050\n🌐 Leverage: 20x\n🎯 Target 1: 1.0590\n🎯 Target 2: 1.0480\n🎯 Target 3: 1.0370\n❌ StopLoss: 1.1340",
        "COIN: $BAND/USDT\nDirection: SHORT\nExchange: Binance Futures\nLeverage: 20x\n\nENTRY: 1.07 - 1.105\n\nTARGETS: 1.059 - 1.048 - 1.037\n\nSTOP LOSS: 1.134\n➖➖➖➖➖\nSomebody Trading",
        "Short #BANDUSDT\n\nBybit USDT, Binance\n\nEntry: 1.07-1.105\n\nLEVERAGE: 20х\n\nTargets: 1.059-1.048-1.037\n\nStop-loss - 1.134",
        "📊 FUTURES Exchanges: Binance, ByBit USDT\n\n#BANDUSDT\n\n🔴SHORT ENTRY :- 1.105 - 1.07\n\nLeverage: Cross (20X)\n\n👇TAKE PROFIT\n\n1) 1.059\n2) 1.048\n3) 1.037\n\nStop Loss : - 1.134",
        "BAND/USDT SHORT\nEntry1: 1.07\nEntry2: 1.105\nTP1 1.059 TP2 1.048 TP3 1.037\nSL 1.134\nLeverage: 20x",
        "#BAND/USDT\nSHORT\nLeverage 20x \n\nEntry around:\n 1.07\n1.105\n\nTargets\n1.059\n1.048\n1.037\n\nSL\n1.134",
        "⚡⚡ BAND/USDT ⚡\nSignal Type: Regular (Short)\nLeverage: Cross (20x)\nEntry Targets: 1) 1.07 2) 1.105\nTake-Profit Targets: 1.059, 1.048, 1.037\nStop Targets: 1) 1.134",
        "**BANDUSDT.P SELL**\nEntry Targets:\n1) 1.07\n\n2) 1.105\nTP: 1.059\nTP: 1.048\nTP: 1.037\nSL: 1.134\nLeverage: 20x\nMargin: CROSS",
        "BAND/USDT short | Entry 1.07 to 1.105 | TP1: 1.059 (+1.5%) TP2: 1.048 (+2.5%) TP3: 1.037 (+3.6%) | SL: 1.134 (-5%) | Leverage: 20x",
        "🔥 VIP CRYPTO SIGNAL 🔥\n(Signal Quality Score: 95/100 ⭐️)\n\n📌 Pair: #BANDUSDT\n📊 Action: SELL\n🎯 Entry Price: $1.07 – $1.105\n\n💰 Take-Profit Targets:\n1️⃣ TP1: $1.059\n2️⃣ TP2: $1.048\n3️⃣ TP3: $1.037\n\n🛡️ Stop Loss: $1.134\n⚡ Leverage: 20x",
        // The side follows from the stop.
        "#BAND/USDT\nEntry 1.07 - 1.105\nTP 1.059\nTP 1.048\nTP 1.037\nStop 1.134\nLeverage: 20x",
    ];
    for form in forms {
        assert_eq!(read(form), expected, "{form}");
    }
}

#[test]
fn one_line_and_prices_to_buy_and_sell_at() {
    let expected = json!({ "symbol": "BTCUSDT", "signalType": "BUY", "entryPrice": 67250.0, "entryType": "limit", "stopLoss": 66000.0, "takeProfit": 68000.0 });
    for form in [
        "BUY BTCUSDT @ 67,250 SL 66000 TP 68000",
        "BTCUSDT LONG Entry 67250 Target 68000 Stop 66000",
        "#BTC/USDT\nBuy: 67250\nSell: 68000\nStop: 66000",
        "BTC-USDT\nBuy at 67250\nTake profit at 68000\nS/L 66000",
        "long btc/usdt\nentry 67250\ntp1 68000\nsl 66000",
        "🟢 #BTC/USDT\nEntry: 67250 USDT\nTarget (1): 68000\nStop-Loss: 66000",
    ] {
        assert_eq!(read(form), expected, "{form}");
    }
    let short = "#BTC/USDT\nSell 67250\nTP 66500\nSL 68000";
    assert_eq!((&read(short)["signalType"], &read(short)["entryPrice"]), (&json!("SELL"), &json!(67250.0)));
}

#[test]
fn an_entry_is_a_limit_a_stop_or_at_the_market() {
    let kind = |entry: &str| read(&format!("#ETH/USDT LONG\n{entry}\nTP: 2500\nSL: 2100"))["entryType"].clone();
    assert_eq!(kind("Entry: 2300"), "limit");
    assert_eq!(kind("Enter above 2300"), "stop");
    assert_eq!(kind("Signal Type: Breakout (Long)\nEntry: 2300"), "stop");
    assert_eq!(kind("Entry: 2300 (market)"), "limit");
    assert_eq!(kind("Entry: market 2300"), Value::Null);
    assert_eq!(kind("BUY NOW 2300"), Value::Null);
}

#[test]
fn the_stop_moves_as_the_message_says() {
    let rules = |trailing: &str| {
        let text = format!("#BTC/USDT LONG\nEntry: 100\nTargets: 102, 104, 107\nStop: 96\n\n{trailing}");
        read(&text).get("stopRules").cloned().unwrap_or_default()
    };
    assert_eq!(rules("Trailing Configuration:\nStop: Without"), Value::Null);
    assert_eq!(rules("Trailing Configuration:\nStop: Breakeven"), json!({ "breakEvenAfterTarget": 1 }));
    assert_eq!(
        rules("Trailing Configuration:\nStop: Moving Target -\n Trigger: Target (1)"),
        json!({ "breakEvenAfterTarget": 1, "moveTo": [{ "afterTarget": 2, "price": 102.0 }, { "afterTarget": 3, "price": 104.0 }] })
    );
    assert_eq!(
        rules("Trailing Configuration:\nStop: Moving 2 Target -\n  Trigger: Target (2)"),
        json!({ "breakEvenAfterTarget": 2, "moveTo": [{ "afterTarget": 3, "price": 102.0 }] })
    );
    assert_eq!(
        rules("Trailing Configuration:\nStop: Percent Below Triggers (1%) -\n Trigger: Target (2)"),
        json!({ "moveTo": [{ "afterTarget": 2, "price": 104.0 * 0.99 }, { "afterTarget": 3, "price": 107.0 * 0.99 }] })
    );
    // The risk is 4; the second target gains as much, and 3 % three quarters of it.
    assert_eq!(
        rules("Trailing Configuration:\nStop: Percent Below Highest (1.5%) -\n Trigger: Target (2)"),
        json!({ "trail": { "percent": 1.5, "activateAtR": 1.0 } })
    );
    assert_eq!(
        rules("Trailing Configuration:\nStop: Percent Below Highest (1.5%) - Trigger: Percent (3%)"),
        json!({ "trail": { "percent": 1.5, "activateAtR": 0.75 } })
    );
    for words in
        ["⚠️ Advice: Move SL to Entry after TP1 hits!", "Move your stop loss to break-even once target 1 is hit"]
    {
        assert_eq!(rules(words), json!({ "breakEvenAfterTarget": 1 }), "{words}");
    }
}

#[test]
fn a_percentage_beside_a_target_is_a_share_or_its_gain() {
    let targets = |targets: &str| {
        read(&format!("#BTC/USDT LONG\nLeverage: 10x\nEntry: 100\n{targets}\nStop: 96"))["takeProfits"].clone()
    };
    let plain = json!([{ "price": 102.0 }, { "price": 105.0 }]);
    assert_eq!(targets("TP1: 102 (2%)\nTP2: 105 (5%)"), plain);
    assert_eq!(targets("TP1: 102 (20%)\nTP2: 105 (50%)"), plain);
    assert_eq!(targets("TP1: 102 (+80%)\nTP2: 105"), plain);
    let shares = json!([{ "price": 102.0, "share": 60.0 }, { "price": 105.0, "share": 40.0 }]);
    assert_eq!(targets("TP1: 102 (60%)\nTP2: 105 (40%)"), shares);
    assert_eq!(targets("TP1: 102 - 60%\nTP2: 105 - 40%"), shares);
}

#[test]
fn what_else_a_message_says() {
    let text = "• Confidence: 86.6%\nFXS/USDT\nShort\nTimeframe: 4H\nSignal Time: 2026-02-27 05:01:24 UTC\nLeverage: 10x - 20x\nEntry: 0.88060\nTarget 1: 0.85198\nStop Loss: 0.89601\nCross Margin & Auto Leverage\n- Comprehensive Risk Management";
    let signals =
        all(from_text(text, &Options { confidence: Some(50.0), timeframe: Timeframe::parse("1h").ok(), ..options() }));
    let expected = json!({
        "symbol": "FXSUSDT", "timeframe": "4h", "signalType": "SELL", "confidence": 86.6, "entryPrice": 0.8806, "entryType": "limit",
        "stopLoss": 0.89601, "takeProfit": 0.85198, "timestamp": 1_772_168_484_000i64, "source": "text",
    });
    assert_eq!(facts(&signals[0]), expected);
}

#[test]
fn messages_are_separated_by_dashes() {
    let text = "#BTC/USDT LONG\nEntry: 100\nTP: 110\n-----\nStop: 95\n---\n\n#ETH/USDT SHORT\nEntry: 50\nTP: 40\nStop: 55\n---\n#SOL/USDT\nTake-Profit target 1 ✅\nProfit: 25% 📈";
    let reading = from_text(text, &options());
    let read: Vec<_> = reading
        .signals
        .iter()
        .map(|found| (found.place.as_str(), &found.signal["symbol"], &found.signal["stopLoss"]))
        .collect();
    assert_eq!(read, [("line 1", &json!("BTCUSDT"), &json!(95.0)), ("line 7", &json!("ETHUSDT"), &json!(55.0))]);
    assert_eq!(reading.refused.len(), 1);
    assert_eq!(
        (reading.refused[0].place.as_str(), reading.refused[0].problem.as_str()),
        ("line 13", "a message must say the price of its entry")
    );
}

#[test]
fn the_same_message_has_the_same_id() {
    let text = "#BTC/USDT LONG\nEntry: 100\nTP: 110\nStop: 95";
    let id = |text: &str, at: i64| all(from_text(text, &Options::at(at)))[0]["id"].clone();
    assert_eq!(id(text, NOW), id("  #BTC/USDT  LONG\r\nEntry: 100\n\nTP: 110\nStop: 95\n", NOW));
    assert_ne!(id(text, NOW), id(text, NOW + 1));
    assert_ne!(id(text, NOW), id("#BTC/USDT LONG\nEntry: 100\nTP: 111\nStop: 95", NOW));
}
