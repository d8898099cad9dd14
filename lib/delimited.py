"""Delimited text, record by record: the source line of each record, and quotes that are opened and never closed.

Python's csv module does the splitting, in its strict mode: a stray quotation mark that swallows the records after it
is ended by the mark that opens a later cell, so that text follows where a delimiter or a line's end should, which is
what the strict mode refuses. The physical lines of each record are held until it is judged.
"""

import csv
import io
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal, TextIO

from lib.errors import SourceError

# Tried first; the last is preferred where all else is equal: commas stand inside cells, tabs hardly ever.
DELIMITERS = (",", ";", "|", "\t")
# Tried where none of these makes a table: what databases and old systems write.
RARE_DELIMITERS = ("^", "~", "\x01", "\x1e", "¦", "§", "#", ":")
# What no text holds, so that each line of a list is one cell.
NO_DELIMITER = "\x1f"
# How many lines are looked at to tell the delimiter.
SAMPLE_LINES = 200
# Without a known header, a delimiter must make this share of the records alike.
AGREEMENT = 0.7
# A rare delimiter must make this share of at least so many records alike.
RARE_AGREEMENT, RARE_RECORDS = 0.9, 3
# A delimiter that fewer than this share of the records hold is a letter of theirs.
MANY_CELLS = 0.3
# A cell beyond this many characters is taken for damage; the longest ingredient lists are some thousand.
LONGEST_CELL = 16_000_000
# A quoted cell over more lines than this is taken for a stray quotation mark.
MOST_LINES_IN_A_RECORD = 1000
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


@dataclass(frozen=True)
class Dialect:
    """How a text is split into cells."""

    delimiter: str  # NO_DELIMITER for a list of one column
    width: int  # cells of most records
    backslashes: bool = False  # whether quotation marks inside cells are written \\" and not ""
    reason: str = ""


def detect_dialect(sample: str, *, known: Callable[[list[str]], int] = lambda cells: 0) -> Dialect:
    """The dialect of a text from a sample of its beginning.

    The delimiter under which a record has most cells that are `known` headers (at least one), then under which most
    records agree on their number of cells, then under which there are most, then the one least used inside cells.
    """
    csv.field_size_limit(LONGEST_CELL)
    backslashes = '\\"' in sample and any(
        not _is_well_quoted(sample, one, backslashes=False) and _is_well_quoted(sample, one, backslashes=True)
        for one in DELIMITERS
    )
    fits = [_fit(sample, delimiter, backslashes, known) for delimiter in DELIMITERS]
    best = max(
        fits,
        key=lambda fit: (fit.known > 0, fit.agreement, fit.known, fit.width, fit.delimiter != ",", fits.index(fit)),
    )
    if not best.known and (best.agreement < AGREEMENT or _is_list(sample, known)):
        best = replace(best, width=1)
    if best.width < 2:
        rare = [_fit(sample, delimiter, backslashes, known) for delimiter in RARE_DELIMITERS]
        best = max(rare, key=lambda fit: (fit.width > 1, fit.agreement >= RARE_AGREEMENT, fit.agreement, fit.width))
        if best.width < 2 or best.agreement < RARE_AGREEMENT or best.records < RARE_RECORDS:
            return Dialect(NO_DELIMITER, 1, backslashes, "no delimiter makes a table of the lines")
    share = f"{round(best.agreement * best.records)} of the first {best.records} records have {best.width} cells"
    return Dialect(best.delimiter, best.width, backslashes, share)


def _is_well_quoted(sample: str, delimiter: str, *, backslashes: bool) -> bool:
    """Whether every quotation mark of the sample stands where one may, with \\" or else with "" inside cells."""
    lines = islice(io.StringIO(sample, newline=""), SAMPLE_LINES)
    try:
        for _ in csv.reader(lines, delimiter=delimiter, escapechar="\\" if backslashes else None, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)  # the sample's end, not the record's
    return True


