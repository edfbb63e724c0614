//! What `signalloop stats` says below its table: streaks, results in R, ratios, times, and tables by direction and month.

use super::output::Output;
use super::table::Table;
use super::words::{counted, lasting};
use feedback::{
    CALMAR_DAYS, CLOSING_DAYS, ClosedPart, Exposure, Figures, HoldingTime, ProfitByPart, SHARPE_DAYS, SQN_SIGNALS,
    Stats,
};

/// Only about entries while no signal has closed.
pub fn details(stats: &Stats, exposure: Option<Exposure>, output: &Output) {
    let all = &stats.figures;
    if let Some(line) = entries(stats) {
        output.line(line);
    }
    if all.closed == 0 {
        return;
    }
    output.line(streaks(all));
    if let Some(line) = results_in_r(all) {
        output.line(line);
    }
    output.line(ratios(all));
    if let Some(by_part) = &stats.by_part {
        output.line(by_parts(by_part));
    }
    let times = stats.holding.times();
    let times = [("wins", times.wins), ("losses", times.losses)].into_iter();
    let times: Vec<_> = times.filter_map(|(name, time)| Some(held(name, &time?))).collect();
    if !times.is_empty() {
        output.line(format!("Time until closed: {}.", times.join("; ")));
    }
    if let Some(Exposure { open_time_percent, average_open, .. }) = exposure {
        output.line(format!(
            "Signals were open {open_time_percent:.1} % of the time, {average_open:.2} at a time on average."
        ));
    }
    if stats.by_direction.len() > 1 {
        parts(stats.by_direction.iter().map(|(direction, f)| (direction.as_str().to_owned(), f)), output);
    }
    if stats.by_month.len() > 1 {
        parts(stats.by_month.iter().map(|(month, f)| (month.to_string(), f)), output);
    }
}

/// Of signals that wait for their entry, or did.
fn entries(stats: &Stats) -> Option<String> {
    let f = &stats.figures;
    if f.pending + f.cancelled == 0 && f.fill_rate.is_none() {
        return None;
    }
    let causes: Vec<String> = f.causes().map(|(cause, count)| format!("{count} {cause}")).collect();
    let causes = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join(", ")) };
    let rate = f.fill_rate.map_or_else(String::new, |rate| format!("; {rate:.1} % of those that waited were entered"));
    let wait = stats.holding.time_to_fill();
    let wait = wait.map_or_else(String::new, |time| format!(", after {} (median)", lasting(time.median_ms)));
    Some(format!("Waiting for their entry: {}; cancelled: {}{causes}{rate}{wait}.", f.pending, f.cancelled))
}

/// What each target of signals with several brought, and what closed the rest.
fn by_parts(of: &ProfitByPart) -> String {
    let closed = |part: &ClosedPart| {
        format!("{:.0} % of a position each, {:+.2} % in all", part.average_share, part.total_profit)
    };
    let targets = of.targets.iter().map(|target| {
        let rate = target.reached_rate.map_or_else(String::new, |rate| format!(" ({rate:.1} %)"));
        let part = target.part.as_ref().map_or_else(String::new, |part| format!(": {}", closed(part)));
        format!("target {} reached by {} of {}{rate}{part}", target.number, target.reached, target.signals)
    });
    let rest = [("the stop", &of.stop), ("the expiry", &of.expiry), ("you", &of.hand)];
    let rest = rest.into_iter().filter_map(|(who, part)| {
        let part = part.as_ref()?;
        Some(format!("closed by {who} {}: {}", part.signals, closed(part)))
    });
    format!("Signals with several targets: {}.", targets.chain(rest).collect::<Vec<_>>().join("; "))
}

fn streaks(f: &Figures) -> String {
    let now = match f.current_streak {
        n if n > 0 => counted(n.unsigned_abs(), "success", "successes"),
        n => counted(n.unsigned_abs(), "failure", "failures"),
    };
    format!(
        "In a row: at most {} and {}; now {now}.",
        counted(f.longest_success_streak, "success", "successes"),
        counted(f.longest_failure_streak, "failure", "failures")
    )
}

fn results_in_r(f: &Figures) -> Option<String> {
    Some(format!(
        "In units of the risk at entry (R), after costs: {:+.3} R a signal, {:+.2} R in all, of {} with a stop.",
        f.average_r?,
        f.total_r?,
        counted(f.signals_with_stop, "signal", "signals")
    ))
}

/// The ratios that can be told, and what the others need.
fn ratios(f: &Figures) -> String {
    let mut told = Vec::new();
    let mut missing = Vec::new();
    match f.sqn {
        Some(sqn) => told.push(format!("system quality number {sqn:.2}")),
        None => missing.push(format!("a system quality number {SQN_SIGNALS} closed signals with a stop")),
    }
    match (f.sharpe_ratio, f.sharpe_interval) {
        (Some(ratio), Some((low, high))) => {
            told.push(format!("Sharpe ratio of a year {ratio:.2} (95 % interval {low:.2} to {high:.2})"));
        }
        _ => missing.push(format!("a Sharpe ratio {SHARPE_DAYS} days")),
    }
    told.extend(f.sortino_ratio.map(|ratio| format!("Sortino ratio {ratio:.2}")));
    match f.calmar_ratio {
        Some(ratio) => told.push(format!("Calmar ratio {ratio:.2}")),
        None => missing.push(format!("a Calmar ratio {CALMAR_DAYS}")),
    }
    let mut said = String::new();
    if !told.is_empty() {
        said = format!("After costs: {}.", told.join(", "));
    }
    if !missing.is_empty() {
        let (space, days) = (if said.is_empty() { "" } else { " " }, counted(f.span_days, "day", "days"));
        said += &format!(
            "{space}Not enough to tell: {} (there are {days} from the first closing to the last; {CLOSING_DAYS} need a closing).",
            missing.join(", ")
        );
    }
    said
}

fn held(name: &str, time: &HoldingTime) -> String {
    format!("{name} {} (median; mean {})", lasting(time.median_ms), lasting(time.mean_ms))
}

fn parts<'a>(parts: impl Iterator<Item = (String, &'a Figures)>, output: &Output) {
    let mut table =
        Table::new(&["", "closed", "success", "95 % interval", "total", "after costs", "R"]).droppable(&["total"]);
    for (name, f) in parts {
        let of_closed = |text: String| if f.closed == 0 { "–".to_owned() } else { text };
        table.row([
            name,
            f.closed.to_string(),
            of_closed(format!("{:.1} %", f.success_rate)),
            of_closed(format!("{:.1}–{:.1} %", f.success_interval.0, f.success_interval.1)),
            of_closed(format!("{:+.2} %", f.total_profit)),
            of_closed(format!("{:+.2} %", f.expectancy * f.closed as f64)),
            f.total_r.map_or_else(|| "–".to_owned(), |r| format!("{r:+.2}")),
        ]);
    }
    output.table(&table);
}
