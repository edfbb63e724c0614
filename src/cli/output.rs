//! What is printed where: results on standard output, progress and errors on standard error. Colours only on a terminal,
//! and not where `NO_COLOR` is set.

use super::table::Table;
use crate::error::Error;
use console::{Color, Style};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// How to print.
#[derive(Clone)]
pub struct Output {
    /// One JSON document instead of text.
    pub json: bool,
    quiet: bool,
    /// Standard error is a terminal: bars may move.
    pub bars: bool,
}

impl Output {
    /// Looks at the terminal.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, bars: !json && !quiet && std::io::stderr().is_terminal() }
    }

    /// A line for people; nothing with `--json`.
    pub fn line(&self, text: impl std::fmt::Display) {
        if !self.json {
            print(&mut std::io::stdout(), text);
        }
    }

    /// A line that a quiet run leaves out.
    pub fn news(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// Something to know that is not part of the result; on standard error, so that it never mixes with JSON.
    pub fn warning(&self, text: impl std::fmt::Display) {
        let word = Style::new().for_stderr().fg(Color::Yellow).apply_to("warning:");
        print(&mut std::io::stderr(), format!("{word} {text}"));
    }

    /// The result for scripts; nothing without `--json`.
    pub fn document(&self, value: &Value) {
        if self.json {
            print(&mut std::io::stdout(), format!("{value:#}"));
        }
    }

    /// What ended the command.
    pub fn error(&self, error: &Error) {
        self.document(&json!({ "error": failure(error) }));
        let word = Style::new().for_stderr().fg(Color::Red).bold().apply_to("error:");
        print(&mut std::io::stderr(), format!("{word} {error} [{}]", error.code()));
    }

    /// Why the command was not understood, for scripts; people have been told.
    pub fn misunderstood(&self, why: &str) {
        let message = why.trim().trim_start_matches("error: ");
        self.document(&json!({ "error": { "code": "ERR_INVALID_ARGUMENT", "message": message } }));
    }

    /// A table for people: its heads in bold; nothing with `--json`.
    pub fn table(&self, table: &Table) {
        let mut lines = table.lines().into_iter();
        if let Some(heads) = lines.next() {
            self.line(Style::new().bold().apply_to(heads));
        }
        lines.for_each(|line| self.line(line));
    }
}

/// A reader that went away (`signalloop stats | head -1`) is no failure of the command.
fn print(to: &mut dyn Write, text: impl std::fmt::Display) {
    let _ = writeln!(to, "{text}").and_then(|()| to.flush());
}

/// An error as data.
pub fn failure(error: &Error) -> Value {
    json!({ "code": error.code(), "message": error.to_string() })
}
