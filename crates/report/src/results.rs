//! Results of closed signals over time, in a limited number of points, however many signals there are.

use domain::proportions::wilson;
use domain::signal::Ended;
use domain::symbol::Symbol;
use domain::time::{DAY_MS, HOUR_MS};
use serde::Serialize;
use std::collections::HashMap;

const WEEK_MS: i64 = 7 * DAY_MS;
/// The epoch was a Thursday; weeks begin on Monday, 00:00 UTC.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;

/// Largest number of spans in the success chart: two years of weeks. Longer histories have spans of several weeks.
const MAX_SPANS: i64 = 104;
/// Largest number of points of a curve.
const MAX_POINTS: i64 = 400;
/// Number of symbols with a curve of their own; the others share one.
const MAX_SYMBOLS: usize = 8;

/// A 95 % interval, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl From<(f64, f64)> for Interval {
    fn from((low, high): (f64, f64)) -> Self {
        Self { low, high }
    }
}

/// All data drawn for the closed signals. Profits are in percent of the entry, after costs.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// Weeks per span: 1, or more in a long history.
    pub weeks_a_span: i64,
    /// Success by span, oldest first; spans in which nothing closed are left out.
    pub spans: Vec<Span>,
    /// The running sum of profits.
    pub curve: Curve,
}

/// The signals that closed in a span of weeks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// The Monday it begins, UTC epoch ms.
    pub from_ms: i64,
    /// Closed signals.
    pub closed: u64,
    /// How many of them succeeded.
    pub successes: u64,
    /// The success rate, percent.
    pub success_rate: f64,
    /// The Wilson score interval of the success rate.
    pub success_interval: Interval,
    /// Mean profit per signal.
    pub mean_profit: f64,
}

/// The running sum of profits at the end of each step in which something closed.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Curve {
    /// Length of a step.
    pub step_ms: i64,
    /// The ends of the steps, UTC epoch ms; the first one is the origin, where all curves are 0.
    pub times: Vec<i64>,
    /// The curve of all signals.
    pub total: Vec<f64>,
    /// The deepest drawdown within each step: how far the sum fell below its highest point so far; not positive.
    pub drawdown: Vec<f64>,
    /// The largest drawdown, in percentage points; not negative.
    pub max_drawdown: f64,
    /// Curves of the symbols with the most closed signals, most first; the last one, without a name, is for the rest.
    pub symbols: Vec<SymbolCurve>,
}

/// The running sum of a symbol's profits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SymbolCurve {
    /// `None` for all other symbols together.
    pub symbol: Option<Symbol>,
    /// One value for each of [`Curve::times`].
    pub values: Vec<f64>,
}

impl Results {
    /// From closed signals in order of closing.
    pub fn of(ended: &[Ended]) -> Self {
        let (Some(first), Some(last)) = (ended.first(), ended.last()) else { return Self::default() };
        let monday = |ms: i64| (ms - FIRST_MONDAY_MS).div_euclid(WEEK_MS);
        let weeks_a_span = power_of_two((monday(last.closed_ms) - monday(first.closed_ms)) / MAX_SPANS + 1);
        Self { weeks_a_span, spans: spans(ended, weeks_a_span * WEEK_MS), curve: Curve::of(ended) }
    }
}

fn spans(ended: &[Ended], length_ms: i64) -> Vec<Span> {
    let start = |one: &Ended| (one.closed_ms - FIRST_MONDAY_MS).div_euclid(length_ms) * length_ms + FIRST_MONDAY_MS;
    let span = |closed: &[Ended]| {
        let successes = closed.iter().filter(|one| one.succeeded).count() as u64;
        let count = closed.len() as u64;
        let profit: f64 = closed.iter().map(|one| one.net_percent).sum();
        Span {
            from_ms: closed.first().map_or(0, start),
            closed: count,
            successes,
            success_rate: 100.0 * successes as f64 / count as f64,
            success_interval: wilson(successes, count).into(),
            mean_profit: profit / count as f64,
        }
    };
    ended.chunk_by(|a, b| start(a) == start(b)).map(span).collect()
}

