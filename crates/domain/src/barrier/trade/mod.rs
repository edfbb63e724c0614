//! A managed signal as a state machine: what a price or a candle makes of it, in which order, at which prices.
//!
//! [`Levels`] decides when a stop, a target or an expiry is reached, here as everywhere. This file adds the entry, several
//! targets, and a stop that moves. `docs/signals.md` states the same rules for users.
//!
//! Where a candle leaves open what came first, the order that is worst for the signal counts. A stop only tightens, so being
//! stopped early is never better than going on.

use super::event::{CancelCause, Event, ExitCause, StopMove, What};
use super::terms::{EntryKind, StopRules, Target, Terms, TrailBy, Zone};
use super::{Direction, Exit, Levels, Outcome, Trading};
use crate::candle::Candle;
use crate::signal::Closing;
use serde::{Deserialize, Serialize};

/// Shares add up to 100 but for rounding.
const NO_SHARE: f64 = 1e-9;

/// A trailing stop is told of again when it has moved by this part of the risk at entry ([`Trade::tell_of_trail`]).
pub const LEAST_TRAIL_R: f64 = 0.1;

/// Rounding may make the price at which a trailing stop is to be told of this much later, as a part of it.
const ROUNDING: f64 = 1e-12;

/// Whether a signal waits for its entry, is open, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not entered yet.
    Pending,
    /// Entered.
    Open,
    /// All of it was closed.
    Closed,
    /// It ended before it was entered.
    Cancelled,
}

impl Status {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Open => "OPEN",
            Self::Closed => "CLOSED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// Where a managed signal stands: its terms, and what has happened to it.
///
/// It has more than 25 methods because it is one state machine: each is one transition, or one question about where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// What decides now: the entry's fill (before it, the worst price that it may have), the stop, the next target, the expiry,
    /// and the time of the last event.
    levels: Levels,
    kind: EntryKind,
    zone: Option<Zone>,
    entry_expires_ms: Option<i64>,
    rules: StopRules,
    /// The targets not reached yet, nearest first.
    targets: Vec<Target>,
    /// The number of targets reached.
    reached: usize,
    /// The number of events so far.
    events: usize,
    given_ms: i64,
    entered_ms: Option<i64>,
    /// The stop at entry, which defines the risk.
    first_stop: Option<f64>,
    /// The stop that the events tell of.
    told_stop: Option<f64>,
    /// The best price since the entry.
    best: f64,
    /// The part that is open, in percent.
    left: f64,
    /// Sum of price times share over the closed parts.
    received: f64,
    /// On which side of its zone the price was, before the entry: whether above.
    above_zone: Option<bool>,
    ended: Option<(Outcome, i64)>,
}

/// The prices and the time at which something may happen to a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Triggers {
    /// At or below this price.
    pub fall: Option<f64>,
    /// At or above this price.
    pub rise: Option<f64>,
    /// At this time, UTC epoch ms.
    pub due_ms: Option<i64>,
}

/// What a process has seen of prices that the events of a signal do not tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sight {
    entered_ms: Option<i64>,
    entry: f64,
    best: f64,
    above_zone: Option<bool>,
}

/// The trailing stop of an open signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trailing {
    /// Which way the signal bets.
    pub direction: Direction,
    /// Percent of the best price, or a distance in price. A multiple of the average true range has become a distance.
    pub by: TrailBy,
    /// The price that the best price must reach before the stop follows.
    pub from: f64,
    /// The best price since the entry that the signal was told of.
    pub best: f64,
}

impl Trade {
    /// A signal as it was given. `levels.take_profit` is its target if `terms` have none.
    pub fn new(levels: Levels, terms: &Terms) -> Self {
        let entry = terms.zone.map_or(levels.entry, |zone| zone.worse_edge(levels.direction));
        let targets = match (terms.targets.is_empty(), levels.take_profit) {
            (true, Some(price)) => vec![Target { price, share: 100.0 }],
            _ => terms.targets.clone(),
        };
        Self {
            levels: Levels { entry, take_profit: targets.first().map(|target| target.price), ..levels },
            kind: terms.entry,
            zone: terms.zone,
            entry_expires_ms: terms.entry_expires_at.or(levels.expires_ms),
            rules: terms.rules.clone(),
            targets,
            reached: 0,
            events: 0,
            given_ms: levels.since_ms,
            entered_ms: (!terms.waits()).then_some(levels.since_ms),
            first_stop: levels.stop_loss,
            told_stop: levels.stop_loss,
            best: entry,
            left: 100.0,
            received: 0.0,
            above_zone: None,
            ended: None,
        }
    }

