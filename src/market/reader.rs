//! Candle files as people have them: CSV with or without a header, columns in any order that is named, and JSON.
//! What each of these means is in `docs/data.md`; nothing is guessed that is not reported.

use super::Candle;
use super::csv;
use super::findings::{Cause, Findings};
use super::kline::{check_close, epoch_ms, read_rows};
use super::local::LocalRows;
use super::series::{RunEnds, check_steps, settle};
use crate::error::{Error, Result};
use crate::files::lines::read_text;
use crate::symbol::Timeframe;
use crate::time;
use crate::time::Tz;
use serde_json::Value;
use std::path::Path;
use std::str::FromStr;

/// A candle file may have so many bytes: 40 years of 1m.
const LONGEST_FILE: u64 = 2 << 30;

/// Which column holds what. Parsed from names with commas between, such as `time,open,close,high,low,volume`; a column
/// of any other name is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    time: usize,
    /// Open, high, low, close.
    prices: [usize; 4],
    volume: usize,
    close_time: Option<usize>,
    count: usize,
    ignored: Vec<String>,
}

/// The columns of a file without a header, in the order of Binance's own files; they may end after the volume.
const BINANCE: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
                       taker_buy_quote_volume,ignore";
const TIMES: [&str; 7] = ["timestamp", "time", "open_time", "open time", "opentime", "date", "datetime"];
const CLOSE_TIMES: [&str; 3] = ["close_time", "close time", "closetime"];
/// Bad rows after which a file is clearly of another kind.
const MOST_BAD: usize = 1000;

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let names: Vec<String> = text.split(',').map(|name| unquoted(name).to_lowercase()).collect();
        let find = |allowed: &[&str]| {
            let mut found = names.iter().enumerate().filter(|(_, name)| allowed.contains(&name.as_str()));
            match (found.next(), found.next()) {
                (Some((at, _)), None) => Ok(Some(at)),
                (None, _) => Ok(None),
                (Some(_), Some((_, other))) => {
                    Err(format!("two columns could be the `{}`: `{other}` is one", allowed[0]))
                }
            }
        };
        let need = |allowed: &[&str]| find(allowed)?.ok_or_else(|| format!("no column is named `{}`", allowed[0]));
        let close_time = find(&CLOSE_TIMES)?;
        let (time, volume) = (need(&TIMES)?, need(&["volume"])?);
        let prices = [need(&["open"])?, need(&["high"])?, need(&["low"])?, need(&["close"])?];
        let used = |at: &usize| [time, volume].contains(at) || prices.contains(at) || close_time == Some(*at);
        let ignored = (0..names.len()).filter(|at| !used(at)).map(|at| names[at].clone()).collect();
        Ok(Self { time, prices, volume, close_time, count: names.len(), ignored })
    }
}

/// How to read a candle file. `Default` is as it stands there.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// What the columns of a CSV file are. Default: what its header says; in a file without one, the order of Binance's
    /// own files, which the rows must then bear out.
    pub columns: Option<Columns>,
    /// Leave out what opens before this time, UTC epoch ms. Default: nothing.
    pub since_ms: Option<i64>,
    /// The zone of times that say no offset. Default: they are taken as UTC, which is reported.
    pub timezone: Option<Tz>,
}

impl Reading {
    /// A file of the home, whose times are UTC.
    pub fn stored() -> Self {
        Self { timezone: Some(Tz::UTC), ..Self::default() }
    }
}

/// Reads a candle file, in order and each time once, with what had to be put right for that.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadCandle`] with file, line and the number of such rows at rows that cannot be true, at two
/// candles of one time that disagree, at a wrong interval, and where the price steps as if to another coin.
pub fn read_candles(path: &Path, timeframe: Timeframe, reading: &Reading) -> Result<(Vec<Candle>, Findings)> {
    let bad =
        |place: String, problem: String| Error::BadCandle { place: format!("{}{place}", path.display()), problem };
    let whole = |problem: String| bad(String::new(), problem);
    let text = read_text(path, LONGEST_FILE, whole)?;
    let text = text.trim_start_matches('\u{feff}');
    let (mut rows, mut findings) = if text.trim_start().starts_with(['[', '{']) {
        read_json(text, timeframe).map_err(whole)?
    } else {
        read_csv_text(text, timeframe, reading).map_err(|(line, problem)| bad(format!(" line {line}"), problem))?
    };
    rows.retain(|candle| reading.since_ms.is_none_or(|since_ms| candle.open_ms >= since_ms));
    let (candles, settled) = settle(rows, RunEnds::Unsure).map_err(whole)?;
    findings.merge(settled);
    check_steps(&candles, timeframe).map_err(|(index, problem)| {
        bad(format!(", candle of {}", time::format_iso(candles[index].open_ms)), problem)
    })?;
    Ok((candles, findings))
}

