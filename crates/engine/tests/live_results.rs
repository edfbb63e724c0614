//! The loop's reaction to its own live results: closings cause events; poor results put a market into conservative mode
//! and train it once in the background; and a new loop on the same home knows the state.

// A panic is how a test reports, in helpers too.

use domain::barrier::Outcome;
use domain::cancel::Cancel;
use domain::symbol::Market;
use domain::time::Clock;
use engine::{Event, EventListener, Options, SignalLoop, Told, TrainRequest};
use feedback::{StatsFilter, Tick};
use learning::Abstention;
use learning::drift::OutcomeMonitor;
use serde_json::{Map, Value, json};
use simulator::{Simulator, SimulatorOptions};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::{T0, signal};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

#[derive(Clone, Default)]
struct HeardEvents(Arc<Mutex<Vec<Event>>>);

impl EventListener for HeardEvents {
    fn tell(&self, event: &Event, _at_ms: i64, dropped: u64) -> Told {
        assert_eq!(dropped, 0, "no event is dropped");
        self.0.lock().unwrap().push(event.clone());
        Told::Taken
    }
}

impl HeardEvents {
    fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| wanted(event)).count()
    }

    /// Waits until there are this many events of the wanted kind.
    async fn wait(&self, count: usize, wanted: impl Fn(&Event) -> bool) {
        for _ in 0..600 {
            if self.count(&wanted) >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("not heard in a minute; heard: {:?}", self.0.lock().unwrap());
    }
}

fn open(home: &Path, clock: &Clock, exchange: Option<&Simulator>) -> (Arc<SignalLoop>, HeardEvents) {
    open_in(None, home, clock, exchange)
}

/// A loop whose signals are in a database.
fn open_in(
    store: Option<&str>,
    home: &Path,
    clock: &Clock,
    exchange: Option<&Simulator>,
) -> (Arc<SignalLoop>, HeardEvents) {
    let options = Options {
        home: Some(home.to_owned()),
        store: store.map(str::to_owned),
        threads: Some(1),
        clock: clock.clone(),
        exchange_url: Some(exchange.map_or("http://127.0.0.1:9", |exchange| exchange.url()).to_owned()),
        ..Options::default()
    };
    let core = Arc::new(SignalLoop::open(options).unwrap());
    core.settings()
        .configure(Map::from_iter([("trees".to_owned(), json!(10)), ("history_days".to_owned(), json!(60))]))
        .unwrap();
    let heard = HeardEvents::default();
    core.events().subscribe(Box::new(heard.clone()));
    (core, heard)
}

fn market() -> Market {
    Market::parse("BTCUSDT", "1h").unwrap()
}

/// A request for this market only.
fn of_market() -> TrainRequest {
    let (symbols, timeframes) = (Some(vec![market().symbol]), Some(vec![market().timeframe]));
    TrainRequest { symbols, timeframes, ..TrainRequest::default() }
}

/// Records signals at `now`, and lets the price close them: `+` at the target (10 %), `-` at the stop (5 %).
async fn live(core: &Arc<SignalLoop>, clock: &Clock, name: &str, pattern: &str) {
    for (i, c) in pattern.chars().enumerate() {
        let now = clock.now_ms() + 1000;
        clock.set(now);
        core.signals()
            .record(vec![signal(json!({ "id": format!("{name}-{i}"), "timestamp": now, "expiresAt": Value::Null }))])
            .await
            .unwrap();
        let price = if c == '+' { 110.0 } else { 95.0 };
        let tick = Tick { symbol: &market().symbol, price, time_ms: now + 1 };
        assert_eq!(core.signals().on_prices(core.signals().turn(), &[tick]).await.unwrap().len(), 1);
    }
}

