//! Markets with trading hours: what their candles reveal about the hours, and how features, labels and expiries use
//! them.

// A panic is how a test reports, in helpers too.

use chrono::{Datelike, NaiveDate, Weekday};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::config::Config;
use domain::time::format_iso;
use learning::features::{FeatureTable, Missing, WARM_UP, compute, compute_within, latest_within};
use learning::label;
use proptest::prelude::*;
use std::sync::Arc;
use testkit::hours::{DAY, Exchange, FOREX, FUTURES, HONG_KONG, HOUR, LONDON, MINUTE, NEW_YORK, TOKYO, candle, time};

fn rows(candles: &[Candle], step_ms: i64) -> FeatureTable {
    compute(candles, step_ms)
}

fn labels(candles: &[Candle], table: &FeatureTable) -> usize {
    let shape = Config::default().signal;
    let of = |(&bar, &atr)| label(candles, bar, &table.calendar, atr, &shape);
    table.bars.iter().zip(&table.atr).filter_map(of).count()
}

/// Two years of each market at each timeframe: every bar after the warm-up has a row, and all but the last have labels.
#[test]
fn markets_that_close_have_rows_and_labels_of_nearly_every_bar() {
    let markets = [
        ("NEW_YORK", NEW_YORK),
        ("LONDON", LONDON),
        ("TOKYO", TOKYO),
        ("HONG_KONG", HONG_KONG),
        ("FOREX", FOREX),
        ("FUTURES", FUTURES),
    ];
    for (name, exchange) in markets {
        for (step, until) in [
            (5 * MINUTE, "2023-07-15"),
            (15 * MINUTE, "2023-12-31"),
            (HOUR, "2024-12-31"),
            (4 * HOUR, "2024-12-31"),
            (DAY, "2024-12-31"),
        ] {
            let candles = exchange.candles("2023-01-01", until, step);
            let table = rows(&candles, step);
            let missing = candles.len() - table.rows.len();
            assert_eq!((missing, table.missing.get(&Missing::Gap)), (WARM_UP - 1, None), "{name} {step}");
            assert!(table.calendar.closes(), "{name} {step}");
            let labelled = labels(&candles, &table);
            assert!(table.rows.len() - labelled <= 30, "{name} {step}: {labelled} of {}", table.rows.len());
        }
    }
}

/// Before calendars were learned, weekends counted as gaps and left hardly any rows.
#[test]
fn hourly_currencies_have_rows_of_nearly_all_of_5000_candles() {
    let candles = FOREX.candles("2024-01-01", "2024-12-01", HOUR);
    let table = rows(&candles[..4999], HOUR);
    assert_eq!(table.rows.len(), 4999 - (WARM_UP - 1));
    assert!(labels(&candles[..4999], &table) > 4870);
}

/// The candles without those between two UTC times.
fn without(candles: &[Candle], from: &str, until: &str) -> Vec<Candle> {
    let lost = time(from)..time(until);
    candles.iter().filter(|candle| !lost.contains(&candle.open_ms)).copied().collect()
}

#[test]
fn an_outage_is_a_gap_and_a_holiday_is_none() {
    let gap = |exchange: &Exchange, step: i64, from: &str, until: &str| {
        let candles = without(&exchange.candles("2023-01-01", "2023-12-31", step), from, until);
        rows(&candles, step).missing.get(&Missing::Gap).copied().unwrap_or(0)
    };
    for step in [5 * MINUTE, 15 * MINUTE, HOUR] {
        // Tuesday to Thursday.
        for exchange in [NEW_YORK, LONDON, TOKYO, HONG_KONG, FOREX, FUTURES] {
            let lost = gap(&exchange, step, "2023-05-16T00:00:00Z", "2023-05-19T00:00:00Z");
            assert_eq!(lost, WARM_UP - 1, "{step}: three days in the middle of a week");
        }
        // A further day off next to a weekend, an unannounced half day, and two days off in a row.
        for (from, until) in [("05-15", "05-16"), ("05-12T18:00:00Z", "05-13"), ("05-16", "05-18")] {
            let (from, until) = (format!("2023-{from}"), format!("2023-{until}"));
            for exchange in [NEW_YORK, LONDON, HONG_KONG] {
                assert_eq!(gap(&exchange, step, &from, &until), 0, "{step} {from}");
            }
        }
        // Within a session, more than 6 missing candles are an outage.
        let lost = gap(&NEW_YORK, step, "2023-05-16T15:00:00Z", "2023-05-16T18:00:00Z");
        assert_eq!(lost, if step < HOUR { WARM_UP - 1 } else { 0 }, "{step}");
    }
    assert_eq!(gap(&FOREX, HOUR, "2023-05-16T03:00:00Z", "2023-05-16T11:00:00Z"), WARM_UP - 1);
}

