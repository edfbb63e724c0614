//! `signalloop doctor`: what is wrong, why it matters, what to do.

use crate::doctor::{Finding, Severity, examine};
use crate::output::Output;
use crate::words::counted;
use crate::{FAILURE, SUCCESS};
use console::{Color, Style};
use engine::Options;
use serde_json::{Value, json};
use std::path::PathBuf;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints everything found, and the runtime (`host`); returns a failure code where there is a fault.
pub async fn doctor(home: Option<PathBuf>, store: Option<String>, host: &str, output: &Output) -> i32 {
    output.news(format!("signalloop {VERSION}, {host}"));
    let found = examine(Options { home, store, ..Options::default() }).await;
    for finding in &found {
        show(finding, output);
    }
    let (faults, warnings) = (count(&found, Severity::Fault), count(&found, Severity::Warning));
    output.line(match (faults, warnings) {
        (0, 0) => "Nothing is wrong.".to_owned(),
        (0, warnings) => format!("It works, with {}.", counted(warnings as u64, "warning", "warnings")),
        (faults, warnings) => format!(
            "{} and {}.",
            counted(faults as u64, "fault", "faults"),
            counted(warnings as u64, "warning", "warnings")
        ),
    });
    output.document(&document(&found, host));
    if faults == 0 { SUCCESS } else { FAILURE }
}

fn count(found: &[Finding], state: Severity) -> usize {
    found.iter().filter(|finding| finding.state == state).count()
}

/// What was found as data, with the runtime (`host`).
pub fn document(found: &[Finding], host: &str) -> Value {
    let healthy = count(found, Severity::Fault) == 0;
    json!({ "version": VERSION, "host": host, "healthy": healthy, "findings": found })
}
/// The column in which findings begin.
const INDENT: usize = 24;

fn show(finding: &Finding, output: &Output) {
    let (word, colour) = match finding.state {
        Severity::Fine => ("ok", Color::Green),
        Severity::Warning => ("warning", Color::Yellow),
        Severity::Fault => ("fault", Color::Red),
    };
    let word = Style::new().fg(colour).apply_to(format!("{word:<8}"));
    let code = finding.code.map_or_else(String::new, |code| format!(" [{code}]"));
    let text = format!("{word} {:<14} {}{code}", finding.check.as_str(), finding.what);
    match finding.state {
        Severity::Fine if output.is_quiet() => {}
        _ => output.hanging(INDENT, text),
    }
    for (name, said) in [("why", finding.why), ("do", finding.advice.as_deref())] {
        if let Some(said) = said {
            output.hanging(INDENT + 5, format!("{:INDENT$}{:<5}{said}", "", format!("{name}:")));
        }
    }
}
