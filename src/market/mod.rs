//! Candles: what they are, where they come from, how they are kept.

mod candle;
mod csv;
mod exchange;
mod findings;
mod gaps;
mod http;
mod import;
mod kline;
mod limits;
mod local;
mod reader;
mod series;
mod simulator;
mod source;

pub use candle::{Candle, check_series};
pub use csv::{candle_file, merge, write_csv};
pub use exchange::Exchange;
pub use findings::{Cause, Finding, Findings};
pub use gaps::Hole;
pub use http::Pace;
pub use import::{Checked, check_file, import, stored_markets};
pub use reader::{Columns, Reading, read_candles};
pub use series::price_step;
pub use simulator::{Fault, Simulator, SimulatorOptions};
pub use source::{Begin, CandleFuture, CandleSource, Fetched, Found, check_given, update};
