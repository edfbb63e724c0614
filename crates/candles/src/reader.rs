//! Reading candle files in common forms: CSV with or without a header, in any order of columns that is named, and JSON.
//! `docs/data.md` explains each form. Every guess is reported.

use super::columns::Columns;
use super::csv;
use super::findings::{Cause, Findings};
use super::json::Document;
use super::layout::{Layout, Row};
use super::local::LocalRows;
use super::origin::Origin;
use super::series::{RunEnds, check_steps, settle};
use super::stamp::{self, DateOrder};
use super::table::{Table, split};
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::Timeframe;
use domain::time;
use domain::time::Tz;
use std::path::Path;
use std::str::FromStr;
use storage::lines::read_text;

/// The largest candle file in bytes: 40 years of 1m.
const LONGEST_FILE: u64 = 2 << 30;
/// Number of invalid rows after which reading stops, since the file is clearly of another kind.
const MOST_BAD: usize = 1000;
/// Number of first rows used to find out what the columns hold.
const SAMPLE: usize = 200;
/// Number of invalid rows described in an error; for the others only their lines are given.
const TOLD: usize = 3;

/// How to treat invalid rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadRows {
    /// `refuse`: reject the file.
    #[default]
    Refuse,
    /// `skip`: drop them.
    Skip,
    /// `widen`: move a high or low inside the body to the body's edge; reject any other.
    Widen,
}

impl FromStr for BadRows {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "skip" => Ok(Self::Skip),
            "widen" => Ok(Self::Widen),
            _ => Err("must be refuse, skip or widen".to_owned()),
        }
    }
}

/// How to read a candle file. `Default` reads it as it stands.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The columns, or the members of JSON objects in their order. Default: as the header or the members say; without either, the
    /// order of Binance's files, if the rows are valid in that order.
    pub columns: Option<Columns>,
    /// The exchange whose answer or archive it is, which determines the wrapping and the order of columns.
    pub from: Option<Origin>,
    /// Drop candles that open before this time, UTC epoch ms. Default: none.
    pub since_ms: Option<i64>,
    /// The zone of times without an offset. Default: UTC, which is reported.
    pub timezone: Option<Tz>,
    /// The order of day and month in dates such as 1/2/2024. Default: inferred from the dates.
    pub dates: Option<DateOrder>,
    /// How to treat invalid rows.
    pub bad_rows: BadRows,
}

impl Reading {
    /// For files of the home, whose times are UTC.
    pub fn stored() -> Self {
        Self { timezone: Some(Tz::UTC), ..Self::default() }
    }
}

/// Reads a candle file as a series: ascending, each time once. Also returns what had to be changed.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadCandle`], with file, line and number of such rows, for invalid rows, for different candles of the
/// same time, for a wrong interval, and for a price jump that suggests another coin.
pub fn read_candles(path: &Path, timeframe: Timeframe, reading: &Reading) -> Result<(Vec<Candle>, Findings)> {
    let bad =
        |place: String, problem: String| Error::BadCandle { place: format!("{}{place}", path.display()), problem };
    let whole = |problem: String| bad(String::new(), problem);
    let text = read_text(path, LONGEST_FILE, whole)?;
    let text = text.trim_start_matches('\u{feff}');
    let is_json = text.trim_start().starts_with(['[', '{']);
    let read = if is_json { read_json } else { read_table };
    let (mut rows, mut findings) = read(text, timeframe, reading).map_err(|(at, problem)| match (at, is_json) {
        (None, _) => whole(problem),
        (Some(at), true) => whole(format!("candle {at}: {problem}")),
        (Some(line), false) => bad(format!(" line {line}"), problem),
    })?;
    rows.retain(|candle| reading.since_ms.is_none_or(|since_ms| candle.open_ms >= since_ms));
    let (candles, settled) = settle(rows, RunEnds::Unsure).map_err(whole)?;
    findings.merge(settled);
    check_steps(&candles, timeframe).map_err(|(index, problem)| {
        bad(format!(", candle of {}", time::format_iso(candles[index].open_ms)), problem)
    })?;
    Ok((candles, findings))
}

