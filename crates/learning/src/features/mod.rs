//! Features of a market that do not depend on its price scale: the model's input.

mod cycles;
mod growing;
mod rows;
mod state;
pub mod window;

pub use domain::calendar::MAX_GAP_BARS;
pub use domain::features::{ATR_PERCENT, COUNT, FEATURES, Feature, OF_VOLUME, VERSION, lacks_volume};
pub use growing::{GrowingFeatures, SharedRows};
pub use rows::Rows;
pub use state::{ATR_PERIOD, FeatureState, Missing, Row, WARM_UP, is_silent};

use cycles::KnownCycles;
use domain::calendar::Calendar;
use domain::candle::Candle;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fewest candles that predictions are made from: [`WARM_UP`] rounded up.
pub const MIN_CANDLES: usize = 100;

/// The feature rows of a whole series.
#[derive(Debug)]
pub struct FeatureTable {
    /// One row per bar that has one.
    pub rows: Rows,
    /// For each row, the index of its candle.
    pub bars: Vec<usize>,
    /// For each row, the average true range (14 bars) in price units.
    pub atr: Vec<f64>,
    /// How many bars have no row, by cause.
    pub missing: BTreeMap<Missing, usize>,
    /// When the market trades.
    pub calendar: Arc<Calendar>,
}

/// Computes the rows of `candles`, checked and oldest first, of `step_ms` each. Where all candles have the same volume,
/// the volume features take the constants of [`OF_VOLUME`]. Trading hours are learned from the candles themselves.
pub fn compute(candles: &[Candle], step_ms: i64) -> FeatureTable {
    compute_within(candles, &Arc::new(Calendar::learn(candles, step_ms)))
}

/// [`compute`] for a part of a series, with the calendar of the whole.
pub fn compute_within(candles: &[Candle], calendar: &Arc<Calendar>) -> FeatureTable {
    let mut rows = Rows::zeros(candles.len());
    let (mut bars, mut atr) = (Vec::with_capacity(candles.len()), Vec::with_capacity(candles.len()));
    let mut missing: BTreeMap<Missing, usize> = BTreeMap::new();
    let mut cycles = KnownCycles::new(calendar.step_ms());
    let mut state = FeatureState::of(candles, calendar);
    let room: &mut [Row] = &mut rows;
    for (bar, candle) in candles.iter().enumerate() {
        match (state.write(candle, |time_ms| cycles.of(time_ms), &mut room[bars.len()]), state.atr()) {
            (Ok(()), Some(range)) => {
                bars.push(bar);
                atr.push(range);
            }
            (Err(cause), _) => *missing.entry(cause).or_default() += 1,
            (Ok(()), None) => *missing.entry(Missing::WarmUp).or_default() += 1,
        }
    }
    rows.truncate(bars.len());
    FeatureTable { rows, bars, atr, missing, calendar: calendar.clone() }
}

/// Sets the volume features of a row to the constants of a market without volume.
pub fn silence(row: &mut Row) {
    for (place, feature) in FEATURES.iter().enumerate() {
        if let Some((_, value)) = OF_VOLUME.iter().find(|(name, _)| *name == feature.name) {
            row[place] = *value;
        }
    }
}

/// The row of the last candle and its average true range, or why there is none. Trading hours are learned from the
/// candles themselves.
pub fn latest(candles: &[Candle], step_ms: i64) -> Result<(Row, f64), Missing> {
    latest_within(candles, &Arc::new(Calendar::learn(candles, step_ms)))
}

