//! The learner of a home: its lessons, its model, and when the model is grown again.

use super::case::Lesson;
use super::change::ChangeDetector;
use super::checkpoint::{self, Checkpoint};
use super::model::OutcomeModel;
use super::survivors::{Open, open_at};
use domain::signal::Departures;
use std::collections::VecDeque;
use std::sync::Arc;

/// The largest number of closed signals to learn from: the newest.
pub const MAX_LESSONS: usize = 100_000;
/// The shortest stage of a backlog.
const MIN_STAGE: usize = 10;
/// The model is grown again when the evidence has grown by one part in this many: first while there are few lessons,
/// then when there are many.
const GROWTH: [usize; 2] = [20, 10];
const MANY: usize = 2_000;

/// The closed signals so far, in the order they were learned; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    lessons: Vec<Arc<Lesson>>,
    /// For each signal, the prediction of a model that had learned nothing later than it.
    said: Vec<Option<Departures>>,
    /// Lessons before this position are from before the last change.
    changed_at: usize,
    /// The signals that were open when the newest of them closed, as far as known.
    open: Vec<Open>,
}

impl Evidence {
    /// The closed signals.
    pub fn lessons(&self) -> &[Arc<Lesson>] {
        &self.lessons
    }

    /// The prediction of one, made before its outcome was known.
    pub fn said(&self, at: usize) -> Option<Departures> {
        self.said[at]
    }

    /// The part of the evidence that had closed by `until_ms`. Signals that closed later count as open, if they had
    /// been given.
    #[must_use]
    pub fn before(&self, until_ms: i64) -> Self {
        let known = |at: &usize| self.lessons[*at].closed_ms <= until_ms;
        let (kept, later): (Vec<usize>, Vec<usize>) = (0..self.lessons.len()).partition(known);
        let of_then = Self {
            lessons: kept.iter().map(|&at| self.lessons[at].clone()).collect(),
            said: kept.iter().map(|&at| self.said[at]).collect(),
            // A change is only recognised later.
            changed_at: 0,
            open: Vec::new(),
        };
        of_then.with_open(later.iter().map(|&at| &*self.lessons[at]), &self.open)
    }

    /// Adds those of these signals that were open when its newest signal closed: `later` have closed since, `open` are
    /// open now.
    #[must_use]
    pub fn with_open<'a>(mut self, later: impl Iterator<Item = &'a Lesson>, open: &[Open]) -> Self {
        let until_ms = self.until_ms();
        self.open.extend(open_at(until_ms, later, open));
        self
    }

    /// The signals that were open when its newest lesson closed, as far as known.
    pub fn open(&self) -> &[Open] {
        &self.open
    }

    /// When the last lesson closed, UTC epoch ms; 0 without any.
    pub fn until_ms(&self) -> i64 {
        self.lessons.iter().map(|lesson| lesson.closed_ms).max().unwrap_or_default()
    }

    /// The number of lessons from before the last change.
    pub fn changed_at(&self) -> usize {
        self.changed_at
    }
}

/// Learns lessons one by one.
#[derive(Debug, Default)]
pub struct Learner {
    evidence: Evidence,
    model: OutcomeModel,
    change: ChangeDetector,
    overdue: bool,
}

impl Learner {
    /// Adds an outcome; this takes microseconds, whatever has been learned before. The model in service includes it
    /// when it is grown the next time.
    pub fn learn(&mut self, lesson: Lesson) {
        let model = &self.model;
        let foresees = model.learned > 0 && model.until_ms <= lesson.given_ms;
        let said = lesson.said.or_else(|| foresees.then(|| model.departures(&lesson.case)));
        if let Some(departures) = said {
            let before = model.weigh(&lesson.case, departures);
            let counts = 1.0 / model.design();
            if let Some(outcomes) = self.change.observe(before.probability, before.base_rate, lesson.success, counts) {
                self.evidence.changed_at = (self.evidence.lessons.len() + 1).saturating_sub(outcomes);
                self.overdue = true;
            }
        }
        self.evidence.lessons.push(Arc::new(lesson));
        self.evidence.said.push(said);
    }

