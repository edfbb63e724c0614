"""Trains, evaluates and saves a model for each candle file of a folder, as signalloop does, with a learner from PyPI.

Arguments: the folder, the learner, a folder for the models. Writes one JSON object to standard output: CPU and wall seconds,
peak memory in bytes, and for each file and side the log loss on the held-out rows beside that of the constant.
"""

import os

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before numpy reads them; CPU seconds are counted, threads only add some
    os.environ[pool] = "1"

import json
import resource
import sys
import time
from pathlib import Path

import joblib
import numpy as np

TREES, MAX_DEPTH, MIN_LEAF = 100, 7, 25  # signalloop's own; the blocks of the evaluation get half the trees


def lightgbm(trees):
    from lightgbm import LGBMClassifier

    settings = dict(learning_rate=0.05, num_leaves=15, min_child_samples=50, n_jobs=1, verbose=-1, random_state=1)
    return LGBMClassifier(n_estimators=trees, **settings)


def forest(trees):
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees, max_depth=MAX_DEPTH, min_samples_leaf=MIN_LEAF, n_jobs=1, random_state=1)


def histogram_boosting(trees):
    from sklearn.ensemble import HistGradientBoostingClassifier

    settings = dict(learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=50, early_stopping=False, random_state=1)
    return HistGradientBoostingClassifier(max_iter=trees, **settings)


LEARNERS = {"lightgbm": lightgbm, "forest": forest, "histogram_boosting": histogram_boosting}


def log_loss(happened, probability):
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    return float(np.mean(-np.log(np.where(happened, p, 1 - p))))


def train(learner, rows, happened, weights, trees):
    return learner(trees).fit(rows, happened, sample_weight=weights)


def evaluated(task, side, learner):
    """Log losses of a side, learner and constant, on all blocks but the first, which signalloop learns its belief from."""
    happened, weights = task.happened[side], task.weights[side]
    stated, constant, scored = [], [], []
    for known, asked in task.folds():
        model = train(learner, task.rows[known], happened[known], weights[known], TREES // 2)
        stated.append(model.predict_proba(task.rows[asked])[:, 1])
        constant.append(np.full(len(asked), happened[known].mean()))
        scored.append(asked)
    rows = np.concatenate(scored[1:])
    loss = lambda parts: log_loss(happened[rows], np.concatenate(parts[1:]))
    return dict(logLoss=loss(stated), constant=loss(constant), rows=len(rows))


def main():
    from task import Task

    folder, name, target = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    learner = LEARNERS[name]
    learner(TREES)  # what importing the learner costs is counted, as is everything else from the start of the process
    markets = {}
    for path in sorted(folder.glob("*.csv")):
        task = Task(path)
        markets[path.stem] = [evaluated(task, side, learner) for side in (0, 1)]
        models = [train(learner, task.rows, task.happened[side], task.weights[side], TREES) for side in (0, 1)]
        joblib.dump(models, target / f"{path.stem}.joblib")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = dict(
        cpuSeconds=time.process_time(),
        peakBytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        markets=markets,
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
