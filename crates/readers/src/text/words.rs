//! Pairs and leverages among the words of a message.

use super::super::pair::{Pair, QUOTES, pair, split};
use super::tokens::{Kind, Token};

/// The leverages in a text: `10x`, `(20.0X)`, or a number alone.
pub fn leverages(all: &[Token]) -> Vec<f64> {
    // The Cyrillic letter looks the same.
    let is_times = |text: &str| matches!(text, "x" | "X" | "х" | "Х");
    let mut times = Vec::new();
    for (at, token) in all.iter().enumerate() {
        let glued = token.text.char_indices().next_back().filter(|(at, _)| is_times(&token.text[*at..]));
        match (token.number(), glued) {
            (Some(number), _) if all.get(at + 1).is_some_and(|next| is_times(&next.text)) => times.push(number),
            (None, Some((end, _))) => times.extend(token.text[..end].parse::<f64>().ok()),
            _ => {}
        }
    }
    let numbers: Vec<f64> = all.iter().filter_map(Token::number).collect();
    if times.is_empty() && numbers.len() == 1 { numbers } else { times }
}

/// The pairs in a text, each with its first token. `named` accepts any case and any quote.
pub fn pairs(all: &[Token], named: bool) -> Vec<(Pair, &Token)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = all.get(at) {
        at += 1;
        if token.kind != Kind::Word {
            continue;
        }
        let base = token.text.to_uppercase();
        let is_quote = |token: &&Token| QUOTES.contains(&token.text.to_uppercase().as_str());
        let separator = all.get(at).filter(|mark| mark.is_mark('/') || (mark.is_mark('-') && !mark.spaced));
        let quote = separator.and_then(|_| all.get(at + 1)).filter(is_quote);
        let name = if let Some(quote) = quote {
            at += 2;
            Some(format!("{base}/{}", quote.text.to_uppercase()))
        } else {
            let marked =
                named || at.checked_sub(2).is_some_and(|before| all[before].is_mark('#') || all[before].is_mark('$'));
            let plain = base.replace('_', "");
            let parts = split(plain.strip_suffix("PERP").unwrap_or(&plain));
            let is_money = |name: &str| QUOTES.contains(&name);
            let sure = parts.is_some_and(|(base, quote)| {
                base.len() >= 2 && (marked || quote.contains("USD") || (is_money(base) && is_money(quote)))
            });
            (sure && (marked || token.text.chars().all(|c| !c.is_lowercase()))).then_some(plain)
        };
        found.extend(name.and_then(|name| pair(&name).ok()).map(|pair| (pair, token)));
    }
    found
}
