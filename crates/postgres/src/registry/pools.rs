//! Pooled models in the table `signalloop_pools`.

use super::CARRYING;
use super::session::{Prepared, column};
use crate::Failure;
use registry::pool::Pool;
use registry::store::{Checksum, Next};
use std::collections::BTreeMap;
use tokio_postgres::GenericClient;

/// Writes missing pooled models, and prevents others from deleting existing ones until the transaction ends. `false` if a version
/// needs one that neither exists nor is part of the change.
pub(super) async fn write_pools(client: &impl GenericClient, change: &Prepared) -> std::result::Result<bool, Failure> {
    let Next { versions, pools, .. } = &change.next;
    // Always in the same order, so that two writers of several models do not deadlock.
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

/// Writes a pooled model, or repairs a damaged one.
async fn write_pool(client: &impl GenericClient, pool: &Pool) -> std::result::Result<(), Failure> {
    // During the transfer the server considers this connection idle.
    let row = client.query_one("SELECT current_setting('idle_in_transaction_session_timeout')", &[]).await?;
    let usual: String = column(&row, 0)?;
    be_patient(client, &format!("{}s", CARRYING.as_secs())).await?;
    let sql = "INSERT INTO signalloop_pools (checksum, bytes) VALUES ($1, $2) \
        ON CONFLICT (checksum) DO UPDATE SET bytes = excluded.bytes";
    client.execute(sql, &[&pool.checksum().as_slice(), &pool.bytes()]).await?;
    be_patient(client, &usual).await
}

/// Sets how long the server lets this transaction be idle.
async fn be_patient(client: &impl GenericClient, time: &str) -> std::result::Result<(), Failure> {
    let sql = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)";
    client.query_one(sql, &[&time]).await?;
    Ok(())
}

/// Whether a pooled model is undamaged; `None` if it does not exist.
pub(super) async fn is_whole(
    client: &impl GenericClient,
    checksum: &Checksum,
    lock: &str,
) -> std::result::Result<Option<bool>, Failure> {
    let sql = format!("SELECT sha256(bytes) = checksum FROM signalloop_pools WHERE checksum = $1 {lock}");
    let row = client.query_opt(&sql, &[&checksum.as_slice()]).await?;
    row.map(|row| column(&row, 0)).transpose()
}

/// Deletes the pooled models that no version needs.
pub(super) async fn purge_pools(client: &impl GenericClient) -> std::result::Result<(), Failure> {
    const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM signalloop_models AS v WHERE v.pool = p.checksum)";
    // A pooled model that another change is about to use is locked by that change and skipped. Once the others are locked, no
    // change can use them. Then they are checked again, since such a change may have been committed meanwhile.
    let sql = format!("SELECT checksum FROM signalloop_pools AS p WHERE {UNUSED} FOR UPDATE OF p SKIP LOCKED");
    let rows = client.query(&sql, &[]).await?;
    let unused = rows.iter().map(|row| column::<&[u8]>(row, 0)).collect::<std::result::Result<Vec<_>, Failure>>()?;
    if !unused.is_empty() {
        let sql = format!("DELETE FROM signalloop_pools AS p WHERE checksum = ANY($1) AND {UNUSED}");
        client.execute(&sql, &[&unused]).await?;
    }
    Ok(())
}
