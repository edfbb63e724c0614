//! The demonstration: the whole loop on a simulated market, explained for newcomers.

use super::args::Demo;
use super::knowledge::summary;
use super::output::Output;
use super::shown::figures_table;
use super::{FAILURE, SUCCESS};
use super::{demo_replay, planted};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::{Clock, DAY_MS, HOUR_MS};
use engine::store_location::FILES;
use engine::{GeneratedSignal, Options, SignalLoop, TrainMode, TrainRequest, TrainingResults};
use feedback::{Stats, StatsFilter};
use serde_json::{Map, Value, json};
use simulator::{Simulator, SimulatorOptions};
use std::sync::Arc;

/// 2025-01-01: the first candle of the simulated market.
const START_MS: i64 = 1_735_689_600_000;
/// Days of history for the first training.
const HISTORY_DAYS: i64 = 150;
const SYMBOLS: [&str; 4] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT"];
/// Weeks of the market with planted rules.
const PLANTED_WEEKS: u32 = 8;
/// A rule strong enough to be found in a few months of candles.
const RULE_STRENGTH: f64 = 0.3;

/// Runs the demonstration.
pub async fn run(args: &Demo, output: &Output) -> Result<i32> {
    let temporary;
    let (home, reports) = match &args.keep {
        Some(folder) if folder.exists() => {
            return Err(Error::argument("keep", "must be a folder that does not exist yet", folder.display()));
        }
        Some(folder) => (folder.clone(), folder.clone()),
        None => {
            temporary = temporary_folder()?;
            // The reports are kept; everything else is deleted.
            (temporary.path().to_owned(), temporary_folder()?.keep())
        }
    };
    let clock = Clock::standing(START_MS + HISTORY_DAYS * DAY_MS);
    let symbols: Vec<Symbol> = SYMBOLS.iter().map(|name| Symbol::parse(name)).collect::<Result<_>>()?;
    let simulator = Simulator::start(SimulatorOptions {
        seed: args.seed,
        symbols: symbols.clone(),
        start_ms: START_MS,
        clock: clock.clone(),
        rule_strength: RULE_STRENGTH,
        ..SimulatorOptions::default()
    })?;
    output.news("1. A market that exists only on this machine");
    output.news(format!("   {} trade on a simulated exchange at {}.", SYMBOLS.join(", "), simulator.url()));
    output.news(
        "   Prices are a random walk with one hidden rule: they tend to fall after overbought hours and to rise after",
    );
    output.news("   oversold ones. The models are not told. (A real market need not have any such rule.)\n");

    let threads = std::thread::available_parallelism().ok().map(usize::from);
    let core = Arc::new(SignalLoop::open(Options {
        home: Some(home.clone()),
        // The demonstration's signals must not get into a real store.
        store: Some(FILES.to_owned()),
        threads,
        exchange_url: Some(simulator.url().to_owned()),
        clock: clock.clone(),
        ..Options::default()
    })?);
    core.settings().configure(Map::from_iter([
        ("symbols".to_owned(), json!(SYMBOLS)),
        ("timeframes".to_owned(), json!(["1h"])),
    ]))?;
    let demo = Running { core, simulator, clock, output };
    let (code, mut told) = demo.live(args.weeks).await?;
    let report = report::write(&demo.core, Some(&reports.join("report.html"))).await?.path;
    output.news("\n5. Signals of your own: their outcomes teach which of them to take");
    output.news(
        "   Ten a day, with indicators. Six in ten succeed; overbought ones, and those against MACD, fail more often,",
    );
    output.news(
        "   and high volume helps. The learner only sees outcomes. The bar shows its share of the possible gain.",
    );
    let learned = reports.join("learned.html");
    told["learning"] =
        planted::learn(home.join("planted"), args.seed, START_MS, PLANTED_WEEKS, &learned, output).await?;
    output.news(
        "   How much can be learned on real markets is unknown in advance: docs/learning.md has some measurements.",
    );
    output.news("\n6. Replay: would it have helped a strategy that knows nothing?");
    output.news("   A BUY, then a SELL, every three hours, over the weeks of the simulated market. Each signal is assessed before it");
    output.news("   is recorded, with models trained on the candles until then; then the same without models, and without outcomes.");
    let replayed = reports.join("replay.html");
    let lived_ms = START_MS + HISTORY_DAYS * DAY_MS;
    told["replay"] = demo_replay::replay(&demo.core, lived_ms, &replayed, output).await?;
    demo.core.close().await;
    told["report"] = json!(report);
    told["learnedReport"] = json!(std::path::absolute(&learned).unwrap_or(learned));
    told["replayReport"] = json!(std::path::absolute(&replayed).unwrap_or(replayed));
    output.document(&told);
    output.news("\n7. Reports to open in a browser");
    output.line(format!("   The weeks on the simulated market: {}", report.display()));
    output.line(format!(
        "   What was learned from your own signals: {}",
        told["learnedReport"].as_str().unwrap_or_default()
    ));
    output.line(format!("   The replay: {}", told["replayReport"].as_str().unwrap_or_default()));
    if args.keep.is_some() {
        output.news(format!("   Everything else is in {}: candles, models, feedback/signals.jsonl.", home.display()));
    }
    output.news(
        "\nNext: `signalloop train` trains on real candles; README.md wires the loop into a backend in ten lines.",
    );
    Ok(code)
}

