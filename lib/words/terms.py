"""Texts as words, pairs of neighbouring words and pieces of words, with how rare each is in the training texts.

A chunk of texts is made plain and split as one string, and each distinct word is looked at once. Two marks stand
among the words: END between texts and BREAK at a comma, bracket or slash; a pair with a mark says that a word comes
first or last. Sizes and units (500ml, 6 x 330 ml) are no words, unless a model is made to learn from them.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.words.pieces import UNKNOWN, Lookup, Pieces, repeated

# Numbers of the two marks; the words of a vocabulary are numbered from FIRST, an unknown one has UNKNOWN.
END, BREAK, FIRST = 0, 1, 2
# The number of two neighbours one of which is unknown, which no pair has.
NO_PAIR = 2**62
# The length of a text's pairs with marks, beside 1 for its words.
MARKED = 0.7

_UNITS = "g|gr|kg|mg|ml|cl|dl|l|lt|ltr|oz|onz|floz|lb|lbs|ct|pk|pcs|pc|qt|gal|cm|mm|in|stk|stck|kpl|pz|uds"
_SIZE = re.compile(rf"\d+x|x\d+|\d+x\d+(?:{_UNITS})?|\d+(?:{_UNITS})|{_UNITS}")
_DECIMAL = re.compile(rb",(?<=\d,)(?=\d)")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
# What Unicode's decomposition leaves alone; an apostrophe goes, so that Campbell's is one word.
_LETTERS = str.maketrans({"’": "", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l"})
# What each byte of UTF-8 becomes: a letter small, what parts a text a comma, any other mark of ASCII a space.
_PLAIN = bytes([0]) + bytes(
    byte if byte > 127 else ord(chr(byte).lower() if chr(byte).isalnum() else "," if chr(byte) in ",;:|/()[]" else " ")
    for byte in range(1, 256)
)


@dataclass(frozen=True)
class Terms:
    """The terms a model knows. A rarity is ln((1 + texts) / (1 + texts with the term)) + 1."""

    words: list[str]  # w, in alphabetical order
    pairs: npt.NDArray[np.int64]  # p numbers in rising order, see pair_numbers
    pieces: list[str]  # g, in alphabetical order
    word_rarity: npt.NDArray[np.float32]  # (w,)
    pair_rarity: npt.NDArray[np.float32]  # (p,)
    piece_rarity: npt.NDArray[np.float32]  # (g,)
    unknown: float  # the rarity of an unknown word
    sizes: bool  # whether sizes and units are words as well

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words, FIRST)}

    @property
    def marked(self) -> npt.NDArray[np.bool_]:
        """(p,) whether a pair is of a word and a mark."""
        return (self.pairs % (len(self.words) + FIRST) < FIRST) | (self.pairs // (len(self.words) + FIRST) < FIRST)

    @property
    def count(self) -> int:
        """All of them; in a model's weights the words come first, then the pairs, then the pieces."""
        return len(self.words) + len(self.pairs) + len(self.pieces)


def split_words(texts: Iterable[str]) -> list[str]:
    """The words of all texts in one list, a NUL before, between and after the texts, a `,` where a text breaks."""
    texts = list(texts)
    joined = "\0".join(texts)
    if joined.count("\0") >= len(texts):
        joined = "\0".join(text.replace("\0", " ") for text in texts)
    if not joined.isascii():
        joined = _FOREIGN.sub(_plain_letters, joined.casefold())
    # As bytes, for these are marked several times faster.
    letters = joined.encode("utf-8", "surrogatepass")
    letters = _DECIMAL.sub(b".", letters).replace(b" - ", b",").translate(_PLAIN, b"'")
    letters = b"\0 %b \0" % letters
    return letters.replace(b",", b" , ").replace(b"\0", b" \0 ").decode("utf-8", "surrogatepass").split()


def is_size(word: str) -> bool:
    """Whether a word is a size or a unit, which say nothing about what a product is."""
    return _SIZE.fullmatch(word) is not None


def pair_numbers(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], words: int) -> npt.NDArray[np.int64]:
    """One number for each pair of two words' numbers, of so many words."""
    return first * (words + FIRST) + second


class _Slots(dict[str, int]):
    """A place for every distinct word, in order of appearance."""

    def __init__(self, places: dict[str, int]) -> None:
        super().__init__(places)
        self.new: list[str] = []

    def __missing__(self, word: str) -> int:
        place = self[word] = len(self)
        self.new.append(word)
        return place


