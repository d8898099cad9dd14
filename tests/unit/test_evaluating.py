"""What evaluate says of literal answers: accuracy, F1, calibration, coverage, parents and confusions."""

import json

import numpy as np
import pytest

from lib.categorizing import NONE, Described, Predictions
from lib.learning.evaluating import evaluate, threshold_for, trust
from tests.fakes import LengthCategorizer


class Fixed:
    """A categorizer that gives prepared answers, whatever the products."""

    name, version = "fixed", "0"

    def __init__(self, *answers: tuple[str, float]) -> None:
        self.labels = ["A", "B", "C"]
        self.parents: list[str] = []
        others = {"A": [0, 1, 2], "B": [1, 0, 2], "C": [2, 0, NONE], "": [NONE] * 3}
        self.answers = Predictions(
            np.array([others[label] for label, _ in answers], dtype=np.int32),
            np.array([[sure, 0.0, 0.0] for _, sure in answers]),
        )

    def categorize(self, products: Described) -> Predictions:
        return self.answers


class Judging(Fixed):
    """One with parents that says of what it is sure."""

    def __init__(self, *answers: tuple[str, bool, str, bool]) -> None:
        super().__init__(*((label, 0.9) for label, _, _, _ in answers))
        self.parents, self.parent_of = ["one", "two"], {"A": "one", "B": "one", "C": "two"}
        self.answers = Predictions(
            self.answers.categories,
            self.answers.confidences,
            sure=np.array([sure for _, sure, _, _ in answers]),
            parents=np.array([self.parents.index(parent) for _, _, parent, _ in answers], dtype=np.int32),
            parent_confidences=np.full(len(answers), 0.9),
            parent_sure=np.array([sure for _, _, _, sure in answers]),
        )


# Right: 0.9 0.9 0.7 0.6; wrong: 0.9 0.9 0.7 0.4.
ANSWERS = [("A", 0.9), ("A", 0.9), ("B", 0.9), ("C", 0.9), ("C", 0.7), ("A", 0.7), ("B", 0.6), ("C", 0.4)]
TRUTH = ["A", "A", "B", "B", "C", "C", "B", "A"]


def nothing(count: int) -> Described:
    return Described([""] * count)


def test_accuracy_and_f1_of_eight_literal_answers() -> None:
    metrics = evaluate(Fixed(*ANSWERS), nothing(8), TRUTH)
    # The second C has A behind it; the first, whose label is B, has not.
    assert (metrics["products"], metrics["top1"], metrics["top3"]) == (8, 0.625, 0.875)
    # F1 of A 2*2/(3+3), of B 2*2/(2+3), of C 2*1/(3+2); A and B have three products, C has two.
    assert metrics["macro_f1"] == round((4 / 6 + 4 / 5 + 2 / 5) / 3, 4)
    assert metrics["weighted_f1"] == round((3 * 4 / 6 + 3 * 4 / 5 + 2 * 2 / 5) / 8, 4)
    assert metrics["labels"]["A"] == {"products": 3, "precision": 0.6667, "recall": 0.6667, "f1": 0.6667}
    assert metrics["labels"]["B"] == {"products": 3, "precision": 1.0, "recall": 0.6667, "f1": 0.8}
    assert metrics["labels"]["C"] == {"products": 2, "precision": 0.3333, "recall": 0.5, "f1": 0.4}
    assert json.loads(json.dumps(metrics)) == metrics


def test_calibration_and_thresholds_of_eight_literal_answers() -> None:
    metrics = evaluate(Fixed(*ANSWERS), nothing(8), TRUTH)
    # Gaps of the bins: |3.6 - 3|, |1.4 - 1|, |0.6 - 1|, |0.4 - 0|.
    assert metrics["ece"] == round((0.6 + 0.4 + 0.4 + 0.4) / 8, 4)
    assert metrics["reliability"] == [
        {"confidence": 0.4, "right": 0.0, "products": 1},
        {"confidence": 0.6, "right": 1.0, "products": 1},
        {"confidence": 0.7, "right": 0.5, "products": 2},
        {"confidence": 0.9, "right": 0.75, "products": 4},
    ]
    assert (metrics["coverage_at_95"], metrics["threshold_at_95"]) == (0.0, None)
    assert metrics["thresholds"][0] == {"threshold": 0.5, "precision": 0.7143, "coverage": 0.875}
    assert metrics["thresholds"][8] == {"threshold": 0.9, "precision": 0.75, "coverage": 0.5}
    assert metrics["thresholds"][9] == {"threshold": 0.95, "precision": None, "coverage": 0.0}


