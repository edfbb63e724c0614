//! The outcome model. It estimates a signal's probability in layers: the levels, the candle model, base rates of
//! similar signals, and three learners of its indicators. Each layer predicts the departure from the one before it, and
//! counts as far as its earlier predictions came true.

use super::case::{Case, Lesson, PROBABILITY_RANGE};
use super::design::Design;
use super::forest::{Growth, OutcomeForest, Table};
use super::layout::{Layout, clusters};
use super::learner::{Evidence, growth};
use super::levels::{Counted, Levels};
use super::payoff::Payoffs;
use super::process::{Process, ProcessSample, Quantity};
use super::reasons::Reasons;
use super::scores::Ranks;
use super::stack::{Forecast, SOURCES, Stack};
use super::survivors::early;
use crate::model::{Bins, Boosting, BoostingParameters, Family};
use crate::odds::{log_odds, logistic};
use crate::time_decay;
use domain::cancel::Cancel;
use domain::proportions::Z_95;
use domain::signal::{Contributions, Departures};
use serde::{Deserialize, Serialize};

/// With fewer lessons only base rates are learned.
const MIN_LESSONS: usize = 10;
/// The largest numbers of outcomes that the Gaussian process and the trees learn from.
const PROCESS_ROWS: usize = 400;
const TREE_ROWS: usize = 12_000;
/// The largest number of quantities of the process; where there are more, the most predictive ones are used.
const MAX_QUANTITIES: usize = 40;
const TREES: usize = 60;
/// Forests in sequence, each fitted to the residuals of those before: with the same number of trees, they follow
/// additive effects better than a single forest (Ghosal and Hooker, *Boosting random forests to reduce bias*, 2021).
/// Residuals are out of bag, so no outcome is used twice.
const STAGES: u64 = 2;
/// The smallest and largest number of splits tried at each node: few while there are too few outcomes to choose between
/// them.
const TRIES: (usize, usize) = (16, 64);
/// The number of lessons for each further split tried.
const LESSONS_A_TRY: usize = 11;
/// A learner's departure is clipped here, in log odds.
const FURTHEST: f64 = 3.0;
/// With fewer outcomes since a change, the weight of older ones cannot be judged.
const MIN_RECENT: f64 = 10.0;
/// The process leaves out lessons with less weight than this.
const LITTLE: f64 = 0.5;
/// Candidate weights of lessons from before a change: the one that predicts the outcomes since best is used.
const DISCOUNTS: [f64; 3] = [1.0, 0.2, 0.0];

/// The chances of a signal, and how they were computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chances {
    /// The probability of success, 0–1.
    pub probability: f64,
    /// Its 95 % interval.
    pub interval: (f64, f64),
    /// The probability without its candles and indicators, 0–1.
    pub base_rate: f64,
    /// The probability implied by its levels, 0–1.
    pub implied: f64,
    /// The prediction of each source, unweighted.
    pub departures: Departures,
    /// What the levels and each source add to the log odds: see [`super::contributions`].
    pub contributions: Contributions,
    /// The expected profit of a success and of a failure, before costs, in stop distances.
    pub payoffs: (f64, f64),
}

impl Chances {
    /// Expected profit before costs, in stop distances.
    pub fn expected_r(&self) -> f64 {
        let (success, failure) = self.payoffs;
        self.probability * success + (1.0 - self.probability) * failure
    }

    /// The standard error of [`Self::expected_r`].
    pub fn expected_r_error(&self) -> f64 {
        (self.payoffs.0 - self.payoffs.1).abs() * (self.interval.1 - self.interval.0) / (2.0 * Z_95)
    }
}

/// The model that is served.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OutcomeModel {
    pub(super) layout: Layout,
    levels: Levels,
    stack: Stack,
    process: Option<(Process, Vec<usize>, Vec<Ranks>)>,
    boosting: Option<Boosted>,
    forests: Vec<OutcomeForest>,
    payoffs: Payoffs,
    reasons: Reasons,
    /// The number of lessons it was grown from.
    pub(super) learned: usize,
    /// How many of them were from before the last change.
    pub(super) changed_at: usize,
    /// When the last of them closed, UTC epoch ms.
    pub(super) until_ms: i64,
    /// How many signals were open then.
    pub(super) open: usize,
    /// The effective number of independent outcomes.
    effective: f64,
}

