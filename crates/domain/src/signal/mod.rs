//! A trading signal, its result, how both are validated, and their JSON form.
//!
//! Every key is read in two spellings: `entryPrice` from JavaScript, and `entry_price` from files of the former system. Keys are
//! written in snake_case. Unknown keys are kept and written back unchanged.

mod change;
mod claim;
mod ended;
mod fields;
mod indicators;
mod key;
mod managed;
mod numbers;
mod read;
mod record;
mod result;
mod said;
mod write;

pub use change::{Amendment, Cancellation, Change, Reduction, Targets};
pub use claim::Claim;
pub use ended::Ended;
pub use fields::known_keys;
pub use indicators::Indicators;
pub use key::{SignalKey, SignalKeyHasher};
pub use numbers::{SIGNAL_NUMBERS, levels_in};
pub use read::Source;
pub use record::{AT_ONCE, ENDS, Update};
pub use result::{Costs, Earned, Fill, FillKind};
pub use said::{Contributions, Departures, Said};

use crate::barrier::{Direction, Event, Levels, Outcome, Terms, Trade, TrailBy};
use crate::error::{Error, Result, shown};
use crate::features;
use crate::symbol::{Market, Symbol, Timeframe};
use crate::time::format_iso;
use serde_json::{Map, Value};

/// The longest signal id accepted, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// The longest name of a strategy accepted, in characters.
pub const MAX_STRATEGY_CHARS: usize = 64;

/// What a strategy may be, phrased for an error.
pub const STRATEGY: &str = "must be a text of 1 to 64 characters, not blank, without control characters";

/// Whether a text is a valid strategy name.
pub fn is_strategy(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_STRATEGY_CHARS && !text.contains(char::is_control)
}

/// A validated signal: the id is not empty, prices are finite and positive, levels lie on their sides of the entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// The caller's unique id.
    pub id: String,
    /// The pair.
    pub symbol: Symbol,
    /// The candle interval that it was made from. Default `1h`.
    pub timeframe: Timeframe,
    /// `None` is HOLD: stored, but never open and never counted.
    pub direction: Option<Direction>,
    /// Percent, 0–100. Old files may lack it.
    pub confidence: Option<f64>,
    /// Entry price; only a HOLD may lack it.
    pub entry_price: Option<f64>,
    /// Below the entry for a BUY, above it for a SELL.
    pub stop_loss: Option<f64>,
    /// Above the entry for a BUY, below it for a SELL.
    pub take_profit: Option<f64>,
    /// When it was given, UTC epoch ms.
    pub timestamp_ms: i64,
    /// When it expires, UTC epoch ms.
    pub expires_ms: Option<i64>,
    /// Name of the strategy that gave it, valid by [`is_strategy`].
    pub strategy: Option<String>,
    /// Where it came from, such as a channel; valid by [`is_strategy`].
    pub source: Option<String>,
    /// The caller's labels, each valid by [`is_strategy`].
    pub tags: Vec<String>,
    /// What it asks for beyond its prices; `None` for a plain signal, which is entered at once and has at most one target and a
    /// stop that stays.
    pub terms: Option<Box<Terms>>,
    /// How large a position it is, and what that costs.
    pub position: Position,
    /// Whether it was traded. A signal that was not traded is tracked and learned from, but does not count in live results.
    pub taken: bool,
    /// The caller's indicators, unchanged; [`Indicators::numbers`] are the ones to learn from.
    pub indicators: Indicators,
    /// The features of the market at entry, if candles were known.
    pub features: Option<EntryFeatures>,
    /// Everything else the caller sent.
    pub extra: Map<String, Value>,
}

/// How large the position of a signal is, and what it costs. `None` stands for the configuration's value, or for unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Position {
    /// The value of the position divided by the margin, 1 to 1000.
    pub leverage: Option<f64>,
    /// Costs of a round trip, in basis points of the entry price.
    pub fee_bps: Option<f64>,
    /// What holding it costs a day, in basis points of the entry price; negative where holding it pays.
    pub funding_bps_per_day: Option<f64>,
    /// The amount of the base currency.
    pub quantity: Option<f64>,
}

impl Position {
    /// The values that are known, under their keys in a log.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let Self { leverage, fee_bps, funding_bps_per_day, quantity } = *self;
        let members = [
            ("leverage", leverage),
            ("fee_bps", fee_bps),
            ("funding_bps_per_day", funding_bps_per_day),
            ("quantity", quantity),
        ];
        members.into_iter().filter_map(|(key, value)| Some((key, value?)))
    }
}

