//! The arguments of the command line.

use super::help::COMMON;
use super::init::Init;
use candles::{BadRows, Columns, DateOrder, Origin};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use domain::config::span::{HOUR, parse_span};
use domain::signal::{STRATEGY, is_strategy};
use domain::symbol::{Symbol, Timeframe};
use domain::time::Tz;
use domain::time::parse_time;
use domain::venue::Venue;
use readers::Format;
use replay::Part;
use scheduler::Task;
use simulator::Fault;
use std::net::{IpAddr, SocketAddr};
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

/// The scheduler's commands, by a subcommand or by the `--mode` of the previous system.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SchedulerArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Scheduler>,
    /// The same as the subcommand of this name
    #[arg(long, value_enum)]
    pub mode: Option<SchedulerMode>,
    /// The task of `--mode once`
    #[arg(long, value_parser = task, requires = "mode")]
    pub task: Option<Task>,
}

/// The scheduler's commands in the names of the previous system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SchedulerMode {
    /// Run what is due
    Run,
    /// Run one task now
    Once,
    /// Show when each task is due
    Status,
}

/// What to do with the scheduler.
#[derive(Debug, Clone, Subcommand)]
pub enum Scheduler {
    /// Run tasks when they are due, until Ctrl-C or SIGTERM; stands by while another process of the home does
    Run,
    /// Run one task now
    Once(Once),
    /// Show when each task is due, and the result of its last run
    Status,
    /// Print the due times within a period, as if each task had last run at its beginning
    Next(Next),
}

/// What to do with alerts.
#[derive(Debug, Clone, Subcommand)]
pub enum Alerts {
    /// Send a test message to each destination of `alerts` in scheduler_config.json, and say what came of it
    Test {
        /// Only to the destination with this name
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
}

/// Which task to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Once {
    /// fetch, retrain, update, evaluate or watch
    #[arg(long, value_parser = task)]
    pub task: Task,
}

/// The period and the task.
#[derive(Debug, Clone, clap::Args)]
pub struct Next {
    /// After this time, such as 2026-03-28T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: i64,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: i64,
    /// Only of this task [default: all but watch]
    #[arg(long, value_parser = task)]
    pub task: Option<Task>,
}

/// Which markets.
#[derive(Debug, clap::Args)]
pub struct Markets {
    /// A symbol, BTCUSDT or BTC/USDT; may be given several times [default: the configured ones]
    #[arg(long = "symbol", value_name = "SYMBOL", value_parser = Symbol::parse)]
    pub symbols: Vec<Symbol>,
    /// A timeframe, 1h; may be given several times [default: the configured ones]
    #[arg(long = "timeframe", value_name = "TIMEFRAME", value_parser = Timeframe::parse)]
    pub timeframes: Vec<Timeframe>,
}

/// What to fetch.
#[derive(Debug, clap::Args)]
pub struct Fetch {
    /// Which markets.
    #[command(flatten)]
    pub markets: Markets,
    /// Drop stored candles from before this time, for good, and fetch none [default: all there is, or history_days ago]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
}

/// Commands for candle files.
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Report what is wrong with candle files, and change nothing
    Check(DataCheck),
    /// Add the candles of files to those stored
    Import(DataImport),
    /// Write features and outcomes of the stored candles as CSV, to train a model elsewhere
    Features(DataFeatures),
}

