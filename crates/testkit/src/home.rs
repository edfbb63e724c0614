//! Where a test keeps its signals. Tests of behaviour that both stores share run on a folder and on a database.

use feedback::{FeedbackStore, StoreOptions};
use std::path::Path;

/// A storage place for one test; removed when dropped.
pub enum Home {
    Folder(tempfile::TempDir),
    Database(crate::server::Schema),
}

impl Home {
    /// A folder.
    pub fn folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    /// The folder of a home of that kind.
    pub fn path(&self) -> &Path {
        self.as_folder().expect("a folder")
    }

    /// The folder, if it is one.
    pub fn as_folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder.path()),
            Self::Database(_) => None,
        }
    }

    /// The name under which a child process opens it.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.path().display().to_string(),
            Self::Database(schema) => schema.url.clone(),
        }
    }

    pub fn open(&self) -> FeedbackStore {
        self.open_with(StoreOptions::default())
    }

    pub fn open_with(&self, options: StoreOptions) -> FeedbackStore {
        open_named(&self.name(), options)
    }

    /// Number of written changes.
    pub fn changes(&self) -> usize {
        match self {
            Self::Folder(folder) => crate::log(folder.path()).lines().count(),
            Self::Database(schema) => schema.number("SELECT position FROM signals_position") as usize,
        }
    }
}

/// Opens the store of the [`Home`] with this name.
pub fn open_named(name: &str, options: StoreOptions) -> FeedbackStore {
    if name.starts_with("postgres:") {
        return crate::server::open(name, options);
    }
    FeedbackStore::open(Path::new(name), options).unwrap()
}

/// Makes two tests of each function: one on a folder, one on a database.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod in_a_folder {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name($crate::home::Home::folder()).await;
                }
            )*
        }

        mod in_a_database {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    if let Some(schema) = $crate::server::schema(stringify!($name)) {
                        super::$name($crate::home::Home::Database(schema)).await;
                    }
                }
            )*
        }
    };
}
pub use crate::on_both;
