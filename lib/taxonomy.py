"""The tree of categories and the carbon figures of its leaves: config/categories.csv and config/emission_factors.csv.

Three levels: groups, subgroups, leaves; a product gets a leaf, or a parent when that is all one can be sure of.
config/categories.md says how to label by it and what the columns mean.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median

from lib.errors import SettingsError
from lib.settings import ROOT

CATEGORIES_FILE = ROOT / "config" / "categories.csv"
FACTORS_NAME = "emission_factors.csv"  # beside the categories
LEVELS = 3  # the last one holds the leaves
KINDS = ("direct", "proxy", "empty")

_COLUMNS = ("id", "parent", "level", "name", "definition", "examples", "not_it")
_FIGURES = ("kg_co2e_per_kg", "low", "high")
_SOURCES = ("source", "source_item", "year", "system_boundary", "method")
_FACTOR_COLUMNS = ("category", *_FIGURES, *_SOURCES, "range_item", "kind", "note")
_NUMBER = re.compile(r"\d{1,9}(?:\.\d+)?", re.ASCII)
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Factor:
    """What a kilogram of a leaf's products emits, by a published source."""

    kg_co2e_per_kg: float
    low: float
    high: float
    source: str
    source_items: tuple[str, ...]  # whose median is the figure
    range_items: tuple[str, ...]  # of the second source: they only widen the range
    year: int
    system_boundary: str
    kind: str  # 'direct', or 'proxy' where something alike stands for it
    note: str


@dataclass(frozen=True)
class FactorRange:
    """Carbon figures of all leaves below a category, in kg CO2e per kg; the median is over the leaves' figures."""

    low: float
    median: float
    high: float
    leaves: int  # how many leaves have a figure


@dataclass(frozen=True)
class Category:
    """A node of the tree; only leaves have a factor, and not all of them."""

    id: str
    parent: str  # '' for a group
    level: int  # from 1, a group, to 3, a leaf
    name: str
    definition: str
    examples: tuple[str, ...]
    not_it: tuple[str, ...]  # 'a product -> the id it goes to'
    factor: Factor | None = None


class Taxonomy:
    """The categories by id, in the file's order when iterated."""

    def __init__(self, categories: list[Category]) -> None:
        self._by_id = {category.id: category for category in categories}
        self._children: dict[str, list[Category]] = {}
        for node in categories:
            self._children.setdefault(node.parent, []).append(node)

    def __getitem__(self, category_id: str) -> Category:
        return self._by_id[category_id]

    def __contains__(self, category_id: object) -> bool:
        return category_id in self._by_id

    def __iter__(self) -> Iterator[Category]:
        return iter(self._by_id.values())

    @cached_property
    def leaves(self) -> tuple[Category, ...]:
        """All leaves, sorted by id, so that their order does not change when the file's does."""
        return tuple(sorted((node for node in self if node.level == LEVELS), key=lambda node: node.id))

    def children(self, category_id: str = "") -> tuple[Category, ...]:
        """The categories right below one, in the file's order; of '', the groups."""
        return tuple(self._children.get(category_id, ()))

    def parent(self, category_id: str) -> Category | None:
        """The category right above; None for a group."""
        return self._by_id.get(self[category_id].parent)

    def group(self, category_id: str) -> Category:
        """The group that holds a category; a group is its own."""
        above = self.parent(category_id)
        return self.group(above.id) if above else self[category_id]

    def leaves_of(self, category_id: str) -> tuple[Category, ...]:
        """The leaves below a category, in the file's order; a leaf is its own."""
        below = self.children(category_id)
        return tuple(leaf for child in below for leaf in self.leaves_of(child.id)) or (self[category_id],)

    def factor_range(self, category_id: str) -> FactorRange | None:
        """The carbon figures below a category; None where no leaf has one."""
        factors = [leaf.factor for leaf in self.leaves_of(category_id) if leaf.factor]
        if not factors:
            return None
        low, high = min(factor.low for factor in factors), max(factor.high for factor in factors)
        return FactorRange(low, median(factor.kg_co2e_per_kg for factor in factors), high, len(factors))


