//! Open signals after a downtime: the missed candles close them at the same time and price as watching every minute
//! would have.

use domain::barrier::{Exit, Outcome};
use domain::candle::Candle;
use domain::error::Error;
use domain::signal::{Excursion, Record, Signal};
use domain::symbol::{Market, Symbol};
use domain::time::Clock;
use engine::{Options, SignalLoop};
use exchange::{CandleFuture, CandleSource, PriceFuture, PriceSource};
use parking_lot::Mutex;
use scheduler::{Outcome as Ended, Task};
use serde_json::json;
use simulator::{Simulator, SimulatorOptions};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::signal;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn minutes(symbol: &str) -> Market {
    Market::parse(symbol, "1m").unwrap()
}

fn exchange(symbols: &[&str]) -> Simulator {
    let symbols = symbols.iter().map(|symbol| minutes(symbol).symbol).collect();
    let clock = Clock::standing(SimulatorOptions::default().start_ms + 20 * 24 * HOUR);
    Simulator::start(SimulatorOptions { symbols, clock, ..SimulatorOptions::default() }).unwrap()
}

fn open(home: &Path, exchange: &Simulator) -> Arc<SignalLoop> {
    let options = Options {
        home: Some(home.to_owned()),
        exchange_url: Some(exchange.url().to_owned()),
        clock: exchange.clock().clone(),
        ..Options::default()
    };
    Arc::new(SignalLoop::open(options).unwrap())
}

/// A signal at the close of `candle`, given some time after it.
fn given(
    id: &str,
    symbol: &str,
    candle: &Candle,
    after_ms: i64,
    percent: f64,
    buy: bool,
    hours: Option<i64>,
) -> Signal {
    let (entry, sign) = (candle.close, if buy { 1.0 } else { -1.0 });
    let at = candle.open_ms + MINUTE + after_ms;
    signal(json!({
        "id": id, "symbol": symbol, "signalType": if buy { "BUY" } else { "SELL" }, "entryPrice": entry, "timestamp": at,
        "stopLoss": entry * (1.0 - sign * percent / 100.0), "takeProfit": entry * (1.0 + sign * 2.0 * percent / 100.0),
        "expiresAt": hours.map(|hours| at + hours * HOUR + 17_000),
    }))
}

/// How a signal ends when each minute is examined on its own.
fn minute_by_minute(signal: &Signal, candles: &[Candle]) -> Option<Exit> {
    let levels = signal.levels().unwrap();
    candles.iter().find_map(|candle| levels.on_candle(candle.open_ms, candle, MINUTE))
}

/// How far the price went until this exit, candle by candle of `step` milliseconds.
fn furthest(signal: &Signal, candles: &[Candle], step: i64, exit: &Exit) -> Option<Excursion> {
    exit.outcome.succeeded()?;
    let levels = signal.levels().unwrap();
    let (stop, target) = (levels.stop_loss.unwrap(), levels.take_profit.unwrap());
    let (mut low, mut high) = (exit.price, exit.price);
    let during = |candle: &&Candle| candle.open_ms + step > levels.since_ms && candle.open_ms < exit.time_ms;
    for candle in candles.iter().filter(during) {
        // Of the candle in which it was given, all counts in its first twelfth, and later the close.
        let is_whole = levels.since_ms <= candle.open_ms + step / 12;
        let reached = if is_whole { [candle.low, candle.high] } else { [candle.close; 2] };
        let is_last = candle.open_ms + step == exit.time_ms;
        let within = |price: f64| if is_last { price.clamp(stop.min(target), stop.max(target)) } else { price };
        (low, high) = (low.min(within(reached[0])), high.max(within(reached[1])));
    }
    Some(Excursion::of(&levels, low, high))
}

