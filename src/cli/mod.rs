//! The command line: `signalloop train`, `predict`, `stats` … for people, for scripts (`--json`), and for npm scripts.
//!
//! Exit codes: 0 all of it worked; 1 none of it did; 2 the command was not understood; 3 some of it did.

mod args;
mod commands;
mod data;
mod demo;
mod output;
mod progress;
mod scheduler;

use args::{Args, Command};
use clap::Parser;
use output::Output;

/// All of it worked.
pub const SUCCESS: i32 = 0;
/// None of it worked.
pub const FAILURE: i32 = 1;
/// The command was not understood.
pub const USAGE: i32 = 2;
/// Some of it worked.
pub const PARTIAL: i32 = 3;

/// Runs the command line with `args`, the program's name not included, and returns the exit code.
pub async fn run(args: Vec<String>) -> i32 {
    let args = match Args::try_parse_from(std::iter::once("signalloop".to_owned()).chain(args)) {
        Ok(args) => args,
        Err(problem) => {
            // `--help` and `--version` come this way too; clap knows which stream and which code each deserves.
            let _ = problem.print();
            return if problem.use_stderr() { USAGE } else { SUCCESS };
        }
    };
    let output = Output::new(args.json, args.quiet);
    let outcome = match args.command {
        Command::Demo(ref demo) => demo::run(demo, &output).await,
        Command::Simulator(ref simulator) => commands::simulator(simulator, &output).await,
        ref other => commands::run(other, &args, &output).await,
    };
    outcome.unwrap_or_else(|error| {
        output.error(&error);
        FAILURE
    })
}