/// The feature row of the last candle that closed before the signal.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EntryFeatures {
    /// [`crate::features::VERSION`] at that time; rows of different versions never mix.
    pub version: u32,
    /// One value per feature.
    pub values: Vec<f64>,
}

/// How a signal was closed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closing {
    /// The outcome; never `ACTIVE`.
    pub outcome: Outcome,
    /// The exit price, if known.
    pub exit_price: Option<f64>,
    /// Profit in percent of the entry price, before costs; 0 where the outcome is unknown.
    pub profit_percent: f64,
    /// When, UTC epoch ms.
    pub closed_ms: i64,
    /// How far the price went while it was open, if that was seen from its entry to its end.
    pub excursion: Option<Excursion>,
}

/// How far the price went for and against a signal while it was open, in percent of the entry price; neither is negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Excursion {
    /// For it: the maximum favourable excursion (J. Sweeney, *Campaign Trading*, 1996).
    pub best_percent: f64,
    /// Against it: the maximum adverse excursion.
    pub worst_percent: f64,
}

impl Excursion {
    /// Of a signal whose prices lay between `low` and `high`.
    pub fn of(levels: &Levels, low: f64, high: f64) -> Self {
        let (worst, best) = match levels.direction {
            Direction::Buy => (low, high),
            Direction::Sell => (high, low),
        };
        let most = |percent: f64| if percent > 0.0 { percent } else { 0.0 };
        Self { best_percent: most(levels.profit_percent(best)), worst_percent: most(-levels.profit_percent(worst)) }
    }
}

/// A signal and its result, if it has one: one line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The signal.
    pub signal: Signal,
    /// What happened to it, oldest first; empty for a plain signal that nobody amended or closed in parts.
    pub history: Vec<Event>,
    /// `None` while the signal is open, and always for a HOLD.
    pub closing: Option<Closing>,
    /// The assessment at recording time. `None` for a signal recorded with its result, or if none was possible.
    pub said: Option<Said>,
}

/// An open signal.
impl From<Signal> for Record {
    fn from(signal: Signal) -> Self {
        Self { signal, history: Vec::new(), closing: None, said: None }
    }
}

impl Record {
    /// Where a managed signal stands; `None` for a plain one, and for a HOLD.
    pub fn trade(&self) -> Option<Trade> {
        let terms = self.signal.terms.as_deref();
        if terms.is_none() && self.history.is_empty() {
            return None;
        }
        let levels = self.signal.levels()?;
        Some(Trade::after(levels, terms.unwrap_or(&Terms::default()), &self.history))
    }

    /// Closes it. Own keys of the caller under the names of an excursion stay, and it has none then.
    pub fn close(&mut self, closing: Closing) {
        let own = ["mfe_percent", "mfePercent", "mae_percent", "maePercent"];
        let is_free = own.iter().all(|key| !self.signal.extra.contains_key(*key));
        self.closing = Some(Closing { excursion: closing.excursion.filter(|_| is_free), ..closing });
    }

    /// For a line of another log that closes a stored signal: keeps what was stored and the line need not repeat.
    pub fn keep(&mut self, stored: &Self) {
        self.said = stored.said;
        self.signal.taken = stored.signal.taken;
        if stored.signal.strategy.is_some() {
            self.signal.strategy.clone_from(&stored.signal.strategy);
        }
    }
}

impl Signal {
    /// The market that it was given for.
    pub fn market(&self) -> Market {
        Market { symbol: self.symbol.clone(), timeframe: self.timeframe }
    }

    /// The levels that close it; `None` for a HOLD. Of several targets, the mean by their shares stands for all.
    pub fn levels(&self) -> Option<Levels> {
        let mean = self.terms.as_deref().and_then(Terms::mean_target);
        Some(Levels {
            direction: self.direction?,
            entry: self.entry_price?,
            stop_loss: self.stop_loss,
            take_profit: mean.or(self.take_profit),
            since_ms: self.timestamp_ms,
            expires_ms: self.expires_ms,
        })
    }

    /// Whether it waits for its entry when it is given.
    pub fn waits(&self) -> bool {
        self.terms.as_deref().is_some_and(Terms::waits)
    }

