//! The text of a candle file, read as far as it can be one.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More than minutes of twenty years.
const MAX_FILE: usize = 1 << 30;
/// No row is longer. JSON may stand in one line.
const MAX_LINE: usize = 1 << 16;
const BLOCK: usize = 1 << 18;

/// Reads a whole file; what cannot be one of candles is known, and refused, from its first part.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadCandle`] for what is not text, has no end, or lines that are none of a table.
pub fn read_text(path: &Path) -> Result<String> {
    let failed = |e| Error::io("read", path, e);
    let bad = |problem: String| Error::BadCandle { place: path.display().to_string(), problem };
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::with_capacity((size as usize).min(MAX_FILE));
    let (mut line, mut one_line) = (0, None);
    loop {
        let from = bytes.len();
        let read = (&mut file).take(BLOCK as u64).read_to_end(&mut bytes).map_err(failed)?;
        let block = &bytes[from..];
        if block.contains(&0) {
            return Err(bad("it is not text (UTF-8)".to_owned()));
        }
        let mark: &[u8] = b"\xef\xbb\xbf";
        let start = block.strip_prefix(mark).unwrap_or(block).trim_ascii_start().first();
        let may_be_one_line = *one_line.get_or_insert(matches!(start, Some(b'[' | b'{')));
        line = block.iter().rposition(|byte| *byte == b'\n').map_or(line + read, |at| read - at);
        if line > MAX_LINE && !may_be_one_line {
            return Err(bad(format!("it has a line of more than {} kB, which is no row of candles", MAX_LINE >> 10)));
        }
        if bytes.len() > MAX_FILE {
            return Err(bad(format!("it is larger than {} MB; divide it", MAX_FILE >> 20)));
        }
        if read == 0 {
            return String::from_utf8(bytes).map_err(|_| bad("it is not text (UTF-8)".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_is_refused_before_it_fills_the_memory() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.csv");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_text(&path)
        };
        let many = "1,2\n".repeat(BLOCK);
        assert_eq!(read(many.as_bytes()).unwrap(), many);
        let array = format!("[{}]", "1,".repeat(MAX_LINE));
        assert_eq!(read(array.as_bytes()).unwrap(), array);
        for (bytes, problem) in [
            ("a".repeat(MAX_LINE + BLOCK).into_bytes(), "a line of more than 64 kB"),
            (b"time\0".to_vec(), "not text"),
            (b"time\xff".to_vec(), "not text"),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
        #[cfg(unix)]
        assert!(read_text(Path::new("/dev/zero")).unwrap_err().to_string().contains("not text"));
        assert_eq!(read_text(home.path()).unwrap_err().code(), "ERR_IO");
    }
}
