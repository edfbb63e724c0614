//! Killed processes: everything reported as stored must be there afterwards, complete and once.
//!
//! `SIGNALLOOP_KILLS` sets how many processes are killed (default 15).
#![cfg(unix)]

use domain::barrier::Outcome;
use feedback::StoreOptions;
use std::sync::mpsc;
use std::time::Duration;
use testkit::home::{Home, on_both, open_named};
use testkit::killed::{Killed, Promised, say};
use testkit::{T0, child_part, lines_by_id, own, setting};

/// Run in a child process: records and closes signals until it is killed, and reports each one once it is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_process() {
    let Some((number, home)) = child_part() else { return };
    let store = open_named(home.to_str().unwrap(), StoreOptions::default());
    let tasks = (0..8).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0.. {
                let id = format!("{number}-{task}-{n}");
                assert!(store.record(own(&id)).await.unwrap());
                say("recorded", &id);
                match n % 3 {
                    0 => {
                        let closed = store.close_signal(&id, Outcome::Success, None, Some(2.0), T0 + n).await.unwrap();
                        // A price from another task may have closed it first.
                        say(if closed { "closed" } else { "lost" }, &id);
                    }
                    1 => {
                        let signal = own(&id);
                        for hit in
                            store.on_price(&signal.symbol, signal.entry_price.unwrap() * 2.0, T0 + 1).await.unwrap()
                        {
                            say("closed", &hit.id);
                        }
                    }
                    _ => {}
                }
                if task == 0 && number % 3 == 0 && n % 20 == 19 {
                    store.compact().await.unwrap();
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

on_both!(acknowledged_signals_survive_sigkill);

async fn acknowledged_signals_survive_sigkill(home: Home) {
    let kills = setting("SIGNALLOOP_KILLS", 15);
    let (told, said) = mpsc::channel::<String>();
    let mut started = 0;
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut running = Vec::new();
    while started < kills || !running.is_empty() {
        // Up to three at a time, so that one dies while others write.
        while started < kills && running.len() < 3 {
            running.push(Killed::start(&mut testkit::child!("killed_process", home.name(), started), &told));
            started += 1;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros(random >> 32 & 0x3_ffff));
        running.remove((random >> 60) as usize % running.len()).kill();
    }
    drop(told);
    let promised = Promised::of(said);
    let store = home.open();
    promised.assert_kept(&store);
    if let Some(folder) = home.as_folder() {
        assert!(lines_by_id(folder).values().all(|(open, closed)| *open <= 1 && *closed <= 1));
    }
    let Promised { recorded, closed, .. } = promised;
    assert!(recorded.len() > kills, "the children got something done: {}", recorded.len());
    println!("{kills} kills, {} recorded, {} closed, {:?}", recorded.len(), closed.len(), store.recovery());
}