/// Which rows to write, and where.
#[derive(Debug, clap::Args)]
pub struct DataFeatures {
    /// Which markets.
    #[command(flatten)]
    pub markets: Markets,
    /// The CSV file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// The files to check.
#[derive(Debug, clap::Args)]
pub struct DataCheck {
    /// The files [default: all candle files of the home]
    #[arg(requires = "timeframe")]
    pub files: Vec<PathBuf>,
    /// The timeframe of the files given
    #[arg(long, value_parser = Timeframe::parse, requires = "files")]
    pub timeframe: Option<Timeframe>,
    /// How to read them.
    #[command(flatten)]
    pub reading: DataReading,
}

/// The files to import.
#[derive(Debug, clap::Args)]
pub struct DataImport {
    /// The files, CSV or JSON
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The symbol of their candles, BTCUSDT or BTC/USDT
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Symbol,
    /// The timeframe of their candles
    #[arg(long, value_parser = Timeframe::parse)]
    pub timeframe: Timeframe,
    /// How to read them.
    #[command(flatten)]
    pub reading: DataReading,
}

/// How to read a candle file.
#[derive(Debug, clap::Args)]
pub struct DataReading {
    /// What the columns are, such as time,open,close,high,low,volume [default: what the header says, else Binance's order]
    #[arg(long, value_name = "NAMES")]
    pub columns: Option<Columns>,
    /// The exchange whose response or archive it is: binance, bybit, coinbase, kraken, kucoin or okx [default:
    /// detected]
    #[arg(long, value_name = "NAME")]
    pub from: Option<Origin>,
    /// Ignore candles that open before this time, such as 2022-05-31T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
    /// The time zone of times without an offset, such as Europe/Berlin [default: UTC, and reported]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub timezone: Option<Tz>,
    /// The order of day and month in dates such as 1/2/2024: dmy or mdy [default: detected]
    #[arg(long, value_name = "ORDER")]
    pub dates: Option<DateOrder>,
    /// What to do with impossible rows: refuse the file, skip them, or widen a high or low that lies within the body
    #[arg(long, value_name = "WHAT", default_value = "refuse")]
    pub bad_rows: BadRows,
}

/// What to train.
#[derive(Debug, clap::Args)]
pub struct Train {
    /// Which markets.
    #[command(flatten)]
    pub markets: Markets,
    /// Train on the candles already stored
    #[arg(long)]
    pub no_fetch: bool,
}

/// What to train, and how.
#[derive(Debug, clap::Args)]
pub struct TrainNow {
    /// Which markets, and whether to fetch.
    #[command(flatten)]
    pub train: Train,
    /// What to train, or how [default: full]
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// With `--mode retrain`: skip models younger than this, in hours or as 24h [default: retrain_interval_hours, 24]
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub max_age: Option<f64>,
}

/// What to train, or how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Each model on all its rows, from scratch
    Full,
    /// Continue the models in service with new trees; train in full where that is not possible
    Incremental,
    /// All configured symbols, from scratch
    All,
    /// The models that are missing, damaged or older than `--max-age`, as `signalloop retrain`
    Retrain,
    /// The symbols of `--symbol`, from scratch
    Symbol,
}

impl TrainNow {
    fn contradiction(&self) -> Option<&'static str> {
        let names_symbols = !self.train.markets.symbols.is_empty();
        match self.mode {
            Some(Mode::All) if names_symbols => {
                Some("--mode all trains every configured symbol: leave --symbol out, or use --mode symbol")
            }
            Some(Mode::Symbol) if !names_symbols => Some("--mode symbol needs --symbol: name the symbols to train"),
            Some(Mode::Retrain) => None,
            _ if self.max_age.is_some() => Some("--max-age is the age of a model to train again: add --mode retrain"),
            _ => None,
        }
    }
}

impl SchedulerArgs {
    /// The command.
    ///
    /// # Errors
    /// A sentence that says which argument is missing or superfluous.
    pub fn command(&self) -> Result<Scheduler, &'static str> {
        match (&self.command, self.mode, self.task) {
            (Some(command), _, _) => Ok(command.clone()),
            (None, Some(SchedulerMode::Once), Some(task)) => Ok(Scheduler::Once(Once { task })),
            (None, Some(SchedulerMode::Once), None) => {
                Err("--mode once needs --task: fetch, retrain, update, evaluate or watch")
            }
            (None, _, Some(_)) => Err("--task is for --mode once: it runs one task now"),
            (None, Some(SchedulerMode::Run), None) => Ok(Scheduler::Run),
            (None, Some(SchedulerMode::Status), None) => Ok(Scheduler::Status),
            (None, None, None) => Err("say what to do: run, once, status or next; or --mode run, once or status"),
        }
    }
}

/// What to roll back.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// The symbol, BTCUSDT or BTC/USDT
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Symbol,
    /// The timeframe
    #[arg(long, value_parser = Timeframe::parse, default_value = "1h")]
    pub timeframe: Timeframe,
    /// The reason, for the records
    #[arg(long)]
    pub reason: Option<String>,
}

/// What to train again.
#[derive(Debug, clap::Args)]
pub struct Retrain {
    /// What to train.
    #[command(flatten)]
    pub train: Train,
    /// Skip models younger than this, in hours or as 24h [default: retrain_interval_hours, 24]
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub max_age: Option<f64>,
}

