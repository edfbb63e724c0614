"""Trains LightGBM on features that signalloop has written, and saves it as ONNX: one file for a BUY, one for a SELL.

    npx tsx own-model/main.ts --candles ml/others   # only for this example: writes candles of eight markets
    npx signalloop data features --home ml/others --out rows.csv
    pip install lightgbm onnxmltools onnxconverter-common skl2onnx packaging
    python own-model/train.py rows.csv own-model 2024-05-01

Only rows whose outcomes were known before the date are learned from: the date is the model's `trainedUntil`.
"""

import csv
import sys
from datetime import datetime, timezone

import lightgbm
import numpy
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType


def main(rows_file, folder, until):
    until_ms = datetime.fromisoformat(until).replace(tzinfo=timezone.utc).timestamp() * 1000
    with open(rows_file, newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["decided"]) <= until_ms]
    names = [name for name in rows[0] if name not in ("symbol", "timeframe", "time", "decided", "buy", "sell")]
    features = numpy.array([[float(row[name]) for name in names] for row in rows], dtype=numpy.float32)
    for side in ("buy", "sell"):
        happened = numpy.array([int(row[side]) for row in rows])
        model = lightgbm.LGBMClassifier(
            n_estimators=80, num_leaves=12, min_child_samples=100, learning_rate=0.08, random_state=1, verbose=-1
        )
        model.fit(features, happened)
        onnx = convert_lightgbm(model, initial_types=[("input", FloatTensorType([None, len(names)]))], zipmap=False)
        with open(f"{folder}/{side}.onnx", "wb") as file:
            file.write(onnx.SerializeToString())
    print(f"{len(rows)} rows before {until}")


main(*sys.argv[1:])
