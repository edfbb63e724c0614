//! Signals are counted and listed by strategy and direction.

use domain::barrier::{Direction, Outcome};
use domain::signal::Record;
use feedback::StatsFilter;
use serde_json::json;
use testkit::home::{Home, on_both};
use testkit::{T0, signal};

on_both!(signals_are_counted_and_listed_by_strategy_and_direction);

const DAY: i64 = 24 * 3_600_000;

async fn signals_are_counted_and_listed_by_strategy_and_direction(home: Home) {
    let store = home.open();
    let own = |n: i64| {
        let (side, name) = if n % 3 == 0 { (-5.0, "SELL") } else { (5.0, "BUY") };
        signal(json!({ "id": n.to_string(), "strategy": if n % 2 == 0 { "even" } else { "odd" }, "signalType": name,
            "entryPrice": 100.0, "stopLoss": 100.0 - side, "takeProfit": 100.0 + side, "timestamp": T0 + n * DAY }))
    };
    store.record_all((0..12).map(own).collect()).await.unwrap();
    for n in 0..8 {
        let closed_ms = T0 + n * DAY + DAY / 2;
        assert!(store.close_signal(&n.to_string(), Outcome::Success, None, Some(1.0), closed_ms).await.unwrap());
    }
    let even = StatsFilter { strategy: Some("even".to_owned()), ..StatsFilter::default() };
    let even_sells = StatsFilter { direction: Some(Direction::Sell), ..even.clone() };
    let nobody = StatsFilter { strategy: Some("nobody".to_owned()), ..StatsFilter::default() };
    let counts = |filter: &StatsFilter| {
        let figures = store.stats(filter).unwrap().figures;
        (figures.closed, figures.active, store.ended(filter, &store.costs()).unwrap().len())
    };
    // Even: 0, 2, 4, 6 closed, 8 and 10 open. SELLs among them: 0 and 6, both closed.
    assert_eq!([counts(&even), counts(&even_sells), counts(&nobody)], [(4, 2, 4), (2, 0, 2), (0, 0, 0)]);
    // Again, and of all: the sums of one filter are not taken for those of another.
    assert_eq!([counts(&even_sells), counts(&StatsFilter::default())], [(2, 0, 2), (8, 4, 8)]);
    let ids = |records: Vec<Record>| records.into_iter().map(|record| record.signal.id).collect::<Vec<_>>();
    assert_eq!(ids(store.newest_closed(&even, 3).unwrap()), ["6", "4", "2"]);
    let (open, count) = store.newest_open(&even, 1).unwrap();
    assert_eq!((ids(open), count), (vec!["10".to_owned()], 2));
    let since = StatsFilter { since_ms: Some(T0 + 9 * DAY), ..even };
    assert_eq!(store.newest_open(&since, 9).unwrap().1, 1, "of those given then");
    assert!(store.newest_closed(&since, 9).unwrap().is_empty());
}