    /// Turns a trailing stop in multiples of the average true range into a distance, by the range at entry.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] if the range is unknown.
    pub fn resolve_trail(&mut self) -> Result<()> {
        let Some(trail) = self.terms.as_deref_mut().and_then(|terms| terms.rules.trail.as_mut()) else { return Ok(()) };
        let TrailBy::Atr(multiple) = trail.by else { return Ok(()) };
        let features = self.features.as_ref().filter(|features| features.version == features::VERSION);
        let percent = features.and_then(|features| features.values.get(features::ATR_PERCENT)).copied();
        match (percent.filter(|percent| *percent > 0.0 && percent.is_finite()), self.entry_price) {
            (Some(percent), Some(entry)) => {
                trail.by = TrailBy::Distance(multiple * percent / 100.0 * entry);
                Ok(())
            }
            _ => wrong(
                "stopRules",
                "must trail by `percent` or `distance` where no candles before the signal are stored: the average true range \
                 is unknown",
                format!("atr {multiple}"),
            ),
        }
    }

    /// The first field, by its camelCase name, in which `other` differs. Features at entry are ignored, since signalloop adds
    /// them itself.
    pub fn first_difference(&self, other: &Self) -> Option<&'static str> {
        let differs = [
            ("id", self.id != other.id),
            ("symbol", self.symbol != other.symbol),
            ("timeframe", self.timeframe != other.timeframe),
            ("signalType", self.direction != other.direction),
            ("confidence", self.confidence != other.confidence),
            ("entryPrice", self.entry_price != other.entry_price),
            ("stopLoss", self.stop_loss != other.stop_loss),
            ("takeProfit", self.take_profit != other.take_profit),
            ("timestamp", self.timestamp_ms != other.timestamp_ms),
            ("expiresAt", self.expires_ms != other.expires_ms),
            ("strategy", self.strategy != other.strategy),
            ("source", self.source != other.source),
            ("tags", self.tags != other.tags),
            ("entryType, takeProfits or stopRules", self.terms != other.terms),
            ("leverage, fees or quantity", self.position != other.position),
            ("taken", self.taken != other.taken),
            ("indicators", self.indicators != other.indicators),
            ("other fields", self.extra != other.extra),
        ];
        differs.into_iter().find_map(|(field, differs)| differs.then_some(field))
    }
}

impl Levels {
    /// Levels on their sides of the entry, without an expiry. Prices of any time may close them. Prices must be finite and above
    /// 0.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] naming the level on the wrong side.
    pub fn checked(direction: Direction, entry: f64, stop_loss: Option<f64>, take_profit: Option<f64>) -> Result<Self> {
        check_levels(direction, Some(entry), stop_loss, take_profit)?;
        Ok(Self { direction, entry, stop_loss, take_profit, since_ms: i64::MIN, expires_ms: None })
    }

    /// Rejects an end before the beginning.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] naming both times.
    pub fn check_end(&self, closed_ms: i64) -> Result<()> {
        if closed_ms >= self.since_ms {
            return Ok(());
        }
        let value = format!("{}, given at {}", format_iso(closed_ms), format_iso(self.since_ms));
        wrong("closedAt", "must not be before the signal was given", value)
    }
}

fn wrong<T>(field: &'static str, problem: &'static str, value: impl std::fmt::Display) -> Result<T> {
    Err(Error::InvalidSignal { field, problem, value: shown(value) })
}

fn check_levels(direction: Direction, entry: Option<f64>, stop: Option<f64>, target: Option<f64>) -> Result<()> {
    let Some(entry) = entry else {
        return wrong("entryPrice", "must be a finite price above 0", "nothing");
    };
    if let Some(stop) = stop.filter(|stop| direction.sign() * (entry - stop) <= 0.0) {
        let problem = match direction {
            Direction::Buy => "must be below the entry price of a BUY",
            Direction::Sell => "must be above the entry price of a SELL",
        };
        return wrong("stopLoss", problem, format!("{stop} at entry {entry}"));
    }
    if let Some(target) = target.filter(|target| direction.sign() * (target - entry) <= 0.0) {
        let problem = match direction {
            Direction::Buy => "must be above the entry price of a BUY",
            Direction::Sell => "must be below the entry price of a SELL",
        };
        return wrong("takeProfit", problem, format!("{target} at entry {entry}"));
    }
    Ok(())
}
