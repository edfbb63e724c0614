//! Reading text files within limits, so that a device or a wrong file cannot fill the memory; and appending lines to files that
//! survive crashes.

use crate::disk::{Disk, Storage, append_all, read_full};
use domain::error::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A line that is longer than this is no line: the file is not a text file.
const GIVE_UP: u64 = 64 << 20;

/// The lines of a file, one by one.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    path: PathBuf,
    /// Most bytes that a line may have.
    longest: usize,
    number: u64,
}

impl Lines<BufReader<File>> {
    /// Opens the file at `path`; lines may have up to `longest` bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path, longest: usize) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
        Ok(Self { reader: BufReader::new(file), path: path.to_owned(), longest, number: 0 })
    }
}

impl<R: BufRead> Lines<R> {
    /// Reads the next line into `text`, without its newline. Returns its number, from 1, or `None` at the end. If the line is too
    /// long, `text` has one byte more than allowed, and the rest is skipped.
    ///
    /// # Errors
    /// [`Error::Io`]; also for a line that does not end within 64 MiB.
    pub fn next(&mut self, text: &mut Vec<u8>) -> Result<Option<u64>> {
        text.clear();
        let fail = |e| Error::io("read", &self.path, e);
        let first = (&mut self.reader).take(self.longest as u64 + 1).read_until(b'\n', text).map_err(fail)?;
        if first == 0 {
            return Ok(None);
        }
        self.number += 1;
        if text.last() == Some(&b'\n') {
            text.pop();
        } else if first > self.longest {
            self.pass_over()?;
        }
        Ok(Some(self.number))
    }

    /// Skips the rest of a line.
    fn pass_over(&mut self) -> Result<()> {
        let mut passed = 0;
        while passed < GIVE_UP {
            let buffer = self.reader.fill_buf().map_err(|e| Error::io("read", &self.path, e))?;
            let newline = memchr::memchr(b'\n', buffer);
            let length = newline.map_or(buffer.len(), |at| at + 1);
            self.reader.consume(length);
            if newline.is_some() || length == 0 {
                return Ok(());
            }
            passed += length as u64;
        }
        let (number, most) = (self.number, GIVE_UP >> 20);
        let problem = format!("line {number} does not end within {most} MiB: this is not a text file");
        Err(Error::io("read", &self.path, std::io::Error::other(problem)))
    }
}

/// Reads a whole text file of at most `most` bytes. `bad` makes the error for a file that is too long or not text.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; the error of `bad`, whose words name the line.
pub fn read_text(path: &Path, most: u64, bad: impl Fn(String) -> Error) -> Result<String> {
    let io = |e| Error::io("read", path, e);
    let line = |before: &[u8]| memchr::memchr_iter(b'\n', before).count() + 1;
    let mut file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    loop {
        let begin = bytes.len();
        if (&mut file).take(1 << 20).read_to_end(&mut bytes).map_err(io)? == 0 {
            break;
        }
        if let Some(at) = memchr::memchr(0, &bytes[begin..]) {
            return Err(bad(format!("line {} is not text (UTF-8)", line(&bytes[..begin + at]))));
        }
        if bytes.len() as u64 > most {
            return Err(bad(format!("it is longer than {} MiB", most >> 20)));
        }
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        bad(format!("line {} is not text (UTF-8)", line(&error.as_bytes()[..valid])))
    })
}

/// Appends a line, given without its newline, and syncs it; the caller holds a lock. The file is created if it is missing. After a
/// line that a crash cut short, it starts on a new line.
///
/// # Errors
/// [`Error::Io`].
pub fn append_line(path: &Path, mut line: Vec<u8>) -> Result<()> {
    let failed = |e: std::io::Error| Error::io("write", path, e);
    line.push(b'\n');
    let file = Disk.open(path).map_err(failed)?;
    let len = file.stat().map_err(failed)?.len;
    let mut last = [b'\n'];
    if len > 0 {
        read_full(&*file, &mut last, len - 1).map_err(failed)?;
    }
    if last != *b"\n" {
        line.insert(0, b'\n');
    }
    append_all(&*file, &line).and_then(|()| file.sync()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8], longest: usize) -> Vec<(u64, String)> {
        let mut lines = Lines { reader: content, path: PathBuf::from("x"), longest, number: 0 };
        let (mut text, mut found) = (Vec::new(), Vec::new());
        while let Some(number) = lines.next(&mut text).unwrap() {
            found.push((number, String::from_utf8(text.clone()).unwrap()));
        }
        found
    }

    #[test]
    fn lines_as_they_are_and_too_long_ones_cut() {
        let told = |lines: &[(u64, &str)]| lines.iter().map(|(n, text)| (*n, (*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(read(b"", 3), []);
        assert_eq!(read(b"abc\n\nab", 3), told(&[(1, "abc"), (2, ""), (3, "ab")]));
        assert_eq!(read(b"abcdefg\nab\nabcd", 3), told(&[(1, "abcd"), (2, "ab"), (3, "abcd")]));
    }

    #[test]
    #[cfg(unix)]
    fn a_device_without_end_is_given_up() {
        let error = Lines::open(Path::new("/dev/zero"), 1000).unwrap().next(&mut Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read /dev/zero: line 1 does not end within 64 MiB: this is not a text file"
        );
        let error = read_text(Path::new("/dev/zero"), 1 << 30, Error::NoData).unwrap_err();
        assert_eq!(error.to_string(), "line 1 is not text (UTF-8)");
    }

    #[test]
    fn a_line_is_appended_whole_after_a_cut_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x");
        append_line(&path, b"one".to_vec()).unwrap();
        append_line(&path, b"two".to_vec()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        std::fs::write(&path, "one\ntw").unwrap();
        append_line(&path, b"three".to_vec()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntw\nthree\n");
    }

    #[test]
    fn text_within_its_bounds() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x");
        std::fs::write(&path, "ä\n".repeat(700_000)).unwrap();
        assert_eq!(read_text(&path, 4 << 20, Error::NoData).unwrap().len(), 2_100_000);
        let refused = || read_text(&path, 1 << 20, Error::NoData).unwrap_err().to_string();
        assert_eq!(refused(), "it is longer than 1 MiB");
        std::fs::write(&path, b"a\nb\n\xff\n").unwrap();
        assert_eq!(refused(), "line 3 is not text (UTF-8)");
    }
}
