//! The features of a market, bar by bar: one candle in, one row out.
//!
//! Every value is computed from candles already closed, by state that only ever moves forward: a later candle cannot
//! change an earlier row. `tests/look_ahead.rs` proves it by changing the future and comparing the past byte by byte.

use super::catalog::COUNT;
use super::window::{Ema, Highest, Lag, Moments, Sum, Wilder};
use crate::market::Candle;
use std::f64::consts::TAU;

/// Bars before the first row: the longest window and its predecessor.
pub const WARM_UP: usize = 97;

/// A hole of more than this many bars starts the windows anew; a smaller one is bridged.
pub const MAX_GAP_BARS: i64 = 6;

/// The bars of the average true range that levels are set by.
pub const ATR_PERIOD: usize = 14;

/// The features of one bar, in the order of [`super::FEATURES`].
pub type Row = [f64; COUNT];

/// Why a bar has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Fewer than [`WARM_UP`] bars since the start.
    WarmUp,
    /// Fewer than [`WARM_UP`] bars since a hole of more than [`MAX_GAP_BARS`].
    Gap,
    /// Prices did not move over a whole window, so that a ratio has no meaning.
    FlatPrices,
    /// No volume, or an unchanging one, over a whole window.
    NoVolume,
}

impl Missing {
    /// In words, for a person.
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

/// All rolling state of one market. See [`super::FEATURES`] for what each value means.
#[derive(Debug, Clone)]
pub struct FeatureState {
    step_ms: i64,
    bars: usize,
    after_gap: bool,
    last: Option<Candle>,
    atr: Option<f64>,
    lags: [Lag; 7],
    log_return_short: Moments,
    log_return_long: Moments,
    rsi_fast: (Wilder, Wilder),
    rsi: (Wilder, Wilder),
    stochastic: (Highest, Highest),
    stochastic_d: Moments,
    williams: (Highest, Highest),
    macd: (Ema, Ema, Ema),
    bollinger: Moments,
    trend: Moments,
    rate_of_change: Lag,
    typical: Moments,
    true_range: Wilder,
    true_range_long: Moments,
    volume_short: Moments,
    volume_long: Moments,
    on_balance: (Sum, Sum),
    money_flow: (Sum, Sum),
    day: (Highest, Highest),
    week: (Highest, Highest),
    directional: (Wilder, Wilder, Wilder, Wilder),
    streak: f64,
}

/// What a candle moved, to make a row of: a statistic is there once its window is full, and of what may divide by zero the
/// inner `None` says that it would.
struct Parts {
    atr: Option<f64>,
    long_range: Spread,
    past: [Option<f64>; 7],
    short_return: Spread,
    long_return: Spread,
    past_close: Option<f64>,
    rsi: (Option<Option<f64>>, Option<Option<f64>>),
    stochastic: Option<Option<f64>>,
    stochastic_d: Spread,
    williams: Option<Option<f64>>,
    macd: f64,
    macd_signal: f64,
    typical_price: f64,
    typical: Spread,
    bollinger: Spread,
    trend: Spread,
    volume: (Spread, Spread),
    on_balance: (Option<f64>, Option<f64>),
    money_flow: (Option<f64>, Option<f64>),
    day: Extremes,
    week: Extremes,
    di: Option<(f64, f64)>,
    adx: Option<f64>,
}

/// A mean and a standard deviation.
type Spread = Option<(f64, f64)>;

/// A highest and a negated lowest, each with its age.
type Extremes = (Option<(f64, usize)>, Option<(f64, usize)>);

fn extremes(period: usize) -> (Highest, Highest) {
    (Highest::new(period), Highest::new(period))
}

impl FeatureState {
    /// State before the first candle; `step_ms` is the candle's length.
    pub fn new(step_ms: i64) -> Self {
        Self {
            step_ms,
            bars: 0,
            after_gap: false,
            last: None,
            atr: None,
            lags: RETURNS.map(Lag::new),
            log_return_short: Moments::new(24),
            log_return_long: Moments::new(96),
            rsi_fast: (Wilder::new(7), Wilder::new(7)),
            rsi: (Wilder::new(14), Wilder::new(14)),
            stochastic: extremes(14),
            stochastic_d: Moments::new(3),
            williams: extremes(28),
            macd: (Ema::new(12), Ema::new(26), Ema::new(9)),
            bollinger: Moments::new(20),
            trend: Moments::new(50),
            rate_of_change: Lag::new(10),
            typical: Moments::new(20),
            true_range: Wilder::new(ATR_PERIOD),
            true_range_long: Moments::new(50),
            volume_short: Moments::new(20),
            volume_long: Moments::new(50),
            on_balance: (Sum::new(20), Sum::new(20)),
            money_flow: (Sum::new(14), Sum::new(14)),
            day: extremes(24),
            week: extremes(96),
            directional: (Wilder::new(14), Wilder::new(14), Wilder::new(14), Wilder::new(14)),
            streak: 0.0,
        }
    }

