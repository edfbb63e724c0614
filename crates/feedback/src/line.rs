//! A line of the log: a record as a JSON object, whose last member is a checksum of everything before it.
//!
//! ```json
//! {"signal_id":"s1","symbol":"BTCUSDT", … ,"outcome":"ACTIVE","crc":"c5b31233"}
//! ```
//!
//! The checksum is the CRC-32 (IEEE) of the line's bytes before `,"crc"`, as eight lower-case hexadecimal digits. Other JSON
//! readers see it as one more key. A line without it was written by the former system, and is accepted as it is.

use super::canonical::{self, CanonicalLine};
use super::details::Details;
use domain::barrier::{Direction, Levels, Outcome, Trade};
use domain::error::{Error, Result};
use domain::signal::{Closing, Excursion, Record, SignalKey};
use domain::symbol::{Symbol, Timeframe};
use domain::time;
use domain::time::Tz;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The longest line of an open signal as a caller records or changes it, in bytes.
pub const MAX_OPEN_BYTES: usize = 1 << 20;
/// The most that prices add to a managed signal: its entry, sixteen targets, and some hundred moves of its stop.
const EVENTS_BYTES: usize = 16 << 10;
/// The most that a closing adds: six keys, four numbers, a time.
const CLOSING_BYTES: usize = 256;
/// The longest line written or read. Every recorded signal still fits when it is closed.
pub const MAX_LINE_BYTES: usize = MAX_OPEN_BYTES + EVENTS_BYTES + CLOSING_BYTES;

const SEAL_START: &[u8; 8] = b",\"crc\":\"";
const SEAL_END: &[u8; 2] = b"\"}";
const DIGITS: usize = 8;
/// What follows the checksummed bytes: `,"crc":"xxxxxxxx"}`. Together they are the line's seal.
pub const SEAL_BYTES: usize = SEAL_START.len() + DIGITS + SEAL_END.len();

/// A record's line, newline included.
pub fn encode(record: &Record) -> Result<Vec<u8>> {
    let mut line = Vec::with_capacity(512);
    encode_onto(&mut line, record)?;
    Ok(line)
}

/// Appends a record's line, newline included.
pub fn encode_onto(line: &mut Vec<u8>, record: &Record) -> Result<()> {
    let start = line.len();
    serde_json::to_writer(&mut *line, record).map_err(unwritable)?;
    line.pop();
    finish(line, start);
    let is_given = record.closing.is_none() && record.history.is_empty();
    let most = if is_given { MAX_OPEN_BYTES } else { MAX_LINE_BYTES };
    if line.len() - start > most {
        return Err(Error::InvalidSignal {
            field: "other fields",
            problem: "must not make the record longer than 1 MiB",
            value: format!("{} bytes", line.len() - start),
        });
    }
    Ok(())
}

/// Adds the seal to the line that begins at `start` and lacks its closing brace.
fn finish(line: &mut Vec<u8>, start: usize) {
    let digits = hex(crc32fast::hash(&line[start..]));
    line.extend_from_slice(SEAL_START);
    line.extend_from_slice(&digits);
    line.extend_from_slice(SEAL_END);
    line.push(b'\n');
}

fn unwritable(cause: serde_json::Error) -> Error {
    Error::Internal(format!("a record cannot be written: {cause}"))
}

/// The last members of a closed record's line, as [`Record`] serialises them.
#[derive(Serialize)]
struct End {
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_price: Option<f64>,
    profit_loss_percent: f64,
    closed_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mfe_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mae_percent: Option<f64>,
}

/// Adds a closing to the line of an open signal that [`canonical`] can read. The result equals what [`encode`] writes for the
/// closed record. Newline included; `None` if it would be too long.
pub fn with_closing(line: &[u8], closing: &Closing) -> Result<Option<Vec<u8>>> {
    let body = line.len().checked_sub(SEAL_BYTES).and_then(|at| line[..at].strip_suffix(b"\"outcome\":\"ACTIVE\""));
    let Some(body) = body else { return Ok(None) };
    let end = End {
        outcome: closing.outcome,
        exit_price: closing.exit_price,
        profit_loss_percent: closing.profit_percent,
        closed_at: time::format_iso(closing.closed_ms),
        mfe_percent: closing.excursion.map(|Excursion { best_percent, .. }| best_percent),
        mae_percent: closing.excursion.map(|Excursion { worst_percent, .. }| worst_percent),
    };
    let mut closed = Vec::with_capacity(line.len() + CLOSING_BYTES);
    closed.extend_from_slice(body);
    let end = serde_json::to_vec(&end).map_err(unwritable)?;
    closed.extend_from_slice(&end[1..end.len() - 1]);
    finish(&mut closed, 0);
    Ok(Some(closed).filter(|closed| closed.len() <= MAX_LINE_BYTES))
}

