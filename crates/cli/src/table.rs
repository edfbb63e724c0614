//! Plain-text tables: each column is as wide as its widest cell, numbers are right-aligned. On a narrow terminal the least
//! important columns are left out.

use console::{Alignment, measure_text_width, pad_str};

/// Spaces between two columns.
const GAP: usize = 2;

/// Headings and rows of text. The first column is left-aligned; the others hold numbers and are right-aligned, unless said
/// otherwise.
pub struct Table {
    rows: Vec<Vec<String>>,
    words: Vec<&'static str>,
    droppable: Vec<&'static str>,
}

impl Table {
    /// A table with these headings.
    pub fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()], words: vec![], droppable: vec![] }
    }

    /// The columns with these headings hold words, and are left-aligned.
    pub fn words(self, heads: &[&'static str]) -> Self {
        Self { words: heads.to_vec(), ..self }
    }

    /// The columns with these headings are left out where the table is too wide, the first of them first.
    pub fn droppable(self, heads: &[&'static str]) -> Self {
        Self { droppable: heads.to_vec(), ..self }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Whether it has any rows.
    pub fn has_rows(&self) -> bool {
        self.rows.len() > 1
    }

    /// The headings, then the rows, in at most `most` columns if that is possible; and the headings of what is left out.
    pub fn fitted(&self, most: Option<usize>) -> (Vec<String>, Vec<&'static str>) {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| measure_text_width(c)).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut kept: Vec<usize> = (0..columns).collect();
        let mut left_out = Vec::new();
        for head in &self.droppable {
            let needed = kept.iter().map(|column| widths[*column] + GAP).sum::<usize>().saturating_sub(GAP);
            if most.is_none_or(|most| needed <= most) {
                break;
            }
            kept.retain(|column| self.rows[0][*column] != *head);
            left_out.push(*head);
        }
        let line = |row: &Vec<String>| {
            let cells = kept.iter().map(|column| {
                let is_left = *column == 0 || self.words.contains(&self.rows[0][*column].as_str());
                let alignment = if is_left { Alignment::Left } else { Alignment::Right };
                pad_str(&row[*column], widths[*column], alignment, None).into_owned()
            });
            cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
        };
        (self.rows.iter().map(line).collect(), left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["", "closed", "mean"]).droppable(&["closed"]);
        table.row(["all".to_owned(), "12345678".to_owned(), "–".to_owned()]);
        table.row(["1000SHIBUSDT".to_owned(), "5".to_owned(), "+1.25 %".to_owned()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let expected =
            ["                closed     mean", "all           12345678        –", "1000SHIBUSDT         5  +1.25 %"];
        for most in [None, Some(31)] {
            assert_eq!(table().fitted(most), (expected.map(str::to_owned).to_vec(), vec![]));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_named() {
        let expected = ["                 mean", "all                 –", "1000SHIBUSDT  +1.25 %"];
        for most in [30, 21, 5] {
            assert_eq!(table().fitted(Some(most)), (expected.map(str::to_owned).to_vec(), vec!["closed"]));
        }
    }

    #[test]
    fn words_are_left_aligned() {
        let mut table = Table::new(&["a", "why", "n"]).words(&["why"]);
        table.row(["x".to_owned(), "because".to_owned(), "1".to_owned()]);
        table.row(["x".to_owned(), "so".to_owned(), "10".to_owned()]);
        assert_eq!(table.fitted(None).0, ["a  why       n", "x  because   1", "x  so       10"]);
    }
}
