//! Converting the fields of a row to a candle, after names and first rows have shown what each column holds.

use super::columns::Columns;
use super::findings::{Cause, Findings};
use super::kline::check_close;
use super::stamp::{self, DateOrder, Form, Stamp};
use domain::candle::Candle;
use domain::error::Error;
use domain::symbol::Timeframe;
use domain::time::{DAY_MS, HOUR_MS, format_iso};
use std::borrow::Cow;

/// Local time differs from UTC by at most this much.
const FARTHEST_ZONE_MS: i64 = 14 * HOUR_MS;
/// Relative tolerance when a volume in the quote asset is compared with price times volume.
const ROUNDING: f64 = 0.01;

/// What each column holds.
#[derive(Debug)]
pub struct Layout {
    names: Vec<String>,
    time: When,
    /// Columns that repeat the open time.
    agree: Vec<usize>,
    prices: [usize; 4],
    volume: Option<usize>,
    close_time: Option<usize>,
    closed: Option<usize>,
    /// `1.234,5` rather than `1,234.5`.
    decimal_comma: bool,
    dates: Option<DateOrder>,
}

#[derive(Debug, Clone, Copy)]
enum When {
    At(usize),
    DateAndClock(usize, usize),
}

/// A row read as a candle.
#[derive(Debug)]
pub struct Row {
    /// The candle.
    pub candle: Candle,
    /// The time has no offset.
    pub is_local: bool,
    /// The close time, if it has an offset; it is checked when the open time is known.
    pub close_ms: Option<i64>,
    /// The row says that the candle had not closed.
    pub is_open: bool,
    /// High or low were moved to include open and close.
    pub widened: bool,
}

impl Layout {
    /// The layout of these columns in a file whose first rows are `sample`. `may_have_commas`: commas in numbers do not separate
    /// columns.
    ///
    /// # Errors
    /// A description of an ambiguous column.
    pub fn of(columns: &Columns, sample: &[Vec<&str>], may_have_commas: bool) -> Result<Self, String> {
        let field = |row: &Vec<&str>, at: usize| row.get(at).copied().unwrap_or_default().to_owned();
        let decimal_comma =
            may_have_commas && sample.iter().any(|row| columns.prices.iter().any(|&at| field(row, at).contains(',')));
        let (time, agree) = when(columns, sample);
        Ok(Self {
            names: columns.names.clone(),
            time,
            agree,
            prices: columns.prices,
            volume: volume(columns, sample, decimal_comma)?,
            close_time: columns.close_time,
            closed: columns.closed,
            decimal_comma,
            dates: None,
        })
    }

    /// The layout with this order of day and month.
    pub fn dated(self, dates: Option<DateOrder>) -> Self {
        Self { dates, ..self }
    }

    /// The names of the columns that are not used.
    pub fn ignored(&self) -> Vec<&str> {
        let times = match self.time {
            When::At(at) => [Some(at), None],
            When::DateAndClock(date, clock) => [Some(date), Some(clock)],
        };
        let others = [self.volume, self.close_time, self.closed];
        let used: Vec<usize> = times.into_iter().chain(others).flatten().chain(self.prices).collect();
        (0..self.names.len()).filter(|at| !used.contains(at)).map(|at| self.names[at].as_str()).collect()
    }

    /// Whether there is a volume column.
    pub fn has_volume(&self) -> bool {
        self.volume.is_some()
    }

    /// The number of columns.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Whether the line of these fields ends before its last one, as after an interrupted write.
    pub fn breaks_off(&self, fields: &[&str]) -> bool {
        fields.len() < self.count() || fields.last().is_some_and(|last| last.is_empty())
    }

