//! Which signals a report shows, as the query of an address names them: `?symbol=BTCUSDT&since=2025-06-01`.

use domain::barrier::Direction;
use domain::error::{Error, Result};
use domain::signal::{STRATEGY, is_strategy};
use domain::symbol::Symbol;
use domain::time::{DAY_MS, Tz, parse_time};
use engine::{AdviceFilter, ScorecardFilter};
use feedback::StatsFilter;
use serde::Serialize;

const TIME: &str = "must be a date such as 2025-06-01, or a time such as 2025-06-01T12:00Z, in UTC";
const KNOWN: &str = "must not be in the address: known are strategy, symbol, signalType, since and until";

/// Which signals a report shows. The default shows all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Only this strategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Only this pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<Symbol>,
    /// Only this direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal_type: Option<Direction>,
    /// Start of the period, inclusive, UTC epoch ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// End of the period, exclusive, UTC epoch ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

impl Filter {
    /// From the query of an address. An empty value counts as missing, and `data` is not about signals. `until` includes the whole day if
    /// it is a date.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] that names the parameter: an unknown one, one that is there twice, or a wrong value;
    /// [`Error::InvalidSymbol`].
    pub fn of_query(query: &str) -> Result<Self> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "data") {
            let value = value.trim();
            let is_twice = match name.as_ref() {
                "strategy" => set(&mut filter.strategy, value, strategy)?,
                "symbol" => set(&mut filter.symbol, value, Symbol::parse)?,
                "signalType" => set(&mut filter.signal_type, value, direction)?,
                "since" => set(&mut filter.since_ms, value, |text| time("since", text))?,
                "until" => set(&mut filter.until_ms, value, end)?,
                _ => return Err(Error::argument("query", KNOWN, format!("`{name}`"))),
            };
            if is_twice {
                return Err(Error::argument("query", "must name each parameter once", format!("`{name}`")));
            }
        }
        match (filter.since_ms, filter.until_ms) {
            (Some(since), Some(until)) if since >= until => {
                Err(Error::argument("until", "must be after `since`", domain::time::format_iso(until)))
            }
            _ => Ok(filter),
        }
    }

    /// Whether it shows all signals.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// For figures: of signals that closed in the period, and of open ones given in it.
    pub(super) fn stats(&self) -> StatsFilter {
        StatsFilter {
            symbol: self.symbol.clone(),
            timeframe: None,
            strategy: self.strategy.clone(),
            direction: self.signal_type,
            since_ms: self.since_ms,
            until_ms: self.until_ms,
        }
    }

    /// For predictions: of signals given in the period.
    pub(super) fn scorecard(&self) -> ScorecardFilter {
        let Self { strategy, symbol, signal_type: direction, since_ms, until_ms } = self.clone();
        ScorecardFilter { since_ms, until_ms, strategy, symbol, direction }
    }

    /// For levels: of signals given in the period.
    pub(super) fn advice(&self) -> AdviceFilter {
        let Self { strategy, symbol, signal_type: direction, since_ms, until_ms } = self.clone();
        AdviceFilter { since_ms, until_ms, strategy, symbol, timeframe: None, direction }
    }
}

/// Sets a value that is not empty, and returns whether it was set before.
fn set<T>(to: &mut Option<T>, text: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<bool> {
    if text.is_empty() {
        return Ok(false);
    }
    Ok(to.replace(read(text)?).is_some())
}

fn strategy(text: &str) -> Result<String> {
    if is_strategy(text) { Ok(text.to_owned()) } else { Err(Error::argument("strategy", STRATEGY, text)) }
}

fn direction(text: &str) -> Result<Direction> {
    Direction::named(text).ok_or_else(|| Error::argument("signalType", "must be BUY or SELL", text))
}

fn time(name: &'static str, text: &str) -> Result<i64> {
    parse_time(text, Tz::UTC).ok_or_else(|| Error::argument(name, TIME, text))
}

/// The end of a period; a date without a time is included.
fn end(text: &str) -> Result<i64> {
    let is_date = text.len() == "2025-06-01".len();
    time("until", text).map(|ms| if is_date { ms + DAY_MS } else { ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_the_signals() {
        let filter = Filter::of_query(
            "data&strategy=mean+reversion%20%26&symbol=btc%2Fusdt&signalType=SELL&since=2025-06-01&until=2025-06-30",
        )
        .unwrap();
        assert_eq!(filter.strategy.as_deref(), Some("mean reversion &"));
        assert_eq!(
            (filter.symbol.as_ref().map(Symbol::as_str), filter.signal_type),
            (Some("BTCUSDT"), Some(Direction::Sell))
        );
        assert_eq!(filter.until_ms.unwrap() - filter.since_ms.unwrap(), 30 * DAY_MS, "the last day counts");
        assert_eq!(filter.stats().strategy.as_deref(), Some("mean reversion &"));
        let exact = Filter::of_query("since=2025-06-01T12:00Z&until=2025-06-01T13:00Z").unwrap();
        assert_eq!(exact.until_ms.unwrap() - exact.since_ms.unwrap(), 3_600_000);
        for all in ["", "data", "data=1", "symbol=&strategy=&since="] {
            assert!(Filter::of_query(all).unwrap().is_all(), "{all}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, named) in [
            ("stategy=x", "`stategy`"),
            ("signalType=HOLD", "`signalType`"),
            ("since=yesterday", "`since`"),
            ("until=2025-13-01", "`until`"),
            ("since=2025-06-02&until=2025-06-01", "`until`"),
            ("symbol=BTCUSDT&symbol=ETHUSDT", "`symbol`"),
            ("symbol=%3Cscript%3E", "<script>"),
            ("strategy=a%00b", "`strategy`"),
        ] {
            let error = Filter::of_query(query).unwrap_err().to_string();
            assert!(error.contains(named), "{query}: {error}");
        }
    }
}
