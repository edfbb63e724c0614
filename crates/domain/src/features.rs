//! The definition of each feature: name, formula, source. The order is that of a feature row.

/// The number of features in a row.
pub const COUNT: usize = 46;

/// Increases whenever a feature is added, removed, reordered or redefined. Rows of different versions never mix.
pub const VERSION: u32 = 1;

/// One feature's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// The name, as models and reports show it.
    pub name: &'static str,
    /// How it is computed. `c` close, `h` high, `l` low, `o` open, `v` volume, `x[n]` n bars ago, `atr` = ATR(14).
    pub formula: &'static str,
    /// Where the definition comes from.
    pub source: &'static str,
}

const fn f(name: &'static str, formula: &'static str, source: &'static str) -> Feature {
    Feature { name, formula, source }
}

const WILDER: &str = "Wilder, New Concepts in Technical Trading Systems, 1978";
const LANE: &str = "Lane, Lane's Stochastics, 1984";
const APPEL: &str =
    "Appel, The Moving Average Convergence-Divergence Trading Method, 1985; divided by ATR to lose the price scale";
const BOLLINGER: &str = "Bollinger, Bollinger on Bollinger Bands, 2001";
const MOMENTUM: &str = "log return in units of its own volatility, sigma = sd of 1-bar log returns over 96 bars";
const DISTANCE: &str = "distance to a level in ATR, as stops and targets are set";
const NISON: &str = "candle anatomy after Nison, Japanese Candlestick Charting Techniques, 1991; in ATR";
const CYCLE: &str = "cyclic encoding of UTC time";

/// The features that use volume, each with its value for a market without volume: that of an average bar.
pub const OF_VOLUME: [(&str, f64); 4] =
    [("volume_ratio_20", 1.0), ("volume_z_50", 0.0), ("on_balance_20", 0.0), ("money_flow_14", 50.0)];

/// Index of the average true range, in percent of the price: `atr_percent_14`.
pub const ATR_PERCENT: usize = 19;

/// Whether a row comes from candles without volume.
pub fn lacks_volume(row: &[f64]) -> bool {
    OF_VOLUME.iter().all(|(name, usual)| {
        let at = FEATURES.iter().position(|feature| feature.name == *name);
        at.and_then(|at| row.get(at)) == Some(usual)
    })
}

/// Every feature, in row order.
pub const FEATURES: [Feature; COUNT] = [
    f("return_1", "ln(c / c[1]) / sigma", MOMENTUM),
    f("return_2", "ln(c / c[2]) / (sigma * sqrt(2))", MOMENTUM),
    f("return_3", "ln(c / c[3]) / (sigma * sqrt(3))", MOMENTUM),
    f("return_6", "ln(c / c[6]) / (sigma * sqrt(6))", MOMENTUM),
    f("return_12", "ln(c / c[12]) / (sigma * sqrt(12))", MOMENTUM),
    f("return_24", "ln(c / c[24]) / (sigma * sqrt(24))", MOMENTUM),
    f("return_48", "ln(c / c[48]) / (sigma * sqrt(48))", MOMENTUM),
    f("rsi_7", "100 * G / (G + L), G and L Wilder averages of gains and losses over 7 bars", WILDER),
    f("rsi_14", "as rsi_7, over 14 bars", WILDER),
    f("stochastic_k_14", "100 * (c - lowest l) / (highest h - lowest l), 14 bars", LANE),
    f("stochastic_d_14_3", "mean of stochastic_k_14 over 3 bars", LANE),
    f(
        "williams_r_28",
        "100 * (c - lowest l) / (highest h - lowest l) - 100, 28 bars",
        "Williams, How I Made One Million Dollars, 1973; 28 bars, since with 14 it repeats %K",
    ),
    f("macd", "(EMA(c, 12) - EMA(c, 26)) / atr", APPEL),
    f("macd_signal", "EMA(EMA(c, 12) - EMA(c, 26), 9) / atr", APPEL),
    f("macd_histogram", "macd - macd_signal", APPEL),
    f("bollinger_percent_b_20", "(c - lower) / (upper - lower), bands = mean +- 2 sd over 20 bars", BOLLINGER),
    f("bollinger_width_20", "(upper - lower) / atr", BOLLINGER),
    f("rate_of_change_10", "100 * (c / c[10] - 1)", "Murphy, Technical Analysis of the Financial Markets, 1999"),
    f(
        "cci_20",
        "(t - mean t) / (0.015 * mean deviation of t), t = (h + l + c) / 3, 20 bars",
        "Lambert, Commodity Channel Index, 1980",
    ),
    f("atr_percent_14", "100 * atr / c", WILDER),
    f("atr_ratio", "atr / mean true range over 50 bars", WILDER),
    f("volatility_ratio", "sd of log returns over 24 bars / over 96 bars", "ratio of realised volatilities"),
    f("volume_ratio_20", "v / mean v over 20 bars", "relative volume"),
    f("volume_z_50", "(v - mean v) / sd v, 50 bars", "standard score of volume"),
    f(
        "on_balance_20",
        "(sum v of up bars - sum v of down bars) / both, 20 bars",
        "Granville, New Key to Stock Market Profits, 1963, over a window",
    ),
    f(
        "money_flow_14",
        "100 * P / (P + N), P and N sums of t * v over bars with rising and falling t, 14 bars",
        "Quong and Soudack, Money Flow Index, 1989",
    ),
    f("high_distance_24", "(highest h over 24 bars - c) / atr", DISTANCE),
    f("low_distance_24", "(c - lowest l over 24 bars) / atr", DISTANCE),
    f("high_distance_96", "(highest h over 96 bars - c) / atr", DISTANCE),
    f("low_distance_96", "(c - lowest l over 96 bars) / atr", DISTANCE),
    f("high_age_96", "bars since the highest h of 96 bars / 96", "Chande, Aroon, 1995"),
    f("low_age_96", "bars since the lowest l of 96 bars / 96", "Chande, Aroon, 1995"),
    f("sma_distance_20", "(c - mean c over 20 bars) / atr", DISTANCE),
    f("sma_distance_50", "(c - mean c over 50 bars) / atr", DISTANCE),
    f("sma_spread_20_50", "(mean c over 20 bars - mean c over 50 bars) / atr", DISTANCE),
    f("adx_14", "Wilder average over 14 bars of 100 * |+DI - -DI| / (+DI + -DI)", WILDER),
    f("di_difference_14", "+DI - -DI, 14 bars", WILDER),
    f("candle_body", "(c - o) / atr", NISON),
    f("upper_wick", "(h - max(o, c)) / atr", NISON),
    f("lower_wick", "(min(o, c) - l) / atr", NISON),
    f("candle_range", "(h - l) / atr", NISON),
    f("streak", "closes in a row in one direction, signed, at most 10", "run length of closes"),
    f("hour_sin", "sin(2 pi * time of day)", CYCLE),
    f("hour_cos", "cos(2 pi * time of day)", CYCLE),
    f("weekday_sin", "sin(2 pi * time of week)", CYCLE),
    f("weekday_cos", "cos(2 pi * time of week)", CYCLE),
];
