//! A damaged log: what is cut off, what is quarantined, and that nothing else is lost.

use domain::barrier::Outcome;
use domain::signal::Record;
use feedback::FeedbackStore;
use serde_json::json;
use std::path::Path;
use testkit::{T0, btc, buy, log, open, quarantine, quick_home, signal};

/// Three records, the first of them closed: four lines.
async fn fill(folder: &Path) -> Vec<u8> {
    let store = open(folder);
    for id in ["a", "b", "c"] {
        store.record(buy(id)).await.unwrap();
    }
    store.close_signal("a", Outcome::Success, Some(103.0), None, T0 + 5).await.unwrap();
    store.close().await;
    std::fs::read(folder.join("signals.jsonl")).unwrap()
}

fn records(store: &FeedbackStore) -> Vec<Option<Record>> {
    ["a", "b", "c"].iter().map(|id| store.get(id).unwrap()).collect()
}

fn write(folder: &Path, bytes: &[u8]) {
    for name in ["signals.quarantine.jsonl", "signals.index"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    std::fs::write(folder.join("signals.jsonl"), bytes).unwrap();
}

#[tokio::test]
async fn a_log_cut_anywhere_keeps_every_whole_line() {
    let home = quick_home();
    let whole = fill(home.path()).await;
    let all = records(&open(home.path()));
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at).collect();
    for cut in 0..=whole.len() {
        write(home.path(), &whole[..cut]);
        let store = open(home.path());
        // A line is complete once its closing brace is there, with or without its newline.
        let lines = ends.iter().filter(|end| cut >= **end).count();
        let found = records(&store);
        for (n, record) in found.iter().enumerate() {
            let expected = all[n].clone().filter(|_| lines > n).map(|mut record| {
                record.closing = record.closing.filter(|_| lines == 4);
                record
            });
            assert_eq!(*record, expected, "cut at {cut}, signal {n}");
        }
        let torn = cut - ends[..lines].last().map_or(0, |end| end + 1).min(cut);
        let recovery = store.recovery();
        assert_eq!((recovery.cut_bytes, recovery.damaged), (torn as u64, 0), "cut at {cut}");
        assert_eq!(quarantine(home.path()).len(), usize::from(torn > 0));
        if torn > 0 {
            let kept = &quarantine(home.path())[0];
            let bytes = match kept["text"].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => kept["hex"]
                    .as_str()
                    .unwrap()
                    .as_bytes()
                    .chunks(2)
                    .map(|h| u8::from_str_radix(std::str::from_utf8(h).unwrap(), 16).unwrap())
                    .collect(),
            };
            assert_eq!(bytes, whole[cut - torn..cut], "the cut-off part is kept in the quarantine");
        }
        assert!(log(home.path()).is_empty() || log(home.path()).ends_with('\n'));
        assert_eq!(open(home.path()).recovery(), Default::default(), "repaired once");
    }
}