def test_confusions_come_most_frequent_first_and_then_by_the_alphabet() -> None:
    metrics = evaluate(Fixed(*ANSWERS, ("A", 0.1)), nothing(9), [*TRUTH, "C"])
    assert metrics["confusions"] == [
        {"label": "C", "answer": "A", "products": 2},
        {"label": "A", "answer": "C", "products": 1},
        {"label": "B", "answer": "C", "products": 1},
    ]


def test_no_answer_is_wrong_and_no_label_of_its_own() -> None:
    metrics = evaluate(Fixed(("A", 0.9), ("", 0.0)), nothing(2), ["A", "B"])
    assert metrics["top1"] == metrics["top3"] == 0.5
    assert sorted(metrics["labels"]) == ["A", "B"]
    assert metrics["confusions"] == [{"label": "B", "answer": "", "products": 1}]


def test_a_label_that_the_categorizer_does_not_have_counts_as_wrong() -> None:
    metrics = evaluate(Fixed(("A", 0.9), ("B", 0.9)), nothing(2), ["A", "D"])
    assert metrics["top1"] == 0.5
    assert metrics["labels"]["D"] == {"products": 1, "precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_a_confidence_of_one_falls_into_the_last_bin() -> None:
    (only,) = trust(np.array([1.0, 0.96]), np.array([True, False]))["reliability"]
    assert only == {"confidence": 0.98, "right": 0.5, "products": 2}


def test_coverage_at_95_counts_products_of_one_confidence_together() -> None:
    answers = [("A", 0.99)] * 20 + [("A", 0.8), ("A", 0.8), ("B", 0.5)]
    metrics = evaluate(Fixed(*answers), nothing(23), ["A"] * 20 + ["A", "B", "B"])
    # 21 of 22 are right from 0.8 on; all three below 0.99 together are 22 of 23.
    assert (metrics["coverage_at_95"], metrics["threshold_at_95"]) == (1.0, 0.5)
    metrics = evaluate(Fixed(*answers), nothing(23), ["A"] * 20 + ["B", "B", "A"])
    assert (metrics["coverage_at_95"], metrics["threshold_at_95"]) == (round(20 / 23, 4), 0.99)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [(1.0, (0.9, 0.25)), (0.75, (0.7, 0.5)), (0.6, (0.5, 0.625)), (0.5, (0.2, 1.0))],
)
def test_a_threshold_is_the_least_from_which_enough_is_right(precision: float, expected: tuple[float, float]) -> None:
    # In any order: right 0.9 0.9 0.7, wrong 0.8 0.5 0.4 0.3, right 0.2.
    confidences = np.array([0.2, 0.4, 0.9, 0.8, 0.3, 0.7, 0.9, 0.5])
    right = np.array([True, False, True, False, False, True, True, False])
    assert threshold_for(confidences, right, precision=precision) == expected


def test_what_the_categorizer_is_sure_of_is_counted_with_and_without_parents() -> None:
    answers = Judging(
        ("A", True, "one", True),  # right
        ("A", True, "one", False),  # wrong
        ("A", False, "one", True),  # wrong, but its parent is right
        ("A", False, "one", True),  # wrong, as is its parent
        ("C", False, "two", False),  # right, but not said
    )
    metrics = evaluate(answers, nothing(5), ["A", "B", "B", "C", "C"])
    assert (metrics["answered"], metrics["answered_right"]) == (0.4, 0.5)
    assert metrics["parent"] == 0.8
    assert (metrics["with_parent"], metrics["with_parent_right"]) == (0.8, 0.5)


def test_a_categorizer_sure_of_nothing_has_no_share_of_right_answers() -> None:
    metrics = evaluate(Judging(("A", False, "one", False)), nothing(1), ["A"])
    assert (metrics["answered"], metrics["answered_right"]) == (0.0, None)
    assert (metrics["with_parent"], metrics["with_parent_right"]) == (0.0, None)


def test_a_categorizer_without_parents_is_not_praised_for_them() -> None:
    flat = Judging()
    flat.parents, flat.parent_of = [], dict.fromkeys("ABC", "")
    flat.answers = Predictions(
        np.array([[0, 1, 2]], dtype=np.int32),
        np.array([[0.9, 0.1, 0.0]]),
        sure=np.array([True]),
        parents=np.array([NONE], dtype=np.int32),
        parent_confidences=np.zeros(1),
        parent_sure=np.array([False]),
    )
    metrics = evaluate(flat, nothing(1), ["B"])
    assert (metrics["answered"], metrics["answered_right"]) == (1.0, 0.0)
    assert not {"parent", "with_parent", "with_parent_right"} & set(metrics)


def test_a_categorizer_that_does_not_judge_itself_can_be_evaluated() -> None:
    metrics = evaluate(LengthCategorizer(), Described(["ham", "salami"]), ["3 letters", "7 letters"])
    assert (metrics["top1"], metrics["top3"]) == (0.5, 1.0)
    assert "answered" not in metrics
