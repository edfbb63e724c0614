//! Signals that are still open. Of a near target and a far stop, what closes first is mostly the near one: whoever knows only what
//! has closed by now takes the far one for rarer than it is, as long as the others are open.
//!
//! So what has closed is compared with what closes by then. How often a signal of these levels ends by an age, at its target and at
//! its stop, is told by the Aalen–Johansen estimator: what is open is a survivor of its age, and as what it will end is open (Aalen
//! and Johansen, *An empirical transition matrix for non-homogeneous Markov chains based on censored observations*, 1978). What a price
//! without drift would do counts as [`WORTH`] signals beside that, and alone for survivors older than all that have closed.
//!
//! Odds of one end against the other move alike at every age when the price drifts (Girsanov's theorem), so that the correction of
//! the log odds holds for signals that do better or worse than all.
//!
//! Ages are counted in the life that is expected of the signal: a walk's grows with stop distance × target distance. One pace holds
//! for all symbols: a symbol's own, learned from how soon its signals closed, would go by as what they closed.

use super::case::{Bet, Lesson};
use super::levels::log_odds;
use domain::barrier::Levels;
use std::collections::HashMap;
use std::f64::consts::PI;

/// What a walk without drift says counts as so many signals of a shape: those of one time share their fate.
const WORTH: f64 = 200.0;
/// Rounds in which paces are found.
const ROUNDS: usize = 2;
/// Signals whose log odds differ by no more than this are of one shape.
const SHAPE: f64 = 0.25;
/// What has been open so many times as long as the longest life is not watched by anybody, where so many have closed.
const FORGOTTEN: (f64, usize) = (10.0, 20);
/// The least probability of an end, so that its log odds stay finite.
const LEAST: f64 = 0.001;
/// The least time of which a walk is asked, in that in which it spreads by the distance between its levels; and the terms of its
/// series that count by then.
const SHORTEST: f64 = 0.005;
const TERMS: usize = 40;

/// An open signal, as far as it matters to what has closed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Open {
    shape: Shape,
    given_ms: i64,
    expires_ms: Option<i64>,
}

/// The levels of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shape {
    /// The probability that a price without drift reaches the target before the stop.
    implied: f64,
    /// Stop distance × target distance, percent², when it has both.
    area: Option<f64>,
}

impl Open {
    /// Of its levels.
    pub fn of(levels: &Levels) -> Self {
        let Bet { both, implied, .. } = Bet::of(levels);
        let area = both.map(|(risk, reward)| risk * reward);
        let (given_ms, expires_ms) = (levels.since_ms, levels.expires_ms);
        Self { shape: Shape { implied, area }, given_ms, expires_ms }
    }
}

impl Shape {
    fn of(lesson: &Lesson) -> Self {
        let case = &lesson.case;
        let both = case.stop_percent.zip(case.reward_risk).filter(|(stop, _)| *stop > 0.0);
        Self { implied: case.implied, area: both.map(|(stop, ratio)| stop * stop * ratio) }
    }

    /// 1 with levels, 0 without.
    fn kind(self) -> usize {
        usize::from(self.area.is_some())
    }

    /// Signals of one number share their curves; those without levels have their own.
    fn number(self) -> i64 {
        self.area.map_or(i64::MIN, |_| (log_odds(self.implied) / SHAPE).round() as i64)
    }

    /// How many lives are left of it on the average when it is open at an age.
    fn left(self, age: f64) -> f64 {
        let q = self.implied;
        // Nothing is known of what ends a signal without levels: its age tells nothing.
        let Some(_) = self.area else { return 1.0 };
        let (rest, open) =
            terms(q, time(q, age)).step_by(2).fold((0.0, 0.0), |(rest, open), Term { n, wave, left, .. }| {
                (rest + wave * left / (n * n), open + wave * left)
            });
        2.0 / (PI * PI) * rest / open / (q * (1.0 - q))
    }

    /// A time by what lies between the levels.
    fn scaled(self, ms: i64) -> f64 {
        ms.max(1) as f64 / self.area.unwrap_or(1.0)
    }
}

