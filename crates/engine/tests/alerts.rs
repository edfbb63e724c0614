//! Which events are sent as alerts, and what is known of each.

use alerts::{EVERY, KINDS, Kind, fact};
use domain::barrier::{Direction, Event as TradeEvent, Outcome, Status, What};
use domain::signal::{Earned, Fill, FillKind};
use domain::symbol::{Market, Symbol, Timeframe};
use engine::{Event, ModelChange, Options, SignalLoop, event_to_json};
use feedback::{ChangedSignal, ClosedSignal, IgnoredNews, IgnoredPrices};
use learning::drift::{EntryDrift, OutcomeDrift};
use learning::performance::{LiveEvidence, Turn};
use scheduler::{Cause, LastRun, Outcome as Ran, Task, Unfinished};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use testkit::{T0, object, within};

fn market() -> Market {
    Market::parse("BTCUSDT", "1h").unwrap()
}

fn closed() -> ClosedSignal {
    let fill = |kind| Fill { at_ms: T0, price: Some(100.0), share: 100.0, kind, edge: None };
    ClosedSignal {
        id: "a".into(),
        symbol: Symbol::parse("BTCUSDT").unwrap(),
        timeframe: Timeframe::parse("1h").unwrap(),
        direction: Direction::Buy,
        strategy: Some("breakout".into()),
        taken: true,
        confidence: Some(60.0),
        outcome: Outcome::TookProfit,
        entry_price: 100.0,
        exit_price: Some(110.0),
        profit_percent: 10.0,
        timestamp_ms: T0,
        closed_ms: T0 + 1,
        earned: Earned {
            fills: vec![fill(FillKind::Entry), fill(FillKind::Target)],
            net_profit_percent: Some(9.9),
            net_margin_percent: Some(99.0),
            realized_r: Some(2.0),
            mfe_r: Some(2.1),
            mae_r: Some(0.3),
            holding_ms: Some(1),
            held_days: Some(0.1),
        },
    }
}

fn changed() -> ChangedSignal {
    let ClosedSignal { id, symbol, timeframe, direction, strategy, taken, .. } = closed();
    let events = vec![TradeEvent { at: T0, what: What::Filled { price: 100.0, edge: None } }];
    ChangedSignal { id, symbol, timeframe, direction, strategy, taken, status: Status::Open, events }
}

/// A run in which something failed: every field is there.
fn run(outcome: Ran) -> LastRun {
    let cause = Cause { code: "ERR_IO".into(), message: "no room".into() };
    LastRun {
        started_ms: T0,
        ended_ms: T0 + 1,
        outcome,
        attempt: 1,
        done: 2,
        message: "2 markets".into(),
        failed: vec![Unfinished { market: market(), cause: cause.clone(), not_traded: false }],
        error: Some(cause),
    }
}

/// Events of every kind with all that an event of it may have; several where no single one has everything.
fn events() -> Vec<Event> {
    let model = || ModelChange { market: market(), version: 3, reason: "better".into() };
    let evidence = LiveEvidence { closed: 20, effective: 18.0, successes: 5, mean_profit: -0.5, from_ms: T0 };
    let drift = EntryDrift { name: "rsi".into(), distance: 0.4, p_value: 0.001 };
    let ignored = IgnoredNews { count: 7, time_ms: T0, newest_ms: T0 + 1, over: false };
    vec![
        Event::SignalClosed(closed()),
        Event::SignalChanged(changed()),
        Event::ModelPromoted(model()),
        Event::ModelRefused(model()),
        Event::ModelRolledBack(model()),
        Event::OutcomeDrift(market(), OutcomeDrift { at_ms: T0, since_ms: T0, before: 60.0, since: 40.0 }),
        Event::EntryDrift { market: market(), since_ms: T0, quantities: vec![drift] },
        Event::ConservativeMode { scope: Some(market()), turn: Turn::Entered, evidence, reason: "poor".into() },
        Event::EmergencyTrainingStarted(vec![market()]),
        Event::EmergencyTrainingFinished { markets: vec![market()], trained: vec![market()] },
        Event::TaskStarted { task: Task::Fetch, attempt: 1 },
        Event::TaskProgress { task: Task::Fetch, market: market(), done: 1, total: 2 },
        Event::FetchProgress(engine::FetchProgress {
            market: market(),
            fetched: 1,
            missing: Some(2),
            remaining_s: Some(3.0),
        }),
        Event::TaskFinished { task: Task::Fetch, run: run(Ran::Finished) },
        Event::TaskFailed { task: Task::Fetch, run: run(Ran::Failed), retry_ms: Some(T0) },
        Event::PricesIgnored(IgnoredPrices { symbol: market().symbol, news: ignored }),
        Event::Warning("disk".into()),
    ]
}

