//! Figures against cases worked by hand and against a plain model.

use super::summary::Summary;
use super::*;
use domain::barrier::Outcome;
use domain::time::DAY_MS;
use proptest::prelude::*;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * a.abs().max(b.abs()).max(1.0)
}

/// Costs are 0.1 %.
fn with_risk(profit: f64, risk: Option<f64>) -> Closed {
    Closed::new(Outcome::by_profit(profit), profit, 0.1, risk, Some(50.0))
}

/// The period of one day.
fn day_of(signals: &[Closed]) -> Period {
    let mut summary = Summary::default();
    signals.iter().for_each(|signal| summary.add(signal));
    let mut period = Period::default();
    period.then(20_000, &summary);
    period
}

#[test]
fn figures_stay_finite_whatever_a_log_says() {
    let mut period = Period::default();
    for day in 0..200 {
        let profit = if day % 2 == 0 { f64::MAX } else { -f64::MAX };
        let mut of_day = Summary::default();
        of_day.add(&with_risk(profit, Some(f64::from(f32::MIN_POSITIVE))));
        of_day.add(&with_risk(profit, None));
        period.then(day, &of_day);
    }
    let f = period.figures();
    assert!([f.total_profit, f.max_drawdown, f.expectancy, f.average_win].iter().all(|figure| figure.is_finite()));
    let ratios = [f.total_r, f.sqn, f.sharpe_ratio, f.sortino_ratio, f.calmar_ratio];
    assert!(ratios.iter().all(|ratio| ratio.unwrap().is_finite()), "{ratios:?}");
}

#[test]
fn a_case_worked_by_hand() {
    let closed = |outcome, profit, confidence| Closed::new(outcome, profit, 0.1, None, confidence);
    // Running sum: 4, 1, 0, 6, 5; the deepest fall is from 4 to 0.
    let mut period = day_of(&[
        closed(Outcome::TookProfit, 4.0, Some(80.0)),
        closed(Outcome::StoppedOut, -3.0, Some(60.0)),
        closed(Outcome::Failure, -1.0, None),
        closed(Outcome::Success, 6.0, Some(70.0)),
        closed(Outcome::StoppedOut, -1.0, Some(50.0)),
        closed(Outcome::Unknown, 0.0, Some(90.0)),
    ]);
    (period.signals.active, period.signals.hold) = (3, 2);
    let f = period.figures();
    assert_eq!((f.total, f.active, f.closed, f.unknown, f.hold), (9, 3, 5, 1, 2));
    assert_eq!((f.successes, f.failures, f.took_profit, f.stopped_out), (2, 3, 1, 2));
    assert!(close(f.success_rate, 40.0) && close(f.average_profit, 1.0) && close(f.expectancy, 0.9));
    assert!(close(f.average_win, 5.0) && close(f.average_loss, -5.0 / 3.0) && close(f.total_profit, 5.0));
    assert!(close(f.profit_factor.unwrap(), 2.0) && close(f.max_drawdown, 4.0));
    assert_eq!((f.best, f.worst), (Some(6.0), Some(-3.0)));
    assert!(close(f.average_confidence, 65.0));
    // 26.5 % of wins of 5 and 73.5 % of losses of 5/3 leave 0.1.
    assert!(close(f.break_even_rate.unwrap(), 26.5));
    // The interval for 2 of 5, from Wilson's formula.
    assert!((f.success_interval.0 - 11.762).abs() < 0.001 && (f.success_interval.1 - 76.928).abs() < 0.001);
    // + − − + −; none has a stop.
    assert_eq!((f.longest_success_streak, f.longest_failure_streak, f.current_streak), (1, 2, -1));
    assert_eq!((f.signals_with_stop, f.average_r, f.sqn), (0, None, None));
}

#[test]
fn each_signal_has_its_own_costs() {
    let closed = |profit, costs| Closed::new(Outcome::by_profit(profit), profit, costs, Some(2.0), None);
    let f = day_of(&[closed(4.0, 0.1), closed(-2.0, 0.5), closed(1.0, 0.0)]).figures();
    assert!(close(f.expectancy, 0.8) && close(f.total_r.unwrap(), (3.9 - 2.5 + 1.0) / 2.0));
    // Wins of 2.5 and losses of 2 pay costs of 0.2 on average at 2.2 of 4.5.
    assert!(close(f.break_even_rate.unwrap(), 100.0 * 2.2 / 4.5));
}

