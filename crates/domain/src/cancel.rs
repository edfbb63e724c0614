//! Stopping long work from outside.

use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Flag {
    raised: AtomicBool,
    changed: Notify,
}

/// A flag shared between the one who may stop the work and the work, which looks at it between its steps.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    own: Arc<Flag>,
    outer: Option<Arc<Flag>>,
}

impl Cancel {
    /// The same, stopped by `outer` as well.
    pub fn within(self, outer: &Self) -> Self {
        Self { own: self.own, outer: Some(outer.own.clone()) }
    }

    /// Asks the work to stop at its next step.
    pub fn cancel(&self) {
        self.own.raised.store(true, Ordering::SeqCst);
        self.own.changed.notify_waiters();
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.flags().any(|flag| flag.raised.load(Ordering::SeqCst))
    }

    /// [`Error::Cancelled`] once it was asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(stopped()) } else { Ok(()) }
    }

    /// Waits for `work`, but no longer than until it is asked to stop.
    pub async fn unless<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let raised = async |flag: &Flag| {
            // Listening begins before looking, so that no notice falls in between.
            let notice = flag.changed.notified();
            if !flag.raised.load(Ordering::SeqCst) {
                notice.await;
            }
        };
        let outer = async {
            match &self.outer {
                Some(flag) => raised(flag).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = raised(&self.own) => Err(stopped()),
            () = outer => Err(stopped()),
            result = work => result,
        }
    }

    fn flags(&self) -> impl Iterator<Item = &Arc<Flag>> {
        std::iter::once(&self.own).chain(&self.outer)
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
