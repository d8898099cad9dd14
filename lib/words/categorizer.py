"""WordCategorizer: the default Categorizer, a word model with a lexicon, a tree of labels and thresholds.

Only numpy and scipy.sparse are imported: every batch is a fresh process, and loading must be quick.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from lib.categorizing import NONE, TOP, Described, Flags, Numbers, Predictions, Shares
from lib.words.model import WordModel
from lib.words.modelfolder import PRECISIONS, Content, load
from lib.words.numbers import F32

# Products handled at once; so many probabilities of 250 labels are 4 MB.
CHUNK = 4096
# Probabilities below this tell labels apart no longer when texts are weighed together.
LEAST = 1e-6


class _Answers(NamedTuple):
    """Predictions of which nothing is None."""

    categories: Numbers
    confidences: Shares
    sure: Flags
    parents: Numbers
    parent_confidences: Shares
    parent_sure: Flags
    why: list[str]


class WordCategorizer:
    """Categorizes products by the words of their names, and of what else is known of them.

    The other texts (the customer's category, say) speak through the same model: their probabilities, to the power of
    their weights, multiply the name's. A parent's probability is the sum of its labels'. A name without any known
    word has confidence 0. Company never changes an answer, and of equal labels the first in the alphabet wins.
    """

    def __init__(self, name: str, content: Content, *, precision: float = 0.95) -> None:
        self.name = name
        self.version = content.version
        self.labels = content.labels
        self.parent_of = dict(zip(content.labels, content.parent_of, strict=True))
        self.content = content
        self._model = WordModel(content.fitted)
        self.parents = sorted({*content.parent_of} - {""})
        # Labels by parent, and where each parent's begin.
        self._by_parent = np.array(
            sorted(range(len(self.labels)), key=lambda at: content.parent_of[at]), dtype=np.int64
        )
        above = [content.parent_of[at] for at in self._by_parent]
        self._starts = np.array([above.index(parent) for parent in self.parents], dtype=np.int64)
        row = min((at for at, share in enumerate(PRECISIONS) if share >= precision), default=len(PRECISIONS) - 1)
        self._thresholds, self._parent_threshold = content.thresholds[row, :-1], content.thresholds[row, -1]

    @classmethod
    def load(cls, uri: str, *, precision: float = 0.95) -> Self:
        """The categorizer of a model folder; ModelError when it cannot be used."""
        card, content = load(uri)
        return cls(card["name"], content, precision=precision)

    def categorize(self, products: Described) -> Predictions:
        """The TOP categories of each product, the parent, and the words that decided."""
        parts = [
            self._chunk(products.at(range(start, min(start + CHUNK, len(products)))))
            for start in range(0, max(len(products), 1), CHUNK)
        ]
        return Predictions(
            categories=np.concatenate([part.categories for part in parts]),
            confidences=np.concatenate([part.confidences for part in parts]),
            sure=np.concatenate([part.sure for part in parts]),
            parents=np.concatenate([part.parents for part in parts]),
            parent_confidences=np.concatenate([part.parent_confidences for part in parts]),
            parent_sure=np.concatenate([part.parent_sure for part in parts]),
            why=[words for part in parts for words in part.why],
        )

    def probabilities(self, products: Described) -> tuple[F32, Flags]:
        """(n, c) probabilities, and (n,) whether anything known was said of each product."""
        return self._probabilities(products, self.content.lexicon.glossed(products.names))

    def _probabilities(self, products: Described, texts: list[str]) -> tuple[F32, Flags]:
        chances, known = self._model.probabilities(texts)
        for kind, column in products.others().items():
            weight = self.content.weights.get(kind, 0.0)
            if weight:
                self._weigh(chances, known, column, weight)
        return chances, known

    def _weigh(self, chances: F32, known: Flags, column: Sequence[str], weight: float) -> None:
        """Multiply in what another text says of each product; a name that says nothing is as likely to be anything."""
        distinct = sorted({*column} - {""})
        if not distinct:
            return
        places = {text: place for place, text in enumerate(distinct)}
        more, telling = self._model.probabilities(self.content.lexicon.glossed(distinct))
        rows = np.array([row for row, text in enumerate(column) if text and telling[places[text]]], dtype=np.int64)
        if not len(rows):
            return
        said = more[[places[column[row]] for row in rows]]
        own = np.where(known[rows, None], chances[rows], np.float32(1 / chances.shape[1]))
        both = np.maximum(own, np.float32(LEAST)) * np.maximum(said, np.float32(LEAST)) ** np.float32(weight)
        both /= np.add.reduce(both, axis=1, keepdims=True)
        chances[rows] = both
        known[rows] = True

    def _chunk(self, products: Described) -> _Answers:
        texts = self.content.lexicon.glossed(products.names)
        chances, known = self._probabilities(products, texts)
        rows = np.arange(len(products))
        parents, parent_chances = self._above(chances)
        categories = np.full((len(products), TOP), NONE, dtype=np.int32)
        confidences = np.zeros((len(products), TOP))
        rest = chances.copy()
        for rank in range(min(TOP, len(self.labels))):
            winners = rest.argmax(axis=1)
            categories[:, rank] = winners
            confidences[:, rank] = rest[rows, winners]
            rest[rows, winners] = -1
        confidences[~known] = 0
        confidences = confidences.round(4)
        parent_chances = np.where(known, parent_chances, 0).round(4)
        sure = known & (confidences[:, 0] >= self._thresholds[categories[:, 0]])
        parent_sure = known & (parents != NONE) & (parent_chances >= self._parent_threshold)
        why = self._model.telling(texts, categories[:, 0])
        return _Answers(categories, confidences, sure, parents, parent_chances, parent_sure, why)

    def _above(self, chances: F32) -> tuple[Numbers, Shares]:
        """The likeliest parent of each product and its probability; NONE where labels have no parents."""
        count = len(chances)
        if not self.parents:
            return np.full(count, NONE, dtype=np.int32), np.zeros(count)
        sums: npt.NDArray[np.float64] = np.add.reduceat(
            chances[:, self._by_parent].astype(np.float64), self._starts, axis=1
        )
        best = sums.argmax(axis=1).astype(np.int32)
        return best, np.minimum(sums[np.arange(count), best], 1.0)
