//! Times in candle files: numbers since 1970, ISO 8601, and dates from spreadsheets, terminals and old archives.

use super::kline::epoch_ms;
use chrono::NaiveDate;
use domain::time::{self, HOUR_MS, MAX_MILLIS, MIN_MILLIS, Tz};
use std::str::FromStr;

/// Which of two numbers is the day in a date such as `1/2/2024`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// `dmy`: 1 February.
    DayFirst,
    /// `mdy`: 2 January.
    MonthFirst,
}

impl FromStr for DateOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dmy" => Ok(Self::DayFirst),
            "mdy" => Ok(Self::MonthFirst),
            _ => Err("must be dmy, where 1/2/2024 is 1 February, or mdy, where it is 2 January".to_owned()),
        }
    }
}

/// A parsed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// UTC epoch ms; a time without an offset is given as if it were UTC.
    pub ms: i64,
    /// How it was written.
    pub form: Form,
}

/// How a time was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A number of milliseconds.
    Millis,
    /// A number in another unit.
    OtherUnit,
    /// A text with an offset; whether that differs from zero.
    Absolute { offset: bool },
    /// A text without an offset.
    Local,
    /// A text without an offset and without a time of day.
    Day,
}

impl Stamp {
    /// Whether it has no offset.
    pub fn is_local(self) -> bool {
        matches!(self.form, Form::Local | Form::Day)
    }
}

/// Parses a time. `order` applies to dates whose first two numbers may be day and month; without it, such a date is read only if
/// unambiguous.
pub fn read(text: &str, order: Option<DateOrder>) -> Option<Stamp> {
    let text = text.trim();
    if text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && !text.contains("..")
        && text.bytes().filter(|byte| *byte == b'.').count() < 2
    {
        return of_number(text);
    }
    if let Some(ms) = time::parse_time(text, Tz::UTC) {
        // The part after the date.
        let tail = text.get(10..).unwrap_or_default();
        let zone = tail.find(['+', '-', 'Z', 'z']).map(|at| &tail[at..]);
        let form = match zone {
            Some(zone) => Form::Absolute { offset: zone.contains(|c: char| ('1'..='9').contains(&c)) },
            None if tail.is_empty() => Form::Day,
            None => Form::Local,
        };
        return Some(Stamp { ms, form });
    }
    of_text(text, order)
}

/// The error for a text that [`read`] cannot parse.
pub fn problem(text: &str) -> String {
    let why = match text.trim().split_once(['e', 'E']) {
        Some((number, power)) if number.parse::<f64>().is_ok() && power.parse::<i32>().is_ok() => {
            ": a spreadsheet wrote it in scientific notation and lost its digits"
        }
        _ => "",
    };
    format!("`timestamp` must be a time such as 2025-09-13 12:00:00; got {text:?}{why}")
}

/// Whether the text is only a time of day.
pub fn is_clock(text: &str) -> bool {
    let digits = text.trim().len() >= 4 && text.trim().bytes().all(|byte| byte.is_ascii_digit());
    !digits && clock(text.trim()).is_some()
}

/// Parses `20240102`, `20240102170000`, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970, possibly
/// with decimals.
fn of_number(text: &str) -> Option<Stamp> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.is_empty() && matches!(whole.len(), 8 | 14) && matches!(&whole[..2], "19" | "20") {
        let (date, clock) = whole.split_at(8);
        let ms = compact_date(date)? + if clock.is_empty() { 0 } else { compact_clock(clock)? };
        let form = if clock.is_empty() { Form::Day } else { Form::Local };
        return in_range(Stamp { ms, form });
    }
    let number: i64 = whole.parse().ok()?;
    let (ms, other_unit) = epoch_ms(number)?;
    // In units finer than seconds, decimals are below a millisecond and dropped.
    let rest_ms = if ms == number.saturating_mul(1000) {
        let thousandths = format!("{decimals:0<3}");
        thousandths.get(..3)?.parse::<i64>().ok()?
    } else {
        0
    };
    let form = if other_unit { Form::OtherUnit } else { Form::Millis };
    in_range(Stamp { ms: ms + rest_ms, form })
}

fn in_range(stamp: Stamp) -> Option<Stamp> {
    Some(stamp).filter(|stamp| (MIN_MILLIS..=MAX_MILLIS).contains(&stamp.ms))
}

