//! Whether a connection keeps its session. LISTEN, prepared statements and settings belong to one server process; a pooler that
//! assigns each transaction to any free process loses them silently.

use super::{Failure, Link, StoreUrl};
use domain::error::{Error, Resource};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

/// Time for the second connection. If none can be had, the question stays open.
const WAIT: Duration = Duration::from_secs(2);
/// A second look detects poolers that use processes in turn.
const LOOKS: usize = 2;

/// Rejects a pooler that shares sessions. A second connection keeps a server process busy in a transaction; sessions are shared
/// if that is the first connection's process, or if the first connection gets another one.
pub(super) async fn refuse_shared_sessions(link: &Link, url: &StoreUrl) -> Result<(), Failure> {
    let Ok(Ok(other)) = timeout(WAIT, Link::open(url, |_, _| {})).await else { return Ok(()) };
    let own = process(link, "").await?;
    for _ in 0..LOOKS {
        let theirs = match timeout(WAIT, process(&other, "BEGIN; ")).await {
            Ok(Ok(process)) => process,
            // The pooler does not even keep one process within a transaction.
            Ok(Err(error)) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) => return Err(refusal(url)),
            Ok(Err(_)) | Err(_) => return Ok(()),
        };
        if theirs == own || process(link, "").await? != own {
            return Err(refusal(url));
        }
        if other.client.batch_execute("COMMIT").await.is_err() {
            return Ok(());
        }
    }
    url.server.keeps_sessions();
    Ok(())
}

/// The server process that answers after another statement; nothing is prepared.
async fn process(link: &Link, first: &str) -> Result<Option<String>, tokio_postgres::Error> {
    link.text(&format!("{first}SELECT pg_backend_pid()")).await
}

fn refusal(url: &StoreUrl) -> Failure {
    Failure::Refused(Error::storage(
        Resource::Database,
        format!(
            "{url} is a pooler that gives the statements of one connection to several processes of the server, as PgBouncer does \
         with pool_mode = transaction or statement: what signalloop prepares and listens to is lost there; connect to \
         PostgreSQL itself, or to a pool with pool_mode = session"
        ),
    ))
}
