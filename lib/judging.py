"""What a categorizer with calibrated probabilities answers: its labels, the parent, and whether either is sure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lib.categorizing import NONE, TOP, Flags, Numbers, Predictions, Shares
from lib.modelfolder import PRECISIONS


class Answers(NamedTuple):
    """Predictions of which nothing is None."""

    categories: Numbers
    confidences: Shares
    sure: Flags
    parents: Numbers
    parent_confidences: Shares
    parent_sure: Flags
    why: list[str]


class Judge:
    """Ranks labels by their probabilities, and holds the best and its parent against the model's thresholds.

    `thresholds`: (len(PRECISIONS), c + 1), the confidence from which each of c labels, and a parent, can be taken for
    right. A parent's probability is the sum of its labels'. Of equal labels the first wins.
    """

    def __init__(
        self, labels: Sequence[str], parent_of: Sequence[str], thresholds: npt.NDArray[np.float64], *, precision: float
    ) -> None:
        self.parents = sorted({*parent_of} - {""})
        # Labels by parent, and where each parent's begin.
        self._by_parent = np.array(sorted(range(len(labels)), key=lambda at: parent_of[at]), dtype=np.int64)
        above = [parent_of[at] for at in self._by_parent]
        self._starts = np.array([above.index(parent) for parent in self.parents], dtype=np.int64)
        row = min((at for at, share in enumerate(PRECISIONS) if share >= precision), default=len(PRECISIONS) - 1)
        self._thresholds, self._parent_threshold = thresholds[row, :-1], thresholds[row, -1]

    def answers(self, chances: npt.NDArray[np.float32], known: Flags) -> Answers:
        """What (n, c) probabilities come to, `why` left empty; confidence is 0 where nothing is known (n,)."""
        rows = np.arange(len(chances))
        parents, parent_chances = self._above(chances)
        categories = np.full((len(chances), TOP), NONE, dtype=np.int32)
        confidences = np.zeros((len(chances), TOP))
        rest = chances.copy()
        for rank in range(min(TOP, chances.shape[1])):
            winners = rest.argmax(axis=1)
            categories[:, rank] = winners
            confidences[:, rank] = rest[rows, winners]
            rest[rows, winners] = -1
        confidences[~known] = 0
        confidences = confidences.round(4)
        parent_chances = np.where(known, parent_chances, 0).round(4)
        sure = known & (confidences[:, 0] >= self._thresholds[categories[:, 0]])
        parent_sure = known & (parents != NONE) & (parent_chances >= self._parent_threshold)
        return Answers(categories, confidences, sure, parents, parent_chances, parent_sure, [])

    def _above(self, chances: npt.NDArray[np.float32]) -> tuple[Numbers, Shares]:
        """The likeliest parent of each product and its probability; NONE where labels have no parents."""
        count = len(chances)
        if not self.parents:
            return np.full(count, NONE, dtype=np.int32), np.zeros(count)
        sums: npt.NDArray[np.float64] = np.add.reduceat(
            chances[:, self._by_parent].astype(np.float64), self._starts, axis=1
        )
        best = sums.argmax(axis=1).astype(np.int32)
        return best, np.minimum(sums[np.arange(count), best], 1.0)


def joined(parts: Sequence[Answers]) -> Predictions:
    """The answers of several chunks in one."""
    return Predictions(
        categories=np.concatenate([part.categories for part in parts]),
        confidences=np.concatenate([part.confidences for part in parts]),
        sure=np.concatenate([part.sure for part in parts]),
        parents=np.concatenate([part.parents for part in parts]),
        parent_confidences=np.concatenate([part.parent_confidences for part in parts]),
        parent_sure=np.concatenate([part.parent_sure for part in parts]),
        why=[words for part in parts for words in part.why],
    )
