"""Delimited text, record by record: the source line of each record, and quotes that are opened and never closed.

Python's csv module does the splitting, in its strict mode: a stray quotation mark that swallows the records after it
is ended by the mark that opens a later cell, so that text follows where a delimiter or a line's end should, which is
what the strict mode refuses. The physical lines of each record are held until it is judged.
"""

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, TextIO

from lib.errors import SourceError

# The last is preferred where all else is equal: commas stand inside cells, tabs hardly ever.
DELIMITERS = (",", ";", "|", "\t")
# What no text holds, so that each line of a list is one cell.
NO_DELIMITER = "\x1f"
# How many lines are looked at to tell the delimiter.
SAMPLE_LINES = 200
# A cell beyond this many characters is taken for damage; the longest ingredient lists are some thousand.
LONGEST_CELL = 16_000_000
# A quoted cell over more lines than this is taken for a stray quotation mark.
MOST_LINES_IN_A_RECORD = 1000
# A chunk ends past this many characters, so that long rows take no more memory than short ones.
CHUNK_CHARACTERS = 8_000_000


@dataclass
class Records:
    """Up to a chunk of consecutive records."""

    lines: list[int] = field(default_factory=list)  # 1-based physical line each record begins on
    rows: list[list[str]] = field(default_factory=list)
    open_quotes: set[int] = field(default_factory=set)  # positions in `rows` whose quote is never closed


def detect_delimiter(sample: str, *, known: Callable[[list[str]], int] = lambda header: 0) -> str:
    """The delimiter of a text, from a sample of its beginning; NO_DELIMITER for a list of one column.

    The one under which the header has most cells that are `known` (at least one), then under which the records agree
    best with the header on their number of cells, then the one least used inside cells.
    """

    def fit(delimiter: str) -> tuple[bool, float, int, int, int]:
        widths: list[int] = []
        header: list[str] = []
        with suppress(csv.Error):  # a cell of damage; what comes before it will do
            for row in csv.reader(islice(io.StringIO(sample, newline=""), SAMPLE_LINES), delimiter=delimiter):
                widths += [len(row)] if row else []
                header = header or row
        if len(header) < 2:
            return False, 0.0, 0, 0, 0
        recognized = known(header)
        agreement = sum(width == len(header) for width in widths) / len(widths)
        return recognized > 0, agreement, recognized, len(header), DELIMITERS.index(delimiter)

    csv.field_size_limit(LONGEST_CELL)
    best = max(DELIMITERS, key=fit)
    return best if fit(best)[3] else NO_DELIMITER


class DelimitedText:
    """Iterates the records of a text stream opened with newline='', counting lines and blank lines."""

    def __init__(self, stream: TextIO, *, delimiter: str, name: str, first_line: int = 1) -> None:
        self.delimiter = delimiter
        self.name = name
        self.blank_lines = 0
        self.line = first_line  # of the next record
        self._width = 0  # cells of the header
        self._stream = stream
        self._put_back: deque[str] = deque()
        self._held: list[str] = []  # the physical lines of the record at hand
        csv.field_size_limit(LONGEST_CELL)
        self._reader = self._new_reader()

    def header(self) -> tuple[int, list[str]]:
        """The first record that is not blank, with its line; SourceError when there is none."""
        first = self.chunk(1)
        if not first.rows:
            raise SourceError(f"{self.name}: the file has no rows; send one with a header and products")
        self._width = len(first.rows[0])
        return first.lines[0], first.rows[0]

    def chunk(self, most: int, *, most_characters: int = CHUNK_CHARACTERS) -> Records:
        """The next records, at most so many or some past so many characters; empty at the end of the text."""
        records = Records()
        rows, lines, held = records.rows, records.lines, self._held
        characters = 0
        while len(rows) < most and characters < most_characters:
            try:
                row = next(self._reader, None)
            except csv.Error as error:
                row = self._mended(error, records)
            if row is None:
                break
            if len(held) > 1 and self._swallowed_others(row):
                row = self._alone(records)
            # A blank line has nothing in it; a line of bare delimiters is a row, and is accounted for as one.
            if not row or (len(row) == 1 and not row[0].strip()):
                self.blank_lines += len(held)
            else:
                rows.append(row)
                lines.append(self.line)
            self.line += len(held)
            for line in held:
                characters += len(line)
            held.clear()
        return records

    def _mended(self, error: csv.Error, records: Records) -> list[str]:
        """A record whose quotation marks are not where the rules want them, taken so that nothing of it is lost."""
        if "field limit" in str(error):
            raise self._too_long() from None
        if len(self._held) > 1 or "unexpected end" in str(error):
            return self._alone(records)
        # Within one line the marks are taken as letters, but for those around a whole cell, unless that gives another
        # number of cells: '"Best" milk;"a;b"'.
        self._reader = self._new_reader()
        verbatim = self._first_line()
        if len(verbatim) == self._width:
            return [_unquoted(cell) for cell in verbatim]
        return self._first_line(quoting=csv.QUOTE_MINIMAL)

    def _swallowed_others(self, row: list[str]) -> bool:
        """Whether a record over several lines is a stray mark's: too narrow, while its first line alone would do."""
        if len(row) >= self._width:
            return False
        return len(self._first_line()) == self._width

    def _alone(self, records: Records) -> list[str]:
        """The first line of a record whose mark is never closed; the lines that it swallowed are read anew."""
        records.open_quotes.add(len(records.rows))
        self._put_back.extendleft(reversed(self._held[1:]))
        del self._held[1:]
        self._reader = self._new_reader()
        return self._first_line()

    def _first_line(self, *, quoting: Literal[0, 3] = csv.QUOTE_NONE) -> list[str]:
        try:
            return next(csv.reader(self._held[:1], delimiter=self.delimiter, quoting=quoting), [])
        except csv.Error:
            raise self._too_long() from None

    def _too_long(self) -> SourceError:
        return SourceError(
            f"{self.name}: line {self.line}: a cell is longer than {LONGEST_CELL:,} characters; "
            "the file is damaged or not a product table"
        )

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._holding(), delimiter=self.delimiter, strict=True)

    def _holding(self) -> Iterator[str]:
        """The physical lines, each held until its record is judged."""
        held, put_back = self._held, self._put_back
        while put_back:
            held.append(put_back.popleft())
            yield held[-1]
            if len(held) > MOST_LINES_IN_A_RECORD:
                return
        for line in self._stream:
            held.append(line)
            yield line
            if len(held) > MOST_LINES_IN_A_RECORD:
                return  # the reader finds an unexpected end, and the record too long to be one


def _unquoted(cell: str) -> str:
    whole = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")
    return cell[1:-1].replace('""', '"') if whole else cell
