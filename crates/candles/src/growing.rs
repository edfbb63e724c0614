//! A candle series that grows page by page at both ends. Each page is stored before the next one is requested.
//!
//! Pages are appended to `data/btcusdt_1h.part`, in the form of a candle file. The candle file is replaced once the part has as
//! many candles as it, and at the end. So readers find at least half of what was fetched, and each candle is written at most four
//! times, for any number of pages. After an interruption the next fetch reads the part and continues.

use super::csv::{HEADER, merge, rows, write_csv};
use super::findings::{Cause, Findings};
use super::reader::{Reading, read_candles};
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::Timeframe;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use storage::sync_folder;

/// A series, its file, and the pages that are in neither file nor part.
#[derive(Debug, Default)]
pub struct Growing {
    path: PathBuf,
    candles: Vec<Candle>,
    /// Pages older than `candles`, newest first.
    older: Vec<Vec<Candle>>,
    /// Candles added since the last [`Self::save`].
    unsaved: Vec<Candle>,
    is_changed: bool,
    in_file: usize,
    in_part: usize,
    /// Rows written so far, to file and part together.
    #[cfg(test)]
    pub written: usize,
}

impl Growing {
    /// The series that is stored in the file at `path`.
    pub fn stored(path: &Path, candles: Vec<Candle>) -> Self {
        Self { path: path.to_owned(), in_file: candles.len(), candles, ..Self::default() }
    }

    /// The oldest candle.
    pub fn first(&self) -> Option<&Candle> {
        self.older.last().and_then(|page| page.first()).or(self.candles.first())
    }

    /// The newest candle.
    pub fn last(&self) -> Option<&Candle> {
        self.candles.last().or_else(|| self.older.first().and_then(|page| page.last()))
    }

    /// The newest candle that opens before `open_ms`.
    pub fn last_before(&self, open_ms: i64) -> Option<&Candle> {
        self.candles[..self.candles.partition_point(|candle| candle.open_ms < open_ms)].last()
    }

    /// Adds a page older than all other candles.
    pub fn before(&mut self, page: Vec<Candle>) {
        self.unsaved.extend(&page);
        self.older.extend((!page.is_empty()).then_some(page));
    }

    /// Adds a page newer than all other candles; only the last stored candle may be in it again, in a newer form.
    pub fn after(&mut self, page: &[Candle]) {
        let Some(first) = page.first() else { return };
        let kept = self.candles.partition_point(|candle| candle.open_ms < first.open_ms);
        if self.candles[kept..] != *page {
            let tail = self.candles.split_off(kept);
            self.candles.extend(merge(&tail, page));
            self.unsaved.extend(page);
        }
    }

    /// Stores what was added.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&mut self) -> Result<()> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        if self.in_part + self.unsaved.len() >= self.in_file {
            return self.write();
        }
        append(&part(&self.path), &self.unsaved)?;
        self.count(self.unsaved.len());
        self.in_part += self.unsaved.len();
        self.unsaved.clear();
        Ok(())
    }

    /// Writes all candles to the file, unless it has them.
    ///
    /// # Errors
    /// [`Error::Io`]; then file and part are unchanged.
    pub fn finish(&mut self) -> Result<()> {
        if self.is_changed || self.in_part > 0 || !self.unsaved.is_empty() { self.write() } else { Ok(()) }
    }

    /// All candles, oldest first.
    pub fn all(&mut self) -> &[Candle] {
        if !self.older.is_empty() {
            self.older.reverse();
            self.older.push(std::mem::take(&mut self.candles));
            self.candles = std::mem::take(&mut self.older).concat();
        }
        &self.candles
    }

    /// Replaces all candles.
    pub fn replace(&mut self, candles: Vec<Candle>) {
        self.older.clear();
        (self.candles, self.is_changed) = (candles, true);
    }

    fn write(&mut self) -> Result<()> {
        self.all();
        write_csv(&self.path, &self.candles)?;
        self.count(self.candles.len());
        if self.in_part > 0 {
            remove(&part(&self.path))?;
        }
        (self.in_file, self.in_part, self.is_changed) = (self.candles.len(), 0, false);
        self.unsaved.clear();
        Ok(())
    }

    #[cfg(test)]
    fn count(&mut self, rows: usize) {
        self.written += rows;
    }

    #[cfg(not(test))]
    fn count(&self, _rows: usize) {}
}

