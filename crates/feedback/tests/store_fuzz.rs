//! Runs the committed corpus of `fuzz/` through the same functions that `npm run test:fuzz` feeds random bytes to.

#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(target: &str, run: fn(&[u8])) {
    let files = inputs(target);
    assert!(files.len() > 10, "the corpus of {target} is there: {files:?}");
    for file in files {
        let result = std::panic::catch_unwind(|| run(&fs::read(&file).unwrap()));
        assert!(result.is_ok(), "{} fails, as printed above", file.display());
    }
}

#[test]
fn log() {
    replay("log", fuzz::log::run);
}

#[test]
fn import() {
    replay("import", fuzz::import::run);
}

#[test]
fn no_target_is_forgotten() {
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    let here = BTreeSet::from(["import".to_owned(), "log".to_owned()]);
    assert_eq!((names(Path::new("fuzz/fuzz_targets")), names(Path::new("fuzz/corpus"))), (here.clone(), here));
}
