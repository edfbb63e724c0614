//! Trailing stops of one symbol and direction, found by price.
//!
//! Signals with the same best price since their entry are a group. A price better than that of several groups makes them one, so
//! it touches groups and not signals. The smaller groups move into the largest: a signal moves O(log n) times in its life. In a
//! group, the smallest percent and the smallest distance have the tightest stops.

use super::super::open::Slot;
use domain::barrier::{Direction, TrailBy};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A price as a number that is higher the better the price is: for positive prices, their bits have their order.
type Rank = u64;

/// A signal whose stop follows the best price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trailed {
    /// How far behind.
    pub by: TrailBy,
    /// The best price since the entry.
    pub best: f64,
    /// The time of its last event, UTC epoch ms: no earlier price concerns it.
    pub since_ms: i64,
    /// The best price from which its stop is to be told of.
    pub tells_from: f64,
}

/// The trailing stops of one direction.
pub struct Trails {
    direction: Direction,
    groups: Vec<Group>,
    /// Indexes of empty groups.
    vacant: Vec<u32>,
    /// Groups by their best price.
    bests: BTreeMap<Rank, u32>,
    /// Groups by their tightest stop.
    stops: BTreeSet<(Rank, u32)>,
    members: HashMap<Slot, Member>,
    /// By the time of the last event.
    events: BTreeSet<(i64, Slot)>,
    /// By the best price from which the stop is to be told of.
    untold: BTreeSet<(Rank, Slot)>,
    /// Signals whose best price has reached it.
    to_tell: BTreeSet<Slot>,
}

/// Signals with the same best price.
#[derive(Default)]
struct Group {
    best: f64,
    /// Its tightest stop, as it is in [`Trails::stops`].
    stop: Option<Rank>,
    /// By percent, as bits.
    percents: BTreeSet<(u64, Slot)>,
    /// By distance, as bits.
    distances: BTreeSet<(u64, Slot)>,
}

struct Member {
    group: u32,
    by: TrailBy,
    since_ms: i64,
    tells_from: Rank,
}

impl Group {
    fn len(&self) -> usize {
        self.percents.len() + self.distances.len()
    }

    /// The set for this kind of trail, and its key there. A multiple of the average true range has become a distance before.
    fn set(&mut self, by: TrailBy) -> (&mut BTreeSet<(u64, Slot)>, u64) {
        match by {
            TrailBy::Percent(percent) => (&mut self.percents, percent.to_bits()),
            TrailBy::Distance(distance) | TrailBy::Atr(distance) => (&mut self.distances, distance.to_bits()),
        }
    }

    fn tightest(&self) -> impl Iterator<Item = TrailBy> {
        let percent = self.percents.first().map(|(bits, _)| TrailBy::Percent(f64::from_bits(*bits)));
        let distance = self.distances.first().map(|(bits, _)| TrailBy::Distance(f64::from_bits(*bits)));
        percent.into_iter().chain(distance)
    }

    /// The signals whose stop is tight enough.
    fn tight(&self, is_tight: impl Fn(TrailBy) -> bool) -> impl Iterator<Item = Slot> {
        let percents = self.percents.iter().map(|(bits, slot)| (TrailBy::Percent(f64::from_bits(*bits)), *slot));
        let distances = self.distances.iter().map(|(bits, slot)| (TrailBy::Distance(f64::from_bits(*bits)), *slot));
        let percents: Vec<_> = percents.take_while(|(by, _)| is_tight(*by)).collect();
        let distances = distances.take_while(|(by, _)| is_tight(*by)).collect::<Vec<_>>();
        percents.into_iter().chain(distances).map(|(_, slot)| slot)
    }
}

impl Trails {
    pub fn new(direction: Direction) -> Self {
        Self {
            direction,
            groups: Vec::new(),
            vacant: Vec::new(),
            bests: BTreeMap::new(),
            stops: BTreeSet::new(),
            members: HashMap::new(),
            events: BTreeSet::new(),
            untold: BTreeSet::new(),
            to_tell: BTreeSet::new(),
        }
    }

    fn rank(&self, price: f64) -> Rank {
        match self.direction {
            Direction::Buy => price.to_bits(),
            Direction::Sell => !price.to_bits(),
        }
    }

