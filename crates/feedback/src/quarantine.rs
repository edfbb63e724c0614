//! `signals.quarantine.jsonl`: damaged parts of the log, kept for a person to examine.
//!
//! ```json
//! {"offset":8231,"reason":"the checksum does not match","found_at":"…Z","length":351,"crc":"5d1c77e0","text":"…"}
//! ```
//!
//! `text` holds the bytes; if they are not UTF-8, `hex` does.

use super::errors::failed;
use super::paths::Paths;
use domain::error::Result;
use domain::time;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io;
use storage::disk;
use storage::disk::{Storage, StoredFile};

/// Bytes of the log that are damaged.
#[derive(Debug, Clone, PartialEq)]
pub struct Damaged {
    /// Their offset in the log.
    pub offset: u64,
    pub reason: String,
    pub bytes: Vec<u8>,
}

/// Copies damaged bytes to the quarantine, without those that are there already, and syncs it. Returns how many were new. The
/// caller holds the log's exclusive lock.
pub fn set_aside(storage: &dyn Storage, paths: &Paths, damaged: &[Damaged]) -> Result<u64> {
    if damaged.is_empty() {
        return Ok(0);
    }
    let path = &paths.quarantine;
    let file = storage.open(path).map_err(|e| failed("open", path, e))?;
    // Read each time, because another process may have added to it; damage is rare and the file small.
    let (mut known, ends_whole) = read(&*file).map_err(|e| failed("read", path, e))?;
    let mut text = if ends_whole { Vec::new() } else { vec![b'\n'] };
    let mut new = 0;
    for item in damaged.iter().filter(|item| known.insert(Known::of(&item.bytes))) {
        new += 1;
        text.extend_from_slice(entry(item).to_string().as_bytes());
        text.push(b'\n');
    }
    if new > 0 {
        let written = disk::append_all(&*file, &text).and_then(|()| file.sync());
        written.map_err(|e| failed("write", path, e))?;
    }
    Ok(new)
}

/// Identifies damaged bytes, wherever in the log they are, so that they are stored once.
#[derive(PartialEq, Eq, Hash, Deserialize)]
struct Known {
    length: usize,
    crc: String,
}

impl Known {
    fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len(), crc: format!("{:08x}", crc32fast::hash(bytes)) }
    }
}

/// The stored entries, and whether the file ends with a complete line.
fn read(file: &dyn StoredFile) -> io::Result<(HashSet<Known>, bool)> {
    let mut bytes = vec![0; file.stat()?.len as usize];
    let len = disk::read_full(file, &mut bytes, 0)?;
    bytes.truncate(len);
    let known = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Ok((known, bytes.last().is_none_or(|byte| *byte == b'\n')))
}

fn entry(item: &Damaged) -> Value {
    let known = Known::of(&item.bytes);
    let (key, content) = match std::str::from_utf8(&item.bytes) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("hex", item.bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
    };
    json!({
        "offset": item.offset,
        "reason": item.reason,
        "found_at": time::format_iso(time::now_ms()),
        "length": known.length,
        "crc": known.crc,
        key: content,
    })
}