impl Curve {
    fn of(ended: &[Ended]) -> Self {
        let (Some(first), Some(last)) = (ended.first(), ended.last()) else { return Self::default() };
        let step_ms = step(last.closed_ms - first.closed_ms);
        let end = |one: &Ended| (one.closed_ms.div_euclid(step_ms) + 1) * step_ms;
        let (names, others) = most_traded(ended);
        let lines = names.len() + usize::from(others);
        let place: HashMap<&Symbol, usize> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();

        let begin = end(first) - step_ms;
        let (mut total, mut peak, mut deepest) = (0.0f64, 0.0f64, 0.0f64);
        let mut sums = vec![0.0; lines];
        let mut curve = Self { step_ms, times: vec![begin], total: vec![0.0], drawdown: vec![0.0], ..Self::default() };
        let mut values = vec![vec![0.0]; lines];
        for closed in ended.chunk_by(|a, b| end(a) == end(b)) {
            let mut fall = 0.0f64;
            for one in closed {
                let profit = one.net_percent;
                total += profit;
                peak = peak.max(total);
                fall = fall.max(peak - total);
                sums[place.get(&one.market.symbol).copied().unwrap_or(names.len())] += profit;
            }
            deepest = deepest.max(fall);
            curve.times.extend(closed.first().map(end));
            curve.total.push(rounded(total));
            curve.drawdown.push(rounded(-fall));
            values.iter_mut().zip(&sums).for_each(|(line, sum)| line.push(rounded(*sum)));
        }
        let names = names.into_iter().cloned().map(Some).chain(std::iter::repeat(None));
        curve.symbols = names.zip(values).map(|(symbol, values)| SymbolCurve { symbol, values }).collect();
        curve.max_drawdown = rounded(deepest);
        curve
    }
}

/// The symbols with the most closed signals, and whether there are others.
fn most_traded(ended: &[Ended]) -> (Vec<&Symbol>, bool) {
    let mut counts: HashMap<&Symbol, usize> = HashMap::new();
    for one in ended {
        *counts.entry(&one.market.symbol).or_default() += 1;
    }
    let mut names: Vec<(&Symbol, usize)> = counts.into_iter().collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let others = names.len() > MAX_SYMBOLS;
    names.truncate(MAX_SYMBOLS);
    (names.into_iter().map(|(name, _)| name).collect(), others)
}

/// The shortest of the usual steps for which a history of this length has at most [`MAX_POINTS`].
pub(super) fn step(span_ms: i64) -> i64 {
    let usual = [1, 4, 12, 24].map(|hours| hours * HOUR_MS);
    let enough = |step: &i64| span_ms / step < MAX_POINTS;
    usual.into_iter().find(enough).unwrap_or_else(|| power_of_two(span_ms / (DAY_MS * MAX_POINTS) + 1) * DAY_MS)
}

/// The smallest power of two that is at least `number`.
fn power_of_two(number: i64) -> i64 {
    number.max(1).unsigned_abs().next_power_of_two() as i64
}

