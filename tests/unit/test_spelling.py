"""Mistyped words and what they were meant to be."""

import pytest

from lib.words.spelling import meant_by

KNOWN = {"tomato", "tomat", "yogurt", "havredryck", "mustard", "custard", "milk"}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        pytest.param("tomaot", "tomato", id="swapped letters come before one too many"),
        pytest.param("yogrt", "yogurt", id="a letter left out"),
        pytest.param("yoggurt", "yogurt", id="a letter doubled"),
        pytest.param("yogort", "yogurt", id="another letter"),
        pytest.param("havredrcyk", "havredryck", id="two swapped"),
        pytest.param("nustard", None, id="the first letter is taken for right"),
        pytest.param("mikl", None, id="too short"),
        pytest.param("tomatxo2", None, id="not letters alone"),
        pytest.param("yoooogurt", None, id="too far"),
    ],
)
def test_a_mistyped_word_is_what_it_was_meant_to_be(word: str, meant: str | None) -> None:
    assert meant_by(word, KNOWN) == meant


def test_where_two_words_are_as_near_none_is_meant() -> None:
    assert meant_by("baked", {"bakes", "baken"}) is None
