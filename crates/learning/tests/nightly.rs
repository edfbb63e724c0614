//! What a nightly training of ten markets costs, and an update, in processor time: loading rows, fitting, evaluating. It runs on simulated candles or, where
//! `SIGNALLOOP_CANDLES` names a folder of candle files (`btcusdt_1h.csv`, …), on those. Start it with
//! `cargo test -p signalloop-learning --test tests nightly -- --ignored --nocapture`.

use candles::{Reading, read_candles};
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use domain::symbol::Market;
use domain::time::HOUR_MS;
use learning::model::Pool;
use learning::{Continued, Dataset, Feedback, GrowingDataset, continue_pool, train_pool};
use simulator::price_walk::PriceWalk;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

/// The time for which the processors worked for this process, which does not depend on what else they do.
#[cfg(target_os = "linux")]
fn worked() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(of).sum())
}

/// Elsewhere, the time that has passed.
#[cfg(not(target_os = "linux"))]
fn worked() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

/// What has been done since `begun`, in milliseconds of processor time.
fn ms_since(begun: Duration) -> f64 {
    (worked() - begun).as_secs_f64() * 1e3
}

#[test]
#[ignore = "measures; takes a minute"]
fn what_a_nightly_training_costs() {
    let series = series();
    let (config, feedback, cancel) = (Config::default(), Feedback::default(), Cancel::default());
    let mut growing: Vec<GrowingDataset> = series.iter().map(|(market, _)| GrowingDataset::new(market)).collect();
    let mut pools: Vec<Arc<Pool>> = Vec::new();
    for night in 0..NIGHTS {
        let until = HOURS + 24 * night;
        let begun = worked();
        let at_once: Vec<Dataset> = series
            .iter()
            .map(|(market, candles)| Dataset::new(market, &candles[..until], &feedback, &config).unwrap())
            .collect();
        let loaded = ms_since(begun);
        let begun = worked();
        let grown: Vec<Arc<Dataset>> = series
            .iter()
            .zip(&mut growing)
            .map(|((_, candles), growing)| {
                growing.grow(&candles[..until]);
                Arc::new(growing.dataset(&feedback, &config.signal, None).unwrap())
            })
            .collect();
        let kept = ms_since(begun);
        assert_eq!(at_once.iter().map(Dataset::len).sum::<usize>(), grown.iter().map(|data| data.len()).sum::<usize>());
        print!("night {night}: rows at once {loaded:.1} ms, grown {kept:.1} ms; ");
        // Most bets of the last day are still open, so an update has more to learn two days later.
        if let Some(pool) = night.checked_sub(2).map(|before| &pools[before]) {
            let begun = worked();
            let updated = continue_pool(pool, grown.clone(), &config, None, &cancel, &|_| {}).unwrap();
            assert!(matches!(updated, Continued::Trained(_)));
            print!("update {:.0} ms; ", ms_since(begun));
        }
        let (begun, steps) = (worked(), Mutex::new(Vec::new()));
        let training = train_pool(grown, &config, &cancel, &|_| steps.lock().unwrap().push(ms_since(begun))).unwrap();
        let trained = ms_since(begun);
        let steps = steps.into_inner().unwrap();
        let blocks: Vec<String> = steps.chunks(2).map(|pair| format!("{:.0}", pair[1])).collect();
        let begun = worked();
        series.iter().for_each(|(market, _)| drop(training.candidate(market, &config, 0).unwrap()));
        let candidates = ms_since(begun);
        println!(
            "training {trained:.0} ms, until the end of each fit {}; candidates {candidates:.0} ms",
            blocks.join(" ")
        );
        pools.push(training.pool.clone());
    }
}