#[test]
fn a_cancellation_of_which_nobody_knows_why_has_a_cause_of_its_own() {
    let cancelled = || Closed::new(Outcome::Cancelled, 0.0, 0.1, None, None);
    let f =
        day_of(&[cancelled(), cancelled().by_order(Some(CancelCause::ByHand)), cancelled().by_order(None)]).figures();
    assert_eq!((f.cancelled, f.closed), (3, 0));
    assert_eq!(f.causes().collect::<Vec<_>>(), [("BY_HAND", 1), ("UNKNOWN", 2)]);
    let told = serde_json::to_value(f).unwrap();
    assert_eq!(told["cancelledBy"], serde_json::json!({ "BY_HAND": 1, "UNKNOWN": 2 }));
}

#[test]
fn results_in_units_of_the_risk() {
    // 3.9 / 2, −2.1 / 2 and −2.1 / 1 R, and one without a stop.
    let of = [(4.0, Some(2.0)), (-2.0, Some(2.0)), (-2.0, Some(1.0)), (9.0, None)];
    let f = day_of(&of.map(|(profit, risk)| with_risk(profit, risk))).figures();
    assert_eq!((f.signals_with_stop, f.sqn), (3, None));
    assert!(close(f.total_r.unwrap(), -1.2) && close(f.average_r.unwrap(), -0.4));
    assert_eq!(f.span_days, 1);
}

/// A period of days with a profit each; `None` for a day without closings.
fn days(profits: impl IntoIterator<Item = Option<f64>>) -> Period {
    let mut period = Period::default();
    for (day, profit) in (20_000..).zip(profits) {
        let mut of_day = Summary::default();
        profit.into_iter().for_each(|profit| of_day.add(&with_risk(profit, Some(2.0))));
        period.then(day, &of_day);
    }
    period
}

#[test]
fn ratios_worked_by_hand() {
    // After costs of 0.1, every fourth day brings 3, −1, 0.5, 1, in turn; so of 4 · 4 · 12 days, 48 have a closing, and the last of
    // them is the 189th.
    let mut profits = vec![None; 192];
    for (n, day) in (0..192).step_by(4).enumerate() {
        profits[day] = Some([3.1, -0.9, 0.6, 1.1][n % 4]);
    }
    let f = days(profits).figures();
    assert_eq!((f.closed, f.span_days), (48, 189));
    // The sum is 12 · 3.5 = 42, that of the squares 12 · (9 + 1 + 0.25 + 1) = 135; so the variance is (135 − 42² / 189) / 188.
    let deviation = ((135.0 - 42.0 * 42.0 / 189.0) / 188.0_f64).sqrt();
    let of_day = 42.0 / 189.0 / deviation;
    assert!(close(f.sharpe_ratio.unwrap(), 365.0_f64.sqrt() * of_day));
    assert!((f.sharpe_ratio.unwrap() - 5.193).abs() < 0.001, "{:?}", f.sharpe_ratio);
    // ±1.96 · √(365 / 189 · (1 + 0.28² / 2)).
    let (low, high) = f.sharpe_interval.unwrap();
    assert!(close((low + high) / 2.0, f.sharpe_ratio.unwrap()));
    assert!((high - low - 2.0 * 2.7737).abs() < 0.001, "{low} to {high}");
    // 12 losses of 1 in 189 days.
    assert!(close(f.sortino_ratio.unwrap(), 365.0_f64.sqrt() * (42.0 / 189.0) / (12.0 / 189.0_f64).sqrt()));
    // The deepest fall is 1.
    assert!(close(f.calmar_ratio.unwrap(), 42.0 / 189.0 * 365.0));
    // R is half of it: 1.5, −0.5, 0.25, 0.5.
    let deviation = ((135.0 / 4.0 - 48.0 * 0.4375 * 0.4375) / 47.0_f64).sqrt();
    assert!(close(f.sqn.unwrap(), 48.0_f64.sqrt() * 0.4375 / deviation));
    // Above 100 signals it counts 100, so twice the history hardly changes it.
    let twice = days((0..500).map(|n| Some([3.1, -0.9, 0.6, 1.1][n % 4]))).figures();
    assert!(close(
        twice.sqn.unwrap(),
        10.0 * 0.4375 / ((500.0 * 2.8125 / 4.0 - 500.0 * 0.4375 * 0.4375) / 499.0_f64).sqrt()
    ));
}

