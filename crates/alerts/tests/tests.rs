//! Tests of alerts against a local server with faults. One binary, so that it is linked once.
#![allow(clippy::unwrap_used)]

mod faults;
mod killed;
mod kit;
mod messages;
