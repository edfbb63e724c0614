//! Stopping long work from outside.

use crate::error::{Error, Result};
use tokio_util::sync::CancellationToken;

/// A [`CancellationToken`], shared between the one who may stop the work and the work, which looks at it between its steps. It adds
/// two things: stopped work ends with [`Error::Cancelled`], and a token that exists already can be stopped by a second one as well,
/// where [`CancellationToken::child_token`] only makes new ones.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    own: CancellationToken,
    outer: Option<CancellationToken>,
}

impl Cancel {
    /// The same, stopped by `outer` as well.
    pub fn within(self, outer: &Self) -> Self {
        Self { own: self.own, outer: Some(outer.own.clone()) }
    }

    /// Asks the work to stop at its next step.
    pub fn cancel(&self) {
        self.own.cancel();
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.own.is_cancelled() || self.outer.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// [`Error::Cancelled`] once it was asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(stopped()) } else { Ok(()) }
    }

    /// Waits for `work`, but no longer than until it is asked to stop.
    pub async fn unless<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let work = self.own.run_until_cancelled(work);
        let ended = match &self.outer {
            Some(outer) => outer.run_until_cancelled(work).await.flatten(),
            None => work.await,
        };
        ended.unwrap_or_else(|| Err(stopped()))
    }
}

fn stopped() -> Error {
    Error::Cancelled("the abort signal fired, or the loop was closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_never_ends_is_left_when_either_flag_is_raised() {
        for outer_first in [true, false] {
            let outer = Cancel::default();
            let inner = Cancel::default().within(&outer);
            assert!(inner.check().is_ok());
            let waiting = tokio::spawn({
                let inner = inner.clone();
                async move { inner.unless(std::future::pending::<Result<()>>()).await }
            });
            tokio::task::yield_now().await;
            if outer_first {
                outer.cancel()
            } else {
                inner.cancel()
            }
            assert_eq!(waiting.await.unwrap().unwrap_err().code(), "ERR_CANCELLED");
            assert!(inner.is_cancelled());
            assert_eq!(outer.is_cancelled(), outer_first, "stopping the inner work leaves the outer alone");
            // Raised beforehand: at once.
            assert!(inner.unless(std::future::pending::<Result<()>>()).await.is_err());
        }
        assert_eq!(Cancel::default().unless(async { Ok(7) }).await.unwrap(), 7);
    }
}
