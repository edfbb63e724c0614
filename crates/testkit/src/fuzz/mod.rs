//! What the targets of `fuzz/` do, and what they share. `store_fuzz.rs` among the tests of `feedback` runs the same on the committed
//! corpus, at each `cargo test`.

pub mod import;
pub mod log;

use domain::signal::Record;
use domain::time::Tz;
use feedback::{FeedbackStore, Stats, StatsFilter, StoreOptions};
use std::path::Path;
use tempfile::TempDir;

/// A folder of its own, in memory where the system has one.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

/// The store of a folder, with old times read in a zone that changes its clocks.
pub fn open(folder: &Path) -> FeedbackStore {
    let options = StoreOptions { timezone: zone(), ..StoreOptions::default() };
    FeedbackStore::open(folder, options).expect("any log can be opened")
}

pub fn zone() -> Tz {
    "Europe/Berlin".parse().expect("a zone of the tz database")
}

pub fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

/// Lines that end in `,"crc":"????????"}` get the digits that are right, so that what lies behind a good checksum is
/// reached, too.
pub fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for line in &mut lines {
        if let Some(body) = line.strip_suffix(b",\"crc\":\"????????\"}") {
            let crc = format!("{:08x}", crc32fast::hash(body));
            let digits = line.len() - 10..line.len() - 2;
            line[digits].copy_from_slice(crc.as_bytes());
        }
    }
    lines.join(&b'\n')
}

/// The records of the lines that an independent, plain reading finds good, in order.
pub fn good_records(log: &[u8]) -> Vec<Record> {
    log.split(|byte| *byte == b'\n').filter_map(good_record).collect()
}

fn good_record(line: &[u8]) -> Option<Record> {
    const SEAL: &[u8] = b",\"crc\":\"";
    let body = line.len().checked_sub(SEAL.len() + 10).map(|at| line.split_at(at));
    if let Some((body, seal)) = body
        && let Some(digits) = seal.strip_prefix(SEAL)
        && digits != format!("{:08x}\"}}", crc32fast::hash(body)).as_bytes()
    {
        return None;
    }
    let object = match serde_json::from_slice(line).ok()? {
        serde_json::Value::Object(object) => object,
        _ => return None,
    };
    Record::from_json(object, zone()).ok()
}

/// All that a store says of its signals.
#[derive(Debug, PartialEq)]
pub struct Said {
    closed: Vec<Record>,
    open: Vec<domain::signal::Signal>,
    named: Vec<Option<Record>>,
    stats: String,
}

impl Said {
    /// What `store` says, also of the signals with these ids.
    pub fn by<'a>(store: &FeedbackStore, ids: impl Iterator<Item = &'a str>) -> Self {
        let everything = StatsFilter::default();
        let mut closed = Vec::new();
        let visit = |record| {
            closed.push(record);
            Ok(())
        };
        store.closed_records(&everything, visit).expect("what counts can be read");
        let stats: Stats = store.stats(&everything).expect("figures");
        Self {
            closed,
            open: store.open_signals(None).expect("what is open can be read"),
            named: ids.map(|id| store.get(id).expect("what is known can be read")).collect(),
            // As text, because figures may be NaN.
            stats: format!("{stats:?}"),
        }
    }
}
