//! The scheduler on several machines: one leader by lease, each task runs once, trainings are shared, whichever process
//! dies, hangs or is cut off.

use domain::candle::Candle;
use domain::error::Error;
use domain::symbol::Market;
use domain::time::{Clock, now_ms};
use engine::{Event, EventListener, Options, SignalLoop, Told};
use exchange::{CandleFuture, CandleSource};
use scheduler::{LastRun, Outcome, Task};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::proxy::{Mood, Proxy};
use testkit::server::{self, Schema, schema};
use testkit::{child_part, object, within};

const HOURLY: &[&str] = &["1h"];
/// Long enough for a busy machine, short enough for a test.
const LEASE: Duration = Duration::from_millis(1_500);

/// A candle source that notes each request in a file shared by all processes of a test.
struct NotedSource {
    notes: PathBuf,
    time: Duration,
    /// Never answers for this symbol.
    hangs: Option<&'static str>,
    /// Answers with an error for this symbol.
    fails: Option<&'static str>,
    /// Returns no candles, so that every run asks again.
    empty: bool,
}

impl NotedSource {
    fn note(&self, what: &str, market: &Market) {
        let mut file = std::fs::File::options().append(true).create(true).open(&self.notes).unwrap();
        file.write_all(format!("{what} {} {} {}\n", std::process::id(), market.symbol, market.timeframe).as_bytes())
            .unwrap();
    }
}

impl CandleSource for NotedSource {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        Box::pin(async move {
            self.note("begin", market);
            if self.hangs == Some(market.symbol.as_str()) {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(self.time).await;
            self.note("end", market);
            if self.fails == Some(market.symbol.as_str()) {
                return Err(Error::Internal("no candles today".to_owned()));
            }
            if self.empty {
                return Ok(Vec::new().into());
            }
            let step = market.timeframe.millis();
            let first = (from_ms + step - 1).div_euclid(step) * step;
            // Prices move in waves, so that there is something to train on.
            let price = |open_ms: i64| 100.0 + 5.0 * ((open_ms / step) as f64 * 0.7).sin();
            let candle = |open_ms| {
                let (open, close) = (price(open_ms), price(open_ms + step));
                let volume = 1.0 + (open_ms / step % 7) as f64;
                Candle { open_ms, open, high: open.max(close) + 1.0, low: open.min(close) - 1.0, close, volume }
            };
            Ok((first..until_ms).step_by(step as usize).map(candle).collect::<Vec<_>>().into())
        })
    }
}

/// Writes warnings into the shared file.
struct Warnings(PathBuf);

impl EventListener for Warnings {
    fn tell(&self, event: &Event, _at_ms: i64, _dropped: u64) -> Told {
        if let Event::Warning(text) = event {
            let mut file = std::fs::File::options().append(true).create(true).open(&self.0).unwrap();
            file.write_all(format!("warning {} {text}\n", std::process::id()).as_bytes()).unwrap();
        }
        Told::Taken
    }
}

/// An instance with a home of its own, as on another machine.
struct Instance {
    core: Arc<SignalLoop>,
    _home: tempfile::TempDir,
}

struct Setup<'a> {
    url: &'a str,
    folder: &'a Path,
    /// The number of symbols, each at these timeframes.
    symbols: usize,
    timeframes: &'static [&'static str],
    time: Duration,
    hangs: Option<&'static str>,
    fails: Option<&'static str>,
    empty: bool,
    clock: Clock,
    lease: Duration,
}

impl<'a> Setup<'a> {
    fn of(url: &'a str, folder: &'a Path) -> Self {
        let (time, clock) = (Duration::from_millis(100), Clock::System);
        Self {
            url,
            folder,
            symbols: 1,
            timeframes: HOURLY,
            time,
            hangs: None,
            fails: None,
            empty: false,
            clock,
            lease: LEASE,
        }
    }

    fn open(self) -> Instance {
        let home = tempfile::tempdir().unwrap();
        let notes = self.folder.join("notes");
        let source = NotedSource { notes, time: self.time, hangs: self.hangs, fails: self.fails, empty: self.empty };
        let core = SignalLoop::open(Options {
            home: Some(home.path().to_owned()),
            store: Some(self.url.to_owned()),
            source: Some(Arc::new(source)),
            lease: Some(self.lease),
            clock: self.clock,
            threads: Some(1),
            ..Options::default()
        });
        let core = Arc::new(core.unwrap());
        let symbols: Vec<String> = (0..self.symbols).map(|n| format!("COIN{n}USDT")).collect();
        let config = json!({ "symbols": symbols, "timeframes": self.timeframes, "history_days": 20, "trees": 10 });
        core.settings().configure(object(config)).unwrap();
        core.events().subscribe(Box::new(Warnings(self.folder.join("warnings"))));
        Instance { core, _home: home }
    }
}

