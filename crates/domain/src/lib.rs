//! The vocabulary of signalloop: times, symbols, candles, signals, the configuration, and the rule that closes a signal.
//!
//! It imports no other crate of signalloop. It opens no connection, and the current time comes from [`time::Clock`]. It reads no
//! file other than the configuration ([`config::Config::load`]).
//!
//! # Terms
//! - **candle**: open time (UTC), open, high, low, close and volume of one closed interval.
//! - **signal**: BUY, SELL or HOLD of a symbol at a time, with entry price, stop loss, take profit, confidence 0–100.
//! - **outcome**: the result of a signal: `ACTIVE`, `TOOK_PROFIT`, `STOPPED_OUT`. A signal that expires or is closed manually
//!   ends as `SUCCESS` or `FAILURE`, by the sign of its profit. `UNKNOWN` if it ended while no prices are known.
//! - **triple barrier**: take profit, stop loss and expiry; whichever is touched first closes the signal.
//! - **label**: for each past candle: would a BUY (SELL) opened there have reached its target before its stop?
//! - **champion**, **challenger**: the model in service, and a newly trained one.
//! - **gap**: missing candles that are no night, weekend or holiday of the market and too many to skip over. Features start anew
//!   after a gap, and no label crosses one.
//! - **horizon** of a model: the close of the last candle that its labels used. Only later rows can test the model.
//! - **gate**: the test that a challenger must pass to become champion; **ledger**: the record of all such tests.
//! - **task**: what the scheduler runs: fetch, retrain, update, evaluate, watch. **leader**: the one process of a home, or of a
//!   database, whose scheduler runs them; the others stand by.
//! - **lease**: a role, such as leader, that a database grants for a limited time. Its **token** grows with each new holder, and
//!   writes with an older token are rejected. **job**: the part of a shared training that covers one timeframe.
//! - **home**: the folder that contains all data, `./ml` by default.
//!
//! # Units
//! Times are UTC epoch milliseconds. Prices are finite positive `f64`. Percent is 0–100, a probability is 0–1.
//!
//! # Example
//! ```
//! use domain::barrier::{Direction, Levels, Outcome};
//!
//! let levels = Levels::checked(Direction::Buy, 100.0, Some(95.0), Some(110.0)).unwrap();
//! assert_eq!(levels.on_tick(111.0, 0).map(|exit| exit.outcome), Some(Outcome::TookProfit));
//! ```

pub mod answer;
pub mod barrier;
pub mod calendar;
pub mod cancel;
pub mod candle;
pub mod config;
pub mod error;
pub mod features;
pub mod proportions;
pub mod signal;
pub mod symbol;
pub mod threads;
pub mod time;
pub mod venue;
