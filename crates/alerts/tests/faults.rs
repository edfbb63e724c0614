//! What becomes of alerts when the server fails, and that no secret is told.

use crate::kit::{Bench, append, state, warning};
use domain::time::Clock;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use testkit::receiver::{Act, Receiver, ok};

fn answer(status: u16, header: &'static str, body: impl ToString) -> Act {
    Act::Answer(status, header, body.to_string())
}

fn webhook(server: &Receiver) -> Value {
    json!([{ "to": "webhook", "url": format!("{}/hidden-path", server.url), "secret": "hidden-key" }])
}

fn telegram(server: &Receiver) -> Value {
    json!([{ "to": "telegram", "token": "hidden-token", "chat_id": 5, "url": server.url, "min_interval": 0 }])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_gets_every_event_once_in_order_whatever_fails() {
    let home = tempfile::tempdir().unwrap();
    let server = Receiver::start([
        answer(500, "", "hidden-path"),
        Act::Close,
        Act::Hang,
        answer(429, "retry-after: 1", "slow down"),
        answer(503, "", "<html>"),
    ]);
    append(home.path(), &["1", "2", "3"].map(|text| warning(text, &["webhook"])));
    let mut bench = Bench::open(home.path(), webhook(&server), Clock::System);
    bench.until(|| state(home.path(), "webhook")["sent"] == 3).await;
    let seen = server.seen();
    let texts: Vec<String> = seen.iter().map(|one| one.json()["message"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, ["1", "1", "1", "1", "1", "1", "2", "3"]);
    let ids: Vec<&String> = seen.iter().map(|one| &one.headers["idempotency-key"]).collect();
    assert!(ids[..6].iter().all(|id| *id == ids[0]) && ids[5] != ids[6] && ids[6] != ids[7]);
    assert!(
        seen[2].at.elapsed() - seen[3].at.elapsed() >= Duration::from_millis(400),
        "it waits for the one that hangs"
    );
    assert!(
        seen[3].at.elapsed() - seen[4].at.elapsed() >= Duration::from_secs(1),
        "it waits as long as it is asked to"
    );
    // Told once it has failed three times, and once for each other reason.
    let warnings = bench.warnings.lock().clone();
    assert!(warnings[0].starts_with("alerts: webhook takes nothing, it is tried again: "), "{warnings:?}");
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert_eq!(state(home.path(), "webhook")["waiting"], 0);
    assert_eq!(std::fs::read_to_string(home.path().join("alerts.jsonl")).unwrap(), "");
    // Its signature is that of the body it comes with.
    let last = seen.last().unwrap();
    let signature = &last.headers["x-signalloop-signature"];
    let (at, _) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"hidden-key");
    assert_eq!(*signature, alerts::signature(&key, at.parse().unwrap(), &last.text));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telegram_says_how_long_to_wait_and_a_page_is_no_answer() {
    let home = tempfile::tempdir().unwrap();
    let limit = json!({ "ok": false, "error_code": 429, "description": "Too Many Requests", "parameters": { "retry_after": 1 } });
    let server = Receiver::start([answer(429, "", limit), answer(200, "", "<html>login</html>"), ok()]);
    append(home.path(), &[warning("a", &["telegram"])]);
    let mut bench = Bench::open(home.path(), telegram(&server), Clock::System);
    bench.until(|| state(home.path(), "telegram")["sent"] == 1).await;
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen[0].at.elapsed() - seen[1].at.elapsed() >= Duration::from_secs(1));
    assert_eq!(seen[0].path, "/bothidden-token/sendMessage");
    let failure = state(home.path(), "telegram")["lastFailure"].clone();
    assert_eq!(failure, format!("{} did not answer as Telegram does", server.url));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_final_and_told_once() {
    let home = tempfile::tempdir().unwrap();
    let refusal = || answer(401, "", json!({ "ok": false, "description": "Unauthorized: hidden-token" }));
    let server = Receiver::start([refusal(), refusal()]);
    let mut bench = Bench::open(home.path(), telegram(&server), Clock::System);
    append(home.path(), &[warning("a", &["telegram"])]);
    bench.until(|| server.seen().len() == 1 && state(home.path(), "telegram")["failed"] == 1).await;
    append(home.path(), &[warning("b", &["telegram"])]);
    bench.until(|| state(home.path(), "telegram")["failed"] == 2).await;
    bench.for_ms(200).await;
    assert_eq!(server.seen().len(), 2, "what was refused is not sent again");
    let warnings = bench.warnings.lock().clone();
    let expected =
        format!("alerts: telegram refuses, 1 were given up: {} answered HTTP 401: Unauthorized: …", server.url);
    assert_eq!(warnings, std::slice::from_ref(&expected));
    // After a success the same reason is news.
    server.plan(ok());
    append(home.path(), &[warning("c", &["telegram"])]);
    bench.until(|| state(home.path(), "telegram")["sent"] == 1).await;
    server.plan(refusal());
    append(home.path(), &[warning("d", &["telegram"])]);
    bench.until(|| bench_len(home.path()) == 3).await;
    assert_eq!(bench.warnings.lock().clone(), [expected.clone(), expected]);
}

fn bench_len(home: &Path) -> u64 {
    state(home, "telegram")["failed"].as_u64().unwrap()
}

/// Whatever a server says, and whatever fails, no file, warning, state or `Debug` has a secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_told_anywhere() {
    let home = tempfile::tempdir().unwrap();
    let faults = [
        Act::Echo(500, ""),
        Act::Echo(400, ""),
        Act::Echo(302, "location: http://127.0.0.1:9/hidden-path"),
        Act::Close,
        Act::Echo(429, ""),
    ];
    let server = Receiver::start(faults.iter().cloned().cycle().take(40));
    std::fs::write(home.path().join("token"), "hidden-token\n").unwrap();
    let nowhere = "http://127.0.0.1:9/hidden-path?token=hidden-token";
    let unknown = "http://unknown.invalid/hidden-path";
    let configured = json!([
        { "to": "telegram", "token": "file:token", "chat_id": 5, "url": server.url, "min_interval": 0 },
        { "to": "webhook", "url": format!("{}/hidden-path", server.url), "secret": "hidden-key" },
        { "to": "discord", "url": format!("{}/hidden-path", server.url), "min_interval": 0 },
        { "to": "slack", "url": nowhere, "min_interval": 0 },
        { "to": "slack", "name": "unknown", "url": unknown, "min_interval": 0 },
    ]);
    let names = ["telegram", "webhook", "discord", "slack", "unknown"];
    let mut bench = Bench::open(home.path(), configured.clone(), Clock::System);
    for round in 0..6 {
        append(home.path(), &[warning(&format!("{round}"), &names)]);
        bench.for_ms(250).await;
    }
    let mut told = format!("{:?} {:?}", bench.sender, bench.warnings.lock());
    assert!(bench.warnings.lock().len() >= 5, "{told}");
    for destination in crate::kit::read(configured) {
        let target = destination.resolve(home.path()).unwrap();
        told.push_str(&format!("{destination:?} {target:?}"));
        let failure = target.test(0, Duration::from_millis(300)).await;
        told.push_str(&format!("{failure:?}"));
    }
    let mut files = 0;
    for file in std::fs::read_dir(home.path()).unwrap().map(|file| file.unwrap()) {
        if file.file_name() != "token" {
            told.push_str(&String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()));
            files += 1;
        }
    }
    assert!(files >= 3, "the outbox, its lock and the state");
    assert!(!told.contains("hidden"), "{told}");
    let sent: String = server.seen().iter().map(|one| one.path.clone()).collect();
    assert!(sent.contains("/bothidden-token/") && sent.contains("/hidden-path"));
}
