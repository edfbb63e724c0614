//! One connection, and what becomes of it.

use super::StoreUrl;
use crate::error::Error;
use crate::threads::{self, Spawned};
use std::error::Error as _;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

/// An instance that holds a lock and says nothing for so long loses its connection: it was stopped, or cut off.
const MOST_IDLE: Duration = Duration::from_secs(5);

/// Why something could not be done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection is of no use any more, or the server asks for another try: what was said last was done, or not.
    Lost(String),
    /// The server refused; nothing was done, and trying again would not change that.
    Refused(Error),
}

impl Failure {
    /// What went wrong, in words that never hold the password.
    fn of(action: &str, error: &tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            return Self::Lost(format!("{action}: {error}{cause}"));
        };
        // The server's detail may repeat a row; its message does not.
        let text = format!("{action}: {} (SQLSTATE {})", said.message(), said.code().code());
        let class = &said.code().code()[..2];
        let fatal = matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        match said.code() {
            &SqlState::QUERY_CANCELED | &SqlState::LOCK_NOT_AVAILABLE => Self::Refused(Error::StoreBusy(text)),
            // 40: another transaction came between. A server that can only be read may be one that is no longer, or not
            // yet, the one that counts.
            &SqlState::READ_ONLY_SQL_TRANSACTION => Self::Lost(text),
            // 28: who one is. 3D: there is no such database.
            _ if fatal && class != "28" && class != "3D" => Self::Lost(text),
            _ if class == "40" => Self::Lost(text),
            _ => Self::Refused(Error::Store(text)),
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::of("the database", &error)
    }
}

/// A connection; ends when dropped.
pub(crate) struct Link {
    pub client: Client,
    driver: Spawned<()>,
}

impl Link {
    /// Connects. `notified` is told who notified, by the number of its server process, and what.
    pub async fn open(url: &StoreUrl, notified: impl Fn(i32, &str) + Send + 'static) -> Result<Self, Failure> {
        let failed = |e| Failure::of(&format!("cannot connect to {url}"), &e);
        // One way for both, since each brings the whole client along: without TLS, `sslmode` keeps it from being asked for.
        let tls = MakeRustlsConnect::new((*url.tls).clone());
        let (client, connection) = url.config.connect(tls).await.map_err(failed)?;
        Ok(Self { client, driver: threads::spawn(drive(connection, notified)) })
    }

    /// [`Self::open`], and brings the tables up to date. No lock is waited for much longer than `patience`.
    pub async fn ready(
        url: &StoreUrl,
        patience: Duration,
        notified: impl Fn(i32, &str) + Send + 'static,
    ) -> Result<Self, Failure> {
        let link = Self::open(url, notified).await?;
        link.migrate(url).await?;
        // The server gives up a little before whoever waits here does, so that it can say why.
        let (most, idle) = (patience.as_millis() * 4 / 5, MOST_IDLE.as_millis());
        let limits = format!("SET lock_timeout = {most}; SET idle_in_transaction_session_timeout = {idle}");
        link.client.batch_execute(&limits).await?;
        Ok(link)
    }

    /// [`Self::ready`], and listens to a channel that each schema has for itself; its name comes back. `heard` is told what
    /// others notify.
    pub async fn listening(
        url: &StoreUrl,
        channel: &str,
        patience: Duration,
        heard: impl Fn(&str) + Send + 'static,
    ) -> Result<(Self, String), Failure> {
        let own = Arc::new(AtomicI32::new(0));
        let by = own.clone();
        let notified = move |process: i32, what: &str| {
            // What one wrote oneself one knows.
            if process != by.load(Ordering::Relaxed) {
                heard(what);
            }
        };
        let link = Self::ready(url, patience, notified).await?;
        let place = "SELECT pg_backend_pid(), oid FROM pg_namespace WHERE nspname = current_schema()";
        let place = link.client.query_one(place, &[]).await?;
        own.store(place.get(0), Ordering::Relaxed);
        let channel = format!("{channel}_{}", place.get::<_, u32>(1));
        link.client.batch_execute(&format!("LISTEN {channel}")).await?;
        Ok((link, channel))
    }

    /// Which of the server's histories it goes on with: another one whenever a standby took over, which may not have heard of
    /// the last commits. `None` where it cannot be told, as by servers that only speak PostgreSQL's protocol.
    pub async fn timeline(&self) -> Result<Option<String>, Failure> {
        // The name of a file of the write-ahead log begins with it.
        let sql = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)";
        match self.client.query_one(sql, &[]).await {
            Ok(row) => Ok(row.get(0)),
            // A standby has no log of its own (55000).
            Err(e) if e.as_db_error().is_some() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Carries what is said over a connection until it ends; whoever waits for an answer then hears why.
async fn drive<S, T>(mut connection: Connection<S, T>, notified: impl Fn(i32, &str))
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message {
            notified(notification.process_id(), notification.payload());
        }
    }
}
