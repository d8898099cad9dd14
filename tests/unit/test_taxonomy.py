"""The taxonomy made for carbon: complete, apart where footprints are, and its figures those of the named sources."""

import csv
import re
from pathlib import Path
from statistics import median

import pytest

from lib.errors import SettingsError
from lib.settings import ROOT
from lib.taxonomy import CATEGORIES_FILE, FACTORS_NAME, KINDS, LEVELS, FactorRange, Taxonomy, read_taxonomy

SOURCES = ROOT.parent / "shared" / "data" / "factors"
# Groups without food, and the one leaf outside the others that is food.
NO_FOOD, STILL_FOOD = {"household", "care", "goods", "not-product"}, "food-unknown"

CATEGORIES = """\
id,parent,level,name,definition,examples,not_it
meat,,1,Meat,Of animals.,a; b; c,fish -> fish
red,meat,2,Red meat,Of cattle.,a; b; c,fish -> fish
beef,red,3,Beef,Of cattle.,a; b; c,lamb -> lamb
lamb,red,3,Lamb,Of sheep.,a; b; c,beef -> beef
veal,red,3,Veal,Of calves.,a; b; c,beef -> beef
fee,meat,2,Fees,"Money, no meat.",a; b; c,meat -> meat
tax,fee,3,Taxes,Money.,a; b; c,meat -> meat
"""
FACTORS = """\
category,kg_co2e_per_kg,low,high,source,source_item,range_item,year,system_boundary,kind,method,note
beef,30,27,34.5,A source,1; 2,Steak,2023,farm to plate,direct,median,
lamb,20,20,20,A source,3,,2023,farm to plate,proxy,median,Mutton.
tax,,,,,,,,,empty,,No food.
"""


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return read_taxonomy()


def written(folder: Path, *, categories: str = CATEGORIES, factors: str = FACTORS) -> Path:
    (folder / FACTORS_NAME).write_text(factors, "utf-8")
    path = folder / "categories.csv"
    path.write_text(categories, "utf-8")
    return path


def food_leaves(taxonomy: Taxonomy) -> list[str]:
    leaves = (leaf.id for leaf in taxonomy.leaves)
    return [leaf for leaf in leaves if leaf == STILL_FOOD or taxonomy.group(leaf).id not in NO_FOOD]


def factor_rows() -> dict[str, dict[str, str]]:
    with CATEGORIES_FILE.with_name(FACTORS_NAME).open(encoding="utf-8", newline="") as lines:
        return {row["category"]: row for row in csv.DictReader(lines)}


def test_there_are_180_to_260_leaves_on_the_third_of_three_levels(taxonomy: Taxonomy) -> None:
    assert 180 <= len(taxonomy.leaves) <= 260
    assert {node.level for node in taxonomy} == {1, 2, LEVELS}
    assert all(leaf.level == LEVELS and not taxonomy.children(leaf.id) for leaf in taxonomy.leaves)


def test_leaves_come_sorted_and_every_one_hangs_from_a_group(taxonomy: Taxonomy) -> None:
    assert [leaf.id for leaf in taxonomy.leaves] == sorted(leaf.id for leaf in taxonomy.leaves)
    hanging = [leaf.id for group in taxonomy.children() for leaf in taxonomy.leaves_of(group.id)]
    assert sorted(hanging) == [leaf.id for leaf in taxonomy.leaves]


def test_every_node_has_three_examples_that_no_other_leaf_has(taxonomy: Taxonomy) -> None:
    assert [node.id for node in taxonomy if len(set(node.examples)) != 3] == []
    examples = [example for leaf in taxonomy.leaves for example in leaf.examples]
    assert {example for example in examples if examples.count(example) > 1} == set()


def test_what_a_node_is_not_names_another_category(taxonomy: Taxonomy) -> None:
    for node in taxonomy:
        assert node.not_it
        for clause in node.not_it:
            product, arrow, category = clause.partition(" -> ")
            assert product and arrow and category in taxonomy and category != node.id, (node.id, clause)


