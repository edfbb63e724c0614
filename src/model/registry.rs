//! The models of a home: their files, and the copies in memory that all callers share.
//!
//! A file is three lines of text and a body, so that `head -3` shows what it is:
//! `signalloop model 1` · the CRC-32 of all that follows, in hex · the record as JSON · the model in postcard.

use super::served::{Model, Record};
use crate::error::{Error, Result};
use crate::files::{Stamp, write_atomically};
use crate::symbol::Market;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// First line of every model file; the number is the format's version.
const MAGIC: &[u8] = b"signalloop model 1\n";
const MAGIC_ANY: &[u8] = b"signalloop model ";
const FILE: &str = "champion.model";

struct Loaded {
    stamp: Option<Stamp>,
    model: Result<Arc<Model>>,
}

/// The models under `home/models`.
pub struct Registry {
    folder: PathBuf,
    loaded: RwLock<HashMap<Market, Loaded>>,
}

impl Registry {
    /// The registry of a folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, loaded: RwLock::default() }
    }

    /// Where the model in service of `market` is.
    pub fn path(&self, market: &Market) -> PathBuf {
        self.folder.join(market.file_stem()).join(FILE)
    }

    /// Puts `model` into service: written atomically, then swapped in for all callers. The previous one stays in service
    /// if anything fails.
    pub fn promote(&self, model: Model) -> Result<Arc<Model>> {
        let path = self.path(&model.record.market);
        write_atomically(&path, &encode(&model)?)?;
        let model = Arc::new(model);
        let loaded = Loaded { stamp: Stamp::of(&path)?, model: Ok(model.clone()) };
        self.loaded.write().insert(model.record.market.clone(), loaded);
        Ok(model)
    }

    /// The model in service. A file that another process replaced is read again; while the new one is damaged, the one
    /// in memory stays in service.
    ///
    /// # Errors
    /// [`Error::NoModel`] when there is none, [`Error::ModelFile`] when the file is damaged and nothing is in memory.
    pub fn get(&self, market: &Market) -> Result<Arc<Model>> {
        let path = self.path(market);
        let stamp = Stamp::of(&path)?;
        if stamp.is_none() {
            self.loaded.write().remove(market);
            return Err(Error::NoModel { symbol: market.symbol.to_string(), timeframe: market.timeframe.to_string() });
        }
        if let Some(loaded) = self.loaded.read().get(market).filter(|loaded| loaded.stamp == stamp) {
            return loaded.model.clone();
        }
        let fresh = read(&path, market).map(Arc::new);
        let mut all = self.loaded.write();
        let model = match (fresh, all.get(market)) {
            (Err(_), Some(Loaded { model: Ok(old), .. })) => Ok(old.clone()),
            (fresh, _) => fresh,
        };
        all.insert(market.clone(), Loaded { stamp, model: model.clone() });
        model
    }

    /// The records of all models in the folder, by market; damaged files come as errors.
    pub fn list(&self) -> Result<Vec<(PathBuf, Result<Record>)>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("read", &self.folder, e)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| Error::io("read", &self.folder, e))?.path().join(FILE);
            if path.is_file() {
                found.push((path.clone(), read_file(&path).map(|model| model.record)));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}

fn encode(model: &Model) -> Result<Vec<u8>> {
    let internal = |e: &dyn std::fmt::Display| Error::Internal(format!("cannot encode a model: {e}"));
    let mut body = serde_json::to_vec(&model.record).map_err(|e| internal(&e))?;
    body.push(b'\n');
    let body = postcard::to_extend(model, body).map_err(|e| internal(&e))?;
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(format!("{:08x}\n", crc32fast::hash(&body)).as_bytes());
    file.extend_from_slice(&body);
    Ok(file)
}

fn read(path: &Path, market: &Market) -> Result<Model> {
    let model = read_file(path)?;
    if model.record.market != *market {
        return refuse(path, format!("it is a model of {}, not of {market}", model.record.market));
    }
    Ok(model)
}

fn refuse<T>(path: &Path, problem: String) -> Result<T> {
    let problem = format!("{problem}; train it anew with `signalloop train`");
    Err(Error::ModelFile { path: path.to_owned(), problem })
}

fn read_file(path: &Path) -> Result<Model> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let problem = match bytes.strip_prefix(MAGIC_ANY) {
            Some(_) => "it has another format version than 1, which this signalloop reads",
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
    match postcard::from_bytes::<Model>(&body[start..]) {
        Ok(model) if model.record.features_version != crate::features::VERSION => {
            refuse(path, format!("it was trained on features of version {}", model.record.features_version))
        }
        Ok(model) if model.is_sound() => Ok(model),
        Ok(_) => refuse(path, "its trees are not sound".to_owned()),
        Err(e) => refuse(path, format!("it cannot be decoded ({e})")),
    }
}