fn is_mode(event: &Event) -> bool {
    matches!(event, Event::ConservativeMode { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn poor_results_are_reported_stored_and_end_on_recovery() {
    let home = tempfile::tempdir().unwrap();
    let clock = Clock::standing(T0);
    let (core, heard) = open(home.path(), &clock, None);
    live(&core, &clock, "a", "---+------").await;
    assert_eq!(heard.count(|event| matches!(event, Event::SignalClosed(_))), 10);
    heard.wait(2, is_mode).await;
    let filter = StatsFilter::default();
    let mode = core.performance().live().conservative_mode(&filter).unwrap();
    assert_eq!((mode.active, &mode.scopes), (true, &vec!["home".to_owned(), "BTCUSDT 1h".to_owned()]));
    assert_eq!(mode.reason.as_deref(), Some("1 of 10 closed signals succeeded (10.0 %)"));
    assert_eq!(core.performance().live().feedback_strength(&market()).unwrap(), 0.5);
    core.close().await;

    // Another loop, as after a restart, knows the state and repeats no event; new good results end the mode.
    let (core, heard) = open(home.path(), &clock, None);
    assert_eq!(core.performance().live().conservative_mode(&filter).unwrap(), mode);
    live(&core, &clock, "b", "+-+-+-+-+-").await;
    heard.wait(2, is_mode).await;
    assert!(!core.performance().live().conservative_mode(&filter).unwrap().active);
    assert_eq!(core.performance().live().feedback_strength(&market()).unwrap(), 0.3);
    assert_eq!(heard.count(is_mode), 2);
    // No model was ever trained here, so there is none to train again.
    assert_eq!(heard.count(|event| matches!(event, Event::EmergencyTrainingStarted(_))), 0);
    core.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_close_counts_and_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let clock = Clock::standing(T0);
    let (core, heard) = open(home.path(), &clock, None);
    core.signals().record(vec![signal(json!({ "id": "a" }))]).await.unwrap();
    assert!(core.signals().close_signal("a", Outcome::Failure, Some(97.0), None).await.unwrap());
    assert!(!core.signals().close_signal("a", Outcome::Failure, Some(97.0), None).await.unwrap());
    let told =
        heard.count(|event| matches!(event, Event::SignalClosed(one) if one.id == "a" && one.exit_price == Some(97.0)));
    assert_eq!((told, heard.0.lock().unwrap().len()), (1, 1));
    core.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poor_market_is_trained_anew_once_and_close_does_not_wait_for_the_end() {
    let home = tempfile::tempdir().unwrap();
    let start_ms = 1_735_689_600_000;
    let clock = Clock::standing(start_ms + 60 * DAY);
    let options = SimulatorOptions { start_ms, clock: clock.clone(), ..SimulatorOptions::default() };
    let exchange = Simulator::start(options).unwrap();
    let (core, heard) = open(home.path(), &clock, Some(&exchange));
    let before = core.trainer().train(of_market(), Cancel::default(), |_| {}).await.unwrap();
    let trained_ms = before.results[0].trained.as_ref().unwrap().model().record.trained_ms;
    clock.set(clock.now_ms() + HOUR);
    live(&core, &clock, "a", "----------").await;
    heard.wait(1, |event| matches!(event, Event::EmergencyTrainingFinished { .. })).await;
    let finished = |event: &Event| matches!(event, Event::EmergencyTrainingFinished { markets, trained } if *markets == [market()] && *trained == [market()]);
    assert_eq!(heard.count(finished), 1, "{:?}", heard.0.lock().unwrap());
    assert!(core.models().registry().get(&market()).wait().unwrap().record.trained_ms > trained_ms);

    // Still poor an hour later, within the cool-down: no second training. A day later there is one, and closing the
    // loop interrupts it.
    let started = |event: &Event| matches!(event, Event::EmergencyTrainingStarted(_));
    clock.set(clock.now_ms() + HOUR);
    live(&core, &clock, "b", "----------").await;
    core.performance().check(clock.now_ms()).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(heard.count(started), 1);
    core.settings().configure(Map::from_iter([("trees".to_owned(), json!(2000))])).unwrap();
    clock.set(clock.now_ms() + DAY);
    core.performance().check(clock.now_ms()).unwrap();
    heard.wait(2, started).await;
    let begin = std::time::Instant::now();
    core.close().await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());

    // The interrupted training produced no model, so it is due again in an hour, not in a day.
    let (core, heard) = open(home.path(), &clock, Some(&exchange));
    core.performance().check(clock.now_ms() + HOUR - 1).unwrap();
    core.performance().check(clock.now_ms() + HOUR).unwrap();
    heard.wait(1, finished).await;
    assert_eq!(heard.count(started), 1);
    core.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_of_a_database_know_together_and_train_once() {
    let name = "instances_of_a_database_know_together_and_train_once";
    let Some(schema) = testkit::server::schema(name) else { return };
    let homes = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let start_ms = 1_735_689_600_000;
    let clock = Clock::standing(start_ms + 60 * DAY);
    let options = SimulatorOptions { start_ms, clock: clock.clone(), ..SimulatorOptions::default() };
    let exchange = Simulator::start(options).unwrap();
    let [(a, at_a), (b, at_b), (c, at_c)] =
        homes.each_ref().map(|home| open_in(Some(&schema.url), home.path(), &clock, Some(&exchange)));
    assert!(a.trainer().train(of_market(), Cancel::default(), |_| {}).await.unwrap().results[0].trained.is_ok());
    clock.set(clock.now_ms() + HOUR);
    b.store().open().unwrap();
    let before = b.elsewhere();
    assert_eq!(b.elsewhere(), before, "nothing changed");
    live(&a, &clock, "a", "----------").await;
    let five_seconds = Duration::from_secs(5);
    testkit::within(five_seconds, "a page of it is drawn anew", || b.elsewhere().signals != before.signals).await;

    // Two loops judge the same signals: one of them reports, and trains.
    let now_ms = clock.now_ms();
    let judges = [&a, &b].map(|core| {
        let core = core.clone();
        tokio::task::spawn_blocking(move || core.performance().check(now_ms))
    });
    for judge in judges {
        judge.await.unwrap().unwrap();
    }
    let all = |wanted: fn(&Event) -> bool| [&at_a, &at_b, &at_c].iter().map(|heard| heard.count(wanted)).sum::<usize>();
    let finished = |event: &Event| matches!(event, Event::EmergencyTrainingFinished { .. });
    testkit::within(Duration::from_secs(30), "a training ends", || all(finished) > 0).await;
    // Longer than the check that the closings triggered.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let started = |event: &Event| matches!(event, Event::EmergencyTrainingStarted(_));
    assert_eq!((all(started), all(finished), all(is_mode)), (1, 1, 2));

    // A loop that closed nothing and judged nothing learns of it too.
    let filter = StatsFilter::default();
    testkit::within(five_seconds, "it is conservative, too", || {
        c.performance().live().conservative_mode(&filter).unwrap().active
    })
    .await;
    assert_eq!(
        c.performance().live().conservative_mode(&filter).unwrap(),
        a.performance().live().conservative_mode(&filter).unwrap()
    );
    for core in [a, b, c] {
        core.close().await;
    }
    assert_eq!(schema.ask("SELECT state LIKE '%BTCUSDT%' FROM signalloop_performance"), ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_conservative_mode_a_bet_needs_more() {
    let home = tempfile::tempdir().unwrap();
    let start_ms = 1_735_689_600_000;
    let clock = Clock::standing(start_ms + 180 * DAY);
    // A rule so strong that the model finds it, and gives signals.
    let options =
        SimulatorOptions { start_ms, seed: 5, rule_strength: 0.6, clock: clock.clone(), ..SimulatorOptions::default() };
    let exchange = Simulator::start(options).unwrap();
    let (core, heard) = open(home.path(), &clock, Some(&exchange));
    let settings = json!({
        "trees": 20, "history_days": 180, "symbols": ["BTCUSDT"], "timeframes": ["1h"],
        "poor_performance": { "emergency_training": false, "conservative_margin": 50 },
    });
    core.settings().configure(testkit::object(settings)).unwrap();
    core.trainer().train(TrainRequest::default(), Cancel::default(), |_| {}).await.unwrap();
    let windows: Vec<_> = (1..400)
        .map(|hour| {
            exchange.candles(&market(), clock.now_ms() - (200 + hour) * HOUR, clock.now_ms() - hour * HOUR).unwrap()
        })
        .collect();
    let decisions = || -> Vec<_> {
        windows.iter().map(|candles| core.models().predict(&market(), Some(candles)).wait().unwrap().decision).collect()
    };
    let before = decisions();
    live(&core, &clock, "a", "----------").await;
    heard.wait(2, is_mode).await;
    let bets = before.iter().filter(|decision| decision.is_ok()).count();
    assert!(bets > 10, "{bets} bets");
    for ((before, after), candles) in before.into_iter().zip(decisions()).zip(&windows) {
        assert_eq!(after, before.and(Err(Abstention::ConservativeMode)));
        assert_eq!(core.models().predict(&market(), Some(candles)).ready().unwrap().unwrap().decision, after);
    }
    let bet = windows.iter().map(|candles| core.models().predict(&market(), Some(candles)).wait().unwrap());
    let refused = bet.filter(|made| made.decision == Err(Abstention::ConservativeMode)).map(|made| made.rationale());
    assert!(refused.into_iter().all(|words| words.starts_with("HOLD: recent signals did poorly")));
    core.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_reported_and_reset() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("performance.json"), "{ not json").unwrap();
    let clock = Clock::standing(T0);
    let (core, heard) = open(home.path(), &clock, None);
    assert!(!core.performance().live().conservative_mode(&StatsFilter::default()).unwrap().active);
    assert_eq!(
        heard.count(|event| matches!(event, Event::Warning(text) if text.contains("performance.json is damaged"))),
        1
    );
    live(&core, &clock, "a", "----------").await;
    heard.wait(2, is_mode).await;
    core.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_of_outcomes_and_of_indicators_is_told_once() {
    let home = tempfile::tempdir().unwrap();
    let clock = Clock::standing(T0);
    let (core, heard) = open(home.path(), &clock, None);
    // Alternating wins, then only losses; the indicator moves with them.
    let mut signals = Vec::new();
    for i in 0..160i64 {
        let rsi = if i < 100 { 30 + (i * 7) % 40 } else { 60 + (i * 7) % 40 };
        signals.push(signal(json!({
            "id": format!("s{i}"), "timestamp": T0 + i * 60_000, "indicators": { "rsi": rsi, "still": (i * 13) % 50 },
        })));
    }
    core.signals().record(signals).await.unwrap();
    for i in 0..160i64 {
        clock.set(T0 + i * 60_000 + 1);
        let outcome = if i < 100 && i % 2 == 0 { Outcome::TookProfit } else { Outcome::StoppedOut };
        assert!(core.signals().close_signal(&format!("s{i}"), outcome, None, None).await.unwrap());
        if i == 99 {
            core.performance().check(clock.now_ms()).unwrap();
        }
    }
    core.performance().check(clock.now_ms()).unwrap();
    core.performance().check(clock.now_ms()).unwrap();
    let outcomes = heard.count(|event| match event {
        Event::OutcomeDrift(of, drift) => {
            *of == market()
                && drift.since_ms >= T0 + 98 * 60_000
                && drift.since_ms <= T0 + 102 * 60_000
                && drift.since < 10.0
        }
        _ => false,
    });
    let any = heard.count(|event| matches!(event, Event::OutcomeDrift(..)));
    assert_eq!((outcomes, any), (1, 1), "{:?}", heard.0.lock().unwrap());
    let entries = heard.count(|event| match event {
        Event::EntryDrift { quantities, .. } => {
            quantities.iter().map(|one| one.name.as_str()).collect::<Vec<_>>() == ["indicators.rsi"]
        }
        _ => false,
    });
    assert!(entries >= 1, "{:?}", heard.0.lock().unwrap());
    core.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_told_when_closings_of_its_millisecond_were_known_before() {
    let home = tempfile::tempdir().unwrap();
    let clock = Clock::standing(T0);
    let (core, heard) = open(home.path(), &clock, None);
    let succeeds = |i: i64| i < 100 && i % 2 == 0;
    let mut monitor = OutcomeMonitor::default();
    let alarm = (0..200).find(|&i| monitor.next(succeeds(i), i, i).is_some()).unwrap();
    let told = || heard.count(|event| matches!(event, Event::OutcomeDrift(..)));
    for i in 0..=alarm {
        // The last two close at the same time.
        let at_ms = T0 + 60_000 * i.min(alarm - 1);
        clock.set(at_ms + 1);
        let id = format!("s{i}");
        // The last one is given when the one before it closes, so they do not overlap.
        let given_ms = if i == alarm { at_ms + 1 } else { at_ms };
        core.signals().record(vec![signal(json!({ "id": id, "timestamp": given_ms }))]).await.unwrap();
        if i == alarm {
            core.performance().check(clock.now_ms()).unwrap();
            assert_eq!(told(), 0);
        }
        let outcome = if succeeds(i) { Outcome::TookProfit } else { Outcome::StoppedOut };
        assert!(core.signals().close_signal(&id, outcome, None, None).await.unwrap());
    }
    for _ in 0..2 {
        core.performance().check(clock.now_ms()).unwrap();
        assert_eq!(told(), 1, "told, and once");
    }
    core.close().await;
}

#[test]
fn the_words_of_an_abstention_are_the_ones_that_javascript_sees() {
    assert_eq!(json!(Abstention::ConservativeMode), "CONSERVATIVE_MODE");
}
