"""Delimited text, record by record: the source line of each record, and quotes that are opened and never closed.

Python's csv module does the splitting, in its strict mode: a stray quotation mark that swallows the records after it
is ended by the mark that opens a later cell, so that text follows where a delimiter or a line's end should, which is
what the strict mode refuses. The physical lines of each record are held until it is judged.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Literal, TextIO

from lib.errors import SourceError
from lib.formats.dialects import LONGEST_CELL, Dialect, split_again

# A quoted cell over more lines than this is taken for a stray quotation mark.
MOST_LINES_IN_A_RECORD = 1000
# A line with more cells than this is refused before they take memory, 60 bytes each and more.
MOST_CELLS = 1_000_000
# A chunk ends past this many characters, so that long rows take no more memory than short ones.
CHUNK_CHARACTERS = 8_000_000
# Lines that are split at once. Where a record among them is over several lines or has stray marks, they are split anew
# one by one, and as many after them; twice as many each time that this happens in a row, up to the second figure.
BLOCK_LINES, MOST_LINES_ONE_BY_ONE = 256, 16_384


@dataclass
class Records:
    """Up to a chunk of consecutive records."""

    lines: list[int] = field(default_factory=list)  # 1-based physical line each record begins on
    rows: list[list[str]] = field(default_factory=list)
    open_quotes: set[int] = field(default_factory=set)  # positions in `rows` whose quote is never closed


class DelimitedText:
    """Iterates the records of a text stream opened with newline='', counting lines and blank lines."""

    def __init__(
        self,
        stream: TextIO,
        *,
        dialect: Dialect,
        name: str,
        first_line: int = 1,
        most_blank_lines: int = 10_000_000,
        longest_line: int = 16_000_000,
    ) -> None:
        self.dialect = dialect
        self.name = name
        self.blank_lines = 0
        self._most_blank_lines = most_blank_lines
        self.line = first_line  # of the next record
        # No more of a line is read than it takes to refuse it.
        self._longest_line = longest_line
        self._long_line = min(longest_line, MOST_CELLS)  # beyond this it is looked at
        self._stream = iter(partial(stream.readline, longest_line + 1), "")
        self._put_back: deque[str] = deque()
        self._held: list[str] = []  # the physical lines of the record at hand
        self._one_by_one = BLOCK_LINES
        self._one_by_one_until = 0  # this line
        csv.field_size_limit(LONGEST_CELL)
        self._reader = self._new_reader()

    def chunk(self, most: int, *, most_characters: int = CHUNK_CHARACTERS) -> Records:
        """The next records, at most so many or some past so many characters; empty at the end of the text."""
        records = Records()
        characters = 0
        while len(records.rows) < most and characters < most_characters:
            if self.blank_lines > self._most_blank_lines:
                raise SourceError(
                    f"{self.name}: it has more than {self._most_blank_lines:,} blank lines by line {self.line:,}; "
                    "the file is damaged, or raise reading.blank_lines in the config"
                )
            if self._put_back or self.line < self._one_by_one_until:
                length = self._take_record(records)
                if not length:
                    break
                characters += length
                continue
            block, length = self._next_lines(min(BLOCK_LINES, most - len(records.rows)), most_characters - characters)
            if not block:
                break
            if self._take_block(block, records):
                characters += length
                self._one_by_one = BLOCK_LINES
            else:
                self._put_back.extend(block)
                self._reader = self._new_reader()
                self._one_by_one_until = self.line + self._one_by_one
                self._one_by_one = min(2 * self._one_by_one, MOST_LINES_ONE_BY_ONE)
        return records

    def _next_lines(self, most: int, most_characters: int) -> tuple[list[str], int]:
        """The next physical lines, and their length."""
        block = []
        length = 0
        for line in islice(self._stream, most):
            block.append(line)
            size = len(line)
            if size > self._long_line:
                self._check(line, self.line + len(block) - 1)
            length += size
            if length >= most_characters:
                break
        return block, length

    def _take_block(self, block: list[str], records: Records) -> bool:
        """Add the records of so many lines if they are one a line, as nearly all are: much faster than one by one."""
        try:
            rows = list(csv.reader(block, strict=True, **self.dialect.format()))
        except csv.Error:
            return False
        if len(rows) != len(block):
            return False
        lines: Iterable[int] = range(self.line, self.line + len(block))
        if min(map(len, rows)) < 2:
            filled = [at for at, row in enumerate(rows) if not _is_blank(row)]
            self.blank_lines += len(block) - len(filled)
            lines, rows = [self.line + at for at in filled], [self._whole(rows[at]) for at in filled]
        records.rows += rows
        records.lines += lines
        self.line += len(block)
        return True

    def _take_record(self, records: Records) -> int:
        """Add the next record, which may be over several lines or have stray marks; its characters, 0 at the end."""
        try:
            row = next(self._reader, None)
        except csv.Error as error:
            row = self._mended(error, records)
        if row is None:
            return 0
        row = self._whole(row)
        if len(self._held) > 1 and self._swallowed_others(row):
            row = self._alone(records)
        if _is_blank(row):
            self.blank_lines += len(self._held)
        else:
            records.rows.append(row)
            records.lines.append(self.line)
        self.line += len(self._held)
        characters = sum(map(len, self._held))
        self._held.clear()
        return characters

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
        if len(verbatim) == self.dialect.width:
            return [_unquoted(cell, self.dialect.quote) for cell in verbatim]
        return self._closed_before_delimiters() or self._first_line(quoting=csv.QUOTE_MINIMAL)

    def _closed_before_delimiters(self) -> list[str]:
        """The first line's cells if marks close only before a delimiter or the line's end; [] if that is no record."""
        for pairs in () if self.dialect.backslashes else (True, False):
            cells = cells_closed_before_delimiters(self._held[0].rstrip("\r\n"), self.dialect, pairs=pairs)
            if len(cells) == self.dialect.width:
                return cells
        return []

    def _swallowed_others(self, row: list[str]) -> bool:
        """Whether a record over several lines is a stray mark's: too narrow, while its first line alone would do."""
        if len(row) >= self.dialect.width:
            # Tabs hardly ever stand inside cells: where each line alone has all of them, a mark joined the lines.
            tabs = self.dialect.delimiter == "\t" and self.dialect.width > 1
            return tabs and all(line.count("\t") == self.dialect.width - 1 for line in self._held)
        return len(self._first_line()) == self.dialect.width

    def _alone(self, records: Records) -> list[str]:
        """The first line of a record whose mark is never closed; the lines that it swallowed are read anew."""
        self._put_back.extendleft(reversed(self._held[1:]))
        del self._held[1:]
        self._reader = self._new_reader()
        closed = self._closed_before_delimiters()
        if not closed:
            records.open_quotes.add(len(records.rows))
        return closed or self._first_line()

    def _whole(self, row: list[str]) -> list[str]:
        """A row, split once more where its line was quoted as a whole."""
        again = split_again(row, self.dialect) if self.dialect.whole_lines else row
        return again if len(again) == self.dialect.width else row

    def _check(self, line: str, number: int) -> None:
        """Refuse a line that is too long to be one."""
        if len(line) > self._longest_line:
            raise SourceError(
                f"{self.name}: line {number:,} has more than {self._longest_line:,} characters; the file is damaged or "
                "not a product table, or raise reading.line_characters in the config"
            )
        if len(line) > MOST_CELLS and line.count(self.dialect.delimiter) > MOST_CELLS:
            raise SourceError(
                f"{self.name}: line {number:,} has more than {MOST_CELLS:,} cells; the file is damaged or "
                "not a product table"
            )

    def _first_line(self, *, quoting: Literal[0, 3] = csv.QUOTE_NONE) -> list[str]:
        try:
            return next(csv.reader(self._held[:1], quoting=quoting, **self.dialect.format()), [])
        except csv.Error:
            raise self._too_long() from None

    def _too_long(self) -> SourceError:
        return SourceError(
            f"{self.name}: line {self.line}: a cell is longer than {LONGEST_CELL:,} characters; "
            "the file is damaged or not a product table"
        )

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._holding(), strict=True, **self.dialect.format())

    def _holding(self) -> Iterator[str]:
        """The physical lines, each held until its record is judged."""
        held, put_back = self._held, self._put_back
        while put_back:
            held.append(put_back.popleft())
            yield held[-1]
            if len(held) > MOST_LINES_IN_A_RECORD:
                return
        for line in self._stream:
            if len(line) > self._long_line:
                self._check(line, self.line + len(held))
            held.append(line)
            yield line
            if len(held) > MOST_LINES_IN_A_RECORD:
                return  # the reader finds an unexpected end, and the record too long to be one


