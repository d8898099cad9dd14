"""Rows of cells, whatever they come from, as a table with a header: the part that all readers but Parquet's share."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Protocol

import pyarrow as pa

from lib.formats.delimited import Records
from lib.formats.headers import ROWS_LOOKED_AT, FieldOf, Header, find_header
from lib.formats.rows import chunk_rows, is_utf8, mended, row_chunk
from lib.records import Reason

# Rows that columns are judged by.
SAMPLE_ROWS = 1000
_SHOWN = 60  # characters of a title row in a decision
_TITLES_SHOWN = 3


class RowSource(Protocol):
    """Gives rows in order, once."""

    @property
    def blank_lines(self) -> int:
        """Lines with nothing in them, met so far."""

    def chunk(self, most: int) -> Records:
        """The next rows, at most so many; empty at the end."""


class IteratedRows:
    """A RowSource over (number, cells); rows without any text are blank lines."""

    def __init__(self, rows: Iterator[tuple[int, list[str]]]) -> None:
        self._rows = rows
        self.blank_lines = 0

    def chunk(self, most: int) -> Records:
        records = Records()
        for line, cells in self._rows:
            if not any(cells):
                self.blank_lines += 1
                continue
            records.lines.append(line)
            records.rows.append(cells)
            if len(records.rows) == most:
                break
        return records


@dataclass
class Grid:
    """Rows with the header found among the first of them."""

    source: RowSource
    header: Header
    header_line: int  # 0 when there is none
    head: Records  # what was read to find the header, from the first row below it on
    titles: list[str] = field(default_factory=list)  # the rows above the header

    @property
    def sample(self) -> list[list[str]]:
        """The first rows below the header."""
        return self.head.rows

    def chunks(self, *, sheet: str | None = None) -> Iterator[pa.Table]:
        """Tables as rows.ROW_COLUMNS has them."""
        most = chunk_rows(len(self.header.names))
        for start in range(0, len(self.head.rows), most):
            yield _table(_slice(self.head, start, start + most), len(self.header.names), sheet)
        while (records := self.source.chunk(most)).rows:
            yield _table(records, len(self.header.names), sheet)


def with_header(source: RowSource, *, field_of: FieldOf, near_field_of: FieldOf | None = None) -> Grid:
    """Find the header in the first rows of a source."""
    head = source.chunk(SAMPLE_ROWS)
    found = find_header(head.rows[:ROWS_LOOKED_AT], field_of)
    if not found.rows and near_field_of:
        # Only a first row, and one with two such headers: a product may be called like one.
        near = {near_field_of(name) for name in head.rows[0]} - {None} if head.rows else set()
        if len(near) > 1 and "name" in near:
            names = head.rows[0] + [""] * (len(found.names) - len(head.rows[0]))
            found = Header(names, 0, 1, f"it has {len(near)} headers like known ones")
    titles = [" ".join(filter(None, map(str.strip, row))) for row in head.rows[: found.first]]
    line = head.lines[found.first] if found.rows else 0
    names = [mended(name)[0].replace("\0", "").replace("\ufeff", "").strip() for name in found.names]
    header = Header(names, found.first, found.rows, found.reason)
    return Grid(source, header, line, _slice(head, found.first + found.rows, len(head.rows)), [t for t in titles if t])


def with_known_header(source: RowSource, header: list[str]) -> Grid:
    """A source whose header is known: records with field names."""
    return Grid(source, Header(header, 0, 0, "the records name their fields"), 0, source.chunk(SAMPLE_ROWS))


def header_decision(grid: Grid, *, unit: str = "line") -> str:
    """Where the header was found and why, as a sentence."""
    if not grid.header_line:
        return f"Header: none, because {grid.header.reason}."
    where = f"on {unit} {grid.header_line}" + (" and the next" if grid.header.rows == 2 else "")
    if not grid.titles:
        return f"Header: {where}, because {grid.header.reason}."
    shown = "; ".join(f"'{title[:_SHOWN]}'" for title in islice(grid.titles, _TITLES_SHOWN))
    more = f" and {len(grid.titles) - _TITLES_SHOWN} more" if len(grid.titles) > _TITLES_SHOWN else ""
    return f"Header: {where}, because {grid.header.reason}; above it: {shown}{more}."


def _slice(records: Records, start: int, stop: int) -> Records:
    quotes = {at - start for at in records.open_quotes if start <= at < stop}
    return Records(records.lines[start:stop], records.rows[start:stop], quotes)


def _table(records: Records, width: int, sheet: str | None) -> pa.Table:
    rows = records.rows
    extra: dict[int, list[str]] = {}
    problems: dict[int, list[str]] = {at: [Reason.OPEN_QUOTE.value] for at in records.open_quotes}
    if set(map(len, rows)) != {width}:
        for at, row in enumerate(rows):
            if len(row) > width and any(cell.strip() for cell in row[width:]):
                extra[at] = row[width:]
                problems.setdefault(at, []).append(Reason.TOO_MANY_CELLS.value)
            rows[at] = row[:width] + [""] * (width - len(row))
    try:
        return row_chunk(records.lines, _columns(rows, width), extra, problems, sheet=sheet)
    except UnicodeEncodeError:
        _mend_encoding(rows, extra, problems)
        return row_chunk(records.lines, _columns(rows, width), extra, problems, sheet=sheet)


def _columns(rows: list[list[str]], width: int) -> list[list[str]]:
    """The cells by column; slices take half the time of zip(*rows)."""
    cells = list(chain.from_iterable(rows))
    return [cells[at::width] for at in range(width)]


def _mend_encoding(rows: list[list[str]], extra: dict[int, list[str]], problems: dict[int, list[str]]) -> None:
    for at, row in enumerate(rows):
        if all(map(is_utf8, chain(row, extra.get(at, ())))):
            continue
        rows[at] = [mended(cell)[0] for cell in row]
        if at in extra:
            extra[at] = [mended(cell)[0] for cell in extra[at]]
        problems.setdefault(at, []).append(Reason.BAD_ENCODING.value)


def facts(**known: Any) -> dict[str, Any]:
    """What was recognized of a source, for the report: the same keys for every format."""
    return {
        "format": None,
        "compression": None,
        "member": None,
        "encoding": None,
        "delimiter": None,
        "sheets": None,
    } | known
