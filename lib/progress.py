"""How far a run is: a small file for its plan and one for each batch, in the job's folder, written anew as it goes on.

Files and not rows of a database: a batch's task then needs no database driver, which takes longer to load than a small
batch to process; a locked or distant database holds no batch up; and they are where the results are. They go with the
shards.
"""

import json
import time
from collections.abc import Iterator, Mapping
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
# A batch's file is written no more often: on S3 each time is a request.
WRITE_SECONDS = 2.0


@dataclass(frozen=True)
class Progress:
    """How far a run is. Batches are counted by state, rows that are done by outcome, those of running batches too."""

    batches: int = 0
    rows: int = 0
    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: {outcome.value: 0 for outcome in Outcome})
    rows_done: int = 0
    under_way: dict[str, int] = field(default_factory=dict)  # of the outcomes, those of batches that still run
    rows_reused: int = 0  # of batches that an earlier run had finished
    seconds: float = 0.0  # since the first batch began, up to now or the last one's end

    def at_rest(self) -> "Progress":
        """The same when nothing runs any more: what was cut off is to be done again."""
        outcomes = {name: count - self.under_way.get(name, 0) for name, count in self.outcomes.items()}
        return replace(
            self,
            pending=self.pending + self.running,
            running=0,
            outcomes=outcomes,
            rows_done=self.rows_done - sum(self.under_way.values()),
            under_way={},
        )

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


class BatchProgress:
    """What is written of one batch."""

    def __init__(self, batch: Batch, *, plan: ImportPlan) -> None:
        self._job = folder(plan.job_uri)
        self._name = f"{_FOLDER}/{plan.results_key}-{batch.number:04d}.json"
        self._rows = batch.rows
        self._state = {"number": batch.number, "rows": batch.rows, "state": RUNNING, "began": time.time()}
        self._write_after = time.monotonic() + WRITE_SECONDS
        self.result: BatchResult | None = None
        self.write()

    def so_far(self, outcomes: Mapping[str, int]) -> None:
        """The outcomes of the rows that are done, from time to time; not to be able to say so fails no batch."""
        at_its_end = sum(outcomes.values()) == self._rows  # which is written as such
        if time.monotonic() >= self._write_after and not at_its_end:
            with suppress(StorageError):
                self.write(outcomes=dict(outcomes))
            self._write_after = time.monotonic() + WRITE_SECONDS

    def write(self, **more: Any) -> None:
        """Write the batch's state, and more of it."""
        self._job.write_bytes(self._name, json.dumps(self._state | more).encode())


@contextmanager
def reporting(batch: Batch, *, plan: ImportPlan) -> Iterator[BatchProgress]:
    """Write that the batch has begun and, at the block's end, how it ended; the block sets its result."""
    progress = BatchProgress(batch, plan=plan)
    try:
        yield progress
    except BaseException as error:
        line = " ".join(f"{error}".split()) or type(error).__name__
        with suppress(StorageError):  # it may be what the batch failed of
            progress.write(state=FAILED, ended=time.time(), error=line)
        raise
    if result := progress.result:
        progress.write(state=SUCCEEDED, ended=time.time(), outcomes=result.outcomes, reused=result.reused)


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
    outcomes, under_way = _outcomes(states, SUCCEEDED, RUNNING), _outcomes(states, RUNNING)
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
        rows_done=sum(one["rows"] for one in done) + sum(under_way.values()),
        under_way=under_way,
        rows_reused=sum(one["rows"] for one in done if one["reused"]),
        seconds=max(0.0, ended - began),
    )


def _outcomes(states: list[dict[str, Any]], *of: str) -> dict[str, int]:
    """Rows by outcome, of the batches in these states."""
    told = [one.get("outcomes", {}) for one in states if one["state"] in of]
    return {outcome.value: sum(outcomes.get(outcome.value, 0) for outcomes in told) for outcome in Outcome}
