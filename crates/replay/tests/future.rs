//! Nothing later than the simulated now can reach anything: with another future from some moment on, every decision before
//! that moment is the same to the bit.

use super::market::{self, DAY, FROM, HOUR, markets, past_signals, reversal};
use candles::PastCandles;
use domain::candle::Candle;
use domain::symbol::Market;
use engine::Risk;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use replay::{Given, Replayed, Source};
use std::collections::BTreeMap;
use std::sync::Arc;

const DAYS: i64 = 8;

/// The same candles until `moment_ms`, and others from then on: each price and volume changes by up to a tenth. A candle
/// that is open at that moment changes too, because nobody knows it yet.
fn other_future(candles: &BTreeMap<Market, Vec<Candle>>, moment_ms: i64, seed: u64) -> Arc<PastCandles> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let changed = candles.iter().map(|(market, candles)| {
        let candle_ms = market.timeframe.millis();
        let change = |candle: &Candle| {
            if candle.open_ms + candle_ms <= moment_ms {
                return *candle;
            }
            let mut other = |price: f64| price * dice.random_range(0.9..1.1);
            let (open, close) = (other(candle.open), other(candle.close));
            let (high, low) = (open.max(close) * 1.01, open.min(close) * 0.99);
            Candle { open, high, low, close, volume: other(candle.volume), ..*candle }
        };
        (market.clone(), candles.iter().map(change).collect())
    });
    Arc::new(PastCandles::new(changed.collect()).unwrap())
}

/// What was decided and what had happened by `moment_ms`, as text with all digits. A signal ends at a time inside the candle
/// that ended it, which is known once that candle has closed: an hour later at most.
fn decided(replayed: &Replayed, moment_ms: i64) -> Vec<String> {
    let run = &replayed.runs[0];
    let known_ms = moment_ms.saturating_sub(HOUR);
    let decisions = run.decisions.iter().filter(|one| one.record.signal.timestamp_ms <= moment_ms).map(|one| {
        let closing = one.record.closing.filter(|closing| closing.closed_ms <= known_ms);
        format!("{:?} {:?} {:?} {closing:?}", one.record.signal, one.record.said, one.advice)
    });
    let at = domain::time::format_iso(moment_ms);
    let notes = run.happened.notes.iter().filter(|note| note.at <= at).map(|note| format!("{note:?}"));
    decisions.chain(notes).collect()
}

/// Replays twice, with the future changed from random moments on, and compares.
async fn check(source: impl Fn(&PastCandles, i64) -> Source) {
    let home = tempfile::tempdir().unwrap();
    let all = market::candles(DAYS);
    let whole = Arc::new(PastCandles::new(all.clone()).unwrap());
    let run = |candles: Arc<PastCandles>, moment_ms: i64| {
        let source = source(&candles, moment_ms);
        market::run(source, candles, market::options(home.path()))
    };
    let one = run(whole, i64::MAX).await.unwrap();
    let signals = one.runs[0].decisions.len();
    assert!(signals > 10, "only {signals} signals");
    assert!(one.runs[0].happened.promoted > 0, "no model was trained: {:?}", one.runs[0].happened);
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    for seed in 0..2 {
        let moment_ms = FROM + dice.random_range(DAY..(DAYS - 1) * DAY);
        let other = run(other_future(&all, moment_ms, seed), moment_ms).await.unwrap();
        let (before, after) = (decided(&one, moment_ms), decided(&other, moment_ms));
        for (a, b) in before.iter().zip(&after) {
            assert_eq!(a, b, "with another future from {moment_ms} on");
        }
        assert_eq!(before.len(), after.len());
        let all = |replayed: &Replayed| decided(replayed, i64::MAX);
        assert_ne!(all(&one), all(&other), "the other future changed nothing, so the test shows nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_cannot_see_the_future() {
    check(|_, _| reversal()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_signals_are_judged_without_the_future() {
    // The signals until that moment are the same; those after it are part of the future.
    check(|candles, moment_ms| {
        let mut given = past_signals(candles, FROM + DAYS * DAY);
        given.retain(|Given { signal, .. }| moment_ms == i64::MAX || signal.timestamp_ms <= moment_ms + HOUR);
        Source::Signals(given)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_signals_are_made_without_the_future() {
    check(|_, _| Source::Own(markets(), Risk::Medium)).await;
}
