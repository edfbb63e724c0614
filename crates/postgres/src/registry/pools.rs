//! Pooled models in the table `signalloop_pools`.

use super::CARRYING;
use super::session::{Prepared, column};
use crate::Failure;
use registry::pool::Pool;
use registry::shelf::{Checksum, Next};
use std::collections::BTreeMap;
use tokio_postgres::GenericClient;

/// Writes the pooled models that are not there, and keeps others from deleting those that are, until the transaction ends. `false`
/// when a version would rest on one that is neither there nor brought along.
pub(super) async fn write_pools(client: &impl GenericClient, change: &Prepared) -> std::result::Result<bool, Failure> {
    let Next { versions, pools, .. } = &change.next;
    // In the same order everywhere, so that two who write several wait for each other in turn.
    let mut needed: BTreeMap<&Checksum, Option<&Pool>> = BTreeMap::new();
    needed.extend(versions.iter().filter_map(|version| Some((version.pool.as_ref()?, None))));
    needed.extend(pools.iter().map(|pool| (pool.checksum(), Some(pool))));
    for (sum, pool) in needed {
        match (is_whole(client, sum, "FOR KEY SHARE").await?, pool) {
            (Some(true), _) => {}
            (Some(false), None) | (None, None) => return Ok(false),
            (_, Some(pool)) => write_pool(client, pool).await?,
        }
    }
    Ok(true)
}

/// Writes a pooled model; one that is damaged is put right.
async fn write_pool(client: &impl GenericClient, pool: &Pool) -> std::result::Result<(), Failure> {
    // While it is on its way, the server takes this connection for idle.
    let row = client.query_one("SELECT current_setting('idle_in_transaction_session_timeout')", &[]).await?;
    let usual: String = column(&row, 0)?;
    be_patient(client, &format!("{}s", CARRYING.as_secs())).await?;
    let sql = "INSERT INTO signalloop_pools (checksum, bytes) VALUES ($1, $2) \
        ON CONFLICT (checksum) DO UPDATE SET bytes = excluded.bytes";
    client.execute(sql, &[&pool.checksum().as_slice(), &pool.bytes()]).await?;
    be_patient(client, &usual).await
}

/// How long the server lets this transaction be idle.
async fn be_patient(client: &impl GenericClient, time: &str) -> std::result::Result<(), Failure> {
    let sql = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)";
    client.query_one(sql, &[&time]).await?;
    Ok(())
}

/// Whether a pooled model has its checksum; `None` when it is not there.
pub(super) async fn is_whole(
    client: &impl GenericClient,
    checksum: &Checksum,
    lock: &str,
) -> std::result::Result<Option<bool>, Failure> {
    let sql = format!("SELECT sha256(bytes) = checksum FROM signalloop_pools WHERE checksum = $1 {lock}");
    let row = client.query_opt(&sql, &[&checksum.as_slice()]).await?;
    row.map(|row| column(&row, 0)).transpose()
}

/// Deletes the pooled models that no version rests on.
pub(super) async fn purge_pools(client: &impl GenericClient) -> std::result::Result<(), Failure> {
    const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM signalloop_models AS v WHERE v.pool = p.checksum)";
    // One that another change is about to rest on is locked by it. Once these are locked, no change can rest on them; then it is
    // looked again, for one may have been committed meanwhile.
    let sql = format!("SELECT checksum FROM signalloop_pools AS p WHERE {UNUSED} FOR UPDATE OF p SKIP LOCKED");
    let rows = client.query(&sql, &[]).await?;
    let unused = rows.iter().map(|row| column::<&[u8]>(row, 0)).collect::<std::result::Result<Vec<_>, Failure>>()?;
    if !unused.is_empty() {
        let sql = format!("DELETE FROM signalloop_pools AS p WHERE checksum = ANY($1) AND {UNUSED}");
        client.execute(&sql, &[&unused]).await?;
    }
    Ok(())
}
