//! Single statements on one connection, each its own transaction, and repeated until answered.

use super::{Attempts, Failure, Link, StoreUrl};
use domain::error::Result;
use domain::time::elapsed;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// A parameter of a statement.
pub type Parameter = Box<dyn ToSql + Sync + Send>;

/// A connection for statements that are safe to repeat; there may be none at the moment.
pub(super) struct Statements {
    url: StoreUrl,
    /// Time for a statement that waits for a lock.
    patience: Duration,
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
}

impl Statements {
    pub fn new(url: StoreUrl, patience: Duration) -> Self {
        Self { url, patience, link: tokio::sync::Mutex::default() }
    }

    /// The URL of the database.
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Runs a statement until it is answered or refused, or time runs out.
    ///
    /// # Errors
    /// [`Error::Storage`] if it was not answered in time, or refused; [`Error::Busy`] if another client holds a lock.
    pub async fn rows(&self, sql: &str, parameters: &[Parameter], deadline: Instant) -> Result<Vec<Row>> {
        let mut sent = Duration::ZERO;
        self.timed(sql, parameters, deadline, &mut sent).await
    }

    /// [`Self::rows`]; also when the answered attempt was sent, by [`elapsed`].
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
            // The holder of the lock creates a new connection.
            if matches!(failure, Failure::Lost(_))
                && let Ok(mut link) = self.link.try_lock()
            {
                link.take_if(|link| used.as_ref().is_some_and(|used| Arc::ptr_eq(link, used)));
            }
            attempts.again(failure, "").await?;
        }
    }

    /// The connection; connects if there is none.
    async fn connected(&self) -> std::result::Result<Arc<Link>, Failure> {
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| !link.client.is_closed()) {
            return Ok(link.clone());
        }
        let fresh = Link::ready(&self.url, self.patience, |_, _| {}).await?;
        Ok(link.insert(Arc::new(fresh)).clone())
    }
}