def test_names_and_definitions_are_apart(taxonomy: Taxonomy) -> None:
    for texts in ([leaf.name for leaf in taxonomy.leaves], [leaf.definition for leaf in taxonomy.leaves]):
        assert len(set(texts)) == len(texts)


def test_the_rules_for_labelling_name_only_categories(taxonomy: Taxonomy) -> None:
    rules = CATEGORIES_FILE.with_suffix(".md").read_text("utf-8")
    named = {word for word in re.findall(r"`([a-z0-9-]+)`", rules) if word not in KINDS}
    assert len(named) > 30
    assert {word for word in named if word not in taxonomy} == set()


@pytest.mark.parametrize(
    "apart",
    [
        "beef veal lamb pork poultry game offal offal-beef sausage sausage-beef ham ham-dried mince-meatballs",
        "salmon fish-white fish-farmed fish-small crustaceans molluscs tuna-canned meat-substitute tofu",
        "milk oat-drink soy-drink nut-drink rice-drink cheese-hard cheese-fresh butter margarine milk-powder",
        "rice grains-cooked coffee coffee-drink tea tea-drink cocoa cocoa-drink beer wine spirits alcohol-free",
        "berries fruit-frozen fruit-canned fruit-dried tomatoes tomatoes-canned tomato-paste veg-frozen veg-dried",
        "meal-beef meal-pork meal-chicken meal-fish meal-vegetarian pizza-meat pizza-veg burger sandwich-veg",
        "cleaner paper-products soap pet-food-dry pet-food-wet cigarettes deposit fee-delivery not-a-product",
    ],
)
def test_what_differs_in_footprint_is_apart(taxonomy: Taxonomy, apart: str) -> None:
    leaves = {leaf.id for leaf in taxonomy.leaves}
    assert set(apart.split()) <= leaves


def test_every_food_leaf_has_a_figure_or_an_explicitly_empty_row(taxonomy: Taxonomy) -> None:
    assert sorted(factor_rows()) == food_leaves(taxonomy)
    empty = {leaf for leaf, row in factor_rows().items() if row["kind"] == "empty"}
    assert len(empty) < 10
    assert {leaf.id for leaf in taxonomy.leaves if leaf.factor} == set(food_leaves(taxonomy)) - empty
    assert all(factor_rows()[leaf]["note"] for leaf in empty)


@pytest.mark.skipif(not SOURCES.is_dir(), reason="needs ../shared/data/factors")
def test_every_figure_is_the_median_of_the_items_it_names_and_its_range_theirs(taxonomy: Taxonomy) -> None:
    agribalyse = figures("Agribalyse_Synthese.csv", "Code AGB", "Changement climatique")
    clark = figures("owid_clark2022_food_impacts.csv", "Entity", "ghg_kg")
    checked = 0
    for leaf in taxonomy.leaves:
        if not (factor := leaf.factor):
            continue
        assert factor.source.startswith(("Agribalyse", "Clark"))
        first = agribalyse if factor.source.startswith("Agribalyse") else clark
        taken = [first[item] for item in factor.source_items]
        seen = taken + [clark[item] for item in factor.range_items]
        figure = (factor.kg_co2e_per_kg, factor.low, factor.high)
        assert figure == pytest.approx((median(taken), min(seen), max(seen)), abs=0.0051), leaf.id
        checked += 1
    assert checked > 200


def figures(name: str, key: str, value: str) -> dict[str, float]:
    with (SOURCES / name).open(encoding="utf-8-sig", newline="") as lines:
        return {row[key]: float(row[value]) for row in csv.DictReader(lines)}


def test_parents_groups_and_children_are_found(tmp_path: Path) -> None:
    tree = read_taxonomy(written(tmp_path))
    assert [node.id for node in tree] == ["meat", "red", "beef", "lamb", "veal", "fee", "tax"]
    assert [leaf.id for leaf in tree.leaves] == ["beef", "lamb", "tax", "veal"]
    assert [node.id for node in tree.children("red")] == ["beef", "lamb", "veal"]
    assert [node.id for node in tree.children()] == ["meat"]
    above = tree.parent("beef")
    assert above and above.id == "red"
    assert tree.parent("meat") is None
    assert tree.group("beef").id == tree.group("meat").id == "meat"
    assert "beef" in tree and "pork" not in tree
    assert tree["beef"].examples == ("a", "b", "c")


