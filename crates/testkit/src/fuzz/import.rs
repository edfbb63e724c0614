//! Any bytes as a file to import: each line is accounted for, and importing it again changes nothing.

use super::{Said, folder, open, sealed, wait};
use feedback::ImportReport;

/// Panics when that does not hold.
pub fn run(bytes: &[u8]) {
    let home = folder();
    let (file, feedback) = (home.path().join("old.jsonl"), home.path().join("feedback"));
    let text = sealed(bytes);
    std::fs::write(&file, &text).expect("a file");
    let store = open(&feedback);
    let report = wait(store.import(&file, |_| ())).expect("any file can be imported");
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    assert_eq!(report.lines, lines as u64);
    assert_eq!(accounted(&report), report.lines, "{report:?}");
    let said = Said::by(&store, std::iter::empty());

    let again = wait(store.import(&file, |_| ())).expect("any file can be imported");
    assert_eq!((again.imported, again.closed), (0, 0), "{again:?}");
    assert_eq!(accounted(&again), again.lines, "{again:?}");
    assert_eq!(Said::by(&store, std::iter::empty()), said, "imported again");
    wait(store.close());
    let reopened = open(&feedback);
    assert_eq!(reopened.recovery(), Default::default(), "what was written is whole");
    assert_eq!(Said::by(&reopened, std::iter::empty()), said, "opened again");
    assert_eq!(std::fs::read(&file).expect("the file"), text, "the file is only read");
}

fn accounted(report: &ImportReport) -> u64 {
    report.imported + report.closed + report.known + report.refused.len() as u64
}
