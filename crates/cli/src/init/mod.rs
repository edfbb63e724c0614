//! `signalloop init`: writes both configuration files of a home. It asks on a terminal; elsewhere, and with `--yes`, it takes
//! what the options say, and defaults for the rest.

mod ask;
mod files;
mod keys;

use super::SUCCESS;
use super::args::values::{exchange, timeframe};
use super::data;
use super::output::Output;
use ask::{Questions, yes_or_no};
use domain::config::Config;
use domain::config::raw::within;
use domain::error::{Error, Result};
use domain::symbol::{Symbol, Timeframe};
use domain::venue::Venue;
use engine::home::expanded;
use engine::{Options, SignalLoop, default_home};
use serde_json::{Map, Value, json};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The symbols that are proposed.
const SYMBOLS: [&str; 5] = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"];
/// The name of the files, in the home.
const FILES: [&str; 2] = ["training_config.json", "scheduler_config.json"];

/// What to write into the configuration.
#[derive(Debug, Clone, clap::Args)]
pub struct Init {
    /// The symbols, separated by commas, BTCUSDT or BTC/USDT [default: BTCUSDT, ETHUSDT, BNBUSDT, SOLUSDT, XRPUSDT]
    #[arg(long, value_name = "SYMBOLS", value_delimiter = ',', value_parser = Symbol::parse)]
    pub symbols: Vec<Symbol>,
    /// The timeframes, separated by commas [default: 1h, 4h]
    #[arg(long, value_name = "TIMEFRAMES", value_delimiter = ',', value_parser = timeframe(), hide_possible_values = true)]
    pub timeframes: Vec<Timeframe>,
    /// The exchange: its name, or the URL of a host with Binance's API [default: Binance]
    #[arg(long, value_name = "NAME|URL", value_parser = exchange(), hide_possible_values = true)]
    pub exchange: Option<String>,
    /// What a trade costs, entry and exit together, in basis points of the price: 10 is 0.1 % [default: 10]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub fee_bps: Option<f64>,
    /// Fetch the candles at once
    #[arg(long)]
    pub fetch: bool,
    /// Ask nothing: defaults for what no option says
    #[arg(long, short)]
    pub yes: bool,
    /// Replace the files that exist
    #[arg(long)]
    pub force: bool,
}

impl Init {
    fn says_settings(&self) -> bool {
        let Self { symbols, timeframes, exchange, fee_bps, .. } = self;
        !symbols.is_empty() || !timeframes.is_empty() || exchange.is_some() || fee_bps.is_some()
    }
}

/// Writes the files, and fetches candles if that is wanted.
pub async fn init(home: Option<&Path>, asked: &Init, output: &Output) -> Result<i32> {
    let home = expanded(&home.map_or_else(default_home, Path::to_owned));
    let home = std::path::absolute(&home).unwrap_or(home);
    let paths = FILES.map(|name| home.join(name));
    let written = to_write(&paths, asked)?;
    let settings_are_written = written.contains(&&paths[0]);
    let is_asked = !asked.yes && !output.json && io::stdin().is_terminal() && io::stderr().is_terminal();
    let (chosen, fetches) = match is_asked {
        true => answers(home.clone(), asked.clone(), settings_are_written).await?,
        false => (chosen(asked)?, asked.fetch),
    };
    storage::create_folder(&home)?;
    let contents = [files::training(&chosen), files::scheduler()];
    for (path, content) in paths.iter().zip(&contents).filter(|(path, _)| written.contains(path)) {
        files::write(path, content, asked.force)?;
    }
    for path in &paths {
        let word = if written.contains(&path) { "Written" } else { "Kept as it is" };
        output.line(format!("{word}: {}", path.display()));
    }
    let mut document = json!({ "home": home, "written": written, "settings": chosen });
    let mut code = SUCCESS;
    if fetches {
        let core = Arc::new(SignalLoop::open(Options { home: Some(home.clone()), ..Options::default() })?);
        let fetched = data::fetched(&core, core.settings().markets(None, None), None, output).await;
        core.close().await;
        let (entries, ended) = fetched?;
        (document["fetched"], code) = (json!(entries), ended);
    }
    let fetch = if fetches { "" } else { "`signalloop fetch` brings the candles, " };
    output.news(format!(
        "Next: {fetch}`signalloop train` trains, `signalloop doctor` checks. Both files explain every key; add \
         SIGNALLOOP_HOME={} to the environment unless you start everything beside it.",
        home.display()
    ));
    output.document(&document);
    Ok(code)
}

