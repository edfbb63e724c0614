//! What the watch knows of streamed prices: which prices it has passed on without missing any, and which it may pass on.
//!
//! A price counts only when nothing before it is unknown. So the candles before a stretch are checked first, as before every
//! current price ([`super::watch`]); meanwhile the stream keeps its prices. Within a stretch every trade is seen, so no candle is
//! needed.

use super::Event;
use super::watch::{LastCandle, MINUTE_MS, SignalWatch};
use domain::error::Result;
use domain::symbol::Symbol;
use domain::threads;
use exchange::stream::{StreamStatus, SymbolPrices};
use feedback::Tick;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// If the last trade of a symbol is older than this, its price is requested, too: the market may have ended.
const QUIET_MS: i64 = 60_000;

/// The streamed prices of a symbol.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// When the exchange began the current stretch, UTC epoch ms; `None` while the symbol is not streamed.
    stretch_ms: Option<i64>,
    /// Whether the candles before the stretch were checked, so that its prices count.
    ready: bool,
    /// All trades from this time to that one were passed on, UTC epoch ms.
    now: Option<(i64, i64)>,
    /// The same of earlier stretches that no signal's time of checking includes yet.
    before: Vec<(i64, i64)>,
    /// Prices were lost or refused until this time, UTC epoch ms.
    lost_ms: i64,
}

impl Coverage {
    /// Up to when a signal is checked that was checked, or given, at `known_ms`.
    pub(super) fn extend(&self, known_ms: i64) -> i64 {
        let spans = self.before.iter().chain(&self.now);
        spans.fold(known_ms, |known_ms, (from, until)| if known_ms >= *from { known_ms.max(*until) } else { known_ms })
    }

    /// Earlier stretches are part of every signal's time of checking from now on.
    pub(super) fn forget_before(&mut self) {
        self.before.clear();
    }

    /// Whether current prices come from the stream.
    fn is_current(&self, now_ms: i64) -> bool {
        self.ready && self.stretch_ms.is_some() && self.now.is_some_and(|(_, until)| now_ms - until < QUIET_MS)
    }

    fn begin(&mut self, stretch_ms: Option<i64>) {
        if self.stretch_ms != stretch_ms {
            self.before.extend(self.now.take());
            (self.stretch_ms, self.ready) = (stretch_ms, false);
        }
    }

    /// Since when nothing is missing in the current stretch.
    fn since_ms(&self) -> Option<i64> {
        self.stretch_ms.map(|stretch_ms| stretch_ms.max(self.lost_ms))
    }

    fn pass(&mut self, until_ms: i64) {
        let from_ms = self.since_ms().unwrap_or(until_ms);
        self.now = Some(match self.now {
            Some((from_ms, before_ms)) => (from_ms, before_ms.max(until_ms)),
            None => (from_ms, until_ms),
        });
    }

    /// Prices of the stretch did not count: candles have to tell what happened.
    fn lose(&mut self, now_ms: i64) {
        self.before.extend(self.now.take());
        (self.ready, self.lost_ms) = (false, now_ms.saturating_add(1));
    }
}

/// What the watch remembers of streamed prices.
#[derive(Debug, Default)]
pub(super) struct Streamed {
    by_symbol: HashMap<Symbol, Coverage>,
    /// What went wrong, each told once until prices are passed on again.
    told: BTreeSet<String>,
}

impl Streamed {
    pub(super) fn of(&self, symbol: &Symbol) -> Option<&Coverage> {
        self.by_symbol.get(symbol)
    }

    pub(super) fn forget_before(&mut self, is_open: impl Fn(&Symbol) -> bool) {
        self.by_symbol.retain(|symbol, coverage| coverage.stretch_ms.is_some() || is_open(symbol));
        self.by_symbol.values_mut().for_each(Coverage::forget_before);
    }
}

impl SignalWatch {
    /// Notes which symbols are streamed, each with the begin of its stretch.
    pub(super) fn note_stretches(&self, stretches: &BTreeMap<Symbol, i64>) {
        let streamed = &mut self.memory.lock().streamed;
        for (symbol, coverage) in &mut streamed.by_symbol {
            coverage.begin(stretches.get(symbol).copied());
        }
        for (symbol, stretch_ms) in stretches {
            streamed.by_symbol.entry(symbol.clone()).or_default().begin(Some(*stretch_ms));
        }
    }

    /// Whether the current prices of a symbol come from the stream.
    pub(super) fn is_streamed(&self, symbol: &Symbol) -> bool {
        let now_ms = self.settings.now_ms();
        self.memory.lock().streamed.of(symbol).is_some_and(|coverage| coverage.is_current(now_ms))
    }

    /// The streamed symbols whose candles have to be checked before their prices count.
    pub(super) fn to_catch_up(&self) -> Vec<Symbol> {
        let memory = self.memory.lock();
        let waiting = memory.streamed.by_symbol.iter();
        waiting.filter(|(_, one)| one.stretch_ms.is_some() && !one.ready).map(|(symbol, _)| symbol.clone()).collect()
    }

