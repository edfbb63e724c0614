//! Pooled models in the files of a home.

use registry::Registry;
use registry::pool::{Pool, checksum, from_hex, hex, of_version};
use registry::shelf::Next;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use storage::Stamp;
use testkit::child_part;
use testkit::kill_at_work;
use testkit::pools::*;
use testkit::setting;

const MODULE: &str = "pools";

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The stored pooled models; asserts that each file is intact.
fn pools(home: &Path) -> Vec<String> {
    let folder = home.join("pools");
    let of = |name: &String| {
        let pool = name.strip_suffix(".pool").unwrap_or_else(|| panic!("{name}"));
        assert_eq!(from_hex(pool), Some(checksum(&std::fs::read(folder.join(name)).unwrap())));
        pool.to_owned()
    };
    names(&folder).iter().map(of).collect()
}

/// The pooled models that the versions of all markets depend on.
fn needed(home: &Path) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for market in [btc(), eth()].map(|market| home.join(market.file_stem())) {
        for name in names(&market).iter().filter(|name| name.ends_with(".model")) {
            needed.insert(hex(&of_version(&std::fs::read(market.join(name)).unwrap()[..]).unwrap().unwrap()));
        }
    }
    needed
}

#[test]
fn one_is_kept_once_as_long_as_a_version_rests_on_it() {
    let home = tempfile::tempdir().unwrap();
    kept_once_as_long_as_needed(&|| Registry::new(home.path().to_owned()), &|| pools(home.path()));
}

#[test]
fn one_that_is_there_is_not_written_again() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    put(&registry, &btc(), &pool(1), 0).unwrap();
    let stamp = || Stamp::of(&registry.shelf().pool_path(pool(1).checksum())).unwrap().unwrap();
    let first = stamp();
    put(&registry, &eth(), &pool(1), 0).unwrap();
    assert_eq!(stamp(), first);
}

#[test]
fn without_it_a_version_is_refused_and_the_other_markets_are_served() {
    for (damage, what) in [(None, "missing"), (Some(&b"torn"[..]), "damaged"), (Some(b""), "damaged")] {
        let home = tempfile::tempdir().unwrap();
        let open = || Registry::new(home.path().to_owned());
        let break_it = |pool: &Pool| {
            let path = open().shelf().pool_path(pool.checksum());
            match damage {
                Some(bytes) => std::fs::write(path, bytes).unwrap(),
                None => std::fs::remove_file(path).unwrap(),
            }
        };
        refused_and_healed(&open, &break_it, what);
    }
}

#[test]
fn a_predecessor_without_its_pooled_model_is_skipped() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    (1..=3).for_each(|number| _ = put(&registry, &btc(), &pool(number), 5).unwrap());
    std::fs::remove_file(registry.shelf().pool_path(pool(2).checksum())).unwrap();
    assert_eq!(registry.rollback(&btc(), 3, "", false, 0, None).unwrap().unwrap().to, 1);
}

#[test]
fn no_version_is_written_without_its_pooled_model() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    put(&registry, &btc(), &pool(1), 0).unwrap();
    let error = put_with(&registry, &btc(), &pool(2), 0, Vec::new()).unwrap_err();
    assert!(error.code() == "ERR_MODEL_FILE" && error.to_string().contains("it is missing"), "{error}");
    assert_eq!(names(&home.path().join("btcusdt_1h")), ["champion.json", "v000001.model"]);
    assert_eq!(registry.champion_version(&btc()).unwrap(), 1);
}

#[test]
fn a_version_is_written_after_its_pooled_model() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    std::fs::write(home.path().join("pools"), "in its place").unwrap();
    let error = put(&registry, &btc(), &pool(1), 0).unwrap_err();
    assert!(error.code() == "ERR_IO" && error.to_string().contains("pools"), "{error}");
    assert_eq!(names(&home.path().join("btcusdt_1h")), [""; 0]);
}

