//! Which symbols a connection is subscribed to: what to ask for next, and what was confirmed or refused.

use super::StreamPace;
use super::protocol::{Limits, Protocol};
use domain::symbol::Symbol;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio::time::Instant;

/// The subscriptions of one connection.
pub(super) struct Subscriptions {
    limits: Limits,
    pace: StreamPace,
    /// By the exchange's spelling.
    topics: BTreeMap<String, Topic>,
    /// What to unsubscribe from.
    leaving: BTreeSet<String>,
    /// When the last messages were sent, no more than the limit allows.
    sent: VecDeque<Instant>,
    last_id: u64,
    /// Why a wanted symbol has no name.
    nameless: String,
}

struct Topic {
    symbol: Symbol,
    state: State,
    /// It is asked for in a message of its own, since a request with others was refused.
    alone: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    /// Not asked for yet.
    New,
    /// Asked for, by a request with this number.
    Asked { request: u64, at: Instant },
    /// Confirmed.
    Live,
    /// Refused.
    Refused { why: String, at: Instant },
}

impl Subscriptions {
    pub(super) fn new(limits: Limits, pace: StreamPace) -> Self {
        let (topics, leaving, sent) = (BTreeMap::new(), BTreeSet::new(), VecDeque::new());
        let nameless = "the exchange is asked for its name".to_owned();
        Self { limits, pace, topics, leaving, sent, last_id: 0, nameless }
    }

    /// Sets what is wanted, by symbol with the exchange's spelling. `nameless` says why it may lack one.
    pub(super) fn want(&mut self, wanted: BTreeMap<Symbol, String>, nameless: String) {
        self.nameless = nameless;
        let leaving = &mut self.leaving;
        self.topics.retain(|name, topic| {
            let stays = wanted.get(&topic.symbol) == Some(name);
            if !stays && matches!(topic.state, State::Asked { .. } | State::Live) {
                leaving.insert(name.clone());
            }
            stays
        });
        for (symbol, name) in wanted {
            self.topics.entry(name).or_insert_with(|| Topic { symbol, state: State::New, alone: false });
        }
    }

