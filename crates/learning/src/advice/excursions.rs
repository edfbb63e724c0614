//! How far prices went for and against signals while they were open.

use super::Replayed;
use serde::Serialize;

/// With fewer signals, nothing is said of the highest tenth.
const LEAST: usize = 10;

/// How a figure is distributed over signals: 50, 80 and 90 % of them have at most this.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Number of signals.
    pub signals: usize,
    /// Half have at most this.
    pub p50: f64,
    /// 80 %.
    pub p80: f64,
    /// 90 %.
    pub p90: f64,
}

/// How far prices went for and against signals as they were given, in units of the risk at entry, before costs. Within
/// a candle, prices are taken in the order that is worst for the signal.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Excursions {
    /// How far prices went against the signals that succeeded; `None` for fewer than ten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winners_mae_r: Option<Quantiles>,
    /// How far prices went in favour of the signals that failed; `None` for fewer than ten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub losers_mfe_r: Option<Quantiles>,
    /// The same in sentences.
    pub words: Vec<String>,
}

/// Sorts the values.
fn quantiles(mut values: Vec<f64>) -> Option<Quantiles> {
    let signals = values.len();
    if signals < LEAST {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values[((share * signals as f64).ceil() as usize).clamp(1, signals) - 1];
    Some(Quantiles { signals, p50: at(0.5), p80: at(0.8), p90: at(0.9) })
}

/// The excursions of replayed signals.
pub(super) fn excursions(replayed: &[Replayed]) -> Excursions {
    let of = |succeeded: bool, figure: fn(&Replayed) -> f64| {
        quantiles(replayed.iter().filter(|one| one.results[0].succeeded == succeeded).map(figure).collect())
    };
    let winners_mae_r = of(true, |one| one.mae_r);
    let losers_mfe_r = of(false, |one| one.mfe_r);
    let of_winners = winners_mae_r.map(|mae| {
        format!(
            "90 % of the winners never went further against you than {:.2} R, half of them no further than {:.2} R",
            mae.p90, mae.p50
        )
    });
    let of_losers = losers_mfe_r.map(|mfe| {
        format!(
            "half of the losers were never ahead by more than {:.2} R, 80 % never by more than {:.2} R, 90 % never by more than \
             {:.2} R",
            mfe.p50, mfe.p80, mfe.p90
        )
    });
    Excursions { winners_mae_r, losers_mfe_r, words: of_winners.into_iter().chain(of_losers).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_by_hand() {
        let hundred = quantiles((1..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!(hundred, Quantiles { signals: 100, p50: 50.0, p80: 80.0, p90: 90.0 });
        let ten = quantiles((1..=10).map(f64::from).collect()).unwrap();
        assert_eq!((ten.p50, ten.p80, ten.p90), (5.0, 8.0, 9.0));
        assert_eq!(quantiles(vec![1.0; 9]), None);
    }
}
