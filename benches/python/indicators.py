"""The indicators that signalloop's features share with TA-Lib, computed by TA-Lib and by pandas over a candle file.

The only argument is the file. Writes one JSON object to standard output: milliseconds for all of them, and how many they are.
"""

import json
import sys
from pathlib import Path

import numpy as np
import talib

from task import mean_deviation, read, rsi, wilder
from timing import seconds


def with_talib(o, h, l, c, v):
    """Each call gives one indicator, or two or three that belong together."""
    upper, middle, lower = talib.BBANDS(c, 20)
    return [
        talib.RSI(c, 7), talib.RSI(c, 14), *talib.STOCHF(h, l, c, 14, 3), talib.WILLR(h, l, c, 28), *talib.MACD(c),
        upper - lower, middle, talib.ROC(c, 10), talib.CCI(h, l, c, 20), talib.ATR(h, l, c, 14), talib.MFI(h, l, c, v, 14),
        talib.MAX(h, 24), talib.MIN(l, 24), talib.MAX(h, 96), talib.MIN(l, 96), talib.MAXINDEX(h, 96), talib.MININDEX(l, 96),
        talib.SMA(c, 50), talib.ADX(h, l, c, 14), talib.PLUS_DI(h, l, c, 14), talib.MINUS_DI(h, l, c, 14), talib.SMA(v, 20),
    ]  # fmt: skip


def with_pandas(o, h, l, c, v):
    """The same, as far as pandas has words for it; +DI, -DI and ADX from their definitions."""
    last = c.shift(1, fill_value=o.iloc[0])
    change, typical = c.diff().fillna(0.0), (h + l + c) / 3
    position = lambda n: 100 * (c - l.rolling(n).min()) / (h.rolling(n).max() - l.rolling(n).min())
    k, macd = position(14), c.ewm(span=12, adjust=False).mean() - c.ewm(span=26, adjust=False).mean()
    signal, middle = macd.ewm(span=9, adjust=False).mean(), c.rolling(20).mean()
    atr = wilder(np.maximum(h, last) - np.minimum(l, last), 14)
    flow, rises = typical * v, typical.diff()
    inflow, outflow = flow.where(rises > 0, 0.0).rolling(14).sum(), flow.where(rises < 0, 0.0).rolling(14).sum()
    up, down = h.diff().fillna(0.0), -l.diff().fillna(0.0)
    plus = 100 * wilder(up.where((up > down) & (up > 0), 0.0), 14) / atr
    minus = 100 * wilder(down.where((down > up) & (down > 0), 0.0), 14) / atr
    return [
        rsi(change, 7), rsi(change, 14), k, k.rolling(3).mean(), position(28) - 100, macd, signal, macd - signal,
        4 * c.rolling(20).std(ddof=0), middle, 100 * (c / c.shift(10) - 1),
        (typical - typical.rolling(20).mean()) / (0.015 * mean_deviation(typical, 20)), atr,
        100 * inflow / (inflow + outflow), h.rolling(24).max(), l.rolling(24).min(), h.rolling(96).max(), l.rolling(96).min(),
        h.rolling(96).apply(np.argmax, raw=True), l.rolling(96).apply(np.argmin, raw=True), c.rolling(50).mean(),
        wilder(100 * (plus - minus).abs() / (plus + minus), 14), plus, minus, v.rolling(20).mean(),
    ]  # fmt: skip


def main():
    candles, _ = read(Path(sys.argv[1]))
    columns = [candles[name].astype(float) for name in ("open", "high", "low", "close", "volume")]
    arrays = [column.to_numpy() for column in columns]
    recent = [array[-200:] for array in arrays]
    figures = dict(
        count=len(with_talib(*arrays)),
        talibMs=1000 * seconds(lambda: with_talib(*arrays), 5),
        pandasMs=1000 * seconds(lambda: with_pandas(*columns), 1),
        oneMoreUs=1e6 * seconds(lambda: with_talib(*recent), 200),
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