def test_a_parent_has_the_range_of_its_leaves_and_their_median(tmp_path: Path) -> None:
    tree = read_taxonomy(written(tmp_path))
    assert tree.factor_range("meat") == FactorRange(low=20, median=25, high=34.5, leaves=2)
    assert tree.factor_range("beef") == FactorRange(low=27, median=30, high=34.5, leaves=1)
    assert tree.factor_range("fee") is None
    assert (tree["veal"].factor, tree["tax"].factor) == (None, None)
    factor = tree["beef"].factor
    assert factor and (factor.source_items, factor.range_items, factor.year) == (("1", "2"), ("Steak",), 2023)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("beef,red,3", "beef,blue,3", "line 4: the parent 'blue' of 'beef' is no category"),
        ("lamb,red,3", "beef,red,3", "line 5: the id 'beef' stands at "),
        ("lamb,red,3", "lamb,red,2", "line 5: 'lamb' is at level 2; below its parent it is 3"),
        ("lamb,red,3", "lamb,beef,3", "line 5: 'lamb' is at level 3; below its parent it is 4"),
        ("lamb,red,3", "lamb,red,leaf", "line 5: the level 'leaf' of 'lamb' is not 1 to 3"),
        ("lamb,red,3", "Lamb chops,red,3", "line 5: the id 'Lamb chops' is not small letters"),
        ("Of sheep.", " ", "line 5: 'lamb' has no definition"),
        ("tax,fee,3", "tax,red,3", "line 7: 'fee' has no leaf"),
        ('"Money, no meat."', "Money, no meat.", "line 7: has more or fewer cells than the header"),
        ("id,parent", "id;parent", "line 1: there is no column 'id'"),
    ],
)
def test_a_mistake_in_the_categories_gets_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert CATEGORIES.count(old) == 1
    path = written(tmp_path, categories=CATEGORIES.replace(old, new))
    with pytest.raises(SettingsError) as raised:
        read_taxonomy(path)
    assert f"{path}, {said}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("30,27,34.5", "ca. 30,27,34.5", "line 2: kg_co2e_per_kg 'ca. 30' is not a number such as 12 or 0.45"),
        ("30,27,34.5", "30,27,-1", "line 2: high '-1' is not a number"),
        ("30,27,34.5", "35,27,34.5", "line 2: 35.0 is not between low 27.0 and high 34.5"),
        ("30,27,34.5", "30,31,34.5", "line 2: 30.0 is not between low 31.0 and high 34.5"),
        ("A source,1; 2", ",1; 2", "line 2: there is no source; a figure needs its source"),
        ("Steak,2023", "Steak,soon", "line 2: year 'soon' is not a number"),
        ("proxy", "guess", "line 3: the kind 'guess' is not one of direct, proxy, empty"),
        ("lamb,20", "beef,20", "line 3: 'beef' has a row already"),
        ("lamb,20", "red,20", "line 3: 'red' is no leaf of categories.csv"),
        ("tax,,", "tax,1,", "line 4: the kind is empty, but there is a kg_co2e_per_kg"),
    ],
)
def test_a_mistake_in_the_factors_gets_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert FACTORS.count(old) == 1
    path = written(tmp_path, factors=FACTORS.replace(old, new))
    with pytest.raises(SettingsError) as raised:
        read_taxonomy(path)
    assert f"{path.with_name(FACTORS_NAME)}, {said}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_no_text_gets_one_line(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.with_name(FACTORS_NAME).unlink()
    with pytest.raises(SettingsError, match=r"emission_factors\.csv: cannot be read"):
        read_taxonomy(path)
    path.write_bytes(b"id,parent\xff")
    with pytest.raises(SettingsError, match=r"categories\.csv: cannot be read"):
        read_taxonomy(path)