/// Of these signals, those that were open at a time: some have closed `later`, some are open now.
pub fn open_at<'a>(at_ms: i64, later: impl Iterator<Item = &'a Lesson>, open: &[Open]) -> Vec<Open> {
    let were = later.filter(|lesson| lesson.given_ms <= at_ms && lesson.closed_ms > at_ms).map(|lesson| Open {
        shape: Shape::of(lesson),
        given_ms: lesson.given_ms,
        expires_ms: None,
    });
    let has_not_ended = |one: &&Open| one.given_ms <= at_ms && one.expires_ms.is_none_or(|end_ms| end_ms > at_ms);
    were.chain(open.iter().filter(has_not_ended).copied()).collect()
}

/// By how much the log odds of success are higher for each of these signals, given that it has closed by `at_ms`, than before that was
/// known. It rests on when the signal was given, and not on when, or as what, it closed. 0 where nothing is open.
pub fn early(lessons: &[&Lesson], open: &[Open], at_ms: i64) -> Vec<f64> {
    let open = watched(lessons, open, at_ms);
    if open.is_empty() {
        return vec![0.0; lessons.len()];
    }
    let paces = Paces::of(lessons, &open, at_ms);
    let mut curves: HashMap<i64, Vec<(f64, End)>> = HashMap::new();
    for lesson in lessons {
        let shape = Shape::of(lesson);
        let age = paces.age(shape, lesson.closed_ms - lesson.given_ms);
        let end = if lesson.success { End::Success } else { End::Failure };
        curves.entry(shape.number()).or_default().push((age, end));
    }
    for one in open {
        if let Some(curve) = curves.get_mut(&one.shape.number()) {
            let age = paces.age(one.shape, at_ms - one.given_ms);
            curve.push((age, End::Open(survivor(one.shape.implied, age))));
        }
    }
    let curves: HashMap<i64, Curve> = curves.into_iter().map(|(number, ends)| (number, Curve::of(ends))).collect();
    let of = |lesson: &&Lesson| {
        let shape = Shape::of(lesson);
        let age = paces.age(shape, at_ms - lesson.given_ms);
        curves.get(&shape.number()).map_or(0.0, |curve| curve.early(shape.implied, age))
    };
    lessons.iter().map(of).collect()
}

/// The open signals but those that have been open for so long that nobody seems to watch them.
fn watched<'a>(lessons: &[&Lesson], open: &'a [Open], at_ms: i64) -> Vec<&'a Open> {
    let mut longest = [0.0f64; 2];
    let mut closed = [0; 2];
    for lesson in lessons {
        let shape = Shape::of(lesson);
        let kind = shape.kind();
        longest[kind] = longest[kind].max(shape.scaled(lesson.closed_ms - lesson.given_ms));
        closed[kind] += 1;
    }
    let (times, enough) = FORGOTTEN;
    let is_watched = |one: &&Open| {
        let kind = one.shape.kind();
        closed[kind] < enough || one.shape.scaled(at_ms - one.given_ms) <= times * longest[kind]
    };
    open.iter().filter(is_watched).collect()
}

/// How many lives go by in a millisecond, of signals without levels and of others.
struct Paces([f64; 2]);

impl Paces {
    /// A signal that has closed has lived one life on the average, and an open one what is not left of it. What is left depends on the
    /// pace, so that it is found in rounds.
    fn of(lessons: &[&Lesson], open: &[&Open], at_ms: i64) -> Self {
        let (mut closed, mut time) = ([0.0; 2], [0.0; 2]);
        for lesson in lessons {
            let shape = Shape::of(lesson);
            closed[shape.kind()] += 1.0;
            time[shape.kind()] += shape.scaled(lesson.closed_ms - lesson.given_ms);
        }
        open.iter().for_each(|one| time[one.shape.kind()] += one.shape.scaled(at_ms - one.given_ms));
        // Survivors may have more left than others had at their entry, which must not stop the clock.
        let pace = |lives: [f64; 2]| {
            Self(
                [0, 1]
                    .map(|kind| if time[kind] > 0.0 { lives[kind].max(closed[kind] / 4.0) / time[kind] } else { 0.0 }),
            )
        };
        let mut paces = pace(closed);
        for _ in 0..ROUNDS {
            let mut lives = closed;
            for one in open {
                lives[one.shape.kind()] += 1.0 - one.shape.left(paces.age(one.shape, at_ms - one.given_ms));
            }
            paces = pace(lives);
        }
        paces
    }

