//! Whether the signals of a market got better.

use super::Interval;
use super::word;
use domain::symbol::Market;
use domain::time::format_iso;
use learning::improvement::{self, BreakEvenSource};
use napi_derive::napi;

/// One half of the closed signals of a market, in the order they closed.
#[napi(object)]
pub struct ImprovementHalf {
    /// Closed signals.
    pub closed_signals: f64,
    /// How many independent signals they are worth; signals that were open at the same time depend on each other.
    pub effective_signals: f64,
    /// Those that succeeded.
    pub successful_signals: f64,
    /// Percent that succeeded; 0 when there are none.
    pub success_rate: f64,
    /// Wilson's 95 % interval of the success rate in percent, calculated with `effectiveSignals`.
    pub success_interval: Interval,
    /// Success rate in percent at which these signals break even after costs; missing while unknown.
    pub break_even_rate: Option<f64>,
    /// Source of the break-even rate. `levels`: the mean of (1 + fee) / (1 + reward/risk) of the stops and targets. `realised`:
    /// the average win and loss, if no signal has both levels. `mixed`: levels where a signal has both, else realised.
    #[napi(ts_type = "'levels' | 'realised' | 'mixed'")]
    pub break_even_source: Option<String>,
    /// Mean profit after costs (`fee_bps`), percent of entry; 0 when there are none.
    pub expectancy: f64,
    /// When the first closed, ISO 8601, UTC.
    pub from: Option<String>,
    /// When the last closed, ISO 8601, UTC.
    pub until: Option<String>,
}

impl From<improvement::Half> for ImprovementHalf {
    fn from(half: improvement::Half) -> Self {
        let (low, high) = half.success_interval;
        Self {
            closed_signals: half.closed as f64,
            effective_signals: half.effective,
            successful_signals: half.successes as f64,
            success_rate: half.success_rate,
            success_interval: Interval { low, high },
            break_even_rate: half.break_even.map(|even| even.rate),
            break_even_source: half.break_even.map(|even| word::<BreakEvenSource>(even.source)),
            expectancy: half.mean_profit,
            from: half.from_ms.map(format_iso),
            until: half.until_ms.map(format_iso),
        }
    }
}

/// Compares the recent half of a market's closed signals with the early half.
#[napi(object)]
pub struct Improvement {
    /// The symbol, normalised.
    pub symbol: String,
    /// The timeframe.
    #[napi(ts_type = "Timeframe")]
    pub timeframe: String,
    /// The half that closed first; with an odd number, the smaller half.
    pub early: ImprovementHalf,
    /// The half that closed last.
    pub recent: ImprovementHalf,
    /// Success rate of the recent half minus that of the early half, in percentage points.
    pub success_difference: f64,
    /// Newcombe's 95 % interval of this difference in percentage points, calculated with `effectiveSignals`; missing if a half is
    /// empty.
    pub difference_interval: Option<Interval>,
    /// Mean profit of the recent half minus that of the early half, in percentage points.
    pub expectancy_difference: f64,
    /// `improved`: the interval lies above 0 and the mean profit did not fall. `worse`: it lies below 0 and the mean profit did
    /// not rise. `not enough evidence`: one half is worth fewer than 10 independent signals.
    #[napi(ts_type = "'improved' | 'worse' | 'no significant change' | 'not enough evidence'")]
    pub verdict: String,
}

impl Improvement {
    /// Of a market.
    pub fn of(market: &Market, found: improvement::Improvement) -> Self {
        Self {
            symbol: market.symbol.to_string(),
            timeframe: market.timeframe.to_string(),
            early: found.early.into(),
            recent: found.recent.into(),
            success_difference: found.difference,
            difference_interval: found.interval.map(|(low, high)| Interval { low, high }),
            expectancy_difference: found.profit_difference,
            verdict: word(found.verdict),
        }
    }
}
