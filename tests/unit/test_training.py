"""Fitting, pruning, calibrating, evaluating and publishing, on a small made-up range of products."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lib import training
from lib.categorizing import LinearCategorizer, Predictions, load_categorizer
from lib.errors import ModelError
from lib.training import Candidate, Fitted

CANDIDATE = Candidate("small", pairs=True, penalty=1.0, pair_names=2, kept=0.5)
HEADS = {"Bread": ["rye loaf", "pita", "bun"], "Milk": ["whole milk", "skim milk"], "Tea": ["green tea", "mint tea"]}
TAILS = ["fresh", "organic", "family pack", "large", "value", "farm", "classic", "light", "new", "best"]


def products() -> Any:
    """Names such as "rye loaf fresh", each tail in one split; a tenth of the labels is wrong, as in real data."""
    rows = []
    for label, heads in HEADS.items():
        for head in heads:
            for number, tail in enumerate(TAILS):
                split = "val" if number >= 8 else "test" if number >= 6 else "train"
                given = "Tea" if number == 3 and head == "bun" else label
                rows.append((f"{head} {tail}", given, split))
    return pd.DataFrame(rows, columns=["name", "label", "split"])


@pytest.fixture
def data(tmp_path: Path) -> str:
    training.write_data_set(products(), str(tmp_path / "data"), limit=0)
    return str(tmp_path / "data")


class Fixed:
    """A categorizer that gives prepared answers, whatever the texts."""

    name, version, labels = "fixed", "0", ["A", "B", "C"]

    def __init__(self, *answers: tuple[str, float]) -> None:
        others = {"A": [0, 1, 2], "B": [1, 0, 2], "C": [2, 0, 1]}
        self.answers = Predictions(
            np.array([others[label] for label, _ in answers], dtype=np.int32),
            np.array([[sure, 0.0, 0.0] for _, sure in answers]),
        )

    def categorize(self, texts: list[str]) -> Predictions:
        return self.answers


def test_a_fitted_model_tells_the_products_apart(data: str) -> None:
    fitted = training.fit_candidate(CANDIDATE, data, name="small", seed=0)
    categorizer = load_categorizer(fitted.uri)
    answers = categorizer.categorize(["Rye loaf, farm", "SKIM MILK!", "mint tea 20 bags"])
    assert [categorizer.labels[number] for number in answers.categories[:, 0]] == ["Bread", "Milk", "Tea"]
    assert fitted.validation["top1"] == 1.0
    assert fitted.version == categorizer.version


def test_the_same_data_and_seed_give_the_same_bytes(data: str, tmp_path: Path) -> None:
    contents = []
    for turn in "12":
        fitted = training.fit_candidate(CANDIDATE, data, name="small", seed=0)
        target = tmp_path / turn
        training.publish(fitted, data, str(target), facts={"data": "made up"})
        contents.append({path.name: path.read_bytes() for path in target.iterdir()})
    assert contents[0] == contents[1]
    assert sorted(contents[0]) == ["arrays.npz", "card.json", "vocabulary.txt"]


def test_a_published_card_holds_the_figures_of_validation_and_test(data: str, tmp_path: Path) -> None:
    fitted = training.fit_candidate(CANDIDATE, data, name="small", seed=0)
    card = training.publish(fitted, data, str(tmp_path / "model"), facts={"data": "made up"})
    assert card == json.loads((tmp_path / "model" / "card.json").read_text("utf-8"))
    assert card["labels"] == ["Bread", "Milk", "Tea"]
    assert card["data"] == "made up"
    assert card["candidate"]["name"] == "small"
    assert {part: figures["names"] for part, figures in card["metrics"].items()} == {"validation": 14, "test": 14}


def test_pruning_keeps_the_largest_weights_of_either_sign() -> None:
    weights = np.array([[0.1, -3.0], [2.0, 0.2], [0.0, 1.0]])
    assert training.pruned(weights, 0.5).toarray().tolist() == [[0, -3], [2, 0], [0, 1]]
    assert training.pruned(weights, 0.01).toarray().tolist() == [[0, -3], [0, 0], [0, 0]]


def test_calibration_makes_confidence_the_share_that_is_right() -> None:
    # Nine "bun" in ten are bread, the tenth is tea; every "milk" is milk.
    names, labels = ["bun"] * 100 + ["milk"] * 100, (["Bread"] * 9 + ["Tea"]) * 10 + ["Milk"] * 100
    model = training.calibrated(training.fit(CANDIDATE, names, labels, seed=0), names, labels)
    bun, milk = LinearCategorizer("small", model).categorize(["bun", "milk"]).confidences
    assert bun[0] == pytest.approx(0.9, abs=0.01)
    assert bun[1:].sum() == pytest.approx(0.1, abs=0.01)
    assert milk[0] > 0.99


def test_metrics_of_ten_literal_answers() -> None:
    # Right: 0.9 0.9 0.9 0.7 0.6; wrong: 0.9 0.7 0.4, of which two have the label as second best.
    answers = [("A", 0.9), ("A", 0.9), ("B", 0.9), ("C", 0.9), ("C", 0.7), ("A", 0.7), ("B", 0.6), ("C", 0.4)]
    truth = ["A", "A", "B", "B", "C", "C", "B", "A"]
    metrics = training.evaluate(Fixed(*answers), ["x"] * 8, truth)
    assert (metrics["names"], metrics["top1"], metrics["top3"]) == (8, 0.625, 1.0)
    # F1 of A 2*2/(3+3), B 2*2/(2+3), C 2*1/(3+2).
    assert metrics["macro_f1"] == round((4 / 6 + 4 / 5 + 2 / 5) / 3, 4)
    # Gaps of the bins: |3.6 - 3|, |1.4 - 1|, |0.6 - 1|, |0.4 - 0|.
    assert metrics["ece"] == round((0.6 + 0.4 + 0.4 + 0.4) / 8, 4)
    assert (metrics["coverage_at_95"], metrics["threshold_at_95"]) == (0.0, None)
    assert metrics["thresholds"][0] == {"threshold": 0.5, "precision": 0.7143, "coverage": 0.875}
    assert metrics["thresholds"][8] == {"threshold": 0.9, "precision": 0.75, "coverage": 0.5}
    assert metrics["thresholds"][9] == {"threshold": 0.95, "precision": None, "coverage": 0.0}
    assert metrics["confusions"][0] == {"label": "A", "answer": "C", "names": 1}


def test_coverage_at_95_counts_names_of_one_confidence_together() -> None:
    answers = [("A", 0.99)] * 20 + [("A", 0.8), ("A", 0.8), ("B", 0.5)]
    metrics = training.evaluate(Fixed(*answers), ["x"] * 23, ["A"] * 20 + ["A", "B", "B"])
    # 21 of 22 are right from 0.8 on; all three below 0.99 together are 22 of 23.
    assert (metrics["coverage_at_95"], metrics["threshold_at_95"]) == (1.0, 0.5)
    metrics = training.evaluate(Fixed(*answers), ["x"] * 23, ["A"] * 20 + ["B", "B", "A"])
    assert (metrics["coverage_at_95"], metrics["threshold_at_95"]) == (round(20 / 23, 4), 0.99)


def test_the_best_has_the_most_right_answers_and_of_equals_the_first_name() -> None:
    fitted = [
        Fitted(Candidate(name, pairs=False, penalty=1.0), "uri", "0", {"top1": top1}, 1.0)
        for name, top1 in (("b", 0.8), ("d", 0.7), ("a", 0.8), ("c", 0.1))
    ]
    assert training.best(fitted).candidate.name == "a"


def test_a_limit_keeps_the_same_training_names_and_all_held_out_ones(tmp_path: Path) -> None:
    shuffled = products().sample(frac=1, random_state=3)
    for table, where in ((products(), "1"), (shuffled, "2")):
        counts = training.write_data_set(table, str(tmp_path / where), limit=30)
        assert counts == {"train": 30, "val": 14, "test": 14}
    first, second = (set(training.read_split(str(tmp_path / where), "train")[0]) for where in "12")
    assert first == second


def test_too_little_to_learn_from_is_refused(tmp_path: Path) -> None:
    table = products()
    with pytest.raises(ModelError, match="2 labels"):
        training.write_data_set(table[table["label"] != "Tea"], str(tmp_path), limit=0)
    with pytest.raises(ModelError, match="'test': 0"):
        training.write_data_set(table[table["split"] != "test"], str(tmp_path), limit=0)
    with pytest.raises(ModelError, match="no word occurs in several training names"):
        training.fit(CANDIDATE, ["rye", "milk", "tea"], ["Bread", "Milk", "Tea"], seed=0)
    model = training.fit(CANDIDATE, ["rye", "milk", "tea"] * 2, ["Bread", "Milk", "Tea"] * 2, seed=0)
    with pytest.raises(ModelError, match="no held-out name has a word"):
        training.calibrated(model, ["xyzzy"], ["Tea"])
