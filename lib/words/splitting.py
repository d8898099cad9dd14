"""Texts as lists of words: plain ones, and the same with their accents."""

import re
import unicodedata
from collections.abc import Iterable

from lib.words.terms import split_words

_WORD = re.compile(r"[^\W_]+")


def plain_words(texts: Iterable[str]) -> list[list[str]]:
    """Each text's plain words and breaks (see terms.split_words)."""
    listed, lines = list(texts), list[list[str]]()
    if not listed:
        return lines
    for word in split_words(listed):
        if word == "\0":
            lines.append([])
        else:
            lines[-1].append(word)
    return lines[:-1]


def spelled_words(text: str) -> list[str]:
    """A text's words in small letters with their accents, as many as its plain words where there are no breaks."""
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold().replace("'", "").replace("’", ""))


def with_accents(text: str, words: list[str]) -> list[str]:
    """A text's plain words and breaks with their accents; as they are where it has none, or they differ in number."""
    if text.isascii():
        return words
    spelled = spelled_words(text)
    if len(spelled) != len(words) - words.count(","):
        return words
    following = iter(spelled)
    return [word if word == "," else next(following) for word in words]
