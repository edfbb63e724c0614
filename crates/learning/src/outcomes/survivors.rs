//! Corrects for signals that are still open. With a near target and a far stop, mostly targets are hit early: as long
//! as other signals are open, the closed ones alone underestimate how often the stop is hit.
//!
//! So closed signals are compared with what closes by their age. How often a signal with these levels has reached its
//! target, or its stop, by a given age is estimated by the Aalen–Johansen estimator, in which open signals are censored
//! at their age (Aalen and Johansen, *An empirical transition matrix for non-homogeneous Markov chains based on
//! censored observations*, 1978). A price without drift serves as a prior worth [`WORTH`] signals, and as the only
//! estimate for open signals older than all that have closed.
//!
//! A price with drift shifts the odds of one end against the other equally at every age (Girsanov's theorem), so the
//! correction in log odds also holds for signals that do better or worse than average.
//!
//! Ages are measured in expected lifetimes: for a random walk, the lifetime is proportional to stop distance × target
//! distance. All symbols share one scale: a symbol's own, learned from how soon its signals closed, would depend on how
//! they closed.

use super::case::{Lesson, LevelFacts};
use crate::odds::log_odds;
use domain::barrier::Levels;
use std::collections::HashMap;
use std::f64::consts::PI;

/// The prior of a walk without drift is worth this many signals of a shape.
const WORTH: f64 = 200.0;
/// Number of iterations for estimating the time scales.
const ROUNDS: usize = 2;
/// Signals whose log odds differ by no more than this share a shape.
const SHAPE: f64 = 0.25;
/// A signal that has been open this many times as long as the longest lifetime is ignored, where at least this many
/// signals have closed: nobody seems to track it.
const FORGOTTEN: (f64, usize) = (10.0, 20);
/// The smallest probability of an end, so that its log odds stay finite.
const LEAST: f64 = 0.001;
/// The shortest time for which the walk is evaluated, in units of the time in which it spreads by the distance between
/// its levels; and the number of terms of its series that matter from then on.
const SHORTEST: f64 = 0.005;
const TERMS: usize = 40;

/// The facts of an open signal that matter for the correction.
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
    /// Stop distance × target distance, percent², where it has both.
    area: Option<f64>,
}

impl Open {
    /// From its levels.
    pub fn of(levels: &Levels) -> Self {
        let LevelFacts { both, implied, .. } = LevelFacts::of(levels);
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

    /// Signals with the same number share their curves; those without levels have their own.
    fn number(self) -> i64 {
        self.area.map_or(i64::MIN, |_| (log_odds(self.implied) / SHAPE).round() as i64)
    }

    /// The expected remaining lifetime at an age, in lifetimes.
    fn left(self, age: f64) -> f64 {
        let q = self.implied;
        // Without levels, nothing is known about the end of a signal, so its age does not matter.
        let Some(_) = self.area else { return 1.0 };
        let (rest, open) =
            terms(q, time(q, age)).step_by(2).fold((0.0, 0.0), |(rest, open), SeriesTerm { n, wave, left, .. }| {
                (rest + wave * left / (n * n), open + wave * left)
            });
        2.0 / (PI * PI) * rest / open / (q * (1.0 - q))
    }

    /// A time divided by stop distance × target distance.
    fn scaled(self, ms: i64) -> f64 {
        ms.max(1) as f64 / self.area.unwrap_or(1.0)
    }
}

/// The signals that were open at a time, from signals that closed `later` and signals that are open now.
pub fn open_at<'a>(at_ms: i64, later: impl Iterator<Item = &'a Lesson>, open: &[Open]) -> Vec<Open> {
    let were = later.filter(|lesson| lesson.given_ms <= at_ms && lesson.closed_ms > at_ms).map(|lesson| Open {
        shape: Shape::of(lesson),
        given_ms: lesson.given_ms,
        expires_ms: None,
    });
    let has_not_ended = |one: &&Open| one.given_ms <= at_ms && one.expires_ms.is_none_or(|end_ms| end_ms > at_ms);
    were.chain(open.iter().filter(has_not_ended).copied()).collect()
}

/// For each signal, how much its log odds of success are raised by knowing that it has closed by `at_ms`. It depends on
/// when the signal was given, but not on when or how it closed. 0 where nothing is open.
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

/// The open signals, except those open for so long that nobody seems to track them.
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

/// Lifetimes per millisecond: of signals without levels, and of others.
struct Paces([f64; 2]);

impl Paces {
    /// A closed signal has lived one lifetime on average, an open one a lifetime minus what is left. The remaining
    /// lifetime depends on the scale, so it is iterated.
    fn of(lessons: &[&Lesson], open: &[&Open], at_ms: i64) -> Self {
        let (mut closed, mut time) = ([0.0; 2], [0.0; 2]);
        for lesson in lessons {
            let shape = Shape::of(lesson);
            closed[shape.kind()] += 1.0;
            time[shape.kind()] += shape.scaled(lesson.closed_ms - lesson.given_ms);
        }
        open.iter().for_each(|one| time[one.shape.kind()] += one.shape.scaled(at_ms - one.given_ms));
        // Open signals may have more time left than a whole lifetime, which must not make the scale negative.
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

    /// An age in lifetimes.
    fn age(&self, shape: Shape, ms: i64) -> f64 {
        shape.scaled(ms) * self.0[shape.kind()]
    }
}

/// The state of a signal at some age.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Success,
    Failure,
    /// It is open, and a walk would succeed with this probability from here.
    Open(f64),
}

