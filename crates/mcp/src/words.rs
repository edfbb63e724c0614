//! What answers say in words: the figures with what they are of, so that a reader who skips the data cannot misreport them.

use domain::time::format_iso;
use engine::{Assessment, ConservativeMode, ModelList, Prediction, SchedulerStatus};
use feedback::{Figures, Stats};
use learning::advice::LevelsAdvice;
use learning::outcomes::Pattern;
use learning::scorecard::Scorecard;
use replay::Study;
use report::Report;
use serde_json::Value;

/// With fewer closed signals a success rate is hardly known: its 95 % interval spans about 35 percentage points or more.
const FEW: u64 = 30;

/// A number of things.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn joined(sentences: &[String]) -> String {
    sentences.join(" ")
}

/// Sentences on a set of signals.
fn figures(f: &Figures) -> Vec<String> {
    if f.closed == 0 {
        return vec![format!("No signal has closed; {} open. Nothing can be said of success yet.", f.active)];
    }
    let (low, high) = f.success_interval;
    let mut told = vec![format!(
        "{} of {} succeeded: {:.1} % (95 % interval {low:.1}–{high:.1} %); {} open.",
        f.successes,
        counted(f.closed, "closed signal", "closed signals"),
        f.success_rate,
        f.active
    )];
    if let Some(even) = f.break_even_rate {
        let side = match (even < low, even > high) {
            (true, _) => "below that interval",
            (_, true) => "above that interval",
            _ => "inside that interval, so neither profit nor loss is shown",
        };
        told.push(format!("The break-even rate is {even:.1} %, {side}."));
    }
    told.push(format!("Mean profit after costs {:+.3} % of the entry a signal.", f.expectancy));
    if let Some(r) = f.average_r {
        told.push(format!(
            "Mean result {r:+.3} R, of {} with a stop.",
            counted(f.signals_with_stop, "signal", "signals")
        ));
    }
    if f.closed < FEW {
        told.push(format!("With {}, most of this may be luck.", counted(f.closed, "closed signal", "closed signals")));
    }
    told
}

fn conservative(mode: &ConservativeMode) -> Option<String> {
    let reason = mode.reason.as_deref().filter(|_| mode.active)?;
    Some(format!("Conservative mode is on for {}: {reason}.", mode.scopes.join(", ")))
}

pub fn statistics(stats: &Stats, mode: &ConservativeMode, days: Option<f64>) -> String {
    let period = days.map_or_else(|| "All signals".to_owned(), |days| format!("The last {days} days"));
    let mut told = vec![format!("{period}:")];
    told.extend(figures(&stats.figures));
    told.extend(conservative(mode));
    joined(&told)
}

pub fn assessment(a: &Assessment) -> String {
    let (low, high) = a.probability_interval;
    let mut told = vec![format!(
        "Estimated probability of success {} (95 % interval {}–{}); base rate {}; it breaks even at {}.",
        percent(a.success_probability),
        percent(low),
        percent(high),
        percent(a.base_rate),
        percent(a.threshold)
    )];
    if let (Some(r), Some((low, high))) = (a.expected_r, a.expected_r_interval) {
        told.push(format!("Expected {r:+.3} R after costs (95 % interval {low:+.3} to {high:+.3})."));
    }
    told.push(match a.closed {
        0 => "No signal has closed: nothing but its levels, and a model of candles if there is one, is known of it."
            .to_owned(),
        closed => format!(
            "It rests on {}, worth {:.0} independent outcomes.",
            counted(closed as u64, "closed signal", "closed signals"),
            a.effective_sample_size
        ),
    });
    told.push(if a.take {
        "It is expected to earn more than it costs.".to_owned()
    } else {
        "It is not shown to earn more than it costs.".to_owned()
    });
    if !a.unused_indicators.is_empty() {
        told.push(format!("Not used: {}.", a.unused_indicators.join(", ")));
    }
    joined(&told)
}

