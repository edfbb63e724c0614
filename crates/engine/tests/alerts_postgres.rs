//! Alerts of a home whose store is a database: one leader alerts closed signals, and neither a killed nor a changed leader loses one.

use domain::barrier::Outcome;
use domain::time::{Clock, now_ms};
use engine::{Options, SignalLoop};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testkit::receiver::{Act, Receiver};
use testkit::server::schema;
use testkit::{child_part, object, signal, within};

const LEASE: Duration = Duration::from_millis(1_500);

fn open(home: &Path, url: &str, clock: &Clock) -> Arc<SignalLoop> {
    let core = SignalLoop::open(Options {
        home: Some(home.to_owned()),
        store: Some(url.to_owned()),
        lease: Some(LEASE),
        clock: clock.clone(),
        threads: Some(1),
        ..Options::default()
    });
    Arc::new(core.unwrap())
}

/// No task is scheduled; closed signals go to this address.
fn alerting(url: &str) -> Map<String, Value> {
    let off = json!({ "enabled": false });
    object(json!({
        "watch": off, "fetch": off, "retrain": off, "update": off, "evaluate": off,
        "alerts": [{ "to": "webhook", "url": url, "events": ["signalClosed"] }],
    }))
}

/// Records a signal and closes it now.
async fn close(core: &SignalLoop, id: &str) {
    let (store, now) = (core.store().open().unwrap(), core.settings().now_ms());
    store.record(signal(json!({ "id": id, "timestamp": now - 60_000 }))).await.unwrap();
    assert!(store.close_signal(id, Outcome::Success, None, Some(1.0), now).await.unwrap());
}

/// How often each signal was alerted, and whether it always had the same key.
fn alerted(server: &Receiver) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for request in server.seen() {
        let id = request.json()["signal"]["id"].as_str().unwrap().to_owned();
        keys.insert((id.clone(), request.headers["idempotency-key"].clone()));
        *counts.entry(id).or_default() += 1;
    }
    assert_eq!(keys.len(), counts.len(), "a signal has one key: {keys:?}");
    counts
}

async fn until(what: &str, seen: impl FnMut() -> bool) {
    within(Duration::from_secs(30), what, seen).await;
}

fn leads(core: &SignalLoop) -> bool {
    core.scheduler().glance().unwrap().leader
}

