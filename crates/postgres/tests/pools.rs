//! Pooled models in a database.

use domain::symbol::Market;
use postgres::StoreUrl;
use registry::Registry;
use registry::pool::{Pool, hex};
use registry::shelf::{Next, Version};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::child_part;
use testkit::pools::*;
use testkit::proxy::Mood;
use testkit::proxy::Proxy;
use testkit::server::Schema;
use testkit::server::schema;

/// A database, and the caches of its instances.
struct PooledDatabase {
    schema: Schema,
    caches: tempfile::TempDir,
    opened: AtomicUsize,
}

impl PooledDatabase {
    fn of(test: &str) -> Option<Self> {
        Some(Self { schema: schema(test)?, caches: tempfile::tempdir().unwrap(), opened: AtomicUsize::new(0) })
    }

    fn cache(&self, name: &str) -> PathBuf {
        self.caches.path().join(name)
    }

    /// An instance with a cache of its own.
    fn open(&self) -> Registry {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        instance(&self.schema.url, &self.cache(&number.to_string()))
    }

    fn pools(&self) -> Vec<String> {
        self.schema.ask("SELECT encode(checksum, 'hex') FROM signalloop_pools ORDER BY 1")
    }

    /// Every version has its pooled model, and every pooled model is intact.
    fn assert_whole(&self) {
        let broken = "SELECT count(*) FROM signalloop_models AS v LEFT JOIN signalloop_pools AS p ON p.checksum = v.pool \
            WHERE p.checksum IS NULL OR sha256(p.bytes) <> p.checksum";
        assert_eq!(self.schema.number(broken), 0);
    }

    fn unused(&self) -> i64 {
        self.schema
            .number("SELECT count(*) FROM signalloop_pools WHERE checksum NOT IN (SELECT pool FROM signalloop_models)")
    }
}

fn instance(url: &str, cache: &Path) -> Registry {
    postgres::registry::open(StoreUrl::parse(url).unwrap(), cache.to_owned(), |_| {})
}

