//! The prices of one simulated symbol: a pure function of seed, symbol, first hour and time.
//!
//! An hour is drawn, in 60 steps of a minute, from its own random stream and the state that the previous hour left. Only hours
//! are kept; the minutes of an hour are drawn again on request, so that years use little memory. All timeframes are sums of the
//! same minutes and therefore agree.

use domain::candle::Candle;
use domain::symbol::{Symbol, Timeframe};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const MINUTE: i64 = 60_000;
/// Milliseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Standard deviation of an hour's log return at average volatility.
const HOURLY_SD: f64 = 0.006;
/// How much of an hour's log volatility carries over to the next, and how much is new: clusters last about a day.
const HEAT_KEPT: f64 = 0.95;
const HEAT_NEW: f64 = 0.12;
/// Hours of the RSI that drives the hidden rule, its thresholds, and for how many hours the price drifts back after a close
/// beyond them.
const RSI_HOURS: f64 = 14.0;
const OVERBOUGHT: f64 = 70.0;
const OVERSOLD: f64 = 30.0;
const DRIFT_HOURS: i32 = 12;
/// The RSI is undefined before this many hours.
const WARM_UP_HOURS: usize = 28;

/// The state that one hour passes to the next.
#[derive(Debug, Clone, Copy)]
struct State {
    log_price: f64,
    /// Log of the volatility relative to [`HOURLY_SD`].
    heat: f64,
    /// Wilder's averages of gains and losses between hourly closes.
    gain: f64,
    loss: f64,
    /// Remaining hours of drift: upwards if positive, downwards if negative.
    drift: i32,
}

#[derive(Debug, Clone, Copy)]
struct Bar {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
}

impl Bar {
    fn then(self, next: Self) -> Self {
        Self {
            open: self.open,
            high: self.high.max(next.high),
            low: self.low.min(next.low),
            close: next.close,
            volume: self.volume + next.volume,
        }
    }
}

/// The random walk of one symbol's price, drawn as far as requested.
#[derive(Debug)]
pub struct PriceWalk {
    seed: [u8; 32],
    first_ms: i64,
    rule_strength: f64,
    /// Decimals of a price: about seven significant digits at the start.
    decimals: i32,
    /// Volume of an average minute, in the base asset.
    minute_volume: f64,
    /// Each hour's bar and the state before it.
    hours: Vec<(State, Bar)>,
    /// The state after the last of `hours`.
    end: State,
    /// The minutes of the hour requested last.
    minutes: Option<(usize, Vec<Bar>)>,
}

