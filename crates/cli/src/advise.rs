//! `signalloop advise`.

use super::SUCCESS;
use super::args;
use super::output::Output;
use super::table::Table;
use domain::error::Result;
use domain::time::HOUR_MS;
use engine::{AdviceFilter, SignalLoop};
use learning::advice::{Alternative, LevelsAdvice, StrategyAdvice, Tried};
use learning::scorecard::Ends;
use serde_json::json;

/// Says what other stops, targets and expiries would have brought to closed signals.
pub fn advise(core: &SignalLoop, asked: &args::Advise, output: &Output) -> Result<i32> {
    let args::Advise { since, strategy, symbol, timeframe } = asked;
    let filter = AdviceFilter {
        since_ms: *since,
        strategy: strategy.clone(),
        symbol: symbol.clone(),
        timeframe: *timeframe,
        ..Default::default()
    };
    let advice = core.outcomes().advise(&filter)?;
    output.line(&advice.verdict);
    advice.strategies.iter().for_each(|strategy| shown(strategy, advice.strategies.len() > 1, output));
    if advice.strategies.iter().any(|strategy| strategy.own.is_some()) {
        explained(&advice, output);
    }
    output.document(&json!(advice));
    Ok(SUCCESS)
}

fn shown(advice: &StrategyAdvice, is_one_of_many: bool, output: &Output) {
    if is_one_of_many {
        let name = advice.strategy.as_deref().unwrap_or("signals without a strategy");
        output.line(format!("\n{name}: {}", advice.verdict));
    }
    let left_out = advice.left_out;
    if left_out.without_stop + left_out.managed + left_out.not_covered > 0 {
        output.line(format!(
            "Left out: {} without a stop, {} changed by hand or entered beyond a level, {} not covered by stored candles until they could be over.",
            left_out.without_stop, left_out.managed, left_out.not_covered
        ));
    }
    let Some(own) = &advice.own else { return };
    let mut table =
        Table::new(&["stop", "target", "expiry", "R a signal", "difference", "turned", "success", "open for"]);
    let mut row = |tried: &Tried, [difference, turned]: [String; 2]| {
        let times = |times: f64| format!("× {times}");
        table.row([
            times(tried.multiples.stop),
            times(tried.multiples.target),
            times(tried.multiples.expiry),
            format!("{:+.3}", tried.mean_r),
            difference,
            turned,
            format!("{:.1} %", 100.0 * tried.success_share),
            format!("{:.1} h", tried.mean_holding_ms / HOUR_MS as f64),
        ]);
    };
    row(own, ["–", "–"].map(str::to_owned));
    advice.alternatives.iter().for_each(|one| row(&one.tried, [difference(one), one.turned.to_string()]));
    output.table(&table);
    if let Some(excursions) = &advice.excursions {
        excursions.words.iter().for_each(|words| output.line(format!("{words}.")));
    }
    if advice.unclear > 0 {
        output.line(format!(
            "{} of {} signals touched their stop and their target within one candle. They count as stopped, but as successes where \
             something else is compared with them; finer candles would tell.",
            advice.unclear, advice.signals
        ));
    }
}

fn difference(one: &Alternative) -> String {
    let ends = |Ends { low, high }| format!(" [{low:+.3}, {high:+.3}]");
    format!("{:+.3}{}", one.difference_r, one.interval.map(ends).unwrap_or_default())
}

fn explained(advice: &LevelsAdvice, output: &Output) {
    output.line(
        "\nThe first row is the signals as they were given, replayed on candles. × 2 is twice as far from the entry, or twice as long. R \
         is the profit after costs in units of the risk of the levels in the row: what a trader earns who risks the same amount on \
         every trade. In brackets 95 % intervals that hold for all rows together. Turned are the signals that would have ended \
         differently; with fewer than ten of them a row is not judged.",
    );
    if advice.older > 0 {
        output.line(format!("{} older signals were not looked at; `--strategy` selects fewer.", advice.older));
    }
    if advice.more_strategies > 0 {
        output.line(format!(
            "{} more strategies with fewer signals were not looked at; `--strategy` selects one.",
            advice.more_strategies
        ));
    }
}
