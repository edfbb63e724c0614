//! One connection, and what becomes of it.

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

/// An instance that holds a lock and says nothing for so long loses its connection: it was stopped, or cut off.
const MOST_IDLE: Duration = Duration::from_secs(5);
/// So often a lock may be asked for within the patience of a call.
const LOCK_TRIES: u128 = 5;

/// A connection; ends when dropped.
pub(crate) struct Link {
    pub client: Client,
    driver: JoinHandle<()>,
}

impl Link {
    /// Connects, always to the same server. `notified` is told who notified, by the number of its server process, and what.
    pub async fn open(url: &StoreUrl, notified: impl Fn(i32, &str) + Send + 'static) -> Result<Self, Failure> {
        // One way for both, since each brings the whole client along: without TLS, `sslmode` keeps it from being asked for.
        let tls = MakeRustlsConnect::new((*url.tls).clone());
        let (client, connection) = url.config.connect(tls).await.map_err(|e| Failure::to_connect(url, e))?;
        let link = Self { client, driver: tokio::spawn(drive(connection, notified)) };
        link.refuse_another_server(url).await?;
        Ok(link)
    }

    /// Refuses another server than the one that this loop began with: nothing of what was acknowledged is known to be there.
    /// A standby that took over is the same one.
    async fn refuse_another_server(&self, url: &StoreUrl) -> Result<(), Failure> {
        let found = match self.text("SELECT system_identifier FROM pg_control_system()").await {
            Ok(found) => found,
            // It does not say, as one that only speaks PostgreSQL's protocol, or to whom that is not granted.
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

    /// The one text that a query gives. Nothing is prepared for it.
    pub(super) async fn text(&self, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
        let messages = self.client.simple_query(sql).await?;
        Ok(messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// [`Self::open`], and brings the tables up to date. No lock is waited for longer than a part of `patience`, so that whoever
    /// waits here hears of it, and can ask again.
    pub async fn ready(
        url: &StoreUrl,
        patience: Duration,
        notified: impl Fn(i32, &str) + Send + 'static,
    ) -> Result<Self, Failure> {
        let link = Self::open(url, notified).await?;
        let (most, idle) = ((patience.as_millis() / LOCK_TRIES).max(1), MOST_IDLE.as_millis());
        // Before the role's own `statement_timeout`, which would not say that it was a lock.
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
