"""The word model: gives every text a probability for each label, as a sum over its words that two layers refine.

A text's terms (see lib/wordterms.py) add up in two ways. The wide part is linear: each term has a sparse row of
weights, one a label. The deep part adds the terms' short dense vectors and passes the sum through two layers. The
two are added, and calibrated. What a word or pair adds is worked out once and remembered, so a text costs one row of
a sparse product.

Company never changes an answer: along a text's row sums run in a fixed order, and the layers multiply whole numbers
below 2**24, which float32 adds exactly in any order, on any machine and with any number of threads.
Only numpy and scipy.sparse are imported: every batch is a fresh process, and loading must be quick.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lib.wordnumbers import F32, Fitted, Scores
from lib.wordterms import FIRST, Stream, Words

# Texts handled at once; so many have scores of about a megabyte.
CHUNK = 2048
# A chunk also ends after so many letters, so that long texts need no more memory.
CHUNK_LETTERS = 400_000
# Remembered rows (two a word, one a pair) after which a model forgets and begins anew: about 60 MB for 151 labels.
MOST_ROWS = 65_536


class WordModel:
    """Scores texts by a Fitted, remembering what each word adds."""

    def __init__(self, fitted: Fitted, *, most_rows: int = MOST_ROWS) -> None:
        self.fitted = fitted
        self._most_rows = most_rows
        terms = fitted.terms
        rarity = np.concatenate([terms.word_rarity, terms.pair_rarity, np.ones(len(terms.pieces), np.float32)])
        self._wide_factors = rarity * np.float32(fitted.wide_scale)
        self._vector_factors = rarity * np.float32(fitted.vector_scale)
        first = len(terms.words) + len(terms.pairs)
        self._wide_pieces = fitted.wide[first:].astype(np.float32) * np.float32(fitted.wide_scale)
        self._piece_vectors = fitted.vectors[first:].astype(np.float32) * np.float32(fitted.vector_scale)
        self._dimensions = fitted.vectors.shape[1]
        self._forget()

    def probabilities(self, texts: list[str]) -> tuple[F32, npt.NDArray[np.bool_]]:
        """(n, c) probabilities, and (n,) whether each text has a known word; without one they mean nothing."""
        result = np.empty((len(texts), len(self.fitted.intercept)), dtype=np.float32)
        known = np.empty(len(texts), dtype=np.bool_)
        for start, stop in _chunks(texts):
            scores = self._scores(texts[start:stop])
            result[start:stop] = scores.probabilities(self.fitted.calibration)
            known[start:stop] = scores.known
        return result, known

    def scores(self, texts: list[str]) -> Scores:
        """The scores of all texts before calibration."""
        parts = [self._scores(texts[start:stop]) for start, stop in _chunks(texts)] or [self._scores([])]
        joined = (np.concatenate(arrays) for arrays in zip(*(vars(part).values() for part in parts), strict=True))
        return Scores(*joined)

    def contributions(self, text: str, label: int) -> list[tuple[str, float]]:
        """The words that speak for a label rather than the average one, with their shares, largest first.

        A word's part is its own, its pieces' and half that of each pair it is in, through the hidden units that
        the whole text has switched on. Shares are of all that speaks for the label; they add up to 1.
        """
        stream, rows, factors = self._rows([text])
        added = self._table[rows] * factors[:, :, None]
        calibration, fitted, cut = self.fitted.calibration, self.fitted, self._dimensions
        deep = added[:, :, :cut]
        units = deep.sum(axis=(0, 1)) + fitted.vector_bias
        hidden = fitted.hidden.outputs(units[None].copy())[0]
        through = (fitted.hidden.weights * np.float32(fitted.hidden.scale))[units > 0][:, hidden > 0] @ (
            fitted.output.weights * np.float32(fitted.output.scale)
        )[hidden > 0].astype(np.float32)
        scores = calibration.wide * added[:, :, cut:] + calibration.deep * (deep[:, :, units > 0] @ through)
        parts = scores[:, :, label] - scores.mean(axis=2)
        words = self._words.words_at(stream.places)
        sums: dict[str, float] = {}
        for at, (own, pieces, pair, across) in enumerate(parts.tolist(), 1):
            for part, ends in ((own + pieces, [at]), (pair, [at - 1, at]), (across, [at - 2, at])):
                told = [words[end] for end in ends if stream.places[end] >= FIRST]
                for word in told:
                    sums[word] = sums.get(word, 0.0) + part / len(told)
        total = sum(value for value in sums.values() if value > 0)
        shares = [(word, value / total) for word, value in sums.items() if value > 0]
        return sorted(shares, key=lambda share: -share[1])

    def _scores(self, texts: list[str]) -> Scores:
        stream, rows, factors = self._rows(texts)
        owners, cut = stream.owners[1:], self._dimensions
        used = rows > 0
        counts = np.bincount(owners, weights=used.sum(axis=1), minlength=len(texts))
        ends = np.append(0, np.cumsum(counts)).astype(np.int32)
        table = self._table[: self._rows_used]
        parts = (factors[used], rows[used].astype(np.int32), ends)
        sums = sparse.csr_array(parts, shape=(len(texts), len(table))) @ table
        deep = self.fitted.output.outputs(self.fitted.hidden.outputs(sums[:, :cut] + self.fitted.vector_bias))
        places = stream.places[1:]
        squares = self._words.word_squares[places] * stream.counted[1:]
        strange = squares * (self._words.numbers[places] < 0)
        total, unknown = (np.bincount(owners, weights=part, minlength=len(texts)) for part in (squares, strange))
        known = np.bincount(owners, weights=self._words.telling[places], minlength=len(texts)) > 0
        return Scores(sums[:, cut:] + self.fitted.intercept, deep, known, unknown / np.maximum(total, 1e-9))

    def _rows(self, texts: list[str]) -> tuple[Stream, npt.NDArray[np.int64], F32]:
        """The stream of t places, and (t - 1, 4) rows of the table and their factors: word, pieces, two pairs that end.

        Row 0 is of nothing.
        """
        if self._rows_used + len(self._words) > self._most_rows:
            self._forget()
        stream, pieces = self._words.read(texts)
        self._remember_words(pieces)
        self._remember_pairs(stream.pairs[stream.pairs >= 0])
        factors = (1 / self._words.lengths(stream)).astype(np.float32)[stream.owners[1:]]
        places, pairs = stream.places[1:], stream.pairs[1:]
        rows = np.empty((len(places), 4), dtype=np.int64)
        rows[:, 0] = self._word_rows[places] * stream.counted[1:]
        rows[:, 1] = self._piece_rows[places] * stream.counted[1:]
        rows[:, 2:] = self._pair_rows[pairs]
        by_pair = np.where(self._words.marked[pairs], factors[:, 2:3], factors[:, 1:2])
        return stream, rows, np.column_stack([factors[:, 0], factors[:, 3], by_pair])

    def _forget(self) -> None:
        self._words = Words(self.fitted.terms)
        self._table = np.zeros((4096, self._dimensions + len(self.fitted.intercept)), dtype=np.float32)
        self._rows_used = 1
        self._word_rows = np.zeros(FIRST, dtype=np.int64)
        self._piece_rows = np.zeros(FIRST, dtype=np.int64)
        # The last is of an unknown pair.
        self._pair_rows = np.zeros(len(self.fitted.terms.pairs) + 1, dtype=np.int64)

    def _remember_words(self, pieces: Any) -> None:
        """Work out the rows of the newest words, whose pieces are given."""
        numbers = self._words.numbers[len(self._word_rows) :]
        vocabulary = numbers >= FIRST
        word_rows, piece_rows = np.zeros((2, len(numbers)), dtype=np.int64)
        word_rows[vocabulary] = self._append(*self._term_rows(numbers[vocabulary] - FIRST))
        having = np.diff(pieces.indptr) > 0
        some = pieces[having]
        piece_rows[having] = self._append(some @ self._piece_vectors, (some @ self._wide_pieces).toarray())
        self._word_rows = np.append(self._word_rows, word_rows)
        self._piece_rows = np.append(self._piece_rows, piece_rows)

    def _remember_pairs(self, pairs: npt.NDArray[np.int64]) -> None:
        new = np.unique(pairs[self._pair_rows[pairs] == 0])
        self._pair_rows[new] = self._append(*self._term_rows(len(self.fitted.terms.words) + new))

    def _term_rows(self, terms: npt.NDArray[np.int64]) -> tuple[F32, F32]:
        vectors = self.fitted.vectors[terms] * self._vector_factors[terms, None]
        return vectors, self.fitted.wide[terms].toarray() * self._wide_factors[terms, None]

    def _append(self, vectors: F32, wide: F32) -> npt.NDArray[np.int64]:
        """Add rows to the table; their numbers."""
        start, stop = self._rows_used, self._rows_used + len(vectors)
        if stop > len(self._table):
            larger = np.zeros((max(stop, 2 * len(self._table)), self._table.shape[1]), dtype=np.float32)
            larger[:start] = self._table[:start]
            self._table = larger
        self._table[start:stop, : self._dimensions] = vectors
        self._table[start:stop, self._dimensions :] = wide
        self._rows_used = stop
        return np.arange(start, stop)


def _chunks(texts: list[str]) -> list[tuple[int, int]]:
    """Where chunks of the texts start and stop."""
    cuts, start, letters = [], 0, 0
    for at, size in enumerate(map(len, texts)):
        letters += size
        if at - start == CHUNK or (letters > CHUNK_LETTERS and at > start):
            cuts.append((start, at))
            start, letters = at, size
    return [*cuts, (start, len(texts))] if texts else []
