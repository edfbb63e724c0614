//! Models in a database: the same rules as in a folder, one decision per champion, served everywhere within a second,
//! and still served when the database is unreachable.

use learning::model::{Champion, Decision, Entry};
use postgres::StoreUrl;
use registry::Registry;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};
use storage::fence::Fence;
use testkit::proxy::{Mood, Proxy};
use testkit::server::{Schema, schema};
use testkit::trained::{market, model, promote, submit, trial, versions};

/// An instance that keeps its files below `cache`.
fn instance(url: &str, cache: &Path) -> Registry {
    postgres::registry::open(StoreUrl::parse(url).unwrap(), cache.to_owned(), |_| {})
}

/// A database, and the caches of its instances.
struct Database {
    schema: Schema,
    caches: tempfile::TempDir,
}

impl Database {
    fn of(test: &str) -> Option<Self> {
        Some(Self { schema: schema(test)?, caches: tempfile::tempdir().unwrap() })
    }

    fn cache(&self, name: &str) -> std::path::PathBuf {
        self.caches.path().join(name)
    }

    fn instance(&self, name: &str) -> Registry {
        instance(&self.schema.url, &self.cache(name))
    }
}

/// Waits until `so` holds; returns how long it took.
fn soon(what: &str, mut so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

fn serves(registry: &Registry, version: u64) -> bool {
    registry.get(&market()).unwrap().version() == version
}

#[test]
fn promotions_refusals_and_rollbacks_go_by_the_rules_of_a_folder() {
    let Some(database) = Database::of("promotions_refusals_and_rollbacks_go_by_the_rules_of_a_folder") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    for registry in [Registry::new(folder.path().to_owned()), database.instance("a")] {
        let market = market();
        assert_eq!(registry.get(&market).unwrap_err().code(), "ERR_NO_MODEL");
        assert!(matches!(registry.champion(&market).unwrap(), Champion::None));
        assert_eq!(registry.rollback(&market, 7, "", false, 0, None).unwrap(), None);
        (1..=3).for_each(|seed| assert_eq!(promote(&registry, &model(seed)), seed));
        assert_eq!(submit(&registry, &model(4), Decision::WorseLogLoss), 4);
        assert!(serves(&registry, 3));
        // A decision that refers to a model no longer in service.
        let (new, of) = (model(5), trial(&model(5), Decision::FirstModel, 0));
        assert!(registry.submit(new, of, &Champion::None, None).unwrap().is_none());
        // JSONB would change each of these.
        let reason = "worse: -0.0 1e16 \u{0} \"ö\"";
        let back = registry.rollback(&market, 3, reason, true, 1_750_000_000_009, None).unwrap().unwrap();
        assert_eq!((back.from, back.to), (3, 2));
        assert_eq!(registry.get(&market).unwrap().record.seed, model(2).record.seed);
        let mut odd = trial(&model(6), Decision::NotWorse, 1_750_000_000_000);
        (odd.log_loss, odd.constant_log_loss, odd.held_out_profit) = (-0.0, 1e16, Some(5e-324));
        let champion = registry.champion(&market).unwrap();
        assert_eq!(registry.submit(model(6), odd, &champion, None).unwrap().unwrap().1.version, 5);
        (6..=9).for_each(|version| assert_eq!(promote(&registry, &model(1)), version));
        let listed = registry.list().unwrap().remove(0);
        let list = (listed.stem, listed.version, listed.record.unwrap(), listed.since_ms, listed.reason);
        let predecessors = listed.predecessors;
        // Four single steps back, and one to an older version.
        for (from, to) in [(9, 8), (8, 7), (7, 6), (6, 5), (5, 1)] {
            let back = registry.rollback(&market, from, "", false, 0, None).unwrap().unwrap();
            assert_eq!((back.to, serves(&registry, to)), (to, true));
        }
        let error = registry.rollback(&market, 1, "", false, 0, None).unwrap_err();
        assert_eq!(error.code(), "ERR_NO_PREDECESSOR");
        registry.weigh_anew(&market, 1, 1_750_000_000_010).unwrap();
        let weighed = registry.weighed_since(&market).unwrap();
        told.push((list, predecessors, weighed, registry.ledger().unwrap().entries));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[1].2, (1, 1_750_000_000_010));
    let Entry::Training(odd) = &told[1].3[5] else { panic!("{:?}", told[1].3[5]) };
    assert!(odd.log_loss.is_sign_negative() && odd.constant_log_loss == 1e16);
    // The champion and the newest three.
    assert_eq!(database.schema.ask("SELECT version FROM signalloop_models ORDER BY version"), ["1", "7", "8", "9"]);
    let row = database.schema.ask(
        "SELECT concat_ws(' ', number, symbol, timeframe, kind, version, promoted, reason) FROM signalloop_ledger LIMIT 5",
    );
    assert_eq!(row[0], "1 BTCUSDT 1h training 1 t for the test");
    assert_eq!(row[4], "5 BTCUSDT 1h rollback 2 t worse: -0.0 1e16 \u{fffd} \"ö\"");
}

#[test]
fn what_one_instance_decides_all_serve_within_a_second() {
    let Some(database) = Database::of("what_one_instance_decides_all_serve_within_a_second") else { return };
    let [one, two] = ["one", "two"].map(|name| database.instance(name));
    assert_eq!(two.get(&market()).unwrap_err().code(), "ERR_NO_MODEL");
    promote(&one, &model(1));
    assert!(soon("the first is served", || two.get(&market()).is_ok()) < Duration::from_secs(1));
    promote(&one, &model(2));
    assert!(soon("the promotion is served", || serves(&two, 2)) < Duration::from_secs(1));
    assert_eq!(*two.get(&market()).unwrap(), *one.get(&market()).unwrap());
    one.rollback(&market(), 2, "", false, 0, None).unwrap().unwrap();
    assert!(soon("the rollback is served", || serves(&two, 1)) < Duration::from_secs(1));
    // As if a notification were lost.
    database.schema.ask(
        "UPDATE signalloop_markets SET champion = 2, batch = batch / 2 + 1, \
         state = jsonb_set(state::jsonb, '{champion}', '2')::json",
    );
    let untold = [&one, &two].map(|registry| soon("the table is looked at", || serves(registry, 2)));
    assert!(untold.iter().all(|took| *took < Duration::from_secs(1)), "{untold:?}");
}

#[test]
fn of_decisions_about_the_same_champion_one_is_carried_out() {
    let Some(database) = Database::of("of_decisions_about_the_same_champion_one_is_carried_out") else { return };
    let loops: Vec<Registry> = (0..4).map(|n| database.instance(&n.to_string())).collect();
    for round in 0..6 {
        let (start, new) = (Barrier::new(loops.len()), model(1));
        let decided = std::thread::scope(|scope| {
            let decide = |registry: &'_ Registry| {
                let champion = registry.champion(&market()).unwrap();
                start.wait();
                registry.submit(new.clone(), trial(&new, Decision::NotWorse, 0), &champion, None).unwrap().is_some()
            };
            let all: Vec<_> = loops.iter().map(|registry| scope.spawn(move || decide(registry))).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|decided| *decided).count()
        });
        assert_eq!(decided, 1, "round {round}");
    }
    assert_eq!(versions(&loops[0]), (1..=6).collect::<Vec<u64>>());
}

