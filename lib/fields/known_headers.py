"""The headers we know by config/columns.toml, and which of our fields a customer's header stands for."""

import re
import tomllib
import unicodedata
from functools import cache

from lib.errors import SettingsError
from lib.quantities import Unit, unit_of
from lib.records import FIELDS
from lib.settings import ROOT

COLUMNS_FILE = ROOT / "config" / "columns.toml"


# How alike a header must be to a known one, from 0 to 100 (rapidfuzz's ratio of folded texts of 5 letters or more).
ALIKE, ALIKE_LETTERS = 86, 5
# A text that is longer is no header.
LONGEST_HEADER = 200
# 'Gewicht in kg', 'vikt i gram', 'poids en kg', 'waga w kg'
_IN = {"in", "i", "en", "w"}
# What a record is called that holds a product's fields, and the part of a field that is its value.
_HOLDERS = {
    "product",
    "item",
    "article",
    "data",
    "attributes",
    "fields",
    "identifiers",
    "details",
    "node",
    "record",
    "orderdetails",
}
_VALUES = {"value", "amount", "code"}
# Two letters that changed places are that likely a slip, in short words too: 'Brnad' for 'Brand'.
SWAPPED = 90
_LEVEL = re.compile(
    r"(.*?)[\s_.-]*(?:level|lvl|lev|l|nivå|niveau|nivel|livello|ebene|stufe|taso|poziom)?[\s_.-]*([1-9])", re.I
)


def folded(header: str) -> str:
    """A header without case, accents, punctuation and spaces: 'Art.-Nr.' and 'art nr' are both 'artnr'."""
    # Letters that NFKD does not take apart, as they are spelled where they are missing.
    text = header.casefold().replace("ø", "o").replace("æ", "ae").replace("ł", "l").replace("đ", "d")
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if letter.isalnum())


@cache
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
    before = words[:-2] if len(words) > 2 and words[-2].lower() in _IN else words[:-1]
    return " ".join(before), unit


def field_of(header: str) -> str | None:
    """Our field that a header stands for by config/columns.toml, with or without a unit behind it."""
    found = place_of(header)
    return found[0] if found else None


def place_of(header: str) -> tuple[str, int] | None:
    """The same, with the place in the field's list, best first."""
    if len(header) > LONGEST_HEADER:
        return None
    known = known_headers()
    found = known.get(folded(header)) or known.get(folded(split_unit(header)[0]))
    found = found or _place_of_parts(header)
    if not found and (level := _LEVEL.fullmatch(header.strip())):
        of_all_levels = known.get(folded(level[1]))
        found = of_all_levels if of_all_levels and of_all_levels[0] == "customer_category" else None
    if found or "." not in header:
        return found
    # A path in JSON: 'article.title' and 'net_weight.value' are the title and the net weight.
    steps = header.split(".")
    while len(steps) > 1 and _is_holder(folded(steps[0])):
        steps = steps[1:]
    if len(steps) > 1 and folded(steps[-1]) in _VALUES:
        steps = steps[:-1]
    return known.get(folded("".join(steps)))


def _is_holder(step: str) -> bool:
    """Whether a step is a record's or a part's of one: 'item', 'PRODUCT_DETAILS'."""
    return step in _HOLDERS or step.removeprefix("product").removeprefix("article") in _HOLDERS


def level_of(header: str) -> int:
    """The level of a category that its header ends with, 0 without one: 2 of 'CATEGORY_L2'."""
    level = _LEVEL.fullmatch(header.strip())
    return int(level[2]) if level else 0


def _place_of_parts(header: str) -> tuple[str, int] | None:
    """The place of 'Nimi / Namn', the same in two languages, or of 'Brand (optional)', with a remark behind."""
    before, bracket, remark = re.sub(r"\[", "(", header).partition("(")
    if bracket and before.strip():
        found, other = known_headers().get(folded(before)), known_headers().get(folded(remark))
        return found if found and (other is None or other[0] == found[0]) else None
    places = [known_headers().get(folded(part)) for part in re.split(r"[/|\n]", header)]
    known = [place for place in places if place]
    same = len(known) == len(places) > 1 and len({field for field, _ in known}) == 1
    return min(known, key=lambda place: place[1]) if same else None


def near_field_of(header: str) -> str | None:
    """Our field that a header stands for, if need be by likeness: 'Prodct name' is the name."""
    alike = alike_to(header)
    return field_of(header) or (alike[0] if alike else None)


def alike_to(header: str) -> tuple[str, str, float] | None:
    """The field of the known header most like this one, that header folded, and how alike they are."""
    # Not above: a batch's task imports this module too.
    from rapidfuzz import fuzz, process
    from rapidfuzz.distance import OSA

    key = folded(header[:LONGEST_HEADER])
    known = {text: field for text, (field, _) in known_headers().items() if len(text) >= ALIKE_LETTERS}
    if not ALIKE_LETTERS <= len(key) <= 60:
        return None
    if alike := process.extractOne(key, known.keys(), scorer=fuzz.ratio, score_cutoff=ALIKE):
        return known[alike[0]], alike[0], alike[1]
    swapped = process.extractOne(key, known.keys(), scorer=OSA.distance, score_cutoff=1)
    if swapped and sorted(swapped[0]) == sorted(key):
        return known[swapped[0]], swapped[0], SWAPPED
    return None