#[test]
fn ratios_are_left_out_below_the_count_where_they_mean_something() {
    let told = |period: Period| {
        let f = period.figures();
        assert_eq!(f.sharpe_ratio.is_some(), f.sharpe_interval.is_some());
        [f.sqn.is_some(), f.sharpe_ratio.is_some(), f.sortino_ratio.is_some(), f.calmar_ratio.is_some()]
    };
    let wins_and_losses = |count: usize| (0..count).map(|n| Some(if n % 3 == 0 { -1.0 } else { 1.0 }));
    assert_eq!(told(days(wins_and_losses(29))), [false; 4]);
    assert_eq!(told(days(wins_and_losses(30))), [true, false, false, false]);
    assert_eq!(told(days(wins_and_losses(89))), [true, false, false, false]);
    assert_eq!(told(days(wins_and_losses(90))), [true, true, true, false]);
    assert_eq!(told(days(wins_and_losses(179))), [true, true, true, false]);
    assert_eq!(told(days(wins_and_losses(180))), [true; 4]);
    // Long enough, but with 29 closings.
    let sparse = |every: usize| (0..200).map(move |n| (n % every == 0).then_some(if n % 2 == 0 { -1.0 } else { 1.0 }));
    assert_eq!(told(days(sparse(7))), [false; 4]);
    assert_eq!(told(days(sparse(5))), [true; 4]);
    // Nine days with a loss; ten.
    let losses = |count: usize| (0..120).map(move |n| Some(if n < count { -1.0 } else { 1.0 + n as f64 / 100.0 }));
    assert_eq!(told(days(losses(9))), [true, true, false, false]);
    assert_eq!(told(days(losses(10))), [true, true, true, false]);
    // Equal results have no spread, and no fall.
    assert_eq!(told(days((0..400).map(|_| Some(1.3)))), [false; 4]);
}

#[test]
fn the_seven_figures_as_the_old_system_printed_them() {
    // 28 of 38 succeed; the profits sum to 68.4.
    let profits: Vec<Closed> = (0..38).map(|n| with_risk(if n < 28 { 2.85 } else { -1.14 }, None)).collect();
    let mut period = day_of(&profits);
    (period.signals.active, period.signals.hold) = (7, 3);
    let printed = serde_json::to_value(Totals::from(&period.figures())).unwrap();
    let expected = serde_json::json!({
        "total_signals": 45, "closed_signals": 38, "successful": 28, "failed": 10,
        "success_rate": 73.7, "avg_profit_loss": 1.8, "total_return": 68.4,
    });
    assert_eq!(printed, expected);
    let loss = day_of(&[with_risk(-0.04, None)]);
    assert!(Totals::from(&loss.figures()).avg_profit_loss.is_sign_positive());
}

#[test]
fn nothing_closed_is_not_a_division_by_zero() {
    let f = Period::default().figures();
    assert_eq!((f.success_rate, f.expectancy, f.profit_factor, f.best), (0.0, 0.0, None, None));
    assert_eq!(f.success_interval, (0.0, 100.0));
    assert_eq!((f.current_streak, f.span_days, f.total_r, f.sharpe_ratio), (0, 0, None, None));
}

#[test]
fn exposure_worked_by_hand() {
    let hours = |hours: i64| hours * DAY_MS / 24;
    let mut time = OpenTime::default();
    time.begin();
    assert_eq!(time.exposure(i64::MAX), None);
    // Open from 0 to 10, with another from 2 to 4 and one from 9 to 12; then from 20 to 24; and since 40.
    for (given, closed) in [(2, 4), (0, 10), (9, 12), (20, 24)] {
        time.add(hours(given), hours(closed));
    }
    time.add_open(hours(40));
    time.begin();
    let exposure = time.exposure(hours(50)).unwrap();
    assert_eq!((exposure.from_ms, exposure.until_ms), (0, hours(50)));
    // 12 + 4 + 10 of 50 hours; 2 + 10 + 3 + 4 + 10 hours of signals.
    assert!(close(exposure.open_time_percent, 52.0) && close(exposure.average_open, 29.0 / 50.0), "{exposure:?}");
    assert_eq!(time.exposure(DAY_MS - 1), None);
}

