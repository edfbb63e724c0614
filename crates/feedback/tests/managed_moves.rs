//! Managed signals that a price, a caller and another process change at the same moment; and what a log must not lose of them.

use super::managed::{amend, channel, history, managed, words};
use domain::barrier::{Event, Outcome, Terms, Trade, What};
use domain::config::Durability;
use domain::error::Error;
use domain::signal::{Closing, Record};
use domain::symbol::Symbol;
use feedback::{FeedbackStore, StoreOptions, Tick};
use serde_json::json;
use testkit::home::{Home, on_both};
use testkit::{T0, btc, quick_home, signal};

on_both!(
    an_amendment_amid_prices_loses_none,
    two_that_follow_the_same_prices_store_each_event_once,
    a_plain_signal_amended_as_a_price_closes_it_is_one_or_the_other,
    a_stop_that_trailed_does_not_loosen_when_the_signal_is_amended,
    a_signal_that_comes_again_with_its_end_is_closed,
    there_is_an_end_of_changes_by_hand_but_not_of_prices,
    a_long_record_has_room_for_what_prices_do,
);

const ROUNDS: usize = 40;

fn quick() -> StoreOptions {
    StoreOptions { durability: Durability::Os, ..StoreOptions::default() }
}

fn numbered(mut record: Record, number: usize) -> (String, Symbol, Record) {
    record.signal.id = number.to_string();
    record.signal.symbol = Symbol::parse(&format!("M{number}USDT")).unwrap();
    (record.signal.id.clone(), record.signal.symbol.clone(), record)
}

/// The history can have happened, and the record ends as it does.
fn assert_whole(record: &Record) {
    let levels = record.signal.levels().unwrap();
    let mut trade = Trade::new(levels, record.signal.terms.as_deref().unwrap_or(&Terms::default()));
    for event in &record.history {
        assert_eq!(trade.refuses(event), None, "{record:?}");
        trade.apply(event);
    }
    // How far the price went is not in the history.
    let closing = record.closing.map(|closing| Closing { excursion: None, ..closing });
    assert!(record.history.is_empty() || trade.closing() == closing, "{record:?}");
}

async fn an_amendment_amid_prices_loses_none(home: Home) {
    let store = home.open_with(quick());
    for round in 0..ROUNDS {
        let (id, symbol, record) = numbered(channel("a"), round);
        store.record(record).await.unwrap();
        let tick = |price, at| Tick { symbol: &symbol, price, time_ms: T0 + at };
        let amended = store.change(id.clone(), amend(json!({ "expiresAt": T0 + 1_000_000 })), T0 + 1);
        // Entered, and its first target reached: whether this process knows of the amendment or not.
        let prices = [tick(95.0, 2), tick(100.0, 3)];
        let priced = store.on_prices(&prices);
        let (amended, priced) = tokio::join!(amended, priced);
        assert!(amended.unwrap() && priced.unwrap().is_empty());
        let record = store.get(&id).unwrap().unwrap();
        assert_whole(&record);
        assert_eq!(
            words(&record.history),
            ["amended", "entered at 95", "target 1 reached at 100, 50 % closed", "stop moved to 95"],
            "round {round}"
        );
        let amended = store.change(id.clone(), amend(json!({ "takeProfits": [{ "price": 120 }] })), T0 + 4);
        let stopped = [tick(94.0, 5)];
        let (amended, closed) = tokio::join!(amended, store.on_prices(&stopped));
        amended.unwrap();
        assert_eq!(closed.unwrap().len(), 1, "round {round}");
        assert_whole(&store.get(&id).unwrap().unwrap());
    }
}

async fn two_that_follow_the_same_prices_store_each_event_once(home: Home) {
    let (one, two) = (home.open_with(quick()), home.open_with(quick()));
    for round in 0..ROUNDS {
        let (id, symbol, record) = numbered(channel("a"), round);
        one.record(record).await.unwrap();
        two.get(&id).unwrap();
        let mut closed = 0;
        for (at, price) in [(1, 95.0), (2, 100.0), (3, 105.0)] {
            let (by_one, by_two) =
                tokio::join!(one.on_price(&symbol, price, T0 + at), two.on_price(&symbol, price, T0 + at));
            closed += by_one.unwrap().len() + by_two.unwrap().len();
        }
        assert_eq!(closed, 1, "round {round}");
        for store in [&one, &two] {
            assert_eq!(
                history(store, &id),
                [
                    "entered at 95",
                    "target 1 reached at 100, 50 % closed",
                    "stop moved to 95",
                    "target 2 reached at 105, 50 % closed"
                ],
                "round {round}"
            );
        }
    }
    assert_eq!((one.recovery(), two.recovery()), Default::default());
}