impl Instance {
    fn leads(&self) -> bool {
        self.core.scheduler().glance().unwrap().leader
    }

    fn standing_by(&self) -> String {
        self.core.scheduler().glance().unwrap().standing_by.unwrap_or_default()
    }
}

/// Only fetching is scheduled, at this interval in seconds.
fn fetching(seconds: u32) -> Map<String, Value> {
    let off = json!({ "enabled": false });
    object(json!({
        "watch": off, "retrain": off, "update": off, "evaluate": off, "fetch": { "interval_seconds": seconds },
        "retry": { "base_seconds": 0.2, "longest_seconds": 0.2 },
    }))
}

/// Nothing is scheduled.
fn idle() -> Map<String, Value> {
    let mut config = fetching(1);
    config["fetch"] = json!({ "enabled": false });
    config
}

async fn until(what: &str, seen: impl Fn() -> bool) {
    within(Duration::from_secs(30), what, seen).await;
}

/// All begins and ends so far: what, by which process, for which symbol.
fn notes(folder: &Path) -> Vec<(String, u32, String)> {
    let text = std::fs::read_to_string(folder.join("notes")).unwrap_or_default();
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[0].to_owned(), words[1].parse().unwrap(), words[2].to_owned())
    };
    text.lines().map(line).collect()
}

fn warnings(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("warnings")).unwrap_or_default()
}

/// A child process with an instance: number 0 fetches every second, the others only help; number 2 hangs on one symbol.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheduling_process() {
    let Some((number, place)) = child_part() else { return };
    let url = std::fs::read_to_string(place.join("url")).unwrap();
    let hangs = (number == 2).then_some("COIN3USDT");
    let time = Duration::from_millis(if number == 0 { 400 } else { 700 });
    let instance = Setup { hangs, time, empty: number == 0, ..Setup::of(&url, &place) }.open();
    instance.core.scheduler().start(if number == 0 { fetching(1) } else { idle() }).unwrap();
    std::fs::write(place.join(format!("{}.started", std::process::id())), "").unwrap();
    std::future::pending::<()>().await;
}

/// Child processes, which are killed when this is dropped.
struct Children(Vec<Child>);

impl Children {
    fn start(schema: &Schema, folder: &Path, numbers: &[usize]) -> Self {
        std::fs::write(folder.join("url"), &schema.url).unwrap();
        // Creates the tables before a test reads them.
        assert_eq!(Setup::of(&schema.url, folder).open().core.scheduler().history(1).unwrap(), []);
        Self(
            numbers
                .iter()
                .map(|number| testkit::child!("scheduling_process", folder, *number).spawn().unwrap())
                .collect(),
        )
    }

    /// Waits until every scheduler has started.
    async fn are_there(&self, folder: &Path) {
        until("the others", || self.0.iter().all(|child| folder.join(format!("{}.started", child.id())).exists()))
            .await;
    }

