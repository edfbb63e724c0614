//! What `--help` shows besides the arguments: examples for each command. And the completions of shells.

use super::SUCCESS;
use super::args::{Args, Completions};
use super::output::Output;
use clap::{Command, CommandFactory, FromArgMatches};
use domain::error::{Error, Result};
use serde_json::json;

/// The heading of the options that every command has.
pub const COMMON: &str = "Common options";

/// Commands by their path, each with examples and what they do.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "init",
        &[
            ("signalloop init", "asks for symbols, timeframes, exchange and fees"),
            ("signalloop init --yes --symbols BTCUSDT,ETHUSDT --timeframes 1h", "asks nothing"),
        ],
    ),
    (
        "train",
        &[
            ("signalloop train", "every configured market"),
            ("signalloop train --symbol BTCUSDT --timeframe 1h", "one market"),
            ("signalloop train --no-fetch", "on the candles already stored"),
        ],
    ),
    ("retrain", &[("signalloop retrain --max-age 24h", "models that are a day old, missing or damaged")]),
    (
        "fetch",
        &[
            ("signalloop fetch", "every configured market"),
            ("signalloop fetch --symbol SOLUSDT --timeframe 4h", "one market"),
        ],
    ),
    ("data", &[("signalloop data check", "all candle files of the home")]),
    (
        "data features",
        &[(
            "signalloop data features --symbol BTCUSDT --timeframe 1h --out rows.csv",
            "to train a model of your own on",
        )],
    ),
    (
        "data check",
        &[
            ("signalloop data check", "all candle files of the home"),
            ("signalloop data check --timeframe 1h old.csv", "a file from elsewhere"),
        ],
    ),
    (
        "data import",
        &[
            ("signalloop data import old.csv --symbol BTCUSDT --timeframe 1h", "a file from elsewhere"),
            (
                "signalloop data import kraken.csv --from kraken --symbol BTC/USDT --timeframe 1h",
                "an exchange's archive",
            ),
        ],
    ),
    ("predict", &[("signalloop predict --symbol BTCUSDT --timeframe 1h", "BUY, SELL or HOLD, and why")]),
    (
        "stats",
        &[
            ("signalloop stats", "the last 30 days"),
            ("signalloop stats --all --symbol BTCUSDT", "one symbol, all signals"),
            ("signalloop stats --json", "for scripts"),
        ],
    ),
    (
        "scorecard",
        &[
            ("signalloop scorecard", "all strategies"),
            ("signalloop scorecard --strategy breakout --since 2026-01-01", "one strategy, this year"),
        ],
    ),
    ("advise", &[("signalloop advise --strategy breakout", "other stops, targets and expiries for one strategy")]),
    (
        "replay",
        &[
            ("signalloop replay --report replay.html", "the signals of the home, on its candles"),
            ("signalloop replay --strategy strategy.js --symbol BTCUSDT --from 2024-01-01", "a strategy"),
            ("signalloop replay --signals trades.json --format freqtrade --compare-all", "what another tool wrote"),
        ],
    ),
    ("adopt", &[("signalloop adopt kept", "what `signalloop replay --keep kept` has written")]),
    (
        "learn",
        &[
            ("signalloop learn --symbol BTCUSDT --timeframe 1h --mode incremental", "continue its model"),
            ("signalloop learn --symbol BTCUSDT --timeframe 1h --mode evaluate", "have its signals improved?"),
        ],
    ),
    ("patterns", &[("signalloop patterns --symbol BTCUSDT", "the rules of one symbol")]),
    ("models", &[("signalloop models", "as a table"), ("signalloop models --json", "with every figure")]),
    ("report", &[("signalloop report --open", "write it, and show it")]),
    ("dashboard", &[("signalloop dashboard --open", "serve it on this machine, and show it")]),
    ("rollback", &[("signalloop rollback --symbol BTCUSDT --timeframe 1h --reason losses", "with a reason")]),
    ("scheduler", &[("signalloop scheduler run", "until Ctrl-C"), ("signalloop scheduler status", "what is due")]),
    ("scheduler run", &[("signalloop scheduler run", "until Ctrl-C or SIGTERM")]),
    ("scheduler once", &[("signalloop scheduler once --task fetch", "update all candles now")]),
    ("scheduler status", &[("signalloop scheduler status", "when each task is due")]),
    (
        "scheduler next",
        &[("signalloop scheduler next --from 2026-03-28 --until 2026-03-30", "the due times of two days")],
    ),
    ("alerts", &[("signalloop alerts test", "a test message to every destination")]),
    (
        "alerts test",
        &[("signalloop alerts test", "to every destination"), ("signalloop alerts test --to telegram", "to one")],
    ),
    (
        "mcp",
        &[
            ("signalloop mcp", "for an agent that starts it"),
            ("signalloop mcp --http 4601", "over HTTP, for this machine only"),
            ("signalloop mcp --write", "the agent may also record and close signals"),
        ],
    ),
    ("doctor", &[("signalloop doctor", "ends with 1 where something cannot work")]),
    ("metrics", &[("signalloop metrics", "for Prometheus")]),
    (
        "import",
        &[
            ("signalloop import old.jsonl", "signals of signalloop, or of the previous system"),
            ("signalloop import trades.json --from freqtrade", "what another tool wrote"),
        ],
    ),
    ("export", &[("signalloop export signals.csv", "for a spreadsheet or a notebook")]),
    ("store", &[("signalloop store migrate --store postgres://localhost/signals", "create the tables")]),
    ("store migrate", &[("signalloop store migrate --store postgres://localhost/signals", "create the tables")]),
    (
        "store copy",
        &[("signalloop store copy --from files --to postgres://localhost/signals", "from the home to a database")],
    ),
    ("compact", &[("signalloop compact", "nothing is lost; it also happens by itself")]),
    (
        "demo",
        &[("signalloop demo", "in under a minute"), ("signalloop demo --weeks 8 --keep demo", "and keep its files")],
    ),
    (
        "simulator",
        &[
            ("signalloop simulator --port 4700", "then SIGNALLOOP_EXCHANGE_URL=http://127.0.0.1:4700"),
            ("signalloop simulator --symbols BTCUSDT --days 400 --faults all=0.2", "one that often fails"),
        ],
    ),
    (
        "completions",
        &[
            ("signalloop completions bash > ~/.local/share/bash-completion/completions/signalloop", "bash"),
            ("signalloop completions zsh > \"${fpath[1]}/_signalloop\"", "zsh"),
            ("signalloop completions fish > ~/.config/fish/completions/signalloop.fish", "fish"),
            ("signalloop completions powershell >> $PROFILE", "PowerShell"),
        ],
    ),
];

