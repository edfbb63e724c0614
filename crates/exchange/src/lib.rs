//! Candles and prices from an exchange: the HTTP client with its limits and retries, Binance's API, and how a market is fetched page
//! by page.
//!
//! Beside `postgres` it is the only crate that opens connections. It imports `domain`, `storage` and `candles`.

mod binance;
mod http;
mod limits;
mod pages;
pub mod source;
mod walk;

pub use binance::Exchange;
pub use http::Pace;
pub use pages::{PAGE_TIME, all_pages};
pub use source::{
    Begin, CandleFuture, CandleSource, FirstFuture, Found, Listing, ListingFuture, check_given, update, update_telling,
};
pub use walk::{Reached, Tell};
