//! Messages for people: each channel's body, bursts, quiet hours, the shortest time between two messages; and closed signals.

use crate::kit::{Bench, append, state, warning, warning_at};
use alerts::{Entry, Known};
use chrono::DateTime;
use domain::time::{Clock, format_iso, now_ms};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::receiver::Receiver;

fn channel(server: &Receiver, to: &str) -> Value {
    json!([{ "to": to, "url": format!("{}/{to}", server.url), "min_interval": 0 }])
}

fn conservative(to: &[&str], at_ms: i64) -> Entry {
    let event = json!({ "type": "conservativeMode", "cause": "entered", "scope": "home", "reason": "poor", "at": format_iso(at_ms) });
    Entry::new(to.iter().map(|name| name.to_string()).collect(), event)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_channel_has_its_own_body_and_escaping() {
    let home = tempfile::tempdir().unwrap();
    let server = Receiver::start([]);
    let configured = json!([
        { "to": "telegram", "token": "t", "chat_id": "@me", "url": server.url, "template": "<b>{{message}}</b>" },
        { "to": "discord", "url": format!("{}/discord", server.url), "template": { "warning": "**{{message}}**" } },
        { "to": "slack", "url": format!("{}/slack", server.url) },
    ]);
    let mut bench = Bench::open(home.path(), configured, Clock::System);
    append(home.path(), &[warning("<!channel> & @everyone *b* [x](y)", &["telegram", "discord", "slack"])]);
    bench.until(|| server.seen().len() == 3).await;
    let mut seen: Vec<(String, Value)> = server.seen().iter().map(|one| (one.path.clone(), one.json())).collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        seen,
        [
            (
                "/bott/sendMessage".into(),
                json!({
                    "chat_id": "@me", "parse_mode": "HTML", "link_preview_options": { "is_disabled": true },
                    "text": "<b>&lt;!channel&gt; &amp; @everyone *b* [x](y)</b>",
                })
            ),
            (
                "/discord".into(),
                json!({
                    "allowed_mentions": { "parse": [] },
                    "content": "**\\<!channel\\> \\& \\@everyone \\*b\\* \\[x\\]\\(y\\)**",
                })
            ),
            (
                "/slack".into(),
                json!({
                    "unfurl_links": false, "unfurl_media": false,
                    "text": "Warning: &lt;!channel&gt; &amp; @everyone *b* [x](y)",
                })
            ),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_one_message_and_a_long_one_is_several_that_fit() {
    let home = tempfile::tempdir().unwrap();
    let server = Receiver::start([]);
    let mut bench = Bench::open(home.path(), channel(&server, "discord"), Clock::System);
    let burst: Vec<Entry> = (0..20).map(|i| warning(&format!("n{i}"), &["discord"])).collect();
    append(home.path(), &burst);
    bench.until(|| state(home.path(), "discord")["sent"] == 20).await;
    assert_eq!(server.seen().len(), 1);
    let lines = server.seen()[0].json()["content"].as_str().unwrap().to_owned();
    assert_eq!(lines.lines().collect::<Vec<_>>(), (0..20).map(|i| format!("Warning: n{i}")).collect::<Vec<_>>());

    let long: Vec<Entry> = (0..10).map(|i| warning(&format!("{i}{}", "ä_".repeat(300)), &["discord"])).collect();
    append(home.path(), &long);
    append(home.path(), &[warning(&"*".repeat(9000), &["discord"])]);
    bench.until(|| state(home.path(), "discord")["sent"] == 31).await;
    let texts: Vec<String> =
        server.seen()[1..].iter().map(|one| one.json()["content"].as_str().unwrap().to_owned()).collect();
    assert!(texts.len() > 3 && texts.iter().all(|text| text.encode_utf16().count() <= 2000));
    let firsts: Vec<char> =
        texts.iter().flat_map(|text| text.lines()).map(|line| line.chars().nth(9).unwrap()).collect();
    assert_eq!(firsts.iter().collect::<String>(), "0123456789\\");
    assert!(texts.last().unwrap().ends_with('…'), "what is too long is cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_hours_hold_all_but_urgent_events_and_end_with_one_summary() {
    let home = tempfile::tempdir().unwrap();
    let server = Receiver::start([]);
    let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
    let clock = Clock::standing(at("2026-03-28T22:30:00Z"));
    let mut configured = channel(&server, "slack");
    configured[0]["quiet_hours"] = "23:00-07:00".into();
    configured[0]["timezone"] = "Europe/Berlin".into();
    let mut bench = Bench::open(home.path(), configured.clone(), clock.clone());
    append(home.path(), &[warning_at("a", &["slack"], clock.now_ms()), warning_at("b", &["slack"], clock.now_ms())]);
    append(home.path(), &[conservative(&["slack"], clock.now_ms())]);
    bench.until(|| state(home.path(), "slack")["sent"] == 1).await;
    bench.for_ms(200).await;
    let texts = || server.seen().iter().map(|one| one.json()["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(texts(), ["Conservative mode entered (home): poor"]);
    // The night in which the clock is put forward: 06:59 is 04:59 UTC. Another process has taken over meanwhile.
    drop(bench);
    clock.set(at("2026-03-29T04:59:00Z"));
    let mut bench = Bench::open(home.path(), configured, clock.clone());
    append(home.path(), &[warning_at("c", &["slack"], clock.now_ms())]);
    bench.for_ms(200).await;
    assert_eq!((texts().len(), state(home.path(), "slack")["waiting"].clone()), (1, json!(3)));
    clock.set(at("2026-03-29T05:00:00Z"));
    bench.until(|| state(home.path(), "slack")["sent"] == 4).await;
    assert_eq!(texts()[1], "3 alerts of the quiet hours:\nWarning: a\nWarning: b\nWarning: c");
    assert_eq!(texts().len(), 2);
    // More than a message holds is counted.
    clock.set(at("2026-03-29T23:00:00Z"));
    let many: Vec<Entry> =
        (0..900).map(|i| warning_at(&format!("{i} {}", "x".repeat(100)), &["slack"], clock.now_ms())).collect();
    append(home.path(), &many);
    bench.for_ms(100).await;
    clock.set(at("2026-03-30T06:00:00Z"));
    bench.until(|| state(home.path(), "slack")["sent"] == 904).await;
    let text = texts()[2].clone();
    assert!(text.starts_with("900 alerts of the quiet hours:\nWarning: 0 x"), "{text}");
    let (_, more) = text.rsplit_once("\nand ").unwrap();
    let told = text.lines().count() - 2;
    assert_eq!(more, format!("{} warning", 900 - told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_keep_their_distance_and_urgent_ones_do_not() {
    let home = tempfile::tempdir().unwrap();
    let server = Receiver::start([]);
    let mut configured = channel(&server, "slack");
    configured[0]["min_interval"] = 1.into();
    let mut bench = Bench::open(home.path(), configured, Clock::System);
    let sent = |count: u64| state(home.path(), "slack")["sent"] == count;
    append(home.path(), &[warning("a", &["slack"])]);
    bench.until(|| sent(1)).await;
    append(home.path(), &[warning("b", &["slack"]), conservative(&["slack"], now_ms()), warning("c", &["slack"])]);
    bench.until(|| sent(4)).await;
    let seen = server.seen();
    let texts: Vec<String> = seen.iter().map(|one| one.json()["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, ["Warning: a", "Conservative mode entered (home): poor", "Warning: b\nWarning: c"]);
    assert!(seen[0].at.elapsed() - seen[1].at.elapsed() < Duration::from_millis(900));
    assert!(seen[1].at.elapsed() - seen[2].at.elapsed() >= Duration::from_millis(1000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_signal_is_alerted_once_also_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let server = Receiver::start([]);
    let configured = || json!([{ "to": "webhook", "url": server.url }]);
    let closed = |ids: &[&str]| {
        let one = |id: &&str| {
            let event = json!({ "type": "signalClosed", "signal": { "id": id }, "at": format_iso(now_ms()) });
            (Known::mark(Some("s"), id), now_ms(), move || event)
        };
        ids.iter().map(one).collect::<Vec<_>>()
    };
    let mut bench = Bench::open(home.path(), configured(), Clock::System);
    let sender = bench.sender.as_mut().unwrap();
    assert!(!sender.knows_closings());
    sender.take_closings(closed(&["old"]), i64::MAX).unwrap();
    sender.take_closings(closed(&["a", "b"]), 0).unwrap();
    bench.until(|| state(home.path(), "webhook")["sent"] == 2).await;
    drop(bench);
    let mut bench = Bench::open(home.path(), configured(), Clock::System);
    let sender = bench.sender.as_mut().unwrap();
    assert!(sender.knows_closings());
    sender.take_closings(closed(&["old", "a", "b", "c"]), 0).unwrap();
    bench.until(|| state(home.path(), "webhook")["sent"] == 3).await;
    let ids: Vec<Value> = server.seen().iter().map(|one| one.json()["signal"]["id"].clone()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_destination_that_is_gone_is_not_sent_and_old_events_are_given_up() {
    let home = tempfile::tempdir().unwrap();
    let server = Receiver::start([]);
    append(home.path(), &[warning("a", &["gone", "slack"]), warning_at("b", &["slack"], now_ms() - 3 * 86_400_000)]);
    let mut bench = Bench::open(home.path(), channel(&server, "slack"), Clock::System);
    bench.until(|| state(home.path(), "slack")["sent"] == 1).await;
    assert_eq!(state(home.path(), "slack")["failed"], 1);
    assert_eq!(*bench.warnings.lock(), ["alerts: slack: 1 were given up: they waited too long, or were too many"]);
    assert_eq!(server.seen().len(), 1);
    assert_eq!(std::fs::read_to_string(home.path().join("alerts.jsonl")).unwrap(), "");
}
