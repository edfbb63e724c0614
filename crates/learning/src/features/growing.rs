//! The feature rows of a series that grows: only new candles are computed.

use super::cycles::KnownCycles;
use super::rows::Rows;
use super::state::{FeatureState, Missing, Row, is_silent};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::features::COUNT;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Rows of a piece. A table that grows while others share its rows copies one piece.
const PIECE: usize = 256;

/// Rows that tables of different lengths share: those computed first, in one contiguous piece of memory, and then others in pieces.
#[derive(Debug, Clone)]
pub struct SharedRows {
    first: Arc<Rows>,
    later: Vec<Arc<Vec<Row>>>,
    len: usize,
}

impl SharedRows {
    fn new(first: Rows) -> Self {
        Self { len: first.len(), first: Arc::new(first), later: Vec::new() }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A row.
    pub fn row(&self, at: usize) -> &Row {
        match at.checked_sub(self.first.len()) {
            None => &self.first[at],
            Some(later) => &self.later[later / PIECE][later % PIECE],
        }
    }

    /// A row that no other table shares, to change it.
    #[cfg(test)]
    pub fn row_mut(&mut self, at: usize) -> &mut Row {
        &mut Arc::get_mut(&mut self.first).unwrap()[at]
    }

    /// The row after the last one; it counts once `len` is raised.
    fn next(&mut self) -> &mut Row {
        let later = self.len - self.first.len();
        if later == self.later.len() * PIECE {
            self.later.push(Arc::new(vec![[0.0; COUNT]; PIECE]));
        }
        &mut Arc::make_mut(&mut self.later[later / PIECE])[later % PIECE]
    }
}

/// The feature rows of a market whose candles grow in number. They are those of [`super::compute`] for all candles, to the bit.
pub struct GrowingFeatures {
    candles: Vec<Candle>,
    calendar: Arc<Calendar>,
    state: FeatureState,
    cycles: KnownCycles,
    is_silent: bool,
    /// One row per bar that has one.
    rows: SharedRows,
    /// For each row, the index of its candle.
    bars: Vec<usize>,
    /// For each row, the average true range in price units.
    atr: Vec<f64>,
    missing: BTreeMap<Missing, usize>,
}

impl fmt::Debug for GrowingFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (candles, rows) = (self.candles.len(), self.rows.len());
        f.debug_struct("GrowingFeatures").field("candles", &candles).field("rows", &rows).finish_non_exhaustive()
    }
}

impl GrowingFeatures {
    /// A market without candles, of `step_ms` each.
    pub fn new(step_ms: i64) -> Self {
        Self::computed(&[], Arc::new(Calendar::always(step_ms)))
    }

    /// All rows of these candles.
    fn computed(candles: &[Candle], calendar: Arc<Calendar>) -> Self {
        let mut first = Rows::zeros(candles.len());
        let mut features = Self {
            candles: candles.to_vec(),
            state: FeatureState::of(candles, &calendar),
            cycles: KnownCycles::new(calendar.step_ms()),
            is_silent: is_silent(candles),
            calendar,
            rows: SharedRows::new(Rows::zeros(0)),
            bars: Vec::with_capacity(candles.len()),
            atr: Vec::with_capacity(candles.len()),
            missing: BTreeMap::new(),
        };
        let room: &mut [Row] = &mut first;
        for (bar, candle) in candles.iter().enumerate() {
            let row = features.bars.len();
            features.write(bar, candle, &mut room[row]);
        }
        first.truncate(features.bars.len());
        features.rows = SharedRows::new(first);
        features
    }

    /// Computes the rows of `candles`, checked and oldest first: of those that follow the candles it has. If they are not its
    /// candles and others, or say something else about the trading hours until now, all are computed. Returns whether rows were
    /// kept.
    pub fn grow(&mut self, candles: &[Candle]) -> bool {
        let calendar = Arc::new(Calendar::learn(candles, self.calendar.step_ms()));
        if !self.is_continued_by(candles, &calendar) {
            *self = Self::computed(candles, calendar);
            return false;
        }
        self.state.trade_by(&calendar);
        self.calendar = calendar;
        let mut rows = std::mem::replace(&mut self.rows, SharedRows::new(Rows::zeros(0)));
        for (bar, candle) in candles.iter().enumerate().skip(self.candles.len()) {
            self.write(bar, candle, rows.next());
            rows.len = self.bars.len();
        }
        self.rows = rows;
        self.candles.extend_from_slice(&candles[self.candles.len()..]);
        true
    }

    /// Writes the row of the next candle, if it has one.
    fn write(&mut self, bar: usize, candle: &Candle, row: &mut Row) {
        match (self.state.write(candle, |time_ms| self.cycles.of(time_ms), row), self.state.atr()) {
            (Ok(()), Some(range)) => {
                self.bars.push(bar);
                self.atr.push(range);
            }
            (Err(cause), _) => *self.missing.entry(cause).or_default() += 1,
            (Ok(()), None) => *self.missing.entry(Missing::WarmUp).or_default() += 1,
        }
    }

    fn is_continued_by(&self, candles: &[Candle], calendar: &Calendar) -> bool {
        let Some(last) = self.candles.last() else { return false };
        candles.starts_with(&self.candles)
            && is_silent(candles) == self.is_silent
            && calendar.agrees_until(&self.calendar, last.open_ms + calendar.step_ms())
    }

    /// The candles.
    pub fn candles(&self) -> &[Candle] {
        &self.candles
    }

    /// When the market trades.
    pub fn calendar(&self) -> &Arc<Calendar> {
        &self.calendar
    }

    /// Whether the candles have no volume.
    pub fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// One row per bar that has one.
    pub fn rows(&self) -> &SharedRows {
        &self.rows
    }

    /// For each row, the index of its candle.
    pub fn bars(&self) -> &[usize] {
        &self.bars
    }

    /// For each row, the average true range (14 bars) in price units.
    pub fn atr(&self) -> &[f64] {
        &self.atr
    }

    /// How many bars have no row, by cause.
    pub fn missing(&self) -> &BTreeMap<Missing, usize> {
        &self.missing
    }
}
