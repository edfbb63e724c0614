//! Turning rows into a series: order, duplicates, one grid of times, one asset. All candles pass these rules, from the exchange,
//! a callback or a file; `docs/data.md` explains them.

use super::findings::{Cause, Findings};
use super::gaps::unexplained;
use chrono::{DateTime, Offset, TimeZone};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::symbol::Timeframe;
use domain::time::{DAY_MS, HOUR_MS, Tz, format_iso};
use std::collections::HashMap;

/// From one candle's close to the next one's open, no price moves by this factor. A larger jump means another coin under the same
/// ticker, or a redenomination (10:1 shows as 9 to 11). The steepest falls of real coins, LUNA's included, happened within
/// candles; the largest jump over a long halt was 1.5-fold.
const MAX_STEP: f64 = 8.0;
/// A high or low beyond the body by this factor is counted. On main networks this is at most one candle in a thousand, in
/// crashes; on test networks one in six.
const WICK: f64 = 1.5;
/// If this many rows all have the same volume, there is none. It is the number of bars that volume features look back.
const ROWS_OF_VOLUME: usize = 50;
/// From this many rows on, at least one pair must be one timeframe apart.
const ROWS_THAT_TELL: usize = 10;

/// Whether the last candle of an ascending run of rows may have been open when it was downloaded, so that another download's
/// candle of that time replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnds {
    /// Yes: a file, possibly joined from several downloads.
    Unsure,
    /// No: a single answer of a source.
    Sure,
}

/// Sorts rows into a series, oldest first, each time once. Each row must have passed [`Candle::check`].
///
/// # Errors
/// A description of two different candles of the same time, if neither is known to be better.
pub fn settle(rows: Vec<Candle>, ends: RunEnds) -> Result<(Vec<Candle>, Findings), String> {
    let mut findings = Findings::default();
    if rows.windows(2).all(|pair| pair[0].open_ms < pair[1].open_ms) {
        return Ok((rows, findings));
    }
    let mut latest = i64::MIN;
    let late = |row: &&Candle| {
        let behind = row.open_ms < latest;
        latest = latest.max(row.open_ms);
        behind
    };
    let out_of_order: Vec<i64> = rows.iter().filter(late).map(|row| row.open_ms).collect();
    findings.add(Cause::Disorder, out_of_order.len(), || format_iso(out_of_order[0]));
    let unsure =
        |i: usize| ends == RunEnds::Unsure && rows.get(i + 1).is_none_or(|next| next.open_ms < rows[i].open_ms);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&i| rows[i].open_ms);
    let mut kept: Vec<usize> = Vec::with_capacity(rows.len());
    let mut conflicts = Vec::new();
    for i in order {
        let at = || format_iso(rows[i].open_ms);
        match kept.last_mut() {
            Some(before) if rows[*before].open_ms == rows[i].open_ms => match (unsure(*before), unsure(i)) {
                _ if rows[*before] == rows[i] => {
                    findings.add(Cause::Duplicate, 1, at);
                    // If two are equal, one from the middle of a download confirms both.
                    if unsure(*before) {
                        *before = i;
                    }
                }
                (true, false) => {
                    findings.add(Cause::Superseded, 1, at);
                    *before = i;
                }
                (false, true) => findings.add(Cause::Superseded, 1, at),
                _ => conflicts.push((*before, i)),
            },
            _ => kept.push(i),
        }
    }
    match conflicts.first() {
        None => Ok((kept.into_iter().map(|i| rows[i]).collect(), findings)),
        Some(&(one, other)) => Err(conflict(conflicts.len(), &rows[one], &rows[other])),
    }
}

/// The error for two candles of the same time.
pub fn conflict(count: usize, one: &Candle, other: &Candle) -> String {
    format!(
        "{count} times have two candles that disagree, the first {} with closes of {} and {}: two downloads that differ, or \
         local times without an offset, whose hour is doubled when clocks go back (`--timezone` names their zone)",
        format_iso(one.open_ms),
        one.close,
        other.close
    )
}

/// Checks what concerns a series as a whole: candles are multiples of `timeframe` apart, on the clock of one zone and within one
/// session, and are of one asset.
///
/// # Errors
/// The index of the first candle that does not fit, and a description.
pub fn check_steps(candles: &[Candle], timeframe: Timeframe) -> Result<(), (usize, String)> {
    let closest = check_pairs(candles, timeframe)?;
    if candles.len() >= ROWS_THAT_TELL && closest > timeframe.millis() {
        return Err((
            1,
            format!("no two candles are {timeframe} apart, the closest {}; is the timeframe right?", words(closest)),
        ));
    }
    Ok(())
}

