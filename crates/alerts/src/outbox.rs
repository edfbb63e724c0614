//! The outbox: a file of the home to which every process appends events, and from which one process sends them.
//!
//! Its lines are events, each with those who are to get it, and notes of what was done with them. The sender removes what is
//! done. Damaged lines, as a crash may leave, are passed over.

use domain::error::{Error, Resource, Result};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::disk::Lock;
use storage::lines::append_line;
use storage::lock::{FileLock, Guard};
use storage::write_atomically;

/// If the file is larger, events are refused: no process is sending them.
const FULL: u64 = 16 << 20;
/// If the file is larger, the lines of events that were sent are removed.
const WORTH_REMOVING: u64 = 256 << 10;
/// Longer than any write takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// An event to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Identifies it, also for who receives it.
    pub id: String,
    /// The names of the destinations that are to get it.
    pub to: Vec<String>,
    /// As `onEvent` gives it.
    pub event: Value,
}

impl Entry {
    /// An event with an id that no other has.
    pub fn new(to: Vec<String>, event: Value) -> Self {
        let mut bytes = [0; 12];
        // Without the system's random numbers, ids are only almost unique.
        if SystemRandom::new().fill(&mut bytes).is_err() {
            let now = domain::time::now_ms().to_be_bytes();
            bytes[..8].copy_from_slice(&now);
            bytes[8..].copy_from_slice(&std::process::id().to_be_bytes());
        }
        let id = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id, to, event }
    }

    /// When it happened, UTC epoch ms.
    pub fn at_ms(&self) -> i64 {
        let at = self.event["at"].as_str();
        at.and_then(|at| domain::time::parse_time(at, domain::time::Tz::UTC)).unwrap_or_default()
    }
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Event(Entry),
    /// A destination has taken these, or they were given up.
    Done {
        done: String,
        ids: Vec<String>,
    },
}

/// The outbox of a home.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    lock: PathBuf,
    /// How far the sender has read.
    read_bytes: u64,
    /// What is to be sent, in order; with those who have not got it.
    pending: Vec<Entry>,
    /// The ids of what is in `pending`.
    ids: HashSet<String>,
}

impl Outbox {
    /// The outbox in a scheduler's folder. Touches nothing.
    pub fn new(folder: &Path) -> Self {
        let (path, lock) = (folder.join("alerts.jsonl"), folder.join("alerts.lock"));
        Self { path, lock, read_bytes: 0, pending: Vec::new(), ids: HashSet::new() }
    }

    fn locked(&self) -> Result<Guard> {
        storage::create_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        FileLock::acquire(Resource::Scheduler, &self.lock, Lock::Exclusive, PATIENCE)
    }

    fn length(&self) -> Result<u64> {
        match std::fs::metadata(&self.path) {
            Ok(meta) => Ok(meta.len()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(e) => Err(Error::io("read", &self.path, e)),
        }
    }

    /// Appends events: once it returns, a crash does not lose them. Blocks for a short time.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Busy`]; [`Error::Storage`] if 16 MiB wait already.
    pub fn append(&self, entries: &[Entry]) -> Result<()> {
        let _guard = self.locked()?;
        if self.length()? > FULL {
            let problem = format!("{} holds {} MiB of events that nobody sends", self.path.display(), FULL >> 20);
            return Err(Error::storage(Resource::Scheduler, problem));
        }
        self.write(entries.iter().cloned().map(Line::Event))
    }

    fn write(&self, lines: impl Iterator<Item = Line>) -> Result<()> {
        match joined(lines)? {
            text if text.is_empty() => Ok(()),
            text => append_line(&self.path, text),
        }
    }

    /// Whether there is something that was not read.
    pub(crate) fn has_news(&self) -> Result<bool> {
        Ok(self.length()? != self.read_bytes)
    }

    /// For the sender: reads what was appended, and returns the new events.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub(crate) fn read_news(&mut self) -> Result<Vec<Entry>> {
        let _guard = self.locked()?;
        self.read()
    }

