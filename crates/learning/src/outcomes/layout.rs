//! The columns of the model: which ones there are, and how a case is turned into a row.
//!
//! The meaning of an indicator depends on the direction: RSI 80 warns against a BUY and favours a SELL. So each
//! indicator appears twice, as it is and **mirrored** into the direction of the trade, `direction · (value − centre)`.
//! Indicators with well-known names appear a third time in a **textbook** reading, and all those readings together give
//! one score: with few outcomes, one established number is learned sooner than a dozen. The readings do not say what is
//! good or bad; the outcomes decide that, and its sign. Texts are categories.

use super::case::{Case, Lesson};
use super::design::{Design, cluster_ms};
use super::forest::{Kind, Table};
use super::scores::Ranks;
use crate::odds::logistic;
use domain::barrier::Direction;
use domain::features::FEATURES;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The largest number of indicators; where there are more, the most predictive ones are used.
const MAX_INDICATORS: usize = 64;
/// The largest number of texts, and of distinct words in each; the most frequent are used.
const MAX_TEXTS: usize = 32;
const MAX_WORDS: usize = 50;
/// How often a split considers each group; groups without columns leave their share to the others.
const OFTEN: [(Group, f64); 4] =
    [(Group::Textbook, 0.25), (Group::Indicators, 0.45), (Group::Context, 0.15), (Group::Features, 0.15)];
/// A centre is 0 when at least this share of the values lies on either side of it.
const EITHER_SIGN: f64 = 0.05;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Group {
    Textbook,
    Indicators,
    Context,
    Features,
}

/// A number that a case may have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// One of the caller's indicators, by its position in [`Layout::indicators`].
    Indicator(usize),
    /// A candle feature at entry, by its position in a row.
    Feature(usize),
    /// The caller's confidence, percent.
    Confidence,
    /// Target distance over stop distance.
    RewardRisk,
    /// Stop distance in percent of the entry.
    StopPercent,
    /// +1 for a BUY, −1 for a SELL.
    Direction,
    /// The timeframe in minutes.
    Timeframe,
    /// The symbol's number.
    Symbol,
    /// The strategy's number.
    Strategy,
    /// The number of the word in a text, by the text's position in [`Layout::texts`].
    Text(usize),
}

impl Fact {
    /// Whether its numbers stand for categories.
    fn is_category(&self) -> bool {
        matches!(self, Self::Symbol | Self::Strategy | Self::Text(_))
    }
}

/// How a column presents its fact.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum View {
    Raw,
    /// Minus this centre, multiplied by the direction.
    Mirrored(f64),
    /// −1 to 1, positive where the textbook reading favours the trade.
    Textbook(Reading),
}

/// The textbook reading of an indicator, recognised by its name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Reading {
    /// Overbought and oversold: against the trade from 70 % of the range on.
    Oscillator { low: f64, high: f64 },
    /// Positive when rising, negative when falling: its sign favours or opposes the trade.
    Momentum,
    /// A value above 1 confirms either direction.
    Volume,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Column {
    fact: Fact,
    view: View,
    group: Group,
}

/// The columns of a model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Layout {
    indicators: Vec<String>,
    places: HashMap<String, usize>,
    symbols: HashMap<String, usize>,
    strategies: HashMap<String, usize>,
    texts: Vec<Words>,
    columns: Vec<Column>,
}

/// A text indicator and its words.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Words {
    name: String,
    numbers: HashMap<String, usize>,
}