/// The whole command line, with examples.
pub fn command() -> Command {
    with_examples(Args::command(), "")
}

fn with_examples(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let below = |command: Command, name: String| {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command.mut_subcommand(name, |below| with_examples(below, &path))
    };
    let command = names.into_iter().fold(command, below);
    match examples(path) {
        Some(text) => command.after_help(text),
        None => command,
    }
}

/// The examples of a command as text; what each does stands in a second column, if all commands are short.
fn examples(path: &str) -> Option<String> {
    const SHORT: usize = 56;
    let (_, examples) = EXAMPLES.iter().find(|(of, _)| *of == path)?;
    let width = examples.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let line = |(command, what): &(&str, &str)| match width <= SHORT {
        true => format!("  {command:width$}  # {what}"),
        false => format!("  # {what}\n  {command}"),
    };
    Some(format!("Examples:\n{}", examples.iter().map(line).collect::<Vec<_>>().join("\n")))
}

/// Reads the arguments, without the program's name.
///
/// # Errors
/// What clap prints instead of running a command: why it was not understood, help, or the version.
pub fn parse(args: impl IntoIterator<Item = String>) -> std::result::Result<Args, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once("signalloop".to_owned()).chain(args))?;
    Args::from_arg_matches(&matches).map_err(|problem| problem.format(&mut command))?.consistent()
}

/// `signalloop completions`.
pub fn completions(asked: &Completions, output: &Output) -> Result<i32> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut command(), "signalloop", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| Error::Internal(format!("the completions of {} are not text", asked.shell)))?;
    output.document(&json!({ "shell": asked.shell.to_string(), "script": script }));
    output.raw(script.trim_end());
    Ok(SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(command: &Command, path: &str) -> Vec<String> {
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        below
            .flat_map(|below| {
                let path = format!("{path} {}", below.get_name()).trim().to_owned();
                [vec![path.clone()], paths(below, &path)].concat()
            })
            .collect()
    }

    #[test]
    fn every_command_has_examples_and_each_example_is_understood() {
        let all = paths(&command(), "");
        assert!(all.len() > 30, "{all:?}");
        let without: Vec<&String> = all.iter().filter(|path| examples(path).is_none()).collect();
        assert_eq!(without, Vec::<&String>::new());
        for (path, examples) in EXAMPLES {
            assert!(all.iter().any(|known| known == path), "no such command: {path}");
            for (example, _) in *examples {
                // Up to the redirection of a shell.
                let words = example.split(" >").next().unwrap_or_default().replace('"', "");
                let words = words.split_whitespace().skip(1).map(str::to_owned);
                assert!(example.starts_with(&format!("signalloop {path}")), "{example} is no example of {path}");
                assert!(parse(words).is_ok(), "{example}");
            }
        }
    }

    #[test]
    fn the_options_of_a_command_come_before_the_common_ones() {
        for (path, own) in [("train", "--no-fetch"), ("stats", "--days"), ("scheduler next", "--task")] {
            for flag in ["-h", "--help"] {
                let words = path.split(' ').chain([flag]).map(str::to_owned);
                let help = parse(words).unwrap_err().to_string();
                let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text} is missing: {help}"));
                let (own, common) = (at(own), at(COMMON));
                assert!(at("\nOptions:") < own && own < common, "{help}");
                for option in ["--home", "--store", "--json", "--quiet", "--help"] {
                    // The text of an own option may name it, too.
                    assert!(help.rfind(option).is_some_and(|at| common < at), "{help}");
                }
                assert!(common < at("Examples:"), "{help}");
            }
        }
    }
}
