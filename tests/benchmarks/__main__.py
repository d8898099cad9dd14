"""Run benchmarks by name, or all of them: `make bench`, `python -m tests.benchmarks memory --rows 2000000`."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import memory, model, plan, reading

BENCHMARKS = {
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
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    for name in arguments.names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="shelfsort-bench-") as folder:
            BENCHMARKS[name](Path(folder), rows=arguments.rows, pairs=arguments.pairs)


if __name__ == "__main__":
    main()
