//! Timeframes as other tools write them.

use domain::symbol::Timeframe;

/// The timeframe of a spelling: `60`, `D` and `1W` as TradingView has them, `1h`, `4H`, `15 min`, `1day`. `None` for any other, and for
/// lengths that signalloop does not know, such as 45 minutes.
pub fn timeframe(text: &str) -> Option<Timeframe> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = (&text[..digits], text[digits..].trim());
    let count: u32 = if count.is_empty() { 1 } else { count.parse().ok()? };
    let letter = match unit {
        // A lower-case m is minutes; an upper-case one is months, which have no fixed length.
        "" | "m" if digits > 0 => 'm',
        "D" | "d" => 'd',
        "W" | "w" => 'w',
        "h" | "H" if digits > 0 => 'h',
        _ => match unit.to_ascii_lowercase().trim_end_matches('s') {
            "min" | "minute" if digits > 0 => 'm',
            "hr" | "hour" if digits > 0 => 'h',
            "day" => 'd',
            "week" => 'w',
            _ => return None,
        },
    };
    let (count, letter) = match letter {
        'm' if count >= 60 && count % 60 == 0 => (count / 60, 'h'),
        other => (count, other),
    };
    let (count, letter) = match letter {
        'h' if count >= 24 && count % 24 == 0 => (count / 24, 'd'),
        other => (count, other),
    };
    let (count, letter) = if letter == 'd' && count == 7 { (1, 'w') } else { (count, letter) };
    Timeframe::parse(&format!("{count}{letter}")).ok()
}

#[cfg(test)]
mod tests {
    use super::timeframe;

    #[test]
    fn spellings() {
        for (text, expected) in [
            ("60", "1h"),
            ("1", "1m"),
            ("240", "4h"),
            ("1440", "1d"),
            ("D", "1d"),
            ("1D", "1d"),
            ("W", "1w"),
            ("15m", "15m"),
            ("4H", "4h"),
            (" 15 min ", "15m"),
            ("1hour", "1h"),
            ("4 Hours", "4h"),
            ("1day", "1d"),
            ("7d", "1w"),
        ] {
            assert_eq!(timeframe(text).map(|timeframe| timeframe.as_str()), Some(expected), "{text}");
        }
        for text in ["", "M", "1M", "45", "30S", "h", "m", "100R", "now", "99999999999"] {
            assert_eq!(timeframe(text), None, "{text}");
        }
    }
}