#[derive(Debug, Clone)]
struct Plain {
    day: i64,
    given_ms: i64,
    closed_ms: i64,
    profit: f64,
    risk: Option<f64>,
}

/// Signals in order of closing.
fn signals() -> impl Strategy<Value = Vec<Plain>> {
    let one = (0i64..900, 0..DAY_MS, 0..3 * DAY_MS, -20i32..20, proptest::option::weighted(0.8, 1u32..9));
    proptest::collection::vec(one, 0..250).prop_map(|all| {
        let plain = |(day, at, held, profit, risk): (i64, i64, i64, i32, Option<u32>)| {
            // Days in clusters, some far apart.
            let day = 20_000 + day % 40 + (day / 40) * 17;
            let closed_ms = day * DAY_MS + at;
            let profit = f64::from(profit) / 4.0;
            Plain { day, given_ms: closed_ms - held, closed_ms, profit, risk: risk.map(f64::from) }
        };
        let mut all: Vec<Plain> = all.into_iter().map(plain).collect();
        all.sort_by_key(|one| one.closed_ms);
        all
    })
}

/// All signals, day by day.
fn by_days(signals: &[Plain]) -> OfPeriod {
    let member = Member {
        symbol: 0,
        timeframe: Timeframe::parse("1h").unwrap(),
        strategy: None,
        direction: Some(Direction::Buy),
        taken: true,
    };
    let mut period = OfPeriod::default();
    for signals in signals.chunk_by(|a, b| a.day == b.day) {
        let mut of_day = OfDay::default();
        for one in signals {
            of_day.add(
                member,
                one.given_ms,
                Some((one.given_ms, one.closed_ms)),
                &with_risk(one.profit, one.risk),
                None,
            );
        }
        period.then(signals[0].day, &of_day);
    }
    period
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)).sqrt())
}

