"""Raw rows to products: fields normalized, reasons found."""

from typing import Any

import pyarrow as pa
import pytest

from lib.columns import match_columns
from lib.fields.gtins import is_gtin, is_restricted, restored_gtin
from lib.formats.rows import ROW_COLUMNS
from lib.products import Products, clean_text, is_too_short, to_products
from lib.records import Reason
from lib.settings import ValidationSettings

REJECT = [
    Reason.MISSING_NAME, Reason.NAME_TOO_SHORT, Reason.NOT_A_PRODUCT, Reason.DUPLICATE, Reason.TOO_MANY_CELLS,
]  # fmt: skip
WARN = [
    Reason.BAD_GTIN, Reason.RESTRICTED_GTIN, Reason.SHARED_GTIN, Reason.BAD_NUMBER, Reason.UNIT_UNKNOWN,
    Reason.QUANTITY_OUT_OF_RANGE,
]  # fmt: skip


def products_of(
    row: dict[str, str], *, problems: list[str] | None = None, same_as: int | None = None, gtin_as: int | None = None
) -> Products:
    header = list(row)
    table = pa.table(
        {
            "line": pa.array([2], ROW_COLUMNS["line"]),
            "sheet": pa.nulls(1, ROW_COLUMNS["sheet"]),
            "extra": pa.nulls(1, ROW_COLUMNS["extra"]),
            "problems": pa.array([problems], ROW_COLUMNS["problems"]),
            **{f"c{i}": [cell] for i, cell in enumerate(row.values())},
            "same_as": pa.array([same_as], pa.int64()),
            "gtin_as": pa.array([gtin_as], pa.int64()),
        }
    )
    columns = match_columns(header, source="products.csv", sample=[list(row.values())])
    return to_products(table, columns=columns, validation=ValidationSettings(reject=REJECT, warn=WARN))


def product_of(row: dict[str, str]) -> dict[str, Any]:
    found = products_of(row).table.to_pylist()[0]
    return {name.removeprefix("product_"): value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("row", "product"),
    [
        pytest.param({"name": "  Tomato\u00a0 ketchup\t"}, {"name": "Tomato ketchup"}, id="blanks"),
        pytest.param({"name": "Ka\u0308se\0\x07"}, {"name": "Käse"}, id="a letter taken apart, control characters"),
        pytest.param({"name": "Tofu", "EAN": "'4006381-33393 1"}, {"name": "Tofu", "gtin": "4006381333931"}, id="GTIN"),
        pytest.param(
            {"name": "Tofu", "EAN": '="4006381333931"'},
            {"name": "Tofu", "gtin": "4006381333931"},
            id="GTIN as a formula",
        ),
        pytest.param(
            {"name": "Tofu", "EAN": "\u200b4006381333931.0"},
            {"name": "Tofu", "gtin": "4006381333931"},
            id="GTIN as a float",
        ),
        pytest.param({"name": "Tofu", "EAN": "4006381333932"}, {"name": "Tofu"}, id="a wrong check digit is not kept"),
        pytest.param(
            {"name": "Tofu", "Quantity": "1,5", "Unit": "KGM"},
            {"name": "Tofu", "quantity": 1.5, "unit": "kg"},
            id="unit",
        ),
        pytest.param({"name": "Tofu", "Qty": "2 x"}, {"name": "Tofu", "quantity": 2.0}, id="a unit nobody knows"),
        pytest.param({"name": "Tofu", "Unit": "St."}, {"name": "Tofu", "unit": "piece"}, id="a unit alone"),
        pytest.param(
            {"name": "Tofu", "Net weight (kg)": "0.5"},
            {"name": "Tofu", "net_grams": 500.0, "content_text": "0.5"},
            id="the weight's unit in the header",
        ),
        pytest.param(
            {"name": "Tofu 2 kg", "Net weight (kg)": "500 g"},
            {"name": "Tofu 2 kg", "net_grams": 500.0, "content_text": "500 g"},
            id="the weight's unit in the cell wins, and the weight over the name",
        ),
        pytest.param(
            {"name": "Cola 6x330ml"},
            {"name": "Cola 6x330ml", "net_millilitres": 1980.0, "pieces": 6, "content_text": "6x330ml"},
            id="the content in the name",
        ),
        pytest.param(
            {"name": "Cola", "Qty": "6x330ml"},
            {"name": "Cola", "net_millilitres": 1980.0, "pieces": 6, "content_text": "6x330ml"},
            id="the content in the quantity",
        ),
        pytest.param({"name": "M&amp;C KÃ¤se"}, {"name": "M&C Käse"}, id="entities and mojibake"),
        pytest.param(
            {"name": "Tofu", "UPC": "36000291452"}, {"name": "Tofu", "gtin": "036000291452"}, id="a lost zero"
        ),
        pytest.param({"name": "Tofu", "EAN": "2012345678903"}, {"name": "Tofu"}, id="a shop's own number"),
    ],
)
def test_fields_are_normalized(row: dict[str, str], product: dict[str, Any]) -> None:
    assert product_of(row) == product


