//! A destination and what waits for it: what is sent next, and what comes of it.

use super::OWN_WARNING;
use super::config::{Channel, Destination};
use super::kinds::Kind;
use super::message::{burst, summary};
use super::outbox::Entry;
use super::state::DestinationState;
use super::target::{Failure, Target};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many failed attempts are told as a warning.
const WORTH_TELLING: u32 = 3;
/// How the sender takes its time.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Events within this time go into one message. Default 1 s.
    pub together: Duration,
    /// The longest wait for an answer. Default 15 s.
    pub patience: Duration,
    /// The pause after the first failed attempt; doubled for each further one, and a random part of it, at least half. Default 2 s.
    pub base: Duration,
    /// The longest pause. Default 5 min.
    pub longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            together: Duration::from_secs(1),
            patience: Duration::from_secs(15),
            base: Duration::from_secs(2),
            longest: Duration::from_secs(300),
        }
    }
}

impl Pace {
    /// The pause after so many failed attempts.
    fn pause(&self, attempt: u32) -> Duration {
        let doubled = self.base.as_secs_f64() * f64::from(attempt.saturating_sub(1).min(30)).exp2();
        let mut byte = [128];
        // Without the system's random numbers, the pause is the middle.
        let _ = SystemRandom::new().fill(&mut byte);
        let part = 0.5 + f64::from(byte[0]) / 510.0;
        Duration::from_secs_f64(doubled.min(self.longest.as_secs_f64()) * part)
    }
}

/// An event that waits for a destination.
pub(crate) struct Waiting {
    pub entry: Entry,
    /// Since when this process has it.
    pub since: Instant,
}

/// A destination and what waits for it. One message is under way at a time, so they arrive in order.
pub(crate) struct Lane {
    pub destination: Destination,
    pub target: Arc<Target>,
    pub waiting: VecDeque<Waiting>,
    pub busy: bool,
    /// Failed attempts since it last took something.
    pub attempt: u32,
    pub retry_at: Option<Instant>,
    /// The end of `min_interval`.
    pub pause_until: Option<Instant>,
    /// The failure that was told.
    pub told: Option<String>,
    pub state: DestinationState,
}

/// What is sent next.
pub(crate) enum Job {
    /// An event, to a webhook.
    Event(Entry),
    /// A message of the events with these ids.
    Message(String, Vec<String>),
}

impl Lane {
    pub fn new(destination: &Destination, target: &Arc<Target>, state: DestinationState) -> Self {
        Self {
            destination: destination.clone(),
            target: target.clone(),
            waiting: VecDeque::new(),
            busy: false,
            attempt: 0,
            retry_at: None,
            pause_until: None,
            told: None,
            state,
        }
    }

    pub fn is_urgent(&self, entry: &Entry) -> bool {
        Kind::of(&entry.event).is_some_and(|kind| self.destination.urgent.contains(&kind.name))
    }

    /// What is to be sent now; `None` if nothing is, or if it has to wait.
    pub fn next_job(&self, now: Instant, now_ms: i64, pace: Pace) -> Option<Job> {
        let waits = |until: Option<Instant>| until.is_some_and(|until| now < until);
        if self.busy || waits(self.retry_at) {
            return None;
        }
        let is_quiet = |at_ms| self.destination.quiet.is_some_and(|quiet| quiet.is_quiet(at_ms));
        let only_urgent = is_quiet(now_ms) || waits(self.pause_until);
        let ready = self.waiting.iter().filter(|one| !only_urgent || self.is_urgent(&one.entry));
        let ready: Vec<&Waiting> = ready.collect();
        let first = ready.first()?;
        if matches!(self.destination.channel, Channel::Webhook { .. }) {
            return Some(Job::Event(first.entry.clone()));
        }
        if now.duration_since(first.since) < pace.together {
            return None;
        }
        let entries: Vec<&Entry> = ready.iter().map(|one| &one.entry).collect();
        let ids = |entries: &[&Entry]| entries.iter().map(|entry| entry.id.clone()).collect();
        let is_held = |entry: &&Entry| !only_urgent && !self.is_urgent(entry) && is_quiet(entry.at_ms());
        let held: Vec<&Entry> = entries.iter().copied().filter(is_held).collect();
        if !held.is_empty() {
            let text = summary(self.target.format(), &self.destination, &held);
            return Some(Job::Message(text, ids(&held)));
        }
        let (text, count) = burst(self.target.format(), &self.destination, &entries);
        Some(Job::Message(text, ids(&entries[..count])))
    }

    /// Notes that events were taken.
    pub fn succeeded(&mut self, count: usize, at: String, now: Instant) {
        self.state.sent += count as u64;
        self.state.last_sent_at = Some(at);
        (self.attempt, self.retry_at, self.told) = (0, None, None);
        self.pause_until = Some(now + self.destination.min_interval);
    }

    /// Notes a failed attempt to send `count` events. Returns what is to be told of it: each reason once, until it works again.
    pub fn failed(&mut self, failure: &Failure, count: usize, at: String, now: Instant, pace: &Pace) -> Option<String> {
        self.attempt += 1;
        let asked = match failure {
            Failure::Passing(_, wait) => wait.unwrap_or_default(),
            Failure::Lasting(_) => Duration::ZERO,
        };
        self.retry_at = Some(now + pace.pause(self.attempt).max(asked));
        self.state.last_failure = Some(failure.message().to_owned());
        self.state.last_failure_at = Some(at);
        let (name, what) = (&self.destination.name, failure.message());
        let (text, is_worth_it) = match failure {
            Failure::Passing(..) => {
                (format!("{OWN_WARNING}{name} takes nothing, it is tried again: {what}"), self.attempt >= WORTH_TELLING)
            }
            Failure::Lasting(_) => {
                self.state.failed += count as u64;
                (format!("{OWN_WARNING}{name} refuses, {count} were given up: {what}"), true)
            }
        };
        let is_new = is_worth_it && self.told.as_deref() != Some(what);
        is_new.then(|| {
            self.told = Some(what.to_owned());
            text
        })
    }
}
