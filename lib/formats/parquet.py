"""Parquet files as raw rows: columns of any type as the text a person would write."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.formats.grids import SAMPLE_ROWS, facts
from lib.formats.rows import chunk_rows, mended, read_errors, row_chunk
from lib.records import Reason


class ParquetTable:
    """A Parquet file; `line` is the number of a row."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self.header_line = 0
        self.format = facts(format="Parquet")
        self.decisions = ["Format: Parquet."]
        self._file = pq.ParquetFile(path)
        self.header = _flat(self._file.schema_arrow.empty_table()).column_names
        first = next(self._file.iter_batches(batch_size=SAMPLE_ROWS), None)
        columns = [_as_text(column, {}).to_pylist() for column in _columns(first)] if first is not None else []
        self.sample = [list(row) for row in zip(*columns, strict=True)]

    @property
    def blank_lines(self) -> int:
        return 0

    def chunks(self) -> Iterator[pa.Table]:
        batches = self._file.iter_batches(batch_size=chunk_rows(len(self.header)))
        line = 1
        while True:
            with read_errors(self._name):
                batch = next(batches, None)
                if batch is None:
                    return
                problems: dict[int, list[str]] = {}
                columns = [_as_text(column, problems) for column in _columns(batch)]
            yield row_chunk(range(line, line + len(batch)), columns, {}, problems)
            line += len(batch)


def _flat(table: pa.Table) -> pa.Table:
    """A table with a column for each field of its structs, named as in JSON: 'identifiers.gtin'."""
    while any(pa.types.is_struct(field.type) and field.type.num_fields for field in table.schema):
        table = table.flatten()
    return table


def _columns(batch: pa.RecordBatch) -> list[pa.Array]:
    return [column.combine_chunks() for column in _flat(pa.Table.from_batches([batch])).columns]


def _as_text(column: pa.Array, problems: dict[int, list[str]]) -> pa.Array:
    """A column of any type as the strings a person would write; nulls become empty cells."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _as_text(column.dictionary_decode(), problems)
    if pa.types.is_floating(kind):
        # A GTIN that passed through a float column is 4006381333931.0; whole numbers lose their point. A float32 is
        # written with its own digits, not with those it has as a float64.
        values = column.to_pylist()
        shortest = column.to_numpy(zero_copy_only=False).astype(str) if kind == pa.float32() else values
        texts = [_number_text(value, str(short)) for value, short in zip(values, shortest, strict=True)]
    elif any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        strings = column.cast(pa.string())
        try:
            strings.validate(full=True)
            return pc.fill_null(strings, "")
        except pa.ArrowInvalid:
            texts = _repaired(strings.view(pa.binary()), problems)
    elif any(
        test(kind)
        for test in (
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
            pa.types.is_binary_view,
        )
    ):
        texts = [None if value is None else value.decode("utf-8", errors="replace") for value in column.to_pylist()]
    elif pa.types.is_nested(kind):
        values = column.to_pylist()
        texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
    elif pa.types.is_duration(kind):
        texts = [None if value is None else str(value) for value in column.to_pylist()]
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        return pc.fill_null(column.cast(pa.string()), "")
    else:
        texts = [None if value is None else str(value) for value in column.to_pylist()]
    return pa.array(["" if text is None else text for text in texts], pa.string())


def _repaired(column: pa.Array, problems: dict[int, list[str]]) -> list[str | None]:
    texts: list[str | None] = []
    for at, value in enumerate(column.to_pylist()):
        text, changed = (None, False) if value is None else mended(value.decode("utf-8", errors="surrogateescape"))
        texts.append(text)
        if changed and Reason.BAD_ENCODING not in problems.setdefault(at, []):
            problems[at].append(Reason.BAD_ENCODING.value)
    return texts


def _number_text(value: float | None, shortest: str) -> str | None:
    if value is None or math.isnan(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < 1e18 else shortest
