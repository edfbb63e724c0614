//! Tests of which version is in service, after crashes and with other processes. One binary, so that it is linked once.
#![allow(clippy::unwrap_used)]

mod pools;
mod registry;
