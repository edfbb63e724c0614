//! The disk is full while the scheduler runs: no busy loop, one warning, and everything continues once there is room.
#![cfg(target_os = "linux")]

use domain::symbol::Symbol;
use domain::time::{Clock, DAY_MS, now_ms};
use engine::{Options, SignalLoop};
use scheduler::{Outcome, Task};
use serde_json::json;
use simulator::{Simulator, SimulatorOptions};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use testkit::{child_part, signal, warnings::Warnings, within};

/// Simulates a disk with room, or a full one, by a limit on the file sizes of this process.
fn room(there_is: bool) {
    let limit = if there_is { "--fsize=unlimited:unlimited" } else { "--fsize=0:unlimited" };
    let id = std::process::id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &id, limit]).status().unwrap().success());
}

/// Run in a child process, because the limits apply to the whole process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheduling_process() {
    let Some((_, home)) = child_part() else { return };
    let symbols = vec![Symbol::parse("BTCUSDT").unwrap()];
    // The signal is recent: an outdated price of a symbol without candles would cause another warning.
    let (clock, start_ms) = (Clock::System, now_ms() - 3 * DAY_MS);
    let exchange =
        Simulator::start(SimulatorOptions { symbols, clock, start_ms, ..SimulatorOptions::default() }).unwrap();
    let url = Some(exchange.url().to_owned());
    let core =
        Arc::new(SignalLoop::open(Options { home: Some(home), exchange_url: url, ..Options::default() }).unwrap());
    let warnings = Warnings::default();
    core.events().subscribe(Box::new(warnings.clone()));
    let open = signal(json!({
        "id": "a", "stopLoss": 1e-6, "takeProfit": 1e9, "timestamp": core.settings().now_ms() - 60_000, "entryPrice": 100,
    }));
    core.signals().record(vec![open]).await.unwrap();

    room(false);
    let off = json!({ "enabled": false });
    let config = json!({
        "watch": { "interval_seconds": 1 }, "evaluate": { "interval_seconds": 1 }, "fetch": off, "retrain": off, "update": off,
        "retry": { "base_seconds": 1, "longest_seconds": 1 },
    });
    core.scheduler().start(testkit::object(config)).unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (asked, told) = (exchange.request_count(), warnings.0.lock().clone());
    println!("\n{asked} requests, told: {told:#?}");
    assert!((2..30).contains(&asked), "the watch looks each second: {asked} requests");
    for task in [Task::Watch, Task::Evaluate] {
        let of = told.iter().filter(|text| text.starts_with(&format!("{task}: "))).count();
        assert_eq!(of, 1, "{task} is told once: {told:#?}");
    }
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told.iter().all(|text| text.contains("cannot be stored") && text.contains("File too large")), "{told:#?}");
    let status = core.scheduler().status().unwrap();
    assert!(status.tasks.iter().any(|task| task.task == Task::Watch && task.problem.is_some()));

    room(true);
    let recorded = |task| {
        let status = core.scheduler().status().unwrap();
        let of = status.tasks.into_iter().find(|one| one.task == task).unwrap();
        of.problem.is_none() && of.record.last.is_some_and(|run| run.outcome == Outcome::Finished)
    };
    for task in [Task::Watch, Task::Evaluate] {
        within(Duration::from_secs(10), "the records are written again", || recorded(task)).await;
    }
    assert_eq!(warnings.0.lock().len(), 2);
    // The warning comes again if the disk is full again.
    room(false);
    within(Duration::from_secs(10), "the warning comes again", || warnings.0.lock().len() > 2).await;
    room(true);
    core.close().await;
}

#[test]
fn a_full_disk_causes_no_busy_loop_and_one_warning() {
    let home = tempfile::tempdir().unwrap();
    // SIGXFSZ, which comes with the limit, ends a process that does not ignore it.
    let exe = std::env::current_exe().unwrap();
    let run = format!("trap '' XFSZ; exec {} full_disk::scheduling_process --exact --nocapture", exe.display());
    let output = Command::new("sh")
        .args(["-c", &run])
        .env("SIGNALLOOP_CHILD", "0")
        .env("SIGNALLOOP_CHILD_HOME", home.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success() && text.contains("requests, told"), "{text}");
}
