"""What a categorizer's predictions make of products: an outcome, a category or its parent, carbon figures, and why.

A product whose leaf is sure enough is categorized; where only the category above is, it is categorized as that; else
it goes to review, where the rows come first that may move the carbon figure most. What a person decided of a name
before (review/decided.py) is the answer for it, and no model is asked.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.carbon import CARBON_COLUMNS, carbon_table, figures_of
from lib.categorizing import NONE, TOP, Categorizer, Described, Predictions
from lib.products import Products
from lib.quantities import unit_of
from lib.records import Outcome
from lib.results import BETWEEN
from lib.review.decided import ReviewedNames, name_key

# The spread of a product's carbon figure where its category has none, in kg CO2e per kg: about that of all foods'
# subgroups (the median of the widths in config/emission_factors.csv is 3.4).
USUAL_SPREAD = 3.0


def answered(
    products: Products,
    categorizer: Categorizer,
    *,
    threshold: float,
    reviewed: ReviewedNames | None = None,
    customer: str = "",
) -> pa.Table:
    """The outcome, results.CATEGORY_COLUMNS, `name_key` and who corrected of n products, null where they are rejected.

    `threshold` is the confidence from which an answer counts that a categorizer does not judge itself; `reviewed` is
    what people decided that counts for the `customer`.
    """
    count = len(products.texts)
    keys = _name_keys(products)
    decided = {at: reviewed[key] for at, key in enumerate(keys) if key and key in reviewed} if reviewed else {}
    kept = np.flatnonzero([not why and at not in decided for at, why in enumerate(products.rejections)])
    predictions = categorizer.categorize(described(products).at(kept.tolist()))
    sure, above = _judged(predictions, threshold)
    outcome = np.full(count, Outcome.REJECTED.value, dtype=object)
    outcome[kept] = np.where(sure | above, Outcome.CATEGORIZED.value, Outcome.REVIEW.value)
    outcome[list(decided)] = Outcome.CATEGORIZED.value
    ranked = _ranked(predictions, categorizer, above)
    columns: dict[str, pa.Array] = {
        "outcome": pa.array(outcome, pa.string()),
        "reasons": pa.array([BETWEEN.join(reasons) for reasons in products.rejections], pa.string()),
        "warnings": pa.array([BETWEEN.join(reasons) for reasons in products.warnings], pa.string()),
        "model_version": pa.repeat(categorizer.version, count),
    }
    for rank in range(TOP):
        suffix = f"_{rank + 1}" if rank else ""
        category, confidence = np.full(count, None, dtype=object), np.full(count, np.nan)
        category[kept], confidence[kept] = ranked[rank]
        if rank == 0:
            for at, decision in decided.items():
                category[at], confidence[at] = decision.category, 1.0
        columns[f"category{suffix}"] = pa.array(category, pa.string())
        columns[f"confidence{suffix}"] = pa.array(confidence, from_pandas=True)
    why = np.full(count, None, dtype=object)
    why[kept] = predictions.why if predictions.why is not None else None
    for at, decision in decided.items():
        why[at] = decision.why(customer)
    columns["why"] = pa.array(why, pa.string())
    columns["name_key"] = pa.array(keys, pa.string())
    for name, told in (("corrected_by", "by"), ("corrected_at", "day"), ("corrected_for", "customer")):
        who = np.full(count, None, dtype=object)
        for at, decision in decided.items():
            who[at] = getattr(decision, told)
        columns[name] = pa.array(who, pa.string())
    grams, millilitres = (products.table[f"product_net_{unit}"].to_pylist() for unit in ("grams", "millilitres"))
    carbon = carbon_table(columns["category"].to_pylist(), grams=grams, millilitres=millilitres)
    columns |= {name: carbon[name] for name in CARBON_COLUMNS}
    columns["impact"] = pa.array(_impacts(products, columns), from_pandas=True)
    return pa.table(columns)


def _name_keys(products: Products) -> list[str | None]:
    """What each product that is not rejected is called, as reviewed.name_key has it."""
    names, brands = (products.table[column].to_pylist() for column in ("product_name", "product_brand"))
    each = zip(names, brands, products.rejections, strict=True)
    return [None if rejections else name_key(name, brand=brand or "") for name, brand, rejections in each]


def described(products: Products) -> Described:
    """What a categorizer is told of products."""
    columns = ("product_customer_category", "product_brand", "product_description")
    return Described(products.texts, *([text or "" for text in products.table[name].to_pylist()] for name in columns))


def _judged(predictions: Predictions, threshold: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Of each product whether its category is sure, and whether only its parent is."""
    named = predictions.categories[:, 0] != NONE
    if predictions.sure is None:
        return named & (predictions.confidences[:, 0] >= threshold), np.zeros(len(named), dtype=np.bool_)
    sure = named & predictions.sure
    return sure, np.zeros(len(named), np.bool_) if predictions.parent_sure is None else predictions.parent_sure & ~sure


def _ranked(
    predictions: Predictions, categorizer: Categorizer, above: npt.NDArray[np.bool_]
) -> list[tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]]:
    """The TOP categories and confidences; a parent that is answered stands first, before the likeliest below."""
    labels = np.array([*categorizer.labels, None], dtype=object)  # the last one is NONE's
    found = []
    for rank in range(TOP):
        # A slow model may name fewer categories than TOP, or none.
        named = predictions.categories[:, rank] != NONE
        confidence = np.where(named | (rank == 0), predictions.confidences[:, rank], np.nan)
        found.append((labels[predictions.categories[:, rank]], confidence))
    if above.any() and predictions.parents is not None and predictions.parent_confidences is not None:
        parents = np.array([*categorizer.parents, None], dtype=object)
        shifted = [(parents[predictions.parents], predictions.parent_confidences), *found[: TOP - 1]]
        found = [
            (np.where(above, category, old_category), np.where(above, confidence, old_confidence))
            for (category, confidence), (old_category, old_confidence) in zip(shifted, found, strict=True)
        ]
    return found


def _impacts(products: Products, columns: dict[str, pa.Array]) -> list[float | None]:
    """How far each product's carbon may be off, in kg CO2e: its doubt times the spread times its kilograms.

    Kilograms are those of all packages where their number is known, 1 where nothing is.
    """
    impacts: list[float | None] = []
    rows = zip(
        *(columns[name].to_pylist() for name in ("outcome", "category", "confidence", "net_kg")),
        *(products.table[name].to_pylist() for name in ("product_quantity", "product_unit")),
        strict=True,
    )
    for outcome, category, confidence, net_kg, quantity, unit in rows:
        if outcome == Outcome.REJECTED:
            impacts.append(None)
            continue
        figures = figures_of(category)
        spread = figures.spread if figures.level else USUAL_SPREAD
        impacts.append(round((1 - (confidence or 0.0)) * spread * _kilograms(net_kg, quantity, unit), 6))
    return impacts


def _kilograms(net_kg: float | None, quantity: float | None, unit: str | None) -> float:
    if quantity is None or quantity <= 0:
        return net_kg or 1.0
    known = unit_of(unit) if unit else None
    if known and known.grams:
        return quantity * known.grams / 1000
    if known and known.millilitres:
        return quantity * known.millilitres / 1000
    return quantity * (net_kg or 1.0)
