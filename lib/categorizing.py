"""What the main job needs of a categorizer: the protocol, what it is told of products, and what it answers.

The default one is lib/words/categorizer.py. A slow model behind an endpoint can take its place (lib/choosing.py), as
can any class with the few members of Categorizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

# The best category and the two next-best ones.
TOP = 3
# In Predictions: no category of this rank, or no parent.
NONE = -1

Numbers = npt.NDArray[np.int32]
Shares = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Described:
    """What is known of n products, a list for each kind of text; '' where nothing is, an empty list where never."""

    names: list[str]
    customer_categories: Sequence[str] = ()
    brands: Sequence[str] = ()
    descriptions: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.names)

    def at(self, places: Sequence[int]) -> Self:
        """The products at some places."""
        parts = ([column[place] for place in places] if column else [] for column in vars(self).values())
        return type(self)(*parts)

    def others(self) -> dict[str, Sequence[str]]:
        """The texts beside the names that there are any of."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return {name: column for name, column in columns.items() if any(column)}

    def as_texts(self) -> list[str]:
        """Each product in one text for a reader of sentences: its name, and what else is known in brackets."""
        labels = {"customer_categories": "shop's category", "brands": "brand", "descriptions": "description"}
        texts = list(self.names)
        for kind, column in self.others().items():
            texts = [
                f"{text} ({labels[kind]}: {more})" if more else text for text, more in zip(texts, column, strict=True)
            ]
        return texts


@dataclass(frozen=True)
class Predictions:
    """The most likely categories of n products, best first, and how far each is to be trusted.

    `sure` and what follows is None where a categorizer does not judge itself: then the settings' review_threshold does.
    """

    categories: Numbers  # (n, TOP) indices into the categorizer's labels, NONE where it names none
    confidences: Shares  # (n, TOP) probabilities, rounded to 4 decimals
    sure: Flags | None = None  # (n,) whether the best one can be taken for right
    parents: Numbers | None = None  # (n,) the likeliest category above, an index into the categorizer's parents
    parent_confidences: Shares | None = None  # (n,)
    parent_sure: Flags | None = None  # (n,)
    why: list[str] | None = None  # the words that decided


class Categorizer(Protocol):
    """What the main job needs of a model; a slow one behind a network can take its place."""

    name: str
    version: str  # a hash of all that decides an answer
    labels: list[str]
    parents: list[str]  # categories above the labels, none where labels are all there is

    def categorize(self, products: Described) -> Predictions:
        """The TOP categories of each product; the same one gets the same answer in whatever company it comes."""
