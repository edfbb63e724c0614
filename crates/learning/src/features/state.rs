//! The features of a market, bar by bar: one candle in, one row out.
//!
//! Every value is computed from closed candles, by state that only moves forward, so a later candle cannot change an
//! earlier row. `tests/look_ahead.rs` checks it by changing the future and comparing the past byte by byte.

use super::cycles::{Cycles, cycles};
use super::window::{Ema, Highest, MeanDeviation, Moments, Past, RollingMean, RollingSum, Wilder};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::features::{COUNT, OF_VOLUME};
use std::sync::Arc;

/// Bars before the first row: the longest window and one bar before it.
pub const WARM_UP: usize = 97;

/// The period of the average true range that levels are based on.
pub const ATR_PERIOD: usize = 14;

/// The features of one bar, in the order of [`domain::features::FEATURES`].
pub type Row = [f64; COUNT];

/// Why a bar has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Fewer than [`WARM_UP`] bars since the start.
    WarmUp,
    /// Fewer than [`WARM_UP`] bars since a gap ([`domain::calendar`]).
    Gap,
    /// Prices did not move over a whole window, so a ratio is undefined.
    FlatPrices,
    /// No volume, or an unchanging one, over a whole window.
    NoVolume,
}

impl Missing {
    /// The cause in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::Gap => "after a gap",
            Self::FlatPrices => "flat prices",
            Self::NoVolume => "no volume",
        }
    }
}

const RETURNS: [usize; 7] = [1, 2, 3, 6, 12, 24, 48];

/// The window lengths for highs and lows; other code refers to them by position.
const EXTREMES: [usize; 4] = [14, 24, 28, 96];
const BARS_14: usize = 0;
const BARS_24: usize = 1;
const BARS_28: usize = 2;
const BARS_96: usize = 3;

/// The values of a bar that windows need.
#[derive(Debug, Clone, Copy, Default)]
struct Bar {
    close: f64,
    log_return: f64,
    true_range: f64,
    stochastic: f64,
    typical_price: f64,
    volume: f64,
    up_volume: f64,
    down_volume: f64,
    money_in: f64,
    money_out: f64,
}

/// The rolling state of one market. See [`domain::features::FEATURES`] for the meaning of each value.
#[derive(Debug, Clone)]
pub struct FeatureState {
    calendar: Arc<Calendar>,
    /// The market has no volume, so its volume features carry no information.
    is_silent: bool,
    after_gap: bool,
    last: Option<Candle>,
    /// Longer than the longest window, 96 bars.
    past: Past<Bar, 128>,
    short_returns: Moments<24>,
    long_returns: Moments<96>,
    long_range: RollingMean<50>,
    stochastic_d: RollingMean<3>,
    bollinger: Moments<20>,
    trend: RollingMean<50>,
    typical: RollingMean<20>,
    typical_deviation: MeanDeviation<20>,
    short_volume: RollingMean<20>,
    long_volume: Moments<50>,
    up_volume: RollingSum<20>,
    down_volume: RollingSum<20>,
    money_in: RollingSum<14>,
    money_out: RollingSum<14>,
    highs: Highest<4>,
    /// Negated lows, so that their maximum is the lowest low.
    lows: Highest<4>,
    /// Gains and losses.
    rsi_fast: Wilder<2>,
    rsi: Wilder<2>,
    /// Upward movement, downward movement and true range.
    directional: Wilder<3>,
    adx: Wilder<1>,
    fast: Ema,
    slow: Ema,
    signal: Ema,
    /// The average true range after the last bar.
    atr: Option<f64>,
    di: Option<(f64, f64)>,
    macd: f64,
    macd_signal: f64,
    streak: f64,
}

impl FeatureState {
    /// State before the first candle of a market that never closes; `step_ms` is the candle's length.
    pub fn new(step_ms: i64) -> Self {
        Self::within(Arc::new(Calendar::always(step_ms)))
    }