impl Layout {
    /// The columns that these lessons have values for.
    pub fn of(lessons: &[&Lesson]) -> Self {
        let mut layout = Self { indicators: telling_names(lessons), texts: texts(lessons), ..Self::default() };
        layout.places = layout.indicators.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect();
        for lesson in lessons {
            let next = layout.symbols.len();
            layout.symbols.entry(lesson.case.symbol().as_str().to_owned()).or_insert(next);
            if let Some(strategy) = &lesson.case.strategy {
                let next = layout.strategies.len();
                layout.strategies.entry(strategy.clone()).or_insert(next);
            }
        }
        let seen: Vec<Seen<'_>> = lessons.iter().map(|lesson| layout.see(&lesson.case)).collect();
        let features = if lessons.iter().any(|lesson| lesson.case.features.is_some()) { FEATURES.len() } else { 0 };
        let indicators = (0..layout.indicators.len()).map(|at| (Fact::Indicator(at), Group::Indicators));
        let facts = indicators.chain((0..features).map(|at| (Fact::Feature(at), Group::Features)));
        let mut facts: Vec<(Fact, Group, Vec<f64>)> = facts.map(|(fact, group)| (fact, group, Vec::new())).collect();
        // Case by case, because the values of a case lie side by side in memory.
        for seen in &seen {
            facts.iter_mut().for_each(|(fact, _, values)| values.extend(seen.value(fact)));
        }
        facts.into_iter().for_each(|(fact, group, values)| layout.add_views(fact, group, values));
        for fact in
            [Fact::Confidence, Fact::RewardRisk, Fact::StopPercent, Fact::Direction, Fact::Timeframe, Fact::Symbol]
        {
            layout.columns.push(Column { fact, view: View::Raw, group: Group::Context });
        }
        if !layout.strategies.is_empty() {
            layout.columns.push(Column { fact: Fact::Strategy, view: View::Raw, group: Group::Context });
        }
        for at in 0..layout.texts.len() {
            layout.columns.push(Column { fact: Fact::Text(at), view: View::Raw, group: Group::Indicators });
        }
        layout
    }

    fn add_views(&mut self, fact: Fact, group: Group, values: Vec<f64>) {
        if values.is_empty() {
            return;
        }
        let reading = reading(self.name(&fact));
        self.columns.push(Column { fact: fact.clone(), view: View::Raw, group });
        self.columns.push(Column { fact: fact.clone(), view: View::Mirrored(centre(values, reading)), group });
        if let Some(reading) = reading {
            self.columns.push(Column { fact, view: View::Textbook(reading), group: Group::Textbook });
        }
    }

    /// The name of an indicator or feature; empty for other facts.
    pub fn name(&self, fact: &Fact) -> &str {
        match fact {
            Fact::Indicator(at) => &self.indicators[*at],
            Fact::Feature(at) => FEATURES[*at].name,
            Fact::Text(at) => &self.texts[*at].name,
            _ => "",
        }
    }

    /// Whether there is a column of an indicator of this name.
    pub fn has(&self, indicator: &str) -> bool {
        self.places.contains_key(indicator) || self.texts.iter().any(|text| text.name == indicator)
    }

    /// The row positions that the Gaussian process uses. Candle features are left out, because the candle model covers
    /// them, and so are the textbook readings, because their score covers them.
    pub fn quantities(&self) -> Vec<usize> {
        let is_one = |column: &Column| !matches!(column.group, Group::Features | Group::Textbook);
        let mut places: Vec<usize> = (0..self.columns.len()).filter(|&at| is_one(&self.columns[at])).collect();
        if self.columns.iter().any(|column| column.group == Group::Textbook) {
            places.push(self.columns.len());
        }
        places
    }

    /// Whether the number at this row position stands for a category.
    pub fn is_category(&self, place: usize) -> bool {
        self.columns.get(place).is_some_and(|column| column.fact.is_category())
    }

    /// The facts with several views: indicators and features, each with its centre.
    pub fn mirrored(&self) -> impl Iterator<Item = (&Fact, f64)> {
        self.columns.iter().filter_map(|column| match column.view {
            View::Mirrored(centre) => Some((&column.fact, centre)),
            _ => None,
        })
    }

