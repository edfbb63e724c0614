//! The scheduler and the outside world: locks, files, processes that die, and work that hangs or fails.

use candles::Reading;
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::error::Error;
use domain::symbol::Market;
use engine::{Event, EventListener, Options, Phase, Risk, SignalLoop, Told, TrainProgress, TrainRequest};
use exchange::{CandleFuture, CandleSource, Listing, ListingFuture};
use parking_lot::Mutex;
use scheduler::{Outcome, Task};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::child_part;

const HOUR: i64 = 3_600_000;

/// A candle source that notes each request, and hangs or fails on demand.
#[derive(Default)]
struct ScriptedSource {
    asked: Mutex<Vec<String>>,
    hangs: Mutex<bool>,
    /// Symbols that fail, and how many more times.
    fails: Mutex<BTreeMap<String, usize>>,
    /// Delisted symbols, which have no new candles.
    delisted: Mutex<BTreeSet<String>>,
    /// The file for the begin and end of each request, and how long a request takes.
    notes: Option<(PathBuf, Duration)>,
}

impl ScriptedSource {
    fn note(&self, what: &str) {
        if let Some((path, _)) = &self.notes {
            let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
            file.write_all(format!("{what} {}\n", std::process::id()).as_bytes()).unwrap();
        }
    }
}

impl CandleSource for ScriptedSource {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        Box::pin(async move {
            self.asked.lock().push(market.to_string());
            if *self.hangs.lock() {
                std::future::pending::<()>().await;
            }
            self.note("begin");
            if let Some((_, time)) = self.notes {
                tokio::time::sleep(time).await;
            }
            self.note("end");
            if let Some(left) = self.fails.lock().get_mut(market.symbol.as_str()).filter(|left| **left > 0) {
                *left -= 1;
                return Err(domain::error::Error::Exchange(format!("{market}: not now")));
            }
            if self.notes.is_some() || self.delisted.lock().contains(market.symbol.as_str()) {
                // Without candles the next run asks again.
                return Ok(Vec::new().into());
            }
            let step = market.timeframe.millis();
            let first = (from_ms + step - 1).div_euclid(step) * step;
            let opens = (first..until_ms).step_by(step as usize);
            // Prices move in waves, so that there is something to train on.
            let price = |open_ms: i64| 100.0 + 5.0 * ((open_ms / step) as f64 * 0.7).sin();
            let candle = |open_ms| {
                let (open, close) = (price(open_ms), price(open_ms + step));
                // A constant volume would leave bars without features.
                let volume = 1.0 + (open_ms / step % 7) as f64;
                Candle { open_ms, open, high: open.max(close) + 1.0, low: open.min(close) - 1.0, close, volume }
            };
            Ok(opens.map(candle).collect::<Vec<_>>().into())
        })
    }

    fn listing<'a>(&'a self, market: &'a Market) -> ListingFuture<'a> {
        let delisted = self.delisted.lock().contains(market.symbol.as_str());
        Box::pin(std::future::ready(match delisted {
            true => Listing::Not("its trade has ended".to_owned()),
            false => Listing::Traded,
        }))
    }
}

/// Collects all events.
#[derive(Clone, Default)]
struct CollectedEvents(Arc<Mutex<Vec<Event>>>);

impl EventListener for CollectedEvents {
    fn tell(&self, event: &Event, _at_ms: i64, _dropped: u64) -> Told {
        self.0.lock().push(event.clone());
        Told::Taken
    }
}

fn map(value: Value) -> Map<String, Value> {
    testkit::object(value)
}

fn open(home: &Path, script: &Arc<ScriptedSource>) -> (Arc<SignalLoop>, CollectedEvents) {
    let source: Arc<dyn CandleSource> = script.clone();
    let options = Options { home: Some(home.to_owned()), source: Some(source), ..Options::default() };
    let core = Arc::new(SignalLoop::open(options).unwrap());
    core.settings()
        .configure(map(json!({ "symbols": ["BTCUSDT", "ETHUSDT"], "timeframes": ["1h"], "history_days": 40 })))
        .unwrap();
    let heard = CollectedEvents::default();
    core.events().subscribe(Box::new(heard.clone()));
    (core, heard)
}

