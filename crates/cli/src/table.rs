//! Plain-text tables: each column is as wide as its widest cell, numbers are right-aligned.

use console::{Alignment, measure_text_width, pad_str};

/// Headings and rows of text; the first column is left-aligned, the others hold numbers and are right-aligned.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Whether it has any rows.
    pub fn has_rows(&self) -> bool {
        self.rows.len() > 1
    }

    /// The headings, then the rows.
    pub fn lines(&self) -> Vec<String> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| measure_text_width(c)).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                let alignment = if column == 0 { Alignment::Left } else { Alignment::Right };
                pad_str(cell, *width, alignment, None).into_owned()
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["", "closed", "mean"]);
        table.row(["all".to_owned(), "12345678".to_owned(), "–".to_owned()]);
        table.row(["1000SHIBUSDT".to_owned(), "5".to_owned(), "+1.25 %".to_owned()]);
        assert_eq!(
            table.lines(),
            ["                closed     mean", "all           12345678        –", "1000SHIBUSDT         5  +1.25 %"]
        );
    }
}
