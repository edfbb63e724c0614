//! Strategies that fail, and replays that cannot begin.

use super::market::{self, FROM, HOUR, markets, past, past_signals, signal};
use domain::error::{Error, Result};
use replay::{Asked, Bar, Given, OnFault, Options, Part, Replayed, Source, Strategy, StrategyFuture};
use std::time::Duration;

/// Fails at each bar in a way of its own.
struct Faulty(fn(&Bar<'_>, i64) -> std::result::Result<Vec<domain::signal::Signal>, String>);

impl Strategy for Faulty {
    fn signals<'a>(&'a mut self, now_ms: i64, bars: &'a [Bar<'a>], _: Duration) -> StrategyFuture<'a> {
        let asked = bars.iter().enumerate().map(|(place, bar)| Asked { bar: place, signals: self.0(bar, now_ms) });
        Box::pin(std::future::ready(Ok(asked.collect())))
    }
}

async fn with(
    fault: fn(&Bar<'_>, i64) -> std::result::Result<Vec<domain::signal::Signal>, String>,
    on_fault: OnFault,
) -> Result<Replayed> {
    let home = tempfile::tempdir().unwrap();
    let without = vec![Part::Models];
    let options = Options { on_fault, without, ..market::options(home.path()) };
    let replayed = market::run(Source::Strategy(markets(), Box::new(Faulty(fault))), past(1), options).await;
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "something was written into the home");
    replayed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_names_the_candle_and_ends_the_replay() {
    let error = with(|_, _| Err("it divided by zero".to_owned()), OnFault::Stop).await.unwrap_err();
    let expected = "failed at the candle of BTCUSDT 1h that closed at 2025-02-10T00:00:00.000Z: it divided by zero";
    assert_eq!(error.code(), "ERR_INVALID_ARGUMENT");
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replay_goes_on_if_asked_and_lists_the_faults() {
    let fault = |bar: &Bar<'_>, now_ms: i64| {
        if now_ms == FROM + 5 * HOUR { Err("once".to_owned()) } else { Ok(signal(bar, now_ms).into_iter().collect()) }
    };
    let replayed = with(fault, OnFault::Continue).await.unwrap();
    assert_eq!(replayed.faults.count, 2, "{:?}", replayed.faults);
    assert_eq!(replayed.faults.first[0].at, "2025-02-10T05:00:00.000Z");
    assert!(!replayed.runs[0].decisions.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_signals_foreign_times_and_twice_the_same_are_faults() {
    let many = |bar: &Bar<'_>, now_ms: i64| Ok(signal(bar, now_ms).into_iter().cycle().take(10_000).collect());
    let error = with(many, OnFault::Stop).await.unwrap_err().to_string();
    assert!(error.contains("10000 signals at one candle; at most 100 are taken"), "{error}");
    let early = |bar: &Bar<'_>, now_ms: i64| {
        Ok(signal(bar, now_ms)
            .into_iter()
            .map(|signal| domain::signal::Signal { timestamp_ms: now_ms - 1, ..signal })
            .collect())
    };
    let error = with(early, OnFault::Stop).await.unwrap_err().to_string();
    assert!(error.contains("leave it out, a signal is given when its candle closes"), "{error}");
    let twice = |bar: &Bar<'_>, now_ms: i64| {
        let same = |signal: domain::signal::Signal| domain::signal::Signal { id: "same".to_owned(), ..signal };
        Ok(signal(bar, now_ms).into_iter().map(same).collect())
    };
    let error = with(twice, OnFault::Stop).await.unwrap_err().to_string();
    assert!(error.contains("same"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_outside_the_time_or_without_candles_are_counted_not_replayed() {
    let (home, candles) = (tempfile::tempdir().unwrap(), past(2));
    let mut given = past_signals(&candles, FROM + 2 * super::market::DAY);
    let replayed_before = given.len();
    let mut early = given[0].clone();
    early.signal.id = "early".to_owned();
    early.signal.timestamp_ms = market::START - 1;
    let mut foreign = given[0].clone();
    foreign.signal.id = "foreign".to_owned();
    foreign.signal.symbol = domain::symbol::Symbol::parse("DOGEUSDT").unwrap();
    given.extend([early, foreign]);
    let options = Options { without: vec![Part::Models], ..market::options(home.path()) };
    let replayed = market::run(Source::Signals(given), candles.clone(), options.clone()).await.unwrap();
    assert_eq!((replayed.left_out, replayed.runs[0].decisions.len()), (2, replayed_before));
    let nothing = market::run(Source::Signals(Vec::<Given>::new()), candles, options).await.unwrap_err();
    assert!(matches!(nothing, Error::NoData(_)), "{nothing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_signals_are_known_and_not_counted() {
    let (home, candles, middle_ms) = (tempfile::tempdir().unwrap(), past(4), FROM + 2 * super::market::DAY);
    let given = past_signals(&candles, FROM + 4 * super::market::DAY);
    let earlier = given.iter().filter(|given| given.signal.timestamp_ms < middle_ms).count();
    assert!(earlier > 10, "{earlier}");
    let whole = Options { without: vec![Part::Models], ..market::options(home.path()) };
    let part = Options { from_ms: Some(middle_ms), compare: vec![Part::Outcomes], ..whole.clone() };
    let whole = market::run(Source::Signals(given.clone()), candles.clone(), whole).await.unwrap();
    let part = market::run(Source::Signals(given), candles, part).await.unwrap();
    assert_eq!((whole.earlier, part.earlier, part.left_out), (0, earlier, whole.left_out));
    let decisions = &part.runs[0].decisions;
    let later = &whole.runs[0].decisions[earlier..];
    assert_eq!((decisions.len(), part.runs[1].decisions.len()), (later.len(), later.len()));
    for (one, other) in decisions.iter().zip(later) {
        assert_eq!((&one.record.signal.id, &one.record.closing), (&other.record.signal.id, &other.record.closing));
        let known = |advice: Option<replay::Advice>| advice.unwrap().said.outcomes;
        assert_eq!(known(one.advice), known(other.advice));
        assert!(known(one.advice) > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_ends_count_unless_candles_came_first() {
    use domain::barrier::Outcome;
    use domain::signal::{Claim, Update};
    let (home, candles) = (tempfile::tempdir().unwrap(), past(2));
    let mut given = past_signals(&candles, FROM + super::market::DAY);
    for one in &mut given {
        let claim = Claim { outcome: Outcome::Success, exit_price: None, profit_percent: Some(0.1) };
        let closed_ms = Some(one.signal.timestamp_ms + 60_000);
        one.end = Some(Update { id: one.signal.id.clone(), claim, share: None, closed_ms });
    }
    let options = Options { without: vec![Part::Models], ..market::options(home.path()) };
    let replayed = market::run(Source::Signals(given.clone()), candles, options).await.unwrap();
    let decisions = &replayed.runs[0].decisions;
    assert_eq!(decisions.len(), given.len());
    for decision in decisions {
        let closing = decision.record.closing.unwrap();
        assert_eq!((closing.outcome, closing.profit_percent), (Outcome::Success, 0.1));
        assert_eq!(closing.closed_ms, decision.record.signal.timestamp_ms + 60_000);
    }
}
