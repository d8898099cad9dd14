"""Batches that failed on every try: set aside whole within the settings' budget, with every row accounted for."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from lib.errors import BatchesFailed
from lib.planning import ImportPlan
from lib.records import Batch, BatchResult, FailedBatch, Outcome, Reason
from lib.results import batch_schema
from lib.shards import read_batch, read_ledger
from lib.storage import Folder, folder

BATCHES_SHOWN = 10  # in an error
REASON_SHOWN = 300  # characters of each of their reasons
KILLED = "its process was ended from outside on every try (killed, out of memory, or its machine went down)"


def gathered(plan: ImportPlan, tasks: Iterable[Any]) -> tuple[list[BatchResult], dict[int, str]]:
    """The results of the batches' tasks, and by number why the others failed.

    Metaflow reads a task's last try, but takes for that the last before a gap: where a try was killed before it could
    say that it began, it reads an older one, without what the newer ones found. So what is missing is looked for in
    the job's folder before it counts as failed.
    """
    results, failures = [], {}
    known = {task.index: task for task in tasks}
    for batch in plan.batches:
        task = known.get(batch.number)
        result = getattr(task, "result", None) or _left_in_folder(batch, plan)
        if result is not None:
            results.append(result)
        else:
            failures[batch.number] = reason_of(getattr(task, "failure", None))
    return results, failures


def _left_in_folder(batch: Batch, plan: ImportPlan) -> BatchResult | None:
    from lib.processing import finished_result

    return finished_result(batch, plan=plan)


def reason_of(failure: Any) -> str:
    """Why a batch failed, as one line, from what Metaflow's @catch keeps of it, if it kept anything."""
    # Where a task never lived to raise anything, @catch raises this in one try more.
    if failure is None or str(failure.type).endswith("FailureHandledByCatch"):
        return KILLED
    said = " ".join(str(failure.exception).split())
    return said if str(failure.type).endswith(".Refused") else f"{str(failure.type).rpartition('.')[2]}: {said}"


def set_aside(plan: ImportPlan, reasons: Mapping[int, str], *, at_most: float) -> list[FailedBatch]:
    """The batches that failed, by their numbers, with the source's lines they hold.

    Raises BatchesFailed when they are a larger share of all batches than `at_most`.
    """
    failed = [_failed(batch, plan, reasons[batch.number]) for batch in plan.batches if batch.number in reasons]
    if len(failed) > at_most * len(plan.batches):
        total = len(plan.batches)
        shown = "; ".join(described(one) for one in failed[:BATCHES_SHOWN])
        more = f" and {len(failed) - BATCHES_SHOWN} more" if len(failed) > BATCHES_SHOWN else ""
        kept = f"; the other {total - len(failed)} are kept, and" if len(failed) < total else ";"
        raise BatchesFailed(
            f"{plan.staged.source.uri}: {len(failed)} of {'1 batch' if total == 1 else f'{total} batches'} failed, "
            f"[batches] failed_at_most = {at_most:g} tolerates {int(at_most * total)}: {shown}{more}{kept} another run "
            "of the job redoes what is missing"
        )
    return failed


def described(batch: FailedBatch) -> str:
    """A failed batch in words."""
    lines = f"line {batch.first_line}" if batch.rows == 1 else f"lines {batch.first_line} to {batch.last_line}"
    reason = batch.reason if len(batch.reason) <= REASON_SHOWN else batch.reason[: REASON_SHOWN - 1] + "…"
    return f"batch {batch.number} ({lines}): {reason}"


def failed_rows(plan: ImportPlan, batch: Batch, *, job: Folder) -> Iterator[pa.Table]:
    """The rows of a failed batch in results.batch_schema: as they were staged, rejected as `batch-failed`."""
    schema = batch_schema(plan.staged.header)
    for rows in read_batch(batch, ledger=plan.staged.ledger, job=job):
        count = rows.num_rows
        known: dict[str, Any] = {
            "outcome": pa.repeat(Outcome.REJECTED.value, count),
            "reasons": pa.repeat(Reason.BATCH_FAILED.value, count),
            "warnings": pa.repeat("", count),
            **{name: rows[name] for name in rows.column_names if name in schema.names},
        }
        columns = [known[field.name] if field.name in known else pa.nulls(count, field.type) for field in schema]
        yield pa.table(columns, names=schema.names).cast(schema)


def _failed(batch: Batch, plan: ImportPlan, reason: str) -> FailedBatch:
    ledger = read_ledger(plan.staged.ledger, first_row=batch.first_row, rows=batch.rows, job=folder(plan.job_uri))
    lines = ledger["line"]
    return FailedBatch(batch.number, batch.rows, lines[0].as_py(), lines[-1].as_py(), reason)