/// One market.
#[derive(Debug, clap::Args)]
pub struct Predict {
    /// The symbol, BTCUSDT or BTC/USDT
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Symbol,
    /// The timeframe
    #[arg(long, value_parser = Timeframe::parse, default_value = "1h")]
    pub timeframe: Timeframe,
}

/// Which signals to search.
#[derive(Debug, clap::Args)]
pub struct Patterns {
    /// Only this symbol
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Option<Symbol>,
    /// Only this timeframe
    #[arg(long, value_parser = Timeframe::parse)]
    pub timeframe: Option<Timeframe>,
}

/// The market, and how to learn.
#[derive(Debug, clap::Args)]
pub struct Learn {
    /// The market.
    #[command(flatten)]
    pub market: Predict,
    /// How
    #[arg(long, value_enum)]
    pub mode: LearnMode,
}

/// How to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LearnMode {
    /// Train a new model from all candles
    Retrain,
    /// Continue the model with newer candles
    Incremental,
    /// Compare the recent half of the closed signals with the early half
    Evaluate,
}

/// Where to write the report.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// The file [default: report.html in the home]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Open it in the browser
    #[arg(long)]
    pub open: bool,
}

/// Where to serve the live view.
#[derive(Debug, clap::Args)]
pub struct Dashboard {
    /// The port; 0 is any free one
    #[arg(long, default_value_t = 4600)]
    pub port: u16,
    /// The address to listen on; with any other than this machine's own, others have access without a password
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: IpAddr,
    /// Open it in the browser
    #[arg(long)]
    pub open: bool,
}

/// How to serve agents.
#[derive(Debug, clap::Args)]
pub struct Mcp {
    /// Also offer tools that record, close and change signals [default: tools that only read]
    #[arg(long)]
    pub write: bool,
    /// Serve over HTTP here instead of standard input and output; port 0 is any free one
    #[arg(long, value_name = "[HOST:]PORT", value_parser = address)]
    pub http: Option<SocketAddr>,
    /// What clients over HTTP must send as a bearer token; others can see an argument, not the variable [default:
    /// $SIGNALLOOP_MCP_TOKEN]
    #[arg(long, value_name = "TOKEN", requires = "http")]
    pub token: Option<String>,
    /// A host name under which to answer over HTTP, besides addresses and localhost; may be given several times
    #[arg(long = "allowed-host", value_name = "NAME", requires = "http")]
    pub allowed_hosts: Vec<String>,
}

/// A port of this machine's own address, or an address and a port.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    const ALLOWED: &str = "must be a port such as 4601, or an address and a port such as 127.0.0.1:4601 or [::1]:4601";
    let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(SocketAddr::new(host.parse().map_err(|_| ALLOWED)?, port.parse().map_err(|_| ALLOWED)?))
}

/// Which signals to count.
#[derive(Debug, clap::Args)]
pub struct Stats {
    /// Only this symbol
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Option<Symbol>,
    /// Only this timeframe
    #[arg(long, value_parser = Timeframe::parse)]
    pub timeframe: Option<Timeframe>,
    /// How many days back [default: 30; without it, the seven snake_case figures of `--json` cover all signals]
    #[arg(long, value_parser = days)]
    pub days: Option<f64>,
    /// All signals, however old
    #[arg(long, conflicts_with = "days")]
    pub all: bool,
}

/// Which signals to score.
#[derive(Debug, clap::Args)]
pub struct Scorecard {
    /// Only signals given at this time or later, such as 2026-03-28T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
    /// Only this strategy
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    pub strategy: Option<String>,
    /// Only this symbol
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Option<Symbol>,
}

/// Which signals to replay.
#[derive(Debug, clap::Args)]
pub struct Advise {
    /// Only signals given at this time or later, such as 2026-03-28T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
    /// Only this strategy; with fewer strategies the intervals are narrower
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    pub strategy: Option<String>,
    /// Only this symbol
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Option<Symbol>,
    /// Only this timeframe
    #[arg(long, value_parser = Timeframe::parse)]
    pub timeframe: Option<Timeframe>,
}

