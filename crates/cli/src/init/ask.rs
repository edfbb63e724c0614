//! Questions on a terminal, one line each. The terminal itself edits the line, so every terminal and screen reader works.

use domain::error::{Error, Result};
use std::io::{BufRead, Write};

/// Asks on one stream, and reads the answers from another.
pub struct Questions<R, W> {
    answers: R,
    to: W,
}

impl<R: BufRead, W: Write> Questions<R, W> {
    /// Reads answers from `answers`, and writes questions to `to`.
    pub fn new(answers: R, to: W) -> Self {
        Self { answers, to }
    }

    /// Asks until the answer is one that `read` takes; an empty answer is `default`. The error of `read` says what is
    /// allowed.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the input ends first; [`Error::Io`] if the terminal fails.
    pub fn ask<T>(&mut self, question: &str, default: &str, read: impl Fn(&str) -> Result<T>) -> Result<T> {
        loop {
            self.say(&format!("{question} [{default}] "))?;
            let mut line = String::new();
            if self.answers.read_line(&mut line).map_err(|cause| terminal("read", cause))? == 0 {
                self.say("\n")?;
                let problem = "was ended before all questions were answered; nothing was written";
                return Err(Error::argument("init", problem, "the end of the input"));
            }
            let answer = line.trim();
            match read(if answer.is_empty() { default } else { answer }) {
                Ok(value) => return Ok(value),
                Err(error) => self.say(&format!("  {error}\n"))?,
            }
        }
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()).map_err(|cause| terminal("write", cause))
    }
}

fn terminal(what: &'static str, cause: std::io::Error) -> Error {
    Error::io(what, std::path::Path::new("the terminal"), cause)
}

/// Reads yes or no.
///
/// # Errors
/// [`Error::InvalidArgument`] for anything else.
pub fn yes_or_no(answer: &str) -> Result<bool> {
    match answer.to_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err(Error::argument("answer", "must be y or n", answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_asked_again_and_an_empty_one_is_the_default() {
        let mut shown = Vec::new();
        let mut questions = Questions::new(&b"maybe\n Y \n\n"[..], &mut shown);
        assert!(questions.ask("Fetch now?", "n", yes_or_no).unwrap());
        assert!(!questions.ask("Again?", "n", yes_or_no).unwrap());
        let error = questions.ask("And again?", "n", yes_or_no).unwrap_err().to_string();
        assert!(error.contains("nothing was written"), "{error}");
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(
            shown,
            "Fetch now? [n]   argument `answer` must be y or n; got maybe\nFetch now? [n] Again? [n] And again? [n] \n"
        );
    }
}
