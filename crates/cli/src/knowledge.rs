//! What a training found, and what models know, in a trader's words.

use super::failures::Failures;
use super::output::Output;
use super::words::some;
use domain::time::format_iso;
use engine::{TrainResult, Trained, TrainingResults};
use learning::model::{Decision, Interval, Record, ShapeRecord, Skill};

/// Names of markets to print in one line.
const MOST_NAMES: usize = 12;

/// How much a model knows, judged on candles it had not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Better than the base rate, beyond chance.
    Something,
    /// Better than the base rate, maybe by chance.
    Perhaps,
    /// It departs from the base rate, on too few candles to say how well.
    Early,
    /// It departs from the base rate, and is no better.
    NoBetter,
    /// It says the base rate.
    Nothing,
}

impl Level {
    /// In a few words, for a table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Something => "something",
            Self::Perhaps => "perhaps",
            Self::Early => "too early",
            Self::NoBetter => "no better",
            Self::Nothing => "nothing yet",
        }
    }
}

/// How much a model knows, with figures.
pub struct Knowledge {
    /// In one word.
    pub level: Level,
    /// By how many percent its log loss lies below that of always saying the base rate; `None` if it does say the base rate.
    pub better_percent: Option<f64>,
    /// The 95 % interval of that; `None` with too few stretches of time.
    pub interval: Option<(f64, f64)>,
}

impl Knowledge {
    /// Of a model, on held-out rows of its market.
    pub fn of(record: &Record) -> Self {
        let constant = record.constant_log_loss();
        let percent = |lower: f64| if constant > 0.0 { 100.0 * lower / constant } else { 0.0 };
        let lower = constant - record.log_loss();
        let level = level(record.has_skill(), lower, &record.skill);
        let departs = level != Level::Nothing;
        let interval = record.skill.excess.filter(|_| departs);
        Self {
            level,
            better_percent: departs.then(|| percent(lower)),
            interval: interval.map(|Interval { low, high, .. }| (percent(-high), percent(-low))),
        }
    }

    /// In a sentence.
    pub fn sentence(&self) -> String {
        let better = self.better_percent.unwrap_or(0.0);
        let than = if better < 0.0 { "worse" } else { "better" };
        let by = format!("{:.2} % {than} than the base rate", better.abs());
        let ends = self.interval.map_or_else(String::new, |(low, high)| format!(" (95 %: {low:+.2} to {high:+.2})"));
        match self.level {
            Level::Something => format!("knows something: {by}{ends}"),
            Level::Perhaps => format!("may know something: {by}, perhaps by chance{ends}"),
            Level::Early => format!("too early to tell: {by}, on too few weeks of candles"),
            Level::NoBetter => format!("knows nothing that helps: {by}{ends}"),
            Level::Nothing => "knows nothing yet: it says the base rate, and gives no signals".to_owned(),
        }
    }
}

fn level(has_skill: bool, lower: f64, skill: &Skill) -> Level {
    match skill.excess {
        _ if !has_skill => Level::Nothing,
        None => Level::Early,
        Some(Interval { high, .. }) if high < 0.0 => Level::Something,
        Some(_) if lower > 0.0 => Level::Perhaps,
        Some(_) => Level::NoBetter,
    }
}

/// What the model's signals on the held-out candles would have brought.
pub fn held_out(record: &Record) -> Option<String> {
    let (signals, profit) = (record.held_out_signals, record.held_out_profit?);
    let word = if signals == 1 { "signal" } else { "signals" };
    Some(format!("{signals} {word} on candles it had not seen, {profit:+.2} % each after costs"))
}

/// What is known of a model of another shape, on rows of all symbols.
pub fn of_shape(record: &ShapeRecord) -> String {
    let ShapeRecord { beliefs, skill, .. } = record;
    let lower = skill.excess.map_or(0.0, |excess| -excess.mean);
    let level = level(beliefs.iter().any(|belief| *belief > 0.0), lower, skill);
    let figures =
        skill.excess.filter(|_| level != Level::Nothing).map_or_else(String::new, |Interval { low, high, .. }| {
            let since = &format_iso(skill.since_ms)[..10];
            format!(
                ": its log loss is {lower:.4} lower than that of the base rate (95 %: {:+.4} to {:+.4}, since {since})",
                -high, -low
            )
        });
    format!("knows {}{figures}", level.words())
}

/// One line with the result of a market. Why it failed is told once for all, by [`tell`].
pub fn summary(result: &TrainResult) -> String {
    let (market, seconds) = (&result.market, result.duration_ms as f64 / 1000.0);
    match &result.trained {
        Ok(Trained::NothingNew { .. }) => format!("Training {market}... ✓ kept, nothing new since it was trained"),
        Ok(trained) => {
            let record = &trained.model().record;
            let signals = held_out(record).map_or_else(String::new, |signals| format!("; {signals}"));
            let kept = if trained.promoted() { "" } else { "; refused, see below" };
            format!("Training {market}... ✓ {}{signals}{kept}  {seconds:.1} s", Knowledge::of(record).sentence())
        }
        Err(error) => format!("Training {market}... ✗ [{}]", error.code()),
    }
}

