//! The tools that only read.

use super::answer::Answer;
use super::arguments::{Arguments, text};
use super::{Server, resources, words};
use domain::error::{Error, Result};
use domain::signal::{Signal, Source};
use domain::symbol::{Market, Timeframe};
use domain::threads::blocking;
use engine::{AdviceFilter, ScorecardFilter};
use feedback::{FeedbackStore, StatsFilter};
use serde_json::{Value, json};

/// The days that `statistics` covers unless it is told, as `getStats` does.
const STATISTICS_DAYS: f64 = 30.0;
const DAY_MS: f64 = 86_400_000.0;
/// Open signals listed unless told.
const OPEN_LISTED: usize = 50;
/// Open signals listed at most.
const MOST_OPEN: usize = 500;

impl Server {
    /// The store. Reading alone does not create one.
    ///
    /// # Errors
    /// [`Error::NoData`] if nothing was ever recorded; [`Error::Storage`].
    fn store(&self) -> Result<FeedbackStore> {
        self.core().store().existing()?.ok_or_else(|| {
            let home = self.core().settings().home().display();
            Error::NoData(format!(
                "no signal was ever recorded in {home}: a backend records them with `recordSignal`, and `signalloop import` reads those of \
                 other tools"
            ))
        })
    }
}

pub async fn statistics(server: Server, mut arguments: Arguments) -> Result<Answer> {
    let (symbol, timeframe) = (arguments.symbol()?, arguments.timeframe()?);
    let all = arguments.option("all", "must be true or false", Value::as_bool)?.unwrap_or_default();
    let allowed = "must be a number of days above 0, at most 36500";
    let days = |value: &Value| value.as_f64().filter(|days| *days > 0.0 && *days <= 36_500.0);
    let days = arguments.option("days", allowed, days)?;
    if let (true, Some(days)) = (all, days) {
        return Err(Error::argument("days", "must not be given together with `all`", days));
    }
    arguments.end()?;
    let days = if all { None } else { Some(days.unwrap_or(STATISTICS_DAYS)) };
    blocking(move || {
        let now_ms = server.core().settings().now_ms();
        let since_ms = days.map(|days| now_ms - (days * DAY_MS) as i64);
        let filter = StatsFilter { symbol, timeframe, since_ms, ..StatsFilter::default() };
        let stats = server.store()?.stats(&filter)?;
        let mode = server.core().performance().live().conservative_mode(&filter)?;
        let words = words::statistics(&stats, &mode, days);
        Ok(Answer::new(words, server.0.setup.shapes.statistics(stats, mode, now_ms)))
    })
    .await
}

pub async fn assess(server: Server, mut arguments: Arguments) -> Result<Answer> {
    let signal = arguments.required("signal", "must be an object", |value| value.as_object().cloned())?;
    arguments.end()?;
    let settings = server.core().settings();
    let source = Source::Question { now_ms: settings.now_ms() };
    let question = Signal::from_json(signal, source, settings.config().timezone)?;
    let assessment = server.core().outcomes().assess(question).await?;
    Ok(Answer::new(words::assessment(&assessment), server.0.setup.shapes.assessment(assessment)))
}

pub async fn patterns(server: Server, mut arguments: Arguments) -> Result<Answer> {
    let (symbol, timeframe) = (arguments.symbol()?, arguments.timeframe()?);
    arguments.end()?;
    let found = server.core().outcomes().patterns(symbol, timeframe).await?;
    let words = words::patterns(&found);
    let shaped = found.into_iter().map(|pattern| server.0.setup.shapes.pattern(pattern));
    Ok(Answer::new(words, json!({ "patterns": shaped.collect::<Vec<_>>() })))
}

pub async fn scorecard(server: Server, mut arguments: Arguments) -> Result<Answer> {
    let filter = ScorecardFilter {
        since_ms: arguments.time("since")?,
        strategy: arguments.strategy()?,
        symbol: arguments.symbol()?,
        ..ScorecardFilter::default()
    };
    arguments.end()?;
    blocking(move || {
        let card = server.core().outcomes().scorecard(&filter)?;
        Ok(Answer::new(words::scorecard(&card), json!(card)))
    })
    .await
}

pub async fn advise(server: Server, mut arguments: Arguments) -> Result<Answer> {
    let filter = AdviceFilter {
        since_ms: arguments.time("since")?,
        strategy: arguments.strategy()?,
        symbol: arguments.symbol()?,
        timeframe: arguments.timeframe()?,
        ..AdviceFilter::default()
    };
    arguments.end()?;
    blocking(move || {
        let advice = server.core().outcomes().advise(&filter)?;
        Ok(Answer::new(words::advice(&advice), json!(advice)))
    })
    .await
}

