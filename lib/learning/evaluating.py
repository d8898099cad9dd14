"""How good a categorizer is on labelled products: accuracy, calibration, coverage, and where it errs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.categorizing import Categorizer, Described, Predictions

BINS = 20
PRECISION_WANTED = 0.95
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
WORST = 20  # confusions shown


def evaluate(categorizer: Categorizer, products: Described, labels: Sequence[str]) -> dict[str, Any]:
    """How good the answers for n products are, as fractions in 4 decimals.

    top1, top3: the label is the best, or among the best three. macro_f1: the mean F1 of all labels given or predicted.
    weighted_f1: the same weighted by the products that have the label. parent: the label's parent is the likeliest
    one. ece: expected calibration error, BINS equal bins. coverage_at_95: the largest share of products, surest first,
    of which 95 % are right, and threshold_at_95: the least confidence among them. answered, answered_right: the share
    that the categorizer is sure of by its own thresholds, and how many of those are right; with_parent: that share
    with those whose parent alone it is sure of, and with_parent_right. thresholds: precision and coverage at or above
    each. reliability: the bins. labels: products, precision, recall and F1 of each. confusions: the most frequent
    wrong answers.
    """
    from sklearn.metrics import precision_recall_fscore_support

    answers = categorizer.categorize(products)
    truth = np.array(labels, dtype=object)
    names = np.array([*categorizer.labels, ""], dtype=object)
    predicted = names[answers.categories]
    right = predicted == truth[:, None]
    confusions = Counter(zip(truth[~right[:, 0]], predicted[~right[:, 0], 0], strict=True))
    worst = sorted(confusions.items(), key=lambda item: (-item[1], item[0]))[:WORST]
    present = sorted({*truth} | {*predicted[:, 0]} - {""})
    scores = precision_recall_fscore_support(truth, predicted[:, 0], labels=present, zero_division=0.0)
    counted = scores[3]
    return {
        "products": len(truth),
        "top1": rounded(right[:, 0].mean()),
        "top3": rounded(right.any(axis=1).mean()),
        "macro_f1": rounded(scores[2].mean()),
        "weighted_f1": rounded(np.average(scores[2], weights=counted)),
        **_parents(categorizer, answers, truth, right[:, 0]),
        **trust(answers.confidences[:, 0], right[:, 0]),
        "labels": {
            label: dict(
                zip(("products", "precision", "recall", "f1"), (int(counted[at]), *map(rounded, each)), strict=True)
            )
            for at, label in enumerate(present)
            for each in [(scores[0][at], scores[1][at], scores[2][at])]
        },
        "confusions": [{"label": pair[0], "answer": pair[1], "products": count} for pair, count in worst],
    }


def trust(confidences: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The part of evaluate() that is about confidence alone; both are (n,)."""
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=confidences - right, minlength=BINS)
    sizes = np.bincount(bins, minlength=BINS)
    threshold, covered = threshold_for(confidences, right, precision=PRECISION_WANTED)
    filled = np.flatnonzero(sizes)
    return {
        "ece": rounded(np.abs(gaps).sum() / len(confidences)),
        "coverage_at_95": rounded(covered),
        "threshold_at_95": None if threshold is None else rounded(threshold),
        "thresholds": [
            {
                "threshold": level,
                "precision": rounded(right[confidences >= level].mean()) if (confidences >= level).any() else None,
                "coverage": rounded((confidences >= level).mean()),
            }
            for level in THRESHOLDS
        ],
        "reliability": [
            {
                "confidence": rounded(confidences[bins == at].mean()),
                "right": rounded(right[bins == at].mean()),
                "products": int(sizes[at]),
            }
            for at in filled
        ],
    }


def threshold_for(
    confidences: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], *, precision: float
) -> tuple[float | None, float]:
    """The least confidence from which so many answers are right, and the share of answers from there on.

    (None, 0) where no confidence will do.
    """
    levels, counts = np.unique(-confidences, return_counts=True)
    ends = np.cumsum(counts)
    hits = np.cumsum(right[np.argsort(-confidences, kind="stable")])[ends - 1]
    good = np.flatnonzero(hits >= precision * ends)
    if not len(good):
        return None, 0.0
    return float(-levels[good[-1]]), float(ends[good[-1]] / len(confidences))


def _parents(
    categorizer: Categorizer, answers: Predictions, truth: npt.NDArray[Any], right: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """What evaluate() says of parents and of the categorizer's own judgement; nothing where it has none."""
    if answers.sure is None:
        return {}
    found: dict[str, Any] = {
        "answered": rounded(answers.sure.mean()),
        "answered_right": rounded(right[answers.sure].mean()) if answers.sure.any() else None,
    }
    parent_of = getattr(categorizer, "parent_of", {})
    if answers.parents is None or answers.parent_sure is None or not categorizer.parents:
        return found
    names = np.array([*categorizer.parents, ""], dtype=object)
    above = np.array([parent_of.get(label, "") for label in truth], dtype=object)
    parent_right = names[answers.parents] == above
    either = answers.sure | answers.parent_sure
    both_right = np.where(answers.sure, right, parent_right)
    found["parent"] = rounded(parent_right.mean())
    found["with_parent"] = rounded(either.mean())
    found["with_parent_right"] = rounded(both_right[either].mean()) if either.any() else None
    return found


def rounded(value: Any) -> float:
    """A fraction in 4 decimals."""
    return round(float(value), 4)