/// Parses a date, optionally with time of day and zone: `2024.01.02 00:00`, `20240102 170000`, `2020-07-01 01-PM`, `1/2/2024 1:00
/// PM`, `02-Jan-2024 13:00`, `01.02.2024 00:00:00.000 GMT+0100`.
fn of_text(text: &str, order: Option<DateOrder>) -> Option<Stamp> {
    let (text, offset_ms) = zone(text);
    let cut = text.find([' ', 'T']).filter(|at| text[..*at].contains(|c: char| c.is_ascii_digit()));
    let (date, rest) = cut.map_or((text, ""), |at| (&text[..at], text[at + 1..].trim()));
    let day = day(date, order)?;
    let clock = match rest {
        "" => None,
        rest => Some(clock(rest).or_else(|| compact_clock(rest))?),
    };
    let form = match (offset_ms, clock) {
        (Some(offset_ms), _) => Form::Absolute { offset: offset_ms != 0 },
        (None, Some(_)) => Form::Local,
        (None, None) => Form::Day,
    };
    in_range(Stamp { ms: day + clock.unwrap_or(0) - offset_ms.unwrap_or(0), form })
}

/// Splits `Z`, ` UTC`, ` GMT`, `+01:00` or `GMT+0100` off the end.
fn zone(text: &str) -> (&str, Option<i64>) {
    for name in ["UTC", "GMT", "Z"] {
        if let Some(rest) = text.strip_suffix(name) {
            return (rest.trim_end(), Some(0));
        }
    }
    // A minus also occurs in dates and before AM; an offset follows a colon.
    let after = text.rfind(':').map_or(text.len(), |at| at + 1);
    let signed = text[..after].rfind(['+', '-']).filter(|at| text[..*at].contains(':'));
    let signed = signed.or_else(|| text[after..].rfind(['+', '-']).map(|at| after + at));
    let Some(at) = signed else { return (text, None) };
    let digits = text[at + 1..].replace(':', "");
    let Some(offset) = digits.parse::<i64>().ok().filter(|_| digits.len() == 4 || digits.len() == 2) else {
        return (text, None);
    };
    let minutes = if digits.len() == 4 { offset / 100 * 60 + offset % 100 } else { 60 * offset };
    let sign = if text.as_bytes()[at] == b'-' { -1 } else { 1 };
    let rest = text[..at].trim_end();
    let rest = rest.strip_suffix("GMT").or_else(|| rest.strip_suffix("UTC")).unwrap_or(rest);
    (rest.trim_end(), Some(sign * minutes * 60_000))
}

/// Midnight of a date.
fn day(text: &str, order: Option<DateOrder>) -> Option<i64> {
    let Some((first, second, third)) = three(text) else { return compact_date(text) };
    let number = |text: &str| text.parse::<u32>().ok();
    if first.len() == 4 {
        return midnight(number(first)?, number(second)?, number(third)?);
    }
    let year = number(third).filter(|_| third.len() == 4)?;
    if let Some(month) = month(second) {
        return midnight(year, month, number(first)?);
    }
    let (a, b) = (number(first)?, number(second)?);
    let order = order.or(match (a > 12, b > 12) {
        (true, false) => Some(DateOrder::DayFirst),
        (false, true) => Some(DateOrder::MonthFirst),
        _ => (a == b).then_some(DateOrder::DayFirst),
    })?;
    match order {
        DateOrder::DayFirst => midnight(year, b, a),
        DateOrder::MonthFirst => midnight(year, a, b),
    }
}

fn three(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.split(['-', '/', '.']);
    let three = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(three)
}

fn month(name: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let short = name.get(..3)?.to_lowercase();
    MONTHS.iter().position(|month| *month == short).map(|at| at as u32 + 1)
}

fn compact_date(text: &str) -> Option<i64> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    digits.then(|| midnight(part(0..4)?, part(4..6)?, part(6..8)?))?
}