/// [`check_steps`] for a page together with the candles that it joins, which have shown the timeframe. Returns the smallest
/// distance between neighbours, in ms.
///
/// # Errors
/// As [`check_steps`].
pub fn check_pairs(candles: &[Candle], timeframe: Timeframe) -> Result<i64, (usize, String)> {
    let length = timeframe.millis();
    let (mut closest, mut clocks, mut restarts) = (i64::MAX, Clocks::default(), None);
    for (before, pair) in candles.windows(2).enumerate() {
        let (last, next, index) = (&pair[0], &pair[1], before + 1);
        let distance = next.open_ms - last.open_ms;
        closest = closest.min(distance);
        if distance % length != 0
            && !clocks.explain(last.open_ms, next.open_ms, length)
            && !restarts.get_or_insert_with(|| Restarts::of(candles, length)).explain(last.open_ms, next.open_ms)
        {
            let problem = format!(
                "it opens {} after the candle before, which is no whole number of {timeframe}; is the timeframe right?",
                words(distance)
            );
            return Err((index, problem));
        }
        if let Some(step) = price_step(last.close, next.open) {
            let problem = format!(
                "the price steps {step:.0}-fold, from {} to {}, {} after the candle before: another coin under the same \
                 ticker, a redenomination, or a false price. To take only what came after it, give `--since {}`",
                last.close,
                next.open,
                words(distance),
                format_iso(next.open_ms)
            );
            return Err((index, problem));
        }
    }
    Ok(closest)
}

/// The zones whose clocks explain the steps of a series so far.
#[derive(Default)]
pub struct Clocks(Option<Vec<Tz>>);

impl Clocks {
    /// Whether a zone's clock explains a step that is no whole number of intervals, and explains all earlier ones too. At clock
    /// changes, days in Berlin are 23 or 25 hours long, and so are candles of local days in UTC.
    pub fn explain(&mut self, last_ms: i64, next_ms: i64, length: i64) -> bool {
        let off = (next_ms - last_ms + length / 2).rem_euclid(length) - length / 2;
        if length <= HOUR_MS || off.abs() != HOUR_MS {
            return false;
        }
        let zones = self.0.get_or_insert_with(|| Tz::names().iter().filter_map(|name| name.parse().ok()).collect());
        let offset = |zone: &Tz, ms: i64| {
            let time =
                DateTime::from_timestamp_millis(ms).map(|time| zone.offset_from_utc_datetime(&time.naive_utc()).fix());
            time.map_or(0, |offset| 1000 * i64::from(offset.local_minus_utc()))
        };
        zones.retain(|zone| offset(zone, next_ms) - offset(zone, last_ms) == -off);
        !zones.is_empty()
    }
}

/// Where a market restarts its candles after a break. In Tokyo they begin at 9:00, 10:00, 11:00, and after lunch at 12:30.
struct Restarts {
    length: i64,
    /// For a pair of offsets within an interval, how often a candle at the first was followed, after a break, by one at the
    /// second.
    steps: HashMap<(i64, i64), usize>,
    /// Number of days with candles.
    days: usize,
}

impl Restarts {
    fn of(candles: &[Candle], length: i64) -> Self {
        let (mut steps, mut days) = (HashMap::new(), 1);
        for pair in candles.windows(2) {
            let (last_ms, next_ms) = (pair[0].open_ms, pair[1].open_ms);
            days += usize::from(last_ms.div_euclid(DAY_MS) != next_ms.div_euclid(DAY_MS));
            if next_ms - last_ms > length {
                *steps.entry((last_ms.rem_euclid(length), next_ms.rem_euclid(length))).or_default() += 1;
            }
        }
        Self { length, steps, days }
    }

    /// Whether a step between two candles occurs on most days, and at least three times. A shift of the grid occurs only once.
    fn explain(&self, last_ms: i64, next_ms: i64) -> bool {
        let places = (last_ms.rem_euclid(self.length), next_ms.rem_euclid(self.length));
        let count = self.steps.get(&places).copied().unwrap_or(0);
        next_ms - last_ms > self.length && count >= 3 && 2 * count >= self.days
    }
}

/// The factor by which a price jumped up or down from a close to the next open or price, if too large for the same asset.
pub fn price_step(close: f64, next: f64) -> Option<f64> {
    Some((next / close).max(close / next)).filter(|step| *step >= MAX_STEP)
}