#[test]
fn bets_expire_after_so_many_candles_of_the_market() {
    let candles = NEW_YORK.candles("2023-01-01", "2023-12-31", HOUR);
    let calendar = Calendar::learn(&candles, HOUR);
    let at = |text: &str| format_iso(calendar.close_after(time(text), 24));
    // Seven candles a day, from 13:30 in summer: three on Friday, the weekend, then three days of seven.
    assert_eq!(at("2023-06-02T17:30:00Z"), "2023-06-07T20:30:00.000Z");
    assert_eq!(at("2023-06-02T20:30:00Z"), "2023-06-08T16:30:00.000Z", "at the end of a day");
    let mut checked = 0;
    for (bar, candle) in candles.iter().enumerate().skip(300).take(900) {
        let expires = calendar.close_after(candle.open_ms + HOUR, 24);
        let last = candles.partition_point(|other| other.open_ms + HOUR <= expires) - 1;
        // A holiday takes up to 7 candles, a half day 3, and a clock change one a day for some weeks.
        assert!((bar + 14..=bar + 25).contains(&last), "{}: {}", format_iso(candle.open_ms), last - bar);
        checked += usize::from(last == bar + 24);
    }
    assert!(checked > 600, "{checked} of 900 bets last exactly 24 candles");
    let forex = Calendar::learn(&FOREX.candles("2023-01-01", "2023-12-31", HOUR), HOUR);
    assert_eq!(format_iso(forex.close_after(time("2023-06-02T15:00:00Z"), 24)), "2023-06-05T15:00:00.000Z");
}

#[test]
fn a_night_beyond_a_level_fills_at_the_open() {
    let mut candles = NEW_YORK.candles("2023-05-01", "2023-07-01", HOUR);
    let calendar = Calendar::learn(&candles, HOUR);
    let last_of_day = candles.iter().position(|candle| candle.open_ms == time("2023-06-07T19:30:00Z")).unwrap();
    for candle in &mut candles[..=last_of_day] {
        (candle.open, candle.high, candle.low, candle.close) = (100.0, 100.2, 99.8, 100.0);
    }
    let shape = Config::default().signal;
    // Stops of a BUY and targets of a SELL, then the other way round, far below and far above.
    for (open, buy, sell) in [(90.0, -10.0, 10.0), (112.0, 12.0, -12.0)] {
        for candle in &mut candles[last_of_day + 1..] {
            (candle.open, candle.high, candle.low, candle.close) = (open, open + 0.1, open - 0.1, open);
        }
        // Stop 1.5 and target 3 from 100.
        let label = label(&candles, last_of_day, &calendar, 1.0, &shape).unwrap();
        assert_eq!((label.buy.profit_percent, label.buy.success, label.buy.bar), (buy, buy > 0.0, last_of_day + 1));
        assert_eq!(
            (label.sell.profit_percent, label.sell.success, label.sell.bar),
            (sell, sell > 0.0, last_of_day + 1)
        );
    }
    // A bet stays open over the weekend.
    let friday = candles.iter().position(|candle| candle.open_ms == time("2023-06-02T15:30:00Z")).unwrap();
    let before = candles[..=friday + 5].to_vec();
    assert_eq!(label(&before, friday, &calendar, 1.0, &shape), None, "not decided on Monday morning");
    let label = label(&candles, friday, &calendar, 1.0, &shape).unwrap();
    assert_eq!(label.buy.bar, friday + 24);
}

