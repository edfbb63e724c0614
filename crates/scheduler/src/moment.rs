//! Two clocks: the one that people set, and one that nobody can.

use domain::time::elapsed;
use std::time::Duration;

/// Now, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The time of day, UTC epoch ms. It may be set forward and back.
    pub wall_ms: i64,
    /// Time since the machine started, its sleep included; it only ever grows, and means something only beside others of
    /// the same start of the machine.
    pub elapsed: Duration,
}

impl Moment {
    /// Now; the time of day is `wall_ms`.
    pub fn now(wall_ms: i64) -> Self {
        Self { wall_ms, elapsed: elapsed() }
    }
}
