"""The source staged into shards, and batches read back from them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lib.batching import plan_batches
from lib.errors import SourceError
from lib.settings import ROOT
from lib.shards import Staged, read_batch, read_ledger
from lib.staging import stage
from lib.storage import LocalFolder


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 2 rows and shards of 4, so that ten rows have several of each."""
    monkeypatch.setattr("lib.formats.rows.CHUNK_ROWS", 2)
    monkeypatch.setattr("lib.staging.SHARD_ROWS", 4)


def staged(folder: Path, text: str) -> tuple[Staged, LocalFolder]:
    source = folder / "products.csv"
    source.write_text(text, "utf-8")
    job = LocalFolder(folder / "job")
    return stage(str(source), job=job), job


def batch_rows(found: Staged, job: LocalFolder, count: int) -> list[list[dict[str, Any]]]:
    batches = plan_batches(list(found.shards), count=count)
    return [[r for t in read_batch(b, ledger=found.ledger, job=job) for r in t.to_pylist()] for b in batches]


TEN_ROWS = "sku;name\n" + "".join(f"{i};product {i}\n" for i in range(10))


def test_what_was_found_is_described(tmp_path: Path) -> None:
    found, job = staged(tmp_path, TEN_ROWS + "\n10;too;many\n")
    assert (found.rows, found.blank_lines, found.rows_with_extra_cells) == (11, 1, 1)
    assert (found.header, found.header_line) == (["sku", "name"], 1)
    assert found.source.uri == str(tmp_path / "products.csv")
    assert [(shard.first_row, shard.rows) for shard in found.shards] == [(0, 4), (4, 4), (8, 3)]
    assert {shard.name for shard in (*found.shards, found.ledger)} == set(job.names())


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10])
def test_the_batches_put_together_are_the_source(tmp_path: Path, count: int) -> None:
    found, job = staged(tmp_path, TEN_ROWS)
    batches = batch_rows(found, job, count)
    assert len(batches) == count
    assert [row["c1"] for batch in batches for row in batch] == [f"product {i}" for i in range(10)]
    assert [row["line"] for batch in batches for row in batch] == list(range(2, 12))


@pytest.mark.parametrize("count", [1, 3])
def test_a_row_that_repeats_another_knows_its_line_across_batches(tmp_path: Path, count: int) -> None:
    found, job = staged(tmp_path, "sku;name\n1;a\n2;b\n1;a\n3;c\n2;b\n1;a\n1;a;x\n1;a;x\n")
    rows = [row for batch in batch_rows(found, job, count) for row in batch]
    assert [row["same_as"] for row in rows] == [None, None, 2, None, 3, 2, None, 8]


def test_a_repeated_row_is_found_wherever_other_rows_have_extra_cells(tmp_path: Path) -> None:
    found, job = staged(tmp_path, "sku;name\n1;a\n2;b\n3;c\n1;a\n4;d;x\n")
    rows = [row for batch in batch_rows(found, job, 1) for row in batch]
    assert [row["same_as"] for row in rows] == [None, None, None, 2, None]


def test_the_ledger_is_read_by_range(tmp_path: Path) -> None:
    found, job = staged(tmp_path, TEN_ROWS)
    ledger = read_ledger(found.ledger, first_row=3, rows=6, job=job)
    assert ledger["line"].to_pylist() == [5, 6, 7, 8, 9, 10]


def test_the_same_source_gives_the_same_shards(tmp_path: Path) -> None:
    found, job = staged(tmp_path, TEN_ROWS)
    before = {name: job.read_bytes(name) for name in job.names()}
    assert stage(found.source.uri, job=job) == found
    assert {name: job.read_bytes(name) for name in job.names()} == before


def test_a_missing_source_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as refused:
        stage(str(tmp_path / "nowhere.csv"), job=LocalFolder(tmp_path / "job"))
    expected = f"{tmp_path}/nowhere.csv: no such file or folder; check the path or URI of the source"
    assert str(refused.value) == expected


def test_a_header_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is a header but no products below it"):
        staged(tmp_path, "sku;name\n\n")


def test_a_source_that_breaks_off_leaves_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.formats.delimited.LONGEST_CELL", 20)
    with pytest.raises(SourceError, match="line 12"):
        staged(tmp_path, TEN_ROWS + "x" * 30 + "\n")
    assert not [name for name in LocalFolder(tmp_path / "job").names() if "ledger" in name]


def test_a_batchs_task_loads_none_of_the_readers() -> None:
    code = "import sys, lib.processing; print(sorted({'lib.reading', 'lib.staging', 'sqlalchemy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
