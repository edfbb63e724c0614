//! Candles: what they are, where they come from, how they are kept.

#[doc(hidden)]
pub mod calendar;
mod candle;
mod columns;
#[doc(hidden)]
pub mod csv;
#[doc(hidden)]
pub mod findings;
#[doc(hidden)]
pub mod gaps;
#[doc(hidden)]
pub mod given;
mod json;
#[doc(hidden)]
pub mod kline;
mod layout;
mod local;
mod origin;
#[doc(hidden)]
pub mod path;
#[doc(hidden)]
pub mod reader;
#[doc(hidden)]
pub mod series;
mod stamp;
mod table;

pub use calendar::Calendar;
pub use candle::{Candle, check_series};
pub use columns::Columns;
pub use csv::{candle_file, merge, write_csv};
pub use findings::{Cause, Finding, Findings};
pub use gaps::Hole;
pub use origin::Origin;
pub use reader::{BadRows, Reading, read_candles};
pub use series::price_step;
pub use stamp::DateOrder;
