//! Logs with managed signals as files to import: whole, twice, in parts; and own keys of old logs, which mean nothing new.

use super::managed::{amend, channel, history, managed};
use domain::barrier::Outcome;
use domain::signal::Record;
use feedback::{FeedbackStore, ImportReport};
use serde_json::{Value, json};
use testkit::home::{Home, on_both};
use testkit::{T0, btc, log, object, open, quick_home, signal};

on_both!(
    a_log_with_managed_signals_is_taken_in_whole_twice_and_in_parts,
    histories_that_contradict_are_refused_by_their_line,
    own_keys_of_old_logs_mean_nothing_new,
);

/// Several lives, in the log of a folder.
async fn lived(store: &FeedbackStore) {
    for id in ["a", "b"] {
        store.record(channel(id)).await.unwrap();
    }
    for id in ["plain", "never changed"] {
        store.record(signal(json!({ "id": id, "stopLoss": 93 }))).await.unwrap();
    }
    let prices = [(1, 96.0), (2, 95.0), (3, 100.0)];
    for (at, price) in prices {
        store.on_price(&btc(), price, T0 + at).await.unwrap();
    }
    assert!(store.change("plain".to_owned(), amend(json!({ "stopLoss": 90 })), T0 + 4).await.unwrap());
    assert!(store.change("b".to_owned(), amend(json!({ "stopLoss": 80 })), T0 + 5).await.unwrap());
    assert_eq!(store.on_price(&btc(), 92.9, T0 + 6).await.unwrap().len(), 2, "a, and the one that never changed");
}

async fn import(store: &FeedbackStore, text: &str) -> ImportReport {
    let folder = quick_home();
    let file = folder.path().join("log.jsonl");
    std::fs::write(&file, text).unwrap();
    store.import(&file, |_| ()).await.unwrap()
}

const IDS: [&str; 4] = ["a", "b", "plain", "never changed"];

fn all(store: &FeedbackStore) -> Vec<Record> {
    IDS.iter().map(|id| store.get(id).unwrap().unwrap()).collect()
}

async fn a_log_with_managed_signals_is_taken_in_whole_twice_and_in_parts(home: Home) {
    let folder = quick_home();
    let source = open(folder.path());
    lived(&source).await;
    let text = log(folder.path());
    let lines: Vec<&str> = text.lines().collect();
    let store = home.open();
    // Ever longer beginnings, and each time all of it again.
    for end in 1..=lines.len() {
        let report = import(&store, &lines[..end].join("\n")).await;
        assert_eq!(report.refused, [], "{end} lines");
        assert_eq!(report.imported + report.closed + report.known, end as u64);
    }
    assert_eq!(all(&store), all(&source));
    assert_eq!(all(&home.open()), all(&source));
    let report = import(&store, &text).await;
    assert_eq!((report.imported, report.closed, report.known), (0, 0, lines.len() as u64));
    // A store that is behind learns the rest from the other.
    let there = quick_home();
    let behind = open(there.path());
    import(&behind, &lines[..5].join("\n")).await;
    let report = behind.copy_from(&store, |_| {}).await.unwrap();
    assert_eq!(report.refused, []);
    assert_eq!(all(&behind), all(&source));
    // What is still open goes on.
    assert_eq!(behind.on_price(&btc(), 79.0, T0 + 9).await.unwrap().len(), 2);
}

async fn histories_that_contradict_are_refused_by_their_line(home: Home) {
    let folder = quick_home();
    let source = open(folder.path());
    lived(&source).await;
    let text = log(folder.path());
    let store = home.open();
    store.record_all(vec![channel("a"), channel("b")]).await.unwrap();
    assert!(store.change("a".to_owned(), amend(json!({ "stopLoss": 91 })), T0 + 1).await.unwrap());
    let report = import(&store, &text).await;
    let refused: Vec<_> = report.refused.iter().map(|refused| refused.reason.as_str()).collect();
    // Each line that tells of other events of `a`: the entry, the target, the end.
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused.iter().all(|reason| reason.contains("`a`") && reason.contains("history")), "{refused:?}");
    assert_eq!(history(&store, "a"), ["amended"]);
    assert_eq!(store.get("b").unwrap(), source.get("b").unwrap());

    // A history that cannot have happened.
    let whole = source.get("a").unwrap().unwrap().to_json();
    let events = whole["managed_history"].as_array().unwrap().clone();
    let line = |id: &str, events: Vec<Value>, more: Value| {
        let mut line = whole.clone();
        line["signal_id"] = json!(id);
        line.insert("managed_history".to_owned(), Value::from(events));
        line.extend(object(more));
        Value::Object(line).to_string()
    };
    let active = json!({ "outcome": "ACTIVE", "exit_price": null, "closed_at": null, "profit_loss_percent": null });
    let twice = [&events[..1], &events[..]].concat();
    let early = json!({ "at": "2020-01-01T00:00:00.000Z", "event": "filled", "price": 95.0 });
    let much = json!({ "at": "2023-11-14T22:13:20.005Z", "event": "reduced", "price": 95.0, "share": 101.0 });
    let lines = [
        line("entered twice", twice, json!({})),
        line("without entry", events[1..].to_vec(), json!({})),
        line("before it was given", vec![early], active.clone()),
        line("more than there is", vec![events[0].clone(), much], active.clone()),
        line("still open", events.clone(), active),
        line("at another time", events.clone(), json!({ "closed_at": "2023-11-15T22:13:20.006Z" })),
        line("closed without its end", events[..2].to_vec(), json!({})),
        line("fine", events.clone(), json!({})),
    ];
    let report = import(&store, &lines.join("\n")).await;
    assert_eq!(report.imported, 1, "{report:?}");
    let says = ["after the entry", "before the entry", "earlier", "share", "outcome", "outcome", "outcome"];
    for (refused, says) in report.refused.iter().zip(says) {
        assert!(refused.reason.contains(says), "{refused:?}");
    }
    assert_eq!(report.refused.len(), says.len());
}

