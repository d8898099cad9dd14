"""The word model: gives every text a probability for each label, as a sum over its words that two layers refine.

A text's terms (see lib/words/terms.py) add up in two ways. The wide part is linear: each term has a sparse row of
weights, one a label. The deep part adds the terms' short dense vectors and passes the sum through two layers. The
two are added, and calibrated. What a word or pair adds is worked out when it is first met and remembered, so a text
costs one row of a sparse product.

Company never changes an answer: along a text's row sums run in a fixed order, and the layers multiply whole numbers
below 2**24, which float32 adds exactly in any order, on any machine and with any number of threads.
Only numpy is imported: every batch is a fresh process, and loading must be quick.
"""

from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lib.words.numbers import F32, F64, Fitted, Scores
from lib.words.sums import add_rows
from lib.words.terms import FIRST, MARKED, Stream, WordPieces, Words, lengths_of

# Texts handled at once: so many have scores of about a megabyte.
CHUNK = 2048
# A chunk also ends after so many letters, so that long texts need no more memory.
CHUNK_LETTERS = 400_000
# Remembered words after which a model forgets them and begins anew: about 30 MB for 151 labels.
MOST_WORDS = 32_768
# Kinds of terms, as lengths_of has them.
WORD, PAIR, MARKED_PAIR, PIECES = range(4)


class _Entries(NamedTuple):
    """The e rows of the table that n texts' words and pairs add, in the order of the texts."""

    rows: npt.NDArray[np.int32]  # (e,)
    # (e,) four times the place in the stream after its first END, and 0 for the word there, 1 for its pieces, 2 for
    # its pair with the one before and 3 for the pair across a BREAK.
    at: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int64]  # (e,) the text each belongs to
    factors: F32  # (e,)
    ends: npt.NDArray[np.int32]  # (n + 1,) where the entries of each text begin
    unknown: F64  # (n,) the share of unknown words