impl PriceWalk {
    /// A walk whose first candle opens at `first_ms`, rounded down to the hour.
    pub fn new(seed: u64, symbol: &Symbol, first_ms: i64, rule_strength: f64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..12].copy_from_slice(&crc32fast::hash(symbol.as_str().as_bytes()).to_le_bytes());
        let price = first_price(symbol, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]));
        let end = State { log_price: price.ln(), heat: 0.0, gain: 0.0, loss: 0.0, drift: 0 };
        Self {
            seed: bytes,
            first_ms: first_ms.div_euclid(HOUR) * HOUR,
            rule_strength,
            decimals: (6 - price.log10().floor() as i32).clamp(0, 8),
            minute_volume: 100_000.0 / price,
            hours: Vec::new(),
            end,
            minutes: None,
        }
    }

    /// The price at `now_ms`: the close of the last whole minute.
    pub fn price(&mut self, now_ms: i64) -> f64 {
        let last = now_ms.div_euclid(MINUTE) * MINUTE;
        match self.sum(last - MINUTE, last) {
            Some(bar) => bar.close,
            None => self.round(self.start().exp()),
        }
    }

    /// The candles whose open times lie in `[from, until)` and that have begun by `now_ms`: at most `limit`, oldest first. The
    /// last one may still be open; it contains the whole minutes so far.
    pub fn candles(&mut self, timeframe: Timeframe, from: i64, until: i64, now_ms: i64, limit: usize) -> Vec<Candle> {
        if from >= until {
            return Vec::new();
        }
        let length = timeframe.millis();
        let now = now_ms.div_euclid(MINUTE) * MINUTE;
        let mut open_ms = timeframe.open_ms(from.max(self.first_ms));
        if open_ms < from {
            open_ms += length;
        }
        let mut candles = Vec::new();
        while open_ms < until && open_ms <= now_ms && candles.len() < limit {
            let bar = self.sum(open_ms, (open_ms + length).min(now)).unwrap_or_else(|| {
                let price = self.price(now_ms);
                Bar { open: price, high: price, low: price, close: price, volume: 0.0 }
            });
            let Bar { open, high, low, close, volume } = bar;
            // Minutes have 5 decimals; rounding removes the error of summation, in any order.
            candles.push(Candle { open_ms, open, high, low, close, volume: (volume * 1e5).round() / 1e5 });
            open_ms += length;
        }
        candles
    }

    /// The whole minutes in `[from, until)` as one candle; `None` when there are none.
    pub fn between(&mut self, from: i64, until: i64) -> Option<Candle> {
        let [open_ms, end_ms] = [from, until].map(|at| at.div_euclid(MINUTE) * MINUTE);
        let Bar { open, high, low, close, volume } = self.sum(open_ms, end_ms)?;
        Some(Candle { open_ms, open, high, low, close, volume: (volume * 1e5).round() / 1e5 })
    }

    /// The minutes in `[from, until)` as one bar; `None` when there are none.
    fn sum(&mut self, from: i64, until: i64) -> Option<Bar> {
        let mut from = from.max(self.first_ms);
        let mut sum: Option<Bar> = None;
        while from < until {
            let hour = ((from - self.first_ms) / HOUR) as usize;
            let opens = self.first_ms + hour as i64 * HOUR;
            let until_here = until.min(opens + HOUR);
            let part = if until_here - from == HOUR {
                self.hour(hour).1
            } else {
                let minutes = self.minutes(hour);
                let range = ((from - opens) / MINUTE) as usize..((until_here - opens) / MINUTE) as usize;
                minutes[range].iter().copied().reduce(Bar::then)?
            };
            sum = Some(sum.map_or(part, |sum| sum.then(part)));
            from = until_here;
        }
        sum
    }

    /// An hour's bar and the state before it, drawn on first use.
    fn hour(&mut self, hour: usize) -> (State, Bar) {
        while self.hours.len() <= hour {
            let index = self.hours.len();
            let before = self.end;
            let (minutes, log_price, heat) = self.draw(index, before);
            let bar = minutes[1..].iter().fold(minutes[0], |sum, minute| sum.then(*minute));
            self.end = self.close_hour(index, before, bar.close, log_price, heat);
            self.hours.push((before, bar));
        }
        self.hours[hour]
    }

    fn minutes(&mut self, hour: usize) -> &[Bar] {
        if self.minutes.as_ref().is_none_or(|(index, _)| *index != hour) {
            let (before, _) = self.hour(hour);
            self.minutes = Some((hour, self.draw(hour, before).0));
        }
        self.minutes.as_ref().map_or(&[], |(_, minutes)| minutes)
    }

    /// The minutes of an hour, and the log price and log volatility at its end.
    fn draw(&self, hour: usize, before: State) -> (Vec<Bar>, f64, f64) {
        let mut seed = self.seed;
        seed[16..24].copy_from_slice(&(hour as u64).to_le_bytes());
        let mut normal = Normal { rng: ChaCha8Rng::from_seed(seed), spare: None };
        let season = season(self.first_ms + hour as i64 * HOUR);
        let activity = before.heat.exp() * season;
        let hourly_sd = HOURLY_SD * activity;
        let drift = self.rule_strength * hourly_sd * f64::from(before.drift.signum()) / 60.0;
        let sd = hourly_sd / 60f64.sqrt();
        let mut log_price = before.log_price;
        let mut open = self.round(log_price.exp());
        let mut minutes = Vec::with_capacity(60);
        for _ in 0..60 {
            let step = drift + sd * normal.draw();
            log_price += step;
            let close = self.round(log_price.exp());
            let (up, down) = (0.4 * sd * normal.draw().abs(), 0.4 * sd * normal.draw().abs());
            // Volume grows with the move of this minute, and with the hour's volatility relative to the average.
            let moved = 0.5 + 0.4 * (step.abs() + up + down) / sd;
            let volume = self.minute_volume * activity * moved * (0.3 * normal.draw()).exp();
            minutes.push(Bar {
                open,
                high: self.round(open.max(close) * (1.0 + up)),
                low: self.round(open.min(close) * (1.0 - down)),
                close,
                volume: (volume * 1e5).round() / 1e5,
            });
            open = close;
        }
        (minutes, log_price, HEAT_KEPT * before.heat + HEAT_NEW * normal.draw())
    }

    /// The state after an hour; here the hidden rule looks at the close.
    fn close_hour(&self, hour: usize, before: State, close: f64, log_price: f64, heat: f64) -> State {
        let change = close - self.round(before.log_price.exp());
        let gain = before.gain + (change.max(0.0) - before.gain) / RSI_HOURS;
        let loss = before.loss + ((-change).max(0.0) - before.loss) / RSI_HOURS;
        let rsi = 100.0 * gain / (gain + loss).max(f64::MIN_POSITIVE);
        let drift = match rsi {
            _ if hour < WARM_UP_HOURS => 0,
            OVERBOUGHT.. => -DRIFT_HOURS,
            ..=OVERSOLD => DRIFT_HOURS,
            _ => before.drift - before.drift.signum(),
        };
        State { log_price, heat, gain, loss, drift }
    }

    /// The log price before the first minute.
    fn start(&self) -> f64 {
        self.hours.first().map_or(self.end, |(state, _)| *state).log_price
    }

    fn round(&self, price: f64) -> f64 {
        let scale = 10f64.powi(self.decimals);
        (price * scale).round().max(1.0) / scale
    }
}

