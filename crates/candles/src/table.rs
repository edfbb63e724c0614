//! The layout of a CSV file: its separator, its header, its first row.

use super::columns::Columns;
use super::findings::{Cause, Findings};
use super::origin::{BINANCE, Origin};
use super::stamp;

/// Number of lines among which the header or the first row must be.
const HEAD: usize = 20;
/// The fewest columns of a candle table: a time and four prices.
const FEWEST: usize = 5;
/// The columns of MetaTrader's files, which have no header.
const METATRADER: &str = "date,time,open,high,low,close,volume";

/// The layout of a CSV file.
#[derive(Debug)]
pub struct Table {
    /// The separator between columns.
    pub separator: char,
    /// Its columns.
    pub columns: Columns,
    /// Index of the line with the first row.
    pub first: usize,
    /// Whether the line before that is the header.
    pub has_header: bool,
}

impl Table {
    /// Infers the layout from the first lines. `named` overrides the header; `origin` gives the columns of a file without one.
    ///
    /// # Errors
    /// The line, and a description of what is wrong.
    pub fn of(
        text: &str,
        named: Option<&Columns>,
        origin: Option<Origin>,
        findings: &mut Findings,
    ) -> Result<Self, (usize, String)> {
        let separator = separator(text);
        let (mut header, mut problem, mut preamble) = (None, None, Vec::new());
        for (index, line) in text.lines().take(HEAD).enumerate() {
            let fields: Vec<&str> = split(line, separator).collect();
            match kind(&fields) {
                Line::Row => {
                    let columns = match (named.cloned().or(header), problem) {
                        (Some(columns), _) => columns,
                        (None, Some(problem)) => return Err(problem),
                        (None, None) => {
                            headerless(&fields, line, origin, findings).map_err(|problem| (index + 1, problem))?
                        }
                    };
                    told(&preamble, findings);
                    return Ok(Self { separator, columns, first: index, has_header: index > preamble.len() });
                }
                // No row follows the header.
                _ if header.is_some() => break,
                Line::Header => match named.cloned().map_or_else(|| Columns::named(fields), Ok) {
                    Ok(columns) => header = Some(columns),
                    Err(wrong) => {
                        problem = problem.or(Some((index + 1, header_problem(&wrong, line))));
                        preamble.push(line);
                    }
                },
                Line::Other => preamble.push(line),
            }
        }
        if let Some(columns) = header {
            told(&preamble, findings);
            return Ok(Self { separator, columns, first: preamble.len() + 1, has_header: true });
        }
        let first = text.lines().next().unwrap_or_default();
        let wrong = Columns::named(split(first, separator)).err().unwrap_or_default();
        Err(problem.unwrap_or_else(|| (1, header_problem(&wrong, first))))
    }
}

fn told(preamble: &[&str], findings: &mut Findings) {
    let lines: Vec<&&str> = preamble.iter().filter(|line| !line.trim().is_empty()).collect();
    findings.add(Cause::Preamble, lines.len(), || lines[0].chars().take(60).collect());
}

fn header_problem(problem: &str, line: &str) -> String {
    let line: String = line.chars().take(200).collect();
    format!(
        "{problem}; the header must be `{}`, in any order, or name the columns with `--columns`; got {line:?}",
        super::csv::HEADER
    )
}

/// The columns of a file without a header.
fn headerless(fields: &[&str], line: &str, origin: Option<Origin>, findings: &mut Findings) -> Result<Columns, String> {
    let names: Vec<&str> = BINANCE.split(',').collect();
    let split_time = fields.len() >= 2 && stamp::read(fields[0], None).is_some() && stamp::is_clock(fields[1]);
    let taken = match (origin, fields.len(), split_time) {
        (Some(origin), ..) => origin.file_columns().to_owned(),
        (None, 6 | 7, true) => METATRADER.split(',').take(fields.len()).collect::<Vec<_>>().join(","),
        (None, 5 | 6, false) => names[..fields.len()].join(","),
        (None, 12, false) => BINANCE.to_owned(),
        (None, count, _) => {
            return Err(format!(
                "without a header a row has 6 columns, or the {} of Binance, and this one has {count}: which is the volume? name \
                 the columns, such as `--columns time,open,high,low,close,vwap,volume,count`, or the exchange, such as \
                 `--from kraken`; got {line:?}",
                names.len()
            ));
        }
    };
    findings.add(Cause::NoHeader, 1, || taken.clone());
    taken.parse()
}

