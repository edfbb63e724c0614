//! Closed signals for a reader that needs each of them once, such as a learner.

use super::FeedbackStore;
use super::open::Slot;
use domain::error::Result;
use domain::signal::Record;

/// The set of closed signals that a reader has received.
#[derive(Debug, Default)]
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

impl FeedbackStore {
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
            let mut marked = FeedCursor { words: given.words.clone(), count: given.count };
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
