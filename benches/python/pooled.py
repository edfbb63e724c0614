"""The task of signalloop's pooled training with LightGBM: the candle files of a folder, one model for all, the same folds.

Arguments: the folder, the learner (`lightgbm`), a folder for the model. Writes one JSON object to standard output, as training.py
does, with `learnerSeconds`: CPU seconds of the learner alone, fits and predictions. Its answers are believed as skill_peer.py does.
"""

import os

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # as in training.py
    os.environ[pool] = "1"

import json
import resource
import sys
import time
from pathlib import Path

import joblib
import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "learning"))
from skill_peer import SETTINGS, WEEK_MS, base_rates, believe
from task import BLOCKS, EMBARGO_SHARE, FIRST_TRAINING_SHARE, OLDEST_DECAY, Task
from training import log_loss


class Pool:
    """The labelled rows of all candle files of a folder in order of time."""

    def __init__(self, folder):
        paths = sorted(folder.glob("*.csv"))
        tasks = [Task(path) for path in paths]
        self.names = [path.stem for path in paths]
        market = np.repeat(np.arange(len(tasks)), [len(task.bars) for task in tasks])
        times = np.concatenate([task.times_ms for task in tasks])
        order = np.lexsort((market, times))
        self.market, self.times_ms = market[order], times[order]
        self.decided_ms = np.concatenate([task.decided_ms for task in tasks])[order]
        self.rows = np.concatenate([task.rows for task in tasks])[order]
        self.happened = [np.concatenate([task.happened[side] for task in tasks])[order] for side in (0, 1)]

    def blocks(self):
        """Where each block begins and ends."""
        count, times = len(self.times_ms), self.times_ms
        first = int(count * FIRST_TRAINING_SHARE)
        begins = [times[min(first + (count - first) * block // BLOCKS, count - 1)] for block in range(BLOCKS)]
        edges = [*np.searchsorted(times, begins), count]
        return list(zip(edges, edges[1:]))

    def known(self, start):
        """The rows whose label was decided an embargo before the row `start`."""
        embargo = int((self.times_ms[-1] - self.times_ms[0]) * EMBARGO_SHARE)
        return np.flatnonzero(self.decided_ms[:start] + embargo <= self.times_ms[start])

    def weights(self, known):
        time = self.times_ms[known]
        return OLDEST_DECAY + (1 - OLDEST_DECAY) * (time - time[0]) / (time[-1] - time[0])


class Learner:
    """LightGBM and what it took."""

    def __init__(self, pool):
        self.pool, self.seconds = pool, 0.0

    def fit(self, known, side):
        from lightgbm import LGBMClassifier

        begin = time.process_time()
        model = LGBMClassifier(**SETTINGS)
        model.fit(self.pool.rows[known], self.pool.happened[side][known], sample_weight=self.pool.weights(known))
        self.seconds += time.process_time() - begin
        return model

    def predict(self, model, rows):
        begin = time.process_time()
        stated = model.predict_proba(rows)[:, 1]
        self.seconds += time.process_time() - begin
        return stated


def evaluated(pool, learner, side):
    """What is said of the rows of all blocks, and the constant; NaN for rows that no block asks about."""
    count, happened = len(pool.rows), pool.happened[side]
    stated, constant, departure = (np.full(count, np.nan) for _ in range(3))
    for start, end in pool.blocks():
        asked, known = slice(start, end), pool.known(start)
        decided = pool.decided_ms <= pool.times_ms[start]
        constant[asked] = base_rates(happened, pool.market, decided)[pool.market[asked]]
        departure[asked] = learner.predict(learner.fit(known, side), pool.rows[asked]) - happened[known].mean()
        earlier = known[~np.isnan(departure[known])]
        belief = believe(departure[earlier], happened[earlier] - constant[earlier], pool.times_ms[earlier] // WEEK_MS)
        stated[asked] = constant[asked] + belief * departure[asked]
    return np.clip(stated, 1e-6, 1 - 1e-6), constant


def main():
    folder, target = Path(sys.argv[1]), Path(sys.argv[3])
    pool = Pool(folder)
    learner = Learner(pool)
    # The first block only teaches how far to believe, as in signalloop.
    scored = np.arange(len(pool.rows)) >= pool.blocks()[1][0]
    markets = {name: [] for name in pool.names}
    for side in (0, 1):
        stated, constant = evaluated(pool, learner, side)
        for number, name in enumerate(pool.names):
            rows = np.flatnonzero(scored & (pool.market == number))
            loss = lambda said: log_loss(pool.happened[side][rows], said[rows])
            markets[name].append(dict(logLoss=loss(stated), constant=loss(constant), rows=len(rows)))
    joblib.dump([learner.fit(np.arange(len(pool.rows)), side) for side in (0, 1)], target / "pool.joblib")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = dict(
        cpuSeconds=time.process_time(),
        learnerSeconds=learner.seconds,
        peakBytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        markets=markets,
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
