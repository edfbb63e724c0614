//! Lines of CSV files that people open in spreadsheets.

use std::borrow::Cow;
use std::io::{Result, Write};

/// Writes one line of CSV (RFC 4180). A text that a spreadsheet would run as a formula gets an apostrophe before it: it begins with
/// `=`, `+`, `-`, `@`, a tab or a carriage return, and is not a number (OWASP, *CSV Injection*).
///
/// # Errors
/// Those of the writer.
pub fn write_row<T: AsRef<str>>(to: &mut dyn Write, cells: impl IntoIterator<Item = T>) -> Result<()> {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            to.write_all(b",")?;
        }
        to.write_all(written(cell.as_ref()).as_bytes())?;
    }
    to.write_all(b"\n")
}

fn written(cell: &str) -> Cow<'_, str> {
    let text = if is_formula(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) };
    if text.contains([',', '"', '\n', '\r']) { Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))) } else { text }
}

fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !cell.parse().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> String {
        let mut bytes = Vec::new();
        write_row(&mut bytes, cells).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn cells_with_separators_are_quoted() {
        assert_eq!(
            row(&["a", "", "b,c", "say \"so\"", "two\nlines"]),
            "a,,\"b,c\",\"say \"\"so\"\"\",\"two\nlines\"\n"
        );
    }

    #[test]
    fn no_text_is_run_as_a_formula_and_numbers_stay() {
        assert_eq!(row(&["=1+1", "@now", "+x", "-x", "-inf", "\tx"]), "'=1+1,'@now,'+x,'-x,'-inf,'\tx\n");
        assert_eq!(row(&["=HYPERLINK(\"x\",1)"]), "\"'=HYPERLINK(\"\"x\"\",1)\"\n");
        assert_eq!(row(&["-1.5", "-1e-9", "a=b", "a@b"]), "-1.5,-1e-9,a=b,a@b\n");
    }
}