    /// A signal after these events.
    pub fn after(levels: Levels, terms: &Terms, events: &[Event]) -> Self {
        let mut trade = Self::new(levels, terms);
        events.iter().for_each(|event| trade.apply(event));
        trade
    }

    /// Whether it waits, is open, or has ended.
    pub fn status(&self) -> Status {
        match (self.ended, self.entered_ms) {
            (Some((Outcome::Cancelled, _)), _) => Status::Cancelled,
            (Some(_), _) => Status::Closed,
            (None, None) => Status::Pending,
            (None, Some(_)) => Status::Open,
        }
    }

    /// The number of events so far.
    pub fn events(&self) -> usize {
        self.events
    }

    /// What decides now: the fill (before the entry, the worst price that it may have), the current stop, the next target, the
    /// expiry, and the time of the last event.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The best price that an entry may have: that of the zone's better edge, else the entry price, or the fill.
    pub fn best_entry(&self) -> f64 {
        let zone = self.zone.filter(|_| self.entered_ms.is_none());
        zone.map_or(self.levels.entry, |zone| zone.better_edge(self.levels.direction))
    }

    /// When it was entered, UTC epoch ms.
    pub fn entered_ms(&self) -> Option<i64> {
        self.entered_ms
    }

    /// Whether it was entered when it was given.
    pub fn is_entered_at_once(&self) -> bool {
        self.kind == EntryKind::Market && self.zone.is_none()
    }

    /// The part that is open or waits, in percent.
    pub fn left(&self) -> f64 {
        self.left
    }

    /// The targets not reached yet, nearest first.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The number of targets reached.
    pub fn reached(&self) -> usize {
        self.reached
    }

    /// The stop at entry, which defines the risk.
    pub fn first_stop(&self) -> Option<f64> {
        self.first_stop
    }

    /// How and when it ended, UTC epoch ms.
    pub fn ended(&self) -> Option<(Outcome, i64)> {
        self.ended
    }

    /// The closing of a signal that has ended.
    pub fn closing(&self) -> Option<Closing> {
        let (outcome, closed_ms) = self.ended?;
        let is_told = outcome.succeeded().is_some();
        let profit_percent = if is_told { self.profit_percent() } else { 0.0 };
        let exit_price = self.mean_exit().filter(|_| is_told);
        Some(Closing { outcome, exit_price, profit_percent, closed_ms, excursion: None })
    }

    /// The mean price of the closed parts, by their shares; `None` before the first.
    pub fn mean_exit(&self) -> Option<f64> {
        let closed = 100.0 - self.left;
        (self.entered_ms.is_some() && closed > NO_SHARE).then(|| self.received / closed)
    }

    /// The profit so far, in percent of the entry's fill, before costs: that of each closed part, weighted by its share.
    pub fn profit_percent(&self) -> f64 {
        let closed = (100.0 - self.left) / 100.0;
        self.mean_exit().map_or(0.0, |exit| closed * self.levels.profit_percent(exit))
    }

    /// The risk at entry, in percent of the entry's fill; `None` without a stop.
    pub fn risk_percent(&self) -> Option<f64> {
        let stop = self.first_stop?;
        Some(-self.levels.profit_percent(stop)).filter(|risk| *risk > 0.0)
    }

