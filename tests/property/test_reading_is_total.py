"""Whatever the bytes, reading gives rows or our own error; whatever the rows, batches put together are the source."""

import csv
import io
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lib.batching import plan_batches
from lib.columns import ColumnMatch
from lib.errors import ShelfsortError
from lib.formats.delimited import DelimitedText
from lib.formats.dialects import Dialect
from lib.products import to_products
from lib.quantities import parse_measure, parse_number, unit_of
from lib.reading import open_source
from lib.records import Reason, Shard
from lib.settings import ValidationSettings
from lib.shards import read_batch
from lib.staging import stage
from lib.storage import LocalFolder

# Texts made of what means something to a reader of delimited text come to its corners sooner than any bytes.
TABLE_BYTES = st.lists(
    st.sampled_from(
        [b"a", b"1", b";", b",", b'"', b"\n", b"\r\n", b"\r", b"\t", b"|", b" ", b"'", b"\xc3\xa4", b"\xe4", b"\0"]
    ),
    max_size=60,
).map(b"".join)
CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\n\r\t"), max_size=12)
DIALECTS = [
    Dialect(";", 2),
    Dialect(";", 2, quote="'"),
    Dialect(";", 2, whole_lines=True),
    Dialect(";", 2, blanks=True),
]
ALL_REASONS = ValidationSettings(reject=list(Reason), warn=[])


# What begins like a file of each kind that is told by its first bytes.
STARTS = [
    b"PAR1",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"BZh91AY&SY",
    b"\x28\xb5\x2f\xfd",
    b"[{",
    b"<a>",
    b"<table><tr>",
    b"\xff\xfe",
]
LIKE_OTHERS = st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary(max_size=100) | TABLE_BYTES)


@given(st.one_of(st.binary(max_size=200), TABLE_BYTES, TABLE_BYTES.map(lambda b: b"name;sku\n" + b), LIKE_OTHERS))
def test_parsing_is_total(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "products.csv")
        path.write_bytes(content)
        try:
            with open_source(path, name="products.csv") as table:
                columns = [ColumnMatch("name", 0, table.header[0], 1.0, "")]
                for chunk in table.chunks():
                    rows = chunk.append_column("same_as", chunk["line"]).append_column("gtin_as", chunk["line"])
                    products = to_products(rows, columns=columns, validation=ALL_REASONS)
                    assert len(products.texts) == chunk.num_rows
        except ShelfsortError as error:
            assert "\n" not in str(error)


@given(TABLE_BYTES, st.sampled_from(DIALECTS))
def test_every_line_is_in_a_record_or_blank(content: bytes, dialect: Dialect) -> None:
    text = content.decode("latin-1")
    table = DelimitedText(io.StringIO(text, newline=""), dialect=dialect, name="products.csv")
    records = table.chunk(1000)
    assert table.line == 1 + len(io.StringIO(text, newline="").readlines())
    assert records.lines == sorted(set(records.lines))
    # Quotes, delimiters and line ends apart, no character is lost.
    kept = "".join(cell for row in records.rows for cell in row)
    for letter in set(text) - set("\"';\r\n \t"):
        assert kept.count(letter) == text.count(letter)


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=40), count=st.integers(1, 50))
@settings(max_examples=200, deadline=None)
def test_batches_concatenate_to_the_input(rows: list[list[str]], count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "products.csv")
        with source.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["sku", "name"], *rows])
        job = LocalFolder(Path(folder, "job"))
        staged = stage(str(source), job=job)
        batches = plan_batches(list(staged.shards), count=min(count, staged.rows))
        tables = [table for batch in batches for table in read_batch(batch, ledger=staged.ledger, job=job)]
        assert [[row["c0"], row["c1"]] for table in tables for row in table.to_pylist()] == rows


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=20), count=st.integers(1, 60))
def test_a_plan_covers_every_row_once(sizes: list[int], count: int) -> None:
    shards = [Shard(f"s{i}", sum(sizes[:i]), size, "") for i, size in enumerate(sizes)]
    rows = sum(sizes)
    batches = plan_batches(shards, count=min(count, rows))
    assert [row for b in batches for row in range(b.first_row, b.first_row + b.rows)] == list(range(rows))
    assert max(b.rows for b in batches) - min(b.rows for b in batches) <= 1
    for batch in batches:
        covered = {row for shard in batch.shards for row in range(shard.first_row, shard.first_row + shard.rows)}
        assert set(range(batch.first_row, batch.first_row + batch.rows)) <= covered


@given(st.text(max_size=30))
def test_numbers_and_units_are_total(text: str) -> None:
    parse_number(text)
    parse_measure(text)
    unit_of(text)
