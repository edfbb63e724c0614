//! What a signal truly earned: its fills, profit after costs, and profit in units of the risk at entry.

use super::{Closing, Excursion, Position, Record};
use crate::barrier::{Event, ExitCause, Levels, Outcome, Trade, What, ZoneEdge};
use crate::time::DAY_MS;

/// A purchase or sale of a signal's position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// When, UTC epoch ms.
    pub at_ms: i64,
    /// The price; `None` where the caller gave only a profit.
    pub price: Option<f64>,
    /// The part, in percent of the whole position.
    pub share: f64,
    /// What it was.
    pub kind: FillKind,
    /// Of the entry into a zone: where in the zone.
    pub edge: Option<ZoneEdge>,
}

impl Fill {
    fn new(at_ms: i64, price: Option<f64>, share: f64, kind: FillKind) -> Self {
        Self { at_ms, price, share, kind, edge: None }
    }
}

/// What a fill was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillKind {
    /// The position was entered.
    Entry,
    /// A target was reached.
    Target,
    /// The stop was touched.
    Stop,
    /// The signal expired.
    Expiry,
    /// The caller closed it.
    Hand,
}

impl FillKind {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entry => "ENTRY",
            Self::Target => "TARGET",
            Self::Stop => "STOP",
            Self::Expiry => "EXPIRY",
            Self::Hand => "HAND",
        }
    }
}

/// What holding a position costs where a signal does not say it itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Costs {
    /// Costs of a round trip, in basis points of the entry price.
    pub fee_bps: f64,
    /// What holding costs a day, in basis points of the entry price; negative where holding pays.
    pub funding_bps_per_day: f64,
    /// The value of a position divided by its margin; `None` where no margin is known.
    pub leverage: Option<f64>,
}

impl Costs {
    /// The costs of a position that was held for so many days, in percent of the entry price.
    pub fn percent(&self, held_days: f64) -> f64 {
        (self.fee_bps + self.funding_bps_per_day * held_days) / 100.0
    }

    /// What a profit in percent of the entry price leaves after the costs of a position that was held for so many days. Every
    /// figure after costs of a closed signal is this one.
    pub fn net_percent(&self, profit_percent: f64, held_days: f64) -> f64 {
        profit_percent - self.percent(held_days)
    }

    /// The costs of a signal with this position: what it states itself, and these where it states none.
    pub fn of(&self, position: &Position) -> Self {
        Self {
            fee_bps: position.fee_bps.unwrap_or(self.fee_bps),
            funding_bps_per_day: position.funding_bps_per_day.unwrap_or(self.funding_bps_per_day),
            leverage: position.leverage.or(self.leverage),
        }
    }
}

/// What a closed signal earned. A value is `None` where it cannot be told: nothing of a signal that was cancelled or whose end is
/// unknown, no R without a stop.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Earned {
    /// Its fills, oldest first.
    pub fills: Vec<Fill>,
    /// Profit in percent of the entry's fill, after fees and funding.
    pub net_profit_percent: Option<f64>,
    /// The same in percent of the margin: times the leverage. `None` without a leverage. A liquidation is not simulated.
    pub net_margin_percent: Option<f64>,
    /// The net profit in units of the risk at entry: divided by the distance from the entry's fill to the first stop.
    pub realized_r: Option<f64>,
    /// How far the price went for the signal while it was open, in units of the risk at entry.
    pub mfe_r: Option<f64>,
    /// How far it went against it.
    pub mae_r: Option<f64>,
    /// From the entry to the end, in milliseconds.
    pub holding_ms: Option<i64>,
    /// How many days its parts were held, each counted by its share: funding is paid for them.
    pub held_days: Option<f64>,
}

impl Earned {
    /// Of a plain signal.
    pub fn of_plain(levels: &Levels, closing: &Closing, position: &Position, costs: &Costs) -> Self {
        let kind = match closing.outcome {
            Outcome::TookProfit => FillKind::Target,
            Outcome::StoppedOut => FillKind::Stop,
            _ if levels.expires_ms.is_some_and(|at| closing.closed_ms >= at) => FillKind::Expiry,
            _ => FillKind::Hand,
        };
        let entry = Fill::new(levels.since_ms, Some(levels.entry), 100.0, FillKind::Entry);
        let exit = Fill::new(closing.closed_ms, closing.exit_price, 100.0, kind);
        let fills = match closing.outcome {
            Outcome::Cancelled => Vec::new(),
            Outcome::Unknown => vec![entry],
            _ => vec![entry, exit],
        };
        let risk_percent = levels.stop_loss.map(|stop| -levels.profit_percent(stop));
        Self::of(fills, Some(levels.since_ms), risk_percent, closing, &costs.of(position))
    }

