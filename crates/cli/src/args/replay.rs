//! The arguments of `replay` and `adopt`.

use super::models::Markets;
use super::values::{format, part, time};
use readers::Format;
use replay::Part;
use std::path::PathBuf;

/// What to replay. Without options: the signals of the home, on its candles.
#[derive(Debug, clap::Args)]
pub struct Replay {
    /// A file of signals: a signals.jsonl, or with --format what another tool wrote [default: the signals of the home]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["strategy", "own"])]
    pub signals: Option<PathBuf>,
    /// The tool that wrote the file of signals
    #[arg(long, value_parser = format(), hide_possible_values = true, requires = "signals")]
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
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = part(), hide_possible_values = true)]
    pub without: Vec<Part>,
    /// Run once more without each of these parts, to find what it brings
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = part(), hide_possible_values = true)]
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

fn seconds(text: &str) -> Result<f64, &'static str> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.001 && *seconds <= 86_400.0);
    seconds.ok_or("must be a number of seconds, 0.001 to 86400")
}
