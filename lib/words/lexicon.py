"""Names in ten languages brought nearer to the English that a model knows best: their English stands behind them.

config/lexicon/LANGUAGE.csv is written by hand: a term, its English, the category it goes to by itself, if any, and
whether it is a brand, which speaks only where no other word of the name says what it is. A
name's language is the one whose lexicon knows most of its letters; a long word that no lexicon has is taken apart into
ones that it has (`kananmunapasta`), or taken for a form of one (`tomaattia`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lib.words.grammar import ELIDED, ELIDED_BEFORE, ENDINGS, LINKS
from lib.words.lexicon_entries import ENGLISH, IS_BRAND, IS_PRODUCT, Entry
from lib.words.splitting import plain_words, with_accents
from lib.words.terms import is_size

ARRAYS = ("lexicon_phrases", "lexicon_english")
# Words of a phrase that are looked up together.
LONGEST_PHRASE = 4
# A part of a compound has so many letters; the last one more where the first is unknown.
PART, LAST_PART, COMPOUND = 3, 5, 6
# What a word taken apart or for a form of another counts beside one that is found as it is.
GUESSED = 0.7
# A year says that something has a vintage, whichever it is: most often wine, now and then a calendar.
_YEAR, VINTAGE = re.compile(r"19[5-9]\d|20[0-4]\d"), "vintage"
# Words remembered before they are forgotten all at once.
REMEMBERED = 200_000

# A word's or phrase's English in each language that has it, behind a mark of what it is.
Meanings = dict[str, str]
# What a language reads in a text: the letters that it knows, the place up to which it has read, and the marked English.
Reading = tuple[float, int, list[str]]
# What a brand's letters count towards a name's language: it is sold in many countries.
BRAND_SCORE = 0.5


class Lexicon:
    """Says what names mean in English. What it says of a name depends on the name alone.

    English terms tell that a name needs no translation; where their English differs (aubergine) it is said.
    """

    def __init__(self, phrases: dict[str, str], english: Iterable[str]) -> None:
        """`phrases`: a plain phrase -> its meanings, as `sv=oat drink` with tabs between; `english`: plain words."""
        self._phrases = phrases
        self._english = {",", *english}  # words that mean themselves
        self._longest: dict[str, int] = {}  # words of the longest phrase that begins with a word
        for phrase in phrases:
            if " " in phrase:
                first, *more = phrase.split(" ")
                self._longest[first] = max(self._longest.get(first, 0), 1 + len(more))
        self._known: dict[str, Meanings] = {}
        self._remembered: dict[str, tuple[Meanings, float]] = {}

    @staticmethod
    def of_entries(entries: Iterable[Entry], *, english: Iterable[str] = ()) -> "Lexicon":
        """The lexicon of the entries, and of further English words that need no translation."""
        rows = list(entries)
        terms = plain_words([entry.term for entry in rows])
        meanings = plain_words([entry.english for entry in rows])
        found: dict[str, Meanings] = {}
        accented: list[tuple[str, str, str, str]] = []
        own = {word for word in english if not _YEAR.fullmatch(word)}
        # Words without accents first: `skal` (peel) is what is meant by skal, not `skål` (bowl).
        for entry, words, meaning in sorted(zip(rows, terms, meanings, strict=True), key=lambda row: _accented(row[0])):
            if not 0 < len(words) <= LONGEST_PHRASE or ("," in words and "/" not in entry.term):
                continue
            phrase, said = " ".join(words), entry.mark + " ".join(meaning)
            found.setdefault(phrase, {}).setdefault(entry.language, said)
            spelled = " ".join(with_accents(entry.term, words))
            if spelled != phrase:
                accented.append((phrase, spelled, entry.language, said))
            if entry.language == ENGLISH and words == meaning and len(words) == 1:
                own.update(words)
        for word in own:
            found.setdefault(word, {}).setdefault(ENGLISH, IS_PRODUCT + word)
        for phrase, spelled, language, said in accented:
            if any(other != said for other in found[phrase].values()):
                found.setdefault(spelled, {}).setdefault(language, said)
        lines = {
            phrase: "\t".join(f"{language}={english}" for language, english in sorted(meaning.items()))
            for phrase, meaning in sorted(found.items())
        }
        return Lexicon(lines, sorted(own))

    def arrays(self) -> dict[str, npt.NDArray[np.uint8]]:
        """Everything as arrays of UTF-8, for an .npz file."""
        phrases = "\n".join(f"{phrase}\t{meanings}" for phrase, meanings in self._phrases.items())
        texts = zip(ARRAYS, (phrases, "\n".join(sorted(self._english - {","}))), strict=True)
        return {name: np.frombuffer(text.encode(), dtype=np.uint8) for name, text in texts}

    @staticmethod
    def of(arrays: Mapping[str, npt.NDArray[np.uint8]]) -> "Lexicon":
        """The lexicon that arrays() came from; an empty one where they have none."""
        texts = [arrays[name].tobytes().decode() if name in arrays else "" for name in ARRAYS]
        # Meanings are taken apart when they are asked for: a batch asks for few of them.
        pairs = (line.split("\t", 1) for line in texts[0].split("\n") if line)
        return Lexicon(dict(pairs), texts[1].split("\n"))

    @property
    def words(self) -> Iterator[str]:
        """The words that it has by themselves, in any language, plain and some with their accents."""
        return (phrase for phrase in self._phrases if " " not in phrase)

    def understands(self, word: str) -> bool:
        """Whether it has a plain word, or takes it for a form of one or made of several, in any language."""
        has = word in self._phrases or word in self._within_phrases
        return has or bool(self._form(word)) or any(self._made_of(word, each) for each in LINKS)

    @cached_property
    def _within_phrases(self) -> set[str]:
        return {word for phrase in self._phrases if " " in phrase for word in phrase.split(" ")}

    def glossed(self, texts: Sequence[str], *, meant: Callable[[str], str] | None = None) -> list[str]:
        """Each text, and behind a comma the English of what is not English in it.

        `meant` puts plain words right before they are read; the text stands there as it was read.
        """
        if not self._phrases and meant is None:
            return list(texts)
        found = []
        for text, words in zip(texts, plain_words(texts), strict=True):
            right = words if meant is None or self._english.issuperset(words) else [meant(word) for word in words]
            said = text if right == words else " ".join(right)
            spelled = with_accents(text, words) if self._phrases else words
            english = ""
            # An accent makes another word: `Fläsk` is no English flask.
            if self._phrases and not (spelled == words and self._english.issuperset(right)):
                english = self.english_of(
                    right, [new if new != old else own for old, new, own in zip(words, right, spelled, strict=True)]
                )
            found.append(f"{said} , {english}" if english else said)
        return found

    def english_of(self, words: list[str], spelled: list[str]) -> str:
        """The English of a text's plain words, '' where it is English or unknown; `spelled`: with their accents."""
        read = self._read(words, spelled)
        best = max((score for score, _, _ in read.values()), default=0.0)
        winners = sorted(language for language, (score, _, _) in read.items() if score == best)
        if ENGLISH in winners:
            winners = [ENGLISH]
        elif len(winners) > 1 and len({*(tuple(read[language][2]) for language in winners)}) > 1:
            # One word that is a brand in several countries, of another thing in each, says nothing.
            winners = [
                language for language in winners if any(not gloss.startswith(IS_BRAND) for gloss in read[language][2])
            ]
        said = dict.fromkeys(
            word for language in winners for gloss in _speaking(read[language][2]) for word in gloss.split()
        )
        if _has_year(words):
            said[VINTAGE] = None
        return " ".join(word for word in said if word not in words)

    def _read(self, words: list[str], spelled: list[str]) -> dict[str, Reading]:
        """What each language that knows something of a text reads in it, longest phrases first."""
        read: dict[str, Reading] = {}
        longest = self._longest
        for at, word in enumerate(words):
            if word in longest:
                for length in range(min(longest[word], len(words) - at), 1, -1):
                    meanings = self._spelled_meaning(words[at : at + length], spelled[at : at + length])
                    if meanings:
                        _add(read, meanings, float(sum(map(len, words[at : at + length]))), at, length)
            meanings, weight = self._word(word, spelled[at])
            if meanings:
                _add(read, meanings, weight * len(word), at, 1)
        return read

    def _word(self, word: str, spelled: str) -> tuple[Meanings, float]:
        """What the lexicon says or guesses of a single word, and what its letters count."""
        key = word if word == spelled else f"{word} {spelled}"
        known = self._remembered.get(key)
        if known is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            known = self._spelled_meaning([word], [spelled]), 1.0
            if not known[0] and len(word) > PART:
                known = self._guessed(word)
            self._remembered[key] = known
        return known

    def _spelled_meaning(self, words: list[str], spelled: list[str]) -> Meanings:
        """What the lexicon says of words: where it has them with accents, that alone (`blé` is no Danish `ble`)."""
        exact = self._meaning(" ".join(spelled)) if spelled != words else {}
        return exact or self._meaning(" ".join(words))

    def _meaning(self, phrase: str) -> Meanings:
        """What the lexicon says of a phrase, {} where nothing."""
        found = self._known.get(phrase)
        if found is None:
            line = self._phrases.get(phrase)
            if line is None:
                return {}
            found = self._known[phrase] = dict(meaning.split("=", 1) for meaning in line.split("\t"))
        return found

    def _guessed(self, word: str) -> tuple[Meanings, float]:
        """The meaning of a word that no lexicon has, and what it counts: of a form of another, or of its parts."""
        return ({}, 0.0) if is_size(word) else (self._form(word) or self._compound(word), GUESSED)

    def _form(self, word: str) -> Meanings:
        said = {language: self._inflected(word, language) or self._elided(word, language) for language in ENDINGS}
        return {language: meaning for language, meaning in said.items() if meaning}

    def _inflected(self, word: str, language: str) -> str:
        """The marked English of what a word is a form of, '' where it is of nothing."""
        for ending in ENDINGS[language]:
            suffix, _, instead = ending.partition(">")
            stem = word.removesuffix(suffix) + instead
            if word.endswith(suffix) and len(stem) > PART and (meaning := self._part(stem, language)):
                return meaning
        return ""

    def _elided(self, word: str, language: str) -> str:
        """The marked English behind a preposition or article: plain words lack apostrophes (`doignons`)."""
        for first in ELIDED.get(language, ()):
            rest = word.removeprefix(first)
            if rest != word and len(rest) > PART and rest[0] in ELIDED_BEFORE:
                return self._part(rest, language) or self._inflected(rest, language)
        return ""

    def _compound(self, word: str) -> Meanings:
        found: Meanings = {}
        for language in LINKS:
            parts = self._made_of(word, language)
            if parts is None:
                # An unknown first part, and what it is a kind of.
                tails = (word[at:] for at in range(PART, len(word) - LAST_PART + 1))
                parts = next(([meaning] for tail in tails if (meaning := self._part(tail, language))), None)
            if parts:
                # It is what its last part is.
                found[language] = parts[-1][0] + " ".join(part[1:] for part in parts)
        return found

    def _made_of(self, word: str, language: str) -> list[str] | None:
        """The marked English of the known parts of a compound; None where it is none."""
        return self._parts(word, language, most=3) if len(word) >= COMPOUND else None

    def _part(self, word: str, language: str) -> str:
        """The marked English of a word that others are made of, '' where there is none; brands make no others."""
        meaning = self._meaning(word).get(language, "")
        return "" if meaning.startswith(IS_BRAND) else meaning

    def _parts(self, word: str, language: str, *, most: int) -> list[str] | None:
        """The marked English of the fewest parts that make up a word, the last as long as can be; None if none do."""
        meaning = self._part(word, language)
        if meaning and len(word) >= PART:
            return [meaning]
        if most == 1:
            return None
        best: list[str] | None = None
        for at in range(PART, len(word) - PART + 1):
            first = self._part(word[:at], language)
            if not first:
                continue
            for link in ("", *LINKS[language]):
                if word.startswith(link, at) and len(word) - at - len(link) >= PART:
                    rest = self._parts(word[at + len(link) :], language, most=most - 1)
                    if rest is not None and (best is None or len(rest) + 1 < len(best)):
                        best = [first, *rest]
        return best


def _add(read: dict[str, Reading], meanings: Meanings, letters: float, at: int, length: int) -> None:
    """Add a phrase to what the languages read that it means something in, unless an earlier one covers its start."""
    for language, meaning in meanings.items():
        score, until, glosses = read.get(language) or (0.0, 0, [])
        if at >= until:
            glosses.append(meaning)
            counted = letters * BRAND_SCORE if meaning[0] == IS_BRAND else letters
            read[language] = score + counted, at + length, glosses


def _speaking(glosses: list[str]) -> list[str]:
    """The English without marks; that of brands only where no word says what the product is."""
    has_product = any(gloss.startswith(IS_PRODUCT) for gloss in glosses)
    return [gloss[1:] for gloss in glosses if not (has_product and gloss.startswith(IS_BRAND))]


def _has_year(words: list[str]) -> bool:
    """Whether a year is among some words: `2000` is none before a unit."""
    return any(
        _YEAR.fullmatch(word) and not (after.isalpha() and is_size(after)) for word, after in pairwise([*words, ""])
    )


def _accented(entry: Entry) -> bool:
    return not entry.term.isascii()