/// The line or array position of a problem (`None` for the whole file), and a description.
type Problem = (Option<usize>, String);
type Rows = std::result::Result<(Vec<Candle>, Findings), Problem>;

fn whole<T>(result: std::result::Result<T, String>) -> std::result::Result<T, Problem> {
    result.map_err(|problem| (None, problem))
}

fn at<T>(result: std::result::Result<T, (usize, String)>) -> std::result::Result<T, Problem> {
    result.map_err(|(at, problem)| (Some(at), problem))
}

fn read_json(text: &str, timeframe: Timeframe, reading: &Reading) -> Rows {
    let mut findings = Findings::default();
    let document = whole(Document::read(text, reading, &mut findings))?;
    let sample: Vec<Vec<String>> = (0..document.len().min(SAMPLE)).map(|at| document.fields(at)).collect();
    let borrowed: Vec<Vec<&str>> = sample.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    let layout = whole(Layout::of(&document.columns, &borrowed, false))?;
    let time = |at: usize| {
        let fields = document.fields(at);
        layout.time_text(&fields.iter().map(String::as_str).collect::<Vec<_>>()).into_owned()
    };
    let dates = dates((0..document.len()).map(time), timeframe, reading)?;
    let mut taking = Taking::new("candle", layout.dated(dates), timeframe, reading, findings);
    taking.tell_ignored(document.is_named);
    for at in 0..document.len() {
        let fields = document.fields(at);
        taking.take(at, &fields.iter().map(String::as_str).collect::<Vec<_>>());
        if taking.is_of_another_kind() {
            break;
        }
    }
    taking.finish(|| None)
}

fn read_table(text: &str, timeframe: Timeframe, reading: &Reading) -> Rows {
    let mut findings = Findings::default();
    let table = at(Table::of(text, reading.columns.as_ref(), reading.from, &mut findings))?;
    let fields = |line| split(line, table.separator).collect::<Vec<&str>>();
    let rows = || text.lines().skip(table.first).filter(|line| !line.trim().is_empty());
    let sample: Vec<Vec<&str>> = rows().take(SAMPLE).map(fields).collect();
    let layout = whole(Layout::of(&table.columns, &sample, table.separator != ','))?;
    let is_plain = table.has_header && reading.columns.is_none() && text.lines().next() == Some(csv::HEADER);
    let dates = dates(rows().map(|line| layout.time_text(&fields(line)).into_owned()), timeframe, reading)?;
    let mut taking = Taking::new("line", layout.dated(dates), timeframe, reading, findings);
    taking.tell_ignored(true);
    let mut lines = text.lines().enumerate().skip(table.first).peekable();
    while let Some((index, line)) = lines.next() {
        if line.trim().is_empty() && lines.clone().all(|(_, line)| line.trim().is_empty()) {
            break;
        }
        if is_plain && let Some(candle) = csv::plain_row(line.as_bytes()).and_then(|row| row.check(index).ok()) {
            taking.keep(index + 1, Row { candle, is_local: true, close_ms: None, is_open: false, widened: false });
            continue;
        }
        let fields = fields(line);
        let torn = lines.peek().is_none() && !text.ends_with('\n') && taking.layout.breaks_off(&fields);
        if !taking.take(index + 1, &fields) && torn {
            taking.tear(line);
        }
        if taking.is_of_another_kind() {
            break;
        }
    }
    taking.finish(|| if table.has_header { None } else { other_order(text, table.separator) })
}

