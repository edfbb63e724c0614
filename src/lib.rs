//! signalloop: a trading backend that learns from its own signals.
//!
//! # Words
//! - **candle**: open time (UTC), open, high, low, close, volume of one closed interval.
//! - **signal**: BUY, SELL or HOLD of a symbol at a time, with entry price, stop loss, take profit, confidence 0–100.
//! - **outcome**: what became of a signal: `ACTIVE`, `TOOK_PROFIT`, `STOPPED_OUT`, and at expiry or by hand `SUCCESS`
//!   or `FAILURE` by the sign of its profit; `UNKNOWN` where it ended while no prices are known.
//! - **triple barrier**: take profit, stop loss, expiry: whichever is touched first closes the signal.
//! - **label**: what a BUY, and what a SELL, at a bar would have come to, by the same triple barrier.
//! - **champion**, **challenger**: the model in service, the newly trained one.
//! - **gap**: a hole in a series of candles that is no night, weekend or holiday of the market and too long to be bridged:
//!   features start anew, and no label reaches across one.
//! - **horizon** of a model: the close of the last candle that any of its labels saw; only rows after it can score it.
//! - **gate**: what decides whether a challenger becomes champion; **ledger**: where every such trial is written down.
//! - **task**: what the scheduler runs: fetch, retrain, update, evaluate, watch; **leader**: the process of a home, or of
//!   a database, whose scheduler runs them, while those of the others stand by.
//! - **lease**: a place, such as the leader's, that a database gives for a while; its **token** grows with each new holder, and
//!   what is written with an older one is refused. **job**: a market of a training that instances share.
//! - **home**: the folder that holds everything, `./ml` by default.
//!
//! # Units
//! Times are UTC epoch milliseconds. Prices are finite positive `f64`. Percent is 0–100, a probability is 0–1.
//!
//! # Modules, each importing only from those above it
//! Those of `core.rs` are a crate of their own, compiled for speed: the feedback store, the features, models and what they need.
//! The rest is compiled for size.

pub mod cli;
pub mod database;
pub mod doctor;
pub mod engine;
pub mod home;
pub mod report;
pub mod scheduler;

#[cfg(feature = "node")]
mod binding;

// What the tests of `tests/` share, for those that need what is private.
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
extern crate self as signalloop;

pub use signalloop_core::{barrier, cancel, config, error, features, files, learning, signal, symbol, time};
use signalloop_core::threads;

pub mod feedback {
    //! The feedback store, and where it is kept.

    #[cfg(feature = "postgres")]
    mod table;
    mod whereabouts;

    pub use signalloop_core::feedback::*;
    #[cfg(feature = "postgres")]
    pub use table::open_database;
    pub use whereabouts::{FILES, Whereabouts};
}

pub mod market {
    //! Candles: what they are, where they come from, how they are kept.

    mod exchange;
    mod growing;
    mod http;
    mod import;
    mod limits;
    mod pages;
    mod simulator;
    mod source;
    mod walk;

    pub use exchange::Exchange;
    pub use http::Pace;
    pub use import::{Checked, check_file, import, stored_markets};
    pub use pages::{PAGE_TIME, all_pages};
    pub use signalloop_core::market::*;
    pub use simulator::{Fault, Simulator, SimulatorOptions};
    pub use source::{
        Begin, CandleFuture, CandleSource, Fetched, FirstFuture, Found, Listing, ListingFuture, check_given, update,
        update_telling,
    };
    pub use walk::{Reached, Tell};
}

pub mod model {
    //! Models: families of learners, how good they are, their files, and which of them is in service.

    mod registry;
    mod state;

    pub use registry::{CopiedModels, Listed, RefusedModels, Registry};
    pub use signalloop_core::model::*;
}