#[test]
fn leftovers_of_a_crash_are_deleted_at_the_next_change() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    put(&registry, &btc(), &pool(1), 0).unwrap();
    // Killed after the pooled model and before the version, and while writing the first.
    let orphan = registry.shelf().pool_path(pool(2).checksum());
    std::fs::write(&orphan, pool(2).bytes()).unwrap();
    std::fs::write(home.path().join("pools/.writing-abc"), b"half").unwrap();
    std::fs::write(home.path().join("pools/README"), b"of a person").unwrap();
    assert_eq!(registry.get(&btc()).unwrap().version(), 1);
    put(&registry, &eth(), &pool(1), 0).unwrap();
    let kept = format!("{}.pool", hex(pool(1).checksum()));
    let mut expected = vec![kept, "README".to_owned()];
    expected.sort();
    assert_eq!(names(&home.path().join("pools")), expected);
    // Or the change it was written for is repeated.
    std::fs::write(&orphan, pool(2).bytes()).unwrap();
    let number = put(&registry, &btc(), &pool(2), 0).unwrap();
    assert_eq!(Registry::new(home.path().to_owned()).get(&btc()).unwrap().version(), number);
}

#[test]
fn of_a_change_that_fails_nothing_stays() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    put(&registry, &btc(), &pool(1), 0).unwrap();
    // The file of the next version already exists.
    let taken = home.path().join("btcusdt_1h/v000002.model");
    std::fs::create_dir_all(taken.join("x")).unwrap();
    let change = registry.shelf().change(&btc()).unwrap();
    let mut state = change.state().unwrap().unwrap();
    state.promote(2, 0, "", false);
    let next =
        Next { versions: vec![resting(&btc(), 2, &pool(2))], pools: vec![pool(2)], ..Next::of(state, Vec::new()) };
    assert_eq!(change.commit(next).unwrap_err().code(), "ERR_IO");
    assert_eq!(pools(home.path()), [hex(pool(1).checksum())]);
    std::fs::remove_dir_all(taken).unwrap();
    assert_eq!(registry.champion_version(&btc()).unwrap(), 1);
}

#[test]
fn nothing_is_deleted_while_a_version_is_unreadable() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    put(&registry, &btc(), &pool(1), 0).unwrap();
    // As a future version of signalloop may write it.
    let version = home.path().join("ethusdt_1h/v000001.model");
    std::fs::create_dir_all(version.parent().unwrap()).unwrap();
    std::fs::write(&version, "signalloop model 9\n00000000\n{\"pool\":[\"blake3\",\"abc\"]}\n").unwrap();
    (2..=6).for_each(|number| _ = put(&registry, &btc(), &pool(number), 0).unwrap());
    assert_eq!(pools(home.path()).len(), 6);
    // A damaged version depends on nothing.
    std::fs::write(&version, "torn").unwrap();
    put(&registry, &btc(), &pool(7), 0).unwrap();
    assert_eq!(pools(home.path()).len(), 3, "those of the newest three versions");
}

#[test]
fn a_reader_whose_pooled_model_was_purged_finds_the_successor() {
    let home = tempfile::tempdir().unwrap();
    let open = || Registry::new(home.path().to_owned());
    put(&open(), &btc(), &pool(0), 0).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (1..60).for_each(|number| _ = put(&open(), &btc(), &pool(number), 0).unwrap()));
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                for _ in 0..300 {
                    let version = open().get(&btc()).unwrap().version();
                    assert!(version >= last, "{version} after {last}");
                    last = version;
                }
            });
        }
    });
    assert_eq!(open().get(&btc()).unwrap().version(), 60);
}

#[test]
fn they_are_taken_along_each_once() {
    let homes = [0; 2].map(|_| tempfile::tempdir().unwrap());
    let [here, there] = [0, 1].map(|n| Registry::new(homes[n].path().to_owned()));
    taken_along(&here, &there, [&|| pools(homes[0].path()), &|| pools(homes[1].path())]);
}

#[test]
fn a_version_whose_own_is_gone_is_not_taken_along() {
    let homes = [0; 2].map(|_| tempfile::tempdir().unwrap());
    let [here, there] = [0, 1].map(|n| Registry::new(homes[n].path().to_owned()));
    (1..=2).for_each(|number| _ = put(&here, &btc(), &pool(number), 2).unwrap());
    std::fs::remove_file(here.shelf().pool_path(pool(1).checksum())).unwrap();
    assert_eq!(there.copy_from(&here).unwrap().copied, [btc()]);
    assert_eq!(there.get(&btc()).unwrap().version(), 2);
    assert_eq!(names(&homes[1].path().join("btcusdt_1h")), ["champion.json", "v000002.model"]);
}

