"""Real customers' files, where they are there to be read (../shared/data/messy); what they are stands in SOURCES.md."""

from pathlib import Path
from typing import Any

import pytest

from lib.batching import plan_batches
from lib.errors import SourceError
from lib.products import to_products
from lib.settings import ROOT, parse, settings_of
from lib.shards import Staged, read_batch
from lib.staging import stage
from lib.storage import LocalFolder

MESSY = ROOT.parent / "shared" / "data" / "messy"
pytestmark = pytest.mark.skipif(not MESSY.is_dir(), reason="needs ../shared/data/messy")


def products_of(name: str, folder: Path) -> tuple[Staged, list[dict[str, Any]]]:
    """What was staged, and the products in order, each with its warnings."""
    job = LocalFolder(folder / name)
    staged = stage(str(MESSY / name), job=job)
    validation = settings_of(parse("")).validation
    found = []
    for batch in plan_batches(list(staged.shards), count=1):
        for rows in read_batch(batch, ledger=staged.ledger, job=job):
            products = to_products(rows, columns=list(staged.columns), validation=validation)
            assert not any(products.rejections)
            warnings = [[reason.value for reason in reasons] for reasons in products.warnings]
            table = products.table.to_pylist()
            found += [product | {"warnings": noted} for product, noted in zip(table, warnings, strict=True)]
    return staged, found


def test_alkos_two_formats_give_identical_products(tmp_path: Path) -> None:
    text, of_text = products_of("alkon-hinnasto.csv", tmp_path)
    workbook, of_workbook = products_of("alkon-hinnasto.xlsx", tmp_path)
    assert of_text == of_workbook
    assert len(of_text) == text.rows == workbook.rows == 11_460
    assert (text.header_line, workbook.header_line) == (4, 4)
    assert sum("bad-gtin" in product["warnings"] for product in of_text) == 2
    assert of_text[0]["product_net_millilitres"] == 750
    assert {match.field: match.decimal for match in text.columns}["net_weight"] == ","


@pytest.mark.parametrize(
    ("name", "first", "known"),
    [
        ("fineli_food.csv", "SOKERI", "FRUKTOOSI, HEDELMÄSOKERI"),
        ("fineli_foodname_FI.csv", "SOKERI", "FRUKTOOSI, HEDELMÄSOKERI"),
        ("fineli_foodname_SV.csv", "SOCKER", "SÖTSAK, KARAMELL"),
        ("fineli_foodname_EN.csv", "SUGAR", "HONEY"),
    ],
)
def test_finelis_names_come_out_with_their_letters(tmp_path: Path, name: str, first: str, known: str) -> None:
    staged, products = products_of(name, tmp_path)
    names = [product["product_name"] for product in products]
    assert (len(names), names[0]) == (1_424, first)
    assert known in names
    assert staged.format["encoding"].startswith("Windows-1252")
    assert not any(letter in "".join(names) for letter in "\ufffdÃ¤")


def test_the_swedish_food_agencys_workbook(tmp_path: Path) -> None:
    staged, products = products_of("LivsmedelsDB_sv.xlsx", tmp_path)
    assert (staged.rows, products[0]["product_name"], products[0]["product_sku"]) == (2_161, "Nöt talg", "1")


def test_a_readme_is_no_product_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no column is known to hold the product's name"):
        products_of("fineli_descript.txt", tmp_path)