    /// The symbols of open signals. If a signal was given before the stretch of its symbol and never checked, prices of the symbol
    /// wait for its candles.
    pub(super) async fn survey(self: &Arc<Self>, only: Option<&[Symbol]>) -> Result<BTreeSet<Symbol>> {
        let this = self.clone();
        let open = threads::blocking(move || this.signals.store().open()?.open_by_symbol()).await?;
        let now_ms = self.settings.now_ms();
        let minute_ms = now_ms - now_ms.rem_euclid(MINUTE_MS);
        let memory = &mut *self.memory.lock();
        for (symbol, signals) in &open {
            let Some(coverage) = memory.streamed.by_symbol.get_mut(symbol) else { continue };
            let Some(since_ms) = coverage.since_ms().filter(|_| coverage.ready) else { continue };
            coverage.ready = !signals.iter().any(|signal| {
                let given_ms = signal.levels.since_ms;
                given_ms < since_ms && given_ms + MINUTE_MS <= minute_ms && !memory.until_ms.contains_key(&signal.key)
            });
        }
        Ok(open.into_keys().filter(|symbol| only.is_none_or(|only| only.contains(symbol))).collect())
    }

    /// Checks the candles of these symbols, as every look does. Prices of those for which that worked count from now on.
    pub(super) async fn catch_up_streamed(self: &Arc<Self>, symbols: &[Symbol]) -> Result<()> {
        let since: HashMap<Symbol, Option<i64>> = {
            let streamed = &self.memory.lock().streamed;
            symbols.iter().map(|symbol| (symbol.clone(), streamed.of(symbol).and_then(Coverage::since_ms))).collect()
        };
        let watched = self.watched(Some(symbols)).await?;
        for (market, caught_up) in self.catch_all_up(watched).await? {
            let mut memory = self.memory.lock();
            let Some(coverage) = memory.streamed.by_symbol.get_mut(&market.symbol) else { continue };
            // If another stretch has begun meanwhile, the candles before it are checked next.
            if since.get(&market.symbol) == Some(&coverage.since_ms()) {
                coverage.ready = caught_up.is_ok();
            }
        }
        Ok(())
    }

    /// Whether prices of the stretch that began at `stretch_ms` count.
    pub(super) fn is_ready(&self, symbol: &Symbol, stretch_ms: i64) -> bool {
        let memory = self.memory.lock();
        memory.streamed.of(symbol).is_some_and(|coverage| coverage.ready && coverage.stretch_ms == Some(stretch_ms))
    }

    /// Closes the signals that streamed prices hit.
    pub(super) async fn pass_on(self: &Arc<Self>, streamed: &[SymbolPrices]) {
        let (mut ticks, mut passed) = (Vec::new(), Vec::new());
        for SymbolPrices { symbol, prices, .. } in streamed {
            let usable = prices.iter().try_for_each(|price| self.same_asset(symbol, price.price).map(drop));
            let Some(last) = prices.last() else { continue };
            if let Err(error) = usable {
                self.lose(symbol, &format!("its streamed prices do not count: {error}"));
                continue;
            }
            ticks.extend(prices.iter().map(|price| Tick { symbol, price: price.price, time_ms: price.time_ms }));
            passed.push((symbol, last));
        }
        if ticks.is_empty() {
            return;
        }
        if let Err(error) = self.signals.on_prices_now(self.signals.turn(), &ticks).await {
            passed
                .iter()
                .for_each(|(symbol, _)| self.lose(symbol, &format!("its streamed prices closed nothing: {error}")));
            return;
        }
        let memory = &mut *self.memory.lock();
        memory.streamed.told.clear();
        for (symbol, last) in passed {
            if let Some(coverage) = memory.streamed.by_symbol.get_mut(symbol) {
                coverage.pass(last.time_ms);
            }
            memory.last.insert(symbol.clone(), LastCandle { close: last.price, end_ms: last.time_ms });
        }
    }

    /// Streamed prices of a symbol did not count.
    fn lose(&self, symbol: &Symbol, problem: &str) {
        let is_news = {
            let streamed = &mut self.memory.lock().streamed;
            if let Some(coverage) = streamed.by_symbol.get_mut(symbol) {
                coverage.lose(self.settings.now_ms());
            }
            streamed.told.insert(format!("{symbol}: {problem}"))
        };
        if is_news {
            self.events.emit(&Event::Warning(format!("{symbol}: {problem}")));
        }
    }

    /// No prices are streamed any more.
    pub(super) fn stream_ended(&self) {
        *self.stream.lock() = None;
        self.note_stretches(&BTreeMap::new());
    }

    /// The state of the stream in this process; `None` if it streams no prices.
    pub(super) fn stream_status(&self) -> Option<StreamStatus> {
        self.stream.lock().as_ref().map(|stream| stream.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_extends_what_was_known_when_it_began() {
        let mut one = Coverage::default();
        one.begin(Some(100));
        one.pass(150);
        one.pass(140);
        assert_eq!([99, 100, 120, 170].map(|known| one.extend(known)), [99, 150, 150, 170]);
        // Another stretch: what lies between is unknown.
        one.begin(Some(200));
        assert!(!one.ready);
        one.pass(250);
        assert_eq!([120, 199, 200].map(|known| one.extend(known)), [150, 199, 250]);
        one.begin(None);
        assert_eq!((one.extend(120), one.extend(210), one.is_current(250)), (150, 250, false));
        one.forget_before();
        assert_eq!(one.extend(210), 210);
    }

    #[test]
    fn lost_prices_break_a_stretch() {
        let mut one = Coverage::default();
        one.begin(Some(100));
        one.ready = true;
        one.pass(150);
        assert!(one.is_current(200) && !one.is_current(150 + QUIET_MS));
        one.lose(160);
        assert!(!one.ready && !one.is_current(160));
        one.ready = true;
        one.pass(180);
        assert_eq!([120, 155, 161].map(|known| one.extend(known)), [150, 155, 180]);
    }
}
