//! Any bytes as a log: it opens, no good line is lost, and opening it again or compacting it changes nothing.

use super::{Said, folder, good_records, open, sealed, wait};
use feedback::Recovery;
use std::collections::HashMap;

/// Panics when that does not hold.
pub fn run(bytes: &[u8]) {
    let log = sealed(bytes);
    let home = folder();
    let path = home.path().join("signals.jsonl");
    std::fs::write(&path, &log).expect("a log");
    let good = good_records(&log);
    let ids = || good.iter().map(|record| record.signal.id.as_str());

    let store = open(home.path());
    let found = store.recovery();
    let said = Said::by(&store, ids());
    let mut first = HashMap::new();
    for record in &good {
        first.entry(&record.signal.id).or_insert(record);
    }
    for (id, record) in first {
        let kept = store.get(id).expect("a good line can be read").expect("a good line is kept");
        // A damaged line may hold an earlier record of this id that is whole.
        if found.damaged == 0 {
            assert_eq!(kept.signal.symbol, record.signal.symbol, "the first line of {id} stands");
            assert_eq!(kept.signal.levels(), record.signal.levels(), "the first line of {id} stands");
            assert!(record.closing.is_none() || kept.closing == record.closing, "the first closing of {id} stands");
        }
    }
    wait(store.close());

    let mended = std::fs::read(&path).expect("the log");
    assert!(mended.is_empty() || mended.ends_with(b"\n"));
    let again = open(home.path());
    let expected = Recovery { cut_bytes: 0, completed: 0, set_aside: 0, ..found };
    assert_eq!(again.recovery(), expected, "repaired once");
    assert_eq!(Said::by(&again, ids()), said, "opened again");
    assert_eq!(std::fs::read(&path).expect("the log"), mended, "nothing left to repair");

    wait(again.compact()).expect("a log that was read can be compacted");
    assert_eq!(Said::by(&again, ids()), said, "compacted");
    assert_eq!(Said::by(&open(home.path()), ids()), said, "opened after the compaction");
    wait(again.close());
}
