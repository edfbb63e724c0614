//! The pauses between attempts to reach a database.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(500);

/// Pauses that become longer, as long as there is time for another attempt.
pub(crate) struct Pauses {
    lengths: ExponentialBackoff,
    deadline: Instant,
}

impl Pauses {
    /// Until a time.
    pub fn until(deadline: Instant) -> Self {
        let lengths =
            ExponentialBuilder::default().with_min_delay(SHORTEST).with_max_delay(LONGEST).without_max_times();
        Self { lengths: lengths.build(), deadline }
    }

    /// Waits before the next attempt. `false`, at once, when there is no time for one.
    pub async fn next(&mut self) -> bool {
        let pause = self.lengths.next().unwrap_or(LONGEST);
        let in_time = Instant::now() + pause < self.deadline;
        if in_time {
            sleep(pause).await;
        }
        in_time
    }
}
