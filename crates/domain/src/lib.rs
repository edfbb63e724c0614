//! What signalloop talks about: times, symbols, candles, signals, the configuration, and the one rule that closes a signal.
//!
//! It reads no file and opens no connection; the clock is [`time::Clock`]. It imports no other crate of signalloop.
//!
//! # Words
//! - **candle**: open time (UTC), open, high, low, close, volume of one closed interval.
//! - **signal**: BUY, SELL or HOLD of a symbol at a time, with entry price, stop loss, take profit, confidence 0–100.
//! - **outcome**: the result of a signal: `ACTIVE`, `TOOK_PROFIT`, `STOPPED_OUT`, and at expiry or by hand `SUCCESS`
//!   or `FAILURE` by the sign of its profit; `UNKNOWN` where it ended while no prices are known.
//! - **triple barrier**: take profit, stop loss, expiry: whichever is touched first closes the signal.
//! - **label**: for each past candle: would a BUY (SELL) opened there have reached its target before its stop?
//! - **champion**, **challenger**: the model in service, the newly trained one.
//! - **gap**: a hole in a series of candles that is no night, weekend or holiday of the market and too long to be bridged:
//!   features start anew, and no label reaches across one.
//! - **horizon** of a model: the close of the last candle that any of its labels saw; only rows after it can score it.
//! - **gate**: the test that a challenger must pass to become champion; **ledger**: the record of every such trial.
//! - **task**: what the scheduler runs: fetch, retrain, update, evaluate, watch; **leader**: the process of a home, or of
//!   a database, whose scheduler runs them, while those of the others stand by.
//! - **lease**: a role, such as the leader's, that a database gives for a limited time; its **token** grows with each new holder,
//!   and writes with an older one are rejected. **job**: a timeframe of a training that instances share.
//! - **home**: the folder that holds everything, `./ml` by default.
//!
//! # Units
//! Times are UTC epoch milliseconds. Prices are finite positive `f64`. Percent is 0–100, a probability is 0–1.
//!
//! # Example
//! ```
//! use domain::barrier::{Direction, Levels, Outcome};
//!
//! let levels = Levels::checked(Direction::Buy, 100.0, Some(95.0), Some(110.0)).unwrap();
//! assert_eq!(levels.at_price(111.0).map(|exit| exit.outcome), Some(Outcome::TookProfit));
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
