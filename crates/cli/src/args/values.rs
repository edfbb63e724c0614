//! Values that several commands have.

use domain::config::span::{HOUR, parse_span};
use domain::signal::{STRATEGY, is_strategy};
use domain::time::{Tz, parse_time};
use readers::Format;
use scheduler::Task;

pub(super) fn strategy(text: &str) -> Result<String, &'static str> {
    if is_strategy(text) { Ok(text.to_owned()) } else { Err(STRATEGY) }
}

pub(super) fn format(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| format!("must be one of {}", Format::ALL.map(Format::as_str).join(", ")))
}

pub(super) fn percent(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or("must be a percentage, 0 to 100")
}

pub(super) fn task(name: &str) -> Result<Task, String> {
    Task::parse(name).ok_or_else(|| format!("must be one of {}", Task::ALL.map(Task::as_str).join(", ")))
}

pub(super) fn time(text: &str) -> Result<i64, String> {
    parse_time(text, Tz::UTC)
        .ok_or_else(|| "must be a time such as 2022-05-31T06:00:00Z, UTC unless it says".to_owned())
}

pub(super) fn zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "must be an IANA time zone such as Europe/Berlin".to_owned())
}

pub(super) fn hours(text: &str) -> Result<f64, String> {
    let span = || parse_span(text).map(|span| span.as_secs_f64() / HOUR);
    let hours = text.parse().ok().or_else(span).filter(|hours: &f64| hours.is_finite() && *hours >= 0.0);
    hours.ok_or_else(|| "must be a number of hours, 0 or more, or text such as 24h".to_owned())
}

pub(super) fn days(text: &str) -> Result<f64, String> {
    let days: f64 = text.parse().map_err(|_| "must be a number of days".to_owned())?;
    if days > 0.0 && days <= 36_500.0 { Ok(days) } else { Err("must be above 0 and at most 36500".to_owned()) }
}
