//! What a loop knows about the server behind its URL, shared by all its connections.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The server behind a URL.
#[derive(Default)]
pub(super) struct Server {
    /// The system identifier of the first server.
    identity: OnceLock<String>,
    keeps_sessions: AtomicBool,
}

impl Server {
    /// The identity of the first server; `found` becomes it if there was none.
    pub fn identity(&self, found: &str) -> &str {
        self.identity.get_or_init(|| found.to_owned())
    }

    /// Notes that a connection was found to keep its session.
    pub fn keeps_sessions(&self) {
        self.keeps_sessions.store(true, Ordering::Relaxed);
    }

    /// Whether a connection was found to keep its session.
    pub fn is_known_to_keep_sessions(&self) -> bool {
        self.keeps_sessions.load(Ordering::Relaxed)
    }
}
