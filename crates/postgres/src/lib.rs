//! PostgreSQL, or what speaks its protocol and SQL: where it is, how to reach it safely, and what its tables look like.
//!
//! `docs/postgres.md` tells what a person needs to know.

mod attempts;
pub mod coordination;
mod failure;
pub mod feedback;
mod fencing;
mod leases;
mod link;
mod pooler;
pub mod registry;
mod schema;
mod server;
mod statements;
mod thread;
mod url;

pub(crate) use attempts::Attempts;
pub(crate) use failure::Failure;
pub use leases::{Lease, Leases};
pub(crate) use link::Link;
pub use statements::Parameter;
pub(crate) use thread::Database;
pub use thread::PATIENCE;
pub use url::StoreUrl;
