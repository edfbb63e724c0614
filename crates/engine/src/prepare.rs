//! Prepares in the background what a recording needs for its forecast: models of candles, and the earlier closed
//! signals.

use super::OutcomeLearner;
use domain::symbol::Market;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

/// What recordings needed but could not wait for.
#[derive(Debug, Default)]
pub(super) struct Preparing(Mutex<Wanted>);

#[derive(Debug, Default)]
struct Wanted {
    /// Markets whose models of candles were needed.
    known: HashSet<Market>,
    /// Markets among them whose models were not read yet.
    unread: Vec<Market>,
    /// Whether signals closed before the process started and were not learned from yet.
    closings: bool,
    /// Whether the first price or signal has arrived.
    begun: bool,
    /// Whether a task is preparing.
    under_way: bool,
}

impl Preparing {
    /// Notes that a signal of this market is being recorded.
    pub fn ask(&self, market: &Market) {
        let mut wanted = self.0.lock();
        if !wanted.known.contains(market) {
            wanted.known.insert(market.clone());
            wanted.unread.push(market.clone());
        }
    }

    /// Notes that a price or a signal has arrived. For the first one, `closed` says whether signals have closed before.
    fn begin(&self, closed: impl FnOnce() -> bool) {
        let mut wanted = self.0.lock();
        if !std::mem::replace(&mut wanted.begun, true) {
            wanted.closings = closed();
        }
    }

    /// The models to read, and whether to learn. The caller must call [`Self::done`] afterwards.
    fn take(&self) -> Option<(Vec<Market>, bool)> {
        let mut wanted = self.0.lock();
        if wanted.under_way || !wanted.closings && wanted.unread.is_empty() {
            return None;
        }
        wanted.under_way = true;
        Some((std::mem::take(&mut wanted.unread), std::mem::take(&mut wanted.closings)))
    }

    fn done(&self) {
        self.0.lock().under_way = false;
    }
}

impl OutcomeLearner {
    /// Starts in the background what is needed: reads models of candles and, once, learns from earlier closed signals.
    /// Does nothing if nothing is needed.
    pub(super) fn prepare(self: &Arc<Self>) {
        self.preparing.begin(|| self.store.if_open().is_some_and(|store| store.extent().1 > 0));
        let Some((markets, learn)) = self.preparing.take() else { return };
        let this = self.clone();
        self.lifetime.in_background(async move {
            let prepared = async {
                for market in markets {
                    let models = this.models.clone();
                    this.compute
                        .run(move || {
                            models.read_candle_model(&market);
                            Ok(())
                        })
                        .await?;
                }
                if learn { this.learn_closings().await } else { Ok(()) }
            };
            let prepared = prepared.await;
            this.preparing.done();
            if let Err(error) = prepared {
                // An assessment fails with the same error.
                this.tell_of_failure(&error);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_at_a_time_does_what_was_asked_for() {
        let (preparing, market) = (Preparing::default(), Market::parse("BTCUSDT", "1h").unwrap());
        preparing.begin(|| true);
        assert_eq!(preparing.take(), Some((Vec::new(), true)), "the first learns");
        preparing.begin(|| true);
        preparing.ask(&market);
        preparing.ask(&market);
        assert_eq!(preparing.take(), None, "one is under way");
        preparing.done();
        assert_eq!(preparing.take(), Some((vec![market.clone()], false)));
        preparing.done();
        preparing.ask(&market);
        preparing.begin(|| true);
        assert_eq!(preparing.take(), None, "nothing is left to do");
        let new = Preparing::default();
        new.begin(|| false);
        assert_eq!(new.take(), None, "nothing closed before");
    }
}
