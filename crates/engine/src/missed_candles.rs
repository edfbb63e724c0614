//! Checks open signals against the candles since the last look, for `watch`.

use super::watch::{LastCandle, WatchedSignal};
use candles::price_step;
use domain::barrier::{Event as TradeEvent, Exit, LEAST_TRAIL_R, Levels, Trade, Trading};
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::signal::{Excursion, SignalKey};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::HOUR_MS;
use exchange::CandleSource;
use feedback::{Cause, Extremes, Reach};
use std::collections::HashMap;

/// After an absence longer than this, candles are read hour by hour first.
const LONG_MS: i64 = 3 * HOUR_MS;

pub(super) fn minutes() -> Result<Timeframe> {
    Timeframe::parse("1m")
}

/// Checks open signals against missed candles.
pub(super) struct MissedCandles<'a> {
    pub source: &'a dyn CandleSource,
    pub trading: Trading,
    pub open: Vec<WatchedSignal>,
    /// With how far the price went, if all of the signal's life was seen.
    pub exits: Vec<(SignalKey, Levels, Exit, Option<Excursion>)>,
    /// What happened to managed signals.
    pub events: HashMap<SignalKey, Happened>,
    /// The highs and lows that this process has seen before the next candle.
    pub seen: Extremes,
    /// The candles that were checked, with their lengths in milliseconds.
    pub met: Vec<(Candle, i64)>,
    /// The end of the last checked candle.
    pub known_ms: i64,
    /// The last candle that was checked.
    pub last: Option<LastCandle>,
}

/// What candles did to a managed signal.
#[derive(Clone)]
pub(super) struct Happened {
    /// Where it stood before.
    pub before: Box<Trade>,
    pub events: Vec<TradeEvent>,
    /// When it was entered, UTC epoch ms, and how far the price went in its entry.
    pub entry: Option<(i64, Reach)>,
    /// How far the price went, if it was closed and all of its life was seen.
    pub excursion: Option<Excursion>,
}

impl Happened {
    fn after(before: Box<Trade>) -> Self {
        Self { before, events: Vec::new(), entry: None, excursion: None }
    }
}

impl MissedCandles<'_> {
    pub async fn look(&mut self, fine: &Market, until_ms: i64) -> Result<()> {
        // Includes the candle that was still open at the last look.
        let from_ms = self.known_ms - fine.timeframe.millis() + 1;
        if fine.timeframe != minutes()? || until_ms - from_ms <= LONG_MS {
            return self.pass(fine, from_ms, until_ms).await;
        }
        let (first_hour, last_hour) =
            (from_ms - from_ms.rem_euclid(HOUR_MS) + HOUR_MS, until_ms - until_ms.rem_euclid(HOUR_MS));
        self.pass(fine, from_ms, first_hour).await?;
        let coarse = Market { symbol: fine.symbol.clone(), timeframe: Timeframe::H1 };
        for hour in candles(self.source, &coarse, first_hour, last_hour).await? {
            let end_ms = hour.open_ms + HOUR_MS;
            let matters = |waiting: &WatchedSignal| {
                (hour.open_ms..end_ms).contains(&waiting.since_ms()) || waiting.is_concerned(&hour, HOUR_MS)
            };
            if self.open.iter().any(matters) {
                self.pass(fine, hour.open_ms, end_ms).await?;
            }
            // The hourly candle itself is checked only where the exchange lacks its minutes.
            self.meet(&hour, HOUR_MS);
        }
        self.pass(fine, last_hour, until_ms).await
    }

    /// Trailing stops that have moved far enough are stored, so that they survive the process.
    pub fn tell_of_trails(&mut self) {
        for WatchedSignal { key, trade, .. } in &mut self.open {
            let Some(trade) = trade else { continue };
            let before = trade.clone();
            if let Some(event) = trade.tell_of_trail(self.known_ms, LEAST_TRAIL_R) {
                self.events.entry(*key).or_insert_with(|| Happened::after(before)).events.push(event);
            }
        }
    }

    async fn pass(&mut self, market: &Market, from_ms: i64, until_ms: i64) -> Result<()> {
        for candle in candles(self.source, market, from_ms, until_ms).await? {
            self.meet(&candle, market.timeframe.millis());
        }
        Ok(())
    }

    fn meet(&mut self, candle: &Candle, candle_ms: i64) {
        let Self { known_ms, trading, exits, events: all, seen, .. } = self;
        seen.cover(candle, candle_ms);
        self.open.retain_mut(|WatchedSignal { key, levels, trade, entry, known_ms: own_ms }| {
            let known_ms = (*own_ms).max(*known_ms);
            let cause = Cause::Candle { known_ms, candle: *candle, candle_ms };
            if let Some(trade) = trade {
                let (before, mut events) = (trade.clone(), Vec::new());
                trade.on_candle(known_ms, candle, candle_ms, Some(trading), &mut events);
                if !events.is_empty() {
                    let excursion = cause.passed(before.levels(), trade, &events, entry, seen);
                    let happened = all.entry(*key).or_insert_with(|| Happened::after(before));
                    happened.events.append(&mut events);
                    (happened.entry, happened.excursion) = (*entry, excursion);
                }
                return trade.ended().is_none();
            }
            let exit = levels.on_candle_after(known_ms, candle, candle_ms, trading);
            exits.extend(exit.map(|exit| (*key, *levels, exit, cause.excursion(levels, &exit, seen))));
            exit.is_none()
        });
        self.seen.reach(candle, candle_ms);
        self.met.push((*candle, candle_ms));
        let end_ms = candle.open_ms + candle_ms;
        if end_ms >= self.known_ms {
            self.known_ms = end_ms;
            self.last = Some(LastCandle { close: candle.close, end_ms });
        }
    }
}