/// [`latest`] for a part of a series, with the calendar of the whole.
pub fn latest_within(candles: &[Candle], calendar: &Arc<Calendar>) -> Result<(Row, f64), Missing> {
    let (last, before) = candles.split_last().ok_or(Missing::WarmUp)?;
    let mut state = FeatureState::of(candles, calendar);
    before.iter().for_each(|candle| state.skip(candle));
    let row = state.next(last)?;
    Ok((row, state.atr().ok_or(Missing::WarmUp)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn wave(bars: usize) -> Vec<Candle> {
        (0..bars)
            .map(|i| {
                let x = i as f64;
                let open = 100.0 + 5.0 * (x / 9.0).sin() + 2.0 * (x / 2.3).cos();
                let close = 100.0 + 5.0 * ((x + 1.0) / 9.0).sin() + 2.0 * ((x + 1.0) / 2.3).cos();
                let (top, bottom) = (open.max(close) + 0.3, open.min(close) - 0.2);
                let volume = 50.0 + 20.0 * (x / 5.0).sin();
                Candle {
                    open_ms: 1_700_000_000_000 + i as i64 * 3_600_000,
                    open,
                    high: top,
                    low: bottom,
                    close,
                    volume,
                }
            })
            .collect()
    }

    fn column(name: &str) -> usize {
        FEATURES.iter().position(|feature| feature.name == name).unwrap()
    }

    #[test]
    fn names_are_unique_and_every_bar_is_accounted_for() {
        assert_eq!(FEATURES.iter().map(|feature| feature.name).collect::<HashSet<_>>().len(), COUNT);
        let table = compute(&wave(300), 3_600_000);
        assert_eq!(table.bars[0], WARM_UP - 1);
        assert_eq!(table.rows.len() + table.missing.values().sum::<usize>(), 300);
        assert!(compute(&wave(MIN_CANDLES), 3_600_000).rows.len() == MIN_CANDLES - WARM_UP + 1);
    }

    #[test]
    fn the_latest_row_is_the_last_of_all() {
        let candles = wave(300);
        for end in WARM_UP..=300 {
            let table = compute(&candles[..end], 3_600_000);
            let last = (table.rows[end - WARM_UP], table.atr[end - WARM_UP]);
            assert_eq!(latest(&candles[..end], 3_600_000), Ok(last), "to the bit");
        }
        assert_eq!(latest(&[], 3_600_000), Err(Missing::WarmUp));
    }

    #[test]
    fn features_do_not_depend_on_the_price_scale() {
        let candles = wave(200);
        let scaled: Vec<_> = candles
            .iter()
            .map(|c| Candle {
                open: c.open * 1024.0,
                high: c.high * 1024.0,
                low: c.low * 1024.0,
                close: c.close * 1024.0,
                ..*c
            })
            .collect();
        let (a, b) = (latest(&candles, 3_600_000).unwrap().0, latest(&scaled, 3_600_000).unwrap().0);
        for i in 0..COUNT {
            assert!((a[i] - b[i]).abs() <= 1e-9 * a[i].abs().max(1.0), "{}: {} {}", FEATURES[i].name, a[i], b[i]);
        }
    }

    #[test]
    fn a_market_without_volume_has_all_other_features() {
        let with = compute(&wave(200), 3_600_000);
        for volume in [0.0, 1.0, 7.25] {
            let silent: Vec<_> = wave(200).iter().map(|c| Candle { volume, ..*c }).collect();
            let table = compute(&silent, 3_600_000);
            assert_eq!((table.bars.as_slice(), &table.missing), (with.bars.as_slice(), &with.missing));
            assert_eq!(latest(&silent, 3_600_000).unwrap().0, table.rows[table.rows.len() - 1]);
            for (row, full) in table.rows.iter().zip(with.rows.iter()) {
                let mut expected = *full;
                silence(&mut expected);
                assert_eq!(*row, expected);
                assert_eq!(row[column("volume_ratio_20")..=column("money_flow_14")], [1.0, 0.0, 0.0, 50.0]);
            }
        }
    }

    #[test]
    fn values_worked_from_their_definitions() {
        let candles = wave(260);
        let (row, atr) = latest(&candles, 3_600_000).unwrap();
        let closes: Vec<f64> = candles.iter().map(|c| c.close).collect();
        let last = closes.len() - 1;
        let mean = |n: usize| closes[last + 1 - n..].iter().sum::<f64>() / n as f64;
        let sd20 = (closes[last - 19..].iter().map(|c| (c - mean(20)).powi(2)).sum::<f64>() / 20.0).sqrt();
        let highest = |n: usize| candles[last + 1 - n..].iter().map(|c| c.high).fold(f64::MIN, f64::max);
        let lowest = |n: usize| candles[last + 1 - n..].iter().map(|c| c.low).fold(f64::MAX, f64::min);
        let mean_volume = candles[last - 19..].iter().map(|c| c.volume).sum::<f64>() / 20.0;
        // Wilder's RSI by its recursion, from the start of the series.
        let (mut gain, mut loss) = (0.0, 0.0);
        let moves: Vec<f64> =
            std::iter::once(closes[0] - candles[0].open).chain(closes.windows(2).map(|w| w[1] - w[0])).collect();
        for (i, m) in moves.iter().enumerate() {
            let n = (i + 1).min(14) as f64;
            gain += (m.max(0.0) - gain) / n;
            loss += ((-m).max(0.0) - loss) / n;
        }
        let expected = [
            ("rate_of_change_10", 100.0 * (closes[last] / closes[last - 10] - 1.0)),
            ("bollinger_percent_b_20", (closes[last] - mean(20) + 2.0 * sd20) / (4.0 * sd20)),
            ("sma_distance_50", (closes[last] - mean(50)) / atr),
            ("stochastic_k_14", 100.0 * (closes[last] - lowest(14)) / (highest(14) - lowest(14))),
            ("williams_r_28", 100.0 * (closes[last] - lowest(28)) / (highest(28) - lowest(28)) - 100.0),
            ("high_distance_96", (highest(96) - closes[last]) / atr),
            ("low_distance_24", (closes[last] - lowest(24)) / atr),
            ("volume_ratio_20", candles[last].volume / mean_volume),
            ("rsi_14", 100.0 * gain / (gain + loss)),
        ];
        for (name, value) in expected {
            assert!((row[column(name)] - value).abs() < 1e-9, "{name}: {} instead of {value}", row[column(name)]);
        }
    }

    #[test]
    fn missing_rows_have_a_cause() {
        let flat: Vec<_> =
            wave(200).iter().map(|c| Candle { open: 5.0, high: 5.0, low: 5.0, close: 5.0, ..*c }).collect();
        assert_eq!(latest(&flat, 3_600_000), Err(Missing::FlatPrices));
        let asleep: Vec<_> = wave(200)
            .iter()
            .enumerate()
            .map(|(i, c)| Candle { volume: if i < 120 { c.volume } else { 0.0 }, ..*c })
            .collect();
        assert_eq!(latest(&asleep, 3_600_000), Err(Missing::NoVolume));
        assert_eq!(latest(&wave(WARM_UP - 1), 3_600_000), Err(Missing::WarmUp));
        let mut halted = wave(300);
        for candle in &mut halted[250..] {
            candle.open_ms += 8 * 3_600_000;
        }
        assert_eq!(latest(&halted, 3_600_000), Err(Missing::Gap));
        assert_eq!(compute(&halted, 3_600_000).missing, [(Missing::WarmUp, 96), (Missing::Gap, 50)].into());
    }
}