    /// What a managed signal earned. It was entered before `events`, and the last of them closed it. `None` if it is not closed.
    pub fn of_trade(trade: &Trade, events: &[Event], position: &Position, costs: &Costs) -> Option<Self> {
        let closing = trade.closing()?;
        let fills = events.iter().filter_map(fill_of).collect();
        Some(Self::of(fills, trade.entered_ms(), trade.risk_percent(), &closing, &costs.of(position)))
    }

    fn of(
        fills: Vec<Fill>,
        entered_ms: Option<i64>,
        risk_percent: Option<f64>,
        closing: &Closing,
        costs: &Costs,
    ) -> Self {
        let Some(entered_ms) = entered_ms.filter(|_| closing.outcome.succeeded().is_some()) else {
            return Self { fills, ..Self::default() };
        };
        // Each part pays for the time that it was held.
        let held_days: f64 = fills
            .iter()
            .filter(|fill| fill.kind != FillKind::Entry)
            .map(|fill| fill.share / 100.0 * (fill.at_ms - entered_ms) as f64 / DAY_MS as f64)
            .sum();
        let net = costs.net_percent(closing.profit_percent, held_days);
        let risk = risk_percent.filter(|risk| *risk > 0.0);
        let in_r = |percent: f64| risk.map(|risk| percent / risk);
        Self {
            fills,
            net_profit_percent: Some(net),
            net_margin_percent: costs.leverage.map(|leverage| leverage * net),
            realized_r: in_r(net),
            mfe_r: closing.excursion.and_then(|Excursion { best_percent, .. }| in_r(best_percent)),
            mae_r: closing.excursion.and_then(|Excursion { worst_percent, .. }| in_r(worst_percent)),
            holding_ms: Some(closing.closed_ms - entered_ms),
            held_days: Some(held_days),
        }
    }
}

impl Record {
    /// What a closed signal earned; `costs` count where the signal states none. `None` while it is open.
    pub fn earned(&self, costs: &Costs) -> Option<Earned> {
        let closing = self.closing.as_ref()?;
        let position = &self.signal.position;
        let levels = self.signal.levels()?;
        let Some(trade) = self.trade() else { return Some(Earned::of_plain(&levels, closing, position, costs)) };
        if let Some(since_ms) = trade.entered_ms().filter(|_| trade.ended().is_none()) {
            // It was recorded with its end, so its history has no closing. If it waited for its entry, the time of the entry is unknown.
            let entered = Levels { since_ms, entry: trade.levels().entry, stop_loss: trade.first_stop(), ..levels };
            return Some(Earned::of_plain(&entered, closing, position, costs));
        }
        let fills = if trade.entered_ms().is_some() { self.fills_of_history() } else { Vec::new() };
        Some(Earned::of(fills, trade.entered_ms(), trade.risk_percent(), closing, &costs.of(position)))
    }

    /// The profit after costs in percent of the entry's fill, of a closed signal that was entered; `costs` count where it states none.
    /// Funding is left out if the signal does not tell how long it was held. `None` while the signal is open, and if its outcome
    /// is neither success nor failure.
    pub fn net_percent(&self, costs: &Costs) -> Option<f64> {
        let closing = self.closing.as_ref().filter(|closing| closing.outcome.succeeded().is_some())?;
        let held_days = self.earned(costs)?.held_days.unwrap_or_default();
        Some(costs.of(&self.signal.position).net_percent(closing.profit_percent, held_days))
    }

    fn fills_of_history(&self) -> Vec<Fill> {
        let entry = Fill::new(self.signal.timestamp_ms, self.signal.entry_price, 100.0, FillKind::Entry);
        let later = self.history.iter().filter_map(fill_of);
        (!self.signal.waits()).then_some(entry).into_iter().chain(later).collect()
    }
}

/// The purchase or sale that an event tells of.
fn fill_of(event: &Event) -> Option<Fill> {
    let fill = |price: f64, share, kind| Some(Fill::new(event.at, Some(price), share, kind));
    match event.what {
        What::Filled { price, edge } => fill(price, 100.0, FillKind::Entry).map(|entry| Fill { edge, ..entry }),
        What::Target { price, share, .. } => fill(price, share, FillKind::Target),
        What::Reduced { price, share } => fill(price, share, FillKind::Hand),
        What::Exit { price, share, cause: ExitCause::Stop } => fill(price, share, FillKind::Stop),
        What::Exit { price, share, cause: ExitCause::Expiry } => fill(price, share, FillKind::Expiry),
        What::Exit { price, share, cause: ExitCause::Hand } => fill(price, share, FillKind::Hand),
        What::Exit { cause: ExitCause::Unknown, .. }
        | What::Stop { .. }
        | What::Amended { .. }
        | What::Cancelled { .. } => None,
    }
}
