"""The fitted numbers of a word model (lib/words/model.py): as plain arrays, and how scores become probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.words.terms import Terms

# Whole numbers up to this are exact in float32.
EXACT = 2**24
# The largest number that a hidden unit is rounded to.
MOST_LEVELS = 4095

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Rows:
    """A (t, c) matrix of whole numbers, most of them 0, packed as an .npz file keeps it and unpacked row by row."""

    values: I8  # (e,) those that are not 0, row after row
    gaps: npt.NDArray[Any]  # (e,) how far each is from the one before it in its row, or from the row's start
    counts: npt.NDArray[Any]  # (t,)
    columns: int

    @classmethod
    def of(cls, whole: I8) -> "Rows":
        """The packed form of a (t, c) matrix."""
        rows, columns = np.nonzero(whole)
        counts = np.bincount(rows, minlength=len(whole))
        gaps = np.diff(columns, prepend=0)
        starts = (np.cumsum(counts) - counts)[counts > 0]
        gaps[starts] = columns[starts]
        return cls(whole[rows, columns], _narrow(gaps), _narrow(counts), whole.shape[1])

    def dense(self, rows: npt.NDArray[np.integer] | None = None) -> I8:
        """The (n, c) matrix of some rows, of all if None."""
        if rows is None:
            rows = np.arange(len(self.counts))
        counts = self.counts[rows].astype(np.int64)
        ends = np.cumsum(counts)
        starts = ends - counts
        chosen = np.arange(counts.sum()) + np.repeat(self._starts[rows] - starts, counts)
        # Along all rows at once; each row is then moved to its own start.
        places = np.cumsum(self.gaps[chosen], dtype=np.int64)
        before = np.append(0, places)[starts]
        places += np.repeat(np.arange(len(counts)) * self.columns - before, counts)
        result = np.zeros((len(counts), self.columns), dtype=np.int8)
        result.ravel()[places] = self.values[chosen]
        return result

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        """(t,) where the entries of each row begin."""
        starts: npt.NDArray[np.int64] = np.cumsum(self.counts, dtype=np.int64) - self.counts
        return starts


@dataclass(frozen=True)
class Layer:
    """A fully connected layer from k units to m, in whole numbers."""

    weights: I8  # (k, m)
    scale: float  # what a weight of 1 stands for
    bias: F32  # (m,)
    step: float  # a unit of the input is rounded to a multiple of this

    @property
    def levels(self) -> int:
        """The largest number that a unit is rounded to: no sum of so many times the weights passes EXACT."""
        return self._prepared[1]

    @cached_property
    def _prepared(self) -> tuple[F32, int]:
        heaviest = int(np.abs(self.weights.astype(np.int64)).sum(axis=0).max())
        return self.weights.astype(np.float32), min(MOST_LEVELS, EXACT // max(1, heaviest))

    def outputs(self, units: F32, out: F32 | None = None) -> F32:
        """(n, m) of the (n, k) inputs, which are rounded, negative ones being 0; changes units."""
        weights, levels = self._prepared
        units *= np.float32(1 / self.step)
        np.clip(units, 0, levels, out=units)
        np.rint(units, out=units)
        result: F32 = np.matmul(units, weights, out=out)
        result *= np.float32(self.step * self.scale)
        result += self.bias
        return result


@dataclass(frozen=True)
class Calibration:
    """What turns the scores of the two parts into probabilities."""

    wide: float  # factor of the wide part's scores
    deep: float  # factor of the deep part's
    # Of the best label's confidence: log-odds are constant + slope * log-odds + unknown * share of unknown words.
    constant: float = 0.0
    slope: float = 1.0
    unknown: float = 0.0

    def log_odds(self, plain: F64, unknown: F64) -> F64:
        """The calibrated log-odds of n best labels, from the plain ones and the shares of unknown words."""
        return self.constant + self.slope * plain + self.unknown * unknown


@dataclass(frozen=True)
class Fitted:
    """The numbers of a model of t terms, c labels and d dimensions."""

    terms: Terms
    wide: Rows  # (t, c)
    wide_scale: float
    intercept: F32  # (c,)
    vectors: I8  # (t, d)
    vector_scale: float
    vector_bias: F32  # (d,)
    hidden: Layer  # d to h
    output: Layer  # h to c
    calibration: Calibration

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as plain arrays, for an .npz file."""
        terms, calibration = self.terms, self.calibration
        numbers = [
            *(terms.unknown, float(terms.sizes), self.wide_scale, self.vector_scale),
            *(self.hidden.scale, self.hidden.step, self.output.scale, self.output.step),
            *(calibration.wide, calibration.deep, calibration.constant, calibration.slope, calibration.unknown),
        ]
        return {
            "numbers": np.array(numbers, dtype=np.float64),
            "words": np.frombuffer("\n".join(terms.words).encode(), dtype=np.uint8),
            "pieces": np.frombuffer("\n".join(terms.pieces).encode(), dtype=np.uint8),
            "pair_gaps": _narrow(np.diff(terms.pairs, prepend=0)),
            "word_rarity": terms.word_rarity,
            "pair_rarity": terms.pair_rarity,
            "piece_rarity": terms.piece_rarity,
            "wide": self.wide.values,
            "wide_gaps": self.wide.gaps,
            "wide_counts": self.wide.counts,
            "intercept": self.intercept,
            "vectors": self.vectors.T,
            "vector_bias": self.vector_bias,
            "hidden": self.hidden.weights,
            "hidden_bias": self.hidden.bias,
            "output": self.output.weights,
            "output_bias": self.output.bias,
        }

    @staticmethod
    def of(arrays: Mapping[str, npt.NDArray[Any]]) -> "Fitted":
        """The model that arrays() came from; KeyError or ValueError when the arrays do not fit together."""
        unknown, sizes, wide_scale, vector_scale, h_scale, h_step, o_scale, o_step, *rest = arrays["numbers"].tolist()
        terms = Terms(
            words=_lines(arrays["words"]),
            pairs=np.cumsum(arrays["pair_gaps"], dtype=np.int64),
            pieces=_lines(arrays["pieces"]),
            word_rarity=arrays["word_rarity"],
            pair_rarity=arrays["pair_rarity"],
            piece_rarity=arrays["piece_rarity"],
            unknown=unknown,
            sizes=bool(sizes),
        )
        wide = Rows(arrays["wide"], arrays["wide_gaps"], arrays["wide_counts"], len(arrays["intercept"]))
        entries = int(wide.counts.sum(dtype=np.int64))
        if len(wide.counts) != terms.count or not entries == len(wide.values) == len(wide.gaps):
            raise ValueError("the weights and their columns differ in length")
        # As they lie in the file, dimension by dimension.
        vectors = arrays["vectors"].T
        if len(vectors) != terms.count or any(
            len(names) != len(rarity)
            for names, rarity in (
                (terms.words, terms.word_rarity),
                (terms.pairs, terms.pair_rarity),
                (terms.pieces, terms.piece_rarity),
            )
        ):
            raise ValueError("the terms and their numbers differ in length")
        return Fitted(
            terms=terms,
            wide=wide,
            wide_scale=wide_scale,
            intercept=arrays["intercept"],
            vectors=vectors,
            vector_scale=vector_scale,
            vector_bias=arrays["vector_bias"],
            hidden=Layer(arrays["hidden"], h_scale, arrays["hidden_bias"], h_step),
            output=Layer(arrays["output"], o_scale, arrays["output_bias"], o_step),
            calibration=Calibration(*rest),
        )