proptest! {
    /// Combining days equals a plain calculation over all signals at once.
    #[test]
    fn days_combined_are_the_whole(signals in signals()) {
        let period = by_days(&signals);
        let f = period.groups.all.figures();
        let net: Vec<f64> = signals.iter().map(|one| one.profit - 0.1).collect();
        prop_assert_eq!(f.closed as usize, signals.len());
        prop_assert!(close(f.total_profit, signals.iter().map(|one| one.profit).sum()));

        // Streaks.
        let results: Vec<bool> = signals.iter().map(|one| Outcome::by_profit(one.profit) == Outcome::Success).collect();
        let runs: Vec<&[bool]> = results.chunk_by(|a, b| a == b).collect();
        let longest = |kind| runs.iter().filter(|run| run[0] == kind).map(|run| run.len()).max().unwrap_or(0) as u64;
        prop_assert_eq!((f.longest_success_streak, f.longest_failure_streak), (longest(true), longest(false)));
        let current = runs.last().map_or(0, |run| if run[0] { run.len() as i64 } else { -(run.len() as i64) });
        prop_assert_eq!(f.current_streak, current);

        // R.
        let r: Vec<f64> = signals.iter().zip(&net).filter_map(|(one, net)| Some(net / one.risk?)).collect();
        prop_assert_eq!(f.signals_with_stop as usize, r.len());
        prop_assert!(r.is_empty() || close(f.total_r.unwrap(), r.iter().sum()));
        let (mean, deviation) = mean_and_deviation(&r);
        prop_assert_eq!(f.sqn.is_some(), r.len() >= 30);
        prop_assert!(f.sqn.is_none_or(|sqn| close(sqn, (r.len().min(100) as f64).sqrt() * mean / deviation)));

        // Days.
        if let (Some(first), Some(last)) = (signals.first(), signals.last()) {
            let mut days = vec![0.0; (last.day - first.day + 1) as usize];
            signals.iter().zip(&net).for_each(|(one, net)| days[(one.day - first.day) as usize] += net);
            prop_assert_eq!(f.span_days as usize, days.len());
            let (mean, deviation) = mean_and_deviation(&days);
            let closing = signals.chunk_by(|a, b| a.day == b.day).count();
            let enough = days.len() >= 90 && closing >= 30;
            let losing = days.iter().filter(|profit| **profit < 0.0).count();
            prop_assert_eq!((f.sharpe_ratio.is_some(), f.sortino_ratio.is_some()), (enough, enough && losing >= 10));
            prop_assert!(f.sharpe_ratio.is_none_or(|sharpe| close(sharpe, 365.0_f64.sqrt() * mean / deviation)));
            let downside = (days.iter().map(|day| day.min(0.0).powi(2)).sum::<f64>() / days.len() as f64).sqrt();
            prop_assert!(f.sortino_ratio.is_none_or(|sortino| close(sortino, 365.0_f64.sqrt() * mean / downside)));
            let (mut sum, mut peak, mut fall) = (0.0_f64, 0.0_f64, 0.0_f64);
            for net in &net {
                sum += net;
                peak = peak.max(sum);
                fall = fall.max(peak - sum);
            }
            prop_assert_eq!(f.calmar_ratio.is_some(), days.len() >= 180 && closing >= 30 && fall > 0.0);
            prop_assert!(f.calmar_ratio.is_none_or(|calmar| close(calmar, sum * 365.0 / days.len() as f64 / fall)));
        }

        // Months.
        let mut months: Vec<(String, usize)> = Vec::new();
        for of_month in signals.chunk_by(|a, b| Month::of(a.closed_ms) == Month::of(b.closed_ms)) {
            months.push((Month::of(of_month[0].closed_ms).to_string(), of_month.len()));
        }
        let told = period.by_month.iter().map(|(month, of)| (month.to_string(), of.figures().closed as usize));
        prop_assert_eq!(told.collect::<Vec<_>>(), months);

        // Holding times.
        let held = |wins: bool| {
            let of = signals.iter().filter(|one| if wins { one.profit > 0.0 } else { one.profit < 0.0 });
            of.map(|one| (one.closed_ms - one.given_ms) as f64).collect::<Vec<_>>()
        };
        for (told, held) in [(period.holding.times().wins, held(true)), (period.holding.times().losses, held(false))] {
            prop_assert_eq!(told.map_or(0, |time| time.signals as usize), held.len());
            prop_assert!(told.is_none_or(|time| close(time.mean_ms, held.iter().sum::<f64>() / held.len() as f64)));
        }
    }

    /// Exposure equals that of a walk through the hours.
    #[test]
    fn exposure_is_that_of_each_hour(held in proptest::collection::vec((0i64..300, 0i64..40), 1..40), open in proptest::collection::vec(0i64..340, 0..3)) {
        const HOUR: i64 = DAY_MS / 24;
        let mut held: Vec<(i64, i64)> = held.iter().map(|(given, hours)| (*given, given + hours)).collect();
        held.sort_by_key(|(given, closed)| (*closed, *given));
        let mut time = OpenTime::default();
        for of_part in held.chunks(7) {
            let mut part = OpenTime::default();
            of_part.iter().for_each(|(given, closed)| part.add(given * HOUR, closed * HOUR));
            time.then(&part);
        }
        open.iter().for_each(|given| time.add_open(given * HOUR));
        time.begin();
        let start = held.iter().map(|(given, _)| *given).chain(open.iter().copied()).min().unwrap();
        let exposure = time.exposure(400 * HOUR).unwrap();
        let at = |hour: i64| {
            held.iter().filter(|(given, closed)| *given <= hour && hour < *closed).count() + open.iter().filter(|given| **given <= hour).count()
        };
        let hours: Vec<usize> = (start..400).map(at).collect();
        let length = hours.len() as f64;
        let some = hours.iter().filter(|count| **count > 0).count() as f64;
        prop_assert!(close(exposure.open_time_percent, 100.0 * some / length));
        prop_assert!(close(exposure.average_open, hours.iter().sum::<usize>() as f64 / length));
    }
}