/// A line as an earlier version wrote it, with keys of the caller's own that later got a meaning.
fn old_line(id: &str, more: Value) -> Value {
    let mut line = json!({
        "signal_id": id, "symbol": "BTCUSDT", "timeframe": "1h", "signal_type": "BUY", "confidence": 80.0,
        "entry_price": 100.0, "stop_loss": 95.0, "take_profit": 110.0, "timestamp": "2023-11-14T22:13:20.000Z",
    });
    line.as_object_mut().unwrap().extend(object(more));
    line["outcome"] = json!("ACTIVE");
    line
}

fn sealed(line: &Value) -> String {
    let text = line.to_string();
    let body = &text[..text.len() - 1];
    format!("{body},\"crc\":\"{:08x}\"}}\n", crc32fast::hash(body.as_bytes()))
}

async fn own_keys_of_old_logs_mean_nothing_new(home: Home) {
    let own = json!({
        "entryType": "limit", "entryZone": "97-99", "entry_expires_at": 5, "takeProfits": ["105", "110"],
        "take_profits": [{ "price": 101 }], "stopRules": { "trail": true }, "feeBps": 50, "fundingBpsPerDay": "much",
        "leverage": "10x", "quantity": { "btc": 1 }, "tags": "scalp", "source": ["telegram", 7],
        "mfe_percent": 2.5, "maePercent": "deep", "managed_terms": "none", "managed_history": [1, 2],
    });
    let line = old_line("own", own.clone());
    // As a file to import, and as the log of a folder.
    let folder = quick_home();
    std::fs::write(folder.path().join("signals.jsonl"), sealed(&line)).unwrap();
    let (imported, opened) = (home.open(), open(folder.path()));
    let report = import(&imported, &sealed(&line)).await;
    assert_eq!((report.imported, report.refused.len()), (1, 0), "{report:?}");
    assert_eq!(opened.recovery(), Default::default());
    for store in [&imported, &opened] {
        let record = store.get("own").unwrap().unwrap();
        assert_eq!(Value::Object(record.signal.extra.clone()), own);
        assert_eq!((record.trade(), record.signal.position), (None, Default::default()));
        // A plain signal, entered at once.
        let closed = store.on_price(&btc(), 111.0, T0 + 1).await.unwrap();
        assert_eq!((closed.len(), closed[0].outcome, closed[0].exit_price), (1, Outcome::TookProfit, Some(111.0)));
        assert!((closed[0].earned.net_profit_percent.unwrap() - 10.9).abs() < 1e-9, "costs of the configuration");
        let record = store.get("own").unwrap().unwrap();
        assert_eq!(Value::Object(record.signal.extra), own, "after it was closed");
    }
    // Values that are what such a key now means are read as that, and written back under the same keys.
    let known = json!({ "source": "telegram", "tags": ["scalp"], "leverage": 10.0, "quantity": 0.5 });
    let report = import(&imported, &sealed(&old_line("known", known.clone()))).await;
    assert_eq!(report.imported, 1);
    let record = imported.get("known").unwrap().unwrap();
    assert_eq!((record.signal.extra.len(), record.trade()), (0, None));
    let written = record.to_json();
    for (key, value) in object(known) {
        assert_eq!(written.get(&key), Some(&value));
    }
    // The keys of the public interface still mean what they say in a file that has them.
    let public = json!({ "id": "public", "symbol": "BTCUSDT", "signalType": "BUY", "entryPrice": 95, "stopLoss": 90,
        "entryType": "limit", "takeProfits": [{ "price": 100 }], "timestamp": T0, "feeBps": 5 });
    assert_eq!(import(&imported, &public.to_string()).await.imported, 1);
    let record = imported.get("public").unwrap().unwrap();
    assert_eq!((record.trade().is_some(), record.signal.position.fee_bps), (true, Some(5.0)));
}

#[test]
fn a_reader_of_plain_signals_finds_its_keys_in_every_line() {
    // What the former system and earlier versions read of a line.
    let keys = ["signal_id", "symbol", "signal_type", "entry_price", "stop_loss", "timestamp", "outcome"];
    for record in [channel("a"), managed(json!({ "entryPrice": null, "entryZone": { "low": 98, "high": 99 } }))] {
        let line = record.to_json();
        assert!(keys.iter().all(|key| line.contains_key(*key)), "{line:?}");
        assert_eq!(line["outcome"], "ACTIVE");
    }
}