/// The files to write. One that exists is kept, unless nothing would be left to write or the options would have no effect.
fn to_write<'a>(paths: &'a [PathBuf; 2], asked: &Init) -> Result<Vec<&'a PathBuf>> {
    let (there, missing): (Vec<&PathBuf>, Vec<&PathBuf>) = paths.iter().partition(|path| path.exists());
    if asked.force || there.is_empty() {
        return Ok(paths.iter().collect());
    }
    if missing.is_empty() || (there.contains(&&paths[0]) && asked.says_settings()) {
        return Err(files::exists(&there.iter().map(|path| path.as_path()).collect::<Vec<_>>()));
    }
    Ok(missing)
}

/// The settings that the options say, and defaults.
fn chosen(asked: &Init) -> Result<Map<String, Value>> {
    let symbols = match &asked.symbols[..] {
        [] => json!(SYMBOLS),
        given => json!(given),
    };
    let timeframes = match &asked.timeframes[..] {
        [] => json!(Config::default().timeframes),
        given => json!(given),
    };
    let mut chosen = Map::from_iter([("symbols".to_owned(), symbols), ("timeframes".to_owned(), timeframes)]);
    if let Some(exchange) = &asked.exchange {
        let (key, value) = exchange_setting(exchange)?;
        chosen.insert(key, value);
    }
    chosen.insert("fee_bps".to_owned(), json!(asked.fee_bps.unwrap_or(Config::default().fee_bps)));
    checked(&chosen)?;
    Ok(chosen)
}

/// Asks for what no option says, in a thread in which waiting for a person stops nothing else.
async fn answers(home: PathBuf, asked: Init, with_settings: bool) -> Result<(Map<String, Value>, bool)> {
    let work = move || {
        let mut questions = Questions::new(io::stdin().lock(), io::stderr().lock());
        let mut asked = asked;
        if with_settings {
            ask_settings(&mut questions, &home, &mut asked)?;
        }
        let chosen = chosen(&asked)?;
        let fetches =
            asked.fetch || questions.ask("Fetch the candles now? It takes some minutes (y/n)", "n", yes_or_no)?;
        Ok((chosen, fetches))
    };
    let answered = tokio::task::spawn_blocking(work).await;
    answered.map_err(|problem| Error::Internal(format!("the questions ended: {problem}")))?
}

fn ask_settings<R: io::BufRead, W: io::Write>(to: &mut Questions<R, W>, home: &Path, asked: &mut Init) -> Result<()> {
    if asked.symbols.is_empty() {
        let question = format!("A configuration for {}. Enter takes what is in brackets.\nSymbols", home.display());
        asked.symbols = to.ask(&question, &SYMBOLS.join(", "), |answer| list(answer, Symbol::given))?;
    }
    if asked.timeframes.is_empty() {
        let default: Vec<String> = Config::default().timeframes.iter().map(ToString::to_string).collect();
        asked.timeframes = to.ask("Timeframes", &default.join(", "), |answer| list(answer, Timeframe::parse))?;
    }
    if asked.exchange.is_none() {
        let (question, default) = exchange_question();
        let answer = to.ask(&question, &default, |answer| exchange_setting(answer).map(|_| answer.to_owned()))?;
        asked.exchange = (answer != default).then_some(answer);
    }
    if asked.fee_bps.is_none() {
        let question = "Costs of a trade, entry and exit together, in basis points of the price (10 is 0.1 %)";
        let default = Config::default().fee_bps.to_string();
        asked.fee_bps = Some(to.ask(question, &default, fee)?);
    }
    Ok(())
}

/// Reads a list that is separated by commas or spaces.
fn list<T>(answer: &str, parse: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    let items = answer.split([',', ' ']).filter(|part| !part.is_empty()).map(parse).collect::<Result<Vec<T>>>()?;
    if items.is_empty() { Err(Error::argument("answer", "must name at least one", answer)) } else { Ok(items) }
}