    /// An age in lives.
    fn age(&self, shape: Shape, ms: i64) -> f64 {
        shape.scaled(ms) * self.0[shape.kind()]
    }
}

/// What is known of a signal of some age.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Success,
    Failure,
    /// It is open, and a walk would succeed with this probability from here.
    Open(f64),
}

/// How often signals of a shape have ended by an age.
struct Curve {
    /// By this age: in success, and in failure.
    steps: Vec<(f64, f64, f64)>,
    signals: f64,
    /// How often they succeed in the end.
    success: f64,
}

impl Curve {
    fn of(mut ends: Vec<(f64, End)>) -> Self {
        // Of one age, what ended ended among those that are open.
        let rank = |end: &End| u8::from(matches!(end, End::Open(_)));
        ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(rank(&a.1).cmp(&rank(&b.1))));
        let signals = ends.len() as f64;
        let (mut steps, mut left, mut success, mut failure) = (Vec::with_capacity(ends.len()), 1.0, 0.0, 0.0);
        // What the survivors that are older than all that have closed would come to.
        let mut last = (0.0, 0.0);
        for (at, (age, end)) in ends.into_iter().enumerate() {
            let share = left / (signals - at as f64);
            match end {
                End::Open(p) => {
                    last = (last.0 + 1.0, last.1 + p);
                    continue;
                }
                End::Success => success += share,
                End::Failure => failure += share,
            }
            left -= share;
            last = (0.0, 0.0);
            steps.push((age, success, failure));
        }
        let survivors = if last.0 > 0.0 { left * last.1 / last.0 } else { 0.0 };
        Self { steps, signals, success: success + survivors }
    }

    /// By how much the log odds of what has closed by an age are above those of all.
    fn early(&self, implied: f64, age: f64) -> f64 {
        let by = self.steps.partition_point(|step| step.0 <= age);
        let (success, failure) = by.checked_sub(1).map_or((0.0, 0.0), |at| (self.steps[at].1, self.steps[at].2));
        let mean = |measured: f64, walk: f64| (self.signals * measured + WORTH * walk) / (self.signals + WORTH);
        let (target, stop) = touched(implied, age);
        let (success, failure) = (mean(success, target), mean(failure, stop));
        told(success / (success + failure)) - told(mean(self.success, implied))
    }
}

fn told(probability: f64) -> f64 {
    log_odds(probability.clamp(LEAST, 1.0 - LEAST))
}

/// An age, in lives, of a walk that begins `q` of the way from its stop to its target, in the time in which it spreads by the distance
/// between them: a life is q (1 − q) of that.
fn time(q: f64, age: f64) -> f64 {
    (age * q * (1.0 - q)).max(SHORTEST)
}

/// A term of that walk's series.
struct Term {
    n: f64,
    /// 1 of odd ones, −1 of even ones.
    sign: f64,
    /// sin(nπq) / n.
    wave: f64,
    /// How much of it is left by a time, beside the first one.
    left: f64,
}

fn terms(q: f64, time: f64) -> impl Iterator<Item = Term> {
    let term = move |at: usize| {
        let n = at as f64;
        let left = (-(n * n - 1.0) * PI * PI * time / 2.0).exp();
        Term { n, sign: if at % 2 == 1 { 1.0 } else { -1.0 }, wave: (n * PI * q).sin() / n, left }
    };
    (1..=TERMS).map(term).take_while(|term| term.left > 1e-9)
}

/// The probabilities that a walk without drift, which begins `q` of the way from its stop to its target, has touched the target by an
/// age, and the stop.
fn touched(q: f64, age: f64) -> (f64, f64) {
    let time = time(q, age);
    let first = 2.0 / PI * (-PI * PI * time / 2.0).exp();
    let open = terms(q, time).fold((0.0, 0.0), |open, Term { sign, wave, left, .. }| {
        (open.0 + sign * first * wave * left, open.1 + first * wave * left)
    });
    // Rounding may miss what is almost nothing.
    ((q - open.0).max(1e-9), (1.0 - q - open.1).max(1e-9))
}

