//! Output: results go to standard output, progress and errors to standard error. Colours are used only on a terminal,
//! and not where `NO_COLOR` is set.

use super::table::Table;
use super::words::wrapped;
use console::{Color, Style, Term};
use domain::error::{Error, Result};
use serde_json::{Value, json};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Where and how to print.
#[derive(Clone)]
pub struct Output {
    /// Print one JSON document instead of text.
    pub json: bool,
    quiet: bool,
    /// Standard error is a terminal that can show progress bars.
    pub bars: bool,
    /// Columns of the terminal that standard output is; `None` if it is none, and lines may have any length.
    width: Option<usize>,
    /// Why some output was lost.
    lost: Arc<OnceLock<Error>>,
}

impl Output {
    /// Examines the terminal.
    pub fn new(json: bool, quiet: bool) -> Self {
        let bars = !json && !quiet && io::stderr().is_terminal();
        Self { json, quiet, bars, width: columns(&Term::stdout()), lost: Arc::default() }
    }

    /// A line of text, broken at spaces if the terminal is narrower; nothing with `--json`.
    pub fn line(&self, text: impl std::fmt::Display) {
        self.hanging(0, text);
    }

    /// [`Self::line`] whose continuation is indented by `indent` columns.
    pub fn hanging(&self, indent: usize, text: impl std::fmt::Display) {
        match self.width {
            Some(width) => self.raw(wrapped(&text.to_string(), width, indent)),
            None => self.raw(text),
        }
    }

    /// Text as it is; nothing with `--json`.
    pub fn raw(&self, text: impl std::fmt::Display) {
        if !self.json {
            self.print(text);
        }
    }

    /// A line that `--quiet` suppresses.
    pub fn news(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// Whether `--quiet` suppresses what is not a result.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A warning, on standard error, so that it never mixes with the result.
    pub fn warning(&self, text: impl std::fmt::Display) {
        let word = Style::new().for_stderr().fg(Color::Yellow).apply_to("warning:");
        write_error(format!("{word} {text}"));
    }

    /// The result as JSON; nothing without `--json`.
    pub fn document(&self, value: &Value) {
        if self.json {
            self.print(format!("{value:#}"));
        }
    }

    /// The error that ended the command.
    pub fn error(&self, error: &Error) {
        self.document(&json!({ "error": failure(error) }));
        complain(error);
    }

    /// Reports as JSON why the arguments were not understood; people have already seen clap's message.
    pub fn misunderstood(&self, why: &str) {
        let message = why.trim().trim_start_matches("error: ");
        self.document(&json!({ "error": { "code": "ERR_INVALID_ARGUMENT", "message": message } }));
    }

    /// Prints a line on standard output, and remembers a failure. A reader that has gone away (`signalloop stats | head
    /// -1`) is not a failure.
    fn print(&self, text: impl std::fmt::Display) {
        if let Err(e) = write(&mut io::stdout(), text) {
            self.note(e);
        }
    }

    /// Remembers why writing to standard output failed.
    pub fn note(&self, problem: io::Error) {
        if problem.kind() != ErrorKind::BrokenPipe {
            // Only the first problem is kept.
            let _ = self.lost.set(Error::io("write", Path::new("standard output"), problem));
        }
    }

    /// Whether all output was written.
    ///
    /// # Errors
    /// [`Error::Io`] if not.
    pub fn arrived(&self) -> Result<()> {
        match self.lost.get() {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// A table with bold headings; nothing with `--json`. On a narrow terminal it has fewer columns, and says which are
    /// missing.
    pub fn table(&self, table: &Table) {
        let (lines, left_out) = table.fitted(self.width);
        let mut lines = lines.into_iter();
        if let Some(heads) = lines.next() {
            self.raw(Style::new().bold().apply_to(heads));
        }
        lines.for_each(|line| self.raw(line));
        if !left_out.is_empty() {
            self.news(format!("A wider terminal shows also: {}.", left_out.join(", ")));
        }
    }
}

/// Writes a whole line: a pipe that other programs made non-blocking may be full for a while.
fn write(to: &mut dyn Write, text: impl std::fmt::Display) -> io::Result<()> {
    let line = format!("{text}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match patiently(|| to.write(rest))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => rest = &rest[written..],
        }
    }
    patiently(|| to.flush())
}

fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Prints on standard error what ended the command.
pub fn complain(error: &Error) {
    let word = Style::new().for_stderr().fg(Color::Red).bold().apply_to("error:");
    write_error(format!("{word} {error} [{}]", error.code()));
}

/// The width of a terminal; `None` for what is no terminal.
fn columns(of: &Term) -> Option<usize> {
    let (_, columns) = of.size_checked().filter(|_| of.is_term())?;
    // A terminal that does not know its size says 0.
    (columns > 0).then(|| usize::from(columns))
}

/// Writes a line on standard error; if that fails, there is nowhere left to report it.
fn write_error(line: impl std::fmt::Display) {
    let _ = match columns(&Term::stderr()) {
        Some(width) => write(&mut io::stderr(), wrapped(&line.to_string(), width, 2)),
        None => write(&mut io::stderr(), line),
    };
}

/// An error as data.
pub fn failure(error: &Error) -> Value {
    json!({ "code": error.code(), "message": error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that takes two bytes at a time and is full every other time.
    #[derive(Default)]
    struct Slow(Vec<u8>, usize);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(2) {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.0.extend_from_slice(&bytes[..bytes.len().min(2)]);
            Ok(bytes.len().min(2))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_pipe_gets_the_whole_line() {
        let mut to = Slow::default();
        write(&mut to, "seven!!").unwrap();
        assert_eq!(to.0, b"seven!!\n");
    }

    #[test]
    fn lost_output_is_an_error_unless_the_reader_left() {
        let output = Output::new(false, false);
        output.note(ErrorKind::BrokenPipe.into());
        assert!(output.arrived().is_ok());
        output.clone().note(ErrorKind::StorageFull.into());
        let error = output.arrived().unwrap_err();
        assert_eq!((error.code(), error.to_string().starts_with("cannot write standard output: ")), ("ERR_IO", true));
    }
}
