//! Managed signals in a store: entries that wait, several targets, moving stops, and changes by hand. Each life goes on after a
//! restart between any two steps.

use domain::barrier::{Event, Outcome, Status, Trade};
use domain::candle::Candle;
use domain::config::Durability;
use domain::signal::{Amendment, Cancellation, Change, Record, Reduction, Update};
use domain::symbol::Symbol;
use domain::time::{HOUR_MS, Tz};
use feedback::{CloseRequest, FeedbackStore, StoreOptions};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use testkit::home::{Home, on_both};
use testkit::{T0, btc, buy, object};

on_both!(
    every_life_goes_on_after_each_restart,
    a_closed_one_tells_what_it_earned,
    a_signal_counts_with_its_own_costs_everywhere,
    one_call_with_many_prices_loses_none,
    a_caller_amends_reduces_and_cancels,
    random_lives_through_two_handles_are_those_of_one_machine,
);

/// A BUY of BTCUSDT at 100, stop 95, with some keys replaced; null removes one.
pub fn managed(changes: Value) -> Record {
    let mut value = json!({
        "id": "a", "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 100, "stopLoss": 95,
        "timestamp": T0,
    });
    for (key, change) in object(changes) {
        value[key] = change;
    }
    Record::given(value, Tz::UTC).unwrap()
}

/// A BUY with a limit entry at 95, two targets and a stop that moves to the entry after the first.
pub fn channel(id: &str) -> Record {
    managed(json!({
        "id": id, "entryPrice": 95, "entryType": "limit", "stopLoss": 90,
        "takeProfits": [{ "price": 100 }, { "price": 105 }], "stopRules": { "breakEvenAfterTarget": 1 }, "leverage": 10,
    }))
}

pub fn history(store: &FeedbackStore, id: &str) -> Vec<String> {
    words(&store.get(id).unwrap().unwrap().history)
}

pub fn words(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.what.to_string()).collect()
}

pub fn amend(value: Value) -> Change {
    let mut map = object(value);
    map.insert("signalId".to_owned(), json!("any"));
    Change::Amend(Amendment::from_json(map, Tz::UTC).unwrap().1)
}

/// One step in the life of a signal.
#[derive(Debug, Clone)]
enum Step {
    Price(f64),
    /// A candle of an hour that ends now: open, high, low, close.
    Candle([f64; 4]),
    Change(Change),
    /// Closed by hand: the outcome, the price, the part.
    Close(Outcome, Option<f64>, Option<f64>),
}

use Step::{Candle as Hour, Close, Price};

impl Step {
    /// Takes it at the `number`-th hour. `false` if nothing could be changed.
    async fn take(&self, store: &FeedbackStore, record: &Record, number: usize) -> domain::error::Result<bool> {
        let now_ms = T0 + (number as i64 + 1) * HOUR_MS;
        let (id, symbol) = (record.signal.id.clone(), &record.signal.symbol);
        match self {
            Self::Price(price) => store.on_price(symbol, *price, now_ms).await.map(|_| true),
            Self::Candle([open, high, low, close]) => {
                let (open_ms, volume) = (now_ms - HOUR_MS, 1.0);
                let candle = Candle { open_ms, open: *open, high: *high, low: *low, close: *close, volume };
                store.on_candle(symbol, &candle, HOUR_MS).await.map(|_| true)
            }
            Self::Change(change) => store.change(id, change.clone(), now_ms).await,
            Self::Close(outcome, price, share) => {
                let update = Update { share: *share, ..Update::now(&id, *outcome, *price, None) };
                store.close_by_hand(CloseRequest::new(update, now_ms)).await
            }
        }
    }
}

