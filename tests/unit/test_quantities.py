"""Numbers and units of measure as customers write them."""

import pytest

from lib.quantities import parse_measure, parse_number, unit_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("1,5", 1.5),
        ("0.75", 0.75),
        (".5", 0.5),
        ("1.234,50", 1234.5),
        ("1,234.50", 1234.5),
        ("1 234,5", 1234.5),
        ("1\u00a0234", 1234),
        ("1.234.567", 1234567),
        ("-,5", -0.5),
        ("+3", 3),
        ("12,", None),
        ("", None),
        ("n/a", None),
        ("1e5", None),
    ],
)
def test_numbers(text: str, number: float | None) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("500 g", 500, "g"),
        ("0,75 l", 0.75, "l"),
        ("12oz", 12, "oz"),
        ("3", 3, ""),
        ("16 fl. oz.", 16, "fl. oz."),
        ("approx. 3", None, ""),
        ("6x330ml", None, ""),
        ("1/2 lb", None, ""),
    ],
)
def test_measures(text: str, number: float | None, unit: str) -> None:
    assert parse_measure(text) == (number, unit)


@pytest.mark.parametrize(
    ("text", "name"), [("KGM", "kg"), ("St.", "piece"), ("Fl. Oz", "fl oz"), ("karton", "box"), ("LTR", "l")]
)
def test_units_are_known_by_many_names(text: str, name: str) -> None:
    unit = unit_of(text)
    assert unit is not None
    assert unit.name == name


def test_an_unknown_unit_is_none() -> None:
    assert unit_of("smidgen") is None
