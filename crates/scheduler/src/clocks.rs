//! The wall clock and a clock that cannot be set.

use domain::time::elapsed;
use std::time::Duration;

/// The current time by both clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clocks {
    /// Wall clock, UTC epoch ms; it may be set forward and back.
    pub wall_ms: i64,
    /// Time since the machine started, including sleep. It only grows, and is comparable only until the machine restarts.
    pub elapsed: Duration,
}

impl Clocks {
    /// Now, with `wall_ms` as the wall clock's time.
    pub fn now(wall_ms: i64) -> Self {
        Self { wall_ms, elapsed: elapsed() }
    }
}