fn hex(crc: u32) -> [u8; DIGITS] {
    std::array::from_fn(|at| b"0123456789abcdef"[(crc >> (28 - 4 * at)) as usize & 15])
}

/// Why a line is invalid.
pub type Reason = String;

/// The seal of a line.
enum Seal<'a> {
    /// The checksum matches; these are the checksummed bytes, without the closing brace.
    Matches(&'a [u8]),
    /// No seal: a line of the former system.
    None,
}

fn seal(line: &[u8]) -> std::result::Result<Seal<'_>, Reason> {
    let Some(at) = line.len().checked_sub(SEAL_BYTES) else { return Ok(Seal::None) };
    let (body, tail) = line.split_at(at);
    let (start, rest) = tail.split_at(SEAL_START.len());
    let (digits, end) = rest.split_at(DIGITS);
    let wrong = |got: &[u8], expected: &[u8]| got.iter().zip(expected).filter(|(a, b)| a != b).count();
    let wrong = wrong(start, SEAL_START) + wrong(end, SEAL_END);
    // Hashing comes last, so that lines without a seal are not hashed.
    let is_hex = || digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'));
    if wrong > 0 && (wrong > 2 || !is_hex()) {
        return Ok(Seal::None);
    }
    if digits == hex(crc32fast::hash(body)) {
        Ok(Seal::Matches(body))
    } else {
        Err("the checksum does not match".to_owned())
    }
}

/// The JSON object of a line, without the seal. Times without a zone are unchanged.
fn object(line: &[u8], seal: Seal<'_>) -> std::result::Result<Map<String, Value>, Reason> {
    let value = match seal {
        Seal::Matches(body) => serde_json::from_slice(&[body, b"}"].concat()),
        Seal::None => serde_json::from_slice(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)),
    };
    match value {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(e) => Err(format!("not JSON: {e}")),
    }
}

/// Parses a complete record.
pub fn decode(line: &[u8], zone: Tz) -> std::result::Result<Record, Reason> {
    decode_sealed(line, seal(line)?, zone)
}

fn decode_sealed(line: &[u8], seal: Seal<'_>, zone: Tz) -> std::result::Result<Record, Reason> {
    decode_by(line, seal, |object| Record::from_json(object, zone))
}

fn decode_by(
    line: &[u8],
    seal: Seal<'_>,
    read: impl Fn(Map<String, Value>) -> Result<Record>,
) -> std::result::Result<Record, Reason> {
    if line.len() > MAX_LINE_BYTES {
        return Err("longer than 1 MiB".to_owned());
    }
    read(object(line, seal)?).map_err(|e| e.to_string())
}

/// Parses a line of another log, whose profits may differ from their exit prices by up to `costs_percent`.
pub fn decode_import(line: &[u8], zone: Tz, costs_percent: f64) -> std::result::Result<Record, Reason> {
    decode_by(line, seal(line)?, |object| Record::imported(object, zone, costs_percent))
}

/// Whether a line is undamaged.
pub fn verify(line: &[u8], zone: Tz) -> std::result::Result<(), Reason> {
    match seal(line)? {
        Seal::Matches(..) => Ok(()),
        Seal::None => decode(line, zone).map(|_| ()),
    }
}

/// The parts of a line that memory keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts<'a> {
    /// The key of its id.
    pub key: SignalKey,
    /// Its pair, as written in the line.
    pub symbol: Cow<'a, str>,
    /// The interval of the candles that it was made from.
    pub timeframe: Timeframe,
    /// `None` is HOLD.
    pub direction: Option<Direction>,
    /// Stated confidence in percent, 0–100.
    pub confidence: Option<f64>,
    /// When it was given, UTC epoch ms.
    pub timestamp_ms: i64,
    /// `None` for a HOLD.
    pub levels: Option<Levels>,
    /// Its closing; `None` while it is open, and for a HOLD.
    pub closing: Option<Closing>,
    /// The strategy that gave it.
    pub strategy: Option<Cow<'a, str>>,
    /// Whether it was traded.
    pub taken: bool,
    /// Where it stands, if it is a managed signal.
    pub trade: Option<Box<Trade>>,
    /// `None` for a plain signal without costs of its own.
    pub details: Option<Box<Details>>,
}