/// Reports holes, wicks, candles without trades and the like.
pub fn notice(candles: &[Candle], calendar: &Calendar) -> Findings {
    let mut findings = Findings::default();
    let mut holes = unexplained(candles, calendar);
    holes.sort_by_key(|hole| hole.from_ms - hole.until_ms);
    findings.add(Cause::Gap, holes.len(), || holes[0].to_string());
    let length = calendar.step_ms();
    // Any other step off the grid is the start of a session.
    let changed = |pair: &&[Candle]| {
        let off = (pair[1].open_ms - pair[0].open_ms) % length;
        length > HOUR_MS && (off == HOUR_MS || off == length - HOUR_MS)
    };
    let mut changes = candles.windows(2).filter(changed).map(|pair| pair[0].open_ms).peekable();
    let first = changes.peek().copied();
    findings.add(Cause::ClockChange, changes.count(), || first.map_or_else(String::new, format_iso));
    let is_silent = candles.len() >= ROWS_OF_VOLUME && candles.windows(2).all(|pair| pair[0].volume == pair[1].volume);
    findings.add(Cause::NoVolume, if is_silent { candles.len() } else { 0 }, || {
        format!("a volume of {} in all", candles[0].volume)
    });
    for candle in candles {
        let at = || format_iso(candle.open_ms);
        let (top, bottom) = (candle.open.max(candle.close), candle.open.min(candle.close));
        findings.add(Cause::Wick, usize::from(candle.high > WICK * top || candle.low * WICK < bottom), at);
        findings.add(Cause::NoTrades, usize::from(candle.volume == 0.0 && !is_silent), at);
    }
    findings
}

/// A duration in words.
pub fn words(ms: i64) -> String {
    match ms {
        ms if ms >= 2 * 86_400_000 => format!("{:.0} days", ms as f64 / 86_400_000.0),
        ms if ms >= 3_600_000 => short(ms as f64 / 3_600_000.0, "h"),
        ms if ms >= 60_000 => short(ms as f64 / 60_000.0, "min"),
        ms => short(ms as f64 / 1000.0, "s"),
    }
}

