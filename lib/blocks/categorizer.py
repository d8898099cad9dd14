"""BlockCategorizer: the Categorizer for models of blocks, with a tree of labels and thresholds."""

from typing import Self

from lib.blocks.modelfolder import Content, load
from lib.categorizing import Described, Predictions
from lib.judging import Answers, Judge, joined

# Products handled at once; so many probabilities of 1,000 labels are 8 MB.
CHUNK = 2048


class BlockCategorizer:
    """Categorizes products by the words of their names, and of what else is known of them, by two linear machines.

    A product of which nothing but the name is known, of what the model learned to read, is answered by the machine for
    names. One without any known word has confidence 0. Company never changes an answer.
    """

    def __init__(self, name: str, content: Content, *, precision: float = 0.95) -> None:
        self.name = name
        self.version = content.version
        self.labels = content.labels
        self.parent_of = dict(zip(content.labels, content.parent_of, strict=True))
        self.content = content
        self._judge = Judge(content.labels, content.parent_of, content.thresholds, precision=precision)
        self.parents = self._judge.parents

    @classmethod
    def load(cls, uri: str, *, precision: float = 0.95) -> Self:
        """The categorizer of a model folder; ModelError when it cannot be used."""
        card, content = load(uri)
        return cls(card["name"], content, precision=precision)

    def categorize(self, products: Described) -> Predictions:
        """The TOP categories of each product, the parent, and the words that decided."""
        return joined(
            [
                self._chunk(products.at(range(start, min(start + CHUNK, len(products)))))
                for start in range(0, max(len(products), 1), CHUNK)
            ]
        )

    def _chunk(self, products: Described) -> Answers:
        chances, known, words = self.content.model.answers(products)
        return self._judge.answers(chances, known)._replace(why=words)
