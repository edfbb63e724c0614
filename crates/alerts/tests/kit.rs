//! A sender that is stepped until something has happened.

use alerts::{Destination, Entry, Outbox, Pace, Sender, destinations};
use domain::time::{Clock, Tz, format_iso, now_ms};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const PACE: Pace = Pace {
    together: Duration::from_millis(50),
    patience: Duration::from_millis(400),
    base: Duration::from_millis(40),
    longest: Duration::from_millis(80),
};

/// A sender on a folder, and what it warned of.
pub struct Bench {
    pub sender: Option<Sender>,
    pub warnings: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    pub fn open(folder: &Path, configured: Value, clock: Clock) -> Self {
        let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = warnings.clone();
        let mut sender = Sender::open(folder, PACE, clock, Box::new(move |text| heard.lock().push(text))).unwrap();
        let targets = read(configured).into_iter().map(|one| {
            let target = Arc::new(one.resolve(folder).unwrap());
            (one, target)
        });
        sender.set_destinations(targets.collect());
        Self { sender: Some(sender), warnings }
    }

    /// One look at what there is to do.
    pub async fn step(&mut self) {
        let mut sender = self.sender.take().unwrap();
        self.sender = Some(
            tokio::task::spawn_blocking(move || {
                sender.step();
                sender
            })
            .await
            .unwrap(),
        );
    }

    /// Steps until `done`, for ten seconds at most.
    pub async fn until(&mut self, done: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !done() {
            assert!(Instant::now() < end, "it did not come; warnings: {:?}", self.warnings.lock());
            self.step().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Steps for a while.
    pub async fn for_ms(&mut self, ms: u64) {
        let end = Instant::now() + Duration::from_millis(ms);
        while Instant::now() < end {
            self.step().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub fn read(configured: Value) -> Vec<Destination> {
    destinations(&configured, "scheduler_config.json", Tz::UTC).unwrap().0
}

pub fn warning(text: &str, to: &[&str]) -> Entry {
    warning_at(text, to, now_ms())
}

pub fn warning_at(text: &str, to: &[&str], at_ms: i64) -> Entry {
    let event = json!({ "type": "warning", "message": text, "at": format_iso(at_ms) });
    Entry::new(to.iter().map(|name| name.to_string()).collect(), event)
}

pub fn append(folder: &Path, entries: &[Entry]) {
    Outbox::new(folder).append(entries).unwrap();
}

/// The state that the sender wrote of a destination.
pub fn state(folder: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(folder.join("alerts.json")).unwrap_or_else(|_| "{}".into());
    serde_json::from_str::<Value>(&text).unwrap()["destinations"][name].clone()
}