@dataclass(frozen=True)
class Scores:
    """The two parts' scores of n texts and what else bears on their confidence."""

    wide: F32  # (n, c)
    deep: F32  # (n, c)
    known: npt.NDArray[np.bool_]  # (n,) whether a text has a word of letters that is in the vocabulary
    unknown: npt.NDArray[np.float64]  # (n,) the share that unknown words have in a text's squared length

    def copy(self) -> "Scores":
        """The same in arrays of its own."""
        return Scores(self.wide.copy(), self.deep.copy(), self.known, self.unknown)

    def combined(self, calibration: Calibration, out: F32 | None = None) -> F32:
        """(n, c): the two parts added up, of which the largest decides."""
        odds = np.multiply(self.deep, np.float32(calibration.deep / calibration.wide), out=out)
        odds += self.wide
        odds *= np.float32(calibration.wide)
        return odds

    def probabilities(self, calibration: Calibration, out: F32 | None = None) -> F32:
        """(n, c), each row adding up to 1; the best label is that of the combined scores."""
        odds = self.combined(calibration, out)
        best, rows = odds.argmax(axis=1), np.arange(len(odds))
        odds -= odds[rows, best][:, None]
        np.exp(odds, out=odds)
        odds[rows, best] = 0
        others = np.maximum(odds.sum(axis=1).astype(np.float64), 1e-9)
        sure = 1 / (1 + np.exp(calibration.log_odds(-np.log(others), self.unknown) * -1))
        unsure = np.flatnonzero(sure < 0.5)
        if len(unsure) and odds.shape[1] > 1:
            # The best label stays the best.
            second = odds[unsure].max(axis=1)
            sure[unsure] = np.maximum(sure[unsure], second / (second + others[unsure]) * (1 + 1e-6))
        odds *= ((1 - sure) / others).astype(np.float32)[:, None]
        odds[rows, best] = sure
        return odds


def _narrow(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Whole numbers from 0 in as few bytes as they need."""
    largest = int(numbers.max(initial=0))
    return numbers.astype(
        np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32 if largest < 2**32 else np.int64
    )


def _lines(letters: npt.NDArray[np.uint8]) -> list[str]:
    text = letters.tobytes().decode()
    return text.split("\n") if text else []
