"""freqtrade, a backtest of spot: BUY only, one position a pair, with stop, target and expiry; without a network.

    python freqtrade_peer.py FOLDER_OF_CANDLES
"""

import json
import logging
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from freqtrade.configuration import Configuration
from freqtrade.data.history import get_datahandler
from freqtrade.enums import CandleType, RunMode
from freqtrade.exchange import Exchange
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.persistence import LocalTrade
from freqtrade.resolvers import StrategyResolver
from freqtrade.strategy import IStrategy, stoploss_from_absolute

from rules import EXPIRY_HOURS, RULES, STOP_ATR, TARGET_ATR, candles_of, signals_of, told

logging.disable(logging.WARNING)
given = 0


class Textbook(IStrategy):
    INTERFACE_VERSION = 3
    __file__ = __file__  # freqtrade reads the file of a strategy for the id of the run
    timeframe = "1h"
    startup_candle_count = 0  # the rules leave their first candles out by themselves
    stoploss = -0.99
    use_custom_stoploss = use_custom_roi = True
    use_exit_signal = False
    # From the expiry on, any profit or loss is enough to end a trade.
    minimal_roi = {"0": 100, str(60 * EXPIRY_HOURS): -1}
    ranges = {}

    def populate_indicators(self, dataframe, metadata):
        global given
        signals, atr = signals_of(dataframe)
        given += int((signals != 0).to_numpy().sum())
        dataframe[list(signals)] = signals
        # A trade opens at the open of the candle after its signal.
        self.ranges[metadata["pair"]] = dict(zip(dataframe["date"], atr.shift()))
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = (dataframe[list(RULES)] == 1).any(axis=1).astype(int)
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe

    def custom_stoploss(self, pair, trade, current_time, current_rate, current_profit, after_fill, **_):
        stop = trade.open_rate - STOP_ATR * self.ranges[pair][trade.open_date_utc]
        return stoploss_from_absolute(stop, current_rate)

    def custom_roi(self, pair, trade, current_time, trade_duration, entry_tag, side, **_):
        return TARGET_ATR * self.ranges[pair][trade.open_date_utc] / trade.open_rate


def market(pair):
    """A market as the exchange would describe it."""
    base, quote = pair.split("/")
    return {
        "id": base + quote, "symbol": pair, "base": base, "quote": quote, "settle": None, "active": True, "type": "spot", "spot": True,
        "swap": False, "future": False, "option": False, "margin": False, "linear": None, "inverse": None, "contract": False,
        "contractSize": None, "taker": 0.0005, "maker": 0.0005, "precision": {"amount": 1e-8, "price": 1e-8}, "info": {},
        "limits": {"amount": {"min": 1e-8, "max": 1e12}, "price": {"min": 1e-8, "max": 1e12}, "cost": {"min": 0, "max": 1e12}},
    }


with tempfile.TemporaryDirectory() as folder:
    handler = get_datahandler(Path(folder), "feather")
    for symbol, candles in candles_of(sys.argv[1]):
        frame = candles.rename_axis("date").reset_index()
        frame["date"] = frame["date"].dt.tz_localize("UTC")
        handler.ohlcv_store(f"{symbol[:-4]}/USDT", "1h", frame, CandleType.SPOT)
    pairs = [f"{symbol[:-4]}/USDT" for symbol, _ in candles_of(sys.argv[1])]
    markets = {pair: market(pair) for pair in pairs}
    config = {
        "stake_currency": "USDT", "stake_amount": 100, "dry_run": True, "dry_run_wallet": 1e9, "max_open_trades": len(pairs),
        "trading_mode": "spot", "margin_mode": "", "strategy": "Textbook", "timeframe": "1h", "fee": 0.0005, "export": "none",
        "backtest_cache": "none", "user_data_dir": folder, "datadir": folder, "dataformat_ohlcv": "feather",
        "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": pairs, "pair_blacklist": []},
        "entry_pricing": {"price_side": "same", "use_order_book": False, "order_book_top": 1},
        "exit_pricing": {"price_side": "same", "use_order_book": False, "order_book_top": 1}, "pairlists": [{"method": "StaticPairList"}],
    }
    path = Path(folder) / "config.json"
    path.write_text(json.dumps(config))

    async def known(self, reload=False):
        return markets

    def set_markets(self, force=False, *, load_leverage_tiers=True):
        self._markets = self._api.markets = self._api_async.markets = markets
        self._api.set_markets(list(markets.values()))

    # What asks the exchange is answered here.
    with (
        patch.object(Exchange, "reload_markets", set_markets),
        patch.object(Exchange, "validate_config", lambda *_: None),
        patch.object(Exchange, "_load_async_markets", known),
        patch("freqtrade.exchange.binance.Binance.additional_exchange_init", lambda self: None),
        patch.object(StrategyResolver, "_load_strategy", lambda name, config, extra_dir=None: Textbook(config)),
    ):
        settings = Configuration({"config": [str(path)], "strategy": "Textbook", "datadir": folder}, RunMode.BACKTEST).get_config()
        Backtesting(settings).start()
    told(given, len(LocalTrade.bt_trades))