#[test]
fn serving_and_training_use_the_same_features() {
    for (exchange, step) in [(NEW_YORK, HOUR), (FOREX, HOUR), (LONDON, 15 * MINUTE), (FUTURES, HOUR)] {
        let all = without(
            &exchange.candles("2023-01-01", "2023-12-31", step),
            "2023-08-15T12:00:00Z",
            "2023-08-17T16:00:00Z",
        );
        let table = rows(&all, step);
        let shape = Config::default().signal;
        // From the 9th week on, later candles change nothing.
        let week9 = all.partition_point(|candle| candle.open_ms < all[0].open_ms + 64 * DAY);
        for end in (week9..all.len()).step_by(211) {
            let known = Arc::new(Calendar::learn(&all[..end], step));
            let served = latest_within(&all[..end], &known);
            let trained = table.bars.binary_search(&(end - 1));
            assert_eq!(
                served.map(|(row, _)| row).ok(),
                trained.ok().map(|at| table.rows[at]),
                "{}",
                format_iso(all[end - 1].open_ms)
            );
            let close = all[end - 1].open_ms + step;
            let expires = |calendar: &Calendar| calendar.close_after(close, shape.expiry_bars);
            assert_eq!(expires(&known), expires(&table.calendar), "{}", format_iso(close));
        }
    }
}

#[test]
fn a_few_hundred_candles_are_enough() {
    for (name, exchange, step) in [
        ("NEW_YORK 1h", NEW_YORK, HOUR),
        ("NEW_YORK 15m", NEW_YORK, 15 * MINUTE),
        ("NEW_YORK 5m", NEW_YORK, 5 * MINUTE),
        ("LONDON 15m", LONDON, 15 * MINUTE),
        ("TOKYO 15m", TOKYO, 15 * MINUTE),
        ("FOREX 1h", FOREX, HOUR),
    ] {
        let all = exchange.candles("2023-02-01", "2023-12-30", step);
        for from in (0..all.len() - 400).step_by(37) {
            let table = rows(&all[from..from + 400], step);
            assert_eq!(table.missing.get(&Missing::Gap), None, "{name} from {}", format_iso(all[from].open_ms));
        }
    }
}

#[test]
fn when_a_candle_is_late_depends_on_the_hours() {
    let candles = NEW_YORK.candles("2023-01-01", "2023-06-24", HOUR);
    let calendar = Calendar::learn(&candles, HOUR);
    let friday = candles[candles.len() - 1].open_ms;
    assert_eq!(format_iso(friday), "2023-06-23T19:30:00.000Z");
    let behind = |text: &str| calendar.is_behind(friday, time(text));
    assert!(!behind("2023-06-25T12:00:00Z") && !behind("2023-06-26T14:29:59Z") && behind("2023-06-26T14:30:00Z"));
    let always = Calendar::always(HOUR);
    assert!(always.is_behind(friday, friday + 2 * HOUR) && !always.is_behind(friday, friday + 2 * HOUR - 1));
}

/// Hong Kong trades from 9:30, and from 13:00 after lunch.
#[test]
fn hours_restarting_after_lunch_are_one_series() {
    use candles::{Cause, Reading, check_file, write_csv};
    let half_hours = HONG_KONG.candles("2023-01-01", "2024-12-31", 30 * MINUTE);
    let begins = [90, 150, 210, 300, 360, 420].map(|minutes| minutes * MINUTE);
    let candles: Vec<Candle> =
        half_hours.into_iter().filter(|candle| begins.contains(&candle.open_ms.rem_euclid(DAY))).collect();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("0700.hk_1h.csv");
    write_csv(&path, &candles).unwrap();
    let checked = check_file(&path, domain::symbol::Timeframe::H1, &Reading::stored()).unwrap();
    assert_eq!(
        (checked.candles, checked.holes.len(), checked.findings.count(Cause::ClockChange)),
        (candles.len(), 0, 0)
    );
    let table = rows(&candles, HOUR);
    assert_eq!(table.rows.len(), candles.len() - (WARM_UP - 1));
    assert!(table.rows.len() - labels(&candles, &table) <= 30);
}

