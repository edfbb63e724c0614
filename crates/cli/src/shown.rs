//! The commands that show things: statistics, patterns, and whether signals have improved.

use super::SUCCESS;
use super::args::{Patterns, Stats};
use super::details::details;
use super::output::Output;
use super::table::Table;
use super::words::age;
use domain::error::Result;
use domain::symbol::Market;
use domain::time::format_iso;
use engine::SignalLoop;
use feedback::{Figures, Stats as Shown, StatsFilter, Totals};
use learning::improvement::{Half, Improvement};
use serde_json::{Value, json};
use std::sync::Arc;

/// `signalloop patterns`.
pub async fn patterns(core: &Arc<SignalLoop>, patterns: &Patterns, output: &Output) -> Result<i32> {
    let found = core.outcomes().patterns(patterns.symbol.clone(), patterns.timeframe).await?;
    if found.is_empty() {
        output.line("No rule stands out from what chance alone would show.");
    }
    let mut table = Table::new(&[
        "rule",
        "count",
        "success",
        "95 % interval",
        "all",
        "R",
        "R, 95 %",
        "all R",
        "by chance",
        "since",
        "still holds",
    ])
    .droppable(&["since", "all R", "by chance"]);
    for pattern in &found {
        let (low, high) = pattern.tally.interval();
        table.row([
            pattern.rule.to_string(),
            pattern.tally.count.to_string(),
            format!("{:.1} %", pattern.tally.success_rate()),
            format!("{low:.1}–{high:.1} %"),
            format!("{:.1} %", pattern.base_rate),
            pattern.mean_r.map_or("–".to_owned(), |r| format!("{r:+.2}")),
            pattern.mean_r_interval.map_or("–".to_owned(), |(low, high)| format!("{low:+.2} to {high:+.2}")),
            pattern.base_r.map_or("–".to_owned(), |r| format!("{r:+.2}")),
            format!("{:.3}", pattern.p_value),
            format_iso(pattern.since_ms).chars().take(10).collect(),
            pattern.still_holds.map_or("?", |holds| if holds { "yes" } else { "no" }).to_owned(),
        ]);
    }
    if table.has_rows() {
        output.table(&table);
    }
    output.document(&Value::from_iter(found.iter().map(|pattern| {
        let (low, high) = pattern.tally.interval();
        present(json!({
            "rule": pattern.rule, "count": pattern.tally.count, "successes": pattern.tally.successes,
            "successRate": pattern.tally.success_rate(), "successInterval": { "low": low, "high": high },
            "baseRate": pattern.base_rate, "meanR": pattern.mean_r,
            "meanRInterval": pattern.mean_r_interval.map(|(low, high)| json!({ "low": low, "high": high })), "baseR": pattern.base_r,
            "pValue": pattern.p_value,
            "since": format_iso(pattern.since_ms), "stillHolds": pattern.still_holds,
            "recentCount": pattern.recent.count, "recentSuccesses": pattern.recent.successes,
        }))
    })));
    Ok(SUCCESS)
}

/// Prints whether a market's signals have improved.
pub fn improvement(market: &Market, found: &Improvement, output: &Output) {
    let Improvement { early, recent, .. } = found;
    output.line(format!("{market}: {}", json!(found.verdict).as_str().unwrap_or_default()));
    for (name, half) in [("early half", early), ("recent half", recent)] {
        let even = half.break_even.map_or_else(String::new, |even| format!(", break-even {:.1} %", even.rate));
        output.line(format!(
            "  {name:<12} {:>5} closed (worth {:.0}), {:.1} % succeeded ({:.1}–{:.1} %){even}, mean profit {:+.3} % after costs",
            half.closed, half.effective, half.success_rate, half.success_interval.0, half.success_interval.1, half.mean_profit
        ));
    }
    if let Some((low, high)) = found.interval {
        output.line(format!("  difference {:+.1} percentage points ({low:+.1} to {high:+.1})", found.difference));
    }
    let interval = |(low, high): (f64, f64)| json!({ "low": low, "high": high });
    let half = |half: &Half| {
        present(json!({
            "closedSignals": half.closed, "effectiveSignals": half.effective, "successfulSignals": half.successes,
            "successRate": half.success_rate, "successInterval": interval(half.success_interval),
            "breakEvenRate": half.break_even.map(|even| even.rate),
            "breakEvenSource": half.break_even.map(|even| even.source),
            "expectancy": half.mean_profit,
            "from": half.from_ms.map(format_iso), "until": half.until_ms.map(format_iso),
        }))
    };
    output.document(&present(json!({
        "symbol": market.symbol, "timeframe": market.timeframe, "early": half(early), "recent": half(recent),
        "successDifference": found.difference, "differenceInterval": found.interval.map(interval),
        "expectancyDifference": found.profit_difference, "verdict": found.verdict,
    })));
}

/// Removes missing members from an object, as in the JavaScript API.
fn present(mut object: Value) -> Value {
    if let Value::Object(map) = &mut object {
        map.retain(|_, value| !value.is_null());
    }
    object
}

/// Number of days that `stats` covers by default.
const DAYS: f64 = 30.0;

