//! Signals for the tests of this crate.

use super::{Advice, Decision};
use domain::barrier::Outcome;
use domain::signal::{Closing, Record, Said, Signal, Source};
use domain::time::{HOUR_MS, Tz};
use learning::harm::Served;
use serde_json::{Value, json};

/// 2025-01-06, a Monday.
pub const T0: i64 = 1_736_121_600_000;

/// A BUY of BTCUSDT at 100 with its stop at 98 and its target at 104, so that R is 2 % of the entry. It was given so many hours
/// after [`T0`], and some keys replaced.
pub fn open(id: &str, hour: i64, changes: Value) -> Decision {
    let mut value = json!({ "id": id, "pair": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 100,
        "stopLoss": 98, "takeProfit": 104, "timestamp": T0 + hour * HOUR_MS, "strategy": "rsi" });
    value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Decision { record: Record::from(Signal::from_value(value, Source::Caller, Tz::UTC).unwrap()), advice: None }
}

/// [`open`], closed an hour later with this profit in R, before costs.
pub fn closed(id: &str, hour: i64, r: f64) -> Decision {
    ended(open(id, hour, json!({})), hour + 1, Outcome::by_profit(r), 2.0 * r)
}

/// Closes a signal so many hours after [`T0`].
pub fn ended(mut decision: Decision, hour: i64, outcome: Outcome, profit_percent: f64) -> Decision {
    let closed_ms = T0 + hour * HOUR_MS;
    decision.record.close(Closing { outcome, exit_price: None, profit_percent, closed_ms, excursion: None });
    decision
}

/// The same with advice.
pub fn said(decision: Decision, probability: f64, take: bool) -> Decision {
    let said = Said {
        probability,
        interval: (0.25, 0.75),
        base_rate: 0.5,
        prior: 0.4,
        shaped: true,
        expected_r: Some(0.125),
        expected_r_interval: None,
        departures: [0.0; 4],
        contributions: None,
        take,
        outcomes: 7,
    };
    Decision { advice: Some(Advice { said, threshold: 0.375, suggested_risk: 0.01, served: Served::All }), ..decision }
}

/// Whether two numbers are equal but for rounding.
pub fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}
