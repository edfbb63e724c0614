//! Benchmarks of the outcome learner with 10 000 closed signals: an assessment, an outcome, and a new model.
//! cargo bench -p signalloop-benches --bench outcomes

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use domain::barrier::Direction;
use domain::symbol::Market;
use domain::time::HOUR_MS;
use learning::outcomes::{Case, Learner, Lesson, MAX_LESSONS, OutcomeModel};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;

const NAMES: [&str; 12] = [
    "rsi",
    "macd",
    "volumeRatio",
    "adx",
    "atrPercent",
    "bbWidth",
    "emaDistance",
    "stochastic",
    "obvSlope",
    "funding",
    "spread",
    "noise",
];
const SYMBOLS: [&str; 5] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "XRPUSDT"];

fn lesson(rng: &mut ChaCha8Rng, hour: i64) -> Lesson {
    let indicators: Vec<_> = NAMES.iter().map(|name| ((*name).to_owned(), rng.random_range(0.0..100.0))).collect();
    let case = Case {
        market: Market::parse(SYMBOLS[rng.random_range(0..5)], "1h").expect("a market"),
        direction: if rng.random_bool(0.5) { Direction::Buy } else { Direction::Sell },
        strategy: None,
        implied: 0.5,
        reward_risk: Some(1.0),
        loss_r: None,
        stop_percent: Some(2.0),
        confidence: Some(60.0),
        texts: Vec::new(),
        features: None,
        prior: None,
        indicators,
    };
    let rate = if case.indicators[0].1 > 70.0 { 0.3 } else { 0.65 };
    let given_ms = hour * HOUR_MS;
    Lesson {
        success: rng.random_bool(rate),
        case,
        r: None,
        net_r: None,
        said: None,
        given_ms,
        closed_ms: given_ms + HOUR_MS,
    }
}

fn outcomes(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut learner = Learner::default();
    for i in 0..MAX_LESSONS as i64 {
        learner.learn(lesson(&mut rng, i));
    }
    let evidence = learner.evidence();
    learner.adopt(OutcomeModel::grow(&evidence, 7));
    let asked = lesson(&mut rng, 0).case;
    criterion.bench_function("assess, 10 000 closed signals", |bencher| {
        bencher.iter(|| {
            let model = learner.model();
            (model.chances(black_box(&asked)), model.reasons(black_box(&asked)))
        });
    });
    criterion.bench_function("an outcome more, 10 000 closed signals", |bencher| {
        bencher.iter_batched(
            || lesson(&mut rng, MAX_LESSONS as i64),
            |lesson| learner.learn(lesson),
            BatchSize::SmallInput,
        );
    });
    let mut slow = criterion.benchmark_group("in the background");
    slow.sample_size(10);
    slow.bench_function("a new model, 10 000 closed signals", |bencher| {
        bencher.iter(|| OutcomeModel::grow(black_box(&evidence), 7));
    });
}

criterion_group!(benches, outcomes);
criterion_main!(benches);
