//! What a signal's chances mean in money: whether to take it, and how much to risk.

use domain::config::Config;
use domain::proportions::Z_95;
use learning::outcomes::{self, Case, Chances, OutcomeModel};

/// The assumed correlation between the outcomes of two open signals of the same direction, because markets move
/// together. For large coins it was measured at 0.5 to 0.8.
const TOGETHER: f64 = 0.7;

/// The success probability at which a bet with these payoffs earns nothing (see [`outcomes::Chances::payoffs`]). The
/// payoffs and the costs (`fee`) are multiples of the distance to the stop. The result is 0 if even a failure earns, as
/// with a trailing stop, and 1 or more if nothing earns.
fn break_even((win, lose): (f64, f64), fee: f64) -> f64 {
    if lose > fee {
        0.0
    } else if win > lose {
        (fee - lose) / (win - lose)
    } else {
        1.0
    }
}

/// The share of the capital to risk on a bet.
///
/// After costs, the bet wins `win` or loses `loss` times the risked amount. `least` is the lowest plausible probability
/// of success, and `open` is the number of open bets of the same direction that were taken. The result is `fraction` of
/// Kelly's (p · win − (1 − p) · loss) / (win · loss), divided by 1 + 0.7 · open, and never negative. In the divisor,
/// `loss` counts as at least 1: even if past failures lost less on average, the next one may lose all that is risked.
///
/// Source: J. L. Kelly, *A New Interpretation of Information Rate*, 1956.
pub fn suggested_risk(least: f64, win: f64, loss: f64, fraction: f64, open: usize) -> f64 {
    if win <= 0.0 {
        return 0.0;
    }
    let kelly = (least * win - (1.0 - least) * loss) / (win * loss.max(1.0));
    (fraction * kelly.clamp(0.0, 1.0)) / (1.0 + TOGETHER * open as f64)
}

/// The rules for judging a signal.
pub(super) struct BetRules<'a> {
    pub config: &'a Config,
    /// Costs of a round trip of the signal, in basis points of the entry price: its own, or those configured.
    pub fee_bps: f64,
    /// The margin above break-even that conservative mode requires, as a probability.
    pub margin: f64,
    /// The number of open signals of the same direction that were taken.
    pub open: usize,
}

/// What a signal's chances mean in money.
pub(super) struct BetValue {
    pub chances: Chances,
    /// Costs, in multiples of the distance to the stop. `None` without a stop; the profit is then unknown.
    fee: Option<f64>,
    /// The success probability at which the signal earns nothing.
    pub break_even: f64,
    /// Expected profit after costs, in multiples of the distance to the stop, with its 95 % interval.
    pub expected: Option<(f64, (f64, f64))>,
    /// Whether the target is so far away that a probability below the lowest one ever reported would be enough. The
    /// reported probability then proves nothing.
    is_beyond: bool,
    pub take: bool,
}

impl BetValue {
    pub fn of(chances: Chances, case: &Case, rules: &BetRules<'_>) -> Self {
        let fee = case.stop_percent.filter(|stop| *stop > 0.0).map(|stop| rules.fee_bps / 100.0 / stop);
        let break_even = fee.map_or(0.5, |fee| break_even(chances.payoffs, fee));
        let threshold = break_even + rules.margin;
        let error = chances.expected_r_error();
        let expected = fee.map(|fee| chances.expected_r() - fee);
        let sure = outcomes::normal_quantile(rules.config.take_confidence) * error;
        let untold = outcomes::PROBABILITY_RANGE.0;
        let is_far = case.reward_risk.is_some_and(|ratio| 1.0 / (1.0 + ratio) < untold);
        let is_beyond = is_far && break_even > 0.0 && threshold < untold;
        let earns = expected.is_none_or(|expected| expected - sure > 0.0);
        let interval = |expected: f64| (expected, (expected - Z_95 * error, expected + Z_95 * error));
        Self {
            fee,
            break_even,
            expected: expected.map(interval),
            is_beyond,
            take: chances.probability >= threshold && earns && !is_beyond,
            chances,
        }
    }

    /// The reasons, in words.
    pub fn reasons(&self, model: &OutcomeModel, case: &Case, margin: f64) -> Vec<String> {
        let percent = |p: f64| format!("{:.1} %", 100.0 * p);
        let Chances { probability, interval, base_rate, .. } = self.chances;
        let odds = format!(
            "succeeds with {} [{}, {}] (base rate {})",
            percent(probability),
            percent(interval.0),
            percent(interval.1),
            percent(base_rate)
        );
        let mut reasons = vec![match self.expected {
            Some((expected, _)) if self.break_even == 0.0 => {
                format!(
                    "{odds}; expected to earn {expected:+.2} R after costs: by the closed signals, even failures earn something"
                )
            }
            Some((expected, _)) => format!(
                "{odds}; expected to earn {expected:+.2} R after costs; to earn nothing it needs {}",
                percent(self.break_even)
            ),
            None => format!("{odds}; without a stop loss, a chance of 50 % is required"),
        }];
        if case.prior.is_none() && model.learned() == 0 {
            reasons.push(
                "no signal has closed yet: the base rate is that of a price without drift at these levels".to_owned(),
            );
        }
        if let Some(prior) = case.prior {
            reasons.push(format!("candles alone say {}", percent(prior)));
        }
        if margin > 0.0 {
            reasons.push(format!("recent signals did poorly, so {} more than that is required", percent(margin)));
        }
        if self.is_beyond {
            reasons.push(format!(
                "the target is so far away that its chance is not stated exactly: no chance is stated below {}",
                percent(outcomes::PROBABILITY_RANGE.0)
            ));
        }
        reasons.extend(model.reasons(case));
        reasons
    }

    pub fn suggested_risk(&self, is_known: bool, rules: &BetRules<'_>) -> f64 {
        let (win, lose) = self.chances.payoffs;
        self.fee.filter(|_| self.take && is_known).map_or(0.0, |fee| {
            suggested_risk(self.chances.interval.0, win - fee, fee - lose, rules.config.kelly_fraction, rules.open)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bet_breaks_even_where_its_wins_pay_for_its_losses_and_costs() {
        assert!((break_even((2.0, -1.0), 0.05) - 0.35).abs() < 1e-12);
        assert_eq!(break_even((2.0, 1.0), 0.05), 0.0, "even a failure earns");
        assert_eq!(break_even((1.0, 1.5), 0.05), 0.0, "a failure earns more than a success");
        assert_eq!(break_even((-0.5, -0.5), 0.05), 1.0, "nothing earns");
        assert!(break_even((0.01, -1.0), 0.05) > 1.0, "it wins less than it costs");
    }

    #[test]
    fn risk_follows_kelly_and_never_takes_a_loss_for_less_than_the_stop() {
        let kelly = (0.5 * 2.0 - 0.5) / 2.0;
        assert!((suggested_risk(0.5, 2.0, 1.0, 0.25, 0) - kelly / 4.0).abs() < 1e-12);
        assert!((suggested_risk(0.5, 2.0, 1.0, 0.25, 2) - kelly / 4.0 / 2.4).abs() < 1e-12);
        assert_eq!(suggested_risk(0.3, 2.0, 1.0, 0.25, 0), 0.0);
        assert_eq!(suggested_risk(0.5, -0.1, 1.0, 0.25, 0), 0.0);
        // Failures have earned half a stop distance each on average: (0.1 · 2 + 0.9 · 0.5) / 2.
        assert!((suggested_risk(0.1, 2.0, -0.5, 1.0, 0) - 0.325).abs() < 1e-12);
    }
}
