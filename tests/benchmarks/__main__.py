"""Run benchmarks by name, or all of them: `make bench`, `python -m tests.benchmarks memory --rows 2000000`."""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.benchmarks import catalog, fairness, gold, gpc, memory, model, plan, reading
from tests.benchmarks.gold_names import HALVES

BENCHMARKS = {
    "catalog": catalog.run,
    "fairness": fairness.run,
    "gold": gold.run,
    "gpc": gpc.run,
    "memory": memory.run,
    "model": model.run,
    "plan": plan.run,
    "reading": reading.run,
    "staging": reading.run_staging,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all if left out")
    parser.add_argument("--rows", type=int, help="rows of the source; each benchmark has its own default")
    parser.add_argument("--pairs", type=int, default=3, help="how often two things are compared in turn")
    parser.add_argument("--model", help="gold: the model's folder; the config's if left out")
    parser.add_argument("--half", default="dev", choices=HALVES, help="gold: which names; test is for figures only")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    benchmarks = BENCHMARKS | {"gold": partial(gold.run, model=arguments.model, half=arguments.half)}
    for name in arguments.names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="shelfsort-bench-") as folder:
            benchmarks[name](Path(folder), rows=arguments.rows, pairs=arguments.pairs)


if __name__ == "__main__":
    main()
