//! Candles: what they are, where they come from, how they are kept.

mod candle;
#[doc(hidden)]
pub mod csv;
#[doc(hidden)]
pub mod findings;
#[doc(hidden)]
pub mod gaps;
#[doc(hidden)]
pub mod kline;
mod local;
#[doc(hidden)]
pub mod path;
#[doc(hidden)]
pub mod reader;
#[doc(hidden)]
pub mod series;

pub use candle::{Candle, check_series};
pub use csv::{candle_file, merge, write_csv};
pub use findings::{Cause, Finding, Findings};
pub use gaps::Hole;
pub use reader::{Columns, Reading, read_candles};
pub use series::price_step;
