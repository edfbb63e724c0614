//! The adapters for PostgreSQL against a real server. One binary, so that linking happens once.
#![allow(clippy::unwrap_used)]

#[cfg(unix)]
mod chaos;
mod pools;
mod registry_postgres;
mod store_postgres;