async fn a_plain_signal_amended_as_a_price_closes_it_is_one_or_the_other(home: Home) {
    let store = home.open_with(quick());
    for round in 0..ROUNDS {
        let (id, symbol, record) = numbered(signal(json!({})).into(), round);
        store.record(record).await.unwrap();
        // 94 is beyond the old stop and not beyond the new one.
        let amended = store.change(id.clone(), amend(json!({ "stopLoss": 90 })), T0 + 1);
        let (amended, closed) = tokio::join!(amended, store.on_price(&symbol, 94.0, T0 + 2));
        let (amended, closed) = (amended.unwrap(), closed.unwrap());
        assert_eq!((amended, closed.len()), (true, 0), "the amendment was first: round {round}");
        let record = store.get(&id).unwrap().unwrap();
        assert_whole(&record);
        assert_eq!(record.closing, None);
        // It can be found again.
        assert_eq!(store.on_price(&symbol, 89.0, T0 + 3).await.unwrap().len(), 1, "round {round}");
        assert_eq!(history(&store, &id), ["amended", "closed by the stop at 89"]);
    }
}

async fn a_stop_that_trailed_does_not_loosen_when_the_signal_is_amended(home: Home) {
    let (store, other) = (home.open(), home.open());
    let trails = |id: &str| managed(json!({ "id": id, "stopLoss": 90, "stopRules": { "trail": { "distance": 5 } } }));
    store.record(trails("a")).await.unwrap();
    assert!(store.on_price(&btc(), 102.0, T0 + 1).await.unwrap().is_empty());
    // Less than a tenth of the risk further, which is not stored.
    assert!(store.on_price(&btc(), 102.5, T0 + 2).await.unwrap().is_empty());
    assert_eq!(history(&store, "a"), ["stop moved to 97"]);
    assert!(store.change("a".to_owned(), amend(json!({ "expiresAt": T0 + 1_000 })), T0 + 3).await.unwrap());
    if home.as_folder().is_some() {
        // The log is read anew.
        other.compact().await.unwrap();
    }
    let closed = store.on_price(&btc(), 97.3, T0 + 4).await.unwrap();
    assert_eq!(closed.len(), 1, "the stop had trailed to 97.5: {:?}", store.get("a"));
    assert_eq!(
        history(&store, "a"),
        ["stop moved to 97", "amended", "stop moved to 97.5", "closed by the stop at 97.3"]
    );
}

async fn a_signal_that_comes_again_with_its_end_is_closed(home: Home) {
    let store = home.open();
    let record = managed(json!({ "takeProfits": [{ "price": 105 }, { "price": 110 }] }));
    store.record(record.clone()).await.unwrap();
    store.on_price(&btc(), 105.0, T0 + 1).await.unwrap();
    let mut ended = record.clone();
    ended.closing = Some(domain::signal::Closing {
        outcome: Outcome::Success,
        exit_price: Some(107.0),
        profit_percent: 7.0,
        closed_ms: T0 + 2,
        excursion: None,
    });
    assert!(store.record(ended.clone()).await.unwrap());
    assert_eq!(history(&store, "a"), ["target 1 reached at 105, 50 % closed", "closed by hand at 107"]);
    let stored = store.get("a").unwrap().unwrap();
    assert_whole(&stored);
    assert!((stored.closing.unwrap().profit_percent - 6.0).abs() < 1e-9, "of its parts");
    assert!(store.record(ended.clone()).await.unwrap(), "the same again");
    if let Some(closing) = &mut ended.closing {
        closing.outcome = Outcome::TookProfit;
    }
    assert!(matches!(store.record(ended).await, Err(Error::SignalConflict { field: "outcome", .. })));
}

