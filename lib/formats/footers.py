"""Totals and notes that stand among or below the products: config/footers.toml."""

import tomllib
from functools import cache

from lib.errors import SettingsError
from lib.fields.known_headers import folded
from lib.settings import ROOT

FOOTERS_FILE = ROOT / "config" / "footers.toml"
# A note alone in its row begins with one of the words of the table and goes on.
NOTE_WORDS = 2


@cache
def _table() -> tuple[frozenset[str], frozenset[str]]:
    try:
        table = tomllib.loads(FOOTERS_FILE.read_text("utf-8"))
        return frozenset(map(folded, table["names"])), frozenset(map(folded, table["notes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{FOOTERS_FILE}: cannot be read: {error}") from None


def is_footer(name: str) -> bool:
    """Whether a name may be a footer's, to look at its row more closely: 'Total', 'Summe:', 'Note: prices in EUR'."""
    names, _ = _table()
    return folded(name) in names or _is_note(name) or not any(map(str.isalnum, name))


def _is_note(title: str) -> bool:
    """Whether a text begins with a word, or two, of the notes."""
    words = title.replace(":", ": ").split()
    notes = _table()[1]
    return any(folded(" ".join(words[:count])) in notes for count in (1, 2))


def is_footer_row(name: str, filled: list[str], *, columns: int) -> bool:
    """Whether a row is a total or a note, by its name or, without one, its first cell; `filled` are cells with text.

    A total's row has numbers at most beside it ('Total', a brand of yogurt, has a GTIN or words); a note is alone.
    """
    if not filled:
        return False
    names, _ = _table()
    title, rest = (name, [cell for cell in filled if cell != name]) if name else (filled[0], filled[1:])
    if not any(map(str.isalnum, "".join(filled))):
        return True  # a ruled line: '-----'
    if folded(title) in names:
        return not any(letter.isalpha() for cell in rest for letter in cell)
    words = title.replace(":", ": ").split()
    alone = not rest and columns > 1 and len(words) >= NOTE_WORDS
    return alone and _is_note(title)