fn midnight(year: u32, month: u32, day: u32) -> Option<i64> {
    Some(NaiveDate::from_ymd_opt(year as i32, month, day)?.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

/// `170000` or `1700` as milliseconds of the day.
fn compact_clock(text: &str) -> Option<i64> {
    let digits = matches!(text.len(), 4 | 6) && text.bytes().all(|byte| byte.is_ascii_digit());
    let part = |range: std::ops::Range<usize>| text.get(range).map_or(Some(0), |part| part.parse::<i64>().ok());
    digits.then(|| of_day(part(0..2)?, part(2..4)?, part(4..6)?, 0))?
}

/// `13:00`, `13:00:00.000`, `1:00 PM`, `01-PM` as milliseconds of the day.
fn clock(text: &str) -> Option<i64> {
    let upper = text.to_uppercase();
    let (digits, noon) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(rest), _) => (rest, Some(0)),
        (_, Some(rest)) => (rest, Some(12)),
        _ => (upper.as_str(), None),
    };
    let digits = digits.trim_end_matches([' ', '-']);
    let mut parts = digits.split(':');
    let hour: i64 = parts.next()?.parse().ok()?;
    let minute = match (parts.next(), noon) {
        (Some(minute), _) => minute.parse().ok()?,
        (None, Some(_)) => 0,
        (None, None) => return None,
    };
    let (second, milli) = match parts.next() {
        None => (0, 0),
        Some(text) => {
            let (second, fraction) = text.split_once('.').unwrap_or((text, ""));
            (second.parse().ok()?, format!("{fraction:0<3}").get(..3)?.parse().ok()?)
        }
    };
    let hour = match noon {
        None => hour,
        Some(noon) if (1..=12).contains(&hour) => hour % 12 + noon,
        Some(_) => return None,
    };
    if parts.next().is_some() { None } else { of_day(hour, minute, second, milli) }
}

fn of_day(hour: i64, minute: i64, second: i64, milli: i64) -> Option<i64> {
    let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second) && milli >= 0;
    fits.then(|| hour * HOUR_MS + (minute * 60 + second) * 1000 + milli)
}

/// Whether the text is a date whose first two numbers may be day and month.
pub fn is_of_two_numbers(text: &str) -> bool {
    two_numbers(text).is_some()
}

/// The date and its first two numbers.
fn two_numbers(text: &str) -> Option<(&str, u32, u32)> {
    let date = text.trim().split([' ', 'T']).next().unwrap_or_default();
    let (first, second, year) = three(date).filter(|(_, _, year)| year.len() == 4)?;
    year.parse::<u32>().ok()?;
    Some((date, first.parse().ok()?, second.parse().ok()?))
}

