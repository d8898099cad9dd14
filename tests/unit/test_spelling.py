"""Mistyped words and what they were meant to be."""

import pytest

from lib.words.spelling import Spelling
from lib.words.vocabulary import terms_of

WORDS = ("tomato", "tomat", "yogurt", "havredryck", "mustard", "salt", "cheddar", "kitten", "mitten")
PHRASES = {"barley", "bakery"}
# `mitten` is in more texts than `kitten`.
TERMS = terms_of([*WORDS, "mitten"], word_texts=1, pair_texts=2, piece_words=1)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        pytest.param("tomaot", "tomato", id="swapped letters come before one too many"),
        pytest.param("yogrt", "yogurt", id="a letter left out"),
        pytest.param("yoggurt", "yogurt", id="a letter doubled"),
        pytest.param("yogort", "yogurt", id="another letter"),
        pytest.param("havredrcyk", "havredryck", id="two swapped"),
        pytest.param("vheddar", "cheddar", id="the first letter slipped to its neighbour"),
        pytest.param("oygurt", "yogurt", id="the first two swapped"),
        pytest.param("ustard", "mustard", id="the first left out"),
        pytest.param("slat", "salt", id="two swapped in a short word"),
        pytest.param("salg", "salg", id="too short for another letter"),
        pytest.param("barleyy", "barley", id="a word of the lexicon alone"),
        pytest.param("jitten", "kitten", id="the neighbour on the keyboard comes before any other letter"),
        pytest.param("witten", "mitten", id="of two as near, the commoner"),
        pytest.param("tomatxo2", "tomatxo2", id="not letters alone"),
        pytest.param("yoooogurt", "yoooogurt", id="too far"),
        pytest.param("tomat", "tomat", id="known itself"),
        pytest.param(",", ",", id="a break"),
    ],
)
def test_a_mistyped_word_is_what_it_was_meant_to_be(word: str, meant: str) -> None:
    spelling = Spelling(TERMS, PHRASES)
    assert [spelling.meant(word) for _ in range(2)] == [meant] * 2


def test_a_unit_is_no_mistyped_word() -> None:
    terms = terms_of(["stock", "onze"], word_texts=1, pair_texts=2, piece_words=1)
    assert Spelling(terms).meant("stck") == "stck"
