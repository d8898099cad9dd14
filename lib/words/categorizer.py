"""WordCategorizer: the default Categorizer, a word model with a lexicon, a tree of labels and thresholds.

Only numpy and scipy.sparse are imported: every batch is a fresh process, and loading must be quick.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np

from lib.categorizing import Described, Flags, Predictions
from lib.judging import Answers, Judge, joined
from lib.words.model import WordModel
from lib.words.modelfolder import Content, load
from lib.words.numbers import F32
from lib.words.spelling import Spelling

# Products handled at once; so many probabilities of 250 labels are 4 MB.
CHUNK = 4096
# Probabilities below this tell labels apart no longer when texts are weighed together.
LEAST = 1e-6


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
        self._meant = Spelling(content.fitted.terms, content.lexicon).meant if content.spelling else None
        self._judge = Judge(content.labels, content.parent_of, content.thresholds, precision=precision)
        self.parents = self._judge.parents

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
        return joined(parts)

    def probabilities(self, products: Described) -> tuple[F32, Flags]:
        """(n, c) probabilities, and (n,) whether anything known was said of each product."""
        return self._probabilities(products, self._read(products.names))

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
        more, telling = self._model.probabilities(self._read(distinct))
        rows = np.array([row for row, text in enumerate(column) if text and telling[places[text]]], dtype=np.int64)
        if not len(rows):
            return
        said = more[[places[column[row]] for row in rows]]
        own = np.where(known[rows, None], chances[rows], np.float32(1 / chances.shape[1]))
        both = np.maximum(own, np.float32(LEAST)) * np.maximum(said, np.float32(LEAST)) ** np.float32(weight)
        both /= np.add.reduce(both, axis=1, keepdims=True)
        chances[rows] = both
        known[rows] = True

    def _chunk(self, products: Described) -> Answers:
        texts = self._read(products.names)
        answers = self._judge.answers(*self._probabilities(products, texts))
        return answers._replace(why=self._model.telling(texts, answers.categories[:, 0]))

    def _read(self, texts: Sequence[str]) -> list[str]:
        """Texts as the model takes them: mistyped words put right, the English of what is not English behind."""
        return self.content.lexicon.glossed(texts, meant=self._meant)