fn read_json(text: &str, timeframe: Timeframe) -> std::result::Result<(Vec<Candle>, Findings), String> {
    let rows: Vec<Value> = serde_json::from_str(text)
        .map_err(|e| format!("it must be a JSON array of [open time, open, high, low, close, volume]: {e}"))?;
    read_rows(&rows, timeframe)
}

type LineProblem = (usize, String);

fn read_csv_text(
    text: &str,
    timeframe: Timeframe,
    reading: &Reading,
) -> std::result::Result<(Vec<Candle>, Findings), LineProblem> {
    let (mut findings, columns) = (Findings::default(), reading.columns.as_ref());
    let first = text.lines().next().unwrap_or_default();
    let has_header = read_time(unquoted(first.split(',').next().unwrap_or_default())).is_none();
    let canonical = first == csv::HEADER && columns.is_none();
    let layout = match (columns, has_header) {
        (Some(columns), _) => columns.clone(),
        (None, true) => first.parse().map_err(|problem| {
            (
                1,
                format!(
                    "{problem}; the header must be `{}`, in any order, or `--columns` say what it is; got {first:?}",
                    csv::HEADER
                ),
            )
        })?,
        (None, false) => headerless(first, &mut findings).map_err(|problem| (1, problem))?,
    };
    let ignored = &layout.ignored;
    findings.add(Cause::IgnoredColumn, ignored.len(), || ignored.join(", "));
    let mut rows = Vec::with_capacity(text.len() / 50);
    let mut local = LocalRows::default();
    let mut bad: Vec<LineProblem> = Vec::new();
    let mut lines = text.lines().enumerate().skip(usize::from(has_header)).peekable();
    while let Some((index, line)) = lines.next() {
        if line.trim().is_empty() && lines.clone().all(|(_, line)| line.trim().is_empty()) {
            break;
        }
        let row = match csv::plain_row(line.as_bytes()).filter(|_| canonical) {
            Some(candle) => match candle.check(index) {
                Ok(candle) => Ok(Row { candle, is_local: true, close_ms: None }),
                Err(error) => Err(plain_words(&error)),
            },
            None => layout.row(line, index, timeframe, &mut findings),
        };
        match row {
            Ok(Row { candle, is_local, close_ms }) => {
                if is_local {
                    local.add(rows.len(), index + 1, close_ms);
                }
                rows.push(candle);
            }
            Err(_) if lines.peek().is_none() && !text.ends_with('\n') && layout.breaks_off(line) => {
                findings.add(Cause::TornRow, 1, || line.chars().take(60).collect());
            }
            Err(problem) => bad.push((index + 1, problem)),
        }
        if bad.len() >= MOST_BAD {
            break;
        }
    }
    match bad.first() {
        None => {
            local.settle(reading.timezone, &mut rows, timeframe, &mut findings)?;
            Ok((rows, findings))
        }
        Some((line, problem)) => {
            let more = match bad.len() {
                1 => String::new(),
                MOST_BAD.. => format!(" ({MOST_BAD} such rows, no more were read)"),
                count => format!(" ({count} such rows)"),
            };
            let hint = if has_header { None } else { other_order(text) };
            Err((*line, format!("{problem}{more}{}", hint.unwrap_or_default())))
        }
    }
}

/// The columns of a file without a header: Binance's, which may end after the volume.
fn headerless(first: &str, findings: &mut Findings) -> std::result::Result<Columns, String> {
    let count = first.split(',').count();
    let names: Vec<&str> = BINANCE.split(',').collect();
    if count != 6 && count != names.len() {
        return Err(format!(
            "without a header a row has 6 columns, or the {} of Binance; say with `--columns` what they are; got {first:?}",
            names.len()
        ));
    }
    let taken = names[..count].join(",");
    findings.add(Cause::NoHeader, 1, || taken.clone());
    taken.parse()
}

