//! One closed interval of prices.

use crate::error::{Error, Result};

/// A closed candle: prices are finite and positive, `low <= open, close <= high`, and volume is finite and not negative.
/// [`Candle::check`] is the one place that verifies it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candle {
    /// Open time, UTC epoch milliseconds.
    pub open_ms: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Volume in the base asset.
    pub volume: f64,
}

impl Candle {
    /// Returns the candle if it is valid. `index` is its position, for the error.
    pub fn check(self, index: usize) -> Result<Self> {
        let wrong =
            |field, problem, value: f64| Err(Error::InvalidCandle { index, field, problem, value: value.to_string() });
        for (field, price) in [("open", self.open), ("high", self.high), ("low", self.low), ("close", self.close)] {
            if !(price.is_finite() && price > 0.0) {
                return wrong(field, "must be a finite price above 0", price);
            }
        }
        if !(self.volume.is_finite() && self.volume >= 0.0) {
            return wrong("volume", "must be finite and not negative", self.volume);
        }
        if self.low > self.open.min(self.close) {
            return wrong("low", "must not be above open or close", self.low);
        }
        if self.high < self.open.max(self.close) {
            return wrong("high", "must not be below open or close", self.high);
        }
        Ok(self)
    }

    /// The same candle, with high and low extended to include open and close. A candle with an invalid price stays as it is.
    pub fn widened(self) -> Self {
        let prices = [self.open, self.high, self.low, self.close];
        if !prices.iter().all(|price| price.is_finite() && *price > 0.0) {
            return self;
        }
        let (high, low) = (self.high.max(self.open).max(self.close), self.low.min(self.open).min(self.close));
        Self { high, low, ..self }
    }
}

/// Checks each candle, and that open times strictly ascend.
pub fn check_series(candles: &[Candle]) -> Result<()> {
    for (index, candle) in candles.iter().enumerate() {
        candle.check(index)?;
        if index > 0 && candle.open_ms <= candles[index - 1].open_ms {
            return Err(Error::InvalidCandle {
                index,
                field: "time",
                problem: "must be later than the candle before (oldest first, no duplicates)",
                value: crate::time::format_iso(candle.open_ms),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Candle =
        Candle { open_ms: 1_700_000_000_000, open: 10.0, high: 12.0, low: 9.0, close: 11.0, volume: 5.0 };

    #[test]
    fn every_impossible_field_is_named() {
        assert!(GOOD.check(0).is_ok());
        let cases = [
            ("open", Candle { open: f64::NAN, ..GOOD }),
            ("high", Candle { high: f64::INFINITY, ..GOOD }),
            ("low", Candle { low: 0.0, ..GOOD }),
            ("close", Candle { close: -1.0, ..GOOD }),
            ("volume", Candle { volume: -1.0, ..GOOD }),
            ("low", Candle { low: 10.5, ..GOOD }),
            ("high", Candle { high: 10.5, ..GOOD }),
        ];
        for (expected, candle) in cases {
            match candle.check(3) {
                Err(Error::InvalidCandle { index: 3, field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn order_is_checked() {
        assert!(check_series(&[GOOD, GOOD]).is_err());
        assert!(check_series(&[GOOD, Candle { open_ms: GOOD.open_ms + 1, ..GOOD }]).is_ok());
    }
}
