"""The default model's data: one label a name, and a split that no name straddles."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lib.errors import ModelError
from lib.learning import usda

SHARED_TOOL = Path(__file__).resolve().parents[3] / "shared" / "tools" / "usda_split.py"


@pytest.mark.parametrize(
    ("name", "plain", "group"),
    [
        ("TOMATO KETCHUP", "tomato ketchup", "ketchup tomato"),
        ("Crème Brûlée, 6 x 100 g", "creme brulee 6 x 100 g", "brulee creme"),  # accents and a size
        ("KETCHUP, TOMATO 20 FL OZ", "ketchup tomato 20 fl oz", "ketchup tomato"),  # another word order
        ("COLA, COLA", "cola cola", "cola"),
        ("7UP", "7up", "up"),  # a digit that is no size
        ("12 OZ", "12 oz", ""),
    ],
)
def test_names_that_differ_in_sizes_and_word_order_share_a_group(name: str, plain: str, group: str) -> None:
    assert usda.plain(name) == plain
    assert usda.group_of(name) == group


@pytest.mark.parametrize(
    ("group", "split"), [("ketchup tomato", "val"), ("milk", "train"), ("oat porridge", "test"), ("cola", "val")]
)
def test_the_split_of_a_group_never_changes(group: str, split: str) -> None:
    assert usda.split_of(group) == split


def foods_of(*rows: tuple[str | None, str, str]) -> Any:
    """Enough foods for the labels Bread and Soda, and the rows given after them."""
    many = [(f"Loaf {word}", "branded_food", "Breads & Buns") for word in words()]
    many += [(f"Fizz {word}", "branded_food", "Soda") for word in words()]
    return pd.DataFrame([*many, *rows], columns=["foodName", "data_type", "food_category"])


def words() -> list[str]:
    return [first + second for first in "abcdefgh" for second in "abcdefg"][: usda.FEWEST_NAMES]


def labelled(*rows: tuple[str | None, str, str]) -> list[tuple[str, str, str]]:
    """What came of the rows given; the split is left out."""
    table = usda.labelled_names(foods_of(*rows))
    table = table[~table["name"].str.match(r"(Loaf|Fizz) ..$")]
    return list(table[["name", "label", "labels_seen"]].itertuples(index=False, name=None))


def test_a_name_gets_the_label_that_most_of_its_rows_have() -> None:
    rows = [("Pita", "branded_food", "Soda"), ("PITA!", "branded_food", "Breads & Buns")]
    assert labelled(*rows, ("pita", "branded_food", "Breads & Buns")) == [
        ("Pita", "Breads & Buns", "Breads & Buns|Soda")
    ]


def test_of_equally_frequent_labels_the_first_in_the_alphabet_wins() -> None:
    rows = [("Pita", "branded_food", "Soda"), ("Pita", "branded_food", "Breads & Buns")]
    assert labelled(*rows) == [("Pita", "Breads & Buns", "Breads & Buns|Soda")]


def test_the_second_schemes_categories_and_other_spellings_become_one_label() -> None:
    rows = [("Pita", "branded_food", "Bread"), ("Cola", "branded_food", "SODA ")]
    assert labelled(*rows) == [("Cola", "Soda", "Soda"), ("Pita", "Breads & Buns", "Breads & Buns")]


def test_only_branded_foods_with_a_name_and_a_category_of_many_names_are_kept() -> None:
    assert (
        labelled(
            ("Pita", "foundation_food", "Breads & Buns"),
            (None, "branded_food", "Breads & Buns"),
            ("12 oz", "branded_food", "Soda"),  # nothing but a size
            ("Caviar", "branded_food", "Rare Things"),
        )
        == []
    )


def test_a_missing_package_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usda, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install -r requirements\.txt"):
        usda.read_foods()


@pytest.mark.skipif(not SHARED_TOOL.exists(), reason="the benchmark's own split is not beside the repo")
def test_the_table_is_the_benchmarks_row_for_row() -> None:
    specification = importlib.util.spec_from_file_location("usda_split", SHARED_TOOL)
    assert specification and specification.loader
    tool = importlib.util.module_from_spec(specification)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the shared folder is read-only
    try:
        specification.loader.exec_module(tool)
    finally:
        sys.dont_write_bytecode = writes
    expected = tool.labelled_names().reset_index(drop=True)
    pd.testing.assert_frame_equal(usda.labelled_names(usda.read_foods()), expected)