/// What to say about a file without a header whose rows are true only in another order of columns.
fn other_order(text: &str) -> Option<String> {
    let fits = |line: &str| {
        let numbers: Vec<f64> = line.split(',').skip(1).take(4).filter_map(|field| field.trim().parse().ok()).collect();
        let &[one, other, highest, lowest] = numbers.as_slice() else { return false };
        highest >= one.max(other) && lowest <= one.min(other)
    };
    text.lines().all(fits).then(|| {
        "; all rows would be true with `--columns time,open,close,high,low,volume`, the order of Bitfinex".to_owned()
    })
}

impl Columns {
    /// Whether a line ends before its last field, as when writing it was cut short.
    fn breaks_off(&self, line: &str) -> bool {
        line.split(',').count() < self.count || line.ends_with(',')
    }

    fn row(
        &self,
        line: &str,
        index: usize,
        timeframe: Timeframe,
        findings: &mut Findings,
    ) -> std::result::Result<Row, String> {
        let fields: Vec<&str> = line.split(',').map(unquoted).collect();
        if fields.len() != self.count {
            return Err(format!("a row has {} fields; got {line:?}", self.count));
        }
        let time = |at: usize| {
            read_time(fields[at])
                .ok_or_else(|| format!("`timestamp` must be a time such as 2025-09-13 12:00:00; got {:?}", fields[at]))
        };
        let number = |at: usize, name: &str| {
            fields[at].parse::<f64>().map_err(|_| format!("`{name}` must be a number; got {:?}", fields[at]))
        };
        let opened = time(self.time)?;
        let [open, high, low, close] = self.prices;
        let candle = Candle {
            open_ms: opened.ms,
            open: number(open, "open")?,
            high: number(high, "high")?,
            low: number(low, "low")?,
            close: number(close, "close")?,
            volume: number(self.volume, "volume")?,
        };
        let candle = candle.check(index).map_err(|error| plain_words(&error))?;
        let closed = self.close_time.map(time).transpose()?;
        let close_ms = closed.as_ref().filter(|closed| opened.local && !closed.local).map(|closed| closed.ms);
        if let Some(closed) = closed.filter(|_| close_ms.is_none()) {
            check_close(candle.open_ms, closed.ms, timeframe)?;
        }
        findings.add(Cause::TimeUnit, usize::from(opened.other_unit), || fields[self.time].to_owned());
        findings.add(Cause::Offset, usize::from(opened.offset), || fields[self.time].to_owned());
        Ok(Row { candle, is_local: opened.local, close_ms })
    }
}

/// A row of a CSV file.
struct Row {
    candle: Candle,
    /// Its time says no offset.
    is_local: bool,
    /// Its close time does, and is to be looked at once the open time is known.
    close_ms: Option<i64>,
}

struct ReadTime {
    ms: i64,
    /// A number, and not of milliseconds.
    other_unit: bool,
    /// A text with an offset that is not zero.
    offset: bool,
    /// A text that says no offset, read as if it were UTC.
    local: bool,
}

/// A time as a number or as text.
fn read_time(text: &str) -> Option<ReadTime> {
    if let Ok(number) = text.parse::<i64>() {
        let (ms, other_unit) = epoch_ms(number)?;
        return Some(ReadTime { ms, other_unit, offset: false, local: false });
    }
    let ms = time::parse_time(text, Tz::UTC)?;
    // After the date.
    let tail = text.get(10..).unwrap_or_default();
    let zone = tail.find(['+', '-', 'Z', 'z']).map(|at| &tail[at..]);
    let offset = zone.is_some_and(|zone| zone.contains(|c: char| ('1'..='9').contains(&c)));
    Some(ReadTime { ms, other_unit: false, offset, local: zone.is_none() })
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field)
}

