//! How a message says that its stop moves.
//!
//! Source: Cornix, "Trailing Stop-loss" (help.cornix.io/en/articles/5814874): *breakeven* moves the stop to the entry at its trigger;
//! *moving target* moves it to the entry at the first target, and then to the target before the one that is reached; *moving 2-target*
//! to the one two before it; *percent below triggers* and *percent below highest* follow at a distance.

use super::super::draft::{Entry, Target};
use super::tokens::{Kind, Token};
use domain::barrier::Direction;
use serde_json::{Map, Value, json};

/// A rule for the stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    BreakEven,
    /// To the target that lies this many before the one reached; the entry lies before the first.
    Behind(usize),
    /// Percent from the target reached.
    BelowTriggers(f64),
    /// Percent from the best price.
    BelowHighest(f64),
}

/// What sets a rule going.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trigger {
    /// The target of this number, from 1.
    Target(usize),
    /// A profit in percent of the entry.
    Percent(f64),
}

/// The rule in the words after `Stop:`; `None` for words that say that there is none, and an error for others.
pub fn rule(tokens: &[Token]) -> Result<Option<Rule>, ()> {
    let words: Vec<String> = tokens.iter().map(Token::word).filter(|word| !word.is_empty()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let percent =
        tokens.iter().find_map(|token| if let Kind::Percent(percent) = token.kind { Some(percent) } else { None });
    let two = tokens.iter().any(|token| token.number() == Some(2.0));
    match words.as_slice() {
        ["without" | "off" | "none" | "no" | "disabled", ..] => Ok(None),
        ["breakeven", ..] | ["break", "even", ..] => Ok(Some(Rule::BreakEven)),
        ["moving", "target", ..] => Ok(Some(Rule::Behind(if two { 2 } else { 1 }))),
        ["percent", "below" | "above", "trigger" | "triggers", ..] => {
            percent.map(Rule::BelowTriggers).map(Some).ok_or(())
        }
        ["percent", "below" | "above", "highest" | "lowest", ..] => percent.map(Rule::BelowHighest).map(Some).ok_or(()),
        _ => Err(()),
    }
}

/// The trigger in the words after `Trigger:`.
pub fn trigger(tokens: &[Token]) -> Option<Trigger> {
    let percent =
        tokens.iter().find_map(|token| if let Kind::Percent(percent) = token.kind { Some(percent) } else { None });
    match tokens.first()?.word().as_str() {
        "target" | "targets" => tokens.iter().find_map(Token::ordinal).map(|number| Trigger::Target(number as usize)),
        "percent" => percent.map(Trigger::Percent),
        _ => None,
    }
}

/// `Move SL to entry after TP1`: the number of the target.
pub fn said_in_words(tokens: &[Token]) -> Option<usize> {
    let words: Vec<String> = tokens
        .iter()
        .filter(|token| !matches!(token.kind, Kind::Mark(_) | Kind::Hint(_)))
        .map(|token| token.text.to_lowercase())
        .collect();
    let mut words =
        words.iter().map(String::as_str).skip_while(|word| !["move", "set", "shift"].contains(word)).skip(1).peekable();
    let skip = |words: &mut std::iter::Peekable<_>, any: &[&str]| {
        let mut skipped = 0;
        while words.next_if(|word: &&str| any.contains(word)).is_some() {
            skipped += 1;
        }
        skipped > 0
    };
    skip(&mut words, &["your", "the"]);
    let to_entry = skip(&mut words, &["sl", "stop", "loss", "stoploss"])
        && skip(&mut words, &["to"])
        && skip(&mut words, &["entry", "breakeven", "break", "even", "be", "price"])
        && skip(&mut words, &["after", "once", "when", "at", "on"]);
    let target = words.next().filter(|_| to_entry)?;
    let digits = match target {
        "tp" | "target" => words.next()?,
        other => other.strip_prefix("tp").or_else(|| other.strip_prefix("target"))?,
    };
    digits.parse().ok().filter(|number| (1..=16).contains(number))
}

/// The rule as `stopRules`; an error in words where they cannot say it.
pub fn stop_rules(
    rule: Rule,
    trigger: Option<Trigger>,
    direction: Direction,
    entry: Entry,
    stop: Option<f64>,
    targets: &[Target],
) -> Result<Map<String, Value>, &'static str> {
    let first = match (rule, trigger) {
        (_, Some(Trigger::Target(number))) => number,
        (Rule::BelowHighest(_), Some(Trigger::Percent(_))) => 0,
        (_, Some(Trigger::Percent(_))) => return Err("must have a target as its trigger: stopRules know no other"),
        (Rule::Behind(two), None) => two,
        (_, None) => 1,
    };
    if first > targets.len() {
        return Err("must have a target of the message as its trigger");
    }
    let mut rules = Map::new();
    let price_of = |number: usize| targets[number - 1].price;
    match rule {
        Rule::BreakEven => drop(rules.insert("breakEvenAfterTarget".to_owned(), json!(first))),
        Rule::Behind(back) => {
            let mut moves = Vec::new();
            for reached in first..=targets.len() {
                match reached.checked_sub(back) {
                    Some(0) => drop(rules.insert("breakEvenAfterTarget".to_owned(), json!(reached))),
                    Some(before) => moves.push(json!({ "afterTarget": reached, "price": price_of(before) })),
                    None => {}
                }
            }
            if !moves.is_empty() {
                rules.insert("moveTo".to_owned(), Value::Array(moves));
            }
        }
        Rule::BelowTriggers(percent) => {
            let beyond = |number: usize| price_of(number) * (1.0 - direction.sign() * percent / 100.0);
            let moves = (first..=targets.len()).map(|number| json!({ "afterTarget": number, "price": beyond(number) }));
            rules.insert("moveTo".to_owned(), moves.collect());
        }
        Rule::BelowHighest(percent) => {
            let (Entry::Price(entry), Some(stop)) = (entry, stop) else {
                return Err("must have one entry and a stop: a trail begins at a profit in units of the risk");
            };
            let gained = match trigger {
                Some(Trigger::Percent(gain)) => entry * gain / 100.0,
                _ => (price_of(first) - entry).abs(),
            };
            rules.insert(
                "trail".to_owned(),
                json!({ "percent": percent, "activateAtR": gained / (entry - stop).abs() }),
            );
        }
    }
    Ok(rules)
}