fn check(record: &Record, candles: &[Candle], step: i64, expected: Option<Exit>) {
    let id = &record.signal.id;
    let excursion = record.closing.and_then(|closing| closing.excursion);
    assert_eq!(
        excursion,
        expected.and_then(|exit| furthest(&record.signal, candles, step, &exit)),
        "{id}: {expected:?}"
    );
    match (record.closing, expected) {
        (None, None) => {}
        (Some(closing), Some(exit)) => {
            assert_eq!((closing.outcome, closing.closed_ms), (exit.outcome, exit.time_ms), "{id}");
            assert_eq!(closing.exit_price, Some(exit.price), "{id}");
        }
        (found, expected) => panic!("{id}: {found:?} instead of {expected:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_candles_close_signals_at_the_right_time_and_price() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange(&["BTCUSDT", "ETHUSDT", "SOLUSDT"]));
    let core = open(home.path(), &exchange);
    let now = exchange.now_ms();
    let mut signals = Vec::new();
    for (number, symbol) in ["BTCUSDT", "ETHUSDT"].into_iter().enumerate() {
        let candles = exchange.candles(&minutes(symbol), now - 6 * 24 * HOUR, now).unwrap();
        for n in 0..40 {
            // Given at any second from six days ago until now, with narrow and wide levels, with and without an expiry.
            let candle = &candles[n * candles.len() / 40 + 7 * number];
            let percent = [0.1, 0.5, 2.0, 40.0][n % 4];
            let hours = (n % 3 == 0).then_some([1, 30][n % 2]);
            signals.push(given(
                &format!("{symbol}-{n}"),
                symbol,
                candle,
                (n as i64 * 1700) % MINUTE,
                percent,
                n % 2 == 0,
                hours,
            ));
        }
    }
    let store = core.store().open().unwrap();
    store.record_all(signals.clone()).await.unwrap();
    let run = core.scheduler().run_once(Task::Watch).await.unwrap();
    assert_eq!(run.outcome, Ended::Finished, "{run:?}");
    let mut seen = std::collections::HashSet::new();
    for signal in &signals {
        let candles = exchange.candles(&minutes(signal.symbol.as_str()), now - 6 * 24 * HOUR, now).unwrap();
        let record = store.get(&signal.id).unwrap().unwrap();
        let expected = minute_by_minute(signal, &candles);
        check(&record, &candles, MINUTE, expected);
        seen.insert(format!("{:?}", expected.map(|exit| exit.outcome)));
    }
    assert_eq!(seen.len(), 5, "every end, and none, must have been among them: {seen:?}");
    // Only symbols with open signals are requested, and a long absence takes few requests.
    let asked = exchange.requests();
    assert!(!asked.iter().any(|request| request.contains("SOLUSDT")), "{asked:?}");
    assert!(asked.iter().any(|request| request.contains("ticker/price") && request.contains("BTCUSDT")), "{asked:?}");
    let days_of_minutes = 6 * 24 * 60 / 1000 * 2;
    println!("{} questions", exchange.request_count());
    assert!(exchange.request_count() < 160, "{} questions, {days_of_minutes} pages", exchange.request_count());

    // Another downtime: open signals still close where the minutes say.
    core.close().await;
    exchange.clock().set(now + 30 * HOUR + 25_000);
    let core = open(home.path(), &exchange);
    core.scheduler().run_once(Task::Watch).await.unwrap();
    let store = core.store().open().unwrap();
    for signal in &signals {
        let candles = exchange.candles(&minutes(signal.symbol.as_str()), now - 6 * 24 * HOUR, now + 30 * HOUR).unwrap();
        let record = store.get(&signal.id).unwrap().unwrap();
        check(&record, &candles, MINUTE, minute_by_minute(signal, &candles));
    }
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minute_after_minute_the_watch_goes_on_and_a_symbol_that_fails_spares_the_others() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange(&["BTCUSDT"]));
    let core = open(home.path(), &exchange);
    let store = core.store().open().unwrap();
    let idle = core.scheduler().run_once(Task::Watch).await.unwrap();
    assert_eq!((idle.outcome, exchange.request_count()), (Ended::Finished, 0), "nothing is asked without open signals");
    let begin = exchange.now_ms();
    let last = *exchange.candles(&minutes("BTCUSDT"), begin - HOUR, begin).unwrap().last().unwrap();
    let signal = given("narrow", "BTCUSDT", &last, 0, 0.3, true, Some(20));
    store.record(signal.clone()).await.unwrap();
    store.record(given("unknown", "NOPEUSDT", &last, 0, 1.0, true, None)).await.unwrap();
    let closed = loop {
        exchange.clock().set(exchange.now_ms() + MINUTE);
        let run = core.scheduler().run_once(Task::Watch).await.unwrap();
        assert_eq!((run.outcome, run.failed.len()), (Ended::Finished, 1), "{run:?}");
        assert!(run.failed[0].not_traded && run.failed[0].market.symbol.as_str() == "NOPEUSDT", "{run:?}");
        assert!(
            run.message.ends_with(
                "NOPEUSDT is not traded at the exchange: close its open signals with updateOutcome, since no price will close them"
            ),
            "{run:?}"
        );
        if let Some(closing) = store.get("narrow").unwrap().unwrap().closing {
            break closing;
        }
        assert!(exchange.now_ms() < begin + 30 * HOUR);
    };
    let candles = exchange.candles(&minutes("BTCUSDT"), begin, exchange.now_ms()).unwrap();
    let by_candles = minute_by_minute(&signal, &candles).unwrap();
    assert_eq!(closed.outcome, by_candles.outcome);
    assert!((closed.closed_ms - by_candles.time_ms).abs() <= MINUTE);
    assert_eq!(store.get("unknown").unwrap().unwrap().closing, None);
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_current_price_waits_for_missed_candles() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange(&["BTCUSDT"]));
    let core = open(home.path(), &exchange);
    let now = exchange.now_ms();
    let candles = exchange.candles(&minutes("BTCUSDT"), now - 10 * HOUR, now).unwrap();
    // Its stop is above every price, so the current price would close it.
    let entry = candles.iter().map(|candle| candle.high).fold(0.0, f64::max) * 1.2;
    let late = json!({
        "id": "late", "symbol": "BTCUSDT", "entryPrice": entry, "stopLoss": entry / 1.1, "takeProfit": entry * 1.1,
        "timestamp": candles[0].open_ms,
    });
    let store = core.store().open().unwrap();
    store.record(signal(late)).await.unwrap();
    for _ in 0..4 {
        exchange.fail_next(simulator::Fault::Status(403));
    }
    let run = core.scheduler().run_once(Task::Watch).await.unwrap();
    assert_eq!((run.outcome, run.failed.len()), (Ended::Failed, 1), "{run:?}");
    assert_eq!(store.get("late").unwrap().unwrap().closing, None);
    while exchange_is_spoilt(&core).await {}
    let closing = store.get("late").unwrap().unwrap().closing.unwrap();
    // It closed at the open of the first candle, hours ago, and not at the current price.
    assert_eq!((closing.outcome, closing.closed_ms), (Outcome::StoppedOut, candles[0].open_ms));
    assert_eq!(closing.exit_price, Some(candles[0].open));
    core.close().await;
}