    /// The names that are wanted now.
    pub(super) fn names(&self) -> BTreeMap<Symbol, String> {
        self.topics.iter().map(|(name, topic)| (topic.symbol.clone(), name.clone())).collect()
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whether a message may be sent now.
    fn has_room(&mut self, now: Instant) -> bool {
        while self.sent.front().is_some_and(|sent| now.duration_since(*sent) >= self.limits.per) {
            self.sent.pop_front();
        }
        self.sent.len() < self.limits.messages
    }

    /// The next message that may be sent now.
    pub(super) fn next_message(&mut self, now: Instant, protocol: &dyn Protocol) -> Option<String> {
        self.expire(now);
        if !self.has_room(now) {
            return None;
        }
        // Who left and came back is unsubscribed first: a server works in the order of its messages.
        let leaving: Vec<String> = self.leaving.iter().take(self.limits.names_a_message).cloned().collect();
        let (subscribes, names) = match leaving.is_empty() {
            true => (true, self.names_to_ask()),
            false => (false, leaving),
        };
        if names.is_empty() {
            return None;
        }
        let request = self.next_id();
        for name in &names {
            match self.topics.get_mut(name).filter(|_| subscribes) {
                Some(topic) => topic.state = State::Asked { request, at: now },
                None => drop(self.leaving.remove(name)),
            }
        }
        self.sent.push_back(now);
        Some(protocol.request(request, subscribes, &names))
    }

    fn names_to_ask(&self) -> Vec<String> {
        let held =
            self.topics.values().filter(|topic| matches!(topic.state, State::Asked { .. } | State::Live)).count();
        let room = self.limits.topics.saturating_sub(held).min(self.limits.names_a_message);
        let new = || self.topics.iter().filter(|(_, topic)| topic.state == State::New);
        let together: Vec<_> =
            new().filter(|(_, topic)| !topic.alone).take(room).map(|(name, _)| name.clone()).collect();
        match together.is_empty() {
            true => new().take(room.min(1)).map(|(name, _)| name.clone()).collect(),
            false => together,
        }
    }

    /// Gives up waiting for confirmations, and for refused symbols to stay so.
    fn expire(&mut self, now: Instant) {
        for topic in self.topics.values_mut() {
            match &topic.state {
                State::Asked { at, .. } if now.duration_since(*at) >= self.pace.confirm => {
                    let why = format!("the exchange did not confirm it within {} s", self.pace.confirm.as_secs_f64());
                    topic.fail(why, now);
                }
                State::Refused { at, .. } if now.duration_since(*at) >= self.pace.refused => topic.state = State::New,
                _ => {}
            }
        }
    }

    /// Subscriptions were confirmed. Returns the symbols of those that were not before.
    pub(super) fn accepted(&mut self, request: Option<u64>, names: &[String]) -> Vec<Symbol> {
        let mut live = Vec::new();
        for (name, topic) in &mut self.topics {
            let is_meant = match topic.state {
                State::Asked { request: asked, .. } => Some(asked) == request || names.contains(name),
                _ => false,
            };
            if is_meant {
                topic.state = State::Live;
                live.push(topic.symbol.clone());
            }
        }
        live
    }

    /// A request was refused. If it was about several symbols and nobody says about which, each is asked for again on its own.
    pub(super) fn refused(&mut self, request: Option<u64>, why: &str, now: Instant) {
        let asked = |topic: &Topic| match topic.state {
            State::Asked { request, .. } => Some(request),
            _ => None,
        };
        let mut meant: Vec<String> = match request {
            Some(_) => self.names_where(|_, topic| asked(topic).is_some() && asked(topic) == request),
            None => Vec::new(),
        };
        let named = self.names_where(|name, topic| {
            asked(topic).is_some() && mentions(why, name) && (meant.is_empty() || meant.contains(name))
        });
        let is_clear = !named.is_empty() || meant.len() == 1;
        if !named.is_empty() {
            let others: Vec<String> = meant.iter().filter(|name| !named.contains(name)).cloned().collect();
            self.ask_alone(&others);
            meant = named;
        } else if meant.is_empty() {
            meant = self.names_where(|_, topic| asked(topic).is_some());
            if meant.len() != 1 {
                return self.ask_alone(&meant);
            }
        } else if !is_clear {
            return self.ask_alone(&meant);
        }
        for name in meant {
            if let Some(topic) = self.topics.get_mut(&name) {
                topic.state = State::Refused { why: why.to_owned(), at: now };
                topic.alone = true;
            }
        }
    }

    fn names_where(&self, holds: impl Fn(&String, &Topic) -> bool) -> Vec<String> {
        self.topics.iter().filter(|(name, topic)| holds(name, topic)).map(|(name, _)| name.clone()).collect()
    }

    fn ask_alone(&mut self, names: &[String]) {
        for name in names {
            if let Some(topic) = self.topics.get_mut(name) {
                (topic.state, topic.alone) = (State::New, true);
            }
        }
    }

    /// The symbol of a trade, and whether the trade is the first sign that it is subscribed. `None` if it is not: it is not wanted,
    /// or was subscribed before and is going to be again.
    pub(super) fn traded(&mut self, name: &str) -> Option<(Symbol, bool)> {
        let topic = self.topics.get_mut(name).filter(|_| !self.leaving.contains(name))?;
        let first = match topic.state {
            State::Live => false,
            State::Asked { .. } => true,
            State::New | State::Refused { .. } => return None,
        };
        topic.state = State::Live;
        Some((topic.symbol.clone(), first))
    }

    /// Why symbols are not streamed, for those that are wanted and are not.
    pub(super) fn missing(&self, wanted: &BTreeSet<Symbol>) -> BTreeMap<Symbol, String> {
        let known: BTreeMap<&Symbol, &Topic> = self.topics.values().map(|topic| (&topic.symbol, topic)).collect();
        let full = self.topics.values().filter(|topic| topic.state == State::Live).count() >= self.limits.topics;
        let missing = wanted.iter().filter_map(|symbol| {
            let why = match known.get(symbol).map(|topic| &topic.state) {
                None => self.nameless.clone(),
                Some(State::Live) => return None,
                Some(State::Refused { why, .. }) => why.clone(),
                Some(State::New) if full => format!("the exchange allows {} a connection", self.limits.topics),
                Some(State::New | State::Asked { .. }) => "it is being subscribed".to_owned(),
            };
            Some((symbol.clone(), why))
        });
        missing.collect()
    }
}

impl Topic {
    /// The request of the topic failed without an answer.
    fn fail(&mut self, why: String, at: Instant) {
        self.state = if self.alone { State::Refused { why, at } } else { State::New };
        self.alone = true;
    }
}

/// Whether `text` contains `name` as a whole word.
fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '/';
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::super::feed::protocol;
    use super::*;
    use crate::Exchange;
    use domain::venue::Venue;
    use std::sync::Arc;
    use std::time::Duration;