fn short(number: f64, unit: &str) -> String {
    format!("{} {unit}", (10.0 * number).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    const START: i64 = 1_700_000_000_000;

    fn at(hour: i64, close: f64) -> Candle {
        Candle { open_ms: START + hour * HOUR, open: 10.0, high: 10.0 * close, low: 1.0, close, volume: 1.0 }
    }

    fn hours(range: std::ops::Range<i64>) -> Vec<Candle> {
        range.map(|hour| at(hour, 10.0 + (hour % 7) as f64)).collect()
    }

    fn settled(rows: &[Candle]) -> Result<(Vec<Candle>, Findings), String> {
        settle(rows.to_vec(), RunEnds::Unsure)
    }

    #[test]
    fn two_downloads_joined_become_one_series() {
        // The second download began earlier, and ended with an open candle in the middle of the first.
        let mut rows = hours(5..20);
        rows.extend(hours(0..10));
        rows.push(Candle { close: 10.5, ..at(10, 13.0) });
        let (series, found) = settled(&rows).unwrap();
        assert_eq!(series, hours(0..20));
        let counts = [Cause::Disorder, Cause::Duplicate, Cause::Superseded].map(|cause| found.count(cause));
        assert_eq!(counts, [11, 5, 1]);
        // Within one answer of an exchange, neither is known to be better.
        assert!(settle(rows, RunEnds::Sure).unwrap_err().contains("1 times have two candles that disagree"));
    }

    #[test]
    fn the_hour_that_clocks_repeat_is_refused() {
        // 02:00 twice, as in local times without an offset in autumn.
        let mut rows = hours(0..20);
        rows.insert(10, at(9, 99.0));
        let problem = settled(&rows).unwrap_err();
        assert!(problem.contains("closes of 12 and 99") && problem.contains("clocks go back"), "{problem}");
    }

    #[test]
    fn a_wrong_interval_and_a_shifted_grid_are_told() {
        let hour = Timeframe::H1;
        assert_eq!(check_steps(&hours(0..20), hour), Ok(()));
        let four: Vec<_> = hours(0..80).into_iter().step_by(4).collect();
        assert!(check_steps(&four, hour).unwrap_err().1.contains("no two candles are 1h apart, the closest 4 h"));
        assert_eq!(check_steps(&four[..4], hour), Ok(()), "four rows may be what is left of an outage");
        let mut shifted = hours(0..20);
        shifted[7..].iter_mut().for_each(|candle| candle.open_ms += 5 * 60_000);
        let (index, problem) = check_steps(&shifted, hour).unwrap_err();
        assert!(index == 7 && problem.contains("1.1 h after"), "{problem}");
    }

    #[test]
    fn a_session_that_begins_anew_after_lunch_is_no_shifted_grid() {
        let day = [60, 120, 180, 330, 390, 450].map(|minutes| at(0, 11.0).open_ms + minutes * 60_000);
        let days = |count: i64| {
            (0..count).flat_map(|n| day.map(|open_ms| Candle { open_ms: open_ms + n * DAY_MS, ..at(0, 11.0) }))
        };
        let whole: Vec<Candle> = days(20).collect();
        assert_eq!(check_steps(&whole, Timeframe::H1), Ok(()));
        assert_eq!(notice(&whole, &Calendar::learn(&whole, HOUR)).count(Cause::ClockChange), 0);
        let mut rows = whole.clone();
        rows.remove(10);
        assert_eq!(check_steps(&rows, Timeframe::H1), Ok(()), "one is missing");
        let few: Vec<Candle> = days(2).collect();
        assert_eq!(check_steps(&few, Timeframe::H1).unwrap_err().0, 3, "twice says nothing");
        // A different step that occurs once.
        let mut shifted = whole.clone();
        shifted[90..].iter_mut().for_each(|candle| candle.open_ms += 5 * 60_000);
        assert_eq!(check_steps(&shifted, Timeframe::H1).unwrap_err().0, 90);
        // Two grids in one file.
        let mut mixed = hours(0..100);
        mixed.extend(hours(0..100).iter().map(|candle| Candle { open_ms: candle.open_ms + HOUR / 2, ..*candle }));
        let (mixed, _) = settle(mixed, RunEnds::Sure).unwrap();
        assert_eq!(check_steps(&mixed, Timeframe::H1).unwrap_err().0, 1);
    }

    #[test]
    fn another_coin_under_the_same_ticker_is_told_from_a_crash() {
        let hour = Timeframe::H1;
        let mut rows = hours(0..20);
        // A crash by a factor of 1000 within a candle; the next candle opens where it closed.
        rows[5] = Candle { low: 0.01, close: 0.01, ..rows[5] };
        rows.truncate(6);
        rows.push(Candle { open: 0.01, high: 0.02, low: 0.01, close: 0.01, ..at(6, 1.0) });
        assert_eq!(check_steps(&rows, hour), Ok(()));
        rows.push(at(400, 9.0));
        let (index, problem) = check_steps(&rows, hour).unwrap_err();
        assert_eq!(index, 7);
        for part in ["1000-fold, from 0.01 to 10", "16 days after", "--since 2023-12-01T14:13:20.000Z"] {
            assert!(problem.contains(part), "{part}: {problem}");
        }
    }

    #[test]
    fn wicks_halts_and_empty_candles_are_counted() {
        let hour = &Calendar::always(HOUR);
        let calm = |i| Candle { high: 12.0, low: 9.0, close: 11.0, ..at(i, 11.0) };
        let mut rows: Vec<Candle> = (0..10).map(calm).collect();
        assert_eq!(notice(&rows, hour), Findings::default());
        rows[3].high = 40.0;
        rows[4].volume = 0.0;
        rows.push(calm(10 + 311 * 24));
        let found = notice(&rows, hour).to_string();
        assert!(found.starts_with("1 holes in time (311 days from 2023-11-15T08:13:20.000Z"), "{found}");
        assert!(
            found.contains("1 candles that reach beyond") && found.contains("1 candles without any trade"),
            "{found}"
        );
    }

    proptest! {
        #[test]
        fn whatever_the_order_and_the_duplicates_the_series_is_the_same(
            count in 1usize..60, picks in prop::collection::vec(0usize..60, 0..60), seed in any::<u64>(),
        ) {
            let whole = hours(0..count as i64);
            let mut rows = whole.clone();
            rows.extend(picks.iter().map(|pick| whole[pick % count]));
            let mut state = seed | 1;
            for i in (1..rows.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                rows.swap(i, (state >> 33) as usize % (i + 1));
            }
            for ends in [RunEnds::Sure, RunEnds::Unsure] {
                let (series, found) = settle(rows.clone(), ends).unwrap();
                prop_assert_eq!(&series, &whole);
                prop_assert_eq!(found.count(Cause::Duplicate), picks.len());
            }
        }
    }
}