/// A line as a log has it.
fn line(record: &Record) -> String {
    serde_json::to_string(record).unwrap()
}

async fn there_is_an_end_of_changes_by_hand_but_not_of_prices(home: Home) {
    let store = home.open_with(quick());
    let mut record = channel("a");
    let what = What::Amended { stop_loss: Some(91.0), take_profits: None, expires_at: None, reason: None };
    record.history = vec![Event { at: T0 + 1, what }; feedback::writer::MOST_EVENTS - 1];
    let folder = quick_home();
    let file = folder.path().join("log.jsonl");
    std::fs::write(&file, line(&record)).unwrap();
    let report = store.import(&file, |_| ()).await.unwrap();
    assert_eq!(report.imported, 1, "{report:?}");
    let change = |stop: f64| store.change("a".to_owned(), amend(json!({ "stopLoss": stop })), T0 + 2);
    assert!(change(92.0).await.unwrap());
    let error = change(93.0).await.unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_ARGUMENT");
    assert!(error.to_string().contains("one with 1000 events"), "{error}");
    let symbol = btc();
    for (at, price) in [(3, 95.0), (4, 100.0), (5, 94.0)] {
        store.on_price(&symbol, price, T0 + at).await.unwrap();
    }
    let stored = home.open().get("a").unwrap().unwrap();
    assert_eq!((stored.history.len(), stored.closing.unwrap().outcome), (1_004, Outcome::Success));
}

async fn a_long_record_has_room_for_what_prices_do(home: Home) {
    let store = home.open();
    let targets: Vec<_> = (1..=16).map(|n| json!({ "price": 100 + n })).collect();
    let moves: Vec<_> = (1..16).map(|n| json!({ "afterTarget": n, "price": 99.5 + f64::from(n) })).collect();
    let long = |more: usize| {
        managed(json!({
            "takeProfits": targets, "stopRules": { "moveTo": moves }, "entryType": "limit",
            "note": "x".repeat((1 << 20) - 3_000 + more),
        }))
    };
    // As long as it may be.
    let room = (1 << 20) - feedback::line::encode(&long(0)).unwrap().len();
    store.record(long(room)).await.unwrap();
    let error = store.change("a".to_owned(), amend(json!({ "stopLoss": 96 })), T0 + 1).await.unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_ARGUMENT");
    assert!(error.to_string().contains("1 MiB"), "{error}");
    store.on_price(&btc(), 100.0, T0 + 2).await.unwrap();
    for n in 1..=15 {
        store.on_price(&btc(), f64::from(100 + n), T0 + 2 + i64::from(n)).await.unwrap();
    }
    assert_eq!(store.on_price(&btc(), 110.0, T0 + 99).await.unwrap().len(), 1);
    let stored = home.open().get("a").unwrap().unwrap();
    assert_whole(&stored);
    assert_eq!((stored.history.len(), stored.closing.unwrap().outcome), (32, Outcome::Success));
}

#[tokio::test]
async fn a_log_that_lost_an_event_is_refused_until_it_is_put_back() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("signals.jsonl");
    let (store, other) = (testkit::open(home.path()), testkit::open(home.path()));
    store.record(channel("a")).await.unwrap();
    store.on_price(&btc(), 95.0, T0 + 1).await.unwrap();
    let older = std::fs::read(&path).unwrap();
    assert!(store.change("a".to_owned(), amend(json!({ "stopLoss": 92 })), T0 + 2).await.unwrap());
    assert_eq!(history(&other, "a").len(), 2);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &older).unwrap();
    for store in [&store, &other] {
        let error = store.get("a").unwrap_err().to_string();
        assert!(error.contains("the last changes of 1 open signals"), "{error}");
        assert!(store.change("a".to_owned(), amend(json!({ "stopLoss": 93 })), T0 + 3).await.is_err());
    }
    let error = FeedbackStore::open(home.path(), StoreOptions::default()).err().unwrap();
    assert!(error.to_string().contains("lacks"), "after a restart too: {error}");
    std::fs::write(&path, &whole).unwrap();
    for store in [&store, &other, &testkit::open(home.path())] {
        assert_eq!(history(store, "a"), ["entered at 95", "amended"]);
    }
}