    fn read(&mut self) -> Result<Vec<Entry>> {
        let length = self.length()?;
        if length < self.read_bytes {
            // Somebody has deleted or cut it.
            self.read_bytes = 0;
        }
        if length == self.read_bytes {
            return Ok(Vec::new());
        }
        let mut text = Vec::new();
        let fail = |e| Error::io("read", &self.path, e);
        let mut file = File::open(&self.path).map_err(fail)?;
        file.seek(SeekFrom::Start(self.read_bytes)).map_err(fail)?;
        file.read_to_end(&mut text).map_err(fail)?;
        self.read_bytes += text.len() as u64;
        let before = self.pending.len();
        for line in text.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                // A process that was killed may have written an event, and its successor writes it again.
                Ok(Line::Event(entry)) if self.ids.insert(entry.id.clone()) => self.pending.push(entry),
                Ok(Line::Done { done, ids }) => self.forget(&done, &ids),
                Ok(Line::Event(_)) | Err(_) => {}
            }
        }
        Ok(self.pending.get(before.min(self.pending.len())..).unwrap_or_default().to_vec())
    }

    fn forget(&mut self, name: &str, ids: &[String]) {
        for entry in self.pending.iter_mut().filter(|entry| ids.contains(&entry.id)) {
            entry.to.retain(|to| to != name);
        }
    }

    /// For the sender: notes that a destination has taken events, or that they were given up. Removes what is done if that is
    /// worth it.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub(crate) fn settle(&mut self, name: &str, ids: &[String]) -> Result<()> {
        let _guard = self.locked()?;
        // The sender knows what it has read only: what came meanwhile stays unread.
        let is_all_read = self.length()? == self.read_bytes;
        self.write(std::iter::once(Line::Done { done: name.to_owned(), ids: ids.to_vec() }))?;
        self.forget(name, ids);
        if !is_all_read {
            return Ok(());
        }
        self.read_bytes = self.length()?;
        let (pending, ids) = (&mut self.pending, &mut self.ids);
        pending.retain(|entry| !entry.to.is_empty() || !ids.remove(&entry.id));
        if self.read_bytes > WORTH_REMOVING || self.pending.is_empty() {
            let text = joined(self.pending.iter().cloned().map(Line::Event))?;
            let text = if text.is_empty() { text } else { [text, b"\n".to_vec()].concat() };
            write_atomically(&self.path, &text)?;
            self.read_bytes = text.len() as u64;
        }
        Ok(())
    }
}

/// Lines as text, without the last newline.
fn joined(lines: impl Iterator<Item = Line>) -> Result<Vec<u8>> {
    let lines: serde_json::Result<Vec<String>> = lines.map(|line| serde_json::to_string(&line)).collect();
    Ok(lines.map_err(|e| Error::Internal(e.to_string()))?.join("\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(id: &str, to: &[&str]) -> Entry {
        let to = to.iter().map(|name| name.to_string()).collect();
        Entry { id: id.to_owned(), to, event: json!({ "type": "warning", "message": id }) }
    }

    fn ids(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.id.as_str()).collect()
    }

    #[test]
    fn what_is_done_is_gone_and_the_rest_survives_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let writer = Outbox::new(home.path());
        let mut sender = Outbox::new(home.path());
        assert!(!sender.has_news().unwrap());
        writer.append(&[entry("1", &["a", "b"]), entry("2", &["a"])]).unwrap();
        assert_eq!(ids(&sender.read_news().unwrap()), ["1", "2"]);
        writer.append(&[entry("3", &["b"]), entry("2", &["a"])]).unwrap();
        sender.settle("a", &["1".into(), "2".into()]).unwrap();
        assert_eq!(ids(&sender.read_news().unwrap()), ["3"]);
        // A torn line, as a killed process leaves it, loses nothing else.
        let mut text = std::fs::read(home.path().join("alerts.jsonl")).unwrap();
        text.extend(b"{\"id\": \"tor");
        std::fs::write(home.path().join("alerts.jsonl"), text).unwrap();
        writer.append(&[entry("4", &["b"])]).unwrap();
        let mut successor = Outbox::new(home.path());
        let found = successor.read_news().unwrap();
        let open: Vec<_> = found.iter().filter(|entry| !entry.to.is_empty()).collect();
        assert_eq!(
            open.iter().map(|entry| (entry.id.as_str(), entry.to.len())).collect::<Vec<_>>(),
            [("1", 1), ("3", 1), ("4", 1)]
        );
        successor.settle("b", &["1".into(), "3".into(), "4".into()]).unwrap();
        assert_eq!(std::fs::read(home.path().join("alerts.jsonl")).unwrap(), b"");
        assert!(!successor.has_news().unwrap());
    }
}