/// Rounds to a ten-thousandth of a percent, without a negative zero, to keep the file small.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::barrier::{Direction, Outcome};
    use domain::symbol::Market;
    use proptest::prelude::*;

    /// Monday, 2025-09-15 00:00 UTC.
    const MONDAY: i64 = 1_757_894_400_000;

    fn ended(symbol: &str, closed_ms: i64, profit_percent: f64) -> Ended {
        let outcome = Outcome::by_profit(profit_percent);
        Ended {
            market: Market::parse(symbol, "1h").unwrap(),
            direction: Direction::Buy,
            outcome,
            succeeded: outcome == Outcome::Success,
            confidence: None,
            profit_percent,
            net_percent: profit_percent - 0.1,
            given_ms: closed_ms - HOUR_MS,
            closed_ms,
        }
    }

    #[test]
    fn worked_by_hand() {
        let closed = [
            ended("BTCUSDT", MONDAY, 2.1),
            ended("ETHUSDT", MONDAY + HOUR_MS, -0.9),
            ended("BTCUSDT", MONDAY + HOUR_MS + 1, -0.9),
            ended("BTCUSDT", MONDAY + WEEK_MS, 3.1),
        ];
        let results = Results::of(&closed);
        let weeks: Vec<_> = results.spans.iter().map(|week| (week.from_ms, week.closed, week.successes)).collect();
        assert_eq!(weeks, [(MONDAY, 3, 1), (MONDAY + WEEK_MS, 1, 1)]);
        assert_eq!((results.weeks_a_span, results.spans[0].mean_profit.abs() < 1e-12), (1, true));
        assert_eq!(results.spans[0].success_interval, Interval::from(wilson(1, 3)));

        let curve = &results.curve;
        assert_eq!(curve.step_ms, HOUR_MS);
        assert_eq!(curve.times, [0, 1, 2, 169].map(|hours| MONDAY + hours * HOUR_MS));
        assert_eq!(curve.total, [0.0, 2.0, 0.0, 3.0]);
        assert_eq!((curve.drawdown.as_slice(), curve.max_drawdown), ([0.0, 0.0, -2.0, 0.0].as_slice(), 2.0));
        let named: Vec<_> = curve.symbols.iter().map(|one| one.symbol.as_ref().map(Symbol::as_str)).collect();
        assert_eq!(named, [Some("BTCUSDT"), Some("ETHUSDT")]);
        assert_eq!(curve.symbols[0].values, [0.0, 2.0, 1.0, 4.0]);
        assert_eq!(curve.symbols[1].values, [0.0, 0.0, -1.0, -1.0]);
    }

    #[test]
    fn symbols_beyond_the_most_traded_are_one_line() {
        let names: Vec<String> = (0..20).map(|i| format!("COIN{i}")).collect();
        let closed: Vec<_> = names.iter().map(|name| ended(name, MONDAY, 1.1)).collect();
        let curve = Results::of(&closed).curve;
        assert_eq!(curve.symbols.len(), MAX_SYMBOLS + 1);
        assert_eq!((curve.symbols[MAX_SYMBOLS].symbol.as_ref(), curve.symbols[MAX_SYMBOLS].values[1]), (None, 12.0));
    }

    #[test]
    fn a_million_signals_of_years_are_a_small_file() {
        let name = |i: i64| ["BTCUSDT", "ETHUSDT", "SOLUSDT"][(i % 3) as usize];
        let closed: Vec<_> =
            (0..1_000_000).map(|i| ended(name(i), MONDAY + i * 180_000, if i % 5 < 2 { 2.0 } else { -1.03 })).collect();
        let results = Results::of(&closed);
        assert_eq!((results.weeks_a_span, results.curve.step_ms), (4, 8 * DAY_MS), "of nearly six years");
        let json = serde_json::to_string(&results).unwrap();
        assert!(json.len() < 60_000, "{} bytes", json.len());
    }

    #[test]
    fn nothing_closed_is_nothing_to_draw() {
        assert_eq!(Results::of(&[]), Results::default());
    }

    proptest! {
        /// However long the history, there are few points, all signals are counted, and the symbols add up to the
        /// total.
        #[test]
        fn few_points_and_nothing_lost(
            steps in proptest::collection::vec((0i64..4 * 365 * 24, -3.0f64..3.0, 0usize..12), 1..300),
        ) {
            let mut at = MONDAY;
            let closed: Vec<Ended> = steps.iter().map(|(hours, profit, coin)| {
                at += hours * HOUR_MS;
                ended(&format!("COIN{coin}"), at, *profit)
            }).collect();
            let results = Results::of(&closed);
            let curve = &results.curve;
            prop_assert!(results.spans.len() as i64 <= MAX_SPANS + 1 && curve.times.len() as i64 <= MAX_POINTS + 2);
            prop_assert!(curve.times.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(results.spans.iter().map(|span| span.closed).sum::<u64>(), closed.len() as u64);
            let total: f64 = closed.iter().map(|one| one.net_percent).sum();
            for (at, value) in curve.total.iter().enumerate() {
                let sum: f64 = curve.symbols.iter().map(|one| one.values[at]).sum();
                prop_assert!((sum - value).abs() < 0.001);
            }
            prop_assert!((curve.total.last().unwrap() - total).abs() < 0.001);
            let deepest = curve.drawdown.iter().copied().fold(0.0, f64::min);
            prop_assert!((deepest + curve.max_drawdown).abs() < 1e-9 && curve.max_drawdown >= 0.0);
        }
    }
}
