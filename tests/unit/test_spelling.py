"""Mistyped words and what they were meant to be."""

import pytest

from lib.words import spelling
from lib.words.lexicon import Lexicon
from lib.words.lexicon_entries import Entry
from lib.words.spelling import FEWEST_TEXTS, Spelling
from lib.words.vocabulary import terms_of

COMMON = ("tomato", "yogurt", "mustard", "salt", "cheddar", "kitten", "mitten", "prote", "port", "stock", "cream")
RARE = ("tomatto", "yohurt")
# `mitten` is in one text more than `kitten`; `tomatto` was somebody's mistake.
TEXTS = [*COMMON * FEWEST_TEXTS, "mitten", *RARE * 2]
ENTRIES = [Entry("de", "kuchen", "cake", ""), Entry("de", "buche", "beech", ""), Entry("de", "mandel", "almond", "")]


@pytest.fixture
def words() -> Spelling:
    terms = terms_of(TEXTS, word_texts=2, pair_texts=2, piece_words=1)
    return Spelling(terms, Lexicon.of_entries(ENTRIES, english=["sausage"]))


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        pytest.param("tomaot", "tomato", id="two letters swapped"),
        pytest.param("yogrt", "yogurt", id="a letter left out"),
        pytest.param("yoggurt", "yogurt", id="a letter doubled"),
        pytest.param("yogort", "yogurt", id="another letter"),
        pytest.param("vheddar", "cheddar", id="the first letter slipped to its neighbour"),
        pytest.param("oygurt", "yogurt", id="the first two swapped"),
        pytest.param("ustard", "mustard", id="the first left out"),
        pytest.param("slat", "salt", id="two swapped in a short word"),
        pytest.param("croma", "croma", id="too short for another letter"),
        pytest.param("sal", "sal", id="too short for a letter left out"),
        pytest.param("salzt", "salt", id="a letter too many"),
        pytest.param("sausgae", "sausage", id="an English word of the lexicon alone"),
        pytest.param("kuhcen", "kuchen", id="a foreign one"),
        pytest.param("buchen", "buchen", id="a form of a word of the lexicon"),
        pytest.param("mandelkuchen", "mandelkuchen", id="a compound of two"),
        pytest.param("mandelkuhcen", "mandelkuhcen", id="a compound is no word of its own"),
        pytest.param("jitten", "kitten", id="the neighbour on the keyboard comes before any other letter"),
        pytest.param("witten", "mitten", id="of two as near, the commoner"),
        pytest.param("protr", "prote", id="nearer on the keyboard before a letter too many"),
        pytest.param("tomatto", "tomatto", id="known itself, though rare"),
        pytest.param("yohirt", "yohirt", id="a rare word is not meant"),
        pytest.param("tomat0", "tomat0", id="not letters alone"),
        pytest.param("stck", "stck", id="a unit"),
        pytest.param("yoooogurt", "yoooogurt", id="too far"),
        pytest.param("томато", "томато", id="other letters"),
        pytest.param("tomato" + "o" * 100_000, "tomato" + "o" * 100_000, id="longer than any word"),
    ],
)
def test_a_mistyped_word_is_what_it_was_meant_to_be(words: Spelling, word: str, meant: str) -> None:
    assert [words.meant(word) for _ in range(2)] == [meant] * 2


def test_an_answer_depends_on_the_word_alone(words: Spelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spelling, "REMEMBERED", 2)
    asked = ["tomaot", "yogrt", "slat", "witten", "xyz", "tomaot", "yogrt"]
    assert [words.meant(word) for word in asked] == ["tomato", "yogurt", "salt", "mitten", "xyz", "tomato", "yogurt"]