pub async fn models(server: Server, mut arguments: Arguments) -> Result<Answer> {
    let (symbol, timeframe) = (arguments.symbol()?, arguments.timeframe()?);
    arguments.end()?;
    blocking(move || {
        let mut models = server.core().models().list()?;
        models.markets.retain(|one| {
            // A damaged file has no market that could be left out.
            let Ok(record) = &one.champion.record else { return symbol.is_none() && timeframe.is_none() };
            symbol.as_ref().is_none_or(|symbol| *symbol == record.market.symbol)
                && timeframe.is_none_or(|timeframe| timeframe == record.market.timeframe)
        });
        let words = words::models(&models);
        let now_ms = server.core().settings().now_ms();
        Ok(Answer::new(words, json!({ "models": server.0.setup.shapes.models(models, now_ms) })))
    })
    .await
}

pub async fn predict(server: Server, mut arguments: Arguments) -> Result<Answer> {
    let (symbol, timeframe) = (arguments.required_symbol()?, arguments.timeframe()?.unwrap_or(Timeframe::H1));
    arguments.end()?;
    blocking(move || {
        let prediction = server.core().models().predict(&Market { symbol, timeframe }, None).wait()?;
        Ok(Answer::new(words::prediction(&prediction), server.0.setup.shapes.prediction(prediction)))
    })
    .await
}

pub async fn open_signals(server: Server, mut arguments: Arguments) -> Result<Answer> {
    let symbol = arguments.symbol()?;
    let limit = arguments.whole("limit", 1, MOST_OPEN as u64)?.map_or(OPEN_LISTED, |limit| limit as usize);
    arguments.end()?;
    blocking(move || {
        let store = server.store()?;
        let open = store.open_signals(symbol.as_ref())?;
        let mut listed = Vec::new();
        for signal in &open[open.len().saturating_sub(limit)..] {
            // It may have been closed since.
            if let Some(record) = store.get(&signal.id)? {
                listed.push(server.0.setup.shapes.signal(&record, &store.costs()));
            }
        }
        let words = words::open_signals(open.len(), listed.len());
        Ok(Answer::new(words, json!({ "total": open.len(), "signals": listed })))
    })
    .await
}

pub async fn signal(server: Server, mut arguments: Arguments) -> Result<Answer> {
    const ALLOWED: &str = "must be the id of a recorded signal";
    let id = arguments.required("id", ALLOWED, text)?;
    arguments.end()?;
    blocking(move || {
        let store = server.store()?;
        let record = store.get(&id)?.ok_or_else(|| Error::argument("id", ALLOWED, &id))?;
        let shaped = server.0.setup.shapes.signal(&record, &store.costs());
        Ok(Answer::new(words::signal(&shaped), shaped))
    })
    .await
}

pub async fn report(server: Server, arguments: Arguments) -> Result<Answer> {
    arguments.end()?;
    let report = resources::gather(&server).await?;
    let figures = report.signals.as_ref().map(|signals| signals.figures);
    let problems: Vec<String> =
        report.problems.iter().map(|problem| format!("{} [{}]", problem.message, problem.code)).collect();
    let data = json!({
        "closedSignals": figures.map_or(0, |figures| figures.closed),
        "activeSignals": figures.map_or(0, |figures| figures.active),
        "models": report.models.markets.len(),
        "problems": problems,
        "resource": resources::REPORT,
    });
    Ok(Answer::new(words::report(&report), data))
}

pub async fn status(server: Server, arguments: Arguments) -> Result<Answer> {
    arguments.end()?;
    blocking(move || {
        let core = server.core();
        let scheduler = core.scheduler().status()?;
        let mode = core.performance().live().conservative_mode(&StatsFilter::default())?;
        let write = server.0.setup.write;
        let words = words::status(&scheduler, &mode, write);
        let mut conservative = json!({ "active": mode.active, "scopes": mode.scopes });
        if let Some(since_ms) = mode.since_ms {
            conservative["since"] = json!(domain::time::format_iso(since_ms));
            conservative["reason"] = json!(mode.reason);
        }
        let data = json!({
            "home": core.settings().home(),
            "store": core.store().location().to_string(),
            "write": write,
            "scheduler": scheduler.to_json(),
            "conservativeMode": conservative,
            "warnings": core.settings().warnings(),
        });
        Ok(Answer::new(words, data))
    })
    .await
}

pub async fn doctor(server: Server, arguments: Arguments) -> Result<Answer> {
    arguments.end()?;
    let found = (server.0.setup.doctor)().await;
    Ok(Answer::new(words::doctor(&found), found))
}
