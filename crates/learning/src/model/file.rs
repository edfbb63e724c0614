//! The file of a market's model: three lines of text and a binary body, so that `head -3` shows what it is.
//!
//! `signalloop model 4` · the CRC-32 of everything after it, in hex · the record as JSON · the model in postcard. The
//! pooled model it depends on has a file of its own, which the record names. Files of formats 1 to 3, in which each
//! market had forests of its own, can be read too.

use super::lineage::Lineage;
use super::old;
use super::own::OwnPart;
use super::pool::Pool;
use super::served::{Model, Record, Side};
use domain::error::{Error, Result};
use domain::symbol::Market;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// First line of every model file; the number is the format's version.
const MAGIC: &[u8] = b"signalloop model 4\n";
const MAGIC_3: &[u8] = b"signalloop model 3\n";
const MAGIC_2: &[u8] = b"signalloop model 2\n";
const MAGIC_1: &[u8] = b"signalloop model 1\n";
const MAGIC_ANY: &[u8] = b"signalloop model ";

/// The part encoded in postcard.
#[derive(Serialize, Deserialize)]
struct Body {
    record: Record,
    buy: Side,
    sell: Side,
    lineage: Lineage,
}

/// The bytes of a model's file, without the pooled model that its record names.
pub fn encode(model: &Model) -> Result<Vec<u8>> {
    let internal = |e: &dyn std::fmt::Display| Error::Internal(format!("cannot encode a model: {e}"));
    let mut text = serde_json::to_vec(&model.record).map_err(|e| internal(&e))?;
    text.push(b'\n');
    let Model { record, buy, sell, lineage, .. } = model;
    // The body has no own model: it is in the pooled model.
    let record = Record { own: None, ..record.clone() };
    let body = Body { record, buy: *buy, sell: *sell, lineage: lineage.clone() };
    let body = postcard::to_extend(&body, text).map_err(|e| internal(&e))?;
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(format!("{:08x}\n", crc32fast::hash(&body)).as_bytes());
    file.extend_from_slice(&body);
    Ok(file)
}

/// Decodes the model of `market` from the bytes of the file `path`; its number is `version`, whatever the file says.
/// `pool` is the pooled model that its record names.
///
/// # Errors
/// [`Error::ModelFile`] when the file is damaged, of another kind, or of an unknown version.
pub fn decode(bytes: &[u8], path: &Path, market: &Market, version: u64, pool: Option<Arc<Pool>>) -> Result<Model> {
    let mut model = decode_any(bytes, path, pool)?;
    if model.record.market != *market {
        return refuse(path, format!("it is a model of {}, not of {market}", model.record.market));
    }
    model.lineage.version = version;
    Ok(model)
}

/// The error of an unusable model file: [`Error::ModelFile`].
pub fn refuse<T>(path: &Path, problem: String) -> Result<T> {
    let problem = format!("{problem}; train it anew with `signalloop train`");
    Err(Error::ModelFile { path: path.to_owned(), problem })
}

fn decode_any(bytes: &[u8], path: &Path, pool: Option<Arc<Pool>>) -> Result<Model> {
    let formats = [(MAGIC, 4), (MAGIC_3, 3), (MAGIC_2, 2), (MAGIC_1, 1)];
    let known = formats.iter().find_map(|(magic, format)| Some((bytes.strip_prefix(*magic)?, *format)));
    let Some((rest, format)) = known else {
        let problem = match bytes.strip_prefix(MAGIC_ANY) {
            Some(_) => "it has another format version than 1 to 4, which this signalloop reads",
            None => "it is not a signalloop model",
        };
        return refuse(path, problem.to_owned());
    };
    let body =
        rest.split_at_checked(9).filter(|(crc, body)| *crc == format!("{:08x}\n", crc32fast::hash(body)).as_bytes());
    let Some((_, body)) = body else {
        return refuse(path, "it is damaged (checksum mismatch)".to_owned());
    };
    let start = body.iter().position(|byte| *byte == b'\n').map_or(body.len(), |at| at + 1);
    let body = &body[start..];
    let decoded = match format {
        4 => match pool {
            None => return refuse(path, "it does not name its pooled model".to_owned()),
            Some(pool) => postcard::from_bytes(body).map(|Body { record, buy, sell, lineage }| Model {
                record: Record { own: pool.own.as_ref().map(OwnPart::told), ..record },
                buy,
                sell,
                pool,
                lineage,
            }),
        },
        older => old::decode(older, body),
    };
    match decoded {
        Ok(model) if model.record.features_version != domain::features::VERSION => {
            refuse(path, format!("it was trained on features of version {}", model.record.features_version))
        }
        Ok(model) if model.is_sound() => Ok(model),
        Ok(_) => refuse(path, "its rates are not between 0 and 1".to_owned()),
        Err(e) => refuse(path, format!("it cannot be decoded ({e})")),
    }
}
