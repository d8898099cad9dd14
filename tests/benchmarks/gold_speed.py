"""How fast the categorizer loads and answers, in this process alone: `python -m tests.benchmarks.gold_speed MODEL`."""

import json
import os
import sys
import time
from itertools import cycle, islice

from tests.benchmarks.flow_runs import grocery_names

NAMES, PASSES = 50_000, 3


def measure(uri: str) -> dict[str, float]:
    """Seconds to load a model, imports included, and names a second at first and at best, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    names = list(islice(cycle(grocery_names()), NAMES))
    started = time.perf_counter()
    # Here, so that they are in the time.
    from lib.categorizing import Described
    from lib.words.categorizer import WordCategorizer

    categorizer = WordCategorizer.load(uri)
    loaded = time.perf_counter()
    rates = []
    for _ in range(1 + PASSES):
        before = time.perf_counter()
        categorizer.categorize(Described(names))
        rates.append(len(names) / (time.perf_counter() - before))
    return {"load": loaded - started, "first": rates[0], "best": max(rates[1:])}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