def _is_list(sample: str, known: Callable[[list[str]], int]) -> bool:
    """Whether one of the first lines is a known header as it stands: 'Product name' over 'Milk, semi-skimmed'."""
    return any(known([line.strip().strip('"')]) for line in islice(io.StringIO(sample), SAMPLE_LINES // 10))


@dataclass(frozen=True)
class _Fit:
    delimiter: str
    width: int
    agreement: float  # share of the records that have this width
    known: int
    records: int


def _fit(sample: str, delimiter: str, backslashes: bool, known: Callable[[list[str]], int]) -> _Fit:
    widths: Counter[int] = Counter()
    recognized = 0
    escape = "\\" if backslashes else None
    lines = islice(io.StringIO(sample, newline=""), SAMPLE_LINES)
    with suppress(csv.Error):  # a cell of damage; what comes before it will do
        for row in csv.reader(lines, delimiter=delimiter, escapechar=escape):
            if any(row):
                widths[len(row)] += 1
                recognized = max(recognized, known(row) if len(row) > 1 else 0)
    records = widths.total()
    width, count = max(widths.items(), key=lambda item: (item[0] > 1) * item[1], default=(0, 0))
    # Title rows and notes have one cell; that a few records have more says nothing for a delimiter.
    if width < 2 or count < max(1, MANY_CELLS * records):
        return _Fit(delimiter, 1, 0.0, 0, records)
    return _Fit(delimiter, width, count / records, recognized, records)


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
    ) -> None:
        self.dialect = dialect
        self.name = name
        self.blank_lines = 0
        self._most_blank_lines = most_blank_lines
        self.line = first_line  # of the next record
        self._stream = stream
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
            length += len(line)
            if length >= most_characters:
                break
        return block, length

    def _take_block(self, block: list[str], records: Records) -> bool:
        """Add the records of so many lines if they are one a line, as nearly all are: much faster than one by one."""
        try:
            rows = list(csv.reader(block, strict=True, **self._format()))
        except csv.Error:
            return False
        if len(rows) != len(block):
            return False
        lines: Iterable[int] = range(self.line, self.line + len(block))
        if min(map(len, rows)) < 2:
            filled = [at for at, row in enumerate(rows) if not _is_blank(row)]
            self.blank_lines += len(block) - len(filled)
            lines, rows = [self.line + at for at in filled], [rows[at] for at in filled]
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
            return [_unquoted(cell) for cell in verbatim]
        return self._first_line(quoting=csv.QUOTE_MINIMAL)

    def _swallowed_others(self, row: list[str]) -> bool:
        """Whether a record over several lines is a stray mark's: too narrow, while its first line alone would do."""
        if len(row) >= self.dialect.width:
            return False
        return len(self._first_line()) == self.dialect.width

    def _alone(self, records: Records) -> list[str]:
        """The first line of a record whose mark is never closed; the lines that it swallowed are read anew."""
        records.open_quotes.add(len(records.rows))
        self._put_back.extendleft(reversed(self._held[1:]))
        del self._held[1:]
        self._reader = self._new_reader()
        return self._first_line()

    def _first_line(self, *, quoting: Literal[0, 3] = csv.QUOTE_NONE) -> list[str]:
        try:
            return next(csv.reader(self._held[:1], quoting=quoting, **self._format()), [])
        except csv.Error:
            raise self._too_long() from None

    def _too_long(self) -> SourceError:
        return SourceError(
            f"{self.name}: line {self.line}: a cell is longer than {LONGEST_CELL:,} characters; "
            "the file is damaged or not a product table"
        )

    def _format(self) -> dict[str, Any]:
        return {"delimiter": self.dialect.delimiter, "escapechar": "\\" if self.dialect.backslashes else None}

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._holding(), strict=True, **self._format())

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


def _is_blank(row: list[str]) -> bool:
    """Whether a line has nothing in it; one of bare delimiters is a row, and is accounted for as one."""
    return not row or (len(row) == 1 and not row[0].strip())


def _unquoted(cell: str) -> str:
    whole = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")
    return cell[1:-1].replace('""', '"') if whole else cell
