//! How far the price went for and against signals while they were open, and trailing stops that survive the process.

use domain::barrier::What;
use domain::candle::Candle;
use domain::signal::{Excursion, Record, Update};
use domain::time::Tz;
use feedback::{CloseRequest, FeedbackStore};
use serde_json::{Value, json};
use testkit::home::{Home, on_both};
use testkit::{T0, btc};

on_both!(
    the_furthest_prices_of_a_whole_life_are_kept,
    a_life_that_was_not_seen_whole_has_none,
    candles_count_up_to_the_exit,
    a_managed_signal_is_followed_from_its_entry,
    a_closing_by_hand_knows_them_too,
    a_trailing_stop_is_stored_while_prices_run,
);

const MINUTE: i64 = 60_000;

/// A BUY at 100 with a stop at 90 and a target at 120, given this many minutes after `T0`.
fn signal(id: &str, minutes: i64, more: Value) -> Record {
    let mut value = json!({
        "id": id, "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 100, "stopLoss": 90, "takeProfit": 120,
        "timestamp": T0 + minutes * MINUTE,
    });
    for (key, member) in more.as_object().unwrap() {
        value[key] = member.clone();
    }
    Record::given(value, Tz::UTC).unwrap()
}

async fn price(store: &FeedbackStore, minutes: i64, price: f64) -> usize {
    store.on_price(&btc(), price, T0 + minutes * MINUTE).await.unwrap().len()
}

/// The excursion of a closed signal: for it, and against it.
fn reach(store: &FeedbackStore, id: &str) -> Option<(f64, f64)> {
    let record = store.get(id).unwrap().unwrap();
    let excursion = record.closing.unwrap().excursion;
    let earned = record.earned(&store.costs()).unwrap();
    // The risk of these signals is 10 % of the entry.
    let in_r = |r: Option<f64>| r.map(|r| r * 10.0);
    assert!(excursion.is_some() == earned.mfe_r.is_some() && earned.mfe_r.is_some() == earned.mae_r.is_some());
    let Excursion { best_percent, worst_percent } = excursion?;
    assert!((in_r(earned.mfe_r)? - best_percent).abs() < 1e-9 && (in_r(earned.mae_r)? - worst_percent).abs() < 1e-9);
    Some(((best_percent * 1e6).round() / 1e6, (worst_percent * 1e6).round() / 1e6))
}

async fn the_furthest_prices_of_a_whole_life_are_kept(home: Home) {
    let store = home.open();
    store.record(signal("a", 0, json!({}))).await.unwrap();
    for (minutes, at) in [(1, 96.0), (2, 108.0), (3, 97.0)] {
        assert_eq!(price(&store, minutes, at).await, 0);
    }
    store.record(signal("b", 3, json!({}))).await.unwrap();
    let sell = json!({ "signalType": "SELL", "stopLoss": 110, "takeProfit": 91 });
    store.record(signal("c", 4, sell)).await.unwrap();
    price(&store, 4, 101.0).await;
    assert_eq!(price(&store, 5, 89.0).await, 3);
    assert_eq!(reach(&store, "a"), Some((8.0, 11.0)));
    assert_eq!(reach(&store, "b"), Some((1.0, 11.0)), "with the price of its very time");
    assert_eq!(reach(&store, "c"), Some((11.0, 1.0)));
}

async fn a_life_that_was_not_seen_whole_has_none(home: Home) {
    let store = home.open();
    store.record(signal("before", 0, json!({}))).await.unwrap();
    price(&store, 1, 105.0).await;
    store.close().await;
    let store = home.open();
    price(&store, 2, 101.0).await;
    store.record(signal("after", 2, json!({}))).await.unwrap();
    store.record(signal("late", 0, json!({ "expiresAt": T0 + 15 * MINUTE }))).await.unwrap();
    price(&store, 3, 121.0).await;
    assert_eq!(reach(&store, "after"), Some((21.0, 0.0)));
    assert_eq!((reach(&store, "before"), reach(&store, "late")), (None, None));
    // A quarter of an hour without a price.
    store.record(signal("gap", 4, json!({}))).await.unwrap();
    price(&store, 4, 101.0).await;
    price(&store, 19, 101.0).await;
    assert_eq!(price(&store, 20, 121.0).await, 1);
    assert_eq!(reach(&store, "gap"), None);
}

