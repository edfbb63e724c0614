//! Candles: what they are, where they come from, how they are kept.

mod candle;

pub use candle::{Candle, check_series};