/// Says what a training found: which models know something, which were refused and why, which markets failed and why.
pub fn tell(results: &TrainingResults, output: &Output) {
    let trained = results.results.iter().filter_map(|result| Some((result, result.trained.as_ref().ok()?)));
    let trained: Vec<_> = trained.collect();
    if !trained.is_empty() {
        found(&trained, output);
    }
    for (result, trial) in trained.iter().filter_map(|(result, trained)| Some((result, trained.trial()?))) {
        if !trial.promoted {
            let (market, why) = (&result.market, refusal(trial.decision));
            output
                .hanging(2, format!("{market} refused, the model before it stays in service: {why}: {}", trial.reason));
        }
    }
    let mut failures = Failures::default();
    for result in &results.results {
        if let Err(error) = &result.trained {
            failures.market(&result.market, &error.to_string(), Some(error.code()));
        }
    }
    failures.tell("markets", output);
}

/// How many models know how much, with their names.
fn found(trained: &[(&TrainResult, &Trained)], output: &Output) {
    let of = |wanted: Level| -> Vec<String> {
        let levels = trained.iter().map(|(result, trained)| (result, Knowledge::of(&trained.model().record).level));
        levels.filter(|(_, level)| *level == wanted).map(|(result, _)| result.market.to_string()).collect()
    };
    let all = trained.len();
    let models = if all == 1 { "model" } else { "models" };
    let something = of(Level::Something);
    output.hanging(
        2,
        match something.len() {
            0 => format!("Found: none of {all} {models} knows more than the base rate, beyond chance"),
            1 => format!("Found: 1 of {all} {models} knows something beyond chance: {}", something[0]),
            knowing => format!(
                "Found: {knowing} of {all} {models} know something beyond chance: {}",
                some(&something, MOST_NAMES)
            ),
        },
    );
    let others = [
        (Level::Perhaps, "may know something, or was lucky", "may know something, or were lucky"),
        (Level::Early, "has seen too few weeks to tell", "have seen too few weeks to tell"),
        (
            Level::NoBetter,
            "departs from the base rate, and is no better",
            "depart from the base rate, and are no better",
        ),
        (
            Level::Nothing,
            "knows nothing yet: it says the base rate, and gives no signals",
            "know nothing yet: they say the base rate, and give no signals",
        ),
    ];
    for (level, one, many) in others {
        let names = of(level);
        if !names.is_empty() {
            let what = if names.len() == 1 { one } else { many };
            output.hanging(4, format!("  {} {what}: {}", names.len(), some(&names, MOST_NAMES)));
        }
    }
    if of(Level::Nothing).len() < all {
        output.news(
            "  Better means: by so much the log loss of its probabilities lies below that of always saying the base rate, on \
             candles that it had not seen.",
        );
    }
}

/// Why the gate refused a model, in words.
fn refusal(decision: Decision) -> &'static str {
    match decision {
        Decision::WorseLogLoss => "its probabilities are worse",
        Decision::MaybeWorse => "its probabilities may be worse",
        Decision::ChainWorse => "together with the last promotions it would be worse",
        Decision::LessProfit => "its signals earn less",
        Decision::WorseThanConstant => "it is worse than the base rate",
        Decision::FirstModel
        | Decision::ChampionUnusable
        | Decision::OtherSignalShape
        | Decision::WithoutGate
        | Decision::NotWorse
        | Decision::ShortEvidence => "it was not promoted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill(low: f64, high: f64) -> Skill {
        let excess = Some(Interval { low, mean: (low + high) / 2.0, high });
        Skill { excess, since_ms: 0, until_ms: 0, rows: 1, clusters: 9, cluster_ms: 1 }
    }

    #[test]
    fn only_an_interval_beyond_0_is_knowledge() {
        let cases = [
            (false, 0.001, skill(-0.002, -0.001), Level::Nothing),
            (true, 0.001, skill(-0.002, -0.0001), Level::Something),
            (true, 0.001, skill(-0.002, 0.0), Level::Perhaps),
            (true, -0.001, skill(-0.001, 0.003), Level::NoBetter),
            (true, 0.001, Skill { excess: None, ..skill(0.0, 0.0) }, Level::Early),
        ];
        for (has_skill, lower, skill, expected) in cases {
            assert_eq!(level(has_skill, lower, &skill), expected, "{skill:?}");
        }
    }

    #[test]
    fn sentences_have_the_interval_and_its_sign() {
        let told = |level, better, interval| Knowledge { level, better_percent: better, interval }.sentence();
        assert_eq!(
            told(Level::Something, Some(0.204), Some((0.09, 0.319))),
            "knows something: 0.20 % better than the base rate (95 %: +0.09 to +0.32)"
        );
        assert_eq!(
            told(Level::NoBetter, Some(-0.1), Some((-0.3, 0.1))),
            "knows nothing that helps: 0.10 % worse than the base rate (95 %: -0.30 to +0.10)"
        );
        assert_eq!(told(Level::Nothing, None, None), "knows nothing yet: it says the base rate, and gives no signals");
    }
}