    /// The same for a market that trades by `calendar`.
    fn within(calendar: Arc<Calendar>) -> Self {
        Self {
            calendar,
            is_silent: false,
            after_gap: false,
            last: None,
            past: Past::default(),
            short_returns: Moments::default(),
            long_returns: Moments::default(),
            long_range: RollingMean::default(),
            stochastic_d: RollingMean::default(),
            bollinger: Moments::default(),
            trend: RollingMean::default(),
            typical: RollingMean::default(),
            typical_deviation: MeanDeviation::default(),
            short_volume: RollingMean::default(),
            long_volume: Moments::default(),
            up_volume: RollingSum::default(),
            down_volume: RollingSum::default(),
            money_in: RollingSum::default(),
            money_out: RollingSum::default(),
            highs: Highest::new(EXTREMES),
            lows: Highest::new(EXTREMES),
            rsi_fast: Wilder::new(7),
            rsi: Wilder::new(14),
            directional: Wilder::new(ATR_PERIOD),
            adx: Wilder::new(14),
            fast: Ema::new(12),
            slow: Ema::new(26),
            signal: Ema::new(9),
            atr: None,
            di: None,
            macd: 0.0,
            macd_signal: 0.0,
            streak: 0.0,
        }
    }

    /// The same for `candles`, by the market's calendar. Where all have the same volume, the volume features are
    /// constants.
    pub fn of(candles: &[Candle], calendar: &Arc<Calendar>) -> Self {
        Self { is_silent: is_silent(candles), ..Self::within(calendar.clone()) }
    }

    /// Goes on with another calendar of the market, which says the same of all candles so far.
    pub(super) fn trade_by(&mut self, calendar: &Arc<Calendar>) {
        self.calendar = calendar.clone();
    }

    /// The average true range (Wilder, 14 bars) after the last candle, in price units; `None` while warming up.
    pub fn atr(&self) -> Option<f64> {
        self.atr
    }

    /// Takes the next closed candle and returns its row, or why there is none.
    pub fn next(&mut self, candle: &Candle) -> Result<Row, Missing> {
        let mut row = [0.0; COUNT];
        self.write(candle, cycles, &mut row)?;
        Ok(row)
    }

    /// [`Self::next`] into an existing row. `cycles` gives the cycles of an opening time.
    pub(super) fn write(
        &mut self,
        candle: &Candle,
        cycles: impl FnOnce(i64) -> Cycles,
        row: &mut Row,
    ) -> Result<(), Missing> {
        self.skip(candle);
        if self.past.count() < WARM_UP {
            return Err(if self.after_gap { Missing::Gap } else { Missing::WarmUp });
        }
        self.describe(candle, cycles, row)?;
        // Finite inputs overflow only where prices jump by hundreds of orders of magnitude.
        if all_finite(row) { Ok(()) } else { Err(Missing::FlatPrices) }
    }

    /// Takes the next closed candle without computing its row, which costs more than updating the windows.
    pub fn skip(&mut self, candle: &Candle) {
        if self.last.is_some_and(|last| self.calendar.is_gap(last.open_ms, candle.open_ms)) {
            *self = Self { after_gap: true, is_silent: self.is_silent, ..Self::within(self.calendar.clone()) };
        }
        self.advance(candle);
        self.last = Some(*candle);
    }

