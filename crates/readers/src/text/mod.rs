//! Messages of channels, in the form of Cornix and its relatives.
//!
//! Source: Cornix, "Signal Posting" (help.cornix.io/en/articles/5814956), and messages of channels as they are written.

mod assemble;
mod labels;
mod list;
mod tokens;
mod trailing;
mod words;

use super::pair::Pair;
use super::{Options, Reading, Refused, timeframe};
use domain::barrier::Direction;
use domain::symbol::Timeframe;
use domain::time::parse_time;
use labels::{Label, label};
use list::{Price, prices};
use tokens::{Kind, Token, tokens};
use trailing::{Rule, Trigger};
use words::{leverages, pairs};

const NAME: &str = "text";

/// Reads messages, which a line of three dashes or more separates.
///
/// A message says its pair, and after words such as *entry*, *targets*, *stop*, *leverage* their prices, in one line or below each
/// other, with numbers and shares or without. Where it does not say LONG or SHORT, the side follows from entry, stop and targets. One
/// entry is a limit order, or a stop order where it says *breakout*, *above* or *below*; several entries are a zone. A trailing
/// configuration becomes `stopRules`; trailing of the entry and of targets is not read.
///
/// Words before a price that could change what it means, two stops, two pairs, two sides, and targets on both sides of the entry are
/// refused. Lines without such words are prose and left out.
pub fn from_text(text: &str, options: &Options) -> Reading {
    let mut reading = Reading::default();
    for message in messages(text) {
        let first = message.first().map_or(1, |(number, _)| *number);
        let place = format!("line {first}");
        let mut read = Message::new(options);
        let lines = message.iter().try_for_each(|(number, line)| read.line(*number, line));
        let signal = lines.and_then(|()| {
            let words: Vec<&str> = message.iter().flat_map(|(_, line)| line.split_whitespace()).collect();
            read.assemble(&place, &words.join(" "))
        });
        reading.note(&place, signal);
    }
    if reading == Reading::default() {
        reading.refused.push(Refused::new("line 1", "must be a message", "nothing"));
    }
    reading
}

type Lines<'a> = Vec<(usize, &'a str)>;

/// The messages, each with its lines and their numbers. A line of dashes within a message has no pair after it.
fn messages(text: &str) -> Vec<Lines<'_>> {
    let is_rule = |line: &str| line.trim().len() >= 3 && line.trim().bytes().all(|b| b == b'-');
    let mut all: Vec<Lines<'_>> = vec![Vec::new()];
    for (at, line) in text.lines().enumerate() {
        match all.last_mut() {
            Some(last) if !is_rule(line) => last.push((at + 1, line)),
            _ => all.push(Vec::new()),
        }
    }
    let has_pair = |lines: &Lines<'_>| lines.iter().any(|(_, line)| !pairs(&tokens(line), false).is_empty());
    let mut messages: Vec<Lines<'_>> = Vec::new();
    for lines in all.into_iter().filter(|lines| lines.iter().any(|(_, line)| !line.trim().is_empty())) {
        match messages.last_mut() {
            Some(last) if !has_pair(&lines) || !has_pair(last) => last.extend(lines),
            _ => messages.push(lines),
        }
    }
    messages
}

/// A word of a message and its place.
#[derive(Debug, Clone, PartialEq)]
struct At<T> {
    value: T,
    line: usize,
    column: usize,
    text: String,
}

impl<T> At<T> {
    fn new(value: T, line: usize, token: &Token) -> Self {
        Self { value, line, column: token.column, text: token.text.clone() }
    }

    fn refuse(&self, problem: impl Into<String>) -> Refused {
        Refused::new(format!("line {}, column {}", self.line, self.column), problem, &self.text)
    }
}

fn refuse(line: usize, token: &Token, problem: impl Into<String>) -> Refused {
    At::new((), line, token).refuse(problem)
}

