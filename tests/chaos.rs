//! Three instances on one database, killed, cut off, silenced and refused while they record, close and promote, with clocks ten
//! minutes apart: nothing acknowledged is lost, nothing closes twice, no version is given twice.
//!
//! `SIGNALLOOP_CHAOS_SECONDS` sets how long it goes on (default 8).
#![allow(clippy::unwrap_used)]
#![cfg(all(unix, feature = "postgres"))]

mod common;

use common::postgres::{self, schema};
use common::proxy::{Mood, Proxy};
use common::trained::{market, model, trial, versions};
use common::{child, child_part, own, setting};
use signalloop::barrier::Outcome;
use signalloop::database::StoreUrl;
use signalloop::error::{Error, Result};
use signalloop::feedback::StoreOptions;
use signalloop::model::{Decision, Registry};
use signalloop::time::now_ms;
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const INSTANCES: usize = 3;
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Says that something is safe. One write to the pipe: what was read of it was said before a kill.
fn say(word: &str, what: &str) {
    std::io::stdout().write_all(format!("\n{word} {what}\n").as_bytes()).unwrap();
}

/// What an instance that is cut off may hear; anything else is a defect.
fn heard<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Store(_) | Error::StoreBusy(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// Puts models into service, one after the other.
fn promoting(url: &str, cache: &Path, seed: u64) {
    let registry = Registry::database(StoreUrl::parse(url).unwrap(), cache.to_owned(), |_| {});
    let model = model(seed);
    loop {
        let submitted = registry
            .champion(&market())
            .and_then(|champion| registry.submit(model.clone(), trial(&model, Decision::NotWorse, 1), &champion, None));
        if let Some(Some((_, trial))) = heard(submitted) {
            say("promoted", &trial.version.to_string());
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The part of an instance, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doomed_instance() {
    let Some((number, url)) = child_part() else { return };
    let url = url.to_str().unwrap().to_owned();
    let cache = std::path::PathBuf::from(std::env::var_os("SIGNALLOOP_CHILD_CACHE").unwrap());
    let skew_ms = 300_000 * (number % INSTANCES) as i64 - 300_000;
    let at = url.clone();
    std::thread::spawn(move || promoting(&at, &cache, number as u64));
    // The database may be out of reach at the start, too.
    let options = StoreOptions { patience: PATIENCE, ..StoreOptions::default() };
    let store = loop {
        let opened =
            StoreUrl::parse(&url).and_then(|url| signalloop::feedback::FeedbackStore::open_database(url, options));
        if let Some(store) = heard(opened) {
            break store;
        }
    };
    let tasks = (0..4).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0.. {
                let id = format!("{number}-{task}-{n}");
                while heard(store.record(own(&id)).await).is_none() {}
                say("recorded", &id);
                if n % 3 == 0 {
                    let close = || store.close_signal(&id, Outcome::Success, None, Some(2.0), now_ms() + skew_ms);
                    loop {
                        match heard(close().await) {
                            // Another's price came first, or an attempt of which nothing was heard.
                            Some(false) => break,
                            Some(true) => break say("closed", &id),
                            None => {}
                        }
                    }
                } else if n % 3 == 1 {
                    let signal = own(&id);
                    let price = signal.entry_price.unwrap() * 2.0;
                    let hits = heard(store.on_price(&signal.symbol, price, now_ms() + skew_ms).await);
                    hits.unwrap_or_default().iter().for_each(|hit| say("closed", &hit.id));
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// Numbers that look random, the same at each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }

    fn moment(&mut self, longest_ms: u64) -> Duration {
        Duration::from_millis(20 + self.below(longest_ms))
    }
}

/// An instance, its way to the database, and who reads what it says.
struct Instance {
    proxy: Proxy,
    running: Option<(Child, std::thread::JoinHandle<()>)>,
}

impl Instance {
    fn start(&mut self, number: usize, caches: &Path, told: &mpsc::Sender<String>) {
        let mut process = child("doomed_instance", &self.proxy.url, number)
            .env("SIGNALLOOP_CHILD_CACHE", caches.join((number % INSTANCES).to_string()))
            .spawn()
            .unwrap();
        let (output, told) = (process.stdout.take().unwrap(), told.clone());
        let reader = std::thread::spawn(move || {
            BufReader::new(output).split(b'\n').map_while(std::result::Result::ok).for_each(|line| {
                let _ = told.send(String::from_utf8_lossy(&line).into_owned());
            });
        });
        self.running = Some((process, reader));
    }

    /// SIGKILL: no destructor, no flush.
    fn kill(&mut self) {
        let (mut process, reader) = self.running.take().unwrap();
        process.kill().unwrap();
        let status = process.wait().unwrap();
        assert!(status.code().is_none(), "an instance ended by itself: {status}");
        reader.join().unwrap();
    }

    /// Has the way to the database be bad for a while; then every connection ends.
    fn trouble(&self, how: u64, time: Duration) {
        match how {
            0 => {}
            1 => self.proxy.mute("signalloop_"),
            2 => self.proxy.mute("COMMIT"),
            3 => self.proxy.be(Mood::Swallows),
            _ => self.proxy.be(Mood::Refuses),
        }
        std::thread::sleep(time);
        self.proxy.cut();
        self.proxy.be(Mood::Passes);
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_happens_twice() {
    let Some(schema) = schema("nothing_acknowledged_is_lost_and_nothing_happens_twice") else { return };
    let time = Duration::from_secs(setting("SIGNALLOOP_CHAOS_SECONDS", 8) as u64);
    let caches = tempfile::tempdir().unwrap();
    let (told, said) = mpsc::channel::<String>();
    let mut instances: [Instance; INSTANCES] =
        std::array::from_fn(|_| Instance { proxy: Proxy::of(&schema, "signalloop_"), running: None });
    for (number, instance) in instances.iter_mut().enumerate() {
        instance.start(number, caches.path(), &told);
    }
    let (mut dice, mut generation, begun) = (Dice(7), 0, Instant::now());
    let (mut kills, mut troubles) = (0, 0);
    while begun.elapsed() < time {
        std::thread::sleep(dice.moment(300));
        let slot = dice.below(INSTANCES as u64) as usize;
        match dice.below(7) {
            how @ 0..5 => {
                troubles += 1;
                instances[slot].trouble(how, dice.moment(700));
            }
            _ => {
                kills += 1;
                generation += 1;
                instances[slot].kill();
                instances[slot].start(generation * INSTANCES + slot, caches.path(), &told);
            }
        }
    }
    instances.iter_mut().for_each(Instance::kill);
    drop(told);

    let (mut recorded, mut closed, mut promoted) = (BTreeSet::new(), HashMap::<String, usize>::new(), BTreeSet::new());
    for line in said {
        match line.split_once(' ') {
            Some(("recorded", id)) => assert!(recorded.insert(id.to_owned())),
            Some(("closed", id)) => *closed.entry(id.to_owned()).or_default() += 1,
            Some(("promoted", version)) => assert!(promoted.insert(version.parse::<u64>().unwrap()), "{version} twice"),
            _ => {}
        }
    }
    let store = postgres::open(&schema.url, StoreOptions::default());
    assert_eq!((store.recovery().damaged, store.recovery().contradictions), (0, 0));
    for id in &recorded {
        assert_eq!(store.get(id).unwrap().map(|record| record.signal), Some(own(id)), "{id} was recorded");
    }
    for (id, times) in &closed {
        assert!(store.get(id).unwrap().is_some_and(|record| record.closing.is_some()), "{id} was closed");
        assert_eq!(*times, 1, "{id} was closed once");
    }
    let registry = Registry::database(StoreUrl::parse(&schema.url).unwrap(), caches.path().join("last"), |_| {});
    let ledger = versions(&registry);
    assert_eq!(ledger, (1..=ledger.len() as u64).collect::<Vec<_>>(), "each version once, in order");
    assert!(promoted.iter().all(|version| ledger.contains(version)));
    assert_eq!(registry.get(&market()).unwrap().version(), ledger.len() as u64);
    let of = |slot: usize| {
        recorded.iter().filter(|id| id.split('-').next().unwrap().parse::<usize>().unwrap() % INSTANCES == slot).count()
    };
    let counts = [0, 1, 2].map(of);
    assert!(counts.iter().all(|count| *count > 10) && promoted.len() > 3 && closed.len() > 10, "{counts:?}");
    println!(
        "{kills} kills, {troubles} troubles, {counts:?} recorded, {} closed, {} promoted of {}",
        closed.len(),
        promoted.len(),
        ledger.len()
    );
}
