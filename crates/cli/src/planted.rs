//! A market with planted rules: the best possible result is known, so learning can be measured against it.

use crate::output::Output;
use domain::barrier::{Direction, Outcome};
use domain::error::{Error, Result};
use domain::signal::{Signal, Source};
use domain::time::{Clock, DAY_MS, HOUR_MS, Tz};
use engine::store_location::FILES;
use engine::{Options, SignalLoop};
use learning::outcomes::Pattern;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SYMBOLS: [&str; 5] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "XRPUSDT"];
const SIGNALS_A_DAY: usize = 10;
/// The intercept of the log odds at which six signals in ten succeed, with the rules of [`Planted::log_odds`] included.
const INTERCEPT: f64 = 1.08;

/// Signals whose success depends on rules that the learner is not told.
struct Planted {
    rng: ChaCha8Rng,
    given: usize,
}

/// A signal, and its true probability of success.
struct Drawn {
    signal: Value,
    id: String,
    probability: f64,
}

impl Planted {
    fn draw(&mut self, now_ms: i64) -> Drawn {
        let rng = &mut self.rng;
        let direction = if rng.random_bool(0.8) { Direction::Buy } else { Direction::Sell };
        let [rsi, macd, volume] =
            [(15.0, 85.0), (-1.0, 1.0), (0.4, 2.0)].map(|(low, high): (f64, f64)| rng.random_range(low..high));
        let [adx, spread, noise] =
            [(10.0, 40.0), (0.1, 2.0), (-1.0, 1.0)].map(|(low, high): (f64, f64)| rng.random_range(low..high));
        let symbol = SYMBOLS[rng.random_range(0..SYMBOLS.len())];
        self.given += 1;
        let (id, sign) = (format!("planted-{}", self.given), direction.sign());
        let signal = json!({
            "id": id, "symbol": symbol, "signalType": direction, "confidence": 60, "timestamp": now_ms,
            "entryPrice": 100.0, "stopLoss": 100.0 - 2.0 * sign, "takeProfit": 100.0 + 2.0 * sign,
            "indicators": {
                "rsi": rsi, "macd": macd, "volumeRatio": volume, "adx": adx, "spread": spread, "noise": noise,
            },
        });
        let probability = 1.0 / (1.0 + (-Self::log_odds(sign, rsi, macd, volume)).exp());
        Drawn { signal, id, probability }
    }

    /// The rules: overbought signals and those against MACD fail more often; high volume confirms.
    fn log_odds(sign: f64, rsi: f64, macd: f64, volume: f64) -> f64 {
        let overbought = f64::from(u8::from(sign * (rsi - 50.0) > 15.0));
        let against = f64::from(u8::from(sign * macd < 0.0));
        let confirmed = f64::from(u8::from(volume > 1.2));
        INTERCEPT - 2.2 * overbought - 1.6 * against + 1.8 * confirmed
    }
}

/// Success rates of a week's signals in percent: of all, of the half that the learner would take, and of the best
/// possible half.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Week {
    all: f64,
    taken: f64,
    best: f64,
}

impl Week {
    /// The achieved share of the possible gain, as a bar of twenty squares.
    fn bar(self) -> String {
        let share = (self.taken - self.all) / (self.best - self.all);
        let full = (20.0 * share.clamp(0.0, 1.0)).round() as usize;
        format!("{}{}", "█".repeat(full), "░".repeat(20 - full))
    }
}

/// Simulates `weeks` weeks with a learner, prints a line for each, and writes the report to a file; returns the results
/// as JSON.
pub async fn learn(
    home: PathBuf,
    seed: u64,
    start_ms: i64,
    weeks: u32,
    report: &Path,
    output: &Output,
) -> Result<Value> {
    let clock = Clock::standing(start_ms);
    let core = Arc::new(SignalLoop::open(Options {
        home: Some(home),
        store: Some(FILES.to_owned()),
        clock: clock.clone(),
        ..Options::default()
    })?);
    core.settings().configure(serde_json::Map::from_iter([("durability".to_owned(), json!("os"))]))?;
    let mut market = Planted { rng: ChaCha8Rng::seed_from_u64(seed), given: 0 };
    let mut told = Vec::new();
    for week in 1..=weeks {
        let mut sums = Week::default();
        for _ in 0..7 {
            let begin_ms = clock.now_ms();
            let day = day(&core, &mut market, &clock).await?;
            sums = Week { all: sums.all + day.all, taken: sums.taken + day.taken, best: sums.best + day.best };
            clock.set(begin_ms + DAY_MS);
        }
        let week_of = Week { all: sums.all / 7.0, taken: sums.taken / 7.0, best: sums.best / 7.0 };
        let Week { all, taken, best } = week_of;
        output.news(format!(
            "   week {week:>2}: all {all:>5.1} %  {}  half chosen by the learner {taken:>5.1} %, the best possible {best:>5.1} %",
            week_of.bar()
        ));
        told.push(json!({ "week": week, "figures": week_of }));
    }
    let patterns = core.outcomes().patterns(None, None).await?;
    output.news("   Rules it found:");
    for Pattern { rule, tally, .. } in patterns.iter().take(4) {
        output.news(format!("   - {rule}: {} of {} succeeded", tally.successes, tally.count));
    }
    report::write(&core, Some(report)).await?;
    core.close().await;
    Ok(json!({ "weeks": told, "patterns": patterns.iter().map(|pattern| &pattern.rule).collect::<Vec<_>>() }))
}

/// Simulates a day: all signals are assessed before any of them closes; then each is recorded and closes before the
/// next. Success is measured by the true probability, because ten random outcomes would hide what is learned.
async fn day(core: &Arc<SignalLoop>, market: &mut Planted, clock: &Clock) -> Result<Week> {
    let begin_ms = clock.now_ms();
    let given_at = |place: usize| begin_ms + 2 * HOUR_MS * place as i64;
    let mut judged = Vec::with_capacity(SIGNALS_A_DAY);
    for place in 0..SIGNALS_A_DAY {
        let drawn = market.draw(given_at(place));
        let signal = Signal::from_value(drawn.signal.clone(), Source::Caller, Tz::UTC)?;
        let assessed = core.outcomes().assess(signal).await?.success_probability;
        judged.push((assessed, drawn));
    }
    for (place, (_, drawn)) in judged.iter().enumerate() {
        clock.set(given_at(place));
        core.signals().record(vec![Signal::from_value(drawn.signal.clone(), Source::Caller, Tz::UTC)?]).await?;
        clock.set(given_at(place) + HOUR_MS);
        let outcome = if market.rng.random_bool(drawn.probability) { Outcome::TookProfit } else { Outcome::StoppedOut };
        if !core.signals().close_signal(&drawn.id, outcome, None, None).await? {
            return Err(Error::Internal(format!("the signal {} was closed before", drawn.id)));
        }
    }
    let truth = |judged: &[(f64, Drawn)]| {
        100.0 * judged.iter().map(|(_, drawn)| drawn.probability).sum::<f64>() / judged.len() as f64
    };
    let all = truth(&judged);
    judged.sort_by(|a, b| b.0.total_cmp(&a.0));
    let taken = truth(&judged[..SIGNALS_A_DAY / 2]);
    judged.sort_by(|a, b| b.1.probability.total_cmp(&a.1.probability));
    Ok(Week { all, taken, best: truth(&judged[..SIGNALS_A_DAY / 2]) })
}