/// What the check of such a market's candle file reports as missing.
#[test]
fn only_gaps_within_trading_hours_are_reported() {
    use candles::{Cause, Reading, check_file, write_csv};
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("spy_1h.csv");
    let candles = NEW_YORK.candles("2023-01-01", "2023-12-31", HOUR);
    let hour = domain::symbol::Timeframe::H1;
    write_csv(&path, &candles).unwrap();
    let whole = check_file(&path, hour, &Reading::stored()).unwrap();
    assert_eq!((whole.holes.len(), whole.findings.count(Cause::Gap)), (0, 0));
    write_csv(&path, &without(&candles, "2023-05-16T15:00:00Z", "2023-05-16T18:00:00Z")).unwrap();
    let holed = check_file(&path, hour, &Reading::stored()).unwrap();
    assert_eq!((holed.holes.len(), holed.findings.count(Cause::Gap)), (1, 1));
    assert_eq!(holed.holes[0].lacks(&holed.calendar), 3);
}

#[test]
fn dates_are_real() {
    for exchange in [NEW_YORK, LONDON, TOKYO, HONG_KONG] {
        for (year, month, day) in exchange.holidays.iter().chain(exchange.half_days) {
            let date = NaiveDate::from_ymd_opt(*year, *month, *day).unwrap();
            assert!(!matches!(date.weekday(), Weekday::Sat | Weekday::Sun), "{date}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Gaps of a market that never closes are treated exactly as without a calendar. With more than two holes of a day or longer, the
    /// same days may be missing in most weeks, and then nothing tells it from a market that closes.
    #[test]
    fn gaps_of_an_always_open_market_are_unchanged(
        short in prop::collection::vec((0i64..2400, 1i64..20), 0..12), long in prop::collection::vec((0i64..2400, 20i64..200), 0..3),
        step in prop_oneof![Just(5 * MINUTE), Just(HOUR), Just(4 * HOUR)],
    ) {
        let start = time("2023-01-01");
        let holes: Vec<(i64, i64)> = short.into_iter().chain(long).collect();
        let is_lost = |slot: i64| holes.iter().any(|(from, length)| (*from..from + length).contains(&slot));
        let candles: Vec<Candle> = (0..2500).filter(|slot| !is_lost(*slot)).map(|slot| candle(start + slot * step)).collect();
        let is_long = |pair: &&[Candle]| pair[1].open_ms - pair[0].open_ms > 24 * HOUR;
        prop_assume!(candles.windows(2).filter(is_long).count() <= 2);
        let always = Arc::new(Calendar::always(step));
        let (with, without) = (compute(&candles, step), compute_within(&candles, &always));
        prop_assert_eq!(with.bars.as_slice(), without.bars.as_slice());
        prop_assert_eq!(&with.missing, &without.missing);
        prop_assert!(with.rows.iter().flatten().zip(without.rows.iter().flatten()).all(|(a, b)| a.to_bits() == b.to_bits()));
        let shape = Config::default().signal;
        for (&bar, &atr) in with.bars.iter().zip(&with.atr) {
            prop_assert_eq!(label(&candles, bar, &with.calendar, atr, &shape), label(&candles, bar, &always, atr, &shape));
        }
    }

    /// Counting by weeks gives the same result as counting one by one.
    #[test]
    fn spans_are_counted_as_one_by_one(from in 0i64..5000, length in 0i64..3000, bars in 1usize..400, phase in 0i64..60) {
        let calendar = Calendar::learn(&FUTURES.candles("2023-01-01", "2023-03-20", HOUR), HOUR);
        let from_ms = time("2023-04-03") + from * HOUR + phase * MINUTE;
        let is_open = |ms: i64| calendar.open_between(ms, ms + 1) == 1;
        let counted = (0..length).filter(|k| is_open(from_ms + k * HOUR)).count() as i64;
        prop_assert_eq!(calendar.open_between(from_ms, from_ms + length * HOUR), counted);
        let (mut left, mut at) = (bars, from_ms);
        while left > 0 {
            left -= usize::from(is_open(at));
            at += HOUR;
        }
        prop_assert_eq!(calendar.close_after(from_ms, bars), at);
    }
}
