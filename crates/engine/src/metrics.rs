//! The state of a home in Prometheus' text format, to be read by a scraper.

use super::SignalLoop;
use super::status::TaskStatus;
use domain::error::{Error, Result};
use domain::symbol::Market;
use domain::time::DAY_MS;
use feedback::{Figures, StatsFilter};
use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};
use scheduler::Outcome;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The period that the rates cover, in days; it is also the default of `getStats`.
const RATE_DAYS: i64 = 30;

impl SignalLoop {
    /// Signals, success rates, models, candles and scheduler tasks in Prometheus' text format (version 0.0.4).
    /// Everything is read again, so the changes of other processes are included. Only ignored prices and the number of
    /// fitted pooled models are those of this process.
    ///
    /// # Errors
    /// [`Error::Storage`]; [`Error::Io`] and [`Error::InvalidConfig`] if a file of the home cannot be read.
    pub fn metrics(&self) -> Result<String> {
        let mut metrics = Metrics::default();
        metrics.set("info", "The version of signalloop; always 1.", &["version"], &[env!("CARGO_PKG_VERSION")], 1.0)?;
        self.signal_metrics(&mut metrics)?;
        self.model_metrics(&mut metrics)?;
        for (timeframe, fits) in self.trainer.fits().iter() {
            let help = "Pooled models that this process fitted, in full or by continuing one.";
            metrics.count("pools_fitted_total", help, &["timeframe"], &[timeframe.as_str()], *fits)?;
        }
        for market in self.settings.config().markets() {
            self.candle_metrics(&mut metrics, &market)?;
        }
        for task in self.scheduler.status()?.tasks {
            task_metrics(&mut metrics, &task)?;
        }
        metrics.text()
    }

    fn signal_metrics(&self, metrics: &mut Metrics) -> Result<()> {
        let store = self.store().open()?;
        for (symbol, figures) in store.stats(&StatsFilter::default())?.by_symbol {
            let name = symbol.as_str();
            metrics.set("open_signals", "Signals open now.", &["symbol"], &[name], figures.active as f64)?;
            for (outcome, count) in closings(&figures) {
                let help = "Signals closed, by outcome.";
                metrics.count("closed_signals_total", help, &["symbol", "outcome"], &[name, outcome], count)?;
            }
        }
        let since_ms = Some(self.settings.now_ms() - RATE_DAYS * DAY_MS);
        for (symbol, figures) in store.stats(&StatsFilter { since_ms, ..StatsFilter::default() })?.by_symbol {
            if figures.closed == 0 {
                continue;
            }
            let mut set = |name, help, value| metrics.set(name, help, &["symbol"], &[symbol.as_str()], value);
            set(
                "success_ratio",
                "Share of the signals closed in the last 30 days that succeeded.",
                figures.success_rate / 100.0,
            )?;
            let help =
                "Mean profit after costs of the signals closed in the last 30 days, as a ratio of the entry price.";
            set("expectancy_ratio", help, figures.expectancy / 100.0)?;
            if let Some(rate) = figures.break_even_rate {
                let help =
                    "Success ratio at which the signals closed in the last 30 days would have broken even after costs.";
                set("break_even_ratio", help, rate / 100.0)?;
            }
        }
        let conservative = self.performance.live().conservative_mode(&StatsFilter::default())?.active;
        metrics.set(
            "conservative_mode",
            "1 while any market is in conservative mode.",
            &[],
            &[],
            f64::from(conservative),
        )?;
        for (symbol, count) in store.ignored_prices() {
            let help = "Prices and candles that this process ignored, since one of a later time had been seen.";
            metrics.count("ignored_prices_total", help, &["symbol"], &[symbol.as_str()], count)?;
        }
        let damaged = store.recovery().damaged;
        metrics.set("log_damaged_lines", "Lines of the log that are damaged.", &[], &[], damaged as f64)
    }

    fn model_metrics(&self, metrics: &mut Metrics) -> Result<()> {
        for model in self.models.list()?.markets {
            let usable = f64::from(model.champion.record.is_ok());
            metrics.set(
                "model_usable",
                "1 where the file can be read.",
                &["model"],
                &[&model.champion.stem],
                usable,
            )?;
            let Ok(record) = &model.champion.record else { continue };
            let Market { symbol, timeframe } = &record.market;
            let of = [symbol.as_str(), timeframe.as_str()];
            let mut set = |name, help, value| metrics.set(name, help, &["symbol", "timeframe"], &of, value);
            set(
                "model_trained_timestamp_seconds",
                "When the model in service was trained.",
                seconds(record.trained_ms),
            )?;
            set("model_version", "The version in service.", model.champion.version as f64)?;
            set("model_skill", "1 where the model departs from the base rate.", f64::from(record.has_skill()))?;
        }
        Ok(())
    }

