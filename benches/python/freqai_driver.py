"""FreqAI, driven offline on candle files: trains and predicts each pair in windows, with its LightGBMClassifier.

Arguments: the folder of candle files, `narrow` or `wide`, days of each training, days predicted by each, and how many windows.
The indicators are those of FreqAI's own example strategy, in one timeframe or in two and shifted; the target is whether a BUY
of signalloop's shape would succeed. Writes one JSON object to standard output.
"""

import os

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before numpy reads them; CPU seconds are counted, threads only add some
    os.environ[pool] = "1"

import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import talib.abstract as ta
from freqtrade.enums import RunMode
from freqtrade.freqai.prediction_models.LightGBMClassifier import LightGBMClassifier
from freqtrade.strategy import IStrategy
from technical import qtpylib

from task import WARM_UP, endings, read, wilder

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

SHAPES = {
    "narrow": dict(indicator_periods_candles=[10, 20], include_timeframes=["1h"], include_shifted_candles=1),
    "wide": dict(indicator_periods_candles=[10, 20, 30, 40], include_timeframes=["1h", "4h"], include_shifted_candles=2),
}
FEATURE_PARAMETERS = dict(
    label_period_candles=24, buffer_train_data_candles=0, include_corr_pairlist=[], shuffle_after_split=False, weight_factor=0
)
CLASSIFIER = dict(n_estimators=100, learning_rate=0.05, num_leaves=15, min_child_samples=50, n_jobs=1, verbose=-1, random_state=1)
LIVE_CANDLES = 1000  # what a running bot recomputes with each new candle


class Strategy(IStrategy):
    """The features of FreqaiExampleStrategy."""

    timeframe = "1h"
    minimal_roi, stoploss, process_only_new_candles, startup_candle_count = {}, -0.1, True, 40

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def feature_engineering_expand_all(self, dataframe, period, metadata, **kwargs):
        dataframe["%-rsi-period"] = ta.RSI(dataframe, timeperiod=period)
        dataframe["%-mfi-period"] = ta.MFI(dataframe, timeperiod=period)
        dataframe["%-adx-period"] = ta.ADX(dataframe, timeperiod=period)
        dataframe["%-sma-period"] = ta.SMA(dataframe, timeperiod=period)
        dataframe["%-ema-period"] = ta.EMA(dataframe, timeperiod=period)
        bands = qtpylib.bollinger_bands(qtpylib.typical_price(dataframe), window=period, stds=2.2)
        dataframe["%-bb_width-period"] = (bands["upper"] - bands["lower"]) / bands["mid"]
        dataframe["%-close-bb_lower-period"] = dataframe["close"] / bands["lower"]
        dataframe["%-roc-period"] = ta.ROC(dataframe, timeperiod=period)
        dataframe["%-relative_volume-period"] = dataframe["volume"] / dataframe["volume"].rolling(period).mean()
        return dataframe

    def feature_engineering_expand_basic(self, dataframe, metadata, **kwargs):
        dataframe["%-pct-change"] = dataframe["close"].pct_change()
        dataframe["%-raw_volume"] = dataframe["volume"]
        dataframe["%-raw_price"] = dataframe["close"]
        return dataframe

    def feature_engineering_standard(self, dataframe, metadata, **kwargs):
        dataframe["%-day_of_week"] = dataframe["date"].dt.dayofweek
        dataframe["%-hour_of_day"] = dataframe["date"].dt.hour
        return dataframe

    def set_freqai_targets(self, dataframe, metadata, **kwargs):
        self.freqai.class_names = ["failure", "success"]
        success, decided = target(dataframe)
        dataframe["&-buy"] = np.where(decided, np.where(success, "success", "failure"), None)
        return dataframe


def target(dataframe):
    """Whether a BUY at each bar's close succeeds, and whether that is decided."""
    candles = dataframe.reset_index(drop=True)
    candles["open_ms"] = candles["date"].dt.tz_localize(None).astype("datetime64[ms]").astype("int64")
    last = candles["close"].shift(1, fill_value=candles["open"].iloc[0])
    atr = wilder(np.maximum(candles["high"], last) - np.minimum(candles["low"], last), 14)
    success, end = endings(candles, 3_600_000, atr.to_numpy(), 1)
    return success, end >= 0


class Classifier(LightGBMClassifier):
    def clean_up(self):
        """Keeps the last pair's model, as a running bot does, for `live_candle`."""

    def _append_null_backtesting_predictions(self, dk, dataframe_backtest):
        """FreqAI goes on without a model where a training fails; its figures would be of nothing."""
        raise RuntimeError(f"FreqAI failed to train {dk.pair}")


