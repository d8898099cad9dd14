"""Where the header of a table is: below title rows and blank lines, over two rows, or missing."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

# How many rows are looked at, and how many of them may stand above the header.
ROWS_LOOKED_AT = 60
DEEPEST_HEADER = 40
_NUMBER = re.compile(r"[-+]?[\d\s.,]*\d\s*%?")

FieldOf = Callable[[str], str | None]  # our field that a header stands for


@dataclass(frozen=True)
class Header:
    """The header found in a table's first rows."""

    names: list[str]
    first: int  # position of its first row; rows before it are titles and notes
    rows: int  # 1 or 2; 0 when there is none and the names are made up
    reason: str


def find_header(rows: list[list[str]], field_of: FieldOf) -> Header:
    """The header among a table's first rows (blank ones left out).

    The row, or pair of rows, with most cells that are known headers; without any, the first row as wide as the table
    that has words where rows below have numbers; without that, columns are called 'column 1' and so on.
    """
    width = _width(rows)
    candidates = []
    for at, row in enumerate(rows[:DEEPEST_HEADER]):
        below = rows[at + 1] if at + 1 < len(rows) else []
        candidates.append((_score(row, [row], field_of), -at, Header(_padded(row, width), at, 1, "")))
        # Two rows only where they say more than either alone.
        two = _joined(row, below, field_of)
        merged = _repeats(row, below) and any(field_of(cell) for cell in below)
        two_score = _score(two, [row, below], field_of) + (0.5 if merged else -0.5)
        candidates.append((two_score, -at, Header(_padded(two, width), at, 2, "")))
    score, _, best = max(candidates, key=lambda candidate: candidate[:2], default=(0.0, 0, Header([], 0, 0, "")))
    if score > 0:
        known = len({field_of(name) for name in best.names} - {None})
        return replace(best, reason="it has one known header" if known == 1 else f"it has {known} known headers")
    for at, row in enumerate(rows[:DEEPEST_HEADER]):
        if _words_over_numbers(row, rows[at + 1 :], width):
            return Header(_padded(row, width), at, 1, "it has words where the rows below have numbers")
    names = [f"column {number}" for number in range(1, width + 1)]
    return Header(names, 0, 0, "no row looks like a header, so columns are told by what they hold")


def is_number(text: str) -> bool:
    """Whether a cell is a plain number, however it is punctuated."""
    return bool(_NUMBER.fullmatch(text.strip()))


def _score(names: list[str], rows: list[list[str]], field_of: FieldOf) -> float:
    """The known fields among the names, if they can be a header at all; a name counts most."""
    cells = [cell for row in rows for cell in row if cell.strip()]
    if not cells or sum(map(is_number, cells)) > 0.2 * len(cells):
        return 0.0
    fields = {field_of(name) for name in names} - {None}
    return len(fields) + 2.0 * ("name" in fields)


def _joined(row: list[str], below: list[str], field_of: FieldOf) -> list[str]:
    """Names over two rows: 'Weight' spread over 'Net' and 'Gross', or 'Product' over 'name'."""
    width = max(len(row), len(below))
    upper, lower = _padded(row, width), _padded(below, width)
    names = []
    group = ""
    for above, under in zip(upper, lower, strict=True):
        # A title over several columns stands in the first of them.
        group = above.strip() or (group if under.strip() else "")
        under_text = under.strip()
        if not group or not under_text or above.strip() == under_text:
            names.append(group or under_text)
            continue
        candidates = (f"{group} {under_text}", f"{under_text} {group}", under_text)
        names.append(next((name for name in candidates if field_of(name)), candidates[0]))
    return names


def _repeats(row: list[str], below: list[str]) -> bool:
    """Whether a title stands in both rows, as a cell merged over them does."""
    return row != below and any(above.strip() and above == under for above, under in zip(row, below, strict=False))


def _words_over_numbers(row: list[str], below: list[list[str]], width: int) -> bool:
    cells = [cell.strip() for cell in row if cell.strip()]
    if len(cells) < max(1, 0.7 * width) or len(set(cells)) < len(cells) or any(map(is_number, cells)):
        return False
    for column, cell in enumerate(row):
        values = [other[column] for other in below if column < len(other) and other[column].strip()]
        if cell.strip() and values and sum(map(is_number, values)) >= 0.7 * len(values):
            return True
    return False


def _width(rows: list[list[str]]) -> int:
    """The number of cells most rows have, not counting empty ones at their end; the wider of equals."""
    widths = Counter(_filled(row) for row in rows)
    most = max(widths.values(), default=0)
    return max((width for width, count in widths.items() if count == most), default=0)


def _filled(row: list[str]) -> int:
    return max((at + 1 for at, cell in enumerate(row) if cell.strip()), default=0)


def _padded(row: list[str], width: int) -> list[str]:
    return row + [""] * (width - len(row))