/// The order of day and month, if the dates depend on it.
fn dates(
    mut times: impl Iterator<Item = String> + Clone,
    timeframe: Timeframe,
    reading: &Reading,
) -> std::result::Result<Option<DateOrder>, Problem> {
    if reading.dates.is_some() || !times.clone().take(SAMPLE).any(|time| stamp::is_of_two_numbers(&time)) {
        return Ok(reading.dates);
    }
    let times: Vec<String> = times.by_ref().collect();
    whole(stamp::order(times.iter().map(String::as_str), timeframe.millis()))
}

/// The rows of a file while they are read.
struct Taking<'a> {
    /// What a position is called: `line`, or the like.
    place: &'static str,
    layout: Layout,
    timeframe: Timeframe,
    reading: &'a Reading,
    findings: Findings,
    rows: Vec<Candle>,
    local: LocalRows,
    bad: Vec<(usize, String)>,
    /// Positions of widened rows.
    widened: Vec<usize>,
}

impl<'a> Taking<'a> {
    fn new(
        place: &'static str,
        layout: Layout,
        timeframe: Timeframe,
        reading: &'a Reading,
        findings: Findings,
    ) -> Self {
        let (rows, bad, widened) = Default::default();
        Self { place, layout, timeframe, reading, findings, rows, local: LocalRows::default(), bad, widened }
    }

    fn tell_ignored(&mut self, tell: bool) {
        let ignored = self.layout.ignored();
        self.findings.add(Cause::IgnoredColumn, if tell { ignored.len() } else { 0 }, || ignored.join(", "));
    }

    /// Adds a row; `false` if it is invalid.
    fn take(&mut self, at: usize, fields: &[&str]) -> bool {
        let count = self.layout.count();
        let fields = match fields {
            [all @ .., ""] if all.len() == count => all,
            all => all,
        };
        let widen = self.reading.bad_rows == BadRows::Widen;
        let row = match fields.len() == count {
            true => self.layout.row(fields, (at, widen), self.timeframe, &mut self.findings),
            false => Err(format!("a row has {count} fields; got {:?}", fields.join(","))),
        };
        match row {
            Ok(row) => self.keep(at, row),
            Err(problem) => {
                self.bad.push((at, problem));
                return false;
            }
        }
        true
    }

    fn keep(&mut self, at: usize, row: Row) {
        if row.is_open {
            return self.findings.add(Cause::StillOpen, 1, || time::format_iso(row.candle.open_ms));
        }
        if row.is_local {
            self.local.add(self.rows.len(), at, row.close_ms);
        }
        if row.widened {
            self.widened.push(at);
        }
        self.rows.push(row.candle);
    }

    /// Treats the last invalid row as an incomplete last line.
    fn tear(&mut self, line: &str) {
        self.bad.pop();
        self.findings.add(Cause::TornRow, 1, || line.chars().take(60).collect());
    }

    fn is_of_another_kind(&self) -> bool {
        self.bad.len() >= MOST_BAD
    }

    /// Returns the rows, or an error if some are invalid; `hint` may name the likely reason.
    fn finish(mut self, hint: impl Fn() -> Option<String>) -> Rows {
        let odd = self.bad.len() + self.widened.len();
        if let Some((line, problem)) = self.bad.first()
            && (self.reading.bad_rows != BadRows::Skip || 2 * odd > self.rows.len() + self.bad.len())
        {
            let more = match self.bad.len() {
                1 => String::new(),
                MOST_BAD.. => format!(" ({MOST_BAD} such rows, no more were read)"),
                count => format!(" ({count} such rows)"),
            };
            return Err((Some(*line), format!("{problem}{more}{}", hint().unwrap_or_default())));
        }
        if let Some(line) = self.widened.first().filter(|_| 2 * odd > self.rows.len()) {
            let more = self.widened.len();
            let problem = format!("high or low lie inside the body ({more} such rows, too many to be isolated errors)");
            return Err((Some(*line), format!("{problem}{}", hint().unwrap_or_default())));
        }
        self.findings.add(Cause::BadRow, self.bad.len(), || told(self.place, &self.bad));
        self.findings.add(Cause::Widened, self.widened.len(), || places(self.place, &self.widened));
        let lacking = if self.layout.has_volume() { 0 } else { self.rows.len() };
        self.findings.add(Cause::NoVolume, lacking, || "no column of volume".to_owned());
        at(self.local.settle(self.reading.timezone, &mut self.rows, self.timeframe, &mut self.findings))?;
        Ok((self.rows, self.findings))
    }
}

