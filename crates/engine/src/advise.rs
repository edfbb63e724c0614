//! What other levels would have brought to past signals.

use super::OutcomeLearner;
use candles::stored_markets;
use domain::barrier::Direction;
use domain::error::Result;
use domain::signal::Record;
use domain::symbol::{Market, Symbol, Timeframe};
use feedback::StatsFilter;
use learning::advice::{LevelsAdvice, PastSignal, Series, Study};
use std::collections::BTreeMap;

/// Which signals to replay. An empty filter means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdviceFilter {
    /// Signals given at this time or later, UTC epoch ms.
    pub since_ms: Option<i64>,
    /// Signals given before this time, UTC epoch ms.
    pub until_ms: Option<i64>,
    /// Only this strategy.
    pub strategy: Option<String>,
    /// Only this pair.
    pub symbol: Option<Symbol>,
    /// Only this timeframe.
    pub timeframe: Option<Timeframe>,
    /// Only this direction.
    pub direction: Option<Direction>,
}

impl AdviceFilter {
    /// The signal to replay; `None` if it is not asked for, or cannot be replayed.
    fn wanted(&self, record: &Record) -> Option<PastSignal> {
        PastSignal::of(record).filter(|signal| {
            self.since_ms.is_none_or(|since| signal.levels.since_ms >= since)
                && self.until_ms.is_none_or(|until| signal.levels.since_ms < until)
                && self.direction.is_none_or(|direction| signal.levels.direction == direction)
                && self.strategy.as_ref().is_none_or(|strategy| signal.strategy.as_ref() == Some(strategy))
        })
    }
}

impl OutcomeLearner {
    /// Replays closed signals, traded or not, on the stored candles with other stops, targets and expiries. Reads the
    /// store and candle files; for years of candles by the minute this takes seconds.
    ///
    /// # Errors
    /// [`domain::error::Error::Storage`] if the store cannot be read; [`domain::error::Error::Io`] and
    /// [`domain::error::Error::BadCandle`] if a candle file cannot; [`domain::error::Error::Closed`].
    pub fn advise(&self, filter: &AdviceFilter) -> Result<LevelsAdvice> {
        let config = self.settings.config();
        let mut signals = Vec::new();
        if let Some(store) = self.store.existing()? {
            let asked =
                StatsFilter { symbol: filter.symbol.clone(), timeframe: filter.timeframe, ..Default::default() };
            store.closed_records(&asked, |record| {
                signals.extend(filter.wanted(&record));
                self.lifetime.closing().check()
            })?;
        }
        let mut study = Study::of(signals, config.costs());
        let (stored, _) = stored_markets(&self.settings.data_folder())?;
        for (symbol, coarsest) in study.symbols() {
            let mut series = BTreeMap::new();
            for market in stored.iter().filter(|market| market.symbol == symbol && market.timeframe <= coarsest) {
                self.lifetime.closing().check()?;
                series.extend(self.series(market)?.map(|series| (market.timeframe, series)));
            }
            study.replay(&symbol, &series);
        }
        self.lifetime.closing().check()?;
        Ok(study.advice(config.seed))
    }

    fn series(&self, market: &Market) -> Result<Option<Series>> {
        let stored = self.candles.all(market)?;
        Ok(stored.map(|candles| Series::new(candles, market.timeframe.millis())))
    }
}
