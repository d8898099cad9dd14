"""What a column is by the values it holds: codes, GTINs, names; and which rows are no products but titles of groups."""

import re
from collections.abc import Sequence

from lib.fields.gtins import is_gtin

# A column of which this share of values are codes is not the name, whatever its header.
CODE_SHARE = 0.8
# The share of a column's values that must be valid GTINs for it to be the GTIN, of at least so many.
GTIN_SHARE, GTIN_VALUES = 0.7, 3
# Rows with one cell are titles of groups where nearly all others have so many columns filled beside the name, and
# where there are so many of them.
BESIDE_SHARE, BESIDE_COLUMNS, TITLES = 0.95, 2, 2

Rows = Sequence[list[str]]


def values_of(column: int, rows: Rows) -> list[str]:
    """A column's cells that are not blank."""
    return [row[column].strip() for row in rows if column < len(row) and row[column].strip()]


def are_codes(values: list[str]) -> bool:
    """Whether nearly all have a digit, no space and no word: 'A-1001'."""
    codes = sum(any(map(str.isdigit, value)) and not re.search(r"\s|[^\W\d_]{4}", value) for value in values)
    return bool(values) and codes >= CODE_SHARE * len(values)


def valid_gtins(values: list[str]) -> int:
    """How many are valid GTINs, 0 where too few are for it to be their column."""
    valid = sum(map(is_gtin, values))
    return valid if valid >= GTIN_VALUES and valid >= GTIN_SHARE * len(values) else 0


def wordiness(values: list[str], *, rows: int) -> float:
    """How much a column looks like names: different words a row, 0 for codes, numbers, prose and repeated groups."""
    letters = sum(letter.isalpha() for value in values for letter in value) / sum(map(len, values))
    words = {word for value in values for word in value.casefold().split() if len(word) > 2 and word.isalpha()}
    different = len(set(values)) / len(values)
    length = sum(map(len, values)) / len(values)
    sentences = sum(len(value.split()) > 8 or value.endswith(".") for value in values) / len(values)
    if (
        letters < 0.5
        or sentences > 0.3
        or length > 120
        or (different < 0.5 and len(values) > 4)
        or len(values) < 0.5 * rows
    ):
        return 0.0
    return different * len(words) / rows


def is_title(filled: list[str]) -> bool:
    """Whether a row's cells with text are those of a group's title: one, with letters and no digit."""
    return len(filled) == 1 and not any(map(str.isdigit, filled[0])) and any(map(str.isalpha, filled[0]))


def columns_beside(name: int, rows: Rows) -> tuple[tuple[int, ...], str]:
    """The columns that products have filled beside their name, and the first title of a group; ((), '') without titles.

    Above its products a group's title stands alone in its row: 'DAIRY;;;'.
    """
    filled = [[column for column, cell in enumerate(row) if cell.strip()] for row in rows]
    titles = [row[at[0]] for at, row in zip(filled, rows, strict=True) if is_title([row[column] for column in at])]
    products = [columns for columns in filled if len(columns) > 1]
    if len(titles) < TITLES or len(titles) > len(products):
        return (), ""
    width = max(map(len, rows))
    counts = {column: sum(column in columns for columns in products) for column in range(width) if column != name}
    beside = tuple(column for column, count in counts.items() if count >= BESIDE_SHARE * len(products))
    return (beside, titles[0].strip()) if len(beside) >= BESIDE_COLUMNS else ((), "")
