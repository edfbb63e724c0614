"""LightGBM on the features, labels and folds that walk_forward.rs exported: one folder is the only argument."""

import csv
import sys
from pathlib import Path

import lightgbm
import numpy as np

WEEK_MS = 7 * 86_400_000
SETTINGS = dict(n_estimators=100, learning_rate=0.05, num_leaves=15, min_child_samples=50, n_jobs=1, verbose=-1, random_state=1)


def read(path):
    """The rows of each market: numbers only, the market's name left out."""
    markets = {}
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        for market, *numbers in reader:
            markets.setdefault(market, []).append([float(number) for number in numbers])
    return {market: np.array(rows) for market, rows in markets.items()}


def stated(features, success, asked):
    if len(np.unique(success)) < 2:
        return np.full(len(asked), success.mean())
    return lightgbm.LGBMClassifier(**SETTINGS).fit(features, success).predict_proba(asked)[:, 1]


def main():
    folder = Path(sys.argv[1])
    rows, folds = read(folder / "rows.csv"), read(folder / "folds.csv")
    with open(folder / "lightgbm.predictions.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["market", "time_ms", "buy", "sell", "base_buy", "base_sell"])
        for market, weeks in folds.items():
            print(f"LightGBM, {market} …", file=sys.stderr, flush=True)
            time, decided, features = rows[market][:, 0], rows[market][:, 1], rows[market][:, 4:]
            for week, first, *base in weeks:
                train = (time >= first) & (decided <= week)
                asked = (time >= week) & (time < week + WEEK_MS)
                if not asked.any():
                    continue
                sides = [stated(features[train], rows[market][train, side], features[asked]) for side in (2, 3)]
                for when, buy, sell in zip(time[asked], *sides):
                    writer.writerow([market, int(when), buy, sell, *base])


if __name__ == "__main__":
    main()