#[test]
fn a_change_committed_unheard_happened_once() {
    let Some(database) = Database::of("a_change_committed_unheard_happened_once") else { return };
    let proxy = Proxy::of(&database.schema, "COMMIT\0");
    let registry = Arc::new(instance(&proxy.url, &database.cache("a")));
    for version in 1..=3 {
        // Establishes the connection first, because that commits too.
        let champion = registry.champion(&market()).unwrap();
        proxy.be(Mood::Mute);
        let of = registry.clone();
        let submitted = std::thread::spawn(move || {
            of.submit(model(version), trial(&model(version), Decision::NotWorse, 0), &champion, None)
        });
        soon("it is committed", || database.schema.number("SELECT count(*) FROM signalloop_ledger") == version as i64);
        proxy.be(Mood::Passes);
        proxy.cut();
        let (_, trial) = submitted.join().unwrap().unwrap().expect("the change is reported as done");
        assert_eq!(trial.version, version);
        assert!(serves(&registry, version));
    }
    assert_eq!(versions(&registry), [1, 2, 3]);
}

#[test]
fn damaged_bytes_are_refused_and_the_good_model_stays() {
    let Some(database) = Database::of("damaged_bytes_are_refused_and_the_good_model_stays") else { return };
    let serving = database.instance("serving");
    (1..=3).for_each(|seed| assert_eq!(promote(&serving, &model(seed)), seed));
    for damage in [
        "SET bytes = set_byte(bytes, 5000, get_byte(bytes, 5000) # 1)",
        "SET bytes = 'torn', checksum = sha256('torn')",
    ] {
        database.schema.ask(&format!("UPDATE signalloop_models {damage} WHERE version > 1"));
        let fresh = tempfile::tempdir().unwrap();
        let other = instance(&database.schema.url, fresh.path());
        let error = other.get(&market()).unwrap_err();
        assert_eq!(error.code(), "ERR_MODEL_FILE", "{damage}");
        assert!(error.to_string().contains("signalloop train") && !error.to_string().contains("of%2F"), "{error}");
        assert_eq!(other.list().unwrap()[0].record.as_ref().unwrap_err().code(), "ERR_MODEL_FILE");
        assert!(matches!(other.champion(&market()).unwrap(), Champion::Unusable { .. }));
        assert!(serves(&serving, 3), "a process with it in memory keeps serving it");
    }
    // A rollback skips a predecessor that cannot be read.
    assert_eq!(serving.rollback(&market(), 3, "", true, 9, None).unwrap().unwrap().to, 1);
    database.schema.ask("DELETE FROM signalloop_models WHERE version = 1");
    let fresh = tempfile::tempdir().unwrap();
    let error = instance(&database.schema.url, fresh.path()).get(&market()).unwrap_err();
    assert!(error.code() == "ERR_MODEL_FILE" && error.to_string().contains("it is missing"), "{error}");
}