/// The files of pooled models in a cache.
fn cached(cache: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(cache.join("pools")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The names of the pooled models in a folder.
fn files(folder: &Path) -> Vec<String> {
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<String> = cached(folder).into_iter().map(name).collect();
    names.sort();
    names
}

fn soon(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The version in service that this instance knows of, as a prediction looks it up.
fn told(registry: &Registry) -> u64 {
    let mark = registry.shelf().mark_at_once(&btc()).unwrap();
    registry.shelf().served(&btc(), &mark).unwrap().unwrap().version
}

#[test]
fn one_is_kept_once_as_long_as_a_version_rests_on_it() {
    let Some(database) = PooledDatabase::of("one_is_kept_once_as_long_as_a_version_rests_on_it") else { return };
    kept_once_as_long_as_needed(&|| database.open(), &|| database.pools());
}

#[test]
fn without_it_a_version_is_refused_and_the_other_markets_are_served() {
    for (damage, what) in [
        ("UPDATE signalloop_pools SET bytes = set_byte(bytes, 500, 77)", "damaged"),
        // The database itself prevents its deletion.
        (
            "ALTER TABLE signalloop_models DROP CONSTRAINT signalloop_models_pool_fkey; DELETE FROM signalloop_pools",
            "missing",
        ),
    ] {
        let Some(database) = PooledDatabase::of("without_it_a_version_is_refused_and_the_other_markets_are_served")
        else {
            return;
        };
        let break_it = |pool: &Pool| {
            let name = hex(pool.checksum());
            database.schema.ask(&format!("{damage} WHERE checksum = decode('{name}', 'hex')"));
        };
        refused_and_healed(&|| database.open(), &break_it, what);
    }
}

#[test]
fn one_that_is_there_is_not_sent_again() {
    let Some(database) = PooledDatabase::of("one_that_is_there_is_not_sent_again") else { return };
    let registry = database.open();
    put(&registry, &btc(), &pool(1), 0).unwrap();
    let row = || database.schema.ask("SELECT concat_ws(' ', ctid, xmin) FROM signalloop_pools");
    let first = row();
    put(&registry, &eth(), &pool(1), 0).unwrap();
    assert_eq!((row(), first.len()), (first, 1));
}

#[test]
fn no_prediction_waits_for_it() {
    let Some(database) = PooledDatabase::of("no_prediction_waits_for_it") else { return };
    let proxy = Proxy::of(&database.schema, "COMMIT\0");
    let serving = instance(&proxy.url, &database.cache("a"));
    let training = database.open();
    put(&training, &btc(), &pool(1), 0).unwrap();
    assert_eq!(serving.get(&btc()).unwrap().version(), 1);
    put(&training, &btc(), &pool(2), 0).unwrap();
    soon("the new version is known", || told(&serving) == 2);
    proxy.be(Mood::Swallows);
    let begun = Instant::now();
    assert_eq!(serving.get(&btc()).unwrap().version(), 2);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());

    // A restart without a connection does not wait for it either.
    proxy.be(Mood::Refuses);
    proxy.cut();
    assert_eq!(instance(&proxy.url, &database.cache("a")).get(&btc()).unwrap().version(), 2);
    // Once the database is reachable, a damaged file is fetched again, and files that are no longer needed are deleted.
    soon("the first is gone", || cached(&database.cache("a")).len() == 1);
    std::fs::write(&cached(&database.cache("a"))[0], b"torn").unwrap();
    let restarted = instance(&database.schema.url, &database.cache("a"));
    assert_eq!(restarted.get(&btc()).unwrap().version(), 2);
    assert!(std::fs::read(&cached(&database.cache("a"))[0]).unwrap() == pool(2).bytes());
}

#[test]
fn a_slow_line_brings_it_both_ways() {
    let Some(database) = PooledDatabase::of("a_slow_line_brings_it_both_ways") else { return };
    let proxy = Proxy::of(&database.schema, "COMMIT\0");
    let [training, serving] = ["a", "b"].map(|name| instance(&proxy.url, &database.cache(name)));
    put(&training, &btc(), &pool(1), 0).unwrap();
    assert_eq!(serving.get(&btc()).unwrap().version(), 1);
    proxy.be(Mood::Crawls);
    // Its transfer takes longer than a transaction may be idle, and longer than a poll may take.
    let large = large_pool();
    let begun = Instant::now();
    put(&training, &btc(), &large, 0).unwrap();
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
    soon("the new version is known", || told(&serving) == 2);
    assert_eq!(serving.trouble(), None);
    assert_eq!(serving.get(&btc()).unwrap().version(), 2);
}

#[test]
fn of_instances_that_change_at_once_none_takes_away_what_another_needs() {
    let Some(database) = PooledDatabase::of("of_instances_that_change_at_once_none_takes_away_what_another_needs")
    else {
        return;
    };
    let all: Vec<(Registry, Market)> = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"]
        .iter()
        .map(|symbol| (database.open(), Market::parse(symbol, "1h").unwrap()))
        .collect();
    std::thread::scope(|scope| {
        for (n, (registry, market)) in all.iter().enumerate() {
            scope.spawn(move || {
                (0..60).for_each(|k| _ = put(registry, market, &pool((k + n as u64) / 4 % 3), 0).unwrap())
            });
        }
    });
    database.assert_whole();
    put(&all[0].0, &btc(), &pool(0), 0).unwrap();
    assert_eq!(database.unused(), 0);
}

#[test]
fn one_that_another_change_is_about_to_rest_on_stays() {
    let Some(database) = PooledDatabase::of("one_that_another_change_is_about_to_rest_on_stays") else { return };
    let registry = database.open();
    put(&registry, &btc(), &pool(1), 0).unwrap();
    let sum = hex(pool(1).checksum());
    let url = database.schema.url.clone();
    let locked = format!(
        "BEGIN; SELECT 1 FROM signalloop_pools WHERE checksum = decode('{sum}', 'hex') FOR KEY SHARE; \
         SELECT pg_sleep(4); COMMIT"
    );
    let other = std::thread::spawn(move || testkit::server::ask(&url, &locked));
    soon("it is locked", || {
        database
            .schema
            .number("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%FOR KEY%'")
            > 0
    });
    let begun = Instant::now();
    (2..=4).for_each(|number| _ = put(&registry, &btc(), &pool(number), 0).unwrap());
    assert!(begun.elapsed() < Duration::from_secs(3), "it waits for nobody: {:?}", begun.elapsed());
    assert!(database.pools().contains(&sum));
    other.join().unwrap();
    put(&registry, &btc(), &pool(4), 0).unwrap();
    assert!(!database.pools().contains(&sum), "the next change deletes it");
}

#[test]
fn they_are_taken_along_each_once_into_a_database_and_back() {
    let Some(database) = PooledDatabase::of("they_are_taken_along_each_once_into_a_database_and_back") else { return };
    let home = tempfile::tempdir().unwrap();
    taken_along(
        &Registry::new(home.path().to_owned()),
        &database.open(),
        [&|| files(home.path()), &|| database.pools()],
    );
    // And from one database to another.
    let Some(other) = PooledDatabase::of("they_are_taken_along_each_once_into_a_database_and_back") else { return };
    let home = tempfile::tempdir().unwrap();
    taken_along(&other.open(), &Registry::new(home.path().to_owned()), [&|| other.pools(), &|| files(home.path())]);
}

#[test]
fn tables_from_before_pooled_models_are_brought_up_to_date() {
    let Some(database) = PooledDatabase::of("tables_from_before_pooled_models_are_brought_up_to_date") else { return };
    let registry = database.open();
    let change = registry.shelf().change(&btc()).unwrap();
    let mut state = registry.state_to_change(&btc(), &*change).unwrap();
    state.promote(0, 0, "", false);
    let old = Version::of(0, include_bytes!("../../testkit/fixtures/champion.model").to_vec()).unwrap();
    change.commit(Next { versions: vec![old], ..Next::of(state, Vec::new()) }).unwrap().unwrap();
    drop(registry);
    database.schema.ask(
        "ALTER TABLE signalloop_models DROP COLUMN pool; DROP TABLE signalloop_pools; UPDATE signalloop_schema SET version = 5",
    );
    let registry = database.open();
    assert_eq!(registry.get(&btc()).unwrap().version(), 0);
    assert_eq!(put(&registry, &btc(), &pool(1), 1).unwrap(), 1);
    assert_eq!(registry.rollback(&btc(), 1, "", false, 0, None).unwrap().unwrap().to, 0);
}

/// Run in a child process: promotes until it is killed.
#[test]
fn promoting_process() {
    let Some((number, url)) = child_part() else { return };
    let cache = tempfile::tempdir().unwrap();
    let registry = instance(url.to_str().unwrap(), cache.path());
    println!("\nready");
    for n in number as u64.. {
        let market = if n.is_multiple_of(2) { btc() } else { eth() };
        put(&registry, &market, &pool(n % 5), (n % 3) as usize).unwrap();
    }
}

#[test]
fn kill_9_amid_changes_leaves_no_version_without_it() {
    if child_part().is_some() {
        return;
    }
    let Some(database) = PooledDatabase::of("kill_9_amid_changes_leaves_no_version_without_it") else { return };
    put(&database.open(), &btc(), &pool(0), 0).unwrap();
    for round in 0..5 {
        let name = "model::registry::tests::postgres::promoting_process";
        let mut children: Vec<_> =
            (0..2).map(|n| testkit::child!(name, &database.schema.url, n).spawn().unwrap()).collect();
        let before = database.schema.number("SELECT count(*) FROM signalloop_ledger");
        soon("they are at work", || database.schema.number("SELECT count(*) FROM signalloop_ledger") > before + 4);
        std::thread::sleep(Duration::from_millis(7 * round));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        database.assert_whole();
        put(&database.open(), &btc(), &pool(0), 0).unwrap();
        database.assert_whole();
        soon("nothing is left that is not needed", || {
            // Locks of a killed instance are released once the server notices.
            database.open().weigh_anew(&btc(), database.open().champion_version(&btc()).unwrap(), 5).unwrap();
            database.unused() == 0
        });
    }
}