    fn symbols(names: &[&str]) -> BTreeSet<Symbol> {
        names.iter().map(|name| Symbol::parse(name).unwrap()).collect()
    }

    /// Wants symbols whose names on the exchange these are.
    fn want(subscriptions: &mut Subscriptions, names: &[&str]) -> BTreeSet<Symbol> {
        let named = names.iter().map(|name| (Symbol::parse(name).unwrap(), (*name).to_owned()));
        subscriptions.want(named.collect(), String::new());
        symbols(names)
    }

    fn of(venue: Venue) -> (Box<dyn Protocol>, Subscriptions) {
        let protocol = protocol(&Arc::new(Exchange::new(venue, None).unwrap()), None).unwrap();
        let subscriptions = Subscriptions::new(protocol.limits(), StreamPace::default());
        (protocol, subscriptions)
    }

    fn names(subscriptions: &mut Subscriptions, now: Instant, protocol: &dyn Protocol) -> Vec<String> {
        let message: serde_json::Value = match subscriptions.next_message(now, protocol) {
            Some(message) => serde_json::from_str(&message).unwrap(),
            None => return Vec::new(),
        };
        message["args"].as_array().unwrap().iter().map(|topic| topic.to_string()).collect()
    }

    #[test]
    fn messages_keep_to_the_limits_of_the_exchange() {
        let (bybit, mut subscriptions) = of(Venue::Bybit);
        let now = Instant::now();
        let all: Vec<String> = (0..600).map(|n| format!("COIN{n}USDT")).collect();
        let wanted = want(&mut subscriptions, &all.iter().map(String::as_str).collect::<Vec<_>>());
        let mut asked = 0;
        for second in 0..20 {
            let now = now + Duration::from_secs(second);
            for _ in 0..9 {
                let names = names(&mut subscriptions, now, &*bybit);
                asked += names.len();
                let request = subscriptions.last_id;
                assert!(names.len() <= 10 && request <= 5 * (second + 1), "{request} messages after {second} s");
                subscriptions.accepted(Some(request), &[]);
            }
        }
        let missing = subscriptions.missing(&wanted);
        assert_eq!((asked, missing.len()), (500, 100));
        assert!(missing.values().all(|why| why == "the exchange allows 500 a connection"), "{missing:?}");
    }