/// Relative volatility of an hour of the day (UTC): highest at 15:00, when Europe and America both trade, lowest at 03:00.
fn season(open_ms: i64) -> f64 {
    let hour = open_ms.rem_euclid(DAY) as f64 / HOUR as f64;
    1.0 + 0.35 * ((hour - 15.0) / 24.0 * std::f64::consts::TAU).cos()
}

/// A realistic first price for well-known symbols; for others one between 0.1 and 100, picked by `hash`.
fn first_price(symbol: &Symbol, hash: u32) -> f64 {
    const KNOWN: [(&str, f64); 9] = [
        ("BTC", 65_000.0),
        ("ETH", 3_200.0),
        ("BNB", 600.0),
        ("SOL", 150.0),
        ("AVAX", 30.0),
        ("DOT", 6.0),
        ("XRP", 0.6),
        ("ADA", 0.45),
        ("DOGE", 0.25),
    ];
    let known = KNOWN.iter().find(|(base, _)| symbol.as_str().starts_with(base));
    known.map_or_else(|| 10f64.powf(f64::from(hash % 1000) / 1000.0 * 3.0 - 1.0), |(_, price)| *price)
}

/// Standard normal numbers, drawn in pairs (Box–Muller).
struct Normal {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Normal {
    fn draw(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.rng.random::<f64>()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_735_689_600_000; // 2025-01-01, a Wednesday

    fn walk(symbol: &str, rule_strength: f64) -> PriceWalk {
        PriceWalk::new(7, &Symbol::parse(symbol).unwrap(), START, rule_strength)
    }

    fn timeframe(text: &str) -> Timeframe {
        Timeframe::parse(text).unwrap()
    }

    fn all(walk: &mut PriceWalk, name: &str, days: i64) -> Vec<Candle> {
        walk.candles(timeframe(name), START, START + days * DAY, START + days * DAY, usize::MAX)
    }

    #[test]
    fn the_same_whatever_was_asked_before() {
        let (mut forward, mut jumping) = (walk("BTCUSDT", 0.25), walk("BTCUSDT", 0.25));
        let late = all(&mut jumping, "1h", 20);
        let mut early = all(&mut forward, "5m", 1);
        assert_eq!(all(&mut jumping, "5m", 1), early);
        assert_eq!(all(&mut forward, "1h", 20), late);
        early.truncate(1);
        assert_ne!(all(&mut walk("BTCUSDC", 0.25), "5m", 1)[..1], early);
    }

    #[test]
    fn every_candle_can_be_true_and_follows_the_one_before() {
        for symbol in ["BTCUSDT", "DOGEUSDT", "XYZUSDT"] {
            let candles = all(&mut walk(symbol, 0.25), "15m", 10);
            domain::candle::check_series(&candles).unwrap();
            assert_eq!(candles.len(), 960);
            assert!(candles.windows(2).all(|pair| pair[0].close == pair[1].open));
        }
    }

    #[test]
    fn the_open_candle_grows() {
        let mut walk = walk("BTCUSDT", 0.25);
        let noon = START + 12 * HOUR;
        let last =
            |walk: &mut PriceWalk, now| *walk.candles(Timeframe::H1, START, i64::MAX, now, usize::MAX).last().unwrap();
        let new = last(&mut walk, noon + 10);
        assert_eq!((new.open_ms, new.volume, new.high), (noon, 0.0, new.low));
        assert_eq!(new.close, walk.candles(Timeframe::H1, noon - HOUR, noon, noon, 1)[0].close);
        let half = last(&mut walk, noon + 30 * MINUTE);
        let whole = walk.candles(Timeframe::H1, noon, noon + 1, noon + HOUR, 1)[0];
        assert!(half.volume > 0.0 && half.volume < whole.volume && half.high <= whole.high && half.open == whole.open);
        assert_eq!(walk.price(noon + 30 * MINUTE + 59_999), half.close);
        assert_eq!(walk.price(noon + HOUR), whole.close);
    }

    #[test]
    fn weeks_open_on_monday() {
        let weeks = all(&mut walk("BTCUSDT", 0.0), "1w", 30);
        assert_eq!(domain::time::format_iso(weeks[0].open_ms), "2025-01-06T00:00:00.000Z");
    }

    /// Mean return of the 12 hours after an extreme RSI, in the direction of the rule, in hourly standard deviations.
    fn mean_reversal(rule_strength: f64) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for seed in 0..8 {
            let mut walk = PriceWalk::new(seed, &Symbol::parse("BTCUSDT").unwrap(), START, rule_strength);
            let closes: Vec<f64> = all(&mut walk, "1h", 120).iter().map(|candle| candle.close).collect();
            let (mut gain, mut loss) = (0.0, 0.0);
            for i in 1..closes.len() - 12 {
                let change = closes[i] - closes[i - 1];
                gain += (change.max(0.0) - gain) / 14.0;
                loss += ((-change).max(0.0) - loss) / 14.0;
                let rsi = 100.0 * gain / (gain + loss);
                if i > 50 && !(30.0..70.0).contains(&rsi) {
                    sum += (50.0 - rsi).signum() * (closes[i + 12] / closes[i]).ln() / HOURLY_SD;
                    count += 1.0;
                }
            }
        }
        sum / count
    }

