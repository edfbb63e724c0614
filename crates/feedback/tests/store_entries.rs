//! Statistics of signals that wait for their entry.

use domain::signal::Record;
use domain::time::{DAY_MS, Tz};
use feedback::{HoldingTime, StatsFilter};
use serde_json::json;
use testkit::home::{Home, on_both};
use testkit::{T0, btc};

const HOUR: i64 = DAY_MS / 24;

on_both!(what_waits_counts_apart);

/// A BUY at 95 or below, with its stop at 90.
fn limit(id: &str, target: f64) -> Record {
    let value = json!({
        "id": id, "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 95, "entryType": "limit", "stopLoss": 90,
        "takeProfits": [{ "price": target }], "timestamp": T0,
    });
    Record::given(value, Tz::UTC).unwrap()
}

async fn what_waits_counts_apart(home: Home) {
    let mut store = home.open();
    for (id, target) in [("never entered", 98.0), ("entered and closed", 104.5), ("entered", 120.0)] {
        store.record(limit(id, target)).await.unwrap();
    }
    let f = store.stats(&StatsFilter::default()).unwrap().figures;
    assert_eq!((f.pending, f.active, f.cancelled, f.total, f.fill_rate), (3, 0, 0, 0, None));
    // 98 is the first one's target; at 95 the others are entered, at 104.5 one closes.
    for (price, hours) in [(99.0, 1), (95.0, 4), (104.5, 10)] {
        store.on_price(&btc(), price, T0 + hours * HOUR).await.unwrap();
    }
    store.record(limit("waits", 110.0)).await.unwrap();
    for _ in 0..2 {
        let stats = store.stats(&StatsFilter::default()).unwrap();
        let f = stats.figures;
        assert_eq!((f.pending, f.active, f.cancelled, f.closed, f.total), (1, 1, 1, 1, 2));
        assert_eq!(f.causes().collect::<Vec<_>>(), [("TARGET_BEFORE_ENTRY", 1)]);
        // Two of three.
        assert!((f.fill_rate.unwrap() - 200.0 / 3.0).abs() < 1e-9, "{:?}", f.fill_rate);
        let hours =
            |hours: i64| HoldingTime { signals: 1, mean_ms: (hours * HOUR) as f64, median_ms: (hours * HOUR) as f64 };
        assert_eq!((stats.holding.time_to_fill(), stats.holding.times().wins), (Some(hours(4)), Some(hours(6))));
        // A profit of 10 % with the stop 5/95 away, minus 0.1 %.
        assert!((f.average_r.unwrap() - 9.9 / (500.0 / 95.0)).abs() < 1e-6, "{:?}", f.average_r);
        // Since the entry: one for 6 hours, one still.
        let exposure = stats.exposure(T0 + 44 * HOUR).unwrap();
        assert_eq!((exposure.from_ms, exposure.open_time_percent), (T0 + 4 * HOUR, 100.0));
        assert!((exposure.average_open - 46.0 / 40.0).abs() < 1e-12, "{exposure:?}");
        store.close().await;
        store = home.open();
    }
}
