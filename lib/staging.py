"""One pass over the source: raw cells into Parquet shards in the job's folder, and the duplicates among the rows."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lib.columns import ColumnMatch, match_columns
from lib.errors import SourceError, StorageError
from lib.reading import ROW_COLUMNS, SourceTable, open_source
from lib.records import Batch, Shard
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
    ledger: str  # a Parquet file with a row for each of the source's: its line, and the line of its first equal


def stage(source: str, *, job: Folder) -> Staged:
    """Read the whole source once and write its shards; of its content only the header is interpreted.

    Raises SourceError when it is missing, unreadable, without rows or without names, StorageError when the job's folder
    can't be written.
    """
    place, name = split_uri(source)
    with ExitStack() as stack:
        try:
            path = stack.enter_context(place.reading(name))
        except StorageError as error:
            raise SourceError(f"{error}; check the path or URI of the source") from None
        return _stage_file(path, place.uri_of(name), job)


def _stage_file(path: Path, shown: str, job: Folder) -> Staged:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
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
            ledger=ledger,
        )


def _write_shards(table: SourceTable, seen: "_SeenRows", job: Folder, prefix: str) -> Iterator[Shard]:
    chunks = table.chunks()
    chunk = next(chunks, None)
    first_row = 0
    while chunk is not None:
        name = f"{prefix}-{first_row:010d}.parquet"
        rows = size = 0
        with job.writing(name) as target, _shard_writer(target, chunk.schema) as writer:
            while chunk is not None and rows < SHARD_ROWS and size < SHARD_BYTES:
                seen.add(chunk)
                writer.write_table(chunk)
                rows += chunk.num_rows
                size += chunk.nbytes
                chunk = next(chunks, None)
        yield Shard(name, first_row, rows)
        first_row += rows


def _shard_writer(target: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Page checksums, so that a damaged shard is an error and not other products.
    return pq.ParquetWriter(
        target, schema, compression="zstd", compression_level=1, use_dictionary=False, write_page_checksum=True
    )


class _SeenRows:
    """The source line of every row, and which rows equal an earlier one in every cell, in 16 bytes a row.

    Rows are compared by a 64-bit hash: among ten million different ones the odds that any two agree are 3 in a
    million (n²/2⁶⁵).
    """

    def __init__(self) -> None:
        self._hashes: list[npt.NDArray[np.int64]] = []
        self._lines: list[npt.NDArray[np.int64]] = []
        self.rows_with_extra_cells = 0

    def add(self, chunk: pa.Table) -> None:
        cells = [chunk[name].to_pylist() for name in chunk.column_names if name not in ROW_COLUMNS]
        with_extra_cells = chunk.num_rows - chunk["extra"].null_count
        if with_extra_cells:
            self.rows_with_extra_cells += with_extra_cells
            cells.append([tuple(more or ()) for more in chunk["extra"].to_pylist()])
        rows = zip(*cells, strict=True)
        self._hashes.append(np.fromiter(map(hash, rows), np.int64, chunk.num_rows))
        self._lines.append(chunk["line"].to_numpy())

    def ledger(self) -> pa.Table:
        """Columns line and same_as, the line of the first row that is equal, null where there is none before."""
        hashes, lines = np.concatenate(self._hashes), np.concatenate(self._lines)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        first_of_its_kind = np.concatenate(([True], ordered[1:] != ordered[:-1]))
        starts = np.flatnonzero(first_of_its_kind)
        same_as = np.empty_like(lines)
        same_as[order] = lines[order[starts[np.cumsum(first_of_its_kind) - 1]]]
        repeats_none = np.empty(len(lines), bool)
        repeats_none[order] = first_of_its_kind
        return pa.table({"line": lines, "same_as": pa.array(same_as, mask=repeats_none)})


def read_ledger(name: str, *, first_row: int, rows: int, job: Folder) -> pa.Table:
    """The ledger's rows [first_row, first_row + rows), columns line and same_as."""
    with job.reading(name) as path, pq.ParquetFile(path) as file:
        groups = range(first_row // SHARD_ROWS, -(-(first_row + rows) // SHARD_ROWS))
        return file.read_row_groups(list(groups)).slice(first_row % SHARD_ROWS, rows)


def read_batch(batch: Batch, *, ledger: str, job: Folder) -> Iterator[pa.Table]:
    """The staged rows of a batch in order, a row group at a time, with the ledger's column `same_as`."""
    same_as = read_ledger(ledger, first_row=batch.first_row, rows=batch.rows, job=job)["same_as"]
    stop = batch.first_row + batch.rows
    for shard in batch.shards:
        with job.reading(shard.name) as path, pq.ParquetFile(path, page_checksum_verification=True) as file:
            at = shard.first_row
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                first, last = max(at, batch.first_row), min(at + count, stop)
                if first < last:
                    rows = file.read_row_group(group).slice(first - at, last - first)
                    yield rows.append_column("same_as", same_as.slice(first - batch.first_row, last - first))
                at += count
