//! Importing candle files from elsewhere, and checking files without changing them.

use super::csv::{candle_file, merge, write_csv};
use super::findings::{Cause, Findings};
use super::gaps::{Hole, unexplained};
use super::reader::{Reading, read_candles};
use super::series::{check_steps, conflict, notice};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::{Market, Timeframe};
use domain::time::format_iso;
use std::path::{Path, PathBuf};

/// The result of checking a candle file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Number of usable candles.
    pub candles: usize,
    /// Open times of the first and the last usable candle.
    pub span: Option<(i64, i64)>,
    /// The holes between them that trading hours do not explain, oldest first.
    pub holes: Vec<Hole>,
    /// The trading hours learned from them.
    pub calendar: Calendar,
    /// What would be changed, and what is noteworthy.
    pub findings: Findings,
}

/// The result of fetching or importing the candles of one market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The market.
    pub market: Market,
    /// Number of candles that were not in the file before.
    pub added: usize,
    /// Number of candles in the file now.
    pub total: usize,
    /// Open time of the first candle in the file.
    pub first_ms: i64,
    /// Open time of the last candle in the file.
    pub last_ms: i64,
    /// What was changed, and what is noteworthy.
    pub findings: Findings,
}

/// Checks a candle file without changing anything.
///
/// # Errors
/// As [`read_candles`].
pub fn check_file(path: &Path, timeframe: Timeframe, reading: &Reading) -> Result<Checked> {
    let (candles, mut findings) = read_candles(path, timeframe, reading)?;
    let calendar = Calendar::learn(&candles, timeframe.millis());
    look(&candles, &calendar, &mut findings);
    let span = candles.first().zip(candles.last()).map(|(first, last)| (first.open_ms, last.open_ms));
    let holes = unexplained(&candles, &calendar);
    Ok(Checked { candles: candles.len(), span, holes, calendar, findings })
}

/// Adds the candles of a file to the stored ones of `market`. The last row is dropped, since it may have been open when it was
/// downloaded; the next [`exchange::update`] fetches it.
///
/// # Errors
/// As [`read_candles`]; [`Error::BadCandle`] if file and stored candles disagree or do not fit together; [`Error::NoData`] for a
/// file without candles. After an error nothing is changed.
pub fn import(data_folder: &Path, market: &Market, file: &Path, reading: &Reading, now_ms: i64) -> Result<Fetched> {
    let (mut given, mut findings) = read_candles(file, market.timeframe, reading)?;
    drop_open(&mut given, market, now_ms, &mut findings);
    if let Some(last) = given.pop() {
        findings.add(Cause::LastRow, 1, || format_iso(last.open_ms));
    }
    if given.is_empty() {
        return Err(Error::NoData(format!("{}: it has no candle that is known to have closed", file.display())));
    }
    look(&given, &Calendar::learn(&given, market.timeframe.millis()), &mut findings);
    let path = candle_file(data_folder, market);
    let stored = match path.exists() {
        true => {
            let (stored, repairs) = read_candles(&path, market.timeframe, &Reading::stored())?;
            findings.merge(repairs);
            stored
        }
        false => Vec::new(),
    };
    let bad = |problem| Error::BadCandle { place: format!("{} beside {}", file.display(), path.display()), problem };
    let differing = disagreements(&stored, &given);
    if let Some((one, other)) = differing.first() {
        return Err(bad(format!(
            "{}; to replace the stored candles, delete the stored file first",
            conflict(differing.len(), one, other)
        )));
    }
    let replaced =
        stored.last().filter(|last| given.iter().any(|candle| candle.open_ms == last.open_ms && candle != *last));
    findings.add(Cause::Superseded, usize::from(replaced.is_some()), || {
        replaced.map_or_else(String::new, |last| format_iso(last.open_ms))
    });
    let joined = merge(&stored, &given);
    check_steps(&joined, market.timeframe)
        .map_err(|(index, problem)| bad(format!("candle of {}: {problem}", format_iso(joined[index].open_ms))))?;
    write_csv(&path, &joined)?;
    Ok(Fetched {
        market: market.clone(),
        added: joined.len() - stored.len(),
        total: joined.len(),
        first_ms: joined[0].open_ms,
        last_ms: joined[joined.len() - 1].open_ms,
        findings,
    })
}

/// Drops candles that have not closed by `now_ms`.
pub fn drop_open(candles: &mut Vec<Candle>, market: &Market, now_ms: i64, findings: &mut Findings) {
    let closed = candles.partition_point(|candle| candle.open_ms + market.timeframe.millis() <= now_ms);
    findings.add(Cause::StillOpen, candles.len() - closed, || format_iso(candles[closed].open_ms));
    candles.truncate(closed);
}

/// Adds what users should know about the candles, once.
fn look(candles: &[Candle], calendar: &Calendar, findings: &mut Findings) {
    let told = notice(candles, calendar);
    findings.merge(if findings.count(Cause::NoVolume) > 0 { told.without(Cause::NoVolume) } else { told });
}

