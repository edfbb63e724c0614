//! Whether a connection keeps its session. LISTEN, prepared statements and settings belong to one process of the server;
//! a pooler that gives each transaction to whichever process is free takes them away without a word.

use super::{Failure, Link, StoreUrl};
use domain::error::{Error, Resource};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

/// So long the second connection may take; where it cannot be had, nothing can be told.
const WAIT: Duration = Duration::from_secs(2);
/// Poolers that give the processes out in turns are told apart by the second look.
const LOOKS: usize = 2;

/// Refuses a pooler that shares sessions out, told by a second connection that keeps a process busy in a transaction: it has
/// the process of the first one, or the first one gets another.
pub(super) async fn refuse_shared_sessions(link: &Link, url: &StoreUrl) -> Result<(), Failure> {
    let Ok(Ok(other)) = timeout(WAIT, Link::open(url, |_, _| {})).await else { return Ok(()) };
    let own = process(link, "").await?;
    for _ in 0..LOOKS {
        let theirs = match timeout(WAIT, process(&other, "BEGIN; ")).await {
            Ok(Ok(process)) => process,
            // Its statements are not even given to one process within a transaction.
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

/// The server's process that answers, after something else. Nothing is prepared for it.
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