    fn candle_metrics(&self, metrics: &mut Metrics, market: &Market) -> Result<()> {
        let of = [market.symbol.as_str(), market.timeframe.as_str()];
        let recent = match self.candles().stored(market) {
            // Files that need repair have a metric of their own; `doctor` says what is wrong with them.
            Err(Error::BadCandle { .. } | Error::InvalidCandle { .. }) => None,
            recent => Some(recent?),
        };
        let usable = f64::from(recent.is_some());
        metrics.set(
            "candles_usable",
            "0 where the file of candles is damaged.",
            &["symbol", "timeframe"],
            &of,
            usable,
        )?;
        let last = recent.flatten().and_then(|(_, candles)| candles.last().copied());
        last.map_or(Ok(()), |last| {
            let closed = seconds(last.open_ms + market.timeframe.millis());
            let help = "When the last stored candle closed.";
            metrics.set("candles_until_timestamp_seconds", help, &["symbol", "timeframe"], &of, closed)
        })
    }
}

fn task_metrics(metrics: &mut Metrics, status: &TaskStatus) -> Result<()> {
    let mut set = |name, help, value| metrics.set(name, help, &["task"], &[status.task.as_str()], value);
    set("task_attempts", "Attempts of a run that has not succeeded yet.", f64::from(status.record.attempt))?;
    if let Some(next_ms) = status.next_ms {
        set("task_next_run_timestamp_seconds", "When the task is due.", seconds(next_ms))?;
    }
    if let Some(run) = &status.record.last {
        set("task_last_run_timestamp_seconds", "When the last run ended.", seconds(run.ended_ms))?;
        let worked = f64::from(run.outcome == Outcome::Finished);
        set("task_last_run_success", "1 if the last run did all of its work.", worked)?;
    }
    Ok(())
}

/// The number of closed signals by outcome, and by whether they closed by price, by expiry or by hand.
fn closings(figures: &Figures) -> [(&'static str, u64); 5] {
    [
        ("TOOK_PROFIT", figures.took_profit),
        ("STOPPED_OUT", figures.stopped_out),
        ("SUCCESS", figures.successes - figures.took_profit),
        ("FAILURE", figures.failures - figures.stopped_out),
        ("UNKNOWN", figures.unknown),
    ]
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The metrics, named `signalloop_…`. They are filled once and written out.
#[derive(Default)]
struct Metrics {
    registry: Registry,
    gauges: HashMap<&'static str, GaugeVec>,
    counters: HashMap<&'static str, CounterVec>,
}

impl Metrics {
    /// Sets the gauge `signalloop_{name}` for these labels.
    fn set(&mut self, name: &'static str, help: &str, labels: &[&str], at: &[&str], value: f64) -> Result<()> {
        let gauge = match self.gauges.entry(name) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let gauge = GaugeVec::new(options(name, help), labels).map_err(defect)?;
                self.registry.register(Box::new(gauge.clone())).map_err(defect)?;
                free.insert(gauge)
            }
        };
        gauge.get_metric_with_label_values(at).map_err(defect)?.set(value);
        Ok(())
    }

    /// Sets the counter `signalloop_{name}` for these labels. Call it only once for each.
    fn count(&mut self, name: &'static str, help: &str, labels: &[&str], at: &[&str], value: u64) -> Result<()> {
        let counter = match self.counters.entry(name) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let counter = CounterVec::new(options(name, help), labels).map_err(defect)?;
                self.registry.register(Box::new(counter.clone())).map_err(defect)?;
                free.insert(counter)
            }
        };
        counter.get_metric_with_label_values(at).map_err(defect)?.inc_by(value as f64);
        Ok(())
    }

    fn text(&self) -> Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(defect)
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("signalloop_{name}"), help)
}

/// The names and labels are fixed in the code, so an error here is a bug.
fn defect(error: prometheus::Error) -> Error {
    Error::Internal(format!("metrics: {error}"))
}
