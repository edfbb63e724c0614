//! PostgreSQL, or what speaks its protocol and SQL: where it is, how to reach it safely, and what its tables look like.
//!
//! `docs/postgres.md` tells what a person needs to know.

#[cfg(feature = "postgres")]
mod attempts;
#[cfg(feature = "postgres")]
mod failure;
mod fence;
#[cfg(feature = "postgres")]
mod leases;
#[cfg(feature = "postgres")]
mod link;
#[cfg(feature = "postgres")]
mod pooler;
#[cfg(feature = "postgres")]
mod schema;
#[cfg(feature = "postgres")]
mod server;
#[cfg(feature = "postgres")]
mod statements;
#[cfg(feature = "postgres")]
mod thread;
#[cfg(feature = "postgres")]
mod url;

#[cfg(feature = "postgres")]
pub(crate) use attempts::Attempts;
#[cfg(feature = "postgres")]
pub(crate) use failure::{Failure, with};
pub use fence::Fence;
#[cfg(feature = "postgres")]
pub use leases::{Lease, Leases};
#[cfg(feature = "postgres")]
pub(crate) use link::Link;
#[cfg(feature = "postgres")]
pub use statements::Parameter;
#[cfg(feature = "postgres")]
pub(crate) use thread::Database;
#[cfg(feature = "postgres")]
pub use thread::PATIENCE;
#[cfg(feature = "postgres")]
pub use url::StoreUrl;

/// This machine's name, as far as it can be told.
pub fn machine() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    if name.is_empty() { "a machine without a name".to_owned() } else { name }
}
