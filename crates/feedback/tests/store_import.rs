//! Importing signals from an old file, and exporting them as CSV.

use domain::barrier::Outcome;
use domain::features::FEATURES;
use domain::signal::Record;
use domain::time::Tz;
use domain::time::format_iso;
use feedback::StoreOptions;
use serde_json::json;
use testkit::home::{Home, on_both};
use testkit::{T0, buy, object, open, quick_home, signal};

const OLD: &str = r#"{"signal_id":"o1","symbol":"BTC/USDT","timeframe":"1h","signal_type":"BUY","confidence":71,"entry_price":100.0,"stop_loss":95.0,"take_profit":110.0,"timestamp":"2025-09-13T12:00:00.123456","outcome":"ACTIVE"}
{"signal_id":"o2","symbol":"ETHUSDT","signal_type":"SELL","entry_price":3000.0,"stop_loss":3100.0,"timestamp":"2025-09-13T12:00:00Z","outcome":"STOPPED_OUT","exit_price":3110.0,"profit_loss_percent":-3.6667}
{"signal_id":"o3","symbol":"ETHUSDT","signal_type":"HOLD","timestamp":"2025-09-13T12:00:00Z"}

not json at all
{"signal_id":"o4","symbol":"ETHUSDT","signal_type":"BUY","timestamp":"2025-09-13T12:00:00Z"}
{"signal_id":"o1","symbol":"BTC/USDT","timeframe":"1h","signal_type":"BUY","confidence":71,"entry_price":100.0,"stop_loss":95.0,"take_profit":110.0,"timestamp":"2025-09-13T12:00:00.123456","outcome":"TOOK_PROFIT","exit_price":111.0,"closed_by":"tracker"}
{"signal_id":"o2","symbol":"ETHUSDT","signal_type":"SELL","entry_price":2999.0,"stop_loss":3100.0,"timestamp":"2025-09-13T12:00:00Z","outcome":"ACTIVE"}
{"signal_id":"o3","symbol":"ETHUSDT","signal_type":"HOLD","timestamp":"2025-09-13T12:00:00Z"}
{"signal_id":"o5","symbol":"ETHUSDT","signal_type":"BUY","entry_price":1,"timestamp":"2025-09-13 12:00:00"}"#;

on_both!(
    an_old_file_is_taken_in_as_it_is,
    what_contradicts_itself_is_told_by_its_line,
    a_log_of_this_store_is_taken_in_by_another,
    a_line_that_closes_leaves_what_was_said,
    a_copy_there_and_back_loses_nothing,
    closed_signals_are_given_out_as_csv,
    a_managed_signal_is_given_out_with_what_it_earned
);

