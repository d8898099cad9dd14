"""Numbers, decimal marks and units of measure as customers write them: '1,5', '0.75 kg', 'KGM'."""

import math
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from lib.errors import SettingsError
from lib.settings import ROOT

UNITS_FILE = ROOT / "config" / "units.toml"

# Between groups of three digits: blanks as they are typed and typeset, and the Swiss apostrophe.
_BLANKS = " \u00a0\u2009\u202f'’"
_BLANK = re.compile(f"[{_BLANKS}]")
_GROUPED = re.compile(rf"\d{{1,3}}(?:[{_BLANKS}]\d{{3}})+(?!\d)")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*|[.,]\d+")
_SIGNED = re.compile(r"\s*(?P<sign>[-+−]?)\s?(?P<digits>[.,\d](?:[^()]*\d)?)(?P<behind>[-−]?)\s*")
_MEASURE = re.compile(rf"\s*(?P<number>[-+−]?(?:[\d.,]|[{_BLANKS}](?=\d))*\d)\s*(?P<unit>%|[^\W\d_]\D*?)?\s*")
_MARKED = re.compile(rf"(?<![\d.,])\d+(?:[.,{_BLANKS}]\d+)*")
_COUNTED = {1: "one digit", 2: "two digits", 3: "three digits", 4: "four digits"}
_MARKS = {".": "point", ",": "comma"}


@dataclass(frozen=True)
class Unit:
    """A unit of measure; one of grams and millilitres is set for a mass or a volume, none for pieces and packs."""

    name: str
    grams: float | None
    millilitres: float | None


def parse_number(text: str, *, decimal: str = "") -> float | None:
    """A plain number with decimal comma or point, or None; no unit, percent or currency sign.

    Thousands are set apart by blanks, apostrophes, or the mark that is not the decimal one, and come in threes (in
    twos before the last three, as in India): '12.05.2023' is no number. Negative are -12, 12- and (12).
    `decimal` is the column's mark (see decimal_mark); what cannot be thousands is still read by its own mark, so
    '10.48' is 10.48 even beside '0,75'. Without it, of two different separators the last is the decimal mark; one
    that repeats separates thousands; a single one is the decimal mark, so '1,234' is 1.234, as kilograms are written.
    """
    bracketed = text.strip()
    negative = bracketed.startswith("(") and bracketed.endswith(")")
    found = _SIGNED.fullmatch(bracketed[1:-1] if negative else text)
    if not found or negative + bool(found["sign"]) + bool(found["behind"]) > 1:
        return None
    value = _unsigned(found["digits"].rstrip(), decimal)
    if value is None:
        return None
    return -value if negative or found["behind"] or found["sign"] in ("-", "−") else value


def _unsigned(text: str, decimal: str) -> float | None:
    grouped = _GROUPED.match(text)
    if grouped:
        text = _BLANK.sub("", grouped[0]) + text[grouped.end() :]
    if not _DIGITS.fullmatch(text):
        return None
    marks = [letter for letter in text if letter in ".,"]
    last = marks[-1] if marks else ""
    single = len(marks) == 1 and not grouped and decimal not in ("", last) and _in_threes(text, last)
    whole, fraction = text, ""
    if last and marks.count(last) == 1 and not single:
        whole, _, fraction = text.rpartition(last)
    thousands = [letter for letter in whole if letter in ".,"]
    if thousands and (grouped or len(set(thousands)) > 1 or not _in_threes(whole, thousands[0])):
        return None
    value = float(f"{whole.replace('.', '').replace(',', '') or '0'}.{fraction or '0'}")
    return value if math.isfinite(value) else None


def _in_threes(text: str, mark: str) -> bool:
    """Whether a mark stands as a thousands separator does."""
    first, *groups = text.split(mark)
    return (
        1 <= len(first) <= 3 and first[0] != "0" and len(groups[-1]) == 3 and all(len(g) in (2, 3) for g in groups[:-1])
    )


