//! A file cache of models in a database, so that a restart needs neither to fetch them again nor to reach the database for what
//! was last in service.
//!
//! For each market it has the model in service, `{market}/v000012.model`, and `{market}/champion.json`, which names it; `pools/`
//! has the pooled models that they need. The cache may be damaged or deleted at any time: files with a wrong checksum are
//! ignored.

use domain::error::{Error, Result};
use domain::symbol::Market;
use registry::folder::file_name;
use registry::pool::{Pool, checksum};
use registry::pool_files::PoolFiles;
use registry::store::{Checksum, Head, Served};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use storage::write_atomically;

/// The file that says which model is in service.
const POINTER: &str = "champion.json";

/// The cache of one database.
pub(super) struct Cache {
    folder: PathBuf,
    pools: PoolFiles,
}

/// The content of `champion.json`.
#[derive(Serialize, Deserialize)]
struct Pointer {
    version: u64,
    checksum: Checksum,
    #[serde(default)]
    pool: Option<Checksum>,
}

impl Cache {
    pub fn new(folder: PathBuf) -> Self {
        Self { pools: PoolFiles::new(folder.clone()), folder }
    }

    fn of(&self, market: &Market) -> PathBuf {
        self.folder.join(market.file_stem())
    }

    /// What was last known to be in service.
    pub fn head(&self, market: &Market) -> Option<Head> {
        let bytes = std::fs::read(self.of(market).join(POINTER)).ok()?;
        let Pointer { version, checksum, pool } = serde_json::from_slice(&bytes).ok()?;
        Some(Head { batch: 0, served: Some(Served { version, checksum: Some(checksum), pool }) })
    }

    /// The model of a version, if it is cached and undamaged.
    pub fn bytes(&self, market: &Market, version: u64, expected: Checksum) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.of(market).join(file_name(version))).ok()?;
        (checksum(&bytes) == expected).then_some(bytes)
    }

    /// A pooled model, if it is cached and undamaged.
    pub fn pool(&self, checksum: &Checksum) -> Option<Vec<u8>> {
        self.pools.read(checksum).ok().flatten()
    }

    /// Whether an undamaged pooled model is cached.
    pub fn has_pool(&self, checksum: &Checksum) -> bool {
        self.pools.has(checksum).unwrap_or(false)
    }

    /// Caches a pooled model.
    ///
    /// # Errors
    /// [`Error::Io`]; it must be fetched again later.
    pub fn keep_pool(&self, pool: &Pool) -> Result<()> {
        self.pools.keep(pool)
    }

    /// Deletes the pooled models that no cached model needs.
    pub fn purge_pools(&self) {
        self.pools.purge();
    }

    /// Caches the model in service, which needs `pool`, and removes the previous one.
    ///
    /// # Errors
    /// [`Error::Io`]; it must be fetched again later.
    pub fn keep(&self, market: &Market, version: u64, bytes: &[u8], pool: Option<Checksum>) -> Result<()> {
        let folder = self.of(market);
        write_atomically(&folder.join(file_name(version)), bytes)?;
        let pointer = serde_json::to_vec(&Pointer { version, checksum: checksum(bytes), pool })
            .map_err(|e| Error::Internal(format!("cannot encode which model is in service: {e}")))?;
        write_atomically(&folder.join(POINTER), &pointer)?;
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|e| e == "model") && !path.ends_with(file_name(version)) {
                // A file that cannot be deleted now, as on Windows while it is read, is deleted the next time.
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }
}
