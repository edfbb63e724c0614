//! Writes that only the holder of a lease may make.

#[cfg(feature = "postgres")]
use super::Failure;
#[cfg(feature = "postgres")]
use crate::error::Error;
#[cfg(feature = "postgres")]
use tokio_postgres::GenericClient;

/// A lease that whoever writes believes to hold. Each holder has a token of its own, higher than all before, so that a former
/// one, which was stopped or cut off and does not know yet, changes nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The lease's name.
    pub name: String,
    /// The holder's token.
    pub token: i64,
}

impl Fence {
    /// Refuses a transaction of a former holder. Until the transaction ends, nobody can take the lease over.
    #[cfg(feature = "postgres")]
    pub(crate) async fn check(&self, transaction: &impl GenericClient) -> Result<(), Failure> {
        let held = "SELECT 1 FROM signalloop_leases WHERE name = $1 AND token = $2 FOR SHARE";
        match transaction.query_opt(held, &[&self.name, &self.token]).await? {
            Some(_) => Ok(()),
            None => Err(Failure::Refused(Error::LeaseLost(self.name.clone()))),
        }
    }
}