/// The cumulative incidence of success and failure by age, for one shape.
struct Curve {
    /// Ages with the shares of success and failure by then.
    steps: Vec<(f64, f64, f64)>,
    signals: f64,
    /// The share that succeeds in the end.
    success: f64,
}

impl Curve {
    fn of(mut ends: Vec<(f64, End)>) -> Self {
        // At equal ages, closings come before censored signals.
        let rank = |end: &End| u8::from(matches!(end, End::Open(_)));
        ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(rank(&a.1).cmp(&rank(&b.1))));
        let signals = ends.len() as f64;
        let (mut steps, mut left, mut success, mut failure) = (Vec::with_capacity(ends.len()), 1.0, 0.0, 0.0);
        // The expected ends of open signals that are older than all closed ones.
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

    /// How much the log odds of signals closed by an age exceed those of all.
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

/// Converts an age in lifetimes to the walk's time unit, in which it spreads by the distance between its levels: a
/// lifetime is q (1 − q) of that, for a start `q` of the way from stop to target.
fn time(q: f64, age: f64) -> f64 {
    (age * q * (1.0 - q)).max(SHORTEST)
}

/// A term of the walk's series.
struct SeriesTerm {
    n: f64,
    /// 1 for odd terms, −1 for even ones.
    sign: f64,
    /// sin(nπq) / n.
    wave: f64,
    /// Its remaining size at a time, relative to the first term.
    left: f64,
}

fn terms(q: f64, time: f64) -> impl Iterator<Item = SeriesTerm> {
    let term = move |at: usize| {
        let n = at as f64;
        let left = (-(n * n - 1.0) * PI * PI * time / 2.0).exp();
        SeriesTerm { n, sign: if at % 2 == 1 { 1.0 } else { -1.0 }, wave: (n * PI * q).sin() / n, left }
    };
    (1..=TERMS).map(term).take_while(|term| term.left > 1e-9)
}

/// The probabilities that a walk without drift, which starts `q` of the way from its stop to its target, has touched
/// the target by an age, and the stop.
fn touched(q: f64, age: f64) -> (f64, f64) {
    let time = time(q, age);
    let first = 2.0 / PI * (-PI * PI * time / 2.0).exp();
    let open = terms(q, time).fold((0.0, 0.0), |open, SeriesTerm { sign, wave, left, .. }| {
        (open.0 + sign * first * wave * left, open.1 + first * wave * left)
    });
    // Rounding may make tiny probabilities negative.
    ((q - open.0).max(1e-9), (1.0 - q - open.1).max(1e-9))
}

/// The probability of success of a walk that has touched neither level by an age: one half when it is old.
fn survivor(q: f64, age: f64) -> f64 {
    let sums = terms(q, time(q, age)).fold((0.0, 0.0), |sums, SeriesTerm { sign, wave, left, .. }| {
        (sums.0 + sign * wave * left, sums.1 + wave * left)
    });
    (sums.0 / (sums.0 + sums.1)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_touches_the_nearer_level_first() {
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
                // Every success has either happened by then, or comes from a walk that is still open.
                let later = (1.0 - target - stop) * survivor(q, age);
                assert!((target + later - q).abs() < 1e-6, "{q} at {age}: {target} and {later}");
            }
        }
        assert!(touched(0.8, 0.2).0 > 50.0 * touched(0.8, 0.2).1);
        assert!((survivor(0.8, 0.0) - 0.8).abs() < 0.01);
    }

    #[test]
    fn open_signals_of_the_past_were_given_and_not_closed() {
        let of = |given_ms, closed_ms| Lesson {
            case: super::super::Case::bare("BTCUSDT"),
            success: true,
            r: None,
            net_r: None,
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
    fn untracked_signals_are_ignored() {
        let of = |n: i64| Lesson {
            case: super::super::Case {
                implied: 0.8,
                reward_risk: Some(0.25),
                loss_r: None,
                stop_percent: Some(4.0),
                ..super::super::Case::bare("BTCUSDT")
            },
            success: n % 5 > 0,
            r: None,
            net_r: None,
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
    fn open_signals_are_censored_at_their_age() {
        // Worked by hand: of four, one succeeds; of the two left beside the open one, one fails; the last is open.
        let ends = vec![(3.0, End::Failure), (1.0, End::Success), (2.0, End::Open(0.9)), (4.0, End::Open(0.5))];
        let curve = Curve::of(ends);
        assert_eq!(curve.steps, [(1.0, 0.25, 0.0), (3.0, 0.25, 0.375)]);
        assert!((curve.success - (0.25 + 0.5 * 0.375)).abs() < 1e-12);
    }
}