#[test]
fn a_champion_or_a_state_that_cannot_be_read_is_decided_about_as_what_it_is() {
    let Some(database) = Database::of("a_champion_or_a_state_that_cannot_be_read_is_decided_about_as_what_it_is")
    else {
        return;
    };
    let serving = database.instance("serving");
    promote(&serving, &model(1));
    // Another instance promotes a model that only a newer signalloop can read.
    database.schema.ask(
        "INSERT INTO signalloop_models (symbol, timeframe, version, checksum, bytes) \
         SELECT symbol, timeframe, 2, sha256('newer'), 'newer' FROM signalloop_models",
    );
    database.schema.ask(
        "UPDATE signalloop_markets SET champion = 2, batch = batch + 1, \
         state = (state::jsonb || '{\"champion\": 2, \"predecessors\": [1], \"next\": 3}')::text::json",
    );
    let found = serving.champion(&market()).unwrap();
    assert!(matches!(found, Champion::Unusable { version: Some(2), .. }));
    assert!(serves(&serving, 1), "a process with one in memory keeps serving it");
    let of = |seed| trial(&model(seed), Decision::ChampionUnusable, 0);
    assert_eq!(serving.submit(model(3), of(3), &found, None).unwrap().unwrap().1.champion, Some(2));
    assert!(serves(&serving, 3));

    // The columns say what is in service, but the state is unreadable.
    database.schema.ask("UPDATE signalloop_markets SET state = '{}', batch = batch + 1");
    let error = serving.rollback(&market(), 3, "", false, 0, None).unwrap_err();
    assert_eq!(error.code(), "ERR_MODEL_FILE");
    let found = serving.champion(&market()).unwrap();
    assert_eq!(serving.submit(model(4), of(4), &found, None).unwrap().unwrap().1.version, 4);
    assert!(serves(&serving, 4));
}

