//! Checkpoints: the state of a learner as bytes, so that a process that starts need not repeat what an earlier one has
//! learned.
//!
//! Using a checkpoint changes no answer, not by one bit: it is a state on the way of learning a backlog from its
//! beginning. So it is only valid for a backlog that begins with exactly the lessons it has learned and that is at
//! least as long as the original one, because whether an early change is followed up depends on how much still waits.
//! The signals that were open then must match too. If anything differs, everything is learned again.

use super::case::Lesson;
use super::change::ChangeDetector;
use super::model::OutcomeModel;
use super::survivors::{Open, open_at};
use domain::error::{Error, Result};
use domain::signal::Departures;
use domain::signal::SignalKey;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Raise the number whenever the same lessons lead to a different learner. The processor is included because
/// floating-point results depend on it.
pub const VERSION: &str = version();

const MAGIC: &[u8; 8] = b"SLLEARN\x01";

const fn version() -> &'static str {
    match std::env::consts::ARCH.as_bytes() {
        b"x86_64" => concat!(env!("CARGO_PKG_VERSION"), " 5 x86_64"),
        b"aarch64" => concat!(env!("CARGO_PKG_VERSION"), " 5 aarch64"),
        _ => concat!(env!("CARGO_PKG_VERSION"), " 5 other"),
    }
}

/// The saved state of a learner.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    pub(super) version: String,
    /// The seed of all randomness.
    pub(super) seed: u64,
    /// The length of the original backlog.
    pub(super) closings: usize,
    /// The number of lessons learned.
    pub(super) lessons: usize,
    /// The hash of those lessons.
    pub(super) content: (u64, u64),
    pub(super) changed_at: usize,
    pub(super) said: Vec<Option<Departures>>,
    pub(super) change: ChangeDetector,
    pub(super) model: OutcomeModel,
}

impl Checkpoint {
    /// How many lessons have been learned.
    pub fn lessons(&self) -> usize {
        self.lessons
    }

    /// Encodes it: a version mark, the CRC-32 of the rest, postcard.
    ///
    /// # Errors
    /// [`Error::Internal`] for a defect.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let body = postcard::to_stdvec(self).map_err(|e| Error::Internal(e.to_string()))?;
        Ok([&MAGIC[..], &crc32fast::hash(&body).to_le_bytes(), &body].concat())
    }

    /// Decodes it; `None` where the bytes are damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (crc, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
            return None;
        }
        postcard::from_bytes::<Self>(body).ok().filter(|checkpoint| checkpoint.version == VERSION)
    }

    /// Whether learning this backlog passes through this checkpoint.
    pub(super) fn is_of(&self, backlog: &VecDeque<Lesson>, open: &[Open], seed: u64) -> bool {
        let open = || open_at(self.model.until_ms, backlog.iter().skip(self.lessons), open);
        self.seed == seed
            && backlog.len() >= self.closings
            && self.said.len() == self.lessons
            && self.model.open == open().len()
            && content(backlog.iter().take(self.lessons)) == self.content
    }
}

/// A hash of lessons that any accidental difference changes.
pub(super) fn content<'a>(lessons: impl Iterator<Item = &'a Lesson>) -> (u64, u64) {
    // Serialising numbers and texts into memory cannot fail.
    let bytes = postcard::to_stdvec(&lessons.collect::<Vec<_>>()).unwrap_or_default();
    let SignalKey(high, low) = SignalKey::of_bytes(&bytes);
    (high, low)
}

#[cfg(test)]
mod tests {
    use super::super::replay::{COUNT, outcomes};
    use super::super::{Case, Learner};
    use super::*;

    const SEED: u64 = 7;
    const LEVELS: domain::barrier::Levels = domain::barrier::Levels {
        direction: domain::barrier::Direction::Buy,
        entry: 100.0,
        stop_loss: Some(98.0),
        take_profit: Some(102.0),
        since_ms: 0,
        expires_ms: None,
    };

    /// Learns a backlog in stages, like a process that starts; returns the learner and the last checkpoint on the way.
    fn learned(mut learner: Learner, mut backlog: VecDeque<Lesson>) -> (Learner, Option<Checkpoint>) {
        let mut last = None;
        loop {
            learner.learn_some(&mut backlog);
            if backlog.is_empty() {
                return (learner, last);
            }
            learner.adopt(OutcomeModel::grow(&learner.evidence(), SEED));
            last = learner.checkpoint(backlog.len(), SEED);
            assert!(last.is_some());
        }
    }

