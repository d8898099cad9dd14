"""The crosswalk from GS1's and Open Food Facts' trees: what a node without a row of its own inherits."""

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest

from lib.errors import SettingsError
from lib.learning.crosswalk_nodes import read_nodes
from lib.settings import ROOT
from lib.taxonomy import read_taxonomy

TREES = ROOT.parent / "shared" / "data" / "taxonomy"
LEVELS = ("segment", "family", "class", "brick")


@pytest.mark.parametrize(
    ("path", "category"),
    [
        (["10005786", "50240200", "50240000", "50000000"], "beef"),
        (["beef - unprepared/unprocessed", "50240200", "50240000", "50000000"], "beef"),
        (["A brick of next year", "50250700", "50250000", "50000000"], "bananas"),
        (["10000159", "50202200", "50200000", "50000000"], "beer"),
        (["10000263", "50202200", "50200000", "50000000"], "spirits"),
        (["Bricks of next year", "Class of next year", "50210000", "50000000"], "tobacco"),
        (["10006314", "50191500", "50190000", "50000000"], ""),
        (["94020100", "94020000", "94000000"], ""),
    ],
)
def test_a_node_of_gpc_takes_its_nearest_ancestors_category(path: list[str], category: str) -> None:
    parents = {child: [parent] for child, parent in pairwise(path)}
    assert read_nodes("gpc").category_of(path[0], parents) == category


def test_of_equally_near_ancestors_the_first_in_the_file_counts() -> None:
    parents = {
        "en:sardines-in-olive-oil": ["en:sardines", "en:canned-fishes"],
        "en:sardines": ["en:fatty-fishes", "en:sardines-in-olive-oil"],
        "en:canned-fishes": ["en:canned-foods", "en:fishes"],
        "xx:only-in-a-circle": ["xx:circle"],
        "xx:circle": ["xx:only-in-a-circle"],
    }
    off = read_nodes("off")
    assert off.category_of("en:sardines-in-olive-oil", parents) == "fish-canned"
    assert off.category_of("en:sardines", parents) == "fish-small"
    assert off.category_of("xx:only-in-a-circle", parents) == ""


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        ("en:teas,teas\n", 2, "'teas' is not in config/categories.csv"),
        ("en:teas,tea\nen:teas,tea\n", 3, "stands above already"),
        (",tea\n", 2, "is empty"),
        ("en:teas\n", 2, "needs 2 cells"),
    ],
)
def test_a_mistake_names_the_file_and_its_line(tmp_path: Path, rows: str, line: int, says: str) -> None:
    (tmp_path / "off.csv").write_text("id,category\n" + rows)
    with pytest.raises(SettingsError) as error:
        read_nodes("off", to=tmp_path)
    assert f"off.csv line {line}: " in str(error.value)
    assert says in str(error.value)


@pytest.mark.skipif(not TREES.is_dir(), reason="the trees are not part of the project")
def test_nearly_every_food_of_gpc_has_a_category() -> None:
    path: list[str] = []
    parents: dict[str, list[str]] = {}
    bricks: list[str] = []
    for row in (TREES / "gs1_gpc_hier.tsv").read_text("utf-8").splitlines():
        code, _, text = row.split("\t")
        level = LEVELS.index(text.rstrip(")").rsplit(" ", 1)[-1])
        path = [*path[:level], code]
        parents[code] = path[-2:-1]
        if path[0] == "50000000" and level == len(LEVELS) - 1:
            bricks.append(code)
    gpc, taxonomy = read_nodes("gpc"), read_taxonomy()
    found = [gpc.category_of(brick, parents) for brick in bricks]
    assert len(bricks) > 700
    assert sum(map(bool, found)) / len(bricks) > 0.98
    assert sum(category in taxonomy and taxonomy[category].level == 3 for category in found) / len(bricks) > 0.8


@pytest.mark.skipif(not TREES.is_dir(), reason="the trees are not part of the project")
def test_nearly_every_category_of_open_food_facts_has_a_category() -> None:
    tree = json.loads(gzip.decompress((TREES / "off_categories.full.json.gz").read_bytes()))
    parents = {node: about.get("parents", []) for node, about in tree.items()}
    off, taxonomy = read_nodes("off"), read_taxonomy()
    found = {node: off.category_of(node, parents) for node in tree}
    assert sum(map(bool, found.values())) / len(found) > 0.98
    assert sum(category in taxonomy and taxonomy[category].level == 3 for category in found.values()) / len(found) > 0.8
    said = {
        node: found[node] for node in ("en:bananas", "en:tofu", "en:vodka", "en:smoked-salmons", "en:peanut-butters")
    }
    assert list(said.values()) == ["bananas", "tofu", "spirits", "fish-smoked", "nut-butter"]