/// Watches once more; returns `true` while that fails.
async fn exchange_is_spoilt(core: &Arc<SignalLoop>) -> bool {
    core.scheduler().run_once(Task::Watch).await.unwrap().outcome != Ended::Finished
}

/// A custom candle source: the candles of the simulated market, some of which it leaves out or corrupts on demand.
struct OwnCandles {
    market: Simulator,
    asked: Mutex<Vec<String>>,
    /// A symbol whose requests fail.
    fails: Mutex<Option<&'static str>>,
}

impl CandleSource for OwnCandles {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        self.asked.lock().push(market.to_string());
        let failing = self.fails.lock().is_some_and(|symbol| market.symbol.as_str() == symbol);
        let found = match failing {
            true => Err(domain::error::Error::Exchange(format!("{market}: not now"))),
            // More than requested, newest first: a callback may do that.
            false => {
                self.market.candles(market, from_ms - 5 * market.timeframe.millis(), until_ms + HOUR).map(|mut all| {
                    all.reverse();
                    all.into()
                })
            }
        };
        Box::pin(async move { found })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candles_of_the_users_own_close_signals_at_their_own_timeframe() {
    let (home, market) = (tempfile::tempdir().unwrap(), exchange(&["BTCUSDT", "ETHUSDT"]));
    let (now, clock) = (market.now_ms(), market.clock().clone());
    let own = Arc::new(OwnCandles { market, asked: Mutex::default(), fails: Mutex::new(Some("ETHUSDT")) });
    let source: Arc<dyn CandleSource> = own.clone();
    // An exchange that must not be contacted.
    let nowhere = Some("http://127.0.0.1:9".to_owned());
    let options = Options {
        home: Some(home.path().to_owned()),
        source: Some(source),
        exchange_url: nowhere,
        clock,
        ..Options::default()
    };
    let core = Arc::new(SignalLoop::open(options).unwrap());
    let quarters = |symbol: &str| {
        let market = Market::parse(symbol, "15m").unwrap();
        own.market.candles(&market, now - 3 * 24 * HOUR, i64::MAX).unwrap()
    };
    let signal_of = |id: &str, symbol: &str, n: usize, hours| {
        let candle = quarters(symbol)[n];
        let percent = [0.2, 1.0, 40.0][n % 3];
        // `given` dates it to a minute after the candle's opening.
        let mut one = given(id, symbol, &candle, 14 * MINUTE + 20_000, percent, n.is_multiple_of(2), hours);
        one.timeframe = domain::symbol::Timeframe::parse("15m").unwrap();
        one
    };
    let hours = |n: usize| n.is_multiple_of(4).then_some(5);
    let signals: Vec<Signal> = (0..40).map(|n| signal_of(&format!("b{n}"), "BTCUSDT", n * 7, hours(n))).collect();
    let store = core.store().open().unwrap();
    store.record_all(signals.clone()).await.unwrap();
    store.record(signal_of("e", "ETHUSDT", 1, None)).await.unwrap();
    let by_quarters = |signal: &Signal| {
        let levels = signal.levels().unwrap();
        quarters(signal.symbol.as_str()).iter().find_map(|candle| levels.on_candle(candle.open_ms, candle, 15 * MINUTE))
    };

    let run = core.scheduler().run_once(Task::Watch).await.unwrap();
    assert_eq!((run.outcome, run.failed.len()), (Ended::Failed, 1), "{run:?}");
    assert_eq!((run.failed[0].market.to_string(), run.done > 10), ("ETHUSDT 15m".to_owned(), true));
    assert_eq!(store.get("e").unwrap().unwrap().closing, None);
    for step in 0..3 {
        for signal in &signals {
            let record = store.get(&signal.id).unwrap().unwrap();
            check(&record, &quarters("BTCUSDT"), 15 * MINUTE, by_quarters(signal));
        }
        // No new candle can exist, so nothing is requested. A quarter of an hour later, there is one request each.
        *own.fails.lock() = None;
        core.scheduler().run_once(Task::Watch).await.unwrap();
        own.asked.lock().clear();
        core.scheduler().run_once(Task::Watch).await.unwrap();
        assert_eq!(*own.asked.lock(), Vec::<String>::new());
        own.market.clock().set(now + (step + 1) * 15 * MINUTE + 5000);
        let run = core.scheduler().run_once(Task::Watch).await.unwrap();
        assert_eq!(run.outcome, Ended::Finished, "{run:?}");
        let asked = std::mem::take(&mut *own.asked.lock());
        assert!(
            !asked.is_empty() && asked.len() <= 2 && asked.iter().all(|market| market.ends_with("15m")),
            "{asked:?}"
        );
    }
    let late = store.get("e").unwrap().unwrap();
    check(&late, &quarters("ETHUSDT"), 15 * MINUTE, by_quarters(&late.signal));
    assert_eq!(own.market.request_count(), 0);
    core.close().await;
}

/// Prices of the user's own: those of the simulated market, times a factor by symbol.
struct OwnPrices {
    own: Arc<OwnCandles>,
    factors: Mutex<HashMap<&'static str, f64>>,
    asked: Mutex<Vec<Vec<String>>>,
}

impl PriceSource for OwnPrices {
    fn prices<'a>(&'a self, symbols: &'a [Symbol]) -> PriceFuture<'a> {
        self.asked.lock().push(symbols.iter().map(Symbol::to_string).collect());
        let price = |symbol: &Symbol| {
            let price = self.own.market.price(symbol)?;
            match self.factors.lock().get(symbol.as_str()) {
                Some(factor) if factor.is_finite() => Ok(factor * price),
                Some(_) => Err(Error::Exchange(format!("{symbol}: no price"))),
                None => Ok(price),
            }
        };
        let found = symbols.iter().map(|symbol| (symbol.clone(), price(symbol))).collect();
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// With `fetchPrices` and `watch_timeframe`, signals on candles of the user's own close at once by price, and to the minute after a
/// gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_and_minutes_of_the_users_own_watch_signals_to_the_minute() {
    let (home, market) = (tempfile::tempdir().unwrap(), exchange(&["BTCUSDT", "ETHUSDT", "SOLUSDT"]));
    let (now, clock) = (market.now_ms(), market.clock().clone());
    let own = Arc::new(OwnCandles { market, asked: Mutex::default(), fails: Mutex::default() });
    let prices = Arc::new(OwnPrices { own: own.clone(), factors: Mutex::default(), asked: Mutex::default() });
    let options = Options {
        home: Some(home.path().to_owned()),
        source: Some(own.clone()),
        prices: Some(prices.clone()),
        watch_timeframe: Some("1m".to_owned()),
        // An exchange that must not be contacted.
        exchange: Some("kraken".to_owned()),
        exchange_url: Some("http://127.0.0.1:9".to_owned()),
        clock: clock.clone(),
        ..Options::default()
    };
    let core = Arc::new(SignalLoop::open(options).unwrap());
    let store = core.store().open().unwrap();
    let minute =
        |symbol: &str, ago: i64| own.market.candles(&minutes(symbol), now - ago, now - ago + MINUTE).unwrap()[0];
    let signals: Vec<Signal> = (0..30)
        .map(|n| {
            let percent = [0.1, 0.5, 30.0][n % 3];
            given(&format!("s{n}"), "BTCUSDT", &minute("BTCUSDT", 2 * HOUR), 20_000, percent, n % 2 == 0, None)
        })
        .collect();
    store.record_all(signals.clone()).await.unwrap();
    for (id, symbol) in [("eth", "ETHUSDT"), ("sol", "SOLUSDT")] {
        store.record(given(id, symbol, &minute(symbol, 2 * MINUTE), 0, 20.0, true, None)).await.unwrap();
    }

    // The signals have the timeframe 1h, and are checked by minutes.
    let run = core.scheduler().run_once(Task::Watch).await.unwrap();
    assert_eq!((run.outcome, run.failed.len()), (Ended::Finished, 0), "{run:?}");
    let candles = own.market.candles(&minutes("BTCUSDT"), now - 2 * HOUR, now).unwrap();
    let mut closed = 0;
    for signal in &signals {
        let expected = minute_by_minute(signal, &candles);
        closed += usize::from(expected.is_some());
        check(&store.get(&signal.id).unwrap().unwrap(), &candles, MINUTE, expected);
    }
    assert!((5..30).contains(&closed), "{closed}");
    assert!(own.asked.lock().iter().all(|asked| asked.ends_with("1m")), "{:?}", own.asked.lock());
    let asked = std::mem::take(&mut *prices.asked.lock());
    assert_eq!(asked, [["BTCUSDT", "ETHUSDT", "SOLUSDT"]], "one question for all symbols");

    // Ten seconds later: a price beyond the stop closes at once, a missing one fails alone, and one that is ten times as high is
    // of another coin.
    clock.set(now + 10_000);
    *prices.factors.lock() = HashMap::from([("BTCUSDT", 10.0), ("ETHUSDT", 0.7), ("SOLUSDT", f64::NAN)]);
    let run = core.scheduler().run_once(Task::Watch).await.unwrap();
    let failed: Vec<&str> = run.failed.iter().map(|one| one.cause.message.as_str()).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0].contains("10-fold") && failed[1].contains("SOLUSDT: no price"), "{failed:?}");
    let eth = store.get("eth").unwrap().unwrap().closing.unwrap();
    assert_eq!((eth.outcome, eth.closed_ms), (Outcome::StoppedOut, now + 10_000));
    assert_eq!(store.get("sol").unwrap().unwrap().closing, None);
    assert_eq!(own.market.request_count(), 0);
    core.close().await;
}

