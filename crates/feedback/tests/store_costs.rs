//! Statistics of signals that state their own costs, and of those that are closed in parts.

use domain::signal::Record;
use domain::time::{DAY_MS, Tz};
use feedback::{ClosedPart, StatsFilter};
use serde_json::{Value, json};
use testkit::home::{Home, on_both};
use testkit::{T0, btc};

const HOUR: i64 = DAY_MS / 24;

on_both!(own_costs_count, parts_are_told_apart, a_cancellation_without_a_cause_is_told);

/// A BUY at 100 with its stop at 98, and these further members.
fn buy(id: &str, more: Value) -> Record {
    let mut value = json!({
        "id": id, "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 100, "stopLoss": 98, "timestamp": T0,
    });
    let members = value.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    Record::given(value, Tz::UTC).unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

async fn own_costs_count(home: Home) {
    let mut store = home.open();
    for (id, more) in [
        ("as configured", json!({ "takeProfit": 104 })),
        ("own fee", json!({ "takeProfit": 104, "feeBps": 50 })),
        ("own funding", json!({ "takeProfit": 104, "fundingBpsPerDay": 24, "leverage": 10 })),
        (
            "in parts",
            json!({ "takeProfits": [{ "price": 102 }, { "price": 104 }], "feeBps": 20, "fundingBpsPerDay": 24 }),
        ),
    ] {
        store.record(buy(id, more)).await.unwrap();
    }
    store.on_price(&btc(), 102.0, T0 + 24 * HOUR).await.unwrap();
    let closed = store.on_price(&btc(), 104.0, T0 + 48 * HOUR).await.unwrap();
    let told: f64 = closed.iter().map(|closed| closed.earned.realized_r.unwrap()).sum();
    // 0.1 % as configured; 0.5 %; 0.1 % and two days of 0.24 %; 0.2 % and 1.5 days of it.
    let net = [3.9, 3.5, 3.9 - 0.48, 3.0 - 0.2 - 0.36];
    for _ in 0..2 {
        let f = store.stats(&StatsFilter::default()).unwrap().figures;
        assert_eq!((f.closed, f.signals_with_stop), (4, 4));
        assert!(near(f.total_r.unwrap(), net.iter().sum::<f64>() / 2.0) && near(f.total_r.unwrap(), told), "{f:?}");
        assert!(near(f.expectancy, net.iter().sum::<f64>() / 4.0), "{f:?}");
        store.close().await;
        store = home.open();
    }
}

async fn parts_are_told_apart(home: Home) {
    let mut store = home.open();
    let targets = json!([{ "price": 102, "share": 40 }, { "price": 104, "share": 40 }]);
    let managed = json!({ "takeProfits": targets, "stopRules": { "breakEvenAfterTarget": 1 } });
    store.record(buy("back to its entry", managed.clone())).await.unwrap();
    store.record(buy("plain", json!({ "takeProfit": 200 }))).await.unwrap();
    store.on_price(&btc(), 102.0, T0 + HOUR).await.unwrap();
    store.on_price(&btc(), 100.0, T0 + 2 * HOUR).await.unwrap();
    let mut later = managed.clone();
    later["timestamp"] = json!(T0 + 3 * HOUR);
    later["expiresAt"] = json!(T0 + 9 * HOUR);
    store.record(buy("to its expiry", later)).await.unwrap();
    store.on_price(&btc(), 104.0, T0 + 4 * HOUR).await.unwrap();
    store.on_price(&btc(), 103.0, T0 + 9 * HOUR).await.unwrap();
    for _ in 0..2 {
        let parts = store.stats(&StatsFilter::default()).unwrap().by_part.unwrap();
        let closed = |signals: u64, average_share: f64, total_profit: f64| {
            let average_profit = total_profit / signals as f64;
            Some(ClosedPart { signals, average_share, average_profit, total_profit })
        };
        assert_eq!(parts.signals, 2);
        let counts: Vec<_> =
            parts.targets.iter().map(|target| (target.number, target.signals, target.reached)).collect();
        assert_eq!(counts, [(1, 2, 2), (2, 2, 1)]);
        // At 102 and at 104, which jumped over the first target.
        assert_eq!(parts.targets[0].part, closed(2, 40.0, 0.4 * 2.0 + 0.4 * 4.0));
        assert_eq!(parts.targets[1].part, closed(1, 40.0, 0.4 * 4.0));
        assert_eq!((parts.stop, parts.hand), (closed(1, 60.0, 0.0), None));
        let expiry = parts.expiry.unwrap();
        assert!(near(expiry.average_share, 20.0) && near(expiry.total_profit, 0.2 * 3.0), "{expiry:?}");
        store.close().await;
        store = home.open();
    }
}

async fn a_cancellation_without_a_cause_is_told(home: Home) {
    let mut store = home.open();
    let end = json!({ "entryType": "limit", "takeProfit": 104, "outcome": "CANCELLED", "closedAt": T0 + HOUR });
    store.record(buy("recorded with its end", end)).await.unwrap();
    for _ in 0..2 {
        let f = store.stats(&StatsFilter::default()).unwrap().figures;
        assert_eq!((f.cancelled, f.causes().collect::<Vec<_>>()), (1, vec![("UNKNOWN", 1)]));
        store.close().await;
        store = home.open();
    }
}
