"""The customer's headers matched to our fields by config/columns.toml, and the names of the results' columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count

from lib.errors import SettingsError, SourceError
from lib.fields.column_values import are_codes, columns_beside, valid_gtins, values_of, wordiness
from lib.fields.known_headers import alike_to, folded, level_of, place_of
from lib.quantities import decimal_mark
from lib.records import FIELDS

# Our fields that hold numbers.
NUMBER_FIELDS = {"quantity", "net_weight"}
# Of a field's columns one that has fewer cells filled than this share of another's comes last.
MOSTLY_BLANK = 0.5
# Other headers of the same field that a reason names.
OTHERS_SHOWN = 3


@dataclass(frozen=True)
class ColumnMatch:
    """Which column of the source holds one of our fields, and why."""

    field: str
    column: int  # 0-based
    header: str
    confidence: float  # from 0 to 1: 1 as told, less by the table, by likeness, by content
    reason: str
    decimal: str = ""  # the decimal mark of its numbers, '' where none can be told
    decimal_reason: str = ""
    # Of the name, where titles of groups stand among the products: the columns that products have filled beside it.
    beside: tuple[int, ...] = ()


def match_columns(
    header: list[str], *, source: str, sample: Sequence[list[str]] = (), told: Mapping[str, str] | None = None
) -> list[ColumnMatch]:
    """Our fields found in a table, in the order of FIELDS.

    As `told` (field -> header), then by config/columns.toml (where several headers fit, the one that stands first in
    the field's list, then the leftmost), then by likeness to a known header, then by what the `sample` of rows holds.
    Raises SourceError when no column can be the name, SettingsError when `told` names what there is not.
    """
    found = _as_told(header, told or {}, source)
    _add(found, _by_table(header, sample))
    _add(found, _by_likeness(header))
    _without_codes(found, sample)
    if "name" not in found and "description" in found:
        # A wholesaler's "Description" is all the name there is.
        only = found.pop("description")
        found["name"] = replace(only, field="name", confidence=0.8, reason=f"{only.reason}; there is no other name")
    _add(found, _by_content(header, sample))
    if "name" not in found:
        shown = _shown(header, sample)
        raise SourceError(
            f"{source}: no column is known to hold the product's name (the columns are {shown}); "
            "say which with --columns name=HEADER, or add its header to config/columns.toml"
        )
    for field in NUMBER_FIELDS & set(found):
        values = [row[found[field].column] for row in sample if found[field].column < len(row)]
        decimal, reason = decimal_mark(values)
        found[field] = replace(found[field], decimal=decimal, decimal_reason=reason)
    beside, title = columns_beside(found["name"].column, sample)
    if beside:
        reason = f"{found['name'].reason}; a row with nothing but a title, such as {title!r}, is a group"
        found["name"] = replace(found["name"], beside=beside, reason=reason)
    return [found[field] for field in FIELDS if field in found]


def _shown(header: list[str], sample: Sequence[list[str]]) -> str:
    """The columns for an error; where the file has no header, with what the first row holds."""
    named = []
    for column, text in enumerate(header[:12]):
        value = sample[0][column] if sample and column < len(sample[0]) else ""
        named.append(f"{text!r} like {value[:20]!r}" if value and text == f"column {column + 1}" else repr(text))
    return ", ".join(named) + (", ..." if len(header) > 12 else "")


def _add(found: dict[str, ColumnMatch], matches: Iterable[ColumnMatch]) -> None:
    """Take what no better evidence has spoken for: each field once, each column once."""
    taken = {match.column for match in found.values()}
    for match in matches:
        if match.field not in found and match.column not in taken:
            found[match.field] = match
            taken.add(match.column)


def _without_codes(found: dict[str, ColumnMatch], sample: Sequence[list[str]]) -> None:
    """Take a column of codes ('Item' before 'Description') for the sku where the description can be the name."""
    name = found.get("name")
    if name is None or name.reason == "as told" or "description" not in found:
        return
    if are_codes(values_of(name.column, sample)) and not are_codes(values_of(found["description"].column, sample)):
        del found["name"]
        found.setdefault("sku", replace(name, field="sku", confidence=0.8, reason=f"{name.reason}, and it holds codes"))


def parse_told(text: str) -> dict[str, str]:
    """Columns as told on the command line, 'name=Benämning,gtin=EAN'; SettingsError when it is not of this form."""
    told: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        field, sign, header = (piece.strip() for piece in part.partition("="))
        if not sign or field not in FIELDS or not header:
            raise SettingsError(
                f"--columns {part!r}: write FIELD=HEADER with commas between, FIELD one of {', '.join(FIELDS)}"
            )
        told[field] = header
    return told


def _as_told(header: list[str], told: Mapping[str, str], source: str) -> dict[str, ColumnMatch]:
    places = {folded(text): column for column, text in reversed(list(enumerate(header)))}
    found = {}
    for field, text in told.items():
        column = header.index(text) if text in header else places.get(folded(text))
        if column is None:
            shown = _shown(header, ())
            raise SettingsError(f"{source}: there is no column {text!r} for {field}; the columns are {shown}")
        found[field] = ColumnMatch(field, column, header[column], 1.0, "as told")
    return found


def _by_table(header: list[str], sample: Sequence[list[str]]) -> list[ColumnMatch]:
    fitting: dict[str, list[tuple[int, int, int]]] = {}  # field -> (place in its list, level, column)
    for column, text in enumerate(header):
        if found := place_of(text):
            level = level_of(text) if found[0] == "customer_category" else 0
            fitting.setdefault(found[0], []).append((found[1], -level, column))
    matches = []
    for field, places in fitting.items():
        filled = {column: len(values_of(column, sample)) for *_, column in places}
        # One that is mostly blank says less than any that is not.
        (rank, _, column), *others = sorted(
            places, key=lambda place: (filled[place[2]] < MOSTLY_BLANK * max(filled.values()), place)
        )
        reason = "its header is in config/columns.toml"
        if others:
            shown = [f"{header[at]!r} (column {at + 1})" for *_, at in others[:OTHERS_SHOWN]]
            more = f" and {len(others) - OTHERS_SHOWN} more" if len(others) > OTHERS_SHOWN else ""
            reason += f", preferred to {', '.join(shown)}{more}"
        matches.append(ColumnMatch(field, column, header[column], 0.99 if rank < 20 else 0.9, reason))
    return matches


def _by_likeness(header: list[str]) -> list[ColumnMatch]:
    found = []
    for column, text in enumerate(header):
        alike = None if place_of(text) else alike_to(text)
        if alike:
            field, known, likeness = alike
            reason = f"its header is like '{known}' ({likeness:.0f} of 100)"
            found.append(ColumnMatch(field, column, text, round(likeness / 125, 2), reason))
    return sorted(found, key=lambda match: -match.confidence)


def _by_content(header: list[str], sample: Sequence[list[str]]) -> list[ColumnMatch]:
    """The GTIN and the name by what columns hold: valid GTINs, and most different words."""
    found = []
    words: list[tuple[float, int]] = []
    for column in range(len(header)):
        values = values_of(column, sample)
        if valid := valid_gtins(values):
            reason = f"{valid} of {len(values)} values are valid GTINs"
            found.append(ColumnMatch("gtin", column, header[column], 0.9, reason))
        elif values:
            words.append((wordiness(values, rows=len(sample)), column))
    richest, column = max(words, default=(0.0, 0))
    if richest > 0:
        reason = "it has the most different words of all columns"
        found.append(ColumnMatch("name", column, header[column], 0.6, reason))
    return found


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