/// The cost of a check depends on the number of symbols, not of signals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_open_signals_cost_as_many_questions_as_their_ten_symbols() {
    const SIGNALS: usize = 100_000;
    let symbols: Vec<String> = (0..10).map(|n| format!("COIN{n}USDT")).collect();
    let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let (home, exchange) = (testkit::quick_home(), exchange(&names));
    let core = open(home.path(), &exchange);
    core.settings().configure(testkit::object(json!({ "durability": "os" }))).unwrap();
    let begin = exchange.now_ms();
    let last = |symbol: &str| *exchange.candles(&minutes(symbol), begin - HOUR, begin).unwrap().last().unwrap();
    let candles: Vec<Candle> = names.iter().map(|symbol| last(symbol)).collect();
    // No price reaches these levels, except for one signal of each symbol, which any price closes.
    let one = |n: usize| {
        let (symbol, candle) = (names[n % 10], &candles[n % 10]);
        match n < 10 {
            true => given(&format!("hit{n}"), symbol, candle, 0, 0.000_001, true, None),
            false => given(&format!("s{n}"), symbol, candle, 0, 20.0 + (n % 25) as f64, n.is_multiple_of(2), None),
        }
    };
    let store = core.store().open().unwrap();
    store.record_all((0..SIGNALS).map(one).collect()).await.unwrap();

    let mut closed = 0;
    let mut slowest = Duration::ZERO;
    for minute in 0..4 {
        exchange.clock().set(begin + minute * MINUTE + 30_000);
        let (before, clock) = (exchange.request_count(), Instant::now());
        let run = core.scheduler().run_once(Task::Watch).await.unwrap();
        slowest = slowest.max(clock.elapsed());
        assert_eq!(run.outcome, Ended::Finished, "{run:?}");
        closed += run.done;
        // At most one request for the candles of each symbol, and one for all prices.
        let questions = exchange.request_count() - before;
        assert!(questions <= 11, "{questions} questions in minute {minute}");
        let (again, clock) = (exchange.request_count(), Instant::now());
        core.scheduler().run_once(Task::Watch).await.unwrap();
        slowest = slowest.max(clock.elapsed());
        assert_eq!(exchange.request_count() - again, 1, "within a minute only the prices are asked for");
    }
    assert_eq!(closed, 10);
    println!("the slowest look took {slowest:?}");
    // Measured: 0.1 s in this build. Searching a list for each signal would take minutes.
    assert!(slowest < Duration::from_secs(5), "a look took {slowest:?}");
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_coin_under_the_same_ticker_closes_nothing() {
    let (home, exchange) = (tempfile::tempdir().unwrap(), exchange(&["BTCUSDT"]));
    let core = open(home.path(), &exchange);
    let now = exchange.now_ms();
    let candles = exchange.candles(&minutes("BTCUSDT"), now - HOUR, now).unwrap();
    let store = core.store().open().unwrap();
    store.record(given("open", "BTCUSDT", &candles[0], 0, 40.0, true, None)).await.unwrap();
    // In the later half of the candles, prices are a thousand times as high: beyond every target.
    exchange.fail_next(simulator::Fault::ReusedTicker);
    let run = core.scheduler().run_once(Task::Watch).await.unwrap();
    assert_eq!((run.outcome, run.done), (Ended::Failed, 0), "{run:?}");
    let cause = &run.failed[0].cause;
    assert!(
        cause.code == "ERR_INVALID_CANDLE" && cause.message.contains("another coin under the same ticker"),
        "{cause:?}"
    );
    assert_eq!(store.get("open").unwrap().unwrap().closing, None);
    assert_eq!(core.scheduler().run_once(Task::Watch).await.unwrap().outcome, Ended::Finished);
    // Now only the price is requested, and it belongs to the other coin.
    exchange.fail_next(simulator::Fault::ReusedTicker);
    let run = core.scheduler().run_once(Task::Watch).await.unwrap();
    assert!(run.done == 0 && run.failed[0].cause.message.contains("steps 1000-fold"), "{run:?}");
    assert_eq!(store.get("open").unwrap().unwrap().closing, None);
    core.close().await;
}
