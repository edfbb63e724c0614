"""LightGBM on the rows that skill.rs exported: one model for all markets, refitted as often. One folder is the only argument.

Its answers are believed as signalloop's are: base rate + belief x departure, the belief being the slope of what happened on the
departure less two standard errors clustered by week, from its own earlier answers; those begin two years before the first fold.
"""

import csv
import sys
import time
from pathlib import Path

import lightgbm
import numpy as np

WEEK_MS = 7 * 86_400_000
WARM_UP_MS = 2 * 365 * 86_400_000
FEW = 500
SETTINGS = dict(
    n_estimators=200, num_leaves=32, learning_rate=0.03, min_child_samples=200, colsample_bytree=0.5, subsample=0.5,
    subsample_freq=1, n_jobs=1, verbose=-1, random_state=1,
)


def numbers(path):
    return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)


def base_rates(happened, market, known):
    """Of each market, by all rows known; of all together where they are few."""
    pooled = happened[known].mean()
    rates = np.full(market.max() + 1, pooled)
    for number in range(len(rates)):
        own = known & (market == number)
        if own.sum() >= FEW:
            rates[number] = happened[own].mean()
    return rates


def believe(departure, surprise, week):
    """The slope less two standard errors clustered by week, 0 to 1."""
    spread = (departure**2).sum()
    if len(np.unique(week)) < 8 or spread <= 0:
        return 0.0
    slope = (departure * surprise).sum() / spread
    scores = np.bincount(week - week.min(), departure * (surprise - slope * departure))
    return float(np.clip(slope - 2 * np.sqrt((scores**2).sum()) / spread, 0, 1))


def main():
    folder = Path(sys.argv[1])
    folds, rows = numbers(folder / "folds.csv"), numbers(folder / "rows.csv")
    features = np.fromfile(folder / "rows.f32", dtype="<f4").reshape(len(rows), int(folds[0, 3]))
    market, when, decided = rows[:, 0].astype(int), rows[:, 1].astype(np.int64), rows[:, 2].astype(np.int64)
    begins, ends, history = (folds[:, column].astype(np.int64) for column in (0, 1, 2))
    span = ends[0] - begins[0]
    # With a short history, nothing is known two years before.
    warm_up = begins[0] - np.arange(min(WARM_UP_MS, begins[0] - when.min() - span) // span, 0, -1) * span
    steps = [(cut, cut + span, history[0] if history[0] < begins[0] else cut, False) for cut in warm_up]
    steps += [(*fold, True) for fold in zip(begins, ends, history)]
    raw = np.full((len(rows), 2), np.nan)
    base = np.full((len(rows), 2), np.nan)
    stated = np.full((len(rows), 2), np.nan)
    cpu = time.process_time()
    for cut, until, past, counts in steps:
        known = (decided <= cut) & (when >= cut - past)
        asked = (when >= cut) & (when < until)
        for side in (0, 1):
            happened = rows[:, 3 + side]
            base[asked, side] = base_rates(happened, market, known)[market[asked]]
            model = lightgbm.LGBMClassifier(**SETTINGS).fit(features[known], happened[known])
            pooled = happened[known].mean()
            raw[asked, side] = base[asked, side] + model.predict_proba(features[asked])[:, 1] - pooled
            earlier = ~np.isnan(raw[:, side]) & (decided <= cut)
            departure = raw[earlier, side] - base[earlier, side]
            belief = believe(departure, happened[earlier] - base[earlier, side], when[earlier] // WEEK_MS)
            stated[asked, side] = base[asked, side] + belief * (raw[asked, side] - base[asked, side])
        if counts:
            print(f"LightGBM: {known.sum()} rows, {time.process_time() - cpu:.0f} s of CPU so far", file=sys.stderr, flush=True)
    answered = np.flatnonzero((when >= begins[0]) & ~np.isnan(stated).any(axis=1))
    with open(folder / "lightgbm.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "buy", "sell", "base_buy", "base_sell", "raw_buy", "raw_sell"])
        for row in answered:
            writer.writerow([row, *stated[row], *base[row], *raw[row]])


if __name__ == "__main__":
    main()
