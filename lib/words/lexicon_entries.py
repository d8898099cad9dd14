"""The rows of config/lexicon: words of ten languages, their English, and the category they go to by themselves."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lib.errors import SettingsError
from lib.settings import ROOT
from lib.taxonomy import read_taxonomy

LEXICON = ROOT / "config" / "lexicon"
ENGLISH = "en"
COLUMNS = ["term", "english", "category", "kind"]
BRAND = "brand"  # a kind; there is no other
# Marks: a brand, a word that does not decide what a product is, and one that does.
IS_BRAND, IS_NEUTRAL, IS_PRODUCT = "!", "?", "."
# What other products mostly taste of: behind a brand (`Fanta Jordgubb`) words of these leaves do not say what it is.
FLAVOURS = {
    *("apples-pears", "avocado", "bananas", "berries", "cheese-fresh", "cheese-hard", "cheese-soft", "citrus", "cocoa"),
    *(
        "fruit-mixed",
        "herbs",
        "honey",
        "nuts",
        "onions",
        "peanuts",
        "peppers",
        "salt",
        "seeds",
        "spices",
        "stone-fruit",
    ),
    *("sugar", "tropical-fruit", "vinegar"),
}


@dataclass(frozen=True)
class Entry:
    """A row of a lexicon."""

    language: str
    term: str
    english: str
    category: str  # '' for a word that does not decide alone
    kind: str = ""

    @property
    def mark(self) -> str:
        """What its English is marked with in Meanings."""
        if self.kind == BRAND and not _speaks_always(self.category):
            return IS_BRAND
        return IS_PRODUCT if self.category and self.category not in FLAVOURS else IS_NEUTRAL


@cache
def _speaks_always(category: str) -> bool:
    """Whether a brand of a category says what a product is, whatever food its name names: `Whiskas salmon`."""
    if not category:
        return False
    taxonomy = read_taxonomy()
    groups = ("household", "care", "goods", "special-food", "plant")
    return category == "alcohol-free" or (category in taxonomy and taxonomy.group(category).id in groups)


def read_entries(folder: Path = LEXICON) -> list[Entry]:
    """The rows of all languages' files, by language; SettingsError says where a mistake is."""
    entries: list[Entry] = []
    for path in sorted(folder.glob("*.csv")):
        seen: set[str] = set()
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True)
                header = next(reader, [])
                if header not in (COLUMNS, COLUMNS[:3]):
                    raise SettingsError(f"{path}, line 1: the columns are not {','.join(COLUMNS)}")
                for row in reader:
                    where = f"{path}, line {reader.line_num}"
                    if len(row) != len(header) or not row[0].strip() or not row[1].strip():
                        raise SettingsError(f"{where}: needs a term, its English and a category, which may be empty")
                    if row[3:] not in ([], [""], [BRAND]):
                        raise SettingsError(f"{where}: the kind {row[3]!r} is neither empty nor {BRAND!r}")
                    entry = Entry(path.stem, *(cell.strip() for cell in row))
                    if entry.term.casefold() in seen:
                        raise SettingsError(f"{where}: {entry.term!r} stands there twice; keep one")
                    seen.add(entry.term.casefold())
                    entries.append(entry)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SettingsError(f"{path}: cannot be read: {error}") from None
    if not entries:
        raise SettingsError(f"{folder}: there is no lexicon, a file such as sv.csv")
    return entries
