"""Numbers and units of measure as customers write them: '1,5', '0.75 kg', 'KGM'."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache

from lib.errors import SettingsError
from lib.settings import ROOT

UNITS_FILE = ROOT / "config" / "units.toml"

_MEASURE = re.compile(r"^\s*(?P<number>[-+]?[\d.,\s\u00a0\u202f']*\d)\s*(?P<unit>[^\W\d_]\D*?)?\s*$")


@dataclass(frozen=True)
class Unit:
    """A unit of measure; one of grams and millilitres is set for a mass or a volume, none for pieces and packs."""

    name: str
    grams: float | None
    millilitres: float | None


def parse_number(text: str) -> float | None:
    """A number with decimal comma or point, or None.

    Of two different separators the last is the decimal mark; one that repeats separates thousands; a single one is
    the decimal mark, so '1,234' is 1.234, as kilograms are written.
    """
    digits = re.sub(r"[\s\u00a0\u202f']", "", text)
    if not re.fullmatch(r"[-+]?\d+(?:[.,]\d+)*|[-+]?[.,]\d+", digits):
        return None
    marks = [letter for letter in digits if letter in ".,"]
    decimal = marks[-1] if marks and marks.count(marks[-1]) == 1 else ""
    whole, _, fraction = digits.rpartition(decimal) if decimal else (digits, "", "")
    whole = whole.replace(".", "").replace(",", "")
    return float(f"{whole or '0'}.{fraction or '0'}") if whole not in ("-", "+") else float(f"{whole}0.{fraction}")


def parse_measure(text: str) -> tuple[float | None, str]:
    """A number and the unit written behind it: '0,75 l' is (0.75, 'l'); (None, '') when it does not begin with one."""
    if text.isascii() and text.isdigit():
        return float(text), ""  # most quantities
    found = _MEASURE.match(text)
    if not found:
        return None, ""
    return parse_number(found["number"]), found["unit"] or ""


@lru_cache(maxsize=4096)
def unit_of(text: str) -> Unit | None:
    """The unit a customer means, or None when it is not in config/units.toml."""
    return _units().get(_key(text))


def _key(text: str) -> str:
    return re.sub(r"\s+", "", text.casefold()).removesuffix(".")


@cache
def _units() -> dict[str, Unit]:
    try:
        table = tomllib.loads(UNITS_FILE.read_text("utf-8"))
        units: dict[str, Unit] = {}
        for name, entry in table.items():
            unit = Unit(name, entry.get("g"), entry.get("ml"))
            for written in entry["names"]:
                if units.setdefault(_key(written), unit) != unit:
                    raise SettingsError(f"{UNITS_FILE}: {written!r} stands under two units; keep one")
        return units
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise SettingsError(f"{UNITS_FILE}: cannot be read: {error}") from None