@pytest.mark.parametrize(
    ("row", "rejections", "warnings"),
    [
        pytest.param({"name": "Tofu", "EAN": "", "Qty": ""}, [], [], id="empty cells are no fault"),
        pytest.param({"name": " ", "EAN": "123"}, ["missing-name"], ["bad-gtin"], id="every reason, not the first"),
        pytest.param({"name": "X"}, ["name-too-short"], [], id="one letter"),
        pytest.param({"name": "Tofu", "EAN": "0000000000000"}, [], [], id="zeros stand for no GTIN"),
        pytest.param({"name": "Tofu", "Qty": "some"}, [], ["bad-number"], id="no number"),
        pytest.param({"name": "Tofu", "Qty": "n/a", "EAN": "NULL", "Net weight": "-"}, [], [], id="placeholders"),
        pytest.param({"name": "#N/A", "EAN": "#REF!"}, ["missing-name"], [], id="a spreadsheet's errors"),
        pytest.param({"name": "Tofu", "Qty": "1", "Unit": "smidgen"}, [], ["unit-unknown"], id="unknown unit"),
        pytest.param({"name": "Tofu", "Net weight": "500"}, [], ["unit-unknown"], id="a weight without a unit"),
        pytest.param({"name": "Tofu", "Qty": "6x330ml"}, [], [], id="a content as the quantity"),
        pytest.param({"name": "Tofu", "Qty": "-3"}, [], ["quantity-out-of-range"], id="a negative quantity"),
        pytest.param({"name": "Tofu", "Qty": "1e9"}, [], ["bad-number"], id="an exponent"),
        pytest.param({"name": "Tofu 5000 kg"}, [], ["quantity-out-of-range"], id="five tonnes of tofu"),
        pytest.param({"name": "Tofu", "EAN": "2012345678903"}, [], ["restricted-gtin"], id="a shop's own number"),
        pytest.param({"name": "Summe:", "Qty": "17"}, ["not-a-product"], [], id="a total"),
        pytest.param(
            {"name": "", "sku": "Total", "Qty": "17"}, ["missing-name", "not-a-product"], [], id="without a name"
        ),
        pytest.param({"name": "Total", "brand": "Fage"}, [], [], id="a yogurt called Total"),
        pytest.param({"name": "Note: prices in EUR", "Qty": ""}, ["not-a-product"], [], id="a note"),
        pytest.param({"name": "-----", "Qty": "---"}, ["name-too-short", "not-a-product"], [], id="a line"),
    ],
)
def test_every_reason_is_found(row: dict[str, str], rejections: list[str], warnings: list[str]) -> None:
    products = products_of(row)
    assert (products.rejections, products.warnings) == ([rejections], [warnings])


def test_what_reading_and_staging_found_counts_too() -> None:
    products = products_of({"name": "Tofu"}, problems=["too-many-cells"], same_as=2, gtin_as=3)
    assert (products.rejections, products.warnings) == ([["duplicate", "too-many-cells"]], [["shared-gtin"]])


def test_the_model_reads_the_name_without_its_size() -> None:
    assert products_of({"name": "Tofu natural 500g"}).texts == ["Tofu natural"]


@pytest.mark.parametrize(
    ("text", "restored"), [("36000291452", "036000291452"), ("6385074", "6385074"), ("4011", "4011"), ("abc", "abc")]
)
def test_zeros_are_restored_only_where_the_check_digit_is_right(text: str, restored: str) -> None:
    assert restored_gtin(text) == restored


@pytest.mark.parametrize(
    ("gtin", "restricted"),
    [
        ("4006381333931", False),
        ("2012345678903", True),
        ("0212345678902", True),
        ("96385074", False),
        ("20123451", True),
    ],
)
def test_ranges_for_use_within_a_shop_are_told(gtin: str, restricted: bool) -> None:
    assert is_restricted(gtin) is restricted


@pytest.mark.parametrize("gtin", ["96385074", "036000291452", "4006381333931", "00012345600012"])
def test_gtins_of_each_length_are_valid(gtin: str) -> None:
    assert is_gtin(gtin)


@pytest.mark.parametrize("text", ["4006381333932", "400638133393", "4011", "", "400638133393x", "٤٠٠٦٣٨١٣٣٣٩٣١"])
def test_other_texts_are_not(text: str) -> None:
    assert not is_gtin(text)


@pytest.mark.parametrize(
    ("name", "too_short"), [("X", True), ("7", True), ("é!", True), ("7up", False), ("茶", False), ("घी", False)]
)
def test_names_need_two_letters_or_an_ideograph(name: str, too_short: bool) -> None:
    assert is_too_short(name) is too_short


def test_clean_text_keeps_letters_of_any_script() -> None:
    assert clean_text("  Smør\u200b 茶 ") == "Smør\u200b 茶"