/// The kind of a line at the beginning.
enum Line {
    Row,
    Header,
    /// Too few fields for a header or a row.
    Other,
}

/// A header has neither times nor numbers; a row has some, even if invalid.
fn kind(fields: &[&str]) -> Line {
    let is_value = |field: &&str| {
        let number = field.replace(',', ".").parse::<f64>();
        number.is_ok_and(f64::is_finite) || stamp::read(field, None).is_some()
    };
    match fields.iter().any(is_value) {
        _ if fields.len() < FEWEST => Line::Other,
        true => Line::Row,
        false => Line::Header,
    }
}

/// The separator of most of the first lines; a spreadsheet's `sep=;` states it.
fn separator(text: &str) -> char {
    let said = text.lines().next().and_then(|line| line.trim().strip_prefix("sep="));
    if let Some(separator) = said.and_then(|said| said.chars().next()) {
        return separator;
    }
    let splits = |separator: &char| text.lines().take(HEAD).any(|line| split(line, *separator).count() >= FEWEST);
    ['\t', ';'].into_iter().find(splits).unwrap_or(',')
}

/// The fields of a line, without surrounding quotes and spaces. Separators inside quotes do not count.
pub fn split(line: &str, separator: char) -> Fields<'_> {
    Fields { rest: Some(line), separator }
}

/// See [`split`].
#[derive(Debug)]
pub struct Fields<'a> {
    rest: Option<&'a str>,
    separator: char,
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let quoted = rest.trim_start().strip_prefix('"').and_then(|inner| {
            let (field, after) = inner.split_once('"')?;
            let after = after.trim_start_matches(' ');
            (after.trim().is_empty() || after.starts_with(self.separator)).then_some((field, after))
        });
        let (field, after) = match quoted {
            Some((field, after)) => (field, after.strip_prefix(self.separator)),
            None => match rest.split_once(self.separator) {
                Some((field, after)) => (field, Some(after)),
                None => (rest, None),
            },
        };
        self.rest = after;
        Some(field.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str, separator: char) -> Vec<&str> {
        split(line, separator).collect()
    }

    #[test]
    fn a_line_is_split_where_its_separator_is_not_quoted() {
        assert_eq!(fields("1, 2 ,\"3\",", ','), ["1", "2", "3", ""]);
        assert_eq!(fields("\"42,150.25\",\"a\" ,b", ','), ["42,150.25", "a", "b"]);
        assert_eq!(fields("1,5;\"2;0\";3", ';'), ["1,5", "2;0", "3"]);
        assert_eq!(fields("", ','), [""]);
        assert_eq!(fields("a\"b\",c", ','), ["a\"b\"", "c"]);
        assert_eq!(fields("\"open", ','), ["\"open"]);
    }

    fn table(text: &str) -> Result<(char, usize, bool, String), (usize, String)> {
        let mut findings = Findings::default();
        let table = Table::of(text, None, None, &mut findings)?;
        Ok((table.separator, table.first, table.has_header, findings.to_string()))
    }

    #[test]
    fn header_and_separator_are_found() {
        let header = "date;open;high;low;close;volume";
        assert_eq!(table(&format!("sep=;\n{header}\n")).unwrap().0, ';');
        assert_eq!(table(&format!("{header}\n2024-01-02;1,5;2,5;1;2;0\n")).unwrap(), (';', 1, true, String::new()));
        let (separator, first, has_header, found) =
            table("https://www.example.com\nUnix,Open,High,Low,Close,Volume\n1700000000,1,1,1,1,1\n").unwrap();
        assert_eq!((separator, first, has_header), (',', 2, true));
        assert!(found.contains("https://www.example.com"), "{found}");
        let (separator, first, has_header, found) = table("2024.01.02,00:00,1,1,1,1,5\n").unwrap();
        assert_eq!((separator, first, has_header), (',', 0, false));
        assert!(found.contains("date,time,open,high,low,close,volume"), "{found}");
        let (line, problem) = table("1381095240,122.0,122.0,122.0,122.0,122.0,0.1,1\n").unwrap_err();
        assert!(line == 1 && problem.contains("this one has 8: which is the volume?"), "{problem}");
        assert!(problem.contains("--columns") && problem.contains("--from"), "{problem}");
    }
}
