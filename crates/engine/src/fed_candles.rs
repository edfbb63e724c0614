//! Candles that a backend gives one by one as they close. They extend the stored candles in memory until a fetch has
//! stored them.

use super::recent_candles::{MAX_RECENT, RecentCandles, SETTLED, Seen};
use domain::calendar::Calendar;
use domain::candle::Candle;
use std::sync::Arc;

/// The newest given candles of a market.
#[derive(Debug, Default)]
pub(super) struct FedCandles {
    /// The candles, sorted by open time without duplicates, at most [`MAX_RECENT`].
    candles: Vec<Candle>,
    /// Whether older ones were dropped.
    is_cut: bool,
    /// A cache of the stored candles extended by these, and which stored ones. Cleared when another candle
    /// arrives.
    grown: Option<(Option<Seen>, Option<Arc<RecentCandles>>)>,
}

impl FedCandles {
    /// Takes a closed candle. It replaces an earlier one with the same time.
    pub fn give(&mut self, candle: Candle) {
        let at = self.candles.partition_point(|known| known.open_ms < candle.open_ms);
        match self.candles.get_mut(at).filter(|known| known.open_ms == candle.open_ms) {
            Some(known) if *known == candle => return,
            Some(known) => *known = candle,
            None => self.candles.insert(at, candle),
        }
        if self.candles.len() > MAX_RECENT {
            self.candles.remove(0);
            self.is_cut = true;
        }
        self.grown = None;
    }

    /// The stored candles, extended by the given ones that follow. `Seen` says which are stored.
    pub fn grown(&mut self, stored: Option<(Seen, Arc<RecentCandles>)>, step_ms: i64) -> Option<Arc<RecentCandles>> {
        let (seen, stored) = stored.unzip();
        match &self.grown {
            Some((known, grown)) if *known == seen => grown.clone(),
            _ => {
                let grown = self.after(stored.as_deref(), step_ms).map(Arc::new).or(stored);
                self.grown.insert((seen, grown)).1.clone()
            }
        }
    }

    /// The stored candles, extended by the given ones that follow without a gap. A missing candle would change the
    /// features, so after a gap only the given ones are used, once there are enough of them. `None` if the given ones
    /// add nothing.
    fn after(&self, stored: Option<&RecentCandles>, step_ms: i64) -> Option<RecentCandles> {
        let newer = match stored.and_then(|stored| stored.last()) {
            Some(last) => &self.candles[self.candles.partition_point(|candle| candle.open_ms <= last.open_ms)..],
            None => &self.candles[..],
        };
        newer.last()?;
        let calendar = match stored {
            Some(stored) => stored.calendar().clone(),
            None => Arc::new(Calendar::learn(newer, step_ms)),
        };
        let begin = (1..newer.len()).rev().find(|&at| !follows(&calendar, &newer[at - 1], &newer[at])).unwrap_or(0);
        if let Some(stored) = stored.filter(|stored| {
            let last = stored.last();
            begin == 0 && last.is_some_and(|last| follows(&calendar, last, &newer[0]))
        }) {
            let candles = [&stored[..], newer].concat();
            return Some(RecentCandles::new(&candles, calendar, stored.is_cut()));
        }
        let alone = &newer[begin..];
        (alone.len() >= SETTLED).then(|| RecentCandles::new(alone, calendar, begin == 0 && self.is_cut))
    }
}