    /// The average true range (Wilder, 14 bars) after the last candle, in price units; `None` while warming up.
    pub fn atr(&self) -> Option<f64> {
        self.atr
    }

    /// Takes the next closed candle and returns its row, or why there is none.
    pub fn next(&mut self, candle: &Candle) -> Result<Row, Missing> {
        let parts = self.take(candle);
        if self.bars < WARM_UP {
            return Err(if self.after_gap { Missing::Gap } else { Missing::WarmUp });
        }
        match self.row(candle, &parts)? {
            row if row.iter().all(|value| value.is_finite()) => Ok(row),
            // Finite inputs overflow only where prices jump by hundreds of orders of magnitude.
            _ => Err(Missing::FlatPrices),
        }
    }

    /// Takes the next closed candle whose row nobody asks for: a row costs more than moving the windows.
    pub fn skip(&mut self, candle: &Candle) {
        self.take(candle);
    }

    fn take(&mut self, candle: &Candle) -> Parts {
        if self.last.is_some_and(|last| candle.open_ms - last.open_ms > (MAX_GAP_BARS + 1) * self.step_ms) {
            *self = Self { after_gap: true, ..Self::new(self.step_ms) };
        }
        let parts = self.advance(candle);
        self.last = Some(*candle);
        self.bars += 1;
        parts
    }

