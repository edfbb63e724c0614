//! Tests of models and features. One binary, so that it is linked once.
#![allow(clippy::unwrap_used)]

mod docs;
mod forest;
mod look_ahead;
mod models;
mod nightly;
mod sessions;