impl<'a> From<CanonicalLine<'a>> for Facts<'a> {
    fn from(line: CanonicalLine<'a>) -> Self {
        let CanonicalLine {
            id,
            symbol,
            timeframe,
            direction,
            confidence,
            timestamp_ms,
            levels,
            closing,
            strategy,
            taken,
            rest: _,
        } = line;
        let (key, symbol) = (SignalKey::of(id), Cow::Borrowed(symbol));
        let strategy = strategy.map(Cow::Borrowed);
        Self {
            key,
            symbol,
            timeframe,
            direction,
            confidence,
            timestamp_ms,
            levels,
            closing,
            strategy,
            taken,
            trade: None,
            details: None,
        }
    }
}

impl Facts<'_> {
    /// The same, borrowed.
    pub fn borrowed(&self) -> Facts<'_> {
        let (symbol, strategy) = (Cow::Borrowed(&*self.symbol), self.strategy.as_deref().map(Cow::Borrowed));
        Facts { symbol, strategy, trade: self.trade.clone(), details: self.details.clone(), ..*self }
    }

    /// The same, independent of the line.
    pub fn into_owned(self) -> Facts<'static> {
        let strategy = self.strategy.map(|strategy| Cow::Owned(strategy.into_owned()));
        Facts { symbol: Cow::Owned(self.symbol.into_owned()), strategy, ..self }
    }

    /// The parts of a record that memory keeps.
    pub fn of(record: &Record) -> Facts<'static> {
        let (signal, trade) = (&record.signal, record.trade());
        Facts {
            details: Details::of(record, trade.as_ref()),
            key: SignalKey::of(&signal.id),
            symbol: Cow::Owned(signal.symbol.as_str().to_owned()),
            timeframe: signal.timeframe,
            direction: signal.direction,
            confidence: signal.confidence,
            timestamp_ms: signal.timestamp_ms,
            levels: signal.levels(),
            closing: record.closing,
            strategy: signal.strategy.clone().map(Cow::Owned),
            taken: signal.taken,
            trade: trade.map(Box::new),
        }
    }
}

/// Parses a sealed line in the exact form that this store writes; `None` for any other, which [`decode`] may still parse.
pub fn canonical(line: &[u8], zone: Tz) -> Option<CanonicalLine<'_>> {
    match seal(line) {
        Ok(Seal::Matches(body)) if line.len() <= MAX_LINE_BYTES => canonical::read(body, zone),
        _ => None,
    }
}

/// Parses the parts of a line that memory keeps.
pub fn facts(line: &[u8], zone: Tz) -> std::result::Result<Facts<'_>, Reason> {
    let sealed = seal(line)?;
    if let Seal::Matches(body) = sealed
        && line.len() <= MAX_LINE_BYTES
        && let Some(canonical) = canonical::read(body, zone)
    {
        return Ok(canonical.into());
    }
    decode_sealed(line, sealed, zone).map(|record| Facts::of(&record))
}

/// The symbol of [`Facts`], validated when it is first seen.
pub fn symbol(facts: &Facts<'_>) -> std::result::Result<Symbol, Reason> {
    Symbol::parse(&facts.symbol).map_err(|e| e.to_string())
}

/// The beginning of every line that this store writes.
const START: &[u8; 13] = b"{\"signal_id\":";

/// Finds the undamaged records in a damaged line, as ranges in order.
///
/// A damaged newline joins two lines into one. Each sealed record in it is still recognised by its checksum; the rest is lost.
/// Each byte is hashed at most twice, however long the line.
pub fn salvage(line: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    // The possible beginning of a record, and the hash of the bytes examined after it.
    let (mut start, mut crc) = (0, crc32fast::Hasher::new());
    let mut at = 0;
    while let Some(step) = line[at..].windows(SEAL_START.len()).position(|w| w == SEAL_START) {
        let body = at + step;
        crc.update(&line[at.max(start)..body]);
        at = body;
        let end = body + SEAL_BYTES;
        if end > line.len() {
            break;
        }
        let digits = &line[body + SEAL_START.len()..][..DIGITS];
        let proves = |crc: crc32fast::Hasher| digits == hex(crc.finalize()) && line[..end].ends_with(SEAL_END);
        let range = if proves(crc.clone()) {
            Some(start..end)
        } else {
            // Bytes before this are damaged. A record inside another one, as a value, does not belong to the log: there the outer
            // record continues after it.
            let later = line[start..body].windows(START.len()).rposition(|w| w == START).map(|at| start + at);
            later.filter(|later| stands_alone(line, end) && seal_matches(&line[*later..end])).map(|later| later..end)
        };
        if let Some(range) = range {
            // The next byte was the newline, unless that is missing.
            start = if line[end..].starts_with(START) { end } else { (end + 1).min(line.len()) };
            (at, crc) = (start, crc32fast::Hasher::new());
            found.push(range);
        } else {
            at += SEAL_START.len();
            crc.update(SEAL_START);
        }
    }
    found
}

