//! Repeated attempts at a database request, until one succeeds, is refused, or time runs out.

use super::{Failure, StoreUrl};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use domain::error::{Error, Resource, Result};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(500);

/// The attempts of one caller, with growing backoff, while there is time for another one.
pub(crate) struct Attempts {
    pauses: ExponentialBackoff,
    begun: Instant,
    deadline: Instant,
    /// Whether another client held a lock at the last answer.
    busy: Option<Error>,
}

impl Attempts {
    /// Attempts until a deadline.
    pub fn until(deadline: Instant) -> Self {
        let pauses = ExponentialBuilder::default().with_min_delay(SHORTEST).with_max_delay(LONGEST).without_max_times();
        Self { pauses: pauses.build(), begun: Instant::now(), deadline, busy: None }
    }

    /// One attempt, which is given up at the deadline.
    pub async fn one<T>(
        &mut self,
        url: &StoreUrl,
        attempt: impl Future<Output = std::result::Result<T, Failure>>,
    ) -> std::result::Result<T, Failure> {
        self.one_until(self.deadline, url, attempt).await
    }

    /// [`Self::one`], given up at another time.
    pub async fn one_until<T>(
        &mut self,
        time: Instant,
        url: &StoreUrl,
        attempt: impl Future<Output = std::result::Result<T, Failure>>,
    ) -> std::result::Result<T, Failure> {
        let Ok(answer) = timeout_at(time, attempt).await else {
            // A caller that waited for a lock before is assumed to have waited for it again.
            let silent = || {
                let waited = self.begun.elapsed().as_secs_f64();
                Error::storage(Resource::Database, format!("{url} did not answer within {waited:.1} s"))
            };
            return Err(Failure::Lost(self.busy.take().unwrap_or_else(silent)));
        };
        self.busy = match &answer {
            Err(Failure::Busy(error)) => Some(error.clone()),
            _ => None,
        };
        answer
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// Returns at once, with what is `known` of the caller's work, if there is no next attempt: the request was refused, or there
    /// is no time left.
    pub async fn again(&mut self, failure: Failure, known: &str) -> Result<()> {
        let pause = self.pauses.next().unwrap_or(LONGEST);
        if matches!(failure, Failure::Refused(_)) || Instant::now() + pause >= self.deadline {
            return Err(failure.told(known));
        }
        sleep(pause).await;
        Ok(())
    }
}
