//! Three instances on one database, each in its own network namespace if permitted. They record, close and promote while they are
//! killed, disconnected, unplugged, silenced and refused, with clocks ten minutes apart. Nothing acknowledged is lost, nothing
//! closes twice, and no version is used twice.
//!
//! `SIGNALLOOP_CHAOS_SECONDS` sets the duration (default 8).

use domain::barrier::Outcome;
use domain::error::{Error, Result};
use domain::time::now_ms;
use feedback::StoreOptions;
use learning::model::Decision;
use postgres::StoreUrl;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use testkit::killed::{Killed, Promised, say};
use testkit::partition::NetworkLink;
use testkit::proxy::{Mood, Proxy};
use testkit::server::{self, Schema, schema};
use testkit::trained::{market, model, trial, versions};
use testkit::{child_part, own, setting};

const INSTANCES: usize = 3;
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The errors that a disconnected instance may get; any other is a defect.
fn heard<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Storage { .. } | Error::Busy { .. }) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// Promotes models one after the other.
fn promoting(url: &str, cache: &Path, seed: u64) {
    let registry = postgres::registry::open(StoreUrl::parse(url).unwrap(), cache.to_owned(), |_| {});
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

/// Runs in a child process until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instance_to_kill() {
    let Some((number, url)) = child_part() else { return };
    let url = url.to_str().unwrap().to_owned();
    let cache = std::path::PathBuf::from(std::env::var_os("SIGNALLOOP_CHILD_CACHE").unwrap());
    let skew_ms = 300_000 * (number % INSTANCES) as i64 - 300_000;
    let at = url.clone();
    std::thread::spawn(move || promoting(&at, &cache, number as u64));
    // The database may be unreachable at the start too.
    let options = StoreOptions { patience: PATIENCE, ..StoreOptions::default() };
    let store = loop {
        let opened = StoreUrl::parse(&url).and_then(|url| postgres::feedback::open_database(url, options));
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
                            // Another price was first, or an earlier attempt succeeded without an answer.
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

/// Pseudorandom numbers, the same in each run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }

    fn moment(&mut self, longest_ms: u64) -> Duration {
        Duration::from_millis(20 + self.below(longest_ms))
    }
}

/// An instance and its route to the database.
struct Instance {
    link: Option<NetworkLink>,
    proxy: Proxy,
    running: Option<Killed>,
}

impl Instance {
    fn on(schema: &Schema) -> Self {
        let link = NetworkLink::create();
        let address = link.as_ref().map_or("127.0.0.1", |link| &link.address);
        let proxy = Proxy::at(address, schema, "signalloop_");
        Self { link, proxy, running: None }
    }

    fn start(&mut self, number: usize, caches: &Path, told: &mpsc::Sender<String>) {
        let mut command = testkit::child!("instance_to_kill", &self.proxy.url, number);
        command.env("SIGNALLOOP_CHILD_CACHE", caches.join((number % INSTANCES).to_string()));
        if let Some(link) = &self.link {
            command = link.at_far_end(&command);
        }
        self.running = Some(Killed::start(&mut command, told));
    }

    fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    /// Breaks the route to the database for a while. Then all connections end, except in the case of a disconnected network link.
    fn trouble(&self, how: u64, time: Duration) {
        match (how, &self.link) {
            (0, Some(link)) => {
                link.disconnect();
                std::thread::sleep(time);
                return link.reconnect();
            }
            (0 | 1, _) => {}
            (2, _) => self.proxy.mute("signalloop_"),
            (3, _) => self.proxy.mute("COMMIT\0"),
            (4, _) => self.proxy.be(Mood::Swallows),
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
    let mut instances: [Instance; INSTANCES] = std::array::from_fn(|_| Instance::on(&schema));
    for (number, instance) in instances.iter_mut().enumerate() {
        instance.start(number, caches.path(), &told);
    }
    let (mut draws, mut generation, begun) = (Draws(7), 0, Instant::now());
    let (mut kills, mut troubles) = (0, 0);
    while begun.elapsed() < time {
        std::thread::sleep(draws.moment(300));
        let slot = draws.below(INSTANCES as u64) as usize;
        match draws.below(8) {
            how @ 0..6 => {
                troubles += 1;
                instances[slot].trouble(how, draws.moment(700));
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

    let all = Promised::of(said);
    all.assert_kept(&server::open(&schema.url, StoreOptions::default()));
    let Promised { recorded, closed, promoted } = all;
    assert_eq!(promoted.iter().collect::<BTreeSet<_>>().len(), promoted.len(), "a version was given twice");
    let registry = postgres::registry::open(StoreUrl::parse(&schema.url).unwrap(), caches.path().join("last"), |_| {});
    let ledger = versions(&registry);
    assert_eq!(ledger, (1..=ledger.len() as u64).collect::<Vec<_>>(), "each version once, in order");
    assert!(promoted.iter().all(|version| ledger.contains(version)));
    assert_eq!(registry.get(&market()).wait().unwrap().version(), ledger.len() as u64);
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
