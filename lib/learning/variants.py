"""Names made of others, which teach a model what does not matter: an unknown brand, a typing mistake, a scent."""

from collections.abc import Mapping, Sequence

import numpy as np

from lib.taxonomy import read_taxonomy
from lib.words.lexicon_entries import Entry

# Things of these groups that smell or taste of food are no food.
SCENTED_GROUPS = ("household", "care", "goods")
_SYLLABLES = ("ba", "co", "del", "fin", "gor", "hel", "ka", "lo", "mar", "nor", "pi", "ra", "san", "tel", "vi", "zo")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def branded(name: str, chance: np.random.Generator) -> str:
    """A name behind a brand that nobody knows."""
    brand = "".join(chance.choice(_SYLLABLES, size=chance.integers(2, 4)))
    return f"{brand.capitalize()} {name}"


def mistyped(name: str, chance: np.random.Generator) -> str:
    """A name with a letter left out, doubled, changed or in the place of its neighbour, in a word of four or more."""
    words = name.split(" ")
    long = [at for at, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not long:
        return name
    at = long[chance.integers(len(long))]
    word, place = words[at], int(chance.integers(1, len(words[at])))
    mistakes = (
        word[:place] + word[place + 1 :],
        word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :],
        word[:place] + word[place] + word[place:],
        word[:place] + _LETTERS[chance.integers(len(_LETTERS))] + word[place + 1 :],
    )
    words[at] = mistakes[chance.integers(len(mistakes))]
    return " ".join(words)


def scented(
    entries: Sequence[Entry], *, times: Mapping[str, int], chance: np.random.Generator
) -> list[tuple[str, Entry]]:
    """Terms of things that are no food, with words for food of their language: `soap coconut lime`.

    `times`: how often each term of a language, "" of any other.
    """
    taxonomy = read_taxonomy()
    scents: dict[str, list[str]] = {}
    for entry in entries:
        if entry.category and " " not in entry.term and taxonomy.factor_range(entry.category):
            scents.setdefault(entry.language, []).append(entry.term)
    found = []
    for entry in entries:
        if entry.category and taxonomy.group(entry.category).id in SCENTED_GROUPS and entry.language in scents:
            for _ in range(times.get(entry.language, times[""])):
                words = chance.choice(scents[entry.language], size=chance.integers(1, 3)).tolist()
                before = chance.random() < 0.5
                found.append((" ".join([*words, entry.term] if before else [entry.term, *words]), entry))
    return found
