//! What can go wrong, each with a stable code. The code is the contract with JavaScript callers (`error.code`);
//! the message names what was wrong, its value, and what to do.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The result of every fallible operation of the core.
pub type Result<T> = std::result::Result<T, Error>;

/// The error that another one comes from.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// What could not be read or written, or is held by another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The signals and their ends.
    FeedbackStore,
    /// The models, and which of them is in service.
    ModelRegistry,
    /// What is remembered of tasks, their runs and their jobs.
    Scheduler,
    /// What is known of the loop's own live results.
    PerformanceState,
    /// What trainings came to, by market.
    TrainingResults,
    /// What past replays were tried with, and what they brought.
    ReplayLedger,
    /// The database as a whole: its connection, its schema, its leases.
    Database,
}

/// As a message calls it.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FeedbackStore => "feedback store",
            Self::ModelRegistry => "model registry",
            Self::Scheduler => "scheduler",
            Self::PerformanceState => "performance state",
            Self::TrainingResults => "training results",
            Self::ReplayLedger => "ledger of replays",
            Self::Database => "database",
        })
    }
}

/// Every error of the core.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A signal handed in is missing a field or holds a value that cannot be right.
    #[error("signal field `{field}` {problem}; got {value}")]
    InvalidSignal {
        /// The field as the caller spells it in camelCase.
        field: &'static str,
        /// What is allowed, phrased to follow the field's name.
        problem: &'static str,
        /// The offending value.
        value: String,
    },
    /// Any other argument is missing or out of range.
    #[error("argument `{argument}` {problem}; got {value}")]
    InvalidArgument {
        /// The argument's name.
        argument: &'static str,
        /// What is allowed, phrased to follow the argument's name.
        problem: String,
        /// The offending value.
        value: String,
    },
    /// A configuration file or option holds a wrong value.
    #[error("{file}: `{key}` {allowed}; got {value}")]
    InvalidConfig {
        /// The file the value came from, or `options`.
        file: String,
        /// The key, dotted where nested.
        key: String,
        /// The offending value.
        value: String,
        /// What is allowed, phrased to follow the key.
        allowed: String,
    },
    /// Candles that contradict themselves: disorder, NaN, a low above the high.
    #[error("candle {index}: `{field}` {problem}; got {value}")]
    InvalidCandle {
        /// Position in the array or file, from 0.
        index: usize,
        /// The candle's field.
        field: &'static str,
        /// What is allowed, phrased to follow the field.
        problem: &'static str,
        /// The offending value.
        value: String,
    },
    /// A candle file or a source of candles holds one that cannot be used.
    #[error("{place}: {problem}")]
    BadCandle {
        /// File and line, or market and open time.
        place: String,
        /// What is wrong with it, with the offending value.
        problem: String,
    },
    /// The exchange refused, or could not be reached.
    #[error("{0}")]
    Exchange(String),
    /// The exchange does not trade this symbol: it is misspelt, or it was delisted. Asking again does not help.
    #[error("{said}; {symbol} is misspelt or not traded any more: correct it, or remove it from `symbols`")]
    NotTraded {
        /// The symbol asked for.
        symbol: String,
        /// Of what the exchange said it, and its words.
        said: String,
    },
    /// There are not enough candles to do what was asked.
    #[error("{0}")]
    NoData(String),
    /// No model is in service for this symbol and timeframe.
    #[error(
        "no model for {symbol} {timeframe}: train one with `signalloop train --symbol {symbol} --timeframe {timeframe}`"
    )]
    NoModel {
        /// The symbol asked for.
        symbol: String,
        /// The timeframe asked for.
        timeframe: String,
    },
    /// A model file is damaged, foreign, or of another version.
    #[error("model file {path}: {problem}", path = .path.display())]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// The user's own model failed, or answered something that it must not.
    #[error("your model `{name}`: {problem}")]
    OwnModel {
        /// Its name.
        name: String,
        /// What went wrong, with the offending value.
        problem: String,
    },
    /// The model in service weighs an own model that this process does not have.
    #[error(
        "the model in service weighs your model `{name}`, but this process was given {given}: give it as \
         `new SignalLoop({{ model }})` or, for the command line, as `model` in training_config.json"
    )]
    OwnModelMissing {
        /// The name of the model that is missing.
        name: String,
        /// The own model that was given instead, or `none`.
        given: String,
    },
    /// A rollback was asked for, and there is no earlier model that could serve.
    #[error("no model of {market} older than version {version} can be read, so there is none to roll back to")]
    NoPredecessor {
        /// The symbol and timeframe.
        market: String,
        /// The version in service, which stays so.
        version: u64,
    },
    /// The same signal id was recorded before with other content.
    #[error(
        "signal `{id}` was recorded before with another {field}; a signal is recorded once, give the new one its own id"
    )]
    SignalConflict {
        /// The signal's id.
        id: String,
        /// The first field that differs.
        field: &'static str,
    },
    /// A resource could not be read or written.
    #[error("{resource}: {source}")]
    Storage {
        /// What could not.
        resource: Resource,
        /// Why, and what to do.
        source: Cause,
    },
    /// Another process holds a resource's lock and did not give it up in time. Nothing was changed: call again.
    #[error("{resource}: {source}")]
    Busy {
        /// What is locked.
        resource: Resource,
        /// By whom, where that can be told, and what to do.
        source: Cause,
    },
    /// Another instance has taken over what this one did; nothing of it was written.
    #[error("another instance has taken over `{0}`; nothing was changed")]
    LeaseLost(String),
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {source}{advice}", path = .path.display(), advice = advice(.source))]
    Io {
        /// What was tried: `read`, `write`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error; the message adds what to do about it.
        source: Arc<std::io::Error>,
    },
    /// A task of the scheduler is under way already, here or in another process. Nothing was begun.
    #[error("it is under way already: {0}")]
    TaskBusy(String),
    /// The caller's abort signal fired, or the loop was closed meanwhile.
    #[error("cancelled: {0}")]
    Cancelled(String),
    /// The loop was closed; nothing can be asked of it any more.
    #[error("this signalloop was closed; create a new one with `new SignalLoop()`")]
    Closed,
    /// A defect of signalloop itself, caught before it could take the process down.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