    /// A case with its indicators assigned to columns.
    pub fn see<'a>(&self, case: &'a Case) -> Seen<'a> {
        let mut indicators = vec![None; self.indicators.len()];
        for (name, value) in &case.indicators {
            if let Some(at) = self.places.get(name) {
                indicators[*at] = Some(*value);
            }
        }
        let number = |numbers: &HashMap<String, usize>, name: &str| numbers.get(name).map(|number| *number as f64);
        let word = |text: &Words| {
            let said = case.texts.iter().find(|(name, _)| *name == text.name);
            said.and_then(|(_, word)| number(&text.numbers, word))
        };
        Seen {
            case,
            indicators,
            symbol: number(&self.symbols, case.symbol().as_str()),
            strategy: case.strategy.as_deref().and_then(|strategy| number(&self.strategies, strategy)),
            texts: self.texts.iter().map(word).collect(),
        }
    }

    /// The row of a case; NaN is missing. The last column is the textbook score.
    pub fn row(&self, case: &Case) -> Vec<f32> {
        let seen = self.see(case);
        let (mut score, mut readings) = (0.0, 0);
        let view = |column: &Column| {
            let Some(value) = seen.value(&column.fact) else { return f32::NAN };
            let shown = column.view.of(value, case.direction);
            if let View::Textbook(_) = column.view {
                score += shown;
                readings += 1;
            }
            shown as f32
        };
        let mut row: Vec<f32> = self.columns.iter().map(view).collect();
        row.push(if readings > 0 { score as f32 } else { f32::NAN });
        row
    }

    /// The rows of lessons as a table without targets.
    pub fn table(&self, lessons: &[&Lesson]) -> Table {
        let mut columns = vec![Vec::with_capacity(lessons.len()); self.columns.len() + 1];
        for lesson in lessons {
            for (column, value) in columns.iter_mut().zip(self.row(&lesson.case)) {
                column.push(value);
            }
        }
        let category = |column: &Column| if column.fact.is_category() { Kind::Category } else { Kind::Number };
        let mut kinds: Vec<Kind> = self.columns.iter().map(category).collect();
        kinds.push(Kind::Number);
        Table { columns, kinds, chances: self.chances(), ..Table::default() }
    }

    fn chances(&self) -> Vec<f64> {
        let groups = self.columns.iter().map(|column| column.group).chain([Group::Textbook]);
        let groups: Vec<Group> = groups.collect();
        let often: HashMap<Group, f64> = OFTEN.into_iter().collect();
        let size = |group: Group| groups.iter().filter(|other| **other == group).count() as f64;
        groups.iter().map(|&group| often[&group] / size(group)).collect()
    }
}

/// A case with its indicators assigned to the columns of a layout.
pub struct Seen<'a> {
    /// The case.
    pub case: &'a Case,
    indicators: Vec<Option<f64>>,
    symbol: Option<f64>,
    strategy: Option<f64>,
    texts: Vec<Option<f64>>,
}

impl Seen<'_> {
    /// The value of a fact, if the case has it.
    pub fn value(&self, fact: &Fact) -> Option<f64> {
        match fact {
            Fact::Indicator(at) => self.indicators[*at],
            Fact::Feature(at) => self.case.features.as_ref().map(|row| row[*at]),
            Fact::Confidence => self.case.confidence,
            Fact::RewardRisk => self.case.reward_risk,
            Fact::StopPercent => self.case.stop_percent,
            Fact::Direction => Some(self.case.direction.sign()),
            Fact::Timeframe => Some(self.case.timeframe().millis() as f64 / 60_000.0),
            Fact::Symbol => self.symbol,
            Fact::Strategy => self.strategy,
            Fact::Text(at) => self.texts[*at],
        }
    }
}

impl View {
    fn of(self, value: f64, direction: Direction) -> f64 {
        let sign = direction.sign();
        match self {
            Self::Raw => value,
            Self::Mirrored(centre) => sign * (value - centre),
            Self::Textbook(Reading::Oscillator { low, high }) => {
                // From 0 in the middle of the range to ±1 at its ends; negative where the price has already run far in
                // the direction of the trade.
                let stretched = sign * (2.0 * (value - low) / (high - low) - 1.0);
                -((stretched - 0.2) / 0.3).clamp(0.0, 1.0)
            }
            Self::Textbook(Reading::Momentum) => {
                if value == 0.0 {
                    0.0
                } else {
                    sign * value.signum() * 0.5
                }
            }
            Self::Textbook(Reading::Volume) => value.max(0.01).ln().clamp(-0.5, 0.5),
        }
    }
}

/// The names of the most predictive indicators, in alphabetical order.
fn telling_names(lessons: &[&Lesson]) -> Vec<String> {
    let mut values: HashMap<&str, Vec<(usize, f64)>> = HashMap::new();
    for (at, lesson) in lessons.iter().enumerate() {
        for (name, value) in &lesson.case.indicators {
            values.entry(name).or_default().push((at, *value));
        }
    }
    let mut names: Vec<&str> = values.keys().copied().collect();
    if names.len() > MAX_INDICATORS {
        let clusters = clusters(lessons);
        let mut judged: Vec<(&str, f64)> =
            values.iter().map(|(name, of)| (*name, told(lessons, &clusters, of))).collect();
        judged.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        judged.truncate(MAX_INDICATORS);
        names = judged.into_iter().map(|(name, _)| name).collect();
    }
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.sort();
    names
}

