"""Files in, raw rows with their lines out; bad files are one clear error."""

import bz2
import datetime
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.errors import SourceError
from lib.formats.nested import RecordLimits
from lib.reading import SAMPLE_BYTES, ReadingOptions, open_source


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, each with its line, its cells by header, and what else is not null."""
    with open_source(path, name=path.name) as table:
        header = table.header
        found = [row for chunk in table.chunks() for row in chunk.to_pylist()]
    return [
        {"line": row["line"]}
        | {name: row[f"c{i}"] for i, name in enumerate(header)}
        | {name: row[name] for name in ("extra", "problems") if row[name] is not None}
        for row in found
    ]


def format_of(path: Path) -> dict[str, Any]:
    with open_source(path, name=path.name) as table:
        return table.format


def written(folder: Path, content: bytes, name: str = "products.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


TWO_ROWS = [{"line": 2, "sku": "1", "name": "Käse"}, {"line": 3, "sku": "2", "name": "Öl"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_delimited_text_is_recognized_by_its_content(
    tmp_path: Path, delimiter: str, bom: str, compressed: bool, ends: str
) -> None:
    text = bom + ends.join(delimiter.join(row) for row in (["sku", "name"], ["1", "Käse"], ["2", "Öl"]))
    content = text.encode()
    path = written(tmp_path, gzip.compress(content) if compressed else content, "products.dat")
    assert rows_of(path) == TWO_ROWS
    assert format_of(path) == {
        "format": "delimited text",
        "compression": "gzip" if compressed else None,
        "member": None,
        "sheets": None,
        "encoding": "UTF-8 with byte order mark" if bom else "UTF-8",
        "delimiter": delimiter,
    }


def test_parquet_of_every_kind_of_column_comes_as_text(tmp_path: Path) -> None:
    path = tmp_path / "products.bin"
    table = pa.table(
        {
            "name": ["Ketchup", None],
            "gtin": pa.array([4006381333931.0, None]),
            "price": pa.array([2.5, 3.0]),
            "count": pa.array([7, None], pa.int32()),
            "exact": pa.array([Decimal("1.50"), None]),
            "since": pa.array([datetime.date(2024, 5, 1), None]),
            "organic": pa.array([True, None]),
            "group": pa.array(["sauces", "oils"]).dictionary_encode(),
            "tags": pa.array([["a", "b"], None]),
            "raw": pa.array([b"\xc3\xa4\xff", None]),
            "nothing": pa.nulls(2),
        }
    )
    pq.write_table(table, path)
    first, second = rows_of(path)
    assert first == {
        "line": 1,
        "name": "Ketchup",
        "gtin": "4006381333931",
        "price": "2.5",
        "count": "7",
        "exact": "1.50",
        "since": "2024-05-01",
        "organic": "true",
        "group": "sauces",
        "tags": '["a", "b"]',
        "raw": "ä\ufffd",
        "nothing": "",
    }
    assert set(second.values()) == {2, "", "3", "oils"}


def test_parquet_with_strings_that_are_not_utf8_spoils_their_rows_only(tmp_path: Path) -> None:
    texts = pa.array([b"Tofu", b"K\xe4se", None], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"name": texts}), tmp_path / "products.parquet")
    found = rows_of(tmp_path / "products.parquet")
    assert [row["name"] for row in found] == ["Tofu", "Käse", ""]
    assert [row.get("problems") for row in found] == [None, ["bad-encoding"], None]


def test_parquet_numbers_have_the_digits_they_were_stored_with(tmp_path: Path) -> None:
    columns = {
        "name": ["Tofu"],
        "single": pa.array([0.1], pa.float32()),
        "fixed": pa.array([b"cd"], pa.binary(2)),
        "span": pa.array([datetime.timedelta(days=1)]),
    }
    pq.write_table(pa.table(columns), tmp_path / "products.parquet")
    assert rows_of(tmp_path / "products.parquet") == [
        {"line": 1, "name": "Tofu", "single": "0.1", "fixed": "cd", "span": "1 day, 0:00:00"}
    ]


def test_excels_hint_of_the_delimiter_is_taken_and_no_header(tmp_path: Path) -> None:
    found = rows_of(written(tmp_path, b"sep=;\r\nsku;name\r\n1;Milk, fresh\r\n"))
    assert found == [{"line": 3, "sku": "1", "name": "Milk, fresh"}]


def test_a_list_of_names_is_one_column_whatever_they_hold(tmp_path: Path) -> None:
    path = written(tmp_path, b"Product name\nMilk, semi-skimmed\nBread; white\n")
    assert [row["Product name"] for row in rows_of(path)] == ["Milk, semi-skimmed", "Bread; white"]
    assert format_of(path)["delimiter"] is None


def test_a_few_bytes_that_are_not_utf8_spoil_their_row_in_the_sample_too(tmp_path: Path) -> None:
    content = b"name\n" + "Köttbullar\n".encode() * 20 + "Crème\n".encode("cp1252")
    assert rows_of(written(tmp_path, content))[-1] == {"line": 22, "name": "Crème", "problems": ["bad-encoding"]}


def test_wide_tables_come_in_short_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.formats.rows.CHUNK_CELLS", 6)
    with open_source(written(tmp_path, b"name;a;b\n" + b"Tofu;1;2\n" * 5), name="products.csv") as table:
        assert [chunk.num_rows for chunk in table.chunks()] == [2, 2, 1]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param("1", {"sku": "1", "name": ""}, id="missing cells are empty"),
        pytest.param("1;a;;", {"sku": "1", "name": "a"}, id="delimiters behind the last cell mean nothing"),
        pytest.param(
            "1;a;b;c",
            {"sku": "1", "name": "a", "extra": ["b", "c"], "problems": ["too-many-cells"]},
            id="cells too many",
        ),
        pytest.param('1;"a', {"sku": "1", "name": '"a', "problems": ["open-quote"]}, id="a quote left open"),
        pytest.param("1;a\0b", {"sku": "1", "name": "a\0b"}, id="a zero byte past the sample"),
    ],
)
def test_ragged_rows_lose_nothing(tmp_path: Path, row: str, expected: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr("lib.reading.SAMPLE_BYTES", 10)
    path = written(tmp_path, b"sku;name\n9;z\n" + row.encode())
    assert rows_of(path)[1] == {"line": 3} | expected


def test_bytes_past_the_sample_that_are_not_utf8_spoil_their_row_only(tmp_path: Path) -> None:
    good = b"1;Tomato ketchup\n"
    count = SAMPLE_BYTES // len(good) + 1
    content = b"sku;name\n" + good * count + "2;Käse;Öl\n".encode("cp1252") + good
    found = rows_of(written(tmp_path, content))
    assert len(found) == count + 2
    assert found[count] == {
        "line": count + 2,
        "sku": "2",
        "name": "Käse",
        "extra": ["Öl"],
        "problems": ["too-many-cells", "bad-encoding"],
    }
    assert found[-1] == {"line": count + 3, "sku": "1", "name": "Tomato ketchup"}


def test_a_letter_cut_at_the_end_of_the_sample_is_no_error(tmp_path: Path) -> None:
    content = b"name\n" + b"x" * (SAMPLE_BYTES - 6) + "ä\n".encode()
    assert rows_of(written(tmp_path, content))[0]["name"].endswith("xä")


NAMES = "nr;name\n1;Köttbullar i gräddsås\n2;Blåbärssoppa – söt\n3;Crème fraîche\n"


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_letters_come_out_whatever_the_encoding(tmp_path: Path, codec: str) -> None:
    found = [row["name"] for row in rows_of(written(tmp_path, NAMES.encode(codec)))]
    assert found == ["Köttbullar i gräddsås", "Blåbärssoppa – söt", "Crème fraîche"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param(b'[{"name": "Tofu"}]', "Tofu", id="JSON"),
        pytest.param(b'{"name": "Tofu"}\n{"name": "Milk"}', "Tofu", id="JSON Lines"),
        pytest.param(b"<list><item><name>Tofu</name></item><item><name>Milk</name></item></list>", "Tofu", id="XML"),
        pytest.param(b"<table><tr><th>name</th></tr><tr><td>Tofu</td></tr></table>", "Tofu", id="HTML"),
        pytest.param(bz2.compress(b"name\nTofu\n"), "Tofu", id="bzip2"),
    ],
)
def test_other_formats_are_told_by_their_content(tmp_path: Path, content: bytes, name: str) -> None:
    assert rows_of(written(tmp_path, content))[0]["name"] == name


GZIPPED = gzip.compress(b"sku;name\n" + b"".join(b"%d;Tomato ketchup %d\n" % (i, i * i) for i in range(9_999)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "the file is empty; send one with a header and products", id="empty"),
        pytest.param(b"  \n\n", "the file is empty; send one with a header and products", id="blank"),
        pytest.param(
            GZIPPED[: len(GZIPPED) // 2],
            "the gzip data is damaged or cut off (Compressed file ended before the end-of-stream marker was reached); "
            "send the file again",
            id="truncated gzip",
        ),
        pytest.param(
            GZIPPED[:-8] + b"\0\0\0\0" + GZIPPED[-4:],
            "the gzip data is damaged or cut off",
            id="gzip with a wrong checksum",
        ),
        pytest.param(b"PK\x03\x04" + bytes(100), "the zip archive or workbook is damaged", id="zip"),
        pytest.param(
            b"\x7fELF\n" + bytes(range(9)) * 9,
            "not a text file, nor one of a kind that is read; save it as CSV (UTF-8) or Parquet",
            id="binary",
        ),
        pytest.param(b"<html><body>Sorry</body></html>", "this is a web page without a table of products", id="HTML"),
        pytest.param(
            b"PAR1 and nothing of the kind",
            "the file is damaged (Parquet magic bytes not found in footer.",
            id="Parquet",
        ),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(SourceError) as refused:
        rows_of(written(tmp_path, content))
    assert str(refused.value).startswith(f"products.csv: {message}")
    assert "\n" not in str(refused.value)


def test_a_table_with_too_many_columns_is_one_clear_error(tmp_path: Path) -> None:
    path = written(tmp_path, (";".join(f"c{i}" for i in range(30)) + "\n").encode() * 2)
    options = ReadingOptions(record_limits=RecordLimits(columns=20))
    with (
        pytest.raises(SourceError, match=r"products\.csv: it has 30 columns, more than the 20 allowed"),
        open_source(path, name="products.csv", options=options),
    ):
        pass
