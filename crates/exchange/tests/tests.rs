//! Candles through the real protocol, with faults; the exchange is `simulator`. One binary, so that linking happens once.
#![allow(clippy::unwrap_used)]

mod dirty;
mod exchange;
mod exchange_soak;
mod history;
mod origins;
mod stream;
mod stream_proxy;
mod stream_server;
mod venues;
