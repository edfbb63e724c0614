//! Transactions that only the holder of a lease may commit.

use crate::Failure;
use domain::error::Error;
use storage::fence::Fence;
use tokio_postgres::GenericClient;

/// Rejects a transaction of a former holder. Until the transaction ends, nobody else can take the lease.
pub(crate) async fn check(fence: &Fence, transaction: &impl GenericClient) -> Result<(), Failure> {
    let held = "SELECT 1 FROM signalloop_leases WHERE name = $1 AND token = $2 FOR SHARE";
    match transaction.query_opt(held, &[&fence.name, &fence.token]).await? {
        Some(_) => Ok(()),
        None => Err(Failure::Refused(Error::LeaseLost(fence.name.clone()))),
    }
}
