//! The learner of a home: its evidence, its model, and how they keep up with each other.

use super::base_rate::BaseRate;
use super::calibration::{Calibration, Unseen};
use super::case::{Case, Lesson};
use super::change::ChangeDetector;
use super::checkpoint::{self, Checkpoint};
use super::forest::{Growth, OutcomeForest, Table};
use super::layout::Layout;
use super::lives::{self, Lives};
use super::reasons::Reasons;
use crate::learning::time_decay;
use crate::order;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Closed signals learned from at most: the newest.
pub const MAX_LESSONS: usize = 10_000;
/// Below this many there is nothing but the base rate to learn.
const MIN_LESSONS: usize = 10;
/// Trees are grown anew when the evidence has grown by one part in this many; in between they count along.
const GROWTH: usize = 20;
const TREES: usize = 75;
/// Forests one after the other, each learning what those before left: with as many trees, they follow effects that add up
/// better than one (Ghosal and Hooker, *Boosting random forests to reduce bias*, 2021). The same outcomes never serve twice:
/// each forest learns what the one before left of the rows that its trees had not seen.
const STAGES: u64 = 2;
/// Splits tried at each node: few while there is little to tell good ones by.
const TRIES: (usize, usize) = (16, 96);
/// Lessons for which one more split is tried.
const LESSONS_A_TRY: usize = 11;
/// Post-change outcomes below which older ones cannot be judged by them.
const MIN_RECENT: f64 = 10.0;
/// What lessons from before a change may count: the one under which the outcomes since are predicted best is taken.
const DISCOUNTS: [f64; 3] = [1.0, 0.2, 0.0];

/// What a signal's chances are, and what that rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Chances {
    /// That it succeeds, 0–1.
    pub probability: f64,
    /// The same without a look at its indicators, 0–1.
    pub base_rate: f64,
}

/// The closed signals so far, in the order in which they were learned; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    lessons: Vec<Arc<Lesson>>,
    /// Lessons before this one are from before the last change.
    changed_at: usize,
}

/// Learns lessons one by one.
#[derive(Debug, Default)]
pub struct Learner {
    evidence: Evidence,
    /// What each lesson counted when it was learned.
    counted: Vec<f64>,
    lives: Lives,
    model: OutcomeModel,
    change: ChangeDetector,
    overdue: bool,
}

impl Learner {
    /// Counts an outcome, at once, in everything there is: microseconds, whatever has been learned before. It counts as far
    /// as those that were under way with it have not told the same.
    pub fn learn(&mut self, lesson: Lesson) {
        let lesson = Arc::new(lesson);
        let weight = self.lives.add(&lesson);
        let before = self.model.chances(&lesson.case);
        let change = self.change.observe(before.probability, before.base_rate, lesson.success, weight);
        self.evidence.lessons.push(lesson.clone());
        self.counted.push(weight);
        if let Some(outcomes) = change {
            self.evidence.changed_at = self.evidence.lessons.len() - outcomes;
            self.overdue = true;
        }
        self.model.count(&lesson, weight);
    }

    /// Learns from the front of a backlog as much as the model in service may judge. What it leaves comes once a new model is
    /// grown: so a backlog teaches what the same outcomes would have taught one by one.
    ///
    /// A model that was never grown departs from everything, and one that a change has overtaken departs from all that
    /// follows; the test for a change would take either for one more change.
    pub fn learn_some(&mut self, backlog: &mut VecDeque<Lesson>) {
        while self.may_judge(backlog.len()) {
            let Some(lesson) = backlog.pop_front() else { return };
            self.learn(lesson);
        }
    }

    fn may_judge(&self, waiting: usize) -> bool {
        let learned = self.model.learned;
        let many = waiting > learned / GROWTH;
        self.evidence.lessons.len() - learned < learned.max(MIN_LESSONS) && !(self.overdue && many)
    }

    /// Is it time to grow the model anew?
    pub fn is_overdue(&self) -> bool {
        let new = self.evidence.lessons.len() - self.model.learned;
        self.overdue || new > 0 && new >= self.model.learned / GROWTH
    }

    /// What a new model is grown from.
    pub fn evidence(&self) -> Evidence {
        self.evidence.clone()
    }

    /// Takes a model that was grown from earlier evidence, counts what has come since, and lets go of the oldest lessons
    /// beyond [`MAX_LESSONS`]: here, where no other model is being grown that numbers them as they were.
    pub fn adopt(&mut self, mut model: OutcomeModel) {
        // A change called meanwhile asks for another one.
        self.overdue = model.changed_at != self.evidence.changed_at;
        for (lesson, weight) in self.evidence.lessons.iter().zip(&self.counted).skip(model.learned) {
            model.count(lesson, *weight);
        }
        let surplus = self.evidence.lessons.len().saturating_sub(MAX_LESSONS);
        if surplus > 0 {
            self.evidence.lessons.drain(..surplus);
            self.counted.drain(..surplus);
            self.lives = Lives::of(self.evidence.lessons.iter().map(|lesson| &**lesson));
        }
        self.evidence.changed_at = self.evidence.changed_at.saturating_sub(surplus);
        model.learned = model.learned.saturating_sub(surplus);
        self.model = model;
    }

