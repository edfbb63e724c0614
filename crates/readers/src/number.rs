//! Numbers as people write them.

/// A number with or without a dollar sign and thousands separators: `67250.5`, `$67,250.5`, `1e-5`. A comma separates thousands, and
/// must stand before groups of three digits; any other comma could be a decimal comma or a list, and is no number.
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_prefix('$').unwrap_or(text).trim_start();
    let (whole, rest) = match text.find(['.', 'e', 'E']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let digits = if whole.contains(',') { without_separators(whole)? } else { whole.to_owned() };
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !plain(&digits) || !plain(rest) {
        return None;
    }
    format!("{digits}{rest}").parse().ok().filter(|number: &f64| number.is_finite())
}

fn without_separators(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let leads = (1..=3).contains(&first.len()) && !first.starts_with('0');
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    (leads && digits(first) && groups.all(|group| group.len() == 3 && digits(group))).then(|| whole.replace(',', ""))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn thousands_are_separated_and_decimal_commas_are_no_number() {
        for (text, expected) in [
            ("67250.5", 67250.5),
            ("$67,250.50", 67250.5),
            ("1,234,567", 1_234_567.0),
            (" $ 0.00001234 ", 0.000_012_34),
            (".5", 0.5),
            ("1e-5", 0.00001),
            ("-3", -3.0),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        let odd = [
            "",
            "$",
            "0,0315",
            "1,25",
            "12,34,567",
            "1234,567",
            "1,2345",
            "1.2.3",
            "1e999",
            "12k",
            "NaN",
            "inf",
            "0x1f",
        ];
        for text in odd {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