/// A signal, its steps with what happens in each, and its outcome with the mean price of its exits.
type Life = (Value, Vec<(Step, Vec<&'static str>)>, Outcome, Option<f64>);

fn lives() -> Vec<Life> {
    let cancel = |replaced_by: Option<&str>| {
        Step::Change(Change::Cancel(Cancellation {
            replaced_by: replaced_by.map(str::to_owned),
            ..Cancellation::default()
        }))
    };
    let reduce = |share, price| Step::Change(Change::Reduce(Reduction { share, price, at_ms: None }));
    let two = json!([{ "price": 105 }, { "price": 110 }]);
    let limit = |more: Value| {
        let mut value = json!({ "entryPrice": 95, "entryType": "limit", "stopLoss": 90, "takeProfit": 105 });
        value.as_object_mut().unwrap().extend(object(more));
        value
    };
    let hours = |count: i64| T0 + count * HOUR_MS;
    vec![
        // Several targets, and a stop that moves to the entry.
        (
            json!({ "takeProfits": two, "stopRules": { "breakEvenAfterTarget": 1 } }),
            vec![
                (Price(104.0), vec![]),
                (Price(105.0), vec!["target 1 reached at 105, 50 % closed", "stop moved to 100"]),
                (Price(99.0), vec!["closed by the stop at 99"]),
            ],
            Outcome::Success,
            Some(102.0),
        ),
        // A stop that moves to given prices; a price beyond both targets.
        (
            json!({ "takeProfits": two, "stopRules": { "moveTo": [{ "afterTarget": 1, "price": 101 }] } }),
            vec![(
                Price(111.0),
                vec![
                    "target 1 reached at 111, 50 % closed",
                    "stop moved to 101",
                    "target 2 reached at 111, 50 % closed",
                ],
            )],
            Outcome::TookProfit,
            Some(111.0),
        ),
        // A limit entry of a SELL.
        (
            json!({ "signalType": "SELL", "entryPrice": 105, "entryType": "limit", "stopLoss": 110, "takeProfit": 95 }),
            vec![
                (Price(104.0), vec![]),
                (Price(106.0), vec!["entered at 105"]),
                (Price(94.0), vec!["target 1 reached at 94, 100 % closed"]),
            ],
            Outcome::TookProfit,
            Some(94.0),
        ),
        // A stop entry, by candles.
        (
            json!({ "entryPrice": 105, "entryType": "stop", "stopLoss": 100, "takeProfit": 120 }),
            vec![
                (Hour([102.0, 104.0, 101.0, 103.0]), vec![]),
                (Hour([103.0, 107.0, 102.0, 106.0]), vec!["entered at 105"]),
                (Hour([106.0, 108.0, 99.0, 101.0]), vec!["closed by the stop at 100"]),
            ],
            Outcome::StoppedOut,
            Some(100.0),
        ),
        // A zone, and an expiry.
        (
            json!({ "entryPrice": null, "entryZone": { "low": 95, "high": 97 }, "stopLoss": 90, "expiresAt": hours(4) }),
            vec![
                (Price(100.0), vec![]),
                (Price(97.0), vec!["entered at 97, the high edge of its zone"]),
                (Price(98.0), vec![]),
                (Price(99.0), vec!["closed by its expiry at 99"]),
            ],
            Outcome::Success,
            Some(99.0),
        ),
        // A stop that trails, also with what was stored of it.
        (
            json!({ "stopLoss": 90, "stopRules": { "trail": { "distance": 5 } } }),
            vec![
                (Price(110.0), vec!["stop moved to 105"]),
                (Price(108.0), vec![]),
                (Price(104.0), vec!["closed by the stop at 104"]),
            ],
            Outcome::Success,
            Some(104.0),
        ),
        (
            limit(json!({})),
            vec![(Price(105.0), vec!["cancelled: the price reached the target before the entry"])],
            Outcome::Cancelled,
            None,
        ),
        (
            json!({ "entryPrice": 105, "entryType": "stop", "stopLoss": 95 }),
            vec![(Price(94.0), vec!["cancelled: the price reached the stop before the entry"])],
            Outcome::Cancelled,
            None,
        ),
        (
            limit(json!({ "entryExpiresAt": hours(2) })),
            vec![(Price(96.0), vec![]), (Price(95.0), vec!["cancelled: its entry expired"])],
            Outcome::Cancelled,
            None,
        ),
        (limit(json!({})), vec![(cancel(None), vec!["cancelled: by hand"])], Outcome::Cancelled, None),
        (
            limit(json!({})),
            vec![(Price(96.0), vec![]), (cancel(Some("b")), vec!["cancelled: replaced by another signal"])],
            Outcome::Cancelled,
            None,
        ),
        // Amended while it waits and while it is open, closed in parts and by hand.
        (
            limit(json!({})),
            vec![
                (Step::Change(amend(json!({ "stopLoss": 92 }))), vec!["amended"]),
                (Price(94.0), vec!["entered at 95"]),
                (Step::Change(amend(json!({ "takeProfits": [{ "price": 98 }, { "price": 99 }] }))), vec!["amended"]),
                (Price(98.0), vec!["target 1 reached at 98, 50 % closed"]),
                (reduce(20.0, 97.0), vec!["20 % closed by hand at 97"]),
                (Close(Outcome::Active, Some(97.0), Some(10.0)), vec!["10 % closed by hand at 97"]),
                (Close(Outcome::Failure, Some(80.0), None), vec!["closed by hand at 80"]),
            ],
            Outcome::Failure,
            Some(0.5 * 98.0 + 0.3 * 97.0 + 0.2 * 80.0),
        ),
        // A plain signal that becomes a managed one by its first amendment, and one by its first reduction.
        (
            json!({ "takeProfit": 110 }),
            vec![
                (Step::Change(amend(json!({ "stopLoss": 99 }))), vec!["amended"]),
                (Price(98.0), vec!["closed by the stop at 98"]),
            ],
            Outcome::StoppedOut,
            Some(98.0),
        ),
        (
            json!({ "takeProfit": 110 }),
            vec![
                (reduce(50.0, 102.0), vec!["50 % closed by hand at 102"]),
                (Price(110.0), vec!["target 1 reached at 110, 50 % closed"]),
            ],
            Outcome::TookProfit,
            Some(106.0),
        ),
        // An end while no prices are known.
        (
            json!({ "takeProfits": two }),
            vec![
                (Price(105.0), vec!["target 1 reached at 105, 50 % closed"]),
                (Close(Outcome::Unknown, None, None), vec!["closed while no prices are known; the next is at 100"]),
            ],
            Outcome::Unknown,
            None,
        ),
    ]
}

async fn every_life_goes_on_after_each_restart(home: Home) {
    // It is open all the time, and learns of each step from the log.
    let watching = home.open();
    let mut store = home.open();
    for (number, (value, steps, outcome, exit_price)) in lives().into_iter().enumerate() {
        let mut record = managed(value);
        record.signal.id = format!("life {number}");
        record.signal.symbol = Symbol::parse(&format!("L{number}USDT")).unwrap();
        let id = record.signal.id.clone();
        store.record(record.clone()).await.unwrap();
        let mut expected: Vec<&str> = Vec::new();
        for (at, (step, happens)) in steps.iter().enumerate() {
            store.close().await;
            if let Some(folder) = home.as_folder().filter(|_| at % 2 == 1) {
                let _ = std::fs::remove_file(folder.join("signals.index"));
            }
            store = home.open();
            assert!(step.take(&store, &record, at).await.unwrap(), "{id}: {step:?}");
            expected.extend(happens);
            for store in [&store, &watching] {
                assert_eq!(history(store, &id), expected, "{id}: {step:?}");
            }
        }
        let ended = store.get(&id).unwrap().unwrap();
        let closing = ended.closing.unwrap();
        assert_eq!(closing.outcome, outcome, "{id}");
        let same = closing.exit_price.zip(exit_price).is_some_and(|(one, other)| (one - other).abs() < 1e-9);
        assert!(same || closing.exit_price == exit_price, "{id}: {:?}", closing.exit_price);
        // Nothing happens to it any more, and recording it again says so.
        let last = steps.len();
        assert!(Price(1.0).take(&store, &record, last).await.unwrap());
        assert!(!Close(Outcome::Unknown, None, None).take(&store, &record, last + 1).await.unwrap());
        assert!(!Step::Change(amend(json!({ "stopLoss": 1 }))).take(&watching, &record, last + 1).await.unwrap());
        assert!(store.record(record).await.unwrap());
        assert_eq!(store.get(&id).unwrap().unwrap(), ended);
    }
    assert_eq!(store.recovery(), Default::default());
    let stats = store.stats(&Default::default()).unwrap();
    assert_eq!(stats.figures.active, 0);
    if home.as_folder().is_some() {
        let all = |store: &FeedbackStore| {
            (0..lives().len()).map(|n| store.get(&format!("life {n}")).unwrap().unwrap()).collect::<Vec<_>>()
        };
        let before = all(&store);
        store.compact().await.unwrap();
        assert!(all(&store) == before && all(&watching) == before && all(&home.open()) == before);
        assert_eq!(home.changes(), lives().len(), "one line each");
    }
}

async fn a_closed_one_tells_what_it_earned(home: Home) {
    let store = home.open();
    store.record(channel("a")).await.unwrap();
    for (at, price) in [99.0, 95.0, 100.0, 94.0].into_iter().enumerate() {
        store.on_price(&btc(), price, T0 + at as i64).await.unwrap();
    }
    for store in [&store, &home.open()] {
        let earned = store.get("a").unwrap().unwrap().earned(&store.costs()).unwrap();
        let gross = 100.0 * 2.0 / 95.0;
        assert!((earned.net_profit_percent.unwrap() - (gross - 0.1)).abs() < 1e-9);
        assert!((earned.net_margin_percent.unwrap() - 10.0 * (gross - 0.1)).abs() < 1e-9);
        assert!((earned.realized_r.unwrap() - (gross - 0.1) / (100.0 * 5.0 / 95.0)).abs() < 1e-9);
        assert_eq!((earned.fills.len(), earned.holding_ms), (3, Some(2)));
    }
    // Of one that was recorded with its end, nobody knows when it was entered, and so what holding it cost.
    let mut record = channel("b");
    record.closing = Some(domain::signal::Closing {
        outcome: Outcome::Success,
        exit_price: Some(104.5),
        profit_percent: 10.0,
        closed_ms: T0 + 9,
        excursion: None,
    });
    store.record(record).await.unwrap();
    let earned = store.get("b").unwrap().unwrap().earned(&store.costs()).unwrap();
    assert_eq!(earned, domain::signal::Earned::default());
}

async fn a_signal_counts_with_its_own_costs_everywhere(home: Home) {
    let store = home.open();
    // All gain 2 %. A fee of 3 % makes it a loss, and so does a funding of 2.5 % a day over a day; the third has those configured.
    for (id, costs) in
        [("fee", json!({ "feeBps": 300 })), ("funding", json!({ "fundingBpsPerDay": 250 })), ("a", json!({}))]
    {
        let mut value = json!({ "id": id, "takeProfit": 102 });
        value.as_object_mut().unwrap().extend(object(costs));
        store.record(managed(value)).await.unwrap();
    }
    // This one waited for its entry and was recorded with its end. The time of its entry is not stored, so only its fee counts.
    let mut waited = channel("waited");
    waited.signal.position.fee_bps = Some(500.0);
    waited.close(domain::signal::Closing {
        outcome: Outcome::Success,
        exit_price: Some(98.8),
        profit_percent: 4.0,
        closed_ms: T0 + 24 * HOUR_MS,
        excursion: None,
    });
    store.on_price(&btc(), 102.0, T0 + 24 * HOUR_MS).await.unwrap();
    store.record(waited).await.unwrap();
    for store in [&store, &home.open()] {
        let net = |id: &str| store.get(id).unwrap().unwrap().net_percent(&store.costs()).unwrap();
        let expected = [("fee", -1.0), ("funding", -0.6), ("a", 1.9), ("waited", -1.0)];
        for (id, expected) in expected {
            assert!((net(id) - expected).abs() < 1e-9, "{id}: {}", net(id));
        }
        let ended = store.ended(&Default::default(), &store.costs()).unwrap();
        let sum: f64 = ended.iter().map(|one| one.net_percent).sum();
        let figures = store.stats(&Default::default()).unwrap().figures;
        assert_eq!((ended.len(), figures.closed), (4, 4));
        assert!((sum + 0.7).abs() < 1e-9 && (figures.expectancy - sum / 4.0).abs() < 1e-9, "{sum}");
    }
    // What a caller says it earned may differ from the price's by the signal's own fee.
    for (id, fee_bps) in [("cheap", 10), ("dear", 300)] {
        store.record(managed(json!({ "id": id, "feeBps": fee_bps, "timestamp": T0 + 30 * HOUR_MS }))).await.unwrap();
        let end = Update::now(id, Outcome::Success, Some(104.0), Some(1.5));
        let told = store.close_by_hand(CloseRequest::new(end, T0 + 31 * HOUR_MS)).await;
        assert_eq!(told.is_ok(), id == "dear", "{told:?}");
    }
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
    assert!(!cancel("nobody").await.unwrap());
    assert!(cancel("plain").await.unwrap_err().to_string().contains("open since"));
    let cancelled = store.close_signal("plain", Outcome::Cancelled, None, None, T0 + 5).await.unwrap_err();
    assert!(cancelled.to_string().contains("entered"), "{cancelled}");
    assert!(store.change("plain".to_owned(), amend(json!({ "stopLoss": 99 })), T0 + 6).await.unwrap());
    let reduce = |id: &str, value: Value| {
        let mut map = object(value);
        map.insert("signalId".to_owned(), json!(id));
        store.close_by_hand(CloseRequest::new(Update::from_json(map, Tz::UTC).unwrap(), T0 + 7))
    };
    let part = json!({ "share": 40, "exitPrice": 104, "closedAt": T0 + 7 });
    assert!(reduce("plain", part.clone()).await.unwrap());
    // The same again, as after an error that left open whether it was stored.
    assert!(reduce("plain", part).await.unwrap());
    assert_eq!(history(&store, "plain"), ["amended", "40 % closed by hand at 104"]);
    assert!(store.change("a".to_owned(), amend(json!({ "stopLoss": 89 })), T0 + 6).await.unwrap());
    assert!(store.change("a".to_owned(), amend(json!({ "stopLoss": 89 })), T0 + 7).await.unwrap());
    assert_eq!(history(&store, "a"), ["amended"]);
    let error = reduce("plain", json!({ "share": 70, "exitPrice": 104 })).await.unwrap_err().to_string();
    assert!(error.contains("60 percent are open"), "{error}");
    let closed = store.on_price(&btc(), 98.0, T0 + 8).await.unwrap();
    assert_eq!(closed.len(), 1);
    assert!((closed[0].profit_percent - (0.4 * 4.0 - 0.6 * 2.0)).abs() < 1e-9);
    let trade = store.get("a").unwrap().unwrap().trade().unwrap();
    assert_eq!(trade.status(), Status::Pending);
}

/// A step that a random life may take, and which of two handles takes it, perhaps reopened first.
#[derive(Debug, Clone)]
struct Random {
    step: Step,
    by_second: bool,
    reopened: bool,
}

fn random_signal() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![Just("market"), Just("limit"), Just("stop")];
    let targets = proptest::collection::vec(1u32..4, 0..4);
    let trail = proptest::option::of(prop_oneof![
        Just(json!({ "distance": 2 })),
        Just(json!({ "distance": 3, "activateAtR": 0.5 })),
    ]);
    (kind, any::<bool>(), targets, 1u32..5, trail, any::<bool>(), proptest::option::of(3i64..12)).prop_map(
        |(kind, is_buy, steps, risk, trail, breaks_even, life)| {
            let sign = if is_buy { 1.0 } else { -1.0 };
            let mut price = 100.0;
            let targets: Vec<Value> = steps
                .iter()
                .map(|step| {
                    price += sign * f64::from(*step);
                    json!({ "price": price })
                })
                .collect();
            let mut rules = json!({});
            // Never a plain signal, which has no history.
            let is_plain = kind == "market" && targets.is_empty();
            if let Some(trail) = trail.or(is_plain.then(|| json!({ "distance": 2 }))) {
                rules["trail"] = trail;
            }
            if breaks_even && !targets.is_empty() {
                rules["breakEvenAfterTarget"] = json!(1);
            }
            let mut value = json!({
                "signalType": if is_buy { "BUY" } else { "SELL" }, "entryType": kind,
                "stopLoss": 100.0 - sign * f64::from(risk), "stopRules": rules,
                "expiresAt": life.map(|hours| T0 + hours * HOUR_MS),
            });
            if !targets.is_empty() {
                value["takeProfits"] = json!(targets);
            }
            value
        },
    )
}

fn random_step() -> impl Strategy<Value = Random> {
    let price = || (92u32..109).prop_map(f64::from);
    let targets = proptest::collection::vec(92u32..109, 1..3).prop_map(|mut prices| {
        prices.sort_unstable();
        json!(prices.iter().map(|price| json!({ "price": price })).collect::<Vec<_>>())
    });
    let step = prop_oneof![
        8 => price().prop_map(Price),
        2 => (price(), price(), price(), price()).prop_map(|(a, b, c, d)| {
            Hour([a, a.max(b).max(c).max(d), a.min(b).min(c).min(d), b])
        }),
        1 => price().prop_map(|price| Step::Change(amend(json!({ "stopLoss": price })))),
        1 => targets.prop_map(|targets| Step::Change(amend(json!({ "takeProfits": targets })))),
        1 => (1i64..20).prop_map(|hours| Step::Change(amend(json!({ "expiresAt": T0 + hours * HOUR_MS })))),
        1 => (1u32..60, price()).prop_map(|(share, price)| {
            Step::Change(Change::Reduce(Reduction { share: f64::from(share), price, at_ms: None }))
        }),
        1 => Just(Step::Change(Change::Cancel(Cancellation::default()))),
    ];
    (step, any::<bool>(), proptest::bool::weighted(0.2)).prop_map(|(step, by_second, reopened)| Random {
        step,
        by_second,
        reopened,
    })
}

/// The same step taken by the state machine alone. `None` if it refuses.
fn follow(trade: &mut Trade, step: &Step, number: usize) -> Option<Vec<Event>> {
    let (now_ms, mut events) = (T0 + (number as i64 + 1) * HOUR_MS, Vec::new());
    match step {
        Step::Price(price) => trade.on_tick(*price, now_ms, &mut events),
        Step::Candle([open, high, low, close]) => {
            let (open_ms, volume) = (now_ms - HOUR_MS, 1.0);
            let candle = Candle { open_ms, open: *open, high: *high, low: *low, close: *close, volume };
            trade.on_candle(i64::MIN, &candle, HOUR_MS, None, &mut events);
        }
        Step::Change(_) if trade.ended().is_some() => {}
        Step::Change(change) => {
            let event = change.event(trade, now_ms).ok()?;
            trade.apply(&event);
            return Some(vec![event]);
        }
        Step::Close(..) => unreachable!("no random life has it"),
    }
    // Each whole step of the prices moves the stop by more than a tenth of the risk, and so is stored.
    events.extend(trade.tell_of_trail(now_ms, 0.0));
    Some(events)
}

async fn random_lives_through_two_handles_are_those_of_one_machine(home: Home) {
    let options = StoreOptions { durability: Durability::Os, ..StoreOptions::default() };
    let mut handles = [home.open_with(options), home.open_with(options)];
    let mut runner = TestRunner::deterministic();
    let mut ends = std::collections::BTreeMap::<&str, usize>::new();
    for life in 0..60 {
        let value = random_signal().new_tree(&mut runner).unwrap().current();
        let steps = proptest::collection::vec(random_step(), 1..16).new_tree(&mut runner).unwrap().current();
        let mut record = managed(value.clone());
        record.signal.id = life.to_string();
        record.signal.symbol = Symbol::parse(&format!("R{life}USDT")).unwrap();
        let id = record.signal.id.clone();
        handles[0].record(record.clone()).await.unwrap();
        let levels = record.signal.levels().unwrap();
        let terms = record.signal.terms.as_deref().cloned().unwrap_or_default();
        let (mut trade, mut events) = (Trade::new(levels, &terms), Vec::new());
        for (at, Random { step, by_second, reopened }) in steps.iter().enumerate() {
            let handle = &mut handles[usize::from(*by_second)];
            if *reopened {
                handle.close().await;
                *handle = home.open_with(options);
            }
            // What the other handle wrote is known here, as it is once its news has come.
            let before = handle.get(&id).unwrap().unwrap();
            let has_ended = trade.ended().is_some();
            let expected = follow(&mut trade, step, at);
            let done = step.take(handle, &record, at).await;
            match (&expected, &step) {
                (None, _) => assert_eq!(done.unwrap_err().code(), "ERR_INVALID_ARGUMENT", "{value} {steps:?} {at}"),
                (Some(_), Step::Change(_)) => assert_eq!(done.unwrap(), !has_ended, "{value} {steps:?} {at}"),
                (Some(_), _) => assert!(done.unwrap()),
            }
            events.extend(expected.unwrap_or_default());
            let after = handle.get(&id).unwrap().unwrap();
            assert_eq!(words(&after.history), words(&events), "{value} {steps:?} {at}: {before:?}");
            assert_eq!(after.history, events);
            assert_eq!(after.closing.map(|closing| closing.outcome), trade.ended().map(|(outcome, _)| outcome));
        }
        let status = trade.status().as_str();
        *ends.entry(status).or_default() += 1;
    }
    println!("{ends:?}");
    assert!(["OPEN", "CLOSED", "CANCELLED"].iter().all(|status| ends.contains_key(status)), "{ends:?}");
    for handle in handles {
        assert_eq!(handle.recovery(), Default::default());
    }
}
