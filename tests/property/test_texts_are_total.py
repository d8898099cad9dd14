"""Whatever the text, numbers, contents and names come out of it without an exception, and within bounds."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.fields.content import parse_content, without_content
from lib.fields.names import clean_name, model_text
from lib.quantities import decimal_mark, parse_measure, parse_number

# Made of what means something here, texts come to the corners sooner than any letters.
WORDS = """1 2 12 330 500 000 0 ½ 1/2 . , + - – / x × * % ( ) ' # ca ca. net drained gross à of each e per g kg ml cl l
oz lb fl st pcs pack er Pack G & &amp; &#0; <b> </b> Ã Â é ٣ İ ß Milk brutto"""
PIECES = st.sampled_from([*WORDS.split(), "\ud800", "\u00a0"])
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(PIECES, max_size=12).map("".join),
    st.lists(PIECES, max_size=12).map(" ".join),
)
DECIMALS = st.sampled_from(["", ".", ","])


@given(TEXTS, DECIMALS)
@settings(max_examples=3000, deadline=None)
def test_contents_are_positive_and_stand_in_the_text(text: str, decimal: str) -> None:
    found = parse_content(text, decimal=decimal)
    if found is None:
        return
    assert text[slice(*found.span)] == found.text != ""
    assert found.count >= 1
    for amount in (found.grams, found.millilitres):
        assert amount is None or (math.isfinite(amount) and amount >= 0)


@given(TEXTS, TEXTS)
@settings(max_examples=3000, deadline=None)
def test_names_keep_a_letter_and_can_be_stored(text: str, brand: str) -> None:
    name = clean_name(text)
    assert name == " ".join(name.split())
    name.encode("utf-8")
    for shorter in (without_content(name), model_text(name), model_text(name, brand=brand)):
        assert any(letter.isalpha() for letter in shorter) or not any(letter.isalpha() for letter in name)


@given(TEXTS, DECIMALS)
@settings(max_examples=1000, deadline=None)
def test_numbers_are_finite(text: str, decimal: str) -> None:
    for number in (parse_number(text, decimal=decimal), parse_measure(text, decimal=decimal)[0]):
        assert number is None or math.isfinite(number)


@given(st.lists(TEXTS, max_size=20))
def test_every_column_has_a_decimal_mark_with_a_reason(values: list[str]) -> None:
    mark, reason = decimal_mark(values)
    assert mark in (".", ",")
    assert reason


@pytest.mark.parametrize(
    "piece", ["1 ", "1x", "9", " ", "1 x 1 ", "net ", "1 000 ", "1.", "<b ", "&amp;", "1+1", "½", "A1"]
)
def test_a_long_text_takes_no_longer_than_its_length(piece: str) -> None:
    text = piece * (200_000 // len(piece)) + "!"
    started = time.perf_counter()
    parse_content(text)
    decimal_mark([text])
    parse_measure(text)
    model_text(clean_name(text))
    assert time.perf_counter() - started < 5
