//! Candles of markets with trading hours in their local time, with holidays and half days.

use chrono::{DateTime, Datelike, Timelike, Utc, Weekday};
use domain::candle::Candle;
use domain::time::{Tz, parse_time};

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// The trading hours of a market.
pub struct Exchange {
    pub zone: &'static str,
    /// How long after the full hour it opens.
    pub phase_ms: i64,
    /// Whether it trades at this local time.
    pub is_open: fn(DateTime<Tz>) -> bool,
    /// Local dates without trading.
    pub holidays: &'static [(i32, u32, u32)],
    /// Local dates on which it closes early, with the closing time in minutes.
    pub half_days: &'static [(i32, u32, u32)],
}

fn minute(at: DateTime<Tz>) -> u32 {
    60 * at.hour() + at.minute()
}

fn is_weekday(at: DateTime<Tz>) -> bool {
    !matches!(at.weekday(), Weekday::Sat | Weekday::Sun)
}

pub const NEW_YORK: Exchange = Exchange {
    zone: "America/New_York",
    phase_ms: 30 * MINUTE,
    is_open: |at| is_weekday(at) && (570..960).contains(&minute(at)),
    holidays: &[
        (2023, 1, 2),
        (2023, 1, 16),
        (2023, 2, 20),
        (2023, 4, 7),
        (2023, 5, 29),
        (2023, 6, 19),
        (2023, 7, 4),
        (2023, 9, 4),
        (2023, 11, 23),
        (2023, 12, 25),
        (2024, 1, 1),
        (2024, 1, 15),
        (2024, 2, 19),
        (2024, 3, 29),
        (2024, 5, 27),
        (2024, 6, 19),
        (2024, 7, 4),
        (2024, 9, 2),
        (2024, 11, 28),
        (2024, 12, 25),
    ],
    half_days: &[(2023, 7, 3), (2023, 11, 24), (2024, 7, 3), (2024, 11, 29), (2024, 12, 24)],
};
pub const LONDON: Exchange = Exchange {
    zone: "Europe/London",
    phase_ms: 0,
    is_open: |at| is_weekday(at) && (480..990).contains(&minute(at)),
    holidays: &[
        (2023, 1, 2),
        (2023, 4, 7),
        (2023, 4, 10),
        (2023, 5, 1),
        (2023, 5, 8),
        (2023, 5, 29),
        (2023, 8, 28),
        (2023, 12, 25),
        (2023, 12, 26),
        (2024, 1, 1),
        (2024, 3, 29),
        (2024, 4, 1),
        (2024, 5, 6),
        (2024, 5, 27),
        (2024, 8, 26),
        (2024, 12, 25),
        (2024, 12, 26),
    ],
    half_days: &[(2023, 12, 22), (2023, 12, 29), (2024, 12, 24), (2024, 12, 31)],
};
/// With a lunch break.
pub const TOKYO: Exchange = Exchange {
    zone: "Asia/Tokyo",
    phase_ms: 0,
    is_open: |at| is_weekday(at) && ((540..690).contains(&minute(at)) || (750..900).contains(&minute(at))),
    holidays: &[(2023, 1, 9), (2023, 2, 23), (2023, 3, 21), (2023, 7, 17), (2023, 8, 11), (2023, 9, 18)],
    half_days: &[],
};
pub const HONG_KONG: Exchange = Exchange {
    zone: "Asia/Hong_Kong",
    phase_ms: 0,
    is_open: |at| is_weekday(at) && ((570..720).contains(&minute(at)) || (780..960).contains(&minute(at))),
    holidays: &[(2023, 4, 5), (2023, 4, 7), (2023, 4, 10), (2023, 5, 1), (2023, 5, 26), (2023, 6, 22), (2023, 10, 2)],
    half_days: &[],
};
/// Currencies: from Sunday to Friday, 17:00 in New York.
pub const FOREX: Exchange = Exchange {
    zone: "America/New_York",
    phase_ms: 0,
    is_open: |at| match at.weekday() {
        Weekday::Sat => false,
        Weekday::Sun => minute(at) >= 1020,
        Weekday::Fri => minute(at) < 1020,
        _ => true,
    },
    holidays: &[],
    half_days: &[],
};
/// Futures: like currencies, with a break of an hour every day.
pub const FUTURES: Exchange = Exchange {
    is_open: |at| {
        (FOREX.is_open)(at)
            && !(1020..1080).contains(&minute(at))
            && !(at.weekday() == Weekday::Sun && minute(at) < 1080)
    },
    ..FOREX
};

impl Exchange {
    pub fn trades(&self, zone: Tz, time_ms: i64) -> bool {
        let at = DateTime::<Utc>::from_timestamp_millis(time_ms).unwrap().with_timezone(&zone);
        let is = |dates: &[(i32, u32, u32)]| dates.contains(&(at.year(), at.month(), at.day()));
        (self.is_open)(at) && !is(self.holidays) && !(is(self.half_days) && minute(at) >= 780)
    }

    /// The candles of `step_ms` each between two dates. Hourly candles begin when the exchange opens, at half past
    /// where it does.
    pub fn candles(&self, from: &str, until: &str, step_ms: i64) -> Vec<Candle> {
        let zone: Tz = self.zone.parse().unwrap();
        let phase_ms = if step_ms == HOUR { self.phase_ms } else { 0 };
        let opens = (time(from) + phase_ms..time(until)).step_by(step_ms as usize);
        let has_trades =
            |open: &i64| (*open..open + step_ms).step_by(30 * MINUTE as usize).any(|at| self.trades(zone, at));
        opens.filter(has_trades).map(candle).collect()
    }
}

pub fn time(text: &str) -> i64 {
    parse_time(text, Tz::UTC).unwrap()
}

fn price(open_ms: i64) -> f64 {
    let x = (open_ms / (5 * MINUTE)) as f64;
    100.0 + 3.0 * (x / 97.0).sin() + 1.5 * (x / 31.0).cos() + 0.3 * (x / 3.7).sin()
}

pub fn candle(open_ms: i64) -> Candle {
    let (open, close) = (price(open_ms), price(open_ms + HOUR / 2));
    let volume = 50.0 + 20.0 * ((open_ms / MINUTE) as f64 / 77.0).sin();
    Candle { open_ms, open, high: open.max(close) + 0.05, low: open.min(close) - 0.05, close, volume }
}
