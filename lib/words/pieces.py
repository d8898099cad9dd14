"""Pieces of words: what tells something of a word that was never met (`choco` in schokoladenkeks), found fast."""

import numpy as np
import numpy.typing as npt

# A piece is a word's 2 to 5 neighbouring letters, a space standing at either end.
SHORTEST, LONGEST = 2, 5
# Of a longer word, only the beginning is taken to pieces.
LETTERS = 60
# So many bits tell the letters of pieces apart.
BITS = 12
# In place of the number of what is not known.
UNKNOWN = -1


class Lookup:
    """Finds whole numbers from 0 among distinct known ones, many at once and several times faster than a search."""

    def __init__(self, known: npt.NDArray[np.int64]) -> None:
        bits = max(4, int(4 * len(known)).bit_length())
        self._shift, self._last = np.uint64(64 - bits), (1 << bits) - 1
        self._places = np.full(1 << bits, UNKNOWN, dtype=np.int64)
        self._numbers = np.full(1 << bits, UNKNOWN, dtype=np.int64)
        at, waiting = self._first(known), np.arange(len(known))
        while len(waiting):
            free = self._numbers[at] == UNKNOWN
            self._numbers[at[free]] = known[waiting[free]]
            placed = self._numbers[at] == known[waiting]
            self._places[at[placed]] = waiting[placed]
            at, waiting = (at[~placed] + 1) & self._last, waiting[~placed]

    def find(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The place of each wanted number among the known ones, or UNKNOWN."""
        at = self._first(wanted)
        numbers = self._numbers[at]
        found = self._places[at]
        # Another number stands where this one would: it is further on, or before the next gap it is not there.
        open_ = np.flatnonzero((numbers != wanted) & (numbers != UNKNOWN))
        found[numbers != wanted] = UNKNOWN
        at = at[open_]
        while len(open_):
            at = (at + 1) & self._last
            numbers = self._numbers[at]
            same = numbers == wanted[open_]
            found[open_[same]] = self._places[at[same]]
            on = ~same & (numbers != UNKNOWN)
            open_, at = open_[on], at[on]
        return found

    def _first(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        spread = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        places: npt.NDArray[np.int64] = (spread >> self._shift).astype(np.int64)
        return places


def repeated(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether each whole number from 0 stood before, without sorting."""
    result = np.zeros(len(keys), dtype=np.bool_)
    bits = max(4, int(4 * len(keys)).bit_length())
    firsts = np.empty(1 << bits, dtype=np.int64)
    waiting, factor = np.arange(len(keys)), 0x9E3779B97F4A7C15
    while len(waiting):
        wanted = keys[waiting]
        places = ((wanted.astype(np.uint64) * np.uint64(factor)) >> np.uint64(64 - bits)).astype(np.int64)
        # Of several writes to one place the last stays: of the first number that stands.
        firsts[places[::-1]] = waiting[::-1]
        first = firsts[places]
        same = keys[first] == wanted
        result[waiting[same & (first != waiting)]] = True
        # Different numbers in one place: once more with another factor.
        waiting, factor = waiting[~same], (factor * 0xD1342543DE82EF95 + 2) % 2**64 | 1
    return result


class Pieces:
    """Finds the pieces of words: a piece is a number of 60 bits, 12 a letter, so that a whole batch is one search."""

    def __init__(self, pieces: list[str]) -> None:
        letters = np.unique(_code_points("".join(pieces)))
        # Twelve bits hold no more; pieces of the rarest scripts' other letters are never found.
        self._letters = letters[: (1 << BITS) - 1]
        codes = self._codes("".join(pieces))
        lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        keys = np.zeros(len(pieces), dtype=np.int64)
        for at in range(LONGEST):
            there = lengths > at
            keys[there] |= codes[starts[there] + at] << (BITS * (LONGEST - 1 - at))
        self._lookup = Lookup(keys)

    def find(self, words: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The places of words that have known pieces, and the pieces' numbers, each as often as it is there."""
        padded = [f" {word[:LETTERS]} " for word in words]
        codes = self._codes("".join(padded))
        lengths = np.array([len(word) for word in padded], dtype=np.int64)
        owners = np.repeat(np.arange(len(words)), lengths)
        left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(codes))
        places, numbers = [owners[:0]], [owners[:0]]
        keys = np.zeros(len(codes), dtype=np.int64)
        good = np.ones(len(codes), dtype=np.bool_)
        following = np.append(codes, np.zeros(LONGEST, dtype=np.int64))
        for size in range(1, LONGEST + 1):
            good &= left >= size
            letters = following[size - 1 : size - 1 + len(codes)]
            good &= letters > 0
            keys |= letters << (BITS * (LONGEST - size))
            if size >= SHORTEST:
                found = self._lookup.find(keys[good])
                places.append(owners[good][found >= 0])
                numbers.append(found[found >= 0])
        return np.concatenate(places), np.concatenate(numbers)

    def _codes(self, text: str) -> npt.NDArray[np.int64]:
        """A number from 1 for each letter, 0 for one that no piece has."""
        points = _code_points(text)
        if not len(self._letters):
            return np.zeros(len(points), dtype=np.int64)
        at = np.minimum(np.searchsorted(self._letters, points), len(self._letters) - 1)
        return np.where(self._letters[at] == points, at + 1, 0)


def pieces_of(word: str) -> list[str]:
    """The pieces of a word, as often as they are in it."""
    padded = f" {word[:LETTERS]} "
    size = len(padded)
    return [padded[i : i + n] for n in range(SHORTEST, LONGEST + 1) for i in range(size - n + 1)]


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
