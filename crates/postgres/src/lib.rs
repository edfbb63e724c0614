//! PostgreSQL, or a database with its protocol and SQL: connections, leases, the schema, and the adapters of the three ports for
//! signals ([`feedback`]), models ([`registry`]) and coordination ([`coordination`]).
//!
//! It imports `domain`, `storage`, `learning`, `feedback`, `registry` and `scheduler`. Beside `exchange` it is the only crate
//! that opens connections. `docs/postgres.md` explains its use.
//!
//! # Example
//! ```
//! use postgres::StoreUrl;
//!
//! let url = StoreUrl::parse("postgres://app:secret@localhost/trading?sslmode=disable").unwrap();
//! // The password is never shown.
//! assert!(!url.to_string().contains("secret"));
//! assert!(StoreUrl::parse("mysql://localhost/trading").is_err());
//! ```

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