/// The time cluster in which each lesson was given.
pub fn clusters(lessons: &[&Lesson]) -> Vec<i64> {
    let mut lives: Vec<i64> = lessons.iter().map(|lesson| lesson.closed_ms - lesson.given_ms).collect();
    let long = lives.len() * 3 / 4;
    let life =
        lives.get_mut(..).filter(|lives| !lives.is_empty()).map_or(1, |lives| *lives.select_nth_unstable(long).1);
    // Counted from the first lesson, so that the same signals at another date give the same clusters.
    let given = || lessons.iter().map(|lesson| lesson.given_ms);
    let first = given().min().unwrap_or_default();
    let length = cluster_ms(given().max().unwrap_or_default() - first, life);
    given().map(|given| (given - first) / length).collect()
}

/// How strongly an indicator predicts success, in cluster-robust standard errors: the strongest of its plain, mirrored
/// and squared form.
fn told(lessons: &[&Lesson], clusters: &[i64], values: &[(usize, f64)]) -> f64 {
    let ranks = Ranks::of(values.iter().map(|(_, value)| *value as f32));
    let mut scored: Vec<(i64, f64, f64, f64)> = values
        .iter()
        .map(|(at, value)| {
            let case = &lessons[*at].case;
            let surprise = f64::from(u8::from(lessons[*at].success)) - logistic(case.expected());
            (clusters[*at], surprise, f64::from(ranks.score(*value as f32)), case.direction.sign())
        })
        .collect();
    scored.sort_by_key(|scored| scored.0);
    let mean = scored.iter().map(|row| row.1).sum::<f64>() / scored.len().max(1) as f64;
    let departure = |of: fn(f64, f64) -> f64| {
        let (mut design, mut sum) = (Design::default(), 0.0);
        for &(cluster, surprise, score, sign) in &scored {
            let term = of(score, sign) * (surprise - mean);
            design.add(cluster, term);
            sum += term;
        }
        design.departure(sum).abs()
    };
    departure(|score, _| score)
        .max(departure(|score, sign| score * sign))
        .max(departure(|score, _| score * score - 1.0))
}

/// The most frequent texts, each with its most frequent words.
fn texts(lessons: &[&Lesson]) -> Vec<Words> {
    let mut counts: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
    for (name, word) in lessons.iter().flat_map(|lesson| &lesson.case.texts) {
        *counts.entry(name).or_default().entry(word).or_default() += 1;
    }
    let mut texts: Vec<(&str, HashMap<&str, usize>)> = counts.into_iter().collect();
    let often = |words: &HashMap<&str, usize>| words.values().sum::<usize>();
    texts.sort_by(|a, b| often(&b.1).cmp(&often(&a.1)).then(a.0.cmp(b.0)));
    texts.truncate(MAX_TEXTS);
    texts.sort_by(|a, b| a.0.cmp(b.0));
    let words = |(name, words): (&str, HashMap<&str, usize>)| {
        let mut words: Vec<(&str, usize)> = words.into_iter().collect();
        words.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        words.truncate(MAX_WORDS);
        let numbers = words.into_iter().enumerate().map(|(number, (word, _))| (word.to_owned(), number)).collect();
        Words { name: name.to_owned(), numbers }
    };
    texts.into_iter().map(words).collect()
}

/// The neutral value of an indicator: the middle of a known range, 0 for values of both signs, else the median.
fn centre(mut values: Vec<f64>, reading: Option<Reading>) -> f64 {
    if let Some(Reading::Oscillator { low, high }) = reading {
        return (low + high) / 2.0;
    }
    let share = |side: fn(f64) -> bool| values.iter().filter(|v| side(**v)).count() as f64 / values.len() as f64;
    if share(|v| v > 0.0) >= EITHER_SIGN && share(|v| v < 0.0) >= EITHER_SIGN {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The textbook reading of a name, in any spelling: `rsi`, `RSI_14`, `macd.histogram`, `volumeRatio`.
fn reading(name: &str) -> Option<Reading> {
    let name: String = name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    let percent = Reading::Oscillator { low: 0.0, high: 100.0 };
    let has = |part: &str| name.contains(part);
    if has("rsi") || has("stoch") || name == "mfi" || has("moneyflow") {
        Some(percent)
    } else if has("williams") {
        Some(Reading::Oscillator { low: -100.0, high: 0.0 })
    } else if has("percentb") || has("bbposition") || name == "pctb" {
        Some(Reading::Oscillator { low: 0.0, high: 1.0 })
    } else if (has("macd") && !has("signal")) || has("momentum") || has("emadistance") || has("smadistance") {
        Some(Reading::Momentum)
    } else if has("volume") && has("ratio") || has("relativevolume") || name == "rvol" {
        Some(Reading::Volume)
    } else {
        None
    }
}
