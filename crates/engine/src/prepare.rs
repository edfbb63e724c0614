//! What a recording needs to know, so that what is recorded next is told its chances: learned and read in the background.

use super::{Event, OutcomeLearner};
use domain::error::Error;
use domain::symbol::Market;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

/// What was asked for by recordings that waited for nothing.
#[derive(Debug, Default)]
pub(super) struct Preparing(Mutex<Wanted>);

#[derive(Debug, Default)]
struct Wanted {
    /// Markets whose models of candles were asked for.
    known: HashSet<Market>,
    /// Those that were not read yet.
    unread: Vec<Market>,
    /// What closed before the process began waits to be learned from.
    closings: bool,
    /// That was asked for.
    begun: bool,
    /// A task is at it.
    under_way: bool,
}

impl Preparing {
    /// A signal of this market is being recorded.
    pub fn ask(&self, market: &Market) {
        let mut wanted = self.0.lock();
        if !wanted.known.contains(market) {
            wanted.known.insert(market.clone());
            wanted.unread.push(market.clone());
        }
    }

    /// A price or a signal came, the first of all perhaps: signals may follow. `closed` says whether anything closed before.
    fn begin(&self, closed: impl FnOnce() -> bool) {
        let mut wanted = self.0.lock();
        if !std::mem::replace(&mut wanted.begun, true) {
            wanted.closings = closed();
        }
    }

    /// The models to read, and whether to learn, for a task that then says when it is done.
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
    /// Begins in the background what was asked for: to read models of candles, and, once, to learn what has closed. Costs nothing where
    /// nothing was.
    pub(super) fn prepare(self: &Arc<Self>) {
        self.preparing.begin(|| self.store.if_open().is_some_and(|store| store.extent().1 > 0));
        let Some((markets, learn)) = self.preparing.take() else { return };
        let this = self.clone();
        tokio::spawn(async move {
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
            match prepared {
                Ok(()) | Err(Error::Closed | Error::Cancelled(_)) => {}
                // Whoever asks for an assessment hears of it, too.
                Err(error) => this.events.emit(&Event::Warning(format!("outcomes could not be learned from: {error}"))),
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
