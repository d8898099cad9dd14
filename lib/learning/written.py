"""Names written by hand to learn from: config/names/*.csv, products as shops, price lists and receipts print them."""

import csv
from dataclasses import dataclass
from pathlib import Path

from lib.errors import SettingsError
from lib.settings import ROOT
from lib.taxonomy import read_taxonomy
from lib.words.lexicon_entries import ENGLISH

NAMES = ROOT / "config" / "names"
COLUMNS = ["name", "category"]


@dataclass(frozen=True)
class Written:
    """A row of one of the files."""

    name: str
    category: str  # a leaf
    is_english: bool  # whether its words need no translation


def read_written(folder: Path = NAMES) -> list[Written]:
    """The rows of all files, by file; SettingsError says where a mistake is. None without the folder."""
    leaves = {leaf.id for leaf in read_taxonomy().leaves}
    found: list[Written] = []
    for path in sorted(folder.glob("*.csv")):
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True)
                if next(reader, []) != COLUMNS:
                    raise SettingsError(f"{path}, line 1: the columns are not {','.join(COLUMNS)}")
                for row in reader:
                    where = f"{path}, line {reader.line_num}"
                    if len(row) != len(COLUMNS) or not row[0].strip():
                        raise SettingsError(f"{where}: needs a name and its category")
                    if row[1].strip() not in leaves:
                        raise SettingsError(f"{where}: the category {row[1]!r} is no leaf")
                    found.append(Written(row[0].strip(), row[1].strip(), path.stem == ENGLISH))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SettingsError(f"{path}: cannot be read: {error}") from None
    return found