/// `signalloop stats`.
pub fn stats(core: &SignalLoop, args: &Stats, output: &Output) -> Result<i32> {
    let days = if args.all { None } else { Some(args.days.unwrap_or(DAYS)) };
    let since_ms = days.map(|days| core.settings().now_ms() - (days * 86_400_000.0) as i64);
    let everything = StatsFilter { symbol: args.symbol.clone(), timeframe: args.timeframe, ..StatsFilter::default() };
    let filter = StatsFilter { since_ms, ..everything.clone() };
    let (stats, everything) = (core.store().open()?.stats(&filter)?, core.store().open()?.stats(&everything)?);
    let (all, followed) = (everything.figures, stats.followed);
    let mode = core.performance().live().conservative_mode(&filter)?;
    let exposure = stats.exposure(core.settings().now_ms());
    let period = days.map_or_else(|| "All signals".to_owned(), |days| format!("The last {days} days"));
    output.line(format!("{period}, in {}", core.settings().home().display()));
    if is_empty(&all) && followed.total == 0 {
        output.line("No signals yet. A backend records them with `feedbackTracker.recordSignal(signal)`.");
    } else if is_empty(&stats.figures) && followed.total == 0 {
        output.line("No signals in that time.");
    } else {
        figures_table(&stats, output);
        details(&stats, exposure, output);
    }
    if let Some(earlier) = earlier(&stats.figures, &all) {
        output.line(format!("Before that: {earlier}. `signalloop stats --all` counts them too."));
    }
    if let (Some(since_ms), Some(reason)) = (mode.since_ms, &mode.reason) {
        output.line(format!(
            "Conservative mode since {}, {} ago ({}): {reason}.",
            format_iso(since_ms),
            age(core.settings().now_ms() - since_ms),
            mode.scopes.join(", ")
        ));
    }
    let mut document = json!(Totals::from(if args.days.is_some() { &stats.figures } else { &all }));
    document["period"] = present(json!({ "days": days, "from": since_ms.map(format_iso) }));
    document["overall"] = json!(stats.figures);
    document["bySymbol"] = stats.by_symbol.iter().map(|(s, f)| (s.to_string(), json!(f))).collect();
    document["byTimeframe"] = stats.by_timeframe.iter().map(|(t, f)| (t.to_string(), json!(f))).collect();
    document["byStrategy"] = stats.by_strategy.iter().map(|(name, f)| (name.clone(), json!(f))).collect();
    document["bySignalType"] = stats.by_direction.iter().map(|(d, f)| (d.as_str().to_owned(), json!(f))).collect();
    document["byMonth"] = stats.by_month.iter().map(|(month, f)| (month.to_string(), json!(f))).collect();
    document["holdingTimes"] = json!(stats.holding.times());
    if let Some(time) = stats.holding.time_to_fill() {
        document["timeToFill"] = json!(time);
    }
    if let Some(by_part) = &stats.by_part {
        document["profitByPart"] = json!(by_part);
    }
    if let Some(exposure) = exposure {
        document["exposure"] = json!({
            "from": format_iso(exposure.from_ms), "until": format_iso(exposure.until_ms),
            "openTimePercent": exposure.open_time_percent, "averageOpen": exposure.average_open,
        });
    }
    document["followed"] = json!(followed);
    document["conservativeMode"] = present(json!({
        "active": mode.active, "since": mode.since_ms.map(format_iso), "reason": mode.reason, "scopes": mode.scopes,
    }));
    document["ignoredPrices"] = json!(stats.ignored_prices);
    output.document(&document);
    Ok(SUCCESS)
}

fn is_empty(figures: &Figures) -> bool {
    figures.total + figures.hold + figures.pending + figures.cancelled == 0
}

/// The signals outside the period, in words.
fn earlier(period: &Figures, all: &Figures) -> Option<String> {
    let counts = [
        (all.closed, period.closed, "closed"),
        (all.active, period.active, "open"),
        (all.pending, period.pending, "waiting for their entry"),
        (all.cancelled, period.cancelled, "cancelled"),
        (all.hold, period.hold, "HOLD"),
    ];
    let told: Vec<String> = counts
        .into_iter()
        .filter(|(all, period, _)| all > period)
        .map(|(all, period, what)| format!("{} {what}", all - period))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Figures in rows: all, then by symbol, by timeframe and by strategy; below them the signals that were only tracked.
pub fn figures_table(stats: &Shown, output: &Output) {
    let Shown { figures: all, by_symbol, by_timeframe, by_strategy, followed, .. } = stats;
    let heads = ["", "closed", "open", "success", "95 % interval", "break-even", "mean profit", "total"];
    let mut table = Table::new(&heads).droppable(&["break-even", "open", "mean profit"]);
    let mut row = |name: &str, f: &Figures| {
        let of_closed = |text: String| if f.closed == 0 { "–".to_owned() } else { text };
        table.row([
            name.to_owned(),
            f.closed.to_string(),
            f.active.to_string(),
            of_closed(format!("{:.1} %", f.success_rate)),
            of_closed(format!("{:.1}–{:.1} %", f.success_interval.0, f.success_interval.1)),
            f.break_even_rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1} %")),
            of_closed(format!("{:+.3} %", f.average_profit)),
            of_closed(format!("{:+.2} %", f.total_profit)),
        ]);
    };
    row("all", all);
    by_symbol.iter().for_each(|(symbol, figures)| row(symbol.as_str(), figures));
    if by_timeframe.len() > 1 {
        by_timeframe.iter().for_each(|(timeframe, figures)| row(timeframe.as_str(), figures));
    }
    by_strategy.iter().for_each(|(strategy, figures)| row(strategy, figures));
    if followed.total > 0 {
        row("tracked, not traded", followed);
    }
    output.table(&table);
    if all.unknown > 0 {
        output.line(format!(
            "{} more ended as UNKNOWN, where no prices are known: neither a success nor a failure.",
            all.unknown
        ));
    }
    if all.closed == 0 {
        return;
    }
    let costs = all.average_profit - all.expectancy;
    output.line(format!(
        "Profit in percent of the entry, before costs; after costs of {costs:.2} % a signal brings {:+.3} %.",
        all.expectancy
    ));
}