/// Run in a child process: promotes until it is killed.
#[test]
fn promoting_process() {
    let Some((number, home)) = child_part() else { return };
    let registry = Registry::new(home);
    println!("\nready");
    for n in number as u64.. {
        let market = if n.is_multiple_of(2) { btc() } else { eth() };
        put(&registry, &market, &pool(n % 5), (n % 3) as usize).unwrap();
    }
}

#[test]
fn kill_9_between_and_amid_the_writes_leaves_no_version_without_it() {
    if child_part().is_some() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let open = || Registry::new(home.path().to_owned());
    put(&open(), &btc(), &pool(0), 0).unwrap();
    let (mut orphans, kills) = (0, setting("SIGNALLOOP_KILLS", 12));
    for round in 0..kills {
        kill_at_work(module_path!(), "promoting_process", home.path(), round);
        // Wherever it was killed: every pooled model that a version depends on exists, and is intact.
        let needed = needed(home.path());
        let folder = home.path().join("pools");
        for name in &needed {
            let bytes = std::fs::read(folder.join(format!("{name}.pool"))).unwrap();
            assert_eq!(hex(&checksum(&bytes)), *name);
        }
        orphans += names(&folder).len() - needed.len();
        for market in [btc(), eth()] {
            if let Err(error) = open().get(&market) {
                assert_eq!(error.code(), "ERR_NO_MODEL", "{error}");
            }
        }
        put(&open(), &btc(), &pool(0), 0).unwrap();
        let there: HashSet<String> = pools(home.path()).into_iter().collect();
        assert_eq!(there, self::needed(home.path()).into_iter().collect(), "the next change made it good");
    }
    let versions = open().champion_version(&btc()).unwrap() as usize - 1 - kills;
    println!("{versions} versions, {orphans} orphans");
    assert!(versions > kills, "the processes were at work: {versions}");
}

/// Limits the size of files this process may write, as if the disk were full.
#[cfg(target_os = "linux")]
fn room(bytes: &str) {
    let id = std::process::id().to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    assert!(std::process::Command::new("prlimit").args(["--pid", &id, &limit]).status().unwrap().success());
}

/// Run in a child process, because the limits apply to the whole process.
#[cfg(target_os = "linux")]
#[test]
fn process_with_a_full_disk() {
    let Some((_, home)) = child_part() else { return };
    let registry = Registry::new(home.clone());
    put(&registry, &btc(), &pool(1), 0).unwrap();
    let version = resting(&btc(), 2, &pool(2)).bytes.len();
    // Room for the version only, and for a small pooled model only.
    let small = Pool::of(vec![7; 100]);
    assert!(version < pool(2).bytes().len() && version > 1000);
    for (limit, pooled) in [(version + 100, pool(2)), (1000, small.clone())] {
        room(&limit.to_string());
        let error = put(&registry, &btc(), &pooled, 0).unwrap_err();
        assert!(error.code() == "ERR_IO" && error.to_string().contains("File too large"), "{error}");
        room("unlimited");
        assert_eq!(registry.champion_version(&btc()).unwrap(), 1);
        assert_eq!(pools(&home), [hex(pool(1).checksum())], "it takes up no room");
    }
    assert_eq!(put(&registry, &btc(), &small, 0).unwrap(), 2);
    println!("\nall of it");
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_nothing_changes_and_no_room_is_taken_up() {
    if child_part().is_some() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    // SIGXFSZ, which comes with the limit, ends a process that does not ignore it.
    let exe = std::env::current_exe().unwrap();
    let run = format!("trap '' XFSZ; exec {} {MODULE}::process_with_a_full_disk --exact --nocapture", exe.display());
    let output = std::process::Command::new("sh")
        .args(["-c", &run])
        .env("SIGNALLOOP_CHILD", "0")
        .env("SIGNALLOOP_CHILD_HOME", home.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("all of it"), "{text}");
}
