//! Candle files as trading terminals, spreadsheets, archives and other exchanges write them. Each case is a small file
//! in the format of a real one; `docs/data.md` says what is done about each.

use candles::{BadRows, Cause, Reading, candle_file, check_file, import, read_candles};
use domain::candle::Candle;
use domain::error::Result;
use domain::symbol::{Market, Timeframe};
use domain::time::{Tz, format_iso, parse_time};
use std::fmt::Write;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn ms(text: &str) -> i64 {
    parse_time(text, Tz::UTC).unwrap()
}

/// Open, high, low, close, volume of the n-th candle; each opens at the close of the one before.
fn prices(n: i64) -> [f64; 5] {
    let at = |n: i64| 100.0 + (n * 7 % 13) as f64;
    let (open, close) = (at(n), at(n + 1));
    [open, open.max(close) + 1.5, open.min(close) - 1.5, close, 5.0 + (n % 3) as f64]
}

fn candle(open_ms: i64, n: i64) -> Candle {
    let [open, high, low, close, volume] = prices(n);
    Candle { open_ms, open, high, low, close, volume }
}

fn hours(begin_ms: i64, count: i64) -> Vec<Candle> {
    (0..count).map(|n| candle(begin_ms + n * HOUR, n)).collect()
}

/// A time as `2024-01-02 12:00:00`.
fn clock(open_ms: i64) -> String {
    format_iso(open_ms)[..19].replace('T', " ")
}

/// Candles, and the findings about them.
type Read = (Vec<Candle>, Vec<(Cause, usize)>);

fn read_as(text: &str, timeframe: &str, reading: &Reading) -> Result<Read> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    std::fs::write(&path, text).unwrap();
    let (candles, found) = read_candles(&path, Timeframe::parse(timeframe).unwrap(), reading)?;
    Ok((candles, found.list().iter().map(|finding| (finding.cause, finding.count)).collect()))
}

fn read(text: &str) -> Result<Read> {
    read_as(text, "1h", &Reading::default())
}