    /// Where it stands, if a model of all that it has learned has just been grown: what a process that starts later need not
    /// learn again. `waiting` lessons of the backlog that it was started with are left.
    pub fn checkpoint(&self, waiting: usize, seed: u64) -> Option<Checkpoint> {
        let lessons = self.evidence.lessons.len();
        (lessons > 0 && self.model.learned == lessons && !self.overdue).then(|| Checkpoint {
            version: checkpoint::VERSION.to_owned(),
            seed,
            closings: lessons + waiting,
            lessons,
            content: checkpoint::content(self.evidence.lessons.iter().map(|lesson| &**lesson)),
            changed_at: self.evidence.changed_at,
            counted: self.counted.clone(),
            change: self.change.clone(),
            model: self.model.clone(),
        })
    }

    /// A learner that stands there, if that is where one that began with this backlog would have come to; it takes from the
    /// backlog what it has learned.
    pub fn resume(checkpoint: Checkpoint, backlog: &mut VecDeque<Lesson>, seed: u64) -> Option<Self> {
        if !checkpoint.is_of(backlog, seed) {
            return None;
        }
        let lessons: Vec<Arc<Lesson>> = backlog.drain(..checkpoint.lessons).map(Arc::new).collect();
        let lives = Lives::of(lessons.iter().map(|lesson| &**lesson));
        let Checkpoint { changed_at, counted, change, model, .. } = checkpoint;
        Some(Self { evidence: Evidence { lessons, changed_at }, counted, lives, model, change, overdue: false })
    }

    /// The model in service.
    pub fn model(&self) -> &OutcomeModel {
        &self.model
    }

    /// Closed signals learned from.
    pub fn lessons(&self) -> &[Arc<Lesson>] {
        &self.evidence.lessons
    }
}

/// A base rate, a forest for what the base rate leaves open, and how far to believe it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OutcomeModel {
    layout: Layout,
    base: BaseRate,
    stages: Vec<OutcomeForest>,
    calibration: Calibration,
    reasons: Reasons,
    /// Lessons that it was grown from; those since are counted only.
    learned: usize,
    /// Which of them were from before the last change.
    changed_at: usize,
    /// The sum of their weights.
    effective: f64,
}

/// A lesson to grow from.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    lesson: &'a Lesson,
    /// What it is worth beside those that were under way with it.
    unique: f64,
    /// The same, less for its age.
    weight: f64,
    block: u32,
    /// From before the last change.
    old: bool,
}

/// The evidence in order of closing, whatever the order in which it was learned.
fn rows(evidence: &Evidence) -> Vec<Row<'_>> {
    let learned = evidence.lessons.iter().enumerate();
    let mut dated: Vec<(&Lesson, bool)> = learned.map(|(at, lesson)| (&**lesson, at < evidence.changed_at)).collect();
    order::sort_by_key(&mut dated, |(lesson, _)| lesson.order());
    let lessons: Vec<&Lesson> = dated.iter().map(|(lesson, _)| *lesson).collect();
    let unique = lives::uniqueness(&lessons);
    let blocks = lives::blocks(&lessons, &unique);
    let decay = time_decay(&lessons.iter().map(|lesson| lesson.closed_ms).collect::<Vec<_>>());
    let row = |(((lesson, old), unique), (decay, block))| Row { lesson, unique, weight: unique * decay, block, old };
    dated.into_iter().zip(unique).zip(decay.into_iter().zip(blocks)).map(row).collect()
}