    /// The text of the open time.
    pub fn time_text<'a>(&self, fields: &[&'a str]) -> Cow<'a, str> {
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        match self.time {
            When::At(at) => Cow::Borrowed(field(at)),
            When::DateAndClock(date, clock) => Cow::Owned(format!("{} {}", field(date), field(clock))),
        }
    }

    /// Reads row number `index` as a candle. `widen`: moves a high or low inside the body to the body's edge.
    ///
    /// # Errors
    /// A description of what is wrong.
    pub fn row(
        &self,
        fields: &[&str],
        (index, widen): (usize, bool),
        timeframe: Timeframe,
        findings: &mut Findings,
    ) -> Result<Row, String> {
        let number = |at: usize, name: &str| number(fields[at], name, self.decimal_comma);
        let read = |text: &str| stamp::read(text, self.dates).ok_or_else(|| stamp::problem(text));
        let text = self.time_text(fields);
        let opened = read(&text)?;
        self.check_agreement(fields, opened)?;
        let [open, high, low, close] = self.prices;
        let given = Candle {
            open_ms: opened.ms,
            open: number(open, "open")?,
            high: number(high, "high")?,
            low: number(low, "low")?,
            close: number(close, "close")?,
            volume: self.volume.map_or(Ok(0.0), |at| number(at, "volume"))?,
        };
        let wide = if widen { given.widened() } else { given };
        let candle = wide.check(index).map_err(|error| plain_words(&error))?;
        let closed = self.close_time.map(|at| read(fields[at])).transpose()?;
        let close_ms = closed.filter(|closed| opened.is_local() && !closed.is_local()).map(|closed| closed.ms);
        if let Some(closed) = closed.filter(|_| close_ms.is_none()) {
            check_close(candle.open_ms, closed.ms, timeframe)?;
        }
        let is_open = match self.closed.map(|at| fields[at]) {
            None | Some("1" | "true") => false,
            Some("0" | "false") => true,
            Some(other) => return Err(format!("`confirm` must be 0 or 1; got {other:?}")),
        };
        findings.add(Cause::TimeUnit, usize::from(opened.form == Form::OtherUnit), || text.clone().into_owned());
        let has_offset = opened.form == Form::Absolute { offset: true };
        findings.add(Cause::Offset, usize::from(has_offset), || text.into_owned());
        Ok(Row { candle, is_local: opened.is_local(), close_ms, is_open, widened: candle != given })
    }

    fn check_agreement(&self, fields: &[&str], opened: Stamp) -> Result<(), String> {
        for &at in &self.agree {
            let Some(other) = stamp::read(fields[at], self.dates) else { continue };
            let zones = if other.is_local() || opened.is_local() { FARTHEST_ZONE_MS } else { 0 };
            let tolerance = if other.form == Form::Day { zones + DAY_MS } else { zones };
            if (other.ms - opened.ms).abs() > tolerance {
                return Err(format!(
                    "`{}` is {}, and another column says {}: name the one that is the open time `time`, and the other \
                     otherwise, with `--columns`",
                    self.names[at],
                    format_iso(other.ms),
                    format_iso(opened.ms)
                ));
            }
        }
        Ok(())
    }
}

/// The column of the open time, or those of date and time of day; and the columns that repeat it.
fn when(columns: &Columns, sample: &[Vec<&str>]) -> (When, Vec<usize>) {
    let field = |at: usize| sample.first().and_then(|row| row.get(at).copied()).unwrap_or_default();
    // Day and month may be in either order here.
    let kind = |at: usize| {
        stamp::read(field(at), Some(DateOrder::DayFirst)).or(stamp::read(field(at), Some(DateOrder::MonthFirst)))
    };
    let is_day = |at: usize| kind(at).is_some_and(|stamp| stamp.form == Form::Day);
    let clocks: Vec<usize> = columns.times.iter().copied().filter(|at| stamp::is_clock(field(*at))).collect();
    let days: Vec<usize> = columns.times.iter().copied().filter(|at| is_day(*at)).collect();
    if let (&[clock], &[day]) = (clocks.as_slice(), days.as_slice())
        && columns.times.len() == 2
    {
        return (When::DateAndClock(day, clock), Vec::new());
    }
    // Prefers the most precise column: a number, then an absolute time, a local time, a day.
    let rank = |at: usize| match kind(at).map(|stamp| stamp.form) {
        Some(Form::Millis | Form::OtherUnit) => 0,
        Some(Form::Absolute { .. }) => 1,
        Some(Form::Local) => 2,
        Some(Form::Day) => 3,
        None => 4,
    };
    let best = columns.times.iter().copied().min_by_key(|&at| rank(at)).unwrap_or_default();
    (When::At(best), columns.times.iter().copied().filter(|&at| at != best && rank(at) < 4).collect())
}