def read_taxonomy(path: Path = CATEGORIES_FILE) -> Taxonomy:
    """The categories of `path` with the factors of the file beside it; SettingsError says where a mistake is."""
    nodes: dict[str, tuple[str, Category]] = {}
    for at, row in _rows(path, _COLUMNS):
        category = _category(at, row)
        if category.id in nodes:
            raise SettingsError(f"{at}: the id {category.id!r} stands at {nodes[category.id][0]} too; keep one")
        nodes[category.id] = at, category
    for at, category in nodes.values():
        if category.parent and category.parent not in nodes:
            raise SettingsError(f"{at}: the parent {category.parent!r} of {category.id!r} is no category")
        level = nodes[category.parent][1].level + 1 if category.parent else 1
        if category.level != level:
            raise SettingsError(f"{at}: {category.id!r} is at level {category.level}; below its parent it is {level}")
        if category.level < LEVELS and all(other.parent != category.id for _, other in nodes.values()):
            raise SettingsError(f"{at}: {category.id!r} has no leaf; give it one or take it away")
    factors: dict[str, Factor | None] = {}
    for at, row in _rows(path.with_name(FACTORS_NAME), _FACTOR_COLUMNS):
        leaf = row["category"]
        if leaf not in nodes or nodes[leaf][1].level != LEVELS:
            raise SettingsError(f"{at}: {leaf!r} is no leaf of {path.name}")
        if leaf in factors:
            raise SettingsError(f"{at}: {leaf!r} has a row already; keep one")
        factors[leaf] = _factor(at, row)
    return Taxonomy([replace(category, factor=factors.get(category.id)) for _, category in nodes.values()])


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row with where it is ('file, line 7'), its cells stripped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise SettingsError(f"{path}, line 1: there is no column {missing[0]!r}; it is separated by commas")
            for row in reader:
                at = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise SettingsError(f"{at}: has more or fewer cells than the header; quote a cell with a comma")
                yield at, {column: row[column].strip() for column in columns}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None


def _category(at: str, row: dict[str, str]) -> Category:
    if not _ID.fullmatch(row["id"]):
        raise SettingsError(f"{at}: the id {row['id']!r} is not small letters and digits joined by hyphens")
    empty = [column for column in _COLUMNS[3:] if not row[column]]
    if empty:
        raise SettingsError(f"{at}: {row['id']!r} has no {empty[0]}")
    if row["level"] not in map(str, range(1, LEVELS + 1)):
        raise SettingsError(f"{at}: the level {row['level']!r} of {row['id']!r} is not 1 to {LEVELS}")
    examples, not_it = (_items(row[column]) for column in ("examples", "not_it"))
    return Category(row["id"], row["parent"], int(row["level"]), row["name"], row["definition"], examples, not_it)


def _factor(at: str, row: dict[str, str]) -> Factor | None:
    if row["kind"] not in KINDS:
        raise SettingsError(f"{at}: the kind {row['kind']!r} is not one of {', '.join(KINDS)}")
    if row["kind"] == "empty":
        filled = [column for column in (*_FIGURES, *_SOURCES) if row[column]]
        if filled:
            raise SettingsError(f"{at}: the kind is empty, but there is a {filled[0]}")
        return None
    for column in (*_FIGURES, "year"):
        if not _NUMBER.fullmatch(row[column]):
            raise SettingsError(f"{at}: {column} {row[column]!r} is not a number such as 12 or 0.45")
    figure, low, high = (float(row[column]) for column in _FIGURES)
    if not low <= figure <= high:
        raise SettingsError(f"{at}: {figure} is not between low {low} and high {high}")
    missing = [column for column in _SOURCES if not row[column]]
    if missing:
        raise SettingsError(f"{at}: there is no {missing[0]}; a figure needs its source")
    items, year = (_items(row["source_item"]), _items(row["range_item"])), int(float(row["year"]))
    return Factor(figure, low, high, row["source"], *items, year, row["system_boundary"], row["kind"], row["note"])


def _items(text: str) -> tuple[str, ...]:
    return tuple(item for item in map(str.strip, text.split(";")) if item)