def _is_blank(row: list[str]) -> bool:
    """Whether a line has nothing in it; one of bare delimiters is a row, and is accounted for as one."""
    return not row or (len(row) == 1 and not row[0].strip())


def cells_closed_before_delimiters(line: str, dialect: Dialect, *, pairs: bool) -> list[str]:
    """The cells of one line, where a mark ends a cell only before a delimiter or the line's end.

    With `pairs` a doubled mark never ends one, as the rules have it. [] when a cell is never closed.
    """
    cells = []
    at = 0
    while True:
        while dialect.blanks and line.startswith(" ", at):
            at += 1
        if line.startswith(dialect.quote, at):
            end = _closing_mark(line, at + 1, dialect, pairs=pairs)
            if end < 0:
                return []
            cells.append(line[at + 1 : end].replace(2 * dialect.quote, dialect.quote))
            at = end + 1
        else:
            end = line.find(dialect.delimiter, at)
            cells.append(line[at:] if end < 0 else line[at:end])
            at = len(line) if end < 0 else end
        if at >= len(line):
            return cells
        at += 1


def _closing_mark(line: str, at: int, dialect: Dialect, *, pairs: bool) -> int:
    at = line.find(dialect.quote, at)
    while at >= 0:
        behind = at + 1
        while line.startswith(dialect.quote, behind):
            behind += 1
        ends = behind == len(line) or line.startswith(dialect.delimiter, behind)
        if ends and not (pairs and (behind - at) % 2 == 0):
            return behind - 1
        at = line.find(dialect.quote, behind)
    return -1


def _unquoted(cell: str, quote: str) -> str:
    whole = len(cell) > 1 and cell[0] == cell[-1] == quote and quote not in cell[1:-1].replace(2 * quote, "")
    return cell[1:-1].replace(2 * quote, quote) if whole else cell