impl Error {
    /// The stable code, `ERR_…`, that JavaScript sees as `error.code`. One more is `loading.js`'s own, where there is no native
    /// part to be had: `ERR_NO_ADDON`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidSignal { .. } => "ERR_INVALID_SIGNAL",
            Self::InvalidArgument { .. } => "ERR_INVALID_ARGUMENT",
            Self::InvalidConfig { .. } => "ERR_INVALID_CONFIG",
            Self::InvalidCandle { .. } | Self::BadCandle { .. } => "ERR_INVALID_CANDLE",
            Self::Exchange(_) | Self::NotTraded { .. } => "ERR_EXCHANGE",
            Self::NoData(_) => "ERR_NO_DATA",
            Self::NoModel { .. } => "ERR_NO_MODEL",
            Self::ModelFile { .. } => "ERR_MODEL_FILE",
            Self::OwnModel { .. } | Self::OwnModelMissing { .. } => "ERR_OWN_MODEL",
            Self::NoPredecessor { .. } => "ERR_NO_PREDECESSOR",
            Self::SignalConflict { .. } => "ERR_SIGNAL_CONFLICT",
            Self::Storage { .. } => "ERR_STORE",
            Self::Busy { .. } => "ERR_STORE_BUSY",
            Self::LeaseLost(_) => "ERR_LEASE_LOST",
            Self::Io { .. } => "ERR_IO",
            Self::TaskBusy(_) => "ERR_TASK_BUSY",
            Self::Cancelled(_) => "ERR_CANCELLED",
            Self::Closed => "ERR_CLOSED",
            Self::Internal(_) => "ERR_INTERNAL",
        }
    }

    /// Whether it says that a symbol is not traded, which concerns that symbol alone and for good.
    pub fn is_not_traded(&self) -> bool {
        matches!(self, Self::NotTraded { .. })
    }

    /// A file operation that failed, with the path it failed on, and what to do.
    pub fn io(action: &'static str, path: &Path, cause: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(cause) }
    }

    /// A resource that could not be read or written: an error underneath, or words.
    pub fn storage(resource: Resource, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Storage { resource, source: Arc::from(source.into()) }
    }

    /// A resource that someone else holds: an error underneath, or words.
    pub fn busy(resource: Resource, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Busy { resource, source: Arc::from(source.into()) }
    }

    /// A failed file operation as one on a resource; every other error as it is.
    pub fn of(self, resource: Resource) -> Self {
        match self {
            Self::Io { .. } => Self::storage(resource, self),
            other => other,
        }
    }

    /// An error of a resource, followed by what is known of what the caller asked for; every other error as it is.
    pub fn noting(self, note: &str) -> Self {
        let noted = |source: Cause| -> Cause { Arc::new(Described { text: format!("{source}; {note}"), source }) };
        match self {
            Self::Storage { resource, source } => Self::Storage { resource, source: noted(source) },
            Self::Busy { resource, source } => Self::Busy { resource, source: noted(source) },
            other => other,
        }
    }

    /// A wrong field of a signal as an argument of its name; every other error as it is.
    pub fn into_argument(self) -> Self {
        match self {
            Self::InvalidSignal { field, problem, value } => {
                Self::InvalidArgument { argument: field, problem: problem.to_owned(), value }
            }
            other => other,
        }
    }

    /// A bad argument other than a signal, a candle or a configuration value.
    pub fn argument(argument: &'static str, problem: impl Into<String>, value: impl std::fmt::Display) -> Self {
        Self::InvalidArgument { argument, problem: problem.into(), value: shown(value) }
    }
}

