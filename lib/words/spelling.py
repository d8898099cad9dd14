"""Mistyped words put right: what was meant is one mistake away, and among the words that are known."""

import math
from collections.abc import Iterator
from functools import cached_property

from lib.words.lexicon import REMEMBERED, Lexicon
from lib.words.pieces import LETTERS
from lib.words.terms import FIRST, Terms, is_size

# A word that was meant is in so many training texts or in the lexicon; rarer ones are names, or typing mistakes.
FEWEST_TEXTS = 5
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # of a keyboard
_BESIDE = {letter: row[max(at - 1, 0) : at] + row[at + 1 : at + 2] for row in _ROWS for at, letter in enumerate(row)}


class Spelling:
    """Takes a word that nobody knows for a known one that is a single mistake away.

    It is of the likeliest mistake (see _MISTAKES), then in the most training texts, then first in the alphabet.
    """

    def __init__(self, terms: Terms, lexicon: Lexicon) -> None:
        self._terms, self._lexicon = terms, lexicon
        self._remembered: dict[str, str] = {}

    def meant(self, word: str) -> str:
        """The word that a plain word was meant to be: itself where it is known or understood, or near none that is."""
        if len(word) > LETTERS or word in self._terms.numbers:
            return word
        meant = self._remembered.get(word)
        if meant is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            meant = self._remembered[word] = self._nearest(word)
        return meant

    def _nearest(self, word: str) -> str:
        if not (word.isascii() and word.isalpha()) or is_size(word) or self._lexicon.understands(word):
            return word
        for mistake, letters in _MISTAKES:
            found = self._common.intersection(mistake(word))
            if long := [meant for meant in found if max(len(meant), len(word)) >= letters]:
                return min(long, key=lambda meant: (self._rarity(meant), meant))
        return word

    @cached_property
    def _common(self) -> set[str]:
        """The words that others may be mistakes for. A rarity is ln((1 + texts) / (1 + texts with the word)) + 1."""
        rarest = self._terms.unknown - math.log(1 + FEWEST_TEXTS)
        rarities = zip(self._terms.words, self._terms.word_rarity.tolist(), strict=True)
        return {word for word, rarity in rarities if rarity <= rarest + 1e-6}.union(self._lexicon.words)

    def _rarity(self, word: str) -> float:
        number = self._terms.numbers.get(word)
        return self._terms.unknown if number is None else float(self._terms.word_rarity[number - FIRST])


def _swapped(word: str) -> Iterator[str]:
    for at in range(len(word) - 1):
        yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _doubled(word: str) -> Iterator[str]:
    for at in range(1, len(word)):
        if word[at] == word[at - 1]:
            yield word[:at] + word[at + 1 :]


def _slipped(word: str) -> Iterator[str]:
    for at, letter in enumerate(word):
        for beside in _BESIDE.get(letter, ""):
            yield word[:at] + beside + word[at + 1 :]


def _changed(word: str) -> Iterator[str]:
    for at in range(len(word)):
        for letter in _ALPHABET:
            yield word[:at] + letter + word[at + 1 :]


def _left_out(word: str) -> Iterator[str]:
    for at in range(len(word) + 1):
        for letter in _ALPHABET:
            yield word[:at] + letter + word[at:]


def _added(word: str) -> Iterator[str]:
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]


# The words that a mistake may have been made in, likelier mistakes first, and how many letters the longer of the two
# words has at least: short words are near too many others (`Croma` is no `crema`, `slat` is salt).
_MISTAKES = ((_swapped, 4), (_doubled, 5), (_slipped, 5), (_changed, 6), (_left_out, 5), (_added, 5))