async fn an_old_file_is_taken_in_as_it_is(home: Home) {
    let folder = quick_home();
    let file = folder.path().join("old.jsonl");
    std::fs::write(&file, OLD).unwrap();
    let options = StoreOptions { timezone: "Europe/Berlin".parse::<Tz>().unwrap(), ..StoreOptions::default() };
    let store = home.open_with(options);
    let report = store.import(&file, |_| ()).await.unwrap();
    assert_eq!((report.lines, report.imported, report.closed, report.known), (9, 4, 1, 1), "{report:?}");
    let refused: Vec<_> = report.refused.iter().map(|refused| refused.line).collect();
    assert_eq!(refused, [5, 6, 8]);
    assert!(report.refused[1].reason.contains("entryPrice") && report.refused[2].reason.contains("`o2`"), "{report:?}");

    let first = store.get("o1").unwrap().unwrap();
    assert_eq!(format_iso(first.signal.timestamp_ms), "2025-09-13T10:00:00.123Z");
    let closing = first.closing.unwrap();
    assert_eq!((closing.outcome, closing.exit_price), (Outcome::TookProfit, Some(111.0)));
    assert!((closing.profit_percent - 11.0).abs() < 1e-9);
    assert_eq!(store.stats(&Default::default()).unwrap().figures.hold, 1);

    let again = store.import(&file, |_| ()).await.unwrap();
    assert_eq!((again.imported, again.closed), (0, 0), "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), OLD);
    assert_eq!(store.import(&folder.path().join("missing"), |_| ()).await.unwrap_err().code(), "ERR_IO");
}

async fn what_contradicts_itself_is_told_by_its_line(home: Home) {
    let folder = quick_home();
    let file = folder.path().join("other.jsonl");
    let line = |id: &str, end: serde_json::Value| {
        let mut line = json!({ "id": id, "pair": "BTC/USDT", "signalType": "BUY", "entryPrice": 100, "timestamp": T0 });
        line.as_object_mut().unwrap().extend(object(end));
        line.to_string()
    };
    let lines = [
        line(
            "fine",
            json!({ "outcome": "STOPPED_OUT", "exitPrice": 98, "profitLossPercent": -2.1, "closedAt": T0 + 1 }),
        ),
        line("leverage", json!({ "outcome": "STOPPED_OUT", "exitPrice": 98, "profitLossPercent": -400 })),
        line("ruin", json!({ "outcome": "STOPPED_OUT", "profit_loss_percent": -400 })),
        line("early", json!({ "outcome": "SUCCESS", "exit_price": 101, "closed_at": T0 - 1 })),
        line("half", json!({ "exitPrice": 98, "closedAt": T0 + 1 })),
        line("two", json!({ "symbol": "ETHUSDT" })),
        line("status", json!({ "status": "SUCCESS", "exitPrice": 101, "closedAt": T0 + 2 })),
        line("silent", json!({ "outcome": "SUCCESS" })),
        line("future", json!({ "outcome": "SUCCESS", "exitPrice": 101, "closedAt": "9998-01-01T00:00Z" })),
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let store = home.open();
    let report = store.import(&file, |_| ()).await.unwrap();
    assert_eq!((report.lines, report.imported), (9, 3), "{report:?}");
    let said = ["leverage", "leverage", "closedAt", "outcome", "`pair`", "future"];
    assert_eq!(report.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 9]);
    for (refused, said) in report.refused.iter().zip(said) {
        assert!(refused.reason.contains(said), "{refused:?}");
    }
    let profit = |id: &str| store.get(id).unwrap().unwrap().closing.unwrap().profit_percent;
    assert_eq!((profit("fine"), profit("silent")), (-2.1, 0.0));
    assert!((profit("status") - 1.0).abs() < 1e-9);
}

async fn a_log_of_this_store_is_taken_in_by_another(two: Home) {
    let one = quick_home();
    let store = open(one.path());
    store.record_all((0..5000).map(|n| buy(&n.to_string())).collect()).await.unwrap();
    store.close_signal("7", Outcome::Success, Some(101.0), None, T0 + 1).await.unwrap();
    let other = two.open();
    let report = other.import(&one.path().join("signals.jsonl"), |_| ()).await.unwrap();
    assert_eq!((report.lines, report.imported, report.closed, report.refused.len()), (5001, 5000, 1, 0));
    assert_eq!(other.get("7").unwrap(), store.get("7").unwrap());
}

/// A closing line of the former system contains less than what was recorded here.
async fn a_line_that_closes_leaves_what_was_said(home: Home) {
    let folder = quick_home();
    let file = folder.path().join("old.jsonl");
    let line = |id: &str, more: serde_json::Value| {
        let mut line = json!({ "signal_id": id, "symbol": "BTC/USDT", "signal_type": "BUY", "entry_price": 100,
            "stop_loss": 95, "take_profit": 110, "timestamp": T0, "outcome": "STOPPED_OUT", "closed_at": T0 + 1 });
        line.as_object_mut().unwrap().extend(object(more));
        line.to_string()
    };
    let lines = [line("a", json!({ "confidence": 80 })), line("b", json!({ "strategy": "ema" }))];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let store = home.open();
    let said = json!({ "probability": 0.4, "interval": [0.3, 0.5], "base_rate": 0.35, "prior": 0.36, "shaped": false,
        "departures": [0.1, -0.2, 0.0, 0.25], "take": true, "outcomes": 9 });
    let mut given = Record::from(signal(json!({ "id": "a", "strategy": "rsi", "taken": false }))).to_json();
    given.insert("said".to_owned(), said);
    let given = Record::from_json(given, Tz::UTC).unwrap();
    assert!(given.said.is_some());
    store.record_all(vec![given.clone(), buy("b").into()]).await.unwrap();
    assert_eq!(store.import(&file, |_| ()).await.unwrap().closed, 2);
    for store in [&store, &home.open()] {
        let (a, b) = (store.get("a").unwrap().unwrap(), store.get("b").unwrap().unwrap());
        assert_eq!((a.said, a.signal.strategy.as_deref(), a.signal.taken), (given.said, Some("rsi"), false));
        assert_eq!((b.said, b.signal.strategy.as_deref(), b.signal.taken), (None, Some("ema"), true));
        let stats = store.stats(&Default::default()).unwrap();
        assert_eq!((stats.figures.closed, stats.followed.closed, stats.by_strategy.len()), (1, 1, 1));
    }
}

async fn closed_signals_are_given_out_as_csv(home: Home) {
    let folder = quick_home();
    let store = home.open();
    store
        .record(signal(json!({ "id": "a,\"1\"", "indicators": { "rsi": 71.5, "macd": { "line": -1 } }, "strategy": "rsi", "taken": false })))
        .await
        .unwrap();
    store.record(signal(json!({ "id": "b", "indicators": { "adx": "20", "regime": "=bull()" } }))).await.unwrap();
    store.record(buy("open")).await.unwrap();
    store.close_signal("b", Outcome::Failure, Some(99.0), None, T0 + 2).await.unwrap();
    store.close_signal("a,\"1\"", Outcome::Success, None, Some(2.5), T0 + 3).await.unwrap();
    let path = folder.path().join("training.csv");
    assert_eq!(store.export_csv(&path).unwrap(), 2);
    let text = std::fs::read_to_string(&path).unwrap();
    // Features at entry, which these signals do not have, and what they earned come last.
    let (names, empty): (Vec<_>, Vec<_>) = FEATURES.iter().map(|f| (format!(",feature_{}", f.name), ",")).unzip();
    let lines: Vec<&str> = text.lines().collect();
    const EARNED: &str = ",entry_fill,net_profit_percent,realized_r,mfe_r,mae_r,holding_ms";
    let header = lines[0].strip_suffix(EARNED).unwrap().strip_suffix(&names.concat()).unwrap();
    assert!(header.ends_with(
        "profit_loss_percent,closed_at,strategy,taken,indicator_adx,indicator_macd.line,indicator_regime,indicator_rsi"
    ));
    let ends = [(",100,-1.1,-0.22000000000000003,,,2"), (",100,2.4,0.48,,,3")];
    let rows: Vec<&str> = lines[1..]
        .iter()
        .zip(ends)
        .map(|(line, end)| {
            line.strip_suffix(end).unwrap_or_else(|| panic!("{line}")).strip_suffix(&empty.concat()).unwrap()
        })
        .collect();
    assert!(rows[0].starts_with("b,BTCUSDT,1h,BUY,80"), "{text}");
    assert!(rows[0].ends_with("FAILURE,99.0,-1.0,2023-11-14T22:13:20.002Z,,true,20,,'=bull(),"), "{text}");
    assert!(rows[1].starts_with("\"a,\"\"1\"\"\",BTCUSDT"), "{text}");
    assert!(rows[1].ends_with("SUCCESS,,2.5,2023-11-14T22:13:20.003Z,rsi,false,,-1,,71.5"), "{text}");
}

async fn a_managed_signal_is_given_out_with_what_it_earned(home: Home) {
    let folder = quick_home();
    let store = home.open();
    store.record_all(vec![super::managed::channel("a"), super::managed::channel("cancelled")]).await.unwrap();
    let cancel = domain::signal::Change::Cancel(Default::default());
    assert!(store.change("cancelled".to_owned(), cancel, T0 + 1).await.unwrap());
    for (at, price) in [(2, 95.0), (3, 100.0), (9, 105.0)] {
        store.on_price(&testkit::btc(), price, T0 + at).await.unwrap();
    }
    let path = folder.path().join("training.csv");
    assert_eq!(store.export_csv(&path).unwrap(), 1);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let cell = |name: &str| lines[1][lines[0].iter().position(|column| *column == name).unwrap()];
    assert_eq!((cell("signal_id"), cell("outcome"), cell("exit_price")), ("a", "TOOK_PROFIT", "102.5"));
    assert_eq!((cell("entry_fill"), cell("holding_ms"), cell("mfe_r")), ("95", "7", "2"));
    let number = |name: &str| cell(name).parse::<f64>().unwrap();
    let net = 7.5 / 95.0 * 100.0 - 0.1;
    assert!((number("net_profit_percent") - net).abs() < 1e-9, "{text}");
    assert!((number("realized_r") - net / (5.0 / 95.0 * 100.0)).abs() < 1e-9, "{text}");
}

/// From a folder to the test's home and on to another folder, started twice.
async fn a_copy_there_and_back_loses_nothing(middle: Home) {
    let (one, three) = (quick_home(), quick_home());
    let first = open(one.path());
    const SIGNALS: usize = 4_500;
    let sent =
        |n: usize| signal(json!({ "id": n.to_string(), "indicators": { "rsi": n, "x": 1e16 }, "note": "\u{0}" }));
    first.record_all((0..SIGNALS).map(sent).collect()).await.unwrap();
    for n in (0..SIGNALS).step_by(100) {
        first.close_signal(&n.to_string(), Outcome::Success, Some(101.5), None, T0 + 1 + n as i64).await.unwrap();
    }
    let (second, third) = (middle.open(), open(three.path()));
    // An interrupted copy left some of it, and a signal has closed since.
    second.record_all((0..2_500).map(sent).collect()).await.unwrap();
    let report = second.copy_from(&first, |_| {}).await.unwrap();
    assert_eq!((report.imported, report.closed, report.known, report.refused.len()), (2_000, 25, 2_475, 0));
    let again = second.copy_from(&first, |_| {}).await.unwrap();
    assert_eq!((again.lines, again.known), (SIGNALS as u64, SIGNALS as u64));
    let back = third.copy_from(&second, |_| {}).await.unwrap();
    assert_eq!((back.imported, back.refused.len()), (SIGNALS as u64, 0));
    let stats = first.stats(&Default::default()).unwrap();
    assert_eq!(
        (second.stats(&Default::default()).unwrap(), third.stats(&Default::default()).unwrap()),
        (stats.clone(), stats)
    );
    let all = |store: &feedback::FeedbackStore| {
        let mut all = Vec::new();
        let keep = |record: domain::signal::Record| {
            all.push(record);
            Ok(())
        };
        store.closed_records(&Default::default(), keep).unwrap();
        (all, store.open_signals(None).unwrap())
    };
    assert!(all(&first) == all(&second) && all(&first) == all(&third));
}
