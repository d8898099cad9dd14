"""What staging left in the job's folder, for those who read it: shards, ledger and what was found.

Apart from staging, so that a batch's task, a fresh process each time, loads none of the readers of customers' files.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lib.columns import ColumnMatch
from lib.errors import StorageError
from lib.jobrows import JobFacts
from lib.records import Batch, Shard
from lib.storage import Folder

# Intermediate files of a job lie below this prefix until it has succeeded.
SHARDS = "shards"


@dataclass(frozen=True)
class Source:
    """The customer's file."""

    uri: str  # as the user gave it, made absolute
    sha256: str
    size: int  # bytes


@dataclass(frozen=True)
class Staged:
    """What staging found and wrote."""

    source: Source
    format: dict[str, Any]  # rows.SourceTable's
    decisions: tuple[str, ...]  # what was recognized and why, a sentence each
    header: list[str]
    header_line: int
    columns: tuple[ColumnMatch, ...]
    rows: int
    rows_with_extra_cells: int
    blank_lines: int
    shards: tuple[Shard, ...]
    ledger: Shard  # a row for each of the source's: its line, and the line of the first that is equal
    corrects: JobFacts | None = None  # of the job whose rejected rows these are, corrected


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(shard: Shard, *, job: Folder) -> Iterator[pq.ParquetFile]:
    """A Parquet file of the job's, its content checked; StorageError when it is gone or damaged."""
    where = job.uri_of(shard.name)
    try:
        with ExitStack() as stack:
            path = stack.enter_context(job.reading(shard.name))
            if sha256_of(path) != shard.sha256:
                raise StorageError(f"{where}: its content has changed since it was written")
            file = stack.enter_context(pq.ParquetFile(path))
            stack_to_close = stack.pop_all()
    except StorageError as error:
        raise StorageError(f"{error}; run the job again with --job-id, not with resume") from None
    with stack_to_close:
        yield file


def read_ledger(ledger: Shard, *, first_row: int, rows: int, job: Folder) -> pa.Table:
    """The ledger's rows [first_row, first_row + rows): the columns of seen_rows.LEDGER_SCHEMA."""
    with opened(ledger, job=job) as file:
        counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = list(accumulate(counts))
        first, last = bisect_right(ends, first_row), bisect_left(ends, first_row + rows)
        return file.read_row_groups(list(range(first, last + 1))).slice(first_row - (ends[first] - counts[first]), rows)


def read_batch(batch: Batch, *, ledger: Shard, job: Folder) -> Iterator[pa.Table]:
    """The staged rows of a batch in order, a row group at a time, with the ledger's columns but `line`."""
    known = read_ledger(ledger, first_row=batch.first_row, rows=batch.rows, job=job).drop_columns("line")
    stop = batch.first_row + batch.rows
    for shard in batch.shards:
        with opened(shard, job=job) as file:
            at = shard.first_row
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                first, last = max(at, batch.first_row), min(at + count, stop)
                if first < last:
                    rows = file.read_row_group(group).slice(first - at, last - first)
                    known_here = known.slice(first - batch.first_row, last - first)
                    for name in known.column_names:
                        rows = rows.append_column(name, known_here[name])
                    yield rows
                at += count
