"""A category's carbon figure, its range and source, and the mass of a product sold by volume."""

from pathlib import Path

import pytest

from lib import carbon
from lib.carbon import CARBON_COLUMNS, carbon_table, densities, figures_of
from lib.errors import SettingsError
from lib.taxonomy import read_taxonomy


def test_a_leaf_says_its_figure_and_its_parents_range() -> None:
    taxonomy = read_taxonomy()
    factor = taxonomy["milk"].factor
    assert factor is not None
    (row,) = carbon_table(["milk"], grams=[None], millilitres=[1000.0]).to_pylist()
    assert (row["category_name"], row["category_level"]) == ("Milk", "leaf")
    assert row["kg_co2e_per_kg"] == factor.kg_co2e_per_kg
    assert row["kg_co2e_source"] == f"{factor.source} (direct)"
    above = taxonomy.factor_range(taxonomy["milk"].parent)
    assert above is not None
    assert (row["parent_kg_co2e_per_kg_low"], row["parent_kg_co2e_per_kg_high"]) == (above.low, above.high)
    assert row["net_kg"] == 1.03
    assert row["kg_co2e"] == pytest.approx(1.03 * factor.kg_co2e_per_kg, abs=1e-6)


def test_a_subgroup_says_the_median_of_its_leaves_and_their_range() -> None:
    figures, below = figures_of("dairy-milk"), read_taxonomy().factor_range("dairy-milk")
    assert below is not None
    assert (figures.level, figures.figure, figures.low, figures.high) == (
        "subgroup", below.median, below.low, below.high,
    )  # fmt: skip
    assert figures.source == f"median of {below.leaves} categories below"


@pytest.mark.parametrize(
    ("category", "grams", "millilitres", "net_kg"),
    [
        pytest.param("beef", 500.0, None, 0.5, id="a weight is a weight"),
        pytest.param("oil-olive", None, 500.0, 0.455, id="a volume by the density"),
        pytest.param("milk", 250.0, 1000.0, 0.25, id="a weight comes before a volume"),
        pytest.param("beef", None, 500.0, None, id="beef has no density"),
        pytest.param(None, 500.0, None, 0.5, id="no category"),
    ],
)
def test_the_mass_of_a_package(
    category: str | None, grams: float | None, millilitres: float | None, net_kg: float | None
) -> None:
    table = carbon_table([category], grams=[grams], millilitres=[millilitres])
    assert table["net_kg"].to_pylist() == [net_kg]


@pytest.mark.parametrize("category", ["laundry", "no such category", None])
def test_what_has_no_figure_gets_none(category: str | None) -> None:
    (row,) = carbon_table([category], grams=[100.0], millilitres=[None]).to_pylist()
    assert (row["kg_co2e_per_kg"], row["kg_co2e"], row["kg_co2e_source"]) == (None, None, None)


def test_no_products_make_an_empty_table() -> None:
    table = carbon_table([], grams=[], millilitres=[])
    assert table.column_names == list(CARBON_COLUMNS)
    assert table.num_rows == 0


def test_every_drink_and_oil_has_a_density() -> None:
    taxonomy = read_taxonomy()
    powders = {"coffee", "coffee-instant", "tea", "cocoa", "cocoa-drink"}
    liquid = {leaf.id for group in ("drinks", "alcohol") for leaf in taxonomy.leaves_of(group)} - powders
    assert liquid | {"milk", "oil-olive", "oil-seed"} <= set(densities())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param("no-such,1.0,x", "line 2: 'no-such' is no category", id="unknown category"),
        pytest.param("milk,heavy,x", "could not convert", id="no number"),
        pytest.param("milk,0,x", "'0' is not a density", id="zero"),
    ],
)
def test_a_mistake_in_the_densities_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str, message: str
) -> None:
    path = tmp_path / "densities.csv"
    path.write_text(f"category,kg_per_l,measure\n{row}\n")
    monkeypatch.setattr(carbon, "DENSITIES_FILE", path)
    densities.cache_clear()
    try:
        with pytest.raises(SettingsError, match=message):
            densities()
    finally:
        densities.cache_clear()