    fn said(learner: &Learner) -> Vec<u64> {
        let asked = |rsi| Case { indicators: vec![("rsi".to_owned(), rsi)], ..learner.lessons()[0].case.clone() };
        let chances = (0..100).map(|rsi| learner.model().chances(&asked(f64::from(rsi))));
        let said = chances.flat_map(|chances| [chances.probability.to_bits(), chances.base_rate.to_bits()]);
        said.chain([learner.model().effective().to_bits(), u64::from(learner.is_overdue())]).collect()
    }

    fn resumed(bytes: &[u8], backlog: &[Lesson], seed: u64) -> Option<Learner> {
        let mut backlog: VecDeque<Lesson> = backlog.to_vec().into();
        let learner = Learner::resume(Checkpoint::decode(bytes)?, &mut backlog, &[], seed)?;
        assert!(!learner.lessons().is_empty(), "some learning is saved");
        Some(learned(learner, backlog).0)
    }

    #[test]
    fn a_checkpoint_changes_no_prediction() {
        // With a change on the way, and without one.
        for turn in [400, i64::MAX] {
            let rate = move |rsi: f64, number: i64| if (rsi > 50.0) == (number < turn) { 0.85 } else { 0.25 };
            let all = outcomes(COUNT + 200, 1, rate);
            for known in [300, 600] {
                let (before, checkpoint) = learned(Learner::default(), all[..known].to_vec().into());
                let bytes = checkpoint.unwrap().encode().unwrap();
                for until in [known, known + 77, all.len()] {
                    let afresh = learned(Learner::default(), all[..until].to_vec().into()).0;
                    let resumed = resumed(&bytes, &all[..until], SEED).expect("the checkpoint belongs to this backlog");
                    assert!(said(&resumed) == said(&afresh), "{known} to {until}, turning at {turn}");
                    assert_eq!(resumed.lessons(), afresh.lessons());
                    // Learning continues identically.
                    let grown = [resumed, afresh].map(|mut learner| {
                        learner.adopt(OutcomeModel::grow(&learner.evidence(), SEED));
                        said(&learner)
                    });
                    assert!(grown[0] == grown[1]);
                }
                // After the later checkpoint no further model is grown.
                let later = said(&learned(Learner::default(), all.clone().into()).0);
                assert!(known > 300 || said(&before) != later, "the predictions can differ");
            }
        }
    }

    #[test]
    fn an_invalid_checkpoint_is_ignored() {
        let all = outcomes(COUNT, 1, |_, _| 0.6);
        let bytes = learned(Learner::default(), all.clone().into()).1.unwrap().encode().unwrap();
        assert!(resumed(&bytes, &all, SEED).is_some());
        assert!(resumed(&bytes, &all, SEED + 1).is_none(), "another seed");
        assert!(resumed(&bytes, &all[..COUNT as usize - 1], SEED).is_none(), "fewer closings");
        let mut other = all.clone();
        other[3].case.indicators[0].1 += 1e-9;
        assert!(resumed(&bytes, &other, SEED).is_none(), "another past");
        other = all.clone();
        other.swap(3, 4);
        assert!(resumed(&bytes, &other, SEED).is_none(), "another order");
        // A signal that was open then, and is either still open or has closed since.
        let open = |given_ms| Open::of(&domain::barrier::Levels { since_ms: given_ms, ..LEVELS });
        let until_ms = all[COUNT as usize - 1].closed_ms;
        let with = |given_ms| {
            Learner::resume(Checkpoint::decode(&bytes).unwrap(), &mut all.clone().into(), &[open(given_ms)], SEED)
        };
        assert!(with(until_ms + 1).is_some());
        assert!(with(0).is_none(), "another open signal");
        for at in (0..bytes.len()).step_by(bytes.len() / 50) {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(resumed(&bad, &all, SEED).is_none(), "damaged at {at}");
        }
        assert!(resumed(&bytes[..bytes.len() / 2], &all, SEED).is_none());
        let mut older = Checkpoint::decode(&bytes).unwrap();
        older.version.push('0');
        assert!(Checkpoint::decode(&older.encode().unwrap()).is_none(), "another version");
    }
}