fn refused(text: &str, reading: &Reading, parts: &[&str]) {
    let error = read_as(text, "1h", reading).unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_CANDLE");
    for part in parts {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

fn from(name: &str) -> Reading {
    Reading { from: Some(name.parse().unwrap()), ..Reading::default() }
}

fn columns(names: &str) -> Reading {
    Reading { columns: Some(names.parse().unwrap()), ..Reading::default() }
}

/// CryptoDataDownload: its address before the header, newest first, seconds in old and milliseconds in new files, two
/// volumes.
#[test]
fn an_archive_with_its_address_before_the_header() {
    let begin = ms("2024-01-02T00:00:00Z");
    for factor in [1000, 1] {
        let mut text = "https://www.CryptoDataDownload.com\n\
                        Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount\n"
            .to_owned();
        for n in (0..30).rev() {
            let [open, high, low, close, volume] = prices(n);
            let at = begin + n * HOUR;
            let quote = volume * (open + close) / 2.0;
            writeln!(text, "{},{},BTC/USDT,{open},{high},{low},{close},{volume},{quote},77", at / factor, clock(at))
                .unwrap();
        }
        let (candles, found) = read(&text).unwrap();
        assert_eq!(candles, hours(begin, 30));
        let unit = (factor == 1000).then_some((Cause::TimeUnit, 30));
        let expected = [(Cause::Disorder, 29), (Cause::Preamble, 1), (Cause::IgnoredColumn, 4)];
        assert_eq!(found, unit.into_iter().chain(expected).collect::<Vec<_>>());
    }
}

/// A twelve-hour clock, as CryptoDataDownload once used and spreadsheets do; the order of day and month follows from
/// the data, or must be given.
#[test]
fn twelve_hour_clocks_and_dates_of_two_orders() {
    let begin = ms("2020-07-01T00:00:00Z");
    let twelve = |n: i64| ((n % 24 + 11) % 12 + 1, if n % 24 < 12 { "AM" } else { "PM" });
    let row = |n: i64| prices(n).map(|price| price.to_string()).join(",");
    let mut archive = "Date,Symbol,Open,High,Low,Close,Volume\n".to_owned();
    for n in 0..30 {
        let (hour, half) = twelve(n);
        writeln!(archive, "2020-07-{:02} {hour:02}-{half},BTCUSD,{}", 1 + n / 24, row(n)).unwrap();
    }
    let (candles, found) = read(&archive).unwrap();
    assert_eq!((candles, found), (hours(begin, 30), vec![(Cause::TakenAsUtc, 30), (Cause::IgnoredColumn, 1)]));

    let sheet = |count: i64, date: fn(i64) -> String| {
        let mut text = "date,open,high,low,close,volume\n".to_owned();
        for n in 0..count {
            let (hour, half) = twelve(n);
            writeln!(text, "{} {hour}:00 {half},{}", date(1 + n / 24), row(n)).unwrap();
        }
        text
    };
    let american: fn(i64) -> String = |day| format!("7/{day}/2020");
    let european: fn(i64) -> String = |day| format!("{day:02}.07.2020");
    for date in [american, european] {
        assert_eq!(read(&sheet(30, date)).unwrap().0, hours(begin, 30));
        // A day above 12 settles the order too.
        assert_eq!(read(&sheet(24 * 13 + 1, date)).unwrap().0, hours(begin, 24 * 13 + 1));
    }
    refused(&sheet(20, american), &Reading::default(), &["which is the day in 7/1/2020?", "--dates dmy"]);
    let told = Reading { dates: Some("mdy".parse().unwrap()), ..Reading::default() };
    assert_eq!(read_as(&sheet(20, american), "1h", &told).unwrap().0, hours(begin, 20));
    let wrong = Reading { dates: Some("dmy".parse().unwrap()), ..Reading::default() };
    assert_eq!(read_as(&sheet(20, american), "1h", &wrong).unwrap().0[0].open_ms, ms("2020-01-07T00:00:00Z"));
}

/// MetaTrader 4 and 5: date and time of day in two columns; commas and no header, or tabs and names in angle brackets.
#[test]
fn date_and_time_of_day_in_two_columns() {
    let begin = ms("2024-01-02T00:00:00Z");
    let day = |at: i64| clock(at)[..10].replace('-', ".");
    let (mut four, mut five) =
        (String::new(), "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n".to_owned());
    for n in 0..30 {
        let ([open, high, low, close, volume], at) = (prices(n), begin + n * HOUR);
        writeln!(four, "{},{},{open},{high},{low},{close},{volume}", day(at), &clock(at)[11..16]).unwrap();
        writeln!(five, "{}\t{}\t{open}\t{high}\t{low}\t{close}\t1234\t{volume}\t10", day(at), &clock(at)[11..])
            .unwrap();
    }
    let (candles, found) = read(&four).unwrap();
    assert_eq!((candles, found), (hours(begin, 30), vec![(Cause::TakenAsUtc, 30), (Cause::NoHeader, 1)]));
    let (candles, found) = read(&five).unwrap();
    assert_eq!((candles, found), (hours(begin, 30), vec![(Cause::TakenAsUtc, 30), (Cause::IgnoredColumn, 2)]));
    let athens = Reading { timezone: "Europe/Athens".parse().ok(), ..Reading::default() };
    let (candles, found) = read_as(&five, "1h", &athens).unwrap();
    assert_eq!((candles[0].open_ms, found[0]), (begin - 2 * HOUR, (Cause::LocalTime, 30)));
}

/// A German spreadsheet: semicolons, decimal commas, points in thousands.
#[test]
fn semicolons_and_decimal_commas() {
    let begin = ms("2024-01-13T00:00:00Z");
    let german = |number: f64| {
        let text = format!("{:.2}", number * 1000.0);
        let (whole, rest) = text.split_once('.').unwrap();
        format!("{}.{},{rest}", &whole[..whole.len() - 3], &whole[whole.len() - 3..])
    };
    let mut text = "sep=;\nDatum;date;open;high;low;close;volume\n".to_owned();
    for n in 0..30 {
        let [open, high, low, close, _] = prices(n).map(german);
        let at = begin + n * HOUR;
        let date = format!("{}.{}.{} {}", &clock(at)[8..10], &clock(at)[5..7], &clock(at)[..4], &clock(at)[11..16]);
        writeln!(text, "{n};{date};{open};{high};{low};{close};7,5").unwrap();
    }
    let (candles, _) = read(&text).unwrap();
    assert_eq!((candles.len(), candles[0].open_ms, candles[0].open, candles[0].volume), (30, begin, 100_000.0, 7.5));
    // Whether a point groups thousands is not guessed.
    let doubtful = "date;open;high;low;close;volume\n2024-01-02 00:00;1,5;1.501;1,5;1,5;1\n";
    refused(doubtful, &Reading::default(), &["line 2", "does '.' group thousands"]);
}

#[test]
fn epochs_with_decimals_and_as_text_are_read_and_rounded_ones_are_not() {
    let begin = 1_700_002_800_000_i64;
    let text = |time: fn(i64) -> String| {
        let mut text = "time,open,high,low,close,volume\n".to_owned();
        for n in 0..12 {
            writeln!(text, "{},{}", time(begin + n * HOUR), prices(n).map(|price| price.to_string()).join(","))
                .unwrap();
        }
        text
    };
    let seconds: [fn(i64) -> String; 3] =
        [|ms| format!("{}.0", ms / 1000), |ms| format!("\"{}\"", ms / 1000), |ms| format!("{ms}.000")];
    for time in seconds {
        assert_eq!(read(&text(time)).unwrap().0, hours(begin, 12));
    }
    refused(
        &text(|ms| format!("{:.2e}", ms as f64)),
        &Reading::default(),
        &["line 2", "scientific notation", "12 such rows"],
    );
    let json = |time: fn(i64) -> String| {
        let row =
            |n: i64| format!("[{},{}]", time(begin + n * HOUR), prices(n).map(|price| price.to_string()).join(","));
        format!("[{}]", (0..12).map(row).collect::<Vec<_>>().join(","))
    };
    for time in seconds {
        assert_eq!(read(&json(time)).unwrap().0, hours(begin, 12));
    }
}

/// Responses of exchanges, some newest first; the incomplete candle is dropped where the protocol identifies it.
#[test]
fn answers_of_exchanges_by_name() {
    let begin = 1_700_002_800_000_i64;
    let rows = |newest_first: bool, row: &dyn Fn(i64, [f64; 5]) -> String| {
        let mut rows: Vec<String> = (0..12).map(|n| row(begin + n * HOUR, prices(n))).collect();
        if newest_first {
            rows.reverse();
        }
        rows.join(",")
    };
    let okx = rows(true, &|at, [o, h, l, c, v]| {
        format!(
            "[\"{at}\",\"{o}\",\"{h}\",\"{l}\",\"{c}\",\"{v}\",\"9\",\"9\",\"{}\"]",
            u8::from(at != begin + 11 * HOUR)
        )
    });
    let bybit =
        rows(true, &|at, [o, h, l, c, v]| format!("[\"{at}\",\"{o}\",\"{h}\",\"{l}\",\"{c}\",\"{v}\",\"999.9\"]"));
    let kucoin = rows(true, &|at, [o, h, l, c, v]| {
        format!("[\"{}\",\"{o}\",\"{c}\",\"{h}\",\"{l}\",\"{v}\",\"999.9\"]", at / 1000)
    });
    let coinbase = rows(true, &|at, [o, h, l, c, v]| format!("[{},{l},{h},{o},{c},{v}]", at / 1000));
    let advanced = rows(true, &|at, [o, h, l, c, v]| {
        format!(
            "{{\"start\":\"{}\",\"low\":\"{l}\",\"high\":\"{h}\",\"open\":\"{o}\",\"close\":\"{c}\",\"volume\":\"{v}\"}}",
            at / 1000
        )
    });
    let kraken = rows(false, &|at, [o, h, l, c, v]| {
        format!("[{},\"{o}\",\"{h}\",\"{l}\",\"{c}\",\"103.5\",\"{v}\",5]", at / 1000)
    });
    let last = (begin + 10 * HOUR) / 1000;
    let (still_open, unit, order) =
        ((Cause::StillOpen, 1), |count| (Cause::TimeUnit, count), |count| (Cause::Disorder, count));
    let cases = [
        ("okx", format!("{{\"code\":\"0\",\"msg\":\"\",\"data\":[{okx}]}}"), 11, vec![order(10), still_open]),
        (
            "bybit",
            format!(
                "{{\"retCode\":0,\"retMsg\":\"OK\",\"result\":{{\"category\":\"spot\",\"symbol\":\"BTCUSDT\",\"list\":[{bybit}]}}}}"
            ),
            12,
            vec![order(11)],
        ),
        ("kucoin", format!("{{\"code\":\"200000\",\"data\":[{kucoin}]}}"), 12, vec![unit(12), order(11)]),
        ("coinbase", format!("[{coinbase}]"), 12, vec![unit(12), order(11)]),
        ("coinbase", format!("{{\"candles\":[{advanced}]}}"), 12, vec![unit(12), order(11)]),
        (
            "kraken",
            format!("{{\"error\":[],\"result\":{{\"XXBTZUSD\":[{kraken}],\"last\":{last}}}}}"),
            11,
            vec![unit(11), still_open],
        ),
    ];
    for (name, text, count, expected) in &cases {
        let (candles, found) = read_as(text, "1h", &from(name)).unwrap();
        assert_eq!((candles, found), (hours(begin, *count), expected.clone()), "{name}");
        // The origin of a response is never guessed.
        if text.starts_with('{') {
            refused(text, &Reading::default(), &["must be a JSON array", "--from"]);
        }
    }
    for (name, text, said) in [
        (
            "okx",
            "{\"code\":\"51001\",\"msg\":\"Instrument ID does not exist\",\"data\":[]}",
            "Instrument ID does not exist",
        ),
        ("bybit", "{\"retCode\":10001,\"retMsg\":\"params error\",\"result\":{}}", "params error"),
        ("kucoin", "{\"code\":\"400100\",\"msg\":\"bad symbol\"}", "bad symbol"),
        ("kraken", "{\"error\":[\"EQuery:Unknown asset pair\"]}", "EQuery:Unknown asset pair"),
        ("coinbase", "{\"message\":\"NotFound\"}", "no answer of coinbase with candles"),
        ("bybit", "{\"retCode\":0,\"result\":{\"category\":\"inverse\",\"list\":[]}}", "turnover in the base asset"),
    ] {
        refused(text, &from(name), &[said]);
    }
    // Read as open, high, low, close, Coinbase's column order gives impossible candles.
    refused(&format!("[{coinbase}]"), &Reading::default(), &["`low` must not be above"]);
}

/// Kraken's rows without its name: the sixth value is a price, and would be taken for the volume.
#[test]
fn json_of_unknown_columns_is_refused_until_they_are_named() {
    let begin = 1_700_002_800_000_i64;
    let row = |n: i64| {
        let [open, high, low, close, volume] = prices(n);
        format!("[{},{open},{high},{low},{close},103.5,{volume},7]", (begin + n * HOUR) / 1000)
    };
    let text = format!("[{}]", (0..12).map(row).collect::<Vec<_>>().join(","));
    refused(&text, &Reading::default(), &["8 columns", "which of them is the volume?", "--columns", "--from kraken"]);
    let (candles, found) = read_as(&text, "1h", &columns("time,open,high,low,close,vwap,volume,count")).unwrap();
    assert_eq!((candles, found), (hours(begin, 12), vec![(Cause::TimeUnit, 12), (Cause::IgnoredColumn, 2)]));
    assert_eq!(read_as(&text, "1h", &from("kraken")).unwrap().0, hours(begin, 12));
    refused(&text, &columns("time,open,high,low,close,volume"), &["candle 0: a row has 6 fields"]);

    let named = |n: i64| {
        let [open, high, low, close, volume] = prices(n);
        format!(
            "{{\"begins\":{},\"o\":{open},\"h\":{high},\"l\":{low},\"last\":{close},\"vwap\":103.5,\"size\":{volume}}}",
            begin + n * HOUR
        )
    };
    let text = format!("[{}]", (0..12).map(named).collect::<Vec<_>>().join(","));
    refused(&text, &Reading::default(), &["no column is named `close`", "--columns", "begins,o,h,l,last,vwap,size"]);
    let (candles, _) = read_as(&text, "1h", &columns("time,open,high,low,close,vwap,volume")).unwrap();
    assert_eq!(candles, hours(begin, 12));
    refused(&text, &columns("time,open,high,low,close,volume"), &["names 6 members, and the first object has 7"]);
}

#[test]
fn single_bad_rows_are_left_out_or_widened_only_where_that_is_asked_for() {
    let begin = ms("2024-01-02T00:00:00Z");
    let mut text = "timestamp,open,high,low,close,volume\n".to_owned();
    for n in 0..30 {
        let [open, high, low, close, volume] = prices(n);
        let high = if n == 7 { open.min(close) } else { high };
        let low = if n == 9 { "0".to_owned() } else { low.to_string() };
        writeln!(text, "{},{open},{high},{low},{close},{volume}", clock(begin + n * HOUR)).unwrap();
    }
    refused(&text, &Reading::stored(), &["line 9: `high` must not be below", "(2 such rows)"]);
    let skip = Reading { bad_rows: BadRows::Skip, ..Reading::stored() };
    let (candles, found) = read_as(&text, "1h", &skip).unwrap();
    assert_eq!((candles.len(), found), (28, vec![(Cause::BadRow, 2)]));
    // A price of 0 cannot be fixed by widening.
    let widen = Reading { bad_rows: BadRows::Widen, ..Reading::stored() };
    refused(&text, &widen, &["line 11: `low` must be a finite price above 0"]);
    let (candles, found) = read_as(&text.replace(",0,", ",99,"), "1h", &widen).unwrap();
    assert_eq!((candles.len(), found), (30, vec![(Cause::Widened, 1)]));
    assert_eq!(candles[7].high, candles[7].open.max(candles[7].close));

    // A file whose columns are swapped is refused all the same.
    let swapped: String = (0..30)
        .map(|n| {
            let [open, high, low, close, volume] = prices(n);
            format!("{},{open},{close},{high},{low},{volume}\n", begin + n * HOUR)
        })
        .collect();
    for bad_rows in [BadRows::Skip, BadRows::Widen] {
        refused(&swapped, &Reading { bad_rows, ..Reading::default() }, &["--columns time,open,close,high,low,volume"]);
    }

    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    std::fs::write(&path, &text).unwrap();
    let found = check_file(&path, Timeframe::H1, &skip).unwrap().findings.to_string();
    for part in [
        "2 rows that cannot be true left out",
        "line 9: `high`",
        "line 11: `low` must be a finite price above 0; got 0",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
}

/// Currencies and indices: no volume, or a volume column without information.
#[test]
fn candles_without_volume_are_read_and_told() {
    let begin = ms("2024-01-02T00:00:00Z");
    let text = |header: &str, volume: &str| {
        let mut text = format!("{header}\n");
        for n in 0..60 {
            let [open, high, low, close, _] = prices(n);
            writeln!(text, "{},{open},{high},{low},{close}{volume}", clock(begin + n * HOUR)).unwrap();
        }
        text
    };
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    let check = |text: String| {
        std::fs::write(&path, text).unwrap();
        let checked = check_file(&path, Timeframe::H1, &Reading::stored()).unwrap();
        checked.findings.list().iter().map(|finding| (finding.cause, finding.count)).collect::<Vec<_>>()
    };
    let silent = (Cause::NoVolume, 60);
    assert_eq!(check(text("time,open,high,low,close", "")), [silent]);
    assert_eq!(check(text("time,open,high,low,close,volume", ",0")), [silent]);
    assert_eq!(check(text("time,open,high,low,close,volume", ",1")), [silent]);
    let (candles, _) = read(&text("time,open,high,low,close", "")).unwrap();
    assert!(candles.len() == 60 && candles.iter().all(|candle| candle.volume == 0.0));
}

/// Candles of local days and half-days: one is longer, or shorter, when clocks change.
#[test]
fn a_clock_change_within_a_candle_is_no_fault() {
    let berlin: Tz = "Europe/Berlin".parse().unwrap();
    let local = Reading { timezone: Some(berlin), ..Reading::default() };
    for (timeframe, hours_of, begin, length) in [
        ("1d", vec![0], "2024-03-20", DAY),
        ("4h", vec![0, 4, 8, 12, 16, 20], "2024-10-20", 4 * HOUR),
        ("3d", vec![0], "2024-03-01", 3 * DAY),
    ] {
        let mut text = "time,open,high,low,close,volume\n".to_owned();
        let (mut n, begin) = (0, ms(begin));
        let step = if timeframe == "3d" { 3 } else { 1 };
        for day in (0..60).step_by(step) {
            for hour in &hours_of {
                writeln!(
                    text,
                    "{},{}",
                    clock(begin + day * DAY + hour * HOUR),
                    prices(n).map(|p| p.to_string()).join(",")
                )
                .unwrap();
                n += 1;
            }
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        std::fs::write(&path, &text).unwrap();
        let market = Market::parse("EURUSD", timeframe).unwrap();
        let checked = check_file(&path, market.timeframe, &local).unwrap();
        let found: Vec<Cause> = checked.findings.list().iter().map(|finding| finding.cause).collect();
        assert_eq!((checked.candles as i64, checked.holes.len()), (n, 0), "{timeframe}");
        assert_eq!(found, [Cause::LocalTime, Cause::ClockChange], "{timeframe}");
        // Stored in UTC, it can be read and joined too.
        let data = home.path().join("data");
        import(&data, &market, &path, &local, ms("2027-01-01")).unwrap();
        let stored = check_file(&candle_file(&data, &market), market.timeframe, &Reading::stored()).unwrap();
        assert_eq!(stored.findings.count(Cause::ClockChange), 1);
        // The same shift in a night without a clock change is an error.
        let shifted = text.lines().skip(1).enumerate().map(|(i, line)| {
            let (time, rest) = line.split_once(',').unwrap();
            format!("{},{rest}\n", ms(time) + if i as i64 > n / 3 { HOUR } else { 0 })
        });
        let shifted: String = shifted.collect();
        let error = read_as(&shifted, timeframe, &Reading::default()).unwrap_err().to_string();
        assert!(error.contains("no whole number of"), "{error}");
        assert!(length > HOUR);
    }
}

#[test]
fn weeks_may_begin_on_any_day() {
    for begin in ["2024-01-07", "2024-01-08", "2024-01-05"] {
        let mut text = "date,open,high,low,close,volume\n".to_owned();
        for n in 0..30 {
            writeln!(text, "{},{}", &clock(ms(begin) + 7 * n * DAY)[..10], prices(n).map(|p| p.to_string()).join(","))
                .unwrap();
        }
        assert_eq!(read_as(&text, "1w", &Reading::default()).unwrap().0.len(), 30, "{begin}");
    }
}
