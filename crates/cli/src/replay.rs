//! `signalloop replay` and `signalloop adopt`.

use super::args;
use super::commands::given;
use super::output::Output;
use super::table::Table;
use super::{Ending, SUCCESS};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::time::format_iso;
use engine::{Risk, SignalLoop, home};
use learning::scorecard::Ends;
use parking_lot::Mutex;
use replay::summary::{Set, Summary};
use replay::{OnFault, Options, Part, Progress, Request, Strategy, Study, Wanted, study};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Without a terminal, a line of progress is printed at this interval.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Runs the loop over the past, and shows what it would have said and earned.
pub async fn replay(
    core: &Arc<SignalLoop>,
    asked: &args::Replay,
    strategy: Option<Box<dyn Strategy>>,
    output: &Output,
    ending: &Ending,
) -> Result<i32> {
    let home = core.settings().home();
    asked.report.iter().try_for_each(|path| home::check_output(home, "report", path))?;
    let request = Request {
        wanted: wanted(core, asked, strategy)?,
        symbols: given(&asked.markets.symbols),
        timeframes: given(&asked.markets.timeframes),
        candles: asked.candles.clone(),
        fetch: asked.fetch,
        csv: asked.csv.clone(),
        options: options(asked),
    };
    let shown = Shown::new(output.clone());
    let studied = ending.unless(study(core, request, Cancel::default(), |progress| shown.show(&progress))).await?;
    shown.end();
    if let Some(page) = &asked.report {
        report::write_replay(&studied, page)?;
    }
    tell(&studied, asked, output);
    if asked.adopt {
        let kept = studied.kept.as_deref().ok_or_else(|| Error::argument("adopt", "needs `--keep`", "nothing"))?;
        adopt(core, kept, output)?;
    }
    output.document(&json!(studied));
    Ok(SUCCESS)
}

/// Takes over what a replay has kept.
pub fn adopt(core: &SignalLoop, folder: &Path, output: &Output) -> Result<i32> {
    let adopted = replay::adopt(core, folder)?;
    output.line(format!(
        "{} now has the signals, models and results of {}: {} signals, {} of them closed; {} candle files",
        core.settings().home().display(),
        folder.display(),
        adopted.signals,
        adopted.closed,
        adopted.candle_files
    ));
    Ok(SUCCESS)
}

fn wanted(core: &SignalLoop, asked: &args::Replay, strategy: Option<Box<dyn Strategy>>) -> Result<Wanted> {
    if let Some(file) = &asked.strategy {
        let strategy = strategy.ok_or_else(|| Error::argument("strategy", "needs Node.js to run", file.display()))?;
        return Ok(Wanted::Strategy(strategy));
    }
    if let Some(risk) = asked.own {
        return Ok(Wanted::Own(match risk {
            args::OwnRisk::Low => Risk::Low,
            args::OwnRisk::Medium => Risk::Medium,
            args::OwnRisk::High => Risk::High,
        }));
    }
    Ok(match &asked.signals {
        None => Wanted::Home,
        Some(file) => {
            let zone = core.settings().config().timezone;
            let options = readers::Options { zone, ..readers::Options::at(core.settings().now_ms()) };
            Wanted::File(file.clone(), asked.format.map(|format| (format, options)))
        }
    })
}

fn options(asked: &args::Replay) -> Options {
    Options {
        from_ms: asked.from,
        until_ms: asked.until,
        compare: if asked.compare_all { Part::ALL.to_vec() } else { asked.compare.clone() },
        without: asked.without.clone(),
        on_fault: if asked.go_on { OnFault::Continue } else { OnFault::Stop },
        time_limit: asked.time_limit.map(Duration::from_secs_f64),
        // All cores are used: the command line has no event loop that needs one.
        threads: std::thread::available_parallelism().ok().map(usize::from),
        keep: asked.keep.clone(),
        ..Options::default()
    }
}

/// Progress, in a bar or as lines.
struct Shown {
    output: Output,
    bar: indicatif::ProgressBar,
    printed: Mutex<Instant>,
}

impl Shown {
    fn new(output: Output) -> Self {
        let bar = super::progress::counter(&output, 1000, "‰ of the time");
        Self { output, bar, printed: Mutex::new(Instant::now()) }
    }