/// What to replay. Without options: the signals of the home, on its candles.
#[derive(Debug, clap::Args)]
pub struct Replay {
    /// A file of signals: a signals.jsonl, or with --format what another tool wrote [default: the signals of the home]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["strategy", "own"])]
    pub signals: Option<PathBuf>,
    /// The tool that wrote the file of signals
    #[arg(long, value_parser = format, requires = "signals")]
    pub format: Option<Format>,
    /// A JavaScript module whose default export is asked for signals at the close of each candle
    #[arg(long, value_name = "FILE", conflicts_with = "own")]
    pub strategy: Option<PathBuf>,
    /// The loop's own signals, with levels for this risk
    #[arg(long, value_name = "RISK", num_args = 0..=1, default_missing_value = "medium")]
    pub own: Option<OwnRisk>,
    #[command(flatten)]
    pub markets: Markets,
    /// The folder of the candle files [default: data in the home]
    #[arg(long, value_name = "FOLDER")]
    pub candles: Option<PathBuf>,
    /// Bring the candles of the home up to date first
    #[arg(long, conflicts_with = "candles")]
    pub fetch: bool,
    /// Begin at this time, such as 2026-03-28T00:00:00Z [default: the first signal or candle]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<i64>,
    /// End at this time [default: the close of the last candle]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<i64>,
    /// Leave parts of the loop out: models, outcomes, gate, conservative
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = part)]
    pub without: Vec<Part>,
    /// Run once more without each of these parts, to find what it brings
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = part)]
    pub compare: Vec<Part>,
    /// Run once more without each part
    #[arg(long, conflicts_with = "compare")]
    pub compare_all: bool,
    /// Leave out the signals of a candle at which the strategy fails, and go on [default: end with an error]
    #[arg(long)]
    pub go_on: bool,
    /// Seconds that the strategy may take for one candle [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub time_limit: Option<f64>,
    /// Keep the home of the replay in this new folder
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// Make the kept home the beginning of this one
    #[arg(long, requires = "keep")]
    pub adopt: bool,
    /// Write all signals with what was said of them to this CSV file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write the result as one HTML page
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// How far the levels of the loop's own signals are.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum OwnRisk {
    Low,
    Medium,
    High,
}

/// What to adopt.
#[derive(Debug, clap::Args)]
pub struct Adopt {
    /// The folder that `replay --keep` has written
    pub folder: PathBuf,
}

fn part(text: &str) -> Result<Part, String> {
    Part::named(text).map_err(|_| format!("must be one of {}", Part::ALL.map(Part::as_str).join(", ")))
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.001 && *seconds <= 86_400.0);
    seconds.ok_or("must be a number of seconds, 0.001 to 86400")
}

fn strategy(text: &str) -> Result<String, &'static str> {
    if is_strategy(text) { Ok(text.to_owned()) } else { Err(STRATEGY) }
}

/// Commands for the place where the signals are kept.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// Create the tables of a database, or update them; loops do so themselves, if they are allowed to
    Migrate,
    /// Copy all signals and models from one place to another: from the home's files into a database, or back. Started
    /// again after an interruption, it continues
    Copy(CopySignals),
}

/// Source and destination.
#[derive(Debug, clap::Args)]
pub struct CopySignals {
    /// postgres://…, or `files` for the home
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// postgres://…, or `files` for the home
    #[arg(long, value_name = "URL")]
    pub to: String,
}

/// The signals to import.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The file
    pub file: PathBuf,
    /// What wrote it: freqtrade, jesse, backtest-kit, tradingview or text [default: this system or the previous one]
    #[arg(long, value_name = "NAME", value_parser = format)]
    pub from: Option<Format>,
    /// What the file does not say.
    #[command(flatten)]
    pub said: Said,
}

/// What a file of another tool does not say of its signals.
#[derive(Debug, clap::Args)]
pub struct Said {
    /// The time of signals that say none, such as 2026-03-28T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time, requires = "from")]
    pub at: Option<i64>,
    /// The timeframe of signals that say none [default: 1h]
    #[arg(long, value_parser = Timeframe::parse, requires = "from")]
    pub timeframe: Option<Timeframe>,
    /// The confidence of signals that say none, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent, requires = "from")]
    pub confidence: Option<f64>,
    /// The strategy of signals that say none
    #[arg(long, value_name = "NAME", value_parser = strategy, requires = "from")]
    pub strategy: Option<String>,
    /// The source of the signals, such as the name of a channel [default: the name after --from]
    #[arg(long, value_name = "NAME", value_parser = strategy, requires = "from")]
    pub source: Option<String>,
    /// Begins the ids of signals that have none, to tell two bots or channels apart
    #[arg(long, value_name = "TEXT", requires = "from")]
    pub id_prefix: Option<String>,
}