/// Only fetching is scheduled, every second.
fn fetching(more: Value) -> Map<String, Value> {
    let off = json!({ "enabled": false });
    let mut config = map(json!({
        "watch": off, "retrain": off, "update": off, "evaluate": off, "fetch": { "interval_seconds": 1 },
        "retry": { "base_seconds": 0.2, "longest_seconds": 0.2 },
    }));
    config.extend(map(more));
    config
}

async fn until(what: &str, seen: impl Fn() -> bool) {
    let begin = Instant::now();
    while !seen() {
        assert!(begin.elapsed() < Duration::from_secs(20), "timed out waiting for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_failed_markets_are_retried() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    script.fails.lock().insert("ETHUSDT".to_owned(), 2);
    let (core, heard) = open(home.path(), &script);
    core.scheduler().start(fetching(json!({ "fetch": { "interval_hours": 1 } }))).unwrap();
    let finished = || heard.0.lock().iter().any(|event| matches!(event, Event::TaskFinished { .. }));
    until("success", finished).await;
    let asked = script.asked.lock().clone();
    assert_eq!(asked.iter().filter(|market| *market == "BTCUSDT 1h").count(), 1, "{asked:?}");
    assert_eq!(asked.iter().filter(|market| *market == "ETHUSDT 1h").count(), 3, "{asked:?}");
    let events = heard.0.lock().clone();
    let failures: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::TaskFailed { task: Task::Fetch, run, retry_ms } => Some((run.clone(), retry_ms.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(failures.len(), 2);
    for (run, again) in failures {
        assert!(again && run.outcome == Outcome::Failed);
        assert_eq!((run.failed.len(), run.failed[0].market.to_string()), (1, "ETHUSDT 1h".to_owned()));
        assert_eq!(run.failed[0].cause.code, "ERR_EXCHANGE");
        assert!(run.failed[0].cause.message.starts_with("ETHUSDT 1h: not now"), "{run:?}");
    }
    let attempts: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            Event::TaskStarted { task: Task::Fetch, attempt } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
    core.close().await;
    assert!(!core.scheduler().status().unwrap().running, "closing the loop stops its scheduler");
}

/// As at Binance: a delisted symbol stays known, but has no new candles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delisted_symbol_is_left_out_and_its_candles_stay() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    let (core, heard) = open(home.path(), &script);
    core.settings().configure(map(json!({ "trees": 10, "symbols": ["BTCUSDT", "ETHUSDT", "SOLUSDT"] }))).unwrap();
    script.delisted.lock().extend(["ETHUSDT", "SOLUSDT"].map(str::to_owned));
    // One delisted symbol has stored candles, the other none.
    let path = home.path().join("data/ethusdt_1h.csv");
    let row = |hour: i64| format!("{},100,101,99,100,{}\n", (1_750_000_000_000 / HOUR + hour) * HOUR, 1 + hour % 7);
    let rows: String = (0..500).map(row).collect();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("timestamp,open,high,low,close,volume\n{rows}")).unwrap();
    let stored = || {
        let timeframe = Market::parse("ETHUSDT", "1h").unwrap().timeframe;
        core.candles().check_file(&path, timeframe, &Reading::default()).checked.unwrap().candles
    };
    let advice = [
        (Task::Fetch, 2, "; SOLUSDT is not traded at the exchange: remove it from the `symbols` given to configure()"),
        (
            Task::Retrain,
            1,
            "; ETHUSDT, SOLUSDT are not traded at the exchange: remove them from the `symbols` given to configure()",
        ),
    ];
    for (task, done, advice) in advice {
        let run = core.scheduler().run_once(task).await.unwrap();
        assert_eq!((run.outcome, run.done, run.failed.len()), (Outcome::Finished, done, 3 - done), "{run:?}");
        assert!(run.message.ends_with(advice), "{run:?}");
        assert!(run.failed.iter().all(|one| one.not_traded && one.cause.code == "ERR_EXCHANGE"), "{run:?}");
        assert!(run.failed[0].cause.message.contains("USDT 1h: its trade has ended"), "{run:?}");
    }
    assert_eq!(stored(), 500);
    assert!(!heard.0.lock().iter().any(|event| matches!(event, Event::TaskFailed { .. })));
    // Other failures are retried, and only those.
    script.fails.lock().insert("BTCUSDT".to_owned(), 1);
    std::fs::remove_file(home.path().join("data/btcusdt_1h.csv")).unwrap();
    let run = core.scheduler().run_once(Task::Fetch).await.unwrap();
    assert_eq!((run.outcome, run.done), (Outcome::Failed, 1));
    let record =
        core.scheduler().status().unwrap().tasks.into_iter().find(|one| one.task == Task::Fetch).unwrap().record;
    assert_eq!(record.remaining.iter().map(Market::to_string).collect::<Vec<_>>(), ["BTCUSDT 1h"]);
    core.close().await;
}

/// Each training waits at its first step until the expected number is running, and then checks that no more are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_trainings_at_once_as_are_configured() {
    for (parallel, threads, expected) in [(json!(3), 1, 3), (json!(false), 2, 1), (json!(true), 2, 2), (json!(1), 2, 1)]
    {
        let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
        let source: Arc<dyn CandleSource> = script.clone();
        let options = Options {
            home: Some(home.path().to_owned()),
            source: Some(source),
            threads: Some(threads),
            ..Options::default()
        };
        let core = Arc::new(SignalLoop::open(options).unwrap());
        // A training covers all markets of a timeframe.
        core.settings().configure(map(json!({
            "symbols": ["BTCUSDT"], "timeframes": ["1m", "3m", "5m", "15m", "30m", "1h"], "history_days": 1, "trees": 10,
            "parallel_training": parallel
        })))
        .unwrap();
        let at_once = Arc::new(Mutex::new((BTreeSet::new(), 0, 0)));
        let seen = at_once.clone();
        let results = core.trainer().train(TrainRequest::default(), Cancel::default(), move |news: TrainProgress| {
            let under_way = |seen: &Mutex<(BTreeSet<Market>, usize, usize)>| seen.lock().0.len();
            if news.phase != Phase::Train {
                return;
            }
            // The last step of a training is reported before the next one may begin; that a market is done, only some
            // time after.
            if news.step.done == news.step.total {
                let mut seen = seen.lock();
                seen.0.remove(&news.market);
                seen.2 += 1;
                return;
            }
            if !seen.lock().0.insert(news.market) {
                return;
            }
            let begin = Instant::now();
            // The last trainings wait in vain for others.
            while under_way(&seen) < expected && seen.lock().2 == 0 && begin.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(30));
            let mut seen = seen.lock();
            seen.1 = seen.1.max(seen.0.len());
        });
        assert_eq!(results.await.unwrap().succeeded(), 6);
        assert_eq!(at_once.lock().1, expected, "{parallel}");
        core.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_whatever_waits_for_candles_and_waits_for_none() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    *script.hangs.lock() = true;
    let (core, heard) = open(home.path(), &script);
    core.scheduler().start(fetching(json!({}))).unwrap();
    let market = |symbol| Market::parse(symbol, "1h").unwrap();
    let begun = |work: Pin<Box<dyn Future<Output = Option<Error>> + Send>>| {
        let call = core.lifetime().begin().unwrap();
        tokio::spawn(async move {
            let _under_way = call;
            work.await.map(|error| error.code())
        })
    };
    let (a, b, c) = (core.clone(), core.clone(), core.clone());
    let calls = [
        begun(Box::pin(async move { a.models().generate(&market("SOLUSDT"), Risk::Medium).await.err() })),
        begun(Box::pin(async move { b.fetcher().fetch(b.settings().markets(None, None), None, |_| {}).await.err() })),
        begun(Box::pin(
            async move { c.trainer().train(TrainRequest::default(), Cancel::default(), |_| {}).await.err() },
        )),
    ];
    // From the scheduler, and from each call.
    until("questions", || script.asked.lock().len() >= 7).await;
    let begin = Instant::now();
    core.close().await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    for call in calls {
        assert_eq!(call.await.unwrap(), Some("ERR_CANCELLED"));
    }
    let failed = |event: &Event| matches!(event, Event::TaskFailed { run, .. } if run.outcome == Outcome::Failed);
    assert!(!heard.0.lock().iter().any(failed), "a stopped task has not failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_task_is_cancelled_at_its_deadline() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    *script.hangs.lock() = true;
    let (core, heard) = open(home.path(), &script);
    let config = fetching(json!({ "fetch": { "interval_hours": 1, "deadline_minutes": 0.01 } }));
    core.scheduler().start(config).unwrap();
    let failed = || heard.0.lock().iter().any(|event| matches!(event, Event::TaskFailed { .. }));
    until("the deadline", failed).await;
    let fetch = || core.scheduler().status().unwrap().tasks.into_iter().find(|task| task.task == Task::Fetch).unwrap();
    let last = fetch().record.last.unwrap();
    assert_eq!((last.outcome, last.error.unwrap().code.as_str()), (Outcome::Failed, "ERR_CANCELLED"));
    assert!(last.message.contains("deadline of 0.01 minutes"), "{}", last.message);
    core.scheduler().stop().await;

    // With a distant deadline it hangs until it is stopped.
    heard.0.lock().clear();
    core.scheduler().start(fetching(json!({ "fetch": { "interval_hours": 1 } }))).unwrap();
    until("another attempt", || heard.0.lock().iter().any(|event| matches!(event, Event::TaskStarted { .. }))).await;
    assert!(fetch().running);
    let (elsewhere, _) = open(home.path(), &script);
    assert_eq!(elsewhere.scheduler().run_once(Task::Fetch).await.unwrap_err().code(), "ERR_TASK_BUSY");
    let status = elsewhere.scheduler().status().unwrap();
    assert!(!status.running && status.tasks.iter().any(|task| task.task == Task::Fetch && task.running));
    let begin = Instant::now();
    core.scheduler().stop().await;
    assert!(begin.elapsed() < Duration::from_secs(3), "stopping took {:?}", begin.elapsed());
    let stopped = fetch();
    assert!(!stopped.running);
    assert_eq!(stopped.record.last.unwrap().outcome, Outcome::Cancelled);
    assert!(stopped.record.attempt > 1, "whoever goes on tries again");

    *script.hangs.lock() = false;
    let run = elsewhere.scheduler().run_once(Task::Fetch).await.unwrap();
    assert_eq!((run.outcome, run.done, run.failed.len()), (Outcome::Finished, 2, 0));
    assert_eq!(fetch().record.attempt, 0);
    core.close().await;
    assert_eq!(core.scheduler().run_once(Task::Fetch).await.unwrap_err().code(), "ERR_CLOSED");
    elsewhere.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_loops_leads_and_starting_again_changes_nothing() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    let (first, _) = open(home.path(), &script);
    let (second, _) = open(home.path(), &script);
    first.scheduler().start(fetching(json!({}))).unwrap();
    until("a leader", || first.scheduler().status().unwrap().leader).await;
    second.scheduler().start(fetching(json!({}))).unwrap();
    second.scheduler().start(fetching(json!({}))).unwrap();
    let other = second.scheduler().start(fetching(json!({ "timezone": "Asia/Tokyo" }))).unwrap_err();
    assert_eq!(other.code(), "ERR_INVALID_ARGUMENT");
    let waits =
        || second.scheduler().status().unwrap().standing_by.unwrap_or_default().contains("leader.lock is held by");
    until("the other to stand by", waits).await;
    assert!(!second.scheduler().status().unwrap().leader);
    for core in [&first, &second] {
        let led_by = core.scheduler().status().unwrap().led_by.unwrap();
        assert_eq!((led_by.process, led_by.since.is_some()), (std::process::id(), true), "{led_by:?}");
    }
    first.scheduler().stop().await;
    until("the other to lead", || second.scheduler().status().unwrap().leader).await;
    assert!(first.scheduler().status().unwrap().led_by.is_some());

    // If a lock file is deleted, its holder either takes the new one or stands by: there is still one leader.
    std::fs::remove_file(home.path().join("scheduler/leader.lock")).unwrap();
    first.scheduler().start(fetching(json!({}))).unwrap();
    let leaders = || [&first, &second].into_iter().filter(|core| core.scheduler().status().unwrap().leader).count();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    until("one leader", || leaders() == 1).await;
    assert!(first.scheduler().status().unwrap().led_by.is_some());
    first.scheduler().stop().await;
    second.scheduler().stop().await;
    assert_eq!(first.scheduler().status().unwrap().led_by, None);
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_is_reported_once_and_can_be_deleted() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    let path = home.path().join("scheduler/fetch.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "{ \"attempt\": ").unwrap();
    let (core, heard) = open(home.path(), &script);
    core.scheduler().start(fetching(json!({}))).unwrap();
    let warnings = || {
        let heard = heard.0.lock();
        heard.iter().filter(|event| matches!(event, Event::Warning(text) if text.contains("fetch.json"))).count()
    };
    until("the warning", || warnings() > 0).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(warnings(), 1);
    let problem = core.scheduler().status().unwrap().tasks.into_iter().find_map(|task| task.problem).unwrap();
    assert!(problem.contains("delete it to begin anew"), "{problem}");
    std::fs::remove_file(&path).unwrap();
    until("a run", || heard.0.lock().iter().any(|event| matches!(event, Event::TaskFinished { .. }))).await;
    core.close().await;
}

/// Work on other threads, of every kind, also ends at its deadline and releases its lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_on_other_threads_ends_at_its_deadline_too() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    let (core, _) = open(home.path(), &script);
    // A training that takes a minute, and an evaluation that takes a minute because of a slow listener.
    let symbols: Vec<String> = (0..60).map(|n| format!("COIN{n}USDT")).collect();
    core.settings().configure(map(json!({ "trees": 2000, "history_days": 150, "symbols": symbols }))).unwrap();
    struct Slow;
    impl EventListener for Slow {
        fn tell(&self, event: &Event, _at_ms: i64, _dropped: u64) -> Told {
            if matches!(event, Event::TaskProgress { task: Task::Evaluate, .. }) {
                std::thread::sleep(Duration::from_millis(300));
            }
            Told::Taken
        }
    }
    core.events().subscribe(Box::new(Slow));
    let short = json!({ "deadline_minutes": 0.02, "enabled": false });
    core.scheduler()
        .start(fetching(json!({
            "fetch": { "enabled": false }, "retrain": short, "update": short, "evaluate": short,
        })))
        .unwrap();
    for task in [Task::Evaluate, Task::Retrain, Task::Update] {
        let begin = Instant::now();
        let run = core.scheduler().run_once(task).await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(15), "{task} took {:?}", begin.elapsed());
        assert_eq!((run.outcome, run.done), (Outcome::Failed, 0), "{task}: {}", run.message);
        assert!(run.message.contains("deadline of 0.02 minutes"), "{task}: {}", run.message);
        // Its lock is free, so nothing is still running.
        let folder = home.path().join("scheduler");
        let lock = std::fs::File::open(folder.join(format!("{task}.lock"))).unwrap();
        assert!(lock.try_lock().is_ok(), "{task} goes on");
    }
    core.close().await;
}

#[tokio::test]
async fn an_evaluation_that_was_cancelled_stops_in_the_midst_of_a_market() {
    let home = tempfile::tempdir().unwrap();
    let (core, _) = open(home.path(), &Arc::default());
    let cancel = domain::cancel::Cancel::default();
    let market = Market::parse("BTCUSDT", "1h").unwrap();
    assert!(core.performance().evaluate(&market, &cancel).is_ok());
    cancel.cancel();
    assert_eq!(core.performance().evaluate(&market, &cancel).unwrap_err().code(), "ERR_CANCELLED");
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_cancels_manual_runs_and_waits() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    *script.hangs.lock() = true;
    let (core, _) = open(home.path(), &script);
    for started in [true, false] {
        if started {
            core.scheduler().start(fetching(json!({ "fetch": { "enabled": false } }))).unwrap();
        }
        let by_hand = tokio::spawn({
            let core = core.clone();
            async move { core.scheduler().run_once(Task::Fetch).await }
        });
        let runs = || core.scheduler().status().unwrap().tasks.iter().any(|task| task.running);
        until("the run", runs).await;
        core.scheduler().stop().await;
        assert!(!runs(), "stopped, but not ended");
        assert_eq!(by_hand.await.unwrap().unwrap().outcome, Outcome::Cancelled);
    }
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_configuration_takes_effect_while_running() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    let write = |name: &str, value: Value| std::fs::write(home.path().join(name), value.to_string()).unwrap();
    write("training_config.json", json!({ "symbols": ["BTCUSDT"], "timeframes": ["1h"], "history_days": 60 }));
    let seldom = json!({ "interval_hours": 5 });
    let off = json!({ "enabled": false });
    let rules = |fetch: &Value| json!({ "watch": off, "retrain": off, "update": off, "evaluate": off, "fetch": fetch });
    write("scheduler_config.json", rules(&seldom));
    let source: Arc<dyn CandleSource> = script.clone();
    let options = Options { home: Some(home.path().to_owned()), source: Some(source), ..Options::default() };
    let core = Arc::new(SignalLoop::open(options).unwrap());
    let heard = CollectedEvents::default();
    core.events().subscribe(Box::new(heard.clone()));
    core.scheduler().start(Map::new()).unwrap();
    let asked = |market: &str| script.asked.lock().iter().any(|asked| asked == market);
    until("the first run", || asked("BTCUSDT 1h")).await;

    // New markets in the training configuration take effect at the next run, a new interval at once.
    write(
        "training_config.json",
        json!({ "symbols": ["BTCUSDT", "new/usdt"], "timeframes": ["1h", "4h"], "history_days": 60 }),
    );
    write("scheduler_config.json", rules(&json!({ "interval_seconds": 1 })));
    until("a new symbol and timeframe", || asked("NEWUSDT 4h")).await;
    let schedule = || core.scheduler().status().unwrap().tasks[1].plan.schedule.to_string();
    assert_eq!(schedule(), "every 1 s");

    // An invalid configuration causes one warning, and changes nothing.
    write("scheduler_config.json", json!({ "fetch": { "interval_hours": -1 } }));
    let warned = || {
        let heard = heard.0.lock();
        let warnings = heard.iter().filter_map(|event| match event {
            Event::Warning(text) => Some(text.clone()),
            _ => None,
        });
        warnings.collect::<Vec<_>>()
    };
    until("a warning", || !warned().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(warned().len(), 1, "{:?}", warned());
    for part in ["scheduler_config.json changed and cannot be used", "`fetch.interval_hours` must be", "-1"] {
        assert!(warned()[0].contains(part), "{part}: {:?}", warned());
    }
    assert_eq!((schedule(), core.scheduler().status().unwrap().warnings), ("every 1 s".to_owned(), warned()));

    // Off and on again, without a restart.
    write("scheduler_config.json", json!({ "enabled": false }));
    let standing_by = || core.scheduler().status().unwrap().standing_by;
    until("rest", || standing_by().is_some_and(|why| why.contains("`enabled` is false"))).await;
    assert!(!core.scheduler().status().unwrap().leader);
    write("scheduler_config.json", rules(&seldom));
    until("work", || core.scheduler().status().unwrap().leader).await;
    assert_eq!(core.scheduler().status().unwrap().warnings, Vec::<String>::new());
    core.close().await;
}

/// Asking whether a task runs must not prevent another process from starting it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_the_status_blocks_no_task() {
    let (home, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    // After a failed attempt, the lock shows whether another one is running.
    script.fails.lock().insert("BTCUSDT".to_owned(), 1000);
    let (core, _) = open(home.path(), &script);
    let (elsewhere, _) = open(home.path(), &script);
    core.scheduler().run_once(Task::Fetch).await.unwrap();
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asking = std::thread::spawn({
        let over = over.clone();
        move || {
            let mut looks = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                elsewhere.scheduler().status().unwrap();
                looks += 1;
            }
            looks
        }
    });
    for _ in 0..50 {
        assert_eq!(core.scheduler().run_once(Task::Fetch).await.unwrap().outcome, Outcome::Failed);
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(asking.join().unwrap() > 50);
    core.close().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_home_under_several_names_has_one_leader() {
    let (place, script) = (tempfile::tempdir().unwrap(), Arc::new(ScriptedSource::default()));
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::symlink(&home, place.path().join("link")).unwrap();
    let names = [home.clone(), place.path().join("link"), home.join("../home/."), place.path().join("./link/../link")];
    let cores: Vec<_> = names.iter().map(|name| open(name, &script).0).collect();
    for core in &cores {
        core.scheduler().start(fetching(json!({}))).unwrap();
        core.scheduler().start(fetching(json!({}))).unwrap();
    }
    let leaders = || cores.iter().filter(|core| core.scheduler().status().unwrap().leader).count();
    let waiting = |core: &Arc<SignalLoop>| {
        core.scheduler().status().unwrap().standing_by.is_some_and(|why| why.contains("leader.lock is held by"))
    };
    until("one leader", || leaders() == 1 && cores.iter().filter(|core| waiting(core)).count() == 3).await;
    for core in &cores {
        core.close().await;
    }
}

/// Run in a child process: schedules until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheduling_process() {
    let Some((_, home)) = child_part() else { return };
    let notes = Some((home.join("notes"), Duration::from_millis(150)));
    let (core, _heard) = open(&home, &Arc::new(ScriptedSource { notes, ..ScriptedSource::default() }));
    core.settings().configure(map(json!({ "symbols": ["BTCUSDT"] }))).unwrap();
    core.scheduler().start(fetching(json!({}))).unwrap();
    std::future::pending::<()>().await;
}

/// The process ids of each begin and end so far.
fn notes(home: &Path) -> Vec<(String, u32)> {
    let text = std::fs::read_to_string(home.join("notes")).unwrap_or_default();
    let line = |line: &str| {
        let (what, pid) = line.split_once(' ').unwrap();
        (what.to_owned(), pid.parse().unwrap())
    };
    text.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced_within_seconds_and_never_joined() {
    let home = tempfile::tempdir().unwrap();
    let start = |number| testkit::child!("scheduling_process", home.path(), number).spawn().unwrap();
    let mut children: Vec<std::process::Child> = (0..2).map(start).collect();
    let mut slowest = Duration::ZERO;
    for round in 0..4 {
        let seen = notes(home.path()).len();
        until("a run", || notes(home.path()).len() > seen + round).await;
        let leader = notes(home.path()).last().unwrap().1;
        let place = children.iter().position(|child| child.id() == leader).unwrap();
        // kill -9, mostly in the middle of a run.
        children[place].kill().unwrap();
        children[place].wait().unwrap();
        let killed = Instant::now();
        until("another leader", || notes(home.path()).last().unwrap().1 != leader).await;
        slowest = slowest.max(killed.elapsed());
        children[place] = start(round + 2);
    }
    let (looking, _) = open(home.path(), &Arc::default());
    let led_by = || looking.scheduler().status().unwrap().led_by.map(|leader| leader.process);
    let leader = notes(home.path()).last().unwrap().1;
    until("a leader", || led_by() == Some(leader)).await;
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(led_by(), None, "the record of a killed leader is ignored");
    looking.close().await;
    assert!(slowest < Duration::from_secs(5), "a leader was replaced only after {slowest:?}");
    println!("the slowest take-over: {slowest:?}");
    // A run ends before another begins; only killed processes leave a begin without an end.
    let notes = notes(home.path());
    for (place, (what, pid)) in notes.iter().enumerate() {
        if what == "begin" {
            let next = notes[place + 1..].first();
            let alone =
                next.is_none_or(|(what, next)| (what == "end" && next == pid) || (what == "begin" && next != pid));
            assert!(alone, "two runs at once: {notes:?}");
            let later = notes[place + 1..].iter().skip_while(|(_, other)| other == pid).any(|(_, other)| other == pid);
            assert!(!later, "{pid} went on after another took over: {notes:?}");
        }
    }
}

#[cfg(target_os = "linux")]
fn send(signal: &str, pid: u32) {
    assert!(std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// A leader that is stopped, as by a debugger or a paused container, keeps its locks: nobody may take over, because it
/// may continue at any moment.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_stopped_for_a_while_stays_the_only_one() {
    let home = tempfile::tempdir().unwrap();
    let mut children: Vec<std::process::Child> =
        (0..2).map(|number| testkit::child!("scheduling_process", home.path(), number).spawn().unwrap()).collect();
    until("a run", || notes(home.path()).len() > 3).await;
    let leader = notes(home.path()).last().unwrap().1;
    send("-STOP", leader);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let seen = notes(home.path());
    // A third process says why it stands by.
    let (core, _) = open(home.path(), &Arc::default());
    core.scheduler().start(fetching(json!({}))).unwrap();
    let why = || core.scheduler().status().unwrap().standing_by.unwrap_or_default();
    until("the reason", || why().contains(&format!("process {leader}")) && why().contains("which is stopped")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(notes(home.path()), seen, "somebody went on in its place");
    core.close().await;
    send("-CONT", leader);
    until("the leader to go on", || notes(home.path()).len() > seen.len() + 3).await;
    assert!(notes(home.path()).iter().all(|(_, pid)| *pid == leader), "{:?}", notes(home.path()));

    // If its lock file is deleted, another process takes over, and the old leader notices when it continues. It is
    // stopped between runs, because during a run it also holds the locks of the task.
    let held = |name: &str| std::fs::File::open(home.path().join("scheduler").join(name)).unwrap().try_lock().is_err();
    loop {
        send("-STOP", leader);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if !held("fetch.lock") && !held("history.lock") {
            break;
        }
        send("-CONT", leader);
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    let runs = |pid_is: &dyn Fn(u32) -> bool| notes(home.path()).iter().filter(|(_, pid)| pid_is(*pid)).count();
    std::fs::remove_file(home.path().join("scheduler/leader.lock")).unwrap();
    until("another leader", || runs(&|pid| pid != leader) > 3).await;
    send("-CONT", leader);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let old = runs(&|pid| pid == leader);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(runs(&|pid| pid == leader), old, "the old leader goes on beside the new one");
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // Each run began after the previous one had ended, in whichever process.
    let whats: Vec<String> = notes(home.path()).into_iter().map(|(what, _)| what).collect();
    assert!(whats.windows(2).all(|pair| pair[0] != pair[1]), "two runs at once: {whats:?}");
}