#[tokio::test]
async fn a_flipped_bit_is_detected_or_harmless() {
    let home = quick_home();
    let whole = fill(home.path()).await;
    let all = records(&open(home.path()));
    let open_a = all[0].clone().map(|record| Record { closing: None, ..record });
    for bit in 0..whole.len() * 8 {
        let mut bad = whole.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        write(home.path(), &bad);
        let store = open(home.path());
        let line = whole[..bit / 8].iter().filter(|b| **b == b'\n').count();
        let recovery = store.recovery();
        let found = records(&store);
        if recovery.damaged == 0 && recovery.cut_bytes == 0 {
            assert_eq!(found, all, "bit {bit}: not noticed, so it must not matter");
            continue;
        }
        assert_eq!(quarantine(home.path()).len() as u64, recovery.set_aside, "bit {bit}");
        assert!(recovery.set_aside >= 1);
        for (n, record) in found.iter().enumerate() {
            if *record == all[n] {
                continue;
            }
            match n {
                // If the closing of `a` is lost, it is open again; if its record is lost, nothing is missing, because
                // the closing contains everything.
                0 => assert!(line == 3 && *record == open_a, "bit {bit}: {record:?}"),
                n => assert!(line == n && record.is_none(), "bit {bit}, signal {n}: {record:?}"),
            }
        }
        if bit % 101 == 0 {
            let again = open(home.path());
            assert_eq!((records(&again), again.recovery().set_aside), (found, 0), "bit {bit}: set aside once");
        }
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_set_aside_with_its_place_and_reason() {
    let home = quick_home();
    let whole = fill(home.path()).await;
    let text = String::from_utf8(whole).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let bad_price = r#"{"signal_id":"x","symbol":"BTCUSDT","signal_type":"BUY","entry_price":-5,"timestamp":"2025-09-13T12:00:00Z"}"#;
    let damaged =
        [lines[0], "{\"signal_id\": \"torn", lines[1], bad_price, "\0\0\0\0", lines[2], "", lines[3], ""].join("\n");
    write(home.path(), damaged.as_bytes());
    let store = open(home.path());
    assert!(records(&store).iter().all(Option::is_some));
    assert_eq!((store.recovery().damaged, store.recovery().set_aside), (3, 3));
    let kept = quarantine(home.path());
    assert_eq!(kept[0]["offset"], json!(lines[0].len() + 1));
    assert!(kept[0]["reason"].as_str().unwrap().contains("not JSON"), "{}", kept[0]);
    assert!(kept[1]["reason"].as_str().unwrap().contains("entryPrice"), "{}", kept[1]);
    assert_eq!(kept[1]["text"], json!(bad_price));
    // The log itself is left unchanged, and new records are appended.
    assert!(log(home.path()).starts_with(&damaged));
    store.record(buy("d")).await.unwrap();
    let again = open(home.path());
    assert_eq!((again.recovery().damaged, again.recovery().set_aside), (3, 0));
    assert!(again.get("d").unwrap().is_some());
    // A compaction removes the damage; it stays in the quarantine.
    again.compact().await.unwrap();
    assert_eq!(log(home.path()).lines().count(), 4);
    assert_eq!(quarantine(home.path()).len(), 3);
    assert_eq!(open(home.path()).recovery(), Default::default());
}

#[tokio::test]
async fn contradicting_lines_do_not_count() {
    let home = quick_home();
    let whole = fill(home.path()).await;
    let other = quick_home();
    let store = open(other.path());
    store.record(signal(json!({ "id": "b", "symbol": "ETHUSDT" }))).await.unwrap();
    store.record(buy("a")).await.unwrap();
    store.close_signal("a", Outcome::Failure, Some(90.0), None, T0 + 9).await.unwrap();
    let before = records(&open(home.path()));
    write(home.path(), &[whole, log(other.path()).into_bytes()].concat());
    let store = open(home.path());
    assert_eq!(records(&store), before);
    assert_eq!((store.recovery().contradictions, store.recovery().damaged), (2, 0));
    assert_eq!(quarantine(home.path()).len(), 2);
}

#[tokio::test]
async fn an_old_log_is_read_as_it_is() {
    let home = quick_home();
    let old = concat!(
        "\u{feff}{\"signal_id\":\"o1\",\"symbol\":\"BTCUSDT\",\"signal_type\":\"BUY\",\"entry_price\":100.0,\"stop_loss\":95.0,\"timestamp\":\"2025-09-13T12:00:00.123456\",\"outcome\":\"ACTIVE\",\"strategy\":\"x\"}\r\n",
        "\n",
        "{\"signal_id\":\"o2\",\"symbol\":\"BTC/USDT\",\"signal_type\":\"HOLD\",\"timestamp\":\"2025-09-13T12:00:00Z\",\"src\":\"deadbee1\"}\n",
        "{\"signal_id\":\"o1\",\"symbol\":\"BTCUSDT\",\"signal_type\":\"BUY\",\"entry_price\":100.0,\"stop_loss\":95.0,\"timestamp\":\"2025-09-13T12:00:00.123456\",\"outcome\":\"STOPPED_OUT\",\"exit_price\":94.0}\n",
        "{\"signal_id\":\"o3\",\"symbol\":\"BTCUSDT\",\"signal_type\":\"SELL\",\"entry_price\":100.0,\"timestamp\":\"2025-09-13T12:00:00\"}",
    );
    write(home.path(), old.as_bytes());
    let store = open(home.path());
    let recovery = store.recovery();
    assert_eq!((recovery.damaged, recovery.cut_bytes, recovery.completed), (1, 0, 1), "{recovery:?}");
    assert_eq!(store.get("o1").unwrap().unwrap().closing.unwrap().exit_price, Some(94.0));
    assert_eq!(store.open_signals(None).unwrap().len(), 1);
    assert_eq!(store.on_price(&btc(), 1.0, 1_800_000_000_000).await.unwrap(), []);
}

#[tokio::test]
async fn compaction_keeps_one_line_a_signal() {
    let home = quick_home();
    let store = open(home.path());
    let other = open(home.path());
    for n in 0..20 {
        store.record(buy(&n.to_string())).await.unwrap();
        if n % 2 == 0 {
            store.close_signal(&n.to_string(), Outcome::Success, Some(101.0), None, T0 + n).await.unwrap();
        }
    }
    let stats = store.stats(&Default::default()).unwrap();
    let done = store.compact().await.unwrap();
    assert!(done.bytes_after < done.bytes_before);
    assert_eq!(log(home.path()).lines().count(), 20);
    assert_eq!(store.compact().await.unwrap().bytes_after, done.bytes_after, "nothing left to leave out");
    assert_eq!(store.stats(&Default::default()).unwrap(), stats);
    assert_eq!(other.stats(&Default::default()).unwrap(), stats);
    // Both stores continue with the new file.
    for (store, id) in [(&other, "x"), (&store, "y")] {
        assert!(!store.close_signal("0", Outcome::Failure, None, None, T0).await.unwrap());
        assert_eq!(store.get("7").unwrap().unwrap().signal, buy("7"));
        store.record(buy(id)).await.unwrap();
        store.close_signal(id, Outcome::Failure, None, Some(0.0), T0 + 100).await.unwrap();
    }
    assert!(store.get("x").unwrap().unwrap().closing.is_some() && other.get("y").unwrap().is_some());
    assert_eq!(store.on_price(&btc(), 90.0, T0 + 200).await.unwrap().len(), 10);
    assert_eq!(open(home.path()).stats(&Default::default()).unwrap().figures.closed, 22);
}

#[tokio::test]
async fn a_closing_that_says_more_than_its_record_counts_the_same_after_compaction() {
    let home = quick_home();
    let old = concat!(
        "{\"signal_id\":\"o1\",\"symbol\":\"BTCUSDT\",\"signal_type\":\"BUY\",\"entry_price\":100,\"timestamp\":\"2025-09-13T12:00:00Z\"}\n",
        "{\"signal_id\":\"o1\",\"symbol\":\"BTCUSDT\",\"signal_type\":\"BUY\",\"confidence\":70,\"entry_price\":100,\"timestamp\":\"2025-09-13T12:00:00Z\",\"outcome\":\"SUCCESS\",\"exit_price\":101}\n",
    );
    write(home.path(), old.as_bytes());
    let store = open(home.path());
    let stats = store.stats(&Default::default()).unwrap();
    assert_eq!(stats.figures.average_confidence, 70.0);
    store.compact().await.unwrap();
    assert_eq!(log(home.path()).lines().count(), 1);
    assert_eq!(open(home.path()).stats(&Default::default()).unwrap(), stats);
}

/// A line with a correct checksum but impossible contents: it was not written by this version.
#[tokio::test]
async fn a_checksummed_line_with_impossible_contents_is_quarantined() {
    let home = quick_home();
    let whole = String::from_utf8(fill(home.path()).await).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let sealed = |text: &str| format!("{text},\"crc\":\"{:08x}\"}}", crc32fast::hash(text.as_bytes()));
    let body = |id: &str| lines[0].split(",\"crc\"").next().unwrap().replace("\"a\"", &format!("{id:?}"));
    assert_eq!(sealed(&body("a")), lines[0]);
    let refused = [
        (body("x1").replace("\"stop_loss\":95.0", "\"stop_loss\":105.0"), "stopLoss"),
        (body("x2").replace("\"entry_price\":100.0", "\"entry_price\":-100.0"), "entryPrice"),
        (body("x3").replace("BTCUSDT", "../BTC"), "symbol"),
        (body("x4").replace("ACTIVE", "WON"), "outcome"),
        (body("x5").replace("\"confidence\":80.0", "\"confidence\":800.0"), "confidence"),
    ];
    let mut text = format!("{}\n", lines[0]);
    let mut offsets = Vec::new();
    for (bad, _) in &refused {
        offsets.push(text.len() as u64);
        text += &format!("{}\n", sealed(bad));
    }
    text += &lines[1..].iter().map(|line| format!("{line}\n")).collect::<String>();
    write(home.path(), text.as_bytes());

    let store = open(home.path());
    assert!(records(&store).iter().all(Option::is_some));
    assert_eq!((store.recovery().damaged, store.recovery().set_aside), (5, 5));
    let kept = quarantine(home.path());
    for ((kept, (bad, field)), offset) in kept.iter().zip(&refused).zip(offsets) {
        assert_eq!((&kept["offset"], &kept["text"]), (&json!(offset), &json!(sealed(bad))));
        assert!(kept["reason"].as_str().unwrap().contains(field), "{kept}");
    }
    assert_eq!(store.get("x1").unwrap(), None);
    assert_eq!(open(home.path()).recovery().set_aside, 0);
    store.compact().await.unwrap();
    assert_eq!(log(home.path()).lines().count(), 3);
}
