"""The source's raw cells into Parquet shards in the job's folder, with a ledger of its lines and repeated rows."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lib.columns import ColumnMatch, match_columns
from lib.errors import SourceError, StorageError
from lib.reading import open_source
from lib.records import Batch, Shard
from lib.rows import ROW_COLUMNS, SourceTable
from lib.storage import Folder, split_uri

# Intermediate files of a job lie below this prefix until it has succeeded.
SHARDS = "shards"
# A shard is closed at either; batches read whole shards, so these bound a task's reading memory.
SHARD_ROWS = 65_536
SHARD_BYTES = 64 << 20


@dataclass(frozen=True)
class Staged:
    """What staging found and wrote."""

    source: str  # as the user gave it, made absolute
    sha256: str
    size: int  # bytes
    format: dict[str, Any]
    header: list[str]
    header_line: int
    columns: tuple[ColumnMatch, ...]
    rows: int
    rows_with_extra_cells: int
    blank_lines: int
    shards: tuple[Shard, ...]
    ledger: Shard  # a row for each of the source's: its line, and the line of the first that is equal


def stage(source: str, *, job: Folder, accept: Callable[[str], None] = lambda sha256: None) -> Staged:
    """Read the source and write its shards; of its content only the header is interpreted.

    `accept` may raise for a source of this SHA-256 before anything is written. Raises SourceError when the source is
    missing, unreadable, without rows or without names, StorageError when the job's folder can't be written.
    """
    place, name = split_uri(source)
    with ExitStack() as stack:
        try:
            path = stack.enter_context(place.reading(name))
        except StorageError as error:
            advice = "; check the path or URI of the source" if "no such" in str(error) else ""
            raise SourceError(f"{error}{advice}") from None
        sha256 = sha256_of(path)
        accept(sha256)
        return _stage_file(path, place.uri_of(name), sha256, job)


def _stage_file(path: Path, shown: str, sha256: str, job: Folder) -> Staged:
    prefix = f"{SHARDS}/{sha256[:12]}"
    with open_source(path, name=shown) as table:
        columns = match_columns(table.header, source=shown)
        seen = _SeenRows()
        shards = list(_write_shards(table, seen, job, prefix))
        if not shards:
            raise SourceError(f"{shown}: there is a header but no products below it; send a file with products")
        ledger = f"{prefix}-ledger.parquet"
        with job.writing(ledger) as target:
            pq.write_table(seen.ledger(), target, row_group_size=SHARD_ROWS, compression="zstd")
            ledger_sha256 = sha256_of(target)
        return Staged(
            source=shown,
            sha256=sha256,
            size=path.stat().st_size,
            format=table.format,
            header=table.header,
            header_line=table.header_line,
            columns=tuple(columns),
            rows=sum(shard.rows for shard in shards),
            rows_with_extra_cells=seen.rows_with_extra_cells,
            blank_lines=table.blank_lines,
            shards=tuple(shards),
            ledger=Shard(ledger, 0, sum(shard.rows for shard in shards), ledger_sha256),
        )


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


def _write_shards(table: SourceTable, seen: "_SeenRows", job: Folder, prefix: str) -> Iterator[Shard]:
    chunks = table.chunks()
    chunk = next(chunks, None)
    first_row = 0
    while chunk is not None:
        name = f"{prefix}-{first_row:010d}.parquet"
        rows = size = 0
        with job.writing(name) as target:
            with _shard_writer(target, chunk.schema) as writer:
                while chunk is not None and rows < SHARD_ROWS and size < SHARD_BYTES:
                    seen.add(chunk)
                    writer.write_table(chunk)
                    rows += chunk.num_rows
                    size += chunk.nbytes
                    chunk = next(chunks, None)
            sha256 = sha256_of(target)
        yield Shard(name, first_row, rows, sha256)
        first_row += rows


def _shard_writer(target: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Cells are mostly different from each other, and written once: fast rather than small.
    return pq.ParquetWriter(target, schema, compression="zstd", compression_level=1, use_dictionary=False)


class _SeenRows:
    """The source line of every row, and which rows equal an earlier one in every cell.

    Takes 16 bytes a row while rows are added and about 45 at its peak, in `ledger`. Rows are compared by a 64-bit hash:
    among ten million different ones the odds that any two agree are 3 in a million (n²/2⁶⁵).
    """

    def __init__(self) -> None:
        self._hashes: list[npt.NDArray[np.int64]] = []
        self._lines: list[npt.NDArray[np.int64]] = []
        self.rows_with_extra_cells = 0

    def add(self, chunk: pa.Table) -> None:
        cells: list[Iterable[Any]] = [chunk[name].to_pylist() for name in chunk.column_names if name not in ROW_COLUMNS]
        with_extra_cells = chunk.num_rows - chunk["extra"].null_count
        self.rows_with_extra_cells += with_extra_cells
        extra = chunk["extra"].to_pylist() if with_extra_cells else repeat(None, chunk.num_rows)
        rows = zip(*cells, (tuple(more or ()) for more in extra), strict=True)
        self._hashes.append(np.fromiter(map(hash, rows), np.int64, chunk.num_rows))
        self._lines.append(chunk["line"].to_numpy())

    def ledger(self) -> pa.Table:
        """Columns line and same_as, the line of the first row that is equal, null where there is none before."""
        hashes, lines = np.concatenate(self._hashes), np.concatenate(self._lines)
        self._hashes, self._lines = [], []
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        repeats = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1  # places in the order, of rows that are not the first
        is_first = np.ones(len(lines), bool)
        is_first[repeats] = False
        firsts = np.flatnonzero(is_first)
        first_of_each = order[firsts[np.searchsorted(firsts, repeats, side="right") - 1]]
        del hashes, firsts
        same_as = np.zeros_like(lines)
        same_as[order[repeats]] = lines[first_of_each]
        return pa.table({"line": lines, "same_as": pa.array(same_as, mask=same_as == 0)})


def read_ledger(ledger: Shard, *, first_row: int, rows: int, job: Folder) -> pa.Table:
    """The ledger's rows [first_row, first_row + rows), columns line and same_as."""
    with opened(ledger, job=job) as file:
        groups = range(first_row // SHARD_ROWS, -(-(first_row + rows) // SHARD_ROWS))
        return file.read_row_groups(list(groups)).slice(first_row % SHARD_ROWS, rows)


def read_batch(batch: Batch, *, ledger: Shard, job: Folder) -> Iterator[pa.Table]:
    """The staged rows of a batch in order, a row group at a time, with the ledger's column `same_as`."""
    same_as = read_ledger(ledger, first_row=batch.first_row, rows=batch.rows, job=job)["same_as"]
    stop = batch.first_row + batch.rows
    for shard in batch.shards:
        with opened(shard, job=job) as file:
            at = shard.first_row
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                first, last = max(at, batch.first_row), min(at + count, stop)
                if first < last:
                    rows = file.read_row_group(group).slice(first - at, last - first)
                    yield rows.append_column("same_as", same_as.slice(first - batch.first_row, last - first))
                at += count