    /// Moves every window forward, whether or not a row comes of it.
    #[inline]
    fn advance(&mut self, candle: &Candle) -> Parts {
        let Candle { open, high, low, close, volume, .. } = *candle;
        let last = self.last.unwrap_or(Candle { high: open, low: open, close: open, ..*candle });
        let change = close - last.close;
        let log_return = (close / last.close).ln();

        // Ranges.
        let true_range = high.max(last.close) - low.min(last.close);
        let atr = self.true_range.next(true_range);
        self.atr = atr;
        let long_range = self.true_range_long.next(true_range);

        // Returns.
        let past = std::array::from_fn::<_, 7, _>(|i| self.lags[i].next(close));
        let short_return = self.log_return_short.next(log_return);
        let long_return = self.log_return_long.next(log_return);
        let past_close = self.rate_of_change.next(close);

        // Oscillators.
        let rsi_fast = rsi(&mut self.rsi_fast, change);
        let rsi_14 = rsi(&mut self.rsi, change);
        let stochastic = position(&mut self.stochastic, high, low, close);
        let stochastic_d = self.stochastic_d.next(stochastic.flatten().unwrap_or(50.0));
        let williams = position(&mut self.williams, high, low, close);
        let macd = self.macd.0.next(close) - self.macd.1.next(close);
        let macd_signal = self.macd.2.next(macd);
        let typical_price = (high + low + close) / 3.0;
        let typical = self.typical.next(typical_price);

        // Averages.
        let bollinger = self.bollinger.next(close);
        let trend = self.trend.next(close);

        // Volume.
        let volume_short = self.volume_short.next(volume);
        let volume_long = self.volume_long.next(volume);
        let signed = if change > 0.0 { volume } else { 0.0 } - if change < 0.0 { volume } else { 0.0 };
        let on_balance = (self.on_balance.0.next(signed.max(0.0)), self.on_balance.1.next((-signed).max(0.0)));
        let last_typical = (last.high + last.low + last.close) / 3.0;
        let flow = typical_price * volume;
        let money_in = self.money_flow.0.next(if typical_price > last_typical { flow } else { 0.0 });
        let money_out = self.money_flow.1.next(if typical_price < last_typical { flow } else { 0.0 });

        // Highs and lows.
        let day = (self.day.0.next(high), self.day.1.next(-low));
        let week = (self.week.0.next(high), self.week.1.next(-low));

        // Directional movement.
        let (up, down) = (high - last.high, last.low - low);
        let plus = self.directional.0.next(if up > down && up > 0.0 { up } else { 0.0 });
        let minus = self.directional.1.next(if down > up && down > 0.0 { down } else { 0.0 });
        let range = self.directional.2.next(true_range);
        let di = plus.zip(minus).zip(range).filter(|(_, range)| *range > 0.0);
        let di = di.map(|((plus, minus), range)| (100.0 * plus / range, 100.0 * minus / range));
        let dx = di.map_or(0.0, |(p, m)| if p + m > 0.0 { 100.0 * (p - m).abs() / (p + m) } else { 0.0 });
        let adx = self.directional.3.next(dx);

        self.streak = match (change > 0.0, change < 0.0) {
            (true, _) => self.streak.max(0.0) + 1.0,
            (_, true) => self.streak.min(0.0) - 1.0,
            _ => 0.0,
        }
        .clamp(-10.0, 10.0);

        Parts {
            atr,
            long_range,
            past,
            short_return,
            long_return,
            past_close,
            rsi: (rsi_fast, rsi_14),
            stochastic,
            stochastic_d,
            williams,
            macd,
            macd_signal,
            typical_price,
            typical,
            bollinger,
            trend,
            volume: (volume_short, volume_long),
            on_balance,
            money_flow: (money_in, money_out),
            day,
            week,
            di,
            adx,
        }
    }

