"""How far a run is: a small file for its plan and one for each batch, in the job's folder.

Files and not rows of a database: a batch's task then needs no database driver, which takes longer to load than a small
batch to process; a locked or distant database holds no batch up; and they are where the results are. They go with the
shards.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from lib.errors import StorageError
from lib.planning import ImportPlan
from lib.records import Batch, BatchResult, Outcome
from lib.shards import SHARDS
from lib.storage import Folder, folder

_FOLDER = f"{SHARDS}/progress"
_PLAN = f"{_FOLDER}/plan.json"
RUNNING, SUCCEEDED, FAILED = "running", "succeeded", "failed"


@dataclass(frozen=True)
class Progress:
    """How far a run is. Batches are counted by state, rows of finished batches by outcome."""

    batches: int = 0
    rows: int = 0
    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: {outcome.value: 0 for outcome in Outcome})
    rows_done: int = 0
    rows_reused: int = 0  # of batches that an earlier run had finished
    seconds: float = 0.0  # since the first batch began, up to now or the last one's end

    def at_rest(self) -> "Progress":
        """The same when nothing runs any more: what was cut off is to be done again."""
        return replace(self, pending=self.pending + self.running, running=0)

    @property
    def rows_a_second(self) -> float | None:
        """Rows processed in a second by all batches together; None before there are any."""
        rows = self.rows_done - self.rows_reused
        return rows / self.seconds if rows and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """How long the other batches take at this rate; None when that cannot be said."""
        rate = self.rows_a_second
        return (self.rows - self.rows_done) / rate if rate else None


def announce(plan: ImportPlan, *, attempt: int = 1) -> None:
    """Write what is going to be done, before any batch begins, in the place of what an earlier run wrote."""
    job = folder(plan.job_uri)
    job.delete(_FOLDER)
    batches = [{"number": batch.number, "rows": batch.rows} for batch in plan.batches]
    content = {"attempt": attempt, "key": plan.results_key, "batches": batches}
    job.write_bytes(_PLAN, json.dumps(content).encode())


@contextmanager
def reporting(batch: Batch, *, plan: ImportPlan) -> Iterator[list[BatchResult]]:
    """Write that the batch has begun and, at the block's end, how it ended; the block appends its result."""
    job = folder(plan.job_uri)
    name = f"{_FOLDER}/{plan.results_key}-{batch.number:04d}.json"
    state: dict[str, Any] = {"number": batch.number, "rows": batch.rows, "state": RUNNING, "began": time.time()}
    job.write_bytes(name, json.dumps(state).encode())
    results: list[BatchResult] = []
    try:
        yield results
    except BaseException as error:
        line = " ".join(f"{error}".split()) or type(error).__name__
        ended = {"state": FAILED, "ended": time.time(), "error": line}
        with suppress(StorageError):  # it may be what the batch failed of
            job.write_bytes(name, json.dumps(state | ended).encode())
        raise
    for result in results:
        ended = {"state": SUCCEEDED, "ended": time.time(), "outcomes": result.outcomes, "reused": result.reused}
        job.write_bytes(name, json.dumps(state | ended).encode())


class ProgressReader:
    """Reads how far a job's run is, as often as one likes; what has succeeded is read once."""

    def __init__(self, job: Folder) -> None:
        self._job = job
        self._plan: dict[str, Any] = {}
        self._succeeded: dict[str, dict[str, Any]] = {}

    def read(self, *, attempt: int) -> Progress | None:
        """How far this attempt is; None while its plan is not made, or when all of it is done and cleared away."""
        plan = self._read(_PLAN)
        if plan is None or plan["attempt"] != attempt:
            return None
        if plan != self._plan:
            self._plan, self._succeeded = plan, {}
        there = set(self._job.names(f"{_FOLDER}/{plan['key']}-"))
        states = []
        for batch in plan["batches"]:
            name = f"{_FOLDER}/{plan['key']}-{batch['number']:04d}.json"
            if name not in self._succeeded and name in there and (state := self._read(name)):
                if state["state"] == SUCCEEDED:
                    self._succeeded[name] = state
                states.append(state)
            elif name in self._succeeded:
                states.append(self._succeeded[name])
        return _progress(plan["batches"], states)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._job.read_bytes(name))
        except (StorageError, ValueError):
            return None  # not written yet, or the job has ended meanwhile
        return found


def _progress(batches: list[dict[str, Any]], states: list[dict[str, Any]]) -> Progress:
    count = {state: sum(one["state"] == state for one in states) for state in (RUNNING, SUCCEEDED, FAILED)}
    done = [one for one in states if one["state"] == SUCCEEDED]
    outcomes = {outcome.value: sum(one["outcomes"].get(outcome.value, 0) for one in done) for outcome in Outcome}
    fresh = [one for one in states if not one.get("reused")]
    began = min((one["began"] for one in fresh), default=0.0)
    ended = time.time() if count[RUNNING] else max((one.get("ended", 0.0) for one in fresh), default=0.0)
    return Progress(
        batches=len(batches),
        rows=sum(batch["rows"] for batch in batches),
        pending=len(batches) - len(states),
        running=count[RUNNING],
        succeeded=count[SUCCEEDED],
        failed=count[FAILED],
        outcomes=outcomes,
        rows_done=sum(one["rows"] for one in done),
        rows_reused=sum(one["rows"] for one in done if one["reused"]),
        seconds=max(0.0, ended - began),
    )
