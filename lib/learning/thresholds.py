"""From which confidence an answer can be taken for right: chosen on validation, for each share of right answers."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from lib.categorizing import Categorizer, Described
from lib.modelfolder import PRECISIONS

# How many products' worth of the whole speak where a threshold is chosen for a few labels alone.
PRIOR = 20
# No single answer is sure whose confidence is below this share of the precision wanted, however often the others of its
# pool are right: where all of them were, any at all would do (packaging tape was an energy drink at .48).
LEAST_SHARE = 0.7
# No confidence is so high: what cannot be answered surely enough is never answered.
NEVER = 2.0


class Judging(Categorizer, Protocol):
    """A categorizer that knows what stands above its labels."""

    parent_of: dict[str, str]


def never(labels: int) -> npt.NDArray[np.float64]:
    """The thresholds of a model that has none yet, of so many labels."""
    return np.full((len(PRECISIONS), labels + 1), NEVER)


def thresholds_of(
    categorizer: Judging, pools: list[str], validation: Described, truth: list[str]
) -> npt.NDArray[np.float64]:
    """(len(PRECISIONS), c + 1) thresholds for a categorizer of c labels, the last for a parent.

    By the labels of a pool together, and by the whole where a pool has few. `pools`: what each label belongs to.
    """
    answers = categorizer.categorize(validation)
    winners, sure = answers.categories[:, 0], answers.confidences[:, 0]
    right = np.array(categorizer.labels, dtype=object)[winners] == np.array(truth, dtype=object)
    levels = np.append(np.linspace(0, 0.995, 200), 0.9999)
    every = _above(sure, right, levels)
    overall = every[1] / np.maximum(every[0], 1)
    pool_of = np.array(pools, dtype=object)
    table = np.full((len(PRECISIONS), len(pools) + 1), NEVER)
    for pool in sorted({*pools}):
        mine = pool_of[winners] == pool
        count, hits = _above(sure[mine], right[mine], levels)
        estimate = (hits + PRIOR * overall) / (count + PRIOR)
        for row, precision in enumerate(PRECISIONS):
            good = np.flatnonzero((estimate >= precision) & (every[0] > 0) & (levels >= LEAST_SHARE * precision))
            table[row, :-1][pool_of == pool] = levels[good[0]] if len(good) else NEVER
    if answers.parents is not None and answers.parent_confidences is not None and categorizer.parents:
        above = np.array([categorizer.parent_of.get(label, "") for label in truth], dtype=object)
        parent_right = np.array(categorizer.parents, dtype=object)[answers.parents] == above
        for row, precision in enumerate(PRECISIONS):
            left = sure < table[row, :-1][winners]
            count, hits = _above(answers.parent_confidences[left], parent_right[left], levels)
            good = np.flatnonzero((count > 0) & (hits >= precision * count) & (levels >= LEAST_SHARE * precision))
            table[row, -1] = levels[good[0]] if len(good) else NEVER
    return table


def _above(
    sure: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], levels: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How many answers are at or above each level, and how many of them are right."""
    order = np.argsort(sure)
    places = np.searchsorted(sure[order], levels)
    hits = np.append(0, np.cumsum(right[order]))
    return len(sure) - places, hits[-1] - hits[places]
