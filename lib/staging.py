"""The source's raw cells into Parquet shards in the job's folder, with a ledger of its lines and repeated rows."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lib.columns import ColumnMatch, match_columns
from lib.corrections import Correction
from lib.errors import SourceError
from lib.formats.rows import SourceTable
from lib.reading import ReadingOptions, open_source
from lib.records import Shard
from lib.seen_rows import LEDGER_SCHEMA, SeenRows
from lib.shards import SHARDS, Source, Staged, sha256_of
from lib.storage import Folder, reading_source, split_uri

# A shard is closed at either; batches read whole shards, so these bound a task's reading memory.
SHARD_ROWS = 65_536
SHARD_BYTES = 64 << 20
# While rows are read, Python looks for cyclic garbage after so many new containers, and not after 700.
COLLECT_AFTER = 1_000_000


def stage(
    source: str,
    *,
    job: Folder,
    understand: Callable[[SourceTable, Source], Correction | None] = lambda table, source: None,
    options: ReadingOptions | None = None,
    told: Mapping[str, str] | None = None,
) -> Staged:
    """Read the source and write its shards; of its content only the header is interpreted.

    `options` and `told` (our field -> header) are what somebody said of the file in advance. `understand` may take the
    opened source for a correction of the job's own rows, or refuse it before anything is written. Raises SourceError
    when the source is missing, unreadable, without rows or without names, StorageError when the job's folder can't be
    written.
    """
    place, name = split_uri(source)
    with ExitStack() as stack:
        path = stack.enter_context(reading_source(place, name))
        sha256 = sha256_of(path)
        shown = place.uri_of(name)
        table = stack.enter_context(open_source(path, name=shown, options=options))
        given = Source(shown, sha256, path.stat().st_size)
        correction = understand(table, given)
        if correction:
            return _stage_correction(correction, table, given, job)
        columns = match_columns(table.header, source=shown, sample=table.sample, told=told)
        return _stage_table(table, columns, given, job)


def _stage_correction(correction: Correction, table: SourceTable, source: Source, job: Folder) -> Staged:
    """Stage the job's rows that a person has changed, which may repeat any of its other rows."""
    seen = SeenRows(correction.columns)
    others = 0
    for rows in correction.others(job):
        seen.add(rows)
        others += rows.num_rows
    prefix = f"{SHARDS}/{source.sha256[:12]}"
    shards = list(_write_shards(correction.changed(job), seen, job, prefix))
    rows = sum(shard.rows for shard in shards)
    return Staged(
        source=source,
        format=table.format,
        decisions=(*table.decisions, *correction.decisions),
        header=correction.facts.header,
        header_line=table.header_line,
        columns=correction.facts.columns,
        rows=rows,
        rows_with_extra_cells=seen.rows_with_extra_cells,
        blank_lines=table.blank_lines,
        shards=tuple(shards),
        ledger=_write_ledger(seen, rows, job, prefix, skip=others),
        corrects=correction.facts,
    )


def _stage_table(table: SourceTable, columns: list[ColumnMatch], source: Source, job: Folder) -> Staged:
    prefix = f"{SHARDS}/{source.sha256[:12]}"
    seen = SeenRows(columns)
    with _seldom_collecting():
        shards = list(_write_shards(table.chunks(), seen, job, prefix))
    if not shards:
        raise SourceError(f"{source.uri}: there is a header but no products below it; send a file with products")
    rows = sum(shard.rows for shard in shards)
    return Staged(
        source=source,
        format=table.format,
        decisions=tuple(table.decisions),
        header=table.header,
        header_line=table.header_line,
        columns=tuple(columns),
        rows=rows,
        rows_with_extra_cells=seen.rows_with_extra_cells,
        blank_lines=table.blank_lines,
        shards=tuple(shards),
        ledger=_write_ledger(seen, rows, job, prefix),
    )


def _write_ledger(seen: SeenRows, rows: int, job: Folder, prefix: str, *, skip: int = 0) -> Shard:
    name = f"{prefix}-ledger.parquet"
    with job.writing(name) as target:
        with pq.ParquetWriter(target, LEDGER_SCHEMA, compression="zstd") as writer:
            for piece in seen.ledger(rows=SHARD_ROWS, skip=skip):
                writer.write_table(piece)
        return Shard(name, 0, rows, sha256_of(target))


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Rows are lists by the thousand and never in cycles; looking through them took a fifth of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _write_shards(chunks: Iterator[pa.Table], seen: SeenRows, job: Folder, prefix: str) -> Iterator[Shard]:
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
