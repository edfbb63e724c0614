//! Several processes on one log: nothing is lost, duplicated or torn, and each signal closes once.
//!
//! `SIGNALLOOP_RECORDS` sets how many signals each of the eight processes records (default 150).

use domain::barrier::Outcome;
use domain::config::Durability;
use domain::signal::Signal;
use domain::symbol::Symbol;
use feedback::StoreOptions;
use std::io::Read;
use testkit::home::{Home, on_both, open_named};
use testkit::{T0, child_part, lines_by_id, own, quarantine, setting};

const PROCESSES: usize = 8;
const CONTESTED: usize = 40;

fn per_process() -> usize {
    setting("SIGNALLOOP_RECORDS", 150)
}

/// The pair of the signals that a price closes.
fn eth() -> Symbol {
    Symbol::parse("ETHUSDT").unwrap()
}

/// Run in a child process: records its own signals, closes every other one, and tries to close the signals that all
/// processes compete for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_process() {
    let Some((number, home)) = child_part() else { return };
    let options = StoreOptions { durability: Durability::Os, ..StoreOptions::default() };
    let store = open_named(home.to_str().unwrap(), options);
    let tasks = (0..4).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in (task..per_process()).step_by(4) {
                let id = format!("{number}-{n}");
                assert!(store.record(own(&id)).await.unwrap());
                if n % 2 == 0 {
                    let now = T0 + n as i64;
                    assert!(store.close_signal(&id, Outcome::Success, None, Some(1.0), now).await.unwrap());
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut won = 0;
    for n in 0..CONTESTED {
        let now = T0 + number as i64;
        let id = format!("contested-{n}");
        won += u32::from(store.close_signal(&id, Outcome::Failure, None, Some(-1.0), now).await.unwrap());
    }
    // All processes see this price, and each signal it hits is closed by one of them.
    let hits = store.on_price(&eth(), 1e6, T0 + 1).await.unwrap().len();
    store.close().await;
    println!("\nwon {won} hits {hits}");
}

on_both!(eight_writers_and_a_compaction_lose_and_double_nothing);

async fn eight_writers_and_a_compaction_lose_and_double_nothing(home: Home) {
    let store = home.open();
    let priced = |n| Signal { symbol: eth(), ..own(&format!("priced-{n}")) };
    let shared = (0..CONTESTED).flat_map(|n| [own(&format!("contested-{n}")), priced(n)]);
    store.record_all(shared.collect()).await.unwrap();
    let mut children: Vec<_> =
        (0..PROCESSES).map(|n| testkit::child!("writer_process", home.name(), n).spawn().unwrap()).collect();
    let mut compactions = 0;
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        store.compact().await.unwrap();
        compactions += 1;
        // After a compaction each process reads the log again; on a long log there must be time left for writing.
        tokio::time::sleep(std::time::Duration::from_millis(5 + per_process() as u64 / 20)).await;
    }
    let (mut won, mut hits) = (0, 0);
    for mut child in children {
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success(), "{text}");
        let line = text.lines().find(|line| line.starts_with("won ")).unwrap();
        let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        won += numbers[0];
        hits += numbers[1];
    }
    assert_eq!((won, hits), (CONTESTED, CONTESTED), "each contested signal was closed by one process");
    assert!(compactions > 1);
    for store in [store, home.open()] {
        for process in 0..PROCESSES {
            for n in 0..per_process() {
                let id = format!("{process}-{n}");
                let record = store.get(&id).unwrap().unwrap();
                assert_eq!(record.signal, own(&id));
                assert!(record.closing.is_some() || n % 2 == 1);
            }
        }
        let figures = store.stats(&Default::default()).unwrap().figures;
        assert_eq!(figures.total as usize, PROCESSES * per_process() + 2 * CONTESTED);
        assert_eq!(store.recovery(), Default::default());
    }
    if let Some(folder) = home.as_folder() {
        assert!(lines_by_id(folder).values().all(|(open, closed)| *open <= 1 && *closed <= 1));
        assert!(quarantine(folder).is_empty());
    }
}
