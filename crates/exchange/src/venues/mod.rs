//! The exchanges, one file each.

mod binance;
mod bybit;
mod coinbase;
mod kraken;
mod kucoin;
mod okx;

use super::dialect::Dialect;
use domain::venue::Venue;

/// What an exchange does differently from another.
pub(super) fn dialect(venue: Venue) -> &'static dyn Dialect {
    match venue {
        Venue::Binance => &binance::SPOT,
        Venue::BinanceTestnet => &binance::SPOT_TESTNET,
        Venue::BinanceUsdm => &binance::USDM,
        Venue::BinanceUsdmTestnet => &binance::USDM_TESTNET,
        Venue::Bybit => &bybit::SPOT,
        Venue::Okx => &okx::SPOT,
        Venue::Kraken => &kraken::SPOT,
        Venue::Coinbase => &coinbase::SPOT,
        Venue::Kucoin => &kucoin::SPOT,
    }
}