def decimal_mark(values: Iterable[str]) -> tuple[str, str]:
    """The decimal mark of a column, '.' or ',', from a sample of its cells, and the reason in plain words.

    Cells may hold units, signs and several numbers ('6 x 0,33 l'). A mark with other than three digits behind it, with
    a zero or more than three digits before it, or behind the other mark, can only be a decimal mark; one that
    repeats in threes separates thousands. The mark with more such cells wins. When all have exactly three
    digits behind ('1,234'), it is thousands if smaller numbers stand there without a mark, else a decimal mark.
    """
    votes: dict[str, list[str]] = {".": [], ",": []}  # the numbers that speak for each
    open_ones: dict[str, list[str]] = {".": [], ",": []}  # '1,234', which may be either
    bare, total = 0, 0
    for value in values:
        cast = set()
        total += bool(value.strip())
        for number in _MARKED.findall(value):
            mark, sure = _evidence(number)
            if not mark:
                bare += number.isdigit() and len(number) <= 3
            elif mark not in cast:
                (votes if sure else open_ones)[mark].append(number)
                cast.add(mark)
    mark = max(".,", key=lambda one: len(votes[one]))  # of equals the point
    other = "," if mark == "." else "."
    if votes[mark]:
        reason = f"{_shape(votes[mark][0], mark)}; such are {len(votes[mark])} of {total} values"
        return mark, reason + (f"; {len(votes[other])} would have the {_MARKS[other]}" if votes[other] else "")
    mark = max(".,", key=lambda one: len(open_ones[one]))
    other = "," if mark == "." else "."
    if not open_ones[mark]:
        return ".", f"none of {total} values has a decimal mark"
    example = f"'{open_ones[mark][0]}' has a {_MARKS[mark]} with three digits behind it"
    if bare:
        return other, f"{example}, and numbers below 1000 have none: it separates thousands"
    return mark, f"{example}, and every number has one: it is taken for the decimal mark"


def _evidence(number: str) -> tuple[str, bool]:
    """The decimal mark a number speaks for, '' for none, and whether it can be nothing else."""
    spaced = bool(_BLANK.search(number))
    marks = [letter for letter in number if letter in ".,"]
    if not marks or _unsigned(number, "") is None:
        return "", False
    last = marks[-1]
    if len(marks) == 1:
        return last, spaced or not _in_threes(number, last)
    return (last, True) if marks.count(last) == 1 else ("," if last == "." else ".", True)


def _shape(number: str, mark: str) -> str:
    before, found, behind = number.rpartition(mark)
    if not found:
        return f"'{number}' has a repeated {_MARKS[',' if mark == '.' else '.']}, which separates thousands"
    count = _COUNTED.get(len(behind), f"{len(behind)} digits")
    if "." in before or "," in before:
        return f"'{number}' has a {_MARKS[mark]} behind the other mark"
    return f"'{number}' has a {_MARKS[mark]} with {count} behind it"


def parse_measure(text: str, *, decimal: str = "") -> tuple[float | None, str]:
    """A number and the unit written behind it: '0,75 l' is (0.75, 'l'); (None, '') when it does not begin with one.

    A percentage is a number with the unit '%', which config/units.toml does not know: as a size it is refused by name.
    """
    if text.isascii() and text.isdigit():
        return parse_number(text), ""  # most quantities
    found = _MEASURE.fullmatch(text)
    if not found:
        return parse_number(text, decimal=decimal), ""  # (12), 12-
    return parse_number(found["number"], decimal=decimal), found["unit"] or ""


@lru_cache(maxsize=4096)
def unit_of(text: str) -> Unit | None:
    """The unit a customer means, or None when it is not in config/units.toml."""
    return _units().get(_key(text))


@cache
def written_units() -> dict[str, Unit]:
    """Every way of writing a unit that config/units.toml has, casefolded, with its unit."""
    return {" ".join(written.casefold().split()): unit for unit, names in _table() for written in names}


def _key(text: str) -> str:
    return re.sub(r"\s+", "", text.casefold()).removesuffix(".")


@cache
def _units() -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for unit, names in _table():
        for written in names:
            if units.setdefault(_key(written), unit) != unit:
                raise SettingsError(f"{UNITS_FILE}: {written!r} stands under two units; keep one")
    return units


@cache
def _table() -> list[tuple[Unit, list[str]]]:
    try:
        table = tomllib.loads(UNITS_FILE.read_text("utf-8"))
        return [(Unit(name, entry.get("g"), entry.get("ml")), list(entry["names"])) for name, entry in table.items()]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise SettingsError(f"{UNITS_FILE}: cannot be read: {error}") from None