    fn show(&self, progress: &Progress) {
        let Progress { without, now_ms, span_ms: (from_ms, until_ms), signals, .. } = progress;
        let part = (now_ms - from_ms).max(0) as f64 / (until_ms - from_ms).max(1) as f64;
        let run = without.map_or_else(String::new, |part| format!(" without {}", part.as_str()));
        let text = format!("{}{run}, {signals} signals", &format_iso(*now_ms)[..10]);
        self.bar.set_position((1000.0 * part) as u64);
        self.bar.set_message(text.clone());
        let mut printed = self.printed.lock();
        if !self.output.bars && printed.elapsed() >= LINE_EVERY {
            *printed = Instant::now();
            self.output.news(format!("Replaying {text}"));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn tell(study: &Study, asked: &args::Replay, output: &Output) {
    let Study { from, until, markets, verdict, summary, .. } = study;
    output.news(format!("Replayed {} to {} on {} markets", &from[..10], &until[..10], markets.len()));
    output.line(format!("\n{}.", sentence(&verdict.advice.words)));
    output.line(format!("{}.", sentence(&verdict.signals.words)));
    verdict.looks.iter().for_each(|looks| output.line(format!("{}.", sentence(&looks.words))));
    output.line("");
    output.table(&sets(summary));
    score(summary, output);
    told_parts(study, output);
    let happened = &study.happened;
    output.line(format!(
        "{} models went into service, {} were refused by the gate.",
        happened.promoted, happened.refused
    ));
    happened.notes.iter().filter(|note| note.kind == "warning").take(5).for_each(|note| output.warning(&note.text));
    if study.earlier > 0 {
        output.line(format!("{} earlier signals were known from the beginning, and are not counted.", study.earlier));
    }
    if study.left_out > 0 {
        output.line(format!("{} signals were left out: after the replay, or without candles.", study.left_out));
    }
    if study.faults.count > 0 {
        let first = study.faults.first.first();
        let first = first.map_or_else(String::new, |fault| {
            format!(", first at {} of {}: {}", fault.at, fault.market, fault.problem)
        });
        output.warning(format!("{} faults of the strategy{first}", study.faults.count));
    }
    study.refused.iter().take(5).for_each(|refused| output.warning(format!("{}: {}", refused.place, refused.reason)));
    let written: [(&str, &Option<PathBuf>); 3] =
        [("All signals", &asked.csv), ("The page", &asked.report), ("The home of the replay", &study.kept)];
    for (what, path) in written {
        path.iter().for_each(|path| output.line(format!("{what}: {}", path.display())));
    }
}

/// What each part brought that was left out.
pub fn told_parts(study: &Study, output: &Output) {
    for part in &study.parts {
        output.line(format!("   The part `{}`: {}.", part.without.as_str(), part.verdict.words));
    }
}

/// The words with a capital letter in front.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// How well outcomes were predicted.
fn score(summary: &Summary, output: &Output) {
    let Some(score) = &summary.scorecard.overall else { return };
    let loss = &score.log_loss;
    let ends = loss
        .against_base_rate
        .interval
        .map_or_else(String::new, |Ends { low, high }| format!(" [{low:+.4}, {high:+.4}]"));
    output.line(format!(
        "\nLog loss of its probabilities {:.4}, of the base rate {:.4}: {:+.4}{ends}; lower is better.",
        loss.probability, loss.base_rate, loss.against_base_rate.mean
    ));
}

/// The figures of all signals, of those taken and of those left.
pub fn sets(summary: &Summary) -> Table {
    let mut table = Table::new(&["signals", "count", "closed", "success", "R each", "R in all", "drawdown", "Sharpe"]);
    let mut row = |name: &str, set: &Set| {
        let figures = &set.figures;
        let ends =
            set.mean_r_interval.map_or_else(String::new, |Ends { low, high }| format!(" [{low:+.3}, {high:+.3}]"));
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        table.row([
            name.to_owned(),
            figures.signals.to_string(),
            figures.closed.to_string(),
            or_dash(figures.success_share.map(|share| format!("{:.1} %", 100.0 * share))),
            or_dash(figures.mean_r.map(|mean| format!("{mean:+.3}{ends}"))),
            format!("{:+.1}", figures.total_r),
            format!("{:.1} R", figures.max_drawdown_r),
            or_dash(figures.sharpe_ratio.map(|sharpe| format!("{sharpe:.2}"))),
        ]);
    };
    row("all", &summary.all);
    row("taken", &summary.taken);
    row("left", &summary.left);
    if let Some(oracle) = &summary.oracle {
        row("oracle", &oracle.set);
    }
    table
}
