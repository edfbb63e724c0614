//! The life of a signal: recorded once, open until a price closes it, closed once, counted correctly.

use domain::barrier::{Direction, Outcome};
use domain::candle::Candle;
use domain::signal::{Claim, Closing, Costs, Record, Said, Signal};
use domain::symbol::Symbol;
use feedback::{
    CloseRequest, Exposure, FeedbackStore, HoldingTime, HoldingTimes, IgnoredPrices, StatsFilter, StoreOptions, Tick,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use testkit::home::{Home, on_both};
use testkit::{T0, btc, buy, log, object, signal};

const HOUR: i64 = 3_600_000;

static BTC: OnceLock<Symbol> = OnceLock::new();

on_both!(
    a_signal_is_recorded_once,
    a_batch_tells_each_signal_its_own_result,
    the_first_closing_stands,
    a_closing_that_cannot_be_is_refused,
    a_closing_has_its_own_time,
    what_comes_with_its_end_is_recorded_closed,
    prices_close_what_they_hit_in_order_and_once,
    a_stale_price_closes_nothing,
    a_price_of_now_is_never_stale,
    candles_close_by_their_high_and_low_and_make_up_for_missed_prices,
    figures_count_what_closed_in_the_period,
    what_ended_unseen_is_neither_a_success_nor_a_failure,
    fifty_records_and_fifty_closings_at_once_are_all_there,
    after_closing_every_call_says_so,
    two_stores_in_one_place_see_each_other,
    what_is_odd_is_read_back,
    what_is_recorded_is_read_back,
    what_was_only_followed_is_shown_apart,
    what_was_said_stays_with_the_signal,
    what_an_old_log_says_under_a_newer_key_changes_nothing,
);

async fn a_signal_is_recorded_once(home: Home) {
    let store = home.open();
    assert!(store.record(buy("a")).await.unwrap());
    assert!(store.record(buy("a")).await.unwrap(), "the same again is not an error");
    let error = store.record(signal(json!({ "id": "a", "stopLoss": 94 }))).await.unwrap_err();
    assert_eq!(error.code(), "ERR_SIGNAL_CONFLICT");
    assert!(error.to_string().contains("stopLoss"), "{error}");
    assert_eq!(home.changes(), 1);
    assert_eq!(store.get("a").unwrap().unwrap().signal, buy("a"));
    assert_eq!(store.get("b").unwrap(), None);
}

async fn a_batch_tells_each_signal_its_own_result(home: Home) {
    let store = home.open();
    let twice = signal(json!({ "id": "a", "confidence": 10 }));
    let results = store.record_all(vec![buy("a"), buy("b"), buy("a"), twice]).await.unwrap();
    assert!(results[..3].iter().all(|r| matches!(r, Ok(true))));
    assert_eq!(results[3].as_ref().unwrap_err().code(), "ERR_SIGNAL_CONFLICT");
    assert_eq!(home.changes(), 2);
}

async fn the_first_closing_stands(home: Home) {
    let store = home.open();
    store.record(buy("a")).await.unwrap();
    assert!(store.close_signal("a", Outcome::Success, Some(103.0), None, T0 + 5).await.unwrap());
    assert!(!store.close_signal("a", Outcome::Failure, Some(90.0), None, T0 + 6).await.unwrap());
    assert!(!store.close_signal("unknown", Outcome::Failure, None, None, T0).await.unwrap());
    assert!(store.on_price(&btc(), 90.0, T0 + 7).await.unwrap().is_empty());
    let reopened = home.open();
    for store in [store, reopened] {
        let closing = store.get("a").unwrap().unwrap().closing.unwrap();
        assert_eq!((closing.outcome, closing.exit_price, closing.closed_ms), (Outcome::Success, Some(103.0), T0 + 5));
        assert!((closing.profit_percent - 3.0).abs() < 1e-9);
        assert!(store.record(buy("a")).await.unwrap(), "recording a closed signal again does not open it");
        assert!(store.open_signals(None).unwrap().is_empty());
    }
}

async fn a_closing_that_cannot_be_is_refused(home: Home) {
    let store = home.open();
    store.record(buy("a")).await.unwrap();
    let cases = [
        (Outcome::Active, None, None, T0),
        (Outcome::Success, Some(0.0), None, T0),
        (Outcome::Success, Some(f64::NAN), None, T0),
        (Outcome::Success, None, Some(f64::INFINITY), T0),
        (Outcome::Success, None, Some(1.0), 12),
        (Outcome::Success, None, None, T0),
        (Outcome::Failure, None, None, T0),
        (Outcome::StoppedOut, Some(98.0), Some(-400.0), T0),
    ];
    for (outcome, exit, profit, now) in cases {
        assert_eq!(
            store.close_signal("a", outcome, exit, profit, now).await.unwrap_err().code(),
            "ERR_INVALID_ARGUMENT"
        );
    }
    assert_eq!(store.on_price(&btc(), f64::NAN, T0).await.unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    assert_eq!(store.open_signals(None).unwrap().len(), 1);
}

/// A take profit at a given time.
fn request(id: &str, closed_ms: i64) -> CloseRequest {
    let claim = Claim { outcome: Outcome::TookProfit, exit_price: Some(110.5), profit_percent: None };
    let now_ms = T0 + 365 * 24 * HOUR;
    CloseRequest { id: id.to_owned(), claim, share: None, closed_ms: Some(closed_ms), now_ms, excursion: None }
}

async fn a_closing_has_its_own_time(home: Home) {
    let store = home.open();
    store.record(buy("a")).await.unwrap();
    for (closed_ms, said) in [
        (T0 - 1, ["2023-11-14T22:13:19.999Z", "2023-11-14T22:13:20.000Z"]),
        (T0 + 366 * 24 * HOUR, ["2024-11-14T22:13:20.000Z", "2024-11-13T22:13:20.000Z"]),
    ] {
        let error = store.close_by_hand(request("a", closed_ms)).await.unwrap_err();
        let text = error.to_string();
        assert!(error.code() == "ERR_INVALID_ARGUMENT" && text.contains("`closedAt`"), "{text}");
        assert!(said.iter().all(|time| text.contains(time)), "{text}");
    }
    assert_eq!(store.open_signals(None).unwrap().len(), 1);
    assert!(store.close_by_hand(request("a", T0 + HOUR)).await.unwrap());
    assert!(!store.close_by_hand(request("a", T0 + HOUR)).await.unwrap());
    for store in [&store, &home.open()] {
        assert_eq!(store.get("a").unwrap().unwrap().closing.unwrap().closed_ms, T0 + HOUR);
    }
}

async fn what_comes_with_its_end_is_recorded_closed(home: Home) {
    let store = home.open();
    let closing = |outcome, profit_percent, closed_ms| {
        Some(Closing { outcome, exit_price: None, profit_percent, closed_ms, excursion: None })
    };
    let won = Record { closing: closing(Outcome::TookProfit, 10.0, T0 + HOUR), ..buy("won").into() };
    let lost = Record { closing: closing(Outcome::StoppedOut, -5.0, T0 + 2 * HOUR), ..buy("lost").into() };
    // One is known as open; another appears twice in a batch, first open.
    assert!(store.record(buy("lost")).await.unwrap());
    let twice = Record { closing: closing(Outcome::Success, 1.0, T0 + 3 * HOUR), ..buy("twice").into() };
    let batch = vec![won.clone(), lost.clone(), buy("twice").into(), twice.clone(), buy("open").into()];
    assert!(store.record_all(batch).await.unwrap().into_iter().all(|result| result.unwrap()));
    for store in [&store, &home.open()] {
        for record in [&won, &lost, &twice] {
            assert_eq!(store.get(&record.signal.id).unwrap().as_ref(), Some(record));
        }
        let figures = store.stats(&StatsFilter::default()).unwrap().figures;
        assert_eq!(
            (figures.total, figures.closed, figures.successes, figures.failures, figures.active),
            (4, 3, 2, 1, 1)
        );
        // Repeating it, with or without its end, changes nothing; another end is a conflict.
        assert!(store.record(won.clone()).await.unwrap() && store.record(won.signal.clone()).await.unwrap());
        let other = Record { closing: closing(Outcome::TookProfit, 9.0, T0 + HOUR), ..won.clone() };
        let error = store.record(other).await.unwrap_err();
        assert!(error.code() == "ERR_SIGNAL_CONFLICT" && error.to_string().contains("profitLossPercent"), "{error}");
        assert!(!store.close_by_hand(request("lost", T0 + HOUR)).await.unwrap());
    }
    let closed = store.on_price(&btc(), 90.0, T0 + 4 * HOUR).await.unwrap();
    assert_eq!(closed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["open"]);
    let order: Vec<_> = store
        .ended(&StatsFilter::default(), &Costs::default())
        .unwrap()
        .into_iter()
        .map(|ended| ended.closed_ms)
        .collect();
    assert_eq!(order, [T0 + HOUR, T0 + 2 * HOUR, T0 + 3 * HOUR, T0 + 4 * HOUR]);
}

const SAID: Said = Said {
    probability: 0.41,
    interval: (0.3, 0.5),
    base_rate: 0.35,
    prior: 0.36,
    shaped: true,
    expected_r: Some(-0.05),
    expected_r_interval: Some((-0.2, 0.1)),
    departures: [0.1, -0.2, 0.0, 0.25],
    contributions: Some([-0.7, 0.1, -0.2, 0.0, 0.0, 0.25]),
    take: false,
    outcomes: 120,
};

async fn what_was_only_followed_is_shown_apart(home: Home) {
    let store = home.open();
    let of = |id: &str, strategy: &str, taken: bool| signal(json!({ "id": id, "strategy": strategy, "taken": taken }));
    let low = signal(json!({ "id": "low", "stopLoss": 90, "taken": false }));
    let hold = signal(json!({ "id": "hold", "signalType": "HOLD", "taken": false }));
    let batch = vec![of("a", "rsi", true), of("b", "ema é", true), of("c", "rsi", false), buy("d"), low, hold];
    assert!(store.record_all(batch).await.unwrap().into_iter().all(|result| result.unwrap()));
    // A strategy or `taken` that contradicts the first record is a conflict, like any other field.
    for (field, other) in [("strategy", of("a", "ema", true)), ("strategy", buy("a")), ("taken", of("a", "rsi", false))]
    {
        let error = store.record(other).await.unwrap_err();
        assert!(error.code() == "ERR_SIGNAL_CONFLICT" && error.to_string().contains(field), "{error}");
    }
    assert_eq!(store.on_price(&btc(), 95.0, T0 + HOUR).await.unwrap().len(), 4, "prices close what is followed, too");
    for store in [&store, &home.open()] {
        let stats = store.stats(&StatsFilter::default()).unwrap();
        let (all, followed) = (stats.figures, stats.followed);
        assert_eq!((all.total, all.closed, all.failures, all.active, all.hold), (3, 3, 3, 0, 0));
        assert_eq!(
            (followed.total, followed.closed, followed.failures, followed.active, followed.hold),
            (2, 1, 1, 1, 1)
        );
        assert_eq!((all.total_profit, followed.total_profit), (-15.0, -5.0));
        let by_strategy: Vec<_> =
            stats.by_strategy.iter().map(|(name, figures)| (name.as_str(), figures.closed)).collect();
        assert_eq!(by_strategy, [("ema é", 1), ("rsi", 1)]);
        assert_eq!(stats.by_symbol.iter().map(|(_, figures)| figures.closed).collect::<Vec<_>>(), [3]);
        // The backend's results, and the signals to learn from.
        assert_eq!(store.ended(&StatsFilter::default(), &Costs::default()).unwrap().len(), 3);
        let mut taken = Vec::new();
        let visit = |record: Record| {
            taken.push(record.signal.taken);
            Ok(())
        };
        store.closed_records(&StatsFilter::default(), visit).unwrap();
        assert_eq!(taken, [true, true, false, true]);
        assert_eq!(store.get("c").unwrap().unwrap().signal, of("c", "rsi", false));
    }
}

async fn what_was_said_stays_with_the_signal(home: Home) {
    let store = home.open();
    let said = |id: &str| Record { said: Some(SAID), ..buy(id).into() };
    store.record_all(vec![said("a"), said("b"), said("c")]).await.unwrap();
    // The same signal is known, whatever its assessment would be now.
    assert!(store.record(Record { said: Some(Said { take: true, ..SAID }), ..said("a") }).await.unwrap());
    assert_eq!(store.on_price(&btc(), 95.0, T0 + HOUR).await.unwrap().len(), 3);
    store.compact().await.unwrap();
    for store in [&store, &home.open()] {
        for id in ["a", "b", "c"] {
            let record = store.get(id).unwrap().unwrap();
            assert_eq!((record.said, record.closing.is_some()), (Some(SAID), true));
        }
    }
}

async fn what_an_old_log_says_under_a_newer_key_changes_nothing(home: Home) {
    let store = home.open();
    let old = |id: &str, strategy: serde_json::Value| {
        let mut line = Record::from(buy(id)).to_json();
        line.insert("strategy".to_owned(), strategy);
        line.insert("taken".to_owned(), json!("yes"));
        Record::from_json(line, domain::time::Tz::UTC).unwrap()
    };
    let records = [old("a", json!(5)), old("b", json!("x".repeat(65))), old("c", json!("rsi"))];
    store.record_all(records.to_vec()).await.unwrap();
    for store in [&store, &home.open()] {
        for record in &records {
            assert_eq!(store.get(&record.signal.id).unwrap().as_ref(), Some(record));
        }
        let stats = store.stats(&StatsFilter::default()).unwrap();
        assert_eq!((stats.figures.active, stats.followed.total), (3, 0));
        assert_eq!(stats.by_strategy.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["rsi"]);
    }
}

async fn prices_close_what_they_hit_in_order_and_once(home: Home) {
    let store = home.open();
    let sell = signal(json!({ "id": "sell", "signalType": "SELL", "stopLoss": 105, "takeProfit": 90 }));
    let eth = signal(json!({ "id": "eth", "symbol": "ETHUSDT" }));
    let hold = signal(json!({ "id": "hold", "signalType": "HOLD" }));
    store.record_all(vec![buy("a"), sell, buy("b"), eth, hold]).await.unwrap();
    assert_eq!(store.open_signals(None).unwrap().len(), 4);
    assert_eq!(store.open_signals(Some(&btc())).unwrap().len(), 3);

    assert!(store.on_price(&btc(), 100.0, T0 + 1).await.unwrap().is_empty());
    let closed = store.on_price(&btc(), 94.0, T0 + 2).await.unwrap();
    let told: Vec<_> = closed.iter().map(|c| (c.id.as_str(), c.outcome, c.exit_price, c.closed_ms)).collect();
    let stopped = |id| (id, Outcome::StoppedOut, Some(94.0), T0 + 2);
    assert_eq!(told, [stopped("a"), stopped("b")]);
    assert!((closed[0].profit_percent + 6.0).abs() < 1e-9);
    assert!(store.on_price(&btc(), 94.0, T0 + 3).await.unwrap().is_empty());

    let symbols = [btc(), Symbol::parse("ETHUSDT").unwrap()];
    let ticks = [
        Tick { symbol: &symbols[1], price: 111.0, time_ms: T0 + 4 },
        Tick { symbol: &symbols[0], price: 89.0, time_ms: T0 + 4 },
    ];
    let closed = store.on_prices(&ticks).await.unwrap();
    let told: Vec<_> = closed.iter().map(|c| (c.id.as_str(), c.outcome)).collect();
    assert_eq!(told, [("eth", Outcome::TookProfit), ("sell", Outcome::TookProfit)]);
    assert!(home.open().open_signals(None).unwrap().is_empty());
}

async fn a_stale_price_closes_nothing(home: Home) {
    let store = home.open();
    store.record(buy("a")).await.unwrap();
    assert!(store.on_price(&btc(), 90.0, T0 - 1).await.unwrap().is_empty(), "from before the signal");
    store.on_price(&btc(), 100.0, T0 + 10).await.unwrap();
    assert!(store.on_price(&btc(), 90.0, T0 + 9).await.unwrap().is_empty(), "overtaken by a newer one");
    assert!(!store.closes_nothing(&btc(), 100.0, T0 + 9), "which is counted and told");
    store.on_price(&btc(), 90.0, T0 + 8).await.unwrap();
    let told = |store: &FeedbackStore| {
        let news = store.ignored_news().into_iter();
        news.map(|IgnoredPrices { symbol, news }| {
            assert_eq!((symbol, news.newest_ms), (btc(), T0 + 10));
            (news.count, news.time_ms - T0, news.over)
        })
        .collect::<Vec<_>>()
    };
    assert_eq!((told(&store), told(&store)), (vec![(1, 9, false)], vec![]));
    assert_eq!(store.on_price(&btc(), 90.0, T0 + 10).await.unwrap().len(), 1);
    assert_eq!(told(&store), [(2, 8, true)]);
    assert_eq!(store.ignored_prices(), BTreeMap::from([(btc(), 2)]));
    let ignored = |symbol| {
        let filter = StatsFilter { symbol: Some(symbol), ..StatsFilter::default() };
        store.stats(&filter).unwrap().ignored_prices
    };
    assert_eq!((ignored(btc()), ignored(Symbol::parse("ETHUSDT").unwrap())), (2, 0));
}

/// This machine's clock is set back by five minutes, and by more than the age of the signals.
async fn a_price_of_now_is_never_stale(home: Home) {
    const BACK: i64 = 5 * 60_000;
    let store = home.open();
    let now = |price, time_ms| [Tick { symbol: BTC.get_or_init(btc), price, time_ms }];
    store.record(buy("a")).await.unwrap();
    store.on_prices_now(&now(100.0, T0 + 10)).await.unwrap();
    store.on_price(&btc(), 100.0, T0 + 20).await.unwrap();
    assert!(!store.closes_nothing_now(&btc(), 94.0, T0 + 10 - BACK));
    let closed = store.on_prices_now(&now(94.0, T0 + 10 - BACK)).await.unwrap();
    assert_eq!(closed.len(), 1, "a stop is a stop");
    assert_eq!((closed[0].exit_price, closed[0].closed_ms), (Some(94.0), T0 + 20), "no earlier than what was seen");
    // A signal given before the clock was set back, without prices since.
    let fresh = signal(json!({ "id": "b", "timestamp": T0 + HOUR, "expiresAt": T0 + 2 * HOUR }));
    store.record(fresh).await.unwrap();
    assert!(!store.closes_nothing_now(&btc(), 94.0, T0 + HOUR - BACK));
    let closed = store.on_prices_now(&now(94.0, T0 + HOUR - BACK)).await.unwrap();
    assert_eq!((closed[0].id.as_str(), closed[0].closed_ms), ("b", T0 + HOUR), "no earlier than the signal");
    // This makes no price with a reported time stale; only another such price does.
    store.record(buy("c")).await.unwrap();
    assert_eq!(store.on_price(&btc(), 94.0, T0 + 30).await.unwrap().len(), 1);
    assert!(store.ignored_news().is_empty() && store.ignored_prices().is_empty());
    let reopened = home.open();
    assert_eq!(reopened.get("b").unwrap().unwrap().closing.unwrap().closed_ms, T0 + HOUR);
}

async fn candles_close_by_their_high_and_low_and_make_up_for_missed_prices(home: Home) {
    let store = home.open();
    let expiring = signal(json!({ "id": "b", "stopLoss": 80, "takeProfit": 200, "expiresAt": T0 + 2 * HOUR }));
    store.record_all(vec![buy("a"), expiring]).await.unwrap();
    // A price of now does not make earlier candles stale.
    store.on_price(&btc(), 100.0, T0 + HOUR + 1).await.unwrap();
    let candle = Candle { open_ms: T0, open: 100.0, high: 111.0, low: 99.0, close: 101.0, volume: 1.0 };
    let closed = store.on_candle(&btc(), &candle, HOUR).await.unwrap();
    assert_eq!((closed[0].outcome, closed[0].exit_price), (Outcome::TookProfit, Some(110.0)));
    let later = Candle { open_ms: T0 + HOUR, high: 102.0, ..candle };
    let closed = store.on_candle(&btc(), &later, HOUR).await.unwrap();
    assert_eq!((closed[0].id.as_str(), closed[0].outcome), ("b", Outcome::Success));
    assert!(store.on_candle(&btc(), &Candle { low: 200.0, ..candle }, HOUR).await.is_err());
}

async fn what_ended_unseen_is_neither_a_success_nor_a_failure(home: Home) {
    let store = home.open();
    store.record_all(vec![buy("a"), buy("b"), buy("c")]).await.unwrap();
    for (exit, profit) in [(Some(103.0), None), (None, Some(3.0))] {
        let refused = store.close_signal("a", Outcome::Unknown, exit, profit, T0 + 1).await.unwrap_err();
        assert_eq!(refused.code(), "ERR_INVALID_ARGUMENT");
    }
    assert!(store.close_signal("a", Outcome::Unknown, None, None, T0 + 1).await.unwrap());
    assert!(store.close_signal("b", Outcome::StoppedOut, None, None, T0 + 2).await.unwrap());
    assert!(!store.close_signal("a", Outcome::Success, Some(103.0), None, T0 + 3).await.unwrap(), "closed once");
    assert!(store.on_price(&btc(), 90.0, T0 + 4).await.unwrap().iter().all(|closed| closed.id == "c"));
    let reopened = home.open();
    for store in [store, reopened] {
        let closing = store.get("a").unwrap().unwrap().closing.unwrap();
        assert_eq!((closing.outcome, closing.exit_price), (Outcome::Unknown, None));
        assert_eq!((closing.profit_percent, closing.closed_ms), (0.0, T0 + 1));
        let f = store.stats(&StatsFilter::default()).unwrap().figures;
        assert_eq!((f.total, f.active, f.unknown, f.closed, f.failures), (3, 0, 1, 2, 2));
        assert_eq!(store.ended(&StatsFilter::default(), &Costs::default()).unwrap().len(), 2);
        let mut read = Vec::new();
        let visit = |record: domain::signal::Record| {
            read.push(record.signal.id);
            Ok(())
        };
        store.closed_records(&StatsFilter::default(), visit).unwrap();
        assert_eq!(read, ["b", "c"]);
    }
}

async fn figures_count_what_closed_in_the_period(home: Home) {
    let options = StoreOptions { costs: Costs { fee_bps: 50.0, ..Costs::default() }, ..StoreOptions::default() };
    let store = home.open_with(options);
    const DAY: i64 = 24 * HOUR;
    let mut signals: Vec<_> =
        (0..6).map(|n| signal(json!({ "id": n.to_string(), "timestamp": T0 + n * DAY }))).collect();
    signals.push(signal(json!({ "id": "h", "signalType": "HOLD" })));
    signals.push(signal(json!({ "id": "e", "symbol": "ETHUSDT", "timeframe": "4h" })));
    store.record_all(signals).await.unwrap();
    // Closed out of order: profits 3, -1, 2, -4 on days 1, 2, 3, 4.
    for (id, profit, day) in [("2", 2.0, 3), ("0", 3.0, 1), ("3", -4.0, 4), ("1", -1.0, 2)] {
        let outcome = Outcome::by_profit(profit);
        assert!(store.close_signal(id, outcome, None, Some(profit), T0 + day * DAY).await.unwrap());
    }
    let all = store.stats(&StatsFilter::default()).unwrap();
    let f = all.figures;
    assert_eq!((f.total, f.active, f.closed, f.hold, f.successes), (7, 3, 4, 1, 2));
    assert_eq!((f.success_rate, f.total_profit, f.max_drawdown, f.expectancy), (50.0, 0.0, 4.0, -0.5));
    assert_eq!(
        all.by_symbol.iter().map(|(s, f)| (s.as_str(), f.total)).collect::<Vec<_>>(),
        [("BTCUSDT", 6), ("ETHUSDT", 1)]
    );
    assert_eq!(all.by_timeframe.len(), 2);

    let period = StatsFilter { since_ms: Some(T0 + 2 * DAY), until_ms: Some(T0 + 4 * DAY), ..StatsFilter::default() };
    let f = store.stats(&period).unwrap().figures;
    assert_eq!((f.closed, f.total_profit, f.active, f.hold), (2, 1.0, 0, 0));
    let eth = StatsFilter { symbol: Some(Symbol::parse("ETHUSDT").unwrap()), ..StatsFilter::default() };
    assert_eq!(store.stats(&eth).unwrap().figures.total, 1);
    let unknown = StatsFilter { symbol: Some(Symbol::parse("XRPUSDT").unwrap()), ..StatsFilter::default() };
    assert_eq!(store.stats(&unknown).unwrap().figures.total, 0);

    let named = |(month, f): &(domain::time::Month, feedback::Figures)| (month.to_string(), f.total, f.closed);
    assert_eq!(all.by_month.iter().map(named).collect::<Vec<_>>(), [("2023-11".to_owned(), 7, 4)]);
    assert_eq!(
        all.by_direction.iter().map(|(d, f)| (*d, f.total, f.hold)).collect::<Vec<_>>(),
        [(Direction::Buy, 7, 0)]
    );
    // The stop is 5 % away, and a round trip costs 0.5 %: 0.5 − 0.3 + 0.3 − 0.9 R.
    assert_eq!((all.figures.signals_with_stop, all.figures.span_days), (4, 4));
    assert!((all.figures.total_r.unwrap() + 0.4).abs() < 1e-6, "{:?}", all.figures.total_r);
    assert_eq!((f.longest_success_streak, f.longest_failure_streak), (1, 1));
    // Each was open for a day.
    let day = |signals| Some(HoldingTime { signals, mean_ms: DAY as f64, median_ms: DAY as f64 });
    assert_eq!(all.holding.times(), HoldingTimes { wins: day(2), losses: day(2) });
    // One has been open since the beginning. Within ten days, four were for a day, and the open ones for 10, 6 and 5.
    let exposure = |filter: &StatsFilter| store.stats(filter).unwrap().exposure(T0 + 10 * DAY).unwrap();
    let told = |e: Exposure| (e.from_ms - T0, e.until_ms - T0, e.open_time_percent, e.average_open);
    assert_eq!(told(exposure(&StatsFilter::default())), (0, 10 * DAY, 100.0, 2.5));
    // In the two days of the period: one that was given before it and closed at its start, one in its first day, one in its
    // second that closed later, and the one that is open.
    assert_eq!(told(exposure(&period)), (2 * DAY, 4 * DAY, 100.0, 2.0));
    // Without that one: from the middle of a day on, half a day and a day, and 6 and 5 days.
    let btc = StatsFilter { symbol: Some(btc()), since_ms: Some(T0 + 2 * DAY + DAY / 2), ..StatsFilter::default() };
    assert_eq!(told(exposure(&btc)), (2 * DAY + DAY / 2, 10 * DAY, 100.0, 12.5 / 7.5));
    // A period that begins before the first signal counts from that.
    assert_eq!(told(exposure(&StatsFilter { since_ms: Some(T0 - 9 * DAY), ..eth })), (0, 10 * DAY, 100.0, 1.0));

    // Another closing on a day that was summed before.
    store.close_signal("e", Outcome::Success, None, Some(10.0), T0 + 2 * DAY).await.unwrap();
    assert_eq!(store.stats(&period).unwrap().figures.total_profit, 11.0);
    let mut order = Vec::new();
    let visit = |record: domain::signal::Record| {
        order.push(record.signal.id);
        Ok(())
    };
    store.closed_records(&StatsFilter::default(), visit).unwrap();
    assert_eq!(order, ["0", "1", "e", "2", "3"]);
}

async fn fifty_records_and_fifty_closings_at_once_are_all_there(home: Home) {
    let store = home.open();
    let run = |work: Vec<tokio::task::JoinHandle<bool>>| async {
        for task in work {
            assert!(task.await.unwrap());
        }
    };
    let records = (0..50).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.record(buy(&n.to_string())).await.unwrap() })
    });
    run(records.collect()).await;
    let closings = (0..50).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            store.close_signal(&n.to_string(), Outcome::Success, Some(101.0), None, T0 + n).await.unwrap()
        })
    });
    run(closings.collect()).await;
    store.close().await;
    let f = home.open().stats(&StatsFilter::default()).unwrap().figures;
    assert_eq!((f.closed, f.successes, f.active), (50, 50, 0));
    assert_eq!(home.changes(), 100);
}

