"""The process that parses a workbook for workbook.py: `python -m lib.formats.sheetreader`, its request on its input.

It leaves a file of rows for each sheet and an index.json in the folder of the request, or dies of its limits.

A cell's text is what a person means by it: whole numbers without a point, however large (a GTIN shown as 3.04E+12),
others in at most the 15 digits that spreadsheet programs have; dates and times as 2024-01-31 and 2024-01-31 08:30:00;
durations as 30:15:00; true and false; nothing for an error such as #N/A; a formula's last value; text as it stands. A
number's format is not known here: leading zeros are lost, and 25 % is 0.25.

Merged cells: the value is repeated down the first column of the range, in the rows that have a cell of their own, so
that each product has the category beside it. It is not repeated to the right: a title over the table stays one cell.
(The parser knows the ranges in xlsx, xlsm, xls and HTML; in xlsb and ods only the first cell has the value.)
"""

import datetime
import json
import math
import mmap
import resource
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import python_calamine as calamine

from lib.errors import SourceError
from lib.formats.dialects import LONGEST_CELL
from lib.formats.htmltables import html_tables
from lib.formats.unpacking import Growth, Limits

CHUNK_ROWS = 1000
CHUNK_LETTERS = 1 << 20

# (first row, first column, last row), 0-based
Merged = tuple[int, int, int]


class SheetFiles:
    """Writes the sheets' rows, counts them against the limits, and keeps the index."""

    def __init__(self, folder: Path, *, packed: int, name: str, limits: Limits) -> None:
        self.index: list[dict[str, Any]] = []
        self._folder = folder
        self._name = name
        self._cells_left = limits.workbook_cells
        # Of a text that many cells share, a small workbook can hold terabytes.
        self._growth = Growth(packed=packed, name=name, limits=limits)

    def add(self, title: str, *, hidden: bool, rows: Iterable[list[str]], merged: list[Merged]) -> None:
        """Write a sheet: its rows from the first on, blank ones too; SourceError past the limits."""
        file = f"{len(self.index)}.jsonl"
        last = 0
        with (self._folder / file).open("w", encoding="utf-8", errors="replace") as lines:
            for chunk in self._chunks(_filled(rows, merged)):
                # Not json.dump: writing piece by piece, it takes five times as long.
                lines.write(json.dumps(chunk, ensure_ascii=False, separators=(",", ":")) + "\n")
                last = chunk[-1][0]
        self.index.append({"name": title, "hidden": hidden, "file": file, "rows": last})

    def _chunks(self, rows: Iterator[tuple[int, list[str]]]) -> Iterator[list[tuple[int, list[str]]]]:
        chunk: list[tuple[int, list[str]]] = []
        letters = 0
        for number, cells in rows:
            self._cells_left -= len(cells)
            if self._cells_left < 0:
                raise SourceError(_too_many_cells(self._name))
            if max(map(len, cells)) > LONGEST_CELL:
                raise SourceError(
                    f"{self._name}: row {number:,} has a cell of more than {LONGEST_CELL:,} characters; "
                    "the file is damaged or not a product table"
                )
            in_row = sum(map(len, cells))
            self._growth.add(in_row)
            chunk.append((number, cells))
            letters += in_row + len(cells)
            if len(chunk) >= CHUNK_ROWS or letters >= CHUNK_LETTERS:
                yield chunk
                chunk, letters = [], 0
        if chunk:
            yield chunk