async fn candles_count_up_to_the_exit(home: Home) {
    let store = home.open();
    let candle = |hour: i64, prices: [f64; 4]| {
        let [open, high, low, close] = prices;
        Candle { open_ms: T0 + hour * 60 * MINUTE, open, high, low, close, volume: 1.0 }
    };
    for (id, minutes) in [("early", 1), ("middle", 30), ("next", 60)] {
        store.record(signal(id, minutes, json!({}))).await.unwrap();
    }
    let symbol = btc();
    let give = |hour, prices| {
        let (store, symbol, candle) = (&store, &symbol, candle(hour, prices));
        async move { store.on_candle(symbol, &candle, 60 * MINUTE).await.unwrap().len() }
    };
    assert_eq!(give(0, [100.0, 108.0, 96.0, 101.0]).await, 0);
    assert_eq!(give(1, [101.0, 104.0, 97.0, 99.0]).await, 0);
    // The stop comes first; so the price cannot have been at the target, and what is below the stop comes later.
    assert_eq!(give(2, [99.0, 125.0, 80.0, 81.0]).await, 3);
    assert_eq!(reach(&store, "early"), Some((20.0, 10.0)));
    assert_eq!(reach(&store, "next"), Some((20.0, 10.0)));
    assert_eq!(reach(&store, "middle"), None, "nobody knows what came before it in its candle");
    // A minute after the close of the last candle, which would count for a signal of its very time.
    store.record(signal("gap", 181, json!({}))).await.unwrap();
    assert_eq!(give(3, [100.0, 103.0, 98.0, 99.0]).await, 0);
    // It opens beyond the stop: nothing of this candle was in its life.
    assert_eq!(give(4, [85.0, 110.0, 80.0, 109.0]).await, 1);
    assert_eq!(reach(&store, "gap"), Some((3.0, 15.0)));
    store.close().await;
}

async fn a_managed_signal_is_followed_from_its_entry(home: Home) {
    let store = home.open();
    let terms = json!({ "entryType": "limit", "takeProfit": null, "takeProfits": [{ "price": 105 }, { "price": 110 }],
        "stopRules": { "breakEvenAfterTarget": 1 } });
    store.record(signal("a", 0, terms.clone())).await.unwrap();
    for (minutes, at) in [(1, 104.0), (2, 99.0), (3, 97.0), (4, 106.0), (5, 104.0)] {
        assert_eq!(price(&store, minutes, at).await, 0);
    }
    assert_eq!(price(&store, 6, 99.5).await, 1);
    assert_eq!(reach(&store, "a"), Some((6.0, 3.0)), "the 104 came before the entry");
    // A candle that comes back to the entry: its low counts, its high came before.
    store.record(signal("b", 7, terms)).await.unwrap();
    let candle = |minute, [open, high, low, close]: [f64; 4]| Candle {
        open_ms: T0 + minute * MINUTE,
        open,
        high,
        low,
        close,
        volume: 1.0,
    };
    for (minute, prices, closed) in
        [(7, [103.0, 104.5, 96.0, 101.0], 0), (8, [101.0, 102.0, 100.0, 102.0], 0), (9, [102.0, 102.0, 89.0, 91.0], 1)]
    {
        let symbol = btc();
        assert_eq!(store.on_candle(&symbol, &candle(minute, prices), MINUTE).await.unwrap().len(), closed);
    }
    assert_eq!(reach(&store, "b"), Some((2.0, 10.0)));
}

async fn a_closing_by_hand_knows_them_too(home: Home) {
    let store = home.open();
    for id in ["now", "past", "hidden"] {
        store.record(signal(id, 0, json!({}))).await.unwrap();
    }
    for (minutes, at) in [(1, 96.0), (2, 108.0), (3, 103.0), (4, 104.0)] {
        price(&store, minutes, at).await;
    }
    let close = |id: &str, minutes: i64, exit: f64| {
        let closing =
            json!({ "signalId": id, "outcome": "SUCCESS", "exitPrice": exit, "closedAt": T0 + minutes * MINUTE });
        let update = Update::from_json(closing.as_object().unwrap().clone(), Tz::UTC).unwrap();
        store.close_by_hand(CloseRequest::new(update, T0 + 10 * MINUTE))
    };
    assert!(close("now", 5, 104.0).await.unwrap() && close("past", 3, 103.0).await.unwrap());
    assert!(close("hidden", 1, 101.0).await.unwrap());
    assert_eq!(reach(&store, "now"), Some((8.0, 4.0)));
    assert_eq!(reach(&store, "past"), Some((8.0, 4.0)));
    assert_eq!(reach(&store, "hidden"), None, "the 108 that came later hides how far the price went before");
}

async fn a_trailing_stop_is_stored_while_prices_run(home: Home) {
    let store = home.open();
    let terms = json!({ "takeProfit": null, "stopRules": { "trail": { "distance": 5 } } });
    store.record(signal("a", 0, terms)).await.unwrap();
    // Its risk is 10, so a stop that moved by less than 1 is not worth a line, and none is stored in the same minute.
    for (seconds, at) in [(1, 100.0), (2, 106.0), (20, 108.0), (61, 107.0), (62, 107.5), (63, 108.5), (200, 109.2)] {
        let closed = store.on_price(&btc(), at, T0 + seconds * 1000).await.unwrap();
        assert!(closed.is_empty(), "{at}");
    }
    let stops = |store: &FeedbackStore| {
        let history = store.get("a").unwrap().unwrap().history;
        history
            .iter()
            .filter_map(|event| match event.what {
                What::Stop { price, .. } => Some((price, (event.at - T0) / 1000)),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(stops(&store), [(101.0, 2), (103.0, 62), (109.2 - 5.0, 200)]);
    store.close().await;
    // Another process knows no better price, but the stop.
    let store = home.open();
    let closed = store.on_price(&btc(), 104.0, T0 + 201_000).await.unwrap();
    assert_eq!((closed.len(), closed[0].exit_price), (1, Some(104.0)));
}
