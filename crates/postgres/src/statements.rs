//! Single statements over one connection: each a transaction of its own, and each sent again until it is answered.

use super::{Attempts, Failure, Link, StoreUrl};
use domain::error::Result;
use domain::time::elapsed;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// A value that a statement is given.
pub type Parameter = Box<dyn ToSql + Sync + Send>;

/// A connection for statements that may be sent twice; there may be none at the moment.
pub(super) struct Statements {
    url: StoreUrl,
    /// How long one that waits for a lock has.
    patience: Duration,
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
}

impl Statements {
    pub fn new(url: StoreUrl, patience: Duration) -> Self {
        Self { url, patience, link: tokio::sync::Mutex::default() }
    }

    /// Where they are sent.
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Runs a statement until it is answered, refused, or its time is over.
    ///
    /// # Errors
    /// [`Error::Storage`] when it was not answered in time, or refused; [`Error::Busy`] when someone holds a lock.
    pub async fn rows(&self, sql: &str, parameters: &[Parameter], deadline: Instant) -> Result<Vec<Row>> {
        let mut sent = Duration::ZERO;
        self.timed(sql, parameters, deadline, &mut sent).await
    }

    /// [`Self::rows`], and when the attempt that was answered was sent, by [`elapsed`].
    pub async fn timed(
        &self,
        sql: &str,
        parameters: &[Parameter],
        deadline: Instant,
        sent: &mut Duration,
    ) -> Result<Vec<Row>> {
        let mut attempts = Attempts::until(deadline);
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
        loop {
            let mut used = None;
            let attempt = async {
                let link = self.connected().await?;
                used = Some(link.clone());
                *sent = elapsed();
                Ok(link.client.query(sql, &parameters).await?)
            };
            let failure = match attempts.one(&self.url, attempt).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => failure,
            };
            // Whoever has the lock makes a new one.
            if matches!(failure, Failure::Lost(_))
                && let Ok(mut link) = self.link.try_lock()
            {
                link.take_if(|link| used.as_ref().is_some_and(|used| Arc::ptr_eq(link, used)));
            }
            attempts.again(failure, "").await?;
        }
    }

    /// The connection, made if there is none.
    async fn connected(&self) -> std::result::Result<Arc<Link>, Failure> {
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| !link.client.is_closed()) {
            return Ok(link.clone());
        }
        let fresh = Link::ready(&self.url, self.patience, |_, _| {}).await?;
        Ok(link.insert(Arc::new(fresh)).clone())
    }
}
