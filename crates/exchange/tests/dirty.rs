//! Candle files as people have them. Each case is a small file in the format of a real one, including its defect;
//! `docs/data.md` says what is done about each.

use candles::{Cause, Checked, Fetched, Reading, candle_file, check_file, import, read_candles};
use domain::error::Result;
use domain::symbol::{Market, Timeframe};
use domain::time::{format_iso, parse_time};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn ms(text: &str) -> i64 {
    parse_time(text, domain::time::Tz::UTC).unwrap()
}

/// Open, high, low, close, volume of the n-th candle; each opens at the close of the one before.
fn prices(n: i64) -> [f64; 5] {
    let at = |n: i64| 100.0 + (n * 7 % 13) as f64;
    let (open, close) = (at(n), at(n + 1));
    [open, open.max(close) + 1.0, open.min(close) - 1.0, close, 5.0 + (n % 2) as f64]
}

fn row(prices: [f64; 5]) -> String {
    prices.map(|price| format!("{price:.8}")).join(",")
}

/// A time as `2025-09-13 12:00:00`, by a clock this many hours ahead of UTC.
fn clock(open_ms: i64, ahead_h: i64) -> String {
    format_iso(open_ms + ahead_h * HOUR)[..19].replace('T', " ")
}

struct ImportHome(tempfile::TempDir);

impl ImportHome {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn check(&self, text: &str, timeframe: &str, reading: &Reading) -> Result<Checked> {
        check_file(&self.file("file", text), Timeframe::parse(timeframe).unwrap(), reading)
    }

