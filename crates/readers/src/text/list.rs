//! The prices that follow a label.

use super::labels::Label;
use super::tokens::{Kind, Token};

/// A price with its place and what stands beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    pub value: f64,
    pub line: usize,
    pub column: usize,
    pub text: String,
    /// An unsigned percentage after it: a share, or what it gains.
    pub percent: Option<f64>,
}

/// What a list of prices says.
#[derive(Debug, Default)]
pub struct Prices {
    pub prices: Vec<Price>,
    /// `above` or `below`: the entry is a stop order.
    pub breakout: bool,
    /// `market`, `now`: the entry is at once.
    pub market: bool,
    /// No price, and no words that could hide one.
    pub empty: bool,
}

/// A token that cannot be read there, and why.
pub type Unread<'a> = (&'a Token, &'static str);

/// Words that may stand in a list of prices and change nothing.
const PLAIN: [&str; 16] = [
    "and", "to", "or", "at", "around", "near", "between", "from", "zone", "range", "price", "usdt", "usd", "usdc",
    "limit", "approx",
];

/// Reads the prices of a label. `have` is how many targets came before.
pub fn prices<'a>(label: Label, tokens: &'a [Token], line: usize, have: usize) -> Result<Prices, Unread<'a>> {
    let is_entry = matches!(label, Label::Entry | Label::Buy | Label::Sell);
    let mut found = Prices {
        empty: tokens.iter().all(|token| matches!(token.kind, Kind::Mark(_) | Kind::Hint(_))),
        ..Prices::default()
    };
    let mut at = ordinal_length(label, tokens, have);
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1);
        at += 1;
        match &token.kind {
            Kind::Mark('(') => {
                let end = tokens[at..].iter().position(|token| token.is_mark(')')).map_or(tokens.len(), |end| at + end);
                let inner = &tokens[at..end];
                match inner {
                    // What it gains has a sign; a share has none.
                    [Token { kind: Kind::Percent(percent), .. }] => beside(&mut found, *percent),
                    [_, Token { kind: Kind::Percent(_), .. }] => {}
                    [one] if one.ordinal().is_some() && found.prices.is_empty() => {}
                    _ if inner.iter().any(|token| token.kind == Kind::Word) => {}
                    _ if inner.iter().any(|token| matches!(token.kind, Kind::Percent(_))) => {
                        return Err((token, UNREADABLE));
                    }
                    // The prices in it are read as if it were not there.
                    _ => continue,
                }
                at = end + 1;
            }
            Kind::Mark('+') if next.is_some_and(|next| matches!(next.kind, Kind::Percent(_))) => at += 1,
            Kind::Mark('<' | '?' | '%') | Kind::Unclear => return Err((token, UNREADABLE)),
            Kind::Mark(_) | Kind::Hint(_) => {}
            // `1) 0.85`, `1: 0.85`, and what closes with a mark of its own.
            Kind::Ordinal(_) => {}
            Kind::Number(_) if is_numbered(tokens, at - 1) => at += 1,
            Kind::Number(value) if *value > 0.0 => {
                if let Some(before) = tokens[..at - 1].last().filter(|before| before.number().is_some()) {
                    if looks_split(before, token) {
                        return Err((token, "may be the rest of the number before it, or another price"));
                    }
                }
                let (column, text) = (token.column, token.text.clone());
                found.prices.push(Price { value: *value, line, column, text, percent: None });
            }
            Kind::Number(_) => return Err((token, "must be a price above 0")),
            // `5-10%` may be a range of percentages, and a part of a stop is another stop.
            Kind::Percent(_) if !token.spaced && at > 1 && tokens[at - 2].is_mark('-') && !tokens[at - 2].spaced => {
                return Err((token, "may be the end of a range of percentages"));
            }
            Kind::Percent(percent) if label == Label::Stop && *percent != 100.0 => {
                return Err((token, "is a percentage and no price"));
            }
            Kind::Percent(percent) if !found.prices.is_empty() => beside(&mut found, *percent),
            Kind::Percent(_) => return Err((token, "is a percentage and no price")),
            Kind::Word => match token.word().as_str() {
                "above" | "below" if is_entry => found.breakout = true,
                "market" | "now" | "cmp" if is_entry => found.market = true,
                word if PLAIN.contains(&word) => {}
                _ => return Err((token, UNREADABLE)),
            },
        }
    }
    Ok(found)
}

const UNREADABLE: &str = "cannot be read with certainty in a list of prices";

fn beside(found: &mut Prices, percent: f64) {
    if let Some(last) = found.prices.last_mut() {
        last.percent = Some(percent);
    }
}

/// Whether the number at a position numbers the price after it: `1) 0.85`, `2: 0.9`, `3. 0.95`.
fn is_numbered(tokens: &[Token], at: usize) -> bool {
    tokens[at].ordinal().is_some()
        && tokens.get(at + 1).is_some_and(|mark| !mark.spaced && matches!(mark.kind, Kind::Mark(')' | ':' | '.')))
}

/// Whether a line begins with a numbered price: `2) 0.9`, `2️⃣ 0.9`.
pub fn starts_numbered(tokens: &[Token]) -> bool {
    let first = tokens.iter().position(|token| !matches!(token.kind, Kind::Mark(_) | Kind::Hint(_)));
    first.is_some_and(|at| matches!(tokens[at].kind, Kind::Ordinal(_)) || is_numbered(tokens, at))
}

/// How many tokens at the begin of a list only number its first price: `Target 1 - 0.85`, `1 - 0.116` in a list.
fn ordinal_length(label: Label, tokens: &[Token], have: usize) -> usize {
    let is_next = tokens.first().and_then(Token::ordinal).is_some_and(|number| number as usize == have + 1);
    let numbers = tokens.iter().filter(|token| token.number().is_some()).count();
    usize::from(matches!(label, Label::Target(None)) && is_next && numbers == 2 && !is_numbered(tokens, 0))
}

/// `67 250`: one number with a space in it, or two.
fn looks_split(before: &Token, token: &Token) -> bool {
    let whole = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let first_group = token.text.split('.').next().unwrap_or_default();
    token.spaced && whole(&before.text) && before.text.len() <= 3 && whole(first_group) && first_group.len() == 3
}
