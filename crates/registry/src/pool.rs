//! Pooled models, which versions of several markets share. A pooled model is named by the SHA-256 of its bytes and stored once.
//!
//! A version names its pooled model in the third line of its file, the record as JSON: `"pool"`, 64 hex digits. Only that line is
//! read to find the pooled models that are still needed.

use super::store::Checksum;
use serde::Deserialize;
use serde_json::Value;
use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::Arc;

/// The longest head of a version file to read. Current heads have a few kilobytes.
const LONGEST_HEAD: u64 = 1 << 20;

/// A pooled model as bytes. Only [`Pool::of`] creates one, so the checksum always fits the bytes.
#[derive(Clone)]
pub struct Pool {
    checksum: Checksum,
    bytes: Arc<Vec<u8>>,
}

impl Pool {
    /// The pooled model with these bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { checksum: checksum(&bytes), bytes: Arc::new(bytes) }
    }

    /// The SHA-256 of its bytes, which is its name.
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// The bytes of its file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of its file.
    pub fn into_bytes(self) -> Vec<u8> {
        Arc::unwrap_or_clone(self.bytes)
    }
}

/// SHA-256.
pub fn checksum(bytes: &[u8]) -> Checksum {
    of_digest(ring::digest::digest(&ring::digest::SHA256, bytes))
}

/// SHA-256 of everything that a source returns.
pub fn checksum_of(mut source: impl Read) -> io::Result<Checksum> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut piece = vec![0; 1 << 16];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(of_digest(context.finish())),
            Ok(read) => context.update(&piece[..read]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn of_digest(digest: ring::digest::Digest) -> Checksum {
    let mut sum = Checksum::default();
    sum.copy_from_slice(digest.as_ref());
    sum
}

/// 64 digits, in lower case.
pub fn hex(checksum: &Checksum) -> String {
    checksum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parses what [`hex`] writes.
pub fn from_hex(text: &str) -> Option<Checksum> {
    let digits = text.as_bytes();
    let mut sum = Checksum::default();
    if digits.len() != 2 * sum.len() {
        return None;
    }
    for (byte, pair) in sum.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (hex(&sum) == text).then_some(sum)
}

/// The part of a record that is needed here.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    pool: Value,
}

/// The pooled model that a version needs, from the head of its file. `None` if it needs none, and also if the head is damaged,
/// since such a version cannot serve.
///
/// # Errors
/// It cannot be read, or it names a pooled model in an unknown form.
pub fn of_version(file: impl BufRead) -> io::Result<Option<Checksum>> {
    let unknown = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
    let mut head = file.take(LONGEST_HEAD);
    let mut line = Vec::new();
    for _ in 0..3 {
        line.clear();
        head.read_until(b'\n', &mut line)?;
    }
    if !line.ends_with(b"\n") && head.limit() == 0 {
        return Err(unknown("its record is too long"));
    }
    match serde_json::from_slice(&line) {
        Err(_) | Ok(Record { pool: Value::Null }) => Ok(None),
        Ok(Record { pool: Value::String(name) }) => {
            from_hex(&name).map(Some).ok_or_else(|| unknown("`pool` in its record is not a SHA-256 of 64 hex digits"))
        }
        Ok(_) => Err(unknown("`pool` in its record is not a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_read_only_as_it_is_written() {
        let sum = checksum(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((hex(&sum).as_str(), from_hex(text)), (text, Some(sum)));
        assert_eq!(checksum_of(&b"abc"[..]).unwrap(), sum);
        for other in ["", &text[1..], &text.to_uppercase(), &format!("+{}", &text[1..]), &"ä".repeat(32)] {
            assert_eq!(from_hex(other), None, "{other}");
        }
    }

    #[test]
    fn a_version_says_in_its_third_line_what_it_rests_on() {
        let name = hex(&checksum(b"abc"));
        let of = |text: &str| of_version(text.as_bytes()).map_err(|e| e.to_string());
        let rests = format!("signalloop model 3\n00000000\n{{\"trees\":3,\"pool\":\"{name}\"}}\nbody");
        assert_eq!(of(&rests), Ok(Some(checksum(b"abc"))));
        let fixture = include_bytes!("../../testkit/fixtures/champion.model");
        assert_eq!(of_version(&fixture[..]).unwrap(), None, "from before there were pools");
        for nothing in ["", "torn", "signalloop model 3\n0\n{\"pool\":null}\n", "a\nb\n{\"pool\":\"", "a\nb\nc\n"] {
            assert_eq!(of(nothing), Ok(None), "{nothing}");
        }
        for unclear in ["\"abc\"", "7", "[]"] {
            assert!(of(&format!("a\nb\n{{\"pool\":{unclear}}}\n")).unwrap_err().contains("`pool`"), "{unclear}");
        }
        let long = format!("a\nb\n{{\"x\":\"{}\"}}\n", "x".repeat(LONGEST_HEAD as usize));
        assert!(of(&long).unwrap_err().contains("too long"));
    }

    #[test]
    fn no_more_than_the_head_of_a_version_is_read() {
        struct Body;
        impl Read for Body {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("the body is read");
            }
        }
        let head = format!("signalloop model 3\n00000000\n{{\"pool\":\"{}\"}}\n", hex(&checksum(b"abc")));
        let file = std::io::BufReader::new(head.as_bytes().chain(Body));
        assert_eq!(of_version(file).unwrap(), Some(checksum(b"abc")));
    }
}