/// The names of what an event has: at the top level, and in its `signal` or `run`.
fn fields(event: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (name, value) in event.as_object().unwrap() {
        match name.as_str() {
            "signal" | "run" => names.extend(value.as_object().unwrap().keys().cloned()),
            _ => drop(names.insert(name.clone())),
        }
    }
    names
}

#[test]
fn every_placeholder_is_filled_and_every_field_is_a_placeholder() {
    let told: Vec<Value> = events().iter().map(|event| event_to_json(event, T0, 1)).collect();
    for kind in &KINDS {
        let of_kind: Vec<&Value> = told.iter().filter(|event| event["type"] == kind.name).collect();
        let has: BTreeSet<String> = of_kind.iter().flat_map(|event| fields(event)).collect();
        let documented: BTreeSet<String> = kind.placeholders().map(str::to_owned).collect();
        assert_eq!(has, documented, "{}", kind.name);
        for name in kind.placeholders() {
            let texts: Vec<String> = of_kind.iter().map(|event| fact(event, name)).collect();
            assert!(texts.iter().any(|text| !text.is_empty()), "{} of {}: {texts:?}", name, kind.name);
            assert!(!texts.iter().any(|text| text.contains(['{', '['])), "{} of {}: {texts:?}", name, kind.name);
        }
    }
    let unsent: BTreeSet<&str> =
        told.iter().filter(|event| Kind::of(event).is_none()).map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(unsent, BTreeSet::from(["taskStarted", "taskProgress", "fetchProgress"]));
    assert!(EVERY.iter().all(|name| told.iter().all(|event| !event[*name].is_null())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_alerts_no_listener_is_there_and_a_changed_file_brings_and_ends_it() {
    let home = tempfile::tempdir().unwrap();
    let core =
        Arc::new(SignalLoop::open(Options { home: Some(home.path().to_owned()), ..Options::default() }).unwrap());
    let off = json!({ "enabled": false });
    let idle = json!({ "watch": off, "fetch": off, "retrain": off, "update": off, "evaluate": off });
    core.scheduler().start(object(idle)).unwrap();
    assert!(core.events().is_empty());
    let sender = home.path().join("scheduler").join("alerts-sender.lock");
    let server = testkit::receiver::Receiver::start([]);
    let configure = |alerts: Value| {
        let text = json!({ "alerts": alerts }).to_string();
        std::fs::write(home.path().join("scheduler_config.json"), text).unwrap();
    };
    let soon = Duration::from_secs(20);
    configure(json!([{ "to": "webhook", "url": server.url, "events": ["warning"] }]));
    within(soon, "the listener", || !core.events().is_empty()).await;
    core.events().emit(&Event::Warning("disk".into()));
    within(soon, "the alert", || server.seen().len() == 1).await;
    assert!(sender.exists());
    configure(json!([]));
    within(soon, "that no listener is there", || core.events().is_empty()).await;
    core.events().emit(&Event::Warning("unheard".into()));
    configure(json!([{ "to": "webhook", "url": server.url, "events": ["warning"], "name": "again" }]));
    within(soon, "the listener", || !core.events().is_empty()).await;
    core.events().emit(&Event::Warning("heard".into()));
    within(soon, "the alert", || server.seen().len() == 2).await;
    assert_eq!(server.seen()[1].json()["message"], "heard");
    core.close().await;
}