def _filled(rows: Iterable[list[str]], merged: list[Merged]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, numbered from 1, without the blank cells at their ends, merged values repeated."""
    waiting = sorted((span for span in merged if span[2] > span[0]), reverse=True)
    repeated: dict[int, tuple[int, str]] = {}  # by column: last row, text
    for at, cells in enumerate(rows):
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            for column, (last, text) in list(repeated.items()):
                if last < at:
                    del repeated[column]
                elif column >= len(cells):
                    cells.extend([""] * (column - len(cells)) + [text])
                elif not cells[column]:
                    cells[column] = text
        while waiting and waiting[-1][0] <= at:
            first, column, last = waiting.pop()
            if first == at and column < len(cells) and cells[column]:
                repeated[column] = (last, cells[column])
        if cells:
            yield at + 1, cells


def cell_text(value: Any) -> str:
    """What a person means by a cell's value; see the module."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _number_text(value)
    if isinstance(value, datetime.timedelta):
        return _duration_text(value)
    # These print as ISO, date-times with a space; a bool would as True.
    text = str(value)
    return text.lower() if isinstance(value, bool) else text.removesuffix(" 00:00:00")


def _duration_text(value: datetime.timedelta) -> str:
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _number_text(value: float) -> str:
    if value.is_integer() and abs(value) < 1e18:
        return str(int(value))
    if not math.isfinite(value):
        return ""
    # More digits than 15 are the residue of arithmetic, which no spreadsheet program shows: 0.1 + 0.2 is 0.3.
    text = f"{value:.15g}"
    return format(Decimal(text), "f") if "e" in text and 1e-15 < abs(value) < 1e21 else text


def _read_workbook(path: Path, files: SheetFiles, name: str) -> None:
    where = ""
    try:
        with calamine.CalamineWorkbook.from_path(path) as workbook:
            for at, sheet in enumerate(workbook.sheets_metadata):
                if sheet.typ != calamine.SheetTypeEnum.WorkSheet:
                    continue
                where = f" on sheet {sheet.name!r}"
                hidden = sheet.visible != calamine.SheetVisibleEnum.Visible
                cells = workbook.get_sheet_by_index(at)
                merged = [(top, left, bottom) for (top, left), (bottom, _) in cells.merged_cell_ranges or []]
                files.add(sheet.name, hidden=hidden, rows=_text_rows(cells), merged=merged)
    except calamine.PasswordError:
        raise SourceError(_protected(name)) from None
    except (calamine.CalamineError, OSError, ValueError, OverflowError) as error:
        if not where and _is_encrypted(path):
            raise SourceError(_protected(name)) from None
        if "limit exceeded" in str(error):  # the parser's own, of 100,000,000 cells in a sheet
            raise SourceError(_too_many_cells(name)) from None
        raise SourceError(
            f"{name}: the workbook is damaged or of an unknown kind{where} ({str(error)[:200]}); "
            "open and save it anew, or save the sheet as CSV"
        ) from None


def _text_rows(sheet: calamine.CalamineSheet) -> Iterator[list[str]]:
    # The parser gives the blank rows above the first cell, but not the blank columns before it.
    before = [""] * (sheet.start[1] if sheet.start else 0)
    for row in sheet.iter_rows():
        yield before + [cell_text(value) for value in row]


def _too_many_cells(name: str) -> str:
    return f"{name}: the workbook has too many cells to be read; save the sheet as CSV"


def _protected(name: str) -> str:
    return f"{name}: the workbook is protected by a password; save it without one and send it again"


def _is_encrypted(path: Path) -> bool:
    """Whether an OLE file, which the parser made nothing of, has a stream with an encrypted workbook."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content[:4] == b"\xd0\xcf\x11\xe0" and content.find("EncryptedPackage".encode("utf-16-le")) >= 0


def _limit_this_process(limits: Limits) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, limits.workbook_memory_bytes),
        (resource.RLIMIT_CPU, limits.workbook_seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        # macOS knows the limit of memory but refuses to set it; there the others must do.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def main() -> None:
    """Read the request from the standard input and do it."""
    request = json.load(sys.stdin)
    limits = Limits(**request["limits"])
    path, folder, name = Path(request["path"]), Path(request["folder"]), request["name"]
    _limit_this_process(limits)
    files = SheetFiles(folder, packed=path.stat().st_size, name=name, limits=limits)
    answer: dict[str, Any] = {"sheets": files.index}
    try:
        if request["kind"] == "html":
            tables, encoding = html_tables(path, name=name)
            answer["encoding"] = asdict(encoding)
            for number, table in enumerate(tables, 1):
                files.add(f"table {number}", hidden=False, rows=table.rows, merged=table.merged)
        else:
            _read_workbook(path, files, name)
    except SourceError as error:
        answer = {"refused": str(error)}
    (folder / "index.json").write_text(json.dumps(answer), "utf-8")


if __name__ == "__main__":
    main()
