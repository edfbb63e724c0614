//! Progress of a training: bars on a terminal, a plain line per market anywhere else.

use super::output::Output;
use crate::engine::{Phase, TrainProgress, TrainResult, Trained};
use crate::model::Record;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Shows news of a training.
pub struct Progress {
    output: Output,
    bars: MultiProgress,
    all: ProgressBar,
    running: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress {
    /// Of `markets` markets.
    pub fn new(output: Output, markets: usize) -> Self {
        let bars = MultiProgress::new();
        let all = bars.add(counter(&output, markets, "models"));
        Self { output, bars, all, running: Mutex::default() }
    }

    /// Shows one piece of news.
    pub fn show(&self, news: &TrainProgress) {
        let name = news.market.to_string();
        match (&news.result, news.phase) {
            (Some(result), _) => {
                if let Some(bar) = self.running.lock().remove(&name) {
                    bar.finish_and_clear();
                }
                self.all.set_position(news.finished as u64);
                self.bars.suspend(|| self.output.line(summary(result)));
                if news.finished == news.total {
                    self.all.finish_and_clear();
                }
            }
            (None, Phase::Train) if self.output.bars => {
                let mut running = self.running.lock();
                let bar = running.entry(name).or_insert_with_key(|name| {
                    let bar = self.bars.insert_before(&self.all, ProgressBar::new(news.step.total as u64));
                    bar.set_style(style("{bar:30} {pos}/{len} fits of {msg}, {per_sec}, about {eta} left"));
                    bar.with_message(name.clone())
                });
                bar.set_position(news.step.done as u64);
            }
            _ => {}
        }
    }
}

/// A bar that counts what is done of `total` things of this name; hidden where nothing moves.
pub fn counter(output: &Output, total: usize, name: &'static str) -> ProgressBar {
    if !output.bars {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total as u64).with_message(name);
    bar.set_style(style("{bar:30} {pos}/{len} {msg}, {per_sec}, {elapsed} elapsed, about {eta} left"));
    bar
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours; a wrong one would show at once as the default bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// One market's end in a line.
pub fn summary(result: &TrainResult) -> String {
    let (market, seconds) = (&result.market, result.duration_ms as f64 / 1000.0);
    match &result.trained {
        Ok(Trained::NothingNew { .. }) => format!("Training {market}... ✓ kept, nothing new since it was trained"),
        Ok(trained) => {
            let stored = result.warning.as_ref().map_or("", |_| "  (see the warnings)");
            let kept = if trained.promoted() { String::new() } else { format!("  not promoted: {}", trained.reason()) };
            let quality = quality(&trained.model().record);
            format!("Training {market}... ✓ {quality}  {seconds:.1} s{stored}{kept}")
        }
        Err(error) => format!("Training {market}... ✗ {error} [{}]", error.code()),
    }
}

/// How good a model is on rows it had not seen, in a few words.
fn quality(record: &Record) -> String {
    let skill = if record.has_skill() { "skill: departs from the base rate" } else { "no skill: says the base rate" };
    format!(
        "{} rows  log loss {:.4} (constant {:.4})  {skill}",
        record.rows,
        record.log_loss(),
        record.constant_log_loss()
    )
}
