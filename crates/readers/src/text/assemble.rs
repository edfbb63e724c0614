//! A signal from what a message says.

use super::super::draft::{Draft, Entry, Target};
use super::labels::Label;
use super::list::Price;
use super::trailing::stop_rules;
use super::{Message, NAME, NO_PRICE};
use crate::{Refused, Signal};
use domain::barrier::Direction;

/// By how much a percentage may differ from the gain at its target, as a part of it.
const ROUNDED: f64 = 0.05;

impl Price {
    fn refuse(&self, problem: impl Into<String>) -> Refused {
        Refused::new(format!("line {}, column {}", self.line, self.column), problem, &self.text)
    }
}

impl Message<'_> {
    /// The signal of the message; `content` makes its id.
    pub fn assemble(mut self, place: &str, content: &str) -> Result<Signal, Refused> {
        let missing =
            |problem: &str| Refused::new(place, problem, if content.is_empty() { "nothing" } else { content });
        let pair = self.pair.take().ok_or_else(|| missing("a message must say its pair, such as #BTC/USDT"))?.value;
        if self.entries.is_empty() {
            self.entries = std::mem::take(&mut self.sells);
            if let (Some(first), Some(side)) = (self.entries.first(), &self.side) {
                if side.value == Direction::Buy {
                    return Err(first.refuse("is a price to sell at, and the message has none to buy at"));
                }
            }
        }
        self.targets.append(&mut self.sells);
        self.check_unread()?;
        let entry = self.entry().ok_or_else(|| missing("a message must say the price of its entry"))?;
        if let [first, .., last] = self.stops.as_slice() {
            if first.value != last.value || self.stops.iter().any(|stop| stop.value != first.value) {
                return Err(last.refuse(format!("is a second stop, after {}", first.text)));
            }
        }
        if self.stops.is_empty() && self.targets.is_empty() {
            return Err(missing("a message must say a stop or a target"));
        }
        let direction = self
            .direction(entry)
            .ok_or_else(|| missing("a message must say LONG or SHORT, or have a stop or a target that shows it"))?;
        self.check_sides(direction, entry)?;
        let mut draft = Draft::new(pair, Some(direction), self.options.time(self.sent_ms, place)?);
        draft.entry = Some(entry);
        draft.entry_type = match (self.market, self.breakout, entry) {
            (true, ..) => None,
            (_, true, _) => Some("stop"),
            (.., Entry::Price(_)) => Some("limit"),
            (.., Entry::Zone { .. }) => None,
        };
        draft.stop_loss = self.stops.first().map(|stop| stop.value);
        draft.leverage = self.leverage();
        draft.targets = self.targets_of(direction, entry, draft.leverage)?;
        draft.confidence = self.confidence;
        draft.timeframe = self.timeframe;
        if let Some(rule) = &self.rule {
            let rules = stop_rules(rule.value, self.trigger, direction, entry, draft.stop_loss, &draft.targets);
            draft.stop_rules = rules.map_err(|problem| rule.refuse(problem))?;
        }
        draft.content = content.to_owned();
        draft.finish(place, NAME, self.options)
    }

    /// A level in words is prose only where there is a price of its kind.
    fn check_unread(&self) -> Result<(), Refused> {
        let hides = |label: Label| match label {
            Label::Stop => self.stops.is_empty(),
            Label::Target(_) | Label::Sell => self.targets.is_empty(),
            _ => self.entries.is_empty(),
        };
        self.unread.iter().find(|unread| hides(unread.value)).map_or(Ok(()), |unread| Err(unread.refuse(NO_PRICE)))
    }

    fn entry(&self) -> Option<Entry> {
        let prices = || self.entries.iter().map(|price| price.value);
        let (low, high) = (prices().fold(f64::INFINITY, f64::min), prices().fold(0.0, f64::max));
        match self.entries.len() {
            0 => None,
            _ if low == high => Some(Entry::Price(low)),
            _ => Some(Entry::Zone { low, high }),
        }
    }

    /// As it says in words, or as stop and targets show, or as an emoji beside the pair does.
    fn direction(&self, entry: Entry) -> Option<Direction> {
        let shown = || {
            let beyond = |level: &Price, below: Direction, above: Direction| match level.value {
                value if value < entry.low() => Some(below),
                value if value > entry.high() => Some(above),
                _ => None,
            };
            let by_stop = self.stops.first().and_then(|stop| beyond(stop, Direction::Buy, Direction::Sell));
            by_stop.or_else(|| self.targets.first().and_then(|target| beyond(target, Direction::Sell, Direction::Buy)))
        };
        self.side.as_ref().map(|side| side.value).or_else(shown).or(self.hint)
    }

    /// Stop and targets lie on their sides of the entry.
    fn check_sides(&self, direction: Direction, entry: Entry) -> Result<(), Refused> {
        let (above, below) = (|price: f64| price > entry.high(), |price: f64| price < entry.low());
        let (word, shown) = (direction.as_str(), format!("{} to {}", entry.low(), entry.high()));
        let is_buy = direction == Direction::Buy;
        if let Some(stop) = self.stops.iter().find(|stop| if is_buy { !below(stop.value) } else { !above(stop.value) })
        {
            let side = if is_buy { "below" } else { "above" };
            return Err(stop.refuse(format!("the stop of a {word} must be {side} its entry of {shown}")));
        }
        if let Some(target) =
            self.targets.iter().find(|target| if is_buy { !above(target.value) } else { !below(target.value) })
        {
            let side = if is_buy { "above" } else { "below" };
            return Err(target.refuse(format!("a target of a {word} must be {side} its entry of {shown}")));
        }
        let nearer = |pair: &&[Price]| direction.sign() * (pair[1].value - pair[0].value) <= 0.0;
        match self.targets.windows(2).find(nearer) {
            Some(pair) => Err(pair[1].refuse("must be farther from the entry than the target before it")),
            None => Ok(()),
        }
    }

    /// A range such as 10x to 20x says no leverage.
    fn leverage(&self) -> Option<f64> {
        let first = *self.leverages.first()?;
        self.leverages.iter().all(|leverage| *leverage == first).then_some(first)
    }

    /// A percentage beside each target is a share, or what the target gains, with leverage or without.
    fn targets_of(&self, direction: Direction, entry: Entry, leverage: Option<f64>) -> Result<Vec<Target>, Refused> {
        let plain = || self.targets.iter().map(|price| Target { price: price.value, share: None }).collect();
        let Some(first) = self.targets.iter().find(|price| price.percent.is_some()) else { return Ok(plain()) };
        let close = |percent: f64, gain: f64| (percent - gain).abs() <= gain * ROUNDED + 0.06;
        let gains = |target: &Price, percent: f64| {
            [entry.low(), entry.high(), (entry.low() + entry.high()) / 2.0].iter().any(|entry| {
                let gain = direction.sign() * (target.value - entry) / entry * 100.0;
                close(percent, gain) || close(percent, gain * leverage.unwrap_or(1.0))
            })
        };
        let said: Vec<(&Price, f64)> =
            self.targets.iter().filter_map(|target| Some((target, target.percent?))).collect();
        let sum: f64 = said.iter().map(|(_, percent)| percent).sum();
        let are_gains = said.iter().all(|(target, percent)| gains(target, *percent));
        let are_shares = said.len() == self.targets.len() && (99.0..=100.5).contains(&sum);
        match (are_gains, are_shares) {
            (true, false) => Ok(plain()),
            // 33.34 three times is meant to be all; no share may be lost or made up.
            (false, true) => {
                let part = if sum > 100.0 { 100.0 / sum } else { 1.0 };
                Ok(said
                    .into_iter()
                    .map(|(target, percent)| Target { price: target.value, share: Some(percent * part) })
                    .collect())
            }
            _ => Err(first.refuse(
                "the percentages beside targets must be shares of all targets that add up to 100, or what each gains",
            )),
        }
    }
}
