"""backtesting.py: every signal is a trade of its own (hedging), with its stop, target and expiry; symbol by symbol.

    python backtesting_peer.py FOLDER_OF_CANDLES
"""

import sys
import warnings

from backtesting import Backtest, Strategy

from rules import EXPIRY_HOURS, STOP_ATR, TARGET_ATR, candles_of, signals_of, told

warnings.filterwarnings("ignore")


class Textbook(Strategy):
    sides, atr = None, None  # by bar, computed before

    def init(self):
        pass

    def next(self):
        bar = len(self.data) - 1
        for trade in self.trades:
            if bar - trade.entry_bar >= EXPIRY_HOURS:
                trade.close()
        if not self.sides[bar]:
            return
        price, atr = self.data.Close[-1], self.atr[bar]
        for side in self.sides[bar]:
            order = self.buy if side > 0 else self.sell
            order(size=1, sl=price - side * STOP_ATR * atr, tp=price + side * TARGET_ATR * atr)


given = handled = 0
for _, candles in candles_of(sys.argv[1]):
    signals, atr = signals_of(candles)
    sides = [[side for side in row if side] for row in signals.to_numpy().tolist()]
    given += sum(map(len, sides))
    data = candles.rename(columns=str.capitalize)
    # Cash enough that no order is refused.
    test = Backtest(data, Textbook, cash=1e12, commission=0.0005, hedging=True, trade_on_close=True, finalize_trades=True)
    handled += len(test.run(sides=sides, atr=atr.to_numpy())["_trades"])
told(given, handled)
