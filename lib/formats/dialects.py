"""How a text is split into cells: delimiter, quotation marks, and whether whole lines were quoted once more."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from lib.formats.headers import is_number

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
# Single quotes quote where this share of at least so many cells that are no numbers stand between two.
QUOTED_CELLS, FEW_CELLS = 0.5, 4
# Lines are quoted as a whole where at least so many are, and this share of them make as many cells as the others.
WHOLE_LINES, WHOLE_LINES_ALIKE = 2, 0.8
# A cell beyond this many characters is taken for damage; the longest ingredient lists are some thousand.
LONGEST_CELL = 16_000_000


@dataclass(frozen=True)
class Dialect:
    """How a text is split into cells."""

    delimiter: str  # NO_DELIMITER for a list of one column
    width: int  # cells of most records
    backslashes: bool = False  # whether quotation marks inside cells are written \\" and not ""
    reason: str = ""
    quote: str = '"'
    blanks: bool = False  # whether blanks stand before quotation marks: 1, "Butter, salted", Dale
    whole_lines: bool = False  # whether lines are quoted as a whole: "1,""Butter, salted"",Dale"

    def format(self) -> dict[str, Any]:
        """The same for csv.reader."""
        escape = "\\" if self.backslashes else None
        return {
            "delimiter": self.delimiter,
            "quotechar": self.quote,
            "escapechar": escape,
            "skipinitialspace": self.blanks,
        }


def detect_dialect(
    sample: str, *, known: Callable[[list[str]], int] = lambda cells: 0, told: str | None = None
) -> Dialect:
    """The dialect of a text from a sample of its beginning; `told` is its delimiter, if the file itself says so.

    The delimiter under which a record has most cells that are `known` headers (at least one), then under which most
    records agree on their number of cells, then under which there are most, then the one least used inside cells.
    """
    csv.field_size_limit(LONGEST_CELL)
    quote = "'" if _has_single_quotes(sample) else '"'
    backslashes = f"\\{quote}" in sample and any(
        not _is_well_quoted(sample, Dialect(one, 1, quote=quote))
        and _is_well_quoted(sample, Dialect(one, 1, quote=quote, backslashes=True))
        for one in DELIMITERS
    )
    blanks = any(_has_blanks_before(quote, delimiter, sample) for delimiter in DELIMITERS)
    plain = Dialect(NO_DELIMITER, 1, backslashes, "no delimiter makes a table of the lines", quote, blanks)
    fits = [_fit(sample, replace(plain, delimiter=one), known) for one in ([told] if told else DELIMITERS)]
    best = max(
        fits,
        key=lambda fit: (fit.known > 0, fit.agreement, fit.known, fit.width, fit.delimiter != ",", fits.index(fit)),
    )
    if told:
        return replace(plain, delimiter=told, width=best.width, reason="the file's first line says so")
    if not best.known and (best.agreement < AGREEMENT or _is_list(sample, known)):
        best = replace(best, width=1)
    if not best.known:
        rare = [_fit(sample, replace(plain, delimiter=delimiter), known) for delimiter in RARE_DELIMITERS]
        rare = [
            fit for fit in rare if fit.width > 1 and fit.agreement >= RARE_AGREEMENT and fit.records >= RARE_RECORDS
        ]
        # Where a usual one makes a table too (of decimal commas, it may be), headers must speak for a rare one.
        rare = [fit for fit in rare if best.width < 2 or fit.known > 1]
        if not rare and best.width < 2:
            return plain
        best = max(rare, key=lambda fit: (fit.agreement, fit.width), default=best)
    reason = f"{round(best.agreement * best.records)} of the first {best.records} records have {best.width} cells"
    if best.whole_lines:
        reason += ", when lines that are quoted as a whole are split once more"
    if quote == "'":
        reason += ", with single quotes around them"
    return replace(plain, delimiter=best.delimiter, width=best.width, reason=reason, whole_lines=best.whole_lines)


def split_again(row: list[str], dialect: Dialect) -> list[str]:
    """The cells of a line that was quoted as a whole, or the row as it is."""
    if len(row) != 1 or dialect.delimiter not in row[0]:
        return row
    try:
        rows = list(csv.reader(io.StringIO(row[0], newline=""), **dialect.format()))
    except csv.Error:
        return row
    return rows[0] if len(rows) == 1 else row


def _has_single_quotes(sample: str) -> bool:
    lines = [line.rstrip("\r\n") for line in islice(io.StringIO(sample, newline=""), SAMPLE_LINES)]
    for delimiter in DELIMITERS:
        pieces = [piece for line in lines if delimiter in line for piece in line.split(delimiter)]
        cells = [piece for piece in pieces if piece.strip() and not is_number(piece)]
        # A cell with delimiters inside is several pieces; only its first and last have the marks.
        quoted = min(sum(len(cell) > 1 and cell[end] == "'" for cell in cells) for end in (0, -1))
        if quoted >= max(FEW_CELLS, QUOTED_CELLS * len(cells)):
            return True
    return False


def _has_blanks_before(quote: str, delimiter: str, sample: str) -> bool:
    """Whether most quotation marks that a blank parts from a delimiter begin a quoted cell."""
    before = sample.count(f"{delimiter} {quote}")
    cell = rf"{re.escape(delimiter)} {quote}[^{quote}\r\n]*{quote} ?(?=[{re.escape(delimiter)}\r\n]|$)"
    return before > 0 and len(re.findall(cell, sample)) > before / 2


def _is_well_quoted(sample: str, dialect: Dialect) -> bool:
    """Whether every quotation mark of the sample stands where one may."""
    lines = islice(io.StringIO(sample, newline=""), SAMPLE_LINES)
    try:
        for _ in csv.reader(lines, strict=True, **dialect.format()):
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
    whole_lines: bool = False


def _fit(sample: str, dialect: Dialect, known: Callable[[list[str]], int]) -> _Fit:
    rows = _records(sample, dialect, strict=False)
    again = [split_again(row, dialect) for row in rows]
    split = [len(cells) for cells, row in zip(again, rows, strict=True) if len(cells) != len(row)]
    whole_lines = len(split) >= WHOLE_LINES and split.count(_mode(again)[0]) >= WHOLE_LINES_ALIKE * len(split)
    rows = again if whole_lines else rows
    width, count = _mode(rows)
    if dialect.quote in sample:
        # Records with stray marks have any number of cells.
        clean_width, clean_count = _mode(_records(sample, dialect, strict=True))
        if clean_width > 1 and not whole_lines:
            width, count = clean_width, max(clean_count, sum(len(row) == clean_width for row in rows))
    # Title rows and notes have one cell; that a few records have more says nothing for a delimiter.
    if width < 2 or count < max(1, MANY_CELLS * len(rows)):
        return _Fit(dialect.delimiter, 1, 0.0, 0, len(rows))
    recognized = max(known(row) if len(row) > 1 else 0 for row in rows)
    return _Fit(dialect.delimiter, width, count / len(rows), recognized, len(rows), whole_lines)


def _records(sample: str, dialect: Dialect, *, strict: bool) -> list[list[str]]:
    """The sample's records but blank ones; if `strict`, without those whose quotation marks are not where they may."""
    records: list[list[str]] = []
    lines = islice(io.StringIO(sample, newline=""), SAMPLE_LINES)
    reader = csv.reader(lines, strict=strict, **dialect.format())
    while True:
        try:
            row = next(reader, None)
        except csv.Error:  # a stray mark, or a cell of damage
            continue
        if row is None:
            return records
        if any(map(str.strip, row)):
            records.append(row)


def _mode(rows: list[list[str]]) -> tuple[int, int]:
    """The number of cells that most rows of several have, and how many those are."""
    widths = Counter(map(len, rows))
    return max(widths.items(), key=lambda item: (item[0] > 1) * item[1], default=(0, 0))
