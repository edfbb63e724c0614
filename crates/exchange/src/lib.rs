//! Candles and prices from an exchange: an HTTP client with limits and retries, the APIs of the exchanges (`venues`), fetching
//! a market page by page, and prices by WebSocket ([`stream`]). The ports [`CandleSource`] and [`PriceSource`] are any source
//! of candles and of prices.
//!
//! It imports `domain` and `candles`. Beside `postgres` it is the only crate that opens connections; [`Poster`] sends for others.
//!
//! # Example
//! Updating a candle file from a source; [`Exchange`] is the one for the exchanges that are built in.
//! ```
//! use domain::candle::Candle;
//! use domain::symbol::Market;
//! use exchange::{Begin, CandleFuture, CandleSource, Found, update};
//!
//! struct Fixed;
//!
//! impl CandleSource for Fixed {
//!     fn candles<'a>(&'a self, _: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
//!         let opens = (0..48).map(|hour| 1_735_689_600_000 + hour * 3_600_000);
//!         let candle = |open_ms| Candle { open_ms, open: 10.0, high: 12.0, low: 9.0, close: 10.0, volume: 1.0 };
//!         let candles = opens.filter(|ms| (from_ms..until_ms).contains(ms)).map(candle).collect();
//!         Box::pin(async move { Ok(Found { candles, ..Found::default() }) })
//!     }
//! }
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! let folder = tempfile::tempdir().unwrap();
//! let market = Market::parse("BTC/USDT", "1h").unwrap();
//! let now_ms = 1_735_689_600_000 + 48 * 3_600_000;
//! let fetched = runtime.block_on(update(&Fixed, folder.path(), &market, Begin::Days(7), now_ms)).unwrap();
//! assert_eq!(fetched.total, 48);
//! ```

mod client;
mod dialect;
mod http;
mod limits;
mod pages;
mod post;
mod prices;
pub mod source;
pub mod stream;
mod venues;
mod walk;

pub use client::{Exchange, ServerTime};
pub use http::Pace;
pub use pages::{PAGE_TIME, all_pages};
pub use post::{NotPosted, Posted, Poster};
pub use prices::{PriceFuture, PriceSource, given_prices};
pub use source::{
    Begin, CandleFuture, CandleSource, FirstFuture, Found, Listing, ListingFuture, check_given, update, update_telling,
};
pub use walk::{Reached, Tell};