    /// Updates every window, whether or not a row is computed.
    fn advance(&mut self, candle: &Candle) {
        let Candle { open, high, low, close, volume, .. } = *candle;
        let last = self.last.unwrap_or(Candle { high: open, low: open, close: open, ..*candle });
        let change = close - last.close;
        let true_range = high.max(last.close) - low.min(last.close);
        let typical_price = (high + low + close) / 3.0;
        // The first bar has no predecessor; by the first row it has left every window.
        let last_typical = self.past.ago(0).typical_price;
        let flow = typical_price * volume;
        self.highs.next(high);
        self.lows.next(-low);
        self.past.push(Bar {
            close,
            log_return: (close / last.close).ln(),
            true_range,
            stochastic: self.position(BARS_14, close).unwrap_or(50.0),
            typical_price,
            volume,
            up_volume: if change > 0.0 { volume } else { 0.0 },
            down_volume: if change < 0.0 { volume } else { 0.0 },
            money_in: if typical_price > last_typical { flow } else { 0.0 },
            money_out: if typical_price < last_typical { flow } else { 0.0 },
        });

        // Windowed statistics.
        self.short_returns.next(&self.past, |bar| bar.log_return);
        self.long_returns.next(&self.past, |bar| bar.log_return);
        self.long_range.next(&self.past, |bar| bar.true_range);
        self.stochastic_d.next(&self.past, |bar| bar.stochastic);
        self.bollinger.next(&self.past, |bar| bar.close);
        self.trend.next(&self.past, |bar| bar.close);
        self.typical.next(&self.past, |bar| bar.typical_price);
        self.typical_deviation.next(typical_price);
        self.short_volume.next(&self.past, |bar| bar.volume);
        self.long_volume.next(&self.past, |bar| bar.volume);
        self.up_volume.next(&self.past, |bar| bar.up_volume);
        self.down_volume.next(&self.past, |bar| bar.down_volume);
        self.money_in.next(&self.past, |bar| bar.money_in);
        self.money_out.next(&self.past, |bar| bar.money_out);

        // Smoothed statistics.
        self.rsi_fast.next([change.max(0.0), (-change).max(0.0)]);
        self.rsi.next([change.max(0.0), (-change).max(0.0)]);
        self.macd = self.fast.next(close) - self.slow.next(close);
        self.macd_signal = self.signal.next(self.macd);
        let (up, down) = (high - last.high, last.low - low);
        let rise = if up > down && up > 0.0 { up } else { 0.0 };
        let fall = if down > up && down > 0.0 { down } else { 0.0 };
        let smoothed = self.directional.next([rise, fall, true_range]);
        self.atr = smoothed.map(|[_, _, atr]| atr);
        let moving = smoothed.filter(|[_, _, atr]| *atr > 0.0);
        self.di = moving.map(|[plus, minus, atr]| (100.0 * plus / atr, 100.0 * minus / atr));
        let dx = self.di.map_or(0.0, |(p, m)| if p + m > 0.0 { 100.0 * (p - m).abs() / (p + m) } else { 0.0 });
        self.adx.next([dx]);

        self.streak = match (change > 0.0, change < 0.0) {
            (true, _) => self.streak.max(0.0) + 1.0,
            (_, true) => self.streak.min(0.0) - 1.0,
            _ => 0.0,
        }
        .clamp(-10.0, 10.0);
    }

    /// Computes the row of the candle that was just added; all windows are full.
    #[allow(clippy::too_many_lines)] // One feature after another, in the order of the catalogue.
    #[inline]
    fn describe(&self, candle: &Candle, cycles: impl FnOnce(i64) -> Cycles, row: &mut Row) -> Result<(), Missing> {
        let Candle { open, high, low, close, volume, open_ms } = *candle;
        let flat = |value: f64| if value > 0.0 { Ok(value) } else { Err(Missing::FlatPrices) };
        let atr = flat(self.atr.ok_or(Missing::WarmUp)?)?;
        let sigma = flat(self.long_returns.deviation())?;
        let (band_mean, band_sd) = (self.bollinger.mean(), flat(self.bollinger.deviation())?);
        let typical_price = self.past.ago(0).typical_price;
        let deviation = flat(self.typical_deviation.around(self.typical.value()))?;
        let [volume_ratio, volume_z, on_balance, money_flow] = self.of_volume(volume)?;
        let (plus_di, minus_di) = self.di.ok_or(Missing::FlatPrices)?;
        let rsi_fast = rsi(&self.rsi_fast).ok_or(Missing::FlatPrices)?;
        let rsi = rsi(&self.rsi).ok_or(Missing::FlatPrices)?;
        let stochastic = self.position(BARS_14, close).ok_or(Missing::FlatPrices)?;
        let williams = self.position(BARS_28, close).ok_or(Missing::FlatPrices)?;
        let trend_mean = self.trend.value();
        let [adx] = self.adx.values();
        let [hour_sin, hour_cos, weekday_sin, weekday_cos] = cycles(open_ms);

        // The first one equals the newest log return.
        let mut returns = [self.past.ago(0).log_return; RETURNS.len()];
        for (value, bars) in returns[1..].iter_mut().zip(&RETURNS[1..]) {
            *value = (close / self.past.ago(*bars).close).ln();
        }
        for (value, bars) in returns.iter_mut().zip(RETURNS) {
            *value /= sigma * (bars as f64).sqrt();
        }
        *row = [
            returns[0],
            returns[1],
            returns[2],
            returns[3],
            returns[4],
            returns[5],
            returns[6],
            rsi_fast,
            rsi,
            stochastic,
            self.stochastic_d.value(),
            williams - 100.0,
            self.macd / atr,
            self.macd_signal / atr,
            (self.macd - self.macd_signal) / atr,
            (close - band_mean + 2.0 * band_sd) / (4.0 * band_sd),
            4.0 * band_sd / atr,
            100.0 * (close / self.past.ago(10).close - 1.0),
            (typical_price - self.typical.value()) / (0.015 * deviation),
            100.0 * atr / close,
            atr / self.long_range.value(),
            self.short_returns.deviation() / sigma,
            volume_ratio,
            volume_z,
            on_balance,
            money_flow,
            (self.highs.value(BARS_24) - close) / atr,
            (close + self.lows.value(BARS_24)) / atr,
            (self.highs.value(BARS_96) - close) / atr,
            (close + self.lows.value(BARS_96)) / atr,
            self.highs.age(BARS_96) as f64 / 96.0,
            self.lows.age(BARS_96) as f64 / 96.0,
            (close - band_mean) / atr,
            (close - trend_mean) / atr,
            (band_mean - trend_mean) / atr,
            adx,
            plus_di - minus_di,
            (close - open) / atr,
            (high - open.max(close)) / atr,
            (open.min(close) - low) / atr,
            (high - low) / atr,
            self.streak,
            hour_sin,
            hour_cos,
            weekday_sin,
            weekday_cos,
        ];
        Ok(())
    }

