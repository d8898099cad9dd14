"""Blocks: what of a product's texts a linear machine sees, each as the TF-IDF of its words, or of pieces of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from lib.categorizing import Described
from lib.words.terms import is_size

# Ways of taking a text apart: runs of letters and digits; the same cut into pieces; what stands between spaces.
WORDS, PIECES, WHOLE = "words", "pieces", "whole"
_ANALYZERS: dict[str, dict[str, str]] = {
    WORDS: {"analyzer": "word", "token_pattern": r"\b\w\w+\b"},
    PIECES: {"analyzer": "char_wb"},
    WHOLE: {"analyzer": "word", "token_pattern": r"\S+"},
}
# Longer texts are cut here; what follows says little and takes most of the time.
MOST_LETTERS = 4000
# The first letter of scripts that write words without spaces between them; their pieces can be words.
_FIRST_IDEOGRAPH = "\N{CJK RADICAL REPEAT}"

Sparse = Any  # scipy's csr_array


@dataclass(frozen=True)
class Block:
    """How one kind of text is seen, and the terms that were learned of it; t terms, none before fitting."""

    text: str  # a field of Described
    way: str  # WORDS, PIECES or WHOLE
    shortest: int  # words, or letters of a piece, that make a term
    longest: int
    texts: int  # a term is learned that so many texts have
    weight: float  # each text has this length in the machine's eyes
    terms: Sequence[str] = ()
    rarity: npt.NDArray[np.float32] | None = None  # (t,) inverse document frequencies

    def fitted(self, texts: Sequence[str]) -> Self | None:
        """The same with its terms; None where no term is in enough of the texts."""
        vectorizer = self._vectorizer()
        try:
            vectorizer.fit(_cut(texts))
        except ValueError:  # nothing that could be a term, or nothing that is in enough texts
            return None
        terms = vectorizer.get_feature_names_out().tolist()
        return replace(self, terms=terms, rarity=vectorizer.idf_.astype(np.float32))

    def features(self, texts: Sequence[str]) -> Sparse:
        """(n, t) csr_array of float32, each row of the length `weight`, or of 0 where no term is known."""
        from scipy import sparse

        return sparse.csr_array(self._fitted_vectorizer.transform(_cut(texts)) * np.float32(self.weight))

    @property
    def telling(self) -> npt.NDArray[np.bool_]:
        """(t,) whether a term is a word of letters, or as good as one, and says what something is."""
        if self.way == PIECES:
            known = (len(term) > 1 and min(term) >= _FIRST_IDEOGRAPH and term.isalpha() for term in self.terms)
        else:
            known = (any(map(str.isalpha, term)) and not is_size(term) and " " not in term for term in self.terms)
        return np.fromiter(known, dtype=np.bool_, count=len(self.terms))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The terms and their rarity, for an .npz file."""
        letters = "\n".join(self.terms).encode("utf-8", "surrogatepass")
        return {"terms": np.frombuffer(letters, dtype=np.uint8), "rarity": self._rarity}

    def settings(self) -> dict[str, Any]:
        """All but the terms and their rarity."""
        names = ("text", "way", "shortest", "longest", "texts", "weight")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def of(cls, settings: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The block that settings() and arrays() came from; KeyError, TypeError or ValueError when it cannot be."""
        terms = arrays["terms"].tobytes().decode("utf-8", "surrogatepass").split("\n")
        made = cls(**settings, terms=terms, rarity=arrays["rarity"])
        if made.way not in _ANALYZERS or made.text not in vars(Described([])) or len(terms) != len(made._rarity):
            raise ValueError("a block's terms and their numbers do not fit together")
        return made

    @property
    def _rarity(self) -> npt.NDArray[np.float32]:
        if self.rarity is None:
            raise ValueError("a block was not fitted")
        return self.rarity

    def _vectorizer(self, **more: Any) -> TfidfVectorizer:
        return TfidfVectorizer(
            **_ANALYZERS[self.way],
            **more,
            ngram_range=(self.shortest, self.longest),
            min_df=self.texts,
            sublinear_tf=True,
            dtype=np.float32,
        )

    @cached_property
    def _fitted_vectorizer(self) -> TfidfVectorizer:
        made = self._vectorizer(vocabulary={term: at for at, term in enumerate(self.terms)})
        made.idf_ = self._rarity
        return made


# What is seen of a name, and of the other texts where there are any. How a shop or a shelf is written is a
# name of its own; a description's rare words are mostly numbers and brands.
NAME_BLOCKS = (
    Block("names", WORDS, 1, 2, texts=1, weight=1.0),
    Block("names", PIECES, 2, 5, texts=2, weight=1.0),
)
OTHER_BLOCKS = (
    Block("customer_categories", WORDS, 1, 2, texts=1, weight=1.0),
    Block("descriptions", WORDS, 1, 2, texts=2, weight=0.7),
    Block("brands", WHOLE, 1, 1, texts=1, weight=0.7),
)


def _cut(texts: Sequence[str]) -> list[str]:
    return [text[:MOST_LETTERS] for text in texts]