pub fn patterns(found: &[Pattern]) -> String {
    if found.is_empty() {
        return "No rule stands out from what chance alone would show.".to_owned();
    }
    let lines = found.iter().map(|pattern| {
        let (low, high) = pattern.tally.interval();
        let holds = match pattern.still_holds {
            Some(true) => "it still holds",
            Some(false) => "it does not hold any more",
            None => "too few are recent to tell whether it still holds",
        };
        let in_r = match (pattern.mean_r, pattern.mean_r_interval, pattern.base_r) {
            (Some(mean), Some((low, high)), Some(all)) => format!(
                " {mean:+.2} R a signal after costs (95 % interval {low:+.2} to {high:+.2}) against {all:+.2} R of all;"
            ),
            _ => String::new(),
        };
        format!(
            "{}: {} of {} succeeded, {:.1} % (95 % interval {low:.1}–{high:.1} %) against {:.1} % of all;{in_r} p = {:.3} for any rule by chance; {holds}.",
            pattern.rule,
            pattern.tally.successes,
            pattern.tally.count,
            pattern.tally.success_rate(),
            pattern.base_rate,
            pattern.p_value
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub fn scorecard(card: &Scorecard) -> String {
    let of = card.overall.as_ref().map(|score| {
        let signals = counted(score.signals, "closed signal", "closed signals");
        let loss = &score.log_loss;
        let interval = loss.against_base_rate.interval;
        let interval = interval.map_or_else(
            || "too few stretches of time for an interval".to_owned(),
            |ends| format!("95 % interval {:+.4} to {:+.4}", ends.low, ends.high),
        );
        format!(
            "Of {signals} with a prediction: log loss {:.4}, of the base rate {:.4}, difference {:+.4} ({interval}; below 0 is better).",
            loss.probability, loss.base_rate, loss.against_base_rate.mean
        )
    });
    joined(&std::iter::once(card.verdict.clone()).chain(of).collect::<Vec<_>>())
}

pub fn advice(advice: &LevelsAdvice) -> String {
    let of = advice.strategies.iter().map(|one| {
        let name = one.strategy.as_deref().unwrap_or("signals without a strategy");
        format!("{name} ({}): {}", counted(one.signals, "replayed signal", "replayed signals"), one.verdict)
    });
    std::iter::once(advice.verdict.clone()).chain(of).collect::<Vec<_>>().join("\n")
}

pub fn models(models: &ModelList) -> String {
    if models.markets.is_empty() {
        return "There are no models: `signalloop train` trains them.".to_owned();
    }
    let lines = models.markets.iter().map(|one| match &one.champion.record {
        Ok(record) => {
            let skill = if record.has_skill() {
                "has skill"
            } else {
                "has no skill: it predicts the base rate, and gives no signals"
            };
            format!(
                "{} version {} {skill} (log loss {:.4}, base rate {:.4}, on rows it had not seen).",
                record.market,
                one.champion.version,
                record.log_loss(),
                record.constant_log_loss()
            )
        }
        Err(error) => format!("{}: {error} [{}]", one.champion.path.display(), error.code()),
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub fn prediction(p: &Prediction) -> String {
    let signal = p.decision.as_ref().map_or("HOLD", |direction| direction.as_str());
    let mut told = Vec::new();
    if p.stale {
        told.push(format!(
            "The candles end at {} and are out of date: fetch before acting on this.",
            format_iso(p.candle_close_ms)
        ));
    }
    told.push(format!(
        "{}: {signal}. {} Probability that a BUY succeeds {}, a SELL {}, neither {}; base rates BUY {}, SELL {}.",
        p.market,
        p.rationale(),
        percent(p.probabilities.buy),
        percent(p.probabilities.sell),
        percent(p.probabilities.hold),
        percent(p.base_rates[0]),
        percent(p.base_rates[1])
    ));
    told.extend(p.break_even().map(|even| format!("It breaks even at {}.", percent(even))));
    joined(&told)
}

pub fn open_signals(total: usize, listed: usize) -> String {
    let of = if listed < total { format!(" The newest {listed} are listed.") } else { String::new() };
    format!("{} open or waiting for their entry.{of}", counted(total as u64, "signal is", "signals are"))
}

pub fn signal(shaped: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let (given, closed) = (&shaped["signal"], &shaped["closed"]);
    let mut told = vec![format!(
        "{} {} {}: {}.",
        text(&given["id"]),
        text(&given["signalType"]),
        text(&given["pair"]),
        text(&shaped["status"])
    )];
    if let Some(outcome) = closed["outcome"].as_str() {
        let result = closed["netProfitPercent"].as_f64().map(|net| format!(", {net:+.3} % after costs"));
        let r = closed["realizedR"].as_f64().map(|r| format!(", {r:+.3} R"));
        told.push(format!("It ended as {outcome}{}{}.", result.unwrap_or_default(), r.unwrap_or_default()));
    }
    joined(&told)
}

pub fn report(report: &Report) -> String {
    let mut told = Vec::new();
    match &report.signals {
        None => told.push("No signal was ever recorded.".to_owned()),
        Some(signals) => {
            told.push("All signals:".to_owned());
            told.extend(figures(&signals.figures));
        }
    }
    told.extend(report.scorecard.as_ref().map(|card| format!("Predictions: {}", card.verdict)));
    told.extend(report.advice.as_ref().map(|advice| format!("Levels: {}", advice.verdict)));
    let models = report.models.markets.len() as u64;
    told.push(format!("{} in service.", counted(models, "model is", "models are")));
    if !report.problems.is_empty() {
        told.push(format!("{} could not be read.", counted(report.problems.len() as u64, "part", "parts")));
    }
    joined(&told)
}

pub fn replay(study: &Study) -> String {
    let verdict = &study.verdict;
    let mut told = vec![
        format!("Replayed {} to {}.", &study.from[..10], &study.until[..10]),
        format!("Advice: {}.", verdict.advice.words),
        format!("Signals: {}.", verdict.signals.words),
    ];
    told.extend(verdict.looks.as_ref().map(|looks| format!("Looks: {}.", looks.words)));
    told.push(format!("It is look number {} at these signals.", study.looks.looks));
    if study.left_out > 0 {
        told.push(format!("{} signals were left out: outside its time, or without candles.", study.left_out));
    }
    joined(&told)
}

pub fn status(scheduler: &SchedulerStatus, mode: &ConservativeMode, write: bool) -> String {
    let mut told = vec![if write {
        "This server may record and change signals.".to_owned()
    } else {
        "This server only reads.".to_owned()
    }];
    told.push(match &scheduler.led_by {
        Some(_) => "A process runs the scheduler's tasks.".to_owned(),
        None => {
            "No process runs the scheduler's tasks, so nothing is fetched, trained or watched by itself.".to_owned()
        }
    });
    told.push(conservative(mode).unwrap_or_else(|| "Conservative mode is off.".to_owned()));
    joined(&told)
}

pub fn doctor(found: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = found["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wrong: Vec<String> = findings
        .iter()
        .filter(|finding| finding["state"] != "fine")
        .map(|finding| {
            let (check, what, advice) = (&finding["check"], &finding["what"], &finding["advice"]);
            format!("{} ({}): {}. {}", text(check), text(&finding["state"]), text(what), text(advice))
        })
        .collect();
    if wrong.is_empty() { "Nothing is wrong.".to_owned() } else { wrong.join("\n") }
}