/// What was read of a message so far.
struct Message<'a> {
    options: &'a Options,
    pair: Option<At<Pair>>,
    side: Option<At<Direction>>,
    /// By an emoji beside the pair.
    hint: Option<Direction>,
    entries: Vec<Price>,
    sells: Vec<Price>,
    targets: Vec<Price>,
    stops: Vec<Price>,
    breakout: bool,
    market: bool,
    leverages: Vec<f64>,
    confidence: Option<f64>,
    timeframe: Option<Timeframe>,
    sent_ms: Option<i64>,
    /// Levels that are said in words, without a number: prose, unless there is no price of that kind.
    unread: Vec<At<Label>>,
    rule: Option<At<Rule>>,
    trigger: Option<Trigger>,
    /// The label whose list may go on in the next line with a numbered price.
    section: Option<Label>,
    /// Whether it may go on with any price: the label stands alone above them.
    open: bool,
}

impl<'a> Message<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            options,
            pair: None,
            side: None,
            hint: None,
            entries: Vec::new(),
            sells: Vec::new(),
            targets: Vec::new(),
            stops: Vec::new(),
            breakout: false,
            market: false,
            leverages: Vec::new(),
            confidence: None,
            timeframe: None,
            sent_ms: None,
            unread: Vec::new(),
            rule: None,
            trigger: None,
            section: None,
            open: false,
        }
    }

    fn line(&mut self, number: usize, text: &str) -> Result<(), Refused> {
        let all = tokens(text);
        if all.iter().all(|token| matches!(token.kind, Kind::Mark(_) | Kind::Hint(_))) {
            // An empty line ends a trailing configuration, and nothing else.
            self.section = self.section.filter(|section| *section != Label::Trailing);
            return Ok(());
        }
        if let Some(target) = trailing::said_in_words(&all) {
            self.section = None;
            self.trigger = Some(Trigger::Target(target));
            return self.set_rule(At::new(Rule::BreakEven, number, &all[0]));
        }
        if self.section == Some(Label::Trailing) && self.trails(number, &all)? {
            return Ok(());
        }
        let mut at = (0..all.len()).find(|at| label(&all[*at..]).is_some()).unwrap_or(all.len());
        self.before_labels(number, &all[..at])?;
        while let Some((found, length)) = all.get(at..).and_then(label) {
            if found == Label::Trailing {
                self.section = Some(found);
                let rest = &all[at + length..];
                let has_more = rest.iter().any(|token| !matches!(token.kind, Kind::Mark(_)));
                if has_more && !self.trails(number, rest)? {
                    return Err(refuse(number, &all[at], "is no trailing configuration that is known"));
                }
                return Ok(());
            }
            let begin = at + length;
            let end = (begin..all.len()).find(|at| label(&all[*at..]).is_some()).unwrap_or(all.len());
            self.segment(found, number, &all[begin..end], text)?;
            at = end;
        }
        Ok(())
    }

    /// What stands before the first label of a line: more prices of the section, or prose.
    fn before_labels(&mut self, line: usize, all: &[Token]) -> Result<(), Refused> {
        let Some(first) = all.iter().find(|token| !matches!(token.kind, Kind::Mark(_) | Kind::Hint(_))) else {
            return Ok(());
        };
        if let (Some(section), Kind::Number(_) | Kind::Ordinal(_) | Kind::Unclear) = (self.section, &first.kind) {
            if self.open || list::starts_numbered(all) {
                return self.list(section, line, all);
            }
        }
        if all.iter().all(|token| token.kind != Kind::Word) && first.number().is_some() {
            return Err(refuse(line, first, "is a number that nothing names"));
        }
        self.section = None;
        self.prose(line, all, false)
    }

    fn segment(&mut self, found: Label, line: usize, all: &[Token], text: &str) -> Result<(), Refused> {
        (self.section, self.open) = (None, false);
        match found {
            Label::Entry | Label::Buy | Label::Sell | Label::Target(_) | Label::Stop => {
                let is_said = |token: &Token| {
                    matches!(token.kind, Kind::Number(_) | Kind::Percent(_) | Kind::Unclear | Kind::Ordinal(_))
                };
                match all.iter().find(|token| token.kind == Kind::Word) {
                    Some(word) if !all.iter().any(is_said) => self.words(found, line, all, word),
                    _ => self.list(found, line, all),
                }
            }
            Label::Leverage => {
                self.leverages.extend(leverages(all));
                Ok(())
            }
            Label::Side => {
                self.breakout |= all.iter().any(|token| token.word() == "breakout");
                self.prose(line, all, true)
            }
            Label::Pair => self.prose(line, all, true),
            Label::Confidence => {
                let percents: Vec<f64> = all
                    .iter()
                    .filter_map(|token| match token.kind {
                        Kind::Percent(percent) | Kind::Number(percent) => Some(percent),
                        _ => None,
                    })
                    .collect();
                match percents.as_slice() {
                    [percent] if (0.0..=100.0).contains(percent) => self.confidence = Some(*percent),
                    [] => {}
                    _ => return Err(refuse(line, &all[0], "must be one percentage, 0 to 100")),
                }
                Ok(())
            }
            Label::Timeframe => {
                let words: String = all
                    .iter()
                    .skip_while(|token| matches!(token.kind, Kind::Mark(_)))
                    .map(|token| format!("{} ", token.text))
                    .collect();
                let known = timeframe(&words);
                self.timeframe = known;
                known
                    .map(drop)
                    .ok_or_else(|| refuse(line, &all[0], "must be followed by a timeframe: 1m … 12h, 1d, 3d, 1w"))
            }
            Label::Date => {
                // The mark after the label.
                let begin = all.first().map_or(0, |token| token.column);
                let written: String = text.chars().skip(begin).collect();
                let written =
                    written.trim().trim_end_matches("UTC").trim_matches(|c: char| c == '*' || c.is_whitespace());
                self.sent_ms =
                    parse_time(written, if text.contains("UTC") { domain::time::Tz::UTC } else { self.options.zone });
                let problem = format!("must be followed by a time: {}", domain::time::EXPECTED);
                self.sent_ms
                    .map(drop)
                    .ok_or_else(|| Refused::new(format!("line {line}, column {}", begin + 1), problem, written))
            }
            Label::Trailing | Label::Other => Ok(()),
        }
    }

    /// A label that words follow and no number.
    fn words(&mut self, found: Label, line: usize, all: &[Token], word: &Token) -> Result<(), Refused> {
        let is_entry = matches!(found, Label::Entry | Label::Buy);
        let said = |words: &[&str]| all.iter().any(|token| words.contains(&token.word().as_str()));
        if is_entry && said(&["market", "now", "cmp", "current"]) {
            self.market = true;
            return Ok(());
        }
        if found == Label::Stop && said(&["none", "no", "without"]) {
            return Ok(());
        }
        // Without a colon it may be prose: "Stop loss is a must!"
        let unread = At::new(found, line, word);
        if all.first().is_some_and(|token| token.is_mark(':')) || word.text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(unread.refuse(NO_PRICE));
        }
        self.unread.push(unread);
        Ok(())
    }

    fn list(&mut self, found: Label, line: usize, all: &[Token]) -> Result<(), Refused> {
        let read =
            prices(found, all, line, self.targets.len()).map_err(|(token, problem)| refuse(line, token, problem))?;
        self.breakout |= read.breakout;
        self.market |= read.market;
        let into = match found {
            Label::Buy => {
                if let Some(first) = all.first() {
                    self.set_side(At::new(Direction::Buy, line, first))?;
                }
                &mut self.entries
            }
            Label::Sell => &mut self.sells,
            Label::Target(_) => &mut self.targets,
            Label::Stop => &mut self.stops,
            _ => &mut self.entries,
        };
        into.extend(read.prices);
        self.open = read.empty || (self.open && self.section == Some(found));
        self.section = Some(found);
        Ok(())
    }

    /// The pair and the side in words. In prose, small words count only in a short line.
    fn prose(&mut self, line: usize, all: &[Token], labelled: bool) -> Result<(), Refused> {
        let pairs = pairs(all, labelled);
        let words = all.iter().filter(|token| token.kind == Kind::Word).count();
        let counts = labelled || words <= 4 || !pairs.is_empty();
        for (at, token) in all.iter().enumerate() {
            let direction = match token.word().as_str() {
                "long" | "buy" => Direction::Buy,
                "short" | "sell" => Direction::Sell,
                _ => continue,
            };
            let next = all[at + 1..].iter().find(|token| !token.is_mark('-')).map(Token::word).unwrap_or_default();
            if !next.starts_with("term") && (counts || token.text.chars().all(char::is_uppercase)) {
                self.set_side(At::new(direction, line, token))?;
            }
        }
        for (pair, token) in pairs {
            self.hint = self
                .hint
                .or(all.iter().find_map(|token| if let Kind::Hint(side) = token.kind { Some(side) } else { None }));
            let found = At::new(pair, line, token);
            match &self.pair {
                Some(known) if known.value.symbol != found.value.symbol => {
                    return Err(found.refuse(format!("is a second pair, after {}", known.value.symbol)));
                }
                Some(_) => {}
                None => self.pair = Some(found),
            }
        }
        Ok(())
    }

    fn set_side(&mut self, found: At<Direction>) -> Result<(), Refused> {
        match &self.side {
            Some(known) if known.value != found.value => {
                Err(found.refuse(format!("contradicts `{}` in line {}", known.text, known.line)))
            }
            _ => {
                self.side.get_or_insert(found);
                Ok(())
            }
        }
    }

    fn set_rule(&mut self, found: At<Rule>) -> Result<(), Refused> {
        match &self.rule {
            Some(known) if known.value != found.value => {
                Err(found.refuse(format!("contradicts the rule for the stop in line {}", known.line)))
            }
            _ => {
                self.rule.get_or_insert(found);
                Ok(())
            }
        }
    }

    /// A line of a trailing configuration; `false` for another line, which ends it.
    fn trails(&mut self, line: usize, all: &[Token]) -> Result<bool, Refused> {
        let unread = |token: &Token| refuse(line, token, "cannot be read as a rule for the stop");
        let mut rest = all;
        while let Some(at) = rest.iter().position(|token| token.kind == Kind::Word) {
            // What follows the word, without the marks after it.
            let after = |tokens: &'_ [Token]| {
                tokens.iter().position(|token| !matches!(token.kind, Kind::Mark(_)) && token.word() != "loss")
            };
            let end = |words: &[&str]| {
                rest[at + 1..]
                    .iter()
                    .position(|token| words.contains(&token.word().as_str()))
                    .map_or(rest.len(), |end| at + 1 + end)
            };
            match rest[at].word().as_str() {
                "stop" => {
                    let end = end(&["trigger"]);
                    let said = &rest[at + 1..end];
                    let said = &said[after(said).unwrap_or(0)..];
                    if let Some(rule) = trailing::rule(said).map_err(|()| unread(said.first().unwrap_or(&rest[at])))? {
                        self.set_rule(At::new(rule, line, &rest[at]))?;
                    }
                    rest = &rest[end..];
                }
                "trigger" => {
                    let said = &rest[at + 1..];
                    let said = &said[after(said).unwrap_or(0)..];
                    self.trigger =
                        Some(trailing::trigger(said).ok_or_else(|| unread(said.first().unwrap_or(&rest[at])))?);
                    return Ok(true);
                }
                "entry" | "take" => rest = &rest[end(&["stop", "trigger"])..],
                _ => {
                    self.section = None;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

const NO_PRICE: &str = "cannot be read as a price";