    #[test]
    fn one_refused_symbol_spares_the_others() {
        let (bybit, mut subscriptions) = of(Venue::Bybit);
        let now = Instant::now();
        let wanted = want(&mut subscriptions, &["AUSDT", "BUSDT", "CUSDT"]);
        assert_eq!(names(&mut subscriptions, now, &*bybit).len(), 3);
        // Nobody says which.
        subscriptions.refused(Some(1), "Params Error", now);
        for request in 2..5 {
            assert_eq!(names(&mut subscriptions, now, &*bybit).len(), 1);
            match request {
                3 => subscriptions.refused(Some(3), "Params Error", now),
                _ => assert_eq!(subscriptions.accepted(Some(request), &[]).len(), 1),
            }
        }
        let missing = subscriptions.missing(&wanted);
        let expected = BTreeMap::from([(Symbol::parse("BUSDT").unwrap(), "Params Error".to_owned())]);
        assert_eq!(missing, expected);
        // It is asked for again later.
        assert_eq!(names(&mut subscriptions, now + Duration::from_secs(599), &*bybit).len(), 0);
        assert_eq!(names(&mut subscriptions, now + Duration::from_secs(600), &*bybit).len(), 1);
    }

    #[test]
    fn a_refusal_that_names_a_symbol_is_about_it() {
        let (okx, mut subscriptions) = of(Venue::Okx);
        let now = Instant::now();
        let wanted = want(&mut subscriptions, &["BTC-USDT", "BTC-USD", "ETH-USDT"]);
        assert_eq!(names(&mut subscriptions, now, &*okx).len(), 3);
        subscriptions.refused(None, "channel:trades,instId:BTC-USD doesn't exist", now);
        let live = subscriptions.accepted(None, &["BTC-USDT".to_owned(), "ETH-USDT".to_owned()]);
        assert_eq!(live.len(), 2);
        assert_eq!(subscriptions.missing(&wanted).keys().map(Symbol::as_str).collect::<Vec<_>>(), ["BTCUSD"]);
    }

    #[test]
    fn what_is_not_confirmed_is_asked_for_once_more_alone_and_what_is_not_wanted_is_left() {
        let (bybit, mut subscriptions) = of(Venue::Bybit);
        let mut now = Instant::now();
        let wanted = want(&mut subscriptions, &["AUSDT", "BUSDT"]);
        assert_eq!(names(&mut subscriptions, now, &*bybit).len(), 2);
        // A trade confirms a subscription, too.
        assert!(subscriptions.traded("AUSDT").unwrap().1 && !subscriptions.traded("AUSDT").unwrap().1);
        assert!(subscriptions.traded("CUSDT").is_none());
        for _ in 0..2 {
            now += Duration::from_secs(10);
            names(&mut subscriptions, now, &*bybit);
        }
        now += Duration::from_secs(10);
        assert_eq!(subscriptions.next_message(now, &*bybit), None);
        let missing = subscriptions.missing(&wanted);
        assert!(missing.len() == 1 && missing.values().all(|why| why.contains("did not confirm")), "{missing:?}");
        want(&mut subscriptions, &["BUSDT"]);
        let left = subscriptions.next_message(now, &*bybit).unwrap();
        assert!(left.contains("unsubscribe") && left.contains("AUSDT") && !left.contains("BUSDT"), "{left}");
        assert_eq!(subscriptions.next_message(now, &*bybit), None);
        // Who leaves and comes back at once is unsubscribed, then subscribed.
        let ops = |subscriptions: &mut Subscriptions| subscriptions.next_message(now, &*bybit).unwrap_or_default();
        want(&mut subscriptions, &["AUSDT", "BUSDT"]);
        assert!(ops(&mut subscriptions).contains(r#""subscribe""#));
        want(&mut subscriptions, &["BUSDT"]);
        want(&mut subscriptions, &["AUSDT", "BUSDT"]);
        assert!(ops(&mut subscriptions).contains(r#""unsubscribe""#));
        assert!(ops(&mut subscriptions).contains(r#""subscribe""#));
        let request = Some(subscriptions.last_id);
        assert_eq!(subscriptions.accepted(request, &[]).len(), 1);
    }
}
