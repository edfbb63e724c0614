//! `signalloop scorecard`.

use super::SUCCESS;
use super::args;
use super::output::Output;
use super::table::Table;
use domain::error::Result;
use engine::{ScorecardFilter, SignalLoop};
use learning::scorecard::{Ends, Mean, Part, Score, Scorecard};
use serde_json::json;

/// Compares predictions made for signals with their outcomes.
pub fn scorecard(core: &SignalLoop, asked: &args::Scorecard, output: &Output) -> Result<i32> {
    let args::Scorecard { since, strategy, symbol } = asked;
    let filter =
        ScorecardFilter { since_ms: *since, strategy: strategy.clone(), symbol: symbol.clone(), ..Default::default() };
    let card = core.outcomes().scorecard(&filter)?;
    output.line(&card.verdict);
    if let Some(score) = &card.overall {
        scores(&card, score, output);
        calibration(&card, output);
    }
    output.document(&json!(card));
    Ok(SUCCESS)
}

fn scores(card: &Scorecard, all: &Score, output: &Output) {
    let heads = [
        "",
        "closed",
        "success",
        "predicted",
        "log loss",
        "against base rate",
        "R of all",
        "take",
        "left",
        "take adds",
    ];
    let mut table = Table::new(&heads);
    let mut row = |name: &str, score: &Score| {
        let r = score.realised_r;
        let mean = |mean: Option<Mean>| mean.map_or_else(nothing, |mean| format!("{:+.2}", mean.mean));
        table.row([
            name.to_owned(),
            score.signals.to_string(),
            percent(score.success_share),
            percent(score.mean_probability),
            format!("{:.4}", score.log_loss.probability),
            with_interval(&score.log_loss.against_base_rate, 4),
            mean(r.map(|r| r.all)),
            mean(r.and_then(|r| r.take)),
            mean(r.and_then(|r| r.left)),
            r.and_then(|r| r.gain).map_or_else(nothing, |gain| with_interval(&gain, 2)),
        ]);
    };
    row("all", all);
    let mut parts = |parts: &[Part]| parts.iter().for_each(|part| row(&part.name, &part.score));
    [&card.by_strategy, &card.by_symbol, &card.by_month].into_iter().for_each(|list| parts(list));
    output.table(&table);
    output.line(
        "R is the profit after costs in units of the risk at entry. Log loss in nats a signal: against the base rate, below 0 is \
         better. In brackets 95 % intervals, in which signals given together count as one; none below eight stretches of time.",
    );
    if all.followed > 0 {
        output.line(format!("{} of {} were tracked but not traded.", all.followed, all.signals));
    }
}

fn calibration(card: &Scorecard, output: &Output) {
    let mut table = Table::new(&["predicted", "succeeded", "95 % interval", "closed"]);
    for bin in &card.calibration {
        let ends = |Ends { low, high }| format!("{:.1}–{:.1} %", 100.0 * low, 100.0 * high);
        let interval = bin.came.interval.map_or_else(nothing, ends);
        table.row([percent(bin.said), percent(bin.came.mean), interval, bin.came.signals.to_string()]);
    }
    output.table(&table);
}

fn nothing() -> String {
    "–".to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn with_interval(mean: &Mean, digits: usize) -> String {
    let ends = |Ends { low, high }| format!(" [{low:+.digits$}, {high:+.digits$}]");
    format!("{:+.digits$}{}", mean.mean, mean.interval.map(ends).unwrap_or_default())
}
