"""What a backend could use instead: learners from PyPI, in the same worlds, fitted anew at each checkpoint to all that has closed.

    python peers.py FOLDER CASES JOBS [NAME ...]

FOLDER has a file for each world, `0.json` and so on. One line is written for each world and learner: {case, contender, found}, where
found has, for each checkpoint, an answer [probability of success, expected R after costs, 1 to take it] for each question.
"""

import json
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before numpy reads them: the worlds run side by side instead
    os.environ[pool] = "1"

import lightgbm
import numpy as np
from catboost import CatBoostClassifier
from columns import Columns
from interpret.glassbox import ExplainableBoostingClassifier
from river import forest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")

WINDOW = 200
# So many outcomes at the levels themselves come before those that tell what a success and a failure are worth.
BEFORE = 10
# Where only what was taken is recorded, a learner is fitted anew after so many.
REFIT = 100


def without_holes(model):
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), model)


def logistic_regression():
    # Five strengths, chosen by log loss in five folds.
    model = LogisticRegressionCV(Cs=np.logspace(-3.5, 0.5, 5), cv=5, scoring="neg_log_loss", max_iter=200)
    return without_holes(make_pipeline(StandardScaler(), model))


def lightgbm_default():
    return lightgbm.LGBMClassifier(n_jobs=1, verbose=-1, random_state=1)


def lightgbm_shallow():
    settings = dict(n_estimators=60, learning_rate=0.05, max_depth=2, min_child_samples=10, reg_lambda=1.0)
    return lightgbm.LGBMClassifier(**settings, n_jobs=1, verbose=-1, random_state=1)


def catboost():
    settings = dict(iterations=300, learning_rate=0.03, depth=4, random_seed=1, thread_count=1, verbose=False)
    return CatBoostClassifier(**settings, allow_writing_files=False)


def additive():
    return ExplainableBoostingClassifier(interactions=5, outer_bags=4, n_jobs=1, random_state=1)


def extra_trees():
    return without_holes(ExtraTreesClassifier(n_estimators=300, min_samples_leaf=5, max_features=0.3, n_jobs=1, random_state=1))


def random_forest():
    return without_holes(RandomForestClassifier(n_estimators=300, min_samples_leaf=5, n_jobs=1, random_state=1))


FITTED = {
    "logistic regression": logistic_regression,
    "LightGBM": lightgbm_default,
    "LightGBM depth 2": lightgbm_shallow,
    "CatBoost": catboost,
    "EBM": additive,
    "extra trees": extra_trees,
    "random forest": random_forest,
}
WINDOWED = "LightGBM depth 2 of 200"
RIVER = "River's adaptive forest"


def fitted_probabilities(name, known, asked):
    """Of one learner; the share of successes where there is nothing to fit to."""
    success = np.array([signal["success"] for signal in known])
    if min(success.sum(), (1 - success).sum()) < 5:
        return np.full(len(asked), (success.sum() + 1) / (len(success) + 2))
    columns = Columns(known)
    return FITTED[name]().fit(columns.rows(known), success).predict_proba(columns.rows(asked))[:, 1]


def river_probabilities(known, asked):
    """Learns signal by signal, in the order in which they closed; drops trees that drift."""

    def shown(signal):
        indicators = signal["indicators"]
        mirrored = {f"{name} along": signal["direction"] * value for name, value in indicators.items() if type(value) in (int, float)}
        facts = {name: signal[name] for name in ("pair", "timeframe", "strategy", "direction", "stopPercent", "rewardRisk") if name in signal}
        return facts | indicators | mirrored

    model = forest.ARFClassifier(n_models=10, seed=1)
    for signal in known:
        model.learn_one(shown(signal), bool(signal["success"]))
    return np.array([model.predict_proba_one(shown(signal)).get(True, 0.5) for signal in asked])


def probabilities(name, known, asked):
    if name == RIVER:
        return river_probabilities(known, asked)
    if name == WINDOWED:
        return fitted_probabilities("LightGBM depth 2", known[-WINDOW:], asked)
    return fitted_probabilities(name, known, asked)


def expected_r(p, known, asked, fee):
    """What a success and a failure were worth so far, in units of their levels, after costs."""
    won = [s["profitPercent"] / s["stopPercent"] / s["rewardRisk"] for s in known if s["success"]]
    lost = [s["profitPercent"] / s["stopPercent"] for s in known if not s["success"]]
    win, loss = (sum(won) + BEFORE) / (len(won) + BEFORE), (sum(lost) - BEFORE) / (len(lost) + BEFORE)
    reward, stop = (np.array([s[key] for s in asked]) for key in ("rewardRisk", "stopPercent"))
    return p * win * reward + (1 - p) * loss - fee / stop


def answered(name, known, asked, fee):
    p = probabilities(name, known, asked)
    r = expected_r(p, known, asked, fee)
    return [[round(float(p[i]), 6), round(float(r[i]), 6), int(r[i] > 0)] for i in range(len(asked))]


def closed_by(signals, t):
    return sorted((signal for signal in signals if signal["closed"] <= t), key=lambda signal: signal["closed"])


def records_of(name, world):
    """What is recorded where only what was taken is: the first ones, then what the learner takes."""
    signals, recorded, fitted, takes = world["signals"], [], 0, [True] * len(world["signals"])
    for i, signal in enumerate(signals):
        known = closed_by(recorded, signal["t"])
        if i >= world["takenFirst"] and (fitted == 0 or len(known) >= fitted + REFIT):
            fitted = max(1, len(known))
            takes[i:] = [take for _, _, take in answered(name, known, signals[i:], world["feePercent"])]
        if takes[i]:
            recorded.append(signal)
    return recorded


def play(folder, index, name):
    world = json.loads((Path(folder) / f"{index}.json").read_text(encoding="utf-8"))
    found = {}
    recorded = records_of(name, world) if world["onlyTaken"] else world["signals"]
    for checkpoint in world["checkpoints"]:
        known = closed_by([s for s in recorded if s["t"] < checkpoint["t"]], checkpoint["t"])
        found[checkpoint["known"]] = answered(name, known, checkpoint["questions"], world["feePercent"])
    return dict(case=index, contender=name, found=found)


def main():
    folder, cases, jobs, *only = sys.argv[1:]
    unknown = set(only) - {*FITTED, RIVER}
    if unknown:
        sys.exit(f"no peers are called {', '.join(sorted(unknown))}; there are {', '.join([*FITTED, RIVER])}")
    names = [name for name in [*FITTED, RIVER] if not only or name in only]
    plays = []
    for index in range(int(cases)):
        world = json.loads((Path(folder) / f"{index}.json").read_text(encoding="utf-8"))
        plays += [(folder, index, name) for name in names + ([WINDOWED] if world["changes"] and not only else [])]
    with ProcessPoolExecutor(int(jobs)) as pool:
        for answer in pool.map(play, *zip(*plays)):  # in the order asked, so that the report's is always the same
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
