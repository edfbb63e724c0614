//! What a nightly training of ten markets costs, and an update: loading rows, fitting, evaluating. It runs on simulated candles or, where
//! `SIGNALLOOP_CANDLES` names a folder of candle files (`btcusdt_1h.csv`, …), on those. Start it with
//! `cargo test -p signalloop-learning --test tests nightly -- --ignored --nocapture`.

use candles::{Reading, read_candles};
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use domain::symbol::Market;
use domain::time::HOUR_MS;
use learning::{Continued, Dataset, Feedback, GrowingDataset, continue_pool, train_pool};
use simulator::price_walk::PriceWalk;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MARKETS: usize = 10;
const NIGHTS: usize = 5;
/// A year.
const HOURS: usize = 365 * 24;
const START_MS: i64 = 1_577_836_800_000;

fn market(number: usize) -> Market {
    Market::parse(&format!("COIN{number}USDT"), "1h").unwrap()
}

/// Series of the same hours. Files give as many as they have years.
fn series() -> Vec<(Market, Vec<Candle>)> {
    let hours = HOURS + NIGHTS * 24;
    let at_start = |candles: &[Candle]| -> Vec<Candle> {
        let later = |(hour, candle): (usize, &Candle)| Candle { open_ms: START_MS + hour as i64 * HOUR_MS, ..*candle };
        candles.iter().enumerate().map(later).collect()
    };
    let all: Vec<Vec<Candle>> = match std::env::var("SIGNALLOOP_CANDLES") {
        Ok(folder) => {
            let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
            files.retain(|file| file.to_string_lossy().ends_with("_1h.csv"));
            files.sort();
            let read =
                |path: &std::path::PathBuf| read_candles(path, market(0).timeframe, &Reading::stored()).unwrap().0;
            let years: Vec<Vec<Vec<Candle>>> =
                files.iter().map(|file| read(file).chunks_exact(hours).map(at_start).collect()).collect();
            // The last years first.
            (0..9)
                .flat_map(|back| years.iter().filter_map(move |years| years.iter().rev().nth(back)))
                .cloned()
                .collect()
        }
        Err(_) => {
            let end = START_MS + hours as i64 * HOUR_MS;
            let walk = |number: usize| {
                let mut walk = PriceWalk::new(number as u64, &market(number).symbol, START_MS, 0.2);
                walk.candles(market(number).timeframe, START_MS, end - HOUR_MS + 1, end, usize::MAX)
            };
            (0..MARKETS).map(walk).collect()
        }
    };
    let markets: Vec<_> =
        all.into_iter().take(MARKETS).enumerate().map(|(number, all)| (market(number), all)).collect();
    assert_eq!(markets.len(), MARKETS);
    markets
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[test]
#[ignore = "measures; takes a minute"]
fn what_a_nightly_training_costs() {
    let series = series();
    let (config, feedback, cancel) = (Config::default(), Feedback::default(), Cancel::default());
    let mut growing: Vec<GrowingDataset> = series.iter().map(|(market, _)| GrowingDataset::new(market)).collect();
    let mut pool = None;
    for night in 0..NIGHTS {
        let until = HOURS + 24 * night;
        let begun = Instant::now();
        let at_once: Vec<Dataset> = series
            .iter()
            .map(|(market, candles)| Dataset::new(market, &candles[..until], &feedback, &config).unwrap())
            .collect();
        let loaded = begun.elapsed();
        let begun = Instant::now();
        let grown: Vec<Arc<Dataset>> = series
            .iter()
            .zip(&mut growing)
            .map(|((_, candles), growing)| {
                growing.grow(&candles[..until]);
                Arc::new(growing.dataset(&feedback, &config.signal, None).unwrap())
            })
            .collect();
        let kept = begun.elapsed();
        assert_eq!(at_once.iter().map(Dataset::len).sum::<usize>(), grown.iter().map(|data| data.len()).sum());
        let update = pool.as_ref().map(|pool| {
            let begun = Instant::now();
            let updated = continue_pool(pool, grown.clone(), &config, &cancel, &|_| {}).unwrap();
            assert!(matches!(updated, Continued::Trained(_)));
            ms(begun.elapsed())
        });
        let (begun, steps) = (Instant::now(), std::sync::Mutex::new(Vec::new()));
        let training = train_pool(grown, &config, &cancel, &|_| steps.lock().unwrap().push(begun.elapsed())).unwrap();
        let trained = begun.elapsed();
        let steps = steps.into_inner().unwrap();
        let fits: Vec<String> = steps.chunks(2).map(|pair| format!("{:.0}", ms(pair[1]))).collect();
        let begun = Instant::now();
        for (market, _) in &series {
            training.candidate(market, &config, 0).unwrap();
        }
        println!(
            "night {night}: rows at once {:.1} ms, grown {:.1} ms; update {:.0} ms; training {:.0} ms, of it until each block {}; \
             candidates {:.1} ms",
            ms(loaded),
            ms(kept),
            update.unwrap_or(f64::NAN),
            ms(trained),
            fits.join(" "),
            ms(begun.elapsed()),
        );
        pool = Some(training.pool.clone());
    }
}
