//! What models and features must do on candles that nobody looked at. One binary, so that it is linked once.
#![allow(clippy::unwrap_used)]

mod docs;
mod forest;
mod look_ahead;
mod models;
mod sessions;