/// Describes some invalid rows, and lists the positions of the others.
fn told(place: &str, bad: &[(usize, String)]) -> String {
    let words = bad.iter().take(TOLD).map(|(at, problem)| format!("{place} {at}: {problem}"));
    let others: Vec<usize> = bad.iter().skip(TOLD).map(|(at, _)| *at).collect();
    let rest = (!others.is_empty()).then(|| places(place, &others));
    words.chain(rest).collect::<Vec<_>>().join("; ")
}

fn places(place: &str, numbers: &[usize]) -> String {
    let all: Vec<String> = numbers.iter().map(usize::to_string).collect();
    format!("{place}{} {}", if all.len() == 1 { "" } else { "s" }, all.join(", "))
}

/// A hint for a file without a header whose rows are valid only in another order of columns.
fn other_order(text: &str, separator: char) -> Option<String> {
    let fits = |order: [usize; 4], line: &str| {
        let fields: Vec<&str> = split(line, separator).collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let [open, high, low, close] = order.map(|at| number(at).unwrap_or(f64::NAN));
        high >= open.max(close) && low <= open.min(close)
    };
    let orders = [
        ([1, 3, 4, 2], "time,open,close,high,low,volume", "Bitfinex and KuCoin"),
        ([3, 2, 1, 4], "time,low,high,open,close,volume", "Coinbase"),
    ];
    let (_, names, whose) = orders.into_iter().find(|(order, ..)| text.lines().all(|line| fits(*order, line)))?;
    Some(format!("; all rows would be true with `--columns {names}`, the order of {whose}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_csv;
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
        // Open, close, high, low: the second row is invalid as open, high, low, close.
        let text = format!("{NOON},10,10,10,10,1\n{},10,12,13,9,1\n", NOON + HOUR);
        let error = read(&text).unwrap_err().to_string();
        for part in ["line 2: `low` must not be above", "--columns time,open,close,high,low,volume", "Bitfinex"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let (candles, found) = read_as(&text, Some("time,open,close,high,low,volume")).unwrap();
        let last = candles[1];
        assert_eq!((last.open, last.high, last.low, last.close), (10.0, 13.0, 9.0, 12.0));
        assert_eq!(found, Findings::default());

        assert!(
            read(&format!("{NOON},1,1,1,1,1,1,1\n"))
                .unwrap_err()
                .to_string()
                .contains("name the columns, such as `--columns")
        );
        let two_times = format!("unix,date,open,high,low,close,volume\n{NOON},2025-09-11 12:00:00,1,1,1,1,1\n");
        let error = read(&two_times).unwrap_err().to_string();
        assert!(error.contains("`date` is 2025-09-11T12:00:00.000Z, and another column says 2025-09-13"), "{error}");
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
            ("[[1757764800000,1,1,1]]", "candle 0: a row has 6 columns"),
            ("[[1757764800000,1,1,1,1,\"x\"]]", "candle 0: `volume` must be a number"),
            ("[[1757764800000,1,1,1,1,1,1,1]]", "a row has 8 columns: which of them is the volume?"),
            (
                "[{\"when\":1757764800000,\"open\":1,\"high\":1,\"low\":1,\"close\":1,\"volume\":1}]",
                "no column is named `timestamp`",
            ),
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
            // At least two neighbours: without any, ten hours look like another interval.
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
                    domain::candle::check_series(&candles).unwrap();
                }
            }
        }
    }
}
