"""The task of signalloop's training, written once more with pandas and numpy: the same features, labels, weights and folds.

What each feature means is in docs/features.md; labels, weights and folds are those of crates/learning.
"""

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

DAY_MS = 86_400_000
WARM_UP, MAX_GAP_BARS = 97, 6
STOP_ATR, REWARD_RISK, EXPIRY_BARS = 1.5, 2.0, 24
FIRST_TRAINING_SHARE, BLOCKS, EMBARGO_SHARE, OLDEST_DECAY = 0.4, 5, 0.01, 0.8


def read(path):
    """Candles of a file, oldest first, and the length of one in milliseconds."""
    candles = pd.read_csv(path)
    candles["open_ms"] = pd.to_datetime(candles["timestamp"]).astype("datetime64[ms]").astype("int64")
    return candles, int(candles["open_ms"].diff().min())


def wilder(x, period):
    """The mean of the first values, then alpha = 1 / period."""
    start = x.where(x.index >= period - 1)
    start.iloc[period - 1 : period] = x.iloc[:period].mean()
    return start.ewm(alpha=1 / period, adjust=False).mean()


def rsi(change, period):
    gain, loss = wilder(change.clip(lower=0), period), wilder((-change).clip(lower=0), period)
    return 100 * gain / (gain + loss)


def windows(x, period):
    """The last `period` values at each bar that has as many, oldest first."""
    return sliding_window_view(x.to_numpy(), period)


def after_warm_up(values, period, index):
    return pd.Series(np.concatenate([np.full(period - 1, np.nan), values]), index=index)


def bars_since_highest(x, period):
    ages = windows(x, period)[:, ::-1].argmax(axis=1)
    return after_warm_up(ages, period, x.index)


def mean_deviation(x, period):
    of = windows(x, period)
    return after_warm_up(np.abs(of - of.mean(axis=1, keepdims=True)).mean(axis=1), period, x.index)


def features(candles):
    """46 features and the average true range of candles without holes; NaN where there is none."""
    o, h, l, c, v = (candles[name] for name in ("open", "high", "low", "close", "volume"))
    last = c.shift(1, fill_value=o.iloc[0])
    change, log_return = c - last, np.log(c / last)
    true_range = np.maximum(h, last) - np.minimum(l, last)
    atr = wilder(true_range, 14)
    sigma = log_return.rolling(96).std(ddof=0)
    highest, lowest = lambda n: h.rolling(n).max(), lambda n: l.rolling(n).min()
    position = lambda n: 100 * (c - lowest(n)) / (highest(n) - lowest(n))
    stochastic = position(14)
    macd = c.ewm(span=12, adjust=False).mean() - c.ewm(span=26, adjust=False).mean()
    macd_signal = macd.ewm(span=9, adjust=False).mean()
    band, sd, trend = c.rolling(20).mean(), c.rolling(20).std(ddof=0), c.rolling(50).mean()
    typical = (h + l + c) / 3
    up, down = v.where(change > 0, 0.0).rolling(20).sum(), v.where(change < 0, 0.0).rolling(20).sum()
    typical_change = typical.diff().fillna(typical.iloc[0] - o.iloc[0])
    money_in = (typical * v).where(typical_change > 0, 0.0).rolling(14).sum()
    money_out = (typical * v).where(typical_change < 0, 0.0).rolling(14).sum()
    rise, fall = h - h.shift(1, fill_value=o.iloc[0]), l.shift(1, fill_value=o.iloc[0]) - l
    plus = wilder(rise.where((rise > fall) & (rise > 0), 0.0), 14)
    minus = wilder(fall.where((fall > rise) & (fall > 0), 0.0), 14)
    plus_di, minus_di = 100 * plus / atr, 100 * minus / atr
    dx = (100 * (plus_di - minus_di).abs() / (plus_di + minus_di)).fillna(0.0)
    sign = np.sign(change)
    streak = sign * (sign.groupby((sign != sign.shift()).cumsum()).cumcount() + 1)
    hour = 2 * np.pi * (candles["open_ms"] % DAY_MS) / DAY_MS
    weekday = 2 * np.pi * (candles["open_ms"] % (7 * DAY_MS)) / (7 * DAY_MS)
    columns = {f"return_{n}": np.log(c / c.shift(n)) / (sigma * n**0.5) for n in (1, 2, 3, 6, 12, 24, 48)}
    columns |= {
        "rsi_7": rsi(change, 7),
        "rsi_14": rsi(change, 14),
        "stochastic_k_14": stochastic,
        "stochastic_d_14_3": stochastic.fillna(50.0).rolling(3).mean(),
        "williams_r_28": position(28) - 100,
        "macd": macd / atr,
        "macd_signal": macd_signal / atr,
        "macd_histogram": (macd - macd_signal) / atr,
        "bollinger_percent_b_20": (c - band + 2 * sd) / (4 * sd),
        "bollinger_width_20": 4 * sd / atr,
        "rate_of_change_10": 100 * (c / c.shift(10) - 1),
        "cci_20": (typical - typical.rolling(20).mean()) / (0.015 * mean_deviation(typical, 20)),
        "atr_percent_14": 100 * atr / c,
        "atr_ratio": atr / true_range.rolling(50).mean(),
        "volatility_ratio": log_return.rolling(24).std(ddof=0) / sigma,
        "volume_ratio_20": v / v.rolling(20).mean(),
        "volume_z_50": (v - v.rolling(50).mean()) / v.rolling(50).std(ddof=0),
        "on_balance_20": (up - down) / (up + down),
        "money_flow_14": 100 * money_in / (money_in + money_out),
        "high_distance_24": (highest(24) - c) / atr,
        "low_distance_24": (c - lowest(24)) / atr,
        "high_distance_96": (highest(96) - c) / atr,
        "low_distance_96": (c - lowest(96)) / atr,
        "high_age_96": bars_since_highest(h, 96) / 96,
        "low_age_96": bars_since_highest(-l, 96) / 96,
        "sma_distance_20": (c - band) / atr,
        "sma_distance_50": (c - trend) / atr,
        "sma_spread_20_50": (band - trend) / atr,
        "adx_14": wilder(dx, 14),
        "di_difference_14": plus_di - minus_di,
        "candle_body": (c - o) / atr,
        "upper_wick": (h - np.maximum(o, c)) / atr,
        "lower_wick": (np.minimum(o, c) - l) / atr,
        "candle_range": (h - l) / atr,
        "streak": streak.clip(-10, 10),
        "hour_sin": np.sin(hour),
        "hour_cos": np.cos(hour),
        "weekday_sin": np.sin(weekday),
        "weekday_cos": np.cos(weekday),
    }
    table = pd.DataFrame(columns, index=candles.index).replace([np.inf, -np.inf], np.nan)
    table.iloc[: WARM_UP - 1] = np.nan
    return table, atr


