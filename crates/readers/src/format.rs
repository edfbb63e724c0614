//! The formats by name.

use super::{Options, Reading, Refused};

/// What a file was written by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Backtest results and trades of freqtrade, as JSON or as its archive.
    Freqtrade,
    /// Trades of Jesse, as JSON.
    Jesse,
    /// Signals of backtest-kit, as JSON.
    BacktestKit,
    /// Alerts of TradingView, as JSON.
    TradingView,
    /// Messages of a channel.
    Text,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Freqtrade, Self::Jesse, Self::BacktestKit, Self::TradingView, Self::Text];

    /// Its name, which is also the `source` of its signals unless the caller says another.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Freqtrade => "freqtrade",
            Self::Jesse => "jesse",
            Self::BacktestKit => "backtest-kit",
            Self::TradingView => "tradingview",
            Self::Text => "text",
        }
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Reads the content of a file.
    pub fn read(self, content: &[u8], options: &Options) -> Reading {
        if self == Self::Freqtrade && content.starts_with(b"PK") {
            return super::from_freqtrade_zip(content, options);
        }
        let text = match std::str::from_utf8(content) {
            // Some editors begin a file with this mark.
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let place = format!("byte {}", error.valid_up_to() + 1);
                let byte = content.get(error.valid_up_to()).copied().unwrap_or_default();
                return Reading::nothing(Refused::new(place, "must be UTF-8 text", format!("0x{byte:02x}")));
            }
        };
        match self {
            Self::Freqtrade => super::from_freqtrade(text, options),
            Self::Jesse => super::from_jesse(text, options),
            Self::BacktestKit => super::from_backtest_kit(text, options),
            Self::TradingView => super::from_tradingview(text, options),
            Self::Text => super::from_text(text, options),
        }
    }
}
