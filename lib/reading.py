"""The customer's file as raw rows with their source lines: `open_source` is the one way in.

Delimited text in any encoding, workbooks, JSON, XML and Parquet, compressed or not. What a file is, its content tells;
its name decides nothing. Every decision is kept as a sentence that a person can check.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from lib.errors import SourceError
from lib.fields.known_headers import field_of, near_field_of
from lib.formats.delimited import DelimitedText
from lib.formats.dialects import NO_DELIMITER, detect_dialect
from lib.formats.encodings import detect_encoding
from lib.formats.grids import SAMPLE_ROWS, Grid, IteratedRows, facts, header_decision, with_header, with_known_header
from lib.formats.json_records import open_json
from lib.formats.nested import (
    LIST_SEPARATOR,
    RecordLimits,
    RecordTable,
    looks_like_html,
    looks_like_json,
    looks_like_xml,
)
from lib.formats.parquet import ParquetTable
from lib.formats.rows import SourceTable, read_errors
from lib.formats.sheets import sheets_table
from lib.formats.unpacking import Limits, unpacked
from lib.formats.workbook import open_workbook, workbook_kind
from lib.formats.xml_records import open_xml

SAMPLE_BYTES = 1 << 20
_SEND_INSTEAD = "save it as CSV (UTF-8) or Parquet"
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", "\x01": "control-A"}


@dataclass(frozen=True)
class ReadingOptions:
    """What somebody said about the file in advance, and how much of it is too much."""

    member: str = ""  # the file to read in a zip that holds several
    sheet: str = ""  # the sheet to read, though others look better
    blank_lines: int = 10_000_000  # a text with more is damage or an attack
    limits: Limits = field(default_factory=Limits)
    record_limits: RecordLimits = field(default_factory=RecordLimits)


@contextmanager
def open_source(path: Path, *, name: str, options: ReadingOptions | None = None) -> Iterator[SourceTable]:
    """Open a local file that people know by `name`.

    Raises SourceError, here or while the chunks are read, when it is not a table in a known format.
    """
    options = options or ReadingOptions()
    with ExitStack() as stack:
        found = stack.enter_context(unpacked(path, name=name, member=options.member, limits=options.limits))
        packing = {"compression": found.compression, "member": found.member}
        decisions = []
        if found.compression:
            inside = f", the file {found.member!r} in it" if found.member else ""
            decisions.append(f"Compression: {found.compression}{inside}.")
        with read_errors(name):
            table = _opened(found.path, name, options, stack)
        if len(table.header) > options.record_limits.columns:
            most = options.record_limits.columns
            raise SourceError(
                f"{name}: it has {len(table.header):,} columns, more than the {most:,} allowed; "
                "send those that matter, or raise reading.columns in the config"
            )
        table.format |= packing
        table.decisions[:0] = decisions
        yield table


def _opened(path: Path, name: str, options: ReadingOptions, stack: ExitStack) -> SourceTable:
    kind = workbook_kind(path, name=name)
    if kind:
        workbook = stack.enter_context(open_workbook(path, name=name, limits=options.limits))
        return sheets_table(workbook, name=name, wanted=options.sheet)
    with path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
    if sample.startswith(b"PAR1"):
        return ParquetTable(path, name)
    if not sample.strip(b" \r\n\t\xef\xbb\xbf\0\xff\xfe"):
        raise SourceError(f"{name}: the file is empty; send one with a header and products")
    if looks_like_json(sample):
        return _record_table(open_json(path, name=name, limits=options.record_limits), name)
    if looks_like_html(sample):
        raise SourceError(f"{name}: this is a web page without a table of products; {_SEND_INSTEAD}")
    if looks_like_xml(sample):
        return _record_table(open_xml(path, name=name, limits=options.record_limits), name)
    return _text_table(path, sample, name, options, stack)


class _GridTable:
    """A SourceTable of one grid."""

    def __init__(self, grid: Grid, format: dict[str, Any], decisions: list[str]) -> None:
        self._grid = grid
        self.header = grid.header.names
        self.header_line = grid.header_line
        self.format = format
        self.decisions = decisions
        self.sample = grid.sample

    @property
    def blank_lines(self) -> int:
        return self._grid.source.blank_lines

    def chunks(self) -> Iterator[pa.Table]:
        return self._grid.chunks()


def _text_table(path: Path, sample: bytes, name: str, options: ReadingOptions, stack: ExitStack) -> SourceTable:
    encoding = detect_encoding(sample, cut=len(sample) == SAMPLE_BYTES)
    if encoding is None:
        raise SourceError(f"{name}: not a text file, nor one of a kind that is read; {_SEND_INSTEAD}")
    stream = stack.enter_context(path.open(encoding=encoding.codec, errors="surrogateescape", newline=""))
    text = stream.read(len(sample))
    stream.seek(0)
    # Excel's own hint, on a line before the header.
    hint = re.match(r'"?sep=(.)"?\r?\n', text)
    if hint:
        first = stream.readline()
        text = text[len(first) :]
    dialect = detect_dialect(text, known=_known, told=hint[1] if hint else None)
    rows = DelimitedText(
        stream,
        dialect=dialect,
        name=name,
        first_line=2 if hint else 1,
        most_blank_lines=options.blank_lines,
        longest_line=options.limits.line_characters,
    )
    with read_errors(name):
        grid = with_header(rows, field_of=field_of, near_field_of=near_field_of)
    if not grid.header.names:
        raise SourceError(f"{name}: the file has no rows; send one with a header and products")
    delimiter = None if dialect.delimiter == NO_DELIMITER else dialect.delimiter
    named = _DELIMITER_NAMES.get(delimiter or "", delimiter)
    shown = f"text with {named} between cells" if delimiter else "text of one column"
    decisions = [
        f"Format: {shown}, because {dialect.reason}.",
        f"Encoding: {encoding.label}, because {encoding.reason}.",
        header_decision(grid),
    ]
    recognized = facts(format="delimited text", encoding=encoding.label, delimiter=delimiter)
    return _GridTable(grid, recognized, decisions)


def _record_table(records: RecordTable, name: str) -> SourceTable:
    grid = with_known_header(IteratedRows(records.rows()), records.header)
    if _holds_columns(grid):
        raise SourceError(
            f"{name}: it holds columns of values and not products; send a list of products "
            "(in pandas, orient='records')"
        )
    numbers = "" if records.numbering == "line" else "; rows are numbered, as several stand on a line"
    decisions = [f"Format: {records.format}, {records.where}{numbers}.", f"Encoding: {records.encoding}."]
    return _GridTable(grid, facts(format=records.format, encoding=records.encoding), decisions)


def _holds_columns(grid: Grid) -> bool:
    """Whether records are the columns of a table: {"name": {"0": "Milk"}, ...} or {"name": ["Milk", ...], ...}."""
    if grid.header.names[:1] == ["key"]:
        keys = [row[0] for row in grid.sample]
        return len(keys) < SAMPLE_ROWS and _known(keys) > 1 and "name" in map(field_of, keys)
    lengths = {len(cell.split(LIST_SEPARATOR)) for row in grid.sample for cell in row}
    return len(grid.sample) == 1 and len(grid.header.names) > 1 and len(lengths) == 1 and lengths != {1}


def _known(cells: list[str]) -> int:
    return len({field_of(cell) for cell in cells} - {None})
