//! One connection, and how it ends.

use super::pooler::refuse_shared_sessions;
use super::{Failure, StoreUrl};
use domain::error::{Error, Resource};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Connection, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The server closes a connection that holds a lock and is silent for this long: its instance was stopped or disconnected.
const MOST_IDLE: Duration = Duration::from_secs(5);
/// How many times a lock may be requested within a call's patience.
const LOCK_TRIES: u128 = 5;

/// A connection; dropping it ends it.
pub(crate) struct Link {
    pub client: Client,
    driver: JoinHandle<()>,
}

impl Link {
    /// Connects, always to the same server. `notified` receives the server process that sent a notification, and its text.
    pub async fn open(url: &StoreUrl, notified: impl Fn(i32, &str) + Send + 'static) -> Result<Self, Failure> {
        // One way for both, since each brings the whole client along: without TLS, `sslmode` keeps it from being asked for.
        let tls = MakeRustlsConnect::new((*url.tls).clone());
        let (client, connection) = url.config.connect(tls).await.map_err(|e| Failure::to_connect(url, e))?;
        let link = Self { client, driver: tokio::spawn(drive(connection, notified)) };
        link.refuse_another_server(url).await?;
        Ok(link)
    }

    /// Rejects another server than the first one of this loop, since acknowledged data may be missing there. A standby that took
    /// over counts as the same server.
    async fn refuse_another_server(&self, url: &StoreUrl) -> Result<(), Failure> {
        let found = match self.text("SELECT system_identifier FROM pg_control_system()").await {
            Ok(found) => found,
            // The server does not say: it only speaks PostgreSQL's protocol, or the role may not ask.
            Err(e) if e.as_db_error().is_some() => None,
            Err(e) => return Err(e.into()),
        };
        let Some(found) = found else { return Ok(()) };
        let first = url.server.identity(&found);
        if first == found {
            return Ok(());
        }
        Err(Failure::Refused(Error::storage(
            Resource::Database,
            format!(
                "another server answers at {url}: its system identifier is {found}, that of the one that this loop began with is \
             {first}; what was acknowledged there may be missing here: let the URL lead to that one again, or, if the change is \
             meant (another cluster, pg_upgrade), restart this process"
            ),
        )))
    }

    /// The single text that a query returns; nothing is prepared.
    pub(super) async fn text(&self, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
        let messages = self.client.simple_query(sql).await?;
        Ok(messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// [`Self::open`], and updates the tables. Waits for a lock only a part of `patience`, so that callers learn about it and can
    /// retry.
    pub async fn ready(
        url: &StoreUrl,
        patience: Duration,
        notified: impl Fn(i32, &str) + Send + 'static,
    ) -> Result<Self, Failure> {
        let link = Self::open(url, notified).await?;
        let (most, idle) = ((patience.as_millis() / LOCK_TRIES).max(1), MOST_IDLE.as_millis());
        // Shorter than the role's own `statement_timeout`, whose error would not say that it was a lock.
        let limits = format!(
            "SELECT set_config('idle_in_transaction_session_timeout', '{idle}', false), \
               set_config('lock_timeout', CASE WHEN setting::bigint > 0 THEN least({most}, greatest(setting::bigint / 2, 1)) \
                 ELSE {most} END::text, false) \
             FROM pg_settings WHERE name = 'statement_timeout'"
        );
        link.text(&limits).await?;
        if !url.server.is_known_to_keep_sessions() {
            refuse_shared_sessions(&link, url).await?;
        }
        link.migrate(url).await?;
        Ok(link)
    }

    /// [`Self::ready`], and listens to a channel that each schema has for itself; returns its name. `heard` receives the
    /// notifications of others.
    pub async fn listening(
        url: &StoreUrl,
        channel: &str,
        patience: Duration,
        heard: impl Fn(&str) + Send + 'static,
    ) -> Result<(Self, String), Failure> {
        let own = Arc::new(AtomicI32::new(0));
        let by = own.clone();
        let notified = move |process: i32, what: &str| {
            // Our own changes are known already.
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

    /// The server's timeline. It changes when a standby takes over, which may lack the latest commits. `None` if unknown, as with
    /// servers that only speak PostgreSQL's protocol.
    pub async fn timeline(&self) -> Result<Option<String>, Failure> {
        // File names of the write-ahead log begin with the timeline.
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

/// Runs a connection until it ends; then waiting requests receive the reason.
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