    fn price(&self, rank: Rank) -> f64 {
        match self.direction {
            Direction::Buy => f64::from_bits(rank),
            Direction::Sell => f64::from_bits(!rank),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a signal.
    pub fn join(&mut self, slot: Slot, Trailed { by, best, since_ms, tells_from }: Trailed) {
        let (rank, tells_from) = (self.rank(best), self.rank(tells_from));
        let group = match self.bests.get(&rank) {
            Some(group) => *group,
            None => self.new_group(best),
        };
        let (set, key) = self.groups[group as usize].set(by);
        set.insert((key, slot));
        self.find_stop(group);
        self.members.insert(slot, Member { group, by, since_ms, tells_from });
        self.events.insert((since_ms, slot));
        if tells_from <= rank {
            self.to_tell.insert(slot);
        } else {
            self.untold.insert((tells_from, slot));
        }
    }

    fn new_group(&mut self, best: f64) -> u32 {
        let group = self.vacant.pop().unwrap_or_else(|| {
            self.groups.push(Group::default());
            (self.groups.len() - 1) as u32
        });
        self.groups[group as usize].best = best;
        self.bests.insert(self.rank(best), group);
        group
    }

    /// Takes a signal out; returns its best price.
    pub fn leave(&mut self, slot: Slot) -> Option<f64> {
        let Member { group, by, since_ms, tells_from } = self.members.remove(&slot)?;
        self.events.remove(&(since_ms, slot));
        if !self.to_tell.remove(&slot) {
            self.untold.remove(&(tells_from, slot));
        }
        let best = self.groups[group as usize].best;
        let (set, key) = self.groups[group as usize].set(by);
        set.remove(&(key, slot));
        self.find_stop(group);
        if self.groups[group as usize].len() == 0 {
            self.bests.remove(&self.rank(best));
            self.vacant.push(group);
        }
        Some(best)
    }

    /// The best price of a signal.
    pub fn best_of(&self, slot: Slot) -> Option<f64> {
        self.members.get(&slot).map(|member| self.groups[member.group as usize].best)
    }

    /// Finds a group's tightest stop again.
    fn find_stop(&mut self, group: u32) {
        let of = &self.groups[group as usize];
        let stops = of.tightest().filter_map(|by| by.stop(self.direction, of.best));
        let (before, stop) = (of.stop, stops.map(|stop| self.rank(stop)).max());
        if before != stop {
            before.map(|rank| self.stops.remove(&(rank, group)));
            stop.map(|rank| self.stops.insert((rank, group)));
            self.groups[group as usize].stop = stop;
        }
    }

    /// A price strictly between these two reaches no stop and is no new best price: the tightest stop, and the next better price
    /// than the best price of the group that has the worst one.
    pub fn edge(&self) -> (Option<f64>, Option<f64>) {
        let stop = self.stops.last().map(|(rank, _)| self.price(*rank));
        let next = self.bests.first_key_value().map(|(rank, _)| match self.direction {
            Direction::Buy => self.price(*rank).next_up(),
            Direction::Sell => self.price(*rank).next_down(),
        });
        (stop, next)
    }

    /// Appends the signals whose stop is reached at `worst` once their best price is at least `best`, and those with an event
    /// after `begun_ms`: for these, neither counts.
    pub fn find(&self, worst: f64, best: f64, begun_ms: i64, found: &mut Vec<Slot>) {
        let (worst_rank, best_rank) = (self.rank(worst), self.rank(best));
        let reached = self.stops.range((worst_rank, 0)..).map(|(_, group)| *group);
        let raised = self.bests.range(..best_rank).map(|(_, group)| *group);
        for group in reached.chain(raised).map(|group| &self.groups[group as usize]) {
            let best = if self.rank(group.best) < best_rank { best } else { group.best };
            let is_tight =
                |by: TrailBy| by.stop(self.direction, best).is_some_and(|stop| self.rank(stop) >= worst_rank);
            found.extend(group.tight(is_tight));
        }
        if begun_ms < i64::MAX {
            found.extend(self.events.range((begun_ms + 1, 0)..).map(|(_, slot)| *slot));
        }
    }

    /// Takes in a price that counts for all signals: it is the new best price of those that had a worse one.
    pub fn raise(&mut self, best: f64) {
        let rank = self.rank(best);
        while let Some((due, slot)) = self.untold.first().copied()
            && due <= rank
        {
            self.untold.remove(&(due, slot));
            self.to_tell.insert(slot);
        }
        let mut joined = None;
        while let Some((worse, group)) = self.bests.first_key_value().map(|(worse, group)| (*worse, *group))
            && worse < rank
        {
            self.bests.remove(&worse);
            joined = Some(joined.map_or(group, |joined| self.merge(joined, group)));
        }
        let Some(mut joined) = joined else { return };
        if let Some(same) = self.bests.remove(&rank) {
            joined = self.merge(joined, same);
        }
        self.groups[joined as usize].best = best;
        self.bests.insert(rank, joined);
        self.find_stop(joined);
    }

    /// Moves the smaller of two groups into the larger; returns the larger.
    fn merge(&mut self, one: u32, other: u32) -> u32 {
        let len = |group: u32| self.groups[group as usize].len();
        let (small, large) = if len(one) < len(other) { (one, other) } else { (other, one) };
        let Group { stop, percents, distances, .. } = std::mem::take(&mut self.groups[small as usize]);
        stop.map(|rank| self.stops.remove(&(rank, small)));
        self.vacant.push(small);
        for (_, slot) in percents.iter().chain(&distances) {
            if let Some(member) = self.members.get_mut(slot) {
                member.group = large;
            }
        }
        let into = &mut self.groups[large as usize];
        into.percents.extend(percents);
        into.distances.extend(distances);
        large
    }

    /// The signals whose stop is to be told of.
    pub fn to_tell(&self) -> &BTreeSet<Slot> {
        &self.to_tell
    }
}
