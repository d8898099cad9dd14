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
# Remembered words after which a model forgets them and begins anew: about 30 MB for 151 labels.
MOST_WORDS = 32_768


class WordModel:
    """Scores texts by a Fitted, remembering what each word adds."""

    def __init__(self, fitted: Fitted, *, most_words: int = MOST_WORDS) -> None:
        self.fitted = fitted
        self._most_words = most_words
        terms = fitted.terms
        self._dimensions = fitted.vectors.shape[1]
        # Row 0 is of nothing; the rows of words and pairs stay, those of remembered words' pieces follow.
        self._first = 1 + len(terms.words) + len(terms.pairs)
        # Memory that is never written to is never taken.
        self._table = np.empty((self._first + most_words, self._dimensions + len(fitted.intercept)), dtype=np.float32)
        self._table[0] = 0
        rarity = np.concatenate([terms.word_rarity, terms.pair_rarity])
        self._fill(self._table[1 : self._first], slice(0, self._first - 1), rarity)
        self._of_pieces = np.empty((len(terms.pieces), self._table.shape[1]), dtype=np.float32)
        self._fill(self._of_pieces, slice(self._first - 1, None), np.ones(len(terms.pieces), dtype=np.float32))
        # The last is of an unknown pair.
        self._pair_rows = np.append(np.arange(1 + len(terms.words), self._first, dtype=np.int32), np.int32(0))
        self._pair_kinds = np.where(np.append(terms.marked, False), 2, 1).astype(np.int8)
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
        stream, rows, kinds = self._rows([text])
        added = self._table[rows] * self._factors(stream)[0][kinds][:, :, None]
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

    def telling(self, texts: list[str], labels: npt.NDArray[np.int32], *, most: int = 3) -> list[str]:
        """The words that speak most for each text's label, strongest first, as `oat, drink`; by the wide part alone.

        Cheaper by far than contributions(): a word's part is its own, its pieces' and half of each pair it is in.
        """
        found: list[str] = []
        for start, stop in _chunks(texts):
            found += self._telling(texts[start:stop], labels[start:stop], most)
        return found

    def _telling(self, texts: list[str], labels: npt.NDArray[np.int32], most: int) -> list[str]:
        stream, rows, kinds = self._rows(texts)
        owners = stream.owners[1:]
        factors = self._factors(stream)[owners[:, None], kinds]
        parts = self._table[rows, self._dimensions + labels[owners, None]] * factors
        own = parts[:, 0] + parts[:, 1] + parts[:, 2] / 2
        own[:-1] += parts[1:, 2] / 2
        # A word that is there twice is told once.
        speaks = np.flatnonzero((stream.places[1:] >= FIRST) & (own > 0))
        order = speaks[np.lexsort((-own[speaks], owners[speaks]))]
        words = self._words.words_at(stream.places[1:][order])
        told: list[dict[str, None]] = [{} for _ in texts]
        for word, owner in zip(words, owners[order].tolist(), strict=True):
            if len(told[owner]) < most:
                told[owner].setdefault(word)
        return [", ".join(each) for each in told]

    def _scores(self, texts: list[str]) -> Scores:
        stream, rows, kinds = self._rows(texts)
        owners, cut = stream.owners[1:], self._dimensions
        used = np.flatnonzero(rows)
        # Four entries a place.
        entry_owners = owners[used >> 2]
        factors = self._factors(stream)[entry_owners, kinds.ravel()[used]]
        ends = np.append(0, np.cumsum(np.bincount(entry_owners, minlength=len(texts)))).astype(np.int32)
        table = self._table[: self._used]
        sums = sparse.csr_array((factors, rows.ravel()[used], ends), shape=(len(texts), len(table))) @ table
        deep = self.fitted.output.outputs(self.fitted.hidden.outputs(sums[:, :cut] + self.fitted.vector_bias))
        places, counted = stream.places[1:], stream.counted[1:]
        squares = self._words.word_squares[places] * counted
        total = np.bincount(owners, weights=squares, minlength=len(texts))
        strange = squares * (self._words.numbers[places] < 0)
        unknown = np.bincount(owners, weights=strange, minlength=len(texts)) / np.maximum(total, 1e-9)
        known = np.bincount(owners, weights=self._words.telling[places], minlength=len(texts)) > 0
        return Scores(sums[:, cut:] + self.fitted.intercept, deep, known, unknown)

    def _rows(self, texts: list[str]) -> tuple[Stream, npt.NDArray[np.int32], npt.NDArray[np.int8]]:
        """The stream of t places, (t - 1, 4) rows of the table, and of which kind of term each is (see Words.lengths).

        A row each for the word, its pieces and the two pairs that it ends; row 0 is of nothing.
        """
        if len(self._words) > self._most_words:
            self._forget()
        stream, pieces = self._words.read(texts)
        self._remember(pieces)
        counted, pairs = stream.counted[1:], stream.pairs[1:]
        words = stream.places[1:] * counted
        rows = np.empty((len(words), 4), dtype=np.int32)
        rows[:, 0] = self._word_rows[words]
        rows[:, 1] = self._piece_rows[words]
        rows[:, 2:] = self._pair_rows[pairs]
        kinds = np.empty(rows.shape, dtype=np.int8)
        kinds[:, 0] = 0
        kinds[:, 1] = 3
        kinds[:, 2:] = self._pair_kinds[pairs]
        return stream, rows, kinds

    def _factors(self, stream: Stream) -> F32:
        """(n, 4): what each kind of term is multiplied by in each text."""
        factors: F32 = (1 / self._words.lengths(stream)).astype(np.float32)
        return factors

    def _forget(self) -> None:
        self._words = Words(self.fitted.terms)
        self._used = self._first
        self._word_rows = np.zeros(FIRST, dtype=np.int32)
        self._piece_rows = np.zeros(FIRST, dtype=np.int32)

    def _remember(self, pieces: Any) -> None:
        """Work out the rows of the newest words, whose pieces are given."""
        numbers = self._words.numbers[len(self._word_rows) :]
        word_rows = np.where(numbers >= FIRST, numbers - FIRST + 1, 0).astype(np.int32)
        having = np.diff(pieces.indptr) > 0
        start, self._used = self._used, self._used + int(having.sum())
        if self._used > len(self._table):
            larger = np.empty((2 * self._used, self._table.shape[1]), dtype=np.float32)
            larger[:start] = self._table[:start]
            self._table = larger
        self._table[start : self._used] = pieces[having] @ self._of_pieces
        piece_rows = np.zeros(len(numbers), dtype=np.int32)
        piece_rows[having] = np.arange(start, self._used)
        self._word_rows = np.append(self._word_rows, word_rows)
        self._piece_rows = np.append(self._piece_rows, piece_rows)

    def _fill(self, rows: F32, terms: slice, rarity: F32) -> None:
        """Write what each of some terms adds: its vector, then its weights."""
        fitted, cut = self.fitted, self._dimensions
        rows[:, :cut] = fitted.vectors[terms]
        rows[:, :cut] *= (rarity * np.float32(fitted.vector_scale))[:, None]
        rows[:, cut:] = fitted.wide[terms].toarray()
        rows[:, cut:] *= (rarity * np.float32(fitted.wide_scale))[:, None]


def _chunks(texts: list[str]) -> list[tuple[int, int]]:
    """Where chunks of the texts start and stop."""
    cuts, start, letters = [], 0, 0
    for at, size in enumerate(map(len, texts)):
        letters += size
        if at - start == CHUNK or (letters > CHUNK_LETTERS and at > start):
            cuts.append((start, at))
            start, letters = at, size
    return [*cuts, (start, len(texts))] if texts else []