    /// The features of volume, in the order of [`OF_VOLUME`].
    #[inline]
    fn of_volume(&self, volume: f64) -> Result<[f64; 4], Missing> {
        if self.is_silent {
            return Ok(OF_VOLUME.map(|(_, value)| value));
        }
        let (volume_mean, volume_mean_long) = (self.short_volume.value(), self.long_volume.mean());
        let volume_sd = self.long_volume.deviation();
        let (up_volume, down_volume) = (self.up_volume.value(), self.down_volume.value());
        let (money_in, money_out) = (self.money_in.value(), self.money_out.value());
        if !(volume_mean > 0.0 && volume_sd > 0.0 && up_volume + down_volume > 0.0 && money_in + money_out > 0.0) {
            return Err(Missing::NoVolume);
        }
        Ok([
            volume / volume_mean,
            (volume - volume_mean_long) / volume_sd,
            (up_volume - down_volume) / (up_volume + down_volume),
            100.0 * money_in / (money_in + money_out),
        ])
    }

    /// Where the close lies between the lowest low (0) and the highest high (100) of a window; `None` when they are equal.
    fn position(&self, window: usize, close: f64) -> Option<f64> {
        let (top, bottom) = (self.highs.value(window), -self.lows.value(window));
        (top > bottom).then(|| 100.0 * (close - bottom) / (top - bottom))
    }
}

/// Whether a market has no volume: all candles have the same, as those of currencies and indices do.
pub fn is_silent(candles: &[Candle]) -> bool {
    candles.windows(2).all(|pair| pair[0].volume == pair[1].volume)
}

/// Relative strength index, 0–100; `None` when nothing moved.
fn rsi(gain_and_loss: &Wilder<2>) -> Option<f64> {
    let [gain, loss] = gain_and_loss.values();
    (gain + loss > 0.0).then(|| 100.0 * gain / (gain + loss))
}

/// Whether all values are finite. An infinite or NaN value has all exponent bits set, so adding one carries into the
/// sign bit: three operations for two values instead of a branch for each.
fn all_finite(row: &Row) -> bool {
    const EXPONENT: u64 = f64::INFINITY.to_bits();
    const ONE: u64 = f64::MIN_POSITIVE.to_bits();
    row.iter().fold(0, |carries, value| carries | ((value.to_bits() & EXPONENT) + ONE)) >> 63 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_finite_is_each_finite(at in 0..COUNT, value in prop::num::f64::ANY, others in prop::num::f64::NORMAL) {
            let mut row = [others; COUNT];
            row[at] = value;
            prop_assert_eq!(all_finite(&row), value.is_finite());
            for bound in [f64::MAX, f64::MIN, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN] {
                row[at] = bound;
                prop_assert_eq!(all_finite(&row), bound.is_finite());
            }
        }
    }
}