impl WatchedSignal {
    /// When it was given, or when something last happened to it, UTC epoch ms.
    fn since_ms(&self) -> i64 {
        self.trade.as_ref().map_or(self.levels.since_ms, |trade| trade.levels().since_ms)
    }

    /// Whether a candle does something to it.
    fn is_concerned(&self, candle: &Candle, candle_ms: i64) -> bool {
        match &self.trade {
            None => self.levels.on_candle(candle.open_ms, candle, candle_ms).is_some(),
            Some(trade) => {
                let (mut trade, mut events) = (trade.clone(), Vec::new());
                trade.on_candle(candle.open_ms, candle, candle_ms, None, &mut events);
                !events.is_empty()
            }
        }
    }
}

/// The closed candles that open in `[from_ms, until_ms)`, in order. Fails if they belong to more than one asset: the
/// candle before them is fetched too, because after a halt another coin may trade under the same ticker.
pub(super) async fn candles(
    source: &dyn CandleSource,
    market: &Market,
    from_ms: i64,
    until_ms: i64,
) -> Result<Vec<Candle>> {
    if from_ms >= until_ms {
        return Ok(Vec::new());
    }
    let step = market.timeframe.millis();
    let mut found = source.candles(market, from_ms - step, until_ms).await?.candles;
    found.retain(|candle| candle.open_ms >= from_ms - step && candle.open_ms + step <= until_ms);
    found.sort_by_key(|candle| candle.open_ms);
    for (index, candle) in found.iter().enumerate() {
        candle.check(index)?;
        if let Some(before) = index.checked_sub(1) {
            check_step(&market.symbol, found[before].close, candle.open)?;
        }
    }
    found.retain(|candle| candle.open_ms >= from_ms);
    Ok(found)
}

/// # Errors
/// [`Error::BadCandle`] if the price moved too far to belong to the same asset.
pub(super) fn check_step(symbol: &Symbol, close: f64, next: f64) -> Result<()> {
    match price_step(close, next) {
        None => Ok(()),
        Some(step) => {
            let problem = format!(
                "it steps {step:.0}-fold, from {close} to {next}: another coin under the same ticker, a redenomination, or a \
                 false price. The open signals stay open; close them by hand if it lasts"
            );
            Err(Error::BadCandle { place: format!("the price of {symbol}"), problem })
        }
    }
}
