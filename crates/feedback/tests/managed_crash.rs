//! Processes killed between any two steps of a signal's life: every acknowledged step is in the history, none twice, and a step
//! that was not acknowledged is there wholly or not at all. Then the life goes on and ends as it must.
//!
//! `SIGNALLOOP_KILLS` sets how many processes are killed at a random moment (default 12).
#![cfg(unix)]

use super::managed::{amend, history, managed};
use domain::barrier::Outcome;
use domain::signal::{Change, Record, Reduction};
use domain::symbol::Symbol;
use feedback::{FeedbackStore, StoreOptions};
use serde_json::json;
use std::collections::HashMap;
use std::sync::mpsc;
use std::time::Duration;
use testkit::home::{Home, on_both, open_named};
use testkit::killed::{Killed, say};
use testkit::{T0, child_part, lines_by_id, setting};

/// What each step of a life adds to the history; the first records the signal.
const STEPS: [&[&str]; 8] = [
    &[],
    &["entered at 95"],
    &["target 1 reached at 101, 40 % closed", "stop moved to 95"],
    &["amended"],
    &["20 % closed by hand at 100"],
    &["stop moved to 99"],
    &["target 2 reached at 105, 20 % closed", "stop moved to 100"],
    &["closed by the stop at 98"],
];

/// From this number on, a child stops after as many steps of one life as its number is above this.
const STOPS: usize = 1_000;

fn record(id: &str) -> Record {
    let mut record = managed(json!({
        "id": id, "entryPrice": 95, "entryType": "limit", "stopLoss": 85,
        "takeProfits": [{ "price": 101, "share": 40 }, { "price": 103, "share": 20 }],
        "stopRules": { "breakEvenAfterTarget": 1, "trail": { "distance": 5, "activateAtR": 0.9 } },
    }));
    record.signal.symbol = symbol(id);
    record
}

/// Each life has its own prices.
fn symbol(id: &str) -> Symbol {
    Symbol::parse(&format!("L{}USDT", id.replace('-', "X"))).unwrap()
}

async fn step(store: &FeedbackStore, id: &str, number: usize) {
    // A stop that trails is stored once a minute.
    let at = T0 + number as i64 * 60_000;
    let symbol = symbol(id);
    let price = |price| store.on_price(&symbol, price, at);
    let change = |change| store.change(id.to_owned(), change, at);
    match number {
        0 => assert!(store.record(record(id)).await.unwrap()),
        1 => assert!(price(95.0).await.unwrap().is_empty()),
        2 => assert!(price(101.0).await.unwrap().is_empty()),
        3 => {
            let targets = json!([{ "price": 105, "share": 20 }]);
            assert!(change(amend(json!({ "takeProfits": targets }))).await.unwrap());
        }
        4 => {
            let reduction = Reduction { share: 20.0, price: 100.0, at_ms: None };
            assert!(change(Change::Reduce(reduction)).await.unwrap());
        }
        5 => assert!(price(104.0).await.unwrap().is_empty()),
        6 => assert!(price(105.0).await.unwrap().is_empty()),
        _ => assert_eq!(price(98.0).await.unwrap().len(), 1),
    }
}

/// Runs in a child process: lives lives until it is killed, and reports each step that is safe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn living_process() {
    let Some((number, home)) = child_part() else { return };
    let store = open_named(home.to_str().unwrap(), StoreOptions::default());
    if number >= STOPS {
        let id = number.to_string();
        for at in 0..=number - STOPS {
            step(&store, &id, at).await;
            say(&id, &at.to_string());
        }
        say("stopped", "there");
        std::future::pending::<()>().await;
    }
    let tasks = (0..4).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for life in 0.. {
                let id = format!("{number}-{task}-{life}");
                for at in 0..STEPS.len() {
                    step(&store, &id, at).await;
                    say(&id, &at.to_string());
                }
                if task == 0 && number % 3 == 0 {
                    store.compact().await.unwrap();
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

on_both!(no_step_of_a_life_is_lost_or_taken_twice_by_sigkill);

async fn no_step_of_a_life_is_lost_or_taken_twice_by_sigkill(home: Home) {
    let (told, said) = mpsc::channel::<String>();
    // One killed after each step of its life.
    for steps in 0..STEPS.len() {
        let (told_here, said_here) = mpsc::channel::<String>();
        let child = Killed::start(&mut testkit::child!("living_process", home.name(), STOPS + steps), &told_here);
        loop {
            let line = said_here.recv_timeout(Duration::from_secs(60)).unwrap();
            if line == "stopped there" {
                break;
            }
            told.send(line).unwrap();
        }
        child.kill();
    }
    // Others at any moment, also in the middle of a write.
    let kills = setting("SIGNALLOOP_KILLS", 12);
    let (mut started, mut running) = (0, Vec::new());
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    while started < kills || !running.is_empty() {
        while started < kills && running.len() < 3 {
            running.push(Killed::start(&mut testkit::child!("living_process", home.name(), started), &told));
            started += 1;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros(random >> 32 & 0x7_ffff));
        running.remove((random >> 60) as usize % running.len()).kill();
    }
    drop(told);
    // The last acknowledged step of each life.
    let mut lives: HashMap<String, usize> = HashMap::new();
    for line in said {
        if let Some((id, Ok(at))) = line.split_once(' ').map(|(id, at)| (id.to_owned(), at.parse::<usize>())) {
            let before = lives.insert(id, at);
            assert_eq!(before.map_or(0, |before| before + 1), at, "{line}");
        }
    }
    let store = home.open();
    assert_eq!((store.recovery().damaged, store.recovery().contradictions), (0, 0));
    let (mut cut, mut unheard) = ([0; STEPS.len()], 0);
    for (id, last) in &lives {
        let until = |steps: usize| STEPS[..steps.min(STEPS.len())].concat();
        let there = history(&store, id);
        let next = if there == until(last + 1) {
            last + 1
        } else {
            assert_eq!(there, until(last + 2), "{id}: acknowledged up to step {last}");
            unheard += 1;
            last + 2
        };
        cut[*last] += 1;
        for at in next..STEPS.len() {
            step(&store, id, at).await;
        }
        assert_eq!(history(&store, id), STEPS.concat(), "{id}, killed after step {last}");
        let closing = store.get(id).unwrap().unwrap().closing.unwrap();
        assert_eq!(closing.outcome, Outcome::Success);
        let mean = 0.4 * 101.0 + 0.2 * 100.0 + 0.2 * 105.0 + 0.2 * 98.0;
        assert!((closing.exit_price.unwrap() - mean).abs() < 1e-9, "{closing:?}");
    }
    assert!(cut.iter().all(|count| *count > 0), "killed after each step: {cut:?}");
    if let Some(folder) = home.as_folder() {
        // A signal whose recording was not acknowledged may be open.
        let lines = lines_by_id(folder);
        assert!(lines.values().all(|(_, closed)| *closed <= 1));
        assert!(lives.keys().all(|id| lines[id].1 == 1));
    }
    println!("{kills} kills, {} lives, killed after {cut:?}, {unheard} steps stored unheard", lives.len());
}
