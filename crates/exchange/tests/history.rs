//! Years of candles: fetched from the simulated exchange over HTTP.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is how a failure is reported, in its helpers too")]

use candles::{Cause, Reading};
use candles::{candle_file, read_candles};
use domain::symbol::Market;
use domain::time::Clock;
use domain::venue::Venue;
use exchange::{Begin, Exchange, Reached, update, update_telling};
use parking_lot::Mutex;
use simulator::{Simulator, SimulatorOptions};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2025-01-01, the simulator's default start.
const START: i64 = 1_735_689_600_000;

#[tokio::test]
async fn all_history_costs_a_question_and_its_pages_and_nothing_the_next_time() {
    let now = START + 300 * DAY;
    let options = SimulatorOptions { clock: Clock::standing(now), ..Default::default() };
    let simulator = Simulator::start(options).unwrap();
    let (exchange, home) =
        (Exchange::new(Venue::Binance, Some(simulator.url())).unwrap(), tempfile::tempdir().unwrap());
    let btc = Market::parse("BTCUSDT", "1h").unwrap();
    let heard = Mutex::new(Vec::new());
    let tell = |reached: Reached| heard.lock().push(reached);
    let all = Begin::Candles(200_000);
    let fetched = update_telling(&exchange, home.path(), &btc, all, now, &tell).await.unwrap();
    assert_eq!((fetched.total, fetched.first_ms, fetched.last_ms), (7200, START, now - HOUR));
    assert_eq!(fetched.findings.count(Cause::Unfinished), 0);
    let expected = simulator.candles(&btc, START, now).unwrap();
    assert_eq!(read_candles(&candle_file(home.path(), &btc), btc.timeframe, &Reading::stored()).unwrap().0, expected);

    let requests = simulator.requests();
    assert_eq!(requests.len(), 1 + 8, "where it begins, and 8 pages: {requests:?}");
    assert!(requests[0].contains("limit=1&") || requests[0].ends_with("limit=1"), "{requests:?}");
    let heard = heard.into_inner();
    assert_eq!(heard[0], Reached { fetched: 1000, missing: Some(6200) });
    assert_eq!(heard.last(), Some(&Reached { fetched: 7200, missing: Some(0) }));
    assert!(heard.is_sorted_by_key(|reached| reached.fetched));

    update(&exchange, home.path(), &btc, all, now).await.unwrap();
    assert_eq!(simulator.request_count(), 9, "nothing new can be there, and nothing older");
    // If only two hours are missing, progress does not count the whole history.
    simulator.clock().set(now + 2 * HOUR);
    let heard = Mutex::new(Vec::new());
    let tell = |reached: Reached| heard.lock().push(reached);
    update_telling(&exchange, home.path(), &btc, all, now + 2 * HOUR, &tell).await.unwrap();
    assert_eq!(heard.into_inner(), [Reached { fetched: 3, missing: Some(0) }]);
    // A short history is as cheap as before.
    let (short, slow) = (tempfile::tempdir().unwrap(), Market::parse("BTCUSDT", "4h").unwrap());
    update(&exchange, short.path(), &slow, Begin::Days(90), now).await.unwrap();
    assert_eq!(simulator.request_count(), 11);
}
