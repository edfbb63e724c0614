//! Closed signals for a reader that needs each of them once: in any order, such as a learner, or in order of closing.

use super::FeedbackStore;
use super::open::Slot;
use super::state::{Entry, Origin, State};
use domain::error::Result;
use domain::signal::{Ended, Record};
use domain::symbol::Market;

/// The set of closed signals that a reader has received.
#[derive(Debug, Clone, Default)]
pub struct FeedCursor {
    /// One bit per signal, by its number in order of recording, which never changes.
    words: Vec<u64>,
    count: usize,
}

impl FeedCursor {
    /// Adds a signal; returns whether it was new.
    fn mark(&mut self, slot: Slot) -> bool {
        let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += usize::from(new);
        new
    }
}

/// How many closed signals a reader has received, of one market or of all, and the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClosingCursor(Option<(Origin, usize, Slot)>);

impl ClosingCursor {
    /// The closed signals that follow those received, and whether they are all there are: the first time, and where another one
    /// was put between those received, as an import does.
    fn follow<'a>(&self, state: &State, all: &'a [Slot]) -> (bool, &'a [Slot]) {
        let is_known = |(origin, count, last): (Origin, usize, Slot)| {
            // Closed signals are never removed from a state, so the last one is in its place only if none came before it.
            let kept = origin == state.origin() && count.checked_sub(1).and_then(|at| all.get(at)) == Some(&last);
            kept.then_some(count)
        };
        match self.0.and_then(is_known) {
            Some(count) => (false, &all[count..]),
            None => (true, all),
        }
    }

    /// The cursor of a reader that has received all of these.
    fn behind(state: &State, all: &[Slot]) -> Self {
        Self(all.last().map(|last| (state.origin(), all.len(), *last)))
    }
}

/// What a reader of closed signals receives.
#[derive(Debug, Clone, PartialEq)]
pub struct NewClosings<T> {
    /// Whether these are all there are, so that the reader starts over. Otherwise they follow those it received before.
    pub are_all: bool,
    /// In order of closing.
    pub closings: Vec<T>,
}

impl<T> NewClosings<T> {
    /// Adds them to those that were received before.
    pub fn add_to(self, known: &mut Vec<T>) {
        if self.are_all {
            known.clear();
        }
        known.extend(self.closings);
    }
}

impl FeedbackStore {
    /// Calls `read` for each closed signal of a market that this reader has not received, and returns the results that are not
    /// `None`. It works from memory, and leaves out signals with unknown outcomes. The second argument of `read` is whether the
    /// signal was taken.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`]; then nothing counts as received.
    pub fn newly_ended<T>(
        &self,
        market: &Market,
        given: &mut ClosingCursor,
        read: impl Fn(Ended, bool) -> Option<T>,
    ) -> Result<NewClosings<T>> {
        self.refresh()?;
        let (state, _source) = self.ordered();
        let all = state.closed_in_market(market);
        let (are_all, new) = given.follow(&state, all);
        *given = ClosingCursor::behind(&state, all);
        let (entries, costs) = (new.iter().map(|slot| state.entry(*slot)), self.costs());
        let closings = entries.filter_map(|entry| read(state.as_ended(entry, &costs)?, entry.taken)).collect();
        Ok(NewClosings { are_all, closings })
    }

    /// Calls `read` for each closed record of a market, or of all, that this reader has not received, and returns the results that
    /// are not `None`. Records are read from the log one by one. Those that closed before `since_ms` are left out, and those with
    /// unknown outcomes.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`], and those of `read`; then nothing counts as received.
    pub fn newly_closed<T>(
        &self,
        market: Option<&Market>,
        given: &mut ClosingCursor,
        since_ms: i64,
        mut read: impl FnMut(Record) -> Result<Option<T>>,
    ) -> Result<NewClosings<T>> {
        self.refresh()?;
        let (source, are_all, places, next) = {
            let (state, source) = self.ordered();
            let all = market.map_or(state.closed_slots(), |market| state.closed_in_market(market));
            let (are_all, new) = given.follow(&state, all);
            let is_wanted = |entry: &&Entry| entry.closed_ms >= since_ms && entry.outcome.succeeded().is_some();
            let entries = new.iter().map(|slot| state.entry(*slot)).filter(is_wanted);
            (source, are_all, entries.map(Entry::place).collect::<Vec<_>>(), ClosingCursor::behind(&state, all))
        };
        let mut closings = Vec::new();
        source.records(&places, &mut |record| {
            closings.extend(read(record)?);
            Ok(())
        })?;
        *given = next;
        Ok(NewClosings { are_all, closings })
    }

    /// Whether this reader has received everything that has closed, as far as known. `false` also if finding out would block.
    pub fn has_no_new_closings(&self, given: &FeedCursor) -> bool {
        self.inner.journal.current_state().is_some_and(|state| state.closed_slots().len() == given.count)
    }

    /// The closed signals that this reader has not received, including those closed by other processes, in order of closing.
    /// Returns only the newest `most`; older ones count as received.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`]; then nothing counts as received.
    pub fn new_closings(&self, given: &mut FeedCursor, most: usize) -> Result<Vec<Record>> {
        self.refresh()?;
        if self.inner.journal.state().closed_slots().len() == given.count {
            return Ok(Vec::new());
        }
        let (source, places, marked) = {
            let (state, source) = self.ordered();
            let slots = state.closed_slots();
            let mut marked = given.clone();
            // New closings are mostly the most recent ones, so searching from the end is short.
            let mut new: Vec<Slot> = Vec::new();
            for &slot in slots.iter().rev() {
                if marked.count == slots.len() {
                    break;
                }
                if marked.mark(slot) {
                    new.push(slot);
                }
            }
            new.truncate(most);
            let places: Vec<_> = new.iter().rev().map(|slot| state.entry(*slot).place()).collect();
            (source, places, marked)
        };
        let records = source.all(&places)?;
        *given = marked;
        Ok(records)
    }
}
