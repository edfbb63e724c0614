//! A kept replay becomes the beginning of a live home, and never mixes with one.

use super::market::{self, past, reversal};
use domain::signal::{Signal, Source};
use domain::time::Tz;
use engine::{Options as LoopOptions, SignalLoop};
use replay::{Options, adopt};
use serde_json::json;
use std::path::Path;

fn open(home: &Path) -> SignalLoop {
    let store = Some("files".to_owned());
    SignalLoop::open(LoopOptions { home: Some(home.to_owned()), store, ..LoopOptions::default() }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_signals_begins_with_those_of_the_replay() {
    let place = tempfile::tempdir().unwrap();
    let (home, kept) = (place.path().join("ml"), place.path().join("kept"));
    std::fs::create_dir(&home).unwrap();
    let options = Options { keep: Some(kept.clone()), ..market::options(&home) };
    let replayed = market::run(reversal(), past(3), options.clone()).await.unwrap();
    assert_eq!(replayed.kept.as_ref(), Some(&kept));
    assert!(std::fs::read_dir(&home).unwrap().next().is_none(), "the replay wrote into the home");
    let again = market::run(reversal(), past(3), options).await.unwrap_err();
    assert!(again.to_string().contains("must be a new or an empty folder"), "{again}");

    let core = open(&home);
    let adopted = adopt(&core, &kept).unwrap();
    let signals = replayed.runs[0].decisions.len();
    assert_eq!((adopted.signals, adopted.candle_files), (signals, 3));
    assert!(adopted.closed > 0 && adopted.parts.contains(&"models"), "{adopted:?}");
    for decision in &replayed.runs[0].decisions {
        let stored = core.store().open().unwrap().get(&decision.record.signal.id).unwrap();
        assert_eq!(stored.as_ref(), Some(&decision.record));
    }
    assert_eq!(core.models().list().unwrap().markets.len(), 2);
    core.close().await;

    // A second time, and into a home with records of its own, it is refused, and nothing changes.
    for home in [home, with_a_signal(&place.path().join("other")).await] {
        let before = std::fs::read(home.join("feedback/signals.jsonl")).unwrap();
        let core = open(&home);
        let refused = adopt(&core, &kept).unwrap_err();
        assert!(refused.to_string().contains("it would mix with"), "{refused}");
        core.close().await;
        assert_eq!(std::fs::read(home.join("feedback/signals.jsonl")).unwrap(), before);
    }
    let core = open(&place.path().join("third"));
    let refused = adopt(&core, place.path()).unwrap_err();
    assert!(
        refused.to_string().contains("must be the folder that `signalloop replay --keep` has written"),
        "{refused}"
    );
    core.close().await;
}

async fn with_a_signal(home: &Path) -> std::path::PathBuf {
    let core = std::sync::Arc::new(open(home));
    let given = json!({
        "id": "own", "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 100, "stopLoss": 99, "takeProfit": 102,
        "timestamp": core.settings().now_ms(),
    });
    let signal = Signal::from_value(given, Source::Caller, Tz::UTC).unwrap();
    core.signals().record(vec![signal]).await.unwrap();
    core.close().await;
    home.to_owned()
}
