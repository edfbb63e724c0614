//! The exchanges that candles and prices can come from, by the name in the configuration.

use std::fmt;
use std::str::FromStr;

/// An exchange whose public interface is built in. Spot markets, except for `binance-usdm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Venue {
    /// `binance`: Binance's spot market.
    #[default]
    Binance,
    /// `binance-testnet`: the test network of Binance's spot market.
    BinanceTestnet,
    /// `binance-usdm`: Binance's futures margined in USD stablecoins.
    BinanceUsdm,
    /// `binance-usdm-testnet`: the test network of those futures.
    BinanceUsdmTestnet,
    /// `bybit`: Bybit's spot market.
    Bybit,
    /// `okx`: OKX's spot market.
    Okx,
    /// `kraken`: Kraken's spot market.
    Kraken,
    /// `coinbase`: Coinbase's spot market.
    Coinbase,
    /// `kucoin`: KuCoin's spot market.
    Kucoin,
}

impl Venue {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Binance,
        Self::BinanceTestnet,
        Self::BinanceUsdm,
        Self::BinanceUsdmTestnet,
        Self::Bybit,
        Self::Okx,
        Self::Kraken,
        Self::Coinbase,
        Self::Kucoin,
    ];

    /// What a name may be, phrased for an error.
    pub const ALLOWED: &str = "must be \"binance\", \"binance-testnet\", \"binance-usdm\", \"binance-usdm-testnet\", \"bybit\", \
                               \"okx\", \"kraken\", \"coinbase\" or \"kucoin\"; for another exchange, see `fetchCandles`";

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::BinanceTestnet => "binance-testnet",
            Self::BinanceUsdm => "binance-usdm",
            Self::BinanceUsdmTestnet => "binance-usdm-testnet",
            Self::Bybit => "bybit",
            Self::Okx => "okx",
            Self::Kraken => "kraken",
            Self::Coinbase => "coinbase",
            Self::Kucoin => "kucoin",
        }
    }

    /// The name for people, such as `Binance USD-M futures`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Binance => "Binance",
            Self::BinanceTestnet => "Binance testnet",
            Self::BinanceUsdm => "Binance USD-M futures",
            Self::BinanceUsdmTestnet => "Binance USD-M futures testnet",
            Self::Bybit => "Bybit",
            Self::Okx => "OKX",
            Self::Kraken => "Kraken",
            Self::Coinbase => "Coinbase",
            Self::Kucoin => "KuCoin",
        }
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Venue {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|venue| venue.as_str() == text).ok_or(Self::ALLOWED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exchange_has_a_name_that_the_error_lists() {
        for venue in Venue::ALL {
            assert_eq!(venue.as_str().parse(), Ok(venue));
            assert!(Venue::ALLOWED.contains(&format!("\"{venue}\"")), "{venue}");
        }
        assert_eq!(Venue::ALLOWED.matches('"').count(), 2 * Venue::ALL.len());
        for unknown in ["", "Binance", "bitfinex"] {
            assert_eq!(unknown.parse::<Venue>(), Err(Venue::ALLOWED), "{unknown}");
        }
    }
}