/// Boosted trees, and the medians that replace missing values.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Boosted {
    boosting: Boosting,
    offset: f64,
    places: Vec<usize>,
    /// The replacement of each missing value.
    medians: Vec<f64>,
}

/// A lesson as a training row.
#[derive(Debug, Clone, Copy)]
struct TrainingRow<'a> {
    lesson: &'a Lesson,
    said: Option<Departures>,
    weight: f64,
    cluster: i64,
    /// How much its log odds of success are raised by the fact that it is among the signals that have already closed,
    /// see [`early`].
    early: f64,
    /// Whether it is from before the last change.
    old: bool,
}

/// The evidence in order of time, by clusters.
fn rows(evidence: &Evidence) -> Vec<TrainingRow<'_>> {
    let lessons: Vec<&Lesson> = evidence.lessons().iter().map(|lesson| &**lesson).collect();
    let clusters = clusters(&lessons);
    let mut dated: Vec<(usize, &Lesson)> = lessons.iter().copied().enumerate().collect();
    dated.sort_by(|a, b| (clusters[a.0], a.1.order()).cmp(&(clusters[b.0], b.1.order())));
    let mut closed: Vec<i64> = lessons.iter().map(|lesson| lesson.closed_ms).collect();
    closed.sort_unstable();
    let decay = time_decay(&closed);
    let early = early(&lessons, evidence.open(), evidence.until_ms());
    dated
        .into_iter()
        .map(|(at, lesson)| TrainingRow {
            lesson,
            said: evidence.said(at),
            weight: decay[closed.partition_point(|closed| *closed < lesson.closed_ms).min(closed.len() - 1)],
            cluster: clusters[at],
            early: early[at],
            old: at < evidence.changed_at(),
        })
        .collect()
}

/// Multiplies the weights of rows from before the last change by `discount`.
fn discounted(rows: &mut Vec<TrainingRow<'_>>, discount: f64) {
    rows.iter_mut().filter(|row| row.old).for_each(|row| row.weight *= discount);
    rows.retain(|row| row.weight > 0.0);
}

/// A sample of at most `most` of `count` rows: half of them are the newest, the others are evenly spaced among those
/// before.
fn chosen(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    let (newest, older) = (most / 2, most - most / 2);
    let before = count - newest;
    (0..older).map(|at| at * before / older).chain(before..count).collect()
}

impl OutcomeModel {
    /// Grows a model on the threads of the calling pool. The same evidence gives the same model, bit by bit, whatever
    /// the number of threads.
    pub fn grow(evidence: &Evidence, seed: u64) -> Self {
        let mut rows = rows(evidence);
        if rows.is_empty() {
            return Self::default();
        }
        let recent = rows.iter().filter(|row| !row.old).count() as f64;
        let discounts = match evidence.changed_at() {
            0 => &DISCOUNTS[..1],
            _ if recent < MIN_RECENT => &DISCOUNTS[2..],
            _ => &DISCOUNTS,
        };
        let grown = discounts.iter().map(|discount| Self::with_forests(&rows, *discount, seed));
        let best = grown.zip(discounts).min_by(|a, b| a.0.1.total_cmp(&b.0.1));
        let Some(((mut model, _), discount)) = best else { return Self::default() };
        discounted(&mut rows, *discount);
        if rows.len() >= MIN_LESSONS {
            let lessons: Vec<&Lesson> = rows.iter().map(|row| row.lesson).collect();
            model.reasons = Reasons::of(&lessons, &model.layout);
        }
        model.add_learners(&rows, seed);
        model.learned = evidence.lessons().len();
        model.changed_at = evidence.changed_at();
        model.until_ms = evidence.until_ms();
        model.open = evidence.open().len();
        model
    }