    /// Takes in an event.
    pub fn apply(&mut self, event: &Event) {
        self.events += 1;
        self.levels.since_ms = self.levels.since_ms.max(event.at);
        match &event.what {
            What::Filled { price, .. } => {
                self.levels.entry = *price;
                self.entered_ms = Some(event.at);
                self.best = *price;
            }
            What::Target { number, price, share } => {
                self.close_part(*price, *share);
                self.reached = *number;
                if !self.targets.is_empty() {
                    self.targets.remove(0);
                }
                self.levels.take_profit = self.targets.first().map(|target| target.price);
                self.end_if_closed(event.at, |profit| match profit > 0.0 {
                    true => Outcome::TookProfit,
                    false => Outcome::Failure,
                });
            }
            What::Stop { price, .. } => {
                self.tighten(*price);
                self.told_stop = self.levels.stop_loss;
            }
            What::Reduced { price, share } => {
                self.close_part(*price, *share);
                self.end_if_closed(event.at, Outcome::by_profit);
            }
            What::Amended { stop_loss, take_profits, expires_at, .. } => {
                if let Some(stop) = stop_loss {
                    self.levels.stop_loss = Some(*stop);
                    self.told_stop = Some(*stop);
                    if self.entered_ms.is_none() || self.first_stop.is_none() {
                        self.first_stop = Some(*stop);
                    }
                }
                if let Some(targets) = take_profits {
                    self.targets.clone_from(targets);
                    self.levels.take_profit = self.targets.first().map(|target| target.price);
                }
                if let Some(at) = expires_at {
                    // Without an expiry of its own, the entry waits as long as the signal; it never waits longer.
                    let is_own = self.entry_expires_ms != self.levels.expires_ms;
                    self.entry_expires_ms = Some(self.entry_expires_ms.filter(|own| is_own && own < at).unwrap_or(*at));
                    self.levels.expires_ms = Some(*at);
                }
            }
            What::Exit { price, share, cause } => {
                if *cause == ExitCause::Unknown {
                    self.left = 0.0;
                    self.ended = Some((Outcome::Unknown, event.at));
                    return;
                }
                self.close_part(*price, *share);
                self.left = 0.0;
                self.end_if_closed(event.at, |profit| match cause {
                    ExitCause::Stop if profit <= 0.0 => Outcome::StoppedOut,
                    _ => Outcome::by_profit(profit),
                });
            }
            What::Cancelled { .. } => self.ended = Some((Outcome::Cancelled, event.at)),
        }
    }

