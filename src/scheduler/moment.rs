//! Two clocks: the one that people set, and one that nobody can.

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

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
/// Elsewhere on Unix the monotonic clock goes on during sleep.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

#[cfg(unix)]
fn elapsed() -> Duration {
    let time = rustix::time::clock_gettime(CLOCK);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Windows' performance counter goes on during sleep.
#[cfg(not(unix))]
fn elapsed() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}
