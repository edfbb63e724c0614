"""How long something takes."""

import time


def seconds(act, times):
    """The best of some runs, as what disturbs only makes slower."""
    best = float("inf")
    for _ in range(times):
        begin = time.perf_counter()
        act()
        best = min(best, time.perf_counter() - begin)
    return best