/// The pages that an interrupted fetch left for the candle file at `path`; empty if there are none. Unreadable ones are dropped
/// and reported; they will be requested again.
///
/// # Errors
/// [`Error::Io`].
pub fn interrupted(path: &Path, timeframe: Timeframe, findings: &mut Findings) -> Result<Vec<Candle>> {
    let part = part(path);
    let text = match std::fs::read(&part) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", &part, e)),
    };
    // A row that a power failure truncated may still look complete.
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        findings.add(Cause::TornRow, 1, || part.display().to_string());
        let cut = OpenOptions::new().write(true).open(&part).and_then(|file| file.set_len(whole as u64));
        cut.map_err(|e| Error::io("write", &part, e))?;
    }
    // Pages are stored newest first, so their order is not reported.
    match read_candles(&part, timeframe, &Reading::stored()) {
        Ok((candles, _)) => Ok(candles),
        Err(error @ Error::BadCandle { .. }) => {
            findings.add(Cause::BadRow, 1, || error.to_string());
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Removes the pages of an interrupted fetch, if any.
///
/// # Errors
/// [`Error::Io`].
pub fn forget(path: &Path) -> Result<()> {
    remove(&part(path))
}

/// The path of the pages that are not yet in the candle file at `path`.
fn part(path: &Path) -> PathBuf {
    path.with_extension("part")
}

fn remove(part: &Path) -> Result<()> {
    match std::fs::remove_file(part) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", part, e)),
        _ => Ok(()),
    }
}

fn append(part: &Path, candles: &[Candle]) -> Result<()> {
    let fail = |e: std::io::Error| Error::io("write", part, e);
    let mut file = OpenOptions::new().append(true).create(true).open(part).map_err(fail)?;
    let is_new = file.metadata().map_err(fail)?.len() == 0;
    let header = if is_new { format!("{HEADER}\n") } else { String::new() };
    file.write_all((header + &rows(candles)).as_bytes()).map_err(fail)?;
    file.sync_data().map_err(fail)?;
    if is_new { sync_folder(part.parent().unwrap_or(Path::new("."))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOON: i64 = 1_757_764_800_000;
    const PAGE: i64 = 1000;

    fn hours(from: i64, count: i64) -> Vec<Candle> {
        let candle = |i: i64| Candle {
            open_ms: NOON + (from + i) * HOUR,
            open: 10.0,
            high: 12.0,
            low: 9.0,
            close: 11.0,
            volume: 5.0,
        };
        (0..count).map(candle).collect()
    }

    fn file(home: &tempfile::TempDir) -> PathBuf {
        home.path().join("btcusdt_1h.csv")
    }

    fn read(home: &tempfile::TempDir) -> Vec<Candle> {
        read_candles(&file(home), Timeframe::H1, &Reading::stored()).unwrap().0
    }

    #[test]
    fn a_long_history_is_written_a_few_times_and_not_once_a_page() {
        let home = tempfile::tempdir().unwrap();
        let mut series = Growing::stored(&file(&home), Vec::new());
        let pages = 70;
        for page in 1..=pages {
            series.before(hours(-page * PAGE, PAGE));
            series.save().unwrap();
            // Readers find at least half of it meanwhile.
            assert!(2 * read(&home).len() >= (page * PAGE) as usize);
        }
        series.finish().unwrap();
        let all = (pages * PAGE) as usize;
        assert!(series.written <= 4 * all, "{} rows written for {all}", series.written);
        assert_eq!(read(&home), hours(-pages * PAGE, pages * PAGE));
        assert!(!part(&file(&home)).exists());
    }

    #[test]
    fn both_ends_survive_an_interruption_and_a_torn_row() {
        let home = tempfile::tempdir().unwrap();
        write_csv(&file(&home), &hours(0, 100)).unwrap();
        let mut series = Growing::stored(&file(&home), hours(0, 100));
        series.after(&hours(99, 10));
        series.save().unwrap();
        series.before(hours(-20, 20));
        series.save().unwrap();
        drop(series);
        assert_eq!(read(&home), hours(0, 100), "the file is as it was");
        let mut findings = Findings::default();
        let mut kept = interrupted(&file(&home), Timeframe::H1, &mut findings).unwrap();
        assert_eq!((merge(&hours(0, 100), &kept), findings), (hours(-20, 129), Findings::default()));

        let whole = std::fs::read_to_string(part(&file(&home))).unwrap();
        std::fs::write(part(&file(&home)), &whole[..whole.len() - 2]).unwrap();
        let mut findings = Findings::default();
        kept.remove(19);
        assert_eq!(interrupted(&file(&home), Timeframe::H1, &mut findings).unwrap(), kept);
        assert_eq!(findings.count(Cause::TornRow), 1);

        std::fs::write(part(&file(&home)), "no candles\n1,2\n").unwrap();
        assert_eq!(interrupted(&file(&home), Timeframe::H1, &mut findings).unwrap(), []);
        assert_eq!(findings.count(Cause::BadRow), 1);
    }

    #[test]
    fn nothing_new_writes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let mut series = Growing::stored(&file(&home), hours(0, 100));
        series.after(&hours(99, 1));
        series.before(Vec::new());
        series.save().unwrap();
        series.finish().unwrap();
        assert_eq!((series.written, file(&home).exists()), (0, false));
    }
}
