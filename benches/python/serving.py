"""Models to serve beside signalloop's, and how fast LightGBM serves its own.

Arguments: a candle file and a folder. Writes to the folder `forest.onnx`, a scikit-learn forest of the shape of one side of
signalloop's model, and `rows.f32`, 10 000 rows of features; and one JSON object to standard output, times in microseconds.
"""

import json
import sys
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestRegressor

from task import Task
from timing import seconds
from training import MAX_DEPTH, MIN_LEAF, TREES, lightgbm

ROWS = 10_000


def main():
    task, folder = Task(Path(sys.argv[1])), Path(sys.argv[2])
    forest = RandomForestRegressor(TREES, max_depth=MAX_DEPTH, min_samples_leaf=MIN_LEAF, max_features="sqrt", random_state=1)
    forest.fit(task.rows, task.happened[0].astype(float), sample_weight=task.weights[0])
    rows = np.resize(task.rows, (ROWS, task.rows.shape[1]))
    (folder / "forest.onnx").write_bytes(to_onnx(forest, rows[:1].astype(np.float32)).SerializeToString())
    (folder / "rows.f32").write_bytes(rows.astype(np.float32).tobytes())
    booster = lightgbm(TREES).fit(task.rows, task.happened[0], sample_weight=task.weights[0]).booster_
    one = rows[:1]
    figures = dict(
        features=rows.shape[1],
        oneUs=1e6 * seconds(lambda: booster.predict(one), 300),
        batchUs=1e6 * seconds(lambda: booster.predict(rows), 10),
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
