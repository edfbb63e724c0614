//! Tests of the PostgreSQL adapters against a real server. One binary, so that it is linked once.
#![allow(clippy::unwrap_used)]

#[cfg(unix)]
mod chaos;
mod pools;
mod registry_postgres;
mod store_postgres;
