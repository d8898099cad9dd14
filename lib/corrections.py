"""A job's rejected.csv, corrected by a person and submitted alone: its rows take their places in the job again.

A row is known by its line (and sheet). What the person left as it was keeps what the job knows of it, even where a
spreadsheet has spelled it anew (4,01E+12); what was changed becomes the row's cells. Unchanged rows stay rejected.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib.columns import ColumnMatch
from lib.errors import SourceError
from lib.formats.rows import ROW_COLUMNS, SourceTable, cell_columns, chunk_rows, row_chunk
from lib.jobrows import JobFacts, may_be_replaced, read_facts, row_groups
from lib.records import Reason
from lib.results import BETWEEN, escaped, result_headers
from lib.storage import Folder

# A file with these headers is a job's rejected.csv.
_MARKS = {"line", "reasons", "job_id"}
_ROWS_SHOWN = 5  # in an error

# The sheet ('' where only one has products) and line of a row.
Key = tuple[str, int]


@dataclass(frozen=True)
class Correction:
    """A corrected rejected.csv, understood as rows of its job."""

    uri: str
    sha256: str
    facts: JobFacts  # the job's before this correction
    cells: dict[Key, dict[str, str]]  # of each row that was handed in: header of the results -> cell
    left_out: tuple[str, ...]  # columns that are none of the job's

    @property
    def columns(self) -> list[ColumnMatch]:
        """Which of our fields the columns hold, as the job found it."""
        return list(self.facts.columns)

    @property
    def decisions(self) -> list[str]:
        """What was understood, a sentence each."""
        left_out = ", ".join(map(repr, self.left_out))
        return [f"Not columns of the job's, and left out: {left_out}."] if left_out else []

    def others(self, job: Folder) -> Iterator[pa.Table]:
        """The job's rows that are not handed in, in chunks of line, extra and cells."""
        for rows in row_groups(job):
            mask = pa.array([key not in self.cells for key in _keys(rows)], pa.bool_())
            yield rows.filter(mask).select(["line", "extra", *cell_columns(self.facts.header)])

    def changed(self, job: Folder) -> Iterator[pa.Table]:
        """The rows that differ from the job's, in its order, as chunks that a SourceTable gives.

        Raises SourceError for a line that the job does not have or has not rejected, and when nothing differs.
        """
        missing, changed = set(self.cells), 0
        header = self.facts.header
        columns = dict(zip(result_headers(header), cell_columns(header), strict=True))
        for rows in row_groups(job):
            here = pa.array([key in self.cells for key in _keys(rows)], pa.bool_())
            handed_in = rows.filter(here).to_pylist()
            missing -= {_key(row) for row in handed_in}
            refused = [row["line"] for row in handed_in if not may_be_replaced(row, correction=self.sha256)]
            if refused:
                what = "was not rejected" if len(refused) == 1 else "were not rejected"
                raise SourceError(f"{self.uri}: line {_shown(refused)} of the job {what}; take it out of the file")
            renewed = [self._renewed(row, columns) for row in handed_in]
            kept = [row for row in renewed if row is not None]
            changed += len(kept)
            yield from _chunks(kept, len(columns))
        if missing:
            lines = sorted(line for _, line in missing)
            raise SourceError(f"{self.uri}: line {_shown(lines)} is no row of the job's; take it out of the file")
        if not changed:
            raise SourceError(f"{self.uri}: every row is as the job rejected it; correct cells and submit it again")

    def _renewed(self, row: dict[str, Any], columns: dict[str, str]) -> dict[str, Any] | None:
        """A row of the job's with its corrected cells; None where nothing is new. Columns: header -> cells' column."""
        given = self.cells[_key(row)]
        cells = [_corrected(given.get(header), row[name]) for header, name in columns.items()]
        was = BETWEEN.join(row["extra"] or ())
        beyond = _corrected(given.get("extra_cells"), was)
        extra = (row["extra"] or []) if beyond == was else [cell for cell in beyond.split(BETWEEN) if cell]
        same = cells == [row[name] for name in columns.values()] and beyond == was
        # A row whose batch failed was never looked at, so handing it in is asking for that.
        if same and row["correction"] != self.sha256 and row["reasons"] != Reason.BATCH_FAILED:
            return None
        return {"line": row["line"], "sheet": row["sheet"], "cells": cells, "extra": extra}


def is_rejected_file(header: list[str]) -> bool:
    """Whether a header is that of a rejected.csv."""
    return set(header) >= _MARKS