    /// Imports the file into the stored candles of BTCUSDT 1h, in 2027.
    fn import(&self, text: &str, reading: &Reading) -> Result<Fetched> {
        let path = self.file("file", text);
        import(&self.data(), &market(), &path, reading, ms("2027-01-01T00:00:00Z"))
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn stored(&self) -> Vec<(i64, f64)> {
        closes(&candle_file(&self.data(), &market()), &Reading::stored())
    }
}

fn closes(path: &Path, reading: &Reading) -> Vec<(i64, f64)> {
    let (candles, _) = read_candles(path, Timeframe::H1, reading).unwrap();
    candles.iter().map(|candle| (candle.open_ms, candle.close)).collect()
}

fn market() -> Market {
    Market::parse("BTCUSDT", "1h").unwrap()
}

/// The causes of the findings, with their counts.
fn found(checked: &Checked) -> Vec<(Cause, usize)> {
    checked.findings.list().iter().map(|finding| (finding.cause, finding.count)).collect()
}

fn refused<T: std::fmt::Debug>(result: Result<T>, parts: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_CANDLE");
    for part in parts {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

/// Bitfinex: open, close, high, low; no header; minutes without a trade are missing.
#[test]
fn another_order_of_columns_without_a_header_is_refused_until_it_is_named() {
    let (home, begin) = (ImportHome::new(), ms("2013-05-19T15:43:00Z"));
    let line = |n: i64| {
        let [open, high, low, close, volume] = prices(n);
        format!("{},{open},{close},{high},{low},{volume}\n", begin + n * MINUTE)
    };
    let text: String = (0..60).filter(|n| n % 10 != 5).map(line).collect();
    refused(home.check(&text, "1m", &Reading::default()), &["--columns time,open,close,high,low,volume"]);
    let named = Reading { columns: Some("time,open,close,high,low,volume".parse().unwrap()), ..Reading::default() };
    let checked = home.check(&text, "1m", &named).unwrap();
    assert_eq!((checked.candles, found(&checked)), (54, vec![(Cause::Gap, 6)]));
}

/// freqtrade: JSON with numbers, gaps, and candles without a trade.
#[test]
fn json_with_holes_is_read_and_the_holes_are_told() {
    let (home, begin) = (ImportHome::new(), ms("2017-08-17T04:00:00Z"));
    let line = |n: i64| {
        let [open, high, low, close, volume] = prices(n);
        format!("[{},{open},{high},{low},{close},{}]", begin + n * HOUR, if n == 3 { 0.0 } else { volume })
    };
    let rows: Vec<String> = (0..100).filter(|n| !(20..53).contains(n)).map(line).collect();
    let checked = home.check(&format!("[{}]", rows.join(",")), "1h", &Reading::default()).unwrap();
    assert_eq!((checked.candles, found(&checked)), (67, vec![(Cause::Gap, 1), (Cause::NoTrades, 1)]));
    assert!(checked.findings.to_string().contains("33 h from 2017-08-18T00:00:00.000Z"), "{}", checked.findings);
}

/// Local times with an offset, across the night in which clocks went back; with a column of close times.
#[test]
fn local_times_with_an_offset_are_converted_through_a_clock_change() {
    let (home, begin) = (ImportHome::new(), ms("2020-10-24T10:00:00Z"));
    let back = ms("2020-10-24T23:00:00Z");
    let mut text = "open_time,open,high,low,close,volume,close_time,returns\n".to_owned();
    for n in 0..48 {
        let open_ms = begin + n * HOUR;
        let ahead = if open_ms < back { 3 } else { 2 };
        let (open, close) = (clock(open_ms, ahead), clock(open_ms + HOUR - 1, ahead));
        writeln!(text, "{open}+0{ahead}:00,{},{close}.999000+0{ahead}:00,0.002", row(prices(n))).unwrap();
    }
    let checked = home.check(&text, "1h", &Reading::default()).unwrap();
    assert_eq!((checked.candles, checked.span), (48, Some((begin, begin + 47 * HOUR))));
    assert_eq!(found(&checked), [(Cause::Offset, 48), (Cause::IgnoredColumn, 1)]);
}

/// The same without the offsets: read as UTC, the file is refused for its doubled hour; with its time zone, it is read
/// correctly.
#[test]
fn local_times_without_an_offset_need_their_zone_or_are_told() {
    let (home, begin) = (ImportHome::new(), ms("2020-10-24T10:00:00Z"));
    let back = ms("2020-10-25T01:00:00Z");
    let text = |count: i64| {
        let mut text = "timestamp,open,high,low,close,volume\n".to_owned();
        for n in 0..count {
            let open_ms = begin + n * HOUR;
            writeln!(text, "{},{}", clock(open_ms, if open_ms < back { 2 } else { 1 }), row(prices(n))).unwrap();
        }
        text
    };
    refused(home.check(&text(48), "1h", &Reading::default()), &["without an offset", "`--timezone`"]);
    // Too short to contain a clock change: nothing contradicts UTC, so a finding says that UTC was assumed.
    let checked = home.check(&text(10), "1h", &Reading::default()).unwrap();
    assert_eq!(found(&checked), [(Cause::TakenAsUtc, 10)]);
    assert_eq!(checked.span.unwrap().0, begin + 2 * HOUR);

    let berlin = Reading { timezone: "Europe/Berlin".parse().ok(), ..Reading::default() };
    let checked = home.check(&text(48), "1h", &berlin).unwrap();
    assert_eq!((found(&checked), checked.span), (vec![(Cause::LocalTime, 48)], Some((begin, begin + 47 * HOUR))));
    home.import(&text(48), &berlin).unwrap();
    let expected: Vec<_> = (0..47).map(|n| (begin + n * HOUR, prices(n)[3])).collect();
    assert_eq!(home.stored(), expected);
    // In New York, clocks went back in another night.
    let new_york = Reading { timezone: "America/New_York".parse().ok(), ..Reading::default() };
    refused(home.check(&text(48), "1h", &new_york), &["1 times have two candles that disagree"]);
}

/// Close times in UTC overrule a wrong time zone.
#[test]
fn a_zone_that_contradicts_the_close_times_is_refused() {
    let (home, begin) = (ImportHome::new(), ms("2025-07-23T10:00:00Z"));
    let mut text = "timestamp,open,high,low,close,volume,close_time\n".to_owned();
    for n in 0..20 {
        let open_ms = begin + n * HOUR;
        writeln!(text, "{},{},{}", clock(open_ms, 0), row(prices(n)), open_ms + HOUR - 1).unwrap();
    }
    assert_eq!(found(&home.check(&text, "1h", &Reading::default()).unwrap()), [(Cause::TakenAsUtc, 20)]);
    let berlin = Reading { timezone: "Europe/Berlin".parse().ok(), ..Reading::default() };
    refused(home.check(&text, "1h", &berlin), &["line 2", "which is not 1h"]);
}

/// `date,…,ticker`, as in many archives.
fn archive(times: impl Iterator<Item = (i64, [f64; 5])>) -> String {
    let mut text = "date,open,high,low,close,volume,ticker\n".to_owned();
    times.for_each(|(open_ms, prices)| writeln!(text, "{},{},FTTUSDT", clock(open_ms, 0), row(prices)).unwrap());
    text
}

/// FTT: trading halted for 311 days.
#[test]
fn a_long_halt_is_kept_and_told() {
    let (home, begin) = (ImportHome::new(), ms("2022-11-14T00:00:00Z"));
    let hours = (0..29).chain(29 + 311 * 24..60 + 311 * 24);
    let text = archive(hours.enumerate().map(|(n, hour)| (begin + hour * HOUR, prices(n as i64))));
    let checked = home.check(&text, "1h", &Reading::default()).unwrap();
    let expected = [(Cause::Gap, 1), (Cause::TakenAsUtc, 60), (Cause::IgnoredColumn, 1)];
    assert_eq!((checked.candles, found(&checked)), (60, expected.to_vec()));
    assert!(checked.findings.to_string().contains("311 days from 2022-11-15T05:00:00.000Z"), "{}", checked.findings);
}

/// LUNA: the ticker of a dead coin was given to another one.
#[test]
fn a_reused_ticker_is_refused_with_the_way_out() {
    let (home, begin) = (ImportHome::new(), ms("2022-05-12T00:00:00Z"));
    let next = ms("2022-05-31T06:00:00Z");
    let old = (0..40).map(|n| (begin + n * HOUR, prices(n).map(|price| price / 1e6)));
    let new = (0..40).map(|n| (next + n * HOUR, prices(n)));
    let text = archive(old.chain(new));
    let parts = ["another coin under the same ticker", "--since 2022-05-31T06:00:00.000Z", "18 days after"];
    refused(home.check(&text, "1h", &Reading::default()), &parts);
    refused(home.import(&text, &Reading::default()), &parts);
    assert!(!home.data().exists(), "nothing was changed");
    let since = Reading { since_ms: Some(next), ..Reading::default() };
    assert_eq!(home.import(&text, &since).unwrap().first_ms, next);
}

fn plain(rows: &[(i64, [f64; 5])]) -> String {
    let mut text = "timestamp,open,high,low,close,volume\n".to_owned();
    rows.iter().for_each(|(open_ms, prices)| writeln!(text, "{},{}", clock(*open_ms, 0), row(*prices)).unwrap());
    text
}

/// A candle as it was before its end.
fn cut_short([open, high, low, _, volume]: [f64; 5]) -> [f64; 5] {
    [open, high - 0.5, low + 0.5, open, volume / 3.0]
}

/// Two downloads appended: the second began earlier, and ended with an open candle.
#[test]
fn joined_downloads_become_one_series() {
    let (home, begin) = (ImportHome::new(), ms("2021-04-04T20:00:00Z"));
    let of = |range: std::ops::Range<i64>| range.map(|n| (begin + n * HOUR, prices(n)));
    let mut rows: Vec<_> = of(30..90).chain(of(0..60)).collect();
    rows.last_mut().unwrap().1 = cut_short(prices(59));
    let checked = home.check(&plain(&rows), "1h", &Reading::default()).unwrap();
    let expected = [(Cause::Disorder, 60), (Cause::Duplicate, 29), (Cause::Superseded, 1), (Cause::TakenAsUtc, 120)];
    assert_eq!((checked.candles, found(&checked)), (90, expected.to_vec()));
    home.import(&plain(&rows), &Reading::default()).unwrap();
    assert_eq!(home.stored(), of(0..89).map(|(at, prices)| (at, prices[3])).collect::<Vec<_>>());
}

/// Downloads that end with an open candle: that row is dropped, and a later download contains the complete candle.
#[test]
fn two_downloads_that_disagree_in_an_open_last_candle_agree() {
    let (home, begin) = (ImportHome::new(), ms("2025-05-01T00:00:00Z"));
    let of = |count: i64| (0..count).map(|n| (begin + n * HOUR, prices(n))).collect::<Vec<_>>();
    let mut first = of(26);
    first[25].1 = cut_short(prices(25));
    // A file that looks like any other does not show it, so `data check` reads all of it.
    assert_eq!(home.check(&plain(&first), "1h", &Reading::default()).unwrap().candles, 26);
    let done = home.import(&plain(&first), &Reading::default()).unwrap();
    assert_eq!((done.total, done.findings.count(Cause::LastRow)), (25, 1));
    let done = home.import(&plain(&of(100)), &Reading::default()).unwrap();
    assert_eq!((done.added, done.findings.count(Cause::Superseded)), (74, 0));
    assert_eq!(home.stored(), of(99).into_iter().map(|(at, prices)| (at, prices[3])).collect::<Vec<_>>());
    // A different candle in the middle is a contradiction.
    let mut other = of(100);
    other[50].1 = cut_short(prices(50));
    refused(home.import(&plain(&other), &Reading::default()), &["1 times have two candles that disagree"]);
}

/// The test network: extreme prices that did trade, and hours without a trade.
#[test]
fn wicks_and_hours_without_trades_are_kept_and_counted() {
    let (home, begin) = (ImportHome::new(), ms("2025-07-23T10:00:00Z"));
    let mut text = "timestamp,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
                    taker_buy_quote_volume,ignore\n"
        .to_owned();
    for n in 0..60 {
        let [open, mut high, mut low, close, mut volume] = prices(n);
        match n % 6 {
            0 => low = 25.0,
            1 if n < 20 => high = 310.0,
            2 => volume = 0.0,
            _ => {}
        }
        let (open_ms, prices) = (begin + n * HOUR, row([open, high, low, close, volume]));
        writeln!(text, "{},{prices},{},7405868.2,3839,39.8,4705763.5,0", clock(open_ms, 0), open_ms + HOUR - 1)
            .unwrap();
    }
    let checked = home.check(&text, "1h", &Reading::default()).unwrap();
    let expected = [(Cause::Wick, 14), (Cause::NoTrades, 10), (Cause::TakenAsUtc, 60), (Cause::IgnoredColumn, 5)];
    assert_eq!((checked.candles, found(&checked)), (60, expected.to_vec()));
}

/// Binance's archive: 12 columns, no header, in milliseconds until 2024 and in microseconds since, also within one
/// file.
#[test]
fn archives_in_milliseconds_and_microseconds_are_told_apart_row_by_row() {
    let (home, begin) = (ImportHome::new(), ms("2024-12-31T00:00:00Z"));
    let lines = |range: std::ops::Range<i64>| {
        let line = |n: i64| {
            let open_ms = begin + n * HOUR;
            let (factor, rest) = if open_ms < begin + DAY { (1, 0) } else { (1000, 999) };
            let close = (open_ms + HOUR - 1) * factor + rest;
            format!("{},{},{close},51410648.7,154693,246.2,23756467.1,0\n", open_ms * factor, row(prices(n)))
        };
        range.map(line).collect::<String>()
    };
    let reported = [(Cause::NoHeader, 1), (Cause::IgnoredColumn, 5)];
    for (range, count, in_us) in [(0..24, 24, 0), (24..48, 24, 24), (0..48, 48, 24)] {
        let checked = home.check(&lines(range.clone()), "1h", &Reading::default()).unwrap();
        let units = (in_us > 0).then_some((Cause::TimeUnit, in_us));
        let expected: Vec<_> = units.into_iter().chain(reported).collect();
        assert_eq!((checked.candles, found(&checked)), (count, expected));
        assert_eq!(checked.span.unwrap().0, begin + range.start * HOUR);
    }
}

/// Responses of Binance's REST API, saved to a file.
#[test]
fn saved_answers_are_read_as_they_are() {
    let (home, begin) = (ImportHome::new(), ms("2024-11-16T09:07:00Z"));
    for (timeframe, length) in [("1m", MINUTE), ("15m", 15 * MINUTE), ("1h", HOUR)] {
        let line = |n: i64| {
            let begin = begin - begin.rem_euclid(length);
            let [open, high, low, close, volume] = prices(n).map(|price| format!("\"{price:.8}\""));
            let (open_ms, close_ms) = (begin + n * length, begin + (n + 1) * length - 1);
            format!(
                "[{open_ms},{open},{high},{low},{close},{volume},{close_ms},\"416461.99\",1760,\"3.0\",\"2.0\",\"0\"]"
            )
        };
        let text = format!("[{}]", (0..20).map(line).collect::<Vec<_>>().join(","));
        let checked = home.check(&text, timeframe, &Reading::default()).unwrap();
        assert_eq!((checked.candles, found(&checked)), (20, vec![]), "{timeframe}");
        let wrong = if timeframe == "1h" { "4h" } else { "1h" };
        refused(home.check(&text, wrong, &Reading::default()), &["which is not"]);
    }
}