fn plain_words(error: &Error) -> String {
    match error {
        Error::InvalidCandle { field, problem, value, .. } => format!("`{field}` {problem}; got {value}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::write_csv;
    use proptest::prelude::*;

    const ROW: &str = "2025-09-13 12:00:00,115974.11,116060.0,115872.82,116002.91,204.03439";
    const NEXT: &str = "2025-09-13 13:00:00,116002.91,116100.5,115900.0,116000.0,0.0";
    const NOON: i64 = 1_757_764_800_000;
    const HOUR: i64 = 3_600_000;

    fn read_as(text: &str, columns: Option<&str>) -> Result<(Vec<Candle>, Findings)> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("btcusdt_1h.csv");
        std::fs::write(&path, text).unwrap();
        let columns = columns.map(|text| text.parse().unwrap());
        read_candles(&path, Timeframe::H1, &Reading { columns, ..Reading::stored() })
    }

    fn read(text: &str) -> Result<(Vec<Candle>, Findings)> {
        read_as(text, None)
    }

    #[test]
    fn blank_lines_at_the_end_are_nothing() {
        for end in ["\n", "\r\n \r\n", "  ", "\n\n\n"] {
            let (candles, findings) = read(&format!("{}{end}", file(&[ROW, NEXT]))).unwrap();
            assert_eq!((candles.len(), findings.repaired()), (2, false), "{end:?}");
        }
        let error = read(&file(&[ROW, "", NEXT])).unwrap_err().to_string();
        assert!(error.contains("line 3"), "{error}");
    }

    fn file(rows: &[&str]) -> String {
        format!("{}\n{}\n", csv::HEADER, rows.join("\n"))
    }

    fn two() -> Vec<Candle> {
        vec![
            Candle {
                open_ms: NOON,
                open: 115974.11,
                high: 116060.0,
                low: 115872.82,
                close: 116002.91,
                volume: 204.03439,
            },
            Candle {
                open_ms: NOON + HOUR,
                open: 116002.91,
                high: 116100.5,
                low: 115900.0,
                close: 116000.0,
                volume: 0.0,
            },
        ]
    }

    #[test]
    fn the_old_systems_files_as_they_are() {
        let text = file(&[ROW, NEXT]);
        assert_eq!(read(&text).unwrap(), (two(), Findings::default()));
        assert_eq!(read(&text.replace('\n', "\r\n")).unwrap(), (two(), Findings::default()));
        assert_eq!(read(&format!("\u{feff}{text}")).unwrap(), (two(), Findings::default()));
        assert!(read(&file(&[])[..37]).unwrap().0.is_empty());
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.csv");
        write_csv(&path, &two()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn every_form_that_is_read_and_what_is_said_of_it() {
        let us = NOON * 1000;
        let binance = format!(
            "{NOON},115974.11000000,116060.00000000,115872.82000000,116002.91000000,204.03439000,{},1.0,2,1.0,1.0,0\n\
             {},116002.91,116100.5,115900,116000,0,{},1.0,2,1.0,1.0,0\n",
            NOON + HOUR - 1,
            us + HOUR * 1000,
            us + 2 * HOUR * 1000 - 1
        );
        let json = format!(
            "[[{NOON},\"115974.11\",116060,115872.82,116002.91,204.03439],[{},116002.91,116100.5,115900,116000,0]]",
            NOON + HOUR
        );
        let named = "date,close,High,low,\"open\",volume,ticker\n\
                     2025-09-13 14:00:00+02:00,116002.91,116060.0,115872.82,115974.11,204.03439,BTCUSDT\n\
                     2025-09-13T13:00:00Z,116000.0,116100.5,115900.0,116002.91,0.0,BTCUSDT\n";
        let cases = [
            (binance.as_str(), vec![(Cause::TimeUnit, 1), (Cause::NoHeader, 1), (Cause::IgnoredColumn, 5)]),
            (&json, vec![]),
            (named, vec![(Cause::Offset, 1), (Cause::IgnoredColumn, 1)]),
            (&file(&[NEXT, ROW, ROW]), vec![(Cause::Disorder, 2), (Cause::Duplicate, 1)]),
            (&format!("{}2025-09-13 14:00:00,1160", file(&[ROW, NEXT])), vec![(Cause::TornRow, 1)]),
        ];
        for (text, expected) in cases {
            let (candles, found) = read(text).unwrap();
            assert_eq!(candles, two(), "{text}");
            let found: Vec<_> = found.list().iter().map(|finding| (finding.cause, finding.count)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_column_order_is_never_guessed() {
        // Open, close, high, low: the second row cannot be true as open, high, low, close.
        let text = format!("{NOON},10,10,10,10,1\n{},10,12,13,9,1\n", NOON + HOUR);
        let error = read(&text).unwrap_err().to_string();
        for part in ["line 2: `low` must not be above", "--columns time,open,close,high,low,volume", "Bitfinex"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let (candles, found) = read_as(&text, Some("time,open,close,high,low,volume")).unwrap();
        let last = candles[1];
        assert_eq!((last.open, last.high, last.low, last.close), (10.0, 13.0, 9.0, 12.0));
        assert_eq!(found, Findings::default());

        assert!(read(&format!("{NOON},1,1,1,1\n")).unwrap_err().to_string().contains("say with `--columns`"));
        let two_times = "unix,date,timestamp,open,high,low,close,volume\n";
        assert!(read(two_times).unwrap_err().to_string().contains("two columns could be the `timestamp`: `timestamp`"));
        for columns in
            ["open,high,low,close,volume", "time,open,high,low,close", "time,open,open,high,low,close,volume"]
        {
            assert!(columns.parse::<Columns>().is_err(), "{columns}");
        }
    }

    #[test]
    fn what_cannot_be_true_is_named_with_line_and_count() {
        let unended = file(&[ROW, "2025-09-13 13:00:00,1,nan,1,1,1"]);
        let cases = [
            ("", "line 1: no column is named `timestamp`"),
            ("<html>\n", "line 1: no column"),
            (
                &file(&[ROW, NEXT, &NEXT.replace("116000.0,0.0", "116001.0,0.0"), &NEXT.replace("13:00", "14:00")]),
                "1 times have two candles that disagree, the first 2025-09-13T13:00:00.000Z with closes of 116000 and 116001",
            ),
            (&file(&["2025-02-30 11:00:00,1,1,1,1,1"]), "line 2: `timestamp` must be a time"),
            (&file(&["2025-09-13 25:00:00,1,1,1,1,1"]), "line 2: `timestamp` must be a time"),
            (&file(&["17577648,1,1,1,1,1"]), "line 2: `timestamp` must be a time"),
            (&file(&["2025-09-13 11:00:00,1,1,x,1,1"]), "line 2: `low` must be a number; got \"x\""),
            (
                &file(&["2025-09-13 11:00:00,1,1,2,1,1", ROW, "2025-09-13 11:00:00,1,1,2,1,1"]),
                "above open or close; got 2 (2 such rows)",
            ),
            (&file(&["2025-09-13 11:00:00,1,nan,1,1,1"]), "line 2: `high` must be a finite"),
            (&file(&["2025-09-13 11:00:00,1,1,1,1,-1"]), "line 2: `volume` must be finite"),
            (&file(&["2025-09-13 11:00:00,1,1,1,1"]), "line 2: a row has 6 fields"),
            (unended.trim_end(), "line 3: `high` must be"),
            (&file(&["", ROW]), "line 2: a row has 6 fields"),
            (&file(&[ROW, "2025-09-13 12:05:00,116002.91,116100.5,115900.0,116000.0,0.0"]), "no whole number of 1h"),
            (&file(&[ROW, "2025-09-13 13:00:00,1,1,1,1,1"]), "steps 116003-fold"),
            ("{\"code\":-1121}", "must be a JSON array"),
            ("[[1757764800000,1,1,1,1]]", "candle 0: `volume` must be a number"),
        ];
        for (text, problem) in cases {
            let error = read(text).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_CANDLE");
            let message = error.to_string();
            assert!(message.contains("btcusdt_1h.csv") && message.contains(problem), "{text}: {message}");
        }
        assert_eq!(
            read_candles(Path::new("none.csv"), Timeframe::H1, &Reading::default()).unwrap_err().code(),
            "ERR_IO"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            // At least two neighbours: ten hours of which no two are, are rightly taken for another interval.
            hours in prop::collection::btree_set(0..50i64, 26..40),
            numbers in prop::collection::vec((0.5..1.0f64, 0.0..1.0f64, 0.0..1e15f64), 40),
            scale in 1e-9..1e9f64,
        ) {
            let candles: Vec<_> = hours
                .into_iter()
                .zip(numbers)
                .map(|(hour, (low, spread, volume))| {
                    let (low, high) = (scale * low, scale * low * (1.0 + spread));
                    Candle { open_ms: time::MIN_MILLIS + hour * HOUR, open: low, high, low, close: high.min(low * 1.5), volume }
                })
                .collect();
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("x.csv");
            write_csv(&path, &candles).unwrap();
            let (read, found) = read_candles(&path, Timeframe::H1, &Reading::stored()).unwrap();
            prop_assert_eq!((read, found), (candles, Findings::default()));
        }

        #[test]
        fn no_text_brings_it_down(text in "\\PC{0,200}", lines in prop::collection::vec("[0-9.,:TZ+\\- nae]{0,40}", 0..10)) {
            for text in [text, file(&lines.iter().map(String::as_str).collect::<Vec<_>>()), lines.join("\n")] {
                if let Ok((candles, _)) = read(&text) {
                    crate::market::check_series(&candles).unwrap();
                }
            }
        }
    }
}