    /// Why an event cannot be the next in the life of the signal; `None` if it can.
    pub fn refuses(&self, event: &Event) -> Option<&'static str> {
        let is_price = |price: &f64| *price > 0.0 && price.is_finite();
        let is_share = |share: &f64| *share > 0.0 && *share <= self.left + 1e-6;
        let is_entered = self.entered_ms.is_some();
        let (fits, needs_entry) = match &event.what {
            What::Filled { price, .. } => (is_price(price), Some(false)),
            What::Target { price, share, .. } | What::Reduced { price, share } => {
                (is_price(price) && is_share(share), Some(true))
            }
            What::Stop { price, .. } => (is_price(price), Some(true)),
            What::Amended { stop_loss, take_profits, .. } => {
                let targets = take_profits.iter().flatten();
                let mut prices = stop_loss.iter().chain(targets.clone().map(|target| &target.price));
                let mut shares = targets.map(|target| &target.share);
                (prices.all(is_price) && shares.all(is_share), None)
            }
            What::Exit { price, share, cause: ExitCause::Unknown } => (is_price(price) && is_share(share), None),
            What::Exit { price, share, .. } => (is_price(price) && is_share(share), Some(true)),
            What::Cancelled { .. } => (true, Some(false)),
        };
        match needs_entry {
            _ if self.ended.is_some() => Some("comes after the end of the signal"),
            _ if event.at < self.levels.since_ms => Some("is earlier than what happened before it"),
            Some(true) if !is_entered => Some("comes before the entry"),
            Some(false) if is_entered => Some("comes after the entry"),
            _ if !fits => Some("has an impossible price or share"),
            _ => None,
        }
    }

    /// Whether `other` stands as this one does by its events, whatever each has seen of prices.
    pub fn stands_as(&self, other: &Self) -> bool {
        let told = |trade: &Self| Levels { stop_loss: trade.told_stop, ..trade.levels };
        let blind = |trade: &Self| Self { levels: told(trade), best: 0.0, above_zone: None, ..trade.clone() };
        blind(self) == blind(other)
    }

    /// What was seen of prices.
    pub fn sight(&self) -> Sight {
        Sight { entered_ms: self.entered_ms, entry: self.levels.entry, best: self.best, above_zone: self.above_zone }
    }

    /// Takes in what was seen of prices since the same entry, or before it: a stop that trailed does not loosen again.
    pub fn inherit(&mut self, sight: Sight) {
        match (self.entered_ms, sight.entered_ms) {
            (None, None) => self.above_zone = self.above_zone.or(sight.above_zone),
            (Some(own), Some(other)) if own == other && self.levels.entry == sight.entry => self.see(sight.best),
            _ => {}
        }
    }

    fn close_part(&mut self, price: f64, share: f64) {
        self.received += price * share;
        self.left -= share;
        if self.left <= NO_SHARE {
            self.left = 0.0;
        }
    }

    fn end_if_closed(&mut self, at: i64, outcome: impl Fn(f64) -> Outcome) {
        if self.left == 0.0 {
            self.ended = Some((outcome(self.profit_percent()), at));
        }
    }

    fn sign(&self) -> f64 {
        self.levels.direction.sign()
    }

    /// How far `price` is beyond `level` in the direction of the profit; 0 or more where it reached it.
    fn above(&self, price: f64, level: f64) -> f64 {
        self.sign() * (price - level)
    }

    /// Moves the stop if that tightens it.
    fn tighten(&mut self, price: f64) {
        if self.levels.stop_loss.is_none_or(|stop| self.above(price, stop) > 0.0) {
            self.levels.stop_loss = Some(price);
        }
    }

    fn happen(&mut self, at: i64, what: What, events: &mut Vec<Event>) {
        let event = Event { at, what };
        self.apply(&event);
        events.push(event);
    }

    /// The trailing stop, while the signal is open.
    pub fn trailing(&self) -> Option<Trailing> {
        let trail = self.rules.trail.filter(|_| self.status() == Status::Open)?;
        let risk = self.first_stop.map_or(0.0, |stop| (self.levels.entry - stop).abs());
        let from = self.levels.entry + self.sign() * trail.activate_at_r.unwrap_or(0.0) * risk;
        Some(Trailing { direction: self.levels.direction, by: trail.by, from, best: self.best })
    }

    /// Takes in the best price since the entry: the trailing stop follows it. Nothing else follows from it.
    pub fn saw(&mut self, best: f64) {
        if let Some(mut trailing) = self.trailing()
            && self.above(best, self.best) >= 0.0
        {
            self.best = best;
            trailing.best = best;
            if let Some(stop) = trailing.stop() {
                self.tighten(stop);
            }
        }
    }

    /// The event of a stop that has trailed at least by `least_r`, in units of the risk at entry (of the stop's distance from the
    /// entry's fill where there was none), since the last event told of it. It is taken in.
    pub fn tell_of_trail(&mut self, at: i64, least_r: f64) -> Option<Event> {
        let stop = self.levels.stop_loss.filter(|_| self.trailing().is_some())?;
        let unit = (self.levels.entry - self.first_stop.unwrap_or(stop)).abs();
        if self.told_stop.is_some_and(|told| self.above(stop, told) <= 0.0 || self.above(stop, told) < least_r * unit) {
            return None;
        }
        let mut events = Vec::new();
        self.happen(at.max(self.levels.since_ms), What::Stop { price: stop, cause: StopMove::Trail }, &mut events);
        events.pop()
    }

    /// The best price from which [`Self::tell_of_trail`] tells of the trailing stop, but for rounding; 0 (infinity for a SELL) if
    /// any price does. `None` if the stop does not trail.
    pub fn tells_from(&self, least_r: f64) -> Option<f64> {
        let Trailing { direction, by, .. } = self.trailing()?;
        let entry = self.levels.entry;
        let stop = match (self.told_stop, self.first_stop) {
            (None, _) if direction == Direction::Buy => 0.0,
            (None, _) => f64::INFINITY,
            (Some(told), Some(first)) => told + self.sign() * least_r * (entry - first).abs(),
            // The unit is the distance of the new stop from the entry, on either side of it.
            (Some(told), None) => {
                let losing = (told + least_r * entry) / (1.0 + least_r);
                let is_losing = self.above(losing, entry) <= 0.0;
                if is_losing { losing } else { (told - least_r * entry) / (1.0 - least_r) }
            }
        };
        let best = by.best(direction, stop)?;
        Some((best * (1.0 - self.sign() * ROUNDING)).max(0.0))
    }

    /// The prices and the time at which something may happen, besides the trailing stop.
    pub fn triggers(&self) -> Triggers {
        let Levels { direction, entry, stop_loss, take_profit, expires_ms, .. } = self.levels;
        let (worse, better, due_ms) = match self.status() {
            Status::Open => (stop_loss, take_profit, expires_ms),
            Status::Closed | Status::Cancelled => (None, None, None),
            Status::Pending => {
                let due_ms = self.entry_expires_ms;
                match (self.kind, self.zone, self.above_zone) {
                    // The first price tells on which side of the zone it is.
                    (_, Some(zone), None) => {
                        return Triggers { fall: Some(zone.high), rise: Some(zone.low), due_ms };
                    }
                    (_, Some(zone), Some(above)) if above == (direction == Direction::Buy) => {
                        (Some(zone.worse_edge(direction)), take_profit, due_ms)
                    }
                    (_, Some(zone), Some(_)) => (stop_loss, Some(zone.better_edge(direction)), due_ms),
                    (EntryKind::Stop, None, _) => (stop_loss, Some(entry), due_ms),
                    (_, None, _) => (Some(entry), take_profit, due_ms),
                }
            }
        };
        match direction {
            Direction::Buy => Triggers { fall: worse, rise: better, due_ms },
            Direction::Sell => Triggers { fall: better, rise: worse, due_ms },
        }
    }

    /// Takes in a trade at `price`; appends what happens to `events`.
    ///
    /// A limit entry, or a zone, fills at its own price or edge; a stop entry, a stop and a target fill at the trade's price.
    pub fn on_tick(&mut self, price: f64, time_ms: i64, events: &mut Vec<Event>) {
        self.on_price(price, time_ms, false, events);
    }

    /// [`Self::on_tick`], or the open of a candle, where a limit entry fills at the open.
    fn on_price(&mut self, price: f64, time_ms: i64, is_open: bool, events: &mut Vec<Event>) {
        if time_ms < self.levels.since_ms || self.ended.is_some() {
            return;
        }
        if self.entered_ms.is_none() {
            match self.entry_at(price, time_ms, is_open) {
                Some(what) => self.happen(time_ms, what, events),
                None => return,
            }
        }
        self.run(price, time_ms, events);
    }

    /// What a price makes of a signal that waits for its entry.
    fn entry_at(&mut self, price: f64, time_ms: i64, is_open: bool) -> Option<What> {
        let cancelled = |cause| Some(What::cancelled(cause));
        if self.entry_expires_ms.is_some_and(|at| at <= time_ms) {
            return cancelled(CancelCause::EntryExpired);
        }
        let order = match self.zone {
            Some(zone) if zone.holds(price) && self.above_zone.is_none() => return Some(self.filled(price)),
            Some(zone) => {
                let is_above = *self.above_zone.get_or_insert(price > zone.high);
                self.order_at(zone, is_above)
            }
            None => self.order(),
        };
        if order.is_reached(self.levels.direction, price) {
            return Some(self.filled(self.fill(order, price, is_open)));
        }
        if self.levels.take_profit.is_some_and(|target| self.above(price, target) >= 0.0) {
            return cancelled(CancelCause::TargetBeforeEntry);
        }
        if self.levels.stop_loss.is_some_and(|stop| self.above(price, stop) <= 0.0) {
            return cancelled(CancelCause::StopBeforeEntry);
        }
        None
    }

    /// The order that enters at the entry price.
    fn order(&self) -> Order {
        match self.kind {
            EntryKind::Stop => Order::Through(self.levels.entry),
            EntryKind::Market | EntryKind::Limit => Order::Back(self.levels.entry),
        }
    }

    /// The order that enters a zone at the edge that the price touches first.
    fn order_at(&self, zone: Zone, is_above: bool) -> Order {
        let direction = self.levels.direction;
        if is_above == (direction == Direction::Buy) {
            Order::Back(zone.worse_edge(direction))
        } else {
            Order::Through(zone.better_edge(direction))
        }
    }

    /// The entry at a price.
    fn filled(&self, price: f64) -> What {
        What::Filled { price, edge: self.zone.map(|zone| zone.edge_at(price)) }
    }

    /// The entry's price where `price` reached it.
    fn fill(&self, order: Order, price: f64, is_open: bool) -> f64 {
        match (order, self.zone) {
            (_, Some(zone)) if is_open => price.max(zone.low).min(zone.high),
            (Order::Through(edge), Some(_)) | (Order::Back(edge), _) => {
                let is_stopped = self.levels.stop_loss.is_some_and(|stop| self.above(price, stop) <= 0.0);
                if is_open && !is_stopped { price } else { edge }
            }
            (Order::Through(_), None) => price,
        }
    }

    /// What a price makes of an open signal. A price beyond several targets reaches them one by one.
    fn run(&mut self, price: f64, time_ms: i64, events: &mut Vec<Event>) {
        self.see(price);
        while let Some(Exit { outcome, price, time_ms }) = self.levels.on_tick(price, time_ms)
            && self.ended.is_none()
        {
            match outcome {
                Outcome::TookProfit => self.reach_target(price, time_ms, events),
                Outcome::StoppedOut => self.exit(price, ExitCause::Stop, time_ms, events),
                _ => self.exit(price, ExitCause::Expiry, time_ms, events),
            }
        }
    }

    /// Takes in a price: the trailing stop follows it if it is the best so far.
    fn see(&mut self, price: f64) {
        if self.above(price, self.best) > 0.0 {
            self.saw(price);
        }
    }

    fn reach_target(&mut self, price: f64, at: i64, events: &mut Vec<Event>) {
        let Some(target) = self.targets.first() else { return };
        let (number, share) = (self.reached.saturating_add(1), target.share.min(self.left));
        self.happen(at, What::Target { number, price, share }, events);
        if self.ended.is_some() {
            return;
        }
        let StopRules { break_even_after_target, break_even_costs_percent, move_to, .. } = &self.rules;
        let entry = self.levels.entry;
        let break_even = (*break_even_after_target == Some(number))
            .then(|| (entry + self.sign() * entry * break_even_costs_percent / 100.0, StopMove::BreakEven));
        let moved = move_to.iter().filter(|step| step.after_target == number);
        let moves: Vec<_> =
            break_even.into_iter().chain(moved.map(|step| (step.price, StopMove::AfterTarget))).collect();
        for (price, cause) in moves {
            if self.levels.stop_loss.is_none_or(|stop| self.above(price, stop) > 0.0) {
                self.happen(at, What::Stop { price, cause }, events);
            }
        }
    }

    fn exit(&mut self, price: f64, cause: ExitCause, at: i64, events: &mut Vec<Event>) {
        // The history tells of the stop that closes the signal before it tells of the closing.
        if cause == ExitCause::Stop {
            events.extend(self.tell_of_trail(at, 0.0));
        }
        self.happen(at, What::Exit { price, share: self.left, cause }, events);
    }

    /// Takes in a closed candle of `candle_ms` milliseconds; appends what happens to `events`. Earlier candles were checked up to
    /// `known_ms`, UTC epoch ms. If `trading` is given, what happens at an open after a hole in the candles is unknown
    /// ([`Levels::on_candle_after`]).
    ///
    /// - A candle that began before the signal's last event counts with its close only; the whole candle of the entry counts under
    ///   the conditions of [`Levels::on_candle`].
    /// - A candle that opens beyond a price fills at its open.
    /// - If the candle touched the stop, the stop came before any target. If it reached a target that tightens the stop, or a new
    ///   best price that does, and its other end lies beyond the new stop, the price returned to it.
    /// - If it touched a limit entry, its high (its low for a SELL) came before the entry: a trailing stop follows its close
    ///   alone. If it touched entry and stop, the entry came first. If it touched a limit entry and the first target,
    ///   but not the stop, nobody knows whether it was entered: it is cancelled.
    pub fn on_candle(
        &mut self,
        known_ms: i64,
        candle: &Candle,
        candle_ms: i64,
        trading: Option<&Trading>,
        events: &mut Vec<Event>,
    ) {
        let end_ms = candle.open_ms + candle_ms;
        let since_ms = self.levels.since_ms;
        if end_ms <= since_ms || self.ended.is_some() {
            return;
        }
        if candle.open_ms < since_ms {
            // Which side a zone is entered from is unknown before the first price.
            let is_begun = self.events > 0 || self.zone.is_some();
            if is_begun || !self.levels.counts_whole(known_ms, candle, candle_ms) {
                return self.on_tick(candle.close, end_ms, events);
            }
        } else {
            let is_hole = trading.is_some_and(|to| !to.bridges(known_ms.max(since_ms), candle.open_ms, candle_ms));
            if is_hole && self.would_happen(candle.open, candle.open_ms) {
                let what = What::Exit { price: candle.open, share: self.left, cause: ExitCause::Unknown };
                return self.happen(candle.open_ms, what, events);
            }
            self.on_price(candle.open, candle.open_ms, true, events);
        }
        let (worst, best) = match self.levels.direction {
            Direction::Buy => (candle.low, candle.high),
            Direction::Sell => (candle.high, candle.low),
        };
        match self.status() {
            Status::Pending => self.enter_inside(worst, best, candle, end_ms, events),
            Status::Open => self.climb(best, worst, end_ms, events),
            Status::Closed | Status::Cancelled => {}
        }
        // Expiries; a stop or target that the close reached was reached inside.
        self.on_tick(candle.close, end_ms, events);
    }

    fn would_happen(&self, price: f64, time_ms: i64) -> bool {
        let (mut copy, mut events) = (self.clone(), Vec::new());
        copy.on_price(price, time_ms, true, &mut events);
        !events.is_empty()
    }

    /// What the inside of a candle makes of a signal that waits for its entry.
    fn enter_inside(&mut self, worst: f64, best: f64, candle: &Candle, end_ms: i64, events: &mut Vec<Event>) {
        let order = self.zone.map_or_else(|| self.order(), |zone| self.order_at(zone, self.above_zone == Some(true)));
        let is_entered = order.is_reached(self.levels.direction, if order.is_back() { worst } else { best });
        let is_stopped = self.levels.stop_loss.is_some_and(|stop| self.above(worst, stop) <= 0.0);
        let reached_target = self.levels.take_profit.is_some_and(|target| self.above(best, target) >= 0.0);
        let expires = self.entry_expires_ms.is_some_and(|at| at < end_ms);
        let cause = match (is_entered, is_stopped) {
            // The worst order: entered, then stopped.
            (true, true) => None,
            // It is unknown whether the entry came before its expiry, or before the target.
            (true, false) if expires => Some(CancelCause::EntryExpired),
            (true, false) if order.is_back() && reached_target => Some(CancelCause::TargetBeforeEntry),
            (true, false) => None,
            (false, true) => Some(CancelCause::StopBeforeEntry),
            (false, false) if reached_target => Some(CancelCause::TargetBeforeEntry),
            // It goes on waiting.
            (false, false) => return,
        };
        if let Some(cause) = cause {
            return self.happen(end_ms, What::cancelled(cause), events);
        }
        self.happen(end_ms, self.filled(order.price()), events);
        self.climb(if order.is_back() { candle.close } else { best }, worst, end_ms, events);
    }

    /// What becomes of an open signal whose price went up to `top` (down, for a SELL) and may at any time have been at `low`.
    fn climb(&mut self, top: f64, low: f64, end_ms: i64, events: &mut Vec<Event>) {
        while self.ended.is_none() {
            if let Some(stop) = self.levels.stop_loss.filter(|stop| self.above(low, *stop) <= 0.0) {
                return self.exit(stop, ExitCause::Stop, end_ms, events);
            }
            let target = self.levels.take_profit.filter(|target| self.above(top, *target) >= 0.0);
            let reached = target.unwrap_or(top);
            if self.above(reached, self.best) > 0.0 {
                // The price may have turned as soon as the trailing stop followed it: there the stop is lowest.
                if let Some(from) =
                    self.trailing().map(|trail| trail.from).filter(|from| self.above(reached, *from) >= 0.0)
                {
                    self.see(from);
                }
                let floor = self.levels.stop_loss;
                self.see(reached);
                let is_turned = self.levels.stop_loss.is_some_and(|stop| self.above(low, stop) <= 0.0);
                if is_turned {
                    let at = floor.filter(|floor| self.above(*floor, low) > 0.0).unwrap_or(low);
                    self.levels.stop_loss = Some(at);
                    return self.exit(at, ExitCause::Stop, end_ms, events);
                }
            }
            match target {
                Some(price) => self.reach_target(price, end_ms, events),
                None => return,
            }
        }
    }
}

/// The order that enters a signal.
#[derive(Debug, Clone, Copy)]
enum Order {
    /// At this price or a better one: the price comes back to it.
    Back(f64),
    /// At this price or a worse one: the price goes through it.
    Through(f64),
}

impl Order {
    fn price(self) -> f64 {
        match self {
            Self::Back(price) | Self::Through(price) => price,
        }
    }

    fn is_back(self) -> bool {
        matches!(self, Self::Back(_))
    }

    fn is_reached(self, direction: Direction, price: f64) -> bool {
        let beyond = direction.sign() * (price - self.price());
        if self.is_back() { beyond <= 0.0 } else { beyond >= 0.0 }
    }
}

impl Trailing {
    /// The stop that follows the best price; `None` before it begins to follow.
    pub fn stop(&self) -> Option<f64> {
        let sign = self.direction.sign();
        if sign * (self.best - self.from) < 0.0 {
            return None;
        }
        self.by.stop(self.direction, self.best)
    }
}

#[cfg(test)]
mod tests;
