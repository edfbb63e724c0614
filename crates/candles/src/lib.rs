//! Candle files: reading what others wrote, checking, repairing, joining and writing it.
//!
//! It imports `domain` and `storage`, and touches files only.

pub mod columns;
pub mod csv;
pub mod findings;
pub mod gaps;
pub mod given;
pub mod growing;
pub mod import;
mod json;
pub mod kline;
mod layout;
mod local;
pub mod origin;
pub mod reader;
pub mod series;
mod stamp;
mod table;

pub use columns::Columns;
pub use csv::{candle_file, merge, write_csv};
pub use findings::{Cause, Finding, Findings};
pub use gaps::Hole;
pub use import::{Checked, Fetched, check_file, import, stored_markets};
pub use origin::Origin;
pub use reader::{BadRows, Reading, read_candles};
pub use series::price_step;
pub use stamp::DateOrder;