    /// Learns from the front of a backlog as far as the model in service can judge. The rest must wait until a new
    /// model is grown; so a backlog teaches the same as outcomes that arrive one by one.
    ///
    /// Otherwise the test for a change would be misled: outcomes differ from a model that was never grown, and from one
    /// that a change has made obsolete, and the test would report a change each time.
    pub fn learn_some(&mut self, backlog: &mut VecDeque<Lesson>) {
        while self.may_judge(backlog.len()) {
            let Some(lesson) = backlog.pop_front() else { return };
            self.learn(lesson);
        }
    }

    fn may_judge(&self, waiting: usize) -> bool {
        let learned = self.model.learned;
        let many = waiting > growth(learned);
        self.evidence.lessons.len() - learned < learned.max(MIN_STAGE) && !(self.overdue && many)
    }

    /// Whether the model should be grown again.
    pub fn is_overdue(&self) -> bool {
        let new = self.evidence.lessons.len() - self.model.learned;
        self.overdue || new > 0 && new >= growth(self.model.learned)
    }

    /// Whether the model in service is so old that waiting for a new one is worthwhile: it is twice as far behind as
    /// when it became due.
    pub fn is_late(&self) -> bool {
        let new = self.evidence.lessons.len() - self.model.learned;
        new > 0 && new >= 2 * growth(self.model.learned)
    }

    /// The evidence for a new model.
    pub fn evidence(&self) -> Evidence {
        self.evidence.clone()
    }

    /// Takes a model grown from earlier evidence, and drops the oldest lessons beyond [`MAX_LESSONS`]. This is the
    /// right moment, because no other model is being grown that uses the old positions.
    pub fn adopt(&mut self, mut model: OutcomeModel) {
        // A change found in the meantime requires another model.
        self.overdue = model.changed_at != self.evidence.changed_at;
        let surplus = self.evidence.lessons.len().saturating_sub(MAX_LESSONS);
        if surplus > 0 {
            self.evidence.lessons.drain(..surplus);
            self.evidence.said.drain(..surplus);
        }
        self.evidence.changed_at = self.evidence.changed_at.saturating_sub(surplus);
        model.learned = model.learned.saturating_sub(surplus);
        model.changed_at = model.changed_at.saturating_sub(surplus);
        self.model = model;
    }

    /// A checkpoint for processes that start later, if the current model was grown from everything learned so far.
    /// `waiting` lessons of the initial backlog are left.
    pub fn checkpoint(&self, waiting: usize, seed: u64) -> Option<Checkpoint> {
        let lessons = self.evidence.lessons.len();
        (lessons > 0 && self.model.learned == lessons && !self.overdue).then(|| Checkpoint {
            version: checkpoint::VERSION.to_owned(),
            seed,
            closings: lessons + waiting,
            lessons,
            content: checkpoint::content(self.evidence.lessons.iter().map(|lesson| &**lesson)),
            changed_at: self.evidence.changed_at,
            said: self.evidence.said.clone(),
            change: self.change.clone(),
            model: self.model.clone(),
        })
    }

    /// Restores a learner from a checkpoint, if learning this backlog with these open signals would have passed through
    /// it; removes the learned lessons from the backlog.
    pub fn resume(checkpoint: Checkpoint, backlog: &mut VecDeque<Lesson>, open: &[Open], seed: u64) -> Option<Self> {
        if !checkpoint.is_of(backlog, open, seed) {
            return None;
        }
        let lessons: Vec<Arc<Lesson>> = backlog.drain(..checkpoint.lessons).map(Arc::new).collect();
        let Checkpoint { changed_at, said, change, model, .. } = checkpoint;
        Some(Self { evidence: Evidence { lessons, said, changed_at, open: Vec::new() }, model, change, overdue: false })
    }

    /// The model in service.
    pub fn model(&self) -> &OutcomeModel {
        &self.model
    }

    /// The closed signals it has learned.
    pub fn lessons(&self) -> &[Arc<Lesson>] {
        &self.evidence.lessons
    }
}

/// The number of new outcomes after which the model is due.
pub fn growth(learned: usize) -> usize {
    learned / GROWTH[usize::from(learned >= MANY)]
}

#[cfg(test)]
mod tests {
    use super::super::case::Case;
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn lesson(n: usize) -> Lesson {
        let case = Case::bare("BTCUSDT");
        let (given_ms, closed_ms) = (n as i64 * HOUR_MS, (n as i64 + 1) * HOUR_MS);
        Lesson { case, success: n.is_multiple_of(2), r: None, net_r: None, said: None, given_ms, closed_ms }
    }