/// Whether no candle is missing between these two.
fn follows(calendar: &Calendar, candle: &Candle, next: &Candle) -> bool {
    let due_ms = candle.open_ms + calendar.step_ms();
    next.open_ms == due_ms || next.open_ms > due_ms && calendar.is_regular(due_ms, next.open_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, SignalLoop};
    use candles::{candle_file, write_csv};
    use domain::signal::{Signal, Source};
    use domain::symbol::Market;
    use domain::time::{Clock, Tz};
    use learning::features;
    use serde_json::json;

    const HOUR: i64 = 3_600_000;
    const FIRST: i64 = 1_700_002_800_000;

    fn candle(i: usize) -> Candle {
        let x = i as f64;
        let (open, close) = (100.0 + (x / 7.0).sin(), 100.0 + ((x + 1.0) / 7.0).sin());
        let (high, low) = (open.max(close) + 0.3, open.min(close) - 0.2);
        Candle { open_ms: FIRST + i as i64 * HOUR, open, high, low, close, volume: 50.0 + 20.0 * (x / 5.0).sin() }
    }

    fn candles(range: std::ops::Range<usize>) -> Vec<Candle> {
        range.map(candle).collect()
    }

    fn market() -> Market {
        Market::parse("BTCUSDT", "1h").unwrap()
    }

    struct Backend {
        core: Arc<SignalLoop>,
        clock: Clock,
        _home: tempfile::TempDir,
    }

    impl Backend {
        /// A backend with this many stored candles.
        fn of(stored: usize) -> Self {
            let (home, clock) = (tempfile::tempdir().unwrap(), Clock::standing(FIRST + stored as i64 * HOUR));
            let options = Options { home: Some(home.path().to_owned()), clock: clock.clone(), ..Options::default() };
            let backend = Self { core: Arc::new(SignalLoop::open(options).unwrap()), clock, _home: home };
            if stored > 0 {
                backend.store(stored);
            }
            backend
        }

        fn store(&self, candles: usize) {
            write_csv(&candle_file(&self.core.settings().data_folder(), &market()), &self::candles(0..candles))
                .unwrap();
        }

        /// Gives candle `number` as it closes.
        async fn give(&self, number: usize) {
            self.clock.set(FIRST + (number as i64 + 1) * HOUR);
            let (core, Market { symbol, timeframe }) = (&self.core, market());
            core.signals().on_candle(symbol, candle(number), timeframe).await.unwrap();
        }

        /// The features of a signal recorded a second later.
        async fn features(&self, id: &str) -> Option<Vec<f64>> {
            let timestamp = self.clock.now_ms() + 1000;
            self.clock.set(timestamp);
            let signal = json!({ "id": id, "pair": "BTCUSDT", "signalType": "BUY", "entryPrice": 100, "confidence": 60, "timestamp": timestamp });
            let signal = Signal::from_value(signal, Source::Caller, Tz::UTC).unwrap();
            // Computed from memory without waiting, and by a recording, which may wait.
            let at_once = self
                .core
                .candles()
                .recent_in_memory(&market())
                .map(|recent| recent.and_then(|recent| recent.entry_features(&signal)));
            self.core.signals().record(vec![signal]).await.unwrap();
            let features = self.core.store().open().unwrap().get(id).unwrap().unwrap().signal.features;
            assert!(at_once.is_none_or(|at_once| at_once == features));
            features.map(|features| features.values)
        }
    }

    /// The features computed from all candles up to candle `number`.
    fn expected(number: usize) -> Option<Vec<f64>> {
        let all = candles(0..number + 1);
        features::latest(&all[all.len() - MAX_RECENT.min(all.len())..], HOUR).ok().map(|(row, _)| row.to_vec())
    }

    #[tokio::test]
    async fn signals_know_candles_that_were_given_and_not_stored_yet() {
        let backend = Backend::of(500);
        assert_eq!(backend.features("stored").await, expected(499));
        for number in 500..503 {
            assert!(backend.give_and_miss(number).await, "the next candle has closed and nobody gave it");
            backend.give(number).await;
            assert_eq!(backend.features(&format!("s{number}")).await, expected(number));
        }
        // Once the candles are stored, the file alone gives the same features.
        backend.store(503);
        assert_eq!(backend.features("fetched").await, expected(502));
        backend.store(504);
        backend.clock.set(FIRST + 504 * HOUR);
        assert_eq!(backend.features("grown").await, expected(503), "a file that grew is read anew");
        backend.core.close().await;
    }

    impl Backend {
        /// Lets candle `number` close without giving it. Returns whether a signal then has no features.
        async fn give_and_miss(&self, number: usize) -> bool {
            self.clock.set(FIRST + (number as i64 + 1) * HOUR);
            self.features(&format!("m{number}")).await.is_none()
        }
    }

    #[tokio::test]
    async fn a_hole_is_not_bridged_until_a_fetch_fills_it() {
        let backend = Backend::of(500);
        for number in [501, 502, 503] {
            backend.give(number).await;
            assert_eq!(backend.features(&format!("s{number}")).await, None, "one candle is missing");
        }
        backend.store(502);
        assert_eq!(backend.features("filled").await, expected(503));
        // A candle that has not closed yet is refused.
        let (core, Market { symbol, timeframe }) = (&backend.core, market());
        let early = core.signals().on_candle(symbol.clone(), candle(504), timeframe).await;
        assert_eq!(early.unwrap_err().code(), "ERR_INVALID_ARGUMENT");
        assert_eq!(core.candles().recent(&market()).unwrap().unwrap().last(), Some(&candle(503)));
        // The last version of a candle counts.
        backend.give(504).await;
        let corrected = Candle { close: 100.05, ..candle(504) };
        core.signals().on_candle(symbol, corrected, timeframe).await.unwrap();
        assert_eq!(core.candles().recent(&market()).unwrap().unwrap().last(), Some(&corrected));
        backend.core.close().await;
    }

    #[tokio::test]
    async fn without_stored_candles_the_given_ones_do_once_they_are_enough() {
        let backend = Backend::of(0);
        for number in 0..SETTLED + 200 {
            backend.give(number).await;
            if [50, SETTLED - 2, SETTLED - 1, SETTLED + 199].contains(&number) {
                let found = backend.features(&format!("s{number}")).await;
                let due = (number + 1 >= SETTLED).then(|| expected(number).unwrap());
                assert_eq!(found, due, "{number}");
            }
        }
        // After a gap the given candles start anew.
        backend.give(SETTLED + 201).await;
        assert_eq!(backend.features("hole").await, None);
        backend.core.close().await;
    }
}
