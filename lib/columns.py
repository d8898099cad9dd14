"""The customer's headers matched to our fields by config/columns.toml, and the names of the results' columns."""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from itertools import chain, count

from lib.errors import SettingsError, SourceError
from lib.quantities import Unit, unit_of
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
        if field not in FIELDS:
            raise SettingsError(f"{COLUMNS_FILE}: [{field}]: is not one of {', '.join(FIELDS)}")
        if not isinstance(headers, list) or not all(isinstance(header, str) for header in headers):
            raise SettingsError(f"{COLUMNS_FILE}: [{field}]: needs a list of texts `headers`")
        for place, header in enumerate(headers):
            key = folded(header)
            if known.setdefault(key, (field, place))[0] != field:
                raise SettingsError(f"{COLUMNS_FILE}: {header!r} stands under {known[key][0]} and {field}; keep one")
    return known


def split_unit(header: str) -> tuple[str, Unit | None]:
    """A header and the unit of measure it ends with: 'Net weight (kg)' gives 'Net weight' and the kilogram.

    Only masses and volumes count: 'Product unit' has none.
    """
    words = re.findall(r"[^\W_]+", header)
    unit = unit_of(words[-1]) if len(words) > 1 else None
    if unit is None or (unit.grams is None and unit.millilitres is None):
        return header, None
    return " ".join(words[:-1]), unit


def match_columns(header: list[str], *, source: str) -> list[ColumnMatch]:
    """Our fields found in a header, in the order of FIELDS.

    Where several headers fit a field, the one that stands first in its list wins, then the leftmost.
    Raises SourceError when no column can be the name.
    """
    known = known_headers()
    best: dict[str, tuple[int, int]] = {}
    for column, text in enumerate(header):
        field, place = known.get(folded(text)) or known.get(folded(split_unit(text)[0])) or ("", 0)
        if field and (field not in best or (place, column) < best[field]):
            best[field] = (place, column)
    if "name" not in best and "description" in best:
        best["name"] = best.pop("description")  # a wholesaler's "Description" is all the name there is
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
    ours = {name.casefold() for name in taken}
    used = set(ours)
    names: list[str] = []
    for position, text in enumerate(header, start=1):
        base = text if text.strip() else f"column {position}"
        if base.casefold() in ours:
            base = f"{base} (source)"
        candidates = chain([base], (f"{base} ({number})" for number in count(2)))
        name = next(candidate for candidate in candidates if candidate.casefold() not in used)
        used.add(name.casefold())
        names.append(name)
    return names
