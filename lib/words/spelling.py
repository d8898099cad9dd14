"""Mistyped words put right: what was meant is one mistake away, and among the words that are known."""

from collections.abc import Container, Iterator

from lib.words.terms import FIRST, Terms, is_size

# Words remembered before they are forgotten all at once.
REMEMBERED = 200_000
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # of a keyboard
_BESIDE = {letter: row[max(at - 1, 0) : at] + row[at + 1 : at + 2] for row in _ROWS for at, letter in enumerate(row)}


class Spelling:
    """Takes a word that nobody knows for the commonest known one that is a single mistake away."""

    def __init__(self, terms: Terms, phrases: Container[str] = ()) -> None:
        """`terms`: of a model, whose words are known; `phrases`: further plain words (see terms.split_words)."""
        self._terms, self._phrases = terms, phrases
        self._remembered: dict[str, str] = {}

    def meant(self, word: str) -> str:
        """The word that a plain word was meant to be: itself where it is known, or near none that is."""
        meant = self._remembered.get(word)
        if meant is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            meant = self._remembered[word] = word if self._has(word) else self._nearest(word)
        return meant

    def _nearest(self, word: str) -> str:
        if not word.isalpha() or is_size(word):
            return word
        for mistake, letters in _MISTAKES:
            found = {meant for meant in mistake(word) if max(len(meant), len(word)) >= letters and self._has(meant)}
            if found:
                return min(found, key=lambda meant: (self._rarity(meant), meant))
        return word

    def _has(self, word: str) -> bool:
        return word in self._terms.numbers or word in self._phrases

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
