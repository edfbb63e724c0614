"""Jesse, research.backtest in its fast mode: one position a symbol, with stop, target and expiry.

Jesse wants candles of a minute: the first minute of an hour has the whole hour's candle, the others stay at its close.

    python jesse_peer.py FOLDER_OF_CANDLES
"""

import sys

import numpy as np
from jesse import research
from jesse.strategies import Strategy

from rules import EXPIRY_HOURS, STOP_ATR, TARGET_ATR, candles_of, signals_of, told

MINUTE = 60_000
EXCHANGE = "Binance Perpetual Futures"


class Textbook(Strategy):
    sides, atr = {}, {}  # by symbol and the time of the candle, computed before

    def side(self):
        # Of several signals of a candle, the first one is taken.
        return self.sides[self.symbol].get(int(self.current_candle[0]), 0)

    def should_long(self):
        return self.side() > 0

    def should_short(self):
        return self.side() < 0

    def enter(self, side):
        distance = self.atr[self.symbol][int(self.current_candle[0])]
        setattr(self, "buy" if side > 0 else "sell", (100 / self.price, self.price))
        self.levels = self.price - side * STOP_ATR * distance, self.price + side * TARGET_ATR * distance
        self.entered = self.index

    def go_long(self):
        self.enter(1)

    def go_short(self):
        self.enter(-1)

    def on_open_position(self, order):
        stop, target = self.levels
        self.stop_loss = self.position.qty, stop
        self.take_profit = self.position.qty, target

    def update_position(self):
        if self.index - self.entered >= EXPIRY_HOURS:
            self.liquidate()

    def should_cancel_entry(self):
        return True


def minutes(candles):
    """Rows of time, open, close, high, low, volume."""
    hours = len(candles)
    of = lambda name: candles[name].to_numpy()
    rows = np.empty((hours, 60, 6))
    start = candles.index.astype("datetime64[ms]").astype("int64").to_numpy()
    rows[:, :, 0] = start[:, None] + MINUTE * np.arange(60)
    rows[:, :, 1:5] = of("close")[:, None, None]
    rows[:, 0, 1], rows[:, 0, 3], rows[:, 0, 4] = of("open"), of("high"), of("low")
    rows[:, :, 5] = of("volume")[:, None] / 60
    return rows.reshape(-1, 6)


given, data, routes = 0, {}, []
for name, candles in candles_of(sys.argv[1]):
    symbol = f"{name[:-4]}-USDT"
    signals, atr = signals_of(candles)
    given += int((signals != 0).to_numpy().sum())
    times = candles.index.astype("datetime64[ms]").astype("int64").tolist()
    firsts = [next((side for side in row if side), 0) for row in signals.to_numpy().tolist()]
    Textbook.sides[symbol] = {time: side for time, side in zip(times, firsts) if side}
    Textbook.atr[symbol] = dict(zip(times, atr.tolist()))
    data[f"{EXCHANGE}-{symbol}"] = {"exchange": EXCHANGE, "symbol": symbol, "candles": minutes(candles)}
    routes.append({"exchange": EXCHANGE, "strategy": Textbook, "symbol": symbol, "timeframe": "1h"})
config = {
    "starting_balance": 1e9, "fee": 0.0005, "type": "futures", "futures_leverage": 1, "futures_leverage_mode": "cross",
    "exchange": EXCHANGE, "warm_up_candles": 0,
}
result = research.backtest(config, routes, [], data, fast_mode=True)
told(given, result["metrics"]["total"])
