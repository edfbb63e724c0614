"""What else could tell which signals succeed: learners from PyPI on the same signals, and a model of the same candles.

    python peers.py SIGNALS.jsonl OUT.jsonl [--candles FOLDER --refit-days 91]

A line of SIGNALS has t and closed (epoch milliseconds), symbol, strategy, direction, stopPercent, rewardRisk, indicators and success.
One line of OUT, in the same order, has the probability of each learner. Each knows what had closed when it was fitted, and no more.
"""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

import lightgbm
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))
import task

warnings.filterwarnings("ignore", message="X does not have valid feature names")

HOUR, DAY = 3_600_000, 86_400_000
FIT_DAYS, FEW, BEFORE = 28, 200, 100
# The signals' shape: as in play.mjs.
STOP_ATR, EXPIRY_BARS = 1.5, 48
MIDDLES = {"rsi": 50, "percentB": 0.5, "stochastic": 50}


def table(signals):
    """Indicators as they are and turned into the direction of the trade; symbol and strategy one-hot."""
    names = sorted({name for s in signals for name in s["indicators"]})
    raw = np.array([[s["indicators"].get(name, 0.0) for name in names] for s in signals])
    direction = np.array([s["direction"] for s in signals])[:, None]
    middles = np.array([MIDDLES.get(name, 0.0) for name in names])
    one_hot = [pd.get_dummies(pd.Series([s[key] for s in signals])).to_numpy(float) for key in ("symbol", "strategy")]
    return np.hstack([raw, direction * (raw - middles), direction, *one_hot])


def by_lightgbm(rows, success, asked):
    settings = dict(n_estimators=60, learning_rate=0.05, max_depth=3, min_child_samples=100, reg_lambda=10)
    model = lightgbm.LGBMClassifier(**settings, n_jobs=1, verbosity=-1, random_state=1)
    return model.fit(rows, success).predict_proba(asked)[:, 1]


def by_logistic_regression(rows, success, asked):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300))
    return model.fit(rows, success).predict_proba(asked)[:, 1]


def from_outcomes(signals, running, success, given, closed):
    """Learners of the signals' own outcomes, fitted anew every four weeks; the running mean before there are enough."""
    rows = table(signals)
    strategy = np.array([s["strategy"] for s in signals])
    answers = {name: running.copy() for name in ("LightGBM", "logistic regression", "mean of the strategy")}
    for start in np.arange(given.min(), given.max() + 1, FIT_DAYS * DAY):
        asked = (given >= start) & (given < start + FIT_DAYS * DAY)
        known = closed <= start
        if known.sum() < FEW or not asked.any():
            continue
        answers["LightGBM"][asked] = by_lightgbm(rows[known], success[known], rows[asked])
        answers["logistic regression"][asked] = by_logistic_regression(rows[known], success[known], rows[asked])
        for name in np.unique(strategy):
            own = known & (strategy == name)
            mean = (success[own].sum() + BEFORE * success[known].mean()) / (own.sum() + BEFORE)
            answers["mean of the strategy"][asked & (strategy == name)] = mean
    answers["mean of the first two"] = (answers["LightGBM"] + answers["logistic regression"]) / 2
    return answers


def candles_of(folder, symbol):
    parts = []
    for place in (folder, folder / "history", folder / "market"):
        path = place / f"{symbol.lower()}_1h.csv"
        if path.exists():
            parts.append(task.read(path)[0])
    return pd.concat(parts).drop_duplicates("open_ms").sort_values("open_ms").reset_index(drop=True)


def labelled(candles, features, atr, reward_risk):
    """Rows of every third candle for both directions, with the success of the signals' shape and the time it was known."""
    usable = features.notna().all(axis=1).to_numpy()
    third = np.arange(len(candles)) % 3 == 1
    for sign in (1, -1):
        success, end = task.endings(candles, HOUR, atr.to_numpy(), sign)
        chosen = np.flatnonzero(usable & third & (end >= 0))
        known = candles["open_ms"].to_numpy()[end[chosen]] + HOUR
        yield np.column_stack([features.to_numpy()[chosen], np.full(len(chosen), sign), success[chosen], known])


def from_candles(signals, running, given, folder, refit_days):
    """One model of all symbols' candles, which sees no signal and no outcome of one."""
    task.STOP_ATR, task.REWARD_RISK, task.EXPIRY_BARS = STOP_ATR, signals[0]["rewardRisk"], EXPIRY_BARS
    features, parts = {}, []
    for symbol in sorted({s["symbol"] for s in signals}):
        candles = candles_of(folder, symbol)
        of, atr = task.features_between_holes(candles, HOUR)
        features[symbol] = of.set_axis(candles["open_ms"] + HOUR)
        parts += labelled(candles, of, atr, signals[0]["rewardRisk"])
    data = np.vstack(parts)
    rows, success, known_at = data[:, :-2], data[:, -2], data[:, -1]
    entry = np.array([features[s["symbol"]].loc[s["t"]].to_numpy() for s in signals])
    entry = np.column_stack([entry, [s["direction"] for s in signals]])
    answers = running.copy()
    settings = dict(objective="binary", num_leaves=32, learning_rate=0.05, min_data_in_leaf=300, lambda_l2=20, feature_fraction=0.3,
                    bagging_fraction=0.6, bagging_freq=1, verbosity=-1, num_threads=1, seed=1)
    for start in np.arange(given.min(), given.max() + 1, refit_days * DAY):
        asked = (given >= start) & (given < start + refit_days * DAY) & ~np.isnan(entry).any(axis=1)
        known = known_at <= start
        if known.sum() >= 1000 and asked.any():
            model = lightgbm.train(settings, lightgbm.Dataset(rows[known], success[known]), 250)
            answers[asked] = model.predict(entry[asked])
    return answers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("signals")
    parser.add_argument("out")
    parser.add_argument("--candles", type=Path)
    parser.add_argument("--refit-days", type=float, default=91)
    options = parser.parse_args()
    with open(options.signals, encoding="utf-8") as file:
        signals = [json.loads(line) for line in file]
    success, given, closed, running = (np.array([s[key] for s in signals], float) for key in ("success", "t", "closed", "runningMean"))
    answers = from_outcomes(signals, running, success, given, closed)
    if options.candles:
        answers["LightGBM of candles"] = from_candles(signals, running, given, options.candles, options.refit_days)
    with open(options.out, "w", encoding="utf-8") as file:
        for i in range(len(signals)):
            file.write(json.dumps({name: float(p[i]) for name, p in answers.items()}) + "\n")


if __name__ == "__main__":
    main()