    /// The row of a candle that has just moved the windows; a part that is missing means that there is none.
    #[allow(clippy::too_many_lines)] // One feature after another, in the order of the catalogue.
    fn row(&self, candle: &Candle, parts: &Parts) -> Result<Row, Missing> {
        let Candle { open, high, low, close, volume, open_ms } = *candle;
        let Parts { stochastic_d, macd, macd_signal, typical_price, past_close, adx, .. } = *parts;
        let warm = Missing::WarmUp;
        let flat = |value: f64| if value > 0.0 { Ok(value) } else { Err(Missing::FlatPrices) };
        let atr = flat(parts.atr.ok_or(warm)?)?;
        let (_, sigma) = parts.long_return.ok_or(warm)?;
        let sigma = flat(sigma)?;
        let (_, sigma_short) = parts.short_return.ok_or(warm)?;
        let (long_range, _) = parts.long_range.ok_or(warm)?;
        let (band_mean, band_sd) = parts.bollinger.ok_or(warm)?;
        let band_sd = flat(band_sd)?;
        let (trend_mean, _) = parts.trend.ok_or(warm)?;
        let (typical_mean, _) = parts.typical.ok_or(warm)?;
        let deviation = flat(self.typical.mean_deviation().ok_or(warm)?)?;
        let (volume_mean, _) = parts.volume.0.ok_or(warm)?;
        let (volume_mean_long, volume_sd) = parts.volume.1.ok_or(warm)?;
        let (up_volume, down_volume) = parts.on_balance.0.zip(parts.on_balance.1).ok_or(warm)?;
        let (money_in, money_out) = parts.money_flow.0.zip(parts.money_flow.1).ok_or(warm)?;
        if !(volume_mean > 0.0 && volume_sd > 0.0 && up_volume + down_volume > 0.0 && money_in + money_out > 0.0) {
            return Err(Missing::NoVolume);
        }
        let ((day_high, _), (day_low, _)) = parts.day.0.zip(parts.day.1).ok_or(warm)?;
        let ((week_high, high_age), (week_low, low_age)) = parts.week.0.zip(parts.week.1).ok_or(warm)?;
        let (plus_di, minus_di) = parts.di.ok_or(warm)?;
        let hour = TAU * (open_ms.rem_euclid(86_400_000) as f64) / 86_400_000.0;
        // The epoch was a Thursday; which day is 0 does not matter for a cycle.
        let weekday = TAU * (open_ms.rem_euclid(7 * 86_400_000) as f64) / (7.0 * 86_400_000.0);
        let momentum = |i: usize| -> Result<f64, Missing> {
            let then = parts.past[i].ok_or(warm)?;
            Ok((close / then).ln() / (sigma * (RETURNS[i] as f64).sqrt()))
        };
        Ok([
            momentum(0)?,
            momentum(1)?,
            momentum(2)?,
            momentum(3)?,
            momentum(4)?,
            momentum(5)?,
            momentum(6)?,
            parts.rsi.0.ok_or(warm)?.ok_or(Missing::FlatPrices)?,
            parts.rsi.1.ok_or(warm)?.ok_or(Missing::FlatPrices)?,
            parts.stochastic.ok_or(warm)?.ok_or(Missing::FlatPrices)?,
            stochastic_d.ok_or(warm)?.0,
            parts.williams.ok_or(warm)?.ok_or(Missing::FlatPrices)? - 100.0,
            macd / atr,
            macd_signal / atr,
            (macd - macd_signal) / atr,
            (close - band_mean + 2.0 * band_sd) / (4.0 * band_sd),
            4.0 * band_sd / atr,
            100.0 * (close / past_close.ok_or(warm)? - 1.0),
            (typical_price - typical_mean) / (0.015 * deviation),
            100.0 * atr / close,
            atr / long_range,
            sigma_short / sigma,
            volume / volume_mean,
            (volume - volume_mean_long) / volume_sd,
            (up_volume - down_volume) / (up_volume + down_volume),
            100.0 * money_in / (money_in + money_out),
            (day_high - close) / atr,
            (close + day_low) / atr,
            (week_high - close) / atr,
            (close + week_low) / atr,
            high_age as f64 / 96.0,
            low_age as f64 / 96.0,
            (close - band_mean) / atr,
            (close - trend_mean) / atr,
            (band_mean - trend_mean) / atr,
            adx.ok_or(warm)?,
            plus_di - minus_di,
            (close - open) / atr,
            (high - open.max(close)) / atr,
            (open.min(close) - low) / atr,
            (high - low) / atr,
            self.streak,
            hour.sin(),
            hour.cos(),
            weekday.sin(),
            weekday.cos(),
        ])
    }
}

/// Relative strength index, 0–100; the inner `None` when nothing moved.
fn rsi((gain, loss): &mut (Wilder, Wilder), change: f64) -> Option<Option<f64>> {
    let (gain, loss) = (gain.next(change.max(0.0)), loss.next((-change).max(0.0)));
    let (gain, loss) = gain.zip(loss)?;
    Some((gain + loss > 0.0).then(|| 100.0 * gain / (gain + loss)))
}

/// Where the close lies between the lowest low (0) and the highest high (100); the inner `None` when they are equal.
fn position((highest, lowest): &mut (Highest, Highest), high: f64, low: f64, close: f64) -> Option<Option<f64>> {
    let (top, bottom) = (highest.next(high), lowest.next(-low));
    let (top, bottom) = (top?.0, -bottom?.0);
    Some((top > bottom).then(|| 100.0 * (close - bottom) / (top - bottom)))
}