/// The order of day and month in a column. `None` if no date is ambiguous, or none has two numbers and a year. If no number above
/// 12 decides, neighbours do: in the right order, more of them are one interval apart.
///
/// # Errors
/// A description: the dates contradict each other, or both orders are possible.
pub fn order<'a>(cells: impl Iterator<Item = &'a str> + Clone, step_ms: i64) -> Result<Option<DateOrder>, String> {
    let (mut day_first, mut month_first, mut unsure) = (None, None, None);
    for cell in cells.clone() {
        let Some((date, a, b)) = two_numbers(cell) else { continue };
        match (a > 12, b > 12) {
            (true, false) => day_first = day_first.or(Some(date)),
            (false, true) => month_first = month_first.or(Some(date)),
            _ if a != b => unsure = unsure.or(Some(date)),
            _ => {}
        }
    }
    match (day_first, month_first, unsure) {
        (Some(one), Some(other), _) => {
            Err(format!("dates are written in two orders, {one} and {other}: which is the day?"))
        }
        (Some(_), None, _) => Ok(Some(DateOrder::DayFirst)),
        (None, Some(_), _) => Ok(Some(DateOrder::MonthFirst)),
        (None, None, None) => Ok(None),
        (None, None, Some(date)) => {
            let neighbours = |order| {
                let mut last = None;
                let near = |cell: &str| {
                    let now = read(cell, Some(order)).map(|stamp| stamp.ms);
                    let before = std::mem::replace(&mut last, now);
                    now.zip(before).is_some_and(|(now, before)| (now - before).abs() == step_ms)
                };
                cells.clone().map(near).filter(|near| *near).count()
            };
            match neighbours(DateOrder::DayFirst).cmp(&neighbours(DateOrder::MonthFirst)) {
                std::cmp::Ordering::Greater => Ok(Some(DateOrder::DayFirst)),
                std::cmp::Ordering::Less => Ok(Some(DateOrder::MonthFirst)),
                std::cmp::Ordering::Equal => Err(format!(
                    "which is the day in {date}? Say `--dates dmy`, day first, or `--dates mdy`, month first"
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::format_iso;

    fn shown(text: &str, order: Option<DateOrder>) -> Option<(String, Form)> {
        read(text, order).map(|stamp| (format_iso(stamp.ms)[..19].to_owned(), stamp.form))
    }

    #[test]
    fn times_as_files_write_them() {
        let (day, absolute) = (Form::Day, |offset| Form::Absolute { offset });
        let cases = [
            ("1700000000", "2023-11-14T22:13:20", Form::OtherUnit),
            ("1700000000.0", "2023-11-14T22:13:20", Form::OtherUnit),
            ("1700000000000.0", "2023-11-14T22:13:20", Form::Millis),
            ("1700000000000000", "2023-11-14T22:13:20", Form::OtherUnit),
            ("20240102", "2024-01-02T00:00:00", day),
            ("20240102170000", "2024-01-02T17:00:00", Form::Local),
            ("20240102 170000", "2024-01-02T17:00:00", Form::Local),
            ("2024.01.02", "2024-01-02T00:00:00", day),
            ("2024.01.02 17:00", "2024-01-02T17:00:00", Form::Local),
            ("2024/01/02 17:00:30", "2024-01-02T17:00:30", Form::Local),
            ("2020-07-01 01-PM", "2020-07-01T13:00:00", Form::Local),
            ("2020-07-01 12-AM", "2020-07-01T00:00:00", Form::Local),
            ("13/2/2024 1:00 PM", "2024-02-13T13:00:00", Form::Local),
            ("2/13/2024 12:30:00 pm", "2024-02-13T12:30:00", Form::Local),
            ("02-Jan-2024 13:00", "2024-01-02T13:00:00", Form::Local),
            ("2024-01-02 17:00:00 UTC", "2024-01-02T17:00:00", absolute(false)),
            ("13.02.2024 00:00:00.000 GMT+0100", "2024-02-12T23:00:00", absolute(true)),
            ("2024-01-02", "2024-01-02T00:00:00", day),
            ("2024-01-02 03:00:00+03:00", "2024-01-02T00:00:00", absolute(true)),
        ];
        for (text, time, form) in cases {
            assert_eq!(shown(text, None), Some((time.to_owned(), form)), "{text}");
        }
        assert_eq!(read("1700000000.25", None).map(|stamp| stamp.ms), Some(1_700_000_000_250));
        for text in [
            "",
            "x",
            "1",
            "17577648",
            "1.7E+12",
            "1/2/2024",
            "32/13/2024",
            "2024-01-02 13-PM",
            "1/2/24",
            "99999999",
            "13:00",
        ] {
            assert_eq!(read(text, None), None, "{text}");
        }
        assert!(problem("1.70E+12").contains("lost its digits"));
    }

    #[test]
    fn day_and_month_are_told_by_the_data_or_asked_for() {
        const DAY: i64 = 24 * HOUR_MS;
        let of = |cells: &[&str]| order(cells.iter().copied(), DAY);
        assert_eq!(of(&["2024-01-02", "1700000000"]), Ok(None));
        assert_eq!(of(&["1/2/2024", "13/2/2024"]), Ok(Some(DateOrder::DayFirst)));
        assert_eq!(of(&["1/2/2024", "1/13/2024"]), Ok(Some(DateOrder::MonthFirst)));
        assert!(of(&["13/2/2024", "1/13/2024"]).unwrap_err().contains("two orders, 13/2/2024 and 1/13/2024"));
        assert_eq!(of(&["1/2/2024", "1/3/2024", "1/4/2024"]), Ok(Some(DateOrder::MonthFirst)));
        assert_eq!(of(&["3.1.2024", "2.1.2024", "1.1.2024"]), Ok(Some(DateOrder::DayFirst)));
        assert!(of(&["1/2/2024 00:00", "1/2/2024 01:00"]).unwrap_err().contains("`--dates dmy`"));
        assert_eq!(shown("1/2/2024", Some(DateOrder::DayFirst)).unwrap().0, "2024-02-01T00:00:00");
        assert_eq!(shown("1/2/2024", Some(DateOrder::MonthFirst)).unwrap().0, "2024-01-02T00:00:00");
        assert_eq!(read("1/13/2024", Some(DateOrder::DayFirst)), None);
    }

    #[test]
    fn a_time_of_day_is_no_number() {
        for text in ["00:00", "13:00:00", "1:00 PM", "01-AM"] {
            assert!(is_clock(text), "{text}");
        }
        for text in ["1700", "0.5", "25:00", "2024-01-02", ""] {
            assert!(!is_clock(text), "{text}");
        }
    }
}
