//! Failures of database requests: whether a retry can help, and what a person can do.
//!
//! The table in `docs/postgres.md` explains the same to users.

use crate::StoreUrl;
use domain::error::{Described, Error, Resource};
use std::error::Error as _;
use std::sync::Arc;
use tokio_postgres::error::{DbError, Severity};

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection is unusable, or another one may succeed. The last request may or may not have been done.
    Lost(Error),
    /// Another client held a lock for as long as the server waits for it. Nothing was done, and the connection is usable.
    Busy(Error),
    /// The server refused. Nothing was done, and a retry would not help.
    Refused(Error),
}

/// What helps after an error of the server.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cure {
    /// A new connection, with new prepared statements, a new transaction, and perhaps another server.
    Reconnect,
    /// Waiting, since another client holds a lock.
    Wait,
    /// A person, with this advice.
    Person(&'static str),
}

impl Failure {
    /// The failure of a connection that is unusable.
    pub fn lost(what: impl Into<String>) -> Self {
        Self::Lost(Error::storage(Resource::Database, what.into()))
    }

    /// The failure in words, which never contain the password.
    pub fn to_connect(url: &StoreUrl, error: tokio_postgres::Error) -> Self {
        Self::of(&format!("cannot connect to {url}: "), error)
    }

    /// What went wrong, after the words `before`; never with the password.
    fn of(before: &str, error: tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            let text = format!("{before}{error}{cause}");
            return Self::Lost(Error::storage(Resource::Database, described(text, error)));
        };
        // The server's detail may contain a row; its message does not.
        let text = format!("{before}{} (SQLSTATE {})", said.message(), said.code().code());
        let cure = cure(said);
        let text = match cure {
            Cure::Person(advice) if !advice.is_empty() => format!("{text}: {advice}"),
            _ => text,
        };
        let described = described(text, error);
        match cure {
            Cure::Reconnect => Self::Lost(Error::storage(Resource::Database, described)),
            Cure::Wait => Self::Busy(Error::busy(Resource::Database, described)),
            Cure::Person(_) => Self::Refused(Error::storage(Resource::Database, described)),
        }
    }

    /// The error for a caller that has no further attempt, with what is known of its request.
    pub fn told(self, known: &str) -> Error {
        let (Self::Lost(error) | Self::Busy(error) | Self::Refused(error)) = self;
        if known.is_empty() { error } else { error.noting(known) }
    }

    /// The error.
    pub fn error(&self) -> &Error {
        let (Self::Lost(error) | Self::Busy(error) | Self::Refused(error)) = self;
        error
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::of("", error)
    }
}

/// Adds what is known of the caller's request, if anything, to the error.
fn described(text: String, error: tokio_postgres::Error) -> Described {
    Described { text, source: Arc::new(error) }
}

const TIMEOUT: &str = "the setting `statement_timeout` of this role, its database or its server ended the statement, or \
    somebody called pg_cancel_backend(); see what is set with `SHOW statement_timeout`, and raise it with \
    `ALTER ROLE … SET statement_timeout = '30s'`";
const RIGHTS: &str = "grant the role what \"Rights\" of docs/postgres.md lists";
const DISK: &str = "make room on the server's disk";
const SHORT: &str = "the server is short of memory or another resource: see its log";
const TABLES: &str = "the tables are not those that signalloop made: see that `search_path` names their schema first, and \
    restore what is missing";
const DAMAGED: &str = "the server itself is in trouble: see its log";

/// What helps.
fn cure(said: &DbError) -> Cure {
    let fatal = matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    cure_of(said.code().code(), said.routine(), fatal)
}

/// By code, by the server function that reported it (which is independent of language), and by whether the connection ended.
fn cure_of(code: &str, routine: Option<&str>, fatal: bool) -> Cure {
    let class = code.get(..2).unwrap_or_default();
    match code {
        "55P03" => Cure::Wait,
        // Prepared before a column's type was changed.
        "0A000" if routine == Some("RevalidateCachedQuery") => Cure::Reconnect,
        // Prepared statements or cursors that were deallocated (DISCARD ALL, DEALLOCATE) or belong to another client.
        "26000" | "34000" | "42P05" | "42P03" => Cure::Reconnect,
        "57014" => Cure::Person(TIMEOUT),
        "42501" => Cure::Person(RIGHTS),
        "53100" if !fatal => Cure::Person(DISK),
        "42P01" | "42703" | "42704" | "42883" | "3F000" => Cure::Person(TABLES),
        // 08: the connection. 25: its transaction, or a read-only server, which may be an old or a future primary. 40: a conflict
        // with another transaction.
        _ if matches!(class, "08" | "25" | "40") => Cure::Reconnect,
        // 28: authentication. 3D: the database does not exist.
        _ if fatal && !matches!(class, "28" | "3D") => Cure::Reconnect,
        _ if class == "53" => Cure::Person(SHORT),
        _ if matches!(class, "58" | "XX") => Cure::Person(DAMAGED),
        _ => Cure::Person(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_against_each_kind_of_answer() {
        for (code, fatal, cure) in [
            ("08006", true, Cure::Reconnect),
            ("08P01", false, Cure::Reconnect),
            ("0A000", false, Cure::Person("")),
            ("22021", false, Cure::Person("")),
            ("23505", false, Cure::Person("")),
            ("25006", false, Cure::Reconnect),
            ("25P02", false, Cure::Reconnect),
            ("25P03", true, Cure::Reconnect),
            ("26000", false, Cure::Reconnect),
            ("28P01", true, Cure::Person("")),
            ("3D000", true, Cure::Person("")),
            ("3F000", false, Cure::Person(TABLES)),
            ("40001", false, Cure::Reconnect),
            ("40P01", false, Cure::Reconnect),
            ("42501", false, Cure::Person(RIGHTS)),
            ("42P01", false, Cure::Person(TABLES)),
            ("42P05", false, Cure::Reconnect),
            ("42601", false, Cure::Person("")),
            ("53100", false, Cure::Person(DISK)),
            ("53100", true, Cure::Reconnect),
            ("53200", false, Cure::Person(SHORT)),
            ("53300", true, Cure::Reconnect),
            ("55000", false, Cure::Person("")),
            ("55P03", false, Cure::Wait),
            ("57014", false, Cure::Person(TIMEOUT)),
            ("57P01", true, Cure::Reconnect),
            ("57P03", true, Cure::Reconnect),
            ("57P05", true, Cure::Reconnect),
            ("58030", false, Cure::Person(DAMAGED)),
            ("XX001", false, Cure::Person(DAMAGED)),
            ("", false, Cure::Person("")),
        ] {
            assert_eq!(cure_of(code, None, fatal), cure, "{code}");
        }
        assert_eq!(cure_of("0A000", Some("RevalidateCachedQuery"), false), Cure::Reconnect);
    }
}
