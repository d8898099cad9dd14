"""Which words, pairs and pieces of words a word model is to know: those that enough of the training texts have."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.words.pieces import pieces_of
from lib.words.terms import BREAK, FIRST, Terms, Words, pair_numbers


def terms_of(texts: list[str], *, word_texts: int, pair_texts: int, piece_words: int, sizes: bool = False) -> Terms:
    """The terms that enough of the texts have: so many texts a word or pair, so many distinct words a piece."""
    count = len(texts)

    def rarity(having: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32] = (np.log((1 + count) / (1 + having)) + 1).astype(np.float32)
        return values

    empty = np.zeros(0, np.float32)
    none = Terms([], np.zeros(0, np.int64), [], empty, empty, empty, float(np.log(1 + count) + 1), sizes)
    reader = Words(none)
    stream, _ = reader.read(texts)
    places, having = _spread(stream.places, stream.owners)
    all_words = reader.words_at(np.arange(FIRST, len(reader)))
    met = places >= FIRST
    spread = {all_words[place - FIRST]: number for place, number in zip(places[met], having[met].tolist(), strict=True)}
    words = sorted(word for word, number in spread.items() if number >= word_texts)
    word_rarity = rarity(np.array([spread[word] for word in words], dtype=np.float64))

    reader = Words(replace(none, words=words, word_rarity=word_rarity))
    stream, _ = reader.read(texts)
    numbers = reader.numbers[stream.places]
    after = np.flatnonzero(numbers[1:-1] == BREAK) + 2
    first, second = np.append(numbers[:-1], numbers[after - 2]), np.append(numbers[1:], numbers[after])
    known = (first >= 0) & (second >= 0) & (first + second > BREAK)
    keys = pair_numbers(first, second, len(words))[known]
    pairs, having = _spread(keys, np.append(stream.owners[1:], stream.owners[after])[known])
    pairs, having = pairs[having >= pair_texts], having[having >= pair_texts]

    in_words, in_texts = Counter[str](), Counter[str]()
    for word, number in spread.items():
        for piece in set(pieces_of(word)):
            in_words[piece] += 1
            in_texts[piece] += number
    pieces = sorted(piece for piece, number in in_words.items() if number >= piece_words)
    piece_texts = np.array([in_texts[piece] for piece in pieces], dtype=np.float64)
    piece_rarity = rarity(np.minimum(piece_texts, count))
    return Terms(words, pairs, pieces, word_rarity, rarity(having), piece_rarity, none.unknown, sizes)


def _spread(keys: npt.NDArray[np.int64], owners: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ...]:
    """The distinct keys in rising order, and how many owners each has."""
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    first = np.append(True, (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1]))[: len(keys)]
    return np.unique(keys[first], return_counts=True)
