//! Which version is in service, after crashes and with concurrent processes. One binary, so that linking happens once.
#![allow(clippy::unwrap_used)]

mod pools;
mod registry;