class WordModel:
    """Scores texts by a Fitted, remembering what each word adds."""

    def __init__(self, fitted: Fitted, *, most_words: int = MOST_WORDS) -> None:
        self.fitted = fitted
        self._most_words = most_words
        terms = fitted.terms
        self._dimensions = fitted.vectors.shape[1]
        self._start = np.concatenate([fitted.vector_bias, fitted.intercept])
        self._pair_squares = terms.pair_rarity.astype(np.float64) ** 2 / np.where(terms.marked, MARKED**2, 1.0)
        self._pair_kinds = np.where(terms.marked, MARKED_PAIR, PAIR)
        self._rarity = np.concatenate([terms.word_rarity, terms.pair_rarity])
        self._scales = np.repeat(
            np.array([fitted.vector_scale, fitted.wide_scale], dtype=np.float32),
            [self._dimensions, len(fitted.intercept)],
        )
        # In the order in which they are met: memory that is never written to is never taken.
        self._of_pieces = np.empty((len(terms.pieces), len(self._start)), dtype=np.float32)
        self._place_of_piece = np.full(len(terms.pieces), -1, dtype=np.int32)
        self._pieces_met = 0
        self._sums = self._hidden = self._deep = np.empty((0, 0), dtype=np.float32)
        self._forget()

    def probabilities(self, texts: list[str]) -> tuple[F32, npt.NDArray[np.bool_]]:
        """(n, c) probabilities, and (n,) whether each text has a known word; without one they mean nothing."""
        result = np.empty((len(texts), len(self.fitted.intercept)), dtype=np.float32)
        known = np.empty(len(texts), dtype=np.bool_)
        for start, stop in _chunks(texts):
            scores = self._scores(texts[start:stop])
            scores.probabilities(self.fitted.calibration, out=result[start:stop])
            known[start:stop] = scores.known
        return result, known

    def scores(self, texts: list[str]) -> Scores:
        """The scores of all texts before calibration."""
        parts = [self._scores(texts[start:stop]).copy() for start, stop in _chunks(texts)] or [self._scores([])]
        joined = (np.concatenate(arrays) for arrays in zip(*(vars(part).values() for part in parts), strict=True))
        return Scores(*joined)

    def contributions(self, text: str, label: int) -> list[tuple[str, float]]:
        """The words that speak for a label rather than the average one, with their shares, largest first.

        A word's part is its own, its pieces' and half that of each pair it is in, through the hidden units that
        the whole text has switched on. Shares are of all that speaks for the label; they add up to 1.
        """
        stream, entries = self._read([text])
        added = self._table[entries.rows] * entries.factors[:, None]
        calibration, fitted, cut = self.fitted.calibration, self.fitted, self._dimensions
        deep = added[:, :cut]
        units = deep.sum(axis=0) + fitted.vector_bias
        hidden = fitted.hidden.outputs(units[None].copy())[0]
        through = (fitted.hidden.weights * np.float32(fitted.hidden.scale))[units > 0][:, hidden > 0] @ (
            fitted.output.weights * np.float32(fitted.output.scale)
        )[hidden > 0].astype(np.float32)
        scores = calibration.wide * added[:, cut:] + calibration.deep * (deep[:, units > 0] @ through)
        parts = scores[:, label] - scores.mean(axis=1)
        words = self._words.words_at(stream.places)
        sums: dict[str, float] = {}
        for part, at in zip(parts.tolist(), entries.at.tolist(), strict=True):
            place, which = at // 4 + 1, at % 4
            ends = ([place], [place], [place - 1, place], [place - 2, place])[which]
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
        stream, entries = self._read(texts)
        owners = stream.owners[1:]
        parts = self._table[entries.rows, self._dimensions + labels[entries.owners]] * entries.factors
        places, which = entries.at >> 2, entries.at & 3
        own = np.bincount(places, weights=parts * np.array([1, 1, 0.5, 0])[which], minlength=len(owners))
        own[:-1] += np.bincount(places, weights=parts * np.array([0, 0, 0.5, 0])[which], minlength=len(owners))[1:]
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
        """The scores of a chunk, in arrays that the next chunk is written to."""
        stream, entries = self._read(texts)
        fitted, cut = self.fitted, self._dimensions
        if len(self._sums) < len(texts):
            widths = len(self._start), len(fitted.hidden.bias), len(fitted.intercept)
            self._sums, self._hidden, self._deep = (np.empty((len(texts), width), np.float32) for width in widths)
        sums, hidden, deep = (each[: len(texts)] for each in (self._sums, self._hidden, self._deep))
        sums[:] = self._start
        add_rows(sums, self._table[: self._used], entries.rows, entries.factors, entries.ends)
        fitted.output.outputs(fitted.hidden.outputs(sums[:, :cut], hidden), deep)
        known = np.zeros(len(texts), dtype=np.bool_)
        known[stream.owners[self._words.telling[stream.places]]] = True
        return Scores(sums[:, cut:], deep, known, entries.unknown)

    def _read(self, texts: list[str]) -> tuple[Stream, _Entries]:
        """The stream of some texts, and what its words add."""
        if len(self._words) > self._most_words:
            self._forget()
        stream, pieces = self._words.read(texts)
        self._remember(pieces)
        owners, count = stream.owners[1:], stream.texts
        # The place of an END has the row of nothing.
        words = stream.places[1:] * stream.counted[1:]
        four = np.empty((len(words), 4), dtype=np.int32)
        four[:, 0] = self._word_rows[words]
        four[:, 1] = self._piece_rows[words]
        four[:, 2] = self._rows_of_pairs(stream.pairs[0, 1:])
        four[:, 3] = self._rows_of_pairs(stream.pairs[1, 1:])
        at = np.flatnonzero(four)
        rows = four.ravel()[at]
        of_entries = owners[at >> 2]
        keys = 4 * of_entries + self._kinds[rows]
        # Of no entries at all, bincount makes whole numbers.
        squares = np.bincount(keys, weights=self._squares[rows], minlength=4 * count).reshape(-1, 4).astype(np.float64)
        strange = np.bincount(owners, weights=self._words.strange[words], minlength=count)
        squares[:, WORD] += strange
        unknown = strange / np.maximum(squares[:, WORD], 1e-9)
        factors = (1 / lengths_of(squares)).astype(np.float32).ravel()[keys]
        ends = np.append(0, np.cumsum(np.bincount(of_entries, minlength=count))).astype(np.int32)
        return stream, _Entries(rows, at, of_entries, factors, ends, unknown)

    def _rows_of_pairs(self, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        rows = self._pair_rows[pairs]
        if rows.min(initial=0) < 0:
            new = np.unique(pairs[rows < 0])
            self._pair_rows[new] = self._add(
                len(self.fitted.terms.words) + new, self._pair_kinds[new], self._pair_squares[new]
            )
            rows = self._pair_rows[pairs]
        return rows

    def _forget(self) -> None:
        terms = self.fitted.terms
        self._words = Words(terms)
        # Row 0 is of nothing, the others are of what was met: words, pairs and all pieces of a word together.
        most = 1 + terms.count - len(terms.pieces) + self._most_words
        self._table = np.empty((most, len(self._start)), dtype=np.float32)
        self._table[0] = 0
        self._kinds, self._squares = np.zeros(most, dtype=np.int64), np.zeros(most)
        self._used = 1
        self._word_rows, self._piece_rows = np.zeros(FIRST, dtype=np.int32), np.zeros(FIRST, dtype=np.int32)
        # The last is of an unknown pair; -1 for one that was not yet met.
        self._pair_rows = np.append(np.full(len(terms.pairs), -1, dtype=np.int32), np.int32(0))

    def _remember(self, pieces: WordPieces) -> None:
        """Work out the rows of the newest words, whose pieces are given."""
        first = len(self._word_rows)
        numbers = self._words.numbers[first:]
        if not len(numbers):
            return
        own = np.zeros((2, len(numbers)), dtype=np.int32)
        known = np.flatnonzero(numbers >= FIRST)
        own[0, known] = self._add(numbers[known] - FIRST, WORD, self._words.word_squares[first:][known])
        having = np.flatnonzero(np.diff(pieces.ends))
        new = np.unique(pieces.numbers[self._place_of_piece[pieces.numbers] < 0])
        start, self._pieces_met = self._pieces_met, self._pieces_met + len(new)
        self._unpack(len(self._rarity) + new, out=self._of_pieces[start : self._pieces_met])
        self._place_of_piece[new] = np.arange(start, self._pieces_met)
        own[1, having] = rows = self._more(PIECES, self._words.piece_squares[first:][having])
        ends = np.append(pieces.ends[having], pieces.ends[-1])
        if len(rows):
            sums = self._table[rows[0] : self._used]
            sums[:] = 0
            places = self._place_of_piece[pieces.numbers]
            add_rows(sums, self._of_pieces, places, pieces.values, ends)
        self._word_rows = np.append(self._word_rows, own[0])
        self._piece_rows = np.append(self._piece_rows, own[1])

    def _add(
        self, terms: npt.NDArray[np.int64], kinds: npt.NDArray[np.int64] | int, squares: F64
    ) -> npt.NDArray[np.int32]:
        """Append the rows of some words or pairs, their vectors and weights times their rarity; the rows' numbers."""
        numbers = self._more(kinds, squares)
        if len(terms):
            rows = self._table[numbers[0] : self._used]
            self._unpack(terms, out=rows)
            rows *= self._rarity[terms][:, None]
        return numbers

    def _more(self, kinds: npt.NDArray[np.int64] | int, squares: F64) -> npt.NDArray[np.int32]:
        """The numbers of further rows of the table, of some kind and with some squares of their lengths."""
        start, self._used = self._used, self._used + len(squares)
        while self._used > len(self._table):
            self._table = np.concatenate([self._table, np.empty_like(self._table)])
            self._kinds = np.append(self._kinds, np.zeros_like(self._kinds))
            self._squares = np.append(self._squares, np.zeros_like(self._squares))
        self._kinds[start : self._used] = kinds
        self._squares[start : self._used] = squares
        return np.arange(start, self._used, dtype=np.int32)

    def _unpack(self, terms: npt.NDArray[np.integer], out: F32) -> None:
        """Write the (n, d + c) vectors and weights of some terms."""
        packed = np.hstack([self.fitted.vectors[terms], self.fitted.wide.dense(terms)])
        np.multiply(packed, self._scales, out=out)


def _chunks(texts: list[str]) -> list[tuple[int, int]]:
    """Where chunks of the texts start and stop."""
    cuts, start = [], 0
    while start < len(texts):
        ends = list(accumulate(map(len, texts[start : start + CHUNK])))
        stop = start + (len(ends) if ends[-1] <= CHUNK_LETTERS else max(1, bisect_right(ends, CHUNK_LETTERS)))
        cuts.append((start, stop))
        start = stop
    return cuts