impl OutcomeModel {
    /// Grows a model, on the threads of the calling pool. The same evidence gives the same model, to the bit, whatever
    /// their number.
    pub fn grow(evidence: &Evidence, seed: u64) -> Self {
        let rows = rows(evidence);
        let recent: f64 = rows.iter().filter(|row| !row.old).map(|row| row.unique).sum();
        let discounts = match evidence.changed_at {
            0 => &DISCOUNTS[..1],
            _ if recent < MIN_RECENT => &DISCOUNTS[2..],
            _ => &DISCOUNTS,
        };
        let grown = discounts.iter().map(|discount| Self::grow_with(&rows, *discount, seed));
        let best = grown.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(model, _)| model).unwrap_or_default();
        Self { learned: rows.len(), changed_at: evidence.changed_at, ..best }
    }

    /// A model for which lessons from before the change count `discount`, and its loss on unseen lessons since.
    fn grow_with(rows: &[Row<'_>], discount: f64, seed: u64) -> (Self, f64) {
        let mut rows = rows.to_vec();
        rows.iter_mut().filter(|row| row.old).for_each(|row| row.weight *= discount);
        rows.retain(|row| row.weight > 0.0);
        let lessons: Vec<&Lesson> = rows.iter().map(|row| row.lesson).collect();
        let mut model = Self {
            base: BaseRate::fit(rows.iter().map(|row| (row.lesson, row.weight))),
            effective: rows.iter().map(|row| row.weight).sum(),
            ..Self::default()
        };
        if lessons.len() < MIN_LESSONS {
            return (model, 0.0);
        }
        model.layout = Layout::of(&lessons);
        let mut table = Table {
            targets: lessons.iter().map(|lesson| success(lesson) - model.base.of(&lesson.case) as f32).collect(),
            weights: rows.iter().map(|row| row.weight as f32).collect(),
            blocks: rows.iter().map(|row| row.block).collect(),
            ..model.layout.table(&lessons)
        };
        let independent: f64 = rows.iter().map(|row| row.unique).sum();
        let tries = (TRIES.0 + independent.round() as usize / LESSONS_A_TRY).min(TRIES.1);
        let mut outside = vec![0.0; lessons.len()];
        for stage in 0..STAGES {
            let growth = Growth { trees: TREES, tries, seed: seed.wrapping_add(stage * TREES as u64) };
            let (forest, left_out) = OutcomeForest::grow(&table, growth);
            for ((target, sum), own) in table.targets.iter_mut().zip(&mut outside).zip(left_out) {
                *target -= own as f32;
                *sum += own;
            }
            model.stages.push(forest);
        }
        let unseen = |(row, residual): (&Row<'_>, f64)| Unseen {
            base: model.base.of(&row.lesson.case),
            residual,
            success: row.lesson.success,
            weight: row.weight,
        };
        let unseen: Vec<Unseen> = rows.iter().zip(outside).map(unseen).collect();
        model.calibration = Calibration::fit(&unseen);
        model.reasons = Reasons::of(&lessons, &model.layout);
        let loss = |row: &Unseen| {
            let p = model.calibration.probability(row.base, row.residual);
            -row.weight * (if row.success { p } else { 1.0 - p }).ln()
        };
        let loss = rows.iter().zip(&unseen).filter(|(row, _)| !row.old).map(|(_, unseen)| loss(unseen)).sum();
        (model, loss)
    }

    /// Counts an outcome in the trees that stand.
    fn count(&mut self, lesson: &Lesson, weight: f64) {
        let row = self.layout.row(&lesson.case);
        let mut target = success(lesson) - self.base.of(&lesson.case) as f32;
        for stage in &mut self.stages {
            let known = stage.predict(&row) as f32;
            stage.update(&row, target, weight as f32);
            target -= known;
        }
        self.effective += weight;
    }

    /// The chances of a signal.
    pub fn chances(&self, case: &Case) -> Chances {
        let base_rate = self.base.of(case);
        let row = self.layout.row(case);
        let residual = self.stages.iter().map(|stage| stage.predict(&row)).sum();
        Chances { probability: self.calibration.probability(base_rate, residual), base_rate }
    }

    /// Why, in words: how signals like this one have fared.
    pub fn reasons(&self, case: &Case) -> Vec<String> {
        self.reasons.give(&self.layout.see(case), &self.layout)
    }

    /// Is an indicator of this name among those that it looks at?
    pub fn looks_at(&self, indicator: &str) -> bool {
        self.layout.has(indicator)
    }

    /// How many outcomes of today the evidence is worth.
    pub fn effective(&self) -> f64 {
        self.effective
    }
}

fn success(lesson: &Lesson) -> f32 {
    f32::from(u8::from(lesson.success))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn lesson(n: usize) -> Lesson {
        let case = Case::bare("BTCUSDT");
        Lesson { case, success: n.is_multiple_of(2), given_ms: n as i64 * HOUR_MS, closed_ms: (n as i64 + 1) * HOUR_MS }
    }

    #[test]
    fn the_oldest_lessons_go_when_a_model_comes_and_all_counts_follow() {
        let mut learner = Learner::default();
        (0..MAX_LESSONS + 30).for_each(|n| learner.learn(lesson(n)));
        assert_eq!(learner.lessons().len(), MAX_LESSONS + 30, "not before: a model may be growing");
        learner.evidence.changed_at = 70;
        // Grown from all but the last twenty.
        learner.adopt(OutcomeModel { learned: MAX_LESSONS + 10, changed_at: 70, ..OutcomeModel::default() });
        assert_eq!(learner.lessons().len(), MAX_LESSONS);
        assert_eq!(learner.lessons()[0].given_ms, 30 * HOUR_MS);
        assert_eq!((learner.evidence.changed_at, learner.model.learned), (40, MAX_LESSONS - 20));
        assert!((learner.model.effective() - 20.0).abs() < 1e-9, "those since are counted");
        assert!(!learner.is_overdue());
        (0..MAX_LESSONS / GROWTH).for_each(|n| learner.learn(lesson(n)));
        assert!(learner.is_overdue());
    }

    #[test]
    fn a_change_called_while_a_model_grew_asks_for_another() {
        let mut learner = Learner::default();
        (0..100).for_each(|n| learner.learn(lesson(n)));
        let growing = learner.evidence();
        learner.evidence.changed_at = 90;
        learner.overdue = true;
        learner.adopt(OutcomeModel::grow(&growing, 7));
        assert!(learner.is_overdue(), "it knows nothing of the change");
        learner.adopt(OutcomeModel::grow(&learner.evidence(), 7));
        assert!(!learner.is_overdue());
        assert!(learner.model().effective() <= 10.0, "{}", learner.model().effective());
    }
}
