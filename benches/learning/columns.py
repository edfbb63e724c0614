"""From signals to the columns that peers are given: all that signalloop makes of a signal."""

import re

import numpy as np

OSCILLATORS = [(r"rsi|stoch|^mfi$|moneyflow", 0, 100), (r"williams", -100, 0), (r"percentb|bbposition|^pctb$", 0, 1)]
MOMENTUM = r"macd(?!.*signal)|momentum|emadistance|smadistance"
VOLUME = r"volume.*ratio|relativevolume|^rvol$"


def range_of(name):
    """The range of an indicator that a book knows as an oscillator."""
    return next(((low, high) for pattern, low, high in OSCILLATORS if re.search(pattern, name)), None)


def letters(name):
    return re.sub("[^a-z]", "", name.lower())


def centre(name, values):
    """What divides the sides of an indicator: the middle of its range, 0 where it has either sign, or its median."""
    if span := range_of(letters(name)):
        return sum(span) / 2
    known = values[~np.isnan(values)]
    if known.size == 0 or min((known > 0).mean(), (known < 0).mean()) >= 0.05:
        return 0.0
    return float(np.median(known))


def reading(name, values, direction):
    """The textbook's reading of an indicator that it knows by name."""
    name = letters(name)
    if span := range_of(name):
        stretched = direction * (2 * (values - span[0]) / (span[1] - span[0]) - 1)
        return -np.clip((stretched - 0.2) / 0.3, 0, 1)
    if re.search(MOMENTUM, name):
        return direction * np.sign(values) * 0.5
    if re.search(VOLUME, name):
        return np.clip(np.log(np.maximum(values, 0.01)), -0.5, 0.5)
    return None


class Columns:
    """Columns of what a set of known signals shows; `rows` makes them of any signals. A missing indicator is NaN."""

    def __init__(self, known):
        values = {}
        for signal in known:
            for name, value in signal["indicators"].items():
                values.setdefault(name, []).append(value)
        words = {name for name, seen in values.items() if isinstance(seen[0], (str, bool))}
        self.numbers = sorted(set(values) - words)
        self.centres = [centre(name, np.array(values[name], float)) for name in self.numbers]
        facts = {name: [signal.get(name) for signal in known] for name in ("pair", "strategy", "timeframe")}
        seen = facts | {name: [signal["indicators"].get(name) for signal in known] for name in words}
        self.categories = [(name, value) for name in sorted(seen) for value in sorted(set(seen[name]) - {None}, key=str)]

    def rows(self, signals):
        direction = np.array([signal["direction"] for signal in signals], float)
        columns = []
        for name, middle in zip(self.numbers, self.centres):
            values = np.array([signal["indicators"].get(name, np.nan) for signal in signals], float)
            columns += [values, direction * (values - middle)]
            read = reading(name, values, direction)
            if read is not None:
                columns.append(read)
        shown = [signal | signal["indicators"] for signal in signals]
        columns += [np.array([signal.get(name) == value for signal in shown], float) for name, value in self.categories]
        facts = [(s["stopPercent"], s["rewardRisk"], -np.log(s["rewardRisk"]), s.get("expiryBars", 0)) for s in signals]
        return np.column_stack([*columns, direction, np.array(facts, float)])
