//! Managed signals in a store: entries that wait, several targets, moving stops, and changes by hand.

use domain::barrier::{Outcome, Status};
use domain::signal::{Amendment, Cancellation, Change, Record, Update};
use domain::time::Tz;
use feedback::{CloseRequest, FeedbackStore};
use serde_json::{Value, json};
use testkit::home::{Home, on_both};
use testkit::{T0, btc, buy};

on_both!(
    a_limit_entry_with_two_targets_lives_through_restarts,
    one_call_with_many_prices_loses_none,
    a_caller_amends_reduces_and_cancels,
);

/// A BUY with a limit entry at 95, two targets and a stop that moves to the entry after the first.
fn channel(id: &str) -> Record {
    let value = json!({
        "id": id, "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 95, "entryType": "limit",
        "stopLoss": 90, "takeProfits": [{ "price": 100 }, { "price": 105 }],
        "stopRules": { "breakEvenAfterTarget": 1 }, "leverage": 10, "timestamp": T0,
    });
    Record::given(value, Tz::UTC).unwrap()
}

fn history(store: &FeedbackStore, id: &str) -> Vec<String> {
    store.get(id).unwrap().unwrap().history.iter().map(|event| event.what.to_string()).collect()
}

async fn a_limit_entry_with_two_targets_lives_through_restarts(home: Home) {
    let mut store = home.open();
    store.record(channel("a")).await.unwrap();
    let prices = [(99.0, false), (96.0, false), (95.0, false), (100.0, false), (94.0, true)];
    let record = Record::given(
        json!({ "id": "b", "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 95,
        "entryType": "limit", "stopLoss": 90, "takeProfits": [{ "price": 97.5 }], "timestamp": T0 }),
        Tz::UTC,
    )
    .unwrap();
    store.record(record).await.unwrap();
    for (at, (price, closes)) in prices.into_iter().enumerate() {
        let closed = store.on_price(&btc(), price, T0 + at as i64).await.unwrap();
        assert_eq!(!closed.is_empty(), closes, "{price}");
        store.close().await;
        store = home.open();
    }
    assert_eq!(
        history(&store, "a"),
        ["entered at 95", "target 1 reached at 100, 50 % closed", "stop moved to 95", "closed by the stop at 94",]
    );
    let record = store.get("a").unwrap().unwrap();
    let closing = record.closing.unwrap();
    assert_eq!((closing.outcome, closing.exit_price), (Outcome::Success, Some(97.0)));
    let earned = record.earned(&store.costs()).unwrap();
    let gross = 100.0 * 2.0 / 95.0;
    assert!((earned.net_profit_percent.unwrap() - (gross - 0.1)).abs() < 1e-9);
    assert!((earned.net_margin_percent.unwrap() - 10.0 * (gross - 0.1)).abs() < 1e-9);
    assert!((earned.realized_r.unwrap() - (gross - 0.1) / (100.0 * 5.0 / 95.0)).abs() < 1e-9);
    assert_eq!(history(&store, "b"), ["cancelled: the price reached the target before the entry"]);
    assert_eq!(store.get("b").unwrap().unwrap().closing.unwrap().outcome, Outcome::Cancelled);
}

async fn one_call_with_many_prices_loses_none(home: Home) {
    let store = home.open();
    store.record(channel("a")).await.unwrap();
    let symbol = btc();
    let ticks = [96.0, 95.0].map(|price| feedback::Tick { symbol: &symbol, price, time_ms: T0 + 200 - price as i64 });
    let closed = store.on_prices(&ticks).await.unwrap();
    assert!(closed.is_empty());
    let ticks = [100.0, 105.0].map(|price| feedback::Tick { symbol: &symbol, price, time_ms: T0 + 200 + price as i64 });
    let closed = store.on_prices(&ticks).await.unwrap();
    assert_eq!((closed.len(), closed[0].outcome, closed[0].earned.fills.len()), (1, Outcome::TookProfit, 3));
}

async fn a_caller_amends_reduces_and_cancels(home: Home) {
    let store = home.open();
    for id in ["a", "b"] {
        store.record(channel(id)).await.unwrap();
    }
    store.record(buy("plain")).await.unwrap();
    let cancel = |id: &str| store.change(id.to_owned(), Change::Cancel(Cancellation::default()), T0 + 5);
    assert!(cancel("b").await.unwrap());
    assert!(!cancel("b").await.unwrap(), "it has ended");
    assert!(cancel("plain").await.unwrap_err().to_string().contains("open since"));
    let amend = |value: Value| {
        let (id, amendment) = Amendment::from_json(value.as_object().unwrap().clone(), Tz::UTC).unwrap();
        store.change(id, Change::Amend(amendment), T0 + 6)
    };
    assert!(amend(json!({ "signalId": "plain", "stopLoss": 99 })).await.unwrap());
    let reduce = |id: &str, value: Value| {
        let mut map = value.as_object().unwrap().clone();
        map.insert("signalId".to_owned(), json!(id));
        store.close_by_hand(CloseRequest::new(Update::from_json(map, Tz::UTC).unwrap(), T0 + 7))
    };
    assert!(reduce("plain", json!({ "share": 40, "exitPrice": 104 })).await.unwrap());
    let error = reduce("plain", json!({ "share": 70, "exitPrice": 104 })).await.unwrap_err().to_string();
    assert!(error.contains("60 percent are open"), "{error}");
    let closed = store.on_price(&btc(), 98.0, T0 + 8).await.unwrap();
    assert_eq!(closed.len(), 1);
    assert!((closed[0].profit_percent - (0.4 * 4.0 - 0.6 * 2.0)).abs() < 1e-9);
    let trade = store.get("a").unwrap().unwrap().trade().unwrap();
    assert_eq!(trade.status(), Status::Pending);
}