/// Times longer than the sender's looks for closed signals.
async fn for_some_looks() {
    tokio::time::sleep(Duration::from_millis(2_500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_alerts_what_closed_in_the_last_minute_and_nothing_older() {
    let Some(schema) = schema("a_new_leader_alerts_what_closed_in_the_last_minute_and_nothing_older") else { return };
    let server = Receiver::start([]);
    let clock = Clock::standing(now_ms());
    let homes = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let [first, second] = homes.each_ref().map(|home| open(home.path(), &schema.url, &clock));
    let other = tempfile::tempdir().unwrap();
    let elsewhere = open(other.path(), &schema.url, &clock);
    first.scheduler().start(alerting(&server.url)).unwrap();
    until("the first leads", || leads(&first)).await;
    // It stands by for eleven minutes.
    second.scheduler().start(alerting(&server.url)).unwrap();
    close(&elsewhere, "old").await;
    until("old", || server.seen().len() == 1).await;
    // A closing that is found late, as in candles, is alerted by a leader that was there all the time.
    let store = elsewhere.store().open().unwrap();
    store.record(signal(json!({ "id": "found late", "timestamp": clock.now_ms() - 7_200_000 }))).await.unwrap();
    assert!(
        store.close_signal("found late", Outcome::Failure, None, Some(-1.0), clock.now_ms() - 3_600_000).await.unwrap()
    );
    until("found late", || server.seen().len() == 2).await;
    clock.set(clock.now_ms() + 10 * 60_000);
    close(&elsewhere, "sent").await;
    until("sent", || server.seen().len() == 3).await;
    clock.set(clock.now_ms() + 50_000);
    first.scheduler().stop().await;
    close(&elsewhere, "between").await;
    until("the second leads", || leads(&second)).await;
    close(&elsewhere, "later").await;
    until("later", || alerted(&server).contains_key("later")).await;
    for_some_looks().await;
    let counts = alerted(&server);
    let expected = [("between", 1), ("found late", 1), ("later", 1), ("old", 1), ("sent", 2)];
    assert_eq!(
        counts,
        expected.map(|(id, count)| (id.to_owned(), count)).into(),
        "sent within a minute: may come twice"
    );
    // The first leads again: it knows what it sent itself.
    first.scheduler().start(alerting(&server.url)).unwrap();
    second.scheduler().stop().await;
    until("the first leads again", || leads(&first)).await;
    for_some_looks().await;
    let counts = alerted(&server);
    assert_eq!((counts["old"], counts["found late"], counts["sent"]), (1, 1, 2), "{counts:?}");
    for core in [first, second, elsewhere] {
        core.close().await;
    }
}

/// Of two processes of one home, the one that leads may not be the one that sends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_signals_are_alerted_when_the_leader_shares_its_home_with_the_sender() {
    let Some(schema) = schema("closed_signals_are_alerted_when_the_leader_shares_its_home_with_the_sender") else {
        return;
    };
    let server = Receiver::start([]);
    let homes = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let elsewhere = open(homes[1].path(), &schema.url, &Clock::System);
    elsewhere.scheduler().start(alerting(&server.url)).unwrap();
    until("the other machine leads", || leads(&elsewhere)).await;
    // Both stand by; the first of them holds the lock of the sender.
    let [sender, leader] = [0, 1].map(|_| open(homes[0].path(), &schema.url, &Clock::System));
    sender.scheduler().start(alerting(&server.url)).unwrap();
    let lock = homes[0].path().join("scheduler").join("alerts-sender.lock");
    until("the sender", || lock.exists()).await;
    leader.scheduler().start(alerting(&server.url)).unwrap();
    // The lead goes to any of the two: a few changes make each of them lead.
    let mut led = [false, false];
    for round in 0..20 {
        elsewhere.scheduler().stop().await;
        until("one of them leads", || leads(&sender) || leads(&leader)).await;
        led[usize::from(leads(&leader))] = true;
        let id = format!("s{round}");
        close(&elsewhere, &id).await;
        until("the alert", || alerted(&server).contains_key(&id)).await;
        if led[1] {
            break;
        }
        elsewhere.scheduler().start(alerting(&server.url)).unwrap();
        sender.scheduler().stop().await;
        until("the other machine leads", || leads(&elsewhere)).await;
        sender.scheduler().start(alerting(&server.url)).unwrap();
    }
    assert!(led[1], "the process that does not send never led");
    for_some_looks().await;
    assert!(alerted(&server).values().all(|count| *count == 1), "{:?}", alerted(&server));
    for core in [sender, leader, elsewhere] {
        core.close().await;
    }
}

/// A child process: a machine of its own, with a home that outlives it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerting_process() {
    let Some((number, place)) = child_part() else { return };
    let [store, receiver] = ["store", "receiver"].map(|name| std::fs::read_to_string(place.join(name)).unwrap());
    let home = place.join(number.to_string());
    std::fs::create_dir_all(&home).unwrap();
    let core = open(&home, &store, &Clock::System);
    core.scheduler().start(alerting(&receiver)).unwrap();
    loop {
        if leads(&core) {
            std::fs::write(place.join("leads"), number.to_string()).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_loses_no_alert() {
    let Some(schema) = schema("a_killed_leader_loses_no_alert") else { return };
    let place = tempfile::tempdir().unwrap();
    let server = Receiver::start([]);
    std::fs::write(place.path().join("store"), &schema.url).unwrap();
    std::fs::write(place.path().join("receiver"), &server.url).unwrap();
    let home = tempfile::tempdir().unwrap();
    let core = open(home.path(), &schema.url, &Clock::System);
    close(&core, "s0").await;
    let start = |number: usize| testkit::child!("alerting_process", place.path(), number).spawn().unwrap();
    let mut children: Vec<_> = (0..3).map(start).collect();
    let leader = || std::fs::read_to_string(place.path().join("leads")).ok()?.parse::<usize>().ok();
    let mut count = 1;
    for round in 0..3 {
        until("somebody leads", || leader().is_some()).await;
        let number = leader().unwrap();
        if round == 1 {
            // Taken, but never answered: it is not noted as sent.
            server.plan(Act::Hang);
        }
        for _ in 0..5 {
            close(&core, &format!("s{count}")).await;
            count += 1;
            tokio::time::sleep(Duration::from_millis(150 * round)).await;
        }
        children[number].kill().unwrap();
        children[number].wait().unwrap();
        std::fs::remove_file(place.path().join("leads")).unwrap();
        close(&core, &format!("s{count}")).await;
        count += 1;
        if round == 2 {
            children.iter_mut().for_each(|child| drop(child.kill().map(|()| child.wait())));
        }
        // What the killed one had written and not sent is sent by its successor on the same machine.
        children[number] = start(number);
    }
    let all: BTreeSet<String> = (0..count).map(|n| format!("s{n}")).collect();
    until("all of them", || alerted(&server).into_keys().collect::<BTreeSet<_>>() == all).await;
    for_some_looks().await;
    for child in &mut children {
        // Fails if it has already been killed.
        let _ = child.kill();
        let _ = child.wait();
    }
    // Each leader alerts a signal once; one that took over, and the one that came back, may do it again.
    let counts = alerted(&server);
    println!("alerts per signal: {counts:?}");
    assert!(counts.values().all(|count| *count <= 1 + 3 + 1), "{counts:?}");
    core.close().await;
}
