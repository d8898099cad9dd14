"""Headers matched to our fields, and the names of the results' columns."""

import pytest

from lib.columns import match_columns, unique_headers
from lib.errors import SourceError
from lib.fields.known_headers import folded, known_headers, split_unit


def matched(*header: str) -> dict[str, str]:
    return {match.field: match.header for match in match_columns(list(header), source="products.csv")}


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        pytest.param(["NAME", "E.A.N."], {"name": "NAME", "gtin": "E.A.N."}, id="case and punctuation"),
        pytest.param(["Benämning", "Art.nr"], {"name": "Benämning", "sku": "Art.nr"}, id="Swedish"),
        pytest.param(
            ["Produktname", "Warengruppe"], {"name": "Produktname", "customer_category": "Warengruppe"}, id="German"
        ),
        pytest.param(["Nimi", "Valmistaja"], {"name": "Nimi", "brand": "Valmistaja"}, id="Finnish, as Alko has it"),
        pytest.param(["product_name", "name"], {"name": "product_name"}, id="two that fit: the more specific one"),
        pytest.param(
            ["EAN", "Description"], {"name": "Description", "gtin": "EAN"}, id="a description for want of a name"
        ),
        pytest.param(
            ["Name", "Description"], {"name": "Name", "description": "Description"}, id="a description beside a name"
        ),
        pytest.param(
            ["name", "Net weight (kg)"], {"name": "name", "net_weight": "Net weight (kg)"}, id="a unit behind"
        ),
    ],
)
def test_headers_are_matched(header: list[str], fields: dict[str, str]) -> None:
    assert matched(*header) == fields


def test_without_a_name_the_columns_are_shown_and_what_to_do() -> None:
    with pytest.raises(SourceError) as refused:
        matched("id", "price", "colour")
    assert str(refused.value) == (
        "products.csv: no column is known to hold the product's name (the columns are 'id', 'price', 'colour'); "
        "say which with --columns name=HEADER, or add its header to config/columns.toml"
    )


def test_every_known_header_belongs_to_one_field() -> None:
    known = known_headers()  # raises when one does not
    assert known["productname"][0] == "name"


def test_folding_takes_off_case_accents_and_punctuation() -> None:
    assert folded("Art.-Nr.") == folded("ART NR") == "artnr"
    assert folded("Smørbrød_ŁÓDŹ") == "smorbrodlodz"


def test_only_a_mass_or_a_volume_is_a_unit_in_a_header() -> None:
    assert split_unit("Net weight (kg)")[0] == "Net weight"
    assert split_unit("Product unit") == ("Product unit", None)
    assert split_unit("kg") == ("kg", None)


def test_the_customers_headers_stay_but_for_empty_repeated_and_our_own_names() -> None:
    names = unique_headers(["Price", "", "price", "Category", "line "], taken=["line", "category"])
    assert names == ["Price", "column 2", "price (2)", "Category (source)", "line "]
