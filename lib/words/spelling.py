"""The word that a mistyped one was meant to be: with one letter too many, too few, changed, or two swapped."""

from collections.abc import Container, Iterator

# Shorter words are near too many others: the longer of two has so many (`Croma` is no `crema`, `yogrt` is yogurt).
FEWEST_LETTERS = 6
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def meant_by(word: str, known: Container[str]) -> str | None:
    """The known word that a plain word is one mistake away from, None where there is none, or no telling which.

    Swapped letters are likelier meant than a changed one, and that than one too many or too few. The first letter is
    mostly right.
    """
    if len(word) < FEWEST_LETTERS - 1 or not word.isalpha():
        return None
    for candidates in (_swapped(word), _changed(word), _longer_or_shorter(word)):
        found = {one for one in candidates if one in known and max(len(one), len(word)) >= FEWEST_LETTERS}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _swapped(word: str) -> Iterator[str]:
    for at in range(1, len(word) - 1):
        yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _changed(word: str) -> Iterator[str]:
    for at in range(1, len(word)):
        for letter in _ALPHABET:
            yield word[:at] + letter + word[at + 1 :]


def _longer_or_shorter(word: str) -> Iterator[str]:
    for at in range(1, len(word)):
        yield word[:at] + word[at + 1 :]
    for at in range(1, len(word) + 1):
        for letter in _ALPHABET:
            yield word[:at] + letter + word[at:]
