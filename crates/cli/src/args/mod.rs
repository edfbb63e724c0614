//! The arguments of the command line.

mod data;
mod models;
mod replay;
mod scheduler;
mod serve;
mod signals;
mod tryout;
pub(super) mod values;

pub use data::{Data, DataCheck, DataFeatures, DataImport, DataReading, Fetch};
pub use models::{Learn, LearnMode, Mode, Predict, Retrain, Rollback, Train, TrainNow};
pub use replay::{Adopt, OwnRisk, Replay};
pub use scheduler::{Alerts, Next, Scheduler, SchedulerArgs};
pub use serve::{Dashboard, Mcp, Report};
pub use signals::{Advise, CopySignals, File, Import, Patterns, Scorecard, Stats, Store};
pub use tryout::{Completions, Demo, FaultRate, Simulator};

use super::help::COMMON;
use super::init::Init;
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use std::path::PathBuf;

/// A feedback loop for trading signals: it records them, closes them by price, learns, and predicts.
#[derive(Debug, Parser)]
#[command(
    name = "signalloop",
    version,
    max_term_width = 100,
    after_help = "Start with `signalloop demo`: everything on a simulated market, without network, in under a minute. Then \
                  `signalloop init` writes the configuration of a home of your own. `signalloop COMMAND --help` has examples.\n\
                  Exit codes: 0 all of it worked, 1 none of it, 2 the command was not understood, 3 some of it.",
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub struct Args {
    /// The folder that holds everything [default: $SIGNALLOOP_HOME, else ./ml]
    #[arg(long, global = true, value_name = "FOLDER", help_heading = COMMON)]
    pub home: Option<PathBuf>,
    /// Where the signals are: postgres://…, or `files` for the home [default: $SIGNALLOOP_STORE, else files]
    #[arg(long, global = true, value_name = "URL", help_heading = COMMON)]
    pub store: Option<String>,
    /// Print one JSON document on standard output, for scripts
    #[arg(long, global = true, help_heading = COMMON)]
    pub json: bool,
    /// Print results only, no progress
    #[arg(long, short, global = true, help_heading = COMMON)]
    pub quiet: bool,
    /// Print help
    #[arg(long, short, global = true, action = ArgAction::Help, help_heading = COMMON)]
    help: Option<bool>,
    /// Print the version
    #[arg(long, short = 'V', action = ArgAction::Version, help_heading = COMMON)]
    version: Option<bool>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// Returns the arguments, unless flags contradict each other.
    ///
    /// # Errors
    /// A sentence that names them.
    pub fn consistent(self) -> Result<Self, clap::Error> {
        let problem = match &self.command {
            Command::Train(train) => train.contradiction(),
            Command::Scheduler(scheduler) => scheduler.command().err(),
            Command::Mcp(mcp) if self.json && mcp.http.is_none() => Some(
                "--json is for commands that print a result: without --http, standard output belongs to the protocol",
            ),
            _ => None,
        };
        match problem {
            Some(problem) => Err(Self::command().error(ErrorKind::ArgumentConflict, problem)),
            None => Ok(self),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write both configuration files of a home, with all keys explained; asks on a terminal
    Init(Init),
    /// Train a model for every configured symbol and timeframe, or for those named
    Train(TrainNow),
    /// Train again the models that are missing, damaged or old
    Retrain(Retrain),
    /// Update candles from the exchange
    Fetch(Fetch),
    /// Check candle files, or import them from elsewhere
    #[command(subcommand)]
    Data(Data),
    /// Predict the time after the last stored candle
    Predict(Predict),
    /// Show the results of recorded signals
    Stats(Stats),
    /// Compare predictions made for signals with their outcomes: does following them pay?
    Scorecard(Scorecard),
    /// Replay closed signals with other stops and targets: would other levels have brought more?
    Advise(Advise),
    /// Run the whole loop over past candles and signals: what would it have said, taken and earned?
    Replay(Replay),
    /// Make what `replay --keep` has written the beginning of this home
    Adopt(Adopt),
    /// Learn from a market's closed signals: train or continue its model, or test whether its signals have improved
    Learn(Learn),
    /// Show the rules found in successes and failures
    Patterns(Patterns),
    /// Show the models in service, and how good they are on held-out candles
    Models,
    /// Write a report as one HTML file, to open in a browser
    Report(Report),
    /// Show the report live in a browser, on this machine
    Dashboard(Dashboard),
    /// Let agents ask about signals: a Model Context Protocol server, on standard input and output or over HTTP
    Mcp(Mcp),
    /// Put the previous model back into service
    Rollback(Rollback),
    /// Run the loop automatically: candles, training, evaluation, open signals
    Scheduler(SchedulerArgs),
    /// Try out where alerts are sent
    #[command(subcommand)]
    Alerts(Alerts),
    /// Check the home, its configuration and the exchange: what is wrong, why it matters, and what to do
    Doctor,
    /// Print the state of the home in Prometheus' text format
    Metrics,
    /// Import signals: a signals.jsonl, or what another tool wrote
    Import(Import),
    /// Write all closed signals to a CSV file, with their features at entry
    Export(File),
    /// Manage the place where the signals are kept
    #[command(subcommand)]
    Store(Store),
    /// Rewrite the log of signals with one line per signal
    Compact,
    /// Watch the whole loop at work on a simulated market, without network, in under a minute
    Demo(Demo),
    /// Serve a simulated exchange on this machine, for trying things out and for tests
    Simulator(Simulator),
    /// Print the completions of a shell: the script that makes its Tab key know commands and options
    Completions(Completions),
}
