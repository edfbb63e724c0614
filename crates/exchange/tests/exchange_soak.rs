//! Months of fetching from an exchange that fails one time in five, in all known ways. The stored candles must equal those of a
//! faultless exchange. `SIGNALLOOP_SOAK_DAYS` sets the simulated days, 2 by default.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is how a failure is reported, in its helpers too")]

use candles::{Cause, Findings, candle_file};
use domain::error::Error;
use domain::symbol::{Market, Symbol};
use domain::time::Clock;
use domain::venue::Venue;
use exchange::{Begin, Exchange, Pace, update};
use simulator::{Fault, Simulator, SimulatorOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const START: i64 = 1_735_689_600_000;
const SHARE_OF_FAULTS: f64 = 0.2;

/// What happened meanwhile.
#[derive(Debug, Default)]
struct Log {
    updates: usize,
    failed: BTreeMap<&'static str, usize>,
    findings: Findings,
    requests: usize,
}

/// Updates every market each hour for this many days, like a scheduler, and leaves the files in `home`.
async fn live(home: &Path, days: i64, faults: Vec<(Fault, f64)>) -> Log {
    let symbols = ["BTCUSDT", "ETHUSDT"].map(|name| Symbol::parse(name).unwrap());
    let clock = Clock::standing(START + 10 * DAY);
    let options = SimulatorOptions { seed: 5, symbols: symbols.to_vec(), clock, faults, ..Default::default() };
    let simulator = Simulator::start(options).unwrap();
    let pace = Pace { answer: Duration::from_millis(700), backoff: Duration::from_millis(2), ..Pace::default() };
    let exchange = Exchange::with_pace(Venue::Binance, Some(simulator.url()), pace).unwrap();
    let markets: Vec<Market> = symbols
        .iter()
        .flat_map(|symbol| ["1h", "15m"].map(|timeframe| Market::parse(symbol.as_str(), timeframe).unwrap()))
        .collect();
    let mut log = Log::default();
    for hour in 0..=24 * days {
        simulator.clock().set(START + 10 * DAY + hour * HOUR + 90_000);
        for market in &markets {
            log.updates += 1;
            match update(&exchange, home, market, Begin::Days(9), simulator.now_ms()).await {
                Ok(fetched) => log.findings.merge(fetched.findings),
                Err(error @ (Error::Exchange(_) | Error::BadCandle { .. })) => {
                    *log.failed.entry(error.code()).or_default() += 1;
                }
                Err(error) => panic!("{market}: {error}"),
            }
        }
    }
    // The last hour is repeated until it works; a scheduler would retry an hour later.
    for market in &markets {
        let mut tries = 0;
        while let Err(error) = update(&exchange, home, market, Begin::Days(9), simulator.now_ms()).await {
            tries += 1;
            assert!(tries < 20, "{market}: {error}");
        }
        let stored = std::fs::read(candle_file(home, market)).unwrap();
        let whole = tempfile::tempdir().unwrap();
        let first = START + 10 * DAY + 90_000 - 9 * DAY;
        let expected = simulator.candles(market, first, i64::MAX).unwrap();
        candles::write_csv(&whole.path().join("x.csv"), &expected).unwrap();
        assert!(stored == std::fs::read(whole.path().join("x.csv")).unwrap(), "{market} is not what the market did");
    }
    log.requests = simulator.request_count();
    log
}

#[tokio::test]
async fn faults_leave_no_trace_in_the_candles() {
    let days = std::env::var("SIGNALLOOP_SOAK_DAYS").ok().map_or(2, |days| days.parse().unwrap());
    let (faultless, faulty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let calm = live(faultless.path(), days, Vec::new()).await;
    assert_eq!((calm.findings, calm.failed), (Findings::default(), BTreeMap::new()));

    let share = SHARE_OF_FAULTS / Fault::ALL.len() as f64;
    let log = live(faulty.path(), days, Fault::ALL.iter().map(|fault| (*fault, share)).collect()).await;
    println!("{days} days: {} updates, {} requests, failed {:?}", log.updates, log.requests, log.failed);
    println!("{}", log.findings);

    let contents = |home: &Path| -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| (path.file_name().unwrap().to_string_lossy().into(), std::fs::read(&path).unwrap()))
            .collect()
    };
    assert!(contents(faulty.path()) == contents(faultless.path()), "no gap was taken for the exchange's own either");
    // About one request in five must have failed, half of them so that they were repeated.
    let repeated = log.findings.count(Cause::Retried);
    assert!(repeated * 20 > log.updates, "{repeated} of {} updates", log.updates);
    assert!(log.failed.values().sum::<usize>() > 0);
    let oddities = [Cause::TimeUnit, Cause::Disorder, Cause::Duplicate, Cause::StillOpen, Cause::GapFilled];
    let met = oddities.iter().filter(|cause| log.findings.count(**cause) > 0).count();
    assert!(met > 0 && (days < 30 || met == oddities.len()), "{}", log.findings);
}
