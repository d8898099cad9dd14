"""Numbers and units of measure as customers write them."""

import pytest

from lib.quantities import decimal_mark, parse_measure, parse_number, unit_of


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
        ("1'234.50", 1234.5),
        ("1\u202f234,5", 1234.5),
        ("1,00,000", 100000),
        ("(12)", -12),
        ("12-", -12),
        ("−12", -12),
        ("-(12)", None),
        ("12 5", None),
        ("12.05.2023", None),
        ("12 %", None),
        ("€ 2,50", None),
        ("9" * 400, None),
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
        ("12 %", 12, "%"),
        ("12-", -12, ""),
        ("1 234,5 kg", 1234.5, "kg"),
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


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1,234", ",", 1.234),
        ("1,234", ".", 1234),
        ("1.234", ",", 1234),
        ("10.48", ",", 10.48),  # two digits are no thousands
        ("0.375", ",", 0.375),  # nor does a thousand begin with 0
        ("1.234,5", ".", 1234.5),
    ],
)
def test_the_columns_mark_decides_what_may_be_both(text: str, decimal: str, number: float) -> None:
    assert parse_number(text, decimal=decimal) == number


@pytest.mark.parametrize(
    ("values", "mark", "reason"),
    [
        (["0,75 l"] * 3 + ["1 l"], ",", "'0,75' has a comma with two digits behind it; such are 3 of 4 values"),
        (["10.48", "9"], ".", "'10.48' has a point with two digits behind it; such are 1 of 2 values"),
        (["€ 1.234,5"], ",", "'1.234,5' has a comma behind the other mark; such are 1 of 1 values"),
        (["1.234.567"], ",", "'1.234.567' has a repeated point, which separates thousands; such are 1 of 1 values"),
        (
            ["1,5", "2,5", "3.25"],
            ",",
            "'1,5' has a comma with one digit behind it; such are 2 of 3 values; 1 would have the point",
        ),
        (
            ["1,234", "950"],
            ".",
            "'1,234' has a comma with three digits behind it, and numbers below 1000 have none: it separates thousands",
        ),
        (
            ["1,234", "2,500"],
            ",",
            "'1,234' has a comma with three digits behind it, and every number has one: "
            "it is taken for the decimal mark",
        ),
        (["12.05.2023", "7", ""], ".", "none of 2 values has a decimal mark"),
    ],
)
def test_a_column_tells_its_decimal_mark(values: list[str], mark: str, reason: str) -> None:
    assert decimal_mark(values) == (mark, reason)
