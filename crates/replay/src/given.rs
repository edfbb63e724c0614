//! Where the signals of a replay come from.

use domain::barrier::Outcome;
use domain::candle::Candle;
use domain::error::Result;
use domain::signal::{Claim, Record, Signal, Update};
use domain::symbol::Market;
use engine::{Risk, SignalLoop};
use feedback::StatsFilter;
use std::pin::Pin;
use std::time::Duration;

/// Keys under which a live loop stores its own prediction with a signal. A replay predicts anew.
const OWN_PREDICTION: [&str; 2] = ["mlPrediction", "ml_prediction"];

/// A signal, given at its timestamp.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The signal.
    pub signal: Signal,
    /// How it really ended, if that is known. It ends so unless candles ended it earlier.
    pub end: Option<Update>,
}

/// A market whose candle has just closed.
#[derive(Debug, Clone, Copy)]
pub struct Bar<'a> {
    /// The market.
    pub market: &'a Market,
    /// All its candles that have closed, oldest first. The last one has just closed.
    pub closed: &'a [Candle],
}

/// What a strategy wants at a bar: signals, or the reason why it has none because it failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The place of the bar among those it was asked for.
    pub bar: usize,
    /// The signals, or what went wrong in words.
    pub signals: std::result::Result<Vec<Signal>, String>,
}

/// The answer of a strategy.
pub type StrategyFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<Asked>>> + Send + 'a>>;

/// A trading strategy of the user.
pub trait Strategy: Send {
    /// The signals of a step of time. `bars` are the markets whose candle closed at `now_ms`. Where it takes longer than `limit`
    /// for a bar, that is a fault of this bar.
    ///
    /// # Errors
    /// What makes it impossible to go on. A fault of a single bar is in its answer instead.
    fn signals<'a>(&'a mut self, now_ms: i64, bars: &'a [Bar<'a>], limit: Duration) -> StrategyFuture<'a>;
}

/// Where the signals come from.
pub enum Source {
    /// Signals that were given in the past.
    Signals(Vec<Given>),
    /// A strategy of the user, asked at the close of each candle of these markets.
    Strategy(Vec<Market>, Box<dyn Strategy>),
    /// The loop's own signals for these markets, made at the close of each candle.
    Own(Vec<Market>, Risk),
}

impl Source {
    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Signals(_) => "signals",
            Self::Strategy(..) => "strategy",
            Self::Own(..) => "own",
        }
    }
}

/// All signals of a store that have a direction, oldest first, with their ends.
///
/// # Errors
/// [`domain::error::Error::Storage`] if the store cannot be read.
pub fn signals_of(core: &SignalLoop) -> Result<Vec<Given>> {
    let mut given = Vec::new();
    if let Some(store) = core.store().existing()? {
        store.closed_records(&StatsFilter::default(), |record| {
            given.push(Given::of(record));
            Ok(())
        })?;
        given.extend(store.open_signals(None)?.into_iter().map(|signal| Given::of(signal.into())));
    }
    given.retain(|given| given.signal.direction.is_some());
    given.sort_by(|one, other| one.key().cmp(&other.key()));
    Ok(given)
}

impl Given {
    /// Signals in the order in which they are replayed.
    pub(crate) fn key(&self) -> (i64, &str) {
        (self.signal.timestamp_ms, &self.signal.id)
    }

    /// A past signal as if it were new: without what the live loop added to it.
    pub fn of(record: Record) -> Self {
        let Record { mut signal, closing, .. } = record;
        signal.features = None;
        OWN_PREDICTION.iter().for_each(|key| drop(signal.extra.shift_remove(*key)));
        // An order that was cancelled has no result to take over; its levels decide.
        let end = closing.filter(|closing| closing.outcome != Outcome::Cancelled).map(|closing| Update {
            id: signal.id.clone(),
            claim: Claim {
                outcome: closing.outcome,
                exit_price: closing.exit_price,
                profit_percent: closing.outcome.succeeded().map(|_| closing.profit_percent),
            },
            share: None,
            closed_ms: Some(closing.closed_ms),
        });
        Self { signal, end }
    }
}