fn format(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| format!("must be one of {}", Format::ALL.map(Format::as_str).join(", ")))
}

fn percent(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or("must be a percentage, 0 to 100")
}

/// A file to read or to write.
#[derive(Debug, clap::Args)]
pub struct File {
    /// The file
    pub file: PathBuf,
}

/// How to demonstrate.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Seed of the market: another one gives another market
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Keep the files of the demonstration, in a folder that must not exist yet
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// How many weeks to simulate
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=52))]
    pub weeks: u32,
}

/// Which shell.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// What to simulate.
#[derive(Debug, clap::Args)]
pub struct Simulator {
    /// Seed of the market: another one gives another market
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// The port on this machine; 0 is any free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// The traded symbols, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "BTCUSDT,ETHUSDT", value_parser = Symbol::parse)]
    pub symbols: Vec<Symbol>,
    /// Symbols that have been delisted, and for how many days: MATICUSDT=60
    #[arg(long, value_name = "SYMBOL[=DAYS]", value_delimiter = ',', value_parser = delisted)]
    pub delisted: Vec<Delisted>,
    /// The exchange whose protocol is served, such as binance, bybit or okx
    #[arg(long, default_value_t = Venue::Binance)]
    pub exchange: Venue,
    /// Days of history; the last candle is still open
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Strength of the hidden rule, 0 to 2; 0 is a market without one
    #[arg(long, default_value_t = 0.25)]
    pub rule: f64,
    /// Corrupt this share of the responses, as reset=0.05,http-503=0.1 or, for all kinds together, all=0.2
    #[arg(long, value_name = "NAME=RATE", value_delimiter = ',', value_parser = fault_rate)]
    pub faults: Vec<FaultRate>,
}

/// A delisted symbol, and for how many days it has not been traded.
pub type Delisted = (Symbol, f64);

/// The number of days for a delisted symbol without one.
const DELISTED_DAYS: f64 = 60.0;

fn delisted(text: &str) -> Result<Delisted, String> {
    let (symbol, ago) = text.split_once('=').map_or((text, Ok(DELISTED_DAYS)), |(symbol, ago)| (symbol, days(ago)));
    Ok((Symbol::parse(symbol).map_err(|error| error.to_string())?, ago?))
}

/// A kind of fault, or all kinds, and the share of responses it affects.
pub type FaultRate = (Option<Fault>, f64);

fn fault_rate(text: &str) -> Result<FaultRate, String> {
    let (name, rate) = text.split_once('=').ok_or("must be a name and a rate, such as reset=0.05")?;
    let rate = rate.parse().map_err(|_| format!("`{rate}` must be a number, 0 to 1"))?;
    Ok((if name == "all" { None } else { Some(name.parse()?) }, rate))
}

fn task(name: &str) -> Result<Task, String> {
    Task::parse(name).ok_or_else(|| format!("must be one of {}", Task::ALL.map(Task::as_str).join(", ")))
}

fn time(text: &str) -> Result<i64, String> {
    parse_time(text, Tz::UTC)
        .ok_or_else(|| "must be a time such as 2022-05-31T06:00:00Z, UTC unless it says".to_owned())
}

fn zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "must be an IANA time zone such as Europe/Berlin".to_owned())
}

fn hours(text: &str) -> Result<f64, String> {
    let span = || parse_span(text).map(|span| span.as_secs_f64() / HOUR);
    let hours = text.parse().ok().or_else(span).filter(|hours: &f64| hours.is_finite() && *hours >= 0.0);
    hours.ok_or_else(|| "must be a number of hours, 0 or more, or text such as 24h".to_owned())
}

fn days(text: &str) -> Result<f64, String> {
    let days: f64 = text.parse().map_err(|_| "must be a number of days".to_owned())?;
    if days > 0.0 && days <= 36_500.0 { Ok(days) } else { Err("must be above 0 and at most 36500".to_owned()) }
}
