"""What a product's category says of its carbon: the figure per kg, its range and source, and the product's own mass.

Figures are those of config/emission_factors.csv. A volume becomes a mass by config/densities.csv, in kg per litre:
household measures of USDA's SR Legacy and FNDDS (one cup is 236.588 ml, a fluid ounce or two tablespoons 29.574 ml).
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import pyarrow as pa

from lib.errors import SettingsError
from lib.settings import ROOT
from lib.taxonomy import LEVELS, Taxonomy, read_taxonomy

DENSITIES_FILE = ROOT / "config" / "densities.csv"
LEVEL_NAMES = ("group", "subgroup", "leaf")
# Columns of the results; null where the category is none of the taxonomy's or has no figure.
CARBON_COLUMNS = {
    "category_name": pa.string(),
    "category_level": pa.string(),  # leaf; subgroup where only that is sure
    "kg_co2e_per_kg": pa.float64(),  # of a subgroup, the median of its leaves
    "kg_co2e_per_kg_low": pa.float64(),
    "kg_co2e_per_kg_high": pa.float64(),
    "kg_co2e_source": pa.string(),
    "parent_kg_co2e_per_kg_low": pa.float64(),  # over all leaves of the category above
    "parent_kg_co2e_per_kg_high": pa.float64(),
    "net_kg": pa.float64(),  # of one package: its weight, or its volume by the category's density
    "kg_co2e": pa.float64(),  # of one package
}


@dataclass(frozen=True)
class CarbonFigures:
    """What a category says; the fields are the first of CARBON_COLUMNS, and the density."""

    name: str | None = None
    level: str | None = None
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    source: str | None = None
    parent_low: float | None = None
    parent_high: float | None = None
    kg_per_l: float | None = None

    @property
    def spread(self) -> float:
        """How far the figure may be off, in kg CO2e per kg: the width of the parent's range, 0 where unknown."""
        return (self.parent_high or 0.0) - (self.parent_low or 0.0)


def carbon_table(
    categories: Sequence[str | None], *, grams: Sequence[float | None], millilitres: Sequence[float | None]
) -> pa.Table:
    """CARBON_COLUMNS for n products with their categories' ids and their packages' contents."""
    each = [figures_of(category) for category in categories]
    mass = [_mass(one, *content) for one, content in zip(each, zip(grams, millilitres, strict=True), strict=True)]
    told = [[getattr(one, field.name) for one in each] for field in fields(CarbonFigures) if field.name != "kg_per_l"]
    emitted = [
        None if kg is None or one.figure is None else round(kg * one.figure, 6)
        for kg, one in zip(mass, each, strict=True)
    ]
    columns = zip(CARBON_COLUMNS.items(), [*told, mass, emitted], strict=True)
    return pa.table({name: pa.array(values, kind) for (name, kind), values in columns})


def _mass(figures: CarbonFigures, grams: float | None, millilitres: float | None) -> float | None:
    """Kilograms of what a package holds, None where nothing tells."""
    if grams is not None:
        return grams / 1000
    if millilitres is None or figures.kg_per_l is None:
        return None
    return round(millilitres / 1000 * figures.kg_per_l, 6)


@cache
def figures_of(category: str | None) -> CarbonFigures:
    """A category's figures; all None where the taxonomy does not have it."""
    taxonomy = _taxonomy()
    if category is None or category not in taxonomy:
        return CarbonFigures()
    node = taxonomy[category]
    own, above = taxonomy.factor_range(category), taxonomy.factor_range(node.parent or category)
    source = f"{node.factor.source} ({node.factor.kind})" if node.factor else None
    if node.level < LEVELS and own:
        source = f"median of {own.leaves} categories below"
    return CarbonFigures(
        name=node.name,
        level=LEVEL_NAMES[node.level - 1],
        figure=node.factor.kg_co2e_per_kg if node.factor else own.median if own else None,
        low=own.low if own else None,
        high=own.high if own else None,
        source=source,
        parent_low=above.low if above else None,
        parent_high=above.high if above else None,
        kg_per_l=densities().get(category),
    )


@cache
def densities() -> dict[str, float]:
    """Kilograms per litre of the leaves that are sold by volume; SettingsError when the table is wrong."""
    found: dict[str, float] = {}
    try:
        with DENSITIES_FILE.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                where = f"{DENSITIES_FILE}, line {number}"
                leaf = row["category"]
                if leaf not in _taxonomy() or leaf in found:
                    raise SettingsError(f"{where}: {leaf!r} is no category, or stands there twice")
                found[leaf] = float(row["kg_per_l"])
                if not 0 < found[leaf] < np.inf:
                    raise SettingsError(f"{where}: {row['kg_per_l']!r} is not a density in kg per litre")
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"{DENSITIES_FILE}: cannot be read: {error}") from None
    return found


@cache
def _taxonomy() -> Taxonomy:
    return read_taxonomy()
