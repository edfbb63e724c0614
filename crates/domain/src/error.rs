//! What can go wrong, each with a stable code. The code is the contract with JavaScript callers (`error.code`);
//! the message names what was wrong, its value, and what to do.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The result of every fallible operation of the core.
pub type Result<T> = std::result::Result<T, Error>;

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
    /// The feedback store could not be read or written.
    #[error("feedback store: {0}")]
    Store(String),
    /// Another process holds the feedback store's lock and did not give it up in time. Nothing was changed: call again.
    #[error("feedback store: {0}")]
    StoreBusy(String),
    /// Another instance has taken over what this one did; nothing of it was written.
    #[error("another instance has taken over `{0}`; nothing was changed")]
    LeaseLost(String),
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {cause}", path = .path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words, and what to do.
        cause: String,
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
            Self::NoPredecessor { .. } => "ERR_NO_PREDECESSOR",
            Self::SignalConflict { .. } => "ERR_SIGNAL_CONFLICT",
            Self::Store(_) => "ERR_STORE",
            Self::StoreBusy(_) => "ERR_STORE_BUSY",
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
        Self::Io { action, path: path.to_owned(), cause: format!("{cause}{}", advice(&cause)) }
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
    fn a_panic_becomes_an_error_with_its_message() {
        let error = guard::<()>(|| panic!("index {} out of range", 7)).unwrap_err();
        assert_eq!(error.code(), "ERR_INTERNAL");
        assert!(error.to_string().contains("index 7 out of range"), "{error}");
    }
}
