//! The file of a model: three lines of text and a body, so that `head -3` shows what it is.
//!
//! `signalloop model 2` · the CRC-32 of all that follows, in hex · the record as JSON · the model in postcard, and behind it,
//! also in postcard, since when it was continued, which files of before do not have.
//! Files of format 1, whose models have no lineage, are read too.

use super::lineage::Lineage;
use super::served::{Model, Record, Side};
use crate::error::{Error, Result};
use crate::symbol::Market;
use std::path::Path;

/// First line of every model file; the number is the format's version.
const MAGIC: &[u8] = b"signalloop model 2\n";
const MAGIC_1: &[u8] = b"signalloop model 1\n";
const MAGIC_ANY: &[u8] = b"signalloop model ";

/// A model as the bytes of its file.
pub(super) fn encode(model: &Model) -> Result<Vec<u8>> {
    let internal = |e: &dyn std::fmt::Display| Error::Internal(format!("cannot encode a model: {e}"));
    let mut body = serde_json::to_vec(&model.record).map_err(|e| internal(&e))?;
    body.push(b'\n');
    let body = postcard::to_extend(model, body).map_err(|e| internal(&e))?;
    let body = postcard::to_extend(&model.lineage.full_ms, body).map_err(|e| internal(&e))?;
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(format!("{:08x}\n", crc32fast::hash(&body)).as_bytes());
    file.extend_from_slice(&body);
    Ok(file)
}

/// The model of `market` whose file `path` holds these bytes; its number is `version` whatever the file says.
///
/// # Errors
/// [`Error::ModelFile`] when the file is damaged, foreign, or of another version.
pub(super) fn decode(bytes: &[u8], path: &Path, market: &Market, version: u64) -> Result<Model> {
    let mut model = decode_any(bytes, path)?;
    if model.record.market != *market {
        return refuse(path, format!("it is a model of {}, not of {market}", model.record.market));
    }
    model.lineage.version = version;
    Ok(model)
}

pub(super) fn refuse<T>(path: &Path, problem: String) -> Result<T> {
    let problem = format!("{problem}; train it anew with `signalloop train`");
    Err(Error::ModelFile { path: path.to_owned(), problem })
}

fn decode_any(bytes: &[u8], path: &Path) -> Result<Model> {
    let (rest, has_lineage) = match (bytes.strip_prefix(MAGIC), bytes.strip_prefix(MAGIC_1)) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => {
            let problem = match bytes.strip_prefix(MAGIC_ANY) {
                Some(_) => "it has another format version than 1 and 2, which this signalloop reads",
                None => "it is not a signalloop model",
            };
            return refuse(path, problem.to_owned());
        }
    };
    let body =
        rest.split_at_checked(9).filter(|(crc, body)| *crc == format!("{:08x}\n", crc32fast::hash(body)).as_bytes());
    let Some((_, body)) = body else {
        return refuse(path, "it is damaged (checksum mismatch)".to_owned());
    };
    let start = body.iter().position(|byte| *byte == b'\n').map_or(body.len(), |at| at + 1);
    let decoded = if has_lineage {
        postcard::take_from_bytes::<Model>(&body[start..]).and_then(|(mut model, rest)| {
            if !rest.is_empty() {
                model.lineage.full_ms = postcard::from_bytes(rest)?;
            }
            Ok(model)
        })
    } else {
        postcard::from_bytes::<(Record, Side, Side)>(&body[start..]).map(|(record, buy, sell)| Model {
            record,
            buy,
            sell,
            lineage: Lineage::default(),
        })
    };
    match decoded {
        Ok(model) if model.record.features_version != crate::features::VERSION => {
            refuse(path, format!("it was trained on features of version {}", model.record.features_version))
        }
        Ok(model) if model.is_sound() => Ok(model),
        Ok(_) => refuse(path, "its rates are not between 0 and 1".to_owned()),
        Err(e) => refuse(path, format!("it cannot be decoded ({e})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_when_a_model_was_continued_is_behind_what_files_had_before() {
        let path = Path::new("v000007.model");
        let market = Market::parse("BTCUSDT", "1h").unwrap();
        let mut model = decode(include_bytes!("../../tests/fixtures/champion.model"), path, &market, 7).unwrap();
        model.lineage.full_ms = Some(1_750_000_000_000);
        let file = encode(&model).unwrap();
        assert_eq!(decode(&file, path, &market, 7).unwrap(), model);
        // As those who know nothing of it read it, and as they write it.
        let body = &file[MAGIC.len() + 9..];
        let start = body.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let known: Model = postcard::from_bytes(&body[start..]).unwrap();
        model.lineage.full_ms = None;
        assert_eq!(known, model);
        let body = [&body[..start], &postcard::to_allocvec(&model).unwrap()].concat();
        let head = format!("{:08x}\n", crc32fast::hash(&body)).into_bytes();
        assert_eq!(decode(&[MAGIC, &head, &body].concat(), path, &market, 7).unwrap(), model);
    }
}