async fn after_closing_every_call_says_so(home: Home) {
    let store = home.open();
    store.record(buy("a")).await.unwrap();
    store.close().await;
    store.close().await;
    assert_eq!(store.record(buy("b")).await.unwrap_err().code(), "ERR_CLOSED");
    assert_eq!(store.on_price(&btc(), 1.0, T0).await.unwrap_err().code(), "ERR_CLOSED");
    assert_eq!(store.get("a").unwrap_err().code(), "ERR_CLOSED");
    assert_eq!(store.stats(&StatsFilter::default()).unwrap_err().code(), "ERR_CLOSED");
}

async fn two_stores_in_one_place_see_each_other(home: Home) {
    let (one, two) = (home.open(), home.open());
    one.record(buy("a")).await.unwrap();
    assert!(two.get("a").unwrap().is_some());
    assert_eq!(
        two.record(signal(json!({ "id": "a", "confidence": 1 }))).await.unwrap_err().code(),
        "ERR_SIGNAL_CONFLICT"
    );
    // Both see the price; only one closes it.
    let (symbol, other) = (btc(), btc());
    let (a, b) = tokio::join!(one.on_price(&symbol, 90.0, T0), two.on_price(&other, 90.0, T0));
    assert_eq!(a.unwrap().len() + b.unwrap().len(), 1);
    assert!(one.open_signals(None).unwrap().is_empty() && two.open_signals(None).unwrap().is_empty());
}