class Candles:
    """What FreqAI asks its data provider for."""

    runmode = RunMode.BACKTEST

    def __init__(self, folder):
        self.pairs = {}
        for path in sorted(folder.glob("*_1h.csv")):
            candles, _ = read(path)
            candles["date"] = pd.to_datetime(candles.pop("timestamp"), utc=True)
            self.pairs[f"{path.stem[:-7].upper()}/USDT"] = candles

    def get_pair_dataframe(self, pair, timeframe, **_):
        candles = self.pairs[pair][["date", "open", "high", "low", "close", "volume"]]
        if timeframe == "1h":
            return candles.copy()
        merged = candles.set_index("date").resample(timeframe).agg(dict(open="first", high="max", low="min", close="last", volume="sum"))
        return merged.dropna().reset_index()


def configuration(home, candles, shape, train_days, predict_days, begin, end):
    return dict(
        timeframe="1h",
        stake_currency="USDT",
        user_data_dir=home,
        config_files=[str(home / "config.json")],
        exchange=dict(name="binance", pair_whitelist=list(candles.pairs)),
        timerange=f"{begin}-{end}",
        runmode=RunMode.BACKTEST,
        freqai=dict(
            enabled=True,
            identifier="bench",
            train_period_days=train_days,
            backtest_period_days=predict_days,
            activate_tensorboard=False,
            feature_parameters=FEATURE_PARAMETERS | SHAPES[shape],
            data_split_parameters=dict(test_size=0, shuffle=False),
            model_training_parameters=CLASSIFIER,
        ),
    )


def log_loss(happened, p):
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return -np.log(np.where(happened, p, 1 - p))


def live_candle(model, strategy, candles, pair):
    """Seconds from a new candle to its prediction."""
    begin = time.perf_counter()
    recent = candles.get_pair_dataframe(pair, "1h").tail(LIVE_CANDLES).reset_index(drop=True)
    dataframe = model.dk.use_strategy_to_populate_indicators(strategy, prediction_dataframe=recent, pair=pair)
    dataframe = model.dk.remove_special_chars_from_feature_names(dataframe)
    model.predict(dataframe.tail(1), model.dk)
    return time.perf_counter() - begin


def main():
    folder, shape = Path(sys.argv[1]), sys.argv[2]
    train_days, predict_days, windows = (int(text) for text in sys.argv[3:6])
    candles = Candles(folder)
    last = max(frame["date"].iloc[-1] for frame in candles.pairs.values()) + pd.Timedelta(hours=1)
    first = last - pd.Timedelta(days=predict_days * windows)
    losses, constants = [], []
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        (home / "config.json").write_text("{}")
        seconds = (int(moment.timestamp()) for moment in (first, last))
        config = configuration(home, candles, shape, train_days, predict_days, *seconds)
        model = Classifier(config)
        strategy = Strategy(config)
        strategy.dp, strategy.freqai = candles, model
        for pair in candles.pairs:
            frame = candles.get_pair_dataframe(pair, "1h")
            answers = model.start(frame.copy(), {"pair": pair}, strategy)
            success, decided = target(candles.pairs[pair])
            close = frame["date"] + pd.Timedelta(hours=1)
            for window in range(windows):
                begin = first + pd.Timedelta(days=predict_days * window)
                asked = ((close >= begin) & (close < begin + pd.Timedelta(days=predict_days))).to_numpy() & decided
                before = (frame["date"] >= begin - pd.Timedelta(days=train_days)) & (close <= begin)
                known = before.to_numpy() & decided & (np.arange(len(frame)) >= WARM_UP)
                losses.append(log_loss(success[asked], answers["success"].to_numpy(dtype=float)[asked]))
                constants.append(log_loss(success[asked], np.full(asked.sum(), success[known].mean())))
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = time.process_time()
        live = sorted(live_candle(model, strategy, candles, pair) for _ in range(9))[4]
    print(
        json.dumps(
            dict(
                cpuSeconds=cpu,
                peakBytes=used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                features=len(model.dk.training_features_list),
                logLoss=float(np.concatenate(losses).mean()),
                constant=float(np.concatenate(constants).mean()),
                rows=sum(len(part) for part in losses),
                liveMs=1000 * live,
            )
        )
    )


if __name__ == "__main__":
    main()
