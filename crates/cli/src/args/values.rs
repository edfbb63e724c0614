//! Values that several commands have.

use candles::Origin;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};
use domain::config::span::{HOUR, parse_span};
use domain::signal::{STRATEGY, is_strategy};
use domain::symbol::Timeframe;
use domain::time::{Tz, parse_time};
use domain::venue::Venue;
use readers::Format;
use replay::Part;
use scheduler::Task;
use std::ffi::OsStr;

/// Reads a value of an argument. An error says what it must be.
type Parse<T> = fn(&str) -> Result<T, String>;

/// A parser of values that the completions of shells know by name.
#[derive(Clone)]
pub struct Known<T> {
    names: Vec<&'static str>,
    parse: Parse<T>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Known<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        self.parse.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().copied().map(PossibleValue::new)))
    }
}

fn known<T>(names: impl IntoIterator<Item = &'static str>, parse: Parse<T>) -> Known<T> {
    Known { names: names.into_iter().collect(), parse }
}

pub fn timeframe() -> Known<Timeframe> {
    known(Timeframe::NAMES, |text| Timeframe::parse(text).map_err(|error| error.to_string()))
}

pub fn task() -> Known<Task> {
    let names = Task::ALL.map(Task::as_str);
    known(names, |name| Task::parse(name).ok_or_else(|| one_of(&Task::ALL.map(Task::as_str))))
}

pub fn format() -> Known<Format> {
    let names = Format::ALL.map(Format::as_str);
    known(names, |name| Format::named(name).ok_or_else(|| one_of(&Format::ALL.map(Format::as_str))))
}

pub fn part() -> Known<Part> {
    let names = Part::ALL.map(Part::as_str);
    known(names, |text| Part::named(text).map_err(|_| one_of(&Part::ALL.map(Part::as_str))))
}

pub fn origin() -> Known<Origin> {
    known(Origin::ALL.map(Origin::as_str), str::parse)
}

pub fn venue() -> Known<Venue> {
    known(Venue::ALL.map(Venue::as_str), |name| name.parse().map_err(str::to_owned))
}

/// The exchange of a home: a name, or any URL.
pub fn exchange() -> Known<String> {
    known(Venue::ALL.map(Venue::as_str), |text| Ok(text.to_owned()))
}

fn one_of(names: &[&str]) -> String {
    format!("must be one of {}", names.join(", "))
}

pub(super) fn strategy(text: &str) -> Result<String, &'static str> {
    if is_strategy(text) { Ok(text.to_owned()) } else { Err(STRATEGY) }
}

pub(super) fn percent(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or("must be a percentage, 0 to 100")
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
