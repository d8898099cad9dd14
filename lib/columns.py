"""The customer's headers matched to our fields by config/columns.toml, and the names of the results' columns."""

import tomllib
import unicodedata
from collections import Counter
from dataclasses import dataclass

from lib.errors import SettingsError, SourceError
from lib.records import FIELDS
from lib.settings import ROOT

COLUMNS_FILE = ROOT / "config" / "columns.toml"


@dataclass(frozen=True)
class ColumnMatch:
    """Which column of the source holds one of our fields."""

    field: str
    column: int  # 0-based
    header: str


def folded(header: str) -> str:
    """A header without case, accents, punctuation and spaces: 'Art.-Nr.' and 'art nr' are both 'artnr'."""
    # Letters that NFKD does not take apart, as they are spelled where they are missing.
    text = header.casefold().replace("ø", "o").replace("æ", "ae").replace("ł", "l").replace("đ", "d")
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if letter.isalnum())


def known_headers() -> dict[str, tuple[str, int]]:
    """Folded header -> (field, place in the field's list, best first); SettingsError when the table is wrong."""
    try:
        table = tomllib.loads(COLUMNS_FILE.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{COLUMNS_FILE}: cannot be read: {error}") from None
    known: dict[str, tuple[str, int]] = {}
    for field, entry in table.items():
        headers = entry.get("headers") if isinstance(entry, dict) else None
        if field not in FIELDS or not isinstance(headers, list):
            raise SettingsError(f"{COLUMNS_FILE}: [{field}]: needs one of {', '.join(FIELDS)} with a list `headers`")
        for place, header in enumerate(headers):
            key = folded(str(header))
            if known.setdefault(key, (field, place))[0] != field:
                raise SettingsError(f"{COLUMNS_FILE}: {header!r} stands under {known[key][0]} and {field}; keep one")
    return known


def match_columns(header: list[str], *, source: str) -> list[ColumnMatch]:
    """Our fields found in a header, in the order of FIELDS.

    Where several headers fit a field, the one that stands first in its list wins, then the leftmost.
    Raises SourceError when no column can be the name.
    """
    known = known_headers()
    best: dict[str, tuple[int, int]] = {}
    for column, text in enumerate(header):
        field, place = known.get(folded(text), ("", 0))
        if field and (field not in best or (place, column) < best[field]):
            best[field] = (place, column)
    if "name" not in best:
        shown = ", ".join(repr(h) for h in header[:12]) + (", ..." if len(header) > 12 else "")
        raise SourceError(
            f"{source}: no column is known to hold the product's name (the columns are {shown}); "
            "rename one to 'name' or add its header to config/columns.toml"
        )
    return [ColumnMatch(field, best[field][1], header[best[field][1]]) for field in FIELDS if field in best]


def unique_headers(header: list[str], *, taken: list[str]) -> list[str]:
    """The customer's headers as column names of the results: as they are, but for empty, repeated and our own names.

    Databases and Spark tell column names apart without case, so we do too. ['Price', '', 'price', 'category'] with
    'category' taken gives ['Price', 'column 2', 'price (2)', 'category (source)'].
    """
    used = {name.casefold() for name in taken}
    names: list[str] = []
    seen: Counter[str] = Counter()
    for position, text in enumerate(header, start=1):
        base = text.strip() or f"column {position}"
        if base.casefold() in {name.casefold() for name in taken}:
            base = f"{base} (source)"
        name = base
        while name.casefold() in used:
            seen[base.casefold()] += 1
            name = f"{base} ({seen[base.casefold()] + 1})"
        used.add(name.casefold())
        names.append(name)
    return names
