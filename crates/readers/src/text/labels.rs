//! The words that say what follows: entry, targets, stop, and so on.

use super::tokens::{Kind, Token};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Label {
    Entry,
    /// `Buy 100`: an entry.
    Buy,
    /// `Sell 120`: the target of a BUY, or the entry of a SELL.
    Sell,
    /// Its number, where the word has one: `TP1`.
    Target(Option<u32>),
    Stop,
    Leverage,
    Trailing,
    /// `Signal Type: Regular (Long)`, `Direction: LONG`.
    Side,
    Pair,
    Confidence,
    Timeframe,
    Date,
    /// Exchanges, amounts, risk: no part of a signal.
    Other,
}

/// What a label may be followed by, as a part of it.
const ENTRY_WORDS: [&str; 20] = [
    "target", "targets", "order", "orders", "zone", "zones", "price", "prices", "range", "area", "point", "points",
    "level", "levels", "limit", "entry", "entries", "around", "at", "near",
];
const TARGET_WORDS: [&str; 10] =
    ["target", "targets", "order", "orders", "level", "levels", "price", "prices", "zone", "profit"];
const STOP_WORDS: [&str; 10] =
    ["loss", "losses", "target", "targets", "order", "orders", "price", "level", "stop", "sl"];

/// The label that begins at a token, and how many tokens it has.
pub fn label(tokens: &[Token]) -> Option<(Label, usize)> {
    let first = tokens.first()?;
    if first.is_mark('@') {
        return tokens.get(1).and_then(Token::number).map(|_| (Label::Entry, 1));
    }
    // A word after an optional dash: the second one of `take-profit`.
    let after = |at: usize| -> (String, usize) {
        let dash = usize::from(tokens.get(at).is_some_and(|token| token.is_mark('-')));
        (tokens.get(at + dash).map(Token::word).unwrap_or_default(), at + dash + 1)
    };
    let (second, second_end) = after(1);
    let with = |label: Label, end: usize, words: &[&str]| Some((label, extended(tokens, end, words)));
    match first.word().as_str() {
        "entry" | "entries" | "enter" | "entryprice" | "entryzone" => with(Label::Entry, 1, &ENTRY_WORDS),
        "buy" | "buying" if leads_to_price(tokens) => with(Label::Buy, 1, &ENTRY_WORDS),
        "sell" | "selling" if leads_to_price(tokens) => with(Label::Sell, 1, &ENTRY_WORDS),
        "take" if second.starts_with("profit") => with(Label::Target(None), second_end, &TARGET_WORDS),
        "profit" if second.starts_with("target") => with(Label::Target(None), second_end, &TARGET_WORDS),
        "target" | "targets" | "tp" | "tps" | "takeprofit" | "takeprofits" => {
            with(Label::Target(None), 1, &TARGET_WORDS)
        }
        "stop" | "stoploss" | "sl" => with(Label::Stop, 1, &STOP_WORDS),
        "s" if tokens.get(1).is_some_and(|token| token.is_mark('/')) && tokens.get(2)?.word() == "l" => {
            with(Label::Stop, 3, &STOP_WORDS)
        }
        "leverage" | "lev" => Some((Label::Leverage, 1)),
        "trailing" => Some((Label::Trailing, if second.starts_with("config") { second_end } else { 1 })),
        "signal" | "trade" | "position" | "order" if second == "type" => Some((Label::Side, second_end)),
        "signal" if ["time", "date"].contains(&second.as_str()) && colon(tokens, second_end) => {
            Some((Label::Date, second_end))
        }
        "direction" | "side" | "position" | "type" | "action" if colon(tokens, 1) => Some((Label::Side, 1)),
        "pair" | "coin" | "symbol" | "ticker" | "token" if colon(tokens, 1) => Some((Label::Pair, 1)),
        "confidence" if colon(tokens, 1) => Some((Label::Confidence, 1)),
        "timeframe" | "tf" | "interval" if colon(tokens, 1) => Some((Label::Timeframe, 1)),
        "time" if second == "frame" && colon(tokens, second_end) => Some((Label::Timeframe, second_end)),
        "date" | "sent" | "published" if colon(tokens, 1) => Some((Label::Date, 1)),
        "exchange" | "exchanges" | "amount" | "risk" | "rr" | "margin" | "volume" | "score" | "roi" | "pnl"
        | "profit" | "portfolio" | "capital" | "period" | "client" | "atr" | "strength" => Some((Label::Other, 1)),
        word => {
            let number =
                |prefix: &str| word.strip_prefix(prefix)?.parse().ok().filter(|number| (1..=16).contains(number));
            let target = ["tp", "target", "t"].iter().find_map(|prefix| number(prefix));
            let entry = || number("entry").map(|_| (Label::Entry, 1));
            target.map(|number| (Label::Target(Some(number)), 1)).or_else(entry)
        }
    }
}

fn colon(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| token.is_mark(':') || token.is_mark('='))
}

/// `Buy: 100`, `BUY ZONE 100-200`, `Sell @ 120`, `Buy above 100`; not `BUY BTCUSDT`.
fn leads_to_price(tokens: &[Token]) -> bool {
    let mut rest = tokens.iter().skip(1).skip_while(|token| {
        matches!(token.kind, Kind::Mark(':' | '-' | '$' | '='))
            || ENTRY_WORDS.contains(&token.word().as_str())
            || ["between", "above", "below", "now", "market"].contains(&token.word().as_str())
    });
    // `BUY @ 100` has its price after the mark, which is a label of its own.
    rest.next().is_some_and(|token| matches!(token.kind, Kind::Number(_) | Kind::Unclear))
}

fn extended(tokens: &[Token], mut end: usize, words: &[&str]) -> usize {
    while let Some(token) = tokens.get(end) {
        let dash = usize::from(token.is_mark('-') && !token.spaced);
        match tokens.get(end + dash) {
            Some(token) if words.contains(&token.word().as_str()) => end += dash + 1,
            _ => break,
        }
    }
    end
}
