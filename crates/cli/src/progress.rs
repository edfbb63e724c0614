//! Progress of a training or a fetch: bars on a terminal, plain lines elsewhere.

use super::knowledge::summary;
use super::output::Output;
use domain::symbol::Market;
use engine::{FetchNews, Phase, TrainProgress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The label of a bar, unless a long fetch has something to report.
const MODELS: &str = "models";
const MARKETS: &str = "markets";
/// Without a terminal, a long fetch prints a line at this interval.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows the progress of a training.
pub struct Progress {
    output: Output,
    bars: MultiProgress,
    all: ProgressBar,
    running: Mutex<HashMap<String, ProgressBar>>,
    pages: Pages,
}

impl Progress {
    /// For `markets` markets.
    pub fn new(output: Output, markets: usize) -> Self {
        let bars = MultiProgress::new();
        let all = bars.add(counter(&output, markets, MODELS));
        let pages = Pages::new(output.clone());
        Self { output, bars, all, running: Mutex::default(), pages }
    }

    /// Shows one event.
    pub fn show(&self, news: &TrainProgress) {
        let name = news.market.to_string();
        match (&news.result, news.phase) {
            (Some(result), _) => {
                if let Some(bar) = self.running.lock().remove(&name) {
                    bar.finish_and_clear();
                }
                self.all.set_message(MODELS);
                self.all.set_position(news.finished as u64);
                self.bars.suspend(|| self.output.line(summary(result)));
                if news.finished == news.total {
                    self.all.finish_and_clear();
                }
            }
            (None, Phase::Fetch) if news.step.done > 0 => {
                let TrainProgress { market, step, remaining_s, .. } = news;
                let missing = step.total.checked_sub(step.done);
                self.pages.show(&self.all, market, step.done, missing, *remaining_s);
            }
            (None, Phase::Train) if self.output.bars => {
                self.all.set_message(MODELS);
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

/// Shows the progress of a fetch.
pub struct Fetching {
    all: ProgressBar,
    pages: Pages,
}

impl Fetching {
    /// For `markets` markets.
    pub fn new(output: Output, markets: usize) -> Self {
        Self { all: counter(&output, markets, MARKETS), pages: Pages::new(output) }
    }

    /// Shows one event.
    pub fn show(&self, news: &FetchNews<'_>) {
        match news {
            FetchNews::Page(page) => {
                self.pages.show(&self.all, &page.market, page.fetched, page.missing, page.remaining_s);
            }
            FetchNews::Ended(_) => {
                self.all.set_message(MARKETS);
                self.all.inc(1);
            }
        }
    }

    /// Called when all markets are done.
    pub fn end(&self) {
        self.all.finish_and_clear();
    }
}

/// The pages of a long fetch: shown in the bar on a terminal, else as a line now and then.
struct Pages {
    output: Output,
    printed: Mutex<Option<Instant>>,
}

impl Pages {
    fn new(output: Output) -> Self {
        Self { output, printed: Mutex::default() }
    }

    fn show(&self, bar: &ProgressBar, market: &Market, fetched: usize, missing: Option<usize>, left_s: Option<f64>) {
        let text = fetching(market, fetched, missing, left_s);
        if self.output.bars {
            bar.set_message(text);
            return;
        }
        let printed = &mut *self.printed.lock();
        if printed.is_none_or(|printed| printed.elapsed() >= LINE_EVERY) {
            *printed = Some(Instant::now());
            self.output.news(text);
        }
    }
}

/// The progress of a long fetch in words.
fn fetching(market: &Market, fetched: usize, missing: Option<usize>, left_s: Option<f64>) -> String {
    let of = missing.map_or_else(String::new, |missing| format!(" of {}", fetched + missing));
    let left = match left_s {
        None => String::new(),
        Some(seconds) if seconds < 90.0 => format!(", about {seconds:.0} s left for all markets"),
        Some(seconds) => format!(", about {:.0} min left for all markets", seconds / 60.0),
    };
    format!("Fetching {market}: {fetched}{of} candles{left}; fetched candles are kept")
}

/// A progress bar over `total` items of this name; hidden without a terminal.
pub fn counter(output: &Output, total: usize, name: &'static str) -> ProgressBar {
    if !output.bars {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total as u64).with_message(name);
    bar.set_style(style("{bar:30} {pos}/{len} {msg}, {per_sec}, {elapsed} elapsed, about {eta} left"));
    bar
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; a wrong one would show at once as the default bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_fetch_shows_progress_and_remaining_time() {
        let btc = Market::parse("BTCUSDT", "1h").unwrap();
        let said = [(Some(69_000), Some(41.6)), (Some(69_000), Some(200.0)), (None, None)]
            .map(|(missing, left_s)| fetching(&btc, 1000, missing, left_s));
        let expected = [
            "Fetching BTCUSDT 1h: 1000 of 70000 candles, about 42 s left for all markets; fetched candles are kept",
            "Fetching BTCUSDT 1h: 1000 of 70000 candles, about 3 min left for all markets; fetched candles are kept",
            "Fetching BTCUSDT 1h: 1000 candles; fetched candles are kept",
        ];
        assert_eq!(said, expected);
    }
}
