"""Delimited text, record by record: the source line of each record, and quotes that are opened and never closed.

Python's csv module does the splitting. What it does not do is tell a cell with line breaks from a stray quotation
mark that swallows the records after it, so the physical lines of each record are held until it is judged.
"""

import csv
import io
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TextIO

from lib.errors import SourceError

DELIMITERS = (",", ";", "\t", "|")
# How many lines are looked at to tell the delimiter.
SAMPLE_LINES = 200
# A cell beyond this many characters is taken for damage; the longest ingredient lists are some thousand.
LONGEST_CELL = 16_000_000
# A quoted cell over more lines than this is taken for a stray quotation mark.
MOST_LINES_IN_A_RECORD = 1000


@dataclass
class Records:
    """Up to a chunk of consecutive records."""

    lines: list[int] = field(default_factory=list)  # 1-based physical line each record begins on
    rows: list[list[str]] = field(default_factory=list)
    open_quotes: set[int] = field(default_factory=set)  # positions in `rows` whose quote is never closed


def detect_delimiter(sample: str) -> str:
    """The delimiter among DELIMITERS under which the sample's records agree best on their number of cells.

    A sample without any of them is a table of one column, for which any will do.
    """

    def fit(delimiter: str) -> tuple[float, int]:
        lines = islice(io.StringIO(sample, newline=""), SAMPLE_LINES)
        widths = []
        with suppress(csv.Error):  # a cell of damage; what comes before it will do
            for row in csv.reader(lines, delimiter=delimiter):
                widths += [len(row)] if row else []
        if not widths or widths[0] < 2:
            return 0.0, 0
        return sum(width == widths[0] for width in widths) / len(widths), widths[0]

    csv.field_size_limit(LONGEST_CELL)
    return max(DELIMITERS, key=fit)


class DelimitedText:
    """Iterates the records of a text stream opened with newline='', counting lines and blank lines."""

    def __init__(self, stream: TextIO, *, delimiter: str, name: str) -> None:
        self.delimiter = delimiter
        self.name = name
        self.blank_lines = 0
        self.line = 1  # of the next record
        self._stream = stream
        self._put_back: deque[str] = deque()
        self._held: list[str] = []
        self._ended = False
        csv.field_size_limit(LONGEST_CELL)
        self._reader = self._new_reader()

    def header(self) -> tuple[int, list[str]]:
        """The first record that is not blank, with its line; SourceError when there is none."""
        first = self.chunk(1)
        if not first.rows:
            raise SourceError(f"{self.name}: the file has no rows; send one with a header and products")
        return first.lines[0], first.rows[0]

    def chunk(self, most: int) -> Records:
        """The next records, at most so many; empty at the end of the text."""
        records = Records()
        rows, lines, held = records.rows, records.lines, self._held
        try:
            while len(rows) < most:
                row = next(self._reader, None)
                if row is None:
                    break
                taken = len(held)
                if taken > 1 or self._ended:
                    row, taken = self._judged(row, records)
                held.clear()
                # A blank line has nothing in it; a line of bare delimiters is a row, and is accounted for as one.
                if not row or (len(row) == 1 and not row[0].strip()):
                    self.blank_lines += taken
                else:
                    rows.append(row)
                    lines.append(self.line)
                self.line += taken
        except csv.Error as error:
            raise SourceError(
                f"{self.name}: line {self.line}: {error}; the file is damaged or not a product table"
            ) from None
        return records

    def _judged(self, row: list[str], records: Records) -> tuple[list[str], int]:
        """A record over several lines or at the end of the text: the record itself, or its first line alone."""
        lines = list(self._held)
        if not self._quote_is_stray(lines):
            return row, len(lines)
        records.open_quotes.add(len(records.rows))
        self._ended = False
        self._put_back.extendleft(reversed(lines[1:]))
        self._reader = self._new_reader()
        alone = next(csv.reader([lines[0]], delimiter=self.delimiter, quoting=csv.QUOTE_NONE), [])
        return alone, 1

    def _quote_is_stray(self, lines: list[str]) -> bool:
        """Whether the record's last quotation mark is not the one that closes its cell.

        A mark that swallows other records is ended by the mark that opens a later cell, so text follows where a
        delimiter or a line's end should: what the csv module calls an error when it is strict.
        """
        if len(lines) > MOST_LINES_IN_A_RECORD:
            return True
        try:
            for _ in csv.reader(lines, delimiter=self.delimiter, strict=True):
                pass
        except csv.Error:
            return len(lines) > 1 or self._ended
        return False

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._holding(), delimiter=self.delimiter)

    def _holding(self) -> Iterator[str]:
        """The physical lines, each held until its record is judged."""
        held, put_back = self._held, self._put_back
        while put_back:
            held.append(put_back.popleft())
            yield held[-1]
        for line in self._stream:
            held.append(line)
            yield line
            if len(held) > MOST_LINES_IN_A_RECORD:
                return  # the reader gives what it has, and the judge finds it too long
        self._ended = True
