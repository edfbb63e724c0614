//! Tests of candle sources over the real protocol, with faults; the exchange is `simulator`. One binary, so that it is
//! linked once.
#![allow(clippy::unwrap_used)]

mod dirty;
mod exchange;
mod exchange_soak;
mod history;
mod origins;