/// The column of the volume in the base asset. Of several columns it is the one that, times the price, gives another.
fn volume(columns: &Columns, sample: &[Vec<&str>], comma: bool) -> Result<Option<usize>, String> {
    let name = |at: usize| columns.names[at].as_str();
    let ask = || {
        let names: Vec<&str> = columns.volumes.iter().map(|at| name(*at)).collect();
        format!(
            "which column is the volume in the base asset, of `{}`? Name it `volume`, and the others otherwise, with \
             `--columns` (such as `--columns time,open,high,low,close,volume,turnover`)",
            names.join("`, `")
        )
    };
    let plain = |at: usize| ["v", "vol"].contains(&name(at).trim_matches(['<', '>']).to_lowercase().as_str());
    match columns.volumes.as_slice() {
        [] => return Ok(None),
        [one] if super::columns::role(name(*one)) == Some(super::columns::Role::Volume) || plain(*one) => {
            return Ok(Some(*one));
        }
        _ => {}
    }
    let value = |row: &[&str], at: usize| number(row.get(at).copied().unwrap_or_default(), "", comma).ok();
    let [_, high, low, _] = columns.prices;
    let is_price = |row: &[&str], base: usize, quote: usize| -> Option<bool> {
        let (base, quote) = (value(row, base)?, value(row, quote)?);
        let (high, low) = (value(row, high)?, value(row, low)?);
        let price = quote / base;
        let fits = price >= low * (1.0 - ROUNDING) && price <= high * (1.0 + ROUNDING);
        (base > 0.0 && quote > 0.0).then_some(fits)
    };
    let fits = |base: usize, quote: usize| {
        let verdicts: Vec<bool> = sample.iter().filter_map(|row| is_price(row, base, quote)).collect();
        !verdicts.is_empty() && verdicts.iter().all(|fits| *fits)
    };
    let others = |base: usize| columns.volumes.iter().copied().filter(move |&quote| quote != base);
    let bases: Vec<usize> =
        columns.volumes.iter().copied().filter(|&base| others(base).any(|quote| fits(base, quote))).collect();
    match bases.as_slice() {
        [base] => Ok(Some(*base)),
        _ if sample.is_empty() => Ok(columns.volumes.first().copied()),
        _ => Err(ask()),
    }
}

/// Parses a number with a decimal point or comma. Grouping characters are accepted if unambiguous.
fn number(text: &str, name: &str, decimal_comma: bool) -> Result<f64, String> {
    let wrong = || format!("`{name}` must be a number; got {text:?}");
    let (point, group) = if decimal_comma { (',', '.') } else { ('.', ',') };
    if !decimal_comma && !text.contains(',') {
        return text.trim().parse().map_err(|_| wrong());
    }
    let text = text.trim();
    let (whole, decimals) = text.split_once(point).map_or((text, None), |(whole, decimals)| (whole, Some(decimals)));
    let groups: Vec<&str> = whole.split(group).collect();
    let grouped = groups.len() > 1;
    let well = groups.iter().skip(1).all(|group| group.len() == 3) && groups[0].len() <= 4;
    // `1.234` alone is ambiguous.
    if grouped && (!well || (decimals.is_none() && groups.len() == 2)) {
        return Err(format!(
            "`{name}` must be a number; in {text:?}, does {group:?} group thousands or begin the decimals?"
        ));
    }
    if whole.is_empty() {
        return Err(wrong());
    }
    let plain = format!("{}.{}", groups.concat(), decimals.unwrap_or("0"));
    plain.parse().map_err(|_| wrong())
}

/// An error of a candle without its position, which the caller adds.
pub fn plain_words(error: &Error) -> String {
    match error {
        Error::InvalidCandle { field, problem, value, .. } => format!("`{field}` {problem}; got {value}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_points_and_commas() {
        for (text, comma, value) in [
            ("42150.25", false, Some(42150.25)),
            ("42,150.25", false, Some(42150.25)),
            ("1,042,150", false, Some(1_042_150.0)),
            ("42,150", false, None),
            ("42150,25", true, Some(42150.25)),
            ("42.150,25", true, Some(42150.25)),
            ("42150", true, Some(42150.0)),
            ("42.150", true, None),
            ("1,2,3", true, None),
            ("4,2150.25", false, None),
            ("", true, None),
        ] {
            assert_eq!(number(text, "open", comma).ok(), value, "{text} {comma}");
        }
    }

    fn layout(columns: &str, rows: &[&str]) -> Result<Layout, String> {
        let sample: Vec<Vec<&str>> = rows.iter().map(|row| row.split(',').collect()).collect();
        Layout::of(&columns.parse().unwrap(), &sample, false)
    }

    #[test]
    fn of_two_volumes_the_price_tells_which_is_in_the_base_asset() {
        let columns = "unix,date,symbol,open,high,low,close,Volume ETH,Volume BTC,tradecount";
        let row = |base: f64, quote: f64| {
            format!("1700000000,2023-11-14 22:13:20,ETH/BTC,0.05,0.06,0.04,0.05,{base},{quote},7")
        };
        let rows = [row(10.0, 0.5), row(20.0, 1.1)];
        let found = layout(columns, &[&rows[0], &rows[1]]).unwrap();
        assert_eq!((found.volume, found.ignored()), (Some(7), vec!["date", "symbol", "Volume BTC", "tradecount"]));
        let swapped = [row(0.5, 10.0)];
        assert_eq!(layout(columns, &[&swapped[0]]).unwrap().volume, Some(8));
        let neither = [row(1.0, 700.0)];
        let problem = layout(columns, &[&neither[0]]).unwrap_err();
        assert!(problem.contains("`Volume ETH`, `Volume BTC`") && problem.contains("--columns"), "{problem}");
        assert!(layout("time,open,high,low,close,amount", &["1700000000,1,1,1,1,1"]).is_err());
    }
}
