"""A linear machine over blocks: a product's score for a label is a weighted sum of its terms; and its probabilities.

Company never changes an answer: along a product's terms sums run in their order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lib.blocks.terms import Block, Sparse
from lib.categorizing import Described
from lib.words.numbers import F32, Calibration, Scores


@dataclass(frozen=True)
class Machine:
    """Fitted blocks of t terms together, and their weights for c labels."""

    blocks: tuple[Block, ...]
    weights: Sparse  # (t, c) csr_array of float32 that float16 holds; most are 0
    intercept: F32  # (c,)
    calibration: Calibration

    def columns(self) -> set[str]:
        """The kinds of text that it reads, as Described names them."""
        return {block.text for block in self.blocks}

    def scores(self, products: Described) -> Scores:
        """The scores of n products before calibration."""
        return self._scores(self.features(products), products)

    def answers(self, products: Described) -> tuple[F32, npt.NDArray[np.bool_], list[str]]:
        """(n, c) probabilities, (n,) whether a known word was said, and the words that speak most for the likeliest."""
        features = self.features(products)
        scores = self._scores(features, products)
        chances = scores.probabilities(self.calibration)
        return chances, scores.known, self._words(features, chances.argmax(axis=1))

    def features(self, products: Described) -> Sparse:
        """(n, t) csr_array: the products' terms of all blocks side by side; texts that are not there have none."""
        return features_of(self.blocks, products)

    def _scores(self, features: Sparse, products: Described) -> Scores:
        margins: F32 = (features @ self.weights).toarray()
        margins += self.intercept
        known = np.diff(features[:, self._telling_at].indptr) > 0
        # A machine has one part only; in the place of words that it does not know stand columns that it misses.
        return Scores(margins, np.zeros_like(margins), known, self._missing(products))

    def _missing(self, products: Described) -> npt.NDArray[np.float64]:
        """(n,) the share of the columns beside the name that a product has nothing in, of those that are read."""
        kinds = sorted(self.columns() - {"names"})
        missing = np.zeros(len(products))
        for kind in kinds:
            column = getattr(products, kind) or [""] * len(products)
            missing += np.array([not text for text in column], dtype=np.float64) / len(kinds)
        return missing

    def _words(self, features: Sparse, labels: npt.NDArray[np.int64], *, most: int = 3) -> list[str]:
        """As in WordModel.telling, by the blocks of words alone: a pair's part is halved between its words."""
        spoken = features.multiply(self._by_label[labels]).tocsr()
        terms = self._word_terms
        told = []
        for start, end in pairwise(spoken.indptr.tolist()):
            parts: dict[str, float] = {}
            for at, part in zip(spoken.indices[start:end].tolist(), spoken.data[start:end].tolist(), strict=True):
                words = terms[at].split(" ") if part > 0 and terms[at] else ()
                for word in words:
                    parts[word] = parts.get(word, 0.0) + part / len(words)
            told.append(", ".join(sorted(parts, key=lambda word: (-parts[word], word))[:most]))
        return told

    @cached_property
    def _by_label(self) -> Sparse:
        return self.weights.T.tocsr()

    @cached_property
    def _word_terms(self) -> list[str]:
        """(t,) the terms of blocks of words and wholes, '' for pieces."""
        return [term if block.shortest == 1 else "" for block in self.blocks for term in block.terms]

    @cached_property
    def _telling_at(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(np.concatenate([block.telling for block in self.blocks]))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All but the blocks' settings, for an .npz file."""
        factors = vars(self.calibration).values()
        parts = {
            f"{at}_{name}": array for at, block in enumerate(self.blocks) for name, array in block.arrays().items()
        }
        return parts | {
            "weights": self.weights.data.astype(np.float16),
            "labels_at": self.weights.indices.astype(np.uint16),
            "counts": np.diff(self.weights.indptr).astype(np.uint16),
            "intercept": self.intercept,
            "calibration": np.array(list(factors), dtype=np.float64),
        }

    @classmethod
    def of(cls, settings: Sequence[Mapping[str, Any]], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The machine of blocks' settings and arrays(); KeyError, TypeError or ValueError when they do not fit."""
        from scipy import sparse

        blocks = tuple(
            Block.of(one, {name: arrays[f"{at}_{name}"] for name in ("terms", "rarity")})
            for at, one in enumerate(settings)
        )
        shape = sum(len(block.terms) for block in blocks), len(arrays["intercept"])
        counts, labels = arrays["counts"].astype(np.int64), arrays["labels_at"].astype(np.int32)
        data = arrays["weights"].astype(np.float32)
        if len(counts) != shape[0] or not counts.sum() == len(labels) == len(data) or (labels >= shape[1]).any():
            raise ValueError("the weights and their terms differ in length")
        ends = np.append(0, np.cumsum(counts)).astype(np.int32)
        weights = sparse.csr_array((data, labels, ends), shape=shape)
        return cls(blocks, weights, arrays["intercept"], Calibration(*arrays["calibration"].tolist()))


def features_of(blocks: Sequence[Block], products: Described) -> Sparse:
    """(n, t) csr_array: the products' terms of all blocks side by side; texts that are not there have none."""
    from scipy import sparse

    empty = [""] * len(products)
    parts = [block.features(getattr(products, block.text) or empty) for block in blocks]
    return sparse.csr_array(sparse.hstack(parts, format="csr"))