#[test]
fn without_the_database_what_was_last_in_service_is_served() {
    let Some(database) = Database::of("without_the_database_what_was_last_in_service_is_served") else { return };
    let proxy = Proxy::of(&database.schema, "COMMIT\0");
    let serving = instance(&proxy.url, &database.cache("a"));
    promote(&database.instance("other"), &model(1));
    assert!(serves(&serving, 1));
    proxy.be(Mood::Swallows);
    let begun = Instant::now();
    (0..1000).for_each(|_| assert!(serves(&serving, 1)));
    assert!(begun.elapsed() < Duration::from_millis(500), "it makes no request: {:?}", begun.elapsed());
    assert_eq!(serving.champion_version(&market()).unwrap_err().code(), "ERR_STORE");
    assert!(serving.trouble().is_some());

    // A restart without a connection.
    proxy.be(Mood::Refuses);
    proxy.cut();
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let told = warnings.clone();
    let restarted =
        postgres::registry::open(StoreUrl::parse(&proxy.url).unwrap(), database.cache("a"), move |warning| {
            told.lock().unwrap().push(warning);
        });
    let begun = Instant::now();
    assert!(serves(&restarted, 1));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    soon("it says so", || !warnings.lock().unwrap().is_empty());
    assert!(warnings.lock().unwrap()[0].contains("models stay as they were last known"));
    let unknowing = instance(&proxy.url, &database.cache("nothing"));
    assert_eq!(unknowing.get(&market()).unwrap_err().code(), "ERR_STORE");

    // And reconnects by itself.
    promote(&database.instance("other"), &model(2));
    proxy.be(Mood::Passes);
    for registry in [&serving, &restarted] {
        soon("the promotion is served", || serves(registry, 2));
        assert_eq!(registry.trouble(), None);
    }
}

#[test]
fn a_model_is_fetched_once_even_by_a_restart() {
    let Some(database) = Database::of("a_model_is_fetched_once_even_by_a_restart") else { return };
    promote(&database.instance("other"), &model(1));
    assert!(serves(&database.instance("a"), 1));
    // A deleted model cannot be fetched.
    database.schema.ask("UPDATE signalloop_models SET bytes = ''");
    assert!(serves(&database.instance("a"), 1));
    assert_eq!(database.instance("b").get(&market()).unwrap_err().code(), "ERR_MODEL_FILE");
    // A damaged file is fetched again.
    let file = std::fs::read_dir(database.cache("a").join("btcusdt_1h")).unwrap().flatten().map(|entry| entry.path());
    let file = file.into_iter().find(|path| path.extension().unwrap() == "model").unwrap();
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(database.instance("a").get(&market()).unwrap_err().code(), "ERR_MODEL_FILE");
}

#[test]
fn a_former_holder_of_a_lease_changes_nothing() {
    let Some(database) = Database::of("a_former_holder_of_a_lease_changes_nothing") else { return };
    let registry = database.instance("a");
    (1..=2).for_each(|seed| assert_eq!(promote(&registry, &model(seed)), seed));
    database.schema.ask("INSERT INTO signalloop_leases VALUES ('leader', 'somebody', 5, now())");
    let before = registry.ledger().unwrap();
    let champion = registry.champion(&market()).unwrap();
    let new = || (model(3), trial(&model(3), Decision::NotWorse, 0));
    for (name, token) in [("leader", 4), ("nobody", 5)] {
        let fence = Fence { name: name.to_owned(), token };
        let (new, of) = new();
        let error = registry.submit(new, of, &champion, Some(&fence)).unwrap_err();
        assert!(error.code() == "ERR_LEASE_LOST" && error.to_string().contains(name), "{error}");
        let error = registry.rollback(&market(), 2, "", true, 0, Some(&fence)).unwrap_err();
        assert_eq!(error.code(), "ERR_LEASE_LOST");
    }
    assert_eq!((registry.ledger().unwrap(), registry.champion_version(&market()).unwrap()), (before, 2));
    let fence = Fence { name: "leader".to_owned(), token: 5 };
    let (new, of) = new();
    assert_eq!(registry.submit(new, of, &champion, Some(&fence)).unwrap().unwrap().1.version, 3);
    assert_eq!(registry.rollback(&market(), 3, "", true, 0, Some(&fence)).unwrap().unwrap().to, 2);
}