def read_correction(table: SourceTable, *, uri: str, sha256: str, job: Folder, job_id: str) -> Correction:
    """A rejected.csv's rows; SourceError when they are not of this job or a line is wrong."""
    places = {_bare(name): place for place, name in enumerate(table.header)}
    rows = [row for chunk in table.chunks() for row in chunk.to_pylist()]
    named = sorted({row[f"c{places['job_id']}"].strip() for row in rows})
    wrong = [name for name in named if name != job_id]
    if wrong:
        if not wrong[0]:
            raise SourceError(f"{uri}: a row has no job_id; only rows of the job's rejected.csv can be corrected")
        raise SourceError(f"{uri}: these are rejected rows of job {wrong[0]}; submit them with --job-id {wrong[0]}")
    facts = read_facts(job)
    if facts is None:
        raise SourceError(f"{uri}: job {job_id} has no results below {job.uri}; give the --output that it was run with")
    known = [*result_headers(facts.header), "extra_cells"]
    cells: dict[Key, dict[str, str]] = {}
    for row in rows:
        line = row[f"c{places['line']}"].strip().removesuffix(".0")
        if not line.isdecimal():
            raise SourceError(f"{uri}: line {row['line']}: its cell 'line' is {line!r} and not the number of a line")
        sheet = row[f"c{places['sheet']}"] if facts.several_sheets and "sheet" in places else ""
        if (sheet, int(line)) in cells:
            raise SourceError(f"{uri}: line {line} is there twice; keep one of them")
        cells[sheet, int(line)] = {name: row[f"c{places[name]}"] for name in known if name in places}
    ours = {*known, *_MARKS, "sheet", "explanation"}
    left_out = tuple(name for name in table.header if name and _bare(name) not in ours)
    return Correction(uri, sha256, facts, cells, left_out)


def merged(job: Folder, corrected: pa.Table) -> Iterator[pa.Table]:
    """The job's rows in their order, those of `corrected` (jobrows.rows_schema) in the place of the job's."""
    places = {key: place for place, key in enumerate(_keys(corrected))}
    for rows in row_groups(job):
        replaced = [places.get(key) for key in _keys(rows)]
        if any(place is not None for place in replaced):
            both = pa.concat_tables([rows, corrected.select(rows.column_names)])
            order = [at if place is None else len(rows) + place for at, place in enumerate(replaced)]
            yield both.take(pa.array(order, pa.int64()))
        else:
            yield rows


def _keys(rows: pa.Table) -> list[Key]:
    sheets = pc.fill_null(rows["sheet"], "").to_pylist()
    return list(zip(sheets, rows["line"].to_pylist(), strict=True))


def _key(row: dict[str, Any]) -> Key:
    return row["sheet"] or "", row["line"]


def _corrected(given: str | None, was: str) -> str:
    """The cell that a person means: as it was where only its spelling in the file differs."""
    if given is None or given == was or given == escaped(was) or given.strip() == was.strip():
        return was
    return was if _respelled(given.strip(), was.strip()) else _bare(given)


def _respelled(given: str, was: str) -> bool:
    """Whether a cell is a number as a spreadsheet shows it: without leading zeros, or as 4,01E+12."""
    if not was.isdecimal():
        return False
    if given.isdecimal():
        return given == was.lstrip("0")
    short = re.fullmatch(r"\d(?:[.,](\d+))?E\+\d+", given)
    return short is not None and f"{float(was):.{len(short[1] or '')}E}" == given.replace(",", ".")


def _bare(cell: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from running it."""
    return cell[1:] if re.match("'", cell) and escaped(cell[1:]) == cell else cell


def _chunks(rows: list[dict[str, Any]], columns: int) -> Iterator[pa.Table]:
    most = chunk_rows(columns)
    for start in range(0, len(rows), most):
        part = rows[start : start + most]
        extra = {at: row["extra"] for at, row in enumerate(part) if row["extra"]}
        chunk = row_chunk(
            [row["line"] for row in part],
            [[row["cells"][column] for row in part] for column in range(columns)],
            extra,
            {at: [Reason.TOO_MANY_CELLS.value] for at in extra},
        )
        sheets = pa.array([row["sheet"] for row in part], ROW_COLUMNS["sheet"])
        yield chunk.set_column(chunk.column_names.index("sheet"), "sheet", sheets)


def _shown(lines: list[int]) -> str:
    more = f" and {len(lines) - _ROWS_SHOWN} more" if len(lines) > _ROWS_SHOWN else ""
    return ", ".join(map(str, lines[:_ROWS_SHOWN])) + more
