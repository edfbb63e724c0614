"""The rules of rules.mjs over whole series, for the peers in Python; and what each peer prints at its end."""

import json
import resource
import sys
from pathlib import Path

import numpy as np
import pandas as pd

STOP_ATR, TARGET_ATR, EXPIRY_HOURS = 1.5, 3, 48
WARM_UP = 250
RULES = ("rsi", "macd", "ema", "donchian", "bollinger")


def candles_of(folder):
    """Candles of each symbol, by time, with columns as pandas has them."""
    for path in sorted(Path(folder).glob("*_1h.csv")):
        yield path.stem[:-3].upper(), pd.read_csv(path, index_col="timestamp", parse_dates=True)


def ema(x, period):
    return x.ewm(span=period, adjust=False).mean()


def wilder(x, period):
    return x.ewm(alpha=1 / period, adjust=False).mean()


def crosses(x, level=0):
    """Whether x crosses a level upwards, and whether downwards, at each candle."""
    before = x.shift()
    return (before < level) & (x >= level), (before > level) & (x <= level)


def signals_of(candles):
    """A column for each rule, 1 for a BUY and -1 for a SELL at a candle's close, and the average true range."""
    high, low, close = candles["high"], candles["low"], candles["close"]
    last = close.shift(1, fill_value=close.iloc[0])
    change = close - last
    gain, loss = wilder(change.clip(lower=0), 14), wilder((-change).clip(lower=0), 14)
    ranges = np.maximum(high, last) - np.minimum(low, last)
    ranges.iloc[0] = high.iloc[0] - low.iloc[0]
    rsi = 100 - 100 / (1 + gain / (loss + 1e-12))
    difference = ema(close, 12) - ema(close, 26)
    histogram = difference - ema(difference, 9)
    top, bottom = high.rolling(20).max().shift(), low.rolling(20).min().shift()
    mean, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    percent_b = (close - mean + 2 * deviation) / (4 * deviation + 1e-12)
    buys_and_sells = (
        (crosses(rsi, 30)[0], crosses(rsi, 70)[1]),
        crosses(histogram),
        crosses(difference),
        ((close > top) & (last <= top.shift()), (close < bottom) & (last >= bottom.shift())),
        (crosses(percent_b, 0)[0], crosses(percent_b, 1)[1]),
    )
    signals = pd.DataFrame({rule: buy.astype(int) - sell.astype(int) for rule, (buy, sell) in zip(RULES, buys_and_sells)})
    signals.iloc[:WARM_UP] = 0
    atr = wilder(ranges, 14)
    # No signal has a stop or a target that is no price.
    signals[signals.gt(0).mul(close <= STOP_ATR * atr, axis=0) | signals.lt(0).mul(close <= TARGET_ATR * atr, axis=0)] = 0
    return signals, atr


def told(given, handled):
    """Prints signals given, signals handled, CPU seconds of this process and its children, and peak memory, as the last line."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 1 if sys.platform == "darwin" else 1024
    figures = {
        "cpuSeconds": sum(of.ru_utime + of.ru_stime for of in used),
        "peakBytes": max(of.ru_maxrss for of in used) * unit,
        "signals": int(given),
        "handled": int(handled),
    }
    print(json.dumps(figures), flush=True)
