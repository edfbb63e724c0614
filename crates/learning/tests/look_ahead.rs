//! Guards against look-ahead bias: when the future is changed, every row, label and fold of the past must stay the same
//! byte by byte.

// A panic is how a test reports, in helpers too.

use domain::candle::Candle;
use domain::config::Config;
use domain::symbol::Market;
use learning::features::{FeatureState, FeatureTable, Row, WARM_UP, compute, latest};
use learning::{label, walk_forward};
use proptest::prelude::*;
use simulator::{Simulator, SimulatorOptions};

const HOUR: i64 = 3_600_000;

fn candles(hours: i64, seed: u64) -> Vec<Candle> {
    let options = SimulatorOptions { seed, ..Default::default() };
    let (start, market) = (options.start_ms, Market::parse("BTCUSDT", "1h").unwrap());
    Simulator::start(options).unwrap().candles(&market, start, start + hours * HOUR).unwrap()
}

fn bytes(row: &Row) -> Vec<u8> {
    row.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect()
}

fn rows_until(table: &FeatureTable, bar: usize) -> Vec<(usize, Vec<u8>, u64)> {
    let all = table.bars.iter().zip(table.rows.iter()).zip(&table.atr);
    all.filter(|((at, _), _)| **at <= bar).map(|((at, row), atr)| (*at, bytes(row), atr.to_bits())).collect()
}

/// A different future from `bar` on: prices multiplied, volume reversed, an hour removed.
fn with_another_future(candles: &[Candle], bar: usize, factor: f64) -> Vec<Candle> {
    let mut changed = candles.to_vec();
    for candle in &mut changed[bar..] {
        candle.open *= factor;
        candle.high *= factor * 1.01;
        candle.low *= factor * 0.99;
        candle.close *= factor;
        candle.volume = 1e4 / (1.0 + candle.volume);
        candle.open_ms += HOUR;
    }
    changed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn past_features_do_not_depend_on_the_future(seed in 0u64..1000, bar in 150usize..380, factor in 0.2..5.0f64) {
        let before = candles(400, seed);
        let after = with_another_future(&before, bar, factor);
        let (a, b) = (compute(&before, HOUR), compute(&after, HOUR));
        let past = rows_until(&a, bar - 1);
        prop_assert_eq!(past.len(), bar - (WARM_UP - 1));
        prop_assert_eq!(past, rows_until(&b, bar - 1));
        // The change had an effect: the first changed bar differs.
        prop_assert_ne!(rows_until(&a, bar), rows_until(&b, bar));
    }

    #[test]
    fn a_decided_label_does_not_depend_on_the_future(seed in 0u64..1000, bar in 120usize..300, factor in 0.2..5.0f64) {
        let before = candles(400, seed);
        let table = compute(&before, HOUR);
        let atr = table.atr[bar + 1 - WARM_UP];
        let shape = Config::default().signal;
        let decided = label(&before, bar, &table.calendar, atr, &shape).unwrap();
        let after = with_another_future(&before, decided.last_bar() + 1, factor);
        prop_assert_eq!(Some(decided), label(&after, bar, &table.calendar, atr, &shape));
    }

    #[test]
    fn incremental_features_equal_a_full_computation(seed in 0u64..1000, bars in 100usize..300) {
        let series = candles(300, seed);
        let mut state = FeatureState::new(HOUR);
        let mut live = None;
        for candle in &series[..bars] {
            live = state.next(candle).ok();
        }
        let (whole, _) = latest(&series[..bars], HOUR).unwrap();
        prop_assert_eq!(live.map(|row| bytes(&row)), Some(bytes(&whole)));
    }
}

/// A fold's training rows are decided before its test block begins, on the labels of a real series.
#[test]
fn folds_train_on_what_was_known() {
    let series = candles(1500, 3);
    let table = compute(&series, HOUR);
    let shape = Config::default().signal;
    let labelled: Vec<(usize, usize)> = table
        .bars
        .iter()
        .zip(&table.atr)
        .filter_map(|(&bar, &atr)| Some((bar, label(&series, bar, &table.calendar, atr, &shape)?.last_bar())))
        .collect();
    let (bars, ends): (Vec<usize>, Vec<usize>) = labelled.into_iter().unzip();
    let times: Vec<i64> = bars.iter().map(|&bar| series[bar].open_ms).collect();
    let decided: Vec<i64> = ends.iter().map(|&end| series[end].open_ms + HOUR).collect();
    let folds = walk_forward(&times, &decided, None);
    assert_eq!(folds.len(), 5);
    for fold in folds {
        let begins = times[fold.test.start];
        let known = fold.train.iter().map(|&row| decided[row]).max().unwrap();
        assert!(known <= begins, "trained on a label of {known}, tested from {begins}");
    }
}
