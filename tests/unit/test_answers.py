"""What predictions make of products: outcomes, parents, carbon figures, and what is at stake."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lib.answers import USUAL_SPREAD, answered, described
from lib.carbon import CARBON_COLUMNS, figures_of
from lib.categorizing import NONE, TOP, Described, Predictions
from lib.products import PRODUCT_COLUMNS, Products
from lib.records import Reason
from tests.fakes import LengthCategorizer


class Carbon:
    """Knows three products; says it is sure from 0.8 on, and of the category above from 0.9 on.

    Any other product is beef with 0.3, or as surely as its name says: `0.55`.
    """

    name, version = "carbon", "c-1"

    def __init__(self) -> None:
        self.labels = ["beef", "butter", "cream", "milk"]
        self.parents = ["dairy-milk", "meat-beef-lamb"]
        self.asked: list[Described] = []

    def categorize(self, products: Described) -> Predictions:
        self.asked.append(products)
        known = {
            "Whole milk": ([3, 2, 1], [0.95, 0.03, 0.02], 0, 0.99),
            "Milk or cream": ([3, 2, 1], [0.5, 0.45, 0.03], 0, 0.96),
            "Something": ([0, 3, 2], [0.4, 0.3, 0.2], 0, 0.5),
        }
        found = [known.get(name) or ([0, 3, 2], [float(name), 0.0, 0.0], 1, float(name)) for name in products.names]
        confidences = np.array([sure for _, sure, _, _ in found]).reshape(-1, TOP)
        parent_confidences = np.array([sure for _, _, _, sure in found])
        return Predictions(
            np.array([labels for labels, _, _, _ in found], dtype=np.int32).reshape(-1, TOP),
            confidences,
            sure=confidences[:, 0] >= 0.8,
            parents=np.array([parent for _, _, parent, _ in found], dtype=np.int32),
            parent_confidences=parent_confidences,
            parent_sure=parent_confidences >= 0.9,
            why=[name.lower() for name in products.names],
        )


def products_of(*rows: dict[str, Any]) -> Products:
    """Products with these values of PRODUCT_COLUMNS, without `product_`; `rejections` and `warnings` if any."""
    columns = {
        column: pa.array([row.get(column.removeprefix("product_")) for row in rows], kind)
        for column, kind in PRODUCT_COLUMNS.items()
    }
    return Products(
        pa.table(columns),
        [row.get("name", "") for row in rows],
        [row.get("rejections", []) for row in rows],
        [row.get("warnings", []) for row in rows],
    )


def answers_of(*rows: dict[str, Any], threshold: float = 0.7) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answered(products_of(*rows), Carbon(), threshold=threshold).to_pylist()
    return found


def test_a_sure_product_is_categorized_with_its_next_best() -> None:
    (row,) = answers_of({"name": "Whole milk", "net_millilitres": 1000.0})
    assert row["outcome"] == "categorized"
    assert [row[f"category{suffix}"] for suffix in ("", "_2", "_3")] == ["milk", "cream", "butter"]
    assert [row[f"confidence{suffix}"] for suffix in ("", "_2", "_3")] == [0.95, 0.03, 0.02]
    assert (row["why"], row["model_version"], row["reasons"], row["warnings"]) == ("whole milk", "c-1", "", "")


def test_where_only_the_category_above_is_sure_it_is_the_answer_and_the_likeliest_below_follow() -> None:
    (row,) = answers_of({"name": "Milk or cream"})
    assert row["outcome"] == "categorized"
    assert [row[f"category{suffix}"] for suffix in ("", "_2", "_3")] == ["dairy-milk", "milk", "cream"]
    assert [row[f"confidence{suffix}"] for suffix in ("", "_2", "_3")] == [0.96, 0.5, 0.45]
    assert row["category_level"] == "subgroup"


def test_where_nothing_is_sure_it_goes_to_review_with_the_best_guess() -> None:
    (row,) = answers_of({"name": "Something"})
    assert (row["outcome"], row["category"], row["confidence"]) == ("review", "beef", 0.4)


def test_a_sure_category_is_not_replaced_by_the_one_above() -> None:
    assert [row["category"] for row in answers_of({"name": "Whole milk"}, {"name": "Milk or cream"})] == [
        "milk", "dairy-milk",
    ]  # fmt: skip


def test_a_categorizers_own_judgement_goes_before_the_threshold() -> None:
    outcomes = [answers_of({"name": "0.75"}, {"name": "0.85"}, threshold=at) for at in (0.0, 1.0)]
    assert [[row["outcome"] for row in rows] for rows in outcomes] == [["review", "categorized"]] * 2


@pytest.mark.parametrize(("threshold", "outcome"), [(0.15, "categorized"), (0.16, "review")])
def test_the_threshold_counts_where_a_categorizer_does_not_judge_itself(threshold: float, outcome: str) -> None:
    (row,) = answered(products_of({"name": "ham"}), LengthCategorizer(), threshold=threshold).to_pylist()
    assert (row["outcome"], row["category"], row["confidence"], row["why"]) == (outcome, "3 letters", 0.15, None)


def test_a_categorizer_that_names_nothing_leaves_the_product_to_review() -> None:
    class Silent(LengthCategorizer):
        def categorize(self, products: Described) -> Predictions:
            shape = (len(products), TOP)
            return Predictions(np.full(shape, NONE, dtype=np.int32), np.zeros(shape))

    (row,) = answered(products_of({"name": "ham"}), Silent(), threshold=0.0).to_pylist()
    assert (row["outcome"], row["category"], row["confidence"]) == ("review", None, 0.0)
    assert (row["category_2"], row["confidence_2"]) == (None, None)
    assert row["impact"] == USUAL_SPREAD


def test_rejected_rows_have_reasons_and_nothing_else_and_are_not_asked_for() -> None:
    asked, reasons = Carbon(), [Reason.DUPLICATE, Reason.MISSING_NAME]
    rows = answered(
        products_of(
            {"name": "Whole milk", "rejections": reasons, "warnings": [Reason.BAD_GTIN]},
            {"name": "Something", "warnings": [Reason.BAD_GTIN, Reason.BAD_NUMBER]},
        ),
        asked,
        threshold=0.7,
    ).to_pylist()
    assert (rows[0]["outcome"], rows[0]["reasons"]) == ("rejected", "duplicate; missing-name")
    empty = ["category", "confidence", "category_2", "confidence_3", "why", "impact", *CARBON_COLUMNS]
    assert [rows[0][column] for column in empty] == [None] * len(empty)
    assert rows[1]["warnings"] == "bad-gtin; bad-number"
    assert [one.names for one in asked.asked] == [["Something"]]


def test_a_batch_of_rejected_rows_alone_and_an_empty_one_are_no_trouble() -> None:
    row = {"name": "Whole milk", "rejections": [Reason.DUPLICATE]}
    assert [one["outcome"] for one in answers_of(row, row)] == ["rejected", "rejected"]
    assert answers_of() == []


def test_a_categorizer_is_told_what_else_is_known() -> None:
    products = products_of(
        {"name": "Whole milk", "customer_category": "Dairy", "brand": "Acme"}, {"name": "Something", "description": "?"}
    )
    assert described(products) == Described(
        ["Whole milk", "Something"], customer_categories=["Dairy", ""], brands=["Acme", ""], descriptions=["", "?"]
    )


def test_carbon_figures_are_those_of_the_answer() -> None:
    leaf, above = answers_of({"name": "Whole milk", "net_millilitres": 2000.0}, {"name": "Milk or cream"})
    milk, dairy = figures_of("milk"), figures_of("dairy-milk")
    assert milk.figure and milk.kg_per_l and dairy.figure
    assert (leaf["category_level"], leaf["kg_co2e_per_kg"]) == ("leaf", milk.figure)
    assert leaf["net_kg"] == pytest.approx(2 * milk.kg_per_l)
    assert leaf["kg_co2e"] == pytest.approx(2 * milk.kg_per_l * milk.figure)
    assert (above["kg_co2e_per_kg"], above["net_kg"], above["kg_co2e"]) == (dairy.figure, None, None)
    assert above["kg_co2e_source"].startswith("median of ")


@pytest.mark.parametrize(
    ("row", "kilograms"),
    [
        ({}, 1.0),  # nothing is known
        ({"net_grams": 250.0}, 0.25),
        ({"net_grams": 250.0, "quantity": 40.0}, 10.0),  # of packages
        ({"net_grams": 250.0, "quantity": 40.0, "unit": "piece"}, 10.0),
        ({"quantity": 40.0}, 40.0),
        ({"quantity": 500.0, "unit": "g"}, 0.5),  # the quantity is the weight
        ({"net_grams": 250.0, "quantity": 3.0, "unit": "kg"}, 3.0),
        ({"quantity": 5.0, "unit": "l"}, 5.0),
        ({"net_grams": 250.0, "quantity": -3.0}, 0.25),  # a mistake
        ({"quantity": 0.0, "unit": "kg"}, 1.0),
    ],
)
def test_what_is_at_stake_is_doubt_times_spread_times_kilograms(row: dict[str, Any], kilograms: float) -> None:
    (found,) = answers_of({"name": "Something", **row})
    spread = figures_of("beef").spread
    assert spread > 1
    assert found["impact"] == pytest.approx(0.6 * spread * kilograms)


def test_more_is_at_stake_the_less_sure_the_heavier_and_the_wider_the_figures_are() -> None:
    doubt, sure, heavy = (
        answers_of({"name": name, "net_grams": grams})[0]["impact"]
        for name, grams in (("0.2", 500.0), ("0.7", 500.0), ("0.2", 5000.0))
    )
    milk = answers_of({"name": "Whole milk", "net_grams": 500.0})[0]["impact"]
    assert milk < sure < doubt < heavy


def test_a_category_without_figures_has_a_usual_spread() -> None:
    (found,) = answered(
        products_of({"name": "ham", "net_grams": 500.0}), LengthCategorizer(), threshold=0.7
    ).to_pylist()
    assert found["impact"] == pytest.approx((1 - 0.15) * USUAL_SPREAD * 0.5)
    assert {column: found[column] for column in CARBON_COLUMNS if found[column] is not None} == {"net_kg": 0.5}
