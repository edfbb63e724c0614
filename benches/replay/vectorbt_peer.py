"""vectorbt: a column for each symbol and rule, which holds one position; stops and targets, but no expiry.

    python vectorbt_peer.py FOLDER_OF_CANDLES
"""

import sys
import warnings

import numpy as np
import vectorbt as vbt

from rules import RULES, STOP_ATR, TARGET_ATR, candles_of, signals_of, told

warnings.filterwarnings("ignore")

given = handled = 0
for _, candles in candles_of(sys.argv[1]):
    signals, atr = signals_of(candles)
    given += int((signals != 0).to_numpy().sum())
    columns = {name: np.repeat(candles[name].to_numpy()[:, None], len(RULES), axis=1) for name in ("open", "high", "low", "close")}
    distance = np.repeat((atr / candles["close"]).to_numpy()[:, None], len(RULES), axis=1)
    nothing = np.zeros(signals.shape, dtype=bool)
    portfolio = vbt.Portfolio.from_signals(
        columns["close"], entries=(signals == 1).to_numpy(), short_entries=(signals == -1).to_numpy(), exits=nothing, short_exits=nothing,
        open=columns["open"], high=columns["high"], low=columns["low"], sl_stop=STOP_ATR * distance, tp_stop=TARGET_ATR * distance,
        upon_opposite_entry="ignore", size=1, init_cash=1e12, fees=0.0005, freq="1h",
    )
    handled += int(portfolio.trades.count().sum())
told(given, handled)