/// An error in words of its own, with the one that it comes from.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Described {
    /// The whole message.
    pub text: String,
    /// What it comes from; `text` need not repeat its words.
    pub source: Cause,
}

/// What failed, and the error that it comes from: `cannot start a thread: …`.
pub fn because(what: impl fmt::Display, source: impl std::error::Error + Send + Sync + 'static) -> Described {
    Described { text: format!("{what}: {source}"), source: Arc::new(source) }
}

/// What to do about a file operation that failed, to follow the operating system's words; empty where they say it all.
pub fn advice(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; let the user that runs this write there, or choose another place"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room on that disk",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "; a file is where a folder must be: move it away, or choose another place"
        }
        ErrorKind::IsADirectory => "; a folder is where a file must be: move it away, or choose another place",
        _ => "",
    }
}

/// A value as an error shows it: the first 200 characters.
pub fn shown(value: impl std::fmt::Display) -> String {
    const MOST: usize = 200;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
        None => text,
    }
}

/// Runs `work` and turns a panic in it into [`Error::Internal`], so that no defect takes Node down.
pub fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// A panic that was caught, as an error with its message.
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Error::Internal(text.unwrap_or_else(|| "panic without a message".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(shown("short"), "short");
        let cut = shown("ä".repeat(1_000_000));
        assert!(cut.starts_with("ää") && cut.ends_with("… (1000000 characters)") && cut.len() < 500, "{cut}");
    }

    #[test]
    fn a_failed_file_operation_keeps_its_source() {
        use std::error::Error as _;
        let failed = Error::io("append to", Path::new("signals.jsonl"), ErrorKind::StorageFull.into());
        let whole = failed.clone().of(Resource::FeedbackStore).noting("nothing of it was recorded");
        assert_eq!((failed.code(), whole.code()), ("ERR_IO", "ERR_STORE"));
        let expected = format!("feedback store: {failed}; nothing of it was recorded");
        assert!(expected.contains("; make room on that disk; nothing"), "{expected}");
        assert_eq!(whole.to_string(), expected);
        let (mut chain, mut below) = (Vec::new(), whole.source());
        while let Some(error) = below {
            chain.push(error.to_string());
            below = error.source();
        }
        let system = std::io::Error::from(ErrorKind::StorageFull).to_string();
        assert_eq!(chain, [&expected["feedback store: ".len()..], &failed.to_string(), &system]);
        assert_eq!(Error::Closed.of(Resource::Database).noting("x").code(), "ERR_CLOSED");
    }

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let error = guard::<()>(|| panic!("index {} out of range", 7)).unwrap_err();
        assert_eq!(error.code(), "ERR_INTERNAL");
        assert!(error.to_string().contains("index 7 out of range"), "{error}");
    }
}
