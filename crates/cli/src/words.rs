//! Counts, durations, sizes and lists as people say them; and text that is wrapped to a width.

use console::measure_text_width;

/// A count with its noun: `1 day`, `3 days`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A duration in its largest unit: `5.2 h`.
pub fn lasting(ms: f64) -> String {
    let units = [(86_400_000.0, "d"), (3_600_000.0, "h"), (60_000.0, "min")];
    match units.into_iter().find(|(unit, _)| ms >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", ms / unit),
        None => format!("{:.1} s", ms / 1000.0),
    }
}

/// An age as a whole number of the largest unit that gives at least 2: `3 hours`, `2 days`, `90 minutes`.
pub fn age(ms: i64) -> String {
    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60 * MINUTE;
    const UNITS: [(i64, &str); 5] =
        [(365 * DAY, "years"), (30 * DAY, "months"), (DAY, "days"), (60 * MINUTE, "hours"), (MINUTE, "minutes")];
    match UNITS.into_iter().find(|(unit, _)| ms >= 2 * unit) {
        Some((unit, name)) => format!("{} {name}", ms / unit),
        None if ms >= MINUTE => "1 minute".to_owned(),
        None => "under a minute".to_owned(),
    }
}

/// A size in decimal units: `29 MB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "KB")];
    match UNITS.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) if count < 10 * unit => format!("{:.1} {name}", count as f64 / unit as f64),
        Some((unit, name)) => format!("{} {name}", count / unit),
        None => counted(count, "byte", "bytes"),
    }
}

/// The first `most` names of a list, and how many more there are.
pub fn some(names: &[String], most: usize) -> String {
    match names.len().checked_sub(most) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{}, and {more} more", names[..most].join(", ")),
    }
}

/// Breaks lines at spaces, so that none is wider than `width`, except for a longer word. What is broken off is indented by
/// `indent`, at most half of the width.
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let indent = " ".repeat(indent.min(width / 2));
    let mut whole = String::new();
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            whole.push('\n');
        }
        let (mut used, mut has_word) = (0, false);
        for word in line.split_inclusive(' ') {
            let needed = measure_text_width(word.trim_end());
            if has_word && needed > 0 && used + needed > width {
                whole.truncate(whole.trim_end_matches(' ').len());
                whole.push('\n');
                whole.push_str(&indent);
                used = indent.len();
            }
            whole.push_str(word);
            used += measure_text_width(word);
            has_word |= needed > 0;
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_their_largest_unit() {
        let told = [900.0, 59_900.0, 60_000.0, 5_400_000.0, 86_400_000.0, 864_000_000.0].map(lasting);
        assert_eq!(told, ["0.9 s", "59.9 s", "1.0 min", "1.5 h", "1.0 d", "10.0 d"]);
    }

    #[test]
    fn ages_in_words() {
        const HOUR: i64 = 3_600_000;
        let hours = [1, 2, 3, 47, 48, 24 * 59, 24 * 60, 24 * 729, 24 * 730].map(|hours| age(hours * HOUR));
        let expected =
            ["60 minutes", "2 hours", "3 hours", "47 hours", "2 days", "59 days", "2 months", "24 months", "2 years"];
        assert_eq!(hours, expected);
        assert_eq!(
            [-5, 0, 59_999, 60_000, 119_999, 120_000].map(age)[2..],
            ["under a minute", "1 minute", "1 minute", "2 minutes"]
        );
    }

    #[test]
    fn sizes_in_words() {
        let told = [1, 999, 1000, 29_500_000, 3_450_000_000].map(bytes);
        assert_eq!(told, ["1 byte", "999 bytes", "1.0 KB", "29 MB", "3.5 GB"]);
    }

    #[test]
    fn long_lines_are_broken_at_spaces_and_lose_no_word() {
        let text = "warning  candles        6 of 20 markets have holes\n    why: rows next to a gap are not trained on";
        for width in 10..60 {
            let broken = wrapped(text, width, 8);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&broken), words(text));
            let longest = words(text).iter().map(String::len).max().unwrap();
            let most = width.max(longest + 8.min(width / 2));
            assert!(broken.lines().all(|line| line.len() <= most), "{width}:\n{broken}");
        }
        assert_eq!(wrapped(text, 80, 8), text);
        assert_eq!(wrapped("ok one two", 6, 3), "ok one\n   two");
    }
}
