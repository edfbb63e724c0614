//! Tests of the candle in which a signal is given, on simulated prices whose true outcome is known.

use super::{Direction, Exit, Levels, Outcome};
use crate::candle::Candle;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HOUR_MS: i64 = 3_600_000;
/// Prices in an hour.
const TICKS: usize = 240;
const SIGNALS: usize = 4_000;

/// An hour of prices from `first` on, with a standard deviation of 1.2.
fn hour(first: f64, random: &mut ChaCha8Rng) -> Vec<f64> {
    let step = 1.2 * (12.0 / TICKS as f64).sqrt();
    let prices = (0..TICKS).scan(first, |price, _| {
        *price += step * random.random_range(-0.5..0.5);
        Some(*price)
    });
    std::iter::once(first).chain(prices).collect()
}

fn candle(hour: i64, prices: &[f64]) -> Candle {
    let (open, close) = (prices[0], prices[prices.len() - 1]);
    let (high, low) = prices.iter().fold((open, open), |(high, low), price| (high.max(*price), low.min(*price)));
    Candle { open_ms: hour * HOUR_MS, open, high, low, close, volume: 1.0 }
}

/// Percent of BUYs that reach the target, each given after `passed` prices of an hour. Judged by every price, by candles, and by
/// candles of which the first counts with its close only.
fn successes(stop: f64, target: f64, passed: usize) -> [f64; 3] {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut reached = [0; 3];
    for _ in 0..SIGNALS {
        let mut prices = hour(100.0, &mut random);
        let entry = prices[passed];
        let since_ms = HOUR_MS * passed as i64 / TICKS as i64 + 1_000;
        let levels = Levels {
            direction: Direction::Buy,
            entry,
            stop_loss: Some(entry - stop),
            take_profit: Some(entry + target),
            since_ms,
            expires_ms: None,
        };
        let mut exits: [Option<Exit>; 3] = [None; 3];
        let mut number = 0;
        loop {
            let seen = candle(number, &prices);
            let after = if number == 0 { &prices[passed..] } else { &prices[..] };
            let told = [
                after.iter().find_map(|price| levels.on_tick(*price, since_ms)),
                levels.on_candle(i64::MIN, &seen, HOUR_MS),
                levels.on_candle(i64::MAX, &seen, HOUR_MS),
            ];
            exits.iter_mut().zip(told).for_each(|(exit, told)| *exit = exit.or(told));
            if exits.iter().all(Option::is_some) {
                break;
            }
            (number, prices) = (number + 1, hour(prices[TICKS], &mut random));
        }
        for (count, exit) in reached.iter_mut().zip(exits) {
            *count += usize::from(exit.is_some_and(|exit| exit.outcome == Outcome::TookProfit));
        }
    }
    reached.map(|count| 100.0 * count as f64 / SIGNALS as f64)
}

#[test]
fn a_signal_a_second_after_the_open_comes_to_what_the_prices_say() {
    for (stop, target) in [(1.0, 2.0), (2.0, 1.0)] {
        // One second in, and just below a twelfth of the candle.
        for passed in [0, TICKS / 12 - 1] {
            let [tape, candles, close_alone] = successes(stop, target, passed);
            println!(
                "{stop} to {target}, {passed} prices: tape {tape:.1} %, candles {candles:.1} %, close alone {close_alone:.1} %"
            );
            // With the close only, the entry's candle misses every price that touched a level and came back.
            assert!((close_alone - tape).abs() > 2.0, "tape {tape:.1} %, close alone {close_alone:.1} %");
            assert!((candles - tape).abs() < 0.5, "tape {tape:.1} %, candles {candles:.1} %");
        }
    }
}

#[test]
fn what_is_given_in_the_middle_of_a_candle_has_only_its_close() {
    let [_, candles, close_alone] = successes(1.0, 2.0, TICKS / 2);
    assert_eq!(candles, close_alone);
}
