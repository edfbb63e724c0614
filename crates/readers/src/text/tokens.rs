//! A line of a message as words, numbers and marks, each with its column.

use super::super::number::number;
use domain::barrier::Direction;

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Letters and digits, with at least one letter.
    Word,
    Number(f64),
    /// A number before a percent sign.
    Percent(f64),
    /// A number on a key: 1️⃣.
    Ordinal(u32),
    /// Digits that are no number with certainty, such as `0,0315`.
    Unclear,
    /// Punctuation; all dashes are `-`.
    Mark(char),
    /// 🟢 📈 or 🔴 📉.
    Hint(Direction),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub kind: Kind,
    /// As it stands in the line.
    pub text: String,
    /// From 1, in characters.
    pub column: usize,
    /// Whether there is a space or the begin of the line before it.
    pub spaced: bool,
}

impl Token {
    /// A word in lower case; empty for all else.
    pub fn word(&self) -> String {
        if self.kind == Kind::Word { self.text.to_lowercase() } else { String::new() }
    }

    pub fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub fn number(&self) -> Option<f64> {
        if let Kind::Number(number) = self.kind { Some(number) } else { None }
    }

    /// A whole number from 1 to 16, as targets are numbered.
    pub fn ordinal(&self) -> Option<u32> {
        match self.kind {
            Kind::Ordinal(number) => Some(number),
            // The cast is exact in this range.
            Kind::Number(number) if (1.0..=16.0).contains(&number) && !self.text.contains('.') => Some(number as u32),
            _ => None,
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Splits a line. Emojis and the marks of bold and italic text are left out.
pub fn tokens(line: &str) -> Vec<Token> {
    let chars: Vec<char> = line.chars().collect();
    let (mut found, mut at, mut spaced) = (Vec::new(), 0, true);
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        let kind = match c {
            _ if c.is_ascii_digit() || (c == '.' && chars.get(at + 1).is_some_and(char::is_ascii_digit)) => {
                let (kind, end) = digits(&chars, at);
                at = end;
                Some(kind)
            }
            _ if c.is_alphabetic() => {
                at = word_end(&chars, at);
                Some(Kind::Word)
            }
            '🟢' | '📈' => Some(Kind::Hint(Direction::Buy)),
            '🔴' | '📉' => Some(Kind::Hint(Direction::Sell)),
            '-' | '–' | '—' | '−' | '‐' | '‑' => Some(Kind::Mark('-')),
            '/' | '|' | ':' | ';' | ',' | '.' | '(' | ')' | '#' | '@' | '=' | '&' | '+' | '<' | '>' | '~' | '%'
            | '?' | '$' => Some(Kind::Mark(c)),
            _ => None,
        };
        at = at.max(start + 1);
        match kind {
            Some(kind) => {
                found.push(Token { kind, text: chars[start..at].iter().collect(), column: start + 1, spaced });
                spaced = false;
            }
            None => spaced = true,
        }
    }
    found
}

fn word_end(chars: &[char], from: usize) -> usize {
    let mut end = from + chars[from..].iter().take_while(|c| is_word(**c)).count();
    // An underscore at the end begins or ends italic text.
    while end > from + 1 && chars[end - 1] == '_' {
        end -= 1;
    }
    end
}

/// What begins with a digit at `from`, and where it ends.
fn digits(chars: &[char], from: usize) -> (Kind, usize) {
    let mut end = from + chars[from..].iter().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).count();
    while matches!(chars[end - 1], '.' | ',') {
        end -= 1;
    }
    let text: String = chars[from..end].iter().collect();
    let whole = text.bytes().all(|b| b.is_ascii_digit());
    match chars.get(end) {
        Some('\u{fe0f}' | '\u{20e3}') if whole => (Kind::Ordinal(text.parse().unwrap_or(u32::MAX)), end),
        // 10x, 4h, 1INCH.
        Some(next) if whole && (next.is_alphabetic() || *next == '_') => (Kind::Word, word_end(chars, from)),
        _ => {
            let after = end + chars[end..].iter().take_while(|c| **c == ' ').count();
            match (number(&text), chars.get(after)) {
                (Some(number), Some('%')) => (Kind::Percent(number), after + 1),
                (Some(number), _) => (Kind::Number(number), end),
                (None, _) => (Kind::Unclear, end),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_with_columns() {
        let read = tokens("🎯 **TP1**: $67,250.5 - 25.0 % (10X)");
        let kinds: Vec<(Kind, &str, usize)> =
            read.iter().map(|token| (token.kind.clone(), token.text.as_str(), token.column)).collect();
        assert_eq!(
            kinds,
            [
                (Kind::Word, "TP1", 5),
                (Kind::Mark(':'), ":", 10),
                (Kind::Mark('$'), "$", 12),
                (Kind::Number(67250.5), "67,250.5", 13),
                (Kind::Mark('-'), "-", 22),
                (Kind::Percent(25.0), "25.0 %", 24),
                (Kind::Mark('('), "(", 31),
                (Kind::Word, "10X", 32),
                (Kind::Mark(')'), ")", 35),
            ]
        );
        let kinds = |line: &str| tokens(line).into_iter().map(|token| token.kind).collect::<Vec<_>>();
        assert_eq!(kinds("1️⃣ 0.85"), [Kind::Ordinal(1), Kind::Number(0.85)]);
        assert_eq!(kinds("1.40-1.50"), [Kind::Number(1.4), Kind::Mark('-'), Kind::Number(1.5)]);
        assert_eq!(
            kinds("0,0315 1INCH 1. x_"),
            [Kind::Unclear, Kind::Word, Kind::Number(1.0), Kind::Mark('.'), Kind::Word]
        );
    }
}
