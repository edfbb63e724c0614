//! The command line: `signalloop train`, `predict`, `stats` and so on, for people, for scripts (`--json`), and for npm
//! scripts.
//!
//! Each command is a thin layer over `engine` and `report`; the demonstration also uses `simulator`. Results go to
//! standard output, everything else to standard error.
//!
//! Exit codes: 0 everything worked, and its output was written; 1 nothing worked; 2 the arguments were not understood;
//! 3 only a part worked.
//!
//! ```
//! use cli::{Ending, Host, SUCCESS, USAGE};
//!
//! let run = |argument: &str| {
//!     let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//!     runtime.block_on(cli::run(vec![argument.to_owned()], Host::default(), &Ending::default()))
//! };
//! assert_eq!(run("--version"), SUCCESS);
//! assert_eq!(run("no-such-command"), USAGE);
//! ```

mod advise;
mod args;
mod commands;
mod data;
mod demo;
mod demo_replay;
mod details;
mod doctor;
mod failures;
mod help;
mod import;
mod init;
mod knowledge;
mod mcp;
mod models;
mod output;
mod planted;
mod progress;
mod replay;
mod report;
mod scheduler;
mod scorecard;
mod shown;
mod table;
mod words;

use ::mcp::Shapes;
use ::replay::Strategy;
use args::Command;
use domain::cancel::Cancel;
use domain::error::Result;
use learning::OwnModel;
use output::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Everything worked, and the output was written.
pub const SUCCESS: i32 = 0;
/// Nothing worked.
pub const FAILURE: i32 = 1;
/// The arguments were not understood.
pub const USAGE: i32 = 2;
/// Only a part worked.
pub const PARTIAL: i32 = 3;

/// Tells a long-running command to stop. The process itself handles SIGINT and SIGTERM: under Node.js they belong to
/// Node, and a second handler would be called repeatedly.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    asked: Cancel,
    awaited: Arc<AtomicBool>,
}

impl Ending {
    /// Asks the command to stop; `false` when no command is listening, and the process may exit at once.
    pub fn ask(&self) -> bool {
        self.asked.cancel();
        self.awaited.load(Ordering::SeqCst)
    }

    async fn asked(&self) {
        // The error means that `ask` was called, which is what it waits for.
        let _ = self.unless(std::future::pending::<Result<()>>()).await;
    }

    /// Waits for `work`, but no longer than until the command is asked to stop.
    async fn unless<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.awaited.store(true, Ordering::SeqCst);
        self.asked.unless(work).await
    }
}

/// What the process that runs the command line brings.
#[derive(Default)]
pub struct Host {
    /// The runtime in words, for `doctor`.
    pub description: String,
    /// What was loaded for `replay --strategy`.
    pub strategy: Option<Box<dyn Strategy>>,
    /// The user's own model, which `model` in training_config.json names.
    pub own: Option<Arc<dyn OwnModel>>,
    /// What answers look like in the JavaScript API, for `mcp`.
    pub shapes: Option<Arc<dyn Shapes>>,
}

/// Runs the command line with `args`, without the program's name, and returns the exit code.
pub async fn run(args: Vec<String>, host: Host, ending: &Ending) -> i32 {
    // The arguments may be unreadable as a whole, but a script that passed `--json` gets JSON.
    let wants_json = args.iter().any(|arg| arg == "--json");
    let args = match help::parse(args) {
        Ok(args) => args,
        Err(problem) => {
            let output = Output::new(wants_json, false);
            // `--help` and `--version` come this way too; clap knows the right stream and exit code for each.
            let printed = problem.print();
            if problem.use_stderr() {
                output.misunderstood(&problem.to_string());
                return USAGE;
            }
            if let Err(e) = printed {
                output.note(e);
            }
            return told(SUCCESS, &output);
        }
    };
    let output = Output::new(args.json, args.quiet);
    let outcome = match args.command {
        Command::Demo(ref demo) => demo::run(demo, &output).await,
        Command::Doctor => Ok(doctor::doctor(args.home, args.store, &host.description, &output).await),
        Command::Init(ref asked) => init::init(args.home.as_deref(), asked, &output).await,
        Command::Completions(ref asked) => help::completions(asked, &output),
        Command::Simulator(ref simulator) => commands::simulator(simulator, &output).await,
        ref other => commands::run(other, &args, host, &output, ending).await,
    };
    let code = outcome.unwrap_or_else(|error| {
        output.error(&error);
        FAILURE
    });
    told(code, &output)
}

/// The exit code of a command that returned `code`: output that was lost is not a success.
fn told(code: i32, output: &Output) -> i32 {
    match output.arrived() {
        Ok(()) => code,
        Err(error) => {
            output::complain(&error);
            if code == SUCCESS { FAILURE } else { code }
        }
    }
}