/// Any values that a caller may send.
fn sent() -> impl Strategy<Value = Signal> {
    let own = ("[a-z]{1,8}", ".{0,50}", any::<f64>(), any::<i64>());
    ("\\PC{1,30}", own).prop_filter_map("an id", |(id, (key, text, number, whole))| {
        let indicators = json!({ &key: number, "nested": { "a": [1, null, whole] } });
        let changes = json!({ "id": id, format!("x_{key}"): text, "large": number, "indicators": indicators });
        (!id.trim().is_empty()).then(|| signal(changes))
    })
}

/// Each signal is read back as it was sent, by the next store that opens, and also once it is closed.
async fn are_read_back(home: &Home, all: &[Signal]) {
    let store = home.open();
    for sent in all {
        assert!(store.record(sent.clone()).await.unwrap());
        assert!(store.record(sent.clone()).await.unwrap());
    }
    for store in [&store, &home.open()] {
        for sent in all {
            assert_eq!(store.get(&sent.id).unwrap().unwrap().signal, *sent);
            assert!(store.record(sent.clone()).await.unwrap());
        }
    }
    for sent in all {
        assert!(store.close_signal(&sent.id, Outcome::Failure, None, Some(-0.0), T0 + 1).await.unwrap());
        assert_eq!(store.get(&sent.id).unwrap().unwrap().signal, *sent);
    }
}

