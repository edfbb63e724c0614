//! A sender that is killed between sending and noting that it has sent.

use crate::kit::{Bench, append, state, warning};
use domain::time::Clock;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testkit::receiver::{Act, Receiver};

const FOLDER: &str = "SIGNALLOOP_ALERTS_FOLDER";
const URL: &str = "SIGNALLOOP_ALERTS_URL";

fn configured(url: &str) -> Value {
    json!([{ "to": "webhook", "url": url }])
}

/// In a child process: sends until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_sends() {
    let (Some(folder), Ok(url)) = (std::env::var_os(FOLDER), std::env::var(URL)) else { return };
    Bench::open(folder.as_ref(), configured(&url), Clock::System).for_ms(60_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_is_killed_before_it_noted_a_success_sends_once_more() {
    let home = tempfile::tempdir().unwrap();
    // The first event arrives, and its answer never comes back: the moment in which the sender is killed.
    let server = Receiver::start([Act::Hang]);
    append(home.path(), &["1", "2", "3"].map(|text| warning(text, &["webhook"])));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["killed::child_that_sends", "--exact", "--nocapture"])
        .env(FOLDER, home.path())
        .env(URL, &server.url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while server.seen().is_empty() {
        assert!(Instant::now() < end, "the child sends nothing");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let sent_before = server.seen().len();
    let mut bench = Bench::open(home.path(), configured(&server.url), Clock::System);
    bench.until(|| state(home.path(), "webhook")["sent"] == 3).await;
    bench.for_ms(100).await;
    let seen = server.seen();
    let texts: Vec<Value> = seen.iter().map(|one| one.json()["message"].clone()).collect();
    assert_eq!(texts[sent_before..], ["1", "2", "3"], "{texts:?}");
    assert!(texts[..sent_before].iter().all(|text| *text == "1"));
    assert_eq!(seen[0].headers["idempotency-key"], seen[sent_before].headers["idempotency-key"]);
    // A third has nothing to send.
    Bench::open(home.path(), configured(&server.url), Clock::System).for_ms(100).await;
    assert_eq!(server.seen().len(), sent_before + 3);
}