/// Pairs of candles of the same time that differ, except for the last stored one, which may have been stored while open.
fn disagreements<'a>(stored: &'a [Candle], given: &'a [Candle]) -> Vec<(&'a Candle, &'a Candle)> {
    let sure = &stored[..stored.len().saturating_sub(1)];
    let same_time = |candle: &'a Candle| {
        let at = given.binary_search_by_key(&candle.open_ms, |other| other.open_ms).ok()?;
        (given[at] != *candle).then_some((candle, &given[at]))
    };
    sure.iter().filter_map(same_time).collect()
}

/// The markets with candle files in `data_folder`, and the files whose names are no market, each in order.
pub fn stored_markets(data_folder: &Path) -> Result<(Vec<Market>, Vec<PathBuf>)> {
    let entries = match std::fs::read_dir(data_folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(e) => return Err(Error::io("read", data_folder, e)),
    };
    let (mut markets, mut others) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = entry.map_err(|e| Error::io("read", data_folder, e))?.path();
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        match path.file_stem().and_then(|stem| stem.to_str()).and_then(Market::from_file_stem) {
            Some(market) => markets.push(market),
            None => others.push(path),
        }
    }
    markets.sort();
    others.sort();
    Ok((markets, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOON: i64 = 1_757_764_800_000;
    const NOW: i64 = NOON + 1000 * HOUR;

    fn hours(range: std::ops::Range<i64>) -> Vec<Candle> {
        let candle = |hour| Candle {
            open_ms: NOON + hour * HOUR,
            open: 10.0,
            high: 12.0,
            low: 9.0,
            close: 10.0 + (hour % 3) as f64 / 10.0,
            volume: 5.0,
        };
        range.map(candle).collect()
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn import(&self, name: &str, candles: &[Candle]) -> Result<Fetched> {
            let file = self.0.path().join(name);
            write_csv(&file, candles).unwrap();
            import(&self.0.path().join("data"), &market(), &file, &Reading::stored(), NOW)
        }

        fn stored(&self) -> Vec<Candle> {
            let path = candle_file(&self.0.path().join("data"), &market());
            read_candles(&path, Timeframe::H1, &Reading::stored()).unwrap().0
        }
    }

    fn place() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn market() -> Market {
        Market::parse("BTCUSDT", "1h").unwrap()
    }

    #[test]
    fn two_downloads_that_overlap_become_one_without_their_open_last_candles() {
        let place = place();
        let mut first = hours(0..20);
        first[19].close = 10.05;
        let done = place.import("a.csv", &first).unwrap();
        assert_eq!((done.added, done.total, done.findings.count(Cause::LastRow)), (19, 19, 1));
        let done = place.import("b.csv", &hours(10..40)).unwrap();
        assert_eq!((done.added, done.total, done.last_ms), (20, 39, NOON + 38 * HOUR));
        assert_eq!(place.stored(), hours(0..39));
    }

    #[test]
    fn a_last_stored_candle_gives_way_and_any_other_does_not() {
        let place = place();
        let data = place.0.path().join("data");
        let mut stored = hours(0..20);
        stored[19].close = 10.05;
        write_csv(&candle_file(&data, &market()), &stored).unwrap();
        let done = place.import("a.csv", &hours(0..30)).unwrap();
        assert_eq!((done.added, done.findings.count(Cause::Superseded)), (9, 1));
        assert_eq!(place.stored(), hours(0..29));

        let mut other = hours(0..40);
        other[5].close = 10.05;
        other[6].close = 10.07;
        let error = place.import("b.csv", &other).unwrap_err();
        assert_eq!(error.code(), "ERR_INVALID_CANDLE");
        for part in ["b.csv beside", "btcusdt_1h.csv: 2 times", "closes of 10.2 and 10.05", "delete the stored file"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert_eq!(place.stored(), hours(0..29), "nothing was changed");
    }

    #[test]
    fn files_that_bring_nothing_or_do_not_fit() {
        let place = place();
        assert_eq!(place.import("one.csv", &hours(0..1)).unwrap_err().code(), "ERR_NO_DATA");
        assert_eq!(place.import("open.csv", &hours(1000..1001)).unwrap_err().code(), "ERR_NO_DATA");
        place.import("a.csv", &hours(0..20)).unwrap();
        let thousandfold: Vec<_> = hours(50..60)
            .into_iter()
            .map(|c| Candle { open: 1e3 * c.open, high: 1e3 * c.high, low: 1e3 * c.low, close: 1e3 * c.close, ..c })
            .collect();
        let error = place.import("c.csv", &thousandfold).unwrap_err().to_string();
        assert!(error.contains("steps") && error.contains("--since"), "{error}");
    }

    #[test]
    fn a_look_changes_nothing_and_finds_the_stored_markets() {
        let place = place();
        place.import("a.csv", &hours(0..20)).unwrap();
        let data = place.0.path().join("data");
        std::fs::write(data.join("notes.csv"), "x").unwrap();
        let (markets, others) = stored_markets(&data).unwrap();
        assert_eq!((markets.as_slice(), others.len()), ([market()].as_slice(), 1));
        let looked = check_file(&candle_file(&data, &market()), Timeframe::H1, &Reading::stored()).unwrap();
        assert_eq!((looked.candles, looked.span), (19, Some((NOON, NOON + 18 * HOUR))));
        assert_eq!(stored_markets(&data.join("none")).unwrap(), Default::default());
    }
}