/// The probability that such a walk succeeds that has touched neither by an age: one half when it is old.
fn survivor(q: f64, age: f64) -> f64 {
    let sums = terms(q, time(q, age))
        .fold((0.0, 0.0), |sums, Term { sign, wave, left, .. }| (sums.0 + sign * wave * left, sums.1 + wave * left));
    (sums.0 / (sums.0 + sums.1)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_touches_what_is_near_first_and_all_in_the_end() {
        for q in [0.02, 0.2, 0.5, 0.8, 0.98] {
            let (target, stop) = touched(q, 1000.0);
            assert!((target - q).abs() < 1e-6 && (stop - (1.0 - q)).abs() < 1e-6, "{q}: {target} {stop}");
            assert!((survivor(q, 1000.0) - 0.5).abs() < 1e-6);
            let shape = Shape { implied: q, area: Some(1.0) };
            if (0.2..=0.8).contains(&q) {
                assert!((shape.left(0.0) - 1.0).abs() < 0.1, "{q}: {} lives are left at first", shape.left(0.0));
            }
            assert!((shape.left(1000.0) - 2.0 / (PI * PI) / (q * (1.0 - q))).abs() < 1e-6);
            for age in [0.1, 0.5, 1.0, 2.0] {
                let ((target, stop), (up, down)) = (touched(q, age), touched(1.0 - q, age));
                assert!((target - down).abs() < 1e-6 && (stop - up).abs() < 1e-6, "the mirror of {q} at {age}");
                // All that succeed have done so by then, or survive.
                let later = (1.0 - target - stop) * survivor(q, age);
                assert!((target + later - q).abs() < 1e-6, "{q} at {age}: {target} and {later}");
            }
        }
        assert!(touched(0.8, 0.2).0 > 50.0 * touched(0.8, 0.2).1);
        assert!((survivor(0.8, 0.0) - 0.8).abs() < 0.01);
    }

    #[test]
    fn what_was_open_then_is_what_had_been_given_and_not_ended() {
        let of = |given_ms, closed_ms| Lesson {
            case: super::super::Case::bare("BTCUSDT"),
            success: true,
            r: None,
            said: None,
            given_ms,
            closed_ms,
        };
        let later = [of(1, 9), of(5, 6), of(6, 9), of(1, 5)];
        let shape = Shape::of(&later[0]);
        let open = |given_ms, expires_ms| Open { shape, given_ms, expires_ms };
        let now = [open(2, None), open(3, Some(5)), open(4, Some(6)), open(6, None)];
        let given: Vec<i64> = open_at(5, later.iter(), &now).iter().map(|one| one.given_ms).collect();
        assert_eq!(given, [1, 5, 2, 4]);
    }

    #[test]
    fn nothing_open_and_what_nobody_watches_move_nothing() {
        let of = |n: i64| Lesson {
            case: super::super::Case {
                implied: 0.8,
                reward_risk: Some(0.25),
                stop_percent: Some(4.0),
                ..super::super::Case::bare("BTCUSDT")
            },
            success: n % 5 > 0,
            r: None,
            said: None,
            given_ms: 10 * n,
            closed_ms: 10 * n + 30,
        };
        let lessons: Vec<Lesson> = (0..100).map(of).collect();
        let lessons: Vec<&Lesson> = lessons.iter().collect();
        let early_with =
            |given_ms| early(&lessons, &[Open { shape: Shape::of(lessons[0]), given_ms, expires_ms: None }], 1_020);
        assert_eq!(early(&lessons, &[], 1_020), [0.0; 100]);
        assert_eq!(early_with(1_020 - 301), [0.0; 100]);
        let told = early_with(1_015);
        assert!(told[99] > 0.1 && told[0].abs() < 0.05, "{} for the newest, {} for the oldest", told[99], told[0]);
    }

    #[test]
    fn what_is_open_counts_as_a_survivor_of_its_age() {
        // Worked by hand: of four, one succeeds; of the two that are left beside the open one, one fails; the last is open.
        let ends = vec![(3.0, End::Failure), (1.0, End::Success), (2.0, End::Open(0.9)), (4.0, End::Open(0.5))];
        let curve = Curve::of(ends);
        assert_eq!(curve.steps, [(1.0, 0.25, 0.0), (3.0, 0.25, 0.375)]);
        assert!((curve.success - (0.25 + 0.5 * 0.375)).abs() < 1e-12);
    }
}