    fn kill(&mut self, pid: u32) {
        let child = self.0.iter_mut().find(|child| child.id() == pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Fails if it has already been killed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const LEADER: &str = "SELECT count(*) FROM signalloop_leases WHERE name = 'leader' AND until > clock_timestamp()";

/// Asks twice: an instance that leads in both passes led in between, so two of them would mean two leaders at once.
fn leaders(instances: &[Instance]) -> usize {
    let first: Vec<bool> = instances.iter().map(Instance::leads).collect();
    first.iter().zip(instances).filter(|(led, instance)| **led && instance.leads()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_three_leads_while_leaders_stop_and_are_cut_off() {
    let Some(schema) = schema("one_of_three_leads_while_leaders_stop_and_are_cut_off") else { return };
    let folder = tempfile::tempdir().unwrap();
    let proxies: Vec<Proxy> = (0..3).map(|_| Proxy::of(&schema, "signalloop_")).collect();
    // The clocks differ by minutes: only the database's clock counts.
    let clock = |n: i64| Clock::standing(now_ms() + (n - 1) * 7 * 60_000);
    let instances: Vec<Instance> = proxies
        .iter()
        .zip(0..)
        .map(|(proxy, n)| Setup { clock: clock(n), empty: true, ..Setup::of(&proxy.url, folder.path()) }.open())
        .collect();
    for instance in &instances {
        instance.core.scheduler().start(fetching(2)).unwrap();
    }
    let one_leads = async |what: &str, but: Option<usize>| {
        let begin = Instant::now();
        loop {
            assert!(leaders(&instances) <= 1, "two lead: {what}");
            if let Some(place) = instances.iter().position(Instance::leads).filter(|place| Some(*place) != but) {
                return (place, begin.elapsed());
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "nobody leads: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for round in 0..6 {
        let (leader, _) = one_leads("at first", None).await;
        until("the others say who", || {
            instances.iter().zip(0..).all(|(one, place)| place == leader || one.standing_by().contains("is held by"))
        })
        .await;
        until("all know who leads", || {
            let led_by = |one: &Instance| one.core.scheduler().status().unwrap().led_by;
            let known = |one| led_by(one).is_some_and(|who| who.process == std::process::id() && who.since.is_some());
            instances.iter().all(known)
        })
        .await;
        let (proxy, core) = (&proxies[leader], &instances[leader].core);
        match round % 3 {
            0 => core.scheduler().stop().await,
            1 => proxy.be(Mood::Swallows),
            _ => {
                proxy.be(Mood::Refuses);
                proxy.cut();
            }
        }
        let (next, took) = one_leads("after it", Some(leader)).await;
        assert!(next != leader && took < LEASE * 3, "replaced after {took:?}");
        if round % 3 == 0 {
            core.scheduler().start(fetching(2)).unwrap();
        } else {
            until("it reports the cause", || instances[leader].standing_by().contains("127.0.0.1")).await;
            assert!(!instances[leader].standing_by().contains("of/the"), "{}", instances[leader].standing_by());
            proxy.be(Mood::Passes);
        }
        let begin = Instant::now();
        while begin.elapsed() < LEASE {
            assert!(leaders(&instances) <= 1 && schema.number(LEADER) <= 1);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for instance in &instances[1..] {
        instance.core.close().await;
    }
    instances[0].core.scheduler().stop().await;
    until("that nobody leads", || instances[0].core.scheduler().status().unwrap().led_by.is_none()).await;
    instances[0].core.close().await;
    // Runs follow each other by the database's clock: no leader's own clock caused an early one.
    let whats: Vec<String> = notes(folder.path()).into_iter().map(|(what, ..)| what).collect();
    assert!(whats.len() > 8, "{whats:?}");
    let early = "SELECT count(*) FROM (SELECT started_at - lag(started_at) OVER (ORDER BY started_at) AS apart, outcome, \
        lag(outcome) OVER (ORDER BY started_at) AS before FROM signalloop_history) AS run \
        WHERE apart < interval '1.9 s' AND before = 'finished'";
    assert_eq!(schema.number(early), 0);
    let off =
        "SELECT count(*) FROM signalloop_history WHERE abs(extract(epoch FROM clock_timestamp() - started_at)) > 300";
    assert_eq!(schema.number(off), 0);
    assert_eq!(
        schema.number("SELECT count(*) FROM signalloop_leases WHERE until > clock_timestamp()"),
        0,
        "all given up"
    );
}

/// Asserts the order of begins and ends: no process begins before another's end, unless that one was `lost` in the
/// meantime.
fn alone(notes: &[(String, u32, String)]) {
    for (place, (what, pid, _)) in notes.iter().enumerate() {
        if let Some((next, other, _)) = notes.get(place + 1).filter(|_| what == "begin") {
            let ended = next == "end" && other == pid;
            assert!(ended || (next == "begin" && other != pid), "two runs at once: {notes:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced_when_its_lease_ends() {
    let Some(schema) = schema("a_killed_leader_is_replaced_when_its_lease_ends") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut children = Children::start(&schema, folder.path(), &[0, 0, 0]);
    let mut slowest = Duration::ZERO;
    for round in 0..2 {
        until("runs", || notes(folder.path()).len() > 2 + 4 * round).await;
        let leader = notes(folder.path()).last().unwrap().1;
        children.kill(leader);
        let killed = Instant::now();
        until("another's run", || notes(folder.path()).last().unwrap().1 != leader).await;
        slowest = slowest.max(killed.elapsed());
    }
    println!("the slowest take-over: {slowest:?}");
    // The leader's lease, one polling interval, the task's lease, and delays of a busy machine.
    assert!(slowest < LEASE * 2 + Duration::from_secs(3), "{slowest:?}");
    drop(children);
    alone(&notes(folder.path()));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_former_leader_writes_is_refused() {
    let Some(schema) = schema("what_a_former_leader_writes_is_refused") else { return };
    let folder = tempfile::tempdir().unwrap();
    let children = Children::start(&schema, folder.path(), &[0, 0]);
    let send = |signal: &str, pid: u32| {
        assert!(std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
    };
    // In the middle of a run.
    until("a run", || notes(folder.path()).len() > 2 && notes(folder.path()).last().unwrap().0 == "begin").await;
    let former = notes(folder.path()).last().unwrap().1;
    send("-STOP", former);
    until("another leader", || notes(folder.path()).iter().filter(|(_, pid, _)| *pid != former).count() > 3).await;
    let by_former = format!("SELECT count(*) FROM signalloop_history WHERE written_by LIKE '% process {former} %'");
    let (before, runs) = (schema.number(&by_former), schema.number("SELECT count(*) FROM signalloop_history"));
    send("-CONT", former);
    let refused = || {
        warnings(folder.path()).lines().any(|line| {
            line.starts_with(&format!("warning {former} "))
                && line.contains("another instance has taken over `task/fetch`")
        })
    };
    until("the refusal", refused).await;
    until("more runs", || schema.number("SELECT count(*) FROM signalloop_history") > runs + 2).await;
    assert_eq!(schema.number(&by_former), before, "nothing of it came after it was replaced");
    let record = schema.ask("SELECT written_by FROM signalloop_tasks WHERE task = 'fetch'");
    assert!(!record[0].contains(&format!(" process {former} ")), "{record:?}");
    drop(children);
}

/// Jobs by state, as `done 9`.
fn jobs(schema: &Schema) -> Vec<String> {
    schema.ask("SELECT status || ' ' || count(*) FROM signalloop_jobs GROUP BY status ORDER BY status")
}

fn done(run: &LastRun) -> (Outcome, usize, usize) {
    (run.outcome, run.done, run.failed.len())
}

/// How often the model of each timeframe was fitted, over all instances.
fn fits(instances: &[Instance]) -> BTreeMap<String, usize> {
    let mut fits = BTreeMap::new();
    for instance in instances {
        for line in instance.core.metrics().unwrap().lines() {
            let Some(rest) = line.strip_prefix("signalloop_pools_fitted_total{timeframe=\"") else { continue };
            let (timeframe, count) = rest.split_once("\"} ").unwrap();
            *fits.entry(timeframe.to_owned()).or_default() += count.parse::<usize>().unwrap();
        }
    }
    fits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_training_fits_the_model_of_a_timeframe_once() {
    let Some(schema) = schema("a_shared_training_fits_the_model_of_a_timeframe_once") else { return };
    let (folder, time) = (tempfile::tempdir().unwrap(), Duration::from_millis(700));
    let timeframes: &[&str] = &["15m", "30m", "1h"];
    // No lease runs out here, and the database has half of a lease to answer.
    let lease = Duration::from_secs(10);
    let open = |_| Setup { symbols: 3, timeframes, time, lease, ..Setup::of(&schema.url, folder.path()) }.open();
    let instances: Vec<Instance> = (0..3).map(open).collect();
    for instance in &instances {
        instance.core.scheduler().start(idle()).unwrap();
    }
    for run in 1..=2 {
        let last = instances[0].core.scheduler().run_once(Task::Retrain).await.unwrap();
        assert_eq!(done(&last), (Outcome::Finished, 9, 0), "{last:?}");
        let once: BTreeMap<String, usize> = timeframes.iter().map(|one| ((*one).to_owned(), run)).collect();
        assert_eq!(fits(&instances), once);
        let hands = schema.ask("SELECT count(DISTINCT holder)::text FROM signalloop_jobs GROUP BY timeframe");
        assert_eq!(hands, ["1", "1", "1"], "all markets of a timeframe are one's");
    }
    // Each depends on the candles of all markets, wherever it was trained.
    let text =
        std::fs::read_to_string(instances[0].core.settings().home().join("models/training_results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    for entry in results["results"].as_array().unwrap() {
        assert_eq!(entry["record"]["symbols"], json!(["COIN0USDT", "COIN1USDT", "COIN2USDT"]), "{entry}");
    }
    for instance in &instances {
        instance.core.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_share_a_training_and_each_job_is_done_once() {
    let Some(schema) = schema("three_processes_share_a_training_and_each_job_is_done_once") else { return };
    let folder = tempfile::tempdir().unwrap();
    // Jobs take a while, because helpers look for them only twice a second.
    let time = Duration::from_millis(1_000);
    let timeframes: &[&str] = &["15m", "30m", "1h"];
    let instance = Setup { symbols: 4, timeframes, time, ..Setup::of(&schema.url, folder.path()) }.open();
    let children = Children::start(&schema, folder.path(), &[1, 1]);
    children.are_there(folder.path()).await;
    for run in 1..=2 {
        let last = instance.core.scheduler().run_once(Task::Retrain).await.unwrap();
        assert_eq!(done(&last), (Outcome::Finished, 12, 0), "{last:?}");
        let expected = "12 of 12 models trained, 12 put into service; ";
        assert!(last.message.starts_with(expected), "{}", last.message);
        assert!(last.message.ends_with(" of 12 beat their base rate on rows they had not seen"), "{}", last.message);
        assert_eq!(jobs(&schema), ["done 12"]);
        // In the second run every instance already has candles, and may be done before another one looks.
        let hands = schema.number("SELECT count(DISTINCT holder) FROM signalloop_jobs");
        assert!(hands == 3 || run > 1, "all had some: {hands}");
        assert_eq!(schema.number("SELECT max(claims) FROM signalloop_jobs"), 1);
        assert_eq!(schema.number("SELECT count(*) FROM signalloop_history"), run);
        assert_eq!(schema.number("SELECT count(*) FROM signalloop_ledger"), 12 * run, "each was trained once");
    }
    assert_eq!(schema.number("SELECT count(*) FROM signalloop_leases WHERE name LIKE 'job/%'"), 3, "the last run's");
    let text = std::fs::read_to_string(instance.core.settings().home().join("models/training_results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&results["total_models"], &results["successful"]), (&json!(12), &json!(12)));
    assert!(results["results"].as_array().unwrap().iter().all(|entry| entry["record"]["rows"].is_number()), "{text}");
    assert_eq!(instance.core.scheduler().status().unwrap().tasks[2].record.last.as_ref().unwrap().done, 12);
    instance.core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_of_a_killed_worker_is_taken_over_and_done_once() {
    let Some(schema) = schema("the_job_of_a_killed_worker_is_taken_over_and_done_once") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (time, timeframes): (_, &[&str]) = (Duration::from_millis(1_500), &["1h", "30m"]);
    let instance = Setup { symbols: 4, timeframes, time, ..Setup::of(&schema.url, folder.path()) }.open();
    let mut children = Children::start(&schema, folder.path(), &[2]);
    children.are_there(folder.path()).await;
    // The instance takes the first job, and the worker the second one, in which it hangs on the fourth market.
    let core = instance.core.clone();
    let run = tokio::spawn(async move { core.scheduler().run_once(Task::Retrain).await });
    let worker = children.0[0].id();
    let hangs =
        |(what, pid, symbol): &(String, u32, String)| what == "begin" && *pid == worker && symbol == "COIN3USDT";
    until("it hangs", || notes(folder.path()).iter().any(hangs)).await;
    children.kill(worker);
    let last = run.await.unwrap().unwrap();
    assert_eq!(done(&last), (Outcome::Finished, 8, 0), "{last:?}");
    let rows = |timeframe: &str| {
        let columns = "SELECT DISTINCT concat_ws(' ', status, claims, token) FROM signalloop_jobs";
        schema.ask(&format!("{columns} WHERE timeframe = '{timeframe}'"))
    };
    assert_eq!((rows("1h"), rows("30m")), (vec!["done 1 1".to_owned()], vec!["done 2 2".to_owned()]), "begun twice");
    let ends =
        notes(folder.path()).into_iter().filter(|(what, _, symbol)| what == "end" && symbol == "COIN3USDT").count();
    assert_eq!(ends, 2, "once at each timeframe");
    assert_eq!(schema.number("SELECT count(*) FROM signalloop_ledger"), 8);
    instance.core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_killed_three_workers_is_left_and_only_that_is_tried_again() {
    let Some(schema) = schema("what_killed_three_workers_is_left_and_only_that_is_tried_again") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (time, timeframes): (_, &[&str]) = (Duration::from_millis(500), &["1h", "30m"]);
    let instance = Setup { symbols: 2, timeframes, time, ..Setup::of(&schema.url, folder.path()) }.open();
    let mut config = idle();
    config["retrain"] = json!({ "interval_hours": 5 });
    instance.core.scheduler().start(config).unwrap();
    until("the first job", || !notes(folder.path()).is_empty()).await;
    // The state in which the third of three killed workers leaves a job.
    schema.ask(
        "UPDATE signalloop_jobs SET status = 'taken', claims = 3, holder = 'one that died', token = 3 \
         WHERE timeframe = '30m' AND status = 'open'",
    );
    let ended =
        |outcome: &str| schema.number(&format!("SELECT count(*) FROM signalloop_history WHERE outcome = '{outcome}'"));
    until("both attempts", || ended("finished") == 1).await;
    assert_eq!(ended("failed"), 1);
    let history = instance.core.scheduler().history(9).unwrap();
    let [second, first] = &history[..] else { panic!("{history:?}") };
    assert_eq!((done(&first.run), done(&second.run)), ((Outcome::Failed, 2, 2), (Outcome::Finished, 2, 0)));
    for (failed, market) in first.run.failed.iter().zip(["COIN0USDT 30m", "COIN1USDT 30m"]) {
        assert_eq!((failed.market.to_string().as_str(), failed.cause.code.as_str()), (market, "ERR_INTERNAL"));
    }
    assert_eq!(jobs(&schema), ["done 4"]);
    assert_eq!(notes(folder.path()).iter().filter(|(what, ..)| what == "begin").count(), 4);
    instance.core.close().await;
}

/// A failed market is trained again together with all others, also by an instance that has no candles yet, and by one
/// of a newer version, whose predecessor created one job per market.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_or_a_former_version_left_is_done_by_another_instance() {
    let Some(schema) = schema("what_failed_or_a_former_version_left_is_done_by_another_instance") else { return };
    let folder = tempfile::tempdir().unwrap();
    let setup = || Setup { symbols: 3, ..Setup::of(&schema.url, folder.path()) };
    let instances = [Setup { fails: Some("COIN1USDT"), ..setup() }.open(), setup().open()];
    let [first, second] = &instances;
    let mut config = idle();
    config["retrain"] = json!({ "interval_hours": 5 });
    config.insert("retry".to_owned(), json!({ "attempts": 3, "base_seconds": 3, "longest_seconds": 3 }));
    assert_eq!(first.core.scheduler().history(1).unwrap(), []);
    first.core.scheduler().start(config.clone()).unwrap();
    until("an attempt", || schema.number("SELECT count(*) FROM signalloop_history") == 1).await;
    first.core.scheduler().stop().await;
    assert_eq!(jobs(&schema), ["done 2", "failed 1"]);
    schema.ask(
        "UPDATE signalloop_jobs SET status = 'claimed', claims = 3, holder = 'one that died', token = 3 WHERE status = 'failed'; \
         INSERT INTO signalloop_jobs (task, run, symbol, timeframe, status, attempt, deadline) \
         VALUES ('update', 0, 'COIN0USDT', '1h', 'waiting', 1, clock_timestamp() + interval '1 hour'); \
         INSERT INTO signalloop_leases (name, holder, token, until) \
         VALUES ('job/update/0/COIN0USDT 1h', 'a former version', 1, clock_timestamp() + interval '1 hour')",
    );
    second.core.scheduler().start(config).unwrap();
    until("another attempt", || schema.number("SELECT count(*) FROM signalloop_history") == 2).await;
    let history = second.core.scheduler().history(9).unwrap();
    let runs: Vec<_> = history.iter().map(|ran| done(&ran.run)).collect();
    assert_eq!(runs, [(Outcome::Finished, 1, 0), (Outcome::Failed, 2, 1)], "{history:?}");
    assert_eq!(fits(&instances), BTreeMap::from([("1h".to_owned(), 2)]));
    let text = std::fs::read_to_string(second.core.settings().home().join("models/training_results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(results["results"][0]["record"]["symbols"], json!(["COIN0USDT", "COIN1USDT", "COIN2USDT"]), "{text}");
    // A job per market, created by an earlier version, is left to such versions until the task runs again.
    assert_eq!(jobs(&schema), ["done 3", "waiting 1"]);
    assert_eq!(second.core.scheduler().run_once(Task::Update).await.unwrap().outcome, Outcome::Finished);
    assert_eq!(jobs(&schema), ["done 6"]);
    assert_eq!(schema.number("SELECT count(*) FROM signalloop_leases WHERE name LIKE 'job/update/%'"), 1);
    for instance in &instances {
        instance.core.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_leader_was_lost_is_completed_without_repeating_what_was_done() {
    let name = "a_run_whose_leader_was_lost_is_completed_without_repeating_what_was_done";
    let Some(schema) = schema(name) else { return };
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::of(&schema, "signalloop_");
    let (time, timeframes): (_, &[&str]) = (Duration::from_millis(500), &["1h", "2h", "30m"]);
    let first = Setup { symbols: 2, timeframes, time, ..Setup::of(&proxy.url, folder.path()) }.open();
    let mut config = idle();
    config["retrain"] = json!({ "interval_hours": 5 });
    config.insert("retry".to_owned(), json!({ "attempts": 3, "base_seconds": 0.5, "longest_seconds": 0.5 }));
    first.core.scheduler().start(config.clone()).unwrap();
    let ended = || schema.number("SELECT count(*) FROM signalloop_jobs WHERE status = 'done'");
    until("a third of it", || first.leads() && ended() >= 2).await;
    // It loses the database in the middle of it, and the other continues.
    proxy.be(Mood::Swallows);
    let second = Setup { symbols: 2, timeframes, time, ..Setup::of(&schema.url, folder.path()) }.open();
    second.core.scheduler().start(config).unwrap();
    until("the end", || schema.number("SELECT count(*) FROM signalloop_tasks WHERE outcome = 'finished'") == 1).await;
    proxy.be(Mood::Passes);
    assert_eq!(jobs(&schema), ["done 6"]);
    let status = second.core.scheduler().status().unwrap();
    let record = &status.tasks[2].record;
    assert_eq!((done(record.last.as_ref().unwrap()), record.attempt), ((Outcome::Finished, 6, 0), 0));
    assert_eq!(record.last.as_ref().unwrap().attempt, 2, "an attempt was lost with its leader");
    assert_eq!(schema.number("SELECT count(DISTINCT run) FROM signalloop_jobs"), 1);
    assert_eq!(schema.number("SELECT count(*) FROM signalloop_ledger"), 6, "each was trained once");
    // None of the jobs the first had finished was started again.
    let twice = schema.number("SELECT count(*) FROM signalloop_jobs WHERE claims > 1");
    assert!(twice <= 2, "{twice} were begun twice");
    let begins = notes(folder.path()).iter().filter(|(what, ..)| what == "begin").count() as i64;
    // The first may not have learned that it got its last job.
    assert!((6..=6 + twice).contains(&begins), "{begins} begun, {twice} twice");
    first.core.close().await;
    second.core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_is_lost_makes_nothing_happen_twice() {
    let Some(schema) = schema("an_answer_that_is_lost_makes_nothing_happen_twice") else { return };
    let (folder, proxy) = (tempfile::tempdir().unwrap(), Proxy::of(&schema, "signalloop_"));
    // A call may take half of it: longer than all the interruptions.
    let lease = Duration::from_secs(10);
    let instance = Setup { symbols: 2, lease, ..Setup::of(&proxy.url, folder.path()) }.open();
    // Each statement that names the task, or a job, is one of: take, remember, create, claim, finish, summarise,
    // release.
    for (round, (task, sign)) in [
        (Task::Fetch, "task/fetch"),
        (Task::Retrain, "task/retrain"),
        (Task::Retrain, "job/retrain"),
        (Task::Retrain, "process"),
    ]
    .into_iter()
    .enumerate()
    {
        let core = instance.core.clone();
        let seen = notes(folder.path()).len();
        let run = tokio::spawn(async move { core.scheduler().run_once(task).await });
        let mut cuts = 0;
        while !run.is_finished() && cuts < 8 {
            proxy.mute(sign);
            tokio::time::sleep(Duration::from_millis(250)).await;
            proxy.be(Mood::Passes);
            proxy.cut();
            tokio::time::sleep(Duration::from_millis(100)).await;
            cuts += 1;
        }
        let last = run.await.unwrap().unwrap();
        assert_eq!(done(&last), (Outcome::Finished, 2, 0), "{sign}: {last:?}");
        assert!(cuts > 1, "{sign}: cut {cuts} times only");
        assert_eq!(schema.number("SELECT count(*) FROM signalloop_history"), round as i64 + 1, "{sign}");
        // A fetch of stored candles requests at most the newest one: at most once per market.
        let notes = notes(folder.path())[seen..].to_vec();
        let begins = |symbol: &str| notes.iter().filter(|(what, _, of)| what == "begin" && of == symbol).count();
        assert!(begins("COIN0USDT") <= 1 && begins("COIN1USDT") <= 1, "{sign}: {notes:?}");
    }
    assert_eq!(jobs(&schema), ["done 2"]);
    assert_eq!(warnings(folder.path()), "");
    instance.core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_runs_once_at_a_time_and_says_who_has_it() {
    let Some(schema) = schema("a_task_runs_once_at_a_time_and_says_who_has_it") else { return };
    let folder = tempfile::tempdir().unwrap();
    // The lease is so long that it does not run out on a busy machine.
    let (time, lease) = (Duration::from_millis(800), Duration::from_secs(30));
    let instances: Vec<Instance> =
        (0..2).map(|_| Setup { time, lease, ..Setup::of(&schema.url, folder.path()) }.open()).collect();
    let first = instances[0].core.clone();
    let run = tokio::spawn(async move { first.scheduler().run_once(Task::Fetch).await });
    until("it runs", || !notes(folder.path()).is_empty()).await;
    for instance in &instances {
        let error = instance.core.scheduler().run_once(Task::Fetch).await.unwrap_err();
        assert_eq!(error.code(), "ERR_TASK_BUSY");
        let text = error.to_string();
        assert!(text.contains(&format!("process {}", std::process::id())) && text.contains("`task/fetch`"), "{text}");
        assert!(!text.contains("of/the") && !text.contains("of%2F"), "{text}");
        let fetch = instance.core.scheduler().status().unwrap().tasks.remove(1);
        assert!(fetch.running && fetch.problem.is_none(), "{fetch:?}");
    }
    assert_eq!(run.await.unwrap().unwrap().outcome, Outcome::Finished);
    // At once, because the lease was released instead of running out.
    assert_eq!(instances[1].core.scheduler().run_once(Task::Fetch).await.unwrap().outcome, Outcome::Finished);
    assert_eq!(instances[0].core.scheduler().history(9).unwrap().len(), 2);
    assert!(!instances[0].core.settings().home().join("scheduler").exists(), "nothing of it is in the home");
    for instance in &instances {
        instance.core.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_that_are_documented_are_enough() {
    let Some(schema) = schema("the_rights_that_are_documented_are_enough") else { return };
    let folder = tempfile::tempdir().unwrap();
    Setup::of(&schema.url, folder.path()).open().core.store().open().unwrap();
    let role = Role::of(&schema, "app");
    let instance = Setup::of(&role.url, folder.path()).open();
    for task in [Task::Fetch, Task::Retrain, Task::Retrain] {
        assert_eq!(done(&instance.core.scheduler().run_once(task).await.unwrap()), (Outcome::Finished, 1, 0), "{task}");
    }
    assert_eq!(instance.core.scheduler().history(9).unwrap().len(), 3);
    instance.core.close().await;
}

/// A leader whose writes fail (no rights, a read-only server, a full disk) gives up its lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_cannot_write_makes_way() {
    let Some(schema) = schema("a_leader_that_cannot_write_makes_way") else { return };
    let folder = tempfile::tempdir().unwrap();
    Setup::of(&schema.url, folder.path()).open().core.store().open().unwrap();
    let roles = ["one", "two"].map(|name| Role::of(&schema, name));
    let [one, two] = roles.each_ref().map(|role| Setup { empty: true, ..Setup::of(&role.url, folder.path()) }.open());
    one.core.scheduler().start(fetching(1)).unwrap();
    until("one leads", || one.leads()).await;
    two.core.scheduler().start(fetching(1)).unwrap();
    let fetched_by = |role: &str| {
        let sql = format!("SELECT count(*) FROM signalloop_history WHERE written_by LIKE '%{role}%'");
        schema.number(&sql)
    };
    until("something was fetched", || fetched_by("process") > 0).await;

    schema.ask(&format!("REVOKE INSERT, UPDATE ON signalloop_tasks FROM {}", roles[0].name));
    until("two takes over from one that lost a right", || two.leads()).await;
    let so_far = fetched_by("process");
    until("two goes on", || fetched_by("process") > so_far).await;
    assert!(!one.leads());
    let told = warnings(folder.path());
    for said in ["this scheduler gives up the lead", "permission denied", "SQLSTATE 42501", "docs/postgres.md"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    until("one says why it stands by", || one.standing_by().contains("is held by")).await;
    schema.ask(&format!("GRANT INSERT, UPDATE ON signalloop_tasks TO {}", roles[0].name));

    schema.ask(&format!("ALTER ROLE {} SET default_transaction_read_only = on", roles[1].name));
    roles[1].disconnect(&schema);
    until("one takes over from one that may only read", || one.leads()).await;
    until("two says so", || !two.standing_by().is_empty()).await;
    let so_far = fetched_by("process");
    until("one goes on", || fetched_by("process") > so_far).await;
    schema.ask(&format!("ALTER ROLE {} RESET default_transaction_read_only", roles[1].name));
    until("two is back", || two.standing_by().contains("is held by")).await;

    schema.ask(&format!(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF current_user = '{}' THEN \
         RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON signalloop_tasks FOR EACH ROW EXECUTE FUNCTION full_disk()",
        roles[0].name
    ));
    until("two takes over from one without room", || two.leads()).await;
    let told = warnings(folder.path());
    assert!(told.contains("could not extend file (SQLSTATE 53100): make room on the server's disk"), "{told}");
    assert_eq!(told.matches("gives up the lead").count(), 2, "each once: {told}");
    one.core.close().await;
    two.core.close().await;
}

/// A role with exactly the documented rights; dropped at the end.
struct Role {
    name: String,
    url: String,
    owner: String,
}

impl Role {
    fn of(schema: &Schema, name: &str) -> Self {
        let place = schema.ask("SELECT current_schema()").remove(0);
        let name = format!("{place}_{name}");
        schema.ask(&format!("CREATE ROLE {name} LOGIN PASSWORD 'app'"));
        // Taken from the document.
        let text = include_str!("../../../docs/postgres.md");
        let grants = text.lines().filter(|line| line.starts_with("GRANT "));
        let grants: Vec<String> =
            grants.map(|line| line.replace("public", &place).replace("TO app;", &format!("TO {name};"))).collect();
        assert!(grants.len() > 4, "{grants:?}");
        schema.ask(&grants.join(" "));
        let url = schema.url.replace("signalloop:of%2Fthe%3Atest%3F@", &format!("{name}:app@"));
        Self { name, url, owner: schema.url.clone() }
    }

    /// Ends its connections, so that new ones use its new settings.
    fn disconnect(&self, schema: &Schema) {
        schema.ask(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'", self.name));
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        server::ask(&self.owner, &format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name));
    }
}
