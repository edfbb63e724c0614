//! Benchmarks of the hot paths between a candle and a probability: `cargo bench -p signalloop-benches --bench model`

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use domain::symbol::Market;
use learning::features::{FeatureState, compute, latest};
use learning::{Feedback, train_market};
use simulator::{Simulator, SimulatorOptions};
use std::hint::black_box;

const HOUR_MS: i64 = 3_600_000;

fn candles(market: &Market, hours: i64) -> Vec<Candle> {
    let options = SimulatorOptions::default();
    let start = options.start_ms;
    let simulator = Simulator::start(options).expect("a free port");
    simulator.candles(market, start, start + hours * HOUR_MS).expect("a symbol that is traded")
}

fn benches(criterion: &mut Criterion) {
    let market = Market::parse("BTCUSDT", "1h").expect("a market");
    let series = candles(&market, 2160);
    let config = Config::default();
    let train = || {
        train_market(&market, &series, &Feedback::default(), &config, 0, &Cancel::default(), &|_| {})
            .expect("enough candles")
            .model
    };

    let mut state = FeatureState::new(HOUR_MS);
    series.iter().for_each(|candle| {
        let _ = state.next(candle);
    });
    let next = Candle { open_ms: series[2159].open_ms + HOUR_MS, ..series[2159] };
    criterion.bench_function("features of one more candle", |b| {
        b.iter_batched_ref(|| state.clone(), |state| black_box(state.next(&next)), BatchSize::SmallInput);
    });
    criterion.bench_function("features of 2160 candles", |b| b.iter(|| black_box(compute(&series, HOUR_MS))));
    criterion.bench_function("features of the last of 200 candles", |b| {
        b.iter(|| black_box(latest(&series[1960..], HOUR_MS)));
    });

    let model = train();
    let (row, _) = latest(&series, HOUR_MS).expect("features");
    criterion.bench_function("probabilities of one row", |b| b.iter(|| black_box(model.probabilities(&row))));

    let mut slow = criterion.benchmark_group("slow");
    slow.sample_size(10);
    slow.bench_function("train and evaluate 2160 candles", |b| b.iter(|| black_box(train())));
}

criterion_group!(all, benches);
criterion_main!(all);