/// Whether the bytes after a record's end prove that it is not a value inside another record.
fn stands_alone(line: &[u8], end: usize) -> bool {
    !matches!(line.get(end), Some(b',' | b'}' | b']'))
}

fn seal_matches(line: &[u8]) -> bool {
    matches!(seal(line), Ok(Seal::Matches(..)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use domain::signal::{Signal, Source};
    use serde_json::json;

    pub(crate) const T0: i64 = 1_700_000_000_000;

    /// A BUY at 100 with its stop at 95 and its target at 110.
    pub(crate) fn buy(id: &str) -> Signal {
        let Value::Object(map) = json!({
            "id": id, "symbol": "BTC/USDT", "signalType": "BUY", "confidence": 80, "entryPrice": 100, "stopLoss": 95,
            "takeProfit": 110, "timestamp": T0, "indicators": { "rsi": 71.5 }, "note": "é \"quoted\" \\ \n",
        }) else {
            unreachable!()
        };
        Signal::from_json(map, Source::Caller, Tz::UTC).unwrap()
    }

    fn lines() -> Vec<Vec<u8>> {
        let closing = Closing {
            outcome: Outcome::StoppedOut,
            exit_price: Some(94.9),
            profit_percent: -5.1,
            closed_ms: T0 + 1,
            excursion: None,
        };
        [None, Some(closing)]
            .map(|closing| {
                let mut line = encode(&Record { closing, ..buy("s1").into() }).unwrap();
                assert_eq!(line.pop(), Some(b'\n'));
                line
            })
            .to_vec()
    }

    #[test]
    fn an_old_reader_still_reads_a_sealed_line() {
        for line in lines() {
            let value: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!((&value["signal_id"], &value["entry_price"]), (&json!("s1"), &json!(100.0)));
        }
    }

    #[test]
    fn no_flipped_bit_changes_what_a_line_says() {
        for line in lines() {
            let (record, facts_before) = (decode(&line, Tz::UTC).unwrap(), facts(&line, Tz::UTC).unwrap());
            for bit in 0..line.len() * 8 {
                let mut bad = line.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                if let Ok(read) = decode(&bad, Tz::UTC) {
                    assert_eq!(read, record, "bit {bit}");
                }
                if let Ok(read) = facts(&bad, Tz::UTC) {
                    assert_eq!(read, facts_before, "bit {bit}");
                }
            }
        }
    }

    /// The lines in the document are those that this store writes, to the byte.
    #[test]
    fn the_document_has_lines_as_they_are_written() {
        let lines: Vec<&str> =
            include_str!("../../../docs/store.md").lines().filter(|line| line.starts_with("{\"signal_id\"")).collect();
        assert_eq!(lines.len(), 2);
        for line in lines {
            let record = decode(line.as_bytes(), Tz::UTC).unwrap();
            assert_eq!(String::from_utf8(encode(&record).unwrap()).unwrap().trim_end(), line);
        }
    }

    #[test]
    fn joined_lines_come_apart_again() {
        let [open, closed] = lines().try_into().unwrap();
        let joined = [&open[..], b"J", &closed[..], b"J", b"{\"signal_id\":"].concat();
        let ranges = salvage(&joined);
        assert_eq!(ranges.iter().map(|r| &joined[r.clone()]).collect::<Vec<_>>(), [&open[..], &closed[..]]);
        assert!(salvage(b"{\"crc\":\"").is_empty());
    }

    #[test]
    fn a_line_that_only_resembles_a_sealed_one_is_an_old_line() {
        let text = br#"{"signal_id":"o","symbol":"BTCUSDT","signal_type":"HOLD","timestamp":"2025-09-13T12:00:00","src":"binance1"}"#;
        assert_eq!(decode(text, Tz::UTC).unwrap().signal.id, "o");
    }
}