fn fee(answer: &str) -> Result<f64> {
    let number: Option<Value> = answer.replace(',', ".").parse::<f64>().ok().map(|number| json!(number));
    let fee = number.as_ref().and_then(within(0.0, 1000.0));
    fee.ok_or_else(|| Error::argument("fee_bps", "must be a number of basis points, 0 to 1000", answer))
}

/// The key that names the exchange.
const EXCHANGE: &str = "exchange";

/// The question for the exchange, and its default.
fn exchange_question() -> (String, String) {
    let names: Vec<&str> = Venue::ALL.iter().map(|venue| venue.as_str()).collect();
    let question = format!("Exchange ({}; or the URL of a host with Binance's API)", names.join(", "));
    (question, Venue::default().as_str().to_owned())
}

/// The key and the value that an answer sets: a URL is `exchange_url`, anything else a name.
fn exchange_setting(answer: &str) -> Result<(String, Value)> {
    let key = if answer.contains("://") { "exchange_url" } else { EXCHANGE };
    let setting = (key.to_owned(), json!(answer));
    checked(&Map::from_iter([setting.clone()]))?;
    Ok(setting)
}

/// Checks settings as the file will be.
fn checked(settings: &Map<String, Value>) -> Result<()> {
    Config::default().merge(settings.clone(), FILES[0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Init {
        Init {
            symbols: vec![],
            timeframes: vec![],
            exchange: None,
            fee_bps: None,
            fetch: false,
            yes: false,
            force: false,
        }
    }

    #[test]
    fn answers_become_settings_and_wrong_ones_say_what_is_allowed() {
        let typed = "btc/usdt; x\nbtc/usdt sol-usdt\n1h 7h\n4h\n\nhundred\n2000\n7,5\n";
        let (mut shown, mut asked) = (Vec::new(), asked());
        ask_settings(&mut Questions::new(typed.as_bytes(), &mut shown), Path::new("ml"), &mut asked).unwrap();
        let expected = json!({ "symbols": ["BTCUSDT", "SOLUSDT"], "timeframes": ["4h"], "fee_bps": 7.5 });
        assert_eq!(Value::Object(chosen(&asked).unwrap()), expected);
        let shown = String::from_utf8(shown).unwrap();
        let said =
            ["must be a pair of letters", "must be one of 1m,", "basis points, 0 to 1000; got hundred", "got 2000"];
        for words in said {
            assert!(shown.contains(words), "{words} is missing: {shown}");
        }
    }

    #[test]
    fn options_are_checked_as_the_file_is() {
        let error = |asked: Init| chosen(&asked).unwrap_err().to_string();
        let wrong = error(Init { fee_bps: Some(-1.0), ..asked() });
        assert!(wrong.contains("`fee_bps` must be") && wrong.contains("-1"), "{wrong}");
        let wrong = error(Init { exchange: Some("ftp://x".to_owned()), ..asked() });
        assert!(wrong.contains("http(s) URL") && wrong.contains("ftp://x"), "{wrong}");
        let wrong = error(Init { exchange: Some("nowhere-at-all".to_owned()), ..asked() });
        assert!(wrong.contains("nowhere-at-all"), "{wrong}");
        let url = "http://127.0.0.1:9".to_owned();
        assert_eq!(chosen(&Init { exchange: Some(url.clone()), ..asked() }).unwrap()["exchange_url"], url);
    }

    #[test]
    fn what_exists_is_kept_and_options_without_effect_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let paths = FILES.map(|name| home.path().join(name));
        assert_eq!(to_write(&paths, &asked()).unwrap().len(), 2);
        std::fs::write(&paths[0], "{}").unwrap();
        assert_eq!(to_write(&paths, &asked()).unwrap(), [&paths[1]]);
        assert!(to_write(&paths, &Init { fee_bps: Some(1.0), ..asked() }).is_err());
        std::fs::write(&paths[1], "{}").unwrap();
        assert!(to_write(&paths, &asked()).is_err());
        assert_eq!(to_write(&paths, &Init { force: true, ..asked() }).unwrap().len(), 2);
    }
}