    #[test]
    fn the_rule_is_there_to_be_learned_and_only_when_asked_for() {
        let (without, with) = (mean_reversal(0.0), mean_reversal(0.25));
        assert!(without.abs() < 0.5, "{without}");
        assert!((2.0..5.0).contains(&with), "{with}");
    }

    proptest! {
        #[test]
        fn timeframes_agree(from in 0i64..20 * 24 * 60, length in 1i64..5000, fine in 0usize..4, coarse in 0usize..4) {
            let (fine, coarse) = (timeframe(["1m", "5m", "15m", "1h"][fine]), timeframe(["1h", "4h", "12h", "1d"][coarse]));
            let mut walk = walk("ETHUSDT", 0.25);
            let from = START + from * MINUTE;
            for big in walk.candles(coarse, from, from + length * MINUTE, START + 60 * DAY, usize::MAX) {
                let until = big.open_ms + coarse.millis();
                let small = walk.candles(fine, big.open_ms, until, START + 60 * DAY, usize::MAX);
                let sum = small.iter().map(|c| Bar { open: c.open, high: c.high, low: c.low, close: c.close, volume: c.volume }).reduce(Bar::then).unwrap();
                prop_assert_eq!((big.open, big.high, big.low, big.close), (sum.open, sum.high, sum.low, sum.close));
                prop_assert!((big.volume - sum.volume).abs() < 1e-4);
            }
        }
    }
}
