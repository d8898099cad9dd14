"""A small file beside large ones: import jobs, and the queue with polling workers that many teams have.

Small files are submitted one after another: on the idle machine, while a large import's batches run, and while as many
large imports run as there are cores. Both write to the same PostgreSQL and run the same flow; the queue has as many
workers as there are cores, each running its import on one. Times are from the submission to the results in the catalog.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from lib import jobs
from lib.importjobs.job import Status
from lib.processes import cores, end_marked
from tests import services
from tests.benchmarks.fairness_queue import Queue, workers
from tests.benchmarks.flow_runs import write_source

SMALL_ROWS = 200
ASK_SECONDS = 0.2
MOST_SMALL = 8  # beside each load
_MARK = "SHELFSORT_BENCHMARK"  # in the environment of every process that is started


class System(Protocol):
    """One of the two that are compared."""

    def submit(self, source: Path) -> Any: ...

    def begun(self, ticket: Any) -> bool: ...

    def seconds(self, ticket: Any) -> float | None: ...


@dataclass
class ImportJobs:
    """lib.jobs, as a web back end calls it."""

    output: str
    submitted: int = 0

    def submit(self, source: Path) -> tuple[str, float]:
        began = time.time()
        self.submitted += 1
        job = jobs.submit_import(str(source), output=self.output, customer=f"customer {self.submitted}")
        return job.id, began

    def begun(self, ticket: tuple[str, float]) -> bool:
        """Whether its batches run, or it has ended."""
        now = jobs.status_of(ticket[0], output=self.output)
        return now.progress.running > 0 or now.job.finished_at is not None

    def seconds(self, ticket: tuple[str, float]) -> float | None:
        job = jobs.status_of(ticket[0], output=self.output).job
        if job.status == Status.FAILED:
            raise RuntimeError(f"job {job.id} failed: {job.error}")
        return job.finished_at.timestamp() - ticket[1] if job.finished_at else None


@dataclass
class PolledQueue:
    """The baseline."""

    queue: Queue

    def submit(self, source: Path) -> int:
        return self.queue.put(source)

    def begun(self, ticket: int) -> bool:
        return self.queue.state(ticket)[0] != "waiting"

    def seconds(self, ticket: int) -> float | None:
        status, seconds = self.queue.state(ticket)
        if status == "failed":
            raise RuntimeError(f"import {ticket} of the queue failed")
        return seconds


@dataclass(frozen=True)
class Load:
    """What was measured beside so many large imports."""

    large: tuple[float, ...]  # seconds of each large import
    small: tuple[float, ...]  # seconds of each small one that was submitted while they ran


def run(folder: Path, *, rows: int | None, pairs: int) -> None:
    """Print both systems' medians; `rows` of a large file (1,000,000), `pairs` small files on the idle machine."""
    rows = rows or 1_000_000
    large = write_source(folder / "large.csv", rows=rows)
    small = write_source(folder / "small.csv", rows=SMALL_ROWS)
    print(f"\nA file of {SMALL_ROWS} rows beside imports of {rows:,}, PostgreSQL, {cores()} cores; seconds")
    print(
        f"{'':<12} {'large imports':>13} {'small: median':>14} {'range':>16} {'files':>6} {'/ idle':>7} {'large':>12}"
    )
    with services.running("postgres") as facts, _environment(folder, facts["url"]):
        _compare("import jobs", lambda: ImportJobs(str(folder / "jobs")), large, small, idle_files=pairs)
        with workers(folder / "queue"):
            _compare("queue", lambda: PolledQueue(Queue(facts["url"])), large, small, idle_files=pairs)


def _compare(name: str, system: Callable[[], System], large: Path, small: Path, *, idle_files: int) -> None:
    under_test = system()
    _finished(under_test, under_test.submit(small))  # makes the tables, and warms the disk's cache
    idle = Load((), tuple(_finished(under_test, under_test.submit(small)) for _ in range(idle_files)))
    _print(name, idle, idle)
    for count in sorted({1, cores()}):
        _print(name, _beside(under_test, [large] * count, small), idle)


def _beside(system: System, large: list[Path], small: Path) -> Load:
    tickets = [system.submit(source) for source in large]
    while not all(map(system.begun, tickets)):
        time.sleep(ASK_SECONDS)
    seconds: list[float] = []
    while len(seconds) < MOST_SMALL and all(system.seconds(ticket) is None for ticket in tickets):
        seconds.append(_finished(system, system.submit(small)))
    return Load(tuple(_finished(system, ticket) for ticket in tickets), tuple(seconds))


def _finished(system: System, ticket: Any) -> float:
    while (seconds := system.seconds(ticket)) is None:
        time.sleep(ASK_SECONDS)
    return seconds


def _print(name: str, load: Load, idle: Load) -> None:
    small = median(load.small)
    span = f"{min(load.small):.1f} to {max(load.small):.1f}"
    ratio = f"{small / median(idle.small):.2f}"
    large = ", ".join(f"{seconds:.0f}" for seconds in load.large)
    row = f"{name:<12} {len(load.large):>13} {small:>14.1f} {span:>16} {len(load.small):>6} {ratio:>7} {large:>12}"
    print(row, flush=True)


@contextmanager
def _environment(folder: Path, url: str) -> Iterator[None]:
    """The catalog in this database, Metaflow's records in this folder, and no settings of a developer's."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("METAFLOW_", "SHELFSORT_"))]:
        del os.environ[name]
    os.environ["SHELFSORT_DATABASE_URL"] = url
    os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"] = os.environ[_MARK] = str(folder)
    try:
        yield
    finally:
        end_marked(_MARK, str(folder))
        os.environ.clear()
        os.environ.update(before)