/// Times, texts and numbers that a database may change.
fn odd() -> Vec<Signal> {
    let changes = [
        json!({ "id": "nul\u{0}", "note": "a\u{0}b", "k\u{0}": 1 }),
        json!({ "id": "nul\u{fffd}" }),
        json!({ "id": "numbers", "a": 1e16, "b": -0.0, "c": 1e300, "d": 5e-324, "e": u64::MAX, "f": 0.1, "g": 1e16 as u64 }),
        json!({ "id": "quotes ' \" \\ $1 %s ;--", "note": "\\u0000 \u{1f600} 'x'" }),
        json!({ "id": "late", "timestamp": 253_402_300_799_998i64, "expiresAt": 253_402_300_799_999i64 }),
        json!({ "id": "early", "timestamp": 100_000_000_001i64 }),
        json!({ "id": "prices", "entryPrice": 1e-300, "stopLoss": 5e-324, "takeProfit": f64::MAX }),
        json!({ "id": "empty", "indicators": {}, "note": null, "list": [], "object": {} }),
    ];
    changes.into_iter().map(signal).collect()
}

async fn what_is_odd_is_read_back(home: Home) {
    are_read_back(&home, &odd()).await;
}

async fn what_is_recorded_is_read_back(home: Home) {
    let mut runner = TestRunner::default();
    let mut all: BTreeMap<String, Signal> = BTreeMap::new();
    for _ in 0..60 {
        let signal = sent().new_tree(&mut runner).unwrap().current();
        all.insert(signal.id.clone(), signal);
    }
    are_read_back(&home, &all.into_values().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn every_line_of_the_log_is_sealed() {
    let home = Home::folder();
    home.open().record(buy("a")).await.unwrap();
    let line = log(home.path());
    assert!(object(serde_json::from_str(&line).unwrap()).contains_key("crc"));
}