    /// A model with forests only, in which lessons from before the change have weight `discount`, and its out-of-bag
    /// loss on the lessons since.
    fn with_forests(rows: &[TrainingRow<'_>], discount: f64, seed: u64) -> (Self, f64) {
        let mut rows = rows.to_vec();
        discounted(&mut rows, discount);
        let foretold = |row: &TrainingRow<'_>| {
            let [levels, process, boosting, forest] = row.said?;
            let case: &Case = &row.lesson.case;
            Some(Forecast {
                implied: case.implied_log_odds() + row.early,
                departures: [case.candles(), levels, process, boosting, forest],
                cluster: row.cluster,
                weight: if row.old { discount } else { 1.0 },
                success: row.lesson.success,
            })
        };
        let forecasts: Vec<Forecast> = rows.iter().filter_map(foretold).collect();
        let mut model = Self { stack: Stack::fit(&forecasts, design_of(&rows)), ..Self::default() };
        let counted = rows.iter().map(|row| Counted {
            case: &row.lesson.case,
            expected: model.expected(&row.lesson.case) + row.early,
            cluster: row.cluster,
            weight: row.weight,
            success: row.lesson.success,
        });
        let levels = Levels::fit(&counted.collect::<Vec<_>>());
        model.levels = levels;
        model.effective = rows.iter().map(|row| row.weight).sum::<f64>() / model.levels.design();
        let lessons: Vec<&Lesson> = rows.iter().map(|row| row.lesson).collect();
        model.payoffs = Payoffs::of(lessons.iter().copied());
        if lessons.len() < MIN_LESSONS {
            return (model, 0.0);
        }
        model.layout = Layout::of(&lessons);
        let picked = chosen(rows.len(), TREE_ROWS);
        let lessons: Vec<&Lesson> = picked.iter().map(|&at| rows[at].lesson).collect();
        let started: Vec<f64> = picked.iter().map(|&at| model.started(&rows[at])).collect();
        let design = model.levels.design();
        let mut table = Table {
            targets: lessons
                .iter()
                .zip(&started)
                .map(|(lesson, start)| success(lesson) - logistic(*start) as f32)
                .collect(),
            weights: picked.iter().map(|&at| (rows[at].weight / design.sqrt()) as f32).collect(),
            blocks: numbered(picked.iter().map(|&at| rows[at].cluster)),
            ..model.layout.table(&lessons)
        };
        let tries = (TRIES.0 + lessons.len() / LESSONS_A_TRY).min(TRIES.1);
        let mut outside = vec![0.0; lessons.len()];
        for stage in 0..STAGES {
            let growth = Growth { trees: TREES, tries, seed: seed.wrapping_add(stage * TREES as u64) };
            let (forest, left_out) = OutcomeForest::grow(&table, growth);
            for ((target, sum), own) in table.targets.iter_mut().zip(&mut outside).zip(left_out) {
                *target -= own as f32;
                *sum += own;
            }
            model.forests.push(forest);
        }
        let loss = |((&at, start), residual): ((&usize, &f64), &f64)| {
            let row = &rows[at];
            let p = within(logistic(*start) + residual);
            if row.old { 0.0 } else { -(if row.lesson.success { p } else { 1.0 - p }).ln() }
        };
        let loss = picked.iter().zip(&started).zip(&outside).map(loss).sum();
        (model, loss)
    }

