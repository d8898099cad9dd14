"""Rows in order of a number, whether they fit into memory or not."""

from contextlib import ExitStack

import numpy as np
import pyarrow as pa
import pytest

from lib.ordering import Ordered

SCHEMA = pa.schema([("row", pa.int64()), ("name", pa.string())])


@pytest.mark.parametrize("piece", [3, 10, 1000])
def test_the_largest_number_comes_first_and_equal_ones_as_they_came(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.ordering.PIECE", piece)
    numbers = np.random.default_rng(0).integers(0, 20, 100).astype(np.float64)
    with ExitStack() as stack:
        ordered = Ordered(SCHEMA, stack=stack)
        for start in range(0, 100, 7):
            rows = list(range(start, min(start + 7, 100)))
            table = pa.table({"row": rows, "name": [f"product {row}" for row in rows]}, schema=SCHEMA)
            ordered.add(table, numbers[rows])
        found = [row for table in ordered.tables() for row in table.to_pylist()]
    assert [row["row"] for row in found] == sorted(range(100), key=lambda row: (-numbers[row], row))
    assert all(row["name"] == f"product {row['row']}" for row in found)


def test_no_rows_give_no_table() -> None:
    with ExitStack() as stack:
        assert list(Ordered(SCHEMA, stack=stack).tables()) == []
