"""The batches' results into one set of files, with every row of the source accounted for."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.corrections import merged
from lib.errors import AccountingError
from lib.failing import failed_rows
from lib.formats.rows import cell_columns
from lib.jobrows import JobFacts, rows_schema
from lib.planning import ImportPlan
from lib.records import Batch, BatchResult, FailedBatch, Outcome, Reason, Shard
from lib.results import BETWEEN, REPORT_FILE, ROWS_FILE, result_files
from lib.shards import opened, read_ledger, sha256_of
from lib.storage import Folder, folder

CONFIDENCE_BINS = 20  # twentieths of [0, 1]
REJECTED_SHOWN = 20  # in the report and the card
CELL_SHOWN = 200  # characters of each of their cells
NAMES, NAMES_OF_A_GROUP = 1000, 200  # looked at for their languages, and of each group of rows
LINES_SHOWN = 20  # in an error


@dataclass
class Tally:
    """Counts over all rows of an import, taken from the rows that were written."""

    outcomes: Counter[str] = field(default_factory=Counter)  # Outcome -> rows
    reasons: Counter[str] = field(default_factory=Counter)  # Reason -> rejected rows that have it
    warnings: Counter[str] = field(default_factory=Counter)  # Reason -> kept rows that carry it
    categories: Counter[str] = field(default_factory=Counter)  # category -> categorized rows
    confidences: dict[str, list[int]] = field(  # of categorized and of review rows, in each of CONFIDENCE_BINS
        default_factory=lambda: {outcome: [0] * CONFIDENCE_BINS for outcome in (Outcome.CATEGORIZED, Outcome.REVIEW)}
    )
    rejected_rows: list[dict[str, Any]] = field(default_factory=list)  # the first REJECTED_SHOWN
    names: list[str] = field(default_factory=list)  # a sample of the kept products'

    def add(self, rows: pa.Table, cells: list[str]) -> None:
        """Count rows of a batch's result (results.batch_schema); `cells` are the names of their cells' columns."""
        _add_counts(self.outcomes, rows["outcome"])
        is_rejected = pc.equal(rows["outcome"], Outcome.REJECTED)
        rejected, kept = rows.filter(is_rejected), rows.filter(pc.invert(is_rejected))
        _add_codes(self.reasons, rejected["reasons"])
        _add_codes(self.warnings, kept["warnings"])
        _add_counts(self.categories, kept.filter(pc.equal(kept["outcome"], Outcome.CATEGORIZED))["category"])
        for outcome, counts in self.confidences.items():
            sure = kept.filter(pc.equal(kept["outcome"], outcome))["confidence"].to_numpy()
            bins = np.minimum((sure * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
            more = np.bincount(bins, minlength=CONFIDENCE_BINS).tolist()
            self.confidences[outcome] = [had + new for had, new in zip(counts, more, strict=True)]
        self.names += kept["product_name"].slice(0, NAMES_OF_A_GROUP).to_pylist() if len(self.names) < NAMES else []
        for row in rejected.slice(0, REJECTED_SHOWN - len(self.rejected_rows)).to_pylist():
            shown = [cell[:CELL_SHOWN] for cell in (*(row[name] for name in cells), *(row["extra"] or ()))]
            self.rejected_rows.append({"line": row["line"], "reasons": row["reasons"].split(BETWEEN), "cells": shown})


@dataclass(frozen=True)
class Joined:
    """What the join made of the batches."""

    facts: JobFacts
    tally: Tally
    rows: Shard  # rows.parquet

    @property
    def unprocessed(self) -> int:
        """How many rows are set aside because their batch failed, in this run or in one whose rows it corrects."""
        return self.tally.reasons[Reason.BATCH_FAILED]


def join_batches(plan: ImportPlan, results: Sequence[BatchResult], *, failed: Sequence[FailedBatch] = ()) -> Joined:
    """Check that the results and the failed batches hold every staged row once, and write the files of results.

    A correction's rows take their places among the job's. Raises AccountingError with the line numbers when a batch
    or a row is missing, doubled or not of this source.
    """
    job = folder(plan.job_uri)
    ordered = _in_order(plan, results, {batch.number for batch in failed}, job)
    facts = _facts(plan)
    schema = rows_schema(facts)
    tally = Tally()
    cells = cell_columns(facts.header)
    with job.writing(ROWS_FILE) as target:
        with (
            pq.ParquetWriter(target, schema, compression="zstd") as every_row,
            result_files(
                job,
                job_id=plan.job_id,
                header=facts.header,
                sheets=facts.several_sheets,
                extra_cells=facts.extra_cells,
            ) as files,
        ):
            for rows in _all_rows(plan, ordered, job):
                every_row.write_table(rows.select(schema.names).cast(schema))
                files.write(rows)
                tally.add(rows, cells)
            counted = sum(tally.outcomes[outcome.value] for outcome in Outcome)
            if counted != facts.rows:
                raise AccountingError(f"{facts.source['uri']}: {facts.rows} rows but {counted} accounted for")
            # The files appear at the end of these blocks, one by one; meanwhile they may be of this run and of an
            # earlier one, so the report, which says that they are complete, goes first.
            job.delete(REPORT_FILE)
        rows_file = Shard(ROWS_FILE, 0, facts.rows, sha256_of(target))
    return Joined(facts, tally, rows_file)


def _facts(plan: ImportPlan) -> JobFacts:
    staged = plan.staged
    if staged.corrects is None:
        source = {
            "uri": staged.source.uri,
            "sha256": staged.source.sha256,
            "bytes": staged.source.size,
            **staged.format,
            "decisions": list(staged.decisions),
            "header": staged.header,
            "header_line": staged.header_line,
            "blank_lines": staged.blank_lines,
        }
        several = len(staged.format["sheets"] or ()) > 1
        return JobFacts(source, staged.columns, staged.rows, several, staged.rows_with_extra_cells > 0)
    given = staged.source
    others = [one for one in staged.corrects.corrections if one["sha256"] != given.sha256]
    this = {"uri": given.uri, "sha256": given.sha256, "rows": staged.rows, "decisions": list(staged.decisions)}
    return replace(staged.corrects, corrections=(*others, this))


def _all_rows(plan: ImportPlan, ordered: Sequence[BatchResult | None], job: Folder) -> Iterator[pa.Table]:
    """Every row of the job, in jobrows.rows_schema's columns, a row group at a time."""
    correction = None if plan.staged.corrects is None else plan.staged.source.sha256
    processed = (
        rows.append_column("correction", pa.array([correction] * rows.num_rows, pa.string()))
        for rows in _checked_rows(plan, ordered, job)
    )
    if correction is None:
        yield from processed
        return
    # A correction is small beside its job.
    corrected = pa.concat_tables(processed)
    taken = 0
    for rows in merged(job, corrected):
        taken += pc.sum(pc.equal(rows["correction"], correction), min_count=0).as_py()
        yield rows
    if taken != corrected.num_rows:
        raise AccountingError(
            f"{plan.staged.source.uri}: {corrected.num_rows} rows corrected but {taken} of them found in the job"
        )