fn temporary_folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("signalloop-demo-").tempdir();
    folder.map_err(|e| Error::io("create", &std::env::temp_dir(), e))
}

struct Running<'a> {
    core: Arc<SignalLoop>,
    simulator: Simulator,
    clock: Clock,
    output: &'a Output,
}

impl Running<'_> {
    async fn live(&self, weeks: u32) -> Result<(i32, Value)> {
        let out = self.output;
        out.news(format!(
            "2. Fetch all {HISTORY_DAYS} days of candles over the exchange's REST protocol, and train a model for each"
        ));
        let trained = self.train().await?;
        let skilled = trained.skilled();
        out.news(
            "   Better by so much is the log loss of its probabilities than that of always saying the base rate, on",
        );
        out.news("   candles the model had not seen.");
        out.news(format!(
            "   {}. A model without skill says so and gives no signal.\n",
            trained.found().unwrap_or_default()
        ));

        out.news(format!("3. Live {weeks} weeks hour by hour: predict, record signals, let the price close them"));
        let begin = self.clock.now_ms();
        let mut weekly = Vec::new();
        for week in 1..=weeks {
            let from = self.clock.now_ms();
            for _ in 0..7 * 24 {
                self.clock.set(self.clock.now_ms() + HOUR_MS);
                self.hour().await?;
            }
            let figures = self.figures(from)?;
            out.news(format!(
                "   week {week}: {:>3} signals closed, {:>5.1} % succeeded, mean profit {:+.3} % after costs",
                figures.closed, figures.success_rate, figures.expectancy
            ));
            weekly.push(json!({ "week": week, "figures": figures }));
            if week < weeks {
                self.train().await?;
            }
        }
        out.news("   (The models were retrained on the new candles after each week but the last.)\n");

        out.news("4. Results of the signals");
        let filter = StatsFilter { since_ms: Some(begin), ..StatsFilter::default() };
        let stats = self.core.store().open()?.stats(&filter)?;
        figures_table(&Stats { by_timeframe: Vec::new(), ..stats }, out);
        out.news("   The target is twice as far as the stop, so winning about a third of the time breaks even.");
        let code = if trained.succeeded() == trained.results.len() { SUCCESS } else { FAILURE };
        Ok((code, json!({ "weeks": weekly, "overall": stats.figures, "modelsWithSkill": skilled })))
    }

    async fn train(&self) -> Result<TrainingResults> {
        let request = TrainRequest { mode: TrainMode::All, ..TrainRequest::default() };
        let results = self.core.trainer().train(request, Cancel::default(), |_| {}).await?;
        for result in &results.results {
            self.output.news(format!("   {}", summary(result)));
        }
        Ok(results)
    }

    /// One hour of a backend: the price closes signals, then the models may give new ones, at most one open signal per
    /// symbol.
    async fn hour(&self) -> Result<()> {
        let store = self.core.store().open()?;
        let now = self.clock.now_ms();
        for market in self.core.settings().markets(None, None) {
            let candles = self.simulator.candles(&market, now - 200 * HOUR_MS, now)?;
            if let Some(last) = candles.last() {
                store.on_candle(&market.symbol, last, market.timeframe.millis()).await?;
            }
            if store.open_signals(Some(&market.symbol))?.is_empty() {
                self.signal(&market, &candles).await?;
            }
        }
        Ok(())
    }

    async fn signal(&self, market: &Market, candles: &[domain::candle::Candle]) -> Result<()> {
        let prediction = self.core.models().predict(market, Some(candles)).wait()?;
        if prediction.decision.is_ok() {
            let signal = GeneratedSignal::new(prediction, self.clock.now_ms());
            self.core.signals().record(vec![signal.to_signal()]).await?;
        }
        Ok(())
    }

    fn figures(&self, since_ms: i64) -> Result<feedback::Figures> {
        let filter = StatsFilter { since_ms: Some(since_ms), timeframe: Some(Timeframe::H1), ..StatsFilter::default() };
        Ok(self.core.store().open()?.stats(&filter)?.figures)
    }
}