@dataclass(frozen=True)
class Stream:
    """The words and marks of n texts in order, sizes left out: END, words and BREAKs of the first text, END, ..."""

    places: npt.NDArray[np.int64]  # (t,) into the arrays of Words
    # (t,) the text each belongs to; an END belongs to the text before it, the first to -1.
    owners: npt.NDArray[np.int64]
    counted: npt.NDArray[np.bool_]  # (t,) whether it is a word, the first time in its text
    # (2, t) the pairs that each ends, with the one before and across a BREAK; UNKNOWN if not known.
    pairs: npt.NDArray[np.int64]
    texts: int


@dataclass(frozen=True)
class WordPieces:
    """The pieces that w words have, row after row as in a csr_array."""

    ends: npt.NDArray[np.int32]  # (w + 1,)
    numbers: npt.NDArray[np.int32]  # (e,)
    values: npt.NDArray[np.float32]  # (e,) a piece's rarity, as often as the word has it


class Words:
    """What is to be known of every distinct word met so far; the marks have the places END and BREAK."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._pieces = Pieces(terms.pieces)
        self._pair_places = Lookup(terms.pairs)
        self._slots = _Slots({"\0": END, ",": BREAK})
        self.numbers = np.array([END, BREAK], dtype=np.int64)  # in the vocabulary
        self._skipped = np.zeros(2, dtype=np.bool_)  # sizes and units
        self._digits = np.zeros(2, dtype=np.bool_)  # numbers, which with a unit are a size
        self.telling = np.zeros(2, dtype=np.bool_)  # in the vocabulary and of letters alone
        self.strange = np.zeros(2)  # the rarity's square of an unknown word of letters, else 0
        self.word_squares = np.zeros(2)  # the rarity's square, also of an unknown word
        self.piece_squares = np.zeros(2)  # the sum of the squares of the pieces' values

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, texts: list[str]) -> tuple[Stream, WordPieces]:
        """The texts' stream, and the pieces of the new words."""
        words = split_words(texts)
        places = np.fromiter(map(self._slots.__getitem__, words), dtype=np.int64, count=len(words))
        pieces = self._learn(self._slots.new)
        self._slots.new = []
        if not self.terms.sizes:
            sizes = self._skipped[places]
            sizes[:-1] |= self._digits[places[:-1]] & sizes[1:]
            places = places[~sizes]
        breaks = np.flatnonzero(places == BREAK)
        if len(breaks):
            # A break that nothing follows or nothing precedes is none.
            following = places[breaks + 1]
            idle = breaks[following <= BREAK]
            places = np.delete(places, idle)
            breaks = np.flatnonzero(places == BREAK)
            places = np.delete(places, breaks[places[breaks - 1] == END])
        ends = places == END
        owners = np.cumsum(ends)
        owners -= 1
        owners -= ends
        counted = (places >= FIRST) & ~repeated(owners * len(self) + places + len(self))
        return Stream(places, owners, counted, self._pairs(self.numbers[places]), len(texts)), pieces

    def features(self, stream: Stream, pieces: WordPieces) -> Any:
        """(n, terms) csr_array of float32: the terms of a reader's first texts, each kind divided by its length."""
        from scipy import sparse

        words, pairs = len(self.terms.words), len(self.terms.pairs)
        by_word, by_pair, by_mark, by_piece = 1 / self.lengths(stream).T
        places, owners = stream.places[1:], stream.owners[1:]
        met = stream.counted[1:]
        known = met & (self.numbers[places] >= FIRST)
        shape = (stream.texts, words)
        numbers = self.numbers[places[known]] - FIRST
        values = self.terms.word_rarity[numbers] * by_word[owners[known]]
        own = sparse.csr_array((values, (owners[known], numbers)), shape=shape)
        column, at = np.nonzero(stream.pairs[:, 1:] >= 0)
        numbers = stream.pairs[:, 1:][column, at]
        shape = (stream.texts, pairs)
        values = self.terms.pair_rarity[numbers] * np.where(
            self.terms.marked[numbers], by_mark[owners[at]], by_pair[owners[at]]
        )
        both = sparse.csr_array((values, (owners[at], numbers)), shape=shape)
        distinct = len(pieces.ends) - 1
        having = sparse.csr_array(
            (by_piece[owners[met]], (owners[met], places[met] - FIRST)), shape=(stream.texts, distinct)
        )
        of_words = sparse.csr_array(
            (pieces.values, pieces.numbers, pieces.ends), shape=(distinct, len(self.terms.pieces))
        )
        return sparse.hstack([own, both, having @ of_words], format="csr", dtype=np.float32)

    def words_at(self, places: npt.NDArray[np.int64]) -> list[str]:
        """The words at places, as they are in the stream."""
        words = list(self._slots)
        return [words[place] for place in places.tolist()]

    def lengths(self, stream: Stream) -> npt.NDArray[np.float64]:
        """(n, 4): by what the words, pairs of words, pairs with a mark and pieces of each text are divided.

        Unknown words count as well, as rare as words can be: the less of a text is known, the closer its scores come
        to those of no text at all. Pairs count beside the words, so that a single one does not decide.
        """
        owners, places, pairs = stream.owners[1:], stream.places[1:], stream.pairs[:, 1:]
        squares = np.append(self.terms.pair_rarity.astype(np.float64) ** 2, 0.0)[pairs]
        marked = np.append(self.terms.marked, False)[pairs]
        parts = (
            self.word_squares[places] * stream.counted[1:],
            (squares * ~marked).sum(axis=0),
            (squares * marked).sum(axis=0) / MARKED**2,
            self.piece_squares[places] * stream.counted[1:],
        )
        return lengths_of(
            np.column_stack([np.bincount(owners, weights=part, minlength=stream.texts) for part in parts])
        )

    def _pairs(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The pairs as Stream has them, of a stream's numbers."""
        found = np.full((2, len(numbers)), UNKNOWN, dtype=np.int64)
        found[0, 1:] = self._find(numbers[:-1], numbers[1:])
        after = np.flatnonzero(numbers[1:-1] == BREAK) + 2
        found[1, after] = self._find(numbers[after - 2], numbers[after])
        return found

    def _find(self, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        keys = pair_numbers(first, second, len(self.terms.words))
        # The number of a pair of unknown words might be that of another pair.
        keys[np.minimum(first, second) < 0] = NO_PAIR
        return self._pair_places.find(keys)

    def _learn(self, words: list[str]) -> WordPieces:
        """Append new words to the arrays; the values of their pieces."""
        count = len(words)
        if not count:
            return WordPieces(np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
        number_of = self.terms.numbers.get
        numbers = np.array([number_of(word, UNKNOWN) for word in words], dtype=np.int64)
        skipped = np.zeros(count, dtype=np.bool_)
        if not self.terms.sizes:
            skipped = np.array(
                [(word[0].isdigit() or len(word) < 5) and is_size(word) for word in words], dtype=np.bool_
            )
        digits = np.array([word.isdecimal() for word in words], dtype=np.bool_)
        letters = np.array([word.isalpha() for word in words], dtype=np.bool_)
        strange = np.where((numbers < 0) & letters, self.terms.unknown**2, 0.0)
        rarity = np.append(self.terms.word_rarity.astype(np.float64), 0.0)
        squares = strange + rarity[np.where(numbers >= 0, numbers - FIRST, -1)] ** 2
        rows, columns = self._pieces.find(["" if skip else word for word, skip in zip(words, skipped, strict=True)])
        keys, times = np.unique(rows * len(self.terms.pieces) + columns, return_counts=True)
        rows, columns = np.divmod(keys, max(1, len(self.terms.pieces)))
        values = self.terms.piece_rarity[columns] * times.astype(np.float32)
        ends = np.append(0, np.cumsum(np.bincount(rows, minlength=count))).astype(np.int32)
        self.numbers = np.append(self.numbers, numbers)
        self._skipped = np.append(self._skipped, skipped)
        self._digits = np.append(self._digits, digits)
        self.telling = np.append(self.telling, (numbers >= 0) & letters)
        self.strange = np.append(self.strange, strange)
        self.word_squares = np.append(self.word_squares, squares)
        piece_squares = np.bincount(rows, weights=values.astype(np.float64) ** 2, minlength=count)
        self.piece_squares = np.append(self.piece_squares, piece_squares)
        return WordPieces(ends, columns.astype(np.int32), values)


def lengths_of(squares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, 4) lengths of the sums of squares of a text's words, pairs of words, pairs with a mark, and pieces."""
    squares[:, 1] += squares[:, 0]
    np.maximum(squares, 1e-9, out=squares)
    return np.sqrt(squares, out=squares)


@lru_cache(maxsize=4096)
def _plain(letters: str) -> str:
    decomposed = unicodedata.normalize("NFKD", letters).casefold()
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).translate(_LETTERS)
    return "".join(letter if letter.isascii() or letter.isalnum() else " " for letter in plain)


def _plain_letters(match: re.Match[str]) -> str:
    return _plain(match.group())