def _checked_rows(plan: ImportPlan, ordered: Sequence[BatchResult | None], job: Folder) -> Iterator[pa.Table]:
    for batch, result in zip(plan.batches, ordered, strict=True):
        lines = []
        for rows in failed_rows(plan, batch, job=job) if result is None else _row_groups(job, result):
            lines.append(rows["line"].to_numpy())
            yield rows
        _check_lines(plan, batch, np.concatenate(lines) if lines else np.array([], np.int64), job)


def _in_order(
    plan: ImportPlan, results: Sequence[BatchResult], failed: set[int], job: Folder
) -> list[BatchResult | None]:
    """The results by batch number, None for those that failed; AccountingError unless each is there exactly once."""
    times = Counter([*(result.number for result in results), *failed])
    wrong = [batch for batch in plan.batches if times[batch.number] != 1]
    if wrong:
        what = "; ".join(
            f"batch {batch.number} came {times[batch.number]} times ({_line_range(plan, batch, job)})"
            for batch in wrong[:LINES_SHOWN]
        )
        raise AccountingError(f"{plan.staged.source.uri}: {what}; run the job again with --job-id {plan.job_id}")
    unplanned = sorted(set(times) - {batch.number for batch in plan.batches})
    if unplanned:
        raise AccountingError(f"{plan.staged.source.uri}: batches {unplanned} are not in the plan")
    by_number = {result.number: result for result in results}
    return [by_number.get(batch.number) for batch in plan.batches]


def _line_range(plan: ImportPlan, batch: Batch, job: Folder) -> str:
    lines = read_ledger(plan.staged.ledger, first_row=batch.first_row, rows=batch.rows, job=job)["line"]
    return f"lines {lines[0].as_py()} to {lines[-1].as_py()}"


def _check_lines(plan: ImportPlan, batch: Batch, lines: npt.NDArray[np.int64], job: Folder) -> None:
    ledger = read_ledger(plan.staged.ledger, first_row=batch.first_row, rows=batch.rows, job=job)
    expected = ledger["line"].to_numpy()
    if np.array_equal(lines, expected):
        return
    found, times = np.unique(lines, return_counts=True)
    faults = {
        "missing": np.setdiff1d(expected, found),
        "doubled": found[times > 1],
        "not in the source": np.setdiff1d(found, expected),
    }
    what = "; ".join(f"lines {name}: {_shown(wrong)}" for name, wrong in faults.items() if len(wrong))
    raise AccountingError(f"{plan.staged.source.uri}: batch {batch.number}: {what or 'lines out of order'}")


def _shown(lines: npt.NDArray[np.int64]) -> str:
    more = f" and {len(lines) - LINES_SHOWN} more" if len(lines) > LINES_SHOWN else ""
    return ", ".join(map(str, lines[:LINES_SHOWN].tolist())) + more


def _row_groups(job: Folder, result: BatchResult) -> Iterator[pa.Table]:
    with opened(result.shard, job=job) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


def _add_counts(counter: Counter[str], values: pa.ChunkedArray) -> None:
    for entry in pc.value_counts(values).to_pylist():
        counter[entry["values"]] += entry["counts"]


def _add_codes(counter: Counter[str], joined: pa.ChunkedArray) -> None:
    for entry in pc.value_counts(joined).to_pylist():
        for code in filter(None, entry["values"].split(BETWEEN)):
            counter[Reason(code).value] += entry["counts"]