    #[test]
    fn the_oldest_lessons_go_when_a_model_comes_and_all_counts_follow() {
        let mut learner = Learner::default();
        (0..MAX_LESSONS + 30).for_each(|n| learner.learn(lesson(n)));
        assert_eq!(learner.lessons().len(), MAX_LESSONS + 30, "lessons are kept until a model is adopted");
        learner.evidence.changed_at = 70;
        // Grown from all but the last twenty.
        let mut grown = OutcomeModel::default();
        (grown.learned, grown.changed_at) = (MAX_LESSONS + 10, 70);
        learner.adopt(grown);
        assert_eq!(learner.lessons().len(), MAX_LESSONS);
        assert_eq!(learner.lessons()[0].given_ms, 30 * HOUR_MS);
        assert_eq!((learner.evidence.changed_at, learner.model.learned), (40, MAX_LESSONS - 20));
        assert!(!learner.is_overdue());
        (0..MAX_LESSONS / GROWTH[1]).for_each(|n| learner.learn(lesson(n)));
        assert!(learner.is_overdue() && !learner.is_late());
        (0..MAX_LESSONS / GROWTH[1]).for_each(|n| learner.learn(lesson(n)));
        assert!(learner.is_late());
    }

    #[test]
    fn the_same_signals_at_another_date_teach_the_same() {
        let said = |later_ms: i64| {
            let mut learner = Learner::default();
            for n in 0..120 {
                let one = lesson(n);
                let (given_ms, closed_ms) = (one.given_ms + later_ms, one.closed_ms + later_ms);
                learner.learn(Lesson { given_ms, closed_ms, success: n % 3 == 0, ..one });
            }
            OutcomeModel::grow(&learner.evidence(), 7).chances(&lesson(0).case)
        };
        assert_eq!(said(0), said(1_700_000_123_457));
    }

    #[test]
    fn a_model_of_the_past_serves_until_a_twentieth_more_had_closed() {
        let mut learner = Learner::default();
        (0..200).for_each(|n| learner.learn(lesson(n)));
        let all = learner.evidence();
        let at = |count: i64| all.before(count * HOUR_MS);
        let model = OutcomeModel::grow(&at(100), 7);
        assert_eq!((model.learned(), model.until_ms()), (100, 100 * HOUR_MS));
        assert!(model.serves(&at(100)) && model.serves(&at(104)));
        assert!(!model.serves(&at(105)), "the model is due");
        assert!(!model.serves(&at(99)), "the model knows later outcomes");
    }

    #[test]
    fn past_evidence_has_open_signals_without_their_ends() {
        let mut learner = Learner::default();
        let long = |n: usize| Lesson { closed_ms: (n as i64 + 20) * HOUR_MS, ..lesson(n) };
        let mut all: Vec<Lesson> = (0..100).map(|n| if n % 4 == 0 { long(n) } else { lesson(n) }).collect();
        all.sort_by_key(|one| one.closed_ms);
        all.iter().for_each(|one| learner.learn(one.clone()));
        let then = learner.evidence().before(50 * HOUR_MS);
        let open = all.iter().filter(|one| one.given_ms <= 50 * HOUR_MS && one.closed_ms > 50 * HOUR_MS);
        assert_eq!((then.until_ms(), then.open().len()), (50 * HOUR_MS, open.count()));
        // As it would have been known then.
        let (closed, later): (Vec<&Lesson>, Vec<&Lesson>) = all.iter().partition(|one| one.closed_ms <= 50 * HOUR_MS);
        let mut before = Learner::default();
        closed.into_iter().for_each(|one| before.learn(one.clone()));
        let known = before.evidence().with_open(later.into_iter(), &[]);
        assert_eq!(known.open(), then.open());
    }

    #[test]
    fn a_change_called_while_a_model_grew_asks_for_another() {
        let mut learner = Learner::default();
        (0..100).for_each(|n| learner.learn(lesson(n)));
        let growing = learner.evidence();
        learner.evidence.changed_at = 95;
        learner.overdue = true;
        learner.adopt(OutcomeModel::grow(&growing, 7));
        assert!(learner.is_overdue(), "the model was grown before the change");
        learner.adopt(OutcomeModel::grow(&learner.evidence(), 7));
        assert!(!learner.is_overdue());
        assert!(learner.model().effective() <= 5.0, "{}", learner.model().effective());
    }
}
