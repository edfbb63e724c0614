//! Durations in a configuration: a number in the unit that the key names, or text with a unit: `"90s"`, `"30m"`, `"1h"`, `"7d"`.

use serde_json::Value;
use std::time::Duration;

/// An example of each unit, for errors.
pub const EXAMPLES: &str = "\"90s\", \"30m\", \"1h\" or \"7d\"";

/// Seconds in one.
pub const SECOND: f64 = 1.0;
/// Seconds in a minute.
pub const MINUTE: f64 = 60.0;
/// Seconds in an hour.
pub const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

/// Reads text with a unit; `None` for anything else.
pub fn parse_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.chars().next_back()?;
    let seconds = match unit.to_ascii_lowercase() {
        's' => SECOND,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return None,
    };
    let number = text[..text.len() - unit.len_utf8()].trim_end();
    // `f64` also parses signs, exponents and infinity, which are not allowed here.
    let plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number: f64 = number.parse().ok().filter(|_| plain)?;
    self::seconds(number * seconds)
}

/// Rounded to the millisecond, so that the same duration in two units is equal.
fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64((seconds * 1000.0).round() / 1000.0).ok()
}

/// Reads a number of `unit`s (in seconds), or text with a unit. `low` and `high`, in seconds, are inclusive.
pub fn span(unit: f64, low: f64, high: f64) -> impl Fn(&Value) -> Option<Duration> {
    move |value| {
        let span = match value {
            Value::String(text) => parse_span(text)?,
            number => seconds(number.as_f64()? * unit)?,
        };
        (low..=high).contains(&span.as_secs_f64()).then_some(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_with_a_unit_and_numbers_of_the_keys_own() {
        for (text, seconds) in
            [("90s", 90.0), ("30m", 1800.0), ("1h", 3600.0), ("24h", 86_400.0), ("7d", 604_800.0), (" 1.5 H ", 5400.0)]
        {
            assert_eq!(parse_span(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for wrong in ["", "h", "1", "1w", "-1h", "1e3s", "infs", "1h30m", "1 hour", "é", ".h"] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
        let hours = span(HOUR, 60.0, 7200.0);
        assert_eq!(hours(&json!(2)), hours(&json!("120m")));
        for wrong in [json!(3), json!("3h"), json!("59s"), json!(-1), json!(1e300), json!(true), json!("2")] {
            assert_eq!(hours(&wrong), None, "{wrong}");
        }
    }
}
