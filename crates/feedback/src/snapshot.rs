//! `signals.index`: the state as a file, so that a long log need not be read line by line at each start.
//!
//! Only the log counts. The snapshot states which beginning of the log it stands for, by length and checksum. If the log does not
//! begin with that, or anything else is wrong, the snapshot is ignored and rewritten. Even then it has one use: if the log lacks
//! signals of the snapshot, it was truncated or replaced.
//!
//! The format: 8 bytes `SLINDEX` and a version; CRC-32 of the rest, little-endian; a [`Snapshot`] in postcard encoding.

use super::details::Details;
use super::state::Place;
use domain::barrier::{Direction, Outcome};
use domain::error::{Error, Result};
use domain::signal::SignalKey;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// The last byte is the version of the encoding and of its content, including [`SignalKey`].
const MAGIC: &[u8; 8] = b"SLINDEX\x06";

/// A beginning of the log, and the state that follows from it.
#[derive(Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Number of bytes of the log that it stands for.
    pub len: u64,
    /// Their CRC-32.
    pub crc: u32,
    /// The zone that times without one were read in.
    pub zone: String,
    /// Number of damaged lines among them; the quarantine has those.
    pub damaged: u64,
    /// Number of contradicting lines among them; the quarantine has those.
    pub contradictions: u64,
    pub symbols: Vec<String>,
    pub timeframes: Vec<String>,
    pub strategies: Vec<String>,
    /// The signals, in order of recording.
    pub rows: Vec<Row>,
    /// The levels of the open ones.
    pub open: Vec<OpenRow>,
}

/// A signal as [`super::state::State`] keeps it.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub key: (u64, u64),
    pub offset: u64,
    pub len: u32,
    pub timestamp_ms: i64,
    pub closed_ms: i64,
    pub profit_percent: f64,
    pub confidence: f32,
    pub risk_percent: f32,
    pub details: Option<Box<Details>>,
    pub symbol: u32,
    pub timeframe: u8,
    pub strategy: u32,
    pub taken: bool,
    pub direction: Option<Direction>,
    pub outcome: Outcome,
}

/// The levels of an open signal; the rest of them is in its row.
#[derive(Serialize, Deserialize)]
pub struct OpenRow {
    pub slot: u32,
    pub entry: f64,
    pub stop_loss: Option<f64>,
    pub take_profit: Option<f64>,
    pub expires_ms: Option<i64>,
    /// Where it stands, as JSON, if it is a managed signal.
    pub trade: Option<String>,
}

impl Row {
    pub fn key(&self) -> SignalKey {
        SignalKey(self.key.0, self.key.1)
    }

    pub fn place(&self) -> Place {
        Place { offset: self.offset, len: self.len }
    }
}

impl Snapshot {
    /// Reads the snapshot at `path`; `None` if there is none that is complete and of this version.
    pub fn read(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let (crc, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
            return None;
        }
        postcard::from_bytes(body).ok()
    }

    /// Replaces the snapshot at `path` atomically. The temporary file has a fixed name, so that one left by a killed process is
    /// overwritten.
    pub fn write(&self, path: &Path) -> Result<()> {
        let body = postcard::to_stdvec(self).map_err(|e| Error::Internal(e.to_string()))?;
        let crc = crc32fast::hash(&body).to_le_bytes();
        let aside = path.with_extension("index.writing");
        let fail = |e: io::Error| Error::io("write", &aside, e);
        let mut file = File::options().write(true).create(true).truncate(false).open(&aside).map_err(fail)?;
        // Another process is writing one.
        file.try_lock().map_err(|e| fail(e.into()))?;
        file.set_len(0).map_err(fail)?;
        [&MAGIC[..], &crc, &body].iter().try_for_each(|part| file.write_all(part)).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        std::fs::rename(&aside, path).map_err(fail)
    }
}
