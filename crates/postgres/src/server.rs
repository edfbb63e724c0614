//! What a loop learned of the server behind its URL, so that all of its connections go by the same.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The server behind a URL.
#[derive(Default)]
pub(super) struct Server {
    /// The system identifier of the first one that was met.
    identity: OnceLock<String>,
    keeps_sessions: AtomicBool,
}

impl Server {
    /// The identity of the first one that was met: this one, if there was none before.
    pub fn identity(&self, found: &str) -> &str {
        self.identity.get_or_init(|| found.to_owned())
    }

    /// A connection was found to keep its session.
    pub fn keeps_sessions(&self) {
        self.keeps_sessions.store(true, Ordering::Relaxed);
    }

    /// Whether one was.
    pub fn is_known_to_keep_sessions(&self) -> bool {
        self.keeps_sessions.load(Ordering::Relaxed)
    }
}
