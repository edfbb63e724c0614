//! What is wrong when a database does not do what it was asked: whether another try can help, and what a person can do.
//!
//! The table of `docs/postgres.md` says the same to people.

use crate::StoreUrl;
use domain::error::{Described, Error, Resource};
use std::error::Error as _;
use std::sync::Arc;
use tokio_postgres::error::{DbError, Severity};

/// Why something could not be done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection is of no use any more, or another one may do: what was said last was done, or not.
    Lost(Error),
    /// Someone else held a lock for as long as the server was to wait for it; nothing was done, and the connection is sound.
    Busy(Error),
    /// The server refused; nothing was done, and trying again would not change that.
    Refused(Error),
}

/// What helps against an answer of the server.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cure {
    /// Another connection: its prepared statements, its transaction, and perhaps its server are new.
    Reconnect,
    /// To wait: someone holds a lock.
    Wait,
    /// A person, who is told what to do.
    Person(&'static str),
}

impl Failure {
    /// A connection that is of no use any more.
    pub fn lost(what: impl Into<String>) -> Self {
        Self::Lost(Error::storage(Resource::Database, what.into()))
    }

    /// Why it cannot be connected to `url`.
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
        // The server's detail may repeat a row; its message does not.
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

    /// What a caller hears for whom there is no further try, with what is known of what it asked for.
    pub fn told(self, known: &str) -> Error {
        let (Self::Lost(error) | Self::Busy(error) | Self::Refused(error)) = self;
        if known.is_empty() { error } else { error.noting(known) }
    }

    /// What went wrong.
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

fn described(text: String, error: tokio_postgres::Error) -> Described {
    Described { text, source: Arc::new(error) }
}

const TIMEOUT: &str = "the setting `statement_timeout` of this role, its database or its server cut the statement off, or \
    somebody did with pg_cancel_backend(); see what is set with `SHOW statement_timeout`, and raise it with \
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

/// By code, the function of the server that says so, which no language changes, and whether it ended the connection.
fn cure_of(code: &str, routine: Option<&str>, fatal: bool) -> Cure {
    let class = code.get(..2).unwrap_or_default();
    match code {
        "55P03" => Cure::Wait,
        // Prepared before somebody changed a column's type.
        "0A000" if routine == Some("RevalidateCachedQuery") => Cure::Reconnect,
        // Prepared statements or cursors that somebody put away (DISCARD ALL, DEALLOCATE), or that are another's.
        "26000" | "34000" | "42P05" | "42P03" => Cure::Reconnect,
        "57014" => Cure::Person(TIMEOUT),
        "42501" => Cure::Person(RIGHTS),
        "53100" if !fatal => Cure::Person(DISK),
        "42P01" | "42703" | "42704" | "42883" | "3F000" => Cure::Person(TABLES),
        // 08: the connection. 25: its transaction, or a server that can only be read: it may be one that is no longer, or not
        // yet, the one that counts. 40: another transaction came between.
        _ if matches!(class, "08" | "25" | "40") => Cure::Reconnect,
        // 28: who one is. 3D: there is no such database.
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