#[test]
fn a_home_is_copied_into_a_database_and_back_and_goes_on() {
    let Some(database) = Database::of("a_home_is_copied_into_a_database_and_back_and_goes_on") else { return };
    let homes = [0; 2].map(|_| tempfile::tempdir().unwrap());
    let [home, back] = [0, 1].map(|n| Registry::new(homes[n].path().to_owned()));
    (1..=3).for_each(|seed| assert_eq!(promote(&home, &model(seed)), seed));
    home.rollback(&market(), 3, "worse", true, 1_750_000_000_000, None).unwrap().unwrap();
    let stored = database.instance("a");
    let counts = |to: &Registry, from: &Registry| {
        let report = to.copy_from(from).unwrap();
        [report.copied.len(), report.known.len(), report.refused.len()]
    };
    let same = |a: &Registry, b: &Registry| {
        assert_eq!(a.ledger().unwrap(), b.ledger().unwrap());
        assert_eq!(a.get(&market()).unwrap(), b.get(&market()).unwrap());
        let of = |registry: &Registry| registry.list().unwrap().remove(0);
        assert_eq!((of(a).reason, of(a).predecessors), (of(b).reason, of(b).predecessors));
    };
    assert_eq!(counts(&stored, &home), [1, 0, 0]);
    same(&stored, &home);
    assert_eq!(counts(&stored, &home), [0, 1, 0], "nothing is duplicated");
    assert_eq!(counts(&back, &stored), [1, 0, 0]);
    same(&back, &home);
    // One of them continues: its changes are copied, and not reverted.
    assert_eq!(promote(&stored, &model(4)), 4);
    assert_eq!(counts(&stored, &home), [0, 1, 0]);
    assert_eq!(counts(&home, &stored), [1, 0, 0]);
    same(&home, &stored);
    // As if a copy were killed after the ledger and before the champion was written.
    std::fs::remove_file(homes[1].path().join("btcusdt_1h/champion.json")).unwrap();
    assert_eq!(counts(&back, &stored), [1, 0, 0]);
    same(&back, &stored);
    // Both have changed independently.
    promote(&back, &model(5));
    promote(&stored, &model(6));
    let report = stored.copy_from(&back).unwrap();
    assert_eq!(report.refused[0].market, market());
    assert_eq!(stored.get(&market()).unwrap().record.seed, 6);
}

#[test]
fn a_role_with_the_rights_of_the_documentation_is_enough() {
    let Some(database) = Database::of("a_role_with_the_rights_of_the_documentation_is_enough") else { return };
    promote(&database.instance("owner"), &model(1));
    let name = database.schema.ask("SELECT current_schema()").remove(0);
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/postgres.md")).unwrap();
    let grants: String = docs.lines().filter(|line| line.starts_with("GRANT ")).collect::<Vec<_>>().join("\n");
    assert!(grants.contains("signalloop_models"));
    let grants =
        grants.replace("SCHEMA public", &format!("SCHEMA {name}")).replace("TO app", &format!("TO {name}_app"));
    database.schema.ask(&format!("CREATE ROLE {name}_app LOGIN PASSWORD 'app'; {grants}"));
    let url = database.schema.url.replace("signalloop:of%2Fthe%3Atest%3F@", &format!("{name}_app:app@"));
    let app = instance(&url, &database.cache("app"));
    (2..=9).for_each(|version| assert_eq!(promote(&app, &model(1)), version));
    assert_eq!(app.rollback(&market(), 9, "", false, 0, None).unwrap().unwrap().to, 8);
    drop(app);
    database.schema.ask(&format!("DROP OWNED BY {name}_app; DROP ROLE {name}_app"));
}
