//! The file of a model: three lines of text and a body, so that `head -3` shows what it is.
//!
//! `signalloop model 3` · the CRC-32 of all that follows, in hex · the record as JSON · the model in postcard, and behind it,
//! also in postcard, since when it was continued. Files of format 2, whose sides have no payoff and which do not say that, and of
//! format 1, whose models have no lineage either, are read too.

use super::forest::Forest;
use super::lineage::Lineage;
use super::served::{Model, Payoff, Record, Side};
use crate::error::{Error, Result};
use crate::symbol::Market;
use serde::Deserialize;
use std::path::Path;

/// First line of every model file; the number is the format's version.
const MAGIC: &[u8] = b"signalloop model 3\n";
const MAGIC_2: &[u8] = b"signalloop model 2\n";
const MAGIC_1: &[u8] = b"signalloop model 1\n";
const MAGIC_ANY: &[u8] = b"signalloop model ";

/// A side as formats 1 and 2 have it.
#[derive(Deserialize)]
struct OldSide {
    forest: Forest,
    base_rate: f64,
    belief: f64,
}

impl OldSide {
    /// Its bets are taken to have ended at their levels, as they were judged then.
    fn of(self, record: &Record) -> Side {
        let Self { forest, base_rate, belief } = self;
        Side { forest, base_rate, belief, payoff: Payoff::at_levels(record.reward_risk) }
    }
}

fn of_old((record, buy, sell): (Record, OldSide, OldSide), lineage: Lineage) -> Model {
    Model { buy: buy.of(&record), sell: sell.of(&record), record, lineage }
}

/// A model as the bytes of its file.
pub fn encode(model: &Model) -> Result<Vec<u8>> {
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
pub fn decode(bytes: &[u8], path: &Path, market: &Market, version: u64) -> Result<Model> {
    let mut model = decode_any(bytes, path)?;
    if model.record.market != *market {
        return refuse(path, format!("it is a model of {}, not of {market}", model.record.market));
    }
    model.lineage.version = version;
    Ok(model)
}

pub fn refuse<T>(path: &Path, problem: String) -> Result<T> {
    let problem = format!("{problem}; train it anew with `signalloop train`");
    Err(Error::ModelFile { path: path.to_owned(), problem })
}

fn decode_any(bytes: &[u8], path: &Path) -> Result<Model> {
    let formats = [(MAGIC, 3), (MAGIC_2, 2), (MAGIC_1, 1)];
    let known = formats.iter().find_map(|(magic, format)| Some((bytes.strip_prefix(*magic)?, *format)));
    let Some((rest, format)) = known else {
        let problem = match bytes.strip_prefix(MAGIC_ANY) {
            Some(_) => "it has another format version than 1 to 3, which this signalloop reads",
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
        3 => postcard::from_bytes::<(Model, _)>(body).map(|(mut model, full_ms)| {
            model.lineage.full_ms = full_ms;
            model
        }),
        2 => postcard::from_bytes::<((Record, OldSide, OldSide), Lineage)>(body)
            .map(|(old, lineage)| of_old(old, lineage)),
        _ => postcard::from_bytes(body).map(|old| of_old(old, Lineage::default())),
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
    fn a_file_says_since_when_a_model_was_continued() {
        let path = Path::new("v000007.model");
        let market = Market::parse("BTCUSDT", "1h").unwrap();
        let mut model = decode(include_bytes!("../../tests/fixtures/champion.model"), path, &market, 7).unwrap();
        model.lineage.full_ms = Some(1_750_000_000_000);
        let file = encode(&model).unwrap();
        assert_eq!(decode(&file, path, &market, 7).unwrap(), model);
    }
}