def features_between_holes(candles, step):
    """The features of candles with holes: the windows start anew after a long one."""
    part = (candles["open_ms"].diff() > (MAX_GAP_BARS + 1) * step).cumsum()
    parts = [features(group.reset_index(drop=True)) for _, group in candles.groupby(part) if len(group) >= WARM_UP]
    starts = [group.index[0] for _, group in candles.groupby(part) if len(group) >= WARM_UP]
    moved = [(table.set_index(table.index + start), atr.set_axis(atr.index + start)) for (table, atr), start in zip(parts, starts)]
    return pd.concat([table for table, _ in moved]).reindex(candles.index), pd.concat([atr for _, atr in moved]).reindex(candles.index)


def endings(candles, step, atr, sign):
    """Of a bet at each bar's close (sign 1 BUY, -1 SELL): whether it succeeded, and at which bar it ended; -1 undecided."""
    o, h, l, c, at = (candles[name].to_numpy() for name in ("open", "high", "low", "close", "open_ms"))
    n, bars = len(c), np.arange(len(c))
    stop, target = c - sign * STOP_ATR * atr, c + sign * STOP_ATR * REWARD_RISK * atr
    expires = at + (1 + EXPIRY_BARS) * step
    success, end = np.zeros(n, bool), np.full(n, -1)
    waiting = np.isfinite(atr)
    for k in range(1, EXPIRY_BARS + 1):
        now = bars[waiting & (bars + k < n)]
        then = now + k
        whole = at[then] - at[then - 1] <= (MAX_GAP_BARS + 1) * step
        waiting[now[~whole]] = False
        now, then = now[whole], then[whole]
        late = at[then] >= expires[now]
        worst, best = (l, h) if sign > 0 else (h, l)
        opens_beyond_stop, opens_beyond_target = sign * (o[then] - stop[now]) <= 0, sign * (o[then] - target[now]) >= 0
        stopped, taken = sign * (worst[then] - stop[now]) <= 0, sign * (best[then] - target[now]) >= 0
        expired = at[then] + step >= expires[now]
        won = np.select(
            [late, opens_beyond_stop, opens_beyond_target, stopped, taken],
            [sign * (o[then] - c[now]) > 0, False, True, False, True],
            sign * (c[then] - c[now]) > 0,
        )
        ended = late | opens_beyond_stop | opens_beyond_target | stopped | taken | expired
        success[now[ended]], end[now[ended]] = won[ended], then[ended]
        waiting[now[ended]] = False
    return success, end


class Task:
    """The labelled rows of a candle file."""

    def __init__(self, path):
        candles, step = read(path)
        table, atr = features_between_holes(candles, step)
        sides = [endings(candles, step, atr.to_numpy(), sign) for sign in (1, -1)]
        usable = table.notna().all(axis=1).to_numpy() & (sides[0][1] >= 0) & (sides[1][1] >= 0)
        self.bars = np.flatnonzero(usable)
        self.rows = np.ascontiguousarray(table.to_numpy()[usable])
        self.happened = [success[usable] for success, _ in sides]
        ends = [end[usable] for _, end in sides]
        self.ends = np.maximum(*ends)
        opens = candles["open_ms"].to_numpy()
        time = self.times_ms = opens[usable]
        self.decided_ms = opens[self.ends] + step
        decay = OLDEST_DECAY + (1 - OLDEST_DECAY) * (time - time[0]) / (time[-1] - time[0])
        self.weights = [decay, decay]

    def folds(self):
        """Positions to train on and to predict, walking forward, purged, with an embargo."""
        rows = len(self.bars)
        first = int(rows * FIRST_TRAINING_SHARE)
        embargo = int(np.ceil(rows * EMBARGO_SHARE))
        edges = [first + (rows - first) * block // BLOCKS for block in range(BLOCKS + 1)]
        for start, end in zip(edges, edges[1:]):
            known = np.flatnonzero(self.ends[:start] + embargo < self.bars[start])
            yield known, np.arange(start, end)
