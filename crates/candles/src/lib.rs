//! Candle files: reading the forms that others write, checking, repairing, merging and writing them.
//!
//! It imports `domain` and `storage`. It touches files only, and opens no connection.
//!
//! # Example
//! ```
//! use candles::{Reading, read_candles};
//! use domain::symbol::Timeframe;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("btc.csv");
//! let rows = ["Date;Open;High;Low;Close", "2025-09-13 12:00;10;12;9;11", "2025-09-13 13:00;11;13;10;12"];
//! std::fs::write(&path, rows.join("\n")).unwrap();
//! let (candles, findings) = read_candles(&path, Timeframe::H1, &Reading::default()).unwrap();
//! assert_eq!((candles.len(), candles[1].close), (2, 12.0));
//! // The file does not say its time zone; that is reported.
//! assert_eq!(findings.count(candles::Cause::TakenAsUtc), 2);
//! ```

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
pub mod past;
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
pub use past::PastCandles;
pub use reader::{BadRows, Reading, read_candles};
pub use series::price_step;
pub use stamp::DateOrder;