    /// Fits the process and the boosted trees.
    fn add_learners(&mut self, rows: &[TrainingRow<'_>], seed: u64) {
        if rows.len() < MIN_LESSONS {
            return;
        }
        let (process, boosting) = rayon::join(|| self.fit_process(rows), || self.fit_boosting(rows, seed));
        (self.process, self.boosting) = (process, boosting);
    }

    fn fit_process(&self, rows: &[TrainingRow<'_>]) -> Option<(Process, Vec<usize>, Vec<Ranks>)> {
        // The process has no weights: rows of low weight are left out, unless too few would remain.
        let since: Vec<&TrainingRow<'_>> = rows.iter().filter(|row| !row.old).collect();
        let all: Vec<&TrainingRow<'_>> = rows.iter().collect();
        let of = if since.len() < MIN_LESSONS || rows.iter().all(|row| row.weight > LITTLE) { all } else { since };
        let picked: Vec<&TrainingRow<'_>> = chosen(of.len(), PROCESS_ROWS).into_iter().map(|at| of[at]).collect();
        let values: Vec<Vec<f32>> = picked.iter().map(|row| self.layout.row(&row.lesson.case)).collect();
        let expected: Vec<f64> = picked.iter().map(|row| self.started(row)).collect();
        let happened: Vec<f64> = picked.iter().map(|row| f64::from(success(row.lesson))).collect();
        let surprises: Vec<f64> = happened.iter().zip(&expected).map(|(y, start)| y - logistic(*start)).collect();
        let mut judged: Vec<(usize, Ranks, Quantity, f64, f64)> = Vec::new();
        for place in self.layout.quantities() {
            let column = || values.iter().map(|row| row[place]);
            let (ranks, quantity) = if self.layout.is_category(place) {
                (Ranks::default(), Quantity::Category(column().collect()))
            } else {
                let ranks = Ranks::of(column());
                let scores = column().map(|value| ranks.score(value)).collect();
                (ranks, Quantity::Score(scores))
            };
            let (design, told) = dependence(&picked, &quantity, &surprises);
            judged.push((place, ranks, quantity, design, told));
        }
        if judged.len() > MAX_QUANTITIES {
            judged.sort_by(|a, b| b.4.total_cmp(&a.4).then(a.0.cmp(&b.0)));
            judged.truncate(MAX_QUANTITIES);
            judged.sort_by_key(|judged| judged.0);
        }
        let quantities: Vec<Quantity> = judged.iter().map(|one| one.2.clone()).collect();
        let designs: Vec<f64> = judged.iter().map(|one| one.3).collect();
        let sample =
            ProcessSample { quantities: &quantities, designs: &designs, expected: &expected, happened: &happened };
        let process = Process::fit(&sample)?;
        let (places, ranks) = judged.into_iter().map(|one| (one.0, one.1)).unzip();
        Some((process, places, ranks))
    }

    fn fit_boosting(&self, rows: &[TrainingRow<'_>], seed: u64) -> Option<Boosted> {
        let picked: Vec<&TrainingRow<'_>> = chosen(rows.len(), TREE_ROWS).into_iter().map(|at| &rows[at]).collect();
        let places = self.layout.quantities();
        let values: Vec<Vec<f32>> = picked.iter().map(|row| self.layout.row(&row.lesson.case)).collect();
        let median = |place: &usize| {
            let mut known: Vec<f32> = values.iter().map(|row| row[*place]).filter(|value| !value.is_nan()).collect();
            known.sort_unstable_by(f32::total_cmp);
            known.get(known.len() / 2).copied().map_or(0.0, f64::from)
        };
        let medians: Vec<f64> = places.iter().map(median).collect();
        let whole: Vec<Vec<f64>> = values.iter().map(|row| completed(row, &places, &medians)).collect();
        let whole: Vec<&[f64]> = whole.iter().map(Vec::as_slice).collect();
        let happened: Vec<bool> = picked.iter().map(|row| row.lesson.success).collect();
        let weights: Vec<f64> = picked.iter().map(|row| row.weight).collect();
        let offsets: Vec<f64> = picked.iter().map(|row| within(logistic(self.started(row)))).collect();
        let bins = Bins::new(&whole);
        let sample = crate::model::Sample { bins: &bins, happened: &happened, weights: &weights, offsets: &offsets };
        let design = self.levels.design();
        let parameters = BoostingParameters {
            rounds: 30,
            max_leaves: 4,
            min_leaf: (6.0 * design.sqrt()).round() as usize,
            shrinkage: 8.0 * design,
            rate: 0.03,
            row_share: 0.7,
            feature_share: 0.4,
        };
        // A sample that no tree can be grown on teaches nothing.
        let boosting = Boosting::fit(&sample, parameters, seed, &Cancel::default()).ok()?;
        let offset = weights.iter().zip(&offsets).map(|(weight, offset)| weight * offset).sum::<f64>()
            / weights.iter().sum::<f64>();
        Some(Boosted { boosting, offset, places, medians })
    }

    /// The log odds of a signal before any outcome is considered.
    fn expected(&self, case: &Case) -> f64 {
        case.implied_log_odds() + self.stack.weights[0] * case.candles()
    }

    /// The log odds that the learners of indicators start from.
    fn started(&self, row: &TrainingRow<'_>) -> f64 {
        let case = &row.lesson.case;
        self.expected(case) + row.early + self.levels.of(case).0
    }

    /// The prediction of each source for a signal.
    pub fn departures(&self, case: &Case) -> Departures {
        let (levels, _) = self.levels.of(case);
        if self.forests.is_empty() {
            return [levels, 0.0, 0.0, 0.0];
        }
        let row = self.layout.row(case);
        let start = self.expected(case) + levels;
        let residual: f64 = self.forests.iter().map(|forest| forest.predict(&row)).sum();
        let forest = log_odds(within(logistic(start) + residual)) - log_odds(within(logistic(start)));
        let process = self.process.as_ref().map_or(0.0, |(process, places, ranks)| {
            let value = |at: usize| {
                let value = row[places[at]];
                if self.layout.is_category(places[at]) { value } else { ranks[at].score(value) }
            };
            let departure = process.departure(value);
            // Averages over the uncertainty of the departure.
            let spread = (1.0 + std::f64::consts::PI * process.variance() / 8.0).sqrt();
            (start + departure) / spread - start
        });
        let boosting = self.boosting.as_ref().map_or(0.0, |boosted| boosted.departure(&row));
        [levels, process, boosting, forest].map(|departure| departure.clamp(-FURTHEST, FURTHEST))
    }

    /// The chances of a signal.
    pub fn chances(&self, case: &Case) -> Chances {
        self.weigh(case, self.departures(case))
    }

    /// The chances of a signal by its base rate alone, without its candles and indicators.
    pub fn chances_of_base_rate(&self, case: &Case) -> Chances {
        let case = Case { prior: None, ..case.clone() };
        self.weigh(&case, [self.levels.of(&case).0, 0.0, 0.0, 0.0])
    }

    /// The chances of a signal, given the predictions of the sources.
    pub fn weigh(&self, case: &Case, departures: Departures) -> Chances {
        let [levels, process, boosting, forest] = departures;
        let said = [case.candles(), levels, process, boosting, forest];
        let implied = case.implied_log_odds();
        let centre = self.stack.log_odds(implied, &said);
        let Stack { weights, variances } = self.stack;
        let mut variance: f64 = said.iter().zip(&variances).map(|(said, variance)| said * said * variance).sum();
        variance += weights[1].powi(2) * self.levels.of(case).1;
        let learners = (process + boosting + forest) / 3.0;
        for (said, weight) in said.iter().zip(&weights).skip(2) {
            variance += (weight * (said - learners)).powi(2);
        }
        if let Some((process, ..)) = &self.process {
            variance += weights[2].powi(2) * process.variance();
        }
        let at = |log_odds: f64| within(logistic(log_odds));
        let reach = Z_95 * variance.sqrt();
        Chances {
            probability: at(centre),
            interval: (at(centre - reach), at(centre + reach)),
            base_rate: at(implied + weights[1] * levels),
            implied: case.implied,
            departures,
            contributions: std::array::from_fn(|at| match at {
                0 => implied,
                at => weights[at - 1] * said[at - 1],
            }),
            payoffs: self.payoffs.expected(case),
        }
    }

    /// The reasons in words: how similar signals did.
    pub fn reasons(&self, case: &Case) -> Vec<String> {
        self.reasons.give(&self.layout.see(case), &self.layout)
    }

    /// Whether an indicator of this name is among those it uses.
    pub fn looks_at(&self, indicator: &str) -> bool {
        self.layout.has(indicator)
    }

    /// The effective number of independent outcomes.
    pub fn effective(&self) -> f64 {
        self.effective
    }

    /// The number of closed signals it was grown from.
    pub fn learned(&self) -> usize {
        self.learned
    }

    /// Whether it knows nothing beyond this evidence, and is not yet due to be grown again from it.
    pub fn serves(&self, evidence: &Evidence) -> bool {
        let lessons = evidence.lessons();
        let new = lessons.len().checked_sub(self.learned);
        self.until_ms <= evidence.until_ms() && new.is_some_and(|new| new == 0 || new < growth(self.learned))
    }

    /// When its last lesson closed, UTC epoch ms; 0 without any.
    pub fn until_ms(&self) -> i64 {
        self.until_ms
    }

    /// The design effect.
    pub fn design(&self) -> f64 {
        self.levels.design()
    }

    /// The weight of each source.
    pub fn weights(&self) -> [f64; SOURCES] {
        self.stack.weights
    }
}

impl Boosted {
    fn departure(&self, row: &[f32]) -> f64 {
        // A row of finite values always has a departure.
        let departure = self.boosting.departure(&completed(row, &self.places, &self.medians)).unwrap_or_default();
        log_odds(within(self.offset + departure)) - log_odds(within(self.offset))
    }
}

fn completed(row: &[f32], places: &[usize], medians: &[f64]) -> Vec<f64> {
    let value = |(&place, median): (&usize, &f64)| if row[place].is_nan() { *median } else { f64::from(row[place]) };
    places.iter().zip(medians).map(value).collect()
}

/// The design effect for a quantity, and how strongly it predicts the outcomes, in standard errors.
fn dependence(rows: &[&TrainingRow<'_>], quantity: &Quantity, surprises: &[f64]) -> (f64, f64) {
    let of = |term: &dyn Fn(usize) -> f32| {
        let (mut design, mut total) = (Design::default(), 0.0);
        for (at, row) in rows.iter().enumerate() {
            let term = term(at);
            if term.is_finite() && term != 0.0 {
                let score = f64::from(term) * surprises[at];
                design.add(row.cluster, score);
                total += score;
            }
        }
        (design.effect(), design.departure(total).abs())
    };
    match quantity {
        Quantity::Score(scores) => {
            let [line, ends] = [of(&|at| scores[at]), of(&|at| scores[at] * scores[at] - 1.0)];
            ((line.0 + ends.0) / 2.0, line.1.max(ends.1))
        }
        Quantity::Category(numbers) => {
            let most = numbers.iter().copied().filter(|number| !number.is_nan()).fold(-1.0, f32::max);
            let categories = 0..(most + 1.0) as usize;
            let each: Vec<(f64, f64)> =
                categories.map(|category| of(&|at| f32::from(u8::from(numbers[at] == category as f32)))).collect();
            let mean = each.iter().map(|one| one.0).sum::<f64>() / each.len().max(1) as f64;
            (mean.max(1.0), each.iter().map(|one| one.1).fold(0.0, f64::max))
        }
    }
}

/// The design effect of success compared with expectation.
fn design_of(rows: &[TrainingRow<'_>]) -> f64 {
    let mut designs = [Design::default(); 2];
    for row in rows {
        let surprise = f64::from(success(row.lesson)) - logistic(row.lesson.case.expected() + row.early);
        designs[0].add(row.cluster, surprise);
        designs[1].add(row.cluster, surprise * row.lesson.case.direction.sign());
    }
    let [of_all, of_sides] = designs.map(Design::effect);
    of_all.max(of_sides)
}

/// Numbers clusters, which ascend, from 0.
fn numbered(clusters: impl Iterator<Item = i64>) -> Vec<u32> {
    let (mut number, mut before) = (0, None);
    let next = |cluster| {
        number += u32::from(before.is_some_and(|before| before != cluster));
        before = Some(cluster);
        number
    };
    clusters.map(next).collect()
}

fn within(probability: f64) -> f64 {
    probability.clamp(PROBABILITY_RANGE.0, PROBABILITY_RANGE.1)
}

fn success(lesson: &Lesson) -> f32 {
    f32::from(u8::from(lesson.success))
}
